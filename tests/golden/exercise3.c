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

/* A loop that calls such a function is vectorised only where the call is replaced by its body. */
#if defined(__GNUC__)
#define GRAPHC_INLINE inline __attribute__((always_inline))
#else
#define GRAPHC_INLINE inline
#endif

/* a b + c, rounded once where that is one instruction. */
static GRAPHC_INLINE double muladd_f64(double a, double b, double c)
{
#if defined(__FMA__) || defined(__aarch64__)
    return fma(a, b, c);
#else
    return a * b + c;
#endif
}

/* The bits of x, and what bits stand for. */
static GRAPHC_INLINE uint64_t bits_f64(double x)
{
    const union { double value; uint64_t bits; } both = {.value = x};
    return both.bits;
}

static GRAPHC_INLINE double of_bits_f64(uint64_t bits)
{
    const union { uint64_t bits; double value; } both = {.bits = bits};
    return both.value;
}

/* c = r coth(r / 2) of z = r^2, |r| <= log(2) / 2; exp(r) = (c + r) / (c - r). */
static GRAPHC_INLINE double coth_reduced_f64(double z)
{
    double c = 4.138117316310265e-08;
    c = muladd_f64(c, z, -1.6533901682687386e-06);
    c = muladd_f64(c, z, 6.613756320945696e-05);
    c = muladd_f64(c, z, -0.0027777777777013664);
    c = muladd_f64(c, z, 0.16666666666666602);
    return muladd_f64(c, z, 2);
}

/* 1 / (1 + 2^k exp(r)), -x = r + k log(2), as s (c - r) / (s (c - r) + s 2^k (c + r)); with
 * s = 2^(-k/2) these are normal numbers. */
static GRAPHC_INLINE double sigmoid_f64(double x)
{
    const double a = fabs(x) > 746 ? 746 : fabs(x);
    const double b = copysign(a, x);
    const double m = muladd_f64(b, -1.4426950408889634, 0x1.8p52 + 2046);
    const double k = m - (0x1.8p52 + 2046);
    const double near = muladd_f64(k, -0.6931471803691238, -b);
    const double r = muladd_f64(k, -1.9082149292705877e-10, near);
    const double c = coth_reduced_f64(r * r);
    const uint64_t half = bits_f64(m) >> 1;
    const uint64_t other = bits_f64(m) - half;
    const double above = (c - r) * of_bits_f64(0x7fe0000000000000 - (half << 52));
    return above / muladd_f64(c + r, of_bits_f64(other << 52), above);
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
    for (int64_t i = 0; i < h; ++i)
        v0[i] = 0.0;
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
