/* test_runtime_augment.c - what steps that draw do, against pixels picked one at a time, and how they draw. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/random.h"
#include "core/targets.h"
#include "data/augment.h"
#include "data/colours.h"
#include "data/movement.h"
#include "tiny_model.h"
#include "train/mix.h"
#include "train/tta.h"

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
                cr_assert(found == wanted,
                          "%dx%dx%d, fill %d, mirrored %d, down %d, right %d: %g at (%d, %d, %d), not %g",
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
                    const struct movement m = { i % 2 != 0, 3 * (i / 2 % 7 - 3), 4 * (i / 14 - 3), (enum fill)fill, 0,
                                                0 };
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

/* ---- between pixels -------------------------------------------------------------------------- */

/* A pixel's number where nothing says that one is not there. */
static double filled(const struct sample *s, enum fill fill, int y, int x, int c)
{
    int fy = walked(fill, y, s->height), fx = walked(fill, x, s->width);
    return fy < 0 || fx < 0 ? 0.0 : number(s, place(s, fy, fx, c));
}

/* A picture that is mirrored, enlarged and turned, then moved, looked at between four pixels. */
static double turned(const struct sample *s, const struct movement *m, int y, int x, int c)
{
    double v = y - m->down - (s->height - 1) / 2.0, u = x - m->right - (s->width - 1) / 2.0;
    double row = (u * sin(m->turned) + v * cos(m->turned)) / m->enlarged + (s->height - 1) / 2.0;
    double column = (u * cos(m->turned) - v * sin(m->turned)) / m->enlarged + (s->width - 1) / 2.0;
    if (m->mirrored)
        column = s->width - 1 - column;
    int above = (int)floor(row), left = (int)floor(column);
    double down = row - above, right = column - left;
    return (1 - down) * ((1 - right) * filled(s, m->fill, above, left, c) + right * filled(s, m->fill, above, left + 1,
            c))
           + down * ((1 - right) * filled(s, m->fill, above + 1, left, c)
                     + right * filled(s, m->fill, above + 1, left + 1, c));
}

Test(movement, turns_and_enlarges_about_the_middle)
{
    static const int shapes[][3] = { { 1, 1, 1 }, { 3, 5, 7 }, { 2, 8, 3 }, { 3, 32, 32 }, { 5, 3, 1 } };
    static char a[ROOM], b[ROOM];
    for (size_t n = 0; n < sizeof shapes / sizeof *shapes * 3 * 3 * 4; n++) {
        const int *shape = shapes[n / 36];
        struct sample from = { kinds[n % 3], shape[0], shape[1], shape[2], a }, to = from;
        const struct movement m = { n % 4 > 1, (int)(n % 5) - 2, (int)(n % 3) - 1, (enum fill)(n / 3 % 3),
                                    0.8 + 0.17 * (double)(n % 4), 0.37 * (double)(n % 7) - 1.0 };
        to.data = b;
        sample_draw(&from, n);
        rt_move(&m, &from, &to);
        double most = from.kind == NUMBER_BYTE ? 0.51 : 1e-4;   /* bytes are rounded; places are floats */
        for (int i = 0; i < shape[0] * shape[1] * shape[2]; i++) {
            int pixel = i / shape[0], y = pixel / shape[2], x = pixel % shape[2], c = i % shape[0];
            double wanted = turned(&from, &m, y, x, c);
            cr_assert(fabs(number(&to, i) - wanted) <= most, "case %zu, (%d, %d, %d): %g, not %g", n, y, x, c,
                      number(&to, i), wanted);
        }
    }
}

Test(movement, of_a_quarter_counter_clockwise_moves_the_right_edge_to_the_top)
{
    uint8_t a[9] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 }, b[9], wanted[9] = { 3, 6, 9, 2, 5, 8, 1, 4, 7 };
    struct sample from = { NUMBER_BYTE, 1, 3, 3, a }, to = { NUMBER_BYTE, 1, 3, 3, b };
    rt_move(&(struct movement){ .turned = acos(0.0), .enlarged = 1.0, .fill = FILL_EDGE }, &from, &to);
    cr_assert_arr_eq(b, wanted, sizeof b);
}

/* ---- colours --------------------------------------------------------------------------------- */

static double grey_of(const double *x, int channels)
{
    double sum = 0.0;
    if (channels == 3)
        return 0.299 * x[0] + 0.587 * x[1] + 0.114 * x[2];
    for (int c = 0; c < channels; c++)
        sum += x[c] / channels;
    return sum;
}

/* Step by step, each in a pass of its own. */
static void coloured(const struct colours *how, double *x, int pixels, int channels)
{
    double mean = 0.0;
    for (int i = 0; i < pixels * channels; i++)
        x[i] *= how->brightness;
    for (int i = 0; i < pixels; i++)
        mean += grey_of(x + i * channels, channels) / pixels;
    for (int i = 0; i < pixels * channels; i++)
        x[i] = mean + how->contrast * (x[i] - mean);
    for (int i = 0; channels == 3 && i < pixels; i++) {
        double *p = x + 3 * i, grey = grey_of(p, 3);
        for (int c = 0; c < 3; c++)
            p[c] = grey + how->saturation * (p[c] - grey);
        double u = 0.492111 * (p[2] - grey), v = 0.877283 * (p[0] - grey), angle = 4.0 * acos(0.0) * how->hue;
        double r = grey + (v * cos(angle) + u * sin(angle)) / 0.877283;
        double b = grey + (u * cos(angle) - v * sin(angle)) / 0.492111;
        double g = (grey - 0.299 * r - 0.114 * b) / 0.587;
        p[0] = r, p[1] = g, p[2] = b;
    }
}

Test(colours, are_changed_as_one_after_the_other)
{
    static const int shapes[][3] = { { 1, 5, 7 }, { 3, 5, 7 }, { 2, 3, 3 }, { 3, 32, 32 } };
    static char a[ROOM];
    static double wanted[MOST];
    for (int n = 0; n < 4 * 3 * 6; n++) {
        const int *shape = shapes[n / 18];
        struct sample s = { kinds[n % 3], shape[0], shape[1], shape[2], a };
        int pixels = shape[1] * shape[2];
        const struct colours how = { 0.7 + 0.1 * (n % 6), 1.3 - 0.1 * (n % 5), 0.8 + 0.1 * (n % 4), 0.07 * (n % 3) };
        sample_draw(&s, (uint64_t)n);
        for (int i = 0; i < pixels * shape[0]; i++)
            wanted[i] = number(&s, i);
        coloured(&how, wanted, pixels, shape[0]);
        rt_colour(&how, &s);
        for (int i = 0; i < pixels * shape[0]; i++) {
            double w = s.kind == NUMBER_BYTE ? fmin(fmax(wanted[i], 0.0), 255.0) : wanted[i];
            cr_assert(fabs(number(&s, i) - w) <= (s.kind == NUMBER_BYTE ? 0.51 : 1e-5),
                      "case %d, number %d: %g, not %g", n, i, number(&s, i), w);
        }
    }
}

Test(colours, that_are_turned_once_around_are_what_they_were)
{
    uint8_t x[6] = { 200, 30, 90, 7, 255, 0 }, kept[6];
    struct sample s = { NUMBER_BYTE, 3, 1, 2, x };
    memcpy(kept, x, sizeof x);
    rt_colour(&(struct colours){ 1.0, 1.0, 1.0, 1.0 }, &s);
    cr_assert_arr_eq(x, kept, sizeof x);
}

Test(augment, draws_turns_and_zooms_evenly_and_cuts_a_square_out)
{
    enum { DRAWS = 4000 };
    const struct cnn_setting cut = { .key = "cutout", .number = 4 };
    uint8_t picture[SIDE * SIDE];
    int zeros[SIDE] = { 0 };
    for (int i = 0; i < DRAWS; i++) {
        apply(&(struct cnn_clause){ "augment", &cut, 1 }, 3, 1, i, picture);
        int count = 0, row = 0, rows = 0, columns = 0;
        for (int y = 0; y < SIDE; y++, rows += row > 0, columns = row > columns ? row : columns) {
            row = 0;
            for (int x = 0; x < SIDE; x++) {
                row += picture[y * SIDE + x] == 0;
                zeros[x] += picture[y * SIDE + x] == 0;
                cr_assert(picture[y * SIDE + x] == 0 || picture[y * SIDE + x] == (uint8_t)(y * SIDE + x + 1));
            }
            count += row;
        }
        cr_assert(count == rows * columns && rows >= 2 && rows <= 4 && columns >= 2 && columns <= 4, "%d zeros, %dx%d",
                  count, rows, columns);
    }
    /* the middle column lies in the squares of 4 columns out of 15, each 3.8 high on average; the first in those of
     * 3 */
    double expected = DRAWS * 4.0 / SIDE * (4.0 * SIDE - 3.0) / SIDE;
    cr_assert(fabs(zeros[SIDE / 2] - expected) < 0.12 * expected, "%d zeros in the middle, not %g", zeros[SIDE / 2],
              expected);
    cr_assert(fabs(zeros[0] - 0.75 * expected) < 0.12 * expected, "%d zeros at the edge", zeros[0]);
}

Test(augment, turns_by_up_to_the_degrees_that_are_given)
{
    /* a line along the middle row of a wide picture; where it meets the right column says by how much it was turned */
    enum { WIDE = 41, DRAWS = 2000 };
    static float a[WIDE * WIDE], b[WIDE * WIDE];
    const struct cnn_setting rotate = { .key = "rotate", .number = 30 };
    const struct cnn_clause step = { "augment", &rotate, 1 };
    struct sample from = { NUMBER_FLOAT, 1, WIDE, WIDE, a }, to = { NUMBER_FLOAT, 1, WIDE, WIDE, b };
    double sum = 0.0, squares = 0.0, most = 0.0;
    for (int x = 0; x < WIDE; x++)
        a[WIDE / 2 * WIDE + x] = 1.0f;
    for (int i = 0; i < DRAWS; i++) {
        const struct step_draw draw = draw_of(5, 0, i);
        double weight = 0.0, at = 0.0;
        rt_augment("augment")(&step, &draw, &from, &to);
        for (int y = 0; y < WIDE; y++) {
            weight += (double)b[y * WIDE + WIDE - 10];
            at += (double)b[y * WIDE + WIDE - 10] * (WIDE / 2 - y);
        }
        double angle = atan2(at / weight, WIDE - 10 - WIDE / 2) * 90.0 / acos(0.0);
        sum += angle;
        squares += angle * angle;
        most = fmax(most, fabs(angle));
    }
    /* uniform in -30..30: mean 0 (deviation 0.39), mean square 300 (deviation 6) */
    cr_assert(fabs(sum / DRAWS) < 1.6 && fabs(squares / DRAWS - 300.0) < 27.0 && most < 31.0 && most > 28.0,
              "mean %g, mean square %g, at most %g", sum / DRAWS, squares / DRAWS, most);
}

/* ---- copies ---------------------------------------------------------------------------------- */

/* The tiny network on samples that are moved by hand. */
static void tta_check(const struct cnn_model *tiny, bool flips, int shift, const char *average)
{
    enum { N = 5, ELEMENTS = 3 * 32 * 32, CLASSES = 10 };
    const struct cnn_setting settings[] = { { .key = "flip", .text = flips ? "flip" : NULL },
                                            { .key = "shift", .number = shift }, { .key = "fill", .text = "reflect" },
                                            { .key = "average", .text = average } };
    const struct cnn_clause step = { "tta", settings, 4 };
    struct cnn_model m = *tiny;
    m.data.steps = &step;
    m.data.steps_count = 1;
    struct cnn_context *c = cnn_open(&m, 2, 3);
    struct tta tta;
    static double a[ELEMENTS], b[ELEMENTS], flat[ELEMENTS], kept[N][ELEMENTS], found[N][CLASSES];
    double sums[N][CLASSES] = { { 0 } }, loss = 0.0;
    static float narrow[ELEMENTS];
    cr_assert_eq(rt_tta_open(&tta, &m, true), 0);
    cr_assert_eq(tta.copies.count, (flips ? 2 : 1) * (shift ? 3 : 1));
    for (int i = 0; i < N; i++)
        for (int k = 0; k < ELEMENTS; k++)
            kept[i][k] = rt_random_uniform(rt_random_key(1, RANDOM_BENCH, (uint64_t)i), (uint64_t)k);
    for (int round = 0; round <= 6; round++) {          /* 6: as they are, for rt_tta_infer */
        bool mirrored = round % 2 != 0;
        int way = round / 2 - 1;
        if (round < 6 && ((mirrored && !flips) || (way && !shift)))
            continue;
        struct sample from = { NUMBER_DOUBLE, 3, 32, 32, a }, to = { NUMBER_DOUBLE, 3, 32, 32, b };
        const struct movement move = { round < 6 && mirrored, round < 6 ? way * shift : 0, round < 6 ? way * shift : 0,
                                       FILL_REFLECT, 0, 0 };
        for (int i = 0; i < N; i++) {
            c->labels[i] = i;
            memcpy(a, kept[i], sizeof a);
            rt_move(&move, &from, &to);
            for (int k = 0; k < ELEMENTS; k++) {
                flat[k] = b[k % 1024 * 3 + k / 1024];
                narrow[k] = (float)flat[k];
            }
            cnn_input_set(c, i, m.real_size == 8 ? (const void *)flat : (const void *)narrow);
        }
        if (round == 6)
            break;
        m.infer(c, N);
        double weight = (flips ? 0.5 : 1.0) * (!shift ? 1.0 : way ? 0.25 : 0.5);
        loss += weight * c->loss;
        for (int i = 0; i < N * CLASSES; i++) {
            double p = rt_predicted_number(c, i / CLASSES, i % CLASSES);
            sums[i / CLASSES][i % CLASSES] += weight * (strcmp(average, "logits") ? p : log(p));
        }
    }
    rt_tta_infer(&tta, c, N);
    cr_assert_float_eq(c->loss, loss, 1e-4);
    for (int i = 0; i < N; i++) {
        double all = 0.0;
        for (int k = 0; k < CLASSES; k++) {
            found[i][k] = rt_predicted_number(c, i, k);
            all += exp(sums[i][k]);
        }
        for (int k = 0; k < CLASSES; k++)
            cr_assert_float_eq(found[i][k], strcmp(average, "logits") ? sums[i][k] : exp(sums[i][k]) / all, 1e-6);
    }
    /* the input is as it was */
    m.infer(c, N);
    loss = c->loss;
    rt_tta_close(&tta);
    cr_assert_eq(rt_tta_open(&tta, &m, false), 0);
    cr_assert_eq(tta.copies.count, 1);
    rt_tta_infer(&tta, c, N);
    cr_assert_float_eq(c->loss, loss, 1e-9);
    rt_tta_close(&tta);
    cnn_close(c);
}

Test(tta, is_the_weighted_mean_over_copies)
{
    for (int i = 0; i < 6; i++) {
        const struct cnn_model *m = i % 2 ? &tiny_double_model : &tiny_float_model;
        tta_check(m, i < 4, i % 3, i % 4 == 3 ? "predictions" : "logits");
    }
}

/* ---- mixed samples --------------------------------------------------------------------------- */

enum { MIXED_MOST = 6, ELEMENTS = 3 * 32 * 32, CLASSES = 10 };

/* Sample i has class i and numbers of its own. */
static void batch_set(struct cnn_context *c, int n, double kept[MIXED_MOST][ELEMENTS])
{
    static float narrow[ELEMENTS];
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < ELEMENTS; k++)
            narrow[k] = (float)(kept[i][k] = 1.0 + i + rt_random_uniform(rt_random_key(1, RANDOM_BENCH, (uint64_t)i),
                                                                         (uint64_t)k));
        for (int k = 0; k < ELEMENTS && c->model->real_size == 4; k++)
            kept[i][k] = (double)narrow[k];
        cnn_input_set(c, i, c->model->real_size == 8 ? (const void *)kept[i] : (const void *)narrow);
        c->labels[i] = i;
        for (int k = 0; k < CLASSES; k++)
            rt_target_set(c, i, k, k == i);
    }
}

static double input_number(const struct cnn_context *c, int i, int k)
{
    const struct cnn_model *m = c->model;
    int64_t at = i * m->image_stride + k / 1024 * m->channel_stride + k % 1024 / 32 * m->row_stride
                 + k % 32 * m->column_stride;
    return m->real_size == 8 ? ((const double *)c->input)[at] : (double)((const float *)c->input)[at];
}

/* Whom sample i was mixed with, as its target says; -1: nobody. */
static int partner_of(const struct cnn_context *c, int i)
{
    int partner = -1;
    double sum = 0.0;
    for (int k = 0; k < CLASSES; k++) {
        sum += rt_target_number(c, i, k);
        if (k != i && rt_target_number(c, i, k) > 0.0) {
            cr_assert_eq(partner, -1, "sample %d is made of more than two", i);
            partner = k;
        }
    }
    cr_assert_float_eq(sum, 1.0, 1e-6);
    return partner;
}

/* Each number is a mean with the shares of the target, or the partner's within a box of its share. */
static void mixed_check(const struct cnn_context *c, int i, double kept[MIXED_MOST][ELEMENTS], bool cuts)
{
    int partner = partner_of(c, i), inside = 0, first = -1, last = -1, left = 32, right = -1;
    double share = rt_target_number(c, i, i);
    cr_assert_eq(c->labels[i], share >= 0.5 || partner < 0 ? i : partner);
    for (int k = 0; k < ELEMENTS; k++) {
        double own = kept[i][k], other = partner < 0 ? own : kept[partner][k], found = input_number(c, i, k);
        if (!cuts) {
            cr_assert_float_eq(found, share * own + (1.0 - share) * other, 1e-5);
            continue;
        }
        bool is_own = fabs(found - own) < 1e-9;
        cr_assert(is_own || fabs(found - other) < 1e-9, "number %d of sample %d is of none of two", k, i);
        if (is_own || k >= 1024)
            continue;
        inside++;
        first = first < 0 ? k / 32 : first;
        last = k / 32;
        left = k % 32 < left ? k % 32 : left;
        right = k % 32 > right ? k % 32 : right;
    }
    if (cuts && inside) {
        cr_assert_eq(inside, (last - first + 1) * (right - left + 1), "what was put in is no box");
        cr_assert_float_eq(share, 1.0 - inside / 1024.0, 1e-6);
    }
}

static void mix_walk(const struct cnn_model *tiny, double mixup, double cutmix)
{
    enum { ROUNDS = 400 };
    static double kept[MIXED_MOST][ELEMENTS];
    const struct cnn_setting settings[] = { { .key = "mixup", .number = mixup },
                                            { .key = "cutmix", .number = cutmix } };
    const struct cnn_clause step = { "augment", settings, 2 };
    struct cnn_model m = *tiny;
    m.data.steps = &step;
    m.data.steps_count = 1;
    m.train.mixes = true;
    struct cnn_context *c = cnn_open(&m, 1, 3);
    double sum = 0.0, squares = 0.0;
    int count = 0, partners[MIXED_MOST] = { 0 };
    for (int round = 0; round < ROUNDS; round++) {
        int n = round % 2 ? 6 : 5, alone = 0;
        batch_set(c, n, kept);
        rt_mix(c, n, rt_random_key(7, RANDOM_MIX, (uint64_t)round));
        for (int i = 0; i < n; i++) {
            int partner = partner_of(c, i);
            if (round < 20)
                mixed_check(c, i, kept, cutmix > 0.0);
            /* a share may round to nothing, and a box be empty */
            alone += partner < 0;
            if (partner >= 0 && n == 6)
                partners[i == 0 ? partner : 0]++;
            if (n == 5 && partner < 0)
                continue;
            double share = rt_target_number(c, i, i);
            sum += share;
            squares += (share - 0.5) * (share - 0.5);
            count++;
        }
        cr_assert(n == 6 || alone >= 1, "an odd batch has no sample that is left alone");
    }
    if (mixup > 0.0) {
        double variance = 1.0 / (4.0 * (2.0 * mixup + 1.0));
        cr_assert_float_eq(sum / count, 0.5, 5.0 * sqrt(variance / count));
        cr_assert_float_eq(squares / count, variance, 0.1 * variance);
    }
    for (int k = 1; k < 6; k++)         /* of 200 batches of six; only odd sums pair, so 0 meets 1, 3 and 5 */
        cr_assert(k % 2 ? partners[k] > 35 : partners[k] == 0, "sample 0 met %d %d times", k, partners[k]);
    /* the same key, the same batch */
    static double again[MIXED_MOST][ELEMENTS];
    batch_set(c, 6, kept);
    rt_mix(c, 6, 5);
    for (int i = 0; i < 6; i++)
        for (int k = 0; k < ELEMENTS; k++)
            again[i][k] = input_number(c, i, k);
    batch_set(c, 6, kept);
    rt_mix(c, 6, 5);
    for (int i = 0; i < 6; i++)
        for (int k = 0; k < ELEMENTS; k++)
            cr_assert(fabs(again[i][k] - input_number(c, i, k)) <= 0.0);
    batch_set(c, 1, kept);
    rt_mix(c, 1, 5);
    cr_assert_eq(partner_of(c, 0), -1);
    cnn_close(c);
}

Test(mixup, is_the_mean_of_two_samples_and_their_targets)
{
    mix_walk(&tiny_float_model, 1.0, 0.0);
    mix_walk(&tiny_double_model, 0.5, 0.0);
}

Test(cutmix, puts_in_a_box_of_another_sample)
{
    mix_walk(&tiny_float_model, 0.0, 1.0);
    mix_walk(&tiny_double_model, 0.0, 0.5);
}
