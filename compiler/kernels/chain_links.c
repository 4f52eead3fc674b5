/* chain_links.c - the elementwise operations that a chain applies to vectors in registers: bias, activation, dropout,
 * batch normalisation, sums.  Every one is a row of `links`: which input is the value that runs through, which operands
 * it reads beside it, and how it is written. */
#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "kernels/chain_parts.h"

/* ---- operands --------------------------------------------------------------------------------------------------- */

/* Names are of roles, not of layers, so that equal functions have equal text. */
struct operand *chain_operand(const struct plan *p, struct chain *c, enum operand_kind kind, const char *name,
                              const char *type)
{
    assert(c->operands_count < CHAIN_OPERANDS);
    int same = 1;
    for (int i = 0; i < c->operands_count; i++)
        same += !strcmp(c->operands[i].role, name);
    struct operand *o = &c->operands[c->operands_count++];
    *o = (struct operand){ .kind = kind, .role = name, .name = name, .type = type };
    if (same > 1)
        o->name = arena_printf(p->arena, "%s_%d", name, same);
    return o;
}

static void operand_pointer(const struct plan *p, struct chain *c, enum operand_kind kind, const char *name,
                            const struct tensor *t)
{
    chain_operand(p, c, kind, name, arena_printf(p->arena, "const %s *", plan_element_type(p, t)))->tensor = t;
}

static void operand_column(const struct plan *p, struct chain *c, const char *name, const struct tensor *t)
{
    operand_pointer(p, c, OPERAND_COLUMN, name, t);
}

static void operand_column_if(const struct plan *p, struct chain *c, const char *name, const struct tensor *t)
{
    if (t)
        operand_column(p, c, name, t);
}

/* A number known at run time. */
static void operand_number(const struct plan *p, struct chain *c, enum operand_kind kind, const char *name,
                           const char *type, enum argument_kind argument, int64_t number)
{
    struct operand *o = chain_operand(p, c, kind, name, type);
    o->argument = argument;
    o->number = number;
}

/* "v_set(0.5f)": not worth a local variable: the compiler lifts them out of every loop. */
static const char *text_set(struct emitter *e, double x)
{
    return text_printf(e, "v_set(%s)", text_real(e, x));
}

/* Plain C as a factor of a product. */
static const char *text_factor(struct emitter *e, const char *value)
{
    return strchr(value, ' ') ? text_printf(e, "(%s)", value) : value;
}

/* ---- bias ------------------------------------------------------------------------------------------------------- */

static void bias_operands(const struct plan *p, const struct node *n, int value, struct chain *c)
{
    (void)value;
    operand_column(p, c, "bias", n->in[1]);
}

static const char *bias_apply(const struct link_text *t, const char *value)
{
    return text_printf(t->e, "v_add(%s, %s)", value, t->loads[0]);
}

static const char *sum_plain(const struct link_text *t, const char *value)
{
    if (!t->count)              /* x + x */
        return text_printf(t->e, "2.0f * %s", text_factor(t->e, value));
    return value ? text_printf(t->e, "%s + %s", value, t->loads[0]) : t->loads[0];
}

static double one_cycle(const struct plan *p, const struct node *n)
{
    (void)p;
    (void)n;
    return 1;
}

/* ---- activations ------------------------------------------------------------------------------------------------ */

/* The function of vectors; of a row that has none by hand it is written now. */
static const char *activation_function(struct emitter *e, const struct activation_row *row, bool gradient)
{
    const char *name = text_printf(e, "v_%s%s", row->symbol ? row->symbol : row->name, gradient ? "_grad" : "");
    if (row->tuned || table_get(&e->tiles, name))
        return name;
    table_put(&e->tiles, name, e);
    enum expr_dialect dialect = e->plan->real_double ? EXPR_VECTOR_DOUBLE : EXPR_VECTOR_FLOAT;
    emit_text_begin(e);
    if (gradient)
        activation_write_gradient(e->w, row, dialect, name);
    else
        activation_write(e->w, row, dialect, name);
    emit_written(e, name, emit_text_end(e),
                 text_printf(e, "%s%s: y = %s.", gradient ? "The gradient of " : "", row->name, row->formula));
    return name;
}

const char *text_activation(struct emitter *e, const struct attributes *attr, const char *value)
{
    const char *function = activation_function(e, attr->activation, false);
    if (activation_has_alpha(attr->activation))
        return text_printf(e, "%s(%s, %s)", function, value, text_real(e, attr->alpha));
    return text_printf(e, "%s(%s)", function, value);
}

const char *text_activation_grad(struct emitter *e, const struct attributes *attr, const char *dy, const char *reads)
{
    const char *function = activation_function(e, attr->activation, true);
    if (activation_has_alpha(attr->activation))
        return text_printf(e, "%s(%s, %s, %s)", function, dy, reads, text_real(e, attr->alpha));
    return text_printf(e, "%s(%s, %s)", function, dy, reads);
}

static const char *activation_apply(const struct link_text *t, const char *value)
{
    return text_activation(t->e, &t->node->attr, value);
}

/* The function of <math.h>, or one of its own, written when it is first needed. */
static const char *activation_plain(const struct link_text *t, const char *value)
{
    struct emitter *e = t->e;
    const struct activation_row *a = t->node->attr.activation;
    bool written;
    const char *function = activation_c_name(e->arena, a, EXPR_C_FLOAT, &written);
    if (written && !table_get(&e->tiles, function)) {
        table_put(&e->tiles, function, e);
        emit_text_begin(e);
        activation_write(e->w, a, EXPR_C_FLOAT, function);
        emit_written(e, function, emit_text_end(e), a->own ? text_printf(e, "%s: y = %s.", a->call, a->formula) : NULL);
    }
    if (activation_has_alpha(a))
        return text_printf(e, "%s(%s, %s)", function, value, text_real(e, t->node->attr.alpha));
    return text_printf(e, "%s(%s)", function, value);
}

static double activation_cycles(const struct plan *p, const struct node *n)
{
    (void)p;
    return n->attr.activation->cycles;
}

static void activation_grad_operands(const struct plan *p, const struct node *n, int value, struct chain *c)
{
    (void)value;
    if (n->in[1])
        operand_pointer(p, c, OPERAND_ELEMENT, "result", n->in[1]);
    else if (n->in[0])
        operand_pointer(p, c, OPERAND_ELEMENT, "argument", n->in[0]);
}

static const char *activation_grad_apply(const struct link_text *t, const char *value)
{
    return text_activation_grad(t->e, &t->node->attr, value, t->loads[0]);
}

static double activation_grad_cycles(const struct plan *p, const struct node *n)
{
    /* what reads its argument computes the function again; the others take what they need from its result */
    double cycles = activation_cycles(p, n);
    return n->in[1] && cycles > 4 ? 4 : cycles + 2;
}

/* ---- prelu ------------------------------------------------------------------------------------------------------ */

static void prelu_operands(const struct plan *p, const struct node *n, int value, struct chain *c)
{
    (void)value;
    if (n->op == OP_prelu_data_grad)
        operand_pointer(p, c, OPERAND_ELEMENT, "argument", n->in[0]);
    operand_column(p, c, "slopes", n->in[1]);
}

static const char *prelu_apply(const struct link_text *t, const char *value)
{
    return text_printf(t->e, "v_fma(v_min(v_zero(), %s), %s, v_max(v_zero(), %s))", value, t->loads[0], value);
}

static const char *prelu_plain(const struct link_text *t, const char *value)
{
    return text_printf(t->e, "(%s > 0.0f ? 1.0f : %s) * %s", text_factor(t->e, value), t->loads[0],
                       text_factor(t->e, value));
}

static const char *prelu_data_grad_apply(const struct link_text *t, const char *value)
{
    return text_printf(t->e, "v_mul(%s, v_select(v_gt(%s, v_zero()), %s, %s))", value, t->loads[0], text_set(t->e, 1),
                       t->loads[1]);
}

static double prelu_cycles(const struct plan *p, const struct node *n)
{
    (void)p;
    (void)n;
    return 3;
}

/* ---- dropout ---------------------------------------------------------------------------------------------------- */

static void dropout_operands(const struct plan *p, const struct node *n, int value, struct chain *c)
{
    const struct tensor *x = n->in[value];
    operand_number(p, c, OPERAND_SCALAR, "key", "uint64_t ", ARGUMENT_KEY, n->attr.stream);
    if (n->attr.by_channel)
        operand_number(p, c, OPERAND_INDEX_CHANNEL, "channel", "int64_t ", ARGUMENT_ELEMENT, x->shape.c);
    else
        operand_number(p, c, OPERAND_INDEX, "element", "int64_t ", ARGUMENT_ELEMENT, tensor_elements(x));
}

static const char *dropout_apply(const struct link_text *t, const char *value)
{
    double threshold = round(t->node->attr.rate * 4294967296.0);
    if (threshold > 4294967295.0)
        threshold = 4294967295.0;
    return text_printf(t->e, "v_dropout(%s, %s, %s, %.0fu, %s)", value, t->loads[0], t->loads[1], threshold,
                       text_real(t->e, 1 / (1 - t->node->attr.rate)));
}

static double dropout_cycles(const struct plan *p, const struct node *n)
{
    (void)n;
    return p->target->costs->random;
}

/* ---- sums and products ------------------------------------------------------------------------------------------- */

bool link_is_spread(const struct tensor *a, const struct tensor *b)
{
    return tensor_elements(b) != tensor_elements(a);
}

static void pair_operands(const struct plan *p, const struct node *n, int value, struct chain *c)
{
    const struct tensor *other = n->in[1 - value];
    if (tensor_base(n->in[0]) == tensor_base(n->in[1]))
        return;     /* x + x: the value is its own partner */
    if (link_is_spread(n->in[value], other))
        operand_pointer(p, c, OPERAND_COLUMN_SAMPLE, "spread", other);
    else
        operand_pointer(p, c, OPERAND_ELEMENT, n->op == OP_multiply ? "factor" : "addend", other);
}

static const char *add_apply(const struct link_text *t, const char *value)
{
    if (!t->count)
        return text_printf(t->e, "v_mul(%s, %s)", value, text_set(t->e, 2));
    return text_printf(t->e, "v_add(%s, %s)", value, t->loads[0]);
}

static const char *multiply_apply(const struct link_text *t, const char *value)
{
    return text_printf(t->e, "v_mul(%s, %s)", value, t->count ? t->loads[0] : value);
}

static const char *multiply_plain(const struct link_text *t, const char *value)
{
    const char *factor = text_factor(t->e, value);
    return text_printf(t->e, "%s * %s", factor, t->count ? t->loads[0] : factor);
}

/* ---- batch normalisation ---------------------------------------------------------------------------------------- */

static void batchnorm_operands(const struct plan *p, const struct node *n, int value, struct chain *c)
{
    (void)value;
    operand_column_if(p, c, "gamma", n->in[1]);
    operand_column_if(p, c, "beta", n->in[2]);
    operand_column(p, c, "mean", n->in[3]);
    if (n->op == OP_batchnorm)
        operand_column(p, c, "inverse_deviation", n->in[4]);
    else
        operand_column(p, c, "variance", n->in[4]);
}

/* The operands by name; gamma and beta NULL where there is none. */
struct norm_text {
    const char *gamma, *beta, *mean, *spread;
};

static struct norm_text norm_text_of(const struct link_text *t)
{
    const char *const *next = t->loads;
    struct norm_text o = { 0 };
    if (t->node->in[1])
        o.gamma = *next++;
    if (t->node->in[2])
        o.beta = *next++;
    o.mean = next[0];
    o.spread = next[1];
    return o;
}

/* a * b + addend, of what is there. */
static const char *text_fma(struct emitter *e, const char *a, const char *b, const char *addend)
{
    if (b && addend)
        return text_printf(e, "v_fma(%s, %s, %s)", a, b, addend);
    if (b || addend)
        return text_printf(e, "%s(%s, %s)", b ? "v_mul" : "v_add", a, b ? b : addend);
    return a;
}

static const char *batchnorm_apply(const struct link_text *t, const char *value)
{
    struct norm_text o = norm_text_of(t);
    const char *centered = text_printf(t->e, "v_sub(%s, %s)", value, o.mean);
    if (!o.gamma)
        return text_fma(t->e, centered, o.spread, o.beta);
    return text_fma(t->e, text_printf(t->e, "v_mul(%s, %s)", centered, o.spread), o.gamma, o.beta);
}

static double batchnorm_cycles(const struct plan *p, const struct node *n)
{
    (void)p;
    (void)n;
    return 5;
}

static void scale_operands(const struct plan *p, const struct node *n, int value, struct chain *c)
{
    (void)value;
    operand_column(p, c, "scale", n->in[1]);
    operand_column(p, c, "shift", n->in[2]);
}

static const char *scale_apply(const struct link_text *t, const char *value)
{
    return text_printf(t->e, "v_fma(%s, %s, %s)", value, t->loads[0], t->loads[1]);
}

static const char *scale_plain(const struct link_text *t, const char *value)
{
    return text_printf(t->e, "%s * %s + %s", text_factor(t->e, value), t->loads[0], t->loads[1]);
}

/* "v_sqrt(variance + epsilon)" */
static const char *text_deviation(const struct link_text *t, const char *variance)
{
    return text_printf(t->e, "v_sqrt(v_add(%s, %s))", variance, text_set(t->e, t->node->attr.epsilon));
}

static const char *batchnorm_use_apply(const struct link_text *t, const char *value)
{
    struct norm_text o = norm_text_of(t);
    const char *centered = text_printf(t->e, "v_sub(%s, %s)", value, o.mean);
    const char *scale = text_printf(t->e, "v_div(%s, %s)", o.gamma ? o.gamma : text_set(t->e, 1),
                                    text_deviation(t, o.spread));
    return text_fma(t->e, centered, scale, o.beta);
}

static double batchnorm_use_cycles(const struct plan *p, const struct node *n)
{
    (void)n;
    return p->target->costs->root;
}

static void batchnorm_use_grad_operands(const struct plan *p, const struct node *n, int value, struct chain *c)
{
    (void)value;
    operand_column_if(p, c, "gamma", n->in[0]);
    operand_column(p, c, "variance", n->in[1]);
}

static const char *batchnorm_use_grad_apply(const struct link_text *t, const char *value)
{
    if (!t->node->in[0])
        return text_printf(t->e, "v_div(%s, %s)", value, text_deviation(t, t->loads[0]));
    return text_printf(t->e, "v_mul(%s, v_div(%s, %s))", value, t->loads[0], text_deviation(t, t->loads[1]));
}

/* x, gamma, mean, inverse_deviation, dgamma, dbeta, dy -> dx */
static void batchnorm_data_grad_operands(const struct plan *p, const struct node *n, int value, struct chain *c)
{
    int64_t pixels = tensor_pixels(n->in[value]);
    operand_pointer(p, c, OPERAND_ELEMENT, "argument", n->in[0]);
    operand_column_if(p, c, "gamma", n->in[1]);
    operand_column(p, c, "mean", n->in[2]);
    operand_column(p, c, "inverse_deviation", n->in[3]);
    operand_column(p, c, "dgamma", n->in[4]);
    operand_column(p, c, "dbeta", n->in[5]);
    operand_number(p, c, OPERAND_SCALAR, "share", arena_printf(p->arena, "%s ", p->real), ARGUMENT_SHARE, pixels);
}

static const char *batchnorm_data_grad_apply(const struct link_text *t, const char *value)
{
    const char *argument = t->loads[0], *const *o = t->loads + (t->node->in[1] ? 2 : 1);
    const char *normal = text_printf(t->e, "v_mul(v_sub(%s, %s), %s)", argument, o[0], o[1]);
    const char *moved = text_printf(t->e, "v_mul(v_set(%s), v_fma(%s, %s, %s))", o[4], normal, o[2], o[3]);
    const char *scale = t->node->in[1] ? text_printf(t->e, "v_mul(%s, %s)", t->loads[1], o[1]) : o[1];
    return text_printf(t->e, "v_mul(%s, v_sub(%s, %s))", scale, value, moved);
}

static double batchnorm_data_grad_cycles(const struct plan *p, const struct node *n)
{
    (void)p;
    (void)n;
    return 12;
}

/* x, mean, shift, slope, dx -> dx */
static void batchnorm_rest_operands(const struct plan *p, const struct node *n, int value, struct chain *c)
{
    static const char *const names[] = { "shift", "slope" };
    operand_pointer(p, c, OPERAND_ELEMENT, "argument", n->in[0]);
    operand_column(p, c, "mean", n->in[1]);
    for (int i = 0; i < 2; i++) {
        operand_pointer(p, c, OPERAND_COLUMN_OF_MORE, names[i], n->in[2 + i]);
        c->operands[c->operands_count - 1].number = n->attr.channel;
    }
    operand_number(p, c, OPERAND_SCALAR, "share", arena_printf(p->arena, "%s ", p->real), ARGUMENT_SHARE,
                   tensor_pixels(n->in[value]));
}

static const char *batchnorm_rest_apply(const struct link_text *t, const char *value)
{
    const char *rest = text_printf(t->e, "v_fma(v_sub(%s, %s), %s, %s)", t->loads[0], t->loads[1], t->loads[3],
                                   t->loads[2]);
    return text_printf(t->e, "v_fma(v_set(%s), %s, %s)", t->loads[4], rest, value);
}

static double batchnorm_rest_cycles(const struct plan *p, const struct node *n)
{
    (void)p;
    (void)n;
    return 6;
}

/* ---- normalisation by moments of each sample -------------------------------------------------------------------- */

/* gamma or beta: a number a channel, or an element. */
static void affine_operand(const struct plan *p, struct chain *c, const char *name, const struct tensor *t)
{
    if (t)
        operand_pointer(p, c, t->param->form == &param_vector ? OPERAND_COLUMN : OPERAND_ELEMENT, name, t);
}

static void norm_operands(const struct plan *p, const struct node *n, int value, struct chain *c)
{
    (void)value;
    affine_operand(p, c, "gamma", n->in[1]);
    affine_operand(p, c, "beta", n->in[2]);
    operand_pointer(p, c, OPERAND_COLUMN_SAMPLE, "mean", n->in[3]);
    operand_pointer(p, c, OPERAND_COLUMN_SAMPLE, "inverse_deviation", n->in[4]);
}

static const char *norm_plain(const struct link_text *t, const char *value)
{
    struct norm_text o = norm_text_of(t);
    const char *text = text_printf(t->e, "(%s - %s) * %s", text_factor(t->e, value), o.mean, o.spread);
    if (o.gamma)
        text = text_printf(t->e, "%s * %s", text, o.gamma);
    return o.beta ? text_printf(t->e, "%s + %s", text, o.beta) : text;
}

/* x, gamma, mean, inverse_deviation, scale_means, shift_means, dy -> dx */
static void norm_data_grad_operands(const struct plan *p, const struct node *n, int value, struct chain *c)
{
    static const char *const names[] = { "mean", "inverse_deviation", "scale_means", "shift_means" };
    (void)value;
    operand_pointer(p, c, OPERAND_ELEMENT, "argument", n->in[0]);
    affine_operand(p, c, "gamma", n->in[1]);
    for (int i = 0; i < 4; i++)
        operand_pointer(p, c, OPERAND_COLUMN_SAMPLE, names[i], n->in[2 + i]);
}

static const char *norm_data_grad_apply(const struct link_text *t, const char *value)
{
    const char *argument = t->loads[0], *gamma = t->node->in[1] ? t->loads[1] : NULL,
        *const *o = t->loads + (gamma ? 2 : 1);
    const char *normal = text_printf(t->e, "v_mul(v_sub(%s, %s), %s)", argument, o[0], o[1]);
    const char *dy = gamma ? text_printf(t->e, "v_mul(%s, %s)", value, gamma) : value;
    return text_printf(t->e, "v_mul(%s, v_sub(%s, v_fma(%s, %s, %s)))", o[1], dy, normal, o[2], o[3]);
}

/* ---- constant factors -------------------------------------------------------------------------------------------- */

static const char *factor_apply(const struct link_text *t, const char *value)
{
    return text_printf(t->e, "v_mul(%s, %s)", value, text_set(t->e, t->node->attr.factor));
}

static const char *factor_plain(const struct link_text *t, const char *value)
{
    return text_printf(t->e, "%s * %s", text_factor(t->e, value), text_real(t->e, t->node->attr.factor));
}

/* ---- the table -------------------------------------------------------------------------------------------------- */

static void no_operands(const struct plan *p, const struct node *n, int value, struct chain *c)
{
    (void)p;
    (void)n;
    (void)value;
    (void)c;
}

static const struct link links[] = {
    { OP_bias, 0, bias_operands, bias_apply, one_cycle, sum_plain },
    { OP_scale, 0, scale_operands, scale_apply, one_cycle, scale_plain },
    { OP_activation, 0, no_operands, activation_apply, activation_cycles, activation_plain },
    { OP_activation_grad, 2, activation_grad_operands, activation_grad_apply, activation_grad_cycles, NULL },
    { OP_dropout, 0, dropout_operands, dropout_apply, dropout_cycles, NULL },
    { OP_dropout_grad, 0, dropout_operands, dropout_apply, dropout_cycles, NULL },
    { OP_add, 0, pair_operands, add_apply, one_cycle, sum_plain },
    { OP_multiply, 0, pair_operands, multiply_apply, one_cycle, multiply_plain },
    { OP_sum, 0, pair_operands, add_apply, one_cycle, NULL },
    { OP_factor, 0, no_operands, factor_apply, one_cycle, factor_plain },
    { OP_factor_grad, 0, no_operands, factor_apply, one_cycle, NULL },
    { OP_batchnorm, 0, batchnorm_operands, batchnorm_apply, batchnorm_cycles, NULL },
    { OP_batchnorm_use, 0, batchnorm_operands, batchnorm_use_apply, batchnorm_use_cycles, NULL },
    { OP_batchnorm_use_grad, 2, batchnorm_use_grad_operands, batchnorm_use_grad_apply, batchnorm_use_cycles, NULL },
    { OP_batchnorm_data_grad, 6, batchnorm_data_grad_operands, batchnorm_data_grad_apply,
      batchnorm_data_grad_cycles, NULL },
    { OP_batchnorm_rest_grad, 4, batchnorm_rest_operands, batchnorm_rest_apply, batchnorm_rest_cycles, NULL },
    { OP_prelu, 0, prelu_operands, prelu_apply, prelu_cycles, prelu_plain },
    { OP_prelu_data_grad, 2, prelu_operands, prelu_data_grad_apply, prelu_cycles, NULL },
    { OP_norm, 0, norm_operands, batchnorm_apply, batchnorm_cycles, norm_plain },
    { OP_norm_data_grad, 6, norm_data_grad_operands, norm_data_grad_apply, batchnorm_data_grad_cycles, NULL },
};

const struct link *link_find(enum op op)
{
    for (size_t i = 0; i < sizeof links / sizeof *links; i++)
        if (links[i].op == op)
            return &links[i];
    return NULL;
}

bool link_is_sum(const struct link *link)
{
    return link->plain == sum_plain;
}
