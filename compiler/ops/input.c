/* input.c - the pictures of a batch.  Not an operation: lower.c makes its tensor. */
#include "ops/op_support.h"

static const struct arg_def input_args[] = {
    { .name = "extent", .type = ARG_EXTENT3, .positional = true, .required = true, .min = 1,
      .max = EXTENT_MOST,
      .help = "channels x height x width of a picture" },
    { .name = NULL }
};

static bool input_shape(struct layer *l, struct diag *d)
{
    const int64_t *dims = clause_arg(l->clause, "extent")->dims;

    if (!layer_set_out(l, d, arg_span(l, "extent"), dims[0], dims[1], dims[2], false))
        return false;
    l->in = l->out;
    return true;
}

static struct tensor *input_lower(struct graph *g, struct layer *l, struct tensor *const *x)
{
    (void)x;
    g->input = graph_tensor(g, TENSOR_INPUT, l->out, "input");
    g->input->planes = g->alone && is_ordered(l->out);
    return g->input;
}

const struct layer_def layer_input = {
    .clause = { "input", ARGS(input_args), .help = "the size of the pictures" },
    .shape = input_shape,
    .lower = input_lower,
};
