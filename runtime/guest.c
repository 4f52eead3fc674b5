/* guest.c - see guest.h.
 *
 * Locale, arithmetic and mask of signals are a thread's own: threads of the caller's that do
 * something else meanwhile are not touched. */
#define _GNU_SOURCE
#include "guest.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>
#if defined __SSE2__
#include <xmmintrin.h>
#endif

#include "cnnrt.h"

/* ---- arithmetic ------------------------------------------------------------------------------ */

/* Optimizer averages decay towards zero for ever, and many processors are a hundred times slower
 * once such numbers are below 1e-38. */
uint64_t cnn_float_begin(void)
{
#if defined __SSE2__
    uint64_t before = _mm_getcsr();
    _mm_setcsr(0x1f80 | 0x8040);        /* no traps, to nearest; flush to zero, and read as zero */
    return before;
#elif defined __aarch64__
    uint64_t control, status;
    __asm__ volatile("mrs %0, fpcr" : "=r"(control));
    __asm__ volatile("mrs %0, fpsr" : "=r"(status));
    __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)1 << 24) : "memory");
    return control << 32 | (status & 0xffffffffu);
#else
    return 0;
#endif
}

void cnn_float_end(uint64_t before)
{
#if defined __SSE2__
    _mm_setcsr((unsigned)before);
#elif defined __aarch64__
    __asm__ volatile("msr fpsr, %0" : : "r"(before & 0xffffffffu) : "memory");
    __asm__ volatile("msr fpcr, %0" : : "r"(before >> 32) : "memory");
#else
    (void)before;
#endif
}

/* ---- signals --------------------------------------------------------------------------------- */

static bool size_signal_pending(void)
{
    sigset_t pending;
    return sigpending(&pending) == 0 && sigismember(&pending, SIGXFSZ) == 1;
}

static void size_signal_hold(struct guest *g)
{
    sigset_t held;
    sigemptyset(&held);
    sigaddset(&held, SIGXFSZ);
    g->pending = size_signal_pending();
    pthread_sigmask(SIG_BLOCK, &held, &g->signals);
}

/* What was held back of our own writing is gone before the mask is. */
static void size_signal_release(struct guest *g)
{
    const struct timespec now = { 0 };
    sigset_t held;
    sigemptyset(&held);
    sigaddset(&held, SIGXFSZ);
    if (!g->pending && size_signal_pending())
        sigtimedwait(&held, NULL, &now);
    pthread_sigmask(SIG_SETMASK, &g->signals, NULL);
}

/* ---- descriptors ----------------------------------------------------------------------------- */

static void descriptors_open(struct guest *g)
{
    for (int d = 0; d < 3; d++)
        /* the lowest free one is what open() takes */
        g->opened[d] = fcntl(d, F_GETFD) < 0 && errno == EBADF && open("/dev/null", O_RDWR) == d;
}

static void descriptors_close(struct guest *g)
{
    if (g->opened[STDOUT_FILENO])
        fflush(stdout);
    for (int d = 0; d < 3; d++)
        if (g->opened[d])
            close(d);
}

/* ---------------------------------------------------------------------------------------------- */

void rt_guest_enter(struct guest *g)
{
    *g = (struct guest){ 0 };
    descriptors_open(g);
    size_signal_hold(g);
    cnn_blas_begin();
    g->own = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (g->own)
        g->locale = uselocale(g->own);
    /* all of it: printf() and strtod() round as other registers say than those of cnn_float_begin() */
    fegetenv(&g->arithmetic);
    fesetenv(FE_DFL_ENV);
    cnn_float_begin();
}

void rt_guest_leave(struct guest *g)
{
    fesetenv(&g->arithmetic);
    if (g->own) {
        uselocale(g->locale);
        freelocale(g->own);
    }
    cnn_blas_end();
    descriptors_close(g);
    size_signal_release(g);
}
