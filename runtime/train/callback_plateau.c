/* callback_plateau.c - reduce_lr_on_plateau: a lower rate when a value stops to improve, as Keras's
 * ReduceLROnPlateau. */
#include <math.h>

#include "train/callback_parts.h"
#include "common/recipe.h"

static void plateau_open(struct callback *c, const struct cnn_clause *clause)
{
    c->plateau = (struct plateau){
        .factor = rt_setting_number(clause, "factor"),
        .min_delta = rt_setting_number(clause, "min_delta"),
        .min_lr = rt_setting_number(clause, "min_lr"),
        .patience = (int)rt_setting_number(clause, "patience"),
        .cooldown = (int)rt_setting_number(clause, "cooldown"),
    };
    c->verbose = rt_setting_number(clause, "verbose") != 0.0;
}

static void plateau_epoch_end(struct callback *c, struct epoch_end *end)
{
    const struct plateau *p = &c->plateau;
    struct callback_state *s = &c->state;
    double now = rt_monitor_value(&c->monitor, end);
    if (s->cooling > 0) {
        s->cooling--;
        s->waited = 0;
    }
    if (rt_monitor_better(c, now, p->min_delta)) {
        s->best = now;
        s->waited = 0;
        return;
    }
    if (s->cooling > 0 || ++s->waited < p->patience)
        return;
    if (end->schedule->rate > p->min_lr) {
        end->schedule->rate = fmax(end->schedule->rate * p->factor, p->min_lr);
        if (c->verbose)
            rt_progress_say(end->progress,
                            "\nEpoch %05d: ReduceLROnPlateau reducing learning rate to %g.\n",
                            end->epoch + 1, end->schedule->rate);
        s->cooling = p->cooldown;
        s->waited = 0;
    }
}

const struct callback_kind rt_callback_plateau = {
    .name = "reduce_lr_on_plateau",
    .monitors = true,
    .open = plateau_open,
    .epoch_end = plateau_epoch_end,
};
