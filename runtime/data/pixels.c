/* pixels.c - mean and deviation.  Of bytes each is counted, and what the steps before make of it is worked out once a
 * channel, in double; numbers are walked through twice. */
#include "data/pixels.h"

#include <math.h>
#include <stdlib.h>

#include "core/message.h"
#include "data/preparation.h"

static int auto_place(const struct cnn_model *m)
{
    for (int i = 0; i < m->data.steps_count; i++)
        if (rt_step_measures(&m->data.steps[i]))
            return i;
    return -1;
}

bool rt_pixels_need_measure(const struct cnn_model *m)
{
    return auto_place(m) >= 0;
}

/* The maps of the steps before `auto`. */
struct before {
    struct pixel_map *maps;     /* (count, channels) */
    int count, channels;
};

static double arrives(const struct before *b, int channel, double x)
{
    for (int k = 0; k < b->count; k++)
        x = rt_pixel_mapped(b->maps[k * b->channels + channel], x);
    return x;
}

static void deviation_set(double squares, double all, double *std)
{
    *std = sqrt(squares / all);
    if (!(*std > 0.0))
        *std = 1.0;
}

/* ---- bytes ----------------------------------------------------------------------------------- */

/* From how often each byte occurs: exact counts, then one short sum, the same however the set was
 * walked. */
static void bytes_measure(const int64_t count[256], const struct before *b, int channel, double *mean,
                          double *std)
{
    double all = 0.0, sum = 0.0, squares = 0.0;
    for (int i = 0; i < 256; i++) {
        all += (double)count[i];
        sum += (double)count[i] * arrives(b, channel, i);
    }
    *mean = sum / all;
    for (int i = 0; i < 256; i++) {
        double apart = arrives(b, channel, i) - *mean;
        squares += (double)count[i] * apart * apart;
    }
    deviation_set(squares, all, std);
}

int64_t *rt_pixels_count(const struct cnn_model *m, const struct split *s, int64_t first, int64_t end)
{
    size_t channels = (size_t)m->in_channels, elements = rt_sample_elements(m);
    int64_t *counts = calloc(channels * 256, sizeof *counts);
    uint8_t *room = malloc(elements);
    int status = counts && room ? 0 : -1;
    if (status)
        rt_error("no memory to count the training set's pixels");
    for (int64_t i = first; status == 0 && i < end; i++) {
        const uint8_t *from = rt_split_sample(s, i, elements, room);
        if (!from)
            status = -1;
        for (size_t k = 0; from && k < elements; k += channels)
            for (size_t c = 0; c < channels; c++)
                counts[c * 256 + from[k + c]]++;
    }
    free(room);
    if (status == 0)
        return counts;
    free(counts);
    return NULL;
}

static int bytes_walk(const struct cnn_model *m, const struct split *train, const struct before *b, double *mean,
                      double *std)
{
    size_t channels = (size_t)m->in_channels;
    int64_t *own = train->counts ? NULL : rt_pixels_count(m, train, 0, train->count);
    const int64_t *counts = train->counts ? train->counts : own;
    int status = counts ? 0 : -1;
    for (size_t c = 0; status == 0 && c < channels; c++)
        bytes_measure(counts + c * 256, b, (int)c, &mean[c], &std[c]);
    free(own);
    return status;
}

/* ---- numbers --------------------------------------------------------------------------------- */

/* Adds what arrives, or the squares of its distances from `mean`, to sums[channels].  0, or -1 with a message. */
static int numbers_sum(const struct cnn_model *m, const struct split *train, const struct before *b,
                       const double *mean, double *sums, void *room)
{
    size_t channels = (size_t)m->in_channels, elements = rt_sample_elements(m);
    for (size_t c = 0; c < channels; c++)
        sums[c] = 0.0;
    for (int64_t i = 0; i < train->count; i++) {
        const float *from = rt_split_sample(train, i, elements, room);
        if (!from)
            return -1;
        for (size_t k = 0; k < elements; k++) {
            int c = (int)(k % channels);
            double x = arrives(b, c, (double)from[k]), apart = mean ? x - mean[c] : 0.0;
            sums[c] += mean ? apart * apart : x;
        }
    }
    return 0;
}

static int numbers_walk(const struct cnn_model *m, const struct split *train, const struct before *b, double *mean,
                        double *std, void *room)
{
    double all = (double)train->count * m->in_height * m->in_width;
    if (numbers_sum(m, train, b, NULL, mean, room))
        return -1;
    for (int c = 0; c < m->in_channels; c++)
        mean[c] /= all;
    if (numbers_sum(m, train, b, mean, std, room))
        return -1;
    for (int c = 0; c < m->in_channels; c++)
        deviation_set(std[c], all, &std[c]);
    return 0;
}

int rt_pixels_measure(const struct cnn_model *m, const struct split *train, double *mean, double *std)
{
    struct before b = { .channels = m->in_channels };
    void *room = malloc(rt_sample_elements(m) * rt_number_size(rt_sample_numbers(train->kind)));
    int status = -1;
    b.maps = rt_pixel_maps(m, auto_place(m), (struct pixel_measure){ 0 }, &b.count);
    if (!room)
        rt_error("no memory for a picture");
    else if (b.maps)
        status = train->kind == CNN_SAMPLE_BYTES ? bytes_walk(m, train, &b, mean, std)
                                                 : numbers_walk(m, train, &b, mean, std, room);
    free(room);
    free(b.maps);
    return status;
}
