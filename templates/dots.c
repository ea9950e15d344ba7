#if defined(__GNUC__) && !defined(GRAPHC_PORTABLE)
#if defined(__AVX512F__)
enum { DOTS_${ suffix } = 6 }; /* columns at a time */
#elif defined(__AVX__)
enum { DOTS_${ suffix } = 4 };
#else
enum { DOTS_${ suffix } = 3 };
#endif
/* Terms that are summed before tiles move on: their rows then stay in the first cache. */
enum { MOST_TERMS_${ suffix } = 2560 / sizeof(${ T }) };
typedef ${ "int32_t" if f else "int64_t" } mask_${ suffix } __attribute__((
    vector_size(LANES_${ suffix } * sizeof(${ T })), aligned(sizeof(${ T })), may_alias));

/*% for columns in range(1, 7) %*/
/*% if columns == 4 %*/
#if defined(__AVX__)
/*% elif columns == 5 %*/
#if defined(__AVX512F__)
/*% endif %*/
/* The products of three rows of a and ${ columns } of b, in lanes: count runs of terms. */
FUSED_${ suffix } static void dots_${ columns }_${ suffix }(
    int64_t count, int64_t terms, mask_${ suffix } rest, const ${ T } *a, int64_t a_row,
    int64_t a_step, const ${ T } *b, int64_t b_row, int64_t b_step, lanes_${ suffix } *out)
{
    lanes_${ suffix } sum[3][${ columns }] = {0};
    for (int64_t k = 0; k < count; ++k) {
        int64_t p = 0;
        for (; p <= terms - LANES_${ suffix }; p += LANES_${ suffix }) {
            lanes_${ suffix } left[3];
            UNROLL_${ suffix }
            for (int r = 0; r < 3; ++r)
                left[r] = *(const lanes_${ suffix } *)(a + r * a_row + p);
#if defined(__AVX512F__) /* ask for the next rows, at addresses that may lead past the matrix */
            UNROLL_${ suffix }
            for (int r = 3; r < 6; ++r)
                __builtin_prefetch(
                    (const void *)((uintptr_t)(a + p) + (uintptr_t)(r * a_row) * sizeof(${ T })));
#endif
            UNROLL_${ suffix }
            for (int q = 0; q < ${ columns }; ++q) {
                const lanes_${ suffix } right = *(const lanes_${ suffix } *)(b + q * b_row + p);
/*% if columns == 4 %*/
#if defined(__AVX512F__) || !defined(__AVX__) /* AVX has no register left for it */
/*% endif %*/
                __asm__("" : : : "memory"); /* or each product reads it once more */
/*% if columns == 4 %*/
#endif
/*% endif %*/
                UNROLL_${ suffix }
                for (int r = 0; r < 3; ++r)
                    sum[r][q] += left[r] * right;
            }
        }
        if (p < terms) { /* the last lanes once more, but for those that are counted */
            p = terms - LANES_${ suffix };
            UNROLL_${ suffix }
            for (int q = 0; q < ${ columns }; ++q) {
                const mask_${ suffix } right = *(const mask_${ suffix } *)(b + q * b_row + p) & rest;
                UNROLL_${ suffix }
                for (int r = 0; r < 3; ++r) {
                    const mask_${ suffix } left = *(const mask_${ suffix } *)(a + r * a_row + p) & rest;
                    sum[r][q] += (lanes_${ suffix })left * (lanes_${ suffix })right;
                }
            }
        }
        a += a_step;
        b += b_step;
    }
    UNROLL_${ suffix }
    for (int q = 0; q < ${ columns }; ++q) {
        UNROLL_${ suffix }
        for (int r = 0; r < 3; ++r)
            out[r * ${ columns } + q] = sum[r][q];
    }
}

/*% endfor %*/
#endif
#endif

/* The sums of the lanes of ${ "four" if f else "two" } vectors that follow each other. */
static inline void fold_${ suffix }(const ${ T } *part, ${ T } *total)
{
#if defined(__clang__) || __GNUC__ >= 12
    typedef ${ T } line __attribute__((vector_size(16), aligned(sizeof(${ T })), may_alias));
    line x[SIDE_${ suffix }];
    UNROLL_${ suffix }
    for (int k = 0; k < SIDE_${ suffix }; ++k) {
        x[k] = *(const line *)(part + k * LANES_${ suffix });
        UNROLL_${ suffix }
        for (int l = SIDE_${ suffix }; l < LANES_${ suffix }; l += SIDE_${ suffix })
            x[k] += *(const line *)(part + k * LANES_${ suffix } + l);
    }
/*% if f %*/
    const line sum01 = __builtin_shufflevector(x[0], x[1], 0, 4, 1, 5)
        + __builtin_shufflevector(x[0], x[1], 2, 6, 3, 7);
    const line sum23 = __builtin_shufflevector(x[2], x[3], 0, 4, 1, 5)
        + __builtin_shufflevector(x[2], x[3], 2, 6, 3, 7);
    *(line *)total = __builtin_shufflevector(sum01, sum23, 0, 1, 4, 5)
        + __builtin_shufflevector(sum01, sum23, 2, 3, 6, 7);
/*% else %*/
    *(line *)total = __builtin_shufflevector(x[0], x[1], 0, 2)
        + __builtin_shufflevector(x[0], x[1], 1, 3);
/*% endif %*/
#else
    for (int k = 0; k < SIDE_${ suffix }; ++k) {
        total[k] = 0;
        for (int l = 0; l < LANES_${ suffix }; ++l)
            total[k] += part[k * LANES_${ suffix } + l];
    }
#endif
}
#endif
/* c = a b^T, or c += a b^T: each row of a by each row of b. The terms of a row are `count` runs of
 * neighbours, at least as many as there are lanes, each run a step from the one before. */
static void contract_dots_${ suffix }(
    int64_t rows, int64_t columns, int64_t count, int64_t terms, const ${ T } *a, int64_t a_row,
    int64_t a_step, const ${ T } *b, int64_t b_row, int64_t b_step, ${ T } *c, int64_t c_row,
    int64_t c_column, bool add)
{
#if defined(__GNUC__) && !defined(GRAPHC_PORTABLE)
    const int64_t tiles = (columns + DOTS_${ suffix } - 1) / DOTS_${ suffix };
    const int64_t width = (columns + tiles - 1) / tiles;
    const int64_t height = rows < 3 ? 1 : 3; /* few rows: one at a time, three times the same */
    enum { MOST = (3 * DOTS_${ suffix } + SIDE_${ suffix } - 1) / SIDE_${ suffix } * SIDE_${ suffix } };
    mask_${ suffix } rest;
    for (int l = 0; l < LANES_${ suffix }; ++l)
        rest[l] = l < LANES_${ suffix } - terms % LANES_${ suffix } ? 0 : -1;
    const int64_t parts = (count * terms + MOST_TERMS_${ suffix } - 1) / MOST_TERMS_${ suffix };
    const int64_t most = parts > 1 ? (count + parts - 1) / parts : count;
    for (int64_t first = 0; first < count; first += most) {
        const int64_t runs = count - first < most ? count - first : most;
        for (int64_t j = 0; j < columns; j += width) {
            const int64_t wide = columns - j < width ? columns - j : width;
            for (int64_t k = 0; k < rows; k += height) {
                /* The last, some of them once more. */
                const int64_t i = rows - k < height ? rows - height : k;
                lanes_${ suffix } sum[MOST];
                (wide == 1 ? dots_1_${ suffix } : wide == 2 ? dots_2_${ suffix }
    #if defined(__AVX__)
                    : wide == 4 ? dots_4_${ suffix }
    #endif
    #if defined(__AVX512F__)
                    : wide == 5 ? dots_5_${ suffix } : wide == 6 ? dots_6_${ suffix }
    #endif
                    : dots_3_${ suffix })(
                    runs, terms, rest,
                    a + first * a_step + i * a_row, height == 3 ? a_row : 0, a_step,
                    b + first * b_step + j * b_row, b_row, b_step, sum);
                int64_t made = 3 * wide;
                for (; made % SIDE_${ suffix } != 0; ++made)
                    sum[made] = sum[0];
                ${ T } total[MOST];
                for (int64_t p = 0; p < made; p += SIDE_${ suffix })
                    fold_${ suffix }((const ${ T } *)(sum + p), total + p);
                for (int64_t r = k - i; r < height; ++r)
                    for (int64_t q = 0; q < wide; ++q) {
                        ${ T } *const out = c + (i + r) * c_row + (j + q) * c_column;
                        *out = (add || first > 0 ? *out : 0) + total[r * wide + q];
                    }
            }
        }
    }
#else
    for (int64_t i = 0; i < rows; ++i)
        for (int64_t j = 0; j < columns; ++j) {
            ${ T } sum = 0;
            for (int64_t k = 0; k < count; ++k)
                for (int64_t p = 0; p < terms; ++p)
                    sum += a[i * a_row + k * a_step + p] * b[j * b_row + k * b_step + p];
            ${ T } *const out = c + i * c_row + j * c_column;
            *out = (add ? *out : 0) + sum;
        }
#endif
}

