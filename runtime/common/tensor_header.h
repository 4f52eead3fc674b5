/* tensor_header.h - the header of a safetensors file: 8 bytes little-endian that count the bytes of a JSON object, the
 * object, the tensors' bytes.  The object names dtype, shape and place of each tensor
 * (https://github.com/huggingface/safetensors).  The compiler and the runtime both read files with this.
 */
#ifndef TENSOR_HEADER_H
#define TENSOR_HEADER_H

#include <stddef.h>
#include <stdint.h>

enum { TENSOR_RANK_MAX = 8, TENSOR_LENGTH_BYTES = 8 };

struct stored_tensor {
    char *name;
    char dtype[8];                      /* "F32" */
    int rank;
    int64_t shape[TENSOR_RANK_MAX];
    int64_t count;                      /* product of shape */
    int element_size;                   /* bytes */
    const unsigned char *data;          /* unaligned, little-endian */
};

struct stored_text {
    char *key, *value;
};

struct tensor_file {
    struct stored_tensor *tensors;
    int count;
    struct stored_text *metadata;       /* the header's `__metadata__` */
    int metadata_count;
    unsigned char *bytes;               /* the whole file, or what was unpacked from it */
    uint64_t size;                      /* of the whole file */
};

/* Reads the header of f->bytes, a whole file, and checks that the tensors cover its data without holes or overlaps;
 * their `data` point into it.  0, or -1 with what is wrong in `text`, to be said after the file's name and ": ".  What
 * was read is to be freed in either case. */
int rt_tensor_header_read(struct tensor_file *f, uint64_t size, char *text, size_t room);
/* All but the bytes. */
void rt_tensor_header_free(struct tensor_file *f);

/* A metadata's text; NULL: there is none. */
const char *rt_stored_text(const struct tensor_file *f, const char *key);

#endif
