/* test_runtime_targets.c - samples of floats and targets that are numbers, from a set in memory to a report, with the
 * hand-written network's descriptor changed to want them. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "core/targets.h"
#include "data/pixels.h"
#include "data/subset.h"
#include "tiny_model.h"
#include "train/batch_random.h"
#include "train/loader.h"
#include "train/tally.h"

enum { CHANNELS = 3, SIDE = 32, ELEMENTS = CHANNELS * SIDE * SIDE, OUTPUTS = 10, SAMPLES = 70 };

static struct cnn_model wanting(const struct cnn_model *tiny, enum cnn_target_kind kind, int size)
{
    struct cnn_model m = *tiny;
    m.data.sample = CNN_SAMPLE_FLOATS;
    m.train.target = (struct cnn_target){ kind, size };
    m.train.metrics_count = 0;
    return m;
}

/* Sample i is i + k / 1000 at number k, its targets are i - o. */
static void set_open(struct dataset *d, struct split *s)
{
    *d = (struct dataset){ .kind = CNN_SAMPLE_FLOATS, .channels = CHANNELS, .height = SIDE, .width = SIDE,
                           .target = { CNN_TARGET_VECTOR, OUTPUTS } };
    *s = (struct split){ 0 };
    cr_assert_eq(rt_split_allocate(d, s, SAMPLES), 0);
    cr_assert_null(s->labels);
    for (int i = 0; i < SAMPLES; i++) {
        for (int k = 0; k < ELEMENTS; k++)
            s->values[i * ELEMENTS + k] = (float)(i + k / 1000.0);
        for (int o = 0; o < OUTPUTS; o++)
            s->vectors[i * OUTPUTS + o] = (float)(i - o);
    }
}

/* The recipe's steps: scale 1/255, normalize mean=0.5, std=0.5. */
static double prepared(double x)
{
    return (x / 255.0 - 0.5) / 0.5;
}

static void batches_check(const struct cnn_model *tiny)
{
    struct cnn_model m = wanting(tiny, CNN_TARGET_VECTOR, OUTPUTS);
    struct cnn_context *c = cnn_open(&m, 1, 1);
    struct dataset d;
    struct split s;
    struct loader l;
    int n, first = 0;
    set_open(&d, &s);
    cr_assert_eq(rt_loader_open(&l, c, &s, LOADER_MEASURES), 0);
    rt_loader_begin(&l, 1, 0);
    for (; (n = rt_loader_next(&l, c)) > 0; first += n)
        for (int i = 0; i < n; i++) {
            for (int k = 0; k < ELEMENTS; k++) {    /* the tiny network's channels are innermost, as a set's are */
                double found = m.real_size == 8 ? ((double *)c->input)[i * ELEMENTS + k]
                                                : (double)((float *)c->input)[i * ELEMENTS + k];
                cr_assert_float_eq(found, prepared((double)s.values[(first + i) * ELEMENTS + k]), 1e-6);
            }
            for (int o = 0; o < OUTPUTS; o++)
                cr_assert_eq(rt_target_number(c, i, o), first + i - o);
        }
    cr_assert_eq(first, SAMPLES);
    rt_loader_close(&l);
    rt_split_free(&s);
    cnn_close(c);
}

Test(targets, floats_and_vectors_reach_networks_of_either_precision)
{
    batches_check(&tiny_float_model);
    batches_check(&tiny_double_model);
}

Test(targets, the_input_is_its_own_in_the_users_order)
{
    struct cnn_model m = wanting(&tiny_float_model, CNN_TARGET_INPUT, ELEMENTS);
    struct cnn_context *c = cnn_open(&m, 1, 1);
    float *planes = malloc(ELEMENTS * sizeof *planes);
    cr_assert_null(c->targets);
    for (int k = 0; k < ELEMENTS; k++)
        planes[k] = (float)k;
    cnn_input_set(c, 2, planes);
    for (int k = 0; k < ELEMENTS; k++)
        cr_assert_eq(rt_target_number(c, 2, k), k);
    free(planes);
    cnn_close(c);
}

Test(targets, noise_has_targets_of_the_models_kind)
{
    struct cnn_model vector = wanting(&tiny_double_model, CNN_TARGET_VECTOR, OUTPUTS),
                     labels = wanting(&tiny_double_model, CNN_TARGET_LABELS, OUTPUTS);
    struct cnn_context *v = cnn_open(&vector, 1, 1), *l = cnn_open(&labels, 1, 1);
    int ones = 0;
    cr_assert_eq(rt_batch_random(v, 32, 5, RANDOM_GRADCHECK), 0);
    cr_assert_eq(rt_batch_random(l, 32, 5, RANDOM_GRADCHECK), 0);
    for (int i = 0; i < 32; i++)
        for (int o = 0; o < OUTPUTS; o++) {
            double number = rt_target_number(v, i, o), label = rt_target_number(l, i, o);
            cr_assert(number >= -1 && number < 1 && number != 0);
            cr_assert(label == 0 || label == 1);
            ones += label == 1;
        }
    cr_assert(ones > 100 && ones < 220, "%d of 320 labels are there", ones);
    cnn_close(v);
    cnn_close(l);
}

Test(targets, deviations_are_means_over_samples_and_outputs)
{
    struct cnn_model m = wanting(&tiny_float_model, CNN_TARGET_VECTOR, 2);
    m.outputs = 2;
    struct cnn_context *c = cnn_open(&m, 1, 1);
    struct tally t;
    const float predicted[] = { 1, 5, 4, 5 };       /* two samples; the targets are 0 and 5 */
    cr_assert_eq(rt_tally_open(&t, &m, true), 0);
    rt_tally_begin(&t);
    for (int i = 0; i < 2; i++)
        for (int o = 0; o < 2; o++) {
            ((float *)c->predictions)[2 * i + o] = predicted[2 * i + o];
            rt_target_set(c, i, o, o ? 5 : 0);
        }
    c->loss = 6;
    rt_tally_add(&t, c, 2);
    cr_assert_eq(rt_tally_value(&t, 0), 3.0);
    cr_assert_float_eq(rt_deviation(&t.deviations, 0).absolute, 2.5, 1e-12);
    cr_assert_float_eq(rt_deviation(&t.deviations, 0).root_mean_square, sqrt(8.5), 1e-12);
    cr_assert_eq(rt_deviation(&t.deviations, 1).absolute, 0.0);
    cr_assert_float_eq(rt_deviation_of_all(&t.deviations).root_mean_square, sqrt(4.25), 1e-12);
    rt_tally_close(&t);
    cnn_close(c);
}

Test(targets, numbers_are_measured_behind_the_steps_before)
{
    static const struct cnn_setting factor = { .key = "factor", .number = 2 }, automatic = { .key = "auto",
            .text = "auto" };
    static const struct cnn_clause steps[] = { { "scale", &factor, 1 }, { "normalize", &automatic, 1 } };
    struct cnn_model m = wanting(&tiny_float_model, CNN_TARGET_VECTOR, OUTPUTS);
    struct dataset d;
    struct split s;
    double mean[CHANNELS], std[CHANNELS];
    set_open(&d, &s);
    m.data.steps = steps;
    m.data.steps_count = 2;
    for (int i = 0; i < SAMPLES * ELEMENTS; i++)        /* 1 and 3 in turns in channel 0, 7 in the others */
        s.values[i] = i % CHANNELS ? 7.0f : (float)(1 + i / CHANNELS % 2 * 2);
    cr_assert_eq(rt_pixels_measure(&m, &s, mean, std), 0);
    cr_assert_float_eq(mean[0], 4.0, 1e-12);
    cr_assert_float_eq(std[0], 2.0, 1e-12);
    cr_assert_float_eq(mean[2], 14.0, 1e-12);
    cr_assert_float_eq(std[2], 1.0, 1e-12, "what never changes counts with deviation 1");
    rt_split_free(&s);
}

/* Through `split`, `limit` and the check against the network: sets of vectors are drawn from as one class. */
Test(targets, a_set_of_vectors_is_divided)
{
    static const struct cnn_setting fraction = { .key = "fraction", .number = 0.2 },
        most = { .key = "train", .number = 40 };
    static const struct cnn_clause steps[] = { { "split", &fraction, 1 }, { "limit", &most, 1 } };
    struct cnn_model m = wanting(&tiny_float_model, CNN_TARGET_VECTOR, OUTPUTS);
    struct dataset d;
    struct split s;
    set_open(&d, &s);
    d.train = s;
    m.data.steps = steps;
    m.data.steps_count = 2;
    cr_assert_eq(rt_dataset_prepare(&d, &m), 0);
    cr_assert_eq(d.train.count, 40);
    cr_assert_eq(d.val.count, 14);
    for (int i = 0; i < 14; i++)        /* samples and targets stay together */
        cr_assert_float_eq(d.val.vectors[i * OUTPUTS + 3], d.val.values[i * ELEMENTS] - 3, 1e-3);
    rt_dataset_close(&d);
}
