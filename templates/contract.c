#if defined(__GNUC__) && !defined(GRAPHC_PORTABLE)
enum { AHEAD_${ suffix } = 16 }; /* terms whose columns are asked for before their turn */

/*# Tiles of fewer columns only where some product has columns that are no multiple of a panel's. #*/
/*% set narrow = ("narrow", suffix) in helpers %*/
/*% set whole = "VECTORS_" ~ suffix %*/
/*% for name, rows, vectors, lanes in [("first", 6, whole, "lanes"), ("wide", 6, whole, "lanes"),
    ("four", 4, whole, "lanes"), ("two", 2, whole, "lanes"), ("one", 1, whole, "lanes")] + ([
    ("half", 12, whole ~ " / 2", "lanes"), ("quarter", 12, 1, "lanes"),
    ("few", 4, 1, "lanes"), ("lone", 1, 1, "lanes"), ("eighth", 12, 1, "short_lanes")] if narrow else []) %*/
/*% set lanes_t = lanes ~ "_" ~ suffix %*/
/*% set tall = rows == 12 %*/
/*% set length = "LANES_" ~ suffix ~ (" / 2" if name == "eighth" else "") %*/
/*% if name == "first" %*/
/* As tile_wide, and panel = b, for the rows that follow. */
/*% elif name == "quarter" %*/
#if defined(__AVX512F__)
/* The same for one vector of columns, and for half a vector. */
/*% elif name in ("half", "wide", "four", "two", "one") %*/
/* c = a b, or c += a b, for ${ rows } rows and ${ "half " if name == "half" }a tile's width of columns, summed in registers. */
/*% endif %*/
FUSED_${ suffix } static void tile_${ name }_${ suffix }(
    int64_t terms, const ${ T } *a, int64_t a_row, int64_t a_term, ${ "int64_t a_panel, " if tall else "" }const ${ T } *b,
    int64_t b_term, ${ T } *c, int64_t c_row, bool add${ ", " ~ T ~ " *panel" if name == "first" else "" })
{
    ${ lanes_t } sum[${ rows }][${ vectors }] = {0};
    UNROLL_${ suffix }
    for (int r = 0; r < ${ rows }; ++r)
        __builtin_prefetch(c + r * c_row, 1);
/*% if name == "first" %*/
    const bool far = b_term >= (int64_t)(2048 / sizeof(${ T })); /* for the machine to foresee */
/*% endif %*/
/*% if name == "wide" %*/
#if defined(__AVX512F__) /* whose tiles have the time for it */
    /* Where the rows of the next tile lie, or later terms of these: asked for line by line. It is
     * an address, and may lead past the matrix. */
    const bool beside = a_row == 1;
    const int64_t line = beside ? 0 : 64 / sizeof(${ T }) - 1;
    uintptr_t ahead = (uintptr_t)a;
    ahead += (uintptr_t)(beside ? 2 * AHEAD_${ suffix } * a_term : ${ rows } * a_row) * sizeof(${ T });
#endif
/*% endif %*/
/*% if tall %*/
    const ${ T } *third[4]; /* every third row: so few addresses stay in registers */
    UNROLL_${ suffix }
    for (int g = 0; g < 4; ++g)
        third[g] = a + 3 * g / ROW_PANEL_${ suffix } * a_panel + 3 * g % ROW_PANEL_${ suffix } * a_row;
/*% endif %*/
    for (int64_t p = 0; p < terms; ++p) {
/*% if name == "wide" %*/
#if defined(__AVX512F__)
        if ((p & line) < ${ rows })
            __builtin_prefetch(
                (const void *)(ahead + (uintptr_t)((p & line) * a_row) * sizeof(${ T })));
        ahead += (uintptr_t)a_term * sizeof(${ T });
#endif
/*% endif %*/
        ${ lanes_t } right[${ vectors }];
        UNROLL_${ suffix }
        for (int v = 0; v < ${ vectors }; ++v)
            right[v] = *(const ${ lanes_t } *)(b + v * ${ length });
/*% if name == "first" %*/
        UNROLL_${ suffix }
        for (int v = 0; v < ${ vectors }; ++v) {
            *(${ lanes_t } *)(panel + p * WIDTH_${ suffix } + v * ${ length }) = right[v];
            if (far && p + AHEAD_${ suffix } < terms)
                __builtin_prefetch(b + AHEAD_${ suffix } * b_term + (v + 1) * ${ length } - 1);
        }
/*% endif %*/
        __asm__("" : : : "memory"); /* or each product reads them once more */
        UNROLL_${ suffix }
        for (int r = 0; r < ${ rows }; ++r) {
            const ${ T } left = ${ "third[r / 3][r % 3 * a_row]" if tall else "a[r * a_row]" };
            UNROLL_${ suffix }
            for (int v = 0; v < ${ vectors }; ++v)
                sum[r][v] += left * right[v];
        }
/*% if tall %*/
        UNROLL_${ suffix }
        for (int g = 0; g < 4; ++g) {
            third[g] += a_term;
            __asm__("" : "+r"(third[g]));
        }
/*% else %*/
        a += a_term;
/*% endif %*/
        b += b_term;
    }
    UNROLL_${ suffix }
    for (int r = 0; r < ${ rows }; ++r) {
        UNROLL_${ suffix }
        for (int v = 0; v < ${ vectors }; ++v) {
            ${ T } *const out = c + r * c_row + v * ${ length };
            if (add)
                sum[r][v] += *(const ${ lanes_t } *)out;
            *(${ lanes_t } *)out = sum[r][v];
        }
    }
}

/*% endfor %*/
/*% if narrow %*/
#endif
/*% endif %*/

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

/* panel = as many terms of b, each a row of so many columns, and zeros up to a width. */
static void gather_${ suffix }(
    int64_t terms, int64_t columns, int64_t width, const ${ T } *b, int64_t b_term,
    int64_t b_column, ${ T } *panel)
{
    int64_t ready = 0; /* columns */
    if (b_term == 1) {
        ready = columns / SIDE_${ suffix } * SIDE_${ suffix };
        turn_${ suffix }(terms, ready, b, b_column, panel);
    }
    for (int64_t p = 0; p < terms; ++p) {
        const ${ T } *const from = b + p * b_term;
        ${ T } *const to = panel + p * WIDTH_${ suffix };
        if (b_column == 1)
            for (int64_t q = 0; q < columns; ++q)
                to[q] = from[q];
        else
            for (int64_t q = ready; q < columns; ++q)
                to[q] = from[q * b_column];
        for (int64_t q = columns; q < width; ++q)
            to[q] = 0;
    }
}

/* A tile's width of columns: as many rows at a time as there are. The first of many leave b's
 * columns in the panel, where they lie side by side in the cache. */
static void column_${ suffix }(
    int64_t rows, int64_t terms, const ${ T } *a, int64_t a_row, int64_t a_term,
    int64_t a_panel, const ${ T } *b, int64_t b_term, ${ T } *c, int64_t c_row, bool add,
    ${ T } *panel)
{
    int64_t i = 0;
    if (b_term != WIDTH_${ suffix } && rows >= 4 * ROWS_${ suffix }) {
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
        const bool halves = left_over == 8 /* of four rows, in one panel */
            && (i % ROW_PANEL_${ suffix } + 8 <= ROW_PANEL_${ suffix }
                || a_panel == ROW_PANEL_${ suffix } * a_row);
        if (left_over >= ROWS_${ suffix } && !halves) {
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

/*% if narrow %*/
/* How many columns the narrowest tile for these makes. */
static inline int64_t width_for_${ suffix }(int64_t columns)
{
    int64_t width = WIDTH_${ suffix };
    while (width > NARROWEST_${ suffix } && columns <= width / 2)
        width /= 2;
    return width;
}

/* How many of these columns to make next: half a tile's width, where a smaller tile then makes the
 * others. */
static inline int64_t next_columns_${ suffix }(int64_t columns)
{
    int64_t width = WIDTH_${ suffix };
    if (columns >= width)
        return width;
    while (width >= 4 * NARROWEST_${ suffix } && columns <= width / 2)
        width /= 2;
    return width >= 4 * NARROWEST_${ suffix } && columns <= width / 4 * 3 ? width / 2 : columns;
}

/* Fewer columns than a tile's width: two panels of rows at a time. The last rows are some of those
 * before once more, where a has no panels. What a tile makes too much goes to an array beside. */
static void part_column_${ suffix }(
    int64_t rows, int64_t columns, int64_t terms, const ${ T } *a, int64_t a_row, int64_t a_term,
    int64_t a_panel, const ${ T } *b, int64_t b_term, ${ T } *c, int64_t c_row, bool add)
{
    ${ T } sums[TALL_${ suffix } * WIDTH_${ suffix }];
    const int64_t width = width_for_${ suffix }(columns);
    for (int64_t i = 0; i < rows; i += TALL_${ suffix }) {
        const bool again = rows - i < TALL_${ suffix } && rows >= TALL_${ suffix }
            && a_panel == ROW_PANEL_${ suffix } * a_row;
        const int64_t first = again ? rows - TALL_${ suffix } : i;
        const int64_t below = rows - first;
        const int64_t height = below < TALL_${ suffix } ? below : TALL_${ suffix };
        const ${ T } *const left = again ? a + first * a_row : a + i / ROW_PANEL_${ suffix } * a_panel;
        const bool fits = width == columns && height == TALL_${ suffix } && !again;
        ${ T } *const into = fits ? c + i * c_row : sums;
        const int64_t into_row = fits ? c_row : WIDTH_${ suffix };
#if defined(__AVX512F__)
        if (height < TALL_${ suffix } && columns <= LANES_${ suffix })
            for (int64_t r = 0, many; r < height; r += many) {
                const int64_t place = (i + r) % ROW_PANEL_${ suffix }; /* in its panel */
                many = height - r < 4 || place + 4 > ROW_PANEL_${ suffix } ? 1 : 4;
                (many == 1 ? tile_lone_${ suffix } : tile_few_${ suffix })(terms,
                    a + (i + r) / ROW_PANEL_${ suffix } * a_panel + place * a_row, a_row, a_term,
                    b, b_term, sums + r * WIDTH_${ suffix }, WIDTH_${ suffix }, false);
            }
        else
#endif
        if (height < TALL_${ suffix } || width == WIDTH_${ suffix })
            column_${ suffix }(height, terms, left, a_row, a_term, a_panel, b, b_term, into, into_row,
                false, sums);
        else
#if defined(__AVX512F__)
            (width == WIDTH_${ suffix } / 8 ? tile_eighth_${ suffix }
                : width == WIDTH_${ suffix } / 4 ? tile_quarter_${ suffix } : tile_half_${ suffix })(
#else
            tile_half_${ suffix }(
#endif
                terms, left, a_row, a_term, a_panel, b, b_term, into, into_row, fits && add);
        if (fits)
            continue;
        for (int64_t r = i; r < first + height; ++r) {
            ${ T } *const out = c + r * c_row;
            const ${ T } *const sum = sums + (r - first) * WIDTH_${ suffix };
            if (add)
                for (int64_t q = 0; q < columns; ++q)
                    out[q] += sum[q];
            else
                for (int64_t q = 0; q < columns; ++q)
                    out[q] = sum[q];
        }
    }
}
/*% endif %*/
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
    const int64_t parts = (terms + DEPTH_${ suffix } - 1) / DEPTH_${ suffix };
    const int64_t most = parts > 1 ? ((terms + parts - 1) / parts + 7) / 8 * 8 : DEPTH_${ suffix };
    for (int64_t k = 0; k == 0 || k < terms; k += most) {
        const int64_t depth = terms - k < most ? terms - k : most;
        const ${ T } *const left = a + k * a_term;
/*% if narrow %*/
        /* Rows that are no two panels are made by tiles of a vector, or of the whole width. */
        const bool even = rows % TALL_${ suffix } == 0
            || (rows > TALL_${ suffix } && a_panel == ROW_PANEL_${ suffix } * a_row);
/*% endif %*/
        for (int64_t j = 0${ ", width" if narrow else "" }; j < columns; j += ${ "width" if narrow else "WIDTH_" + suffix }) {
            const ${ T } *const right = b + k * b_term + j / COLUMN_PANEL_${ suffix } * b_panel
                + j % COLUMN_PANEL_${ suffix } * b_column;
/*% if narrow %*/
            const int64_t left_over = columns - j;
            width = even ? next_columns_${ suffix }(left_over)
                : left_over < WIDTH_${ suffix } ? left_over : WIDTH_${ suffix };
            const int64_t wide = even ? width_for_${ suffix }(width)
                : 2 * NARROWEST_${ suffix } <= LANES_${ suffix } && width <= LANES_${ suffix }
                ? LANES_${ suffix } : WIDTH_${ suffix };
            const bool direct = width == wide && b_column == 1;
            if (!direct)
                gather_${ suffix }(depth, width, wide, right, b_term, b_column, panel);
            const ${ T } *const near = direct ? right : panel;
            const int64_t near_term = direct ? b_term : WIDTH_${ suffix };
            if (width == WIDTH_${ suffix })
                column_${ suffix }(rows, depth, left, a_row, a_term, a_panel, near, near_term,
                    c + j, c_row, add || k > 0, panel);
            else
                part_column_${ suffix }(rows, width, depth, left, a_row, a_term, a_panel, near, near_term,
                    c + j, c_row, add || k > 0);
/*% else %*/
            const bool direct = b_column == 1;
            if (!direct)
                gather_${ suffix }(
                    depth, WIDTH_${ suffix }, WIDTH_${ suffix }, right, b_term, b_column, panel);
            column_${ suffix }(rows, depth, left, a_row, a_term, a_panel, direct ? right : panel,
                direct ? b_term : WIDTH_${ suffix }, c + j, c_row, add || k > 0, panel);
/*% endif %*/
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
