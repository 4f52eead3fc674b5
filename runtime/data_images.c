/* data_images.c - a folder of PNG and JPEG files for each class.
 *
 *     dir/train/CLASS/...  dir/test/CLASS/...       and perhaps dir/val/CLASS/...
 *     dir/CLASS/...                                 with `split` in the recipe
 *
 * Classes are train/'s folders in the order of bytes.  test/ is the held-out set, or val/ where
 * there is no test/; with both, val/ validates.  All pictures are read before training begins and
 * kept as bytes of the network's size, so each that cannot be read is known by then.
 */
#define _GNU_SOURCE
#include "data.h"

#include <stdlib.h>
#include <string.h>
#include <jansson.h>

#include "image.h"
#include "message.h"
#include "picture_list.h"
#include "recipe.h"
#include "subset.h"

enum { FAULTS_SHOWN = 20 };

/* ---- which pictures there are ---------------------------------------------------------------- */

struct picture_set {
    struct picture_list list;
    uint16_t *labels;
    uint8_t *part;              /* enum subset_part */
};

struct folders {
    char **class_names;
    int classes;
    struct picture_set train, val, test; /* val and test: empty where there is no such folder */
};

static void set_free(struct picture_set *s)
{
    rt_pictures_free(&s->list);
    free(s->labels);
    free(s->part);
    *s = (struct picture_set){ 0 };
}

static void folders_free(struct folders *f)
{
    for (int i = 0; f->class_names && i < f->classes; i++)
        free(f->class_names[i]);
    free(f->class_names);
    set_free(&f->train);
    set_free(&f->val);
    set_free(&f->test);
}

static bool folder_inside(const char *dir, const char *name)
{
    char *path = rt_path_join(dir, name);
    bool there = path && rt_is_folder(path);
    free(path);
    return there;
}

/* The classes that a set's folder has must be known; training must have pictures of all. */
static int class_check(const char *path, int class, int64_t found, const struct picture_list *l,
                       bool training)
{
    if (class < 0) {
        rt_error("%s: the training set has no class of this name", path);
        return -1;
    }
    if (found == 0 && training) {
        rt_error("%s: holds no pictures (.png, .jpg, .jpeg)%s%s", path,
                 l->first_other ? " but files such as " : "", l->first_other ? l->first_other : "");
        return -1;
    }
    return 0;
}

static int name_check(const char *dir, const char *name)
{
    /* names go into JSON files, which are UTF-8 */
    json_t *text = json_string(name);
    json_decref(text);
    if (text)
        return 0;
    rt_error("%s: the name of a class's folder, '%s', is not UTF-8", dir, name);
    return -1;
}

static int class_find(const struct folders *f, const char *name)
{
    for (int i = 0; i < f->classes; i++)
        if (strcmp(f->class_names[i], name) == 0)
            return i;
    return -1;
}

static int class_scan(struct folders *f, struct picture_set *s, const char *dir, const char *name)
{
    char *path = rt_path_join(dir, name);
    int class = class_find(f, name);
    int64_t before = s->list.count;
    bool good = path && rt_pictures_find(&s->list, path) == 0
                && class_check(path, class, s->list.count - before, &s->list, s == &f->train) == 0;
    int status = good ? 0 : -1;
    uint16_t *labels =
        status ? NULL : realloc(s->labels, (size_t)(s->list.count + 1) * sizeof *labels);
    if (labels) {
        s->labels = labels;
        for (int64_t i = before; i < s->list.count; i++)
            labels[i] = (uint16_t)class;
    } else if (status == 0) {
        rt_error("%s: no memory for its list of pictures", path);
        status = -1;
    }
    free(path);
    return status;
}

/* All classes of one set; the training set's folders say which there are. */
static int set_scan(struct folders *f, struct picture_set *s, const char *dir)
{
    char **names = NULL;
    int count = rt_folders_list(dir, &names), status = count < 0 ? -1 : 0;
    if (s == &f->train && status == 0) {
        f->class_names = names;
        f->classes = count;
        if (count < 2 || count > UINT16_MAX) {
            rt_error("%s: holds %d folders; from 2 to %d are needed, one a class", dir, count,
                     UINT16_MAX);
            return -1;
        }
    }
    for (int i = 0; i < count && status == 0; i++)
        status = name_check(dir, names[i]) || class_scan(f, s, dir, names[i]) ? -1 : 0;
    if (s->list.others && status == 0)
        rt_note("%s: %lld files that are not named .png, .jpg or .jpeg are left out, such as %s",
                dir, (long long)s->list.others, s->list.first_other);
    s->part = status ? NULL : malloc((size_t)s->list.count + 1);
    if (!s->part && status == 0) {
        rt_error("%s: no memory for its list of pictures", dir);
        status = -1;
    }
    for (int i = 0; names != f->class_names && i < count; i++)
        free(names[i]);
    if (names != f->class_names)
        free(names);
    return status;
}

static int set_scan_inside(struct folders *f, struct picture_set *s, const char *dir,
                           const char *name)
{
    char *path = rt_path_join(dir, name);
    int status = path ? set_scan(f, s, path) : -1;
    free(path);
    return status;
}

static int folders_scan(struct folders *f, const char *dir, bool splits)
{
    bool val = folder_inside(dir, "val"), test = folder_inside(dir, "test");
    if (!folder_inside(dir, "train")) {
        if (splits)
            return set_scan(f, &f->train, dir);
        rt_error("%s: has no folder train/: write 'split 0.1' in 'data' to take a tenth of its "
                 "pictures for validation",
                 dir);
        return -1;
    }
    if (splits && val && test) {
        rt_error("%s: val/ is there to validate; 'split' would take pictures of train/ for that",
                 dir);
        return -1;
    }
    if (!splits && !val && !test) {
        rt_error("%s: has neither test/ nor val/ beside train/: write 'split 0.1' in 'data' to "
                 "take a tenth of the training set for validation",
                 dir);
        return -1;
    }
    if (set_scan_inside(f, &f->train, dir, "train")
        || (val && set_scan_inside(f, &f->val, dir, "val"))
        || (test && set_scan_inside(f, &f->test, dir, "test")))
        return -1;
    return 0;
}

/* A folder of folders, one of which has a picture: or the folder train/ is such a one. */
static bool has_classes(const char *dir)
{
    char **names;
    int count = rt_is_folder(dir) ? rt_folders_list(dir, &names) : -1;
    bool found = false;
    for (int i = 0; i < count; i++) {
        char *path = rt_path_join(dir, names[i]);
        struct picture_list pictures = { 0 };
        found = found || (path && rt_pictures_find(&pictures, path) == 0 && pictures.count > 0);
        rt_pictures_free(&pictures);
        free(path);
        free(names[i]);
    }
    if (count >= 0)
        free(names);
    return found;
}

static bool probe(const char *dir)
{
    if (folder_inside(dir, "train"))
        return true;
    return has_classes(dir);
}

/* ---- reading them ---------------------------------------------------------------------------- */

/* Which pictures of which sets become one split of the dataset. */
struct chosen {
    const struct picture_set *set;
    enum subset_part part;
};

struct reading {
    const struct cnn_model *model;
    int shorter;                /* resize's number; 0: none */
    char **paths;
    char **faults;
    uint8_t *pixels;
};

static void picture_read(struct reading *r, int64_t i)
{
    const struct cnn_model *m = r->model;
    size_t bytes = (size_t)m->in_channels * (size_t)m->in_height * (size_t)m->in_width;
    struct image image;
    struct image_fault fault;
    if (rt_image_read(&image, r->paths[i], m->in_channels, &fault)
        || rt_image_fit(&image, r->shorter, m->in_width, m->in_height,
                        r->pixels + (size_t)i * bytes, &fault)) {
        r->faults[i] = strdup(fault.text);
        if (!r->faults[i])
            r->faults[i] = r->paths[i];         /* better told without a reason than not at all */
    }
    rt_image_free(&image);
}

static int faults_tell(struct reading *r, int64_t count)
{
    int64_t faults = 0;
    for (int64_t i = 0; i < count; i++) {
        if (!r->faults[i])
            continue;
        if (faults++ < FAULTS_SHOWN)
            rt_error("%s: %s", r->paths[i],
                     r->faults[i] == r->paths[i] ? "cannot be read" : r->faults[i]);
        if (r->faults[i] != r->paths[i])
            free(r->faults[i]);
    }
    if (faults > FAULTS_SHOWN)
        rt_error("%lld more pictures cannot be used", (long long)(faults - FAULTS_SHOWN));
    return faults ? -1 : 0;
}

static int split_read(struct dataset *d, struct split *s, struct chosen from,
                      const struct cnn_model *m)
{
    int64_t count = 0;
    for (int64_t i = 0; i < from.set->list.count; i++)
        count += from.set->part[i] == from.part;
    if (count == 0)
        return 0;
    const struct cnn_clause *resize = rt_recipe_step(m, "resize");
    struct reading r = { .model = m,
                         .shorter = resize ? (int)rt_setting_number(resize, "side", 0) : 0 };
    if (rt_split_allocate(d, s, count))
        return -1;
    r.pixels = s->pixels;
    r.paths = calloc((size_t)count, sizeof *r.paths);
    r.faults = calloc((size_t)count, sizeof *r.faults);
    int status = r.paths && r.faults ? 0 : -1;
    if (status)
        rt_error("no memory for the names of %lld pictures", (long long)count);
    count = 0;
    for (int64_t i = 0; status == 0 && i < from.set->list.count; i++)
        if (from.set->part[i] == from.part) {
            r.paths[count] = from.set->list.paths[i];
            s->labels[count++] = from.set->labels[i];
        }
    if (status == 0) {
        #pragma omp parallel for schedule(dynamic, 8)
        for (int64_t i = 0; i < count; i++)
            picture_read(&r, i);
        status = faults_tell(&r, count);
    }
    free(r.paths);
    free(r.faults);
    return status;
}

/* Every set is read even when one has faults: a second run should not find the next. */
static int splits_read(struct dataset *d, struct folders *f, const struct cnn_model *m)
{
    struct subset_recipe recipe = rt_subset_recipe(m);
    /* the set that validates where nothing is split off; the one that is used at the very end */
    struct picture_set *held = f->val.list.count ? &f->val : &f->test;
    bool three = f->val.list.count && f->test.list.count;
    struct picture_set *last = recipe.splits ? held : three ? &f->test : NULL;
    if (rt_subset_divide(&recipe, f->classes, f->train.labels, f->train.list.count, f->train.part,
                         held->list.count ? held->labels : NULL, held->list.count, held->part))
        return -1;
    bool tests = last && last->list.count;
    int status = 0;
    if (!d->test_only)
        status |= split_read(d, &d->train, (struct chosen){ &f->train, SUBSET_TRAIN }, m);
    if (!d->test_only || !tests)
        status |= split_read(d, &d->val,
                             (struct chosen){ recipe.splits ? &f->train : held, SUBSET_VAL }, m);
    if (tests) {
        memset(last->part, SUBSET_VAL, (size_t)last->list.count);
        status |= split_read(d, &d->test, (struct chosen){ last, SUBSET_VAL }, m);
    }
    d->val_tests = !recipe.splits && !last;
    return status;
}

static int read_all(struct dataset *d, const char *dir, const struct cnn_model *m)
{
    struct folders f = { 0 };
    if (m->in_channels != 1 && m->in_channels != 3) {
        rt_error("pictures have 1 or 3 channels, the network's input %d", m->in_channels);
        return -1;
    }
    int status = folders_scan(&f, dir, rt_recipe_step(m, "split") != NULL);
    d->channels = m->in_channels;
    d->height = m->in_height;
    d->width = m->in_width;
    d->classes = f.classes;
    if (status == 0 && f.classes != m->classes) {
        rt_error("%s: has %d folders of classes, the network ends in %d", dir, f.classes,
                 m->classes);
        status = -1;
    }
    if (status == 0)
        status = splits_read(d, &f, m);
    d->class_names = f.class_names;
    f.class_names = NULL;
    folders_free(&f);
    return status;
}

const struct data_source rt_data_images = {
    .name = "images", .probe = probe, .read = read_all, .prepares = true,
    .files = "train/CLASS/... and test/CLASS/..., or CLASS/..., of PNG and JPEG files"
};
