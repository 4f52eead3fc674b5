/* callback.h - what happens between epochs and after steps.  A kind of callback is a file
 * callback_NAME.c and one row of the table in callback.c. */
#ifndef CALLBACK_H
#define CALLBACK_H

#include "train/progress.h"
#include "train/schedule.h"
#include "train/tally.h"

/* What an epoch leaves for callbacks to see and to change. */
struct epoch_end {
    int epoch;                          /* from 0 */
    double lr;                          /* of its last step */
    const struct tally *train, *val;
    struct schedule *schedule;
    struct progress *progress;
    bool stop;                          /* out: training shall end */
};

struct callback;                        /* one callback of the recipe with its state */

struct callback_list {
    struct callback *items;
    int count;
};

/* 0, or -1 with a message: a kind or a monitor this version does not know. */
int rt_callbacks_open(struct callback_list *l, const struct cnn_train_recipe *recipe);
/* Before the state is read: takes the memory that callbacks need.  0, or -1 with a message. */
int rt_callbacks_begin(struct callback_list *l, struct cnn_context *c, const char *folder);
/* Whether what callbacks will write may take the places that it wants: nothing that is not theirs is there, nor a file
 * of the run, nor one of these (NULL: none) that the command line names.  Touches nothing.  0, or -1 with a message. */
struct run_folder;
int rt_callbacks_check(const struct callback_list *l, const struct run_folder *folder, const char *const files[2]);
/* Once the run folder is this run's: makes its folders, and a new run removes what callbacks left
 * there in a run before, any run what a killed one left half-written.  0, or -1 with a message. */
int rt_callbacks_claim(struct callback_list *l, bool resumed);
/* What the callbacks remember from epoch to epoch, to a saved state and back.  0, or -1 with a
 * message. */
struct state;
void rt_callbacks_save(const struct callback_list *l, struct state *s);
int rt_callbacks_load(struct callback_list *l, struct state *s);
/* After a step's loss is known and before the weights follow it; batch counts from 0 in the epoch.
 * False: the run cannot go on. */
bool rt_callbacks_step(struct callback_list *l, struct progress *progress, int64_t batch,
                       double loss);
void rt_callbacks_epoch_end(struct callback_list *l, struct epoch_end *end);
/* While the weights are still those of the last epoch's end: files that could not be written then. */
void rt_callbacks_catch_up(struct callback_list *l);
/* When training ends by itself: what is left to say and to do.  True: the weights are those of an
 * epoch before now. */
bool rt_callbacks_train_end(struct callback_list *l, struct progress *progress);
/* Whether one of them has ended the training, and would again. */
bool rt_callbacks_stopped(const struct callback_list *l);
/* Whether some file of a callback could not be written when it was last to be. */
bool rt_callbacks_failed(const struct callback_list *l);
void rt_callbacks_close(struct callback_list *l);

#endif
