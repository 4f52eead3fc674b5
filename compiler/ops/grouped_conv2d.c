/* grouped_conv2d.c - a convolution whose channels are in groups: those of a group of y are made of the same group of x
 * alone.  Filters are O x I x KH x KW, I being the channels of a group of x; with I = 1 it is depthwise, and y's
 * channel c multiplier + m is made of x's channel c.
 *
 * Fans count what an output really sees, I KH KW, and O KH KW, as PyTorch and Keras count them for groups.  (For a
 * depthwise layer Keras counts all channels as seen: with multiplier 1 the sum of both is the same.) */
#include "ops/convolution.h"

static const struct param_form filters = {
    .files = { CNN_AXIS_OUT, CNN_AXIS_IN, CNN_AXIS_KH, CNN_AXIS_KW },
    .memory = { CNN_AXIS_OUT, CNN_AXIS_KH, CNN_AXIS_KW, CNN_AXIS_IN },
    .packing = PACKED_VECTORS,
    .cut = CNN_AXIS_OUT,
};

struct tensor *lower_grouped_conv2d(struct graph *g, struct layer *l, const char *name, const char *suffix, int groups,
                                    struct shape result, struct tensor *x)
{
    struct window window = layer_window(l, "kernel");
    struct param *w = graph_param(g, l, suffix, CNN_WEIGHT, &filters,
                                  (int[]){ result.c, x->shape.c / groups, window.kh, window.kw });
    struct tensor *y = result_tensor(g, name, result, (struct map_order){ 0, 0, 0 });

    param_initialise(w, "init");
    w->init.groups = groups;
    struct node *n = graph_node(g, OP_grouped_conv2d, l, name, (struct tensor *[]){ x, w->tensor }, 2, &y, 1);
    n->attr.window = window;
    return y;
}

/* Where the graph stands alone filters lie as plain loops over the result's channels like them. */
struct tensor *lower_grouped_back(struct graph *g, struct layer *l, int groups, struct window window, struct tensor *x)
{
    const char *name = layer_node_name(g, l);
    struct param *w = graph_param(g, l, "weight", CNN_WEIGHT, g->alone ? &param_filters_back : &filters,
                                  (int[]){ l->in.c, l->out.c / groups, window.kh, window.kw });
    struct tensor *y = result_tensor(g, name, l->out, (struct map_order){ 0, 0, 0 });

    param_initialise(w, "init");
    w->init.groups = groups;
    struct node *n =
        graph_node(g, OP_grouped_conv2d_data_grad, l, name, (struct tensor *[]){ x, w->tensor }, 2, &y, 1);
    n->attr.window = window;
    return y;
}

/* ---- the operations ---------------------------------------------------------------------------------------------- */

static void grouped_gradient(struct graph *g, struct node *n)
{
    struct tensor *x = n->in[0], *w = n->in[1], *dy = n->out[0]->gradient;

    if (w->needs_gradient) {
        struct tensor *dw = param_gradient(g, w);
        backward_node(g, n, OP_grouped_conv2d_weight_grad, "weight_grad", (struct tensor *[]){ x, dy }, 2, &dw, 1);
    }
    if (x->needs_gradient) {
        struct tensor *dx = grad_tensor(g, x);
        backward_node(g, n, OP_grouped_conv2d_data_grad, "data_grad", (struct tensor *[]){ dy, w }, 2, &dx, 1);
        grad_add(g, x, dx);
    }
}

/* As the operation of a transposed convolution: the convolution goes back. */
static void grouped_data_grad_gradient(struct graph *g, struct node *n)
{
    struct tensor *x = n->in[0], *w = n->in[1], *dy = n->out[0]->gradient;

    if (w->needs_gradient) {
        struct tensor *dw = param_gradient(g, w);
        backward_node(g, n, OP_grouped_conv2d_weight_grad, "weight_grad", (struct tensor *[]){ dy, x }, 2, &dw, 1);
    }
    if (x->needs_gradient) {
        struct tensor *dx = grad_tensor(g, x);
        backward_node(g, n, OP_grouped_conv2d, "data_grad", (struct tensor *[]){ dy, w }, 2, &dx, 1);
        grad_add(g, x, dx);
    }
}

/* x, y: the maps, whatever the direction; w: the filters or their gradient. */
static const char *grouped_fits(const struct node *n, const struct tensor *x, const struct tensor *y,
                                const struct tensor *w)
{
    const struct param *p = w->param;

    CHECK(p && (p->form == &filters || p->form == &param_filters_back), "its weights are no filters");
    int in = param_extent(p, CNN_AXIS_IN);
    CHECK(param_extent(p, CNN_AXIS_KH) == n->attr.window.kh && param_extent(p, CNN_AXIS_KW) == n->attr.window.kw,
          "its filters have another size than its window");
    CHECK(param_extent(p, CNN_AXIS_OUT) == y->shape.c && x->shape.c % in == 0 && y->shape.c % (x->shape.c / in) == 0,
          "its filters have other channels than the groups of its maps");
    CHECK(window_links(&n->attr.window, x, y), "its window does not take one map to the other");
    return NULL;
}

static const char *grouped_verify(const struct graph *g, const struct node *n)
{
    (void)g;
    CHECK(node_has(n, 2, 1, 0), "wrong number of inputs or outputs");
    CHECK(is_param(n->in[1], &filters), "its weights are no filters");
    return grouped_fits(n, n->in[0], n->out[0], n->in[1]);
}

static const char *grouped_data_grad_verify(const struct graph *g, const struct node *n)
{
    CHECK(node_has(n, 2, 1, 0), "wrong number of inputs or outputs");
    CHECK(is_param(n->in[1], g->alone ? &param_filters_back : &filters), "its weights are no filters");
    return grouped_fits(n, n->out[0], n->in[0], n->in[1]);
}

static const char *grouped_weight_grad_verify(const struct graph *g, const struct node *n)
{
    (void)g;
    CHECK(node_has(n, 2, 1, 0), "wrong number of inputs or outputs");
    CHECK(is_param_gradient(n->out[0], n->forward, 1), "its result is not the gradient of its filters");
    return grouped_fits(n, n->in[0], n->in[1], n->out[0]);
}

/* Two for each tap at each position of the result, taps on padding included. */
static int64_t flops_of(const struct param *w, const struct tensor *y)
{
    return 2 * param_elements(w) * y->shape.h * y->shape.w;
}

static int64_t grouped_flops(const struct node *n)
{
    return flops_of(n->in[1]->param, n->out[0]);
}

static int64_t grouped_data_grad_flops(const struct node *n)
{
    return flops_of(n->in[1]->param, n->in[0]);
}

static int64_t grouped_weight_grad_flops(const struct node *n)
{
    return flops_of(n->out[0]->param, n->in[1]);
}

static void grouped_run(const struct run *r, const struct node *n)
{
    run_filters(r, &n->attr.window, RUN_Y, n->in[0], n->out[0], n->in[1]);
}

static void grouped_data_grad_run(const struct run *r, const struct node *n)
{
    run_filters(r, &n->attr.window, RUN_X, n->out[0], n->in[0], n->in[1]);
}

static void grouped_weight_grad_run(const struct run *r, const struct node *n)
{
    run_filters(r, &n->attr.window, RUN_W, n->in[0], n->in[1], n->out[0]);
}

const struct op_def op_def_grouped_conv2d = {
    .op = OP_grouped_conv2d, .reads_planes = true, .verify = grouped_verify, .gradient = grouped_gradient,
    .flops = grouped_flops, .run = grouped_run,
};
const struct op_def op_def_grouped_conv2d_data_grad = {
    .op = OP_grouped_conv2d_data_grad, .verify = grouped_data_grad_verify,
    .gradient = grouped_data_grad_gradient, .flops = grouped_data_grad_flops,
    .run = grouped_data_grad_run,
};
const struct op_def op_def_grouped_conv2d_weight_grad = {
    .op = OP_grouped_conv2d_weight_grad, .verify = grouped_weight_grad_verify, .flops = grouped_weight_grad_flops,
    .run = grouped_weight_grad_run,
};
