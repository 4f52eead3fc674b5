/* stop_signal.c - a handler that only notes. */
#include "train/stop_signal.h"

#include <stddef.h>

static volatile sig_atomic_t noted;

static void stop_note(int number)
{
    noted = number;
}

static const int stopping_signals[STOPPING_SIGNALS] = { SIGINT, SIGTERM, SIGHUP, SIGUSR1 };

void rt_stop_catch(struct stop_signals *s)
{
    struct sigaction action = { .sa_handler = stop_note, .sa_flags = SA_RESETHAND | SA_RESTART };
    sigemptyset(&action.sa_mask);
    noted = 0;
    for (int i = 0; i < STOPPING_SIGNALS; i++) {
        sigaction(stopping_signals[i], &action, &s->old[i]);
        /* a shell's background job ignores Ctrl-C, what nohup starts the end of the terminal: so do we */
        if (s->old[i].sa_handler == SIG_IGN)
            sigaction(stopping_signals[i], &s->old[i], NULL);
    }
}

void rt_stop_release(const struct stop_signals *s)
{
    for (int i = 0; i < STOPPING_SIGNALS; i++)
        sigaction(stopping_signals[i], &s->old[i], NULL);
}

int rt_stop_signal(void)
{
    return noted;
}
