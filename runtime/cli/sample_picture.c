/* sample_picture.c - see sample_picture.h. */
#include "cli/sample_picture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/message.h"
#include "files/notes.h"
#include "data/preparation.h"

int rt_sample_picture_open(struct sample_picture *s, const struct cnn_context *c)
{
    const struct cnn_model *m = c->model;
    int channels = m->in_channels, count = 0;
    struct pixel_map *maps = rt_pixel_maps(m, m->data.steps_count, rt_notes(c)->measure, &count);
    s->model = m;
    s->scale = calloc((size_t)channels, sizeof *s->scale);
    s->shift = calloc((size_t)channels, sizeof *s->shift);
    if (maps && (!s->scale || !s->shift))
        rt_error("no memory for pictures of samples");
    for (int ch = 0; maps && s->scale && s->shift && ch < channels; ch++) {
        s->scale[ch] = 1.0;
        for (int k = count - 1; k >= 0; k--) {
            const struct pixel_map map = maps[k * channels + ch];
            double factor = fabs(map.factor) > 0.0 ? map.factor : 1.0;
            s->scale[ch] = s->scale[ch] * map.std / factor;
            s->shift[ch] = (s->shift[ch] * map.std + map.mean) / factor;
        }
    }
    bool done = maps && s->scale && s->shift;
    free(maps);
    return done ? 0 : -1;
}

void rt_sample_picture_close(struct sample_picture *s)
{
    free(s->scale);
    free(s->shift);
}

static double number_of(const struct sample_picture *s, const double *row, int ch, int y, int x)
{
    const struct cnn_model *m = s->model;
    return row[(ch * m->in_height + y) * m->in_width + x] * s->scale[ch] + s->shift[ch];
}

struct sample_range rt_sample_range(const struct sample_picture *s, const double *row)
{
    const struct cnn_model *m = s->model;
    struct sample_range range = { 0.0, 255.0 };
    if (m->data.sample == CNN_SAMPLE_BYTES)
        return range;
    range = (struct sample_range){ INFINITY, -INFINITY };
    for (int ch = 0; ch < m->in_channels; ch++)
        for (int y = 0; y < m->in_height; y++)
            for (int x = 0; x < m->in_width; x++) {
                range.low = fmin(range.low, number_of(s, row, ch, y, x));
                range.high = fmax(range.high, number_of(s, row, ch, y, x));
            }
    if (!(range.high > range.low))
        range.high = range.low + 1.0;
    return range;
}

static uint8_t byte_of(double number, struct sample_range range)
{
    double x = 255.0 * (number - range.low) / (range.high - range.low);
    return (uint8_t)(x > 0.0 ? x < 255.0 ? lrint(x) : 255 : 0);
}

void rt_sample_pixel(const struct sample_picture *s, const double *row, int y, int x, struct sample_range range,
                     uint8_t to[3])
{
    int channels = s->model->in_channels;
    double sum = 0.0;
    for (int ch = 0; ch < channels; ch++) {
        double number = number_of(s, row, ch, y, x);
        sum += number;
        if (channels == 3)
            to[ch] = byte_of(number, range);
    }
    if (channels != 3)
        memset(to, byte_of(sum / channels, range), 3);
}

int rt_picture_may_replace(const char *path)
{
    static const char signature[8] = "\x89PNG\r\n\x1a\n";
    char found[8];
    FILE *file = fopen(path, "rb");
    if (!file)
        return 0;
    bool png = fread(found, 1, sizeof found, file) == sizeof found && memcmp(found, signature, sizeof found) == 0;
    fclose(file);
    if (!png)
        rt_error("%s: is no PNG, and is not replaced", path);
    return png ? 0 : -1;
}
