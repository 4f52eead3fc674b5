/* command.h - the trainer's command line and the commands behind it. */
#ifndef COMMAND_H
#define COMMAND_H

#include <string.h>

#include "cnnrt.h"
#include "train/run_options.h"

enum command_bit {
    COMMAND_TRAIN = 1,
    COMMAND_EVALUATE = 2,
    COMMAND_SUMMARY = 4,
    COMMAND_BENCH = 8,
    COMMAND_GRADCHECK = 16,
    COMMAND_PREDICT = 32,
    COMMAND_LR_RANGE = 64,
    COMMAND_PREVIEW = 128,
    COMMAND_ALL = 255
};

enum { EXIT_FINE = 0, EXIT_FAILED = 1, EXIT_WRONG_USE = 2, EXIT_LATE = 75 };

/* Status + n * STOPPED: signal n has ended the run.  It is raised again when all that a call has
 * changed is as before. */
enum { STOPPED = CNN_STOPPED };

/* What the command line says; what it does not say is NULL, -1 or false. */
struct command_options {
    enum command_bit command;
    char *fault;                /* where messages go of a process that another one speaks for; NULL: to stderr */
    struct run_options run;     /* what other commands than train want too is there as well */
    const char *wrong, *out, *pictures;
    const char *output;
    double from, to;
    int64_t steps, points, samples, top, rows, columns, epoch;
    bool json, csv;
    const char *const *words;   /* what follows the command: pictures */
    int words_count;
};

/* Each command returns the exit status, with the signal that ended it. */
int rt_train(const struct cnn_model *model, const struct command_options *o);
int rt_evaluate(const struct cnn_model *model, const struct command_options *o);
int rt_predict(const struct cnn_model *model, const struct command_options *o);
int rt_preview(const struct cnn_model *model, const struct command_options *o);
int rt_summary(const struct cnn_model *model, const struct command_options *o);
int rt_lr_range(const struct cnn_model *model, const struct command_options *o);
int rt_bench(const struct cnn_model *model, const struct command_options *o);
int rt_gradcheck(const struct cnn_model *model, const struct command_options *o);

/* The width of a column that was wide enough for what came before, and has to hold text too. */
static inline int column_width(const char *text, int width)
{
    return text && strlen(text) > (size_t)width ? (int)strlen(text) : width;
}

#endif
