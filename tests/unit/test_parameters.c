/* test_parameters.c - parameters of kinds that no layer has yet: their places in memory against a walk through memory
 * itself, element by element; reading, writing and padding; what files, initialisers and comments are told. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "common/param_layout.h"
#include "graph/parameter.h"

#define OUT CNN_AXIS_OUT
#define IN CNN_AXIS_IN
#define KH CNN_AXIS_KH
#define KW CNN_AXIS_KW
#define OH CNN_AXIS_OH
#define OW CNN_AXIS_OW
#define GROUP CNN_AXIS_GROUP

enum { LANES = 8, PANEL = 16 };

static const struct kind {
    const char *name;
    struct param_form form;
    int extents[CNN_MAX_RANK];
    struct map_order orders[CNN_MAX_RANK];
    int panel;
    /* what is expected */
    const char *shape, *memory;
    int64_t fan_in, fan_out;
} kinds[] = {
    { .name = "filters",
      .form = { .files = { OUT, IN, KH, KW }, .memory = { OUT, KH, KW, IN }, .packing = PACKED_PANELS, .cut = OUT },
      .extents = { 37, 5, 3, 2 }, .panel = PANEL,
      .shape = "37x5x3x2", .memory = "(37 in panels of 16, 3, 2, 5)", .fan_in = 30, .fan_out = 222 },
    { .name = "depthwise",
      .form = { .files = { OUT, IN, KH, KW }, .memory = { KH, KW, IN, OUT }, .packing = PACKED_ROWS },
      .extents = { 13, 1, 5, 3 }, .panel = LANES,
      .shape = "13x1x5x3", .memory = "(5, 3, 1, 13)", .fan_in = 15, .fan_out = 195 },
    { .name = "depthwise, by vectors",
      .form = { .files = { OUT, IN, KH, KW }, .memory = { OUT, KH, KW, IN }, .packing = PACKED_VECTORS, .cut = OUT },
      .extents = { 29, 2, 3, 2 }, .panel = LANES,
      .shape = "29x2x3x2", .memory = "(29 in panels of 8, 3, 2, 2)", .fan_in = 12, .fan_out = 174 },
    { .name = "groups",
      .form = { .files = { GROUP, OUT, IN, KH, KW }, .joined = 1,
                .memory = { GROUP, OUT, KH, KW, IN }, .packing = PACKED_PANELS, .cut = OUT },
      .extents = { 3, 11, 5, 3, 3 }, .panel = PANEL,
      .shape = "33x5x3x3", .memory = "(3, 11 in panels of 16, 3, 3, 5)", .fan_in = 45, .fan_out = 297 },
    { .name = "transposed",
      .form = { .files = { IN, OUT, KH, KW }, .memory = { OUT, KH, KW, IN }, .packing = PACKED_PANELS, .cut = OUT },
      .extents = { 7, 19, 4, 2 }, .panel = PANEL,
      .shape = "7x19x4x2", .memory = "(19 in panels of 16, 4, 2, 7)", .fan_in = 56, .fan_out = 152 },
    { .name = "transposed, by inputs",
      .form = { .files = { IN, OUT, KH, KW }, .memory = { IN, KH, KW, OUT }, .packing = PACKED_PANELS, .cut = IN },
      .extents = { 17, 3, 2, 5 }, .panel = PANEL,
      .shape = "17x3x2x5", .memory = "(17 in panels of 16, 2, 5, 3)", .fan_in = 170, .fan_out = 30 },
    { .name = "vector",
      .form = { .files = { OUT }, .memory = { OUT }, .packing = PACKED_ROWS },
      .extents = { 19 }, .panel = LANES,
      .shape = "19", .memory = "(19)", .fan_in = 19, .fan_out = 19 },
    { .name = "vector of a map",
      .form = { .files = { OUT }, .memory = { OUT }, .packing = PACKED_ROWS },
      .extents = { 105 }, .orders = { { 7, 5, 3 } }, .panel = LANES,
      .shape = "105", .memory = "(105)", .fan_in = 105, .fan_out = 105 },
    { .name = "embedding",
      .form = { .files = { IN, OUT }, .memory = { IN, OUT }, .packing = PACKED_ROWS },
      .extents = { 101, 9 }, .panel = LANES,
      .shape = "101x9", .memory = "(101, 9)", .fan_in = 101, .fan_out = 9 },
    { .name = "matrix after a map",
      .form = { .files = { OUT, IN }, .memory = { OUT, IN }, .packing = PACKED_PANELS, .cut = OUT },
      .extents = { 21, 30 }, .orders = { { 0 }, { 5, 3, 2 } }, .panel = PANEL,
      .shape = "21x30", .memory = "(21 in panels of 16, 30)", .fan_in = 30, .fan_out = 21 },
    { .name = "matrix between two maps",
      .form = { .files = { OUT, IN }, .memory = { IN, OUT }, .packing = PACKED_TIGHTLY },
      .extents = { 12, 30 }, .orders = { { 3, 2, 2 }, { 5, 3, 2 } },
      .shape = "12x30", .memory = "(30, 12)", .fan_in = 30, .fan_out = 12 },
    { .name = "positions",
      .form = { .files = { OH, OW, OUT, IN, KH, KW },
                .memory = { OH, OW, OUT, KH, KW, IN }, .packing = PACKED_DIVISORS, .cut = OUT },
      .extents = { 3, 2, 32, 5, 1, 3 }, .panel = PANEL,
      .shape = "3x2x32x5x1x3", .memory = "(3, 2, 32 in panels of 16, 1, 3, 5)", .fan_in = 15, .fan_out = 96 },
    { .name = "positions, odd",
      .form = { .files = { OH, OW, OUT, IN, KH, KW },
                .memory = { OH, OW, OUT, KH, KW, IN }, .packing = PACKED_DIVISORS, .cut = OUT },
      .extents = { 3, 2, 7, 5, 1, 3 }, .panel = 7,
      .shape = "3x2x7x5x1x3", .memory = "(3, 2, 7 in panels of 7, 1, 3, 5)", .fan_in = 15, .fan_out = 21 },
    { .name = "positions by groups",
      .form = { .files = { OH, OW, GROUP, OUT, IN, KH, KW }, .joined = 1 << 2,
                .memory = { GROUP, OH, OW, KH, KW, IN, OUT }, .packing = PACKED_ROWS },
      .extents = { 2, 3, 2, 5, 3, 2, 1 }, .panel = LANES,
      .shape = "2x3x10x3x2x1", .memory = "(2, 2, 3, 2, 1, 3, 5)", .fan_in = 6, .fan_out = 20 },
    { .name = "map",
      .form = { .files = { OH, OW, OUT }, .memory = { OH, OW, OUT }, .packing = PACKED_TIGHTLY },
      .extents = { 3, 5, 7 },
      .shape = "3x5x7", .memory = "(3, 5, 7)", .fan_in = 7, .fan_out = 7 },
};

enum { KINDS = sizeof kinds / sizeof *kinds };

static struct param param_of(const struct kind *k)
{
    struct param p = { .name = k->name, .form = &k->form };

    memcpy(p.extents, k->extents, sizeof p.extents);
    memcpy(p.orders, k->orders, sizeof p.orders);
    return p;
}

/* ---- a walk through memory --------------------------------------------------------------------------------------- */

static int count_of(const enum cnn_axis *list)
{
    int count = 0;
    while (count < CNN_MAX_RANK && list[count])
        count++;
    return count;
}

/* The number in a file of the element with those indices, by axis (of the axis' own elements in memory's order). */
static int64_t file_index(const struct param *p, const int *at)
{
    int64_t index = 0;
    for (int i = 0; p->form->files[i] && i < CNN_MAX_RANK; i++) {
        struct map_order o = p->orders[i];
        int own = at[p->form->files[i]];
        if (o.c)                                /* (h, w, c) in memory, (c, h, w) in files */
            own = own % o.c * o.h * o.w + own / o.c;
        index = index * p->extents[i] + own;
    }
    return index;
}

/* Walks over all stored elements in the order of memory: places[file index], returns how many are stored. */
static int64_t walk(const struct kind *k, const struct param *p, int64_t *places)
{
    int count = count_of(k->form.memory), at[CNN_AXIS_GROUP + 1] = { 0 };
    int digits[CNN_MAX_RANK + 1] = { 0 }, limits[CNN_MAX_RANK + 1];
    bool panels = k->form.packing >= PACKED_PANELS;
    for (int d = 0; d < count; d++) {
        limits[d] = param_extent(p, k->form.memory[d]);
        if (panels && k->form.memory[d] == k->form.cut)
            limits[d] = (limits[d] + k->panel - 1) / k->panel;
    }
    if (k->form.packing == PACKED_ROWS)
        limits[count - 1] = (limits[count - 1] + LANES - 1) / LANES * LANES;
    limits[count] = panels ? k->panel : 1;
    for (int64_t place = 0;; place++) {
        bool real = true;
        for (int d = 0; d < count; d++) {
            enum cnn_axis axis = k->form.memory[d];
            at[axis] = panels && axis == k->form.cut ? digits[d] * k->panel + digits[count] : digits[d];
            real = real && at[axis] < param_extent(p, axis);
        }
        if (real)
            places[file_index(p, at)] = place;
        int d = count;
        while (d >= 0 && ++digits[d] == limits[d])
            digits[d--] = 0;
        if (d < 0)
            return place + 1;
    }
}

Test(parameters, lie_where_a_walk_through_memory_finds_them)
{
    for (int i = 0; i < KINDS; i++) {
        struct param p = param_of(&kinds[i]);
        int64_t count = param_elements(&p), stored;
        int64_t *places = malloc((size_t)count * sizeof *places);
        cr_assert_null(param_fault(&p), "%s: %s", p.name, param_fault(&p));
        struct cnn_layout l = param_layout(&p, kinds[i].panel, LANES, &stored);
        cr_assert_eq(walk(&kinds[i], &p, places), stored, "%s: %lld stored", p.name, (long long)stored);
        for (int64_t e = 0; e < count; e++)
            cr_assert_eq(rt_layout_place(&l, e), places[e], "%s: element %lld at %lld, not %lld", p.name, (long long)e,
                         (long long)rt_layout_place(&l, e), (long long)places[e]);
        free(places);
    }
}

/* ---- reading and writing ----------------------------------------------------------------------------------------- */

Test(parameters, are_written_and_read_in_pieces_and_leave_their_padding_alone)
{
    for (int i = 0; i < KINDS; i++) {
        struct param p = param_of(&kinds[i]);
        int64_t count = param_elements(&p), stored, zeros = 0;
        struct cnn_layout l = param_layout(&p, kinds[i].panel, LANES, &stored);
        float *file = malloc((size_t)count * sizeof *file), *again = calloc((size_t)count, sizeof *again);
        float *memory = calloc((size_t)stored, sizeof *memory);
        for (int64_t e = 0; e < count; e++)
            file[e] = (float)(e + 1);
        for (int64_t from = 0, piece = 1; from < count; from += piece, piece = piece * 2 + 3) {
            piece = piece < count - from ? piece : count - from;
            rt_layout_scatter(&l, sizeof *file, memory, from, piece, file + from);
        }
        for (int64_t e = 0; e < stored; e++)
            zeros += memory[e] == 0;
        cr_assert_eq(zeros, stored - count, "%s: the padding was written", p.name);
        for (int64_t from = 0, piece = 5; from < count; from += piece, piece = piece * 3 - 1) {
            piece = piece < count - from ? piece : count - from;
            rt_layout_gather(&l, sizeof *file, memory, from, piece, again + from);
        }
        cr_assert_eq(memcmp(file, again, (size_t)count * sizeof *file), 0, "%s: other numbers come back", p.name);
        free(file);
        free(again);
        free(memory);
    }
}

/* ---- what others are told ---------------------------------------------------------------------------------------- */

Test(parameters, say_their_shape_their_memory_and_their_fans)
{
    struct arena arena = { 0 };
    for (int i = 0; i < KINDS; i++) {
        const struct kind *k = &kinds[i];
        struct param p = param_of(k);
        int64_t shape[CNN_MAX_RANK], fan_in, fan_out, elements = 1;
        enum cnn_axis axes[CNN_MAX_RANK];
        int rank = param_shape(&p, shape, axes);
        for (int d = 0; d < rank; d++) {
            elements *= shape[d];
            cr_assert_neq(axes[d], GROUP, "%s: a group is no axis of files", p.name);
        }
        cr_assert_eq(elements, param_elements(&p));
        cr_assert_str_eq(param_shape_text(&arena, &p, "x"), k->shape, "%s", p.name);
        cr_assert_str_eq(param_memory_text(&arena, &p, k->panel), k->memory, "%s", p.name);
        param_fans(&p, &fan_in, &fan_out);
        cr_assert_eq(fan_in, k->fan_in, "%s: fan in %lld", p.name, (long long)fan_in);
        cr_assert_eq(fan_out, k->fan_out, "%s: fan out %lld", p.name, (long long)fan_out);
    }
    arena_free(&arena);
}

Test(parameters, faults_are_found)
{
    static const struct kind faults[] = {
        { .name = "no axis",
          .form = { .files = { 0 }, .memory = { 0 }, .packing = PACKED_TIGHTLY },
          .extents = { 0 } },
        { .name = "an axis less in memory",
          .form = { .files = { OUT, IN }, .memory = { OUT }, .packing = PACKED_TIGHTLY },
          .extents = { 3, 4 } },
        { .name = "another axis in memory",
          .form = { .files = { OUT, IN }, .memory = { OUT, KH }, .packing = PACKED_TIGHTLY },
          .extents = { 3, 4 } },
        { .name = "twice in memory",
          .form = { .files = { OUT, IN }, .memory = { OUT, OUT }, .packing = PACKED_TIGHTLY },
          .extents = { 3, 4 } },
        { .name = "twice in files",
          .form = { .files = { OUT, OUT }, .memory = { OUT, IN }, .packing = PACKED_TIGHTLY },
          .extents = { 3, 4 } },
        { .name = "no extent",
          .form = { .files = { OUT, IN }, .memory = { OUT, IN }, .packing = PACKED_TIGHTLY },
          .extents = { 3, 0 } },
        { .name = "order of another size",
          .form = { .files = { OUT, IN }, .memory = { OUT, IN }, .packing = PACKED_TIGHTLY },
          .extents = { 3, 4 }, .orders = { { 0 }, { 2, 2, 2 } } },
        { .name = "joined to nothing",
          .form = { .files = { OUT, IN }, .joined = 1 << 1, .memory = { OUT, IN }, .packing = PACKED_TIGHTLY },
          .extents = { 3, 4 } },
        { .name = "cut where it has no axis",
          .form = { .files = { OUT, IN }, .memory = { OUT, IN }, .packing = PACKED_PANELS, .cut = KH },
          .extents = { 3, 4 } },
        { .name = "cut through an order",
          .form = { .files = { OUT, IN }, .memory = { OUT, IN }, .packing = PACKED_PANELS, .cut = IN },
          .extents = { 3, 8 }, .orders = { { 0 }, { 2, 2, 2 } } },
        { .name = "too many axes",
          .form = { .files = { GROUP, OUT, IN, KH, KW, OH, OW },
                    .memory = { GROUP, OUT, IN, KH, KW, OH, OW }, .packing = PACKED_TIGHTLY },
          .extents = { 1, 2, 8, 1, 1, 1, 1 }, .orders = { { 0 }, { 0 }, { 2, 2, 2 } } },
    };
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        struct param p = param_of(&faults[i]);
        cr_assert_not_null(param_fault(&p), "%s", p.name);
    }
}
