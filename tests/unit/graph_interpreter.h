/* graph_interpreter.h - runs a graph in double precision with the plainest loops there are.  For
 * tests: it gives each operation the meaning that ops.def states, and so tells whether lowering and
 * autodiff put them together rightly.
 *
 * Maps lie N x H x W x C, vectors in the order their tensor says, parameters as files hold them. */
#ifndef GRAPH_INTERPRETER_H
#define GRAPH_INTERPRETER_H

#include <math.h>
#include <stdint.h>
#include <string.h>
#include "graph/graph.h"
#include "ops/ops.h"

struct machine {
    const struct graph *graph;
    int batch;
    double **value;             /* by tensor id */
};

static inline int64_t tensor_elements(const struct machine *m, const struct tensor *t)
{
    return shape_elements(t->shape) * (t->per_sample ? m->batch : 1);
}

static inline struct machine machine_new(struct arena *a, const struct graph *g, int batch)
{
    struct machine m = { g, batch, arena_array(a, (size_t)g->tensors_count, sizeof(double *)) };

    for (int i = 0; i < g->tensors_count; i++)
        m.value[i] = arena_array(a, (size_t)tensor_elements(&m, g->tensors[i]), sizeof(double));
    return m;
}

static inline double *at(const struct machine *m, const struct tensor *t)
{
    return m->value[t->id];
}

static inline double *map_at(const struct machine *m, const struct tensor *t, int n, int c, int y,
                             int x)
{
    const struct shape s = t->shape;

    return at(m, t) + (((int64_t)n * s.h + y) * s.w + x) * s.c + c;
}

/* Where the element that a user counts as number i lies in memory. */
static inline int order_place(struct map_order o, int i)
{
    if (!o.c)
        return i;
    int area = o.h * o.w;
    return i % area * o.c + i / area;
}

/* Where the file's number i of the vector (or row of a matrix) is found for memory's number p. */
static inline int order_file(struct map_order o, int p)
{
    if (!o.c)
        return p;
    return p % o.c * (o.h * o.w) + p / o.c;
}

/* ---- convolution, dense ---------------------------------------------------------------------- */

/* Calls op for each product w[o][i][ky][kx] * x[n][i][..] that makes up y[n][o][..]. */
static inline void conv_each(struct machine *m, const struct window *w, const struct tensor *x,
                             const struct tensor *y, const struct tensor *weights,
                             void (*op)(double *x, double *y, double *w))
{
    const struct param *p = weights->param;

    for (int n = 0; n < m->batch; n++)
        for (int o = 0; o < p->out; o++)
            for (int oy = 0; oy < y->shape.h; oy++)
                for (int ox = 0; ox < y->shape.w; ox++)
                    for (int64_t k = 0; k < (int64_t)p->in * p->kh * p->kw; k++) {
                        int kx = (int)(k % p->kw), ky = (int)(k / p->kw % p->kh),
                            i = (int)(k / p->kw / p->kh);
                        int iy = oy * w->stride_h - w->pad_top + ky * w->dilation_h;
                        int ix = ox * w->stride_w - w->pad_left + kx * w->dilation_w;
                        if (iy >= 0 && iy < x->shape.h && ix >= 0 && ix < x->shape.w)
                            op(map_at(m, x, n, i, iy, ix), map_at(m, y, n, o, oy, ox),
                               at(m, weights) + o * (int64_t)p->in * p->kh * p->kw + k);
                    }
}

/* The same with weights of their own at each position of y. */
static inline void local_each(struct machine *m, const struct window *w, const struct tensor *x,
                              const struct tensor *y, const struct tensor *weights,
                              void (*op)(double *x, double *y, double *w))
{
    const struct param *p = weights->param;
    int taps = p->in * p->kh * p->kw;

    for (int n = 0; n < m->batch; n++)
        for (int64_t e = 0; e < param_elements(p); e++) {
            int k = (int)(e % taps), o = (int)(e / taps % p->out);
            int ox = (int)(e / taps / p->out % p->ow), oy = (int)(e / taps / p->out / p->ow);
            op(map_at(m, x, n, k / p->kw / p->kh, oy * w->stride_h + k / p->kw % p->kh,
                      ox * w->stride_w + k % p->kw),
               map_at(m, y, n, o, oy, ox), at(m, weights) + e);
        }
}

/* A bias for each element of a map, in the order (h, w, c), and its gradient. */
static inline void run_local_bias(struct machine *m, const struct tensor *y, const struct tensor *b)
{
    for (int64_t i = 0; i < tensor_elements(m, y); i++)
        at(m, y)[i] += at(m, b)[i % param_elements(b->param)];
}

static inline void run_local_bias_grad(struct machine *m, const struct tensor *dy,
                                       const struct tensor *db)
{
    for (int64_t i = 0; i < tensor_elements(m, dy); i++)
        at(m, db)[i % param_elements(db->param)] += at(m, dy)[i];
}

static inline void dense_each(struct machine *m, const struct tensor *x, const struct tensor *y,
                              const struct tensor *weights,
                              void (*op)(double *x, double *y, double *w))
{
    const struct param *p = weights->param;

    for (int n = 0; n < m->batch; n++)
        for (int o = 0; o < p->out; o++)
            for (int i = 0; i < p->in; i++)
                op(at(m, x) + n * p->in + order_place(x->order, i), at(m, y) + n * p->out + o,
                   at(m, weights) + o * p->in + i);
}

static inline void add_to_y(double *x, double *y, double *w)
{
    *y += *x * *w;
}

static inline void add_to_x(double *x, double *y, double *w)
{
    *x += *y * *w;
}

static inline void add_to_w(double *x, double *y, double *w)
{
    *w += *x * *y;
}

/* ---- activations ----------------------------------------------------------------------------- */

static const double selu_scale = 1.0507009873554805, selu_alpha = 1.6732632423543772;

static inline double activate(enum activation a, double alpha, double x)
{
    switch (a) {
    case ACT_LINEAR: return x;
    case ACT_RELU: return x > 0 ? x : 0;
    case ACT_RELU6: return x < 0 ? 0 : x > 6 ? 6 : x;
    case ACT_LEAKY_RELU: return x > 0 ? x : alpha * x;
    case ACT_ELU: return x > 0 ? x : alpha * expm1(x);
    case ACT_SELU: return selu_scale * (x > 0 ? x : selu_alpha * expm1(x));
    case ACT_GELU: return x / 2 * (1 + erf(x / sqrt(2)));
    case ACT_SWISH: return x / (1 + exp(-x));
    case ACT_SIGMOID: return 1 / (1 + exp(-x));
    case ACT_TANH: return tanh(x);
    case ACT_SOFTPLUS: return log1p(exp(x));
    }
    return NAN;
}

/* The derivative from x or y, whichever is given; the other is NAN. */
static inline double activation_slope(enum activation a, double alpha, double x, double y)
{
    switch (a) {
    case ACT_LINEAR: return 1;
    case ACT_RELU: return y > 0;
    case ACT_RELU6: return y > 0 && y < 6;
    case ACT_LEAKY_RELU: return y > 0 ? 1 : alpha;
    case ACT_ELU: return y > 0 ? 1 : y + alpha;
    case ACT_SELU: return y > 0 ? selu_scale : y + selu_scale * selu_alpha;
    case ACT_GELU: return (1 + erf(x / sqrt(2))) / 2 + x * exp(-x * x / 2) / sqrt(2 * M_PI);
    case ACT_SWISH: return 1 / (1 + exp(-x)) * (1 + x - x / (1 + exp(-x)));
    case ACT_SIGMOID: return y * (1 - y);
    case ACT_TANH: return 1 - y * y;
    case ACT_SOFTPLUS: return -expm1(-y);
    }
    return NAN;
}

static inline void run_activation_grad(struct machine *m, const struct node *n)
{
    for (int64_t i = 0; i < tensor_elements(m, n->out[0]); i++) {
        double x = n->in[0] ? at(m, n->in[0])[i] : NAN, y = n->in[1] ? at(m, n->in[1])[i] : NAN;
        at(m, n->out[0])[i] = at(m, n->in[2])[i] * activation_slope(n->attr.activation, n->attr.alpha, x, y);
    }
}

/* ---- pooling, dropout ------------------------------------------------------------------------ */

/* Taps of the window at (oy, ox) that lie in the input: their numbers, rows, columns. */
static inline int window_taps(const struct window *w, struct shape in, int oy, int ox,
                              int (*taps)[3])
{
    int count = 0;

    for (int ky = 0; ky < w->kh; ky++)
        for (int kx = 0; kx < w->kw; kx++) {
            int y = oy * w->stride_h - w->pad_top + ky, x = ox * w->stride_w - w->pad_left + kx;
            if (y < 0 || y >= in.h || x < 0 || x >= in.w)
                continue;
            taps[count][0] = ky * w->kw + kx;
            taps[count][1] = y;
            taps[count++][2] = x;
        }
    return count;
}

/* x, y: the maps, whatever the direction; index NULL: the mean. */
static inline void run_pool(struct machine *m, const struct node *n, const struct tensor *x,
                            const struct tensor *y, const struct tensor *index)
{
    int taps[256][3];

    for (int s = 0; s < m->batch; s++)
        for (int i = 0; i < y->shape.c * y->shape.h * y->shape.w; i++) {
            int c = i % y->shape.c, ox = i / y->shape.c % y->shape.w,
                oy = i / y->shape.c / y->shape.w;
            int count = window_taps(&n->attr.window, x->shape, oy, ox, taps), best = 0;
            double *result = map_at(m, y, s, c, oy, ox), mean = 0;
            for (int t = 0; t < count; t++) {
                double *here = map_at(m, x, s, c, taps[t][1], taps[t][2]);
                if (n->op == OP_avgpool2d_grad)
                    *here += *result / count;
                else if (n->op == OP_maxpool2d_grad &&
                         taps[t][0] == *map_at(m, index, s, c, oy, ox))
                    *here += *result;
                mean += *here / count;
                if (*here > *map_at(m, x, s, c, taps[best][1], taps[best][2]))
                    best = t;
            }
            if (n->op == OP_avgpool2d)
                *result = mean;
            if (n->op == OP_maxpool2d) {
                *result = *map_at(m, x, s, c, taps[best][1], taps[best][2]);
                if (index)
                    *map_at(m, index, s, c, oy, ox) = taps[best][0];
            }
        }
}

static inline double mask(const struct node *n, int64_t i)
{
    uint64_t z =
        (uint64_t)i * 0x9E3779B97F4A7C15u + (uint64_t)(n->attr.stream + 1) * 0xD1B54A32D192ED03u;

    z = (z ^ z >> 31) * 0x94D049BB133111EBu;
    return (double)(z >> 40) / (1 << 24) < n->attr.rate ? 0 : 1 / (1 - n->attr.rate);
}

/* ---- batchnorm ------------------------------------------------------------------------------- */

static inline double column(const struct machine *m, const struct tensor *v, int64_t i)
{
    int c = (int)(i % v->shape.c);

    /* Parameters lie as in files, moments as their input. */
    return at(m, v)[v->param ? order_file(v->order, c) : c];
}

static inline void run_moments(struct machine *m, const struct node *n)
{
    int channels = n->in[0]->shape.c;
    int64_t elements = tensor_elements(m, n->in[0]), count = elements / channels;
    const double *x = at(m, n->in[0]);

    for (int c = 0; c < channels; c++) {
        double mean = 0, variance = 0;
        for (int64_t i = c; i < elements; i += channels)
            mean += x[i] / (double)count;
        for (int64_t i = c; i < elements; i += channels)
            variance += (x[i] - mean) * (x[i] - mean) / (double)count;
        at(m, n->out[0])[c] = mean;
        at(m, n->out[1])[c] = 1 / sqrt(variance + n->attr.epsilon);
    }
}

static inline void run_batchnorm(struct machine *m, const struct node *n)
{
    bool use = n->op == OP_batchnorm_use;

    for (int64_t i = 0; i < tensor_elements(m, n->out[0]); i++) {
        double scale = column(m, n->in[4], i);
        if (use)
            scale = 1 / sqrt(scale + n->attr.epsilon);
        at(m, n->out[0])[i] =
            (at(m, n->in[0])[i] - column(m, n->in[3], i)) * scale * column(m, n->in[1], i) +
            column(m, n->in[2], i);
    }
}

static inline void run_batchnorm_param_grad(struct machine *m, const struct node *n)
{
    const struct tensor *x = n->in[0], *dgamma = n->out[0], *dbeta = n->out[1];

    for (int64_t i = 0; i < tensor_elements(m, x); i++) {
        int file = order_file(dgamma->order, (int)(i % x->shape.c));
        double dy = at(m, n->in[3])[i];
        at(m, dgamma)[file] += dy * (at(m, x)[i] - column(m, n->in[1], i)) * column(m, n->in[2], i);
        at(m, dbeta)[file] += dy;
    }
}

static inline void run_batchnorm_data_grad(struct machine *m, const struct node *n)
{
    const struct tensor *x = n->in[0];
    double count = (double)tensor_elements(m, x) / x->shape.c;

    for (int64_t i = 0; i < tensor_elements(m, x); i++) {
        double scale = column(m, n->in[3], i), hat = (at(m, x)[i] - column(m, n->in[2], i)) * scale;
        at(m, n->out[0])[i] = column(m, n->in[1], i) * scale *
                              (at(m, n->in[6])[i] - column(m, n->in[5], i) / count -
                               hat * column(m, n->in[4], i) / count);
    }
}

/* ---- softmax --------------------------------------------------------------------------------- */

static inline void run_softmax(struct machine *m, const struct tensor *x, const struct tensor *y)
{
    int channels = x->shape.c;

    for (int64_t i = 0; i < tensor_elements(m, x); i += channels) {
        double sum = 0;
        for (int c = 0; c < channels; c++)
            sum += exp(at(m, x)[i + c]);
        for (int c = 0; c < channels; c++)
            at(m, y)[i + c] = exp(at(m, x)[i + c]) / sum;
    }
}

static inline void run_softmax_grad(struct machine *m, const struct node *n)
{
    int channels = n->in[0]->shape.c;
    const double *y = at(m, n->in[0]), *dy = at(m, n->in[1]);

    for (int64_t i = 0; i < tensor_elements(m, n->in[0]); i += channels) {
        double dot = 0;
        for (int c = 0; c < channels; c++)
            dot += y[i + c] * dy[i + c];
        for (int c = 0; c < channels; c++)
            at(m, n->out[0])[i + c] = y[i + c] * (dy[i + c] - dot);
    }
}

static inline void run_softmax_loss(struct machine *m, const struct node *n)
{
    int classes = n->in[0]->shape.c;

    run_softmax(m, n->in[0], n->out[0]);
    for (int s = 0; s < m->batch; s++)
        at(m, n->out[1])[s] = -log(at(m, n->out[0])[s * classes + (int)at(m, n->in[1])[s]]);
}

static inline void run_softmax_loss_grad(struct machine *m, const struct node *n)
{
    int classes = n->in[0]->shape.c;

    for (int i = 0; i < m->batch * classes; i++)
        at(m, n->out[0])[i] =
            (at(m, n->in[0])[i] - (i % classes == at(m, n->in[1])[i / classes])) / m->batch;
}

/* ---- the rest -------------------------------------------------------------------------------- */

static inline void run_add(struct machine *m, const struct node *n)
{
    const struct tensor *a = n->in[0], *b = n->in[1];
    int64_t sample = shape_elements(a->shape);
    bool spread = shape_elements(b->shape) != sample;

    for (int64_t i = 0; i < tensor_elements(m, a); i++)
        at(m, n->out[0])[i] =
            at(m, a)[i] + at(m, b)[spread ? i / sample * b->shape.c + i % b->shape.c : i];
}

/* Sums over rows and columns, times scale; backwards: spreads. */
static inline void run_area(struct machine *m, const struct tensor *map,
                            const struct tensor *vector, double scale, bool backwards)
{
    int64_t sample = shape_elements(map->shape);

    for (int64_t i = 0; i < tensor_elements(m, map); i++) {
        double *v = at(m, vector) + i / sample * map->shape.c + i % map->shape.c;
        if (backwards)
            at(m, map)[i] = *v * scale;
        else
            *v += at(m, map)[i] * scale;
    }
}

static inline void run_reorder(struct machine *m, const struct node *n)
{
    const struct tensor *x = n->in[0], *y = n->out[0];
    int features = x->shape.c;

    for (int s = 0; s < m->batch; s++)
        for (int i = 0; i < features; i++)
            at(m, y)[s * features + order_place(y->order, i)] =
                at(m, x)[s * features + order_place(x->order, i)];
}

static inline void run_bias_grad(struct machine *m, const struct node *n)
{
    const struct tensor *dy = n->in[0], *db = n->out[0];

    for (int64_t i = 0; i < tensor_elements(m, dy); i++)
        at(m, db)[order_file(db->order, (int)(i % dy->shape.c))] += at(m, dy)[i];
}

static inline double area(const struct tensor *map)
{
    return (double)map->shape.h * map->shape.w;
}

static inline void run_elementwise(struct machine *m, const struct node *n)
{
    const double *x = at(m, n->in[0]);
    double *y = at(m, n->out[0]);

    for (int64_t i = 0; i < tensor_elements(m, n->out[0]); i++)
        switch (n->op) {
        case OP_bias: y[i] = x[i] + column(m, n->in[1], i); break;
        case OP_activation: y[i] = activate(n->attr.activation, n->attr.alpha, x[i]); break;
        case OP_dropout:
        case OP_dropout_grad: y[i] = x[i] * mask(n, i); break;
        case OP_sum: y[i] = x[i] + at(m, n->in[1])[i]; break;
        case OP_batchnorm_use_grad:
            y[i] = at(m, n->in[2])[i] * column(m, n->in[0], i) /
                   sqrt(column(m, n->in[1], i) + n->attr.epsilon);
            break;
        default: y[i] = x[i]; break;            /* view */
        }
}

static inline void run_node(struct machine *m, const struct node *n)
{
    struct tensor **in = n->in, **out = n->out;

    for (int i = 0; i < n->out_count; i++)
        memset(at(m, out[i]), 0, sizeof(double) * (size_t)tensor_elements(m, out[i]));
    switch (n->op) {
    case OP_conv2d: conv_each(m, &n->attr.window, in[0], out[0], in[1], add_to_y); break;
    case OP_conv2d_data_grad: conv_each(m, &n->attr.window, out[0], in[0], in[1], add_to_x); break;
    case OP_conv2d_weight_grad: conv_each(m, &n->attr.window, in[0], in[1], out[0], add_to_w); break;
    case OP_locally_connected2d:
        local_each(m, &n->attr.window, in[0], out[0], in[1], add_to_y);
        if (in[2])
            run_local_bias(m, out[0], in[2]);
        break;
    case OP_locally_connected2d_data_grad:
        local_each(m, &n->attr.window, out[0], in[0], in[1], add_to_x);
        break;
    case OP_locally_connected2d_weight_grad:
        local_each(m, &n->attr.window, in[0], in[1], out[0], add_to_w);
        if (out[1])
            run_local_bias_grad(m, in[1], out[1]);
        break;
    case OP_dense: dense_each(m, in[0], out[0], in[1], add_to_y); break;
    case OP_dense_data_grad: dense_each(m, out[0], in[0], in[1], add_to_x); break;
    case OP_dense_weight_grad: dense_each(m, in[0], in[1], out[0], add_to_w); break;
    case OP_bias_grad: run_bias_grad(m, n); break;
    case OP_activation_grad: run_activation_grad(m, n); break;
    case OP_maxpool2d: run_pool(m, n, in[0], out[0], out[1]); break;
    case OP_maxpool2d_grad: run_pool(m, n, out[0], in[1], in[0]); break;
    case OP_avgpool2d: run_pool(m, n, in[0], out[0], NULL); break;
    case OP_avgpool2d_grad: run_pool(m, n, out[0], in[0], NULL); break;
    case OP_global_avgpool2d: run_area(m, in[0], out[0], 1 / area(in[0]), false); break;
    case OP_global_avgpool2d_grad: run_area(m, out[0], in[0], 1 / area(out[0]), true); break;
    case OP_spread_grad: run_area(m, in[0], out[0], 1, false); break;
    case OP_batchnorm_moments: run_moments(m, n); break;
    case OP_batchnorm:
    case OP_batchnorm_use: run_batchnorm(m, n); break;
    case OP_batchnorm_param_grad: run_batchnorm_param_grad(m, n); break;
    case OP_batchnorm_data_grad: run_batchnorm_data_grad(m, n); break;
    case OP_add: run_add(m, n); break;
    case OP_reorder: run_reorder(m, n); break;
    case OP_softmax: run_softmax(m, in[0], out[0]); break;
    case OP_softmax_grad: run_softmax_grad(m, n); break;
    case OP_softmax_loss: run_softmax_loss(m, n); break;
    case OP_softmax_loss_grad: run_softmax_loss_grad(m, n); break;
    default: run_elementwise(m, n); break;
    }
}

/* Runs the forward or the backward nodes. */
static inline void machine_run(struct machine *m, bool backward)
{
    for (int i = 0; i < m->graph->nodes_count; i++)
        if (m->graph->nodes[i]->backward == backward)
            run_node(m, m->graph->nodes[i]);
}

/* The batch's mean loss; runs forward. */
static inline double machine_loss(struct machine *m)
{
    double loss = 0;

    machine_run(m, false);
    for (int s = 0; s < m->batch; s++)
        loss += at(m, m->graph->loss)[s] / m->batch;
    return loss;
}

#endif
