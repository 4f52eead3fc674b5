/* conv2d_direct_data_grad.c - the gradient of a convolution's input, as a convolution of dy.
 *
 * dx[ih] gathers dy[oh] w[kh] over all kh with oh = (ih + pad - kh dilation) / stride whole and inside.  Which kh
 * those are depends on (ih + pad) mod stride alone: for each remainder in each direction (a class of dx's pixels)
 * the window is fixed, and the class is a plain convolution of dy with unit stride.  The weights are packed anew
 * each step: transposed, their taps in the order in which the classes read them. */
#include <inttypes.h>
#include <string.h>

#include "conv_geometry.h"
#include "product.h"

/* One direction of one class of pixels: position stride * q + remainder - pad for q = first .. first + count - 1,
 * and the taps it reads: dy at q + shift. */
struct class {
    int first, count, taps;
    int position;               /* of q = first */
    int *tap, *shift;           /* shifts ascend */
};

struct direction {
    int stride, classes;
    struct class *class;
    int before, after;          /* zeros that dy needs */
};

static int floor_div(int a, int b)
{
    return a >= 0 ? a / b : -((-a + b - 1) / b);
}

static struct direction direction_of(struct arena *a, int in, int out, int kernel, int stride, int dilation, int pad)
{
    struct direction d = { .stride = stride, .classes = stride };
    d.class = arena_array(a, (size_t)stride, sizeof *d.class);
    for (int r = 0; r < stride; r++) {
        struct class *c = &d.class[r];
        c->first = floor_div(pad - r + stride - 1, stride);
        c->count = floor_div(in - 1 + pad - r, stride) - c->first + 1;
        if (c->count < 0)
            c->count = 0;
        c->position = stride * c->first + r - pad;
        c->tap = arena_array(a, (size_t)kernel, sizeof *c->tap);
        c->shift = arena_array(a, (size_t)kernel, sizeof *c->shift);
        for (int k = kernel - 1; k >= 0; k--) {
            if ((k * dilation - r) % stride)
                continue;
            c->tap[c->taps] = k;
            c->shift[c->taps++] = (r - k * dilation) / stride;
        }
        if (!c->count || !c->taps)
            continue;
        int before = -(c->first + c->shift[0]);
        int after = c->first + c->count - 1 + c->shift[c->taps - 1] - (out - 1);
        d.before = before > d.before ? before : d.before;
        d.after = after > d.after ? after : d.after;
    }
    return d;
}

/* All that plan and emit need to know. */
struct shape_of_grad {
    struct conv_geometry s;
    struct direction v, h;      /* vertical, horizontal */
    bool padded;
    int ph, pw;                 /* dy with its zeros */
    int panel;                  /* of the packed weights: over c */
};

static struct shape_of_grad grad_of(const struct plan *p, struct arena *a, const struct node *n)
{
    struct shape_of_grad g = { .s = conv_geometry_of(p, n) };
    const struct window *w = &g.s.window;
    g.v = direction_of(a, g.s.h, g.s.oh, w->kh, w->stride_h, w->dilation_h, w->pad_top);
    g.h = direction_of(a, g.s.w, g.s.ow, w->kw, w->stride_w, w->dilation_w, w->pad_left);
    g.padded = g.v.before || g.v.after || g.h.before || g.h.after;
    g.ph = g.s.oh + g.v.before + g.v.after;
    g.pw = g.s.ow + g.h.before + g.h.after;
    g.panel = plan_panel(p, g.s.c);
    return g;
}

static bool applicable(const struct plan *p, const struct group *g)
{
    (void)p;
    (void)g;
    return true;
}

static bool is_pointwise(const struct shape_of_grad *g)
{
    return g->s.taps == 1 && g->s.window.stride_h == 1 && g->s.window.stride_w == 1 && !g->padded &&
           g->s.oh == g->s.h && g->s.ow == g->s.w;
}

static double cost(const struct plan *p, const struct group *g)
{
    struct shape_of_grad d = grad_of(p, p->arena, g->main);
    double cycles = 0;
    for (int i = 0; i < d.v.classes; i++)
        for (int j = 0; j < d.h.classes; j++) {
            const struct class *v = &d.v.class[i], *h = &d.h.class[j];
            if (v->count && h->count)
                cycles += product_cycles(p, d.s.c, d.panel, (int64_t)v->count * h->count * p->batch,
                                         is_pointwise(&d) ? v->count * h->count : h->count,
                                         (int64_t)v->taps * h->taps * d.s.o);
        }
    double copy = d.padded ? 2.0 * d.ph * d.pw * d.s.o * p->real_size * p->batch / 32 : 0;
    return cycles + copy + 2.0 * (double)d.s.k * d.s.o + group_chain_cycles(p, g);
}

static const char *packed_name(struct plan *p, const struct program *q, const struct group *g)
{
    (void)q;
    return arena_printf(p->arena, "%s_packed", g->main->in[1]->name);
}

static void plan(struct plan *p, struct program *q, struct group *g)
{
    struct shape_of_grad d = grad_of(p, p->arena, g->main);
    int panels = (d.s.c + d.panel - 1) / d.panel;
    struct step *pack = plan_step(p, q, g, 0, SPLIT_BLOCKS, (int64_t)panels * d.s.taps, "pack weights", 0);
    pack->hoisted = true;
    struct step *main = plan_step(p, q, g, 1, SPLIT_IMAGES, 0, "data gradient",
                                  2 * d.s.k * d.s.o * d.s.oh * d.s.ow * p->batch);
    plan_buffer(p, q, packed_name(p, q, g), p->real, (int64_t)panels * d.panel * d.s.taps * d.s.o * p->real_size, pack,
                main);
    if (d.padded)
        plan_scratch(p, (int64_t)d.ph * d.pw * d.s.o * p->real_size);
}

/* ---- packing ----------------------------------------------------------------------------------------------------- */

/* The taps (kh KW + kw) in the order of the classes; returns how many any class reads. */
static int tap_order(const struct shape_of_grad *d, int *order)
{
    int count = 0;
    for (int i = 0; i < d->v.classes; i++)
        for (int j = 0; j < d->h.classes; j++) {
            const struct class *v = &d->v.class[i], *h = &d->h.class[j];
            for (int a = 0; a < v->taps; a++)
                for (int b = 0; b < h->taps; b++)
                    order[count++] = v->tap[a] * d->s.window.kw + h->tap[b];
        }
    return count;
}

static void emit_pack(struct emitter *e, struct step *step)
{
    const struct node *n = step->group->main;
    struct shape_of_grad d = grad_of(e->plan, e->arena, n);
    const char *real = e->plan->real;
    int from_panel = d.s.weight->panel;
    int *order = arena_array(e->arena, (size_t)d.s.taps, sizeof *order);
    int count = tap_order(&d, order);
    char *list = "";
    for (int i = 0; i < count; i++)
        list = arena_printf(e->arena, "%s%s%d", list, i ? ", " : "", order[i]);

    emit_begin(e);
    cw_line(e->w, "static void " EMIT_NAME "(int b, const %s *w, %s *restrict packed)", real, real);
    cw_open(e->w, "{");
    if (d.s.taps > 1) {
        cw_line(e->w, "static const int tap[%d] = { %s };", count, list);
        cw_line(e->w, "const int panel = b / %d, first = panel * %d;", d.s.taps, d.panel);
    } else {
        cw_line(e->w, "const int first = b * %d;", d.panel);
    }
    if (d.s.c % d.panel)
        cw_line(e->w, "const int channels = first + %d < %d ? %d : %d - first;", d.panel, d.s.c, d.panel, d.s.c);
    const char *row = d.s.taps > 1 ? arena_printf(e->arena, "(tap[b %% %d] * %d + first)", d.s.taps, d.s.c) : "first";
    cw_line(e->w, "const %s *const from = w + %s * %d;", real, row, from_panel);
    cw_line(e->w, "%s *const to = packed + (size_t)b * %" PRId64 ";", real, (int64_t)d.s.o * d.panel);
    cw_open(e->w, "for (int o = 0; o < %d; o++) {", d.s.o);
    cw_line(e->w, "const %s *const row = from + (size_t)(o / %d) * %" PRId64 " + o %% %d;", real, from_panel,
            d.s.k * from_panel, from_panel);
    if (d.s.c % d.panel) {
        cw_open(e->w, "for (int c = 0; c < %d; c++)", d.panel);
        cw_line(e->w, "to[o * %d + c] = c < channels ? row[c * %d] : 0;", d.panel, from_panel);
    } else {
        cw_open(e->w, "for (int c = 0; c < %d; c++)", d.panel);
        cw_line(e->w, "to[o * %d + c] = row[c * %d];", d.panel, from_panel);
    }
    cw_close(e->w, "");
    cw_close(e->w, "}");
    cw_close(e->w, "}");
    const char *hint = arena_printf(e->arena, "pack_%s_%d_to_%d", conv_name(e, &d.s), d.s.o, d.s.c);
    const char *comment = arena_printf(e->arena, "The weights of %s for its data gradient: (%d in panels of %d, tap, "
                                       "%d); block b is one panel and tap.", n->layer->name, d.s.c, d.panel, d.s.o);
    const char *name = emit_end(e, hint, comment);
    step->call = arena_printf(e->arena, "%s(b, %s, %s)", name, emit_pointer(e, n->in[1]),
                              packed_name((struct plan *)e->plan, e->program, step->group));
}

/* ---- the gradient ------------------------------------------------------------------------------------------------ */

static bool consecutive(const struct class *c)
{
    return c->taps < 2 || c->shift[c->taps - 1] - c->shift[0] == c->taps - 1;
}

static void class_segments(struct emitter *e, struct tile *t, const struct shape_of_grad *d, const struct class *v,
                           const struct class *h)
{
    int64_t o = d->s.o, row = d->pw * o;
    t->a_k = 1;
    t->b_k = d->panel;
    if (!v->taps || !h->taps) {
        t->segments = 0;
        t->depth = 1;
        return;
    }
    if (consecutive(h)) {
        t->segments = v->taps;
        t->depth = h->taps * o;
        t->a_segment = v->taps > 1 ? (v->shift[1] - v->shift[0]) * row : 0;
    } else {
        int64_t *offsets = arena_array(e->arena, (size_t)v->taps * (size_t)h->taps, sizeof *offsets);
        for (int i = 0; i < v->taps * h->taps; i++)
            offsets[i] = (v->shift[i / h->taps] - v->shift[0]) * row + (h->shift[i % h->taps] - h->shift[0]) * o;
        t->segments = v->taps * h->taps;
        t->depth = o;
        t->a_offsets = offsets;
    }
    t->b_segment = t->depth * t->b_k;
}

static const char *offset_text(struct emitter *e, const char *base, int64_t offset)
{
    return offset ? arena_printf(e->arena, "%s + %" PRId64, base, offset) : base;
}

static void emit_class(struct emitter *e, const struct shape_of_grad *d, const struct class *v, const struct class *h,
                       const struct chain *chain, int64_t taps_before)
{
    if (!v->count || !h->count)
        return;
    int64_t o = d->s.o, row = d->pw * o;
    int64_t a = 0, c = ((int64_t)v->position * d->s.w + h->position) * d->s.c;
    if (v->taps && h->taps)
        a = (v->first + v->shift[0] + d->v.before) * row + (h->first + h->shift[0] + d->h.before) * o;
    struct product t = { .channels = d->s.c, .panel = d->panel, .panel_stride = d->s.taps * o * d->panel };
    class_segments(e, &t.tile, d, v, h);
    t.a = offset_text(e, d->padded ? "scratch" : "dy", a);
    t.b = offset_text(e, "w", taps_before * o * d->panel);
    t.c = offset_text(e, "dx", c);
    t.at = c ? arena_printf(e->arena, "%" PRId64, c) : "0";
    t.tile.a_row = o;
    t.tile.c_row = (int64_t)d->h.stride * d->s.c;
    t.tile.chain = chain;
    t.tile.far = true;
    t.lines = is_pointwise(d) ? 1 : v->count;
    t.length = is_pointwise(d) ? (int64_t)v->count * h->count : h->count;
    t.a_line = row;
    t.c_line = (int64_t)d->v.stride * d->s.w * d->s.c;
    if (d->v.classes * d->h.classes > 1)
        cw_line(e->w, "// rows %d + %d r, columns %d + %d t", v->position, d->v.stride, h->position, d->h.stride);
    product_emit(e, &t);
}

static void emit_main(struct emitter *e, struct step *step)
{
    const struct group *g = step->group;
    const struct node *n = g->main;
    struct shape_of_grad d = grad_of(e->plan, e->arena, n);
    const char *real = e->plan->real;
    struct chain chain;
    chain_make(e, g, &chain);
    emit_begin(e);
    cw_line(e->w, "static void " EMIT_NAME "(const %s *dy, const %s *w, %s *restrict dx%s%s)", real, real, real,
            chain_parameters(e, &chain), d.padded ? arena_printf(e->arena, ", %s *restrict scratch", real) : "");
    cw_open(e->w, "{");
    if (d.padded)
        emit_padded_copy(e, "dy", "scratch", d.s.oh, d.s.ow, d.s.o, d.v.before, d.h.before, d.ph, d.pw);
    int64_t taps = 0;
    for (int i = 0; i < d.v.classes; i++)
        for (int j = 0; j < d.h.classes; j++) {
            emit_class(e, &d, &d.v.class[i], &d.h.class[j], g->chain_count ? &chain : NULL, taps);
            taps += (int64_t)d.v.class[i].taps * d.h.class[j].taps;
        }
    cw_close(e->w, "}");
    const char *hint = arena_printf(e->arena, "%s_data_grad_%dx%dx%d_to_%dx%dx%d", conv_name(e, &d.s), d.s.o, d.s.oh,
                                    d.s.ow, d.s.c, d.s.h, d.s.w);
    const char *name = emit_end(e, hint, emit_comment(e, step));
    step->call = arena_printf(e->arena, "%s(%s, %s, %s%s%s)", name, emit_sample(e, n->in[0]),
                              packed_name((struct plan *)e->plan, e->program, g), emit_sample(e, g->result),
                              chain_arguments(e, &chain), d.padded ? ", scratch" : "");
}

static void emit(struct emitter *e, struct step *step)
{
    if (step->part == 0)
        emit_pack(e, step);
    else
        emit_main(e, step);
}

const struct kernel kernel_conv2d_direct_data_grad = {
    .name = "direct", .op = OP_conv2d_data_grad, .fuses_chain = true, .applicable = applicable, .cost = cost,
    .plan = plan, .emit = emit, .help = "a direct convolution of dy with transposed weights",
};
