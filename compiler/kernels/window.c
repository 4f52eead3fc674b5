/* window.c - the loops of pooling. */
#include "kernels/window.h"

#include <inttypes.h>

enum { TAPS_WRITTEN_OUT = 16 };

struct pool pool_of(const struct node *n, const struct tensor *in, const struct tensor *out, const struct chain *c)
{
    return (struct pool){ .window = n->attr.window, .in = in->shape, .out = out->shape, .out_pixel = out->shape.c,
                          .chain = c };
}

int pool_taps(const struct pool *p)
{
    return p->window.kh * p->window.kw;
}

int64_t pool_tap(const struct pool *p, int t)
{
    return ((int64_t)(t / p->window.kw) * p->in.w + t % p->window.kw) * p->in.c;
}

bool pool_is_plain(const struct pool *p)
{
    const struct window *k = &p->window;
    return k->pad_top == 0 && k->pad_left == 0 && (p->out.h - 1) * k->stride_h + k->kh <= p->in.h &&
           (p->out.w - 1) * k->stride_w + k->kw <= p->in.w && pool_taps(p) <= TAPS_WRITTEN_OUT;
}

bool pool_tiles(const struct pool *p)
{
    const struct window *k = &p->window;
    return pool_is_plain(p) && k->stride_h == k->kh && k->stride_w == k->kw;
}

void pool_note(struct emitter *e, const struct pool *p, const char *in, const char *out)
{
    cw_line(e->w, "// %s (%d, %d, %d), %s (%d, %d, %d)", in, p->in.h, p->in.w, p->in.c, out, p->out.h, p->out.w,
            p->out.c);
}

/* "oy * 2 - 1" */
static const char *text_corner(struct emitter *e, const char *at, int stride, int pad)
{
    const char *text = stride == 1 ? at : text_printf(e, "%s * %d", at, stride);
    return pad ? text_printf(e, "%s - %d", text, pad) : text;
}

/* "k0 <= k < k1": the taps of a window that begins at `corner` and lie inside the input. */
static void line_taps(struct emitter *e, const char *k, const char *corner, int taps, int inputs)
{
    cw_line(e->w, "const int %s0 = %s < 0 ? -%s : 0;", k, corner, corner);
    cw_line(e->w, "const int %s1 = %s + %d > %d ? %d - %s : %d;", k, corner, taps, inputs, inputs, corner, taps);
}

void pool_open_outputs(struct emitter *e, const struct pool *p)
{
    const struct window *k = &p->window;
    bool plain = pool_is_plain(p);
    if (p->block) {
        cw_open(e->w, "{");
        cw_line(e->w, "const int oy = b;");
    } else {
        loop_open(e, "oy", 0, p->out.h, 1);
    }
    if (!plain) {
        cw_line(e->w, "const int top = %s;", text_corner(e, "oy", k->stride_h, k->pad_top));
        line_taps(e, "ky", "top", k->kh, p->in.h);
    }
    loop_open(e, "ox", 0, p->out.w, 1);
    if (plain) {
        cw_line(e->w, "const int from = (oy * %d + ox * %d) * %d;", k->stride_h * p->in.w, k->stride_w, p->in.c);
    } else {
        cw_line(e->w, "const int left = %s;", text_corner(e, "ox", k->stride_w, k->pad_left));
        line_taps(e, "kx", "left", k->kw, p->in.w);
    }
    if (p->out.w > 1)
        cw_line(e->w, "const int to = (oy * %d + ox) * %" PRId64 ";", p->out.w, p->out_pixel);
    else
        cw_line(e->w, "const int to = (oy + ox) * %" PRId64 ";", p->out_pixel);
}

/* "o0 <= o < o1": the windows that reach input i. */
static void line_windows(struct emitter *e, const char *o, const char *i, int taps, int stride, int pad, int outputs)
{
    const char *at = pad ? text_printf(e, "%s + %d", i, pad) : i;
    cw_line(e->w, "const int %s0 = %s < %d ? 0 : (%s - %d) / %d + 1;", o, at, taps, at, taps, stride);
    cw_line(e->w, "const int %s1 = (%s) / %d + 1 < %d ? (%s) / %d + 1 : %d;", o, at, stride, outputs, at, stride,
            outputs);
}

void pool_open_inputs(struct emitter *e, const struct pool *p)
{
    const struct window *k = &p->window;
    loop_open(e, "iy", 0, p->in.h, 1);
    line_windows(e, "oy", "iy", k->kh, k->stride_h, k->pad_top, p->out.h);
    loop_open(e, "ix", 0, p->in.w, 1);
    line_windows(e, "ox", "ix", k->kw, k->stride_w, k->pad_left, p->out.w);
    cw_line(e->w, "const int to = (iy * %d + ix) * %d;", p->in.w, p->in.c);
}

void pool_close(struct emitter *e)
{
    cw_close(e->w, "}");
    cw_close(e->w, "}");
}

static void rest_body(struct emitter *e, const void *data, const char *at, int tail)
{
    const struct pool *p = data;
    const char *to = text_plus(e, "to", at);
    line_store(e, "dx", to, chain_apply_at(e, p->chain, "v_zero()", at, to, tail), tail);
}

/* Inputs iy0 .. iy1-1 x ix0 .. */
static void rest_part(struct emitter *e, const struct pool *p, int iy0, int iy1, int ix0)
{
    if (iy0 == iy1 || ix0 == p->in.w)
        return;
    loop_open(e, "iy", iy0, iy1, 1);
    loop_open(e, "ix", ix0, p->in.w, 1);
    cw_line(e->w, "const int to = (iy * %d + ix) * %d;", p->in.w, p->in.c);
    each_vector(e, "j", p->in.c, rest_body, p);
    pool_close(e);
}

void pool_rest(struct emitter *e, const struct pool *p)
{
    int rows = p->out.h * p->window.kh, columns = p->out.w * p->window.kw;
    rest_part(e, p, 0, rows, columns);
    rest_part(e, p, rows, p->in.h, 0);
}
