/* window.c - the loops of pooling. */
#include "kernels/window.h"
#include "kernels/together.h"

#include <inttypes.h>

enum { TAPS_WRITTEN_OUT = 16 };

struct pool pool_of(const struct node *n, const struct tensor *in, const struct tensor *out, const struct chain *c)
{
    return (struct pool){ .window = n->attr.window, .in = in->shape, .out = out->shape, .out_pixel = out->shape.c,
                          .chain = c };
}

/* ---- images that lie together ------------------------------------------------------------------------------------ */

/* What is pooled, or its gradient, is never apart. */
static const struct tensor *outputs_of(const struct group *g)
{
    return g->main->backward ? g->main->in[g->main->in_count - 1] : g->result;
}

static bool turns(const struct group *g)
{
    return g->together && !lies_together(g->program, outputs_of(g));
}

void pool_together(struct emitter *e, struct pool *p, const struct group *g, const char *outside)
{
    (void)e;
    p->outside = outside;
    if (!g->together)
        return;
    p->together = g->together;
    p->in.c *= g->together;
    p->out.c *= g->together;
    p->out_pixel = p->out.c;
    p->apart = turns(g);
    if (!p->apart)
        return;
    p->outside = "turned";
    if (!g->main->backward)
        p->chain = NULL;
}

int64_t pool_scratch(const struct group *g)
{
    const struct node *n = g->main;
    return turns(g) ? tensor_elements(n->backward ? outputs_of(g) : n->out[0]) * g->together : 0;
}

void pool_steps(struct plan *p, struct step *s)
{
    int64_t scratch = pool_scratch(s->group);
    if (s->group->together)
        s->images = s->group->together;
    if (scratch)
        step_scratch(p, s, scratch * p->real_size);
}

void pool_turn_in(struct emitter *e, const struct pool *p)
{
    if (p->apart)
        emit_turn_in(e, "dy", p->outside, p->out.h, p->out.w, p->out.c / p->together, 0, p->out.w);
}

void pool_turn_out(struct emitter *e, const struct pool *p, const struct chain *c)
{
    int channels = p->apart ? p->out.c / p->together : 0;
    int64_t pixels = (int64_t)p->out.h * p->out.w;
    if (!p->apart)
        return;
    emit_turn_out(e, p->outside, "y", pixels * channels);
    if (chain_operations(c))
        chain_over_image(e, c, "y", "y", "0", pixels * p->together, channels);
}

const char *pool_parameter(struct emitter *e, const struct pool *p)
{
    return p->apart ? text_printf(e, ", %s *restrict turned", e->plan->real) : "";
}

const char *pool_apply(struct emitter *e, const struct pool *p, const char *value, const char *at, const char *to,
                       int tail)
{
    if (!p->chain)
        return value;
    if (p->chain->together && chain_has_columns(p->chain))
        at = text_printf(e, "(%s) / V_LANES", at);
    return chain_apply_at(e, p->chain, value, at, to, tail);
}

bool pool_apart(const struct node *n, const struct tensor *t)
{
    return n->backward ? t == n->in[n->in_count - 1] : t == n->out[0];
}

bool pool_can_be_together(const struct plan *p, const struct node *n)
{
    (void)p;
    (void)n;
    return true;
}

const char *pool_name(struct emitter *e, const struct pool *p)
{
    struct shape in = p->in;
    in.c /= p->together ? p->together : 1;
    return text_printf(e, "%dx%d_%s%s", p->window.kh, p->window.kw, p->together ? "together_" : "", text_shape(e, in));
}

double pool_cycles(const struct plan *p, const struct group *g, double instructions, double streams)
{
    const struct tensor *t = g->main->out[0];
    if (!g->together)
        return pass_cycles(p, t, instructions, streams);
    double elements = (double)tensor_elements(t) * p->batch, turned = (double)pool_scratch(g) / g->together;
    return elements / p->lanes * (instructions + streams) / p->target->costs->instructions +
           together_turn_cycles(p, (int64_t)turned);
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
    int by = p->together ? p->together : 1;
    const char *images = p->together ? text_printf(e, ", %d images", by) : "";
    cw_line(e->w, "// %s (%d, %d, %d%s), %s (%d, %d, %d%s)", in, p->in.h, p->in.w, p->in.c / by, images, out, p->out.h,
            p->out.w, p->out.c / by, images);
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
    line_store(e, "dx", to, pool_apply(e, p, "v_zero()", at, to, tail), tail);
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
