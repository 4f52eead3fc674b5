/* format_cases.c - files formatted: what they say and every comment is kept, and a second time changes nothing.
 *
 *   format_cases COUNT FILE...    COUNT random files, drawn along the grammar, with blanks, comments and line ends wherever
 *                                 the language allows them; and those of the FILEs that are sound
 *
 * Prints how many were formatted, and what was wrong with one; the exit status is 1 then. */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "syntax/format.h"
#include "syntax/parse.h"

enum { LINE_LONGEST = 100, DEEPEST = 4 };

/* ---- drawing ----------------------------------------------------------------------------------------------------- */

static uint64_t state;

static int draw(int below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (int)(state % (uint64_t)below);
}

static const char *pick(const char *const *words, int count)
{
    return words[draw(count)];
}
#define PICK(...) pick((const char *const[]){__VA_ARGS__}, (int)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)))

static void blanks(struct text *t)
{
    for (int i = draw(3); i > 0; i--)
        text_add(t, "%s", PICK(" ", " ", "\t", "\r"));
}

static void comment(struct text *t)
{
    text_add(t, "%s%d%s", PICK("#", "# ", "#\t", "## \xC3\xA4 \"", "# ; { "), draw(100000), PICK("", "  ", "\t", " }"));
}

static void line_end(struct text *t)
{
    if (draw(8) == 0) {
        blanks(t);
        comment(t);
    }
    text_add(t, "%s", PICK("\n", "\n", "\n", "\r\n"));
    for (int i = draw(4) ? 0 : draw(4); i > 0; i--)
        text_add(t, "%s", PICK("\n", "  \n", "\r\n"));
    if (draw(12) == 0) {
        blanks(t);
        comment(t);
        text_add(t, "\n");
    }
    blanks(t);
}

/* Where the language lets a line end stand. */
static void gap(struct text *t)
{
    if (draw(12) == 0)
        line_end(t);
    else
        blanks(t);
}

/* A word with the blank before it that keeps it apart. */
static void word(struct text *t, const char *text)
{
    text_add(t, " ");
    blanks(t);
    text_add(t, "%s", text);
}

static void name(struct text *t)
{
    text_add(t, "%s", PICK("a", "relu", "filters", "x", "in_channels", "a_name_that_is_longer", "stem.conv1", "loss"));
}

static void expr(struct text *t, int depth, bool inside);

static void arguments(struct text *t, int depth, bool inside)
{
    for (int i = 0, count = 1 + draw(draw(4) ? 3 : 9); i < count; i++) {
        if (i) {
            if (inside)
                gap(t);
            else
                blanks(t);
            text_add(t, ",");
            gap(t);
        }
        if (draw(3) == 0) {
            name(t);
            blanks(t);
            text_add(t, "=");
            gap(t);
        }
        expr(t, depth + 1, inside);
    }
    if (inside && draw(6) == 0)
        text_add(t, ",");
    if (inside)
        gap(t);
}

static void leaf(struct text *t)
{
    if (draw(3) == 0)
        name(t);
    else
        text_add(t, "%s", PICK("1", "0.5", "1e-3", "255", "3x32x32", "2x2", "on", "off", "\"a # b\"", "\"\\\"{\"",
                               "\"\xC3\xA9\"", ".5", "3."));
}

static void bracketed(struct text *t, int depth, const char *open, const char *shut, bool many)
{
    text_add(t, "%s", open);
    gap(t);
    if (many) {
        arguments(t, depth, true);
    } else {
        expr(t, depth + 1, true);
        gap(t);
    }
    text_add(t, "%s", shut);
}

/* What needs no brackets around it as an operand. */
static void operand(struct text *t, int depth, bool inside)
{
    int kind = draw(depth < DEEPEST ? 9 : 4);

    if (kind < 4) {
        leaf(t);
    } else if (kind == 4) {
        text_add(t, "-");
        blanks(t);
        operand(t, depth + 1, inside);
    } else if (kind == 5) {
        bracketed(t, depth, "(", ")", false);
    } else if (kind == 6) {
        bracketed(t, depth, "[", "]", true);
    } else {
        name(t);
        bracketed(t, depth, kind == 7 ? "(" : "[", kind == 7 ? ")" : "]", kind == 7);
    }
}

static void expr(struct text *t, int depth, bool inside)
{
    int kind = draw(depth < DEEPEST ? 10 : 6);

    if (kind == 9) {
        text_add(t, "if (");
        expr(t, depth + 1, true);
        text_add(t, ")");
        gap(t);
        text_add(t, "then");
        text_add(t, " ");
        gap(t);
        operand(t, depth + 1, inside);
        text_add(t, " ");
        gap(t);
        text_add(t, "else ");
        gap(t);
        operand(t, depth + 1, inside);
        return;
    }
    if (kind == 8)
        text_add(t, "not ");
    operand(t, depth, inside);
    for (int i = kind > 5 ? 1 + draw(3) : 0; i > 0; i--) {
        text_add(t, " ");
        blanks(t);
        text_add(t, "%s", kind == 8 ? PICK("and", "or") : PICK("+", "-", "*", "/", "%", "^"));
        text_add(t, " ");
        gap(t);
        operand(t, depth + 1, inside);
    }
}

static void statements(struct text *t, int depth);

static void body(struct text *t, int depth)
{
    gap(t);
    text_add(t, "{");
    if (draw(2))
        line_end(t);
    statements(t, depth + 1);
    text_add(t, "}");
}

static void choice(struct text *t, int depth)
{
    text_add(t, "if ");
    expr(t, 1, false);
    body(t, depth);
    if (draw(2) == 0)
        return;
    gap(t);
    text_add(t, "else ");
    if (draw(3) == 0) {
        gap(t);
        choice(t, depth);
    } else {
        body(t, depth);
    }
}

/* Whether its end has to be said. */
static bool statement(struct text *t, int depth)
{
    int kind = draw(depth < DEEPEST ? 12 : 8);

    if (kind == 0) {
        text_add(t, "const ");
        name(t);
        blanks(t);
        text_add(t, "=");
        gap(t);
        expr(t, 0, false);
    } else if (kind == 1) {
        text_add(t, "hits%d", draw(1000));
        blanks(t);
        text_add(t, "=");
        gap(t);
        expr(t, 0, false);
    } else if (kind == 2) {
        text_add(t, "return ");
        expr(t, 0, false);
    } else if (kind == 3 && depth == 0) {
        text_add(t, "metric f");
        bracketed(t, 0, "(", ")", true);
        if (draw(2))
            word(t, "higher_is_better");
        blanks(t);
        if (draw(2)) {
            body(t, depth);
            return false;
        }
        text_add(t, "=");
        gap(t);
        expr(t, 0, false);
    } else if (kind == 11) {
        choice(t, depth);
        return false;
    } else {
        text_add(t, "%s", PICK("conv2d", "dense", "add", "block", "repeat", "input"));
        if (draw(6)) {
            text_add(t, " ");
            blanks(t);
            arguments(t, 0, false);
        }
        if (draw(4) == 0) {
            word(t, "as ");
            name(t);
        }
        if (kind > 8) {
            body(t, depth);
            return false;
        }
    }
    return true;
}

static void statements(struct text *t, int depth)
{
    for (int count = draw(depth ? 5 : 8); count > 0; count--) {
        blanks(t);
        if (!statement(t, depth)) {
            if (draw(2))
                line_end(t);
            continue;
        }
        blanks(t);
        if (count > 1 || draw(2)) {
            if (draw(4) == 0)
                text_add(t, ";");
            else
                line_end(t);
        }
    }
}

/* ---- what must hold ---------------------------------------------------------------------------------------------- */

static int faults;

static void fault(const char *what, const char *file, const char *text, const char *formatted)
{
    if (faults++ < 3)
        printf("%s: %s\n---- the file\n%s\n---- formatted\n%s\n----\n", file, what, text, formatted ? formatted : "");
}

/* Behind the comment or string that begins at text; of anything else NULL. */
static const char *atom_end(const char *text)
{
    if (*text == '#')
        return text + strcspn(text, "\n");
    if (*text != '"')
        return NULL;
    for (text++; *text && *text != '"' && *text != '\n'; text++)
        if (*text == '\\' && text[1])
            text++;
    return *text == '"' ? text + 1 : text;
}

/* All comments, one a line, without blanks at their ends. */
static const char *comments(struct arena *a, const char *text)
{
    struct text t = {.arena = a};

    while (*text) {
        const char *end = atom_end(text);
        if (end && *text == '#') {
            size_t n = (size_t)(end - text);
            while (n && strchr(" \t\r", text[n - 1]))
                n--;
            text_add(&t, "%.*s\n", (int)n, text);
        }
        text = end ? end : text + 1;
    }
    return text_of(&t);
}

/* The tree as it is dumped, without places. */
static const char *tree(struct arena *a, const char *text, int *errors)
{
    struct diag *d = diag_new(a);
    const struct source *s = source_from_text(a, "tree", text, strlen(text));
    const struct ast_body *file = parse_source(a, s, d);
    char *dump = NULL, *to;
    size_t size;
    FILE *f = open_memstream(&dump, &size);

    ast_dump(file, f);
    fclose(f);
    *errors = diag_errors(d);
    to = dump;
    for (const char *from = dump; *from; from++) {
        if (*from == '[' && from[1] >= '0' && from[1] <= '9' && strchr("0123456789", from[1]) &&
            from[1 + strspn(from + 1, "0123456789")] == ',' && strchr(from, ')') &&
            strspn(from, "[0123456789,") == (size_t)(strchr(from, ')') - from))
            from = strchr(from, ')');
        else
            *to++ = *from;
    }
    *to = '\0';
    const char *kept = arena_string(a, dump, strlen(dump));
    free(dump);
    return kept;
}

/* NULL, or what is wrong with how it looks. */
static const char *untidy(const char *text)
{
    if (*text == '\n' || strstr(text, "\n\n\n"))
        return "too many empty lines";
    if (*text && (text[strlen(text) - 1] != '\n' || !strcmp(text, "\n")))
        return "the last line does not end";
    const char *line = text;
    for (const char *c = text; *c; c++) {
        const char *end = atom_end(c);
        if (end) {
            c = end - 1;
            continue;
        }
        if (*c == '\t' || *c == '\r')
            return "a tab or a carriage return";
        if (*c == '\n') {
            if (c > text && c[-1] == ' ')
                return "blanks at the end of a line";
            line = c + 1;
        }
        if (*c == ',' && c[1] == ' ' && c - line < LINE_LONGEST && strcspn(line, "\n#\"") > LINE_LONGEST + 2)
            return "a line that could have been broken is too long";
    }
    return NULL;
}

/* 1: it was formatted; 0: it has errors, and should. */
static int check(const char *file, const char *text, bool is_sound)
{
    struct arena a = {0};
    struct diag *d = diag_new(&a);
    int errors, other;
    const char *before = tree(&a, text, &errors);
    const char *formatted = format_source(&a, source_from_text(&a, file, text, strlen(text)), d);
    int sound = errors == 0;

    if (!sound) {
        if (formatted || !diag_errors(d))
            fault("it has errors and was formatted", file, text, formatted);
        if (is_sound) {
            fault("it was to have no errors", file, text, NULL);
            diag_print(d, stdout);
        }
    } else if (!formatted) {
        fault("it was not formatted", file, text, NULL);
    } else {
        const char *again = format_source(&a, source_from_text(&a, file, formatted, strlen(formatted)), d);
        if (!again || strcmp(again, formatted))
            fault("a second time changes it", file, formatted, again);
        if (strcmp(before, tree(&a, formatted, &other)) || other)
            fault("it says something else", file, text, formatted);
        if (strcmp(comments(&a, text), comments(&a, formatted)))
            fault("a comment is lost", file, text, formatted);
        if (untidy(formatted))
            fault(untidy(formatted), file, text, formatted);
    }
    arena_free(&a);
    return sound;
}

int main(int argc, char **argv)
{
    int count = argc > 1 ? atoi(argv[1]) : 0, files = 0;

    for (int i = 0; i < count; i++) {
        struct arena a = {0};
        struct text t = {.arena = &a};
        state = 0x9E3779B97F4A7C15u * (uint64_t)(i + 1);
        for (int k = 0; k < 8; k++)
            draw(2);
        text_add(&t, "network {}\n");           /* so that no file looks like one of another program's */
        statements(&t, 0);
        check(arena_printf(&a, "random file %d", i), text_of(&t), true);
        arena_free(&a);
    }
    for (int i = 2; i < argc; i++) {
        struct arena a = {0};
        const struct source *s = source_read(&a, argv[i]);
        if (s && strlen(s->text) == s->size)
            files += check(argv[i], s->text, false);
        arena_free(&a);
    }
    printf("%d random files and %d others\n", count, files);
    return faults > 0;
}
