/* emit_inference.h - writes a trained network down as portable C99. */
#ifndef EMIT_INFERENCE_H
#define EMIT_INFERENCE_H

#include "base/cwriter.h"
#include "emit/inference.h"
#include "base/inputs.h"

/* The C file at path, its header beside it (path with .h) and, where the weights have a file of
 * their own, path_weights.c, and a depfile where that is not NULL: all or none.  The exit status. */
int emit_inference(struct arena *a, const char *path, const struct inference *net, const char *depfile,
                   const struct inputs *in);

#endif
