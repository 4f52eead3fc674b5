/* sigmoid_loss_kernels.c - binary cross-entropy of sigmoids, an image at a time.
 *
 * log(1 + exp(z)) - y z is max(z, 0) - y z + log(1 + exp(-|z|)): no exponential overflows, and where z is large and on
 * the right side nothing cancels. */
#include "kernels/loops.h"
#include "ops/losses.h"

static double sigmoid_loss_cost(const struct plan *p, const struct group *g)
{
    return pass_cycles(p, g->main->in[0], g->main->backward ? 3 : 3 * p->target->costs->exponential, 3);
}

static void sigmoid_loss_plan(struct plan *p, struct program *q, struct group *g)
{
    const struct node *n = g->main;
    struct step *s = plan_step(p, q, g, 0, SPLIT_IMAGES, 0, n->backward ? "data gradient" : "forward",
                               group_flops(p, g));
    for (int i = 0; i < n->in_count; i++)
        step_takes(p, s, ACCESS_READ, n->in[i]);
    for (int i = 0; i < n->out_count; i++)
        step_takes(p, s, ACCESS_WRITE, n->out[i]);
    if (n->backward)
        step_is_told(p, s, ARGUMENT_SAMPLES);
}

/* Where an image's targets come from. */
enum targets { OF_ALL, ONE, ONE_HOT };

struct loss_text {
    const struct node *node;
    enum targets targets;
    int outputs;
};

static struct loss_text loss_text(const struct node *n)
{
    const int outputs = (int)tensor_elements(n->in[0]);
    return (struct loss_text){ n, n->in[1]->element != ELEMENT_I32 ? OF_ALL : outputs == 1 ? ONE : ONE_HOT, outputs };
}

/* (1 - s) y + s / 2 */
static const char *smoothed(struct emitter *e, const struct loss_text *l, const char *y)
{
    const double s = l->node->attr.smoothing;
    return s == 0 ? y
                  : text_printf(e, "v_fma(v_set(%s), %s, v_set(%s))", text_real(e, 1 - s), y, text_real(e, s / 2));
}

/* The targets of a vector of outputs. */
static const char *targets_at(struct emitter *e, const struct loss_text *l, const char *at, int tail)
{
    const char *y = l->targets == ONE ? text_printf(e, "v_set((%s)*target)", e->plan->real)
                                      : text_load(e, l->targets == OF_ALL ? "target" : "hot", at, tail);
    return smoothed(e, l, y);
}

static void emit_one_hot(struct emitter *e, const struct loss_text *l)
{
    cw_line(e->w, "static const %s one[%d] = { [%d] = 1 };", e->plan->real, 2 * l->outputs, l->outputs);
    cw_line(e->w, "const %s *const hot = one + cnn_one_hot(*target, %d);", e->plan->real, l->outputs);
}

static const char *target_type(const struct emitter *e, const struct loss_text *l)
{
    return l->targets == OF_ALL ? e->plan->real : "int32_t";
}

static void loss_body(struct emitter *e, const void *data, const char *at, int tail)
{
    const struct loss_text *l = data;
    cw_line(e->w, "const v z = %s;", text_load(e, "x", at, tail));
    cw_line(e->w, "const v wanted = %s;", targets_at(e, l, at, tail));
    cw_line(e->w, "const v off = v_sub(v_max(v_zero(), z), v_mul(wanted, z));");
    const char *loss = "v_add(off, cnn_log1p_unit(v_exp(v_neg(v_abs(z)))))";
    cw_line(e->w, "total = v_add(total, %s);", tail ? text_printf(e, "v_select(inside, %s, v_zero())", loss) : loss);
    line_store(e, "y", at, "v_sigmoid(z)", tail);
}

static const char *sigmoid_loss_emit(struct emitter *e, const struct step *s)
{
    const struct node *n = s->group->main;      /* logits, targets -> predictions, loss */
    const struct loss_text l = loss_text(n);
    const char *real = e->plan->real;
    emit_function(e, "const %s *x, const %s *target, %s *restrict y, %s *restrict loss", real, target_type(e, &l), real,
                  real);
    cw_line(e->w, "// x: logits, y: predictions (%d)", l.outputs);
    if (l.targets == ONE_HOT)
        emit_one_hot(e, &l);
    if (l.outputs % e->plan->lanes)
        line_inside(e, e->w, l.outputs % e->plan->lanes);
    cw_line(e->w, "v total = v_zero();");
    each_vector(e, "j", l.outputs, loss_body, &l);
    const char *weight = loss_weight(e, n, "*target");
    const char *sum = l.outputs == 1 ? "v_sum(total)" : text_printf(e, "v_sum(total) / %d", l.outputs);
    cw_line(e->w, "*loss = %s%s;", weight ? text_printf(e, "%s * ", weight) : "", sum);
    return emit_end(e, text_printf(e, "sigmoid_loss_%d", l.outputs), emit_comment(e, s));
}

static void grad_body(struct emitter *e, const void *data, const char *at, int tail)
{
    const char *wanted = targets_at(e, data, at, tail);
    line_store(e, "dx", at, text_printf(e, "v_mul(v_sub(%s, %s), share)", text_load(e, "y", at, tail), wanted), tail);
}

static const char *sigmoid_loss_grad_emit(struct emitter *e, const struct step *s)
{
    const struct node *n = s->group->main;      /* predictions, targets -> dlogits */
    const struct loss_text l = loss_text(n);
    const char *real = e->plan->real;
    emit_function(e, "const %s *y, const %s *target, %s *restrict dx, int n", real, target_type(e, &l), real);
    cw_line(e->w, "// y: predictions, dx: gradient of the batch's mean loss (%d)", l.outputs);
    if (l.targets == ONE_HOT)
        emit_one_hot(e, &l);
    const char *weight = loss_weight(e, n, "*target");
    const char *over = l.outputs == 1 ? "" : text_printf(e, " / %d", l.outputs);
    cw_line(e->w, "const v share = v_set(%s / (%s)n%s);", weight ? weight : text_printf(e, "(%s)1", real), real, over);
    each_vector(e, "j", l.outputs, grad_body, &l);
    return emit_end(e, text_printf(e, "sigmoid_loss_grad_%d", l.outputs), emit_comment(e, s));
}

#define SIGMOID_LOSS(operation)                                                                      \
    const struct kernel kernel_##operation = {                                                       \
        .name = #operation, .op = OP_##operation, .applicable = always_applicable,                   \
        .cost = sigmoid_loss_cost, .plan = sigmoid_loss_plan, .emit = operation##_emit,              \
        .help = "an image at a time, outputs in vectors",                                            \
    };

SIGMOID_LOSS(sigmoid_loss)
SIGMOID_LOSS(sigmoid_loss_grad)
