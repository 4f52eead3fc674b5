/* parallel.c - how many threads, what time it is, and OpenBLAS's core. */
#define _GNU_SOURCE
#include "parallel.h"

#include <errno.h>
#include <limits.h>
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

/* Only there when the emitted file uses OpenBLAS. */
extern char *openblas_get_corename(void) __attribute__((weak));
extern void openblas_set_num_threads(int threads) __attribute__((weak));

uint64_t cnn_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int processors(void)
{
#if defined __linux__
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        return CPU_COUNT(&set);
#endif
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 && online < INT_MAX ? (int)online : 1;
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
        && setenv("CNN_BLAS_RESTART", "1", 1) == 0)
        execv("/proc/self/exe", argv);
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
