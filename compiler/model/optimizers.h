/* optimizers.h - the table of optimizers: what each keeps of a parameter, and its rule as formulas.  The plan makes
 * expressions of them and adds what options ask for (plan_update.c); nothing is written by hand. */
#ifndef OPTIMIZERS_H
#define OPTIMIZERS_H

#include <stdbool.h>

#include "model/model.h"

enum { OPTIMIZER_SLOTS = 4, OPTIMIZER_FORMULAS = 8 };

struct optimizer_formula {
    const char *name, *text;
};

/* How an optimizer, or a form of it, is computed.  Formulas may use the arguments of its clause and each of those
 * above.
 *
 * Those of `numbers` are worked out once a step in double precision: of `lr`, the rate as the schedule and the group of
 * the parameter have it, and `t`, the number of the step from 1.  Those of `values` are of each element: of `p`, the
 * parameter, `g`, its gradient, the slots and the numbers.  One with the name of a slot is what the slot holds from
 * then on; the one called `change` is taken from the parameter. */
struct optimizer_def {
    const char *name;           /* its word in the language */
    bool (*suits)(const struct clause *c);      /* NULL: always.  The first row of a name that suits is taken */
    const char *slots[OPTIMIZER_SLOTS];         /* vectors as long as the parameters.  Their names stand in saved states:
                                                 * slots of one name hold the same thing */
    /* a number that is no formula: a function of cnn_optimizer.h, of t and the argument `of`, and its name in
     * formulas */
    const char *given, *function, *of;
    bool matrices;              /* matrices and filters are orthogonalised (emit_muon.c), their momentum in the first slot; the
                                 * rule is for the rest */
    const char *decay;          /* what is left of a parameter by weight_decay; NULL: 1 - lr * weight_decay */
    struct optimizer_formula numbers[OPTIMIZER_FORMULAS], values[OPTIMIZER_FORMULAS];
};

/* NULL: the model is not trained. */
const struct optimizer_def *optimizer_def_of(const struct model *m);
int optimizer_def_slots(const struct optimizer_def *o);
/* The argument of the optimizer that `name` is, if its clause has one; otherwise. */
double optimizer_option(const struct model *m, const char *name, double otherwise);
/* "m = beta1 * m + (1 - beta1) * g, ...": its values, for people. */
const char *optimizer_text(struct arena *a, const struct optimizer_def *o);

#endif
