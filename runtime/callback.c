/* callback.c - the callbacks of a recipe. */
#include "callback.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"
#include "recipe.h"
#include "state.h"

/* ---- monitors: a value of an epoch by name --------------------------------------------------- */

struct monitor {
    bool validation;
    int value;                          /* as rt_tally_value() numbers them */
    enum cnn_direction direction;
};

/* "loss", or a metric by either of its names, with or without "val_". */
static bool monitor_find(struct monitor *m, const struct cnn_train_recipe *recipe, const char *name)
{
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
            return m->direction != CNN_NO_DIRECTION;
        }
    }
    return false;
}

static double monitor_value(const struct monitor *m, const struct epoch_end *end)
{
    return rt_tally_value(m->validation ? end->val : end->train, m->value);
}

/* ---- reduce_lr_on_plateau -------------------------------------------------------------------- */

struct plateau {
    double factor, min_delta, min_lr;
    int patience, cooldown;
    bool verbose;
    double best;
    int waited, cooling;                /* epochs without progress; epochs of cooldown left */
};

struct callback {
    const struct callback_kind *kind;
    struct monitor monitor;
    struct plateau plateau;
};

static void plateau_open(struct callback *c, const struct cnn_clause *clause)
{
    c->plateau = (struct plateau){
        .factor = rt_setting_number(clause, "factor", 0.1),
        .min_delta = rt_setting_number(clause, "min_delta", 1e-4),
        .min_lr = rt_setting_number(clause, "min_lr", 0.0),
        .patience = (int)rt_setting_number(clause, "patience", 10),
        .cooldown = (int)rt_setting_number(clause, "cooldown", 0),
        .verbose = rt_setting_number(clause, "verbose", 1) != 0.0,
        .best = c->monitor.direction == CNN_LOWER_IS_BETTER ? INFINITY : -INFINITY,
    };
}

/* As Keras's ReduceLROnPlateau decides at the end of an epoch. */
static void plateau_epoch_end(struct callback *c, struct epoch_end *end)
{
    struct plateau *p = &c->plateau;
    double now = monitor_value(&c->monitor, end);
    bool better = c->monitor.direction == CNN_LOWER_IS_BETTER ? now < p->best - p->min_delta
                                                              : now > p->best + p->min_delta;
    if (p->cooling > 0) {
        p->cooling--;
        p->waited = 0;
    }
    if (better) {
        p->best = now;
        p->waited = 0;
        return;
    }
    if (p->cooling > 0 || ++p->waited < p->patience)
        return;
    if (end->schedule->rate > p->min_lr) {
        end->schedule->rate = fmax(end->schedule->rate * p->factor, p->min_lr);
        if (p->verbose)
            rt_progress_say(end->progress,
                            "\nEpoch %05d: ReduceLROnPlateau reducing learning rate to %g.\n",
                            end->epoch + 1, end->schedule->rate);
        p->cooling = p->cooldown;
        p->waited = 0;
    }
}

static void plateau_save(const struct callback *c, struct state *s)
{
    rt_state_put_number(s, "best", c->plateau.best);
    rt_state_put_whole(s, "waited", c->plateau.waited);
    rt_state_put_whole(s, "cooling", c->plateau.cooling);
}

static int plateau_load(struct callback *c, const struct state *s)
{
    int64_t waited = 0, cooling = 0;
    if (rt_state_get_number(s, "best", &c->plateau.best)
        || rt_state_get_whole(s, "waited", &waited) || rt_state_get_whole(s, "cooling", &cooling))
        return -1;
    c->plateau.waited = (int)waited;
    c->plateau.cooling = (int)cooling;
    return 0;
}

/* ---- the table ------------------------------------------------------------------------------- */

static const struct callback_kind {
    const char *name;
    void (*open)(struct callback *c, const struct cnn_clause *clause);
    void (*epoch_end)(struct callback *c, struct epoch_end *end);
    /* NULL: it remembers nothing */
    void (*save)(const struct callback *c, struct state *s);
    int (*load)(struct callback *c, const struct state *s);
} kinds[] = {
    { "reduce_lr_on_plateau", plateau_open, plateau_epoch_end, plateau_save, plateau_load },
};

static const struct callback_kind *kind_find(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    return NULL;
}

int rt_callbacks_open(struct callback_list *l, const struct cnn_train_recipe *recipe)
{
    l->count = recipe->callbacks_count;
    l->items = calloc((size_t)l->count + 1, sizeof *l->items);
    if (!l->items) {
        rt_error("no memory for %d callbacks", l->count);
        return -1;
    }
    for (int i = 0; i < l->count; i++) {
        const struct cnn_clause *clause = &recipe->callbacks[i];
        struct callback *c = &l->items[i];
        const char *monitor = rt_setting_text(clause, "monitor", "val_loss");
        c->kind = kind_find(clause->name);
        if (!c->kind)
            rt_error("this version of the runtime has no callback '%s'", clause->name);
        else if (!monitor_find(&c->monitor, recipe, monitor))
            rt_error("%s: nothing to monitor is called '%s'", clause->name, monitor);
        else {
            c->kind->open(c, clause);
            continue;
        }
        rt_callbacks_close(l);
        return -1;
    }
    return 0;
}

void rt_callbacks_close(struct callback_list *l)
{
    free(l->items);
    *l = (struct callback_list){ 0 };
}

void rt_callbacks_epoch_end(struct callback_list *l, struct epoch_end *end)
{
    for (int i = 0; i < l->count; i++)
        l->items[i].kind->epoch_end(&l->items[i], end);
}

void rt_callbacks_save(const struct callback_list *l, struct state *s)
{
    for (int i = 0; i < l->count; i++) {
        const struct callback *c = &l->items[i];
        rt_state_section(s, "callback_%d", i + 1);
        rt_state_put_text(s, "kind", c->kind->name);
        if (c->kind->save)
            c->kind->save(c, s);
    }
    rt_state_section(s, "%s", "");
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
        else if (c->kind->load)
            status = c->kind->load(c, s);
    }
    rt_state_section(s, "%s", "");
    return status;
}
