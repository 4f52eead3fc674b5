/* guest.c - see guest.h.
 *
 * Locale, arithmetic and mask of signals are a thread's own: threads of the caller's that do
 * something else meanwhile are not touched. */
#define _GNU_SOURCE
#include "core/guest.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "cnnrt.h"
#include "core/parallel.h"

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
    rt_blas_begin();
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
    rt_blas_end();
    descriptors_close(g);
    size_signal_release(g);
}
