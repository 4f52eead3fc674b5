/* emit_update.c - the optimizer's step over the flat vector of parameters, as plan_update.c has planned it. */
#include <inttypes.h>

#include "emit/emit.h"

/* The loop over this thread's blocks of a range. */
static void emit_range(struct emitter *e, struct cwriter *w, const struct update_range *r)
{
    const struct update *u = &e->plan->update;
    const char *count = arena_printf(e->arena, "%" PRId64, r->blocks);
    if (r->early) {
        cw_line(w, "const int late = c->early_update%s ? 0 : %" PRId64 ";",
                u->needs_valid_loss ? " && isfinite(c->loss)" : "", r->blocks);
        count = "late";
    }
    cw_open(w, "for (int b = cnn_first(w, %s, 1), end = cnn_end(w, %s, 1); b < end; b++) {", count, count);
    if (r->begin)
        cw_line(w, "const int64_t at = %" PRId64 " + (int64_t)b * %" PRId64 ";", r->begin, u->block);
    else
        cw_line(w, "const int64_t at = (int64_t)b * %" PRId64 ";", u->block);
    cw_line(w, "update_range(c, &rule, at, b < %" PRId64 " ? %" PRId64 " : %" PRId64 " - at, g + at);", r->blocks - 1,
            u->block, r->end);
    cw_close(w, "}");
}

static void emit_ranges(struct emitter *e, struct cwriter *w)
{
    const struct update *u = &e->plan->update;
    for (int i = 0; i < u->ranges_count; i++) {
        if (u->ranges[i].early)
            cw_open(w, "{");
        emit_range(e, w, &u->ranges[i]);
        if (u->ranges[i].early)
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
    const struct optimizer_def *o = p->update.optimizer;
    if (!p->update.ranges_count)
        return;
    cw_comment(w, "One step of %s for `count` parameters from number `at` on, with gradients g: %s.",
               o->name, o->formula);
    cw_line(w, "static void update_range(const struct cnn_context *c, const struct %s *rule, int64_t at, "
            "int64_t count, const %s *g)", o->rule, p->real);
    cw_open(w, "{");
    cw_line(w, "const struct %s own = *rule;", o->rule);
    cw_line(w, "%s *const p = (%s *)c->params + at;", p->real, p->real);
    if (o->slots > 0)
        cw_line(w, "%s *const m = (%s *)c->optimizer_state + at;", p->real, p->real);
    if (o->slots > 1)
        cw_line(w, "%s *const s = m + %" PRId64 ";", p->real, p->params_stored);
    cw_open(w, "for (int64_t i = 0; i < count; i += V_LANES)");
    cw_line(w, "%s;", o->call);
    cw_close(w, "");
    cw_close(w, "}");
    cw_blank(w);
    if (p->update.early && o->slots > 0)
        emit_fetch_state(e, w, o->slots);
}

void emit_rule(struct emitter *e, struct cwriter *w)
{
    const struct optimizer_def *o = e->plan->update.optimizer;
    const struct clause *clause = e->plan->model->optimizer;
    const char *value = o->at;
    for (int i = 0; i < OPTIMIZER_NUMBERS && o->numbers[i]; i++)
        value = arena_printf(e->arena, "%s, %s", value, emit_number(e, clause_number(clause, o->numbers[i])));
    cw_line(w, "const struct %s rule = %s);", o->rule, value);
}

void emit_early_rule(struct emitter *e, struct cwriter *w)
{
    const struct plan *p = e->plan;
    const char *valid = "";
    if (p->update.needs_valid_loss)
        valid = arena_printf(e->arena, " && isfinite(loss_sum(%s, n))", p->train.graph->loss->name);
    cw_line(w, "const struct %s *const early = c->early_update%s ? &rule : NULL;", p->update.optimizer->rule, valid);
}

void emit_update(struct emitter *e, struct cwriter *w)
{
    const struct plan *p = e->plan;
    const struct optimizer_def *o = p->update.optimizer;
    if (!p->update.ranges_count) {
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
    emit_ranges(e, w);
    cw_close(w, "}");
    cw_blank(w);
    cw_comment(w, "One step of %s for all parameters%s.", o->name,
               p->update.early ? " that train_step() has not updated early" : "");
    cw_line(w, "static void update(struct cnn_context *c)");
    cw_open(w, "{");
    cw_line(w, "struct stopwatch watch = start_watch(c->ticks);");
    cw_line(w, "cnn_parallel(c, 0, update_share);");
    cw_line(w, "tick(&watch, %s);", e->stretches[p->stretches_count]);
    cw_close(w, "}");
    cw_blank(w);
}
