/* formula_loss_kernels.c - losses that are formulas: a sample at a time, its numbers in vectors, single numbers and
 * sums in double whatever the network computes in (formula_loops.h). */
#include "kernels/formula_loops.h"
#include "ops/losses.h"

static double formula_cost(const struct plan *p, const struct group *g)
{
    struct arena a = { 0 };
    const struct loss_expr e = loss_expr(&a, g->main->attr.loss);
    double cycles = expr_cycles(e.pool, g->main->backward ? e.gradient : e.value);
    arena_free(&a);
    return pass_cycles(p, g->main->in[0], cycles, g->main->backward ? 3 : 2);
}

static void formula_plan(struct plan *p, struct program *q, struct group *g)
{
    const struct node *n = g->main;
    const char *what = n->backward ? "data gradient" : "forward";
    struct step *s = plan_step(p, q, g, 0, SPLIT_IMAGES, 0, what, group_flops(p, g));
    step_takes(p, s, ACCESS_READ, n->in[0]);
    step_takes(p, s, ACCESS_READ, n->in[1]);
    step_takes(p, s, ACCESS_WRITE, n->out[0]);
    if (n->backward)
        step_is_told(p, s, ARGUMENT_SAMPLES);
}

static const char *const names[LOSS_INPUTS] = { [LOSS_Y] = "y", [LOSS_P] = "p" };

/* Says of each input that the formula does not read that it is meant so. */
static void emit_unread(struct emitter *e, const struct expr_pool *pool, const struct expr *root)
{
    static const char *const arguments[LOSS_INPUTS] = { [LOSS_Y] = "target", [LOSS_P] = "predictions" };
    const bool *reached = expr_reached(pool, &root, 1);
    bool reads[LOSS_INPUTS] = { false };
    for (int i = 0; i <= root->id; i++)
        if (reached[i] && pool->nodes[i]->op == EXPR_INPUT)
            reads[pool->nodes[i]->index] = true;
    for (int i = 0; i < LOSS_INPUTS; i++)
        if (!reads[i])
            cw_line(e->w, "(void)%s;", arguments[i]);
}

static const char *formula_emit(struct emitter *e, const struct step *s)
{
    const struct node *n = s->group->main;      /* predictions, targets -> loss or its gradient */
    const struct loss_expr l = loss_expr(e->arena, n->attr.loss);
    const struct expr *root = n->backward ? l.gradient : l.value;
    struct formula_loops f = { .e = e, .size = (int)tensor_elements(n->in[0]),
                               .classes = n->in[1]->element == ELEMENT_I32,
                               .y = LOSS_Y, .p = LOSS_P, .inputs = names, .predictions = "predictions",
                               .targets = "target", .to = n->backward && root->is_array ? "gradient" : NULL };
    const char *real = e->plan->real, *type = f.classes ? "int32_t" : real;
    if (n->backward)
        emit_function(e, "const %s *predictions, const %s *target, %s *restrict gradient, int n", real, type, real);
    else
        emit_function(e, "const %s *predictions, const %s *target, %s *restrict loss", real, type, real);
    f.w = e->w;
    cw_line(e->w, "// predictions (%d): %s = %s", f.size, n->attr.loss->def->name, l.text);
    emit_unread(e, l.pool, root);
    const char *weight = loss_weight(e, n, "*target");
    if (n->backward && root->is_array)
        cw_line(e->w, "const v share = v_set(%s / (%s)n);", weight ? weight : text_printf(e, "(%s)1", real), real);
    formula_loops_begin(&f, l.pool, root, text_printf(e, "%d", f.size));
    const struct expr_writing how = { e->plan->real_double ? EXPR_VECTOR_DOUBLE : EXPR_VECTOR_FLOAT, names, LOSS_INPUTS,
                                      NULL, .loops = &f.loops };
    const char *value = expr_write(e->w, l.pool, &how, &root, 1);
    if (weight && !(n->backward && root->is_array))
        value = text_printf(e, "%s * (%s)", weight, value);
    if (n->backward && !root->is_array) {       /* the same for all */
        cw_open(e->w, "for (int k = 0; k < %d; k++)", f.size);
        cw_line(e->w, "gradient[k] = (%s)((%s) / n);", real, value);
        cw_close(e->w, "");
    } else if (!n->backward) {
        cw_line(e->w, "*loss = (%s)(%s);", real, value);
    }
    return emit_end(e, text_printf(e, "%s%s_%d", n->attr.loss->def->name, n->backward ? "_grad" : "", f.size),
                    emit_comment(e, s));
}

#define FORMULA(operation)                                                                           \
    const struct kernel kernel_##operation = {                                                       \
        .name = #operation, .op = OP_##operation, .applicable = always_applicable,                   \
        .cost = formula_cost, .plan = formula_plan, .emit = formula_emit,                            \
        .help = "the formula, an image at a time, its numbers in vectors",                                                   \
    };

FORMULA(formula_loss)
FORMULA(formula_loss_grad)
