/* atomic_file.c - write beside, force to the disk, rename. */
#define _GNU_SOURCE
#include "core/atomic_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "core/message.h"

static int failed(const struct atomic_file *f, const char *doing)
{
    rt_error("%s: cannot %s: %s", f->path, doing, strerror(errno));
    return -1;
}

/* The length of a path's directory with its slash: 0 for a bare name. */
static size_t directory_length(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) + 1 : 0;
}

int rt_atomic_open(struct atomic_file *f, const char *path)
{
    *f = (struct atomic_file){ .path = path, .descriptor = -1 };
    struct stat status;
    if (stat(path, &status) == 0 && !S_ISREG(status.st_mode)) {
        /* a rename would replace a device */
        rt_error("%s: exists and is not a regular file", path);
        return -1;
    }
    size_t room = strlen(path) + 32, dir = directory_length(path);
    f->temporary = malloc(room);
    if (!f->temporary)
        return failed(f, "write");
    snprintf(f->temporary, room, "%.*s.%s.%ld.tmp", (int)dir, path, path + dir, (long)getpid());
    unlink(f->temporary);       /* of a dead process that had our number */
    f->descriptor = open(f->temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (f->descriptor >= 0)
        return 0;
    failed(f, "write");
    free(f->temporary);
    f->temporary = NULL;
    return -1;
}

int rt_atomic_write(struct atomic_file *f, const void *data, size_t size)
{
    f->checksum = (uint32_t)crc32_z(f->checksum, data, size);
    const char *at = data;
    while (size > 0) {
        ssize_t n = write(f->descriptor, at, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return failed(f, "write");
        at += n;
        size -= (size_t)n;
    }
    return 0;
}

int rt_atomic_check(struct atomic_file *f, int64_t at, const void *data, size_t length, int64_t size)
{
    const char *expected = data;
    char piece[4096];
    struct stat status;
    bool fits = fstat(f->descriptor, &status) == 0 && status.st_size == size;
    while (fits && length > 0) {
        size_t some = length < sizeof piece ? length : sizeof piece;
        ssize_t got = pread(f->descriptor, piece, some, at);
        if (got < 0 && errno == EINTR)
            continue;
        fits = got > 0 && memcmp(piece, expected, (size_t)got) == 0;
        if (fits) {
            at += got;
            expected += got;
            length -= (size_t)got;
        }
    }
    if (!fits)
        rt_error("%s: is not read back as it was written; it is not kept", f->path);
    return fits ? 0 : -1;
}

/* A new name is safe only when its directory is on the disk too.  Some file systems cannot do that;
 * the file itself is whole all the same. */
static void directory_sync(const char *path)
{
    size_t length = directory_length(path);
    char *dir = length ? strndup(path, length) : strdup(".");
    int descriptor = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (descriptor >= 0) {
        fsync(descriptor);
        close(descriptor);
    }
    free(dir);
}

int rt_atomic_commit(struct atomic_file *f)
{
    return rt_atomic_commit_keeping(f, NULL);
}

int rt_atomic_commit_keeping(struct atomic_file *f, const char *previous)
{
    int status = fsync(f->descriptor) ? failed(f, "write") : 0;
    if (close(f->descriptor) && status == 0)
        status = failed(f, "write");
    f->descriptor = -1;
    if (status == 0 && previous && rename(f->path, previous) && errno != ENOENT)
        status = failed(f, "keep the one before");
    if (status == 0 && rename(f->temporary, f->path))
        status = failed(f, "rename to");
    if (status) {
        rt_atomic_drop(f);
        return -1;
    }
    directory_sync(f->path);
    free(f->temporary);
    f->temporary = NULL;
    return 0;
}

void rt_atomic_drop(struct atomic_file *f)
{
    if (f->descriptor >= 0)
        close(f->descriptor);
    if (f->temporary)
        unlink(f->temporary);
    free(f->temporary);
    *f = (struct atomic_file){ .descriptor = -1 };
}

bool rt_atomic_is_temporary(const char *name, const char *base, bool (*gives)(const char *base, const char *name))
{
    const char ending[] = ".tmp";
    size_t length = strlen(name), end = sizeof ending - 1;
    if (name[0] != '.' || length <= end || strcmp(name + length - end, ending))
        return false;
    size_t digits = 0, at = length - end;
    while (at > 1 && name[at - 1] >= '0' && name[at - 1] <= '9') {
        at--;
        digits++;
    }
    if (digits == 0 || at < 2 || name[at - 1] != '.')
        return false;
    char *whole = strndup(name + 1, at - 2);
    bool is = whole && (gives ? gives(base, whole) : strcmp(base, whole) == 0);
    free(whole);
    return is;
}
