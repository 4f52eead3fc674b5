/* rows_test.c - what becomes of pictures under `invert`, `mirror` and `scale`: in training, in use, and where a picture
 * is handed over by itself, as predict does.  For rows.sh. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cnnrt.h"
#include "data/data.h"
#include "train/loader.h"

extern const struct cnn_model MODEL;

enum { SIDE = 32, CHANNELS = 3, ELEMENTS = SIDE * SIDE * CHANNELS };

static int failures;

#define CHECK(condition, ...)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            failures++;                                                                            \
            printf("line %d: ", __LINE__);                                                         \
            printf(__VA_ARGS__);                                                                   \
            putchar('\n');                                                                         \
        }                                                                                          \
    } while (0)

/* Whether sample i of the batch is the picture with its steps, mirrored or not. */
static bool is_picture(const struct cnn_context *c, int i, const uint8_t *from, bool mirrored)
{
    const float *to = (const float *)c->input + i * MODEL.image_stride;
    for (int h = 0; h < SIDE; h++)
        for (int w = 0; w < SIDE; w++)
            for (int k = 0; k < CHANNELS; k++) {
                int column = mirrored ? SIDE - 1 - w : w;
                float wanted = (float)((255.0 - from[(h * SIDE + column) * CHANNELS + k]) * (1.0 / 255.0));
                float found = to[h * MODEL.row_stride + w * MODEL.column_stride + k * MODEL.channel_stride];
                if (fabsf(found - wanted) > 1e-6f)
                    return false;
            }
    return true;
}

/* One epoch of training: each picture is itself or mirrored; which, goes to `turned`.  Returns how many are. */
static int epoch_walk(struct loader *l, struct cnn_context *c, uint64_t epoch, uint8_t *turned)
{
    int n, count = 0;
    rt_loader_begin(l, 7, epoch);
    memset(turned, 0, (size_t)l->split->count);
    for (int64_t first = 0; (n = rt_loader_next(l, c)) > 0; first += n)
        for (int i = 0; i < n; i++) {
            int64_t which = l->shuffles ? (int64_t)l->order.numbers[first + i] : first + i;
            const uint8_t *from = l->split->pixels + which * ELEMENTS;
            turned[which] = !is_picture(c, i, from, false);
            CHECK(!turned[which] || is_picture(c, i, from, true), "picture %d is neither", (int)which);
            count += turned[which];
        }
    return count;
}

int main(void)
{
    struct cnn_context *c = cnn_open(&MODEL, 1, 7);
    struct dataset d;
    struct loader train, plain, use;
    static uint8_t first[1000], again[1000], later[1000];
    if (!c || rt_dataset_open(&d, &MODEL, NULL, (struct data_use){ .threads = 1 }) ||
        rt_loader_open(&train, c, &d.train, LOADER_SHUFFLES)
        || rt_loader_open(&plain, c, &d.train, LOADER_TRAINS) || rt_loader_open(&use, c, &d.val, LOADER_MEASURES))
        return 2;
    int count = epoch_walk(&train, c, 3, first);
    CHECK(count > 400 && count < 600, "%d of 1000 pictures are mirrored", count);
    epoch_walk(&train, c, 4, later);
    CHECK(memcmp(first, later, sizeof first), "two epochs draw the same");
    epoch_walk(&plain, c, 3, again);
    CHECK(memcmp(first, again, sizeof first) == 0, "what is drawn depends on the order of pictures");
    rt_loader_begin(&train, 7, 3);
    rt_loader_skip(&train, 992);
    CHECK(rt_loader_next(&train, c) == 8, "the rest of an epoch");
    for (int i = 0; i < 8; i++)
        CHECK(is_picture(c, i, d.train.pixels + (int64_t)train.order.numbers[992 + i] * ELEMENTS,
                         first[train.order.numbers[992 + i]]), "a run that was broken off draws something else");

    rt_loader_begin(&use, 0, 0);
    CHECK(rt_loader_next(&use, c) == 32, "a batch of the validation set");
    for (int i = 0; i < 32; i++)
        CHECK(is_picture(c, i, d.val.pixels + i * ELEMENTS, false), "picture %d is not as in use", i);
    rt_loader_set(&use, c, 1, d.val.pixels);
    CHECK(is_picture(c, 1, d.val.pixels, false), "a picture by itself is not as in use");
    rt_loader_close(&train);
    rt_loader_close(&plain);
    rt_loader_close(&use);
    rt_dataset_close(&d);
    cnn_close(c);
    printf("%d failures\n", failures);
    return failures != 0;
}
