/* tensor_header.c - see tensor_header.h. */
#define _GNU_SOURCE
#include "common/tensor_header.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t header_limit = 100000000;         /* the format's own */

/* Where what is wrong is written down. */
struct fault {
    char *text;
    size_t room;
};

static int fault(const struct fault *f, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int fault(const struct fault *f, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(f->text, f->room, format, args);
    va_end(args);
    return -1;
}

static int element_size(const char *dtype)
{
    static const struct {
        const char *name;
        int size;
    } dtypes[] = { { "F64", 8 }, { "F32", 4 }, { "F16", 2 },  { "BF16", 2 },    { "I64", 8 },
                   { "I32", 4 }, { "I16", 2 }, { "I8", 1 },   { "U64", 8 },     { "U32", 4 },
                   { "U16", 2 }, { "U8", 1 },  { "BOOL", 1 }, { "F8_E4M3", 1 }, { "F8_E5M2", 1 } };
    for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++)
        if (strcmp(dtype, dtypes[i].name) == 0)
            return dtypes[i].size;
    return 0;
}

/* Fills t->shape and t->count from a JSON list.  NULL, or what is wrong. */
static const char *shape_read(struct stored_tensor *t, const json_t *shape)
{
    if (!json_is_array(shape))
        return "has no list 'shape'";
    if (json_array_size(shape) > TENSOR_RANK_MAX)
        return "has too many dimensions";
    t->rank = (int)json_array_size(shape);
    t->count = 1;
    for (int i = 0; i < t->rank; i++) {
        const json_t *extent = json_array_get(shape, (size_t)i);
        if (!json_is_integer(extent) || json_integer_value(extent) < 0)
            return "has a shape that is not made of whole numbers";
        t->shape[i] = json_integer_value(extent);
        if (t->shape[i] > 0 && t->count > INT64_MAX / 8 / t->shape[i])
            return "has a shape whose elements cannot be counted";
        t->count *= t->shape[i];
    }
    return NULL;
}

/* One tensor of the header.  NULL, or what is wrong. */
static const char *tensor_read(struct stored_tensor *t, const json_t *value,
                               const unsigned char *data, uint64_t data_size)
{
    if (!json_is_object(value))
        return "is not described by an object";
    const char *dtype = json_string_value(json_object_get(value, "dtype"));
    if (!dtype)
        return "has no text 'dtype'";
    t->element_size = element_size(dtype);
    if (t->element_size == 0)
        return "has an unknown dtype";
    strncpy(t->dtype, dtype, sizeof t->dtype - 1);
    const char *wrong = shape_read(t, json_object_get(value, "shape"));
    if (wrong)
        return wrong;
    const json_t *offsets = json_object_get(value, "data_offsets");
    const json_t *first = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(first) || !json_is_integer(end))
        return "has no pair of whole numbers 'data_offsets'";
    int64_t from = json_integer_value(first), to = json_integer_value(end);
    if (from < 0 || to < from || (uint64_t)to > data_size)
        return "has data_offsets outside the file's data: the file is cut short or damaged";
    if (to - from != t->count * t->element_size)
        return "has data_offsets that do not fit its shape and dtype";
    t->data = data + from;
    return NULL;
}

static int compare_places(const void *a, const void *b)
{
    const struct stored_tensor *x = *(const struct stored_tensor *const *)a;
    const struct stored_tensor *y = *(const struct stored_tensor *const *)b;
    if (x->data != y->data)
        return x->data < y->data ? -1 : 1;
    return (x->count > y->count) - (x->count < y->count);       /* empty ones first */
}

/* Every byte of the data belongs to exactly one tensor. */
static int cover_check(const struct tensor_file *f, const unsigned char *data, uint64_t size,
                       const struct fault *report)
{
    const struct stored_tensor **sorted = malloc(((size_t)f->count + 1) * sizeof *sorted);
    if (!sorted)
        return fault(report, "no memory for %d tensors", f->count);
    for (int i = 0; i < f->count; i++)
        sorted[i] = &f->tensors[i];
    qsort(sorted, (size_t)f->count, sizeof *sorted, compare_places);
    const unsigned char *end = data;
    int status = 0;
    for (int i = 0; i < f->count && !status; i++) {
        if (sorted[i]->data < end)
            status = fault(report, "the data of '%s' and '%s' overlap", sorted[i - 1]->name, sorted[i]->name);
        else if (sorted[i]->data > end)
            status = fault(report, "%lld bytes before the data of '%s' belong to no tensor",
                           (long long)(sorted[i]->data - end), sorted[i]->name);
        end = sorted[i]->data + sorted[i]->count * sorted[i]->element_size;
    }
    if (!status && end != data + size)
        status = fault(report, "the last %lld bytes belong to no tensor", (long long)(data + size - end));
    free(sorted);
    return status;
}

/* The format has only texts there; what else a writer put in is passed over. */
static int metadata_read(struct tensor_file *f, json_t *metadata)
{
    const char *key;
    json_t *value;
    f->metadata = calloc(json_object_size(metadata) + 1, sizeof *f->metadata);
    if (!f->metadata)
        return -1;
    json_object_foreach(metadata, key, value) {
        if (!json_is_string(value))
            continue;
        struct stored_text *text = &f->metadata[f->metadata_count++];
        text->key = strdup(key);
        text->value = strdup(json_string_value(value));
        if (!text->key || !text->value)
            return -1;
    }
    return 0;
}

static int tensors_read(struct tensor_file *f, json_t *header, const unsigned char *data, uint64_t data_size,
                        const struct fault *report)
{
    const char *name;
    json_t *value;
    f->tensors = calloc(json_object_size(header) + 1, sizeof *f->tensors);
    if (!f->tensors)
        return fault(report, "no memory for its header");
    json_object_foreach(header, name, value) {
        if (strcmp(name, "__metadata__") == 0) {
            if (metadata_read(f, value))
                return fault(report, "no memory for its header");
            continue;
        }
        struct stored_tensor *t = &f->tensors[f->count];
        t->name = strdup(name);
        const char *wrong = t->name ? tensor_read(t, value, data, data_size) : "does not fit into memory";
        f->count++;
        if (wrong)
            return fault(report, "tensor '%s' %s", name, wrong);
    }
    return cover_check(f, data, data_size, report);
}

int rt_tensor_header_read(struct tensor_file *f, uint64_t size, char *text, size_t room)
{
    const struct fault at = { text, room }, *report = &at;
    uint64_t length = 0;
    json_error_t error;
    if (size < TENSOR_LENGTH_BYTES)
        return fault(report, "has %llu bytes; a safetensors file begins with %d that give its header's length",
                     (unsigned long long)size, TENSOR_LENGTH_BYTES);
    for (int i = TENSOR_LENGTH_BYTES; i-- > 0;)
        length = length << 8 | f->bytes[i];
    if (length > header_limit || length > size - TENSOR_LENGTH_BYTES)
        return fault(report, "the first %d bytes give a header of %llu bytes, but %llu follow: cut short, or not a "
                     "safetensors file", TENSOR_LENGTH_BYTES, (unsigned long long)length,
                     (unsigned long long)(size - TENSOR_LENGTH_BYTES));
    json_t *header = json_loadb((char *)f->bytes + TENSOR_LENGTH_BYTES, (size_t)length, JSON_REJECT_DUPLICATES, &error);
    if (!header)
        return fault(report, "the header is not JSON: line %d, column %d: %s", error.line, error.column, error.text);
    int status = json_is_object(header) ? tensors_read(f, header, f->bytes + TENSOR_LENGTH_BYTES + length,
                                                       size - TENSOR_LENGTH_BYTES - length, report)
                                        : fault(report, "the header is not a JSON object");
    json_decref(header);
    return status;
}

void rt_tensor_header_free(struct tensor_file *f)
{
    for (int i = 0; i < f->count; i++)
        free(f->tensors[i].name);
    free(f->tensors);
    for (int i = 0; i < f->metadata_count; i++) {
        free(f->metadata[i].key);
        free(f->metadata[i].value);
    }
    free(f->metadata);
    f->tensors = NULL;
    f->metadata = NULL;
    f->count = f->metadata_count = 0;
}

const char *rt_stored_text(const struct tensor_file *f, const char *key)
{
    for (int i = 0; i < f->metadata_count; i++)
        if (strcmp(f->metadata[i].key, key) == 0)
            return f->metadata[i].value;
    return NULL;
}
