/* sums.h - sums over the pixels of an image, channel by channel, and over the images of a batch. */
#ifndef SUMS_H
#define SUMS_H

#include "kernels/loops.h"

enum { SUMS_MOST = 2 };

/* What is summed over the pixels of one image.  Vectors of channels side by side keep the adders busy. */
struct pixel_sums {
    struct shape shape;
    int64_t pixel;                  /* elements from one pixel to the next; 0: the channels */
    int64_t second;                 /* the same of another tensor of that shape, where it differs: sums_second() */
    int sums;                       /* accumulators a vector of channels, at most SUMS_MOST */
    /* Adds a pixel's terms to the accumulators sum[0 .. sums-1].  col: offset of the vector's first channel; at: of
     * its element; k: a number of the vector, for names of variables. */
    void (*add)(struct emitter *e, const void *data, const char *const *sum, const char *col, const char *at, int k,
                int tail);
    void (*store)(struct emitter *e, const void *data, const char *const *sum, const char *col, int tail);
    const void *data;
    /* Declares the accumulators of a vector of channels, begun with the first pixel, which may be added once more; the
     * number of the pixel that is added is `p`.  NULL: they begin with zero, and a map's rows are summed apart. */
    void (*begin)(struct emitter *e, const void *data, const char *const *sum, const char *col, int tail);
};

/* The place in the second tensor of what is at `at` in the first, of vector k. */
const char *sums_second(struct emitter *e, const struct pixel_sums *s, const char *at, int k);
/* Of kernels whose sums are of one tensor, their first input: pixels may be apart (kernel.strided). */
bool sums_strided(const struct plan *p, const struct group *g, const struct tensor *t);
void emit_pixel_sums(struct emitter *e, const struct pixel_sums *s);

/* A function that sums rows of `stride` reals over n samples: name(partial, n, to0[, to1]); to0 takes the first
 * `columns` of a row, to1 those after them.  Everything is padded to whole vectors. */
const char *emit_batch_sums(struct emitter *e, int64_t columns, int targets, const char *comment);

/* Lines that add what so many groups, two or more, have at from + from_at, `stored` elements from one to the next, in
 * their order, and store it at to + to_at: one vector. */
void emit_add_up(struct emitter *e, int groups, int64_t stored, const char *from, const char *from_at, const char *to,
                 const char *to_at);

enum { SUMS_CHUNK = 8192 };         /* elements of a weight gradient that one block adds up */

/* The function of a step of blocks that adds the sums of `groups` groups of images in their order, `stored` elements of
 * a weight gradient, SUMS_CHUNK of them in a block, and where the step's group has a companion db_stored of its own:
 * name(b, partial, dw[, bias_partial, db]). */
const char *emit_weight_sums(struct emitter *e, const struct step *step, int groups, int64_t stored, int64_t db_stored);

/* batchnorm_kernels.c.  The function of an image: a row of two columns, means of its channels and sums of squared
 * deviations from them. */
const char *emit_image_moments(struct emitter *e, const struct step *s);
/* Lines for channels from j on: such rows of n images, `samples` of them, become `center` and `variance`; these become
 * mean, inverse deviation and running statistics, `values` being of one channel where they are unbiased; or, of a node
 * without statistics, mean and variance.  text_moments: the parameters that they are written to. */
void lines_merged_moments(struct emitter *e, const struct tensor *x);
void lines_moments(struct emitter *e, const struct node *n);
const char *text_moments(struct emitter *e, const struct node *n);

#endif
