/* activation.c - the activations: layers of their own, and what may end a conv2d, dense or
 * batchnorm. */
#include <assert.h>
#include <string.h>
#include "ops/op_support.h"

static struct tensor *activation_lower(struct graph *g, struct layer *l, struct tensor *const *x)
{
    return lower_activation(g, l, l->clause, x[0]);
}

#define NO_ALPHA
#define ALPHA(most, value, text)                                                                                       \
    { .name = "alpha", .type = ARG_REAL, .positional = true, .min = 0, .max = most, .default_number = value, .help = text },
#define ACTIVATION(id, text, alpha, ...)                                                                               \
    static const struct arg_def id##_args[] = { alpha { .name = NULL } };                                              \
    const struct layer_def layer_##id = {                                                                              \
        .clause = { #id, ARGS(id##_args), .help = text },                                                              \
        .is_activation = true,                                                                                         \
        .shape = same_shape_rule,                                                                                      \
        .lower = activation_lower,                                                                                     \
    };

#include "expr/activations.def"
ACTIVATION(softmax, "exp(x) over its sum over the channels", NO_ALPHA)

#undef ACTIVATION
#undef ALPHA
#undef NO_ALPHA

static const struct layer_def *const activation_layers[] = {
#define ACTIVATION(id, ...) [ACT_##id] = &layer_##id,
#include "expr/activations.def"
#undef ACTIVATION
};

static const struct activation_row *row_of(const struct clause *call, double *alpha)
{
    *alpha = 0;
    if (call->own) {
        *alpha = call->own->same ? call->own->same_alpha : 0;
        return call->own->same ? call->own->same : call->own;
    }
    for (int i = 0; i < ACTIVATIONS_COUNT; i++)
        if (call->def == &activation_layers[i]->clause) {
            if (activation_has_alpha(activation_row((enum activation)i)))
                *alpha = clause_number(call, "alpha");
            return activation_row((enum activation)i);
        }
    assert(!"a clause that is no activation");
    return NULL;
}

struct layer_def *own_activation_layer(struct arena *a, struct clause_def clause)
{
    struct layer_def *def = arena_alloc(a, sizeof *def);

    *def = (struct layer_def){ .clause = clause, .is_activation = true, .shape = same_shape_rule,
                               .lower = activation_lower };
    return def;
}

bool is_activation_call(const struct clause *call, const char *name)
{
    return call && !call->def->function && !strcmp(call->def->name, name);
}

struct tensor *lower_activation(struct graph *g, struct layer *l, const struct clause *call,
                                struct tensor *x)
{
    if (!call)
        return x;
    bool own_layer = call == l->clause;
    const char *name = own_layer ? layer_node_name(g, l)
                                 : arena_printf(g->arena, "%s_%s", l->name, call->def->name);
    if (call->def == &layer_softmax.clause)
        return unary_node(g, OP_softmax, l, name, x, x->shape, x->order)->out[0];
    struct node *n = unary_node(g, OP_activation, l, name, x, x->shape, x->order);
    n->attr.activation = row_of(call, &n->attr.alpha);
    if (!activation_has_alpha(n->attr.activation))
        n->attr.alpha = 0;
    return n->out[0];
}

/* ---- the operations -------------------------------------------------------------------------- */

static void activation_gradient(struct graph *g, struct node *n)
{
    struct tensor *x = n->in[0], *y = n->out[0], *dx;
    char reads = activation_reads(n->attr.activation);

    if (!x->needs_gradient)
        return;
    dx = grad_tensor(g, x);
    struct tensor *in[] = { reads == 'x' ? x : NULL, reads == 'y' ? y : NULL, y->gradient };
    backward_node(g, n, OP_activation_grad, "grad", in, 3, &dx, 1);
    grad_add(g, x, dx);
}

static const char *unary_verify(const struct node *n)
{
    CHECK(node_has(n, 1, 1, 0), "wrong number of inputs or outputs");
    CHECK(shapes_equal(n->in[0], n->out[0]),
          "its result has another shape or order than its input");
    return NULL;
}

static const char *activation_verify(const struct graph *g, const struct node *n)
{
    (void)g;
    return unary_verify(n);
}

static const char *activation_grad_verify(const struct graph *g, const struct node *n)
{
    (void)g;
    char reads = activation_reads(n->attr.activation);
    CHECK(node_has(n, 3, 1, (reads != 'x') | (unsigned)(reads != 'y') << 1),
          "wrong number of inputs or outputs");
    CHECK((n->in[0] != NULL) == (reads == 'x') && (n->in[1] != NULL) == (reads == 'y'),
          "it does not read what its activation needs");
    CHECK(!n->in[0] || shapes_equal(n->in[0], n->out[0]),
          "its first input does not fit its result");
    CHECK(!n->in[1] || shapes_equal(n->in[1], n->out[0]),
          "its second input does not fit its result");
    CHECK(shapes_equal(n->in[2], n->out[0]),
          "its result has another shape or order than its input");
    return NULL;
}

static int64_t activation_flops(const struct node *n)
{
    return shape_elements(n->out[0]->shape) * n->attr.activation->flops;
}

static int64_t activation_grad_flops(const struct node *n)
{
    /* Those that read the result have their exponential already. */
    return activation_reads(n->attr.activation) == 'x' ? activation_flops(n)
                                                  : 2 * shape_elements(n->out[0]->shape);
}

static void activation_run(const struct run *r, const struct node *n)
{
    activation_evaluate(n->attr.activation, n->attr.alpha, run_values(r, n->in[0]), run_elements(r, n->out[0]),
                        run_values(r, n->out[0]));
}

static void activation_grad_run(const struct run *r, const struct node *n)
{
    const double *read = run_values(r, n->in[0] ? n->in[0] : n->in[1]);

    activation_evaluate_gradient(n->attr.activation, n->attr.alpha, run_values(r, n->in[2]), read,
                                 run_elements(r, n->out[0]), run_values(r, n->out[0]));
}

const struct op_def op_def_activation = {
    .op = OP_activation, .verify = activation_verify, .gradient = activation_gradient, .flops = activation_flops,
    .run = activation_run,
};
const struct op_def op_def_activation_grad = {
    .op = OP_activation_grad, .verify = activation_grad_verify, .flops = activation_grad_flops,
    .run = activation_grad_run,
};

static void softmax_gradient(struct graph *g, struct node *n)
{
    struct tensor *x = n->in[0], *y = n->out[0], *dx;

    if (!x->needs_gradient)
        return;
    dx = grad_tensor(g, x);
    backward_node(g, n, OP_softmax_grad, "grad", (struct tensor *[]){ y, y->gradient }, 2, &dx, 1);
    grad_add(g, x, dx);
}

static const char *softmax_verify(const struct graph *g, const struct node *n)
{
    (void)g;
    return unary_verify(n);
}

static const char *softmax_grad_verify(const struct graph *g, const struct node *n)
{
    (void)g;
    CHECK(node_has(n, 2, 1, 0), "wrong number of inputs or outputs");
    CHECK(shapes_equal(n->in[0], n->out[0]) && shapes_equal(n->in[1], n->out[0]),
          "its result has another shape or order than its inputs");
    return NULL;
}

static int64_t softmax_flops(const struct node *n)
{
    return 12 * shape_elements(n->out[0]->shape);
}

static int64_t softmax_grad_flops(const struct node *n)
{
    return 4 * shape_elements(n->out[0]->shape);
}

static void softmax_run(const struct run *r, const struct node *n)
{
    int channels = n->in[0]->shape.c;

    for (int64_t i = 0; i < run_elements(r, n->in[0]); i += channels)
        run_softmax(run_values(r, n->in[0]) + i, channels, run_values(r, n->out[0]) + i);
}

static void softmax_grad_run(const struct run *r, const struct node *n)
{
    int channels = n->in[0]->shape.c;

    for (int64_t i = 0; i < run_elements(r, n->in[0]); i += channels) {
        const double *y = run_values(r, n->in[0]) + i, *dy = run_values(r, n->in[1]) + i;
        double dot = 0;
        for (int c = 0; c < channels; c++)
            dot += y[c] * dy[c];
        for (int c = 0; c < channels; c++)
            run_values(r, n->out[0])[i + c] = y[c] * (dy[c] - dot);
    }
}

const struct op_def op_def_softmax = {
    .op = OP_softmax, .verify = softmax_verify, .gradient = softmax_gradient, .flops = softmax_flops,
    .run = softmax_run,
};
const struct op_def op_def_softmax_grad = {
    .op = OP_softmax_grad, .verify = softmax_grad_verify, .flops = softmax_grad_flops, .run = softmax_grad_run,
};
