/* quoted.h - text of others' as files of numbers and names want it. */
#ifndef QUOTED_H
#define QUOTED_H

#include <stdio.h>
#include <jansson.h>

/* A file's name need not be UTF-8, JSON must be: bytes that make no character become U+FFFD.  NULL: no memory. */
json_t *rt_json_text(const char *text);
/* A cell of a table (RFC 4180): in quotes where there is need, a quote doubled. */
void rt_csv_text(FILE *out, const char *text);

#endif
