/* deviations.h - how far predicted numbers are from those that were to be predicted, over a whole set. */
#ifndef DEVIATIONS_H
#define DEVIATIONS_H

#include "cnnrt.h"

struct deviations {
    int outputs;
    double *absolute, *squares; /* (outputs) sums over samples */
    int64_t samples;
};

/* Mean over samples, and over outputs where it is of all. */
struct deviation {
    double absolute, root_mean_square;
};

/* 0, or -1 with a message. */
int rt_deviations_open(struct deviations *d, int outputs);
void rt_deviations_close(struct deviations *d);
void rt_deviations_begin(struct deviations *d);
/* Takes up the batch that has just been computed. */
void rt_deviations_add(struct deviations *d, const struct cnn_context *c, int n);

struct deviation rt_deviation(const struct deviations *d, int output);
struct deviation rt_deviation_of_all(const struct deviations *d);

#endif
