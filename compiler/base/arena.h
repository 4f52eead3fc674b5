/* arena.h - memory that lives as long as its stage and is freed in one call. */
#ifndef ARENA_H
#define ARENA_H

#include <stdarg.h>
#include <stddef.h>

struct arena {
    struct arena_block *blocks;     /* newest first */
    size_t used;                    /* bytes handed out, for tests and --dump */
};

/* Zeroed memory, aligned to 16 bytes; never NULL (out of memory ends the compiler with a message). */
void *arena_alloc(struct arena *a, size_t size);
void *arena_array(struct arena *a, size_t count, size_t size);      /* checks count * size for overflow */
char *arena_string(struct arena *a, const char *text, size_t length);
char *arena_printf(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
char *arena_vprintf(struct arena *a, const char *format, va_list args);
void arena_free(struct arena *a);

/* Grows a list kept as pointer, count and capacity in an arena: LIST_ADD(a, list, count, capacity, item). */
void *arena_grow(struct arena *a, void *list, size_t item, size_t count, size_t *capacity);
#define LIST_ADD(a, list, count, capacity, item)                                                      \
    ((list) = arena_grow((a), (list), sizeof *(list), (size_t)(count), &(capacity)), (list)[(count)++] = (item))

#endif
