/* ghost_batchnorm.c - batch normalisation of ghost batches (Hoffer, Hubara and Soudry 2017, "Train longer, generalize
 * better"): the samples of a batch in groups of `ghost`, the last one perhaps smaller, each with its own mean and
 * (biased) variance.  The running statistics move by each group in turn, as if it were a batch; that is what the
 * paper's Algorithm 1 comes to. */
#include <math.h>

#include "ops/normalisation.h"

/* ---- verification ---------------------------------------------------------------------------- */

static const char *ghost_moments_verify(const struct graph *g, const struct node *n)
{
    CHECK(node_has(n, 3, 2, 0), "wrong number of inputs or outputs");
    CHECK(g->training, "it is in the graph of use");
    CHECK(n->in[1]->role == TENSOR_STATISTIC && n->in[2]->role == TENSOR_STATISTIC, "its statistics are none");
    CHECK(norm_per_channel(n, 1, 2, n->in[0]), "its statistics do not fit its input");
    CHECK(norm_per_sample(n->out, 0, 1, n->in[0]), "its moments do not fit its input");
    return NULL;
}

static const char *ghost_sums_verify(const struct graph *g, const struct node *n)
{
    const struct tensor *x = n->in[0];

    (void)g;
    CHECK(n->in_count == 5 && n->out_count == 4 && x && n->in[2] && n->in[3] && n->in[4] &&
              (n->out[0] || n->out[1] || n->out[2]) && !n->out[2] == !n->out[3],
          "wrong number of inputs or outputs");
    CHECK(norm_may_be_vector(n, 1) && norm_per_channel(n, 1, 1, x), "its factors do not fit its input");
    CHECK(norm_per_sample(n->in, 2, 3, x) && norm_per_sample(n->out, 2, 3, x),
          "its moments or means do not fit its input");
    for (int i = 0; i < 2; i++)
        CHECK(!n->out[i] || is_param_gradient(n->out[i], n->forward, 1 + i), "it makes no gradients of its parameters");
    CHECK(shapes_equal(x, n->in[4]), "its gradient has another shape or order than its input");
    return NULL;
}

/* ---- numbers --------------------------------------------------------------------------------- */

static int64_t ghost_moments_flops(const struct node *n)
{
    return 4 * shape_elements(n->in[0]->shape);
}

static int64_t ghost_sums_flops(const struct node *n)
{
    return 5 * shape_elements(n->in[0]->shape);
}

/* The first sample of the group of sample s, and the first one beyond it. */
static int group_begin(const struct node *n, int s)
{
    return s - s % n->attr.ghost;
}

static int group_end(const struct run *r, const struct node *n, int s)
{
    int end = group_begin(n, s) + n->attr.ghost;

    return end < r->batch ? end : r->batch;
}

/* The running statistics are left as they are: a graph can be run again. */
static void ghost_moments_run(const struct run *r, const struct node *n)
{
    const struct tensor *x = n->in[0];
    int64_t sample = shape_elements(x->shape), c = x->shape.c;

    for (int s = 0; s < r->batch; s++) {
        int first = group_begin(n, s), end = group_end(r, n, s);
        double *mean = run_values(r, n->out[0]) + s * c, *deviation = run_values(r, n->out[1]) + s * c;
        double count = (double)((end - first) * sample / c);
        for (int64_t i = first * sample; i < end * sample; i++)
            mean[i % c] += run_values(r, x)[i] / count;
        for (int64_t i = first * sample; i < end * sample; i++)
            deviation[i % c] += pow(run_values(r, x)[i] - mean[i % c], 2) / count;
        for (int64_t k = 0; k < c; k++)
            deviation[k] = 1 / sqrt(deviation[k] + n->attr.epsilon);
    }
}

static void ghost_sums_run(const struct run *r, const struct node *n)
{
    const struct tensor *x = n->in[0];
    int64_t sample = shape_elements(x->shape), c = x->shape.c;

    for (int64_t i = 0; i < run_elements(r, x); i++) {
        int s = (int)(i / sample), first = group_begin(n, s), end = group_end(r, n, s);
        double dy = run_values(r, n->in[4])[i], count = (double)((end - first) * sample / c);
        double scale = dy * (run_values(r, x)[i] - *norm_sample_column(r, n->in[2], x, i)) *
                       *norm_sample_column(r, n->in[3], x, i);
        double gamma = norm_value(r, n->in[1], x, i, 1);
        if (n->out[0])
            *run_column(r, n->out[0], i) += scale;
        if (n->out[1])
            *run_column(r, n->out[1], i) += dy;
        for (int k = first; n->out[2] && k < end; k++) {
            run_values(r, n->out[2])[k * c + i % c] += gamma * scale / count;
            run_values(r, n->out[3])[k * c + i % c] += gamma * dy / count;
        }
    }
}

const struct op_def op_def_ghost_moments = {
    /* No gradient flows to its outputs: norm's own counts what passes through them. */
    .op = OP_ghost_moments, .verify = ghost_moments_verify, .flops = ghost_moments_flops, .run = ghost_moments_run,
};
const struct op_def op_def_ghost_sums = {
    .op = OP_ghost_sums, .verify = ghost_sums_verify, .flops = ghost_sums_flops, .run = ghost_sums_run,
};
