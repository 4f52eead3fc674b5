/* test_runtime_augment.c - what steps that draw do, against pixels picked one at a time, and how they draw. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/random.h"
#include "data/augment.h"
#include "data/movement.h"

enum { MOST = 40 * 40 * 4, ROOM = MOST * (int)sizeof(double) };

static const enum number_kind kinds[] = { NUMBER_BYTE, NUMBER_FLOAT, NUMBER_DOUBLE };

/* Number `at` of a sample, and a value put there. */
static double number(const struct sample *s, int at)
{
    return s->kind == NUMBER_BYTE    ? ((const uint8_t *)s->data)[at]
           : s->kind == NUMBER_FLOAT ? (double)((const float *)s->data)[at]
                                     : ((const double *)s->data)[at];
}

static void number_set(const struct sample *s, int at, double value)
{
    if (s->kind == NUMBER_BYTE)
        ((uint8_t *)s->data)[at] = (uint8_t)value;
    else if (s->kind == NUMBER_FLOAT)
        ((float *)s->data)[at] = (float)value;
    else
        ((double *)s->data)[at] = value;
}

static int place(const struct sample *s, int y, int x, int c)
{
    return (y * s->width + x) * s->channels + c;
}

/* Bytes 0 to 255, other numbers -1 to 1. */
static void sample_draw(const struct sample *s, uint64_t seed)
{
    uint64_t key = rt_random_key(seed, RANDOM_BENCH, 0);
    for (int i = 0; i < s->channels * s->height * s->width; i++) {
        double u = rt_random_uniform(key, (uint64_t)i);
        number_set(s, i, s->kind == NUMBER_BYTE ? floor(256.0 * u) : 2.0 * u - 1.0);
    }
}

/* Where a pixel outside comes from, step by step: -1 for zeros. */
static int walked(enum fill fill, int i, int count)
{
    while (i < 0 || i >= count) {
        if (fill == FILL_ZEROS)
            return -1;
        if (fill == FILL_EDGE || count == 1)
            return i < 0 ? 0 : count - 1;
        i = i < 0 ? -i : 2 * (count - 1) - i;
    }
    return i;
}

static void moved_check(const struct sample *from, const struct sample *to, const struct movement *m)
{
    for (int y = 0; y < from->height; y++)
        for (int x = 0; x < from->width; x++)
            for (int c = 0; c < from->channels; c++) {
                int fy = walked(m->fill, y - m->down, from->height), fx = walked(m->fill, x - m->right, from->width);
                double wanted = fy < 0 || fx < 0
                                    ? 0.0
                                    : number(from, place(from, fy, m->mirrored ? from->width - 1 - fx : fx, c));
                double found = number(to, place(to, y, x, c));
                cr_assert(found == wanted, "%dx%dx%d, fill %d, mirrored %d, down %d, right %d: %g at (%d, %d, %d), not %g",
                          from->channels, from->height, from->width, m->fill, m->mirrored, m->down, m->right, found, y,
                          x, c, wanted);
            }
}

Test(movement, takes_each_pixel_from_where_it_was)
{
    static const int shapes[][3] = { { 1, 1, 1 }, { 3, 5, 7 }, { 2, 8, 3 }, { 4, 1, 9 }, { 3, 32, 32 }, { 5, 3, 1 } };
    static char a[ROOM], b[ROOM];
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
            struct sample from = { kinds[k], shapes[s][0], shapes[s][1], shapes[s][2], a }, to = from;
            to.data = b;
            sample_draw(&from, s);
            for (int fill = FILL_ZEROS; fill <= FILL_REFLECT; fill++)
                for (int i = 0; i < 2 * 7 * 7; i++) {
                    /* also farther than the picture is wide */
                    const struct movement m = { i % 2 != 0, 3 * (i / 2 % 7 - 3), 4 * (i / 14 - 3), (enum fill)fill };
                    memset(b, 0x55, sizeof b);
                    rt_move(&m, &from, &to);
                    moved_check(&from, &to, &m);
                }
        }
}

/* ---- what is drawn --------------------------------------------------------------------------- */

static struct step_draw draw_of(uint64_t seed, uint64_t epoch, int64_t number)
{
    return (struct step_draw){ rt_random_subkey(rt_random_key(seed, RANDOM_AUGMENT, epoch), (uint64_t)number),
                               rt_random_subkey(rt_random_key(seed, RANDOM_LASTING, 0), (uint64_t)number), epoch,
                               number };
}

/* A picture of one channel, all of its pixels different. */
enum { SIDE = 15 };
static uint8_t counted[SIDE * SIDE];

static void apply(const struct cnn_clause *step, uint64_t seed, uint64_t epoch, int64_t number, uint8_t *to)
{
    for (int i = 0; i < SIDE * SIDE; i++)
        counted[i] = (uint8_t)(i + 1);
    const struct sample from = { NUMBER_BYTE, 1, SIDE, SIDE, counted };
    struct sample result = from;
    const struct step_draw draw = draw_of(seed, epoch, number);
    result.data = to;
    rt_augment("augment")(step, &draw, &from, &result);
}

static bool is_mirrored(const uint8_t *picture)
{
    return picture[SIDE * SIDE / 2 + 1] < picture[SIDE * SIDE / 2];
}

Test(augment, shifts_each_way_equally_often_and_mirrors_half)
{
    enum { DRAWS = 20000 };
    const struct cnn_setting settings[] = { { .key = "flip", .text = "flip" }, { .key = "shift", .number = 2 },
                                            { .key = "fill", .text = "edge" } };
    const struct cnn_clause step = { "augment", settings, 3 };
    int seen[5][5] = { { 0 } }, mirrored = 0;
    uint8_t picture[SIDE * SIDE];
    for (int i = 0; i < DRAWS; i++) {
        apply(&step, 7, 3, i, picture);
        bool turned = is_mirrored(picture);
        int middle = SIDE * SIDE / 2, value = picture[middle] - 1, y = value / SIDE, x = value % SIDE;
        int down = SIDE / 2 - y, right = turned ? x - SIDE / 2 : SIDE / 2 - x;
        cr_assert(abs(down) <= 2 && abs(right) <= 2, "moved by %d, %d", down, right);
        seen[down + 2][right + 2]++;
        mirrored += turned;
    }
    for (int i = 0; i < 25; i++)          /* 800 each, deviation 28 */
        cr_assert(abs(seen[i / 5][i % 5] - 800) < 140, "(%d, %d) %d times", i / 5 - 2, i % 5 - 2, seen[i / 5][i % 5]);
    cr_assert(abs(mirrored - DRAWS / 2) < 350, "%d of %d are mirrored", mirrored, DRAWS);
}

Test(augment, crop_moves_as_shift_does)
{
    uint8_t shifted[SIDE * SIDE], cropped[SIDE * SIDE];
    const struct cnn_setting shift = { .key = "shift", .number = 4 }, crop = { .key = "crop", .number = 4 };
    for (int i = 0; i < 20; i++) {
        apply(&(struct cnn_clause){ "augment", &shift, 1 }, 1, 2, i, shifted);
        apply(&(struct cnn_clause){ "augment", &crop, 1 }, 1, 2, i, cropped);
        cr_assert_arr_eq(shifted, cropped, sizeof shifted);
    }
}

Test(augment, flips_alternate_from_epoch_to_epoch)
{
    enum { DRAWS = 10000 };
    const struct cnn_setting settings[] = { { .key = "flip", .text = "alternate" } };
    const struct cnn_clause step = { "augment", settings, 1 };
    uint8_t picture[SIDE * SIDE];
    int first = 0, other = 0;
    for (int i = 0; i < DRAWS; i++) {
        apply(&step, 7, 0, i, picture);
        bool turned = is_mirrored(picture);
        first += turned;
        for (uint64_t epoch = 1; epoch < 5; epoch++) {
            apply(&step, 7, epoch, i, picture);
            cr_assert_eq(is_mirrored(picture), turned == (epoch % 2 == 0), "sample %d in epoch %d", i, (int)epoch);
        }
        apply(&step, 8, 0, i, picture);
        other += is_mirrored(picture) == turned;
    }
    cr_assert(abs(first - DRAWS / 2) < 250, "%d of %d are mirrored in the first epoch", first, DRAWS);
    cr_assert(abs(other - DRAWS / 2) < 250, "another seed mirrors the same: %d", other);
}
