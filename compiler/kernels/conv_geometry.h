/* conv_geometry.h - the numbers of a convolution that its kernels share. */
#ifndef CONV_GEOMETRY_H
#define CONV_GEOMETRY_H

#include "steps/kernel.h"

struct conv_geometry {
    int c, h, w;            /* of x */
    int o, oh, ow;          /* of y */
    struct window window;
    int taps;               /* KH KW */
    bool padded;            /* any zeros around x */
    int ph, pw;             /* the part of x with its zeros that the windows touch */
    const struct param_place *weight;
    int64_t k;              /* taps * c: multiply-adds for one output */
};

/* Of any of conv2d, conv2d_data_grad, conv2d_weight_grad. */
struct conv_geometry conv_geometry_of(const struct plan *p, const struct node *n);
/* Writes: copy image `from` (h x w x c) into `to` (ph x pw x c) with zeros around.  Top left corner at (top, left)
 * of `to`; rows and columns beyond ph, pw are left out. */
void emit_padded_copy(struct emitter *e, const char *from, const char *to, int h, int w, int c, int top, int left,
                      int ph, int pw);
/* The same copy as a step of its own, a row a block, into a buffer that all threads share: for steps that split the
 * image. */
struct step *conv_padding_plan(struct plan *p, struct program *q, struct group *g, int part);
struct buffer *conv_padding_buffer(struct plan *p, struct program *q, const struct group *g, struct step *copy);
const char *conv_padding_emit(struct emitter *e, const struct step *step);
/* "conv2x2" or "conv3x3s2", for names of functions. */
const char *conv_name(struct emitter *e, const struct conv_geometry *g);

#endif
