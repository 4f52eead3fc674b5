/* cwriter.c - see cwriter.h. */
#include "base/cwriter.h"

#include <assert.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { CW_INDENT = 4, CW_COLUMNS = 100 };

struct cwriter {
    FILE *out;
    int depth;
    size_t bytes, lines;
    char *line;                 /* the line being made, reused */
    size_t capacity;
    char *text;                 /* without a file: all that was written */
    size_t text_capacity;
};

static void cw_out_of_memory(void)
{
    fputs("cnnc: out of memory\n", stderr);
    exit(1);
}

struct cwriter *cw_new(FILE *out)
{
    struct cwriter *w = calloc(1, sizeof *w);

    if (!w)
        cw_out_of_memory();
    w->out = out;
    return w;
}

void cw_free(struct cwriter *w)
{
    if (!w)
        return;
    free(w->line);
    free(w->text);
    free(w);
}

size_t cw_bytes(const struct cwriter *w)
{
    return w->bytes;
}

size_t cw_lines(const struct cwriter *w)
{
    return w->lines;
}

const char *cw_text(const struct cwriter *w)
{
    return w->text ? w->text : "";
}

static void cw_grow(char **text, size_t *capacity, size_t least)
{
    *capacity = least * 2;
    *text = realloc(*text, *capacity);
    if (!*text)
        cw_out_of_memory();
}

static void cw_format(struct cwriter *w, const char *format, va_list args)
{
    va_list again;

    va_copy(again, args);
    int length = vsnprintf(w->line, w->capacity, format, args);
    if (length < 0)
        cw_out_of_memory();
    if ((size_t)length + 1 > w->capacity) {
        cw_grow(&w->line, &w->capacity, (size_t)length + 1);
        vsnprintf(w->line, w->capacity, format, again);
    }
    va_end(again);
}

static void cw_put(struct cwriter *w, const char *text, size_t length)
{
    if (w->out) {
        fwrite(text, 1, length, w->out);
    } else {
        if (w->text_capacity - w->bytes < length + 1)
            cw_grow(&w->text, &w->text_capacity, w->bytes + length + 1);
        memcpy(w->text + w->bytes, text, length);
        w->text[w->bytes + length] = '\0';
    }
    w->bytes += length;
}

static void cw_end_line(struct cwriter *w)
{
    cw_put(w, "\n", 1);
    w->lines++;
}

static void cw_indent(struct cwriter *w)
{
    static const char spaces[] = "                                ";
    size_t left = (size_t)(w->depth * CW_INDENT);

    while (left > 0) {
        size_t piece = left < sizeof spaces - 1 ? left : sizeof spaces - 1;
        cw_put(w, spaces, piece);
        left -= piece;
    }
}

/* How bad it is to break at the space text[i], within `depth` parentheses: the fewer of them the better, after a comma
 * rather than after an operator, best of all after a whole statement, and right after the = of a definition only where
 * nothing else will do. */
enum { CW_BEST = -1000, CW_WORST = 1000, CW_NEVER };

static int cw_badness(const char *text, size_t i, int depth, bool loop)
{
    char last = text[i - 1], before = text[i - 2];

    if (last == ';' && !loop)
        return CW_BEST;
    if (last == ',' || last == ';')
        return 2 * depth;
    if (last == '=')
        return before == ' ' ? CW_WORST : CW_NEVER;
    if (strchr("+?:", last) || ((last == '&' || last == '|') && before == last))
        return 2 * depth + 1;
    return CW_NEVER;
}

/* Where to break a line that has `room` columns left: at the last of the best places that fit; 0 when there is no such
 * place, or the line has a comment that a break could spoil.  What goes on after a break begins at depth 0 again; its
 * depth may become negative, which is farther out and so better. */
static size_t cw_break(const char *text, size_t room, bool loop)
{
    size_t at = 0;
    int depth = 0, least = CW_WORST;
    bool string = false;

    if (strlen(text) <= room || strstr(text, "//") || *text == '#')
        return 0;
    for (size_t i = 0; text[i] && i <= room; i++) {
        if (text[i] == '"' && (i == 0 || text[i - 1] != '\\'))
            string = !string;
        if (string)
            continue;
        depth += text[i] == '(' || text[i] == '[';
        depth -= text[i] == ')' || text[i] == ']';
        int bad = text[i] == ' ' && i >= 2 ? cw_badness(text, i, depth, loop) : CW_NEVER;
        if (bad <= least) {
            least = bad;
            at = i;
        }
    }
    return at;
}

static void cw_text_line(struct cwriter *w, const char *text)
{
    assert(!strchr(text, '\n'));
    size_t room = CW_COLUMNS - (size_t)(w->depth * CW_INDENT), at;
    bool within = false;        /* a statement goes on from the line before */
    const bool loop = !strncmp(text, "for (", 5);

    while ((at = cw_break(text, within ? room - 8 : room, loop)) != 0) {
        cw_indent(w);
        cw_put(w, "        ", within ? 8 : 0);
        cw_put(w, text, at);
        cw_end_line(w);
        within = text[at - 1] != ';';
        text += at + 1;
    }
    if (*text) {
        cw_indent(w);
        cw_put(w, "        ", within ? 8 : 0);
        cw_put(w, text, strlen(text));
    }
    cw_end_line(w);
}

void cw_line(struct cwriter *w, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    cw_format(w, format, args);
    va_end(args);
    cw_text_line(w, w->line);
}

void cw_open(struct cwriter *w, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    cw_format(w, format, args);
    va_end(args);
    cw_text_line(w, w->line);
    w->depth++;
}

void cw_close(struct cwriter *w, const char *line)
{
    assert(w->depth > 0);
    w->depth--;
    if (*line)
        cw_text_line(w, line);
}

void cw_middle(struct cwriter *w, const char *line)
{
    cw_close(w, line);
    w->depth++;
}

void cw_directive(struct cwriter *w, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    cw_format(w, format, args);
    va_end(args);
    assert(!strchr(w->line, '\n'));
    cw_put(w, w->line, strlen(w->line));
    cw_end_line(w);
}

void cw_blank(struct cwriter *w)
{
    cw_end_line(w);
}

/* ---- comments -------------------------------------------------------------------------------- */

/* No text may end the comment, begin another, or splice lines: a space goes between the two
 * characters, and a backslash, which at a line's end would join it with the next, becomes a slash.
 */
static char *harmless(const char *text)
{
    char *copy = malloc(2 * strlen(text) + 1), *to = copy;

    if (!copy)
        cw_out_of_memory();
    for (const char *from = text; *from; from++) {
        unsigned char u = (unsigned char)*from;
        char c = u == '\\' ? '/' : u == '\n' || (u >= 0x20 && u != 0x7F) ? *from : ' ';
        bool joins = to > copy && ((to[-1] == '*' && c == '/') || (to[-1] == '/' && c == '*') ||
                                   (to[-1] == '?' && c == '?'));
        if (joins)
            *to++ = ' ';
        *to++ = c;
    }
    *to = '\0';
    return copy;
}

/* Bytes of text that fit on a line of `room` columns, broken at a space where there is one; the
 * columns of UTF-8 are counted as characters. */
static size_t fitting(const char *text, size_t room)
{
    size_t column = 0, space = 0, i = 0;

    for (; text[i] && text[i] != '\n'; i++) {
        if (((unsigned char)text[i] & 0xC0) != 0x80 && ++column > room)
            return space ? space : i;
        if (text[i] == ' ')
            space = i;
    }
    return i;
}

void cw_comment(struct cwriter *w, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    cw_format(w, format, args);
    va_end(args);
    char *text = harmless(w->line);
    size_t used = (size_t)(w->depth * CW_INDENT) + 6,
           room = used + 20 < CW_COLUMNS ? CW_COLUMNS - used : 20;
    const char *prefix = "/* ", *rest = text;
    do {
        size_t length = fitting(rest, room);
        size_t end = length;
        while (end && rest[end - 1] == ' ')
            end--;
        const char *next = rest + length;
        while (*next == ' ')
            next++;
        if (*next == '\n')
            next++;
        cw_indent(w);
        cw_put(w, prefix, end ? 3 : 2);
        cw_put(w, rest, end);
        cw_put(w, *next ? "\n" : " */\n", *next ? 1 : 4);
        rest = next;
        prefix = " * ";
    } while (*rest);
    free(text);
}

/* ---- strings --------------------------------------------------------------------------------- */

/* One character of a literal.  Octal escapes are always three digits long, so no digit that follows
 * joins in. */
static size_t quote_byte(char *to, unsigned char c, unsigned char before)
{
    switch (c) {
    case '\n': return (size_t)sprintf(to, "\\n");
    case '\t': return (size_t)sprintf(to, "\\t");
    case '"': return (size_t)sprintf(to, "\\\"");
    case '\\': return (size_t)sprintf(to, "\\\\");
    case '?':
        if (before == '?')                      /* ??/ and its kin are other characters in old C */
            return (size_t)sprintf(to, "\\?");
        break;
    default:
        if (c < 0x20 || c == 0x7F)
            return (size_t)sprintf(to, "\\%03o", c);
    }
    *to = (char)c;
    return 1;
}

void cw_quote(char *out, size_t size, const char *text)
{
    enum { LONGEST = 5 };
    size_t n = 0;
    unsigned char before = 0;

    assert(size >= 3);
    out[n++] = '"';
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        char escape[LONGEST];
        size_t length = quote_byte(escape, *c, before);
        if (n + length + 2 > size)
            break;
        memcpy(out + n, escape, length);
        n += length;
        before = *c;
    }
    out[n++] = '"';
    out[n] = '\0';
}
