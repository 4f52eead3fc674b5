/* compare.h - a compiled network against the reference: predictions, loss, every gradient, running statistics,
 * updated parameters, metrics, and the same bits from one, two and three threads. */
#ifndef COMPARE_H
#define COMPARE_H

#include <stdio.h>

#include "cnnrt.h"
#include "generate.h"

/* How far a result may lie from the reference.  `error` is the largest difference that simulated rounding at eps
 * of float made in any element of the tensor over three runs, scaled to the precision at hand; sums of the
 * simulation err by eps * (sum of the sizes of their terms), which a careful float sum of any order keeps to.
 *     |got - want| <= COMPARE_ERRORS * error + COMPARE_EPS * eps * largest |want|
 * A tap, a channel or a place that is missing or wrong is worth some thousand times that. */
#define COMPARE_ERRORS 32.0
#define COMPARE_EPS 16.0

struct compare_counts {
    int tensors;                /* compared element by element */
    int coarse;                 /* gradients compared by their norm: every batch drawn came too near a kink */
    int failures;
    int faults_seen, faults_missed, faults_invisible;
};

/* Adds to counts and writes a line for each failure to log.  faults: plants those of enum ref_fault one by one
 * in the reference and expects the comparison to fail. */
void compare_network(struct network *network, const struct cnn_model *model, bool faults, FILE *log,
                     struct compare_counts *counts);

#endif
