/* flatten.c - a map as a vector: the same memory (view), whose order the tensor carries; and the
 * explicit change of that order (reorder) where something must see (c, h, w), also of maps that come from outside or go
 * there; and a copy, where the end of a network is what comes in. */
#include <string.h>
#include "ops/op_support.h"

static const struct arg_def no_args[] = { { .name = NULL } };

static bool flatten_shape(struct layer *l, struct diag *d)
{
    return layer_set_out(l, d, l->clause->where, shape_elements(layer_in(l)), 1, 1, true);
}

static struct tensor *flatten_lower(struct graph *g, struct layer *l, struct tensor *const *x)
{
    if (x[0]->shape.flat)
        return x[0];
    return lower_view(g, l, layer_node_name(g, l), x[0], l->out);
}

const struct layer_def layer_flatten = {
    .clause = { "flatten", ARGS(no_args),
                .help = "a map as a vector, over channels, rows, columns" },
    .reads_planes = true,
    .shape = flatten_shape,
    .lower = flatten_lower,
};

/* ---- the operations -------------------------------------------------------------------------- */

static void like_gradient(struct graph *g, struct node *n)
{
    struct tensor *x = n->in[0], *dy = n->out[0]->gradient, *dx;

    if (!x->needs_gradient)
        return;
    dx = grad_tensor(g, x);
    backward_node(g, n, n->op, "grad", &dy, 1, &dx, 1);
    grad_add(g, x, dx);
}

static const char *view_verify(const struct graph *g, const struct node *n)
{
    (void)g;
    CHECK(node_has(n, 1, 1, 0), "wrong number of inputs or outputs");
    const struct tensor *x = n->in[0], *y = n->out[0];
    CHECK(x->element == y->element, "its result has other elements than its input");
    CHECK(shape_elements(x->shape) == shape_elements(y->shape),
          "its result has another size than its input");
    const struct tensor *map = x->shape.flat ? y : x, *flat = x->shape.flat ? x : y;
    CHECK(!map->shape.flat && flat->shape.flat, "one side must be a map and the other a vector");
    bool plain = !is_ordered(map->shape) || map->planes;
    struct map_order order = { map->shape.c, map->shape.h, map->shape.w };
    CHECK(plain ? !flat->order.c : order_equal(flat->order, order),
          "its vector does not have its map's order");
    return NULL;
}

static const char *reorder_verify(const struct graph *g, const struct node *n)
{
    (void)g;
    CHECK(node_has(n, 1, 1, 0), "wrong number of inputs or outputs");
    const struct tensor *x = n->in[0], *y = n->out[0];
    CHECK(x->shape.flat == y->shape.flat && shape_elements(x->shape) == shape_elements(y->shape) &&
              x->shape.c == y->shape.c,
          "its result has another size than its input");
    if (!x->shape.flat) {
        CHECK(x->planes != y->planes, "its result has the order of its input");
        return NULL;
    }
    CHECK((x->order.c != 0) != (y->order.c != 0),
          "one side must have the user's order and the other a map's");
    return NULL;
}

static void view_run(const struct run *r, const struct node *n)
{
    memcpy(run_values(r, n->out[0]), run_values(r, n->in[0]), sizeof(double) * (size_t)run_elements(r, n->in[0]));
}

static void turn_run(const struct run *r, const struct tensor *x, const struct tensor *y)
{
    for (int s = 0; s < r->batch; s++)
        for (int c = 0; c < x->shape.c; c++)
            for (int row = 0; row < x->shape.h; row++)
                for (int column = 0; column < x->shape.w; column++)
                    *run_at(r, y, s, c, row, column) = *run_at(r, x, s, c, row, column);
}

static void reorder_run(const struct run *r, const struct node *n)
{
    const struct tensor *x = n->in[0], *y = n->out[0];
    int64_t features = x->shape.c;

    if (!x->shape.flat) {
        turn_run(r, x, y);
        return;
    }
    for (int64_t at = 0; at < run_elements(r, x); at += features)
        for (int64_t i = 0; i < features; i++)
            run_values(r, y)[at + order_place(y->order, i)] = run_values(r, x)[at + order_place(x->order, i)];
}

static const char *copy_verify(const struct graph *g, const struct node *n)
{
    CHECK(node_has(n, 1, 1, 0), "wrong number of inputs or outputs");
    CHECK(g->alone, "nobody asks for a copy");
    CHECK(shapes_equal(n->in[0], n->out[0]) && n->in[0]->planes == n->out[0]->planes,
          "its result has another shape or order than its input");
    return NULL;
}

const struct op_def op_def_view = {
    .op = OP_view, .reads_planes = true, .verify = view_verify, .gradient = like_gradient, .flops = no_flops,
    .run = view_run,
};
const struct op_def op_def_reorder = {
    .op = OP_reorder, .reads_planes = true, .verify = reorder_verify, .gradient = like_gradient, .flops = no_flops,
    .run = reorder_run,
};
const struct op_def op_def_copy = {
    .op = OP_copy, .reads_planes = true, .verify = copy_verify, .flops = no_flops, .run = view_run,
};
