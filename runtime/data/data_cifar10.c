/* data_cifar10.c - CIFAR-10's official binary files.
 *
 * Six files of 10,000 records; a record is a label byte, then 1,024 red, 1,024 green and 1,024 blue
 * bytes, each plane row by row (https://www.cs.toronto.edu/~kriz/cifar.html).
 */
#include "data/data.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/file_path.h"
#include "core/message.h"
#include "core/regular_file.h"

enum {
    SIDE = 32,
    PLANE = SIDE * SIDE,
    CHANNELS = 3,
    PICTURE = CHANNELS * PLANE,
    RECORD = 1 + PICTURE,
    RECORDS = 10000,
    CLASSES = 10,
    TRAINING_FILES = 5,
    FILES = TRAINING_FILES + 1,
    BLOCK = 64                  /* records looked at at a time */
};

/* The last one's records test. */
static const char *const file_names[FILES] = { "data_batch_1.bin", "data_batch_2.bin",
                                               "data_batch_3.bin", "data_batch_4.bin",
                                               "data_batch_5.bin", "test_batch.bin" };

/* The six files.  Every record is looked at once, when they are opened; a batch reads its pictures
 * anew. */
struct record_files {
    struct sample_store store;         /* first: the dataset's pointer is the files' */
    struct {
        char *path;
        int fd;                         /* -1: not open */
        struct stat status;
    } files[FILES];
    uint8_t labels[FILES * RECORDS];
};

static bool probe(const char *dir)
{
    for (int i = 0; i < FILES; i++)
        if (rt_file_exists(dir, file_names[i]))
            return true;
    return false;
}

static bool looks_like_records(const char *name)
{
    size_t length = strlen(name);
    return length > 4 && strcmp(name + length - 4, ".bin") == 0;
}

static const char *mistaken(const char *dir)
{
    if (rt_file_exists(dir, "data_batch_1"))
        return "holds CIFAR-10 as Python reads it; the binary version is needed";
    if (rt_file_exists(dir, "data_batch_1.mat"))
        return "holds CIFAR-10 as Matlab reads it; the binary version is needed";
    if (rt_file_exists(dir, "cifar-10-binary.tar.gz"))
        return "holds cifar-10-binary.tar.gz, which has to be unpacked";
    if (rt_file_exists(dir, "train.bin") && rt_file_exists(dir, "fine_label_names.txt"))
        return "holds CIFAR-100";
    return NULL;
}

/* As much as there is of the file's bytes from `at` on, up to `size`; -1 with errno. */
static ssize_t bytes_read(int fd, uint8_t *to, size_t size, off_t at)
{
    size_t got = 0;
    while (got < size) {
        ssize_t n = pread(fd, to + got, size - got, at + (off_t)got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        got += (size_t)n;
    }
    return (ssize_t)got;
}

/* What a file is not that holds 10,000 whole records, seen from the record where that shows. */
static int record_missing(const char *path, int record, size_t got)
{
    rt_error("%s: record %d of %d is %s: expected a file of %d bytes (%d records of %d), found %lld",
             path, record + 1, RECORDS, got ? "cut short" : "missing", RECORDS * RECORD, RECORDS,
             RECORD, (long long)record * RECORD + (long long)got);
    return -1;
}

static int record_broken(const char *path, int record)
{
    rt_error("%s: record %d: %s", path, record + 1, strerror(errno));
    return -1;
}

static int labels_read(int fd, const char *path, uint8_t *labels, uint8_t block[BLOCK * RECORD])
{
    for (int first = 0; first < RECORDS; first += BLOCK) {
        int count = RECORDS - first < BLOCK ? RECORDS - first : BLOCK;
        ssize_t got = bytes_read(fd, block, (size_t)count * RECORD, (off_t)first * RECORD);
        if (got < 0)
            return record_broken(path, first);
        for (int i = 0; i < count; i++) {
            int64_t left = (int64_t)got - (int64_t)i * RECORD;
            if (left < RECORD)
                return record_missing(path, first + i, left > 0 ? (size_t)left : 0);
            labels[first + i] = block[i * RECORD];
            if (labels[first + i] >= CLASSES) {
                rt_error("%s: record %d: label %d, expected 0 to %d", path, first + i + 1,
                         labels[first + i], CLASSES - 1);
                return -1;
            }
        }
    }
    uint8_t more;
    if (bytes_read(fd, &more, 1, (off_t)RECORDS * RECORD) > 0) {
        rt_error("%s: the file goes on after record %d: expected %d bytes (%d records of %d)", path,
                 RECORDS, RECORDS * RECORD, RECORDS, RECORD);
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
    char *path = r->files[number].path = rt_path_join(dir, file_names[number]);
    uint8_t *block = malloc(BLOCK * RECORD);
    int failed = -1;
    if (!path || !block) {
        rt_error("no memory to read %s", file_names[number]);
    } else {
        const char *why;
        int fd = r->files[number].fd = rt_regular_open(path, status, &why);
        if (fd < 0)
            rt_error("%s: %s; CIFAR-10 is data_batch_1.bin to data_batch_5.bin and test_batch.bin",
                     path, why);
        else
            failed = labels_read(fd, path, r->labels + number * RECORDS, block);
        if (!failed)
            same_tell(r, number);
    }
    free(block);
    return failed;
}

static int picture_read(const struct sample_store *store, int64_t number, void *room)
{
    uint8_t *to = room;
    const struct record_files *r = (const struct record_files *)store;
    int file = (int)(number / RECORDS), place = (int)(number % RECORDS);
    const char *path = r->files[file].path;
    uint8_t record[RECORD];
    ssize_t got = bytes_read(r->files[file].fd, record, RECORD, (off_t)place * RECORD);
    if (got < 0)
        return record_broken(path, place);
    if (got < RECORD)
        return record_missing(path, place, (size_t)got);
    if (record[0] != r->labels[number]) {
        rt_error("%s: record %d: label %d was %d when the run began: the file is being changed",
                 path, place + 1, record[0], r->labels[number]);
        return -1;
    }
    /* planes become interleaved channels */
    const uint8_t *red = record + 1, *green = red + PLANE, *blue = green + PLANE;
    for (int i = 0; i < PLANE; i++) {
        to[3 * i] = red[i];
        to[3 * i + 1] = green[i];
        to[3 * i + 2] = blue[i];
    }
    return 0;
}

static void files_close(struct sample_store *store)
{
    struct record_files *r = (struct record_files *)store;
    for (int i = 0; i < FILES; i++) {
        if (r->files[i].fd >= 0)
            close(r->files[i].fd);
        free(r->files[i].path);
    }
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

/* Names of the classes, one a line, where the file is there and holds ten; they are only for
 * show. */
static void names_read(struct dataset *d, const char *dir)
{
    char *path = rt_path_join(dir, "batches.meta.txt");
    struct stat status;
    const char *why;
    int fd = path ? rt_regular_open(path, &status, &why) : -1;
    FILE *f = fd >= 0 ? fdopen(fd, "r") : NULL;
    if (fd >= 0 && !f)
        close(fd);
    char **names = f ? calloc(CLASSES, sizeof *names) : NULL;
    int n = 0;
    char line[256];
    while (names && n < CLASSES && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\r\n")] = '\0';
        if (*line && (names[n] = malloc(strlen(line) + 1)))
            strcpy(names[n++], line);
    }
    if (n == CLASSES) {
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

static int read_all(struct dataset *d, const char *dir, const struct cnn_model *model)
{
    (void)model;
    d->channels = CHANNELS;
    d->height = d->width = SIDE;
    d->target.size = CLASSES;
    struct record_files *r = calloc(1, sizeof *r);
    if (!r) {
        rt_error("no memory for the labels of %s", dir);
        return -1;
    }
    r->store = (struct sample_store){ .read = picture_read, .close = files_close };
    for (int i = 0; i < FILES; i++)
        r->files[i].fd = -1;
    d->store = &r->store;
    for (int i = d->test_only ? TRAINING_FILES : 0; i < FILES; i++)
        if (file_open(r, i, dir))
            return -1;
    if (split_fill(d, &d->train, 0, d->test_only ? 0 : (int64_t)TRAINING_FILES * RECORDS)
        || split_fill(d, &d->val, (int64_t)TRAINING_FILES * RECORDS, RECORDS))
        return -1;
    names_read(d, dir);
    rt_unused_tell(dir, looks_like_records, file_names, FILES);
    return 0;
}

const struct data_source rt_data_cifar10 = {
    .name = "cifar10", .probe = probe, .read = read_all,
    .files = "data_batch_1.bin ... data_batch_5.bin, test_batch.bin", .mistaken = mistaken
};
