/* tally.h - an epoch's loss and metrics, over the samples seen so far. */
#ifndef TALLY_H
#define TALLY_H

#include "train/confusion.h"
#include "train/deviations.h"
#include "train/ranking.h"

struct tally {
    const struct cnn_model *model;
    double loss;                /* sum over samples */
    double *metrics;            /* (metrics_count) sums of a batch's value times its samples */
    double *batch;              /* (metrics_count) the last batch's values */
    int64_t *missed;            /* (metrics_count) samples before a metric was added to the recipe */
    int64_t samples;
    int *classes;               /* (metrics_count) that a metric is taken of alone; -1: all */
    /* where metrics over the set, or a report, want them; classes or labels */
    bool counts_classes, measures_deviations, ranks;
    struct confusion confusion;
    struct deviations deviations;
    struct ranking *rankings;   /* (metrics_count + 1): of metrics that want one; the last for a report */
};

/* reports: what a report of the set needs is counted too, even where no metric asks for it: classes, labels, how far
 * numbers are from their targets.  0, or -1 with a message. */
int rt_tally_open(struct tally *t, const struct cnn_model *model, bool reports);
/* Finds the classes that metrics name: names (as many as the target has), NULL: the data have none.  0, or -1 with a
 * message. */
int rt_tally_names(struct tally *t, char *const *names);
void rt_tally_close(struct tally *t);
void rt_tally_begin(struct tally *t);
/* Takes up the batch that train_step() or infer() has just computed. */
void rt_tally_add(struct tally *t, const struct cnn_context *c, int n);

/* 0 where no sample was seen.  Values are numbered as the log writes them: 0 the loss, then
 * the metrics. */
double rt_tally_value(const struct tally *t, int i);
const char *rt_tally_name(const struct tally *t, int i);        /* "loss", "acc" */
int rt_tally_count(const struct tally *t);

/* The sums so far, to a saved state and back.  What the state does not have, of a metric that was added since, counts
 * from here on, and a note says so.  0, or -1 with a message. */
struct state;
void rt_tally_save(const struct tally *t, struct state *s);
int rt_tally_load(struct tally *t, struct state *s);

#endif
