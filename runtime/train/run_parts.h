/* run_parts.h - what the files of a run share. */
#ifndef RUN_PARTS_H
#define RUN_PARTS_H

#include "train/trainer.h"

/* ---- run.c ----------------------------------------------------------------------------------- */

/* Whether --time-limit is about to come, as all processes know it. */
bool rt_run_late(const struct trainer *t);
/* What this process tells the others. */
struct share_word rt_run_word(const struct trainer *t);
bool rt_run_finished(const struct trainer *t);
/* Whether an epoch is to be trained, or one that had all its steps is to be finished. */
bool rt_run_epoch_left(const struct trainer *t);
/* Whether the epochs are over, within one. */
bool rt_run_part_done(const struct trainer *t);
/* The log's head of an epoch, of which `before` samples are done. */
void rt_run_epoch_head(struct trainer *t, int64_t before);

/* ---- run_state.c ----------------------------------------------------------------------------- */

/* The weights are what the steps so far have made of them. */
void rt_run_origin_note(struct trainer *t);
/* Whether the weights are those of an epoch's end. */
bool rt_run_between_epochs(const struct trainer *t);
/* Whether the run has lost its folder to another: what it wrote would pass for the other's. */
bool rt_run_folder_lost(struct trainer *t);
/* The network's numbers and where the run stands, in a file; state_failed says how it went.  Between two batches
 * only. */
void rt_run_state_write(struct trainer *t);
/* The same within a run, which goes on where it could not be written. */
void rt_run_state_save(struct trainer *t);
/* Puts everything where the state says that was read.  Nothing of the run's folder is touched.  0, or -1 with a
 * message. */
int rt_run_state_apply(struct trainer *t);

/* ---- run_epoch.c ----------------------------------------------------------------------------- */

/* One pass over the training set, or what the limit leaves of it. */
void rt_epoch_train(struct trainer *t);
/* What follows an epoch's steps: validation, the log, the weights, the callbacks.  Returns whether
 * to go on. */
bool rt_epoch_finish(struct trainer *t);
/* Where the run ends within an epoch.  With --limit-steps a resumed run trains that to its end: the epoch has its row
 * for now, and `last` its weights, but it is no candidate for `best`, and no callback takes its part for a whole.
 * Where the recipe's epochs end there, the part is finished as a whole epoch is. */
void rt_epoch_cut(struct trainer *t);
/* Loss and metrics of the validation set. */
void rt_run_validate(struct trainer *t);
/* The weights as they are, for `last`: who calls it has the averages there, if there are any. */
void rt_run_save_last(struct trainer *t);
/* Files that could not be written after the last epoch, now that they perhaps can. */
void rt_run_catch_up(struct trainer *t);

#endif
