/* network_answers.h - a batch for a network, with the answers that its operations give. */
#ifndef NETWORK_ANSWERS_H
#define NETWORK_ANSWERS_H

#include <stdio.h>

#include "ops/run_graph.h"

/* Writes, doubles: the numbers of all parameters in the order of files, the batch's pictures (c, h, w), its labels;
 * then the sum of losses, the predictions, and the gradients of what is trained.  concat_check.c reads it.  `run`
 * computes the graph of training; NULL: run_graph(), all of it. */
void answers_write(struct arena *a, const struct graph *g, int batch, int classes,
                   void (*run)(const struct run *r, const void *data), const void *data, FILE *out);

#endif
