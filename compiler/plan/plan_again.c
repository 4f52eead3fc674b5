/* plan_again.c - normalised activations that are made again in the backward pass instead of being kept for it.
 *
 * What batch normalisation and its activation make of a map is as large as the map, which is kept in any case, since
 * the gradients of the normalisation read it.  Where the gradients of the layer above take one image after the other,
 * they can have it made again just before them: the forward pass then writes nothing to memory that would have to come
 * back, and both live in a thread's cache alone.
 *
 * Requires: a verified graph of training.
 * Ensures: a verified graph that computes the same, bit for bit. */
#include "plan/plan_parts.h"

static bool is_weight_grad(const struct node *n)
{
    return n->op == OP_conv2d_weight_grad || n->op == OP_grouped_conv2d_weight_grad;
}

/* The activation that a convolution's weight gradient n reads, where all that reads it beside that and the layer itself
 * are gradients of its activation; NULL: it is none that is made of a normalised map alone. */
static struct node *normalised_input(const struct node *n)
{
    struct tensor *a = n->in[0];
    struct node *last = a->producer, *norm = last;
    if (last && last->op == OP_activation)
        norm = last->in[0]->producer;
    if (!norm || norm->op != OP_batchnorm || (norm != last && norm->out[0]->consumers_count > 1))
        return NULL;
    for (int i = 0; i < a->consumers_count; i++) {
        const struct node *reader = a->consumers[i];
        bool layer = (reader->op == OP_conv2d || reader->op == OP_grouped_conv2d) && reader->layer == n->layer;
        bool gradient = reader->op == OP_activation_grad && reader->forward == last;
        if (reader != n && !layer && !gradient)
            return NULL;
    }
    return last;
}

/* What is saved: it is written and read by way of memory, if the last cache does not hold it.  What is spent: a pass
 * over an image in the cache. */
static bool is_worth_it(const struct plan *p, const struct node *last)
{
    const struct costs *c = p->target->costs;
    double elements = (double)shape_elements(last->out[0]->shape) * p->batch, bytes = elements * p->real_size;
    double activation = last->op == OP_activation ? last->attr.activation->cycles : 0;
    enum { NORMALISED = 6,      /* instructions, loads and stores among them */
           STAYS = 4 << 20 };   /* bytes that the last cache holds until then, whatever the second-level one has */
    double far = c->last_share * p->target->l2_bytes;
    return bytes >= (far < STAYS ? far : STAYS) &&
           2 * bytes / p->target->memory_bytes_per_cycle > elements / p->lanes * (NORMALISED +
                   activation) / c->instructions;
}

/* Readers of the backward pass have it made before the first of them. */
static void make_again(struct graph *g, struct node *last)
{
    struct tensor *a = last->out[0];
    struct node *norm = last->op == OP_batchnorm ? last : last->in[0]->producer;
    int before = -1;
    for (int i = 0; i < a->consumers_count && before < 0; i++)
        before = a->consumers[i]->backward ? a->consumers[i]->id : -1;
    struct node *again = graph_again(g, norm, norm->in[0], before);
    if (norm != last)
        again = graph_again(g, last, again->out[0], before + 1);
    for (int i = a->consumers_count; i-- > 0;)
        if (a->consumers[i]->backward)
            graph_reads_instead(g, a->consumers[i], a, again->out[0]);
}

void plan_again(struct arena *a, struct graph *train, const struct plan_options *options)
{
    struct plan *p = plan_begin(a, train, options);
    struct program *q = &p->train;
    if (p->batch == 1)
        return;
    plan_params(p, train);
    plan_optimizer(p, train);
    q->graph = train;
    q->training = true;
    plan_places(p, q);
    plan_groups(p, q, options, NULL);
    for (int i = 0; i < q->groups_count; i++) {
        const struct group *g = q->groups[i];
        struct node *last = is_weight_grad(g->main) ? normalised_input(g->main) : NULL;
        if (last && g->kernel->by_image && g->kernel->by_image(p, g) && is_worth_it(p, last))
            make_again(train, last);
    }
}
