/* test_runtime_metric.c - metrics over the whole set: figures worked out by hand, and random sets
 * against an obvious computation. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "train/tally.h"
#include "tiny_model.h"

static const struct cnn_metric all_metrics[] = {
    { .name = "p_macro", .kind = CNN_METRIC_PRECISION, .average = CNN_AVERAGE_MACRO },
    { .name = "p_micro", .kind = CNN_METRIC_PRECISION, .average = CNN_AVERAGE_MICRO },
    { .name = "p_weighted", .kind = CNN_METRIC_PRECISION, .average = CNN_AVERAGE_WEIGHTED },
    { .name = "r_macro", .kind = CNN_METRIC_RECALL, .average = CNN_AVERAGE_MACRO },
    { .name = "r_micro", .kind = CNN_METRIC_RECALL, .average = CNN_AVERAGE_MICRO },
    { .name = "r_weighted", .kind = CNN_METRIC_RECALL, .average = CNN_AVERAGE_WEIGHTED },
    { .name = "f_macro", .kind = CNN_METRIC_F1, .average = CNN_AVERAGE_MACRO },
    { .name = "f_micro", .kind = CNN_METRIC_F1, .average = CNN_AVERAGE_MICRO },
    { .name = "f_weighted", .kind = CNN_METRIC_F1, .average = CNN_AVERAGE_WEIGHTED },
};

enum { METRICS = sizeof all_metrics / sizeof all_metrics[0], SAMPLES_MAX = 200, CLASSES_MAX = 10 };

static void metrics_none(const struct cnn_context *c, int n, double *values)
{
    (void)c;
    (void)n;
    (void)values;
}

/* Feeds the set in batches of `batch` and leaves the nine values. */
static void measure(bool real_double, int classes, const int *right, const int *guess, int samples,
                    int batch, double values[METRICS])
{
    struct cnn_model m = real_double ? tiny_double_model : tiny_float_model;
    float floats[SAMPLES_MAX * CLASSES_MAX] = { 0 };
    double doubles[SAMPLES_MAX * CLASSES_MAX] = { 0 };
    int32_t labels[SAMPLES_MAX];
    struct cnn_context c = { .predictions = real_double ? (void *)doubles : (void *)floats,
                             .labels = labels, .model = &m };
    struct tally t;
    m.outputs = m.train.target.size = classes;
    m.metrics = metrics_none;
    m.train.metrics = all_metrics;
    m.train.metrics_count = METRICS;
    cr_assert_eq(rt_tally_open(&t, &m, false), 0);
    for (int round = 0; round < 2; round++) {   /* an epoch leaves nothing to the next */
        rt_tally_begin(&t);
        cr_assert_eq(rt_tally_value(&t, 1), 0.0);
        for (int from = 0; from < samples; from += batch) {
            int n = samples - from < batch ? samples - from : batch;
            memset(floats, 0, sizeof floats);
            memset(doubles, 0, sizeof doubles);
            for (int i = 0; i < n; i++) {
                labels[i] = right[from + i];
                floats[i * classes + guess[from + i]] = 0.5f;
                doubles[i * classes + guess[from + i]] = 0.5;
            }
            rt_tally_add(&t, &c, n);
        }
    }
    for (int i = 0; i < METRICS; i++)
        values[i] = rt_tally_value(&t, i + 1);
    rt_tally_close(&t);
}

static void values_check(const double *values, const double *expected)
{
    for (int i = 0; i < METRICS; i++)
        cr_assert_float_eq(values[i], expected[i], 1e-12, "%s: %.12g, expected %.12g",
                           all_metrics[i].name, values[i], expected[i]);
}

Test(set_metrics, figures_worked_out_by_hand)
{
    /* class 0: 3 of 4 found, 1 wrong; class 1: 1 of 2 found, 2 wrong; class 2: 2 of 3 found, 0 wrong */
    const int right[] = { 0, 0, 0, 0, 1, 1, 2, 2, 2 };
    const int guess[] = { 0, 0, 0, 1, 1, 0, 2, 2, 1 };
    const double p[] = { 3.0 / 4, 1.0 / 3, 1.0 }, r[] = { 3.0 / 4, 1.0 / 2, 2.0 / 3 },
                 f[] = { 3.0 / 4, 2.0 / 5, 4.0 / 5 };
    const double expected[] = {
        (p[0] + p[1] + p[2]) / 3, 6.0 / 9, (4 * p[0] + 2 * p[1] + 3 * p[2]) / 9,
        (r[0] + r[1] + r[2]) / 3, 6.0 / 9, 6.0 / 9,
        0.65, 6.0 / 9, (4 * f[0] + 2 * f[1] + 3 * f[2]) / 9,
    };
    double values[METRICS];
    for (int batch = 1; batch <= 9; batch++) {
        measure(batch % 2, 3, right, guess, 9, batch, values);
        values_check(values, expected);
    }
}

Test(set_metrics, nothing_divided_by_nothing_is_nothing)
{
    /* class 1 is never predicted, class 2 never right, class 3 occurs nowhere: it does not count */
    const int right[] = { 0, 0, 1, 1 };
    const int guess[] = { 0, 0, 0, 2 };
    const double expected[] = {
        (2.0 / 3) / 3, 0.5, (2 * (2.0 / 3)) / 4,
        1.0 / 3, 0.5, 0.5,
        0.8 / 3, 0.5, 0.4,
    };
    double values[METRICS];
    measure(false, 4, right, guess, 4, 4, values);
    values_check(values, expected);
}

/* One class's score straight from the definition. */
static double score(enum cnn_metric_kind kind, int k, const int *right, const int *guess, int n)
{
    double both = 0, is = 0, said = 0;
    for (int i = 0; i < n; i++) {
        both += right[i] == k && guess[i] == k;
        is += right[i] == k;
        said += guess[i] == k;
    }
    double p = said > 0 ? both / said : 0, r = is > 0 ? both / is : 0;
    return kind == CNN_METRIC_PRECISION ? p
           : kind == CNN_METRIC_RECALL  ? r
           : p + r > 0                  ? 2 * p * r / (p + r)
                                        : 0;
}

static double reference(const struct cnn_metric *m, int classes, const int *right, const int *guess,
                        int n)
{
    double sum = 0, weights = 0, hits = 0;
    for (int i = 0; i < n; i++)
        hits += right[i] == guess[i];
    if (m->average == CNN_AVERAGE_MICRO)
        return hits / n;
    for (int k = 0; k < classes; k++) {
        int support = 0, occurs = 0;
        for (int i = 0; i < n; i++) {
            support += right[i] == k;
            occurs += right[i] == k || guess[i] == k;
        }
        double weight = m->average == CNN_AVERAGE_WEIGHTED ? support : occurs > 0;
        sum += weight * score(m->kind, k, right, guess, n);
        weights += weight;
    }
    return sum / weights;
}

Test(set_metrics, random_sets_agree_with_an_obvious_computation)
{
    unsigned state = 12345;
    for (int round = 0; round < 200; round++) {
        int right[SAMPLES_MAX], guess[SAMPLES_MAX];
        double values[METRICS], expected[METRICS];
        int classes = 2 + round % 9, samples = 1 + round;
        for (int i = 0; i < samples; i++) {
            state = state * 1664525u + 1013904223u;
            right[i] = (int)((state >> 16) % (unsigned)classes);
            guess[i] = (state >> 8) % 3 ? right[i] : (int)((state >> 24) % (unsigned)classes);
        }
        measure(round % 2, classes, right, guess, samples, 1 + round % 33, values);
        for (int i = 0; i < METRICS; i++)
            expected[i] = reference(&all_metrics[i], classes, right, guess, samples);
        values_check(values, expected);
    }
}

Test(set_metrics, the_first_of_equals_is_predicted)
{
    struct cnn_model m = tiny_float_model;
    float row[3] = { 0.25f, 0.375f, 0.375f };
    int32_t label = 1;
    struct cnn_context c = { .predictions = row, .labels = &label, .model = &m };
    struct confusion counts;
    m.outputs = m.train.target.size = 3;
    cr_assert_eq(rt_confusion_open(&counts, 3, false), 0);
    rt_confusion_add(&counts, &c, 1);
    cr_assert_eq(counts.hits, 1);
    cr_assert_eq(counts.counts[1 * 3 + 1], 1);
    rt_confusion_close(&counts);
}

/* ---- labels, areas, distances: by hand ---------------------------------------------------------- */

static const struct cnn_metric of_labels[] = {
    { .name = "p_macro", .kind = CNN_METRIC_PRECISION, .average = CNN_AVERAGE_MACRO },
    { .name = "r_micro", .kind = CNN_METRIC_RECALL, .average = CNN_AVERAGE_MICRO },
    { .name = "f_weighted", .kind = CNN_METRIC_F1, .average = CNN_AVERAGE_WEIGHTED },
    { .name = "r_1", .kind = CNN_METRIC_RECALL, .of_class = 1 + 1 },
    { .name = "p_named", .kind = CNN_METRIC_PRECISION, .class_name = "late" },
    { .name = "auc", .kind = CNN_METRIC_AUC, .thresholds = 200 },
    { .name = "auc_0", .kind = CNN_METRIC_AUC, .thresholds = 3, .of_class = 1 + 0 },
    { .name = "mae", .kind = CNN_METRIC_MAE },
    { .name = "mse", .kind = CNN_METRIC_MSE },
    { .name = "rmse", .kind = CNN_METRIC_RMSE },
};

enum { OF_LABELS = sizeof of_labels / sizeof of_labels[0] };

/* Four samples of two labels, two and two. */
static void labels_measure(enum cnn_target_kind kind, int outputs, const float *predictions, const float *targets,
                           const int32_t *labels, double *values)
{
    struct cnn_model m = tiny_float_model;
    char *names[] = { "early", "late" };
    struct tally t;
    m.outputs = outputs;
    m.train.target = (struct cnn_target){ kind, 2 };
    m.metrics = metrics_none;
    m.train.metrics = of_labels;
    m.train.metrics_count = OF_LABELS - (kind == CNN_TARGET_CLASS ? 3 : 0);
    cr_assert_eq(rt_tally_open(&t, &m, false), 0);
    cr_assert_eq(rt_tally_names(&t, names), 0);
    rt_tally_begin(&t);
    for (int batch = 0; batch < 2; batch++) {
        struct cnn_context c = { .predictions = (void *)(predictions + batch * 2 * outputs), .model = &m,
                                 .targets = (void *)(targets ? targets + batch * 2 * outputs : NULL),
                                 .labels = (int32_t *)(labels ? labels + batch * 2 : NULL) };
        rt_tally_add(&t, &c, 2);
    }
    for (int i = 0; i < m.train.metrics_count; i++)
        values[i] = rt_tally_value(&t, i + 1);
    rt_tally_close(&t);
}

static void are(const double *values, const double *expected, int count)
{
    for (int i = 0; i < count; i++)
        cr_assert_float_eq(values[i], expected[i], 1e-7, "%s: %.9g, expected %.9g", of_labels[i].name, values[i],
                           expected[i]);
}

Test(set_metrics, of_labels_by_hand)
{
    /* label 0: given to samples 0 and 1, is of 0 and 2; label 1: given to 1, is of 1 and 3; 0.5 is not above a half */
    const float p[] = { 0.75f, 0.25f, 0.75f, 1.0f, 0.25f, 0.0f, 0.25f, 0.5f }, y[] = { 1, 0, 0, 1, 1, 0, 0, 1 };
    double values[OF_LABELS];
    labels_measure(CNN_TARGET_LABELS, 2, p, y, NULL, values);
    /* pairs of label 0: 0.75 over 0.75 a half, over 0.25 one, 0.25 over 0.75 none, over 0.25 a half; of label 1: all.
     * Three thresholds part 0.75 from 0.25 as well. */
    const double absolute = (0.25 + 0.25 + 0.75 + 0 + 0.75 + 0 + 0.25 + 0.5) / 8,
                 squares = (0.0625 + 0.0625 + 0.5625 + 0 + 0.5625 + 0 + 0.0625 + 0.25) / 8;
    are(values, (const double[]){ (0.5 + 1) / 2, 2.0 / 4, (0.5 * 2 + 2.0 / 3 * 2) / 4, 0.5, 1, (0.5 + 1) / 2, 0.5,
                                  absolute, squares, sqrt(squares) }, OF_LABELS);
}

/* One output is the probability of the second of two classes. */
Test(set_metrics, of_a_lone_output_by_hand)
{
    const float p[] = { 0.9f, 0.2f, 0.5f, 0.7f };
    const int32_t labels[] = { 1, 0, 1, 0 };
    double values[OF_LABELS];
    labels_measure(CNN_TARGET_CLASS, 1, p, NULL, labels, values);
    /* taken for: 1, 0, 0, 1 */
    are(values, (const double[]){ 0.5, 0.5, 0.5, 0.5, 0.5, 3.0 / 4 }, 6);
}

/* As Keras has it: each threshold parts what is above it from the rest. */
Test(set_metrics, areas_of_a_few_thresholds)
{
    struct cnn_model m = tiny_float_model;
    const float p[] = { 0.1f, 0.4f, 0.45f, 0.8f };
    int32_t labels[] = { 0, 1, 0, 1 };
    const struct cnn_context c = { .predictions = (void *)p, .labels = labels, .model = &m };
    struct ranking r;
    m.outputs = 1;
    m.train.target = (struct cnn_target){ CNN_TARGET_CLASS, 2 };
    /* 0.4 and 0.45 change places with many thresholds, and are equal where 0.5 is the only one between */
    for (int thresholds = 3; thresholds <= 2001; thresholds += 1998) {
        cr_assert_eq(rt_ranking_open(&r, 1, thresholds), 0);
        cr_assert(isnan(rt_ranking_area(&r, 0)));
        rt_ranking_add(&r, &c, 4);
        cr_assert_float_eq(rt_ranking_area(&r, 0), thresholds == 3 ? (0.5 + 0.5 + 1 + 1) / 4 : 3.0 / 4, 1e-12);
        rt_ranking_close(&r);
    }
}

Test(set_metrics, a_class_that_there_is_not)
{
    struct cnn_model m = tiny_float_model;
    char *names[] = { "early", "soon" };
    struct tally t;
    m.train.target = (struct cnn_target){ CNN_TARGET_LABELS, 2 };
    m.outputs = 2;
    m.train.metrics = of_labels;
    m.train.metrics_count = OF_LABELS;
    cr_assert_eq(rt_tally_open(&t, &m, false), 0);
    cr_assert_eq(rt_tally_names(&t, names), -1);
    cr_assert_eq(rt_tally_names(&t, NULL), -1);
    rt_tally_close(&t);
}
