/* portable.h - what the kernels of the target `portable` share: the text of plain loops of C99 over one picture, with
 * constant bounds and channels innermost, which compilers turn into vectors.
 *
 * A kernel's function takes what its operation reads, then y, its result, then what its chain reads. */
#ifndef PORTABLE_H
#define PORTABLE_H

#include "kernels/loops.h"

/* A function that is being written. */
struct portable {
    struct emitter *e;
    const struct group *group;
    struct shape in, out;       /* of the operation */
    struct chain chain;
};

/* The step: all of an operation, one picture at a time. */
void portable_plan(struct plan *p, struct program *q, struct group *g);
double portable_cost(const struct plan *p, const struct group *g);

/* Whether the operation itself, not its chain, reads that memory. */
bool portable_reads(const struct group *g, const struct tensor *t);

/* Begins the function; inputs: names of what the operation reads, in its order. */
struct portable portable_begin(struct emitter *e, const struct step *s, const char *const *inputs);
/* Ends it; name: "conv5x5", to which shapes are added.  Returns the function's. */
const char *portable_end(const struct portable *f, const char *name);

/* ---- text ---------------------------------------------------------------------------------------- */

/* "for (int c = 0; c < 16; c++)" with a brace, or without for a body of one line. */
void portable_loop(const struct portable *f, const char *name, int64_t end, bool brace);
void portable_close(const struct portable *f, int loops);
/* A loop without a brace around one line. */
void portable_each(const struct portable *f, const char *name, int64_t end, const char *line);
/* "a * 3", and "a * 3 + b" for an index b below 3 in a: without factors that do nothing. */
const char *portable_times(const struct portable *f, const char *name, int64_t factor);
const char *portable_inside(const struct portable *f, const char *name, const char *inner, int64_t extent);
/* ---- windows ------------------------------------------------------------------------------------- */

/* Opens the loops over the positions of the result, with y at the channels of each, and with whatever else has a number
 * for each element (the chain's, by portable_start() and portable_chain() with the index `channel` alone; also: one
 * more such pointer, or NULL); then those over the taps of the window, `i` and `j` where there are several, with `at`
 * at the channels of what a tap lies on.  Taps beside the map are left out.  channels: from one place of the map to the
 * next. */
void portable_positions(const struct portable *f, const struct window *w, int channels, const char *also);
int portable_taps(const struct portable *f, const struct window *w, int channels);     /* returns the loops to close */
void portable_positions_end(const struct portable *f, const struct window *w, int channels);
/* The same loops for a transposed convolution, whose window takes y to x: w is NULL for its positions, and taps that
 * reach them from no place of x are left out. */
int portable_taps_back(const struct portable *f, const struct window *w);
/* Whether some tap of some position lies beside the map. */
bool portable_reaches_out(const struct portable *f, const struct window *w);

/* ---- chains -------------------------------------------------------------------------------------- */

/* How many operations at the chain's beginning are sums with what is known before the operation itself: bias, add. */
int portable_sums(const struct portable *f);
/* What those sums add, 0.0f for none: where a sum may start.  channel, element: indices of what is added. */
const char *portable_start(const struct portable *f, const char *channel, const char *element);
/* The chain from its operation number `from` on applied to a number, NULL where nothing is left to do. */
const char *portable_chain(const struct portable *f, int from, const char *value, const char *channel,
                           const char *element);

#endif
