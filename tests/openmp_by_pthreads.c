/* The calls that gcc -fopenmp makes for graphc's regions, on pthreads, so that the thread
   sanitizer knows which threads wait for which: it cannot see into libgomp. */
#include <pthread.h>

static pthread_barrier_t barrier;
static _Thread_local int number, size = 1;
static int team;

typedef struct {
    void (*run)(void *);
    void *data;
    int number;
} Share;

static void *work(void *given)
{
    const Share *share = given;
    number = share->number;
    size = team;
    share->run(share->data);
    return 0;
}

void GOMP_parallel(void (*run)(void *), void *data, unsigned threads, unsigned flags)
{
    (void)flags;
    Share shares[64];
    pthread_t others[64];
    team = (int)threads;
    pthread_barrier_init(&barrier, 0, threads);
    for (int k = 0; k < team; ++k)
        shares[k] = (Share){run, data, k};
    for (int k = 1; k < team; ++k)
        pthread_create(&others[k], 0, work, &shares[k]);
    work(&shares[0]);
    for (int k = 1; k < team; ++k)
        pthread_join(others[k], 0);
    pthread_barrier_destroy(&barrier);
    size = 1;
}

void GOMP_barrier(void)
{
    if (size > 1)
        pthread_barrier_wait(&barrier);
}

int omp_get_thread_num(void)
{
    return number;
}

int omp_get_num_threads(void)
{
    return size;
}
