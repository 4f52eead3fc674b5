/* tally.c - running means weighted by samples, as Keras keeps them, and values over the whole set. */
#include "train/tally.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/message.h"
#include "files/state.h"

int rt_tally_open(struct tally *t, const struct cnn_model *model, bool reports)
{
    size_t count = (size_t)model->train.metrics_count;
    bool classes = model->train.target.kind == CNN_TARGET_CLASS;
    *t = (struct tally){ .model = model, .counts_classes = reports && classes,
                         .measures_deviations = reports && !classes };
    t->metrics = calloc(2 * count + 1, sizeof *t->metrics);
    t->missed = calloc(count + 1, sizeof *t->missed);
    if (!t->metrics || !t->missed) {
        rt_error("no memory for %zu metrics", count);
        return -1;
    }
    t->batch = t->metrics + count;
    for (size_t i = 0; i < count; i++)
        t->counts_classes |= model->train.metrics[i].kind != CNN_METRIC_BATCH;
    if (t->measures_deviations && rt_deviations_open(&t->deviations, model->outputs))
        return -1;
    return t->counts_classes ? rt_confusion_open(&t->confusion, model->train.target.size) : 0;
}

void rt_tally_close(struct tally *t)
{
    free(t->metrics);
    free(t->missed);
    rt_confusion_close(&t->confusion);
    rt_deviations_close(&t->deviations);
    *t = (struct tally){ 0 };
}

void rt_tally_begin(struct tally *t)
{
    t->loss = 0.0;
    t->samples = 0;
    for (int i = 0; i < t->model->train.metrics_count; i++) {
        t->metrics[i] = 0.0;
        t->missed[i] = 0;
    }
    if (t->counts_classes)
        rt_confusion_begin(&t->confusion);
    if (t->measures_deviations)
        rt_deviations_begin(&t->deviations);
}

void rt_tally_add(struct tally *t, const struct cnn_context *c, int n)
{
    int count = t->model->train.metrics_count;
    if (count > 0)
        t->model->metrics(c, n, t->batch);
    for (int i = 0; i < count; i++)
        t->metrics[i] += t->batch[i] * n;
    t->loss += c->loss;
    t->samples += n;
    if (t->counts_classes)
        rt_confusion_add(&t->confusion, c, n);
    if (t->measures_deviations)
        rt_deviations_add(&t->deviations, c, n);
}

static double set_value(const struct tally *t, const struct cnn_metric *metric)
{
    struct class_scores scores = rt_confusion_scores(&t->confusion, metric->average);
    return metric->kind == CNN_METRIC_PRECISION ? scores.precision
           : metric->kind == CNN_METRIC_RECALL  ? scores.recall
                                                : scores.f1;
}

double rt_tally_value(const struct tally *t, int i)
{
    if (t->samples == 0)
        return 0.0;
    if (i > 0 && t->model->train.metrics[i - 1].kind != CNN_METRIC_BATCH)
        return set_value(t, &t->model->train.metrics[i - 1]);
    int64_t seen = t->samples - (i == 0 ? 0 : t->missed[i - 1]);
    if (seen <= 0)
        return NAN;
    double mean = (i == 0 ? t->loss : t->metrics[i - 1]) / (double)seen;
    /* some operations leave it a sign, which would be printed */
    return isnan(mean) ? NAN : mean;
}

const char *rt_tally_name(const struct tally *t, int i)
{
    return i == 0 ? "loss" : t->model->train.metrics[i - 1].log_name;
}

/* A metric may have any name, so they have sections of their own. */
static const char sums_section[] = "sums.metrics", missed_section[] = "sums.missed";

void rt_tally_save(const struct tally *t, struct state *s)
{
    int count = t->model->train.metrics_count;
    rt_state_section(s, "sums");
    rt_state_put_whole(s, "samples", t->samples);
    rt_state_put_number(s, "loss", t->loss);
    if (t->counts_classes)
        rt_confusion_save(&t->confusion, s);
    rt_state_section(s, sums_section);
    for (int i = 0; i < count; i++)
        rt_state_put_number(s, t->model->train.metrics[i].name, t->metrics[i]);
    rt_state_section(s, missed_section);
    for (int i = 0; i < count; i++)
        if (t->missed[i])
            rt_state_put_whole(s, t->model->train.metrics[i].name, t->missed[i]);
    rt_state_section(s, "%s", "");
}

/* The section that has a metric's sum: the first states had it beside the loss.  NULL: none has. */
static const char *sum_section(struct state *s, const char *name)
{
    rt_state_section(s, sums_section);
    if (rt_state_text(s, name))
        return sums_section;
    rt_state_section(s, "sums");
    bool other = strcmp(name, "samples") == 0 || strcmp(name, "loss") == 0 || strcmp(name, "class_counts") == 0;
    return !other && rt_state_text(s, name) ? "sums" : NULL;
}

static int metric_load(struct tally *t, struct state *s, int i)
{
    const struct cnn_metric *metric = &t->model->train.metrics[i];
    const char *section = sum_section(s, metric->name);
    if (section) {
        rt_state_section(s, section);
        if (rt_state_get_number(s, metric->name, &t->metrics[i]))
            return -1;
        rt_state_section(s, missed_section);
        return rt_state_text(s, metric->name) ? rt_state_get_whole(s, metric->name, &t->missed[i]) : 0;
    }
    t->missed[i] = t->samples;
    rt_note("%s: has no sum of %s, which counts from here on in this epoch", s->path, metric->log_name);
    return 0;
}

int rt_tally_load(struct tally *t, struct state *s)
{
    rt_tally_begin(t);
    rt_state_section(s, "sums");
    int failed = rt_state_get_whole(s, "samples", &t->samples) || rt_state_get_number(s, "loss", &t->loss);
    if (!failed && t->counts_classes && rt_state_text(s, "class_counts"))
        failed = rt_confusion_load(&t->confusion, s);
    else if (!failed && t->counts_classes)
        rt_note("%s: has no counts of classes; metrics over the whole set count from here on in this epoch", s->path);
    for (int i = 0; i < t->model->train.metrics_count && !failed; i++)
        if (t->model->train.metrics[i].kind == CNN_METRIC_BATCH)
            failed = metric_load(t, s, i);
    rt_state_section(s, "%s", "");
    return failed ? -1 : 0;
}

int rt_tally_count(const struct tally *t)
{
    return 1 + t->model->train.metrics_count;
}
