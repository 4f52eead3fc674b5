/* schedules.h - the rate of each step: a formula of schedules.def, or of the user's. */
#ifndef SCHEDULES_H
#define SCHEDULES_H

#include "expr/expr.h"
#include "model/model.h"

/* What a rate depends on: inputs of its expression, fields of the runtime's struct cnn_moment. */
enum rate_input {
    RATE_LR, RATE_EPOCH, RATE_STEP, RATE_STEPS_PER_EPOCH, RATE_EPOCHS, RATE_STEPS,
    RATE_NAMES,                 /* those that a user may name */
    RATE_LIST = RATE_NAMES,     /* an array: the argument of a schedule that is a list */
    RATE_INPUTS
};

/* "lr", "epoch" ... by enum rate_input; NULL behind the last. */
extern const char *const rate_names[RATE_NAMES + 1];

/* The rate of a schedule with a name, as its table has it, not simplified. */
const struct expr *schedule_rate(struct expr_pool *p, const struct clause *schedule);
/* The list among the schedule's arguments; NULL: it has none. */
const struct arg_value *schedule_list(const struct clause *schedule);

#endif
