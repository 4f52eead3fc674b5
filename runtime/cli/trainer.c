/* trainer.c - train and evaluate.
 *
 * Everything that can be wrong with a run is found before anything of an older run is touched: the
 * weights to start from, the data and the callbacks come first, the run folder last.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zlib.h>

#include "train/callback.h"
#include "train/chart.h"
#include "files/checkpoint.h"
#include "cli/command.h"
#include "train/evaluation.h"
#include "train/history.h"
#include "core/host.h"
#include "train/loader.h"
#include "core/message.h"
#include "files/notes.h"
#include "train/progress.h"
#include "train/report.h"
#include "files/run_folder.h"
#include "core/same_file.h"
#include "train/schedule.h"
#include "files/state.h"
#include "train/tally.h"
#include "train/wrong.h"

struct trainer {
    const struct cnn_model *model;
    const struct command_options *options;
    struct cnn_context *context;
    struct dataset data;
    struct loader train, val, test;
    struct tally train_tally, val_tally;
    struct wrong_list wrong;    /* --wrong's */
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
    struct weights_origin best; /* of the weights in the folder's best */
    bool told_nan;
    bool invalid;               /* a callback found a loss that the run cannot go on from */
    /* what could not be written when it was last to be */
    bool last_failed, state_failed;
    bool chart_due;             /* the picture is not that of the history */
    bool last_is_ours;          /* last.safetensors holds the weights as they are */
    bool best_due;              /* best.safetensors should hold the weights of the last epoch's end */
    double missed_loss;         /* the lowest one whose weights could not be written */
    bool data_failed;           /* a picture could not be read any more */
    bool unsaved;               /* no state of this run has been written yet */
    bool folder_lost;           /* another directory has its name */
    /* options that hold on when the run is resumed */
    double lr_given;            /* NaN: the recipe's */
    const char *weights_given;  /* NULL: none */
    bool partial_given;
    /* where the run stands, and where the last state was saved */
    int epoch;                  /* the one to train or to finish */
    bool inside;                /* resumed within it: loader and tally go on */
    bool ended;                 /* a callback has ended the training */
    uint64_t save_interval, saved;      /* cnn_clock's */
    struct state resumed;       /* what was read; of no file when the run is new */
};

/* ---- signals --------------------------------------------------------------------------------- */

static volatile sig_atomic_t stop_signal;

static void stop_note(int number)
{
    stop_signal = number;
}

static const int stopping_signals[] = { SIGINT, SIGTERM, SIGHUP };

enum { STOPPING_SIGNALS = sizeof stopping_signals / sizeof stopping_signals[0] };

/* Once: a second signal of the kind ends the program at once. */
static void signals_catch(struct sigaction old[STOPPING_SIGNALS])
{
    struct sigaction action = { .sa_handler = stop_note, .sa_flags = SA_RESETHAND | SA_RESTART };
    sigemptyset(&action.sa_mask);
    stop_signal = 0;
    for (int i = 0; i < STOPPING_SIGNALS; i++) {
        sigaction(stopping_signals[i], &action, &old[i]);
        /* a shell's background job ignores Ctrl-C, what nohup starts the end of the terminal: so do we */
        if (old[i].sa_handler == SIG_IGN)
            sigaction(stopping_signals[i], &old[i], NULL);
    }
}

static void signals_release(const struct sigaction old[STOPPING_SIGNALS])
{
    for (int i = 0; i < STOPPING_SIGNALS; i++)
        sigaction(stopping_signals[i], &old[i], NULL);
}

/* ---- opening and closing --------------------------------------------------------------------- */

/* What training and evaluating have in common: memory, weights (NULL: as initialised), data. */
static int common_open(struct trainer *t, const char *weights)
{
    const struct cnn_model *model = t->model;
    const struct command_options *o = t->options;
    t->context = cnn_open(model, (int)o->threads, rt_seed_choose(model, o));
    if (!t->context || (weights && rt_checkpoint_load(t->context, weights, o->partial)))
        return -1;
    bool trains = o->command == COMMAND_TRAIN;
    /* a resumed run has its notes in its state */
    if (t->resumed.path && rt_notes_read(t->context, &t->resumed.file, t->resumed.path, false))
        return -1;
    enum notes_use use = !trains ? NOTES_KEEP : t->resumed.path ? NOTES_RESUME : NOTES_START;
    bool test_only = !trains && !rt_notes_need_training(t->context, use);
    return rt_dataset_open(&t->data, model, o->data, test_only, t->context->threads)
           || rt_notes_learn(t->context, &t->data, use)
           || rt_loader_open(&t->val, t->context, &t->data.val, false)
           || rt_loader_open(&t->test, t->context, &t->data.test, false)
           || rt_tally_open(&t->val_tally, model, o->command == COMMAND_EVALUATE) ? -1 : 0;
}

/* The weights are what the steps so far have made of them. */
static void origin_note(struct trainer *t)
{
    bool whole = t->train.next >= t->data.train.count;
    rt_origin_set(&rt_notes(t->context)->origin, t->epoch + whole, whole ? 0 : t->train.next, (int64_t)t->context->step);
}

/* Tells one recipe from another. */
static void recipe_mark(char mark[24], const struct cnn_model *m)
{
    const char *recipe = m->recipe ? m->recipe : "";
    snprintf(mark, 24, "%08lx", crc32_z(0, (const unsigned char *)recipe, strlen(recipe)));
}

/* Tells one training set from another of as many pictures. */
static void labels_mark(char mark[24], const struct split *train)
{
    snprintf(mark, 24, "%08lx",
             crc32_z(0, (const unsigned char *)train->labels, (size_t)train->count * sizeof *train->labels));
}

/* Whether the weights are those of an epoch's end. */
static bool between_epochs(const struct trainer *t)
{
    return t->train.next == 0 && t->epoch > 0;
}

/* The network's numbers and where the run stands, gathered for a file.  Between two batches only. */
static void state_write(struct trainer *t)
{
    struct cnn_context *c = t->context;
    const struct cnn_model *m = t->model;
    size_t slot_bytes = (size_t)m->params_stored * (size_t)m->real_size;
    char plan[24], name[24];
    struct state s;
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
    rt_state_put_whole(&s, "training_samples", t->data.train.count);
    labels_mark(name, &t->data.train);
    rt_state_put_text(&s, "training_labels", name);
    rt_state_put_whole(&s, "shuffled", !t->options->no_shuffle);
    rt_state_put_whole(&s, "seed", (int64_t)c->seed);
    rt_state_put_whole(&s, "step", (int64_t)c->step);
    rt_state_put_whole(&s, "epoch", t->epoch);
    rt_state_put_whole(&s, "position", t->train.next);
    rt_state_put_whole(&s, "ended", t->ended);
    rt_state_put_whole(&s, "told_nan", t->told_nan);
    rt_state_put_number(&s, "rate", t->schedule.rate);
    rt_state_put_number(&s, "best_loss", t->best_loss);
    rt_state_put_number(&s, "lr_given", t->lr_given);
    rt_state_put_text(&s, "weights_given", t->weights_given ? t->weights_given : "");
    rt_state_put_whole(&s, "partial_given", t->partial_given);
    rt_notes_save(c, &s);
    if (t->best_due && between_epochs(t))
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
    t->state_failed = rt_state_write(&s, t->folder.state, t->folder.previous_state) != 0;
    t->saved = cnn_clock();
    t->unsaved = false;
    rt_state_free(&s);
}

/* Whether the run has lost its folder to another: what it wrote would pass for the other's. */
static bool folder_lost(struct trainer *t)
{
    if (!t->folder_lost && rt_run_folder_replaced(&t->folder)) {
        t->folder_lost = true;
        rt_error("%s: is not the folder that this run began in: the run ends here", t->folder.path);
    }
    return t->folder_lost;
}

static void state_save(struct trainer *t)
{
    if (folder_lost(t))
        return;
    state_write(t);
    if (t->state_failed)
        rt_note("training goes on; what was saved before is as it was");
}

/* Whether the state is of a run that this network with these options can go on with. */
static int state_check(const struct trainer *t)
{
    const struct state *s = &t->resumed;
    const struct cnn_model *m = t->model;
    const struct command_options *o = t->options;
    int64_t tensors, slots, samples, shuffled, seed;
    if (rt_state_get_whole(s, "tensors", &tensors) || rt_state_get_whole(s, "slots", &slots)
        || rt_state_get_whole(s, "training_samples", &samples)
        || rt_state_get_whole(s, "shuffled", &shuffled) || rt_state_get_whole(s, "seed", &seed))
        return -1;
    const char *labels = rt_state_text(s, "training_labels");  /* older states have none */
    char ours[24];
    labels_mark(ours, &t->data.train);
    if (tensors != m->params_list_count)
        rt_error("%s: is the state of another network: of %lld parameters, %s has %d", s->path,
                 (long long)tensors, m->name, m->params_list_count);
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

/* Puts everything where the state says.  Nothing of the run's folder is touched yet. */
static int state_apply(struct trainer *t)
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
    t->best_due = t->missed_loss < INFINITY;
    if (isnan(t->options->lr))
        t->schedule.rate = rate;
    origin_note(t);
    rt_state_section(s, "best");
    rt_origin_load(&t->best, s);
    rt_state_section(s, "%s", "");
    return 0;
}

static bool finished(const struct trainer *t)
{
    return stop_signal || t->invalid || t->data_failed || t->folder_lost
           || t->context->step >= t->limit;
}

/* Whether an epoch is to be trained, or one that had all its steps is to be finished. */
static bool epoch_left(const struct trainer *t)
{
    bool complete = t->inside && t->train.next == t->data.train.count;
    return t->epoch < t->epochs && !t->ended && (complete || !finished(t));
}

/* What the kept recipe does not say of this run, as a comment below it, malloc'd; "": nothing.  NULL:
 * no memory.  lr: as it was given, NaN where it was not. */
static char *remarks_make(const struct trainer *t, double lr)
{
    const struct command_options *o = t->options;
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (!out)
        return NULL;
    fputs("# trained with", out);
    long nothing = ftell(out);
    if (o->epochs >= 0)
        fprintf(out, " --epochs %" PRId64, o->epochs);
    if (!isnan(lr))
        fprintf(out, " --lr %.9g", lr);
    if (o->seed >= 0 || (t->resumed.path && t->context->seed != t->model->train.seed))
        fprintf(out, " --seed %" PRIu64, t->context->seed);
    if (o->limit_steps >= 0)
        fprintf(out, " --limit-steps %" PRId64, o->limit_steps);
    if (o->no_shuffle)
        fprintf(out, " --no-shuffle");
    if (t->weights_given) {
        fprintf(out, "%s --weights ", t->partial_given ? " --partial" : "");
        for (const char *c = t->weights_given; *c; c++)         /* a line must stay a line */
            fputc((unsigned char)*c < 0x20 ? '?' : *c, out);
    }
    bool any = ftell(out) > nothing;
    fputc('\n', out);
    if (fclose(out)) {
        free(text);
        return NULL;
    }
    if (!any)
        text[0] = '\0';
    return text;
}

/* A run that begins at weights of its own has them in a state before anything of a run before is
 * removed: they may be of that run.  0, or -1 with a message. */
static int weights_secure(struct trainer *t)
{
    if (t->options->weights)
        state_write(t);
    return t->state_failed ? -1 : 0;
}

/* A new run's recipe, or the one that a resumed run goes on with. */
static int recipe_keep(struct trainer *t)
{
    if (t->resumed.path && !epoch_left(t))
        return 0;               /* nothing comes of what is given now */
    double lr = isnan(t->options->lr) ? t->lr_given : t->options->lr;
    bool other_rate = t->resumed.path && (isnan(lr) != isnan(t->lr_given) || lr < t->lr_given || lr > t->lr_given);
    char *remarks = remarks_make(t, lr), past[96] = "";
    int status = -1;
    if (other_rate && isnan(t->lr_given))
        snprintf(past, sizeof past, "# up to step %" PRIu64 " the rate was the recipe's\n", t->context->step);
    else if (other_rate)
        snprintf(past, sizeof past, "# up to step %" PRIu64 " trained with --lr %.9g\n", t->context->step,
                 t->lr_given);
    if (!remarks)
        rt_error("no memory for what is said of the recipe");
    else if (t->resumed.path)
        status = rt_run_folder_recipe(&t->folder, t->model, t->context->step, past, remarks);
    else
        status = rt_run_folder_claim(&t->folder, t->model, remarks, !t->unsaved);
    free(remarks);
    t->lr_given = lr;
    return status;
}

/* The tables of a run: new, or with what a resumed run had. */
static int tables_open(struct trainer *t)
{
    const struct command_options *o = t->options;
    if (t->resumed.path) {
        const char *rows = rt_state_text(&t->resumed, "history");
        char *was = rt_history_read(t->folder.history);
        bool failed = rt_history_resume(&t->history, o->history, rows ? rows : "", &t->train_tally, was, false)
                      || rt_history_resume_steps(&t->step_log, o->log_steps, t->context->step)
                      || rt_history_resume(&t->kept_history, t->folder.history, rows ? rows : "", &t->train_tally, was,
                                           true)
                      || recipe_keep(t);
        free(was);
        return failed ? -1 : 0;
    }
    if (rt_history_open(&t->history, o->history) || rt_history_open(&t->step_log, o->log_steps)
        || weights_secure(t) || recipe_keep(t)
        || rt_history_open(&t->kept_history, t->folder.history))
        return -1;
    rt_history_epoch_header(&t->kept_history, &t->train_tally);
    rt_history_epoch_header(&t->history, &t->train_tally);
    rt_history_step_header(&t->step_log);
    return 0;
}

/* What the log begins with: nothing that a run depends on, all that is asked for when two runs differ. */
static void log_head(struct trainer *t)
{
    time_t now = time(NULL);
    struct tm day;
    char date[40] = "";
    if (gmtime_r(&now, &day))
        strftime(date, sizeof date, "%Y-%m-%d %H:%M:%S UTC", &day);
    char *processor = rt_host_processor(), *command = rt_host_command(t->options->argc, t->options->argv);
    int threads = t->context->threads;
    rt_progress_note(&t->progress, "# cnnc %s, %s, %s, %d thread%s, compiled for %s\n# %s\n", cnn_version(), date,
                     processor ? processor : "", threads, threads == 1 ? "" : "s", t->model->target,
                     command ? command : "");
    free(processor);
    free(command);
}

/* 0, or -1 with a message: files that the command line names must not be others of the run, nor files that are no
 * tables. */
static int outputs_check(const struct trainer *t)
{
    const struct { const char *option, *path; enum history_kind kind; } outputs[] = {
        { "--history", t->options->history, HISTORY_EPOCHS }, { "--log-steps", t->options->log_steps, HISTORY_STEPS }
    };
    for (size_t i = 0; i < sizeof outputs / sizeof outputs[0]; i++) {
        const char *path = outputs[i].path, *file = path ? rt_run_folder_file(&t->folder, path) : NULL;
        if (file) {
            rt_error("%s %s: is %s, which the run itself keeps", outputs[i].option, path, file);
            return -1;
        }
        if (rt_history_check(path, outputs[i].kind))
            return -1;
    }
    return 0;
}

/* The folder is this run's from here on.  0, or -1 with a message. */
static int folder_take(struct trainer *t)
{
    bool had_lock = t->folder.lock >= 0;
    if (rt_run_folder_make(&t->folder) || rt_run_folder_lock(&t->folder))
        return -1;
    /* it was not there when it was checked: somebody else may have made it since, and even be done */
    if (!had_lock
        && rt_run_folder_check(&t->folder, t->model, t->options->overwrite) != RUN_FOLDER_FREE)
        return -1;
    return had_lock ? 0 : outputs_check(t);
}

static int training_open(struct trainer *t)
{
    /* From its first save on the folder always holds a state.  A run that begins at the recipe's
     * initial weights takes one step first: until then it has nothing that its command would not
     * give again. */
    t->unsaved = !t->resumed.path;
    t->lr_given = NAN;
    t->weights_given = t->options->weights;
    t->partial_given = t->options->partial;
    const struct cnn_model *m = t->model;
    const struct command_options *o = t->options;
    t->epochs = o->epochs >= 0 ? (int)o->epochs : m->train.epochs;
    t->limit = o->limit_steps >= 0 ? (uint64_t)o->limit_steps : UINT64_MAX;
    t->context->early_update = true;
    rt_schedule_begin(&t->schedule, &m->train, isnan(o->lr) ? NULL : &o->lr);
    if (rt_loader_open(&t->train, t->context, &t->data.train, !o->no_shuffle)
        || rt_tally_open(&t->train_tally, m, false) || rt_callbacks_open(&t->callbacks, &m->train)
        || rt_callbacks_begin(&t->callbacks, t->context, t->folder.path)
        || (t->resumed.path && state_apply(t)) || folder_take(t)
        || rt_callbacks_check(&t->callbacks, &t->folder, (const char *const[2]){ o->history, o->log_steps })
        || tables_open(t)
        || rt_callbacks_claim(&t->callbacks, t->resumed.path != NULL))
        return -1;
    rt_run_folder_tidy(&t->folder);
    t->log = fopen(t->folder.log, t->resumed.path ? "a" : "w");
    if (!t->log) {
        rt_error("%s: %s", t->folder.log, strerror(errno));
        return -1;
    }
    rt_progress_open(&t->progress, (int)o->verbose, t->log, t->data.train.count);
    log_head(t);
    double minutes = isnan(o->save_every) ? 10.0 : o->save_every;
    t->save_interval = (uint64_t)fmin(minutes * 60e9, 9e18);
    t->saved = cnn_clock();
    return 0;
}

/* 0, or -1 when a file of the run could not be written whole. */
static int trainer_close(struct trainer *t)
{
    int status = t->last_failed || t->state_failed || t->chart_due
                         || t->missed_loss < t->best_loss || rt_callbacks_failed(&t->callbacks) ? -1 : 0;
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
    rt_origin_free(&t->best);
    rt_wrong_free(&t->wrong);
    rt_state_free(&t->resumed);
    rt_run_folder_free(&t->folder);
    return status;
}

/* ---- the run --------------------------------------------------------------------------------- */

static void nan_tell(struct trainer *t)
{
    if (t->told_nan || isfinite(t->context->loss))
        return;
    t->told_nan = true;
    rt_progress_say(&t->progress,
                    "%sEpoch %05d: the loss is not a number since step %llu; training goes on.\n",
                    t->progress.verbosity == VERBOSE_BAR ? "\n" : "", t->epoch + 1,
                    (unsigned long long)t->context->step);
}

/* One pass over the training set, or what the limit leaves of it. */
static void epoch_train(struct trainer *t)
{
    struct cnn_context *c = t->context;
    int n = 0;
    int64_t position = t->inside ? t->train.next : 0;
    int64_t batch = position / t->model->batch;
    rt_loader_begin(&t->train, c->seed, (uint64_t)t->epoch);
    rt_loader_skip(&t->train, position);
    if (!t->inside)
        rt_tally_begin(&t->train_tally);
    t->inside = false;
    t->last_is_ours = false;
    while (!finished(t) && (n = rt_loader_next(&t->train, c)) > 0) {
        c->lr = rt_schedule_rate(&t->schedule, c->step);
        t->model->train_step(c, n);
        /* weights that follow an invalid loss would be lost */
        if (!rt_callbacks_step(&t->callbacks, &t->progress, batch++, c->loss / n)) {
            t->invalid = true;
            return;
        }
        t->model->update(c);
        rt_tally_add(&t->train_tally, c, n);
        rt_history_step(&t->step_log, c->step, c->loss / n);
        nan_tell(t);
        c->step++;
        rt_progress_step(&t->progress, &t->train_tally);
        if ((t->unsaved || cnn_clock() - t->saved >= t->save_interval) && !stop_signal) {
            origin_note(t);
            state_save(t);
        }
    }
    origin_note(t);
    t->data_failed = n < 0;
}

/* Loss and metrics of a set as the network stands. */
static void set_measure(struct trainer *t, struct loader *set)
{
    int n = 0;
    const char *what = t->progress.inside ? "validating" : "measuring";
    rt_loader_begin(set, 0, 0);
    rt_tally_begin(&t->val_tally);
    while (n >= 0 && (n = rt_loader_next(set, t->context)) > 0) {
        t->model->infer(t->context, n);
        rt_tally_add(&t->val_tally, t->context, n);
        if (t->options->wrong && rt_wrong_add(&t->wrong, t->context, n, set->next - n))
            n = -1;
        rt_progress_measure(&t->progress, what, t->val_tally.samples, set->split->count);
    }
    t->data_failed = n < 0;
}

static void validate(struct trainer *t)
{
    set_measure(t, &t->val);
}

/* The weights as they are, for `last`. */
static void last_save(struct trainer *t)
{
    if (folder_lost(t))
        return;
    t->last_failed = cnn_save_weights(t->context, t->folder.last) != 0;
    t->last_is_ours = !t->last_failed;
}

/* The weights of an epoch's end with a loss lower than those before, for `best`. */
static void best_save(struct trainer *t, double loss)
{
    if (folder_lost(t))
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
    if (folder_lost(t))
        return;
    const char *text = t->kept_history.text, *rows = text ? strchr(text, '\n') : NULL;
    t->chart_due = rows && rows[1] && rt_chart_write(t->folder.chart, t->model->name, text);
}

/* A row of an epoch: to the log, the tables and the chart. */
static void epoch_note(struct trainer *t, double rate)
{
    rt_progress_epoch_end(&t->progress, &t->train_tally, &t->val_tally);
    const struct history_row row = { .epoch = t->epoch, .lr = rate, .train = &t->train_tally, .val = &t->val_tally,
                                     .steps = t->context->step, .seconds = t->progress.seconds,
                                     .images_per_second = t->progress.images_per_second };
    rt_history_epoch(&t->kept_history, &row);
    rt_history_epoch(&t->history, &row);
    chart_draw(t);
}

/* What follows an epoch's steps: validation, the log, the weights, the callbacks.  Returns whether
 * to go on. */
static bool epoch_finish(struct trainer *t)
{
    validate(t);
    if (t->data_failed)
        return false;
    epoch_note(t, t->schedule.rate);
    double loss = rt_tally_value(&t->val_tally, 0);
    t->best_due = false;        /* what was due is lost with the weights that it was due for */
    if (loss < t->best_loss)
        best_save(t, loss);
    last_save(t);
    if (t->best_due || t->last_failed)
        rt_note("training goes on; the weights are saved again after the next epoch");
    struct epoch_end end = { .epoch = t->epoch, .lr = t->schedule.rate, .train = &t->train_tally, .val = &t->val_tally,
                             .schedule = &t->schedule, .progress = &t->progress };
    if (folder_lost(t))
        return false;
    rt_callbacks_epoch_end(&t->callbacks, &end);
    return !end.stop;
}

/* Where --limit-steps ends the run within an epoch, which a resumed run trains to its end: the epoch
 * has its row for now, and `last` its weights, but it is no candidate for `best`, and no callback
 * takes its part for a whole. */
static void epoch_cut(struct trainer *t)
{
    if (t->progress.steps == 0)         /* resumed within it, and nothing was left to train */
        rt_progress_epoch_begin(&t->progress, t->epoch, t->epochs, t->train.next);
    validate(t);
    if (t->data_failed)
        return;
    epoch_note(t, t->schedule.rate);
    last_save(t);
}

/* Files that could not be written after the last epoch, now that they perhaps can. */
static void files_catch_up(struct trainer *t)
{
    if (t->chart_due)
        chart_draw(t);
    if (!between_epochs(t))
        return;
    if (t->best_due)
        best_save(t, t->missed_loss);
    rt_callbacks_catch_up(&t->callbacks);
}

/* That --limit-steps ended training before its epochs were over, if it did. */
static void limit_report(struct trainer *t)
{
    if (t->ended || t->context->step < t->limit || t->epoch >= t->epochs)
        return;
    rt_progress_say(&t->progress, "Ended by --limit-steps after %" PRIu64 " steps, ", t->context->step);
    if (t->train.next > 0)
        rt_progress_say(&t->progress, "with %" PRId64 " of %" PRId64 " samples of epoch %d; --resume goes on from there\n",
                        t->train.next, t->data.train.count, t->epoch + 1);
    else
        rt_progress_say(&t->progress, "with %d of %d epochs; --resume goes on from there\n", t->epoch, t->epochs);
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
                        "That is what the weights %s, give (%s);\nthose %s, are in %s, which evaluate and predict take\n",
                        ours, t->folder.last, best, t->folder.best);
    free(ours);
    free(best);
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
    last_save(t);
    state_save(t);
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
    else if (t->epoch >= t->epochs)
        rt_note("the run has had its %d epoch%s: a larger --epochs, counted in all, goes on",
                t->epochs, t->epochs == 1 ? "" : "s");
}

/* From epoch to epoch until the run ends or is broken off.  Returns whether the last measured set is
 * the validation set with the weights as they are. */
static bool epochs_train(struct trainer *t)
{
    bool validated = false;
    while (epoch_left(t)) {
        validated = false;
        rt_progress_epoch_begin(&t->progress, t->epoch, t->epochs, t->inside ? t->train.next : 0);
        epoch_train(t);
        if (stop_signal || t->invalid || t->data_failed)
            break;
        if (t->train.next < t->data.train.count) {      /* --limit-steps */
            state_save(t);
            t->inside = true;
            break;
        }
        t->ended = !epoch_finish(t);
        if (t->data_failed || t->folder_lost)
            break;
        validated = true;
        t->epoch++;
        t->train.next = 0;
        state_save(t);
    }
    return validated;
}

/* The end of a run that was not broken off: `last` is what it ends with, and is measured.  The state
 * stays as the last epoch, or --limit-steps within one, has left it: a resumed run goes on from
 * there. */
static int run_end(struct trainer *t, bool validated)
{
    if (t->inside) {
        epoch_cut(t);
        validated = true;
    } else {
        files_catch_up(t);
    }
    if (t->data_failed)
        return -1;
    limit_report(t);
    bool restored = rt_callbacks_train_end(&t->callbacks, &t->progress);
    if (restored || !t->last_is_ours)
        last_save(t);
    /* without a split the validation set is the test set */
    if (t->data.test.count)
        set_measure(t, &t->test);
    else if (!validated || restored)
        validate(t);
    if (t->data_failed)
        return -1;
    test_report(t);
    origin_report(t);
    return 0;
}

/* 0, or -1 when the run ended on a loss that is no number, or without its data. */
static int run(struct trainer *t)
{
    rt_progress_say(&t->progress, "Train on %lld samples, validate on %lld samples\n",
                    (long long)t->data.train.count, (long long)t->data.val.count);
    if (t->model->batch > t->data.train.count)
        rt_progress_say(&t->progress, "A batch of %d is more than there are: each step takes all of them\n",
                        t->model->batch);
    if (t->resumed.path) {
        resumption_say(t);
        files_catch_up(t);
    }
    bool validated = epochs_train(t);
    if (t->unsaved && (t->invalid || !(stop_signal || t->data_failed || t->folder_lost))) {
        /* not one step: its loss was invalid, or none was asked for */
        t->train.next = 0;
        state_save(t);
    }
    if (t->invalid || folder_lost(t))
        return -1;
    if (stop_signal || t->data_failed) {
        stop_report(t);
        return t->data_failed ? -1 : 0;
    }
    return run_end(t, validated);
}

/* 0, or -1 with a message: options that contradict each other. */
static int options_check(const struct command_options *o)
{
    if (o->resume && o->overwrite)
        rt_error("--resume keeps the run that --overwrite replaces");
    else if (o->resume && o->weights)
        rt_error("--resume goes on from the run's own state, not from --weights");
    else if (o->partial && !o->weights)
        rt_error("--partial needs --weights");
    else if (o->history && o->log_steps && rt_same_file(o->history, o->log_steps))
        rt_error("--history and --log-steps name the same file, %s", o->history);
    else
        return 0;
    return -1;
}

/* Whether the run may use its folder, and the state to resume.  EXIT_FINE, or the exit status. */
static int folder_check(struct trainer *t)
{
    const struct run_folder *f = &t->folder;
    if (t->options->resume) {
        int got = rt_state_read(&t->resumed, t->model, f->state, f->previous_state);
        if (got < 0)
            return EXIT_FAILED;
        if (got == 0)
            return EXIT_FINE;
        if (rt_run_folder_has_weights(f)) {
            rt_error("%s holds weights but no state to resume from: --overwrite starts anew",
                     f->path);
            return EXIT_FAILED;
        }
        rt_note("%s holds no state to resume; the run starts from the beginning", f->path);
        return rt_run_folder_check(f, t->model, true) == RUN_FOLDER_FREE ? EXIT_FINE : EXIT_FAILED;
    }
    switch (rt_run_folder_check(f, t->model, t->options->overwrite)) {
    case RUN_FOLDER_FREE:
        return EXIT_FINE;
    case RUN_FOLDER_HOLDS_RUN:
        return EXIT_WRONG_USE;
    default:
        return EXIT_FAILED;
    }
}

int rt_train(const struct cnn_model *model, const struct command_options *o)
{
    if (!model->train.optimizer.name) {
        rt_error("%s has no `train` section", model->source);
        return EXIT_FAILED;
    }
    if (options_check(o))
        return EXIT_WRONG_USE;
    struct trainer t = { .model = model, .options = o, .best_loss = INFINITY,
                         .missed_loss = INFINITY };
    if (rt_run_folder_name(&t.folder, model, o->run_dir))
        return EXIT_FAILED;
    int refused = outputs_check(&t) ? EXIT_WRONG_USE : rt_run_folder_lock(&t.folder) ? EXIT_FAILED : folder_check(&t);
    if (refused) {
        rt_state_free(&t.resumed);
        rt_run_folder_free(&t.folder);
        return refused;
    }
    struct sigaction old[STOPPING_SIGNALS];
    int status = common_open(&t, o->weights) || training_open(&t) ? EXIT_FAILED : EXIT_FINE;
    int stopped_by = 0;
    if (status == EXIT_FINE) {
        signals_catch(old);
        if (run(&t))
            status = EXIT_FAILED;
        stopped_by = stop_signal;
        signals_release(old);
    }
    if (trainer_close(&t))
        status = EXIT_FAILED;
    return status + STOPPED * stopped_by;
}

static void evaluation_print(struct trainer *t, const char *weights)
{
    char *const *names = rt_notes(t->context)->class_names;
    char *origin = rt_origin_text(&rt_notes(t->context)->origin);
    rt_progress_say(&t->progress, "Weights %s: %s\n", origin ? origin : "", weights);
    free(origin);
    test_report(t);
    if (t->progress.verbosity != VERBOSE_SILENT)
        rt_report_classes(&t->progress, &t->val_tally.confusion, names);
}

/* 0, or -1 with a message. */
static int evaluate(struct trainer *t, const char *weights)
{
    const struct command_options *o = t->options;
    const struct weights_notes *notes = rt_notes(t->context);
    bool tests = t->data.test.count > 0, machine = o->json || o->csv;
    struct loader *set = tests ? &t->test : &t->val;
    const struct evaluation found = { .weights = weights, .origin = &notes->origin, .values = &t->val_tally,
                                      .set = tests || t->data.val_tests ? "test" : "validation",
                                      .names = notes->class_names };
    rt_progress_open(&t->progress, machine ? VERBOSE_SILENT : (int)o->verbose, NULL, set->split->count);
    set_measure(t, set);
    if (t->data_failed)
        return -1;
    if (!machine)
        evaluation_print(t, weights);
    else if (o->json ? rt_evaluation_json(&found) : rt_evaluation_csv(&found))
        return -1;
    return o->wrong ? rt_wrong_write(&t->wrong, o->wrong, set->split, notes->class_names) : 0;
}

int rt_evaluate(const struct cnn_model *model, const struct command_options *o)
{
    struct trainer t = { .model = model, .options = o };
    if (o->json && o->csv) {
        rt_error("--json and --csv: one of them");
        return EXIT_WRONG_USE;
    }
    if (rt_run_folder_name(&t.folder, model, o->run_dir))
        return EXIT_FAILED;
    const char *weights = o->weights ? o->weights : rt_run_folder_weights(&t.folder);
    int status = weights && common_open(&t, weights) == 0 && evaluate(&t, weights) == 0 ? EXIT_FINE : EXIT_FAILED;
    if (trainer_close(&t))
        status = EXIT_FAILED;
    return status;
}
