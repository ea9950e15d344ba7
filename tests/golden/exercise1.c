#include "exercise1.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

/* Sums in a loop marked so may be kept in several lanes and added up at its end. */
#if defined(GRAPHC_SIMD) || defined(_OPENMP)
#define GRAPHC_PRAGMA(text) _Pragma(#text)
#define GRAPHC_SIMD_SUM(...) GRAPHC_PRAGMA(omp simd reduction(+ : __VA_ARGS__))
#else
#define GRAPHC_SIMD_SUM(...)
#endif

/* -1, 0 or 1; nan of nan. */
static inline double sign_f64(double x)
{
    return x > 0 ? 1 : x < 0 ? -1 : x == 0 ? 0 : x;
}

void exercise1(const double *restrict w, const double *restrict x, double t, double sigma,
               int64_t d, double *restrict ell, double *restrict d_w)
{
    /* forward */
    double mu = 0.0;
    GRAPHC_SIMD_SUM(mu)
    for (int64_t i = 0; i < d; ++i)
        mu += w[i] * x[i];
    const double v0 = t - mu;
    *ell = log(2.0 * sigma) + fabs(v0) / sigma;

    /* backward */
    const double d_mu = -(sign_f64(v0) / sigma); /* ell = log(2 sigma) + |t - mu| / sigma */

    /* d_w = d_mu * x */
    for (int64_t i = 0; i < d; ++i)
        d_w[i] = d_mu * x[i];                /* mu = w @ x */
}
