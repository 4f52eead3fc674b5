/* emit_muon.c - muon's step for matrices and filters: the momentum of each, orthogonalised, is what it loses.
 *
 * K. Jordan, Y. Jin, V. Boza, J. You, F. Cesista, L. Newhouse, J. Bernstein, "Muon: An optimizer for hidden layers in
 * neural networks" (2024), https://kellerjordan.github.io/posts/muon/, with that page's quintic iteration.
 *
 * A matrix of so many outputs and inputs is written down as X, its longer side in rows, the shorter one in columns that
 * are padded to whole vectors with zeros, which stay zeros.  An iteration is
 *     A = X^T X,  B = A A + (b / c) A,  X <- c (X B + (a / c) X)
 * in blocks of rows, which are the same for any number of threads. */
#include <inttypes.h>
#include <math.h>

#include "emit/emit.h"
#include "kernels/product.h"
#include "model/optimizers.h"

enum muon_function { MUON_GATHER, MUON_SCALE, MUON_GRAM, MUON_SQUARE, MUON_APPLY, MUON_CHANGE, MUON_FUNCTIONS };

static const double coefficients[] = { 3.4445, -4.7750, 2.0315 };

static const char *constant(struct emitter *e, double x)
{
    return expr_number_text(e->arena, e->plan->real_double ? EXPR_C_DOUBLE : EXPR_C_FLOAT, x);
}

static int blocks_of(int64_t rows)
{
    return (int)((rows + UPDATE_ROWS - 1) / UPDATE_ROWS);
}

/* Where number (i, j) of X lies among the parameter's. */
static const char *place_text(struct emitter *e, const struct update_matrix *m)
{
    const char *out = m->turned ? "i" : "j", *in = m->turned ? "j" : "i";
    return arena_printf(e->arena, "((int64_t)(%s / %d) * %d + %s) * %d + %s %% %d", out, m->panel, m->inputs, in,
                        m->panel, out, m->panel);
}

/* ", for (int i = ...; ...) {" over the rows of block r, which are of `rows`. */
static void open_rows(struct emitter *e, int64_t rows)
{
    cw_line(e->w, "const int first = r * %d, end = first + %d < %" PRId64 " ? first + %d : %" PRId64 ";", UPDATE_ROWS,
            UPDATE_ROWS, rows, UPDATE_ROWS, rows);
    cw_open(e->w, "for (int i = first; i < end; i++) {");
}

static const char *emit_gather(struct emitter *e, const struct update_matrix *m)
{
    const struct update *u = &e->plan->update;
    const char *real = e->plan->real;
    const struct model *model = e->plan->model;
    double most = optimizer_option(model, "clip_value", 0);
    bool coupled = optimizer_option(model, "coupled", 0) != 0 && u->decays;
    emit_function(e, "int r, const struct rule *own, const %s *g, const %s *p, %s *restrict m, %s *restrict x, double *sums",
                  real, real, real, real);
    cw_line(e->w, "double sum = 0;");
    if (!coupled && !u->penalised)
        cw_line(e->w, "(void)p;");
    if (!coupled && !u->penalised && u->clip_norm == 0)
        cw_line(e->w, "(void)own;");
    open_rows(e, m->rows);
    cw_line(e->w, "%s *const row = x + (size_t)i * %d;", real, m->columns);
    cw_open(e->w, "for (int j = 0; j < %d; j++) {", m->turned ? m->inputs : m->outputs);
    cw_line(e->w, "const int64_t at = %s;", place_text(e, m));
    cw_line(e->w, "%s d = g[at];", real);
    if (u->penalised)
        cw_line(e->w, "d += own->penalty * p[at];");
    if (u->clip_norm > 0)
        cw_line(e->w, "d *= own->clip;");
    if (most > 0)
        cw_line(e->w, "d = d > %s ? %s : d < -%s ? -%s : d;", constant(e, most), constant(e, most), constant(e, most),
                constant(e, most));
    if (coupled)
        cw_line(e->w, "d += own->decay * p[at];");
    double momentum = optimizer_option(model, "momentum", 0);
    cw_line(e->w, "m[at] = %s * m[at] + %s * d;", constant(e, momentum), constant(e, 1 - momentum));
    if (optimizer_option(model, "nesterov", 0) != 0)
        cw_line(e->w, "row[j] = %s * m[at] + %s * d;", constant(e, momentum), constant(e, 1 - momentum));
    else
        cw_line(e->w, "row[j] = m[at];");
    cw_line(e->w, "sum += (double)row[j] * (double)row[j];");
    cw_close(e->w, "}");
    if (m->columns > (m->turned ? m->inputs : m->outputs)) {
        cw_open(e->w, "for (int j = %d; j < %d; j++)", m->turned ? m->inputs : m->outputs, m->columns);
        cw_line(e->w, "row[j] = 0;");
        cw_close(e->w, "");
    }
    cw_close(e->w, "}");
    cw_line(e->w, "sums[r] = sum;");
    return emit_end(e, arena_printf(e->arena, "muon_gather_%dx%d", m->outputs, m->inputs),
                    "A block of rows of X: the momentum, which takes the gradient up, and the sum of its squares.");
}

static const char *emit_scale(struct emitter *e, const struct update_matrix *m)
{
    const char *real = e->plan->real;
    emit_function(e, "int r, %s *x, const double *sums", real);
    cw_line(e->w, "double norm = 0;");
    cw_open(e->w, "for (int i = 0; i < %d; i++)", blocks_of(m->rows));
    cw_line(e->w, "norm += sums[i];");
    cw_close(e->w, "");
    cw_line(e->w, "norm = sqrt(norm);");
    cw_line(e->w, "const v factor = v_set((%s)(1 / (norm > 1e-7 ? norm : 1e-7)));", real);
    open_rows(e, m->rows);
    cw_open(e->w, "for (int j = 0; j < %d; j += V_LANES)", m->columns);
    cw_line(e->w, "v_store(x + (size_t)i * %d + j, v_mul(factor, v_load(x + (size_t)i * %d + j)));", m->columns,
            m->columns);
    cw_close(e->w, "");
    cw_close(e->w, "}");
    return emit_end(e, arena_printf(e->arena, "muon_scale_%" PRId64 "x%d", m->rows, m->columns),
                    "A block of rows of X, of which all together get the norm 1.");
}

/* rows [r * UPDATE_ROWS ...) of C, of `rows` in all; a_block: elements of A from block to block. */
static void emit_block_product(struct emitter *e, struct product t, int64_t rows, const char *a, const char *c)
{
    int64_t whole = rows / UPDATE_ROWS, rest = rows % UPDATE_ROWS;
    t.a = a;
    t.c = c;
    t.lines = 1;
    if (whole && rest)
        cw_open(e->w, "if (r < %" PRId64 ") {", whole);
    if (whole) {
        t.length = UPDATE_ROWS;
        product_emit(e, &t);
    }
    if (whole && rest)
        cw_middle(e->w, "} else {");
    if (rest) {
        t.length = rest;
        product_emit(e, &t);
    }
    if (whole && rest)
        cw_close(e->w, "}");
}

static struct product product_of(struct emitter *e, const struct update_matrix *m)
{
    struct product t = { .channels = m->columns, .panel = plan_panel(e->plan, m->columns), .at = "0" };
    t.panel_stride = t.panel;
    t.tile = (struct tile){ .a_row = m->columns, .a_k = 1, .b_k = m->columns, .segments = 1, .depth = m->columns,
                            .c_row = m->columns };
    return t;
}

static const char *emit_gram(struct emitter *e, const struct update_matrix *m)
{
    const char *real = e->plan->real;
    struct product t = product_of(e, m);
    t.tile.a_row = 1;
    t.tile.a_k = m->columns;
    t.tile.depth = m->rows;
    t.b = "x";
    emit_function(e, "int r, const %s *x, %s *restrict gram", real, real);
    cw_line(e->w, "const %s *const from = x + r * %d;", real, UPDATE_ROWS);
    cw_line(e->w, "%s *const to = gram + (size_t)r * %d;", real, UPDATE_ROWS * m->columns);
    emit_block_product(e, t, m->columns, "from", "to");
    return emit_end(e, arena_printf(e->arena, "muon_gram_%" PRId64 "x%d", m->rows, m->columns),
                    "A block of rows of X^T X.");
}

/* to = factor * from, for the rows of a block. */
static void emit_copy(struct emitter *e, const struct update_matrix *m, int64_t rows, double factor, const char *from)
{
    open_rows(e, rows);
    cw_open(e->w, "for (int j = 0; j < %d; j += V_LANES)", m->columns);
    cw_line(e->w, "v_store(to + (size_t)(i - first) * %d + j, v_mul(v_set(%s), v_load(%s + (size_t)(i - first) * %d + j)));",
            m->columns, constant(e, factor), from, m->columns);
    cw_close(e->w, "");
    cw_close(e->w, "}");
}

static const char *emit_square(struct emitter *e, const struct update_matrix *m)
{
    const char *real = e->plan->real;
    struct product t = product_of(e, m);
    t.tile.accumulate = true;
    t.b = "gram";
    emit_function(e, "int r, const %s *gram, %s *restrict b", real, real);
    cw_line(e->w, "const %s *const from = gram + (size_t)r * %d;", real, UPDATE_ROWS * m->columns);
    cw_line(e->w, "%s *const to = b + (size_t)r * %d;", real, UPDATE_ROWS * m->columns);
    emit_copy(e, m, m->columns, coefficients[1] / coefficients[2], "from");
    emit_block_product(e, t, m->columns, "from", "to");
    return emit_end(e, arena_printf(e->arena, "muon_square_%d", m->columns), "A block of rows of A A + (b / c) A.");
}

static const char *emit_apply(struct emitter *e, const struct update_matrix *m)
{
    const char *real = e->plan->real;
    struct product t = product_of(e, m);
    t.tile.accumulate = true;
    t.b = "b";
    emit_function(e, "int r, const %s *x, const %s *b, %s *restrict y", real, real, real);
    cw_line(e->w, "const %s *const from = x + (size_t)r * %d;", real, UPDATE_ROWS * m->columns);
    cw_line(e->w, "%s *const to = y + (size_t)r * %d;", real, UPDATE_ROWS * m->columns);
    cw_open(e->w, "{");
    emit_copy(e, m, m->rows, coefficients[0] / coefficients[2], "from");
    cw_close(e->w, "}");
    emit_block_product(e, t, m->rows, "from", "to");
    emit_copy(e, m, m->rows, coefficients[2], "to");
    return emit_end(e, arena_printf(e->arena, "muon_apply_%" PRId64 "x%d", m->rows, m->columns),
                    "A block of rows of c (X B + (a / c) X).");
}

static const char *emit_change(struct emitter *e, const struct update_matrix *m)
{
    const char *real = e->plan->real;
    double larger = (double)m->outputs / m->inputs;
    emit_function(e, "int r, const struct rule *own, const %s *x, %s *restrict p", real, real);
    cw_line(e->w, "const %s rate = own->matrix_rate * %s;", real, constant(e, larger > 1 ? sqrt(larger) : 1));
    open_rows(e, m->rows);
    cw_open(e->w, "for (int j = 0; j < %d; j++) {", m->turned ? m->inputs : m->outputs);
    cw_line(e->w, "const int64_t at = %s;", place_text(e, m));
    cw_line(e->w, "p[at] = own->matrix_keep * p[at] - rate * x[(size_t)i * %d + j];", m->columns);
    cw_close(e->w, "}");
    cw_close(e->w, "}");
    return emit_end(e, arena_printf(e->arena, "muon_change_%dx%d", m->outputs, m->inputs),
                    "What a block of rows of X changes.");
}

void emit_muon_functions(struct emitter *e)
{
    const struct update *u = &e->plan->update;
    e->muon = arena_array(e->arena, (size_t)u->matrices_count * MUON_FUNCTIONS + 1, sizeof *e->muon);
    for (int i = 0; i < u->matrices_count; i++) {
        const char **names = e->muon + i * MUON_FUNCTIONS;
        names[MUON_GATHER] = emit_gather(e, &u->matrices[i]);
        names[MUON_SCALE] = emit_scale(e, &u->matrices[i]);
        names[MUON_GRAM] = emit_gram(e, &u->matrices[i]);
        names[MUON_SQUARE] = emit_square(e, &u->matrices[i]);
        names[MUON_APPLY] = emit_apply(e, &u->matrices[i]);
        names[MUON_CHANGE] = emit_change(e, &u->matrices[i]);
    }
}

/* ---- the calls --------------------------------------------------------------------------------------------------- */

/* This thread's blocks of a matrix; those of another matrix begin with another thread. */
static void emit_calls(struct emitter *e, struct cwriter *w, int matrix, enum muon_function f, int64_t rows,
                       const char *arguments)
{
    const struct update *u = &e->plan->update;
    const char *trains = u->has_epochs ? arena_printf(e->arena, "rules[%d].trains && ", u->matrices[matrix].group) : "";
    cw_open(w, "for (int r = (w->number + %d) %% w->count; %sr < %d; r += w->count)", matrix, trains, blocks_of(rows));
    cw_line(w, "%s(r, %s);", e->muon[matrix * MUON_FUNCTIONS + (int)f], arguments);
    cw_close(w, "");
}

void emit_muon(struct emitter *e, struct cwriter *w)
{
    const struct update *u = &e->plan->update;
    struct arena *a = e->arena;
    const char *real = e->plan->real;
    int iterations = (int)optimizer_option(e->plan->model, "iterations", 5);
    if (!u->matrices_count)
        return;
    cw_comment(w, "Matrices and filters: the momentum is gathered, orthogonalised, and taken from them.");
    cw_line(w, "%s *const p = c->params, *const m = c->optimizer_state, *const room = c->update_memory;", real);
    cw_line(w, "double *const squares = (double *)c->update_memory + %" PRId64 ";", u->matrix_sums);
    for (int i = 0; i < u->matrices_count; i++) {
        const struct update_matrix *x = &u->matrices[i];
        emit_calls(e, w, i, MUON_GATHER, x->rows,
                   arena_printf(a, "rules + %d, g + %" PRId64 ", p + %" PRId64 ", m + %" PRId64 ", room + %" PRId64
                                ", squares + %" PRId64, x->group, x->at, x->at, x->at, x->x, x->sums));
    }
    cw_line(w, "cnn_meet(w);");
    for (int i = 0; i < u->matrices_count; i++)
        emit_calls(e, w, i, MUON_SCALE, u->matrices[i].rows,
                   arena_printf(a, "room + %" PRId64 ", squares + %" PRId64, u->matrices[i].x, u->matrices[i].sums));
    cw_line(w, "cnn_meet(w);");
    cw_open(w, "for (int k = 0; k < %d; k++) {", iterations);
    for (int i = 0; i < u->matrices_count; i++) {
        const struct update_matrix *x = &u->matrices[i];
        emit_calls(e, w, i, MUON_GRAM, x->columns,
                   arena_printf(a, "room + (k %% 2 ? %" PRId64 " : %" PRId64 "), room + %" PRId64, x->y, x->x, x->a));
    }
    cw_line(w, "cnn_meet(w);");
    for (int i = 0; i < u->matrices_count; i++)
        emit_calls(e, w, i, MUON_SQUARE, u->matrices[i].columns,
                   arena_printf(a, "room + %" PRId64 ", room + %" PRId64, u->matrices[i].a, u->matrices[i].b));
    cw_line(w, "cnn_meet(w);");
    for (int i = 0; i < u->matrices_count; i++) {
        const struct update_matrix *x = &u->matrices[i];
        emit_calls(e, w, i, MUON_APPLY, x->rows,
                   arena_printf(a, "room + (k %% 2 ? %" PRId64 " : %" PRId64 "), room + %" PRId64 ", room + (k %% 2 ? %"
                                PRId64 " : %" PRId64 ")", x->y, x->x, x->b, x->x, x->y));
    }
    cw_line(w, "cnn_meet(w);");
    cw_close(w, "}");
    for (int i = 0; i < u->matrices_count; i++) {
        const struct update_matrix *x = &u->matrices[i];
        emit_calls(e, w, i, MUON_CHANGE, x->rows,
                   arena_printf(a, "rules + %d, room + %" PRId64 ", p + %" PRId64, x->group, iterations % 2 ? x->y
                                : x->x, x->at));
    }
    if (u->slow_slot >= 0 || u->average_slot >= 0)
        cw_line(w, "cnn_meet(w);");
    cw_blank(w);
}
