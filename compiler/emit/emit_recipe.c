/* emit_recipe.c - what `data` and `train` say, as tables for the runtime: every argument of a
 * clause becomes a setting, given or not. */
#include <inttypes.h>
#include <string.h>

#include "emit/emit.h"
#include "model/clause_recipe.h"

/* ---- one clause ------------------------------------------------------------------------------ */

static void emit_list(struct emitter *e, struct cwriter *w, const char *name, const double *list,
                      int count)
{
    struct text text = { .arena = e->arena };
    text_add(&text, "static const double %s[] = {", name);
    for (int i = 0; i < count; i++)
        text_add(&text, "%s %s", i ? "," : "", emit_number(e, list[i]));
    text_add(&text, " };");
    emit_wrapped(e, w, 0, text_of(&text));
}

static bool is_number(enum arg_type type)
{
    return type == ARG_INT || type == ARG_REAL || type == ARG_BOOL;
}

static const char *setting_value(struct emitter *e, const char *table, const struct arg_def *def,
                                 const struct cnn_setting *s)
{
    if (s->list_length)
        return arena_printf(e->arena, ".list = %s_%s, .list_length = %d", table, s->key, s->list_length);
    return is_number(def->type) ? arena_printf(e->arena, ".number = %s", emit_number(e, s->number))
                                : arena_printf(e->arena, ".text = %s", emit_quoted(e, s->text));
}

/* The settings of a clause, as an array of that name; none: nothing. */
static void emit_settings(struct emitter *e, struct cwriter *w, const char *table,
                          const struct clause *c)
{
    const struct cnn_clause recipe = clause_recipe(e->arena, c);
    if (!recipe.settings_count)
        return;
    for (int i = 0; i < recipe.settings_count; i++) {
        const struct cnn_setting *s = &recipe.settings[i];
        if (s->list_length)
            emit_list(e, w, arena_printf(e->arena, "%s_%s", table, s->key), s->list, s->list_length);
    }
    cw_open(w, "static const struct cnn_setting %s[] = {", table);
    for (int i = 0; i < recipe.settings_count; i++)
        cw_line(w, "{ .key = %s, %s },", emit_quoted(e, recipe.settings[i].key),
                setting_value(e, table, &c->def->args[i], &recipe.settings[i]));
    cw_close(w, "};");
    cw_blank(w);
}

/* "{ .name = "adam", .settings = optimizer_settings, .settings_count = 4 }" */
static const char *clause_value(struct emitter *e, const char *table, const struct clause *c)
{
    const char *name = emit_quoted(e, c->def->name);
    int args = clause_def_count(c->def);
    if (!args)
        return arena_printf(e->arena, "{ .name = %s }", name);
    return arena_printf(e->arena, "{ .name = %s, .settings = %s, .settings_count = %d }", name,
                        table, args);
}

static const char *numbered(struct emitter *e, const char *what, int i)
{
    return arena_printf(e->arena, "%s_%d_settings", what, i + 1);
}

/* The clauses of a list and their settings: tables WHAT_1_settings ... and WHAT_table. */
static void emit_clauses(struct emitter *e, struct cwriter *w, const char *what,
                         struct clause *const *list, int count)
{
    if (!count)
        return;
    for (int i = 0; i < count; i++)
        emit_settings(e, w, numbered(e, what, i), list[i]);
    cw_open(w, "static const struct cnn_clause %s_table[] = {", what);
    for (int i = 0; i < count; i++)
        cw_line(w, "%s,", clause_value(e, numbered(e, what, i), list[i]));
    cw_close(w, "};");
    cw_blank(w);
}

/* ---- the recipe ------------------------------------------------------------------------------ */

static const char *direction_name(enum cnn_direction d)
{
    return d == CNN_HIGHER_IS_BETTER ? "CNN_HIGHER_IS_BETTER"
         : d == CNN_LOWER_IS_BETTER ? "CNN_LOWER_IS_BETTER" : "CNN_NO_DIRECTION";
}

static const char *const metric_kinds[] = {
    [CNN_METRIC_BATCH] = "CNN_METRIC_BATCH", [CNN_METRIC_PRECISION] = "CNN_METRIC_PRECISION",
    [CNN_METRIC_RECALL] = "CNN_METRIC_RECALL", [CNN_METRIC_F1] = "CNN_METRIC_F1",
    [CNN_METRIC_AUC] = "CNN_METRIC_AUC", [CNN_METRIC_MAE] = "CNN_METRIC_MAE", [CNN_METRIC_MSE] = "CNN_METRIC_MSE",
    [CNN_METRIC_RMSE] = "CNN_METRIC_RMSE"
};
static const char *const metric_averages[] = {
    [CNN_AVERAGE_MACRO] = "CNN_AVERAGE_MACRO", [CNN_AVERAGE_MICRO] = "CNN_AVERAGE_MICRO",
    [CNN_AVERAGE_WEIGHTED] = "CNN_AVERAGE_WEIGHTED"
};

/* What is to be known of a metric over the set. */
static const char *metric_of_set(struct emitter *e, const struct model_metric *k)
{
    if (k->kind == CNN_METRIC_BATCH)
        return "";
    const char *text = arena_printf(e->arena, ", .kind = %s", metric_kinds[k->kind]);
    if (k->kind == CNN_METRIC_AUC)
        text = arena_printf(e->arena, "%s, .thresholds = %d", text, k->thresholds);
    if (k->class_name)
        return arena_printf(e->arena, "%s, .class_name = %s", text, emit_quoted(e, k->class_name));
    if (k->of_class)
        return arena_printf(e->arena, "%s, .of_class = 1 + %d", text, k->of_class - 1);
    if (k->kind == CNN_METRIC_PRECISION || k->kind == CNN_METRIC_RECALL || k->kind == CNN_METRIC_F1)
        text = arena_printf(e->arena, "%s, .average = %s", text, metric_averages[k->average]);
    return text;
}

static void emit_metric_table(struct emitter *e, struct cwriter *w, const struct model *m)
{
    if (!m->metrics_count)
        return;
    cw_open(w, "static const struct cnn_metric metric_table[] = {");
    for (int i = 0; i < m->metrics_count; i++) {
        const struct model_metric *k = &m->metrics[i];
        const char *set = metric_of_set(e, k);
        cw_line(w, "{ .name = %s, .log_name = %s, .direction = %s%s },", emit_quoted(e, k->name),
                emit_quoted(e, k->log_name), direction_name(k->direction), set);
    }
    cw_close(w, "};");
    cw_blank(w);
}

void emit_recipe_tables(struct emitter *e, struct cwriter *w)
{
    const struct model *m = e->plan->model;
    cw_comment(w, "The recipe: data and training as the .cnn file says, every default filled in.");
    if (m->source_clause)
        emit_settings(e, w, "source_settings", m->source_clause);
    emit_clauses(e, w, "data_step", m->steps, m->steps_count);
    if (m->loss)
        emit_settings(e, w, "loss_settings", m->loss);
    if (m->optimizer)
        emit_settings(e, w, "optimizer_settings", m->optimizer);
    emit_clauses(e, w, "callback", m->callbacks, m->callbacks_count);
    emit_metric_table(e, w, m);
}

static void emit_table_fields(struct cwriter *w, const char *field, const char *table, int count)
{
    if (!count)
        return;
    cw_line(w, ".%s = %s_table,", field, table);
    cw_line(w, ".%s_count = %d,", field, count);
}

static const char *const target_names[] = {
    [CNN_TARGET_CLASS] = "CNN_TARGET_CLASS", [CNN_TARGET_VECTOR] = "CNN_TARGET_VECTOR",
    [CNN_TARGET_LABELS] = "CNN_TARGET_LABELS", [CNN_TARGET_INPUT] = "CNN_TARGET_INPUT"
};

void emit_recipe_fields(struct emitter *e, struct cwriter *w)
{
    const struct model *m = e->plan->model;
    cw_open(w, ".data = {");
    cw_line(w, ".source = %s,",
            m->source_clause ? clause_value(e, "source_settings", m->source_clause)
                             : "{ .name = NULL }");
    cw_line(w, ".sample = %s,", m->sample == CNN_SAMPLE_BYTES ? "CNN_SAMPLE_BYTES" : "CNN_SAMPLE_FLOATS");
    emit_table_fields(w, "steps", "data_step", m->steps_count);
    cw_close(w, "},");
    cw_open(w, ".train = {");
    if (m->loss)
        cw_line(w, ".loss = %s,", clause_value(e, "loss_settings", m->loss));
    if (m->optimizer)
        cw_line(w, ".optimizer = %s,", clause_value(e, "optimizer_settings", m->optimizer));
    cw_line(w, ".target = { .kind = %s, .size = %d },", target_names[m->target.kind], m->target.size);
    if (m->mixes)
        cw_line(w, ".mixes = true,");
    emit_table_fields(w, "callbacks", "callback", m->callbacks_count);
    emit_table_fields(w, "metrics", "metric", m->metrics_count);
    if (m->schedule)
        cw_line(w, ".lr_schedule = lr_schedule,");
    cw_line(w, ".epochs = %s,", m->epochs == (int)m->epochs ? arena_printf(e->arena, "%d", (int)m->epochs)
                                                            : emit_number(e, m->epochs));
    cw_line(w, ".seed = UINT64_C(%" PRIu64 "),", m->seed);
    cw_line(w, ".threads = %d,", m->threads);
    cw_close(w, "},");
}
