/* data_prepare.c - `split`, `limit` and `resize` for sources that read all their pictures as they
 * are. */
#include "data/data.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/guest.h"
#include "data/image.h"
#include "core/message.h"
#include "common/recipe.h"
#include "data/subset.h"
#include "core/team.h"

static size_t sample_elements(const struct dataset *d)
{
    return (size_t)d->channels * (size_t)d->height * (size_t)d->width;
}

/* The marked samples as a set of their own. */
static int split_pick(const struct dataset *d, const struct split *from, const uint8_t *part,
                      enum subset_part which, struct split *to)
{
    size_t bytes = sample_elements(d) * rt_number_size(rt_sample_numbers(from->kind));
    int64_t count = 0;
    for (int64_t i = 0; i < from->count; i++)
        count += part[i] == which;
    if (from->samples ? rt_split_allocate(d, to, count) : rt_split_allocate_stored(d, to, count))
        return -1;
    to->records = malloc((size_t)count * sizeof *to->records + 1);
    if (!to->records) {
        rt_error("no memory for the numbers of %lld pictures", (long long)count);
        return -1;
    }
    count = 0;
    for (int64_t i = 0; i < from->count; i++)
        if (part[i] == which) {
            to->records[count] = from->records ? from->records[i] : (uint32_t)i;
            if (from->samples)
                memcpy((char *)to->samples + (size_t)count * bytes, (const char *)from->samples + (size_t)i * bytes,
                       bytes);
            else
                to->numbers[count] = from->numbers[i];
            rt_split_copy_target(d, from, i, to, count++);
        }
    return 0;
}

/* The classes that are drawn from, one for all where targets are none, malloc'd; NULL: no memory. */
static uint16_t *drawn_classes(const struct split *s)
{
    size_t bytes = (size_t)s->count * sizeof *s->labels;
    uint16_t *classes = calloc(1, bytes + 1);
    if (classes && s->labels)
        memcpy(classes, s->labels, bytes);
    return classes;
}

static void split_replace(struct split *old, struct split fresh)
{
    rt_split_free(old);
    *old = fresh;
}

static int divide(struct dataset *d, const struct subset_recipe *r)
{
    uint8_t *part = malloc((size_t)d->train.count + 1), *held = malloc((size_t)d->val.count + 1);
    uint16_t *classes = drawn_classes(&d->train), *held_classes = drawn_classes(&d->val);
    int classes_count = d->target.kind == CNN_TARGET_CLASS ? d->target.size : 1;
    struct split train = { 0 }, val = { 0 };
    int status = part && held && classes && held_classes ? 0 : -1;
    if (status)
        rt_error("no memory to divide %lld pictures", (long long)d->train.count);
    status = status
                     || rt_subset_divide(r, classes_count, classes, d->train.count, part,
                                         d->val.samples || d->val.numbers ? held_classes : NULL, d->val.count, held)
                     || split_pick(d, &d->train, part, SUBSET_TRAIN, &train)
                     || (r->splits ? split_pick(d, &d->train, part, SUBSET_VAL, &val)
                                   : split_pick(d, &d->val, held, SUBSET_VAL, &val))
                 ? -1
                 : 0;
    if (status == 0) {
        if (r->splits) {
            d->test = d->val;
            d->val = (struct split){ 0 };
        }
        split_replace(&d->train, train);
        split_replace(&d->val, val);
        d->val_tests = !r->splits;
    } else {
        split_replace(&train, (struct split){ 0 });
        split_replace(&val, (struct split){ 0 });
    }
    free(classes);
    free(held_classes);
    free(part);
    free(held);
    return status;
}

struct fitting {
    const struct dataset *set;
    const struct cnn_model *model;
    const struct split *split;
    struct pixel_fit fit;
    uint8_t *to;
    atomic_bool missing, failed;
};

static void picture_fit(void *arg, int64_t i)
{
    struct fitting *f = arg;
    const struct dataset *d = f->set;
    const struct cnn_model *m = f->model;
    size_t from_bytes = sample_elements(d), to_bytes = (size_t)d->channels * (size_t)m->in_height * (size_t)m->in_width;
    if (f->missing || f->failed)
        return;
    uint8_t *room = malloc(from_bytes);
    const uint8_t *from = room ? rt_split_sample(f->split, i, from_bytes, room) : NULL;
    /* it is only read */
    struct image image = { d->width, d->height, d->channels, (uint8_t *)from };
    struct image_fault own;
    if (!room)
        f->failed = true;
    else if (!from)
        f->missing = true;
    else if (rt_image_fit(&image, f->fit, m->in_width, m->in_height, f->to + (size_t)i * to_bytes, &own))
        f->failed = true;
    free(room);
}

/* All pictures of a set in another size, from its store or from memory into `to`.  0, -1 where one
 * cannot be had (its message is out), 1 where one cannot be resized. */
static int pictures_fit(const struct dataset *d, const struct cnn_model *m, struct pixel_fit fit,
                        const struct split *s, uint8_t *to)
{
    struct fitting f = { .set = d, .model = m, .split = s, .fit = fit, .to = to };
    rt_each(d->threads, s->count, picture_fit, &f);
    return f.failed ? 1 : f.missing ? -1 : 0;
}

/* All pictures are of one size: what is wrong with one is wrong with the first. */
static void fit_explain(const struct dataset *d, const struct cnn_model *m, struct pixel_fit fit,
                        const struct split *s, uint8_t *to)
{
    struct image_fault fault = { .text = "cannot be resized: memory is short" };
    uint8_t *room = malloc(sample_elements(d));
    const uint8_t *from = room ? rt_split_sample(s, 0, sample_elements(d), room) : NULL;
    struct image first = { d->width, d->height, d->channels, (uint8_t *)from };
    if (from)
        rt_image_fit(&first, fit, m->in_width, m->in_height, to, &fault);
    rt_error("a picture of %s %s", m->data.source.name, fault.text);
    free(room);
}

static int split_resize(const struct dataset *d, const struct cnn_model *m, struct pixel_fit fit,
                        struct split *s)
{
    struct dataset wanted = *d;
    wanted.height = m->in_height;
    wanted.width = m->in_width;
    struct split fresh = { 0 };
    if (s->count == 0)
        return 0;
    if (rt_split_allocate(&wanted, &fresh, s->count)) {
        rt_split_free(&fresh);
        return -1;
    }
    for (int64_t i = 0; i < s->count; i++)
        rt_split_copy_target(d, s, i, &fresh, i);
    int status = pictures_fit(d, m, fit, s, fresh.pixels);
    if (status > 0)
        fit_explain(d, m, fit, s, fresh.pixels);
    if (status) {
        rt_split_free(&fresh);
        return -1;
    }
    fresh.records = s->records;
    s->records = NULL;
    split_replace(s, fresh);
    return 0;
}

int rt_dataset_prepare(struct dataset *d, const struct cnn_model *m)
{
    struct subset_recipe r = rt_subset_recipe(m);
    const struct pixel_fit fit = rt_steps_fit(&m->data);
    d->val_tests = true;
    if ((r.splits || r.train || r.val) && divide(d, &r))
        return -1;
    if (!fit.fits || d->resized)
        return 0;
    if (split_resize(d, m, fit, &d->train) || split_resize(d, m, fit, &d->val)
        || split_resize(d, m, fit, &d->test))
        return -1;
    d->height = m->in_height;
    d->width = m->in_width;
    return 0;
}
