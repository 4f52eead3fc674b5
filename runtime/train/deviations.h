/* deviations.h - how far predicted numbers are from those that were to be predicted, over a whole set. */
#ifndef DEVIATIONS_H
#define DEVIATIONS_H

#include "cnnrt.h"

struct deviations {
    int outputs;                /* one where all are taken together */
    double *absolute, *squares; /* (outputs) sums over samples */
    double *rows;               /* of a sample: predicted, wanted */
    int numbers;                /* of a sample */
    int64_t samples;
};

/* Mean over samples, and over outputs where it is of all. */
struct deviation {
    double absolute, root_mean_square;
};

/* Of each of so many numbers of a sample, or of all together.  0, or -1 with a message. */
int rt_deviations_open(struct deviations *d, int numbers, bool together);
void rt_deviations_close(struct deviations *d);
void rt_deviations_begin(struct deviations *d);
/* Takes up the batch that has just been computed. */
void rt_deviations_add(struct deviations *d, const struct cnn_context *c, int n);

struct deviation rt_deviation(const struct deviations *d, int output);
struct deviation rt_deviation_of_all(const struct deviations *d);

/* The sums so far, to a saved state and back.  0, or -1 with a message. */
struct state;
void rt_deviations_save(const struct deviations *d, struct state *s);
int rt_deviations_load(struct deviations *d, struct state *s);

#endif
