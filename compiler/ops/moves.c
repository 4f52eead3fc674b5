/* moves.c - layers that put numbers elsewhere: zeros around a map or beside its channels, a map in another shape, and
 * every pixel made into several. */
#include <string.h>

#include "ops/op_support.h"

static const struct map_order no_order = { 0, 0, 0 };

/* ---- reshape: views of vectors, which may have to be brought into another order --------------------------------- */

static const struct arg_def reshape_args[] = {
    { .name = "extent", .type = ARG_SHAPE, .positional = true, .required = true, .min = 1, .max = CHANNELS_MOST,
      .help = "channels x height x width of the result, or the size of a vector" },
    { .name = NULL }
};

static bool reshape_shape(struct layer *l, struct diag *d)
{
    const int64_t *dims = clause_arg(l->clause, "extent")->dims;
    struct shape in = layer_in(l);
    bool flat = dims[1] == 0;

    if (!layer_set_out(l, d, arg_span(l, "extent"), dims[0], flat ? 1 : dims[1], flat ? 1 : dims[2], flat))
        return false;
    if (shape_elements(l->out) == shape_elements(in))
        return true;
    diag_error(d, DIAG_bad_reshape, arg_span(l, "extent"), "%s are %lld numbers, but %lld arrive: %s",
               shape_text(l->out).text, (long long)shape_elements(l->out), (long long)shape_elements(in),
               shape_text(in).text);
    note_input(d, l);
    return false;
}

/* In the order of channels, rows, columns, whatever that of memory is. */
static struct tensor *reshape_lower(struct graph *g, struct layer *l, struct tensor *const *x)
{
    const char *name = layer_node_name(g, l);
    struct shape to = l->out, flat = { (int)shape_elements(to), 1, 1, true };
    struct map_order order = no_order;
    struct tensor *y = x[0];

    if (y->shape.flat == to.flat && y->shape.c == to.c && y->shape.h == to.h && y->shape.w == to.w)
        return y;
    if (!y->shape.flat)
        y = lower_view(g, l, name, y, flat);
    if (to.flat)                /* as flatten */
        return y;
    if (is_ordered(to))
        order = (struct map_order){ to.c, to.h, to.w };
    y = lower_reorder(g, l, name, y, order);
    return unary_node(g, OP_view, l, name, y, to, no_order)->out[0];
}

const struct layer_def layer_reshape = {
    .clause = { "reshape", ARGS(reshape_args),
                .help = "the same numbers in another shape, over channels, rows, columns" },
    .reads_planes = true,
    .shape = reshape_shape,
    .lower = reshape_lower,
};

/* ---- zero_pad2d: as the padding of a window of one element ------------------------------------------------------- */

static const struct arg_def zero_pad2d_args[] = {
    { .name = "padding", .type = ARG_SIDES, .positional = true, .required = true, .min = 0, .max = WINDOW_MOST,
      .help = "rows x columns of zeros at each end, or [top, bottom, left, right]" },
    { .name = NULL }
};

static bool zero_pad2d_shape(struct layer *l, struct diag *d)
{
    const int64_t *p = clause_arg(l->clause, "padding")->dims;

    return layer_needs_map(l, d) && layer_set_out(l, d, arg_span(l, "padding"), l->in.c, l->in.h + p[0] + p[1],
                                                  l->in.w + p[2] + p[3], false);
}

static struct tensor *zero_pad2d_lower(struct graph *g, struct layer *l, struct tensor *const *x)
{
    const int64_t *p = clause_arg(l->clause, "padding")->dims;

    if (!p[0] && !p[1] && !p[2] && !p[3])
        return x[0];
    struct node *n = unary_node(g, OP_zero_pad2d, l, layer_node_name(g, l), x[0], l->out, no_order);
    n->attr.window = (struct window){ .kh = 1, .kw = 1, .stride_h = 1, .stride_w = 1, .dilation_h = 1, .dilation_w = 1,
                                      .pad_top = (int)p[0], .pad_bottom = (int)p[1], .pad_left = (int)p[2],
                                      .pad_right = (int)p[3] };
    return n->out[0];
}

const struct layer_def layer_zero_pad2d = {
    .clause = { "zero_pad2d", ARGS(zero_pad2d_args), .help = "zeros around a map" },
    .shape = zero_pad2d_shape,
    .lower = zero_pad2d_lower,
};

static void window_gradient(struct graph *g, struct node *n, enum op op)
{
    struct tensor *x = n->in[0], *dy = n->out[0]->gradient, *dx;

    if (!x->needs_gradient)
        return;
    dx = grad_tensor(g, x);
    backward_node(g, n, op, "grad", &dy, 1, &dx, 1);
    grad_add(g, x, dx);
}

static void zero_pad2d_gradient(struct graph *g, struct node *n)
{
    window_gradient(g, n, OP_zero_pad2d_grad);
}

/* x: the smaller map. */
static const char *pad_fits(const struct node *n, const struct tensor *x, const struct tensor *y)
{
    const struct window *w = &n->attr.window;

    CHECK(node_has(n, 1, 1, 0), "wrong number of inputs or outputs");
    CHECK(w->kh == 1 && w->kw == 1 && w->stride_h == 1 && w->stride_w == 1, "its window is more than one element");
    CHECK(x->shape.c == y->shape.c && window_links(w, x, y), "its zeros do not take one map to the other");
    return NULL;
}

static const char *zero_pad2d_verify(const struct graph *g, const struct node *n)
{
    (void)g;
    return pad_fits(n, n->in[0], n->out[0]);
}

static const char *zero_pad2d_grad_verify(const struct graph *g, const struct node *n)
{
    (void)g;
    return pad_fits(n, n->out[0], n->in[0]);
}

/* The smaller map's numbers in the larger one, or back. */
static void pad_run(const struct run *r, const struct node *n, const struct tensor *x, const struct tensor *y,
                    bool back)
{
    const struct window *w = &n->attr.window;

    for (int s = 0; s < r->batch; s++)
        for (int c = 0; c < x->shape.c; c++)
            for (int row = 0; row < x->shape.h; row++)
                for (int column = 0; column < x->shape.w; column++) {
                    double *small = run_at(r, x, s, c, row, column);
                    double *large = run_at(r, y, s, c, row + w->pad_top, column + w->pad_left);
                    if (back)
                        *small = *large;
                    else
                        *large = *small;
                }
}

static void zero_pad2d_run(const struct run *r, const struct node *n)
{
    pad_run(r, n, n->in[0], n->out[0], false);
}

static void zero_pad2d_grad_run(const struct run *r, const struct node *n)
{
    pad_run(r, n, n->out[0], n->in[0], true);
}

const struct op_def op_def_zero_pad2d = {
    .op = OP_zero_pad2d, .verify = zero_pad2d_verify, .gradient = zero_pad2d_gradient, .flops = no_flops,
    .run = zero_pad2d_run,
};
const struct op_def op_def_zero_pad2d_grad = {
    .op = OP_zero_pad2d_grad, .verify = zero_pad2d_grad_verify, .flops = no_flops, .run = zero_pad2d_grad_run,
};

/* ---- pad_channels: its gradient is a slice ----------------------------------------------------------------------- */

static const struct arg_def pad_channels_args[] = {
    { .name = "channels", .type = ARG_EXTENT2, .positional = true, .required = true, .min = 0, .max = CHANNELS_MOST,
      .help = "channels of zeros at each end, or [before, after]" },
    { .name = NULL }
};

static bool pad_channels_shape(struct layer *l, struct diag *d)
{
    const int64_t *more = clause_arg(l->clause, "channels")->dims;
    struct shape in = layer_in(l);

    return layer_set_out(l, d, arg_span(l, "channels"), more[0] + in.c + more[1], in.h, in.w, in.flat);
}

static struct tensor *pad_channels_lower(struct graph *g, struct layer *l, struct tensor *const *x)
{
    const int64_t *more = clause_arg(l->clause, "channels")->dims;
    const char *name = layer_node_name(g, l);

    if (!more[0] && !more[1])
        return x[0];
    struct tensor *from = x[0]->shape.flat ? lower_reorder(g, l, name, x[0], no_order) : x[0];
    struct node *n = unary_node(g, OP_pad_channels, l, name, from, l->out, no_order);
    n->attr.channel = (int)more[0];
    return n->out[0];
}

const struct layer_def layer_pad_channels = {
    .clause = { "pad_channels", ARGS(pad_channels_args), .help = "channels of zeros before and after" },
    .shape = pad_channels_shape,
    .lower = pad_channels_lower,
};

static void pad_channels_gradient(struct graph *g, struct node *n)
{
    struct tensor *x = n->in[0], *dy = n->out[0]->gradient, *dx;

    if (!x->needs_gradient)
        return;
    dx = grad_tensor(g, x);
    backward_node(g, n, OP_slice, "slice", &dy, 1, &dx, 1);
    grad_add(g, x, dx);
}

static const char *pad_channels_verify(const struct graph *g, const struct node *n)
{
    (void)g;
    CHECK(node_has(n, 1, 1, 0), "wrong number of inputs or outputs");
    const struct tensor *x = n->in[0], *y = n->out[0];
    CHECK(x->shape.h == y->shape.h && x->shape.w == y->shape.w && x->shape.flat == y->shape.flat && !x->order.c &&
              !y->order.c, "its result has other pixels than its input, or an order of its own");
    CHECK(n->attr.channel + x->shape.c <= y->shape.c, "its input reaches beyond its result");
    return NULL;
}

static void pad_channels_run(const struct run *r, const struct node *n)
{
    const struct tensor *x = n->in[0], *y = n->out[0];

    for (int64_t i = 0; i < run_elements(r, x); i++)
        run_values(r, y)[i / x->shape.c * y->shape.c + n->attr.channel + i % x->shape.c] = run_values(r, x)[i];
}

const struct op_def op_def_pad_channels = {
    .op = OP_pad_channels, .verify = pad_channels_verify, .gradient = pad_channels_gradient, .flops = no_flops,
    .run = pad_channels_run,
};

/* ---- upsample2d -------------------------------------------------------------------------------------------------- */

static const char *const upsample_modes[] = { "nearest", "bilinear", NULL };

static const struct arg_def upsample2d_args[] = {
    { .name = "factor", .type = ARG_EXTENT2, .positional = true, .required = true, .min = 1, .max = WINDOW_MOST,
      .help = "rows x columns that each pixel becomes" },
    { .name = "mode", .type = ARG_WORD, .default_text = "nearest", .words = upsample_modes,
      .help = "nearest: copies; bilinear: mixed by their distance" },
    { .name = NULL }
};

static bool upsample2d_shape(struct layer *l, struct diag *d)
{
    const int64_t *factor = clause_arg(l->clause, "factor")->dims;

    return layer_needs_map(l, d) && layer_set_out(l, d, arg_span(l, "factor"), l->in.c, l->in.h * factor[0],
                                                  l->in.w * factor[1], false);
}

static struct tensor *upsample2d_lower(struct graph *g, struct layer *l, struct tensor *const *x)
{
    const int64_t *factor = clause_arg(l->clause, "factor")->dims;
    int h = (int)factor[0], w = (int)factor[1];

    if (h == 1 && w == 1)
        return x[0];
    struct node *n = unary_node(g, OP_upsample2d, l, layer_node_name(g, l), x[0], l->out, no_order);
    n->attr.window = (struct window){ .kh = h, .kw = w, .stride_h = h, .stride_w = w, .dilation_h = 1,
                                      .dilation_w = 1 };
    n->attr.bilinear = !strcmp(clause_text(l->clause, "mode"), "bilinear");
    return n->out[0];
}

const struct layer_def layer_upsample2d = {
    .clause = { "upsample2d", ARGS(upsample2d_args), .help = "every pixel made into several" },
    .shape = upsample2d_shape,
    .lower = upsample2d_lower,
};

static void upsample2d_gradient(struct graph *g, struct node *n)
{
    window_gradient(g, n, OP_upsample2d_grad);
}

/* x: the smaller map, whose pixels are windows of the larger one that lie side by side. */
static const char *upsample_fits(const struct node *n, const struct tensor *x, const struct tensor *y)
{
    const struct window *w = &n->attr.window;

    CHECK(node_has(n, 1, 1, 0), "wrong number of inputs or outputs");
    CHECK(w->stride_h == w->kh && w->stride_w == w->kw && w->dilation_h == 1 && w->dilation_w == 1 && !w->pad_top &&
              !w->pad_bottom && !w->pad_left && !w->pad_right, "its windows do not lie side by side");
    CHECK(x->shape.c == y->shape.c && window_links(w, y, x) && y->shape.h == x->shape.h * w->kh &&
              y->shape.w == x->shape.w * w->kw, "its window does not take one map to the other");
    return NULL;
}

static const char *upsample2d_verify(const struct graph *g, const struct node *n)
{
    (void)g;
    return upsample_fits(n, n->in[0], n->out[0]);
}

static const char *upsample2d_grad_verify(const struct graph *g, const struct node *n)
{
    (void)g;
    return upsample_fits(n, n->out[0], n->in[0]);
}

/* How much of row (column) `from` of `size` is in row `to` of what is `factor` times as large. */
static double share_of(int from, int to, int size, int factor, bool bilinear)
{
    double place = (to + 0.5) / factor - 0.5, apart;

    if (!bilinear)
        return from == to / factor;
    place = place < 0 ? 0 : place > size - 1 ? size - 1 : place;
    apart = place > from ? place - from : from - place;
    return apart < 1 ? 1 - apart : 0;
}

/* The gradient is the same sum the other way round. */
static void upsample_run(const struct run *r, const struct node *n, const struct tensor *x, const struct tensor *y,
                         bool back)
{
    const struct window *k = &n->attr.window;

    for (int64_t i = 0; i < run_elements(r, y); i++) {
        int c = (int)(i % y->shape.c), column = (int)(i / y->shape.c % y->shape.w);
        int row = (int)(i / y->shape.c / y->shape.w % y->shape.h), s = (int)(i / shape_elements(y->shape));
        int top = row / k->kh, left = column / k->kw;
        for (int from = top - 1; from <= top + 1; from++)
            for (int beside = left - 1; beside <= left + 1; beside++) {
                if (from < 0 || from >= x->shape.h || beside < 0 || beside >= x->shape.w)
                    continue;
                double share = share_of(from, row, x->shape.h, k->kh, n->attr.bilinear) *
                               share_of(beside, column, x->shape.w, k->kw, n->attr.bilinear);
                double *small = run_at(r, x, s, c, from, beside), *large = run_values(r, y) + i;
                if (back)
                    *small += share * *large;
                else
                    *large += share * *small;
            }
    }
}

static void upsample2d_run(const struct run *r, const struct node *n)
{
    upsample_run(r, n, n->in[0], n->out[0], false);
}

static void upsample2d_grad_run(const struct run *r, const struct node *n)
{
    upsample_run(r, n, n->out[0], n->in[0], true);
}

const struct op_def op_def_upsample2d = {
    .op = OP_upsample2d, .verify = upsample2d_verify, .gradient = upsample2d_gradient, .flops = out_flops,
    .run = upsample2d_run,
};
const struct op_def op_def_upsample2d_grad = {
    .op = OP_upsample2d_grad, .verify = upsample2d_grad_verify, .flops = out_flops, .run = upsample2d_grad_run,
};
