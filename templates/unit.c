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

/*% if simd %*/
/* Sums in a loop marked so may be kept in several lanes and added up at its end. */
#if defined(GRAPHC_SIMD) || defined(_OPENMP)
#define GRAPHC_PRAGMA(text) _Pragma(#text)
#define GRAPHC_SIMD_SUM(...) GRAPHC_PRAGMA(omp simd reduction(+ : __VA_ARGS__))
#else
#define GRAPHC_SIMD_SUM(...)
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
