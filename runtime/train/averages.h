/* averages.h - averages of the trained parameters over steps, where the recipe has them: what is validated and
 * saved. */
#ifndef AVERAGES_H
#define AVERAGES_H

#include "cnnrt.h"

/* Exchanges the trained parameters with their averages, which the optimizer keeps among its state: twice is not at all.
 * Nothing where the recipe has none, or before the first step. */
void rt_averages_exchange(struct cnn_context *c);

#endif
