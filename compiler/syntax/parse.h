/* parse.h - from text to tree: scan (grammar/cnn.l), layout, parse (grammar/cnn.y). */
#ifndef PARSE_H
#define PARSE_H

#include "syntax/ast.h"
#include "base/diag.h"

/* The file as a tree; syntax errors go to d, and what could be read is there all the same. */
struct ast_body *parse_source(struct arena *a, const struct source *source, struct diag *d);

/* The same of what is known to be a text of the language. */
struct ast_body *parse_text(struct arena *a, const struct source *source, struct diag *d);

/* ---- between the parts of the parser --------------------------------------------------------- */

struct token {
    int kind;                       /* enum of cnn.tab.h */
    uint32_t begin, end, text_size; /* a source is never longer than 4 GiB, see source.c */
    const char *text;               /* NAME; STRING: decoded */
    double number;                  /* NUMBER, SWITCH; STRING: 1 where its quotes were not the language's (reported) */
    int32_t dims[AST_EXTENT_PARTS]; /* EXTENT */
    uint8_t dims_count;
    bool continued;                 /* a line end before it was ignored, after a comma */
};

struct token_list {
    struct token *items;
    int count;
    size_t capacity;
};

struct parse {
    struct arena *arena;
    const struct source *source;
    struct diag *diag;
    struct token_list tokens;       /* what the grammar reads */
    int next;
    struct ast_body *file;          /* the result */
};

/* cnn.l: every token of the source, with TOK_NEWLINE for each line end and `;`, without an end
 * marker.  The texts of tokens are in a, the list itself in lists. */
struct token_list scan_source(struct arena *a, struct arena *lists, const struct source *source, struct diag *d);
/* layout.c: line ends that end no statement are gone, brackets and braces match; ends with
 * TOK_YYEOF. */
struct token_list layout_tokens(struct arena *a, const struct source *source, struct token_list raw,
                                struct diag *d);

struct span parse_span(const struct parse *p, size_t begin, size_t end);

#endif
