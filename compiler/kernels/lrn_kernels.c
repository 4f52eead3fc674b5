/* lrn_kernels.c - local response normalisation, a pixel at a time.
 *
 * A pixel's squares are written into a row with zeros on both sides, and a vector of sums is as many loads of it, each
 * one channel further.  The gradient needs a second such row, of what each number passes on to its neighbours. */
#include <inttypes.h>

#include "kernels/loops.h"

enum { UNROLLED = 9 };          /* channels of a sum that are written one by one */

/* Channels below and above that count for one. */
static int below(const struct node *n)
{
    return n->attr.size / 2;
}

static int above(const struct node *n)
{
    return (n->attr.size - 1) / 2;
}

/* Of a row: what reaches below its first channel and, from its last vector, above. */
static int64_t row_reals(const struct plan *p, const struct node *n)
{
    return plan_round(padded_channels(p, n->in[0]) + n->attr.size, p->lanes);
}

static int rows(const struct node *n)
{
    return n->backward ? 2 : 1;
}

/* An exact power of roots, where there is one. */
static bool has_roots(double power)
{
    return power == 0.5 || power == 0.75 || power == 1;
}

static double lrn_cost(const struct plan *p, const struct group *g)
{
    const struct node *n = g->main;
    double power = has_roots(n->attr.power) ? p->target->costs->root : 2 * p->target->costs->exponential;
    return pass_cycles(p, n->in[0], rows(n) * (n->attr.size + 4) + power + chain_cycles(p, g), rows(n) + 1);
}

static void lrn_plan(struct plan *p, struct program *q, struct group *g)
{
    const struct node *n = g->main;     /* x[, dy] -> y or dx */
    struct step *s = plan_step(p, q, g, 0, SPLIT_IMAGES, 0, n->backward ? "data gradient" : "forward",
                               group_flops(p, g));
    for (int i = 0; i < n->in_count; i++)
        step_takes(p, s, ACCESS_READ, n->in[i]);
    step_takes(p, s, ACCESS_WRITE, g->result);
    step_scratch(p, s, rows(n) * row_reals(p, n) * p->real_size);
    step_takes_chain(p, s);
}

struct lrn {
    const struct node *node;
    const struct chain *chain;
};

/* Declares `sum`, of the channels from `lowest` below the vector's on. */
static void line_sum(struct emitter *e, const char *row, int size, const char *at)
{
    if (size > UNROLLED) {
        cw_line(e->w, "v sum = v_load(%s);", text_plus(e, row, at));
        cw_open(e->w, "for (int t = 1; t < %d; t++)", size);
        cw_line(e->w, "sum = v_add(sum, v_load(%s + t));", text_plus(e, row, at));
        cw_close(e->w, "");
        return;
    }
    const char *sum = text_load(e, row, at, 0);
    for (int t = 1; t < size; t++)
        sum = text_printf(e, "v_add(%s, v_load(%s + %d))", sum, text_plus(e, row, at), t);
    cw_line(e->w, "const v sum = %s;", sum);
}

/* Declares `divisor`, and `power`, the divisor to the power -beta. */
static void lines_power(struct emitter *e, const struct node *n, const char *at)
{
    double beta = n->attr.power;
    const char *one = text_printf(e, "v_set(%s)", text_real(e, 1));
    line_sum(e, "squares", n->attr.size, at);
    cw_line(e->w, "const v divisor = v_fma(v_set(%s), sum, v_set(%s));", text_real(e, n->attr.factor),
            text_real(e, n->attr.offset));
    if (beta == 0.75)
        cw_line(e->w, "const v root = v_sqrt(divisor);");
    const char *power = text_printf(e, "v_exp(v_mul(v_set(%s), v_log(divisor)))", text_real(e, -beta));
    if (has_roots(beta))
        power = text_printf(e, "v_div(%s, %s)", one, beta == 0.75 ? "v_mul(root, v_sqrt(root))"
                                                     : beta == 0.5  ? "v_sqrt(divisor)" : "divisor");
    cw_line(e->w, "const v power = %s;", power);
}

static void squares_body(struct emitter *e, const void *data, const char *at, int tail)
{
    const struct lrn *l = data;
    cw_line(e->w, "const v value = %s;", text_load(e, "xp", at, tail));
    cw_line(e->w, "v_store(squares + %s, v_mul(value, value));", text_plus(e, text_printf(e, "%d", below(l->node)),
                                                                           at));
}

static void forward_body(struct emitter *e, const void *data, const char *at, int tail)
{
    const struct lrn *l = data;
    const char *element = text_plus(e, "first", at);
    lines_power(e, l->node, at);
    cw_line(e->w, "const v value = v_mul(%s, power);", text_load(e, "xp", at, tail));
    line_store(e, "y", element, chain_apply_at(e, l->chain, "value", at, element, tail), tail);
}

/* What is of each number alone; and what it passes on.  Beside the map nothing is passed on: x is 0 there. */
static void own_body(struct emitter *e, const void *data, const char *at, int tail)
{
    const struct lrn *l = data;
    lines_power(e, l->node, at);
    cw_line(e->w, "const v own = v_mul(%s, power);", text_load(e, "dyp", at, tail));
    line_store(e, "dx", text_plus(e, "first", at), "own", tail);
    cw_line(e->w, "v_store(passed + %s, v_div(v_mul(own, %s), divisor));",
            text_plus(e, text_printf(e, "%d", above(l->node)), at), text_load(e, "xp", at, tail));
}

static void grad_body(struct emitter *e, const void *data, const char *at, int tail)
{
    const struct lrn *l = data;
    const struct node *n = l->node;
    const char *element = text_plus(e, "first", at);
    line_sum(e, "passed", n->attr.size, at);
    cw_line(e->w, "const v factor = v_mul(v_set(%s), %s);", text_real(e, -2 * n->attr.factor * n->attr.power),
            text_load(e, "xp", at, tail));
    cw_line(e->w, "const v value = v_fma(factor, sum, %s);", text_load(e, "dx", element, tail));
    line_store(e, "dx", element, chain_apply_at(e, l->chain, "value", at, element, tail), tail);
}

static const char *lrn_emit(struct emitter *e, const struct step *s)
{
    const struct node *n = s->group->main;
    const struct tensor *x = n->in[0];
    const char *real = e->plan->real;
    struct chain c;
    chain_make(e->plan, s->group, &c);
    struct lrn l = { n, &c };
    emit_function(e, "const %s *x%s, %s *restrict %s, void *scratch%s", real,
                  n->backward ? text_printf(e, ", const %s *dy", real) : "", real, n->backward ? "dx" : "y",
                  chain_parameters(e, &c));
    cw_line(e->w, "// %s (%d, %d, %d), sums of %d channels", n->backward ? "x, dy" : "x", x->shape.h, x->shape.w,
            x->shape.c, n->attr.size);
    cw_line(e->w, "%s *const squares = scratch;", real);
    if (n->backward)
        cw_line(e->w, "%s *const passed = squares + %" PRId64 ";", real, row_reals(e->plan, n));
    cw_line(e->w, "memset(scratch, 0, sizeof(%s) * %" PRId64 ");", real, rows(n) * row_reals(e->plan, n));
    loop_open(e, "p", 0, tensor_pixels(x), 1);
    cw_line(e->w, "const int first = p * %d;", x->shape.c);
    cw_line(e->w, "const %s *const xp = x + first;", real);
    if (n->backward)
        cw_line(e->w, "const %s *const dyp = dy + first;", real);
    each_vector(e, "j", x->shape.c, squares_body, &l);
    if (n->backward)
        each_vector(e, "j", x->shape.c, own_body, &l);
    each_vector(e, "j", x->shape.c, n->backward ? grad_body : forward_body, &l);
    cw_close(e->w, "}");
    const char *hint = text_printf(e, "lrn%s_%d_%s%s", n->backward ? "_grad" : "", n->attr.size,
                                   text_shape(e, x->shape), chain_suffix(e, &c));
    return emit_end(e, hint, emit_comment(e, s));
}

#define LRN(operation)                                                                                              \
    const struct kernel kernel_##operation = {                                                                      \
        .name = #operation, .op = OP_##operation, .fuses_chain = true, .applicable = always_applicable,             \
        .cost = lrn_cost, .plan = lrn_plan, .emit = lrn_emit, .help = "a pixel at a time, channels in vectors",     \
    };

LRN(lrn)
LRN(lrn_grad)
