/* clause_recipe.h - clauses as the runtime reads them, and the steps of `data` as both understand them. */
#ifndef CLAUSE_RECIPE_H
#define CLAUSE_RECIPE_H

#include "base/arena.h"
#include "common/pixel_steps.h"
#include "model/model.h"

/* The clause with all its arguments, given or not. */
struct cnn_clause clause_recipe(struct arena *a, const struct clause *c);

/* What a step of `data` makes of each channel's numbers, maps[channels]; NULL: it does not change them in use. */
struct step_result clause_maps(struct arena *a, const struct clause *step, int channels, struct pixel_measure measured,
                               struct pixel_map **maps);
/* How the steps bring pictures to the network's size. */
struct pixel_fit clauses_fit(struct arena *a, struct clause *const *steps, int count);

#endif
