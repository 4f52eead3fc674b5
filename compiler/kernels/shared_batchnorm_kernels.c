/* shared_batchnorm_kernels.c - the sums of batch normalisation over a batch that is taken in shares.
 *
 * Each share puts a row of its numbers into a buffer.  Then all shares meet (struct step, meets): the rows of all stand
 * behind that one, in the order of the shares, whoever computed them.  Every share reads all of them and comes to the
 * same numbers.
 *
 * Moments: mean and variance of each share.  The mean of all is the sum of the means, each weighted by the share's part
 * of the samples; the variance that of the variances, each with the squared distance of the share's mean from that of
 * all (Chan, Golub, LeVeque 1979): nothing cancels.  Shares that have no samples stand at the end and are left out. */
#include <inttypes.h>

#include "kernels/sums.h"

/* ---- rows of shares ---------------------------------------------------------------------------------------------- */

/* Two columns of the channels, padded. */
static int64_t row_of(const struct plan *p, const struct node *n)
{
    return 2 * plan_round(n->out[0]->shape.c, p->lanes);
}

static struct buffer *rows_buffer(struct plan *p, struct program *q, const struct node *n)
{
    int64_t shares = (p->model->batch + p->batch - 1) / p->batch;
    return plan_buffer(p, q, arena_printf(p->arena, "%s_rows", n->name), p->real,
                       (1 + shares) * row_of(p, n) * p->real_size);
}

/* A step that reads the rows of all. */
static struct step *meeting_step(struct plan *p, struct program *q, struct group *g, int part, struct buffer *rows,
                                 const char *what)
{
    struct step *s = plan_step(p, q, g, part, SPLIT_BLOCKS, 1, what, 0);
    s->beside = true;
    s->meets = rows;
    step_uses(p, s, ACCESS_READ, rows, TOUCH_ALL);
    step_is_told(p, s, ARGUMENT_TOGETHER);
    return s;
}

/* Opens the loop over the shares: `row` is one's at channel j, `part` its part of the samples. */
static void open_shares(struct emitter *e, int64_t row)
{
    int batch = e->plan->batch;
    const char *real = e->plan->real;
    cw_open(e->w, "for (int first = 0; first < together; first += %d) {", batch);
    cw_line(e->w, "const %s *row = rows + (size_t)(1 + first / %d) * %" PRId64 " + j;", real, batch, row);
    cw_line(e->w, "const v part = v_set((%s)((double)(together - first < %d ? together - first : %d) / together));",
            real, batch, batch);
}

/* ---- moments ----------------------------------------------------------------------------------------------------- */

static double moments_cost(const struct plan *p, const struct group *g)
{
    return pass_cycles(p, g->main->in[0], 3, 2);
}

static void moments_plan(struct plan *p, struct program *q, struct group *g)
{
    /* x[, running mean and variance] -> mean, inverse_deviation; or mean, variance */
    const struct node *n = g->main;
    struct step *images = plan_step(p, q, g, 0, SPLIT_IMAGES, 0, "moments", group_flops(p, g));
    struct step *share = plan_step(p, q, g, 1, SPLIT_BLOCKS, 1, "moments of a share", 0);
    struct buffer *partial = plan_buffer(p, q, arena_printf(p->arena, "%s_partial", n->name), p->real,
                                         row_of(p, n) * p->real_size * p->batch);
    struct buffer *rows = rows_buffer(p, q, n);
    share->beside = true;
    step_takes(p, images, ACCESS_READ, n->in[0]);
    step_uses_row(p, images, ACCESS_WRITE, partial, AT_IMAGE, row_of(p, n));
    step_uses(p, share, ACCESS_READ, partial, TOUCH_ALL);
    step_is_told(p, share, ARGUMENT_SAMPLES);
    step_uses(p, share, ACCESS_WRITE, rows, TOUCH_ALL);
    struct step *all = meeting_step(p, q, g, 2, rows, "moments of all shares");
    for (int i = 0; i < 2; i++)
        step_takes(p, all, ACCESS_WRITE, n->out[i]);
    for (int i = 1; i < n->in_count; i++)
        step_takes(p, all, ACCESS_ADD, n->in[i]);
}

static const char *moments_of_share(struct emitter *e, const struct step *s)
{
    const struct tensor *x = s->group->main->in[0];
    int64_t row = row_of(e->plan, s->group->main);
    const char *real = e->plan->real;
    emit_function(e, "const %s *partial, int n, %s *restrict own", real, real);
    cw_line(e->w, "const v samples = v_set((%s)n);", real);
    loop_open(e, "j", 0, row / 2, e->plan->lanes);
    lines_merged_moments(e, x);
    cw_line(e->w, "v_store(own + j, center);");
    cw_line(e->w, "v_store(own + %" PRId64 " + j, variance);", row / 2);
    cw_close(e->w, "}");
    return emit_end(e, text_printf(e, "moments_of_share_%s", text_shape(e, x->shape)), emit_comment(e, s));
}

static const char *moments_of_shares(struct emitter *e, const struct step *s)
{
    const struct node *n = s->group->main;
    int64_t row = row_of(e->plan, n);
    const char *real = e->plan->real;
    emit_function(e, "const %s *rows, int together, %s", real, text_moments(e, n));
    if (n->attr.unbiased)
        cw_line(e->w, "const %s values = (%s)together * %s;", real, real,
                text_real(e, (double)tensor_pixels(n->in[0])));
    loop_open(e, "j", 0, row / 2, e->plan->lanes);
    cw_line(e->w, "v center = v_zero(), variance = v_zero();");
    open_shares(e, row);
    cw_line(e->w, "center = v_fma(part, v_load(row), center);");
    cw_close(e->w, "}");
    open_shares(e, row);
    cw_line(e->w, "const v d = v_sub(v_load(row), center);");
    cw_line(e->w, "variance = v_fma(part, v_fma(d, d, v_load(row + %" PRId64 ")), variance);", row / 2);
    cw_close(e->w, "}");
    lines_moments(e, n);
    cw_close(e->w, "}");
    return emit_end(e, text_printf(e, "moments_of_shares_%s", text_shape(e, n->in[0]->shape)), emit_comment(e, s));
}

static const char *moments_emit(struct emitter *e, const struct step *s)
{
    return s->part == 0 ? emit_image_moments(e, s) : s->part == 1 ? moments_of_share(e, s) : moments_of_shares(e, s);
}

/* ---- sums of gradients ------------------------------------------------------------------------------------------- */

static double sums_cost(const struct plan *p, const struct group *g)
{
    return pass_cycles(p, g->main->out[0], 2, 2) / p->batch;
}

static void sums_plan(struct plan *p, struct program *q, struct group *g)
{
    const struct node *n = g->main;     /* dgamma, dbeta -> scale_sum, shift_sum */
    struct step *share = plan_step(p, q, g, 0, SPLIT_BLOCKS, 1, "sums of a share", 0);
    struct buffer *rows = rows_buffer(p, q, n);
    share->beside = true;
    for (int i = 0; i < 2; i++)
        step_takes(p, share, ACCESS_READ, n->in[i]);
    step_uses(p, share, ACCESS_WRITE, rows, TOUCH_ALL);
    struct step *all = meeting_step(p, q, g, 1, rows, "sums of all shares");
    for (int i = 0; i < 2; i++)
        step_takes(p, all, ACCESS_WRITE, n->out[i]);
}

static const char *sums_emit(struct emitter *e, const struct step *s)
{
    const struct node *n = s->group->main;
    int64_t row = row_of(e->plan, n);
    const char *real = e->plan->real;
    if (s->part == 0) {
        emit_function(e, "const %s *scale, const %s *shift, %s *restrict own", real, real, real);
        cw_line(e->w, "memcpy(own, scale, sizeof(%s) * %d);", real, n->out[0]->shape.c);
        cw_line(e->w, "memcpy(own + %" PRId64 ", shift, sizeof(%s) * %d);", row / 2, real, n->out[0]->shape.c);
        return emit_end(e, text_printf(e, "sums_of_share_%d", n->out[0]->shape.c), emit_comment(e, s));
    }
    emit_function(e, "const %s *rows, int together, %s *restrict scale, %s *restrict shift", real, real, real);
    loop_open(e, "j", 0, row / 2, e->plan->lanes);
    cw_line(e->w, "v scales = v_zero(), shifts = v_zero();");
    open_shares(e, row);
    cw_line(e->w, "scales = v_fma(part, v_load(row), scales);");
    cw_line(e->w, "shifts = v_fma(part, v_load(row + %" PRId64 "), shifts);", row / 2);
    cw_close(e->w, "}");
    cw_line(e->w, "v_store(scale + j, scales);");
    cw_line(e->w, "v_store(shift + j, shifts);");
    cw_close(e->w, "}");
    return emit_end(e, text_printf(e, "sums_of_shares_%d", n->out[0]->shape.c), emit_comment(e, s));
}

const struct kernel kernel_shared_moments = {
    .name = "shared_moments", .op = OP_shared_moments, .applicable = always_applicable, .cost = moments_cost,
    .plan = moments_plan, .emit = moments_emit, .strided = sums_strided,
    .help = "moments of each image, then of the share, then of all shares of the batch",
};

const struct kernel kernel_shared_channel_moments = {
    .name = "shared_channel_moments", .op = OP_shared_channel_moments, .applicable = always_applicable,
    .cost = moments_cost, .plan = moments_plan, .emit = moments_emit, .strided = sums_strided,
    .help = "moments of each image, then of the share, then of all shares of the batch",
};

const struct kernel kernel_share_sums = {
    .name = "share_sums", .op = OP_share_sums, .applicable = always_applicable, .cost = sums_cost, .plan = sums_plan,
    .emit = sums_emit, .help = "sums of each share, then of all shares of the batch",
};
