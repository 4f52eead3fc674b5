/* data_csv.c - a table as samples: a record each, columns that are its numbers and columns that are its targets.
 *
 * Both files are read from their beginning to their end, once, into memory or, beyond what may be kept, a temporary
 * file.  Classes are whole numbers, or texts in the order of their bytes; which, the labels of all files say, so the
 * training file's are read for a test too.
 */
#define _GNU_SOURCE
#include "data/data.h"

#include <ctype.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/recipe.h"
#include "core/file_path.h"
#include "core/message.h"
#include "formats/csv.h"

enum { IGNORED = -1, SHOWN = 5, TEXT_ROOM = 40, PLACE_ROOM = 120 };

/* ---- columns as the recipe names them -------------------------------------------------------- */

/* 65, "species" or a list of such: the compiler writes it so (check_args.c). */
struct column_list {
    int count;
    struct column {
        char *name;             /* malloc'd; NULL: its number */
        long number;            /* from 1 */
    } *columns;
};

static void columns_free(struct column_list *l)
{
    for (int i = 0; i < l->count; i++)
        free(l->columns[i].name);
    free(l->columns);
    *l = (struct column_list){ 0 };
}

/* The text between quotes that begins at `at`, to `to`; behind it. */
static const char *name_read(const char *at, char *to)
{
    while (*at && *at != '"') {
        int c = (unsigned char)*at++;
        if (c == '\\' && isdigit((unsigned char)at[0]) && at[1] && at[2]) {
            c = (at[0] - '0') * 64 + (at[1] - '0') * 8 + (at[2] - '0');
            at += 3;
        } else if (c == '\\' && *at) {
            c = (unsigned char)*at++;
        }
        *to++ = (char)c;
    }
    *to = '\0';
    return *at ? at + 1 : at;
}

/* text NULL: none.  0, or -1 with a message. */
static int columns_read(struct column_list *l, const char *text)
{
    size_t most = text ? strlen(text) : 0;
    *l = (struct column_list){ .columns = calloc(most + 1, sizeof *l->columns) };
    bool enough = l->columns != NULL;
    for (const char *at = text; enough && at && *at;) {
        if (*at == '"') {
            struct column *c = &l->columns[l->count];
            enough = (c->name = malloc(strlen(at) + 1)) != NULL;
            if (enough)
                at = name_read(at + 1, c->name);
            l->count += enough;
        } else if (isdigit((unsigned char)*at)) {
            char *end;
            l->columns[l->count++].number = strtol(at, &end, 10);
            at = end;
        } else {
            at++;
        }
    }
    if (!enough)
        rt_error("no memory for the columns' names");
    return enough ? 0 : -1;
}

/* ---- a table --------------------------------------------------------------------------------- */

/* The different texts of the label column, for both files. */
struct labels_list {
    int count, room;
    struct label {
        char *text;             /* malloc'd */
        char *file;             /* malloc'd: where it is met first */
        int64_t line;
        uint16_t class;         /* once all are known */
    } *labels;
    int *order;                 /* (count) by the bytes of their texts */
};

struct table {
    const struct cnn_model *model;
    struct dataset *d;
    struct column_list labels, ignored;
    struct labels_list classes;
    bool header;
    bool alone;                 /* samples without targets: label columns need not be there, and are not read */
    /* of the file being read */
    struct csv_reader csv;
    struct split *s;            /* NULL: only its labels are looked at */
    int *roles;                 /* (columns) which number of a sample; IGNORED; below it: which label, TARGET(n) */
    char **names;               /* (columns) where there is a header */
    int columns;
    int64_t room;               /* records that there is place for */
    float *row;                 /* a sample of it */
};

#define TARGET(n) (-2 - (n))

/* "line 7, column 3 ('age')" */
static const char *place_text(const struct table *t, int column, char room[PLACE_ROOM])
{
    int at = snprintf(room, PLACE_ROOM, "line %lld, column %d", (long long)t->csv.record_line, column + 1);
    if (t->names)
        snprintf(room + at, PLACE_ROOM - (size_t)at, " ('%.60s')", t->names[column]);
    return room;
}

static int field_wrong(const struct table *t, int column, const char *what)
{
    char place[PLACE_ROOM], text[TEXT_ROOM];
    const struct csv_field *f = &t->csv.fields[column];
    snprintf(text, sizeof text, "%.*s%s", (int)(f->length < 32 ? f->length : 32), f->text, f->length > 32 ? "..." : "");
    rt_error("%s: %s: '%s' %s", t->csv.file.path, place_text(t, column, place), text, what);
    return -1;
}

static bool is_missing(const struct csv_field *f)
{
    static const char *const words[] = { "", "NA", "N/A", "NaN", "null", "none", "?" };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcasecmp(f->text, words[i]) == 0)
            return true;
    return false;
}

/* A decimal number, all of the text. */
static bool is_number(const char *text)
{
    const char *at = text + (*text == '+' || *text == '-');
    size_t whole = strspn(at, "0123456789"), part = 0;
    at += whole;
    if (*at == '.') {
        part = strspn(at + 1, "0123456789");
        at += 1 + part;
    }
    if (whole + part == 0)
        return false;
    if (*at == 'e' || *at == 'E') {
        at++;
        at += *at == '+' || *at == '-';
        size_t power = strspn(at, "0123456789");
        if (power == 0)
            return false;
        at += power;
    }
    return *at == '\0';
}

static int number_read(const struct table *t, int column, double *number)
{
    const struct csv_field *f = &t->csv.fields[column];
    if (is_missing(f)) {
        char place[PLACE_ROOM];
        rt_error("%s: %s: the value is missing%s%s%s", t->csv.file.path, place_text(t, column, place),
                 f->length ? " ('" : "", f->text, f->length ? "')" : "");
        return -1;
    }
    if (!is_number(f->text)) {
        field_wrong(t, column, "is no number");
        if (!t->header && t->csv.record_line == 1)
            rt_note("where the first line names the columns, write 'header=on' behind the file in 'data'");
        return -1;
    }
    *number = strtod(f->text, NULL);
    if (!(fabs(*number) <= (double)FLT_MAX))
        return field_wrong(t, column, "is more than a float can hold");
    return 0;
}

/* ---- columns of a file ----------------------------------------------------------------------- */

/* The column's place, from 0; -1 with a message. */
static int column_find(const struct table *t, const struct column *c)
{
    int found = -1;
    if (!c->name) {
        if (c->number >= 1 && c->number <= t->columns)
            return (int)c->number - 1;
        rt_error("%s: line %lld: there is no column %ld: the file has %d", t->csv.file.path,
                 (long long)t->csv.record_line, c->number, t->columns);
        return -1;
    }
    for (int i = 0; i < t->columns && t->names; i++)
        if (strcmp(t->names[i], c->name) == 0) {
            if (found >= 0) {
                rt_error("%s: columns %d and %d are both called '%s'", t->csv.file.path, found + 1, i + 1, c->name);
                return -1;
            }
            found = i;
        }
    if (found < 0) {
        char *list = t->names ? rt_names_text((const char *const *)t->names, t->columns, SHOWN) : NULL;
        rt_error("%s: no column is called '%s'; there are %s", t->csv.file.path, c->name, list ? list : "no names");
        free(list);
    }
    return found;
}

static int column_mark(struct table *t, const struct column *c, int role)
{
    int at = column_find(t, c);
    if (at < 0)
        return -1;
    if (t->roles[at] != 0) {
        rt_error("%s: column %d is named twice among 'label' and 'ignore'", t->csv.file.path, at + 1);
        return -1;
    }
    t->roles[at] = role;
    return 0;
}

static int columns_mark(struct table *t)
{
    for (int i = 0; i < t->labels.count; i++)
        if (column_mark(t, &t->labels.columns[i], TARGET(i)))
            return -1;
    for (int i = 0; i < t->ignored.count; i++)
        if (column_mark(t, &t->ignored.columns[i], IGNORED))
            return -1;
    return 0;
}

static bool is_called(const struct table *t, const char *name)
{
    for (int i = 0; i < t->columns && t->names; i++)
        if (strcmp(t->names[i], name) == 0)
            return true;
    return false;
}

/* All of a list that are named and there.  How many are numbered, *numbered grows by. */
static int names_skip(struct table *t, const struct column_list *l, int *numbered)
{
    for (int i = 0; i < l->count; i++) {
        const struct column *c = &l->columns[i];
        *numbered += !c->name;
        if (c->name && is_called(t, c->name) && column_mark(t, c, IGNORED))
            return -1;
    }
    return 0;
}

/* An ignored column's number where the label columns before it are not there. */
static struct column moved(const struct table *t, const struct column *c)
{
    struct column to = *c;
    for (int i = 0; i < t->labels.count; i++)
        to.number -= !t->labels.columns[i].name && t->labels.columns[i].number < c->number;
    return to;
}

/* Which columns are no numbers of a sample, where labels may be missing: by their names those that are there; by their
 * numbers as how many columns there are tells. */
static int columns_skip(struct table *t, int64_t wanted)
{
    int labels = 0, ignored = 0, there = 0;
    if (names_skip(t, &t->labels, &labels) || names_skip(t, &t->ignored, &ignored))
        return -1;
    int64_t rest = t->columns - wanted;
    for (int i = 0; i < t->columns; i++)
        there += t->roles[i] == IGNORED;
    rest -= there;
    if (there + labels + ignored < t->labels.count + t->ignored.count)
        return 0;               /* a named one is not: numbers say nothing then */
    bool all = rest == labels + ignored;
    for (int i = 0; all && i < t->labels.count; i++)
        if (!t->labels.columns[i].name && column_mark(t, &t->labels.columns[i], IGNORED))
            return -1;
    for (int i = 0; (all || rest == ignored) && i < t->ignored.count; i++) {
        struct column c = all ? t->ignored.columns[i] : moved(t, &t->ignored.columns[i]);
        if (!c.name && column_mark(t, &c, IGNORED))
            return -1;
    }
    return 0;
}

/* What each column is, from the first record's number of fields. */
static int roles_set(struct table *t)
{
    const struct cnn_model *m = t->model;
    int64_t numbers = 0, wanted = (int64_t)m->in_channels * m->in_height * m->in_width;
    t->roles = calloc((size_t)t->columns, sizeof *t->roles);
    if (!t->roles) {
        rt_error("%s: no memory for %d columns", t->csv.file.path, t->columns);
        return -1;
    }
    if (t->alone ? columns_skip(t, wanted) : columns_mark(t))
        return -1;
    for (int i = 0; i < t->columns; i++)
        if (t->roles[i] == 0)
            t->roles[i] = (int)numbers++;
    if (numbers == wanted)
        return 0;
    rt_error("%s: line %lld: %d columns, %lld of them numbers of a sample; the network's input of %dx%dx%d takes %lld",
             t->csv.file.path, (long long)t->csv.record_line, t->columns, (long long)numbers, m->in_channels,
                 m->in_height,
             m->in_width, (long long)wanted);
    return -1;
}

static int header_keep(struct table *t)
{
    t->names = calloc((size_t)t->columns, sizeof *t->names);
    bool enough = t->names != NULL;
    for (int i = 0; enough && i < t->columns; i++)
        enough = (t->names[i] = strdup(t->csv.fields[i].text)) != NULL;
    if (!enough)
        rt_error("%s: no memory for the columns' names", t->csv.file.path);
    bool numbers = enough && t->alone;
    for (int i = 0; numbers && i < t->columns; i++)
        numbers = is_number(t->names[i]);
    if (numbers)
        rt_note("%s: line 1 is taken for the columns' names, as the recipe's 'header=on' says", t->csv.file.path);
    return enough ? 0 : -1;
}

/* ---- classes --------------------------------------------------------------------------------- */

/* A whole number, as labels are written that are no text. */
static bool is_whole(const char *text)
{
    return is_number(text) && strtod(text, NULL) == floor(strtod(text, NULL));
}

/* The label's number in the list, which grows by it; -1 with a message.  1.0 and +1 are 1. */
static int label_number(struct table *t, int column)
{
    struct labels_list *l = &t->classes;
    const char *text = t->csv.fields[column].text;
    char plain[TEXT_ROOM];
    if (strpbrk(text, ".eE+") && is_whole(text) && fabs(strtod(text, NULL)) < 1e15) {
        snprintf(plain, sizeof plain, "%.0f", strtod(text, NULL));
        text = plain;
    }
    int low = 0, high = l->count;
    while (low < high) {
        int middle = (low + high) / 2, side = strcmp(l->labels[l->order[middle]].text, text);
        if (side == 0)
            return l->order[middle];
        if (side < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (l->count == t->d->target.size) {
        char what[TEXT_ROOM + 100];
        snprintf(what, sizeof what, "is different label number %d: the network tells %d classes apart", l->count + 1,
                 t->d->target.size);
        return field_wrong(t, column, what);
    }
    if (l->count == l->room) {
        int room = l->room ? 2 * l->room : 64;
        struct label *labels = realloc(l->labels, (size_t)room * sizeof *labels);
        int *order = labels ? realloc(l->order, (size_t)room * sizeof *order) : NULL;
        l->labels = labels ? labels : l->labels;
        l->order = order ? order : l->order;
        l->room = order ? room : l->room;
    }
    struct label new = { .text = strdup(text), .file = strdup(t->csv.file.path), .line = t->csv.record_line };
    if (l->count == l->room || !new.text || !new.file) {
        rt_error("%s: no memory for its labels", t->csv.file.path);
        free(new.text);
        free(new.file);
        return -1;
    }
    memmove(&l->order[low + 1], &l->order[low], (size_t)(l->count - low) * sizeof *l->order);
    l->order[low] = l->count;
    l->labels[l->count] = new;
    return l->count++;
}

static int whole_classes(struct table *t)
{
    int first = (int)rt_setting_number(&t->model->data.source, "first_label"), size = t->d->target.size;
    for (int i = 0; i < t->classes.count; i++) {
        struct label *k = &t->classes.labels[i];
        double number = strtod(k->text, NULL) - first;
        if (!(number >= 0 && number < size)) {
            rt_error("%s: line %lld: label %s, expected %d to %d", k->file, (long long)k->line, k->text, first,
                     first + size - 1);
            rt_note("'first_label' behind the file in 'data' says what the first class is called");
            return -1;
        }
        k->class = (uint16_t)number;
    }
    return 0;
}

/* In the order of bytes, which are the classes' names. */
static int text_classes(struct table *t)
{
    struct labels_list *l = &t->classes;
    int size = t->d->target.size;
    char **names = calloc((size_t)size + 1, sizeof *names);
    bool enough = names != NULL;
    for (int i = 0; enough && i < l->count; i++) {
        l->labels[l->order[i]].class = (uint16_t)i;
        enough = (names[i] = strdup(l->labels[l->order[i]].text)) != NULL;
    }
    if (enough && l->count == size) {
        t->d->class_names = names;
        return 0;
    }
    char *list = enough ? rt_names_text((const char *const *)names, l->count, SHOWN) : NULL;
    rt_error("%s: %d different labels, the network tells %d classes apart: %s", l->labels[0].file, l->count, size,
             list ? list : "");
    free(list);
    for (int i = 0; names && i < size; i++)
        free(names[i]);
    free(names);
    return -1;
}

static int classes_settle(struct table *t)
{
    bool whole = true;
    for (int i = 0; i < t->classes.count; i++)
        whole = whole && is_whole(t->classes.labels[i].text);
    if (t->classes.count == 0)
        return 0;
    if (whole ? whole_classes(t) : text_classes(t))
        return -1;
    struct split *const splits[] = { &t->d->train, &t->d->val };
    for (int k = 0; k < 2; k++)
        for (int64_t i = 0; i < splits[k]->count; i++)
            splits[k]->labels[i] = t->classes.labels[splits[k]->labels[i]].class;
    return 0;
}

/* ---- records --------------------------------------------------------------------------------- */

static int room_make(struct table *t)
{
    struct split *s = t->s;
    if (s->count < t->room)
        return 0;
    int64_t room = t->room ? t->room + t->room / 2 : 256;
    if (rt_split_grow(t->d, s, t->room, room)) {
        rt_note("%s: that was at line %lld", t->csv.file.path, (long long)t->csv.record_line);
        return -1;
    }
    t->room = room;
    return 0;
}

/* Of several columns for classes one is 1, the others 0.  class -1: none yet. */
static int one_hot_read(const struct table *t, int column, int label, int *class)
{
    double number;
    if (number_read(t, column, &number))
        return -1;
    if (number != 0 && number != 1)
        return field_wrong(t, column, "is neither 0 nor 1: of several label columns one is the sample's class");
    if (number == 1 && *class >= 0)
        return field_wrong(t, column, "is the second 1: of several label columns one is the sample's class");
    if (number == 1)
        *class = label;
    return 0;
}

static int target_read(struct table *t, int column, int *class)
{
    const struct cnn_target *target = &t->d->target;
    int label = TARGET(t->roles[column]);
    double number;
    if (target->kind == CNN_TARGET_INPUT)
        return 0;
    if (target->kind == CNN_TARGET_CLASS && t->labels.count > 1)
        return one_hot_read(t, column, label, class);
    if (target->kind == CNN_TARGET_CLASS) {
        if (is_missing(&t->csv.fields[column]) && !t->csv.fields[column].quoted)
            return number_read(t, column, &number);
        *class = label_number(t, column);
        return *class < 0 ? -1 : 0;
    }
    if (number_read(t, column, &number))
        return -1;
    if (target->kind == CNN_TARGET_LABELS && number != 0 && number != 1)
        return field_wrong(t, column, "is neither 0 nor 1");
    if (t->s)
        t->s->vectors[t->s->count * target->size + label] = (float)number;
    return 0;
}

static int record_read(struct table *t)
{
    struct split *s = t->s;
    size_t each = rt_sample_elements(t->model), channels = (size_t)t->model->in_channels, pixels = each / channels;
    int class = -1;
    if (s && room_make(t))
        return -1;
    for (int i = 0; i < t->columns; i++) {
        double number;
        if (t->roles[i] <= TARGET(0) && target_read(t, i, &class))
            return -1;
        if (t->roles[i] < 0 || !s)
            continue;
        if (number_read(t, i, &number))
            return -1;
        size_t e = (size_t)t->roles[i];         /* channels come first in the file, last in memory */
        t->row[e % pixels * channels + e / pixels] = (float)number;
    }
    if (!s)
        return 0;
    if (rt_split_put(t->d, s, s->count, t->row))
        return -1;
    if (t->d->target.kind == CNN_TARGET_CLASS && class < 0) {
        rt_error("%s: line %lld: of the label columns none is 1", t->csv.file.path, (long long)t->csv.record_line);
        return -1;
    }
    if (t->d->target.kind == CNN_TARGET_CLASS)
        s->labels[s->count] = (uint16_t)class;
    s->count++;
    return 0;
}

static int fields_wrong(const struct table *t)
{
    rt_error("%s: line %lld has %d column%s, the first %d", t->csv.file.path, (long long)t->csv.record_line,
             t->csv.fields_count, t->csv.fields_count == 1 ? "" : "s", t->columns);
    return -1;
}

static int records_read(struct table *t)
{
    int status = rt_csv_next(&t->csv);
    t->columns = t->csv.fields_count;
    if (status == 1 && t->header && header_keep(t))
        return -1;
    if (status == 1 && roles_set(t))
        return -1;
    if (status == 1 && t->header)
        status = rt_csv_next(&t->csv);
    if (status == 0)
        rt_error("%s: %s", t->csv.file.path, t->columns ? "holds no records behind its header" : "is empty");
    if (status < 1)
        return -1;
    for (; status == 1; status = rt_csv_next(&t->csv)) {
        if (t->csv.fields_count != t->columns)
            return fields_wrong(t);
        if (t->s && t->s->count == UINT32_MAX) {
            rt_error("%s: more than %u records", t->csv.file.path, UINT32_MAX);
            return -1;
        }
        if (record_read(t))
            return -1;
    }
    return status;
}

static void file_forget(struct table *t)
{
    for (int i = 0; t->names && i < t->columns; i++)
        free(t->names[i]);
    free(t->names);
    free(t->roles);
    t->names = NULL;
    t->roles = NULL;
    t->columns = 0;
    t->room = 0;
    rt_csv_close(&t->csv);
}

/* path NULL: a message is out. */
static int file_read(struct table *t, struct split *s, const char *path)
{
    const char *separator = rt_setting_text(&t->model->data.source, "separator");
    t->s = s;
    int status = path ? rt_csv_open(&t->csv, path, *separator) : -1;
    if (status == 0)
        status = records_read(t);
    if (status == 0 && s)
        rt_split_end(t->d, s, t->room);
    file_forget(t);
    return status;
}

static int named_read(struct table *t, struct split *s, const char *dir, const char *name)
{
    char *path = rt_data_file(name, dir);
    int status = file_read(t, s, path);
    free(path);
    return status;
}

/* As many label columns as there are targets. */
static int labels_count_check(const struct table *t)
{
    const struct cnn_target *target = &t->d->target;
    bool classes = target->kind == CNN_TARGET_CLASS;
    if (target->kind == CNN_TARGET_INPUT || t->labels.count == target->size || (classes && t->labels.count == 1))
        return 0;
    rt_error("csv: %d label columns, the network learns %d %s%s", t->labels.count, target->size,
             classes ? "classes" : target->kind == CNN_TARGET_LABELS ? "labels" : "numbers",
             classes ? ": one column of labels, or one of 0 and 1 for each class" : "");
    return -1;
}

static int files_read(struct table *t, const char *dir)
{
    const struct cnn_clause *source = &t->model->data.source;
    const char *file = rt_setting_text(source, "file"), *test = rt_setting_text(source, "test");
    bool train = !t->d->use.test_only || !test, classes = t->d->target.kind == CNN_TARGET_CLASS && t->labels.count == 1;
    if (labels_count_check(t))
        return -1;
    if ((train || classes) && named_read(t, train ? &t->d->train : NULL, dir, file))
        return -1;
    if (test && named_read(t, &t->d->val, dir, test))
        return -1;
    return classes ? classes_settle(t) : 0;
}

static void classes_free(struct labels_list *l)
{
    for (int i = 0; i < l->count; i++) {
        free(l->labels[i].text);
        free(l->labels[i].file);
    }
    free(l->labels);
    free(l->order);
}

/* 0, or -1 with a message; table_close() frees it in either case. */
static int table_open(struct table *t, struct dataset *d, const struct cnn_model *m)
{
    const struct cnn_clause *source = &m->data.source;
    *t = (struct table){ .model = m, .d = d, .header = rt_setting_number(source, "header") != 0 };
    d->kind = CNN_SAMPLE_FLOATS;
    d->channels = m->in_channels;
    d->height = m->in_height;
    d->width = m->in_width;
    t->row = calloc(rt_sample_elements(m), sizeof *t->row);
    if (!t->row) {
        rt_error("no memory for a sample");
        return -1;
    }
    return columns_read(&t->labels, rt_setting_text(source, "label"))
                   || columns_read(&t->ignored, rt_setting_text(source, "ignore"))
               ? -1
               : 0;
}

static void table_close(struct table *t)
{
    free(t->row);
    columns_free(&t->labels);
    columns_free(&t->ignored);
    classes_free(&t->classes);
}

static int read_all(struct dataset *d, const char *dir, const struct cnn_model *m)
{
    struct table t;
    d->target = m->train.target;
    int status = table_open(&t, d, m) || files_read(&t, dir) ? -1 : 0;
    table_close(&t);
    return status;
}

static int read_file(struct dataset *d, const char *path, const struct cnn_model *m)
{
    struct table t;
    int status = table_open(&t, d, m);
    t.alone = true;
    if (status == 0)
        status = file_read(&t, &d->val, path);
    table_close(&t);
    return status;
}

static void list(const struct dataset *d, const char *dir, const struct cnn_model *m,
                 void (*add)(void *arg, const char *path), void *arg)
{
    static const char *const keys[] = { "file", "test" };
    (void)d;
    rt_data_files_list(m, keys, 2, dir, add, arg);
}

const struct data_source rt_data_csv = { .name = "csv", .read = read_all, .read_file = read_file, .list = list,
                                         .finds = true };
