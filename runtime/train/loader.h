/* loader.h - batches: pictures of a split, in their order of the epoch, as the numbers that the
 * network reads. */
#ifndef LOADER_H
#define LOADER_H

#include "data/data.h"

struct loader {
    const struct cnn_model *model;
    const struct split *split;
    /* (split->count) picture numbers of this epoch, NULL: as they come */
    uint32_t *order;
    void *table;                /* real (channels, 256): what a byte becomes */
    uint8_t *room;              /* a picture on its way from the split's store */
    int64_t next;               /* position in the order */
};

/* Works out what every byte becomes under the recipe's steps, `normalize auto` by the notes of the
 * open network. shuffles: an order is kept.  split NULL: only rt_loader_set() is used.  0, or -1
 * with a message. */
int rt_loader_open(struct loader *l, const struct cnn_context *c, const struct split *split,
                   bool shuffles);
void rt_loader_close(struct loader *l);

/* Goes to the start of an epoch.  Its order depends on (seed, epoch) alone. */
void rt_loader_begin(struct loader *l, uint64_t seed, uint64_t epoch);

/* Goes on behind the first `position` samples of the epoch that rt_loader_begin() began. */
void rt_loader_skip(struct loader *l, int64_t position);

/* Fills the context's input and labels with the next samples and returns how many: the batch size,
 * fewer at the end of an epoch, 0 behind it; -1 with a message where a picture cannot be read any
 * more: the position stays before this batch. */
int rt_loader_next(struct loader *l, struct cnn_context *c);

/* Sets sample i of the context's input from bytes (height, width, channels). */
void rt_loader_set(const struct loader *l, struct cnn_context *c, int i, const uint8_t *pixels);

#endif
