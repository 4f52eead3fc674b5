/* output.h - the files that cnnc writes: whole or not at all, and never over a file that it has not made. */
#ifndef OUTPUT_H
#define OUTPUT_H

#include <stdbool.h>
#include <stdio.h>

#include "base/inputs.h"

/* What cnnc ends with: fine, errors in the model or its files, wrong use. */
enum { EXIT_FINE = 0, EXIT_FAILED = 1, EXIT_WRONG_USE = 2 };

/* How the first line of each of them goes on, behind the opening of a comment.  A file without it is somebody
 * else's. */
#define OUTPUT_MARK "Made by cnnc"

/* One file of several that belong together. */
struct output_part {
    const char *path;
    const char *role;           /* "the header of net.c"; NULL: the one that -o names */
    void (*write)(const void *what, FILE *out);
    const void *what;
};

/* Whether the output is a stream: no name of a file, or that of a device or pipe.  Nothing lies beside such a one. */
bool output_is_stream(const char *path);
/* path with another ending in place of .c, or behind what does not end so: "v8.h". */
const char *output_beside(struct arena *a, const char *path, const char *ending);
/* All of them, and a depfile where one is asked for.  They are written under other names and renamed when all are
 * whole, or nothing is changed; signals that end the program remove what is not.  The exit status. */
int output_write_parts(struct arena *a, const struct output_part *parts, int count, const char *depfile,
                       const struct inputs *in);
/* Writes a file of the user's anew, whole or not at all, as above, with the rights that it has.  False: reported. */
bool output_replace(struct arena *a, const char *path, const char *text, size_t size);
/* One part alone, to a stream.  The exit status. */
int output_write_stream(const struct output_part *part);

#endif
