/* callback_early_stopping.c - early_stopping: ends training when a value stops to improve, as Keras's
 * EarlyStopping.  With restore_best the weights of the best epoch come back at the end of training. */
#include "train/callback_parts.h"
#include "core/message.h"
#include "common/recipe.h"
#include "files/state.h"

static void stopping_open(struct callback *c, const struct cnn_clause *clause)
{
    c->stopping = (struct early_stopping){
        .min_delta = rt_setting_number(clause, "min_delta"),
        .patience = (int)rt_setting_number(clause, "patience"),
        .restore_best = rt_setting_number(clause, "restore_best") != 0.0,
        .best_epoch = -1,
    };
    c->verbose = rt_setting_number(clause, "verbose") != 0.0;
}

static int stopping_begin(struct callback *c)
{
    struct early_stopping *e = &c->stopping;
    if (!e->restore_best || rt_weights_copy_open(&e->best, c->context->model) == 0)
        return 0;
    rt_error("early_stopping: no memory for a copy of the weights");
    return -1;
}

static void best_keep(struct callback *c, double value)
{
    rt_weights_copy_keep(&c->stopping.best, c->context);
    rt_origin_choose(&c->stopping.best.origin, c->monitor.name, value);
}

static void stopping_epoch_end(struct callback *c, struct epoch_end *end)
{
    struct early_stopping *e = &c->stopping;
    double now = rt_monitor_value(&c->monitor, end);
    if (rt_monitor_better(c, now, e->min_delta)) {
        c->state.best = now;
        c->state.waited = 0;
        e->best_epoch = end->epoch;
        if (e->restore_best)
            best_keep(c, now);
        return;
    }
    if (++c->state.waited < e->patience)
        return;
    c->state.stopped_epoch = end->epoch;
    end->stop = true;
}

static void stopping_save(const struct callback *c, struct state *s)
{
    const struct early_stopping *e = &c->stopping;
    rt_state_put_whole(s, "kept", e->best.kept);
    rt_state_put_whole(s, "best_epoch", e->best_epoch);
    if (e->best.kept)
        rt_weights_copy_save(&e->best, s, "best_parameters");
}

static int stopping_load(struct callback *c, const struct state *s)
{
    struct early_stopping *e = &c->stopping;
    int64_t kept, epoch = -1;
    if (rt_state_get_whole(s, "kept", &kept))
        return -1;
    /* the first states did not name it */
    if (rt_state_text(s, "best_epoch") && rt_state_get_whole(s, "best_epoch", &epoch))
        return -1;
    e->best_epoch = (int)epoch;
    if (c->state.waited < e->patience)          /* the recipe has more patience now */
        c->state.stopped_epoch = -1;
    /* another recipe may have kept them, or not */
    return kept && e->restore_best ? rt_weights_copy_load(&e->best, s, "best_parameters") : 0;
}

/* As Keras 3: the best weights come back however training ended.  Nothing is kept where no epoch gave
 * a number. */
static bool stopping_train_end(struct callback *c, struct progress *progress)
{
    const struct early_stopping *e = &c->stopping;
    if (c->state.stopped_epoch >= 0 && c->verbose)
        rt_progress_say(progress, "Epoch %05d: early stopping\n", c->state.stopped_epoch + 1);
    if (!e->best.kept)
        return false;
    if (c->verbose && e->best_epoch >= 0)
        rt_progress_say(progress, "Restoring model weights from the end of the best epoch: %d.\n",
                        e->best_epoch + 1);
    else if (c->verbose)
        rt_progress_say(progress, "Restoring model weights from the end of the best epoch\n");
    rt_weights_copy_restore(&e->best, c->context);
    return true;
}

static void stopping_close(struct callback *c)
{
    rt_weights_copy_close(&c->stopping.best);
}

const struct callback_kind rt_callback_early_stopping = {
    .name = "early_stopping",
    .monitors = true,
    .open = stopping_open,
    .begin = stopping_begin,
    .save = stopping_save,
    .load = stopping_load,
    .epoch_end = stopping_epoch_end,
    .train_end = stopping_train_end,
    .close = stopping_close,
};
