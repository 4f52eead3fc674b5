/* graph.c - builds, checks and prints the graph; see graph.h. */
#include "graph/graph.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>
#include "ops/ops.h"

static const char *const op_names[] = {
#define OP(name, text) #name,
#include "graph/ops.def"
#undef OP
};

const char *op_name(enum op op)
{
    assert(op >= 0 && op < OP_COUNT);
    return op_names[op];
}

bool order_equal(struct map_order a, struct map_order b)
{
    return a.c == b.c && (a.c == 0 || (a.h == b.h && a.w == b.w));
}

int64_t param_elements(const struct param *p)
{
    return (int64_t)p->oh * p->ow * p->out * p->in * p->kh * p->kw;
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

static bool role_is_per_sample(enum tensor_role role)
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
    if (!strcmp(suffix, "weight"))
        suffix = "w";
    else if (!strcmp(suffix, "bias"))
        suffix = "b";
    return arena_printf(g->arena, "%s_%s", layer->name, suffix);
}

struct param *graph_param_local(struct graph *g, struct layer *layer, const char *suffix,
                                enum param_kind kind, enum cnn_param_role role, int oh, int ow,
                                int out, int in, int kh, int kw)
{
    struct param *p = arena_alloc(g->arena, sizeof *p);
    enum tensor_role tensor_role = role == CNN_STATISTIC ? TENSOR_STATISTIC : TENSOR_PARAM;
    struct shape shape = { .c = out, .h = in * kh * kw, .w = oh * ow };

    if (kind == PARAM_VECTOR || kind == PARAM_DENSE || kind == PARAM_CONV)
        shape = (struct shape){ .c = out, .h = in, .w = kh * kw, .flat = kind == PARAM_VECTOR };
    p->id = g->params_count;
    p->name = arena_printf(g->arena, "%s.%s", layer->name, suffix);
    p->layer = layer;
    p->kind = kind;
    p->role = role;
    p->trainable = layer->trainable && role != CNN_STATISTIC;
    p->oh = oh;
    p->ow = ow;
    p->out = out;
    p->in = in;
    p->kh = kh;
    p->kw = kw;
    p->tensor = graph_tensor(g, tensor_role, shape, param_tensor_name(g, layer, suffix));
    p->tensor->param = p;
    p->tensor->needs_gradient = g->training && p->trainable;
    LIST_ADD(g->arena, g->params, g->params_count, g->params_capacity, p);
    return p;
}

struct param *graph_param(struct graph *g, struct layer *layer, const char *suffix,
                          enum param_kind kind, enum cnn_param_role role, int out, int in, int kh,
                          int kw)
{
    return graph_param_local(g, layer, suffix, kind, role, 1, 1, out, in, kh, kw);
}

/* ---- verify ---------------------------------------------------------------------------------- */

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
    bool made = t->role != TENSOR_INPUT && t->role != TENSOR_LABELS && t->role != TENSOR_PARAM &&
                t->role != TENSOR_STATISTIC;

    if (t->shape.c < 1 || t->shape.h < 1 || t->shape.w < 1)
        return "an extent is not positive";
    if (t->shape.flat && (t->shape.h != 1 || t->shape.w != 1))
        return "a vector has a height or width";
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

static const char *verify_param(const struct graph *g, const struct param *p)
{
    if (p->out < 1 || p->in < 1 || p->kh < 1 || p->kw < 1 || p->oh < 1 || p->ow < 1)
        return "an extent is not positive";
    if (p->kind != PARAM_LOCAL && p->kind != PARAM_MAP && (p->oh != 1 || p->ow != 1))
        return "it has positions of its own";
    if (!p->tensor || p->tensor->param != p)
        return "its tensor belongs to another one";
    if (p->kind == PARAM_VECTOR && !order_equal(p->order, p->tensor->order))
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
    if ((g->loss != NULL) != (g->labels != NULL))
        return "a loss goes with labels, and labels with a loss";
    if (g->loss && (g->loss->role != TENSOR_LOSS || !g->logits))
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

/* ---- dump ------------------------------------------------------------------------------------ */

static const char *const activation_names[] = { "linear",  "relu", "relu6",   "leaky_relu",
                                                "elu",     "selu", "gelu",    "swish",
                                                "sigmoid", "tanh", "softplus" };

const char *activation_word(enum activation a)
{
    return activation_names[a];
}

static void dump_count(FILE *out, int64_t n)
{
    if (n >= 1000000)
        fprintf(out, "%.2f M", (double)n / 1e6);
    else if (n >= 10000)
        fprintf(out, "%.1f k", (double)n / 1e3);
    else
        fprintf(out, "%lld", (long long)n);
}

static void dump_init(FILE *out, struct cnn_init init)
{
    static const char *const names[] = {
        "zeros", "ones", "constant", "uniform", "normal", "truncated_normal", "orthogonal"
    };

    fprintf(out, "%s", names[init.kind]);
    if (init.kind == CNN_INIT_CONSTANT)
        fprintf(out, "(%.9g)", init.a);
    else if (init.kind == CNN_INIT_UNIFORM || init.kind == CNN_INIT_NORMAL)
        fprintf(out, "(%.9g, %.9g)", init.a, init.b);
    else if (init.kind == CNN_INIT_TRUNCATED_NORMAL)
        fprintf(out, "(%.9g)", init.b);
}

static void dump_order(FILE *out, struct map_order order)
{
    if (order.c)
        fprintf(out, " as (h, w, c) of %dx%dx%d", order.c, order.h, order.w);
}

static void dump_param(FILE *out, const struct param *p)
{
    fprintf(out, "    %s ", p->name);
    if (p->kind == PARAM_CONV)
        fprintf(out, "%dx%dx%dx%d", p->out, p->in, p->kh, p->kw);
    else if (p->kind == PARAM_DENSE)
        fprintf(out, "%dx%d", p->out, p->in);
    else if (p->kind == PARAM_LOCAL)
        fprintf(out, "%dx%dx%dx%dx%dx%d", p->oh, p->ow, p->out, p->in, p->kh, p->kw);
    else if (p->kind == PARAM_MAP)
        fprintf(out, "%dx%dx%d", p->oh, p->ow, p->out);
    else
        fprintf(out, "%d", p->out);
    dump_order(out, p->order);
    fprintf(out, ", ");
    dump_init(out, p->init);
    fprintf(out, "%s\n", p->role == CNN_STATISTIC ? ", statistic" : p->trainable ? "" : ", fixed");
}

static void dump_tensor(FILE *out, const struct tensor *t)
{
    if (!t) {
        fputs("-", out);
        return;
    }
    fputs(t->name, out);
    if (t->param)
        return;
    if (t->role == TENSOR_LABELS || t->role == TENSOR_LOSS)
        fputs(" 1", out);
    else
        fprintf(out, " %s", shape_text(t->shape).text);
    if (t->element == ELEMENT_U8)
        fputs(" u8", out);
    dump_order(out, t->order);
}

static void dump_window(FILE *out, const struct window *w)
{
    fprintf(out, " window=%dx%d", w->kh, w->kw);
    if (w->stride_h != 1 || w->stride_w != 1)
        fprintf(out, " stride=%dx%d", w->stride_h, w->stride_w);
    if (w->dilation_h != 1 || w->dilation_w != 1)
        fprintf(out, " dilation=%dx%d", w->dilation_h, w->dilation_w);
    if (w->pad_top || w->pad_bottom || w->pad_left || w->pad_right)
        fprintf(out, " padding=%d+%d,%d+%d", w->pad_top, w->pad_bottom, w->pad_left, w->pad_right);
}

static void dump_attributes(FILE *out, const struct node *n)
{
    if (n->window.kh)
        dump_window(out, &n->window);
    if (n->op == OP_activation || n->op == OP_activation_grad) {
        fprintf(out, " %s", activation_names[n->activation]);
        if (n->activation == ACT_LEAKY_RELU || n->activation == ACT_ELU)
            fprintf(out, "(%.9g)", n->alpha);
    }
    if (n->op == OP_dropout || n->op == OP_dropout_grad)
        fprintf(out, " rate=%.9g stream=%d", n->rate, n->stream);
    if (n->op == OP_batchnorm_moments)
        fprintf(out, " momentum=%.9g epsilon=%.9g", n->momentum, n->epsilon);
    if (n->op == OP_batchnorm_use || n->op == OP_batchnorm_use_grad)
        fprintf(out, " epsilon=%.9g", n->epsilon);
}

static void dump_node(FILE *out, const struct node *n)
{
    int64_t flops = op_def_get(n->op)->flops(n);

    fprintf(out, "    %s: %s(", n->name, op_name(n->op));
    for (int i = 0; i < n->in_count; i++) {
        fputs(i ? ", " : "", out);
        dump_tensor(out, n->in[i]);
    }
    fputs(")", out);
    dump_attributes(out, n);
    fputs(" -> ", out);
    for (int i = 0; i < n->out_count; i++) {
        fputs(i ? ", " : "", out);
        dump_tensor(out, n->out[i]);
    }
    if (flops) {
        fputs("  [", out);
        dump_count(out, flops);
        fputs(" flops]", out);
    }
    fputc('\n', out);
}

static void dump_nodes(const struct graph *g, FILE *out, bool backward)
{
    int64_t flops = 0;
    int count = 0;

    for (int i = 0; i < g->nodes_count; i++)
        if (g->nodes[i]->backward == backward) {
            flops += op_def_get(g->nodes[i]->op)->flops(g->nodes[i]);
            count++;
        }
    if (!count)
        return;
    fprintf(out, "%s: %d operation%s, ", backward ? "backward" : "forward", count,
            count == 1 ? "" : "s");
    dump_count(out, flops);
    fputs(" flops a sample\n", out);
    for (int i = 0; i < g->nodes_count; i++)
        if (g->nodes[i]->backward == backward)
            dump_node(out, g->nodes[i]);
}

void graph_dump(const struct graph *g, FILE *out)
{
    int64_t parameters = 0;

    for (int i = 0; i < g->params_count; i++)
        parameters += param_elements(g->params[i]);
    fprintf(out, "graph of %s, %s\n", g->model->name, g->training ? "training" : "use");
    fprintf(out, "parameters: %lld\n", (long long)parameters);
    for (int i = 0; i < g->params_count; i++)
        dump_param(out, g->params[i]);
    dump_nodes(g, out, false);
    dump_nodes(g, out, true);
}
