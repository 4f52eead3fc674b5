/* stop_signal.h - Ctrl-C and its like, which end a run in order. */
#ifndef STOP_SIGNAL_H
#define STOP_SIGNAL_H

#include <signal.h>

enum { STOPPING_SIGNALS = 4 };

/* What the process did with them before. */
struct stop_signals {
    struct sigaction old[STOPPING_SIGNALS];
};

/* From here on SIGINT, SIGTERM, SIGHUP and SIGUSR1 (with which batch systems warn) are noted, each once: a second one
 * of the kind ends the program at once. */
void rt_stop_catch(struct stop_signals *s);
void rt_stop_release(const struct stop_signals *s);
/* The one that has come since; 0: none. */
int rt_stop_signal(void);

#endif
