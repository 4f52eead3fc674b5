/* array_file.c - see array_file.h. */
#define _GNU_SOURCE
#include "formats/array_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/message.h"
#include "core/regular_file.h"

/* As much as there is of the file's bytes from `at` on, up to `size`; -1 with errno. */
static int64_t bytes_read(int fd, void *to, size_t size, off_t at)
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
    return (int64_t)got;
}

/* The header promises as many bytes as the file has. */
static int length_check(const struct array_file *a, int64_t found)
{
    if (found == a->bytes)
        return 0;
    rt_error("%s: %s: %s takes %lld bytes, %lld are there", a->name, found < a->bytes ? "is cut short" : "is too long",
             rt_npy_text(&a->header).text, (long long)a->bytes, (long long)found);
    return -1;
}

static int header_read(struct array_file *a)
{
    unsigned char head[NPY_HEAD_LIMIT];
    int64_t got = bytes_read(a->fd, head, sizeof head, 0);
    if (got < 0) {
        rt_error("%s: %s", a->name, strerror(errno));
        return -1;
    }
    uint64_t size = (uint64_t)a->status.st_size;
    const char *wrong = size == 0 ? "is empty" : rt_npy_header(&a->header, head, (uint64_t)got, size);
    if (wrong) {
        rt_error("%s: %s", a->name, wrong);
        return -1;
    }
    if (a->header.type == NPY_OTHER) {
        rt_error("%s: its elements are '%s'; numbers of 8 to 64 bits can be read: b1, u1 to u8, i1 to i8, f2, f4 and f8",
                 a->name, a->header.descr);
        return -1;
    }
    a->bytes = a->header.count * a->header.element_size;
    return length_check(a, (int64_t)(size - a->header.start));
}

int rt_array_open(struct array_file *a, const char *path)
{
    const char *why = NULL;
    *a = (struct array_file){ .name = strdup(path), .fd = -1 };
    if (!a->name) {
        rt_error("%s: no memory to read it", path);
        return -1;
    }
    a->fd = rt_regular_open(path, &a->status, &why);
    if (a->fd < 0) {
        rt_error("%s: %s", path, why);
        return -1;
    }
    return header_read(a);
}

void rt_array_close(struct array_file *a)
{
    if (a->name && a->fd >= 0)
        close(a->fd);
    free(a->name);
    *a = (struct array_file){ .fd = -1 };
}

int rt_array_at(const struct array_file *a, int64_t at, void *to, size_t size)
{
    struct stat now;
    int64_t got = bytes_read(a->fd, to, size, (off_t)a->header.start + (off_t)at);
    if (got < 0 || fstat(a->fd, &now)) {
        rt_error("%s: %s", a->name, strerror(errno));
        return -1;
    }
    if (got == (int64_t)size && now.st_size == a->status.st_size
        && now.st_mtim.tv_sec == a->status.st_mtim.tv_sec && now.st_mtim.tv_nsec == a->status.st_mtim.tv_nsec)
        return 0;
    rt_error("%s: the file is being changed: it had %lld bytes when the run began, and now has %lld%s", a->name,
             (long long)a->status.st_size, (long long)now.st_size,
             now.st_size == a->status.st_size ? " others" : "");
    return -1;
}

int rt_array_next(struct array_file *a, void *to, size_t size)
{
    int status = rt_array_at(a, a->next, to, size);
    a->next += (int64_t)size;
    return status;
}
