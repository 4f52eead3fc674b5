/* product.h - a product of many rows with weights in panels, cut into register tiles.  Shared by the direct kernels
 * of convolutions and dense layers. */
#ifndef PRODUCT_H
#define PRODUCT_H

#include "steps/kernel.h"

enum {
    ASKED_MOST = 4,
    FAR_DEPTH = 32              /* of a sum, in which what its tile asked for comes (tile.far) */
};

/* `lines` lines of `length` rows each; row k of line r of A begins at a + r * a_line + k * tile.a_row, of C at
 * c + r * c_line + k * tile.c_row.  Columns are `channels`, in panels of B. */
struct product {
    struct tile tile;           /* all but rows, vectors, tail */
    int channels, panel;
    int64_t panel_stride;       /* elements of B from panel to panel */
    int64_t lines, a_line, c_line;
    int64_t length;
    const char *a, *b, *c;      /* C names of the base pointers */
    const char *at;             /* C text of c's offset from where the chain's elements point, "0" for none */
    /* ask(asked[0] + offset, ...) before each tile of the only line, what is needed after the product: the offset is
     * the number of the tile * ask_step.  NULL: nothing is */
    const char *ask, *asked[ASKED_MOST];
    int asked_count;
    int64_t ask_step;
    /* A and C are maps that may be too large for the second-level cache: see product_emit() */
    bool maps;
};

/* Panels as tiles see them: whole ones and perhaps a last one with fewer vectors and a tail. */
struct panels {
    int whole, vectors;         /* whole panels, each of `vectors` vectors */
    int last_vectors, last_tail;        /* 0, 0: there is no other */
};

/* Sums too short for what their tile asks for to come in time, whose weights all fit the first-level cache: the tiles
 * of all panels follow one another in the same rows, so that C is written as it lies, and each asks for the place of
 * the next one below.  (Measured with AVX2 on one core, 16 to 96 channels: 41 GFLOP/s become 53; 24 to 144: 53 and
 * 59.) */
bool product_by_rows(const struct plan *p, const struct product *t);
struct panels product_panels(const struct plan *p, int channels, int panel);
/* Writes the loops over panels, lines and rows into e->w.  Of large maps a band of rows after the other is multiplied
 * by all panels, so that they are read and written once; the weights come from the second-level cache for each band.
 * (Measured with AVX2, 128 to 128 channels, 900 pixels, one core: forward 0.95 of the time, data gradient with its
 * chain 0.89.) */
void product_emit(struct emitter *e, const struct product *t);
/* The same product in blocks [0, product_blocks()): product_emit_block() writes the function's part for block `b`.  A
 * block is a line, or where there is but one line a tile of its rows; for all panels, or for one of them where the
 * weights of all do not stay in the cache from block to block. */
int64_t product_blocks(const struct plan *p, const struct product *t);
/* What a block has of C. */
struct part product_part(const struct plan *p, const struct product *t);
void product_emit_block(struct emitter *e, const struct product *t);
/* Cycles of one core for `rows_total` rows in lines of `length`, each of `depth` multiply-adds a channel. */
double product_cycles(const struct plan *p, int channels, int panel, int64_t rows_total, int64_t length,
                      int64_t depth);
/* The same of `depth` pairs of bfloat16, by a processor that has an instruction for them, whatever the target has: a
 * target that emulates it rounds what that processor rounds. */
double product_pairs_cycles(const struct plan *p, int channels, int panel, int64_t rows_total, int64_t length,
                            int64_t depth);

#endif
