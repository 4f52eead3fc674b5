/* callback.h - what happens between epochs.  A kind of callback is one row of the table in
 * callback.c. */
#ifndef CALLBACK_H
#define CALLBACK_H

#include "progress.h"
#include "schedule.h"
#include "tally.h"

/* What an epoch leaves for callbacks to see and to change. */
struct epoch_end {
    int epoch;                          /* from 0 */
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
void rt_callbacks_close(struct callback_list *l);
/* What the callbacks remember from epoch to epoch, to a saved state and back.  0, or -1 with a
 * message. */
struct state;
void rt_callbacks_save(const struct callback_list *l, struct state *s);
int rt_callbacks_load(struct callback_list *l, struct state *s);
void rt_callbacks_epoch_end(struct callback_list *l, struct epoch_end *end);

#endif
