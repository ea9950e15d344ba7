/*# What templates/caller.c calls of a kernel: every argument is in a list. No name of a user's begins with
    graphc_. #*/
#include "${ kernel }.c"

/*% if sizes %*/
/* Sizes: // and % as Python rounds them; a divisor of 0 gives a size no array has. */
static inline int64_t graphc_floor_div(int64_t a, int64_t b)
{
    if (b == 0)
        return -1;
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

static inline int64_t graphc_floor_mod(int64_t a, int64_t b)
{
    return b == 0 ? -1 : a - b * graphc_floor_div(a, b);
}

static inline int64_t graphc_smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t graphc_larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

void graphc_measure(const int64_t *graphc_dims, int64_t *graphc_sizes)
{
/*% for dim in dims %*/
    const int64_t dim_${ dim } = graphc_dims[${ loop.index0 }];
    (void)dim_${ dim };
/*% endfor %*/
/*% for size in sizes %*/
    graphc_sizes[${ loop.index0 }] = ${ size };
/*% endfor %*/
}

/*% endif %*/
void graphc_run(const void *const *graphc_in, const int64_t *graphc_dims,
    void *const *graphc_out, void *graphc_workspace)
{
    (void)graphc_in;
    (void)graphc_dims;
    (void)graphc_out;
    (void)graphc_workspace;
/*% if told %*/
    graphc_trap graphc_caught;
/*% endif %*/
    ${ kernel }(${ arguments | join(", ") });
/*% if told %*/
    double *graphc_told = ${ told };
    *graphc_told++ = graphc_caught.what != NULL;
    *graphc_told++ = (double)graphc_caught.site;
    *graphc_told++ = graphc_caught.value;
    *graphc_told++ = (double)graphc_caught.element;
    *graphc_told++ = graphc_caught.count;
    for (int k = 0; k < 6; ++k)
        *graphc_told++ = graphc_caught.values[k];
    *graphc_told++ = graphc_caught.argument ? graphc_caught.argument_number : -1;
    *graphc_told++ = graphc_caught.argument_value;
    *graphc_told++ = (double)graphc_caught.argument_element;
/*% endif %*/
}
