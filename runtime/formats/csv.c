/* csv.c - see csv.h. */
#include "formats/csv.h"

#include <stdlib.h>
#include <string.h>

#include "core/message.h"

enum {
    BUFFER = 1 << 16,
    RECORD_MAX = 1 << 26        /* bytes: a quote that is never closed takes the rest of the file */
};

enum { END = -1, BROKEN = -2 };

int rt_csv_open(struct csv_reader *r, const char *path, char separator)
{
    *r = (struct csv_reader){ .separator = separator, .line = 1 };
    if (rt_packed_open(&r->file, path))
        return -1;
    r->buffer = malloc(BUFFER);
    if (r->buffer)
        return 0;
    rt_error("%s: no memory to read it", path);
    return -1;
}

void rt_csv_close(struct csv_reader *r)
{
    rt_packed_close(&r->file);
    free(r->fields);
    free(r->text);
    free(r->buffer);
    *r = (struct csv_reader){ 0 };
}

static int wrong(const struct csv_reader *r, int64_t line, const char *what)
{
    rt_error("%s: line %lld: %s", r->file.path, (long long)line, what);
    return BROKEN;
}

static int buffer_fill(struct csv_reader *r)
{
    int64_t got = rt_packed_read(&r->file, r->buffer, BUFFER);
    r->buffer_at = 0;
    r->buffer_used = got > 0 ? (size_t)got : 0;
    if (got < 0)
        return BROKEN;
    if (got == 0 && rt_packed_cut(&r->file))
        return wrong(r, r->line, "the end of the gzip stream is missing");
    if (got == 0)
        return END;
    if (!r->began && got >= 2 && (!memcmp(r->buffer, "\xff\xfe", 2) || !memcmp(r->buffer, "\xfe\xff", 2)))
        return wrong(r, 1, "is UTF-16; save it as UTF-8");
    if (!r->began && got >= 3 && !memcmp(r->buffer, "\xef\xbb\xbf", 3))
        r->buffer_at = 3;
    r->began = true;
    return r->buffer_at < r->buffer_used ? 0 : END;
}

/* The next character, '\n' for each end of a line; END, or BROKEN with a message. */
static int next_char(struct csv_reader *r)
{
    for (;;) {
        if (r->buffer_at == r->buffer_used) {
            int status = buffer_fill(r);
            if (status)
                return status;
        }
        unsigned char c = (unsigned char)r->buffer[r->buffer_at++];
        bool second = r->after_cr && c == '\n';
        r->after_cr = c == '\r';
        if (second)
            continue;
        if (c == '\0')
            return wrong(r, r->line, "there is a zero byte: the file is no text");
        if (c != '\r' && c != '\n')
            return c;
        r->line++;
        return '\n';
    }
}

static int text_put(struct csv_reader *r, int c)
{
    if (r->text_used == r->text_room) {
        size_t room = r->text_room ? 2 * r->text_room : 4096;
        char *text = room > 2 * (size_t)RECORD_MAX ? NULL : realloc(r->text, room);
        if (!text && room > 2 * (size_t)RECORD_MAX)
            return wrong(r, r->record_line, "a record of more than 64 MiB begins here: a quote may be missing");
        if (!text)
            return wrong(r, r->record_line, "no memory for its record");
        r->text = text;
        r->text_room = room;
    }
    r->text[r->text_used++] = (char)c;
    return 0;
}

/* Fields are known by where they begin until the record is whole: the text may move. */
static int field_add(struct csv_reader *r, size_t start, bool quoted)
{
    if (r->fields_count == r->fields_room) {
        int room = r->fields_room ? 2 * r->fields_room : 64;
        struct csv_field *fields = realloc(r->fields, (size_t)room * sizeof *fields);
        if (!fields)
            return wrong(r, r->record_line, "no memory for its record");
        r->fields = fields;
        r->fields_room = room;
    }
    size_t length = r->text_used - start;
    while (!quoted && length && (r->text[start + length - 1] == ' ' || r->text[start + length - 1] == '\t'))
        length--;
    r->fields[r->fields_count++] = (struct csv_field){ .length = length, .quoted = quoted };
    r->text_used = start + length;
    return text_put(r, '\0');
}

/* The rest of a field in quotes, behind the first; the character that follows the field. */
static int quoted_read(struct csv_reader *r)
{
    int64_t line = r->line;
    for (;;) {
        int c = next_char(r);
        if (c == END)
            return wrong(r, line, "a quote is opened here and never closed");
        if (c == '"' && (c = next_char(r)) != '"') {
            while ((c == ' ' || c == '\t') && c != r->separator)
                c = next_char(r);
            if (c == END || c == '\n' || c == r->separator || c == BROKEN)
                return c;
            return wrong(r, r->line, "text behind the quote that ends a field; a quote inside a field is doubled");
        }
        if (c == BROKEN || text_put(r, c))
            return BROKEN;
    }
}

/* A field and the character behind it. */
static int field_read(struct csv_reader *r, int c)
{
    size_t start = r->text_used;
    bool quoted = false;
    while ((c == ' ' || c == '\t') && c != r->separator)
        c = next_char(r);
    if (c == '"') {
        quoted = true;
        c = quoted_read(r);
    } else {
        for (; c >= 0 && c != '\n' && c != r->separator; c = next_char(r)) {
            if (c == '"')
                return wrong(r, r->line, "a quote inside a field: put the field in quotes, and double the one inside");
            if (text_put(r, c))
                return BROKEN;
        }
    }
    return c == BROKEN || field_add(r, start, quoted) ? BROKEN : c;
}

int rt_csv_next(struct csv_reader *r)
{
    for (;;) {
        r->text_used = 0;
        r->fields_count = 0;
        r->record_line = r->line;
        int c = next_char(r);
        if (c < 0)
            return c == END ? 0 : -1;
        c = field_read(r, c);
        while (c == r->separator)
            c = field_read(r, next_char(r));
        if (c == BROKEN)
            return -1;
        if (r->fields_count > 1 || r->fields[0].length > 0 || r->fields[0].quoted)
            break;
    }
    size_t at = 0;
    for (int i = 0; i < r->fields_count; i++) {
        r->fields[i].text = r->text + at;
        at += r->fields[i].length + 1;
    }
    return 1;
}
