/* data_images.c - a folder of PNG and JPEG files for each class; image_folders.c finds them.
 *
 * test/ is the held-out set, or val/ where there is no test/; with both, val/ validates.  All
 * pictures are read before training begins and kept as bytes of the network's size, so each that
 * cannot be read is known by then: the run is refused, or goes on without them (skip_damaged).  Which
 * pictures a split or a limit draws does not depend on that.  A set that is more than may be kept is
 * looked at in the same way, and each picture is read again when a batch needs it; so is one that
 * several processes share, of which each looks at its part and tells the others what it has found.
 */
#define _GNU_SOURCE
#include "data/data.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "core/guest.h"
#include "data/image.h"
#include "data/image_folders.h"
#include "core/file_path.h"
#include "core/message.h"
#include "common/recipe.h"
#include "data/subset.h"
#include "core/team.h"

enum { FAULTS_SHOWN = 20, CLASSES_SHOWN = 10 };

/* Which pictures of which sets become one split of the dataset. */
struct chosen {
    const struct picture_set *set;
    enum subset_part part;
};

struct reading {
    const struct cnn_model *model;
    struct pixel_fit fit;
    int64_t count;
    char **paths;               /* the split's */
    struct image_fault **faults;        /* NULL: the picture is there */
    uint8_t *pixels;            /* NULL: they are not kept */
    const struct cnn_ranks *ranks;      /* NULL: this process looks at all */
};

/* A picture that a process has found damaged. */
struct found_fault {
    int64_t picture;
    struct image_fault fault;
};

/* Pictures that are read when they are needed. */
struct picture_files {
    struct sample_store store;  /* first: the dataset's pointer is this one's */
    const struct cnn_model *model;
    struct pixel_fit fit;
    char **paths;               /* (count) those of the splits */
    int64_t count;
};

/* What is told of a fault that there was no memory to keep. */
static struct image_fault fault_unknown = { .text = "cannot be read: memory is short", .sound = true };

static size_t picture_bytes(const struct cnn_model *m)
{
    return (size_t)m->in_channels * (size_t)m->in_height * (size_t)m->in_width;
}

/* A file's picture in the network's size.  0, or -1 with the fault. */
static int picture_load(const char *path, const struct cnn_model *m, struct pixel_fit fit, uint8_t *to,
                        struct image_fault *fault)
{
    struct image image;
    int status = rt_image_read(&image, path, m->in_channels, fault)
                 || rt_image_fit(&image, fit, m->in_width, m->in_height, to, fault) ? -1 : 0;
    rt_image_free(&image);
    return status;
}

static void fault_keep(struct reading *r, int64_t i, struct image_fault fault)
{
    r->faults[i] = malloc(sizeof fault);
    if (r->faults[i])
        *r->faults[i] = fault;
    else
        r->faults[i] = &fault_unknown;
}

static void picture_read(void *arg, int64_t i)
{
    struct reading *r = arg;
    if (r->ranks && i % r->ranks->count != r->ranks->number)
        return;                 /* another process does */
    struct image_fault fault = { .text = "cannot be read: memory is short", .sound = true };
    uint8_t *own = r->pixels ? NULL : malloc(picture_bytes(r->model));
    uint8_t *to = r->pixels ? r->pixels + (size_t)i * picture_bytes(r->model) : own;
    if (!to || picture_load(r->paths[i], r->model, r->fit, to, &fault))
        fault_keep(r, i, fault);
    free(own);
}

/* ---- pictures that several processes look at ------------------------------------------------------ */

static const char looks[] = "look at its pictures";

/* All have the same files, by their names behind the set's folder and by their sizes: what one finds is so for all
 * then. */
static int lists_agree(const struct data_together *with, const struct image_folders *f)
{
    uLong sum = 0;
    for (int k = 0; k < IMAGE_ROLES; k++) {
        const struct picture_set *set = &f->sets[k];
        const size_t behind = set->dir ? strlen(set->dir) : 0;
        for (int64_t i = 0; i < set->list.pictures.count; i++) {
            const char *path = set->list.pictures.paths[i];
            struct stat s = { 0 };
            const int64_t size = stat(path, &s) ? -1 : (int64_t)s.st_size;
            sum = crc32_z(sum, (const void *)(path + behind), strlen(path + behind) + 1);
            sum = crc32_z(sum, (const void *)&size, sizeof size);
        }
    }
    return with->agree(with->arg, looks, "other pictures: their names or their sizes differ", sum);
}

/* The faults that each has found become those of all.  0, or -1. */
static int faults_share(struct reading *r, const struct data_together *with)
{
    const struct cnn_ranks *ranks = with->ranks;
    int64_t own = 0, most = 0, *counts = calloc((size_t)ranks->count, sizeof *counts);
    for (int64_t i = 0; i < r->count; i++)
        own += r->faults[i] != NULL;
    if (!counts)
        rt_error("no memory for %d ranks", ranks->count);
    int status = !counts || with->agree(with->arg, looks, NULL, 0)
                         || ranks->gather(ranks, &own, sizeof own, counts) ? -1 : 0;
    for (int i = 0; i < ranks->count && status == 0; i++)
        most = counts[i] > most ? counts[i] : most;
    free(counts);
    if (status || most == 0)
        return status;
    struct found_fault *mine = calloc((size_t)most, sizeof *mine);
    struct found_fault *all = calloc((size_t)most * (size_t)ranks->count, sizeof *all);
    for (int64_t i = 0, at = 0; mine && i < r->count; i++)
        if (r->faults[i])
            mine[at++] = (struct found_fault){ i + 1, *r->faults[i] };
    if (!mine || !all)
        rt_error("no memory for what is wrong with pictures");
    status = !mine || !all || with->agree(with->arg, looks, NULL, 0)
                     || ranks->gather(ranks, mine, (size_t)most * sizeof *mine, all) ? -1 : 0;
    for (int64_t i = 0; status == 0 && i < most * ranks->count; i++)
        if (all[i].picture && !r->faults[all[i].picture - 1])
            fault_keep(r, all[i].picture - 1, all[i].fault);
    free(mine);
    free(all);
    return status;
}

/* ---- pictures that are not kept ---------------------------------------------------------------- */

static int stored_read(const struct sample_store *store, int64_t number, void *to)
{
    const struct picture_files *p = (const struct picture_files *)store;
    struct image_fault fault;
    if (picture_load(p->paths[number], p->model, p->fit, to, &fault) == 0)
        return 0;
    rt_error("%s: %s", p->paths[number], fault.text);
    return -1;
}

static void stored_ahead(const struct sample_store *store, const uint32_t *numbers, int64_t count)
{
#if defined POSIX_FADV_WILLNEED
    const struct picture_files *p = (const struct picture_files *)store;
    for (int64_t i = 0; i < count; i++) {
        int fd = open(p->paths[numbers[i]], O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0)
            continue;           /* it is told when it is needed */
        posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED);
        close(fd);
    }
#endif
}

static void stored_close(struct sample_store *store)
{
    struct picture_files *p = (struct picture_files *)store;
    free(p->paths);
    free(p);
}

/* The split's files are read when they are needed. */
static int pictures_store(struct dataset *d, struct split *s, const struct cnn_model *m)
{
    struct picture_files *p = (struct picture_files *)d->store;
    if (!p && (p = calloc(1, sizeof *p))) {
        *p = (struct picture_files){ .store = { .read = stored_read, .close = stored_close, .ahead = stored_ahead,
                                                .apart = true, .dear = true }, .model = m,
                                                .fit = rt_steps_fit(&m->data) };
        d->store = &p->store;
    }
    char **paths = p ? realloc(p->paths, (size_t)(p->count + s->count + 1) * sizeof *paths) : NULL;
    if (!paths) {
        rt_error("no memory for the names of %lld pictures", (long long)s->count);
        return -1;
    }
    p->paths = paths;
    s->store = d->store;
    for (int64_t i = 0; i < s->count; i++) {
        paths[p->count] = s->files[i];
        s->numbers[i] = (uint32_t)p->count++;
    }
    return 0;
}

/* ---------------------------------------------------------------------------------------------- */

/* Names the pictures that cannot be had, of a long list the first ones.  Returns 0 where the run may go
 * on without them. */
static int faults_tell(const struct reading *r, const char *dir, bool skips)
{
    int64_t faults = 0, unfit = 0;
    for (int64_t i = 0; i < r->count; i++)
        unfit += r->faults[i] && r->faults[i]->sound;
    skips = skips && !unfit;
    for (int64_t i = 0; i < r->count; i++) {
        if (!r->faults[i] || faults++ >= FAULTS_SHOWN)
            continue;
        if (skips)
            rt_note("%s: %s: left out", r->paths[i], r->faults[i]->text);
        else
            rt_error("%s: %s", r->paths[i], r->faults[i]->text);
    }
    if (faults && skips) {
        rt_note("%s: %lld damaged picture%s of %lld left out", dir, (long long)faults, faults == 1 ? "" : "s",
                (long long)r->count);
        return 0;
    }
    if (faults > FAULTS_SHOWN)
        rt_error("%lld more pictures cannot be used", (long long)(faults - FAULTS_SHOWN));
    if (faults > unfit)
        rt_note("'skip_damaged=on' behind the folder's name in 'data' leaves out pictures that are damaged");
    return faults ? -1 : 0;
}

/* The split without the pictures that are damaged. */
static void faults_skip(const struct reading *r, struct split *s)
{
    size_t bytes = picture_bytes(r->model);
    int64_t kept = 0;
    for (int64_t i = 0; i < r->count; i++) {
        if (r->faults[i]) {
            free(s->files[i]);
            s->files[i] = NULL;
            continue;
        }
        if (kept < i) {
            if (s->pixels)
                memcpy(s->pixels + (size_t)kept * bytes, s->pixels + (size_t)i * bytes, bytes);
            s->labels[kept] = s->labels[i];
            s->files[kept] = s->files[i];
        }
        kept++;
    }
    s->count = kept;
}

static int reading_open(struct reading *r, struct split *s, struct chosen from)
{
    r->pixels = s->pixels;
    r->paths = s->files = calloc((size_t)s->count, sizeof *s->files);
    r->faults = calloc((size_t)s->count, sizeof *r->faults);
    bool enough = s->files && r->faults;
    for (int64_t i = 0; enough && i < from.set->list.pictures.count; i++)
        if (from.set->part[i] == from.part) {
            s->files[r->count] = strdup(from.set->list.pictures.paths[i]);
            enough = s->files[r->count] != NULL;
            s->labels[r->count++] = from.set->labels[i];
        }
    if (enough)
        return 0;
    rt_error("no memory for the names of %lld pictures", (long long)s->count);
    return -1;
}

static void reading_close(struct reading *r)
{
    for (int64_t i = 0; r->faults && i < r->count; i++)
        if (r->faults[i] != &fault_unknown)
            free(r->faults[i]);
    free(r->faults);
}

static int split_read(struct dataset *d, struct split *s, struct chosen from,
                      const struct cnn_model *m)
{
    int64_t count = 0;
    for (int64_t i = 0; i < from.set->list.pictures.count; i++)
        count += from.set->part[i] == from.part;
    if (count == 0)
        return 0;
    bool skips = rt_setting_number(&m->data.source, "skip_damaged") != 0;
    struct reading r = { .model = m, .fit = rt_steps_fit(&m->data) };
    bool keeps = !rt_dataset_leaves(d, count);
    if (keeps ? rt_split_begin(d, s, count) : rt_split_allocate_stored(d, s, count))
        return -1;
    int status = reading_open(&r, s, from);
    if (status == 0) {
        r.ranks = d->use.together ? d->use.together->ranks : NULL;
        rt_each(d->use.threads, count, picture_read, &r);
        status = r.ranks && faults_share(&r, d->use.together) ? -1 : 0;
    }
    if (status == 0) {
        status = faults_tell(&r, from.set->dir, skips);
        faults_skip(&r, s);
    }
    if (status == 0 && !keeps)
        status = pictures_store(d, s, m);
    reading_close(&r);
    return status;
}

/* Each class was drawn from, so one without pictures now has damaged ones alone. */
static int classes_left(const struct dataset *d, const struct image_folders *f)
{
    int status = 0;
    bool *there = calloc((size_t)f->classes, sizeof *there), *drawn = calloc((size_t)f->classes, sizeof *drawn);
    const struct picture_set *set = &f->sets[IMAGE_TRAIN];
    if (!there || !drawn) {
        rt_error("no memory to count the pictures of %d classes", f->classes);
        status = -1;
    }
    for (int64_t i = 0; status == 0 && i < d->train.count; i++)
        there[d->train.labels[i]] = true;
    for (int64_t i = 0; status == 0 && i < set->list.pictures.count; i++)
        if (set->part[i] == SUBSET_TRAIN)
            drawn[set->labels[i]] = true;
    for (int k = 0; there && drawn && k < f->classes; k++)
        if (drawn[k] && !there[k]) {
            rt_error("%s/%s: all pictures of this class that would be trained are damaged", set->dir,
                     f->class_names[k]);
            status = -1;
        }
    free(there);
    free(drawn);
    return status;
}

/* Every set is read even when one has faults: a second run should not find the next. */
static int splits_read(struct dataset *d, struct image_folders *f, const struct cnn_model *m)
{
    struct subset_recipe recipe = rt_subset_recipe(m);
    struct picture_set *train = &f->sets[IMAGE_TRAIN], *val = &f->sets[IMAGE_VAL],
                       *test = &f->sets[IMAGE_TEST];
    bool validates = val->list.pictures.count > 0;
    /* the set that validates where nothing is split off; the one that is used at the very end */
    struct picture_set *held = validates ? val : test;
    bool three = validates && test->list.pictures.count;
    struct picture_set *last = recipe.splits ? held : three ? test : NULL;
    int64_t held_count = held->list.pictures.count;
    if (rt_subset_divide(&recipe, f->classes, train->labels, train->list.pictures.count, train->part,
                         held_count ? held->labels : NULL, held_count, held->part))
        return -1;
    bool tests = last && last->list.pictures.count;
    int status = 0;
    if (!d->use.test_only)
        status |= split_read(d, &d->train, (struct chosen){ train, SUBSET_TRAIN }, m);
    if (!d->use.test_only && status == 0)
        status |= classes_left(d, f);
    if (!d->use.test_only || !tests)
        status |= split_read(d, &d->val,
                             (struct chosen){ recipe.splits ? train : held, SUBSET_VAL }, m);
    if (tests) {
        memset(last->part, SUBSET_VAL, (size_t)last->list.pictures.count);
        status |= split_read(d, &d->test, (struct chosen){ last, SUBSET_VAL }, m);
    }
    d->val_tests = !recipe.splits && !last;
    return status;
}

static int classes_fit(const struct image_folders *f, const char *dir, const struct cnn_model *m)
{
    if (f->classes == m->train.target.size || m->train.target.kind == CNN_TARGET_INPUT)
        return 0;
    char *names = rt_names_text((const char *const *)f->class_names, f->classes, CLASSES_SHOWN);
    rt_error("%s: has %d folders of classes, the network ends in %d: %s", dir, f->classes, m->train.target.size,
             names ? names : "");
    free(names);
    return -1;
}

static int read_all(struct dataset *d, const char *dir, const struct cnn_model *m)
{
    struct image_folders f;
    if (m->in_channels != 1 && m->in_channels != 3) {
        rt_error("pictures have 1 or 3 channels, the network's input %d", m->in_channels);
        return -1;
    }
    int status = rt_image_folders_scan(&f, dir, rt_subset_recipe(m).splits);
    d->channels = m->in_channels;
    d->height = m->in_height;
    d->width = m->in_width;
    d->target.size = f.classes;
    if (status == 0)
        status = classes_fit(&f, dir, m) || (d->use.together && lists_agree(d->use.together, &f))
                         || splits_read(d, &f, m) ? -1 : 0;
    d->class_names = f.class_names;
    f.class_names = NULL;
    rt_image_folders_free(&f);
    return status;
}

const struct data_source rt_data_images = {
    .name = "images", .probe = rt_image_folders_probe, .read = read_all, .prepares = true,
    .files = "train/CLASS/... and test/CLASS/..., or CLASS/..., of PNG and JPEG files"
};
