/* pooling.c - see pooling.h. */
#include "ops/pooling.h"

/* A stride that was not given is the window; from here on it says so. */
static void pooling_fill_stride(struct layer *l)
{
    const struct arg_value *window = clause_arg(l->clause, "window"),
                           *stride = clause_arg(l->clause, "stride");

    if (stride->given)
        return;
    struct arg_value *fill = &l->clause->args[stride - l->clause->args];
    fill->dims[0] = window->dims[0];
    fill->dims[1] = window->dims[1];
}

bool pooling_shape(struct layer *l, struct diag *d)
{
    pooling_fill_stride(l);
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
