/* run_open.c - opens what training and measuring need, and the rest of what a run needs, in the order in which things
 * can go wrong; closes all of it. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/host.h"
#include "core/message.h"
#include "core/parallel.h"
#include "core/rank_writes.h"
#include "common/recipe.h"
#include "files/checkpoint.h"
#include "files/notes.h"
#include "train/run_parts.h"
#include "train/whiten.h"

struct trainer rt_trainer_of(const struct cnn_model *model, const struct run_options *options)
{
    return (struct trainer){ .model = model, .options = options, .best_loss = INFINITY, .missed_loss = INFINITY,
                             .started = cnn_clock(), .deadline = UINT64_MAX, .standing = { .ranks = options->ranks } };
}

/* A new run's weights: the recipe's first ones, or those it is given, and what of them comes of the pictures. */
static bool begins(const struct trainer *t, bool trains)
{
    return trains && !t->resumed.path;
}

/* The parameters as they are, malloc'd; NULL: nobody asks (or no memory, with *failed). */
static void *params_copy(const struct trainer *t, bool wanted, bool *failed)
{
    const struct cnn_model *m = t->model;
    size_t bytes = (size_t)m->params_stored * (size_t)m->real_size;
    void *copy = wanted ? malloc(bytes) : NULL;
    if (copy)
        memcpy(copy, t->context->params, bytes);
    *failed = wanted && !copy;
    if (*failed)
        rt_error("no memory for the first weights");
    return copy;
}

/* What `normalize auto` needs to know of a set of bytes: of several processes each counts those of its part of the
 * set. */
static int pixels_count(struct trainer *t, enum notes_use use)
{
    const struct cnn_ranks *r = t->options->ranks;
    struct split *train = &t->data.train;
    const size_t numbers = (size_t)t->model->in_channels * 256;
    if (!r || train->kind != CNN_SAMPLE_BYTES || !rt_notes_need_training(t->context, use))
        return 0;
    int64_t *mine = rt_pixels_count(t->model, train, train->count * r->number / r->count,
                                    train->count * (r->number + 1) / r->count);
    int64_t *all = calloc((size_t)r->count * numbers, sizeof *all);
    if (!all)
        rt_error("no memory to count the training set's pixels");
    int status = !mine || !all || rt_standing_ready(&t->standing, "count the bytes of its pictures", NULL)
                         || r->gather(r, mine, numbers * sizeof *mine, all) ? -1 : 0;
    for (size_t i = 0; status == 0 && i < numbers; i++) {
        mine[i] = 0;
        for (int k = 0; k < r->count; k++)
            mine[i] += all[(size_t)k * numbers + i];
    }
    free(all);
    if (status)
        free(mine);
    else
        train->counts = mine;
    return status;
}

/* What the weights and the data tell of each other; of several processes the first one looks, for all. */
static int notes_learn(struct trainer *t, enum notes_use use, bool trains, const void *before)
{
    if (pixels_count(t, use))
        return -1;
    if (rt_rank_writes(t->options->ranks)
        && (rt_notes_learn(t->context, &t->data, use)
            || (begins(t, trains) && rt_params_whiten(t->context, &t->data, before))))
        return -1;
    return rt_standing_give_weights(&t->standing, t->context);
}

static int data_agree(void *standing, const char *about, const char *name, uint64_t value)
{
    const struct standing_facts facts = { .count = name != NULL, .names = &name, .values = { value } };
    return rt_standing_ready(standing, about, &facts);
}

static int data_open(struct trainer *t, bool trains, const void *before)
{
    const struct data_together together = { .ranks = t->options->ranks, .agree = data_agree, .arg = &t->standing };
    const struct cnn_model *model = t->model;
    const struct run_options *o = t->options;
    /* a resumed run has its notes in its state */
    if (t->resumed.path && rt_notes_read(t->context, &t->resumed.file, t->resumed.path, false))
        return -1;
    enum notes_use use = !trains ? NOTES_KEEP : t->resumed.path ? NOTES_RESUME : NOTES_START;
    bool test_only = !trains && !rt_notes_need_training(t->context, use);
    struct data_use use_of_data = rt_data_use(o, test_only, t->context->threads);
    use_of_data.together = o->ranks ? &together : NULL;
    return rt_dataset_open(&t->data, model, o->data, use_of_data)
           || notes_learn(t, use, trains, before)
           || rt_loader_open(&t->val, t->context, &t->data.val, LOADER_MEASURES)
           || rt_loader_open(&t->test, t->context, &t->data.test, LOADER_MEASURES)
           || rt_tally_open(&t->val_tally, model, !trains)
           || rt_tally_names(&t->val_tally, rt_notes(t->context)->class_names)
           || rt_tta_open(&t->tta, model, !o->no_tta) ? -1 : 0;
}

int64_t rt_data_memory(const struct run_options *o)
{
    return o->data_memory > 0 ? o->data_memory * ((int64_t)1 << 20) : rt_host_memory() / 2;
}

struct data_use rt_data_use(const struct run_options *o, bool test_only, int threads)
{
    const int64_t memory = rt_data_memory(o);
    const int beside = o->ranks ? o->ranks->on_host : 1;
    return (struct data_use){ .test_only = test_only, .threads = threads, .memory = memory,
                              .room = o->data_memory > 0 ? memory : memory / beside, .by_share = o->ranks != NULL };
}

int rt_trainer_open(struct trainer *t, const char *weights, bool trains)
{
    const struct cnn_model *model = t->model;
    const struct run_options *o = t->options;
    bool failed = false;
    t->context = cnn_open(model, rt_threads_among((int)o->threads, model, o->ranks), rt_recipe_seed(model, o->seed));
    if (!t->context)
        return -1;
    t->context->ranks = o->ranks;
    if (rt_shares_open(&t->shares, t->context, trains, o->reduce == REDUCE_FAST))
        return -1;
    if (!rt_rank_writes(o->ranks))
        weights = NULL;
    void *before = params_copy(t, weights && begins(t, trains), &failed);
    int status = failed || (weights && rt_checkpoint_load(t->context, weights, o->partial))
                         || rt_standing_give_weights(&t->standing, t->context) || data_open(t, trains, before) ? -1 : 0;
    free(before);
    return status;
}

/* What the kept recipe does not say of this run, as a comment below it, malloc'd; "": nothing.  NULL:
 * no memory.  lr: as it was given, NaN where it was not. */
static char *remarks_make(const struct trainer *t, double lr)
{
    const struct run_options *o = t->options;
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (!out)
        return NULL;
    fputs("# trained with", out);
    long nothing = ftell(out);
    if (!isnan(o->epochs))
        fprintf(out, " --epochs %.10g", o->epochs);
    if (!isnan(lr))
        fprintf(out, " --lr %.9g", lr);
    if (o->seed >= 0 || (t->resumed.path && t->context->seed != t->model->train.seed))
        fprintf(out, " --seed %" PRIu64, t->context->seed);
    if (o->limit_steps >= 0)
        fprintf(out, " --limit-steps %" PRId64, o->limit_steps);
    if (o->no_shuffle)
        fprintf(out, " --no-shuffle");
    if (t->shares.fast)
        fprintf(out, " --reduce fast");
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
        rt_run_state_write(t);
    return t->state_failed ? -1 : 0;
}

/* A new run's recipe, or the one that a resumed run goes on with. */
static int recipe_keep(struct trainer *t)
{
    if (t->resumed.path && !rt_run_epoch_left(t))
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
    const struct run_options *o = t->options;
    if (t->resumed.path) {
        const char *rows = rt_state_text(&t->resumed, "history");
        char *was = rt_history_read(t->folder.history);
        bool failed = rt_history_resume(&t->history, o->history, rows ? rows : "", &t->train_tally, was, false)
                      || rt_history_resume_steps(&t->step_log, o->log_steps, t->context->step,
                                                 t->schedule.formula != NULL)
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
    rt_history_step_header(&t->step_log, t->schedule.formula != NULL);
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
    const char *precision = t->model->precision;
    rt_progress_note(&t->progress, "# cnnc %s, %s, %s, %d thread%s, compiled for %s%s%s\n# %s\n", cnn_version(), date,
                     processor ? processor : "", threads, threads == 1 ? "" : "s", t->model->target,
                     precision ? ", " : "", precision ? precision : "", command ? command : "");
    if (t->shares.ranks)
        rt_progress_note(&t->progress, "# %d processes; gradients are summed %s\n", t->shares.ranks->count,
                         t->shares.fast ? "in whatever order is the fastest (--reduce=fast): another number of processes gives "
                                          "other bits, and another run may"
                                        : "in the order of the shares");
    free(processor);
    free(command);
}

int rt_run_outputs_check(const struct trainer *t)
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
    return had_lock ? 0 : rt_run_outputs_check(t);
}

/* So many epochs, of the training set as it is. */
static void length_set(struct trainer *t, double epochs)
{
    const struct run_options *o = t->options;
    const int64_t batch = rt_whole_batch(t->model), each = t->data.train.count > 0
        ? (t->data.train.count + batch - 1) / batch : 1;
    const uint64_t steps = rt_schedule_steps(epochs, each);
    t->epochs = epochs;
    t->whole = (int)(steps / (uint64_t)each);
    t->part = (int64_t)(steps % (uint64_t)each) * batch;
    rt_schedule_begin(&t->schedule, &t->model->train, isnan(o->lr) ? NULL : &o->lr);
    rt_schedule_span(&t->schedule, epochs, each);
}

struct order_blocks rt_order_of(const struct cnn_model *m, const struct dataset *d)
{
    return rt_order_blocks(&d->train, rt_sample_elements(m) * rt_number_size(rt_sample_numbers(d->train.kind)),
                           d->use.memory);
}

int rt_run_open(struct trainer *t)
{
    /* From its first save on the folder always holds a state.  A run that begins at the recipe's
     * initial weights takes one step first: until then it has nothing that its command would not
     * give again. */
    t->unsaved = !t->resumed.path;
    t->lr_given = NAN;
    t->weights_given = t->options->weights;
    t->partial_given = t->options->partial;
    const struct cnn_model *m = t->model;
    const struct run_options *o = t->options;
    length_set(t, isnan(o->epochs) ? m->train.epochs : o->epochs);
    t->deadline = isnan(o->time_limit) ? UINT64_MAX : t->started + (uint64_t)fmin(o->time_limit * 60e9, 9e18);
    t->limit = o->limit_steps >= 0 ? (uint64_t)o->limit_steps : UINT64_MAX;
    t->context->early_update = t->shares.count == 0;
    t->context->trained_only = true;
    if (rt_loader_open(&t->train, t->context, &t->data.train, o->no_shuffle ? LOADER_TRAINS : LOADER_SHUFFLES))
        return -1;
    rt_loader_order(&t->train, rt_order_of(m, &t->data));      /* a run that is resumed keeps its own */
    if (rt_tally_open(&t->train_tally, m, false)
        || rt_tally_names(&t->train_tally, rt_notes(t->context)->class_names) || rt_callbacks_open(&t->callbacks,
                &m->train)
        || rt_callbacks_begin(&t->callbacks, t->context, t->folder.path)
        || (t->resumed.path && rt_run_state_apply(t)) || rt_schedule_check(&t->schedule, t->context->step)
        || rt_run_agree(t))
        return -1;
    if (!rt_rank_writes(o->ranks)) {
        rt_progress_open(&t->progress, VERBOSE_MUTE, NULL, t->data.train.count);
        t->saved = cnn_clock();
        t->save_interval = UINT64_MAX;
        return 0;
    }
    if (folder_take(t)
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

int rt_trainer_close(struct trainer *t)
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
    rt_tta_close(&t->tta);
    rt_shares_close(&t->shares);
    rt_loader_close(&t->train);
    rt_loader_close(&t->val);
    rt_loader_close(&t->test);
    rt_dataset_close(&t->data);
    cnn_close(t->context);
    rt_origin_free(&t->best);
    rt_state_free(&t->resumed);
    rt_run_folder_free(&t->folder);
    return status;
}
