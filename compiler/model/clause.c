/* clause.c - small helpers on clauses and shapes that printing and checking share, see model.h. */
#include "model/clause_recipe.h"

#include <stdio.h>

int clause_def_count(const struct clause_def *def)
{
    int count = 0;

    while (def->args[count].name)
        count++;
    return count;
}

struct shape_text shape_text(struct shape s)
{
    struct shape_text t;

    if (s.flat)
        snprintf(t.text, sizeof t.text, "%d", s.c);
    else
        snprintf(t.text, sizeof t.text, "%dx%dx%d", s.c, s.h, s.w);
    return t;
}

/* The numbers of a list or an extent; count 0: the argument is neither. */
static const double *setting_list(struct arena *a, const struct arg_def *def, const struct arg_value *v, int *count)
{
    *count = 0;
    if (def->type == ARG_REAL_LIST) {
        *count = v->list_length;
        return v->list;
    }
    if (def->type == ARG_SIDES)
        *count = 4;
    else if (def->type == ARG_EXTENT3 || def->type == ARG_SHAPE)
        *count = 3;
    else if (def->type == ARG_EXTENT2 || (def->type == ARG_PADDING && !v->text))
        *count = 2;
    double *list = arena_array(a, 4, sizeof *list);
    for (int i = 0; i < *count; i++)
        list[i] = (double)v->dims[i];
    return list;
}

static struct cnn_setting setting_of(struct arena *a, const struct arg_def *def, const struct arg_value *v)
{
    struct cnn_setting s = {.key = def->name};
    const double *list = setting_list(a, def, v, &s.list_length);

    if (s.list_length)
        s.list = list;
    else if (def->type == ARG_INT || def->type == ARG_REAL || def->type == ARG_BOOL)
        s.number = v->number;
    else if (def->type == ARG_ACTIVATION || def->type == ARG_INIT)
        s.text = v->call ? v->call->def->name : NULL;
    else
        s.text = v->text;
    return s;
}

struct cnn_clause clause_recipe(struct arena *a, const struct clause *c)
{
    int count = clause_def_count(c->def);
    struct cnn_setting *settings = arena_array(a, (size_t)count + 1, sizeof *settings);

    for (int i = 0; i < count; i++)
        settings[i] = setting_of(a, &c->def->args[i], &c->args[i]);
    return (struct cnn_clause){c->def->name, settings, count};
}

struct step_result clause_maps(struct arena *a, const struct clause *step, int channels, struct pixel_measure measured,
                               struct pixel_map **maps)
{
    const struct data_step *row = rt_data_step(step->def->name);

    *maps = NULL;
    if (!row->map)
        return (struct step_result){.status = STEP_DONE};
    struct cnn_clause recipe = clause_recipe(a, step);
    *maps = arena_array(a, (size_t)channels, sizeof **maps);
    return row->map(&recipe, channels, measured, *maps);
}

struct pixel_fit clauses_fit(struct arena *a, struct clause *const *steps, int count)
{
    struct cnn_clause *recipe = arena_array(a, (size_t)count + 1, sizeof *recipe);

    for (int i = 0; i < count; i++)
        recipe[i] = clause_recipe(a, steps[i]);
    return rt_steps_fit(&(struct cnn_data_recipe){.steps = recipe, .steps_count = count});
}
