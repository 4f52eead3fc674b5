/* augment.h - steps that draw: what becomes of a training sample, another one in every epoch. */
#ifndef AUGMENT_H
#define AUGMENT_H

#include "data/sample.h"

/* What a step may draw from.  All of it follows from the run's seed, the epoch, the sample and the step, so that
 * neither the order of samples nor threads nor a break in the run change what is drawn. */
struct step_draw {
    uint64_t key;               /* of random.h: the step's own for this sample in this epoch */
    uint64_t lasting;           /* likewise, the same in every epoch */
    uint64_t epoch;
    int64_t number;             /* of the sample in its set */
};

/* Makes `to` of `from`: of one shape and kind of numbers, apart in memory. */
typedef void augment_function(const struct cnn_clause *step, const struct step_draw *draw, const struct sample *from,
                              struct sample *to);

/* The function of the step of that name; NULL: it is none that draws. */
augment_function *rt_augment(const char *name);

#endif
