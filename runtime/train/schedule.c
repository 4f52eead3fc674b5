/* schedule.c - a constant rate, which reduce_lr_on_plateau may lower.  Rates that follow the step
 * come here. */
#include "train/schedule.h"

#include "common/recipe.h"

void rt_schedule_begin(struct schedule *s, const struct cnn_train_recipe *recipe,
                       const double *asked)
{
    s->rate = asked ? *asked : rt_setting_number(&recipe->optimizer, "lr");
}

double rt_schedule_rate(const struct schedule *s, uint64_t step)
{
    (void)step;
    return s->rate;
}
