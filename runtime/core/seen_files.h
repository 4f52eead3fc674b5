/* seen_files.h - files and folders by what they are, device and inode, whatever they are called: a
 * link gives one a second name. */
#ifndef SEEN_FILES_H
#define SEEN_FILES_H

#include <sys/stat.h>
#include "cnnrt.h"

struct seen_file {
    dev_t device;
    ino_t inode;
    int64_t number;             /* the caller's; -1: the place in the table is free */
};

struct seen_files {
    struct seen_file *table;
    size_t count, room;         /* room: 0, or a power of two */
};

/* The number that the file was added with, or -1. */
int64_t rt_seen_find(const struct seen_files *s, dev_t device, ino_t inode);
/* Adds a file that is not there yet; number >= 0.  0, or -1 with a message. */
int rt_seen_add(struct seen_files *s, dev_t device, ino_t inode, int64_t number);
void rt_seen_free(struct seen_files *s);

#endif
