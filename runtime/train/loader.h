/* loader.h - batches: samples of a split, in their order of the epoch, as the numbers that the
 * network reads, and their targets. */
#ifndef LOADER_H
#define LOADER_H

#include "data/data.h"
#include "data/preparation.h"
#include "data/sample_order.h"
#include "core/team.h"

struct batch_ahead;

/* What was waited for: the time that a step did not run because its batch was not there, and which samples were not
 * ready when they were asked for. */
struct loader_wait {
    uint64_t nanoseconds;
    uint64_t worked;            /* by all threads together, to prepare samples */
    int64_t samples, late;
};

struct loader {
    const struct cnn_model *model;
    struct cnn_context *context;        /* of the network that it serves */
    const struct split *split;
    bool shuffles;
    bool order_lost;            /* there was no memory to draw the epoch's order */
    struct sample_order order;  /* where it shuffles */
    int64_t asked;              /* blocks of the order that the system was asked to read ahead */
    struct preparation preparation;
    char *rooms;                /* (threads) samples on their way from the split's store */
    int64_t next;               /* position in the order */
    int shares_first, shares_end;       /* of a whole batch, this process takes these shares; end 0: all */
    uint64_t epoch, key, lasting, mix_key;      /* of what the steps draw */
    bool trains;                /* the steps draw */
    struct batch_ahead *ahead;  /* the batch at `next`, on its way; NULL: one thread does all */
    struct loader_wait wait;    /* since rt_loader_open() */
};

/* What a loader is opened for. */
enum loader_use {
    LOADER_MEASURES,            /* samples as in use, in their own order */
    LOADER_TRAINS,              /* with the steps that draw */
    LOADER_SHUFFLES             /* likewise, in an order that is drawn too: all mixed, if nothing else is said */
};

/* Works out what becomes of a sample under the recipe's steps, `normalize auto` by the notes of the
 * open network.  split NULL: only rt_loader_set() is used, and samples are of the model's kind.  The loader stays
 * where it is until it is closed.  0, or -1 with a message. */
int rt_loader_open(struct loader *l, struct cnn_context *c, const struct split *split, enum loader_use use);
/* While the network is open. */
void rt_loader_close(struct loader *l);

/* Samples of a step. */
int rt_whole_batch(const struct cnn_model *m);

/* The order is one by these blocks from the next epoch's start on. */
void rt_loader_order(struct loader *l, struct order_blocks by);

/* Goes to the start of an epoch.  Its order, and all that steps draw in it, depend on (seed, epoch) alone. */
void rt_loader_begin(struct loader *l, uint64_t seed, uint64_t epoch);

/* Goes on behind the first `position` samples of the epoch that rt_loader_begin() began. */
void rt_loader_skip(struct loader *l, int64_t position);

/* Fills the context's input and targets with the next samples and returns how many: the batch size,
 * fewer at the end of an epoch, 0 behind it; -1 with a message where a sample cannot be read any
 * more: the position stays before this batch.  The network's threads prepare the batch that follows where they wait for
 * each other, up to the next call: of the loader that was called last. */
int rt_loader_next(struct loader *l, struct cnn_context *c);

/* Sets sample i of the context's input from a source's (height, width, channels), as in use. */
void rt_loader_set(const struct loader *l, struct cnn_context *c, int i, const void *sample);

#endif
