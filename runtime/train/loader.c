/* loader.c - from samples to batches.
 *
 * A batch is gathered between two steps, by the thread that runs them.  32 pictures of CIFAR-10 take
 * some 0.08 ms, reads of the files included: about a thousandth of the step of a network that fills
 * two processors, where a thread of its own would take more than that from those that compute.
 */
#include "train/loader.h"

#include <stdlib.h>

#include "core/message.h"
#include "core/random.h"
#include "core/targets.h"
#include "files/notes.h"

int rt_loader_open(struct loader *l, const struct cnn_context *c, const struct split *split, enum loader_use use)
{
    const struct cnn_model *m = c->model;
    enum cnn_sample_kind kind = split ? split->kind : m->data.sample;
    *l = (struct loader){ .model = m, .split = split };
    if (rt_preparation_open(&l->preparation, m, kind, rt_notes(c)->measure, use != LOADER_MEASURES))
        return -1;
    if (split && !split->samples) {
        l->room = malloc(rt_sample_elements(m) * rt_number_size(rt_sample_numbers(kind)));
        if (!l->room) {
            rt_error("no memory for a picture");
            rt_loader_close(l);
            return -1;
        }
    }
    if (use == LOADER_SHUFFLES) {
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
    free(l->room);
    rt_preparation_close(&l->preparation);
    *l = (struct loader){ 0 };
}

void rt_loader_begin(struct loader *l, uint64_t seed, uint64_t epoch)
{
    l->next = 0;
    l->epoch = epoch;
    l->key = rt_random_key(seed, RANDOM_AUGMENT, epoch);
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

void rt_loader_set(const struct loader *l, struct cnn_context *c, int i, const void *sample)
{
    rt_preparation_fill(&l->preparation, sample, NULL, c, i);
}

/* The target of sample `which` of the split, for sample i of the batch. */
static void target_set(const struct loader *l, const struct cnn_context *c, int i, int64_t which)
{
    const struct cnn_target target = l->model->train.target;
    if (target.kind == CNN_TARGET_CLASS)
        c->labels[i] = l->split->labels[which];
    else if (rt_target_has_numbers(l->model))
        for (int k = 0; k < target.size; k++)
            rt_target_set(c, i, k, (double)l->split->vectors[(size_t)which * (size_t)target.size + (size_t)k]);
}

int rt_loader_next(struct loader *l, struct cnn_context *c)
{
    const struct cnn_model *m = l->model;
    int64_t left = l->split->count - l->next;
    int n = left < m->batch ? (int)left : m->batch;
    for (int i = 0; i < n; i++) {
        int64_t which = l->order ? (int64_t)l->order[l->next + i] : l->next + i;
        const void *sample = rt_split_sample(l->split, which, rt_sample_elements(m), l->room);
        if (!sample)
            return -1;
        const struct step_draw draw = { rt_random_subkey(l->key, (uint64_t)which), l->epoch, which };
        rt_preparation_fill(&l->preparation, sample, &draw, c, i);
        target_set(l, c, i, which);
    }
    l->next += n;
    return n;
}
