/* interpret.h - computes a graph of use for one sample, slowly, in double precision. */
#ifndef INTERPRET_H
#define INTERPRET_H

#include "graph/graph.h"
#include "graph/weights.h"

/* Whether every operation of the graph is one that interpret() and --emit=inference know: NULL, or
 * the first that is not. */
const struct node *interpret_unknown(const struct graph *g);
/* input and predictions in the user's order (channels, rows, columns).  Returns the largest
 * magnitude among predictions and logits: the scale of the rounding errors to expect.  *reach becomes
 * at least that of any value on the way; infinite where one is not a number. */
double interpret(const struct graph *g, const struct weights *w, const double *input,
                 double *predictions, double *reach);
double interpret_activation(enum activation a, double alpha, double x);

#endif
