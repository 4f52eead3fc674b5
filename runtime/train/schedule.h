/* schedule.h - the learning rate of each step: the recipe's formula of it, or a constant rate that callbacks may
 * lower. */
#ifndef SCHEDULE_H
#define SCHEDULE_H

#include "cnnrt.h"

struct schedule {
    double rate;                /* the constant rate, as callbacks have left it; where there is a formula, its `lr` */
    double (*formula)(const struct cnn_moment *at);     /* NULL: none */
    double steps_per_epoch, epochs, steps;              /* of the run, for the formula */
};

/* The steps of so many epochs; a part of a step is a step. */
uint64_t rt_schedule_steps(double epochs, int64_t steps_per_epoch);

/* asked: --lr's, or NULL: the optimizer's own. */
void rt_schedule_begin(struct schedule *s, const struct cnn_train_recipe *recipe, const double *asked);
/* How long the run is. */
void rt_schedule_span(struct schedule *s, double epochs, int64_t steps_per_epoch);
double rt_schedule_rate(const struct schedule *s, uint64_t step);

/* Whether it is a rate: 0 or more, and finite; a message where it is not. */
bool rt_schedule_good(const struct schedule *s, uint64_t step);
/* The same of the steps from `step` on: of the first millions, so that it takes no time.  0, or -1 with a message. */
int rt_schedule_check(const struct schedule *s, uint64_t step);
/* Whether two schedules agree in the rates of the steps before `step` (of the first millions). */
bool rt_schedule_agrees(const struct schedule *a, const struct schedule *b, uint64_t step);

#endif
