/* emit_metrics.c - metrics of a batch: the built-in ones, and the user's own functions as C, in
 * double.
 *
 * Scalar locals become variables.  An array has a value for each (sample, class): it exists only
 * inside the loops of sum and mean, which stand before the expression that they belong to. */
#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "emit/emit.h"

/* ---- names ----------------------------------------------------------------------------------- */

/* A sum or mean that has been computed before, and the variable that holds it. */
struct reduction {
    const struct expr *expr;
    const char *name;
};

struct metric_writer {
    struct emitter *e;
    struct cwriter *w;
    const struct user_function *f;
    int classes;
    const char **params, **locals;      /* as C calls them, by index */
    struct reduction *reductions;
    int reductions_count;
    size_t reductions_capacity;
};

/* What C calls a parameter or value of the user's.  No word of C, no macro or function of a header and nothing that
 * the emitted file itself declares begins with this, so the user's names need no list of what is taken. */
#define USERS_NAME "m_%s"

/* ---- expressions ----------------------------------------------------------------------------- */

/* How tightly C binds, loosest first. */
enum level { CHOICE, OR, AND, EQUAL, SUM, PRODUCT, UNARY, PRIMARY };

struct piece {
    const char *text;
    enum level level;
};

static struct piece value_piece(struct metric_writer *m, const struct expr *x);
static struct piece truth_piece(struct metric_writer *m, const struct expr *x);

/* In brackets where it binds more loosely than its place asks for. */
static const char *bracketed(struct metric_writer *m, struct piece p, enum level least)
{
    return p.level < least ? arena_printf(m->e->arena, "(%s)", p.text) : p.text;
}

static const char *value_text(struct metric_writer *m, const struct expr *x, enum level least)
{
    return bracketed(m, value_piece(m, x), least);
}

static struct piece binary(struct metric_writer *m, const char *left, const char *sign,
                           const char *right, enum level level)
{
    return (struct piece){ arena_printf(m->e->arena, "%s %s %s", left, sign, right), level };
}

/* Additions and products group to the left, as in the language: their right side needs brackets of
 * its own. */
static struct piece arithmetic(struct metric_writer *m, const struct expr *x, const char *sign,
                               enum level level)
{
    return binary(m, value_text(m, x->args[0], level), sign, value_text(m, x->args[1], level + 1),
                  level);
}

static bool is_call(const struct expr *x, const char *function)
{
    return x->kind == EXPR_CALL && !strcmp(x->function, function);
}

static bool is_one(const struct expr *x)
{
    return x->kind == EXPR_NUMBER && x->number == 1;
}

/* The x of log(1 + exp(x)), which overflows where softplus does not; NULL: something else. */
static const struct expr *softplus_argument(const struct expr *x)
{
    if (!is_call(x, "log") || x->args[0]->kind != EXPR_ADD)
        return NULL;
    const struct expr *a = x->args[0]->args[0], *b = x->args[0]->args[1];
    if (is_one(a) && is_call(b, "exp"))
        return b->args[0];
    return is_one(b) && is_call(a, "exp") ? a->args[0] : NULL;
}

/* What C calls the functions of the language. */
static const char *function_name(const char *name)
{
    static const struct {
        const char *ours, *c;
    } table[] = {
        { "abs", "fabs" },      { "round", "rint" },          { "min", "cnn_min" },
        { "max", "cnn_max" },   { "clip", "cnn_clip" },       { "sign", "cnn_sign" },
        { "relu", "cnn_relu" }, { "sigmoid", "cnn_sigmoid" }, { "softplus", "cnn_softplus" },
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (!strcmp(table[i].ours, name))
            return table[i].c;
    return name;        /* libm's own: exp, log, sqrt ... */
}

static struct piece call_piece(struct metric_writer *m, const struct expr *x, const char *function)
{
    char *text = arena_printf(m->e->arena, "%s(", function);
    for (int i = 0; i < x->args_count; i++)
        text = arena_printf(m->e->arena, "%s%s%s", text, i ? ", " : "",
                            value_text(m, x->args[i], CHOICE));
    return (struct piece){ arena_printf(m->e->arena, "%s)", text), PRIMARY };
}

static bool is_reduction(const struct expr *x)
{
    return is_call(x, "sum") || is_call(x, "mean");
}

static struct piece function_piece(struct metric_writer *m, const struct expr *x)
{
    if (is_reduction(x)) {
        for (int i = 0; i < m->reductions_count; i++)
            if (m->reductions[i].expr == x)
                return (struct piece){ m->reductions[i].name, PRIMARY };
        assert(!"a sum is computed before it is used");
    }
    const struct expr *inner = softplus_argument(x);
    if (inner)
        return (struct piece){
            arena_printf(m->e->arena, "cnn_softplus(%s)", value_text(m, inner, CHOICE)), PRIMARY
        };
    return call_piece(m, x, function_name(x->function));
}

static struct piece choice_piece(struct metric_writer *m, const struct expr *x)
{
    const char *condition = bracketed(m, truth_piece(m, x->args[0]), OR);
    return (struct piece){
        arena_printf(m->e->arena, "%s ? %s : %s", condition, value_text(m, x->args[1], OR),
                     value_text(m, x->args[2], CHOICE)), CHOICE
    };
}

/* The expression as a number. */
static struct piece value_piece(struct metric_writer *m, const struct expr *x)
{
    switch (x->kind) {
    case EXPR_NUMBER:
        return (struct piece){ emit_number(m->e, x->number), x->number < 0 ? UNARY : PRIMARY };
    case EXPR_PARAM: return (struct piece){ m->params[x->index], PRIMARY };
    case EXPR_LOCAL: return (struct piece){ m->locals[x->index], PRIMARY };
    case EXPR_NEGATE:
        return (struct piece){ arena_printf(m->e->arena, "-%s", value_text(m, x->args[0], PRIMARY)),
                               UNARY };
    case EXPR_ADD: return arithmetic(m, x, "+", SUM);
    case EXPR_SUB: return arithmetic(m, x, "-", SUM);
    case EXPR_MUL: return arithmetic(m, x, "*", PRODUCT);
    case EXPR_DIV: return arithmetic(m, x, "/", PRODUCT);
    case EXPR_MOD: return call_piece(m, x, "cnn_mod");
    case EXPR_POW: return call_piece(m, x, "pow");
    case EXPR_IF: return choice_piece(m, x);
    case EXPR_CALL: return function_piece(m, x);
    default:
        /* true is 1, and a double: no division of whole numbers may come of it */
        return (struct piece){ arena_printf(m->e->arena, "(double)(%s)", truth_piece(m, x).text),
                               UNARY };
    }
}

static struct piece comparison(struct metric_writer *m, const struct expr *x, const char *sign)
{
    return binary(m, value_text(m, x->args[0], SUM), sign, value_text(m, x->args[1], SUM), EQUAL);
}

/* `and` and `or`: the other one among the operands stands in brackets. */
static struct piece junction(struct metric_writer *m, const struct expr *x, const char *sign,
                             enum level level)
{
    const char *sides[2];
    for (int i = 0; i < 2; i++)
        sides[i] = bracketed(m, truth_piece(m, x->args[i]),
                             x->args[i]->kind == x->kind ? level : EQUAL);
    return binary(m, sides[0], sign, sides[1], level);
}

/* The expression as a condition. */
static struct piece truth_piece(struct metric_writer *m, const struct expr *x)
{
    switch (x->kind) {
    case EXPR_EQ: return comparison(m, x, "==");
    case EXPR_NE: return comparison(m, x, "!=");
    case EXPR_LT: return comparison(m, x, "<");
    case EXPR_GT: return comparison(m, x, ">");
    case EXPR_LE: return comparison(m, x, "<=");
    case EXPR_GE: return comparison(m, x, ">=");
    case EXPR_AND: return junction(m, x, "&&", AND);
    case EXPR_OR: return junction(m, x, "||", OR);
    case EXPR_NOT:
        return (struct piece){ arena_printf(m->e->arena, "!%s",
                                            bracketed(m, truth_piece(m, x->args[0]), PRIMARY)),
                               UNARY };
    default:
        return binary(m, value_text(m, x, SUM), "!=", "0.0", EQUAL);
    }
}

enum { IN_LOOPS = 3 };      /* depth of a sum's body */

/* ---- sums and means -------------------------------------------------------------------------- */

/* What an expression reads directly or through array locals, sums inside it aside. */
static void mark_read(const struct user_function *f, const struct expr *x, bool *params,
                      bool *locals)
{
    if (is_reduction(x))
        return;
    if (x->kind == EXPR_PARAM)
        params[x->index] = true;
    if (x->kind == EXPR_LOCAL && !locals[x->index]) {
        locals[x->index] = true;
        if (x->is_array)
            mark_read(f, f->locals[x->index].value, params, locals);
    }
    for (int i = 0; i < x->args_count; i++)
        mark_read(f, x->args[i], params, locals);
}

/* One value of each array that the loop reads. */
static void emit_elements(struct metric_writer *m, const struct expr *x)
{
    const struct user_function *f = m->f;
    bool *params = arena_array(m->e->arena, (size_t)f->params_count, sizeof *params);
    bool *locals = arena_array(m->e->arena, (size_t)f->locals_count + 1, sizeof *locals);
    mark_read(f, x, params, locals);
    if (params[0])
        cw_line(m->w, "const double %s = k == labels[i];", m->params[0]);
    if (params[1])
        cw_line(m->w, "const double %s = predictions[(size_t)i * %d + k];", m->params[1],
                m->classes);
    for (int i = 0; i < f->locals_count; i++)
        if (locals[i] && f->locals[i].value->is_array)
            emit_wrapped(m->e, m->w, IN_LOOPS,
                         arena_printf(m->e->arena, "const double %s = %s;", m->locals[i],
                                      value_text(m, f->locals[i].value, CHOICE)));
}

/* Computes a sum or mean into a variable of that name. */
static void emit_reduction(struct metric_writer *m, const struct expr *x, const char *name)
{
    cw_line(m->w, "double %s = 0;", name);
    cw_open(m->w, "for (int i = 0; i < n; i++) {");
    cw_open(m->w, "for (int k = 0; k < %d; k++) {", m->classes);
    emit_elements(m, x->args[0]);
    emit_wrapped(m->e, m->w, IN_LOOPS,
                 arena_printf(m->e->arena, "%s += %s;", name, value_text(m, x->args[0], CHOICE)));
    cw_close(m->w, "}");
    cw_close(m->w, "}");
    if (is_call(x, "mean"))
        cw_line(m->w, "%s /= (double)n * %d;", name, m->classes);
    struct reduction r = { x, name };
    LIST_ADD(m->e->arena, m->reductions, m->reductions_count, m->reductions_capacity, r);
}

/* Computes the sums inside an expression, innermost first. */
static void emit_reductions(struct metric_writer *m, const struct expr *x)
{
    for (int i = 0; i < x->args_count; i++)
        emit_reductions(m, x->args[i]);
    if (is_reduction(x))
        emit_reduction(m, x, arena_printf(m->e->arena, "%s_%d", x->function, m->reductions_count + 1));
}

/* ---- functions ------------------------------------------------------------------------------- */

static void emit_local(struct metric_writer *m, int index)
{
    const struct expr *x = m->f->locals[index].value;
    if (is_reduction(x)) {
        emit_reductions(m, x->args[0]);
        emit_reduction(m, x, m->locals[index]);
        return;
    }
    emit_reductions(m, x);
    if (!x->is_array)
        emit_wrapped(m->e, m->w, 1,
                     arena_printf(m->e->arena, "const double %s = %s;", m->locals[index],
                                  value_text(m, x, CHOICE)));
}

static bool reads_param(const struct expr *x, int param)
{
    if (x->kind == EXPR_PARAM && x->index == param)
        return true;
    for (int i = 0; i < x->args_count; i++)
        if (reads_param(x->args[i], param))
            return true;
    return false;
}

static bool function_reads_param(const struct user_function *f, int param)
{
    for (int i = 0; i < f->locals_count; i++)
        if (reads_param(f->locals[i].value, param))
            return true;
    return reads_param(f->result, param);
}

static void metric_names(struct metric_writer *m)
{
    const struct user_function *f = m->f;
    m->params = arena_array(m->e->arena, (size_t)f->params_count, sizeof *m->params);
    m->locals = arena_array(m->e->arena, (size_t)f->locals_count + 1, sizeof *m->locals);
    for (int i = 0; i < f->params_count; i++)
        m->params[i] = arena_printf(m->e->arena, USERS_NAME, f->params[i]);
    for (int i = 0; i < f->locals_count; i++)
        m->locals[i] = arena_printf(m->e->arena, USERS_NAME, f->locals[i].name);
}

static void emit_signature(struct emitter *e, struct cwriter *w, const char *name)
{
    cw_line(w, "static double metric_%s(const %s *predictions, const int32_t *labels, int n)", name,
            e->plan->real);
    cw_open(w, "{");
}

static void emit_user_metric(struct emitter *e, struct cwriter *w, const struct user_function *f)
{
    struct metric_writer m = { .e = e, .w = w, .f = f, .classes = e->plan->model->classes };
    metric_names(&m);
    if (f->where.file)
        cw_comment(w, "The metric %s of line %d, for one batch.", f->name,
                   source_place(f->where.file, f->where.begin).line);
    else
        cw_comment(w, "The metric %s, for one batch.", f->name);
    emit_signature(e, w, f->name);
    for (int i = 2; i < f->params_count; i++)
        if (function_reads_param(f, i))
            cw_line(w, "const double %s = %s;", m.params[i], emit_number(e, f->param_defaults[i]));
    for (int i = 0; i < f->locals_count; i++)
        emit_local(&m, i);
    emit_reductions(&m, f->result);
    if (!function_reads_param(f, 0))
        cw_line(w, "(void)labels;");
    if (!function_reads_param(f, 1))
        cw_line(w, "(void)predictions;");
    if (!m.reductions_count)
        cw_line(w, "(void)n;");
    emit_wrapped(e, w, 1, arena_printf(e->arena, "return %s;", value_text(&m, f->result, CHOICE)));
    cw_close(w, "}");
    cw_blank(w);
}

static void emit_accuracy(struct emitter *e, struct cwriter *w, const struct model_metric *metric)
{
    int classes = e->plan->model->classes;
    cw_comment(w, "The share of samples whose most probable class is the right one; the first of "
                  "equals counts.");
    emit_signature(e, w, metric->name);
    cw_line(w, "int hits = 0;");
    cw_open(w, "for (int i = 0; i < n; i++) {");
    cw_line(w, "const %s *const row = predictions + (size_t)i * %d;", e->plan->real, classes);
    cw_line(w, "int best = 0;");
    cw_open(w, "for (int k = 1; k < %d; k++)", classes);
    cw_line(w, "best = row[k] > row[best] ? k : best;");
    cw_close(w, "");
    cw_line(w, "hits += best == labels[i];");
    cw_close(w, "}");
    cw_line(w, "return (double)hits / n;");
    cw_close(w, "}");
    cw_blank(w);
}

static void emit_top_k(struct emitter *e, struct cwriter *w, const struct model_metric *metric)
{
    int classes = e->plan->model->classes, k = (int)clause_int(metric->clause, "k");
    cw_comment(w, "The share of samples whose right class is among the %d most probable; the first "
                  "of equals counts, and what is not a number comes before all others.", k);
    emit_signature(e, w, metric->name);
    cw_line(w, "int hits = 0;");
    cw_open(w, "for (int i = 0; i < n; i++) {");
    cw_line(w, "const %s *const row = predictions + (size_t)i * %d;", e->plan->real, classes);
    cw_line(w, "const %s right = row[labels[i]];", e->plan->real);
    cw_line(w, "int before = 0;");
    cw_open(w, "for (int k = 0; k < %d; k++)", classes);
    cw_line(w, "before += !(row[k] < right) && (row[k] != right || k < labels[i]);");
    cw_close(w, "");
    cw_line(w, "hits += before < %d;", k);
    cw_close(w, "}");
    cw_line(w, "return (double)hits / n;");
    cw_close(w, "}");
    cw_blank(w);
}

/* The metrics that the language brings along and that a batch has a value of, by the clause's name. */
static const struct {
    const char *name;
    void (*emit)(struct emitter *e, struct cwriter *w, const struct model_metric *metric);
} builtin[] = {
    { "accuracy", emit_accuracy },
    { "top_k", emit_top_k },
};

static void emit_metric(struct emitter *e, struct cwriter *w, const struct model_metric *metric)
{
    if (metric->function) {
        emit_user_metric(e, w, metric->function);
        return;
    }
    for (size_t i = 0; i < sizeof builtin / sizeof builtin[0]; i++) {
        if (!strcmp(builtin[i].name, metric->clause->def->name)) {
            builtin[i].emit(e, w, metric);
            return;
        }
    }
    assert(!"every built-in metric has a row above");
}

void emit_metrics(struct emitter *e, struct cwriter *w)
{
    const struct model *m = e->plan->model;
    int of_batches = 0;
    for (int i = 0; i < m->metrics_count; i++) {
        if (m->metrics[i].kind != CNN_METRIC_BATCH)
            continue;
        emit_metric(e, w, &m->metrics[i]);
        of_batches++;
    }
    cw_comment(w, "The metrics of the last batch, of n samples%s.",
               of_batches < m->metrics_count ? "; those over the whole set the runtime counts" : "");
    cw_line(w, "static void metrics(const struct cnn_context *c, int n, double *values)");
    cw_open(w, "{");
    if (!of_batches) {
        cw_line(w, "(void)c;");
        cw_line(w, "(void)n;");
        cw_line(w, "(void)values;");
    } else {
        cw_line(w, "const uint64_t arithmetic = cnn_float_begin();");
    }
    for (int i = 0; i < m->metrics_count; i++) {
        const struct model_metric *k = &m->metrics[i];
        if (k->kind == CNN_METRIC_BATCH)
            cw_line(w, "values[%d] = metric_%s(c->predictions, c->labels, n);", i, k->name);
    }
    if (of_batches)
        cw_line(w, "cnn_float_end(arithmetic);");
    cw_close(w, "}");
    cw_blank(w);
}
