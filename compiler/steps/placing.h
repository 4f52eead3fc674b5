/* placing.h - offsets for things that live for a while: two that live at the same time share no memory. */
#ifndef PLACING_H
#define PLACING_H

#include <stdint.h>

struct item {
    int64_t bytes, *offset;     /* offset: where its place is written */
    int first, last;            /* when it lives, both included */
    int order;                  /* among those of one size; no two have the same */
};

/* One that has its place. */
struct item_placed {
    int64_t offset, end;
    int first, last, order;
};

/* Greedy: the largest first, each at the lowest offset that is free while it lives.  Sorts the items; placed: room for
 * as many.  *end becomes at least the end of the last one.  The time grows with the square of their number. */
void place_items(struct item *items, struct item_placed *placed, int count, int64_t *end);

#endif
