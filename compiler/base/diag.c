/* diag.c - see diag.h.  Messages are kept until diag_print() so that they come out in the order of
 * the file. */
#include "base/diag.h"
#include "common/printable.h"
#include "base/bounds.h"

#include <stdlib.h>
#include <string.h>

enum { DIAG_LINE_SHOWN = 120 };      /* characters of a source line */

enum severity { SEVERITY_ERROR, SEVERITY_WARNING, SEVERITY_NOTE, SEVERITY_HINT };

struct message {
    enum severity severity;
    enum diag_id id;
    struct span where;
    const char *text;
    int number;                 /* in order of arrival, for a stable sort */
    size_t position;            /* in the order of its file, as message_position() says */
    struct message *more, *last;    /* notes and hints that belong to it */
    const struct diag_context *within;
};

struct diag {
    struct arena *arena;
    struct message **messages;
    int count;
    size_t capacity;
    struct message *newest;     /* takes the notes; NULL: the message was dropped and so are they */
    int errors;
    const struct diag_context *within;      /* of the messages to come; NULL: none */
};

static const char *const diag_names[] = {
#define DIAG(id) #id,
#include "base/diagnostics.def"
#undef DIAG
};

struct diag *diag_new(struct arena *a)
{
    struct diag *d = arena_alloc(a, sizeof *d);

    d->arena = a;
    return d;
}

static struct message *message_new(struct diag *d, enum severity severity, struct span where,
                                   const char *format, va_list args)
{
    struct message *m = arena_alloc(d->arena, sizeof *m);

    m->severity = severity;
    m->where = where;
    m->text = arena_vprintf(d->arena, format, args);
    return m;
}

/* The same message at the same place twice is one message: a statement may be looked at more than
 * once. */
static bool diag_known(const struct diag *d, const struct message *m)
{
    for (int i = 0; i < d->count; i++) {
        const struct message *other = d->messages[i];
        if (m->id == other->id && m->where.file && m->where.file == other->where.file &&
            m->where.begin == other->where.begin && m->where.end == other->where.end &&
            !strcmp(m->text, other->text))
            return true;
    }
    return false;
}

static void diag_add(struct diag *d, enum severity severity, enum diag_id id, struct span where,
                     const char *format, va_list args)
{
    d->newest = NULL;
    if (d->count >= MESSAGES_KEPT) {
        d->errors += severity == SEVERITY_ERROR;
        return;
    }
    struct message *m = message_new(d, severity, where, format, args);
    m->id = id;
    m->number = d->count;
    m->within = d->within;
    if (diag_known(d, m))
        return;
    d->errors += severity == SEVERITY_ERROR;
    d->newest = m;
    LIST_ADD(d->arena, d->messages, d->count, d->capacity, m);
}

static void diag_attach(struct diag *d, struct message *note)
{
    if (d->newest->last)
        d->newest->last->more = note;
    else
        d->newest->more = note;
    d->newest->last = note;
}

void diag_error(struct diag *d, enum diag_id id, struct span where, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    diag_add(d, SEVERITY_ERROR, id, where, format, args);
    va_end(args);
}

void diag_warning(struct diag *d, enum diag_id id, struct span where, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    diag_add(d, SEVERITY_WARNING, id, where, format, args);
    va_end(args);
}

void diag_note(struct diag *d, struct span where, const char *format, ...)
{
    va_list args;

    if (!d->newest)
        return;
    va_start(args, format);
    diag_attach(d, message_new(d, SEVERITY_NOTE, where, format, args));
    va_end(args);
}

void diag_hint(struct diag *d, const char *format, ...)
{
    va_list args;

    if (!d->newest)
        return;
    va_start(args, format);
    diag_attach(d, message_new(d, SEVERITY_HINT, (struct span){0}, format, args));
    va_end(args);
}

const struct diag_context *diag_within(struct diag *d, const struct diag_context *context)
{
    const struct diag_context *outer = d->within;

    d->within = context;
    return outer;
}

void diag_error_within(struct diag *d, const struct diag_context *context, enum diag_id id, struct span where,
                       const char *format, ...)
{
    const struct diag_context *outer = diag_within(d, context);
    va_list args;

    va_start(args, format);
    diag_add(d, SEVERITY_ERROR, id, where, format, args);
    va_end(args);
    diag_within(d, outer);
}

const struct diag_context *diag_enter(struct diag *d, struct span where, const char *format, ...)
{
    struct diag_context *context = arena_alloc(d->arena, sizeof *context);
    va_list args;

    va_start(args, format);
    *context = (struct diag_context){d->within, where, arena_vprintf(d->arena, format, args),
                                     d->within ? d->within->depth + 1 : 1};
    va_end(args);
    return diag_within(d, context);
}

const struct diag_context *diag_here(const struct diag *d)
{
    return d->within;
}

void diag_forget(struct diag *d)
{
    d->count = d->errors = 0;
    d->newest = NULL;
}

int diag_errors(const struct diag *d)
{
    return d->errors;
}

/* ---- printing -------------------------------------------------------------------------------- */

/* Where a message stands among those of its file: a comma that is missing can wait until the words of its line have
 * been looked at. */
static size_t message_position(const struct message *m)
{
    const struct source *file = m->where.file;
    size_t at = m->where.begin;

    if (!file || at >= file->size || m->id != DIAG_missing_comma || m->severity != SEVERITY_ERROR)
        return at;
    const char *end = memchr(file->text + at, '\n', file->size - at);
    return end ? (size_t)(end - file->text) : file->size;
}

static int message_compare(const void *pa, const void *pb)
{
    const struct message *a = *(struct message *const *)pa, *b = *(struct message *const *)pb;

    if (a->where.file != b->where.file) { /* without a place first; then one file after the other */
        if (!a->where.file || !b->where.file)
            return a->where.file ? 1 : -1;
        int order = strcmp(a->where.file->path, b->where.file->path);
        return order ? order : a->number - b->number;
    }
    if (a->position != b->position)
        return a->position < b->position ? -1 : 1;
    return a->number - b->number;
}

/* Writes [begin, end) of a line; what could confuse a terminal shows as '?'. */
static void print_text(FILE *out, const char *text, size_t begin, size_t end)
{
    for (size_t i = begin; i < end;) {
        size_t length = rt_printable_length(text + i, end - i);
        if (length)
            fwrite(text + i, 1, length, out);
        else
            fputc(text[i] == '\t' ? '\t' : '?', out);
        i += length ? length : 1;
    }
}

/* Under each character of [begin, end): a tab stays a tab, so that the caret stands right at any
 * tab width. */
static void print_below(FILE *out, const char *text, size_t begin, size_t end, char mark)
{
    for (size_t i = begin; i < end;) {
        size_t length = rt_printable_length(text + i, end - i);
        fputc(text[i] == '\t' && mark == ' ' ? '\t' : mark, out);
        i += length ? length : 1;
    }
}

static size_t utf8_boundary(const char *text, size_t low, size_t i)
{
    while (i > low && ((unsigned char)text[i] & 0xC0) == 0x80)
        i--;
    return i;
}

/* The source line of a span, and a caret line under the part of the span that lies on it. */
static void print_excerpt(FILE *out, struct span where, int line)
{
    const char *text = where.file->text;
    size_t size = where.file->size, begin = where.begin < size ? where.begin : size, first = begin,
           last = begin;

    while (first > 0 && text[first - 1] != '\n')
        first--;
    while (last < size && text[last] != '\n')
        last++;
    if (last > first && text[last - 1] == '\r')
        last--;
    if (first == 0 && last >= 3 && !memcmp(text, "\xEF\xBB\xBF", 3))
        first = 3;
    if (begin < first)
        begin = first;
    size_t end = where.end < last ? where.end : last, shown = first, stop = last;
    if (last - first > DIAG_LINE_SHOWN) {       /* a window around the fault */
        if (begin - first > DIAG_LINE_SHOWN / 2)
            shown = utf8_boundary(text, first, begin - DIAG_LINE_SHOWN / 2);
        if (stop - shown > DIAG_LINE_SHOWN)
            stop = utf8_boundary(text, shown, shown + DIAG_LINE_SHOWN);
        if (end > stop)
            end = stop;
    }
    fprintf(out, "%5d | %s", line, shown > first ? "..." : "");
    print_text(out, text, shown, stop);
    fprintf(out, "%s\n      | %s", stop < last ? "..." : "", shown > first ? "   " : "");
    print_below(out, text, shown, begin < stop ? begin : stop, ' ');
    fputc('^', out);
    if (end > begin) {
        size_t next = begin + 1;
        while (next < end && ((unsigned char)text[next] & 0xC0) == 0x80)
            next++;
        print_below(out, text, next, end, '~');
    }
    fputc('\n', out);
}

static void message_print(const struct message *m, FILE *out)
{
    static const char *const words[] = {"error", "warning", "note", "hint"};

    if (m->severity == SEVERITY_HINT) {
        fputs("hint: ", out);
        rt_print_name(out, m->text);
        fputc('\n', out);
        return;
    }
    struct place p = {0, 0};
    if (m->where.file) {
        p = source_place(m->where.file, m->where.begin);
        rt_print_name(out, m->where.file->path);
        fprintf(out, ":%d:%d: ", p.line, p.column);
    } else {
        fputs("cnnc: ", out);
    }
    fprintf(out, "%s: ", words[m->severity]);
    rt_print_name(out, m->text);
    if (m->severity != SEVERITY_NOTE)
        fprintf(out, " [%s]", diag_names[m->id]);
    fputc('\n', out);
    if (m->where.file)
        print_excerpt(out, m->where, p.line);
}

/* The uses that led there, from the innermost on; of many only the ends. */
static void context_print(const struct diag_context *context, FILE *out)
{
    enum { SHOWN_MOST = 8, SHOWN_EACH = 3 };
    int depth = context ? context->depth : 0;

    for (; context; context = context->outer) {
        int inside = depth - context->depth;    /* of it, that have been printed */
        if (depth > SHOWN_MOST && inside == SHOWN_EACH)
            fprintf(out, "note: ... through %d more uses ...\n", depth - 2 * SHOWN_EACH);
        if (depth > SHOWN_MOST && inside >= SHOWN_EACH && context->depth > SHOWN_EACH)
            continue;
        message_print(&(const struct message){.severity = SEVERITY_NOTE, .where = context->where,
                                               .text = context->text}, out);
    }
}

void diag_print(const struct diag *d, FILE *out)
{
    int errors = 0, warnings = 0;
    struct message **sorted = arena_array(d->arena, (size_t)d->count + 1, sizeof *sorted);

    for (int i = 0; i < d->count; i++) {
        sorted[i] = d->messages[i];
        sorted[i]->position = message_position(sorted[i]);
    }
    qsort(sorted, (size_t)d->count, sizeof *sorted, message_compare);
    for (int i = 0; i < d->count; i++) {
        int *printed = sorted[i]->severity == SEVERITY_ERROR ? &errors : &warnings;
        if ((*printed)++ >= MESSAGES_PRINTED)
            continue;
        message_print(sorted[i], out);
        int notes = 0;
        for (const struct message *m = sorted[i]->more; m; m = m->more)
            if (m->severity == SEVERITY_HINT || notes++ < MESSAGES_PRINTED)
                message_print(m, out);
        if (notes > MESSAGES_PRINTED)
            fprintf(out, "note: there are %d more notes\n", notes - MESSAGES_PRINTED);
        context_print(sorted[i]->within, out);
    }
    if (d->errors > MESSAGES_PRINTED)
        fprintf(out, "cnnc: too many errors: %d more not shown\n", d->errors - MESSAGES_PRINTED);
}

/* ---- did you mean ---------------------------------------------------------------------------- */

enum { NEAREST_LONGEST = 64 };

static char lower_case(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static int smallest(int a, int b, int c)
{
    int m = a < b ? a : b;
    return m < c ? m : c;
}

/* Edits from a to b: insertions, deletions, replacements and swaps of neighbours; a change of case
 * costs nothing.  What is more than `most` is only known to be more: places that far apart are left out. */
static int edit_distance(const char *a, int a_length, const char *b, int b_length, int most)
{
    int rows[3][NEAREST_LONGEST + 2];
    int *before = rows[0], *above = rows[1], *row = rows[2];

    if (abs(a_length - b_length) > most)
        return most + 1;
    for (int j = 0; j <= b_length + 1; j++)
        above[j] = j;
    for (int i = 1; i <= a_length; i++) {
        int first = i > most ? i - most : 1, last = i + most < b_length ? i + most : b_length;
        row[first - 1] = first == 1 ? i : most + 1;
        row[last + 1] = most + 1;
        for (int j = first; j <= last; j++) {
            bool same = lower_case(a[i - 1]) == lower_case(b[j - 1]);
            row[j] = smallest(above[j] + 1, row[j - 1] + 1, above[j - 1] + !same);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                before[j - 2] + 1 < row[j])
                row[j] = before[j - 2] + 1;
        }
        int *spare = before;
        before = above;
        above = row;
        row = spare;
    }
    return above[b_length];
}

int diag_distance(const char *a, const char *b)
{
    char words[2][NEAREST_LONGEST + 1];
    int lengths[2] = {0, 0};

    for (int i = 0; i < 2; i++) {
        for (const char *c = i ? b : a; *c && lengths[i] < NEAREST_LONGEST; c++)
            if (*c != '_')
                words[i][lengths[i]++] = *c;
    }
    return edit_distance(words[0], lengths[0], words[1], lengths[1], NEAREST_LONGEST);
}

const char *diag_nearest(const char *word, const char *const *candidates, int count)
{
    size_t length = strlen(word);
    const char *best = NULL;
    int best_distance = (length < 3 ? 1 : length < 8 ? ((int)length + 1) / 3 : 3) + 1;

    if (length < 2 || length > NEAREST_LONGEST)
        return NULL;
    for (int i = 0; i < count; i++) {
        size_t other = strlen(candidates[i]);
        if (other > NEAREST_LONGEST)
            continue;
        int distance = edit_distance(word, (int)length, candidates[i], (int)other, best_distance);
        if (distance < best_distance && distance < (int)other) {
            best_distance = distance;
            best = candidates[i];
        }
    }
    if (best)
        return best;
    for (int i = 0; i < count; i++)             /* "maxpool" for "maxpool2d", "conv" for "conv2d" */
        if (length >= 3 && !strncmp(word, candidates[i], length))
            return candidates[i];
    return NULL;
}
