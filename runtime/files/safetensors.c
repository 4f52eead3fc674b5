/* safetensors.c - reads and writes the format; knows nothing of networks. */
#define _GNU_SOURCE
#include "files/safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "core/atomic_file.h"
#include "core/json_text.h"
#include "core/message.h"
#include "core/regular_file.h"

#if defined __BYTE_ORDER__ && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the format is little-endian and so must the machine be"
#endif

/* PIECE: elements that are gathered at a time */
enum { LENGTH_BYTES = 8, CHECKSUM_BYTES = 4, PIECE = 1 << 15 };
static const char checksum_name[] = "checksum";
static const uint64_t header_limit = 100000000;         /* the format's own */

/* ---- reading --------------------------------------------------------------------------------- */

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

unsigned char *rt_file_read(const char *path, uint64_t *size)
{
    struct stat status;
    const char *why;
    int d = rt_regular_open(path, &status, &why);
    unsigned char *bytes = NULL;
    if (d < 0) {
        rt_error("%s: %s", path, why);
    } else if (!(bytes = malloc((size_t)status.st_size + 1))) {
        rt_error("%s: no memory for its %lld bytes", path, (long long)status.st_size);
    } else {
        uint64_t got = 0, expected = (uint64_t)status.st_size;
        while (got < expected) {
            ssize_t n = read(d, bytes + got, expected - got);
            if (n < 0 && errno == EINTR)
                continue;
            if (n <= 0) {
                rt_error("%s: %s", path,
                         n < 0 ? strerror(errno) : "became shorter while it was read");
                free(bytes);
                bytes = NULL;
                break;
            }
            got += (uint64_t)n;
        }
        *size = got;
    }
    if (d >= 0)
        close(d);
    return bytes;
}

/* Fills t->shape and t->count from a JSON list.  NULL, or what is wrong. */
static const char *shape_read(struct stored_tensor *t, const json_t *shape)
{
    if (!json_is_array(shape))
        return "has no list `shape`";
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
            return "has an absurd shape";
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
        return "has no text `dtype`";
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
        return "has no pair of whole numbers `data_offsets`";
    int64_t from = json_integer_value(first), to = json_integer_value(end);
    if (from < 0 || to < from || (uint64_t)to > data_size)
        return "has data_offsets outside the file's data";
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
static int cover_check(const struct tensor_file *f, const char *path, const unsigned char *data,
                       uint64_t size)
{
    const struct stored_tensor **sorted = malloc(((size_t)f->count + 1) * sizeof *sorted);
    if (!sorted) {
        rt_error("%s: no memory for %d tensors", path, f->count);
        return -1;
    }
    for (int i = 0; i < f->count; i++)
        sorted[i] = &f->tensors[i];
    qsort(sorted, (size_t)f->count, sizeof *sorted, compare_places);
    const unsigned char *end = data;
    int status = 0;
    for (int i = 0; i < f->count && status == 0; i++) {
        if (sorted[i]->data < end) {
            rt_error("%s: the data of %s and %s overlap", path, sorted[i - 1]->name,
                     sorted[i]->name);
            status = -1;
        } else if (sorted[i]->data > end) {
            rt_error("%s: %lld bytes before the data of %s belong to no tensor", path,
                     (long long)(sorted[i]->data - end), sorted[i]->name);
            status = -1;
        }
        end = sorted[i]->data + sorted[i]->count * sorted[i]->element_size;
    }
    if (status == 0 && end != data + size) {
        rt_error("%s: the last %lld bytes belong to no tensor", path,
                 (long long)(data + size - end));
        status = -1;
    }
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

static int header_read(struct tensor_file *f, const char *path, json_t *header,
                       const unsigned char *data, uint64_t data_size)
{
    f->tensors = calloc(json_object_size(header) + 1, sizeof *f->tensors);
    if (!f->tensors) {
        rt_error("%s: no memory for its header", path);
        return -1;
    }
    const char *name;
    json_t *value;
    json_object_foreach(header, name, value) {
        if (strcmp(name, "__metadata__") == 0) {
            if (metadata_read(f, value)) {
                rt_error("%s: no memory for its header", path);
                return -1;
            }
            continue;
        }
        struct stored_tensor *t = &f->tensors[f->count];
        t->name = strdup(name);
        const char *wrong =
            t->name ? tensor_read(t, value, data, data_size) : "does not fit into memory";
        f->count++;
        if (wrong) {
            rt_error("%s: tensor '%s' %s", path, name, wrong);
            return -1;
        }
    }
    return cover_check(f, path, data, data_size);
}

/* Whether a file ends with the checksum of what stands before. */
static bool checksum_fits(const unsigned char *bytes, uint64_t size)
{
    uint32_t kept;
    if (size < CHECKSUM_BYTES)
        return false;
    memcpy(&kept, bytes + size - CHECKSUM_BYTES, CHECKSUM_BYTES);
    return kept == (uint32_t)crc32_z(0, bytes, size - CHECKSUM_BYTES);
}

static int whole_read(struct tensor_file *f, const char *path, bool state)
{
    *f = (struct tensor_file){ 0 };
    uint64_t size = 0, length = 0;
    f->bytes = rt_file_read(path, &size);
    if (!f->bytes)
        return -1;
    if (state && !checksum_fits(f->bytes, size)) {
        rt_error("%s: is torn or was altered: its checksum does not fit", path);
        rt_safetensors_free(f);
        return -1;
    }
    if (size >= LENGTH_BYTES)
        memcpy(&length, f->bytes, LENGTH_BYTES);
    json_t *header = NULL;
    json_error_t error;
    if (size < LENGTH_BYTES) {
        rt_error(
            "%s: has %llu bytes; a safetensors file begins with %d that give its header's length",
            path, (unsigned long long)size, LENGTH_BYTES);
    } else if (length > header_limit || length > size - LENGTH_BYTES) {
        rt_error("%s: the first %d bytes give a header of %llu bytes, but %llu follow: cut short, "
                 "or not a safetensors file",
                 path, LENGTH_BYTES, (unsigned long long)length,
                 (unsigned long long)(size - LENGTH_BYTES));
    } else if (!(header = json_loadb((char *)f->bytes + LENGTH_BYTES, (size_t)length,
                                     JSON_REJECT_DUPLICATES, &error))) {
        rt_error("%s: the header is not JSON: line %d, column %d: %s", path, error.line,
                 error.column, error.text);
    } else if (!json_is_object(header)) {
        rt_error("%s: the header is not a JSON object", path);
        json_decref(header);
        header = NULL;
    }
    int status = header ? header_read(f, path, header, f->bytes + LENGTH_BYTES + length,
                                      size - LENGTH_BYTES - length) : -1;
    json_decref(header);
    if (status)
        rt_safetensors_free(f);
    return status;
}

int rt_safetensors_read(struct tensor_file *f, const char *path)
{
    return whole_read(f, path, false);
}

int rt_safetensors_read_state(struct tensor_file *f, const char *path)
{
    return whole_read(f, path, true);
}

void rt_safetensors_free(struct tensor_file *f)
{
    for (int i = 0; i < f->count; i++)
        free(f->tensors[i].name);
    free(f->tensors);
    for (int i = 0; i < f->metadata_count; i++) {
        free(f->metadata[i].key);
        free(f->metadata[i].value);
    }
    free(f->metadata);
    free(f->bytes);
    *f = (struct tensor_file){ 0 };
}

/* ---- writing --------------------------------------------------------------------------------- */

static int64_t entry_bytes(const struct tensor_entry *e)
{
    int64_t bytes = e->element_size;
    for (int i = 0; i < e->rank; i++)
        bytes *= e->shape[i];
    return bytes;
}

/* The header as text, malloc'd, padded with spaces so that the data begin on a multiple of 8. */
static char *header_write(const struct tensor_entry *entries, int count,
                          const struct text_pair *metadata, int metadata_count, bool state)
{
    json_t *header = json_object(), *texts = json_object();
    int failed = 0;
    for (int i = 0; i < metadata_count; i++)
        failed |= json_object_set_new(texts, metadata[i].key, json_string(metadata[i].value));
    failed |= json_object_set_new(header, "__metadata__", texts);
    int64_t at = 0;
    for (int i = 0; i < count; i++) {
        json_t *shape = json_array();
        for (int d = 0; d < entries[i].rank; d++)
            failed |= json_array_append_new(shape, json_integer(entries[i].shape[d]));
        int64_t end = at + entry_bytes(&entries[i]);
        json_t *tensor =
            json_pack("{s:s, s:o, s:[I, I]}", "dtype", entries[i].element_size == 8 ? "F64" : "F32",
                      "shape", shape, "data_offsets", (json_int_t)at, (json_int_t)end);
        failed |= json_object_set_new(header, entries[i].name, tensor);
        at = end;
    }
    if (state)
        failed |= json_object_set_new(header, checksum_name,
                                      json_pack("{s:s, s:[i], s:[I, I]}", "dtype", "U32", "shape",
                                                1, "data_offsets", (json_int_t)at,
                                                (json_int_t)at + CHECKSUM_BYTES));
    char *text = failed ? NULL : rt_json_print(header, JSON_COMPACT);
    json_decref(header);
    if (!text)
        return NULL;
    size_t length = strlen(text), padded = (length + 7) / 8 * 8;
    char *grown = realloc(text, padded + 1);
    if (!grown) {
        free(text);
        return NULL;
    }
    memset(grown + length, ' ', padded - length);
    grown[padded] = '\0';
    return grown;
}

/* buffer: room for a piece of any entry. */
static int parts_write(struct atomic_file *f, const char *header,
                       const struct tensor_entry *entries, int count, void *buffer)
{
    uint64_t length = strlen(header);
    int status =
        rt_atomic_write(f, &length, LENGTH_BYTES) || rt_atomic_write(f, header, (size_t)length);
    for (int i = 0; i < count && status == 0; i++) {
        const struct tensor_entry *e = &entries[i];
        int64_t elements = entry_bytes(e) / e->element_size;
        for (int64_t first = 0; first < elements && status == 0; first += PIECE) {
            int64_t some = elements - first < PIECE ? elements - first : PIECE;
            e->fill(e->user, e->index, first, some, buffer);
            status = rt_atomic_write(f, buffer, (size_t)(some * e->element_size));
        }
    }
    return status;
}

/* Whether the file on the disk begins with the header and is as long as its data make it. */
static int header_check(struct atomic_file *f, const char *header, const struct tensor_entry *entries, int count,
                        bool state)
{
    int64_t length = (int64_t)strlen(header), size = LENGTH_BYTES + length + (state ? CHECKSUM_BYTES : 0);
    for (int i = 0; i < count; i++)
        size += entry_bytes(&entries[i]);
    return rt_atomic_check(f, LENGTH_BYTES, header, (size_t)length, size);
}

/* previous NULL: without a checksum. */
static int whole_write(const char *path, const char *previous, const struct tensor_entry *entries,
                       int count, const struct text_pair *metadata, int metadata_count)
{
    char *header = header_write(entries, count, metadata, metadata_count, previous != NULL);
    void *buffer = malloc(PIECE * sizeof(double));
    struct atomic_file f;
    int status = -1;
    if (!header || !buffer) {
        rt_error("%s: no memory to write it", path);
    } else if (rt_atomic_open(&f, path) == 0) {
        int failed = parts_write(&f, header, entries, count, buffer);
        if (previous && !failed) {
            uint32_t checksum = f.checksum;
            failed = rt_atomic_write(&f, &checksum, CHECKSUM_BYTES);
        }
        if (failed || header_check(&f, header, entries, count, previous != NULL))
            rt_atomic_drop(&f);
        else
            status = rt_atomic_commit_keeping(&f, previous);
    }
    free(header);
    free(buffer);
    return status;
}

int rt_safetensors_write(const char *path, const struct tensor_entry *entries, int count,
                         const struct text_pair *metadata, int metadata_count)
{
    return whole_write(path, NULL, entries, count, metadata, metadata_count);
}

int rt_safetensors_write_state(const char *path, const char *previous,
                               const struct tensor_entry *entries, int count,
                               const struct text_pair *metadata, int metadata_count)
{
    return whole_write(path, previous, entries, count, metadata, metadata_count);
}
