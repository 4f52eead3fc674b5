/* plan_group.c - which operations are computed together; plan_choose.c picks the kernel of each group.
 *
 * Requires: a verified graph, places of tensors.
 * Ensures: every node but the views belongs to exactly one group, groups are in an order that respects
 * dependencies, every group has a kernel that is applicable.
 *
 * An elementwise operation joins the group that makes its operand when nobody else reads that operand: then it
 * costs no pass over memory.  So do the sums over images that a normalisation's gradients want of dy: the kernel that
 * makes dy takes them, if it can, and reads x meanwhile. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "plan/plan_parts.h"

enum { CHAIN_MOST = 6 };

struct grouping {
    struct plan *p;
    struct program *q;
    const struct plan_options *options;
    int *group_of;              /* by node id: index of its group, -1 none yet */
    struct node **companion_of; /* by node id of a weight gradient: the bias gradient it also computes */
    bool *is_companion;         /* by node id */
};

const char *plan_pass(const struct node *n)
{
    switch (n->op) {
    case OP_conv2d_weight_grad: case OP_dense_weight_grad: case OP_bias_grad: case OP_batchnorm_param_grad:
    case OP_batchnorm_pass_grad: case OP_batchnorm_activation_pass_grad: case OP_batchnorm_rest:
    case OP_share_sums: case OP_ghost_sums: case OP_norm_param_grad: case OP_norm_map_grad:
    case OP_locally_connected2d_weight_grad: case OP_locally_connected2d_bias_grad: case OP_grouped_conv2d_weight_grad:
        return "weight";
    default:
        return n->backward ? "data" : "forward";
    }
}

struct tensor *plan_main_result(const struct node *n)
{
    int first = 0;
    while (!n->out[first])
        first++;
    return n->out[first];
}

/* Bias gradients ride with the weight gradient of the same layer: both read the same dy. */
static void find_companions(struct grouping *s)
{
    const struct graph *g = s->q->graph;
    for (int i = 0; i < g->nodes_count; i++) {
        struct node *n = g->nodes[i];
        if (n->op != OP_conv2d_weight_grad && n->op != OP_dense_weight_grad)
            continue;
        struct tensor *dy = n->in[1];
        for (int j = 0; j < dy->consumers_count; j++)
            if (dy->consumers[j]->op == OP_bias_grad && dy->consumers[j]->layer == n->layer)
                s->companion_of[n->id] = dy->consumers[j];
        if (s->companion_of[n->id])
            s->is_companion[s->companion_of[n->id]->id] = true;
    }
}

/* Operands given a channel: they need the position of a value in its pixel. */
static bool has_columns(const struct node *n)
{
    switch (n->op) {
    case OP_activation: case OP_activation_grad: case OP_sum: case OP_factor: case OP_factor_grad:
        return false;
    case OP_dropout: case OP_dropout_grad:
        return n->attr.by_channel;
    case OP_add: case OP_multiply:
        return n->in[0]->shape.h != n->in[1]->shape.h || n->in[0]->shape.w != n->in[1]->shape.w ||
               n->in[0]->shape.c != n->in[1]->shape.c;
    default:
        return true;
    }
}

/* True when t is made before the group under construction (or needs no making). */
static bool available(const struct grouping *s, const struct tensor *t)
{
    const struct node *maker = tensor_base(t)->producer;
    return !maker || s->group_of[maker->id] >= 0;
}

/* The sole reader of t that may be applied while t is in registers; NULL: none.  Views on the way are free. */
static struct node *next_in_chain(const struct grouping *s, const struct tensor *t, bool *through_view)
{
    const struct graph *g = s->q->graph;
    struct node *n = NULL;
    for (;;) {
        if (t->consumers_count != 1 || t == g->logits || t == g->predictions)
            return NULL;
        n = t->consumers[0];
        if (n->op != OP_view)
            break;
        *through_view = true;
        t = n->out[0];
    }
    int value;
    if (!chain_accepts(n, &value) || (*through_view && has_columns(n)))
        return NULL;
    value = chain_input(n, t);
    if (value < 0)
        return NULL;
    for (int i = 0; i < n->in_count; i++)
        if (i != value && n->in[i] && !available(s, n->in[i]))
            return NULL;
    return n;
}

static void grow_chain(struct grouping *s, struct group *g)
{
    g->chain = arena_array(s->p->arena, CHAIN_MOST, sizeof *g->chain);
    g->result = plan_main_result(g->main);
    if (!g->result->per_sample)
        return;
    bool through_view = false;
    while (g->chain_count < CHAIN_MOST) {
        struct node *n = next_in_chain(s, g->result, &through_view);
        if (!n || s->group_of[n->id] >= 0)
            break;
        struct tensor *before = g->result;
        g->chain[g->chain_count++] = n;
        g->result = n->out[0];
        if (g->together && chain_is_by_sample(s->p, g)) {       /* several images a call */
            g->chain_count--;
            g->result = before;
            break;
        }
    }
    g->followers_count = g->chain_count;
}

/* Whether t lies or may come to lie inside of another map: then its pixels may be further apart. */
static bool may_be_apart(const struct tensor *t)
{
    bool apart = t->producer && (t->producer->op == OP_slice || t->producer->op == OP_view);
    for (int i = 0; i < t->consumers_count; i++) {
        enum op op = t->consumers[i]->op;
        apart |= op == OP_concat || op == OP_pad_channels;
    }
    return apart;
}

/* Gradients of gamma and beta, g, leave the sums over images to the group that makes dy, where its kernel takes
 * them. */
static void find_carrier(struct grouping *s, struct group *g)
{
    const struct node *n = g->main;
    if (n->op != OP_batchnorm_param_grad || s->p->batch == 1 || !n->out[0] || !n->out[1] || g->together)
        return;
    const struct tensor *x = n->in[0], *dy = n->in[3];
    int index = dy->producer ? s->group_of[dy->producer->id] : -1;
    struct group *maker = index >= 0 ? s->q->groups[index] : NULL;
    if (!maker || maker->result != dy || maker->sums || maker->together || may_be_apart(x) || may_be_apart(dy) ||
        !maker->kernel->carries || !maker->kernel->carries(s->p, maker))
        return;
    maker->sums = n;
    g->carrier = maker;
}

static void mark(struct grouping *s, const struct group *g, int index)
{
    s->group_of[g->main->id] = index;
    for (int i = 0; i < g->chain_count; i++)
        s->group_of[g->chain[i]->id] = index;
    if (g->companion)
        s->group_of[g->companion->id] = index;
}

static bool goes_by_weights(const struct plan *p, const struct group *g)
{
    return g->kernel->by_weights && g->kernel->by_weights(p, g);
}

/* Of the gradients of a convolution that both go by its weights that of the data comes first: then the other one may
 * update the weights. */
static void order_gradients(const struct plan *p, struct program *q)
{
    for (int i = 0; i + 1 < q->groups_count; i++) {
        struct group *w = q->groups[i], *d = q->groups[i + 1];
        if (w->main->op == OP_conv2d_weight_grad && d->main->op == OP_conv2d_data_grad &&
            d->main->in[1]->param == w->main->out[0]->param && goes_by_weights(p, w) && goes_by_weights(p, d)) {
            q->groups[i] = d;
            q->groups[i + 1] = w;
        }
    }
}

void plan_groups(struct plan *p, struct program *q, const struct plan_options *o, struct diag *d)
{
    (void)d;
    const struct graph *graph = q->graph;
    size_t nodes = (size_t)graph->nodes_count;
    struct grouping s = { .p = p, .q = q, .options = o };
    s.group_of = arena_array(p->arena, nodes + 1, sizeof *s.group_of);
    s.companion_of = arena_array(p->arena, nodes + 1, sizeof *s.companion_of);
    s.is_companion = arena_array(p->arena, nodes + 1, sizeof *s.is_companion);
    for (size_t i = 0; i < nodes; i++)
        s.group_of[i] = -1;
    find_companions(&s);
    q->groups = arena_array(p->arena, nodes + 1, sizeof *q->groups);
    for (int i = 0; i < graph->nodes_count; i++) {
        struct node *n = graph->nodes[i];
        if (n->op == OP_view || s.group_of[n->id] >= 0 || s.is_companion[n->id])
            continue;
        struct group *g = arena_alloc(p->arena, sizeof *g);
        g->main = n;
        g->training = q->training;
        g->program = q;
        g->together = q->together && q->together[n->id] ? p->lanes : 0;
        g->companion = s.companion_of[n->id];
        grow_chain(&s, g);
        plan_choose(p, q, o, g);
        find_carrier(&s, g);
        mark(&s, g, q->groups_count);
        q->groups[q->groups_count++] = g;
    }
    order_gradients(p, q);
}
