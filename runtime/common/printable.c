/* printable.c - see printable.h. */
#define _GNU_SOURCE
#include "common/printable.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Characters that a terminal obeys: of the second set of controls, and those that turn the direction
 * of what follows. */
static bool controls(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x61c || c == 0x200e || c == 0x200f
           || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

size_t rt_printable_length(const char *text, size_t room)
{
    static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
    const unsigned char *s = (const unsigned char *)text;
    if (room == 0)
        return 0;
    size_t length = s[0] < 0x80 ? 1 : s[0] < 0xc0 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf8 ? 4 : 0;
    if (length == 0 || length > room)
        return 0;
    uint32_t c = length == 1 ? s[0] : s[0] & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (s[i] & 0x3fu);
    }
    bool shortest = c >= smallest[length], exists = c < 0x110000 && (c < 0xd800 || c > 0xdfff);
    return shortest && exists && !controls(c) ? length : 0;
}

/* lines: ends of lines and tabs are left. */
static void text_print(FILE *out, const char *text, size_t size, bool lines)
{
    for (size_t i = 0, length; i < size; i += length) {
        length = rt_printable_length(text + i, size - i);
        if (!length && lines && (text[i] == '\n' || text[i] == '\t'))
            length = 1;
        if (length) {
            fwrite(text + i, 1, length, out);
            continue;
        }
        length = 1;
        if (text[i] == '\n')
            fputs("\\n", out);
        else if (text[i] == '\t')
            fputs("\\t", out);
        else
            fprintf(out, "\\x%02x", (unsigned char)text[i]);
    }
}

static void print(FILE *out, bool lines, const char *format, va_list args)
{
    enum { USUAL = 1024 };
    char usual[USUAL], *text = usual;
    va_list again;
    va_copy(again, args);
    int size = vsnprintf(usual, sizeof usual, format, args);
    if (size >= USUAL) {
        text = malloc((size_t)size + 1);
        if (text)
            vsnprintf(text, (size_t)size + 1, format, again);
        else
            text = usual, size = USUAL - 1;     /* its beginning is better than nothing */
    }
    va_end(again);
    if (size > 0)
        text_print(out, text, (size_t)size, lines);
    if (text != usual)
        free(text);
}

void rt_vprint(FILE *out, const char *format, va_list args)
{
    print(out, true, format, args);
}

void rt_print(FILE *out, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    print(out, true, format, args);
    va_end(args);
}

void rt_vprint_line(FILE *out, const char *format, va_list args)
{
    print(out, false, format, args);
    fputc('\n', out);
}

void rt_print_line(FILE *out, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    rt_vprint_line(out, format, args);
    va_end(args);
}

void rt_print_name(FILE *out, const char *text)
{
    text_print(out, text, strlen(text), false);
}

char *rt_printable(const char *text)
{
    char *shown = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&shown, &length);
    if (!out)
        return NULL;
    rt_print_name(out, text);
    if (fclose(out) == 0)
        return shown;
    free(shown);
    return NULL;
}
