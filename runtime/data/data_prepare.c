/* data_prepare.c - `split`, `limit` and `resize` for sources that read all their pictures as they
 * are. */
#include "data/data.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/guest.h"
#include "data/fitted_samples.h"
#include "data/image.h"
#include "core/message.h"
#include "common/recipe.h"
#include "data/subset.h"
#include "core/team.h"

static size_t sample_elements(const struct dataset *d)
{
    return (size_t)d->channels * (size_t)d->height * (size_t)d->width;
}

static int64_t marked(const struct split *s, const uint8_t *part, enum subset_part which)
{
    int64_t count = 0;
    for (int64_t i = 0; i < s->count; i++)
        count += part[i] == which;
    return count;
}

static int records_number(struct split *s)
{
    if (s->records || (s->records = malloc((size_t)s->count * sizeof *s->records + 1)))
        return 0;
    rt_error("no memory for the numbers of %lld pictures", (long long)s->count);
    return -1;
}

/* The marked samples as a set of their own. */
static int split_pick(struct dataset *d, const struct split *from, const uint8_t *part, enum subset_part which,
                      struct split *to)
{
    size_t elements = sample_elements(d);
    int64_t count = marked(from, part, which);
    if (from->samples ? rt_split_begin(d, to, count) : rt_split_allocate_stored(d, to, count))
        return -1;
    if (!from->samples)
        to->store = from->store;
    if (records_number(to))
        return -1;
    count = 0;
    for (int64_t i = 0; i < from->count; i++)
        if (part[i] == which) {
            to->records[count] = from->records ? from->records[i] : (uint32_t)i;
            if (!from->samples)
                to->numbers[count] = from->numbers[i];
            else if (rt_split_put(d, to, count, rt_split_sample(from, i, elements, NULL)))
                return -1;
            rt_split_copy_target(d, from, i, to, count++);
        }
    return 0;
}

/* The set with its marked samples alone, where it lies. */
static int split_keep(struct dataset *d, struct split *s, const uint8_t *part, enum subset_part which)
{
    size_t bytes = sample_elements(d) * rt_number_size(rt_sample_numbers(s->kind));
    bool numbered = s->records != NULL;
    int64_t kept = 0;
    if (records_number(s))
        return -1;
    for (int64_t i = 0; i < s->count; i++) {
        if (part[i] != which)
            continue;
        s->records[kept] = numbered ? s->records[i] : (uint32_t)i;
        if (kept < i) {
            if (s->samples)
                memcpy((char *)s->samples + (size_t)kept * bytes, (const char *)s->samples + (size_t)i * bytes, bytes);
            else
                s->numbers[kept] = s->numbers[i];
            rt_split_copy_target(d, s, i, s, kept);
        }
        kept++;
    }
    if (s->samples) {
        void *fewer = realloc(s->samples, (size_t)kept * bytes + 1);
        s->samples = fewer ? fewer : s->samples;
        d->kept -= (s->count - kept) * (int64_t)bytes;
    }
    s->count = kept;
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

static int divide(struct dataset *d, const struct subset_recipe *r)
{
    uint8_t *part = malloc((size_t)d->train.count + 1), *held = malloc((size_t)d->val.count + 1);
    uint16_t *classes = drawn_classes(&d->train), *held_classes = drawn_classes(&d->val);
    int classes_count = d->target.kind == CNN_TARGET_CLASS ? d->target.size : 1;
    struct split val = { 0 };
    int status = part && held && classes && held_classes ? 0 : -1;
    if (status)
        rt_error("no memory to divide %lld pictures", (long long)d->train.count);
    status = status
                     || rt_subset_divide(r, classes_count, classes, d->train.count, part,
                                         d->val.samples || d->val.numbers ? held_classes : NULL, d->val.count, held)
                     || (r->splits ? split_pick(d, &d->train, part, SUBSET_VAL, &val)
                                   : split_keep(d, &d->val, held, SUBSET_VAL))
                     || split_keep(d, &d->train, part, SUBSET_TRAIN)
                 ? -1
                 : 0;
    if (status == 0 && r->splits) {
        d->test = d->val;
        d->val = val;
    } else {
        rt_split_free(&val);
    }
    d->val_tests = !r->splits;
    free(classes);
    free(held_classes);
    free(part);
    free(held);
    return status;
}

struct fitting {
    const struct dataset *from, *to;
    const struct cnn_model *model;
    const struct split *split, *fresh;
    struct pixel_fit fit;
    atomic_bool missing, failed;
};

static void picture_fit(void *arg, int64_t i)
{
    struct fitting *f = arg;
    const struct dataset *d = f->from;
    const struct cnn_model *m = f->model;
    size_t from_bytes = sample_elements(d);
    if (f->missing || f->failed)
        return;
    uint8_t *room = malloc(from_bytes), *fitted = malloc(sample_elements(f->to));
    const uint8_t *from = room && fitted ? rt_split_sample(f->split, i, from_bytes, room) : NULL;
    /* it is only read */
    struct image image = { d->width, d->height, d->channels, (uint8_t *)from };
    struct image_fault own;
    if (!room || !fitted)
        f->failed = true;
    else if (!from)
        f->missing = true;
    else if (rt_image_fit(&image, f->fit, m->in_width, m->in_height, fitted, &own))
        f->failed = true;
    else if (rt_split_put(f->to, f->fresh, i, fitted))
        f->missing = true;
    free(room);
    free(fitted);
}

/* All pictures are of one size: what is wrong with one is wrong with the first. */
static void fit_explain(const struct fitting *f)
{
    const struct dataset *d = f->from;
    const struct cnn_model *m = f->model;
    struct image_fault fault = { .text = "cannot be resized: memory is short" };
    uint8_t *room = malloc(sample_elements(d)), *to = malloc(sample_elements(f->to));
    const uint8_t *from = room && to ? rt_split_sample(f->split, 0, sample_elements(d), room) : NULL;
    struct image first = { d->width, d->height, d->channels, (uint8_t *)from };
    if (from)
        rt_image_fit(&first, f->fit, m->in_width, m->in_height, to, &fault);
    rt_error("a picture of %s %s", m->data.source.name, fault.text);
    free(room);
    free(to);
}

/* All pictures of a set in the other dataset's size. */
static int split_resize(const struct dataset *d, struct dataset *to, const struct cnn_model *m, struct split *s)
{
    struct split fresh = { 0 };
    if (s->count == 0)
        return 0;
    struct fitting f = { .from = d, .to = to, .model = m, .split = s, .fresh = &fresh, .fit = rt_steps_fit(&m->data) };
    int status = rt_split_begin(to, &fresh, s->count);
    for (int64_t i = 0; status == 0 && i < s->count; i++)
        rt_split_copy_target(d, s, i, &fresh, i);
    if (status == 0) {
        rt_each(d->use.threads, s->count, picture_fit, &f);
        status = f.missing || f.failed ? -1 : 0;
        if (f.failed)
            fit_explain(&f);
    }
    if (status) {
        rt_split_free(&fresh);
        return -1;
    }
    if (s->samples)
        to->kept -= s->count * (int64_t)sample_elements(d);
    fresh.records = s->records;
    s->records = NULL;
    rt_split_free(s);
    *s = fresh;
    return 0;
}

/* What was spilled in the old size is not needed any more. */
static int sets_resize(struct dataset *d, const struct cnn_model *m)
{
    struct dataset wanted = *d;
    wanted.height = m->in_height;
    wanted.width = m->in_width;
    wanted.spilled = NULL;
    int status = split_resize(d, &wanted, m, &d->train) || split_resize(d, &wanted, m, &d->val)
                         || split_resize(d, &wanted, m, &d->test) ? -1 : 0;
    if (d->spilled)
        d->spilled->close(d->spilled);
    d->spilled = wanted.spilled;
    d->kept = wanted.kept;
    d->height = m->in_height;
    d->width = m->in_width;
    return status;
}

int rt_dataset_prepare(struct dataset *d, const struct cnn_model *m)
{
    struct subset_recipe r = rt_subset_recipe(m);
    d->val_tests = true;
    if ((r.splits || r.train || r.val) && divide(d, &r))
        return -1;
    if (!rt_steps_fit(&m->data).fits || d->resized)
        return 0;
    return d->use.by_share ? rt_fitted_open(d, m) : sets_resize(d, m);
}
