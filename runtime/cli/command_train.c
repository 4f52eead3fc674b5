/* command_train.c - train: whether the run may begin, and the run. */
#include <math.h>

#include "cli/command.h"
#include "core/message.h"
#include "core/rank_writes.h"
#include "core/same_file.h"
#include "train/stop_signal.h"
#include "train/trainer.h"

/* 0, or -1 with a message: options that contradict each other. */
static int options_check(const struct run_options *o)
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

/* The same for one of several processes: the first one alone minds the folder, and gives the others the state that it
 * has read.  EXIT_FINE, or the exit status. */
static int folder_claim(struct trainer *t)
{
    struct tensor_file *f = &t->resumed.file;
    const bool minds = rt_rank_writes(t->options->ranks);
    int status = !minds                             ? EXIT_FINE
                 : rt_run_outputs_check(t)          ? EXIT_WRONG_USE
                 : rt_run_folder_lock(&t->folder)   ? EXIT_FAILED
                                                    : folder_check(t);
    unsigned char *bytes = f->bytes;
    uint64_t size = f->size;
    if (status)
        return status;
    if (rt_program_agree(&t->standing, t->model, t->options, "train")
        || rt_standing_give(&t->standing, "share the state of a run", &bytes, &size))
        return EXIT_FAILED;
    return !minds && bytes && rt_state_take(&t->resumed, t->model, bytes, size, t->folder.state) ? EXIT_FAILED
        : EXIT_FINE;
}

int rt_train(const struct cnn_model *model, const struct command_options *options)
{
    const struct run_options *o = &options->run;
    if (!model->train.optimizer.name) {
        rt_error("%s has no `train` section", model->source);
        return EXIT_FAILED;
    }
    if (options_check(o))
        return EXIT_WRONG_USE;
    struct trainer t = rt_trainer_of(model, o);
    if (rt_run_folder_name(&t.folder, model, o->run_dir))
        return EXIT_FAILED;
    t.standing.fault = options->fault;
    int refused = folder_claim(&t);
    if (refused) {
        rt_standing_fail(&t.standing);
        rt_state_free(&t.resumed);
        rt_run_folder_free(&t.folder);
        return refused;
    }
    struct stop_signals signals;
    int status = rt_trainer_open(&t, o->weights, true) || rt_run_open(&t) ? EXIT_FAILED : EXIT_FINE;
    if (status)
        rt_standing_fail(&t.standing);
    int stopped_by = 0;
    if (status == EXIT_FINE) {
        rt_stop_catch(&signals);
        if (rt_run(&t))
            status = EXIT_FAILED;
        else if (t.cut_short)
            status = EXIT_LATE;
        stopped_by = rt_run_stopped(&t);
        rt_stop_release(&signals);
    }
    bool together = t.standing.refused || t.invalid || t.shares.agreed.failed;
    if (rt_trainer_close(&t))
        status = EXIT_FAILED;
    if (status == EXIT_FAILED && o->ranks && !together)
        o->ranks->give_up(o->ranks, status);            /* the others wait for this one */
    return status + STOPPED * stopped_by;
}
