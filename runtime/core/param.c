/* param.c - the parameters of a context between the order of files and the places where kernels want them. */
#include "core/param.h"

#include <string.h>

#include "common/param_layout.h"

void *rt_param_vector(const struct cnn_context *c, int param)
{
    return c->model->params[param].role == CNN_STATISTIC ? c->statistics : c->params;
}

void *rt_param_place(const struct cnn_context *c, int param)
{
    const struct cnn_param *p = &c->model->params[param];
    return (char *)rt_param_vector(c, param) + (size_t)p->offset * (size_t)c->model->real_size;
}

int64_t rt_param_index_place(const struct cnn_param *p, int64_t file_index)
{
    return rt_layout_place(&p->layout, file_index);
}

void rt_param_gather(const struct cnn_model *m, int param, const void *flat, int64_t first,
                     int64_t count, void *file)
{
    const struct cnn_param *p = &m->params[param];
    size_t size = (size_t)m->real_size;
    rt_layout_gather(&p->layout, size, (const char *)flat + (size_t)p->offset * size, first, count, file);
}

void rt_param_scatter(const struct cnn_model *m, int param, void *flat, int64_t first,
                      int64_t count, const void *file)
{
    const struct cnn_param *p = &m->params[param];
    size_t size = (size_t)m->real_size;
    rt_layout_scatter(&p->layout, size, (char *)flat + (size_t)p->offset * size, first, count, file);
}

void cnn_param_get(const struct cnn_context *c, int param, void *real_out)
{
    rt_param_gather(c->model, param, rt_param_vector(c, param), 0, c->model->params[param].count,
                    real_out);
}

void cnn_param_set(struct cnn_context *c, int param, const void *real_in)
{
    rt_param_scatter(c->model, param, rt_param_vector(c, param), 0, c->model->params[param].count,
                     real_in);
}

/* What l2 adds to the gradient of a trained parameter, from what it is now. */
static void add_penalty(const struct cnn_context *c, int param, void *gradient)
{
    const struct cnn_param *p = &c->model->params[param];
    bool wide = c->model->real_size == 8;
    for (int64_t i = 0; i < p->count; i++) {
        int64_t at = p->offset + rt_param_index_place(p, i);
        if (wide)
            ((double *)gradient)[i] += 2 * p->l2 * ((const double *)c->params)[at];
        else
            ((float *)gradient)[i] += (float)(2 * p->l2) * ((const float *)c->params)[at];
    }
}

void cnn_grad_get(const struct cnn_context *c, int param, void *real_out)
{
    const struct cnn_param *p = &c->model->params[param];
    if (p->role == CNN_STATISTIC)               /* nothing flows into a running mean */
        memset(real_out, 0, (size_t)p->count * (size_t)c->model->real_size);
    else
        rt_param_gather(c->model, param, c->grads, 0, p->count, real_out);
    if (p->l2 != 0 && p->trainable)
        add_penalty(c, param, real_out);
}

/* Which of matrices (0), rows (1), columns (2) an axis counts. */
static int side_of(enum cnn_axis axis)
{
    switch (axis) {
    case CNN_AXIS_OH: case CNN_AXIS_OW: case CNN_AXIS_GROUP:
        return 0;
    case CNN_AXIS_OUT:
        return 1;
    default:
        return 2;
    }
}

struct param_matrices rt_param_matrices(const struct cnn_param *p)
{
    struct param_matrices m = { .layout = { .dims = p->rank, .panel_dim = -1 } };
    int64_t extent[3] = { 1, 1, 1 }, unit = 1;
    for (int side = 2; side >= 0; side--)
        for (int d = p->rank - 1; d >= 0; d--)
            if (side_of(p->axis[d]) == side) {
                m.layout.dim[d] = p->shape[d];
                m.layout.stride[d] = unit;
                extent[side] *= p->shape[d];
                unit *= p->shape[d];
            }
    m.matrices = extent[0];
    m.rows = extent[1];
    m.columns = extent[2];
    return m;
}

const char *rt_precision(const struct cnn_model *m)
{
    return m->precision ? m->precision : m->real_size == 8 ? "double" : "float";
}
