/* confusion.c - counts of right and predicted classes over a whole set. */
#include "train/confusion.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/message.h"
#include "core/targets.h"
#include "files/state.h"

int rt_confusion_open(struct confusion *m, int classes)
{
    size_t n = (size_t)classes;
    *m = (struct confusion){ .classes = classes };
    m->counts = calloc(n * n + 2 * n, sizeof *m->counts);
    if (!m->counts) {
        rt_error("no memory to count %d classes", classes);
        return -1;
    }
    m->support = m->counts + n * n;
    m->predicted = m->support + n;
    return 0;
}

void rt_confusion_close(struct confusion *m)
{
    free(m->counts);
    *m = (struct confusion){ 0 };
}

void rt_confusion_begin(struct confusion *m)
{
    size_t n = (size_t)m->classes;
    memset(m->counts, 0, (n * n + 2 * n) * sizeof *m->counts);
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

void rt_confusion_add(struct confusion *m, const struct cnn_context *c, int n)
{
    size_t classes = (size_t)m->classes;
    double probability;
    for (int i = 0; i < n; i++) {
        int guess = rt_most_probable(c, i, &probability);
        int right = c->labels[i];
        m->counts[(size_t)right * classes + (size_t)guess]++;
        m->support[right]++;
        m->predicted[guess]++;
        m->hits += guess == right;
    }
    m->samples += n;
}

enum { COUNT_LETTERS = 21 };    /* of a count and the space behind it */

void rt_confusion_save(const struct confusion *m, struct state *s)
{
    size_t pairs = (size_t)m->classes * (size_t)m->classes, length = 0, room = pairs * COUNT_LETTERS;
    char *text = malloc(room + 1);
    if (!text) {
        s->failed = true;
        return;
    }
    text[0] = '\0';
    for (size_t i = 0; i < pairs; i++)
        length += (size_t)snprintf(text + length, room + 1 - length, "%" PRId64 " ", m->counts[i]);
    rt_state_put_text(s, "class_counts", text);
    free(text);
}

int rt_confusion_load(struct confusion *m, const struct state *s)
{
    size_t classes = (size_t)m->classes;
    const char *text = rt_state_text(s, "class_counts");
    rt_confusion_begin(m);
    for (size_t i = 0; i < classes * classes; i++) {
        char *end = NULL;
        long long count = text ? strtoll(text, &end, 10) : -1;
        if (count < 0 || end == text) {
            rt_error("%s: has no counts of %d classes", s->path, m->classes);
            return -1;
        }
        text = end;
        m->counts[i] = count;
        m->support[i / classes] += count;
        m->predicted[i % classes] += count;
        m->samples += count;
        m->hits += i / classes == i % classes ? count : 0;
    }
    return 0;
}

static double ratio(double a, double b)
{
    return b == 0.0 ? 0.0 : a / b;
}

struct class_scores rt_confusion_class(const struct confusion *m, int k)
{
    double hits = (double)m->counts[(size_t)k * (size_t)m->classes + (size_t)k];
    double support = (double)m->support[k], predicted = (double)m->predicted[k];
    return (struct class_scores){ .precision = ratio(hits, predicted),
                                  .recall = ratio(hits, support),
                                  .f1 = ratio(2.0 * hits, support + predicted) };
}

struct class_scores rt_confusion_scores(const struct confusion *m, enum cnn_average average)
{
    struct class_scores sum = { 0 };
    double weights = 0.0;
    if (average == CNN_AVERAGE_MICRO) {
        double share = ratio((double)m->hits, (double)m->samples);
        return (struct class_scores){ share, share, share };
    }
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
