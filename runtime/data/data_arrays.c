/* data_arrays.c - samples and targets as arrays of numpy's: a file each, or several in an archive.
 *
 * An array's first axis counts samples.  Samples stay in their file where any can be found there at once, and are
 * turned to (height, width, channels) and to bytes or floats when they are read; numbers that are not finite are looked
 * for when the file is opened.  Arrays in Fortran's order, of which a sample lies all over the file, are read into
 * memory, and those that an archive has deflated are unpacked: to memory, or as far as that may not be used to a
 * temporary file.
 */
#include "data/data.h"

#include <float.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/pixel_steps.h"
#include "common/recipe.h"
#include "core/message.h"
#include "core/team.h"
#include "formats/array_file.h"

enum { SETS = 2, BLOCK = 1 << 20, PIECE = 512, TEXT_ROOM = 160 };

/* What a sample of a file is. */
struct sample_form {
    int channels, height, width;
    bool planes;                /* channels come first in the file, and there are several of several pixels */
};

/* The arrays of samples: they are the dataset's store, also where all is in memory. */
struct array_store {
    struct sample_store store;  /* first: the dataset's pointer is the arrays' */
    enum cnn_sample_kind kind;
    struct array_file x[SETS];  /* for training, for validation or the test */
    struct sample_form form[SETS];      /* of one size */
    bool there[SETS];
    int64_t first[SETS];        /* numbers of their first samples in the store */
};

static int64_t sample_count(const struct sample_form *f)
{
    return (int64_t)f->channels * f->height * f->width;
}

/* ---- one sample ------------------------------------------------------------------------------ */

/* The places of a sample's numbers in memory, in the order of its file. */
struct walk {
    int64_t at, pixel, channel;
};

static inline int64_t walk_next(struct walk *w, const struct sample_form *f)
{
    int64_t at = w->at;
    if (!f->planes)
        w->at++;
    else if (++w->pixel < (int64_t)f->height * f->width)
        w->at += f->channels;
    else
        *w = (struct walk){ w->channel + 1, 0, w->channel + 1 };
    return at;
}

/* That of number e. */
static int64_t place_of(const struct sample_form *f, int64_t e)
{
    int64_t pixels = (int64_t)f->height * f->width;
    return f->planes ? e % pixels * f->channels + e / pixels : e;
}

static bool is_float(double x)
{
    return fabs(x) <= (double)FLT_MAX;
}

/* "[17, 0, 3]": element e of sample i. */
static const char *element_text(const struct npy_header *h, int64_t i, int64_t e, char text[TEXT_ROOM])
{
    int64_t rest = 1;
    for (int k = 1; k < h->rank; k++)
        rest *= h->shape[k];
    int at = snprintf(text, TEXT_ROOM, "[%lld", (long long)i);
    for (int k = 1; k < h->rank; k++) {
        rest /= h->shape[k];
        at += snprintf(text + at, TEXT_ROOM - (size_t)at, ", %lld", (long long)(e / rest));
        e %= rest;
    }
    snprintf(text + at, TEXT_ROOM - (size_t)at, "]");
    return text;
}

static int number_wrong(const struct array_file *x, int64_t i, int64_t e, double number)
{
    char text[TEXT_ROOM];
    rt_error("%s: element %s is %g: %s", x->name, element_text(&x->header, i, e, text), number,
             isfinite(number) ? "more than a float can hold" : "a sample's numbers have to be finite");
    return -1;
}

/* The numbers of sample i, as they lie in the file, to floats. */
static int floats_make(const struct array_file *x, const struct sample_form *f, int64_t i, const void *raw, float *to)
{
    double piece[PIECE];
    int64_t count = sample_count(f);
    struct walk walk = { 0 };
    for (int64_t done = 0; done < count; done += PIECE) {
        int64_t n = count - done < PIECE ? count - done : PIECE;
        rt_npy_numbers(&x->header, (const char *)raw + done * x->header.element_size, n, piece);
        for (int64_t k = 0; k < n; k++) {
            if (!is_float(piece[k]))
                return number_wrong(x, i, done + k, piece[k]);
            to[walk_next(&walk, f)] = (float)piece[k];
        }
    }
    return 0;
}

/* Sample i from its bytes in the file to what a batch takes of it. */
static int sample_make(const struct array_store *s, int set, int64_t i, const void *raw, void *to)
{
    const struct sample_form *form = &s->form[set];
    struct walk walk = { 0 };
    if (s->kind == CNN_SAMPLE_FLOATS)
        return floats_make(&s->x[set], form, i, raw, to);
    for (int64_t e = 0; e < sample_count(form); e++)
        ((uint8_t *)to)[walk_next(&walk, form)] = ((const uint8_t *)raw)[e];
    return 0;
}

static size_t sample_bytes(const struct array_store *s, int set)
{
    return (size_t)sample_count(&s->form[set]) * (size_t)s->x[set].header.element_size;
}

static int sample_read(const struct sample_store *store, int64_t number, void *to)
{
    const struct array_store *s = (const struct array_store *)store;
    int set = s->there[1] && number >= s->first[1];
    const struct array_file *x = &s->x[set];
    int64_t i = number - s->first[set];
    size_t bytes = sample_bytes(s, set);
    bool as_it_is = s->kind == CNN_SAMPLE_BYTES && !s->form[set].planes;
    if (as_it_is)
        return rt_array_at(x, i * (int64_t)bytes, to, bytes);
    char *raw = malloc(bytes + 1);
    int status = -1;
    if (!raw)
        rt_error("%s: no memory for sample %lld", x->name, (long long)i);
    else if (rt_array_at(x, i * (int64_t)bytes, raw, bytes) == 0)
        status = sample_make(s, set, i, raw, to);
    free(raw);
    return status;
}

static void store_close(struct sample_store *store)
{
    struct array_store *s = (struct array_store *)store;
    for (int i = 0; i < SETS; i++)
        rt_array_close(&s->x[i]);
    free(s);
}

/* ---- what samples are ------------------------------------------------------------------------ */

static int shape_wrong(const struct array_file *x, const struct cnn_model *m)
{
    rt_error("%s: %s does not fit the network's input of %dx%dx%d (channels x height x width): expected (samples, %d, %d, "
             "%d), (samples, %d, %d, %d)%s or (samples, %lld)", x->name, rt_npy_text(&x->header).text, m->in_channels,
             m->in_height, m->in_width, m->in_channels, m->in_height, m->in_width, m->in_height, m->in_width,
             m->in_channels, m->in_channels == 1 ? ", (samples, height, width)" : "",
             (long long)m->in_channels * m->in_height * m->in_width);
    return -1;
}

/* Four axes, channels first or last: what the network's input is, unless `layout` says it. */
static int picture_form(const struct array_file *x, const struct cnn_model *m, bool resizes, struct sample_form *f)
{
    const char *layout = rt_setting_text(&m->data.source, "layout");
    const int64_t *shape = x->header.shape;
    bool first = shape[1] == m->in_channels
                 && (resizes || (shape[2] == m->in_height && shape[3] == m->in_width));
    bool last = shape[3] == m->in_channels && (resizes || (shape[1] == m->in_height && shape[2] == m->in_width));
    if (layout)
        first = first && strcmp(layout, "chw") == 0, last = last && strcmp(layout, "hwc") == 0;
    if (!first && !last)
        return shape_wrong(x, m);
    if (first && last && m->in_channels > 1) {
        rt_error("%s: %s may be channels first or last: 'layout=chw' or 'layout=hwc' behind it in 'data' says which",
                 x->name, rt_npy_text(&x->header).text);
        return -1;
    }
    int64_t height = first ? shape[2] : shape[1], width = first ? shape[3] : shape[2];
    *f = (struct sample_form){ m->in_channels, (int)height, (int)width,
                               first && m->in_channels > 1 && height * width > 1 };
    return 0;
}

/* Rows of numbers, which the network's input is made of. */
static int row_form(const struct array_file *x, const struct cnn_model *m, struct sample_form *f)
{
    const char *layout = rt_setting_text(&m->data.source, "layout");
    int64_t count = x->header.rank == 1 ? 1 : x->header.shape[1], pixels = (int64_t)m->in_height * m->in_width;
    if (count != pixels * m->in_channels)
        return shape_wrong(x, m);
    if (m->in_channels > 1 && pixels > 1 && !layout) {
        rt_error("%s: %s may be rows of channels first or last: 'layout=chw' or 'layout=hwc' behind it in 'data' says "
                 "which", x->name, rt_npy_text(&x->header).text);
        return -1;
    }
    *f = (struct sample_form){ m->in_channels, m->in_height, m->in_width,
                               m->in_channels > 1 && pixels > 1 && strcmp(layout, "chw") == 0 };
    return 0;
}

static int form_find(const struct array_file *x, const struct cnn_model *m, struct sample_form *f)
{
    const struct npy_header *h = &x->header;
    bool resizes = rt_steps_fit(&m->data).fits;
    if (h->rank == 0 || h->shape[0] < 1) {
        rt_error("%s: %s holds no samples", x->name, rt_npy_text(h).text);
        return -1;
    }
    if (h->shape[0] > UINT32_MAX) {
        rt_error("%s: %s: more than %u samples", x->name, rt_npy_text(h).text, UINT32_MAX);
        return -1;
    }
    for (int i = 1; i < h->rank; i++)
        if (h->shape[i] < 1 || h->shape[i] > INT32_MAX)
            return shape_wrong(x, m);
    if (h->rank == 4)
        return picture_form(x, m, resizes, f);
    bool sized = h->rank == 3 && (resizes || (h->shape[1] == m->in_height && h->shape[2] == m->in_width));
    if (sized && m->in_channels == 1) {
        *f = (struct sample_form){ 1, (int)h->shape[1], (int)h->shape[2], false };
        return 0;
    }
    if (h->rank <= 2 && !resizes)
        return row_form(x, m, f);
    return shape_wrong(x, m);
}

/* ---- samples: where they lie ----------------------------------------------------------------- */

/* A search for numbers that are not finite, chunk by chunk. */
struct scan {
    const struct array_file *x;
    int64_t count, chunk;       /* numbers in all, in a chunk */
    _Atomic int64_t worst;      /* the first wrong number; count: none */
    atomic_bool failed;         /* a message is out */
};

static void chunk_scan(void *arg, int64_t at)
{
    struct scan *s = arg;
    const struct npy_header *h = &s->x->header;
    int64_t first = at * s->chunk, count = s->count - first < s->chunk ? s->count - first : s->chunk;
    double piece[PIECE];
    if (s->failed || s->worst < first)
        return;
    char *raw = malloc((size_t)count * (size_t)h->element_size);
    if (!raw)
        rt_error("%s: no memory to read it", s->x->name);
    if (!raw || rt_array_at(s->x, first * h->element_size, raw, (size_t)count * (size_t)h->element_size))
        s->failed = true;
    for (int64_t i = 0; !s->failed && i < count; i += PIECE) {
        int64_t n = count - i < PIECE ? count - i : PIECE;
        rt_npy_numbers(h, raw + i * h->element_size, n, piece);
        for (int64_t k = 0; k < n; k++) {
            int64_t seen = s->worst;
            if (is_float(piece[k]))
                continue;
            while (first + i + k < seen && !atomic_compare_exchange_weak(&s->worst, &seen, first + i + k))
                ;
            break;
        }
    }
    free(raw);
}

static int numbers_check(const struct dataset *d, const struct array_file *x, const struct sample_form *f)
{
    const struct npy_header *h = &x->header;
    if ((h->type != NPY_F16 && h->type != NPY_F32 && h->type != NPY_F64) || d->use.looked_at)
        return 0;
    struct scan s = { .x = x, .count = h->count, .chunk = BLOCK / h->element_size };
    s.worst = s.count;
    rt_each(d->use.threads, (s.count + s.chunk - 1) / s.chunk, chunk_scan, &s);
    if (s.failed)
        return -1;
    if (s.worst == s.count)
        return 0;
    char raw[sizeof(double)];
    double number;
    int64_t each = sample_count(f), worst = s.worst;
    if (rt_array_at(x, worst * h->element_size, raw, (size_t)h->element_size))
        return -1;
    rt_npy_numbers(h, raw, 1, &number);
    return number_wrong(x, worst / each, worst % each, number);
}

static int samples_store(struct dataset *d, struct split *s, const struct array_store *store, int set)
{
    const struct array_file *x = &store->x[set];
    if (numbers_check(d, x, &store->form[set]) || rt_split_allocate_stored(d, s, x->header.shape[0]))
        return -1;
    for (int64_t i = 0; i < s->count; i++)
        s->numbers[i] = (uint32_t)(store->first[set] + i);
    return 0;
}

/* Samples that cannot be found at once: one after the other, to where they can. */
static int samples_unpack(struct dataset *d, struct split *s, struct array_store *store, int set)
{
    struct array_file *x = &store->x[set];
    size_t bytes = sample_bytes(store, set);
    if (rt_split_begin(d, s, x->header.shape[0]))
        return -1;
    char *raw = malloc(bytes + 1);
    float *made = malloc((size_t)sample_count(&store->form[set]) * sizeof *made);
    int status = 0;
    if (!raw || !made) {
        rt_error("%s: no memory to unpack it", x->name);
        status = -1;
    }
    for (int64_t i = 0; i < s->count && status == 0; i++)
        status = rt_array_next(x, raw, bytes) || sample_make(store, set, i, raw, made) || rt_split_put(d, s, i, made)
                     ? -1 : 0;
    free(made);
    free(raw);
    return status;
}

/* Where the number comes that is e-th of each sample in Fortran's order. */
static int64_t fortran_place(const struct npy_header *h, const struct sample_form *f, int64_t e)
{
    int64_t at = 0, rest = e;
    int64_t index[TENSOR_RANK_MAX] = { 0 };
    for (int k = 1; k < h->rank; k++) {
        index[k] = rest % h->shape[k];
        rest /= h->shape[k];
    }
    for (int k = 1; k < h->rank; k++)
        at = at * h->shape[k] + index[k];
    return place_of(f, at);
}

/* The e-th numbers of all samples, a run in the file, each to its sample. */
static int run_read(struct split *s, struct array_file *x, const struct sample_form *f, int64_t e, char *raw,
                    double *numbers)
{
    const struct npy_header *h = &x->header;
    int64_t each = sample_count(f), place = fortran_place(h, f, e);
    for (int64_t first = 0; first < s->count; first += PIECE) {
        int64_t n = s->count - first < PIECE ? s->count - first : PIECE;
        if (rt_array_next(x, raw, (size_t)n * (size_t)h->element_size))
            return -1;
        rt_npy_numbers(h, raw, n, numbers);
        for (int64_t i = 0; i < n; i++) {
            if (s->kind == CNN_SAMPLE_BYTES)
                s->pixels[(first + i) * each + place] = (uint8_t)numbers[i];
            else if (is_float(numbers[i]))
                s->values[(first + i) * each + place] = (float)numbers[i];
            else
                return number_wrong(x, first + i, e, numbers[i]);
        }
    }
    return 0;
}

static int samples_turn(struct dataset *d, struct split *s, struct array_store *store, int set)
{
    struct array_file *x = &store->x[set];
    const struct sample_form *form = &store->form[set];
    double numbers[PIECE];
    char raw[PIECE * sizeof(double)];
    if (rt_split_allocate(d, s, x->header.shape[0]))
        return -1;
    for (int64_t e = 0; e < sample_count(form); e++)
        if (run_read(s, x, form, e, raw, numbers))
            return -1;
    return 0;
}

/* ---- targets --------------------------------------------------------------------------------- */

struct targets {
    const struct dataset *d;
    struct split *s;
    const struct array_file *y;
    int64_t width;              /* numbers a sample */
    int first_label;
};

enum { NO_LABEL = UINT16_MAX };

static int target_wrong(const struct targets *t, int64_t i, int64_t k, double number, const char *expected)
{
    char text[TEXT_ROOM];
    rt_error("%s: element %s is %.10g, expected %s", t->y->name, element_text(&t->y->header, i, k, text), number,
             expected);
    return -1;
}

static int class_put(const struct targets *t, int64_t i, double number)
{
    char expected[64];
    int last = t->first_label + t->d->target.size - 1;
    if (number >= t->first_label && number <= last && number == floor(number)) {
        t->s->labels[i] = (uint16_t)((int)number - t->first_label);
        return 0;
    }
    snprintf(expected, sizeof expected, "a class from %d to %d", t->first_label, last);
    return target_wrong(t, i, 0, number, expected);
}

/* One of the sample's row of 0 and 1. */
static int one_hot_put(const struct targets *t, int64_t i, int64_t k, double number)
{
    if (number == 0)
        return 0;
    if (number != 1)
        return target_wrong(t, i, k, number, "0 or 1: a row is a class where one of its numbers is 1");
    if (t->s->labels[i] != NO_LABEL)
        return target_wrong(t, i, k, number, "0: another class of the sample is 1 already");
    t->s->labels[i] = (uint16_t)k;
    return 0;
}

static int target_put(const struct targets *t, int64_t i, int64_t k, double number)
{
    switch (t->d->target.kind) {
    case CNN_TARGET_CLASS:
        return t->width == 1 ? class_put(t, i, number) : one_hot_put(t, i, k, number);
    case CNN_TARGET_LABELS:
        if (number != 0 && number != 1)
            return target_wrong(t, i, k, number, "0 or 1");
        break;
    case CNN_TARGET_VECTOR:
        if (!is_float(number))
            return target_wrong(t, i, k, number, "a finite number");
        break;
    case CNN_TARGET_INPUT:
        return 0;
    }
    t->s->vectors[i * t->width + k] = (float)number;
    return 0;
}

static int targets_shape(struct targets *t, const struct array_file *x)
{
    static const char *const what[] = { [CNN_TARGET_CLASS] = "classes", [CNN_TARGET_VECTOR] = "numbers a sample",
                                        [CNN_TARGET_LABELS] = "labels" };
    const struct npy_header *h = &t->y->header;
    const struct cnn_target *target = &t->d->target;
    t->width = h->rank == 2 ? h->shape[1] : 1;
    if (target->kind == CNN_TARGET_CLASS && target->size >= NO_LABEL) {
        rt_error("%s: %d classes; at most %d can be told apart", t->y->name, target->size, NO_LABEL - 1);
        return -1;
    }
    if (h->rank >= 1 && h->shape[0] != t->s->count) {
        rt_error("%s holds %lld samples, %s the targets of %lld", x->name, (long long)t->s->count, t->y->name,
                 (long long)h->shape[0]);
        return -1;
    }
    bool fits = t->width == target->size || (t->width == 1 && target->kind == CNN_TARGET_CLASS);
    if ((h->rank == 1 || h->rank == 2) && fits)
        return 0;
    rt_error("%s: %s: expected (%lld,%s%d) for the network's %d %s%s", t->y->name, rt_npy_text(h).text,
             (long long)t->s->count, target->size == 1 && target->kind != CNN_TARGET_CLASS ? ") or (samples, " : " ",
             target->size, target->size, what[target->kind],
             target->kind == CNN_TARGET_CLASS ? ", or one number a sample" : "");
    return -1;
}

static int targets_fill(const struct targets *t, struct array_file *y)
{
    const struct npy_header *h = &y->header;
    double numbers[PIECE];
    char raw[PIECE * sizeof(double)];
    bool one_hot = t->d->target.kind == CNN_TARGET_CLASS && t->width > 1;
    for (int64_t i = 0; one_hot && i < t->s->count; i++)
        t->s->labels[i] = NO_LABEL;
    for (int64_t first = 0; first < h->count; first += PIECE) {
        int64_t n = h->count - first < PIECE ? h->count - first : PIECE;
        if (rt_array_next(y, raw, (size_t)n * (size_t)h->element_size))
            return -1;
        rt_npy_numbers(h, raw, n, numbers);
        for (int64_t j = 0; j < n; j++) {
            int64_t at = first + j;
            int64_t i = h->fortran ? at % t->s->count : at / t->width;
            int64_t k = h->fortran ? at / t->s->count : at % t->width;
            if (target_put(t, i, k, numbers[j]))
                return -1;
        }
    }
    for (int64_t i = 0; one_hot && i < t->s->count; i++)
        if (t->s->labels[i] == NO_LABEL) {
            rt_error("%s: row %lld is all 0: no class of the sample is 1", y->name, (long long)i);
            return -1;
        }
    return 0;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* The arguments' names of the sets' arrays. */
static const char *const x_keys[SETS] = { "x", "val_x" }, *const y_keys[SETS] = { "y", "val_y" };

static int array_open(struct array_file *a, const char *dir, const struct cnn_model *m, const char *key)
{
    const struct cnn_clause *source = &m->data.source;
    const char *name = rt_setting_text(source, key), *archive = rt_setting_text(source, "file");
    char *path = rt_data_file(archive ? archive : name, dir);
    int status = !path ? -1 : archive ? rt_array_open_member(a, path, name) : rt_array_open(a, path);
    free(path);
    return status;
}

static int targets_read(struct dataset *d, struct split *s, const struct array_file *x, const char *dir, int set,
                        const struct cnn_model *m)
{
    struct array_file y = { .fd = -1 };
    struct targets t = { .d = d, .s = s, .y = &y,
                         .first_label = (int)rt_setting_number(&m->data.source, "first_label") };
    if (d->target.kind == CNN_TARGET_INPUT)
        return 0;
    int status = array_open(&y, dir, m, y_keys[set]) || targets_shape(&t, x) || targets_fill(&t, &y) ? -1 : 0;
    rt_array_close(&y);
    return status;
}

/* What the samples of the set's array are, of one form with those of the other. */
static int samples_look(struct dataset *d, struct array_store *store, int set, const struct cnn_model *m)
{
    struct array_file *x = &store->x[set];
    struct sample_form *form = &store->form[set];
    if (form_find(x, m, form))
        return -1;
    if (store->kind == CNN_SAMPLE_BYTES && x->header.type != NPY_U8) {
        rt_error("%s: %s: 'values=bytes' takes uint8", x->name, rt_npy_text(&x->header).text);
        return -1;
    }
    if (set && store->there[0] && (form->height != store->form[0].height || form->width != store->form[0].width)) {
        rt_error("%s: %s has other samples than %s: %s", x->name, rt_npy_text(&x->header).text, store->x[0].name,
                 rt_npy_text(&store->x[0].header).text);
        return -1;
    }
    d->channels = form->channels;
    d->height = form->height;
    d->width = form->width;
    if (set && store->there[0] && x->status.st_dev == store->x[0].status.st_dev
        && x->status.st_ino == store->x[0].status.st_ino && x->place == store->x[0].place)
        rt_note("%s is the training set's file again: its samples are trained and tested", x->name);
    return 0;
}

static int samples_take(struct dataset *d, struct split *s, struct array_store *store, int set)
{
    const struct array_file *x = &store->x[set];
    store->first[set] = set && store->there[0] ? store->x[0].header.shape[0] : 0;
    return x->header.fortran ? samples_turn(d, s, store, set)
           : x->packed       ? samples_unpack(d, s, store, set)
                             : samples_store(d, s, store, set);
}

static int set_read(struct dataset *d, struct split *s, const char *dir, int set, const struct cnn_model *m)
{
    struct array_store *store = (struct array_store *)d->store;
    struct array_file *x = &store->x[set];
    store->there[set] = true;
    return array_open(x, dir, m, x_keys[set]) || samples_look(d, store, set, m) || samples_take(d, s, store, set)
                   || targets_read(d, s, x, dir, set, m)
               ? -1
               : 0;
}

static struct array_store *store_open(struct dataset *d, const struct cnn_model *m)
{
    struct array_store *store = calloc(1, sizeof *store);
    if (!store) {
        rt_error("no memory to read arrays");
        return NULL;
    }
    *store = (struct array_store){ .store = { .read = sample_read, .close = store_close }, .kind = m->data.sample };
    d->store = &store->store;
    d->kind = m->data.sample;
    return store;
}

/* An array of samples alone: of an archive the one that is called as the recipe's is. */
static int read_file(struct dataset *d, const char *path, const struct cnn_model *m)
{
    const struct cnn_clause *source = &m->data.source;
    struct array_store *store = store_open(d, m);
    if (!store)
        return -1;
    bool archive = rt_setting_text(source, "file") != NULL;
    int status = archive ? rt_array_open_member(&store->x[0], path, rt_setting_text(source, x_keys[0]))
                         : rt_array_open(&store->x[0], path);
    store->there[0] = true;
    return status || samples_look(d, store, 0, m) || samples_take(d, &d->val, store, 0) ? -1 : 0;
}

static int read_all(struct dataset *d, const char *dir, const struct cnn_model *m)
{
    bool held = rt_setting_text(&m->data.source, x_keys[1]) != NULL;
    struct array_store *store = store_open(d, m);
    if (!store)
        return -1;
    d->target = m->train.target;
    if ((!d->use.test_only || !held) && set_read(d, &d->train, dir, 0, m))
        return -1;
    if (held && set_read(d, &d->val, dir, 1, m))
        return -1;
    if (!d->use.test_only && store->kind == CNN_SAMPLE_FLOATS && store->x[0].header.type == NPY_U8)
        rt_note("%s: bytes as numbers from 0 to 255; 'values=bytes' behind it in 'data' makes pictures of them",
                store->x[0].name);
    return 0;
}

static void list(const struct dataset *d, const char *dir, const struct cnn_model *m,
                 void (*add)(void *arg, const char *path), void *arg)
{
    static const char *const keys[] = { "file", "x", "y", "val_x", "val_y" };
    const int count = rt_setting_text(&m->data.source, keys[0]) ? 1 : (int)(sizeof keys / sizeof keys[0]);
    (void)d;
    rt_data_files_list(m, keys, count, dir, add, arg);
}

const struct data_source rt_data_npy = { .name = "npy", .read = read_all, .read_file = read_file, .list = list,
                                         .finds = true };
const struct data_source rt_data_npz = { .name = "npz", .read = read_all, .read_file = read_file, .list = list,
                                         .finds = true };
