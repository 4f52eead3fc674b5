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
/* The tensor that a view shows. */
const struct tensor *verify_base(const struct tensor *t);
/* NULL: the argument is no value. */
struct value *verify_value(const struct walk *w, const struct argument *a);

/* plan_verify_memory.c: after the walk.  Values live where they are touched, and share no memory meanwhile. */
const char *verify_memory(const struct walk *w);
/* What lasts from call to call shares memory with nothing, in no program. */
const char *verify_lasting(const struct plan *p);
/* plan_verify_update.c: all that is trained is updated once, and nothing else. */
const char *verify_update(const struct plan *p);

#endif
