/* dense_tile.h - what the kernels of dense layers by register tiles share. */
#ifndef DENSE_TILE_H
#define DENSE_TILE_H

#include "kernels/product.h"

enum {
    DEPTH_CHUNK = 512           /* inputs that a forward tile runs over: the weights of a chunk stay in L1/L2 */
};

struct dense {
    int in, out;
    const struct param_place *weight;
    int panel, panels;
    int batch_padded;           /* samples rounded up to whole vectors */
};

struct dense dense_of(const struct plan *p, const struct node *n);
int64_t dense_flops(const struct plan *p, const struct dense *d);
/* Of reading the weights once. */
double dense_stream_cycles(const struct plan *p, const struct dense *d);
/* Rows of a tile for a whole batch: the largest divisor of the batch that fits, if it is not too small. */
int dense_batch_rows(const struct plan *p, int vectors);
/* Inputs in a block of the data gradient: about a hundred, whole tiles of rows and whole vectors; and whole tiles of
 * the weight gradient too, if that makes these tiles little smaller: then both share a loop.  *rows: of a tile. */
int dense_input_block(const struct plan *p, const struct dense *d, int *rows);
/* The rows of some inputs in weights or their gradient, `piece` of them in a block. */
struct part dense_part_of_weights(const struct dense *d, int piece);

/* What the two steps of a data gradient take, once their blocks are planned: dy is turned over, `run` elements of
 * `size` a block, and multiplied by the weights of `block` inputs. */
void dense_data_takes(struct plan *p, struct program *q, struct group *g, struct step *turn, struct step *main,
                      int block, const char *type, int64_t size, int64_t run);

/* Writes which inputs block `b` has: `first`, and how many `rows`. */
void dense_emit_block(struct emitter *e, const struct dense *d, int block);
/* Writes the end of a data gradient: what lies in `product` (inputs, samples) is turned over in `back` and becomes
 * dx. */
void dense_emit_back(struct emitter *e, const struct dense *d, const struct chain *chain, int block);

#endif
