/* Places that are watched, and what their operands are called. */
typedef struct {
    const char *what;
    int count;
    const char *operands[6];
} graphc_site;

static const graphc_site graphc_sites[${ trap.sites | length }] = {
/*% for site in trap.sites %*/
${ site }
/*% endfor %*/
};

/*% if trap.watched or trap.leaves %*/
static void graphc_note(double value, const graphc_site *site, int64_t element,
                        const double *operands, graphc_trap *trap)
{
    trap->what = site->what;
    trap->value = value;
    trap->element = element;
    trap->site = site - graphc_sites;
    trap->count = operands ? site->count : 0;
    for (int k = 0; k < trap->count; ++k) {
        trap->operands[k] = site->operands[k];
        trap->values[k] = operands[k];
    }
}

/*% endif %*/
/*% if trap.watched %*/
/* Whether the value was made nan or infinite here: no operand was so before. */
static bool graphc_made(double value, const graphc_site *site, const double *operands)
{
    for (int k = 0; k < site->count; ++k)
        if (isnan(value) ? isnan(operands[k]) : !isfinite(operands[k]))
            return false;
    return true;
}

/*% endif %*/
/*% for suffix in trap.watched %*/
/*% set T = {"f32": "float", "f64": "double"}.get(suffix, "uint16_t") %*/
/*% set double = "" if suffix == "f64" else "(double)" %*/
/*% set open, close = ("from_" + suffix + "_f32(", ")") if T == "uint16_t" else ("", "") %*/
/* The value; noted if it is the first that was made nan or infinite. */
static inline ${ T } trap_${ suffix }(${ T } value, const graphc_site *site, int64_t element,
                              bool excused, const double *operands, graphc_trap *trap)
{
    if (!isfinite(${ open }value${ close }) && !excused && !trap->what
        && graphc_made(${ double }${ open }value${ close }, site, operands))
        graphc_note(${ double }${ open }value${ close }, site, element, operands, trap);
    return value;
}

/*% endfor %*/
/*% for suffix in trap.enters | map(attribute="suffix") | unique | sort %*/
/*% set T = {"f32": "float", "f64": "double"}.get(suffix, "uint16_t") %*/
/*% set double = "" if suffix == "f64" else "(double)" %*/
/*% set open, close = ("from_" + suffix + "_f32(", ")") if T == "uint16_t" else ("", "") %*/
/* Notes that an argument brings a nan along, or else an infinity. */
static void trap_enters_${ suffix }(const ${ T } *x, int64_t count, const char *name, int number,
                            graphc_trap *trap)
{
    for (int64_t i = 0; i < count; ++i)
        if (!isfinite(${ open }x[i]${ close })
            && (!trap->argument || (isnan(${ open }x[i]${ close }) && !isnan(trap->argument_value)))) {
            trap->argument = name;
            trap->argument_number = number;
            trap->argument_value = ${ double }${ open }x[i]${ close };
            trap->argument_element = i;
        }
}

/*% endfor %*/
/*% for suffix in trap.leaves | map(attribute="suffix") | unique | sort %*/
/*% set T = {"f32": "float", "f64": "double"}.get(suffix, "uint16_t") %*/
/*% set double = "" if suffix == "f64" else "(double)" %*/
/*% set open, close = ("from_" + suffix + "_f32(", ")") if T == "uint16_t" else ("", "") %*/
/* Notes that what an argument brought along has come through to a result. */
static void trap_leaves_${ suffix }(const ${ T } *y, int64_t count, const graphc_site *site,
                            graphc_trap *trap)
{
    if (trap->what || !trap->argument)
        return;
    for (int64_t i = 0; i < count; ++i)
        if (!isfinite(${ open }y[i]${ close })) {
            graphc_note(${ double }${ open }y[i]${ close }, site, i, NULL, trap);
            return;
        }
}

/*% endfor %*/
