/* formula_loss.c - a loss that is a formula of one sample's targets y and predictions p, as its row says; its gradient
 * comes of the formula.  No layer: lower.c puts it behind the network. */
#include "ops/losses.h"
#include "ops/op_support.h"

static void formula_loss_gradient(struct graph *g, struct node *n)
{
    struct tensor *predictions = n->in[0], *gradient;

    if (!predictions->needs_gradient)
        return;
    gradient = grad_tensor(g, predictions);
    backward_node(g, n, OP_formula_loss_grad, "grad", n->in, 2, &gradient, 1);
    grad_add(g, predictions, gradient);
}

static const char *reads_ends(const struct graph *g, const struct node *n)
{
    CHECK(n->in[0] == g->predictions && n->in[1] == g->target,
          "it does not read the graph's predictions and targets");
    CHECK(n->in[0]->shape.flat && !n->in[0]->order.c, "its predictions are no vector in the user's order");
    CHECK(n->in[1]->element == ELEMENT_I32 || shapes_equal(n->in[0], n->in[1]),
          "its predictions have another shape than its targets");
    return NULL;
}

static const char *formula_loss_verify(const struct graph *g, const struct node *n)
{
    CHECK(node_has(n, 2, 1, 0), "wrong number of inputs or outputs");
    CHECK(n->out[0] == g->loss && n->out[0]->role == TENSOR_LOSS, "its result is not the graph's loss");
    return reads_ends(g, n);
}

static const char *formula_loss_grad_verify(const struct graph *g, const struct node *n)
{
    CHECK(node_has(n, 2, 1, 0), "wrong number of inputs or outputs");
    CHECK(shapes_equal(n->in[0], n->out[0]), "its result has another shape than the predictions");
    return reads_ends(g, n);
}

static int64_t formula_flops(const struct node *n, bool gradient)
{
    struct arena a = { 0 };
    const struct loss_expr e = loss_expr(&a, n->attr.loss);
    int64_t flops = shape_elements(n->in[0]->shape) * (expr_flops(e.pool, gradient ? e.gradient : e.value) + 1);

    arena_free(&a);
    return flops;
}

static int64_t formula_loss_flops(const struct node *n)
{
    return formula_flops(n, false);
}

static int64_t formula_loss_grad_flops(const struct node *n)
{
    return formula_flops(n, true);
}

/* The sample's targets, one-hot where they are classes. */
static const double *run_targets(const struct run *r, const struct node *n, int s, double *room)
{
    const struct tensor *target = n->in[1];
    int count = n->in[0]->shape.c;

    if (target->element != ELEMENT_I32)
        return run_values(r, target) + (int64_t)s * count;
    for (int k = 0; k < count; k++)
        room[k] = run_one_hot(run_values(r, target)[s], k, count);
    return room;
}

static void formula_run(const struct run *r, const struct node *n, bool gradient)
{
    struct arena a = { 0 };
    const struct loss_expr e = loss_expr(&a, n->attr.loss);
    int count = n->in[0]->shape.c;
    double *room = arena_array(&a, (size_t)count, sizeof *room);

    for (int s = 0; s < r->batch; s++) {
        const double *const inputs[LOSS_INPUTS] = { [LOSS_Y] = run_targets(r, n, s, room),
                                                    [LOSS_P] = run_values(r, n->in[0]) + (int64_t)s * count };
        double *out = run_values(r, n->out[0]) + (gradient ? (int64_t)s * count : s);
        expr_evaluate(e.pool, gradient ? e.gradient : e.value, inputs, count, out);
        for (int k = 0; k < (gradient ? count : 1); k++)
            out[k] *= loss_run_weight(r, n, s) / (gradient ? r->batch : 1);
    }
    arena_free(&a);
}

static void formula_loss_run(const struct run *r, const struct node *n)
{
    formula_run(r, n, false);
}

static void formula_loss_grad_run(const struct run *r, const struct node *n)
{
    formula_run(r, n, true);
}

const struct op_def op_def_formula_loss = {
    .op = OP_formula_loss, .verify = formula_loss_verify, .gradient = formula_loss_gradient,
    .flops = formula_loss_flops, .run = formula_loss_run,
};
const struct op_def op_def_formula_loss_grad = {
    .op = OP_formula_loss_grad, .verify = formula_loss_grad_verify, .flops = formula_loss_grad_flops,
    .run = formula_loss_grad_run,
};
