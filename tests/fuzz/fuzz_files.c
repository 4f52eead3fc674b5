/* fuzz_files.c - files that a trainer reads: data of each kind, pictures, weights, the state of a run.
 *
 * Each target writes the bytes it is given under the name that the loader looks for, beside what else must be there,
 * and reads them as a trainer does.  Nothing may crash, hang or leave bounds, and weights that are refused must leave
 * the network as it was.  The network is as small as one can be and computes nothing: only its tables matter. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "cnnrt.h"
#include "data/data.h"
#include "data/image.h"
#include "files/checkpoint.h"
#include "fuzz.h"

/* ---- a network --------------------------------------------------------------------------------------------------- */

enum { OUTPUTS = 2, STORED = 16 };

static void step(struct cnn_context *c, int n)
{
    c->loss = n;
    memset(c->grads, 0, STORED * sizeof(float));
    for (int i = 0; i < n * OUTPUTS; i++)
        ((float *)c->predictions)[i] = 0.5f;
}

static void update(struct cnn_context *c)
{
    (void)c;
}

static void metrics(const struct cnn_context *c, int n, double *values)
{
    (void)c;
    values[0] = n > 1 ? 0.25 : 0.5;
}

static const struct cnn_param params[] = {
    { .name = "dense_1.weight", .role = CNN_WEIGHT, .trainable = true, .rank = 2, .shape = { 2, 3 },
      .axis = { CNN_AXIS_OUT, CNN_AXIS_IN },
      .layout = { .dims = 2, .dim = { 2, 3 }, .stride = { 1, 2 }, .panel_dim = -1 }, .offset = 0, .stored = 6,
      .count = 6,
      .init = { CNN_INIT_ONES, 0, 0 } },
    { .name = "dense_1.bias", .role = CNN_BIAS, .trainable = true, .rank = 1, .shape = { 2 }, .axis = { CNN_AXIS_OUT },
      .layout = { .dims = 1, .dim = { 2 }, .stride = { 1 }, .panel_dim = -1 }, .offset = 8, .stored = 2, .count = 2,
      .init = { CNN_INIT_ZEROS, 0, 0 } },
    { .name = "batchnorm_1.running_mean", .role = CNN_STATISTIC, .rank = 1, .shape = { 3 }, .axis = { CNN_AXIS_OUT },
      .layout = { .dims = 1, .dim = { 3 }, .stride = { 1 }, .panel_dim = -1 }, .offset = 0, .stored = 3, .count = 3,
      .init = { CNN_INIT_ZEROS, 0, 0 } },
};
static const struct cnn_layer_info layers[] = {
    { .name = "dense_1", .text = "dense 2", .channels = 2, .height = 1, .width = 1, .flat = true, .parameters = 8,
      .plan = "" },
};
static const struct cnn_setting shapes_settings[] = {
    { .key = "classes", .number = 2 }, { .key = "train", .number = 6 }, { .key = "val", .number = 4 },
        { .key = "seed" },
};
static const struct cnn_setting optimizer_settings[] = { { .key = "lr", .number = 0.01 } };
static const struct cnn_setting plateau_settings[] = {
    { .key = "monitor", .text = "val_acc" }, { .key = "factor", .number = 0.5 }, { .key = "patience", .number = 1 },
    { .key = "min_delta", .number = 0.2 },   { .key = "cooldown", .number = 0 }, { .key = "min_lr", .number = 0.001 },
    { .key = "verbose", .number = 1 },
};
static const struct cnn_setting stopping_settings[] = {
    { .key = "monitor", .text = "val_loss" }, { .key = "min_delta" }, { .key = "patience", .number = 3 },
    { .key = "verbose", .number = 1 }, { .key = "restore_best", .number = 1 },
};
static const struct cnn_clause callbacks[] = { { "reduce_lr_on_plateau", plateau_settings, 7 },
                                               { "early_stopping", stopping_settings, 5 } };
static const struct cnn_metric metric_list[] = {
    { .name = "accuracy", .log_name = "acc", .direction = CNN_HIGHER_IS_BETTER },
    { .name = "f1_macro", .log_name = "f1_macro", .direction = CNN_HIGHER_IS_BETTER, .kind = CNN_METRIC_F1 },
};
static const struct cnn_setting normalize_settings[] = { { .key = "auto", .text = "auto" }, { .key = "mean" },
                                                         { .key = "std" } };
static const struct cnn_clause steps[] = { { "normalize", normalize_settings, 3 } };

static const struct cnn_model model = {
    .abi = CNNRT_ABI, .name = "tiny", .source = "tiny.cnn", .target = "generic", .plan_hash = 1,
    .recipe = (const char *const[]){ "model tiny\n", NULL },
    .real_size = sizeof(float), .batch = 4, .outputs = OUTPUTS, .in_channels = 3, .in_height = 32, .in_width = 32,
    .image_stride = 3072, .channel_stride = 1, .row_stride = 96, .column_stride = 3,
    .params_stored = STORED, .statistics_stored = 16, .params_count = 11, .trainable_count = 8, .optimizer_slots = 1,
    .memory_bytes = 64, .scratch_bytes_per_thread = 64, .params = params, .params_list_count = 3, .layers = layers,
    .layers_count = 1,
    .data = { .source = { "shapes", shapes_settings, 4 }, .steps = steps, .steps_count = 1 },
    .train = { .target = { CNN_TARGET_CLASS, OUTPUTS }, .loss = { "categorical_crossentropy", NULL, 0 },
               .optimizer = { "sgd", optimizer_settings, 1 }, .callbacks = callbacks, .callbacks_count = 2,
               .metrics = metric_list, .metrics_count = 2, .epochs = 2, .seed = 7 },
    .train_step = step, .infer = step, .update = update, .metrics = metrics,
};

/* ---- files ------------------------------------------------------------------------------------------------------- */

/* A folder of this process, made once in CNN_FUZZ_FOLDER, whose owner removes it; it is where all files lie. */
static const char *folder(void)
{
    static char path[512];
    const char *outer = getenv("CNN_FUZZ_FOLDER");
    if (!path[0]) {
        snprintf(path, sizeof path, "%s/files.XXXXXX", outer ? outer : "/tmp");
        if (!mkdtemp(path) || chdir(path))
            abort();
    }
    return path;
}

static void put(const char *name, const void *bytes, size_t size)
{
    folder();
    FILE *f = fopen(name, "wb");
    if (!f || fwrite(bytes, 1, size, f) != size || fclose(f))
        abort();
}

/* Of that size: cut, or with zeros behind it that take no room. */
static void put_sized(const char *name, const void *bytes, size_t size, off_t whole)
{
    put(name, bytes, size);
    if (truncate(name, whole))
        abort();
}

/* Reads a source's samples, and each of them. */
static void data_read(const struct cnn_model *m)
{
    struct dataset d;
    if (rt_dataset_open(&d, m, folder(), (struct data_use){ .threads = 1 }) == 0) {
        const size_t elements = (size_t)d.channels * (size_t)d.height * (size_t)d.width;
        const struct split *sets[] = { &d.train, &d.val, &d.test };
        void *room = malloc(elements * sizeof(float) + 1);
        for (int k = 0; room && k < 3; k++)
            for (int64_t i = 0; i < sets[k]->count && i < 64; i++)
                rt_split_sample(sets[k], i, elements, room);
        free(room);
    }
    rt_dataset_close(&d);
}

static struct cnn_model with_source(const char *name, const struct cnn_setting *settings, int count, int classes)
{
    struct cnn_model m = model;
    m.data.source = (struct cnn_clause){ name, settings, count };
    m.data.steps_count = 0;
    m.outputs = m.train.target.size = classes;
    return m;
}

/* ---- sources ----------------------------------------------------------------------------------------------------- */

enum { CIFAR_RECORD = 3073, CIFAR_FINE_RECORD = 3074, CIFAR_RECORDS = 10000 };

/* The first byte says which file it is, and whether that is whole. */
static void cifar10(const uint8_t *bytes, size_t size)
{
    static const struct cnn_setting dir[] = { { .key = "dir", .text = "." } };
    static const char *const names[] = { "data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin",
                                         "data_batch_5.bin", "test_batch.bin" };
    const struct cnn_model m = with_source("cifar10", dir, 1, 10);
    if (size < 1)
        return;
    for (int i = 0; i < 6; i++) {
        bool given = bytes[0] % 6 == i;
        off_t whole = (off_t)CIFAR_RECORDS * CIFAR_RECORD;
        put_sized(names[i], bytes + 1, given ? size - 1 : 0, given && bytes[0] & 128 ? (off_t)size - 1 : whole);
    }
    data_read(&m);
}

static void cifar100(const uint8_t *bytes, size_t size)
{
    static const struct cnn_setting dir[] = { { .key = "dir", .text = "." }, { .key = "labels", .text = "fine" } };
    const struct cnn_model m = with_source("cifar100", dir, 2, 100);
    if (size < 1)
        return;
    for (int i = 0; i < 2; i++) {
        bool given = bytes[0] % 2 == i;
        off_t whole = (off_t)(i ? 1 : 5) * CIFAR_RECORDS * CIFAR_FINE_RECORD;
        put_sized(i ? "test.bin" : "train.bin", bytes + 1, given ? size - 1 : 0,
                  given && bytes[0] & 128 ? (off_t)size - 1 : whole);
    }
    data_read(&m);
}

static void idx_put(const char *name, int rank, int count, int side, const void *rest, size_t size)
{
    uint8_t file[4096] = { 0, 0, 8, (uint8_t)rank, 0, 0, 0, (uint8_t)count, 0, 0, 0, (uint8_t)side, 0, 0, 0,
                           (uint8_t)side };
    size_t head = 4 + 4 * (size_t)rank;
    if (rest)
        memcpy(file + head, rest, size);
    put(name, file, head + size);
}

/* The first byte says which of the four files it is and whether it is gzipped: by us, or as it is. */
static void mnist(const uint8_t *bytes, size_t size)
{
    static const struct cnn_setting settings[] = { { .key = "dir", .text = "." }, { .key = "classes", .number = 10 },
                                                   { .key = "first_label", .number = 0 } };
    static const char *const names[] = { "train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte",
                                         "t10k-labels-idx1-ubyte" };
    struct cnn_model m = with_source("mnist", settings, 3, 10);
    if (size < 1)
        return;
    m.in_channels = 1;
    m.in_height = m.in_width = 28;
    for (int i = 0; i < 4; i++) {
        char zipped[40];
        snprintf(zipped, sizeof zipped, "%s.gz", names[i]);
        unlink(zipped);
        idx_put(names[i], i % 2 ? 1 : 3, 2, 28, NULL, i % 2 ? 2 : 2 * 28 * 28);
        if (bytes[0] % 4 != i)
            continue;
        if (!(bytes[0] & 12)) {
            put(names[i], bytes + 1, size - 1);
            continue;
        }
        unlink(names[i]);
        if (bytes[0] & 4) {
            put(zipped, bytes + 1, size - 1);
            continue;
        }
        gzFile f = gzopen(zipped, "wb1");
        if (!f || (size > 1 && gzwrite(f, bytes + 1, (unsigned)size - 1) == 0) || gzclose(f) != Z_OK)
            abort();
    }
    data_read(&m);
}

/* The first byte says as what it is read. */
static void image(const uint8_t *bytes, size_t size)
{
    struct image_fault fault = { .text = "" };
    struct image picture = { 0 };
    static uint8_t to[3 * 32 * 32];
    if (size < 1)
        return;
    int channels = bytes[0] & 1 ? 3 : 1;
    if (rt_image_decode(&picture, bytes + 1, size - 1, channels, &fault) == 0) {
        const struct image_window window = { 0, 0, 32, 32 };
        if (!picture.pixels || picture.width < 1 || picture.height < 1 || picture.channels != channels)
            abort();
        if ((int64_t)picture.width * picture.height < 1 << 20)
            rt_image_resize(&picture, 32, 32, window, to);
    } else if (!fault.text[0]) {
        abort();
    }
    rt_image_free(&picture);
}

static size_t npy_make(uint8_t *to, const char *type, const char *shape, size_t bytes)
{
    char head[128];
    int n = snprintf(head, sizeof head, "{'descr': '%s', 'fortran_order': False, 'shape': %s, }", type, shape);
    memcpy(to, "\x93NUMPY\x01\x00", 8);
    to[8] = 118;
    to[9] = 0;
    memset(to + 10, ' ', 118);
    memcpy(to + 10, head, (size_t)n);
    to[127] = '\n';
    memset(to + 128, 0, bytes);
    return 128 + bytes;
}

/* A network of samples that are floats, half of which validate. */
static struct cnn_model with_numbers(const char *name, const struct cnn_setting *settings, int count, int side)
{
    static const struct cnn_setting splits[] = { { .key = "fraction", .number = 0.5 }, { .key = "seed" } };
    static const struct cnn_clause split[] = { { "split", splits, 2 } };
    struct cnn_model m = with_source(name, settings, count, 2);
    m.data.sample = CNN_SAMPLE_FLOATS;
    m.data.steps = split;
    m.data.steps_count = 1;
    m.in_channels = 3;
    m.in_height = m.in_width = side;
    return m;
}

/* The first byte says which of the two arrays it is. */
static void npy(const uint8_t *bytes, size_t size)
{
    static const struct cnn_setting settings[] = {
        { .key = "x", .text = "x.npy" }, { .key = "y", .text = "y.npy" }, { .key = "val_x" }, { .key = "val_y" },
        { .key = "layout" }, { .key = "values", .text = "floats" }, { .key = "targets" }, { .key = "first_label" }
    };
    const struct cnn_model m = with_numbers("npy", settings, 8, 2);
    uint8_t other[1024];
    if (size < 1)
        return;
    put("x.npy", other, npy_make(other, "<f4", "(4, 3, 2, 2)", 192));
    put("y.npy", other, npy_make(other, "<i8", "(4,)", 32));
    put(bytes[0] & 1 ? "y.npy" : "x.npy", bytes + 1, size - 1);
    data_read(&m);
}

/* An archive of both. */
static void archive(const uint8_t *bytes, size_t size)
{
    static const struct cnn_setting settings[] = {
        { .key = "file", .text = "all.npz" }, { .key = "x", .text = "x" }, { .key = "y", .text = "y" },
            { .key = "val_x" },
        { .key = "val_y" }, { .key = "layout" }, { .key = "values", .text = "floats" }, { .key = "targets" },
        { .key = "first_label" }
    };
    const struct cnn_model m = with_numbers("npz", settings, 9, 2);
    put("all.npz", bytes, size);
    data_read(&m);
}

/* The first byte says how the columns are told and whether it is the table to train with or to test with. */
static void csv(const uint8_t *bytes, size_t size)
{
    static const char *const labels[] = { "4", "\"kind\"", "[4, 5]", "1" };
    int how = size ? bytes[0] : 0;
    const struct cnn_setting settings[] = {
        { .key = "file", .text = "train.csv" }, { .key = "label", .text = labels[how & 3] },
        { .key = "test", .text = how & 4 ? "test.csv" : NULL }, { .key = "header", .number = (how & 3) == 1 ||
                                                                  how & 8 },
        { .key = "ignore", .text = how & 16 ? "5" : NULL }, { .key = "separator", .text = how & 32 ? ";" : "," },
        { .key = "targets" }, { .key = "first_label", .number = how & 64 ? 1 : 0 }
    };
    static const char table[] = "1,2,3,0\n4,5,6,1\n7,8,9,0\n1,1,1,1\n";
    struct cnn_model m = with_numbers("csv", settings, 8, 1);
    if (size < 1)
        return;
    if (how & 4)
        m.data.steps_count = 0;
    put("train.csv", table, sizeof table - 1);
    put(how & 4 ? "test.csv" : "train.csv", bytes + 1, size - 1);
    data_read(&m);
}

/* ---- weights and states ------------------------------------------------------------------------------------------ */

static void weights(const char *name, const uint8_t *bytes, size_t size)
{
    float before[STORED + 16], after[STORED + 16];
    struct cnn_context *c = cnn_open(&model, 1, 1);
    if (!c)
        return;
    put(name, bytes, size);
    memcpy(before, c->params, STORED * sizeof(float));
    memcpy(before + STORED, c->statistics, 16 * sizeof(float));
    int status = rt_checkpoint_load(c, name, size % 2);
    memcpy(after, c->params, STORED * sizeof(float));
    memcpy(after + STORED, c->statistics, 16 * sizeof(float));
    if (status && memcmp(before, after, sizeof before) != 0)
        abort();
    cnn_close(c);
}

static void safetensors(const uint8_t *bytes, size_t size)
{
    weights("w.safetensors", bytes, size);
}

static void npz(const uint8_t *bytes, size_t size)
{
    weights("w.npz", bytes, size);
}

/* The run that a state is of is resumed and goes on for a step or two. */
static void state(const uint8_t *bytes, size_t size)
{
    char *words[] = { "tiny", "train", "--threads", "1", "--resume", "--run-dir", "tiny.run", "--verbose", "0",
                      "--epochs", "3", "--limit-steps", "4", NULL };
    uint8_t *whole = malloc(size + 4);
    if (!whole)
        return;
    folder();
    mkdir("tiny.run", 0777);
    unlink("tiny.run/state.previous.safetensors");
    /* the checksum fits, as if the damage had been done on purpose */
    memcpy(whole, bytes, size);
    uint32_t sum = (uint32_t)crc32_z(0, whole, size);
    for (int i = 0; i < 4; i++)
        whole[size + (size_t)i] = (uint8_t)(sum >> 8 * i);
    put("tiny.run/state.safetensors", whole, size + 4);
    free(whole);
    cnn_main(&model, (int)(sizeof words / sizeof *words) - 1, words);
}

const struct fuzz_target fuzz_targets[] = {
    { "cifar10", cifar10 }, { "cifar100", cifar100 }, { "mnist", mnist }, { "image", image }, { "npy", npy },
    { "archive", archive }, { "csv", csv },
    { "safetensors", safetensors }, { "npz", npz }, { "state", state }, { NULL, NULL }
};

/* ---- inputs to begin with ---------------------------------------------------------------------------------------- */

/* A file that was just written, without its last `cut` bytes and with a byte before it, if that is not negative. */
static void seed_file(const char *to, const char *name, const char *path, int first, size_t cut)
{
    uint8_t bytes[1 << 16];
    FILE *f = fopen(path, "rb");
    size_t lead = first >= 0, size = f ? fread(bytes + lead, 1, sizeof bytes - 1, f) + lead : 0;
    if (!f || size < cut + lead)
        abort();
    fclose(f);
    if (lead)
        bytes[0] = (uint8_t)first;
    fuzz_seed_write(to, name, bytes, size - cut);
}

void fuzz_seeds(const char *to)
{
    char absolute[4096], *words[] = { "tiny", "train", "--threads", "1", "--overwrite", "--run-dir", "tiny.run",
                                      "--verbose", "0", "--limit-steps", "3", NULL };
    uint8_t bytes[4096] = { 0 };
    if (!realpath(to, absolute))
        abort();
    to = absolute;
    folder();
    fuzz_seed_write(to, "cifar10.records", bytes, 40);
    bytes[0] = 128;
    fuzz_seed_write(to, "cifar10.short", bytes, 35);
    bytes[0] = 0;
    fuzz_seed_write(to, "cifar100.records", bytes, 40);
    for (int i = 0; i < 4; i++) {
        char name[40];
        idx_put("idx", i % 2 ? 1 : 3, 2, 28, NULL, i % 2 ? 2 : 2 * 28 * 28);
        snprintf(name, sizeof name, "mnist.plain%d", i);
        seed_file(to, name, "idx", i, 0);
        snprintf(name, sizeof name, "mnist.packed%d", i);
        seed_file(to, name, "idx", i | 8, 0);
        gzFile f = gzopen("idx.gz", "wb");
        uint8_t head[16] = { 0, 0, 8, i % 2 ? 1 : 3, 0, 0, 0, 2, 0, 0, 0, 28, 0, 0, 0, 28 };
        gzwrite(f, head, i % 2 ? 8 : 16);
        gzwrite(f, bytes, i % 2 ? 2 : 2 * 28 * 28);
        gzclose(f);
        snprintf(name, sizeof name, "mnist.zipped%d", i);
        seed_file(to, name, "idx.gz", i | 4, 0);
    }
    bytes[0] = 0;
    fuzz_seed_write(to, "npy.floats", bytes, 1 + npy_make(bytes + 1, "<f4", "(4, 3, 2, 2)", 192));
    fuzz_seed_write(to, "npy.bytes", bytes, 1 + npy_make(bytes + 1, "|u1", "(4, 2, 2, 3)", 48));
    fuzz_seed_write(to, "npy.doubles", bytes, 1 + npy_make(bytes + 1, ">f8", "(4, 12)", 384));
    bytes[0] = 1;
    fuzz_seed_write(to, "npy.classes", bytes, 1 + npy_make(bytes + 1, "<i8", "(4,)", 32));
    fuzz_seed_write(to, "npy.vectors", bytes, 1 + npy_make(bytes + 1, "<f4", "(4, 2)", 32));
    static const char *const tables[] = {
        "@1,2,3,1\n4,5,6,2\n7,8,9,1\n1,1,1,2\n", "Aa,b,c,kind\n1,2,3,x\n4,5,6,\"y, z\"\n7,8,9,x\n1,1,1,\"y, z\"\n",
        "B1,2,-3e4,0,1\r\n\"4\",.5,6,1,0\r\n7,8,9,0,1\r\n1,1,1,1,0\r\n", "D1,2,3,1\n4,5,6,2\n",
        "p\xEF\xBB\xBF" "1;2;3;1;\"a \"\"b\"\"\"\n4;5;6;2;NA\n7;8;9;1;\n1;1;1;2;?\n"
    };
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        char name[40];
        snprintf(name, sizeof name, "csv.table%zu", i);
        fuzz_seed_write(to, name, tables[i], strlen(tables[i]));
    }
    cnn_main(&model, (int)(sizeof words / sizeof *words) - 1, words);
    seed_file(to, "state.run", "tiny.run/state.safetensors", -1, 4);
    seed_file(to, "safetensors.last", "tiny.run/last.safetensors", -1, 0);
}
