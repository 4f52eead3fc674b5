/* weights.c - see weights.h. */
#include "graph/weights.h"

#include "common/file_kind.h"
#include "common/tensor_header.h"

#include <errno.h>
#include <float.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* One reading; what is wrong goes into diag. */
struct reading {
    struct arena *arena;
    struct diag *diag;
    const char *path;
    struct tensor_file file;
    bool *wanted;                   /* by the network, for each of its tensors */
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
static unsigned char *read_whole(struct reading *r, uint64_t *size)
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

static bool read_file(struct reading *r)
{
    uint64_t size = 0;
    char fault[512];

    r->file.bytes = read_whole(r, &size);
    if (!r->file.bytes)
        return false;
    const char *other = file_kind_of_weights(r->file.bytes, (size_t)size);
    const char *kind = file_kind(r->file.bytes, (size_t)size);
    if (!other && kind && strstr(kind, "ZIP"))
        other = "is an archive, as NumPy's .npz; give safetensors: a trainer that starts from it with --weights writes "
                "last.safetensors";
    if (other) {
        wrong(r, "%s", other);
        return false;
    }
    if (rt_tensor_header_read(&r->file, size, fault, sizeof fault)) {
        wrong(r, "%s", fault);
        return false;
    }
    r->wanted = arena_array(r->arena, (size_t)r->file.count + 1, sizeof *r->wanted);
    return true;
}

/* ---- what the network wants ------------------------------------------------------------------ */

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

static const double *take_values(struct reading *r, const struct stored_tensor *t)
{
    double *values = arena_array(r->arena, (size_t)t->count + 1, sizeof *values);

    for (int64_t i = 0; i < t->count; i++) {
        values[i] = element(t->data + i * t->element_size, t->element_size);
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
static const double *take_param(struct reading *r, const struct param *p, const struct stored_tensor *t)
{
    int64_t shape[CNN_MAX_RANK];
    int rank = param_shape(p, shape, NULL);

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
static json_t *parse_note(const struct tensor_file *f, const char *key)
{
    const char *text = rt_stored_text(f, key);

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

static void take_notes(struct reading *r, const struct graph *g, struct weights *w)
{
    json_t *classes = parse_note(&r->file, "classes"), *normalize = parse_note(&r->file, "normalize");
    int channels = g->input->shape.c;

    w->class_names = take_names(r, classes, g->model->target.size);
    w->class_names_count = w->class_names ? g->model->target.size : 0;
    w->mean = take_numbers(r, json_object_get(normalize, "mean"), channels);
    w->std = take_numbers(r, json_object_get(normalize, "std"), channels);
    json_decref(classes);
    json_decref(normalize);
}

static bool take_params(struct reading *r, const struct graph *g, struct weights *w)
{
    const struct stored_tensor *list = r->file.tensors;
    struct table by_name = {.arena = r->arena};
    bool fine = true;

    w->values = arena_array(r->arena, (size_t)g->params_count + 1, sizeof *w->values);
    for (int i = 0; i < r->file.count; i++)
        table_put(&by_name, list[i].name, (void *)&list[i]);
    const struct stored_tensor *checksum = table_get(&by_name, "checksum");
    if (checksum && !strcmp(checksum->dtype, "U32")) {
        wrong(r, "is the state of a run, which a trainer's --resume goes on from; its weights are in last.safetensors "
                 "beside it");
        return false;
    }
    for (int i = 0; i < g->params_count; i++) {
        const struct stored_tensor *t = table_get(&by_name, g->params[i]->name);
        if (t)
            r->wanted[t - list] = true;
        w->values[i] = take_param(r, g->params[i], t);
        fine &= w->values[i] != NULL;
    }
    for (int i = 0; i < r->file.count; i++)
        if (!r->wanted[i] && !is_counter(list[i].name)) {
            wrong(r, "tensor '%s' %s belongs to no layer of the network", list[i].name,
                  shape_list(r, list[i].shape, list[i].rank));
            fine = false;
        }
    return fine;
}

const struct weights *weights_read(struct arena *a, const char *path, const struct graph *g,
                                   struct diag *d)
{
    struct reading r = {.arena = a, .diag = d, .path = path};
    struct weights *w = arena_alloc(a, sizeof *w);
    bool fine = read_file(&r);

    if (fine) {
        take_notes(&r, g, w);
        fine = take_params(&r, g, w);
    }
    rt_tensor_header_free(&r.file);
    return fine ? w : NULL;
}

void weights_settle(struct graph *g, const struct weights *w)
{
    for (int i = 0; i < g->params_count; i++)
        g->params[i]->values = w->values[i];
}
