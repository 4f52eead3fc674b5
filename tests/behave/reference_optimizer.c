/* reference_optimizer.c - the optimizers of reference.h: the change of one number after the other, or of a matrix, as
 * docs/language.md says their rules. */
#include <math.h>
#include <stdlib.h>

#include "reference.h"

static struct ref_group group_of(const struct ref_param *p, const struct ref_optimizer *o)
{
    return p->grouped ? p->group : (struct ref_group){ .lr_scale = 1, .weight_decay = o->weight_decay,
                                                       .until = INFINITY };
}

static bool is_trained(const struct ref_param *p, const struct ref_optimizer *o, double epoch)
{
    const struct ref_group g = group_of(p, o);
    return p->role != REF_STATISTIC && !p->fixed && epoch >= g.from && epoch < g.until;
}

static double length_of(const struct ref_net *net, const struct ref_optimizer *o, double epoch)
{
    double sum = 0;
    for (int i = 0; i < net->params_count; i++) {
        const struct ref_param *p = &net->params[i];
        for (int64_t j = 0; j < p->count && is_trained(p, o, epoch); j++)
            sum += p->grad[j] * p->grad[j];
    }
    return sqrt(sum);
}

/* Nadam's momentum of a step. */
static double momentum_of(const struct ref_optimizer *o, double t)
{
    return o->beta1 * (1 - 0.5 * pow(0.96, t));
}

/* What a number loses at rate lr.  m, v, s: what the rule keeps of it. */
static double change(const struct ref_optimizer *o, double lr, double t, double g, double *m, double *v, double *s)
{
    double rate = lr * sqrt(1 - pow(o->beta2, t)) / (1 - pow(o->beta1, t));
    switch (o->kind) {
    case REF_SGD:
        *m = o->momentum * *m + g;
        return lr * (o->nesterov ? g + o->momentum * *m : *m);
    case REF_RMSPROP:
        *v = o->rho * *v + (1 - o->rho) * g * g;
        *s = o->rho * *s + (1 - o->rho) * g;
        *m = o->momentum * *m + lr * g / sqrt(*v - (o->centered ? *s * *s : 0) + o->epsilon);
        return *m;
    case REF_ADAGRAD:
        *v += g * g;
        return lr * g / sqrt(o->rho + *v + o->epsilon);
    default:
        *m = o->beta1 * *m + (1 - o->beta1) * g;
        *v = o->beta2 * *v + (1 - o->beta2) * g * g;
        *s = fmax(*s, *v);
    }
    if (o->kind == REF_ADAM || o->kind == REF_MUON)
        return rate * *m / (sqrt(o->amsgrad ? *s : *v) + o->epsilon);
    double now = momentum_of(o, t), after = momentum_of(o, t + 1), product = 1;
    for (double k = 1; k <= t; k++)
        product *= momentum_of(o, k);
    double ahead = after * *m / (1 - product * after) + (1 - now) * g / (1 - product);
    return lr * ahead / (sqrt(*v / (1 - pow(o->beta2, t))) + o->epsilon);
}

/* ---- muon -------------------------------------------------------------------------------------------------------- */

bool ref_is_matrix(const struct ref_net *net, int param)
{
    const struct ref_param *p = &net->params[param];
    if (p->role != REF_WEIGHT || (p->rank != 2 && p->rank != 4))
        return false;
    for (int i = 0; i < net->nodes_count; i++)
        if (net->nodes[i].weight == param)
            return net->nodes[i].groups <= 1;
    return false;
}

static double *room(int64_t count)
{
    double *p = calloc((size_t)count + 1, sizeof *p);
    if (!p)
        abort();
    return p;
}

/* x (rows, columns) <- 3.4445 x - 4.775 (x x') x + 2.0315 (x x')^2 x, by products of the smaller kind: x x' has rows x
 * rows numbers. */
static void iterate(double *x, int64_t rows, int64_t columns)
{
    double *a = room(rows * rows), *ax = room(rows * columns);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < rows; j++)
            for (int64_t k = 0; k < columns; k++)
                a[i * rows + j] += x[i * columns + k] * x[j * columns + k];
    for (int64_t i = 0; i < rows; i++)
        for (int64_t k = 0; k < rows; k++)
            for (int64_t j = 0; j < columns; j++)
                ax[i * columns + j] += a[i * rows + k] * x[k * columns + j];
    for (int64_t i = 0; i < rows * columns; i++)
        x[i] = 3.4445 * x[i] - 4.775 * ax[i];
    for (int64_t i = 0; i < rows; i++)
        for (int64_t k = 0; k < rows; k++)
            for (int64_t j = 0; j < columns; j++)
                x[i * columns + j] += 2.0315 * a[i * rows + k] * ax[k * columns + j];
    free(a);
    free(ax);
}

/* Of a matrix of filters, a row each: what it loses before the rate, in `to`. */
static void orthogonalise(const struct ref_param *p, const double *from, int iterations, double *to)
{
    int64_t outputs = p->shape[0], inputs = p->count / outputs;
    bool tall = outputs > inputs;
    int64_t rows = tall ? inputs : outputs, columns = tall ? outputs : inputs;
    double *x = room(p->count), length = 0;
    for (int64_t j = 0; j < p->count; j++)
        length += from[j] * from[j];
    length = fmax(sqrt(length), 1e-7);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++)
            x[i * columns + j] = (tall ? from[j * rows + i] : from[i * columns + j]) / length;
    for (int k = 0; k < iterations; k++)
        iterate(x, rows, columns);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++)
            to[tall ? j * rows + i : i * columns + j] = x[i * columns + j] * (tall ? sqrt((double)outputs / inputs)
                                                                              : 1);
    free(x);
}

/* ---- a step ------------------------------------------------------------------------------------------------------ */

/* The gradient as options leave it. */
static double gradient_of(const struct ref_optimizer *o, const struct ref_group *group, struct ref_param *p, int64_t j,
                          double shorter)
{
    double g = p->grad[j] * shorter;
    if (o->clip_value > 0)
        g = fmin(fmax(g, -o->clip_value), o->clip_value);
    if (!o->coupled)
        return g;
    double decay = group->weight_decay * p->value[j];
    p->doubt[j] = fmax(p->doubt[j], (fabs(g) + fabs(decay)) / fmax(fabs(g + decay), 1e-300));
    return g + decay;
}

static void update_matrix(const struct ref_optimizer *o, const struct ref_group *group, struct ref_param *p,
                          double shorter)
{
    double *direction = room(p->count), lr = o->lr * group->lr_scale;
    for (int64_t j = 0; j < p->count; j++) {
        double g = gradient_of(o, group, p, j, shorter);
        p->m[j] = o->momentum * p->m[j] + (1 - o->momentum) * g;
        direction[j] = o->nesterov ? o->momentum * p->m[j] + (1 - o->momentum) * g : p->m[j];
    }
    orthogonalise(p, direction, o->iterations, direction);
    for (int64_t j = 0; j < p->count; j++)
        p->value[j] = (o->coupled ? p->value[j] : p->value[j] * (1 - lr * group->weight_decay)) - lr * direction[j];
    free(direction);
}

static void update_numbers(const struct ref_optimizer *o, const struct ref_group *group, struct ref_param *p,
                           double shorter, double t)
{
    double lr = o->lr * group->lr_scale * (o->kind == REF_MUON ? o->adam_scale : 1);
    for (int64_t j = 0; j < p->count; j++) {
        double g = gradient_of(o, group, p, j, shorter), w = p->value[j];
        double loses = change(o, lr, t, g, &p->m[j], &p->v[j], &p->s[j]);
        p->value[j] = (o->coupled ? w : w * (1 - lr * group->weight_decay)) - loses;
    }
}

/* Every so many steps the slow numbers go a part of the way, and the others begin from there anew; at the run's end all
 * are the slow ones. */
static void look_ahead(const struct ref_optimizer *o, struct ref_param *p, const struct ref_moment *at)
{
    double t = (double)at->step + 1, share = 0;
    if (t == (double)at->steps || fmod(t, o->every) == 0) {
        if (fmod(t, o->every) == 0)
            share = 1 - pow(o->lookahead, o->every) * (at->steps ? pow(fmin(t / (double)at->steps, 1), o->power) : 1);
        for (int64_t j = 0; j < p->count; j++)
            p->value[j] = p->slow[j] += share * (p->value[j] - p->slow[j]);
    }
}

void ref_update(struct ref_net *net, const struct ref_moment *at, const struct ref_optimizer *o)
{
    double length = length_of(net, o, at->epoch);
    double shorter = o->clip_norm > 0 && length > o->clip_norm ? o->clip_norm / length : 1;
    for (int i = 0; i < net->params_count; i++) {
        struct ref_param *p = &net->params[i];
        const struct ref_group group = group_of(p, o);
        for (int64_t j = 0; j < p->count && at->step == 0 && p->role != REF_STATISTIC; j++)
            p->slow[j] = p->value[j];
        if (is_trained(p, o, at->epoch) && o->kind == REF_MUON && ref_is_matrix(net, i))
            update_matrix(o, &group, p, shorter);
        else if (is_trained(p, o, at->epoch))
            update_numbers(o, &group, p, shorter, (double)at->step + 1);
        if (o->lookahead > 0 && !(p->fixed && p->role != REF_STATISTIC))
            look_ahead(o, p, at);
    }
}
