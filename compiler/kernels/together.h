/* together.h - what kernels for images that lie together share (tensor_place.together): copies in and out, and what a
 * tile costs there. */
#ifndef TOGETHER_H
#define TOGETHER_H

#include "kernels/loops.h"

/* Whether the tensor's images lie together. */
bool lies_together(const struct program *q, const struct tensor *t);
/* Writes: images apart, h x w x c each and `h w c` elements from one to the next, from `from` to `to`, where they lie
 * together with `left` columns of zeros before each row and `columns` in all. */
void emit_turn_in(struct emitter *e, const char *from, const char *to, int h, int w, int c, int left, int columns);
/* Writes: the images at `from`, `elements` each, which lie together, to `to`, apart. */
void emit_turn_out(struct emitter *e, const char *from, const char *to, int64_t elements);
/* Writes: the mask `used` of the lanes whose images are among the `left` that are in use. */
void emit_used_lanes(struct emitter *e);

/* Groups of images, each with sums of its own: as few as there are threads for, a whole number of calls each. */
int together_groups(const struct plan *p);

/* conv2d_together.c.  Whether it computes the node, forward or the gradient of its input; which tensors it takes
 * apart. */
bool together_conv(const struct plan *p, const struct node *n);
bool together_apart(const struct node *n, const struct tensor *t);
/* conv2d_together_weight_grad.c.  Whether it computes the node. */
bool together_weight_grad(const struct plan *p, const struct node *n);

/* Cycles of a tile of rows x vectors whose sums are `depth` deep. */
double together_tile_cycles(const struct plan *p, int rows, int vectors, double depth);
/* Cycles for a batch: so many elements of an image turned over, or copied. */
double together_turn_cycles(const struct plan *p, int64_t elements);
double together_copy_cycles(const struct plan *p, int64_t elements);

#endif
