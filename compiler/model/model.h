/* model.h - what the checked .cnn file says: the result of check.c, the input of lower.c and emit_recipe.c.
 *
 * Ensured: every name is resolved, every argument has the type its definition asks for and a value (given or
 * default), every shape is computed and fits, no number overflows.  No stage after this reports a user error.
 */
#ifndef MODEL_H
#define MODEL_H

#include <stdbool.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/source.h"
#include "cnnrt.h"       /* enum cnn_direction */

/* The result of a layer for one sample.  flat: a vector (h = w = 1), as `flatten` and `dense` give it. */
struct shape {
    int c, h, w;
    bool flat;
};

int64_t shape_elements(struct shape s);

/* "128x31x31", or "512" for a vector: shape_text(s).text */
struct shape_text {
    char text[40];
};
struct shape_text shape_text(struct shape s);

/* ---- clauses: statements with arguments ---------------------------------------------------------------------- */

enum arg_type {
    ARG_INT,            /* number: whole, min..max */
    ARG_REAL,           /* number: min..max (min_open/max_open: ends excluded) */
    ARG_BOOL,           /* number: on = 1, off = 0; where def->words lists words, also text: one of them */
    ARG_WORD,           /* text: one of def->words */
    ARG_STRING,         /* text */
    ARG_EXTENT2,        /* dims[2]: "2x3", "[h, w]", or one number for a square */
    ARG_EXTENT3,        /* dims[3]: "3x32x32" */
    ARG_SHAPE,          /* dims[3]: "3x32x32", or one number for a vector: dims[1] and dims[2] are 0 */
    ARG_SIDES,          /* dims[4]: [top, bottom, left, right], "1x2" for both ends of each, or one number for all */
    ARG_PADDING,        /* text "valid"/"same" or NULL with dims[2] */
    ARG_REAL_LIST,      /* list, list_length */
    ARG_COLUMNS,        /* text as the language writes it: 65, "species", [1, "species"] */
    ARG_ACTIVATION,     /* call: an activation layer's clause (its definition is a layer_def); NULL: none */
    ARG_INIT,           /* call: an initialiser's clause; NULL: the layer's own default */
    ARG_CLASS,          /* number: of a class, or text: its name; neither: -1 */
    ARG_ANY,            /* any: what a block of the user's is given */
    ARG_MONITOR         /* text: "loss", "val_loss", "acc", "val_acc", a metric's name with or without val_ */
};

struct arg_def {
    const char *name;
    enum arg_type type;
    bool positional;            /* may be given without its name, in the order of the table */
    bool required;
    double min, max;            /* inclusive; both 0: no bounds.  Numbers, and every part of an extent */
    bool min_open, max_open;
    double default_number;      /* INT, REAL, BOOL; both parts of EXTENT2 */
    const char *default_text;   /* WORD, STRING, PADDING, MONITOR, and the name of an INIT */
    const char *default_of;     /* the argument of the same clause whose value it takes instead; NULL: none */
    const char *const *words;   /* WORD, and of BOOL what is neither on nor off: NULL-terminated */
    const char *help;           /* half a line: what it is, with its unit */
};

struct clause;
struct user_function;
struct activation_row;  /* expr/activations.h */

struct arg_value {
    bool given;                 /* false: the default */
    struct span where;          /* of the value; file NULL when not given */
    double number;
    const char *text;
    int64_t dims[4];
    const double *list;
    int list_length;
    struct clause *call;
    const struct value *any;    /* check/check_parts.h */
};

/* A row of a table: what a statement or call may say. */
struct clause_def {
    const char *name;
    const struct arg_def *args; /* ends with name NULL */
    int args_count;             /* filled by clause_def_count() when 0 */
    const char *help;
    bool before_update;         /* a callback that may end the run between a loss and its update */
    const struct user_function *function;       /* an activation or loss of the user's own; else NULL */
    struct span declared;       /* of a block of the user's own: its name there */
};

struct clause {
    const struct clause_def *def;
    struct span where;          /* of the word */
    struct arg_value *args;     /* def's order */
    /* an activation of the user's own with these arguments: the same for the same ones */
    const struct activation_row *own;
    bool holds_predictions;     /* a loss of the user's own: p is held off 0 and 1 where its formula asks for it */
};

/* The number of a definition's arguments (args_count where it is filled in). */
int clause_def_count(const struct clause_def *def);
/* Gives what was not given its default. */
void clause_fill_defaults(struct clause *c);
/* The argument of that name; an assertion when the definition has none. */
const struct arg_value *clause_arg(const struct clause *c, const char *name);
double clause_number(const struct clause *c, const char *name);
int64_t clause_int(const struct clause *c, const char *name);
const char *clause_text(const struct clause *c, const char *name);

/* ---- the network --------------------------------------------------------------------------------------------- */

struct layer_def;       /* ops.h */
struct diag_context;    /* base/diag.h */
struct model;

/* What layers stand in: a use of a block, or a round of a repeat. */
struct layer_group {
    const struct layer_group *outer;    /* NULL: the network's body */
    const char *title;                  /* of a use: "basic 16, stride=2"; "" of a round */
    const char *as;                     /* the name of a use; NULL: none */
};

/* A layer after expansion of branches.  Joins (add) have several inputs; all others one; `input` none. */
struct layer {
    const struct layer_def *def;
    struct clause *clause;          /* its arguments */
    const char *name;               /* unique: "conv2d_1", or the user's, behind the names of blocks: "layer1.0.conv1" */
    struct span where;
    int index;                      /* in model.layers */
    struct layer **inputs;
    int inputs_count;
    struct shape in, out;           /* in: of inputs[0] */
    bool trainable;                 /* false: nothing of it learns */
    bool bias_only;                 /* of what learns its biases do */
    struct span frozen;             /* its name behind `freeze`, which made it so; or empty */
    /* what the user calls it where it stands, without the names of blocks around it; or NULL */
    const char *as;
    const struct diag_context *within;      /* the blocks that it stands in, as they were used */
    const struct layer_group *group;        /* the innermost one */
};

/* "line 5", and "line 5 of blocks.cnn" where that is another file than the model's own. */
const char *layer_place_text(struct arena *a, const struct model *m, const struct layer *l);
/* Whether its name is the block's, a '.', and more. */
bool layer_is_in_block(const struct layer *l, const char *block);
/* The names of its inputs: "conv2d_1, relu_2". */
const char *layer_inputs(struct arena *a, const struct layer *l);
/* Whether it reads what the layer before it gives, and nothing else. */
bool layer_follows(const struct layer *l);

/* ---- the user's own functions -------------------------------------------------------------------------------- */

struct expr;            /* expr/expr.h */
struct expr_pool;

enum function_kind { FUNCTION_METRIC, FUNCTION_LOSS, FUNCTION_ACTIVATION };

struct function_local {
    const char *name;
    const struct expr *named;       /* its value, with the name */
};

struct user_function {
    enum function_kind kind;
    const char *name;
    struct span where;
    enum cnn_direction direction;
    struct expr_pool *pool;         /* of its expressions, as they were written */
    const char **params;            /* "y", "p" first, "x" of an activation; inputs of the expressions */
    int arrays;                     /* how many of them are arrays: the first ones */
    double *param_defaults;         /* of the others */
    int params_count;
    struct function_local *locals;  /* in order; each may use the ones before */
    int locals_count;
    const struct expr *result;      /* one number, of an activation an array */
    const struct user_function **calls;         /* functions of the user's own; some perhaps twice */
    int calls_count;
    size_t calls_capacity;
};

/* ---- the rate ------------------------------------------------------------------------------------------------ */

/* `lr_schedule`: a schedule with a name and arguments, or the user's own expression; either way its formula. */
struct model_schedule {
    struct clause *clause;          /* NULL: the user's expression */
    struct span where;
    struct expr_pool *pool;
    const struct expr *rate;        /* of a step, in terms of enum rate_input (expr/schedules.h), simplified */
    const char *text;               /* as a person would write it */
};

/* ---- the whole ----------------------------------------------------------------------------------------------- */

struct model_metric {
    struct clause *clause;          /* accuracy and other built-in ones; NULL: the user's */
    struct user_function *function;
    const char *name, *log_name;    /* "accuracy", "acc" */
    enum cnn_direction direction;
    enum cnn_metric_kind kind;
    enum cnn_average average;       /* of precision, recall and F1 */
    int of_class;                   /* 1 + the class it is taken of alone; 0: all, or class_name says which */
    const char *class_name;
    int thresholds;                 /* of an area */
    unsigned targets;               /* 1 << enum cnn_target_kind: what it can be taken of */
    struct span where;
};

/* What a statement `params` names. */
enum selector_kind { SELECT_WEIGHTS, SELECT_BIASES, SELECT_NORMS, SELECT_LAYER, SELECT_BLOCK };

struct selector {
    enum selector_kind kind;
    const struct layer *layer;      /* SELECT_LAYER */
    const char *block;              /* SELECT_BLOCK: what the names of its layers begin with, before a '.' */
};

/* `params biases, lr_scale=64`: of a parameter that fits several the last holds. */
struct param_group {
    struct selector *selectors;
    int selectors_count;
    struct clause *clause;          /* its options */
};

struct model {
    const char *name;               /* a C identifier */
    const struct source *source;
    const struct source **included; /* in the order of the text; one that is included twice is there twice */
    int included_count;
    size_t included_capacity;
    struct layer **layers;          /* topological order; [0] is input */
    int layers_count;
    int outputs;                    /* width of the last layer */
    struct cnn_target target;       /* what it is trained towards */
    enum cnn_sample_kind sample;    /* what its source's samples are made of */
    bool bf16;                      /* `precision bf16` */
    bool ends_in_softmax;           /* the last layer is (or ends in) a softmax: the loss works on its logits */

    bool has_data, has_train;       /* --check and --summary need only a network */
    struct clause *source_clause;   /* cifar10 "dir" */
    bool target_is_input;           /* `target input` */
    struct clause **steps;
    int steps_count;
    bool mixes;                     /* classes, so that training goes by shares of them */

    const struct user_function **functions;     /* in the order of the text */
    int functions_count;
    struct clause *loss, *optimizer;
    struct clause *class_weights;   /* NULL: all samples count alike */
    struct param_group *groups;
    int groups_count;
    struct model_schedule *schedule; /* NULL: the optimizer's rate, which callbacks may lower */
    struct clause **callbacks;
    int callbacks_count;
    struct model_metric *metrics;
    int metrics_count;
    double epochs;                  /* a fraction ends within an epoch */
    int batch, threads;
    /* samples of a batch that are taken at a time, shared out among processes; 0: all */
    int share;
    uint64_t seed;
    const char *explained;          /* the recipe with every default filled in: --explain, cnn_model.recipe */
};

#endif
