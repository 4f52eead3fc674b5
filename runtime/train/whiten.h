/* whiten.h - the initialiser `whiten`: a first layer's filters from the training pictures. */
#ifndef WHITEN_H
#define WHITEN_H

#include "data/data.h"

/* Sets every parameter that begins as `whiten` from the training set as the network will see it, without what is drawn;
 * before: the parameters as they were initialised, of which those that have changed since are left (NULL: none has).
 * The same bits for any number of threads.  0, or -1 with a message. */
int rt_params_whiten(struct cnn_context *c, const struct dataset *data, const void *before);

/* Eigenvalues, the largest first, and vectors (a row each, of length 1, its largest number positive) of a symmetric
 * matrix of so many rows, which is overwritten. */
void rt_symmetric_eigen(double *matrix, int rows, double *values, double *vectors);

#endif
