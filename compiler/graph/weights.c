/* weights.c - see weights.h.
 *
 * The file: 8 bytes, little-endian, that count the bytes of a JSON header; the header, an object
 * that names dtype, shape and data_offsets of each tensor; the tensors' bytes, without holes
 * (https://github.com/huggingface/safetensors). */
#include "graph/weights.h"

#include "common/file_kind.h"

#include <errno.h>
#include <float.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { LENGTH_BYTES = 8, RANK_MOST = 8, HEADER_MOST = 100000000 /* the format's own limit */ };

/* One reading; what is wrong goes into diag. */
struct reading {
    struct arena *arena;
    struct diag *diag;
    const char *path;
    const unsigned char *bytes;     /* of the tensors */
    uint64_t bytes_count;
};

struct stored {
    const char *name, *dtype;
    int rank;
    int64_t shape[RANK_MOST];
    int64_t count;
    int size;                       /* bytes of an element */
    uint64_t begin, end;            /* in the tensors' bytes */
    bool wanted;                    /* by the network */
};

static void wrong(struct reading *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void wrong(struct reading *r, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    const char *text = arena_vprintf(r->arena, format, args);
    va_end(args);
    diag_error(r->diag, DIAG_bad_weights, (struct span){0}, "%s: %s", r->path, text);
}

/* ---- the file -------------------------------------------------------------------------------- */

/* The whole file; NULL with an error. */
static const unsigned char *read_whole(struct reading *r, uint64_t *size)
{
    FILE *f = source_open_stream(r->path);
    struct stat st;

    if (!f || fstat(fileno(f), &st)) {
        wrong(r, "%s", strerror(errno));
        if (f)
            fclose(f);
        return NULL;
    }
    unsigned char *bytes = NULL;
    if (S_ISDIR(st.st_mode)) {
        wrong(r, "is a folder; the weights of a run are in it, as last.safetensors and best.safetensors");
    } else if (!S_ISREG(st.st_mode)) {
        wrong(r, "is not a regular file");
    } else {
        *size = (uint64_t)st.st_size;
        bytes = arena_alloc(r->arena, (size_t)*size + 1);
        if (fread(bytes, 1, (size_t)*size, f) != *size) {
            wrong(r, "%s", ferror(f) ? strerror(errno) : "became shorter while it was read");
            bytes = NULL;
        }
    }
    fclose(f);
    return bytes;
}

/* The header as JSON, and r->bytes set to what follows it. */
static json_t *read_header(struct reading *r)
{
    uint64_t size = 0, length = 0;
    const unsigned char *file = read_whole(r, &size);
    json_error_t error;

    if (!file)
        return NULL;
    const char *other = file_kind_of_weights(file, (size_t)size), *kind = file_kind(file, (size_t)size);
    if (other || (kind && strstr(kind, "ZIP"))) {
        wrong(r, "%s", other ? other : "is an archive, as NumPy's .npz; give safetensors: a trainer that starts from it with "
                                       "--weights writes last.safetensors");
        return NULL;
    }
    if (size < LENGTH_BYTES) {
        wrong(r, "has %llu bytes; a safetensors file begins with %d that give its header's length",
              (unsigned long long)size, LENGTH_BYTES);
        return NULL;
    }
    for (int i = LENGTH_BYTES; i-- > 0;)
        length = length << 8 | file[i];
    if (length > HEADER_MOST || length > size - LENGTH_BYTES) {
        wrong(r,
              "its first %d bytes announce a header of %llu bytes, but %llu follow: cut short, or "
              "not a safetensors file",
              LENGTH_BYTES, (unsigned long long)length, (unsigned long long)(size - LENGTH_BYTES));
        return NULL;
    }
    json_t *header = json_loadb((const char *)file + LENGTH_BYTES, (size_t)length,
                                JSON_REJECT_DUPLICATES, &error);
    if (!header) {
        wrong(r, "the header is not JSON: line %d, column %d: %s", error.line, error.column,
              error.text);
    } else if (!json_is_object(header)) {
        wrong(r, "the header is not a JSON object");
        json_decref(header);
        header = NULL;
    }
    r->bytes = file + LENGTH_BYTES + length;
    r->bytes_count = size - LENGTH_BYTES - length;
    return header;
}

/* ---- one tensor of the header ---------------------------------------------------------------- */

static int dtype_size(const char *dtype)
{
    static const struct {
        const char *name;
        int size;
    } dtypes[] = {{"F64", 8}, {"F32", 4}, {"F16", 2}, {"BF16", 2}, {"I64", 8},
                  {"I32", 4}, {"I16", 2}, {"I8", 1},  {"U64", 8},  {"U32", 4},
                  {"U16", 2}, {"U8", 1},  {"BOOL", 1}, {"F8_E4M3", 1}, {"F8_E5M2", 1}};

    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        if (!strcmp(dtype, dtypes[i].name))
            return dtypes[i].size;
    return 0;
}

/* NULL, or what is wrong with the shape. */
static const char *parse_shape(struct stored *t, const json_t *shape)
{
    if (!json_is_array(shape))
        return "has no list 'shape'";
    if (json_array_size(shape) > RANK_MOST)
        return "has too many dimensions";
    t->rank = (int)json_array_size(shape);
    t->count = 1;
    for (int i = 0; i < t->rank; i++) {
        const json_t *extent = json_array_get(shape, (size_t)i);
        t->shape[i] = json_integer_value(extent);
        if (!json_is_integer(extent) || t->shape[i] < 0)
            return "has a shape that is not made of whole numbers";
        if (t->shape[i] && t->count > INT64_MAX / 8 / t->shape[i])
            return "has a shape whose elements cannot be counted";
        t->count *= t->shape[i];
    }
    return NULL;
}

/* NULL, or what is wrong with the tensor's description. */
static const char *parse_tensor(struct reading *r, struct stored *t, const json_t *value)
{
    const char *dtype = json_string_value(json_object_get(value, "dtype"));

    if (!json_is_object(value))
        return "is not described by an object";
    if (!dtype)
        return "has no text 'dtype'";
    t->dtype = arena_string(r->arena, dtype, strlen(dtype));
    t->size = dtype_size(dtype);
    if (!t->size)
        return "has an unknown dtype";
    const char *problem = parse_shape(t, json_object_get(value, "shape"));
    if (problem)
        return problem;
    const json_t *offsets = json_object_get(value, "data_offsets"),
                 *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(begin) || !json_is_integer(end))
        return "has no pair of whole numbers 'data_offsets'";
    int64_t from = json_integer_value(begin), to = json_integer_value(end);
    if (from < 0 || to < from || (uint64_t)to > r->bytes_count)
        return "has data_offsets outside the file's data: the file is cut short or damaged";
    if (to - from != t->count * t->size)
        return "has data_offsets that do not fit its shape and dtype";
    t->begin = (uint64_t)from;
    t->end = (uint64_t)to;
    return NULL;
}

static int by_place(const void *a, const void *b)
{
    const struct stored *x = *(const struct stored *const *)a,
                        *y = *(const struct stored *const *)b;

    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);       /* empty ones first */
}

/* Every byte of the data belongs to exactly one tensor. */
static bool covers(struct reading *r, const struct stored *list, int count)
{
    const struct stored **sorted = arena_array(r->arena, (size_t)count + 1, sizeof *sorted);
    uint64_t end = 0;

    for (int i = 0; i < count; i++)
        sorted[i] = &list[i];
    qsort(sorted, (size_t)count, sizeof *sorted, by_place);
    for (int i = 0; i < count; i++) {
        if (sorted[i]->begin < end) {
            wrong(r, "the data of '%s' and '%s' overlap", sorted[i - 1]->name, sorted[i]->name);
            return false;
        }
        if (sorted[i]->begin > end) {
            wrong(r, "%llu bytes before the data of '%s' belong to no tensor",
                  (unsigned long long)(sorted[i]->begin - end), sorted[i]->name);
            return false;
        }
        end = sorted[i]->end;
    }
    if (end != r->bytes_count)
        wrong(r, "the last %llu bytes belong to no tensor",
              (unsigned long long)(r->bytes_count - end));
    return end == r->bytes_count;
}

/* All tensors of the header; NULL with errors. */
static struct stored *parse_header(struct reading *r, json_t *header, int *count)
{
    struct stored *list = arena_array(r->arena, json_object_size(header) + 1, sizeof *list);
    const char *name;
    json_t *value;
    bool fine = true;

    *count = 0;
    json_object_foreach(header, name, value) {
        if (!strcmp(name, "__metadata__"))
            continue;
        struct stored *t = &list[(*count)++];
        t->name = arena_string(r->arena, name, strlen(name));
        const char *problem = parse_tensor(r, t, value);
        if (problem)
            wrong(r, "tensor '%s' %s", name, problem);
        fine &= !problem;
    }
    return fine && covers(r, list, *count) ? list : NULL;
}

/* ---- what the network wants ------------------------------------------------------------------ */

/* The shape of a parameter in a file; returns its rank. */
static int param_shape(const struct param *p, int64_t *shape)
{
    bool by_position = p->kind == PARAM_LOCAL || p->kind == PARAM_MAP;
    int filter = p->kind == PARAM_VECTOR || p->kind == PARAM_MAP ? 1
               : p->kind == PARAM_DENSE                          ? 2
                                                                 : 4;
    int rank = 0;

    if (by_position) {
        shape[rank++] = p->oh;
        shape[rank++] = p->ow;
    }
    const int extents[] = {p->out, p->in, p->kh, p->kw};
    for (int i = 0; i < filter; i++)
        shape[rank++] = extents[i];
    return rank;
}

/* "[128, 3, 2, 2]" */
static const char *shape_list(struct reading *r, const int64_t *shape, int rank)
{
    const char *text = "[";

    for (int i = 0; i < rank; i++)
        text = arena_printf(r->arena, "%s%s%lld", text, i ? ", " : "", (long long)shape[i]);
    return arena_printf(r->arena, "%s]", text);
}

/* Elements need not be aligned, nor this machine be little-endian. */
static double element(const unsigned char *at, int size)
{
    uint64_t bits = 0;

    for (int i = size; i-- > 0;)
        bits = bits << 8 | at[i];
    if (size == 8) {
        double x;
        memcpy(&x, &bits, sizeof x);
        return x;
    }
    uint32_t low = (uint32_t)bits;
    float x;
    memcpy(&x, &low, sizeof x);
    return x;
}

static const double *take_values(struct reading *r, const struct stored *t)
{
    double *values = arena_array(r->arena, (size_t)t->count + 1, sizeof *values);

    for (int64_t i = 0; i < t->count; i++) {
        values[i] = element(r->bytes + t->begin + i * t->size, t->size);
        if (!(fabs(values[i]) <= FLT_MAX)) {
            wrong(r, "element %lld of tensor '%s' is %s: such weights compute nothing",
                  (long long)i, t->name,
                  isnan(values[i])   ? "not a number"
                  : isinf(values[i]) ? "infinite"
                                     : "more than a float can hold");
            return NULL;
        }
    }
    return values;
}

/* The values of one parameter; NULL with an error. */
static const double *take_param(struct reading *r, const struct param *p, const struct stored *t)
{
    int64_t shape[RANK_MOST];
    int rank = param_shape(p, shape);

    if (!t) {
        wrong(r, "has no tensor '%s', which the network wants as %s", p->name,
              shape_list(r, shape, rank));
    } else if (t->rank != rank || memcmp(t->shape, shape, (size_t)rank * sizeof *shape)) {
        wrong(r, "tensor '%s' is %s, the network wants %s", p->name,
              shape_list(r, t->shape, t->rank), shape_list(r, shape, rank));
    } else if (strcmp(t->dtype, "F32") && strcmp(t->dtype, "F64")) {
        wrong(r, "tensor '%s' has dtype %s, expected F32 or F64", p->name, t->dtype);
    } else {
        return take_values(r, t);
    }
    return NULL;
}

/* PyTorch counts a batchnorm's batches; nothing here depends on it. */
static bool is_counter(const char *name)
{
    const char suffix[] = ".num_batches_tracked";
    size_t length = strlen(name), tail = sizeof suffix - 1;

    return length > tail && !strcmp(name + length - tail, suffix);
}

/* ---- what is noted beside the tensors -------------------------------------------------------- */

/* The JSON in a text of the metadata; NULL: there is none. */
static json_t *parse_note(const json_t *header, const char *key)
{
    const char *text = json_string_value(json_object_get(json_object_get(header, "__metadata__"),
                                                         key));

    return text ? json_loads(text, 0, NULL) : NULL;
}

/* NULL where it is no list of so many names: then it is of another network, or there is none. */
static const char *const *take_names(struct reading *r, const json_t *list, int count)
{
    const char **names = arena_array(r->arena, (size_t)count, sizeof *names);

    if (!json_is_array(list) || json_array_size(list) != (size_t)count)
        return NULL;
    for (int i = 0; i < count; i++) {
        const char *name = json_string_value(json_array_get(list, (size_t)i));
        if (!name)
            return NULL;
        names[i] = arena_string(r->arena, name, strlen(name));
    }
    return names;
}

static const double *take_numbers(struct reading *r, const json_t *list, int count)
{
    double *numbers = arena_array(r->arena, (size_t)count, sizeof *numbers);

    if (!json_is_array(list) || json_array_size(list) != (size_t)count)
        return NULL;
    for (int i = 0; i < count; i++) {
        const json_t *value = json_array_get(list, (size_t)i);
        if (!json_is_number(value))
            return NULL;
        numbers[i] = json_number_value(value);
    }
    return numbers;
}

static void take_notes(struct reading *r, const json_t *header, const struct graph *g,
                       struct weights *w)
{
    json_t *classes = parse_note(header, "classes"), *normalize = parse_note(header, "normalize");
    int channels = g->input->shape.c;

    w->class_names = take_names(r, classes, g->predictions->shape.c);
    w->mean = take_numbers(r, json_object_get(normalize, "mean"), channels);
    w->std = take_numbers(r, json_object_get(normalize, "std"), channels);
    json_decref(classes);
    json_decref(normalize);
}

const struct weights *weights_read(struct arena *a, const char *path, const struct graph *g,
                                   struct diag *d)
{
    struct reading r = {.arena = a, .diag = d, .path = path};
    struct weights *w = arena_alloc(a, sizeof *w);
    json_t *header = read_header(&r);
    int count = 0;
    bool fine = true;

    if (!header)
        return NULL;
    struct stored *list = parse_header(&r, header, &count);
    take_notes(&r, header, g, w);
    json_decref(header);
    if (!list)
        return NULL;
    w->values = arena_array(a, (size_t)g->params_count + 1, sizeof *w->values);
    struct table by_name = {.arena = a};
    for (int i = 0; i < count; i++)
        table_put(&by_name, list[i].name, &list[i]);
    const struct stored *checksum = table_get(&by_name, "checksum");
    if (checksum && !strcmp(checksum->dtype, "U32")) {
        wrong(&r, "is the state of a run, which a trainer's --resume goes on from; its weights are in last.safetensors "
                  "beside it");
        return NULL;
    }
    for (int i = 0; i < g->params_count; i++) {
        const struct param *p = g->params[i];
        struct stored *t = table_get(&by_name, p->name);
        if (t)
            t->wanted = true;
        w->values[i] = take_param(&r, p, t);
        fine &= w->values[i] != NULL;
    }
    for (int i = 0; i < count; i++)
        if (!list[i].wanted && !is_counter(list[i].name)) {
            wrong(&r, "tensor '%s' %s belongs to no layer of the network", list[i].name,
                  shape_list(&r, list[i].shape, list[i].rank));
            fine = false;
        }
    return fine ? w : NULL;
}
