/* expr_evaluate.c - expressions in double: what constants are folded with, and what emitted code is compared with.
 *
 * Conditions are 1 and 0.  Node after node, a block of elements at a time; where there are reductions, all elements. */
#include <assert.h>
#include <math.h>

#include "expr/expr_parts.h"

enum { BLOCK = 256 };

double expr_apply(enum expr_op op, double a, double b, double c)
{
    switch (op) {
    case EXPR_NAMED: return a;
    case EXPR_NEGATE: return -a;
    case EXPR_ADD: return a + b;
    case EXPR_SUB: return a - b;
    case EXPR_MUL: return a * b;
    case EXPR_DIV: return a / b;
    case EXPR_MOD: return a - floor(a / b) * b;
    case EXPR_POW: return pow(a, b);
    case EXPR_EQ: return a == b;
    case EXPR_NE: return a != b;
    case EXPR_LT: return a < b;
    case EXPR_GT: return a > b;
    case EXPR_LE: return a <= b;
    case EXPR_GE: return a >= b;
    case EXPR_AND: return a != 0 && b != 0;
    case EXPR_OR: return a != 0 || b != 0;
    case EXPR_NOT: return a == 0;
    case EXPR_IF: return a != 0 ? b : c;
    case EXPR_EXP: return exp(a);
    case EXPR_LOG: return log(a);
    case EXPR_LOG1P: return log1p(a);
    case EXPR_EXPM1: return expm1(a);
    case EXPR_SQRT: return sqrt(a);
    case EXPR_ABS: return fabs(a);
    case EXPR_SIGN: return a > 0 ? 1 : a < 0 ? -1 : a;
    case EXPR_ROUND: return rint(a);
    case EXPR_FLOOR: return floor(a);
    case EXPR_TANH: return tanh(a);
    case EXPR_SIGMOID: return 1 / (1 + exp(-a));
    case EXPR_SOFTPLUS: return (a >= 0 || isnan(a) ? a : 0) + log1p(exp(-fabs(a)));
    case EXPR_ERF: return erf(a);
    case EXPR_ERFC: return erfc(a);
    case EXPR_SIN: return sin(a);
    case EXPR_COS: return cos(a);
    case EXPR_NORMAL_SHARE: return 0.5 * erfc(-0.70710678118654752 * a);
    case EXPR_RELU: return a >= 0 || isnan(a) ? a : 0;
    case EXPR_MIN: return a <= b || isnan(a) ? a : b;
    case EXPR_MAX: return a >= b || isnan(a) ? a : b;
    case EXPR_CLIP:
        a = a >= b || isnan(a) ? a : b;
        return a <= c || isnan(a) ? a : c;
    case EXPR_NUMBER: case EXPR_INPUT: case EXPR_COUNT: case EXPR_SUM: case EXPR_MEAN: case EXPR_OPERATIONS: break;
    }
    assert(!"an operation on numbers");
    return 0;
}

struct evaluation {
    const struct expr_pool *pool;
    const double *const *inputs;
    int64_t count;                      /* elements of an array in all */
    const double **values;              /* by node: of a block of elements, or one number */
};

static const double *reduce(const struct evaluation *v, struct arena *a, const struct expr *e, int64_t count)
{
    const double *x = v->values[e->args[0]->id];
    double *sum = arena_alloc(a, sizeof *sum);
    for (int64_t i = 0; i < count; i++)
        *sum += x[e->args[0]->is_array ? i : 0];
    if (e->op == EXPR_MEAN)
        *sum /= (double)count;
    return sum;
}

static const double *element_by_element(const struct evaluation *v, const struct expr *e, int64_t count, double *y)
{
    const double *x[EXPR_ARGUMENTS] = { NULL };
    int step[EXPR_ARGUMENTS] = { 0 };
    const double none = 0;
    for (int k = 0; k < EXPR_ARGUMENTS; k++) {
        bool there = k < expr_arguments(e);
        x[k] = there ? v->values[e->args[k]->id] : &none;
        step[k] = there && e->args[k]->is_array;
    }
    for (int64_t i = 0; i < (e->is_array ? count : 1); i++)
        y[i] = expr_apply(e->op, x[0][i * step[0]], x[1][i * step[1]], x[2][i * step[2]]);
    return y;
}

/* Elements first .. first + count. */
static void evaluate_block(struct evaluation *v, struct arena *a, double **rooms, const bool *reached, int last,
                           int64_t first, int64_t count)
{
    for (int i = 0; i <= last; i++) {
        const struct expr *e = v->pool->nodes[i];
        if (!reached[i])
            continue;
        if (e->op == EXPR_NUMBER) {
            v->values[i] = &e->number;
        } else if (e->op == EXPR_INPUT) {
            v->values[i] = v->inputs[e->index] + (e->is_array ? first : 0);
        } else if (e->op == EXPR_COUNT) {
            *rooms[i] = (double)v->count;
            v->values[i] = rooms[i];
        } else if (expr_is_reduction(e)) {
            v->values[i] = reduce(v, a, e, count);
        } else {
            v->values[i] = element_by_element(v, e, count, rooms[i]);
        }
    }
}

void expr_evaluate(const struct expr_pool *p, const struct expr *e, const double *const *inputs, int64_t count,
                   double *result)
{
    struct arena a = {0};
    const bool *reached = expr_reached(p, &e, 1);
    bool reduces = false;
    for (int i = 0; i <= e->id; i++)
        reduces = reduces || (reached[i] && expr_is_reduction(p->nodes[i]));
    const int64_t block = reduces || count < BLOCK ? count : BLOCK;
    struct evaluation v = { p, inputs, count, arena_array(&a, (size_t)p->count, sizeof *v.values) };
    double **rooms = arena_array(&a, (size_t)p->count, sizeof *rooms);
    for (int i = 0; i <= e->id; i++)
        if (reached[i])
            rooms[i] = arena_array(&a, p->nodes[i]->is_array ? (size_t)block : 1, sizeof **rooms);
    for (int64_t first = 0; first < (e->is_array || reduces ? count : 1); first += block) {
        int64_t some = count - first < block ? count - first : block;
        evaluate_block(&v, &a, rooms, reached, e->id, first, some);
        for (int64_t i = 0; i < (e->is_array ? some : 1); i++)
            result[first + i] = v.values[e->id][i];
        if (!e->is_array)
            break;
    }
    arena_free(&a);
}
