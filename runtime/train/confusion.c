/* confusion.c - counts of right and predicted classes over a whole set. */
#include "train/confusion.h"

#include <stdlib.h>
#include <string.h>

#include "core/message.h"
#include "core/targets.h"
#include "train/counts_text.h"

int rt_confusion_open(struct confusion *m, int classes, bool labels)
{
    size_t n = (size_t)classes;
    *m = (struct confusion){ .classes = classes, .labels = labels };
    m->found = calloc(3 * n + 1, sizeof *m->found);
    m->counts = labels ? NULL : calloc(n * n + 1, sizeof *m->counts);
    if (!m->found || (!labels && !m->counts)) {
        rt_error("no memory to count %d classes", classes);
        return -1;
    }
    m->support = m->found + n;
    m->predicted = m->support + n;
    return 0;
}

void rt_confusion_close(struct confusion *m)
{
    free(m->counts);
    free(m->found);
    *m = (struct confusion){ 0 };
}

void rt_confusion_begin(struct confusion *m)
{
    size_t n = (size_t)m->classes;
    if (m->counts)
        memset(m->counts, 0, n * n * sizeof *m->counts);
    memset(m->found, 0, 3 * n * sizeof *m->found);
    m->samples = 0;
    m->hits = 0;
}

static int most_probable_float(const float *row, int classes)
{
    int best = 0;
    for (int k = 1; k < classes; k++)
        best = row[k] > row[best] ? k : best;
    return best;
}

static int most_probable_double(const double *row, int classes)
{
    int best = 0;
    for (int k = 1; k < classes; k++)
        best = row[k] > row[best] ? k : best;
    return best;
}

/* A lone output is the probability of the second of two classes. */
static int more_probable(double second, double *probability)
{
    int best = second > 0.5;
    *probability = best ? second : 1.0 - second;
    return best;
}

int rt_most_probable(const struct cnn_context *c, int i, double *probability)
{
    if (c->model->outputs == 1)
        return more_probable(rt_predicted_number(c, i, 0), probability);
    int classes = c->model->outputs;
    size_t from = (size_t)i * (size_t)classes;
    if (c->model->real_size == 8) {
        const double *row = (const double *)c->predictions + from;
        int best = most_probable_double(row, classes);
        *probability = row[best];
        return best;
    }
    const float *row = (const float *)c->predictions + from;
    int best = most_probable_float(row, classes);
    *probability = (double)row[best];
    return best;
}

static void labels_add(struct confusion *m, const struct cnn_context *c, int n)
{
    for (int i = 0; i < n; i++) {
        bool all = true;
        for (int k = 0; k < m->classes; k++) {
            bool given = rt_predicted_number(c, i, k) > 0.5, right = rt_target_number(c, i, k) > 0.5;
            m->support[k] += right;
            m->predicted[k] += given;
            m->found[k] += given && right;
            all = all && given == right;
        }
        m->hits += all;
    }
    m->samples += n;
}

void rt_confusion_add(struct confusion *m, const struct cnn_context *c, int n)
{
    if (m->labels) {
        labels_add(m, c, n);
        return;
    }
    size_t classes = (size_t)m->classes;
    double probability;
    for (int i = 0; i < n; i++) {
        int guess = rt_most_probable(c, i, &probability);
        int right = c->labels[i];
        m->counts[(size_t)right * classes + (size_t)guess]++;
        m->support[right]++;
        m->predicted[guess]++;
        m->hits += guess == right;
        m->found[right] += guess == right;
    }
    m->samples += n;
}

/* Everything follows from the counts of classes; labels are saved as they were counted. */
void rt_confusion_save(const struct confusion *m, struct state *s)
{
    size_t n = (size_t)m->classes;
    if (!m->labels) {
        rt_counts_save(s, "class_counts", m->counts, n * n);
        return;
    }
    rt_counts_save(s, "label_counts", m->found, 3 * n);
    rt_state_put_whole(s, "label_hits", m->hits);
}

static int labels_load(struct confusion *m, const struct state *s)
{
    int64_t samples;
    if (rt_counts_load(s, "label_counts", m->found, 3 * (size_t)m->classes)
        || rt_state_get_whole(s, "label_hits", &m->hits) || rt_state_get_whole(s, "samples", &samples))
        return -1;
    m->samples = samples;
    return 0;
}

int rt_confusion_load(struct confusion *m, const struct state *s)
{
    size_t classes = (size_t)m->classes;
    rt_confusion_begin(m);
    if (m->labels)
        return labels_load(m, s);
    if (rt_counts_load(s, "class_counts", m->counts, classes * classes))
        return -1;
    for (size_t i = 0; i < classes * classes; i++) {
        int64_t count = m->counts[i];
        m->support[i / classes] += count;
        m->predicted[i % classes] += count;
        m->samples += count;
        m->found[i / classes] += i / classes == i % classes ? count : 0;
        m->hits += i / classes == i % classes ? count : 0;
    }
    return 0;
}

bool rt_confusion_has(const struct confusion *m, const struct state *s)
{
    return rt_state_text(s, m->labels ? "label_counts" : "class_counts") != NULL;
}

static double ratio(double a, double b)
{
    return b == 0.0 ? 0.0 : a / b;
}

static struct class_scores scores_of(double found, double support, double predicted)
{
    return (struct class_scores){ .precision = ratio(found, predicted),
                                  .recall = ratio(found, support),
                                  .f1 = ratio(2.0 * found, support + predicted) };
}

static double total(const int64_t *counts, int count)
{
    int64_t sum = 0;
    for (int k = 0; k < count; k++)
        sum += counts[k];
    return (double)sum;
}

struct class_scores rt_confusion_class(const struct confusion *m, int k)
{
    return scores_of((double)m->found[k], (double)m->support[k], (double)m->predicted[k]);
}

struct class_scores rt_confusion_scores(const struct confusion *m, enum cnn_average average)
{
    struct class_scores sum = { 0 };
    double weights = 0.0;
    if (average == CNN_AVERAGE_MICRO)
        return scores_of(total(m->found, m->classes), total(m->support, m->classes), total(m->predicted, m->classes));
    for (int k = 0; k < m->classes; k++) {
        if (m->support[k] == 0 && m->predicted[k] == 0)
            continue;
        struct class_scores one = rt_confusion_class(m, k);
        double weight = average == CNN_AVERAGE_WEIGHTED ? (double)m->support[k] : 1.0;
        sum.precision += weight * one.precision;
        sum.recall += weight * one.recall;
        sum.f1 += weight * one.f1;
        weights += weight;
    }
    return (struct class_scores){ ratio(sum.precision, weights), ratio(sum.recall, weights),
                                  ratio(sum.f1, weights) };
}
