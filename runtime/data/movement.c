/* movement.c - whole pixels are copied, a row at a time, whatever they are made of. */
#include "data/movement.h"

#include <string.h>

/* ---- what lies outside ----------------------------------------------------------------------- */

enum fill rt_fill_of(const char *word)
{
    return word && strcmp(word, "edge") == 0 ? FILL_EDGE : word && strcmp(word, "reflect") == 0 ? FILL_REFLECT
                                                                                                : FILL_ZEROS;
}

int rt_fill_place(enum fill fill, int64_t i, int count)
{
    if (i >= 0 && i < count)
        return (int)i;
    if (fill == FILL_ZEROS)
        return -1;
    if (fill == FILL_EDGE || count == 1)
        return i < 0 ? 0 : count - 1;
    int64_t period = 2 * ((int64_t)count - 1), within = i % period;
    if (within < 0)
        within += period;
    return (int)(within < count ? within : period - within);
}

/* ---- rows ------------------------------------------------------------------------------------ */

/* `count` pixels in the opposite order: `last` is the one that comes first.  For usual sizes the compiler knows what
 * it copies. */
static void copy_mirrored(char *to, const char *last, int count, size_t pixel)
{
#define MIRRORED(size)                                                                             \
    case size:                                                                                     \
        for (int i = 0; i < count; i++)                                                            \
            memcpy(to + (size_t)i * (size), last - (size_t)i * (size), size);                      \
        break;
    switch (pixel) {
    MIRRORED(1)
    MIRRORED(3)
    MIRRORED(4)
    MIRRORED(8)
    MIRRORED(12)
    MIRRORED(24)
    default:
        for (int i = 0; i < count; i++)
            memcpy(to + (size_t)i * pixel, last - (size_t)i * pixel, pixel);
    }
#undef MIRRORED
}

/* Pixel x of a row of what was moved. */
static void pixel_set(const struct movement *m, const char *from, char *to, int x, int width, size_t pixel)
{
    int at = rt_fill_place(m->fill, (int64_t)x - m->right, width);
    char *place = to + (size_t)x * pixel;
    if (at < 0)
        memset(place, 0, pixel);
    else
        memcpy(place, from + (size_t)(m->mirrored ? width - 1 - at : at) * pixel, pixel);
}

static void row_move(const struct movement *m, const char *from, char *to, int width, size_t pixel)
{
    int first = m->right > 0 ? m->right : 0, end = m->right < 0 ? width + m->right : width;
    if (first > width || end < 0)
        first = end = width;
    for (int x = 0; x < first; x++)
        pixel_set(m, from, to, x, width, pixel);
    if (end > first && m->mirrored)
        copy_mirrored(to + (size_t)first * pixel, from + (size_t)(width - 1 - (first - m->right)) * pixel, end - first,
                      pixel);
    else if (end > first)
        memcpy(to + (size_t)first * pixel, from + (size_t)(first - m->right) * pixel, (size_t)(end - first) * pixel);
    for (int x = end; x < width; x++)
        pixel_set(m, from, to, x, width, pixel);
}

void rt_move(const struct movement *m, const struct sample *from, struct sample *to)
{
    size_t pixel = (size_t)from->channels * rt_number_size(from->kind), row = pixel * (size_t)from->width;
    if (!m->mirrored && !m->down && !m->right) {
        memcpy(to->data, from->data, row * (size_t)from->height);
        return;
    }
    for (int y = 0; y < from->height; y++) {
        int at = rt_fill_place(m->fill, (int64_t)y - m->down, from->height);
        char *place = (char *)to->data + (size_t)y * row;
        if (at < 0)
            memset(place, 0, row);
        else
            row_move(m, (const char *)from->data + (size_t)at * row, place, from->width, pixel);
    }
}
