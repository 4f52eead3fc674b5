/* parallel.c - how many threads, what time it is, and OpenBLAS's core. */
#define _GNU_SOURCE
#include "parallel.h"

#include <errno.h>
#include <omp.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>
#if defined __SSE2__
#include <xmmintrin.h>
#endif

#include "message.h"

enum { PROCESSORS_MOST = 4096 };

/* Only there when the emitted file uses OpenBLAS. */
extern char *openblas_get_corename(void) __attribute__((weak));
extern void openblas_set_num_threads(int threads) __attribute__((weak));

uint64_t cnn_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Those that this process may use; with OMP_PROC_BIND set the calling thread alone may use fewer. */
static int processors(void)
{
    int count = omp_get_num_procs();
    return count > 0 ? count : 1;
}

int rt_threads_choose(int asked, const struct cnn_model *model)
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
    return processors();
}

void rt_blas_single_thread(void)
{
    if (openblas_set_num_threads)
        openblas_set_num_threads(1);
}

/* With OMP_PROC_BIND set, the OpenMP runtime has tied this thread to its place before main began, and a program that
 * it is replaced by would find that one place and nothing else.  All places together are where it may run. */
static void affinity_release(void)
{
#if defined __linux__
    cpu_set_t *set = CPU_ALLOC(PROCESSORS_MOST);
    size_t size = CPU_ALLOC_SIZE(PROCESSORS_MOST);
    int places = omp_get_num_places();
    if (!set || places <= 0) {
        CPU_FREE(set);
        return;
    }
    CPU_ZERO_S(size, set);
    for (int i = 0; i < places; i++) {
        int count = omp_get_place_num_procs(i);
        int *ids = count > 0 ? calloc((size_t)count, sizeof *ids) : NULL;
        if (!ids)
            continue;
        omp_get_place_proc_ids(i, ids);
        for (int k = 0; k < count; k++)
            if (ids[k] >= 0 && ids[k] < PROCESSORS_MOST)
                CPU_SET_S(ids[k], size, set);
        free(ids);
    }
    if (CPU_COUNT_S(size, set) > 0)
        sched_setaffinity(0, size, set);
    CPU_FREE(set);
#endif
}

void rt_blas_restart(const struct cnn_model *model, char **argv)
{
    if (!model->blas_core || !openblas_get_corename)
        return;
    const char *core = openblas_get_corename();
    if (strcasecmp(core, model->blas_core) == 0)
        return;
    if (!getenv("CNN_BLAS_RESTART")
        && setenv("OPENBLAS_CORETYPE", model->blas_core, 1) == 0
        && setenv("OPENBLAS_NUM_THREADS", "1", 1) == 0
        && setenv("CNN_BLAS_RESTART", "1", 1) == 0) {
        affinity_release();
        execv("/proc/self/exe", argv);
    }
    rt_note("OpenBLAS runs its %s kernels where the plan counts on %s; speed and the last bits of "
            "results may differ",
            core, model->blas_core);
}

void rt_flush_subnormals(void)
{
#if defined __SSE2__
    _mm_setcsr(_mm_getcsr() | 0x8040);          /* flush to zero, and read as zero */
#elif defined __aarch64__
    uint64_t control;
    __asm__ volatile("mrs %0, fpcr" : "=r"(control));
    __asm__ volatile("msr fpcr, %0" : : "r"(control | (uint64_t)1 << 24));
#endif
}
