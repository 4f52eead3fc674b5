/* global_maxpool2d.c - the greatest of each channel, as a vector.  Forward keeps the position that won (the first on
 * ties) where a gradient will be asked for. */
#include "ops/op_support.h"

enum { POSITIONS_MOST = 1 << 24 };      /* their numbers are kept as reals */

static const struct arg_def no_args[] = { { .name = NULL } };

static bool global_maxpool2d_shape(struct layer *l, struct diag *d)
{
    if (!layer_needs_map(l, d))
        return false;
    int64_t positions = (int64_t)l->in.h * l->in.w;
    if (positions > POSITIONS_MOST) {
        diag_error(d, DIAG_too_big, l->clause->where, "a map of %dx%d has %lld positions; '%s' takes at most 2^24",
                   l->in.h, l->in.w, (long long)positions, l->clause->def->name);
        note_input(d, l);
        return false;
    }
    return layer_set_out(l, d, l->clause->where, l->in.c, 1, 1, true);
}

static struct tensor *global_maxpool2d_lower(struct graph *g, struct layer *l, struct tensor *const *x)
{
    const char *name = layer_node_name(g, l);
    struct tensor *out[2] = { result_tensor(g, name, l->out, (struct map_order){ 0, 0, 0 }), NULL };

    if (x[0]->needs_gradient)
        out[1] = graph_tensor(g, TENSOR_SAVED, l->out, arena_printf(g->arena, "%s_index", name));
    graph_node(g, OP_global_maxpool2d, l, name, x, 1, out, out[1] ? 2 : 1);
    return out[0];
}

const struct layer_def layer_global_maxpool2d = {
    .clause = { "global_maxpool2d", ARGS(no_args), .help = "the greatest of each channel, as a vector" },
    .shape = global_maxpool2d_shape,
    .lower = global_maxpool2d_lower,
};

/* ---- the operations ---------------------------------------------------------------------------------------------- */

static void global_maxpool2d_gradient(struct graph *g, struct node *n)
{
    struct tensor *x = n->in[0], *dx;

    if (!x->needs_gradient)
        return;
    dx = grad_tensor(g, x);
    backward_node(g, n, OP_global_maxpool2d_grad, "grad", (struct tensor *[]){ n->out[1], n->out[0]->gradient }, 2, &dx,
                  1);
    grad_add(g, x, dx);
}

static const char *fits(const struct tensor *map, const struct tensor *vector)
{
    CHECK(!map->shape.flat && vector->shape.flat && map->shape.c == vector->shape.c && !vector->order.c,
          "its vector is not one of its map's channels");
    return NULL;
}

static bool is_index(const struct tensor *index, const struct tensor *y)
{
    return index->role == TENSOR_SAVED && index->element == ELEMENT_REAL && index->per_sample && shapes_equal(index, y);
}

static const char *global_maxpool2d_verify(const struct graph *g, const struct node *n)
{
    bool keeps = n->out_count == 2;

    CHECK(node_has(n, 1, keeps ? 2 : 1, 0), "wrong number of inputs or outputs");
    CHECK(keeps == n->in[0]->needs_gradient, "it keeps indices without need, or does not where needed");
    CHECK(!keeps || g->training, "it keeps indices in the graph of use");
    CHECK(!keeps || is_index(n->out[1], n->out[0]), "its indices do not fit its result");
    return fits(n->in[0], n->out[0]);
}

static const char *global_maxpool2d_grad_verify(const struct graph *g, const struct node *n)
{
    (void)g;
    CHECK(node_has(n, 2, 1, 0), "wrong number of inputs or outputs");
    CHECK(n->forward && n->in[0] == n->forward->out[1], "its indices are not those of its forward operation");
    CHECK(is_index(n->in[0], n->in[1]), "its indices do not fit its input");
    return fits(n->out[0], n->in[1]);
}

static int64_t global_maxpool2d_flops(const struct node *n)
{
    return shape_elements(n->in[0]->shape);
}

/* The first of the greatest wins. */
static void global_maxpool2d_run(const struct run *r, const struct node *n)
{
    const struct tensor *x = n->in[0], *y = n->out[0];
    int64_t channels = x->shape.c, positions = (int64_t)x->shape.h * x->shape.w;

    for (int64_t i = 0; i < run_elements(r, y); i++) {
        const double *map = run_values(r, x) + i / channels * channels * positions + i % channels;
        int64_t best = 0;
        for (int64_t p = 1; p < positions; p++)
            if (map[p * channels] > map[best * channels])
                best = p;
        run_values(r, y)[i] = map[best * channels];
        if (n->out_count > 1)
            run_values(r, n->out[1])[i] = (double)best;
    }
}

static void global_maxpool2d_grad_run(const struct run *r, const struct node *n)
{
    const struct tensor *index = n->in[0], *dy = n->in[1], *dx = n->out[0];
    int64_t channels = dx->shape.c, positions = (int64_t)dx->shape.h * dx->shape.w;

    for (int64_t i = 0; i < run_elements(r, dy); i++) {
        int64_t winner = (int64_t)run_values(r, index)[i];
        run_values(r, dx)[(i / channels * positions + winner) * channels + i % channels] = run_values(r, dy)[i];
    }
}

const struct op_def op_def_global_maxpool2d = {
    .op = OP_global_maxpool2d, .verify = global_maxpool2d_verify, .gradient = global_maxpool2d_gradient,
    .flops = global_maxpool2d_flops, .run = global_maxpool2d_run,
};
const struct op_def op_def_global_maxpool2d_grad = {
    .op = OP_global_maxpool2d_grad, .verify = global_maxpool2d_grad_verify, .flops = out_flops,
    .run = global_maxpool2d_grad_run,
};
