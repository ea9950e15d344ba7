/* Panels in which packed operands lie: so many rows, or columns, of one term side by side. */
enum { ROW_PANEL_${ suffix } = 12, COLUMN_PANEL_${ suffix } = 128 / sizeof(${ T }) };

#if defined(__GNUC__) && !defined(GRAPHC_PORTABLE)
/* Vectors as wide as the machine's, as many rows of sums as its registers hold, and the terms that
 * are summed before a tile moves on: its columns then stay in the second cache. */
#if defined(__AVX512F__)
enum { LANES_${ suffix } = 64 / sizeof(${ T }), ROWS_${ suffix } = 12, DEPTH_${ suffix } = 512 };
#elif defined(__AVX__)
enum { LANES_${ suffix } = 32 / sizeof(${ T }), ROWS_${ suffix } = 6, DEPTH_${ suffix } = 1024 };
#else
enum { LANES_${ suffix } = 16 / sizeof(${ T }), ROWS_${ suffix } = 6, DEPTH_${ suffix } = 256 };
#endif
enum { WIDTH_${ suffix } = 2 * LANES_${ suffix } }; /* a tile's columns */
enum { THIN_${ suffix } = 2 * ROWS_${ suffix } }; /* rows of a tile half as wide */
typedef ${ T } lanes_${ suffix } __attribute__((
    vector_size(LANES_${ suffix } * sizeof(${ T })), aligned(sizeof(${ T })), may_alias));
#if defined(__clang__)
#define FUSED_${ suffix }
#define UNROLL_${ suffix } _Pragma("unroll")
#else
#define FUSED_${ suffix } __attribute__((optimize("O3", "fp-contract=fast")))
#define UNROLL_${ suffix } _Pragma("GCC unroll 16")
#endif
#endif

