/* format.c - see format.h.
 *
 * Requires: a file without errors of syntax.  The words of the parser are written anew, with what stands between them
 * in the file: comments, empty lines, and line ends where the language lets a statement go on.  Ensures: the same tree.
 *
 * What is decided here: four spaces for each open brace, four more where a statement goes on; a line of its own for
 * each statement, unless a body with its braces stood in one line and still fits into it; one empty line at most, none
 * at the ends of a body; lines that are too long are broken behind a comma, else behind an operator.  Where the author
 * broke a line at such a place it stays broken. */
#include "syntax/format.h"

#include "cnn.tab.h"
#include "syntax/parse.h"
#include "base/text.h"

#include <string.h>

enum { INDENT = 4, LINE_LONGEST = 100, BEFORE_COMMENT = 2 };

struct remark {                 /* a comment */
    uint32_t begin, end;
    bool own_line;              /* nothing stands before it */
    bool blank_before;
};

struct piece {                  /* a word, with what stands between it and the one before */
    int kind;
    uint32_t begin, end;
    int remarks, remarks_count;
    bool newline_before, blank_before;
    bool starts;                /* it begins a statement */
    bool ends;                  /* of a statement without a body: its last word */
    int inside;                 /* of which ( or [ it is, its end too; -1: none */
    int depth;                  /* of how many */
    int indent;                 /* of a ( or [: that of its line */
};

struct line {
    int indent;
    const char *code;           /* "": a comment alone */
    const char *comment;        /* NULL: none */
    int equals;                 /* where the '=' of an assignment stands in the code; 0: it is none */
    bool blank_before;
};

struct format {
    struct arena *arena;
    const struct source *source;
    struct piece *pieces;
    int count;
    size_t pieces_capacity;
    struct remark *remarks;
    int remarks_count;
    size_t remarks_capacity;
    struct line *lines;
    int lines_count;
    size_t lines_capacity;
    bool refills;               /* line ends of the author's in the row being written do not count */
    struct text code;           /* of the line being written */
    struct line line;
};

/* ---- words and what stands between them -------------------------------------------------------------------------- */

static void remark_take(struct format *f, size_t begin, size_t end, int newlines, bool first_line)
{
    const char *text = f->source->text;
    struct remark r = {.own_line = newlines > 0 || first_line, .blank_before = newlines > 1};

    while (end > begin && (text[end - 1] == ' ' || text[end - 1] == '\t' || text[end - 1] == '\r'))
        end--;
    r.begin = (uint32_t)begin;
    r.end = (uint32_t)end;
    LIST_ADD(f->arena, f->remarks, f->remarks_count, f->remarks_capacity, r);
}

/* What stands before p, from the end of the word before it on. */
static void gap_take(struct format *f, struct piece *p, size_t from)
{
    const char *text = f->source->text;
    int newlines = 0;

    p->remarks = f->remarks_count;
    for (size_t at = from; at < p->begin; at++) {
        if (text[at] == '\n') {
            newlines++;
            p->newline_before = true;
        } else if (text[at] == ';') {
            newlines = 0;
        } else if (text[at] == '#') {
            size_t end = at;
            while (end < p->begin && text[end] != '\n')
                end++;
            remark_take(f, at, end, newlines, f->count == 0 && p->remarks == f->remarks_count);
            newlines = 0;
            at = end - 1;
        }
    }
    p->remarks_count = f->remarks_count - p->remarks;
    p->blank_before = newlines > 1;
}

static bool is_opening(int kind)
{
    return kind == TOK_LPAREN || kind == TOK_LBRACKET;
}

static bool is_closing(int kind)
{
    return kind == TOK_RPAREN || kind == TOK_RBRACKET;
}

static void pieces_take(struct format *f, const struct token_list *tokens)
{
    size_t from = 0;
    bool starts = true;
    int inside = -1;

    for (int i = 0; i < tokens->count; i++) {
        const struct token *t = &tokens->items[i];
        if (t->kind == TOK_NEWLINE) {
            if (f->count)
                f->pieces[f->count - 1].ends = true;
            starts = true;
            continue;
        }
        struct piece p = {.kind = t->kind, .begin = t->begin, .end = t->end, .inside = inside,
                          .starts = starts && t->kind != TOK_ELSE};
        gap_take(f, &p, from);
        p.depth = inside < 0 ? 0 : f->pieces[inside].depth + 1;
        if (is_opening(t->kind))
            inside = f->count;
        else if (is_closing(t->kind))
            inside = f->pieces[inside].inside;
        LIST_ADD(f->arena, f->pieces, f->count, f->pieces_capacity, p);
        from = t->end;
        starts = t->kind == TOK_LBRACE || t->kind == TOK_RBRACE;
    }
}

/* ---- what the words are ------------------------------------------------------------------------------------------ */

static bool is_operator(int kind)
{
    switch (kind) {
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
    case TOK_GE: case TOK_AND: case TOK_OR:
        return true;
    }
    return false;
}

/* Whether a value may end with piece i, so that an operator behind it has two operands. */
static bool ends_value(const struct format *f, int i)
{
    const struct piece *p = &f->pieces[i];

    return is_closing(p->kind) || p->kind == TOK_NUMBER || p->kind == TOK_EXTENT || p->kind == TOK_STRING ||
           p->kind == TOK_SWITCH || (p->kind == TOK_NAME && !p->starts);
}

static bool is_binary(const struct format *f, int i)
{
    return is_operator(f->pieces[i].kind) && i > 0 && ends_value(f, i - 1);
}

/* The '=' of `const a = 1`, `hits = ...`, `activation f(x) = ...`, and not that of an argument. */
static bool is_definition(const struct format *f, int i)
{
    const struct piece *p = &f->pieces[i];

    if (p->kind != TOK_ASSIGN || i < 1)
        return false;
    return p[-1].starts || is_closing(p[-1].kind) || (i > 1 && (p[-2].kind == TOK_CONST || is_closing(p[-2].kind)));
}

/* `1/255` as a whole argument is a number more than an operation. */
static bool in_fraction(const struct format *f, int i)
{
    const struct piece *p = &f->pieces[i];

    if (p->kind != TOK_OVER || i < 2 || i + 2 >= f->count || p[-1].kind != TOK_NUMBER || p[1].kind != TOK_NUMBER)
        return false;
    int before = i - 2, kind = p[2].kind;
    if (f->pieces[before].kind == TOK_MINUS && !is_binary(f, before) && before > 0)
        before--;
    return (is_opening(f->pieces[before].kind) || f->pieces[before].kind == TOK_COMMA || f->pieces[before].starts ||
            f->pieces[before].kind == TOK_ASSIGN) &&
           (is_closing(kind) || kind == TOK_COMMA || kind == TOK_AS || kind == TOK_LBRACE || kind == TOK_RBRACE ||
            kind == TOK_YYEOF || p[1].ends);
}

/* Whether a space stands between piece i and the one before it, where they share a line. */
static bool spaced(const struct format *f, int i)
{
    const struct piece *p = &f->pieces[i], *before = p - 1;

    if (p->kind == TOK_COMMA || is_closing(p->kind) || is_opening(before->kind))
        return false;
    if (before->starts && before->kind == TOK_NAME)
        return true;                            /* `class_weights [1, 2]`, `lr_schedule -1` */
    if (is_opening(p->kind) && before->kind == TOK_NAME)
        return false;
    if (p->kind == TOK_ASSIGN || before->kind == TOK_ASSIGN)
        return is_definition(f, p->kind == TOK_ASSIGN ? i : i - 1);
    if (p->kind == TOK_POWER || before->kind == TOK_POWER || in_fraction(f, i) || in_fraction(f, i - 1))
        return false;
    return !(is_operator(before->kind) && !is_binary(f, i - 1));
}

static int characters(const char *text, size_t length)
{
    int count = 0;

    for (size_t i = 0; i < length; i++)
        count += ((unsigned char)text[i] & 0xC0) != 0x80;
    return count;
}

static int piece_width(const struct format *f, int i)
{
    return characters(f->source->text + f->pieces[i].begin, f->pieces[i].end - f->pieces[i].begin);
}

/* ---- lines ------------------------------------------------------------------------------------------------------- */

/* Whether the line that was ended last opens a body: no word ends so but the brace. */
static bool in_new_body(const struct format *f)
{
    const char *code = f->lines_count ? f->lines[f->lines_count - 1].code : "";

    return *code && code[strlen(code) - 1] == '{';
}

static void line_begin(struct format *f, int indent, bool blank_before)
{
    f->code = (struct text){.arena = f->arena};
    f->line = (struct line){.indent = indent, .blank_before = blank_before && f->lines_count && !in_new_body(f)};
}

static void line_end(struct format *f)
{
    f->line.code = text_of(&f->code);
    LIST_ADD(f->arena, f->lines, f->lines_count, f->lines_capacity, f->line);
}

/* How far the line has got, with the space before what is added next. */
static int line_width(const struct format *f)
{
    return f->line.indent + characters(f->code.bytes, f->code.count) + (f->code.count > 0);
}

static void line_add(struct format *f, int i, bool space)
{
    const struct piece *p = &f->pieces[i];

    if (p->kind == TOK_ASSIGN && i > 0 && p[-1].starts)
        f->line.equals = (int)f->code.count + 1;
    text_add(&f->code, "%s%.*s", space ? " " : "", (int)(p->end - p->begin), f->source->text + p->begin);
}

static const char *remark_text(struct format *f, const struct remark *r)
{
    return arena_string(f->arena, f->source->text + r->begin, r->end - r->begin);
}

/* The comments before piece i.  One that stands behind code is put behind the line that has been ended last, where
 * that has none. */
static void remarks_write(struct format *f, int i, int indent)
{
    const struct piece *p = &f->pieces[i];

    for (int k = p->remarks; k < p->remarks + p->remarks_count; k++) {
        const struct remark *r = &f->remarks[k];
        struct line *last = f->lines_count ? &f->lines[f->lines_count - 1] : NULL;
        if (!r->own_line && last && !last->comment) {
            last->comment = remark_text(f, r);
            continue;
        }
        line_begin(f, indent, r->blank_before);
        f->line.comment = remark_text(f, r);
        line_end(f);
    }
}

/* ---- a row of words in as many lines as it needs ----------------------------------------------------------------- */

/* What this ( or [ holds begins on a line of its own, and so does its end. */
static bool is_vertical(const struct format *f, int bracket)
{
    return bracket >= 0 && f->pieces[bracket + 1].newline_before && !is_closing(f->pieces[bracket + 1].kind);
}

/* Where a line begins that goes on with piece i; base: where its statement begins. */
static int continuation(const struct format *f, int i, int base)
{
    const struct piece *p = &f->pieces[i];

    if (!is_vertical(f, p->inside))
        return base + INDENT;
    return f->pieces[p->inside].indent + (is_closing(p->kind) ? 0 : INDENT);
}

/* Whether the author's line end before piece i stays. */
static bool is_broken(const struct format *f, int i)
{
    const struct piece *p = &f->pieces[i], *before = p - 1;

    if (p->remarks_count)
        return true;
    if (is_vertical(f, p->inside) && (p->inside == i - 1 || is_closing(p->kind)))
        return true;
    return p->newline_before && !f->refills && !is_closing(p->kind) &&
           (before->kind == TOK_COMMA || is_binary(f, i - 1) || is_definition(f, i - 1) ||
            before->kind == TOK_THEN || before->kind == TOK_ELSE || p->kind == TOK_THEN || p->kind == TOK_ELSE);
}

/* How willingly a line is broken before piece i: the less the better; -1: not at all. */
static int break_rank(const struct format *f, int i)
{
    const struct piece *p = &f->pieces[i];

    if (is_closing(p->kind))
        return -1;
    if (p[-1].kind == TOK_COMMA)
        return 2 * p->depth;
    if ((is_binary(f, i - 1) && p[-1].kind != TOK_POWER && !in_fraction(f, i - 1)) || p->kind == TOK_THEN ||
        p->kind == TOK_ELSE)
        return 2 * p->depth + 1;
    return -1;
}

/* The line that begins with piece `first`, `width` columns in, ends before the piece that is returned: at a line end of
 * the author's, where it would get too long, or at `end`, behind which `more` columns follow. */
static int line_last(const struct format *f, int first, int end, int width, int more, bool *too_long)
{
    int best = -1, best_rank = 0, i = first;
    bool fits = true;

    for (; i < end && (fits || best < 0); i++) {
        if (i > first) {
            if (is_broken(f, i))
                break;
            int rank = break_rank(f, i);
            if (rank >= 0 && (best < 0 || rank <= best_rank)) {
                best = i;
                best_rank = rank;
            }
            width += spaced(f, i);
        }
        width += piece_width(f, i) + (i == end - 1 ? more : 0);
        if (width > LINE_LONGEST)
            fits = false;
    }
    *too_long = !fits;
    return fits || best < 0 ? i : best;
}

/* Whether a line of the author's is too long: then his other line ends of the row have lost their sense. */
static bool must_refill(struct format *f, int first, int end, int base, int more)
{
    int indent = f->line.indent, width = line_width(f);
    bool too_long = false;

    f->refills = false;
    for (int i = first, last; i < end && !too_long; i = last) {
        last = line_last(f, i, end, width, more, &too_long);
        for (int k = i; k < last; k++)
            f->pieces[k].indent = indent;
        if (last < end)
            width = indent = continuation(f, last, base);
    }
    return too_long;
}

/* Pieces [first, end) behind what the line has; base: the indentation of their statement. */
static void row_write(struct format *f, int first, int end, int base, int more)
{
    bool too_long;

    f->refills = must_refill(f, first, end, base, more);
    for (int i = first; i < end;) {
        int last = line_last(f, i, end, line_width(f), more, &too_long);
        for (int k = i; k < last; k++) {
            f->pieces[k].indent = f->line.indent;
            line_add(f, k, f->code.count && (k == first || k > i) && spaced(f, k));
        }
        i = last;
        if (i == end)
            return;
        int indent = continuation(f, i, base);
        line_end(f);
        remarks_write(f, i, is_closing(f->pieces[i].kind) ? indent + INDENT : indent);
        line_begin(f, indent, f->pieces[i].blank_before);
    }
}

/* ---- statements -------------------------------------------------------------------------------------------------- */

/* Behind a statement whose bodies stood in one line with it and fit into one: `branch { relu }`; 0: it is none. */
static int one_line_end(const struct format *f, int first, int width)
{
    int depth = 0;

    for (int i = first; width <= LINE_LONGEST; i++) {
        const struct piece *p = &f->pieces[i];
        if (p->kind == TOK_YYEOF || (i > first && (p->newline_before || p->remarks_count)))
            return 0;
        depth += (p->kind == TOK_LBRACE) - (p->kind == TOK_RBRACE);
        if (depth == 0 && p->ends)
            return 0;                           /* it has no body: a row of words */
        width += piece_width(f, i) + (i > first && (p->starts || spaced(f, i))) + (p->ends && p[1].kind != TOK_RBRACE);
        if (depth == 0 && p->kind == TOK_RBRACE && p[1].kind != TOK_ELSE)
            return width <= LINE_LONGEST ? i + 1 : 0;
    }
    return 0;
}

static void one_line_add(struct format *f, int first, int end)
{
    for (int i = first; i < end; i++) {
        const struct piece *p = &f->pieces[i];
        line_add(f, i, i > first && (p->starts || spaced(f, i)));
        if (p->ends && p[1].kind != TOK_RBRACE)
            text_add(&f->code, ";");
    }
}

static int body_write(struct format *f, int i, int indent);

/* A body that the row before it opens; i: its brace, which the line does not have yet.  Comments before the brace come
 * behind it, and so do those of `before`, which stand before an `else`.  Its closing brace is returned, and is
 * written. */
static int braces_write(struct format *f, int i, int indent, const int *before, int before_count)
{
    bool empty = f->pieces[i + 1].kind == TOK_RBRACE && f->pieces[i + 2].kind != TOK_ELSE &&
                 !f->pieces[i + 1].remarks_count && !f->pieces[i].remarks_count;

    for (int k = 0; k < before_count; k++)
        empty = empty && !f->pieces[before[k]].remarks_count;
    if (empty) {
        text_add(&f->code, " { }");
        return i + 1;
    }
    text_add(&f->code, " {");
    line_end(f);
    for (int k = 0; k < before_count; k++)
        remarks_write(f, before[k], indent + INDENT);
    remarks_write(f, i, indent + INDENT);
    i = body_write(f, i + 1, indent + INDENT);
    line_begin(f, indent, false);
    text_add(&f->code, "}");
    return i;
}

/* The row of words that begins with piece i and ends before a brace or with its statement. */
static int row_end(const struct format *f, int i)
{
    while (f->pieces[i].kind != TOK_LBRACE && !f->pieces[i].ends)
        i++;
    return f->pieces[i].kind == TOK_LBRACE ? i : i + 1;
}

/* Behind a closing brace: piece i, an `else`.  Where comments stand before it and others in the condition behind it, it
 * begins a line, so that all keep their order; true then. */
static bool else_write(struct format *f, int i, int indent)
{
    int first = f->remarks_count, last = f->pieces[i + 1].remarks;

    for (int k = i + 2; k < row_end(f, i + 1); k++)
        if (f->pieces[k].remarks_count)
            first = f->pieces[i].remarks;
    if (first >= last + f->pieces[i + 1].remarks_count) {
        text_add(&f->code, " else");
        return false;
    }
    line_end(f);
    remarks_write(f, i, indent);
    remarks_write(f, i + 1, indent);
    line_begin(f, indent, false);
    text_add(&f->code, "else");
    return true;
}

/* The statement that begins with piece i; behind it. */
static int statement_write(struct format *f, int i, int indent)
{
    int end = one_line_end(f, i, indent), before[2], before_count = 0;

    line_begin(f, indent, f->pieces[i].blank_before);
    if (end) {
        one_line_add(f, i, end);
        line_end(f);
        return end;
    }
    for (;;) {
        end = row_end(f, i);
        if (f->pieces[end - 1].ends) {
            row_write(f, i, end, indent, 0);
            line_end(f);
            return end;
        }
        row_write(f, i, end, indent, 2);
        if (before_count && end > i)
            before[before_count++] = i;         /* `else`, a comment, `if` */
        end = braces_write(f, end, indent, before, before_count);
        if (f->pieces[end + 1].kind != TOK_ELSE) {
            line_end(f);
            return end + 1;
        }
        before[0] = end + 1;
        before_count = !else_write(f, end + 1, indent);
        i = end + 2;
    }
}

/* Statements up to the end of their body, which is returned. */
static int body_write(struct format *f, int i, int indent)
{
    while (f->pieces[i].kind != TOK_RBRACE && f->pieces[i].kind != TOK_YYEOF) {
        remarks_write(f, i, indent);
        i = statement_write(f, i, indent);
    }
    remarks_write(f, i, indent);
    return i;
}

/* ---- columns ----------------------------------------------------------------------------------------------------- */

/* The '=' of assignments that follow each other stand in one column. */
static void equals_align(struct format *f, struct line *lines, int count)
{
    int column = 0;

    for (int i = 0; i < count; i++)
        if (lines[i].equals > column)
            column = lines[i].equals;
    for (int i = 0; i < count; i++)
        lines[i].code = arena_printf(f->arena, "%.*s%*s%s", lines[i].equals, lines[i].code, column - lines[i].equals,
                                     "", lines[i].code + lines[i].equals);
}

static int code_width(const struct line *l)
{
    return l->indent + characters(l->code, strlen(l->code));
}

/* Lines of one indentation without an empty one or a comment alone between them: their comments stand in one column. */
static int comments_width(const struct format *f, int first, int *end)
{
    int width = 0, i = first;

    do {
        int own = f->lines[i].comment ? code_width(&f->lines[i]) : 0;
        if (own > width && own <= LINE_LONGEST)
            width = own;
        i++;
    } while (i < f->lines_count && f->lines[i].indent == f->lines[first].indent && !f->lines[i].blank_before &&
             *f->lines[i].code);
    *end = i;
    return width;
}

/* NULL: it would be longer than a file may be. */
static const char *lines_text(struct format *f)
{
    struct text out = {.arena = f->arena};

    for (int i = 0, end; i < f->lines_count; i = end) {
        for (end = i; end < f->lines_count && f->lines[end].equals && (end == i || !f->lines[end].blank_before); end++)
            ;
        equals_align(f, f->lines + i, end - i);
        end += end == i;
    }
    for (int i = 0, end; i < f->lines_count && out.count <= SOURCE_LARGEST; i = end) {
        int width = comments_width(f, i, &end);
        for (int k = i; k < end && out.count <= SOURCE_LARGEST; k++) {
            const struct line *l = &f->lines[k];
            int own = code_width(l), column = own > width ? own : width;
            text_add(&out, "%s%*s%s", l->blank_before ? "\n" : "", l->indent, "", l->code);
            if (l->comment)
                text_add(&out, "%*s%s", *l->code ? column - own + BEFORE_COMMENT : 0, "", l->comment);
            text_add(&out, "\n");
        }
    }
    return out.count <= SOURCE_LARGEST ? text_of(&out) : NULL;
}

/* The text of it, in a; NULL: too long, which is reported. */
static const char *tokens_format(struct arena *a, const struct source *source, struct diag *d)
{
    struct arena lists = {0};
    struct format f = {.arena = &lists, .source = source};
    struct diag *said = diag_new(&lists);       /* parse_source has reported it all */
    struct token_list tokens = layout_tokens(&lists, source, scan_source(&lists, &lists, source, said), said);

    pieces_take(&f, &tokens);
    body_write(&f, 0, 0);
    const char *text = lines_text(&f);
    if (text)
        text = arena_string(a, text, strlen(text));
    else
        diag_error(d, DIAG_too_big, (struct span){0}, "%s would be longer than 1 MiB when formatted", source->path);
    arena_free(&lists);
    return text;
}

const char *format_source(struct arena *a, const struct source *source, struct diag *d)
{
    int errors = diag_errors(d);
    const struct ast_body *before = parse_source(a, source, d);
    const char *text = diag_errors(d) == errors ? tokens_format(a, source, d) : NULL;

    if (!text)
        return NULL;
    struct diag *said = diag_new(a);
    const struct ast_body *after = parse_text(a, source_from_text(a, source->path, text, strlen(text)), said);
    return ast_same(before, after) && !diag_errors(said) ? text : NULL;
}
