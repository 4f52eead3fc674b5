/* array_file.h - one array of numbers in a file, read from its first element to the last or, where it lies in the file
 * as it is, anywhere: an .npy file, or a member of an .npz archive, stored or deflated.
 *
 * Every message begins with the array's name, and a file is believed as far as it is long.
 */
#ifndef ARRAY_FILE_H
#define ARRAY_FILE_H

#include <sys/stat.h>

#include "formats/archive.h"
#include "formats/npy.h"

struct array_file {
    char *name;                 /* malloc'd: the file's, or its and the member's */
    int fd;                     /* -1: not open */
    struct stat status;         /* when it was opened */
    struct npy_header header;
    uint64_t place;             /* where what the header speaks of begins in the file: 0, or a member's bytes */
    int64_t bytes;              /* of the elements */
    int64_t next;               /* where rt_array_next() goes on */
    bool packed;                /* it is deflated: rt_array_next() alone reads it */
    struct archive archive;     /* of a member; its fd is this one's */
    struct member_stream stream;        /* of one that is deflated */
};

/* Opens it and checks that it is whole.  0, or -1 with a message; rt_array_close() frees it in either case. */
int rt_array_open(struct array_file *a, const char *path);
/* The same for an array of an archive, which is called NAME or NAME.npy in it. */
int rt_array_open_member(struct array_file *a, const char *path, const char *name);
void rt_array_close(struct array_file *a);

/* `size` bytes of the elements, from byte `at` on; by any number of threads.  0, or -1 with a message: also where the
 * file has been written to since it was opened. */
int rt_array_at(const struct array_file *a, int64_t at, void *to, size_t size);
/* The next `size` bytes.  Likewise. */
int rt_array_next(struct array_file *a, void *to, size_t size);

#endif
