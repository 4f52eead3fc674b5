/* npy.c - see npy.h. */
#define _GNU_SOURCE
#include "formats/npy.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the header ------------------------------------------------------------------------------ */

static const struct {
    const char *descr;          /* behind the order of bytes */
    const char *name;           /* numpy's */
    int size;
} types[] = {
    [NPY_BOOL] = { "b1", "bool", 1 },    [NPY_U8] = { "u1", "uint8", 1 },     [NPY_I8] = { "i1", "int8", 1 },
    [NPY_U16] = { "u2", "uint16", 2 },   [NPY_I16] = { "i2", "int16", 2 },    [NPY_U32] = { "u4", "uint32", 4 },
    [NPY_I32] = { "i4", "int32", 4 },    [NPY_U64] = { "u8", "uint64", 8 },   [NPY_I64] = { "i8", "int64", 8 },
    [NPY_F16] = { "f2", "float16", 2 },  [NPY_F32] = { "f4", "float32", 4 },  [NPY_F64] = { "f8", "float64", 8 }
};

/* The text behind `'key':` in a header, NULL: not there. */
static const char *header_value(const char *header, const char *key)
{
    const char *at = strstr(header, key);
    if (!at)
        return NULL;
    at += strlen(key);
    at += strspn(at, " ");
    if (*at != ':')
        return NULL;
    at++;
    return at + strspn(at, " ");
}

static const char *descr_read(struct npy_header *h, const char *text)
{
    h->type = NPY_OTHER;
    if (text && *text == '[') {
        strcpy(h->descr, "records");
        return NULL;
    }
    if (!text || (*text != '\'' && *text != '"'))
        return "has an .npy header without 'descr'";
    const char *end = strchr(text + 1, *text);
    size_t length = end ? (size_t)(end - text - 1) : sizeof h->descr;
    if (length < 1 || length >= sizeof h->descr)
        return "has an .npy header with a broken 'descr'";
    memcpy(h->descr, text + 1, length);
    h->descr[length] = '\0';
    h->big_endian = text[1] == '>';
    const char *kind = text + 1 + (strchr("<>=|", text[1]) != NULL);
    size_t rest = (size_t)(end - kind);
    for (int i = 0; i < NPY_OTHER; i++)
        if (strlen(types[i].descr) == rest && strncmp(kind, types[i].descr, rest) == 0) {
            h->type = (enum npy_type)i;
            h->element_size = types[i].size;
        }
    h->big_endian = h->big_endian && h->element_size > 1;
    return NULL;
}

static const char *shape_read(struct npy_header *h, const char *at)
{
    static const char broken[] = "has an .npy header with a broken 'shape'";
    if (!at || *at != '(')
        return "has an .npy header without 'shape'";
    at++;
    h->rank = 0;
    h->count = 1;
    for (;;) {
        at += strspn(at, " ");
        if (*at == ')')
            return NULL;
        char *end;
        errno = 0;
        long long extent = isdigit((unsigned char)*at) ? strtoll(at, &end, 10) : -1;
        if (extent < 0 || errno)
            return broken;
        if (h->rank == TENSOR_RANK_MAX)
            return "has too many dimensions";
        if (extent > 0 && h->count > INT64_MAX / 8 / extent)
            return "has an absurd shape";
        h->shape[h->rank++] = extent;
        h->count *= extent;
        at = end + strspn(end, " ");
        if (*at == ',')
            at++;
        else if (*at != ')')
            return broken;
    }
}

static const char *text_read(struct npy_header *h, const char *header)
{
    const char *order = header_value(header, "'fortran_order'");
    const char *wrong = descr_read(h, header_value(header, "'descr'"));
    if (!wrong)
        wrong = shape_read(h, header_value(header, "'shape'"));
    if (!wrong && (!order || (strncmp(order, "True", 4) && strncmp(order, "False", 5))))
        wrong = "has an .npy header without 'fortran_order'";
    h->fortran = !wrong && order[0] == 'T' && h->rank > 1;
    return wrong;
}

const char *rt_npy_header(struct npy_header *h, const unsigned char *bytes, uint64_t have, uint64_t size)
{
    *h = (struct npy_header){ .type = NPY_OTHER };
    if (size < 10 || memcmp(bytes, "\x93NUMPY", 6) != 0)
        return "is not an .npy file";
    uint64_t start = bytes[6] == 1 ? 10 : 12;
    if (bytes[6] < 1 || bytes[6] > 3)
        return "is of an .npy version other than 1, 2 and 3";
    if (size < start)
        return "is cut short in its .npy header";
    uint64_t length = (uint64_t)bytes[8] | (uint64_t)bytes[9] << 8;
    if (bytes[6] > 1)
        length |= (uint64_t)bytes[10] << 16 | (uint64_t)bytes[11] << 24;
    if (length > size - start)
        return "is cut short in its .npy header";
    if (length > have - start)
        return "has an .npy header of more than 4 KiB";
    char *header = strndup((const char *)bytes + start, (size_t)length);
    if (!header)
        return "does not fit into memory";
    const char *wrong = text_read(h, header);
    free(header);
    h->start = start + length;
    return wrong;
}

struct npy_text rt_npy_text(const struct npy_header *h)
{
    struct npy_text t;
    int at = snprintf(t.text, sizeof t.text, "(");
    for (int i = 0; i < h->rank; i++)
        at += snprintf(t.text + at, sizeof t.text - (size_t)at, i ? ", %lld" : "%lld", (long long)h->shape[i]);
    snprintf(t.text + at, sizeof t.text - (size_t)at, "%s) of %s%s", h->rank == 1 ? "," : "",
             h->big_endian ? "big-endian " : "",
             h->type == NPY_OTHER ? h->descr : types[h->type].name);
    return t;
}

/* ---- the elements ---------------------------------------------------------------------------- */

/* Its bits, the least significant byte first in memory or last. */
static inline uint64_t bits(const unsigned char *p, int size, bool big_endian)
{
    uint64_t x = 0;
    for (int i = 0; i < size; i++)
        x |= (uint64_t)p[big_endian ? size - 1 - i : i] << (8 * i);
    return x;
}

static double half_number(uint64_t x)
{
    int exponent = (int)(x >> 10 & 31);
    double fraction = (double)(x & 1023), sign = x >> 15 ? -1.0 : 1.0;
    if (exponent == 31)
        return fraction != 0 ? (double)NAN : sign * (double)INFINITY;
    return sign * (exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24));
}

static double float_number(uint64_t x)
{
    uint32_t narrow = (uint32_t)x;
    float f;
    memcpy(&f, &narrow, sizeof f);
    return (double)f;
}

static double double_number(uint64_t x)
{
    double d;
    memcpy(&d, &x, sizeof d);
    return d;
}

#define EACH(size, number)                                                                                             \
    for (int64_t i = 0; i < count; i++) {                                                                              \
        uint64_t x = bits(p + i * (size), (size), big);                                                                \
        to[i] = (number);                                                                                              \
    }                                                                                                                  \
    break

void rt_npy_numbers(const struct npy_header *h, const void *from, int64_t count, double *to)
{
    const unsigned char *p = from;
    const bool big = h->big_endian;
    switch (h->type) {
    case NPY_BOOL: EACH(1, x ? 1.0 : 0.0);
    case NPY_U8: EACH(1, (double)x);
    case NPY_U16: EACH(2, (double)x);
    case NPY_U32: EACH(4, (double)x);
    case NPY_U64: EACH(8, (double)x);
    case NPY_I8: EACH(1, (double)(int8_t)x);
    case NPY_I16: EACH(2, (double)(int16_t)x);
    case NPY_I32: EACH(4, (double)(int32_t)x);
    case NPY_I64: EACH(8, (double)(int64_t)x);
    case NPY_F16: EACH(2, half_number(x));
    case NPY_F32: EACH(4, float_number(x));
    case NPY_F64: EACH(8, double_number(x));
    case NPY_OTHER: break;
    }
}
