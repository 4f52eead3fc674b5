/* prelu_kernels.c - what a sample adds to the gradients of a prelu's slopes, channel by channel. */
#include "kernels/sums.h"

static double sums_cost(const struct plan *p, const struct group *g)
{
    return pass_cycles(p, g->main->in[0], 3, 2);
}

static void sums_plan(struct plan *p, struct program *q, struct group *g)
{
    const struct node *n = g->main;     /* x, dy -> sums */
    struct step *s = plan_step(p, q, g, 0, SPLIT_IMAGES, 0, "sums", group_flops(p, g));
    step_takes(p, s, ACCESS_READ, n->in[0]);
    step_takes(p, s, ACCESS_READ, n->in[1]);
    step_takes(p, s, ACCESS_WRITE, n->out[0]);
}

/* What is above 0 has nothing of the slope. */
static void add(struct emitter *e, const void *data, const char *const *sum, const char *col, const char *at, int k,
                int tail)
{
    (void)data;
    (void)col;
    (void)k;
    cw_line(e->w, "%s = v_fma(v_min(v_zero(), %s), %s, %s);", sum[0], text_load(e, "x", at, tail),
            text_load(e, "dy", at, tail), sum[0]);
}

static void store(struct emitter *e, const void *data, const char *const *sum, const char *col, int tail)
{
    (void)data;
    line_store(e, "sums", col, sum[0], tail);
}

static const char *sums_emit(struct emitter *e, const struct step *s)
{
    const struct tensor *x = s->group->main->in[0];
    const char *real = e->plan->real;
    struct pixel_sums sums = { .shape = x->shape, .sums = 1, .add = add, .store = store };
    emit_function(e, "const %s *x, const %s *dy, %s *restrict sums", real, real, real);
    cw_line(e->w, "// x, dy (%d, %d, %d)", x->shape.h, x->shape.w, x->shape.c);
    emit_pixel_sums(e, &sums);
    return emit_end(e, text_printf(e, "prelu_sums_%s", text_shape(e, x->shape)), emit_comment(e, s));
}

const struct kernel kernel_prelu_sums = {
    .name = "prelu_sums", .op = OP_prelu_sums, .applicable = always_applicable, .cost = sums_cost, .plan = sums_plan,
    .emit = sums_emit, .help = "a sample at a time, channels in vectors",
};
