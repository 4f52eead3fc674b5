/* emit_update.c - the optimizer's step over the flat vector of parameters, as plan_update.c has planned it: the numbers
 * of a step, the rule for some parameters, and the loops over all of them. */
#include <inttypes.h>
#include <math.h>

#include "base/text.h"
#include "emit/emit.h"
#include "model/optimizers.h"

/* ---- the numbers of a step --------------------------------------------------------------------------------------- */

static const struct expr **pass_roots(struct emitter *e, const struct update_pass *pass)
{
    const struct expr **roots = arena_array(e->arena, (size_t)pass->count + 1, sizeof *roots);
    for (int i = 0; i < pass->count; i++)
        roots[i] = pass->values[i].value;
    return roots;
}

/* Whether an expression of some pass reads that input. */
static bool reads(struct emitter *e, const struct update_pass *passes, int count, int input)
{
    const struct update *u = &e->plan->update;
    for (int i = 0; i < count; i++) {
        const bool *reached = expr_reached(u->pool, pass_roots(e, &passes[i]), passes[i].count);
        for (int k = 0; k < u->pool->count; k++)
            if (reached[k] && u->pool->nodes[k]->op == EXPR_INPUT && u->pool->nodes[k]->index == input &&
                u->pool->nodes[k]->is_array == (input < UPDATE_SLOTS + u->slots_count))
                return true;
    }
    return false;
}

static int number_input(const struct update *u, int number)
{
    return UPDATE_SLOTS + u->slots_count + number;
}

/* Whether struct rule has that number. */
static bool has_field(struct emitter *e, int number)
{
    const struct update *u = &e->plan->update;
    return u->numbers[number].of_matrices || reads(e, u->passes, u->passes_count, number_input(u, number));
}

static bool has_pass(const struct update *u, enum pass_when when)
{
    for (int i = 0; i < u->passes_count; i++)
        if (u->passes[i].when == when)
            return true;
    return false;
}

static const char *const when_fields[] = { [PASS_FIRST] = "first", [PASS_TRAINS] = "trains", [PASS_SYNC] = "sync" };

static void emit_rule_struct(struct emitter *e, struct cwriter *w)
{
    const struct update *u = &e->plan->update;
    struct text reals = { .arena = e->arena }, flags = { .arena = e->arena };
    for (int i = 0; i < u->numbers_count; i++)
        if (has_field(e, i))
            text_add(&reals, "%s%s", reals.count ? ", " : "", u->numbers[i].name);
    for (int when = PASS_FIRST; when <= PASS_SYNC; when++)
        if (has_pass(u, (enum pass_when)when) && when != PASS_ALWAYS)
            text_add(&flags, "%s%s", flags.count ? ", " : "", when_fields[when]);
    cw_comment(w, "The numbers of a step of %s%s.", u->optimizer->name,
               u->groups_count > 1 ? ", for one group of parameters" : "");
    cw_open(w, "struct rule {");
    cw_line(w, "real %s;", text_of(&reals));
    if (flags.count)
        cw_line(w, "bool %s;", text_of(&flags));
    cw_close(w, "};");
    cw_blank(w);
}

/* "c->epoch >= 2.0 && c->epoch < 3.0" */
static const char *group_trains(struct emitter *e, const struct update_group *g)
{
    const char *from = g->from > 0 ? arena_printf(e->arena, "c->epoch >= %s", emit_number(e, g->from)) : "",
               *until = g->until < INFINITY ? arena_printf(e->arena, "c->epoch < %s", emit_number(e, g->until)) : "";
    return *from || *until ? arena_printf(e->arena, "%s%s%s", from, *from && *until ? " && " : "", until) : "true";
}

/* The values of the numbers of one group that are worked out by formulas: exprs and fields, count of them. */
static int group_numbers(struct emitter *e, int group, const struct expr **values, const char **fields)
{
    const struct update *u = &e->plan->update;
    int count = 0;
    for (int i = 0; i < u->numbers_count; i++)
        if (u->numbers[i].values[group] && has_field(e, i)) {
            fields[count] = u->numbers[i].name;
            values[count++] = u->numbers[i].values[group];
        }
    return count;
}

static bool group_reads(const struct update *u, const struct expr *const *values, int count, int input)
{
    const bool *reached = expr_reached(u->pool, values, count);
    for (int i = 0; i < u->pool->count; i++)
        if (reached[i] && u->pool->nodes[i]->op == EXPR_INPUT && !u->pool->nodes[i]->is_array &&
            u->pool->nodes[i]->index == input)
            return true;
    return false;
}

static void emit_group_numbers(struct emitter *e, struct cwriter *w, int group)
{
    const struct update *u = &e->plan->update;
    const struct update_group *g = &u->groups[group];
    const struct expr **values = arena_array(e->arena, (size_t)u->numbers_count + 1, sizeof *values);
    const char **fields = arena_array(e->arena, (size_t)u->numbers_count + 1, sizeof *fields),
               **texts = arena_array(e->arena, (size_t)u->numbers_count + 1, sizeof *texts);
    int count = group_numbers(e, group, values, fields);
    const char *inputs[] = { "lr", "t", "total", u->optimizer->given };
    const struct expr_writing how = { .dialect = EXPR_C_SCALAR, .inputs = inputs, .inputs_count = STEP_INPUTS };
    bool braces = u->groups_count > 1;
    if (braces)
        cw_open(w, "{");
    if (group_reads(u, values, count, STEP_LR))
        cw_line(w, g->lr_scale == 1 ? "const double lr = c->lr;" : "const double lr = c->lr * %s;",
                emit_number(e, g->lr_scale));
    expr_write_all(w, u->pool, &how, values, count, texts);
    cw_open(w, "rules[%d] = (struct rule){", group);
    for (int i = 0; i < count; i++)
        cw_line(w, ".%s = (real)(%s),", fields[i], texts[i]);
    if (has_pass(u, PASS_FIRST))
        cw_line(w, ".first = c->step == 0,");
    if (has_pass(u, PASS_TRAINS))
        cw_line(w, ".trains = %s,", group_trains(e, g));
    if (has_pass(u, PASS_SYNC))
        cw_line(w, ".sync = c->step %% %d == %d || c->step + 1 == c->steps_total,", u->every, u->every - 1);
    cw_close(w, "};");
    if (braces)
        cw_close(w, "}");
}

/* What all groups have. */
static void emit_step_inputs(struct emitter *e, struct cwriter *w)
{
    const struct update *u = &e->plan->update;
    bool t = false, total = false, given = false;
    for (int g = 0; g < u->groups_count; g++) {
        const struct expr **values = arena_array(e->arena, (size_t)u->numbers_count + 1, sizeof *values);
        const char **fields = arena_array(e->arena, (size_t)u->numbers_count + 1, sizeof *fields);
        int count = group_numbers(e, g, values, fields);
        t |= group_reads(u, values, count, STEP_T);
        total |= group_reads(u, values, count, STEP_TOTAL);
        given |= group_reads(u, values, count, STEP_GIVEN);
    }
    if (t || given)
        cw_line(w, "const double t = (double)c->step + 1;");
    if (total)
        cw_line(w, "const double total = (double)c->steps_total;");
    if (given)
        cw_line(w, "const double %s = %s(%s, t);", u->optimizer->given, u->optimizer->function,
                emit_number(e, clause_number(e->plan->model->optimizer, u->optimizer->of)));
}

static void emit_rules_of_step(struct emitter *e, struct cwriter *w)
{
    const struct update *u = &e->plan->update;
    emit_rule_struct(e, w);
    cw_line(w, "static void rules_of_step(const struct cnn_context *c, struct rule *rules)");
    cw_open(w, "{");
    emit_step_inputs(e, w);
    for (int i = 0; i < u->groups_count; i++)
        emit_group_numbers(e, w, i);
    cw_close(w, "}");
    cw_blank(w);
}

/* ---- the rule ---------------------------------------------------------------------------------------------------- */

static const char *vector_name(const struct update *u, int vector)
{
    return vector == UPDATE_G ? "g" : vector == UPDATE_P ? "p" : u->slots[vector - UPDATE_SLOTS];
}

static void emit_pass(struct emitter *e, struct cwriter *w, const struct update_pass *pass)
{
    const struct update *u = &e->plan->update;
    int inputs_count = number_input(u, u->numbers_count);
    const char **inputs = arena_array(e->arena, (size_t)inputs_count + 1, sizeof *inputs),
               **names = arena_array(e->arena, (size_t)pass->count + 1, sizeof *names),
               **texts = arena_array(e->arena, (size_t)pass->count + 1, sizeof *texts);
    for (int i = 0; i < inputs_count; i++)
        inputs[i] = i < number_input(u, 0) ? vector_name(u, i)
                                           : arena_printf(e->arena, "own.%s", u->numbers[i - number_input(u, 0)].name);
    for (int i = 0; i < pass->count; i++)
        names[i] = pass->values[i].name;
    if (pass->when != PASS_ALWAYS)
        cw_open(w, "if (own.%s)", when_fields[pass->when]);
    cw_open(w, "for (int64_t i = 0; i < count; i += V_LANES) {");
    for (int i = 0; i < number_input(u, 0); i++)
        if (reads(e, pass, 1, i))
            cw_line(w, "const v %s = v_load(%s_at + i);", inputs[i], inputs[i]);
    const struct expr_writing how = { .dialect = e->plan->real_double ? EXPR_VECTOR_DOUBLE : EXPR_VECTOR_FLOAT,
                                      .inputs = inputs, .inputs_count = inputs_count, .names = names, .fuses = true };
    expr_write_all(w, u->pool, &how, pass_roots(e, pass), pass->count, texts);
    for (int i = 0; i < pass->count; i++)
        cw_line(w, "v_store(%s_at + i, %s);", vector_name(u, pass->values[i].vector), texts[i]);
    cw_close(w, "}");
    if (pass->when != PASS_ALWAYS)
        cw_close(w, "");
}

/* Called while something is multiplied: memory has nothing else to do then. */
static void emit_fetch_state(struct emitter *e, struct cwriter *w)
{
    const struct plan *p = e->plan;
    int slots = p->update.rule_slots;
    cw_comment(w, "The optimizer's state of parameters that update_range() is soon to be called for is on its way.");
    cw_line(w, "static void fetch_state(const struct cnn_context *c, int64_t at, int64_t count)");
    cw_open(w, "{");
    cw_line(w, "%s *const state = (%s *)c->optimizer_state + at;", p->real, p->real);
    cw_open(w, "for (int64_t i = 0; i < count; i += %d)%s", 64 / p->real_size, slots > 1 ? " {" : "");
    cw_line(w, "v_prefetchw(state + i);");
    for (int i = 1; i < slots; i++)
        cw_line(w, "v_prefetchw(state + %" PRId64 " + i);", i * p->params_stored);
    cw_close(w, slots > 1 ? "}" : "");
    cw_close(w, "}");
    cw_blank(w);
}

void emit_update_range(struct emitter *e, struct cwriter *w)
{
    const struct plan *p = e->plan;
    const struct update *u = &p->update;
    bool gradient = reads(e, u->passes, u->passes_count, UPDATE_G);
    if (!u->ranges_count)
        return;
    emit_rules_of_step(e, w);
    cw_comment(w, "One step of %s for `count` parameters from number `at` on, with gradients g: %s.",
               u->optimizer->name, u->text);
    cw_line(w, "static void update_range(const struct cnn_context *c, const struct rule *rule, int64_t at, "
            "int64_t count, const %s *g_at)", p->real);
    cw_open(w, "{");
    if (!gradient)
        cw_line(w, "(void)g_at;");
    cw_line(w, "const struct rule own = *rule;");
    cw_line(w, "%s *const p_at = (%s *)c->params + at;", p->real, p->real);
    for (int i = 0; i < u->slots_count; i++)
        cw_line(w, i ? "%s *const %s_at = (%s *)c->optimizer_state + %" PRId64 " + at;"
                     : "%s *const %s_at = (%s *)c->optimizer_state + at;",
                p->real, u->slots[i], p->real, i * p->params_stored);
    for (int i = 0; i < u->passes_count; i++)
        emit_pass(e, w, &u->passes[i]);
    cw_close(w, "}");
    cw_blank(w);
    if (u->early && u->rule_slots > 0)
        emit_fetch_state(e, w);
}

void emit_rule(struct emitter *e, struct cwriter *w)
{
    cw_line(w, "struct rule rules[%d];", e->plan->update.groups_count);
    cw_line(w, "rules_of_step(c, rules);");
}

void emit_early_rule(struct emitter *e, struct cwriter *w)
{
    const struct plan *p = e->plan;
    const char *valid = "";
    if (p->update.needs_valid_loss)
        valid = arena_printf(e->arena, " && isfinite(%s)", emit_batch_loss(e, &p->train));
    cw_line(w, "const struct rule *const early = c->early_update%s ? rules : NULL;", valid);
}

/* ---- all parameters ---------------------------------------------------------------------------------------------- */

/* "rules" or "&rules[2]" */
static const char *rule_of(struct emitter *e, const struct update_range *r)
{
    return r->group ? arena_printf(e->arena, "&rules[%d]", r->group) : "rules";
}

/* The loop over this thread's blocks of a range; `done`: what is done with the elements from `at` on, as many as the C
 * text count says. */
static void emit_blocks_of(struct emitter *e, struct cwriter *w, const struct update_range *r, bool late,
                           const char *done, const char *behind)
{
    const struct update *u = &e->plan->update;
    const char *count = arena_printf(e->arena, "%" PRId64, r->blocks);
    if (late) {
        cw_open(w, "{");
        cw_line(w, "const int late = c->early_update%s ? 0 : %" PRId64 ";",
                u->needs_valid_loss ? " && isfinite(c->loss)" : "", r->blocks);
        count = "late";
    }
    cw_open(w, "for (int b = cnn_first(w, %s, 1), end = cnn_end(w, %s, 1); b < end; b++) {", count, count);
    if (r->begin)
        cw_line(w, "const int64_t at = %" PRId64 " + (int64_t)b * %" PRId64 ";", r->begin, u->block);
    else
        cw_line(w, "const int64_t at = (int64_t)b * %" PRId64 ";", u->block);
    cw_line(w, "%sb < %" PRId64 " ? %" PRId64 " : %" PRId64 " - at%s;", done, r->blocks - 1, u->block, r->end, behind);
    cw_close(w, "}");
    if (late)
        cw_close(w, "}");
}

/* The norm of all gradients that are used: sums of squares by block, added in their order. */
static void emit_clip(struct emitter *e, struct cwriter *w)
{
    const struct update *u = &e->plan->update;
    int64_t first = 0;
    if (u->clip_sums)
        cw_line(w, "double *const sums = (double *)c->update_memory + %" PRId64 ";", u->clip_sums);
    else
        cw_line(w, "double *const sums = c->update_memory;");
    for (int i = 0; i < u->ranges_count; i++) {
        const struct update_range *r = &u->ranges[i];
        const char *trains = u->limited ? arena_printf(e->arena, "!rules[%d].trains ? 0 : ", r->group) : "";
        const char *sum = "cnn_squares(g + at, ";
        if (u->groups[r->group].l2 != 0)
            sum = arena_printf(e->arena, "cnn_squares_of_sum(g + at, rules[%d].penalty, (const %s *)c->params + at, ",
                               r->group, e->plan->real);
        emit_blocks_of(e, w, r, false, arena_printf(e->arena, "sums[b + %" PRId64 "] = %s%s", first, trains, sum), ")");
        first += r->blocks;
    }
    cw_line(w, "cnn_meet(w);");
    cw_line(w, "double norm = 0;");
    cw_open(w, "for (int64_t b = 0; b < %" PRId64 "; b++)", u->blocks);
    cw_line(w, "norm += sums[b];");
    cw_close(w, "");
    cw_line(w, "norm = sqrt(norm);");
    cw_open(w, "for (int k = 0; k < %d; k++)", u->groups_count);
    const char *most = emit_number(e, u->clip_norm);
    cw_line(w, "rules[k].clip = (real)(norm > %s ? %s / norm : 1);", most, most);
    cw_close(w, "");
    cw_blank(w);
}

/* Lookahead's slow running means and variances; threads have nothing else to do with them. */
static void emit_slow_statistics(struct emitter *e, struct cwriter *w)
{
    const struct plan *p = e->plan;
    if (p->update.slow_slot < 0 || !p->statistics_stored)
        return;
    cw_open(w, "if (rules->sync && w->number == 0) {");
    cw_line(w, "%s *const now = c->statistics, *const slow = c->slow_statistics;", p->real);
    cw_open(w, "for (int64_t i = 0; i < %" PRId64 "; i++)", p->statistics_stored);
    cw_line(w, "now[i] = slow[i] += rules->slow_share * (now[i] - slow[i]);");
    cw_close(w, "");
    cw_close(w, "}");
}

/* Lookahead's slow weights begin as the weights do. */
static void emit_first_of_matrices(struct emitter *e, struct cwriter *w)
{
    const struct update *u = &e->plan->update;
    if (!u->matrices_count || u->slow_slot < 0)
        return;
    cw_open(w, "if (c->step == 0 && w->number == 0) {");
    for (int i = 0; i < u->ranges_count; i++)
        if (u->ranges[i].matrix)
            cw_line(w, "memcpy((%s *)c->optimizer_state + %" PRId64 ", (%s *)c->params + %" PRId64 ", sizeof(%s) * %" PRId64
                    ");", e->plan->real, u->slow_slot * e->plan->params_stored + u->ranges[i].begin, e->plan->real,
                    u->ranges[i].begin, e->plan->real, u->ranges[i].end - u->ranges[i].begin);
    cw_close(w, "}");
}

/* Lookahead and averages of what has had its step. */
static void emit_rest_of_matrices(struct emitter *e, struct cwriter *w)
{
    const struct update *u = &e->plan->update;
    if (!u->matrices_count || (u->slow_slot < 0 && u->average_slot < 0))
        return;
    cw_open(w, "for (int k = 0; k < %d; k++) {", u->groups_count);
    cw_line(w, "rules[k].trains = false;");
    if (has_pass(u, PASS_FIRST))
        cw_line(w, "rules[k].first = false;");
    cw_close(w, "}");
    for (int i = 0; i < u->ranges_count; i++)
        if (u->ranges[i].matrix)
            emit_blocks_of(e, w, &u->ranges[i], false,
                           arena_printf(e->arena, "update_range(c, %s, at, ", rule_of(e, &u->ranges[i])), ", g + at)");
}

void emit_update_begins(struct emitter *e, struct cwriter *w, const char *when)
{
    const struct plan *p = e->plan;
    if (p->update.slow_slot < 0 || !p->statistics_stored)
        return;
    cw_open(w, "if (%sc->step == 0)", when);
    cw_line(w, "memcpy(c->slow_statistics, c->statistics, sizeof(%s) * %" PRId64 ");", p->real, p->statistics_stored);
    cw_close(w, "");
}

void emit_update(struct emitter *e, struct cwriter *w)
{
    const struct plan *p = e->plan;
    const struct update *u = &p->update;
    if (!u->ranges_count) {
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
    if (u->clip_norm > 0)
        emit_clip(e, w);
    emit_first_of_matrices(e, w);
    emit_muon(e, w);
    for (int i = 0; i < u->ranges_count; i++)
        if (!u->ranges[i].matrix)
            emit_blocks_of(e, w, &u->ranges[i], u->ranges[i].early,
                           arena_printf(e->arena, "update_range(c, %s, at, ", rule_of(e, &u->ranges[i])), ", g + at)");
    emit_rest_of_matrices(e, w);
    emit_slow_statistics(e, w);
    cw_close(w, "}");
    cw_blank(w);
    cw_comment(w, "One step of %s for all parameters%s.", u->optimizer->name,
               u->early ? " that train_step() has not updated early" : "");
    cw_line(w, "static void update(struct cnn_context *c)");
    cw_open(w, "{");
    cw_line(w, "struct stopwatch watch = start_watch(c->ticks);");
    cw_line(w, "cnn_parallel(c, 0, update_share);");
    cw_line(w, "tick(&watch, %s);", e->stretches[p->stretches_count]);
    cw_close(w, "}");
    cw_blank(w);
}
