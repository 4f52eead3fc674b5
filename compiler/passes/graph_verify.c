/* graph_verify.c - the invariants of a graph: links, ids, names, gradients, and what each operation says of itself. */
#include "passes/passes.h"

#include <string.h>

#include "ops/ops.h"

static bool same_shape(struct shape a, struct shape b)
{
    return a.c == b.c && a.h == b.h && a.w == b.w && a.flat == b.flat;
}

static bool lists(struct node *const *nodes, int count, const struct node *n)
{
    for (int i = 0; i < count; i++)
        if (nodes[i] == n)
            return true;
    return false;
}

static bool reads(const struct node *n, const struct tensor *t)
{
    for (int i = 0; i < n->in_count; i++)
        if (n->in[i] == t)
            return true;
    return false;
}

static bool writes(const struct node *n, const struct tensor *t)
{
    for (int i = 0; i < n->out_count; i++)
        if (n->out[i] == t)
            return true;
    return false;
}

static bool knows_tensor(const struct graph *g, const struct tensor *t)
{
    return t->id >= 0 && t->id < g->tensors_count && g->tensors[t->id] == t;
}

static bool knows_node(const struct graph *g, const struct node *n)
{
    return n->id >= 0 && n->id < g->nodes_count && g->nodes[n->id] == n;
}

static const char *verify_gradient(const struct graph *g, const struct tensor *t)
{
    const struct tensor *d = t->gradient;

    if (!knows_tensor(g, d))
        return "its gradient is no tensor of the graph";
    if (d->role != TENSOR_GRADIENT && d->role != TENSOR_PARAM_GRADIENT)
        return "its gradient has the role of something else";
    if (!same_shape(d->shape, t->shape) || d->per_sample != t->per_sample)
        return "its gradient has another shape";
    if (!order_equal(d->order, t->order))
        return "its gradient has another order";
    if (!d->producer)
        return "nothing produces its gradient";
    return NULL;
}

static const char *verify_tensor(const struct graph *g, const struct tensor *t)
{
    bool made = t->role != TENSOR_INPUT && t->role != TENSOR_LABELS && t->role != TENSOR_TARGETS &&
                t->role != TENSOR_PARAM && t->role != TENSOR_STATISTIC;

    if (t->shape.c < 1 || t->shape.h < 1 || t->shape.w < 1)
        return "an extent is not positive";
    if (t->shape.flat && (t->shape.h != 1 || t->shape.w != 1))
        return "a vector has a height or width";
    if (t->planes && (!g->alone || t->shape.flat || !is_ordered(t->shape)))
        return "it lies as planes without need";
    if (t->order.c && !t->shape.flat)
        return "a map has an order of its own";
    if (t->order.c && (int64_t)t->order.c * t->order.h * t->order.w != t->shape.c)
        return "its order does not have its number of elements";
    if (t->per_sample != role_is_per_sample(t->role) && t->role != TENSOR_SAVED)
        return "it is wrong about having a batch";
    if (made != (t->producer != NULL))
        return made ? "nothing produces it" : "something produces it";
    if (t->producer && (!knows_node(g, t->producer) || !writes(t->producer, t)))
        return "its producer does not write it";
    for (int i = 0; i < t->consumers_count; i++) {
        if (!knows_node(g, t->consumers[i]) || !reads(t->consumers[i], t))
            return "a consumer does not read it";
        if (i && t->consumers[i]->id <= t->consumers[i - 1]->id)
            return "its consumers are out of order";
    }
    bool is_param =
        t->role == TENSOR_PARAM || t->role == TENSOR_STATISTIC || t->role == TENSOR_PARAM_GRADIENT;
    if (is_param != (t->param != NULL))
        return "it is wrong about being a parameter";
    return t->gradient ? verify_gradient(g, t) : NULL;
}

static const char *verify_links(const struct graph *g, const struct node *n)
{
    for (int i = 0; i < n->in_count; i++) {
        const struct tensor *t = n->in[i];
        if (!t)
            continue;
        if (!knows_tensor(g, t))
            return "it reads a tensor that the graph does not list";
        if (!lists(t->consumers, t->consumers_count, n))
            return "it is no consumer of what it reads";
        if (t->producer && t->producer->id >= n->id)
            return "it reads what is produced after it";
        if (t->planes && (i || !op_def_get(n->op)->reads_planes))
            return "it cannot read what lies as planes";
    }
    for (int i = 0; i < n->out_count; i++) {
        const struct tensor *t = n->out[i];
        if (!t)
            continue;
        if (!knows_tensor(g, t))
            return "it writes a tensor that the graph does not list";
        if (t->producer != n)
            return "it is not the producer of what it writes";
    }
    if (n->forward && (!knows_node(g, n->forward) || n->forward->id >= n->id))
        return "the node it differentiates does not come before it";
    if (n->forward && (!n->backward || n->forward->backward))
        return "it is wrong about being a backward node";
    return NULL;
}

static const char *verify_attributes(const struct node *n)
{
    unsigned set = op_attributes(n->op);
    const char *fault = attributes_fault(&n->attr, set);

    if (!fault && n->forward && !attributes_equal(&n->attr, &n->forward->attr, set & op_attributes(n->forward->op)))
        fault = "its attributes are not those of the node it differentiates";
    return fault;
}

static const char *verify_param(const struct graph *g, const struct param *p)
{
    const char *fault = param_fault(p);

    if (fault)
        return fault;
    if (!p->tensor || p->tensor->param != p)
        return "its tensor belongs to another one";
    if (p->tensor->shape.flat && !order_equal(param_order(p, CNN_AXIS_OUT), p->tensor->order))
        return "its tensor has another order";
    if (g->differentiated && p->trainable && !p->gradient)
        return "it is trainable and has no gradient";
    if (!p->trainable && p->gradient)
        return "it is not trainable and has a gradient";
    if (p->gradient && (p->gradient != p->tensor->gradient || p->gradient->param != p))
        return "its gradient belongs to another one";
    return NULL;
}

static const char *verify_ends(const struct graph *g)
{
    if (!g->input || g->input->role != TENSOR_INPUT)
        return "the graph has no input";
    if (!g->predictions)
        return "the graph has no predictions";
    if (g->predictions->order.c)
        return "the predictions are not in the user's order";
    if ((g->loss != NULL) != (g->target != NULL))
        return "a loss goes with a target, and a target with a loss";
    if (g->loss && g->loss->role != TENSOR_LOSS)
        return "the loss is not one";
    return NULL;
}

const char *graph_verify(const struct graph *g)
{
    const char *wrong;

    for (int i = 0; i < g->tensors_count; i++) {
        if (g->tensors[i]->id != i)
            return arena_printf(g->arena, "tensor %s: not where its id says", g->tensors[i]->name);
        wrong = verify_tensor(g, g->tensors[i]);
        if (wrong)
            return arena_printf(g->arena, "tensor %s: %s", g->tensors[i]->name, wrong);
    }
    for (int i = 0; i < g->nodes_count; i++) {
        const struct node *n = g->nodes[i];
        if (n->id != i)
            return arena_printf(g->arena, "node %s: not where its id says", n->name);
        if (n->backward && !g->differentiated)
            return arena_printf(g->arena, "node %s: a backward node in a forward graph", n->name);
        wrong = verify_links(g, n);
        if (!wrong)
            wrong = verify_attributes(n);
        if (!wrong)
            wrong = op_def_get(n->op)->verify(g, n);
        if (wrong)
            return arena_printf(g->arena, "node %s (%s): %s", n->name, op_name(n->op), wrong);
    }
    for (int i = 0; i < g->params_count; i++) {
        wrong = g->params[i]->id == i ? verify_param(g, g->params[i]) : "not where its id says";
        if (wrong)
            return arena_printf(g->arena, "parameter %s: %s", g->params[i]->name, wrong);
    }
    return verify_ends(g);
}
