/* regular_file.c - opening does not wait, and what is no file is closed again. */
#include "core/regular_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int rt_regular_open(const char *path, struct stat *status, const char **why)
{
    int d = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (d >= 0 && fstat(d, status) == 0 && S_ISREG(status->st_mode))
        return d;
    *why = d >= 0 && !S_ISREG(status->st_mode) ? "is not a regular file" : strerror(errno);
    if (d >= 0)
        close(d);
    return -1;
}
