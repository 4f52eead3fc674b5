/* mix.h - samples of a batch mixed with one another, and their targets with them, as `mixup` and `cutmix` of the
 * recipe's steps say. */
#ifndef MIX_H
#define MIX_H

#include "cnnrt.h"

/* Mixes the n samples that the context holds.  What is drawn follows from `key` alone.  Samples are mixed in pairs, so
 * one of an odd number stays as it is.  Where targets are classes, cnn_context.targets have a share for each before,
 * and labels are those of the largest afterwards. */
void rt_mix(struct cnn_context *c, int n, uint64_t key);

#endif
