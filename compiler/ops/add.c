/* add.c - the sum of branches.  A branch of one number a channel (C, or C x 1 x 1) is spread over
 * the others' rows and columns.  And the sum of gradients that meet. */
#include "ops/joins.h"

static const struct arg_def no_args[] = { { .name = NULL } };

static bool add_shape(struct layer *l, struct diag *d)
{
    return spread_shape(l, d, "added");
}

static struct tensor *add_lower(struct graph *g, struct layer *l, struct tensor *const *x)
{
    return lower_spread(g, l, OP_add, x);
}

const struct layer_def layer_add = {
    .clause = { "add", ARGS(no_args), .help = "the sum of its branches" },
    .is_join = true,
    .shape = add_shape,
    .lower = add_lower,
};

/* ---- the operations -------------------------------------------------------------------------- */

static void add_gradient(struct graph *g, struct node *n)
{
    struct tensor *a = n->in[0], *b = n->in[1], *dy = n->out[0]->gradient;

    if (a->needs_gradient)
        grad_add(g, a, dy);
    if (!b->needs_gradient)
        return;
    if (is_spread(b, a)) {
        struct tensor *db = grad_tensor(g, b);
        backward_node(g, n, OP_spread_grad, "spread_grad", &dy, 1, &db, 1);
        grad_add(g, b, db);
    } else {
        grad_add(g, b, dy);
    }
}

static const char *spread_grad_verify(const struct graph *g, const struct node *n)
{
    (void)g;
    CHECK(node_has(n, 1, 1, 0), "wrong number of inputs or outputs");
    return spread_grad_fits(n->in[0], n->out[0]);
}

static const char *sum_verify(const struct graph *g, const struct node *n)
{
    (void)g;
    CHECK(node_has(n, 2, 1, 0), "wrong number of inputs or outputs");
    CHECK(n->backward, "it stands in the forward graph");
    CHECK(shapes_equal(n->in[0], n->out[0]) && shapes_equal(n->in[1], n->out[0]),
          "its inputs and its result differ in shape or order");
    return NULL;
}

static int64_t spread_grad_flops(const struct node *n)
{
    return shape_elements(n->in[0]->shape);
}

static void add_run(const struct run *r, const struct node *n)
{
    const struct tensor *a = n->in[0], *b = n->in[1], *y = n->out[0];

    for (int64_t i = 0; i < run_elements(r, y); i++)
        run_values(r, y)[i] = run_values(r, a)[i] + (is_spread(b, a) ? 0 : run_values(r, b)[i]);
    if (is_spread(b, a))
        run_spread(r, b, y, 1);
}

static void spread_grad_run(const struct run *r, const struct node *n)
{
    run_sum_area(r, n->in[0], n->out[0], 1);
}

static void sum_run(const struct run *r, const struct node *n)
{
    for (int64_t i = 0; i < run_elements(r, n->out[0]); i++)
        run_values(r, n->out[0])[i] = run_values(r, n->in[0])[i] + run_values(r, n->in[1])[i];
}

const struct op_def op_def_add = {
    .op = OP_add, .verify = spread_verify, .gradient = add_gradient, .flops = out_flops, .run = add_run,
};
const struct op_def op_def_spread_grad = {
    .op = OP_spread_grad, .verify = spread_grad_verify, .flops = spread_grad_flops, .run = spread_grad_run,
};
const struct op_def op_def_sum = {
    .op = OP_sum, .verify = sum_verify, .flops = out_flops, .run = sum_run,
};
