/* simplify.c - rewrites of the forward graph that change the work but not the result.
 *
 * Requires: a graph from lower_model(), before differentiate().  Ensures: the same function of the same parameters.
 *
 * Pooling before the activation: max pooling, a bias per channel and an activation that never falls may change places:
 *     conv -> bias -> relu -> maxpool   becomes   conv -> maxpool -> bias -> relu
 * Bias and activation then work on a quarter of the values, and so do their gradients; what the pooling drops is needed
 * no more once it is dropped. */
#include <string.h>

#include "passes/passes.h"
#include "ops/ops.h"

static bool is_movable(const struct node *n)
{
    return n && (n->op == OP_bias || (n->op == OP_activation && activation_row(n->attr.activation)->rises));
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

void simplify(struct graph *g)
{
    for (int i = 0; i < g->nodes_count; i++) {
        struct node *pool = g->nodes[i];
        if (pool->op != OP_maxpool2d || pool->in[0]->shape.flat ||
            shape_elements(pool->out[0]->shape) >= shape_elements(pool->in[0]->shape))
            continue;
        struct node *n = pool->in[0]->producer;
        while (is_movable(n) && has_one_reader(pool->in[0]) && pool->in[0] != g->logits) {
            swap_with_pool(g, n, pool);
            n = pool->in[0]->producer;
        }
        i = pool->id;
    }
}
