/* arena.c - see arena.h.  Blocks grow geometrically; what is too big for a block gets one of its
 * own. */
#include "base/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_ALIGNMENT = 16, ARENA_FIRST = 4096, ARENA_LARGEST = 1 << 20 };

struct arena_block {
    struct arena_block *next;
    size_t size, used;              /* of bytes[] */
    _Alignas(ARENA_ALIGNMENT) char bytes[];
};

static void out_of_memory(void)
{
    fputs("cnnc: out of memory\n", stderr);
    exit(1);
}

static struct arena_block *arena_block_new(struct arena *a, size_t size)
{
    size_t room = ARENA_FIRST;

    if (a->blocks && a->blocks->size < ARENA_LARGEST)
        room = a->blocks->size * 2;
    else if (a->blocks)
        room = ARENA_LARGEST;
    if (room < size)
        room = size;
    if (room > SIZE_MAX - sizeof(struct arena_block))
        out_of_memory();
    struct arena_block *b = calloc(1, sizeof *b + room);
    if (!b)
        out_of_memory();
    b->size = room;
    if (size > ARENA_LARGEST / 4 && a->blocks) {
        /* A big piece goes behind the newest block, whose rest stays in use. */
        b->next = a->blocks->next;
        a->blocks->next = b;
    } else {
        b->next = a->blocks;
        a->blocks = b;
    }
    return b;
}

void *arena_alloc(struct arena *a, size_t size)
{
    if (size > SIZE_MAX - ARENA_ALIGNMENT)
        out_of_memory();
    size = (size + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
    struct arena_block *b = a->blocks;
    if (!b || b->size - b->used < size)
        b = arena_block_new(a, size);
    void *p = b->bytes + b->used;
    b->used += size;
    a->used += size;
    return p;
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
    if (size && count > SIZE_MAX / size)
        out_of_memory();
    return arena_alloc(a, count * size);
}

char *arena_string(struct arena *a, const char *text, size_t length)
{
    if (length == SIZE_MAX)
        out_of_memory();
    char *s = arena_alloc(a, length + 1);
    if (length)
        memcpy(s, text, length);
    return s;
}

char *arena_vprintf(struct arena *a, const char *format, va_list args)
{
    char first[256];            /* most texts are short: these are formatted once */
    va_list again;

    va_copy(again, args);
    int length = vsnprintf(first, sizeof first, format, args);
    if (length < 0)
        out_of_memory();
    char *s = arena_alloc(a, (size_t)length + 1);
    if ((size_t)length < sizeof first)
        memcpy(s, first, (size_t)length + 1);
    else
        vsnprintf(s, (size_t)length + 1, format, again);
    va_end(again);
    return s;
}

char *arena_printf(struct arena *a, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    char *s = arena_vprintf(a, format, args);
    va_end(args);
    return s;
}

void arena_free(struct arena *a)
{
    struct arena_block *b = a->blocks;

    while (b) {
        struct arena_block *next = b->next;
        free(b);
        b = next;
    }
    *a = (struct arena){0};
}

void *arena_grow(struct arena *a, void *list, size_t item, size_t count, size_t *capacity)
{
    if (count < *capacity)
        return list;
    if (*capacity > SIZE_MAX / 2)
        out_of_memory();
    size_t bigger = *capacity ? *capacity * 2 : 8;
    void *copy = arena_array(a, bigger, item);
    if (*capacity)
        memcpy(copy, list, (count < *capacity ? count : *capacity) * item);
    *capacity = bigger;
    return copy;
}
