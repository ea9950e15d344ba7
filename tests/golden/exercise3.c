#include "exercise3.h"

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

/* 1 / (1 + exp(-x)); exp never overflows. */
static inline double sigmoid_f64(double x)
{
    const double e = exp(-fabs(x));
    return (x < 0 ? e : 1) / (1 + e);
}

int64_t exercise3_workspace_bytes(int64_t d, int64_t h)
{
    (void)d;
    (void)h;
    return (h * 8 + 63) / 64 * 64;
}

void exercise3(const double *restrict a, const double *restrict W, const double *restrict b,
               const double *restrict d_next, int64_t d, int64_t h, double *restrict d_a,
               double *restrict d_W, double *restrict d_b, void *restrict workspace)
{
    double *const v0 = workspace;            /* [h] */

    /* forward */
    for (int64_t j = 0; j < h; ++j)
        v0[j] = 0.0;
    for (int64_t i = 0; i < d; ++i) {
        for (int64_t j = 0; j < h; ++j)
            v0[j] += a[i] * W[i * h + j];
    }

    /* forward and backward */
    /* z = a @ W + b */
    /* a_next = sigmoid(z) */
    /* d_b = d_next * (a_next * (1 - a_next)) */
    for (int64_t i = 0; i < h; ++i) {
        const double z = v0[i] + b[i];
        const double a_next = sigmoid_f64(z);
        d_b[i] = d_next[i] * (a_next * (1.0 - a_next)); /* a_next = sigmoid(z) */
    }

    /* backward */
    /* d_a = d_b @ W.T */
    /* d_W = einsum('i,j->ji', d_b, a) */
    for (int64_t i = 0; i < d; ++i) {
        double d_a_i = 0.0;
        GRAPHC_SIMD_SUM(d_a_i)
        for (int64_t j = 0; j < h; ++j) {
            d_a_i += d_b[j] * W[i * h + j];  /* z = a @ W + b */
            d_W[i * h + j] = d_b[j] * a[i];  /* z = a @ W + b */
        }
        d_a[i] = d_a_i;                      /* z = a @ W + b */
    }
}
