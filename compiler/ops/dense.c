/* dense.c - y = w x, w of units x features.  Features of a flattened map stay in the map's memory
 * order; the parameter knows it (param_order()). */
#include "ops/op_support.h"

static const struct arg_def dense_args[] = {
    { .name = "units", .type = ARG_INT, .positional = true, .required = true, .min = 1,
      .max = UNITS_MOST,
      .help = "width of the result" },
    { .name = "activation", .type = ARG_ACTIVATION, .positional = true,
      .help = "applied to the result" },
    { .name = "bias", .type = ARG_BOOL, .default_number = 1,
      .help = "adds a trained number to each unit" },
    { .name = "init", .type = ARG_INIT, .default_text = "glorot_uniform",
      .help = "how the weights begin" },
    { .name = "bias_init", .type = ARG_INIT, .default_text = "zeros",
      .help = "how the bias begins" },
    L2_ARG,
    { .name = NULL }
};

static bool dense_shape(struct layer *l, struct diag *d)
{
    struct shape in = layer_in(l);
    int64_t units = clause_int(l->clause, "units");

    if (!in.flat) {
        diag_error(d, DIAG_needs_flat, l->clause->where,
                   "'dense' needs a vector, but its input is a map of %s", shape_text(in).text);
        diag_hint(d, "write 'flatten' before it");
        note_input(d, l);
        return false;
    }
    return init_check(l, d, "init") && init_check(l, d, "bias_init") &&
           param_fits(l, d, arg_span(l, "units"), units, in.c, 1, 1) &&
           layer_set_out(l, d, arg_span(l, "units"), units, 1, 1, true);
}

static int64_t dense_multiply_adds(const struct layer *l)
{
    return (int64_t)l->in.c * l->out.c;
}

static int64_t dense_parameters(const struct layer *l)
{
    return dense_multiply_adds(l) + channel_biases(l);
}

static const struct param_form matrix = {
    .files = { CNN_AXIS_OUT, CNN_AXIS_IN },
    .memory = { CNN_AXIS_OUT, CNN_AXIS_IN },
    .packing = PACKED_PANELS,
    .cut = CNN_AXIS_OUT,
};

static struct tensor *dense_lower(struct graph *g, struct layer *l, struct tensor *const *x)
{
    const char *name = layer_node_name(g, l);
    struct param *w = graph_param(g, l, "weight", CNN_WEIGHT, &matrix, (int[]){ l->out.c, l->in.c });
    struct tensor *y = result_tensor(g, name, l->out, (struct map_order){ 0, 0, 0 });

    param_initialise(w, "init");
    param_set_order(w, CNN_AXIS_IN, x[0]->order);
    graph_node(g, OP_dense, l, name, (struct tensor *[]){ x[0], w->tensor }, 2, &y, 1);
    return clause_number(l->clause, "bias") ? lower_bias(g, l, "bias", y) : y;
}

const struct layer_def layer_dense = {
    .clause = { "dense", ARGS(dense_args), .help = "every unit sees the whole input" },
    .shape = dense_shape,
    .parameters = dense_parameters,
    .biases = channel_biases,
    .multiply_adds = dense_multiply_adds,
    .lower = dense_lower,
};

/* ---- the operations -------------------------------------------------------------------------- */

static void dense_gradient(struct graph *g, struct node *n)
{
    struct tensor *x = n->in[0], *w = n->in[1], *dy = n->out[0]->gradient;

    /* the weights are read for the last time before their gradient: then they may be updated */
    if (x->needs_gradient) {
        struct tensor *dx = grad_tensor(g, x);
        backward_node(g, n, OP_dense_data_grad, "data_grad", (struct tensor *[]){ dy, w }, 2, &dx,
                      1);
        grad_add(g, x, dx);
    }
    if (w->needs_gradient) {
        struct tensor *dw = param_gradient(g, w);
        backward_node(g, n, OP_dense_weight_grad, "weight_grad", (struct tensor *[]){ x, dy }, 2,
                      &dw, 1);
    }
}

static const char *dense_fits(const struct tensor *x, const struct tensor *y,
                              const struct tensor *w)
{
    const struct param *p = w->param;

    CHECK(p && p->form == &matrix, "its weights are no matrix");
    CHECK(x->shape.flat && y->shape.flat, "one of its sides is no vector");
    CHECK(param_extent(p, CNN_AXIS_IN) == x->shape.c && param_extent(p, CNN_AXIS_OUT) == y->shape.c,
          "its weights have another size than its vectors");
    CHECK(order_equal(param_order(p, CNN_AXIS_IN), x->order), "its weights expect another order of its input");
    CHECK(!y->order.c, "its result has a map's order");
    return NULL;
}

static const char *dense_verify(const struct graph *g, const struct node *n)
{
    (void)g;
    CHECK(node_has(n, 2, 1, 0), "wrong number of inputs or outputs");
    CHECK(is_param(n->in[1], &matrix), "its weights are no matrix");
    return dense_fits(n->in[0], n->out[0], n->in[1]);
}

static const char *dense_data_grad_verify(const struct graph *g, const struct node *n)
{
    (void)g;
    CHECK(node_has(n, 2, 1, 0), "wrong number of inputs or outputs");
    CHECK(is_param(n->in[1], &matrix), "its weights are no matrix");
    return dense_fits(n->out[0], n->in[0], n->in[1]);
}

static const char *dense_weight_grad_verify(const struct graph *g, const struct node *n)
{
    (void)g;
    CHECK(node_has(n, 2, 1, 0), "wrong number of inputs or outputs");
    CHECK(is_param_gradient(n->out[0], n->forward, 1),
          "its result is not the gradient of its weights");
    return dense_fits(n->in[0], n->in[1], n->out[0]);
}

static int64_t dense_flops(const struct node *n)
{
    return 2 * param_elements(n->in[1]->param);
}

static int64_t dense_weight_grad_flops(const struct node *n)
{
    return 2 * param_elements(n->out[0]->param);
}

static void dense_products(const struct run *r, enum run_sum to, const struct tensor *x, const struct tensor *y,
                           const struct tensor *w)
{
    int64_t in = x->shape.c, out = y->shape.c;

    for (int s = 0; s < r->batch; s++)
        for (int64_t o = 0; o < out; o++)
            for (int64_t i = 0; i < in; i++)
                run_product(to, run_values(r, x) + s * in + order_place(x->order, i), run_values(r, y) + s * out + o,
                            run_values(r, w) + o * in + i);
}

static void dense_run(const struct run *r, const struct node *n)
{
    dense_products(r, RUN_Y, n->in[0], n->out[0], n->in[1]);
}

static void dense_data_grad_run(const struct run *r, const struct node *n)
{
    dense_products(r, RUN_X, n->out[0], n->in[0], n->in[1]);
}

static void dense_weight_grad_run(const struct run *r, const struct node *n)
{
    dense_products(r, RUN_W, n->in[0], n->in[1], n->out[0]);
}

const struct op_def op_def_dense = {
    .op = OP_dense, .verify = dense_verify, .gradient = dense_gradient, .flops = dense_flops, .run = dense_run,
};
const struct op_def op_def_dense_data_grad = {
    .op = OP_dense_data_grad, .verify = dense_data_grad_verify, .flops = dense_flops, .run = dense_data_grad_run,
};
const struct op_def op_def_dense_weight_grad = {
    .op = OP_dense_weight_grad, .verify = dense_weight_grad_verify, .flops = dense_weight_grad_flops,
    .run = dense_weight_grad_run,
};
