/* tune_parts.h - what tune.c and tune_programs.c share: the programs of a tuning, how they are built and run.
 *
 * While they are at work signals are taken (tune_signals_take), so that a child is never left behind: whoever waits for
 * one ends all of them when a signal comes, and returns false. */
#ifndef TUNE_PARTS_H
#define TUNE_PARTS_H

#include <signal.h>

#include "steps/plan.h"
#include "tune.h"

struct timed_program {
    struct plan *plan;
    bool wanted, built;
    int steps;                  /* of a run; 0: not settled yet */
    double *nanoseconds[2];     /* by stretch: training, use; of the last run */
    double seconds;             /* of a step and a pass in use, in the last run */
    double peak;                /* GFLOP/s of the machine before them, the lower of the two */
    double fastest, slowest;    /* of all its runs, in seconds */
};

struct kernel_times;

struct tuning {
    struct arena *arena;
    const struct graph *train, *use;
    const struct plan_options *options;
    const struct tune_options *how;
    int threads;
    const char *makefile;       /* its whole path: make is run elsewhere */
    const char *folder;         /* of the programs, removed at the end; NULL: not made yet */
    struct timed_program *programs;
    int programs_count;         /* one for each rank; behind them there is room for the one that is made by the times */
    double peak;                /* the highest so far */
    int runs_again;             /* that began with much less */
    const struct wisdom *known; /* before */
    struct kernel_times *kernels;
    int kernels_count;
    size_t kernels_capacity;
    int rounds_noted;           /* in the wisdom, with those of earlier calls */
    double began;
    bool new_file;              /* there was no wisdom before */
};

/* Seconds of a clock. */
double tune_now(void);
int tune_processors(void);
/* On a terminal one line that is written over. */
void tune_progress(const struct tuning *t, const char *what, int done, int all);
void tune_progress_end(void);

enum { CAUGHT_SIGNALS = 8 };

struct signals {
    sigset_t mask;              /* as it was */
    struct sigaction before[CAUGHT_SIGNALS];
};

/* Signals are blocked except while waiting, so that none is missed. */
void tune_signals_take(struct signals *s);
/* The one that came meanwhile takes effect now. */
void tune_signals_give_back(const struct signals *s);
/* Whether one came. */
bool tune_broken_off(void);

/* Builds the programs that are wanted and not built yet, a few at a time.  False: reported, or a signal came. */
bool tune_build(struct tuning *t, const struct signals *s);
/* Runs one: its times, seconds and peak.  False: reported, or a signal came. */
bool tune_run(struct tuning *t, const struct signals *s, int program, int steps);
/* Removes what was built. */
void tune_clean(struct tuning *t);

#endif
