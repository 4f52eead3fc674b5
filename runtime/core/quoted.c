/* quoted.c - JSON and CSV. */
#include "core/quoted.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* The bytes of the UTF-8 character that begins here, 0 where none does (RFC 3629). */
static int utf8_length(const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    int length = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : s[0] >= 0xe0 && s[0] < 0xf0 ? 3
               : s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : 0;
    for (int i = 1; i < length; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90);
    bool beyond = (s[0] == 0xed && s[1] >= 0xa0) || (s[0] == 0xf4 && s[1] >= 0x90);
    return overlong || beyond ? 0 : length;
}

json_t *rt_json_text(const char *text)
{
    char *sound = malloc(3 * strlen(text) + 1), *to = sound;
    while (sound && *text) {
        int length = utf8_length(text);
        memcpy(to, length ? text : "\xef\xbf\xbd", length ? (size_t)length : 3);
        to += length ? length : 3;
        text += length ? length : 1;
    }
    json_t *value = sound ? json_stringn(sound, (size_t)(to - sound)) : NULL;
    free(sound);
    return value;
}

void rt_csv_text(FILE *out, const char *text)
{
    bool quoted = strpbrk(text, ",\"\r\n") || *text == ' ';
    if (quoted)
        fputc('"', out);
    for (; *text; text++) {
        if (*text == '"')
            fputc('"', out);
        fputc(*text, out);
    }
    if (quoted)
        fputc('"', out);
}
