/* schedule.c - see schedule.h. */
#include "train/schedule.h"

#include <inttypes.h>
#include <math.h>

#include "common/recipe.h"
#include "core/message.h"

enum { STEPS_LOOKED_AT = 5000000 };     /* a tenth of a second */

uint64_t rt_schedule_steps(double epochs, int64_t steps_per_epoch)
{
    /* 9.9 is no number of a computer: 9.9 * 50 are 495 steps and not one more */
    double steps = epochs * (double)steps_per_epoch, near = rint(steps);
    return (uint64_t)fmin(fabs(steps - near) <= 1e-9 * steps ? near : ceil(steps), 9e18);
}

void rt_schedule_begin(struct schedule *s, const struct cnn_train_recipe *recipe, const double *asked)
{
    *s = (struct schedule){ .rate = asked ? *asked : rt_setting_number(&recipe->optimizer, "lr"),
                            .formula = recipe->lr_schedule };
}

void rt_schedule_span(struct schedule *s, double epochs, int64_t steps_per_epoch)
{
    s->steps_per_epoch = (double)steps_per_epoch;
    s->epochs = epochs;
    s->steps = (double)rt_schedule_steps(epochs, steps_per_epoch);
}

double rt_schedule_rate(const struct schedule *s, uint64_t step)
{
    if (!s->formula)
        return s->rate;
    const struct cnn_moment at = { .lr = s->rate, .step = (double)step,
                                   .epoch = floor((double)step / s->steps_per_epoch),
                                   .steps_per_epoch = s->steps_per_epoch, .epochs = s->epochs, .steps = s->steps };
    return s->formula(&at);
}

static bool is_good(double rate)
{
    return rate >= 0.0 && isfinite(rate);
}

bool rt_schedule_good(const struct schedule *s, uint64_t step)
{
    double rate = rt_schedule_rate(s, step);
    if (is_good(rate))
        return true;
    rt_error("lr_schedule gives the rate %g at step %" PRIu64 ", in epoch %.0f: a rate is 0 or more", rate, step,
             floor((double)step / s->steps_per_epoch) + 1.0);
    return false;
}

static uint64_t looked_at(uint64_t steps)
{
    return steps < STEPS_LOOKED_AT ? steps : STEPS_LOOKED_AT;
}

int rt_schedule_check(const struct schedule *s, uint64_t step)
{
    if (!s->formula || s->steps <= (double)step)
        return 0;
    uint64_t end = step + looked_at((uint64_t)s->steps - step);
    for (; step < end; step++)
        if (!rt_schedule_good(s, step))
            return -1;
    return 0;
}

bool rt_schedule_agrees(const struct schedule *a, const struct schedule *b, uint64_t step)
{
    for (uint64_t i = 0; i < looked_at(step); i++) {
        double one = rt_schedule_rate(a, i), other = rt_schedule_rate(b, i);
        if (one < other || one > other)
            return false;
    }
    return true;
}
