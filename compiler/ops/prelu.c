/* prelu.c - a rectifier whose slope below 0 learns, one for each channel (He et al. 2015, "Delving Deep into
 * Rectifiers"): PyTorch's PReLU(C), whose slopes begin with 0.25 as here. */
#include "ops/normalisation.h"

static const struct arg_def prelu_args[] = {
    { .name = "alpha", .type = ARG_REAL, .positional = true, .min = -1e6, .max = 1e6, .default_number = 0.25,
      .help = "slopes below 0, to begin with" },
    { .name = NULL }
};

static int64_t prelu_parameters(const struct layer *l)
{
    return l->out.c;
}

static struct tensor *prelu_lower(struct graph *g, struct layer *l, struct tensor *const *inputs)
{
    struct tensor *x = inputs[0], *slopes = norm_param(g, l, x, "weight", CNN_WEIGHT, CNN_INIT_CONSTANT);
    const char *name = layer_node_name(g, l);
    struct tensor *y = result_tensor(g, name, x->shape, x->order);

    slopes->param->init.a = clause_number(l->clause, "alpha");
    graph_node(g, OP_prelu, l, name, (struct tensor *[]){ x, slopes }, 2, &y, 1);
    return y;
}

const struct layer_def layer_prelu = {
    .clause = { "prelu", ARGS(prelu_args), .help = "x, below 0 times a slope of the channel that learns" },
    .bends = true,
    .shape = same_shape_rule,
    .parameters = prelu_parameters,
    .lower = prelu_lower,
};

/* ---- the operations -------------------------------------------------------------------------- */

static void prelu_gradient(struct graph *g, struct node *n)
{
    struct tensor *x = n->in[0], *slopes = n->in[1], *dy = n->out[0]->gradient, *dx, *sums;

    if (x->needs_gradient) {
        dx = grad_tensor(g, x);
        backward_node(g, n, OP_prelu_data_grad, "data_grad", (struct tensor *[]){ x, slopes, dy }, 3, &dx, 1);
        grad_add(g, x, dx);
    }
    if (!slopes->needs_gradient)
        return;
    sums = norm_kept_sample(g, x, n->name, "slope_sums");
    backward_node(g, n, OP_prelu_sums, "sums", (struct tensor *[]){ x, dy }, 2, &sums, 1);
    norm_param_gradient(g, n, (struct tensor *[]){ sums, NULL });
}

static const char *prelu_verify(const struct graph *g, const struct node *n)
{
    (void)g;
    CHECK(node_has(n, 2, 1, 0), "wrong number of inputs or outputs");
    CHECK(is_param(n->in[1], &param_vector) && is_per_channel(n->in[1], n->in[0]), "its slopes do not fit its input");
    CHECK(shapes_equal(n->in[0], n->out[0]), "its result has another shape or order than its input");
    return NULL;
}

static const char *prelu_data_grad_verify(const struct graph *g, const struct node *n)
{
    (void)g;
    CHECK(node_has(n, 3, 1, 0), "wrong number of inputs or outputs");
    CHECK(is_param(n->in[1], &param_vector) && is_per_channel(n->in[1], n->in[0]), "its slopes do not fit its input");
    CHECK(shapes_equal(n->in[0], n->in[2]) && shapes_equal(n->in[0], n->out[0]),
          "its gradients have another shape or order than its input");
    return NULL;
}

static const char *prelu_sums_verify(const struct graph *g, const struct node *n)
{
    (void)g;
    CHECK(node_has(n, 2, 1, 0), "wrong number of inputs or outputs");
    CHECK(shapes_equal(n->in[0], n->in[1]), "its gradient has another shape or order than its input");
    CHECK(norm_per_sample(n->out, 0, 0, n->in[0]), "its sums do not fit its input");
    return NULL;
}

static int64_t prelu_flops(const struct node *n)
{
    return 2 * shape_elements(n->in[0]->shape);
}

static void prelu_run(const struct run *r, const struct node *n)
{
    for (int64_t i = 0; i < run_elements(r, n->in[0]); i++) {
        double x = run_values(r, n->in[0])[i];
        run_values(r, n->out[0])[i] = x > 0 ? x : x * *run_column(r, n->in[1], i);
    }
}

static void prelu_data_grad_run(const struct run *r, const struct node *n)
{
    for (int64_t i = 0; i < run_elements(r, n->in[0]); i++)
        run_values(r, n->out[0])[i] =
            run_values(r, n->in[2])[i] * (run_values(r, n->in[0])[i] > 0 ? 1 : *run_column(r, n->in[1], i));
}

static void prelu_sums_run(const struct run *r, const struct node *n)
{
    for (int64_t i = 0; i < run_elements(r, n->in[0]); i++)
        if (run_values(r, n->in[0])[i] <= 0)
            *norm_sample_column(r, n->out[0], n->in[0], i) += run_values(r, n->in[1])[i] * run_values(r, n->in[0])[i];
}

const struct op_def op_def_prelu = {
    .op = OP_prelu, .verify = prelu_verify, .gradient = prelu_gradient, .flops = prelu_flops, .run = prelu_run,
};
const struct op_def op_def_prelu_data_grad = {
    .op = OP_prelu_data_grad, .verify = prelu_data_grad_verify, .flops = prelu_flops, .run = prelu_data_grad_run,
};
const struct op_def op_def_prelu_sums = {
    .op = OP_prelu_sums, .verify = prelu_sums_verify, .flops = prelu_flops, .run = prelu_sums_run,
};
