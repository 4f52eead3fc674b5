/* tally.c - running means weighted by samples, as Keras keeps them, and values over the whole set. */
#include "train/tally.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/file_path.h"
#include "core/message.h"
#include "files/state.h"

static bool counts_kind(enum cnn_metric_kind kind)
{
    return kind == CNN_METRIC_PRECISION || kind == CNN_METRIC_RECALL || kind == CNN_METRIC_F1;
}

static bool measures_kind(enum cnn_metric_kind kind)
{
    return kind == CNN_METRIC_MAE || kind == CNN_METRIC_MSE || kind == CNN_METRIC_RMSE;
}

enum { REPORT_THRESHOLDS = 200, NAMES_SHOWN = 20 };

/* Of a lone output the area is told too, as of each label. */
static int rankings_open(struct tally *t, bool reports)
{
    const struct cnn_model *m = t->model;
    const int count = m->train.metrics_count;
    bool tells = m->train.target.kind == CNN_TARGET_LABELS || (m->train.target.kind == CNN_TARGET_CLASS &&
                                                               m->outputs == 1);
    t->ranks = reports && tells;
    if (t->ranks && rt_ranking_open(&t->rankings[count], m->outputs, REPORT_THRESHOLDS))
        return -1;
    for (int i = 0; i < count; i++)
        if (m->train.metrics[i].kind == CNN_METRIC_AUC
            && rt_ranking_open(&t->rankings[i], m->outputs, m->train.metrics[i].thresholds))
            return -1;
    return 0;
}

int rt_tally_open(struct tally *t, const struct cnn_model *model, bool reports)
{
    size_t count = (size_t)model->train.metrics_count;
    const struct cnn_target target = model->train.target;
    bool classes = target.kind == CNN_TARGET_CLASS || target.kind == CNN_TARGET_LABELS;
    *t = (struct tally){ .model = model, .counts_classes = reports && classes,
                         .measures_deviations = reports && !classes };
    t->metrics = calloc(2 * count + 1, sizeof *t->metrics);
    t->missed = calloc(count + 1, sizeof *t->missed);
    t->classes = calloc(count + 1, sizeof *t->classes);
    t->rankings = calloc(count + 1, sizeof *t->rankings);
    if (!t->metrics || !t->missed || !t->classes || !t->rankings) {
        rt_error("no memory for %zu metrics", count);
        return -1;
    }
    t->batch = t->metrics + count;
    for (size_t i = 0; i < count; i++) {
        const struct cnn_metric *metric = &model->train.metrics[i];
        t->classes[i] = metric->of_class - 1;
        t->counts_classes |= counts_kind(metric->kind);
        t->measures_deviations |= measures_kind(metric->kind);
    }
    if (t->measures_deviations && rt_deviations_open(&t->deviations, model->outputs, !reports))
        return -1;
    if (t->counts_classes && rt_confusion_open(&t->confusion, target.size, target.kind == CNN_TARGET_LABELS))
        return -1;
    return rankings_open(t, reports);
}

int rt_tally_names(struct tally *t, char *const *names)
{
    const struct cnn_model *m = t->model;
    for (int i = 0; i < m->train.metrics_count; i++) {
        const char *wanted = m->train.metrics[i].class_name;
        for (int k = 0; wanted && names && k < m->train.target.size; k++)
            if (strcmp(names[k], wanted) == 0)
                t->classes[i] = k;
        if (!wanted || t->classes[i] >= 0)
            continue;
        char *all = names ? rt_names_text((const char *const *)names, m->train.target.size, NAMES_SHOWN) : NULL;
        rt_error("the metric %s is of the class '%s', and %s%s", m->train.metrics[i].name, wanted,
                 names ? "the classes are " : "the data have no names of classes: a number says which", all ? all : "");
        free(all);
        return -1;
    }
    return 0;
}

void rt_tally_close(struct tally *t)
{
    for (int i = 0; t->rankings && i <= t->model->train.metrics_count; i++)
        rt_ranking_close(&t->rankings[i]);
    free(t->rankings);
    free(t->classes);
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
    for (int i = 0; i <= t->model->train.metrics_count; i++)
        if (t->rankings[i].with)
            rt_ranking_begin(&t->rankings[i]);
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
    for (int i = 0; i <= count; i++)
        if (t->rankings[i].with)
            rt_ranking_add(&t->rankings[i], c, n);
}

/* A lone output has one area, whichever of the two classes is asked for. */
static double area_value(const struct ranking *r, int class)
{
    double area = class < 0 ? rt_ranking_mean(r) : rt_ranking_area(r, r->outputs == 1 ? 0 : class);
    return isnan(area) ? 0.0 : area;
}

static double deviation_value(const struct tally *t, enum cnn_metric_kind kind)
{
    struct deviation d = rt_deviation_of_all(&t->deviations);
    return kind == CNN_METRIC_MAE   ? d.absolute
           : kind == CNN_METRIC_MSE ? d.root_mean_square * d.root_mean_square
                                    : d.root_mean_square;
}

static double set_value(const struct tally *t, int i)
{
    const struct cnn_metric *metric = &t->model->train.metrics[i];
    if (metric->kind == CNN_METRIC_AUC)
        return area_value(&t->rankings[i], t->classes[i]);
    if (measures_kind(metric->kind))
        return deviation_value(t, metric->kind);
    struct class_scores scores = t->classes[i] < 0 ? rt_confusion_scores(&t->confusion, metric->average)
                                                   : rt_confusion_class(&t->confusion, t->classes[i]);
    return metric->kind == CNN_METRIC_PRECISION ? scores.precision
           : metric->kind == CNN_METRIC_RECALL  ? scores.recall
                                                : scores.f1;
}

double rt_tally_value(const struct tally *t, int i)
{
    if (t->samples == 0)
        return 0.0;
    if (i > 0 && t->model->train.metrics[i - 1].kind != CNN_METRIC_BATCH)
        return set_value(t, i - 1);
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
static const char sums_section[] = "sums.metrics", missed_section[] = "sums.missed", areas_section[] = "sums.areas";

void rt_tally_save(const struct tally *t, struct state *s)
{
    int count = t->model->train.metrics_count;
    rt_state_section(s, "sums");
    rt_state_put_whole(s, "samples", t->samples);
    rt_state_put_number(s, "loss", t->loss);
    if (t->counts_classes)
        rt_confusion_save(&t->confusion, s);
    if (t->measures_deviations)
        rt_deviations_save(&t->deviations, s);
    rt_state_section(s, areas_section);
    for (int i = 0; i < count; i++)
        if (t->rankings[i].with)
            rt_ranking_save(&t->rankings[i], s, t->model->train.metrics[i].name);
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

static void set_missed(const struct state *s, const char *what)
{
    rt_note("%s: has no %s; metrics over the whole set count from here on in this epoch", s->path, what);
}

static int deviations_load(struct tally *t, struct state *s)
{
    if (!rt_state_text(s, "absolute_deviations")) {
        set_missed(s, "deviations");
        return 0;
    }
    t->deviations.samples = t->samples;
    return rt_deviations_load(&t->deviations, s);
}

static int ranking_load(struct ranking *r, struct state *s, const char *name)
{
    if (rt_state_text(s, name))
        return rt_ranking_load(r, s, name);
    set_missed(s, "counts for an area under the ROC curve");
    return 0;
}

int rt_tally_load(struct tally *t, struct state *s)
{
    rt_tally_begin(t);
    rt_state_section(s, "sums");
    int failed = rt_state_get_whole(s, "samples", &t->samples) || rt_state_get_number(s, "loss", &t->loss);
    if (!failed && t->counts_classes && rt_confusion_has(&t->confusion, s))
        failed = rt_confusion_load(&t->confusion, s);
    else if (!failed && t->counts_classes)
        set_missed(s, "counts of classes");
    if (!failed && t->measures_deviations)
        failed = deviations_load(t, s);
    rt_state_section(s, areas_section);
    for (int i = 0; i < t->model->train.metrics_count && !failed; i++)
        if (t->rankings[i].with)
            failed = ranking_load(&t->rankings[i], s, t->model->train.metrics[i].name);
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
