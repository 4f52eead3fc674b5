/* safetensors.c - reads and writes the format; knows nothing of networks. */
#define _GNU_SOURCE
#include "formats/safetensors.h"

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
enum { LENGTH_BYTES = TENSOR_LENGTH_BYTES, CHECKSUM_BYTES = 4, PIECE = 1 << 15 };
static const char checksum_name[] = "checksum";

/* ---- reading --------------------------------------------------------------------------------- */

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

/* Whether a file ends with the checksum of what stands before. */
static bool checksum_fits(const unsigned char *bytes, uint64_t size)
{
    uint32_t kept;
    if (size < CHECKSUM_BYTES)
        return false;
    memcpy(&kept, bytes + size - CHECKSUM_BYTES, CHECKSUM_BYTES);
    return kept == (uint32_t)crc32_z(0, bytes, size - CHECKSUM_BYTES);
}

int rt_safetensors_take(struct tensor_file *f, unsigned char *bytes, uint64_t size, const char *path)
{
    char fault[512];
    *f = (struct tensor_file){ .bytes = bytes, .size = size };
    int status = rt_tensor_header_read(f, size, fault, sizeof fault);
    if (status) {
        rt_error("%s: %s", path, fault);
        rt_safetensors_free(f);
    }
    return status;
}

static int whole_read(struct tensor_file *f, const char *path, bool state)
{
    *f = (struct tensor_file){ 0 };
    uint64_t size = 0;
    unsigned char *bytes = rt_file_read(path, &size);
    if (bytes && state && !checksum_fits(bytes, size)) {
        rt_error("%s: is torn or was altered: its checksum does not fit", path);
        free(bytes);
        return -1;
    }
    return bytes ? rt_safetensors_take(f, bytes, size, path) : -1;
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
    rt_tensor_header_free(f);
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

unsigned char *rt_safetensors_texts(const struct text_pair *metadata, int count, uint64_t *size)
{
    char *header = header_write(NULL, 0, metadata, count, false);
    const uint64_t length = header ? strlen(header) : 0;
    unsigned char *bytes = header ? malloc(LENGTH_BYTES + length) : NULL;
    if (bytes) {
        memcpy(bytes, &length, LENGTH_BYTES);
        memcpy(bytes + LENGTH_BYTES, header, length);
        *size = LENGTH_BYTES + length;
    }
    free(header);
    return bytes;
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
