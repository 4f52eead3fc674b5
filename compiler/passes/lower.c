/* lower.c - the checked model as a forward graph: layers become operations.
 *
 * Requires: a checked model (shapes computed).  Ensures: the graph of training or of use, in the
 * order of the layers; input, predictions and, where the model has a loss, labels, logits and loss
 * are set.  The network's last softmax and categorical cross-entropy become one operation on the
 * logits. */
#include <assert.h>
#include "passes/passes.h"
#include "ops/ops.h"
#include "ops/op_support.h"

/* The activation given as an argument of the layer ("conv2d 8, 3x3, relu"), or NULL. */
static const struct clause *activation_argument(const struct layer *l)
{
    const struct clause_def *def = l->clause->def;

    for (int i = 0; def->args[i].name; i++)
        if (def->args[i].type == ARG_ACTIVATION)
            return l->clause->args[i].call;
    return NULL;
}

static bool is_softmax(const struct clause *c)
{
    return c && c->def == &layer_softmax.clause;
}

/* Whether the layer is a softmax or has one for its activation; as the last one it is left to
 * lower_end(). */
static bool ends_in_softmax(const struct layer *l)
{
    return is_softmax(l->clause) || is_softmax(activation_argument(l));
}

static struct tensor *lower_layer(struct graph *g, struct layer *l, struct tensor *const *results,
                                  bool is_last)
{
    struct tensor **x = arena_array(g->arena, (size_t)l->inputs_count + 1, sizeof *x);
    bool leave_softmax = is_last && ends_in_softmax(l);

    for (int i = 0; i < l->inputs_count; i++)
        x[i] = results[l->inputs[i]->index];
    if (leave_softmax && is_softmax(l->clause))
        return x[0];
    struct tensor *y = l->def->lower(g, l, x);
    return leave_softmax ? y : lower_activation(g, l, activation_argument(l), y);
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

static void lower_loss(struct graph *g, struct layer *last, struct tensor *logits)
{
    g->logits = logits;
    g->labels = graph_tensor(g, TENSOR_LABELS, (struct shape){ 1, 1, 1, true }, "labels");
    g->predictions = graph_tensor(g, TENSOR_ACTIVATION, logits->shape, "predictions");
    g->loss = graph_tensor(g, TENSOR_LOSS, (struct shape){ 1, 1, 1, true }, "loss");
    graph_node(g, OP_softmax_loss, last, "softmax_loss", (struct tensor *[]){ logits, g->labels },
               2, (struct tensor *[]){ g->predictions, g->loss }, 2);
}

static void lower_end(struct graph *g, struct layer *last, struct tensor *y)
{
    y = lower_result(g, last, y);
    if (g->model->loss) {
        assert(ends_in_softmax(last) && y->shape.flat);
        lower_loss(g, last, y);
    } else if (ends_in_softmax(last)) {
        g->logits = y;
        g->predictions = graph_tensor(g, TENSOR_ACTIVATION, y->shape, "predictions");
        graph_node(g, OP_softmax, last, "softmax", &y, 1, &g->predictions, 1);
    } else {
        g->predictions = y;
    }
}

struct graph *lower_model(struct arena *a, const struct model *m, bool training)
{
    struct graph *g = arena_alloc(a, sizeof *g);
    struct tensor **results = arena_array(a, (size_t)m->layers_count, sizeof *results);

    g->arena = a;
    g->model = m;
    g->training = training;
    for (int i = 0; i < m->layers_count; i++) {
        assert(m->layers[i]->index == i);
        results[i] = lower_layer(g, m->layers[i], results, i == m->layers_count - 1);
    }
    lower_end(g, m->layers[m->layers_count - 1], results[m->layers_count - 1]);
    return g;
}
