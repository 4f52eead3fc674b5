/* reference_optimizer.c - the optimizers of reference.h: the change of one number after the other, as docs/language.md
 * says their rules. */
#include <math.h>

#include "reference.h"

static double length_of(const struct ref_net *net)
{
    double sum = 0;
    for (int i = 0; i < net->params_count; i++) {
        const struct ref_param *p = &net->params[i];
        for (int64_t j = 0; j < p->count && p->role != REF_STATISTIC && !p->fixed; j++)
            sum += p->grad[j] * p->grad[j];
    }
    return sqrt(sum);
}

/* Nadam's momentum of a step. */
static double momentum_of(const struct ref_optimizer *o, double t)
{
    return o->beta1 * (1 - 0.5 * pow(0.96, t));
}

/* What a number loses.  m, v, s: what the rule keeps of it. */
static double change(const struct ref_optimizer *o, double t, double g, double *m, double *v, double *s)
{
    double rate = o->lr * sqrt(1 - pow(o->beta2, t)) / (1 - pow(o->beta1, t));
    switch (o->kind) {
    case REF_SGD:
        *m = o->momentum * *m + g;
        return o->lr * (o->nesterov ? g + o->momentum * *m : *m);
    case REF_RMSPROP:
        *v = o->rho * *v + (1 - o->rho) * g * g;
        *s = o->rho * *s + (1 - o->rho) * g;
        *m = o->momentum * *m + o->lr * g / sqrt(*v - (o->centered ? *s * *s : 0) + o->epsilon);
        return *m;
    case REF_ADAGRAD:
        *v = (t == 1 ? o->rho : *v) + g * g;
        return o->lr * g / sqrt(*v + o->epsilon);
    default:
        *m = o->beta1 * *m + (1 - o->beta1) * g;
        *v = o->beta2 * *v + (1 - o->beta2) * g * g;
        *s = fmax(*s, *v);
    }
    if (o->kind == REF_ADAM)
        return rate * *m / (sqrt(o->amsgrad ? *s : *v) + o->epsilon);
    double now = momentum_of(o, t), after = momentum_of(o, t + 1), product = 1;
    for (double k = 1; k <= t; k++)
        product *= momentum_of(o, k);
    double ahead = after * *m / (1 - product * after) + (1 - now) * g / (1 - product);
    return o->lr * ahead / (sqrt(*v / (1 - pow(o->beta2, t))) + o->epsilon);
}

void ref_update(struct ref_net *net, uint64_t step, const struct ref_optimizer *o)
{
    double length = length_of(net), shorter = o->clip_norm > 0 && length > o->clip_norm ? o->clip_norm / length : 1;
    for (int i = 0; i < net->params_count; i++) {
        struct ref_param *p = &net->params[i];
        if (p->role == REF_STATISTIC || p->fixed)
            continue;
        for (int64_t j = 0; j < p->count; j++) {
            double g = p->grad[j] * shorter, w = p->value[j];
            if (o->clip_value > 0)
                g = fmin(fmax(g, -o->clip_value), o->clip_value);
            if (o->coupled) {
                double decay = o->weight_decay * w;
                p->doubt[j] = fmax(p->doubt[j], (fabs(g) + fabs(decay)) / fmax(fabs(g + decay), 1e-300));
                g += decay;
            }
            double loses = change(o, (double)step + 1, g, &p->m[j], &p->v[j], &p->s[j]);
            p->value[j] = (o->coupled ? w : w * (1 - o->lr * o->weight_decay)) - loses;
        }
    }
}
