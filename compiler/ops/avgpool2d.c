/* avgpool2d.c - the mean of each window; padding is not counted, neither above nor below
 * the line. */
#include "ops/pooling.h"

static const struct arg_def avgpool2d_args[] = { POOLING_ARGS };

static struct tensor *avgpool2d_lower(struct graph *g, struct layer *l, struct tensor *const *x)
{
    struct node *n = unary_node(g, OP_avgpool2d, l, layer_node_name(g, l), x[0], l->out,
                                (struct map_order){ 0, 0, 0 });

    n->attr.window = layer_window(l, "window");
    return n->out[0];
}

const struct layer_def layer_avgpool2d = {
    .clause = { "avgpool2d", ARGS(avgpool2d_args), .help = "the mean of each window" },
    .shape = pooling_shape,
    .lower = avgpool2d_lower,
};

/* ---- the operations -------------------------------------------------------------------------- */

static void avgpool2d_gradient(struct graph *g, struct node *n)
{
    pooling_gradient(g, n, OP_avgpool2d_grad, NULL);
}

static const char *avgpool2d_verify(const struct graph *g, const struct node *n)
{
    (void)g;
    CHECK(node_has(n, 1, 1, 0), "wrong number of inputs or outputs");
    return pooling_fits(n, n->in[0], n->out[0]);
}

static const char *avgpool2d_grad_verify(const struct graph *g, const struct node *n)
{
    (void)g;
    CHECK(node_has(n, 1, 1, 0), "wrong number of inputs or outputs");
    return pooling_fits(n, n->out[0], n->in[0]);
}

static int64_t avgpool2d_flops(const struct node *n)
{
    return shape_elements(n->out[0]->shape) * n->attr.window.kh * n->attr.window.kw;
}

static int64_t avgpool2d_grad_flops(const struct node *n)
{
    return shape_elements(n->in[0]->shape) * n->attr.window.kh * n->attr.window.kw;
}

static void avgpool2d_each(const struct run *r, const struct node *n, const struct tensor *x, const struct tensor *y,
                           bool backward)
{
    for (int64_t i = 0; i < run_elements(r, y); i++) {
        struct pooling_taps taps = pooling_taps(n, x, y, i);
        double *result = run_values(r, y) + i;
        for (int k = 0; k < taps.count; k++) {
            double *here = pooling_tap(r, x, &taps, k);
            if (backward)
                *here += *result / taps.count;
            else
                *result += *here / taps.count;
        }
    }
}

static void avgpool2d_run(const struct run *r, const struct node *n)
{
    avgpool2d_each(r, n, n->in[0], n->out[0], false);
}

static void avgpool2d_grad_run(const struct run *r, const struct node *n)
{
    avgpool2d_each(r, n, n->out[0], n->in[0], true);
}

const struct op_def op_def_avgpool2d = {
    .op = OP_avgpool2d, .verify = avgpool2d_verify, .gradient = avgpool2d_gradient, .flops = avgpool2d_flops,
    .run = avgpool2d_run,
};
const struct op_def op_def_avgpool2d_grad = {
    .op = OP_avgpool2d_grad, .verify = avgpool2d_grad_verify, .flops = avgpool2d_grad_flops,
    .run = avgpool2d_grad_run,
};
