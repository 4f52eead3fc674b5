/* simplify.c - rewrites of the forward graph that change the work but not the result.
 *
 * Requires: a graph from lower_model(), before differentiate().  Ensures: the same function of the same parameters; of
 * those whose values are known others may be left, or other values.
 *
 * What multiplies and adds, channel by channel, with known numbers (op_def.affine: a bias, batch normalisation in use)
 * becomes part of the convolution or dense layer before it: its weights are multiplied, and what is added is a bias.
 * Where there is none before it, it is a `scale`.  A bias of nothing is left out.
 *
 * Zeros around a map that only convolutions read are their padding.
 *
 * Pooling before the activation: max pooling, a bias per channel and an activation that never falls may change places:
 *     conv -> bias -> relu -> maxpool   becomes   conv -> maxpool -> bias -> relu
 * Bias and activation then work on a quarter of the values, and so do their gradients; what the pooling drops is needed
 * no more once it is dropped. */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "passes/passes.h"
#include "ops/ops.h"

/* Where a graph stands alone a bias stays where it is: plain loops begin their sums with it, which costs nothing. */
static bool is_movable(const struct graph *g, const struct node *n)
{
    return n && ((n->op == OP_bias && !g->alone) ||
                 (n->op == OP_activation && n->attr.activation->rises));
}

/* Where a bias alone learns the pooling keeps its place behind it: it was lowered to keep indices for its gradient. */
static bool learns_alike(const struct node *n)
{
    return n->in[0]->needs_gradient == n->out[0]->needs_gradient;
}

static bool has_one_reader(const struct tensor *t)
{
    return t->consumers_count == 1;
}

/* Takes node n out of its place in the list and puts it behind node `after`. */
static void move_behind(struct graph *g, struct node *n, const struct node *after)
{
    int from = n->id, to = after->id;
    for (int i = from; i < to; i++) {
        g->nodes[i] = g->nodes[i + 1];
        g->nodes[i]->id = i;
    }
    g->nodes[to] = n;
    n->id = to;
}

/* before: x -> n -> a -> pool -> b.   after: x -> pool -> a -> n -> b, with a as small as b. */
static void swap_with_pool(struct graph *g, struct node *n, struct node *pool)
{
    struct tensor *x = n->in[0], *a = n->out[0], *b = pool->out[0];
    for (int i = 0; i < x->consumers_count; i++)
        if (x->consumers[i] == n)
            x->consumers[i] = pool;
    pool->in[0] = x;
    pool->out[0] = a;
    a->producer = pool;
    a->shape = b->shape;
    graph_rename_tensor(g, a, arena_printf(g->arena, "%s_pooled", a->name));
    a->consumers[0] = n;
    n->in[0] = a;
    n->out[0] = b;
    b->producer = n;
    move_behind(g, n, pool);
}

static void pool_first(struct graph *g)
{
    for (int i = 0; i < g->nodes_count; i++) {
        struct node *pool = g->nodes[i];
        if ((pool->op != OP_maxpool2d && pool->op != OP_global_maxpool2d) || pool->in[0]->shape.flat ||
            shape_elements(pool->out[0]->shape) >= shape_elements(pool->in[0]->shape))
            continue;
        struct node *n = pool->in[0]->producer;
        while (is_movable(g, n) && learns_alike(n) && has_one_reader(pool->in[0]) && pool->in[0] != g->logits) {
            swap_with_pool(g, n, pool);
            n = pool->in[0]->producer;
        }
        i = pool->id;
    }
}

/* ---- known multiplications and additions ------------------------------------------------------------------------- */

struct affine {
    int64_t channels;
    double *scale, *shift;      /* by channel as a user counts them */
};

static bool is_known(const struct node *n, int first)
{
    for (int i = first; i < n->in_count; i++)
        if (n->in[i] && (!n->in[i]->param || !n->in[i]->param->values))
            return false;
    return true;
}

static bool is_affine(const struct node *n)
{
    return n && n->in_count && op_def_get(n->op)->affine && is_known(n, 1);
}

static bool is_product(const struct node *n)
{
    return n && (n->op == OP_conv2d || n->op == OP_conv2d_data_grad || n->op == OP_grouped_conv2d ||
                 n->op == OP_grouped_conv2d_data_grad || n->op == OP_dense || n->op == OP_locally_connected2d) && is_known(n, 1);
}

static struct affine affine_of(struct graph *g, const struct node *n)
{
    struct affine f = { .channels = n->out[0]->shape.c };

    f.scale = arena_array(g->arena, (size_t)f.channels, sizeof *f.scale);
    f.shift = arena_array(g->arena, (size_t)f.channels, sizeof *f.shift);
    for (int64_t c = 0; c < f.channels; c++)
        op_def_get(n->op)->affine(n, c, &f.scale[c], &f.shift[c]);
    return f;
}

/* Whether nothing else sees what goes from the producer of t to its reader. */
static bool is_between(const struct graph *g, const struct tensor *t)
{
    return has_one_reader(t) && t != g->logits && t != g->predictions;
}

/* The affine operations before n, a scale and shift, become part of it. */
static void take_affine(struct graph *g, struct node *n, struct affine *f)
{
    while (is_between(g, n->in[0]) && is_affine(n->in[0]->producer)) {
        struct node *before = n->in[0]->producer;
        struct affine b = affine_of(g, before);
        for (int64_t c = 0; c < f->channels; c++) {
            f->shift[c] += f->scale[c] * b.shift[c];
            f->scale[c] *= b.scale[c];
        }
        graph_bypass(g, before);
    }
}

/* A parameter's numbers multiplied by the scale of the channel that they make, with the shift added where there is
 * one. */
static void rescale(struct graph *g, struct param *p, enum cnn_axis channel, const struct affine *f, bool shifted)
{
    int out = param_extent(p, channel);
    int64_t count = param_elements(p), rest = (int64_t)param_extent(p, CNN_AXIS_KH) * param_extent(p, CNN_AXIS_KW);
    double *values = arena_array(g->arena, (size_t)count, sizeof *values);

    if (channel == CNN_AXIS_OUT)
        rest *= param_extent(p, CNN_AXIS_IN);
    /* filters in groups that go back: those of each group count the channels of that group alone */
    int64_t of_group = count / rest / out / (f->channels / out);
    assert(p->tensor->consumers_count == 1 && f->channels % out == 0);
    for (int64_t i = 0; i < count; i++) {
        int64_t c = i / rest % out + (out < f->channels ? i / rest / out / of_group * out : 0);
        values[i] = p->values[i] * f->scale[c] + (shifted ? f->shift[c] : 0);
    }
    p->values = values;
}

static bool is_nothing(const double *list, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (list[i] != 0 || signbit(list[i]))
            return false;
    return true;
}

/* The vector of known numbers that n has as that input; where it has none, a parameter that there was not. */
static struct tensor *known_vector(struct graph *g, const struct node *n, int input, const double *values)
{
    static const struct { const char *suffix; enum cnn_param_role role; } kinds[] = {
        [1] = { "weight", CNN_WEIGHT }, [2] = { "bias", CNN_BIAS }
    };
    const struct tensor *x = n->in[0];
    struct tensor *t = input < n->in_count ? n->in[input] : NULL;

    if (!t) {
        struct param *p = graph_param(g, n->layer, kinds[input].suffix, kinds[input].role, &param_vector, &x->shape.c);
        t = p->tensor;
        t->order = x->order;
        param_set_order(p, CNN_AXIS_OUT, x->order);
    }
    t->param->values = values;
    return t;
}

/* What counts the channels that a product makes: a transposed convolution's filters are those of one that goes back. */
static enum cnn_axis made_channels(const struct node *product)
{
    return product->op == OP_conv2d_data_grad || product->op == OP_grouped_conv2d_data_grad ? CNN_AXIS_IN : CNN_AXIS_OUT;
}

/* n, which multiplies and adds these numbers, as a bias behind a product, or as a scale. */
static void settle(struct graph *g, struct node *n, const struct affine *f)
{
    struct tensor *x = n->in[0];
    struct node *product = is_between(g, x) && is_product(x->producer) ? x->producer : NULL;

    if (!product) {
        struct tensor *scale = known_vector(g, n, 1, f->scale), *shift = known_vector(g, n, 2, f->shift);
        graph_become(g, n, OP_scale, (struct tensor *[]){ x, scale, shift }, 3);
        return;
    }
    rescale(g, product->in[1]->param, made_channels(product), f, false);
    if (product->in_count > 2) {                /* a bias for each position */
        rescale(g, product->in[2]->param, CNN_AXIS_OUT, f, true);
        graph_bypass(g, n);
        return;
    }
    if (is_nothing(f->shift, f->channels))
        graph_bypass(g, n);
    else
        graph_become(g, n, OP_bias, (struct tensor *[]){ x, known_vector(g, n, 2, f->shift) }, 2);
}

static void fold_affine(struct graph *g)
{
    for (int i = 0; i < g->nodes_count; i++) {
        struct node *n = g->nodes[i];
        if (!is_affine(n) || n->op == OP_bias)
            continue;
        struct affine f = affine_of(g, n);
        take_affine(g, n, &f);
        settle(g, n, &f);
    }
}

static void drop_biases_of_nothing(struct graph *g)
{
    for (int i = 0; i < g->nodes_count; i++) {
        struct node *n = g->nodes[i];
        if (n->op == OP_bias && is_affine(n) && is_nothing(n->in[1]->param->values, n->out[0]->shape.c))
            graph_bypass(g, n);
    }
}

static bool knows_parameters(const struct graph *g)
{
    for (int i = 0; i < g->params_count; i++)
        if (g->params[i]->values)
            return true;
    return false;
}

/* ---- zeros around what is convolved ------------------------------------------------------------------------------ */

static bool is_convolved_alone(const struct graph *g, const struct tensor *t)
{
    for (int i = 0; i < t->consumers_count; i++)
        if (t->consumers[i]->op != OP_conv2d && t->consumers[i]->op != OP_grouped_conv2d)
            return false;
    return t->consumers_count > 0 && t != g->logits && t != g->predictions;
}

/* Convolutions put zeros around their input themselves. */
static void pad_in_convolutions(struct graph *g)
{
    bool any = false;

    for (int i = g->nodes_count; i-- > 0;) {        /* of zeros around zeros the outer ones go first */
        struct node *n = g->nodes[i];
        const struct window *w = &n->attr.window;
        if (n->op != OP_zero_pad2d || !is_convolved_alone(g, n->out[0]))
            continue;
        for (int k = 0; k < n->out[0]->consumers_count; k++) {
            struct window *own = &n->out[0]->consumers[k]->attr.window;
            own->pad_top += w->pad_top;
            own->pad_bottom += w->pad_bottom;
            own->pad_left += w->pad_left;
            own->pad_right += w->pad_right;
        }
        graph_bypass(g, n);
        any = true;
    }
    if (any)
        graph_sweep(g);
}

void simplify(struct graph *g)
{
    if (knows_parameters(g)) {
        fold_affine(g);
        drop_biases_of_nothing(g);
        graph_sweep(g);
    }
    pad_in_convolutions(g);
    pool_first(g);
}
