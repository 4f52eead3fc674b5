/* activation.c - the activations: layers of their own, and what may end a conv2d, dense or
 * batchnorm. */
#include <assert.h>
#include "ops/op_support.h"

static const struct arg_def no_args[] = { { .name = NULL } };

/* Not negative: then the sign of the result tells that of the argument, and gradients need the
 * result alone. */
static const struct arg_def leaky_relu_args[] = {
    { .name = "alpha", .type = ARG_REAL, .positional = true, .min = 0, .max = 1e6,
      .default_number = 0.3,
      .help = "slope below 0" },
    { .name = NULL }
};

static const struct arg_def elu_args[] = {
    { .name = "alpha", .type = ARG_REAL, .positional = true, .min = 0, .max = 1e6,
      .default_number = 1,
      .help = "what the result falls to, -alpha" },
    { .name = NULL }
};

static struct tensor *activation_lower(struct graph *g, struct layer *l, struct tensor *const *x)
{
    return lower_activation(g, l, l->clause, x[0]);
}

#define ACTIVATION(id, arguments, text)                                     \
    const struct layer_def layer_##id = {                                   \
        .clause = { #id, ARGS(arguments), .help = text },                   \
        .is_activation = true,                                              \
        .shape = same_shape_rule,                                           \
        .lower = activation_lower,                                          \
    };

ACTIVATION(relu, no_args, "max(x, 0)")
ACTIVATION(relu6, no_args, "min(max(x, 0), 6)")
ACTIVATION(leaky_relu, leaky_relu_args, "x, below 0 alpha * x")
ACTIVATION(elu, elu_args, "x, below 0 alpha * (exp(x) - 1)")
ACTIVATION(selu, no_args,
           "elu scaled so that networks normalise themselves (Klambauer et al. 2017)")
ACTIVATION(gelu, no_args, "x * (1 + erf(x / sqrt(2))) / 2")
ACTIVATION(swish, no_args, "x * sigmoid(x)")
ACTIVATION(sigmoid, no_args, "1 / (1 + exp(-x))")
ACTIVATION(tanh, no_args, "hyperbolic tangent")
ACTIVATION(softplus, no_args, "log(1 + exp(x))")
ACTIVATION(softmax, no_args, "exp(x) over its sum over the channels")

#undef ACTIVATION

static const struct activation_row {
    const struct layer_def *layer;
    enum activation activation;
    char gradient_reads;
    bool has_alpha;
    int flops;                  /* an element, an exponential counted as 8 */
} activations[ACTIVATIONS_COUNT] = {
    { NULL, ACT_LINEAR, 0, false, 0 },
    { &layer_relu, ACT_RELU, 'y', false, 1 },
    { &layer_relu6, ACT_RELU6, 'y', false, 2 },
    { &layer_leaky_relu, ACT_LEAKY_RELU, 'y', true, 2 },
    { &layer_elu, ACT_ELU, 'y', true, 10 },
    { &layer_selu, ACT_SELU, 'y', false, 11 },
    { &layer_gelu, ACT_GELU, 'x', false, 20 },
    { &layer_swish, ACT_SWISH, 'x', false, 11 },
    { &layer_sigmoid, ACT_SIGMOID, 'y', false, 10 },
    { &layer_tanh, ACT_TANH, 'y', false, 11 },
    { &layer_softplus, ACT_SOFTPLUS, 'y', false, 17 },
};

/* The row of the enum's value: the table is in its order. */
static const struct activation_row *activation_row(enum activation a)
{
    assert((int)a >= 0 && (int)a < ACTIVATIONS_COUNT && activations[a].activation == a);
    return &activations[a];
}

enum activation activation_of(const struct clause *call, double *alpha)
{
    *alpha = 0;
    if (!call)
        return ACT_LINEAR;
    for (int i = 1; i < ACTIVATIONS_COUNT; i++)
        if (call->def == &activations[i].layer->clause) {
            if (activations[i].has_alpha)
                *alpha = clause_number(call, "alpha");
            return activations[i].activation;
        }
    assert(!"a clause that is no activation");
    return ACT_LINEAR;
}

char activation_needs(enum activation a)
{
    return activation_row(a)->gradient_reads;
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
    n->attr.activation = activation_of(call, &n->attr.alpha);
    return n->out[0];
}

/* ---- the operations -------------------------------------------------------------------------- */

static void activation_gradient(struct graph *g, struct node *n)
{
    struct tensor *x = n->in[0], *y = n->out[0], *dx;
    char reads = activation_needs(n->attr.activation);

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
    char reads = activation_needs(n->attr.activation);
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
    return shape_elements(n->out[0]->shape) * activation_row(n->attr.activation)->flops;
}

static int64_t activation_grad_flops(const struct node *n)
{
    /* Those that read the result have their exponential already. */
    return activation_needs(n->attr.activation) == 'x' ? activation_flops(n)
                                                  : 2 * shape_elements(n->out[0]->shape);
}

const struct op_def op_def_activation = { OP_activation, activation_verify, activation_gradient,
                                          activation_flops };
const struct op_def op_def_activation_grad = {
    OP_activation_grad, activation_grad_verify, NULL, activation_grad_flops
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

const struct op_def op_def_softmax = { OP_softmax, softmax_verify, softmax_gradient,
                                       softmax_flops };
const struct op_def op_def_softmax_grad = { OP_softmax_grad, softmax_grad_verify, NULL,
                                            softmax_grad_flops };
