/* multiply.c - the product of branches, element by element.  A branch of one number a channel (C, or C x 1 x 1) is
 * spread over the others' rows and columns: attention to channels. */
#include "ops/joins.h"

static const struct arg_def no_args[] = { { .name = NULL } };

static bool multiply_shape(struct layer *l, struct diag *d)
{
    return spread_shape(l, d, "multiplied");
}

static struct tensor *multiply_lower(struct graph *g, struct layer *l, struct tensor *const *x)
{
    return lower_spread(g, l, OP_multiply, x);
}

const struct layer_def layer_multiply = {
    .clause = { "multiply", ARGS(no_args), .help = "the product of its branches" },
    .is_join = true,
    .shape = multiply_shape,
    .lower = multiply_lower,
};

/* ---- the operations ---------------------------------------------------------------------------------------------- */

/* What flows to x, which is multiplied by `other`. */
static void product_gradient(struct graph *g, struct node *n, struct tensor *x, struct tensor *other)
{
    struct tensor *dx = grad_tensor(g, x), *dy = n->out[0]->gradient;

    if (is_spread(x, n->out[0]))
        backward_node(g, n, OP_multiply_spread_grad, "spread_grad", (struct tensor *[]){ dy, other }, 2, &dx, 1);
    else
        backward_node(g, n, OP_multiply, "grad", (struct tensor *[]){ dy, other }, 2, &dx, 1);
    grad_add(g, x, dx);
}

static void multiply_gradient(struct graph *g, struct node *n)
{
    struct tensor *a = n->in[0], *b = n->in[1];

    if (b->needs_gradient)
        product_gradient(g, n, b, a);
    if (a->needs_gradient)
        product_gradient(g, n, a, b);
}

static const char *multiply_spread_grad_verify(const struct graph *g, const struct node *n)
{
    (void)g;
    CHECK(node_has(n, 2, 1, 0), "wrong number of inputs or outputs");
    CHECK(shapes_equal(n->in[0], n->in[1]), "its inputs have different shapes or orders");
    return spread_grad_fits(n->in[0], n->out[0]);
}

static int64_t multiply_spread_grad_flops(const struct node *n)
{
    return 2 * shape_elements(n->in[0]->shape);
}

/* The number of b that belongs to element i of a. */
static double *partner(const struct run *r, const struct tensor *a, const struct tensor *b, int64_t i)
{
    int64_t channels = a->shape.c;

    return &run_values(r, b)[is_spread(b, a) ? i / shape_elements(a->shape) * channels + i % channels : i];
}

static void multiply_run(const struct run *r, const struct node *n)
{
    for (int64_t i = 0; i < run_elements(r, n->out[0]); i++)
        run_values(r, n->out[0])[i] = run_values(r, n->in[0])[i] * *partner(r, n->in[0], n->in[1], i);
}

static void multiply_spread_grad_run(const struct run *r, const struct node *n)
{
    for (int64_t i = 0; i < run_elements(r, n->in[0]); i++)
        *partner(r, n->in[0], n->out[0], i) += run_values(r, n->in[0])[i] * run_values(r, n->in[1])[i];
}

const struct op_def op_def_multiply = {
    .op = OP_multiply, .verify = spread_verify, .gradient = multiply_gradient, .flops = out_flops, .run = multiply_run,
};
const struct op_def op_def_multiply_spread_grad = {
    .op = OP_multiply_spread_grad, .verify = multiply_spread_grad_verify, .flops = multiply_spread_grad_flops,
    .run = multiply_spread_grad_run,
};
