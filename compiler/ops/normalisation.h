/* normalisation.h - what layers share that normalise and then scale and shift by numbers that learn. */
#ifndef NORMALISATION_H
#define NORMALISATION_H

#include "ops/op_support.h"

/* The arguments `scale` and `center`, and what the parameters of these are called in messages. */
#define NORM_ARGS(of)                                                                                                  \
    { .name = "scale", .type = ARG_BOOL, .default_number = 1, .help = "multiplies each " of " by a trained number" },  \
    { .name = "center", .type = ARG_BOOL, .default_number = 1, .help = "adds a trained number to each " of }

/* gamma or beta of a layer, or a statistic: a number for each channel of x. */
struct tensor *norm_param(struct graph *g, struct layer *l, const struct tensor *x, const char *suffix,
                          enum cnn_param_role role, enum cnn_init_kind init);
/* Both as the layer's arguments say, NULL where it has none. */
void norm_params(struct graph *g, struct layer *l, const struct tensor *x, struct tensor **gamma, struct tensor **beta);
/* How many there are in all, and how many of them are summands, of layers with `each` of either. */
int64_t norm_parameters(const struct layer *l, int64_t each);

/* Numbers that are kept for the gradient: one for each channel of x, of the batch or of each sample; one for each
 * pixel. */
struct tensor *norm_kept(struct graph *g, const struct tensor *x, const char *name, const char *suffix);
struct tensor *norm_kept_sample(struct graph *g, const struct tensor *x, const char *name, const char *suffix);
struct tensor *norm_kept_pixel(struct graph *g, const struct tensor *x, const char *name, const char *suffix);

/* x normalised by moments of each sample and channel, which a node of it has made: the result of OP_norm, an attribute
 * of which says how the moments came about. */
struct node *norm_node(struct graph *g, struct layer *l, const char *name, struct tensor *x, struct tensor *gamma,
                       struct tensor *beta, struct tensor *const *moments);
/* x normalised by the moments of each of so many groups of channels; gamma and beta may be NULL. */
struct tensor *lower_groupnorm(struct graph *g, struct layer *l, const char *name, struct tensor *x,
                               struct tensor *gamma, struct tensor *beta, int groups);
/* dgamma and dbeta, where they learn, of sums that each sample has. */
void norm_param_gradient(struct graph *g, struct node *n, struct tensor *const *sums);

/* ---- verification */

/* That in[from .. to], where they are there, are vectors with an element for each channel of x. */
bool norm_per_channel(const struct node *n, int from, int to, const struct tensor *x);
/* The same of each sample, and kept. */
bool norm_per_sample(struct tensor *const *list, int from, int to, const struct tensor *x);
/* That in[i] is a vector of parameters, or not there. */
bool norm_may_be_vector(const struct node *n, int i);
/* Or a number for each element. */
bool norm_may_be_affine(const struct node *n, int i, const struct tensor *x);

/* ---- numbers */

/* A parameter that lies as a map does. */
bool norm_is_map(const struct tensor *param);
/* The number that a vector or map of parameters has for element i of something shaped as x; another one where there is
 * no such parameter. */
double norm_value(const struct run *r, const struct tensor *param, const struct tensor *x, int64_t i, double otherwise);
/* That of a vector that each sample has. */
double *norm_sample_column(const struct run *r, const struct tensor *v, const struct tensor *x, int64_t i);

#endif
