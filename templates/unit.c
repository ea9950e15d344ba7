/*% if clock %*/
#define _POSIX_C_SOURCE 199309L /* clock_gettime */

/*% endif %*/
#include "${ name }.h"

#include <math.h>
#include <stdbool.h>
/*% if trap %*/
#include <stddef.h>
/*% endif %*/
#include <stdint.h>
/*% if clock %*/
#include <time.h>
/*% endif %*/

/*% if marks %*/
/*% if "GRAPHC_SIMD_FOLD" in marks %*/
/* Sums and extremes in a loop marked so may be kept in several lanes and joined at its end. */
/*% else %*/
/* Sums in a loop marked so may be kept in several lanes and added up at its end. */
/*% endif %*/
#if defined(GRAPHC_SIMD) || defined(_OPENMP)
#define GRAPHC_PRAGMA(text) _Pragma(#text)
/*% if "GRAPHC_SIMD_SUM" in marks %*/
#define GRAPHC_SIMD_SUM(...) GRAPHC_PRAGMA(omp simd reduction(+ : __VA_ARGS__))
/*% endif %*/
/*% if "GRAPHC_SIMD_FOLD" in marks %*/
#define GRAPHC_SIMD_FOLD(...) GRAPHC_PRAGMA(omp simd __VA_ARGS__)
/*% endif %*/
#else
/*% for mark in marks | sort %*/
#define ${ mark }(...)
/*% endfor %*/
#endif

/*% endif %*/
/*% if apart %*/
/* Iterations of a loop marked so touch nothing that others write: they may run at once. */
#if defined(GRAPHC_SIMD) || defined(_OPENMP)
#define GRAPHC_SIMD_LOOP _Pragma("omp simd")
#else
#define GRAPHC_SIMD_LOOP
#endif

/*% endif %*/
/*% if inline != "inline" %*/
/* A loop that calls such a function is vectorised only where the call is replaced by its body. */
#if defined(__GNUC__)
#define GRAPHC_INLINE inline __attribute__((always_inline))
#else
#define GRAPHC_INLINE inline
#endif

/*% endif %*/
/*% if functions %*/
/* A function that is called at several places and stays one: compiled once. */
#if defined(__GNUC__)
#define GRAPHC_ONCE __attribute__((noinline))
#else
#define GRAPHC_ONCE
#endif

/*% endif %*/
/*% if call %*/
/* With OpenMP (-fopenmp) several threads run the function side by side, without it one does. Each
 * gets a run of the iterations of a loop marked as shared, and waits at barriers. */
#ifdef _OPENMP
#include <omp.h>
#define GRAPHC_TEXT(text) _Pragma(#text)
#define GRAPHC_PARALLEL(threads) GRAPHC_TEXT(omp parallel num_threads(threads))
#define GRAPHC_SHARED _Pragma("omp for schedule(static) nowait")
/*% if "GRAPHC_SHARED_IN_TURN" in dealt %*/
/* One iteration to each, and so on: the last may be shorter. */
#define GRAPHC_SHARED_IN_TURN _Pragma("omp for schedule(static, 1) nowait")
/*% endif %*/
/*% if "GRAPHC_SHARED_LOOP" in dealt %*/
#define GRAPHC_SHARED_LOOP _Pragma("omp for simd schedule(static) nowait")
/*% endif %*/
#define GRAPHC_BARRIER _Pragma("omp barrier")
#define GRAPHC_THREAD ((int64_t)omp_get_thread_num())
#define GRAPHC_ALONE
#else
#define GRAPHC_PARALLEL(threads)
#define GRAPHC_SHARED
/*% if "GRAPHC_SHARED_IN_TURN" in dealt %*/
#define GRAPHC_SHARED_IN_TURN
/*% endif %*/
/*% if "GRAPHC_SHARED_LOOP" in dealt %*/
#if defined(GRAPHC_SIMD)
#define GRAPHC_SHARED_LOOP _Pragma("omp simd")
#else
#define GRAPHC_SHARED_LOOP
#endif
/*% endif %*/
#define GRAPHC_BARRIER
#define GRAPHC_THREAD ((int64_t)0)
#define GRAPHC_ALONE restrict
#endif

/*% endif %*/
/*% include "helpers.c" %*/
/*% if trap and trap.sites %*/
/*% include "trap.c" %*/
/*% endif %*/
/*% for table in tables %*/
${ table }

/*% endfor %*/
/*% if symbolic %*/
int64_t ${ name }_workspace_bytes(${ sizes })
{
/*% for dim in dims %*/
    (void)${ dim };
/*% endfor %*/
    return ${ workspace };
}

/*% endif %*/
/*% for function in functions %*/
/* Done at ${ function.places } places; the names are those of the first. */
static GRAPHC_ONCE void ${ function.name }(
${ function.parameters })
{
${ function.body }
}

/*% endfor %*/
/*% if call %*/
/* What each thread does. Others write to the same arrays, which restrict would deny. */
${ thread }
{
/*% for argument in unused %*/
    (void)${ argument };
/*% endfor %*/
${ body }
}

${ signature }
{
${ call }
}
/*% else %*/
${ signature }
{
/*% for argument in unused %*/
    (void)${ argument };
/*% endfor %*/
/*% if trap %*/
    *${ trap.parameter } = (graphc_trap){0};
/*% for x in trap.enters %*/
    trap_enters_${ x.suffix }(${ x.start }, ${ x.count }, ${ x.name }, ${ x.number }, ${ trap.parameter });
/*% endfor %*/

/*% endif %*/
${ body }
/*% if trap and trap.leaves %*/

/*% for y in trap.leaves %*/
    trap_leaves_${ y.suffix }(${ y.start }, ${ y.count }, &graphc_sites[${ y.number }], ${ trap.parameter });
/*% endfor %*/
/*% endif %*/
}
/*% endif %*/
