/* data_cifar10.c - CIFAR-10's official binary files.
 *
 * Six files of 10,000 records; a record is a label byte, then 1,024 red, 1,024 green and 1,024 blue
 * bytes, each plane row by row (https://www.cs.toronto.edu/~kriz/cifar.html).
 */
#include "data.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"

enum {
    SIDE = 32,
    PLANE = SIDE * SIDE,
    CHANNELS = 3,
    PICTURE = CHANNELS * PLANE,
    RECORD = 1 + PICTURE,
    RECORDS = 10000,
    CLASSES = 10,
    TRAINING_FILES = 5
};

static const char *const training_files[TRAINING_FILES] = { "data_batch_1.bin", "data_batch_2.bin",
                                                            "data_batch_3.bin", "data_batch_4.bin",
                                                            "data_batch_5.bin" };
static const char test_file[] = "test_batch.bin";

static bool probe(const char *dir)
{
    for (int i = 0; i < TRAINING_FILES; i++)
        if (rt_file_exists(dir, training_files[i]))
            return true;
    return rt_file_exists(dir, test_file);
}

/* One record into place `at` of the split: planes become interleaved channels. */
static void record_keep(const uint8_t *record, struct split *s, int64_t at)
{
    uint8_t *to = s->pixels + at * PICTURE;
    s->labels[at] = record[0];
    for (int i = 0; i < PLANE; i++)
        for (int c = 0; c < CHANNELS; c++)
            to[i * CHANNELS + c] = record[1 + c * PLANE + i];
}

static int records_read(FILE *f, const char *path, struct split *s, int64_t first)
{
    uint8_t record[RECORD];
    for (int i = 0; i < RECORDS; i++) {
        size_t got = fread(record, 1, RECORD, f);
        if (ferror(f)) {
            rt_error("%s: record %d: %s", path, i + 1, strerror(errno));
            return -1;
        }
        if (got < RECORD) {
            rt_error("%s: record %d of %d is %s: expected a file of %d bytes (%d records of %d), "
                     "found %lld",
                     path, i + 1, RECORDS, got ? "cut short" : "missing", RECORDS * RECORD, RECORDS,
                     RECORD, (long long)i * RECORD + (long long)got);
            return -1;
        }
        if (record[0] >= CLASSES) {
            rt_error("%s: record %d: label %d, expected 0 to %d", path, i + 1, record[0],
                     CLASSES - 1);
            return -1;
        }
        record_keep(record, s, first + i);
    }
    if (fgetc(f) != EOF) {
        rt_error("%s: the file goes on after record %d: expected %d bytes (%d records of %d)", path,
                 RECORDS, RECORDS * RECORD, RECORDS, RECORD);
        return -1;
    }
    return 0;
}

static int file_read(const char *dir, const char *name, struct split *s, int64_t first)
{
    char *path = rt_path_join(dir, name);
    if (!path)
        return -1;
    FILE *f = fopen(path, "rb");
    int failed = -1;
    if (f)
        failed = records_read(f, path, s, first);
    else
        rt_error("%s: %s; CIFAR-10 is data_batch_1.bin to data_batch_5.bin and test_batch.bin",
                 path, strerror(errno));
    if (f)
        fclose(f);
    free(path);
    return failed;
}

/* Names of the classes, one a line, where the file is there and holds ten; they are only for

 * show. */
static void names_read(struct dataset *d, const char *dir)
{
    char *path = rt_path_join(dir, "batches.meta.txt");
    FILE *f = path ? fopen(path, "r") : NULL;
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
    d->classes = CLASSES;
    int training_files_read = d->test_only ? 0 : TRAINING_FILES;
    if (rt_split_allocate(d, &d->train, (int64_t)training_files_read * RECORDS)
        || rt_split_allocate(d, &d->val, RECORDS))
        return -1;
    for (int i = 0; i < training_files_read; i++)
        if (file_read(dir, training_files[i], &d->train, (int64_t)i * RECORDS))
            return -1;
    if (file_read(dir, test_file, &d->val, 0))
        return -1;
    names_read(d, dir);
    return 0;
}

const struct data_source rt_data_cifar10 = {
    .name = "cifar10", .probe = probe, .read = read_all,
    .files = "data_batch_1.bin ... data_batch_5.bin, test_batch.bin"
};
