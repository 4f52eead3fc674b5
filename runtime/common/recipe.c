/* recipe.c - looks settings up by key. */
#include "common/recipe.h"

#include <string.h>

const struct cnn_setting *rt_setting(const struct cnn_clause *clause, const char *key)
{
    for (int i = 0; i < clause->settings_count; i++)
        if (strcmp(clause->settings[i].key, key) == 0)
            return &clause->settings[i];
    return NULL;
}

double rt_setting_number(const struct cnn_clause *clause, const char *key)
{
    const struct cnn_setting *s = rt_setting(clause, key);
    return s ? s->number : 0.0;
}

const char *rt_setting_text(const struct cnn_clause *clause, const char *key)
{
    const struct cnn_setting *s = rt_setting(clause, key);
    return s ? s->text : NULL;
}

uint64_t rt_recipe_seed(const struct cnn_model *model, int64_t given)
{
    return given >= 0 ? (uint64_t)given : model->train.seed;
}
