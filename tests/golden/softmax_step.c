#include "softmax_step.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

/* The larger; nan if either is. */
static inline double maximum_f64(double a, double b)
{
    const double larger = a > b ? a : b; /* b, if that is nan */
    return a != a ? a : larger;
}

int64_t softmax_step_workspace_bytes(int64_t n)
{
    (void)n;
    return (n * 24 + 63) / 64 * 64 + 192;
}

void softmax_step(const double *restrict W, const double *restrict b, const double *restrict x,
                  const double *restrict t, double rate, int64_t n, double *restrict ell,
                  double *restrict out, double *restrict out2, void *restrict workspace)
{
    double *const v0 = workspace;            /* [3] */
    double *const v1 = v0;                   /* [3] */
    double *const d_b = out2;                /* [3] */
    double *const d_W = v0;                  /* [3] */
    double *const z = (void *)((char *)workspace + 64); /* [3] */
    double *const v2 = (void *)((char *)z + 64); /* [3] */
    double *const d_z = (void *)((char *)v2 + 64); /* [n, 3] */

    /* forward */
    const double v3 = (double)n;
    const double v4 = -1.0 / v3;

    /* forward and backward */
    /* z = x @ W + b */
    /* d_z = (-1 / n) t + (-sum((-1 / n) t, axis=1) / sum(exp ... */
    /* d_b = sum(d_z, axis=0) */
    double v5 = 0.0;
    for (int64_t i = 0; i < 3; ++i)
        d_b[i] = 0.0;
    for (int64_t i = 0; i < n; ++i) {
        for (int64_t j = 0; j < 3; ++j)
            v0[j] = 0.0;
        for (int64_t j = 0; j < 4; ++j) {
            for (int64_t k = 0; k < 3; ++k)
                v0[k] += x[i * 4 + j] * W[j * 3 + k];
        }
        double v6 = -HUGE_VAL;
        for (int64_t j = 0; j < 3; ++j) {
            const double z_ij = v0[j] + b[j];
            z[j] = z_ij;
            v6 = maximum_f64(v6, z_ij);
        }
        double v7 = 0.0;
        for (int64_t j = 0; j < 3; ++j) {
            const double v8 = z[j] - v6;
            v1[j] = v8;
            const double v9 = exp(v8);
            v2[j] = v9;
            v7 += v9;
        }
        const double v10 = log(v7);
        double v11 = 0.0;
        double v12 = 0.0;
        for (int64_t j = 0; j < 3; ++j) {
            v11 += t[i * 3 + j] * (v1[j] - v10);
            v12 += v4 * t[i * 3 + j];
        }
        v5 += v11;
        const double v13 = -v12 / v7;
        for (int64_t j = 0; j < 3; ++j) {
            /* ell = -mean(sum(t * (z - max(z, axis=1) - log(sum(exp ... */
            const double d_z_ij = v4 * t[i * 3 + j] + v13 * v2[j];
            d_z[i * 3 + j] = d_z_ij;
            d_b[j] += d_z_ij;                /* z = x @ W + b */
        }
    }

    /* forward */
    *ell = -(v5 / v3);

    /* backward and update */
    /* d_W = x.T @ d_z */
    for (int64_t i = 0; i < 4; ++i) {
        for (int64_t j = 0; j < 3; ++j)
            d_W[j] = 0.0;
        for (int64_t j = 0; j < n; ++j) {
            for (int64_t k = 0; k < 3; ++k)
                d_W[k] += d_z[j * 3 + k] * x[j * 4 + i]; /* z = x @ W + b */
        }
        for (int64_t j = 0; j < 3; ++j)
            out[i * 3 + j] = W[i * 3 + j] - rate * d_W[j];
    }

    /* update */
    for (int64_t i = 0; i < 3; ++i)
        out2[i] = b[i] - rate * d_b[i];
}
