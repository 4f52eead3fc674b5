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
    int together;               /* > 0: so many images lie together, which are so many times the channels here */
    const char *outside;        /* the array of the outputs, or of their gradient */
    /* in memory these lie apart: the array is scratch, the chain follows in a pass of its own */
    bool apart;
};

struct pool pool_of(const struct node *n, const struct tensor *in, const struct tensor *out, const struct chain *c);

/* The same for images that lie together, if the group's do: `outside` is the name of the outputs' array, and where they
 * lie apart in memory, the scratch "turned" takes its place. */
void pool_together(struct emitter *e, struct pool *p, const struct group *g, const char *outside);
/* Elements of scratch that the group needs for that. */
int64_t pool_scratch(const struct group *g);
/* What a step of images takes at a call, and that scratch. */
void pool_steps(struct plan *p, struct step *s);
/* Before the loops, of a gradient whose dy lies apart; behind them, of outputs that do. */
void pool_turn_in(struct emitter *e, const struct pool *p);
void pool_turn_out(struct emitter *e, const struct pool *p, const struct chain *c);
/* ", float *restrict turned", where there is such scratch. */
const char *pool_parameter(struct emitter *e, const struct pool *p);
/* The chain applied to a value at vector `at` of the pixel and element `to`. */
const char *pool_apply(struct emitter *e, const struct pool *p, const char *value, const char *at, const char *to,
                       int tail);
/* Whether a kernel of pooling takes the outputs of the node, or their gradient, with images apart (kernel.apart). */
bool pool_apart(const struct node *n, const struct tensor *t);
bool pool_can_be_together(const struct plan *p, const struct node *n);
/* For names of functions: "2x2_6x28x28", "2x2_together_6x28x28". */
const char *pool_name(struct emitter *e, const struct pool *p);
/* As pass_cycles(), of a group whose images may lie together. */
double pool_cycles(const struct plan *p, const struct group *g, double instructions, double streams);

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
