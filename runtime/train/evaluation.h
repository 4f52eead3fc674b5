/* evaluation.h - what `evaluate` found, for people and for programs. */
#ifndef EVALUATION_H
#define EVALUATION_H

#include "files/origin.h"
#include "train/progress.h"
#include "train/tally.h"

struct evaluation {
    const char *weights;                /* their file */
    const struct weights_origin *origin;
    const char *set;                    /* "test" or "validation" */
    const struct tally *values;         /* with its confusion */
    char *const *names;                 /* of the classes, or NULL */
    int copies;                         /* of each sample, averaged over */
};

/* Behind loss and metrics: tables of classes, or of outputs. */
void rt_evaluation_print(const struct evaluation *e, struct progress *p);
/* One object, or a table with a row a class or output, on stdout.  0, or -1 with a message. */
int rt_evaluation_json(const struct evaluation *e);
int rt_evaluation_csv(const struct evaluation *e);

#endif
