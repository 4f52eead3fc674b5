/* bench_peak.c - what the machine gives at this moment: multiply-adds in registers, and reading
 * memory.
 *
 *     bench_peak THREADS
 *
 * Commands: peak MS (GFLOP/s, over that many milliseconds), read MIB (GB/s of reading so many MiB
 * again and again, all threads together).  Compile with -O3 -march=native -fopenmp
 * -ffp-contract=fast.
 */
#include <omp.h>

#include "worker.h"

#if defined __AVX512F__
#define VECTOR_BYTES 64
#elif defined __AVX__
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif

typedef float vector __attribute__((vector_size(VECTOR_BYTES)));
enum { LANES = VECTOR_BYTES / 4, SUMS = 12, ROUNDS = 100000 };

/* Twelve sums cover two units of five cycles' latency; the factor keeps them in the normal range.
 */
#define EACH(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#define DECLARE(k) vector s##k = {(float)(k)};
#define STEP(k) s##k = s##k * factor + term;
#define COLLECT(k) +s##k

static float rounds_run(long rounds)
{
    const vector zero = {0}, factor = zero + 0.999f, term = zero + 0.001f;
    EACH(DECLARE)
    for (long i = 0; i < rounds; i++) {
        EACH(STEP)
    }
    vector total = zero EACH(COLLECT);
    return total[0];
}

static double peak(double ms)
{
    double done = 0.0, start = 0.0, end = 0.0;
    float kept = 0.0f;
    int more = 1;
#pragma omp parallel reduction(+ : kept)
    {
        kept += rounds_run(ROUNDS / 10); /* awake, at full clock */
#pragma omp barrier
#pragma omp single
        start = end = worker_ms();
        while (more) {
            kept += rounds_run(ROUNDS);
#pragma omp barrier
#pragma omp single
            {
                done += (double)ROUNDS * SUMS * LANES * 2.0 * omp_get_num_threads();
                end = worker_ms();
                more = end - start < ms;
            }
        }
    }
    volatile float sink = kept;
    (void)sink;
    return done / (end - start) * 1e-6;
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
    printf("{\"ready\": \"vectors of %d bytes\"}\n", VECTOR_BYTES);
    fflush(stdout);
    char word[WORKER_WORD];
    long number;
    while (worker_next(word, &number)) {
        double value;
        if (strcmp(word, "peak") == 0) {
            value = peak((double)(number > 0 ? number : 100));
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
