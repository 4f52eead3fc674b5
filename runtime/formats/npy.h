/* npy.h - numpy's files of one array: a header that is a line of Python, then the elements
 * (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html). */
#ifndef NPY_H
#define NPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/tensor_header.h"

enum npy_type {
    NPY_BOOL, NPY_U8, NPY_I8, NPY_U16, NPY_I16, NPY_U32, NPY_I32, NPY_U64, NPY_I64, NPY_F16, NPY_F32, NPY_F64,
    NPY_OTHER                   /* complex, text, objects, records ... */
};

enum { NPY_HEAD_LIMIT = 4096 }; /* bytes in which a header must end */

struct npy_header {
    enum npy_type type;
    bool big_endian;
    char descr[32];             /* as the file says it, for messages: "<f4" */
    bool fortran;               /* the first axis changes fastest; of arrays of several axes alone */
    int rank;
    int64_t shape[TENSOR_RANK_MAX];
    int64_t count;              /* product of shape */
    int element_size;           /* bytes; 0: NPY_OTHER */
    uint64_t start;             /* where the elements begin */
};

/* The header of a file of `size` bytes, from its first `have`.  NULL, or what is wrong, as words behind the file's
 * name; that the file is as long as its shape says is not looked at. */
const char *rt_npy_header(struct npy_header *h, const unsigned char *bytes, uint64_t have, uint64_t size);

/* "(60000, 28, 28) of uint8" */
struct npy_text {
    char text[240];
};
struct npy_text rt_npy_text(const struct npy_header *h);

/* `count` elements as numbers. */
void rt_npy_numbers(const struct npy_header *h, const void *from, int64_t count, double *to);

#endif
