#if defined(__GNUC__) && !defined(GRAPHC_PORTABLE)
enum { AHEAD_${ suffix } = 16 }; /* terms whose columns are asked for before their turn */

/*% for name, rows, columns in [("first", "ROWS_" + suffix, 2), ("wide", "ROWS_" + suffix, 2),
                                ("four", "4", 2), ("two", "2", 2), ("one", "1", 2),
                                ("thin", "THIN_" + suffix, 1)] %*/
/*% if name == "first" %*/
/* As tile_wide, and panel = b, for the rows that follow. */
/*% else %*/
/* c = a b, or c += a b, for ${ rows } rows and ${ columns } vectors of columns, summed in registers. */
/*% endif %*/
FUSED_${ suffix } static void tile_${ name }_${ suffix }(
    int64_t terms, const ${ T } *a, int64_t a_row, int64_t a_term, const ${ T } *b, int64_t b_term,
    ${ T } *c, int64_t c_row, bool add${ ", " ~ T ~ " *panel" if name == "first" else "" })
{
    lanes_${ suffix } sum[${ rows }][${ columns }] = {0};
    UNROLL_${ suffix }
    for (int r = 0; r < ${ rows }; ++r)
        __builtin_prefetch(c + r * c_row, 1);
/*% if name == "first" %*/
    const bool far = b_term >= (int64_t)(2048 / sizeof(${ T })); /* for the machine to foresee */
/*% endif %*/
    for (int64_t p = 0; p < terms; ++p) {
        lanes_${ suffix } right[${ columns }];
        UNROLL_${ suffix }
        for (int v = 0; v < ${ columns }; ++v)
            right[v] = *(const lanes_${ suffix } *)(b + v * LANES_${ suffix });
/*% if name == "first" %*/
        UNROLL_${ suffix }
        for (int v = 0; v < ${ columns }; ++v) {
            *(lanes_${ suffix } *)(panel + p * WIDTH_${ suffix } + v * LANES_${ suffix }) = right[v];
            if (far && p + AHEAD_${ suffix } < terms)
                __builtin_prefetch(b + AHEAD_${ suffix } * b_term + (v + 1) * LANES_${ suffix } - 1);
        }
/*% endif %*/
        __asm__("" : : : "memory"); /* or each product reads them once more */
        UNROLL_${ suffix }
        for (int r = 0; r < ${ rows }; ++r) {
            const ${ T } left = a[r * a_row];
            UNROLL_${ suffix }
            for (int v = 0; v < ${ columns }; ++v)
                sum[r][v] += left * right[v];
        }
        a += a_term;
        b += b_term;
    }
    UNROLL_${ suffix }
    for (int r = 0; r < ${ rows }; ++r) {
        UNROLL_${ suffix }
        for (int v = 0; v < ${ columns }; ++v) {
            ${ T } *const out = c + r * c_row + v * LANES_${ suffix };
            if (add)
                sum[r][v] += *(const lanes_${ suffix } *)out;
            *(lanes_${ suffix } *)out = sum[r][v];
        }
    }
}

/*% endfor %*/
enum { SIDE_${ suffix } = 16 / sizeof(${ T }) }; /* of the squares in which a matrix is turned */

/* Columns of the panel, a multiple of a square's side, become what in b are rows. */
static void turn_${ suffix }(
    int64_t terms, int64_t columns, const ${ T } *b, int64_t b_column, ${ T } *panel)
{
#if defined(__clang__) || __GNUC__ >= 12
    typedef ${ T } line __attribute__((vector_size(16), aligned(sizeof(${ T })), may_alias));
    const int64_t whole = terms / SIDE_${ suffix } * SIDE_${ suffix };
    for (int64_t q = 0; q < columns; q += SIDE_${ suffix }) {
        for (int64_t p = 0; p < whole; p += SIDE_${ suffix }) {
            const ${ T } *const from = b + q * b_column + p;
            ${ T } *const to = panel + p * WIDTH_${ suffix } + q;
            const line x0 = *(const line *)from, x1 = *(const line *)(from + b_column);
/*% if suffix == "f32" %*/
            const line x2 = *(const line *)(from + 2 * b_column);
            const line x3 = *(const line *)(from + 3 * b_column);
            const line low01 = __builtin_shufflevector(x0, x1, 0, 4, 1, 5);
            const line low23 = __builtin_shufflevector(x2, x3, 0, 4, 1, 5);
            const line high01 = __builtin_shufflevector(x0, x1, 2, 6, 3, 7);
            const line high23 = __builtin_shufflevector(x2, x3, 2, 6, 3, 7);
            *(line *)to = __builtin_shufflevector(low01, low23, 0, 1, 4, 5);
            *(line *)(to + WIDTH_f32) = __builtin_shufflevector(low01, low23, 2, 3, 6, 7);
            *(line *)(to + 2 * WIDTH_f32) = __builtin_shufflevector(high01, high23, 0, 1, 4, 5);
            *(line *)(to + 3 * WIDTH_f32) = __builtin_shufflevector(high01, high23, 2, 3, 6, 7);
/*% else %*/
            *(line *)to = __builtin_shufflevector(x0, x1, 0, 2);
            *(line *)(to + WIDTH_f64) = __builtin_shufflevector(x0, x1, 1, 3);
/*% endif %*/
        }
        for (int64_t p = whole; p < terms; ++p)
            for (int64_t r = q; r < q + SIDE_${ suffix }; ++r)
                panel[p * WIDTH_${ suffix } + r] = b[r * b_column + p];
    }
#else
    for (int64_t p = 0; p < terms; ++p)
        for (int64_t q = 0; q < columns; ++q)
            panel[p * WIDTH_${ suffix } + q] = b[q * b_column + p];
#endif
}

/* panel = as many terms of b, each a row of so many columns, and zeros up to a tile's width. */
static void gather_${ suffix }(
    int64_t terms, int64_t columns, const ${ T } *b, int64_t b_term, int64_t b_column,
    ${ T } *panel)
{
    int64_t ready = 0; /* columns */
    if (b_term == 1) {
        ready = columns / SIDE_${ suffix } * SIDE_${ suffix };
        turn_${ suffix }(terms, ready, b, b_column, panel);
    }
    for (int64_t p = 0; p < terms; ++p)
        for (int64_t q = ready; q < WIDTH_${ suffix }; ++q)
            panel[p * WIDTH_${ suffix } + q] = q < columns ? b[p * b_term + q * b_column] : 0;
}

/* One tile's width of columns: as many rows at a time as there are. The first of many leave b's
 * columns in the panel, where they lie side by side in the cache. */
static void column_${ suffix }(
    int64_t rows, bool thin, int64_t terms, const ${ T } *a, int64_t a_row, int64_t a_term,
    int64_t a_panel, const ${ T } *b, int64_t b_term, ${ T } *c, int64_t c_row, bool add,
    ${ T } *panel)
{
    int64_t i = 0;
    if (b != panel && rows >= 4 * ROWS_${ suffix }) {
        tile_first_${ suffix }(terms, a, a_row, a_term, b, b_term, c, c_row, add, panel);
        b = panel;
        b_term = WIDTH_${ suffix };
        i = ROWS_${ suffix };
    }
    while (i < rows) {
        const ${ T } *const left =
            a + i / ROW_PANEL_${ suffix } * a_panel + i % ROW_PANEL_${ suffix } * a_row;
        ${ T } *const into = c + i * c_row;
        const int64_t left_over = rows - i;
        const bool halves = left_over == 8 && i % ROW_PANEL_${ suffix } <= 4; /* two tiles of four */
        if (thin && left_over >= THIN_${ suffix } && (int64_t)THIN_${ suffix } <= ROW_PANEL_${ suffix }) {
            tile_thin_${ suffix }(terms, left, a_row, a_term, b, b_term, into, c_row, add);
            i += THIN_${ suffix };
        } else if (left_over >= ROWS_${ suffix } && !halves) {
            tile_wide_${ suffix }(terms, left, a_row, a_term, b, b_term, into, c_row, add);
            i += ROWS_${ suffix };
        } else if (left_over >= 4) {
            tile_four_${ suffix }(terms, left, a_row, a_term, b, b_term, into, c_row, add);
            i += 4;
        } else if (left_over >= 2) {
            tile_two_${ suffix }(terms, left, a_row, a_term, b, b_term, into, c_row, add);
            i += 2;
        } else {
            tile_one_${ suffix }(terms, left, a_row, a_term, b, b_term, into, c_row, add);
            i += 1;
        }
    }
}
#endif

/* c = a b, or c += a b: rows of a and c, columns of b and c side by side, summed over terms. A step
 * along a panel of rows, or of columns, leads to the next panel. */
static void contract_${ suffix }(
    int64_t rows, int64_t columns, int64_t terms, const ${ T } *a, int64_t a_row, int64_t a_term,
    int64_t a_panel, const ${ T } *b, int64_t b_term, int64_t b_column, int64_t b_panel, ${ T } *c,
    int64_t c_row, bool add)
{
#if defined(__GNUC__) && !defined(GRAPHC_PORTABLE)
    ${ T } panel[DEPTH_${ suffix } * WIDTH_${ suffix }] __attribute__((aligned(64)));
    ${ T } sums[ROW_PANEL_${ suffix } * WIDTH_${ suffix }];
    const int64_t parts = (terms + DEPTH_${ suffix } - 1) / DEPTH_${ suffix };
    const int64_t most = parts > 1 ? ((terms + parts - 1) / parts + 7) / 8 * 8 : DEPTH_${ suffix };
    for (int64_t k = 0; k == 0 || k < terms; k += most) {
        const int64_t depth = terms - k < most ? terms - k : most;
        const ${ T } *const left = a + k * a_term;
        for (int64_t j = 0; j < columns; j += WIDTH_${ suffix }) {
            const ${ T } *const right = b + k * b_term + j / COLUMN_PANEL_${ suffix } * b_panel
                + j % COLUMN_PANEL_${ suffix } * b_column;
            const int64_t left_over = columns - j;
            const int64_t width = left_over < WIDTH_${ suffix } ? left_over : WIDTH_${ suffix };
            const bool direct = width == WIDTH_${ suffix } && b_column == 1;
            if (!direct)
                gather_${ suffix }(depth, width, right, b_term, b_column, panel);
            if (width == WIDTH_${ suffix }) {
                column_${ suffix }(rows, false, depth, left, a_row, a_term, a_panel,
                    direct ? right : panel, direct ? b_term : WIDTH_${ suffix }, c + j, c_row,
                    add || k > 0, panel);
                continue;
            }
            /* The last columns' sums go through an array beside. */
            for (int64_t i = 0; i < rows; i += ROW_PANEL_${ suffix }) {
                const int64_t below = rows - i;
                const int64_t height = below < ROW_PANEL_${ suffix } ? below : ROW_PANEL_${ suffix };
                column_${ suffix }(height, width <= LANES_${ suffix }, depth,
                    left + i / ROW_PANEL_${ suffix } * a_panel, a_row, a_term, a_panel, panel,
                    WIDTH_${ suffix }, sums, WIDTH_${ suffix }, false, panel);
                for (int64_t r = 0; r < height; ++r)
                    for (int64_t q = 0; q < width; ++q) {
                        ${ T } *const out = c + (i + r) * c_row + j + q;
                        *out = (add || k > 0 ? *out : 0) + sums[r * WIDTH_${ suffix } + q];
                    }
            }
        }
    }
#else
    for (int64_t i = 0; i < rows; ++i) {
        const ${ T } *const left =
            a + i / ROW_PANEL_${ suffix } * a_panel + i % ROW_PANEL_${ suffix } * a_row;
        ${ T } *const into = c + i * c_row;
        if (!add)
            for (int64_t j = 0; j < columns; ++j)
                into[j] = 0;
        for (int64_t p = 0; p < terms; ++p)
            for (int64_t j = 0; j < columns; ++j) {
                const ${ T } *const right = b + p * b_term + j / COLUMN_PANEL_${ suffix } * b_panel
                    + j % COLUMN_PANEL_${ suffix } * b_column;
                into[j] += left[p * a_term] * *right;
            }
    }
#endif
}
