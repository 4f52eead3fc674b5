/* plan_together.c - which operations are computed for images that lie together: N / L x H x W x C x L, where a vector
 * of L lanes is one element of as many images.
 *
 * Channels innermost leave lanes idle where they are few: six channels fill six lanes of sixteen.  Images innermost
 * fill all of them, whatever the number of channels, and pooling, activations and borders take whole vectors as well;
 * but sums over images have to be taken across lanes, and what is not computed for them has to be turned over.  And a
 * call takes as many images: there are fewer calls for threads to share, and a network in use, which may be asked for
 * one picture, would compute sixteen; so it is for training alone.
 *
 * Requires: places of tensors, no groups yet.
 * Ensures: q->together names the nodes; a tensor lies together where all that make and read it are among them, and each
 * of these takes its other tensors as they are (kernel.apart).  Taken is the set that makes the program cheapest by the
 * kernels' own estimates: none, all that can be, or those convolutions that would leave lanes idle and what is between
 * them.  Minimal filtering of images together (conv2d_winograd_together.c) has no say in that: its estimates are near
 * to what it takes, those of minimal filtering image by image are on the safe side, so they cannot be compared.  (With
 * a say it took all of shapes_small, 1.08 of the time.) */
#include <stdlib.h>
#include <string.h>

#include "plan/plan_parts.h"

enum { LEAST_CALLS = 2 };

/* Calls of a step are what there is for threads to share: where they are few, the program must become so many times
 * cheaper to pay for what more threads would lose. */
static double must_save(int calls)
{
    return calls < 4 ? 1.5 : calls < 16 ? 1.1 : 1;
}

/* A set of nodes that becomes smaller until it holds together. */
struct set {
    const struct plan *p;
    struct program *q;
    /* by node id: what computes it for images together; NULL: it is not in the set */
    const struct kernel **kernel;
    bool *lies;                 /* by tensor id: together */
    int *queue, queued;         /* nodes to look at again */
    bool *waits;                /* by node id: it is in the queue */
};

static const struct kernel *kernel_for(const struct plan *p, const struct node *n)
{
    int count;
    const struct kernel *const *all = kernels(&count);
    for (int i = 0; i < count; i++)
        if (all[i]->op == n->op && all[i]->together && !all[i]->portable && all[i]->together(p, n))
            return all[i];
    return NULL;
}

static void look_again(struct set *s, const struct node *n)
{
    if (!n || !s->kernel[n->id] || s->waits[n->id])
        return;
    s->waits[n->id] = true;
    s->queue[s->queued++] = n->id;
}

static void take_apart(struct set *s, const struct tensor *t)
{
    if (!t || !s->lies[t->id])
        return;
    s->lies[t->id] = false;
    look_again(s, t->producer);
    for (int i = 0; i < t->consumers_count; i++)
        look_again(s, t->consumers[i]);
}

static void leave_out(struct set *s, const struct node *n)
{
    s->kernel[n->id] = NULL;
    for (int i = 0; i < n->in_count; i++)
        take_apart(s, n->in[i]);
    for (int i = 0; i < n->out_count; i++)
        take_apart(s, n->out[i]);
}

static bool takes(const struct set *s, const struct node *n, const struct tensor *t)
{
    const struct kernel *k = s->kernel[n->id];
    return !t || !t->per_sample || s->lies[t->id] || (k->apart && k->apart(n, t));
}

static bool holds(const struct set *s, const struct node *n)
{
    for (int i = 0; i < n->in_count; i++)
        if (!takes(s, n, n->in[i]))
            return false;
    for (int i = 0; i < n->out_count; i++)
        if (!takes(s, n, n->out[i]))
            return false;
    return true;
}

/* What is in memory of the plan's own and touched by nodes of the set alone. */
static bool may_lie(const struct set *s, const struct tensor *t)
{
    const struct graph *g = s->q->graph;
    const struct tensor_place *x = &s->q->places[t->id];
    if (x->region != REGION_MEMORY || x->base || !t->per_sample || t == g->logits || t == g->predictions ||
        t == g->loss)
        return false;
    if (!t->producer || !s->kernel[t->producer->id])
        return false;
    for (int i = 0; i < t->consumers_count; i++)
        if (!s->kernel[t->consumers[i]->id])
            return false;
    return true;
}

static bool is_convolution(const struct node *n)
{
    return n->op == OP_conv2d || n->op == OP_conv2d_data_grad || n->op == OP_conv2d_weight_grad;
}

/* Whether its layer's channels, read or made, leave lanes idle. */
static bool leaves_lanes(const struct plan *p, const struct node *n)
{
    const struct node *f = n->forward ? n->forward : n;
    return f->in[0]->shape.c % p->lanes || f->out[0]->shape.c % p->lanes;
}

enum extent { ALL, WHERE_LANES_ARE_IDLE, WHERE_ASKED_FOR };

#define TOGETHER "together"

/* Whether the kernel of that name computes the node for images together, alone or as well. */
static bool serves_together(const struct plan *p, const struct node *n, const char *name)
{
    int count;
    const struct kernel *const *all = kernels(&count);
    for (int i = 0; i < count; i++)
        if (all[i]->op == n->op && !strcmp(all[i]->name, name))
            return all[i]->together && all[i]->together(p, n);
    return false;
}

static bool belongs(const struct set *s, const struct plan_options *o, const struct node *n, enum extent extent)
{
    const char *forced = plan_forced(o, n);
    bool asked = forced && serves_together(s->p, n, forced);
    if ((forced && !asked) || (extent == WHERE_ASKED_FOR && is_convolution(n) && !asked))
        return false;
    return extent != WHERE_LANES_ARE_IDLE || !is_convolution(n) || leaves_lanes(s->p, n);
}

/* Returns whether any convolution is left, for whose sake all of it is. */
static bool find_set(struct set *s, const struct plan_options *o, enum extent extent)
{
    const struct graph *g = s->q->graph;
    bool any = false;
    s->queued = 0;
    for (int i = 0; i < g->nodes_count; i++) {
        s->waits[i] = false;
        s->kernel[i] = belongs(s, o, g->nodes[i], extent) ? kernel_for(s->p, g->nodes[i]) : NULL;
    }
    for (int i = 0; i < g->tensors_count; i++)
        s->lies[i] = may_lie(s, g->tensors[i]);
    for (int i = 0; i < g->nodes_count; i++)
        look_again(s, g->nodes[i]);
    while (s->queued) {
        const struct node *n = g->nodes[s->queue[--s->queued]];
        s->waits[n->id] = false;
        if (!holds(s, n))
            leave_out(s, n);
    }
    for (int i = 0; i < g->nodes_count; i++)
        any |= s->kernel[i] && is_convolution(g->nodes[i]);
    return any;
}

static void apply_set(const struct set *s, bool any)
{
    struct program *q = s->q;
    for (int i = 0; i < q->graph->nodes_count; i++)
        q->together[i] = any && s->kernel[i];
    for (int i = 0; i < q->graph->tensors_count; i++)
        q->places[i].together = any && s->lies[i] ? s->p->lanes : 0;
}

/* What the program would cost.  Groups are found once more when all is decided. */
static double cost_of(struct plan *p, struct program *q, const struct plan_options *o, struct diag *d)
{
    int choices = p->choices, informed = p->informed, untimed = p->untimed;
    double cycles = 0;
    q->groups_count = 0;
    plan_groups(p, q, o, d);
    for (int i = 0; i < q->groups_count; i++)
        cycles += q->groups[i]->cost;
    q->groups_count = 0;
    p->choices = choices;
    p->informed = informed;
    p->untimed = untimed;
    return cycles;
}

static bool asked_for(const struct plan_options *o)
{
    for (int i = 0; i < o->forced_count; i++) {
        const char *equal = strchr(o->forced[i], '=');
        if (equal && !strcmp(equal + 1, TOGETHER))
            return true;
    }
    return false;
}

static void decide(struct plan *p, struct program *q, const struct plan_options *o, struct diag *d)
{
    const struct graph *g = q->graph;
    size_t nodes = (size_t)g->nodes_count + 1;
    struct set s = { .p = p, .q = q };
    if (!q->training || p->target->portable || p->batch % p->lanes || p->batch / p->lanes < LEAST_CALLS)
        return;
    q->together = arena_array(p->arena, nodes, sizeof *q->together);
    s.kernel = arena_array(p->arena, nodes, sizeof *s.kernel);
    s.queue = arena_array(p->arena, nodes, sizeof *s.queue);
    s.waits = arena_array(p->arena, nodes, sizeof *s.waits);
    s.lies = arena_array(p->arena, (size_t)g->tensors_count + 1, sizeof *s.lies);
    if (asked_for(o)) {
        apply_set(&s, find_set(&s, o, WHERE_ASKED_FOR));
        return;
    }
    int best = -1;
    double least = 0;
    for (int extent = ALL; extent <= (int)WHERE_LANES_ARE_IDLE; extent++) {
        if (!find_set(&s, o, extent))
            continue;
        if (best < 0 && extent == ALL)
            least = cost_of(p, q, o, d);
        apply_set(&s, true);
        double cycles = cost_of(p, q, o, d) * must_save(p->batch / p->lanes);
        apply_set(&s, false);
        if (cycles < least) {
            least = cycles;
            best = extent;
        }
    }
    if (best >= 0)
        apply_set(&s, find_set(&s, o, best));
}

void plan_together(struct plan *p, struct program *q, const struct plan_options *o, struct diag *d)
{
    decide(p, q, o, d);
    q->together_decided = true;
}
