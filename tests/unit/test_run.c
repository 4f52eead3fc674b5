/* test_run.c - op_def.run: numbers worked out by hand; and that simplifying a graph does not change what it
 * computes. */
#include "random_network.h"
#include "steps/plan.h"

/* ---- by hand --------------------------------------------------------------------------------- */

static struct run running(struct network *n, int batch)
{
    return run_new(&n->arena, lower_model(&n->arena, &n->model, false), batch);
}

static void set(const struct run *r, const struct tensor *t, const double *values)
{
    memcpy(run_values(r, t), values, sizeof *values * (size_t)run_elements(r, t));
}

static void set_param(const struct run *r, const char *name, const double *values)
{
    set(r, param_named(r->graph, name)->tensor, values);
}

static void expect(const struct run *r, const struct tensor *t, const double *values)
{
    for (int64_t i = 0; i < run_elements(r, t); i++)
        cr_assert(fabs(run_values(r, t)[i] - values[i]) <= 1e-14 * (1 + fabs(values[i])),
                  "%s[%lld] is %.15g, not %.15g", t->name, (long long)i, run_values(r, t)[i], values[i]);
}

static void expect_predictions(const struct run *r, const double *values)
{
    run_graph(r, false);
    expect(r, r->graph->predictions, values);
}

#define NUMBERS(...) (const double[]){ __VA_ARGS__ }

/* Two channels of 2x2, the result's innermost: 1 2 3 4 and 10 20 30 40. */
static const double two_channels[] = { 1, 10, 2, 20, 3, 30, 4, 40 };

Test(run, conv2d_takes_filters_as_files_hold_them)
{
    struct network n;

    network_begin(&n);
    put_conv(&n, put_input(&n, 2, 2, 2), 2, 1, 2);
    struct run r = running(&n, 1);
    set(&r, r.graph->input, two_channels);
    set_param(&r, "conv2d_1.weight", NUMBERS(1, -1, 2, 0, 0, 0, 0, 0.5));
    set_param(&r, "conv2d_1.bias", NUMBERS(100, -1));
    expect_predictions(&r, NUMBERS(100 + 1 - 2 + 20, -1 + 10, 100 + 3 - 4 + 60, -1 + 20));
    network_end(&n);
}

Test(run, conv2d_counts_nothing_beside_the_map)
{
    struct network n;

    network_begin(&n);
    struct layer *l = layer_after(&n, "conv2d", put_input(&n, 1, 2, 2));
    arg_number(l, "filters", 1);
    arg_pair(l, "kernel", 2, 2);
    arg_pair(l, "padding", 1, 0);
    arg_pair(l, "stride", 2, 1);
    arg_number(l, "bias", 0);
    cr_assert(layer_shape(&n, l));
    struct run r = running(&n, 1);
    set(&r, r.graph->input, NUMBERS(1, 2, 3, 4));
    set_param(&r, "conv2d_1.weight", NUMBERS(1, 10, 100, 1000));
    expect_predictions(&r, NUMBERS(2100, 43));
    network_end(&n);
}

Test(run, conv2d_transpose_adds_up_what_meets)
{
    struct network n;

    network_begin(&n);
    struct layer *l = layer_after(&n, "conv2d_transpose", put_input(&n, 2, 1, 2));
    arg_number(l, "filters", 1);
    arg_pair(l, "kernel", 1, 3);
    arg_pair(l, "stride", 1, 2);
    arg_pair(l, "padding", 0, 1);
    arg_pair(l, "output_padding", 0, 1);
    cr_assert(layer_shape(&n, l));
    struct run r = running(&n, 1);
    set(&r, r.graph->input, NUMBERS(1, 3, 2, 4));
    set_param(&r, "conv2d_transpose_1.weight", NUMBERS(1, 10, 100, 2, 20, 200));
    set_param(&r, "conv2d_transpose_1.bias", NUMBERS(0.5));
    expect_predictions(&r, NUMBERS(70.5, 710.5, 100.5, 1000.5));
    network_end(&n);
}

/* Each channel of the result is made of the one below it: 1 2 3 4, and 10 20 30 40 twice. */
Test(run, depthwise_conv2d_keeps_channels_apart)
{
    struct network n;

    network_begin(&n);
    struct layer *l = layer_after(&n, "depthwise_conv2d", put_input(&n, 2, 2, 2));
    arg_pair(l, "kernel", 1, 2);
    arg_number(l, "multiplier", 2);
    cr_assert(layer_shape(&n, l));
    struct run r = running(&n, 1);
    set(&r, r.graph->input, two_channels);
    set_param(&r, "depthwise_conv2d_1.weight", NUMBERS(1, 0, 1, 1, 0, 1, 1, -1));
    set_param(&r, "depthwise_conv2d_1.bias", NUMBERS(0, 0, 0, 100));
    expect_predictions(&r, NUMBERS(1, 3, 20, 100 - 10, 3, 7, 40, 100 - 10));
    network_end(&n);
}

Test(run, groups_of_channels_are_convolved_by_themselves)
{
    struct network n;

    network_begin(&n);
    struct layer *l = layer_after(&n, "conv2d", put_input(&n, 4, 1, 1));
    arg_number(l, "filters", 4);
    arg_pair(l, "kernel", 1, 1);
    arg_number(l, "groups", 2);
    arg_number(l, "bias", 0);
    cr_assert(layer_shape(&n, l));
    struct run r = running(&n, 1);
    set(&r, r.graph->input, NUMBERS(1, 2, 3, 4));
    set_param(&r, "conv2d_1.weight", NUMBERS(1, 10, 100, 1000, 1, 10, 100, 1000));
    expect_predictions(&r, NUMBERS(21, 2100, 43, 4300));
    network_end(&n);
}

static struct layer *put_move(struct network *n, struct layer *from, const char *kind, const char *argument,
                              const int64_t *numbers)
{
    struct layer *l = layer_after(n, kind, from);

    memcpy(clause_value(l->clause, argument)->dims, numbers, 4 * sizeof *numbers);
    cr_assert(layer_shape(n, l));
    return l;
}

Test(run, moves)
{
    static const struct {
        const char *kind, *argument;
        int64_t numbers[4];
        bool bilinear;
        double result[24];
    } cases[] = {
        /* of channels 1 2 and 10 20: results channels innermost */
        { "zero_pad2d", "padding", { 1, 0, 0, 1 }, false, { 0, 0, 0, 0, 0, 0, 1, 10, 2, 20, 0, 0 } },
        { "pad_channels", "channels", { 1, 2 }, false, { 0, 1, 10, 0, 0, 0, 2, 20, 0, 0 } },
        { "upsample2d", "factor", { 2, 2 }, false, { 1, 10, 1, 10, 2, 20, 2, 20, 1, 10, 1, 10, 2, 20, 2, 20 } },
        { "upsample2d", "factor", { 1, 2 }, true, { 1, 10, 1.25, 12.5, 1.75, 17.5, 2, 20 } },
        { "reshape", "extent", { 1, 2, 2 }, false, { 1, 2, 10, 20 } },
        { "reshape", "extent", { 2, 2, 1 }, false, { 1, 10, 2, 20 } },
        { "reshape", "extent", { 4, 0, 0 }, false, { 1, 2, 10, 20 } },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct network n;
        network_begin(&n);
        struct layer *l = put_move(&n, put_input(&n, 2, 1, 2), cases[i].kind, cases[i].argument, cases[i].numbers);
        if (cases[i].bilinear)
            arg_text(l, "mode", "bilinear");
        struct run r = running(&n, 1);
        set(&r, r.graph->input, NUMBERS(1, 10, 2, 20));
        run_graph(&r, false);
        expect(&r, r.graph->predictions, cases[i].result);
        network_end(&n);
    }
}

Test(run, zeros_become_the_padding_of_convolutions)
{
    struct network n;

    network_begin(&n);
    struct layer *inner = put_move(&n, put_input(&n, 2, 4, 3), "zero_pad2d", "padding", (int64_t[]){ 1, 0, 2, 1 });
    struct layer *pad = put_move(&n, inner, "zero_pad2d", "padding", (int64_t[]){ 0, 1, 0, 0 });
    put_add(&n, put_conv(&n, pad, 3, 2, 2), put_conv(&n, pad, 3, 2, 2));
    struct graph *g = lower_model(&n.arena, &n.model, false);
    cr_assert_eq(count_op(g, OP_zero_pad2d), 2);
    simplify(g);
    cr_assert_null(graph_verify(g));
    cr_assert_eq(count_op(g, OP_zero_pad2d), 0);
    const struct window *w = &node_named(g, "conv2d_2")->attr.window;
    cr_assert(w->pad_top == 1 && w->pad_bottom == 1 && w->pad_left == 2 && w->pad_right == 1);
    network_end(&n);

    network_begin(&n);          /* channels in groups too, beside one that is not */
    pad = put_move(&n, put_input(&n, 2, 4, 3), "zero_pad2d", "padding", (int64_t[]){ 1, 0, 2, 1 });
    struct layer *apart = layer_after(&n, "depthwise_conv2d", pad);
    arg_pair(apart, "kernel", 2, 2);
    cr_assert(layer_shape(&n, apart));
    put_add(&n, put_conv(&n, pad, 2, 2, 2), apart);
    g = lower_model(&n.arena, &n.model, false);
    simplify(g);
    cr_assert_null(graph_verify(g));
    cr_assert_eq(count_op(g, OP_zero_pad2d), 0);
    w = &node_named(g, "depthwise_conv2d_1")->attr.window;
    cr_assert(w->pad_top == 1 && w->pad_bottom == 0 && w->pad_left == 2 && w->pad_right == 1);
    network_end(&n);

    network_begin(&n);          /* somebody else reads the zeros too */
    pad = put_move(&n, put_input(&n, 2, 4, 3), "zero_pad2d", "padding", (int64_t[]){ 1, 1, 1, 1 });
    put_add(&n, put_conv(&n, pad, 2, 1, 1), pad);
    g = lower_model(&n.arena, &n.model, false);
    simplify(g);
    cr_assert_eq(count_op(g, OP_zero_pad2d), 1);
    network_end(&n);
}

Test(run, locally_connected2d_has_a_filter_and_a_bias_for_each_position)
{
    struct network n;

    network_begin(&n);
    struct layer *l = layer_after(&n, "locally_connected2d", put_input(&n, 2, 2, 2));
    arg_number(l, "filters", 1);
    arg_pair(l, "kernel", 2, 1);
    cr_assert(layer_shape(&n, l));
    struct run r = running(&n, 1);
    set(&r, r.graph->input, two_channels);
    set_param(&r, "locally_connected2d_1.weight", NUMBERS(1, 2, 0, 0, 0, 0, 3, 4));
    set_param(&r, "locally_connected2d_1.bias", NUMBERS(0.5, 0.25));
    expect_predictions(&r, NUMBERS(1 + 2 * 3 + 0.5, 3 * 20 + 4 * 40 + 0.25));
    network_end(&n);
}

/* The columns of a dense layer are counted by channels, rows, columns, whatever the order in memory. */
Test(run, dense_after_a_map)
{
    struct network n;

    network_begin(&n);
    put_dense(&n, put(&n, "flatten", put_input(&n, 2, 2, 2)), 1);
    struct run r = running(&n, 1);
    set(&r, r.graph->input, two_channels);
    set_param(&r, "dense_1.weight", NUMBERS(1, 0, 0, 0.5, 0, 0.25, 0, 2));
    set_param(&r, "dense_1.bias", NUMBERS(7));
    expect_predictions(&r, NUMBERS(1 + 0.5 * 4 + 0.25 * 20 + 2 * 40 + 7));
    network_end(&n);
}

Test(run, pooling)
{
    struct network n;

    network_begin(&n);
    struct layer *x = put_input(&n, 1, 2, 3);
    struct layer *most = layer_after(&n, "maxpool2d", x), *mean = layer_after(&n, "avgpool2d", x);
    struct layer *both[] = { most, mean };
    for (int i = 0; i < 2; i++) {
        arg_pair(both[i], "window", 2, 2);
        arg_pair(both[i], "stride", 2, 2);
        arg_pair(both[i], "padding", 0, 1);
        cr_assert(layer_shape(&n, both[i]));
    }
    put_add(&n, most, mean);
    struct run r = running(&n, 2);
    set(&r, r.graph->input, NUMBERS(-1, -2, -3, -4, -5, -6, 1, 2, 3, 4, 5, 6));
    expect_predictions(&r, NUMBERS(-1 - 2.5, -2 - 4, 4 + 2.5, 6 + 4));
    network_end(&n);
}

Test(run, concatenations)
{
    struct network n;

    network_begin(&n);
    struct layer *x = put_input(&n, 2, 1, 2), *flat = put(&n, "flatten", x);
    CONCAT(&n, put(&n, "flatten", CONCAT(&n, x, x)), flat);
    struct run r = running(&n, 2);
    set(&r, r.graph->input, NUMBERS(1, 10, 2, 20, 3, 30, 4, 40));       /* positions by channels */
    expect_predictions(&r, NUMBERS(1, 2, 10, 20, 1, 2, 10, 20, 1, 2, 10, 20,
                                   3, 4, 30, 40, 3, 4, 30, 40, 3, 4, 30, 40));
    network_end(&n);
}

Test(run, products)
{
    struct network n;

    network_begin(&n);
    struct layer *x = put_input(&n, 2, 1, 2), *mean = put(&n, "global_avgpool2d", x);
    put_join(&n, "multiply", (struct layer *[]){ mean, x, x }, 3);
    struct run r = running(&n, 2);
    set(&r, r.graph->input, NUMBERS(1, 10, 3, 20, -1, 0, 5, 2));
    expect_predictions(&r, NUMBERS(1 * 2, 100 * 15, 9 * 2, 400 * 15, 1 * 2, 0, 25 * 2, 4 * 1));
    network_end(&n);
}

Test(run, the_greatest_of_a_channel_and_where_its_gradient_goes)
{
    struct network n;

    network_begin(&n);
    put(&n, "global_maxpool2d", put_input(&n, 2, 2, 2));
    struct run r = running(&n, 2);
    set(&r, r.graph->input, NUMBERS(-3, 1, -2, 7, -2, 7, -9, 0, 4, 0, 5, 0, 6, 0, 7, 0));
    expect_predictions(&r, NUMBERS(-2, 7, 7, 0));
    network_end(&n);
    network_begin(&n);                          /* ties go to the first */
    put_loss(&n, put(&n, "global_maxpool2d", put_conv(&n, put_input(&n, 1, 2, 2), 1, 1, 1)), 2);
    struct graph *g = lower_model(&n.arena, &n.model, true);
    differentiate(g);
    r = run_new(&n.arena, g, 1);
    set(&r, g->input, NUMBERS(1, 5, 5, 2));
    set_param(&r, "conv2d_1.weight", NUMBERS(1));
    run_graph(&r, false);
    const struct node *most = node_named(g, "global_maxpool2d_1");
    cr_assert_eq(run_values(&r, most->out[0])[0], 5);
    cr_assert_eq(run_values(&r, most->out[1])[0], 1);
    network_end(&n);
}

Test(run, batchnorm_in_use_and_what_comes_after)
{
    struct network n;

    network_begin(&n);
    put(&n, "global_avgpool2d", put(&n, "relu", put(&n, "batchnorm", put_input(&n, 2, 1, 2))));
    struct run r = running(&n, 1);
    set(&r, r.graph->input, NUMBERS(1, 8, 3, 2));
    set_param(&r, "batchnorm_1.weight", NUMBERS(2, 3));
    set_param(&r, "batchnorm_1.bias", NUMBERS(1, -1));
    set_param(&r, "batchnorm_1.running_mean", NUMBERS(2, 2));
    set_param(&r, "batchnorm_1.running_var", NUMBERS(4 - 1e-3, 9 - 1e-3));
    expect_predictions(&r, NUMBERS((0 + 2) / 2.0, (5 + 0) / 2.0));
    network_end(&n);
}

Test(run, batchnorm_without_its_factor_and_summand)
{
    for (int center = 0; center < 2; center++) {
        struct network n;
        network_begin(&n);
        struct layer *norm = put(&n, "batchnorm", put_input(&n, 2, 1, 2)), *half = layer_after(&n, "scale", norm);
        arg_number(norm, "scale", 0);
        arg_number(norm, "center", center);
        arg_number(half, "factor", -0.5);
        cr_assert(layer_shape(&n, half));
        put(&n, "global_avgpool2d", half);
        struct run r = running(&n, 1);
        set(&r, r.graph->input, NUMBERS(1, 8, 3, 2));
        if (center)
            set_param(&r, "batchnorm_1.bias", NUMBERS(1, -1));
        set_param(&r, "batchnorm_1.running_mean", NUMBERS(2, 2));
        set_param(&r, "batchnorm_1.running_var", NUMBERS(4 - 1e-3, 9 - 1e-3));
        expect_predictions(&r, center ? NUMBERS(-0.5, 0) : NUMBERS(0, -0.5));
        network_end(&n);
    }
}

/* Two channels of 1x2: 1 3 and 5 7.  epsilon makes the roots whole. */
static void expect_normalised(const char *layer, const char *over, int groups, const double *weight, const double *want)
{
    struct network n;

    network_begin(&n);
    struct layer *norm = layer_after(&n, layer, put_input(&n, 2, 1, 2));
    if (over)
        arg_text(norm, "over", over);
    if (groups)
        arg_number(norm, "groups", groups);
    arg_number(norm, "epsilon", groups == 2 ? 3 : groups || over[0] == 'a' ? 4 : 5);
    cr_assert(layer_shape(&n, norm));
    struct run r = running(&n, 2);
    set(&r, r.graph->input, NUMBERS(1, 5, 3, 7, 11, 15, 13, 17));
    const char *name = arena_printf(&n.arena, "%s_1.weight", layer);
    set_param(&r, name, weight);
    set_param(&r, arena_printf(&n.arena, "%s_1.bias", layer), NUMBERS(1, 1, 1, 1));
    run_graph(&r, false);
    expect(&r, node_named(r.graph, arena_printf(&n.arena, "%s_1", layer))->out[0], want);
    network_end(&n);
}

Test(run, layernorm_and_groupnorm)
{
    /* of each pixel: mean 3 and 5, variance 4 */
    expect_normalised("layernorm", "channels", 0, NUMBERS(3, 6),
                      NUMBERS(1 - 2, 1 + 4, 1 - 2, 1 + 4, 1 - 2, 1 + 4, 1 - 2, 1 + 4));
    /* of the sample: mean 4, variance 5; weights by channels, rows, columns */
    expect_normalised("layernorm", "all", 0, NUMBERS(1, 2, 3, 4),
                      NUMBERS(1 - 1, 1 + 1, 1 - 2 / 3.0, 1 + 4, 1 - 1, 1 + 1, 1 - 2 / 3.0, 1 + 4));
    /* of one group, and of each channel: mean 2 and 6, variance 1 */
    expect_normalised("groupnorm", NULL, 1, NUMBERS(1, 3), NUMBERS(1 - 1, 1 + 1, 1 - 1 / 3.0, 1 + 3, 0, 2, 1 - 1 / 3.0,
                                                                   4));
    expect_normalised("groupnorm", NULL, 2, NUMBERS(2, 4), NUMBERS(0, -1, 2, 3, 0, -1, 2, 3));
}

/* Of four channels: with size 3 one on each side, with size 2 the one below. */
Test(run, lrn_sums_neighbours)
{
    for (int size = 2; size <= 3; size++) {
        struct network n;
        network_begin(&n);
        struct layer *lrn = layer_after(&n, "lrn", put_input(&n, 4, 1, 1));
        arg_number(lrn, "size", size);
        arg_number(lrn, "alpha", 2);
        arg_number(lrn, "beta", 0.5);
        arg_number(lrn, "k", 1);
        cr_assert(layer_shape(&n, lrn));
        struct run r = running(&n, 1);
        set(&r, r.graph->input, NUMBERS(1, 2, -3, 4));
        double above = size == 3;
        expect_predictions(&r, NUMBERS(1 / sqrt(1 + 2 * (1 + above * 4)), 2 / sqrt(1 + 2 * (5 + above * 9)),
                                       -3 / sqrt(1 + 2 * (13 + above * 16)), 4 / sqrt(1 + 2 * 25)));
        network_end(&n);
    }
}

Test(run, prelu_has_a_slope_for_each_channel)
{
    struct network n;

    network_begin(&n);
    put(&n, "prelu", put_input(&n, 2, 1, 2));
    struct run r = running(&n, 1);
    set(&r, r.graph->input, NUMBERS(1, -2, -3, 4));
    set_param(&r, "prelu_1.weight", NUMBERS(0.5, -1));
    run_graph(&r, false);
    expect(&r, node_named(r.graph, "prelu_1")->out[0], NUMBERS(1, 2, -1.5, 4));
    network_end(&n);
}

/* Each channel of a sample is dropped or kept as a whole, and no sample as the one before it. */
Test(run, spatial_dropout2d_drops_channels)
{
    enum { SAMPLES = 8, CHANNELS = 16, PIXELS = 6 };
    struct network n;
    int kept = 0, repeated = 0;

    network_begin(&n);
    struct layer *drop = layer_after(&n, "spatial_dropout2d", put_input(&n, CHANNELS, 2, 3));
    arg_number(drop, "rate", 0.5);
    cr_assert(layer_shape(&n, drop));
    put_loss(&n, put(&n, "flatten", drop), 2);
    struct graph *g = lower_model(&n.arena, &n.model, true);
    struct run r = run_new(&n.arena, g, SAMPLES);
    for (int64_t i = 0; i < run_elements(&r, g->input); i++)
        run_values(&r, g->input)[i] = 1;
    run_graph(&r, false);
    const double *y = run_values(&r, node_named(g, "spatial_dropout2d_1")->out[0]);
    for (int s = 0; s < SAMPLES; s++)
        for (int c = 0; c < CHANNELS; c++) {
            const double *first = y + (int64_t)s * PIXELS * CHANNELS + c;
            for (int p = 1; p < PIXELS; p++)
                cr_assert_eq(first[p * CHANNELS], *first);
            cr_assert(*first == 0 || *first == 2);
            kept += *first != 0;
            repeated += s > 0 && *first == first[-PIXELS * CHANNELS];
        }
    cr_assert(abs(kept - SAMPLES * CHANNELS / 2) < 24, "%d of %d are kept", kept, SAMPLES * CHANNELS);
    cr_assert_lt(repeated, 7 * CHANNELS - 20);
    network_end(&n);
}

Test(run, softmax_and_its_loss)
{
    struct network n;

    network_begin(&n);
    put_loss(&n, put(&n, "flatten", put_input(&n, 2, 1, 1)), 2);
    struct run r = running(&n, 1);
    set(&r, r.graph->input, NUMBERS(1000, 1000 + log(3)));       /* nothing overflows */
    set_param(&r, "dense_1.weight", NUMBERS(1, 0, 0, 1));
    run_values(&r, r.graph->target)[0] = 1;
    run_graph(&r, false);
    cr_assert_float_eq(run_values(&r, r.graph->predictions)[0], 0.25, 1e-12);
    cr_assert_float_eq(run_loss(&r), log(4.0 / 3), 1e-12);
    network_end(&n);
}

/* Of three classes with smoothing 0.3 the right one is 0.8, each other 0.1. */
Test(run, smoothed_labels)
{
    struct network n;

    network_begin(&n);
    put_loss(&n, put(&n, "flatten", put_input(&n, 3, 1, 1)), 3);
    clause_value(n.model.loss, "label_smoothing")->number = 0.3;
    struct graph *g = lower_model(&n.arena, &n.model, true);
    differentiate(g);
    struct run r = run_new(&n.arena, g, 2);
    set(&r, g->input, NUMBERS(0, log(2), 0, 10, 10, 10));
    set_param(&r, "dense_1.weight", NUMBERS(1, 0, 0, 0, 1, 0, 0, 0, 1));
    run_values(&r, g->target)[0] = 1;
    run_graph(&r, false);
    run_graph(&r, true);
    expect(&r, g->loss, NUMBERS(0.8 * log(2) + 0.2 * log(4), log(3)));
    expect(&r, g->logits->gradient,
           NUMBERS((0.25 - 0.1) / 2, (0.5 - 0.8) / 2, (0.25 - 0.1) / 2,
                   (1.0 / 3 - 0.8) / 2, (1.0 / 3 - 0.1) / 2, (1.0 / 3 - 0.1) / 2));
    network_end(&n);
}

/* ---- simplify -------------------------------------------------------------------------------- */

static void fill_alike(const struct run *r, uint64_t state)
{
    fill(r, r->graph->input, &state, 1, 0);
    for (int i = 0; i < r->graph->params_count; i++)
        fill(r, r->graph->params[i]->tensor, &state, 0.5, r->graph->params[i]->role == CNN_STATISTIC);
    for (int s = 0; s < r->batch; s++)
        run_values(r, r->graph->target)[s] = choose(&state, r->graph->logits->shape.c);
    run_graph(r, false);
}

static bool differ(const struct graph *a, const struct graph *b)
{
    for (int i = 0; i < a->nodes_count; i++)
        if (i >= b->nodes_count || a->nodes[i]->op != b->nodes[i]->op)
            return true;
    return false;
}

static struct graph *simplified(struct graph *g)
{
    const char *wrong;

    simplify(g);
    wrong = graph_verify(g);
    cr_assert_null(wrong, "%s", wrong);
    return g;
}

/* Returns whether there was something to simplify. */
static bool expect_same(struct network *n, bool training, uint64_t seed)
{
    struct graph *plain = lower_model(&n->arena, &n->model, training),
                 *simple = simplified(lower_model(&n->arena, &n->model, training));
    struct run a = run_new(&n->arena, plain, 2), b = run_new(&n->arena, simple, 2);

    fill_alike(&a, seed);
    fill_alike(&b, seed);
    expect(&b, simple->predictions, run_values(&a, plain->predictions));
    expect(&b, simple->loss, run_values(&a, plain->loss));
    return differ(plain, simple);
}

Test(run, simplified_graphs_compute_the_same)
{
    int changed = 0;

    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct network n;
        uint64_t state = seed * 104729;
        put_random(&n, &state);
        changed += expect_same(&n, true, seed) + expect_same(&n, false, seed);
        network_end(&n);
    }
    cr_assert_gt(changed, 10, "only %d graphs were simplified", changed);
}

/* ---- what batch normalisations share ----------------------------------------------------------------------------- */

/* A graph of training with its values, all operations done; `joined`: with what normalisations share. */
static struct run trained(struct network *n, bool joined, uint64_t seed)
{
    struct graph *g = lower_model(&n->arena, &n->model, true);
    differentiate(g);
    if (joined)
        plan_norms(g);
    const char *wrong = graph_verify(g);
    cr_assert_null(wrong, "%s", wrong);
    struct run r = filled_run(n, g, 3, &seed);
    run_graph(&r, false);
    run_graph(&r, true);
    return r;
}

static void expect_gradients(const struct run *r, const struct run *plain)
{
    for (int i = 0; i < r->graph->params_count; i++) {
        const struct tensor *t = r->graph->params[i]->gradient, *other = plain->graph->params[i]->gradient;
        for (int64_t k = 0; t && k < run_elements(r, t); k++)
            cr_assert_float_eq(run_values(r, t)[k], run_values(plain, other)[k],
                               1e-10 * (1 + fabs(run_values(plain, other)[k])), "%s[%lld]", t->name, (long long)k);
    }
    cr_assert_float_eq(run_loss(r), run_loss(plain), 1e-12);
}

static struct layer *normal(struct network *n, struct layer *x, const char *then)
{
    struct layer *l = put(n, "batchnorm", x);
    return then ? put(n, then, l) : l;
}

/* Layers of a dense block, of which some are normalised twice or hold another concatenation; a map that two normalise;
 * one concatenation inside of two others; one alone, which has nothing to share. */
static void put_norms(struct network *n, int which)
{
    struct layer *a = put_conv(n, put_input(n, 2, 4, 5), 3, 1, 1), *b = put_conv(n, normal(n, a, "relu"), 2, 1, 1), *x;
    if (which == 0) {
        x = CONCAT(n, a, b);
        for (int i = 0; i < 3; i++)
            x = CONCAT(n, put_conv(n, normal(n, x, i ? "relu" : "tanh"), 2, 1, 1), x);
        x = put_add(n, normal(n, x, "elu"), normal(n, x, NULL));
    } else if (which == 1) {
        x = put_add(n, normal(n, b, NULL), normal(n, b, "relu6"));
    } else if (which == 2) {
        struct layer *ab = CONCAT(n, a, b), *left = CONCAT(n, ab, put_conv(n, normal(n, ab, "relu"), 2, 1, 1)),
                     *right = CONCAT(n, put_conv(n, ab, 1, 1, 1), ab, a);
        x = CONCAT(n, normal(n, left, "relu"), normal(n, right, NULL), normal(n, ab, "relu"));
    } else {
        x = normal(n, CONCAT(n, put_conv(n, a, 2, 1, 1), put_conv(n, b, 4, 1, 1)), "relu");
    }
    put_loss(n, put(n, "flatten", x), 3);
}

Test(run, what_normalisations_share)
{
    for (int which = 0; which < 4; which++) {
        struct network n;
        network_begin(&n);
        put_norms(&n, which);
        struct run plain = trained(&n, false, 7), joined = trained(&n, true, 7);
        expect_gradients(&joined, &plain);
        cr_assert_eq(count_op(joined.graph, OP_batchnorm_moments), which == 3 ? 2 : which == 1 ? 1 : 0, "network %d",
                     which);
        network_end(&n);
    }
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct network n;
        uint64_t state = seed * 7919;
        put_random(&n, &state);
        struct run plain = trained(&n, false, seed), joined = trained(&n, true, seed);
        expect_gradients(&joined, &plain);
        network_end(&n);
    }
}

/* The graph of use, whose parameters are known: drawn, one bias in three is nothing. */
static struct graph *known(struct network *n, uint64_t state)
{
    struct graph *g = lower_model(&n->arena, &n->model, false);

    for (int i = 0; i < g->params_count; i++) {
        struct param *p = g->params[i];
        double *values = arena_array(&n->arena, (size_t)param_elements(p), sizeof *values);
        bool nothing = p->role == CNN_BIAS && choose(&state, 3) == 0;
        for (int64_t k = 0; k < param_elements(p); k++)
            values[k] = nothing ? 0 : next_random(&state) * 0.5 + (p->role == CNN_STATISTIC);
        p->values = values;
    }
    return g;
}

static void expect_folded(struct network *n, uint64_t seed)
{
    struct run a = run_new(&n->arena, known(n, seed), 1), b = run_new(&n->arena, simplified(known(n, seed)), 1);
    uint64_t state = seed, again = seed;

    fill(&a, a.graph->input, &state, 1, 0);
    fill(&b, b.graph->input, &again, 1, 0);
    run_graph(&a, false);
    expect_predictions(&b, run_values(&a, a.graph->predictions));
    cr_assert_eq(count_op(b.graph, OP_batchnorm_use), 0);
}

Test(run, known_parameters_are_folded)
{
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct network n;
        uint64_t state = seed * 15485863;
        put_random(&n, &state);
        expect_folded(&n, seed);
        network_end(&n);
    }
}

Test(run, where_batch_normalisation_goes)
{
    struct network n;

    network_begin(&n);
    struct layer *l = put(&n, "batchnorm", put_input(&n, 2, 6, 6));         /* nothing before it */
    l = put(&n, "batchnorm", put(&n, "batchnorm", put_conv(&n, l, 3, 2, 2)));
    struct layer *local = layer_after(&n, "locally_connected2d", put(&n, "relu", l));
    arg_number(local, "filters", 4);
    arg_pair(local, "kernel", 2, 2);
    cr_assert(layer_shape(&n, local));
    l = put(&n, "flatten", put(&n, "batchnorm", local));
    put_loss(&n, put(&n, "batchnorm", put_add(&n, l, put(&n, "batchnorm", put_dense(&n, l, l->out.c)))), 3);
    const struct graph *g = simplified(known(&n, 5));
    cr_assert_eq(count_op(g, OP_batchnorm_use), 0);
    cr_assert_eq(count_op(g, OP_scale), 2, "%d", count_op(g, OP_scale));
    cr_assert_eq(count_op(g, OP_bias), 3, "%d", count_op(g, OP_bias));
    cr_assert_null(param_named(g, "batchnorm_2.weight"));
    cr_assert_null(param_named(g, "conv2d_1.bias"));                        /* it is in batchnorm_3's */
    cr_assert_not_null(param_named(g, "batchnorm_3.bias"));
    expect_folded(&n, 5);
    network_end(&n);
}
