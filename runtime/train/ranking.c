/* ranking.c - counts between thresholds: whole numbers, so that neither order nor a break in the run changes
 * anything. */
#include "train/ranking.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/message.h"
#include "core/targets.h"
#include "train/counts_text.h"

static size_t places_of(const struct ranking *r)
{
    return (size_t)r->outputs * ((size_t)r->thresholds + 1);
}

int rt_ranking_open(struct ranking *r, int outputs, int thresholds)
{
    *r = (struct ranking){ .outputs = outputs, .thresholds = thresholds };
    r->with = calloc(2 * places_of(r), sizeof *r->with);
    if (!r->with) {
        rt_error("no memory for %d thresholds of %d outputs", thresholds, outputs);
        return -1;
    }
    r->without = r->with + places_of(r);
    return 0;
}

void rt_ranking_close(struct ranking *r)
{
    free(r->with);
    *r = (struct ranking){ 0 };
}

void rt_ranking_begin(struct ranking *r)
{
    memset(r->with, 0, 2 * places_of(r) * sizeof *r->with);
}

/* How many thresholds the probability exceeds: those between are i / (thresholds - 1). */
static int exceeded(const struct ranking *r, double p)
{
    const int last = r->thresholds - 1;
    if (!(p > 0.0))
        return p < 0.0 || isnan(p) ? 0 : 1;
    if (p > 1.0)
        return r->thresholds;
    int between = (int)(p * last);
    while (between < last - 1 && p > (double)(between + 1) / last)
        between++;
    while (between > 0 && (between > last - 1 || !(p > (double)between / last)))
        between--;
    return 1 + between;
}

/* Whether sample i has what output k is the probability of. */
static bool has(const struct ranking *r, const struct cnn_context *c, int i, int k)
{
    if (c->model->train.target.kind != CNN_TARGET_CLASS)
        return rt_target_number(c, i, k) > 0.5;
    return r->outputs == 1 ? c->labels[i] == 1 : c->labels[i] == k;
}

void rt_ranking_add(struct ranking *r, const struct cnn_context *c, int n)
{
    for (int i = 0; i < n; i++)
        for (int k = 0; k < r->outputs; k++) {
            size_t place = (size_t)k * ((size_t)r->thresholds + 1) + (size_t)exceeded(r, rt_predicted_number(c, i, k));
            (has(r, c, i, k) ? r->with : r->without)[place]++;
        }
}

double rt_ranking_area(const struct ranking *r, int output)
{
    const int64_t *with = r->with + (size_t)output * ((size_t)r->thresholds + 1);
    const int64_t *without = r->without + (size_t)output * ((size_t)r->thresholds + 1);
    double found = 0.0, wrong = 0.0, area = 0.0;
    for (int b = r->thresholds; b >= 0; b--) {          /* the most probable first: a trapezoid for each step */
        area += (double)without[b] * (found + 0.5 * (double)with[b]);
        found += (double)with[b];
        wrong += (double)without[b];
    }
    return found > 0.0 && wrong > 0.0 ? area / (found * wrong) : NAN;
}

double rt_ranking_mean(const struct ranking *r)
{
    double sum = 0.0;
    int count = 0;
    for (int k = 0; k < r->outputs; k++) {
        double area = rt_ranking_area(r, k);
        if (isnan(area))
            continue;
        sum += area;
        count++;
    }
    return count ? sum / count : 0.0;
}

void rt_ranking_save(const struct ranking *r, struct state *s, const char *name)
{
    rt_counts_save(s, name, r->with, 2 * places_of(r));
}

int rt_ranking_load(struct ranking *r, const struct state *s, const char *name)
{
    return rt_counts_load(s, name, r->with, 2 * places_of(r));
}
