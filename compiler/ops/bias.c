/* bias.c - y = x + b, one number a channel.  No layer of its own: conv2d and dense end with it. */
#include "ops/op_support.h"

static void bias_gradient(struct graph *g, struct node *n)
{
    struct tensor *x = n->in[0], *b = n->in[1], *dy = n->out[0]->gradient;

    if (b->needs_gradient) {
        struct tensor *db = param_gradient(g, b);
        backward_node(g, n, OP_bias_grad, "grad", &dy, 1, &db, 1);
    }
    if (x->needs_gradient)
        grad_add(g, x, dy);
}

static const char *bias_verify(const struct graph *g, const struct node *n)
{
    (void)g;
    CHECK(node_has(n, 2, 1, 0), "wrong number of inputs or outputs");
    CHECK(is_param(n->in[1], &param_vector), "its second input is no vector of parameters");
    CHECK(is_per_channel(n->in[1], n->in[0]), "its bias does not fit its input");
    CHECK(shapes_equal(n->in[0], n->out[0]),
          "its result has another shape or order than its input");
    return NULL;
}

static const char *bias_grad_verify(const struct graph *g, const struct node *n)
{
    (void)g;
    CHECK(node_has(n, 1, 1, 0), "wrong number of inputs or outputs");
    CHECK(is_param_gradient(n->out[0], n->forward, 1),
          "its result is not the gradient of its bias");
    CHECK(is_per_channel(n->out[0], n->in[0]), "its result does not fit its input");
    return NULL;
}

static int64_t bias_grad_flops(const struct node *n)
{
    return shape_elements(n->in[0]->shape);
}

static void bias_run(const struct run *r, const struct node *n)
{
    for (int64_t i = 0; i < run_elements(r, n->out[0]); i++)
        run_values(r, n->out[0])[i] = run_values(r, n->in[0])[i] + *run_column(r, n->in[1], i);
}

static void bias_affine(const struct node *n, int64_t channel, double *scale, double *shift)
{
    *scale = 1;
    *shift = n->in[1]->param->values[channel];
}

static void bias_grad_run(const struct run *r, const struct node *n)
{
    for (int64_t i = 0; i < run_elements(r, n->in[0]); i++)
        *run_column(r, n->out[0], i) += run_values(r, n->in[0])[i];
}

const struct op_def op_def_bias = {
    .op = OP_bias, .verify = bias_verify, .gradient = bias_gradient, .flops = out_flops, .run = bias_run,
    .affine = bias_affine,
};
const struct op_def op_def_bias_grad = {
    .op = OP_bias_grad, .verify = bias_grad_verify, .flops = bias_grad_flops, .run = bias_grad_run,
};
