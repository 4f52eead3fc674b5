/* compare_parts.h - the parts of the comparison of a compiled network with the reference. */
#ifndef COMPARE_PARTS_H
#define COMPARE_PARTS_H

#include <cnnrt.h>

#include "compare.h"

#define EPS_FLOAT 0x1p-24
#define EPS_DOUBLE 0x1p-53

enum { CONTEXTS = 3, DRAWS = 6, NOISY_RUNS = 3, STEPS = 3, FIRST_PARAM_PART = 2 };

/* What a run gave: predictions, loss, then for every parameter its gradient or, for a statistic and what does not
 * learn, its value. */
struct part {
    const char *name;
    int64_t count;
    double *value;
    double error;               /* of simulated rounding, in float's precision */
};

struct outcome {
    struct part *parts;
    int count;
};

struct batch {
    int n;
    double *input;
    int32_t *labels;
    double *targets;            /* (n, outputs) where they are numbers */
};

struct trial {
    struct network *network;
    struct ref_net *net;
    const struct cnn_model *model;
    struct cnn_context *contexts[CONTEXTS];     /* of 1, 2, 3 threads */
    int *param;                                 /* the model's parameter of each of the reference's */
    double **start;                             /* (params) values before each run */
    unsigned char *kept;                        /* dropout's mask */
    double eps, allowance;      /* allowance: what the bounds are multiplied with */
    FILE *log;
    struct compare_counts *counts;
    uint64_t random;
};

/* compare.c */
__attribute__((format(printf, 2, 3))) void trial_fail(struct trial *t, const char *format, ...);
void *room(int64_t count, size_t size);
double largest(const double *value, int64_t count);
void to_doubles(const struct cnn_model *model, double *to, const void *from, int64_t count);
struct outcome outcome_new(const struct ref_net *net, int n, int classes);
void outcome_free(struct outcome *o);
void reference_outcome(const struct ref_net *net, struct outcome *o);
void reference_run(struct trial *t, const struct batch *b, bool training);
void context_load(struct trial *t, struct cnn_context *c);
void context_feed(struct trial *t, struct cnn_context *c, const struct batch *b);
void batch_draw(struct trial *t, struct batch *b, int n);
struct batch batch_new(const struct trial *t);
void batch_free(struct batch *b);
double most_difference(const double *a, const double *b, int64_t count);
/* The results of one exact run, with the errors that disturbed runs show; the reference holds the exact run then. */
void reference_measure(struct trial *t, const struct batch *b, bool training, struct outcome *exact);
/* The number of parts that differ by more than their bounds; says which when `what` is not NULL. */
int outcome_compare(struct trial *t, const char *what, const struct outcome *got, const struct outcome *want,
                    bool training, bool coarse, int n);

/* compare_updates.c: some steps of the optimizer, by the model's own gradients. */
void check_updates(struct trial *t, struct batch *b);

#endif
