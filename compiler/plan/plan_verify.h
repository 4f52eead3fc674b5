/* plan_verify.h - the parts of plan_verify(). */
#ifndef PLAN_VERIFY_H
#define PLAN_VERIFY_H

#include "plan/plan_parts.h"

/* Where a step stands: its phase, its number among the phase's steps, its loop. */
struct step_at {
    int phase, index, loop;
};

/* Phases that are repeated together; -1: none. */
struct repeat {
    int first, last;
};

/* A tensor (views are the tensor that they show) or a buffer, as the walk has found it so far. */
struct value {
    const char *name;
    enum region region;
    bool lasting;
    const struct step *maker;   /* NULL: not made yet */
    const struct argument *made_as;
    bool added;                 /* its maker goes on from what it was */
};

/* A program while it is walked. */
struct walk {
    const struct plan *p;
    const struct program *q;
    struct step_at *at;         /* by index of the step */
    struct repeat *repeats;     /* by phase */
    struct value *tensors, *buffers;    /* by id and by index */
};

/* "conv2d_2 (forward)" */
const char *verify_step_name(const struct walk *w, const struct step *s);
/* NULL: the argument is no value. */
struct value *verify_value(const struct walk *w, const struct argument *a);

enum { VERIFY_AXES = CNN_MAX_RANK + 1 };
_Static_assert((int)VERIFY_AXES >= (int)PART_AXES, "the axes of a part");
/* No element at two sums of indices: the steps of wider directions jump over what the narrower ones reach.  *reach: one
 * more than the last element. */
bool verify_is_injective(const struct axis *axes, int count, int64_t *reach);

/* Bytes that are taken from one time to another. */
struct claim {
    const char *name;
    int64_t offset, end;
    int first, last;
};

struct claims {
    struct claim *list;
    int count;
};

/* None lies outside of so many bytes, and no two that live at the same time share one.  Sorts them. */
const char *verify_claims(const struct plan *p, struct claims *c, int64_t bytes);

/* plan_verify_memory.c: before all that counts elements.  Every tensor has room for its own. */
const char *verify_sizes(const struct walk *w);
/* After the walk.  Values live where they are touched, and share no memory meanwhile. */
const char *verify_memory(const struct walk *w);
/* What lasts from call to call shares memory with nothing, in no program. */
const char *verify_lasting(const struct plan *p);
/* plan_verify_carried.c: sums that one group takes for another. */
const char *verify_carried(const struct walk *w);
/* plan_verify_params.c: where parameters, their gradients and statistics lie. */
const char *verify_params(const struct plan *p);
/* plan_verify_update.c: all that is trained is updated once, and nothing else. */
const char *verify_update(const struct plan *p);
const char *verify_pieces(const struct plan *p);

#endif
