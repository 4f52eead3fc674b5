/* test_runtime_checkpoint.c - weights files: what is written is read back, and what is broken
 * changes nothing. */
#include <criterion/criterion.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files/checkpoint.h"
#include "core/json_text.h"
#include "tiny_model.h"

enum { WEIGHTS = 10 * 3072 };

static char folder[64];

static void folder_open(void)
{
    strcpy(folder, "/tmp/cnnrt-test.XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(chdir(folder), 0);
}

static void folder_close(void)
{
    static const char *const names[] = { "a.safetensors", "b.safetensors", "broken.safetensors" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        unlink(names[i]);
    cr_assert_eq(chdir("/"), 0);
    cr_assert_eq(rmdir(folder), 0, "something is left in %s: %s", folder, strerror(errno));
}

TestSuite(checkpoint, .init = folder_open, .fini = folder_close);

struct bytes {
    unsigned char *data;
    size_t size;
};

static struct bytes file_read(const char *path)
{
    FILE *f = fopen(path, "rb");
    cr_assert_not_null(f);
    struct bytes b = { malloc(1 << 20), 0 };
    b.size = fread(b.data, 1, 1 << 20, f);
    fclose(f);
    return b;
}

static void file_write(const char *path, const void *data, size_t size)
{
    FILE *f = fopen(path, "wb");
    cr_assert_not_null(f);
    cr_assert_eq(fwrite(data, 1, size, f), size);
    fclose(f);
}

/* A file of that header and `size` bytes of data. */
static void header_write(const char *path, const char *header, size_t size)
{
    uint64_t length = strlen(header);
    unsigned char *all = calloc(1, 8 + length + size);
    memcpy(all, &length, 8);
    memcpy(all + 8, header, length);
    file_write(path, all, 8 + length + size);
    free(all);
}

Test(checkpoint, weights_return_as_they_were)
{
    struct cnn_context *a = cnn_open(&tiny_float_model, 1, 1),
                       *b = cnn_open(&tiny_float_model, 1, 2);
    float statistic = 0.25f;
    cnn_param_set(a, 2, &statistic);
    cr_assert_eq(cnn_save_weights(a, "a.safetensors"), 0);
    cr_assert_eq(cnn_load_weights(b, "a.safetensors"), 0);
    cr_assert_arr_eq(a->params, b->params, (size_t)tiny_float_model.params_stored * 4);
    cnn_param_get(b, 2, &statistic);
    cr_assert_eq(statistic, 0.25f);
    cr_assert_eq(cnn_save_weights(b, "b.safetensors"), 0);
    struct bytes x = file_read("a.safetensors"), y = file_read("b.safetensors");
    cr_assert_eq(x.size, y.size);
    cr_assert_arr_eq(x.data, y.data, x.size);
    uint64_t length;
    memcpy(&length, x.data, 8);
    cr_assert_eq(length % 8, 0);
    cr_assert_eq(x.size, 8 + length + 4 * (WEIGHTS + 10 + 1));
    cr_assert_eq(x.data[8], '{');
    x.data[8 + length] = '\0';
    cr_assert_not_null(strstr((char *)x.data + 8, "\"format\":\"pt\""));
    cr_assert_not_null(
        strstr((char *)x.data + 8, "\"dense_1.weight\":{\"dtype\":\"F32\",\"shape\":[10,3072]"));
    free(x.data);
    free(y.data);
    cnn_close(a);
    cnn_close(b);
}

Test(checkpoint, precision_is_converted)
{
    struct cnn_context *f = cnn_open(&tiny_float_model, 1, 1),
                       *d = cnn_open(&tiny_double_model, 1, 2);
    float *x = malloc(WEIGHTS * sizeof *x), *z = malloc(WEIGHTS * sizeof *z);
    double *y = malloc(WEIGHTS * sizeof *y);
    cr_assert_eq(cnn_save_weights(f, "a.safetensors"), 0);
    cr_assert_eq(cnn_load_weights(d, "a.safetensors"), 0);
    cnn_param_get(f, 0, x);
    cnn_param_get(d, 0, y);
    for (int i = 0; i < WEIGHTS; i++)
        cr_assert_eq(y[i], (double)x[i]);
    cr_assert_eq(cnn_save_weights(d, "b.safetensors"), 0);
    memset(f->params, 0, (size_t)tiny_float_model.params_stored * 4);
    cr_assert_eq(cnn_load_weights(f, "b.safetensors"), 0);
    cnn_param_get(f, 0, z);
    cr_assert_arr_eq(x, z, WEIGHTS * sizeof *x);
    free(x);
    free(y);
    free(z);
    cnn_close(f);
    cnn_close(d);
}

/* Loading the broken file fails, and no weight changes. */
static void refused(const char *what)
{
    struct cnn_context *c = cnn_open(&tiny_float_model, 1, 3);
    size_t size = (size_t)tiny_float_model.params_stored * 4;
    void *before = malloc(size);
    memcpy(before, c->params, size);
    cr_assert_eq(cnn_load_weights(c, "broken.safetensors"), -1, "%s is taken", what);
    cr_assert_arr_eq(before, c->params, size, "%s changes weights", what);
    free(before);
    cnn_close(c);
}

Test(checkpoint, every_truncation_is_refused)
{
    struct cnn_context *c = cnn_open(&tiny_float_model, 1, 1);
    cr_assert_eq(cnn_save_weights(c, "a.safetensors"), 0);
    cnn_close(c);
    struct bytes b = file_read("a.safetensors");
    for (size_t size = 0; size < b.size; size += size < 600 ? 7 : 9973) {
        file_write("broken.safetensors", b.data, size);
        refused("a shortened file");
    }
    file_write("broken.safetensors", b.data, b.size - 1);
    refused("a file without its last byte");
    b.data[b.size] = 0;
    file_write("broken.safetensors", b.data, b.size + 1);
    refused("a file with a byte too many");
    free(b.data);
}

Test(checkpoint, changed_header_bytes_never_crash)
{
    struct cnn_context *c = cnn_open(&tiny_float_model, 1, 1),
                       *victim = cnn_open(&tiny_float_model, 1, 5);
    cr_assert_eq(cnn_save_weights(c, "a.safetensors"), 0);
    struct bytes b = file_read("a.safetensors");
    uint64_t length;
    memcpy(&length, b.data, 8);
    for (size_t at = 0; at < 8 + length; at += 3)
        for (int change = 0; change < 3; change++) {
            unsigned char kept = b.data[at];
            b.data[at] = (unsigned char)(change == 0 ? kept ^ 1 : change == 1 ? '9' : 0xff);
            file_write("broken.safetensors", b.data, b.size);
            /* refused, or harmless: never a crash */
            cnn_load_weights(victim, "broken.safetensors");
            b.data[at] = kept;
        }
    free(b.data);
    cnn_close(c);
    cnn_close(victim);
}

Test(checkpoint, malformed_headers_are_refused)
{
    static const struct {
        const char *what, *header;
        size_t data;
    } cases[] = {
        { "no JSON", "hello", 0 },
        { "a list", "[]", 0 },
        { "an empty header", "{}", 0 },
        { "data of no tensor", "{}", 12 },
        { "a tensor that is a number", "{\"a\":1}", 0 },
        { "no dtype", "{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4 },
        { "an unknown dtype", "{\"a\":{\"dtype\":\"F31\",\"shape\":[1],\"data_offsets\":[0,4]}}",
          4 },
        { "no shape", "{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4 },
        { "a negative extent", "{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}",
          4 },
        { "a fractional extent",
          "{\"a\":{\"dtype\":\"F32\",\"shape\":[1.0],\"data_offsets\":[0,4]}}", 4 },
        { "an overflowing shape",
          "{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296,4294967296],"
          "\"data_offsets\":[0,4]}}",
          4 },
        { "no offsets", "{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4 },
        { "one offset", "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4 },
        { "offsets backwards", "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}",
          4 },
        { "offsets behind the end",
          "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 4 },
        { "offsets that do not fit",
          "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,8]}}", 8 },
        { "overlapping tensors",
          "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
          "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}",
          12 },
        { "a hole",
          "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
          "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,12]}}",
          12 },
        { "one name twice",
          "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
          "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
          8 },
    };
    struct tensor_file f;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        header_write("broken.safetensors", cases[i].header, cases[i].data);
        refused(cases[i].what);
        /* the format's own reader finds all but the empty one, which is a sound file that lacks
         * tensors */
        if (strcmp(cases[i].what, "an empty header") != 0)
            cr_assert_eq(rt_safetensors_read(&f, "broken.safetensors"), -1, "%s is sound",
                         cases[i].what);
    }
}

/* The tiny network's header with one thing changed. */
static void tiny_header(const char *weight, const char *bias, const char *rest, size_t data)
{
    char header[1024];
    snprintf(header, sizeof header,
             "{\"dense_1.weight\":%s,\"dense_1.bias\":%s,"
             "\"norm_1.running_mean\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[122920,"
             "122924]}%s}",
             weight, bias, rest);
    header_write("broken.safetensors", header, data);
}

#define GOOD_WEIGHT "{\"dtype\":\"F32\",\"shape\":[10,3072],\"data_offsets\":[0,122880]}"
#define GOOD_BIAS "{\"dtype\":\"F32\",\"shape\":[10],\"data_offsets\":[122880,122920]}"

Test(checkpoint, tensors_that_do_not_match_the_network_are_refused)
{
    struct cnn_context *c = cnn_open(&tiny_float_model, 1, 1);
    tiny_header(GOOD_WEIGHT, GOOD_BIAS, "", 122924);
    cr_assert_eq(cnn_load_weights(c, "broken.safetensors"), 0);
    tiny_header(GOOD_WEIGHT, GOOD_BIAS,
                ",\"norm_1.num_batches_tracked\":{\"dtype\":\"I64\",\"shape\":[],"
                "\"data_offsets\":[122924,122932]}",
                122932);
    cr_assert_eq(cnn_load_weights(c, "broken.safetensors"), 0, "PyTorch's counter is in the way");
    cnn_close(c);
    tiny_header("{\"dtype\":\"F32\",\"shape\":[3072,10],\"data_offsets\":[0,122880]}", GOOD_BIAS,
                "", 122924);
    refused("a transposed weight");
    tiny_header("{\"dtype\":\"I32\",\"shape\":[10,3072],\"data_offsets\":[0,122880]}", GOOD_BIAS,
                "", 122924);
    refused("a weight of whole numbers");
    tiny_header(GOOD_WEIGHT, GOOD_BIAS, ",\"dense_2.bias\":{\"dtype\":\"F32\",\"shape\":[1],"
                "\"data_offsets\":[122924,122928]}", 122928);
    refused("a tensor too many");
    header_write("broken.safetensors",
                 "{\"dense_1.weight\":" GOOD_WEIGHT ",\"dense_1.bias\":" GOOD_BIAS "}", 122920);
    refused("a tensor too few");
}

Test(checkpoint, a_file_that_cannot_be_written_leaves_the_old_one)
{
    struct cnn_context *c = cnn_open(&tiny_float_model, 1, 1);
    cr_assert_eq(cnn_save_weights(c, "nowhere/a.safetensors"), -1);
    cr_assert_eq(cnn_save_weights(c, "/dev/full"), -1);
    cr_assert_eq(cnn_save_weights(c, folder), -1);
    struct stat status;
    cr_assert_eq(stat("/dev/full", &status), 0);
    cr_assert(S_ISCHR(status.st_mode));
    cnn_close(c);
}

/* ---- memory ------------------------------------------------------------------------------------- */

static long allocations, failing;

static void *failing_malloc(size_t size)
{
    return ++allocations == failing ? NULL : malloc(size);
}

/* Texts grow by doubling: with paddings of any length each key is once what does not fit. */
Test(checkpoint, no_failed_allocation_of_the_json_library_leaves_something_out)
{
    enum { KEYS = 8, PADDINGS = 64 };
    static const char *const keys[KEYS] = { "a", "b", "c", "d", "e", "f", "g", "h" };
    char padding[PADDINGS + 1] = "";
    int failed = 0;
    for (int length = 0; length < PADDINGS; length++) {
        memset(padding, 'x', (size_t)length);
        json_t *value = json_pack("{s:s}", "padding", padding);
        for (int i = 0; i < KEYS; i++)
            json_object_set_new(value, keys[i], json_pack("{s:s}", "dtype", "F32"));
        char *whole = rt_json_print(value, JSON_COMPACT);
        cr_assert_not_null(whole);
        /* only while the text is made: reading without memory crashes within Jansson 2.14 */
        failing = allocations = 0;
        json_set_alloc_funcs(failing_malloc, free);
        free(json_dumps(value, JSON_COMPACT));
        long most = allocations;
        for (failing = 1; failing <= most; failing++) {
            allocations = 0;
            json_set_alloc_funcs(failing_malloc, free);
            char *text = rt_json_print(value, JSON_COMPACT);
            json_set_alloc_funcs(malloc, free);
            failed += text == NULL;
            cr_assert(!text || strcmp(text, whole) == 0, "allocation %ld fails: %s", failing, text);
            free(text);
        }
        free(whole);
        json_decref(value);
    }
    cr_assert_gt(failed, 20);
}
