/* formula_loops.h - loops over the numbers of samples, in vectors, for formulas of targets y and predictions p: losses
 * of a sample, metrics of a batch.
 *
 * Sums are made sample by sample, and of long samples some thousand numbers at a time: the lanes of so many vectors,
 * then all lanes in double.  The order depends on nothing that is known only when it runs. */
#ifndef FORMULA_LOOPS_H
#define FORMULA_LOOPS_H

#include "expr/expr.h"
#include "kernels/loops.h"

struct formula_loops {
    struct emitter *e;
    struct cwriter *w;
    int size;                       /* numbers of a sample */
    bool classes;                   /* its target is a class, and y is one-hot */
    bool batch;                     /* all samples of a batch, `n`; else one */
    /* Targets that do not lie as predictions do: maps of so many channels, a pixel's next to each other (0: in the
     * order of predictions), and the way from one sample to the next (0: `size`). */
    int channels;
    int64_t stride;
    int y, p;                       /* inputs of the expression by index, -1: it has none such */
    const char *const *inputs;      /* what C calls them */
    /* Of the sample: "predictions", "targets"; a class as a pointer to it. */
    const char *predictions, *targets;
    /* where a result of the expression goes that is an array, times `share`; NULL: none */
    const char *to;
    struct expr_loops loops;        /* filled in by formula_loops_begin() */
};

/* Writes what stands before the loops; root: the expression that will be written. */
void formula_loops_begin(struct formula_loops *f, const struct expr_pool *pool, const struct expr *root,
                         const char *count);

#endif
