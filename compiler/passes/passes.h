/* passes.h - what is done with whole graphs, in the order of main.c. */
#ifndef PASSES_H
#define PASSES_H

#include <stdio.h>

#include "graph/graph.h"

/* The forward graph with loss. */
struct graph *lower_model(struct arena *a, const struct model *m, bool training);
/* The graph of use as a function by itself (graph.alone), which --emit=inference writes. */
struct graph *lower_alone(struct arena *a, const struct model *m);
/* Rewrites of the forward graph, before its gradients. */
void simplify(struct graph *g);
/* Adds gradients of every trainable parameter. */
void differentiate(struct graph *g);

/* NULL when every invariant holds, else what is broken (in the graph's arena). */
const char *graph_verify(const struct graph *g);
void graph_dump(const struct graph *g, FILE *out);

#endif
