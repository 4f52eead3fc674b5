/* trainer.h - a network with its data: what training and measuring it have in common, and the run that trains it.
 *
 * Everything that can be wrong with a run is found before anything of an older run is touched: the
 * weights to start from, the data and the callbacks come first, the run folder last.
 */
#ifndef TRAINER_H
#define TRAINER_H

#include "data/data.h"
#include "files/origin.h"
#include "files/run_folder.h"
#include "files/state.h"
#include "train/callback.h"
#include "train/history.h"
#include "train/loader.h"
#include "train/progress.h"
#include "train/run_options.h"
#include "train/schedule.h"
#include "train/shares.h"
#include "train/standing.h"
#include "train/tally.h"
#include "train/tta.h"
#include "train/wrong.h"

struct trainer {
    const struct cnn_model *model;
    const struct run_options *options;
    struct cnn_context *context;
    struct dataset data;
    struct shares shares;       /* of a batch, where it is shared out */
    struct loader train, val, test;
    struct tally train_tally, val_tally;
    struct tta tta;             /* for what is measured last */
    struct wrong_list *wrong;   /* takes up what is taken for something else; NULL: nobody asks */
    struct callback_list callbacks;
    struct schedule schedule;
    struct progress progress;
    struct run_folder folder;
    FILE *log;
    /* the run folder's; --history's; --log-steps' */
    struct history kept_history, history, step_log;
    double epochs;              /* in all; a fraction ends within an epoch: */
    int whole;                  /* so many are whole, */
    int64_t part;               /* and so many samples of one more follow; 0: none */
    uint64_t limit;             /* steps in all */
    double best_loss;
    struct weights_origin best; /* of the weights in the folder's best */
    bool told_nan, told_wait;
    bool invalid;               /* a callback found a loss that the run cannot go on from */
    /* what could not be written when it was last to be */
    bool last_failed, state_failed;
    bool chart_due;             /* the picture is not that of the history */
    bool last_is_ours;          /* last.safetensors holds the weights as they are */
    bool best_due;              /* best.safetensors should hold the weights of the last epoch's end */
    double missed_loss;         /* the lowest one whose weights could not be written */
    bool data_failed;           /* a sample could not be read any more, or a step has no rate */
    bool unsaved;               /* no state of this run has been written yet */
    bool folder_lost;           /* another directory has its name */
    /* options that hold on when the run is resumed */
    double lr_given;            /* NaN: the recipe's */
    const char *weights_given;  /* NULL: none */
    bool partial_given;
    /* where the run stands, and where the last state was saved */
    int epoch;                  /* the one to train or to finish */
    bool inside;                /* resumed within it: loader and tally go on */
    bool ended;                 /* a callback has ended the training */
    uint64_t save_interval, saved;      /* cnn_clock's */
    struct standing standing;   /* of this process among those that train together */
    uint64_t started;           /* when the trainer was, cnn_clock's */
    uint64_t deadline;          /* of --time-limit, cnn_clock's; UINT64_MAX: none */
    bool cut_short;             /* by --time-limit */
    uint64_t slowest, saving;   /* what a step and a state have taken at most so far, in nanoseconds */
    struct state resumed;       /* what was read; of no file when the run is new */
};

/* A trainer of nothing yet. */
struct trainer rt_trainer_of(const struct cnn_model *model, const struct run_options *options);

/* Bytes of samples that a set may have that is kept. */
int64_t rt_data_memory(const struct run_options *o);
/* What a dataset is opened for: processes of one host share what its memory may keep, unless --data-memory says what
 * each may. */
struct data_use rt_data_use(const struct run_options *o, bool test_only, int threads);
/* The order of the training set that a new run has. */
struct order_blocks rt_order_of(const struct cnn_model *m, const struct dataset *d);

/* What training and measuring have in common: memory, weights (NULL: as initialised), data.  trains: else only the set
 * that is measured is wanted.  Of several processes the first one reads weights and measures what comes of the data,
 * and gives all to the others.  0, or -1 with a message. */
int rt_trainer_open(struct trainer *t, const char *weights, bool trains);
/* 0, or -1 when a file of the run could not be written whole. */
int rt_trainer_close(struct trainer *t);

/* Loss and metrics of a set as the network stands, in val_tally, over the copies that `tta` asks for where it is not
 * NULL; data_failed where a sample cannot be read. */
void rt_run_measure(struct trainer *t, struct loader *set, struct tta *tta);
/* What the last measured set gave.  Where all samples there are were split, none of them tests. */
void rt_run_report(struct trainer *t);

/* 0, or -1 with a message: files that the command line names must not be others of the run, nor files that are no
 * tables. */
int rt_run_outputs_check(const struct trainer *t);
/* The rest of what a run needs: state, callbacks, folder, log, tables.  0, or -1 with a message. */
int rt_run_open(struct trainer *t);
/* Whether all processes run the same program, asked the same of it.  Nothing where there is one process; 0, or -1. */
int rt_program_agree(struct standing *s, const struct cnn_model *m, const struct run_options *o, const char *about);
/* Whether all processes that train together can begin with the same: what each has is compared with what the first has,
 * and what is not right is told by the first alone.  Likewise. */
int rt_run_agree(struct trainer *t);
/* The signal that has ended the run; 0: none. */
int rt_run_stopped(const struct trainer *t);
/* Trains until the run ends or is broken off.  0, or -1 when it ended on a loss that is no number, or without its
 * data. */
int rt_run(struct trainer *t);

#endif
