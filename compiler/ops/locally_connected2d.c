/* locally_connected2d.c - a convolution whose filters are not shared: each position of the result has weights of
 * O x I x KH x KW and a bias of its own (files: OH x OW x O x I x KH x KW, and OH x OW x O). */
#include "ops/op_support.h"

static const struct arg_def locally_connected2d_args[] = {
    { .name = "filters", .type = ARG_INT, .positional = true, .required = true, .min = 1,
      .max = CHANNELS_MOST,
      .help = "channels of the result" },
    { .name = "kernel", .type = ARG_EXTENT2, .positional = true, .required = true, .min = 1,
      .max = WINDOW_MOST,
      .help = "height x width of a filter" },
    { .name = "activation", .type = ARG_ACTIVATION, .positional = true,
      .help = "applied to the result" },
    { .name = "stride", .type = ARG_EXTENT2, .min = 1, .max = WINDOW_MOST, .default_number = 1,
      .help = "rows x columns from one position to the next" },
    { .name = "bias", .type = ARG_BOOL, .default_number = 1,
      .help = "adds a trained number to each element of the result" },
    { .name = "init", .type = ARG_INIT, .default_text = "glorot_uniform",
      .help = "how the filters begin" },
    { .name = "bias_init", .type = ARG_INIT, .default_text = "zeros",
      .help = "how the bias begins" },
    L2_ARG,
    { .name = NULL }
};

static int64_t local_weights(const struct layer *l)
{
    const int64_t *kernel = clause_arg(l->clause, "kernel")->dims;

    return shape_elements(l->out) * l->in.c * kernel[0] * kernel[1];
}

/* The weights of a single position fit already, and the result does: nothing here overflows. */
static bool local_weights_fit(struct layer *l, struct diag *d)
{
    const int64_t *kernel = clause_arg(l->clause, "kernel")->dims;

    if (local_weights(l) <= INT_MAX)
        return true;
    diag_error(d, DIAG_too_big, arg_span(l, "filters"),
               "the weights of '%s', %dx%d positions of %dx%dx%lldx%lld, are too big: at most %d "
               "numbers are possible",
               l->name, l->out.h, l->out.w, l->out.c, l->in.c, (long long)kernel[0],
               (long long)kernel[1], INT_MAX);
    diag_hint(d, "every position has its own; 'conv2d' shares one filter among all");
    return false;
}

static bool local_shape(struct layer *l, struct diag *d)
{
    if (!layer_needs_map(l, d) || !window_fits(l, d, "kernel") || !init_check(l, d, "init") ||
        !init_check(l, d, "bias_init"))
        return false;
    struct axis y = layer_axis(l, "kernel", 0), x = layer_axis(l, "kernel", 1);
    int64_t filters = clause_int(l->clause, "filters");
    return param_fits(l, d, arg_span(l, "filters"), filters, l->in.c, y.size, x.size) &&
           layer_set_out(l, d, arg_span(l, "filters"), filters, y.out, x.out, false) &&
           local_weights_fit(l, d);
}

static int64_t local_biases(const struct layer *l)
{
    return clause_number(l->clause, "bias") ? shape_elements(l->out) : 0;
}

static int64_t local_parameters(const struct layer *l)
{
    return local_weights(l) + local_biases(l);
}

/* Filters and biases of each position. */
static const struct param_form filters = {
    .files = { CNN_AXIS_OH, CNN_AXIS_OW, CNN_AXIS_OUT, CNN_AXIS_IN, CNN_AXIS_KH, CNN_AXIS_KW },
    .memory = { CNN_AXIS_OH, CNN_AXIS_OW, CNN_AXIS_OUT, CNN_AXIS_KH, CNN_AXIS_KW, CNN_AXIS_IN },
    .packing = PACKED_DIVISORS,
    .cut = CNN_AXIS_OUT,
};

static const struct param_form biases = {
    .files = { CNN_AXIS_OH, CNN_AXIS_OW, CNN_AXIS_OUT },
    .memory = { CNN_AXIS_OH, CNN_AXIS_OW, CNN_AXIS_OUT },
    .packing = PACKED_TIGHTLY,
};

/* The fans are those of one position, as in a convolution.  (Keras counts all positions into both, which makes its
 * first weights smaller by the root of their number.) */
static struct tensor *local_lower(struct graph *g, struct layer *l, struct tensor *const *x)
{
    const char *name = layer_node_name(g, l);
    struct window window = layer_window(l, "kernel");
    struct tensor *in[3] = { x[0] };
    int in_count = 2;

    struct param *w = graph_param(g, l, "weight", CNN_WEIGHT, &filters,
                                  (int[]){ l->out.h, l->out.w, l->out.c, l->in.c, window.kh, window.kw });
    param_initialise(w, "init");
    in[1] = w->tensor;
    if (clause_number(l->clause, "bias")) {
        struct param *b = graph_param(g, l, "bias", CNN_BIAS, &biases, (int[]){ l->out.h, l->out.w, l->out.c });
        param_initialise(b, "bias_init");
        in[in_count++] = b->tensor;
    }
    struct tensor *y = result_tensor(g, name, l->out, (struct map_order){ 0, 0, 0 });
    struct node *n = graph_node(g, OP_locally_connected2d, l, name, in, in_count, &y, 1);
    n->attr.window = window;
    return y;
}

const struct layer_def layer_locally_connected2d = {
    .clause = { "locally_connected2d", ARGS(locally_connected2d_args),
                .help = "convolution with filters of its own at each position" },
    .shape = local_shape,
    .parameters = local_parameters,
    .biases = local_biases,
    .multiply_adds = local_weights,         /* each is used once */
    .lower = local_lower,
};

/* ---- the operations -------------------------------------------------------------------------- */

/* Where the weights learn the bias does too, and is summed beside them. */
static void local_gradient(struct graph *g, struct node *n)
{
    struct tensor *x = n->in[0], *w = n->in[1], *dy = n->out[0]->gradient;

    if (w->needs_gradient) {
        struct tensor *d[2] = { param_gradient(g, w) };
        if (n->in_count > 2)
            d[1] = param_gradient(g, n->in[2]);
        backward_node(g, n, OP_locally_connected2d_weight_grad, "weight_grad",
                      (struct tensor *[]){ x, dy }, 2, d, n->in_count - 1);
    } else if (n->in_count > 2 && n->in[2]->needs_gradient) {
        struct tensor *db = param_gradient(g, n->in[2]);
        backward_node(g, n, OP_locally_connected2d_bias_grad, "bias_grad", &dy, 1, &db, 1);
    }
    if (x->needs_gradient) {
        struct tensor *dx = grad_tensor(g, x);
        backward_node(g, n, OP_locally_connected2d_data_grad, "data_grad",
                      (struct tensor *[]){ dy, w }, 2, &dx, 1);
        grad_add(g, x, dx);
    }
}

static bool has_positions(const struct param *p, const struct tensor *y)
{
    return param_extent(p, CNN_AXIS_OH) == y->shape.h && param_extent(p, CNN_AXIS_OW) == y->shape.w;
}

/* x, y: the maps, whatever the direction; w, b: the parameters or their gradients, b may be NULL. */
static const char *local_fits(const struct node *n, const struct tensor *x, const struct tensor *y,
                              const struct tensor *w, const struct tensor *b)
{
    const struct param *p = w->param;
    const struct window *k = &n->attr.window;

    CHECK(p && p->form == &filters, "its weights are no filters by position");
    CHECK(param_extent(p, CNN_AXIS_KH) == k->kh && param_extent(p, CNN_AXIS_KW) == k->kw,
          "its filters have another size than its window");
    CHECK(param_extent(p, CNN_AXIS_IN) == x->shape.c && param_extent(p, CNN_AXIS_OUT) == y->shape.c,
          "its filters have other channels than its maps");
    CHECK(has_positions(p, y),
          "its filters have other positions than its result");
    CHECK(!k->pad_top && !k->pad_bottom && !k->pad_left && !k->pad_right, "its window is padded");
    CHECK(k->dilation_h == 1 && k->dilation_w == 1, "its window is dilated");
    CHECK(window_links(k, x, y), "its window does not take one map to the other");
    if (!b)
        return NULL;
    CHECK(b->param && b->param->form == &biases, "its bias is no map of parameters");
    CHECK(has_positions(b->param, y) && param_extent(b->param, CNN_AXIS_OUT) == y->shape.c,
          "its bias does not fit its result");
    return NULL;
}

static const char *local_verify(const struct graph *g, const struct node *n)
{
    (void)g;
    CHECK(node_has(n, 2, 1, 0) || node_has(n, 3, 1, 0), "wrong number of inputs or outputs");
    CHECK(is_param(n->in[1], &filters), "its weights are no filters by position");
    CHECK(n->in_count == 2 || is_param(n->in[2], &biases), "its bias is no map of parameters");
    return local_fits(n, n->in[0], n->out[0], n->in[1], n->in_count > 2 ? n->in[2] : NULL);
}

static const char *local_data_grad_verify(const struct graph *g, const struct node *n)
{
    (void)g;
    CHECK(node_has(n, 2, 1, 0), "wrong number of inputs or outputs");
    CHECK(is_param(n->in[1], &filters), "its weights are no filters by position");
    return local_fits(n, n->out[0], n->in[0], n->in[1], NULL);
}

static const char *local_weight_grad_verify(const struct graph *g, const struct node *n)
{
    (void)g;
    CHECK(node_has(n, 2, 1, 0) || node_has(n, 2, 2, 0), "wrong number of inputs or outputs");
    CHECK(is_param_gradient(n->out[0], n->forward, 1),
          "its result is not the gradient of its filters");
    CHECK(n->out_count == n->forward->in_count - 1, "it forgets its bias");
    CHECK(n->out_count == 1 || is_param_gradient(n->out[1], n->forward, 2),
          "its second result is not the gradient of its bias");
    return local_fits(n, n->in[0], n->in[1], n->out[0], n->out_count > 1 ? n->out[1] : NULL);
}

static const char *local_bias_grad_verify(const struct graph *g, const struct node *n)
{
    (void)g;
    CHECK(node_has(n, 1, 1, 0), "wrong number of inputs or outputs");
    CHECK(is_param_gradient(n->out[0], n->forward, 2), "its result is not the gradient of its bias");
    CHECK(has_positions(n->out[0]->param, n->in[0]) &&
          param_extent(n->out[0]->param, CNN_AXIS_OUT) == n->in[0]->shape.c, "its bias does not fit its result");
    return NULL;
}

static int64_t local_bias_grad_flops(const struct node *n)
{
    return shape_elements(n->in[0]->shape);
}

static int64_t local_flops(const struct node *n)
{
    return 2 * param_elements(n->in[1]->param);
}

static int64_t local_weight_grad_flops(const struct node *n)
{
    return 2 * param_elements(n->out[0]->param);
}

/* The biases lie as the map does, rows, columns, channels. */
static void local_run(const struct run *r, const struct node *n)
{
    const struct tensor *y = n->out[0];

    run_filters(r, &n->attr.window, RUN_Y, n->in[0], y, n->in[1]);
    for (int64_t i = 0; n->in_count > 2 && i < run_elements(r, y); i++)
        run_values(r, y)[i] += run_values(r, n->in[2])[i % shape_elements(y->shape)];
}

static void local_data_grad_run(const struct run *r, const struct node *n)
{
    run_filters(r, &n->attr.window, RUN_X, n->out[0], n->in[0], n->in[1]);
}

static void sum_batch(const struct run *r, const struct tensor *dy, const struct tensor *db)
{
    for (int64_t i = 0; i < run_elements(r, dy); i++)
        run_values(r, db)[i % shape_elements(dy->shape)] += run_values(r, dy)[i];
}

static void local_weight_grad_run(const struct run *r, const struct node *n)
{
    run_filters(r, &n->attr.window, RUN_W, n->in[0], n->in[1], n->out[0]);
    if (n->out_count > 1)
        sum_batch(r, n->in[1], n->out[1]);
}

static void local_bias_grad_run(const struct run *r, const struct node *n)
{
    sum_batch(r, n->in[0], n->out[0]);
}

const struct op_def op_def_locally_connected2d = {
    .op = OP_locally_connected2d, .verify = local_verify, .gradient = local_gradient, .flops = local_flops,
    .run = local_run,
};
const struct op_def op_def_locally_connected2d_data_grad = {
    .op = OP_locally_connected2d_data_grad, .verify = local_data_grad_verify, .flops = local_flops,
    .run = local_data_grad_run,
};
const struct op_def op_def_locally_connected2d_weight_grad = {
    .op = OP_locally_connected2d_weight_grad, .verify = local_weight_grad_verify, .flops = local_weight_grad_flops,
    .run = local_weight_grad_run,
};
const struct op_def op_def_locally_connected2d_bias_grad = {
    .op = OP_locally_connected2d_bias_grad, .verify = local_bias_grad_verify, .flops = local_bias_grad_flops,
    .run = local_bias_grad_run,
};
