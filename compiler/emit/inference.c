/* inference.c - the graph of use as steps for the emitted inference code; see inference.h.
 *
 * Requires: the graph of use, verified, and weights for all its parameters.
 * Ensures: what inference.h says; sums for folding are done in double and rounded once. */
#include "emit/inference.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "common/param_layout.h"

struct builder {
    struct arena *arena;
    struct diag *diag;
    const struct graph *graph;
    const struct weights *weights;
    struct inference *net;
    struct infer_value **values;    /* by tensor id; NULL: part of a step */
    bool *done;                     /* by node id: part of an earlier step */
    struct infer_value *rows;       /* the input turned, once a step wants it so */
};

/* ---- values and steps ------------------------------------------------------------------------ */

static struct infer_value *value_new(struct builder *b, int64_t size)
{
    struct infer_value *v = arena_alloc(b->arena, sizeof *v);

    v->place = INFER_IN_ARENA;
    v->size = size;
    v->first = v->last = b->net->steps_count;
    LIST_ADD(b->arena, b->net->values, b->net->values_count, b->net->values_capacity, v);
    return v;
}

static struct infer_step *step_new(struct builder *b, enum infer_kind kind, const struct node *n,
                                   const char *name)
{
    struct infer_step *s = arena_alloc(b->arena, sizeof *s);

    s->kind = kind;
    s->name = s->text = name;
    s->node = n;
    return s;
}

static void step_reads(struct builder *b, struct infer_step *s, struct infer_value *v)
{
    s->in[s->in_count++] = v;
    v->last = b->net->steps_count;
}

/* The step is complete: its result is that tensor's value. */
static void step_add(struct builder *b, struct infer_step *s, const struct tensor *y)
{
    s->out = value_new(b, shape_elements(y->shape));
    s->out_shape = y->shape;
    b->values[y->id] = s->out;
    LIST_ADD(b->arena, b->net->steps, b->net->steps_count, b->net->steps_capacity, s);
}

static bool is_map(struct shape s)
{
    return s.c > 1 && (int64_t)s.h * s.w > 1;
}

/* The value of a tensor as rows x columns x channels: the input is turned the first time. */
static struct infer_value *value_rows(struct builder *b, const struct tensor *t)
{
    const struct tensor *input = b->graph->input;
    struct infer_value *v = b->values[t->id];

    assert(v);
    if (v != b->values[input->id] || !is_map(input->shape))
        return v;
    if (!b->rows) {
        struct infer_step *s = step_new(b, INFER_TO_ROWS, input->consumers[0], "input_to_rows");
        s->in_shape = s->out_shape = input->shape;
        step_reads(b, s, v);
        b->rows = s->out = value_new(b, v->size);
        LIST_ADD(b->arena, b->net->steps, b->net->steps_count, b->net->steps_capacity, s);
    }
    return b->rows;
}

/* ---- folding --------------------------------------------------------------------------------- */

/* The user's index of the element at a place of a vector whose memory has that order. */
static int64_t user_index(struct map_order order, int64_t place)
{
    if (!order.c)
        return place;
    return place % order.c * order.h * order.w + place / order.c;
}

static double param_at(const struct builder *b, const struct tensor *t, int64_t place)
{
    return b->weights->values[t->param->id][user_index(param_order(t->param, CNN_AXIS_OUT), place)];
}

/* The only reader of a tensor that is nothing but a step between; else NULL. */
static struct node *only_consumer(const struct builder *b, const struct tensor *t)
{
    return t->consumers_count == 1 && t != b->graph->predictions ? t->consumers[0] : NULL;
}

static void step_mentions(struct builder *b, struct infer_step *s, const char *text)
{
    s->text = arena_printf(b->arena, "%s + %s", s->text, text);
}

/* Folds n (bias or batch normalisation) into y = x * scale + shift. */
static void fold(const struct builder *b, const struct node *n, double *scale, double *shift)
{
    for (int64_t i = 0; i < n->in[0]->shape.c; i++) {
        if (n->op == OP_bias) {
            shift[i] += param_at(b, n->in[1], i);
            continue;
        }
        double factor = param_at(b, n->in[1], i) / sqrt(param_at(b, n->in[4], i) + n->attr.epsilon);
        scale[i] *= factor;
        shift[i] = (shift[i] - param_at(b, n->in[3], i)) * factor + param_at(b, n->in[2], i);
    }
}

/* Takes into the step all that follows t and is linear in each channel; returns what it gives. */
static struct tensor *take_linear(struct builder *b, struct infer_step *s, struct tensor *t,
                                  double *scale, double *shift)
{
    struct node *n;

    while ((n = only_consumer(b, t)) && (n->op == OP_bias || n->op == OP_batchnorm_use) &&
           n->in[0] == t) {
        fold(b, n, scale, shift);
        if (n->op == OP_batchnorm_use)
            step_mentions(b, s, n->name);
        b->done[n->id] = true;
        t = n->out[0];
    }
    return t;
}

static struct tensor *take_activation(struct builder *b, struct infer_step *s, struct tensor *t)
{
    struct node *n = only_consumer(b, t);

    if (!n || n->op != OP_activation)
        return t;
    s->activation = n->attr.activation;
    s->alpha = n->attr.alpha;
    step_mentions(b, s, activation_word(n->attr.activation));
    b->done[n->id] = true;
    return n->out[0];
}

static float rounded(struct builder *b, const struct infer_step *s, double x)
{
    float f = (float)x;

    if (!isfinite(f) && !diag_errors(b->diag))
        diag_error(b->diag, DIAG_bad_weights, (struct span){0},
                   "%s: layer '%s' comes to a weight of %g once its batch normalisation is folded "
                   "in: no float",
                   b->net->weights_path, s->name, x);
    return f;
}

static void step_biases(struct builder *b, struct infer_step *s, const double *shift, int count)
{
    bool none = true;

    for (int i = 0; i < count; i++)
        none &= shift[i] == 0 && !signbit(shift[i]);
    if (none && s->kind != INFER_SCALE)
        return;
    s->biases_count = count;
    s->biases = arena_array(b->arena, (size_t)count, sizeof *s->biases);
    for (int i = 0; i < count; i++)
        s->biases[i] = rounded(b, s, shift[i]);
}

static double *filled(struct builder *b, int count, double value)
{
    double *list = arena_array(b->arena, (size_t)count, sizeof *list);

    for (int i = 0; i < count; i++)
        list[i] = value;
    return list;
}

/* ---- layers ---------------------------------------------------------------------------------- */

/* The file's out x in x kh x kw (of every position) as kh x kw x in x out, a dense layer's inputs
 * in the order of what it reads. */
static void step_weights(struct builder *b, struct infer_step *s, const struct param *p,
                         const double *scale)
{
    const double *w = b->weights->values[p->id];
    int outputs = param_extent(p, CNN_AXIS_OUT);
    struct cnn_layout layout = param_layout(p, outputs, 1, &s->weights_count);      /* one panel of all outputs */

    s->weights = arena_array(b->arena, (size_t)s->weights_count, sizeof *s->weights);
    for (int64_t i = 0; i < s->weights_count; i++) {
        int64_t place = rt_layout_place(&layout, i);
        s->weights[place] = rounded(b, s, w[i] * scale[place % outputs]);
    }
}

/* A layer's own biases by position, and what was folded into it by channel. */
static void step_local_biases(struct builder *b, struct infer_step *s, const double *scale,
                              const double *shift)
{
    int channels = s->node->out[0]->shape.c;
    const double *own = b->weights->values[s->node->in[2]->param->id];

    s->biases_count = shape_elements(s->node->out[0]->shape);
    s->biases = arena_array(b->arena, (size_t)s->biases_count, sizeof *s->biases);
    for (int64_t i = 0; i < s->biases_count; i++)
        s->biases[i] = rounded(b, s, own[i] * scale[i % channels] + shift[i % channels]);
}

static void add_product(struct builder *b, const struct node *n)
{
    enum infer_kind kind = n->op == OP_dense    ? INFER_DENSE
                         : n->op == OP_conv2d ? INFER_CONV2D
                                              : INFER_LOCAL2D;
    struct infer_step *s = step_new(b, kind, n, n->name);
    int channels = n->out[0]->shape.c;
    double *scale = filled(b, channels, 1), *shift = filled(b, channels, 0);
    bool from_input = b->values[n->in[0]->id] == b->values[b->graph->input->id];

    s->in_shape = n->in[0]->shape;
    s->window = n->attr.window;
    s->planes = kind == INFER_CONV2D && from_input && is_map(s->in_shape);
    step_reads(b, s, s->planes ? b->values[n->in[0]->id] : value_rows(b, n->in[0]));
    struct tensor *y = take_linear(b, s, n->out[0], scale, shift);
    y = take_activation(b, s, y);
    step_weights(b, s, n->in[1]->param, scale);
    if (n->in_count > 2)
        step_local_biases(b, s, scale, shift);
    else
        step_biases(b, s, shift, channels);
    step_add(b, s, y);
}

/* A bias or batch normalisation that nothing before it could take. */
static void add_scale(struct builder *b, const struct node *n)
{
    struct infer_step *s = step_new(b, INFER_SCALE, n, n->name);
    int channels = n->out[0]->shape.c;
    double *scale = filled(b, channels, 1), *shift = filled(b, channels, 0);

    s->in_shape = n->in[0]->shape;
    step_reads(b, s, value_rows(b, n->in[0]));
    fold(b, n, scale, shift);
    struct tensor *y = take_linear(b, s, n->out[0], scale, shift);
    y = take_activation(b, s, y);
    s->weights_count = channels;
    s->weights = arena_array(b->arena, (size_t)channels, sizeof *s->weights);
    for (int i = 0; i < channels; i++)
        s->weights[i] = rounded(b, s, scale[i]);
    step_biases(b, s, shift, channels);
    step_add(b, s, y);
}

/* Operations without parameters. */
static void add_plain(struct builder *b, const struct node *n, enum infer_kind kind)
{
    const char *name = n->op == OP_softmax_loss ? "softmax" : n->name;
    struct infer_step *s = step_new(b, kind, n, name);
    struct infer_value *x[2] = {value_rows(b, n->in[0]), NULL};

    if (kind == INFER_ADD)
        x[1] = value_rows(b, n->in[1]);
    s->in_shape = n->in[0]->shape;
    s->window = n->attr.window;
    for (int i = 0; i < 2 && x[i]; i++)
        step_reads(b, s, x[i]);
    s->spread = kind == INFER_ADD &&
                shape_elements(n->in[1]->shape) != shape_elements(n->in[0]->shape);
    if (n->op == OP_activation) {
        s->activation = n->attr.activation;
        s->alpha = n->attr.alpha;
    }
    step_add(b, s, kind == INFER_ACTIVATION || kind == INFER_SOFTMAX
                       ? n->out[0]
                       : take_activation(b, s, n->out[0]));
}

/* A vector into the user's order, or into that of a map behind it. */
static void add_reorder(struct builder *b, const struct node *n)
{
    const struct tensor *x = n->in[0], *y = n->out[0];
    bool to_planes = x->order.c != 0;
    struct map_order o = to_planes ? x->order : y->order;
    struct infer_step *s = step_new(b, to_planes ? INFER_TO_PLANES : INFER_TO_ROWS, n, n->name);

    s->in_shape = (struct shape){o.c, o.h, o.w, false};
    step_reads(b, s, value_rows(b, x));
    step_add(b, s, y);
    s->out_shape = s->in_shape;
}

static void add_node(struct builder *b, const struct node *n)
{
    switch (n->op) {
    case OP_conv2d: case OP_locally_connected2d: case OP_dense: add_product(b, n); break;
    case OP_bias: case OP_batchnorm_use: add_scale(b, n); break;
    case OP_activation: add_plain(b, n, INFER_ACTIVATION); break;
    case OP_add: add_plain(b, n, INFER_ADD); break;
    case OP_maxpool2d: add_plain(b, n, INFER_MAXPOOL2D); break;
    case OP_avgpool2d: add_plain(b, n, INFER_AVGPOOL2D); break;
    case OP_global_avgpool2d: add_plain(b, n, INFER_GLOBAL_AVGPOOL2D); break;
    case OP_softmax: case OP_softmax_loss: add_plain(b, n, INFER_SOFTMAX); break;
    case OP_reorder: add_reorder(b, n); break;
    case OP_view:
        b->values[n->out[0]->id] = value_rows(b, n->in[0]);
        break;
    default: assert(!"an operation that is_known() lets through");
    }
}

/* The predictions go to the caller's array, a map as channels x rows x columns. */
static void add_end(struct builder *b)
{
    const struct tensor *y = b->graph->predictions;
    struct infer_value *v = b->values[y->id];
    bool turn = !y->shape.flat && is_map(y->shape) && v != b->values[b->graph->input->id];

    if (turn || v->place == INFER_IN_INPUT || v == b->rows) {
        /* the network does nothing, or ends in a map */
        struct infer_step *s = step_new(b, turn ? INFER_TO_PLANES : INFER_ACTIVATION, y->producer,
                                        turn ? "output_to_planes" : "output_copy");
        s->in_shape = s->out_shape = y->shape;
        step_reads(b, s, v);
        v = s->out = value_new(b, v->size);
        LIST_ADD(b->arena, b->net->steps, b->net->steps_count, b->net->steps_capacity, s);
    }
    v->place = INFER_IN_OUTPUT;
    v->last = b->net->steps_count;
}

static bool is_known(enum op op)
{
    switch (op) {
    case OP_conv2d: case OP_locally_connected2d: case OP_dense: case OP_bias: case OP_batchnorm_use:
    case OP_activation: case OP_add: case OP_maxpool2d: case OP_avgpool2d: case OP_global_avgpool2d:
    case OP_softmax: case OP_softmax_loss: case OP_reorder: case OP_view:
        return true;
    default:
        return false;
    }
}

static bool inference_knows(const struct graph *g, struct diag *d)
{
    for (int i = 0; i < g->nodes_count; i++) {
        const struct node *n = g->nodes[i];
        if (is_known(n->op))
            continue;
        diag_error(d, DIAG_not_supported, n->layer->where,
                   "--emit=inference cannot write the operation '%s' of this layer yet", op_name(n->op));
        return false;
    }
    return true;
}

struct inference *inference_plan(struct arena *a, const struct graph *g, const struct weights *w,
                                 const struct inference_options *options, struct diag *d)
{
    struct inference *net = arena_alloc(a, sizeof *net);
    struct builder b = {.arena = a, .diag = d, .graph = g, .weights = w, .net = net};

    assert(!g->training);
    net->graph = g;
    net->name = options->name ? options->name : g->model->name;
    net->weights_path = options->weights_path;
    net->class_names = g->predictions->shape.flat ? w->class_names : NULL;
    net->caller_arena = options->caller_arena;
    net->inputs = shape_elements(g->input->shape);
    net->outputs = shape_elements(g->predictions->shape);
    if (!inference_knows(g, d) || !inference_pixels(a, net, w, d))
        return NULL;
    b.values = arena_array(a, (size_t)g->tensors_count, sizeof *b.values);
    b.done = arena_array(a, (size_t)g->nodes_count + 1, sizeof *b.done);
    b.values[g->input->id] = value_new(&b, net->inputs);
    b.values[g->input->id]->place = INFER_IN_INPUT;
    for (int i = 0; i < g->nodes_count; i++)
        if (!b.done[i])
            add_node(&b, g->nodes[i]);
    add_end(&b);
    if (diag_errors(d))
        return NULL;
    for (int i = 0; i < net->steps_count; i++)      /* no weights, no file of them */
        net->extern_weights |= options->extern_weights && net->steps[i]->weights;
    inference_place(a, net);
    return inference_samples(a, net, w, d) ? net : NULL;
}
