/* tta.h - what a network predicts of a sample as the weighted mean over copies of it, as the recipe's `tta` says. */
#ifndef TTA_H
#define TTA_H

#include "common/copies.h"

struct tta {
    const struct cnn_model *model;
    struct copies copies;       /* one: the sample itself */
    void *kept;                 /* real (batch, height, width, channels): the samples themselves */
    double *sums;               /* (batch, outputs) */
    int *rows, *columns;        /* of the copy that is made: where each comes from, -1: zeros */
};

/* No step `tta`, or not wanted: samples are taken as they are.  0, or -1 with a message. */
int rt_tta_open(struct tta *t, const struct cnn_model *m, bool wanted);
void rt_tta_close(struct tta *t);

/* infer() on the context's n samples: predictions are the mean over the copies, the loss is the mean of theirs.  The
 * input is what it was afterwards. */
void rt_tta_infer(struct tta *t, struct cnn_context *c, int n);

#endif
