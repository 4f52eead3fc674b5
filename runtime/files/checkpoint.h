/* checkpoint.h - weights files: every parameter and statistic under PyTorch's names, in PyTorch's
 * layouts. */
#ifndef CHECKPOINT_H
#define CHECKPOINT_H

#include "formats/safetensors.h"

/* cnn_save_weights() with more tensors behind the parameters. */
int rt_checkpoint_save(const struct cnn_context *c, const char *path,
                       const struct tensor_entry *extra, int extra_count);

/* Whether a file is of weights that a trainer has saved.  Says nothing. */
bool rt_checkpoint_is(const char *path);

/* cnn_load_weights(); partial: takes what fits by name and shape, lists what was taken, what not
 * and why, and fails only where nothing fits. */
int rt_checkpoint_load(struct cnn_context *c, const char *path, bool partial);

#endif
