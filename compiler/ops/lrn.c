/* lrn.c - local response normalisation, as AlexNet has it (Krizhevsky, Sutskever and Hinton 2012, section 3.3): each
 * number is divided by (k + alpha * the sum of the squares of `size` neighbouring channels of its pixel)^beta.  Beside
 * the map there is nothing to sum.  Of an even size the neighbour that has no opposite is the one below, as in PyTorch.
 *
 * The paper's alpha is times the sum; PyTorch's and Caffe's is times the mean, that is `size` times ours. */
#include <math.h>

#include "ops/op_support.h"

static const struct arg_def lrn_args[] = {
    { .name = "size", .type = ARG_INT, .positional = true, .required = true, .min = 1, .max = WINDOW_MOST,
      .help = "channels that are summed" },
    { .name = "alpha", .type = ARG_REAL, .max = 1e6, .default_number = 1e-4, .help = "times the sum of the squares" },
    { .name = "beta", .type = ARG_REAL, .max = 100, .default_number = 0.75, .help = "the power that divides" },
    { .name = "k", .type = ARG_REAL, .max = 1e6, .min_open = true, .default_number = 2, .help = "added to the sum" },
    { .name = NULL }
};

static bool lrn_shape(struct layer *l, struct diag *d)
{
    return layer_needs_map(l, d) && same_shape_rule(l, d);
}

static struct tensor *lrn_lower(struct graph *g, struct layer *l, struct tensor *const *x)
{
    struct node *n = unary_node(g, OP_lrn, l, layer_node_name(g, l), x[0], x[0]->shape, x[0]->order);

    n->attr.size = (int)clause_int(l->clause, "size");
    n->attr.factor = clause_number(l->clause, "alpha");
    n->attr.power = clause_number(l->clause, "beta");
    n->attr.offset = clause_number(l->clause, "k");
    return n->out[0];
}

const struct layer_def layer_lrn = {
    .clause = { "lrn", ARGS(lrn_args), .help = "divides by a power of the neighbouring channels' squares" },
    .shape = lrn_shape,
    .lower = lrn_lower,
};

/* ---- the operations -------------------------------------------------------------------------- */

static void lrn_gradient(struct graph *g, struct node *n)
{
    struct tensor *x = n->in[0], *dx;

    if (!x->needs_gradient)
        return;
    dx = grad_tensor(g, x);
    backward_node(g, n, OP_lrn_grad, "grad", (struct tensor *[]){ x, n->out[0]->gradient }, 2, &dx, 1);
    grad_add(g, x, dx);
}

static const char *lrn_verify(const struct graph *g, const struct node *n)
{
    (void)g;
    CHECK(node_has(n, n->op == OP_lrn ? 1 : 2, 1, 0), "wrong number of inputs or outputs");
    CHECK(!n->in[0]->shape.flat, "its input is no map");
    for (int i = 1; i < n->in_count; i++)
        CHECK(shapes_equal(n->in[0], n->in[i]), "its gradient has another shape or order than its input");
    CHECK(shapes_equal(n->in[0], n->out[0]), "its result has another shape or order than its input");
    return NULL;
}

static int64_t lrn_flops(const struct node *n)
{
    return (n->attr.size + 10) * shape_elements(n->in[0]->shape) * (n->op == OP_lrn ? 1 : 2);
}

/* Whether the number of channel `other` counts for that of channel c. */
static bool is_neighbour(const struct node *n, int c, int other)
{
    return other >= c - n->attr.size / 2 && other <= c + (n->attr.size - 1) / 2;
}

/* What the number of channel c of a pixel is divided by, before the power. */
static double divisor(const struct node *n, const double *pixel, int c)
{
    double sum = 0;

    for (int other = 0; other < n->in[0]->shape.c; other++)
        if (is_neighbour(n, c, other))
            sum += pixel[other] * pixel[other];
    return n->attr.offset + n->attr.factor * sum;
}

static void lrn_run(const struct run *r, const struct node *n)
{
    int channels = n->in[0]->shape.c;

    for (int64_t i = 0; i < run_elements(r, n->in[0]); i++) {
        const double *pixel = run_values(r, n->in[0]) + i - i % channels;
        run_values(r, n->out[0])[i] =
            run_values(r, n->in[0])[i] * pow(divisor(n, pixel, (int)(i % channels)), -n->attr.power);
    }
}

static void lrn_grad_run(const struct run *r, const struct node *n)
{
    int channels = n->in[0]->shape.c;

    for (int64_t i = 0; i < run_elements(r, n->in[0]); i++) {
        int c = (int)(i % channels);
        const double *pixel = run_values(r, n->in[0]) + i - c, dy = run_values(r, n->in[1])[i];
        double *dx = run_values(r, n->out[0]) + i - c, d = divisor(n, pixel, c);
        dx[c] += dy * pow(d, -n->attr.power);
        for (int other = 0; other < channels; other++)
            if (is_neighbour(n, c, other))
                dx[other] -= 2 * n->attr.factor * n->attr.power * pixel[other] * dy * pixel[c] * pow(d,
                        -n->attr.power - 1);
    }
}

const struct op_def op_def_lrn = {
    .op = OP_lrn, .verify = lrn_verify, .gradient = lrn_gradient, .flops = lrn_flops, .run = lrn_run,
};
const struct op_def op_def_lrn_grad = {
    .op = OP_lrn_grad, .verify = lrn_verify, .flops = lrn_flops, .run = lrn_grad_run,
};
