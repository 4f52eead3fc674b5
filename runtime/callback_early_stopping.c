/* callback_early_stopping.c - early_stopping: ends training when a value stops to improve, as Keras's
 * EarlyStopping.  With restore_best the weights of the best epoch come back when it stops. */
#include <stdlib.h>
#include <string.h>

#include "callback_parts.h"
#include "message.h"
#include "recipe.h"
#include "state.h"

static void stopping_open(struct callback *c, const struct cnn_clause *clause)
{
    c->stopping = (struct early_stopping){
        .min_delta = rt_setting_number(clause, "min_delta", 0.0),
        .patience = (int)rt_setting_number(clause, "patience", 0),
        .restore_best = rt_setting_number(clause, "restore_best", 0) != 0.0,
    };
    c->verbose = rt_setting_number(clause, "verbose", 1) != 0.0;
}

static size_t params_bytes(const struct cnn_model *m)
{
    return (size_t)m->params_stored * (size_t)m->real_size;
}

static size_t statistics_bytes(const struct cnn_model *m)
{
    return (size_t)m->statistics_stored * (size_t)m->real_size;
}

static int stopping_begin(struct callback *c)
{
    struct early_stopping *e = &c->stopping;
    const struct cnn_model *m = c->context->model;
    if (!e->restore_best)
        return 0;
    e->best_params = malloc(params_bytes(m) + 1);
    e->best_statistics = malloc(statistics_bytes(m) + 1);
    if (e->best_params && e->best_statistics)
        return 0;
    rt_error("early_stopping: no memory for a copy of the weights");
    return -1;
}

static void best_keep(struct callback *c)
{
    struct early_stopping *e = &c->stopping;
    const struct cnn_model *m = c->context->model;
    memcpy(e->best_params, c->context->params, params_bytes(m));
    memcpy(e->best_statistics, c->context->statistics, statistics_bytes(m));
    e->kept = true;
}

static void best_restore(struct callback *c, struct epoch_end *end)
{
    const struct early_stopping *e = &c->stopping;
    const struct cnn_model *m = c->context->model;
    if (c->verbose)
        rt_progress_say(end->progress,
                        "Restoring model weights from the end of the best epoch\n");
    memcpy(c->context->params, e->best_params, params_bytes(m));
    memcpy(c->context->statistics, e->best_statistics, statistics_bytes(m));
    end->restored = true;
}

static void stopping_epoch_end(struct callback *c, struct epoch_end *end)
{
    const struct early_stopping *e = &c->stopping;
    double now = rt_monitor_value(&c->monitor, end);
    if (rt_monitor_better(c, now, e->min_delta)) {
        c->state.best = now;
        c->state.waited = 0;
        if (e->restore_best)
            best_keep(c);
        return;
    }
    if (++c->state.waited < e->patience)
        return;
    c->state.stopped_epoch = end->epoch;
    end->stop = true;
}

/* A checkpoint of the same epoch has been written by now. */
static void stopping_stopped(struct callback *c, struct epoch_end *end)
{
    /* nothing is kept where no epoch gave a number */
    if (c->state.stopped_epoch == end->epoch && c->stopping.kept)
        best_restore(c, end);
}

static void stopping_save(const struct callback *c, struct state *s)
{
    const struct early_stopping *e = &c->stopping;
    rt_state_put_whole(s, "kept", e->kept);
    if (e->kept) {
        rt_state_put_params(s, "best_parameters", e->best_params);
        rt_state_put_statistics(s, "best_parameters", e->best_statistics);
    }
}

static int stopping_load(struct callback *c, const struct state *s)
{
    struct early_stopping *e = &c->stopping;
    int64_t kept;
    if (rt_state_get_whole(s, "kept", &kept))
        return -1;
    /* another recipe may have kept them, or not */
    if (!kept || !e->restore_best)
        return 0;
    e->kept = true;
    return rt_state_get_params(s, "best_parameters", e->best_params)
                   || rt_state_get_statistics(s, "best_parameters", e->best_statistics)
               ? -1
               : 0;
}

static void stopping_train_end(struct callback *c, struct progress *progress)
{
    if (c->state.stopped_epoch >= 0 && c->verbose)
        rt_progress_say(progress, "Epoch %05d: early stopping\n", c->state.stopped_epoch + 1);
}

static void stopping_close(struct callback *c)
{
    free(c->stopping.best_params);
    free(c->stopping.best_statistics);
}

const struct callback_kind rt_callback_early_stopping = {
    .name = "early_stopping",
    .monitors = true,
    .open = stopping_open,
    .begin = stopping_begin,
    .save = stopping_save,
    .load = stopping_load,
    .epoch_end = stopping_epoch_end,
    .stopped = stopping_stopped,
    .train_end = stopping_train_end,
    .close = stopping_close,
};
