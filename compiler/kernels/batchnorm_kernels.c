/* batchnorm_kernels.c - the sums of batch normalisation; what it does to each value is an elementwise operation.
 *
 * Moments: each image's mean and squared deviations from it are found while it is in the cache, then merged.  All
 * images have the same number of pixels, so the merge is exact up to rounding and nothing cancels
 * (Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979). */
#include <inttypes.h>

#include "kernels/sums.h"

/* Part 0: each image; part 1: the batch.  A row of the buffer: one or two columns of the channels, padded. */
struct two_parts {
    struct step *images, *batch;
    struct buffer *partial;
    int64_t row;
};

static struct two_parts plan_two_parts(struct plan *p, struct program *q, struct group *g, const char *what,
                                       int columns)
{
    struct two_parts t = { .row = columns * padded_channels(p, g->main->in[0]) };
    t.images = plan_step(p, q, g, 0, SPLIT_IMAGES, 0, what, group_flops(p, g));
    t.batch = plan_step(p, q, g, 1, SPLIT_BLOCKS, 1, what, 0);
    t.batch->beside = true;
    t.partial = plan_buffer(p, q, arena_printf(p->arena, "%s_partial", g->main->name), p->real,
                            t.row * p->real_size * p->batch);
    return t;
}

/* Of the second part: the rows of all images. */
static void batch_takes_rows(struct plan *p, const struct two_parts *t)
{
    step_uses(p, t->batch, ACCESS_READ, t->partial, TOUCH_ALL);
    step_is_told(p, t->batch, ARGUMENT_SAMPLES);
}

/* ---- moments ---------------------------------------------------------------------------------------------------- */

static bool has_running(const struct node *n)
{
    return n->in_count > 2 && n->in[1] && n->in[2];
}

static double moments_cost(const struct plan *p, const struct group *g)
{
    return pass_cycles(p, g->main->in[0], 3, 2);
}

static void moments_plan(struct plan *p, struct program *q, struct group *g)
{
    /* x[, running mean and variance] -> mean, inverse_deviation; or mean, variance */
    const struct node *n = g->main;
    struct two_parts t = plan_two_parts(p, q, g, "moments", 2);
    step_takes(p, t.images, ACCESS_READ, n->in[0]);
    step_uses_row(p, t.images, ACCESS_WRITE, t.partial, AT_IMAGE, t.row);
    batch_takes_rows(p, &t);
    step_takes(p, t.batch, ACCESS_WRITE, n->out[0]);
    step_takes(p, t.batch, ACCESS_WRITE, n->out[1]);
    for (int i = 1; i <= 2 && has_running(n); i++)
        step_takes(p, t.batch, ACCESS_ADD, n->in[i]);
}

static void mean_add(struct emitter *e, const void *data, const char *const *sum, const char *col, const char *at,
                     int k, int tail)
{
    (void)data;
    (void)col;
    (void)k;
    cw_line(e->w, "%s = v_add(%s, %s);", sum[0], sum[0], text_load(e, "x", at, tail));
}

static void mean_store(struct emitter *e, const void *data, const char *const *sum, const char *col, int tail)
{
    (void)tail;
    line_store(e, "mean", col, text_printf(e, "v_mul(%s, v_set(%s))", sum[0], (const char *)data), 0);
}

static void squares_add(struct emitter *e, const void *data, const char *const *sum, const char *col, const char *at,
                        int k, int tail)
{
    (void)data;
    cw_line(e->w, "const v d%d = v_sub(%s, %s);", k, text_load(e, "x", at, tail), text_load(e, "mean", col, 0));
    cw_line(e->w, "%s = v_fma(d%d, d%d, %s);", sum[0], k, k, sum[0]);
}

static void squares_store(struct emitter *e, const void *data, const char *const *sum, const char *col, int tail)
{
    (void)data;
    (void)tail;
    line_store(e, "squares", col, sum[0], 0);
}

const char *emit_image_moments(struct emitter *e, const struct step *s)
{
    const struct tensor *x = s->group->main->in[0];
    const char *real = e->plan->real, *share = text_real(e, 1.0 / (double)tensor_pixels(x));
    struct pixel_sums mean = { .shape = x->shape, .pixel = emit_pixel(e, x), .sums = 1, .add = mean_add,
                               .store = mean_store, .data = share };
    struct pixel_sums squares = { .shape = x->shape, .pixel = emit_pixel(e, x), .sums = 1, .add = squares_add,
                                  .store = squares_store };
    emit_function(e, "const %s *x, %s *restrict partial", real, real);
    cw_line(e->w, "// x (%d, %d, %d)", x->shape.h, x->shape.w, x->shape.c);
    cw_line(e->w, "%s *const mean = partial;", real);
    cw_line(e->w, "%s *const squares = partial + %" PRId64 ";", real, padded_channels(e->plan, x));
    emit_pixel_sums(e, &mean);
    emit_pixel_sums(e, &squares);
    return emit_end(e, text_printf(e, "moments_%s", text_shape(e, x->shape)), emit_comment(e, s));
}

/* "running = momentum running + (1 - momentum) batch" */
static void line_running(struct emitter *e, const struct node *n, const char *running, const char *batch)
{
    const char *keep = text_real(e, n->attr.momentum), *take = text_real(e, 1 - n->attr.momentum);
    cw_line(e->w, "v_store(%s + j, v_fma(v_set(%s), v_load(%s + j), v_mul(v_set(%s), %s)));", running, keep, running,
            take, batch);
}

void lines_merged_moments(struct emitter *e, const struct tensor *x)
{
    const char *real = e->plan->real, *pixels = text_real(e, (double)tensor_pixels(x));
    int64_t columns = padded_channels(e->plan, x);
    cw_line(e->w, "v sum = v_zero(), squares = v_zero();");
    cw_open(e->w, "for (int i = 0; i < n; i++) {");
    cw_line(e->w, "sum = v_add(sum, v_load(partial + (size_t)i * %" PRId64 " + j));", 2 * columns);
    cw_close(e->w, "}");
    cw_line(e->w, "const v center = v_div(sum, samples);");
    cw_open(e->w, "for (int i = 0; i < n; i++) {");
    cw_line(e->w, "const %s *row = partial + (size_t)i * %" PRId64 " + j;", real, 2 * columns);
    cw_line(e->w, "const v d = v_sub(v_load(row), center);");
    cw_line(e->w, "squares = v_add(squares, v_fma(v_mul(d, d), v_set(%s), v_load(row + %" PRId64 ")));", pixels,
            columns);
    cw_close(e->w, "}");
    cw_line(e->w, "const v variance = v_div(squares, v_mul(samples, v_set(%s)));", pixels);
}

/* Channels from j on have `center` and `variance`. */
static void lines_deviation(struct emitter *e, const struct node *n)
{
    cw_line(e->w, "v_store(inverse_deviation + j, v_div(v_set(%s), v_sqrt(v_add(variance, v_set(%s)))));",
            text_real(e, 1), text_real(e, n->attr.epsilon));
    line_running(e, n, "running_mean", "center");
    if (n->attr.unbiased)           /* of one value there is no such thing: it counts as that value's own, 0 */
        cw_line(e->w, "const v unbiased = v_mul(variance, v_set(values > 1 ? values / (values - 1) : 1));");
    line_running(e, n, "running_variance", n->attr.unbiased ? "unbiased" : "variance");
}

void lines_moments(struct emitter *e, const struct node *n)
{
    cw_line(e->w, "v_store(mean + j, center);");
    if (has_running(n))
        lines_deviation(e, n);
    else
        cw_line(e->w, "v_store(variances + j, variance);");
}

const char *text_moments(struct emitter *e, const struct node *n)
{
    const char *real = e->plan->real;
    return has_running(n) ? text_printf(e, "%s *mean, %s *inverse_deviation, %s *running_mean, %s *running_variance",
                                        real, real, real, real)
                          : text_printf(e, "%s *mean, %s *variances", real, real);
}

static const char *moments_of_batch(struct emitter *e, const struct step *s)
{
    const struct node *n = s->group->main;
    const struct tensor *x = n->in[0];
    const char *real = e->plan->real;
    int64_t columns = padded_channels(e->plan, x);
    emit_function(e, "const %s *partial, int n, %s", real, text_moments(e, n));
    cw_line(e->w, "const v samples = v_set((%s)n);", real);
    if (n->attr.unbiased)
        cw_line(e->w, "const %s values = (%s)n * %s;", real, real, text_real(e, (double)tensor_pixels(x)));
    loop_open(e, "j", 0, columns, e->plan->lanes);
    lines_merged_moments(e, x);
    lines_moments(e, n);
    cw_close(e->w, "}");
    return emit_end(e, text_printf(e, "moments_of_batch_%s", text_shape(e, x->shape)), emit_comment(e, s));
}

static const char *moments_emit(struct emitter *e, const struct step *s)
{
    return s->part == 0 ? emit_image_moments(e, s) : moments_of_batch(e, s);
}

/* ---- moments of what is put together ----------------------------------------------------------------------------- */

enum { JOINED_PARTS = 3 };      /* x, running mean, running variance; then mean and variance of each part */

static double joined_cost(const struct plan *p, const struct group *g)
{
    return pass_cycles(p, g->main->out[0], 2, 6) / p->batch;
}

/* Whether its parts' moments are of all shares of a batch. */
static bool joins_shares(const struct node *n)
{
    while (n->op == OP_joined_moments)
        n = n->in[JOINED_PARTS]->producer;
    return n->op == OP_shared_channel_moments;
}

static void joined_plan(struct plan *p, struct program *q, struct group *g)
{
    const struct node *n = g->main;
    struct step *s = plan_step(p, q, g, 0, SPLIT_BLOCKS, 1, "moments", 0);
    s->beside = true;
    for (int i = JOINED_PARTS; i < n->in_count; i++)
        step_takes(p, s, ACCESS_READ, n->in[i]);
    if (n->attr.unbiased)
        step_is_told(p, s, joins_shares(n) ? ARGUMENT_TOGETHER : ARGUMENT_SAMPLES);
    for (int i = 0; i < n->out_count; i++)
        step_takes(p, s, ACCESS_WRITE, n->out[i]);
    for (int i = 1; i < JOINED_PARTS; i++)
        step_takes(p, s, ACCESS_ADD, n->in[i]);
}

static const char *joined_emit(struct emitter *e, const struct step *s)
{
    const struct node *n = s->group->main;
    const struct tensor *x = n->in[0];
    const char *real = e->plan->real, *parameters = "";
    int64_t columns = padded_channels(e->plan, x), channel = 0;
    for (int i = JOINED_PARTS; i < n->in_count; i += 2)
        parameters = text_printf(e, "%sconst %s *mean%d, const %s *variance%d, ", parameters, real, i / 2, real, i / 2);
    emit_function(e, "%s%s%s *restrict mean, %s *restrict inverse_deviation, %s *restrict variances, %s *running_mean, "
                  "%s *running_variance", parameters, n->attr.unbiased ? "int n, " : "", real, real, real, real, real);
    for (int i = JOINED_PARTS; i < n->in_count; i += 2) {
        int c = n->in[i]->shape.c;
        cw_line(e->w, "memcpy(mean%s, mean%d, sizeof(%s) * %d);", text_offset(e, channel), i / 2, real, c);
        cw_line(e->w, "memcpy(variances%s, variance%d, sizeof(%s) * %d);", text_offset(e, channel), i / 2, real, c);
        channel += c;
    }
    for (; channel < columns; channel++)
        cw_line(e->w, "mean[%" PRId64 "] = variances[%" PRId64 "] = 0;", channel, channel);
    if (n->attr.unbiased)
        cw_line(e->w, "const %s values = (%s)n * %s;", real, real, text_real(e, (double)tensor_pixels(x)));
    loop_open(e, "j", 0, columns, e->plan->lanes);
    cw_line(e->w, "const v center = v_load(mean + j), variance = v_load(variances + j);");
    lines_deviation(e, n);
    cw_close(e->w, "}");
    return emit_end(e, text_printf(e, "joined_moments_%s", text_shape(e, x->shape)), emit_comment(e, s));
}

static bool joined_strided(const struct plan *p, const struct group *g, const struct tensor *t)
{
    (void)p;            /* it says whose moments they are, and reads the parts' */
    return t == g->main->in[0];
}

/* ---- gradients of gamma and beta -------------------------------------------------------------------------------- */

static double param_grad_cost(const struct plan *p, const struct group *g)
{
    if (g->carrier)     /* half of each row is sums; what it takes to make them is not here */
        return (double)(chain_sums_row(p, g->main->in[0]->shape.c) / 2 * p->real_size * p->batch) /
               p->target->costs->second_rate;
    return pass_cycles(p, g->main->in[0], g->main->out[0] ? 3 : 1, g->main->out[0] ? 2 : 1);
}

/* How many of the two sums anybody asks for. */
static int sums_wanted(const struct node *n)
{
    return (n->out[0] != NULL) + (n->out[1] != NULL);
}

/* The sums of each image were taken by who made dy. */
static void carried_plan(struct plan *p, struct program *q, struct group *g)
{
    struct step *s = plan_step(p, q, g, 1, SPLIT_BLOCKS, 1, "weight gradient", 0);
    s->beside = true;
    step_uses(p, s, ACCESS_READ, g->carrier->sums_rows, TOUCH_ALL);
    step_is_told(p, s, ARGUMENT_SAMPLES);
    step_takes(p, s, ACCESS_READ, g->main->in[2]);
    for (int i = 0; i < 2; i++)
        step_takes(p, s, ACCESS_WRITE, g->main->out[i]);
}

static void param_grad_plan(struct plan *p, struct program *q, struct group *g)
{
    const struct node *n = g->main;     /* x, mean, inverse_deviation, dy -> dgamma, dbeta; either may be missing */
    if (g->carrier) {
        carried_plan(p, q, g);
        return;
    }
    struct two_parts t = plan_two_parts(p, q, g, "weight gradient", sums_wanted(n));
    for (int i = n->out[0] ? 0 : 3; i < 4; i++)
        step_takes(p, t.images, ACCESS_READ, n->in[i]);
    step_uses_row(p, t.images, ACCESS_WRITE, t.partial, AT_IMAGE, t.row);
    batch_takes_rows(p, &t);
    for (int i = 0; i < 2; i++)
        if (n->out[i])
            step_takes(p, t.batch, ACCESS_WRITE, n->out[i]);
}

/* What is summed, and how far apart the two columns of a row are. */
struct grad_sums {
    const struct node *node;
    const struct pixel_sums *sums;
    int64_t columns;
};

static void grads_add(struct emitter *e, const void *data, const char *const *sum, const char *col, const char *at,
                      int k, int tail)
{
    const struct grad_sums *s = data;
    cw_line(e->w, "const v g%d = %s;", k, text_load(e, "dy", at, tail));
    if (s->node->out[0]) {
        const char *x = sums_second(e, s->sums, at, k);
        cw_line(e->w, "%s = v_fma(g%d, v_sub(%s, %s), %s);", sum[0], k, text_load(e, "x", x, tail),
                text_load(e, "mean", col, tail), sum[0]);
        sum++;
    }
    if (s->node->out[1])
        cw_line(e->w, "%s = v_add(%s, g%d);", sum[0], sum[0], k);
}

static void grads_store(struct emitter *e, const void *data, const char *const *sum, const char *col, int tail)
{
    const struct grad_sums *s = data;
    const char *to = col;
    if (s->node->out[0]) {
        line_store(e, "partial", col,
                   text_printf(e, "v_mul(%s, %s)", sum[0], text_load(e, "inverse_deviation", col, tail)), 0);
        to = text_plus(e, text_printf(e, "%" PRId64, s->columns), col);
        sum++;
    }
    if (s->node->out[1])
        line_store(e, "partial", to, sum[0], 0);
}

/* The second half of each image's row is its sums, two vectors for each of channels. */
static const char *carried_emit(struct emitter *e, const struct step *s)
{
    const struct tensor *x = s->group->main->in[0];
    const char *real = e->plan->real;
    int64_t row = chain_sums_row(e->plan, x->shape.c);
    emit_function(e, "const %s *sums, int n, const %s *inverse_deviation, %s *restrict dgamma, %s *restrict dbeta",
                  real, real, real, real);
    loop_open(e, "j", 0, padded_channels(e->plan, x), e->plan->lanes);
    cw_line(e->w, "v scales = v_zero(), shifts = v_zero();");
    cw_open(e->w, "for (int i = 0; i < n; i++) {");
    cw_line(e->w, "const %s *const own = sums + (size_t)i * %" PRId64 " + %" PRId64 " + 2 * j;", real, row, row / 2);
    cw_line(e->w, "scales = v_add(scales, v_load(own));");
    cw_line(e->w, "shifts = v_add(shifts, v_load(own + V_LANES));");
    cw_close(e->w, "}");
    cw_line(e->w, "v_store(dgamma + j, v_mul(scales, v_load(inverse_deviation + j)));");
    cw_line(e->w, "v_store(dbeta + j, shifts);");
    cw_close(e->w, "}");
    return emit_end(e, text_printf(e, "sum_carried_%d", x->shape.c), emit_comment(e, s));
}

static const char *param_grad_emit(struct emitter *e, const struct step *s)
{
    const struct node *n = s->group->main;
    const struct tensor *x = n->in[0];
    const char *real = e->plan->real;
    if (s->group->carrier)
        return carried_emit(e, s);
    struct pixel_sums sums = { .shape = x->shape, .pixel = emit_pixel(e, n->in[3]), .second = n->out[0] ? emit_pixel(e,
            x) : 0,
                               .sums = sums_wanted(n), .add = grads_add, .store = grads_store };
    struct grad_sums data = { n, &sums, padded_channels(e->plan, x) };
    if (s->part == 1)
        return emit_batch_sums(e, data.columns, sums_wanted(n), emit_comment(e, s));
    sums.data = &data;
    if (n->out[0])
        emit_function(e, "const %s *x, const %s *mean, const %s *inverse_deviation, const %s *dy, %s *restrict partial",
                      real, real, real, real, real);
    else
        emit_function(e, "const %s *dy, %s *restrict partial", real, real);
    cw_line(e->w, "// %s (%d, %d, %d)", n->out[0] ? "x, dy" : "dy", x->shape.h, x->shape.w, x->shape.c);
    emit_pixel_sums(e, &sums);
    const char *hint = text_printf(e, "batchnorm_param_grad_%s", text_shape(e, x->shape));
    return emit_end(e, hint, emit_comment(e, s));
}

static bool param_grad_strided(const struct plan *p, const struct group *g, const struct tensor *t)
{
    (void)p;
    return t == g->main->in[0] || t == g->main->in[3];
}

/* ---- ghost batches: the moments and sums of each group of samples, for each of its samples ----------------------- */

/* Opens the loop over the groups: `first`, `end` and `count`, which counts values of a channel. */
static void open_ghosts(struct emitter *e, const struct node *n)
{
    const char *real = e->plan->real;
    cw_open(e->w, "for (int first = 0; first < n; first += %d) {", n->attr.ghost);
    cw_line(e->w, "const int end = first + %d < n ? first + %d : n;", n->attr.ghost, n->attr.ghost);
    cw_line(e->w, "const %s values = (%s)(end - first) * %s;", real, real,
            text_real(e, (double)tensor_pixels(n->in[0])));
}

/* In every sample of the group. */
static void line_for_each(struct emitter *e, const struct node *n, const char *to, const char *value, int tail)
{
    cw_open(e->w, "for (int i = first; i < end; i++)");
    line_store(e, text_printf(e, "%s + (size_t)i * %d", to, n->in[0]->shape.c), "j", value, tail);
    cw_close(e->w, "");
}

/* A vector of channels of all groups, in their order. */
static void ghost_columns(struct emitter *e, const struct node *n, int tail)
{
    const struct tensor *x = n->in[0];
    const char *real = e->plan->real, *pixels = text_real(e, (double)tensor_pixels(x));
    int64_t columns = padded_channels(e->plan, x);
    open_ghosts(e, n);
    cw_line(e->w, "v sum = v_zero(), squares = v_zero();");
    cw_open(e->w, "for (int i = first; i < end; i++) {");
    cw_line(e->w, "sum = v_add(sum, v_load(partial + (size_t)i * %" PRId64 " + j));", 2 * columns);
    cw_close(e->w, "}");
    cw_line(e->w, "const v center = v_div(sum, v_set((%s)(end - first)));", real);
    cw_open(e->w, "for (int i = first; i < end; i++) {");
    cw_line(e->w, "const %s *row = partial + (size_t)i * %" PRId64 " + j;", real, 2 * columns);
    cw_line(e->w, "const v d = v_sub(v_load(row), center);");
    cw_line(e->w, "squares = v_add(squares, v_fma(v_mul(d, d), v_set(%s), v_load(row + %" PRId64 ")));", pixels,
            columns);
    cw_close(e->w, "}");
    cw_line(e->w, "const v variance = v_div(squares, v_set(values));");
    cw_line(e->w, "const v inverse = v_div(v_set(%s), v_sqrt(v_add(variance, v_set(%s))));", text_real(e, 1),
            text_real(e, n->attr.epsilon));
    line_for_each(e, n, "mean", "center", tail);
    line_for_each(e, n, "inverse_deviation", "inverse", tail);
    line_running(e, n, "running_mean", "center");
    if (n->attr.unbiased)
        cw_line(e->w, "const v unbiased = v_mul(variance, v_set(values > 1 ? values / (values - 1) : 1));");
    line_running(e, n, "running_variance", n->attr.unbiased ? "unbiased" : "variance");
    cw_close(e->w, "}");
}

/* All channels in whole vectors, and the rest. */
static void each_columns(struct emitter *e, const struct node *n,
                         void (*columns)(struct emitter *e, const struct node *n, int tail))
{
    int lanes = e->plan->lanes, channels = n->in[0]->shape.c, whole = channels / lanes * lanes;
    if (whole) {
        loop_open(e, "j", 0, whole, lanes);
        columns(e, n, 0);
        cw_close(e->w, "}");
    }
    if (channels > whole) {
        loop_open(e, "j", whole, channels, lanes);
        columns(e, n, channels - whole);
        cw_close(e->w, "}");
    }
}

static const char *ghost_moments_emit(struct emitter *e, const struct step *s)
{
    const struct node *n = s->group->main;
    const char *real = e->plan->real;
    if (s->part == 0)
        return emit_image_moments(e, s);
    emit_function(e, "const %s *partial, int n, %s *mean, %s *inverse_deviation, %s *running_mean, %s *running_variance",
                  real, real, real, real, real);
    each_columns(e, n, ghost_columns);
    return emit_end(e, text_printf(e, "moments_of_ghosts_%s", text_shape(e, n->in[0]->shape)), emit_comment(e, s));
}

/* x, gamma, mean, inverse_deviation, dy -> dgamma, dbeta, scale_means, shift_means */
enum { GHOST_SUMS = 2 };

static bool ghost_has_scales(const struct node *n)
{
    return n->out[0] || n->out[GHOST_SUMS];
}

static void ghost_sums_plan(struct plan *p, struct program *q, struct group *g)
{
    const struct node *n = g->main;
    struct two_parts t = plan_two_parts(p, q, g, "sums", ghost_has_scales(n) ? 2 : 1);
    static const int read[] = { 0, 2, 3, 4 };
    for (int i = ghost_has_scales(n) ? 0 : 3; i < 4; i++)
        step_takes(p, t.images, ACCESS_READ, n->in[read[i]]);
    step_uses_row(p, t.images, ACCESS_WRITE, t.partial, AT_IMAGE, t.row);
    batch_takes_rows(p, &t);
    if (n->in[1] && n->out[GHOST_SUMS])
        step_takes(p, t.batch, ACCESS_READ, n->in[1]);
    for (int i = 0; i < 4; i++)
        if (n->out[i])
            step_takes(p, t.batch, ACCESS_WRITE, n->out[i]);
}

static double ghost_sums_cost(const struct plan *p, const struct group *g)
{
    return pass_cycles(p, g->main->in[0], 3, 2);
}

static void ghost_add(struct emitter *e, const void *data, const char *const *sum, const char *col, const char *at,
                      int k, int tail)
{
    const struct node *n = data;
    cw_line(e->w, "const v g%d = %s;", k, text_load(e, "dy", at, tail));
    if (ghost_has_scales(n)) {
        cw_line(e->w, "%s = v_fma(g%d, v_sub(%s, %s), %s);", sum[0], k, text_load(e, "x", at, tail),
                text_load(e, "mean", col, tail), sum[0]);
        sum++;
    }
    cw_line(e->w, "%s = v_add(%s, g%d);", sum[0], sum[0], k);
}

static void ghost_store(struct emitter *e, const void *data, const char *const *sum, const char *col, int tail)
{
    const struct node *n = data;
    const char *to = col;
    if (ghost_has_scales(n)) {
        line_store(e, "partial", col,
                   text_printf(e, "v_mul(%s, %s)", sum[0], text_load(e, "inverse_deviation", col, tail)), 0);
        to = text_plus(e, text_printf(e, "%" PRId64, padded_channels(e->plan, n->in[0])), col);
        sum++;
    }
    line_store(e, "partial", to, sum[0], 0);
}

static void ghost_sums_columns(struct emitter *e, const struct node *n, int tail)
{
    static const char *const sums[] = { "scale", "shift" };
    int64_t columns = padded_channels(e->plan, n->in[0]);
    int from = ghost_has_scales(n) ? 0 : 1;
    for (int i = from; i < 2; i++)
        if (n->out[i])
            cw_line(e->w, "v total_%s = v_zero();", sums[i]);
    open_ghosts(e, n);
    for (int i = from; i < 2; i++)
        cw_line(e->w, "v %s = v_zero();", sums[i]);
    cw_open(e->w, "for (int i = first; i < end; i++) {");
    cw_line(e->w, "const %s *row = partial + (size_t)i * %" PRId64 " + j;", e->plan->real, (2 - from) * columns);
    for (int i = from; i < 2; i++)
        cw_line(e->w, "%s = v_add(%s, v_load(row%s));", sums[i], sums[i], text_offset(e, (i - from) * columns));
    cw_close(e->w, "}");
    for (int i = from; i < 2; i++)
        if (n->out[i])
            cw_line(e->w, "total_%s = v_add(total_%s, %s);", sums[i], sums[i], sums[i]);
    if (n->out[GHOST_SUMS]) {
        cw_line(e->w, "const v share = v_div(%s, v_set(values));",
                n->in[1] ? "v_load(gamma + j)" : text_printf(e, "v_set(%s)", text_real(e, 1)));
        line_for_each(e, n, "scale_means", "v_mul(scale, share)", tail);
        line_for_each(e, n, "shift_means", "v_mul(shift, share)", tail);
    } else {
        cw_line(e->w, "(void)values;");
    }
    cw_close(e->w, "}");
    for (int i = from; i < 2; i++)
        if (n->out[i])
            cw_line(e->w, "v_store(%s + j, total_%s);", i ? "dbeta" : "dgamma", sums[i]);
}

static const char *ghost_sums_emit(struct emitter *e, const struct step *s)
{
    static const char *const out[] = { "dgamma", "dbeta", "scale_means", "shift_means" };
    const struct node *n = s->group->main;
    const struct tensor *x = n->in[0];
    const char *real = e->plan->real;
    if (s->part == 0) {
        struct pixel_sums sums = { .shape = x->shape, .sums = ghost_has_scales(n) ? 2 : 1, .add = ghost_add,
                                   .store = ghost_store, .data = n };
        if (ghost_has_scales(n))
            emit_function(e, "const %s *x, const %s *mean, const %s *inverse_deviation, const %s *dy, %s *restrict partial",
                          real, real, real, real, real);
        else
            emit_function(e, "const %s *dy, %s *restrict partial", real, real);
        cw_line(e->w, "// %s (%d, %d, %d)", ghost_has_scales(n) ? "x, dy" : "dy", x->shape.h, x->shape.w, x->shape.c);
        emit_pixel_sums(e, &sums);
        return emit_end(e, text_printf(e, "ghost_sums_%s", text_shape(e, x->shape)), emit_comment(e, s));
    }
    const char *parameters = text_printf(e, "const %s *partial, int n", real);
    if (n->in[1] && n->out[GHOST_SUMS])
        parameters = text_printf(e, "%s, const %s *gamma", parameters, real);
    for (int i = 0; i < 4; i++)
        if (n->out[i])
            parameters = text_printf(e, "%s, %s *restrict %s", parameters, real, out[i]);
    emit_function(e, "%s", parameters);
    each_columns(e, n, ghost_sums_columns);
    return emit_end(e, text_printf(e, "sums_of_ghosts_%s", text_shape(e, x->shape)), emit_comment(e, s));
}

const struct kernel kernel_ghost_moments = {
    .name = "ghost_moments", .op = OP_ghost_moments, .applicable = always_applicable, .cost = moments_cost,
    .plan = moments_plan, .emit = ghost_moments_emit, .strided = sums_strided,
    .help = "moments of each image, then of each group of images",
};

const struct kernel kernel_ghost_sums = {
    .name = "ghost_sums", .op = OP_ghost_sums, .applicable = always_applicable, .cost = ghost_sums_cost,
    .plan = ghost_sums_plan, .emit = ghost_sums_emit, .help = "sums of each image, then of each group of images",
};

const struct kernel kernel_batchnorm_moments = {
    .name = "batchnorm_moments", .op = OP_batchnorm_moments, .applicable = always_applicable, .cost = moments_cost,
    .plan = moments_plan, .emit = moments_emit, .strided = sums_strided,
    .help = "moments of each image, then of the batch",
};

const struct kernel kernel_channel_moments = {
    .name = "channel_moments", .op = OP_channel_moments, .applicable = always_applicable, .cost = moments_cost,
    .plan = moments_plan, .emit = moments_emit, .strided = sums_strided,
    .help = "moments of each image, then of the batch",
};

const struct kernel kernel_joined_moments = {
    .name = "joined_moments", .op = OP_joined_moments, .applicable = always_applicable, .cost = joined_cost,
    .plan = joined_plan, .emit = joined_emit, .strided = joined_strided, .help = "of the moments of its parts",
};

const struct kernel kernel_batchnorm_param_grad = {
    .name = "batchnorm_param_grad", .op = OP_batchnorm_param_grad, .applicable = always_applicable,
    .cost = param_grad_cost, .plan = param_grad_plan, .emit = param_grad_emit, .strided = param_grad_strided,
    .help = "sums of each image, then of the batch",
};
