/* list.h - `cnnc --list`: what there is, from the compiler's own tables, for people and for editors. */
#ifndef LIST_H
#define LIST_H

#include <stdbool.h>
#include <stdio.h>
#include "common/option.h"

/* The lists that there are, by their numbers from 0; NULL-terminated. */
extern const char *const list_names[];

/* The list of that number; -1: all of them.  options: those of the command line. */
void list_print(int list, bool as_json, const struct option_row *options, int options_count, FILE *out);

#endif
