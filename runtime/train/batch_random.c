/* batch_random.c - noise in the network's own numbers. */
#include "train/batch_random.h"

#include <stdlib.h>

#include "core/message.h"
#include "core/targets.h"

/* A class; where they are mixed it has a share of more than a half, and the one behind it the rest. */
static void class_draw(struct cnn_context *c, int i, uint64_t key)
{
    const int size = c->model->train.target.size;
    c->labels[i] = (int32_t)rt_random_below(key, (uint64_t)i, (uint64_t)size);
    if (!c->model->train.mixes)
        return;
    double share = 0.5 + 0.5 * rt_random_uniform(rt_random_subkey(key, 1), (uint64_t)i);
    for (int k = 0; k < size; k++)
        rt_target_set(c, i, k, k == c->labels[i] ? share : k == (c->labels[i] + 1) % size ? 1.0 - share : 0.0);
}

static void target_draw(struct cnn_context *c, int i, uint64_t key)
{
    const struct cnn_target target = c->model->train.target;
    uint64_t first = (uint64_t)i * (uint64_t)target.size;
    if (target.kind == CNN_TARGET_CLASS)
        class_draw(c, i, key);
    else if (rt_target_has_numbers(c->model))
        for (int k = 0; k < target.size; k++) {
            double drawn = 2.0 * rt_random_uniform(key, first + (uint64_t)k) - 1.0;
            rt_target_set(c, i, k, target.kind == CNN_TARGET_LABELS ? drawn < 0.0 : drawn);
        }
}

int rt_batch_random(struct cnn_context *c, int n, uint64_t seed, enum random_use use)
{
    const struct cnn_model *m = c->model;
    size_t size = (size_t)m->in_channels * (size_t)m->in_height * (size_t)m->in_width;
    uint64_t pixels = rt_random_key(seed, use, 0), labels = rt_random_key(seed, use, 1);
    double *exact = malloc(size * sizeof *exact);
    float *narrow = malloc(size * sizeof *narrow);
    bool fits = exact && narrow;
    if (!fits)
        rt_error("no memory for a picture");
    for (int i = 0; i < n && fits; i++) {
        for (size_t k = 0; k < size; k++) {
            exact[k] = 2.0 * rt_random_uniform(pixels, (uint64_t)i * size + k) - 1.0;
            narrow[k] = (float)exact[k];
        }
        cnn_input_set(c, i, m->real_size == 8 ? (const void *)exact : (const void *)narrow);
        target_draw(c, i, labels);
    }
    free(exact);
    free(narrow);
    return fits ? 0 : -1;
}
