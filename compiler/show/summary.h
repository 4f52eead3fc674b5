/* summary.h - tables for people: --summary and --dump=model. */
#ifndef SUMMARY_H
#define SUMMARY_H

#include <stdio.h>
#include "steps/plan.h"

struct summary_options {
    bool by_blocks;             /* each use of a block is one row */
    bool real_double;
};

/* Layers, parameters, multiply-adds; of a plan (NULL: there is none) kernels and memory too. */
void summary_print(const struct model *m, const struct plan *p, const struct summary_options *options, FILE *out);
/* The same for programs, each layer by itself. */
void summary_print_json(const struct model *m, const struct plan *p, const struct summary_options *options, FILE *out);
void model_dump(const struct model *m, FILE *out);

#endif
