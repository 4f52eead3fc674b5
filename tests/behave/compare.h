/* compare.h - a compiled network against the reference: predictions, loss, every gradient, running statistics,
 * updated parameters, metrics, and the same bits from one, two and three threads. */
#ifndef COMPARE_H
#define COMPARE_H

#include <stdio.h>

#include "build_network.h"
#include "cnnrt.h"
#include "generate.h"

/* How far a result may lie from the reference.  `error` is the largest difference that simulated rounding at eps
 * of float made in any element of the tensor over three runs, scaled to the precision at hand; sums of the
 * simulation err by eps * (sum of the sizes of their terms), which a careful float sum of any order keeps to.
 *     |got - want| <= COMPARE_ERRORS * error + COMPARE_EPS * eps * largest |want|
 * A tap, a channel or a place that is missing or wrong is worth some thousand times that.  In double there is room
 * to spare: both are COMPARE_DOUBLE times larger there, which still asks for some twelve digits.  Minimal filtering
 * (winograd) forms sums and differences of inputs that are larger than the products they stand for: where it takes
 * part, both are COMPARE_FILTERING times larger. */
#define COMPARE_ERRORS 16.0
#define COMPARE_EPS 8.0
#define COMPARE_DOUBLE 256.0
#define COMPARE_FILTERING 4.0

struct compare_counts {
    int tensors;                /* compared element by element */
    int coarse;                 /* gradients compared by their norm: every batch drawn came too near a kink */
    int failures;
    double worst;               /* largest difference, as a part of what was allowed */
    int faults_seen, faults_missed, faults_invisible;
};

/* Adds to counts and writes a line for each failure to log.  filtering: some kernel is of minimal filtering.
 * faults: plants those of enum ref_fault one by one in the reference and expects the comparison to fail. */
void compare_network(struct network *network, const struct cnn_model *model, bool filtering, bool faults, FILE *log,
                     struct compare_counts *counts);

/* The network in use, a picture at a time, as --emit=inference has written it with these weights.  faults: a tap that
 * is left out of the reference must be noticed. */
void compare_inference(struct network *network, const struct built_inference *built, bool faults, FILE *log,
                       struct compare_counts *counts);

#endif
