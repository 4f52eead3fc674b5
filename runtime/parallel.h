/* parallel.h - threads, the clock, and the libraries that must agree about both. */
#ifndef PARALLEL_H
#define PARALLEL_H

#include "cnnrt.h"

/* How many threads a run uses: asked for (> 0), else the recipe's, else OMP_NUM_THREADS, else the
 * processors that this process may run on. */
int rt_threads_choose(int asked, const struct cnn_model *model);

/* Keeps OpenBLAS to one thread: products are called from inside the network's own parallel

 * loops. */
void rt_blas_single_thread(void);

/* Where OpenBLAS runs on other kernels than the plan counts on, starts the program once more with
 * the right ones named in its environment (they are chosen before main).  Returns when that was not
 * needed, or did not help: the latter with a note. */
void rt_blas_restart(const struct cnn_model *model, char **argv);

/* Numbers below the normal range become zero in this thread and in those it starts.  Optimizer
 * averages decay towards zero for ever, and many processors are a hundred times slower once such
 * numbers are below 1e-38. */
void rt_flush_subnormals(void);

#endif
