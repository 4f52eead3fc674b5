/* array_file.c - see array_file.h. */
#define _GNU_SOURCE
#include "formats/array_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/file_path.h"
#include "core/message.h"
#include "core/regular_file.h"

enum {
    PIECE = 1 << 20,
    NAMES_SHOWN = 10
};

/* The header promises as many bytes as the file has. */
static int length_check(const struct array_file *a, int64_t found)
{
    if (found == a->bytes)
        return 0;
    rt_error("%s: %s: %s takes %lld bytes, %lld are there", a->name, found < a->bytes ? "is cut short" : "is too long",
             rt_npy_text(&a->header).text, (long long)a->bytes, (long long)found);
    return -1;
}

/* What its first `got` bytes say of all `size` of it, which lie from a->place on. */
static int header_read(struct array_file *a, const unsigned char *head, uint64_t got, uint64_t size)
{
    const char *wrong = size == 0 ? "is empty" : rt_npy_header(&a->header, head, got, size);
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
    unsigned char head[NPY_HEAD_LIMIT];
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
    int64_t got = rt_read_at(a->fd, head, sizeof head, 0);
    if (got < 0) {
        rt_error("%s: %s", a->name, strerror(errno));
        return -1;
    }
    int status = header_read(a, head, (uint64_t)got, (uint64_t)a->status.st_size);
    if (status && rt_archive_is(path))
        rt_note("it is an archive: 'npz' reads its arrays");
    return status;
}

/* ---- a member of an archive ------------------------------------------------------------------ */

/* Whether a member is the array of that name. */
static bool is_called(const struct archive_member *m, const char *name)
{
    size_t length = strlen(name);
    return strncmp(m->name, name, length) == 0 && (!m->name[length] || strcmp(m->name + length, ".npy") == 0);
}

/* NULL with a message that says what there is. */
static const struct archive_member *member_find(const struct archive *a, const char *name)
{
    const char **names = calloc((size_t)a->count + 1, sizeof *names);
    for (int i = 0; i < a->count; i++) {
        if (is_called(&a->members[i], name)) {
            free(names);
            return &a->members[i];
        }
        if (names)
            names[i] = a->members[i].name;
    }
    char *text = names && a->count ? rt_names_text(names, a->count, NAMES_SHOWN) : NULL;
    rt_error("%s: holds no array '%s'; %s%s", a->path, name, text ? "it holds " : "it is empty", text ? text : "");
    free(text);
    free(names);
    return NULL;
}

/* All of a member that lies there as it is: its bytes fit the checksum. */
static int stored_check(const struct archive *archive, const struct archive_member *m)
{
    struct member_stream s;
    char *piece = malloc(PIECE);
    int status = rt_member_open(&s, archive, m);
    if (!piece)
        status = rt_archive_fault(archive, m, "cannot be read: no memory");
    for (uint64_t left = m->size; left > 0 && status == 0;) {
        uint64_t n = left < PIECE ? left : PIECE;
        status = rt_member_read(&s, piece, n);
        left -= n;
    }
    free(piece);
    rt_member_close(&s);
    return status;
}

/* The header; what is deflated is unpacked as far as the elements. */
static int member_begin(struct array_file *a, const struct archive_member *m)
{
    unsigned char head[NPY_HEAD_LIMIT];
    uint64_t got = m->size < NPY_HEAD_LIMIT ? m->size : NPY_HEAD_LIMIT;
    struct member_stream *s = &a->stream;
    int status = rt_member_open(s, &a->archive, m) || rt_member_read(s, head, got) || header_read(a, head, got, m->size)
                     ? -1 : 0;
    rt_member_close(s);
    if (status)
        return -1;
    if (!a->packed)
        return stored_check(&a->archive, m);
    return rt_member_open(s, &a->archive, m) || rt_member_read(s, head, a->header.start) ? -1 : 0;
}

int rt_array_open_member(struct array_file *a, const char *path, const char *name)
{
    *a = (struct array_file){ .fd = -1 };
    if (rt_archive_open(&a->archive, path))
        return -1;
    const struct archive_member *m = member_find(&a->archive, name);
    if (!m)
        return -1;
    a->fd = a->archive.fd;
    a->status = a->archive.status;
    a->place = m->data;
    a->packed = !rt_member_stored(m);
    if (asprintf(&a->name, "%s: array '%s'", path, name) < 0) {
        a->name = NULL;
        rt_error("%s: no memory to read it", path);
        return -1;
    }
    return member_begin(a, m);
}

void rt_array_close(struct array_file *a)
{
    rt_member_close(&a->stream);
    if (a->archive.path)
        rt_archive_close(&a->archive);
    else if (a->name && a->fd >= 0)
        close(a->fd);
    free(a->name);
    *a = (struct array_file){ .fd = -1 };
}

int rt_array_at(const struct array_file *a, int64_t at, void *to, size_t size)
{
    struct stat now;
    int64_t got = rt_read_at(a->fd, to, size, (off_t)(a->place + a->header.start) + (off_t)at);
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
    int status = a->packed ? rt_member_read(&a->stream, to, size) : rt_array_at(a, a->next, to, size);
    a->next += (int64_t)size;
    return status;
}
