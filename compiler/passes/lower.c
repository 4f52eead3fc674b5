/* lower.c - the checked model as a forward graph: layers become operations.
 *
 * Requires: a checked model (shapes computed).  Ensures: the graph of training or of use, in the
 * order of the layers; input, predictions and, where the model has a loss, target and loss
 * are set, and the logits that it works on.  The network's last activation is left to a loss that works on logits.
 *
 * A graph of use that stands alone has no loss; its input and a map that it ends in lie as planes, channels x rows x
 * columns, and what cannot read them so reads them turned. */
#include <assert.h>
#include "passes/passes.h"
#include "ops/losses.h"
#include "ops/ops.h"
#include "ops/op_support.h"

/* The result of a layer, for l to read: planes are turned for the first who cannot read them. */
static struct tensor *operand(struct graph *g, struct layer *l, struct tensor **results, int index)
{
    if (results[index]->planes && !l->def->reads_planes)
        results[index] = lower_turn(g, l, "input_to_rows", results[index]);
    return results[index];
}

static struct tensor *lower_layer(struct graph *g, struct layer *l, struct tensor **results, bool is_last)
{
    struct tensor **x = arena_array(g->arena, (size_t)l->inputs_count + 1, sizeof *x);
    bool leave = is_last && activation_is_left(g->model);

    for (int i = 0; i < l->inputs_count; i++)
        x[i] = operand(g, l, results, l->inputs[i]->index);
    if (leave && l->def->is_activation)
        return x[0];
    struct tensor *y = l->def->lower(g, l, x);
    return leave || l->def->is_activation ? y : lower_activation(g, l, layer_activation(l), y);
}

/* The network's last result as the outside sees it: channels in the user's order, a 10x1x1 as a
 * vector. */
static struct tensor *lower_result(struct graph *g, struct layer *last, struct tensor *y)
{
    struct shape flat = { y->shape.c, 1, 1, true };

    if (!y->shape.flat && y->shape.h == 1 && y->shape.w == 1)
        return lower_view(g, last, "result_view", y, flat);
    return lower_reorder(g, last, "result_reorder", y, (struct map_order){ 0, 0, 0 });
}

/* Any map as a vector in the user's order. */
static struct tensor *lower_flat(struct graph *g, struct layer *l, const char *name, struct tensor *x)
{
    if (!x->shape.flat)
        x = lower_view(g, l, name, x, (struct shape){ (int)shape_elements(x->shape), 1, 1, true });
    return lower_reorder(g, l, name, x, (struct map_order){ 0, 0, 0 });
}

/* What the loss is taken of. */
static struct tensor *lower_target(struct graph *g, struct layer *last)
{
    const struct cnn_target target = g->model->target;

    switch (target.kind) {
    case CNN_TARGET_CLASS:
        if (g->training && g->model->mixes)
            return graph_tensor(g, TENSOR_TARGETS, (struct shape){ target.size, 1, 1, true }, "shares");
        return graph_tensor(g, TENSOR_LABELS, (struct shape){ 1, 1, 1, true }, "labels");
    case CNN_TARGET_VECTOR:
    case CNN_TARGET_LABELS:
        return graph_tensor(g, TENSOR_TARGETS, (struct shape){ target.size, 1, 1, true }, "targets");
    case CNN_TARGET_INPUT: return lower_flat(g, last, "target", g->input);
    }
    return NULL;
}

/* The end of a graph that stands alone is memory of its own, a map in planes. */
static struct tensor *lower_outside(struct graph *g, struct layer *last, struct tensor *y)
{
    struct tensor *copy;

    if (is_ordered(y->shape) && !y->planes)
        return lower_turn(g, last, "output_to_planes", y);
    if (tensor_base(y)->producer)
        return y;
    copy = result_tensor(g, "output_copy", y->shape, y->order);
    copy->planes = y->planes;
    graph_node(g, OP_copy, last, "output_copy", &y, 1, &copy, 1);
    return copy;
}

static void lower_end(struct graph *g, struct layer *last, struct tensor *y)
{
    const struct model *m = g->model;

    y = m->target.kind == CNN_TARGET_INPUT && !g->alone ? lower_flat(g, last, "result", y) : lower_result(g, last, y);
    if (g->alone) {
        g->logits = activation_is_left(m) ? y : NULL;
        y = g->logits ? lower_activation(g, last, layer_activation(last), y) : y;
        g->predictions = lower_outside(g, last, y);
    } else if (m->loss) {
        g->target = lower_target(g, last);
        loss_lower(g, last, y);
    } else if (m->ends_in_softmax) {
        g->logits = y;
        g->predictions = graph_tensor(g, TENSOR_ACTIVATION, y->shape, "predictions");
        graph_node(g, OP_softmax, last, "softmax", &y, 1, &g->predictions, 1);
    } else {
        g->predictions = y;
    }
}

static struct graph *lower(struct arena *a, const struct model *m, bool training, bool alone)
{
    struct graph *g = arena_alloc(a, sizeof *g);
    struct tensor **results = arena_array(a, (size_t)m->layers_count, sizeof *results);

    g->arena = a;
    g->model = m;
    g->training = training;
    g->alone = alone;
    for (int i = 0; i < m->layers_count; i++) {
        assert(m->layers[i]->index == i);
        results[i] = lower_layer(g, m->layers[i], results, i == m->layers_count - 1);
    }
    lower_end(g, m->layers[m->layers_count - 1], results[m->layers_count - 1]);
    return g;
}

struct graph *lower_model(struct arena *a, const struct model *m, bool training)
{
    return lower(a, m, training, false);
}

struct graph *lower_alone(struct arena *a, const struct model *m)
{
    return lower(a, m, false, true);
}
