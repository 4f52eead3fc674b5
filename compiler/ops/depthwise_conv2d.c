/* depthwise_conv2d.c - a convolution of each channel by itself: `multiplier` filters of KH x KW make as many channels
 * of it, which lie together (files: C multiplier x 1 x KH x KW).  It is a convolution in as many groups as there are
 * channels. */
#include "ops/convolution.h"

static const struct arg_def depthwise_args[] = { CONVOLUTION_ARGS, MULTIPLIER_ARG, { .name = NULL } };

static bool depthwise_conv2d_shape(struct layer *l, struct diag *d)
{
    return depthwise_shape(l, d, &l->out);
}

static int64_t depthwise_parameters(const struct layer *l)
{
    return depthwise_weights(l) + channel_biases(l);
}

static int64_t depthwise_multiply_adds(const struct layer *l)
{
    return depthwise_weights(l) * l->out.h * l->out.w;
}

static struct tensor *depthwise_lower(struct graph *g, struct layer *l, struct tensor *const *x)
{
    struct tensor *y = lower_grouped_conv2d(g, l, layer_node_name(g, l), "weight", l->in.c, l->out, x[0]);

    return clause_number(l->clause, "bias") ? lower_bias(g, l, "bias", y) : y;
}

const struct layer_def layer_depthwise_conv2d = {
    .clause = { "depthwise_conv2d", ARGS(depthwise_args), .help = "convolution of each channel by itself" },
    .reads_planes = true,
    .shape = depthwise_conv2d_shape,
    .parameters = depthwise_parameters,
    .biases = channel_biases,
    .multiply_adds = depthwise_multiply_adds,
    .lower = depthwise_lower,
};
