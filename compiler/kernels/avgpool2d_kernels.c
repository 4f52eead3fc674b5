/* avgpool2d_kernels.c - the mean of each window; padding is not counted. */
#include <inttypes.h>

#include "kernels/window.h"

static double avgpool_cost(const struct plan *p, const struct group *g)
{
    int taps = g->main->attr.window.kh * g->main->attr.window.kw;
    if (g->main->backward)
        return pool_cycles(p, g, 2 + chain_cycles(p, g), 2);
    return pool_cycles(p, g, taps + chain_cycles(p, g), taps + 1);
}

static void avgpool_plan(struct plan *p, struct program *q, struct group *g)
{
    struct step *s;
    if (!g->main->backward && plan_splits_image(p, avgpool_cost(p, g)))
        s = plan_step(p, q, g, 0, SPLIT_BLOCKS, g->main->out[0]->shape.h, "forward", group_flops(p, g));
    else
        s = plan_step(p, q, g, 0, SPLIT_IMAGES, 0, g->main->backward ? "data gradient" : "forward", group_flops(p, g));
    step_takes_rows(p, s, g->main->in[0], g->result);
    step_takes_chain(p, s);
    pool_steps(p, s);
}

/* A window's share of one tap where all of them lie inside. */
static const char *text_share(struct emitter *e, const struct pool *p)
{
    return text_real(e, 1.0 / pool_taps(p));
}

/* ---- forward ---------------------------------------------------------------------------------------------------- */

static void store_mean(struct emitter *e, const struct pool *p, const char *share, const char *at, int tail)
{
    const char *to = text_plus(e, "to", at);
    cw_line(e->w, "const v average = v_mul(sum, v_set(%s));", share);
    line_store(e, p->outside, to, pool_apply(e, p, "average", at, to, tail), tail);
}

static void forward_plain(struct emitter *e, const void *data, const char *at, int tail)
{
    const struct pool *p = data;
    const char *from = text_plus(e, "x + from", at);
    cw_line(e->w, "v sum = %s;", text_load(e, from, "0", tail));
    for (int t = 1; t < pool_taps(p); t++) {
        const char *offset = text_printf(e, "%" PRId64, pool_tap(p, t));
        cw_line(e->w, "sum = v_add(sum, %s);", text_load(e, from, offset, tail));
    }
    store_mean(e, p, text_share(e, p), at, tail);
}

static void forward_general(struct emitter *e, const void *data, const char *at, int tail)
{
    const struct pool *p = data;
    const char *from = text_printf(e, "x + ((top + ky) * %d + left + kx) * %d", p->in.w, p->in.c);
    cw_line(e->w, "v sum = v_zero();");
    cw_open(e->w, "for (int ky = ky0; ky < ky1; ky++) {");
    cw_open(e->w, "for (int kx = kx0; kx < kx1; kx++) {");
    cw_line(e->w, "sum = v_add(sum, %s);", text_load(e, from, at, tail));
    pool_close(e);
    store_mean(e, p, "share", at, tail);
}

static const char *avgpool_emit(struct emitter *e, const struct step *s)
{
    const struct node *n = s->group->main;
    const char *real = e->plan->real;
    struct chain c;
    chain_make(e->plan, s->group, &c);
    struct pool p = pool_of(n, n->in[0], n->out[0], &c);
    if (emit_is_strided(e, s->group->result))
        p.out_pixel = emit_pixel(e, s->group->result);
    p.block = s->split == SPLIT_BLOCKS;
    pool_together(e, &p, s->group, "y");
    bool plain = pool_is_plain(&p);
    emit_function(e, "%sconst %s *x, %s *restrict y%s%s", p.block ? "int b, " : "", real, real, chain_parameters(e, &c),
                  pool_parameter(e, &p));
    pool_note(e, &p, "x", "y");
    pool_open_outputs(e, &p);
    if (!plain)
        cw_line(e->w, "const %s share = (%s)1 / (%s)((ky1 - ky0) * (kx1 - kx0));", real, real, real);
    each_vector(e, "j", p.in.c, plain ? forward_plain : forward_general, &p);
    pool_close(e);
    pool_turn_out(e, &p, &c);
    const char *hint = text_printf(e, "avgpool2d_%s%s", pool_name(e, &p), chain_suffix(e, &c));
    return emit_end(e, hint, emit_comment(e, s));
}

/* ---- gradient --------------------------------------------------------------------------------------------------- */

static void grad_tiled(struct emitter *e, const void *data, const char *at, int tail)
{
    const struct pool *p = data;
    cw_line(e->w, "const v gradient = v_mul(%s, v_set(%s));", text_load(e, p->outside, text_plus(e, "to", at), tail),
            text_share(e, p));
    for (int t = 0; t < pool_taps(p); t++) {
        const char *offset = text_printf(e, "%" PRId64, pool_tap(p, t));
        const char *into = text_plus(e, text_plus(e, "from", offset), at);
        line_store(e, "dx", into, pool_apply(e, p, "gradient", at, into, tail), tail);
    }
}

/* "rows": of the window at `corner`, those inside the input. */
static void line_taps_inside(struct emitter *e, const char *count, const char *o, int taps, int stride, int pad,
                             int inputs)
{
    const char *corner = text_printf(e, pad ? "%s * %d - %d" : "%s * %d", o, stride, pad);
    cw_line(e->w, "const int %s = (%s + %d > %d ? %d : %s + %d) - (%s < 0 ? 0 : %s);", count, corner, taps, inputs,
            inputs, corner, taps, corner, corner);
}

static void grad_gathered(struct emitter *e, const void *data, const char *at, int tail)
{
    const struct pool *p = data;
    const struct window *k = &p->window;
    const char *real = e->plan->real, *to = text_plus(e, "to", at);
    cw_line(e->w, "v sum = v_zero();");
    cw_open(e->w, "for (int oy = oy0; oy < oy1; oy++) {");
    line_taps_inside(e, "rows", "oy", k->kh, k->stride_h, k->pad_top, p->in.h);
    cw_open(e->w, "for (int ox = ox0; ox < ox1; ox++) {");
    line_taps_inside(e, "columns", "ox", k->kw, k->stride_w, k->pad_left, p->in.w);
    const char *from = text_printf(e, "%s + (oy * %d + ox) * %d", p->outside, p->out.w, p->in.c);
    cw_line(e->w, "const v share = v_set((%s)1 / (%s)(rows * columns));", real, real);
    cw_line(e->w, "sum = v_fma(%s, share, sum);", text_load(e, from, at, tail));
    pool_close(e);
    line_store(e, "dx", to, pool_apply(e, p, "sum", at, to, tail), tail);
}

static const char *avgpool_grad_emit(struct emitter *e, const struct step *s)
{
    const struct node *n = s->group->main;
    const char *real = e->plan->real;
    struct chain c;
    chain_make(e->plan, s->group, &c);
    struct pool p = pool_of(n->forward, n->out[0], n->in[0], &c);
    pool_together(e, &p, s->group, "dy");
    emit_function(e, "const %s *dy, %s *restrict dx%s%s", real, real, chain_parameters(e, &c), pool_parameter(e, &p));
    pool_note(e, &p, "dx", "dy");
    pool_turn_in(e, &p);
    if (pool_tiles(&p)) {
        pool_open_outputs(e, &p);
        each_vector(e, "j", p.in.c, grad_tiled, &p);
        pool_close(e);
        pool_rest(e, &p);
    } else {
        pool_open_inputs(e, &p);
        each_vector(e, "j", p.in.c, grad_gathered, &p);
        pool_close(e);
    }
    const char *hint = text_printf(e, "avgpool2d_grad_%s%s", pool_name(e, &p), chain_suffix(e, &c));
    return emit_end(e, hint, emit_comment(e, s));
}

static bool avgpool_strided(const struct plan *p, const struct group *g, const struct tensor *t)
{
    return t == g->result && !g->together && chain_is_by_channel(p, g);
}

const struct kernel kernel_avgpool2d = {
    .name = "avgpool2d", .op = OP_avgpool2d, .fuses_chain = true, .applicable = always_applicable,
    .cost = avgpool_cost, .plan = avgpool_plan, .emit = avgpool_emit, .strided = avgpool_strided,
    .together = pool_can_be_together, .apart = pool_apart,
    .help = "one pass, channels in vectors",
};

const struct kernel kernel_avgpool2d_grad = {
    .name = "avgpool2d_grad", .op = OP_avgpool2d_grad, .fuses_chain = true, .applicable = always_applicable,
    .cost = avgpool_cost, .plan = avgpool_plan, .emit = avgpool_grad_emit,
    .together = pool_can_be_together, .apart = pool_apart, .help = "one pass, channels in vectors",
};
