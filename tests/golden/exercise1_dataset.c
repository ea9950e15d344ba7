#include "exercise1_dataset.h"

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

void exercise1_dataset(const double *restrict w, const double *restrict X,
                       const double *restrict t, double sigma, int64_t d, int64_t n,
                       double *restrict mean, double *restrict d_w)
{
    /* forward */
    const double v0 = log(2.0 * sigma);
    const double v1 = (double)n;
    const double v2 = 1.0 / v1 / sigma;

    /* forward and backward */
    /* mu = X @ w */
    /* ell = log(2 sigma) + |t - mu| / sigma */
    /* d_mu = -(1 / n / sigma) sign(t - mu) */
    /* d_w = d_mu @ X */
    double v3 = 0.0;
    for (int64_t i = 0; i < d; ++i)
        d_w[i] = 0.0;
    for (int64_t i = 0; i < n; ++i) {
        double mu = 0.0;
        GRAPHC_SIMD_SUM(mu)
        for (int64_t j = 0; j < d; ++j)
            mu += X[i * d + j] * w[j];
        const double v4 = t[i] - mu;
        const double ell = v0 + fabs(v4) / sigma;
        v3 += ell;
        const double d_mu = -(v2 * sign_f64(v4)); /* ell = log(2 sigma) + |t - mu| / sigma */
        for (int64_t j = 0; j < d; ++j)
            d_w[j] += d_mu * X[i * d + j];   /* mu = X @ w */
    }

    /* forward */
    *mean = v3 / v1;
}
