/* packed_file.c - see packed_file.h; zlib tells one from the other. */
#define _GNU_SOURCE
#include "formats/packed_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/message.h"
#include "core/regular_file.h"

int rt_packed_open(struct packed_file *f, const char *path)
{
    const char *why;
    *f = (struct packed_file){ .path = strdup(path) };
    int fd = f->path ? rt_regular_open(path, &f->status, &why) : -1;
    if (!f->path) {
        rt_error("%s: %s", path, strerror(ENOMEM));
        return -1;
    }
    if (fd < 0) {
        rt_error("%s: %s", path, why);
        return -1;
    }
    f->file = gzdopen(fd, "rb");
    if (!f->file) {
        close(fd);
        rt_error("%s: %s", path, strerror(ENOMEM));
        return -1;
    }
    gzbuffer(f->file, 1 << 17);
    return 0;
}

void rt_packed_close(struct packed_file *f)
{
    if (f->file)
        gzclose(f->file);
    free(f->path);
    *f = (struct packed_file){ 0 };
}

int64_t rt_packed_read(struct packed_file *f, void *to, size_t size)
{
    char *at = to;
    while (size > 0) {
        unsigned chunk = size > (1u << 28) ? 1u << 28 : (unsigned)size;
        int n = gzread(f->file, at, chunk);
        if (n > 0) {
            at += n;
            size -= (size_t)n;
            continue;
        }
        int code;
        const char *text = gzerror(f->file, &code);
        if (code == Z_ERRNO)
            text = strerror(errno);
        if (code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR)
            break;
        rt_error("%s: %s", f->path, text);
        return -1;
    }
    return at - (char *)to;
}

bool rt_packed_cut(const struct packed_file *f)
{
    int code;
    gzerror(f->file, &code);
    return code == Z_BUF_ERROR;
}

bool rt_packed_plain(const struct packed_file *f)
{
    return gzdirect(f->file) == 1;
}
