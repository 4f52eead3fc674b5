/* placing.c - see placing.h. */
#include "steps/placing.h"

#include <stdbool.h>
#include <stdlib.h>

static int by_size(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    return x->order - y->order;
}

/* placed: in the order of their offsets. */
static int64_t lowest_offset(const struct item *item, const struct item_placed *placed, int count)
{
    int64_t at = 0;
    for (int i = 0; i < count; i++) {
        const struct item_placed *o = &placed[i];
        if (o->last < item->first || o->first > item->last)
            continue;
        if (o->offset - at >= item->bytes)
            break;
        if (o->end > at)
            at = o->end;
    }
    return at;
}

static bool comes_before(const struct item_placed *x, const struct item_placed *y)
{
    return x->offset != y->offset ? x->offset < y->offset : x->order < y->order;
}

void place_items(struct item *items, struct item_placed *placed, int count, int64_t *end)
{
    qsort(items, (size_t)count, sizeof *items, by_size);
    for (int i = 0; i < count; i++) {
        const struct item *item = &items[i];
        struct item_placed new = { .first = item->first, .last = item->last, .order = item->order };
        new.offset = lowest_offset(item, placed, i);
        new.end = new.offset + item->bytes;
        *item->offset = new.offset;
        *end = new.end > *end ? new.end : *end;
        int at = i;
        for (; at > 0 && comes_before(&new, &placed[at - 1]); at--)
            placed[at] = placed[at - 1];
        placed[at] = new;
    }
}
