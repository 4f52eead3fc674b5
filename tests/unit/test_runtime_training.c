/* test_runtime_training.c - callbacks with Keras's meaning, running means, slopes for gradcheck. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "train/callback.h"
#include "cli/gradcheck.h"
#include "tiny_model.h"

/* ---- reduce_lr_on_plateau -------------------------------------------------------------------- */

struct plateau_case {
    const char *monitor;
    double factor, patience, min_delta, cooldown, min_lr;
    const double *values, *rates;       /* of each epoch; the rate after it */
    int epochs;
};

static void plateau_run(const struct plateau_case *k)
{
    const struct cnn_setting settings[] = {
        { .key = "monitor", .text = k->monitor },
        { .key = "factor", .number = k->factor },
        { .key = "patience", .number = k->patience },
        { .key = "verbose", .number = 0 },
        { .key = "min_delta", .number = k->min_delta },
        { .key = "cooldown", .number = k->cooldown },
        { .key = "min_lr", .number = k->min_lr },
    };
    const struct cnn_clause clause = { "reduce_lr_on_plateau", settings, 7 };
    struct cnn_model m = tiny_float_model;
    m.train.callbacks = &clause;
    m.train.callbacks_count = 1;
    struct callback_list list;
    struct tally train, val;
    struct schedule schedule = { .rate = 1.0 };
    struct progress progress;
    rt_progress_open(&progress, 0, NULL, 1);
    cr_assert_eq(rt_tally_open(&train, &m, false), 0);
    cr_assert_eq(rt_tally_open(&val, &m, false), 0);
    cr_assert_eq(rt_callbacks_open(&list, &m.train), 0);
    for (int epoch = 0; epoch < k->epochs; epoch++) {
        /* every value but the one monitored goes the wrong way */
        train.samples = val.samples = 1;
        train.loss = val.loss = epoch;
        train.metrics[0] = val.metrics[0] = -epoch;
        struct tally *monitored = strncmp(k->monitor, "val_", 4) ? &train : &val;
        if (strstr(k->monitor, "loss"))
            monitored->loss = k->values[epoch];
        else
            monitored->metrics[0] = k->values[epoch];
        struct epoch_end end = { .epoch = epoch, .train = &train, .val = &val, .schedule = &schedule,
                                 .progress = &progress };
        rt_callbacks_epoch_end(&list, &end);
        cr_assert_float_eq(schedule.rate, k->rates[epoch], 1e-12,
                           "epoch %d of %s: rate %g, expected %g", epoch + 1, k->monitor,
                           schedule.rate, k->rates[epoch]);
        cr_assert_not(end.stop);
    }
    rt_callbacks_close(&list);
    rt_tally_close(&train);
    rt_tally_close(&val);
}

Test(plateau, waits_for_its_patience_and_starts_again)
{
    const double values[] = { 1.0, 0.9, 0.9, 0.9, 0.9, 0.9, 0.5, 0.6, 0.6 };
    const double rates[] = { 1.0, 1.0, 1.0, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125 };
    plateau_run(&(struct plateau_case){ "val_loss", 0.5, 2, 1e-4, 0, 0, values, rates, 9 });
}

Test(plateau, an_improvement_must_exceed_min_delta)
{
    /* 0.95 is no progress of more than 0.1 over 1.0, 0.89 is; 0.85 is none over 0.89 */
    const double values[] = { 1.0, 0.95, 0.89, 0.85, 0.6 };
    const double rates[] = { 1.0, 0.5, 0.5, 0.25, 0.25 };
    plateau_run(&(struct plateau_case){ "loss", 0.5, 1, 0.1, 0, 0, values, rates, 5 });
}

Test(plateau, cooldown_stops_the_waiting)
{
    /* Keras: the counter falls at the end of each epoch, and the epoch in which it reaches 0 counts
     * again */
    const double values[] = { 1, 1, 1, 1, 1, 1, 1, 1 };
    const double rates[] = { 1, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125, 0.0625 };
    plateau_run(&(struct plateau_case){ "val_loss", 0.5, 1, 0, 2, 0, values, rates, 8 });
}

Test(plateau, higher_is_better_where_the_metric_says_so)
{
    const double values[] = { 0.1, 0.3, 0.2, 0.2, 0.4 };
    const double rates[] = { 1.0, 1.0, 1.0, 0.1, 0.1 };
    plateau_run(&(struct plateau_case){ "val_acc", 0.1, 2, 1e-4, 0, 0, values, rates, 5 });
    plateau_run(&(struct plateau_case){ "val_accuracy", 0.1, 2, 1e-4, 0, 0, values, rates, 5 });
    plateau_run(&(struct plateau_case){ "acc", 0.1, 2, 1e-4, 0, 0, values, rates, 5 });
}

Test(plateau, never_falls_below_min_lr)
{
    const double values[] = { 1, 1, 1, 1, 1 };
    const double rates[] = { 1.0, 0.5, 0.3, 0.3, 0.3 };
    plateau_run(&(struct plateau_case){ "val_loss", 0.5, 1, 0, 0, 0.3, values, rates, 5 });
}

Test(plateau, what_is_not_a_number_is_no_progress)
{
    const double values[] = { 1.0, NAN, NAN, 0.5, 0.5 };
    const double rates[] = { 1.0, 1.0, 0.5, 0.5, 0.5 };
    plateau_run(&(struct plateau_case){ "val_loss", 0.5, 2, 0, 0, 0, values, rates, 5 });
}

Test(callbacks, unknown_kinds_and_monitors_are_refused)
{
    struct cnn_model m = tiny_float_model;
    struct callback_list list;
    const struct cnn_setting nothing[] = { { .key = "monitor", .text = "val_f1" } };
    const struct cnn_clause monitor = { "reduce_lr_on_plateau", nothing, 1 },
                            kind = { "sing", NULL, 0 };
    m.train.callbacks = &monitor;
    m.train.callbacks_count = 1;
    cr_assert_eq(rt_callbacks_open(&list, &m.train), -1);
    m.train.callbacks = &kind;
    cr_assert_eq(rt_callbacks_open(&list, &m.train), -1);
}

/* ---- running means --------------------------------------------------------------------------- */

static double metric_value;

static void metric_of_test(const struct cnn_context *c, int n, double *values)
{
    (void)c;
    (void)n;
    values[0] = metric_value;
}

Test(tally, batches_weigh_what_they_hold)
{
    struct cnn_model m = tiny_float_model;
    struct cnn_context c = { .loss = 64.0 };
    struct tally t;
    m.metrics = metric_of_test;
    cr_assert_eq(rt_tally_open(&t, &m, false), 0);
    rt_tally_begin(&t);
    cr_assert_eq(rt_tally_value(&t, 0), 0.0);
    metric_value = 0.5;
    rt_tally_add(&t, &c, 32);
    metric_value = 1.0;
    c.loss = 1.0;
    rt_tally_add(&t, &c, 8);
    cr_assert_float_eq(rt_tally_value(&t, 0), 65.0 / 40, 1e-15);
    cr_assert_float_eq(rt_tally_value(&t, 1), (0.5 * 32 + 8) / 40, 1e-15);
    cr_assert_str_eq(rt_tally_name(&t, 1), "acc");
    rt_tally_begin(&t);
    cr_assert_eq(rt_tally_value(&t, 1), 0.0);
    rt_tally_close(&t);
}

/* ---- slopes ---------------------------------------------------------------------------------- */

static struct slope slope_of(double (*f)(double), double at, double h)
{
    struct neighbours n = { f(at), f(at + h), f(at - h), f(at + 0.5 * h), f(at - 0.5 * h) };
    return rt_slope(&n, h);
}

Test(slope, smooth_functions_have_calm_and_exact_slopes)
{
    double (*const functions[])(double) = { sin, exp, atan };
    for (int i = 0; i < 3; i++) {
        struct slope s = slope_of(functions[i], 0.7, 1e-4);
        double exact = i == 0 ? cos(0.7) : i == 1 ? exp(0.7) : 1.0 / (1.0 + 0.49);
        cr_assert_float_eq(s.estimate, exact, 1e-10);
        cr_assert_lt(s.unrest, 1e-7);
    }
}

static double kink_at, kink_jump;

/* smooth, with its slope 1 left of the kink at 0, where kink_at says */
static double kinked(double x)
{
    return x + (x > kink_at ? kink_jump * (x - kink_at) : 0.0);
}

Test(slope, unrest_bounds_what_any_kink_does)
{
    const double h = 1e-4;
    for (int i = 0; i <= 100; i++) {
        kink_at = h * i / 100;
        kink_jump = 1.0;
        struct slope s = slope_of(kinked, 0.0, h);
        double error = fabs(s.estimate - 1.0);
        cr_assert_leq(error, 1.17 * s.unrest + 1e-9, "a kink at %g h: error %g, unrest %g",
                      i / 100.0, error, s.unrest);
        if (i < 100)
            cr_assert_gt(s.unrest, 1e-3, "a kink at %g h is not seen", i / 100.0);
    }
    kink_at = 1.5 * h;
    cr_assert_lt(slope_of(kinked, 0.0, h).unrest, 1e-9);
}
