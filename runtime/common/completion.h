/* completion.h - what a shell has to know to complete a command line, written from the tables that
 * parse it.  The compiler and the trainers share this. */
#ifndef COMPLETION_H
#define COMPLETION_H

#include <stdbool.h>
#include <stdio.h>

#include "common/option.h"

struct completion_command {
    const char *name, *help;
};

struct completion {
    const char *program;        /* its path will do: it is called by the last part */
    const struct option_row *options;
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
