/* activations.c - see activations.h. */
#include <assert.h>

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
    assert(a > ACT_LINEAR && a < ACTIVATIONS_COUNT);
    return &rows[a];
}

bool activation_has_alpha(enum activation a)
{
    return a != ACT_LINEAR && rows[a].alpha.help;
}

const char *activation_word(enum activation a)
{
    return a == ACT_LINEAR ? "linear" : activation_row(a)->name;
}

char activation_reads(enum activation a)
{
    if (a == ACT_LINEAR)
        return 0;
    return activation_row(a)->slope ? 'y' : 'x';
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

struct activation_expr activation_expr(struct arena *a, enum activation act)
{
    static const char *const words[] = { "x", "alpha", "y", "dy" };
    const struct activation_row *row = activation_row(act);
    struct activation_expr e = { .pool = expr_pool_new(a) };
    for (int i = 0; i < ACTIVATION_INPUTS; i++)
        e.inputs[i] = expr_input(e.pool, i, words[i], i != ACTIVATION_ALPHA);
    e.value = formula(&e, row->formula);
    e.by_x = expr_derivative(e.pool, e.value, e.inputs[ACTIVATION_X]);
    e.slope = row->slope ? formula(&e, row->slope) : e.by_x;
    e.gradient = expr_scale(e.pool, e.slope, e.inputs[ACTIVATION_DY]);
    return e;
}

void activation_evaluate(enum activation act, double alpha, const double *x, int64_t count, double *y)
{
    struct arena a = {0};
    const struct activation_expr e = activation_expr(&a, act);
    const double *const inputs[ACTIVATION_INPUTS] = { [ACTIVATION_X] = x, [ACTIVATION_ALPHA] = &alpha };
    expr_evaluate(e.pool, e.value, inputs, count, y);
    arena_free(&a);
}

void activation_evaluate_gradient(enum activation act, double alpha, const double *dy, const double *read, int64_t count,
                                  double *dx)
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

const char *activation_c_name(struct arena *a, enum activation act, enum expr_dialect dialect, bool *written)
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
    return arena_printf(a, "%s%s", is_vector(dialect) ? "v_" : "", activation_row(act)->name);
}

static void write_function(struct cwriter *w, enum activation act, enum expr_dialect dialect, const char *name,
                           bool gradient)
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

void activation_write(struct cwriter *w, enum activation a, enum expr_dialect dialect, const char *name)
{
    write_function(w, a, dialect, name, false);
}

void activation_write_gradient(struct cwriter *w, enum activation a, enum expr_dialect dialect, const char *name)
{
    write_function(w, a, dialect, name, true);
}
