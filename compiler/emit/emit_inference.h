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

/* ---- parts, for emit_inference.c ------------------------------------------------------------- */

/* emit_inference_layers.c: the activations in use, then a function for each step. */
void emit_inference_layers(struct arena *a, struct cwriter *w, const struct inference *net);
/* The names of a step's constants, as the functions read them. */
const char *emit_inference_weights(struct arena *a, const struct inference *net,
                                   const struct infer_step *s);
const char *emit_inference_biases(struct arena *a, const struct inference *net,
                                  const struct infer_step *s);
/* A C constant of type float that reads back as the same: "0.001f", "2.0f". */
struct float_text {
    char text[24];
};
struct float_text emit_inference_float(float x);

#endif
