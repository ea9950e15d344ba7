/* Panels in which packed operands lie: so many rows, or columns, of one term side by side. */
enum { ROW_PANEL_${ suffix } = 12, COLUMN_PANEL_${ suffix } = 128 / sizeof(${ T }) };

#if defined(__GNUC__) && !defined(GRAPHC_PORTABLE)
/* Vectors as wide as the machine's, and as many rows of sums as its registers hold. */
#if defined(__AVX512F__)
enum { LANES_${ suffix } = 64 / sizeof(${ T }), ROWS_${ suffix } = 12 };
#elif defined(__AVX__)
enum { LANES_${ suffix } = 32 / sizeof(${ T }), ROWS_${ suffix } = 6 };
#else
enum { LANES_${ suffix } = 16 / sizeof(${ T }), ROWS_${ suffix } = 6 };
#endif
/* A tile's columns, and the terms it sums before it moves on: what stays in the first cache. */
enum { WIDTH_${ suffix } = 2 * LANES_${ suffix }, DEPTH_${ suffix } = 256 };
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

