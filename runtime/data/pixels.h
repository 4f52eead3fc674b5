/* pixels.h - what has to be measured in a training set before its pixels can be prepared. */
#ifndef PIXELS_H
#define PIXELS_H

#include "common/pixel_steps.h"
#include "data/data.h"

/* Whether a step of the recipe says `auto`. */
bool rt_pixels_need_measure(const struct cnn_model *model);

/* How often each byte occurs in each channel of samples [first, end) of a set of bytes: (channels, 256), malloc'd; NULL
 * with a message. */
int64_t *rt_pixels_count(const struct cnn_model *model, const struct split *s, int64_t first, int64_t end);

/* Mean and deviation (of the whole population) of each channel of a set, as its samples arrive at
 * `normalize auto`.  A channel that never changes counts with deviation 1.  0, or -1 with a
 * message. */
int rt_pixels_measure(const struct cnn_model *model, const struct split *train, double *mean,
                      double *std);

#endif
