/* maxpool2d.c - the greatest element of each window; padding never wins.  Forward keeps which tap
 * won (the first on ties) where a gradient will be asked for. */
#include "ops/pooling.h"

enum { MAX_TAPS = 256 };            /* their numbers are kept in a byte */

static const struct arg_def maxpool2d_args[] = { POOLING_ARGS };

static bool maxpool2d_shape(struct layer *l, struct diag *d)
{
    const int64_t *window = clause_arg(l->clause, "window")->dims;

    if (window[0] * window[1] > MAX_TAPS) {
        diag_error(d, DIAG_window_too_large, arg_span(l, "window"),
                   "a window of %lldx%lld has %lld elements; 'maxpool2d' takes at most %d",
                   (long long)window[0], (long long)window[1], (long long)(window[0] * window[1]),
                   MAX_TAPS);
        return false;
    }
    return pooling_shape(l, d);
}

static struct tensor *maxpool2d_lower(struct graph *g, struct layer *l, struct tensor *const *x)
{
    const char *name = layer_node_name(g, l);
    struct tensor *out[2] = { result_tensor(g, name, l->out, (struct map_order){ 0, 0, 0 }), NULL };

    if (x[0]->needs_gradient) {
        out[1] = graph_tensor(g, TENSOR_SAVED, l->out, arena_printf(g->arena, "%s_index", name));
        out[1]->element = ELEMENT_U8;
    }
    graph_node(g, OP_maxpool2d, l, name, x, 1, out, out[1] ? 2 : 1)->attr.window =
        layer_window(l, "window");
    return out[0];
}

const struct layer_def layer_maxpool2d = {
    .clause = { "maxpool2d", ARGS(maxpool2d_args), .help = "the greatest of each window" },
    .shape = maxpool2d_shape,
    .lower = maxpool2d_lower,
};

/* ---- the operations -------------------------------------------------------------------------- */

static void maxpool2d_gradient(struct graph *g, struct node *n)
{
    pooling_gradient(g, n, OP_maxpool2d_grad, n->out[1]);
}

static bool is_index(const struct tensor *index, const struct tensor *y)
{
    return index->role == TENSOR_SAVED && index->element == ELEMENT_U8 && index->per_sample &&
           shapes_equal(index, y);
}

static const char *maxpool2d_verify(const struct graph *g, const struct node *n)
{
    bool keeps = n->out_count == 2;

    CHECK(node_has(n, 1, keeps ? 2 : 1, 0), "wrong number of inputs or outputs");
    CHECK(keeps == n->in[0]->needs_gradient,
          "it keeps indices without need, or does not where needed");
    CHECK(!keeps || g->training, "it keeps indices in the graph of use");
    CHECK(!keeps || is_index(n->out[1], n->out[0]), "its indices do not fit its result");
    CHECK(n->attr.window.kh * n->attr.window.kw <= MAX_TAPS,
          "its window has more elements than its indices can number");
    return pooling_fits(n, n->in[0], n->out[0]);
}

static const char *maxpool2d_grad_verify(const struct graph *g, const struct node *n)
{
    (void)g;
    CHECK(node_has(n, 2, 1, 0), "wrong number of inputs or outputs");
    CHECK(n->forward && n->in[0] == n->forward->out[1],
          "its indices are not those of its forward operation");
    CHECK(is_index(n->in[0], n->in[1]), "its indices do not fit its input");
    return pooling_fits(n, n->out[0], n->in[1]);
}

static int64_t maxpool2d_flops(const struct node *n)
{
    return shape_elements(n->out[0]->shape) * n->attr.window.kh * n->attr.window.kw;
}

static int64_t maxpool2d_grad_flops(const struct node *n)
{
    return shape_elements(n->in[1]->shape);
}

/* The first of the greatest wins. */
static void maxpool2d_run(const struct run *r, const struct node *n)
{
    const struct tensor *x = n->in[0], *y = n->out[0];

    for (int64_t i = 0; i < run_elements(r, y); i++) {
        struct pooling_taps taps = pooling_taps(n, x, y, i);
        int best = 0;
        for (int k = 1; k < taps.count; k++)
            if (*pooling_tap(r, x, &taps, k) > *pooling_tap(r, x, &taps, best))
                best = k;
        run_values(r, y)[i] = *pooling_tap(r, x, &taps, best);
        if (n->out_count > 1)
            run_values(r, n->out[1])[i] = pooling_tap_number(n, &taps, best);
    }
}

static void maxpool2d_grad_run(const struct run *r, const struct node *n)
{
    const struct tensor *index = n->in[0], *dy = n->in[1], *dx = n->out[0];

    for (int64_t i = 0; i < run_elements(r, dy); i++) {
        struct pooling_taps taps = pooling_taps(n, dx, dy, i);
        for (int k = 0; k < taps.count; k++)
            if (pooling_tap_number(n, &taps, k) == run_values(r, index)[i])
                *pooling_tap(r, dx, &taps, k) += run_values(r, dy)[i];
    }
}

const struct op_def op_def_maxpool2d = {
    .op = OP_maxpool2d, .verify = maxpool2d_verify, .gradient = maxpool2d_gradient, .flops = maxpool2d_flops,
    .run = maxpool2d_run,
};
const struct op_def op_def_maxpool2d_grad = {
    .op = OP_maxpool2d_grad, .verify = maxpool2d_grad_verify, .flops = maxpool2d_grad_flops,
    .run = maxpool2d_grad_run,
};
