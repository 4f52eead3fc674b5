/* blas.h - products by OpenBLAS, one thread each, inside our own blocks. */
#ifndef BLAS_H
#define BLAS_H

#include "kernels/loops.h"

/* Estimated cycles of one call of m x n x k. */
double blas_cycles(const struct plan *p, double m, double n, double k);

/* A product with weights in panels: calls for every panel of `out` channels. */
struct panels {
    int out, width;
    int64_t stride;             /* elements from one panel to the next */
};

struct panels panels_of(const struct plan *p, const struct tensor *weight);
int panels_count(const struct panels *w);
/* Channels in panel `index` (C text): "64", or "(index < 1 ? 64 : 6)". */
const char *panel_columns(struct emitter *e, const struct panels *w, const char *index);

struct gemm {
    bool transpose_a, transpose_b;
    const char *m, *n, *k;      /* C text */
    const char *a, *b, *c, *beta;
    int64_t lda, ldb, ldc;
};

void line_gemm(struct emitter *e, const struct gemm *g);

/* Samples of a batch are gone through in groups, whose sums are added in order: how many, so that the partial sums
 * of `stored` elements stay small. */
int weight_groups(const struct plan *p, int64_t stored);
/* A function that adds `groups` rows of `stored` elements, a chunk of them a block: name(partial, dw, b). */
const char *emit_group_sums(struct emitter *e, int groups, int64_t stored, const char *comment);
int64_t group_sums_blocks(const struct plan *p, int64_t stored);
struct part group_sums_part(int64_t stored);

#endif
