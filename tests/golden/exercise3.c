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

/* The nearest whole number, if |x| < 0x1p51: the sum has no bits for a fraction. */
static GRAPHC_INLINE double whole_f64(double x)
{
    return (x + 0x1.8p52) - 0x1.8p52;
}

/* 2 to the k, of a whole k in -1022 .. 1023: the sum ends in the bits of the exponent. */
static GRAPHC_INLINE double power_of_two_f64(double k)
{
    return of_bits_f64(bits_f64(k + (0x1.8p52 + 1023)) << 52);
}

/* exp(r) - 1, |r| <= log(2) / 2, to half an ulp of exp(r). */
static GRAPHC_INLINE double expm1_reduced_f64(double r)
{
    double p = 2.5014886098001086e-08;
    p = muladd_f64(p, r, 2.763079105016091e-07);
    p = muladd_f64(p, r, 2.755754545875299e-06);
    p = muladd_f64(p, r, 2.480149166131696e-05);
    p = muladd_f64(p, r, 0.00019841269545414034);
    p = muladd_f64(p, r, 0.0013888888944922244);
    p = muladd_f64(p, r, 0.008333333333479881);
    p = muladd_f64(p, r, 0.041666666666525666);
    p = muladd_f64(p, r, 0.1666666666666643);
    p = muladd_f64(p, r, 0.5000000000000011);
    return muladd_f64(p, r * r, r);
}

/* exp(r), |r| <= log(2) / 2. */
static GRAPHC_INLINE double exp_reduced_f64(double r)
{
    return expm1_reduced_f64(r) + 1;
}

/* exp(x) = 2^k exp(r), |r| <= log(2) / 2; 2^k in two factors, each a normal number. */
static GRAPHC_INLINE double exp_f64(double x)
{
    const double c = x < -746 ? -746 : x > 711 ? 711 : x;
    const double k = whole_f64(c * 1.4426950408889634);
    const double r = muladd_f64(k, -1.9082149292705877e-10, muladd_f64(k, -0.6931471803691238, c));
    const double half = whole_f64(0.5 * k);
    return exp_reduced_f64(r) * power_of_two_f64(half) * power_of_two_f64(k - half);
}

/* 1 / (1 + exp(-x)); exp never overflows. */
static GRAPHC_INLINE double sigmoid_f64(double x)
{
    const double e = exp_f64(-fabs(x));
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
