/* activation.c - the activations: layers of their own, and what may end a conv2d, dense or
 * batchnorm. */
#include <assert.h>
#include <math.h>
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

static const double selu_scale = 1.0507009873554805, selu_alpha = 1.6732632423543772;

static double activation_value(enum activation a, double alpha, double x)
{
    switch (a) {
    case ACT_LINEAR: return x;
    case ACT_RELU: return fmax(x, 0);
    case ACT_RELU6: return fmin(fmax(x, 0), 6);
    case ACT_LEAKY_RELU: return x > 0 ? x : alpha * x;
    case ACT_ELU: return x > 0 ? x : alpha * expm1(x);
    case ACT_SELU: return selu_scale * (x > 0 ? x : selu_alpha * expm1(x));
    case ACT_GELU: return 0.5 * x * erfc(-x / sqrt(2));
    case ACT_SWISH: return x / (1 + exp(-x));
    case ACT_SIGMOID: return 1 / (1 + exp(-x));
    case ACT_TANH: return tanh(x);
    case ACT_SOFTPLUS: return fmax(x, 0) + log1p(exp(-fabs(x)));
    }
    return NAN;
}

/* The derivative from x or y, whichever activation_needs() says; the other is none. */
static double activation_slope(enum activation a, double alpha, double x, double y)
{
    const double pi = 3.141592653589793;

    switch (a) {
    case ACT_LINEAR: return 1;
    case ACT_RELU: return y > 0;
    case ACT_RELU6: return y > 0 && y < 6;
    case ACT_LEAKY_RELU: return y > 0 ? 1 : alpha;
    case ACT_ELU: return y > 0 ? 1 : y + alpha;
    case ACT_SELU: return y > 0 ? selu_scale : y + selu_scale * selu_alpha;
    case ACT_GELU: return 0.5 * erfc(-x / sqrt(2)) + x * exp(-x * x / 2) / sqrt(2 * pi);
    case ACT_SWISH: return 1 / (1 + exp(-x)) * (1 + x - x / (1 + exp(-x)));
    case ACT_SIGMOID: return y * (1 - y);
    case ACT_TANH: return 1 - y * y;
    case ACT_SOFTPLUS: return -expm1(-y);
    }
    return NAN;
}

static void activation_run(const struct run *r, const struct node *n)
{
    for (int64_t i = 0; i < run_elements(r, n->out[0]); i++)
        run_values(r, n->out[0])[i] = activation_value(n->attr.activation, n->attr.alpha, run_values(r, n->in[0])[i]);
}

static void activation_grad_run(const struct run *r, const struct node *n)
{
    for (int64_t i = 0; i < run_elements(r, n->out[0]); i++) {
        double x = n->in[0] ? run_values(r, n->in[0])[i] : NAN, y = n->in[1] ? run_values(r, n->in[1])[i] : NAN;
        run_values(r, n->out[0])[i] =
            run_values(r, n->in[2])[i] * activation_slope(n->attr.activation, n->attr.alpha, x, y);
    }
}

const struct op_def op_def_activation = {
    OP_activation, activation_verify, activation_gradient, activation_flops, activation_run
};
const struct op_def op_def_activation_grad = {
    OP_activation_grad, activation_grad_verify, NULL, activation_grad_flops, activation_grad_run
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

const struct op_def op_def_softmax = { OP_softmax, softmax_verify, softmax_gradient, softmax_flops, softmax_run };
const struct op_def op_def_softmax_grad = {
    OP_softmax_grad, softmax_grad_verify, NULL, softmax_grad_flops, softmax_grad_run
};
