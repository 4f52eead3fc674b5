/* rows_sources.c - two sources for rows.sh: samples of floats, with vectors to be predicted or nothing but themselves.
 * Linked into trainers whose data.c was compiled with CNN_TEST_ROWS. */
#include <stdlib.h>

#include "common/recipe.h"
#include "core/random.h"
#include "data/data.h"

enum { CHANNELS = 2, SIDE = 6, ELEMENTS = CHANNELS * SIDE * SIDE, OUTPUTS = 3 };

/* Numbers around 3 and -1; the targets are sums of some of them. */
static void sample_draw(struct split *s, int64_t i, uint64_t key)
{
    float *sample = s->values + i * ELEMENTS;
    uint64_t own = rt_random_subkey(key, (uint64_t)i);
    for (int k = 0; k < ELEMENTS; k++)
        sample[k] = (float)((k % CHANNELS ? 3.0 : -1.0) + rt_random_normal(own, (uint64_t)k));
    for (int o = 0; s->vectors && o < OUTPUTS; o++) {
        float sum = 0.0f;
        for (int k = o; k < ELEMENTS; k += 7)
            sum += sample[k];
        s->vectors[i * OUTPUTS + o] = sum / 8.0f;
    }
}

static int set_draw(const struct dataset *d, struct split *s, int64_t count, uint64_t seed)
{
    if (rt_split_allocate(d, s, count))
        return -1;
    for (int64_t i = 0; i < count; i++)
        sample_draw(s, i, rt_random_key(seed, RANDOM_SHAPES, 99));
    return 0;
}

static int read_as(struct dataset *d, const struct cnn_model *m, struct cnn_target target)
{
    d->kind = CNN_SAMPLE_FLOATS;
    d->channels = CHANNELS;
    d->height = d->width = SIDE;
    d->target = target;
    return set_draw(d, &d->train, (int64_t)rt_setting_number(&m->data.source, "train"), 1)
           || set_draw(d, &d->val, 64, 2) ? -1 : 0;
}

static int waves_read(struct dataset *d, const char *dir, const struct cnn_model *m)
{
    (void)dir;
    return read_as(d, m, (struct cnn_target){ CNN_TARGET_VECTOR, OUTPUTS });
}

static int echoes_read(struct dataset *d, const char *dir, const struct cnn_model *m)
{
    (void)dir;
    return read_as(d, m, (struct cnn_target){ CNN_TARGET_INPUT, ELEMENTS });
}

const struct data_source rt_data_waves = { .name = "waves", .read = waves_read };
const struct data_source rt_data_echoes = { .name = "echoes", .read = echoes_read };
