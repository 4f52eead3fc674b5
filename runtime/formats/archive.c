/* archive.c - see archive.h. */
#define _GNU_SOURCE
#include "formats/archive.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/message.h"
#include "core/regular_file.h"

enum {
    LOCAL_BYTES = 30,           /* of a member's own header, without name and extra */
    ENTRY_BYTES = 46,           /* of the directory's, likewise */
    END_BYTES = 22,             /* of the directory's end, without comment */
    LOCATOR_BYTES = 20,         /* before it, where numbers do not fit: where the wide end lies */
    WIDE_BYTES = 56,            /* of that */
    COMMENT_LIMIT = 65535,
    DIRECTORY_LIMIT = 1 << 26,
    STORED = 0,
    DEFLATED = 8,
    DEFLATE_LIMIT = 1032,       /* no deflated byte makes more */
    ROOM = 1 << 16
};

static uint32_t number16(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t number32(const unsigned char *p)
{
    return number16(p) | number16(p + 2) << 16;
}

static uint64_t number64(const unsigned char *p)
{
    return number32(p) | (uint64_t)number32(p + 4) << 32;
}

/* `size` bytes of the file from `at` on.  0, or -1. */
static int bytes_at(int fd, void *to, size_t size, uint64_t at)
{
    return rt_read_at(fd, to, size, (off_t)at) == (ssize_t)size ? 0 : -1;
}

bool rt_archive_is(const char *path)
{
    unsigned char head[4] = { 0 };
    struct stat status;
    const char *why;
    int file = rt_regular_open(path, &status, &why);
    bool got = file >= 0 && bytes_at(file, head, sizeof head, 0) == 0;
    if (file >= 0)
        close(file);
    /* a member's header, or the end of an empty archive */
    return got && (number32(head) == UINT32_C(0x04034b50) || number32(head) == UINT32_C(0x06054b50));
}

int rt_archive_fault(const struct archive *a, const struct archive_member *m, const char *what)
{
    if (m)
        rt_error("%s: member '%s' %s", a->path, m->name, what);
    else
        rt_error("%s: %s", a->path, what);
    return -1;
}

/* ---- the directory --------------------------------------------------------------------------- */

/* Where it lies, and how much it holds. */
struct directory {
    uint64_t place, length, count;
};

static uint64_t file_size(const struct archive *a)
{
    return (uint64_t)a->status.st_size;
}

/* Numbers that do not fit the directory's end at `end` stand in one of more bytes. */
static int wide_end_read(const struct archive *a, uint64_t end, struct directory *d)
{
    unsigned char locator[LOCATOR_BYTES], wide[WIDE_BYTES];
    uint64_t at = 0;
    bool found = end >= LOCATOR_BYTES && bytes_at(a->fd, locator, sizeof locator, end - LOCATOR_BYTES) == 0
                 && number32(locator) == UINT32_C(0x07064b50);
    if (found)
        at = number64(locator + 8);
    found = found && at <= end - LOCATOR_BYTES && end - LOCATOR_BYTES - at >= WIDE_BYTES
            && bytes_at(a->fd, wide, sizeof wide, at) == 0 && number32(wide) == UINT32_C(0x06064b50);
    if (!found)
        return rt_archive_fault(a, NULL, "the archive's directory is broken");
    *d = (struct directory){ .count = number64(wide + 32), .length = number64(wide + 40),
                             .place = number64(wide + 48) };
    return 0;
}

/* The directory's end is the last place that looks like one. */
static int end_find(const struct archive *a, struct directory *d)
{
    uint64_t size = file_size(a), length = size < END_BYTES + COMMENT_LIMIT ? size : END_BYTES + COMMENT_LIMIT,
        back = END_BYTES;
    unsigned char *tail = malloc((size_t)length + 1), *p = NULL;
    if (!tail)
        return rt_archive_fault(a, NULL, "no memory for its directory");
    if (bytes_at(a->fd, tail, (size_t)length, size - length)) {
        free(tail);
        return rt_archive_fault(a, NULL, "cannot be read");
    }
    for (; back <= length && !p; back++)
        if (number32(tail + length - back) == UINT32_C(0x06054b50) && number16(tail + length - back + 20) == back -
            END_BYTES)
            p = tail + length - back;
    if (p)
        *d = (struct directory){ .count = number16(p + 10), .length = number32(p + 12), .place = number32(p + 16) };
    bool found = p != NULL;
    uint64_t end = size - length + (p ? (uint64_t)(p - tail) : 0);
    free(tail);
    if (!found)
        return rt_archive_fault(a, NULL, "is cut short: the archive's directory is missing");
    if (d->count == 0xffff || d->length == UINT32_MAX || d->place == UINT32_MAX)
        if (wide_end_read(a, end, d))
            return -1;
    if (d->place > end || d->length > end - d->place || d->count > d->length / ENTRY_BYTES)
        return rt_archive_fault(a, NULL, "the archive's directory is broken");
    return d->length > DIRECTORY_LIMIT ? rt_archive_fault(a, NULL, "has a directory of more than 64 MiB") : 0;
}

/* Sizes and place that do not fit 32 bits stand in the extra field, in this order. */
static const char *entry_wide(const unsigned char *extra, uint32_t length, uint64_t *size,
                              uint64_t *packed, uint64_t *place)
{
    uint64_t *values[] = { size, packed, place };
    while (length >= 4) {
        uint32_t id = number16(extra), bytes = number16(extra + 2);
        if (bytes > length - 4)
            return "has a broken extra field";
        const unsigned char *at = extra + 4, *end = at + bytes;
        for (int i = 0; id == 1 && i < 3; i++) {
            if (*values[i] != UINT32_MAX)
                continue;
            if (end - at < 8)
                return "has a broken zip64 field";
            *values[i] = number64(at);
            at += 8;
        }
        extra += 4 + bytes;
        length -= 4 + bytes;
    }
    return NULL;
}

/* Where what is packed begins, by the member's own header. */
static const char *local_read(const struct archive *a, struct archive_member *m)
{
    unsigned char local[LOCAL_BYTES];
    uint64_t size = file_size(a);
    if (m->header > size || size - m->header < LOCAL_BYTES || bytes_at(a->fd, local, sizeof local, m->header)
        || number32(local) != UINT32_C(0x04034b50))
        return "is not where the directory says";
    uint64_t skip = LOCAL_BYTES + (uint64_t)number16(local + 26) + number16(local + 28);
    if (skip > size - m->header || m->packed > size - m->header - skip)
        return "is cut short";
    m->data = m->header + skip;
    return NULL;
}

/* One row of the directory at `p`, of at most `room` bytes.  Returns its length, or 0 with a
 * message. */
static uint64_t entry_read(const struct archive *a, const unsigned char *p, uint64_t room, struct archive_member *m)
{
    uint64_t length = room >= ENTRY_BYTES ? ENTRY_BYTES + (uint64_t)number16(p + 28)
                                                + number16(p + 30) + number16(p + 32) : 0;
    if (length == 0 || length > room || number32(p) != UINT32_C(0x02014b50)) {
        rt_archive_fault(a, NULL, "the archive's directory is broken");
        return 0;
    }
    uint32_t name_length = number16(p + 28);
    m->encrypted = number16(p + 8) & 1;
    m->method = (int)number16(p + 10);
    m->checksum = number32(p + 16);
    m->packed = number32(p + 20);
    m->size = number32(p + 24);
    m->header = number32(p + 42);
    m->name = strndup((const char *)p + ENTRY_BYTES, name_length);
    if (!m->name) {
        rt_archive_fault(a, NULL, "no memory for its directory");
        return 0;
    }
    const char *wrong =
        entry_wide(p + ENTRY_BYTES + name_length, number16(p + 30), &m->size, &m->packed, &m->header);
    if (!wrong)
        wrong = local_read(a, m);
    if (wrong) {
        rt_archive_fault(a, m, wrong);
        return 0;
    }
    return length;
}

static int by_header(const void *a, const void *b)
{
    const struct archive_member *x = *(const struct archive_member *const *)a;
    const struct archive_member *y = *(const struct archive_member *const *)b;
    return x->header < y->header ? -1 : x->header > y->header;
}

static int by_name(const void *a, const void *b)
{
    const struct archive_member *x = *(const struct archive_member *const *)a;
    const struct archive_member *y = *(const struct archive_member *const *)b;
    return strcmp(x->name, y->name);
}

/* Members that share bytes of the archive would unpack to any multiple of it; members of one name would
 * hide one another. */
static int members_distinct(const struct archive *a, uint64_t directory)
{
    const struct archive_member **sorted = calloc((size_t)a->count + 1, sizeof *sorted);
    if (!sorted)
        return rt_archive_fault(a, NULL, "no memory for its directory");
    int status = 0;
    for (int i = 0; i < a->count; i++)
        sorted[i] = &a->members[i];
    qsort(sorted, (size_t)a->count, sizeof *sorted, by_header);
    for (int i = 0; i < a->count && status == 0; i++)
        if (sorted[i]->data + sorted[i]->packed > (i + 1 < a->count ? sorted[i + 1]->header : directory))
            status = rt_archive_fault(a, sorted[i], "lies over another one, or over the archive's directory");
    qsort(sorted, (size_t)a->count, sizeof *sorted, by_name);
    for (int i = 1; i < a->count && status == 0; i++)
        if (strcmp(sorted[i]->name, sorted[i - 1]->name) == 0)
            status = rt_archive_fault(a, sorted[i], "is there twice");
    free(sorted);
    return status;
}

static int entries_read(struct archive *a, const unsigned char *at, const struct directory *d)
{
    uint64_t length = d->length;
    for (uint64_t i = 0; i < d->count; i++) {
        a->count = (int)i + 1;
        uint64_t used = entry_read(a, at, length, &a->members[i]);
        if (!used)
            return -1;
        at += used;
        length -= used;
    }
    return members_distinct(a, d->place);
}

int rt_archive_open(struct archive *a, const char *path)
{
    const char *why = NULL;
    struct directory d;
    *a = (struct archive){ .path = strdup(path), .fd = -1 };
    if (!a->path) {
        rt_error("%s: no memory to read it", path);
        return -1;
    }
    a->fd = rt_regular_open(path, &a->status, &why);
    if (a->fd < 0)
        return rt_archive_fault(a, NULL, why);
    if (end_find(a, &d))
        return -1;
    unsigned char *bytes = malloc((size_t)d.length + 1);
    a->members = calloc((size_t)d.count + 1, sizeof *a->members);
    int status = -1;
    if (!bytes || !a->members)
        rt_archive_fault(a, NULL, "no memory for its directory");
    else if (bytes_at(a->fd, bytes, (size_t)d.length, d.place))
        rt_archive_fault(a, NULL, "cannot be read");
    else
        status = entries_read(a, bytes, &d);
    free(bytes);
    return status;
}

void rt_archive_close(struct archive *a)
{
    if (a->path && a->fd >= 0)
        close(a->fd);
    for (int i = 0; i < a->count; i++)
        free(a->members[i].name);
    free(a->members);
    free(a->path);
    *a = (struct archive){ .fd = -1 };
}

/* ---- a member -------------------------------------------------------------------------------- */

bool rt_member_stored(const struct archive_member *m)
{
    return m->method == STORED;
}

/* NULL, or why the member cannot be unpacked at all. */
static const char *member_check(const struct archive_member *m)
{
    if (m->encrypted)
        return "is encrypted";
    if (m->method != STORED && m->method != DEFLATED)
        return "is packed in a way other than stored or deflated";
    if (m->method == STORED ? m->size != m->packed : m->size / DEFLATE_LIMIT > m->packed)
        return "has sizes that contradict each other";
    return NULL;
}

int rt_member_open(struct member_stream *s, const struct archive *a, const struct archive_member *m)
{
    *s = (struct member_stream){ .archive = a, .member = m };
    const char *wrong = member_check(m);
    if (!wrong && m->method == DEFLATED) {
        s->room = malloc(ROOM);
        s->unpacks = s->room && inflateInit2(&s->z, -MAX_WBITS) == Z_OK;
        wrong = s->unpacks ? NULL : "cannot be unpacked: no memory";
    }
    return wrong ? rt_archive_fault(a, m, wrong) : 0;
}

void rt_member_close(struct member_stream *s)
{
    if (s->unpacks)
        inflateEnd(&s->z);
    free(s->room);
    *s = (struct member_stream){ 0 };
}

/* The next packed bytes: none at the end.  NULL, or what is wrong. */
static const char *room_fill(struct member_stream *s)
{
    uint64_t left = s->member->packed - s->at;
    size_t give = left < ROOM ? (size_t)left : ROOM;
    if (bytes_at(s->archive->fd, s->room, give, s->member->data + s->at))
        return "cannot be read: the file is being changed";
    s->at += give;
    s->z.next_in = s->room;
    s->z.avail_in = (uInt)give;
    return NULL;
}

/* NULL, or what is wrong.  With size 0 the stream has to end without a byte more. */
static const char *inflate_next(struct member_stream *s, unsigned char *to, uint64_t size)
{
    static const char damaged[] = "holds deflated data that are damaged";
    bool ends = s->taken + size == s->member->size;
    unsigned char more;
    int status = Z_OK;
    while (size > 0 || (ends && status != Z_STREAM_END)) {
        const char *wrong = s->z.avail_in == 0 ? room_fill(s) : NULL;
        if (wrong)
            return wrong;
        uInt room = size == 0 ? 1 : size > 1u << 30 ? 1u << 30 : (uInt)size;
        s->z.next_out = size ? to : &more;
        s->z.avail_out = room;
        status = inflate(&s->z, Z_NO_FLUSH);
        uInt made = room - s->z.avail_out;
        if (made > size || (status != Z_OK && status != Z_STREAM_END) || (status == Z_STREAM_END && made < size))
            return damaged;
        to += made;
        size -= made;
    }
    return NULL;
}

int rt_member_read(struct member_stream *s, void *to, uint64_t size)
{
    const struct archive_member *m = s->member;
    const char *wrong = NULL;
    if (size > m->size - s->taken)
        wrong = "is cut short";
    else if (m->method == DEFLATED)
        wrong = inflate_next(s, to, size);
    else if (bytes_at(s->archive->fd, to, (size_t)size, m->data + s->taken))
        wrong = "cannot be read: the file is being changed";
    if (!wrong) {
        s->sum = (uint32_t)crc32_z(s->sum, to, (size_t)size);
        s->taken += size;
        if (s->taken == m->size && s->sum != m->checksum)
            wrong = "is damaged: its checksum does not fit";
    }
    return wrong ? rt_archive_fault(s->archive, m, wrong) : 0;
}
