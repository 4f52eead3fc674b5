/* counts_text.h - lists of counts in a saved state. */
#ifndef COUNTS_TEXT_H
#define COUNTS_TEXT_H

#include "files/state.h"

void rt_counts_save(struct state *s, const char *name, const int64_t *counts, size_t count);
/* 0, or -1 with a message: there are not so many, or one is none. */
int rt_counts_load(const struct state *s, const char *name, int64_t *counts, size_t count);

#endif
