/* test_shapes.c - shape rules, their messages, and the counts of parameters and multiply-adds. */
#include <criterion/criterion.h>
#include <math.h>
#include "network_fixture.h"

/* ---- windows, counted by sliding them -------------------------------------------------------- */

/* Positions of a window that starts in the padding and must end within it. */
static int slide(int in, int size, int stride, int dilation, int padding)
{
    int count = 0;

    for (int start = -padding;; start += stride) {
        int last_tap = start;
        for (int tap = 1; tap < size; tap++)
            last_tap += dilation;
        if (last_tap > in - 1 + padding)
            return count;
        count++;
    }
}

/* `same`: a result for each stride that begins in the input. */
static int slide_same(int in, int stride)
{
    int count = 0;

    for (int start = 0; start < in; start += stride)
        count++;
    return count;
}

static struct layer *conv_candidate(struct network *n, struct layer *in, int kh, int kw, int sh,
                                    int sw, int dh, int dw)
{
    struct layer *l = layer_after(n, "conv2d", in);

    arg_number(l, "filters", 5);
    arg_pair(l, "kernel", kh, kw);
    arg_pair(l, "stride", sh, sw);
    arg_pair(l, "dilation", dh, dw);
    return l;
}

static void check_conv(int h, int w, int k, int s, int d, int pad)
{
    struct network n;
    int kh = k, kw = k % 3 + 1, sh = s, sw = s % 3 + 1, dh = d, dw = d % 2 + 1,
        pw = pad ? pad - 1 : 1;
    int oh = slide(h, kh, sh, dh, pad), ow = slide(w, kw, sw, dw, pw);

    network_begin(&n);
    struct layer *l = conv_candidate(&n, put_input(&n, 3, h, w), kh, kw, sh, sw, dh, dw);
    arg_pair(l, "padding", pad, pw);
    bool fits = layer_shape(&n, l);
    cr_assert_eq(fits, oh > 0 && ow > 0,
                 "%dx%d, kernel %dx%d stride %dx%d dilation %dx%d padding %dx%d", h, w, kh, kw, sh,
                 sw, dh, dw, pad, pw);
    cr_assert_eq(diag_errors(n.diag), fits ? 0 : 1);
    if (fits)
        cr_assert(l->out.c == 5 && l->out.h == oh && l->out.w == ow && !l->out.flat,
                  "%dx%d, kernel %dx%d stride %dx%d dilation %dx%d padding %dx%d gives %dx%d, "
                  "counted %dx%d",
                  h, w, kh, kw, sh, sw, dh, dw, pad, pw, l->out.h, l->out.w, oh, ow);
    network_end(&n);
}

Test(shapes, convolution_with_numbers_for_padding)
{
    for (int h = 1; h <= 8; h++)
        for (int k = 1; k <= 4; k++)
            for (int s = 1; s <= 3; s++)
                for (int d = 1; d <= 2; d++)
                    for (int pad = 0; pad <= 2; pad++)
                        check_conv(h, 9 - h + k, k, s, d, pad);
}

static struct window lowered_window(struct network *n, struct layer *l)
{
    struct graph *g = lower_model(&n->arena, &n->model, false);

    (void)l;
    return g->nodes[0]->attr.window;
}

static void check_same_ends(int in, int out, int size, int stride, int dilation, int before,
                            int after)
{
    int reach = (size - 1) * dilation + 1, last = (out - 1) * stride + reach;

    cr_assert(after - before == 0 || after - before == 1, "the odd zero is at the end");
    if (before + after)
        cr_assert_eq(last, in + before + after, "the last window ends with the padding");
    else
        cr_assert_leq(last, in);
}

static void check_same(const char *kind, int h, int k, int s, int d)
{
    struct network n;
    int w = 10 - h;

    network_begin(&n);
    struct layer *in = put_input(&n, 2, h, w);
    struct layer *l;
    if (!strcmp(kind, "conv2d")) {
        l = conv_candidate(&n, in, k, k, s, s, d, d);
    } else {
        l = layer_after(&n, kind, in);
        arg_pair(l, "window", k, k);
        arg_pair(l, "stride", s, s);
    }
    arg_text(l, "padding", "same");
    cr_assert(layer_shape(&n, l));
    cr_assert_eq(l->out.h, slide_same(h, s));
    cr_assert_eq(l->out.w, slide_same(w, s));
    struct window v = lowered_window(&n, l);
    check_same_ends(h, l->out.h, k, s, d, v.pad_top, v.pad_bottom);
    check_same_ends(w, l->out.w, k, s, d, v.pad_left, v.pad_right);
    network_end(&n);
}

Test(shapes, same_padding)
{
    for (int h = 1; h <= 9; h++)
        for (int k = 1; k <= 5; k++)
            for (int s = 1; s <= 6; s++) {
                check_same("conv2d", h, k, s, 1);
                check_same("conv2d", h, k, s, 2);
                check_same("maxpool2d", h, k, s, 1);
                check_same("avgpool2d", h, k, s, 1);
            }
}

/* ---- transposed convolutions, counted by what each number that arrives reaches ------------------------ */

static int reached(int in, int k, int stride, int dilation)
{
    int last = 0;

    for (int i = 0; i < in; i++)
        for (int tap = 0; tap < k; tap++)
            last = i * stride + tap * dilation > last ? i * stride + tap * dilation : last;
    return last + 1;
}

static void check_transposed(int in, int k, int s, int d, int pad, int more)
{
    struct network n;
    int h = reached(in, k, s, d) - 2 * pad + more, w = reached(in, k, s, 1);

    network_begin(&n);
    struct layer *l = layer_after(&n, "conv2d_transpose", put_input(&n, 3, in, in));
    arg_number(l, "filters", 5);
    arg_pair(l, "kernel", k, k);
    arg_pair(l, "stride", s, s);
    arg_pair(l, "dilation", d, 1);
    arg_pair(l, "padding", pad, 0);
    arg_pair(l, "output_padding", more, 0);
    bool fits = layer_shape(&n, l);
    cr_assert_eq(fits, h > 0, "%d, kernel %d stride %d dilation %d padding %d+%d", in, k, s, d, pad, more);
    if (fits) {
        cr_assert(l->out.c == 5 && l->out.h == h && l->out.w == w, "%d, kernel %d stride %d dilation %d padding %d+%d",
                  in, k, s, d, pad, more);
        cr_assert_null(graph_verify(lower_model(&n.arena, &n.model, false)));
    }
    network_end(&n);
}

Test(shapes, conv2d_transpose)
{
    for (int in = 1; in <= 5; in++)
        for (int k = 1; k <= 4; k++)
            for (int s = 1; s <= 3; s++)
                for (int d = 1; d <= 2; d++)
                    for (int pad = 0; pad <= 3; pad++)
                        for (int more = 0; more < s; more++)
                            check_transposed(in, k, s, d, pad, more);
}

Test(shapes, conv2d_transpose_same_is_the_input_times_the_stride)
{
    for (int k = 1; k <= 5; k++)
        for (int s = 1; s <= 6; s++) {
            struct network n;
            network_begin(&n);
            struct layer *l = layer_after(&n, "conv2d_transpose", put_input(&n, 3, 4, 3));
            arg_number(l, "filters", 2);
            arg_pair(l, "kernel", k, k);
            arg_pair(l, "stride", s, s);
            arg_text(l, "padding", "same");
            cr_assert(layer_shape(&n, l));
            cr_assert(l->out.h == 4 * s && l->out.w == 3 * s);
            struct graph *g = lower_model(&n.arena, &n.model, false);
            cr_assert_null(graph_verify(g));
            struct window v = g->nodes[0]->attr.window;     /* what is taken off: the odd row at the end */
            cr_assert(v.pad_top + v.pad_bottom == (k > s ? k - s : 0) && v.pad_bottom - v.pad_top <= 1 &&
                      v.pad_bottom >= v.pad_top);
            network_end(&n);
        }
}

Test(shapes, moves)
{
    struct network n;

    network_begin(&n);
    struct layer *in = put_input(&n, 3, 4, 5), *pad = layer_after(&n, "zero_pad2d", in);
    memcpy(clause_value(pad->clause, "padding")->dims, (int64_t[]){ 1, 0, 2, 3 }, 4 * sizeof(int64_t));
    clause_value(pad->clause, "padding")->given = true;
    cr_assert(layer_shape(&n, pad));
    cr_assert(pad->out.c == 3 && pad->out.h == 5 && pad->out.w == 10);
    struct layer *more = layer_after(&n, "pad_channels", pad);
    arg_pair(more, "channels", 2, 0);
    cr_assert(layer_shape(&n, more) && more->out.c == 5 && more->out.h == 5);
    struct layer *large = layer_after(&n, "upsample2d", more);
    arg_pair(large, "factor", 1, 3);
    cr_assert(layer_shape(&n, large) && large->out.h == 5 && large->out.w == 30);
    struct layer *shape = layer_after(&n, "reshape", large);
    arg_pair(shape, "extent", 25, 15);
    clause_value(shape->clause, "extent")->dims[2] = 2;
    cr_assert(layer_shape(&n, shape) && shape->out.c == 25 && shape->out.h == 15 && shape->out.w == 2);
    struct layer *vector = layer_after(&n, "reshape", shape);
    arg_pair(vector, "extent", 750, 0);
    cr_assert(layer_shape(&n, vector) && vector->out.flat && vector->out.c == 750);
    struct layer *flat = layer_after(&n, "pad_channels", vector);
    arg_pair(flat, "channels", 1, 1);
    cr_assert(layer_shape(&n, flat) && flat->out.flat && flat->out.c == 752);
    network_end(&n);
}

Test(shapes, conv2d_transpose_counts_its_weights_in_the_order_of_files)
{
    struct network n;

    network_begin(&n);
    struct layer *l = layer_after(&n, "conv2d_transpose", put_input(&n, 3, 4, 5));
    arg_number(l, "filters", 7);
    arg_pair(l, "kernel", 2, 3);
    cr_assert(layer_shape(&n, l));
    cr_assert_eq(l->def->parameters(l), 3 * 7 * 2 * 3 + 7);
    cr_assert_eq(l->def->multiply_adds(l), 3 * 7 * 2 * 3 * 4 * 5);
    const struct param *w = param_named(lower_model(&n.arena, &n.model, false), "conv2d_transpose_1.weight");
    int64_t shape[CNN_MAX_RANK];
    cr_assert_eq(param_shape(w, shape, NULL), 4);
    cr_assert(shape[0] == 3 && shape[1] == 7 && shape[2] == 2 && shape[3] == 3,
              "as PyTorch: in x out x rows x columns");
    cr_assert_float_eq(w->init.b, sqrt(6.0 / (6 * 3 + 6 * 7)), 1e-12);
    network_end(&n);
}

/* Whether some position sees nothing of the input. */
static bool sees_nothing(int in, int size, int stride, int padding)
{
    int positions = slide(in, size, stride, 1, padding);

    for (int p = 0; p < positions; p++) {
        int seen = 0;
        for (int tap = 0; tap < size; tap++)
            seen += p * stride - padding + tap >= 0 && p * stride - padding + tap < in;
        if (!seen)
            return true;
    }
    return false;
}

static void check_local(int h, int k, int s)
{
    struct network n;
    int kw = k % 3 + 1, sw = s % 2 + 1, w = 9 - h + kw, oh = slide(h, k, s, 1, 0),
        ow = slide(w, kw, sw, 1, 0);

    network_begin(&n);
    struct layer *l = layer_after(&n, "locally_connected2d", put_input(&n, 3, h, w));
    arg_number(l, "filters", 5);
    arg_pair(l, "kernel", k, kw);
    arg_pair(l, "stride", s, sw);
    bool fits = layer_shape(&n, l);
    cr_assert_eq(fits, oh > 0 && ow > 0);
    cr_assert_eq(diag_errors(n.diag), fits ? 0 : 1);
    if (fits) {
        cr_assert(l->out.c == 5 && l->out.h == oh && l->out.w == ow && !l->out.flat);
        cr_assert_eq(l->def->multiply_adds(l), (int64_t)oh * ow * 5 * 3 * k * kw);
        cr_assert_eq(l->def->parameters(l), (int64_t)oh * ow * 5 * (3 * k * kw + 1));
        arg_number(l, "bias", 0);
        cr_assert_eq(l->def->parameters(l), (int64_t)oh * ow * 5 * 3 * k * kw);
    }
    network_end(&n);
}

Test(shapes, locally_connected)
{
    for (int h = 1; h <= 8; h++)
        for (int k = 1; k <= 4; k++)
            for (int s = 1; s <= 3; s++)
                check_local(h, k, s);
}

Test(shapes, pooling_windows)
{
    for (int h = 1; h <= 8; h++)
        for (int k = 1; k <= 4; k++)
            for (int s = 1; s <= 5; s++)
                for (int pad = 0; pad <= 5; pad++) {
                    struct network n;
                    int w = h + 3, oh = slide(h, k, s, 1, pad), ow = slide(w, k, s, 1, pad);
                    bool right =
                        oh && ow && !sees_nothing(h, k, s, pad) && !sees_nothing(w, k, s, pad);
                    network_begin(&n);
                    struct layer *l =
                        layer_after(&n, h % 2 ? "maxpool2d" : "avgpool2d", put_input(&n, 7, h, w));
                    arg_pair(l, "window", k, k);
                    arg_pair(l, "stride", s, s);
                    arg_pair(l, "padding", pad, pad);
                    bool taken = layer_shape(&n, l);
                    cr_assert_eq(taken, right, "%dx%d, window %d stride %d padding %d", h, w, k, s,
                                 pad);
                    if (right)
                        cr_assert(l->out.c == 7 && l->out.h == oh && l->out.w == ow);
                    network_end(&n);
                }
}

Test(shapes, pooling_stride_is_the_window)
{
    struct network n;

    network_begin(&n);
    struct layer *l = put_pool(&n, put_input(&n, 4, 9, 11), "maxpool2d", 2, 3);
    cr_assert(l->out.h == 4 && l->out.w == 3);
    cr_assert_eq(clause_arg(l->clause, "stride")->dims[0], 2);
    cr_assert_eq(clause_arg(l->clause, "stride")->dims[1], 3);
    network_end(&n);
}

/* ---- other layers ---------------------------------------------------------------------------- */

static void expect_shape(const struct layer *l, const char *text)
{
    cr_assert_str_eq(shape_text(l->out).text, text);
}

Test(shapes, vectors_and_maps)
{
    struct network n;

    network_begin(&n);
    struct layer *in = put_input(&n, 3, 5, 4), *flat = put(&n, "flatten", in);
    expect_shape(in, "3x5x4");
    expect_shape(flat, "60");
    expect_shape(put(&n, "flatten", flat), "60");
    expect_shape(put(&n, "global_avgpool2d", in), "3");
    expect_shape(put(&n, "global_maxpool2d", in), "3");
    expect_shape(put_dense(&n, flat, 7), "7");
    expect_shape(put(&n, "batchnorm", in), "3x5x4");
    expect_shape(put(&n, "prelu", in), "3x5x4");
    expect_shape(put(&n, "prelu", flat), "60");
    expect_shape(put(&n, "layernorm", in), "3x5x4");
    expect_shape(put(&n, "layernorm", flat), "60");
    expect_shape(put(&n, "scale", in), "3x5x4");
    expect_shape(put(&n, "scale", flat), "60");
    expect_shape(put(&n, "spatial_dropout2d", in), "3x5x4");
    expect_shape(put(&n, "gelu", flat), "60");
    expect_shape(put(&n, "softmax", in), "3x5x4");
    network_end(&n);
}

Test(shapes, groups_divide_the_channels)
{
    struct network n;

    network_begin(&n);
    struct layer *in = put_input(&n, 6, 5, 4);
    for (int groups = 1; groups <= 7; groups++) {
        struct layer *norm = layer_after(&n, "groupnorm", in);
        arg_number(norm, "groups", groups);
        cr_assert_eq(layer_shape(&n, norm), 6 % groups == 0, "%d groups", groups);
    }
    network_end(&n);
}

Test(shapes, add_and_multiply_spread_what_has_one_number_a_channel)
{
    static const char *const kinds[] = { "add", "multiply" };

    for (int k = 0; k < 2; k++) {
        struct network n;
        network_begin(&n);
        struct layer *in = put_input(&n, 3, 5, 4), *mean = put(&n, "global_avgpool2d", in);
        struct layer *one = put_pool(&n, in, "avgpool2d", 5, 4);
        expect_shape(one, "3x1x1");
        expect_shape(put_join(&n, kinds[k], (struct layer *[]){ in, in }, 2), "3x5x4");
        expect_shape(put_join(&n, kinds[k], (struct layer *[]){ mean, in }, 2), "3x5x4");
        expect_shape(put_join(&n, kinds[k], (struct layer *[]){ in, mean }, 2), "3x5x4");
        expect_shape(put_join(&n, kinds[k], (struct layer *[]){ one, in, mean }, 3), "3x5x4");
        expect_shape(put_join(&n, kinds[k], (struct layer *[]){ mean, one }, 2), "3x1x1");
        expect_shape(put_join(&n, kinds[k], (struct layer *[]){ mean, mean }, 2), "3");
        network_end(&n);
    }
}

Test(shapes, concat_counts_channels)
{
    struct network n;

    network_begin(&n);
    struct layer *in = put_input(&n, 3, 5, 4), *flat = put(&n, "flatten", in), *one = put_pool(&n, in, "avgpool2d", 5,
            4);
    struct layer *mean = put(&n, "global_avgpool2d", in);
    expect_shape(CONCAT(&n, in, put_conv(&n, in, 7, 1, 1), in), "13x5x4");
    expect_shape(CONCAT(&n, flat, mean), "63");
    expect_shape(CONCAT(&n, one, one), "6x1x1");
    network_end(&n);
}

/* ---- messages -------------------------------------------------------------------------------- */

static void expect_refused(struct network *n, struct layer *l, const char *const *parts)
{
    cr_assert_not(layer_shape(n, l));
    cr_assert_eq(diag_errors(n->diag), 1);
    char *text = network_messages(n);
    for (; *parts; parts++)
        cr_assert(strstr(text, *parts), "'%s' is missing in:\n%s", *parts, text);
    free(text);
    network_end(n);
}

#define PARTS(...) (const char *const[]){ __VA_ARGS__, NULL }

Test(shapes, kernel_larger_than_its_input)
{
    struct network n;

    network_begin(&n);
    struct layer *l = conv_candidate(&n, put_input(&n, 3, 4, 9), 5, 2, 1, 1, 1, 1);
    expect_refused(&n, l,
                   PARTS("the kernel 5x2 is larger than its input, 3x4x9", "'input_1' gives 3x4x9",
                         "shape_too_small"));
    network_begin(&n);
    l = conv_candidate(&n, put_input(&n, 3, 4, 9), 3, 3, 1, 1, 3, 1);
    arg_pair(l, "padding", 1, 0);
    expect_refused(
        &n, l,
        PARTS("the kernel 3x3, which reaches over 7x3 with its dilation, is larger than its input, "
              "3x4x9 (6x9 with padding)"));
}

Test(shapes, dense_needs_a_vector_and_windows_a_map)
{
    struct network n;

    network_begin(&n);
    struct layer *l = layer_after(&n, "dense", put_input(&n, 3, 4, 9));
    arg_number(l, "units", 10);
    expect_refused(&n, l, PARTS("'dense' needs a vector", "map of 3x4x9", "flatten", "needs_flat"));
    const char *const kinds[] = { "conv2d", "maxpool2d", "avgpool2d", "global_avgpool2d" };
    for (int i = 0; i < 4; i++) {
        network_begin(&n);
        l = layer_after(&n, kinds[i], put(&n, "flatten", put_input(&n, 3, 4, 9)));
        if (i == 0)
            arg_number(l, "filters", 4);
        if (i < 3)
            arg_pair(l, i ? "window" : "kernel", 1, 1);
        expect_refused(&n, l, PARTS(kinds[i], "its input is a vector of 108", "needs_map"));
    }
}

Test(shapes, pooling_refuses_padding_alone_and_too_many_taps)
{
    struct network n;

    network_begin(&n);
    struct layer *l = layer_after(&n, "avgpool2d", put_input(&n, 3, 9, 9));
    arg_pair(l, "window", 3, 3);
    arg_pair(l, "padding", 2, 3);
    expect_refused(
        &n, l,
        PARTS("a padding of 2x3", "the window 3x3", "smaller than the window", "bad_padding"));
    network_begin(&n);
    l = layer_after(&n, "maxpool2d", put_input(&n, 3, 40, 40));
    arg_pair(l, "window", 16, 17);
    expect_refused(&n, l, PARTS("16x17 has 272 elements", "at most 256", "window_too_large"));
    network_begin(&n);
    expect_shape(put_pool(&n, put_input(&n, 3, 40, 40), "maxpool2d", 16, 16), "3x2x2");
    network_end(&n);
}

Test(shapes, add_lists_every_branch)
{
    struct network n;

    network_begin(&n);
    struct layer *in = put_input(&n, 3, 4, 9), *conv = put_conv(&n, in, 4, 1, 1);
    expect_refused(&n, layer_join(&n, "add", (struct layer *[]){ in, conv, in }, 3),
                   PARTS("branch 1 gives 3x4x9", "branch 2 gives 4x4x9", "branch 3 gives 3x4x9",
                         "shape_mismatch"));
    network_begin(&n);
    in = put_input(&n, 3, 4, 9);
    struct layer *narrow = put_pool(&n, in, "avgpool2d", 1, 9);
    expect_refused(&n, layer_join(&n, "add", (struct layer *[]){ narrow, in }, 2),
                   PARTS("branch 1 gives 3x4x1", "branch 2 gives 3x4x9"));
}

Test(shapes, concat_and_multiply_list_every_branch)
{
    struct network n;

    network_begin(&n);
    struct layer *in = put_input(&n, 3, 4, 9), *flat = put(&n, "global_avgpool2d", in);
    expect_refused(&n, layer_join(&n, "concat", (struct layer *[]){ in, flat }, 2),
                   PARTS("cannot be put together", "branch 1 gives 3x4x9", "branch 2 gives 3", "shape_mismatch"));
    network_begin(&n);
    in = put_input(&n, 3, 4, 9);
    struct layer *low = put_pool(&n, in, "maxpool2d", 2, 1);
    expect_refused(&n, layer_join(&n, "concat", (struct layer *[]){ in, in, low }, 3),
                   PARTS("branch 2 gives 3x4x9", "branch 3 gives 3x2x9"));
    network_begin(&n);                          /* one number a channel is not spread over what is put together */
    in = put_input(&n, 3, 4, 9);
    struct layer *one = put_pool(&n, in, "avgpool2d", 4, 9), *mean = put(&n, "global_avgpool2d", in);
    expect_refused(&n, layer_join(&n, "concat", (struct layer *[]){ one, mean }, 2),
                   PARTS("branch 1 gives 3x1x1", "branch 2 gives 3"));
    network_begin(&n);
    in = put_input(&n, 3, 4, 9);
    expect_refused(&n, layer_join(&n, "multiply", (struct layer *[]){ in, put_conv(&n, in, 4, 1, 1) }, 2),
                   PARTS("cannot be multiplied", "branch 1 gives 3x4x9", "branch 2 gives 4x4x9", "shape_mismatch"));
    network_begin(&n);                          /* 2^25 positions */
    in = put_input(&n, 1, 8192, 4096);
    expect_refused(&n, layer_after(&n, "global_maxpool2d", in), PARTS("8192x4096 has 33554432 positions", "2^24",
                                                                      "too_big"));
}

Test(shapes, sizes_that_no_integer_holds)
{
    struct network n;

    network_begin(&n);
    struct layer *l = layer_after(&n, "input", NULL);
    arg_pair(l, "extent", 65536, 65536);
    clause_value(l->clause, "extent")->dims[2] = 65536;
    expect_refused(&n, l, PARTS("65536x65536x65536", "too big", "too_big"));
    network_begin(&n);                          /* 2^20 x 2^16 x 2^12 x 2^12 = 2^60 weights */
    l = layer_after(&n, "conv2d", put_input(&n, 65536, 100, 100));
    arg_number(l, "filters", 1 << 20);
    arg_pair(l, "kernel", 4096, 4096);
    arg_pair(l, "padding", 4096, 4096);
    expect_refused(&n, l, PARTS("the weights of 'conv2d_1', 1048576x65536x4096x4096, are too big"));
    network_begin(&n);                          /* 2^24 x 2^30 in 64 bits, and beyond 2^31 */
    l = layer_after(&n, "dense", put(&n, "flatten", put_input(&n, 1024, 1024, 1024)));
    arg_number(l, "units", 1 << 24);
    expect_refused(&n, l, PARTS("the weights of 'dense_1', 16777216x1073741824, are too big"));
    network_begin(&n);
    l = layer_after(&n, "conv2d", put_input(&n, 1, 60000, 60000 / 4));
    arg_number(l, "filters", 1000);
    arg_pair(l, "kernel", 1, 1);
    expect_refused(&n, l, PARTS("1000x60000x15000", "too big"));
}

/* ---- counts ---------------------------------------------------------------------------------- */

static struct layer *notebook_convolutions(struct network *n, struct layer *l, int filters)
{
    l = put_conv(n, l, filters, 2, 2);
    l = put_conv(n, l, filters, 2, 2);
    l = put_conv(n, l, filters, 1, 1);
    return put_pool(n, l, "maxpool2d", 2, 2);
}

/* 5,329,418 parameters and 161.06 million multiply-adds: the notebook's networks. */
Test(shapes, counts_of_the_notebooks_network)
{
    struct network n;
    int64_t parameters = 0, multiply_adds = 0, in_graph = 0;

    network_begin(&n);
    struct layer *l = notebook_convolutions(&n, put_input(&n, 3, 32, 32), 128);
    expect_shape(l, "128x15x15");
    l = put(&n, "flatten", put_dropout(&n, notebook_convolutions(&n, l, 256), 0.5));
    expect_shape(l, "9216");
    put_dense(&n, put_dense(&n, put_dense(&n, l, 512), 128), 10);
    for (int i = 0; i < n.model.layers_count; i++) {
        l = n.model.layers[i];
        parameters += l->def->parameters ? l->def->parameters(l) : 0;
        multiply_adds += l->def->multiply_adds ? l->def->multiply_adds(l) : 0;
    }
    cr_assert_eq(parameters, 5329418);
    cr_assert_eq((multiply_adds + 5000) / 10000, 16106);
    struct graph *g = lower_model(&n.arena, &n.model, true);
    for (int i = 0; i < g->params_count; i++)
        in_graph += param_elements(g->params[i]);
    cr_assert_eq(in_graph, parameters);
    network_end(&n);
}

Test(shapes, options_change_the_counts)
{
    struct network n;

    network_begin(&n);
    struct layer *conv = put_conv(&n, put_input(&n, 3, 8, 8), 4, 3, 2);
    cr_assert_eq(conv->def->parameters(conv), 4 * 3 * 3 * 2 + 4);
    cr_assert_eq(conv->def->multiply_adds(conv), 4 * 3 * 3 * 2 * 6 * 7);
    arg_number(conv, "bias", 0);
    cr_assert_eq(conv->def->parameters(conv), 4 * 3 * 3 * 2);
    struct layer *norm = put(&n, "batchnorm", conv);
    cr_assert_eq(norm->def->parameters(norm), 16);
    network_end(&n);
}

/* ---- initialisers ---------------------------------------------------------------------------- */

static void expect_init(const char *name, enum cnn_init_kind kind, double a, double b)
{
    struct cnn_init init = init_of(NULL, name, 18, 36);

    cr_assert_eq(init.kind, kind, "%s", name);
    cr_assert(fabs(init.a - a) < 1e-12 && fabs(init.b - b) < 1e-12, "%s: %.17g, %.17g", name,
              init.a, init.b);
}

Test(shapes, initialisers)
{
    const double correction = 0.87962566103423978;

    expect_init("glorot_uniform", CNN_INIT_UNIFORM, -1.0 / 3, 1.0 / 3);        /* sqrt(6 / 54) */
    expect_init("glorot_normal", CNN_INIT_TRUNCATED_NORMAL, 0, sqrt(2.0 / 54) / correction);
    expect_init("he_uniform", CNN_INIT_UNIFORM, -sqrt(6.0 / 18), sqrt(6.0 / 18));
    expect_init("he_normal", CNN_INIT_TRUNCATED_NORMAL, 0, 1.0 / 3 / correction);
    expect_init("lecun_uniform", CNN_INIT_UNIFORM, -sqrt(3.0 / 18), sqrt(3.0 / 18));
    expect_init("lecun_normal", CNN_INIT_TRUNCATED_NORMAL, 0, sqrt(1.0 / 18) / correction);
    expect_init("zeros", CNN_INIT_ZEROS, 0, 0);
    expect_init("ones", CNN_INIT_ONES, 0, 0);
}

Test(shapes, uniform_needs_its_ends_in_order)
{
    struct network n;

    network_begin(&n);
    struct layer *l = layer_after(&n, "dense", put(&n, "flatten", put_input(&n, 3, 4, 9)));
    struct clause *init = clause_new(&n, init_def_find("uniform"));
    arg_number(l, "units", 10);
    clause_value(init, "a")->number = 1;
    clause_value(l->clause, "init")->call = init;
    expect_refused(&n, l, PARTS("'uniform' draws from a to b, but 1 is more than 0.05"));
}

Test(shapes, fans_of_a_convolution_are_its_receptive_field)
{
    struct network n;

    network_begin(&n);
    put_conv(&n, put_input(&n, 3, 8, 8), 7, 3, 2);
    struct graph *g = lower_model(&n.arena, &n.model, true);
    cr_assert_float_eq(param_named(g, "conv2d_1.weight")->init.b, sqrt(6.0 / (6 * 3 + 6 * 7)),
                       1e-12);
    cr_assert_eq(param_named(g, "conv2d_1.bias")->init.kind, CNN_INIT_ZEROS);
    network_end(&n);
}

Test(shapes, groups_divide_both_numbers_of_channels)
{
    struct network n;

    network_begin(&n);
    struct layer *l = conv_candidate(&n, put_input(&n, 6, 9, 9), 3, 3, 1, 1, 1, 1);
    arg_number(l, "filters", 8);
    arg_number(l, "groups", 2);
    cr_assert(layer_shape(&n, l));
    cr_assert_eq(layer_def_find("conv2d")->parameters(l), 8 * 3 * 9 + 8);
    cr_assert_eq(layer_def_find("conv2d")->multiply_adds(l), 8 * 3 * 9 * 7 * 7);
    network_end(&n);
    for (int groups = 3; groups <= 4; groups++) {
        network_begin(&n);
        l = conv_candidate(&n, put_input(&n, 6, 9, 9), 3, 3, 1, 1, 1, 1);
        arg_number(l, "filters", 8);
        arg_number(l, "groups", groups);
        expect_refused(&n, l, groups == 3 ? PARTS("cannot make its 8 filters in 3 equal groups")
                                          : PARTS("cannot cut the 6 channels of its input into 4 equal groups"));
    }
}

Test(shapes, depthwise_and_separable)
{
    struct network n;

    network_begin(&n);
    struct layer *deep = layer_after(&n, "depthwise_conv2d", put_input(&n, 6, 9, 9));
    arg_pair(deep, "kernel", 3, 2);
    arg_pair(deep, "stride", 2, 1);
    arg_number(deep, "multiplier", 3);
    cr_assert(layer_shape(&n, deep));
    cr_assert_eq(deep->out.c, 18);
    cr_assert_eq(deep->out.h, 4);
    cr_assert_eq(deep->out.w, 8);
    cr_assert_eq(layer_def_find("depthwise_conv2d")->parameters(deep), 18 * 6 + 18);
    struct layer *apart = layer_after(&n, "separable_conv2d", deep);
    arg_number(apart, "filters", 5);
    arg_pair(apart, "kernel", 3, 3);
    arg_number(apart, "multiplier", 2);
    cr_assert(layer_shape(&n, apart));
    cr_assert_eq(apart->out.c, 5);
    cr_assert_eq(apart->out.h, 2);
    cr_assert_eq(layer_def_find("separable_conv2d")->parameters(apart), 36 * 9 + 36 * 5 + 5);
    cr_assert_eq(layer_def_find("separable_conv2d")->multiply_adds(apart), (36 * 9 + 36 * 5) * 2 * 6);
    struct graph *g = lower_model(&n.arena, &n.model, true);
    /* what an output sees, and all outputs that a filter's place goes into */
    cr_assert_float_eq(param_named(g, "depthwise_conv2d_1.weight")->init.b, sqrt(6.0 / (6 + 18 * 6)), 1e-12);
    cr_assert_float_eq(param_named(g, "separable_conv2d_1.depthwise.weight")->init.b, sqrt(6.0 / (9 + 36 * 9)), 1e-12);
    cr_assert_float_eq(param_named(g, "separable_conv2d_1.pointwise.weight")->init.b, sqrt(6.0 / (36 + 5)), 1e-12);
    cr_assert_not_null(param_named(g, "separable_conv2d_1.pointwise.bias"));
    network_end(&n);
}

Test(shapes, every_table_ends_and_has_help)
{
    int count;
    const struct layer_def *const *defs = layer_defs(&count);

    cr_assert_geq(count, 21);
    for (int i = 0; i < count; i++) {
        cr_assert_eq(defs[i]->clause.args_count, clause_def_count(&defs[i]->clause), "%s",
                     defs[i]->clause.name);
        cr_assert(defs[i]->clause.help && defs[i]->shape && defs[i]->lower);
        cr_assert_eq(layer_def_find(defs[i]->clause.name), defs[i]);
        for (const struct arg_def *a = defs[i]->clause.args; a->name; a++)
            cr_assert(a->help && *a->help, "%s %s", defs[i]->clause.name, a->name);
    }
    cr_assert_null(layer_def_find("conv9d"));
    cr_assert_null(init_def_find("xavier"));
}
