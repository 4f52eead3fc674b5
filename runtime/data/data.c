/* data.c - finds a source's directory, lets the source read it, and checks that it fits the
 * network. */
#define _GNU_SOURCE
#include "data/data.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/file_path.h"
#include "core/message.h"
#include "data/kept_samples.h"
#include "data/picture_list.h"
#include "data/read_once.h"
#include "data/record_store.h"
#include "common/recipe.h"

static const struct data_source *const sources[] = { &rt_data_cifar10, &rt_data_cifar100, &rt_data_csv, &rt_data_images,
                                                     &rt_data_mnist, &rt_data_npy, &rt_data_npz, &rt_data_shapes,
#ifdef CNN_TEST_ROWS            /* tests/behave/rows.sh */
                                                     &rt_data_waves, &rt_data_echoes
#endif
};

enum { SOURCES_COUNT = sizeof sources / sizeof sources[0], PLACES_MAX = 4, CLASSES_SHOWN = 5 };

static bool is_among(const char *name, const char *const *names, int count)
{
    for (int i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

void rt_unused_tell(const char *dir, bool (*looks)(const char *name), const char *const *used, int used_count)
{
    struct dirent **entries;
    int count = scandir(dir, &entries, NULL, by_bytes), found = 0;
    const char **names = calloc((size_t)(count > 0 ? count : 0) + 1, sizeof *names);
    for (int i = 0; names && i < count; i++)
        if (looks(entries[i]->d_name) && !is_among(entries[i]->d_name, used, used_count))
            names[found++] = entries[i]->d_name;
    char *text = found ? rt_names_text(names, found, CLASSES_SHOWN) : NULL;
    if (text)
        rt_note("%s: not used: %s", dir, text);
    free(text);
    free(names);
    for (int i = 0; i < count; i++)
        free(entries[i]);
    if (count >= 0)
        free(entries);
}

/* Memory for targets, one even where there are no samples.  0, or -1. */
static int targets_allocate(const struct dataset *d, struct split *s)
{
    size_t count = (size_t)s->count + 1;
    if (d->target.kind == CNN_TARGET_INPUT)
        return 0;
    if (d->target.kind == CNN_TARGET_CLASS)
        return (s->labels = calloc(count, sizeof *s->labels)) ? 0 : -1;
    return (s->vectors = calloc(count * (size_t)d->target.size, sizeof *s->vectors)) ? 0 : -1;
}

/* Of the dataset's shape. */
static size_t sample_bytes(const struct dataset *d)
{
    return (size_t)d->channels * (size_t)d->height * (size_t)d->width * rt_number_size(rt_sample_numbers(d->kind));
}

bool rt_dataset_keeps(const struct dataset *d, int64_t count)
{
    const int64_t room = d->use.room;
    return !d->use.gives_on && (room <= 0 || (d->kept <= room && count <= (room - d->kept) / (int64_t)sample_bytes(d)));
}

bool rt_dataset_leaves(const struct dataset *d, int64_t count)
{
    return d->use.by_share || !rt_dataset_keeps(d, count);
}

int rt_split_allocate(const struct dataset *d, struct split *s, int64_t count)
{
    size_t sample = sample_bytes(d);
    s->count = count;
    s->kind = d->kind;
    s->samples = count > 0 && (size_t)count > SIZE_MAX / sample
                    ? NULL
                    : malloc((size_t)count * sample + 1);
    if (s->samples && targets_allocate(d, s) == 0)
        return 0;
    rt_error("no memory for %lld pictures of %dx%dx%d", (long long)count, d->channels, d->height,
             d->width);
    return -1;
}

int rt_split_allocate_stored(const struct dataset *d, struct split *s, int64_t count)
{
    s->count = count;
    s->kind = d->kind;
    s->store = d->store;
    s->numbers = malloc((size_t)count * sizeof *s->numbers + 1);
    if (s->numbers && targets_allocate(d, s) == 0)
        return 0;
    rt_error("no memory for the labels of %lld pictures", (long long)count);
    return -1;
}

/* Records for so many samples in a temporary file.  Returns the number of the first, or -1 with a message. */
static int64_t records_spill(struct dataset *d, int64_t count)
{
    if (!d->spilled && !(d->spilled = rt_records_open(sample_bytes(d))))
        return -1;
    if (d->use.gives_on && d->shared >= 0) {
        rt_records_temporary(d->spilled, d->shared);
        d->shared = -1;
    }
    return rt_records_reserve(d->spilled, count);
}

static int split_spill(struct dataset *d, struct split *s, int64_t count)
{
    int64_t first = records_spill(d, count);
    if (first < 0 || rt_split_allocate_stored(d, s, count))
        return -1;
    s->store = d->spilled;
    for (int64_t i = 0; i < count; i++)
        s->numbers[i] = (uint32_t)(first + i);
    return 0;
}

int rt_split_begin(struct dataset *d, struct split *s, int64_t count)
{
    if (!rt_dataset_keeps(d, count))
        return split_spill(d, s, count);
    d->kept += count * (int64_t)sample_bytes(d);
    return rt_split_allocate(d, s, count);
}

/* Place for targets of so many samples; false: there is no memory, and what was is there. */
static bool targets_grow(const struct dataset *d, struct split *s, int64_t room)
{
    const size_t each = d->target.kind == CNN_TARGET_CLASS ? sizeof *s->labels
        : (size_t)d->target.size * sizeof *s->vectors;
    void *was = d->target.kind == CNN_TARGET_CLASS ? (void *)s->labels : (void *)s->vectors;
    if (d->target.kind == CNN_TARGET_INPUT)
        return true;
    void *grown = realloc(was, (size_t)room * each);
    if (grown && d->target.kind == CNN_TARGET_CLASS)
        s->labels = grown;
    else if (grown)
        s->vectors = grown;
    return grown != NULL;
}

/* Records behind those it has, or for all of it, where it was kept until here: what it has goes there. */
static int split_grow_stored(struct dataset *d, struct split *s, int64_t had, int64_t room)
{
    const int64_t from = s->samples ? 0 : had, first = records_spill(d, room - from);
    void *samples = s->samples;
    int status = 0;
    if (first < 0)
        return -1;
    uint32_t *numbers = realloc(s->numbers, (size_t)room * sizeof *numbers);
    if (!numbers) {
        rt_error("no memory for the numbers of %lld samples", (long long)room);
        return -1;
    }
    s->numbers = numbers;
    for (int64_t i = from; i < room; i++)
        s->numbers[i] = (uint32_t)(first + i - from);
    s->samples = NULL;
    s->store = d->spilled;
    for (int64_t i = 0; samples && i < s->count && status == 0; i++)
        status = rt_split_put(d, s, i, (const char *)samples + (size_t)i * sample_bytes(d));
    d->kept -= samples ? had * (int64_t)sample_bytes(d) : 0;
    free(samples);
    return status;
}

int rt_split_grow(struct dataset *d, struct split *s, int64_t had, int64_t room)
{
    s->kind = d->kind;
    if (!targets_grow(d, s, room)) {
        rt_error("no memory for the targets of %lld samples", (long long)room);
        return -1;
    }
    if ((had > 0 && !s->samples) || !rt_dataset_keeps(d, room - had))
        return split_grow_stored(d, s, had, room);
    void *samples = realloc(s->samples, (size_t)room * sample_bytes(d));
    if (!samples) {
        rt_error("no memory for %lld samples", (long long)room);
        return -1;
    }
    s->samples = samples;
    d->kept += (room - had) * (int64_t)sample_bytes(d);
    return 0;
}

void rt_split_end(struct dataset *d, struct split *s, int64_t had)
{
    if (s->samples && had > s->count) {
        void *fewer = realloc(s->samples, (size_t)s->count * sample_bytes(d) + 1);
        s->samples = fewer ? fewer : s->samples;
        d->kept -= (had - s->count) * (int64_t)sample_bytes(d);
    }
}

int rt_split_put(const struct dataset *d, const struct split *s, int64_t i, const void *sample)
{
    if (!s->samples)
        return rt_records_put(d->spilled, s->numbers[i], sample);
    size_t bytes = sample_bytes(d);
    memcpy((char *)s->samples + (size_t)i * bytes, sample, bytes);
    return 0;
}

void rt_split_copy_target(const struct dataset *d, const struct split *from, int64_t i, struct split *to, int64_t k)
{
    size_t size = (size_t)d->target.size;
    if (from->labels)
        to->labels[k] = from->labels[i];
    else if (from->vectors)
        memcpy(to->vectors + (size_t)k * size, from->vectors + (size_t)i * size, size * sizeof *to->vectors);
}

const char *rt_split_name(const struct split *s, int64_t i, char room[PICTURE_NAME_ROOM])
{
    if (s->files)
        return s->files[i];
    snprintf(room, PICTURE_NAME_ROOM, "%lld", s->records ? (long long)s->records[i] : (long long)i);
    return room;
}

void rt_split_free(struct split *s)
{
    free(s->samples);
    free(s->labels);
    free(s->vectors);
    free(s->numbers);
    for (int64_t i = 0; s->files && i < s->count; i++)
        free(s->files[i]);
    free(s->files);
    free(s->records);
    free(s->counts);
    *s = (struct split){ 0 };
}

const void *rt_split_sample(const struct split *s, int64_t i, size_t elements, void *room)
{
    if (s->samples)
        return (const char *)s->samples + (size_t)i * elements * rt_number_size(rt_sample_numbers(s->kind));
    return s->store->read(s->store, s->numbers[i], room) ? NULL : room;
}

static void names_forget(struct dataset *d)
{
    for (int i = 0; d->class_names && i < d->target.size; i++)
        free(d->class_names[i]);
    free(d->class_names);
    d->class_names = NULL;
}

void rt_dataset_close(struct dataset *d)
{
    rt_split_free(&d->train);
    rt_split_free(&d->val);
    rt_split_free(&d->test);
    if (d->store)
        d->store->close(d->store);
    if (d->spilled)
        d->spilled->close(d->spilled);
    names_forget(d);
    *d = (struct dataset){ 0 };
}

/* The folder the program itself lies in, malloc'd; NULL where the system does not say. */
static char *own_directory(void)
{
    char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length <= 0)
        return NULL;
    path[length] = '\0';
    char *slash = strrchr(path, '/');
    if (!slash)
        return NULL;
    *slash = '\0';
    return strdup(*path ? path : "/");
}

/* The last part of a path: what --data's directory may hold. */
static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

/* Where a source's directory may be, in the order of search.  Returns how many; the caller frees
 * them. */
static int places_list(char *places[PLACES_MAX], const char *name, const char *data_dir)
{
    int n = 0;
    if (data_dir) {
        places[n++] = rt_path_join(data_dir, base_name(name));
        places[n++] = strdup(data_dir);
    }
    if (*name == '/') {
        places[n++] = strdup(name);
        return n;
    }
    places[n++] = strdup(name);
    char *own = own_directory();
    if (own)
        places[n++] = rt_path_join(own, name);
    free(own);
    return n;
}

static void mistaken_tell(const struct data_source *source, const char *dir)
{
    const char *what = source->mistaken(dir);
    if (what)
        rt_note("%s %s", dir, what);
}

/* Where the files may be that were not found in a place: in the folder above, in one inside, or there in
 * another form. */
static void nearby_tell(const struct data_source *source, const char *place)
{
    char **names, *above = rt_path_join(place, "..");
    int count = rt_folders_list(place, &names);
    if (above && source->probe(above))
        rt_note("%s holds them", above);
    free(above);
    mistaken_tell(source, place);
    for (int i = 0; i < count; i++) {
        char *path = rt_path_join(place, names[i]);
        if (path && source->probe(path))
            rt_note("%s holds them", path);
        else if (path)
            mistaken_tell(source, path);
        free(path);
    }
    if (count >= 0)
        rt_names_free(names, count);
}

/* --data's directory is there, or none was given.  0, or -1 with a message. */
static int data_dir_check(const char *data_dir)
{
    if (!data_dir || rt_is_folder(data_dir))
        return 0;
    rt_error("--data %s: %s", data_dir, access(data_dir, F_OK) ? strerror(errno) : "is not a directory");
    return -1;
}

/* Where a file may be, in the order of search: from place `elsewhere` on outside of --data's directory.  Returns how
 * many; the caller frees them. */
static int file_places(char *places[PLACES_MAX], const char *name, const char *data_dir, int *elsewhere)
{
    int n = 0;
    if (data_dir && *name != '/')
        places[n++] = rt_path_join(data_dir, name);
    if (data_dir)
        places[n++] = rt_path_join(data_dir, rt_base_of(name));
    *elsewhere = n;
    places[n++] = strdup(name);
    char *own = *name == '/' ? NULL : own_directory();
    if (own)
        places[n++] = rt_path_join(own, name);
    free(own);
    return n;
}

/* Where that is, without a word; NULL: nowhere. */
static char *file_find(const char *name, const char *data_dir)
{
    char *places[PLACES_MAX], *found = NULL;
    int elsewhere, n = file_places(places, name, data_dir, &elsewhere);
    for (int i = 0; i < n; i++)
        if (!found && places[i] && access(places[i], F_OK) == 0)
            found = places[i];
        else
            free(places[i]);
    return found;
}

void rt_data_files_list(const struct cnn_model *m, const char *const *keys, int count, const char *data_dir,
                        void (*add)(void *arg, const char *path), void *arg)
{
    for (int i = 0; i < count; i++) {
        const char *name = rt_setting_text(&m->data.source, keys[i]);
        char *path = name ? file_find(name, data_dir) : NULL;
        if (name)
            add(arg, path);
        free(path);
    }
}

char *rt_data_file(const char *name, const char *data_dir)
{
    char *places[PLACES_MAX], *found = NULL;
    int elsewhere, n = file_places(places, name, data_dir, &elsewhere);
    for (int i = 0; i < n && !found; i++)
        if (places[i] && access(places[i], F_OK) == 0) {
            found = places[i];
            places[i] = NULL;
            if (data_dir && i >= elsewhere)     /* files of two sets must not be mixed without a word */
                rt_note("--data %s holds no %s; reading %s", data_dir, name, found);
        }
    if (!found) {
        rt_error("'%s' is not there; looked for", name);
        for (int i = 0; i < n; i++)
            if (places[i] && (i == 0 || !places[i - 1] || strcmp(places[i], places[i - 1])))
                rt_print_line(stderr, "    %s", places[i]);
        fprintf(stderr, "Name the directory with --data DIR.\n");
    }
    for (int i = 0; i < n; i++)
        free(places[i]);
    return found;
}

/* The directory of a source's files, malloc'd, or NULL with a message that names every place looked
 * at. */
static char *directory_find(const struct data_source *source, const char *name,
                            const char *data_dir)
{
    if (data_dir_check(data_dir))
        return NULL;
    char *places[PLACES_MAX];
    int n = places_list(places, name, data_dir);
    char *found = NULL;
    for (int i = 0; i < n; i++) {
        if (!found && places[i] && source->probe(places[i])) {
            found = places[i];
            if (data_dir && i >= 2)
                rt_note("--data %s holds no %s; reading %s", data_dir, source->name, found);
            places[i] = NULL;
        }
    }
    if (!found) {
        rt_error("the %s data (%s) are in none of these:", source->name, source->files);
        for (int i = 0; i < n; i++)
            if (places[i])
                rt_print_line(stderr, "    %s%s", places[i],
                        rt_is_folder(places[i]) ? "" : " (no such directory)");
        fprintf(stderr, "Name their directory, or the one above it, with --data DIR.\n");
        for (int i = 0; i < n && source->mistaken; i++)
            if (places[i] && rt_is_folder(places[i]))
                nearby_tell(source, places[i]);
    }
    for (int i = 0; i < n; i++)
        free(places[i]);
    return found;
}

int rt_dataset_fits(const struct dataset *d, const struct cnn_model *m)
{
    if (d->channels != m->in_channels || d->height != m->in_height || d->width != m->in_width) {
        rt_error("the pictures of %s are %dx%dx%d (channels x height x width), the network's input "
                 "is %dx%dx%d",
                 m->data.source.name, d->channels, d->height, d->width, m->in_channels, m->in_height,
                 m->in_width);
        return -1;
    }
    return 0;
}

/* Whether the targets are what the network is trained towards. */
static int target_fits(const struct dataset *d, const struct cnn_model *m)
{
    static const char *const what[] = {
        [CNN_TARGET_CLASS] = "classes", [CNN_TARGET_VECTOR] = "numbers a sample", [CNN_TARGET_LABELS] = "labels"
    };
    const char *source = m->data.source.name;
    if (m->train.target.kind == CNN_TARGET_INPUT)
        return 0;               /* whatever the source has beside its samples is not asked for */
    if (d->target.kind != m->train.target.kind)
        rt_error("%s has %s, the network learns %s", source, what[d->target.kind], what[m->train.target.kind]);
    else if (d->target.size != m->train.target.size)
        rt_error("%s has %d %s, the network ends in %d", source, d->target.size, what[d->target.kind],
                 m->train.target.size);
    else
        return 0;
    return -1;
}

static int fits_check(const struct dataset *d, const struct cnn_model *m)
{
    const char *source = m->data.source.name;
    if (rt_dataset_fits(d, m))
        return -1;
    if (d->kind != m->data.sample) {
        rt_error("the samples of %s are not of the kind that the network was compiled for", source);
        return -1;
    }
    if (target_fits(d, m))
        return -1;
    if (d->use.test_only && d->val.count < 1 && d->test.count < 1) {
        rt_error("%s holds no pictures to test with", source);
        return -1;
    }
    if (!d->use.test_only && (d->train.count < 1 || d->val.count < 1)) {
        rt_error("%s holds %lld pictures to train with and %lld to validate with; at least one of "
                 "each is needed",
                 source, (long long)d->train.count, (long long)d->val.count);
        return -1;
    }
    return 0;
}

/* Names the classes of which a set has no picture: nothing is learned or measured of them. */
static void classes_tell(const struct dataset *d, const struct split *s, const char *set, const char *source)
{
    if (!s->labels)
        return;
    bool *there = calloc((size_t)d->target.size, sizeof *there);
    const char **missing = calloc((size_t)d->target.size, sizeof *missing);
    char (*numbers)[24] = calloc((size_t)d->target.size, sizeof *numbers);
    int count = 0;
    for (int64_t i = 0; there && i < s->count; i++)
        there[s->labels[i]] = true;
    for (int k = 0; there && missing && numbers && s->count && k < d->target.size; k++) {
        if (there[k])
            continue;
        snprintf(numbers[k], sizeof numbers[k], "class %d", k);
        missing[count++] = d->class_names ? d->class_names[k] : numbers[k];
    }
    char *text = count ? rt_names_text(missing, count, CLASSES_SHOWN) : NULL;
    if (text)
        rt_note("%s: %d of %d classes %s no picture in the %s set: %s", source, count, d->target.size,
                count == 1 ? "has" : "have", set, text);
    free(text);
    free(numbers);
    free(missing);
    free(there);
}

static const struct data_source *source_find(const struct cnn_model *m)
{
    for (int i = 0; m->data.source.name && i < SOURCES_COUNT; i++)
        if (strcmp(sources[i]->name, m->data.source.name) == 0)
            return sources[i];
    return NULL;
}

bool rt_dataset_takes_files(const struct cnn_model *m)
{
    const struct data_source *source = source_find(m);
    return source && source->read_file && m->data.sample == CNN_SAMPLE_FLOATS;
}

int rt_dataset_open_file(struct dataset *d, const struct cnn_model *m, const char *path, struct data_use use)
{
    use.test_only = true;
    *d = (struct dataset){ .use = use, .kind = m->data.sample,
                           .target = { .kind = CNN_TARGET_INPUT, .size = m->train.target.size } };
    if (source_find(m)->read_file(d, path, m) == 0 && rt_dataset_fits(d, m) == 0)
        return 0;
    rt_dataset_close(d);
    return -1;
}

/* What was read or made once is kept where there is room for it. */
static int dear_keep(struct dataset *d)
{
    struct split *const sets[] = { &d->train, &d->val, &d->test };
    struct sample_store *from = d->store;
    int64_t count = 0;
    if (!d->use.by_share || !from || !from->dear)
        return 0;
    for (size_t k = 0; k < sizeof sets / sizeof sets[0]; k++)
        for (int64_t i = 0; sets[k]->store == from && i < sets[k]->count; i++)
            count = sets[k]->numbers[i] >= count ? (int64_t)sets[k]->numbers[i] + 1 : count;
    d->store = rt_kept_open(from, count, sample_bytes(d), d->use.room);
    for (size_t k = 0; k < sizeof sets / sizeof sets[0]; k++)
        if (sets[k]->store == from)
            sets[k]->store = d->store;
    return d->store ? 0 : -1;
}

int rt_dataset_open(struct dataset *d, const struct cnn_model *m, const char *data_dir, struct data_use use)
{
    *d = (struct dataset){ .use = use };
    const struct cnn_clause *clause = &m->data.source;
    if (!clause->name) {
        rt_error("%s has no `data` section: there is nothing to train on or to test with",
                 m->source);
        return -1;
    }
    const struct data_source *source = source_find(m);
    if (!source) {
        rt_error("this version of the runtime has no data source '%s'", clause->name);
        return -1;
    }
    char *dir = NULL;
    if (source->probe) {
        /* the directory is the one text among a file source's settings */
        const char *name = NULL;
        for (int i = 0; i < clause->settings_count && !name; i++)
            name = clause->settings[i].text;
        dir = directory_find(source, name ? name : source->name, data_dir);
        if (!dir)
            return -1;
    } else if (source->finds) {
        if (data_dir_check(data_dir))
            return -1;
    } else if (data_dir) {
        rt_note("--data %s: nothing is read there, %s needs no files", data_dir, source->name);
    }
    int failed = rt_read_once(d, source, source->finds ? data_dir : dir, m)
                 || (!source->prepares && rt_dataset_prepare(d, m)) || fits_check(d, m) || dear_keep(d);
    d->use.together = NULL;
    free(dir);
    if (failed) {
        rt_dataset_close(d);
        return -1;
    }
    if (m->train.target.kind == CNN_TARGET_INPUT) {     /* nobody is told of classes that nothing is trained towards */
        names_forget(d);
        return 0;
    }
    classes_tell(d, &d->train, "training", clause->name);
    classes_tell(d, &d->val, d->val_tests ? "test" : "validation", clause->name);
    classes_tell(d, &d->test, "test", clause->name);
    return 0;
}
