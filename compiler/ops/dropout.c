/* dropout.c - inverted dropout (Srivastava et al. 2014): in training a fraction of the elements
 * becomes 0 and the others are scaled by 1 / (1 - rate); in use nothing happens.  By channel (Tompson et al. 2015,
 * "Efficient Object Localization Using Convolutional Networks") one draw decides on a whole map. */
#include "ops/op_support.h"

extern const struct layer_def layer_spatial_dropout2d;

static const struct arg_def dropout_args[] = {
    { .name = "rate", .type = ARG_REAL, .positional = true, .required = true, .min = 0, .max = 1,
      .max_open = true,
      .help = "fraction of the elements dropped" },
    { .name = NULL }
};

static const struct arg_def spatial_dropout2d_args[] = {
    { .name = "rate", .type = ARG_REAL, .positional = true, .required = true, .min = 0, .max = 1, .max_open = true,
      .help = "fraction of the channels dropped" },
    { .name = NULL }
};

static struct tensor *dropout_lower(struct graph *g, struct layer *l, struct tensor *const *x)
{
    double rate = clause_number(l->clause, "rate");

    if (!g->training || rate == 0)
        return x[0];
    struct node *n =
        unary_node(g, OP_dropout, l, layer_node_name(g, l), x[0], x[0]->shape, x[0]->order);
    n->attr.rate = rate;
    n->attr.stream = l->index;
    n->attr.by_channel = l->def == &layer_spatial_dropout2d;
    return n->out[0];
}

const struct layer_def layer_dropout = {
    .clause = { "dropout", ARGS(dropout_args), .help = "drops elements at random while training" },
    .shape = same_shape_rule,
    .lower = dropout_lower,
};

static bool spatial_dropout2d_shape(struct layer *l, struct diag *d)
{
    return layer_needs_map(l, d) && same_shape_rule(l, d);
}

const struct layer_def layer_spatial_dropout2d = {
    .clause = { "spatial_dropout2d", ARGS(spatial_dropout2d_args),
                .help = "drops whole channels of a sample at random while training" },
    .shape = spatial_dropout2d_shape,
    .lower = dropout_lower,
};

/* ---- the operations -------------------------------------------------------------------------- */

static void dropout_gradient(struct graph *g, struct node *n)
{
    struct tensor *x = n->in[0], *dy = n->out[0]->gradient, *dx;

    if (!x->needs_gradient)
        return;
    dx = grad_tensor(g, x);
    backward_node(g, n, OP_dropout_grad, "grad", &dy, 1, &dx, 1);
    grad_add(g, x, dx);
}

static const char *dropout_verify(const struct graph *g, const struct node *n)
{
    CHECK(node_has(n, 1, 1, 0), "wrong number of inputs or outputs");
    CHECK(g->training, "it is in the graph of use");
    CHECK(shapes_equal(n->in[0], n->out[0]),
          "its result has another shape or order than its input");
    CHECK(!n->attr.by_channel || !n->in[0]->shape.flat, "it drops channels of a vector");
    return NULL;
}

/* Which elements are dropped is drawn anew in each training step by what is emitted; here it is always the same. */
static void dropout_run(const struct run *r, const struct node *n)
{
    const struct shape s = n->in[0]->shape;

    for (int64_t i = 0; i < run_elements(r, n->out[0]); i++) {
        int64_t draw = n->attr.by_channel ? i / shape_elements(s) * s.c + i % s.c : i;
        uint64_t z = (uint64_t)draw * UINT64_C(0x9E3779B97F4A7C15) +
                     (uint64_t)(n->attr.stream + 1) * UINT64_C(0xD1B54A32D192ED03);
        z = (z ^ z >> 31) * UINT64_C(0x94D049BB133111EB);
        bool kept = (double)(z >> 40) / (1 << 24) >= n->attr.rate;
        run_values(r, n->out[0])[i] = kept ? run_values(r, n->in[0])[i] / (1 - n->attr.rate) : 0;
    }
}

const struct op_def op_def_dropout = {
    .op = OP_dropout, .verify = dropout_verify, .gradient = dropout_gradient, .flops = out_flops, .run = dropout_run,
};
const struct op_def op_def_dropout_grad = {
    .op = OP_dropout_grad, .verify = dropout_verify, .flops = out_flops, .run = dropout_run,
};
