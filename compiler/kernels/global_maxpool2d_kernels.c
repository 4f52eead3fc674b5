/* global_maxpool2d_kernels.c - the greatest of each channel over an image, the first of equals, and its gradient.  The
 * number of the position that won is kept for it, as a real. */
#include <inttypes.h>

#include "kernels/sums.h"

static double global_maxpool_cost(const struct plan *p, const struct group *g)
{
    const struct tensor *map = g->main->backward ? g->main->out[0] : g->main->in[0];
    return pass_cycles(p, map, g->main->backward ? 2 + chain_cycles(p, g) : 3, 1);
}

static void global_maxpool_plan(struct plan *p, struct program *q, struct group *g)
{
    const struct node *n = g->main;     /* x -> y, index; index, dy -> dx */
    struct step *s = plan_step(p, q, g, 0, SPLIT_IMAGES, 0, n->backward ? "data gradient" : "forward",
                               group_flops(p, g));
    for (int i = 0; i < n->in_count; i++)
        step_takes(p, s, ACCESS_READ, n->in[i]);
    if (n->out_count > 1)
        step_takes(p, s, ACCESS_WRITE, n->out[1]);
    step_takes(p, s, ACCESS_WRITE, g->result);
    step_takes_chain(p, s);
}

/* ---- forward ----------------------------------------------------------------------------------------------------- */

struct search {
    const struct chain *chain;
    bool keeps_index;
};

static void begin(struct emitter *e, const void *data, const char *const *best, const char *col, int tail)
{
    const struct search *s = data;
    cw_line(e->w, "v %s = %s;", best[0], text_load(e, "x", col, tail));
    if (s->keeps_index)
        cw_line(e->w, "v %s = v_zero();", best[1]);
}

static void compare(struct emitter *e, const void *data, const char *const *best, const char *col, const char *at,
                    int k, int tail)
{
    const struct search *s = data;
    (void)col;
    cw_line(e->w, "const v x%d = %s;", k, text_load(e, "x", at, tail));
    if (s->keeps_index)
        cw_line(e->w, "%s = v_select(v_gt(x%d, %s), v_set((%s)p), %s);", best[1], k, best[0], e->plan->real, best[1]);
    cw_line(e->w, "%s = v_max(x%d, %s);", best[0], k, best[0]);
}

static void store(struct emitter *e, const void *data, const char *const *best, const char *col, int tail)
{
    const struct search *s = data;
    line_store(e, "y", col, chain_apply_at(e, s->chain, best[0], col, col, tail), tail);
    if (s->keeps_index)
        line_store(e, "index", col, best[1], tail);
}

static const char *global_maxpool_emit(struct emitter *e, const struct step *s)
{
    const struct tensor *x = s->group->main->in[0];
    const char *real = e->plan->real;
    struct chain c;
    chain_make(e->plan, s->group, &c);
    struct search search = { &c, s->group->main->out_count > 1 };
    struct pixel_sums sums = { .shape = x->shape, .pixel = emit_pixel(e, x), .sums = search.keeps_index ? 2 : 1,
                               .add = compare,
                               .store = store, .data = &search, .begin = begin };
    emit_function(e, "const %s *x, %s%s *restrict y%s", real,
                  search.keeps_index ? text_printf(e, "%s *restrict index, ", real) : "", real,
                      chain_parameters(e, &c));
    cw_line(e->w, "// x (%d, %d, %d), y (%d)", x->shape.h, x->shape.w, x->shape.c, x->shape.c);
    emit_pixel_sums(e, &sums);
    const char *hint = text_printf(e, "global_maxpool2d_%s%s", text_shape(e, x->shape), chain_suffix(e, &c));
    return emit_end(e, hint, emit_comment(e, s));
}

/* ---- gradient ---------------------------------------------------------------------------------------------------- */

static void grad_body(struct emitter *e, const void *data, const char *at, int tail)
{
    const char *to = text_plus(e, "to", at);
    const char *won = text_printf(e, "v_eq(%s, v_set((%s)p))", text_load(e, "index", at, tail), e->plan->real);
    const char *value = text_printf(e, "v_select(%s, %s, v_zero())", won, text_load(e, "dy", at, tail));
    line_store(e, "dx", to, chain_apply_at(e, data, value, at, to, tail), tail);
}

static const char *global_maxpool_grad_emit(struct emitter *e, const struct step *s)
{
    const struct tensor *dx = s->group->main->out[0];
    const char *real = e->plan->real;
    struct chain c;
    chain_make(e->plan, s->group, &c);
    emit_function(e, "const %s *index, const %s *dy, %s *restrict dx%s", real, real, real, chain_parameters(e, &c));
    cw_line(e->w, "// dy (%d), dx (%d, %d, %d)", dx->shape.c, dx->shape.h, dx->shape.w, dx->shape.c);
    loop_open(e, "p", 0, tensor_pixels(dx), 1);
    cw_line(e->w, "const int to = p * %d;", dx->shape.c);
    each_vector(e, "j", dx->shape.c, grad_body, &c);
    cw_close(e->w, "}");
    const char *hint = text_printf(e, "global_maxpool2d_grad_%s%s", text_shape(e, dx->shape), chain_suffix(e, &c));
    return emit_end(e, hint, emit_comment(e, s));
}

const struct kernel kernel_global_maxpool2d = {
    .name = "global_maxpool2d", .op = OP_global_maxpool2d, .fuses_chain = true, .applicable = always_applicable,
    .cost = global_maxpool_cost, .plan = global_maxpool_plan, .emit = global_maxpool_emit, .strided = sums_strided,
    .help = "one pass, channels in vectors",
};

const struct kernel kernel_global_maxpool2d_grad = {
    .name = "global_maxpool2d_grad", .op = OP_global_maxpool2d_grad, .fuses_chain = true,
    .applicable = always_applicable,
    .cost = global_maxpool_cost, .plan = global_maxpool_plan, .emit = global_maxpool_grad_emit,
    .help = "one pass, channels in vectors",
};
