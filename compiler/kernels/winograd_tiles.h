/* winograd_tiles.h - what the Winograd kernels share: tiles of a layer, where their transformed values lie, and the
 * emitted transforms.
 *
 * A layer's outputs are cut exactly into tiles of m x m' and, where the length asks for it, tiles one smaller; large
 * ones come first.  A smaller tile does not use the last point, so position (p, q) of the transformed values has rows
 * only for the tiles that use points p and q.  Positions fall into four classes by whether p and q are last points;
 * those of a class have equally many rows and lie one after the other. */
#ifndef WINOGRAD_TILES_H
#define WINOGRAD_TILES_H

#include "kernels/winograd.h"
#include "kernels/conv_geometry.h"

enum { WINOGRAD_CLASSES = 4, WINOGRAD_POSITIONS = WINOGRAD_POINTS * WINOGRAD_POINTS };

struct winograd_class {
    int count;                  /* positions */
    int rows_v, rows_h;         /* tiles of an image that use them, in each direction */
    int first;                  /* number of its first position */
};

struct winograd_tiles {
    struct winograd_split v, h; /* of the rows and columns of y */
    int r_v, r_h;               /* the filter */
    int positions;
    struct winograd_class class[WINOGRAD_CLASSES];
    int class_of[WINOGRAD_POINTS][WINOGRAD_POINTS];
    int number_of[WINOGRAD_POINTS][WINOGRAD_POINTS];    /* 0 .. positions - 1, class by class */
};

/* Transformed values of `images` images: class by class, position by position, rows of `width` values (image by image,
 * tile by tile); a position is followed by `gap` values so that positions do not fall on the same cache sets.  Where
 * channels are split into panels of `width`, (panel, image) counts as an image. */
struct winograd_values {
    int images, width, gap;
    int64_t class_offset[WINOGRAD_CLASSES], stride[WINOGRAD_CLASSES];   /* of positions within a class */
    int64_t size;
};

/* The convolution of y's gradient with the filters turned by half, which makes x's. */
struct conv_geometry winograd_turned(const struct conv_geometry *g);
/* False where the filter or the map does not suit tiles of at most `points` points. */
bool winograd_tiles_of(const struct conv_geometry *g, int points, struct winograd_tiles *t);
struct winograd_values winograd_values_of(const struct winograd_tiles *t, int images, int width, int gap);
int64_t winograd_position_offset(const struct winograd_tiles *t, const struct winograd_values *s, int p, int q);
/* Whether the values of row p, of column q, lie in other classes than those of the one before it. */
bool winograd_row_begins(const struct winograd_tiles *t, int p);
bool winograd_column_begins(const struct winograd_tiles *t, int q);
/* The matrices of its largest tile in both directions; those of the weights are the same for all tiles. */
void winograd_of_tiles(const struct winograd_tiles *t, struct winograd *v, struct winograd *h);
/* Factor by which rounding errors grow against the plain sum, both directions together. */
double winograd_tiles_error(const struct winograd_tiles *t);

/* What they save and what that costs, in a sentence for comments. */
const char *winograd_tiles_text(struct emitter *e, const struct winograd_tiles *t, const struct conv_geometry *g);

/* ---- emitted transforms ------------------------------------------------------------------------------------------ */

enum transform {
    TRANSFORM_X,                /* x -> values:  B^T d B */
    TRANSFORM_Y,                /* values -> y:  A^T M A, then the chain */
    TRANSFORM_DY,               /* dy -> values: A dy A^T */
    TRANSFORM_DX                /* values -> dx: B V B^T, added where tiles overlap, then the chain where complete */
};

/* A transform between a map (rows `row` apart, pixels `pixel` apart) and transformed values. */
struct winograd_transform {
    enum transform kind;
    const struct winograd_tiles *tiles;
    const struct winograd_values *values;
    int64_t row, pixel;         /* elements of the map */
    int h, w;                   /* of the map of TRANSFORM_X */
    int top, left;              /* zeros before its first row and column; as many follow as the tiles ask for */
    int channels;               /* in one call: lanes that are vectors; the rest by tail */
    int tail;                   /* lanes of the last vector in use on the map's side, 0: all */
    const struct chain *chain;
    const char *down;           /* C text: only the tiles of this row; NULL: all */
    bool far;                   /* the map that is read comes from memory */
    bool asked;                 /* what is written, and the operands of the chain, have been asked for already */
};

/* Whether a map that tiles read lies farther than the second-level cache, so that they ask for it ahead. */
bool winograd_reads_far(const struct plan *p, const struct program *q, const struct tensor *map);

/* Writes the loops over all tiles (or a row of them) of one image.  map, values: C text of pointers to the image (and
 * first channel); image: C text of the image's number within the values, "0" for one; col, at: of the chain's operands.
 */
void winograd_emit_image(struct emitter *e, const struct winograd_transform *t, const char *map, const char *values,
                         const char *image, const char *col, const char *at);
/* Writes what block `b` of the weights is: `panel`, and the channels from `first` to `end`, of `channels`, `chunk` at a
 * time. */
void winograd_emit_block(struct emitter *e, int channels, int chunk);

/* ---- emitted transforms of one value after the other ------------------------------------------------------------- */

/* A function that multiplies a matrix with vectors: name(d0, ..., to). */
struct winograd_line {
    const char *name;
    int from, to;               /* vectors */
    int operations;             /* on vectors */
};

/* Emits it, once whatever number of tiles need it.  what: "x", of its name; formula: for its comment. */
struct winograd_line winograd_emit_line(struct emitter *e, const struct winograd_matrix *m, const char *what,
                                        const char *formula, const struct winograd *w);

/* Rows or columns that lie alike, one loop: `index` is its variable. */
struct winograd_run {
    const char *index;
    int first, count;
};

/* " + 512 + j * 128": the offset of what lies at `first` for the first of a run and `step` farther for each other. */
const char *winograd_along(struct emitter *e, const struct winograd_run *r, int64_t first, int64_t step);

/* left x values x right^T, of one vector of channels: columns first, then rows. */
struct winograd_two_way {
    struct winograd_line left, right;
    /* Whether this column of the values, or row of the results, lies or is treated otherwise than the one before it;
     * NULL: none does. */
    bool (*column_begins)(const void *data, int j);
    bool (*row_begins)(const void *data, int i);
    /* When the values of this column are all zeros: C text, "" for always; NULL: never, as without the function. */
    const char *(*column_empty)(struct emitter *e, const void *data, int j);
    /* The value in row i of the columns of a run, as C text. */
    const char *(*load)(struct emitter *e, const void *data, int i, const struct winograd_run *j);
    void (*between)(struct emitter *e, const void *data);       /* NULL: nothing */
    /* Writes the statements that store the results in column j of the rows of a run. */
    void (*store)(struct emitter *e, const void *data, const struct winograd_run *i, int j, const char *value);
    const void *data;
};

/* Writes it; returns its operations on vectors. */
int winograd_emit_two_way(struct emitter *e, const struct winograd_two_way *t);

#endif
