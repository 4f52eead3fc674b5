/* safetensors.h - files of tensors, read and written; tensor_header.h describes the format. */
#ifndef SAFETENSORS_H
#define SAFETENSORS_H

#include "cnnrt.h"
#include "common/tensor_header.h"

/* Reads and checks a whole file.  0, or -1 with a message that names the file and the fault. */
int rt_safetensors_read(struct tensor_file *f, const char *path);
/* The same for a file of rt_safetensors_write_state(): its checksum has to fit. */
int rt_safetensors_read_state(struct tensor_file *f, const char *path);
/* What was read by somebody else; the bytes are the file's from here on, also where it fails.  path: for messages.
 * Likewise. */
int rt_safetensors_take(struct tensor_file *f, unsigned char *bytes, uint64_t size, const char *path);
/* A whole file in memory, malloc'd; its size at *size.  NULL with a message. */
unsigned char *rt_file_read(const char *path, uint64_t *size);
void rt_safetensors_free(struct tensor_file *f);

/* What a new file shall hold. */
struct tensor_entry {
    const char *name;
    int element_size;                   /* 4: F32, 8: F64 */
    int rank;
    const int64_t *shape;
    /* writes `count` of the tensor's elements, row-major, from element `first` on, to `out` */
    void (*fill)(const void *user, int index, int64_t first, int64_t count, void *out);
    const void *user;
    int index;
};

struct text_pair {
    const char *key, *value;
};

/* A file without tensors, malloc'd; NULL: no memory. */
unsigned char *rt_safetensors_texts(const struct text_pair *metadata, int count, uint64_t *size);

/* Writes a file under a temporary name beside it, forces it to the disk and gives it its name: what
 * bears the name is always whole.  0, or -1 with a message; an older file of that name is untouched
 * then. */
int rt_safetensors_write(const char *path, const struct tensor_entry *entries, int count,
                         const struct text_pair *metadata, int metadata_count);
/* The same, with a checksum of all bytes before it as the last tensor (U32), and with the older
 * file of that name kept as `previous`. */
int rt_safetensors_write_state(const char *path, const char *previous,
                               const struct tensor_entry *entries, int count,
                               const struct text_pair *metadata, int metadata_count);

#endif
