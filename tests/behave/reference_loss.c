/* reference_loss.c - the losses of reference.h, of a sample at a time: what the network's last node holds becomes
 * predictions, those and the targets a number and its gradient. */
#include <math.h>
#include <stdlib.h>

#include "reference.h"

/* value, disturbed as the rounding of parts of this size would. */
static double rounded(struct ref_net *net, double value, double size)
{
    if (net->noise == 0)
        return value;
    return value + (ref_random(&net->noise_state) & 1 ? net->noise : -net->noise) * size;
}

/* What sample n should give at place k of so many. */
static double target(const struct ref_net *net, const int32_t *labels, int n, int k, int outputs)
{
    if (net->objective.numbers)
        return net->targets[(int64_t)n * outputs + k];
    return outputs == 1 ? labels[n] : k == labels[n];
}

static void softmax_end(struct ref_net *net, const double *z, int count, double *p, double *log_sum)
{
    double largest = -INFINITY, sum = 0;
    for (int k = 0; k < count; k++)
        largest = fmax(largest, z[k]);
    for (int k = 0; k < count; k++)
        sum += exp(z[k] - largest);
    for (int k = 0; k < count; k++) {
        double value = exp(z[k] - largest) / sum;
        p[k] = rounded(net, value, value * (4 + fabs(z[k] - largest)));
    }
    *log_sum = log(sum) + largest;
}

static void predict(struct ref_net *net, const double *z, int count, double *p, double *log_sum)
{
    if (net->objective.end == REF_END_SOFTMAX)
        softmax_end(net, z, count, p, log_sum);
    for (int k = 0; k < count && net->objective.end == REF_END_SIGMOID; k++) {
        double value = z[k] < 0 ? exp(z[k]) / (1 + exp(z[k])) : 1 / (1 + exp(-z[k]));
        p[k] = rounded(net, value, value * (4 + (1 - value) * fabs(z[k])));
    }
    for (int k = 0; k < count && net->objective.end == REF_END_PLAIN; k++)
        p[k] = z[k];
}

/* What a number between prediction and target costs, and how that grows with the prediction. */
static double distance(const struct ref_loss *loss, double p, double y, double *slope)
{
    double d = p - y, size = fabs(d);
    switch (loss->kind) {
    case REF_MSE:
        *slope = 2 * d;
        return d * d;
    case REF_MAE:
        *slope = (d > 0) - (d < 0);
        return size;
    case REF_HUBER:
        *slope = size <= loss->delta ? d : d > 0 ? loss->delta : -loss->delta;
        return size <= loss->delta ? d * d / 2 : loss->delta * (size - loss->delta / 2);
    default:                    /* REF_BENT */
        *slope = 4 * loss->delta * d * d * d + 2 * fabs(y) * d;
        return loss->delta * d * d * d * d + fabs(y) * d * d;
    }
}

/* Of the predictions themselves: the gradient goes back through the end. */
static double distances(struct ref_net *net, const int32_t *labels, int n, const double *p, int count, double *dz)
{
    double sum = 0, mixed = 0, mixed_size = 0;
    for (int k = 0; k < count; k++) {
        sum += distance(&net->objective, p[k], target(net, labels, n, k, count), &dz[k]) / count;
        dz[k] /= count;
        mixed += dz[k] * p[k];
        mixed_size += fabs(dz[k]) * p[k];
    }
    for (int k = 0; k < count; k++) {
        if (net->objective.end == REF_END_SOFTMAX)
            dz[k] = rounded(net, p[k] * (dz[k] - mixed), p[k] * (fabs(dz[k]) + mixed_size));
        else if (net->objective.end == REF_END_SIGMOID)
            dz[k] = rounded(net, dz[k] * p[k] * (1 - p[k]), fabs(dz[k]) * p[k]);
        else
            dz[k] = rounded(net, dz[k], 2 * fabs(dz[k]));
    }
    return rounded(net, sum, 4 * sum);
}

static double crossentropy(struct ref_net *net, const int32_t *labels, int n, const double *z, const double *p,
                           int count, double log_sum, double *dz)
{
    double smooth = net->objective.smoothing, loss = log_sum, size = fabs(log_sum) + 1;
    for (int k = 0; k < count; k++) {
        double y = (1 - smooth) * target(net, labels, n, k, count) + smooth / count;
        loss -= y * z[k];
        size += y * fabs(z[k]);
        dz[k] = rounded(net, p[k] - y, smooth > 0 ? p[k] + y : fabs(p[k] - y));
    }
    return rounded(net, loss, size);
}

static double binary(struct ref_net *net, const int32_t *labels, int n, const double *z, const double *p, int count,
                     double *dz)
{
    double smooth = net->objective.smoothing, loss = 0, size = 0;
    for (int k = 0; k < count; k++) {
        double y = (1 - smooth) * target(net, labels, n, k, count) + smooth / 2;
        loss += (fmax(z[k], 0) - z[k] * y + log1p(exp(-fabs(z[k])))) / count;
        size += (2 * fabs(z[k]) + 1) / count;
        dz[k] = rounded(net, (p[k] - y) / count, (p[k] + y) / count);
    }
    return rounded(net, loss, size);
}

static double penalty(const struct ref_net *net)
{
    double sum = 0;
    for (int i = 0; i < net->params_count; i++)
        for (int64_t j = 0; j < net->params[i].count && net->params[i].l2 != 0; j++)
            sum += net->params[i].l2 * net->params[i].value[j] * net->params[i].value[j];
    return sum;
}

void ref_loss_forward(struct ref_net *net, const int32_t *labels, bool training)
{
    struct ref_node *last = &net->nodes[net->nodes_count - 1];
    int count = (int)ref_node_size(last);
    double share = 1.0 / (net->fault == REF_FAULT_MEAN ? net->n + 1 : net->n), decay = penalty(net);
    net->loss = rounded(net, net->n * decay, net->n * decay);
    for (int n = 0; n < net->n; n++) {
        const double *z = last->y + (int64_t)n * count;
        double *p = net->predictions + (int64_t)n * count, *dz = last->dy + (int64_t)n * count, log_sum = 0;
        const double *weights = training ? net->objective.class_weights : NULL;
        double weight = weights ? weights[labels[n]] : 1;
        predict(net, z, count, p, &log_sum);
        net->losses[n] = weight * (net->objective.kind == REF_CROSSENTROPY
                                       ? crossentropy(net, labels, n, z, p, count, log_sum, dz)
                                   : net->objective.kind == REF_BINARY ? binary(net, labels, n, z, p, count, dz)
                                                                       : distances(net, labels, n, p, count, dz));
        net->loss += net->losses[n];
        for (int k = 0; k < count; k++)
            dz[k] *= weight * share;
    }
}

void ref_decay_gradients(struct ref_net *net)
{
    for (int i = 0; i < net->params_count; i++) {
        struct ref_param *p = &net->params[i];
        for (int64_t j = 0; j < p->count && p->l2 != 0; j++) {
            double more = 2 * p->l2 * p->value[j];
            p->grad[j] = rounded(net, p->grad[j] + more, fabs(p->grad[j]) + fabs(more));
        }
    }
}

int64_t ref_near_targets(const struct ref_net *net, double margin)
{
    const struct ref_node *last = &net->nodes[net->nodes_count - 1];
    int64_t count = net->n * ref_node_size(last), near = 0;
    if (net->objective.kind != REF_MAE || !net->objective.numbers)
        return 0;
    for (int64_t j = 0; j < count; j++) {
        double gap = fabs(net->predictions[j] - net->targets[j]);
        near += gap > 0 && gap <= margin * last->error;
    }
    return near;
}
