/* loader.c - from bytes to batches: a walk through the tables of pixels.c.
 *
 * A batch is gathered between two steps, by the thread that runs them.  32 pictures of CIFAR-10 take
 * some 0.08 ms, reads of the files included: about a thousandth of the step of a network that fills
 * two processors, where a thread of its own would take more than that from those that compute.
 */
#include "train/loader.h"

#include <stdlib.h>
#include <string.h>

#include "core/message.h"
#include "files/notes.h"
#include "data/pixels.h"
#include "core/random.h"

int rt_loader_open(struct loader *l, const struct cnn_context *c, const struct split *split,
                   bool shuffles)
{
    *l = (struct loader){ .model = c->model, .split = split };
    l->table = rt_pixels_table(c->model, &rt_notes(c)->measure);
    if (!l->table)
        return -1;
    if (split && !split->pixels) {
        l->room = malloc((size_t)c->model->in_channels * (size_t)c->model->in_height
                         * (size_t)c->model->in_width);
        if (!l->room) {
            rt_error("no memory for a picture");
            rt_loader_close(l);
            return -1;
        }
    }
    if (shuffles) {
        l->order = malloc((size_t)split->count * sizeof *l->order);
        if (!l->order) {
            rt_error("no memory for the order of %lld pictures", (long long)split->count);
            rt_loader_close(l);
            return -1;
        }
    }
    return 0;
}

void rt_loader_close(struct loader *l)
{
    free(l->order);
    free(l->table);
    free(l->room);
    *l = (struct loader){ 0 };
}

void rt_loader_begin(struct loader *l, uint64_t seed, uint64_t epoch)
{
    l->next = 0;
    if (!l->order)
        return;
    /* Fisher and Yates's, from the numbers in their own order, so that no epoch depends on the one
     * before */
    uint64_t key = rt_random_key(seed, RANDOM_SHUFFLE, epoch);
    for (int64_t i = 0; i < l->split->count; i++)
        l->order[i] = (uint32_t)i;
    for (int64_t i = l->split->count - 1; i > 0; i--) {
        int64_t k = (int64_t)rt_random_below(key, (uint64_t)i, (uint64_t)i + 1);
        uint32_t kept = l->order[i];
        l->order[i] = l->order[k];
        l->order[k] = kept;
    }
}

void rt_loader_skip(struct loader *l, int64_t position)
{
    l->next = position;
}

/* One picture through the tables, for each kind of real.  Channels lie innermost in memory where
 * networks have them there; then a picture is one run, and one or three channels are unrolled. */
#define PICTURE_FILL(name, real)                                                                   \
    static void name(const struct cnn_model *m, const uint8_t *from, const real *table, real *to)  \
    {                                                                                              \
        int channels = m->in_channels, width = m->in_width, height = m->in_height;                 \
        bool packed = m->channel_stride == 1 && m->column_stride == channels                       \
                      && m->row_stride == (int64_t)channels * width;                               \
        if (packed && channels == 3) {                                                             \
            for (int i = 0; i < height * width * 3; i += 3) {                                      \
                to[i] = table[from[i]];                                                            \
                to[i + 1] = table[256 + from[i + 1]];                                              \
                to[i + 2] = table[512 + from[i + 2]];                                              \
            }                                                                                      \
        } else if (packed && channels == 1) {                                                      \
            for (int i = 0; i < height * width; i++)                                               \
                to[i] = table[from[i]];                                                            \
        } else {                                                                                   \
            for (int h = 0; h < height; h++)                                                       \
                for (int w = 0; w < width; w++, from += channels)                                  \
                    for (int c = 0; c < channels; c++)                                             \
                        to[h * m->row_stride + w * m->column_stride + c * m->channel_stride] =     \
                            table[c * 256 + from[c]];                                              \
        }                                                                                          \
    }

PICTURE_FILL(picture_fill_float, float)
PICTURE_FILL(picture_fill_double, double)

void rt_loader_set(const struct loader *l, struct cnn_context *c, int i, const uint8_t *from)
{
    const struct cnn_model *m = l->model;
    if (m->real_size == 8)
        picture_fill_double(m, from, l->table, (double *)c->input + i * m->image_stride);
    else
        picture_fill_float(m, from, l->table, (float *)c->input + i * m->image_stride);
}

int rt_loader_next(struct loader *l, struct cnn_context *c)
{
    const struct cnn_model *m = l->model;
    int64_t left = l->split->count - l->next;
    int n = left < m->batch ? (int)left : m->batch;
    int64_t bytes = (int64_t)m->in_channels * m->in_height * m->in_width;
    for (int i = 0; i < n; i++) {
        int64_t which = l->order ? (int64_t)l->order[l->next + i] : l->next + i;
        const uint8_t *picture = rt_split_picture(l->split, which, (size_t)bytes, l->room);
        if (!picture)
            return -1;
        rt_loader_set(l, c, i, picture);
        c->labels[i] = l->split->labels[which];
    }
    l->next += n;
    return n;
}
