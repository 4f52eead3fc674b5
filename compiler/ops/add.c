/* add.c - the sum of branches.  A branch of one number a channel (C, or C x 1 x 1) is spread over
 * the others' rows and columns.  And the sum of gradients that meet. */
#include "ops/op_support.h"

static const struct arg_def no_args[] = { { .name = NULL } };

/* Whether s is larger in kind: a map over a vector, a map of more than one position over others. */
static bool is_wider(struct shape s, struct shape than)
{
    int64_t a = (int64_t)s.h * s.w, b = (int64_t)than.h * than.w;

    return a != b ? a > b : !s.flat && than.flat;
}

/* The shape that the others are added to. */
static struct shape widest_input(const struct layer *l)
{
    struct shape widest = l->inputs[0]->out;

    for (int i = 1; i < l->inputs_count; i++)
        if (is_wider(l->inputs[i]->out, widest))
            widest = l->inputs[i]->out;
    return widest;
}

static bool add_shape(struct layer *l, struct diag *d)
{
    struct shape widest = widest_input(l);
    bool fits = true;

    layer_in(l);
    for (int i = 0; i < l->inputs_count; i++) {
        struct shape s = l->inputs[i]->out;
        bool spread = s.h == 1 && s.w == 1;
        fits &= s.c == widest.c && (spread || (s.h == widest.h && s.w == widest.w));
    }
    l->out = widest;
    if (fits)
        return true;
    diag_error(d, DIAG_shape_mismatch, l->clause->where,
               "the branches of '%s' give shapes that cannot be added", l->clause->def->name);
    for (int i = 0; i < l->inputs_count; i++)
        diag_note(d, l->inputs[i]->where, "branch %d gives %s", i + 1,
                  shape_text(l->inputs[i]->out).text);
    return false;
}

/* A branch's result as it can be added: shaped as the whole, or one number a channel in the user's
 * order. */
static struct tensor *add_operand(struct graph *g, struct layer *l, const char *name,
                                  struct tensor *x, struct map_order order)
{
    if (!x->shape.flat)
        return x;
    x = lower_reorder(g, l, arena_printf(g->arena, "%s_reorder", name), x, order);
    if (!l->out.flat && l->out.h == 1 && l->out.w == 1)
        x = lower_view(g, l, arena_printf(g->arena, "%s_view", name), x, l->out);
    return x;
}

static bool is_spread(const struct tensor *b, struct shape onto)
{
    return b->shape.h != onto.h || b->shape.w != onto.w;
}

static struct tensor *add_two(struct graph *g, struct layer *l, const char *name, struct tensor *a,
                              struct tensor *b)
{
    struct tensor *y = result_tensor(g, name, a->shape, a->order);

    graph_node(g, OP_add, l, name, (struct tensor *[]){ a, b }, 2, &y, 1);
    return y;
}

static struct tensor *add_lower(struct graph *g, struct layer *l, struct tensor *const *x)
{
    const char *name = layer_node_name(g, l);
    struct map_order order = l->out.flat ? x[0]->order : (struct map_order){ 0, 0, 0 };
    struct tensor **operands = arena_array(g->arena, (size_t)l->inputs_count, sizeof *operands);
    struct tensor *y = NULL;

    for (int i = 0; i < l->inputs_count; i++)
        operands[i] = add_operand(g, l, name, x[i], order);
    /* What is spread comes last, so that the first operand always has the result's shape. */
    for (int spread = 0; spread <= 1; spread++)
        for (int i = 0; i < l->inputs_count; i++) {
            if (is_spread(operands[i], l->out) != spread)
                continue;
            y = y ? add_two(g, l, name, y, operands[i]) : operands[i];
        }
    return y;
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
    if (is_spread(b, n->out[0]->shape)) {
        struct tensor *db = grad_tensor(g, b);
        backward_node(g, n, OP_spread_grad, "spread_grad", &dy, 1, &db, 1);
        grad_add(g, b, db);
    } else {
        grad_add(g, b, dy);
    }
}

static const char *add_verify(const struct graph *g, const struct node *n)
{
    (void)g;
    CHECK(node_has(n, 2, 1, 0), "wrong number of inputs or outputs");
    const struct tensor *a = n->in[0], *b = n->in[1];
    CHECK(shapes_equal(a, n->out[0]), "its result has another shape or order than its first input");
    if (is_spread(b, a->shape))
        CHECK(b->shape.c == a->shape.c && b->shape.h == 1 && b->shape.w == 1 && !b->order.c,
              "its second input cannot be spread over its first");
    else
        CHECK(shapes_equal(a, b), "its inputs have different shapes or orders");
    return NULL;
}

static const char *spread_grad_verify(const struct graph *g, const struct node *n)
{
    (void)g;
    CHECK(node_has(n, 1, 1, 0), "wrong number of inputs or outputs");
    const struct tensor *dy = n->in[0], *db = n->out[0];
    CHECK(!dy->shape.flat && db->shape.c == dy->shape.c && db->shape.h == 1 && db->shape.w == 1 &&
              !db->order.c,
          "its result is not one number for each channel of its input");
    return NULL;
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
        run_values(r, y)[i] = run_values(r, a)[i] + (is_spread(b, a->shape) ? 0 : run_values(r, b)[i]);
    if (is_spread(b, a->shape))
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
    .op = OP_add, .verify = add_verify, .gradient = add_gradient, .flops = out_flops, .run = add_run,
};
const struct op_def op_def_spread_grad = {
    .op = OP_spread_grad, .verify = spread_grad_verify, .flops = spread_grad_flops, .run = spread_grad_run,
};
const struct op_def op_def_sum = {
    .op = OP_sum, .verify = sum_verify, .flops = out_flops, .run = sum_run,
};
