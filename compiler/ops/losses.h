/* losses.h - what a loss is taken of, what the network must end in for it, and how it is computed.  A row of
 * model/losses.def and one struct; nothing else knows a loss by name. */
#ifndef LOSSES_H
#define LOSSES_H

#include "expr/expr.h"
#include "ops/ops.h"
#include "ops/run_graph.h"

enum { CNN_TARGET_KINDS = CNN_TARGET_INPUT + 1, LOSS_ENDS = 2 };

/* A set of enum cnn_target_kind. */
#define TARGETS(kind) (1u << (kind))

struct loss_def {
    unsigned targets;           /* kinds of targets that it can be taken of */
    /* Activations of the language, by kind of target: the network must end in one of them; none: in anything. */
    const char *ends[CNN_TARGET_KINDS][LOSS_ENDS];
    const char *needs;          /* why: "probabilities" */
    /* It works on what arrives at that activation, which is left out, and makes the predictions as well. */
    bool on_logits;
    bool shares;                /* numbers of the input, where that is the target, must lie between 0 and 1 */
    const char *metric;         /* that goes with it: said where none is named */
    /* The loss of one sample, of its targets y (one-hot where they are classes), the predictions p and the loss' own
     * arguments: "sum((p - y)^2)".  NULL: an operation of its own, by `lower`. */
    const char *formula;
    /* Adds the loss of the network's result y, in the user's order, against g->target: sets g->predictions and g->loss,
     * and g->logits where it works on them.  NULL: the formula. */
    void (*lower)(struct graph *g, struct layer *last, const struct clause *loss, struct tensor *y);
};

/* The row of a loss of the model; those of the user's own have one together. */
const struct loss_def *loss_def_of(const struct clause *loss);

/* The activation that the layer is or has for an argument; NULL: none. */
const struct clause *layer_activation(const struct layer *l);
/* Whether the last layer's is computed with the loss, or where there is none after everything else. */
bool activation_is_left(const struct model *m);

/* Adds the model's loss. */
void loss_lower(struct graph *g, struct layer *last, struct tensor *y);
/* The node's loss, or its gradient, counts by the model's weights of classes, where there are some and the graph
 * trains. */
struct node *loss_weigh(struct graph *g, struct node *loss);
/* Predictions and loss of a sample, as tensors of the graph. */
void loss_tensors(struct graph *g, struct shape predictions);

/* ---- a loss that is a formula ---------------------------------------------------------------- */

enum loss_input { LOSS_Y, LOSS_P, LOSS_INPUTS };

struct loss_expr {
    struct expr_pool *pool;
    const struct expr *value;           /* of a sample */
    const struct expr *gradient;        /* by each of its predictions */
    const char *text;                   /* the formula with the loss' own numbers */
};

/* For op_def.run: the weight of sample s of a loss' node, 1 where classes have none. */
double loss_run_weight(const struct run *r, const struct node *n, int s);
/* The target of output k where targets are classes: a lone output is 1 for the second of two. */
double run_one_hot(double label, int k, int outputs);

/* The same for equal clauses; of a loss of the user's own as well, whose p is held off 0 and 1 where the clause says so
 * and the formula has logarithms, roots, quotients or powers of it. */
struct loss_expr loss_expr(struct arena *a, const struct clause *loss);

#endif
