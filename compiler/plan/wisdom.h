/* wisdom.h - what kernels took on a machine: measured by `cnnc --tune`, kept in a text file, used
 * in place of estimates.
 *
 * The first line says what the file is; then there is one line an entry, without blanks inside of its words:
 *     VERSION TARGET REAL THREADS BATCH TASK KERNEL NANOSECONDS
 * An entry counts for that version of cnnc, target, type and batch alone.  Lines that begin with # are comments.
 *
 * KERNEL@second is the second best time that the kernel had: what lies between the two is noise.  KERNEL@0, KERNEL@1
 * ... are times of rounds of a measurement that has not come to its end: --tune goes on from there, and nobody else
 * reads them. */
#ifndef WISDOM_H
#define WISDOM_H

#include "steps/plan.h"

struct wisdom_entry {
    const char *name;           /* the line up to its time */
    int64_t nanoseconds;        /* of a whole batch; to wisdom_add() 0: the entry goes */
    int order;                  /* while they are sorted */
};

struct wisdom {
    const char *path;
    struct wisdom_entry *entries;       /* sorted by name, each name once: the last one of the file */
    int entries_count;
    size_t entries_capacity;
    int threads;                /* those whose entries are used: wisdom_use() */
};

/* $XDG_CACHE_HOME/cnnc/wisdom, or below ~/.cache; NULL (reported): neither variable is set. */
const char *wisdom_cache_path(struct arena *a);
/* NULL: it cannot be read, or is no wisdom (reported).  Damaged lines are reported and left out.  A file that is not
 * there is empty with `may_miss`. */
struct wisdom *wisdom_read(struct arena *a, const char *path, bool may_miss);
/* Entries for so many threads are used; 0: for the most that the file has any for.  False: there are none for this
 * target and type. */
bool wisdom_use(struct wisdom *w, const char *target, const char *precision, int threads);

/* The name of a group's task, in one word: operation, shapes, window, and what is applied to the result. */
const char *wisdom_key(const struct plan *p, const struct group *g);
/* The line of an entry up to its time. */
const char *wisdom_entry_name(struct arena *a, const struct plan *p, int threads, const char *key, const char *kernel);
/* Nanoseconds, negative when it is not known. */
double wisdom_find(const struct wisdom *w, const struct plan *p, const char *key, const char *kernel);
/* The same of an entry by its whole name. */
double wisdom_time(const struct wisdom *w, const char *name);

/* The same with entries more, in memory alone. */
struct wisdom *wisdom_with(struct arena *a, const struct wisdom *w, const struct wisdom_entry *added, int count);

/* Whether wisdom_add() will be able to write there; with_folders: makes those above it.  False: reported. */
bool wisdom_writable(struct arena *a, const char *path, bool with_folders);
/* Removes a file that wisdom_writable() has made, if nobody has written to it since. */
void wisdom_forget_empty(const char *path);
/* Adds entries to what the file holds by then, also while others do the same.  The file is replaced whole.  False: it
 * is as it was (reported). */
bool wisdom_add(struct arena *a, const char *path, const struct wisdom_entry *added, int count);

#endif
