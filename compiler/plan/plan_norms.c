/* plan_norms.c - batch normalisations that read the same channels.
 *
 * Every layer of a dense block normalises all that the layers before it made.  The moments of a channel are the same
 * numbers for all of them: they are taken once, when the channel is made, and put together for each of the layers,
 * which has an epsilon, gamma, beta and running statistics of its own.
 *
 * The gradient of x is gamma inverse_deviation (dy - mean(dy) - normal mean(dy normal)).  Its first term needs no sum:
 * it is added to what others have brought to x, in the pass that also takes the sums.  The rest is a straight line in x
 * whose two numbers a channel are added up over all that normalise the channel, and by way of concatenations come to
 * the maps that these are put together of; there what they give is added once.  An activation's gradient is taken in
 * the same pass, of its argument computed again: then nobody needs to keep its result for that.
 *
 * Requires: a verified graph of training.
 * Ensures: a verified graph that computes the same up to rounding, the forward pass bit for bit. */
#include "plan/plan_parts.h"

/* Of a batch, or share, by itself; and of all shares of one. */
enum { ALONE, SHARED, KINDS };

struct norms {
    struct graph *g;
    struct node **owner[KINDS];         /* by tensor id: the first normalisation's moments that take its channels */
    bool *joins;                        /* by node id, of moments: some of its channels are another's too */
    struct node **moments_of[KINDS];    /* by tensor id: who has made its moments since, alone or joined */
    struct rest **rests;                /* by tensor id: of its gradient, the last that was found first */
    int tensors;                        /* that have an entry in these: those that were there in the beginning */
};

/* Of a normalisation of a tensor, or numbers a channel that others have added up. */
struct rest {
    struct node *norm;                  /* NULL: numbers, */
    struct tensor *sums[2];             /* dgamma and dbeta, of all shares; else shift and slope */
    int channel;                        /* from which on they are the tensor's */
    struct rest *next;
};

/* Of a node that takes the moments of what is normalised; -1: it does not. */
static int kind_of(const struct node *n)
{
    return n->op == OP_batchnorm_moments ? ALONE : n->op == OP_shared_moments ? SHARED : -1;
}

static bool is_joint(const struct tensor *t)
{
    return t->producer && t->producer->op == OP_concat;
}

/* Who takes the moments of t, or of a part of it, first; and who takes them again. */
static void find_sharing(struct norms *s, struct node *n, const struct tensor *t)
{
    struct node **owner = &s->owner[kind_of(n)][t->id];
    if (*owner) {
        s->joins[n->id] = s->joins[(*owner)->id] = true;
        return;
    }
    *owner = n;
    for (int i = 0; is_joint(t) && i < t->producer->in_count; i++)
        find_sharing(s, n, t->producer->in[i]);
}

/* A number for each channel of x. */
static struct tensor *numbers_of(struct graph *g, const struct tensor *x, const char *name, const char *what)
{
    struct shape shape = { x->shape.c, 1, 1, true };
    struct tensor *t = graph_tensor(g, TENSOR_SAVED, shape, arena_printf(g->arena, "%s_%s", name, what));
    t->order = x->order;
    t->per_sample = false;
    return t;
}

/* The moments of t by itself, made just before node n. */
static struct node *moments_alone(struct norms *s, struct node *n, struct tensor *t)
{
    struct graph *g = s->g;
    struct tensor *moments[] = { numbers_of(g, t, t->name, "mean"), numbers_of(g, t, t->name, "variance") };
    enum op op = kind_of(n) == SHARED ? OP_shared_channel_moments : OP_channel_moments;
    struct node *m = graph_node(g, op, n->layer, arena_printf(g->arena, "%s_moments", t->name), &t, 1, moments, 2);
    graph_move(g, m, n->id);
    return m;
}

struct tensor_list {
    struct tensor **items;
    int count;
    size_t capacity;
};

/* Adds mean and variance of t, or of its parts. */
static void list_moments(struct norms *s, struct node *n, struct tensor *t, struct tensor_list *list)
{
    struct node *m = s->moments_of[kind_of(n)][t->id];
    if (!m && is_joint(t)) {
        for (int i = 0; i < t->producer->in_count; i++)
            list_moments(s, n, t->producer->in[i], list);
        return;
    }
    if (!m)
        m = s->moments_of[kind_of(n)][t->id] = moments_alone(s, n, t);
    LIST_ADD(s->g->arena, list->items, list->count, list->capacity, m->out[0]);
    LIST_ADD(s->g->arena, list->items, list->count, list->capacity, m->out[m->op == OP_joined_moments ? 2 : 1]);
}

static void join_moments(struct norms *s, struct node *n)
{
    struct tensor_list list = { 0 };
    struct attributes attr = n->attr;
    int kind = kind_of(n);
    struct tensor *x = n->in[0];
    for (int i = 0; i < 3; i++)
        LIST_ADD(s->g->arena, list.items, list.count, list.capacity, n->in[i]);
    list_moments(s, n, x, &list);
    graph_become(s->g, n, OP_joined_moments, list.items, list.count);
    n->attr = attr;
    graph_also_makes(s->g, n, numbers_of(s->g, x, n->layer->name, "variance"));
    s->moments_of[kind][x->id] = n;
}

/* ---- gradients --------------------------------------------------------------------------------------------------- */

static struct node *reader_of(const struct tensor *t, enum op op, const struct node *forward)
{
    for (int i = 0; i < t->consumers_count; i++)
        if (t->consumers[i]->op == op && t->consumers[i]->forward == forward)
            return t->consumers[i];
    return NULL;
}

/* The gradient of an activation of what `norm` makes, of which dy, its result, is read by nothing but its sums and dx;
 * NULL: there is none, or its argument is not worth computing again. */
static struct node *activation_before(const struct node *norm, const struct tensor *dy)
{
    enum { CHEAP = 4 };         /* instructions: less than a pass over memory */
    struct node *n = dy->producer;
    bool fits = n && n->op == OP_activation_grad && n->forward->in[0] == norm->out[0] && dy->consumers_count == 2;
    return fits && n->attr.activation->cycles <= CHEAP ? n : NULL;
}

/* The sum of dx and what others have brought before, where nobody else reads either. */
static struct node *sum_after(const struct tensor *dx, const struct node *sums, struct tensor **before)
{
    struct node *n = dx->consumers_count == 1 ? dx->consumers[0] : NULL;
    if (!n || n->op != OP_sum)
        return NULL;
    *before = n->in[n->in[0] == dx];
    return *before != dx && (*before)->consumers_count == 1 && (*before)->producer->id < sums->id ? n : NULL;
}

static void add_rest(struct norms *s, const struct tensor *x, struct rest rest)
{
    struct rest **to = &s->rests[x->id], *r = arena_alloc(s->g->arena, sizeof *r);
    *r = rest;
    while (*to)
        to = &(*to)->next;
    *to = r;
}

/* The sums of a normalisation become the one pass; its data gradient, which was another, goes. */
static void pass_on(struct norms *s, struct node *norm)
{
    struct tensor *x = norm->in[0], *dy = norm->out[0]->gradient, *before = NULL;
    struct node *sums = dy ? reader_of(dy, OP_batchnorm_param_grad, norm) : NULL;
    struct node *data = dy ? reader_of(dy, OP_batchnorm_data_grad, norm) : NULL;
    if (!sums || !data || x->id >= s->tensors)
        return;
    struct node *activation = activation_before(norm, dy), *sum = sum_after(data->out[0], sums, &before);
    struct tensor *dx = sum ? sum->out[0] : data->out[0], *scale = sums->out[0], *shift = sums->out[1];
    struct tensor *in[] = { x, norm->in[1], norm->in[2], norm->in[3], norm->in[4], sum ? before : NULL,
                            activation ? activation->in[2] : dy };
    add_rest(s, x, (struct rest){ .norm = norm, .sums = { data->in[4], data->in[5] } });
    struct attributes attr = { 0 };
    if (activation) {
        attr.activation = activation->attr.activation;
        attr.alpha = activation->attr.alpha;
        graph_drop(activation);
        norm->out[0]->gradient = NULL;
    }
    graph_drop(data);
    if (sum)
        graph_drop(sum);
    graph_become(s->g, sums, activation ? OP_batchnorm_activation_pass_grad : OP_batchnorm_pass_grad, in, 7);
    sums->attr = attr;
    graph_makes_instead(s->g, sums, (struct tensor *[]){ scale, shift, dx }, 3);
}

static int later(int a, const struct tensor *t)
{
    return t && t->producer && t->producer->id > a ? t->producer->id : a;
}

/* Puts a new node right behind the last that it reads from. */
static void settle(struct graph *g, struct node *n)
{
    int last = 0;
    for (int i = 0; i < n->in_count; i++)
        last = later(last, n->in[i]);
    graph_move(g, n, last + 1);
    n->backward = true;
}

/* The numbers of a normalisation of t, if there is one, and others': those of one pair from a channel of theirs on. */
static struct rest rest_node(struct norms *s, struct tensor *t, const struct rest *own, const struct rest *first,
                             const struct rest *second)
{
    struct graph *g = s->g;
    const char *name = own ? own->norm->name : t->name;
    struct tensor *in[8] = { 0 }, *out[] = { numbers_of(g, t, name, "rest_shift"),
                                             numbers_of(g, t, name, "rest_slope") };
    if (own) {
        in[0] = own->norm->in[1];
        in[1] = own->norm->in[4];
        in[2] = own->sums[0];
        in[3] = own->sums[1];
    }
    for (int i = 0; i < 2; i++) {
        in[4 + i] = first->sums[i];
        in[6 + i] = second ? second->sums[i] : NULL;
    }
    struct node *n = graph_node(g, OP_batchnorm_rest, own ? own->norm->layer : t->producer->layer,
                                arena_printf(g->arena, "%s_rest", name), in, 8, out, 2);
    n->attr.channel = first->channel;
    settle(g, n);
    return (struct rest){ .sums = { out[0], out[1] } };
}

/* All rests of t as one; no sums: there is none. */
static struct rest gather(struct norms *s, struct tensor *t)
{
    struct rest all = { 0 };
    bool whole = false;         /* its numbers are t's, and no more */
    for (const struct rest *r = s->rests[t->id]; r; r = r->next) {
        if (r->norm)
            continue;
        if (!all.sums[0]) {
            all = *r;
            continue;
        }
        if (!whole)
            all = rest_node(s, t, NULL, &all, NULL);
        all = rest_node(s, t, NULL, r, &all);
        whole = true;
    }
    for (const struct rest *r = s->rests[t->id]; r; r = r->next)
        if (r->norm)
            all = rest_node(s, t, r, &all, NULL);
    return all;
}

/* The gradient of t becomes whole. */
static void add_up(struct norms *s, struct tensor *t, const struct rest *all, int kind)
{
    struct graph *g = s->g;
    struct tensor *d = t->gradient;
    struct tensor *whole = graph_tensor(g, d->role, d->shape, arena_printf(g->arena, "%s_whole", d->name));
    struct tensor *in[] = { t, s->moments_of[kind][t->id]->out[0], all->sums[0], all->sums[1], d };
    whole->order = d->order;
    struct node *n = graph_node(g, OP_batchnorm_rest_grad, t->producer->layer, arena_printf(g->arena, "%s_rest_grad",
            t->name), in, 5, &whole, 1);
    n->attr.channel = all->channel;
    settle(g, n);
    for (int i = d->consumers_count; i-- > 0;)
        if (d->consumers[i] != n)
            graph_reads_instead(g, d->consumers[i], d, whole);
    for (int i = 0; i < s->tensors; i++)        /* an add hands its own on */
        if (g->tensors[i]->gradient == d)
            g->tensors[i]->gradient = whole;
}

/* The rests of t, of which all are known, go on to its parts, or into its gradient. */
static void take_rests(struct norms *s, struct tensor *t, int kind)
{
    struct rest all = gather(s, t);
    if (!all.sums[0])
        return;
    if (!is_joint(t)) {
        add_up(s, t, &all, kind);
        return;
    }
    for (int i = 0, channel = all.channel; i < t->producer->in_count; channel += t->producer->in[i++]->shape.c)
        if (t->producer->in[i]->gradient)
            add_rest(s, t->producer->in[i], (struct rest){ .sums = { all.sums[0], all.sums[1] }, .channel = channel });
}

/* Normalisations whose moments are joined, but those of a share alone where others are of all shares: their means
 * differ. */
static void join_gradients(struct norms *s, struct node *const *moments, int count, int kind)
{
    int forward = 0;
    struct node **nodes = arena_array(s->g->arena, (size_t)s->g->nodes_count + 1, sizeof *nodes);
    for (int i = 0; i < count; i++)
        for (int k = 0; k < moments[i]->out[0]->consumers_count; k++)
            if (moments[i]->out[0]->consumers[k]->op == OP_batchnorm) {
                pass_on(s, moments[i]->out[0]->consumers[k]);
                break;
            }
    for (int i = 0; i < s->g->nodes_count; i++)
        if (!s->g->nodes[i]->backward)
            nodes[forward++] = s->g->nodes[i];
    while (forward-- > 0)
        for (int i = 0; i < nodes[forward]->out_count; i++)
            if (nodes[forward]->out[i] && nodes[forward]->out[i]->id < s->tensors)
                take_rests(s, nodes[forward]->out[i], kind);
    graph_sweep(s->g);
}

void plan_norms(struct graph *g)
{
    size_t tensors = (size_t)g->tensors_count + 1, nodes = (size_t)g->nodes_count + 1;
    struct norms s = { .g = g, .tensors = g->tensors_count };
    struct node **all = arena_array(g->arena, nodes, sizeof *all);
    int count = 0, joined = 0, alike = 0, kind = ALONE;
    s.rests = arena_array(g->arena, tensors, sizeof *s.rests);
    for (int k = 0; k < KINDS; k++) {
        s.owner[k] = arena_array(g->arena, tensors, sizeof *s.owner[k]);
        s.moments_of[k] = arena_array(g->arena, tensors, sizeof *s.moments_of[k]);
    }
    s.joins = arena_array(g->arena, nodes, sizeof *s.joins);
    for (int i = 0; i < g->nodes_count; i++)
        if (kind_of(g->nodes[i]) >= 0) {
            find_sharing(&s, g->nodes[i], g->nodes[i]->in[0]);
            all[count++] = g->nodes[i];
        }
    for (int i = 0; i < count; i++)     /* ids are as they were until the first node is added */
        if (s.joins[all[i]->id])
            all[joined++] = all[i];
    for (int i = 0; i < joined; i++)
        kind = kind_of(all[i]) == SHARED ? SHARED : kind;
    for (int i = 0; i < joined; i++) {
        bool same = kind_of(all[i]) == kind;
        join_moments(&s, all[i]);
        if (same)
            all[alike++] = all[i];
    }
    if (alike)
        join_gradients(&s, all, alike, kind);
}
