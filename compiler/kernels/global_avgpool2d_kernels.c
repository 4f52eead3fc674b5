/* global_avgpool2d_kernels.c - the mean of each channel over an image, and its gradient. */
#include <inttypes.h>

#include "kernels/sums.h"

static double global_avgpool_cost(const struct plan *p, const struct group *g)
{
    const struct tensor *map = g->main->backward ? g->main->out[0] : g->main->in[0];
    return pass_cycles(p, map, 1 + (g->main->backward ? chain_cycles(p, g) : 0), 1);
}

static void global_avgpool_plan(struct plan *p, struct program *q, struct group *g)
{
    struct step *s =
        plan_step(p, q, g, 0, SPLIT_IMAGES, 0, g->main->backward ? "data gradient" : "forward", group_flops(p, g));
    step_takes_rows(p, s, g->main->in[0], g->result);
    step_takes_chain(p, s);
}

/* ---- forward ---------------------------------------------------------------------------------------------------- */

static void add(struct emitter *e, const void *data, const char *const *sum, const char *col, const char *at, int k,
                int tail)
{
    (void)data;
    (void)col;
    (void)k;
    cw_line(e->w, "%s = v_add(%s, %s);", sum[0], sum[0], text_load(e, "x", at, tail));
}

struct mean {
    const struct chain *chain;
    const char *share;
};

static void store(struct emitter *e, const void *data, const char *const *sum, const char *col, int tail)
{
    const struct mean *m = data;
    const char *value = text_printf(e, "v_mul(%s, v_set(%s))", sum[0], m->share);
    line_store(e, "y", col, chain_apply_at(e, m->chain, value, col, col, tail), tail);
}

static const char *global_avgpool_emit(struct emitter *e, const struct step *s)
{
    const struct tensor *x = s->group->main->in[0];
    const char *real = e->plan->real;
    struct chain c;
    chain_make(e->plan, s->group, &c);
    struct mean mean = { &c, text_real(e, 1.0 / (double)tensor_pixels(x)) };
    struct pixel_sums sums = { .shape = x->shape, .pixel = emit_pixel(e, x), .sums = 1, .add = add, .store = store,
                               .data = &mean };
    emit_function(e, "const %s *x, %s *restrict y%s", real, real, chain_parameters(e, &c));
    cw_line(e->w, "// x (%d, %d, %d), y (%d)", x->shape.h, x->shape.w, x->shape.c, x->shape.c);
    emit_pixel_sums(e, &sums);
    const char *hint = text_printf(e, "global_avgpool2d_%s%s", text_shape(e, x->shape), chain_suffix(e, &c));
    return emit_end(e, hint, emit_comment(e, s));
}

/* ---- gradient --------------------------------------------------------------------------------------------------- */

static void grad_body(struct emitter *e, const void *data, const char *at, int tail)
{
    const struct mean *m = data;
    const char *to = text_plus(e, "to", at);
    const char *value = text_printf(e, "v_mul(%s, v_set(%s))", text_load(e, "dy", at, tail), m->share);
    line_store(e, "dx", to, chain_apply_at(e, m->chain, value, at, to, tail), tail);
}

static const char *global_avgpool_grad_emit(struct emitter *e, const struct step *s)
{
    const struct tensor *dx = s->group->main->out[0];
    const char *real = e->plan->real;
    struct chain c;
    chain_make(e->plan, s->group, &c);
    struct mean mean = { &c, text_real(e, 1.0 / (double)tensor_pixels(dx)) };
    emit_function(e, "const %s *dy, %s *restrict dx%s", real, real, chain_parameters(e, &c));
    cw_line(e->w, "// dy (%d), dx (%d, %d, %d)", dx->shape.c, dx->shape.h, dx->shape.w, dx->shape.c);
    loop_open(e, "p", 0, tensor_pixels(dx), 1);
    cw_line(e->w, "const int to = p * %d;", dx->shape.c);
    each_vector(e, "j", dx->shape.c, grad_body, &mean);
    cw_close(e->w, "}");
    const char *hint = text_printf(e, "global_avgpool2d_grad_%s%s", text_shape(e, dx->shape), chain_suffix(e, &c));
    return emit_end(e, hint, emit_comment(e, s));
}

const struct kernel kernel_global_avgpool2d = {
    .name = "global_avgpool2d", .op = OP_global_avgpool2d, .fuses_chain = true, .applicable = always_applicable,
    .cost = global_avgpool_cost, .plan = global_avgpool_plan, .emit = global_avgpool_emit, .strided = sums_strided,
    .help = "one pass, channels in vectors",
};

const struct kernel kernel_global_avgpool2d_grad = {
    .name = "global_avgpool2d_grad", .op = OP_global_avgpool2d_grad, .fuses_chain = true,
    .applicable = always_applicable, .cost = global_avgpool_cost, .plan = global_avgpool_plan,
    .emit = global_avgpool_grad_emit, .help = "one pass, channels in vectors",
};
