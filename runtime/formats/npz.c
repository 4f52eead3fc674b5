/* npz.c - reads zip archives of .npy files; arrays little-endian and in C's order. */
#define _GNU_SOURCE
#include "formats/npz.h"

#include <stdlib.h>
#include <string.h>

#include "formats/archive.h"
#include "formats/npy.h"

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

/* The member's first `size` bytes, or all. */
static int member_begin(const struct archive *a, const struct archive_member *m, void *to, uint64_t size)
{
    struct member_stream s;
    int status = rt_member_open(&s, a, m) || rt_member_read(&s, to, size) ? -1 : 0;
    rt_member_close(&s);
    return status;
}

/* "conv1.weight.npy" is the tensor conv1.weight.  Reads its header, and where its data begin in the
 * member, which is 0 where they are not wanted.  0, or -1 with a message. */
static int member_look(struct stored_tensor *t, const struct archive *a, const struct archive_member *m,
                       const struct want *want, uint64_t *start)
{
    unsigned char head[NPY_HEAD_LIMIT];
    uint64_t have = m->size < NPY_HEAD_LIMIT ? m->size : NPY_HEAD_LIMIT;
    size_t length = strlen(m->name);
    if (length < 5 || strcmp(m->name + length - 4, ".npy") != 0)
        return rt_archive_fault(a, m, "is not called .npy");
    if (member_begin(a, m, head, have))
        return -1;
    const char *wrong = npy_read(t, head, have, m->size, start);
    if (wrong)
        return rt_archive_fault(a, m, wrong);
    t->name = strndup(m->name, length - 4);
    if (!t->name)
        return rt_archive_fault(a, m, "does not fit into memory");
    if (!want->wanted(want->user, t))
        *start = 0;
    return 0;
}

/* The headers of all, then the data of those that are wanted. */
static int members_read(struct tensor_file *f, const struct archive *a, const struct want *want, uint64_t *starts)
{
    uint64_t total = 1;
    for (int i = 0; i < a->count; i++) {
        f->count = i + 1;
        if (member_look(&f->tensors[i], a, &a->members[i], want, &starts[i]))
            return -1;
        total += starts[i] ? a->members[i].size : 0;
    }
    unsigned char *out = f->bytes = malloc((size_t)total);
    if (!out)
        return rt_archive_fault(a, NULL, "no memory to unpack it");
    for (int i = 0; i < a->count; i++) {
        if (!starts[i])
            continue;
        if (member_begin(a, &a->members[i], out, a->members[i].size))
            return -1;
        f->tensors[i].data = out + starts[i];
        out += a->members[i].size;
    }
    return 0;
}

int rt_npz_read(struct tensor_file *f, const char *path,
                bool (*wanted)(const void *user, const struct stored_tensor *t), const void *user)
{
    const struct want want = { wanted, user };
    struct archive a;
    uint64_t *starts = NULL;
    *f = (struct tensor_file){ 0 };
    int status = rt_archive_open(&a, path);
    if (status == 0) {
        starts = calloc((size_t)a.count + 1, sizeof *starts);
        f->tensors = calloc((size_t)a.count + 1, sizeof *f->tensors);
        status = starts && f->tensors ? members_read(f, &a, &want, starts)
                                      : rt_archive_fault(&a, NULL, "no memory to unpack it");
    }
    free(starts);
    rt_archive_close(&a);
    if (status)
        rt_safetensors_free(f);
    return status;
}
