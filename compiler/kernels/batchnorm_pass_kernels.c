/* batchnorm_pass_kernels.c - the gradient of normalisations that read the same channels, plan_norms.c.
 *
 * dx = gamma inverse_deviation (dy - mean(dy) - normal mean(dy normal)).  The first term is added to what others have
 * brought, in the one pass that also sums dy and dy normal.  The rest is a straight line in x for each channel: its two
 * numbers are added up over all normalisations, and what they come to is added to the gradient once, where it is used.
 *
 * A map is gone through row by row, all channels of a row before the next, so that what lies far apart from pixel to
 * pixel is still one stretch of memory.  Sums have the order that sums.c gives them: of each row, then of the rows,
 * then of the images. */
#include <inttypes.h>

#include "kernels/sums.h"

enum { X, GAMMA, BETA, MEAN, DEVIATION, BEFORE, DY, INPUTS };
enum { DGAMMA, DBETA, DX };
enum { BLOCK = 2 };             /* vectors of channels side by side */

static bool has_activation(const struct node *n)
{
    return n->op == OP_batchnorm_activation_pass_grad;
}

/* Whether in[i] is read: beta only tells where the activation is. */
static bool is_read(const struct node *n, int i)
{
    return n->in[i] && (i != BETA || has_activation(n));
}

static double pass_cost(const struct plan *p, const struct group *g)
{
    const struct node *n = g->main;
    return pass_cycles(p, n->in[X], has_activation(n) ? 8 : 5, n->in[BEFORE] ? 4 : 3);
}

static void pass_plan(struct plan *p, struct program *q, struct group *g)
{
    const struct node *n = g->main;
    int64_t row = 2 * padded_channels(p, n->in[X]);
    struct step *images = plan_step(p, q, g, 0, SPLIT_IMAGES, 0, "weight and data gradient", group_flops(p, g));
    struct step *batch = plan_step(p, q, g, 1, SPLIT_BLOCKS, 1, "weight gradient", 0);
    struct buffer *partial = plan_buffer(p, q, arena_printf(p->arena, "%s_partial", n->name), p->real,
                                         row * p->real_size * p->batch);
    batch->beside = true;
    for (int i = 0; i < INPUTS; i++)
        if (is_read(n, i))
            step_takes(p, images, ACCESS_READ, n->in[i]);
    step_takes(p, images, ACCESS_WRITE, n->out[DX]);
    step_uses_row(p, images, ACCESS_WRITE, partial, AT_IMAGE, row);
    step_uses(p, batch, ACCESS_READ, partial, TOUCH_ALL);
    step_is_told(p, batch, ARGUMENT_SAMPLES);
    step_takes(p, batch, ACCESS_WRITE, n->out[DGAMMA]);
    step_takes(p, batch, ACCESS_WRITE, n->out[DBETA]);
}

/* One pixel of vector k: channels from `col` on, of which the last `tail` lanes count, 0: all. */
static void write_pixel(struct emitter *e, const struct node *n, const char *col, int k, int tail)
{
    const char *normal = text_printf(e, "v_mul(d%d, deviation%d)", k, k),
        *dy = text_load(e, "dy", text_plus(e, "at_dy", col), tail);
    cw_line(e->w, "const v d%d = v_sub(%s, mean%d);", k, text_load(e, "x", text_plus(e, "at_x", col), tail), k);
    if (has_activation(n)) {
        char reads = activation_reads(n->attr.activation);
        const char *y = n->in[GAMMA] ? text_printf(e, "v_mul(%s, gamma%d)", normal, k) : normal;
        if (n->in[BETA])
            y = n->in[GAMMA] ? text_printf(e, "v_fma(%s, gamma%d, beta%d)", normal, k, k)
                             : text_printf(e, "v_fma(d%d, deviation%d, beta%d)", k, k, k);
        cw_line(e->w, "const v y%d = %s;", k, reads == 'y' ? text_activation(e, &n->attr, y) : y);
        dy = text_activation_grad(e, &n->attr, dy, text_printf(e, "y%d", k));
    }
    cw_line(e->w, "const v g%d = %s;", k, dy);
    cw_line(e->w, "scales%d = v_fma(g%d, d%d, scales%d);", k, k, k, k);
    cw_line(e->w, "shifts%d = v_add(shifts%d, g%d);", k, k, k);
    const char *before = n->in[BEFORE] ? text_load(e, "before", text_plus(e, "at_before", col), tail) : NULL;
    line_store(e, "dx", text_plus(e, "at_dx", col),
               before ? text_printf(e, "v_fma(g%d, factor%d, %s)", k, k, before) : text_printf(e,
                       "v_mul(g%d, factor%d)", k, k), tail);
}

/* Channels from `col` on in `vectors` vectors, of row r of the map. */
static void write_block(struct emitter *e, const struct node *n, const char *col, int vectors, int tail)
{
    static const int maps[] = { X, BEFORE, DY };
    static const char *const names[] = { "x", "before", "dy" };
    const struct tensor *x = n->in[X];
    for (int k = 0; k < vectors; k++) {
        const char *at = text_plus(e, col, text_printf(e, "%d", k * e->plan->lanes));
        cw_line(e->w, "const v mean%d = %s, deviation%d = %s;", k, text_load(e, "mean", at, 0), k,
                text_load(e, "inverse_deviation", at, 0));
        if (n->in[GAMMA])
            cw_line(e->w, "const v gamma%d = %s, factor%d = v_mul(gamma%d, deviation%d);", k,
                    text_load(e, "gamma", at, 0), k, k, k);
        else
            cw_line(e->w, "const v factor%d = deviation%d;", k, k);
        if (is_read(n, BETA))
            cw_line(e->w, "const v beta%d = %s;", k, text_load(e, "beta", at, 0));
        cw_line(e->w, "v scales%d = v_zero(), shifts%d = v_zero();", k, k);
    }
    loop_open(e, "p", 0, x->shape.w, 1);
    for (int i = 0; i < 3; i++)
        if (n->in[maps[i]])
            cw_line(e->w, "const int at_%s = (r * %d + p) * %" PRId64 ";", names[i], x->shape.w,
                    emit_pixel(e, n->in[maps[i]]));
    cw_line(e->w, "const int at_dx = (r * %d + p) * %" PRId64 ";", x->shape.w, emit_pixel(e, n->out[DX]));
    for (int k = 0; k < vectors; k++)
        write_pixel(e, n, text_plus(e, col, text_printf(e, "%d", k * e->plan->lanes)), k, k == vectors - 1 ? tail : 0);
    cw_close(e->w, "}");
    for (int k = 0; k < vectors; k++) {
        const char *at = text_plus(e, col, text_printf(e, "%d", k * e->plan->lanes));
        line_store(e, "scales", at, text_printf(e, "v_fma(scales%d, deviation%d, %s)", k, k,
                                                text_load(e, "scales", at, 0)), 0);
        line_store(e, "shifts", at, text_printf(e, "v_add(%s, shifts%d)", text_load(e, "shifts", at, 0), k), 0);
    }
}

static const char *pass_of_image(struct emitter *e, const struct step *s)
{
    static const char *const names[] = { "x", "gamma", "beta", "mean", "inverse_deviation", "before", "dy" };
    const struct node *n = s->group->main;
    const struct tensor *x = n->in[X];
    const char *real = e->plan->real, *parameters = "";
    int lanes = e->plan->lanes, vectors = (x->shape.c + lanes - 1) / lanes, tail = x->shape.c % lanes;
    int whole = (tail ? vectors - 1 : vectors) / BLOCK * BLOCK;
    for (int i = 0; i < INPUTS; i++)
        if (is_read(n, i))
            parameters = text_printf(e, "%sconst %s *%s, ", parameters, real, names[i]);
    emit_function(e, "%s%s *dx, %s *restrict scales", parameters, real, real);
    cw_line(e->w, "// x, dy, dx (%d, %d, %d)", x->shape.h, x->shape.w, x->shape.c);
    cw_line(e->w, "%s *const shifts = scales + %" PRId64 ";", real, padded_channels(e->plan, x));
    cw_line(e->w, "memset(scales, 0, sizeof(%s) * %" PRId64 ");", real, 2 * padded_channels(e->plan, x));
    loop_open(e, "r", 0, x->shape.h, 1);
    if (whole) {
        loop_open(e, "j", 0, whole * lanes, BLOCK * lanes);
        write_block(e, n, "j", BLOCK, 0);
        cw_close(e->w, "}");
    }
    if (vectors > whole) {
        cw_open(e->w, "{");
        write_block(e, n, text_printf(e, "%d", whole * lanes), vectors - whole, tail);
        cw_close(e->w, "}");
    }
    cw_close(e->w, "}");
    return emit_end(e, text_printf(e, "%s_%s", op_name(n->op), text_shape(e, x->shape)), emit_comment(e, s));
}

static const char *pass_emit(struct emitter *e, const struct step *s)
{
    if (s->part == 1)
        return emit_batch_sums(e, padded_channels(e->plan, s->group->main->in[X]), 2, emit_comment(e, s));
    return pass_of_image(e, s);
}

static bool pass_strided(const struct plan *p, const struct group *g, const struct tensor *t)
{
    const struct node *n = g->main;
    (void)p;
    return t == n->in[X] || t == n->in[BEFORE] || t == n->in[DY] || t == n->out[DX];
}

/* ---- the rest ---------------------------------------------------------------------------------------------------- */

enum { REST_DEVIATION = 1, REST_DGAMMA, REST_DBETA, REST_FIRST, REST_SECOND = REST_FIRST + 2,
       REST_INPUTS = REST_SECOND + 2 };

static double rest_cost(const struct plan *p, const struct group *g)
{
    return pass_cycles(p, g->main->out[0], 4, 6) / p->batch;
}

static void rest_plan(struct plan *p, struct program *q, struct group *g)
{
    const struct node *n = g->main;
    struct step *s = plan_step(p, q, g, 0, SPLIT_BLOCKS, 1, "rest of data gradient", 0);
    s->beside = true;
    for (int i = 0; i < REST_INPUTS; i++)
        if (n->in[i])
            step_takes(p, s, ACCESS_READ, n->in[i]);
    for (int i = 0; i < 2; i++)
        step_takes(p, s, ACCESS_WRITE, n->out[i]);
}

/* One of the two numbers: what all normalisations before have brought, or nothing. */
static const char *text_before(struct emitter *e, const struct node *n, int which, const char *at, int tail)
{
    static const char *const names[][2] = { { "shift1", "slope1" }, { "shift2", "slope2" } };
    const char *first = NULL, *second = NULL;
    if (n->in[REST_FIRST])      /* it may end before a whole vector does */
        first = text_load(e, names[0][which], text_plus(e, text_printf(e, "%d", n->attr.channel), at), tail);
    if (n->in[REST_SECOND])
        second = text_load(e, names[1][which], at, 0);
    return first && second ? text_printf(e, "v_add(%s, %s)", first, second) : first ? first : second ? second
        : "v_zero()";
}

/* Channels from `at` on: everything but the first numbers is padded to whole vectors. */
static void rest_columns(struct emitter *e, const void *data, const char *at, int tail)
{
    static const char *const to[] = { "shift", "slope" };
    const struct node *n = data;
    if (n->in[REST_DEVIATION]) {
        cw_line(e->w, "const v deviation = %s;", text_load(e, "inverse_deviation", at, 0));
        if (n->in[0])
            cw_line(e->w, "const v factor = v_mul(%s, deviation);", text_load(e, "gamma", at, 0));
        else
            cw_line(e->w, "const v factor = deviation;");
    }
    for (int i = 0; i < 2; i++) {
        const char *value = text_before(e, n, i, at, tail);
        if (n->in[REST_DEVIATION])
            value = text_printf(e, "v_sub(%s, v_mul(%s, %s))", value, i ? "v_mul(factor, deviation)" : "factor",
                                text_load(e, i ? "dgamma" : "dbeta", at, 0));
        line_store(e, to[i], at, value, 0);
    }
}

static const char *rest_emit(struct emitter *e, const struct step *s)
{
    static const char *const names[] = { "gamma", "inverse_deviation", "dgamma", "dbeta", "shift1", "slope1", "shift2",
                                         "slope2" };
    const struct node *n = s->group->main;
    const char *real = e->plan->real, *parameters = "";
    int channels = n->out[0]->shape.c;
    for (int i = 0; i < REST_INPUTS; i++)
        if (n->in[i])
            parameters = text_printf(e, "%sconst %s *%s, ", parameters, real, names[i]);
    emit_function(e, "%s%s *restrict shift, %s *restrict slope", parameters, real, real);
    each_vector(e, "j", channels, rest_columns, n);
    return emit_end(e, text_printf(e, "batchnorm_rest_%d", channels), emit_comment(e, s));
}

#define PASS(operation)                                                                                     \
    const struct kernel kernel_##operation = {                                                              \
        .name = #operation, .op = OP_##operation, .applicable = always_applicable, .cost = pass_cost,       \
        .plan = pass_plan, .emit = pass_emit, .strided = pass_strided,                                      \
        .help = "one pass over each image: added to the gradient so far, and summed; then sums of the batch", \
    };

PASS(batchnorm_pass_grad)
PASS(batchnorm_activation_pass_grad)

const struct kernel kernel_batchnorm_rest = {
    .name = "batchnorm_rest", .op = OP_batchnorm_rest, .applicable = always_applicable, .cost = rest_cost,
    .plan = rest_plan,
    .emit = rest_emit, .help = "two numbers a channel",
};
