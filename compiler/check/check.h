/* check.h - from the tree to the model: names, constants, types, shapes.  Every user's error is
 * found here. */
#ifndef CHECK_H
#define CHECK_H

#include "syntax/ast.h"
#include "base/diag.h"
#include "model/model.h"

/* -D name=value, as a source of its own: "const name = value". */
struct check_options {
    struct ast_body **defines;
    int defines_count;
    const char *const *include_dirs;    /* searched after the including file's own folder */
    int include_dirs_count;
    int batch;              /* instead of the recipe's; 0: the recipe's */
    int share;              /* samples of a batch that one process takes at a time; 0: all, -1: a quarter */
    bool whole;             /* data and train must be there: a trainer is to be written */
};

/* The model; where diag_errors(d) is not 0 afterwards, it is not fit for use. */
struct model *check_model(struct arena *a, const struct source *source, const struct ast_body *file,
                          const struct check_options *options, struct diag *d);

/* explain.c: the recipe as a .cnn file with every default filled in. */
const char *explain_model(struct arena *a, const struct model *m);
/* check_groups.c: the word of a selector. */
const char *selector_text(const struct selector *s);
/* A clause as a person would write it, defaults left out: "conv2d 128, 2x2, relu". */
const char *clause_text_of(struct arena *a, const struct clause *c);
/* The value of an argument as the language writes it; NULL: it has none. */
const char *argument_text(struct arena *a, const struct arg_def *def, const struct arg_value *v);
/* The option `trainable` of every layer. */
extern const struct arg_def trainable_def;
/* The functions that values may call, by number; NULL behind the last. */
const char *check_value_function(int number, int *arguments);

#endif
