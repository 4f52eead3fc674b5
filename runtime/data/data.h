/* data.h - samples with targets, in memory or left in their files, and the sources they come from.  Samples are bytes
 * (pictures) or floats, targets classes or vectors.
 *
 * A source is one file data_NAME.c and one row of the table in data.c.
 */
#ifndef DATA_H
#define DATA_H

#include <stdio.h>
#include "cnnrt.h"
#include "data/sample.h"
#include "core/same_file.h"

/* Samples that stay in their files until a batch needs them: the system's cache of files holds
 * them as well as the process would, and gives them up where memory is short.  A source that can
 * find a sample in its files at once begins a struct of its own with this. */
struct sample_store {
    /* Sample `number`, (height, width, channels); may be called by several threads.  0, or
     * -1 with a message. */
    int (*read)(const struct sample_store *store, int64_t number, void *to);
    void (*close)(struct sample_store *store);
    /* Samples that will be asked for soon: the system may begin to read them.  Likewise by several threads.  NULL:
     * there is nothing to be gained. */
    void (*ahead)(const struct sample_store *store, const uint32_t *numbers, int64_t count);
    bool apart;                 /* each has a file of its own: neighbours are not read faster than others */
    bool dear;                  /* a sample takes longer to make than to copy: decoded, drawn, resized */
};

struct split {
    int64_t count;
    enum cnn_sample_kind kind;  /* of its samples */
    union {                     /* (count, height, width, channels), NULL: they lie in the store */
        void *samples;
        uint8_t *pixels;        /* bytes */
        float *values;          /* floats */
    };
    /* the targets, by the dataset's kind: (count) classes; (count, size) numbers, or a 1 or 0 for each label */
    uint16_t *labels;
    float *vectors;
    const struct sample_store *store;   /* one of the dataset's; NULL where samples is not */
    uint32_t *numbers;          /* (count) which samples of the store; likewise */
    /* (count) what each was called where it was read: its file; or which record of its set's files it was, NULL: in
     * their order */
    char **files;
    uint32_t *records;
    /* (channels, 256) how often each byte occurs, where several processes have counted; or NULL */
    int64_t *counts;
};

/* What several processes are to each other that open the same dataset. */
struct data_together {
    const struct cnn_ranks *ranks;
    /* All of them are here, about to do something, and have the same `value` of what `name` says where it differs
     * (NULL: nothing is compared).  Who cannot go on does not come.  0, or -1: none goes on. */
    int (*agree)(void *arg, const char *about, const char *name, uint64_t value);
    void *arg;
};

/* What a dataset is opened for. */
struct data_use {
    bool test_only;             /* only the set that `evaluate` measures is wanted, and the others may be empty */
    int threads;                /* how many may read */
    int64_t memory;             /* a set of more bytes is no set that fits: its order is one by blocks; 0: any fits */
    int64_t room;               /* bytes of samples that this process may keep; 0: as many as there are */
    bool by_share;              /* other processes need the rest of the samples: those that are found at once are read when they
                                 * are needed, whether they would fit or not */
    const struct data_together *together;       /* those, while it is opened; NULL: each opens it by itself */
    bool gives_on;              /* what is read goes on to them: to a temporary file, whether it would fit or not */
    bool looked_at;             /* another process has read the same files, and found nothing wrong */
};

struct dataset {
    enum cnn_sample_kind kind;
    int channels, height, width;
    struct cnn_target target;   /* the input: it has no others */
    char **class_names;         /* (target.size), or NULL where the source has none */
    struct split train, val;
    /* used once, at the end; empty: val is the test set, or there is none */
    struct split test;
    bool val_tests;             /* val is the test set */
    struct data_use use;        /* set before a source reads */
    int64_t kept;               /* bytes of samples that are */
    bool resized;               /* the source has done `resize` */
    struct sample_store *store; /* the source's; NULL: it has none */
    /* of samples that could not be found at once and are too many to keep, or that several processes share; or NULL */
    struct sample_store *spilled;
    int shared;                 /* where use.gives_on: the file for those that are shared, -1 once it is the store's */
};

struct data_source {
    const char *name;
    /* Whether a directory looks like it holds this source's files; NULL: the source needs no
     * files. */
    bool (*probe)(const char *dir);
    /* Reads everything that is asked for, or looks at it and opens a store.  0, or -1 with a message;
     * rt_dataset_close() frees what was read in either case. */
    int (*read)(struct dataset *d, const char *dir, const struct cnn_model *model);
    /* Reads the samples of one file of the source's own format into d->val, which gets no targets, if the file has any:
     * the dataset's are the input.  Likewise; NULL: the source has no such files. */
    int (*read_file)(struct dataset *d, const char *path, const struct cnn_model *model);
    const char *files;          /* for messages: what the directory must hold */
    /* What a directory that does not hold these files has instead, as half a sentence behind its name;
     * NULL: nothing that looks like them. */
    const char *(*mistaken)(const char *dir);
    /* The files that read() will read, each told to `add` (path NULL: it is not there), without a message of its own.
     * NULL: those whose samples are found at once, or are pictures. */
    void (*list)(const struct dataset *d, const char *dir, const struct cnn_model *model,
                 void (*add)(void *arg, const char *path), void *arg);
    bool prepares;              /* read() does `split`, `limit` and `resize` itself */
    /* read() asks rt_data_file() for files of its own; `dir` is --data's, or NULL */
    bool finds;
};

extern const struct data_source rt_data_cifar10, rt_data_cifar100, rt_data_csv, rt_data_images, rt_data_mnist,
    rt_data_npy, rt_data_npz, rt_data_shapes, rt_data_waves,
    rt_data_echoes;             /* the last two in tests alone */

/* Opens the model's data, checked against its input and target.  `data_dir` is --data's, or NULL.  Classes without a
 * picture in a set are named. */
int rt_dataset_open(struct dataset *d, const struct cnn_model *model, const char *data_dir, struct data_use use);
void rt_dataset_close(struct dataset *d);

/* Whether there are files of samples in the format of the model's source, beside pictures. */
bool rt_dataset_takes_files(const struct cnn_model *model);
/* Opens the samples of such a file as the set `val`, without their targets.  Likewise. */
int rt_dataset_open_file(struct dataset *d, const struct cnn_model *model, const char *path, struct data_use use);

/* Sample i of a split, of so many numbers: where it lies in memory, or read into `room` (for as many);
 * NULL with a message. */
const void *rt_split_sample(const struct split *s, int64_t i, size_t elements, void *room);

/* How a person finds picture i: its file, or the number of its record in the set's files, from 0, written into
 * `room`. */
enum { PICTURE_NAME_ROOM = 24 };
const char *rt_split_name(const struct split *s, int64_t i, char room[PICTURE_NAME_ROOM]);

/* ---- for sources ----------------------------------------------------------------------------- */

/* Tells `add` of each file that the source has under one of so many keys, as data_source.list wants it; they are looked
 * for as rt_data_file() does. */
void rt_data_files_list(const struct cnn_model *m, const char *const *keys, int count, const char *data_dir,
                        void (*add)(void *arg, const char *path), void *arg);
/* The file of a source that finds them itself: in --data's directory (NULL: none was given), where the trainer runs, or
 * beside it.  malloc'd; NULL with a message that names every place looked at. */
char *rt_data_file(const char *name, const char *data_dir);
/* The steps `split`, `limit` and `resize`, done to what a source has read.  0, or -1 with a
 * message. */
int rt_dataset_prepare(struct dataset *d, const struct cnn_model *model);
/* Whether the pictures are what the network takes.  0, or -1 with a message. */
int rt_dataset_fits(const struct dataset *d, const struct cnn_model *model);
/* Memory for `count` samples of the dataset's shape, and their targets.  0, or -1 with a message. */
int rt_split_allocate(const struct dataset *d, struct split *s, int64_t count);
/* Place for `count` samples that are then put there one by one, in any order: in memory, or where that would be more
 * than the dataset's, in a temporary file.  Likewise. */
int rt_split_begin(struct dataset *d, struct split *s, int64_t count);
/* The same for a set whose samples come one by one until there are no more: place for `room` of them, which is more
 * than the `had` that it has had place for, and for their targets.  One set at a time.  Likewise. */
int rt_split_grow(struct dataset *d, struct split *s, int64_t had, int64_t room);
/* No more come behind the set's count. */
void rt_split_end(struct dataset *d, struct split *s, int64_t had);
/* Sample i of it; may be called by several threads.  Likewise. */
int rt_split_put(const struct dataset *d, const struct split *s, int64_t i, const void *sample);
/* Whether so many samples more, of the dataset's shape, may be kept in memory. */
bool rt_dataset_keeps(const struct dataset *d, int64_t count);
/* Whether so many samples that are found at once where they lie stay there. */
bool rt_dataset_leaves(const struct dataset *d, int64_t count);
/* Targets and numbers for `count` samples that stay in the dataset's store.  Likewise. */
int rt_split_allocate_stored(const struct dataset *d, struct split *s, int64_t count);
void rt_split_free(struct split *s);
/* The target of sample i of a split as that of sample k of another. */
void rt_split_copy_target(const struct dataset *d, const struct split *from, int64_t i, struct split *to, int64_t k);
/* Names the files in `dir` that look like the source's and are none of those that are read. */
void rt_unused_tell(const char *dir, bool (*looks)(const char *name), const char *const *used, int used_count);

#endif
