/*# A function that many units call, compiled apart from them. #*/
#include <math.h>
#include <stdbool.h>
#include <stdint.h>

${ above }
${ text }
