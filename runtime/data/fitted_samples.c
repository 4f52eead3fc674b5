/* fitted_samples.c - a store over the sets as they were read. */
#include "data/fitted_samples.h"

#include <stdlib.h>

#include "common/recipe.h"
#include "core/message.h"
#include "data/image.h"

enum { SETS = 3 };

struct fitted_samples {
    struct sample_store store;  /* first: the dataset's pointer is this one's */
    const struct cnn_model *model;
    struct pixel_fit fit;
    int channels, height, width;        /* as they were read */
    struct split sets[SETS];
    int64_t first[SETS];        /* number of each set's first picture */
    struct sample_store *from, *spilled;        /* where their samples lie, or NULL */
};

static const struct split *set_of(const struct fitted_samples *f, int64_t *number)
{
    int k = SETS - 1;
    while (k > 0 && *number < f->first[k])
        k--;
    *number -= f->first[k];
    return &f->sets[k];
}

static int fitted_read(const struct sample_store *store, int64_t number, void *to)
{
    const struct fitted_samples *f = (const struct fitted_samples *)store;
    const struct cnn_model *m = f->model;
    const size_t bytes = (size_t)f->channels * (size_t)f->height * (size_t)f->width;
    const struct split *set = set_of(f, &number);
    struct image_fault fault = { .text = "cannot be resized: memory is short" };
    uint8_t *room = malloc(bytes);
    const void *from = room ? rt_split_sample(set, number, bytes, room) : NULL;
    /* it is only read */
    struct image image = { f->width, f->height, f->channels, (uint8_t *)from };
    int status = from && rt_image_fit(&image, f->fit, m->in_width, m->in_height, to, &fault) == 0 ? 0 : -1;
    if (status && (from || !room))
        rt_error("a picture of %s %s", m->data.source.name, fault.text);
    free(room);
    return status;
}

static void fitted_ahead(const struct sample_store *store, const uint32_t *numbers, int64_t count)
{
    enum { AT_ONCE = 64 };
    const struct fitted_samples *f = (const struct fitted_samples *)store;
    for (int64_t i = 0; i < count;) {
        int64_t number = numbers[i];
        const struct split *set = set_of(f, &number), *next = set;
        uint32_t theirs[AT_ONCE];
        int64_t n = 0;
        while (next == set && n < AT_ONCE) {
            theirs[n++] = set->samples ? 0 : set->numbers[number];
            if (++i == count)
                break;
            number = numbers[i];
            next = set_of(f, &number);
        }
        if (!set->samples && set->store->ahead)
            set->store->ahead(set->store, theirs, n);
    }
}

static void fitted_close(struct sample_store *store)
{
    struct fitted_samples *f = (struct fitted_samples *)store;
    for (int k = 0; k < SETS; k++)
        rt_split_free(&f->sets[k]);
    if (f->from)
        f->from->close(f->from);
    if (f->spilled)
        f->spilled->close(f->spilled);
    free(f);
}

/* The set with pictures from the dataset's store, numbers from `first` on, and the targets it had. */
static int set_replace(const struct dataset *d, struct split *s, const struct split *was, int64_t first)
{
    if (was->count == 0)
        return 0;
    if (rt_split_allocate_stored(d, s, was->count))
        return -1;
    for (int64_t i = 0; i < s->count; i++) {
        s->numbers[i] = (uint32_t)(first + i);
        rt_split_copy_target(d, was, i, s, i);
    }
    return 0;
}

int rt_fitted_open(struct dataset *d, const struct cnn_model *m)
{
    struct fitted_samples *f = calloc(1, sizeof *f);
    struct split *const sets[SETS] = { &d->train, &d->val, &d->test };
    int64_t count = 0;
    int status = 0;
    if (!f) {
        rt_error("no memory to resize pictures");
        return -1;
    }
    *f = (struct fitted_samples){ .store = { .read = fitted_read, .close = fitted_close, .ahead = fitted_ahead,
                                             .dear = true },
                                  .model = m, .fit = rt_steps_fit(&m->data), .channels = d->channels,
                                  .height = d->height,
                                  .width = d->width, .from = d->store, .spilled = d->spilled };
    d->store = &f->store;
    d->spilled = NULL;
    for (int k = 0; k < SETS; k++) {
        f->sets[k] = *sets[k];
        *sets[k] = (struct split){ 0 };
        f->first[k] = count;
        status |= set_replace(d, sets[k], &f->sets[k], count);
        sets[k]->records = f->sets[k].records;
        f->sets[k].records = NULL;
        count += f->sets[k].count;
    }
    d->height = m->in_height;
    d->width = m->in_width;
    /* all pictures are of one size: what is wrong with one is wrong with the first */
    uint8_t *first = malloc((size_t)m->in_channels * (size_t)m->in_height * (size_t)m->in_width);
    if (status == 0 && !first)
        rt_error("no memory for a picture");
    status |= !first || (count > 0 && fitted_read(&f->store, 0, first)) ? -1 : 0;
    free(first);
    return status;
}
