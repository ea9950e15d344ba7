/* What this machine can do at most: GFLOP/s of fused multiply-adds, GB/s by footprint.
 *
 * cc -O3 -march=native -ffp-contract=fast -pthread limits.c -o limits; ./limits THREADS
 * prints one JSON object. Every measurement is the best of several, for a limit is one. */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ACCUMULATORS = 12, ROUNDS = 5, MAX_THREADS = 64 };

/* Seconds of the calling thread, without what other programs take of its core. */
static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static volatile double sink;

/* Chains of x = x * m + c, as many as hide the latency of a multiply-add. */
#define FMA(name, type, bytes)                                                                     \
    typedef type name##_vector __attribute__((vector_size(bytes)));                                \
    static double name(long steps)                                                                 \
    {                                                                                              \
        name##_vector x[ACCUMULATORS], m, c;                                                       \
        for (int i = 0; i < ACCUMULATORS; i++)                                                     \
            x[i] = (name##_vector){0} + (type)(i * 1e-3);                                          \
        m = (name##_vector){0} + (type)0.999;                                                      \
        c = (name##_vector){0} + (type)1e-3;                                                       \
        for (long k = 0; k < steps; k++)                                                           \
            for (int i = 0; i < ACCUMULATORS; i++)                                                 \
                x[i] = x[i] * m + c;                                                               \
        for (int i = 0; i < ACCUMULATORS; i++)                                                     \
            sink = (double)x[i][0];                                                                \
        return (double)steps * ACCUMULATORS * 2.0 * (double)(bytes / sizeof(type));                \
    }
FMA(f32_16, float, 16)
FMA(f32_32, float, 32)
FMA(f32_64, float, 64)
FMA(f64_16, double, 16)
FMA(f64_32, double, 32)
FMA(f64_64, double, 64)

/* What one thread does, and how much of it a second. */
typedef struct {
    double (*fma)(long);
    long steps;
    float *a;
    const float *b;
    const float *c;
    size_t elements;
    int triad;
    double rate;
} Work;

static pthread_barrier_t gate;

static double sum(const float *b, size_t n)
{
    float s[64] = {0};
    for (size_t i = 0; i + 64 <= n; i += 64)
        for (int j = 0; j < 64; j++)
            s[j] += b[i + (size_t)j];
    for (int j = 1; j < 64; j++)
        s[0] += s[j];
    return (double)s[0];
}

static void add(float *restrict a, const float *restrict b, const float *restrict c, size_t n)
{
    for (size_t i = 0; i < n; i++)
        a[i] = b[i] + 3.0f * c[i];
}

static void *run(void *argument)
{
    Work *w = argument;
    pthread_barrier_wait(&gate);
    const double start = now();
    double done = 0;
    if (w->fma) {
        done = w->fma(w->steps);
    } else {
        for (long k = 0; k < w->steps; k++) {
            if (w->triad)
                add(w->a, w->b, w->c, w->elements);
            else
                sink = sum(w->b, w->elements);
            done += (w->triad ? 12.0 : 4.0) * (double)w->elements;
        }
    }
    w->rate = done / (now() - start);
    return NULL;
}

/* The work of all threads together, a second. */
static double rate(Work *work, int threads)
{
    double best = 0;
    for (int round = 0; round < ROUNDS; round++) {
        pthread_t ids[MAX_THREADS];
        pthread_barrier_init(&gate, NULL, (unsigned)threads);
        for (int t = 0; t < threads; t++)
            pthread_create(&ids[t], NULL, run, &work[t]);
        double found = 0;
        for (int t = 0; t < threads; t++) {
            pthread_join(ids[t], NULL);
            found += work[t].rate;
        }
        best = found > best ? found : best;
        pthread_barrier_destroy(&gate);
    }
    return best;
}

static double peak(int threads, double (*fma[])(long), int many)
{
    double best = 0;
    for (int i = 0; i < many; i++) {
        Work work[MAX_THREADS] = {{0}};
        for (int t = 0; t < threads; t++)
            work[t] = (Work){.fma = fma[i], .steps = 2000000};
        const double found = rate(work, threads);
        best = found > best ? found : best;
    }
    return best;
}

static double bandwidth(int threads, size_t bytes)
{
    double best = 0;
    const size_t n = bytes / 12 / (size_t)threads / 64 * 64; /* of each array of each thread */
    float *memory = malloc(3 * n * (size_t)threads * sizeof(float));
    if (!memory)
        return 0;
    for (size_t i = 0; i < 3 * n * (size_t)threads; i++)
        memory[i] = 1.0f;
    for (int triad = 0; triad < 2; triad++) {
        Work work[MAX_THREADS] = {{0}};
        for (int t = 0; t < threads; t++) {
            float *mine = memory + 3 * n * (size_t)t;
            /* A sum reads all three arrays, so that both have the same footprint. */
            work[t] = (Work){.steps = (long)(3e8 / (double)bytes) + 1, .a = mine,
                             .b = triad ? mine + n : mine, .c = mine + 2 * n,
                             .elements = triad ? n : 3 * n, .triad = triad};
        }
        const double found = rate(work, threads);
        best = found > best ? found : best;
    }
    free(memory);
    return best;
}

int main(int count, char **arguments)
{
    const int threads = count > 1 ? atoi(arguments[1]) : 1;
    if (threads < 1 || threads > MAX_THREADS)
        return 1;
    double (*f32[])(long) = {f32_16, f32_32, f32_64}, (*f64[])(long) = {f64_16, f64_32, f64_64};
    printf("{\"float32\": %.4g, \"float64\": %.4g, \"bandwidth\": [", peak(threads, f32, 3),
           peak(threads, f64, 3));
    const size_t footprints[] = {24u << 10, 192u << 10, 384u << 10, 4u << 20, 16u << 20, 96u << 20};
    const int many = (int)(sizeof footprints / sizeof *footprints);
    for (int i = 0; i < many; i++)
        printf("%s[%zu, %.4g]", i ? ", " : "", footprints[i], bandwidth(threads, footprints[i]));
    printf("]}\n");
    return 0;
}
