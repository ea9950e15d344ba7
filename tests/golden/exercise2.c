#include "exercise2.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

void exercise2(double x1, double x2, double w13, double w24, double t, double *restrict ell,
               double *restrict d_w13, double *restrict d_w24)
{
    /* forward */
    const double z3 = x1 * w13;
    const double z4 = x2 * w24;
    const double a3 = 0.5 * (z3 * z3);
    const double a4 = 0.5 * (z4 * z4);
    const double y = a3 + a4;
    const double d_y = y - t;
    *ell = 0.5 * (d_y * d_y);

    /* backward */
    const double d_z4 = d_y * z4;            /* a4 = 1/2 z4^2 */
    const double d_z3 = d_y * z3;            /* a3 = 1/2 z3^2 */
    *d_w24 = d_z4 * x2;                      /* z4 = x2 w24 */
    *d_w13 = d_z3 * x1;                      /* z3 = x1 w13 */
}
