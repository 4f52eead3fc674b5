/* pooling.c - see pooling.h. */
#include "ops/pooling.h"

bool pooling_shape(struct layer *l, struct diag *d)
{
    if (!layer_needs_map(l, d))
        return false;
    struct axis y = layer_axis(l, "window", 0), x = layer_axis(l, "window", 1);
    if (y.before >= y.size || x.before >= x.size) {
        diag_error(d, DIAG_bad_padding, arg_span(l, "padding"),
                   "a padding of %lldx%lld leaves positions of the window %lldx%lld with nothing "
                   "but padding",
                   (long long)y.before, (long long)x.before, (long long)y.size, (long long)x.size);
        diag_hint(d, "the padding must be smaller than the window");
        return false;
    }
    return window_fits(l, d, "window") &&
           layer_set_out(l, d, l->clause->where, l->in.c, y.out, x.out, false);
}

void pooling_gradient(struct graph *g, struct node *n, enum op op, struct tensor *index)
{
    struct tensor *x = n->in[0], *dy = n->out[0]->gradient, *dx;

    if (!x->needs_gradient)
        return;
    dx = grad_tensor(g, x);
    if (index)
        backward_node(g, n, op, "grad", (struct tensor *[]){ index, dy }, 2, &dx, 1);
    else
        backward_node(g, n, op, "grad", &dy, 1, &dx, 1);
    grad_add(g, x, dx);
}

const char *pooling_fits(const struct node *n, const struct tensor *x, const struct tensor *y)
{
    const struct window *w = &n->attr.window;

    CHECK(x->shape.c == y->shape.c, "its maps have different channels");
    CHECK(w->dilation_h == 1 && w->dilation_w == 1, "its window is dilated");
    CHECK(w->pad_top < w->kh && w->pad_bottom < w->kh && w->pad_left < w->kw &&
              w->pad_right < w->kw,
          "a position of its window has nothing but padding");
    CHECK(window_links(w, x, y), "its window does not take one map to the other");
    return NULL;
}

static int largest(int a, int b)
{
    return a > b ? a : b;
}

static int least(int a, int b)
{
    return a < b ? a : b;
}

struct pooling_taps pooling_taps(const struct node *n, const struct tensor *x, const struct tensor *y, int64_t i)
{
    const struct window *w = &n->attr.window;
    int64_t position = i / y->shape.c;
    int top = (int)(position / y->shape.w % y->shape.h) * w->stride_h - w->pad_top;
    int left = (int)(position % y->shape.w) * w->stride_w - w->pad_left;
    struct pooling_taps t = { .sample = (int)(i / shape_elements(y->shape)), .channel = (int)(i % y->shape.c),
                              .row = largest(top, 0), .column = largest(left, 0) };

    t.rows = least(top + w->kh, x->shape.h) - t.row;
    t.columns = least(left + w->kw, x->shape.w) - t.column;
    t.tap_row = t.row - top;
    t.tap_column = t.column - left;
    t.count = t.rows * t.columns;
    return t;
}

double *pooling_tap(const struct run *r, const struct tensor *x, const struct pooling_taps *t, int k)
{
    return run_at(r, x, t->sample, t->channel, t->row + k / t->columns, t->column + k % t->columns);
}

int pooling_tap_number(const struct node *n, const struct pooling_taps *t, int k)
{
    return (t->tap_row + k / t->columns) * n->attr.window.kw + t->tap_column + k % t->columns;
}
