/* parse.c - from text to tree.
 *
 * Requires: a source.  Ensures: a tree of what could be read; every word, line end and bracket that
 * was wrong has been reported; no expression deeper than EXPRESSION_DEEPEST. */
#include "syntax/parse.h"

#include "cnn.tab.h"
#include "syntax/foreign.h"

#include <string.h>

struct span parse_span(const struct parse *p, size_t begin, size_t end)
{
    return (struct span){p->source, begin, end};
}

struct ast_body *parse_text(struct arena *a, const struct source *source, struct diag *d)
{
    struct arena lists = {0};   /* tokens are needed no longer than the parser */
    struct parse p = {.arena = a, .source = source, .diag = d};

    p.tokens = layout_tokens(&lists, source, scan_source(a, &lists, source, d), d);
    if (cnnparse(&p) != 0 || !p.file)
        p.file = ast_body_add(a, NULL, NULL);
    arena_free(&lists);
    return p.file;
}

struct ast_body *parse_source(struct arena *a, const struct source *source, struct diag *d)
{
    const char *nul = memchr(source->text, '\0', source->size),
               *other = foreign_text(source->text, source->size);

    if (other) {
        diag_error(d, DIAG_not_a_model, (struct span){0}, "%s is no model: it is %s", source->path, other);
        diag_hint(d, strstr(other, "Python") ? "docs/tutorial.md goes from a Keras notebook to a model, side by side"
                                             : "a model is a text with 'network { ... }'; docs/language.md has the rest");
        return ast_body_add(a, NULL, NULL);
    }
    if (nul) {
        size_t at = (size_t)(nul - source->text);
        diag_error(d, DIAG_binary_file, (struct span){0}, "%s is no text file: byte %zu is zero",
                   source->path, at);
        return ast_body_add(a, NULL, NULL);
    }
    return parse_text(a, source, d);
}
