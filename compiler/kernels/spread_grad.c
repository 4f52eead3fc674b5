/* spread_grad.c - the gradient of an operand that was spread over h and w: dy summed over them; of one that was
 * multiplied with a map, dy times that map. */
#include "kernels/sums.h"

static double spread_grad_cost(const struct plan *p, const struct group *g)
{
    return pass_cycles(p, g->main->in[0], 1, g->main->in_count);
}

static void spread_grad_plan(struct plan *p, struct program *q, struct group *g)
{
    struct step *s = plan_step(p, q, g, 0, SPLIT_IMAGES, 0, "data gradient", group_flops(p, g));
    for (int i = 0; i < g->main->in_count; i++)
        step_takes(p, s, ACCESS_READ, g->main->in[i]);
    step_takes(p, s, ACCESS_WRITE, g->result);
    step_takes_chain(p, s);
}

struct spread_sums {
    const struct chain *chain;
    const struct pixel_sums *sums;
};

static void add(struct emitter *e, const void *data, const char *const *sum, const char *col, const char *at, int k,
                int tail)
{
    (void)data;
    (void)col;
    (void)k;
    cw_line(e->w, "%s = v_add(%s, %s);", sum[0], sum[0], text_load(e, "dy", at, tail));
}

static void add_product(struct emitter *e, const void *data, const char *const *sum, const char *col, const char *at,
                        int k, int tail)
{
    const struct spread_sums *s = data;
    (void)col;
    cw_line(e->w, "%s = v_fma(%s, %s, %s);", sum[0], text_load(e, "dy", at, tail),
            text_load(e, "x", sums_second(e, s->sums, at, k), tail), sum[0]);
}

static void store(struct emitter *e, const void *data, const char *const *sum, const char *col, int tail)
{
    const struct spread_sums *s = data;
    line_store(e, "db", col, chain_apply_at(e, s->chain, sum[0], col, col, tail), tail);
}

static const char *spread_grad_emit(struct emitter *e, const struct step *s)
{
    const struct node *n = s->group->main;
    const struct tensor *dy = n->in[0];
    const char *real = e->plan->real;
    bool product = n->op == OP_multiply_spread_grad;
    struct chain c;
    chain_make(e->plan, s->group, &c);
    struct pixel_sums sums = { .shape = dy->shape, .pixel = emit_pixel(e, dy), .sums = 1,
                               .second = product ? emit_pixel(e, n->in[1]) : 0,
                               .add = product ? add_product : add, .store = store };
    sums.data = &(struct spread_sums){ &c, &sums };
    emit_function(e, "const %s *dy, %s%s *restrict db%s", real,
                  product ? text_printf(e, "const %s *x, ", real) : "", real, chain_parameters(e, &c));
    cw_line(e->w, "// dy%s (%d, %d, %d), db (%d)", product ? ", x" : "", dy->shape.h, dy->shape.w, dy->shape.c,
            dy->shape.c);
    emit_pixel_sums(e, &sums);
    const char *hint = text_printf(e, "%s_%s%s", op_name(n->op), text_shape(e, dy->shape), chain_suffix(e, &c));
    return emit_end(e, hint, emit_comment(e, s));
}

static bool spread_grad_strided(const struct plan *p, const struct group *g, const struct tensor *t)
{
    (void)p;
    return t == g->main->in[0] || (g->main->in_count > 1 && t == g->main->in[1]);
}

const struct kernel kernel_spread_grad = {
    .name = "spread_grad", .op = OP_spread_grad, .fuses_chain = true, .applicable = always_applicable,
    .cost = spread_grad_cost, .plan = spread_grad_plan, .emit = spread_grad_emit, .strided = spread_grad_strided,
    .help = "one pass, channels in vectors",
};

const struct kernel kernel_multiply_spread_grad = {
    .name = "spread_grad", .op = OP_multiply_spread_grad, .fuses_chain = true, .applicable = always_applicable,
    .cost = spread_grad_cost, .plan = spread_grad_plan, .emit = spread_grad_emit, .strided = spread_grad_strided,
    .help = "one pass, channels in vectors",
};
