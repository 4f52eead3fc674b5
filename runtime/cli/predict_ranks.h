/* predict_ranks.h - what each of several processes has predicted of a batch of its own, told to all. */
#ifndef PREDICT_RANKS_H
#define PREDICT_RANKS_H

#include "cnnrt.h"
#include "data/image.h"

struct predict_ranks {
    const struct cnn_ranks *ranks;      /* NULL: this process is alone */
    struct cnn_context *context;
    struct image_fault *faults;         /* (batch) of the samples of the context */
    char *told, *heard;                 /* this one's record, those of all */
    size_t record, faults_at, predictions_at, input_at;
};

/* 0, or -1 with a message. */
int rt_predict_ranks_open(struct predict_ranks *p, const struct cnn_ranks *ranks, struct cnn_context *c,
                          struct image_fault *faults);
void rt_predict_ranks_close(struct predict_ranks *p);

int rt_predict_ranks_count(const struct predict_ranks *p);
int rt_predict_ranks_number(const struct predict_ranks *p);

/* Tells all what stands in the context and the faults: of so many samples; -1: the batch could not be had.  0, or -1
 * with a message. */
int rt_predict_ranks_gather(struct predict_ranks *p, int samples);
/* What a process has told, into the context and the faults.  Its samples, or -1. */
int rt_predict_ranks_take(struct predict_ranks *p, int rank);

#endif
