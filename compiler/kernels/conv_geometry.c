/* conv_geometry.c - the numbers of a convolution that its kernels share. */
#include <inttypes.h>

#include "kernels/conv_geometry.h"
#include "kernels/loops.h"

struct conv_geometry conv_geometry_of(const struct plan *p, const struct node *n)
{
    struct conv_geometry g = { .window = n->attr.window };
    const struct tensor *x, *y, *w;
    if (n->op == OP_conv2d) {
        x = n->in[0], y = n->out[0], w = n->in[1];
    } else if (n->op == OP_conv2d_data_grad) {
        x = n->out[0], y = n->in[0], w = n->in[1];
    } else {
        x = n->in[0], y = n->in[1], w = n->out[0];
    }
    g.c = x->shape.c, g.h = x->shape.h, g.w = x->shape.w;
    g.o = y->shape.c, g.oh = y->shape.h, g.ow = y->shape.w;
    g.taps = n->attr.window.kh * n->attr.window.kw;
    g.padded = g.window.pad_top || g.window.pad_bottom || g.window.pad_left || g.window.pad_right;
    g.ph = (g.oh - 1) * n->attr.window.stride_h + (n->attr.window.kh - 1) * n->attr.window.dilation_h + 1;
    g.pw = (g.ow - 1) * n->attr.window.stride_w + (n->attr.window.kw - 1) * n->attr.window.dilation_w + 1;
    g.weight = plan_param(p, w);
    g.k = (int64_t)g.taps * g.c;
    return g;
}

void emit_padded_copy(struct emitter *e, const char *from, const char *to, int h, int w, int c, int top, int left,
                      int ph, int pw)
{
    const char *real = e->plan->real;
    int columns = left + w > pw ? pw - left : w, right = pw - left - columns;
    int first = top < 0 ? 0 : top, end = top + h > ph ? ph : top + h;
    int64_t row = (int64_t)pw * c;
    cw_line(e->w, "// a copy with zeros around: %d x %d x %d", ph, pw, c);
    if (first)
        cw_line(e->w, "memset(%s, 0, sizeof(%s) * %" PRId64 ");", to, real, first * row);
    loop_open(e, "r", first, end, 1);
    cw_line(e->w, "%s *const line = %s + r * %" PRId64 ";", real, to, row);
    if (left)
        cw_line(e->w, "memset(line, 0, sizeof(%s) * %" PRId64 ");", real, (int64_t)left * c);
    const char *inner = top ? arena_printf(e->arena, "(r - %d)", top) : "r";
    cw_line(e->w, "memcpy(line%s, %s + %s * %" PRId64 ", sizeof(%s) * %" PRId64 ");", text_offset(e, (int64_t)left * c),
            from, inner, (int64_t)w * c, real, (int64_t)columns * c);
    if (right)
        cw_line(e->w, "memset(line + %" PRId64 ", 0, sizeof(%s) * %" PRId64 ");", (int64_t)(left + columns) * c,
                real, (int64_t)right * c);
    cw_close(e->w, "}");
    if (end < ph)
        cw_line(e->w, "memset(%s + %" PRId64 ", 0, sizeof(%s) * %" PRId64 ");", to, end * row, real,
                (ph - end) * row);
}

struct step *conv_padding_plan(struct plan *p, struct program *q, struct group *g, int part)
{
    return plan_step(p, q, g, part, SPLIT_BLOCKS, conv_geometry_of(p, g->main).ph, plan_way(g), 0);
}

struct buffer *conv_padding_buffer(struct plan *p, struct program *q, const struct group *g, struct step *copy)
{
    struct conv_geometry s = conv_geometry_of(p, g->main);
    int64_t row = (int64_t)s.pw * s.c;
    struct buffer *padded = plan_buffer(p, q, arena_printf(p->arena, "%s_padded", g->main->out[0]->name), p->real,
                                        s.ph * row * p->real_size);
    step_is_told(p, copy, ARGUMENT_BLOCK);
    step_takes(p, copy, ACCESS_READ, g->main->in[0]);
    step_uses_part(p, copy, ACCESS_WRITE, padded, part_rows(s.ph, row));
    return padded;
}

const char *conv_padding_emit(struct emitter *e, const struct step *step)
{
    const struct node *n = step->group->main;
    struct conv_geometry s = conv_geometry_of(e->plan, n);
    const char *real = e->plan->real;
    int top = s.window.pad_top, left = s.window.pad_left;
    int columns = left + s.w > s.pw ? s.pw - left : s.w, right = s.pw - left - columns;
    int end = top + s.h > s.ph ? s.ph : top + s.h;
    int64_t row = (int64_t)s.pw * s.c;
    emit_function(e, "int r, const %s *x, %s *restrict padded", real, real);
    cw_line(e->w, "%s *const line = padded + r * %" PRId64 ";", real, row);
    if (top || end < s.ph) {
        if (top && end < s.ph)
            cw_open(e->w, "if (r < %d || r >= %d) {", top, end);
        else if (top)
            cw_open(e->w, "if (r < %d) {", top);
        else
            cw_open(e->w, "if (r >= %d) {", end);
        cw_line(e->w, "memset(line, 0, sizeof(%s) * %" PRId64 ");", real, row);
        cw_line(e->w, "return;");
        cw_close(e->w, "}");
    }
    if (left)
        cw_line(e->w, "memset(line, 0, sizeof(%s) * %" PRId64 ");", real, (int64_t)left * s.c);
    cw_line(e->w, "memcpy(line + %" PRId64 ", x + (r - %d) * %" PRId64 ", sizeof(%s) * %" PRId64 ");",
            (int64_t)left * s.c, top, (int64_t)s.w * s.c, real, (int64_t)columns * s.c);
    if (right)
        cw_line(e->w, "memset(line + %" PRId64 ", 0, sizeof(%s) * %" PRId64 ");", (int64_t)(left + columns) * s.c, real,
                (int64_t)right * s.c);
    return emit_end(e, arena_printf(e->arena, "pad_%dx%dx%d_to_%dx%d", s.c, s.h, s.w, s.ph, s.pw),
                    arena_printf(e->arena, "A row of the copy of %s's input that has zeros around it.",
                                 n->layer->name));
}

const char *conv_name(struct emitter *e, const struct conv_geometry *g)
{
    char *name = arena_printf(e->arena, "conv%dx%d", g->window.kh, g->window.kw);
    if (g->window.stride_h != 1 || g->window.stride_w != 1)
        name = arena_printf(e->arena, "%s_stride%d", name, g->window.stride_h);
    if (g->window.dilation_h != 1 || g->window.dilation_w != 1)
        name = arena_printf(e->arena, "%s_dilation%d", name, g->window.dilation_h);
    return name;
}
