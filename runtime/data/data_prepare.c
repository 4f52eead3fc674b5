/* data_prepare.c - `split`, `limit` and `resize` for sources that read all their pictures as they
 * are. */
#include "data/data.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/guest.h"
#include "data/image.h"
#include "core/message.h"
#include "core/recipe.h"
#include "data/subset.h"
#include "core/team.h"

static size_t picture_bytes(const struct dataset *d)
{
    return (size_t)d->channels * (size_t)d->height * (size_t)d->width;
}

/* The marked samples as a set of their own. */
static int split_pick(const struct dataset *d, const struct split *from, const uint8_t *part,
                      enum subset_part which, struct split *to)
{
    size_t bytes = picture_bytes(d);
    int64_t count = 0;
    for (int64_t i = 0; i < from->count; i++)
        count += part[i] == which;
    if (from->pixels ? rt_split_allocate(d, to, count) : rt_split_allocate_stored(d, to, count))
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
            if (from->pixels)
                memcpy(to->pixels + (size_t)count * bytes, from->pixels + (size_t)i * bytes, bytes);
            else
                to->numbers[count] = from->numbers[i];
            to->labels[count++] = from->labels[i];
        }
    return 0;
}

static void split_replace(struct split *old, struct split fresh)
{
    rt_split_free(old);
    *old = fresh;
}

static int divide(struct dataset *d, const struct subset_recipe *r)
{
    uint8_t *part = malloc((size_t)d->train.count + 1), *held = malloc((size_t)d->val.count + 1);
    struct split train = { 0 }, val = { 0 };
    int status = part && held ? 0 : -1;
    if (status)
        rt_error("no memory to divide %lld pictures", (long long)d->train.count);
    status = status
                     || rt_subset_divide(r, d->classes, d->train.labels, d->train.count, part,
                                         d->val.labels, d->val.count, held)
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
    free(part);
    free(held);
    return status;
}

struct fitting {
    const struct dataset *set;
    const struct cnn_model *model;
    const struct split *split;
    int shorter;
    uint8_t *to;
    atomic_bool missing, failed;
};

static void picture_fit(void *arg, int64_t i)
{
    struct fitting *f = arg;
    const struct dataset *d = f->set;
    const struct cnn_model *m = f->model;
    size_t from_bytes = picture_bytes(d), to_bytes = (size_t)d->channels * (size_t)m->in_height * (size_t)m->in_width;
    if (f->missing || f->failed)
        return;
    uint8_t *room = malloc(from_bytes);
    const uint8_t *from = room ? rt_split_picture(f->split, i, from_bytes, room) : NULL;
    /* it is only read */
    struct image image = { d->width, d->height, d->channels, (uint8_t *)from };
    struct image_fault own;
    if (!room)
        f->failed = true;
    else if (!from)
        f->missing = true;
    else if (rt_image_fit(&image, f->shorter, m->in_width, m->in_height, f->to + (size_t)i * to_bytes, &own))
        f->failed = true;
    free(room);
}

/* All pictures of a set in another size, from its store or from memory into `to`.  0, -1 where one
 * cannot be had (its message is out), 1 where one cannot be resized. */
static int pictures_fit(const struct dataset *d, const struct cnn_model *m, int shorter,
                        const struct split *s, uint8_t *to)
{
    struct fitting f = { .set = d, .model = m, .split = s, .shorter = shorter, .to = to };
    rt_each(d->threads, s->count, picture_fit, &f);
    return f.failed ? 1 : f.missing ? -1 : 0;
}

/* All pictures are of one size: what is wrong with one is wrong with the first. */
static void fit_explain(const struct dataset *d, const struct cnn_model *m, int shorter,
                        const struct split *s, uint8_t *to)
{
    struct image_fault fault = { .text = "cannot be resized: memory is short" };
    uint8_t *room = malloc(picture_bytes(d));
    const uint8_t *from = room ? rt_split_picture(s, 0, picture_bytes(d), room) : NULL;
    struct image first = { d->width, d->height, d->channels, (uint8_t *)from };
    if (from)
        rt_image_fit(&first, shorter, m->in_width, m->in_height, to, &fault);
    rt_error("a picture of %s %s", m->data.source.name, fault.text);
    free(room);
}

static int split_resize(const struct dataset *d, const struct cnn_model *m, int shorter,
                        struct split *s)
{
    const struct dataset wanted = { .channels = d->channels,
                                    .height = m->in_height,
                                    .width = m->in_width };
    struct split fresh = { 0 };
    if (s->count == 0)
        return 0;
    if (rt_split_allocate(&wanted, &fresh, s->count)) {
        rt_split_free(&fresh);
        return -1;
    }
    memcpy(fresh.labels, s->labels, (size_t)s->count * sizeof *s->labels);
    int status = pictures_fit(d, m, shorter, s, fresh.pixels);
    if (status > 0)
        fit_explain(d, m, shorter, s, fresh.pixels);
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
    const struct cnn_clause *resize = rt_recipe_step(m, "resize");
    d->val_tests = true;
    if ((r.splits || r.train || r.val) && divide(d, &r))
        return -1;
    if (!resize || d->resized)
        return 0;
    int shorter = (int)rt_setting_number(resize, "side", 0);
    if (split_resize(d, m, shorter, &d->train) || split_resize(d, m, shorter, &d->val)
        || split_resize(d, m, shorter, &d->test))
        return -1;
    d->height = m->in_height;
    d->width = m->in_width;
    return 0;
}
