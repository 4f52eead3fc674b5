/* batch_random.h - a batch of noise, for measuring and checking without data. */
#ifndef BATCH_RANDOM_H
#define BATCH_RANDOM_H

#include "core/random.h"
#include "cnnrt.h"

/* Pixels in [-1, 1) and targets of n samples, from (seed, use).  0, or -1 with a message. */
int rt_batch_random(struct cnn_context *c, int n, uint64_t seed, enum random_use use);

#endif
