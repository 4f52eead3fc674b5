/* history.c - CSV tables of a run.
 *
 * What an epoch took differs from run to run.  It stands in the last columns of a file and nowhere else: the rows that
 * a state keeps do not have it, so that two equal runs leave equal states, and files that are equal but for these
 * columns.  A run that goes on takes it from the file that it finds. */
#include "train/history.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/atomic_file.h"
#include "core/message.h"
#include "formats/safetensors.h"

/* What each kind of table begins with. */
static const char *const heads[] = { [HISTORY_EPOCHS] = "epoch,lr,", [HISTORY_STEPS] = "step,loss" };

/* Where the file stands at its end or at nothing but zeros, which a power loss may leave. */
static bool is_lost(FILE *file)
{
    int c;
    while ((c = getc(file)) == 0)
        continue;
    return c == EOF && !ferror(file);
}

int rt_history_check(const char *path, enum history_kind kind)
{
    struct stat status;
    if (!path || stat(path, &status) || !S_ISREG(status.st_mode))
        return 0;               /* what is wrong with it is said where it is opened */
    FILE *file = fopen(path, "r");
    if (!file) {
        rt_error("%s: cannot be read, and would be replaced: %s", path, strerror(errno));
        return -1;
    }
    size_t length = strlen(heads[kind]);
    char head[16] = "";
    bool table = fread(head, 1, length, file) == length && strcmp(head, heads[kind]) == 0;
    rewind(file);
    table = table || is_lost(file);
    bool bad = ferror(file) != 0;
    fclose(file);
    if (bad)
        rt_error("%s: cannot be read, and would be replaced", path);
    else if (!table)
        rt_error("%s: is not a table of %s, and would be replaced", path, kind == HISTORY_EPOCHS ? "epochs" : "steps");
    return table && !bad ? 0 : -1;
}

int rt_history_open(struct history *h, const char *path)
{
    *h = (struct history){ .path = path };
    if (!path)
        return 0;
    h->file = fopen(path, "w");
    if (h->file)
        return 0;
    rt_error("%s: %s", path, strerror(errno));
    return -1;
}

char *rt_history_read(const char *path)
{
    uint64_t size = 0;
    if (access(path, R_OK))
        return NULL;
    unsigned char *bytes = rt_file_read(path, &size);
    char *text = bytes ? realloc(bytes, (size_t)size + 1) : NULL;
    if (text)
        text[size] = '\0';
    else
        free(bytes);
    return text;
}

/* After each row: what is written is on its way to the file, and a full disk is noticed. */
static void row_end(struct history *h)
{
    if (fflush(h->file) == 0 && !ferror(h->file))
        return;
    if (!h->failed)
        rt_error("%s: %s; training goes on without this file", h->path, strerror(errno));
    h->failed = true;
}

/* Appends to the rows that a saved state keeps. */
static void text_add(struct history *h, const char *format, ...) RT_PRINTF(2, 3);

static void text_add(struct history *h, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    size_t length = h->text ? strlen(h->text) : 0;
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *more = n >= 0 ? realloc(h->text, length + (size_t)n + 1) : NULL;
    if (!more) {
        va_end(again);
        if (!h->failed)
            rt_error("no memory for the history; training goes on without it");
        h->failed = true;
        return;
    }
    h->text = more;
    vsnprintf(h->text + length, (size_t)n + 1, format, again);
    va_end(again);
}

/* The columns of a file that its text does not have. */
static const char *const times[] = { "seconds", "images_per_second" };

enum { TIMES = sizeof times / sizeof times[0], TIME_LENGTH = 40 };

/* Writes the row at `from` of the text, with its times behind it. */
static void row_write(struct history *h, size_t from, const char *const values[TIMES])
{
    if (!h->file || h->failed || !h->text)
        return;
    fprintf(h->file, "%.*s", (int)strcspn(h->text + from, "\n"), h->text + from);
    for (int i = 0; i < TIMES; i++)
        fprintf(h->file, ",%s", values[i]);
    fputc('\n', h->file);
    row_end(h);
}

static size_t text_length(const struct history *h)
{
    return h->text ? strlen(h->text) : 0;
}

/* Cell `column` of a row, 0 the first; its length goes to *length.  NULL: the row ends before. */
static const char *cell_find(const char *row, int column, size_t *length)
{
    for (; column > 0; column--) {
        row += strcspn(row, ",\n");
        if (*row++ != ',')
            return NULL;
    }
    *length = strcspn(row, ",\n");
    return row;
}

/* The column of a name in a header, -1: none. */
static int column_find(const char *header, const char *name, size_t length)
{
    const char *cell;
    size_t found;
    for (int i = 0; (cell = cell_find(header, i, &found)); i++)
        if (found == length && strncmp(cell, name, length) == 0)
            return i;
    return -1;
}

/* A row of a table with the header `from` as one of a table with the header `to`: what it does not
 * have stays empty. */
static void row_carry(struct history *h, const char *row, const char *from, const char *to)
{
    const char *name, *cell;
    size_t length;
    for (int i = 0; (name = cell_find(to, i, &length)); i++) {
        int column = column_find(from, name, length);
        size_t cell_length = 0;
        cell = column >= 0 ? cell_find(row, column, &cell_length) : NULL;
        text_add(h, "%s%.*s", i ? "," : "", cell ? (int)cell_length : 0, cell ? cell : "");
    }
    text_add(h, "\n");
}

/* The row of the same epoch in a file as it was; NULL: it has none. */
static const char *row_find(const char *csv, const char *row)
{
    size_t length = strcspn(row, ",\n");
    for (const char *at = strchr(csv, '\n'); at && at[1]; at = strchr(at + 1, '\n'))
        if (strcspn(at + 1, ",\n") == length && strncmp(at + 1, row, length) == 0)
            return at + 1;
    return NULL;
}

/* The text's row at `from` to the file, with the times that `csv` has of its epoch. */
static void row_write_again(struct history *h, size_t from, const char *csv)
{
    char values[TIMES][TIME_LENGTH] = { 0 };
    const char *pointers[TIMES], *row = csv ? row_find(csv, h->text + from) : NULL, *cell;
    size_t length;
    for (int i = 0; i < TIMES; i++) {
        int column = row ? column_find(csv, times[i], strlen(times[i])) : -1;
        if (column >= 0 && (cell = cell_find(row, column, &length)) && length < TIME_LENGTH)
            memcpy(values[i], cell, length);
        pointers[i] = values[i];
    }
    row_write(h, from, pointers);
}

/* A file with these bytes, open to be appended to; with `whole` a kill leaves it as it was or with all of them.  0, or
 * -1 with a message. */
static int file_begin(struct history *h, const char *bytes, size_t length, bool whole)
{
    struct atomic_file file;
    if (whole && rt_atomic_open(&file, h->path))
        return -1;
    if (whole && rt_atomic_write(&file, bytes, length)) {
        rt_atomic_drop(&file);
        return -1;
    }
    if (whole && rt_atomic_commit(&file))
        return -1;
    h->file = fopen(h->path, whole ? "a" : "w");
    if (!h->file) {
        rt_error("%s: %s", h->path, strerror(errno));
        return -1;
    }
    if (!whole) {
        fwrite(bytes, 1, length, h->file);
        row_end(h);
    }
    return 0;
}

/* All rows of the text to the file. */
static int rows_write_again(struct history *h, const char *csv, bool whole)
{
    char *bytes = NULL;
    size_t length = 0;
    h->file = open_memstream(&bytes, &length);
    if (h->file && h->text)
        row_write(h, 0, times);
    for (const char *row = h->text ? strchr(h->text, '\n') : NULL; row && row[1]; row = strchr(row + 1, '\n'))
        row_write_again(h, (size_t)(row + 1 - h->text), csv);
    bool gathered = h->file && fclose(h->file) == 0;
    h->file = NULL;
    if (!gathered)
        rt_error("%s: no memory to write it", h->path);
    int status = gathered ? file_begin(h, bytes, length, whole) : -1;
    free(bytes);
    return status;
}

int rt_history_resume(struct history *h, const char *path, const char *text, const struct tally *t, const char *csv,
                      bool whole)
{
    struct history header = { 0 };
    *h = (struct history){ .path = path };
    rt_history_epoch_header(&header, t);
    if (header.text && strncmp(text, header.text, strlen(header.text)) == 0) {
        h->text = strdup(text);
    } else if (header.text) {           /* the recipe's metrics are others now */
        text_add(h, "%s", header.text);
        for (const char *row = strchr(text, '\n'); row && row[1]; row = strchr(row + 1, '\n'))
            row_carry(h, row + 1, text, header.text);
    }
    h->failed = h->failed || !h->text;
    free(header.text);
    return path ? rows_write_again(h, csv, whole) : 0;
}

/* The place behind the last row before `step`, and that row's step; -1 with a message where the file cannot be read or
 * is another's. */
static long steps_end(struct history *h, uint64_t step, uint64_t *last)
{
    char line[128];
    long end = 0;
    while (fgets(line, sizeof line, h->file)) {
        char *comma;
        uint64_t number = strtoull(line, &comma, 10);
        bool header = end == 0 && strncmp(line, heads[HISTORY_STEPS], strlen(heads[HISTORY_STEPS])) == 0;
        if (header)
            h->rates = strcmp(line + strlen(heads[HISTORY_STEPS]), ",lr\n") == 0;
        if (!strchr(line, '\n') || (!header && (end == 0 || *comma != ',' || number >= step)))
            break;
        if (!header)
            *last = number;
        end += (long)strlen(line);
    }
    if (ferror(h->file)) {
        rt_error("%s: cannot be read: %s", h->path, strerror(errno));
        return -1;
    }
    rewind(h->file);
    if (end == 0 && !is_lost(h->file)) {
        rt_error("%s: is not a table of steps", h->path);
        return -1;
    }
    return end;
}

int rt_history_resume_steps(struct history *h, const char *path, uint64_t step, bool rates)
{
    struct stat status;
    *h = (struct history){ .path = path };
    if (!path)
        return 0;
    /* the rows go on where there are some; a device or a pipe takes the new ones only */
    if (stat(path, &status) ? errno == ENOENT : !S_ISREG(status.st_mode))
        return rt_history_open(h, path) ? -1 : (rt_history_step_header(h, rates), 0);
    h->file = fopen(path, "r+");
    uint64_t last = UINT64_MAX;         /* before the first one */
    long end = h->file ? steps_end(h, step, &last) : -1;
    if (!h->file) {
        rt_error("%s: %s", path, strerror(errno));
    } else if (end >= 0 && (fseek(h->file, end, SEEK_SET) || ftruncate(fileno(h->file), end))) {
        rt_error("%s: %s", path, strerror(errno));
    } else if (end >= 0) {
        if (end == 0)
            rt_history_step_header(h, rates);
        if (last + 1 < step)
            rt_note("%s: has lost its rows of steps %" PRIu64 " to %" PRIu64, path, last + 1, step - 1);
        return 0;
    }
    if (h->file)
        fclose(h->file);
    h->file = NULL;
    return -1;
}

int rt_history_close(struct history *h)
{
    if (h->file && fclose(h->file) != 0 && !h->failed) {
        rt_error("%s: %s", h->path, strerror(errno));
        h->failed = true;
    }
    h->file = NULL;
    free(h->text);
    h->text = NULL;
    return h->failed ? -1 : 0;
}

void rt_history_epoch_header(struct history *h, const struct tally *t)
{
    size_t from = text_length(h);
    text_add(h, "epoch,lr");
    for (int i = 0; i < rt_tally_count(t); i++)
        text_add(h, ",%s", rt_tally_name(t, i));
    for (int i = 0; i < rt_tally_count(t); i++)
        text_add(h, ",val_%s", rt_tally_name(t, i));
    text_add(h, ",steps\n");
    row_write(h, from, times);
}

void rt_history_epoch(struct history *h, const struct history_row *r)
{
    size_t from = text_length(h);
    text_add(h, "%d,%.9g", r->epoch + 1, r->lr);
    for (int i = 0; i < rt_tally_count(r->train); i++)
        text_add(h, ",%.9g", rt_tally_value(r->train, i));
    for (int i = 0; i < rt_tally_count(r->val); i++)
        text_add(h, ",%.9g", rt_tally_value(r->val, i));
    text_add(h, ",%" PRIu64 "\n", r->steps);
    char seconds[TIME_LENGTH], images[TIME_LENGTH];
    snprintf(seconds, sizeof seconds, "%.3f", r->seconds);
    images[0] = '\0';            /* where no step of the epoch was done in this part of the run */
    if (r->images_per_second > 0.0)
        snprintf(images, sizeof images, "%.1f", r->images_per_second);
    row_write(h, from, (const char *const[TIMES]){ seconds, images });
}

void rt_history_step_header(struct history *h, bool rates)
{
    if (!h->file || h->failed)
        return;
    h->rates = rates;
    fprintf(h->file, "%s%s\n", heads[HISTORY_STEPS], rates ? ",lr" : "");
    row_end(h);
}

void rt_history_step(struct history *h, uint64_t step, double loss, double lr)
{
    if (!h->file || h->failed)
        return;
    /* all digits: a run's losses can be compared to the bit */
    fprintf(h->file, "%" PRIu64 ",%.17g", step, isnan(loss) ? NAN : loss);      /* without its sign */
    if (h->rates)
        fprintf(h->file, ",%.17g", lr);
    fputc('\n', h->file);
    row_end(h);
}
