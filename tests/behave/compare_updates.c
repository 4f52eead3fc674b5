/* compare_updates.c - what the optimizer makes of the weights, beside the reference's rules. */
#include "compare_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- the optimizer ----------------------------------------------------------------------------------------------- */

/* The rule is fed the model's own gradients, and its running moments: where these are noise about zero, its steps are
 * not. */
static void take_gradients(struct trial *t, struct cnn_context *c)
{
    for (int i = 0; i < t->net->params_count; i++) {
        struct ref_param *p = &t->net->params[i];
        if (p->fixed)
            continue;
        void *raw = room(p->count, 8);
        if (p->role == REF_STATISTIC)
            cnn_param_get(c, t->param[i], raw);
        else
            cnn_grad_get(c, t->param[i], raw);
        to_doubles(t->model, p->role == REF_STATISTIC ? p->value : p->grad, raw, p->count);
        free(raw);
    }
}

enum { MUON_NOISE = 200 };

/* Of what a parameter loses in a step without much of a gradient: where that is orthogonalised, numbers that nearly
 * cancel are made as large as any. */
static double rate_of(const struct trial *t, int param)
{
    const struct ref_optimizer *o = &t->network->optimizer;
    const struct ref_param *p = &t->net->params[param];
    double rate = o->lr * (p->grouped ? fmax(p->group.lr_scale, 0) : 1);
    if (o->kind != REF_MUON)
        return rate;
    double tall = (double)p->shape[0] * (double)p->shape[0] / (double)p->count;
    return ref_is_matrix(t->net, param) ? MUON_NOISE * rate * sqrt(fmax(1, tall)) : rate * o->adam_scale;
}

static void check_params(struct trial *t, int step)
{
    for (int i = 0; i < t->net->params_count; i++) {
        const struct ref_param *p = &t->net->params[i];
        double rate = p->role == REF_STATISTIC ? 0 : rate_of(t, i);
        void *raw = room(p->count, 8), *other = room(p->count, 8);
        double *value = room(p->count, sizeof(double));
        cnn_param_get(t->contexts[0], t->param[i], raw);
        to_doubles(t->model, value, raw, p->count);
        for (int k = 1; k < CONTEXTS; k++) {
            cnn_param_get(t->contexts[k], t->param[i], other);
            if (memcmp(raw, other, (size_t)(p->count * t->model->real_size)) != 0)
                trial_fail(t, "update %d: %s has other bits with %d threads than with 1", step, p->name, k + 1);
        }
        for (int64_t j = 0; j < p->count; j++) {
            double moved = fabs(p->value[j] - t->start[i][j]);
            double bound = (step + 1) * t->eps * (4 * fabs(p->value[j]) + 64 * (rate * fmax(1, p->doubt[j]) + moved));
            if (fabs(value[j] - p->value[j]) <= bound)
                continue;
            trial_fail(t, "update %d: %s[%lld] = %.9g, reference %.9g (gradient %.9g), allowed %.3g", step, p->name,
                 (long long)j, value[j], p->value[j], p->grad[j], bound);
            break;
        }
        t->counts->tensors++;
        free(raw);
        free(other);
        free(value);
    }
}

/* Stored elements of a parameter that no index reaches are zero. */
static void check_padding(struct trial *t, const struct cnn_context *c, const struct cnn_param *p)
{
    unsigned char *reached = room(p->stored, 1);
    const struct cnn_layout *l = &p->layout;
    for (int64_t i = 0; i < p->count; i++) {
        int64_t rest = i, place = 0;
        for (int d = l->dims - 1; d >= 0; rest /= l->dim[d--]) {
            int64_t k = rest % l->dim[d];
            place += d == l->panel_dim ? k / l->panel * l->panel_stride + k % l->panel * l->stride[d]
                                       : k * l->stride[d];
        }
        if (place < 0 || place >= p->stored || reached[place]) {
            trial_fail(t, "%s: element %lld lies at %lld of %lld, %s", p->name, (long long)i, (long long)place,
                 (long long)p->stored, place < 0 || place >= p->stored ? "outside" : "where another lies");
            free(reached);
            return;
        }
        reached[place] = 1;
    }
    const char *base = p->role == CNN_STATISTIC ? c->statistics : c->params;
    for (int64_t i = 0; i < p->stored; i++) {
        double value;
        to_doubles(t->model, &value, base + (p->offset + i) * t->model->real_size, 1);
        if (!reached[i] && value != 0) {
            trial_fail(t, "%s: padding at %lld is %g", p->name, (long long)i, value);
            break;
        }
    }
    free(reached);
}

void check_updates(struct trial *t, struct batch *b)
{
    struct network *n = t->network;
    for (int i = 0; i < t->net->params_count; i++) {
        memcpy(t->net->params[i].value, t->start[i], (size_t)t->net->params[i].count * sizeof(double));
        memcpy(t->net->params[i].slow, t->start[i], (size_t)t->net->params[i].count * sizeof(double));
    }
    for (int k = 0; k < CONTEXTS; k++)
        context_load(t, t->contexts[k]);
    for (int step = 0; step < STEPS; step++) {
        batch_draw(t, b, t->net->batch);
        for (int k = 0; k < CONTEXTS; k++) {
            struct cnn_context *c = t->contexts[k];
            c->step = (uint64_t)step;
            c->steps_total = STEPS;
            c->epoch = step;
            c->early_update = c->trained_only = k > 0;      /* the same bits */
            c->lr = n->optimizer.lr;
            context_feed(t, c, b);
            t->model->train_step(c, b->n);
            if (k == 0)
                take_gradients(t, c);
            t->model->update(c);
        }
        ref_update(t->net, &(struct ref_moment){.step = (uint64_t)step, .steps = STEPS, .epoch = step}, &n->optimizer);
        check_params(t, step);
    }
    for (int i = 0; i < t->model->params_list_count; i++)
        check_padding(t, t->contexts[0], &t->model->params[i]);
}
