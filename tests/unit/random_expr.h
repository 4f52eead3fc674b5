/* random_expr.h - random expressions, for test_expr.c and expr_cases.c.
 *
 * They keep to where functions are defined (a logarithm of |x| + 0.5), and to moderate numbers: what is not finite has
 * tests of its own. */
#ifndef RANDOM_EXPR_H
#define RANDOM_EXPR_H

#include <math.h>

#include "expr/expr.h"

struct random_expr {
    struct expr_pool *pool;
    const struct expr *const *leaves;
    int leaves_count;
    uint64_t state;
    /* no jumps: nothing that compares, rounds or takes a sign, but in conditions of other inputs */
    bool smooth;
    bool vectors;           /* nothing that has no vector code: functions of rates alone */
};

static inline uint64_t random_word(struct random_expr *r)
{
    r->state += 0x9e3779b97f4a7c15u;
    uint64_t x = r->state;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static inline int random_below(struct random_expr *r, int n)
{
    return (int)(random_word(r) % (uint64_t)n);
}

/* A number that is the same in float. */
static inline double random_number(struct random_expr *r)
{
    return (random_below(r, 4001) - 2000) / 512.0;
}

static inline const struct expr *node(struct random_expr *r, enum expr_op op, const struct expr *a,
                                      const struct expr *b, const struct expr *c)
{
    return expr_make(r->pool, op, (const struct expr *[]){ a, b, c });
}

/* |x| + 0.5 */
static inline const struct expr *positive(struct random_expr *r, const struct expr *x)
{
    return node(r, EXPR_ADD, node(r, EXPR_ABS, x, NULL, NULL), expr_number(r->pool, 0.5), NULL);
}

/* Within -3 .. 3. */
static inline const struct expr *moderate(struct random_expr *r, const struct expr *x)
{
    return node(r, EXPR_MUL, expr_number(r->pool, 3), node(r, EXPR_TANH, x, NULL, NULL), NULL);
}

static const struct expr *random_expr(struct random_expr *r, int depth);

static inline const struct expr *random_condition(struct random_expr *r, int depth)
{
    static const enum expr_op compare[] = { EXPR_EQ, EXPR_NE, EXPR_LT, EXPR_GT, EXPR_LE, EXPR_GE };
    if (depth > 1 && random_below(r, 3) == 0) {
        static const enum expr_op junction[] = { EXPR_AND, EXPR_OR, EXPR_NOT };
        enum expr_op op = junction[random_below(r, 3)];
        const struct expr *a = random_condition(r, depth - 1);
        return node(r, op, a, op == EXPR_NOT ? NULL : random_condition(r, depth - 1), NULL);
    }
    return node(r, compare[random_below(r, 6)], random_expr(r, depth - 1), random_expr(r, depth - 1), NULL);
}

static inline bool is_jump(enum expr_op op)
{
    return op == EXPR_SIGN || op == EXPR_ROUND || op == EXPR_FLOOR || op == EXPR_MOD;
}

static const struct expr *random_expr(struct random_expr *r, int depth)
{
    if (depth <= 0 || random_below(r, 8) == 0) {
        int leaf = random_below(r, r->leaves_count + 1);
        return leaf < r->leaves_count ? r->leaves[leaf] : expr_number(r->pool, random_number(r));
    }
    enum expr_op op;
    const struct expr_op_row *row;
    do {
        op = (enum expr_op)random_below(r, EXPR_OPERATIONS);
        row = expr_op_row(op);
    } while (row->kind == EXPR_LEAF || row->kind == EXPR_REDUCTION || row->is_condition || (r->smooth && is_jump(op)) ||
             (r->vectors && !row->vector));
    if (op == EXPR_IF)
        return node(r, op, random_condition(r, depth - 1), random_expr(r, depth - 1), random_expr(r, depth - 1));
    const struct expr *a = random_expr(r, depth - 1), *b = NULL, *c = NULL;
    if (row->arguments > 1)
        b = random_expr(r, depth - 1);
    if (row->arguments > 2)
        c = random_expr(r, depth - 1);
    switch (op) {
    case EXPR_DIV: case EXPR_MOD: b = positive(r, b); break;
    case EXPR_POW: a = positive(r, moderate(r, a)); b = moderate(r, b); break;
    case EXPR_LOG: case EXPR_SQRT: case EXPR_LOG1P: a = positive(r, a); break;
    case EXPR_EXP: case EXPR_EXPM1: case EXPR_MUL: a = moderate(r, a); break;
    default: break;
    }
    return node(r, op, a, b, c);
}

#endif
