/* bias_grad.c - gradients of a bias that no weight gradient computes along: dy summed over batch, h and w. */
#include <inttypes.h>

#include "kernels/sums.h"

static double bias_grad_cost(const struct plan *p, const struct group *g)
{
    return pass_cycles(p, g->main->in[0], 1, 1);
}

/* Part 0: sums of each image; part 1: of the batch. */
static void bias_grad_plan(struct plan *p, struct program *q, struct group *g)
{
    const char *what = "bias gradient";
    int64_t row = padded_channels(p, g->main->in[0]) * p->real_size;
    struct step *images = plan_step(p, q, g, 0, SPLIT_IMAGES, 0, what, group_flops(p, g));
    struct step *batch = plan_step(p, q, g, 1, SPLIT_BLOCKS, 1, what, 0);
    g->detail = plan_buffer(p, q, arena_printf(p->arena, "%s_partial", g->main->name), p->real, row * p->batch, images,
                            batch);
}

static void add(struct emitter *e, const void *data, const char *const *sum, const char *col, const char *at, int k,
                int tail)
{
    (void)data;
    (void)col;
    (void)k;
    cw_line(e->w, "%s = v_add(%s, %s);", sum[0], sum[0], text_load(e, "dy", at, tail));
}

/* Rows of partial sums are padded to whole vectors. */
static void store(struct emitter *e, const void *data, const char *const *sum, const char *col, int tail)
{
    (void)data;
    (void)tail;
    line_store(e, "partial", col, sum[0], 0);
}

static void bias_grad_emit(struct emitter *e, struct step *s)
{
    const struct tensor *dy = s->group->main->in[0], *db = s->group->main->out[0];
    const struct buffer *partial = s->group->detail;
    int64_t columns = padded_channels(e->plan, dy);
    if (s->part == 1) {
        const char *name = emit_batch_sums(e, columns, 1, emit_comment(e, s));
        s->call = text_printf(e, "%s(%s, n, %s)", name, partial->name, emit_pointer(e, db));
        return;
    }
    struct pixel_sums sums = { .shape = dy->shape, .sums = 1, .add = add, .store = store };
    emit_begin(e);
    cw_line(e->w, "static void " EMIT_NAME "(const %s *dy, %s *restrict partial)", e->plan->real, e->plan->real);
    cw_open(e->w, "{");
    cw_line(e->w, "// dy (%d, %d, %d)", dy->shape.h, dy->shape.w, dy->shape.c);
    emit_pixel_sums(e, &sums);
    cw_close(e->w, "}");
    const char *name = emit_end(e, text_printf(e, "bias_grad_%s", text_shape(e, dy->shape)), emit_comment(e, s));
    s->call = text_printf(e, "%s(%s, %s + (size_t)i * %" PRId64 ")", name, emit_sample(e, dy), partial->name, columns);
}

const struct kernel kernel_bias_grad = {
    .name = "bias_grad", .op = OP_bias_grad, .applicable = always_applicable, .cost = bias_grad_cost,
    .plan = bias_grad_plan, .emit = bias_grad_emit, .help = "sums of each image, then of the batch",
};
