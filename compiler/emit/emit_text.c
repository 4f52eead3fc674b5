/* emit_text.c - pieces of C text. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "emit/emit.h"

const char *emit_number(struct emitter *e, double x)
{
    if (isnan(x))
        return "NAN";
    if (isinf(x))
        return x > 0 ? "INFINITY" : "-INFINITY";
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, x);
        if (strtod(text, NULL) == x)
            break;
    }
    return arena_printf(e->arena, strpbrk(text, ".e") ? "%s" : "%s.0", text);
}

const char *emit_quoted(struct emitter *e, const char *text)
{
    if (!text)
        return "NULL";
    size_t room = 4 * strlen(text) + 3;     /* each character at most as an escape of four */
    char *out = arena_alloc(e->arena, room);
    cw_quote(out, room, text);
    return out;
}

enum { COLUMNS = 100, INDENT = 4 };

/* Bytes of text up to the last space within `room`; all of its `length` where it fits or has no space there. */
static size_t piece_length(const char *text, size_t length, size_t room)
{
    size_t at = room;
    if (length <= room)
        return length;
    while (at && text[at] != ' ')
        at--;
    return at ? at : length;
}

void emit_wrapped(struct emitter *e, struct cwriter *w, int depth, const char *text)
{
    size_t room = (size_t)(COLUMNS - INDENT * depth);
    size_t rest = strlen(text), length = piece_length(text, rest, room);
    cw_line(w, "%s", arena_string(e->arena, text, length));
    while (text[length]) {
        text += length + 1;
        rest -= length + 1;
        length = piece_length(text, rest, room - INDENT);
        cw_line(w, "    %s", arena_string(e->arena, text, length));
    }
}

void emit_strings(struct emitter *e, struct cwriter *w, const char *text)
{
    const size_t room = COLUMNS - 3 * INDENT;   /* quotes, a comma and a few escapes fit into the rest */
    while (*text) {
        const char *end = strchr(text, '\n');
        size_t line = end ? (size_t)(end - text) + 1 : strlen(text);
        const char *indent = "";
        while (line) {
            size_t length = piece_length(text, line, room);
            if (length < line)
                length++;                       /* the space stays at the end */
            cw_line(w, "%s%s,", indent, emit_quoted(e, arena_string(e->arena, text, length)));
            text += length;
            line -= length;
            indent = "    ";
        }
    }
}

const char *emit_capitals(struct emitter *e, const char *text)
{
    char *out = arena_string(e->arena, text, strlen(text));
    for (char *c = out; *c; c++)
        *c = (char)toupper((unsigned char)*c);
    return out;
}
