/* conv2d_direct_data_grad.c - the gradient of a convolution's input, as a convolution of dy.
 *
 * dx[ih] gathers dy[oh] w[kh] over all kh with oh = (ih + pad - kh dilation) / stride whole and inside.  Which kh
 * those are depends on (ih + pad) mod stride alone: for each remainder in each direction (a class of dx's pixels)
 * the window is fixed, and the class is a plain convolution of dy with unit stride.  The weights are packed anew
 * each step: transposed, their taps in the order in which the classes read them. */
#include <inttypes.h>
#include <string.h>

#include "base/bounds.h"
#include "kernels/conv_geometry.h"
#include "kernels/loops.h"
#include "kernels/product.h"

/* One direction of one class of pixels: position stride * q + remainder - pad for q = first .. first + count - 1,
 * and the taps it reads, from the last to the first: dy at q + shift. */
struct class {
    int first, count, taps;
    int position;               /* of q = first */
    int tap, tap_step;          /* the first one read, and how many before it the next one is */
    int shift, shift_step;      /* of the first one, and how much more that of the next one is */
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
        for (int k = kernel - 1; k >= 0; k--) {
            if ((k * dilation - r) % stride)
                continue;
            int shift = (r - k * dilation) / stride;
            if (!c->taps) {
                c->tap = k;
                c->shift = shift;
            } else if (c->taps == 1) {
                c->tap_step = c->tap - k;
                c->shift_step = shift - c->shift;
            }
            c->taps++;
        }
        if (!c->count || !c->taps)
            continue;
        int before = -(c->first + c->shift);
        int after = c->first + c->count - 1 + c->shift + (c->taps - 1) * c->shift_step - (out - 1);
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

/* Each class has a loop of its own. */
static bool applicable(const struct plan *p, const struct group *g)
{
    (void)p;
    const struct window *w = &g->main->attr.window;
    return (int64_t)w->stride_h * w->stride_w <= CLASSES_MOST;
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
    double copy = d.padded ? 2.0 * d.ph * d.pw * d.s.o * p->real_size * p->batch / p->target->costs->copy_rate : 0;
    return cycles + copy + p->target->costs->turned_block * (double)d.s.k * d.s.o + group_chain_cycles(p, g);
}

/* A class whose sums leave the time for what its tiles ask for to come. */
static bool is_deep(const struct shape_of_grad *d, const struct class *v, const struct class *h)
{
    return (int64_t)v->taps * h->taps * d->s.o >= FAR_DEPTH;
}

static bool consecutive(const struct class *c)
{
    return c->taps < 2 || c->shift_step == 1;
}

static void class_segments(struct tile *t, const struct shape_of_grad *d, const struct class *v, const struct class *h)
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
    } else {
        t->segments = v->taps * h->taps;
        t->depth = o;
        t->a_columns = h->taps;
        t->a_column = h->shift_step * o;
    }
    t->a_segment = v->shift_step * row;
    t->b_segment = t->depth * t->b_k;
}

/* The product of a class, without what only its text needs. */
static struct product class_product(const struct shape_of_grad *d, const struct class *v, const struct class *h)
{
    int64_t o = d->s.o;
    struct product t = { .channels = d->s.c, .panel = d->panel, .panel_stride = d->s.taps * o * d->panel };
    class_segments(&t.tile, d, v, h);
    t.tile.a_row = o;
    t.tile.c_row = (int64_t)d->h.stride * d->s.c;
    t.tile.far = is_deep(d, v, h);
    t.lines = is_pointwise(d) ? 1 : v->count;
    t.length = is_pointwise(d) ? (int64_t)v->count * h->count : h->count;
    t.a_line = d->pw * o;
    t.c_line = (int64_t)d->v.stride * d->s.w * d->s.c;
    return t;
}

/* What the tiles of some class ask for, NULL: none do. */
static const char *what_is_asked(const struct plan *p, const struct shape_of_grad *d)
{
    const char *asked = NULL;
    for (int i = 0; i < d->v.classes; i++)
        for (int j = 0; j < d->h.classes; j++) {
            const struct class *v = &d->v.class[i], *h = &d->h.class[j];
            if (!v->count || !h->count)
                continue;
            struct product t = class_product(d, v, h);
            if (t.tile.far)
                return "the place of each tile in dx, and what its chain reads";
            if (product_by_rows(p, &t))
                asked = "the place of the tile below each in dx, and what its chain reads";
        }
    return asked;
}

static void plan(struct plan *p, struct program *q, struct group *g)
{
    struct shape_of_grad d = grad_of(p, p->arena, g->main);
    int panels = (d.s.c + d.panel - 1) / d.panel;
    struct step *pack = plan_step(p, q, g, 0, SPLIT_BLOCKS, (int64_t)panels * d.s.taps, "pack weights", 0);
    pack->hoisted = true;
    struct step *main = plan_step(p, q, g, 1, SPLIT_IMAGES, 0, plan_way(g),
                                  2 * d.s.k * d.s.o * d.s.oh * d.s.ow * p->batch);
    int64_t block = (int64_t)d.s.o * d.panel;
    struct buffer *packed = plan_buffer(p, q, arena_printf(p->arena, "%s_packed", g->main->in[1]->name), p->real,
                                        pack->blocks * block * p->real_size);
    step_is_told(p, pack, ARGUMENT_BLOCK);
    step_takes(p, pack, ACCESS_READ, g->main->in[1]);
    step_uses_part(p, pack, ACCESS_WRITE, packed, part_rows(pack->blocks, block));
    step_takes(p, main, ACCESS_READ, g->main->in[0]);
    step_uses(p, main, ACCESS_READ, packed, TOUCH_ALL);
    step_takes(p, main, ACCESS_WRITE, g->result);
    step_takes_chain(p, main);
    if (d.padded)
        step_scratch(p, main, (int64_t)d.ph * d.pw * d.s.o * p->real_size);
    main->prefetch = what_is_asked(p, &d);
}

/* ---- packing ----------------------------------------------------------------------------------------------------- */

/* The taps (kh KW + kw) in the order of the classes. */
static void emit_tap_table(struct emitter *e, const struct shape_of_grad *d)
{
    struct text list = { .arena = e->arena };
    int count = 0;
    for (int i = 0; i < d->v.classes; i++)
        for (int j = 0; j < d->h.classes; j++) {
            const struct class *v = &d->v.class[i], *h = &d->h.class[j];
            for (int a = 0; a < v->taps; a++)
                for (int b = 0; b < h->taps; b++)
                    text_add(&list, "%s%d", count++ ? ", " : "",
                             (v->tap - a * v->tap_step) * d->s.window.kw + h->tap - b * h->tap_step);
        }
    cw_line(e->w, "static const int tap[%d] = { %s };", count, text_of(&list));
}

/* A number of each class of a direction, as a table. */
static void emit_class_table(struct emitter *e, const char *name, const struct direction *d, bool taps)
{
    struct text list = { .arena = e->arena };
    for (int i = 0; i < d->classes; i++)
        text_add(&list, "%s%d", i ? ", " : "", taps ? d->class[i].taps : d->class[i].tap);
    cw_line(e->w, "static const int %s[%d] = { %s };", name, d->classes, text_of(&list));
}

/* How many taps before the one that a class reads the next one is: as many in every class that reads more than one. */
static int tap_step(const struct direction *d)
{
    int step = 1;
    for (int i = 0; i < d->classes; i++)
        step = d->class[i].taps > 1 ? d->class[i].tap_step : step;
    return step;
}

/* The variable `tap` where a table of all would be too long: the class of block b is searched for. */
static void emit_tap_search(struct emitter *e, const struct shape_of_grad *d)
{
    int kw = d->s.window.kw;
    emit_class_table(e, "rows", &d->v, true);
    emit_class_table(e, "columns", &d->h, true);
    emit_class_table(e, "last_row", &d->v, false);
    emit_class_table(e, "last_column", &d->h, false);
    cw_line(e->w, "int at = b %% %d, i = 0, j = 0;", d->s.taps);
    cw_open(e->w, "for (; at >= rows[i] * %d; i++)", kw);
    cw_line(e->w, "at -= rows[i] * %d;", kw);
    cw_close(e->w, "");
    cw_open(e->w, "for (; at >= rows[i] * columns[j]; j++)");
    cw_line(e->w, "at -= rows[i] * columns[j];");
    cw_close(e->w, "");
    cw_line(e->w, "const int tap = (last_row[i] - %s) * %d + last_column[j] - %s;",
            text_times(e, "at / columns[j]", tap_step(&d->v)), kw, text_times(e, "at % columns[j]", tap_step(&d->h)));
}

/* The tap that block b packs, as C text; what it needs is emitted. */
static const char *emit_tap(struct emitter *e, const struct shape_of_grad *d)
{
    if (d->s.taps <= TABLE_LONGEST) {
        emit_tap_table(e, d);
        return arena_printf(e->arena, "tap[b %% %d]", d->s.taps);
    }
    if (d->v.classes * d->h.classes == 1)
        return arena_printf(e->arena, "(%d - b %% %d)", d->s.taps - 1, d->s.taps);
    emit_tap_search(e, d);
    return "tap";
}

static const char *emit_pack(struct emitter *e, const struct step *step)
{
    const struct node *n = step->group->main;
    struct shape_of_grad d = grad_of(e->plan, e->arena, n);
    const char *real = e->plan->real;
    int from_panel = d.s.weight->panel;
    const char *tap = NULL;

    emit_function(e, "int b, const %s *w, %s *restrict packed", real, real);
    if (d.s.taps > 1) {
        tap = emit_tap(e, &d);
        cw_line(e->w, "const int panel = b / %d, first = panel * %d;", d.s.taps, d.panel);
    } else {
        cw_line(e->w, "const int first = b * %d;", d.panel);
    }
    if (d.s.c % d.panel)
        cw_line(e->w, "const int channels = first + %d < %d ? %d : %d - first;", d.panel, d.s.c, d.panel, d.s.c);
    const char *row = tap ? arena_printf(e->arena, "(%s * %d + first)", tap, d.s.c) : "first";
    cw_line(e->w, "const %s *const from = w + %s * %d;", real, row, from_panel);
    cw_line(e->w, "%s *const to = packed + (size_t)b * %" PRId64 ";", real, (int64_t)d.s.o * d.panel);
    loop_open(e, "o", 0, d.s.o, 1);
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
    const char *hint = arena_printf(e->arena, "pack_%s_%d_to_%d", conv_name(e, &d.s), d.s.o, d.s.c);
    const char *comment = arena_printf(e->arena, "The weights of %s for its data gradient: (%d in panels of %d, tap, "
                                       "%d); block b is one panel and tap.", n->layer->name, d.s.c, d.panel, d.s.o);
    return emit_end(e, hint, comment);
}

/* ---- the gradient ------------------------------------------------------------------------------------------------ */

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
        a = (v->first + v->shift + d->v.before) * row + (h->first + h->shift + d->h.before) * o;
    struct product t = class_product(d, v, h);
    t.a = offset_text(e, d->padded ? "scratch" : "dy", a);
    t.b = offset_text(e, "w", taps_before * o * d->panel);
    t.c = offset_text(e, "dx", c);
    t.at = c ? arena_printf(e->arena, "%" PRId64, c) : "0";
    t.tile.chain = chain;
    t.maps = true;
    if (d->v.classes * d->h.classes > 1)
        cw_line(e->w, "// rows %d + %d r, columns %d + %d t%s", v->position, d->v.stride, h->position, d->h.stride,
                t.tile.segments ? "" : ": no filter reaches these pixels");
    product_emit(e, &t);
}

/* Whether any pixel of dx is reached by a filter: padding and strides may leave none, and then nothing is read. */
static bool reads_any(const struct shape_of_grad *d)
{
    for (int i = 0; i < d->v.classes; i++)
        for (int j = 0; j < d->h.classes; j++)
            if (d->v.class[i].count && d->h.class[j].count && d->v.class[i].taps && d->h.class[j].taps)
                return true;
    return false;
}

static const char *emit_main(struct emitter *e, const struct step *step)
{
    const struct group *g = step->group;
    const struct node *n = g->main;
    struct shape_of_grad d = grad_of(e->plan, e->arena, n);
    const char *real = e->plan->real;
    struct chain chain;
    chain_make(e->plan, g, &chain);
    emit_function(e, "const %s *dy, const %s *w, %s *restrict dx%s%s",
                  real, real, real, chain_parameters(e, &chain),
                  d.padded ? arena_printf(e->arena, ", %s *restrict scratch", real) : "");
    chain_sums_clear(e, &chain, 1);
    if (d.padded)
        emit_padded_copy(e, "dy", "scratch", d.s.oh, d.s.ow, d.s.o, d.v.before, d.h.before, d.ph, d.pw);
    if (!reads_any(&d))
        cw_line(e->w, d.padded ? "(void)w;" : "(void)dy, (void)w;");
    int64_t taps = 0;
    for (int i = 0; i < d.v.classes; i++)
        for (int j = 0; j < d.h.classes; j++) {
            emit_class(e, &d, &d.v.class[i], &d.h.class[j], chain_in_use(&chain), taps);
            taps += (int64_t)d.v.class[i].taps * d.h.class[j].taps;
        }
    chain_sums_take_all(e, &chain, 1);
    const char *hint = arena_printf(e->arena, "%s_data_grad_%dx%dx%d_to_%dx%dx%d", conv_name(e, &d.s), d.s.o, d.s.oh,
                                    d.s.ow, d.s.c, d.s.h, d.s.w);
    return emit_end(e, hint, emit_comment(e, step));
}

static const char *emit(struct emitter *e, const struct step *step)
{
    return step->part == 0 ? emit_pack(e, step) : emit_main(e, step);
}

const struct kernel kernel_conv2d_direct_data_grad = {
    .name = "direct", .op = OP_conv2d_data_grad, .fuses_chain = true, .applicable = applicable, .cost = cost,
    .plan = plan, .carries = always_applicable, .emit = emit,
    .help = "a direct convolution of dy with transposed weights",
};
