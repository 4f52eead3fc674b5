/* ranking.h - the area under the ROC curve of each output over a whole set: the share of pairs of a sample that has the
 * output's class or label and one that has not in which the first is given the higher probability, equals counting
 * half.  What lies between two neighbours of so many thresholds counts as equal. */
#ifndef RANKING_H
#define RANKING_H

#include "cnnrt.h"

struct ranking {
    int outputs, thresholds;
    /* (outputs, thresholds + 1): samples by how many of the thresholds their probability exceeds, with and without */
    int64_t *with, *without;
};

/* As Keras places them: one below 0, then evenly from 0 to 1 without the ends, one above 1.  0, or -1 with a
 * message. */
int rt_ranking_open(struct ranking *r, int outputs, int thresholds);
void rt_ranking_close(struct ranking *r);
void rt_ranking_begin(struct ranking *r);
/* Takes up the batch that has just been computed. */
void rt_ranking_add(struct ranking *r, const struct cnn_context *c, int n);

/* NaN where all samples have it, or none. */
double rt_ranking_area(const struct ranking *r, int output);
/* The mean over the outputs that have an area; 0 where none has one. */
double rt_ranking_mean(const struct ranking *r);

/* The counts so far, to a saved state and back.  0, or -1 with a message. */
struct state;
void rt_ranking_save(const struct ranking *r, struct state *s, const char *name);
int rt_ranking_load(struct ranking *r, const struct state *s, const char *name);

#endif
