/* emit_text.c - pieces of C text. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "emit.h"

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

enum { WRAP_AT = 88 };      /* the line's depth, of three levels at most, comes before it */

void emit_wrapped(struct emitter *e, struct cwriter *w, const char *text)
{
    const char *indent = "";
    while (strlen(text) > WRAP_AT) {
        const char *at = text + WRAP_AT;
        while (at > text && *at != ' ')
            at--;
        if (at == text)
            break;
        cw_line(w, "%s%s", indent, arena_string(e->arena, text, (size_t)(at - text)));
        text = at + 1;
        indent = "    ";
    }
    cw_line(w, "%s%s", indent, text);
}

const char *emit_capitals(struct emitter *e, const char *text)
{
    char *out = arena_string(e->arena, text, strlen(text));
    for (char *c = out; *c; c++)
        *c = (char)toupper((unsigned char)*c);
    return out;
}

const char *emit_basename(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}
