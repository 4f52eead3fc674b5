/* options.h - the command line.  One table parses it and prints --help. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/output.h"

enum format { FORMAT_NONE, FORMAT_PRINT, FORMAT_CHECK };
enum graph_form { GRAPH_NONE, GRAPH_SVG, GRAPH_DOT };
enum real { REAL_RECIPE, REAL_FLOAT, REAL_DOUBLE, REAL_BF16 };
enum stage { STAGE_NONE, STAGE_AST, STAGE_MODEL, STAGE_GRAPH, STAGE_PLAN };

struct options {
    struct arena *arena;
    const char *input;          /* the .cnn file */
    const char *output;         /* NULL: nothing is written */
    const char *depfile;        /* NULL: none */
    bool wants_depfile;         /* as said; depfile has its name then */
    bool check, explain, print_makefile;
    int summary;                /* 1: by layers; 2: by blocks */
    int list;                   /* 0: none; 1: all; 2 ...: that of show/list.h */
    bool json;                  /* of --list and --summary */
    int format;                 /* enum format */
    bool in_place;              /* of --format */
    const char *const *files;   /* of --format; none: the standard input */
    int files_count;
    int completion;             /* the shell of that number; 0: not asked for */
    int graph;                  /* enum graph_form */
    int dump;                   /* enum stage */
    int real;                   /* enum real; 0: as the recipe says */
    bool exact;
    double error_growth;        /* 0: as the planner likes it */
    bool tune, uses_wisdom;
    const char *wisdom;         /* NULL: the one in the cache */
    int64_t threads;            /* of tuning and wisdom; 0: not said */
    int64_t batch;              /* instead of the recipe's; 0: not said */
    int64_t share;              /* samples of it that a process takes at a time; 0: not said, -1: a quarter */
    const char *name;           /* what public names begin with; NULL: the model's */
    int inference;              /* 1: --emit=inference; what follows is its own */
    const char *weights;        /* the trained parameters */
    int extern_weights, caller_arena;   /* 1: that is asked for */
    bool tta;
    int target;                 /* options_target() has its name */
    const char **forced;        /* LAYER[:PASS]=NAME */
    int forced_count;
    const char **defines;       /* name=value */
    int defines_count;
    const char **include_dirs;
    int include_dirs_count;
    size_t forced_capacity, defines_capacity, include_dirs_capacity;
};

/* -1: go on.  Else the exit status: --help and --version have been printed, or wrong use has been
 * reported. */
int options_parse(struct arena *a, int argc, char **argv, struct options *o);
const char *options_target(const struct options *o);
/* Where cnnc.mk lies: $CNNC_MAKEFILE, else beside the program in a build tree, else where the tree
 * that the program lies in has it, else where it was to be installed. */
const char *options_makefile(struct arena *a);
/* Whether make and the shell can work with a makefile of that path, and what lies in the same tree.  False:
 * reported. */
bool options_makefile_fits(const char *path);

#endif
