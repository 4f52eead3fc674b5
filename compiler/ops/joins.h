/* joins.h - what joins have in common: branches whose shapes do not go together, vectors in the user's order, and
 * operations of two operands of which the second may be spread over rows and columns. */
#ifndef JOINS_H
#define JOINS_H

#include "ops/op_support.h"

/* Reports that the branches cannot be "added", and the shape of each. */
bool join_refuse(const struct layer *l, struct diag *d, const char *what);
/* The results as vectors in one order: x where it is a map. */
struct tensor *join_reorder(struct graph *g, struct layer *l, const char *name, struct tensor *x,
                            struct map_order order);

/* The shape rule: branches alike, but for those of one number a channel (C, or C x 1 x 1), which are spread. */
bool spread_shape(struct layer *l, struct diag *d, const char *what);
/* The branches joined by operations of two, what is spread last: the first operand always has the result's shape. */
struct tensor *lower_spread(struct graph *g, struct layer *l, enum op op, struct tensor *const *x);

/* Whether b has one number a channel where a has rows and columns. */
bool is_spread(const struct tensor *b, const struct tensor *a);
/* What must hold of such an operation; of its gradient for what is spread, made of the result's. */
const char *spread_verify(const struct graph *g, const struct node *n);
const char *spread_grad_fits(const struct tensor *dy, const struct tensor *db);

#endif
