/* completion.h - what a shell has to know to complete a command line, written from the tables that
 * parse it.  The compiler and the trainers share this. */
#ifndef COMPLETION_H
#define COMPLETION_H

#include <stdbool.h>
#include <stdio.h>

enum { COMPLETION_WORDS_MAX = 12 };     /* of one option, the NULL behind them counted */

/* What the argument of an option is. */
enum completion_value { COMPLETE_NOTHING, COMPLETE_WORDS, COMPLETE_FILE, COMPLETE_FOLDER };

struct completion_option {
    char letter;                /* '\0': none */
    const char *name;
    const char *argument;       /* as --help calls it; NULL: takes none; "[FILE]": it may be left out */
    const char *help;
    enum completion_value value;
    const char *const *words;   /* COMPLETE_WORDS: what there is, NULL at the end */
    bool repeats;
};

struct completion_command {
    const char *name, *help;
};

struct completion {
    const char *program;        /* its path will do: it is called by the last part */
    const struct completion_option *options;
    int options_count;
    const struct completion_command *commands;  /* the first word that is no option; none: 0 */
    int commands_count;
    const char *ending;         /* of the files that may follow, ".cnn"; NULL: any file */
};

/* The shells that rt_completion_print knows, NULL at the end. */
extern const char *const rt_completion_shells[];

/* Writes the definitions for `shell`; false where it is none of them. */
bool rt_completion_print(const struct completion *c, const char *shell, FILE *out);

#endif
