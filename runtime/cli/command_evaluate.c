/* command_evaluate.c - evaluate: what trained weights make of the test set, for people or for programs. */
#include <stdlib.h>

#include "cli/command.h"
#include "core/message.h"
#include "core/rank_writes.h"
#include "files/notes.h"
#include "train/evaluation.h"
#include "train/trainer.h"

static void evaluation_print(struct trainer *t, const struct evaluation *found)
{
    char *origin = rt_origin_text(found->origin);
    rt_progress_say(&t->progress, "Weights %s: %s\n", origin ? origin : "", found->weights);
    free(origin);
    rt_run_report(t);
    if (t->progress.verbosity != VERBOSE_SILENT)
        rt_evaluation_print(found, &t->progress);
}

/* 0, or -1 with a message. */
static int evaluate(struct trainer *t, const struct command_options *o, const char *weights)
{
    const struct weights_notes *notes = rt_notes(t->context);
    bool tests = t->data.test.count > 0, machine = o->json || o->csv;
    struct loader *set = tests ? &t->test : &t->val;
    const struct evaluation found = { .weights = weights, .origin = &notes->origin, .values = &t->val_tally,
                                      .set = tests || t->data.val_tests ? "test" : "validation",
                                      .names = notes->class_names, .copies = t->tta.copies.count };
    const bool speaks = rt_rank_writes(o->run.ranks);
    rt_progress_open(&t->progress, !speaks ? VERBOSE_MUTE : machine ? VERBOSE_SILENT : (int)o->run.verbose, NULL,
                     set->split->count);
    rt_run_measure(t, set, &t->tta);
    if (t->data_failed)
        return -1;
    if (!speaks)
        return 0;
    if (!machine)
        evaluation_print(t, &found);
    else if (o->json ? rt_evaluation_json(&found) : rt_evaluation_csv(&found))
        return -1;
    return o->wrong ? rt_wrong_write(t->wrong, o->wrong, set->split, notes->class_names) : 0;
}

int rt_evaluate(const struct cnn_model *model, const struct command_options *o)
{
    struct trainer t = rt_trainer_of(model, &o->run);
    struct wrong_list wrong = { 0 };
    if (o->json && o->csv) {
        rt_error("--json and --csv: one of them");
        return EXIT_WRONG_USE;
    }
    if (o->wrong && model->train.target.kind != CNN_TARGET_CLASS) {
        rt_error("--wrong lists what is taken for another class; %s learns no classes", model->source);
        return EXIT_WRONG_USE;
    }
    if (rt_run_folder_name(&t.folder, model, o->run.run_dir))
        return EXIT_FAILED;
    t.wrong = o->wrong ? &wrong : NULL;
    const bool reads = rt_rank_writes(o->run.ranks);        /* the others get weights from the first one */
    const char *weights = o->run.weights || !reads ? o->run.weights : rt_run_folder_weights(&t.folder);
    t.standing.fault = o->fault;
    bool ready = (weights || !reads) && rt_program_agree(&t.standing, model, &o->run, "evaluate") == 0
                 && rt_trainer_open(&t, weights, false) == 0 && rt_run_agree(&t) == 0;
    if (!ready)
        rt_standing_fail(&t.standing);
    int status = ready && evaluate(&t, o, weights) == 0 ? EXIT_FINE : EXIT_FAILED;
    if (rt_trainer_close(&t))
        status = EXIT_FAILED;
    rt_wrong_free(&wrong);
    if (status && o->run.ranks && !t.standing.refused && !t.shares.agreed.failed)
        o->run.ranks->give_up(o->run.ranks, status);
    return status;
}
