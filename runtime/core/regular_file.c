/* regular_file.c - opening does not wait, and what is no file is closed again; reading goes on where a signal broke it
 * off. */
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

ssize_t rt_read_at(int fd, void *to, size_t size, off_t at)
{
    size_t got = 0;
    while (got < size) {
        ssize_t n = pread(fd, (char *)to + got, size - got, at + (off_t)got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        got += (size_t)n;
    }
    return (ssize_t)got;
}
