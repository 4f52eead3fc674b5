/* layout.c - everything about line ends, and about brackets that do not match.
 *
 * Requires: the raw tokens of one file.  Ensures: TOK_NEWLINE stands exactly where a statement
 * without a body ends; every bracket and brace has its partner; the list ends with TOK_YYEOF.  So
 * the grammar knows nothing of lines, and a bracket that is never closed spoils its own line and no
 * more. */
#include "cnn.tab.h"
#include "syntax/parse.h"

#include <math.h>
#include <string.h>

struct open_bracket {
    int kind;
    size_t begin;               /* of the opening token */
    const char *word;           /* of a brace: first word of its statement; may be NULL */
    bool closed;                /* of ( and [: its partner exists, before the next brace */
    bool made_up;               /* a brace that stands for the ':' of `network:` (reported) */
};

struct layout {
    struct arena *arena;
    const struct source *source;
    struct diag *diag;
    struct token_list raw, out;
    int at;
    bool *closed;               /* by raw index: of ( and [ */
    struct open_bracket *open;
    int open_count;
    size_t open_capacity;
    const char *statement;      /* first word of the statement being read; NULL: none */
    int statement_at;           /* its place in `out` */
    bool comma_missed;          /* in this statement: reported */
    bool stop;
};

static struct span token_span(const struct layout *l, const struct token *t)
{
    return (struct span){l->source, t->begin, t->end};
}

static bool is_opener(int kind)
{
    return kind == TOK_LPAREN || kind == TOK_LBRACKET;
}

static bool is_closer(int kind)
{
    return kind == TOK_RPAREN || kind == TOK_RBRACKET;
}

static int partner(int kind)
{
    return kind == TOK_LPAREN ? TOK_RPAREN : kind == TOK_LBRACKET ? TOK_RBRACKET : TOK_RBRACE;
}

/* A line end after one of these does not end the statement. */
static bool continues(int kind)
{
    switch (kind) {
    case TOK_COMMA:
    case TOK_ASSIGN:
    case TOK_PLUS:
    case TOK_MINUS:
    case TOK_TIMES:
    case TOK_OVER:
    case TOK_MODULO:
    case TOK_POWER:
    case TOK_EQ:
    case TOK_NE:
    case TOK_LESS:
    case TOK_GREATER:
    case TOK_LE:
    case TOK_GE:
    case TOK_AND:
    case TOK_OR: case TOK_NOT: case TOK_THEN: case TOK_ELSE: case TOK_IF:
        return true;
    }
    return false;
}

/* First pass: which ( and [ have a partner before the next brace. */
static void layout_match(struct layout *l)
{
    int *stack = arena_array(l->arena, (size_t)l->raw.count + 1, sizeof *stack), depth = 0;

    l->closed = arena_array(l->arena, (size_t)l->raw.count + 1, sizeof *l->closed);
    for (int i = 0; i < l->raw.count; i++) {
        int kind = l->raw.items[i].kind;
        if (kind == TOK_LBRACE || kind == TOK_RBRACE)
            depth = 0;
        else if (is_opener(kind))
            stack[depth++] = i;
        else if (is_closer(kind) && depth)
            l->closed[stack[--depth]] = true;
    }
}

static int last_kind(const struct layout *l)
{
    return l->out.count ? l->out.items[l->out.count - 1].kind : TOK_NEWLINE;
}

static bool at_start(const struct layout *l)
{
    int kind = last_kind(l);

    return kind == TOK_NEWLINE || kind == TOK_LBRACE || kind == TOK_RBRACE;
}

static void layout_put(struct layout *l, struct token t)
{
    if (t.kind == TOK_NEWLINE && at_start(l))
        return;
    if (at_start(l) && t.kind != TOK_ELSE) {
        l->statement = t.kind == TOK_NAME ? t.text : NULL;
        l->statement_at = l->out.count;
        l->comma_missed = false;
    }
    LIST_ADD(l->arena, l->out.items, l->out.count, l->out.capacity, t);
}

static void layout_insert(struct layout *l, int kind, size_t where)
{
    layout_put(l, (struct token){.kind = kind, .begin = (uint32_t)where, .end = (uint32_t)where});
}

static struct open_bracket *innermost(struct layout *l)
{
    return l->open_count ? &l->open[l->open_count - 1] : NULL;
}

static struct open_bracket *innermost_brace(struct layout *l)
{
    for (int i = l->open_count - 1; i >= 0; i--)
        if (l->open[i].kind == TOK_LBRACE)
            return &l->open[i];
    return NULL;
}

static bool in_brackets(struct layout *l)
{
    struct open_bracket *o = innermost(l);

    return o && o->kind != TOK_LBRACE;
}

/* Closes what is open of ( and [; `only_lost`: stops at one that has a partner further on. */
static void close_brackets(struct layout *l, size_t where, bool only_lost)
{
    while (in_brackets(l)) {
        struct open_bracket *o = innermost(l);
        if (only_lost && o->closed)
            return;
        if (!l->stop)
            diag_error(l->diag, DIAG_unclosed_bracket,
                       (struct span){l->source, o->begin, o->begin + 1},
                       "this '%c' is never closed", l->source->text[o->begin]);
        layout_insert(l, partner(o->kind), where);
        l->open_count--;
    }
}

static void close_brace(struct layout *l, size_t where)
{
    close_brackets(l, where, false);
    layout_insert(l, TOK_NEWLINE, where);
    layout_insert(l, TOK_RBRACE, where);
    l->open_count--;
    l->statement = NULL;
}

static void layout_open(struct layout *l, struct token t)
{
    struct open_bracket o = {
        .kind = t.kind, .begin = t.begin, .word = l->statement, .closed = l->closed[l->at]};

    if (l->open_count >= EXPRESSION_DEEPEST) {
        diag_error(l->diag, DIAG_too_deep, token_span(l, &t), "more than %d brackets are open here",
                   EXPRESSION_DEEPEST);
        l->stop = true;
        return;
    }
    layout_put(l, t);
    LIST_ADD(l->arena, l->open, l->open_count, l->open_capacity, o);
}

static void layout_close(struct layout *l, struct token t)
{
    struct open_bracket *o = innermost(l);

    if (!in_brackets(l)) {
        diag_error(l->diag, DIAG_unmatched_close, token_span(l, &t),
                   "nothing is open that this '%c' could close", l->source->text[t.begin]);
        return;
    }
    if (partner(o->kind) != t.kind) {
        diag_error(l->diag, DIAG_unmatched_close, token_span(l, &t), "'%c' cannot close '%c'",
                   l->source->text[t.begin], l->source->text[o->begin]);
        diag_note(l->diag, (struct span){l->source, o->begin, o->begin + 1}, "opened here");
        t.kind = partner(o->kind);
    }
    layout_put(l, t);
    l->open_count--;
}

/* A line end: the next token, whether a line end separates it from here or not, decides. */
static void layout_newline(struct layout *l, struct token t)
{
    bool semicolon = l->source->text[t.begin] == ';';
    int next = l->at + 1;

    close_brackets(l, t.begin, true);
    while (!semicolon && next < l->raw.count && l->raw.items[next].kind == TOK_NEWLINE &&
           l->source->text[l->raw.items[next].begin] != ';')
        next++;
    l->at = next - 1;           /* empty lines say no more than the first line end has */
    struct token *after = next < l->raw.count ? &l->raw.items[next] : NULL;
    if (in_brackets(l))
        return;
    if (!semicolon && after &&
        (after->kind == TOK_LBRACE || after->kind == TOK_ELSE || after->kind == TOK_THEN))
        return;
    if (!semicolon && continues(last_kind(l)) && after && after->kind != TOK_RBRACE) {
        after->continued = true;
        return;
    }
    layout_put(l, t);
}

static bool is_section(const struct token *t)
{
    return t->kind == TOK_NAME &&
           (!strcmp(t->text, "network") || !strcmp(t->text, "data") || !strcmp(t->text, "train"));
}

/* Whether nothing but a brace stands behind that token in its line. */
static bool ends_line(const struct layout *l, int at)
{
    int next = at + 1;

    return next >= l->raw.count || l->raw.items[next].kind == TOK_NEWLINE ||
           l->raw.items[next].kind == TOK_LBRACE;
}

/* `network {` inside another body: the `}` before it is missing.  Said here, where it is plain, and
 * repaired. */
static void layout_section(struct layout *l, const struct token *t)
{
    int next = l->at + 1;
    struct open_bracket *outer = innermost_brace(l);

    if (!outer || !is_section(t) || !at_start(l))
        return;
    while (next < l->raw.count && l->raw.items[next].kind == TOK_NEWLINE)
        next++;
    if (next >= l->raw.count || (l->raw.items[next].kind != TOK_LBRACE &&
                                 (l->raw.items[next].kind != TOK_COLON || !ends_line(l, next))))
        return;
    if (outer->made_up) {
        while (l->open_count)
            close_brace(l, t->begin);
        return;
    }
    diag_error(l->diag, DIAG_missing_brace, token_span(l, t),
               "'%s' begins inside '%s': a '}' is missing before it", t->text,
               outer->word ? outer->word : "{");
    diag_note(l->diag, (struct span){l->source, outer->begin, outer->begin + 1},
              "this '{' is still open");
    while (l->open_count)
        close_brace(l, t->begin);
}

/* `3 x 32`: one extent was meant. */
static bool layout_spaced_extent(struct layout *l)
{
    struct token *t = &l->raw.items[l->at];
    int32_t dims[AST_EXTENT_PARTS] = {0};
    int count = 0, i = l->at;

    if (t->kind != TOK_NUMBER || i + 2 >= l->raw.count || t[1].kind != TOK_NAME ||
        strcmp(t[1].text, "x") || t[2].kind != TOK_NUMBER)
        return false;
    for (;; i += 2) {
        const struct token *n = &l->raw.items[i];
        if (count == AST_EXTENT_PARTS || n->number > INT32_MAX || n->number != floor(n->number))
            return false;
        dims[count++] = (int32_t)n->number;
        if (i + 2 >= l->raw.count || n[1].kind != TOK_NAME || strcmp(n[1].text, "x") ||
            n[2].kind != TOK_NUMBER)
            break;
    }
    struct token whole = {.kind = TOK_EXTENT,
                          .begin = t->begin,
                          .end = l->raw.items[i].end,
                          .dims_count = (uint8_t)count,
                          .continued = t->continued};
    memcpy(whole.dims, dims, sizeof dims);
    diag_error(l->diag, DIAG_bad_extent, token_span(l, &whole), "an extent is one word");
    if (count == 2)
        diag_hint(l->diag, "without spaces: %dx%d", dims[0], dims[1]);
    else
        diag_hint(l->diag, "without spaces: %dx%dx%d", dims[0], dims[1], dims[2]);
    layout_put(l, whole);
    l->at = i;
    return true;
}

/* `conv2d 64 -1`: one number, 63, where two arguments were perhaps meant. */
static void layout_lost_comma(struct layout *l)
{
    const struct token *t = &l->raw.items[l->at];

    if ((t->kind != TOK_MINUS && t->kind != TOK_PLUS) || l->at == 0 || l->at + 1 >= l->raw.count ||
        in_brackets(l))
        return;
    const struct token *before = t - 1, *after = t + 1;
    if (after->kind != TOK_NUMBER || before->kind != TOK_NUMBER || before->end == t->begin ||
        after->begin != t->end)
        return;
    struct span where = {l->source, before->begin, after->end};
    double value = t->kind == TOK_MINUS ? before->number - after->number
                                        : before->number + after->number;
    diag_warning(l->diag, DIAG_missing_comma, where, "this is one number, %.10g", value);
    diag_hint(l->diag, "arguments are separated by commas");
}

/* ---- what other languages write otherwise ---------------------------------------------------- */

static size_t column(const struct layout *l, size_t at)
{
    size_t first = at;

    while (first > 0 && l->source->text[first - 1] != '\n')
        first--;
    return at - first;
}

/* Passes over the lines below that are indented deeper than the statement: the body that a ':' opens elsewhere. */
static void skip_indented(struct layout *l, size_t indent)
{
    while (l->at + 1 < l->raw.count) {
        int next = l->at + 1;
        while (next < l->raw.count && l->raw.items[next].kind == TOK_NEWLINE)
            next++;
        if (next >= l->raw.count || column(l, l->raw.items[next].begin) <= indent)
            return;
        while (next < l->raw.count && l->raw.items[next].kind != TOK_NEWLINE)
            next++;
        l->at = next - 1;
    }
}

/* `def f(y, p):` and the lines below it: left out as a whole. */
static void layout_python(struct layout *l, const struct token *colon)
{
    size_t begin = l->out.items[l->statement_at].begin;
    bool function = l->statement && !strcmp(l->statement, "def");

    diag_error(l->diag, DIAG_foreign_colon, token_span(l, colon), "a body stands in braces, no ':' opens one");
    if (function)
        diag_hint(l->diag, "a metric of one's own: metric name(y, p) higher_is_better { ... return ... }");
    else
        diag_hint(l->diag, "write: { ... }");
    l->out.count = l->statement_at;
    skip_indented(l, column(l, begin));
}

/* A ':' is no token of the grammar: it is said here and read as what was meant. */
static void layout_colon(struct layout *l, struct token t)
{
    const struct token *before = l->out.count ? &l->out.items[l->out.count - 1] : NULL;
    bool first = before && l->out.count == l->statement_at + 1 && before->kind == TOK_NAME;

    if (first && is_section(before) && ends_line(l, l->at)) {
        diag_error(l->diag, DIAG_foreign_colon, token_span(l, &t), "a section stands in braces, without ':'");
        diag_hint(l->diag, "write: %s { ... }", before->text);
        if (l->at + 1 < l->raw.count && l->raw.items[l->at + 1].kind == TOK_LBRACE)
            return;
        layout_put(l, (struct token){.kind = TOK_LBRACE, .begin = t.begin, .end = t.end});
        struct open_bracket o = {.kind = TOK_LBRACE, .begin = t.begin, .word = before->text, .made_up = true};
        LIST_ADD(l->arena, l->open, l->open_count, l->open_capacity, o);
    } else if (first) {
        diag_error(l->diag, DIAG_foreign_colon, token_span(l, &t), "no ':' stands between a word and its values");
        diag_hint(l->diag, "write: %s ...", before->text);
    } else if (before && before->kind == TOK_NAME && l->statement && !ends_line(l, l->at)) {
        diag_error(l->diag, DIAG_foreign_colon, token_span(l, &t), "a value is given with '=', not with ':'");
        diag_hint(l->diag, "write: %s=...", before->text);
        t.kind = TOK_ASSIGN;
        layout_put(l, t);
    } else if (!in_brackets(l) && ends_line(l, l->at) && !at_start(l) && l->statement_at < l->out.count) {
        layout_python(l, &t);
    } else {
        diag_error(l->diag, DIAG_foreign_colon, token_span(l, &t), "the language has no ':'");
    }
}

/* `flatten()`: the brackets of a call around nothing; they are left out. */
static bool layout_empty_call(struct layout *l)
{
    const struct token *t = &l->raw.items[l->at];

    if (t->kind != TOK_LPAREN || l->at + 1 >= l->raw.count || t[1].kind != TOK_RPAREN || !l->statement ||
        l->out.count != l->statement_at + 1)
        return false;
    diag_error(l->diag, DIAG_call_statement, (struct span){l->source, t->begin, t[1].end},
               "a statement takes its arguments without parentheses");
    l->at++;
    return true;
}

static bool ends_value(int kind)
{
    return kind == TOK_NAME || kind == TOK_NUMBER || kind == TOK_EXTENT || kind == TOK_STRING ||
           kind == TOK_SWITCH || kind == TOK_RPAREN || kind == TOK_RBRACKET;
}

/* `metric f(y, p) higher_is_better {`: the one place where two words stand side by side. */
static bool is_direction(struct layout *l)
{
    const struct token *head = &l->out.items[l->statement_at];
    int next = l->at + 1;

    while (next < l->raw.count && l->raw.items[next].kind == TOK_NEWLINE)
        next++;
    return l->open_count == 0 && l->out.count > l->statement_at + 3 && head[1].kind == TOK_NAME &&
           head[2].kind == TOK_LPAREN && last_kind(l) == TOK_RPAREN && next < l->raw.count &&
           (l->raw.items[next].kind == TOK_ASSIGN || l->raw.items[next].kind == TOK_LBRACE);
}

/* `optimizer = adam, lr=0.01`: what has commas behind it is no value of a name; the '=' is left out. */
static bool layout_assignment(struct layout *l, const struct token *t)
{
    const struct token *word = l->out.count ? &l->out.items[l->out.count - 1] : NULL;
    int depth = 0, end = l->at + 1;

    if (t->kind != TOK_ASSIGN || !l->statement || l->out.count != l->statement_at + 1 || word->kind != TOK_NAME)
        return false;
    for (; end < l->raw.count; end++) {
        int kind = l->raw.items[end].kind;
        depth += is_opener(kind) - is_closer(kind);
        if (kind == TOK_NEWLINE || kind == TOK_LBRACE || kind == TOK_RBRACE || depth < 0)
            return false;
        if (kind == TOK_COMMA && depth == 0)
            break;
    }
    if (end >= l->raw.count)
        return false;
    size_t value = l->raw.items[l->at + 1].begin, length = l->raw.items[end].begin - value;
    diag_error(l->diag, DIAG_bare_assignment, token_span(l, t), "'%s' takes what follows it without '='", word->text);
    diag_hint(l->diag, "write: %s %.*s, ...", word->text, length < 60 ? (int)length : 0, l->source->text + value);
    return true;
}

/* `optimizer adam lr=0.01`: the comma is put in, so that the rest of the statement is looked at too. */
static void layout_comma(struct layout *l, const struct token *t)
{
    const struct token *before = l->out.count ? &l->out.items[l->out.count - 1] : NULL;
    bool value = ends_value(t->kind) && !is_closer(t->kind);

    if (!before || !l->statement || !ends_value(before->kind) || l->out.count < l->statement_at + 2)
        return;
    if (!value && (!is_opener(t->kind) || before->kind == TOK_NAME))
        return;
    if (l->out.items[l->statement_at + 1].kind == TOK_ASSIGN || before[-1].kind == TOK_AS ||
        before->continued || t->continued || (t->kind == TOK_NAME && is_direction(l)))
        return;
    if (!l->comma_missed) {
        diag_error(l->diag, DIAG_missing_comma, token_span(l, t), "a comma is missing before '%.*s'",
                   (int)(t->end - t->begin < 40 ? t->end - t->begin : 40), l->source->text + t->begin);
        diag_hint(l->diag, "arguments are separated by commas");
    }
    l->comma_missed = true;
    layout_put(l, (struct token){.kind = TOK_COMMA, .begin = t->begin, .end = t->begin});
}

static void layout_token(struct layout *l)
{
    struct token t = l->raw.items[l->at];

    if (t.kind == TOK_NEWLINE) {
        layout_newline(l, t);
    } else if (t.kind == TOK_LBRACE) {
        close_brackets(l, t.begin, false);
        layout_open(l, t);
    } else if (t.kind == TOK_RBRACE) {
        if (!innermost_brace(l)) {
            diag_error(l->diag, DIAG_unmatched_close, token_span(l, &t),
                       "nothing is open that this '}' could close");
            layout_insert(l, TOK_NEWLINE, t.begin);
            return;
        }
        close_brackets(l, t.begin, false);
        layout_insert(l, TOK_NEWLINE, t.begin);
        layout_put(l, t);
        l->open_count--;
    } else if (t.kind == TOK_COLON) {
        layout_colon(l, t);
    } else if (is_opener(t.kind)) {
        if (layout_empty_call(l))
            return;
        layout_comma(l, &t);
        layout_open(l, t);
    } else if (is_closer(t.kind)) {
        layout_close(l, t);
    } else if (!layout_spaced_extent(l) && !layout_assignment(l, &t)) {
        layout_section(l, &t);
        layout_lost_comma(l);
        layout_comma(l, &t);
        layout_put(l, t);
    }
}

struct token_list layout_tokens(struct arena *a, const struct source *source, struct token_list raw,
                                struct diag *d)
{
    struct layout l = {.arena = a, .source = source, .diag = d, .raw = raw};

    layout_match(&l);
    for (; l.at < raw.count && !l.stop; l.at++)
        layout_token(&l);
    size_t end = l.stop && l.at < raw.count ? raw.items[l.at].begin : source->size;
    if (l.stop)
        layout_insert(&l, TOK_BAD, end);        /* stands for all that is not read */
    close_brackets(&l, end, false);
    while (l.open_count) {
        struct open_bracket *o = innermost(&l);
        if (!l.stop && !o->made_up)
            diag_error(d, DIAG_unclosed_brace, (struct span){source, o->begin, o->begin + 1},
                       "this '{' is never closed");
        close_brace(&l, end);
    }
    layout_insert(&l, TOK_NEWLINE, end);
    struct token last = {.kind = TOK_YYEOF, .begin = (uint32_t)end, .end = (uint32_t)end};
    LIST_ADD(a, l.out.items, l.out.count, l.out.capacity, last);
    return l.out;
}
