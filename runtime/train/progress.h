/* progress.h - what a run shows: the log of epochs, a bar while one goes on, and a copy of the log
 * in a file. */
#ifndef PROGRESS_H
#define PROGRESS_H

#include <stdio.h>
#include "core/message.h"
#include "train/tally.h"

/* VERBOSE_MUTE: not even results; for processes that another one speaks for. */
enum verbosity { VERBOSE_SILENT, VERBOSE_BAR, VERBOSE_EPOCHS, VERBOSE_MUTE };

struct progress {
    enum verbosity verbosity;
    FILE *log;                  /* gets every line whatever the verbosity; may be NULL */
    bool terminal;
    int64_t samples;            /* of an epoch */
    /* cnn_clock's: when the epoch began, when its last step was done, when something was drawn */
    uint64_t epoch_start, trained, drawn;
    int64_t before;             /* samples of the epoch that an earlier part of the run has seen */
    int64_t seen;               /* samples of the epoch so far */
    int steps;                  /* of the epoch, in this part of the run */
    bool inside;                /* an epoch has begun and not ended */
    /* of the last epoch that ended: how long it took, with its validation; what its steps alone went through */
    double seconds, images_per_second;
};

/* verbosity -1: a bar on a terminal, a line an epoch elsewhere. */
void rt_progress_open(struct progress *p, int verbosity, FILE *log, int64_t samples);
/* A line of the log file alone: nothing is shown. */
void rt_progress_note(struct progress *p, const char *format, ...) RT_PRINTF(2, 3);
/* A line of the log (the caller ends it). */
void rt_progress_say(struct progress *p, const char *format, ...) RT_PRINTF(2, 3);
/* A result: shown even when silent. */
void rt_progress_result(struct progress *p, const char *format, ...) RT_PRINTF(2, 3);
/* before: samples of the epoch that were seen before this part of the run. */
void rt_progress_epoch_begin(struct progress *p, int epoch, double epochs, int64_t samples, int64_t before);
void rt_progress_step(struct progress *p, const struct tally *train);
/* A set is being measured, `done` of its samples so far: "validating" behind an epoch's bar, or in a line of its own,
 * which is gone when all are done. */
void rt_progress_measure(struct progress *p, const char *what, int64_t done, int64_t count);
void rt_progress_epoch_end(struct progress *p, const struct tally *train, const struct tally *val);

#endif
