/* bench_peak.c - what the machine gives at this moment: multiply-adds in registers (the runtime's
 * own peak.c, which the trainers' `bench` uses), and reading memory.
 *
 *     bench_peak THREADS
 *
 * Commands: peak (GFLOP/s), read MIB (GB/s of reading so many MiB again and again, all threads
 * together).  Compile together with runtime/peak.c, -O3 -march=native -fopenmp.
 */
#include <omp.h>

#include "cnnrt.h"
#include "peak.h"
#include "worker.h"

#if defined __AVX512F__
#define VECTOR_BYTES 64
#elif defined __AVX__
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif

typedef float vector __attribute__((vector_size(VECTOR_BYTES)));

/* The runtime's clock, which peak.c reads. */
uint64_t cnn_clock(void)
{
    return (uint64_t)(worker_ms() * 1e6);
}

/* Each thread reads its part; four sums hide the additions. */
static double read_rate(long mib)
{
    size_t count = (size_t)mib * 1048576 / sizeof(vector);
    vector *data = aligned_alloc(VECTOR_BYTES, count * sizeof *data);
    if (!data)
        worker_die("no memory", "read");
    double best = 0.0;
    float kept = 0.0f;
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < count; i++)
        data[i] = (vector){1.0f};
    for (int repeat = 0; repeat < 12; repeat++) {
        double start = worker_ms();
#pragma omp parallel reduction(+ : kept)
        {
            size_t threads = (size_t)omp_get_num_threads(), me = (size_t)omp_get_thread_num();
            size_t first = count * me / threads, last = count * (me + 1) / threads;
            vector a = {0}, b = {0}, c = {0}, d = {0};
            for (size_t i = first; i + 4 <= last; i += 4) {
                a += data[i];
                b += data[i + 1];
                c += data[i + 2];
                d += data[i + 3];
            }
            a = a + b + c + d;
            kept += a[0];
        }
        double rate = (double)(count * sizeof *data) / (worker_ms() - start) * 1e-6;
        if (rate > best)
            best = rate;
    }
    volatile float sink = kept;
    (void)sink;
    free(data);
    return best;
}

int main(int argc, char **argv)
{
    int threads = argc == 2 ? atoi(argv[1]) : 0;
    if (threads < 1 || threads > 1024)
        worker_die("expected THREADS", argv[0]);
    omp_set_num_threads(threads);
    printf("{\"ready\": \"%s\"}\n", rt_peak_measure(threads).instructions);
    fflush(stdout);
    char word[WORKER_WORD];
    long number;
    while (worker_next(word, &number)) {
        double value;
        if (strcmp(word, "peak") == 0) {
            value = rt_peak_measure(threads).gflops;
            worker_answer("gflops", &value, 1);
        } else if (strcmp(word, "read") == 0) {
            value = read_rate(number > 0 ? number : 21);
            worker_answer("gbs", &value, 1);
        } else {
            worker_refuse(word);
        }
    }
    return 0;
}
