/* run_options.h - what a command line may ask of a run. */
#ifndef RUN_OPTIONS_H
#define RUN_OPTIONS_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

/* How several processes sum gradients: in the order of the shares, or as they can be had soonest. */
enum reduce { REDUCE_ORDERED, REDUCE_FAST };

/* What is asked of a run; what is not said is NULL, -1 or false. */
struct run_options {
    const char *data, *run_dir, *weights, *history, *log_steps;
    double epochs;
    int64_t threads, verbose, limit_steps, data_memory;   /* the last in MiB */
    double lr;                  /* NaN: not given */
    int64_t seed;               /* -1: the recipe's */
    double save_every;          /* minutes; NaN: not given */
    double time_limit;          /* likewise */
    int reduce;                 /* enum reduce */
    bool overwrite, resume, partial, no_shuffle, no_tta;
    const struct cnn_ranks *ranks;      /* NULL: this process is alone */
    char *const *argv;          /* the whole command line */
    int argc;
};

/* Nothing is asked. */
static inline struct run_options rt_run_options(int argc, char *const *argv)
{
    return (struct run_options){ .epochs = NAN, .threads = -1, .verbose = -1, .limit_steps = -1, .data_memory = -1,
                                 .lr = NAN, .seed = -1, .save_every = NAN, .time_limit = NAN,
                                 .argv = argv, .argc = argc };
}

#endif
