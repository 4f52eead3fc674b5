/* scale.c - y = factor * x, a constant of the file: logits are kept small with it, or a branch. */
#include "ops/op_support.h"

static const struct arg_def scale_args[] = {
    { .name = "factor", .type = ARG_REAL, .positional = true, .required = true,
      .help = "what every number is multiplied by" },
    { .name = NULL }
};

static struct tensor *scale_lower(struct graph *g, struct layer *l, struct tensor *const *x)
{
    double factor = clause_number(l->clause, "factor");

    if (factor == 1)
        return x[0];
    struct node *n = unary_node(g, OP_factor, l, layer_node_name(g, l), x[0], x[0]->shape, x[0]->order);
    n->attr.factor = factor;
    return n->out[0];
}

const struct layer_def layer_scale = {
    .clause = { "scale", ARGS(scale_args), .help = "multiplies by a constant" },
    .shape = same_shape_rule,
    .lower = scale_lower,
};

/* ---- the operations -------------------------------------------------------------------------- */

static void factor_gradient(struct graph *g, struct node *n)
{
    struct tensor *x = n->in[0], *dy = n->out[0]->gradient, *dx;

    if (!x->needs_gradient)
        return;
    dx = grad_tensor(g, x);
    backward_node(g, n, OP_factor_grad, "grad", &dy, 1, &dx, 1);
    grad_add(g, x, dx);
}

static const char *factor_verify(const struct graph *g, const struct node *n)
{
    (void)g;
    CHECK(node_has(n, 1, 1, 0), "wrong number of inputs or outputs");
    CHECK(shapes_equal(n->in[0], n->out[0]), "its result has another shape or order than its input");
    return NULL;
}

static void factor_run(const struct run *r, const struct node *n)
{
    for (int64_t i = 0; i < run_elements(r, n->out[0]); i++)
        run_values(r, n->out[0])[i] = n->attr.factor * run_values(r, n->in[0])[i];
}

static void factor_affine(const struct node *n, int64_t channel, double *scale, double *shift)
{
    (void)channel;
    *scale = n->attr.factor;
    *shift = 0;
}

const struct op_def op_def_factor = {
    .op = OP_factor, .verify = factor_verify, .gradient = factor_gradient, .flops = out_flops, .run = factor_run,
    .affine = factor_affine,
};
const struct op_def op_def_factor_grad = {
    .op = OP_factor_grad, .verify = factor_verify, .flops = out_flops, .run = factor_run,
};
