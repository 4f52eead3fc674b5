/* inputs.h - the files that a compilation was made from: no output may take their place, and a depfile tells make of
 * them. */
#ifndef INPUTS_H
#define INPUTS_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#include "base/arena.h"

struct input {
    const char *path;           /* as it was opened */
    const char *what;           /* "the model", "the weights" */
    bool known;                 /* device and inode are */
    dev_t device;
    ino_t inode;
};

struct inputs {
    struct arena *arena;
    struct input *list;         /* each file once; the model first */
    int count;
    size_t capacity;
};

/* A file that has been read. */
void inputs_add(struct inputs *in, const char *path, const char *what);
/* The input that writing to path would destroy, whatever it is called there; NULL: none. */
const struct input *inputs_find(const struct inputs *in, const char *path);
/* A makefile: the targets are made from the inputs, and an input that is there no more is no error. */
void inputs_depfile(const struct inputs *in, const char *const *targets, int targets_count, FILE *out);

#endif
