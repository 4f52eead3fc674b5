/* seen_files.c - a table by hashes, at most half full. */
#include "core/seen_files.h"

#include <stdlib.h>

#include "core/message.h"

/* Where the file is, or would go. */
static struct seen_file *place_find(const struct seen_files *s, dev_t device, ino_t inode)
{
    /* inodes follow one another: a multiplication spreads them (Knuth's, with the golden ratio) */
    uint64_t hash = ((uint64_t)inode ^ (uint64_t)device << 40) * UINT64_C(0x9e3779b97f4a7c15);
    for (size_t i = (size_t)(hash >> 20);; i++) {
        struct seen_file *f = &s->table[i & (s->room - 1)];
        if (f->number < 0 || (f->device == device && f->inode == inode))
            return f;
    }
}

int64_t rt_seen_find(const struct seen_files *s, dev_t device, ino_t inode)
{
    return s->room ? place_find(s, device, inode)->number : -1;
}

static int table_grow(struct seen_files *s)
{
    struct seen_files larger = { .count = s->count, .room = s->room ? 2 * s->room : 64 };
    larger.table = malloc(larger.room * sizeof *larger.table);
    if (!larger.table) {
        rt_error("no memory to remember which files have been seen");
        return -1;
    }
    for (size_t i = 0; i < larger.room; i++)
        larger.table[i].number = -1;
    for (size_t i = 0; i < s->room; i++)
        if (s->table[i].number >= 0)
            *place_find(&larger, s->table[i].device, s->table[i].inode) = s->table[i];
    free(s->table);
    *s = larger;
    return 0;
}

int rt_seen_add(struct seen_files *s, dev_t device, ino_t inode, int64_t number)
{
    if (s->count >= s->room / 2 && table_grow(s))
        return -1;
    *place_find(s, device, inode) = (struct seen_file){ device, inode, number };
    s->count++;
    return 0;
}

void rt_seen_free(struct seen_files *s)
{
    free(s->table);
    *s = (struct seen_files){ 0 };
}
