/* interpret.c - see interpret.h.
 *
 * Every tensor lies as the user counts it, channels x rows x columns, so that view and reorder are
 * copies and parameters are used as they lie in files.  Nothing here is shared with what is
 * emitted: it is what the emitted network is compared with. */
#include "ops/interpret.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static double *values_of(double **values, const struct tensor *t)
{
    assert(values[t->id]);
    return values[t->id];
}

const struct node *interpret_unknown(const struct graph *g)
{
    for (int i = 0; i < g->nodes_count; i++)
        switch (g->nodes[i]->op) {
        case OP_conv2d: case OP_dense: case OP_bias: case OP_activation: case OP_maxpool2d:
        case OP_avgpool2d: case OP_global_avgpool2d: case OP_batchnorm_use: case OP_add:
        case OP_view: case OP_reorder: case OP_softmax: case OP_softmax_loss:
        case OP_locally_connected2d:
            break;
        default:
            return g->nodes[i];
        }
    return NULL;
}

double interpret_activation(enum activation a, double alpha, double x)
{
    switch (a) {
    case ACT_LINEAR: return x;
    case ACT_RELU: return fmax(x, 0);
    case ACT_RELU6: return fmin(fmax(x, 0), 6);
    case ACT_LEAKY_RELU: return x > 0 ? x : alpha * x;
    case ACT_ELU: return x > 0 ? x : alpha * expm1(x);
    case ACT_SELU:      /* Klambauer et al. 2017 */
        return 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * expm1(x));
    case ACT_GELU: return 0.5 * x * erfc(-x / sqrt(2));
    case ACT_SWISH: return x / (1 + exp(-x));
    case ACT_SIGMOID: return 1 / (1 + exp(-x));
    case ACT_TANH: return tanh(x);
    case ACT_SOFTPLUS: return fmax(x, 0) + log1p(exp(-fabs(x)));
    }
    assert(!"no such activation");
    return x;
}

/* ---- windows --------------------------------------------------------------------------------- */

static void run_conv2d(const struct node *n, const double *x, const double *w, double *y)
{
    const struct window *k = &n->attr.window;
    struct shape in = n->in[0]->shape, out = n->out[0]->shape;

    for (int o = 0; o < out.c; o++)
        for (int row = 0; row < out.h; row++)
            for (int column = 0; column < out.w; column++) {
                double sum = 0;
                for (int c = 0; c < in.c; c++)
                    for (int i = 0; i < k->kh; i++)
                        for (int j = 0; j < k->kw; j++) {
                            int r = row * k->stride_h + i * k->dilation_h - k->pad_top;
                            int s = column * k->stride_w + j * k->dilation_w - k->pad_left;
                            if (r < 0 || r >= in.h || s < 0 || s >= in.w)
                                continue;
                            sum += x[((int64_t)c * in.h + r) * in.w + s] *
                                   w[(((int64_t)o * in.c + c) * k->kh + i) * k->kw + j];
                        }
                y[((int64_t)o * out.h + row) * out.w + column] = sum;
            }
}

/* Weights are oh x ow x out x in x kh x kw, biases oh x ow x out. */
static void run_local(const struct node *n, const double *x, const double *w, const double *b,
                      double *y)
{
    const struct window *k = &n->attr.window;
    struct shape in = n->in[0]->shape, out = n->out[0]->shape;

    for (int row = 0; row < out.h; row++)
        for (int column = 0; column < out.w; column++)
            for (int o = 0; o < out.c; o++) {
                double sum = b ? *b++ : 0;
                for (int c = 0; c < in.c; c++)
                    for (int i = 0; i < k->kh; i++)
                        for (int j = 0; j < k->kw; j++)
                            sum += *w++ * x[((int64_t)c * in.h + row * k->stride_h + i) * in.w +
                                            column * k->stride_w + j];
                y[((int64_t)o * out.h + row) * out.w + column] = sum;
            }
}

static void run_pooling(const struct node *n, const double *x, double *y)
{
    const struct window *k = &n->attr.window;
    struct shape in = n->in[0]->shape, out = n->out[0]->shape;

    for (int c = 0; c < out.c; c++)
        for (int row = 0; row < out.h; row++)
            for (int column = 0; column < out.w; column++) {
                double sum = 0, most = -INFINITY;
                int count = 0;
                for (int i = 0; i < k->kh; i++)
                    for (int j = 0; j < k->kw; j++) {
                        int r = row * k->stride_h + i - k->pad_top;
                        int s = column * k->stride_w + j - k->pad_left;
                        if (r < 0 || r >= in.h || s < 0 || s >= in.w)
                            continue;
                        double v = x[((int64_t)c * in.h + r) * in.w + s];
                        sum += v;
                        most = fmax(most, v);
                        count++;
                    }
                y[((int64_t)c * out.h + row) * out.w + column] =
                    n->op == OP_maxpool2d ? most : sum / count;
            }
}

/* ---- the others ------------------------------------------------------------------------------ */

static void run_dense(const struct node *n, const double *x, const double *w, double *y)
{
    int in = n->in[0]->shape.c, out = n->out[0]->shape.c;

    for (int o = 0; o < out; o++) {
        y[o] = 0;
        for (int i = 0; i < in; i++)
            y[o] += w[(int64_t)o * in + i] * x[i];
    }
}

/* Over the channels at each position. */
static void run_softmax(struct shape s, const double *x, double *y)
{
    int64_t positions = (int64_t)s.h * s.w;

    for (int64_t i = 0; i < positions; i++) {
        double most = -INFINITY, sum = 0;
        for (int c = 0; c < s.c; c++)
            most = fmax(most, x[c * positions + i]);
        for (int c = 0; c < s.c; c++)
            sum += y[c * positions + i] = exp(x[c * positions + i] - most);
        for (int c = 0; c < s.c; c++)
            y[c * positions + i] /= sum;
    }
}

static void run_batchnorm(const struct node *n, const struct weights *w, const double *x, double *y)
{
    const double *gamma = w->values[n->in[1]->param->id], *beta = w->values[n->in[2]->param->id],
                 *mean = w->values[n->in[3]->param->id], *var = w->values[n->in[4]->param->id];
    struct shape s = n->out[0]->shape;
    int64_t positions = (int64_t)s.h * s.w;

    for (int64_t i = 0; i < s.c * positions; i++) {
        int64_t c = i / positions;
        y[i] = (x[i] - mean[c]) / sqrt(var[c] + n->attr.epsilon) * gamma[c] + beta[c];
    }
}

static void run_node(const struct node *n, const struct weights *w, double **values)
{
    const double *x = values_of(values, n->in[0]);
    double *y = values_of(values, n->out[0]);
    struct shape s = n->out[0]->shape, in = n->in[0]->shape;
    int64_t count = shape_elements(s), positions = (int64_t)s.h * s.w;

    switch (n->op) {
    case OP_conv2d:
        run_conv2d(n, x, w->values[n->in[1]->param->id], y);
        break;
    case OP_locally_connected2d:
        run_local(n, x, w->values[n->in[1]->param->id],
                  n->in_count > 2 ? w->values[n->in[2]->param->id] : NULL, y);
        break;
    case OP_dense:
        run_dense(n, x, w->values[n->in[1]->param->id], y);
        break;
    case OP_bias:
        for (int64_t i = 0; i < count; i++)
            y[i] = x[i] + w->values[n->in[1]->param->id][i / positions];
        break;
    case OP_activation:
        for (int64_t i = 0; i < count; i++)
            y[i] = interpret_activation(n->attr.activation, n->attr.alpha, x[i]);
        break;
    case OP_maxpool2d: case OP_avgpool2d:
        run_pooling(n, x, y);
        break;
    case OP_global_avgpool2d:
        for (int c = 0; c < s.c; c++) {
            y[c] = 0;
            for (int i = 0; i < in.h * in.w; i++)
                y[c] += x[(int64_t)c * in.h * in.w + i] / ((double)in.h * in.w);
        }
        break;
    case OP_batchnorm_use:
        run_batchnorm(n, w, x, y);
        break;
    case OP_add: {
        const double *b = values_of(values, n->in[1]);
        bool spread = shape_elements(n->in[1]->shape) != count;
        for (int64_t i = 0; i < count; i++)
            y[i] = x[i] + b[spread ? i / positions : i];
        break;
    }
    case OP_view: case OP_reorder:
        memcpy(y, x, (size_t)count * sizeof *y);
        break;
    case OP_softmax: case OP_softmax_loss:
        run_softmax(s, x, y);
        break;
    default:
        assert(!"interpret_unknown() was not asked");
    }
}

static double largest(const double *x, int64_t count, double most)
{
    for (int64_t i = 0; i < count; i++)
        most = fmax(most, fabs(x[i]));
    return most;
}

/* As largest(), but what is not a number is beyond all. */
static double farthest(const double *x, int64_t count, double most)
{
    for (int64_t i = 0; i < count; i++)
        if (!(fabs(x[i]) <= most))
            most = isnan(x[i]) ? INFINITY : fabs(x[i]);
    return most;
}

double interpret(const struct graph *g, const struct weights *w, const double *input,
                 double *predictions, double *reach)
{
    struct arena arena = {0};
    double **values = arena_array(&arena, (size_t)g->tensors_count, sizeof *values);
    double scale = 0;

    assert(!interpret_unknown(g));
    for (int i = 0; i < g->tensors_count; i++)
        if (!g->tensors[i]->param)
            values[i] = arena_array(&arena, (size_t)shape_elements(g->tensors[i]->shape),
                                    sizeof **values);
    memcpy(values_of(values, g->input), input,
           (size_t)shape_elements(g->input->shape) * sizeof *input);
    for (int i = 0; i < g->nodes_count; i++)
        run_node(g->nodes[i], w, values);
    for (int i = 0; i < g->tensors_count; i++)
        if (!g->tensors[i]->param)
            *reach = farthest(values[i], shape_elements(g->tensors[i]->shape), *reach);
    memcpy(predictions, values_of(values, g->predictions),
           (size_t)shape_elements(g->predictions->shape) * sizeof *predictions);
    if (g->logits)
        scale = largest(values_of(values, g->logits), shape_elements(g->logits->shape), scale);
    scale = largest(predictions, shape_elements(g->predictions->shape), scale);
    arena_free(&arena);
    return scale;
}
