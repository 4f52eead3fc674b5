/* pixels.c - a byte has 256 values: what the steps make of each is worked out once a channel, in
 * double. */
#include "data/pixels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/message.h"
#include "core/recipe.h"

/* Values by channel: one serves all. */
struct channel_list {
    const double *values;
    int count;
};

static double list_at(struct channel_list l, int channel)
{
    return l.values[l.count == 1 ? 0 : channel];
}

static int list_take(const struct cnn_clause *step, const char *key, int channels,
                     struct channel_list *l)
{
    const struct cnn_setting *s = rt_setting(step, key);
    if (!s || !s->list || (s->list_length != channels && s->list_length != 1)) {
        rt_error("%s: %s needs %d numbers, one a channel", step->name, key, channels);
        return -1;
    }
    *l = (struct channel_list){ s->list, s->list_length };
    return 0;
}

static bool is_auto(const struct cnn_clause *step)
{
    return strcmp(step->name, "normalize") == 0 && rt_setting_text(step, "auto", NULL);
}

static int step_normalize(const struct cnn_clause *step, double *table, int channels,
                          const struct pixel_measure *measure)
{
    struct channel_list mean, std;
    if (is_auto(step)) {
        if (!measure || !measure->mean) {
            rt_error("'normalize auto' needs the training set's mean and deviation, which these "
                     "weights do not come with");
            return -1;
        }
        mean = (struct channel_list){ measure->mean, channels };
        std = (struct channel_list){ measure->std, channels };
    } else if (list_take(step, "mean", channels, &mean) || list_take(step, "std", channels, &std)) {
        return -1;
    }
    for (int c = 0; c < channels; c++)
        for (int i = 0; i < 256; i++)
            table[c * 256 + i] = (table[c * 256 + i] - list_at(mean, c)) / list_at(std, c);
    return 0;
}

static int step_scale(const struct cnn_clause *step, double *table, int channels,
                      const struct pixel_measure *measure)
{
    (void)measure;
    double factor = rt_setting_number(step, "factor", 1.0);
    for (int i = 0; i < channels * 256; i++)
        table[i] *= factor;
    return 0;
}

/* What has been done to the pictures before their bytes are looked up. */
static int step_before(const struct cnn_clause *step, double *table, int channels,
                       const struct pixel_measure *measure)
{
    (void)step;
    (void)table;
    (void)channels;
    (void)measure;
    return 0;
}

static const struct {
    const char *name;
    int (*apply)(const struct cnn_clause *step, double *table, int channels,
                 const struct pixel_measure *measure);
} pixel_steps[] = {
    { "scale", step_scale }, { "normalize", step_normalize },
    { "split", step_before }, { "limit", step_before }, { "resize", step_before },
};

static int step_apply(const struct cnn_clause *step, double *table, int channels,
                      const struct pixel_measure *measure)
{
    for (size_t i = 0; i < sizeof pixel_steps / sizeof pixel_steps[0]; i++)
        if (strcmp(step->name, pixel_steps[i].name) == 0)
            return pixel_steps[i].apply(step, table, channels, measure);
    rt_error("this version of the runtime has no step '%s'", step->name);
    return -1;
}

/* The bytes after the first `steps` steps, malloc'd. */
static double *exact_table(const struct cnn_model *m, int steps, const struct pixel_measure *measure)
{
    int entries = m->in_channels * 256;
    double *table = malloc((size_t)entries * sizeof *table);
    if (!table) {
        rt_error("no memory for the tables of pixels");
        return NULL;
    }
    for (int i = 0; i < entries; i++)
        table[i] = i % 256;
    for (int i = 0; i < steps; i++)
        if (step_apply(&m->data.steps[i], table, m->in_channels, measure)) {
            free(table);
            return NULL;
        }
    return table;
}

static int auto_place(const struct cnn_model *m)
{
    for (int i = 0; i < m->data.steps_count; i++)
        if (is_auto(&m->data.steps[i]))
            return i;
    return -1;
}

bool rt_pixels_need_measure(const struct cnn_model *m)
{
    return auto_place(m) >= 0;
}

/* From how often each byte occurs: exact counts, then one short sum, the same however the set was
 * walked. */
static void channel_measure(const int64_t count[256], const double *table, double *mean,
                            double *std)
{
    double all = 0.0, sum = 0.0, squares = 0.0;
    for (int i = 0; i < 256; i++) {
        all += (double)count[i];
        sum += (double)count[i] * table[i];
    }
    *mean = sum / all;
    for (int i = 0; i < 256; i++)
        squares += (double)count[i] * (table[i] - *mean) * (table[i] - *mean);
    *std = sqrt(squares / all);
    if (!(*std > 0.0))
        *std = 1.0;
}

int rt_pixels_measure(const struct cnn_model *m, const struct split *train, double *mean,
                      double *std)
{
    int channels = m->in_channels;
    double *table = exact_table(m, auto_place(m), NULL);
    int64_t *counts = calloc((size_t)channels * 256, sizeof *counts);
    if (table && !counts)
        rt_error("no memory to count the training set's pixels");
    size_t bytes = (size_t)channels * (size_t)m->in_height * (size_t)m->in_width;
    uint8_t *room = malloc(bytes);
    if (counts && !room)
        rt_error("no memory for a picture");
    int status = table && counts && room ? 0 : -1;
    for (int64_t i = 0; status == 0 && i < train->count; i++) {
        const uint8_t *from = rt_split_picture(train, i, bytes, room);
        if (!from)
            status = -1;
        for (size_t k = 0; from && k < bytes; k += (size_t)channels)
            for (int c = 0; c < channels; c++)
                counts[c * 256 + from[k + (size_t)c]]++;
    }
    for (int c = 0; status == 0 && c < channels; c++)
        channel_measure(counts + c * 256, table + c * 256, &mean[c], &std[c]);
    free(room);
    free(table);
    free(counts);
    return status;
}

void *rt_pixels_table(const struct cnn_model *m, const struct pixel_measure *measure)
{
    double *exact = exact_table(m, m->data.steps_count, measure);
    if (!exact || m->real_size == 8)
        return exact;
    int entries = m->in_channels * 256;
    float *table = malloc((size_t)entries * sizeof *table);
    for (int i = 0; table && i < entries; i++)
        table[i] = (float)exact[i];
    if (!table)
        rt_error("no memory for the tables of pixels");
    free(exact);
    return table;
}
