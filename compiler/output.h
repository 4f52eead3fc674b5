/* output.h - the files that cnnc writes: whole or not at all. */
#ifndef OUTPUT_H
#define OUTPUT_H

#include "plan.h"

/* The C file at path (- is standard output) and the model's header beside it.  Both are written
 * under other names and renamed when they are whole.  The exit status. */
int output_write(struct arena *a, const char *path, const struct plan *p);
/* One file of several that belong together. */
struct output_part {
    const char *path;
    void (*write)(const void *what, FILE *out);
    const void *what;
};
/* All of them, renamed when all are whole.  The exit status. */
int output_write_parts(struct arena *a, const struct output_part *parts, int count);
/* Whether writing to one would destroy the other. */
bool output_is_input(const char *output, const char *input);

#endif
