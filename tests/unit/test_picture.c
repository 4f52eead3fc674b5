/* test_picture.c - places of pictures: nothing overlaps, no line runs through a box, texts fit, every input has its
 * line; in networks drawn at random as in those by hand. */
#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "check/check.h"
#include "show/picture.h"
#include "syntax/parse.h"

struct drawn {
    struct arena arena;
    struct picture_list *list;
    bool placed;
};

static struct drawn *draw(const char *text)
{
    struct drawn *d = calloc(1, sizeof *d);
    struct diag *diag = diag_new(&d->arena);
    struct source *source = source_from_text(&d->arena, "test.cnn", text, strlen(text));
    struct check_options options = {0};
    const struct model *m = check_model(&d->arena, source, parse_source(&d->arena, source, diag), &options, diag);

    if (diag_errors(diag))
        diag_print(diag, stderr);
    cr_assert_eq(diag_errors(diag), 0, "%s", text);
    d->list = picture_of(&d->arena, m);
    d->placed = picture_place(&d->arena, d->list);
    return d;
}

static void draw_free(struct drawn *d)
{
    arena_free(&d->arena);
    free(d);
}

/* ---- what holds of every picture ------------------------------------------------------------- */

static bool is_within(const struct picture_item *i, int x, int y)
{
    return x > i->x && x < i->x + i->width && y > i->y && y < i->y + i->height;
}

static void check_items(const struct picture_list *list, const char *text)
{
    for (int i = 0; i < list->count; i++) {
        const struct picture_item *a = &list->items[i];
        cr_assert(a->x >= 0 && a->y >= 0 && a->x + a->width <= list->width && a->y + a->height <= list->height,
                  "item %d lies at %d %d, %dx%d, in a list of %dx%d: %s", i, a->x, a->y, a->width, a->height,
                      list->width,
                  list->height, text);
        for (int k = 0; k < i; k++) {
            const struct picture_item *b = &list->items[k];
            cr_assert(a->x >= b->x + b->width + 4 || b->x >= a->x + a->width + 4 || a->y >= b->y + b->height + 4 ||
                      b->y >= a->y + a->height + 4, "items %d and %d overlap: %s", k, i, text);
        }
    }
}

static void check_box(const struct picture_item *box, const char *text)
{
    for (int i = 0; i < box->rows_count; i++) {
        const struct picture_row *r = &box->rows[i];
        int width = picture_text_width(r->word, TEXT_SIZE, true) + picture_text_width(r->number, TEXT_SIZE, false) +
                    picture_text_width(r->arguments, TEXT_SIZE, false);
        width += r->weights ? picture_text_width(r->weights, SMALL_SIZE, false) + 8 : 0;
        width += r->label ? picture_text_width(r->label, TEXT_SIZE, false) : 0;
        cr_assert(width + 2 * BOX_SIDE <= box->width, "a row of %d pixels in a box of %d: %s", width, box->width, text);
    }
    cr_assert(box->height >= box->rows_count * ROW_HEIGHT);
}

static void check_point(const struct picture_list *list, double x, double y, const char *text)
{
    for (int i = 0; i < list->count; i++)
        cr_assert(!is_within(&list->items[i], (int)x, (int)y), "a line runs through item %d at %g %g: %s", i, x, y,
                  text);
}

/* Curves by the formula that the drawing has: a cubic one, upright at both ends. */
static void check_line(const struct picture_list *list, const struct picture_line *line, const char *text)
{
    enum { STEPS = 64 };

    for (int i = 1; i < line->count; i++) {
        struct point a = line->points[i - 1], b = line->points[i];
        for (int k = 0; k <= STEPS; k++) {
            double t = (double)k / STEPS, s = t * t * (3 - 2 * t), half = (a.y + b.y) / 2.0;
            if (line->square || a.x == b.x)
                check_point(list, a.x + t * (b.x - a.x), a.y + t * (b.y - a.y), text);
            else
                check_point(list, a.x + s * (b.x - a.x), (1 - t) * (1 - t) * (1 - t) * a.y +
                            3 * t * (1 - t) * half + t * t * t * b.y, text);
        }
        cr_assert(line->square || b.y >= a.y, "a line goes up: %s", text);
    }
}

static void check_arrivals(const struct picture_list *list, const char *text)
{
    for (int i = 0; i < list->count; i++) {
        const struct picture_item *item = &list->items[i];
        int arrive = 0;
        for (int k = 0; k < list->lines_count; k++) {
            struct point end = list->lines[k].points[list->lines[k].count - 1];
            arrive += list->lines[k].arrow && end.y == item->y && end.x > item->x && end.x < item->x + item->width;
        }
        cr_assert_eq(arrive, item->inputs_count, "%d lines arrive at item %d, which has %d inputs: %s", arrive, i,
                     item->inputs_count, text);
    }
}

static void check_texts(const struct picture_list *list, const char *text)
{
    for (int i = 0; i < list->texts_count; i++) {
        const struct picture_text *t = &list->texts[i];
        int width = picture_text_width(t->text, SMALL_SIZE, false);
        for (int k = 0; k < list->count; k++)
            for (int x = 0; x <= width; x += width / 4 + 1)
                for (int y = 0; y < SMALL_SIZE - 1; y += 4)
                    cr_assert(!is_within(&list->items[k], t->at.x + x, t->at.y - y), "a shape lies on item %d: %s", k,
                              text);
    }
}

static void check_list(const struct picture_list *list, const char *text)
{
    check_items(list, text);
    for (int i = 0; i < list->lines_count; i++)
        check_line(list, &list->lines[i], text);
    check_arrivals(list, text);
    check_texts(list, text);
    for (int i = 0; i < list->count; i++) {
        const struct picture_item *item = &list->items[i];
        if (item->inside) {
            check_list(item->inside, text);
            cr_assert(item->inside->width + 2 * FRAME_SIDE <= item->width);
            cr_assert(item->port_in >= 0 && item->port_in <= item->width);
        } else {
            check_box(item, text);
        }
    }
}

static void check_picture(const char *text)
{
    struct drawn *d = draw(text);

    cr_assert(d->placed, "%s", text);
    check_list(d->list, text);
    draw_free(d);
}

/* ---- networks at random ---------------------------------------------------------------------- */

static int choose(uint64_t *state, int count)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (int)((*state >> 33) % (uint64_t)count);
}

static void some_layer(struct text *t, uint64_t *state)
{
    static const char *const layers[] = {"conv2d 8, 3x3, padding=same", "batchnorm relu", "relu", "dropout 0.25",
                                         "conv2d 8, 1x1, relu", "locally_connected2d 8, 1x1, bias=off"};
    text_add(t, "%s", layers[choose(state, 6)]);
}

/* Layers and branches that keep 8x8x8; names are seen within a body only. */
static void some_body(struct text *t, uint64_t *state, int depth, int *names)
{
    int count = choose(state, 5), first = *names, seen = 0;

    for (int i = 0; i < count; i++) {
        int what = choose(state, 10);
        if (what < 2 && depth > 0) {
            text_add(t, "add {");
            for (int k = 2 + choose(state, 3); k > 0; k--) {
                text_add(t, " branch {\n");
                some_body(t, state, depth - 1, names);
                text_add(t, "}");
            }
            text_add(t, "}\n");
            first = *names;
            seen = 0;
        } else if (what == 3 && depth > 0) {
            text_add(t, "repeat %d {\n", 1 + choose(state, 3));
            some_body(t, state, depth - 1, names);
            text_add(t, "}\n");
            first = *names;
            seen = 0;
        } else if (what == 4 && depth > 0) {
            text_add(t, "repeat %d { unit %d as n%d }\n", 1 + choose(state, 3), choose(state, 2), (*names)++);
            first = *names;
            seen = 0;
        } else if (what == 2 && seen > 0) {
            text_add(t, "add");
            for (int k = 0, last = -1; k <= choose(state, 3); k++) {
                int name = first + choose(state, seen);
                if (name != last)
                    text_add(t, "%s n%d", k ? "," : "", name);
                last = name;
            }
            text_add(t, "\n");
        } else {
            some_layer(t, state);
            text_add(t, " as n%d\n", (*names)++);
            seen++;
        }
    }
}

Test(picture, random_networks)
{
    for (uint64_t seed = 1; seed <= 400; seed++) {
        struct arena a = {0};
        struct text t = {.arena = &a};
        uint64_t state = seed * 7919;
        int names = 0;
        text_add(&t, "network { input 8x8x8\n");
        some_body(&t, &state, 3, &names);
        some_body(&t, &state, 2, &names);
        text_add(&t, "flatten; dense 10, softmax }\nblock unit(deep) {\n");
        some_body(&t, &state, 0, &names);
        text_add(&t, "add { branch { } branch { if deep > 0 { conv2d 8, 1x1 }; relu } }\n");
        text_add(&t, "if deep > 0 { conv2d 8, 1x1 }; relu }\n");
        check_picture(text_of(&t));
        arena_free(&a);
    }
}

/* ---- by hand --------------------------------------------------------------------------------- */

Test(picture, the_same_result_twice)
{
    check_picture("network { input 8x8x8; add { branch { } branch { } }; add { branch { } branch { } branch { relu } } }");
}

Test(picture, a_long_network_in_columns)
{
    struct arena a = {0};
    struct text t = {.arena = &a};

    text_add(&t, "network { input 3x16x16\n");
    for (int i = 0; i < 100; i++)
        text_add(&t, "conv2d %d, 3x3, relu, padding=same\n", 1 + i % 7);
    text_add(&t, "}\n");
    struct drawn *d = draw(text_of(&t));
    check_list(d->list, "long");
    cr_assert(d->list->height < 2 * d->list->width && d->list->width < 2 * d->list->height, "%dx%d", d->list->width,
              d->list->height);
    draw_free(d);
    arena_free(&a);
}

/* What works element by element stands in the box of what it reads, if nothing else reads that. */
Test(picture, boxes)
{
    struct drawn *d = draw("network { input 3x8x8; conv2d 4, 3x3 as a; batchnorm relu; dropout 0.5; relu as b; gelu; add b }");

    cr_assert_eq(d->list->count, 4);
    cr_assert_eq(d->list->items[1].rows_count, 4);
    cr_assert_str_eq(d->list->items[1].rows[0].label, "a");
    cr_assert_str_eq(d->list->items[1].rows[1].number, "_1");
    cr_assert_str_eq(d->list->items[1].rows[1].weights, "8");
    cr_assert_eq(d->list->items[3].inputs_count, 2);
    draw_free(d);
}

/* Rounds that say the same are drawn once, the first of another shape by itself; a group that stays alone keeps its
 * frame. */
Test(picture, copies)
{
    struct drawn *d = draw("network { input 3x8x8; repeat 3 { unit 4 as a }; repeat 5 { other in_channels * 2 } }\n"
                           "block unit(n) { conv2d n, 1x1 as c; relu }\n"
                           "block other(n) { conv2d n, 1x1; conv2d n, 1x1 }");
    const struct picture_item *items = d->list->items;

    cr_assert_eq(d->list->count, 8);
    cr_assert_eq(items[1].copies, 1);
    cr_assert_str_eq(items[1].title, "a: unit 4");
    cr_assert_eq(items[2].copies, 2);
    cr_assert_str_eq(items[2].inside->items[0].rows[0].label, "c");
    cr_assert_eq(items[3].copies, 1);
    cr_assert_str_eq(items[7].title, "other 128");
    draw_free(d);
}

/* Many rounds of one text that change channels are one, with what the first and the last have. */
Test(picture, copies_that_grow)
{
    struct drawn *d = draw("network { input 3x8x8; repeat 4 { conv2d 2, 1x1; batchnorm; maxpool2d 2x2, stride=1 } }");
    const struct picture_item *group = &d->list->items[1];

    cr_assert_eq(d->list->count, 2);
    cr_assert_eq(group->copies, 4);
    cr_assert_str_eq(group->inside->items[0].rows[0].weights, "8 … 6");
    cr_assert_str_eq(group->inside->items[0].shape, "2x8x8 … 2x5x5");
    cr_assert_str_eq(group->shape, "2x4x4");
    draw_free(d);
}

/* A use whose layers are read from outside, or that reads two results, has no frame. */
Test(picture, open_blocks)
{
    struct drawn *d = draw("network { input 4x8x8; two as t; add t.a; conv2d 4, 1x1 as b; from t; join b }\n"
                           "block two() { conv2d 4, 1x1 as a; relu }\nblock join(x) { conv2d 4, 1x1; add x }");

    for (int i = 0; i < d->list->count; i++)
        cr_assert(!d->list->items[i].inside, "item %d has a frame", i);
    check_list(d->list, "open");
    draw_free(d);
}

/* Two branches of boxes: the result that both read parts in the middle; one beside an empty branch goes straight on. */
Test(picture, straight)
{
    struct drawn *d = draw("network { input 3x8x8; conv2d 3, 1x1; add { branch { } branch { conv2d 3, 1x1; conv2d 3, 1x1 } } }");
    const struct picture_item *items = d->list->items;

    for (int i = 1; i < d->list->count; i++)
        cr_assert_eq(items[i].x + items[i].port_in, items[0].x + items[0].port_in, "item %d", i);
    draw_free(d);
}

static struct drawn *draw_side_by_side(int count)
{
    struct arena a = {0};
    struct text t = {.arena = &a};

    text_add(&t, "network { input 1x4x4\n add {");
    for (int i = 0; i < count; i++)
        text_add(&t, " branch { conv2d 1, 1x1; conv2d 1, 1x1 }\n");
    text_add(&t, "}\n }\n");
    struct drawn *d = draw(text_of(&t));
    arena_free(&a);
    return d;
}

Test(picture, too_many_side_by_side)
{
    struct drawn *fits = draw_side_by_side(LANES_MOST), *too_many = draw_side_by_side(LANES_MOST + 1);

    cr_assert(fits->placed);
    check_list(fits->list, "wide");
    cr_assert(!too_many->placed);
    draw_free(fits);
    draw_free(too_many);
}
