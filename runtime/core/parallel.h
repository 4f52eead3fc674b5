/* parallel.h - threads, the clock, and the libraries that must agree about both. */
#ifndef PARALLEL_H
#define PARALLEL_H

#include "cnnrt.h"

/* How many threads a run uses: asked for (> 0), else the recipe's, else OMP_NUM_THREADS, else the
 * processors that this process may run on. */
int rt_threads_choose(int asked, const struct cnn_model *model);
/* The same for one of several processes (NULL: it is alone): those of a machine that may run on the same processors
 * share them. */
int rt_threads_among(int asked, const struct cnn_model *model, const struct cnn_ranks *ranks);

/* Where OpenBLAS runs on other kernels than the plan counts on: starts the program once more, with
 * these words and with the right kernels named in its environment (they are chosen before main).
 * Returns, with a note, when that did not help or the process is not ours to start again
 * (`restart` NULL). */
void rt_blas_core_check(const struct cnn_model *model, char **restart);

/* The same without a word where it does not help. */
void rt_blas_core_restart(const struct cnn_model *model, char **restart);

/* What OpenBLAS needs for so many threads, where the network calls it: it waits for ever for what it cannot have.  0,
 * or -1 with a message. */
int rt_blas_reserve(const struct cnn_model *model, int threads);

/* Between these two OpenBLAS computes with one thread; they nest, and threads may call them at once. */
void rt_blas_begin(void);
void rt_blas_end(void);

#endif
