/* test_runtime_callback.c - early_stopping, checkpoint and stop_on_nan, with Keras's meaning: each
 * sequence of values was worked out by hand. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "train/callback.h"
#include "tiny_model.h"

enum { TEXT_MAX = 4096 };

/* A run of one callback on values of an epoch, and what it said. */
struct stage {
    struct cnn_model model;
    struct cnn_context *context;
    struct callback_list list;
    struct tally train, val;
    struct schedule schedule;
    struct progress progress;
    char folder[64], said[TEXT_MAX];
    FILE *log;
};

static void stage_open(struct stage *s, const struct cnn_clause *clause)
{
    *s = (struct stage){ .model = tiny_float_model, .schedule = { 1.0 } };
    s->model.train.callbacks = clause;
    s->model.train.callbacks_count = 1;
    strcpy(s->folder, "/tmp/cnnc-callback.XXXXXX");
    cr_assert_not_null(mkdtemp(s->folder));
    s->context = cnn_open(&s->model, 1, 1);
    s->log = fmemopen(s->said, sizeof s->said, "w");
    cr_assert_not_null(s->context);
    cr_assert_not_null(s->log);
    cr_assert_eq(rt_tally_open(&s->train, &s->model, false), 0);
    cr_assert_eq(rt_tally_open(&s->val, &s->model, false), 0);
    rt_progress_open(&s->progress, 0, s->log, 1);
    cr_assert_eq(rt_callbacks_open(&s->list, &s->model.train), 0);
    cr_assert_eq(rt_callbacks_begin(&s->list, s->context, s->folder), 0);
    cr_assert_eq(rt_callbacks_claim(&s->list, false), 0);
    s->val.samples = s->train.samples = 1;
}

static struct epoch_end stage_epoch(struct stage *s, int epoch, double loss, double accuracy)
{
    struct epoch_end end = { .epoch = epoch, .train = &s->train, .val = &s->val,
                             .schedule = &s->schedule, .progress = &s->progress };
    s->val.loss = loss;
    s->val.metrics[0] = accuracy;
    rt_callbacks_epoch_end(&s->list, &end);
    fflush(s->log);
    return end;
}

static void stage_close(struct stage *s)
{
    char command[128];
    rt_callbacks_close(&s->list);
    rt_tally_close(&s->train);
    rt_tally_close(&s->val);
    cnn_close(s->context);
    fclose(s->log);
    snprintf(command, sizeof command, "rm -rf %s", s->folder);
    cr_assert_eq(system(command), 0);
}

/* ---- early_stopping -------------------------------------------------------------------------- */

/* The epoch, from 1, after which training stops; 0: it does not. */
static int stops_after(const char *monitor, double patience, double min_delta, const double *values,
                       int epochs)
{
    const struct cnn_setting settings[] = {
        { .key = "monitor", .text = monitor },
        { .key = "min_delta", .number = min_delta },
        { .key = "patience", .number = patience },
        { .key = "restore_best", .number = 0 },
        { .key = "verbose", .number = 1 },
    };
    const struct cnn_clause clause = { "early_stopping", settings, 5 };
    struct stage s;
    int stopped = 0;
    stage_open(&s, &clause);
    for (int epoch = 0; epoch < epochs && !stopped; epoch++) {
        struct epoch_end end = stage_epoch(&s, epoch, values[epoch], values[epoch]);
        if (end.stop)
            stopped = epoch + 1;
    }
    cr_assert_not(rt_callbacks_train_end(&s.list, &s.progress));
    fflush(s.log);
    char expected[64] = "";
    if (stopped)
        snprintf(expected, sizeof expected, "Epoch %05d: early stopping\n", stopped);
    cr_assert_str_eq(s.said, expected);
    stage_close(&s);
    return stopped;
}

Test(early_stopping, waits_for_its_patience)
{
    const double values[] = { 1.0, 0.9, 0.95, 0.92, 0.91, 0.5 };
    cr_assert_eq(stops_after("val_loss", 3, 0, values, 6), 5);
    cr_assert_eq(stops_after("val_loss", 4, 0, values, 6), 0);
    cr_assert_eq(stops_after("val_loss", 1, 0, values, 6), 3);
    /* Keras: no patience is the same as a patience of one */
    cr_assert_eq(stops_after("val_loss", 0, 0, values, 6), 3);
}

Test(early_stopping, progress_starts_the_waiting_again)
{
    const double values[] = { 1.0, 1.1, 0.9, 1.0, 0.8, 0.9, 0.9 };
    cr_assert_eq(stops_after("val_loss", 2, 0, values, 7), 7);
}

Test(early_stopping, an_improvement_must_exceed_min_delta)
{
    /* steps of 0.0625 are exact: over the best of 1.0 they count once they sum up to more than
     * min_delta */
    const double values[] = { 1.0, 0.9375, 0.875, 0.8125, 0.75, 0.75, 0.75 };
    cr_assert_eq(stops_after("val_loss", 2, 0.125, values, 7), 3);
    cr_assert_eq(stops_after("val_loss", 3, 0.125, values, 7), 7);
    /* exactly min_delta is no improvement */
    cr_assert_eq(stops_after("val_loss", 1, 0.0625, values, 7), 2);
    const double equal[] = { 1.0, 1.0, 1.0 };
    cr_assert_eq(stops_after("val_loss", 2, 0, equal, 3), 3);
}

Test(early_stopping, follows_the_metrics_direction)
{
    const double values[] = { 0.1, 0.3, 0.2, 0.3, 0.4 };
    cr_assert_eq(stops_after("val_acc", 2, 0, values, 5), 4);
    cr_assert_eq(stops_after("val_accuracy", 3, 0, values, 5), 0);
    cr_assert_eq(stops_after("val_loss", 2, 0, values, 5), 3);
}

Test(early_stopping, what_is_not_a_number_is_no_progress)
{
    const double values[] = { NAN, NAN, 0.5, NAN, NAN };
    cr_assert_eq(stops_after("val_loss", 2, 0, values, 5), 2);
    cr_assert_eq(stops_after("val_loss", 3, 0, values, 5), 0);
    cr_assert_eq(stops_after("val_loss", 1, 0, values, 5), 1);
}

Test(early_stopping, restores_the_best_epochs_weights_and_statistics)
{
    const struct cnn_setting settings[] = {
        { .key = "patience", .number = 2 },
        { .key = "restore_best", .number = 1 },
        { .key = "monitor", .text = "val_loss" },
        { .key = "verbose", .number = 1 },
    };
    const struct cnn_clause clause = { "early_stopping", settings, 4 };
    const double values[] = { 1.0, 0.5, 0.7, 0.6 };
    struct stage s;
    stage_open(&s, &clause);
    float *weights = s.context->params, *statistics = s.context->statistics;
    for (int epoch = 0; epoch < 4; epoch++) {
        weights[3] = 10.0f + (float)epoch;
        weights[s.model.params_stored - 1] = 20.0f + (float)epoch;
        statistics[0] = 30.0f + (float)epoch;
        struct epoch_end end = stage_epoch(&s, epoch, values[epoch], 0);
        cr_assert_eq(end.stop, epoch == 3);
        /* until training has ended they are those that are trained */
        cr_assert_eq(weights[3], 10.0f + (float)epoch);
    }
    cr_assert(rt_callbacks_train_end(&s.list, &s.progress));
    cr_assert_eq(weights[3], 11.0f);
    cr_assert_eq(weights[s.model.params_stored - 1], 21.0f);
    cr_assert_eq(statistics[0], 31.0f);
    fflush(s.log);
    cr_assert_str_eq(s.said, "Epoch 00004: early stopping\n"
                             "Restoring model weights from the end of the best epoch: 2.\n");
    stage_close(&s);
}

Test(early_stopping, restores_the_best_epoch_also_where_it_does_not_stop)
{
    const struct cnn_setting settings[] = {
        { .key = "patience", .number = 5 },
        { .key = "restore_best", .number = 1 },
        { .key = "monitor", .text = "val_loss" },
        { .key = "verbose", .number = 1 },
    };
    const struct cnn_clause clause = { "early_stopping", settings, 4 };
    const double values[] = { 0.5, 0.7, 0.6 };
    struct stage s;
    stage_open(&s, &clause);
    float *weights = s.context->params;
    for (int epoch = 0; epoch < 3; epoch++) {
        weights[3] = 10.0f + (float)epoch;
        cr_assert_not(stage_epoch(&s, epoch, values[epoch], 0).stop);
    }
    cr_assert(rt_callbacks_train_end(&s.list, &s.progress));
    cr_assert_eq(weights[3], 10.0f);
    fflush(s.log);
    cr_assert_str_eq(s.said, "Restoring model weights from the end of the best epoch: 1.\n");
    stage_close(&s);
}

Test(early_stopping, restores_nothing_where_no_epoch_gave_a_number)
{
    const struct cnn_setting settings[] = {
        { .key = "restore_best", .number = 1 },
        { .key = "monitor", .text = "val_loss" },
        { .key = "verbose", .number = 1 },
    };
    const struct cnn_clause clause = { "early_stopping", settings, 3 };
    struct stage s;
    stage_open(&s, &clause);
    struct epoch_end end = stage_epoch(&s, 0, NAN, 0);
    cr_assert(end.stop);
    cr_assert_not(rt_callbacks_train_end(&s.list, &s.progress));
    stage_close(&s);
}

/* ---- checkpoint ------------------------------------------------------------------------------ */

static bool stage_has(const struct stage *s, const char *file)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", s->folder, file);
    return access(path, F_OK) == 0;
}

static void stage_remove(const struct stage *s, const char *file)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", s->folder, file);
    cr_assert_eq(unlink(path), 0);
}

Test(checkpoint_callback, saves_the_best_and_says_so_as_keras_does)
{
    const struct cnn_setting settings[] = {
        { .key = "file", .text = "sub/good.safetensors" },
        { .key = "monitor", .text = "val_acc" },
        { .key = "verbose", .number = 1 },
        { .key = "save_best", .number = 1 },
        { .key = "period", .number = 1 },
    };
    const struct cnn_clause clause = { "checkpoint", settings, 5 };
    const double values[] = { 0.25, 0.25, 0.125, 0.5, NAN };
    const bool saved[] = { true, false, false, true, false };
    struct stage s;
    stage_open(&s, &clause);
    for (int epoch = 0; epoch < 5; epoch++) {
        stage_epoch(&s, epoch, 1.0, values[epoch]);
        cr_assert_eq(stage_has(&s, "sub/good.safetensors"), saved[epoch], "epoch %d", epoch + 1);
        if (saved[epoch])
            stage_remove(&s, "sub/good.safetensors");
    }
    char expected[TEXT_MAX];
    snprintf(expected, sizeof expected,
             "\nEpoch 00001: val_acc improved from -inf to 0.25000, saving model to %s/sub/good.safetensors\n"
             "\nEpoch 00002: val_acc did not improve from 0.25000\n"
             "\nEpoch 00003: val_acc did not improve from 0.25000\n"
             "\nEpoch 00004: val_acc improved from 0.25000 to 0.50000, saving model to %s/sub/good.safetensors\n"
             "\nEpoch 00005: val_acc did not improve from 0.50000\n",
             s.folder, s.folder);
    cr_assert_str_eq(s.said, expected);
    cr_assert_not(rt_callbacks_failed(&s.list));
    stage_close(&s);
}

Test(checkpoint_callback, saves_every_period_without_a_word)
{
    const struct cnn_setting settings[] = {
        { .key = "file", .text = "each.safetensors" },
        { .key = "period", .number = 2 },
        { .key = "monitor", .text = "val_loss" },
    };
    const struct cnn_clause clause = { "checkpoint", settings, 3 };
    struct stage s;
    stage_open(&s, &clause);
    for (int epoch = 0; epoch < 6; epoch++) {
        stage_epoch(&s, epoch, epoch, 0);
        cr_assert_eq(stage_has(&s, "each.safetensors"), epoch % 2 == 1, "epoch %d", epoch + 1);
        if (epoch % 2 == 1)
            stage_remove(&s, "each.safetensors");
    }
    cr_assert_str_eq(s.said, "");
    stage_close(&s);
}

Test(checkpoint_callback, what_could_not_be_saved_is_not_the_best)
{
    const struct cnn_setting settings[] = {
        { .key = "file", .text = "sub/good.safetensors" },
        { .key = "save_best", .number = 1 },
        { .key = "monitor", .text = "val_loss" },
        { .key = "period", .number = 1 },
    };
    const struct cnn_clause clause = { "checkpoint", settings, 4 };
    struct stage s;
    char sub[96];
    stage_open(&s, &clause);
    snprintf(sub, sizeof sub, "%s/sub", s.folder);
    cr_assert_eq(rmdir(sub), 0);
    stage_epoch(&s, 0, 0.5, 0);
    cr_assert(rt_callbacks_failed(&s.list));
    cr_assert_eq(mkdir(sub, 0777), 0);
    stage_epoch(&s, 1, 0.75, 0);                /* better than anything there is a file of */
    cr_assert_not(rt_callbacks_failed(&s.list));
    cr_assert(stage_has(&s, "sub/good.safetensors"));
    stage_close(&s);
}

Test(checkpoint_callback, what_could_not_be_saved_is_saved_while_the_weights_are_there)
{
    const struct cnn_setting settings[] = {
        { .key = "file", .text = "sub/good.safetensors" },
        { .key = "period", .number = 2 },
        { .key = "monitor", .text = "val_loss" },
    };
    const struct cnn_clause clause = { "checkpoint", settings, 3 };
    struct stage s;
    char sub[96];
    stage_open(&s, &clause);
    snprintf(sub, sizeof sub, "%s/sub", s.folder);
    for (int late = 0; late < 2; late++) {
        cr_assert_eq(rmdir(sub), 0);
        stage_epoch(&s, 0, 0.5, 0);
        stage_epoch(&s, 1, 0.5, 0);
        rt_callbacks_catch_up(&s.list);
        cr_assert(rt_callbacks_failed(&s.list));
        if (late)                               /* the weights are those of another epoch now */
            stage_epoch(&s, 2, 0.5, 0);
        cr_assert_eq(mkdir(sub, 0777), 0);
        rt_callbacks_catch_up(&s.list);
        cr_assert_eq(rt_callbacks_failed(&s.list), late);
        cr_assert_eq(stage_has(&s, "sub/good.safetensors"), !late);
        if (!late)
            stage_remove(&s, "sub/good.safetensors");
    }
    stage_close(&s);
}

/* ---- stop_on_nan ----------------------------------------------------------------------------- */

Test(stop_on_nan, stops_at_the_first_loss_that_is_no_finite_number)
{
    const struct cnn_clause clause = { "stop_on_nan", NULL, 0 };
    const double losses[] = { NAN, INFINITY, -INFINITY };
    for (int i = 0; i < 3; i++) {
        struct stage s;
        stage_open(&s, &clause);
        cr_assert(rt_callbacks_step(&s.list, &s.progress, 4, 1e30));
        cr_assert_not(rt_callbacks_step(&s.list, &s.progress, 5, losses[i]));
        fflush(s.log);
        cr_assert_str_eq(s.said, "Batch 5: Invalid loss, terminating training\n");
        stage_close(&s);
    }
}
