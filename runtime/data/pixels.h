/* pixels.h - what becomes of a byte: the recipe's steps `scale` and `normalize`, from top to
 * bottom. */
#ifndef PIXELS_H
#define PIXELS_H

#include "data/data.h"

/* What `normalize auto` finds in a training set: of what arrives at it.  NULL: not known. */
struct pixel_measure {
    double *mean, *std;         /* (channels) */
};

/* Whether the recipe says `normalize auto`. */
bool rt_pixels_need_measure(const struct cnn_model *model);

/* Mean and deviation (of the whole population) of each channel of a set, as its pixels arrive at
 * `normalize auto`.  A channel that never changes counts with deviation 1.  0, or -1 with a
 * message. */
int rt_pixels_measure(const struct cnn_model *model, const struct split *train, double *mean,
                      double *std);

/* The table, real (channels, 256), malloc'd; NULL with a message.  measure: the numbers of
 * `normalize auto`. */
void *rt_pixels_table(const struct cnn_model *model, const struct pixel_measure *measure);

#endif
