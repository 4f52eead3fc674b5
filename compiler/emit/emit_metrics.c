/* emit_metrics.c - metrics of a batch: the built-in ones, and the user's own functions as C: single numbers and sums in
 * double, arrays in vectors.
 *
 * An array has a value for each (sample, class): it exists only inside the loops of sums and means. */
#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "emit/emit.h"
#include "expr/expr.h"
#include "kernels/formula_loops.h"

/* ---- the user's own -------------------------------------------------------------------------- */

/* What C calls a parameter or value of the user's.  No word of C, no macro or function of a header and nothing that
 * the emitted file itself declares begins with this, so the user's names need no list of what is taken. */
#define USERS_NAME "m_%s"

struct metric_writer {
    struct emitter *e;
    struct cwriter *w;
    const char **params;                /* as C calls them, by index: labels and predictions first */
};

/* Whether targets are classes, one-hot to a function of the user's; else they are numbers. */
static bool has_classes(const struct emitter *e)
{
    return e->plan->model->target.kind == CNN_TARGET_CLASS;
}

static void emit_signature(struct emitter *e, struct cwriter *w, const char *name)
{
    const char *real = e->plan->real;
    cw_line(w, "static double metric_%s(const %s *predictions, const %s, int n)", name, real,
            has_classes(e) ? "int32_t *labels" : arena_printf(e->arena, "%s *targets", real));
    cw_open(w, "{");
}

/* What the function reads of what it is given: a number for each parameter, and whether it runs over the batch. */
static void emit_given(struct metric_writer *m, const struct user_function *f, const struct expr *result)
{
    const bool *reached = expr_reached(f->pool, &result, 1);
    bool *reads = arena_array(m->e->arena, (size_t)f->params_count, sizeof *reads), reduces = false;
    for (int i = 0; i <= result->id; i++) {
        const struct expr *x = f->pool->nodes[i];
        if (reached[i] && x->op == EXPR_INPUT)
            reads[x->index] = true;
        reduces = reduces || (reached[i] && expr_op_row(x->op)->kind == EXPR_REDUCTION);
    }
    for (int i = 2; i < f->params_count; i++)
        if (reads[i])
            cw_line(m->w, "const double %s = %s;", m->params[i], emit_number(m->e, f->param_defaults[i]));
    if (!reads[0])
        cw_line(m->w, has_classes(m->e) ? "(void)labels;" : "(void)targets;");
    if (!reads[1])
        cw_line(m->w, "(void)predictions;");
    if (!reduces)
        cw_line(m->w, "(void)n;");
}

static void emit_user_metric(struct emitter *e, struct cwriter *w, const struct user_function *f)
{
    const int count = f->locals_count + 1;
    struct metric_writer m = { e, w, arena_array(e->arena, (size_t)f->params_count, sizeof *m.params) };
    const char **names = arena_array(e->arena, (size_t)count, sizeof *names);
    const struct expr **roots = arena_array(e->arena, (size_t)count, sizeof *roots);
    for (int i = 0; i < f->params_count; i++)
        m.params[i] = arena_printf(e->arena, USERS_NAME, f->params[i]);
    for (int i = 0; i < f->locals_count; i++) {
        names[i] = arena_printf(e->arena, USERS_NAME, f->locals[i].name);
        roots[i] = f->locals[i].named;
    }
    roots[count - 1] = f->result;
    expr_simplify(f->pool, roots, count);
    if (f->where.file)
        cw_comment(w, "The metric %s of line %d, for one batch.", f->name,
                   source_place(f->where.file, f->where.begin).line);
    else
        cw_comment(w, "The metric %s, for one batch.", f->name);
    emit_signature(e, w, f->name);
    emit_given(&m, f, roots[count - 1]);
    struct formula_loops loops = { .e = e, .w = w, .size = e->plan->model->outputs, .classes = has_classes(e),
                                   .batch = true, .y = 0, .p = 1, .inputs = m.params, .predictions = "predictions",
                                   .targets = has_classes(e) ? "labels" : "targets" };
    if (e->plan->model->target.kind == CNN_TARGET_INPUT) {  /* predictions are in the user's order, the input is not */
        const struct tensor *input = e->plan->train.graph->input;
        loops.channels = input->shape.c;
        loops.stride = e->plan->train.places[input->id].sample;
    }
    formula_loops_begin(&loops, f->pool, roots[count - 1], arena_printf(e->arena, "((double)n * %d)", loops.size));
    const struct expr_writing how = { e->plan->real_double ? EXPR_VECTOR_DOUBLE : EXPR_VECTOR_FLOAT, m.params,
                                      f->params_count, names, .loops = &loops.loops };
    const char *value = expr_write(w, f->pool, &how, roots, count);
    cw_line(w, "return %s;", value);
    cw_close(w, "}");
    cw_blank(w);
}

/* ---- those of the language ------------------------------------------------------------------- */

/* Of labels, and of the one output that tells two classes apart. */
static void emit_binary_accuracy(struct emitter *e, struct cwriter *w, const struct model_metric *metric)
{
    int outputs = e->plan->model->outputs;
    bool classes = has_classes(e);
    cw_comment(w, classes ? "The share of samples whose probability of the second class is on the right side of 0.5."
                          : "The share of labels whose probability is on the right side of 0.5.");
    emit_signature(e, w, metric->name);
    cw_line(w, "int hits = 0;");
    cw_open(w, "for (int i = 0; i < n * %d; i++)", outputs);
    cw_line(w, "hits += (predictions[i] > %s) == (%s > 0);", e->plan->real_double ? "0.5" : "0.5f",
            classes ? "labels[i]" : "targets[i]");
    cw_close(w, "");
    cw_line(w, "return (double)hits / n%s;", outputs == 1 ? "" : arena_printf(e->arena, " / %d", outputs));
    cw_close(w, "}");
    cw_blank(w);
}

static void emit_accuracy(struct emitter *e, struct cwriter *w, const struct model_metric *metric)
{
    int classes = e->plan->model->outputs;
    if (!has_classes(e) || classes == 1) {
        emit_binary_accuracy(e, w, metric);
        return;
    }
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
    int classes = e->plan->model->outputs, k = (int)clause_int(metric->clause, "k");
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
    const char *targets = has_classes(e) ? "labels" : m->target.kind == CNN_TARGET_INPUT ? "input" : "targets";
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
            cw_line(w, "values[%d] = metric_%s(c->predictions, c->%s, n);", i, k->name,
                    targets);
    }
    if (of_batches)
        cw_line(w, "cnn_float_end(arithmetic);");
    cw_close(w, "}");
    cw_blank(w);
}
