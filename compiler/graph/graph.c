/* graph.c - builds the graph; see graph.h. */
#include "graph/graph.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>

static const char *const op_names[] = {
#define OP(name, attributes, text) #name,
#include "graph/ops.def"
#undef OP
};

const char *op_name(enum op op)
{
    assert(op >= 0 && op < OP_COUNT);
    return op_names[op];
}

static const unsigned op_sets[] = {
#define OP(name, attributes, text) attributes,
#include "graph/ops.def"
#undef OP
};

unsigned op_attributes(enum op op)
{
    assert(op >= 0 && op < OP_COUNT);
    return op_sets[op];
}

bool is_ordered(struct shape s)
{
    return s.c > 1 && (int64_t)s.h * s.w > 1;
}

/* ---- names ----------------------------------------------------------------------------------- */

/* Nodes become functions and tensors pointers of one C file: they share one set of names. */
static const char *take_name(struct graph *g, const char *name)
{
    int *next = arena_alloc(g->arena, sizeof *next);

    *next = 2;
    table_put(&g->names, name, next);
    return name;
}

static const char *unique_name(struct graph *g, const char *wanted)
{
    char *base = arena_string(g->arena, wanted, strlen(wanted));

    for (char *c = base; *c; c++)
        if (!isalnum((unsigned char)*c))
            *c = '_';
    g->names.arena = g->arena;
    int *next = table_get(&g->names, base);
    const char *name = base;
    while (next && table_get(&g->names, name))
        name = arena_printf(g->arena, "%s_%d", base, (*next)++);
    return take_name(g, name);
}

void graph_rename_tensor(struct graph *g, struct tensor *t, const char *name)
{
    table_put(&g->names, t->name, NULL);
    t->name = unique_name(g, name);
}

/* ---- building -------------------------------------------------------------------------------- */

const struct tensor *tensor_base(const struct tensor *t)
{
    while (t->producer && t->producer->op == OP_view)
        t = t->producer->in[0];
    return t;
}

bool role_is_per_sample(enum tensor_role role)
{
    return role != TENSOR_PARAM && role != TENSOR_STATISTIC && role != TENSOR_PARAM_GRADIENT;
}

struct tensor *graph_tensor(struct graph *g, enum tensor_role role, struct shape shape,
                            const char *name)
{
    struct tensor *t = arena_alloc(g->arena, sizeof *t);

    t->id = g->tensors_count;
    t->name = unique_name(g, name);
    t->role = role;
    t->element = role == TENSOR_LABELS ? ELEMENT_I32 : ELEMENT_REAL;
    t->per_sample = role_is_per_sample(role);
    t->shape = shape;
    LIST_ADD(g->arena, g->tensors, g->tensors_count, g->tensors_capacity, t);
    return t;
}

static struct tensor **tensor_list(struct graph *g, struct tensor *const *list, int count)
{
    struct tensor **copy = arena_array(g->arena, (size_t)count + 1, sizeof *copy);

    for (int i = 0; i < count; i++)
        copy[i] = list[i];
    return copy;
}

static void tensor_add_consumer(struct graph *g, struct tensor *t, struct node *n)
{
    /* A node that reads a tensor twice is the newest consumer already. */
    if (t->consumers_count && t->consumers[t->consumers_count - 1] == n)
        return;
    LIST_ADD(g->arena, t->consumers, t->consumers_count, t->consumers_capacity, n);
}

struct node *graph_node(struct graph *g, enum op op, struct layer *layer, const char *name,
                        struct tensor *const *in, int in_count, struct tensor *const *out,
                        int out_count)
{
    struct node *n = arena_alloc(g->arena, sizeof *n);
    bool needs_gradient = false;

    n->name = unique_name(g, name);
    n->id = g->nodes_count;
    n->op = op;
    n->layer = layer;
    n->in = tensor_list(g, in, in_count);
    n->in_count = in_count;
    n->out = tensor_list(g, out, out_count);
    n->out_count = out_count;
    for (int i = 0; i < in_count; i++) {
        if (!in[i])
            continue;
        tensor_add_consumer(g, in[i], n);
        needs_gradient |= in[i]->needs_gradient;
    }
    for (int i = 0; i < out_count; i++) {
        if (!out[i])
            continue;
        assert(!out[i]->producer);
        out[i]->producer = n;
        if (out[i]->role == TENSOR_ACTIVATION || out[i]->role == TENSOR_LOSS)
            out[i]->needs_gradient = needs_gradient;
    }
    LIST_ADD(g->arena, g->nodes, g->nodes_count, g->nodes_capacity, n);
    return n;
}

/* What stands for a parameter in names of C: "conv2d_1_w". */
static const char *param_tensor_name(struct graph *g, const struct layer *layer, const char *suffix)
{
    const char *dot = strrchr(suffix, '.'), *last = dot ? dot + 1 : suffix;

    if (!strcmp(last, "weight"))
        last = "w";
    else if (!strcmp(last, "bias"))
        last = "b";
    if (dot)
        last = arena_printf(g->arena, "%.*s_%s", (int)(dot - suffix), suffix, last);
    return arena_printf(g->arena, "%s_%s", layer->name, last);
}

/* Of layers whose arguments have it. */
static double layer_l2(const struct layer *layer)
{
    const struct clause *c = layer->clause;
    for (int i = 0; c && i < clause_def_count(c->def); i++)
        if (!strcmp(c->def->args[i].name, "l2"))
            return c->args[i].number;
    return 0;
}

struct param *graph_param(struct graph *g, struct layer *layer, const char *suffix, enum cnn_param_role role,
                          const struct param_form *form, const int *extents)
{
    struct param *p = arena_alloc(g->arena, sizeof *p);
    enum tensor_role tensor_role = role == CNN_STATISTIC ? TENSOR_STATISTIC : TENSOR_PARAM;

    p->id = g->params_count;
    p->name = arena_printf(g->arena, "%s.%s", layer->name, suffix);
    p->layer = layer;
    p->form = form;
    for (int i = 0; i < CNN_MAX_RANK && form->files[i] != CNN_AXIS_NONE; i++)
        p->extents[i] = extents[i];
    p->role = role;
    p->trainable = layer->trainable && (role == CNN_BIAS || (role == CNN_WEIGHT && !layer->bias_only));
    p->l2 = role == CNN_WEIGHT ? layer_l2(layer) : 0;
    int out = param_extent(p, CNN_AXIS_OUT), in = param_extent(p, CNN_AXIS_IN);
    int64_t elements = param_elements(p);
    bool flat = form->files[1] == CNN_AXIS_NONE;
    struct shape shape = { .c = out, .h = in, .w = (int)(elements / out / in), .flat = flat };
    p->tensor = graph_tensor(g, tensor_role, shape, param_tensor_name(g, layer, suffix));
    p->tensor->param = p;
    p->tensor->needs_gradient = g->training && p->trainable;
    LIST_ADD(g->arena, g->params, g->params_count, g->params_capacity, p);
    return p;
}

/* ---- rewriting ------------------------------------------------------------------------------- */

static void tensor_drop_consumer(struct tensor *t, const struct node *n)
{
    int count = 0;

    for (int i = 0; i < t->consumers_count; i++)
        if (t->consumers[i] != n)
            t->consumers[count++] = t->consumers[i];
    t->consumers_count = count;
}

/* In the order of the nodes, as the others. */
static void tensor_insert_consumer(struct graph *g, struct tensor *t, struct node *n)
{
    int at = t->consumers_count;

    for (int i = 0; i < t->consumers_count; i++)
        if (t->consumers[i] == n)
            return;
    LIST_ADD(g->arena, t->consumers, t->consumers_count, t->consumers_capacity, n);
    for (; at > 0 && t->consumers[at - 1]->id > n->id; at--)
        t->consumers[at] = t->consumers[at - 1];
    t->consumers[at] = n;
}

static void node_drop_inputs(struct node *n)
{
    for (int i = 0; i < n->in_count; i++)
        if (n->in[i])
            tensor_drop_consumer(n->in[i], n);
    n->in_count = 0;
}

void graph_move(struct graph *g, struct node *n, int before)
{
    assert(before <= n->id);
    for (int i = n->id; i > before; i--) {
        g->nodes[i] = g->nodes[i - 1];
        g->nodes[i]->id = i;
    }
    g->nodes[before] = n;
    n->id = before;
    for (int i = 0; i < n->in_count; i++)
        if (n->in[i]) {
            tensor_drop_consumer(n->in[i], n);
            tensor_insert_consumer(g, n->in[i], n);
        }
}

struct node *graph_again(struct graph *g, struct node *n, struct tensor *first, int before)
{
    const struct tensor *y = n->out[0];
    struct tensor *out = graph_tensor(g, y->role, y->shape, arena_printf(g->arena, "%s_again", y->name)),
                  **in = tensor_list(g, n->in, n->in_count);

    assert(n->out_count == 1);
    out->element = y->element;
    out->order = y->order;
    in[0] = first;
    struct node *again = graph_node(g, n->op, n->layer, arena_printf(g->arena, "%s_again", n->name), in, n->in_count,
                                    &out, 1);
    again->backward = true;
    again->forward = n;
    again->attr = n->attr;
    graph_move(g, again, before);
    return again;
}

void graph_reads_instead(struct graph *g, struct node *n, struct tensor *from, struct tensor *to)
{
    for (int i = 0; i < n->in_count; i++)
        if (n->in[i] == from)
            n->in[i] = to;
    tensor_drop_consumer(from, n);
    tensor_insert_consumer(g, to, n);
}

void graph_become(struct graph *g, struct node *n, enum op op, struct tensor *const *in, int in_count)
{
    struct tensor **list = tensor_list(g, in, in_count);

    node_drop_inputs(n);
    n->op = op;
    n->attr = (struct attributes){ 0 };
    n->in = list;
    n->in_count = in_count;
    for (int i = 0; i < in_count; i++)
        if (list[i])
            tensor_insert_consumer(g, list[i], n);
}

void graph_makes_instead(struct graph *g, struct node *n, struct tensor *const *out, int out_count)
{
    for (int i = 0; i < n->out_count; i++)
        if (n->out[i])
            n->out[i]->producer = NULL;
    n->out = tensor_list(g, out, out_count);
    n->out_count = out_count;
    for (int i = 0; i < out_count; i++)
        if (out[i])
            out[i]->producer = n;
}

void graph_drop(struct node *n)
{
    node_drop_inputs(n);
}

void graph_also_makes(struct graph *g, struct node *n, struct tensor *t)
{
    struct tensor **list = arena_array(g->arena, (size_t)n->out_count + 2, sizeof *list);

    assert(!t->producer);
    for (int i = 0; i < n->out_count; i++)
        list[i] = n->out[i];
    list[n->out_count++] = t;
    n->out = list;
    t->producer = n;
}

void graph_bypass(struct graph *g, struct node *n)
{
    struct tensor *x = n->in[0], *y = n->out[0];

    assert(n->out_count == 1);
    node_drop_inputs(n);
    for (int i = 0; i < y->consumers_count; i++) {
        struct node *reader = y->consumers[i];
        for (int k = 0; k < reader->in_count; k++)
            if (reader->in[k] == y)
                reader->in[k] = x;
        tensor_insert_consumer(g, x, reader);
    }
    y->consumers_count = 0;
    g->logits = g->logits == y ? x : g->logits;
    g->predictions = g->predictions == y ? x : g->predictions;
}

static bool is_bypassed(const struct node *n)
{
    return n && n->in_count == 0;
}

static bool is_unread(const struct tensor *t)
{
    return t->param && t->consumers_count == 0 && t->role != TENSOR_PARAM_GRADIENT;
}

void graph_sweep(struct graph *g)
{
    int tensors = 0, nodes = 0, params = 0;

    for (int i = 0; i < g->params_count; i++)
        if (!is_unread(g->params[i]->tensor)) {
            g->params[i]->id = params;
            g->params[params++] = g->params[i];
        }
    for (int i = 0; i < g->tensors_count; i++)
        if (!is_bypassed(g->tensors[i]->producer) && !is_unread(g->tensors[i])) {
            g->tensors[i]->id = tensors;
            g->tensors[tensors++] = g->tensors[i];
        }
    for (int i = 0; i < g->nodes_count; i++)
        if (!is_bypassed(g->nodes[i])) {
            g->nodes[i]->id = nodes;
            g->nodes[nodes++] = g->nodes[i];
        }
    g->params_count = params;
    g->tensors_count = tensors;
    g->nodes_count = nodes;
}
