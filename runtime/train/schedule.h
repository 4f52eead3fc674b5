/* schedule.h - the learning rate of each step. */
#ifndef SCHEDULE_H
#define SCHEDULE_H

#include "cnnrt.h"

struct schedule {
    double rate;                /* the constant rate, as callbacks have left it */
};

/* asked: --lr's, or NULL: the optimizer's own. */
void rt_schedule_begin(struct schedule *s, const struct cnn_train_recipe *recipe,
                       const double *asked);
double rt_schedule_rate(const struct schedule *s, uint64_t step);

#endif
