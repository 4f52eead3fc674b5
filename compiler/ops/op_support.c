/* op_support.c - see op_support.h. */
#include "ops/op_support.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>

/* ---- shape rules ----------------------------------------------------------------------------- */

struct span arg_span(const struct layer *l, const char *name)
{
    const struct arg_value *a = clause_arg(l->clause, name);

    return a->given && a->where.file ? a->where : l->clause->where;
}

struct shape layer_in(struct layer *l)
{
    assert(l->inputs_count >= 1);
    l->in = l->inputs[0]->out;
    return l->in;
}

void note_input(struct diag *d, const struct layer *l)
{
    const struct layer *from = l->inputs[0];

    diag_note(d, from->where, "the input comes from here: '%s' gives %s", from->name,
              shape_text(from->out).text);
}

/* a * b * c * d of positive numbers, or INT64_MAX when it is larger. */
static int64_t product(int64_t a, int64_t b, int64_t c, int64_t d)
{
    int64_t p;

    if (__builtin_mul_overflow(a, b, &p) || __builtin_mul_overflow(p, c, &p) ||
        __builtin_mul_overflow(p, d, &p))
        return INT64_MAX;
    return p;
}

bool layer_set_out(struct layer *l, struct diag *d, struct span where, int64_t c, int64_t h,
                   int64_t w, bool flat)
{
    if (product(c, h, w, 1) > INT_MAX) {
        if (flat)
            diag_error(d, DIAG_too_big, where,
                       "the result of '%s' would have %lld elements; at most %d are possible",
                       l->name, (long long)c, INT_MAX);
        else
            diag_error(
                d, DIAG_too_big, where,
                "the result of '%s', %lldx%lldx%lld, is too big: at most %d elements are possible",
                l->name, (long long)c, (long long)h, (long long)w, INT_MAX);
        return false;
    }
    l->out = (struct shape){ .c = (int)c, .h = (int)h, .w = (int)w, .flat = flat };
    return true;
}

bool param_fits(struct layer *l, struct diag *d, struct span where, int64_t out, int64_t in,
                int64_t kh, int64_t kw)
{
    if (product(out, in, kh, kw) <= INT_MAX)
        return true;
    if (kh == 1 && kw == 1)
        diag_error(d, DIAG_too_big, where,
                   "the weights of '%s', %lldx%lld, are too big: at most %d numbers are possible",
                   l->name, (long long)out, (long long)in, INT_MAX);
    else
        diag_error(d, DIAG_too_big, where,
                   "the weights of '%s', %lldx%lldx%lldx%lld, are too big: at most %d numbers are "
                   "possible",
                   l->name, (long long)out, (long long)in, (long long)kh, (long long)kw, INT_MAX);
    return false;
}

bool layer_needs_map(struct layer *l, struct diag *d)
{
    struct shape in = layer_in(l);

    if (!in.flat)
        return true;
    diag_error(d, DIAG_needs_map, l->clause->where,
               "'%s' needs a map (channels x height x width), but its input is a vector of %d",
               l->clause->def->name, in.c);
    note_input(d, l);
    return false;
}

int64_t channel_biases(const struct layer *l)
{
    return clause_number(l->clause, "bias") ? l->out.c : 0;
}

bool same_shape_rule(struct layer *l, struct diag *d)
{
    (void)d;
    l->out = layer_in(l);
    return true;
}

bool layer_has_arg(const struct layer *l, const char *name)
{
    for (const struct arg_def *a = l->clause->def->args; a->name; a++)
        if (!strcmp(a->name, name))
            return true;
    return false;
}

/* Padding as Keras's `same`: as many results as strides begin in the input, the odd zero at the
 * end. */
static void axis_pad_same(struct axis *a)
{
    int64_t out = (a->in + a->stride - 1) / a->stride;
    int64_t total = (out - 1) * a->stride + a->reach - a->in;

    if (total < 0)
        total = 0;
    a->before = total / 2;
    a->after = total - a->before;
}

struct axis layer_axis(const struct layer *l, const char *size_name, int direction)
{
    const struct arg_value *padding = layer_has_arg(l, "padding") ? clause_arg(l->clause, "padding") : NULL;
    struct axis a = {
        .in = direction ? l->in.w : l->in.h,
        .size = clause_arg(l->clause, size_name)->dims[direction],
        .stride = clause_arg(l->clause, "stride")->dims[direction],
        .dilation = layer_has_arg(l, "dilation") ? clause_arg(l->clause, "dilation")->dims[direction] : 1,
    };

    assert(a.size >= 1 && a.stride >= 1 && a.dilation >= 1);
    a.reach = (a.size - 1) * a.dilation + 1;
    if (padding && !padding->text)
        a.before = a.after = padding->dims[direction];
    else if (padding && !strcmp(padding->text, "same"))
        axis_pad_same(&a);
    int64_t room = a.in + a.before + a.after - a.reach;
    a.out = room < 0 ? 0 : room / a.stride + 1;
    return a;
}

struct window layer_window(const struct layer *l, const char *size_name)
{
    struct axis y = layer_axis(l, size_name, 0), x = layer_axis(l, size_name, 1);

    return (struct window){
        .kh = (int)y.size, .kw = (int)x.size,
        .stride_h = (int)y.stride, .stride_w = (int)x.stride,
        .dilation_h = (int)y.dilation, .dilation_w = (int)x.dilation,
        .pad_top = (int)y.before, .pad_bottom = (int)y.after,
        .pad_left = (int)x.before, .pad_right = (int)x.after,
    };
}

bool window_fits(const struct layer *l, struct diag *d, const char *size_name)
{
    struct axis y = layer_axis(l, size_name, 0), x = layer_axis(l, size_name, 1);

    if (y.out && x.out)
        return true;
    bool dilated = y.dilation > 1 || x.dilation > 1,
         padded = y.before || y.after || x.before || x.after;
    char reach[64] = "", with_padding[64] = "";
    if (dilated)
        snprintf(reach, sizeof reach, ", which reaches over %lldx%lld with its dilation,",
                 (long long)y.reach, (long long)x.reach);
    if (padded)
        snprintf(with_padding, sizeof with_padding, " (%lldx%lld with padding)",
                 (long long)(y.in + y.before + y.after), (long long)(x.in + x.before + x.after));
    diag_error(d, DIAG_shape_too_small, arg_span(l, size_name),
               "the %s %lldx%lld%s is larger than its input, %s%s", size_name, (long long)y.size,
               (long long)x.size, reach, shape_text(l->in).text, with_padding);
    note_input(d, l);
    return false;
}

/* ---- lowering -------------------------------------------------------------------------------- */

const char *layer_node_name(struct graph *g, const struct layer *l)
{
    const char *kind = l->clause->def->name, *dot = strrchr(l->name, '.'), *last = dot ? dot + 1 : l->name,
               *rest = last + strlen(kind);

    /* A name that the user chose could be a word of C or of its library; one with the kind in it is
     * not. */
    if (!strncmp(last, kind, strlen(kind)) && rest[0] == '_' &&
        isdigit((unsigned char)rest[1]) && rest[1 + strspn(rest + 1, "0123456789")] == '\0')
        return l->name;
    return arena_printf(g->arena, "%s_%s", l->name, kind);
}

struct tensor *result_tensor(struct graph *g, const char *name, struct shape shape,
                             struct map_order order)
{
    struct tensor *y =
        graph_tensor(g, TENSOR_ACTIVATION, shape, arena_printf(g->arena, "%s_y", name));

    y->order = order;
    return y;
}

struct node *unary_node(struct graph *g, enum op op, struct layer *l, const char *name,
                        struct tensor *x, struct shape shape, struct map_order order)
{
    struct tensor *y = result_tensor(g, name, shape, order);

    return graph_node(g, op, l, name, &x, 1, &y, 1);
}

/* The order of a vector that is a map's memory; none where (h, w, c) and (c, h, w) are the same. */
static struct map_order order_of_map(struct shape s)
{
    if (!is_ordered(s))
        return (struct map_order){ 0, 0, 0 };
    return (struct map_order){ s.c, s.h, s.w };
}

struct tensor *lower_view(struct graph *g, struct layer *l, const char *name, struct tensor *x,
                          struct shape shape)
{
    struct map_order order = { 0, 0, 0 };

    assert(shape_elements(x->shape) == shape_elements(shape));
    assert(!x->order.c);
    if (shape.flat && !x->shape.flat && !x->planes)
        order = order_of_map(x->shape);
    return unary_node(g, OP_view, l, name, x, shape, order)->out[0];
}

struct tensor *lower_reorder(struct graph *g, struct layer *l, const char *name, struct tensor *x,
                             struct map_order order)
{
    if (order_equal(x->order, order))
        return x;
    /* A reorder goes to or from the user's order; between two maps' orders both are needed. */
    if (x->order.c && order.c)
        x = lower_reorder(g, l, name, x, (struct map_order){ 0, 0, 0 });
    return unary_node(g, OP_reorder, l, name, x, x->shape, order)->out[0];
}

struct tensor *lower_turn(struct graph *g, struct layer *l, const char *name, struct tensor *x)
{
    struct tensor *y = result_tensor(g, name, x->shape, x->order);

    y->planes = !x->planes;
    graph_node(g, OP_reorder, l, name, &x, 1, &y, 1);
    return y;
}

struct tensor *lower_bias(struct graph *g, struct layer *l, const char *suffix, struct tensor *x)
{
    struct param *b = graph_param(g, l, suffix, CNN_BIAS, &param_vector, &x->shape.c);
    const char *name = arena_printf(g->arena, "%s_bias", l->name);
    struct tensor *y = result_tensor(g, name, x->shape, x->order);

    param_initialise(b, "bias_init");
    param_set_order(b, CNN_AXIS_OUT, x->order);
    b->tensor->order = x->order;
    graph_node(g, OP_bias, l, name, (struct tensor *[]){ x, b->tensor }, 2, &y, 1);
    return y;
}

/* ---- gradients ------------------------------------------------------------------------------- */

struct node *backward_node(struct graph *g, struct node *n, enum op op, const char *suffix,
                           struct tensor *const *in, int in_count, struct tensor *const *out,
                           int out_count)
{
    const char *name = arena_printf(g->arena, "%s_%s", n->name, suffix);
    struct node *b = graph_node(g, op, n->layer, name, in, in_count, out, out_count);

    b->backward = true;
    b->forward = n;
    b->attr = attributes_of(&n->attr, op_attributes(op) & op_attributes(n->op));
    return b;
}

struct tensor *param_gradient(struct graph *g, struct tensor *param)
{
    struct tensor *d = grad_tensor(g, param);

    assert(param->param && param->param->trainable);
    grad_add(g, param, d);
    param->param->gradient = d;
    return d;
}

/* ---- verification ---------------------------------------------------------------------------- */

bool node_has(const struct node *n, int in_count, int out_count, unsigned optional_in)
{
    if (n->in_count != in_count || n->out_count != out_count)
        return false;
    for (int i = 0; i < in_count; i++)
        if (!n->in[i] && !(optional_in >> i & 1))
            return false;
    for (int i = 0; i < out_count; i++)
        if (!n->out[i])
            return false;
    return true;
}

bool shapes_equal(const struct tensor *a, const struct tensor *b)
{
    return a->shape.c == b->shape.c && a->shape.h == b->shape.h && a->shape.w == b->shape.w &&
           a->shape.flat == b->shape.flat && order_equal(a->order, b->order);
}

bool is_param(const struct tensor *t, const struct param_form *form)
{
    return t->role == TENSOR_PARAM && t->param && t->param->form == form;
}

bool is_param_gradient(const struct tensor *t, const struct node *of, int input)
{
    return t->role == TENSOR_PARAM_GRADIENT && of && input < of->in_count &&
           t->param == of->in[input]->param;
}

bool is_per_channel(const struct tensor *v, const struct tensor *x)
{
    return !v->per_sample && v->shape.flat && v->shape.c == x->shape.c &&
           order_equal(v->order, x->order);
}

static bool axis_links(int in, int out, int size, int stride, int dilation, int before, int after)
{
    int64_t reach = (int64_t)(size - 1) * dilation + 1, room = (int64_t)in + before + after - reach;

    return size >= 1 && stride >= 1 && dilation >= 1 && before >= 0 && after >= 0 && room >= 0 &&
           room / stride + 1 == out;
}

bool window_links(const struct window *w, const struct tensor *x, const struct tensor *y)
{
    return !x->shape.flat && !y->shape.flat &&
           axis_links(x->shape.h, y->shape.h, w->kh, w->stride_h, w->dilation_h, w->pad_top,
                      w->pad_bottom) &&
           axis_links(x->shape.w, y->shape.w, w->kw, w->stride_w, w->dilation_w, w->pad_left,
                      w->pad_right);
}

int64_t no_flops(const struct node *n)
{
    (void)n;
    return 0;
}

int64_t out_flops(const struct node *n)
{
    return shape_elements(n->out[0]->shape);
}

struct tensor *grad_tensor(struct graph *g, const struct tensor *t)
{
    enum tensor_role role = t->role == TENSOR_PARAM ? TENSOR_PARAM_GRADIENT : TENSOR_GRADIENT;
    struct tensor *d = graph_tensor(g, role, t->shape, arena_printf(g->arena, "d_%s", t->name));

    d->order = t->order;
    d->param = t->role == TENSOR_PARAM ? t->param : NULL;
    return d;
}

void grad_add(struct graph *g, struct tensor *t, struct tensor *gradient)
{
    if (!t->gradient) {
        t->gradient = gradient;
        return;
    }
    /* Consumers are met from the last to the first: that is the order of the sum. */
    assert(t->role == TENSOR_ACTIVATION && t->producer);
    struct tensor *sum = grad_tensor(g, t);
    const char *name = arena_printf(g->arena, "%s_grad_sum", t->producer->name);
    struct node *n = graph_node(g, OP_sum, t->producer->layer, name,
                                (struct tensor *[]){ t->gradient, gradient }, 2, &sum, 1);
    n->backward = true;
    t->gradient = sum;
}
