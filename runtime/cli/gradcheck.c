/* gradcheck.c - the compiled gradients against finite differences, in double precision.
 *
 * The loss of one random batch, with its dropout masks held by (seed, step), is a function of the
 * parameters.  Sampled elements are moved by h and h/2 both ways.  Where the function is smooth,
 * the central difference quotients D(h) and D(h/2) differ by O(h^2) and the second differences S(h)
 * and 4 S(h/2) by O(h^4).  A kink (a relu's or maxpool's) at a distance x h from the point,
 * 0 <= x <= 1, that changes the slope by J, moves
 *     D(h) - D(h/2)          by  J x / 2  (x < 1/2),  J (1 - x) / 2  (else),
 *     (S(h) - 4 S(h/2)) / h  by  J (3x - 1)  (x < 1/2),  J (1 - x)  (else),
 * and the extrapolated slope by at most 7/6 of the larger of the two.  So that larger one, with no
 * look at the gradient under test, tells whether the estimate can be trusted.  Where it cannot, a
 * smaller h is tried; where none serves, the element is skipped and counted.
 */
#include "cli/gradcheck.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "train/batch_random.h"
#include "cli/command.h"
#include "core/message.h"
#include "core/param.h"
#include "common/recipe.h"

enum { POINTS = 24, SAMPLES = 4, RUNGS = 3 };
static const double rungs[RUNGS] = { 1e-4, 1e-5, 1e-6 };
static const double tolerance = 1e-6;

struct slope rt_slope(const struct neighbours *f, double h)
{
    double wide = (f->right - f->left) / (2.0 * h), narrow = (f->near_right - f->near_left) / h;
    double bend = f->right - 2.0 * f->here + f->left;
    double near_bend = f->near_right - 2.0 * f->here + f->near_left;
    return (struct slope){
        .estimate = (4.0 * narrow - wide) / 3.0,
        .unrest = fmax(fabs(wide - narrow), fabs(bend - 4.0 * near_bend) / h),
    };
}

struct check {
    const struct cnn_model *model;
    struct cnn_context *context;
    int n, points;
    double loss;                /* at the point */
    double *statistics;         /* as they were: a training step moves running means */
    double *gradient;           /* of one parameter, in the order of files */
    struct point *list;         /* (points) */
};

struct point {
    int64_t index;              /* in the order of files */
    struct slope slope;
    double h;
};

static double loss_compute(struct check *k)
{
    struct cnn_context *c = k->context;
    k->model->train_step(c, k->n);
    memcpy(c->statistics, k->statistics, (size_t)k->model->statistics_stored * sizeof(double));
    return c->loss / k->n;
}

static double loss_moved(struct check *k, double *place, double by)
{
    double kept = *place;
    *place = kept + by;
    double loss = loss_compute(k);
    *place = kept;
    return loss;
}

static struct slope slope_measure(struct check *k, double *place, double h)
{
    struct neighbours f = {
        .here = k->loss,
        .right = loss_moved(k, place, h), .left = loss_moved(k, place, -h),
        .near_right = loss_moved(k, place, 0.5 * h), .near_left = loss_moved(k, place, -0.5 * h),
    };
    return rt_slope(&f, h);
}

/* What rounding of the loss alone can do to a difference quotient. */
static double noise(const struct check *k, double h)
{
    return 32.0 * DBL_EPSILON * fmax(1.0, fabs(k->loss)) / h;
}

/* The measure of an error: the slope itself, the parameter's root mean square slope, or, where all
 * are tiny, what rounding lets differences see. */
static double error_scale(const struct check *k, const struct point *p, double root_mean_square)
{
    return fmax(fmax(fabs(p->slope.estimate), root_mean_square), noise(k, p->h) / tolerance);
}

static bool trusted(const struct check *k, const struct point *p, double root_mean_square)
{
    return p->slope.unrest <= 0.5 * tolerance * error_scale(k, p, root_mean_square);
}

/* Which elements: all of a small parameter, one of each of equal parts of a large one. */
static int points_choose(struct check *k, const struct cnn_param *p, uint64_t key)
{
    if (p->count <= k->points) {
        for (int i = 0; i < (int)p->count; i++)
            k->list[i].index = i;
        return (int)p->count;
    }
    for (int i = 0; i < k->points; i++) {
        int64_t from = p->count * i / k->points, to = p->count * (i + 1) / k->points;
        k->list[i].index =
            from + (int64_t)(rt_random_uniform(key, (uint64_t)i) * (double)(to - from));
    }
    return k->points;
}

/* The larger of two errors; not a number is the largest of all. */
static double worse(double a, double b)
{
    return isnan(a) || a > b ? a : b;
}

struct result {
    int checked, skipped;
    double worst;
};

static struct result param_check(struct check *k, int param)
{
    const struct cnn_param *p = &k->model->params[param];
    double *stored = rt_param_place(k->context, param);
    int count =
        points_choose(k, p, rt_random_key(k->context->seed, RANDOM_GRADCHECK, (uint64_t)param + 2));
    double squares = 0.0;
    k->loss = loss_compute(k);
    cnn_grad_get(k->context, param, k->gradient);
    for (int i = 0; i < count; i++) {
        struct point *at = &k->list[i];
        at->h = rungs[0];
        at->slope = slope_measure(k, stored + rt_param_index_place(p, at->index), at->h);
        squares += at->slope.estimate * at->slope.estimate;
    }
    double root_mean_square = sqrt(squares / count);
    struct result r = { 0 };
    for (int i = 0; i < count; i++) {
        struct point *at = &k->list[i];
        for (int rung = 1; rung < RUNGS && !trusted(k, at, root_mean_square); rung++) {
            at->h = rungs[rung];
            at->slope = slope_measure(k, stored + rt_param_index_place(p, at->index), at->h);
        }
        if (!trusted(k, at, root_mean_square)) {
            r.skipped++;
            continue;
        }
        double error = fabs(k->gradient[at->index] - at->slope.estimate)
                       / error_scale(k, at, root_mean_square);
        r.checked++;
        r.worst = worse(error, r.worst);
    }
    return r;
}

/* Away from the special points where training begins: zero biases put relus on their kinks. */
static void biases_move(struct cnn_context *c)
{
    const struct cnn_model *m = c->model;
    for (int i = 0; i < m->params_list_count; i++) {
        const struct cnn_param *p = &m->params[i];
        if (p->role == CNN_STATISTIC || p->rank > 1)
            continue;
        uint64_t key =
            rt_random_subkey(rt_random_key(c->seed, RANDOM_GRADCHECK, (uint64_t)i + 2), 1);
        double *stored = rt_param_place(c, i);
        for (int64_t e = 0; e < p->count; e++)
            stored[rt_param_index_place(p, e)] += 0.2 * rt_random_uniform(key, (uint64_t)e) - 0.1;
    }
}

/* Checks every trainable parameter and prints a line for each.  Returns whether all agree. */
static bool params_check(struct check *k)
{
    const struct cnn_model *m = k->model;
    bool fine = true;
    double worst = 0.0;
    int shown = 0;
    rt_print(stdout, "%s: batch of %d, seed %llu, loss %.6f\n", m->name, k->n,
           (unsigned long long)k->context->seed, loss_compute(k));
    rt_print(stdout, "%-32s %12s %8s %8s  %s\n", "parameter", "elements", "checked", "skipped",
           "worst error");
    for (int i = 0; i < m->params_list_count; i++) {
        const struct cnn_param *p = &m->params[i];
        if (p->role == CNN_STATISTIC || !p->trainable)
            continue;
        struct result r = param_check(k, i);
        bool wrong = r.checked > 0 && !(r.worst <= tolerance), few = r.skipped > r.checked;
        rt_print(stdout, "%-32s %12lld %8d %8d  %.2e%s%s\n", p->name, (long long)p->count, r.checked,
               r.skipped, r.worst, wrong ? "  WRONG" : "", few ? "  too few checked" : "");
        fflush(stdout);
        fine = fine && !wrong && !few;
        worst = worse(r.worst, worst);
        shown++;
    }
    rt_print(stdout, "%s: %d parameters, worst error %.2e (tolerance %.0e of the slope or, if that is "
           "larger, of the parameter's root mean square slope)\n",
           fine ? "Gradients agree" : "Gradients do not agree", shown, worst, tolerance);
    return fine;
}

static int check_open(struct check *k, const struct command_options *o)
{
    const struct cnn_model *m = k->model;
    uint64_t seed = rt_recipe_seed(m, o->run.seed);
    k->points = o->points > 0 ? (int)o->points : POINTS;
    k->n = o->samples > 0 ? (int)o->samples : m->batch < SAMPLES ? m->batch : SAMPLES;
    if (k->n > m->batch) {
        rt_error("--samples %d: the network was compiled for batches of %d", k->n, m->batch);
        return -1;
    }
    int64_t largest = 1;
    for (int i = 0; i < m->params_list_count; i++)
        if (m->params[i].count > largest)
            largest = m->params[i].count;
    k->context = cnn_open(m, (int)o->run.threads, seed);
    k->statistics = malloc((size_t)m->statistics_stored * sizeof(double) + 1);
    k->gradient = malloc((size_t)largest * sizeof(double));
    k->list = malloc((size_t)k->points * sizeof *k->list);
    if (!k->context)
        return -1;
    if (!k->statistics || !k->gradient || !k->list) {
        rt_error("no memory for %lld slopes", (long long)largest);
        return -1;
    }
    if (o->run.weights && cnn_load_weights(k->context, o->run.weights))
        return -1;
    if (!o->run.weights)
        biases_move(k->context);
    memcpy(k->statistics, k->context->statistics, (size_t)m->statistics_stored * sizeof(double));
    return rt_batch_random(k->context, k->n, seed, RANDOM_GRADCHECK);
}

int rt_gradcheck(const struct cnn_model *model, const struct command_options *o)
{
    if (model->real_size != 8) {
        rt_error("gradcheck needs the network in double precision, where differences can be told from rounding: "
                 "`cnnc --real=double %s -o %s_double.c && make -f \"$(cnnc --print-makefile)\" %s_double` makes it",
                 model->source, model->name, model->name);
        return EXIT_WRONG_USE;
    }
    struct check k = { .model = model };
    int status = check_open(&k, o) == 0 && params_check(&k) ? EXIT_FINE : EXIT_FAILED;
    free(k.statistics);
    free(k.gradient);
    free(k.list);
    cnn_close(k.context);
    return status;
}
