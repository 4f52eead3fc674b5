/* table.h - what belongs to a name, found without looking through all of them. */
#ifndef TABLE_H
#define TABLE_H

#include <stddef.h>
#include "base/arena.h"

struct table_entry {
    const char *key;            /* NULL: free */
    void *value;
};

/* Begins as { .arena = a }.  Keys are kept as they are, not copied. */
struct table {
    struct arena *arena;
    struct table_entry *entries;
    size_t count, capacity;     /* capacity: a power of two, or 0 */
};

/* What was put under that key last; NULL: nothing, or NULL. */
void *table_get(const struct table *t, const char *key);
void table_put(struct table *t, const char *key, void *value);

#endif
