/* global_avgpool2d.c - the mean of each channel, as a vector. */
#include "ops/op_support.h"

static const struct arg_def no_args[] = { { .name = NULL } };

static bool global_avgpool2d_shape(struct layer *l, struct diag *d)
{
    return layer_needs_map(l, d) && layer_set_out(l, d, l->clause->where, l->in.c, 1, 1, true);
}

static struct tensor *global_avgpool2d_lower(struct graph *g, struct layer *l,
                                             struct tensor *const *x)
{
    return unary_node(g, OP_global_avgpool2d, l, layer_node_name(g, l), x[0], l->out,
                      (struct map_order){ 0, 0, 0 })->out[0];
}

const struct layer_def layer_global_avgpool2d = {
    .clause = { "global_avgpool2d", ARGS(no_args),
                .help = "the mean of each channel, as a vector" },
    .shape = global_avgpool2d_shape,
    .lower = global_avgpool2d_lower,
};

/* ---- the operations -------------------------------------------------------------------------- */

static void global_avgpool2d_gradient(struct graph *g, struct node *n)
{
    struct tensor *x = n->in[0], *dy = n->out[0]->gradient, *dx;

    if (!x->needs_gradient)
        return;
    dx = grad_tensor(g, x);
    backward_node(g, n, OP_global_avgpool2d_grad, "grad", &dy, 1, &dx, 1);
    grad_add(g, x, dx);
}

static const char *global_avgpool2d_fits(const struct tensor *x, const struct tensor *y)
{
    CHECK(!x->shape.flat && y->shape.flat && x->shape.c == y->shape.c && !y->order.c,
          "its vector is not one of its map's channels");
    return NULL;
}

static const char *global_avgpool2d_verify(const struct graph *g, const struct node *n)
{
    (void)g;
    CHECK(node_has(n, 1, 1, 0), "wrong number of inputs or outputs");
    return global_avgpool2d_fits(n->in[0], n->out[0]);
}

static const char *global_avgpool2d_grad_verify(const struct graph *g, const struct node *n)
{
    (void)g;
    CHECK(node_has(n, 1, 1, 0), "wrong number of inputs or outputs");
    return global_avgpool2d_fits(n->out[0], n->in[0]);
}

static int64_t global_avgpool2d_flops(const struct node *n)
{
    return shape_elements(n->in[0]->shape);
}

static double share_of(const struct tensor *map)
{
    return 1 / ((double)map->shape.h * map->shape.w);
}

static void global_avgpool2d_run(const struct run *r, const struct node *n)
{
    run_sum_area(r, n->in[0], n->out[0], share_of(n->in[0]));
}

static void global_avgpool2d_grad_run(const struct run *r, const struct node *n)
{
    run_spread(r, n->in[0], n->out[0], share_of(n->out[0]));
}

const struct op_def op_def_global_avgpool2d = {
    .op = OP_global_avgpool2d, .verify = global_avgpool2d_verify, .gradient = global_avgpool2d_gradient,
    .flops = global_avgpool2d_flops, .run = global_avgpool2d_run,
};
const struct op_def op_def_global_avgpool2d_grad = {
    .op = OP_global_avgpool2d_grad, .verify = global_avgpool2d_grad_verify, .flops = out_flops,
    .run = global_avgpool2d_grad_run,
};
