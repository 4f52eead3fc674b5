/* parallel.c - how many threads, what time it is, and OpenBLAS's core. */
#define _GNU_SOURCE
#include "core/parallel.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "core/message.h"

enum { PROCESSORS_MOST = 4096 };

/* Only there when the emitted file uses OpenBLAS. */
extern char *openblas_get_corename(void) __attribute__((weak));
extern void openblas_set_num_threads(int threads) __attribute__((weak));
extern int openblas_get_num_threads(void) __attribute__((weak));
extern void *blas_memory_alloc(int kind) __attribute__((weak));
extern void blas_memory_free(void *buffer) __attribute__((weak));

uint64_t cnn_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Those that this process may use. */
static int processors(void)
{
    long count = 0;
#if defined __linux__
    cpu_set_t *set = CPU_ALLOC(PROCESSORS_MOST);
    size_t size = CPU_ALLOC_SIZE(PROCESSORS_MOST);
    if (set && sched_getaffinity(0, size, set) == 0)
        count = CPU_COUNT_S(size, set);
    CPU_FREE(set);
#endif
    if (count <= 0)
        count = sysconf(_SC_NPROCESSORS_ONLN);
    return count <= 0 ? 1 : count < PROCESSORS_MOST ? (int)count : PROCESSORS_MOST;
}

int rt_threads_choose(int asked, const struct cnn_model *model)
{
    return rt_threads_among(asked, model, NULL);
}

int rt_threads_among(int asked, const struct cnn_model *model, const struct cnn_ranks *ranks)
{
    if (asked > 0)
        return asked;
    if (model->train.threads > 0)
        return model->train.threads;
    const char *text = getenv("OMP_NUM_THREADS");
    if (text) {
        /* a list gives one number a nesting level: ours is the first */
        char *end;
        errno = 0;
        long wanted = strtol(text, &end, 10);
        if (errno == 0 && end != text && (*end == '\0' || *end == ',') && wanted > 0
            && wanted <= 4096)
            return (int)wanted;
    }
    const int own = processors(), beside = ranks && ranks->beside > 0 ? ranks->beside : 1;
    return own > beside ? own / beside : 1;
}

/* One number for the whole process, so one record of it too. */
static struct {
    pthread_mutex_t lock;
    int calls;                  /* under way */
    int threads;                /* before the first of them */
} blas = { .lock = PTHREAD_MUTEX_INITIALIZER };

void rt_blas_begin(void)
{
    if (!openblas_set_num_threads || !openblas_get_num_threads)
        return;
    pthread_mutex_lock(&blas.lock);
    if (blas.calls++ == 0) {
        blas.threads = openblas_get_num_threads();
        if (blas.threads != 1)
            openblas_set_num_threads(1);
    }
    pthread_mutex_unlock(&blas.lock);
}

void rt_blas_end(void)
{
    if (!openblas_set_num_threads || !openblas_get_num_threads)
        return;
    pthread_mutex_lock(&blas.lock);
    if (--blas.calls == 0 && blas.threads != 1)
        openblas_set_num_threads(blas.threads);
    pthread_mutex_unlock(&blas.lock);
}

/* OpenBLAS takes a buffer of so many bytes for each thread that calls it, on its first call, and tries for ever where
 * the system has none to give.  They stay with it once they have been taken: so they are taken, and given back to it,
 * before anything depends on them. */
static const size_t buffer_bytes = (size_t)128 << 20;

static bool room_for_buffers(int count)
{
    size_t bytes = (size_t)count * buffer_bytes;
    void *room = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return room != MAP_FAILED && munmap(room, bytes) == 0;
}

int rt_blas_reserve(const struct cnn_model *model, int threads)
{
    if (!model->blas_core || !blas_memory_alloc || !blas_memory_free)
        return 0;
    if (!room_for_buffers(threads)) {
        rt_error("OpenBLAS needs %zu MiB of addresses for each of %d thread%s, which cannot be had (ulimit -v?): take fewer "
                 "with --threads, or compile without it: cnnc --kernel LAYER=...",
                 buffer_bytes >> 20, threads, threads == 1 ? "" : "s");
        return -1;
    }
    void **buffers = calloc((size_t)threads, sizeof *buffers);
    for (int i = 0; buffers && i < threads; i++)
        buffers[i] = blas_memory_alloc(0);
    for (int i = 0; buffers && i < threads; i++)
        blas_memory_free(buffers[i]);
    free(buffers);
    return 0;
}

/* Signals that this call holds back are not held back in what comes in its place. */
static void program_restart(char **words)
{
    sigset_t before, none;
    sigemptyset(&none);
    sigaddset(&none, SIGXFSZ);
    pthread_sigmask(SIG_UNBLOCK, &none, &before);
    execv("/proc/self/exe", words);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* The kernels that OpenBLAS runs in the place of the plan's; NULL: it runs those. */
static const char *other_core(const struct cnn_model *model)
{
    const char *core = model->blas_core && openblas_get_corename ? openblas_get_corename() : NULL;
    return core && strcasecmp(core, model->blas_core) ? core : NULL;
}

void rt_blas_core_restart(const struct cnn_model *model, char **restart)
{
    if (other_core(model) && !getenv("CNN_BLAS_RESTART")
        && setenv("OPENBLAS_CORETYPE", model->blas_core, 1) == 0
        && setenv("OPENBLAS_NUM_THREADS", "1", 1) == 0
        && setenv("CNN_BLAS_RESTART", "1", 1) == 0)
        program_restart(restart);
}

void rt_blas_core_check(const struct cnn_model *model, char **restart)
{
    const char *core = other_core(model);
    if (core && restart)
        rt_blas_core_restart(model, restart);
    if (!core)
        return;
    rt_note("OpenBLAS runs its %s kernels where the plan counts on %s; speed and the last bits of "
            "results may differ",
            core, model->blas_core);
}
