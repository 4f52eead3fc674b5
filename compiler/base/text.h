/* text.h - text that grows piece by piece; what a list of n pieces costs grows with n. */
#ifndef TEXT_H
#define TEXT_H

#include "base/arena.h"

/* Begins as { .arena = a }. */
struct text {
    struct arena *arena;
    char *bytes;
    size_t count, capacity;
};

void text_add(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A string as the language writes it: in quotes, with escapes. */
void text_add_string(struct text *t, const char *string);
/* The whole, which ends with a zero byte; good until something is added. */
const char *text_of(struct text *t);

/* The last part of a path. */
const char *text_basename(const char *path);

#endif
