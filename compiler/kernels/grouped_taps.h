/* grouped_taps.h - what the kernels of grouped convolutions share: which values of a map each result is made of, and
 * how they come into a vector.
 *
 * All of them take one vector of the channels of their result at a time; lanes are channels, and no product is one with
 * a zero between groups.  A filter's number i is of the channel i of a group of what is read, so that the vector that
 * it is multiplied with has, in each lane, the channel i of that lane's group:
 *     one by one       groups of one channel on both sides: the vector as it lies in memory (depthwise)
 *     broadcast        the vector lies within a group: the same number in all lanes
 *     spread           else: the channels are put where the lanes want them, in a copy of some rows
 * The data gradient is such a convolution of dy with the sides of the filters exchanged. */
#ifndef GROUPED_TAPS_H
#define GROUPED_TAPS_H

#include "kernels/loops.h"

enum grouped_source { ONE_BY_ONE, BROADCAST, SPREAD };

struct grouped {
    struct shape from, to;      /* what is read (of a weight gradient: x) and what is made (dy) */
    int from_group, to_group;   /* channels of a group */
    struct window window;
    bool transposed;            /* from dy to dx */
    enum grouped_source source;
    int lanes;
    /* elements from one pixel of what is read to the next, as the tiles see it: in the copy */
    int64_t pixel;
    int64_t row;                /* likewise from row to row */
    int64_t taps;               /* KH KW */
    int64_t panel;              /* numbers of a vector's filters: taps x channels of a group x lanes */
    int band;                   /* rows of the result that are made of one copy, SPREAD */
    int copied;                 /* rows of the copy */
};

/* Of grouped_conv2d or its gradients; the weight gradient's is that of the convolution itself. */
struct grouped grouped_of(const struct plan *p, const struct node *n);
double grouped_fma_rate(const struct plan *p);
/* Cycles of the products of the whole batch, and of putting channels where lanes want them. */
double grouped_cycles(const struct plan *p, const struct grouped *g);
/* Bytes of the copy, 0 where there is none. */
int64_t grouped_copy_bytes(const struct plan *p, const struct grouped *g);

/* ---- known when the text is written: columns --------------------------------------------------------------------- */

/* Result number t of a tile has tap k on column `column`, counted from the tile's first. */
struct column_tap {
    int column, result, tap;
};

/* Tiles of neighbouring columns whose taps lie alike, `count` of them. */
struct column_run {
    int first, width, count;    /* result columns */
    int column, advance;        /* of what is read: the first tile's first one, from tile to tile */
    struct column_tap *taps;    /* by column, so that each is loaded once; those beside the map are left out */
    int taps_count;
};

/* Cuts the columns of the result into tiles of at most `most`; returns the number of runs, all of them in *runs. */
int grouped_columns(struct arena *a, const struct grouped *g, int most, struct column_run **runs);

/* ---- known when it runs ------------------------------------------------------------------------------------------ */

enum direction { ROWS, COLUMNS };

/* Rows (columns) of taps that lie on the map for the row `position` of the result: writes the variables NAME_tap, the
 * first one, NAME_count, and NAME_at, what it lies on.  The next ones are tap_step taps and from_step rows farther. */
void emit_tap_range(struct emitter *e, const struct grouped *g, enum direction d, const char *position,
                    const char *name);
int grouped_tap_step(const struct grouped *g, enum direction d);
int grouped_from_step(const struct grouped *g, enum direction d);

/* ---- text -------------------------------------------------------------------------------------------------------- */

/* Opens the loop over the vectors of the result's channels, or the block of the last one, `tail` lanes; the variable is
 * j. */
bool grouped_open_vectors(struct emitter *e, const struct grouped *g, int tail);
/* A function that puts the channels of vector j where its lanes want them: name(x, j, first row, rows, to). */
const char *emit_spread(struct emitter *e, const struct grouped *g, int tail);
/* Copies, for vector j, what rows `first` .. end - 1 of the result take (C text) into `scratch`: from the row `low` on,
 * a variable. */
void emit_copy(struct emitter *e, const struct grouped *g, const char *x, const char *end, int tail);
/* "v_load(from + 96)": what lies at an offset from the variable `from`, of the channel of a group of that number (C
 * text). */
const char *text_grouped(struct emitter *e, const struct grouped *g, const char *from, int64_t offset,
                         const char *channel, int tail);
/* "depthwise3x3", "grouped3x3_stride2". */
const char *grouped_name(struct emitter *e, const struct grouped *g);

#endif
