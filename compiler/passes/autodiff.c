/* autodiff.c - adds the backward nodes: the gradient of the batch's mean loss with respect to every
 * trainable parameter.
 *
 * Requires: a forward graph of training, as lower.c makes it (tensor.needs_gradient tells what
 * leads back to a trainable parameter).  Ensures: every trainable parameter has a gradient; nothing
 * is computed that none of them needs.  Without a loss nothing is added. */
#include <assert.h>
#include "passes/passes.h"

#include "ops/ops.h"

/* Whether the loss depends on n, and something trainable stands behind it. */
static bool carries_gradient(const struct graph *g, const struct node *n)
{
    for (int i = 0; i < n->out_count; i++)
        if (n->out[i] && n->out[i]->needs_gradient && (n->out[i]->gradient || n->out[i] == g->loss))
            return true;
    return false;
}

void differentiate(struct graph *g)
{
    int forward_count = g->nodes_count;

    assert(g->training && !g->differentiated);
    if (!g->loss)
        return;
    /* The nodes are in an order that respects dependencies: when one is reached, all consumers of
     * its results have added their gradients. */
    for (int i = forward_count - 1; i >= 0; i--)
        if (carries_gradient(g, g->nodes[i])) {
            assert(op_def_get(g->nodes[i]->op)->gradient);
            op_def_get(g->nodes[i]->op)->gradient(g, g->nodes[i]);
        }
    g->differentiated = true;
}
