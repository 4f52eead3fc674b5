/* movement.c - whole pixels are copied, a row at a time, whatever they are made of; others are looked for where they
 * come from. */
#include "data/movement.h"

#include <math.h>
#include <string.h>

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

/* ---- between pixels -------------------------------------------------------------------------- */

/* Where a pixel comes from: (row, column) = at + y * down + x * right. */
struct way_back {
    float at[2], down[2], right[2];
};

static struct way_back way_back(const struct movement *m, int height, int width)
{
    double shrunk = m->enlarged > 0.0 ? 1.0 / m->enlarged : 1.0;
    double along = cos(m->turned) * shrunk, across = sin(m->turned) * shrunk;
    double middle_y = (height - 1) / 2.0, middle_x = (width - 1) / 2.0;
    double y = -middle_y - m->down, x = -middle_x - m->right, side = m->mirrored ? -1.0 : 1.0;
    return (struct way_back){
        .at = { (float)(middle_y + across * x + along * y), (float)(middle_x + side * (along * x - across * y)) },
        .down = { (float)along, (float)(side * -across) },
        .right = { (float)across, (float)(side * along) },
    };
}

/* The two pixels of a line around a place, and the second one's share; weights of zeros are 0. */
struct around {
    int64_t first, second;
    float first_weight, second_weight;
};

static inline struct around around(float at, int count, enum fill fill)
{
    float low = floorf(at), share = at - low;
    int64_t i = (int64_t)low;
    struct around a = { i, i + 1, 1.0f - share, share };
    if (i >= 0 && i + 1 < count)
        return a;
    a.first = rt_fill_place(fill, i, count);
    a.second = rt_fill_place(fill, i + 1, count);
    if (a.first < 0)
        a.first = 0, a.first_weight = 0.0f;
    if (a.second < 0)
        a.second = 0, a.second_weight = 0.0f;
    return a;
}

#define TURN(name, number, sum, half)                                                              \
    static void name(const struct movement *m, const struct sample *from, struct sample *to)       \
    {                                                                                              \
        const struct way_back w = way_back(m, from->height, from->width);                          \
        int channels = from->channels;                                                             \
        int64_t row = (int64_t)from->width * channels;                                             \
        const number *all = from->data;                                                            \
        number *pixel = to->data;                                                                  \
        for (int y = 0; y < from->height; y++)                                                     \
            for (int x = 0; x < from->width; x++, pixel += channels) {                             \
                float at_y = w.at[0] + (float)y * w.down[0] + (float)x * w.right[0];               \
                float at_x = w.at[1] + (float)y * w.down[1] + (float)x * w.right[1];               \
                struct around v = around(at_y, from->height, m->fill);                             \
                struct around h = around(at_x, from->width, m->fill);                              \
                const number *a = all + v.first * row + h.first * channels;                        \
                const number *b = all + v.first * row + h.second * channels;                       \
                const number *c = all + v.second * row + h.first * channels;                       \
                const number *d = all + v.second * row + h.second * channels;                      \
                for (int k = 0; k < channels; k++) {                                               \
                    sum upper = h.first_weight * (sum)a[k] + h.second_weight * (sum)b[k];          \
                    sum lower = h.first_weight * (sum)c[k] + h.second_weight * (sum)d[k];          \
                    pixel[k] = (number)(v.first_weight * upper + v.second_weight * lower + half);  \
                }                                                                                  \
            }                                                                                      \
    }

TURN(bytes_turn, uint8_t, float, 0.5f)
TURN(floats_turn, float, float, 0.0f)
TURN(doubles_turn, double, double, 0.0)

static void turn(const struct movement *m, const struct sample *from, struct sample *to)
{
    if (from->kind == NUMBER_BYTE)
        bytes_turn(m, from, to);
    else if (from->kind == NUMBER_FLOAT)
        floats_turn(m, from, to);
    else
        doubles_turn(m, from, to);
}

/* ---- all of it ------------------------------------------------------------------------------- */

static bool is_whole(const struct movement *m)
{
    double off = m->enlarged - 1.0;
    return fabs(m->turned) <= 0.0 && (m->enlarged <= 0.0 || fabs(off) <= 0.0);
}

void rt_move(const struct movement *m, const struct sample *from, struct sample *to)
{
    size_t pixel = (size_t)from->channels * rt_number_size(from->kind), row = pixel * (size_t)from->width;
    if (!is_whole(m)) {
        turn(m, from, to);
        return;
    }
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
