/* generate.h - a random network from a seed: its .cnn text and, beside it, the same network for the reference. */
#ifndef GENERATE_H
#define GENERATE_H

#include "reference.h"

enum network_kind {
    NETWORK_PLAIN,              /* everything but dropout (rate 0 apart) */
    NETWORK_DROPOUT_FIRST,      /* input (pooled where large), dropout, flatten, dense: each sample's mask shows */
    NETWORK_DROPOUT_LAST        /* ..., dropout, (flatten,) dense: a single sample's mask can */
};

struct network {
    uint64_t seed;
    enum network_kind kind;
    struct ref_net net;
    char *text;                 /* the .cnn file */
    int batch, classes;
    int dropout;                /* node whose mask is drawn; -1: none */
    bool by_channel;            /* it drops whole channels */
    double lr, beta1, beta2, epsilon;
    bool f1;                    /* has a metric f1_score after accuracy */
};

/* The same seed and batch give the same network, parameters included.  batch 0: drawn too. */
struct network *network_generate(uint64_t seed, int batch);
void network_free(struct network *network);

#endif
