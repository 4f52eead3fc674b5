/* run_graph.c - see run_graph.h. */
#include "ops/run_graph.h"

#include <math.h>
#include <string.h>

#include "ops/ops.h"

int64_t run_elements(const struct run *r, const struct tensor *t)
{
    return shape_elements(t->shape) * (t->per_sample ? r->batch : 1);
}

struct run run_new(struct arena *a, const struct graph *g, int batch)
{
    struct run r = { g, batch, .values = arena_array(a, (size_t)g->tensors_count + 1, sizeof *r.values) };

    for (int i = 0; i < g->tensors_count; i++)
        r.values[i] = arena_array(a, (size_t)run_elements(&r, g->tensors[i]), sizeof **r.values);
    for (int i = 0; i < g->params_count; i++)
        if (g->params[i]->values)
            memcpy(r.values[g->params[i]->tensor->id], g->params[i]->values,
                   sizeof(double) * (size_t)param_elements(g->params[i]));
    return r;
}

/* Which way an element goes is drawn from its place. */
static void disturb(const struct run *r, const struct tensor *t)
{
    double *values = run_values(r, t);
    int64_t count = run_elements(r, t);

    for (int64_t i = 0; i < count; i++) {
        uint64_t z = ((uint64_t)t->id << 40 ^ (uint64_t)i) * 0x9e3779b97f4a7c15u;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        values[i] *= z >> 40 & 1 ? 1 + r->noise : 1 - r->noise;
    }
}

void run_disturb(const struct run *r)
{
    for (int i = 0; i < r->graph->params_count; i++)
        disturb(r, r->graph->params[i]->tensor);
}

void run_node(const struct run *r, const struct node *n)
{
    for (int i = 0; i < n->out_count; i++)
        if (n->out[i])
            memset(run_values(r, n->out[i]), 0, sizeof(double) * (size_t)run_elements(r, n->out[i]));
    op_def_get(n->op)->run(r, n);
    for (int i = 0; i < n->out_count && r->noise != 0; i++)
        if (n->out[i])
            disturb(r, n->out[i]);
}

void run_graph(const struct run *r, bool backward)
{
    for (int i = 0; i < r->graph->nodes_count; i++)
        if (r->graph->nodes[i]->backward == backward)
            run_node(r, r->graph->nodes[i]);
}

double run_loss(const struct run *r)
{
    double loss = 0;

    for (int s = 0; s < r->batch; s++)
        loss += run_values(r, r->graph->loss)[s] / r->batch;
    return loss;
}

/* ---- what several operations need ------------------------------------------------------------ */

void run_filters(const struct run *r, const struct window *k, enum run_sum to, const struct tensor *x,
                 const struct tensor *y, const struct tensor *w)
{
    const struct param *p = w->param;
    int in = param_extent(p, CNN_AXIS_IN), kh = param_extent(p, CNN_AXIS_KH), kw = param_extent(p, CNN_AXIS_KW);
    int out = param_extent(p, CNN_AXIS_OUT), rows = param_extent(p, CNN_AXIS_OH),
        columns = param_extent(p, CNN_AXIS_OW);
    int groups = x->shape.c / in, of_group = out / groups;
    int64_t taps = (int64_t)in * kh * kw;

    for (int s = 0; s < r->batch; s++)
        for (int row = 0; row < y->shape.h; row++)
            for (int column = 0; column < y->shape.w; column++) {
                int64_t position = (int64_t)(row % rows) * columns + column % columns;
                for (int o = 0; o < out; o++) {
                    double *filter = run_values(r, w) + (position * out + o) * taps;
                    double *result = run_at(r, y, s, o, row, column);
                    for (int i = 0; i < in; i++)
                        for (int ky = 0; ky < kh; ky++)
                            for (int kx = 0; kx < kw; kx++, filter++) {
                                int iy = row * k->stride_h - k->pad_top + ky * k->dilation_h;
                                int ix = column * k->stride_w - k->pad_left + kx * k->dilation_w;
                                if (iy >= 0 && iy < x->shape.h && ix >= 0 && ix < x->shape.w)
                                    run_product(to, run_at(r, x, s, o / of_group * in + i, iy, ix), result, filter);
                            }
                }
            }
}

void run_sum_area(const struct run *r, const struct tensor *map, const struct tensor *vector, double scale)
{
    int64_t sample = shape_elements(map->shape);

    for (int64_t i = 0; i < run_elements(r, map); i++)
        run_values(r, vector)[i / sample * map->shape.c + i % map->shape.c] += run_values(r, map)[i] * scale;
}

void run_spread(const struct run *r, const struct tensor *vector, const struct tensor *map, double scale)
{
    int64_t sample = shape_elements(map->shape);

    for (int64_t i = 0; i < run_elements(r, map); i++)
        run_values(r, map)[i] += run_values(r, vector)[i / sample * map->shape.c + i % map->shape.c] * scale;
}

double run_softmax(const double *x, int count, double *y)
{
    double most = -INFINITY, sum = 0;

    for (int i = 0; i < count; i++)
        most = fmax(most, x[i]);
    for (int i = 0; i < count; i++)
        sum += y[i] = exp(x[i] - most);
    for (int i = 0; i < count; i++)
        y[i] /= sum;
    return most + log(sum);
}
