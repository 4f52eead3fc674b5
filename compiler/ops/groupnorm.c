/* groupnorm.c - group normalisation (Wu and He 2018): each sample's channels in groups of equal size, each group by the
 * mean and the (biased) variance of its numbers at all pixels; then a factor and a summand for each channel.  One group
 * is PyTorch's GroupNorm(1), as many as channels is instance normalisation. */
#include <math.h>

#include "ops/normalisation.h"

static const struct arg_def groupnorm_args[] = {
    { .name = "groups", .type = ARG_INT, .positional = true, .required = true, .min = 1, .max = CHANNELS_MOST,
      .help = "groups of channels" },
    { .name = "activation", .type = ARG_ACTIVATION, .positional = true, .help = "applied to the result" },
    { .name = "epsilon", .type = ARG_REAL, .min = 0, .max = 1, .min_open = true, .default_number = 1e-3,
      .help = "added to the variance" },
    NORM_ARGS("channel"),
    { .name = NULL }
};

static bool groupnorm_shape(struct layer *l, struct diag *d)
{
    int64_t groups = clause_int(l->clause, "groups");

    if (!same_shape_rule(l, d))
        return false;
    if (l->in.c % groups == 0)
        return true;
    diag_error(d, DIAG_uneven_groups, arg_span(l, "groups"), "%d channels cannot be %lld groups of equal size", l->in.c,
               (long long)groups);
    note_input(d, l);
    return false;
}

static int64_t groupnorm_parameters(const struct layer *l)
{
    return norm_parameters(l, l->out.c);
}

static int64_t groupnorm_biases(const struct layer *l)
{
    return clause_number(l->clause, "center") ? l->out.c : 0;
}

/* Groups are of channels as a user counts them. */
static struct tensor *groupnorm_lower(struct graph *g, struct layer *l, struct tensor *const *inputs)
{
    const char *name = layer_node_name(g, l);
    struct tensor *x = lower_reorder(g, l, arena_printf(g->arena, "%s_reorder", name), inputs[0],
                                     (struct map_order){ 0, 0, 0 });
    struct tensor *gamma, *beta;

    norm_params(g, l, x, &gamma, &beta);
    return lower_groupnorm(g, l, name, x, gamma, beta, (int)clause_int(l->clause, "groups"));
}

struct tensor *lower_groupnorm(struct graph *g, struct layer *l, const char *name, struct tensor *x,
                               struct tensor *gamma, struct tensor *beta, int groups)
{
    struct tensor *moments[] = { norm_kept_sample(g, x, name, "mean"), norm_kept_sample(g, x, name,
            "inverse_deviation") };
    struct node *n = graph_node(g, OP_norm_moments, l, arena_printf(g->arena, "%s_moments", name), &x, 1, moments, 2);

    n->attr.groups = groups;
    n->attr.epsilon = clause_number(l->clause, "epsilon");
    n = norm_node(g, l, name, x, gamma, beta, moments);
    n->attr.groups = groups;
    return n->out[0];
}

const struct layer_def layer_groupnorm = {
    .clause = { "groupnorm", ARGS(groupnorm_args), .help = "normalises each sample's channels in groups" },
    .normalises = true,
    .shape = groupnorm_shape,
    .parameters = groupnorm_parameters,
    .biases = groupnorm_biases,
    .lower = groupnorm_lower,
};

/* ---- the operation --------------------------------------------------------------------------- */

static const char *norm_moments_verify(const struct graph *g, const struct node *n)
{
    const struct tensor *x = n->in[0];

    (void)g;
    CHECK(node_has(n, 1, 2, 0), "wrong number of inputs or outputs");
    CHECK(x->shape.c % n->attr.groups == 0, "its groups do not divide the channels");
    CHECK(norm_per_sample(n->out, 0, 1, x), "its moments do not fit its input");
    return NULL;
}

static int64_t norm_moments_flops(const struct node *n)
{
    return 4 * shape_elements(n->in[0]->shape);
}

/* The sum over the group of element i is found once for each of its channels: obvious, and slow. */
static void norm_moments_run(const struct run *r, const struct node *n)
{
    const struct tensor *x = n->in[0];
    int group = x->shape.c / n->attr.groups;
    double count = (double)shape_elements(x->shape) / n->attr.groups;

    for (int64_t i = 0; i < run_elements(r, x); i++)
        for (int k = 0; k < group; k++)
            *norm_sample_column(r, n->out[0], x, i - i % group + k) += run_values(r, x)[i] / count;
    for (int64_t i = 0; i < run_elements(r, x); i++) {
        double d = run_values(r, x)[i] - *norm_sample_column(r, n->out[0], x, i);
        for (int k = 0; k < group; k++)
            *norm_sample_column(r, n->out[1], x, i - i % group + k) += d * d / count;
    }
    for (int64_t i = 0; i < run_elements(r, n->out[1]); i++)
        run_values(r, n->out[1])[i] = 1 / sqrt(run_values(r, n->out[1])[i] + n->attr.epsilon);
}

const struct op_def op_def_norm_moments = {
    /* No gradient flows to its outputs: norm's own counts what passes through them. */
    .op = OP_norm_moments, .verify = norm_moments_verify, .flops = norm_moments_flops, .run = norm_moments_run,
};
