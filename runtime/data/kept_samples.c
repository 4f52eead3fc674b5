/* kept_samples.c - a pointer for each sample, NULL until somebody has read it. */
#include "data/kept_samples.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/message.h"

struct kept_samples {
    struct sample_store store;  /* first: the dataset's pointer is this one's */
    struct sample_store *from;
    int64_t count;
    size_t bytes;
    atomic_int_least64_t left;  /* samples that there is room for */
    void *_Atomic *samples;     /* (count) */
};

/* Of two threads that have read the same one the first one's stays. */
static void sample_keep(const struct kept_samples *k, int64_t number, const void *sample)
{
    struct kept_samples *mine = (struct kept_samples *)k;
    void *none = NULL, *copy;
    if (atomic_fetch_sub(&mine->left, 1) <= 0 || !(copy = malloc(k->bytes))) {
        atomic_fetch_add(&mine->left, 1);
        return;                 /* it is read again when it is needed again */
    }
    memcpy(copy, sample, k->bytes);
    if (!atomic_compare_exchange_strong(&k->samples[number], &none, copy)) {
        free(copy);
        atomic_fetch_add(&mine->left, 1);
    }
}

static int kept_read(const struct sample_store *store, int64_t number, void *to)
{
    const struct kept_samples *k = (const struct kept_samples *)store;
    const void *there = atomic_load(&k->samples[number]);
    if (there) {
        memcpy(to, there, k->bytes);
        return 0;
    }
    if (k->from->read(k->from, number, to))
        return -1;
    sample_keep(k, number, to);
    return 0;
}

/* Runs of those that are not here yet. */
static void kept_ahead(const struct sample_store *store, const uint32_t *numbers, int64_t count)
{
    const struct kept_samples *k = (const struct kept_samples *)store;
    for (int64_t i = 0, first = 0; k->from->ahead && i <= count; i++) {
        if (i < count && !atomic_load(&k->samples[numbers[i]]))
            continue;
        if (i > first)
            k->from->ahead(k->from, numbers + first, i - first);
        first = i + 1;
    }
}

static void kept_close(struct sample_store *store)
{
    struct kept_samples *k = (struct kept_samples *)store;
    for (int64_t i = 0; k->samples && i < k->count; i++)
        free(atomic_load(&k->samples[i]));
    free((void *)k->samples);
    k->from->close(k->from);
    free(k);
}

struct sample_store *rt_kept_open(struct sample_store *from, int64_t count, size_t bytes, int64_t room)
{
    struct kept_samples *k = calloc(1, sizeof *k);
    if (!k) {
        from->close(from);
    } else {
        k->store = (struct sample_store){ .read = kept_read, .close = kept_close, .ahead = kept_ahead,
                                          .apart = from->apart };
        k->from = from;
        k->count = count;
        k->bytes = bytes;
        k->left = room > 0 ? room / (int64_t)bytes : count;
        k->samples = calloc((size_t)count + 1, sizeof *k->samples);
        if (k->samples)
            return &k->store;
        kept_close(&k->store);
    }
    rt_error("no memory for the places of %lld samples", (long long)count);
    return NULL;
}
