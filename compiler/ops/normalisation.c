/* normalisation.c - see normalisation.h; and the operations that use moments of each sample and channel, however these
 * came about: groupnorm's, layernorm's over a whole sample, batchnorm's of groups of samples. */
#include "ops/normalisation.h"

#include <math.h>

/* ---- parameters and what is kept -------------------------------------------------------------- */

struct tensor *norm_param(struct graph *g, struct layer *l, const struct tensor *x, const char *suffix,
                          enum cnn_param_role role, enum cnn_init_kind init)
{
    struct param *p = graph_param(g, l, suffix, role, &param_vector, &x->shape.c);

    p->init.kind = init;
    p->tensor->order = x->order;
    param_set_order(p, CNN_AXIS_OUT, x->order);
    return p->tensor;
}

void norm_params(struct graph *g, struct layer *l, const struct tensor *x, struct tensor **gamma, struct tensor **beta)
{
    *gamma = *beta = NULL;
    if (clause_number(l->clause, "scale"))
        *gamma = norm_param(g, l, x, "weight", CNN_WEIGHT, CNN_INIT_ONES);
    if (clause_number(l->clause, "center"))
        *beta = norm_param(g, l, x, "bias", CNN_BIAS, CNN_INIT_ZEROS);
}

int64_t norm_parameters(const struct layer *l, int64_t each)
{
    return each * ((clause_number(l->clause, "scale") != 0) + (clause_number(l->clause, "center") != 0));
}

static struct tensor *kept(struct graph *g, struct shape shape, const char *name, const char *suffix)
{
    return graph_tensor(g, TENSOR_SAVED, shape, arena_printf(g->arena, "%s_%s", name, suffix));
}

struct tensor *norm_kept(struct graph *g, const struct tensor *x, const char *name, const char *suffix)
{
    struct tensor *t = norm_kept_sample(g, x, name, suffix);

    t->per_sample = false;
    return t;
}

struct tensor *norm_kept_sample(struct graph *g, const struct tensor *x, const char *name, const char *suffix)
{
    struct tensor *t = kept(g, (struct shape){ x->shape.c, 1, 1, true }, name, suffix);

    t->order = x->order;
    return t;
}

struct tensor *norm_kept_pixel(struct graph *g, const struct tensor *x, const char *name, const char *suffix)
{
    return kept(g, (struct shape){ 1, x->shape.h, x->shape.w, x->shape.flat }, name, suffix);
}

struct node *norm_node(struct graph *g, struct layer *l, const char *name, struct tensor *x, struct tensor *gamma,
                       struct tensor *beta, struct tensor *const *moments)
{
    struct tensor *y = result_tensor(g, name, x->shape, x->order);

    return graph_node(g, OP_norm, l, name, (struct tensor *[]){ x, gamma, beta, moments[0], moments[1] }, 5, &y, 1);
}

/* ---- verification ---------------------------------------------------------------------------- */

bool norm_per_channel(const struct node *n, int from, int to, const struct tensor *x)
{
    for (int i = from; i <= to; i++)
        if (n->in[i] && !is_per_channel(n->in[i], x))
            return false;
    return true;
}

bool norm_per_sample(struct tensor *const *list, int from, int to, const struct tensor *x)
{
    for (int i = from; i <= to; i++)
        if (list[i] && (list[i]->role != TENSOR_SAVED || !list[i]->per_sample || !list[i]->shape.flat ||
                        list[i]->shape.c != x->shape.c || !order_equal(list[i]->order, x->order)))
            return false;
    return true;
}

bool norm_may_be_vector(const struct node *n, int i)
{
    return !n->in[i] || is_param(n->in[i], &param_vector);
}

bool norm_is_map(const struct tensor *param)
{
    return param && param->param && param->param->form != &param_vector;
}

bool norm_may_be_affine(const struct node *n, int i, const struct tensor *x)
{
    const struct tensor *t = n->in[i];

    if (!norm_is_map(t))
        return norm_may_be_vector(n, i) && norm_per_channel(n, i, i, x);
    return t->role == TENSOR_PARAM && param_elements(t->param) == shape_elements(x->shape);
}

/* ---- numbers --------------------------------------------------------------------------------- */

double norm_value(const struct run *r, const struct tensor *param, const struct tensor *x, int64_t i, double otherwise)
{
    int64_t area = (int64_t)x->shape.h * x->shape.w, c = i % x->shape.c, pixel = i / x->shape.c % area;

    if (!param)
        return otherwise;
    return norm_is_map(param) ? run_values(r, param)[c * area + pixel] : *run_column(r, param, i);
}

double *norm_sample_column(const struct run *r, const struct tensor *v, const struct tensor *x, int64_t i)
{
    return run_values(r, v) + i / shape_elements(x->shape) * x->shape.c + i % x->shape.c;
}

/* ---- norm ------------------------------------------------------------------------------------ */

enum { GAMMA = 1u << 1, BETA = 1u << 2 };       /* inputs that may be missing */

/* A gradient that is asked for, as sums of each sample. */
static struct tensor *sums_if(struct graph *g, const struct node *n, const struct tensor *param, const char *suffix)
{
    return param && param->needs_gradient ? norm_kept_sample(g, n->in[0], n->name, suffix) : NULL;
}

void norm_param_gradient(struct graph *g, struct node *n, struct tensor *const *sums)
{
    struct tensor *grads[2] = { 0 };

    for (int i = 0; i < 2; i++)
        if (sums[i])
            grads[i] = param_gradient(g, n->in[1 + i]);
    if (sums[0] || sums[1])
        backward_node(g, n, OP_norm_param_grad, "param_grad", sums, 2, grads, 2);
}

/* gamma and beta that are maps: their gradients are not sums over a sample's pixels. */
static void map_gradient(struct graph *g, struct node *n)
{
    struct tensor *grads[2] = { 0 };

    for (int i = 0; i < 2; i++)
        if (n->in[1 + i] && n->in[1 + i]->needs_gradient)
            grads[i] = param_gradient(g, n->in[1 + i]);
    if (grads[0] || grads[1])
        backward_node(g, n, OP_norm_map_grad, "param_grad",
                      (struct tensor *[]){ n->in[0], n->in[3], n->in[4], n->out[0]->gradient }, 4, grads, 2);
}

/* The moments' own dependence on x is in the means.  What is summed over the batch comes last: nothing waits for it. */
static void norm_gradient(struct graph *g, struct node *n)
{
    struct tensor *x = n->in[0], *gamma = n->in[1], *mean = n->in[3], *deviation = n->in[4];
    struct tensor *dy = n->out[0]->gradient, *out[4] = { 0 };
    bool maps = norm_is_map(gamma) || norm_is_map(n->in[2]), ghosts = mean->producer->op == OP_ghost_moments;

    if (ghosts) {
        for (int i = 0; i < 2; i++)
            if (n->in[1 + i] && n->in[1 + i]->needs_gradient)
                out[i] = param_gradient(g, n->in[1 + i]);
    } else if (!maps) {
        out[0] = sums_if(g, n, gamma, "scale_sums");
        out[1] = sums_if(g, n, n->in[2], "shift_sums");
    }
    if (x->needs_gradient) {
        out[2] = norm_kept_sample(g, x, n->name, "scale_means");
        out[3] = norm_kept_sample(g, x, n->name, "shift_means");
    }
    if (out[0] || out[1] || out[2]) {
        enum op op = ghosts ? OP_ghost_sums : OP_norm_sums;
        struct node *sums =
            backward_node(g, n, op, "sums", (struct tensor *[]){ x, gamma, mean, deviation, dy }, 5, out, 4);
        sums->attr.ghost = ghosts ? mean->producer->attr.ghost : 0;
    }
    if (x->needs_gradient) {
        struct tensor *dx = grad_tensor(g, x);
        backward_node(g, n, OP_norm_data_grad, "data_grad",
                      (struct tensor *[]){ x, gamma, mean, deviation, out[2], out[3], dy }, 7, &dx, 1);
        grad_add(g, x, dx);
    }
    if (maps)
        map_gradient(g, n);
    else if (!ghosts)
        norm_param_gradient(g, n, out);
}

static const char *norm_verify(const struct graph *g, const struct node *n)
{
    const struct tensor *x = n->in[0];

    (void)g;
    CHECK(node_has(n, 5, 1, GAMMA | BETA), "wrong number of inputs or outputs");
    CHECK(norm_may_be_affine(n, 1, x) && norm_may_be_affine(n, 2, x), "its parameters do not fit its input");
    CHECK(norm_per_sample(n->in, 3, 4, x) && n->in[3]->producer == n->in[4]->producer &&
              n->in[3]->producer->in[0] == x,
          "its moments are not those of its input");
    CHECK(shapes_equal(x, n->out[0]), "its result has another shape or order than its input");
    return NULL;
}

static const char *norm_sums_verify(const struct graph *g, const struct node *n)
{
    const struct tensor *x = n->in[0];

    (void)g;
    CHECK(n->in_count == 5 && n->out_count == 4 && x && n->in[2] && n->in[3] && n->in[4] &&
              (n->out[0] || n->out[1] || n->out[2]) && !n->out[2] == !n->out[3],
          "wrong number of inputs or outputs");
    CHECK(norm_may_be_affine(n, 1, x), "its factors do not fit its input");
    CHECK(norm_per_sample(n->in, 2, 3, x) && norm_per_sample(n->out, 0, 3, x),
          "its moments or sums do not fit its input");
    CHECK(shapes_equal(x, n->in[4]), "its gradient has another shape or order than its input");
    CHECK(!norm_is_map(n->in[1]) || (!n->out[0] && !n->out[1]), "it sums over pixels what each pixel has");
    return NULL;
}

static const char *norm_data_grad_verify(const struct graph *g, const struct node *n)
{
    const struct tensor *x = n->in[0];

    (void)g;
    CHECK(node_has(n, 7, 1, GAMMA), "wrong number of inputs or outputs");
    CHECK(norm_may_be_affine(n, 1, x) && norm_per_sample(n->in, 2, 5, x), "what it reads does not fit its input");
    CHECK(shapes_equal(x, n->in[6]) && shapes_equal(x, n->out[0]),
          "its gradients have another shape or order than its input");
    return NULL;
}

static bool is_gradient_of(const struct node *n, int out, int input)
{
    return !n->out[out] || is_param_gradient(n->out[out], n->forward, input);
}

static const char *norm_param_grad_verify(const struct graph *g, const struct node *n)
{
    (void)g;
    CHECK(n->in_count == 2 && n->out_count == 2 && (n->in[0] || n->in[1]), "wrong number of inputs or outputs");
    CHECK(!n->in[0] == !n->out[0] && !n->in[1] == !n->out[1], "a sum has no gradient, or a gradient no sum");
    CHECK(is_gradient_of(n, 0, 1) && is_gradient_of(n, 1, 2), "its results are not the gradients of its parameters");
    CHECK(norm_per_sample(n->in, 0, 1, n->forward->in[0]), "its sums do not fit its parameters");
    return NULL;
}

static const char *norm_map_grad_verify(const struct graph *g, const struct node *n)
{
    (void)g;
    CHECK(n->in_count == 4 && n->out_count == 2 && n->in[0] && n->in[1] && n->in[2] && n->in[3] &&
              (n->out[0] || n->out[1]),
          "wrong number of inputs or outputs");
    CHECK(is_gradient_of(n, 0, 1) && is_gradient_of(n, 1, 2), "its results are not the gradients of its parameters");
    CHECK(norm_per_sample(n->in, 1, 2, n->in[0]), "its moments do not fit its input");
    CHECK(shapes_equal(n->in[0], n->in[3]), "its gradient has another shape or order than its input");
    return NULL;
}

static int64_t norm_flops(const struct node *n)
{
    return 4 * shape_elements(n->out[0]->shape);
}

static int64_t norm_sums_flops(const struct node *n)
{
    return 5 * shape_elements(n->in[0]->shape);
}

static int64_t norm_data_grad_flops(const struct node *n)
{
    return 7 * shape_elements(n->out[0]->shape);
}

static int64_t norm_param_grad_flops(const struct node *n)
{
    return ((n->in[0] != NULL) + (n->in[1] != NULL)) * shape_elements((n->in[0] ? n->in[0] : n->in[1])->shape);
}

static int64_t norm_map_grad_flops(const struct node *n)
{
    return (n->out[0] ? 4 : 1) * shape_elements(n->in[0]->shape);
}

static double normal(const struct run *r, const struct node *n, int moments, int64_t i)
{
    const struct tensor *x = n->in[0];

    return (run_values(r, x)[i] - *norm_sample_column(r, n->in[moments], x, i)) *
           *norm_sample_column(r, n->in[moments + 1], x, i);
}

static void norm_run(const struct run *r, const struct node *n)
{
    for (int64_t i = 0; i < run_elements(r, n->out[0]); i++)
        run_values(r, n->out[0])[i] = normal(r, n, 3, i) * norm_value(r, n->in[1], n->in[0], i, 1) +
                                      norm_value(r, n->in[2], n->in[0], i, 0);
}

/* Each element belongs to the mean of all channels of its group. */
static void norm_sums_run(const struct run *r, const struct node *n)
{
    const struct tensor *x = n->in[0];
    int group = x->shape.c / n->attr.groups;
    double count = (double)shape_elements(x->shape) / n->attr.groups;

    for (int64_t i = 0; i < run_elements(r, x); i++) {
        double dy = run_values(r, n->in[4])[i], scale = dy * normal(r, n, 2, i);
        double gamma = norm_value(r, n->in[1], x, i, 1);
        if (n->out[0])
            *norm_sample_column(r, n->out[0], x, i) += scale;
        if (n->out[1])
            *norm_sample_column(r, n->out[1], x, i) += dy;
        for (int k = 0; n->out[2] && k < group; k++) {
            int64_t other = i - i % group + k;
            *norm_sample_column(r, n->out[2], x, other) += gamma * scale / count;
            *norm_sample_column(r, n->out[3], x, other) += gamma * dy / count;
        }
    }
}

static void norm_data_grad_run(const struct run *r, const struct node *n)
{
    const struct tensor *x = n->in[0];

    for (int64_t i = 0; i < run_elements(r, x); i++)
        run_values(r, n->out[0])[i] =
            *norm_sample_column(r, n->in[3], x, i) *
            (run_values(r, n->in[6])[i] * norm_value(r, n->in[1], x, i, 1) - *norm_sample_column(r, n->in[5], x, i) -
             normal(r, n, 2, i) * *norm_sample_column(r, n->in[4], x, i));
}

static void norm_param_grad_run(const struct run *r, const struct node *n)
{
    for (int k = 0; k < 2; k++)
        for (int64_t i = 0; n->in[k] && i < run_elements(r, n->in[k]); i++)
            *run_column(r, n->out[k], i) += run_values(r, n->in[k])[i];
}

static void norm_map_grad_run(const struct run *r, const struct node *n)
{
    const struct tensor *x = n->in[0];
    int64_t area = (int64_t)x->shape.h * x->shape.w;

    for (int64_t i = 0; i < run_elements(r, x); i++) {
        int64_t place = i % x->shape.c * area + i / x->shape.c % area;
        if (n->out[0])
            run_values(r, n->out[0])[place] += run_values(r, n->in[3])[i] * normal(r, n, 1, i);
        if (n->out[1])
            run_values(r, n->out[1])[place] += run_values(r, n->in[3])[i];
    }
}

const struct op_def op_def_norm = {
    .op = OP_norm, .verify = norm_verify, .gradient = norm_gradient, .flops = norm_flops, .run = norm_run,
};
const struct op_def op_def_norm_sums = {
    .op = OP_norm_sums, .verify = norm_sums_verify, .flops = norm_sums_flops, .run = norm_sums_run,
};
const struct op_def op_def_norm_data_grad = {
    .op = OP_norm_data_grad, .verify = norm_data_grad_verify, .flops = norm_data_grad_flops,
    .run = norm_data_grad_run,
};
const struct op_def op_def_norm_param_grad = {
    .op = OP_norm_param_grad, .verify = norm_param_grad_verify, .flops = norm_param_grad_flops,
    .run = norm_param_grad_run,
};
const struct op_def op_def_norm_map_grad = {
    .op = OP_norm_map_grad, .verify = norm_map_grad_verify, .flops = norm_map_grad_flops, .run = norm_map_grad_run,
};
