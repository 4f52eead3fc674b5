/* generate_parts.h - the parts of the generator of random networks: each layer is written as text and added to the
 * reference in the same breath; then the recipe is drawn. */
#ifndef GENERATE_PARTS_H
#define GENERATE_PARTS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "generate.h"

struct maker {
    struct network *network;
    struct ref_net *net;
    uint64_t random;
    uint64_t recipe;            /* what the recipe is drawn from: a layer more changes nothing there */
    FILE *out;
    int depth;                  /* of braces */
    int64_t budget;             /* multiply-adds left, one sample */
    /* for the names that the compiler gives */
    int convs, depthwise, separable, locals, transposed, denses, norms, layernorms, groupnorms, prelus;
    int marks;                  /* names of our own */
    bool lone;                  /* one output */
    bool bends;                 /* uses an activation of our own */
    int decays;                 /* percent of layers that have l2 */
};

static inline int range(struct maker *m, int low, int high)
{
    return ref_range(&m->random, low, high);
}

static inline bool chance(struct maker *m, int percent)
{
    return range(m, 1, 100) <= percent;
}

static inline bool recipe_chance(struct maker *m, int percent)
{
    return ref_range(&m->recipe, 1, 100) <= percent;
}

static inline struct ref_node *node_of(struct maker *m, int x)
{
    return &m->net->nodes[x];
}

/* An activation as a layer has it. */
struct choice {
    bool any;
    enum ref_activation activation;
    double alpha;
    char text[48];              /* as a layer's argument, with the comma before it; "" for none */
};

/* generate_layers.c */
__attribute__((format(printf, 2, 3))) void write_line(struct maker *m, const char *format, ...);
struct choice choose_activation(struct maker *m, int percent);
int make_activation(struct maker *m, int x);
int random_channels(struct maker *m);
/* Writes and adds a convolution; same: the padding that window has is `same`. */
int put_conv(struct maker *m, int x, int filters, struct ref_window k, bool same, int activation_percent);
int64_t conv_cost(const struct ref_node *x, int filters, const struct ref_window *k);
struct ref_window random_kernel(struct maker *m);
int make_conv(struct maker *m, int x);
/* Depthwise, separable, or in groups of channels. */
int make_grouped(struct maker *m, int x);
/* Writes and adds a locally connected layer; the window has no padding. */
int put_local(struct maker *m, int x, int filters, struct ref_window k, int activation_percent);
int make_local(struct maker *m, int x);
/* `same` as Keras counts: what reaches beyond the stride is taken off, the odd one at the end. */
void transposed_same(int reach, int stride, int *before, int *after);
int put_transposed(struct maker *m, int x, int filters, int groups, struct ref_window k, bool same, const int *more);
int make_transposed(struct maker *m, int x);
/* Zeros around the map or beside its channels, pixels made into several, another shape. */
int make_move(struct maker *m, int x);
int make_pool(struct maker *m, int x);
int make_batchnorm(struct maker *m, int x);
/* layernorm of pixels or of the sample, or groupnorm, with as many groups as may be. */
int make_sample_norm(struct maker *m, int x);
int make_lrn(struct maker *m, int x);
int make_prelu(struct maker *m, int x);
int make_scale(struct maker *m, int x);
int put_dense(struct maker *m, int x, int units, struct choice c);
int make_softmax(struct maker *m, int x);
int make_no_dropout(struct maker *m, int x);

/* generate_joins.c */
/* A convolution that keeps height and width, with a filter count of its own. */
int put_keeping_conv(struct maker *m, int x, int filters, int activation_percent);
int make_global_pool(struct maker *m, int x);
int make_any_join(struct maker *m, int x);
int make_flat_join(struct maker *m, int x);

/* generate_recipe.c */
/* What is learnt, from which loss; networks with a dropout that is read off gradients keep to the simplest. */
void choose_objective(struct maker *m, bool simple);
void write_data(struct maker *m);
void write_train(struct maker *m);

#endif
