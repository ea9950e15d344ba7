/*% if helper == "zeros" %*/
/* Whether these neighbours are all zeros. */
static inline bool are_zero_${ suffix }(int64_t count, const ${ T } *x)
{
    enum { MANY = 64 / sizeof(${ T }) }; /* a line of the cache */
    int others = 0;
    int64_t i = 0;
    for (; i + MANY <= count; i += MANY)
        for (int k = 0; k < MANY; ++k)
            others |= x[i + k] != 0;
    for (; i < count; ++i)
        others |= x[i] != 0;
    return !others;
}

/* How many places along the lines of x come before those where all lines hold zeros, rounded up to
 * a line of the cache. Lines, or places, lie side by side. */
static int64_t reach_${ suffix }(
    int64_t lines, int64_t places, const ${ T } *x, int64_t line, int64_t place)
{
    enum { MANY = 64 / sizeof(${ T }) };
    int64_t reach = places;
    while (reach > 0) {
        const int64_t start = (reach - 1) / MANY * MANY, many = reach - start;
        bool zero = true;
        if (place == 1)
            for (int64_t r = 0; zero && r < lines; ++r)
                zero = are_zero_${ suffix }(many, x + r * line + start);
        else
            for (int64_t p = start; zero && p < reach; ++p)
                zero = are_zero_${ suffix }(lines, x + p * place);
        if (!zero)
            break;
        reach = start;
    }
    return reach;
}

/* Whether all elements are finite numbers. */
static bool are_finite_${ suffix }(
    int64_t rows, int64_t columns, const ${ T } *x, int64_t row, int64_t column)
{
    for (int64_t r = 0; r < rows; ++r) {
        int others = 0;
        for (int64_t c = 0; c < columns; ++c)
            others |= !(x[r * row + c * column] - x[r * row + c * column] == 0);
        if (others)
            return false;
    }
    return true;
}

/*% elif helper == "terms_that_count" %*/
/* The terms of a b that count: those after them are zeros in a and finite numbers in b. */
static int64_t terms_that_count_${ suffix }(
    int64_t rows, int64_t columns, int64_t terms, const ${ T } *a, int64_t a_row, int64_t a_term,
    const ${ T } *b, int64_t b_term, int64_t b_column)
{
    const int64_t reach = reach_${ suffix }(rows, terms, a, a_row, a_term);
    return are_finite_${ suffix }(terms - reach, columns, b + reach * b_term, b_term, b_column)
        ? reach : terms;
}

/*% elif helper == "rows_that_count" %*/
/* The rows of a b that count: those after them are zeros in a, and b is finite. */
static int64_t rows_that_count_${ suffix }(
    int64_t rows, int64_t columns, int64_t terms, const ${ T } *a, int64_t a_row, int64_t a_term,
    const ${ T } *b, int64_t b_term, int64_t b_column)
{
    const int64_t reach = reach_${ suffix }(terms, rows, a, a_term, a_row);
    return reach == rows || are_finite_${ suffix }(terms, columns, b, b_term, b_column) ? reach : rows;
}

/*% else %*/
/* The columns of a b that count: those after them are zeros in b, and a is finite. */
static int64_t columns_that_count_${ suffix }(
    int64_t rows, int64_t columns, int64_t terms, const ${ T } *a, int64_t a_row, int64_t a_term,
    const ${ T } *b, int64_t b_term, int64_t b_column)
{
    const int64_t reach = reach_${ suffix }(terms, columns, b, b_term, b_column);
    return reach == columns || are_finite_${ suffix }(rows, terms, a, a_row, a_term) ? reach : columns;
}

/*% endif %*/
