/* evaluation.c - what is told of a set depends on what its targets are: a row for each kind. */
#include "train/evaluation.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <jansson.h>

#include "core/message.h"
#include "core/quoted.h"
#include "train/report.h"

/* JSON has no word for what is not a number. */
static json_t *number_json(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *origin_json(const struct evaluation *e)
{
    const struct weights_origin *o = e->origin;
    json_t *weights = json_object();
    int status = json_object_set_new(weights, "file", rt_json_text(e->weights));
    if (o->steps > 0) {
        status |= json_object_set_new(weights, "epochs", json_integer(o->epochs));
        status |= json_object_set_new(weights, "samples", json_integer(o->samples));
        status |= json_object_set_new(weights, "steps", json_integer(o->steps));
    }
    if (o->monitor) {
        status |= json_object_set_new(weights, "monitor", rt_json_text(o->monitor));
        status |= json_object_set_new(weights, "value", number_json(o->value));
    }
    if (status == 0)
        return weights;
    json_decref(weights);
    return NULL;
}

static const struct ranking *report_ranking(const struct evaluation *e)
{
    return &e->values->rankings[e->values->model->train.metrics_count];
}

/* Of the input as many numbers as a picture has are of no use one by one. */
static bool tells_outputs(const struct evaluation *e)
{
    return e->values->model->train.target.kind != CNN_TARGET_INPUT || e->values->deviations.outputs <= OUTPUTS_SHOWN;
}

/* kind: "class" or "label" */
static json_t *class_json(const struct evaluation *e, const char *kind, int k)
{
    const struct confusion *m = &e->values->confusion;
    struct class_scores s = rt_confusion_class(m, k);
    return json_pack("{s:i, s:o, s:I, s:f, s:f, s:f}", kind, k, "name",
                     e->names ? rt_json_text(e->names[k]) : json_null(), "support", (json_int_t)m->support[k],
                     "precision", s.precision, "recall", s.recall, "f1", s.f1);
}

static json_t *average_json(const struct confusion *m, enum cnn_average average)
{
    struct class_scores s = rt_confusion_scores(m, average);
    return json_pack("{s:f, s:f, s:f}", "precision", s.precision, "recall", s.recall, "f1", s.f1);
}

static json_t *counts_json(const struct confusion *m, int k)
{
    json_t *row = json_array();
    for (int j = 0; j < m->classes; j++)
        json_array_append_new(row, json_integer(m->counts[(size_t)k * (size_t)m->classes + (size_t)j]));
    return row;
}

/* What is told of each class, behind the loss and the metrics. */
static int classes_pack(const struct evaluation *e, json_t *all)
{
    const struct confusion *m = &e->values->confusion;
    json_t *classes = json_array(), *counts = json_array();
    int status = 0;
    for (int k = 0; k < m->classes; k++) {
        status |= json_array_append_new(classes, class_json(e, "class", k));
        status |= json_array_append_new(counts, counts_json(m, k));
    }
    status |= json_object_set_new(all, "classes", classes);
    status |= json_object_set_new(all, "macro_average", average_json(m, CNN_AVERAGE_MACRO));
    status |= json_object_set_new(all, "weighted_average", average_json(m, CNN_AVERAGE_WEIGHTED));
    if (e->values->ranks)
        status |= json_object_set_new(all, "auc", number_json(rt_ranking_area(report_ranking(e), 0)));
    /* a row for each class that pictures are, its columns what they were taken for */
    return status | json_object_set_new(all, "confusion", counts);
}

static int labels_pack(const struct evaluation *e, json_t *all)
{
    const struct confusion *m = &e->values->confusion;
    json_t *labels = json_array();
    int status = 0;
    for (int k = 0; k < m->classes; k++) {
        json_t *label = class_json(e, "label", k);
        status |= json_object_set_new(label, "auc", number_json(rt_ranking_area(report_ranking(e), k)));
        status |= json_array_append_new(labels, label);
    }
    status |= json_object_set_new(all, "labels", labels);
    status |= json_object_set_new(all, "macro_average", average_json(m, CNN_AVERAGE_MACRO));
    status |= json_object_set_new(all, "micro_average", average_json(m, CNN_AVERAGE_MICRO));
    return status | json_object_set_new(all, "macro_auc", number_json(rt_ranking_mean(report_ranking(e))));
}

static json_t *deviation_json(struct deviation d)
{
    return json_pack("{s:o, s:o}", "mean_absolute_error", number_json(d.absolute), "root_mean_square_error",
                     number_json(d.root_mean_square));
}

/* What is told of each output that is to be near a number. */
static int outputs_pack(const struct evaluation *e, json_t *all)
{
    const struct deviations *d = &e->values->deviations;
    json_t *outputs = json_array();
    int status = 0;
    for (int k = 0; k < d->outputs && tells_outputs(e); k++)
        status |= json_array_append_new(outputs, deviation_json(rt_deviation(d, k)));
    if (tells_outputs(e))
        status |= json_object_set_new(all, "outputs", outputs);
    else
        json_decref(outputs);
    return status | json_object_set_new(all, "all_outputs", deviation_json(rt_deviation_of_all(d)));
}

static void classes_csv(const struct evaluation *e)
{
    const struct confusion *m = &e->values->confusion;
    printf("class,name,support,precision,recall,f1");
    for (int j = 0; j < m->classes; j++)
        printf(",taken_for_%d", j);
    putchar('\n');
    for (int k = 0; k < m->classes; k++) {
        struct class_scores s = rt_confusion_class(m, k);
        printf("%d,", k);
        rt_csv_text(stdout, e->names ? e->names[k] : "");
        printf(",%" PRId64 ",%.9g,%.9g,%.9g", m->support[k], s.precision, s.recall, s.f1);
        for (int j = 0; j < m->classes; j++)
            printf(",%" PRId64, m->counts[(size_t)k * (size_t)m->classes + (size_t)j]);
        putchar('\n');
    }
}

static void labels_csv(const struct evaluation *e)
{
    const struct confusion *m = &e->values->confusion;
    printf("label,name,support,precision,recall,f1,auc\n");
    for (int k = 0; k < m->classes; k++) {
        struct class_scores s = rt_confusion_class(m, k);
        double area = rt_ranking_area(report_ranking(e), k);
        printf("%d,", k);
        rt_csv_text(stdout, e->names ? e->names[k] : "");
        printf(",%" PRId64 ",%.9g,%.9g,%.9g,", m->support[k], s.precision, s.recall, s.f1);
        printf(isnan(area) ? "\n" : "%.9g\n", area);
    }
}

static void outputs_csv(const struct evaluation *e)
{
    const struct deviations *d = &e->values->deviations;
    printf("output,mean_absolute_error,root_mean_square_error\n");
    for (int k = 0; k < d->outputs && tells_outputs(e); k++)
        printf("%d,%.9g,%.9g\n", k, rt_deviation(d, k).absolute, rt_deviation(d, k).root_mean_square);
    if (!tells_outputs(e))
        printf("all,%.9g,%.9g\n", rt_deviation_of_all(d).absolute, rt_deviation_of_all(d).root_mean_square);
}

static void classes_print(const struct evaluation *e, struct progress *p)
{
    rt_report_classes(p, &e->values->confusion, e->names);
    if (e->values->ranks)
        rt_progress_result(p, "\nArea under the ROC curve %.4f\n", rt_ranking_area(report_ranking(e), 0));
}

static void labels_print(const struct evaluation *e, struct progress *p)
{
    rt_report_labels(p, &e->values->confusion, report_ranking(e), e->names);
}

static void outputs_print(const struct evaluation *e, struct progress *p)
{
    rt_report_outputs(p, &e->values->deviations);
}

/* A report for each kind of target. */
static const struct {
    void (*print)(const struct evaluation *e, struct progress *p);
    int (*pack)(const struct evaluation *e, json_t *all);
    void (*csv)(const struct evaluation *e);
    bool counts_right;
} reports[] = {
    [CNN_TARGET_CLASS] = { classes_print, classes_pack, classes_csv, true },
    [CNN_TARGET_VECTOR] = { outputs_print, outputs_pack, outputs_csv, false },
    [CNN_TARGET_LABELS] = { labels_print, labels_pack, labels_csv, true },
    [CNN_TARGET_INPUT] = { outputs_print, outputs_pack, outputs_csv, false },
};

static enum cnn_target_kind target_kind(const struct evaluation *e)
{
    return e->values->model->train.target.kind;
}

static json_t *evaluation_pack(const struct evaluation *e)
{
    const struct tally *t = e->values;
    json_t *all = json_object(), *metrics = json_object();
    int status = 0;
    for (int i = 1; i < rt_tally_count(t); i++)
        status |= json_object_set_new(metrics, t->model->train.metrics[i - 1].name, number_json(rt_tally_value(t, i)));
    status |= json_object_set_new(all, "model", rt_json_text(t->model->name));
    status |= json_object_set_new(all, "weights", origin_json(e));
    status |= json_object_set_new(all, "set", json_string(e->set));
    status |= json_object_set_new(all, "samples", json_integer(t->samples));
    if (e->copies > 1)
        status |= json_object_set_new(all, "copies", json_integer(e->copies));
    if (reports[target_kind(e)].counts_right)
        status |= json_object_set_new(all, "right", json_integer(t->confusion.hits));
    status |= json_object_set_new(all, "loss", number_json(rt_tally_value(t, 0)));
    status |= json_object_set_new(all, "metrics", metrics);
    status |= reports[target_kind(e)].pack(e, all);
    if (status == 0)
        return all;
    json_decref(all);
    return NULL;
}

void rt_evaluation_print(const struct evaluation *e, struct progress *p)
{
    reports[target_kind(e)].print(e, p);
}

int rt_evaluation_json(const struct evaluation *e)
{
    json_t *all = evaluation_pack(e);
    char *text = all ? json_dumps(all, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(all);
    if (text)
        printf("%s\n", text);
    else
        rt_error("no memory to print what was found as JSON");
    free(text);
    return text ? 0 : -1;
}

int rt_evaluation_csv(const struct evaluation *e)
{
    reports[target_kind(e)].csv(e);
    return 0;
}
