/* concat.c - maps (or vectors) one after the other by channels, and the part of one that begins at a channel.
 *
 * The gradient of each input is a slice of the result's; the plan lets both be views where the kernels around them can
 * say how far apart pixels are. */
#include "ops/joins.h"

static const struct arg_def no_args[] = { { .name = NULL } };

static bool concat_shape(struct layer *l, struct diag *d)
{
    struct shape first = layer_in(l);
    int64_t channels = 0;

    for (int i = 0; i < l->inputs_count; i++) {
        struct shape s = l->inputs[i]->out;
        if (s.flat != first.flat || s.h != first.h || s.w != first.w)
            return join_refuse(l, d, "put together");
        channels += s.c;
    }
    return layer_set_out(l, d, l->clause->where, channels, first.h, first.w, first.flat);
}

/* Vectors are joined in the user's order, which the memory of a flattened map is not. */
static struct tensor *concat_lower(struct graph *g, struct layer *l, struct tensor *const *x)
{
    const char *name = layer_node_name(g, l);
    struct tensor **parts = arena_array(g->arena, (size_t)l->inputs_count, sizeof *parts);

    for (int i = 0; i < l->inputs_count; i++)
        parts[i] = join_reorder(g, l, name, x[i], (struct map_order){ 0, 0, 0 });
    return lower_concat(g, l, name, parts, l->inputs_count);
}

const struct layer_def layer_concat = {
    .clause = { "concat", ARGS(no_args), .help = "its branches one after the other, by channels" },
    .is_join = true,
    .shape = concat_shape,
    .lower = concat_lower,
};

/* ---- the operations ---------------------------------------------------------------------------------------------- */

struct tensor *lower_concat(struct graph *g, struct layer *l, const char *name, struct tensor *const *x, int count)
{
    struct shape shape = x[0]->shape;

    for (int i = 1; i < count; i++)
        shape.c += x[i]->shape.c;
    struct tensor *y = result_tensor(g, name, shape, (struct map_order){ 0, 0, 0 });
    graph_node(g, OP_concat, l, name, x, count, &y, 1);
    return y;
}

static bool has_pixels_of(const struct tensor *x, const struct tensor *y)
{
    return x->shape.h == y->shape.h && x->shape.w == y->shape.w && x->shape.flat == y->shape.flat && !x->order.c;
}

static void concat_gradient(struct graph *g, struct node *n)
{
    struct tensor *dy = n->out[0]->gradient;
    int channel = 0;

    for (int i = 0; i < n->in_count; i++) {
        struct tensor *x = n->in[i];
        if (x->needs_gradient) {
            struct tensor *dx = grad_tensor(g, x);
            backward_node(g, n, OP_slice, "slice", &dy, 1, &dx, 1)->attr.channel = channel;
            grad_add(g, x, dx);
        }
        channel += x->shape.c;
    }
}

static const char *concat_verify(const struct graph *g, const struct node *n)
{
    int channels = 0;

    (void)g;
    CHECK(n->in_count >= 2 && node_has(n, n->in_count, 1, 0), "wrong number of inputs or outputs");
    for (int i = 0; i < n->in_count; i++) {
        CHECK(has_pixels_of(n->in[i], n->out[0]), "an input has other pixels than its result, or an order of its own");
        channels += n->in[i]->shape.c;
    }
    CHECK(channels == n->out[0]->shape.c && !n->out[0]->order.c, "its result has not the channels of its inputs");
    return NULL;
}

static const char *slice_verify(const struct graph *g, const struct node *n)
{
    (void)g;
    CHECK(node_has(n, 1, 1, 0), "wrong number of inputs or outputs");
    CHECK(has_pixels_of(n->out[0], n->in[0]), "its result has other pixels than its input, or an order of its own");
    CHECK(n->attr.channel + n->out[0]->shape.c <= n->in[0]->shape.c, "it reaches beyond its input");
    return NULL;
}

/* The channels of `part` from number `channel` of `whole` on: copied into it, or out of it. */
static void run_channels(const struct run *r, const struct tensor *whole, int channel, const struct tensor *part,
                         bool into)
{
    for (int64_t i = 0; i < run_elements(r, part); i++) {
        double *a = &run_values(r, part)[i];
        double *b = &run_values(r, whole)[i / part->shape.c * whole->shape.c + channel + i % part->shape.c];
        if (into)
            *b = *a;
        else
            *a = *b;
    }
}

static void concat_run(const struct run *r, const struct node *n)
{
    int channel = 0;

    for (int i = 0; i < n->in_count; channel += n->in[i++]->shape.c)
        run_channels(r, n->out[0], channel, n->in[i], true);
}

static void slice_run(const struct run *r, const struct node *n)
{
    run_channels(r, n->in[0], n->attr.channel, n->out[0], false);
}

const struct op_def op_def_concat = {
    .op = OP_concat, .verify = concat_verify, .gradient = concat_gradient, .flops = no_flops, .run = concat_run,
};
const struct op_def op_def_slice = {
    .op = OP_slice, .verify = slice_verify, .flops = no_flops, .run = slice_run,
};
