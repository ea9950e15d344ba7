/* Panels in which packed operands lie: so many rows, or columns, of one term side by side. */
enum { ROW_PANEL_${ suffix } = 48 / sizeof(${ T }), COLUMN_PANEL_${ suffix } = 256 / sizeof(${ T }) };

#if defined(__GNUC__) && !defined(GRAPHC_PORTABLE)
/* Vectors as wide as the machine's; a tile's columns, in vectors, which with its rows fill the
 * registers; and the terms that are summed before a tile moves on: its columns then stay in the
 * second cache. */
#if defined(__AVX512F__) /* reads a vector in the time of a product: more columns than rows */
enum { LANES_${ suffix } = 64 / sizeof(${ T }), VECTORS_${ suffix } = 4, DEPTH_${ suffix } = 512 };
#elif defined(__AVX__)
enum { LANES_${ suffix } = 32 / sizeof(${ T }), VECTORS_${ suffix } = 2, DEPTH_${ suffix } = 1024 };
#else
enum { LANES_${ suffix } = 16 / sizeof(${ T }), VECTORS_${ suffix } = 2, DEPTH_${ suffix } = 256 };
#endif
enum { ROWS_${ suffix } = 6, TALL_${ suffix } = 12 }; /* rows of a tile, and of a narrow one */
enum { WIDTH_${ suffix } = VECTORS_${ suffix } * LANES_${ suffix } };
typedef ${ T } lanes_${ suffix } __attribute__((
    vector_size(LANES_${ suffix } * sizeof(${ T })), aligned(sizeof(${ T })), may_alias));
#if defined(__AVX512F__)
enum { NARROWEST_${ suffix } = LANES_${ suffix } / 2 }; /* a tile's columns, if there are no more */
typedef ${ T } short_lanes_${ suffix } __attribute__((
    vector_size(NARROWEST_${ suffix } * sizeof(${ T })), aligned(sizeof(${ T })), may_alias));
#else
enum { NARROWEST_${ suffix } = LANES_${ suffix } };
#endif
enum { SIDE_${ suffix } = 16 / sizeof(${ T }) }; /* of squares whose columns become rows */
#if defined(__clang__)
#define FUSED_${ suffix }
#define UNROLL_${ suffix } _Pragma("unroll")
#else
#define FUSED_${ suffix } __attribute__((optimize("O3", "fp-contract=fast")))
#define UNROLL_${ suffix } _Pragma("GCC unroll 16")
#endif
#endif

