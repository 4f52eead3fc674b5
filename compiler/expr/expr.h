/* expr.h - expressions: the user's own functions, and the formulas in tables (activations; later losses, optimizers'
 * rules, rates).
 *
 * An expression is a node of a pool.  Nodes are never changed, equal ones are one node, and a node's arguments come
 * before it: what is used twice is there once, and every pass is a loop over the pool, however deep an expression is.
 *
 * An array has a value for each element of what is run over: the elements of a tensor in an activation, the classes of
 * a sample in a loss, batch and classes in a metric, the weights in an optimizer's rule.  The rest are single numbers:
 * an activation's alpha, a rate's `epoch`.  A reduction makes a number of an array.
 *
 * A formula comes from expr_parse(), or node by node from the check of a user's function; then
 *     expr_simplify -> expr_derivative, expr_gradient -> expr_evaluate, expr_cycles, expr_write, expr_text
 * of which all but expr_text ask that it has been simplified.  operations.def has what is known of each operation. */
#ifndef EXPR_H
#define EXPR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/cwriter.h"
#include "base/table.h"

struct ast_expr;        /* syntax/ast.h */

enum expr_op {
#define OPERATION(id, ...) EXPR_##id,
#include "expr/operations.def"
#undef OPERATION
    EXPR_OPERATIONS
};

enum expr_kind { EXPR_FUNCTION, EXPR_HIDDEN, EXPR_REDUCTION, EXPR_LEAF, EXPR_PREFIX, EXPR_INFIX, EXPR_CHOICE };

/* How tightly signs bind in the language, loosest first. */
enum expr_level {
    EXPR_LEVEL_PRIMARY_, EXPR_LEVEL_CHOICE, EXPR_LEVEL_OR, EXPR_LEVEL_AND, EXPR_LEVEL_NOT, EXPR_LEVEL_COMPARE,
    EXPR_LEVEL_SUM, EXPR_LEVEL_PRODUCT, EXPR_LEVEL_NEGATE, EXPR_LEVEL_POWER, EXPR_LEVEL_PRIMARY
};

enum { EXPR_ARGUMENTS = 3 };

struct expr_op_row {
    const char *name;                   /* of a function, NULL: it is none that can be called */
    int arguments;
    enum expr_kind kind;
    const char *sign, *c_sign;          /* c_sign NULL: as the language's */
    enum expr_level level;              /* 0: PRIMARY */
    bool is_condition;                  /* its result is true or false */
    bool takes_conditions;
    bool commutes;
    bool repeats;                       /* f(f(a)) is f(a) */
    bool in_rates;                      /* hidden, but for a rate of the user's */
    const char *derivative[EXPR_ARGUMENTS];
    const char *c, *scalar, *definition, *vector, *with_constant;
    double cycles;
    int flops;
};

const struct expr_op_row *expr_op_row(enum expr_op op);
/* The function of that name, hidden ones aside; EXPR_OPERATIONS: there is none. */
enum expr_op expr_function(const char *name);
enum expr_op expr_op_of_ast(const struct ast_expr *e);

struct expr {
    enum expr_op op;
    int id;                             /* position in the pool */
    bool is_array;
    bool is_condition;                  /* true or false rather than a number */
    bool chooses_zero;                  /* an IF, or sums of such, that is 0 where another branch is taken */
    const struct expr *args[EXPR_ARGUMENTS];
    double number;                      /* NUMBER */
    int index;                          /* INPUT: which */
    const char *name;                   /* INPUT, NAMED */
};

struct expr_pool {
    struct arena *arena;
    struct expr **nodes;
    int count;
    size_t capacity;
    int *slots;                         /* of the hash table: 1 + a node's number, or 0 */
    size_t slots_count;
    struct table formulas;              /* of tables, parsed when first needed */
};

struct expr_pool *expr_pool_new(struct arena *a);

/* ---- nodes, as they are written -------------------------------------------------------------- */

const struct expr *expr_number(struct expr_pool *p, double number);
/* What is given from outside, by its place among all that is given. */
const struct expr *expr_input(struct expr_pool *p, int index, const char *name, bool is_array);
const struct expr *expr_named(struct expr_pool *p, const char *name, const struct expr *value);
/* args: as many as the operation takes. */
const struct expr *expr_make(struct expr_pool *p, enum expr_op op, const struct expr *const *args);

/* An expression of another pool, or of this one, with other values for its inputs, by their index. */
const struct expr *expr_copy(struct expr_pool *p, const struct expr_pool *from, const struct expr *e,
                             const struct expr *const *inputs);

bool expr_is_number(const struct expr *e, double number);
bool expr_is_reduction(const struct expr *e);
/* By node: whether one of the roots needs it. */
bool *expr_reached(const struct expr_pool *p, const struct expr *const *roots, int count);

/* ---- formulas -------------------------------------------------------------------------------- */

struct expr_name {
    const char *name;
    const struct expr *value;
};

/* The formula as the language reads it, with names bound to the values given (the list ends with a NULL name).  NULL:
 * it is none, and *wrong says why. */
const struct expr *expr_parse(struct expr_pool *p, const char *formula, const struct expr_name *names,
                              const char **wrong);
/* As the language writes it; a NAMED value by its name. */
const char *expr_text(struct arena *a, const struct expr *e);

/* ---- what can be done with them -------------------------------------------------------------- */

/* Folds constants, takes names away, and makes of what is written what is meant (log(1 + exp(x)) is softplus).  Every
 * rule gives the same bits but for those that give more exact ones; nothing is assumed finite.  In place. */
void expr_simplify(struct expr_pool *p, const struct expr **roots, int count);
/* A simplified node of simplified arguments. */
const struct expr *expr_build(struct expr_pool *p, enum expr_op op, const struct expr *const *args);
const struct expr *expr_build2(struct expr_pool *p, enum expr_op op, const struct expr *a, const struct expr *b);

/* By an input or any other node, element by element; what a reduction gives is taken as a number of its own, unless it
 * is a single number that it is derived by.  A choice contributes nothing where it is not taken. */
const struct expr *expr_derivative(struct expr_pool *p, const struct expr *e, const struct expr *by);
/* Of a number that is made of reductions: by each element of an array. */
const struct expr *expr_gradient(struct expr_pool *p, const struct expr *e, const struct expr *by);
/* factor * derivative, and 0 where a choice makes one of them 0, whatever the other is. */
const struct expr *expr_scale(struct expr_pool *p, const struct expr *factor, const struct expr *derivative);

/* The value, of each element where e is an array.  inputs: by their index; arrays of count elements, or one number. */
void expr_evaluate(const struct expr_pool *p, const struct expr *e, const double *const *inputs, int64_t count,
                   double *result);

/* Of a vector, of an element. */
double expr_cycles(const struct expr_pool *p, const struct expr *e);
int expr_flops(const struct expr_pool *p, const struct expr *e);

/* ---- as C: expr_print.c ---------------------------------------------------------------------- */

enum expr_dialect {
    EXPR_C_SCALAR,          /* double, with cnn_scalar.h */
    EXPR_C_DOUBLE,          /* C99, which includes nothing but <math.h> */
    EXPR_C_FLOAT,
    EXPR_VECTOR_DOUBLE,     /* the primitives of cnn_vec.h */
    EXPR_VECTOR_FLOAT
};

/* A number as a constant of that dialect's type: "0.5", "0.5f". */
const char *expr_number_text(struct arena *a, enum expr_dialect dialect, double number);

/* Loops around the arrays that reductions run over.  In vectors the elements may come in parts, such as whole vectors
 * and what is left of the last one; each part is written on its own, from the first to the last. */
struct expr_loops {
    /* Opens the loops and declares the elements of each input that is read there (by index), as expr_write calls
     * them. */
    void (*open)(void *context, int part, const bool *reads);
    void (*close)(void *context, int part);
    void *context;
    const char *count;                  /* elements of an array, as a product's right side */
    /* Writes what is done with the element of a result that is an array.  NULL: there is one part, and its loops are
     * open after expr_write, for the caller to close. */
    void (*result)(void *context, int part, const char *value);
    int parts;                          /* 0: one */
    /* Loops around those, in which sums of vectors are made: behind each turn the lanes are added up in double.
     * NULL: none. */
    void (*open_block)(void *context, int part);
    void (*close_block)(void *context, int part);
    /* The vm of the lanes that hold elements; NULL: all. */
    const char *(*inside)(void *context, int part);
};

struct expr_writing {
    enum expr_dialect dialect;
    const char *const *inputs;          /* what C calls them, by index */
    int inputs_count;
    const char *const *names;           /* what the roots before the last are called; NULL: they are not kept */
    const struct expr_loops *loops;     /* NULL: no reduction is there */
    bool fuses;                         /* vectors: sums with a product are v_fma(), so that no compiler has to choose which
                                         * product of two is rounded once */
};

/* Writes what is used more than once, or too long for a line, as variables, and returns the text of the last root.
 * With `names` the roots before it become variables of these names, if they are used.  With `loops`, and where the last
 * root is an array, its elements have gone to loops->result, and there is no text; without such a function loops over
 * its elements have been opened, which the caller closes.  Vectors with `loops`: single numbers, and inputs that are no
 * arrays, are doubles. */
const char *expr_write(struct cwriter *w, struct expr_pool *p, const struct expr_writing *how,
                       const struct expr *const *roots, int count);
/* The same for several results, such as a weight and its moments: the text of each in values.  With `names` each that
 * is no input is a variable of that name. */
void expr_write_all(struct cwriter *w, struct expr_pool *p, const struct expr_writing *how,
                    const struct expr *const *roots, int count, const char **values);

#endif
