/* optimizers.h - what planning and emitting have to know of an optimizer: a row of a table. */
#ifndef OPTIMIZERS_H
#define OPTIMIZERS_H

#include "model/model.h"

struct optimizer_def {
    const char *name;
    const char *rule;           /* the struct of the numbers of one step, in cnn_optimizer.h */
    int (*slots)(const struct clause *c);   /* vectors as long as the parameters that it keeps */
    int flops;                  /* an element */
};

/* NULL: the model is not trained. */
const struct optimizer_def *optimizer_def_of(const struct model *m);
/* 0 where the model is not trained.  Where there are any, the emitted file has fetch_state(c, at, count). */
int optimizer_slots(const struct model *m);

#endif
