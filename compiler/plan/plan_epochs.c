/* plan_epochs.c - steps that are left out in epochs in which nothing is trained that they lead to.
 *
 * Requires: groups of parameters, groups with steps, and which parameters are updated early.
 * Ensures: a step of a backward pass whose results only gradients come of, of parameters that are trained in some
 * epochs only, is done in those (step.epochs); every other step in all.
 *
 * Where `params whiten, until=3` holds the bias of a first convolution after three epochs, it is the data gradient of
 * the second one that need not be made any more. */
#include <math.h>

#include "plan/plan_parts.h"

static const struct epoch_span all_epochs = { 0, INFINITY };

/* Epochs, apart from each other and in their order. */
struct spans {
    struct epoch_span *list;
    int count;
    size_t capacity;
};

static bool is_all(const struct spans *s)
{
    return s->count == 1 && s->list[0].from <= 0 && s->list[0].until == INFINITY;
}

/* What touches or meets the new span becomes a part of it. */
static void add_span(struct plan *p, struct spans *s, struct epoch_span added)
{
    int kept = 0, at = 0;
    for (int i = 0; i < s->count; i++) {
        struct epoch_span *x = &s->list[i];
        if (x->until < added.from || added.until < x->from) {
            at += x->until < added.from;
            s->list[kept++] = *x;
            continue;
        }
        added.from = x->from < added.from ? x->from : added.from;
        added.until = x->until > added.until ? x->until : added.until;
    }
    s->count = kept;
    LIST_ADD(p->arena, s->list, s->count, s->capacity, added);
    for (int i = s->count - 1; i > at; i--)
        s->list[i] = s->list[i - 1];
    s->list[at] = added;
}

static void add_spans(struct plan *p, struct spans *s, const struct spans *added)
{
    for (int i = 0; i < added->count; i++)
        add_span(p, s, added->list[i]);
}

struct epoch_span plan_trained_epochs(const struct plan *p, const struct param *param)
{
    const struct update *u = &p->update;
    if (!u->optimizer || !plan_trains(param))
        return all_epochs;
    /* what goes on while it is not trained is done by the step that updates it */
    for (int i = 0; p->params[param->id].early && i < u->passes_count; i++)
        if (u->passes[i].when != PASS_TRAINS)
            return all_epochs;
    const struct update_group *g = &u->groups[p->params[param->id].group];
    return (struct epoch_span){ g->from, g->until };
}

/* Epochs in which something is wanted that the tensor leads to; `wanted`: of the nodes behind it. */
static void add_wanted(struct plan *p, const struct graph *g, const struct tensor *t, const struct spans *wanted,
                       struct spans *to)
{
    if (t->role == TENSOR_PARAM_GRADIENT)
        add_span(p, to, plan_trained_epochs(p, t->param));
    else if (t->role == TENSOR_STATISTIC || t == g->loss || t == g->predictions)
        add_span(p, to, all_epochs);
    for (int i = 0; i < t->consumers_count && !is_all(to); i++)
        add_spans(p, to, &wanted[t->consumers[i]->id]);
}

/* By id of the node. */
static struct spans *find_wanted(struct plan *p, const struct graph *g)
{
    struct spans *wanted = arena_array(p->arena, (size_t)g->nodes_count + 1, sizeof *wanted);
    for (int i = g->nodes_count - 1; i >= 0; i--) {
        const struct node *n = g->nodes[i];
        for (int k = 0; n->backward && k < n->out_count && !is_all(&wanted[n->id]); k++)
            if (n->out[k])
                add_wanted(p, g, n->out[k], wanted, &wanted[n->id]);
        if (!n->backward || wanted[n->id].count == 0)
            add_span(p, &wanted[n->id], all_epochs);
    }
    return wanted;
}

static bool same_spans(const struct epochs *e, const struct spans *s)
{
    bool same = e->count == s->count;
    for (int i = 0; same && i < s->count; i++)
        same = e->spans[i].from == s->list[i].from && e->spans[i].until == s->list[i].until;
    return same;
}

/* The plan's only one of these; NULL: all epochs. */
static const struct epochs *epochs_of(struct plan *p, const struct spans *s)
{
    if (is_all(s))
        return NULL;
    for (int i = 0; i < p->epochs_count; i++)
        if (same_spans(p->epochs[i], s))
            return p->epochs[i];
    struct epochs *e = arena_alloc(p->arena, sizeof *e);
    *e = (struct epochs){ .index = p->epochs_count, .spans = s->list, .count = s->count };
    LIST_ADD(p->arena, p->epochs, p->epochs_count, p->epochs_capacity, e);
    return e;
}

void plan_epochs(struct plan *p, struct program *q)
{
    if (!q->training || !p->update.has_epochs)
        return;
    const struct spans *wanted = find_wanted(p, q->graph);
    for (int i = 0; i < q->groups_count; i++) {
        enum { MOST = 16 };
        const struct node *nodes[MOST];
        struct group *g = q->groups[i];
        struct spans all = { 0 };
        for (int k = 0, count = group_nodes(g, nodes, MOST); k < count; k++)
            add_spans(p, &all, &wanted[nodes[k]->id]);
        for (int k = 0; k < g->steps_count; k++)
            q->steps[g->first_step + k]->epochs = epochs_of(p, &all);
    }
}

bool plan_epochs_hold(const struct epochs *e, struct epoch_span s)
{
    bool held = !e;
    for (int i = 0; !held && i < e->count; i++)
        held = e->spans[i].from <= s.from && s.until <= e->spans[i].until;
    return held;
}
