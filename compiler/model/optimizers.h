/* optimizers.h - what planning and emitting have to know of an optimizer: a row of a table. */
#ifndef OPTIMIZERS_H
#define OPTIMIZERS_H

#include <stdbool.h>

#include "model/model.h"

enum { OPTIMIZER_NUMBERS = 4 };

/* How an optimizer is computed. */
struct optimizer_def {
    const char *name;           /* its word in the language */
    bool (*suits)(const struct clause *c);      /* NULL: always.  The first row of a name that suits is taken */
    const char *rule;           /* the struct of the numbers of one step, in cnn_optimizer.h */
    const char *at, *numbers[OPTIMIZER_NUMBERS];        /* the call that makes it: how it begins, and which arguments
                                                           of the clause follow */
    int slots;                  /* vectors as long as the parameters that it keeps */
    const char *call;           /* for the vector at element `i`: of p, g, m, s with the numbers in `own` */
    int flops;                  /* an element */
    const char *formula;
};

/* NULL: the model is not trained. */
const struct optimizer_def *optimizer_def_of(const struct model *m);
/* 0 where the model is not trained. */
int optimizer_slots(const struct model *m);

#endif
