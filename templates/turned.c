/*% if suffix == "f32" %*/
#if !defined(GRAPHC_PORTABLE) && (defined(__clang__) || __GNUC__ >= 12)
/* Four by four: what are columns of y are rows of x. */
static inline void turn_square_f32(const float *x, int64_t x_step, float *y, int64_t y_step)
{
    typedef float line __attribute__((vector_size(16), aligned(4), may_alias));
    const line x0 = *(const line *)x, x1 = *(const line *)(x + x_step);
    const line x2 = *(const line *)(x + 2 * x_step), x3 = *(const line *)(x + 3 * x_step);
    const line low01 = __builtin_shufflevector(x0, x1, 0, 4, 1, 5);
    const line low23 = __builtin_shufflevector(x2, x3, 0, 4, 1, 5);
    const line high01 = __builtin_shufflevector(x0, x1, 2, 6, 3, 7);
    const line high23 = __builtin_shufflevector(x2, x3, 2, 6, 3, 7);
    *(line *)y = __builtin_shufflevector(low01, low23, 0, 1, 4, 5);
    *(line *)(y + y_step) = __builtin_shufflevector(low01, low23, 2, 3, 6, 7);
    *(line *)(y + 2 * y_step) = __builtin_shufflevector(high01, high23, 0, 1, 4, 5);
    *(line *)(y + 3 * y_step) = __builtin_shufflevector(high01, high23, 2, 3, 6, 7);
}
#else
static inline void turn_square_f32(const float *x, int64_t x_step, float *y, int64_t y_step)
{
    for (int r = 0; r < 4; ++r)
        for (int c = 0; c < 4; ++c)
            y[r * y_step + c] = x[c * x_step + r];
}
#endif
/*% else %*/
#if !defined(GRAPHC_PORTABLE) && (defined(__clang__) || __GNUC__ >= 12)
/* Four by four: what are columns of y are rows of x. */
static inline void turn_square_f64(const double *x, int64_t x_step, double *y, int64_t y_step)
{
    typedef double line __attribute__((vector_size(32), aligned(8), may_alias));
    const line x0 = *(const line *)x, x1 = *(const line *)(x + x_step);
    const line x2 = *(const line *)(x + 2 * x_step), x3 = *(const line *)(x + 3 * x_step);
    const line even01 = __builtin_shufflevector(x0, x1, 0, 4, 2, 6);
    const line even23 = __builtin_shufflevector(x2, x3, 0, 4, 2, 6);
    const line odd01 = __builtin_shufflevector(x0, x1, 1, 5, 3, 7);
    const line odd23 = __builtin_shufflevector(x2, x3, 1, 5, 3, 7);
    *(line *)y = __builtin_shufflevector(even01, even23, 0, 1, 4, 5);
    *(line *)(y + y_step) = __builtin_shufflevector(odd01, odd23, 0, 1, 4, 5);
    *(line *)(y + 2 * y_step) = __builtin_shufflevector(even01, even23, 2, 3, 6, 7);
    *(line *)(y + 3 * y_step) = __builtin_shufflevector(odd01, odd23, 2, 3, 6, 7);
}
#else
static inline void turn_square_f64(const double *x, int64_t x_step, double *y, int64_t y_step)
{
    for (int r = 0; r < 4; ++r)
        for (int c = 0; c < 4; ++c)
            y[r * y_step + c] = x[c * x_step + r];
}
#endif
/*% endif %*/

/* to = from, turned: columns lie side by side in to, rows in from. In squares, and these in blocks
 * that stay in the first cache; of each, one by one the lines of the side whose lie farther apart.
 */
static void transpose_${ suffix }(
    int64_t rows, int64_t columns, const ${ T } *from, int64_t from_step, ${ T } *to,
    int64_t to_step)
{
    enum { SIDE = 4, BLOCK = 64 / sizeof(${ T }) };
    const int64_t height = rows / SIDE * SIDE, width = columns / SIDE * SIDE;
    for (int64_t i = 0; i < height; i += BLOCK)
        for (int64_t j = 0; j < width; j += BLOCK) {
            const int64_t below = height - i < BLOCK ? height : i + BLOCK;
            const int64_t right = width - j < BLOCK ? width : j + BLOCK;
#if defined(__GNUC__) && !defined(GRAPHC_PORTABLE)
            /* Ask for the lines of the next block. */
            for (int64_t c = right; c < right + BLOCK && c < width; ++c)
                __builtin_prefetch(from + c * from_step + i);
#endif
            if (from_step < to_step)
                for (int64_t r = i; r < below; r += SIDE)
                    for (int64_t c = j; c < right; c += SIDE)
                        turn_square_${ suffix }(
                            from + c * from_step + r, from_step, to + r * to_step + c, to_step);
            else
                for (int64_t c = j; c < right; c += SIDE)
                    for (int64_t r = i; r < below; r += SIDE)
                        turn_square_${ suffix }(
                            from + c * from_step + r, from_step, to + r * to_step + c, to_step);
        }
    for (int64_t r = 0; r < rows; ++r)
        for (int64_t c = r < height ? width : 0; c < columns; ++c)
            to[r * to_step + c] = from[c * from_step + r];
}

