/* expr_simplify.c - the same value with less work, or with more exact work.
 *
 * Nothing is assumed finite and nothing is put into another order: x * 0 stays (x may be infinite), so do x - x and
 * x + 0 (-0 + 0 is 0).  A result differs in its last bits only where it becomes more exact: softplus, sigmoid, expm1
 * and log1p recognised, 1 + erf(x) as erfc(-x), small whole powers as products. */
#include <assert.h>
#include <math.h>

#include "expr/expr_parts.h"

enum { POWER_MOST = 4 };        /* as products */

static const struct expr *build1(struct expr_pool *p, enum expr_op op, const struct expr *a)
{
    return expr_build(p, op, &a);
}

const struct expr *expr_build2(struct expr_pool *p, enum expr_op op, const struct expr *a, const struct expr *b)
{
    return expr_build(p, op, (const struct expr *[]){ a, b });
}

static const struct expr *build_if(struct expr_pool *p, const struct expr *c, const struct expr *a,
                                   const struct expr *b)
{
    return expr_build(p, EXPR_IF, (const struct expr *[]){ c, a, b });
}

/* ---- what is known of a condition ------------------------------------------------------------ */

/* 1: true, 0: false, -1: not known. */
static int truth(const struct expr *c)
{
    const struct expr *const *a = c->args;
    if (c->op == EXPR_NOT)
        return truth(a[0]) < 0 ? -1 : !truth(a[0]);
    if (expr_arguments(c) != 2 || a[0]->op != EXPR_NUMBER || a[1]->op != EXPR_NUMBER)
        return -1;
    return expr_apply(c->op, a[0]->number, a[1]->number, 0) != 0;
}

bool expr_is_truth(const struct expr *e)
{
    return e->op == EXPR_IF && expr_is_number(e->args[1], 1) && expr_is_number(e->args[2], 0);
}

static const struct expr *as_number(struct expr_pool *p, const struct expr *e)
{
    return e->is_condition ? build_if(p, e, expr_number(p, 1), expr_number(p, 0)) : e;
}

static const struct expr *as_condition(struct expr_pool *p, const struct expr *e)
{
    if (e->is_condition)
        return e;
    return expr_is_truth(e) ? e->args[0] : expr_build2(p, EXPR_NE, e, expr_number(p, 0));
}

/* ---- rules, each NULL where it does not apply ------------------------------------------------ */

static const struct expr *fold(struct expr_pool *p, enum expr_op op, const struct expr *const *a)
{
    const struct expr_op_row *row = expr_op_row(op);
    if (row->kind == EXPR_LEAF || row->kind == EXPR_REDUCTION || row->kind == EXPR_CHOICE || row->is_condition)
        return NULL;
    for (int i = 0; i < row->arguments; i++)
        if (a[i]->op != EXPR_NUMBER)
            return NULL;
    double x = expr_apply(op, a[0]->number, row->arguments > 1 ? a[1]->number : 0, row->arguments > 2 ? a[2]->number
                          : 0);
    return isfinite(x) ? expr_number(p, x) : NULL;
}

/* The x of 1 + f(x), in either order; NULL: something else. */
static const struct expr *one_and(const struct expr *sum, enum expr_op f)
{
    if (sum->op != EXPR_ADD)
        return NULL;
    const struct expr *a = sum->args[0], *b = sum->args[1];
    if (expr_is_number(a, 1) && b->op == f)
        return b->args[0];
    return expr_is_number(b, 1) && a->op == f ? a->args[0] : NULL;
}

/* The x of 1 + x. */
static const struct expr *one_more(const struct expr *sum)
{
    if (sum->op != EXPR_ADD)
        return NULL;
    return expr_is_number(sum->args[0], 1) ? sum->args[1] : expr_is_number(sum->args[1], 1) ? sum->args[0] : NULL;
}

static const struct expr *recognise(struct expr_pool *p, enum expr_op op, const struct expr *const *a)
{
    const struct expr *x;
    if (op == EXPR_LOG && (x = one_and(a[0], EXPR_EXP)))
        return build1(p, EXPR_SOFTPLUS, x);
    if (op == EXPR_LOG1P && a[0]->op == EXPR_EXP)
        return build1(p, EXPR_SOFTPLUS, a[0]->args[0]);
    if (op == EXPR_LOG && (x = one_more(a[0])))
        return build1(p, EXPR_LOG1P, x);
    if (op == EXPR_SUB && a[0]->op == EXPR_EXP && expr_is_number(a[1], 1))
        return build1(p, EXPR_EXPM1, a[0]->args[0]);
    if (op == EXPR_ADD && a[0]->op == EXPR_EXP && expr_is_number(a[1], -1))
        return build1(p, EXPR_EXPM1, a[0]->args[0]);
    /* erfc keeps the digits of what is near 0 */
    if (op == EXPR_ADD && expr_is_number(a[0], 1) && a[1]->op == EXPR_ERF)
        return build1(p, EXPR_ERFC, build1(p, EXPR_NEGATE, a[1]->args[0]));
    if (op == EXPR_ADD && expr_is_number(a[1], 1) && a[0]->op == EXPR_ERF)
        return build1(p, EXPR_ERFC, build1(p, EXPR_NEGATE, a[0]->args[0]));
    if (op == EXPR_SUB && expr_is_number(a[0], 1) && a[1]->op == EXPR_ERF)
        return build1(p, EXPR_ERFC, a[1]->args[0]);
    if (op == EXPR_DIV && expr_is_number(a[0], 1) && (x = one_and(a[1], EXPR_EXP)))
        return build1(p, EXPR_SIGMOID, build1(p, EXPR_NEGATE, x));
    return NULL;
}

static const struct expr *power(struct expr_pool *p, const struct expr *base, const struct expr *exponent)
{
    if (exponent->op != EXPR_NUMBER)
        return NULL;
    double n = exponent->number;
    if (n == 0)
        return expr_number(p, 1);       /* of anything, as in C */
    if (n == -1)
        return expr_build2(p, EXPR_DIV, expr_number(p, 1), base);
    if (n != floor(n) || n < 1 || n > POWER_MOST)
        return NULL;
    const struct expr *square = n > 1 ? expr_build2(p, EXPR_MUL, base, base) : base;
    return n <= 2 ? square : expr_build2(p, EXPR_MUL, square, n == 3 ? base : square);
}

/* A division by it is a product with 1/c to the bit. */
static bool is_power_of_two(double c)
{
    int exponent;
    return isfinite(c) && fabs(frexp(c, &exponent)) == 0.5 && exponent > -100 && exponent < 100;
}

static const struct expr *signs(struct expr_pool *p, enum expr_op op, const struct expr *const *a)
{
    bool first = a[0]->op == EXPR_NEGATE, second = expr_op_row(op)->arguments > 1 && a[1]->op == EXPR_NEGATE;
    switch (op) {
    case EXPR_NEGATE: return first ? a[0]->args[0] : NULL;
    case EXPR_ABS: return first ? build1(p, EXPR_ABS, a[0]->args[0]) : NULL;
    case EXPR_ADD:
        if (second)
            return expr_build2(p, EXPR_SUB, a[0], a[1]->args[0]);
        return first ? expr_build2(p, EXPR_SUB, a[1], a[0]->args[0]) : NULL;
    case EXPR_SUB: return second ? expr_build2(p, EXPR_ADD, a[0], a[1]->args[0]) : NULL;
    case EXPR_MUL:
    case EXPR_DIV:
        if (first && a[1]->op == EXPR_NUMBER)
            return expr_build2(p, op, a[0]->args[0], expr_number(p, -a[1]->number));
        if (second && a[0]->op == EXPR_NUMBER)
            return expr_build2(p, op, expr_number(p, -a[0]->number), a[1]->args[0]);
        if (first && second)
            return expr_build2(p, op, a[0]->args[0], a[1]->args[0]);
        if (first)
            return build1(p, EXPR_NEGATE, expr_build2(p, op, a[0]->args[0], a[1]));
        return second ? build1(p, EXPR_NEGATE, expr_build2(p, op, a[0], a[1]->args[0])) : NULL;
    default: return NULL;
    }
}

static const struct expr *neutral(struct expr_pool *p, enum expr_op op, const struct expr *const *a)
{
    switch (op) {
    case EXPR_SUB: return expr_is_number(a[1], 0) && !signbit(a[1]->number) ? a[0] : NULL;
    case EXPR_MUL:
        for (int i = 0; i < 2; i++) {
            if (expr_is_number(a[i], 1))
                return a[1 - i];
            if (expr_is_number(a[i], -1))
                return build1(p, EXPR_NEGATE, a[1 - i]);
        }
        return NULL;
    case EXPR_DIV:
        if (expr_is_number(a[1], 1))
            return a[0];
        if (a[1]->op == EXPR_NUMBER && is_power_of_two(a[1]->number))
            return expr_build2(p, EXPR_MUL, a[0], expr_number(p, 1 / a[1]->number));
        return NULL;
    case EXPR_POW: return power(p, a[0], a[1]);
    case EXPR_MIN: case EXPR_MAX: return a[0] == a[1] ? a[0] : NULL;
    case EXPR_ROUND: return a[0]->op == EXPR_FLOOR ? a[0] : NULL;
    case EXPR_FLOOR: return a[0]->op == EXPR_ROUND ? a[0] : NULL;
    default: return NULL;
    }
}

static const struct expr *logic(struct expr_pool *p, enum expr_op op, const struct expr *const *a)
{
    int known = expr_op_row(op)->takes_conditions ? truth(a[0]) : -1;
    switch (op) {
    case EXPR_AND:
    case EXPR_OR:
        if (known >= 0)
            return known == (op == EXPR_AND) ? a[1] : a[0];
        known = truth(a[1]);
        if (known >= 0)
            return known == (op == EXPR_AND) ? a[0] : a[1];
        return a[0] == a[1] ? a[0] : NULL;
    case EXPR_NOT:
        if (a[0]->op == EXPR_NOT)
            return a[0]->args[0];
        if (a[0]->op == EXPR_EQ || a[0]->op == EXPR_NE)
            return expr_make(p, a[0]->op == EXPR_EQ ? EXPR_NE : EXPR_EQ, a[0]->args);
        return NULL;
    case EXPR_NE: return expr_is_truth(a[0]) && expr_is_number(a[1], 0) ? a[0]->args[0] : NULL;
    default: return NULL;
    }
}

static const struct expr *choice(struct expr_pool *p, const struct expr *const *a)
{
    int known = truth(a[0]);
    if (known >= 0)
        return known ? a[1] : a[2];
    if (a[1] == a[2])
        return a[1];
    if (a[0]->op == EXPR_NOT)
        return build_if(p, a[0]->args[0], a[2], a[1]);
    if (a[1]->op == EXPR_IF && a[1]->args[0] == a[0])
        return build_if(p, a[0], a[1]->args[1], a[2]);
    if (a[2]->op == EXPR_IF && a[2]->args[0] == a[0])
        return build_if(p, a[0], a[1], a[2]->args[2]);
    return NULL;
}

const struct expr *expr_build(struct expr_pool *p, enum expr_op op, const struct expr *const *given)
{
    const struct expr_op_row *row = expr_op_row(op);
    const struct expr *a[EXPR_ARGUMENTS] = { NULL }, *e;
    for (int i = 0; i < row->arguments; i++) {
        bool condition = row->takes_conditions || (op == EXPR_IF && i == 0);
        a[i] = condition ? as_condition(p, given[i]) : as_number(p, given[i]);
    }
    if (op == EXPR_IF)
        e = choice(p, a);
    else if ((e = fold(p, op, a)) || (e = recognise(p, op, a)) || (e = signs(p, op, a)) || (e = neutral(p, op, a)))
        return e;
    else if (row->repeats && a[0]->op == op)
        return a[0];
    else
        e = logic(p, op, a);
    return e ? e : expr_make(p, op, a);
}

void expr_simplify(struct expr_pool *p, const struct expr **roots, int count)
{
    const bool *reached = expr_reached(p, roots, count);
    const int nodes = p->count;
    const struct expr **becomes = arena_array(p->arena, (size_t)nodes, sizeof *becomes);
    for (int i = 0; i < nodes; i++) {
        const struct expr *e = p->nodes[i], *args[EXPR_ARGUMENTS] = { NULL };
        if (!reached[i])
            continue;
        for (int k = 0; k < expr_arguments(e); k++)
            args[k] = becomes[e->args[k]->id];
        if (e->op == EXPR_NAMED)
            becomes[i] = args[0];
        else
            becomes[i] = expr_op_row(e->op)->kind == EXPR_LEAF ? e : expr_build(p, e->op, args);
    }
    for (int i = 0; i < count; i++)
        roots[i] = becomes[roots[i]->id];
}
