/* moves_kernels.c - zeros around a map, and pixels made into several: one pass over an image, and the way back. */
#include <inttypes.h>

#include "kernels/conv_geometry.h"
#include "kernels/portable.h"

static double move_cost(const struct plan *p, const struct group *g)
{
    const struct tensor *x = g->main->in[0], *y = g->main->out[0];
    return pass_cycles(p, tensor_elements(x) > tensor_elements(y) ? x : y, 1, 2);
}

static void move_plan(struct plan *p, struct program *q, struct group *g)
{
    struct step *s = plan_step(p, q, g, 0, SPLIT_IMAGES, 0, plan_way(g), group_flops(p, g));
    step_takes(p, s, ACCESS_READ, g->main->in[0]);
    step_takes(p, s, ACCESS_WRITE, g->main->out[0]);
}

static void note_maps(struct emitter *e, const struct tensor *x, const struct tensor *y, bool backward)
{
    const char *from = backward ? "dy" : "x", *to = backward ? "dx" : "y";
    cw_line(e->w, "// %s (%d, %d, %d), %s (%d, %d, %d)", from, x->shape.h, x->shape.w, x->shape.c, to, y->shape.h,
            y->shape.w, y->shape.c);
}

/* ---- zeros around a map ------------------------------------------------------------------------------------------ */

static const char *pad_emit(struct emitter *e, const struct step *s)
{
    const struct node *n = s->group->main;
    const struct tensor *x = n->in[0], *y = n->out[0];
    const struct window *w = &n->attr.window;
    const char *real = e->plan->real;
    emit_function(e, "const %s *x, %s *restrict y", real, real);
    note_maps(e, x, y, false);
    emit_padded_copy(e, "x", "y", x->shape.h, x->shape.w, x->shape.c, w->pad_top, w->pad_left, y->shape.h, y->shape.w);
    return emit_end(e, text_printf(e, "zero_pad_%s_to_%s", text_shape(e, x->shape), text_shape(e, y->shape)),
                    emit_comment(e, s));
}

static const char *crop_emit(struct emitter *e, const struct step *s)
{
    const struct node *n = s->group->main;
    const struct tensor *dy = n->in[0], *dx = n->out[0];
    const struct window *w = &n->attr.window;
    const char *real = e->plan->real;
    int64_t row = (int64_t)dx->shape.w * dx->shape.c, from = (int64_t)dy->shape.w * dy->shape.c;
    emit_function(e, "const %s *dy, %s *restrict dx", real, real);
    note_maps(e, dy, dx, true);
    loop_open(e, "r", 0, dx->shape.h, 1);
    cw_line(e->w, "memcpy(dx + r * %" PRId64 ", dy%s + r * %" PRId64 ", sizeof(%s) * %" PRId64 ");", row,
            text_offset(e, w->pad_top * from + (int64_t)w->pad_left * dy->shape.c), from, real, row);
    cw_close(e->w, "}");
    return emit_end(e, text_printf(e, "zero_pad_grad_%s_to_%s", text_shape(e, dy->shape), text_shape(e, dx->shape)),
                    emit_comment(e, s));
}

const struct kernel kernel_zero_pad2d = {
    .name = "zero_pad2d", .op = OP_zero_pad2d, .applicable = always_applicable, .cost = move_cost, .plan = move_plan,
    .emit = pad_emit, .help = "a copy, row by row",
};

const struct kernel kernel_zero_pad2d_grad = {
    .name = "zero_pad2d_grad", .op = OP_zero_pad2d_grad, .applicable = always_applicable, .cost = move_cost,
    .plan = move_plan, .emit = crop_emit, .help = "a copy, row by row",
};

/* ---- pixels made into several ------------------------------------------------------------------------------------ */

/* The smaller map x and the larger one y, whichever is read. */
struct upsampling {
    const char *x, *y;
    struct shape small, large;
    int rows, columns;                      /* that each pixel of x becomes */
    int64_t small_pixel, large_pixel;       /* elements from one to the next */
};

static struct upsampling upsampling_of(struct emitter *e, const struct node *n)
{
    bool back = n->backward;
    const struct tensor *x = back ? n->out[0] : n->in[0], *y = back ? n->in[0] : n->out[0];
    return (struct upsampling){ .x = back ? "dx" : "x", .y = back ? "dy" : "y", .small = x->shape, .large = y->shape,
                                .rows = n->attr.window.kh, .columns = n->attr.window.kw,
                                .small_pixel = emit_pixel(e, x), .large_pixel = emit_pixel(e, y) };
}

enum { WRITTEN_OUT = 16 };

static int64_t tap_offset(const struct upsampling *u, int tap)
{
    return ((int64_t)(tap / u->columns) * u->large.w + tap % u->columns) * u->large_pixel;
}

/* Row by row of y: so it is written in order. */
static void copies_body(struct emitter *e, const void *data, const char *at, int tail)
{
    const struct upsampling *u = data;
    cw_line(e->w, "const v value = %s;", text_load(e, "x + from", at, tail));
    if (u->columns <= WRITTEN_OUT) {
        for (int k = 0; k < u->columns; k++)
            line_store(e, "y + to", text_plus(e, text_printf(e, "%" PRId64, tap_offset(u, k)), at), "value", tail);
        return;
    }
    cw_open(e->w, "for (int k = 0; k < %d; k++)", u->columns);
    line_store(e, text_printf(e, "y + to + k * %" PRId64, u->large_pixel), at, "value", tail);
    cw_close(e->w, "");
}

static void emit_nearest(struct emitter *e, const struct upsampling *u)
{
    loop_open(e, "oy", 0, u->large.h, 1);
    loop_open(e, "ix", 0, u->small.w, 1);
    cw_line(e->w, "const int from = (%s * %d + ix) * %" PRId64 ";", text_over(e, "oy", u->rows), u->small.w,
            u->small_pixel);
    cw_line(e->w, "const int to = (oy * %d + ix * %d) * %" PRId64 ";", u->large.w, u->columns, u->large_pixel);
    each_vector(e, "j", u->small.c, copies_body, u);
    cw_close(e->w, "}");
    cw_close(e->w, "}");
}

static void sum_body(struct emitter *e, const void *data, const char *at, int tail)
{
    const struct upsampling *u = data;
    int taps = u->rows * u->columns;
    if (taps <= WRITTEN_OUT) {
        cw_line(e->w, "v sum = %s;", text_load(e, "dy + from", at, tail));
        for (int k = 1; k < taps; k++)
            cw_line(e->w, "sum = v_add(sum, %s);",
                    text_load(e, text_printf(e, "dy + from + %" PRId64, tap_offset(u, k)), at, tail));
    } else {
        cw_line(e->w, "v sum = v_zero();");
        cw_open(e->w, "for (int ky = 0; ky < %d; ky++)", u->rows);
        cw_open(e->w, "for (int kx = 0; kx < %d; kx++)", u->columns);
        cw_line(e->w, "sum = v_add(sum, %s);",
                text_load(e, text_printf(e, "dy + from + (ky * %d + kx) * %" PRId64, u->large.w, u->large_pixel), at,
                          tail));
        cw_close(e->w, "");
        cw_close(e->w, "");
    }
    line_store(e, "dx + to", at, "sum", tail);
}

static void emit_nearest_grad(struct emitter *e, const struct upsampling *u)
{
    loop_open(e, "iy", 0, u->small.h, 1);
    loop_open(e, "ix", 0, u->small.w, 1);
    cw_line(e->w, "const int from = (iy * %d + ix * %d) * %" PRId64 ";", u->rows * u->large.w, u->columns,
            u->large_pixel);
    cw_line(e->w, "const int to = (iy * %d + ix) * %" PRId64 ";", u->small.w, u->small_pixel);
    each_vector(e, "j", u->small.c, sum_body, u);
    cw_close(e->w, "}");
    cw_close(e->w, "}");
}

/* Between which rows (columns) of the smaller map row `o` of the larger one lies, and how far on: y0, y1 and ys, with
 * places counted in halves of a row of the larger map. */
static void line_between(struct emitter *e, const char *name, const char *o, int size, int factor)
{
    cw_line(e->w, "const int %sn = 2 * %s + 1 - %d;", name, o, factor);
    cw_line(e->w, "const int %s0 = %sn < 0 ? 0 : %sn / %d, %s1 = %s0 + 1 < %d ? %s0 + 1 : %s0;", name, name, name,
            2 * factor, name, name, size, name, name);
    cw_line(e->w, "const %s %ss = %sn < 0 ? 0 : (%s)(%sn %% %d) / %d;", e->plan->real, name, name, e->plan->real, name,
            2 * factor, 2 * factor);
}

static void mix_body(struct emitter *e, const void *data, const char *at, int tail)
{
    (void)data;
    for (int i = 0; i < 2; i++) {
        const char *left = text_load(e, text_printf(e, "x + from%d0", i), at, tail);
        const char *right = text_load(e, text_printf(e, "x + from%d1", i), at, tail);
        cw_line(e->w, "const v left%d = %s, row%d = v_fma(v_set(xs), v_sub(%s, left%d), left%d);", i, left, i, right, i,
                i);
    }
    line_store(e, "y + to", at, "v_fma(v_set(ys), v_sub(row1, row0), row0)", tail);
}

static void emit_bilinear(struct emitter *e, const struct upsampling *u)
{
    loop_open(e, "oy", 0, u->large.h, 1);
    line_between(e, "y", "oy", u->small.h, u->rows);
    loop_open(e, "ox", 0, u->large.w, 1);
    line_between(e, "x", "ox", u->small.w, u->columns);
    for (int i = 0; i < 2; i++)
        cw_line(e->w, "const int from%d0 = (y%d * %d + x0) * %" PRId64 ", from%d1 = (y%d * %d + x1) * %" PRId64 ";", i,
                i, u->small.w, u->small_pixel, i, i, u->small.w, u->small_pixel);
    cw_line(e->w, "const int to = (oy * %d + ox) * %" PRId64 ";", u->large.w, u->large_pixel);
    each_vector(e, "j", u->small.c, mix_body, u);
    cw_close(e->w, "}");
    cw_close(e->w, "}");
}

/* The function that says how much of row `from` is in row `to`: written when it is first needed. */
static const char *share_function(struct emitter *e)
{
    const char *name = "upsample_share", *real = e->plan->real;
    if (table_get(&e->tiles, name))
        return name;
    table_put(&e->tiles, name, e);
    emit_text_begin(e);
    cw_open(e->w, "static inline %s %s(int from, int to, int size, int factor)", real, name);
    cw_close(e->w, "");
    cw_open(e->w, "{");
    cw_line(e->w, "const int n = 2 * to + 1 - factor, first = n < 0 ? 0 : n / (2 * factor);");
    cw_line(e->w, "const %s next = n < 0 || first + 1 == size ? 0 : (%s)(n %% (2 * factor)) / (%s)(2 * factor);", real,
            real, real);
    cw_line(e->w, "return from == first ? 1 - next : from == first + 1 ? next : 0;");
    cw_close(e->w, "}");
    emit_written(e, name, emit_text_end(e),
                 "How much of row (column) `from` of `size` is in row `to` of a map that is `factor` times as large.");
    return name;
}

static void gather_body(struct emitter *e, const void *data, const char *at, int tail)
{
    const struct upsampling *u = data;
    cw_line(e->w, "v sum = v_zero();");
    cw_open(e->w, "for (int oy = oy0; oy < oy1; oy++) {");
    cw_line(e->w, "const %s row = upsample_share(iy, oy, %d, %d);", e->plan->real, u->small.h, u->rows);
    cw_open(e->w, "for (int ox = ox0; ox < ox1; ox++) {");
    cw_line(e->w, "const %s share = row * upsample_share(ix, ox, %d, %d);", e->plan->real, u->small.w, u->columns);
    const char *from = text_printf(e, "dy + (oy * %d + ox) * %" PRId64, u->large.w, u->large_pixel);
    cw_line(e->w, "sum = v_fma(%s, v_set(share), sum);", text_load(e, from, at, tail));
    cw_close(e->w, "}");
    cw_close(e->w, "}");
    line_store(e, "dx + to", at, "sum", tail);
}

/* The rows (columns) of y that some of row i is in: those within one row of it. */
static void line_reached(struct emitter *e, const char *o, const char *i, int factor, int size)
{
    int before = (factor + 1) / 2, after = factor + before;
    cw_line(e->w, "const int %s0 = %s * %d < %d ? 0 : %s * %d - %d;", o, i, factor, before, i, factor, before);
    cw_line(e->w, "const int %s1 = %s * %d + %d < %d ? %s * %d + %d : %d;", o, i, factor, after, size, i, factor, after,
            size);
}

static void emit_bilinear_grad(struct emitter *e, const struct upsampling *u)
{
    loop_open(e, "iy", 0, u->small.h, 1);
    line_reached(e, "oy", "iy", u->rows, u->large.h);
    loop_open(e, "ix", 0, u->small.w, 1);
    line_reached(e, "ox", "ix", u->columns, u->large.w);
    cw_line(e->w, "const int to = (iy * %d + ix) * %" PRId64 ";", u->small.w, u->small_pixel);
    each_vector(e, "j", u->small.c, gather_body, u);
    cw_close(e->w, "}");
    cw_close(e->w, "}");
}

static const char *upsample_emit(struct emitter *e, const struct step *s)
{
    const struct node *n = s->group->main;
    struct upsampling u = upsampling_of(e, n);
    const char *real = e->plan->real, *from = n->backward ? u.y : u.x, *to = n->backward ? u.x : u.y;
    bool mixes = n->attr.bilinear;
    if (mixes && n->backward)
        share_function(e);
    emit_function(e, "const %s *%s, %s *restrict %s", real, from, real, to);
    note_maps(e, n->in[0], n->out[0], n->backward);
    if (n->backward)
        (mixes ? emit_bilinear_grad : emit_nearest_grad)(e, &u);
    else
        (mixes ? emit_bilinear : emit_nearest)(e, &u);
    return emit_end(e, text_printf(e, "upsample%s%s_%s_to_%s", mixes ? "_bilinear" : "", n->backward ? "_grad" : "",
                                   text_shape(e, n->in[0]->shape), text_shape(e, n->out[0]->shape)),
                                       emit_comment(e, s));
}

static bool upsample_strided(const struct plan *p, const struct group *g, const struct tensor *t)
{
    (void)p;
    return t == g->main->in[0] || t == g->main->out[0];
}

#define UPSAMPLE(operation)                                                                                             \
    const struct kernel kernel_##operation = {                                                                          \
        .name = #operation, .op = OP_##operation, .applicable = always_applicable, .cost = move_cost,                   \
        .plan = move_plan, .emit = upsample_emit, .strided = upsample_strided, .help = "one pass, channels in vectors", \
    };

UPSAMPLE(upsample2d)
UPSAMPLE(upsample2d_grad)

/* ---- in plain loops ---------------------------------------------------------------------------------------------- */

static const char *const plain_inputs[] = { "x", NULL };

static const char *plain_pad(struct emitter *e, const struct step *s)
{
    const struct window *w = &s->group->main->attr.window;
    struct portable f = portable_begin(e, s, plain_inputs);

    portable_loop(&f, "row", f.out.h, true);
    cw_open(e->w, "for (int column = 0; column < %d; column++, y += %d) {", f.out.w, f.out.c);
    cw_line(e->w, "const int r = row - %d, q = column - %d;", w->pad_top, w->pad_left);
    cw_line(e->w, "const int inside = r >= 0 && r < %d && q >= 0 && q < %d;", f.in.h, f.in.w);
    portable_each(&f, "c", f.out.c, text_printf(e, "y[c] = inside ? x[(r * %d + q) * %d + c] : 0.0f;", f.in.w, f.in.c));
    portable_close(&f, 2);
    return portable_end(&f, "zero_pad");
}

static const char *plain_upsample(struct emitter *e, const struct step *s)
{
    const struct node *n = s->group->main;
    const struct window *w = &n->attr.window;
    struct portable f = portable_begin(e, s, plain_inputs);
    const char *value = text_printf(e, "x[(%s * %d + %s) * %d + c]", text_over(e, "row", w->kh), f.in.w,
                                    text_over(e, "column", w->kw), f.in.c);

    portable_loop(&f, "row", f.out.h, true);
    if (n->attr.bilinear)
        line_between(e, "y", "row", f.in.h, w->kh);
    cw_open(e->w, "for (int column = 0; column < %d; column++, y += %d) {", f.out.w, f.out.c);
    if (n->attr.bilinear) {
        line_between(e, "x", "column", f.in.w, w->kw);
        for (int i = 0; i < 4; i++)
            cw_line(e->w, "const float *x%d%d = x + (y%d * %d + x%d) * %d;", i / 2, i % 2, i / 2, f.in.w, i % 2,
                    f.in.c);
        value = "(1.0f - ys) * ((1.0f - xs) * x00[c] + xs * x01[c]) + ys * ((1.0f - xs) * x10[c] + xs * x11[c])";
    }
    portable_each(&f, "c", f.out.c, text_printf(e, "y[c] = %s;", value));
    portable_close(&f, 2);
    return portable_end(&f, n->attr.bilinear ? "upsample_bilinear" : "upsample");
}

#define PLAIN(operation, writer)                                                                                        \
    const struct kernel kernel_portable_##operation = {                                                                 \
        .name = "portable", .op = OP_##operation, .portable = true, .applicable = always_applicable,                    \
        .cost = portable_cost, .plan = portable_plan, .emit = writer, .help = "plain loops, channels innermost",        \
    };

PLAIN(zero_pad2d, plain_pad)
PLAIN(upsample2d, plain_upsample)
