/* loader.c - from bytes to batches.  A byte has 256 values: what the recipe's steps make of each is worked out
 * once a channel, and a batch is a walk through tables. */
#include "loader.h"

#include <stdlib.h>
#include <string.h>

#include "message.h"
#include "random.h"
#include "recipe.h"

/* The list's value for a channel; one value serves all. */
static int list_check(const struct cnn_setting *s, const char *step, const char *key, int channels)
{
    if (s && s->list && (s->list_length == channels || s->list_length == 1))
        return 0;
    rt_error("%s: %s needs %d numbers, one a channel", step, key, channels);
    return -1;
}

static double list_at(const struct cnn_setting *s, int channel)
{
    return s->list[s->list_length == 1 ? 0 : channel];
}

static int step_normalize(const struct cnn_clause *step, double *table, int channels)
{
    const struct cnn_setting *mean = rt_setting(step, "mean"), *std = rt_setting(step, "std");
    if (list_check(mean, step->name, "mean", channels) || list_check(std, step->name, "std", channels))
        return -1;
    for (int c = 0; c < channels; c++)
        for (int i = 0; i < 256; i++)
            table[c * 256 + i] = (table[c * 256 + i] - list_at(mean, c)) / list_at(std, c);
    return 0;
}

static int step_scale(const struct cnn_clause *step, double *table, int channels)
{
    double factor = rt_setting_number(step, "factor", 1.0);
    for (int i = 0; i < channels * 256; i++)
        table[i] *= factor;
    return 0;
}

static const struct {
    const char *name;
    int (*apply)(const struct cnn_clause *step, double *table, int channels);
} pixel_steps[] = { { "scale", step_scale }, { "normalize", step_normalize } };

static int step_apply(const struct cnn_clause *step, double *table, int channels)
{
    for (size_t i = 0; i < sizeof pixel_steps / sizeof pixel_steps[0]; i++)
        if (strcmp(step->name, pixel_steps[i].name) == 0)
            return pixel_steps[i].apply(step, table, channels);
    rt_error("this version of the runtime has no step '%s'", step->name);
    return -1;
}

/* The finished tables, in the network's own numbers. */
static void *table_make(const struct cnn_model *m)
{
    int channels = m->in_channels, entries = channels * 256;
    double *exact = malloc((size_t)entries * sizeof *exact);
    if (!exact) {
        rt_error("no memory for the tables of pixels");
        return NULL;
    }
    for (int i = 0; i < entries; i++)
        exact[i] = i % 256;
    for (int i = 0; i < m->data.steps_count; i++)
        if (step_apply(&m->data.steps[i], exact, channels)) {
            free(exact);
            return NULL;
        }
    if (m->real_size == 8)
        return exact;
    float *table = malloc((size_t)entries * sizeof *table);
    for (int i = 0; table && i < entries; i++)
        table[i] = (float)exact[i];
    if (!table)
        rt_error("no memory for the tables of pixels");
    free(exact);
    return table;
}

int rt_loader_open(struct loader *l, const struct cnn_model *model, const struct split *split, bool shuffles)
{
    *l = (struct loader){ .model = model, .split = split };
    l->table = table_make(model);
    if (!l->table)
        return -1;
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
    *l = (struct loader){ 0 };
}

void rt_loader_begin(struct loader *l, uint64_t seed, uint64_t epoch)
{
    l->next = 0;
    if (!l->order)
        return;
    /* Fisher and Yates's, from the numbers in their own order, so that no epoch depends on the one before */
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

/* One picture through the tables, for each kind of real.  Channels lie innermost in memory where networks have
 * them there; then a picture is one run, and one or three channels are unrolled. */
#define PICTURE_FILL(name, real)                                                                              \
    static void name(const struct cnn_model *m, const uint8_t *from, const real *table, real *to)             \
    {                                                                                                         \
        int channels = m->in_channels, width = m->in_width, height = m->in_height;                            \
        bool packed = m->channel_stride == 1 && m->column_stride == channels                                  \
                      && m->row_stride == (int64_t)channels * width;                                          \
        if (packed && channels == 3) {                                                                        \
            for (int i = 0; i < height * width * 3; i += 3) {                                                 \
                to[i] = table[from[i]];                                                                       \
                to[i + 1] = table[256 + from[i + 1]];                                                         \
                to[i + 2] = table[512 + from[i + 2]];                                                         \
            }                                                                                                 \
        } else if (packed && channels == 1) {                                                                 \
            for (int i = 0; i < height * width; i++)                                                          \
                to[i] = table[from[i]];                                                                       \
        } else {                                                                                              \
            for (int h = 0; h < height; h++)                                                                  \
                for (int w = 0; w < width; w++, from += channels)                                             \
                    for (int c = 0; c < channels; c++)                                                        \
                        to[h * m->row_stride + w * m->column_stride + c * m->channel_stride]                  \
                            = table[c * 256 + from[c]];                                                       \
        }                                                                                                     \
    }

PICTURE_FILL(picture_fill_float, float)
PICTURE_FILL(picture_fill_double, double)

int rt_loader_next(struct loader *l, struct cnn_context *c)
{
    const struct cnn_model *m = l->model;
    int64_t left = l->split->count - l->next;
    int n = left < m->batch ? (int)left : m->batch;
    int64_t bytes = (int64_t)m->in_channels * m->in_height * m->in_width;
    for (int i = 0; i < n; i++) {
        int64_t which = l->order ? (int64_t)l->order[l->next + i] : l->next + i;
        const uint8_t *from = l->split->pixels + which * bytes;
        if (m->real_size == 8)
            picture_fill_double(m, from, l->table, (double *)c->input + i * m->image_stride);
        else
            picture_fill_float(m, from, l->table, (float *)c->input + i * m->image_stride);
        c->labels[i] = l->split->labels[which];
    }
    l->next += n;
    return n;
}
