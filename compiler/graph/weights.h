/* weights.h - the trained parameters of a network, read from a safetensors file. */
#ifndef WEIGHTS_H
#define WEIGHTS_H

#include "base/diag.h"
#include "graph/graph.h"

/* For each parameter of the graph, by its id, its numbers as the file holds them: row-major over
 * out x in x kh x kw, vectors and columns of matrices in the user's order (channels, rows,
 * columns).  All of them are finite. */
struct weights {
    const double **values;
    /* What the trainer noted beside them, of the network's own width each; NULL: nothing. */
    int class_names_count;
    const char *const *class_names;
    const double *mean, *std;       /* of each channel, as `normalize auto` found them */
};

/* Reads what the graph's parameters want: exactly one tensor each, of its shape, F32 or F64.  NULL
 * with errors in d that name the file, the tensor and the fault, as many as there are. */
const struct weights *weights_read(struct arena *a, const char *path, const struct graph *g,
                                   struct diag *d);

/* The graph's parameters have these numbers. */
void weights_settle(struct graph *g, const struct weights *w);

#endif
