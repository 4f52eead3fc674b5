/* emit_update.c - the optimizer's step over the flat vector of parameters.
 *
 * Requires: parameters lie at multiples of 64 bytes, so a range of whole parameters is one of whole
 * vectors; what lies between them has no gradient (it is 0 and stays 0). */
#include <inttypes.h>
#include <string.h>

#include "emit/emit.h"
#include "model/optimizers.h"

/* Elements; a block of adam's four streams fits into a level-2 cache. */
enum { UPDATE_BLOCK = 8192 };

/* How an optimizer is written down; a row of the table below. */
struct optimizer {
    const char *name;
    /* The rule of this step. */
    const char *(*value)(struct emitter *e, const struct clause *c);
    /* The call for the vector at element `i`. */
    const char *(*call)(const struct clause *c);
    const char *formula;
};

static const char *adam_value(struct emitter *e, const struct clause *c)
{
    return arena_printf(e->arena, "cnn_adam_at(c->lr, c->step, %s, %s, %s)",
                        emit_number(e, clause_number(c, "beta1")),
                        emit_number(e, clause_number(c, "beta2")),
                        emit_number(e, clause_number(c, "epsilon")));
}

static const char *adam_call(const struct clause *c)
{
    (void)c;
    return "cnn_adam(&own, p + i, g + i, m + i, s + i)";
}

static const char *sgd_value(struct emitter *e, const struct clause *c)
{
    return arena_printf(e->arena, "cnn_sgd_at(c->lr, %s)",
                        emit_number(e, clause_number(c, "momentum")));
}

static const char *sgd_call(const struct clause *c)
{
    if (clause_number(c, "momentum") == 0)
        return "cnn_sgd(&own, p + i, g + i)";
    return clause_number(c, "nesterov") != 0 ? "cnn_sgd_nesterov(&own, p + i, g + i, m + i)"
                                             : "cnn_sgd_momentum(&own, p + i, g + i, m + i)";
}

static const struct optimizer optimizers[] = {
    { "adam", adam_value, adam_call,
      "m = beta1 m + (1 - beta1) g, s = beta2 s + (1 - beta2) g^2, p -= rate m / (sqrt(s) + "
      "epsilon)" },
    { "sgd", sgd_value, sgd_call,
      "p -= rate g, by way of a velocity where there is momentum" },
};

/* NULL: the model is not trained. */
static const struct optimizer *optimizer_of(const struct model *m)
{
    if (!m->optimizer)
        return NULL;
    for (size_t i = 0; i < sizeof optimizers / sizeof optimizers[0]; i++)
        if (!strcmp(optimizers[i].name, m->optimizer->def->name))
            return &optimizers[i];
    return NULL;
}

/* ---- ranges of trainable parameters ---------------------------------------------------------- */

struct range {
    int64_t begin, end;
    bool early;                 /* the step of the plan that makes the gradient may update it */
};

/* The ranges of the flat vector that are trained, in order, neighbours joined. */
static int trained_ranges(struct emitter *e, struct range **out)
{
    const struct plan *p = e->plan;
    const struct graph *g = p->train.graph;
    struct range *list = NULL;
    int count = 0;
    size_t capacity = 0;
    int64_t align = 64 / p->real_size;
    for (int i = 0; i < g->params_count; i++) {
        const struct param *param = g->params[i];
        if (!param->trainable || param->role == CNN_STATISTIC)
            continue;
        struct range r = { p->params[i].offset, p->params[i].offset + p->params[i].stored,
                           p->params[i].early };
        r.end = (r.end + align - 1) / align * align;
        if (count && list[count - 1].end == r.begin && list[count - 1].early == r.early)
            list[count - 1].end = r.end;
        else
            LIST_ADD(e->arena, list, count, capacity, r);
    }
    *out = list;
    return count;
}

int64_t emit_early_flops(struct emitter *e, int stretch)
{
    const struct plan *p = e->plan;
    const struct optimizer *o = optimizer_of(p->model);
    return o ? p->stretches[stretch].updated * optimizer_def_of(p->model)->flops : 0;
}

int64_t emit_update_flops(struct emitter *e)
{
    const struct optimizer *o = optimizer_of(e->plan->model);
    struct range *ranges;
    int count = trained_ranges(e, &ranges);
    int64_t elements = 0;
    for (int i = 0; i < count; i++)
        if (!ranges[i].early)
            elements += ranges[i].end - ranges[i].begin;
    return o ? elements * optimizer_def_of(e->plan->model)->flops : 0;
}

/* Weights would be lost that follow from an invalid loss where a callback ends the run before
 * their update: then nothing is updated early. */
static bool stops_before_update(const struct model *m)
{
    for (int i = 0; i < m->callbacks_count; i++)
        if (m->callbacks[i]->def->before_update)
            return true;
    return false;
}

/* The loop over this thread's blocks of a range. */
static void emit_range(struct emitter *e, struct cwriter *w, struct range r)
{
    int64_t blocks = (r.end - r.begin + UPDATE_BLOCK - 1) / UPDATE_BLOCK;
    const char *count = arena_printf(e->arena, "%" PRId64, blocks);
    if (r.early) {
        cw_line(w, "const int late = c->early_update%s ? 0 : %" PRId64 ";",
                stops_before_update(e->plan->model) ? " && isfinite(c->loss)" : "", blocks);
        count = "late";
    }
    cw_open(w, "for (int b = cnn_first(w, %s, 1), end = cnn_end(w, %s, 1); b < end; b++) {", count, count);
    if (r.begin)
        cw_line(w, "const int64_t at = %" PRId64 " + (int64_t)b * %d;", r.begin, UPDATE_BLOCK);
    else
        cw_line(w, "const int64_t at = (int64_t)b * %d;", UPDATE_BLOCK);
    cw_line(w, "update_range(c, &rule, at, b < %" PRId64 " ? %d : %" PRId64 " - at, g + at);", blocks - 1,
            UPDATE_BLOCK, r.end);
    cw_close(w, "}");
}

/* No two ranges touch, so threads need not wait for each other between them. */
static void emit_ranges(struct emitter *e, struct cwriter *w, const struct range *ranges, int count)
{
    for (int i = 0; i < count; i++) {
        if (ranges[i].early)
            cw_open(w, "{");
        emit_range(e, w, ranges[i]);
        if (ranges[i].early)
            cw_close(w, "}");
    }
}

/* Called while something is multiplied: memory has nothing else to do then. */
static void emit_fetch_state(struct emitter *e, struct cwriter *w, int slots)
{
    const struct plan *p = e->plan;
    cw_comment(w, "The optimizer's state of parameters that update_range() is soon to be called for is on its way.");
    cw_line(w, "static void fetch_state(const struct cnn_context *c, int64_t at, int64_t count)");
    cw_open(w, "{");
    cw_line(w, "%s *const m = (%s *)c->optimizer_state + at;", p->real, p->real);
    cw_open(w, "for (int64_t i = 0; i < count; i += %d)%s", 64 / p->real_size, slots > 1 ? " {" : "");
    cw_line(w, "v_prefetchw(m + i);");
    if (slots > 1)
        cw_line(w, "v_prefetchw(m + %" PRId64 " + i);", p->params_stored);
    cw_close(w, slots > 1 ? "}" : "");
    cw_close(w, "}");
    cw_blank(w);
}

void emit_update_range(struct emitter *e, struct cwriter *w)
{
    const struct plan *p = e->plan;
    const struct clause *clause = p->model->optimizer;
    const struct optimizer *o = optimizer_of(p->model);
    struct range *ranges;
    if (!o || !trained_ranges(e, &ranges))
        return;
    cw_comment(w, "One step of %s for `count` parameters from number `at` on, with gradients g: %s.",
               o->name, o->formula);
    cw_line(w, "static void update_range(const struct cnn_context *c, const struct %s *rule, int64_t at, "
            "int64_t count, const %s *g)", optimizer_def_of(p->model)->rule, p->real);
    cw_open(w, "{");
    cw_line(w, "const struct %s own = *rule;", optimizer_def_of(p->model)->rule);
    cw_line(w, "%s *const p = (%s *)c->params + at;", p->real, p->real);
    if (optimizer_slots(p->model) > 0)
        cw_line(w, "%s *const m = (%s *)c->optimizer_state + at;", p->real, p->real);
    if (optimizer_slots(p->model) > 1)
        cw_line(w, "%s *const s = m + %" PRId64 ";", p->real, p->params_stored);
    cw_open(w, "for (int64_t i = 0; i < count; i += V_LANES)");
    cw_line(w, "%s;", o->call(clause));
    cw_close(w, "");
    cw_close(w, "}");
    cw_blank(w);
    if (plan_updates_early(p) && optimizer_slots(p->model) > 0)
        emit_fetch_state(e, w, optimizer_slots(p->model));
}

void emit_rule(struct emitter *e, struct cwriter *w)
{
    const struct model *m = e->plan->model;
    const struct optimizer *o = optimizer_of(m);
    cw_line(w, "const struct %s rule = %s;", optimizer_def_of(m)->rule, o->value(e, m->optimizer));
}

void emit_early_rule(struct emitter *e, struct cwriter *w)
{
    const struct plan *p = e->plan;
    const char *valid = "";
    if (stops_before_update(p->model))
        valid = arena_printf(e->arena, " && isfinite(loss_sum(%s, n))", p->train.graph->loss->name);
    cw_line(w, "const struct %s *const early = c->early_update%s ? &rule : NULL;", optimizer_def_of(p->model)->rule,
            valid);
}

void emit_update(struct emitter *e, struct cwriter *w)
{
    const struct plan *p = e->plan;
    const struct optimizer *o = optimizer_of(p->model);
    struct range *ranges;
    int count = trained_ranges(e, &ranges);

    if (!o || !count) {
        cw_comment(w, "There is nothing to train.");
        cw_line(w, "static void update(struct cnn_context *c)");
        cw_open(w, "{");
        cw_line(w, "(void)c;");
        cw_close(w, "}");
        cw_blank(w);
        return;
    }
    cw_comment(w, "One thread's part of update().");
    cw_line(w, "static void update_share(struct cnn_context *c, int n, struct cnn_worker *w)");
    cw_open(w, "{");
    cw_line(w, "(void)n;");
    emit_rule(e, w);
    cw_line(w, "const %s *const g = c->grads;", p->real);
    cw_blank(w);
    emit_ranges(e, w, ranges, count);
    cw_close(w, "}");
    cw_blank(w);
    cw_comment(w, "One step of %s for all parameters%s.", o->name,
               plan_updates_early(p) ? " that train_step() has not updated early" : "");
    cw_line(w, "static void update(struct cnn_context *c)");
    cw_open(w, "{");
    cw_line(w, "uint64_t *const ticks = c->ticks;");
    cw_line(w, "uint64_t clock = ticks ? cnn_clock() : 0;");
    cw_line(w, "cnn_parallel(c, 0, update_share);");
    cw_line(w, "TICK(%d);", p->stretches_count);
    cw_close(w, "}");
    cw_blank(w);
}
