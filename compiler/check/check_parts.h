/* check_parts.h - what the files of the check share. */
#ifndef CHECK_PARTS_H
#define CHECK_PARTS_H

#include "base/bounds.h"
#include "check/check.h"
#include "syntax/foreign.h"
#include "ops/losses.h"
#include "ops/ops.h"
#include "model/recipes.h"
#include "base/table.h"

/* ---- values: check_value.c ------------------------------------------------------------------- */

enum value_kind {
    VALUE_NONE, /* wrong, and reported */
    VALUE_NUMBER,
    VALUE_SWITCH,
    VALUE_EXTENT,
    VALUE_STRING,
    VALUE_LIST,
    VALUE_WORD, /* a bare word that names no constant: what it means depends on the slot */
    VALUE_CALL  /* word(args): likewise */
};

struct constant;

/* A file being included, and where from; the file of the command line has outer NULL. */
struct inclusion {
    const struct inclusion *outer;
    const struct source *source;
    int depth;
};

struct value {
    enum value_kind kind;
    struct span where;
    const struct ast_expr *expr;
    double number;                      /* NUMBER, SWITCH */
    int64_t dims[AST_EXTENT_PARTS];
    int dims_count;
    const char *text;                   /* STRING, WORD, CALL */
    const struct value *items;          /* LIST */
    int count;
    const struct constant *constant;    /* where it came from, if from a bare constant's name */
    struct layer *layer;                /* WORD given to a block: the layer that it names there; NULL: none */
    const struct constant *others;      /* likewise: the constants there, newest first ... */
    struct seen_range {
        int from, to, prefix;
    } seen;                             /* ... and the names of layers */
};

enum constant_state { CONSTANT_NEW, CONSTANT_BUSY, CONSTANT_DONE };

/* What a name with a value is: `const`, a block's parameter, what a repeat counts. */
enum constant_kind { CONSTANT_DECLARED, CONSTANT_GIVEN, CONSTANT_DEFAULT, CONSTANT_COUNTER };

struct constant {
    struct constant *outer;             /* declared before, or in an enclosing body */
    struct constant *hidden;            /* of the same name, in an enclosing body */
    const char *name;
    struct span where;
    const struct ast_expr *expr;
    struct value value;
    enum constant_state state;
    int level;                          /* nesting of the body: 0 at top level */
    enum constant_kind kind;
    struct span given;                  /* of a parameter: its value, at the use or as a default */
};

/* How much of the layers of a body is trained: the less the larger. */
enum training { TRAINS_ALL, TRAINS_BIASES, TRAINS_NOTHING };

/* Where layers get their names: in the network, or in one use of a block. */
struct naming {
    const char *prefix;                 /* "layer1.0." */
    const char *rounds;                 /* of the repeats within: ".0.2" */
    int first_seen;                     /* of the names given: those before belong to who uses the block */
    enum training training;
    const struct ast_statement *use;    /* of the block; NULL: in the network itself */
    const struct diag_context *used_within;     /* what that stands in */
    bool again;                         /* it gives names that another use has given: reported */
};

/* A name that `add`, `from` and their like may say. */
struct seen_name {
    const char *name;                   /* in full */
    struct layer *layer;                /* whose result it is */
    int number;                         /* in the list */
};

/* The layers whose names begin with a block's. */
struct block_layers {
    struct layer **layers;
    int count;
    size_t capacity;
    bool frozen;                        /* already */
};

/* What calls what, by numbers: functions, and blocks. */
struct call {
    int callee;
    struct span where;
};

struct calls {
    const char *name;                   /* of the caller */
    struct call *list;                  /* in the order of the text */
    int count;
    size_t capacity;
    int next;                           /* the first one that has not been followed */
    enum { CALLS_NEW, CALLS_BUSY, CALLS_DONE } state;
    bool recursive;                     /* reported */
};

/* A block of the user's. */
struct block_entry {
    const struct ast_statement *statement;
    struct clause_def def;              /* its name and parameters */
    const struct ast_arg **parameters;  /* as they are written */
    bool wrong;                         /* its declaration: reported */
    bool included;
    bool used, expanded;                /* in the text; by the network */
    struct calls calls;
};

/* A value that a monitor may name. */
struct monitor {
    const char *name, *canonical;       /* "val_accuracy", "val_acc" */
    enum cnn_direction direction;
    struct span where;                  /* of the metric */
};

/* A function of the user's, checked or not. */
struct function_entry {
    enum function_kind kind;
    const struct ast_statement *statement;
    const char *name;
    struct user_function *function;     /* NULL: its declaration is wrong */
    const struct clause_def *def;       /* of a loss or an activation: what it is used by */
    const struct layer_def *layer;      /* of an activation */
    const struct activation_row **rows; /* of an activation: what it is with the arguments it was used with */
    int rows_count;
    size_t rows_capacity;
    int nodes, sums;                    /* names, numbers and operations, and its sums, with those of what it calls */
    int64_t work;                       /* what it counts towards METRICS_LARGEST or another bound */
    /* check_functions.c */
    struct calls calls;                 /* of the user's own functions */
    int number;                         /* of those that use it by kind, as a layer */
};

struct check {
    struct arena *arena;
    struct diag *diag;
    struct model *model;
    const struct check_options *options;
    struct constant *constants;         /* newest first */
    struct table constants_by_name;     /* of the top level */
    struct table locals_by_name;        /* of the bodies around: of a block those within it */
    struct constant *globals;           /* the newest of the top level */
    int constants_count;                /* declared in all */
    int includes_count;
    size_t bytes;                       /* of all files */
    int suggestions_count;
    int level;
    int depth;                          /* of check_value(), through constants */
    /* the network */
    bool in_network;
    const struct layer *current;        /* the layer whose result arrives here; NULL: not known */
    bool broken;                        /* a shape is not known: shapes are no longer checked */
    bool too_many;                      /* layers; reported */
    size_t layers_capacity;
    struct table layers_by_name;
    int *kind_counts;                   /* by layer_defs() order */
    struct table layers_by_block;       /* struct block_layers: "layer1", "layer1.0" */
    struct table places_of_names;       /* of layers and of uses of blocks: struct span */
    struct span clash;                  /* of the name given twice that was reported last */
    struct seen_name **seen;            /* layers with a name of the user's, for `add name` */
    int seen_count;
    size_t seen_capacity;
    struct table seen_by_name;          /* in full */
    struct naming naming;
    const struct layer_group *group;    /* what the layers stand in */
    int joined_count;                   /* results that joins take */
    struct block_entry *blocks;
    int blocks_count;
    size_t blocks_capacity;
    struct table blocks_by_name;        /* their numbers */
    int expanded_count;                 /* statements of the network, each as often as it is looked at */
    int words_count;                    /* statements whose words alone are looked at */
    bool stopped;                       /* there are too many of them, or too deep: reported */
    bool without_arguments;             /* an unused block is looked at */
    bool names_unknown;                 /* then: what layers are called further up is not known */
    bool other_arm;                     /* then: names may be those of the arm before */
    /* data and train */
    const struct data_source *data;
    struct span data_where, loss_where, target_where;
    bool target_broken;                 /* nobody knows what is trained towards */
    struct span epochs_where, batch_where;      /* file NULL: not said */
    struct table *names_spoilt;         /* what statements declare that are wrong, and are reported */
    struct table names_read;            /* by expressions anywhere: what is no key has no reader */
    const struct expr *rates;           /* the user's expression, of many steps; NULL: none */
    struct expr_pool *rates_pool;
    struct span rates_where;
    bool metrics_broken;                /* one is wrong: what can be monitored is not known */
    struct monitor *monitors;
    int monitors_count;
    size_t monitors_capacity;
    struct function_entry *functions;
    int functions_count;
    size_t functions_capacity;
    struct table functions_by_name;     /* their numbers */
    int64_t activations_work;           /* against ACTIVATIONS_LARGEST */
    size_t steps_capacity, callbacks_capacity, metrics_capacity, groups_capacity;
    int64_t metrics_work;               /* against METRICS_LARGEST */
    int selectors_count;
    bool too_many_steps, too_many_callbacks, too_many_metrics, too_many_joined, too_many_groups;
                                        /* reported */
};

struct value check_value(struct check *c, const struct ast_expr *e);
/* The same value for elsewhere, where its names and the shape at hand mean other things; NULL: it is wrong. */
const struct value *check_value_kept(struct check *c, const struct value *v);
struct constant *check_constant_find(const struct check *c, const char *name);
void check_constant_add(struct check *c, const struct ast_statement *s);
/* A name whose value is known: of a block's parameter, or what a repeat counts. */
void check_constant_bind(struct check *c, const char *name, struct span where, const struct value *v,
                         enum constant_kind kind, struct span given);
/* Whether a constant or parameter may be called so; else reported. */
bool check_constant_name(struct check *c, const char *name, struct span where);
/* A name that a statement would have declared which is wrong, and is reported: that nothing is called so follows. */
void check_name_spoil(struct check *c, const char *name);
/* The same of a statement that could not be read, if it would have declared one. */
void check_spoil_declared(struct check *c, struct span where);
bool check_name_spoilt(const struct check *c, const char *name);
/* The constants of a body are not seen after it: outer: the newest one before it. */
void check_constants_leave(struct check *c, struct constant *outer);
/* The value of a constant, worked out on first use. */
struct value check_constant_value(struct check *c, struct constant *k, struct span use);
/* "the number 1.5", "the word 'relu'" */
const char *value_text(struct check *c, const struct value *v);
/* Reports a bare word that is nothing at all; extra: names that would have been right. */
void check_unknown_name(struct check *c, const struct value *v, const char *const *extra,
                        int extra_count);
void check_constant_note(struct check *c, const struct value *v);
/* An extent such as 0x10 where a number was wanted: a hint that says what it would be; false: it is none. */
bool check_hexadecimal(struct check *c, const struct value *v);

/* ---- arguments: check_clause.c ----------------------------------------------------------------- */

/* `word a, b, k=v` against its definition: NULL when an argument is wrong (reported). */
struct clause *check_clause(struct check *c, const struct clause_def *def, struct span where,
                            const struct ast_args *args);
/* Whether all names of arguments are some of the clause's; else reported. */
bool check_keys(struct check *c, const struct clause_def *def, const struct ast_args *args);
/* check_args.c: one value for one slot. */
bool check_slot(struct check *c, const struct clause_def *owner, const struct arg_def *def,
                const struct ast_expr *e, struct arg_value *out);
/* What it takes: "a whole number". */
const char *check_slot_text(struct check *c, const struct arg_def *def);
bool check_slot_takes_word(enum arg_type type);
/* "conv2d filters, kernel, [activation], stride=.., ..." */
const char *clause_usage(struct arena *a, const struct clause_def *def);
/* The arguments of a statement; `conv2d(64, 3x3)` is reported and read as if written right. */
struct ast_args check_statement_args(struct check *c, const struct ast_statement *s);

/* ---- names: check_names.c -------------------------------------------------------------------- */

struct names {
    struct arena *arena;
    const char **items;
    int count;
    size_t capacity;
    const char **later;                 /* those of the language that this version does not have */
    int later_count;
    size_t later_capacity;
};

/* A word that is nothing where it stands. */
struct unknown {
    enum foreign_place place;
    const char *owner;                  /* of an argument: its clause; NULL: none */
    const char *word;
    const struct ast_expr *value;       /* what follows it; NULL: nothing */
    const struct names *names;          /* what would have been right */
    const char *list;                   /* "the layers are": they are listed behind it; NULL: they are not */
};

void names_add(struct names *n, const char *name);
void names_add_later(struct names *n, const char *const *later);
void names_add_defs(struct names *n, const struct clause_def *defs);
bool word_in(const char *word, const char *const *list);
/* Hints: what the word means elsewhere, or the name that is spelled nearest; then what there is. */
void check_suggest(struct check *c, const struct unknown *u);
/* Whether it still does: to look through all names for each of thousands of mistakes takes too long. */
bool check_suggests(const struct check *c);
/* True, and reported the first time, when there are `most` of something already. */
bool check_too_many(struct check *c, bool *reported, int count, int most, struct span where, const char *what);
void check_not_supported(struct check *c, struct span where, const struct unknown *u);
/* The name of ours that the word surely means: another spelling of it, another tool's word, and with `nearest` a
 * misspelling; so that what follows can be checked in the same run.  NULL: not sure. */
const char *check_surely(const struct unknown *u, bool nearest);
/* "a, b or c", of words that end with NULL. */
const char *check_join_words(struct arena *a, const char *const *words);
/* The file of a checkpoint, whose name becomes one without detours; false: reported. */
bool check_checkpoint_file(struct check *c, struct clause *clause);
/* A name that the user gives to something; false: reported. */
bool check_own_name(struct check *c, struct span where, const char *name);
/* The text of a span where it is short and on one line, else NULL. */
const char *check_source_text(struct check *c, struct span where);
/* A string where a word was wanted: reported, and the word it holds. */
const struct ast_expr *check_unquoted(struct check *c, const struct ast_expr *e);
/* `word = value` in a section: reported, and as `word value` where the section knows the word, or other tools do;
 * NULL: it was taken for a constant. */
const struct ast_statement *check_assigned(struct check *c, const struct ast_statement *s, bool known,
                                           enum foreign_place place);
/* Statements that only sections of another kind understand: says where the word belongs.  False:
 * nowhere. */
bool check_is_data_statement(const char *word);
bool check_elsewhere(struct check *c, const struct ast_statement *s, const char *section);
bool check_no_body(struct check *c, const struct ast_statement *s);
bool check_no_as(struct check *c, const struct ast_statement *s);
const struct clause_def *clause_def_find(const struct clause_def *list, const char *name);

/* ---- names of layers: check_scope.c ------------------------------------------------------------ */

/* What is called `name` here, in full: "layer1.0.conv1". */
const char *check_full_name(struct check *c, const char *name);
/* Takes a full name, for a layer or a use of a block; false: it is taken, and reported. */
bool check_name_take(struct check *c, const char *full, struct span where);
/* The name may be said from now on. */
void check_name_see(struct check *c, const char *full, struct layer *layer);
/* The names given since there were `count` are no longer seen. */
void check_names_forget(struct check *c, int count);
/* The layer that is called so here; NULL: none. */
struct layer *check_name_seen(struct check *c, const char *name);
/* The names that may be said here, and those of such a place, the newest first. */
struct seen_range check_seen_here(const struct check *c);
void names_add_seen(struct check *c, struct names *names, struct seen_range range);
/* What messages call it: its name where it stands, so that what is wrong in a block is said once. */
const char *check_layer_called(const struct layer *l);
/* A layer belongs to the blocks that its name begins with. */
void check_name_blocks(struct check *c, struct layer *l);
/* Trains no more of the layer than that. */
void check_layer_train(struct layer *l, enum training training);

/* ---- calls: check_calls.c ---------------------------------------------------------------------- */

void calls_add(struct check *c, struct calls *calls, int callee, struct span where);
/* Goes depth first through all that call each other; each is done after those that it calls. */
struct calls_walk {
    struct calls *(*of)(struct check *c, int number);
    void (*done)(struct check *c, int number);
    /* words of messages: "calls", "how often would have to be known before it runs" */
    const char *verb, *reason;
    /* a hint for what calls itself by its own name; NULL: none */
    const char *(*hidden)(struct check *c, const char *name);
};
void check_calls(struct check *c, const struct calls_walk *walk, int count);

/* ---- blocks: check_blocks.c -------------------------------------------------------------------- */

/* `block name(a, b=1) { ... }` at top level. */
void check_block_add(struct check *c, const struct ast_statement *s, bool included);
/* All of them have been added: what uses what. */
void check_blocks(struct check *c, const struct ast_statement *network);
struct block_entry *check_block_find(const struct check *c, const char *name);
void names_add_blocks(const struct check *c, struct names *names);
/* A use as a statement of the network; what comes out of it. */
struct layer *check_block_use(struct check *c, const struct ast_statement *s, struct block_entry *b,
                              struct layer *from);
struct layer *check_repeat(struct check *c, const struct ast_statement *s, struct layer *from);
/* Whether one more body may be entered; false: it is too deep, and that has been reported. */
bool check_deeper(struct check *c, struct span where);
/* Those that the network does not use, as far as they can be checked. */
void check_blocks_unused(struct check *c);
/* check_network.c: the statements of a body one after the other; the last one's layer. */
struct layer *check_chain(struct check *c, const struct ast_body *body, struct layer *from);
/* The same in the level of constants that there is. */
struct layer *check_statements(struct check *c, const struct ast_body *body, struct layer *from);
/* One statement more that is looked at; false: there are too many, and that has been reported. */
bool check_expanded(struct check *c, struct span where);
/* What is called wrong in a body whose layers do not come: words of statements, names of arguments. */
void check_words(struct check *c, const struct ast_body *body);
/* Takes `trainable` out of the arguments of what `owner` names. */
struct ast_args check_trainable(struct check *c, struct ast_args args, const struct clause_def *owner,
                                enum training *training);

/* ---- sections -------------------------------------------------------------------------------- */

void check_network(struct check *c, const struct ast_statement *section);
void check_data(struct check *c, const struct ast_statement *section);
/* What the source's samples are made of. */
enum cnn_sample_kind check_data_sample(const struct check *c);
/* What no single slot of the source can tell, once it is known what the network is trained towards. */
void check_data_source(struct check *c);
/* Whether the pictures, as `resize` leaves them, are what the input takes.  What is wrong is reported;
 * false: no shape behind the input is worth a word. */
bool check_data_picture(struct check *c, const struct layer *input);
/* Warns of pixels that arrive as numbers that networks do not learn from. */
void check_data_pixels(struct check *c);
/* What steps ask of the network's end, once it is known: mixed classes, averaged logits. */
void check_ends_of_steps(struct check *c);
/* For a loss of numbers between 0 and 1 whose target is the input: whether its numbers are such. */
void check_data_shares(struct check *c);
void check_train(struct check *c, const struct ast_statement *section);
void check_param_group(struct check *c, const struct ast_statement *s);
/* Whether groups with lr_scale=0 keep every parameter as it is. */
bool check_rate_is_zero(const struct model *m);
bool check_is_train_statement(const char *word);
/* check_functions.c: all functions, each after those that it calls. */
void check_functions(struct check *c);
/* check_function.c */
void check_function(struct check *c, struct function_entry *entry);
/* "metric", "loss", "activation" */
const char *function_word(enum function_kind kind);
/* The user's own activation, or else the language's; NULL: there is none of that name. */
const struct layer_def *check_layer_find(const struct check *c, const char *name);
/* The names of the user's functions of a kind. */
void names_add_own(const struct check *c, struct names *names, enum function_kind kind);
/* A function of the user's of another kind than is wanted here: reported; else false. */
bool check_other_kind(struct check *c, const char *name, struct span where, enum function_kind wanted);
/* What the user's own activation is with these arguments; NULL: reported. */
const struct activation_row *check_own_activation(struct check *c, const struct clause *call);
/* The expression of a rate, of these names (to NULL), of which some may be arrays and some have a value that is known
 * (others NaN); NULL: it is wrong, and reported. */
const struct expr *check_rate_expr(struct check *c, const struct ast_expr *e, struct expr_pool *pool,
                                   const char *const *names, const bool *arrays, const double *values);
/* check_schedule.c: `lr_schedule`, behind all other statements of the section; when all is right, whether the recipe's
 * rates are. */
void check_schedule(struct check *c, const struct ast_statement *s);
void check_schedule_rates(struct check *c);
/* check_useless.c: the names that expressions of the body read; then warnings of what can never act. */
void check_names_read(struct check *c, const struct ast_body *body);
void check_useless(struct check *c, const struct ast_body *file);
struct function_entry *check_function_find(const struct check *c, const char *name);
/* check_ends.c: what the network ends in against the data, the loss and the metrics, once all of them are known. */
void check_ends(struct check *c);
/* Warns of a recipe that trains nothing: it runs, but can hardly be meant. */
void check_learns(struct check *c, const struct ast_statement *train);
/* check_share.c: the share of a batch that one process takes, into the model; what a share cannot compute by itself. */
void check_share(struct check *c, const struct ast_statement *train);

#endif
