/* init.c - first values of parameters.  All are drawn in double, in the order of files, so that a
 * float and a double network of one seed begin at the same point whatever their plans. */
#include "train/session.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "common/param_layout.h"
#include "core/guest.h"
#include "core/message.h"
#include "core/param.h"
#include "core/random.h"
#include "core/team.h"

enum { PIECE = 1 << 14 };               /* elements drawn at a time */

/* Redrawn beyond two deviations: one draw in twenty-two. */
static double truncated_normal(uint64_t key, uint64_t i)
{
    uint64_t own = rt_random_subkey(key, i);
    for (uint64_t attempt = 0;; attempt++) {
        double z = rt_random_normal(own, attempt);
        if (fabs(z) <= 2.0)
            return z;
    }
}

static double draw(enum cnn_init_kind kind, const struct cnn_init *init, uint64_t key, uint64_t i)
{
    switch (kind) {
    case CNN_INIT_ZEROS:
        return 0.0;
    case CNN_INIT_ONES:
        return 1.0;
    case CNN_INIT_CONSTANT:
        return init->a;
    case CNN_INIT_UNIFORM:
        return init->a + (init->b - init->a) * rt_random_uniform(key, i);
    case CNN_INIT_NORMAL:
        return init->a + init->b * rt_random_normal(key, i);
    case CNN_INIT_TRUNCATED_NORMAL:
        return init->b * truncated_normal(key, i);
    case CNN_INIT_ORTHOGONAL: case CNN_INIT_DIRAC: case CNN_INIT_WHITEN:
        break;          /* not one number at a time, or not of its place in memory alone */
    }
    return 0.0;
}

/* Filter number o (of its group) passes on channel o as it is: a 1 in its middle, at (rows / 2, columns / 2), and zeros
 * elsewhere.  What has no such channel begins as the rest. */
static double dirac(const struct cnn_param *p, uint64_t key, int64_t i)
{
    int64_t out = 0, in = 0, channels = 1, rest = i;
    bool middle = true;
    for (int d = p->rank - 1; d >= 0; d--) {
        int64_t at = rest % p->shape[d];
        rest /= p->shape[d];
        if (p->axis[d] == CNN_AXIS_OUT) {
            out = p->init.groups > 1 ? at % (p->shape[d] / p->init.groups) : at;
        } else if (p->axis[d] == CNN_AXIS_IN) {
            in = at;
            channels = p->shape[d];
        } else if (p->axis[d] == CNN_AXIS_KH || p->axis[d] == CNN_AXIS_KW) {
            middle = middle && at == p->shape[d] / 2;
        }
    }
    if (out >= channels)
        return draw(p->init.rest, &p->init, key, (uint64_t)i);
    return middle && in == out ? 1.0 : 0.0;
}

static double begin(const struct cnn_param *p, uint64_t key, int64_t i)
{
    return p->init.kind == CNN_INIT_DIRAC ? dirac(p, key, i) : draw(p->init.kind, &p->init, key, (uint64_t)i);
}

static double row_product(const double *x, const double *y, int64_t stride, int64_t n)
{
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++)
        sum += x[i * stride] * y[i * stride];
    return sum;
}

/* Makes `vectors` vectors of `length` elements orthonormal, in order (modified Gram-Schmidt, twice
 * over for the digits).  Element i of vector v lies at v * step + i * stride. */
static void orthonormalise(double *x, int64_t vectors, int64_t length, int64_t step, int64_t stride)
{
    for (int64_t v = 0; v < vectors; v++) {
        double *own = x + v * step;
        for (int pass = 0; pass < 2; pass++)
            for (int64_t u = 0; u < v; u++) {
                const double *other = x + u * step;
                double along = row_product(own, other, stride, length);
                for (int64_t i = 0; i < length; i++)
                    own[i * stride] -= along * other[i * stride];
            }
        double norm = sqrt(row_product(own, own, stride, length));
        for (int64_t i = 0; i < length; i++)
            own[i * stride] /= norm;
    }
}

/* Of each matrix of the parameter, an output a row, the shorter side's vectors are orthonormal (Saxe et al., "Exact
 * solutions to the nonlinear dynamics of learning in deep linear networks", 2014).  x: in the order of matrices. */
static void orthogonal(const struct cnn_param *p, const struct param_matrices *m, uint64_t key, double *x)
{
    for (int64_t i = 0; i < p->count; i++)
        x[rt_layout_place(&m->layout, i)] = rt_random_normal(key, (uint64_t)i);
    for (int64_t k = 0; k < m->matrices; k++) {
        double *own = x + k * m->rows * m->columns;
        if (m->rows <= m->columns)
            orthonormalise(own, m->rows, m->columns, m->columns, 1);
        else
            orthonormalise(own, m->columns, m->rows, 1, m->columns);
    }
    double gain = p->init.kind == CNN_INIT_ORTHOGONAL && p->init.a != 0.0 ? p->init.a : 1.0;
    for (int64_t i = 0; i < p->count; i++)
        x[i] *= gain;
}

/* `whiten` before there are pictures (whiten.c): orthonormal filters, then their negatives. */
static void orthogonal_twice(const struct cnn_param *p, struct param_matrices m, uint64_t key, double *x)
{
    m.rows /= 2;
    orthogonal(p, &m, key, x);
    for (int64_t i = 0, half = m.rows * m.columns; i < half; i++)
        x[half + i] = -x[i];
}

struct filling {
    const struct cnn_context *context;
    int param;
    uint64_t key;
    atomic_bool failed;
};

/* Every number is a function of its place alone: threads share them out, piece by piece. */
static void fill_share(void *arg, struct cnn_worker *w)
{
    struct filling *f = arg;
    const struct cnn_model *m = f->context->model;
    const struct cnn_param *p = &m->params[f->param];
    void *flat = rt_param_vector(f->context, f->param);
    void *piece = malloc(PIECE * sizeof(double));
    double *wide = piece;
    float *narrow = piece;
    if (!piece) {
        f->failed = true;
        return;
    }
    for (int64_t first = (int64_t)w->number * PIECE; first < p->count; first += (int64_t)w->count * PIECE) {
        int64_t count = p->count - first < PIECE ? p->count - first : PIECE;
        for (int64_t i = 0; i < count; i++) {
            double x = begin(p, f->key, first + i);
            if (m->real_size == 8)
                wide[i] = x;
            else
                narrow[i] = (float)x;
        }
        rt_param_scatter(m, f->param, flat, first, count, piece);
    }
    free(piece);
}

static int fill(struct cnn_context *c, int param, uint64_t key)
{
    struct filling f = { .context = c, .param = param, .key = key };
    if (c->model->params[param].count > PIECE)
        rt_team_run(c->team, fill_share, &f);
    else
        fill_share(&f, &(struct cnn_worker){ .count = 1 });
    return f.failed ? -1 : 0;
}

static int fill_orthogonal(struct cnn_context *c, int param, uint64_t key)
{
    const struct cnn_param *p = &c->model->params[param];
    struct param_matrices m = rt_param_matrices(p);
    double *values = malloc((size_t)p->count * sizeof *values), *wide = malloc((size_t)p->count * sizeof *wide);
    float *narrow = malloc((size_t)p->count * sizeof *narrow);
    bool fits = values && wide && narrow;
    if (fits) {
        if (p->init.kind == CNN_INIT_WHITEN)
            orthogonal_twice(p, m, key, values);
        else
            orthogonal(p, &m, key, values);
        rt_layout_gather(&m.layout, sizeof *wide, values, 0, p->count, wide);
        for (int64_t i = 0; i < p->count; i++)
            narrow[i] = (float)wide[i];
        cnn_param_set(c, param, c->model->real_size == 4 ? (void *)narrow : (void *)wide);
    }
    free(values);
    free(wide);
    free(narrow);
    return fits ? 0 : -1;
}

int rt_params_init(struct cnn_context *c, uint64_t seed)
{
    const struct cnn_model *m = c->model;
    for (int i = 0; i < m->params_list_count; i++) {
        uint64_t key = rt_random_key(seed, RANDOM_INIT, (uint64_t)i);
        enum cnn_init_kind kind = m->params[i].init.kind;
        bool whole = kind == CNN_INIT_ORTHOGONAL || kind == CNN_INIT_WHITEN;
        if (whole ? fill_orthogonal(c, i, key) : fill(c, i, key)) {
            rt_error("no memory to initialise %lld numbers", (long long)m->params[i].count);
            return -1;
        }
    }
    return 0;
}
