/* window.h - the loops of pooling: over the outputs with the inputs of each, over the inputs with the outputs that
 * cover each, or over windows that tile the input without padding. */
#ifndef WINDOW_H
#define WINDOW_H

#include "kernels/loops.h"

struct pool {
    struct window window;
    struct shape in, out;
    int64_t out_pixel;          /* elements from one pixel of the outputs to the next */
    const struct chain *chain;
    bool block;                 /* only the row `b` of the outputs */
};

struct pool pool_of(const struct node *n, const struct tensor *in, const struct tensor *out, const struct chain *c);

/* Every window lies inside the input and is small enough to be written out tap by tap. */
bool pool_is_plain(const struct pool *p);
/* Windows that tile: also no overlap and no gap, so that a gradient is written window by window. */
bool pool_tiles(const struct pool *p);

/* The shapes, for the reader: "// x (30, 30, 128), y (15, 15, 128)". */
void pool_note(struct emitter *e, const struct pool *p, const char *in, const char *out);
/* "for oy, for ox": with `from` (first element of the window's first input pixel, plain pools) or the window's
 * corner top, left and the taps inside, ky0 <= ky < ky1, kx0 <= kx < kx1; `to`: the output's first element. */
void pool_open_outputs(struct emitter *e, const struct pool *p);
/* "for iy, for ix": with the outputs that cover this input, oy0 <= oy < oy1, ox0 <= ox < ox1; `to`: the input's first
 * element. */
void pool_open_inputs(struct emitter *e, const struct pool *p);
void pool_close(struct emitter *e);
/* chain(0) for the inputs that no window reaches when windows tile; their gradient is stored in dx. */
void pool_rest(struct emitter *e, const struct pool *p);
/* Elements from a window's first input to that of tap t. */
int64_t pool_tap(const struct pool *p, int t);
int pool_taps(const struct pool *p);

#endif
