/* guest.h - the runtime as a guest in its caller's process: what a public function needs to be
 * otherwise while it runs, and that it is as before when it returns.
 *
 * Between the two calls, in the calling thread: numbers are read and written as in the C locale,
 * arithmetic is as cnn_float_begin() says, and writing beyond the limit of a file's size is an error
 * like any other instead of a signal.  In the process: descriptors 0, 1 and 2 are open, so that no
 * file that is opened is taken for one of them, and OpenBLAS computes with one thread.  Calls may
 * nest. */
#ifndef GUEST_H
#define GUEST_H

#include <fenv.h>
#include <locale.h>
#include <signal.h>
#include <stdbool.h>

/* What has to be put back. */
struct guest {
    locale_t locale, own;
    fenv_t arithmetic;
    sigset_t signals;
    bool pending;               /* the signal was under way before */
    bool opened[3];
};

void rt_guest_enter(struct guest *g);
/* stdout's buffer is written first where its descriptor is about to go. */
void rt_guest_leave(struct guest *g);

#endif
