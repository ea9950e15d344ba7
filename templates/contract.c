#if defined(__GNUC__) && !defined(GRAPHC_PORTABLE)
/*% for name, rows, columns in [("wide", "ROWS_" + suffix, 2), ("four", "4", 2), ("two", "2", 2),
                                ("one", "1", 2), ("thin", "THIN_" + suffix, 1)] %*/
/* c = a b, or c += a b, for ${ rows } rows and ${ columns } vectors of columns, summed in registers. */
FUSED_${ suffix } static void tile_${ name }_${ suffix }(
    int64_t terms, const ${ T } *a, int64_t a_row, int64_t a_term, const ${ T } *b, int64_t b_term,
    ${ T } *c, int64_t c_row, bool add)
{
    lanes_${ suffix } sum[${ rows }][${ columns }] = {0};
    for (int64_t p = 0; p < terms; ++p) {
        lanes_${ suffix } right[${ columns }];
        UNROLL_${ suffix }
        for (int v = 0; v < ${ columns }; ++v)
            right[v] = *(const lanes_${ suffix } *)(b + v * LANES_${ suffix });
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
/* One tile's width of columns: as many rows at a time as there are. */
static void column_${ suffix }(
    int64_t rows, bool thin, int64_t terms, const ${ T } *a, int64_t a_row, int64_t a_term,
    int64_t a_panel, const ${ T } *b, int64_t b_term, ${ T } *c, int64_t c_row, bool add)
{
    int64_t i = 0;
    while (i < rows) {
        const ${ T } *const left =
            a + i / ROW_PANEL_${ suffix } * a_panel + i % ROW_PANEL_${ suffix } * a_row;
        ${ T } *const into = c + i * c_row;
        const int64_t left_over = rows - i;
        if (thin && left_over >= THIN_${ suffix } && (int64_t)THIN_${ suffix } <= ROW_PANEL_${ suffix }) {
            tile_thin_${ suffix }(terms, left, a_row, a_term, b, b_term, into, c_row, add);
            i += THIN_${ suffix };
        } else if (left_over >= ROWS_${ suffix }) {
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
    int64_t a_panel, const ${ T } *b, int64_t b_term, int64_t b_panel, ${ T } *c, int64_t c_row,
    bool add)
{
#if defined(__GNUC__) && !defined(GRAPHC_PORTABLE)
    ${ T } edge[DEPTH_${ suffix } * WIDTH_${ suffix }], sums[ROW_PANEL_${ suffix } * WIDTH_${ suffix }];
    for (int64_t k = 0; k == 0 || k < terms; k += DEPTH_${ suffix }) {
        const int64_t depth = terms - k < DEPTH_${ suffix } ? terms - k : DEPTH_${ suffix };
        const ${ T } *const left = a + k * a_term;
        for (int64_t j = 0; j < columns; j += WIDTH_${ suffix }) {
            const ${ T } *const right = b + k * b_term
                + j / COLUMN_PANEL_${ suffix } * b_panel + j % COLUMN_PANEL_${ suffix };
            const int64_t width = columns - j;
            if (width >= WIDTH_${ suffix }) {
                column_${ suffix }(rows, false, depth, left, a_row, a_term, a_panel, right, b_term,
                    c + j, c_row, add || k > 0);
                continue;
            }
            /* The last columns, filled up with zeros; their sums go through an array beside. */
            for (int64_t p = 0; p < depth; ++p)
                for (int64_t q = 0; q < WIDTH_${ suffix }; ++q)
                    edge[p * WIDTH_${ suffix } + q] = q < width ? right[p * b_term + q] : 0;
            for (int64_t i = 0; i < rows; i += ROW_PANEL_${ suffix }) {
                const int64_t left_over = rows - i;
                const int64_t height =
                    left_over < ROW_PANEL_${ suffix } ? left_over : ROW_PANEL_${ suffix };
                column_${ suffix }(height, width <= LANES_${ suffix }, depth,
                    left + i / ROW_PANEL_${ suffix } * a_panel, a_row, a_term, a_panel, edge,
                    WIDTH_${ suffix }, sums, WIDTH_${ suffix }, false);
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
                const int64_t panel = j / COLUMN_PANEL_${ suffix } * b_panel;
                into[j] += left[p * a_term] * b[panel + p * b_term + j % COLUMN_PANEL_${ suffix }];
            }
    }
#endif
}

