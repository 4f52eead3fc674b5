/* sample_order.h - in which order an epoch takes the samples of a set: all mixed, or by blocks where they are read from
 * files that are larger than the memory to keep them in. */
#ifndef SAMPLE_ORDER_H
#define SAMPLE_ORDER_H

#include "data/data.h"

/* Neighbours in their file make a block; so many blocks, drawn at random, are mixed at a time.  block 0: all samples
 * are mixed. */
struct order_blocks {
    int64_t block, mixed;
};

struct sample_order {
    int64_t count;
    struct order_blocks by;
    uint32_t *numbers;          /* (count) this epoch's order */
    uint32_t *blocks;           /* in the order in which they are mixed */
    int64_t blocks_count, blocks_room;
    /* the blocks that were mixed where rt_order_wanted() was last asked: the first of them, its position, their
     * samples */
    int64_t first, begun, size;
};

/* How a set is best walked with so many bytes of memory for its samples, each of so many. */
struct order_blocks rt_order_blocks(const struct split *s, size_t sample_bytes, int64_t memory);

/* 0, or -1 with a message. */
int rt_order_open(struct sample_order *o, int64_t count);
void rt_order_close(struct sample_order *o);

/* The order of an epoch: a function of (seed, epoch) and of the blocks.  0, or -1 with a message. */
int rt_order_draw(struct sample_order *o, uint64_t seed, uint64_t epoch);

/* The first of the blocks that are mixed at a position. */
int64_t rt_order_first(struct sample_order *o, int64_t position);

/* How many of its blocks, in their order, should be on their way from the file when a batch at that position is
 * prepared: those that are mixed now, and as large a part of the next as has been used of these. */
int64_t rt_order_wanted(struct sample_order *o, int64_t position);

#endif
