/* planned.h - plans of networks, for the tests of planning. */
#ifndef PLANNED_H
#define PLANNED_H

#include "graph/graph.h"
#include "plan/plan_parts.h"

struct world {
    struct arena arena;
    struct diag *diag;
    struct plan *plan;
};

#define TAIL "train { loss categorical_crossentropy\n optimizer adam\n metrics accuracy\n epochs 1\n batch 8\n }\n"

/* Convolutions of all sizes, pools, dropout; and batch normalisation, residual sums, windows that reach over each
 * other. */
extern const char planned_sequence[], planned_branches[], planned_groups[];

/* Plans a network, which must be without fault.  batch 0: as the text says. */
void world_begin_batch(struct world *w, const char *text, const char *target, const char *const *forced, int count,
                       int batch);
/* A batch that is taken in shares of so many samples. */
void world_begin_shares(struct world *w, const char *text, const char *target, int batch, int share);
/* As --emit=inference does; every parameter is 0.5. */
void world_begin_portable(struct world *w, const char *text);
void world_begin(struct world *w, const char *text, const char *target, const char *const *forced, int count);

#endif
