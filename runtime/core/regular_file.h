/* regular_file.h - opens files for reading that are files: at a pipe of that name one would wait for
 * whoever may write into it, and a device may never end. */
#ifndef REGULAR_FILE_H
#define REGULAR_FILE_H

#include <sys/stat.h>
#include <sys/types.h>

/* A descriptor and what fstat() says of it, or -1 and why as half a sentence that follows the file's
 * name and a colon. */
int rt_regular_open(const char *path, struct stat *status, const char **why);

/* As much as there is of a file's bytes from `at` on, up to `size`; -1 with errno.  Threads may share the
 * descriptor. */
ssize_t rt_read_at(int fd, void *to, size_t size, off_t at);

#endif
