/* copies.h - which copies of a sample a recipe's `tta` averages over, and how, for all who do: the trainer, and the
 * compiler for the network that it emits. */
#ifndef COPIES_H
#define COPIES_H

#include "cnnrt.h"

/* What is seen where there is no picture. */
enum fill {
    FILL_ZEROS,
    FILL_EDGE,                  /* its outermost pixels */
    FILL_REFLECT                /* the picture again, mirrored at its outermost pixels, which stand once */
};

/* The one of that name; NULL and what is none: zeros. */
enum fill rt_fill_of(const char *word);
/* Which of `count` pixels in a line stands at place i of it, before, in or behind the line; -1: zeros. */
int rt_fill_place(enum fill fill, int64_t i, int count);

enum { COPIES_MOST = 6 };

struct copy {
    bool mirrored;              /* left and right change places, before it is shifted */
    int shift;                  /* so many pixels down and to the right */
    double weight;              /* all of them add up to 1 */
};

struct copies {
    struct copy list[COPIES_MOST];  /* first the sample itself */
    int count;
    enum fill fill;
    bool logits;                /* what arrives at the last softmax is averaged, not the predictions */
};

/* Of the step `tta`; NULL: the sample itself is the only one. */
struct copies rt_copies_of(const struct cnn_clause *step);
/* What is averaged of a prediction. */
double rt_copies_averaged(const struct copies *c, double prediction);
/* A sample's weighted sums become its predictions. */
void rt_copies_predictions(const struct copies *c, double *sums, int count);

#endif
