/* array_file.h - one array of numbers in a file, read from its first element to the last or, where it lies in the file
 * as it is, anywhere: an .npy file.
 *
 * Every message begins with the array's name, and a file is believed as far as it is long.
 */
#ifndef ARRAY_FILE_H
#define ARRAY_FILE_H

#include <sys/stat.h>

#include "formats/npy.h"

struct array_file {
    char *name;                 /* malloc'd: the file's */
    int fd;                     /* -1: not open */
    struct stat status;         /* when it was opened */
    struct npy_header header;
    int64_t bytes;              /* of the elements */
    int64_t next;               /* where rt_array_next() goes on */
};

/* Opens it and checks that it is whole.  0, or -1 with a message; rt_array_close() frees it in either case. */
int rt_array_open(struct array_file *a, const char *path);
void rt_array_close(struct array_file *a);

/* `size` bytes of the elements, from byte `at` on; by any number of threads.  0, or -1 with a message: also where the file
 * has been written to since it was opened. */
int rt_array_at(const struct array_file *a, int64_t at, void *to, size_t size);
/* The next `size` bytes.  Likewise. */
int rt_array_next(struct array_file *a, void *to, size_t size);

#endif
