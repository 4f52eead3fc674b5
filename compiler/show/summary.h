/* summary.h - tables for people: --summary and --dump=model. */
#ifndef SUMMARY_H
#define SUMMARY_H

#include <stdio.h>
#include "steps/plan.h"

/* plan: NULL where the file has no training recipe; memory is printed with it. */
void summary_print(const struct model *m, const struct plan *p, FILE *out);
void model_dump(const struct model *m, FILE *out);

#endif
