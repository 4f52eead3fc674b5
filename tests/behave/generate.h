/* generate.h - a random network from a seed: its .cnn text and, beside it, the same network for the reference. */
#ifndef GENERATE_H
#define GENERATE_H

#include "reference.h"

enum network_kind {
    NETWORK_PLAIN,              /* everything but dropout (rate 0 apart) */
    NETWORK_DROPOUT_FIRST,      /* input (pooled where large), dropout, flatten, dense: each sample's mask shows */
    NETWORK_DROPOUT_LAST        /* ..., dropout, (flatten,) dense: a single sample's mask can */
};

enum network_target { NETWORK_OF_CLASSES, NETWORK_OF_LABELS, NETWORK_OF_NUMBERS, NETWORK_OF_INPUT };
enum { NETWORK_CLASSES = 48 };

struct network {
    uint64_t seed;
    enum network_kind kind;
    struct ref_net net;
    char *text;                 /* the .cnn file */
    int batch, outputs;
    enum network_target target;
    double class_weights[NETWORK_CLASSES];
    int dropout;                /* node whose mask is drawn; -1: none */
    bool by_channel;            /* it drops whole channels */
    struct ref_optimizer optimizer;
    bool measured;              /* has the metric accuracy */
    bool f1;                    /* and f1_score after it */
};

/* The same seed and batch give the same network, parameters included.  batch 0: drawn too. */
struct network *network_generate(uint64_t seed, int batch);
void network_free(struct network *network);
/* The parameters as float in a file of weights, and rounded to that; false: it cannot be written. */
bool network_write_weights(struct network *network, const char *path);
/* Targets of n samples with this input: labels where they are classes, (n, outputs) numbers else, which float can
 * hold. */
void network_targets(const struct network *network, uint64_t *random, const double *input, int n, int32_t *labels,
                     double *targets);

#endif
