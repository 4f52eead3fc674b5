/* plan_views.c - which inputs of a concatenation lie inside of its result, and which slices inside of what they are cut
 * from.  Channels padded with zeros are a concatenation of one input.
 *
 * Requires: groups with their kernels, places of tensors (each with memory of its own but for views).
 * Ensures: a tensor with a base lies within it, pixel by pixel as far apart as the base's are; everybody who makes or
 * reads it takes that (kernel.strided).  What cannot lie there has memory of its own, and is copied.  A gradient that
 * is added to, and that nobody else reads, lies where the sum does.
 *
 * The input of a concatenation may itself be one: nodes are taken from the last to the first, so that the outer one
 * has its place when the inner one is asked. */
#include "plan/plan_parts.h"

struct views {
    const struct plan *p;
    struct program *q;
    const struct group **group_of;      /* by node id; NULL: a view */
};

static bool takes_strides(const struct views *v, const struct node *n, const struct tensor *t)
{
    const struct group *g = v->group_of[n->id];
    return g && g->kernel->strided && g->kernel->strided(v->p, g, t);
}

/* Whether all who make and read t, but for node `joins`, take it with pixels further apart. */
static bool may_lie_inside(const struct views *v, const struct tensor *t, const struct node *joins)
{
    const struct graph *g = v->q->graph;
    const struct tensor_place *x = &v->q->places[t->id];
    if (x->base || x->region != REGION_MEMORY || t == g->logits || t == g->predictions || !t->per_sample)
        return false;
    if (t->producer != joins && !takes_strides(v, t->producer, t))
        return false;
    for (int i = 0; i < t->consumers_count; i++)
        if (t->consumers[i] != joins && !takes_strides(v, t->consumers[i], t))
            return false;
    return true;
}

static void lay_inside(const struct views *v, const struct tensor *t, const struct tensor *whole, int channel)
{
    struct tensor_place *x = &v->q->places[t->id];
    const struct tensor_place *y = &v->q->places[whole->id];
    x->base = plan_root(v->q, whole);
    x->within = y->within + channel;
    x->pixel = y->pixel;
    x->sample = y->sample;
}

static void place_inputs(const struct views *v, const struct node *n)
{
    const struct tensor *y = n->out[0];
    int channel = n->op == OP_pad_channels ? n->attr.channel : 0;
    for (int i = 0; i < n->in_count; channel += n->in[i++]->shape.c)
        if (may_lie_inside(v, n->in[i], n))     /* the second time it has a base */
            lay_inside(v, n->in[i], y, channel);
}

/* Whether nothing but t is read of what lies where t does: of what it is a slice of, everybody else reads other
 * channels. */
static bool is_read_alone(const struct views *v, const struct tensor *t)
{
    int channel = 0, count = t->shape.c;
    for (const struct node *n = t->producer; n && n->op == OP_slice && v->q->places[t->id].base; n = t->producer) {
        const struct tensor *whole = n->in[0];
        channel += n->attr.channel;
        for (int i = 0; i < whole->consumers_count; i++) {
            const struct node *other = whole->consumers[i];
            bool apart = other->op == OP_slice && (other->attr.channel + other->out[0]->shape.c <= channel ||
                                                   channel + count <= other->attr.channel);
            if (other != n && !apart)
                return false;
        }
        t = whole;
    }
    return true;
}

/* The gradient of a map is added to where it lies. */
static void place_sum(const struct views *v, const struct node *n)
{
    const struct tensor *before = plan_adds_to(n), *sum = before ? n->out[2] : NULL;
    if (!before || before->consumers_count != 1 || v->q->places[before->id].region != REGION_MEMORY ||
        before->producer->op == OP_view || v->q->places[before->id].together || v->q->places[sum->id].together ||
        !is_read_alone(v, before) || !may_lie_inside(v, sum, n))
        return;
    struct tensor_place *x = &v->q->places[sum->id];
    const struct tensor_place *y = &v->q->places[before->id];
    x->base = plan_root(v->q, before);
    x->within = y->within;
    x->pixel = y->pixel;
    x->sample = y->sample;
}

void plan_views(struct plan *p, struct program *q)
{
    const struct graph *graph = q->graph;
    struct views v = { .p = p, .q = q };
    if (p->batch == 1)          /* steps of blocks count their parts in whole rows */
        return;
    v.group_of = arena_array(p->arena, (size_t)graph->nodes_count + 1, sizeof *v.group_of);
    for (int i = 0; i < q->groups_count; i++) {
        const struct group *g = q->groups[i];
        v.group_of[g->main->id] = g;
        for (int k = 0; k < g->chain_count; k++)
            v.group_of[g->chain[k]->id] = g;
        if (g->companion)
            v.group_of[g->companion->id] = g;
    }
    for (int i = graph->nodes_count; i-- > 0;) {
        const struct node *n = graph->nodes[i];
        if ((n->op == OP_concat || n->op == OP_pad_channels) &&
            plan_place(q, plan_root(q, n->out[0]))->region == REGION_MEMORY)
            place_inputs(&v, n);
    }
    for (int i = 0; i < graph->nodes_count; i++) {      /* a slice of a slice: the outer one first */
        const struct node *n = graph->nodes[i];
        if (n->op == OP_slice && plan_place(q, plan_root(q, n->in[0]))->region == REGION_MEMORY &&
            may_lie_inside(&v, n->out[0], n))
            lay_inside(&v, n->out[0], n->in[0], n->attr.channel);
        place_sum(&v, n);
    }
}
