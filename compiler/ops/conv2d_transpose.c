/* conv2d_transpose.c - the transposed convolution: each number that arrives puts its filters' products into the result,
 * a stride apart, and what meets there is added up.
 *
 * It is the data gradient of the convolution that takes its result back to its input, and nothing else: that operation
 * computes it, its own data gradient is that convolution, and its weights' gradient that convolution's.  So it has no
 * kernels of its own, and files hold its filters as those of that convolution, as PyTorch does: channels that arrive x
 * filters of a group x rows x columns. */
#include <string.h>

#include "ops/convolution.h"

static const struct arg_def conv2d_transpose_args[] = {
    { .name = "filters", .type = ARG_INT, .positional = true, .required = true, .min = 1, .max = CHANNELS_MOST,
      .help = "channels of the result" },
    { .name = "kernel", .type = ARG_EXTENT2, .positional = true, .required = true, .min = 1, .max = WINDOW_MOST,
      .help = "height x width of a filter" },
    { .name = "activation", .type = ARG_ACTIVATION, .positional = true, .help = "applied to the result" },
    { .name = "stride", .type = ARG_EXTENT2, .min = 1, .max = WINDOW_MOST, .default_number = 1,
      .help = "rows x columns of the result from one position to the next" },
    { .name = "padding", .type = ARG_PADDING, .min = 0, .max = WINDOW_MOST, .default_text = "valid",
      .help = "taken off the result: valid (nothing), same, or rows x columns at each end" },
    { .name = "output_padding", .type = ARG_EXTENT2, .min = 0, .max = WINDOW_MOST, .default_number = 0,
      .help = "rows x columns more at the end of the result" },
    { .name = "dilation", .type = ARG_EXTENT2, .min = 1, .max = WINDOW_MOST, .default_number = 1,
      .help = "rows x columns from one tap of the filter to the next" },
    { .name = "bias", .type = ARG_BOOL, .default_number = 1, .help = "adds a trained number to each channel" },
    { .name = "init", .type = ARG_INIT, .default_text = "glorot_uniform", .help = "how the filters begin" },
    { .name = "bias_init", .type = ARG_INIT, .default_text = "zeros", .help = "how the bias begins" },
    L2_ARG,
    GROUPS_ARG,
    { .name = NULL }
};

static int64_t part_of(const struct layer *l, const char *name, int direction)
{
    return clause_arg(l->clause, name)->dims[direction];
}

/* One direction of the convolution that takes the result (`in`) back to what arrives (`out`): its padding is what is
 * taken off the result.  in < 1: nothing is left of that. */
static struct axis transposed_axis(const struct layer *l, int direction)
{
    const struct arg_value *padding = clause_arg(l->clause, "padding");
    struct axis a = {
        .out = direction ? l->in.w : l->in.h, .size = part_of(l, "kernel", direction),
        .stride = part_of(l, "stride", direction), .dilation = part_of(l, "dilation", direction),
    };

    a.reach = (a.size - 1) * a.dilation + 1;
    if (padding->text && !strcmp(padding->text, "same")) {
        int64_t taken = a.reach > a.stride ? a.reach - a.stride : 0;    /* Keras's: the odd one at the end */
        a.before = taken / 2;
        a.after = taken - a.before;
        a.in = a.out * a.stride;
        return a;
    }
    if (!padding->text)
        a.before = a.after = padding->dims[direction];
    a.in = (a.out - 1) * a.stride + a.reach - a.before - a.after + part_of(l, "output_padding", direction);
    return a;
}

static bool output_padding_fits(const struct layer *l, struct diag *d)
{
    const struct arg_value *more = clause_arg(l->clause, "output_padding"), *stride = clause_arg(l->clause, "stride");
    const struct arg_value *padding = clause_arg(l->clause, "padding");

    if (!more->dims[0] && !more->dims[1])
        return true;
    if (padding->text && !strcmp(padding->text, "same")) {
        diag_error(d, DIAG_bad_padding, more->where,
                   "padding=same gives what arrives times the stride; 'output_padding' goes with padding=valid or a number");
        return false;
    }
    if (more->dims[0] < stride->dims[0] && more->dims[1] < stride->dims[1])
        return true;
    diag_error(d, DIAG_bad_padding, more->where,
               "'output_padding' must be less than the stride of %lldx%lld, found %lldx%lld",
                   (long long)stride->dims[0],
               (long long)stride->dims[1], (long long)more->dims[0], (long long)more->dims[1]);
    diag_hint(d, "rows beyond that would be reached by no filter: zero_pad2d adds such rows");
    return false;
}

static bool conv2d_transpose_shape(struct layer *l, struct diag *d)
{
    if (!layer_needs_map(l, d) || !groups_fit(l, d) || !init_check(l, d, "init") || !init_check(l, d, "bias_init") ||
        !output_padding_fits(l, d))
        return false;
    struct axis y = transposed_axis(l, 0), x = transposed_axis(l, 1);
    int64_t filters = clause_int(l->clause, "filters");
    if (y.in < 1 || x.in < 1) {
        diag_error(d, DIAG_bad_padding, arg_span(l, "padding"),
                   "a padding of %lldx%lld leaves nothing of the %lldx%lld that '%s' makes of %s",
                   (long long)y.before, (long long)x.before, (long long)(y.in + y.before + y.after),
                   (long long)(x.in + x.before + x.after), l->name, shape_text(l->in).text);
        note_input(d, l);
        return false;
    }
    return param_fits(l, d, arg_span(l, "filters"), l->in.c, filters / groups_of(l), y.size, x.size) &&
           layer_set_out(l, d, arg_span(l, "filters"), filters, y.in, x.in, false);
}

static int64_t conv2d_transpose_weights(const struct layer *l)
{
    return l->in.c * (l->out.c / groups_of(l)) * part_of(l, "kernel", 0) * part_of(l, "kernel", 1);
}

static int64_t conv2d_transpose_parameters(const struct layer *l)
{
    return conv2d_transpose_weights(l) + channel_biases(l);
}

/* Each number that arrives is multiplied with all taps, those taken off the result included. */
static int64_t conv2d_transpose_multiply_adds(const struct layer *l)
{
    return conv2d_transpose_weights(l) * l->in.h * l->in.w;
}

static struct window transposed_window(const struct layer *l)
{
    struct axis y = transposed_axis(l, 0), x = transposed_axis(l, 1);

    return (struct window){
        .kh = (int)y.size, .kw = (int)x.size,
        .stride_h = (int)y.stride, .stride_w = (int)x.stride,
        .dilation_h = (int)y.dilation, .dilation_w = (int)x.dilation,
        .pad_top = (int)y.before, .pad_bottom = (int)y.after,
        .pad_left = (int)x.before, .pad_right = (int)x.after,
    };
}

/* Where the graph stands alone filters lie as plain loops over the result's channels like them. */
static struct tensor *lower_back(struct graph *g, struct layer *l, struct window window, struct tensor *x)
{
    const char *name = layer_node_name(g, l);
    struct param *w = graph_param(g, l, "weight", CNN_WEIGHT, g->alone ? &param_filters_back : &param_filters,
                                  (int[]){ l->in.c, l->out.c, window.kh, window.kw });
    struct tensor *y = result_tensor(g, name, l->out, (struct map_order){ 0, 0, 0 });

    param_initialise(w, "init");
    struct node *n =
        graph_node(g, OP_conv2d_data_grad, l, name, (struct tensor *[]){ x, w->tensor }, 2, &y, 1);
    n->attr.window = window;
    return y;
}

static struct tensor *conv2d_transpose_lower(struct graph *g, struct layer *l, struct tensor *const *x)
{
    int groups = (int)groups_of(l);
    struct window window = transposed_window(l);
    struct tensor *y = groups == 1 ? lower_back(g, l, window, x[0]) : lower_grouped_back(g, l, groups, window, x[0]);

    return clause_number(l->clause, "bias") ? lower_bias(g, l, "bias", y) : y;
}

const struct layer_def layer_conv2d_transpose = {
    .clause = { "conv2d_transpose", ARGS(conv2d_transpose_args), .help = "transposed convolution" },
    .shape = conv2d_transpose_shape,
    .parameters = conv2d_transpose_parameters,
    .biases = channel_biases,
    .multiply_adds = conv2d_transpose_multiply_adds,
    .lower = conv2d_transpose_lower,
};
