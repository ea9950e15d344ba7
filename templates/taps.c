#if defined(__GNUC__) && !defined(GRAPHC_PORTABLE)
/* Two vectors of columns, and as many rows as there are registers for. */
#if defined(__AVX512F__)
enum { TAP_ROWS_${ suffix } = 12 };
#else
enum { TAP_ROWS_${ suffix } = 6 };
#endif
enum { TAP_WIDTH_${ suffix } = 2 * LANES_${ suffix } };

/*% for name, rows in [("wide", "TAP_ROWS_" + suffix), ("six", "6"), ("four", "4"), ("two", "2"), ("one", "1")] %*/
/* c = a b for ${ rows } rows and two vectors of columns, summed in registers over all taps. */
FUSED_${ suffix } static void taps_${ name }_${ suffix }(
    const ${ T } *a, int64_t a_row, int64_t a_panel, const ${ T } *b, int64_t count0,
    int64_t a_step0, int64_t step0, int64_t count1, int64_t a_step1, int64_t step1, int64_t count2,
    int64_t a_step2, int64_t step2, ${ T } *c, int64_t c_row)
{
    lanes_${ suffix } sum[${ rows }][2] = {0};
    for (int64_t p = 0; p < count0; ++p)
        for (int64_t q = 0; q < count1; ++q) {
            const ${ T } *tap = b + p * step0 + q * step1;
            const ${ T } *third[(${ rows } + 2) / 3]; /* of the weights, every third row */
            UNROLL_${ suffix }
            for (int g = 0; g < (${ rows } + 2) / 3; ++g)
                third[g] = a + p * a_step0 + q * a_step1
                    + 3 * g / ROW_PANEL_${ suffix } * a_panel + 3 * g % ROW_PANEL_${ suffix } * a_row;
            for (int64_t s = 0; s < count2; ++s) {
                const lanes_${ suffix } near = *(const lanes_${ suffix } *)tap;
                const lanes_${ suffix } far = *(const lanes_${ suffix } *)(tap + LANES_${ suffix });
                __asm__("" : : : "memory"); /* or each product reads them once more */
                UNROLL_${ suffix }
                for (int r = 0; r < ${ rows }; ++r) {
                    const ${ T } left = third[r / 3][r % 3 * a_row];
                    sum[r][0] += left * near;
                    sum[r][1] += left * far;
                }
                UNROLL_${ suffix }
                for (int g = 0; g < (${ rows } + 2) / 3; ++g) {
                    third[g] += a_step2;
                    __asm__("" : "+r"(third[g])); /* one address for three rows */
                }
                tap += step2;
            }
        }
    UNROLL_${ suffix }
    for (int r = 0; r < ${ rows }; ++r) {
        *(lanes_${ suffix } *)(c + r * c_row) = sum[r][0];
        *(lanes_${ suffix } *)(c + r * c_row + LANES_${ suffix }) = sum[r][1];
    }
}

/*% endfor %*/
/* Vectors for a few columns. */
#if defined(__AVX__)
enum { NARROW_${ suffix } = 32 / sizeof(${ T }) };
#else
enum { NARROW_${ suffix } = 16 / sizeof(${ T }) };
#endif
typedef ${ T } narrow_${ suffix } __attribute__((
    vector_size(NARROW_${ suffix } * sizeof(${ T })), aligned(sizeof(${ T })), may_alias));

/*% for rows in (12, 8, 4, 2, 1) %*/
/* c = a b for ${ rows } rows and one such vector of columns. */
FUSED_${ suffix } static void taps_narrow_${ rows }_${ suffix }(
    const ${ T } *a, int64_t a_row, int64_t a_panel, const ${ T } *b, int64_t count0,
    int64_t a_step0, int64_t step0, int64_t count1, int64_t a_step1, int64_t step1, int64_t count2,
    int64_t a_step2, int64_t step2, ${ T } *c, int64_t c_row)
{
    narrow_${ suffix } sum[${ rows }] = {0};
    for (int64_t p = 0; p < count0; ++p)
        for (int64_t q = 0; q < count1; ++q) {
            const ${ T } *tap = b + p * step0 + q * step1;
            const ${ T } *third[(${ rows } + 2) / 3]; /* of the weights, every third row */
            UNROLL_${ suffix }
            for (int g = 0; g < (${ rows } + 2) / 3; ++g)
                third[g] = a + p * a_step0 + q * a_step1
                    + 3 * g / ROW_PANEL_${ suffix } * a_panel + 3 * g % ROW_PANEL_${ suffix } * a_row;
            for (int64_t s = 0; s < count2; ++s) {
                const narrow_${ suffix } right = *(const narrow_${ suffix } *)tap;
                UNROLL_${ suffix }
                for (int r = 0; r < ${ rows }; ++r)
                    sum[r] += right * third[r / 3][r % 3 * a_row];
                UNROLL_${ suffix }
                for (int g = 0; g < (${ rows } + 2) / 3; ++g) {
                    third[g] += a_step2;
                    __asm__("" : "+r"(third[g])); /* one address for three rows */
                }
                tap += step2;
            }
        }
    UNROLL_${ suffix }
    for (int r = 0; r < ${ rows }; ++r)
        *(narrow_${ suffix } *)(c + r * c_row) = sum[r];
}

/*% endfor %*/
#endif
/* c = a b, where the terms of b are the taps of a filter: count0 of them step0 apart, at each of
 * these count1, and so on; in a their weights are as many steps of its own apart. Columns of b and
 * c lie side by side, at least one of those vectors: the last tile begins where it ends with them,
 * and makes some once more. */
static void contract_taps_${ suffix }(
    int64_t rows, int64_t columns, const ${ T } *a, int64_t a_row, int64_t a_panel, const ${ T } *b,
    int64_t count0, int64_t a_step0, int64_t step0, int64_t count1, int64_t a_step1, int64_t step1,
    int64_t count2, int64_t a_step2, int64_t step2, ${ T } *c, int64_t c_row)
{
#if defined(__GNUC__) && !defined(GRAPHC_PORTABLE)
    const int64_t rest = columns % TAP_WIDTH_${ suffix };
    const bool narrow = columns < TAP_WIDTH_${ suffix } || (rest > 0 && rest <= TAP_WIDTH_${ suffix } / 2);
    const int64_t whole = narrow ? columns - rest : columns;
    for (int64_t i = 0; whole > 0 && i < rows;) {
        const ${ T } *const left =
            a + i / ROW_PANEL_${ suffix } * a_panel + i % ROW_PANEL_${ suffix } * a_row;
        const int64_t left_over = rows - i;
        const bool halves = left_over == 8 /* of four rows, in one panel */
            && (i % ROW_PANEL_${ suffix } + 8 <= ROW_PANEL_${ suffix }
                || a_panel == ROW_PANEL_${ suffix } * a_row);
        const int64_t height = halves ? 4 : left_over >= TAP_ROWS_${ suffix } ? TAP_ROWS_${ suffix }
            : left_over >= 6 ? 6 : left_over >= 4 ? 4 : left_over >= 2 ? 2 : 1;
        for (int64_t k = 0; k < whole; k += TAP_WIDTH_${ suffix }) {
            const int64_t j = whole - k < TAP_WIDTH_${ suffix } ? whole - TAP_WIDTH_${ suffix } : k;
            ${ T } *const into = c + i * c_row + j;
            (height == TAP_ROWS_${ suffix } ? taps_wide_${ suffix }
                : height == 6 ? taps_six_${ suffix }
                : height == 4 ? taps_four_${ suffix }
                : height == 2 ? taps_two_${ suffix } : taps_one_${ suffix })(
                left, a_row, a_panel, b + j, count0, a_step0, step0, count1, a_step1, step1, count2,
                a_step2, step2, into, c_row);
        }
        i += height;
    }
    for (int64_t i = 0, few; whole < columns && i < rows; i += few) {
        const ${ T } *const left =
            a + i / ROW_PANEL_${ suffix } * a_panel + i % ROW_PANEL_${ suffix } * a_row;
        const int64_t left_over = rows - i;
        few = left_over >= TALL_${ suffix } ? TALL_${ suffix }
            : left_over >= 8 ? 8 : left_over >= 4 ? 4 : left_over >= 2 ? 2 : 1;
        for (int64_t k = whole; k < columns; k += NARROW_${ suffix }) {
            const int64_t j = columns - k < NARROW_${ suffix } ? columns - NARROW_${ suffix } : k;
            (few == TALL_${ suffix } ? taps_narrow_12_${ suffix }
                : few == 8 ? taps_narrow_8_${ suffix } : few == 4 ? taps_narrow_4_${ suffix }
                : few == 2 ? taps_narrow_2_${ suffix } : taps_narrow_1_${ suffix })(
                left, a_row, a_panel, b + j, count0, a_step0, step0, count1, a_step1, step1, count2,
                a_step2, step2, c + i * c_row + j, c_row);
        }
    }
#else
    for (int64_t i = 0; i < rows; ++i) {
        const ${ T } *const left =
            a + i / ROW_PANEL_${ suffix } * a_panel + i % ROW_PANEL_${ suffix } * a_row;
        ${ T } *const into = c + i * c_row;
        for (int64_t j = 0; j < columns; ++j)
            into[j] = 0;
        for (int64_t p = 0; p < count0; ++p)
            for (int64_t q = 0; q < count1; ++q)
                for (int64_t s = 0; s < count2; ++s)
                    for (int64_t j = 0; j < columns; ++j)
                        into[j] += left[p * a_step0 + q * a_step1 + s * a_step2]
                            * b[p * step0 + q * step1 + s * step2 + j];
    }
#endif
}

