/* recipe.h - reading the clauses of a compiled recipe. */
#ifndef RECIPE_H
#define RECIPE_H

#include "cnnrt.h"

/* The setting of that key, NULL where there is none. */
const struct cnn_setting *rt_setting(const struct cnn_clause *clause, const char *key);
/* Its number or text.  The compiler has filled every default in: what is not there is 0 or NULL, which nothing else
 * means. */
double rt_setting_number(const struct cnn_clause *clause, const char *key);
const char *rt_setting_text(const struct cnn_clause *clause, const char *key);

/* The seed of a run: the one given (not negative), else the recipe's. */
uint64_t rt_recipe_seed(const struct cnn_model *model, int64_t given);

#endif
