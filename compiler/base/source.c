/* source.c - see source.h. */
#include "base/source.h"
#include "base/bounds.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* text: the arena's. */
static struct source *source_new(struct arena *a, const char *path, const char *text, size_t size)
{
    struct source *s = arena_alloc(a, sizeof *s);
    int count = 0;

    s->path = arena_string(a, path, strlen(path));
    s->text = text;
    s->size = size;
    for (const char *c = text; (c = memchr(c, '\n', size - (size_t)(c - text))) != NULL; c++)
        count++;
    uint32_t *lines = arena_array(a, (size_t)count + 1, sizeof *lines);
    for (const char *c = text; (c = memchr(c, '\n', size - (size_t)(c - text))) != NULL; c++)
        lines[s->lines_count++] = (uint32_t)(c - text) + 1;
    s->lines = lines;
    return s;
}

struct source *source_from_text(struct arena *a, const char *path, const char *text, size_t size)
{
    return source_new(a, path, arena_string(a, text, size), size);
}

FILE *source_open_stream(const char *path)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    FILE *f = fd >= 0 ? fdopen(fd, "rb") : NULL;
    if (f)
        fcntl(fd, F_SETFL, O_RDONLY);
    else if (fd >= 0)
        close(fd);
    return f;
}

struct source *source_read_stream(struct arena *a, const char *path, FILE *f)
{
    struct stat st;
    if (fstat(fileno(f), &st) == 0 && S_ISDIR(st.st_mode)) {
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
    if (ferror(f))
        return NULL;
    if (size > SOURCE_LARGEST) {
        errno = EFBIG;
        return NULL;
    }
    text[size] = '\0';
    return source_new(a, path, text, size);
}

struct source *source_read(struct arena *a, const char *path)
{
    FILE *f = source_open_stream(path);
    if (!f)
        return NULL;
    struct source *s = source_read_stream(a, path, f);
    int problem = errno;
    fclose(f);
    errno = problem;
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
    int before = 0, after = file->lines_count;  /* of lines[]: those that begin at or before offset */
    while (before < after) {
        int middle = before + (after - before) / 2;
        if (file->lines[middle] <= offset)
            before = middle + 1;
        else
            after = middle;
    }
    p.line += before;
    size_t start = before ? file->lines[before - 1] : 0;
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
