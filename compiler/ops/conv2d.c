/* conv2d.c - convolution (as all frameworks mean it: cross-correlation) of a map with filters of
 * O x I x KH x KW. */
#include "ops/convolution.h"

static const struct arg_def conv2d_args[] = {
    { .name = "filters", .type = ARG_INT, .positional = true, .required = true, .min = 1,
      .max = CHANNELS_MOST,
      .help = "channels of the result" },
    CONVOLUTION_ARGS,
    GROUPS_ARG,
    { .name = NULL }
};

static bool conv2d_shape(struct layer *l, struct diag *d)
{
    if (!layer_needs_map(l, d) || !groups_fit(l, d) || !convolution_fits(l, d))
        return false;
    struct axis y = layer_axis(l, "kernel", 0), x = layer_axis(l, "kernel", 1);
    int64_t filters = clause_int(l->clause, "filters");
    return param_fits(l, d, arg_span(l, "filters"), filters, l->in.c / groups_of(l), y.size, x.size) &&
           layer_set_out(l, d, arg_span(l, "filters"), filters, y.out, x.out, false);
}

static int64_t conv2d_weights(const struct layer *l)
{
    return l->out.c * (l->in.c / groups_of(l)) * kernel_taps(l);
}

static int64_t conv2d_parameters(const struct layer *l)
{
    return conv2d_weights(l) + channel_biases(l);
}

static int64_t conv2d_multiply_adds(const struct layer *l)
{
    return conv2d_weights(l) * l->out.h * l->out.w;
}

struct tensor *lower_conv2d(struct graph *g, struct layer *l, const char *suffix, struct window window,
                            struct tensor *x)
{
    const char *name = layer_node_name(g, l);
    struct param *w = graph_param(g, l, suffix, CNN_WEIGHT, &param_filters,
                                  (int[]){ l->out.c, x->shape.c, window.kh, window.kw });
    struct tensor *y = result_tensor(g, name, l->out, (struct map_order){ 0, 0, 0 });

    param_initialise(w, "init");
    struct node *n = graph_node(g, OP_conv2d, l, name, (struct tensor *[]){ x, w->tensor }, 2, &y, 1);
    n->attr.window = window;
    return y;
}

static struct tensor *conv2d_lower(struct graph *g, struct layer *l, struct tensor *const *x)
{
    struct window window = layer_window(l, "kernel");
    int groups = (int)groups_of(l);
    struct tensor *y = groups == 1 ? lower_conv2d(g, l, "weight", window, x[0])
                                   : lower_grouped_conv2d(g, l, layer_node_name(g, l), "weight", groups, l->out, x[0]);

    return clause_number(l->clause, "bias") ? lower_bias(g, l, "bias", y) : y;
}

const struct layer_def layer_conv2d = {
    .clause = { "conv2d", ARGS(conv2d_args), .help = "convolution" },
    .reads_planes = true,
    .shape = conv2d_shape,
    .parameters = conv2d_parameters,
    .biases = channel_biases,
    .multiply_adds = conv2d_multiply_adds,
    .lower = conv2d_lower,
};

/* ---- the operations -------------------------------------------------------------------------- */

static void conv2d_gradient(struct graph *g, struct node *n)
{
    struct tensor *x = n->in[0], *w = n->in[1], *dy = n->out[0]->gradient;

    if (w->needs_gradient) {
        struct tensor *dw = param_gradient(g, w);
        backward_node(g, n, OP_conv2d_weight_grad, "weight_grad", (struct tensor *[]){ x, dy }, 2,
                      &dw, 1);
    }
    if (x->needs_gradient) {
        struct tensor *dx = grad_tensor(g, x);
        backward_node(g, n, OP_conv2d_data_grad, "data_grad", (struct tensor *[]){ dy, w }, 2, &dx,
                      1);
        grad_add(g, x, dx);
    }
}

/* As the operation of a transposed convolution: the convolution goes back. */
static void conv2d_data_grad_gradient(struct graph *g, struct node *n)
{
    struct tensor *x = n->in[0], *w = n->in[1], *dy = n->out[0]->gradient;

    if (w->needs_gradient) {
        struct tensor *dw = param_gradient(g, w);
        backward_node(g, n, OP_conv2d_weight_grad, "weight_grad", (struct tensor *[]){ dy, x }, 2, &dw, 1);
    }
    if (x->needs_gradient) {
        struct tensor *dx = grad_tensor(g, x);
        backward_node(g, n, OP_conv2d, "data_grad", (struct tensor *[]){ dy, w }, 2, &dx, 1);
        grad_add(g, x, dx);
    }
}

/* x, y: the maps, whatever the direction; w: the filters or their gradient. */
static const char *conv2d_fits(const struct node *n, const struct tensor *x, const struct tensor *y,
                               const struct tensor *w)
{
    const struct param *p = w->param;

    CHECK(p && (p->form == &param_filters || p->form == &param_filters_back), "its weights are no filters");
    CHECK(param_extent(p, CNN_AXIS_KH) == n->attr.window.kh && param_extent(p, CNN_AXIS_KW) == n->attr.window.kw,
          "its filters have another size than its window");
    CHECK(param_extent(p, CNN_AXIS_IN) == x->shape.c && param_extent(p, CNN_AXIS_OUT) == y->shape.c,
          "its filters have other channels than its maps");
    CHECK(window_links(&n->attr.window, x, y), "its window does not take one map to the other");
    return NULL;
}

static const char *conv2d_verify(const struct graph *g, const struct node *n)
{
    (void)g;
    CHECK(node_has(n, 2, 1, 0), "wrong number of inputs or outputs");
    CHECK(is_param(n->in[1], &param_filters), "its weights are no filters");
    return conv2d_fits(n, n->in[0], n->out[0], n->in[1]);
}

static const char *conv2d_data_grad_verify(const struct graph *g, const struct node *n)
{
    CHECK(node_has(n, 2, 1, 0), "wrong number of inputs or outputs");
    CHECK(is_param(n->in[1], g->alone ? &param_filters_back : &param_filters), "its weights are no filters");
    return conv2d_fits(n, n->out[0], n->in[0], n->in[1]);
}

static const char *conv2d_weight_grad_verify(const struct graph *g, const struct node *n)
{
    (void)g;
    CHECK(node_has(n, 2, 1, 0), "wrong number of inputs or outputs");
    CHECK(is_param_gradient(n->out[0], n->forward, 1),
          "its result is not the gradient of its filters");
    return conv2d_fits(n, n->in[0], n->in[1], n->out[0]);
}

/* Two for each tap at each position of the result, taps on padding included. */
static int64_t conv2d_flops_of(const struct param *w, const struct tensor *y)
{
    return 2 * param_elements(w) * y->shape.h * y->shape.w;
}

static int64_t conv2d_flops(const struct node *n)
{
    return conv2d_flops_of(n->in[1]->param, n->out[0]);
}

static int64_t conv2d_data_grad_flops(const struct node *n)
{
    return conv2d_flops_of(n->in[1]->param, n->in[0]);
}

static int64_t conv2d_weight_grad_flops(const struct node *n)
{
    return conv2d_flops_of(n->out[0]->param, n->in[1]);
}

static void conv2d_run(const struct run *r, const struct node *n)
{
    run_filters(r, &n->attr.window, RUN_Y, n->in[0], n->out[0], n->in[1]);
}

static void conv2d_data_grad_run(const struct run *r, const struct node *n)
{
    run_filters(r, &n->attr.window, RUN_X, n->out[0], n->in[0], n->in[1]);
}

static void conv2d_weight_grad_run(const struct run *r, const struct node *n)
{
    run_filters(r, &n->attr.window, RUN_W, n->in[0], n->in[1], n->out[0]);
}

const struct op_def op_def_conv2d = {
    .op = OP_conv2d, .reads_planes = true, .verify = conv2d_verify, .gradient = conv2d_gradient, .flops = conv2d_flops,
    .run = conv2d_run,
};
const struct op_def op_def_conv2d_data_grad = {
    .op = OP_conv2d_data_grad, .verify = conv2d_data_grad_verify, .gradient = conv2d_data_grad_gradient,
    .flops = conv2d_data_grad_flops,
    .run = conv2d_data_grad_run,
};
const struct op_def op_def_conv2d_weight_grad = {
    .op = OP_conv2d_weight_grad, .verify = conv2d_weight_grad_verify, .flops = conv2d_weight_grad_flops,
    .run = conv2d_weight_grad_run,
};
