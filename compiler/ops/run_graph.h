/* run_graph.h - a graph computed in double precision with the plainest loops that there are: op_def.run of every
 * operation.
 *
 * It is what an operation means.  The samples of an emitted network's self-test, and the unit tests of lowering,
 * gradients and simplification, come from it; nothing of it is shared with what is emitted.
 *
 * Maps lie N x H x W x C (N x C x H x W where the tensor is planes), vectors in the order that their tensor says,
 * parameters as files hold them (out x in x kh x kw; vectors and columns in the user's order). */
#ifndef RUN_H
#define RUN_H

#include "graph/graph.h"

struct run {
    const struct graph *graph;
    int batch;
    double **values;            /* by tensor id */
    double noise;               /* 0, or every result is off by so much of itself, up or down, as rounding would be */
};

/* All values are zero, but parameters have those that are known of them. */
struct run run_new(struct arena *a, const struct graph *g, int batch);
/* Parameters off by r->noise. */
void run_disturb(const struct run *r);
/* All forward or all backward nodes, in their order. */
void run_graph(const struct run *r, bool backward);
/* One node alone. */
void run_node(const struct run *r, const struct node *n);
/* The mean loss of the batch, after the forward nodes. */
double run_loss(const struct run *r);

int64_t run_elements(const struct run *r, const struct tensor *t);

/* ---- for op_def.run: outputs are all zero when it is called ------------------------------------ */

static inline double *run_values(const struct run *r, const struct tensor *t)
{
    return r->values[t->id];
}

static inline double *run_at(const struct run *r, const struct tensor *t, int n, int c, int y, int x)
{
    const struct shape s = t->shape;

    if (t->planes)
        return run_values(r, t) + (((int64_t)n * s.c + c) * s.h + y) * s.w + x;
    return run_values(r, t) + (((int64_t)n * s.h + y) * s.w + x) * s.c + c;
}

/* The place in memory of what a user counts as element i of a vector, and back. */
static inline int64_t order_place(struct map_order o, int64_t i)
{
    int64_t area = (int64_t)o.h * o.w;

    return o.c ? i % area * o.c + i / area : i;
}

static inline int64_t order_user(struct map_order o, int64_t place)
{
    int64_t area = (int64_t)o.h * o.w;

    return o.c ? place % o.c * area + place / o.c : place;
}

/* The number that a vector of one a channel (a parameter, or moments) has for element i of something whose channels are
 * innermost. */
static inline double *run_column(const struct run *r, const struct tensor *v, int64_t i)
{
    int64_t c = i % v->shape.c;

    return run_values(r, v) + (v->param ? order_user(v->order, c) : c);
}

/* What a product's sum goes to: y += w x, x += w y (its gradient), or w += y x (likewise). */
enum run_sum { RUN_Y, RUN_X, RUN_W };

static inline void run_product(enum run_sum to, double *x, double *y, double *w)
{
    if (to == RUN_Y)
        *y += *w * *x;
    else if (to == RUN_X)
        *x += *w * *y;
    else
        *w += *y * *x;
}

/* Every product of a filter's tap with what it lies on; filters are shared by all positions, or each has its own.
 * Where they are of fewer channels than the map has, that one is in groups. */
void run_filters(const struct run *r, const struct window *window, enum run_sum to, const struct tensor *x,
                 const struct tensor *y, const struct tensor *w);
/* A vector's number of each channel += the map's elements of that channel, times scale; and the other way round. */
void run_sum_area(const struct run *r, const struct tensor *map, const struct tensor *vector, double scale);
void run_spread(const struct run *r, const struct tensor *vector, const struct tensor *map, double scale);
/* y = exp(x) over their sum; returns the sum's logarithm. */
double run_softmax(const double *x, int count, double *y);

#endif
