/* maxpool2d_kernels.c - the largest of each window.  Padding never wins; the first of equals does.  The tap that won is
 * kept as a byte for the gradient. */
#include <inttypes.h>

#include "kernels/window.h"

enum { TAPS_MOST = 256 };       /* a byte */

struct body {
    const struct pool *pool;
    bool keeps_index;
};

static bool maxpool_applicable(const struct plan *p, const struct group *g)
{
    (void)p;
    const struct node *n = g->main->op == OP_maxpool2d ? g->main : g->main->forward;
    return n->attr.window.kh * n->attr.window.kw <= TAPS_MOST || (n == g->main && !n->out[1]);
}

static double maxpool_cost(const struct plan *p, const struct group *g)
{
    int taps = g->main->attr.window.kh * g->main->attr.window.kw;
    if (g->main->backward)
        return pool_cycles(p, g, 3 + chain_cycles(p, g), 2);
    return pool_cycles(p, g, 3 * taps + chain_cycles(p, g), taps + 1.25);
}

static bool keeps_index(const struct node *n)
{
    return n->out_count > 1 && n->out[1];
}

static void maxpool_plan(struct plan *p, struct program *q, struct group *g)
{
    struct step *s;
    if (plan_splits_image(p, maxpool_cost(p, g)))
        s = plan_step(p, q, g, 0, SPLIT_BLOCKS, g->main->out[0]->shape.h, "forward", group_flops(p, g));
    else
        s = plan_step(p, q, g, 0, SPLIT_IMAGES, 0, "forward", group_flops(p, g));
    step_takes_rows(p, s, g->main->in[0], g->result);
    if (keeps_index(g->main))
        step_writes_rows(p, s, g->main->out[1]);
    step_takes_chain(p, s);
    pool_steps(p, s);
}

static void maxpool_grad_plan(struct plan *p, struct program *q, struct group *g)
{
    const struct node *n = g->main;     /* index, dy -> dx */
    struct step *s = plan_step(p, q, g, 0, SPLIT_IMAGES, 0, "data gradient", group_flops(p, g));
    step_takes(p, s, ACCESS_READ, n->in[1]);
    step_takes(p, s, ACCESS_READ, n->in[0]);
    step_takes(p, s, ACCESS_WRITE, g->result);
    step_takes_chain(p, s);
    pool_steps(p, s);
}

/* ---- forward ---------------------------------------------------------------------------------------------------- */

static void forward_end(struct emitter *e, const struct body *b, const char *at, int tail)
{
    const char *to = text_plus(e, "to", at);
    line_store(e, b->pool->outside, to, pool_apply(e, b->pool, "best", at, to, tail), tail);
    if (b->keeps_index)
        line_store_u8(e, "index", to, "winner", tail);
}

/* Every tap written out. */
static void forward_plain(struct emitter *e, const void *data, const char *at, int tail)
{
    const struct body *b = data;
    const char *from = text_plus(e, "x + from", at);
    cw_line(e->w, "v best = %s;", text_load(e, from, "0", tail));
    if (b->keeps_index)
        cw_line(e->w, "v winner = v_zero();");
    for (int t = 1; t < pool_taps(b->pool); t++) {
        const char *offset = text_printf(e, "%" PRId64, pool_tap(b->pool, t));
        cw_line(e->w, "const v x%d = %s;", t, text_load(e, from, offset, tail));
        if (b->keeps_index)
            cw_line(e->w, "winner = v_select(v_gt(x%d, best), v_set(%d), winner);", t, t);
        cw_line(e->w, "best = v_max(x%d, best);", t);
    }
    forward_end(e, b, at, tail);
}

static void forward_general(struct emitter *e, const void *data, const char *at, int tail)
{
    const struct body *b = data;
    const struct pool *p = b->pool;
    const char *format = "x + ((top + %s) * %d + left + %s) * %d";
    const char *first = text_printf(e, format, "ky0", p->in.w, "kx0", p->in.c);
    const char *other = text_printf(e, format, "ky", p->in.w, "kx", p->in.c);
    cw_line(e->w, "v best = %s;", text_load(e, first, at, tail));
    if (b->keeps_index)
        cw_line(e->w, "v winner = v_set((%s)(ky0 * %d + kx0));", e->plan->real, p->window.kw);
    cw_open(e->w, "for (int ky = ky0; ky < ky1; ky++) {");
    cw_open(e->w, "for (int kx = kx0; kx < kx1; kx++) {");
    cw_line(e->w, "const v other = %s;", text_load(e, other, at, tail));
    if (b->keeps_index)
        cw_line(e->w, "winner = v_select(v_gt(other, best), v_set((%s)(ky * %d + kx)), winner);", e->plan->real,
                p->window.kw);
    cw_line(e->w, "best = v_max(other, best);");
    pool_close(e);
    forward_end(e, b, at, tail);
}

static const char *maxpool_emit(struct emitter *e, const struct step *s)
{
    const struct node *n = s->group->main;
    struct chain c;
    chain_make(e->plan, s->group, &c);
    struct pool p = pool_of(n, n->in[0], n->out[0], &c);
    if (emit_is_strided(e, s->group->result))
        p.out_pixel = emit_pixel(e, s->group->result);
    p.block = s->split == SPLIT_BLOCKS;
    pool_together(e, &p, s->group, "y");
    struct body b = { &p, keeps_index(n) };
    emit_function(e, "%sconst %s *x, %s *restrict y%s%s%s",
                  p.block ? "int b, " : "", e->plan->real, e->plan->real,
                  b.keeps_index ? ", uint8_t *restrict index" : "", chain_parameters(e, &c), pool_parameter(e, &p));
    pool_note(e, &p, "x", "y");
    pool_open_outputs(e, &p);
    each_vector(e, "j", p.in.c, pool_is_plain(&p) ? forward_plain : forward_general, &b);
    pool_close(e);
    pool_turn_out(e, &p, &c);
    const char *hint = text_printf(e, "maxpool2d_%s%s", pool_name(e, &p), chain_suffix(e, &c));
    return emit_end(e, hint, emit_comment(e, s));
}

/* ---- gradient --------------------------------------------------------------------------------------------------- */

/* Windows tile the input: each one writes its own inputs. */
static void grad_tiled(struct emitter *e, const void *data, const char *at, int tail)
{
    const struct pool *p = ((const struct body *)data)->pool;
    const char *to = text_plus(e, "to", at);
    cw_line(e->w, "const v winner = %s;", text_load_u8(e, "index", to, tail));
    cw_line(e->w, "const v gradient = %s;", text_load(e, p->outside, to, tail));
    for (int t = 0; t < pool_taps(p); t++) {
        const char *offset = text_printf(e, "%" PRId64, pool_tap(p, t));
        const char *into = text_plus(e, text_plus(e, "from", offset), at);
        const char *value = text_printf(e, "v_select(v_eq(winner, v_set(%d)), gradient, v_zero())", t);
        line_store(e, "dx", into, pool_apply(e, p, value, at, into, tail), tail);
    }
}

/* Each input gathers from the windows that reach it. */
static void grad_gathered(struct emitter *e, const void *data, const char *at, int tail)
{
    const struct pool *p = ((const struct body *)data)->pool;
    const struct window *k = &p->window;
    const char *to = text_plus(e, "to", at);
    cw_line(e->w, "v sum = v_zero();");
    cw_open(e->w, "for (int oy = oy0; oy < oy1; oy++) {");
    cw_open(e->w, "for (int ox = ox0; ox < ox1; ox++) {");
    cw_line(e->w, "const int from = %s;",
            text_plus(e, text_printf(e, "(oy * %d + ox) * %d", p->out.w, p->in.c), at));
    cw_line(e->w, "const int tap = (iy + %d - oy * %d) * %d + ix + %d - ox * %d;", k->pad_top, k->stride_h, k->kw,
            k->pad_left, k->stride_w);
    cw_line(e->w, "const vm won = v_eq(%s, v_set((%s)tap));", text_load_u8(e, "index", "from", tail), e->plan->real);
    cw_line(e->w, "sum = v_add(sum, v_select(won, %s, v_zero()));", text_load(e, p->outside, "from", tail));
    pool_close(e);
    line_store(e, "dx", to, pool_apply(e, p, "sum", at, to, tail), tail);
}

static const char *maxpool_grad_emit(struct emitter *e, const struct step *s)
{
    const struct node *n = s->group->main;
    struct chain c;
    chain_make(e->plan, s->group, &c);
    struct pool p = pool_of(n->forward, n->out[0], n->in[1], &c);
    pool_together(e, &p, s->group, "dy");
    struct body b = { &p, true };
    emit_function(e, "const %s *dy, const uint8_t *index, %s *restrict dx%s%s",
                  e->plan->real, e->plan->real, chain_parameters(e, &c), pool_parameter(e, &p));
    pool_note(e, &p, "dx", "dy");
    pool_turn_in(e, &p);
    if (pool_tiles(&p)) {
        pool_open_outputs(e, &p);
        each_vector(e, "j", p.in.c, grad_tiled, &b);
        pool_close(e);
        pool_rest(e, &p);
    } else {
        pool_open_inputs(e, &p);
        each_vector(e, "j", p.in.c, grad_gathered, &b);
        pool_close(e);
    }
    const char *hint = text_printf(e, "maxpool2d_grad_%s%s", pool_name(e, &p), chain_suffix(e, &c));
    return emit_end(e, hint, emit_comment(e, s));
}

/* The index lies where the result does, and is no part of a concatenation. */
static bool maxpool_strided(const struct plan *p, const struct group *g, const struct tensor *t)
{
    return t == g->result && !g->together && !keeps_index(g->main) && chain_is_by_channel(p, g);
}

const struct kernel kernel_maxpool2d = {
    .name = "maxpool2d", .op = OP_maxpool2d, .fuses_chain = true, .applicable = maxpool_applicable,
    .cost = maxpool_cost, .plan = maxpool_plan, .emit = maxpool_emit, .strided = maxpool_strided,
    .together = pool_can_be_together, .apart = pool_apart,
    .help = "one pass, channels in vectors",
};

const struct kernel kernel_maxpool2d_grad = {
    .name = "maxpool2d_grad", .op = OP_maxpool2d_grad, .fuses_chain = true, .applicable = maxpool_applicable,
    .cost = maxpool_cost, .plan = maxpool_grad_plan, .emit = maxpool_grad_emit,
    .together = pool_can_be_together, .apart = pool_apart, .help = "one pass, channels in vectors",
};
