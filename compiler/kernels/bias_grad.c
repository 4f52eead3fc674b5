/* bias_grad.c - gradients of a bias that no weight gradient computes along: dy summed over batch, h and w. */
#include <inttypes.h>

#include "kernels/sums.h"
#include "kernels/together.h"

static double bias_grad_cost(const struct plan *p, const struct group *g)
{
    const struct tensor *dy = g->main->in[0];
    if (g->together)            /* an addition and a load of a vector, and a sum of lanes for each channel and call */
        return ((double)tensor_elements(dy) * 2 / p->target->costs->instructions +
                dy->shape.c * p->target->costs->lane_sums) * p->batch / p->lanes;
    return pass_cycles(p, g->main->in[0], 1, 1);
}

/* Part 0: sums of each image, or of those that lie together; part 1: of the batch. */
static void bias_grad_plan(struct plan *p, struct program *q, struct group *g)
{
    const char *what = "bias gradient";
    int64_t row = padded_channels(p, g->main->in[0]);
    struct step *images = plan_step(p, q, g, 0, SPLIT_IMAGES, 0, what, group_flops(p, g));
    struct step *batch = plan_step(p, q, g, 1, SPLIT_BLOCKS, 1, what, 0);
    struct buffer *partial = plan_buffer(p, q, arena_printf(p->arena, "%s_partial", g->main->name), p->real,
                                         row * p->real_size * p->batch);
    batch->beside = true;
    step_takes(p, images, ACCESS_READ, g->main->in[0]);
    step_uses_row(p, images, ACCESS_WRITE, partial, AT_IMAGE, row);
    if (g->together) {
        images->images = g->together;
        step_is_told(p, images, ARGUMENT_LEFT);
    }
    step_uses(p, batch, ACCESS_READ, partial, TOUCH_ALL);
    step_is_told(p, batch, ARGUMENT_SAMPLES);
    step_takes(p, batch, ACCESS_WRITE, g->main->out[0]);
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

/* A vector is of one channel: its lanes are added.  The rows of the call's other images stay 0, so that the batch is
 * summed the same way. */
static void store_together(struct emitter *e, const void *data, const char *const *sum, const char *col, int tail)
{
    (void)data;
    (void)tail;
    cw_line(e->w, "partial[(%s) / V_LANES] = v_sum(v_select(used, %s, v_zero()));", col, sum[0]);
}

static const char *emit_images_together(struct emitter *e, const struct step *s)
{
    const struct tensor *dy = s->group->main->in[0];
    struct pixel_sums sums = { .shape = dy->shape, .sums = 1, .add = add, .store = store_together };
    int64_t row = padded_channels(e->plan, dy);
    sums.shape.c *= s->group->together;
    emit_function(e, "const %s *dy, %s *restrict partial, int left", e->plan->real, e->plan->real);
    cw_line(e->w, "// dy (%d, %d, %d, %d images)", dy->shape.h, dy->shape.w, dy->shape.c, s->group->together);
    emit_used_lanes(e);
    cw_line(e->w, "memset(partial, 0, sizeof(%s) * %" PRId64 ");", e->plan->real, row * s->group->together);
    emit_pixel_sums(e, &sums);
    return emit_end(e, text_printf(e, "bias_grad_together_%s", text_shape(e, dy->shape)), emit_comment(e, s));
}

static const char *bias_grad_emit(struct emitter *e, const struct step *s)
{
    const struct tensor *dy = s->group->main->in[0];
    if (s->part == 1)
        return emit_batch_sums(e, padded_channels(e->plan, dy), 1, emit_comment(e, s));
    if (s->group->together)
        return emit_images_together(e, s);
    struct pixel_sums sums = { .shape = dy->shape, .pixel = emit_pixel(e, dy), .sums = 1, .add = add, .store = store };
    emit_function(e, "const %s *dy, %s *restrict partial", e->plan->real, e->plan->real);
    cw_line(e->w, "// dy (%d, %d, %d)", dy->shape.h, dy->shape.w, dy->shape.c);
    emit_pixel_sums(e, &sums);
    return emit_end(e, text_printf(e, "bias_grad_%s", text_shape(e, dy->shape)), emit_comment(e, s));
}

/* Of a map; a vector's sums are in the order of the batch already. */
static bool bias_grad_together(const struct plan *p, const struct node *n)
{
    (void)p;
    return !n->in[0]->shape.flat;
}

const struct kernel kernel_bias_grad = {
    .name = "bias_grad", .op = OP_bias_grad, .applicable = always_applicable, .cost = bias_grad_cost,
    .plan = bias_grad_plan, .emit = bias_grad_emit, .strided = sums_strided,
    .together = bias_grad_together, .help = "sums of each image, then of the batch",
};
