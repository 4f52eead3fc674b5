/* record_store.c - parts of files, one behind the other. */
#define _GNU_SOURCE
#include "data/record_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/file_path.h"
#include "core/message.h"
#include "core/regular_file.h"

enum { GAP_MOST = 8 };          /* records that are read ahead in vain rather than the next apart */

/* Records that lie in one file behind each other. */
struct part {
    int fd;
    char *path;
    off_t at;
    int64_t first, count;
};

struct record_store {
    struct sample_store store;  /* first: the dataset's pointer is this one's */
    size_t bytes;
    struct part *parts;
    int parts_count;
    int64_t count;
    int temporary;              /* the file of all that is reserved, record number 0 at its beginning; -1: none yet */
    bool shared;                /* it is one that other processes read as well */
};

static const struct part *part_of(const struct record_store *r, int64_t number)
{
    int k = r->parts_count - 1;
    while (k > 0 && number < r->parts[k].first)
        k--;
    return &r->parts[k];
}

static int record_read(const struct sample_store *store, int64_t number, void *to)
{
    const struct record_store *r = (const struct record_store *)store;
    const struct part *p = part_of(r, number);
    int64_t record = number - p->first;
    ssize_t got = rt_read_at(p->fd, to, r->bytes, p->at + (off_t)record * (off_t)r->bytes);
    if (got < 0) {
        rt_error("%s: record %lld: %s", p->path, (long long)record + 1, strerror(errno));
        return -1;
    }
    if ((size_t)got < r->bytes) {
        rt_error("%s: record %lld of %lld is cut short: expected %zu bytes, found %zd", p->path,
                 (long long)record + 1, (long long)p->count, r->bytes, got);
        return -1;
    }
    return 0;
}

void rt_records_ahead(int fd, off_t at, size_t bytes, const uint32_t *numbers, int64_t count)
{
    for (int64_t first = 0, i = 1; i <= count; i++) {
        if (i < count && numbers[i] >= numbers[i - 1] && numbers[i] - numbers[i - 1] <= GAP_MOST)
            continue;
#if defined POSIX_FADV_WILLNEED
        posix_fadvise(fd, at + (off_t)numbers[first] * (off_t)bytes,
                      ((off_t)numbers[i - 1] - (off_t)numbers[first] + 1) * (off_t)bytes, POSIX_FADV_WILLNEED);
#endif
        first = i;
    }
}

static void records_ahead(const struct sample_store *store, const uint32_t *numbers, int64_t count)
{
    const struct record_store *r = (const struct record_store *)store;
    for (int64_t first = 0, i = 1; i <= count; i++) {
        const struct part *p = part_of(r, numbers[first]);
        if (i < count && part_of(r, numbers[i]) == p)
            continue;
        rt_records_ahead(p->fd, p->at - (off_t)p->first * (off_t)r->bytes, r->bytes, numbers + first, i - first);
        first = i;
    }
}

static void records_close(struct sample_store *store)
{
    struct record_store *r = (struct record_store *)store;
    for (int i = 0; i < r->parts_count; i++) {
        close(r->parts[i].fd);
        free(r->parts[i].path);
    }
    if (r->temporary >= 0)
        close(r->temporary);
    free(r->parts);
    free(r);
}

struct sample_store *rt_records_open(size_t bytes)
{
    struct record_store *r = calloc(1, sizeof *r);
    if (!r) {
        rt_error("no memory to keep samples in files");
        return NULL;
    }
    *r = (struct record_store){ .store = { .read = record_read, .close = records_close, .ahead = records_ahead },
                                .bytes = bytes, .temporary = -1 };
    return &r->store;
}

void rt_records_temporary(struct sample_store *store, int fd)
{
    struct record_store *r = (struct record_store *)store;
    r->temporary = fd;
    r->shared = true;
}

int64_t rt_records_add(struct sample_store *store, int fd, const char *path, off_t at, int64_t count)
{
    struct record_store *r = (struct record_store *)store;
    struct part *grown = realloc(r->parts, ((size_t)r->parts_count + 1) * sizeof *grown);
    char *name = strdup(path);
    r->parts = grown ? grown : r->parts;
    if (!grown || !name) {
        rt_error("%s: no memory to keep it open", path);
        free(name);
        close(fd);
        return -1;
    }
    r->parts[r->parts_count++] = (struct part){ .fd = fd, .path = name, .at = at, .first = r->count, .count = count };
    r->count += count;
    return r->count - count;
}

static const char *temporary_folder(void)
{
    const char *set = getenv("TMPDIR");
    return set && *set ? set : "/var/tmp";
}

/* A file that no name leads to; -1 with errno. */
static int nameless_open(void)
{
#if defined O_TMPFILE
    int made = open(temporary_folder(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (made >= 0)
        return made;
#endif
    char *path;
    int fd = rt_temporary_open(&path);
    if (fd >= 0)
        unlink(path);
    free(path);
    return fd;
}

int rt_temporary_open(char **path)
{
    int fd = (*path = rt_path_join(temporary_folder(), "cnnrt-XXXXXX")) ? mkstemp(*path) : -1;
    if (fd >= 0)
        fcntl(fd, F_SETFD, FD_CLOEXEC);
    return fd;
}

static int temporary_fault(const struct record_store *r, int64_t bytes, int error)
{
    rt_error("%s: no temporary file of %.1f MiB for samples that %s: %s; TMPDIR names another folder",
             temporary_folder(), (double)bytes / 1048576.0,
             r->shared ? "the processes of this machine share" : "do not fit into --data-memory", strerror(error));
    return -1;
}

int64_t rt_records_reserve(struct sample_store *store, int64_t count)
{
    struct record_store *r = (struct record_store *)store;
    const int64_t bytes = count * (int64_t)r->bytes, at = r->count * (int64_t)r->bytes;
    if (r->temporary < 0 && (r->temporary = nameless_open()) < 0)
        return temporary_fault(r, bytes, errno);
    /* all of it now: a disk that is too small should not show in an hour */
    int failed = bytes ? posix_fallocate(r->temporary, at, bytes) : 0;
    if (failed && failed != EOPNOTSUPP && failed != EINVAL)
        return temporary_fault(r, bytes, failed);
    int fd = fcntl(r->temporary, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return temporary_fault(r, bytes, errno);
    char *name = rt_path_join(temporary_folder(), "(temporary file of samples)");
    int64_t first = rt_records_add(store, fd, name ? name : "(temporary file)", at, count);
    free(name);
    return first;
}

int rt_records_put(struct sample_store *store, int64_t number, const void *sample)
{
    const struct record_store *r = (const struct record_store *)store;
    const struct part *p = part_of(r, number);
    off_t at = p->at + (off_t)(number - p->first) * (off_t)r->bytes;
    for (size_t put = 0; put < r->bytes;) {
        ssize_t n = pwrite(p->fd, (const char *)sample + put, r->bytes - put, at + (off_t)put);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            rt_error("%s: %s", p->path, strerror(n < 0 ? errno : ENOSPC));
            return -1;
        }
        put += (size_t)n;
    }
    return 0;
}
