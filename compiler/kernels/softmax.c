/* softmax.c - softmax over channels, and the categorical cross-entropy on it.
 *
 * The largest logit is taken off first, so no exponential overflows; the loss is log-sum-exp less the label's logit and
 * never the logarithm of a probability that may have become 0. */
#include <inttypes.h>

#include "kernels/loops.h"

static double softmax_cost(const struct plan *p, const struct group *g)
{
    return pass_cycles(p, g->main->in[0], g->main->backward ? 4 : p->target->costs->exponential, 3);
}

/* All inputs and outputs, image by image. */
static void softmax_plan(struct plan *p, struct program *q, struct group *g)
{
    const struct node *n = g->main;
    const char *what = n->backward ? "data gradient" : "forward";
    struct step *s = plan_step(p, q, g, 0, SPLIT_IMAGES, 0, what, group_flops(p, g));
    for (int i = 0; i < n->in_count; i++)
        step_takes(p, s, ACCESS_READ, n->in[i]);
    for (int i = 0; i < n->out_count; i++)
        step_takes(p, s, ACCESS_WRITE, n->out[i]);
    if (n->op == OP_softmax_loss_grad)
        step_is_told(p, s, ARGUMENT_SAMPLES);
}

/* ---- the softmax of one pixel, x -> y --------------------------------------------------------------------------- */

static void largest_body(struct emitter *e, const void *data, const char *at, int tail)
{
    (void)data;
    const char *x = text_load(e, "x", at, tail);
    if (tail)
        x = text_printf(e, "v_select(inside, %s, v_set(-INFINITY))", x);
    cw_line(e->w, "largest = v_max(largest, %s);", x);
}

static void power_body(struct emitter *e, const void *data, const char *at, int tail)
{
    (void)data;
    cw_line(e->w, "const v power = v_exp(v_sub(%s, shift));", text_load(e, "x", at, tail));
    line_store(e, "y", at, "power", tail);
    cw_line(e->w, "total = v_add(total, %s);", tail ? "v_select(inside, power, v_zero())" : "power");
}

static void scale_body(struct emitter *e, const void *data, const char *at, int tail)
{
    (void)data;
    line_store(e, "y", at, text_printf(e, "v_mul(%s, scale)", text_load(e, "y", at, tail)), tail);
}

static void emit_softmax_of_pixel(struct emitter *e, int channels)
{
    int tail = channels % e->plan->lanes;
    const char *real = e->plan->real;
    if (tail)
        line_inside(e, e->w, tail);
    cw_line(e->w, "v largest = v_set(-INFINITY);");
    each_vector(e, "j", channels, largest_body, NULL);
    cw_line(e->w, "const %s top = v_max_lane(largest);", real);
    cw_line(e->w, "const v shift = v_set(top);");
    cw_line(e->w, "v total = v_zero();");
    each_vector(e, "j", channels, power_body, NULL);
    cw_line(e->w, "const %s sum = v_sum(total);", real);
    cw_line(e->w, "const v scale = v_set(1 / sum);");
    each_vector(e, "j", channels, scale_body, NULL);
}

static const char *softmax_emit(struct emitter *e, const struct step *s)
{
    const struct tensor *x = s->group->main->in[0];
    const char *real = e->plan->real;
    int64_t pixels = tensor_pixels(x);
    emit_function(e, "const %s *x, %s *restrict y", real, real);
    cw_line(e->w, "// x, y (%d, %d, %d)", x->shape.h, x->shape.w, x->shape.c);
    if (pixels > 1)
        cw_open(e->w, "for (int p = 0; p < %" PRId64 "; p++, x += %d, y += %d) {", pixels, x->shape.c, x->shape.c);
    emit_softmax_of_pixel(e, x->shape.c);
    if (pixels > 1)
        cw_close(e->w, "}");
    const char *hint = text_printf(e, "softmax_%s", text_shape(e, x->shape));
    return emit_end(e, hint, emit_comment(e, s));
}

/* ---- its gradient: dx = y (dy - sum y dy) ----------------------------------------------------------------------- */

static void product_body(struct emitter *e, const void *data, const char *at, int tail)
{
    (void)data;
    cw_line(e->w, "total = v_fma(%s, %s, total);", text_load(e, "y", at, tail), text_load(e, "dy", at, tail));
}

static void softmax_grad_body(struct emitter *e, const void *data, const char *at, int tail)
{
    (void)data;
    const char *value = text_printf(e, "v_mul(%s, v_sub(%s, shift))", text_load(e, "y", at, tail),
                                    text_load(e, "dy", at, tail));
    line_store(e, "dx", at, value, tail);
}

static const char *softmax_grad_emit(struct emitter *e, const struct step *s)
{
    const struct node *n = s->group->main;      /* y, dy -> dx */
    const struct shape shape = n->in[0]->shape;
    const char *real = e->plan->real;
    int64_t pixels = tensor_pixels(n->in[0]);
    emit_function(e, "const %s *y, const %s *dy, %s *restrict dx", real, real, real);
    cw_line(e->w, "// y, dy, dx (%d, %d, %d)", shape.h, shape.w, shape.c);
    if (pixels > 1)
        cw_open(e->w, "for (int p = 0; p < %" PRId64 "; p++, y += %d, dy += %d, dx += %d) {", pixels, shape.c, shape.c,
                shape.c);
    cw_line(e->w, "v total = v_zero();");
    each_vector(e, "j", shape.c, product_body, NULL);
    cw_line(e->w, "const v shift = v_set(v_sum(total));");
    each_vector(e, "j", shape.c, softmax_grad_body, NULL);
    if (pixels > 1)
        cw_close(e->w, "}");
    const char *hint = text_printf(e, "softmax_grad_%s", text_shape(e, shape));
    return emit_end(e, hint, emit_comment(e, s));
}

/* ---- the loss --------------------------------------------------------------------------------------------------- */

static void below_body(struct emitter *e, const void *data, const char *at, int tail)
{
    (void)data;
    const char *below = text_printf(e, "v_sub(shift, %s)", text_load(e, "x", at, tail));
    cw_line(e->w, "below = v_add(below, %s);", tail ? text_printf(e, "v_select(inside, %s, v_zero())", below) : below);
}

/* How far the logits are below the largest, of what the target says of each: the label's, or with smoothed labels also
 * those of all classes. */
static const char *text_below(struct emitter *e, int classes, double smoothing)
{
    if (smoothing == 0)
        return "(top - x[right])";
    cw_line(e->w, "v below = v_zero();");
    each_vector(e, "j", classes, below_body, NULL);
    cw_line(e->w, "const %s every = %s * v_sum(below);", e->plan->real, text_real(e, smoothing / classes));
    return text_printf(e, "%s * (top - x[right]) + every", text_real(e, 1 - smoothing));
}

/* ---- where samples are mixed, and targets are a share for each class */

static void shares_body(struct emitter *e, const void *data, const char *at, int tail)
{
    const double *smoothing = data;
    const char *target = text_load(e, "target", at, tail);
    if (*smoothing != 0)
        target = text_printf(e, "v_fma(v_set(%s), %s, others)", text_real(e, 1 - *smoothing), target);
    const char *value = text_printf(e, "v_mul(%s, v_sub(shift, %s))", target, text_load(e, "x", at, tail));
    cw_line(e->w, "below = v_add(below, %s);", tail ? text_printf(e, "v_select(inside, %s, v_zero())", value) : value);
}

static const char *shares_loss_emit(struct emitter *e, const struct step *s)
{
    const struct node *n = s->group->main;      /* logits, shares -> predictions, loss */
    const char *real = e->plan->real, *log = e->plan->real_double ? "log" : "logf";
    int classes = (int)tensor_elements(n->in[0]);
    const double smoothing = n->attr.smoothing;
    emit_function(e, "const %s *x, const %s *target, %s *restrict y, %s *restrict loss", real, real, real, real);
    cw_line(e->w, "// x: logits, y: predictions, target: shares of the classes (%d)", classes);
    emit_softmax_of_pixel(e, classes);
    const char *weight = loss_weight(e, n, "*target");
    if (smoothing != 0)
        cw_line(e->w, "const v others = v_set(%s);", text_real(e, smoothing / classes));
    cw_line(e->w, "v below = v_zero();");
    each_vector(e, "j", classes, shares_body, &smoothing);
    cw_line(e->w, weight ? "*loss = weight * (%s(sum) + v_sum(below));" : "*loss = %s(sum) + v_sum(below);", log);
    return emit_end(e, text_printf(e, "softmax_loss_%d", classes), emit_comment(e, s));
}

static void shares_grad_body(struct emitter *e, const void *data, const char *at, int tail)
{
    const double *smoothing = data;
    const char *target = text_load(e, "target", at, tail);
    if (*smoothing != 0)
        target = text_printf(e, "v_fma(v_set(%s), %s, others)", text_real(e, 1 - *smoothing), target);
    line_store(e, "dx", at, text_printf(e, "v_mul(v_sub(%s, %s), share)", text_load(e, "y", at, tail), target), tail);
}

static const char *shares_loss_grad_emit(struct emitter *e, const struct step *s)
{
    const struct node *n = s->group->main;      /* predictions, shares -> dlogits */
    const char *real = e->plan->real;
    int classes = (int)tensor_elements(n->in[0]);
    const double smoothing = n->attr.smoothing;
    emit_function(e, "const %s *y, const %s *target, %s *restrict dx, int n", real, real, real);
    cw_line(e->w, "// y: predictions, target: shares of the classes, dx: gradient of the batch's mean loss (%d)",
            classes);
    const char *weight = loss_weight(e, n, "*target");
    cw_line(e->w, "const v share = v_set(%s / (%s)n);", weight ? weight : text_printf(e, "(%s)1", real), real);
    if (smoothing != 0)
        cw_line(e->w, "const v others = v_set(%s);", text_real(e, smoothing / classes));
    each_vector(e, "j", classes, shares_grad_body, &smoothing);
    return emit_end(e, text_printf(e, "softmax_loss_grad_%d", classes), emit_comment(e, s));
}

/* ---- with labels */

static const char *softmax_loss_emit(struct emitter *e, const struct step *s)
{
    const struct node *n = s->group->main;      /* logits, labels -> predictions, loss */
    if (n->in[1]->element != ELEMENT_I32)
        return shares_loss_emit(e, s);
    const struct tensor *x = n->in[0];
    const char *real = e->plan->real, *log = e->plan->real_double ? "log" : "logf";
    int classes = (int)tensor_elements(x);
    emit_function(e, "const %s *x, const int32_t *label, %s *restrict y, %s *restrict loss", real, real, real);
    cw_line(e->w, "// x: logits, y: predictions (%d)", classes);
    emit_softmax_of_pixel(e, classes);
    cw_line(e->w, "const int right = *label;");
    const char *weight = loss_weight(e, n, "right"), *below = text_below(e, classes, n->attr.smoothing);
    const char *value = text_printf(e, "%s(sum) + %s", log, below);
    cw_line(e->w, "*loss = right >= 0 && right < %d ? %s : 0;", classes,
            weight ? text_printf(e, "%s * (%s)", weight, value) : value);
    return emit_end(e, text_printf(e, "softmax_loss_%d", classes), emit_comment(e, s));
}

static void loss_grad_body(struct emitter *e, const void *data, const char *at, int tail)
{
    const double *smoothing = data;
    const char *y = text_load(e, "y", at, tail);
    if (*smoothing != 0)
        y = text_printf(e, "v_sub(%s, others)", y);
    line_store(e, "dx", at, text_printf(e, "v_mul(%s, share)", y), tail);
}

static const char *softmax_loss_grad_emit(struct emitter *e, const struct step *s)
{
    const struct node *n = s->group->main;      /* predictions, labels -> dlogits */
    if (n->in[1]->element != ELEMENT_I32)
        return shares_loss_grad_emit(e, s);
    const struct tensor *y = n->in[0];
    const char *real = e->plan->real;
    int classes = (int)tensor_elements(y);
    emit_function(e, "const %s *y, const int32_t *label, %s *restrict dx, int n", real, real);
    cw_line(e->w, "// y: predictions, dx: gradient of the batch's mean loss (%d)", classes);
    cw_line(e->w, "const int right = *label;");
    const char *weight = loss_weight(e, n, "right");
    cw_line(e->w, "const v share = v_set(%s / (%s)n);", weight ? weight : text_printf(e, "(%s)1", real), real);
    const double smoothing = n->attr.smoothing;
    if (smoothing != 0)
        cw_line(e->w, "const v others = v_set(%s);", text_real(e, smoothing / classes));
    each_vector(e, "j", classes, loss_grad_body, &smoothing);
    cw_open(e->w, "if (right >= 0 && right < %d)", classes);
    cw_line(e->w, "dx[right] = %s(y[right] - %s) / (%s)n;", weight ? "weight * " : "",
            smoothing != 0 ? text_real(e, 1 - smoothing + smoothing / classes) : "1", real);
    cw_close(e->w, "");
    return emit_end(e, text_printf(e, "softmax_loss_grad_%d", classes), emit_comment(e, s));
}

#define SOFTMAX(operation, emitter_of)                                                               \
    const struct kernel kernel_##operation = {                                                       \
        .name = #operation, .op = OP_##operation, .applicable = always_applicable,                   \
        .cost = softmax_cost, .plan = softmax_plan, .emit = emitter_of,                              \
        .help = "an image at a time, channels in vectors",                                           \
    };

SOFTMAX(softmax, softmax_emit)
SOFTMAX(softmax_grad, softmax_grad_emit)
SOFTMAX(softmax_loss, softmax_loss_emit)
SOFTMAX(softmax_loss_grad, softmax_loss_grad_emit)
