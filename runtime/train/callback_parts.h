/* callback_parts.h - what the files of the callbacks share. */
#ifndef CALLBACK_PARTS_H
#define CALLBACK_PARTS_H

#include "train/callback.h"
#include "train/weights_copy.h"

/* A value of an epoch, by name. */
struct monitor {
    const char *name;                   /* "val_acc" */
    bool validation;
    int value;                          /* as rt_tally_value() numbers them */
    enum cnn_direction direction;
};

/* All that a callback remembers from one epoch to the next, plain numbers that can be kept. */
struct callback_state {
    double best;
    int waited;                         /* epochs without progress; since the last file */
    int cooling;                        /* epochs of cooldown left */
    int stopped_epoch;                  /* -1: not stopped */
};

struct plateau {
    double factor, min_delta, min_lr;
    int patience, cooldown;
};

struct early_stopping {
    double min_delta;
    int patience;
    bool restore_best;
    struct weights_copy best;           /* of the best epoch so far */
    int best_epoch;                     /* -1: not known */
};

struct checkpoint {
    const char *file;                   /* the recipe's, perhaps with fields */
    bool save_best;
    int period;
    bool failed;                        /* the last file that was to be written */
    char *due_file;                     /* it was to be written after the last epoch, and was not */
    double due_value;                   /* the monitor's of that epoch */
};

struct callback {
    const struct callback_kind *kind;
    struct monitor monitor;
    bool verbose;
    struct callback_state state;
    struct cnn_context *context;
    const char *folder;                 /* of the run */
    union {                             /* by kind */
        struct plateau plateau;
        struct early_stopping stopping;
        struct checkpoint checkpoint;
    };
};

/* Each function may be NULL. */
struct callback_kind {
    const char *name;
    bool monitors;                      /* it has the option `monitor` */
    /* reads the options; what is not set is zero */
    void (*open)(struct callback *c, const struct cnn_clause *clause);
    int (*begin)(struct callback *c);   /* context and folder are known: 0, or -1 with a message */
    /* likewise */
    int (*check)(const struct callback *c, const struct run_folder *folder, const char *const files[2]);
    int (*claim)(struct callback *c, bool resumed);     /* the folder is this run's: likewise */
    /* what it remembers beside struct callback_state */
    void (*save)(const struct callback *c, struct state *s);
    int (*load)(struct callback *c, const struct state *s);
    bool (*step)(struct callback *c, struct progress *progress, int64_t batch, double loss);
    void (*epoch_end)(struct callback *c, struct epoch_end *end);
    void (*catch_up)(struct callback *c);
    /* weights may change now; whether they did */
    bool (*train_end)(struct callback *c, struct progress *progress);
    void (*close)(struct callback *c);
};

extern const struct callback_kind rt_callback_plateau, rt_callback_early_stopping,
    rt_callback_checkpoint, rt_callback_stop_on_nan;

/* A value of the log by any of its names: "epoch" and "lr", and what monitors know.  False: there is none. */
bool rt_epoch_value(const struct callback *c, const struct epoch_end *end, const char *name, double *value);
double rt_monitor_value(const struct monitor *m, const struct epoch_end *end);
/* Whether a value is better than the best so far by more than min_delta; what is not a number never
 * is. */
bool rt_monitor_better(const struct callback *c, double now, double min_delta);

#endif
