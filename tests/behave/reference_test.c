/* reference_test.c - the oracle on trial: results worked out by hand, and gradients of random networks against
 * finite differences of their own loss.
 *
 *     reference_test [COUNT]        networks to differentiate, 40 if not said
 */
#include "generate.h"
#include "reference.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures;

static void expect(const char *what, const double *got, const double *want, int count)
{
    for (int i = 0; i < count; i++)
        if (!(fabs(got[i] - want[i]) <= 1e-12 * (1 + fabs(want[i])))) {
            printf("reference_test: %s: element %d is %.15g, expected %.15g\n", what, i, got[i], want[i]);
            failures++;
        }
}

static void set(struct ref_net *net, const char *name, const double *values)
{
    for (int i = 0; i < net->params_count; i++)
        if (strcmp(net->params[i].name, name) == 0) {
            memcpy(net->params[i].value, values, (size_t)net->params[i].count * sizeof *values);
            return;
        }
    printf("reference_test: no parameter %s\n", name);
    failures++;
}

static void run(struct ref_net *net, const double *input, int n, bool training)
{
    int32_t labels[8] = {0};
    ref_prepare(net, n);
    ref_forward(net, input, labels, n, training);
}

/* ---- by hand --------------------------------------------------------------------------------------------------- */

static void test_conv2d_same_stride(void)
{
    /* 2 x 3, filter 2 x 2, stride 2, same: out 1 x 2, one column of zeros at the right end */
    struct ref_net net = {0};
    int x = ref_input(&net, 1, 2, 3);
    struct ref_window k = ref_window_same((struct ref_window){2, 2, 2, 2, 1, 1, 0, 0, 0, 0}, 2, 3);
    x = ref_conv2d(&net, x, "conv2d_1", 1, k, true);
    set(&net, "conv2d_1.weight", (double[]){1, 10, 100, 1000});
    set(&net, "conv2d_1.bias", (double[]){0.5});
    run(&net, (double[]){1, 2, 3, 4, 5, 6}, 1, true);
    expect("conv2d same, stride 2", net.nodes[x].y, (double[]){5421.5, 603.5}, 2);
    ref_free(&net);
}

static void test_conv2d_dilated_channels(void)
{
    /* two channels in and out, 1 x 2 with dilation 2 and one zero at each side: shape 2 x 1 x 3 */
    struct ref_net net = {0};
    int x = ref_input(&net, 2, 1, 3);
    x = ref_conv2d(&net, x, "c", 2, (struct ref_window){1, 2, 1, 1, 1, 2, 0, 0, 1, 1}, false);
    set(&net, "c.weight", (double[]){1, 2, 3, 4, 10, 20, 30, 40});
    run(&net, (double[]){1, 2, 3, 10, 20, 30}, 1, true);
    /* place 0: taps at -1, 1; place 1: taps at 0, 2; place 2: taps at 1, 3 */
    expect("conv2d dilated", net.nodes[x].y, (double[]){84, 157, 62, 840, 1570, 620}, 6);
    ref_free(&net);
}

static void test_pools(void)
{
    struct ref_net net = {0};
    int x = ref_input(&net, 1, 2, 3);
    struct ref_window k = {2, 2, 1, 2, 1, 1, 1, 1, 1, 1};
    int most = ref_pool(&net, x, REF_MAXPOOL, k), mean = ref_pool(&net, x, REF_AVGPOOL, k);
    int all = ref_global_avgpool(&net, x);
    run(&net, (double[]){-1, -2, -3, -4, -5, -6}, 1, true);
    expect("maxpool2d", net.nodes[most].y, (double[]){-1, -2, -1, -2, -4, -5}, 6);
    expect("avgpool2d", net.nodes[mean].y, (double[]){-1, -2.5, -2.5, -4, -4, -5.5}, 6);
    expect("global_avgpool2d", net.nodes[all].y, (double[]){-3.5}, 1);
    ref_free(&net);
}

static void test_dense_after_flatten(void)
{
    /* the columns of a dense layer run over c, h, w */
    struct ref_net net = {0};
    int x = ref_flatten(&net, ref_input(&net, 2, 1, 2));
    x = ref_dense(&net, x, "dense_1", 2, true);
    set(&net, "dense_1.weight", (double[]){1, 10, 100, 1000, 2, 0, 0, 0});
    set(&net, "dense_1.bias", (double[]){0.5, -1});
    run(&net, (double[]){1, 2, 3, 4}, 1, true);
    expect("dense", net.nodes[x].y, (double[]){4321.5, 1}, 2);
    double sum = 1 + exp(1 - 4321.5);
    expect("loss", &net.loss, (double[]){log(sum)}, 1);
    ref_free(&net);
}

static void test_batchnorm(void)
{
    struct ref_net net = {0};
    int x = ref_input(&net, 1, 1, 2);
    x = ref_batchnorm(&net, x, "b", (struct ref_norm){0.75, 0.25, true, true, false, 0});
    set(&net, "b.weight", (double[]){3});
    set(&net, "b.bias", (double[]){1});
    set(&net, "b.running_mean", (double[]){8});
    set(&net, "b.running_var", (double[]){3.75});
    run(&net, (double[]){1, 3, 5, 7}, 2, false);
    expect("batchnorm in use", net.nodes[x].y, (double[]){-9.5, -6.5, -3.5, -0.5}, 4);
    ref_forward(&net, (double[]){1, 3, 5, 7}, (int32_t[]){0, 0}, 2, true);
    double d = sqrt(5.25);      /* mean 4, biased variance 5 */
    expect("batchnorm", net.nodes[x].y, (double[]){1 - 9 / d, 1 - 3 / d, 1 + 3 / d, 1 + 9 / d}, 4);
    expect("running mean", net.params[2].value, (double[]){7}, 1);
    expect("running variance", net.params[3].value, (double[]){0.75 * 3.75 + 0.25 * 5}, 1);
    ref_free(&net);
}

static void test_locally_connected2d(void)
{
    struct ref_net net = {0};
    int x = ref_input(&net, 1, 2, 3);
    struct ref_window k = {.kh = 2, .kw = 1, .sh = 1, .sw = 2, .dh = 1, .dw = 1};
    x = ref_locally_connected2d(&net, x, "l", 2, k, true);
    /* positions 1 x 2, outputs 2, rows 2 */
    set(&net, "l.weight", (double[]){1, 10, 2, 20, 100, 1000, 200, 2000});
    set(&net, "l.bias", (double[]){0.5, 0.25, -1, -2});
    run(&net, (double[]){1, 2, 3, 4, 5, 6}, 1, true);
    expect("locally_connected2d", net.nodes[x].y, (double[]){41.5, 6299, 82.25, 12598}, 4);
    ref_free(&net);
}

static void test_conv2d_transpose(void)
{
    /* 1 x 2 of two channels, stride 2, filter 1 x 3: columns 0..2 and 2..4; one taken off at each end, one more put
     * on */
    struct ref_net net = {0};
    int x = ref_input(&net, 2, 1, 2);
    struct ref_window k = {.kh = 1, .kw = 3, .sh = 1, .sw = 2, .dh = 1, .dw = 1, .left = 1, .right = 1};
    x = ref_conv2d_transpose(&net, x, "t", 1, 1, k, (int[]){0, 1}, true);
    set(&net, "t.weight", (double[]){1, 10, 100, 2, 20, 200});
    set(&net, "t.bias", (double[]){0.5});
    run(&net, (double[]){1, 2, 3, 4}, 1, true);
    /* of x0: 1+6, 10+60, 100+600; of x1: 2+8, 20+80, 200+800 */
    expect("conv2d_transpose", net.nodes[x].y, (double[]){70.5, 710.5, 100.5, 1000.5}, 4);
    ref_free(&net);

    /* two groups of one channel each: the first makes the first two of the result, the second the others */
    net = (struct ref_net){0};
    x = ref_input(&net, 2, 1, 2);
    k = (struct ref_window){.kh = 1, .kw = 1, .sh = 1, .sw = 1, .dh = 1, .dw = 1};
    x = ref_conv2d_transpose(&net, x, "t", 4, 2, k, (int[]){0, 0}, false);
    set(&net, "t.weight", (double[]){1, 10, 100, 1000});
    run(&net, (double[]){1, 2, 3, 4}, 1, true);
    expect("conv2d_transpose in groups", net.nodes[x].y, (double[]){1, 2, 10, 20, 300, 400, 3000, 4000}, 8);
    ref_free(&net);
}

static void test_moves(void)
{
    struct ref_net net = {0};
    int x = ref_input(&net, 1, 1, 2);
    int zeros = ref_zero_pad(&net, x, 1, 0, 2, 1), channels = ref_pad_channels(&net, x, 1, 2);
    int nearest = ref_upsample(&net, x, 2, 3, false), linear = ref_upsample(&net, x, 1, 2, true);
    int thirds = ref_upsample(&net, x, 1, 3, true);
    run(&net, (double[]){4, 8}, 1, true);
    expect("zero_pad2d", net.nodes[zeros].y, (double[]){0, 0, 0, 0, 0, 0, 0, 4, 8, 0}, 10);
    expect("pad_channels", net.nodes[channels].y, (double[]){0, 0, 4, 8, 0, 0, 0, 0}, 8);
    expect("upsample2d", net.nodes[nearest].y, (double[]){4, 4, 4, 8, 8, 8, 4, 4, 4, 8, 8, 8}, 12);
    expect("upsample2d, bilinear", net.nodes[linear].y, (double[]){4, 5, 7, 8}, 4);
    expect("upsample2d by 3", net.nodes[thirds].y, (double[]){4, 4, 4 + 4 / 3.0, 8 - 4 / 3.0, 8, 8}, 6);
    ref_free(&net);
}

static void test_add_spread(void)
{
    struct ref_net net = {0};
    int x = ref_input(&net, 2, 1, 2), mean = ref_global_avgpool(&net, x);
    int y = ref_add(&net, (int[]){mean, x, x}, 3);
    run(&net, (double[]){1, 3, 10, 30}, 1, true);
    expect("add", net.nodes[y].y, (double[]){4, 8, 40, 80}, 4);
    ref_free(&net);
}

static void test_activations(void)
{
    static const double at_one[REF_ACTIVATIONS] = {
        1, 1, 1, 1, 1.0507009873554805, 0.8413447460685429, 0.7310585786300049, 2.0 / 3,
        0.7310585786300049, 2.0 / 3, 0.7615941559557649, 1.3132616875182228, 0.5,
        0.8650983882673103
    };
    static const double at_minus_two[REF_ACTIVATIONS] = {
        0, 0, -0.5, -0.21616617919084683, -1.5201664685956948, -0.04550026389635842, -0.2384058440442351, -1.0 / 3,
        0.11920292202211755, 1.0 / 6, -0.9640275800758169, 0.1269280110429726, -2.0 / 3,
        -0.2525014826957089
    };
    for (enum ref_activation a = 0; a < REF_ACTIVATIONS; a++) {
        double y[2] = {ref_act(a, 0.25, 1), ref_act(a, 0.25, -2)};
        expect("activation", y, (double[]){at_one[a], at_minus_two[a]}, 2);
    }
    expect("relu6", (double[]){ref_act(REF_RELU6, 0, 7)}, (double[]){6}, 1);
}

static void test_dropout(void)
{
    struct ref_net net = {0};
    int x = ref_dropout(&net, ref_input(&net, 1, 1, 4), 0.75);
    net.nodes[x].kept = (const unsigned char[]){1, 0, 0, 1};
    run(&net, (double[]){1, 2, 3, 4}, 1, true);
    expect("dropout", net.nodes[x].y, (double[]){4, 0, 0, 16}, 4);
    ref_forward(&net, (double[]){1, 2, 3, 4}, (int32_t[]){0}, 1, false);
    expect("dropout in use", net.nodes[x].y, (double[]){1, 2, 3, 4}, 4);
    ref_free(&net);
}

static void test_optimizers(void)
{
    /* The first step of Adam is lr * g / (|g| + epsilon / sqrt(1 - beta2)), whatever the size of g. */
    struct ref_net net = {0};
    ref_dense(&net, ref_flatten(&net, ref_input(&net, 1, 1, 1)), "d", 2, false);
    net.params[0].grad[0] = 5;
    net.params[0].grad[1] = -1e-6;
    const struct ref_optimizer adam = {.kind = REF_ADAM, .lr = 0.1, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-7};
    ref_update(&net, &(struct ref_moment){.step = 0}, &adam);
    double e = 1e-7 / sqrt(1 - 0.999);
    expect("adam", net.params[0].value, (double[]){-0.1 * 5 / (5 + e), 0.1 * 1e-6 / (1e-6 + e)}, 2);
    /* shortened from 5 and 12 to half a unit, held at 0.25, with weights that decay; a second step with momentum */
    const struct ref_optimizer sgd = {
        .kind = REF_SGD, .lr = 0.5, .momentum = 0.5, .weight_decay = 0.2, .clip_norm = 0.65, .clip_value = 0.5,
    };
    struct ref_param *p = &net.params[0];
    p->m[0] = p->m[1] = p->v[0] = p->v[1] = 0;
    p->value[0] = 1, p->value[1] = -1;
    for (uint64_t step = 0; step < 2; step++) {
        p->grad[0] = 5, p->grad[1] = 12;
        ref_update(&net, &(struct ref_moment){.step = step}, &sgd);
    }
    double w[2] = {1, -1};
    for (int i = 0; i < 2; i++) {
        double g = i ? 0.5 : 0.25;
        w[i] = (w[i] * 0.9 - 0.5 * g) * 0.9 - 0.5 * 1.5 * g;
    }
    expect("sgd", p->value, w, 2);
    ref_free(&net);
}

/* One sample's loss of targets 1 and 0, and its gradient where the last node has 0.5 and -2. */
static void test_losses(void)
{
    double z[2] = {0.5, -2}, one = 1 / (1 + exp(-0.5)), two = 1 / (1 + exp(2.0));
    const struct {
        struct ref_loss loss;
        double value, slope[2];
    } rows[] = {
        {{.kind = REF_CROSSENTROPY, .smoothing = 0.5}, log1p(exp(-2.5)) + 0.25 * 2.5,
         {1 / (1 + exp(-2.5)) - 0.75, 1 / (1 + exp(2.5)) - 0.25}},
        {{.kind = REF_BINARY, .end = REF_END_SIGMOID}, -(log(one) + log(1 - two)) / 2, {(one - 1) / 2, two / 2}},
        {{.kind = REF_MSE, .end = REF_END_PLAIN}, (0.25 + 4) / 2, {-0.5, -2}},
        {{.kind = REF_MAE, .end = REF_END_PLAIN}, 2.5 / 2, {-0.5, -0.5}},
        {{.kind = REF_HUBER, .end = REF_END_PLAIN, .delta = 1}, (0.125 + 1.5) / 2, {-0.25, -0.5}},
        {{.kind = REF_BENT, .end = REF_END_PLAIN, .delta = 0.5}, (0.5 / 16 + 0.25 + 8) / 2,
         {(-0.25 - 1) / 2, -16 / 2.0}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct ref_net net = {.objective = rows[i].loss};
        int x = ref_flatten(&net, ref_input(&net, 2, 1, 1));
        run(&net, z, 1, true);
        expect("loss", &net.loss, &rows[i].value, 1);
        expect("slope of a loss", net.nodes[x].dy, rows[i].slope, 2);
        ref_free(&net);
    }
}

/* ---- finite differences ------------------------------------------------------------------------------------------ */

struct differences {
    int64_t checked, skipped, wrong;
};

struct batch {
    double *input, *targets;
    int32_t labels[64];
};

static double mean_loss(struct ref_net *net, const struct batch *b)
{
    ref_forward(net, b->input, b->labels, net->batch, true);
    return net->loss / net->batch;
}

/* d loss / d *value by central differences of two step sizes; false where they disagree: a kink is near. */
static bool difference(struct ref_net *net, const struct batch *b, double *value, double *slope, double *doubt)
{
    double at = *value, estimate[2], h = 1e-5 * (1 + fabs(at));
    for (int i = 0; i < 2; i++, h /= 4) {
        *value = at + h;
        double above = mean_loss(net, b);
        *value = at - h;
        double below = mean_loss(net, b);
        estimate[i] = (above - below) / (2 * h);
    }
    *value = at;
    *slope = estimate[1];
    *doubt = 1e-9 + 3 * fabs(estimate[0] - estimate[1]);
    return *doubt <= 1e-6 * (1 + fabs(*slope));
}

static void check_value(struct network *n, const struct batch *b, const char *what, double *value, double gradient,
                        struct differences *d)
{
    double slope, doubt;
    if (!difference(&n->net, b, value, &slope, &doubt)) {
        d->skipped++;
        return;
    }
    d->checked++;
    if (fabs(slope - gradient) <= doubt + 1e-6 * fabs(gradient))
        return;
    d->wrong++;
    printf("reference_test: seed %llu: %s: gradient %.12g, by differences %.12g\n", (unsigned long long)n->seed, what,
           gradient, slope);
}

/* A batch of a network's, whose targets stay where its input is changed. */
static struct batch batch_of(struct network *n, uint64_t random)
{
    int64_t size = n->batch * ref_node_size(&n->net.nodes[0]);
    struct batch b = {
        .input = malloc((size_t)size * sizeof(double)),
        .targets = malloc((size_t)n->batch * (size_t)n->outputs * sizeof(double)),
    };
    for (int64_t i = 0; i < size; i++)
        b.input[i] = ref_normal(&random);
    network_targets(n, &random, b.input, n->batch, b.labels, b.targets);
    n->net.targets = b.targets;
    return b;
}

static void check_network(uint64_t seed, struct differences *d)
{
    struct network *n = network_generate(seed, 0);
    struct ref_net *net = &n->net;
    uint64_t random = ~seed;
    int64_t size = net->batch * ref_node_size(&net->nodes[0]);
    struct batch b = batch_of(n, seed);
    mean_loss(net, &b);
    ref_backward(net);
    for (int i = 0; i < net->params_count; i++) {
        struct ref_param *p = &net->params[i];
        for (int k = 0; k < 2 && p->role != REF_STATISTIC; k++) {
            int64_t j = (int64_t)(ref_random(&random) % (uint64_t)p->count);
            check_value(n, &b, p->name, &p->value[j], p->grad[j], d);
        }
    }
    for (int k = 0; k < 3; k++) {
        int64_t j = (int64_t)(ref_random(&random) % (uint64_t)size);
        check_value(n, &b, "input", &b.input[j], net->nodes[0].dy[j], d);
    }
    free(b.input);
    free(b.targets);
    network_free(n);
}

/* A planted fault must be seen by the same comparison that passes without it. */
static void check_fault_is_seen(void)
{
    struct differences d = {0};
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct network *n = network_generate(seed, 0);
        struct batch b = batch_of(n, seed);
        n->net.fault = REF_FAULT_MEAN;
        mean_loss(&n->net, &b);
        ref_backward(&n->net);
        struct ref_param *p = &n->net.params[n->net.params_count - 1];
        double slope, doubt;
        if (difference(&n->net, &b, &p->value[0], &slope, &doubt))
            d.wrong += fabs(slope - p->grad[0]) > doubt + 1e-6 * fabs(p->grad[0]);
        free(b.input);
        free(b.targets);
        network_free(n);
    }
    if (d.wrong == 0) {
        puts("reference_test: gradients of the wrong size pass for right ones");
        failures++;
    }
}

int main(int argc, char **argv)
{
    test_conv2d_same_stride();
    test_conv2d_dilated_channels();
    test_locally_connected2d();
    test_conv2d_transpose();
    test_moves();
    test_pools();
    test_dense_after_flatten();
    test_batchnorm();
    test_add_spread();
    test_activations();
    test_dropout();
    test_optimizers();
    test_losses();
    struct differences d = {0};
    int count = argc > 1 ? atoi(argv[1]) : 40;
    for (int i = 0; i < count; i++)
        check_network((uint64_t)i, &d);
    check_fault_is_seen();
    printf("reference_test: %lld gradients agree with differences, %lld skipped near kinks, %lld wrong; %d failures\n",
           (long long)(d.checked - d.wrong), (long long)d.skipped, (long long)d.wrong, failures);
    if (d.skipped * 5 > d.checked) {
        puts("reference_test: too many were skipped");
        failures++;
    }
    return failures || d.wrong ? 1 : 0;
}
