/* files.c - damages weights, archives and states of a run at random and lets the runtime read them.
 *
 *   files COUNT SEED RUN_FOLDER WEIGHTS...
 *
 * Weights, safetensors or .npz, are loaded whole and in part; what is refused must have been given a reason on stderr
 * and must leave the network as it was.  The run in RUN_FOLDER is resumed again and again from a state that was
 * changed; of three in four the checksum was made to fit again, as if the damage had been done on purpose.  Nothing may
 * crash, hang or leave bounds (run it under AddressSanitizer and UndefinedBehaviorSanitizer).  stdout is thrown away,
 * stderr goes to ./messages. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "files/checkpoint.h"
#include "core/parallel.h"

extern const struct cnn_model small_model;

enum { LARGEST = 1 << 20 };

struct bytes {
    unsigned char data[LARGEST];
    size_t size;
};

static uint64_t dice_state;
static FILE *report;

static uint32_t draw(uint32_t below)
{
    dice_state += 0x9E3779B97F4A7C15u;
    uint64_t z = dice_state;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    return below ? (uint32_t)(z % below) : 0;
}

static void die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vfprintf(report, format, args);
    va_end(args);
    fputc('\n', report);
    exit(1);
}

static void file_read(const char *path, struct bytes *b)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        die("%s cannot be read", path);
    b->size = fread(b->data, 1, sizeof b->data, f);
    if (b->size == sizeof b->data)
        die("%s is too large for this test", path);
    fclose(f);
}

static void file_write(const char *path, const struct bytes *b)
{
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(b->data, 1, b->size, f) != b->size || fclose(f))
        die("%s cannot be written", path);
}

/* ---- damage ---------------------------------------------------------------------------------- */

static void splice(struct bytes *b, size_t at, size_t gone, const void *put, size_t length)
{
    if (gone > b->size - at)
        gone = b->size - at;
    if (b->size - gone + length > LARGEST)
        return;
    memmove(b->data + at + length, b->data + at + gone, b->size - at - gone);
    memcpy(b->data + at, put, length);
    b->size += length - gone;
}

/* A digit of the text at the beginning, where headers are, or anything near it. */
static size_t interesting(const struct bytes *b)
{
    size_t head = b->size < 8192 ? b->size : 8192;
    size_t at = draw(3) ? draw((uint32_t)head) : draw((uint32_t)b->size);
    while (draw(4) && at < b->size && (b->data[at] < '0' || b->data[at] > '9'))
        at++;
    return at < b->size ? at : 0;
}

static void damage(struct bytes *b)
{
    static const char *const pieces[] = {
        "-1", "0", "9", "99999999999999999999", "4294967296", "1e999", "nan", "inf", "-0x1p+1", "null", "[]", "{}",
        "\"\"", "\"", ",", ":", "[", "]", "{", "}", "\\u0000", "\xff", "F32", "I32", "shape", "data_offsets",
        "__metadata__"
    };
    static const unsigned char numbers[][4] = {
        { 0, 0, 0, 0 }, { 1, 0, 0, 0 }, { 255, 255, 255, 255 }, { 255, 255, 255, 127 }, { 0, 0, 0, 128 }, { 8, 0, 0, 0 }
    };
    enum { PIECES = sizeof pieces / sizeof *pieces, NUMBERS = sizeof numbers / sizeof *numbers };
    if (b->size == 0)
        return;
    size_t at = interesting(b), from = draw((uint32_t)b->size), length = draw(40);
    unsigned char byte = (unsigned char)draw(256), copy[40];
    const char *piece = pieces[draw(PIECES)];
    switch (draw(8)) {
    case 0:
        b->data[at] = byte;
        break;
    case 1:
        b->data[at] ^= (unsigned char)(1u << draw(8));
        break;
    case 2:
        splice(b, at, draw(3), piece, strlen(piece));
        break;
    case 3:
        splice(b, at, 1 + draw(20), "", 0);
        break;
    case 4:
        length = length < b->size - from ? length : b->size - from;
        memcpy(copy, b->data + from, length);
        splice(b, at, draw(2) ? length : 0, copy, length);
        break;
    case 5:                                     /* in an archive's directory, at its end */
        at = b->size > 600 ? b->size - 1 - draw(600) : at;
        splice(b, at, 4, numbers[draw(NUMBERS)], 4);
        break;
    case 6:
        splice(b, draw(2) ? draw(8) : at, 4, numbers[draw(NUMBERS)], 4);
        break;
    case 7:
        if (!draw(3))
            b->size = draw(2) ? from : b->size - 1 - draw((uint32_t)(b->size < 40 ? b->size : 40));
        break;
    }
}

static void damage_some(struct bytes *b)
{
    for (uint32_t n = 1 + draw(4); n > 0; n--)
        damage(b);
}

/* ---- weights --------------------------------------------------------------------------------- */

static void numbers_copy(const struct cnn_context *c, unsigned char *to)
{
    size_t real = (size_t)c->model->real_size, params = (size_t)c->model->params_stored * real;
    memcpy(to, c->params, params);
    memcpy(to + params, c->statistics, (size_t)c->model->statistics_stored * real);
}

static bool weights_load(const struct bytes *whole, const char *name)
{
    static struct bytes b;
    const struct cnn_model *m = &small_model;
    size_t size = (size_t)(m->params_stored + m->statistics_stored) * (size_t)m->real_size;
    unsigned char *before = malloc(size), *after = malloc(size);
    struct cnn_context *c = cnn_open(m, 1, 1);
    if (!c || !before || !after)
        die("no memory");
    memcpy(b.data, whole->data, whole->size);
    b.size = whole->size;
    damage_some(&b);
    file_write("damaged.weights", &b);
    numbers_copy(c, before);
    fflush(stderr);
    long said = ftell(stderr);
    int status = rt_checkpoint_load(c, "damaged.weights", draw(2));
    numbers_copy(c, after);
    fflush(stderr);
    if (status && ftell(stderr) == said)
        die("damaged %s: refused without a word", name);
    if (status && memcmp(before, after, size) != 0)
        die("damaged %s: refused, but the network has changed", name);
    cnn_close(c);
    free(before);
    free(after);
    return status == 0;
}

/* ---- states ---------------------------------------------------------------------------------- */

static void checksum_mend(struct bytes *b)
{
    if (b->size < 4)
        return;
    uint32_t sum = (uint32_t)crc32_z(0, b->data, b->size - 4);
    for (int i = 0; i < 4; i++)
        b->data[b->size - 4 + (size_t)i] = (unsigned char)(sum >> 8 * i);
}

static bool state_resume(const struct bytes *whole, const char *folder, const char *state, const char *previous)
{
    static struct bytes b;
    char *words[] = { "small",     "train",  "--threads", "1",       "--resume", "--run-dir",     (char *)folder,
                      "--verbose", "2",      "--epochs",  "3",       "--limit-steps", "8",        NULL };
    memcpy(b.data, whole->data, whole->size);
    b.size = whole->size;
    damage_some(&b);
    if (draw(4))
        checksum_mend(&b);
    unlink(previous);
    file_write(state, &b);
    fflush(stderr);
    long said = ftell(stderr);
    int status = cnn_main(&small_model, (int)(sizeof words / sizeof *words) - 1, words);
    fflush(stderr);
    if (status && ftell(stderr) == said)
        die("damaged state: refused without a word");
    return status == 0;
}

int main(int argc, char **argv)
{
    static struct bytes whole;
    int taken = 0, resumed = 0;
    char state[4096], previous[4096];
    if (argc < 5) {
        fputs("usage: files COUNT SEED RUN_FOLDER WEIGHTS...\n", stderr);
        return 2;
    }
    rt_blas_restart(&small_model, argv);        /* or the first run would start another program in our place */
    long count = strtol(argv[1], NULL, 10);
    snprintf(state, sizeof state, "%s/state.safetensors", argv[3]);
    snprintf(previous, sizeof previous, "%s/state.previous.safetensors", argv[3]);
    report = fdopen(dup(STDOUT_FILENO), "w");
    if (!report || !freopen("/dev/null", "w", stdout) || !freopen("messages", "w", stderr))
        return 2;
    for (int k = 4; k < argc; k++) {
        file_read(argv[k], &whole);
        for (long i = 0; i < count; i++) {
            dice_state = strtoull(argv[2], NULL, 10) * 1000003u + (uint64_t)i;
            taken += weights_load(&whole, argv[k]);
        }
    }
    file_read(state, &whole);
    for (long i = 0; i < count; i++) {
        dice_state = strtoull(argv[2], NULL, 10) * 1000003u + (uint64_t)i;
        resumed += state_resume(&whole, argv[3], state, previous);
    }
    fprintf(report, "of %ld weights %d were taken, of %ld states %d resumed\n", count * (argc - 4), taken,
            count, resumed);
    return fclose(report) != 0;
}
