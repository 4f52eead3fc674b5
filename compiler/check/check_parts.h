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
};

enum constant_state { CONSTANT_NEW, CONSTANT_BUSY, CONSTANT_DONE };

struct constant {
    struct constant *outer;             /* declared before, or in an enclosing body */
    struct constant *hidden;            /* of the same name, in an enclosing body */
    const char *name;
    struct span where;
    const struct ast_expr *expr;
    struct value value;
    enum constant_state state;
    int level;                          /* nesting of the body: 0 at top level */
};

/* A value that a monitor may name. */
struct monitor {
    const char *name, *canonical;       /* "val_accuracy", "val_acc" */
    enum cnn_direction direction;
    struct span where;                  /* of the metric */
};

/* A call of a function of the user's in another one. */
struct function_call {
    int callee;                         /* its number in the list */
    struct span where;
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
    struct function_call *calls;        /* of the user's own functions, in the order of the text */
    int calls_count;
    size_t calls_capacity;
    int next_call;                      /* the first one that has not been followed */
    int number;                         /* of those that use it by kind, as a layer */
    enum { FUNCTION_NEW, FUNCTION_BUSY, FUNCTION_DONE } state;
    bool recursive;                     /* reported */
};

struct check {
    struct arena *arena;
    struct diag *diag;
    struct model *model;
    const struct check_options *options;
    struct constant *constants;         /* newest first */
    struct table constants_by_name;
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
    struct layer **visible;             /* layers with a name of the user's, for `add name` */
    int visible_count;
    size_t visible_capacity;
    struct table visible_by_name;
    int joined_count;                   /* results that joins take */
    /* data and train */
    const struct data_source *data;
    struct span data_where, loss_where, target_where;
    bool target_broken;                 /* nobody knows what is trained towards */
    struct span epochs_where, batch_where;      /* file NULL: not said */
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
struct constant *check_constant_find(const struct check *c, const char *name);
void check_constant_add(struct check *c, const struct ast_statement *s);
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

/* ---- arguments: check_args.c ----------------------------------------------------------------- */

/* `word a, b, k=v` against its definition: NULL when an argument is wrong (reported). */
struct clause *check_clause(struct check *c, const struct clause_def *def, struct span where,
                            const struct ast_args *args);
/* One value for one slot. */
bool check_slot(struct check *c, const struct clause_def *owner, const struct arg_def *def,
                const struct ast_expr *e, struct arg_value *out);
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

#endif
