/* run_state.c - where a run stands, to a file and back. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "common/recipe.h"
#include "core/message.h"
#include "core/rank_writes.h"
#include "files/notes.h"
#include "train/run_parts.h"

void rt_run_origin_note(struct trainer *t)
{
    bool whole = t->train.next >= t->data.train.count;
    rt_origin_set(&rt_notes(t->context)->origin, t->epoch + whole, whole ? 0 : t->train.next,
                  (int64_t)t->context->step);
}

/* Tells one recipe from another. */
static void recipe_mark(char mark[24], const struct cnn_model *m)
{
    snprintf(mark, 24, "%08lx", rt_run_folder_recipe_sum(m));
}

/* Tells one training set from another of as many samples: by its targets. */
static void labels_mark(char mark[24], const struct dataset *d)
{
    size_t count = (size_t)d->train.count;
    const void *targets = d->train.labels ? (const void *)d->train.labels : d->train.vectors;
    size_t bytes = d->train.labels ? count * sizeof *d->train.labels
                                   : count * (size_t)d->target.size * sizeof *d->train.vectors;
    snprintf(mark, 24, "%08lx", crc32_z(0, targets, bytes));
}

enum { SLOTS_TEXT = 200 };

/* "m, s": what the optimizer keeps of a weight. */
static void slots_text(char *text, size_t size, const struct cnn_model *m)
{
    size_t length = 0;
    text[0] = '\0';
    for (int i = 0; i < m->optimizer_slots && m->slot_names && length < size; i++)
        length += (size_t)snprintf(text + length, size - length, "%s%s", i ? ", " : "", m->slot_names[i]);
}

bool rt_run_between_epochs(const struct trainer *t)
{
    return t->train.next == 0 && t->epoch > 0;
}

void rt_run_state_write(struct trainer *t)
{
    struct cnn_context *c = t->context;
    const struct cnn_model *m = t->model;
    size_t slot_bytes = (size_t)m->params_stored * (size_t)m->real_size;
    char plan[24], name[24], kept[SLOTS_TEXT];
    struct state s;
    const uint64_t begun = t->saved = cnn_clock();
    t->unsaved = false;
    if (!rt_rank_writes(c->ranks))
        return;
    snprintf(plan, sizeof plan, "%016" PRIx64, m->plan_hash);
    rt_state_begin(&s, m);
    rt_state_put_text(&s, "format", "pt");
    rt_state_put_text(&s, "model", m->name);
    rt_state_put_text(&s, "plan", plan);
    recipe_mark(name, m);
    rt_state_put_text(&s, "recipe", name);
    rt_state_put_text(&s, "history", t->kept_history.text ? t->kept_history.text : "");
    rt_state_put_whole(&s, "tensors", m->params_list_count);
    rt_state_put_whole(&s, "slots", m->optimizer_slots);
    slots_text(kept, sizeof kept, m);
    rt_state_put_text(&s, "slot_names", kept);
    rt_state_put_whole(&s, "training_samples", t->data.train.count);
    labels_mark(name, &t->data);
    rt_state_put_text(&s, "training_labels", name);
    rt_state_put_whole(&s, "shuffled", !t->options->no_shuffle);
    rt_state_put_whole(&s, "shuffle_block", t->train.order.by.block);
    rt_state_put_whole(&s, "shuffle_mixed", t->train.order.by.mixed);
    rt_state_put_whole(&s, "seed", (int64_t)c->seed);
    rt_state_put_whole(&s, "step", (int64_t)c->step);
    rt_state_put_whole(&s, "epoch", t->epoch);
    rt_state_put_whole(&s, "position", t->train.next);
    rt_state_put_whole(&s, "ended", t->ended);
    rt_state_put_whole(&s, "told_nan", t->told_nan);
    rt_state_put_number(&s, "rate", t->schedule.rate);
    if (t->schedule.formula)
        rt_state_put_number(&s, "epochs", t->epochs);
    if (rt_setting_number(&m->train.optimizer, "lookahead") > 0)
        rt_state_put_number(&s, "lookahead_epochs", t->epochs);
    rt_state_put_number(&s, "best_loss", t->best_loss);
    rt_state_put_number(&s, "lr_given", t->lr_given);
    rt_state_put_text(&s, "weights_given", t->weights_given ? t->weights_given : "");
    rt_state_put_whole(&s, "partial_given", t->partial_given);
    rt_notes_save(c, &s);
    if (t->best_due && rt_run_between_epochs(t))
        rt_state_put_number(&s, "due_loss", t->missed_loss);
    rt_state_section(&s, "best");
    rt_origin_save(&t->best, &s);
    rt_tally_save(&t->train_tally, &s);
    rt_callbacks_save(&t->callbacks, &s);
    rt_state_section(&s, "%s", "");
    rt_state_put_params(&s, "parameters", c->params);
    rt_state_put_statistics(&s, "parameters", c->statistics);
    for (int i = 0; i < m->optimizer_slots; i++) {
        snprintf(name, sizeof name, "optimizer_%d", i + 1);
        rt_state_put_params(&s, name, (char *)c->optimizer_state + (size_t)i * slot_bytes);
    }
    if (m->slow_statistics)
        rt_state_put_statistics(&s, "slow", c->slow_statistics);
    t->state_failed = rt_state_write(&s, t->folder.state, t->folder.previous_state) != 0;
    t->saved = cnn_clock();
    t->saving = t->saved - begun > t->saving ? t->saved - begun : t->saving;
    rt_state_free(&s);
}

bool rt_run_folder_lost(struct trainer *t)
{
    if (!t->folder_lost && rt_run_folder_replaced(&t->folder)) {
        t->folder_lost = true;
        rt_error("%s: is not the folder that this run began in: the run ends here", t->folder.path);
    }
    return t->folder_lost;
}

void rt_run_state_save(struct trainer *t)
{
    if (rt_run_folder_lost(t))
        return;
    rt_run_state_write(t);
    if (t->state_failed)
        rt_note("training goes on; what was saved before is as it was");
}

/* Whether the state is of a run that this network with these options can go on with. */
static int state_check(const struct trainer *t)
{
    const struct state *s = &t->resumed;
    const struct cnn_model *m = t->model;
    const struct run_options *o = t->options;
    int64_t tensors, slots, samples, shuffled, seed;
    if (rt_state_get_whole(s, "tensors", &tensors) || rt_state_get_whole(s, "slots", &slots)
        || rt_state_get_whole(s, "training_samples", &samples)
        || rt_state_get_whole(s, "shuffled", &shuffled) || rt_state_get_whole(s, "seed", &seed))
        return -1;
    /* older states have none of these two */
    const char *labels = rt_state_text(s, "training_labels"), *kept = rt_state_text(s, "slot_names");
    char ours[24], keeps[SLOTS_TEXT];
    labels_mark(ours, &t->data);
    slots_text(keeps, sizeof keeps, m);
    if (tensors != m->params_list_count)
        rt_error("%s: is the state of another network: of %lld parameters, %s has %d", s->path,
                 (long long)tensors, m->name, m->params_list_count);
    else if (kept && strcmp(kept, keeps))
        rt_error("%s: was saved by another optimizer: of a weight it kept %s, %s of %s keeps %s", s->path,
                 *kept ? kept : "nothing", m->train.optimizer.name, m->name, *keeps ? keeps : "nothing");
    else if (slots != m->optimizer_slots)
        rt_error("%s: was saved by another optimizer: with %lld numbers a weight, %s has %d",
                 s->path, (long long)slots, m->train.optimizer.name, m->optimizer_slots);
    else if (samples != t->data.train.count)
        rt_error("%s: the run trained on %lld samples, the data have %lld now", s->path,
                 (long long)samples, (long long)t->data.train.count);
    else if (labels && strcmp(labels, ours))
        rt_error("%s: the run trained on as many samples with other labels: classes or pictures have changed places",
                 s->path);
    else if (shuffled != !o->no_shuffle)
        rt_error("%s: the run was started with%s --no-shuffle and has to go on so", s->path,
                 shuffled ? "out" : "");
    else if (o->seed >= 0 && o->seed != seed)
        rt_error("%s: the run was started with --seed %lld and goes on with it", s->path,
                 (long long)seed);
    else
        return 0;
    return -1;
}

/* What may differ, but is worth a word. */
static void state_compare(struct trainer *t)
{
    const struct state *s = &t->resumed;
    const struct cnn_model *m = t->model;
    const char *plan = rt_state_text(s, "plan"), *recipe = rt_state_text(s, "recipe"),
               *name = rt_state_text(s, "model");
    char ours[24];
    snprintf(ours, sizeof ours, "%016" PRIx64, m->plan_hash);
    if (name && strcmp(name, m->name))
        rt_note("%s was saved by the model '%s'", s->path, name);
    if (plan && strcmp(plan, ours))
        rt_note("%s was saved under another plan (%s, now %s): results may differ in rounding from "
                "those of a run without a break",
                s->path, plan, ours);
    recipe_mark(ours, m);
    if (recipe && strcmp(recipe, ours))
        rt_note("the recipe is not the one %s was saved under; the new one holds from here on",
                s->path);
}

/* The run's order stays, whatever memory there is now; the first states did not hold it, and had all samples mixed. */
static void order_recall(struct trainer *t)
{
    struct order_blocks by;
    if (!rt_state_text(&t->resumed, "shuffle_block") || rt_state_get_whole(&t->resumed, "shuffle_block", &by.block)
        || rt_state_get_whole(&t->resumed, "shuffle_mixed", &by.mixed) || by.block < 1
        || by.block > t->data.train.count || by.mixed < 1 || by.mixed > UINT32_MAX)
        by = (struct order_blocks){ 0, 0 };
    rt_loader_order(&t->train, by);
}

/* Options that the run was started with; the first states did not hold them. */
static void options_recall(struct trainer *t)
{
    const struct state *s = &t->resumed;
    const char *weights = rt_state_text(s, "weights_given");
    int64_t partial;
    if (!weights)
        return;
    t->weights_given = *weights ? weights : NULL;
    t->partial_given = rt_state_get_whole(s, "partial_given", &partial) == 0 && partial;
    rt_state_get_number(s, "lr_given", &t->lr_given);
}

/* The rate as the run left it; of a schedule the optimizer's, or --lr's.  Another number of epochs may give the steps
 * that are done other rates. */
static void rate_recall(struct trainer *t, double rate)
{
    struct schedule past = t->schedule;
    bool asked = !isnan(t->options->lr);
    double epochs;
    if (!t->schedule.formula) {
        t->schedule.rate = asked ? t->schedule.rate : rate;
        return;
    }
    if (!asked && !isnan(t->lr_given))
        t->schedule.rate = t->lr_given;
    if (!rt_state_text(&t->resumed, "epochs") || rt_state_get_number(&t->resumed, "epochs", &epochs))
        return;                 /* it had no schedule */
    past.rate = t->schedule.rate;
    rt_schedule_span(&past, epochs, (int64_t)past.steps_per_epoch);
    if (!rt_schedule_agrees(&past, &t->schedule, t->context->step))
        rt_note("the first %" PRIu64 " steps had the rates of a run of %.10g epochs; from here on they are those of "
                "%.10g epochs, where these steps would have had others",
                t->context->step, epochs, t->epochs);
}

/* Lookahead ends a run with its slow weights, and its shares may go by the steps in all: another number of epochs may
 * make the steps that are done others. */
static void lookahead_recall(const struct trainer *t)
{
    const struct cnn_clause *optimizer = &t->model->train.optimizer;
    uint64_t step = t->context->step, every = (uint64_t)rt_setting_number(optimizer, "every");
    double epochs;
    if (rt_setting_number(optimizer, "lookahead") <= 0 || !rt_state_text(&t->resumed, "lookahead_epochs")
        || rt_state_get_number(&t->resumed, "lookahead_epochs", &epochs))
        return;
    uint64_t past = rt_schedule_steps(epochs, (int64_t)t->schedule.steps_per_epoch);
    bool other_end = step == past && step % every != 0;
    bool other_shares = rt_setting_number(optimizer, "lookahead_power") != 0 && step >= every;
    if (past != (uint64_t)t->schedule.steps && (other_end || other_shares))
        rt_note("lookahead took the first %" PRIu64 " steps as those of a run of %.10g epochs, %s; in one of %.10g epochs "
                "they would have been others", step, epochs,
                other_end ? "which ended with the slow weights" : "by which its shares went", t->epochs);
}

int rt_run_state_apply(struct trainer *t)
{
    struct state *s = &t->resumed;
    struct cnn_context *c = t->context;
    const struct cnn_model *m = t->model;
    size_t slot_bytes = (size_t)m->params_stored * (size_t)m->real_size;
    int64_t seed, step, epoch, position, ended, told_nan;
    double rate;
    if (state_check(t) || rt_state_get_whole(s, "seed", &seed)
        || rt_state_get_whole(s, "step", &step) || rt_state_get_whole(s, "epoch", &epoch)
        || rt_state_get_whole(s, "position", &position) || rt_state_get_whole(s, "ended", &ended)
        || rt_state_get_whole(s, "told_nan", &told_nan) || rt_state_get_number(s, "rate", &rate)
        || rt_state_get_number(s, "best_loss", &t->best_loss)
        || (rt_state_text(s, "due_loss") && rt_state_get_number(s, "due_loss", &t->missed_loss))
        || rt_callbacks_load(&t->callbacks, s)
        || rt_state_get_params(s, "parameters", c->params)
        || rt_state_get_statistics(s, "parameters", c->statistics))
        return -1;
    if (position < 0 || position > t->data.train.count || epoch < 0 || epoch > INT32_MAX) {
        rt_error("%s: stands at sample %lld of epoch %lld, which makes no sense", s->path,
                 (long long)position, (long long)epoch + 1);
        return -1;
    }
    for (int i = 0; i < m->optimizer_slots; i++) {
        char name[24];
        snprintf(name, sizeof name, "optimizer_%d", i + 1);
        if (rt_state_get_params(s, name, (char *)c->optimizer_state + (size_t)i * slot_bytes))
            return -1;
    }
    if (m->slow_statistics && rt_state_get_statistics(s, "slow", c->slow_statistics))
        return -1;
    if (position > 0 && rt_tally_load(&t->train_tally, s))
        return -1;
    state_compare(t);
    c->seed = (uint64_t)seed;
    c->step = (uint64_t)step;
    t->epoch = (int)epoch;
    t->inside = position > 0;
    t->train.next = position;
    t->ended = ended && rt_callbacks_stopped(&t->callbacks);
    t->told_nan = told_nan != 0;
    t->chart_due = true;
    options_recall(t);
    order_recall(t);
    t->best_due = t->missed_loss < INFINITY;
    rate_recall(t, rate);
    lookahead_recall(t);
    rt_run_origin_note(t);
    rt_state_section(s, "best");
    rt_origin_load(&t->best, s);
    rt_state_section(s, "%s", "");
    return 0;
}
