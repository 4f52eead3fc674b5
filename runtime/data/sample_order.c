/* sample_order.c - shuffles. */
#include "data/sample_order.h"

#include <stdlib.h>

#include "core/message.h"
#include "core/random.h"

enum {
    MIXED_LEAST = 16,           /* blocks at a time, where there are as many */
    BLOCK_MOST = 4 << 20        /* bytes: more in one piece are not read faster */
};

struct order_blocks rt_order_blocks(const struct split *s, size_t sample_bytes, int64_t memory)
{
    struct order_blocks by = { 0, 0 };
    if (s->samples || s->count == 0 || s->store->apart || s->count <= memory / (int64_t)sample_bytes)
        return by;
    /* those that are mixed, and those that are read meanwhile */
    int64_t samples = memory / 2 / (int64_t)sample_bytes, most = BLOCK_MOST / (int64_t)sample_bytes;
    by.block = samples / MIXED_LEAST < most ? samples / MIXED_LEAST : most;
    by.block = by.block < 1 ? 1 : by.block;
    by.mixed = samples / by.block;
    by.mixed = by.mixed < MIXED_LEAST ? MIXED_LEAST : by.mixed;
    return by;
}

int rt_order_open(struct sample_order *o, int64_t count)
{
    *o = (struct sample_order){ .count = count, .numbers = malloc((size_t)count * sizeof *o->numbers + 1) };
    if (o->numbers)
        return 0;
    rt_error("no memory for the order of %lld pictures", (long long)count);
    return -1;
}

void rt_order_close(struct sample_order *o)
{
    free(o->numbers);
    free(o->blocks);
    *o = (struct sample_order){ 0 };
}

/* Fisher and Yates's shuffle. */
static void shuffle(uint32_t *numbers, int64_t count, uint64_t key)
{
    for (int64_t i = count - 1; i > 0; i--) {
        int64_t k = (int64_t)rt_random_below(key, (uint64_t)i, (uint64_t)i + 1);
        uint32_t kept = numbers[i];
        numbers[i] = numbers[k];
        numbers[k] = kept;
    }
}

static void count_up(uint32_t *numbers, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        numbers[i] = (uint32_t)i;
}

static int64_t block_size(const struct sample_order *o, int64_t number)
{
    int64_t left = o->count - number * o->by.block;
    return left < o->by.block ? left : o->by.block;
}

static int blocks_draw(struct sample_order *o, uint64_t key)
{
    o->blocks_count = (o->count + o->by.block - 1) / o->by.block;
    if (o->blocks_count > o->blocks_room) {
        free(o->blocks);
        o->blocks_room = o->blocks_count;
        o->blocks = malloc((size_t)o->blocks_count * sizeof *o->blocks);
    }
    if (!o->blocks) {
        rt_error("no memory for the order of %lld blocks", (long long)o->blocks_count);
        o->blocks_room = 0;
        return -1;
    }
    count_up(o->blocks, o->blocks_count);
    shuffle(o->blocks, o->blocks_count, rt_random_subkey(key, 0));
    int64_t place = 0, begun = 0;
    for (int64_t b = 0; b < o->blocks_count; b++) {
        int64_t first = o->blocks[b] * o->by.block;
        for (int64_t i = 0, size = block_size(o, o->blocks[b]); i < size; i++)
            o->numbers[place++] = (uint32_t)(first + i);
        if ((b + 1) % o->by.mixed == 0 || b + 1 == o->blocks_count) {
            shuffle(o->numbers + begun, place - begun, rt_random_subkey(key, (uint64_t)(b / o->by.mixed) + 1));
            begun = place;
        }
    }
    return 0;
}

/* From the numbers in their own order, so that no epoch depends on the one before. */
int rt_order_draw(struct sample_order *o, uint64_t seed, uint64_t epoch)
{
    uint64_t key = rt_random_key(seed, RANDOM_SHUFFLE, epoch);
    o->blocks_count = o->size = 0;
    if (o->by.block > 0)
        return blocks_draw(o, key);
    count_up(o->numbers, o->count);
    shuffle(o->numbers, o->count, key);
    return 0;
}

static int64_t mixture_size(const struct sample_order *o, int64_t first)
{
    int64_t size = 0;
    for (int64_t b = first; b < first + o->by.mixed && b < o->blocks_count; b++)
        size += block_size(o, o->blocks[b]);
    return size;
}

int64_t rt_order_first(struct sample_order *o, int64_t position)
{
    if (o->blocks_count == 0)
        return 0;
    if (o->size == 0 || position < o->begun) {
        o->first = o->begun = 0;
        o->size = mixture_size(o, 0);
    }
    while (position >= o->begun + o->size && o->first + o->by.mixed < o->blocks_count) {
        o->begun += o->size;
        o->first += o->by.mixed;
        o->size = mixture_size(o, o->first);
    }
    return o->first;
}

int64_t rt_order_wanted(struct sample_order *o, int64_t position)
{
    if (o->blocks_count == 0)
        return 0;
    int64_t first = rt_order_first(o, position);
    int64_t wanted = first + o->by.mixed + (position - o->begun) * o->by.mixed / o->size + 1;
    return wanted < o->blocks_count ? wanted : o->blocks_count;
}
