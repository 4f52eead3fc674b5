/* table.c - see table.h: open addressing, at most half full. */
#include "base/table.h"

#include <stdint.h>
#include <string.h>

enum { TABLE_FIRST = 64 };

static uint64_t table_mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);        /* the golden ratio: odd, its bits without a pattern */
    return hash ^ hash >> 29;
}

static uint64_t table_hash(const char *key)
{
    uint64_t hash = 0, word;
    size_t size = strlen(key), at = 0;

    for (; at + sizeof word <= size; at += sizeof word) {
        memcpy(&word, key + at, sizeof word);
        hash = table_mix(hash, word);
    }
    word = size;
    for (; at < size; at++)
        word = word << 8 | (unsigned char)key[at];
    hash = table_mix(table_mix(hash, word), size);
    return hash ^ hash >> 32;
}

/* The entry of that key, or the free one where it would stand. */
static struct table_entry *table_find(const struct table *t, const char *key)
{
    for (size_t i = (size_t)table_hash(key);; i++) {
        struct table_entry *e = &t->entries[i & (t->capacity - 1)];
        if (!e->key || !strcmp(e->key, key))
            return e;
    }
}

static void table_grow(struct table *t)
{
    struct table bigger = {.arena = t->arena, .capacity = t->capacity ? 2 * t->capacity : TABLE_FIRST,
                           .count = t->count};

    bigger.entries = arena_array(t->arena, bigger.capacity, sizeof *bigger.entries);
    for (size_t i = 0; i < t->capacity; i++)
        if (t->entries[i].key)
            *table_find(&bigger, t->entries[i].key) = t->entries[i];
    *t = bigger;
}

void *table_get(const struct table *t, const char *key)
{
    return t->capacity ? table_find(t, key)->value : NULL;
}

void table_put(struct table *t, const char *key, void *value)
{
    if (2 * (t->count + 1) > t->capacity)
        table_grow(t);
    struct table_entry *e = table_find(t, key);
    t->count += !e->key;
    e->key = key;
    e->value = value;
}
