/* cwriter.h - writes C.  The writer owns indentation: one call, one whole output line; one longer than 100 columns
 * is broken between statements, else after the outermost comma or operator (never in strings, comments and
 * directives). */
#ifndef CWRITER_H
#define CWRITER_H

#include <stdio.h>

struct cwriter;

struct cwriter *cw_new(FILE *out);             /* NULL: what is written is kept, see cw_text() */
void cw_free(struct cwriter *w);
/* One line at the current depth; format without indentation and newline. */
void cw_line(struct cwriter *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A line, then one level deeper.  "for (...) {" */
void cw_open(struct cwriter *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* One level up, then the line: "}" or "};"; "" after a loop without braces. */
void cw_close(struct cwriter *w, const char *line);
/* "} else {" and the like: up, the line, down again. */
void cw_middle(struct cwriter *w, const char *line);
/* A line in column 0: preprocessor directives that are not pragmas. */
void cw_directive(struct cwriter *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
void cw_blank(struct cwriter *w);
/* A block comment, wrapped at 100 columns; user text in it is made harmless. */
void cw_comment(struct cwriter *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* text as a C string literal in out (of size): quotes, control characters and trigraphs escaped. */
void cw_quote(char *out, size_t size, const char *text);
size_t cw_bytes(const struct cwriter *w);       /* written so far */
size_t cw_lines(const struct cwriter *w);
/* What a writer without a file has written, cw_bytes() long and a zero byte behind, until it is freed. */
const char *cw_text(const struct cwriter *w);

#endif
