/* fitted_samples.h - pictures that are resized when a batch needs them. */
#ifndef FITTED_SAMPLES_H
#define FITTED_SAMPLES_H

#include "data/data.h"

/* Puts the pictures of all sets of the dataset in the network's size, as `resize` of the recipe says, each when it is
 * asked for: what the dataset had (samples, stores) lies behind its store then.  0, or -1 with a message. */
int rt_fitted_open(struct dataset *d, const struct cnn_model *m);

#endif
