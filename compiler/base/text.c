/* text.c - see text.h. */
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Room for so many bytes more, and one that ends the text. */
static void text_room(struct text *t, size_t more)
{
    while (t->capacity - t->count < more + 1)
        t->bytes = arena_grow(t->arena, t->bytes, 1, t->capacity, &t->capacity);
}

static void text_add_bytes(struct text *t, const char *bytes, size_t count)
{
    text_room(t, count);
    if (count)
        memcpy(t->bytes + t->count, bytes, count);
    t->count += count;
}

void text_add(struct text *t, const char *format, ...)
{
    char first[256];            /* most pieces are short: these are formatted once */
    va_list args, again;

    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(first, sizeof first, format, args);
    va_end(args);
    if (length >= 0 && (size_t)length < sizeof first) {
        text_add_bytes(t, first, (size_t)length);
    } else {
        const char *piece = arena_vprintf(t->arena, format, again);
        text_add_bytes(t, piece, strlen(piece));
    }
    va_end(again);
}

void text_add_string(struct text *t, const char *string)
{
    text_add(t, "\"");
    for (const unsigned char *c = (const unsigned char *)string; *c; c++) {
        if (*c < 0x20 || *c == 0x7F)
            text_add(t, "\\%03o", *c);
        else
            text_add(t, *c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
    }
    text_add(t, "\"");
}

const char *text_of(struct text *t)
{
    text_room(t, 0);
    t->bytes[t->count] = '\0';
    return t->bytes;
}

const char *text_basename(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}
