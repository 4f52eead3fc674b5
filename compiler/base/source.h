/* source.h - the files being compiled and places in them.  Nodes carry byte spans; lines and columns are
 * computed only when a message is printed. */
#ifndef SOURCE_H
#define SOURCE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "base/arena.h"

struct source {
    const char *path;           /* as the user wrote it */
    const char *text;           /* NUL-terminated copy; text[size] == 0 */
    size_t size;
    const uint32_t *lines;      /* where each line after the first begins */
    int lines_count;
};

/* Half open: bytes [begin, end) of a file.  file NULL: no place (a default, a command line option). */
struct span {
    const struct source *file;
    size_t begin, end;
};

struct place {
    int line, column;           /* from 1; the column counts characters (UTF-8), not bytes */
};

/* Opens a file of the user's for reading, NULL with errno set.  It may be a pipe whose other end is open; nobody is
 * waited for who may open it. */
FILE *source_open_stream(const char *path);

/* Reads a whole file.  NULL with errno set when it cannot be read; source_problem() says it in words. */
struct source *source_read(struct arena *a, const char *path);
/* The same of a stream, which path names in messages; it stays open. */
struct source *source_read_stream(struct arena *a, const char *path, FILE *f);
const char *source_problem(int error);
struct source *source_from_text(struct arena *a, const char *path, const char *text, size_t size);
struct place source_place(const struct source *file, size_t offset);
struct span span_join(struct span a, struct span b);

#endif
