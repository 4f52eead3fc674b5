/* conv2d_winograd.h - the Winograd kernels: forward, data gradient and weight gradient with tiles of at most 4, 6 or 8
 * points (winograd4 is the most accurate, winograd8 saves the most multiplications). */
#ifndef CONV2D_WINOGRAD_H
#define CONV2D_WINOGRAD_H

#include "kernels/product.h"
#include "kernels/winograd_tiles.h"

/* Forward convolution or data gradient. */
struct winograd_conv {
    struct conv_geometry s;
    struct winograd_tiles tiles;
    bool data_grad;
    bool pairs;                 /* V and U are pairs of bfloat16, of neighbouring channels, when they are multiplied */
    int from, to;               /* channels that are multiplied, that come out */
    int depth;                  /* of a sum: `from`, or pairs of it */
    int panel;                  /* of the channels that come out */
    struct panels panels;
    int panels_count;
    int images;
    int wide;                   /* panels that are multiplied together, position by position, and transformed back */
    /* bytes from the last cache that an image costs in calls which the second-level cache holds */
    double moved;
    struct winograd_values v, m;
    int64_t u_position, u_panel;        /* elements of U from position to position, from panel to panel */
    bool transposed;            /* the data gradient by the transposed algorithm */
    int64_t m_at;               /* in scratch, elements; V is its beginning */
    int64_t scratch;
    bool far;                   /* while it is written: what is multiplied comes from memory */
    const char *column;         /* while it is written: the first channel of the panel, C text */
    bool by_panel;              /* the whole batch, a panel in each block: U is made where it is used, of so many of the
                                 * channels that are multiplied at a time */
    int chunk;
    int parts;                  /* then: of the batch, each in blocks of its own; `images` is what a part has */
    /* of images that lie together: those read do not, those made do not; places in scratch of what */
    bool apart, result_apart;
    int64_t turned_at, result_at;       /* is turned over */
    int outputs;                /* then: channels of the result that are multiplied before they are transformed back */
};

/* Steps: U, then all in one; or for one image in blocks V, M and y; or for the whole batch V, then all else panel by
 * panel. */
enum winograd_part { PART_WEIGHTS, PART_MAIN, PART_IN, PART_PRODUCTS, PART_OUT, PART_BATCH, PART_PANELS,
                     PART_TOGETHER };

enum { U_CHUNK = 16 };          /* multiplied channels of U in one block of its transform */

/* A kernel's number: the most points of a tile, and this where pairs of bfloat16 are multiplied. */
enum { WINOGRAD_PAIRS = 64 };

/* The map that a transform of this side works on. */
struct side {
    const char *name;           /* C name of the argument */
    int h, w, c;
};

/* Of the kernel of that number.  False where its tiles do not suit. */
bool winograd_conv_of(const struct plan *p, const struct group *g, int number, struct winograd_conv *c);
/* One image, cut into blocks (conv2d_winograd_split.c).  Returns the step that reads U. */
struct step *winograd_split_plan(struct plan *p, struct program *q, struct group *g, const struct winograd_conv *c,
                                 int64_t flops);
/* What that step is given: V, U, M. */
void winograd_split_reads(struct plan *p, struct step *products, const struct buffer *u);
const char *winograd_split_emit(struct emitter *e, const struct step *step);

/* The whole batch, panel by panel (conv2d_winograd_panels.c).  Sets by_panel where that moves less than U for every few
 * images, and what depends on it. */
void winograd_choose_panels(const struct plan *p, struct winograd_conv *c, bool narrow);
/* Halves of panels in the places of panels, where whole vectors remain. */
bool winograd_panels_finer(struct plan *p, struct step *s);
double winograd_panels_cost(const struct plan *p, const struct winograd_conv *c);
void winograd_panels_plan(struct plan *p, struct program *q, struct group *g, const struct winograd_conv *c,
                          int64_t flops);
const char *winograd_panels_emit(struct emitter *e, const struct step *step);

/* Images that lie together (conv2d_winograd_together.c): whether a node can be computed so; what depends on it. */
bool winograd_together(const struct plan *p, const struct node *n, int points);
void winograd_together_of(const struct plan *p, const struct group *g, struct winograd_conv *c);
double winograd_together_cost(const struct plan *p, const struct group *g, const struct winograd_conv *c);
const char *winograd_together_emit(struct emitter *e, const struct step *step);

/* ---- U: conv2d_winograd_filters.c -------------------------------------------------------------------------------- */

/* A network that is shown one image after the other has the same weights each time: U is kept, and made anew where the
 * weights are not those that it was made from, of which a copy is kept too.  So it does not matter who changes them. */
bool winograd_keeps_filters(const struct plan *p, const struct group *g);
/* Elements of scratch that the weights of a block take when they are turned. */
int64_t winograd_turned_size(const struct winograd_conv *c);
/* `scratch` = the weights of channels from `first` to `end` of the panel, turned. */
void winograd_emit_turn(struct emitter *e, const struct winograd_conv *c);
/* One vector of U for every position, from `from` (taps tap_stride apart) to `to`. */
void winograd_emit_weight_vector(struct emitter *e, const struct winograd_conv *c, int64_t tap_stride);
/* The step that makes them. */
const char *winograd_filters_emit(struct emitter *e, const struct step *step);

/* ---- what conv2d_winograd.c writes for all of them --------------------------------------------------------------- */

/* Writes V of so many channels of an image (of a row of its tiles, where `down` is the row's number): map: C text,
 * where they begin; image: its number among the values. */
void winograd_emit_in(struct emitter *e, const struct winograd_conv *c, const struct side *in, const char *map,
                      const struct winograd_values *values, int channels, const char *image, const char *down);
/* "B^T x B": what V is, for comments. */
const char *winograd_formula_in(const struct winograd_conv *c);
/* The panel's channels of the result, from M; tail: of its last vector. */
void winograd_emit_out(struct emitter *e, const struct winograd_conv *c, const struct side *out,
                       const struct chain *chain, int vectors, int tail, bool asked);

/* One position's product: emits a function (a, b, c) for `rows` rows of `depth` columns, a_row apart, and `vectors`
 * vectors of a panel; with `add` it begins with C.  With `pairs` a and b are pairs of bfloat16, and so depth and a_row
 * count. */
const char *winograd_emit_multiply(struct emitter *e, int64_t rows, int64_t depth, int64_t a_row, int panel,
                                   int vectors, bool add, bool pairs);
/* Cycles for a product of all positions of a class of `rows` rows. */
double winograd_product_cycles(const struct plan *p, const struct winograd_conv *c, int64_t rows);
/* "_bf16", or nothing: of names. */
const char *winograd_suffix(const struct winograd_conv *c);
/* Cycles of the transforms of maps of `from` and `to` channels, over a whole batch. */
double winograd_transform_cycles(const struct plan *p, const struct winograd_tiles *t, int from, int to);
/* Cycles for `moved` bytes of transformed values, of which `live` are in use at a time: none that the transforms and
 * products have not counted while the caches hold them. */
double winograd_memory_cycles(const struct plan *p, double live, double moved);
/* Emitted code reaches within a buffer by int. */
bool winograd_reaches(int64_t elements);

/* ---- the kernels, of which each direction has one for each size of tiles ----------------------------------------- */

/* `tiles`: of its name; its number; whether it is of `precision bf16`; its name for users; what its tiles are. */
#define WINOGRAD_KERNELS(KERNEL)                                                                                      \
    KERNEL(winograd4, 4, false, "winograd4", "tiles of 4 points")                                                     \
    KERNEL(winograd6, 6, false, "winograd6", "tiles of 6 points")                                                     \
    KERNEL(winograd8, 8, false, "winograd8", "tiles of 8 points")                                                     \
    KERNEL(bf16_winograd4, WINOGRAD_PAIRS + 4, true, "bf16_winograd4", "tiles of 4 points, products of bfloat16")     \
    KERNEL(bf16_winograd6, WINOGRAD_PAIRS + 6, true, "bf16_winograd6", "tiles of 6 points, products of bfloat16")

/* What a kernel asks of the functions that its file has for all sizes. */
#define WINOGRAD_ANSWERS(tiles, code)                                                                                 \
    static bool applicable_##tiles(const struct plan *p, const struct group *g)                                      \
    {                                                                                                                 \
        return applicable_with(p, g, code);                                                                           \
    }                                                                                                                 \
    static double cost_##tiles(const struct plan *p, const struct group *g)                                          \
    {                                                                                                                 \
        return cost_with(p, g, code);                                                                                 \
    }                                                                                                                 \
    static double error_##tiles(const struct plan *p, const struct group *g)                                         \
    {                                                                                                                 \
        return error_with(p, g, code);                                                                                \
    }

#endif
