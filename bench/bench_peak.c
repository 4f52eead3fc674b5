/* bench_peak.c - what the machine gives at this moment: multiply-adds in registers (the runtime's
 * own peak.c, which the trainers' `bench` uses), and reading memory.
 *
 *     bench_peak THREADS
 *
 * Commands: peak (GFLOP/s), read MIB (GB/s of reading so many MiB again and again, all threads
 * together), trip (nanoseconds for a line of the caches to go from the first thread to the last and back: some 80 where
 * their processors share a last cache, some 400 where they do not; 0 with one thread).  Compile
 * together with runtime/core/peak.c, team.c and arithmetic.c, -O3 -march=native -pthread.
 */
#include <stdatomic.h>

#include "cnnrt.h"
#include "core/peak.h"
#include "core/team.h"
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

struct reading {
    vector *data;
    size_t count;
};

static void part_of(const struct reading *r, const struct cnn_worker *w, size_t *first, size_t *last)
{
    *first = r->count * (size_t)w->number / (size_t)w->count;
    *last = r->count * ((size_t)w->number + 1) / (size_t)w->count;
}

/* Memory belongs to whose thread touches it first. */
static void touch_share(void *arg, struct cnn_worker *w)
{
    const struct reading *r = arg;
    size_t first, last;
    part_of(r, w, &first, &last);
    for (size_t i = first; i < last; i++)
        r->data[i] = (vector){1.0f};
}

/* Each thread reads its part; four sums hide the additions. */
static void read_share(void *arg, struct cnn_worker *w)
{
    const struct reading *r = arg;
    const vector *data = r->data;
    size_t first, last;
    part_of(r, w, &first, &last);
    vector a = {0}, b = {0}, c = {0}, d = {0};
    for (size_t i = first; i + 4 <= last; i += 4) {
        a += data[i];
        b += data[i + 1];
        c += data[i + 2];
        d += data[i + 3];
    }
    volatile float sink = (a + b + c + d)[0];
    (void)sink;
}

static double read_rate(struct cnn_team *team, long mib)
{
    struct reading r = {.count = (size_t)mib * 1048576 / sizeof(vector)};
    r.data = aligned_alloc(VECTOR_BYTES, r.count * sizeof *r.data);
    if (!r.data)
        worker_die("no memory", "read");
    double best = 0.0;
    rt_team_run(team, touch_share, &r);
    for (int repeat = 0; repeat < 12; repeat++) {
        double start = worker_ms();
        rt_team_run(team, read_share, &r);
        double rate = (double)(r.count * sizeof *r.data) / (worker_ms() - start) * 1e-6;
        if (rate > best)
            best = rate;
    }
    free(r.data);
    return best;
}

enum { TRIPS = 4000, TRIES = 15 };

struct trip {
    _Alignas(64) atomic_int turn;       /* even: the first thread's, odd: the last one's */
    _Alignas(64) double least;          /* nanoseconds */
};

/* A try is long enough for one that was broken off by others to be the slowest; the fastest counts. */
static void go_to_and_fro(void *arg, struct cnn_worker *w)
{
    struct trip *t = arg;
    if (w->count == 1 || (w->number != 0 && w->number != w->count - 1))
        return;
    int own = w->number != 0;
    for (int i = 0; i < TRIES; i++) {
        double start = worker_ms();
        for (int k = 0; k < TRIPS; k++) {
            int number = 2 * (i * TRIPS + k) + own;
            while (atomic_load_explicit(&t->turn, memory_order_acquire) != number)
                ;
            atomic_store_explicit(&t->turn, number + 1, memory_order_release);
        }
        double each = (worker_ms() - start) * 1e6 / TRIPS;
        if (!own && (i == 0 || each < t->least))
            t->least = each;
    }
}

int main(int argc, char **argv)
{
    int threads = argc == 2 ? atoi(argv[1]) : 0;
    if (threads < 1 || threads > 1024)
        worker_die("expected THREADS", argv[0]);
    struct cnn_team *team = rt_team_open(threads);
    if (!team)
        worker_die("no memory", "threads");
    printf("{\"ready\": \"%s\"}\n", rt_peak_measure(team).instructions);
    fflush(stdout);
    char word[WORKER_WORD];
    long number;
    while (worker_next(word, &number)) {
        double value;
        if (strcmp(word, "peak") == 0) {
            value = rt_peak_measure(team).gflops;
            worker_answer("gflops", &value, 1);
        } else if (strcmp(word, "read") == 0) {
            value = read_rate(team, number > 0 ? number : 21);
            worker_answer("gbs", &value, 1);
        } else if (strcmp(word, "trip") == 0) {
            struct trip t = {.least = 0.0};
            rt_team_run(team, go_to_and_fro, &t);
            worker_answer("ns", &t.least, 1);
        } else {
            worker_refuse(word);
        }
    }
    rt_team_close(team);
    return 0;
}
