/* plan_parts.h - the stages of planning, called in this order by plan_model(). */
#ifndef PLAN_PARTS_H
#define PLAN_PARTS_H

#include "steps/kernel.h"
#include "steps/plan.h"

/* plan.c: a plan of nothing yet. */
struct plan *plan_begin(struct arena *a, const struct graph *g, const struct plan_options *options);

/* plan_params.c: a panel width and a place for every parameter. */
void plan_params(struct plan *p, const struct graph *g);

/* plan_group.c: which operations are computed together, and by which kernel. */
void plan_groups(struct plan *p, struct program *q, const struct plan_options *o, struct diag *d);
/* plan_together.c: which operations are computed for images that lie together, before they are grouped. */
void plan_together(struct plan *p, struct program *q, const struct plan_options *o, struct diag *d);
/* plan_choose.c: the kernel of a group whose chain has grown. */
void plan_choose(struct plan *p, struct program *q, const struct plan_options *o, struct group *g);
/* Every --kernel option must name a layer that some group computes; options are checked over both programs. */
void plan_check_forced(const struct plan *p, const struct plan_options *o, struct diag *d);
/* What --kernel asks for this node, or NULL. */
const char *plan_forced(const struct plan_options *options, const struct node *n);
/* "forward", "data", "weight": the pass a node belongs to, as --kernel names it. */
const char *plan_pass(const struct node *n);
/* What a node makes first; of sums for a normalisation some may be missing. */
struct tensor *plan_main_result(const struct node *n);

/* plan_views.c: what lies inside of a concatenation; after plan_groups() */
void plan_views(struct plan *p, struct program *q);

/* plan_schedule.c: steps of every group into phases between barriers, and into the loops of these. */
void plan_schedule(struct plan *p, struct program *q);
/* The steps, neighbours in a phase, whose blocks are the same rows: one loop does both, block by block. */
bool plan_same_rows(const struct step *a, const struct step *b);

/* plan_epochs.c: steps that are done in some epochs only. */
void plan_epochs(struct plan *p, struct program *q);

/* plan_finer.c: phases for more threads than there are turns or blocks; after all else is decided. */
void plan_finer(struct plan *p, struct program *q);
/* The program in which all phases that have a finer form have that one. */
struct program plan_finer_program(const struct plan *p, const struct program *q);

/* plan_update.c: which optimizer, before steps are planned; what it does, after that. */
void plan_optimizer(struct plan *p, const struct graph *g);
void plan_update(struct plan *p);

/* plan_pieces.c: the pieces in which the gradients of a share go out. */
void plan_pieces(struct plan *p);

/* plan_memory.c: liveness by phase, and offsets. */
void plan_places(struct plan *p, struct program *q);    /* regions and sizes; before steps are made */
void plan_memory(struct plan *p, struct program *q);    /* offsets; after plan_schedule */
void plan_lasting_memory(struct plan *p, struct program *q);    /* behind what both programs use in turn */
/* plan_layers.c: the kernels that each layer is trained with, by its index: "direct", "direct, data im2col", "" */
const char *const *plan_layers(struct arena *a, const struct plan *p);

#endif
