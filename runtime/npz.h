/* npz.h - numpy's archives of arrays: a zip of .npy files, stored or deflated
 * (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html). */
#ifndef NPZ_H
#define NPZ_H

#include "safetensors.h"

/* Whether the file begins as a zip archive.  false also where it cannot be read. */
bool rt_npz_is(const char *path);

/* Reads and checks a whole archive: tensors named as its members, without ".npy".  0, or -1 with a
 * message that names the file, the member and the fault. */
int rt_npz_read(struct tensor_file *f, const char *path);

#endif
