/* trainer.c - train and evaluate.
 *
 * Everything that can be wrong with a run is found before anything of an older run is touched: the
 * weights to start from, the data and the callbacks come first, the run folder last.
 */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "callback.h"
#include "command.h"
#include "history.h"
#include "loader.h"
#include "message.h"
#include "notes.h"
#include "progress.h"
#include "run_folder.h"
#include "schedule.h"
#include "tally.h"

struct trainer {
    const struct cnn_model *model;
    const struct command_options *options;
    struct cnn_context *context;
    struct dataset data;
    struct loader train, val, test;
    struct tally train_tally, val_tally;
    struct callback_list callbacks;
    struct schedule schedule;
    struct progress progress;
    struct run_folder folder;
    FILE *log;
    /* the run folder's; --history's; --log-steps' */
    struct history kept_history, history, step_log;
    int epochs;
    uint64_t limit;             /* steps in all */
    double best_loss;
    bool told_nan;
    bool save_failed;           /* the last attempt to save weights */
};

/* ---- signals --------------------------------------------------------------------------------- */

static volatile sig_atomic_t stop_signal;

static void stop_note(int number)
{
    stop_signal = number;
}

/* Once: a second signal of the kind ends the program at once. */
static void signals_catch(struct sigaction old[2])
{
    struct sigaction action = { .sa_handler = stop_note, .sa_flags = SA_RESETHAND | SA_RESTART };
    sigemptyset(&action.sa_mask);
    stop_signal = 0;
    sigaction(SIGINT, &action, &old[0]);
    sigaction(SIGTERM, &action, &old[1]);
    /* a shell's background job ignores Ctrl-C: so do we */
    if (old[0].sa_handler == SIG_IGN)
        sigaction(SIGINT, &old[0], NULL);
}

static void signals_release(const struct sigaction old[2])
{
    sigaction(SIGINT, &old[0], NULL);
    sigaction(SIGTERM, &old[1], NULL);
}

/* ---- opening and closing --------------------------------------------------------------------- */

/* What training and evaluating have in common: memory, weights (NULL: as initialised), data. */
static int common_open(struct trainer *t, const char *weights)
{
    const struct cnn_model *model = t->model;
    const struct command_options *o = t->options;
    t->context = cnn_open(model, (int)o->threads, rt_seed_choose(model, o));
    if (!t->context || (weights && cnn_load_weights(t->context, weights)))
        return -1;
    return rt_dataset_open(&t->data, model, o->data)
           || rt_notes_learn(t->context, &t->data, o->command == COMMAND_TRAIN)
           || rt_loader_open(&t->val, t->context, &t->data.val, false)
           || rt_loader_open(&t->test, t->context, &t->data.test, false)
           || rt_tally_open(&t->val_tally, model) ? -1 : 0;
}

static int training_open(struct trainer *t)
{
    const struct cnn_model *m = t->model;
    const struct command_options *o = t->options;
    t->epochs = o->epochs >= 0 ? (int)o->epochs : m->train.epochs;
    t->limit = o->limit_steps >= 0 ? (uint64_t)o->limit_steps : UINT64_MAX;
    rt_schedule_begin(&t->schedule, &m->train, isnan(o->lr) ? NULL : &o->lr);
    if (rt_loader_open(&t->train, t->context, &t->data.train, !o->no_shuffle)
        || rt_tally_open(&t->train_tally, m) || rt_callbacks_open(&t->callbacks, &m->train)
        || rt_run_folder_make(&t->folder) || rt_history_open(&t->history, o->history)
        || rt_history_open(&t->step_log, o->log_steps) || rt_run_folder_claim(&t->folder, m)
        || rt_history_open(&t->kept_history, t->folder.history))
        return -1;
    t->log = fopen(t->folder.log, "w");
    if (!t->log) {
        rt_error("%s: %s", t->folder.log, strerror(errno));
        return -1;
    }
    rt_progress_open(&t->progress, (int)o->verbose, t->log, t->data.train.count);
    rt_history_epoch_header(&t->kept_history, &t->train_tally);
    rt_history_epoch_header(&t->history, &t->train_tally);
    rt_history_step_header(&t->step_log);
    return 0;
}

/* 0, or -1 when a file of the run could not be written whole. */
static int trainer_close(struct trainer *t)
{
    int status = t->save_failed ? -1 : 0;
    if (t->log) {
        bool bad = ferror(t->log) != 0;
        if (fclose(t->log) || bad) {
            rt_error("%s: %s", t->folder.log, strerror(errno));
            status = -1;
        }
    }
    status |= rt_history_close(&t->kept_history);
    status |= rt_history_close(&t->history);
    status |= rt_history_close(&t->step_log);
    rt_callbacks_close(&t->callbacks);
    rt_tally_close(&t->train_tally);
    rt_tally_close(&t->val_tally);
    rt_loader_close(&t->train);
    rt_loader_close(&t->val);
    rt_loader_close(&t->test);
    rt_dataset_close(&t->data);
    cnn_close(t->context);
    rt_run_folder_free(&t->folder);
    return status;
}

/* ---- the run --------------------------------------------------------------------------------- */

static bool finished(const struct trainer *t)
{
    return stop_signal || t->context->step >= t->limit;
}

static void nan_tell(struct trainer *t, int epoch)
{
    if (t->told_nan || isfinite(t->context->loss))
        return;
    t->told_nan = true;
    rt_progress_say(&t->progress,
                    "%sEpoch %05d: the loss is not a number since step %llu; training goes on.\n",
                    t->progress.verbosity == VERBOSE_BAR ? "\n" : "", epoch + 1,
                    (unsigned long long)t->context->step);
}

/* One pass over the training set, or what the limit leaves of it. */
static void epoch_train(struct trainer *t, int epoch)
{
    struct cnn_context *c = t->context;
    int n;
    rt_loader_begin(&t->train, c->seed, (uint64_t)epoch);
    rt_tally_begin(&t->train_tally);
    while (!finished(t) && (n = rt_loader_next(&t->train, c)) > 0) {
        c->lr = rt_schedule_rate(&t->schedule, c->step);
        t->model->train_step(c, n);
        t->model->update(c);
        rt_tally_add(&t->train_tally, c, n);
        rt_history_step(&t->step_log, c->step, c->loss / n);
        nan_tell(t, epoch);
        c->step++;
        rt_progress_step(&t->progress, &t->train_tally);
    }
}

/* Loss and metrics of a set as the network stands. */
static void set_measure(struct trainer *t, struct loader *set)
{
    int n;
    rt_loader_begin(set, 0, 0);
    rt_tally_begin(&t->val_tally);
    while ((n = rt_loader_next(set, t->context)) > 0) {
        t->model->infer(t->context, n);
        rt_tally_add(&t->val_tally, t->context, n);
    }
}

static void validate(struct trainer *t)
{
    set_measure(t, &t->val);
}

static void weights_save(struct trainer *t, const char *path)
{
    t->save_failed = cnn_save_weights(t->context, path) != 0;
    if (t->save_failed)
        rt_note("training goes on; the weights are saved again after the next epoch");
}

/* What follows an epoch's steps: validation, the log, the weights, the callbacks.  Returns whether
 * to go on. */
static bool epoch_finish(struct trainer *t, int epoch)
{
    double rate = t->schedule.rate;
    validate(t);
    rt_progress_epoch_end(&t->progress, &t->train_tally, &t->val_tally);
    rt_history_epoch(&t->kept_history, epoch, rate, &t->train_tally, &t->val_tally);
    rt_history_epoch(&t->history, epoch, rate, &t->train_tally, &t->val_tally);
    double loss = rt_tally_value(&t->val_tally, 0);
    if (loss < t->best_loss) {
        weights_save(t, t->folder.best);
        if (!t->save_failed)
            t->best_loss = loss;
    }
    bool best_failed = t->save_failed;
    weights_save(t, t->folder.last);
    t->save_failed = t->save_failed || best_failed;
    struct epoch_end end = { .epoch = epoch, .train = &t->train_tally, .val = &t->val_tally,
                             .schedule = &t->schedule, .progress = &t->progress };
    rt_callbacks_epoch_end(&t->callbacks, &end);
    return !end.stop;
}

/* What the last measured set gave.  Where all pictures there are were split, none of them tests. */
static void test_report(struct trainer *t)
{
    const char *set = t->data.test.count || t->data.val_tests ? "Test" : "Validation";
    const struct tally *values = &t->val_tally;
    rt_progress_result(&t->progress, "%s loss: %.4f\n", set, rt_tally_value(values, 0));
    for (int i = 0; i < t->model->train.metrics_count; i++)
        rt_progress_result(&t->progress, "%s %s: %.4f\n", set, t->model->train.metrics[i].name,
                           rt_tally_value(values, i + 1));
}

/* Saves where the run stands and says so. */
static void stop_report(struct trainer *t)
{
    rt_progress_say(&t->progress, "\nStopped after %llu steps",
                    (unsigned long long)t->context->step);
    t->save_failed = cnn_save_weights(t->context, t->folder.last) != 0;
    rt_progress_say(&t->progress, t->save_failed ? ".\n" : "; weights saved in %s.\n",
                    t->folder.last);
}

static void run(struct trainer *t)
{
    bool going = true, validated = false;
    rt_progress_say(&t->progress, "Train on %lld samples, validate on %lld samples\n",
                    (long long)t->data.train.count, (long long)t->data.val.count);
    for (int epoch = 0; epoch < t->epochs && going && !finished(t); epoch++) {
        rt_progress_epoch_begin(&t->progress, epoch, t->epochs);
        epoch_train(t, epoch);
        if (stop_signal)
            break;
        going = epoch_finish(t, epoch);
        validated = true;
    }
    if (stop_signal) {
        stop_report(t);
        return;
    }
    /* the weights are those of the last validation, and without a split its pictures are the test
     * set */
    if (t->data.test.count)
        set_measure(t, &t->test);
    else if (!validated)
        validate(t);
    test_report(t);
}

int rt_train(const struct cnn_model *model, const struct command_options *o)
{
    if (!model->train.optimizer.name) {
        rt_error("%s has no `train` section", model->source);
        return EXIT_FAILED;
    }
    struct trainer t = { .model = model, .options = o, .best_loss = INFINITY };
    if (rt_run_folder_name(&t.folder, model, o->run_dir))
        return EXIT_FAILED;
    enum run_folder_state state = rt_run_folder_check(&t.folder, o->overwrite);
    if (state != RUN_FOLDER_FREE) {
        rt_run_folder_free(&t.folder);
        return state == RUN_FOLDER_HOLDS_RUN ? EXIT_WRONG_USE : EXIT_FAILED;
    }
    struct sigaction old[2];
    int status = common_open(&t, o->weights) || training_open(&t) ? EXIT_FAILED : EXIT_FINE;
    int stopped_by = 0;
    if (status == EXIT_FINE) {
        signals_catch(old);
        run(&t);
        stopped_by = stop_signal;
        signals_release(old);
    }
    if (trainer_close(&t))
        status = EXIT_FAILED;
    if (stopped_by) {
        fflush(stdout);
        raise(stopped_by);          /* whoever started us sees how we ended */
    }
    return status;
}

int rt_evaluate(const struct cnn_model *model, const struct command_options *o)
{
    struct trainer t = { .model = model, .options = o };
    if (rt_run_folder_name(&t.folder, model, o->run_dir))
        return EXIT_FAILED;
    const char *weights = o->weights ? o->weights : rt_run_folder_weights(&t.folder);
    int status = weights && common_open(&t, weights) == 0 ? EXIT_FINE : EXIT_FAILED;
    if (status == EXIT_FINE) {
        bool tests = t.data.test.count > 0;
        rt_progress_open(&t.progress, (int)o->verbose, NULL,
                         tests ? t.data.test.count : t.data.val.count);
        set_measure(&t, tests ? &t.test : &t.val);
        test_report(&t);
    }
    if (trainer_close(&t))
        status = EXIT_FAILED;
    return status;
}
