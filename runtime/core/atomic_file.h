/* atomic_file.h - a file that appears whole or not at all. */
#ifndef ATOMIC_FILE_H
#define ATOMIC_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct atomic_file {
    const char *path;           /* the caller's; the name it shall have */
    char *temporary;            /* beside it, until it is whole */
    int descriptor;
    uint32_t checksum;          /* CRC-32 of what was written so far */
};

/* Each: 0, or -1 with a message that names the file.  After a failed write the file is to be
 * dropped. */
int rt_atomic_open(struct atomic_file *f, const char *path);
int rt_atomic_write(struct atomic_file *f, const void *data, size_t size);
/* Whether what was written can be read back: `size` bytes, and from byte `at` on those given. */
int rt_atomic_check(struct atomic_file *f, int64_t at, const void *data, size_t length, int64_t size);
/* Forces the file to the disk and gives it its name; drops it when that fails. */
int rt_atomic_commit(struct atomic_file *f);
/* The same; the older file of that name is kept under the name `previous`.  Whenever the machine
 * stops, one of the two names bears a whole file. */
int rt_atomic_commit_keeping(struct atomic_file *f, const char *previous);
/* Whether a name is how such a file is called until it is whole, of a base name that `gives` accepts for `base`
 * (".last.safetensors.4711.tmp"); gives NULL: of `base` itself. */
bool rt_atomic_is_temporary(const char *name, const char *base, bool (*gives)(const char *base, const char *name));
/* Removes what was written; the name's older file is as it was. */
void rt_atomic_drop(struct atomic_file *f);

#endif
