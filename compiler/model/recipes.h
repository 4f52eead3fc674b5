/* recipes.h - what `data` and `train` may say: tables of clauses.  A data source, an optimizer, a
 * callback is a row here and a file in runtime/. */
#ifndef RECIPES_H
#define RECIPES_H

#include "model/model.h"

struct data_source {
    struct clause_def clause;
    enum cnn_sample_kind sample;
    /* NULL: whatever the source says */
    enum cnn_sample_kind (*sample_of)(const struct clause *source);
    bool numbers;               /* its samples are no pictures but numbers, of as many channels as the input says */
    struct shape picture;       /* of one sample; all 0: as the network's input wants it */
    enum cnn_target_kind target;
    bool any_target;            /* what the argument `targets` says, or the loss and the network's end ask for */
    /* or numbers. 0: classes_of or the argument `classes` says it; without them, the data */
    int classes;
    int (*classes_of)(const struct clause *source);     /* NULL: they do not depend on what the source says */
    int train_samples;          /* of its training set, where every copy has the same; 0: only the data know */
};

struct metric_def {
    struct clause_def clause;
    const char *log_name;       /* NULL: the metric's own name */
    enum cnn_direction direction;
    enum cnn_metric_kind kind;
    unsigned targets;           /* 1 << enum cnn_target_kind: what it can be taken of */
};

/* The words of `average`, by enum cnn_average. */
extern const char *const average_words[];

/* Lists end with an element whose clause.name (or name) is NULL. */
extern const struct data_source data_sources[];
/* The statements `target` of `data`, `class_weights` and `precision` of `train`. */
extern const struct clause_def target_def, class_weights_def, precision_def;
extern const struct clause_def data_steps[], loss_defs[], optimizer_defs[], schedule_defs[], callback_defs[];
extern const struct metric_def metric_defs[];
/* The options of `params`, behind its selectors. */
extern const struct clause_def params_def;

/* Statements of `train` that set one number, which is their argument's default where they do not stand. */
enum train_number { TRAIN_EPOCHS, TRAIN_BATCH, TRAIN_SEED, TRAIN_THREADS, TRAIN_NUMBERS };
extern const struct clause_def train_numbers[TRAIN_NUMBERS + 1];

/* Words that the language has and this version does not: NULL-terminated. */
extern const char *const later_top[], *const later_network[],
                                          *const later_data[], *const later_train[],
                                                                   *const later_losses[],
                                                                       *const later_optimizers[];

#endif
