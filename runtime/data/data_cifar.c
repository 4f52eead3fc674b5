/* data_cifar.c - the official binary files of CIFAR-10 and CIFAR-100 (https://www.cs.toronto.edu/~kriz/cifar.html).
 *
 * CIFAR-10 is six files of 10,000 records, CIFAR-100 one of 50,000 and one of 10,000.  A record is its label bytes, one
 * or a coarse and a fine one, then 1,024 red, 1,024 green and 1,024 blue bytes, each plane row by row.
 */
#include "data/data.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/recipe.h"
#include "core/file_path.h"
#include "data/record_store.h"
#include "core/message.h"
#include "core/regular_file.h"

enum {
    SIDE = 32,
    PLANE = SIDE * SIDE,
    CHANNELS = 3,
    PICTURE = CHANNELS * PLANE,
    LABELS_MAX = 2,
    RECORD_MAX = LABELS_MAX + PICTURE,
    FILES_MAX = 6,
    BLOCK = 64                  /* records looked at at a time */
};

/* What the files of a set are. */
struct cifar_form {
    const char *is;             /* behind the name of one that is missing */
    int files;                  /* the last one's records test */
    struct {
        const char *name;
        int records;
    } file[FILES_MAX];
    int labels;                 /* bytes before a picture */
    struct {
        int classes;
        const char *kind;       /* in messages: "label", "fine label" */
        const char *names;      /* the file of the classes' names */
    } label[LABELS_MAX];
};

static const struct cifar_form cifar10 = {
    .is = "CIFAR-10 is data_batch_1.bin to data_batch_5.bin and test_batch.bin",
    .files = 6,
    .file = { { "data_batch_1.bin", 10000 }, { "data_batch_2.bin", 10000 }, { "data_batch_3.bin", 10000 },
              { "data_batch_4.bin", 10000 }, { "data_batch_5.bin", 10000 }, { "test_batch.bin", 10000 } },
    .labels = 1,
    .label = { { 10, "label", "batches.meta.txt" } }
};

static const struct cifar_form cifar100 = {
    .is = "CIFAR-100 is train.bin and test.bin",
    .files = 2,
    .file = { { "train.bin", 50000 }, { "test.bin", 10000 } },
    .labels = 2,
    .label = { { 20, "coarse label", "coarse_label_names.txt" }, { 100, "fine label", "fine_label_names.txt" } }
};

/* The files.  Every record is looked at once, when they are opened; a batch reads its pictures anew. */
struct record_files {
    struct sample_store store;          /* first: the dataset's pointer is the files' */
    const struct cifar_form *form;
    int learnt;                         /* which of the labels */
    struct {
        char *path;
        int fd;                         /* -1: not open */
        struct stat status;
        int64_t first;                  /* number of its first record */
    } files[FILES_MAX];
    int64_t records;                    /* of all */
    uint8_t *labels;                    /* (records) those that are learnt */
};

static int record_bytes(const struct cifar_form *f)
{
    return f->labels + PICTURE;
}

static int file_bytes(const struct cifar_form *f, int number)
{
    return record_bytes(f) * f->file[number].records;
}

static bool probe10(const char *dir)
{
    for (int i = 0; i < cifar10.files; i++)
        if (rt_file_exists(dir, cifar10.file[i].name))
            return true;
    return false;
}

/* train.bin and test.bin may be anyone's: one of them has CIFAR-100's size, or the names of its classes lie beside
 * it. */
static bool probe100(const char *dir)
{
    for (int i = 0; i < cifar100.files; i++) {
        char *path = rt_path_join(dir, cifar100.file[i].name);
        struct stat status;
        bool there = path && stat(path, &status) == 0;
        free(path);
        if (there && (status.st_size == file_bytes(&cifar100, i) || rt_file_exists(dir, cifar100.label[1].names)
                      || rt_file_exists(dir, cifar100.label[0].names)
                      || (rt_file_exists(dir, cifar100.file[0].name) && rt_file_exists(dir, cifar100.file[1].name))))
            return true;
    }
    return false;
}

static bool looks_like_records(const char *name)
{
    size_t length = strlen(name);
    return length > 4 && strcmp(name + length - 4, ".bin") == 0;
}

static const char *mistaken10(const char *dir)
{
    if (rt_file_exists(dir, "data_batch_1"))
        return "holds CIFAR-10 as Python reads it; the binary version is needed";
    if (rt_file_exists(dir, "data_batch_1.mat"))
        return "holds CIFAR-10 as Matlab reads it; the binary version is needed";
    if (rt_file_exists(dir, "cifar-10-binary.tar.gz"))
        return "holds cifar-10-binary.tar.gz, which has to be unpacked";
    if (probe100(dir))
        return "holds CIFAR-100: the source is cifar100";
    return NULL;
}

static const char *mistaken100(const char *dir)
{
    if (rt_file_exists(dir, "train") && rt_file_exists(dir, "meta"))
        return "holds CIFAR-100 as Python reads it; the binary version is needed";
    if (rt_file_exists(dir, "train.mat") && rt_file_exists(dir, "meta.mat"))
        return "holds CIFAR-100 as Matlab reads it; the binary version is needed";
    if (rt_file_exists(dir, "cifar-100-binary.tar.gz"))
        return "holds cifar-100-binary.tar.gz, which has to be unpacked";
    if (probe10(dir))
        return "holds CIFAR-10: the source is cifar10";
    return NULL;
}

/* What a file is not that holds all its records whole, seen from the record where that shows. */
static int record_missing(const struct record_files *r, int number, int record, size_t got)
{
    const struct cifar_form *f = r->form;
    rt_error("%s: record %d of %d is %s: expected a file of %d bytes (%d records of %d), found %lld",
             r->files[number].path, record + 1, f->file[number].records, got ? "cut short" : "missing",
             file_bytes(f, number), f->file[number].records, record_bytes(f),
             (long long)record * record_bytes(f) + (long long)got);
    return -1;
}

static int record_broken(const char *path, int record)
{
    rt_error("%s: record %d: %s", path, record + 1, strerror(errno));
    return -1;
}

/* Both labels of a record are looked at, though one is learnt. */
static int labels_check(const struct record_files *r, const char *path, int record, const uint8_t *bytes)
{
    for (int k = 0; k < r->form->labels; k++)
        if (bytes[k] >= r->form->label[k].classes) {
            rt_error("%s: record %d: %s %d, expected 0 to %d", path, record + 1, r->form->label[k].kind, bytes[k],
                     r->form->label[k].classes - 1);
            return -1;
        }
    return 0;
}

static int labels_read(struct record_files *r, int number, uint8_t *block)
{
    const char *path = r->files[number].path;
    int size = record_bytes(r->form), records = r->form->file[number].records, fd = r->files[number].fd;
    for (int first = 0; first < records; first += BLOCK) {
        int count = records - first < BLOCK ? records - first : BLOCK;
        ssize_t got = rt_read_at(fd, block, (size_t)count * (size_t)size, (off_t)first * size);
        if (got < 0)
            return record_broken(path, first);
        for (int i = 0; i < count; i++) {
            int64_t left = (int64_t)got - (int64_t)i * size;
            if (left < size)
                return record_missing(r, number, first + i, left > 0 ? (size_t)left : 0);
            if (labels_check(r, path, first + i, block + i * size))
                return -1;
            r->labels[r->files[number].first + first + i] = block[i * size + r->learnt];
        }
    }
    uint8_t more;
    if (rt_read_at(fd, &more, 1, file_bytes(r->form, number)) > 0) {
        rt_error("%s: the file goes on after record %d: expected %d bytes (%d records of %d)", path, records,
                 file_bytes(r->form, number), records, size);
        return -1;
    }
    return 0;
}

/* Says it where two of the files are one, by a link. */
static void same_tell(const struct record_files *r, int number)
{
    const struct stat *ours = &r->files[number].status;
    for (int i = 0; i < number; i++)
        if (r->files[i].fd >= 0 && r->files[i].status.st_dev == ours->st_dev
            && r->files[i].status.st_ino == ours->st_ino)
            rt_note("%s is the file %s again: its pictures count twice", r->files[number].path, r->files[i].path);
}

static int file_open(struct record_files *r, int number, const char *dir)
{
    struct stat *status = &r->files[number].status;
    const char *name = r->form->file[number].name, *why;
    char *path = r->files[number].path = rt_path_join(dir, name);
    uint8_t *block = malloc(BLOCK * RECORD_MAX);
    int failed = -1;
    if (!path || !block) {
        rt_error("no memory to read %s", name);
    } else {
        int fd = r->files[number].fd = rt_regular_open(path, status, &why);
        if (fd < 0)
            rt_error("%s: %s; %s", path, why, r->form->is);
        else
            failed = labels_read(r, number, block);
        if (!failed)
            same_tell(r, number);
    }
    free(block);
    return failed;
}

static int file_of(const struct record_files *r, int64_t number)
{
    int file = 0;
    while (file + 1 < r->form->files && r->files[file + 1].first <= number)
        file++;
    return file;
}

static int picture_read(const struct sample_store *store, int64_t number, void *room)
{
    uint8_t *to = room;
    const struct record_files *r = (const struct record_files *)store;
    int file = file_of(r, number), size = record_bytes(r->form);
    int place = (int)(number - r->files[file].first);
    const char *path = r->files[file].path;
    uint8_t record[RECORD_MAX];
    ssize_t got = rt_read_at(r->files[file].fd, record, (size_t)size, (off_t)place * size);
    if (got < 0)
        return record_broken(path, place);
    if (got < size)
        return record_missing(r, file, place, (size_t)got);
    if (record[r->learnt] != r->labels[number]) {
        rt_error("%s: record %d: %s %d was %d when the run began: the file is being changed", path, place + 1,
                 r->form->label[r->learnt].kind, record[r->learnt], r->labels[number]);
        return -1;
    }
    /* planes become interleaved channels */
    const uint8_t *red = record + r->form->labels, *green = red + PLANE, *blue = green + PLANE;
    for (int i = 0; i < PLANE; i++) {
        to[3 * i] = red[i];
        to[3 * i + 1] = green[i];
        to[3 * i + 2] = blue[i];
    }
    return 0;
}

static void pictures_ahead(const struct sample_store *store, const uint32_t *numbers, int64_t count)
{
    const struct record_files *r = (const struct record_files *)store;
    size_t size = (size_t)record_bytes(r->form);
    for (int64_t first = 0, i = 1; i <= count; i++) {
        int file = file_of(r, numbers[first]);
        if (i < count && file_of(r, numbers[i]) == file)
            continue;
        rt_records_ahead(r->files[file].fd, -(off_t)r->files[file].first * (off_t)size, size, numbers + first,
                         i - first);
        first = i;
    }
}

static void files_close(struct sample_store *store)
{
    struct record_files *r = (struct record_files *)store;
    for (int i = 0; i < FILES_MAX; i++) {
        if (r->files[i].fd >= 0)
            close(r->files[i].fd);
        free(r->files[i].path);
    }
    free(r->labels);
    free(r);
}

static int split_fill(const struct dataset *d, struct split *s, int64_t first, int64_t count)
{
    const struct record_files *r = (const struct record_files *)d->store;
    if (rt_split_allocate_stored(d, s, count))
        return -1;
    for (int64_t i = 0; i < count; i++) {
        s->numbers[i] = (uint32_t)(first + i);
        s->labels[i] = r->labels[first + i];
    }
    return 0;
}

/* Names of the classes, one a line, where the file is there and holds as many; they are only for
 * show. */
static void names_read(struct dataset *d, const char *dir, const char *file, int classes)
{
    char *path = rt_path_join(dir, file);
    struct stat status;
    const char *why;
    int fd = path ? rt_regular_open(path, &status, &why) : -1;
    FILE *f = fd >= 0 ? fdopen(fd, "r") : NULL;
    if (fd >= 0 && !f)
        close(fd);
    char **names = f ? calloc((size_t)classes, sizeof *names) : NULL;
    int n = 0;
    char line[256];
    while (names && n < classes && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\r\n")] = '\0';
        if (*line && (names[n] = malloc(strlen(line) + 1)))
            strcpy(names[n++], line);
    }
    if (n == classes) {
        d->class_names = names;
    } else {
        for (int i = 0; i < n; i++)
            free(names[i]);
        free(names);
    }
    if (f)
        fclose(f);
    free(path);
}

/* The files' store, in the dataset. */
static struct record_files *files_new(struct dataset *d, const struct cifar_form *form, int learnt)
{
    struct record_files *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    *r = (struct record_files){ .store = { .read = picture_read, .close = files_close,
                                           .ahead = pictures_ahead }, .form = form,
                                .learnt = learnt };
    for (int i = 0; i < FILES_MAX; i++)
        r->files[i].fd = -1;
    for (int i = 0; i < form->files; i++) {
        r->files[i].first = r->records;
        r->records += form->file[i].records;
    }
    d->store = &r->store;
    r->labels = malloc((size_t)r->records);
    return r->labels ? r : NULL;
}

static int form_read(struct dataset *d, const char *dir, const struct cifar_form *form, int learnt)
{
    const char *names[FILES_MAX];
    int last = form->files - 1, classes = form->label[learnt].classes;
    d->channels = CHANNELS;
    d->height = d->width = SIDE;
    d->target.size = classes;
    struct record_files *r = files_new(d, form, learnt);
    if (!r) {
        rt_error("no memory for the labels of %s", dir);
        return -1;
    }
    for (int i = d->use.test_only ? last : 0; i < form->files; i++)
        if (file_open(r, i, dir))
            return -1;
    int64_t test = r->files[last].first;
    if (split_fill(d, &d->train, 0, d->use.test_only ? 0 : test) || split_fill(d, &d->val, test, r->records - test))
        return -1;
    names_read(d, dir, form->label[learnt].names, classes);
    for (int i = 0; i < form->files; i++)
        names[i] = form->file[i].name;
    rt_unused_tell(dir, looks_like_records, names, form->files);
    return 0;
}

static int read10(struct dataset *d, const char *dir, const struct cnn_model *model)
{
    (void)model;
    return form_read(d, dir, &cifar10, 0);
}

static int read100(struct dataset *d, const char *dir, const struct cnn_model *model)
{
    return form_read(d, dir, &cifar100, strcmp(rt_setting_text(&model->data.source, "labels"), "fine") == 0);
}

const struct data_source rt_data_cifar10 = {
    .name = "cifar10", .probe = probe10, .read = read10,
    .files = "data_batch_1.bin ... data_batch_5.bin, test_batch.bin", .mistaken = mistaken10
};

const struct data_source rt_data_cifar100 = {
    .name = "cifar100", .probe = probe100, .read = read100, .files = "train.bin, test.bin", .mistaken = mistaken100
};
