/* graph.h - operations and tensors.  lower.c makes the forward graph, autodiff.c adds the backward one. */
#ifndef GRAPH_H
#define GRAPH_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "base/arena.h"
#include "graph/attributes.h"
#include "graph/parameter.h"
#include "model/model.h"
#include "base/table.h"

enum op {
#define OP(name, attributes, text) OP_##name,
#include "graph/ops.def"
#undef OP
    OP_COUNT
};

enum tensor_role {
    TENSOR_INPUT,           /* the batch's pictures; per sample */
    TENSOR_LABELS,          /* int32 a sample: the targets where they are classes */
    TENSOR_TARGETS,         /* targets that are numbers; per sample */
    TENSOR_PARAM,           /* a trainable (or frozen) parameter */
    TENSOR_STATISTIC,       /* running mean or variance */
    TENSOR_ACTIVATION,      /* result of a forward operation; per sample */
    TENSOR_GRADIENT,        /* of the loss with respect to an activation; per sample */
    TENSOR_PARAM_GRADIENT,
    TENSOR_SAVED,           /* what a forward operation keeps for its backward one: pool indices, batch moments */
    TENSOR_LOSS             /* real a sample */
};

enum tensor_element { ELEMENT_REAL, ELEMENT_U8, ELEMENT_I32 };

struct node;

/* Whether (h, w, c) and (c, h, w) are different orders of such a map's elements. */
bool is_ordered(struct shape s);

struct tensor {
    int id;
    const char *name;               /* unique, a C identifier: "conv2d_1_y" */
    enum tensor_role role;
    enum tensor_element element;
    bool per_sample;                /* has a leading batch dimension */
    struct shape shape;             /* of one sample; parameters: see param */
    struct map_order order;
    bool planes;                    /* a map that lies as channels x rows x columns: only at the ends of a graph that stands
                                     * alone (graph.alone), and only where that is another order */
    struct param *param;            /* PARAM, STATISTIC, PARAM_GRADIENT: which */
    bool needs_gradient;            /* a trainable parameter lies behind it (or it is one) */
    struct tensor *gradient;        /* ACTIVATION, PARAM: set by autodiff, NULL where none flows */
    struct node *producer;          /* NULL: input, targets, parameters */
    struct node **consumers;        /* each node once, in the order of the nodes */
    int consumers_count;
    size_t consumers_capacity;
};

struct node {
    int id;                         /* position in graph.nodes */
    enum op op;
    const char *name;               /* "conv2d_1", "conv2d_1_bias", "conv2d_2_data_grad" */
    struct layer *layer;
    bool backward;
    struct tensor **in, **out;      /* both followed by a NULL; an optional input or output may be NULL */
    int in_count, out_count;
    struct node *forward;           /* of a backward node: the node it differentiates; NULL for sums */
    struct attributes attr;         /* those of op_attributes(op); the others are 0 */
};

struct graph {
    struct arena *arena;
    const struct model *model;
    bool differentiated;            /* the backward nodes are there */
    bool training;                  /* false: the graph of use: no dropout, running statistics, no gradients */
    /* the graph of use as a function by itself: maps come and go as planes, no labels */
    bool alone;
    struct tensor **tensors;
    int tensors_count;
    size_t tensors_capacity;
    struct node **nodes;            /* in an order that respects dependencies */
    int nodes_count;
    size_t nodes_capacity;
    struct param **params;
    int params_count;
    size_t params_capacity;
    struct tensor *input, *target, *logits, *predictions, *loss;
    struct table names;             /* of tensors and nodes: the next number for another of that name */
};

struct tensor *graph_tensor(struct graph *g, enum tensor_role role, struct shape shape, const char *name);
/* Another name for a tensor; made unique as the first one was. */
void graph_rename_tensor(struct graph *g, struct tensor *t, const char *name);
/* A node with room for its inputs and outputs; consumers and producer are linked. */
struct node *graph_node(struct graph *g, enum op op, struct layer *layer, const char *name,
                        struct tensor *const *in, int in_count, struct tensor *const *out, int out_count);
/* A parameter of the layer, "LAYER.suffix"; extents: of form->files. */
struct param *graph_param(struct graph *g, struct layer *layer, const char *suffix, enum cnn_param_role role,
                          const struct param_form *form, const int *extents);

/* Takes n, a node of one result, out of what is computed: who reads its result reads its first input, which must do.
 * It stays in the lists until graph_sweep(). */
void graph_bypass(struct graph *g, struct node *n);
/* Takes n, which stands after it, to position `before`; what n reads is made before that. */
void graph_move(struct graph *g, struct node *n, int before);
/* The operation of n, which has one result, once more, as a backward node before that at position `before`; of another
 * first input. */
struct node *graph_again(struct graph *g, struct node *n, struct tensor *first, int before);
/* n reads one tensor in place of another. */
void graph_reads_instead(struct graph *g, struct node *n, struct tensor *from, struct tensor *to);
/* n is another operation from now on, of these inputs and without attributes. */
void graph_become(struct graph *g, struct node *n, enum op op, struct tensor *const *in, int in_count);
/* n makes these from now on, some of which it or a node that is dropped may have made. */
void graph_makes_instead(struct graph *g, struct node *n, struct tensor *const *out, int out_count);
/* Takes n out of what is computed: nobody reads what it still makes.  It stays in the lists until graph_sweep(). */
void graph_drop(struct node *n);
/* t, which nothing makes yet, becomes the last result of n. */
void graph_also_makes(struct graph *g, struct node *n, struct tensor *t);
/* Drops bypassed nodes, and parameters that nothing reads. */
void graph_sweep(struct graph *g);

/* What a tensor is a view of, itself where it is none: views are the same memory under another shape. */
const struct tensor *tensor_base(const struct tensor *t);
bool role_is_per_sample(enum tensor_role role);
const char *op_name(enum op op);
/* The attributes that nodes of this operation have: a set of HAS_... */
unsigned op_attributes(enum op op);

#endif
