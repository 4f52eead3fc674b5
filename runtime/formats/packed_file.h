/* packed_file.h - a file that is read from its beginning to its end, gzipped or not. */
#ifndef PACKED_FILE_H
#define PACKED_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <zlib.h>

struct packed_file {
    char *path;                 /* malloc'd */
    gzFile file;
    struct stat status;         /* of what lies on the disk */
};

/* 0, or -1 with a message; rt_packed_close() frees it in either case. */
int rt_packed_open(struct packed_file *f, const char *path);
void rt_packed_close(struct packed_file *f);

/* The next `size` bytes, fewer only at the end.  -1 with a message: the system's error, or a broken gzip stream. */
int64_t rt_packed_read(struct packed_file *f, void *to, size_t size);
/* Whether a gzip stream broke off where reading came to an end. */
bool rt_packed_cut(const struct packed_file *f);
/* Whether the file is no gzip stream but the bytes themselves. */
bool rt_packed_plain(const struct packed_file *f);

#endif
