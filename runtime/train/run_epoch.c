/* run_epoch.c - an epoch's steps, and what follows them: validation, log, weights, callbacks. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "core/message.h"
#include "core/rank_writes.h"
#include "files/notes.h"
#include "train/averages.h"
#include "train/chart.h"
#include "train/run_parts.h"
#include "train/stop_signal.h"

static void nan_tell(struct trainer *t, double loss)
{
    if (t->told_nan || isfinite(loss))
        return;
    t->told_nan = true;
    rt_progress_say(&t->progress,
                    "%sEpoch %05d: the loss is not a number since step %llu; training goes on.\n",
                    t->progress.verbosity == VERBOSE_BAR ? "\n" : "", t->epoch + 1,
                    (unsigned long long)t->context->step);
}

/* What the data took of an epoch's steps, for the log; and in a line for all to see where steps waited long. */
static void waits_note(struct trainer *t, uint64_t began)
{
    static const double long_share = 0.25;
    const struct loader_wait *w = &t->train.wait;
    double seconds = (double)(cnn_clock() - began) * 1e-9, waited = (double)w->nanoseconds * 1e-9;
    double worked = (double)w->worked * 1e-9, threads = t->context->threads;
    if (w->samples == 0)
        return;
    rt_progress_note(&t->progress,
                     "# data: %.3f s of the threads' %.1f s (%.2f %%); steps waited %.3f s (%.2f %%), for %.1f %% of the "
                     "samples\n",
                     worked, threads * seconds, 100.0 * worked / (threads * seconds), waited, 100.0 * waited / seconds,
                     100.0 * (double)w->late / (double)w->samples);
    if (waited > long_share * seconds && seconds > 1.0 && !t->told_wait) {
        t->told_wait = true;
        rt_progress_say(&t->progress, "%sSteps wait for their data for %.0f %% of the time\n",
                        t->progress.verbosity == VERBOSE_BAR ? "\n" : "", 100.0 * waited / seconds);
    }
}

/* How much of the gradients has left this process while it still computed. */
static void gradients_note(struct trainer *t)
{
    struct shares *s = &t->shares;
    if (s->ranks && s->all_sent > 0)
        rt_progress_note(&t->progress,
                         "# gradients: %" PRId64 " of %" PRId64 " pieces were sent before the last phase of their step\n",
                         s->early, s->all_sent);
    s->early = s->all_sent = 0;
}

/* The next batch of the training set, forward and backward, by this process or by all.  Its samples; 0: there is none
 * any more, -1: it cannot be had. */
static int batch_train(struct trainer *t)
{
    struct cnn_context *c = t->context;
    if (t->shares.count)
        return rt_shares_train(&t->shares, &t->train, rt_run_word(t));
    int n = rt_loader_next(&t->train, c);
    if (n > 0)
        t->model->train_step(c, n);
    return n;
}

void rt_epoch_train(struct trainer *t)
{
    const uint64_t began = cnn_clock();
    struct cnn_context *c = t->context;
    int n = 0;
    int64_t position = t->inside ? t->train.next : 0;
    int64_t batch = position / rt_whole_batch(t->model);
    rt_loader_begin(&t->train, c->seed, (uint64_t)t->epoch);
    rt_loader_skip(&t->train, position);
    if (!t->inside)
        rt_tally_begin(&t->train_tally);
    t->inside = false;
    t->last_is_ours = false;
    const double steps = t->schedule.steps_per_epoch;
    c->steps_total = (uint64_t)t->schedule.steps;
    bool good = true;
    t->train.wait = (struct loader_wait){ 0 };
    const struct cnn_context *seen = t->shares.count ? &t->shares.whole : c;
    while (!rt_run_finished(t) && (good = rt_schedule_good(&t->schedule, c->step))) {
        const uint64_t step_begun = cnn_clock();
        c->lr = rt_schedule_rate(&t->schedule, c->step);
        c->epoch = t->epoch + (double)batch / steps;
        n = batch_train(t);
        if (n <= 0)
            break;
        /* weights that follow an invalid loss would be lost */
        if (!rt_callbacks_step(&t->callbacks, &t->progress, batch++, seen->loss / n)) {
            t->invalid = true;
            return;
        }
        if (t->shares.count)
            rt_shares_sum(&t->shares);
        t->model->update(c);
        rt_tally_add(&t->train_tally, seen, n);
        rt_history_step(&t->step_log, c->step, seen->loss / n, c->lr);
        nan_tell(t, seen->loss);
        c->step++;
        t->slowest = cnn_clock() - step_begun > t->slowest ? cnn_clock() - step_begun : t->slowest;
        rt_progress_step(&t->progress, &t->train_tally);
        if ((t->unsaved || cnn_clock() - t->saved >= t->save_interval) && !rt_run_stopped(t)) {
            rt_run_origin_note(t);
            rt_run_state_save(t);
        }
    }
    rt_run_origin_note(t);
    t->data_failed = n < 0 || !good;
    waits_note(t, began);
    gradients_note(t);
}

static int batch_infer(struct trainer *t, struct loader *set, struct tta *tta)
{
    if (t->shares.count)
        return rt_shares_infer(&t->shares, set, tta, rt_run_word(t));
    int n = rt_loader_next(set, t->context);
    if (n > 0 && tta)
        rt_tta_infer(tta, t->context, n);
    else if (n > 0)
        t->model->infer(t->context, n);
    return n;
}

void rt_run_measure(struct trainer *t, struct loader *set, struct tta *tta)
{
    int n = 0;
    const char *what = t->progress.inside ? "validating" : "measuring";
    rt_loader_begin(set, 0, 0);
    rt_tally_begin(&t->val_tally);
    const struct cnn_context *seen = t->shares.count ? &t->shares.whole : t->context;
    while (n >= 0 && (n = batch_infer(t, set, tta)) > 0) {
        rt_tally_add(&t->val_tally, seen, n);
        if (t->wrong && rt_wrong_add(t->wrong, seen, n, set->next - n))
            n = -1;
        rt_progress_measure(&t->progress, what, t->val_tally.samples, set->split->count);
    }
    t->data_failed = n < 0;
}

void rt_run_validate(struct trainer *t)
{
    rt_run_measure(t, &t->val, NULL);
}

void rt_run_save_last(struct trainer *t)
{
    if (rt_run_folder_lost(t))
        return;
    t->last_failed = cnn_save_weights(t->context, t->folder.last) != 0;
    t->last_is_ours = !t->last_failed;
}

/* The weights of an epoch's end with a loss lower than those before, for `best`. */
static void best_save(struct trainer *t, double loss)
{
    if (rt_run_folder_lost(t))
        return;
    struct weights_origin *origin = &rt_notes(t->context)->origin;
    rt_origin_choose(origin, "val_loss", loss);
    t->best_due = cnn_save_weights(t->context, t->folder.best) != 0;
    if (t->best_due) {
        t->missed_loss = fmin(loss, t->missed_loss);
    } else {
        t->best_loss = loss;
        rt_origin_copy(&t->best, origin);
    }
    rt_origin_choose(origin, NULL, 0.0);
}

static void chart_draw(struct trainer *t)
{
    if (!rt_rank_writes(t->context->ranks))
        t->chart_due = false;
    if (!rt_rank_writes(t->context->ranks) || rt_run_folder_lost(t))
        return;
    const char *text = t->kept_history.text, *rows = text ? strchr(text, '\n') : NULL;
    t->chart_due = rows && rows[1] && rt_chart_write(t->folder.chart, t->model->name, text);
}

/* The rate of the last step. */
static double last_rate(const struct trainer *t)
{
    return rt_schedule_rate(&t->schedule, t->context->step - (t->context->step > 0));
}

/* A row of an epoch: to the log, the tables and the chart. */
static void epoch_note(struct trainer *t)
{
    rt_progress_epoch_end(&t->progress, &t->train_tally, &t->val_tally);
    const struct history_row row = { .epoch = t->epoch, .lr = last_rate(t), .train = &t->train_tally,
                                     .val = &t->val_tally,
                                     .steps = t->context->step, .seconds = t->progress.seconds,
                                     .images_per_second = t->progress.images_per_second };
    rt_history_epoch(&t->kept_history, &row);
    rt_history_epoch(&t->history, &row);
    chart_draw(t);
}

/* The same, of the weights as they are now. */
static bool epoch_finish(struct trainer *t)
{
    rt_run_validate(t);
    if (t->data_failed)
        return false;
    epoch_note(t);
    double loss = rt_tally_value(&t->val_tally, 0);
    t->best_due = false;        /* what was due is lost with the weights that it was due for */
    if (loss < t->best_loss)
        best_save(t, loss);
    rt_run_save_last(t);
    if (t->best_due || t->last_failed)
        rt_note("training goes on; the weights are saved again after the next epoch");
    struct epoch_end end = { .epoch = t->epoch, .lr = last_rate(t), .train = &t->train_tally, .val = &t->val_tally,
                             .schedule = &t->schedule, .progress = &t->progress };
    if (rt_run_folder_lost(t))
        return false;
    rt_callbacks_epoch_end(&t->callbacks, &end);
    return !end.stop;
}

bool rt_epoch_finish(struct trainer *t)
{
    rt_averages_exchange(t->context);
    bool more = epoch_finish(t);
    rt_averages_exchange(t->context);
    return more;
}

void rt_epoch_cut(struct trainer *t)
{
    if (t->progress.steps == 0)         /* resumed within it, and nothing was left to train */
        rt_run_epoch_head(t, t->train.next);
    if (rt_run_part_done(t)) {
        rt_epoch_finish(t);
        return;
    }
    rt_run_validate(t);
    if (t->data_failed)
        return;
    epoch_note(t);
    rt_run_save_last(t);
}

void rt_run_catch_up(struct trainer *t)
{
    if (t->chart_due)
        chart_draw(t);
    if (!rt_run_between_epochs(t))
        return;
    if (t->best_due)
        best_save(t, t->missed_loss);
    rt_callbacks_catch_up(&t->callbacks);
}
