#ifndef ${ guard }
#define ${ guard }

/*% if has_bool %*/
#include <stdbool.h>
/*% endif %*/
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
/*% if has_workspace and not symbolic %*/

/* Bytes of workspace the caller provides, aligned to 64. */
#define ${ name.upper() }_WORKSPACE_BYTES ${ workspace }
/*% endif %*/
/*% if trap %*/

#ifndef GRAPHC_TRAP
#define GRAPHC_TRAP
/* Where a call first made a nan or an infinity. */
/*% include "trap.h" %*/
#endif
/*% endif %*/

/*
/*% for line in description %*/
 *${ " " + line if line else "" }
/*% endfor %*/
/*% if trap %*/
 *
 * ${ trap.parameter }: says where the first nan or infinity was made; arbitrary before.
/*% endif %*/
/*% if has_workspace %*/
 *
 * workspace: ${ name ~ "_workspace_bytes(" ~ dims|join(", ") ~ ")" if symbolic else workspace } bytes,
 * aligned to 64, contents arbitrary before and after.
/*% endif %*/
 */
${ declarations }

#ifdef __cplusplus
}
#endif

#endif
