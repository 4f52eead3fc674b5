/* separable_conv2d.c - a depthwise convolution and one of 1x1 over what it makes, with nothing in between (Chollet,
 * "Xception", 2017).  Its parameters are those of the two: "NAME.depthwise.weight", "NAME.pointwise.weight" and, behind
 * the second, "NAME.pointwise.bias".  Stride, padding and dilation are of the first; both begin as `init` says. */
#include "ops/convolution.h"

static const struct arg_def separable_args[] = {
    { .name = "filters", .type = ARG_INT, .positional = true, .required = true, .min = 1, .max = CHANNELS_MOST,
      .help = "channels of the result" },
    CONVOLUTION_ARGS,
    MULTIPLIER_ARG,
    { .name = NULL }
};

static bool separable_shape(struct layer *l, struct diag *d)
{
    struct shape between;

    if (!depthwise_shape(l, d, &between))
        return false;
    int64_t filters = clause_int(l->clause, "filters");
    return param_fits(l, d, arg_span(l, "filters"), filters, between.c, 1, 1) &&
           layer_set_out(l, d, arg_span(l, "filters"), filters, between.h, between.w, false);
}

static int64_t separable_weights(const struct layer *l)
{
    return depthwise_weights(l) + l->in.c * clause_int(l->clause, "multiplier") * l->out.c;
}

static int64_t separable_parameters(const struct layer *l)
{
    return separable_weights(l) + channel_biases(l);
}

/* Each weight of both serves every position of the result once. */
static int64_t separable_multiply_adds(const struct layer *l)
{
    return separable_weights(l) * l->out.h * l->out.w;
}

static struct tensor *separable_lower(struct graph *g, struct layer *l, struct tensor *const *x)
{
    const struct window point = { .kh = 1, .kw = 1, .stride_h = 1, .stride_w = 1, .dilation_h = 1, .dilation_w = 1 };
    const char *name = arena_printf(g->arena, "%s_depthwise", layer_node_name(g, l));
    struct shape between = l->out;

    between.c = (int)(l->in.c * clause_int(l->clause, "multiplier"));
    struct tensor *y = lower_grouped_conv2d(g, l, name, "depthwise.weight", l->in.c, between, x[0]);
    y = lower_conv2d(g, l, "pointwise.weight", point, y);
    return clause_number(l->clause, "bias") ? lower_bias(g, l, "pointwise.bias", y) : y;
}

const struct layer_def layer_separable_conv2d = {
    .clause = { "separable_conv2d", ARGS(separable_args), .help = "depthwise convolution, then one of 1x1" },
    .reads_planes = true,
    .shape = separable_shape,
    .parameters = separable_parameters,
    .biases = channel_biases,
    .multiply_adds = separable_multiply_adds,
    .lower = separable_lower,
};
