/* tune.h - --tune: times the kernels that a model may be computed with, on this machine. */
#ifndef TUNE_H
#define TUNE_H

#include "steps/plan.h"

struct tune_options {
    const char *path;           /* of the wisdom */
    bool in_cache;              /* its folders are made */
    int threads;                /* 0: as many as the machine has */
    const char *makefile;       /* cnnc.mk: how trainers are built */
};

/* Times what the wisdom does not know yet and adds it there.  The number of threads it was for; 0: that failed
 * (reported), and the wisdom holds at most rounds that are over, which only the next call reads. */
int tune_kernels(struct arena *a, const struct graph *train, const struct graph *use,
                 const struct plan_options *options, const struct tune_options *how, struct diag *d);

#endif
