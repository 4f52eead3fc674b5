/* expr_parts.h - what the files of expressions share. */
#ifndef EXPR_PARTS_H
#define EXPR_PARTS_H

#include "expr/expr.h"

/* A formula of operations.def: a, b, c are the arguments of e, y is e itself.  built: simplified. */
const struct expr *expr_of_row(struct expr_pool *p, const char *formula, const struct expr *e, bool built);
/* One operation on numbers; conditions are 1 and 0. */
double expr_apply(enum expr_op op, double a, double b, double c);
/* if c then 1 else 0: the number of a condition */
bool expr_is_truth(const struct expr *e);
int expr_arguments(const struct expr *e);

#endif
