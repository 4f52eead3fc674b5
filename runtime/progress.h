/* progress.h - what a run shows: the log of epochs, a bar while one goes on, and a copy of the log
 * in a file. */
#ifndef PROGRESS_H
#define PROGRESS_H

#include <stdio.h>
#include "message.h"
#include "tally.h"

enum verbosity { VERBOSE_SILENT, VERBOSE_BAR, VERBOSE_EPOCHS };

struct progress {
    enum verbosity verbosity;
    FILE *log;                  /* gets every line whatever the verbosity; may be NULL */
    bool terminal;
    int64_t samples;            /* of an epoch */
    uint64_t epoch_start, drawn;        /* cnn_clock's */
    int steps;                  /* of this epoch so far */
};

/* verbosity -1: a bar on a terminal, a line an epoch elsewhere. */
void rt_progress_open(struct progress *p, int verbosity, FILE *log, int64_t samples);
/* A line of the log (the caller ends it). */
void rt_progress_say(struct progress *p, const char *format, ...) RT_PRINTF(2, 3);
/* A result: shown even when silent. */
void rt_progress_result(struct progress *p, const char *format, ...) RT_PRINTF(2, 3);
void rt_progress_epoch_begin(struct progress *p, int epoch, int epochs);
void rt_progress_step(struct progress *p, const struct tally *train);
void rt_progress_epoch_end(struct progress *p, const struct tally *train, const struct tally *val);

#endif
