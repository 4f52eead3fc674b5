/* run.c - from epoch to epoch until the run ends or is broken off, and what it says of that. */
#include <inttypes.h>
#include <stdlib.h>

#include "core/message.h"
#include "core/rank_writes.h"
#include "files/notes.h"
#include "train/averages.h"
#include "train/run_parts.h"
#include "train/stop_signal.h"

int rt_run_stopped(const struct trainer *t)
{
    return t->shares.ranks ? t->shares.agreed.stop : rt_stop_signal();
}

/* Another step, and two states as they have been written so far, would not be over in time. */
static bool is_late(const struct trainer *t)
{
    return t->deadline < UINT64_MAX && cnn_clock() + t->slowest + 2 * t->saving > t->deadline;
}

bool rt_run_late(const struct trainer *t)
{
    return t->shares.ranks ? t->shares.agreed.late : is_late(t);
}

struct share_word rt_run_word(const struct trainer *t)
{
    return (struct share_word){ .stop = rt_stop_signal(), .late = rt_rank_writes(t->context->ranks) && is_late(t) };
}

/* A part of an epoch is one that is begun. */
static int epochs_begun(const struct trainer *t)
{
    return t->whole + (t->part > 0);
}

bool rt_run_part_done(const struct trainer *t)
{
    return t->part > 0 && t->epoch == t->whole && t->train.next == t->part;
}

bool rt_run_finished(const struct trainer *t)
{
    bool over = t->part > 0 && t->epoch >= t->whole && t->train.next >= t->part;
    return rt_run_stopped(t) || rt_run_late(t) || t->invalid || t->data_failed || t->folder_lost || over
           || t->context->step >= t->limit;
}

bool rt_run_epoch_left(const struct trainer *t)
{
    bool complete = t->inside && t->train.next == t->data.train.count;
    return t->epoch < epochs_begun(t) && !t->ended && (complete || !rt_run_finished(t));
}

void rt_run_epoch_head(struct trainer *t, int64_t before)
{
    bool in_part = t->part > 0 && t->epoch == t->whole;
    rt_progress_epoch_begin(&t->progress, t->epoch, t->epochs, in_part ? t->part : t->data.train.count, before);
}

/* That --limit-steps ended training before its epochs were over, if it did. */
static void limit_report(struct trainer *t)
{
    if (t->ended || t->context->step < t->limit || t->epoch >= epochs_begun(t) || rt_run_part_done(t))
        return;
    rt_progress_say(&t->progress, "Ended by --limit-steps after %" PRIu64 " steps, ", t->context->step);
    if (t->train.next > 0)
        rt_progress_say(&t->progress,
                        "with %" PRId64 " of %" PRId64 " samples of epoch %d; --resume goes on from there\n",
                        t->train.next, t->data.train.count, t->epoch + 1);
    else
        rt_progress_say(&t->progress, "with %d of %.10g epochs; --resume goes on from there\n", t->epoch, t->epochs);
}

/* Which weights the test loss belongs to, where the folder's best are others. */
static void origin_report(struct trainer *t)
{
    const struct weights_origin *last = &rt_notes(t->context)->origin;
    if (t->best.steps == 0 || t->best.steps == last->steps)
        return;
    char *ours = rt_origin_text(last), *best = rt_origin_text(&t->best);
    if (ours && best)
        rt_progress_say(&t->progress,
                        "That is what the weights %s, give (%s);\n"
                        "those %s, are in %s, which evaluate and predict take\n",
                        ours, t->folder.last, best, t->folder.best);
    free(ours);
    free(best);
}

void rt_run_report(struct trainer *t)
{
    const char *set = t->data.test.count || t->data.val_tests ? "Test" : "Validation";
    const struct tally *values = &t->val_tally;
    if (t->tta.copies.count > 1)
        rt_progress_say(&t->progress, "Averaged over %d copies of each sample (tta)\n", t->tta.copies.count);
    rt_progress_result(&t->progress, "%s loss: %.4f\n", set, rt_tally_value(values, 0));
    for (int i = 0; i < t->model->train.metrics_count; i++)
        rt_progress_result(&t->progress, "%s %s: %.4f\n", set, t->model->train.metrics[i].name,
                           rt_tally_value(values, i + 1));
}

/* Whether steps are left to train. */
static bool epochs_left(const struct trainer *t)
{
    bool over = t->epoch >= epochs_begun(t) || rt_run_part_done(t);
    return !over && !t->ended && t->context->step < t->limit;
}

/* Saves where the run stands and says so. */
static void stop_report(struct trainer *t)
{
    rt_progress_say(&t->progress, "\nStopped %safter %llu steps", rt_run_stopped(t) ? "" : rt_run_late(t)
                    ? "by --time-limit " : "", (unsigned long long)t->context->step);
    rt_averages_exchange(t->context);
    rt_run_save_last(t);
    rt_averages_exchange(t->context);
    rt_run_state_save(t);
    if (!t->last_failed)
        rt_progress_say(&t->progress, "; weights saved in %s", t->folder.last);
    rt_progress_say(&t->progress, t->state_failed ? ".\n" : "; --resume goes on from here.\n");
}

static void resumption_say(struct trainer *t)
{
    rt_progress_say(&t->progress, "Resumed after %llu steps, in epoch %d\n",
                    (unsigned long long)t->context->step, t->epoch + 1);
    if (t->ended)
        rt_note("a callback has ended this run: there is nothing to go on with");
    else if (t->epoch >= epochs_begun(t) || rt_run_part_done(t))
        rt_note("the run has had its %.10g epoch%s: a larger --epochs, counted in all, goes on",
                t->epochs, t->epochs == 1.0 ? "" : "s");
}

/* From epoch to epoch until the run ends or is broken off.  Returns whether the last measured set is
 * the validation set with the weights as they are. */
static bool epochs_train(struct trainer *t)
{
    bool validated = false;
    while (rt_run_epoch_left(t)) {
        validated = false;
        rt_run_epoch_head(t, t->inside ? t->train.next : 0);
        rt_epoch_train(t);
        if (rt_run_stopped(t) || rt_run_late(t) || t->invalid || t->data_failed)
            break;
        if (t->train.next < t->data.train.count) {      /* --limit-steps, or a part of an epoch is the last */
            rt_run_state_save(t);
            t->inside = true;
            break;
        }
        t->ended = !rt_epoch_finish(t);
        if (t->data_failed || t->folder_lost)
            break;
        validated = true;
        t->epoch++;
        t->train.next = 0;
        rt_run_state_save(t);
    }
    return validated;
}

/* The end of a run that was not broken off: `last` is what it ends with, and is measured.  The state
 * stays as the last epoch, or the end within one, has left it: a resumed run goes on from
 * there. */
static int run_end(struct trainer *t, bool validated)
{
    rt_averages_exchange(t->context);           /* for good */
    if (t->inside) {
        rt_epoch_cut(t);
        validated = true;
    } else {
        rt_run_catch_up(t);
    }
    if (t->data_failed)
        return -1;
    limit_report(t);
    bool restored = rt_callbacks_train_end(&t->callbacks, &t->progress);
    if (restored || !t->last_is_ours)
        rt_run_save_last(t);
    /* without a split the validation set is the test set */
    if (t->data.test.count)
        rt_run_measure(t, &t->test, &t->tta);
    else if (!validated || restored || t->tta.copies.count > 1)
        rt_run_measure(t, &t->val, &t->tta);
    if (t->data_failed)
        return -1;
    rt_run_report(t);
    origin_report(t);
    return 0;
}

/* A file that is sorted by classes gives blocks of few of them. */
static void sorted_tell(const struct trainer *t)
{
    const struct split *s = &t->data.train;
    int64_t same = 0;
    for (int64_t i = 1; s->labels && i < s->count; i++)
        same += s->labels[i] == s->labels[i - 1];
    if (same > s->count / 4 * 3)
        rt_note("most samples are followed by one of their own class: blocks hold few classes, and so may batches; mix "
                "the file once, or give more with --data-memory");
}

/* How samples that are not kept are read, and in which order. */
static void order_say(struct trainer *t)
{
    const struct split *s = &t->data.train;
    const struct order_blocks *by = &t->train.order.by;
    double bytes = (double)s->count * (double)rt_sample_elements(t->model)
                   * (double)rt_number_size(rt_sample_numbers(s->kind)) / 1048576.0;
    const double memory = (double)t->data.use.memory / 1048576.0;
    bool fits = s->samples || bytes <= memory;
    if (fits && by->block > 0 && t->train.shuffles)
        rt_progress_say(&t->progress, "The order stays as the run began: blocks of %" PRId64 ", %" PRId64
                        " blocks mixed at a time\n", by->block, by->mixed);
    if (fits)
        return;
    rt_progress_say(&t->progress, "The training samples take %.1f MiB, --data-memory is %.1f MiB: ", bytes, memory);
    if (s->store->apart)
        rt_progress_say(&t->progress, "each is read from its file when a batch needs it\n");
    else if (by->block == 0 || !t->train.shuffles)
        rt_progress_say(&t->progress, "they are read when a batch needs them, in %s order\n",
                        t->train.shuffles ? "any" : "their own");
    else {
        rt_progress_say(&t->progress, "blocks of %" PRId64 " are read, %" PRId64 " blocks mixed at a time\n", by->block,
                        by->mixed);
        sorted_tell(t);
    }
}

int rt_run(struct trainer *t)
{
    rt_progress_say(&t->progress, "Train on %lld samples, validate on %lld samples\n",
                    (long long)t->data.train.count, (long long)t->data.val.count);
    order_say(t);
    if (rt_whole_batch(t->model) > t->data.train.count)
        rt_progress_say(&t->progress, "A batch of %d is more than there are: each step takes all of them\n",
                        rt_whole_batch(t->model));
    if (t->resumed.path) {
        resumption_say(t);
        rt_averages_exchange(t->context);
        rt_run_catch_up(t);
        rt_averages_exchange(t->context);
    }
    bool validated = epochs_train(t);
    if (t->unsaved && (t->invalid || !(rt_run_stopped(t) || rt_run_late(t) || t->data_failed || t->folder_lost))) {
        /* not one step: its loss was invalid, or none was asked for */
        t->train.next = 0;
        rt_run_state_save(t);
    }
    if (t->invalid || rt_run_folder_lost(t))
        return -1;
    if (rt_run_stopped(t) || t->data_failed || (rt_run_late(t) && epochs_left(t))) {
        t->cut_short = !rt_run_stopped(t) && !t->data_failed;
        stop_report(t);
        return t->data_failed ? -1 : 0;
    }
    t->deadline = UINT64_MAX;           /* what is left is to be done */
    return run_end(t, validated);
}
