/* npz.c - reads zip archives of .npy files; arrays little-endian and in C's order.
 *
 * The archive's directory, at its end, says where each member lies and how long it is; what the
 * member itself says of that is passed over.
 */
#define _GNU_SOURCE
#include "formats/npz.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "core/message.h"
#include "core/regular_file.h"
#include "formats/npy.h"

enum {
    LOCAL_BYTES = 30,           /* of a member's own header, without name and extra */
    ENTRY_BYTES = 46,           /* of the directory's, likewise */
    END_BYTES = 22,             /* of the directory's end, without comment */
    COMMENT_LIMIT = 65535,
    STORED = 0,
    DEFLATED = 8,
    DEFLATE_LIMIT = 1032        /* no deflated byte makes more */
};

struct archive {
    const char *path;
    const unsigned char *bytes;
    uint64_t size;
};

/* One file of the archive. */
struct member {
    char *name;                 /* malloc'd */
    const unsigned char *start, *data;  /* its own header; what is packed, as it lies there */
    uint64_t packed, size;      /* bytes there, bytes unpacked */
    uint32_t checksum;
    int method;
    bool encrypted;
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

bool rt_npz_is(const char *path)
{
    unsigned char head[4] = { 0 };
    struct stat status;
    const char *why;
    int file = rt_regular_open(path, &status, &why);
    ssize_t got = file >= 0 ? read(file, head, sizeof head) : 0;
    if (file >= 0)
        close(file);
    /* a member's header, or the end of an empty archive */
    return got == 4
           && (number32(head) == UINT32_C(0x04034b50) || number32(head) == UINT32_C(0x06054b50));
}

static int fault(const struct archive *a, const char *member, const char *what)
{
    if (member)
        rt_error("%s: member '%s' %s", a->path, member, what);
    else
        rt_error("%s: %s", a->path, what);
    return -1;
}

/* ---- the archive ----------------------------------------------------------------------------- */

/* The directory's end: the last place that looks like one.  NULL: there is none. */
static const unsigned char *end_find(const struct archive *a)
{
    for (uint64_t back = END_BYTES; back <= a->size && back <= END_BYTES + COMMENT_LIMIT; back++) {
        const unsigned char *p = a->bytes + a->size - back;
        if (number32(p) == UINT32_C(0x06054b50) && number16(p + 20) == back - END_BYTES)
            return p;
    }
    return NULL;
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

/* One row of the directory at `p`, of at most `room` bytes.  Returns its length, or 0 with a
 * message. */
static uint64_t entry_read(const struct archive *a, const unsigned char *p, uint64_t room,
                           struct member *m)
{
    uint64_t length = room >= ENTRY_BYTES ? ENTRY_BYTES + (uint64_t)number16(p + 28)
                                                + number16(p + 30) + number16(p + 32) : 0;
    if (length == 0 || length > room || number32(p) != UINT32_C(0x02014b50)) {
        fault(a, NULL, "the archive's directory is broken");
        return 0;
    }
    uint32_t name_length = number16(p + 28);
    uint64_t place = number32(p + 42);
    m->encrypted = number16(p + 8) & 1;
    m->method = (int)number16(p + 10);
    m->checksum = number32(p + 16);
    m->packed = number32(p + 20);
    m->size = number32(p + 24);
    m->name = strndup((const char *)p + ENTRY_BYTES, name_length);
    if (!m->name) {
        fault(a, NULL, "no memory for its directory");
        return 0;
    }
    const char *wrong =
        entry_wide(p + ENTRY_BYTES + name_length, number16(p + 30), &m->size, &m->packed, &place);
    if (!wrong && (place > a->size || a->size - place < LOCAL_BYTES
                   || number32(a->bytes + place) != UINT32_C(0x04034b50)))
        wrong = "is not where the directory says";
    if (!wrong) {
        const unsigned char *local = a->bytes + place;
        uint64_t skip = LOCAL_BYTES + (uint64_t)number16(local + 26) + number16(local + 28);
        if (skip > a->size - place || m->packed > a->size - place - skip)
            wrong = "is cut short";
        else
            m->data = local + skip;
        m->start = local;
    }
    if (wrong) {
        fault(a, m->name, wrong);
        return 0;
    }
    return length;
}

/* The member's first `size` bytes, or all.  NULL, or what is wrong. */
static const char *inflate_start(const struct member *m, unsigned char *out, uint64_t size)
{
    z_stream z = { 0 };
    if (inflateInit2(&z, -MAX_WBITS) != Z_OK)
        return "cannot be unpacked: no memory";
    uint64_t left_in = m->packed, left_out = size;
    const unsigned char *in = m->data;
    int status = Z_OK;
    do {
        uInt give = left_in > (1u << 30) ? 1u << 30 : (uInt)left_in;
        uInt room = left_out > (1u << 30) ? 1u << 30 : (uInt)left_out;
        z.next_in = (unsigned char *)in;
        z.avail_in = give;
        z.next_out = out;
        z.avail_out = room;
        status = inflate(&z, Z_NO_FLUSH);
        in += give - z.avail_in;
        left_in -= give - z.avail_in;
        out += room - z.avail_out;
        left_out -= room - z.avail_out;
    } while (status == Z_OK && (left_in > 0 || left_out > 0) && (left_out > 0 || size == m->size));
    inflateEnd(&z);
    if (left_out == 0 && (status == Z_STREAM_END || (size < m->size && status == Z_OK)))
        return NULL;
    return "holds deflated data that are damaged";
}

/* The member's bytes to `out`, m->size of them.  NULL, or what is wrong. */
static const char *unpack(const struct member *m, unsigned char *out)
{
    const char *wrong = NULL;
    if (m->method == STORED)
        memcpy(out, m->data, (size_t)m->size);
    else
        wrong = inflate_start(m, out, m->size);
    if (!wrong && (uint32_t)crc32_z(0, out, (size_t)m->size) != m->checksum)
        wrong = "is damaged: its checksum does not fit";
    return wrong;
}

/* NULL, or why the member cannot be unpacked at all. */
static const char *member_check(const struct member *m)
{
    if (m->encrypted)
        return "is encrypted";
    if (m->method != STORED && m->method != DEFLATED)
        return "is packed in a way other than stored or deflated";
    if (m->method == STORED ? m->size != m->packed : m->size / DEFLATE_LIMIT > m->packed)
        return "has sizes that contradict each other";
    return NULL;
}

/* ---- .npy ------------------------------------------------------------------------------------ */

/* An .npy file of `size` bytes to a tensor without data, from its first `have` bytes.  *start: where the
 * data begin.  NULL, or what is wrong. */
static const char *npy_read(struct stored_tensor *t, const unsigned char *bytes, uint64_t have, uint64_t size,
                            uint64_t *start)
{
    static const char *const dtypes[] = {
        [NPY_BOOL] = "BOOL", [NPY_U8] = "U8", [NPY_I8] = "I8", [NPY_I16] = "I16", [NPY_U32] = "U32",
        [NPY_I32] = "I32", [NPY_U64] = "U64", [NPY_I64] = "I64", [NPY_F16] = "F16", [NPY_F32] = "F32",
        [NPY_F64] = "F64", [NPY_OTHER] = NULL
    };
    struct npy_header h;
    const char *wrong = rt_npy_header(&h, bytes, have, size);
    if (wrong)
        return wrong;
    if (h.big_endian)
        return "is big-endian";
    if (!dtypes[h.type])
        return "holds elements of a type that is not supported";
    if (h.fortran)
        return "is in Fortran's order; save it with numpy.ascontiguousarray()";
    strcpy(t->dtype, dtypes[h.type]);
    t->element_size = h.element_size;
    t->rank = h.rank;
    memcpy(t->shape, h.shape, sizeof t->shape);
    t->count = h.count;
    *start = h.start;
    return (uint64_t)(h.count * h.element_size) == size - h.start ? NULL
                                                                  : "holds more or fewer bytes than its shape says";
}

/* ---- the file -------------------------------------------------------------------------------- */

/* Who asks which tensors are wanted. */
struct want {
    bool (*wanted)(const void *user, const struct stored_tensor *t);
    const void *user;
};

/* "conv1.weight.npy" is the tensor conv1.weight.  Reads its header, and where its data begin in the
 * member, which is 0 where they are not wanted. */
static const char *member_look(struct stored_tensor *t, const struct member *m, const struct want *want,
                               uint64_t *start)
{
    unsigned char head[NPY_HEAD_LIMIT];
    uint64_t have = m->size < NPY_HEAD_LIMIT ? m->size : NPY_HEAD_LIMIT;
    size_t length = strlen(m->name);
    const char *wrong = NULL;
    if (length < 5 || strcmp(m->name + length - 4, ".npy") != 0)
        return "is not called .npy";
    if (m->method == STORED)
        memcpy(head, m->data, (size_t)have);
    else
        wrong = inflate_start(m, head, have);
    if (!wrong)
        wrong = npy_read(t, head, have, m->size, start);
    if (wrong)
        return wrong;
    t->name = strndup(m->name, length - 4);
    if (!t->name)
        return "does not fit into memory";
    if (!want->wanted(want->user, t))
        *start = 0;
    return NULL;
}

static int by_start(const void *a, const void *b)
{
    const struct member *x = *(const struct member *const *)a, *y = *(const struct member *const *)b;
    return x->start < y->start ? -1 : x->start > y->start;
}

static int by_name(const void *a, const void *b)
{
    const struct member *x = *(const struct member *const *)a, *y = *(const struct member *const *)b;
    return strcmp(x->name, y->name);
}

/* Members that share bytes of the archive would unpack to any multiple of it; members of one name would
 * hide one another. */
static int members_distinct(const struct archive *a, const struct member *members, int count,
                            const unsigned char *directory)
{
    const struct member **sorted = calloc((size_t)count + 1, sizeof *sorted);
    if (!sorted)
        return fault(a, NULL, "no memory for its directory");
    int status = 0;
    for (int i = 0; i < count; i++)
        sorted[i] = &members[i];
    qsort(sorted, (size_t)count, sizeof *sorted, by_start);
    for (int i = 0; i < count && status == 0; i++)
        if (sorted[i]->data + sorted[i]->packed > (i + 1 < count ? sorted[i + 1]->start : directory))
            status = fault(a, sorted[i]->name, "lies over another one, or over the archive's directory");
    qsort(sorted, (size_t)count, sizeof *sorted, by_name);
    for (int i = 1; i < count && status == 0; i++)
        if (strcmp(sorted[i]->name, sorted[i - 1]->name) == 0)
            status = fault(a, sorted[i]->name, "is there twice");
    free(sorted);
    return status;
}

/* The headers of all, then the data of those that are wanted. */
static int members_read(struct tensor_file *f, const struct archive *a, const struct member *members,
                        int count, const struct want *want)
{
    uint64_t total = 1, *starts = calloc((size_t)count + 1, sizeof *starts);
    f->tensors = calloc((size_t)count + 1, sizeof *f->tensors);
    const char *wrong = starts && f->tensors ? NULL : "no memory to unpack it", *name = NULL;
    for (int i = 0; i < count && !wrong; i++) {
        name = members[i].name;
        wrong = member_check(&members[i]);
        if (!wrong)
            wrong = member_look(&f->tensors[i], &members[i], want, &starts[i]);
        f->count = i + 1;
        total += starts[i] ? members[i].size : 0;
    }
    if (!wrong && !(f->bytes = malloc((size_t)total))) {
        name = NULL;
        wrong = "no memory to unpack it";
    }
    unsigned char *out = f->bytes;
    for (int i = 0; i < count && !wrong; i++) {
        if (!starts[i])
            continue;
        name = members[i].name;
        wrong = unpack(&members[i], out);
        f->tensors[i].data = out + starts[i];
        out += members[i].size;
    }
    free(starts);
    return wrong ? fault(a, name, wrong) : 0;
}

static int archive_read(struct tensor_file *f, const struct archive *a, const struct want *want)
{
    const unsigned char *end = end_find(a);
    if (!end)
        return fault(a, NULL, "is cut short: the archive's directory is missing");
    uint32_t count = number16(end + 10);
    uint64_t length = number32(end + 12), place = number32(end + 16);
    if (count == 0xffff || length == UINT32_MAX || place == UINT32_MAX)
        return fault(a, NULL, "is an archive of more than 4 GiB or 65534 members, which is not "
                              "supported");
    uint64_t before = (uint64_t)(end - a->bytes);
    if (place > before || length > before - place)
        return fault(a, NULL, "the archive's directory is broken");
    struct member *members = calloc((size_t)count + 1, sizeof *members);
    if (!members)
        return fault(a, NULL, "no memory for its directory");
    int status = 0;
    const unsigned char *at = a->bytes + place;
    for (uint32_t i = 0; i < count && status == 0; i++) {
        uint64_t used = entry_read(a, at, length, &members[i]);
        at += used;
        length -= used;
        status = used ? 0 : -1;
    }
    if (status == 0)
        status = members_distinct(a, members, (int)count, a->bytes + place);
    if (status == 0)
        status = members_read(f, a, members, (int)count, want);
    for (uint32_t i = 0; i < count; i++)
        free(members[i].name);
    free(members);
    return status;
}

int rt_npz_read(struct tensor_file *f, const char *path,
                bool (*wanted)(const void *user, const struct stored_tensor *t), const void *user)
{
    const struct want want = { wanted, user };
    *f = (struct tensor_file){ 0 };
    struct archive a = { .path = path };
    unsigned char *bytes = rt_file_read(path, &a.size);
    if (!bytes)
        return -1;
    a.bytes = bytes;
    int status = archive_read(f, &a, &want);
    free(bytes);
    if (status)
        rt_safetensors_free(f);
    return status;
}
