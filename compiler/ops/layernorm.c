/* layernorm.c - layer normalisation (Ba, Kiros and Hinton 2016): each sample by the mean and the (biased) variance of
 * its own numbers.  Over the channels of each pixel, as ConvNeXt and Keras's default axis=-1 have it, with a factor and
 * a summand for each channel; or over the whole sample, as PyTorch's LayerNorm((C, H, W)), with those for each
 * element.  Of a vector both are the same. */
#include <math.h>
#include <string.h>

#include "ops/normalisation.h"

static const char *const over_words[] = { "channels", "all", NULL };

static const struct arg_def layernorm_args[] = {
    { .name = "activation", .type = ARG_ACTIVATION, .positional = true, .help = "applied to the result" },
    { .name = "over", .type = ARG_WORD, .words = over_words, .default_text = "channels",
      .help = "channels: each pixel by itself; all: the whole sample" },
    { .name = "epsilon", .type = ARG_REAL, .min = 0, .max = 1, .min_open = true, .default_number = 1e-3,
      .help = "added to the variance" },
    NORM_ARGS("channel, or element"),
    { .name = NULL }
};

/* A number for each element of a map, which lies as the map does. */
static const struct param_form param_map = {
    .files = { CNN_AXIS_OUT, CNN_AXIS_OH, CNN_AXIS_OW },
    .memory = { CNN_AXIS_OH, CNN_AXIS_OW, CNN_AXIS_OUT },
    .packing = PACKED_TIGHTLY,
};

static bool layernorm_is_whole(const struct layer *l)
{
    return !l->out.flat && !strcmp(clause_arg(l->clause, "over")->text, "all");
}

static int64_t layernorm_each(const struct layer *l)
{
    return layernorm_is_whole(l) ? shape_elements(l->out) : l->out.c;
}

static int64_t layernorm_parameters(const struct layer *l)
{
    return norm_parameters(l, layernorm_each(l));
}

static int64_t layernorm_biases(const struct layer *l)
{
    return clause_number(l->clause, "center") ? layernorm_each(l) : 0;
}

static struct tensor *map_param(struct graph *g, struct layer *l, const char *argument, const char *suffix,
                                enum cnn_param_role role, enum cnn_init_kind init)
{
    if (!clause_number(l->clause, argument))
        return NULL;
    struct param *p = graph_param(g, l, suffix, role, &param_map, (int[]){ l->out.c, l->out.h, l->out.w });
    p->init.kind = init;
    return p->tensor;
}

static struct tensor *layernorm_lower(struct graph *g, struct layer *l, struct tensor *const *inputs)
{
    struct tensor *x = inputs[0], *gamma, *beta;
    const char *name = layer_node_name(g, l);

    if (layernorm_is_whole(l)) {
        gamma = map_param(g, l, "scale", "weight", CNN_WEIGHT, CNN_INIT_ONES);
        beta = map_param(g, l, "center", "bias", CNN_BIAS, CNN_INIT_ZEROS);
        return lower_groupnorm(g, l, name, x, gamma, beta, 1);
    }
    norm_params(g, l, x, &gamma, &beta);
    struct tensor *out[3] = { result_tensor(g, name, x->shape, x->order) };
    bool learns = x->needs_gradient || (gamma && gamma->needs_gradient) || (beta && beta->needs_gradient);
    if (g->training && learns) {
        out[1] = norm_kept_pixel(g, x, name, "mean");
        out[2] = norm_kept_pixel(g, x, name, "inverse_deviation");
    }
    struct node *n = graph_node(g, OP_layernorm, l, name, (struct tensor *[]){ x, gamma, beta }, 3, out,
                                out[1] ? 3 : 1);
    n->attr.epsilon = clause_number(l->clause, "epsilon");
    return out[0];
}

const struct layer_def layer_layernorm = {
    .clause = { "layernorm", ARGS(layernorm_args), .help = "normalises each pixel over its channels, or each sample" },
    .normalises = true,
    .shape = same_shape_rule,
    .parameters = layernorm_parameters,
    .biases = layernorm_biases,
    .lower = layernorm_lower,
};

/* ---- the operations -------------------------------------------------------------------------- */

enum { GAMMA = 1u << 1, BETA = 1u << 2 };       /* inputs that may be missing */

static void layernorm_gradient(struct graph *g, struct node *n)
{
    struct tensor *x = n->in[0], *out[3] = { 0 };

    if (x->needs_gradient)
        out[0] = grad_tensor(g, x);
    for (int i = 1; i <= 2; i++)
        if (n->in[i] && n->in[i]->needs_gradient)
            out[i] = norm_kept_sample(g, x, n->name, i == 1 ? "scale_sums" : "shift_sums");
    backward_node(g, n, OP_layernorm_grad, out[0] ? "data_grad" : "sums",
                  (struct tensor *[]){ x, n->in[1], n->out[1], n->out[2], n->out[0]->gradient }, 5, out, 3);
    norm_param_gradient(g, n, out + 1);
    if (out[0])
        grad_add(g, x, out[0]);
}

/* A number for each pixel of x. */
static bool is_per_pixel(const struct tensor *t, const struct tensor *x)
{
    return t->role == TENSOR_SAVED && t->per_sample && t->shape.c == 1 && t->shape.h == x->shape.h &&
           t->shape.w == x->shape.w && t->shape.flat == x->shape.flat;
}

static const char *layernorm_verify(const struct graph *g, const struct node *n)
{
    const struct tensor *x = n->in[0];

    (void)g;
    CHECK(node_has(n, 3, 1, GAMMA | BETA) || node_has(n, 3, 3, GAMMA | BETA), "wrong number of inputs or outputs");
    CHECK(norm_may_be_vector(n, 1) && norm_may_be_vector(n, 2) && norm_per_channel(n, 1, 2, x),
          "its parameters do not fit its input");
    CHECK(shapes_equal(x, n->out[0]), "its result has another shape or order than its input");
    CHECK(n->out_count == 1 || (is_per_pixel(n->out[1], x) && is_per_pixel(n->out[2], x)),
          "its moments do not fit its input");
    return NULL;
}

static const char *layernorm_grad_verify(const struct graph *g, const struct node *n)
{
    const struct tensor *x = n->in[0];

    (void)g;
    CHECK(n->in_count == 5 && n->out_count == 3 && x && n->in[2] && n->in[3] && n->in[4] &&
              (n->out[0] || n->out[1] || n->out[2]),
          "wrong number of inputs or outputs");
    CHECK(norm_may_be_vector(n, 1) && norm_per_channel(n, 1, 1, x), "its factors do not fit its input");
    CHECK(is_per_pixel(n->in[2], x) && is_per_pixel(n->in[3], x), "its moments do not fit its input");
    CHECK(norm_per_sample(n->out, 1, 2, x), "its sums do not fit its input");
    CHECK(shapes_equal(x, n->in[4]) && (!n->out[0] || shapes_equal(x, n->out[0])),
          "its gradients have another shape or order than its input");
    return NULL;
}

static int64_t layernorm_flops(const struct node *n)
{
    return 8 * shape_elements(n->out[0]->shape);
}

static int64_t layernorm_grad_flops(const struct node *n)
{
    return 14 * shape_elements(n->in[0]->shape);
}

static void layernorm_run(const struct run *r, const struct node *n)
{
    const struct tensor *x = n->in[0];
    int channels = x->shape.c;

    for (int64_t i = 0; i < run_elements(r, x); i += channels) {
        const double *from = run_values(r, x) + i;
        double mean = 0, variance = 0;
        for (int c = 0; c < channels; c++)
            mean += from[c] / channels;
        for (int c = 0; c < channels; c++)
            variance += (from[c] - mean) * (from[c] - mean) / channels;
        double inverse = 1 / sqrt(variance + n->attr.epsilon);
        for (int c = 0; c < channels; c++)
            run_values(r, n->out[0])[i + c] =
                (from[c] - mean) * inverse * norm_value(r, n->in[1], x, i + c, 1) + norm_value(r, n->in[2], x, i + c,
                        0);
        if (n->out_count == 1)
            continue;
        run_values(r, n->out[1])[i / channels] = mean;
        run_values(r, n->out[2])[i / channels] = inverse;
    }
}

static void layernorm_grad_run(const struct run *r, const struct node *n)
{
    const struct tensor *x = n->in[0];
    int channels = x->shape.c;

    for (int64_t i = 0; i < run_elements(r, x); i += channels) {
        const double *from = run_values(r, x) + i, *dy = run_values(r, n->in[4]) + i;
        double mean = run_values(r, n->in[2])[i / channels], inverse = run_values(r, n->in[3])[i / channels];
        double scale = 0, shift = 0;
        for (int c = 0; c < channels; c++) {
            double normal = (from[c] - mean) * inverse, g = dy[c] * norm_value(r, n->in[1], x, i + c, 1);
            scale += g * normal / channels;
            shift += g / channels;
            if (n->out[1])
                *norm_sample_column(r, n->out[1], x, i + c) += dy[c] * normal;
            if (n->out[2])
                *norm_sample_column(r, n->out[2], x, i + c) += dy[c];
        }
        for (int c = 0; n->out[0] && c < channels; c++)
            run_values(r, n->out[0])[i + c] =
                inverse * (dy[c] * norm_value(r, n->in[1], x, i + c, 1) - shift - (from[c] - mean) * inverse * scale);
    }
}

const struct op_def op_def_layernorm = {
    .op = OP_layernorm, .verify = layernorm_verify, .gradient = layernorm_gradient, .flops = layernorm_flops,
    .run = layernorm_run,
};
const struct op_def op_def_layernorm_grad = {
    .op = OP_layernorm_grad, .verify = layernorm_grad_verify, .flops = layernorm_grad_flops, .run = layernorm_grad_run,
};
