/* callback.c - the callbacks of a recipe: what they watch, and the table of their kinds. */
#include "train/callback_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/message.h"
#include "common/recipe.h"
#include "files/state.h"

/* ---- monitors: a value of an epoch by name --------------------------------------------------- */

/* "loss", or a metric by either of its names, with or without "val_". */
static bool value_find(struct monitor *m, const struct cnn_train_recipe *recipe, const char *name)
{
    m->name = name;
    m->validation = strncmp(name, "val_", 4) == 0;
    if (m->validation)
        name += 4;
    if (strcmp(name, "loss") == 0) {
        m->value = 0;
        m->direction = CNN_LOWER_IS_BETTER;
        return true;
    }
    for (int i = 0; i < recipe->metrics_count; i++) {
        const struct cnn_metric *metric = &recipe->metrics[i];
        if (strcmp(name, metric->name) == 0 || strcmp(name, metric->log_name) == 0) {
            m->value = i + 1;
            m->direction = metric->direction;
            return true;
        }
    }
    return false;
}

/* A value that can be watched. */
static bool monitor_find(struct monitor *m, const struct cnn_train_recipe *recipe, const char *name)
{
    return value_find(m, recipe, name) && m->direction != CNN_NO_DIRECTION;
}

bool rt_epoch_value(const struct callback *c, const struct epoch_end *end, const char *name, double *value)
{
    struct monitor m;
    if (strcmp(name, "epoch") == 0) {
        *value = end->epoch + 1;
        return true;
    }
    if (strcmp(name, "lr") == 0) {
        *value = end->lr;
        return true;
    }
    if (!value_find(&m, &c->context->model->train, name))
        return false;
    *value = rt_monitor_value(&m, end);
    return true;
}

double rt_monitor_value(const struct monitor *m, const struct epoch_end *end)
{
    return rt_tally_value(m->validation ? end->val : end->train, m->value);
}

bool rt_monitor_better(const struct callback *c, double now, double min_delta)
{
    return c->monitor.direction == CNN_LOWER_IS_BETTER ? now < c->state.best - min_delta
                                                       : now > c->state.best + min_delta;
}

/* ---- the table ------------------------------------------------------------------------------- */

static const struct callback_kind *const kinds[] = {
    &rt_callback_checkpoint,
    &rt_callback_early_stopping,
    &rt_callback_plateau,
    &rt_callback_stop_on_nan,
};

static const struct callback_kind *kind_find(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(kinds[i]->name, name) == 0)
            return kinds[i];
    return NULL;
}

static int callback_open(struct callback *c, const struct cnn_train_recipe *recipe,
                         const struct cnn_clause *clause)
{
    const char *monitor = rt_setting_text(clause, "monitor");
    c->kind = kind_find(clause->name);
    if (!c->kind) {
        rt_error("this version of the runtime has no callback '%s'", clause->name);
        return -1;
    }
    if (c->kind->monitors && !monitor_find(&c->monitor, recipe, monitor)) {
        rt_error("%s: nothing to monitor is called '%s'", clause->name, monitor);
        return -1;
    }
    c->state = (struct callback_state){
        .best = c->monitor.direction == CNN_HIGHER_IS_BETTER ? -INFINITY : INFINITY,
        .stopped_epoch = -1,
    };
    if (c->kind->open)
        c->kind->open(c, clause);
    return 0;
}

int rt_callbacks_open(struct callback_list *l, const struct cnn_train_recipe *recipe)
{
    l->count = 0;
    l->items = calloc((size_t)recipe->callbacks_count + 1, sizeof *l->items);
    if (!l->items) {
        rt_error("no memory for %d callbacks", recipe->callbacks_count);
        return -1;
    }
    for (; l->count < recipe->callbacks_count; l->count++)
        if (callback_open(&l->items[l->count], recipe, &recipe->callbacks[l->count])) {
            rt_callbacks_close(l);
            return -1;
        }
    return 0;
}

void rt_callbacks_close(struct callback_list *l)
{
    for (int i = 0; i < l->count; i++)
        if (l->items[i].kind->close)
            l->items[i].kind->close(&l->items[i]);
    free(l->items);
    *l = (struct callback_list){ 0 };
}

/* ---- what happens when ----------------------------------------------------------------------- */

int rt_callbacks_begin(struct callback_list *l, struct cnn_context *context, const char *folder)
{
    for (int i = 0; i < l->count; i++) {
        struct callback *c = &l->items[i];
        c->context = context;
        c->folder = folder;
        if (c->kind->begin && c->kind->begin(c))
            return -1;
    }
    return 0;
}

int rt_callbacks_check(const struct callback_list *l, const struct run_folder *folder, const char *const files[2])
{
    for (int i = 0; i < l->count; i++)
        if (l->items[i].kind->check && l->items[i].kind->check(&l->items[i], folder, files))
            return -1;
    return 0;
}

int rt_callbacks_claim(struct callback_list *l, bool resumed)
{
    for (int i = 0; i < l->count; i++)
        if (l->items[i].kind->claim && l->items[i].kind->claim(&l->items[i], resumed))
            return -1;
    return 0;
}

bool rt_callbacks_step(struct callback_list *l, struct progress *progress, int64_t batch,
                       double loss)
{
    bool going = true;
    for (int i = 0; i < l->count; i++)
        if (l->items[i].kind->step)
            going = l->items[i].kind->step(&l->items[i], progress, batch, loss) && going;
    return going;
}

void rt_callbacks_epoch_end(struct callback_list *l, struct epoch_end *end)
{
    for (int i = 0; i < l->count; i++)
        if (l->items[i].kind->epoch_end)
            l->items[i].kind->epoch_end(&l->items[i], end);
}

void rt_callbacks_catch_up(struct callback_list *l)
{
    for (int i = 0; i < l->count; i++)
        if (l->items[i].kind->catch_up)
            l->items[i].kind->catch_up(&l->items[i]);
}

bool rt_callbacks_train_end(struct callback_list *l, struct progress *progress)
{
    bool changed = false;
    for (int i = 0; i < l->count; i++)
        if (l->items[i].kind->train_end)
            changed = l->items[i].kind->train_end(&l->items[i], progress) || changed;
    return changed;
}

bool rt_callbacks_stopped(const struct callback_list *l)
{
    for (int i = 0; i < l->count; i++)
        if (l->items[i].state.stopped_epoch >= 0)
            return true;
    return false;
}

bool rt_callbacks_failed(const struct callback_list *l)
{
    for (int i = 0; i < l->count; i++)
        if (l->items[i].kind == &rt_callback_checkpoint && l->items[i].checkpoint.failed)
            return true;
    return false;
}

/* What a monitor is called in the log, whichever of its names the recipe uses. */
static const char *monitor_log_name(const struct callback *c)
{
    int value = c->monitor.value;
    return value == 0 ? "loss" : c->context->model->train.metrics[value - 1].log_name;
}

/* Whether what a callback remembers is of the value that it watches now; the first states did not say. */
static bool same_monitor(const struct callback *c, const struct state *s)
{
    const char *name = rt_state_text(s, "monitor");
    int64_t validation;
    return !name || !c->kind->monitors
           || (strcmp(name, monitor_log_name(c)) == 0 && rt_state_get_whole(s, "validation", &validation) == 0
               && (validation != 0) == c->monitor.validation);
}

void rt_callbacks_save(const struct callback_list *l, struct state *s)
{
    for (int i = 0; i < l->count; i++) {
        const struct callback *c = &l->items[i];
        rt_state_section(s, "callback_%d", i + 1);
        rt_state_put_text(s, "kind", c->kind->name);
        rt_state_put_text(s, "monitor", c->kind->monitors ? monitor_log_name(c) : "");
        rt_state_put_whole(s, "validation", c->monitor.validation);
        rt_state_put_number(s, "best", c->state.best);
        rt_state_put_whole(s, "waited", c->state.waited);
        rt_state_put_whole(s, "cooling", c->state.cooling);
        rt_state_put_whole(s, "stopped_epoch", c->state.stopped_epoch);
        if (c->kind->save)
            c->kind->save(c, s);
    }
    rt_state_section(s, "%s", "");
}

static int state_load(struct callback_state *state, const struct state *s)
{
    int64_t waited, cooling, stopped_epoch;
    if (rt_state_get_number(s, "best", &state->best) || rt_state_get_whole(s, "waited", &waited)
        || rt_state_get_whole(s, "cooling", &cooling)
        || rt_state_get_whole(s, "stopped_epoch", &stopped_epoch))
        return -1;
    state->waited = (int)waited;
    state->cooling = (int)cooling;
    state->stopped_epoch = (int)stopped_epoch;
    return 0;
}

int rt_callbacks_load(struct callback_list *l, struct state *s)
{
    int status = 0;
    for (int i = 0; i < l->count && status == 0; i++) {
        struct callback *c = &l->items[i];
        rt_state_section(s, "callback_%d", i + 1);
        const char *kind = rt_state_text(s, "kind");
        if (!kind || strcmp(kind, c->kind->name))
            rt_note("%s knows no %s in this place; it starts anew", s->path, c->kind->name);
        else if (!same_monitor(c, s))
            rt_note("%s: its %s watched another value; it starts anew", s->path, c->kind->name);
        else
            status = state_load(&c->state, s) || (c->kind->load && c->kind->load(c, s)) ? -1 : 0;
    }
    rt_state_section(s, "%s", "");
    return status;
}
