/* activations.c - see activations.h. */
#include <assert.h>
#include <string.h>

#include "expr/activations.h"

static const struct activation_row rows[] = {
#define NO_ALPHA
#define ALPHA(largest, standard, text) .alpha = { .most = largest, .value = standard, .help = text },
#define ACTIVATION(id, text, alpha_of, ...) [ACT_##id] = { .name = #id, .help = text, alpha_of __VA_ARGS__ },
#include "expr/activations.def"
#undef ACTIVATION
#undef ALPHA
#undef NO_ALPHA
};

const struct activation_row *activation_row(enum activation a)
{
    assert(a < ACTIVATIONS_COUNT);
    return &rows[a];
}

const struct activation_row *activation_find(const char *name)
{
    for (int i = 0; i < ACTIVATIONS_COUNT; i++)
        if (!strcmp(rows[i].name, name))
            return &rows[i];
    return NULL;
}

bool activation_has_alpha(const struct activation_row *a)
{
    return a && a->alpha.help;
}

const char *activation_word(const struct activation_row *a)
{
    return a ? a->name : "linear";
}

char activation_reads(const struct activation_row *a)
{
    return !a ? 0 : a->slope ? 'y' : 'x';
}

/* ---- as expressions -------------------------------------------------------------------------- */

static const struct expr *formula(struct activation_expr *e, const char *text)
{
    const struct expr_name names[] = { { "x", e->inputs[ACTIVATION_X] }, { "alpha", e->inputs[ACTIVATION_ALPHA] },
                                       { "y", e->inputs[ACTIVATION_Y] }, { NULL, NULL } };
    const char *wrong = NULL;
    const struct expr *result = expr_parse(e->pool, text, names, &wrong);
    assert(result);
    expr_simplify(e->pool, &result, 1);
    return result;
}

static const struct expr *spelled(struct expr_pool *p, const char *text, const struct expr *x, const struct expr *alpha)
{
    const struct expr_name names[] = { { "x", x }, { "alpha", alpha }, { NULL, NULL } };
    const char *wrong = NULL;
    const struct expr *e = expr_parse(p, text, alpha ? names : (const struct expr_name[]){ names[0], names[2] },
                                      &wrong);
    assert(e);
    return e;
}

const struct expr *activation_of(struct expr_pool *p, const struct activation_row *a, const struct expr *x,
                                 const struct expr *alpha)
{
    return spelled(p, a->formula, x, alpha);
}

struct activation_expr activation_expr(struct arena *a, const struct activation_row *row)
{
    static const char *const words[] = { "x", "alpha", "y", "dy" };
    struct activation_expr e = { .pool = expr_pool_new(a) };
    for (int i = 0; i < ACTIVATION_INPUTS; i++)
        e.inputs[i] = expr_input(e.pool, i, words[i], i != ACTIVATION_ALPHA);
    if (row->own) {
        e.value = expr_copy(e.pool, row->pool, row->own, &e.inputs[ACTIVATION_X]);
        expr_simplify(e.pool, &e.value, 1);
    } else {
        e.value = formula(&e, row->formula);
    }
    e.by_x = expr_derivative(e.pool, e.value, e.inputs[ACTIVATION_X]);
    e.slope = row->slope ? formula(&e, row->slope) : e.by_x;
    e.gradient = expr_scale(e.pool, e.slope, e.inputs[ACTIVATION_DY]);
    return e;
}

/* Whether the row, with a number for its alpha that the value is made of, is that value. */
static bool is_row(struct expr_pool *p, const struct activation_row *row, const struct expr *value,
                   const struct expr *x, double *alpha)
{
    const struct expr *one = expr_number(p, 1);
    const bool *reached = expr_reached(p, &value, 1);
    const int nodes = p->count;
    const struct expr *some = spelled(p, row->formula, x, activation_has_alpha(row) ? expr_number(p, 0.3) : NULL);
    expr_simplify(p, &some, 1);
    if (activation_has_alpha(row) && some->op != value->op)
        return false;
    for (int i = 0; i < nodes; i++) {
        const struct expr *number = p->nodes[i];
        if (activation_has_alpha(row) ? number->op != EXPR_NUMBER || number->number < 0 ||
                                            number->number > row->alpha.most ||
                                                (number != one && !(i <= value->id && reached[i]))
                                      : i > 0)
            continue;
        for (int k = -1; k < ACTIVATION_SPELLINGS; k++) {
            const char *text = k < 0 ? row->formula : row->also[k];
            const struct expr *other = text ? spelled(p, text, x, activation_has_alpha(row) ? number : NULL) : NULL;
            if (!other)
                continue;
            expr_simplify(p, &other, 1);
            *alpha = number->number;
            if (other == value)
                return true;
        }
    }
    return false;
}

bool activation_complete(struct arena *a, struct activation_row *own)
{
    const struct activation_expr e = activation_expr(a, own);
    own->cycles = expr_cycles(e.pool, e.value);
    own->flops = expr_flops(e.pool, e.value);
    for (int i = 0; i < ACTIVATIONS_COUNT && !own->same; i++)
        if (is_row(e.pool, &rows[i], e.value, e.inputs[ACTIVATION_X], &own->same_alpha))
            own->same = &rows[i];
    return !expr_is_number(e.by_x, 0);
}

void activation_evaluate(const struct activation_row *act, double alpha, const double *x, int64_t count, double *y)
{
    struct arena a = {0};
    const struct activation_expr e = activation_expr(&a, act);
    const double *const inputs[ACTIVATION_INPUTS] = { [ACTIVATION_X] = x, [ACTIVATION_ALPHA] = &alpha };
    expr_evaluate(e.pool, e.value, inputs, count, y);
    arena_free(&a);
}

void activation_evaluate_gradient(const struct activation_row *act, double alpha, const double *dy, const double *read,
                                  int64_t count, double *dx)
{
    struct arena a = {0};
    const struct activation_expr e = activation_expr(&a, act);
    const double *const inputs[ACTIVATION_INPUTS] = { [ACTIVATION_X] = read, [ACTIVATION_ALPHA] = &alpha,
                                                      [ACTIVATION_Y] = read, [ACTIVATION_DY] = dy };
    expr_evaluate(e.pool, e.gradient, inputs, count, dx);
    arena_free(&a);
}

/* ---- as C ------------------------------------------------------------------------------------ */

static bool is_vector(enum expr_dialect d)
{
    return d == EXPR_VECTOR_DOUBLE || d == EXPR_VECTOR_FLOAT;
}

static const char *number_type(enum expr_dialect d)
{
    return is_vector(d) ? "real" : d == EXPR_C_FLOAT ? "float" : "double";
}

const char *activation_c_name(struct arena *a, const struct activation_row *act, enum expr_dialect dialect,
                              bool *written)
{
    struct arena own = {0};
    const struct activation_expr e = activation_expr(&own, act);
    const char *c = expr_op_row(e.value->op)->c;
    bool plain = !is_vector(dialect) && c && expr_op_row(e.value->op)->arguments == 1 &&
                 e.value->args[0] == e.inputs[ACTIVATION_X];
    arena_free(&own);
    *written = !plain;
    if (plain)
        return arena_printf(a, "%s%s", c, dialect == EXPR_C_FLOAT ? "f" : "");
    if (act->symbol)            /* what emitted files call something of their own never begins so */
        return arena_printf(a, "%s%s", is_vector(dialect) ? "v_" : "cnn_", act->symbol);
    return arena_printf(a, "%s%s", is_vector(dialect) ? "v_" : "", act->name);
}

static void write_function(struct cwriter *w, const struct activation_row *act, enum expr_dialect dialect,
                           const char *name, bool gradient)
{
    static const char *const inputs[] = { "x", "alpha", "y", "dy" };
    struct arena a = {0};
    const struct activation_expr e = activation_expr(&a, act);
    const struct expr *root = gradient ? e.gradient : e.value;
    const struct expr_writing how = { .dialect = dialect, .inputs = inputs, .inputs_count = ACTIVATION_INPUTS };
    const char *number = number_type(dialect), *type = is_vector(dialect) ? "v" : number;
    const char *parameters = arena_printf(&a, "%s x", type);
    if (gradient)
        parameters = arena_printf(&a, "%s dy, %s %c", type, type, activation_reads(act));
    if (activation_has_alpha(act))
        parameters = arena_printf(&a, "%s, %s alpha", parameters, number);
    cw_line(w, "%s %s %s(%s)", is_vector(dialect) ? "CNN_INLINE" : "static inline", type, name, parameters);
    cw_open(w, "{");
    cw_line(w, "return %s;", expr_write(w, e.pool, &how, &root, 1));
    cw_close(w, "}");
    arena_free(&a);
}

void activation_write(struct cwriter *w, const struct activation_row *a, enum expr_dialect dialect, const char *name)
{
    write_function(w, a, dialect, name, false);
}

void activation_write_gradient(struct cwriter *w, const struct activation_row *a, enum expr_dialect dialect,
                               const char *name)
{
    write_function(w, a, dialect, name, true);
}
