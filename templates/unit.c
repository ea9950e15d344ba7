#include "${ name }.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

/*% include "helpers.c" %*/
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
${ body }
}
