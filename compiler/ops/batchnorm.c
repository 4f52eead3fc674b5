/* batchnorm.c - batch normalisation (Ioffe and Szegedy 2015) of each channel, over batch, rows and
 * columns; of each feature of a vector, over the batch.
 *
 * The variance divides by the number of values (biased), both for normalising and in the running
 * variance, which with `unbiased` divides by one less; running = momentum * running + (1 - momentum) *
 * batch.  Frozen layers use their running statistics in training too and leave them alone.
 *
 * Without `scale` there is no gamma, without `center` no beta: inputs that are NULL, and so are gradients that nobody
 * asks for.  What the gradient of x needs of a factor or summand that does not learn is a sum all the same.
 *
 * Where a batch is taken in shares and they are normalised together (`sync`), moments and those sums are of all of
 * them: shared_moments and share_sums.  Everything else is done share by share, with the share's mean loss: what is
 * taken off dy is then the sum over all shares, each weighted by its part of the samples, over the share's own number
 * of values. */
#include <math.h>
#include "ops/normalisation.h"

static const struct arg_def batchnorm_args[] = {
    { .name = "activation", .type = ARG_ACTIVATION, .positional = true,
      .help = "applied to the result" },
    { .name = "momentum", .type = ARG_REAL, .min = 0, .max = 1, .default_number = 0.99,
      .help = "running = momentum * running + (1 - momentum) * batch" },
    { .name = "epsilon", .type = ARG_REAL, .min = 0, .max = 1, .min_open = true,
      .default_number = 1e-3,
      .help = "added to the variance" },
    NORM_ARGS("channel"),
    { .name = "group", .type = ARG_INT, .max = BATCH_MOST,
      .help = "samples of a ghost batch, which is normalised by itself; 0: the batch" },
    { .name = "sync", .type = ARG_BOOL, .default_number = 1,
      .help = "off: each share of a batch by its own statistics (--batch-per-rank)" },
    { .name = "unbiased", .type = ARG_BOOL,
      .help = "on: the running variance divides by the number of values less one, as PyTorch's" },
    { .name = NULL }
};

static int64_t batchnorm_biases(const struct layer *l)
{
    return clause_number(l->clause, "center") ? l->out.c : 0;
}

static int64_t batchnorm_statistics(const struct layer *l)
{
    return 2 * (int64_t)l->out.c;
}

/* gamma, beta, and the two running statistics, which Keras counts as (not trained) parameters. */
static int64_t batchnorm_parameters(const struct layer *l)
{
    return batchnorm_statistics(l) + norm_parameters(l, l->out.c);
}

/* Each group of samples by its own moments. */
static struct tensor *lower_ghosts(struct graph *g, struct layer *l, const char *name, struct tensor *x,
                                   struct tensor *const *affine, struct tensor *const *running)
{
    struct tensor *moments[] = { norm_kept_sample(g, x, name, "mean"), norm_kept_sample(g, x, name,
            "inverse_deviation") };
    struct node *n = graph_node(g, OP_ghost_moments, l, arena_printf(g->arena, "%s_moments", name),
                                (struct tensor *[]){ x, running[0], running[1] }, 3, moments, 2);

    n->attr.epsilon = clause_number(l->clause, "epsilon");
    n->attr.momentum = clause_number(l->clause, "momentum");
    n->attr.unbiased = clause_number(l->clause, "unbiased") != 0;
    n->attr.ghost = (int)clause_int(l->clause, "group");
    n = norm_node(g, l, name, x, affine[0], affine[1], moments);
    n->attr.groups = x->shape.c;
    return n->out[0];
}

/* Whether other shares of the batch count too. */
static bool is_shared(const struct graph *g, const struct layer *l)
{
    return g->model->share && g->model->share < g->model->batch && clause_number(l->clause, "sync");
}

static struct tensor *batchnorm_lower(struct graph *g, struct layer *l,
                                      struct tensor *const *inputs)
{
    struct tensor *x = inputs[0];
    const char *name = layer_node_name(g, l);
    struct tensor *gamma, *beta;

    norm_params(g, l, x, &gamma, &beta);
    struct tensor *running_mean = norm_param(g, l, x, "running_mean", CNN_STATISTIC, CNN_INIT_ZEROS);
    struct tensor *running_var = norm_param(g, l, x, "running_var", CNN_STATISTIC, CNN_INIT_ONES);
    if (g->training && l->trainable && clause_int(l->clause, "group"))
        return lower_ghosts(g, l, name, x, (struct tensor *[]){ gamma, beta },
                            (struct tensor *[]){ running_mean, running_var });
    struct tensor *y = result_tensor(g, name, x->shape, x->order);
    double epsilon = clause_number(l->clause, "epsilon");

    if (!g->training || !l->trainable) {
        struct tensor *in[] = { x, gamma, beta, running_mean, running_var };
        graph_node(g, OP_batchnorm_use, l, name, in, 5, &y, 1)->attr.epsilon = epsilon;
        return y;
    }
    struct tensor *moments[] = { norm_kept(g, x, name, "mean"),
                                 norm_kept(g, x, name, "inverse_deviation") };
    struct tensor *moments_in[] = { x, running_mean, running_var };
    struct tensor *in[] = { x, gamma, beta, moments[0], moments[1] };
    const char *moments_name = arena_printf(g->arena, "%s_moments", name);
    enum op op = is_shared(g, l) ? OP_shared_moments : OP_batchnorm_moments;
    struct node *n = graph_node(g, op, l, moments_name, moments_in, 3, moments, 2);
    n->attr.epsilon = epsilon;
    n->attr.momentum = clause_number(l->clause, "momentum");
    n->attr.unbiased = clause_number(l->clause, "unbiased") != 0;
    graph_node(g, OP_batchnorm, l, name, in, 5, &y, 1);
    return y;
}

const struct layer_def layer_batchnorm = {
    .clause = { "batchnorm", ARGS(batchnorm_args), .help = "batch normalisation of each channel" },
    .normalises = true,
    .shape = same_shape_rule,
    .parameters = batchnorm_parameters,
    .statistics = batchnorm_statistics,
    .biases = batchnorm_biases,
    .lower = batchnorm_lower,
};

/* ---- the operations -------------------------------------------------------------------------- */

/* A sum over the batch that the gradient of x needs, whether or not it is a parameter's gradient. */
static struct tensor *batchnorm_sum(struct graph *g, const struct node *n, struct tensor *param, const char *suffix)
{
    struct tensor *x = n->in[0];

    if (param && param->needs_gradient)
        return param_gradient(g, param);
    return x->needs_gradient ? norm_kept(g, x, n->name, suffix) : NULL;
}

/* In the place of a share's sums those of all. */
static void share_sums(struct graph *g, struct node *n, struct tensor **scale, struct tensor **shift)
{
    struct tensor *in[] = { *scale, *shift };

    *scale = norm_kept(g, n->in[0], n->name, "scale_sum_of_shares");
    *shift = norm_kept(g, n->in[0], n->name, "shift_sum_of_shares");
    backward_node(g, n, OP_share_sums, "share_sums", in, 2, (struct tensor *[]){ *scale, *shift }, 2);
}

/* The moments' own dependence on x is in batchnorm_data_grad. */
static void batchnorm_gradient(struct graph *g, struct node *n)
{
    struct tensor *x = n->in[0], *gamma = n->in[1], *mean = n->in[3], *deviation = n->in[4];
    struct tensor *dy = n->out[0]->gradient;
    struct tensor *dgamma = batchnorm_sum(g, n, gamma, "scale_sum"), *dbeta = batchnorm_sum(g, n, n->in[2],
            "shift_sum");

    backward_node(g, n, OP_batchnorm_param_grad, "param_grad",
                  (struct tensor *[]){ x, mean, deviation, dy }, 4,
                  (struct tensor *[]){ dgamma, dbeta }, 2);
    if (!x->needs_gradient)
        return;
    if (mean->producer->op == OP_shared_moments)
        share_sums(g, n, &dgamma, &dbeta);
    struct tensor *dx = grad_tensor(g, x);
    backward_node(g, n, OP_batchnorm_data_grad, "data_grad",
                  (struct tensor *[]){ x, gamma, mean, deviation, dgamma, dbeta, dy }, 7, &dx, 1);
    grad_add(g, x, dx);
}

static void batchnorm_use_gradient(struct graph *g, struct node *n)
{
    struct tensor *x = n->in[0], *dy = n->out[0]->gradient, *dx;

    if (!x->needs_gradient)
        return;
    dx = grad_tensor(g, x);
    backward_node(g, n, OP_batchnorm_use_grad, "data_grad",
                  (struct tensor *[]){ n->in[1], n->in[4], dy }, 3, &dx, 1);
    grad_add(g, x, dx);
}

enum { GAMMA = 1u << 1, BETA = 1u << 2 };       /* inputs that may be missing */

static const char *batchnorm_moments_verify(const struct graph *g, const struct node *n)
{
    CHECK(node_has(n, 3, 2, 0), "wrong number of inputs or outputs");
    CHECK(g->training, "it is in the graph of use");
    CHECK(n->in[1]->role == TENSOR_STATISTIC && n->in[2]->role == TENSOR_STATISTIC,
          "its statistics are none");
    CHECK(norm_per_channel(n, 1, 2, n->in[0]), "its statistics do not fit its input");
    CHECK(n->out[0]->role == TENSOR_SAVED && n->out[1]->role == TENSOR_SAVED &&
          is_per_channel(n->out[0], n->in[0]) && is_per_channel(n->out[1], n->in[0]),
          "its moments do not fit its input");
    return NULL;
}

static const char *channel_moments_verify(const struct graph *g, const struct node *n)
{
    CHECK(node_has(n, 1, 2, 0), "wrong number of inputs or outputs");
    CHECK(g->training, "it is in the graph of use");
    for (int i = 0; i < 2; i++)
        CHECK(n->out[i]->role == TENSOR_SAVED && is_per_channel(n->out[i], n->in[0]),
              "its moments do not fit its input");
    return NULL;
}

/* The moments in[*next] and the variance after it are those of x, or they and what follows are those of the parts that
 * x is put together of. */
static bool moments_are_of(const struct node *n, const struct tensor *x, int *next)
{
    const struct tensor *mean = *next + 1 < n->in_count ? n->in[*next] : NULL, *variance = mean ? n->in[*next + 1]
        : NULL;

    if (mean && mean->producer && mean->producer->in[0] == x && variance->producer == mean->producer) {
        const struct node *m = mean->producer;
        bool joined = m->op == OP_joined_moments;
        *next += 2;
        return (joined || m->op == OP_channel_moments || m->op == OP_shared_channel_moments) && mean == m->out[0] &&
               variance == m->out[joined ? 2 : 1];
    }
    if (!x->producer || x->producer->op != OP_concat)
        return false;
    for (int i = 0; i < x->producer->in_count; i++)
        if (!moments_are_of(n, x->producer->in[i], next))
            return false;
    return true;
}

static const char *joined_moments_verify(const struct graph *g, const struct node *n)
{
    int next = 3;

    CHECK(n->in_count >= 5 && node_has(n, n->in_count, 3, 0), "wrong number of inputs or outputs");
    CHECK(g->training, "it is in the graph of use");
    CHECK(n->in[1]->role == TENSOR_STATISTIC && n->in[2]->role == TENSOR_STATISTIC, "its statistics are none");
    CHECK(norm_per_channel(n, 1, 2, n->in[0]), "its statistics do not fit its input");
    for (int i = 0; i < 3; i++)
        CHECK(n->out[i]->role == TENSOR_SAVED && is_per_channel(n->out[i], n->in[0]),
              "its moments do not fit its input");
    CHECK(moments_are_of(n, n->in[0], &next) && next == n->in_count, "it does not read the moments of all its parts");
    return NULL;
}

static bool makes_moments(enum op op)
{
    return op == OP_batchnorm_moments || op == OP_shared_moments || op == OP_joined_moments;
}

static const char *batchnorm_verify(const struct graph *g, const struct node *n)
{
    (void)g;
    CHECK(node_has(n, 5, 1, GAMMA | BETA), "wrong number of inputs or outputs");
    CHECK(norm_may_be_vector(n, 1) && norm_may_be_vector(n, 2), "its parameters are none");
    CHECK(n->in[3]->role == TENSOR_SAVED && n->in[3]->producer &&
              n->in[3]->producer == n->in[4]->producer && makes_moments(n->in[3]->producer->op) &&
              n->in[3]->producer->in[0] == n->in[0],
          "its moments are not those of its input");
    CHECK(norm_per_channel(n, 1, 4, n->in[0]), "its parameters do not fit its input");
    CHECK(shapes_equal(n->in[0], n->out[0]),
          "its result has another shape or order than its input");
    return NULL;
}

static const char *batchnorm_use_verify(const struct graph *g, const struct node *n)
{
    CHECK(node_has(n, 5, 1, GAMMA | BETA), "wrong number of inputs or outputs");
    CHECK(!g->training || !n->layer->trainable, "it is in training, and its layer is not frozen");
    CHECK(norm_may_be_vector(n, 1) && norm_may_be_vector(n, 2), "its parameters are none");
    CHECK(n->in[3]->role == TENSOR_STATISTIC && n->in[4]->role == TENSOR_STATISTIC,
          "its statistics are none");
    CHECK(norm_per_channel(n, 1, 4, n->in[0]), "its parameters do not fit its input");
    CHECK(shapes_equal(n->in[0], n->out[0]),
          "its result has another shape or order than its input");
    return NULL;
}

static const char *scale_verify(const struct graph *g, const struct node *n)
{
    CHECK(node_has(n, 3, 1, 0), "wrong number of inputs or outputs");
    CHECK(!g->training, "it is in the graph of training");
    CHECK(is_param(n->in[1], &param_vector) && is_param(n->in[2], &param_vector), "its parameters are none");
    CHECK(norm_per_channel(n, 1, 2, n->in[0]), "its parameters do not fit its input");
    CHECK(shapes_equal(n->in[0], n->out[0]), "its result has another shape or order than its input");
    return NULL;
}

static const char *batchnorm_use_grad_verify(const struct graph *g, const struct node *n)
{
    (void)g;
    CHECK(node_has(n, 3, 1, 1u << 0), "wrong number of inputs or outputs");
    CHECK(norm_may_be_vector(n, 0) && n->in[1]->role == TENSOR_STATISTIC, "its parameters are none");
    CHECK(norm_per_channel(n, 0, 1, n->in[2]), "its parameters do not fit its input");
    CHECK(shapes_equal(n->in[2], n->out[0]),
          "its result has another shape or order than its input");
    return NULL;
}

/* The gradient of the forward node's input, where that learns; else a sum that is no parameter's, or nothing.  Where it
 * is a sum over all shares: of such. */
static bool is_sum_of(const struct tensor *t, const struct node *n, int input)
{
    const struct tensor *param = n->forward ? n->forward->in[input] : NULL;

    if (t && t->producer && t->producer->op == OP_share_sums)
        t = t->producer->in[t == t->producer->out[1]];
    if (param && param->needs_gradient)
        return t && is_param_gradient(t, n->forward, input);
    return !t || (t->role == TENSOR_SAVED && is_per_channel(t, n->in[0]));
}

static const char *batchnorm_param_grad_verify(const struct graph *g, const struct node *n)
{
    (void)g;
    CHECK(n->in_count == 4 && n->out_count == 2 && n->in[0] && n->in[1] && n->in[2] && n->in[3] &&
          (n->out[0] || n->out[1]), "wrong number of inputs or outputs");
    CHECK(is_sum_of(n->out[0], n, 1) && is_sum_of(n->out[1], n, 2),
          "its results are not the gradients of its parameters");
    CHECK(norm_per_channel(n, 1, 2, n->in[0]), "its moments do not fit its input");
    CHECK(shapes_equal(n->in[0], n->in[3]),
          "its gradient has another shape or order than its input");
    return NULL;
}

static bool makes_sums(enum op op)
{
    return op == OP_batchnorm_param_grad || op == OP_batchnorm_pass_grad || op == OP_batchnorm_activation_pass_grad;
}

enum { PASS_X, PASS_GAMMA, PASS_BETA, PASS_MEAN, PASS_DEVIATION, PASS_BEFORE, PASS_DY, PASS_INPUTS };

static const char *pass_grad_verify(const struct graph *g, const struct node *n)
{
    (void)g;
    CHECK(node_has(n, PASS_INPUTS, 3, GAMMA | BETA | 1u << PASS_BEFORE), "wrong number of inputs or outputs");
    CHECK(norm_may_be_vector(n, PASS_GAMMA) && norm_may_be_vector(n, PASS_BETA), "its parameters are none");
    CHECK(norm_per_channel(n, PASS_GAMMA, PASS_DEVIATION, n->in[PASS_X]), "its parameters do not fit its input");
    CHECK(is_sum_of(n->out[0], n, PASS_GAMMA) && is_sum_of(n->out[1], n, PASS_BETA),
          "its results are not the gradients of its parameters");
    CHECK(shapes_equal(n->in[PASS_X], n->in[PASS_DY]) && shapes_equal(n->in[PASS_X], n->out[2]) &&
              (!n->in[PASS_BEFORE] || shapes_equal(n->in[PASS_X], n->in[PASS_BEFORE])),
          "its gradients have another shape or order than its input");
    return NULL;
}

enum { REST_GAMMA, REST_DEVIATION, REST_DGAMMA, REST_DBETA, REST_FIRST, REST_SECOND = REST_FIRST + 2,
       REST_INPUTS = REST_SECOND + 2 };

static const char *rest_verify(const struct graph *g, const struct node *n)
{
    (void)g;
    CHECK(n->in_count == REST_INPUTS && n->out_count == 2 && n->out[0] && n->out[1],
          "wrong number of inputs or outputs");
    for (int i = 0; i < 2; i++)
        CHECK(n->out[i]->role == TENSOR_SAVED && is_per_channel(n->out[i], n->out[0]),
              "its numbers do not fit its input");
    for (int i = REST_DEVIATION; i <= REST_DBETA; i++)
        CHECK((n->in[i] != NULL) == (n->in[REST_DEVIATION] != NULL), "it has some of a normalisation's numbers");
    CHECK(norm_per_channel(n, REST_GAMMA, REST_DBETA, n->out[0]), "a normalisation's numbers do not fit its own");
    for (int i = 0; i < 2; i++) {
        CHECK(!n->in[REST_FIRST + i] || n->attr.channel + n->out[0]->shape.c <= n->in[REST_FIRST + i]->shape.c,
              "it reaches beyond what it reads");
        CHECK(!n->in[REST_SECOND + i] || is_per_channel(n->in[REST_SECOND + i], n->out[0]), "its pairs do not fit");
    }
    return NULL;
}

static const char *rest_grad_verify(const struct graph *g, const struct node *n)
{
    (void)g;
    CHECK(node_has(n, 5, 1, 0), "wrong number of inputs or outputs");
    CHECK(is_per_channel(n->in[1], n->in[0]), "its mean does not fit its input");
    for (int i = 2; i < 4; i++)
        CHECK(n->in[i]->producer && n->in[i]->producer->op == OP_batchnorm_rest &&
                  n->in[i] == n->in[i]->producer->out[i - 2] &&
                      n->attr.channel + n->in[0]->shape.c <= n->in[i]->shape.c,
              "its numbers are those of no rest, or do not fit its input");
    CHECK(shapes_equal(n->in[0], n->in[4]) && shapes_equal(n->in[0], n->out[0]),
          "its gradients have another shape or order than its input");
    return NULL;
}

static const char *share_sums_verify(const struct graph *g, const struct node *n)
{
    (void)g;
    CHECK(node_has(n, 2, 2, 0), "wrong number of inputs or outputs");
    CHECK(n->forward && n->forward->op == OP_batchnorm, "it is of no normalisation");
    for (int i = 0; i < 2; i++)
        CHECK(n->in[i]->producer && makes_sums(n->in[i]->producer->op) && n->out[i]->role == TENSOR_SAVED
                  && is_per_channel(n->in[i], n->forward->in[0]) && is_per_channel(n->out[i], n->forward->in[0]),
              "its sums are none of a share, or do not fit what is normalised");
    return NULL;
}

static const char *batchnorm_data_grad_verify(const struct graph *g, const struct node *n)
{
    (void)g;
    CHECK(node_has(n, 7, 1, GAMMA), "wrong number of inputs or outputs");
    CHECK(norm_per_channel(n, 1, 5, n->in[0]), "its parameters do not fit its input");
    CHECK(is_sum_of(n->in[4], n, 1) && is_sum_of(n->in[5], n, 2),
          "it does not read the gradients of its parameters");
    CHECK(shapes_equal(n->in[0], n->in[6]) && shapes_equal(n->in[0], n->out[0]),
          "its gradients have another shape or order than its input");
    return NULL;
}

static int64_t batchnorm_moments_flops(const struct node *n)
{
    return 4 * shape_elements(n->in[0]->shape);
}

static int64_t batchnorm_flops(const struct node *n)
{
    return 2 * shape_elements(n->out[0]->shape);
}

static int64_t batchnorm_param_grad_flops(const struct node *n)
{
    return (n->out[0] ? 4 : 1) * shape_elements(n->in[0]->shape);
}

static int64_t pass_grad_flops(const struct node *n)
{
    return 10 * shape_elements(n->in[PASS_X]->shape);
}

static int64_t rest_grad_flops(const struct node *n)
{
    return 4 * shape_elements(n->in[0]->shape);
}

static int64_t share_sums_flops(const struct node *n)
{
    return 2 * shape_elements(n->out[0]->shape);
}

static int64_t batchnorm_data_grad_flops(const struct node *n)
{
    return 5 * shape_elements(n->out[0]->shape);
}

static void channel_moments_run(const struct run *r, const struct node *n)
{
    const double *x = run_values(r, n->in[0]);
    double *mean = run_values(r, n->out[0]), *variance = run_values(r, n->out[1]);
    int64_t channels = n->in[0]->shape.c, elements = run_elements(r, n->in[0]);
    double count = (double)(elements / channels);

    for (int64_t i = 0; i < elements; i++)
        mean[i % channels] += x[i] / count;
    for (int64_t i = 0; i < elements; i++)
        variance[i % channels] += (x[i] - mean[i % channels]) * (x[i] - mean[i % channels]) / count;
}

/* The running statistics are left as they are: a graph can be run again. */
static void batchnorm_moments_run(const struct run *r, const struct node *n)
{
    double *deviation = run_values(r, n->out[1]);

    channel_moments_run(r, n);
    for (int64_t c = 0; c < n->in[0]->shape.c; c++)
        deviation[c] = 1 / sqrt(deviation[c] + n->attr.epsilon);
}

static void joined_moments_run(const struct run *r, const struct node *n)
{
    int64_t channel = 0;

    for (int i = 3; i < n->in_count; i += 2)
        for (int64_t c = 0; c < n->in[i]->shape.c; c++, channel++) {
            double variance = run_values(r, n->in[i + 1])[c];
            run_values(r, n->out[0])[channel] = run_values(r, n->in[i])[c];
            run_values(r, n->out[1])[channel] = 1 / sqrt(variance + n->attr.epsilon);
            run_values(r, n->out[2])[channel] = variance;
        }
}

/* The number that the vector has for element i; another one where there is no vector. */
static double column_or(const struct run *r, const struct tensor *v, int64_t i, double otherwise)
{
    return v ? *run_column(r, v, i) : otherwise;
}

static void batchnorm_run(const struct run *r, const struct node *n)
{
    for (int64_t i = 0; i < run_elements(r, n->out[0]); i++) {
        double normal = (run_values(r, n->in[0])[i] - *run_column(r, n->in[3], i)) * *run_column(r, n->in[4], i);
        run_values(r, n->out[0])[i] = normal * column_or(r, n->in[1], i, 1) + column_or(r, n->in[2], i, 0);
    }
}

static void batchnorm_use_run(const struct run *r, const struct node *n)
{
    for (int64_t i = 0; i < run_elements(r, n->out[0]); i++) {
        double normal = (run_values(r, n->in[0])[i] - *run_column(r, n->in[3], i)) /
                        sqrt(*run_column(r, n->in[4], i) + n->attr.epsilon);
        run_values(r, n->out[0])[i] = normal * column_or(r, n->in[1], i, 1) + column_or(r, n->in[2], i, 0);
    }
}

static double known(const struct node *n, int input, int64_t channel, double otherwise)
{
    return n->in[input] ? n->in[input]->param->values[channel] : otherwise;
}

static void batchnorm_use_affine(const struct node *n, int64_t channel, double *scale, double *shift)
{
    *scale = known(n, 1, channel, 1) / sqrt(known(n, 4, channel, 1) + n->attr.epsilon);
    *shift = known(n, 2, channel, 0) - known(n, 3, channel, 0) * *scale;
}

static void scale_run(const struct run *r, const struct node *n)
{
    for (int64_t i = 0; i < run_elements(r, n->out[0]); i++)
        run_values(r, n->out[0])[i] =
            run_values(r, n->in[0])[i] * *run_column(r, n->in[1], i) + *run_column(r, n->in[2], i);
}

static void scale_affine(const struct node *n, int64_t channel, double *scale, double *shift)
{
    *scale = known(n, 1, channel, 1);
    *shift = known(n, 2, channel, 0);
}

static void batchnorm_use_grad_run(const struct run *r, const struct node *n)
{
    for (int64_t i = 0; i < run_elements(r, n->out[0]); i++)
        run_values(r, n->out[0])[i] = run_values(r, n->in[2])[i] * column_or(r, n->in[0], i, 1) /
                                      sqrt(*run_column(r, n->in[1], i) + n->attr.epsilon);
}

static void batchnorm_param_grad_run(const struct run *r, const struct node *n)
{
    for (int64_t i = 0; i < run_elements(r, n->in[0]); i++) {
        double normal = (run_values(r, n->in[0])[i] - *run_column(r, n->in[1], i)) * *run_column(r, n->in[2], i);
        if (n->out[0])
            *run_column(r, n->out[0], i) += run_values(r, n->in[3])[i] * normal;
        if (n->out[1])
            *run_column(r, n->out[1], i) += run_values(r, n->in[3])[i];
    }
}

static void pass_grad_run(const struct run *r, const struct node *n)
{
    const struct activation_row *activation = n->attr.activation;

    for (int64_t i = 0; i < run_elements(r, n->in[PASS_X]); i++) {
        double deviation = *run_column(r, n->in[PASS_DEVIATION], i), gamma = column_or(r, n->in[PASS_GAMMA], i, 1);
        double normal = (run_values(r, n->in[PASS_X])[i] - *run_column(r, n->in[PASS_MEAN], i)) * deviation;
        double y = normal * gamma + column_or(r, n->in[PASS_BETA], i, 0), dy = run_values(r, n->in[PASS_DY])[i];
        if (activation) {
            if (activation_reads(activation) == 'y')
                activation_evaluate(activation, n->attr.alpha, &y, 1, &y);
            activation_evaluate_gradient(activation, n->attr.alpha, &dy, &y, 1, &dy);
        }
        *run_column(r, n->out[0], i) += dy * normal;
        *run_column(r, n->out[1], i) += dy;
        run_values(r, n->out[2])[i] = (n->in[PASS_BEFORE] ? run_values(r, n->in[PASS_BEFORE])[i] : 0) +
            gamma * deviation * dy;
    }
}

static void rest_run(const struct run *r, const struct node *n)
{
    double *shift = run_values(r, n->out[0]), *slope = run_values(r, n->out[1]);

    for (int64_t c = 0; c < n->out[0]->shape.c; c++) {
        if (n->in[REST_DEVIATION]) {
            double deviation = *run_column(r, n->in[REST_DEVIATION], c), scale = column_or(r, n->in[REST_GAMMA], c,
                    1) * deviation;
            shift[c] -= scale * *run_column(r, n->in[REST_DBETA], c);
            slope[c] -= scale * deviation * *run_column(r, n->in[REST_DGAMMA], c);
        }
        for (int i = REST_FIRST; i < REST_INPUTS; i += 2)
            if (n->in[i]) {
                int64_t at = i == REST_FIRST ? n->attr.channel + c : c;
                shift[c] += run_values(r, n->in[i])[at];
                slope[c] += run_values(r, n->in[i + 1])[at];
            }
    }
}

static void rest_grad_run(const struct run *r, const struct node *n)
{
    const struct tensor *x = n->in[0];
    double count = (double)(run_elements(r, x) / x->shape.c);

    for (int64_t i = 0; i < run_elements(r, x); i++) {
        int64_t c = n->attr.channel + i % x->shape.c;
        double rest = run_values(r, n->in[2])[c] + run_values(r, n->in[3])[c] * (run_values(r, x)[i] - *run_column(r,
                n->in[1], i));
        run_values(r, n->out[0])[i] = run_values(r, n->in[4])[i] + rest / count;
    }
}

/* A graph is run with one batch, which is all shares. */
static void share_sums_run(const struct run *r, const struct node *n)
{
    for (int i = 0; i < 2; i++)
        for (int64_t c = 0; c < shape_elements(n->out[i]->shape); c++)
            run_values(r, n->out[i])[c] = *run_column(r, n->in[i], c);
}

static void batchnorm_data_grad_run(const struct run *r, const struct node *n)
{
    const struct tensor *x = n->in[0];
    double count = (double)(run_elements(r, x) / x->shape.c);

    for (int64_t i = 0; i < run_elements(r, x); i++) {
        double deviation = *run_column(r, n->in[3], i);
        double normal = (run_values(r, x)[i] - *run_column(r, n->in[2], i)) * deviation;
        double rest = run_values(r, n->in[6])[i] - *run_column(r, n->in[5], i) / count -
                      normal * *run_column(r, n->in[4], i) / count;
        run_values(r, n->out[0])[i] = column_or(r, n->in[1], i, 1) * deviation * rest;
    }
}

const struct op_def op_def_batchnorm_moments = {
    /* No gradient flows to its outputs: batchnorm's own counts what passes through them. */
    .op = OP_batchnorm_moments, .verify = batchnorm_moments_verify, .flops = batchnorm_moments_flops,
    .run = batchnorm_moments_run,
};
const struct op_def op_def_shared_moments = {
    .op = OP_shared_moments, .verify = batchnorm_moments_verify, .flops = batchnorm_moments_flops,
    .run = batchnorm_moments_run,
};
const struct op_def op_def_channel_moments = {
    .op = OP_channel_moments, .verify = channel_moments_verify, .flops = batchnorm_moments_flops,
    .run = channel_moments_run,
};
const struct op_def op_def_shared_channel_moments = {
    .op = OP_shared_channel_moments, .verify = channel_moments_verify, .flops = batchnorm_moments_flops,
    .run = channel_moments_run,
};
const struct op_def op_def_joined_moments = {
    .op = OP_joined_moments, .verify = joined_moments_verify, .flops = no_flops, .run = joined_moments_run,
};
const struct op_def op_def_batchnorm = {
    .op = OP_batchnorm, .verify = batchnorm_verify, .gradient = batchnorm_gradient, .flops = batchnorm_flops,
    .run = batchnorm_run,
};
const struct op_def op_def_batchnorm_use = {
    .op = OP_batchnorm_use, .verify = batchnorm_use_verify, .gradient = batchnorm_use_gradient,
    .flops = batchnorm_flops, .run = batchnorm_use_run, .affine = batchnorm_use_affine,
};
const struct op_def op_def_scale = {
    .op = OP_scale, .verify = scale_verify, .flops = batchnorm_flops, .run = scale_run, .affine = scale_affine,
};
const struct op_def op_def_batchnorm_use_grad = {
    .op = OP_batchnorm_use_grad, .verify = batchnorm_use_grad_verify, .flops = out_flops,
    .run = batchnorm_use_grad_run,
};
const struct op_def op_def_batchnorm_param_grad = {
    .op = OP_batchnorm_param_grad, .verify = batchnorm_param_grad_verify, .flops = batchnorm_param_grad_flops,
    .run = batchnorm_param_grad_run,
};
const struct op_def op_def_batchnorm_pass_grad = {
    .op = OP_batchnorm_pass_grad, .verify = pass_grad_verify, .flops = pass_grad_flops, .run = pass_grad_run,
};
const struct op_def op_def_batchnorm_activation_pass_grad = {
    .op = OP_batchnorm_activation_pass_grad, .verify = pass_grad_verify, .flops = pass_grad_flops, .run = pass_grad_run,
};
const struct op_def op_def_batchnorm_rest = {
    .op = OP_batchnorm_rest, .verify = rest_verify, .flops = no_flops, .run = rest_run,
};
const struct op_def op_def_batchnorm_rest_grad = {
    .op = OP_batchnorm_rest_grad, .verify = rest_grad_verify, .flops = rest_grad_flops, .run = rest_grad_run,
};
const struct op_def op_def_share_sums = {
    .op = OP_share_sums, .verify = share_sums_verify, .flops = share_sums_flops, .run = share_sums_run,
};
const struct op_def op_def_batchnorm_data_grad = {
    .op = OP_batchnorm_data_grad, .verify = batchnorm_data_grad_verify, .flops = batchnorm_data_grad_flops,
    .run = batchnorm_data_grad_run,
};
