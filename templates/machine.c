/*# What this machine can do on one core, for the fractions of graphc.kernel.profiling. #*/
#define _POSIX_C_SOURCE 199309L /* clock_gettime */

#include "graphc_machine.h"

#include <string.h>
#include <time.h>

#if defined(__AVX512F__)
#define BYTES 64
#elif defined(__AVX__)
#define BYTES 32
#else
#define BYTES 16
#endif
#define CHAINS 12 /* sums that do not wait for each other: more than units times latency */
#define ROUNDS 2000
#define TRIALS 40

#if defined(__GNUC__) && !defined(__clang__)
#define FUSED __attribute__((noinline, optimize("O3", "fp-contract=fast")))
#else
#define FUSED __attribute__((noinline))
#pragma STDC FP_CONTRACT ON
#endif

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/*% for T in ("float", "double") %*/
typedef ${ T } lanes_${ T } __attribute__((vector_size(BYTES)));

/* Multiplies and adds as often as ROUNDS says, in every lane of every chain. No two chains start
 * alike, or compilers make one of them. */
FUSED static ${ T } multiply_add_${ T }(${ T } start)
{
    lanes_${ T } x = {0}, y = {0}, sum = {0};
/*% for k in range(12) %*/
    lanes_${ T } a${ k } = {start + ${ k }};
/*% endfor %*/
    x += start;
    y += start;
    for (int r = 0; r < ROUNDS; ++r) {
/*% for k in range(12) %*/
        a${ k } = a${ k } * x + y;
/*% endfor %*/
    }
/*% for k in range(12) %*/
    sum += a${ k };
/*% endfor %*/
    return sum[0];
}

/*% endfor %*/
/* Reads two arrays and writes a third. */
__attribute__((noinline)) static void triad(int64_t n, const double *restrict a,
    const double *restrict b, double *restrict c)
{
    for (int64_t i = 0; i < n; ++i)
        c[i] = a[i] + 0.5 * b[i];
}

/* flops: of float and of double, a second. bandwidth: bytes a second, for data of bytes[k]. */
void graphc_machine(const int64_t *bytes, double *flops, double *bandwidth, void *workspace)
{
    volatile double sink = 0;
    flops[0] = flops[1] = 0;
    for (int trial = 0; trial < TRIALS; ++trial) {
        const double start = now();
        sink = sink + multiply_add_float((float)trial * 1e-9f);
        const double middle = now();
        sink = sink + multiply_add_double((double)trial * 1e-9);
        const double end = now();
        const double one = 2.0 * ROUNDS * CHAINS * BYTES / sizeof(float) / (middle - start);
        const double two = 2.0 * ROUNDS * CHAINS * BYTES / sizeof(double) / (end - middle);
        flops[0] = one > flops[0] ? one : flops[0];
        flops[1] = two > flops[1] ? two : flops[1];
    }
    for (int k = 0; k < ${ sizes }; ++k) {
        const int64_t n = bytes[k] / 24;
        double *a = workspace, *b = a + n, *c = b + n;
        const int64_t repeats = (4 << 20) / bytes[k] + 1;
        memset(workspace, 0, (size_t)bytes[k]);
        bandwidth[k] = 0;
        for (int trial = 0; trial < 10; ++trial) {
            const double start = now();
            for (int64_t r = 0; r < repeats; ++r)
                triad(n, a, b, c);
            const double found = (double)(24 * n * repeats) / (now() - start);
            bandwidth[k] = found > bandwidth[k] ? found : bandwidth[k];
        }
        sink = sink + c[0];
    }
}
