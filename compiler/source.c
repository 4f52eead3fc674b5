/* source.c - see source.h. */
#include "source.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* No model is longer; what is (data given by mistake, an endless device) is refused before it fills
 * memory. */
enum { SOURCE_LARGEST = 1 << 20 };

struct source *source_from_text(struct arena *a, const char *path, const char *text, size_t size)
{
    struct source *s = arena_alloc(a, sizeof *s);

    s->path = arena_string(a, path, strlen(path));
    s->text = arena_string(a, text, size);
    s->size = size;
    return s;
}

struct source *source_read(struct arena *a, const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return NULL;
    struct stat st;
    if (fstat(fileno(f), &st) == 0 && S_ISDIR(st.st_mode)) {
        fclose(f);
        errno = EISDIR;
        return NULL;
    }
    char *text = NULL;
    size_t size = 0, capacity = 0;
    for (;;) {
        text = arena_grow(a, text, 1, size + 1, &capacity);
        size_t got = fread(text + size, 1, capacity - size - 1, f);
        size += got;
        if (!got || size > SOURCE_LARGEST)
            break;
    }
    int problem = ferror(f) ? errno : size > SOURCE_LARGEST ? EFBIG : 0;
    fclose(f);
    if (problem) {
        errno = problem;
        return NULL;
    }
    text[size] = '\0';
    struct source *s = arena_alloc(a, sizeof *s);
    s->path = arena_string(a, path, strlen(path));
    s->text = text;
    s->size = size;
    return s;
}

const char *source_problem(int error)
{
    return error == EFBIG ? "it is longer than 1 MiB, as no model is" : strerror(error);
}

struct place source_place(const struct source *file, size_t offset)
{
    struct place p = {1, 1};

    if (offset > file->size)
        offset = file->size;
    size_t start = 0;
    for (const char *nl; (nl = memchr(file->text + start, '\n', offset - start)) != NULL;) {
        start = (size_t)(nl - file->text) + 1;
        p.line++;
    }
    if (start == 0 && offset >= 3 && !memcmp(file->text, "\xEF\xBB\xBF", 3))
        start = 3;                              /* a byte order mark is no character of the line */
    for (size_t i = start; i < offset; i++)
        p.column += ((unsigned char)file->text[i] & 0xC0) != 0x80;
    return p;
}

struct span span_join(struct span a, struct span b)
{
    if (!a.file || !b.file || a.file != b.file)
        return a.file ? a : b;
    if (b.begin < a.begin)
        a.begin = b.begin;
    if (b.end > a.end)
        a.end = b.end;
    return a;
}
