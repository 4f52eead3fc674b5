/* npz.h - numpy's archives of arrays: a zip of .npy files, stored or deflated
 * (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html). */
#ifndef NPZ_H
#define NPZ_H

#include "formats/safetensors.h"

/* Reads and checks an archive: tensors named as its members, without ".npy".  Of a tensor that is not
 * wanted only the shape is read, and its data are NULL: what others have packed into a file costs no
 * memory.  0, or -1 with a message that names the file, the member and the fault. */
int rt_npz_read(struct tensor_file *f, const char *path,
                bool (*wanted)(const void *user, const struct stored_tensor *t), const void *user);

#endif
