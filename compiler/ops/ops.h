/* ops.h - how a layer of the language becomes operations of the graph.  One row in layers.def and one file in
 * ops/ each; neither the parser, nor the planner, nor the emitter knows a layer by name. */
#ifndef OPS_H
#define OPS_H

#include "base/diag.h"
#include "graph/graph.h"
#include "model/model.h"

struct run;

struct layer_def {
    struct clause_def clause;
    bool is_activation;         /* may stand as `conv2d 8, 3x3, NAME` */
    bool reads_planes;          /* its input may lie as channels x rows x columns */
    bool normalises;            /* its parameters are those of a normalisation: `params norms` */
    bool bends;                 /* its parameters are slopes of an activation: neither weights, biases nor norms */
    bool is_join;               /* takes branches: inputs_count >= 2 */
    /* The result's shape.  Reports what does not fit, at the argument that is wrong, and returns false. */
    bool (*shape)(struct layer *l, struct diag *d);
    /* Parameters of the layer, for summaries that need no graph; NULL: none. */
    int64_t (*parameters)(const struct layer *l);
    /* Those of them that are running statistics, which no gradient trains; NULL: none. */
    int64_t (*statistics)(const struct layer *l);
    /* Those of them that are biases; NULL: none. */
    int64_t (*biases)(const struct layer *l);
    /* Multiply-adds forward for one sample; NULL: not counted. */
    int64_t (*multiply_adds)(const struct layer *l);
    /* Adds the layer's operations to g; x: the results of its inputs, returns its own result.  An activation
     * argument of the layer is applied by lower.c afterwards with lower_activation(). */
    struct tensor *(*lower)(struct graph *g, struct layer *l, struct tensor *const *x);
};

/* ops.def's other face: what each operation of the graph knows of itself. */
struct op_def {
    enum op op;
    bool reads_planes;          /* in[0] may lie as channels x rows x columns */
    /* What must hold of the node's tensors and attributes; NULL when it does. */
    const char *(*verify)(const struct graph *g, const struct node *n);
    /* Adds the gradients of n's inputs with grad_add(), given that of its outputs (tensor->gradient). */
    void (*gradient)(struct graph *g, struct node *n);
    /* Floating-point operations for one sample. */
    int64_t (*flops)(const struct node *n);
    /* Computes n's outputs in double precision, with the plainest loops (run_graph.h). */
    void (*run)(const struct run *r, const struct node *n);
    /* The operation as result = scale * in[0] + shift in each channel, from what is known of its parameters (channels
     * as a user counts them); NULL: it is no such operation. */
    void (*affine)(const struct node *n, int64_t channel, double *scale, double *shift);
};

const struct layer_def *layer_def_find(const char *name);       /* NULL: no such layer */
const struct layer_def *const *layer_defs(int *count);          /* in the order of layers.def */
const struct op_def *op_def_get(enum op op);
/* How many of the layer's parameters learn (running statistics of a layer that does are among them). */
int64_t layer_trained(const struct layer *l);
/* What people count: all of its parameters but running statistics. */
int64_t layer_weights(const struct layer *l);
/* How many of these a gradient trains. */
int64_t layer_learns(const struct layer *l);

/* Adds a gradient that flows into t: the first becomes t->gradient, later ones are summed. */
void grad_add(struct graph *g, struct tensor *t, struct tensor *gradient);
/* A new gradient tensor shaped as t. */
struct tensor *grad_tensor(struct graph *g, const struct tensor *t);
/* A layer of the user's own activation. */
struct layer_def *own_activation_layer(struct arena *a, struct clause_def clause);
/* Whether it is the language's activation of that name, and none of the user's that hides it.  NULL is none. */
bool is_activation_call(const struct clause *call, const char *name);
struct tensor *lower_activation(struct graph *g, struct layer *l, const struct clause *call, struct tensor *x);
/* The inputs one after the other by channels: maps of equal pixels, or vectors without an order of their own. */
struct tensor *lower_concat(struct graph *g, struct layer *l, const char *name, struct tensor *const *x, int count);
/* The initialisers' clause definitions: glorot_uniform .. orthogonal (ops/init.c). */
const struct clause_def *init_def_find(const char *name);       /* NULL: no such initialiser */
const struct clause_def *const *init_defs(int *count);
/* Reports an initialiser (the layer's ARG_INIT of that name) whose numbers make no sense. */
bool init_check(const struct layer *l, struct diag *d, const char *name);
/* The initialiser of an ARG_INIT (call NULL: fallback by name) for the given fans. */
struct cnn_init init_of(const struct clause *call, const char *fallback, int64_t fan_in, int64_t fan_out);
/* Gives the parameter the initialiser that the layer's ARG_INIT of that name says, or its default, for its own fans. */
void param_initialise(struct param *p, const char *argument);

#endif
