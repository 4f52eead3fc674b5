/* norm_kernels.c - normalisation by moments of each sample: groups of channels, or all of them.  What is done to each
 * value is an elementwise operation (chain.c); here are the moments of a sample, the sums that its gradient needs, and
 * the gradients of gamma and beta.
 *
 * Sums are made channel by channel, in vectors of channels, and then added up over the channels of a group: no shape of
 * a group is a special case, and a sample is walked through while it is in the cache.  Deviations are taken from the
 * mean that is known by then, so nothing cancels. */
#include <inttypes.h>

#include "kernels/sums.h"

/* ---- groups of channels ------------------------------------------------------------------------------------------ */

struct grouped {
    const char *from;           /* sums by channel */
    const char *to, *value;     /* what each channel of the group gets */
};

static void total_body(struct emitter *e, const void *data, const char *at, int tail)
{
    const struct grouped *s = data;
    cw_line(e->w, "total = v_add(total, %s);", text_load(e, text_printf(e, "%s + first", s->from), at, tail));
}

static void fill_body(struct emitter *e, const void *data, const char *at, int tail)
{
    const struct grouped *s = data;
    line_store(e, s->to, text_plus(e, "first", at), text_printf(e, "v_set(%s)", s->value), tail);
}

/* Writes "const float NAME = share * (the sum of from[first ..] over the channels of a group);" */
static void line_group_mean(struct emitter *e, const char *name, const char *from, int channels, double share)
{
    const char *real = e->plan->real;
    struct grouped s = { .from = from };
    cw_line(e->w, "%s %s;", real, name);
    cw_open(e->w, "{");
    if (channels < e->plan->lanes) {
        cw_line(e->w, "%s total = 0;", real);
        cw_open(e->w, "for (int c = 0; c < %d; c++)", channels);
        cw_line(e->w, "total += %s[first + c];", from);
        cw_close(e->w, "");
        cw_line(e->w, "%s = total * %s;", name, text_real(e, share));
    } else {
        cw_line(e->w, "v total = v_zero();");
        each_vector(e, "c", channels, total_body, &s);
        cw_line(e->w, "%s = v_sum(total) * %s;", name, text_real(e, share));
    }
    cw_close(e->w, "}");
}

static void lines_fill(struct emitter *e, const char *to, const char *value, int channels)
{
    struct grouped s = { .to = to, .value = value };
    if (channels >= e->plan->lanes) {
        each_vector(e, "c", channels, fill_body, &s);
        return;
    }
    cw_open(e->w, "for (int c = 0; c < %d; c++)", channels);
    cw_line(e->w, "%s[first + c] = %s;", to, value);
    cw_close(e->w, "");
}

/* Opens the loop over the groups; `first` is a group's first channel. */
static void open_groups(struct emitter *e, const struct node *n)
{
    loop_open(e, "g", 0, n->attr.groups, 1);
    cw_line(e->w, "const int first = g * %d;", n->in[0]->shape.c / n->attr.groups);
}

/* ---- moments ----------------------------------------------------------------------------------------------------- */

static double moments_cost(const struct plan *p, const struct group *g)
{
    return pass_cycles(p, g->main->in[0], 3, 2);
}

static void moments_plan(struct plan *p, struct program *q, struct group *g)
{
    const struct node *n = g->main;     /* x -> mean, inverse_deviation */
    struct step *s = plan_step(p, q, g, 0, SPLIT_IMAGES, 0, "moments", group_flops(p, g));
    step_takes(p, s, ACCESS_READ, n->in[0]);
    step_takes(p, s, ACCESS_WRITE, n->out[0]);
    step_takes(p, s, ACCESS_WRITE, n->out[1]);
    step_scratch(p, s, padded_channels(p, n->in[0]) * p->real_size);
}

static void mean_add(struct emitter *e, const void *data, const char *const *sum, const char *col, const char *at,
                     int k, int tail)
{
    (void)data;
    (void)col;
    (void)k;
    cw_line(e->w, "%s = v_add(%s, %s);", sum[0], sum[0], text_load(e, "x", at, tail));
}

static void squares_add(struct emitter *e, const void *data, const char *const *sum, const char *col, const char *at,
                        int k, int tail)
{
    (void)data;
    cw_line(e->w, "const v d%d = v_sub(%s, %s);", k, text_load(e, "x", at, tail), text_load(e, "mean", col, tail));
    cw_line(e->w, "%s = v_fma(d%d, d%d, %s);", sum[0], k, k, sum[0]);
}

static void columns_store(struct emitter *e, const void *data, const char *const *sum, const char *col, int tail)
{
    (void)data;
    (void)tail;
    line_store(e, "columns", col, sum[0], 0);
}

static const char *moments_emit(struct emitter *e, const struct step *s)
{
    const struct node *n = s->group->main;
    const struct tensor *x = n->in[0];
    const char *real = e->plan->real, *root = e->plan->real_double ? "sqrt" : "sqrtf";
    int channels = x->shape.c / n->attr.groups;
    double share = 1 / ((double)channels * (double)tensor_pixels(x));
    struct pixel_sums sum = { .shape = x->shape, .pixel = emit_pixel(e, x), .sums = 1, .add = mean_add,
                              .store = columns_store };
    struct pixel_sums squares = { .shape = x->shape, .pixel = emit_pixel(e, x), .sums = 1, .add = squares_add,
                                  .store = columns_store };
    emit_function(e, "const %s *x, %s *restrict mean, %s *restrict inverse_deviation, void *scratch", real, real, real);
    cw_line(e->w, "// x (%d, %d, %d), by %d groups of channels", x->shape.h, x->shape.w, x->shape.c, n->attr.groups);
    cw_line(e->w, "%s *const columns = scratch;", real);
    emit_pixel_sums(e, &sum);
    open_groups(e, n);
    line_group_mean(e, "center", "columns", channels, share);
    lines_fill(e, "mean", "center", channels);
    cw_close(e->w, "}");
    emit_pixel_sums(e, &squares);
    open_groups(e, n);
    line_group_mean(e, "variance", "columns", channels, share);
    cw_line(e->w, "const %s inverse = 1 / %s(variance + %s);", real, root, text_real(e, n->attr.epsilon));
    lines_fill(e, "inverse_deviation", "inverse", channels);
    cw_close(e->w, "}");
    return emit_end(e, text_printf(e, "norm_moments_%s_by_%d", text_shape(e, x->shape), n->attr.groups),
                    emit_comment(e, s));
}

/* ---- sums of a sample for the gradients -------------------------------------------------------------------------- */

/* x, gamma, mean, inverse_deviation, dy -> scale_sums, shift_sums, scale_means, shift_means */
enum { FACTORS = 1, DY = 4, SUMS = 2 };

static const char *const sum_names[] = { "scale_sums", "shift_sums" }, *const mean_names[] = { "scale_means",
        "shift_means" }, *const column_names[] = { "scales", "shifts" };

static double sums_cost(const struct plan *p, const struct group *g)
{
    return pass_cycles(p, g->main->in[0], 4, 2);
}

/* Whether anybody asks for what x is needed for, and whether input i is read. */
static bool has_scales(const struct node *n)
{
    return n->out[0] || n->out[SUMS];
}

static bool sums_read(const struct node *n, int i)
{
    if (i == FACTORS)
        return n->in[i] && n->out[SUMS];
    return i == DY || has_scales(n);
}

static void sums_plan(struct plan *p, struct program *q, struct group *g)
{
    const struct node *n = g->main;
    struct step *s = plan_step(p, q, g, 0, SPLIT_IMAGES, 0, "sums", group_flops(p, g));
    for (int i = 0; i < n->in_count; i++)
        if (sums_read(n, i))
            step_takes(p, s, ACCESS_READ, n->in[i]);
    for (int i = 0; i < n->out_count; i++)
        if (n->out[i])
            step_takes(p, s, ACCESS_WRITE, n->out[i]);
    if (n->out[SUMS])
        step_scratch(p, s, 2 * padded_channels(p, n->in[0]) * p->real_size);
}

/* gamma with a number for each element counts where it is read; else with the sums of its channel. */
static bool has_map(const struct node *n)
{
    return n->in[FACTORS] && n->in[FACTORS]->param->form != &param_vector;
}

static void grads_add(struct emitter *e, const void *data, const char *const *sum, const char *col, const char *at,
                      int k, int tail)
{
    const struct node *n = data;
    const char *dy = text_load(e, "dy", at, tail);
    cw_line(e->w, "const v g%d = %s;", k,
            has_map(n) ? text_printf(e, "v_mul(%s, %s)", dy, text_load(e, "gamma", at, tail)) : dy);
    if (has_scales(n)) {
        cw_line(e->w, "%s = v_fma(g%d, v_sub(%s, %s), %s);", sum[0], k, text_load(e, "x", at, tail),
                text_load(e, "mean", col, tail), sum[0]);
        sum++;
    }
    cw_line(e->w, "%s = v_add(%s, g%d);", sum[0], sum[0], k);
}

static void grads_store(struct emitter *e, const void *data, const char *const *sum, const char *col, int tail)
{
    const struct node *n = data;
    const char *value[2] = { text_printf(e, "v_mul(%s, %s)", sum[0], text_load(e, "inverse_deviation", col, tail)),
                             sum[has_scales(n)] };
    bool scales = n->in[FACTORS] && !has_map(n);
    for (int i = 0; i < 2; i++) {
        if (n->out[i])
            line_store(e, sum_names[i], col, value[i], tail);
        if (!n->out[SUMS])
            continue;
        const char *gamma = scales ? text_load(e, "gamma", col, 0) : NULL;
        line_store(e, column_names[i], col, scales ? text_printf(e, "v_mul(%s, %s)", value[i], gamma) : value[i], 0);
    }
}

static const char *sums_parameters(struct emitter *e, const struct node *n)
{
    static const char *const names[] = { "x", "gamma", "mean", "inverse_deviation", "dy" };
    const char *real = e->plan->real, *text = "";
    for (int i = 0; i <= DY; i++)
        if (sums_read(n, i))
            text = text_printf(e, "%s%sconst %s *%s", text, *text ? ", " : "", real, names[i]);
    for (int i = 0; i < 4; i++)
        if (n->out[i])
            text = text_printf(e, "%s, %s *restrict %s", text, real, i < SUMS ? sum_names[i] : mean_names[i - SUMS]);
    return n->out[SUMS] ? text_printf(e, "%s, void *scratch", text) : text;
}

static const char *sums_emit(struct emitter *e, const struct step *s)
{
    const struct node *n = s->group->main;
    const struct tensor *x = n->in[0];
    const char *real = e->plan->real;
    int channels = x->shape.c / n->attr.groups;
    double share = 1 / ((double)channels * (double)tensor_pixels(x));
    struct pixel_sums sums = { .shape = x->shape, .sums = has_scales(n) ? 2 : 1, .add = grads_add, .store = grads_store,
                               .data = n };
    emit_function(e, "%s", sums_parameters(e, n));
    cw_line(e->w, "// x, dy (%d, %d, %d), by %d groups of channels", x->shape.h, x->shape.w, x->shape.c,
            n->attr.groups);
    if (n->out[SUMS]) {
        cw_line(e->w, "%s *const scales = scratch;", real);
        cw_line(e->w, "%s *const shifts = scales + %" PRId64 ";", real, padded_channels(e->plan, x));
    }
    emit_pixel_sums(e, &sums);
    if (n->out[SUMS]) {
        open_groups(e, n);
        line_group_mean(e, "scale", "scales", channels, share);
        line_group_mean(e, "shift", "shifts", channels, share);
        lines_fill(e, mean_names[0], "scale", channels);
        lines_fill(e, mean_names[1], "shift", channels);
        cw_close(e->w, "}");
    }
    return emit_end(e, text_printf(e, "norm_sums_%s_by_%d", text_shape(e, x->shape), n->attr.groups),
                    emit_comment(e, s));
}

/* ---- gradients of gamma and beta: over the batch, in the order of the samples ------------------------------------ */

static double param_grad_cost(const struct plan *p, const struct group *g)
{
    const struct node *n = g->main;
    return pass_cycles(p, n->in[0] ? n->in[0] : n->in[1], 2, (n->in[0] != NULL) + (n->in[1] != NULL));
}

static void param_grad_plan(struct plan *p, struct program *q, struct group *g)
{
    const struct node *n = g->main;
    /* sums of partial results, which loops over images overtake: none of its operations is counted here */
    struct step *s = plan_step(p, q, g, 0, SPLIT_BLOCKS, 1, "weight gradient", 0);
    s->beside = true;
    step_is_told(p, s, ARGUMENT_SAMPLES);
    for (int i = 0; i < 2; i++)
        if (n->in[i])
            step_takes(p, s, ACCESS_READ, n->in[i]);
    for (int i = 0; i < 2; i++)
        if (n->out[i])
            step_takes(p, s, ACCESS_WRITE, n->out[i]);
}

static void batch_body(struct emitter *e, const void *data, const char *at, int tail)
{
    const struct node *n = data;
    int channels = (n->in[0] ? n->in[0] : n->in[1])->shape.c;
    for (int i = 0; i < 2; i++)
        if (n->in[i])
            cw_line(e->w, "v sum%d = v_zero();", i);
    cw_open(e->w, "for (int i = 0; i < n; i++) {");
    for (int i = 0; i < 2; i++)
        if (n->in[i])
            cw_line(e->w, "sum%d = v_add(sum%d, %s);", i, i,
                    text_load(e, text_printf(e, "%s + (size_t)i * %d", sum_names[i], channels), at, tail));
    cw_close(e->w, "}");
    for (int i = 0; i < 2; i++)
        if (n->in[i])
            line_store(e, i ? "dbeta" : "dgamma", at, text_printf(e, "sum%d", i), 0);
}

static const char *param_grad_emit(struct emitter *e, const struct step *s)
{
    const struct node *n = s->group->main;
    const char *real = e->plan->real, *parameters = "int n";
    int channels = (n->in[0] ? n->in[0] : n->in[1])->shape.c;
    for (int i = 0; i < 2; i++)
        if (n->in[i])
            parameters = text_printf(e, "%s, const %s *%s", parameters, real, sum_names[i]);
    for (int i = 0; i < 2; i++)
        if (n->out[i])
            parameters = text_printf(e, "%s, %s *restrict %s", parameters, real, i ? "dbeta" : "dgamma");
    emit_function(e, "%s", parameters);
    each_vector(e, "j", channels, batch_body, n);
    return emit_end(e, text_printf(e, "norm_param_grad_%d", channels), emit_comment(e, s));
}

/* ---- of gamma and beta that have a number for each element: a row of the map is a block -------------------------- */

static double map_grad_cost(const struct plan *p, const struct group *g)
{
    return pass_cycles(p, g->main->in[0], 6, 4);
}

static void map_grad_plan(struct plan *p, struct program *q, struct group *g)
{
    const struct node *n = g->main;     /* x, mean, inverse_deviation, dy -> dgamma, dbeta */
    const struct tensor *x = n->in[0];
    struct step *s = plan_step(p, q, g, 0, SPLIT_BLOCKS, x->shape.h, "weight gradient", group_flops(p, g));
    step_is_told(p, s, ARGUMENT_BLOCK);
    step_is_told(p, s, ARGUMENT_SAMPLES);
    for (int i = n->out[0] ? 0 : 3; i < 4; i++)
        step_takes(p, s, ACCESS_READ, n->in[i]);
    for (int i = 0; i < 2; i++)
        if (n->out[i])
            step_takes_part(p, s, ACCESS_WRITE, n->out[i],
                            part_runs(tensor_elements(x), (int64_t)x->shape.w * x->shape.c));
}

struct map_grad {
    const struct node *node;
    bool first;                 /* sample: nothing is there to be added to */
};

static void map_grad_body(struct emitter *e, const void *data, const char *at, int tail)
{
    const struct map_grad *m = data;
    const char *place = text_plus(e, "to", at);
    cw_line(e->w, "const v g = %s;", text_load(e, "dy_i", place, tail));
    for (int i = 0; i < 2; i++) {
        const char *to = i ? "dbeta" : "dgamma", *sum = m->first ? NULL : text_load(e, to, place, tail);
        if (!m->node->out[i])
            continue;
        if (i) {
            line_store(e, to, place, sum ? text_printf(e, "v_add(%s, g)", sum) : "g", tail);
            continue;
        }
        cw_line(e->w, "const v normal = v_mul(v_sub(%s, %s), %s);", text_load(e, "x_i", place, tail),
                text_load(e, "mean_i", at, tail), text_load(e, "inverse_i", at, tail));
        line_store(e, to, place, sum ? text_printf(e, "v_fma(g, normal, %s)", sum) : "v_mul(g, normal)", tail);
    }
}

/* The samples one after the other, while the sums of the row stay in the cache. */
static void map_grad_samples(struct emitter *e, const struct node *n, bool first)
{
    const struct tensor *x = n->in[0];
    const char *real = e->plan->real;
    int64_t elements = tensor_elements(x);
    struct map_grad m = { n, first };
    if (n->out[0]) {
        cw_line(e->w, "const %s *const x_i = x + (size_t)i * %" PRId64 ";", real, elements);
        cw_line(e->w, "const %s *const mean_i = mean + (size_t)i * %d;", real, x->shape.c);
        cw_line(e->w, "const %s *const inverse_i = inverse_deviation + (size_t)i * %d;", real, x->shape.c);
    }
    cw_line(e->w, "const %s *const dy_i = dy + (size_t)i * %" PRId64 ";", real, elements);
    loop_open(e, "p", 0, x->shape.w, 1);
    cw_line(e->w, "const int to = (b * %d + p) * %d;", x->shape.w, x->shape.c);
    each_vector(e, "j", x->shape.c, map_grad_body, &m);
    cw_close(e->w, "}");
}

static const char *map_grad_emit(struct emitter *e, const struct step *s)
{
    const struct node *n = s->group->main;
    const struct tensor *x = n->in[0];
    const char *real = e->plan->real;
    const char *parameters = "int b, int n";
    if (n->out[0])
        parameters = text_printf(e, "%s, const %s *x, const %s *mean, const %s *inverse_deviation", parameters, real,
                                 real, real);
    parameters = text_printf(e, "%s, const %s *dy", parameters, real);
    for (int i = 0; i < 2; i++)
        if (n->out[i])
            parameters = text_printf(e, "%s, %s *restrict %s", parameters, real, i ? "dbeta" : "dgamma");
    emit_function(e, "%s", parameters);
    cw_line(e->w, "// row b of %s (%d, %d, %d)", n->out[0] ? "x, dy" : "dy", x->shape.h, x->shape.w, x->shape.c);
    cw_open(e->w, "{");
    cw_line(e->w, "const int i = 0;");
    map_grad_samples(e, n, true);
    cw_close(e->w, "}");
    cw_open(e->w, "for (int i = 1; i < n; i++) {");
    map_grad_samples(e, n, false);
    cw_close(e->w, "}");
    return emit_end(e, text_printf(e, "norm_map_grad_%s", text_shape(e, x->shape)), emit_comment(e, s));
}

const struct kernel kernel_norm_moments = {
    .name = "norm_moments", .op = OP_norm_moments, .applicable = always_applicable, .cost = moments_cost,
    .plan = moments_plan, .emit = moments_emit, .strided = sums_strided,
    .help = "a sample at a time, channels in vectors",
};

const struct kernel kernel_norm_sums = {
    .name = "norm_sums", .op = OP_norm_sums, .applicable = always_applicable, .cost = sums_cost, .plan = sums_plan,
    .emit = sums_emit, .help = "a sample at a time, channels in vectors",
};

const struct kernel kernel_norm_param_grad = {
    .name = "norm_param_grad", .op = OP_norm_param_grad, .applicable = always_applicable, .cost = param_grad_cost,
    .plan = param_grad_plan, .emit = param_grad_emit, .help = "the samples' sums, in their order",
};

const struct kernel kernel_norm_map_grad = {
    .name = "norm_map_grad", .op = OP_norm_map_grad, .applicable = always_applicable, .cost = map_grad_cost,
    .plan = map_grad_plan, .emit = map_grad_emit, .help = "a row of the map at a time, sample by sample",
};
