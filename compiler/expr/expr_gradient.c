/* expr_gradient.c - derivatives.  What stands at kinks is in the rows of operations.def.
 *
 * A derivative is built along the pool, each node's from those of its arguments.  Where a choice makes a factor 0, the
 * product is 0 whatever the other factor would be, infinite or no number at all: what is not taken contributes
 * nothing. */
#include <assert.h>

#include "expr/expr_parts.h"

enum { CHOICES_DEEPEST = 8 };       /* choices within choices that products go into; beyond, 0 is looked for when run */

static const struct expr *build_if(struct expr_pool *p, const struct expr *c, const struct expr *a,
                                   const struct expr *b)
{
    return expr_build(p, EXPR_IF, (const struct expr *[]){ c, a, b });
}

static bool is_zero(const struct expr *e)
{
    return expr_is_number(e, 0);
}

/* ---- sums and products of derivatives, in which a 0 is nothing ------------------------------- */

static const struct expr *scale(struct expr_pool *p, const struct expr *a, const struct expr *b, int depth)
{
    if (is_zero(a) || is_zero(b))
        return expr_number(p, 0);
    for (int i = 0; i < 2; i++) {
        const struct expr *chosen = i ? b : a, *other = i ? a : b;
        if (!chosen->chooses_zero)
            continue;
        if (chosen->op == EXPR_IF && depth < CHOICES_DEEPEST)
            return build_if(p, chosen->args[0], scale(p, chosen->args[1], other, depth + 1),
                            scale(p, chosen->args[2], other, depth + 1));
        const struct expr *none = expr_build2(p, EXPR_EQ, chosen, expr_number(p, 0));
        return build_if(p, none, expr_number(p, 0), expr_build2(p, EXPR_MUL, a, b));
    }
    return expr_build2(p, EXPR_MUL, a, b);
}

const struct expr *expr_scale(struct expr_pool *p, const struct expr *factor, const struct expr *derivative)
{
    return scale(p, factor, derivative, 0);
}

static const struct expr *add(struct expr_pool *p, const struct expr *a, const struct expr *b)
{
    if (is_zero(a))
        return b;
    if (is_zero(b))
        return a;
    if (a->op == EXPR_IF && b->op == EXPR_IF && a->args[0] == b->args[0] && (a->chooses_zero || b->chooses_zero))
        return build_if(p, a->args[0], add(p, a->args[1], b->args[1]), add(p, a->args[2], b->args[2]));
    return expr_build2(p, EXPR_ADD, a, b);
}

/* ---- along the pool -------------------------------------------------------------------------- */

/* By each argument its row's formula, times the argument's own derivative. */
static const struct expr *of_operation(struct expr_pool *p, const struct expr *e, const struct expr *const *d)
{
    const struct expr_op_row *row = expr_op_row(e->op);
    const struct expr *sum = expr_number(p, 0);
    for (int k = 0; k < row->arguments; k++) {
        const struct expr *inner = d[e->args[k]->id];
        if (row->derivative[k] && !is_zero(inner))
            sum = add(p, sum, scale(p, expr_of_row(p, row->derivative[k], e, true), inner, 0));
    }
    return sum;
}

/* through: into the arguments of reductions too. */
static const struct expr *derive(struct expr_pool *p, const struct expr *e, const struct expr *by, bool through)
{
    const bool *reached = expr_reached(p, &e, 1);
    const struct expr **d = arena_array(p->arena, (size_t)e->id + 1, sizeof *d), *zero = expr_number(p, 0);
    for (int i = 0; i <= e->id; i++) {
        const struct expr *n = p->nodes[i];
        if (!reached[i])
            continue;
        assert(n->op != EXPR_NAMED);
        if (n == by)
            d[i] = expr_number(p, 1);
        else if (n->op == EXPR_IF)
            d[i] = build_if(p, n->args[0], d[n->args[1]->id], d[n->args[2]->id]);
        else if (expr_is_reduction(n))
            d[i] = through && !is_zero(d[n->args[0]->id]) ? expr_build(p, n->op, &d[n->args[0]->id]) : zero;
        else
            d[i] = of_operation(p, n, d);
    }
    return d[e->id];
}

const struct expr *expr_derivative(struct expr_pool *p, const struct expr *e, const struct expr *by)
{
    return derive(p, e, by, !by->is_array);
}

/* ---- through reductions ---------------------------------------------------------------------- */

/* What one element's value in r contributes to e, where r itself contributes `weight`. */
static const struct expr *share(struct expr_pool *p, const struct expr *r, const struct expr *weight)
{
    const struct expr *count = expr_make(p, EXPR_COUNT, NULL);
    if (r->op == EXPR_MEAN && !is_zero(weight))
        return scale(p, expr_build2(p, EXPR_DIV, expr_number(p, 1), count), weight, 0);
    return weight;
}

/* What `inner` as a number contributes to the reduction r. */
static const struct expr *reduced(struct expr_pool *p, const struct expr *r, const struct expr *inner)
{
    const struct expr *d = derive(p, r->args[0], inner, false);
    return is_zero(d) ? d : expr_build(p, r->op, &d);
}

const struct expr *expr_gradient(struct expr_pool *p, const struct expr *e, const struct expr *by)
{
    const bool *reached = expr_reached(p, &e, 1);
    const int nodes = e->id + 1;
    const struct expr **weights = arena_array(p->arena, (size_t)nodes, sizeof *weights);
    const struct expr *gradient = derive(p, e, by, false);
    /* later reductions may read earlier ones, never the other way round */
    for (int i = nodes - 1; i >= 0; i--) {
        const struct expr *r = p->nodes[i];
        if (!reached[i] || !expr_is_reduction(r))
            continue;
        const struct expr *weight = derive(p, e, r, false);
        for (int k = i + 1; k < nodes; k++)
            if (weights[k])
                weight = add(p, weight, scale(p, weights[k], reduced(p, p->nodes[k], r), 0));
        weights[i] = weight;
        gradient = add(p, gradient, scale(p, share(p, r, weight), derive(p, r->args[0], by, false), 0));
    }
    return gradient;
}
