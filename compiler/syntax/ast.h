/* ast.h - the tree that the parser builds: syntax only, nothing looked up.  All of it lives in one
 * arena. */
#ifndef AST_H
#define AST_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "base/bounds.h"
#include "base/source.h"

enum { AST_EXTENT_PARTS = 3 };

enum ast_kind {
    AST_BAD,            /* something was wrong here and has been reported */
    AST_NUMBER, AST_EXTENT, AST_STRING, AST_SWITCH, AST_NAME,
    AST_CALL,           /* text(args) */
    AST_INDEX,          /* text[args] */
    AST_LIST,           /* [args] */
    AST_TUPLE,          /* (args), where one expression was expected */
    AST_UNARY, AST_BINARY,
    AST_CHOICE          /* if a then b else c */
};

enum ast_operator {
    AST_NEGATE, AST_NOT, AST_ADD, AST_SUB, AST_MUL, AST_DIV, AST_MOD, AST_POW,
    AST_EQ, AST_NE, AST_LT, AST_GT, AST_LE, AST_GE, AST_AND, AST_OR
};

struct ast_expr;
struct value;           /* check/check_parts.h */

/* An argument: `value` or `key=value`.  A list's elements and an operator's operands are arguments
 * too. */
struct ast_arg {
    struct ast_arg *next;
    struct span where;
    const char *key;                /* NULL: positional */
    struct span key_where;
    struct ast_expr *value;
};

struct ast_args {
    struct ast_arg *first, *last;
    int count;
};

struct ast_expr {
    enum ast_kind kind;
    enum ast_operator op;           /* UNARY, BINARY */
    int depth;                      /* of the tree below, at most EXPRESSION_DEEPEST */
    struct span where, word;        /* word: the name of CALL and INDEX */
    double number;                  /* NUMBER, SWITCH; STRING: as in struct token */
    int64_t dims[AST_EXTENT_PARTS]; /* EXTENT */
    int dims_count;
    const char *text;               /* STRING, NAME, CALL, INDEX */
    size_t text_size;
    struct ast_args args;
    const struct value *known;      /* NULL in what was parsed; the check's: what it was worth where it was written */
};

enum ast_statement_kind {
    AST_COMMAND,        /* word args as name { body } */
    AST_CONST,          /* const word = value */
    AST_ASSIGN,         /* word = value */
    AST_RETURN,         /* return value */
    AST_IF,             /* if value { body } else { otherwise } */
    AST_FUNCTION,       /* word head direction = value, or with { body } */
    AST_BROKEN          /* one that could not be read; reported */
};

struct ast_body;

struct ast_statement {
    struct ast_statement *next;
    enum ast_statement_kind kind;
    struct span where, word_where;
    const char *word;
    struct ast_args args;
    const char *as;                 /* NULL: no name */
    struct span as_where;
    struct ast_expr *value;
    struct ast_body *body, *otherwise;
    struct ast_expr *head;          /* FUNCTION: name(params), a CALL */
    const char *direction;          /* FUNCTION: NULL when not given */
    struct span direction_where;
};

struct ast_body {
    struct span where;              /* with its braces; of a file: all of it */
    bool broken; /* has an AST_BROKEN: what is not there may have been meant to be */
    struct ast_statement *first, *last;
    int count;
};

/* Constructors, for the grammar.  Lists are built in place. */
struct ast_expr *ast_expr_new(struct arena *a, enum ast_kind kind, struct span where);
struct ast_expr *ast_operation(struct arena *a, enum ast_kind kind, enum ast_operator op,
                               struct span where, struct ast_expr *x, struct ast_expr *y,
                               struct ast_expr *z);
struct ast_args ast_args_add(struct ast_args list, struct ast_arg *arg);
struct ast_arg *ast_arg_new(struct arena *a, struct span where, const char *key,
                            struct span key_where, struct ast_expr *value);
struct ast_statement *ast_statement_new(struct arena *a, enum ast_statement_kind kind,
                                        struct span where, const char *word,
                                        struct span word_where);
struct ast_body *ast_body_add(struct arena *a, struct ast_body *body, struct ast_statement *s);
/* Whether the parser had to make up the closing bracket or brace that ends the span. */
bool ast_is_repaired(struct span where);
/* 1 + the depth of the deepest argument. */
int ast_args_depth(struct ast_args list);

/* The shortest number that reads back as the same. */
struct number_text {
    char text[32];
};

struct number_text number_text(double number);

const char *ast_operator_text(enum ast_operator op);
/* Whether two trees say the same, wherever it stands. */
bool ast_same(const struct ast_body *a, const struct ast_body *b);
void ast_dump(const struct ast_body *file, FILE *out);

#endif
