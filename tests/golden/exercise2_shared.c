#include "exercise2_shared.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

/* 1 / (1 + exp(-x)); exp never overflows. */
static inline double sigmoid_f64(double x)
{
    const double e = exp(-fabs(x));
    return (x < 0 ? e : 1) / (1 + e);
}

/* log(1 + exp(x)); exp never overflows. */
static inline double softplus_f64(double x)
{
    return (x > 0 ? x : x < 0 ? 0 : x) + log1p(exp(-fabs(x)));
}

void exercise2_shared(double x1, double x2, double v, double t, double *restrict ell,
                      double *restrict d_v)
{
    /* forward */
    const double w13 = softplus_f64(v);
    const double v0 = -v;
    const double w24 = -softplus_f64(v0);
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
    const double d_w24 = d_z4 * x2;          /* z4 = x2 w24 */
    const double d_w13 = d_z3 * x1;          /* z3 = x1 w13 */
    *d_v = d_w24 * sigmoid_f64(v0) + d_w13 * sigmoid_f64(v); /* w13 = softplus(v) */
}
