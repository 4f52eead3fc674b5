/* param.c - parameters between the order of files and the places where kernels want them.
 *
 * The mapping is cnn_param's: `dim` walked row-major is the order of a file; each index adds its
 * stride to the element's place, except the panelled one, which counts in panels and places inside
 * a panel.
 */
#include "core/param.h"

#include <string.h>

static int64_t place_along(const struct cnn_param *p, int d, int64_t i)
{
    if (d == p->panel_dim)
        return i / p->panel * p->panel_stride + i % p->panel * p->stride[d];
    return i * p->stride[d];
}

/* memcpy of a constant size is one move */
static void element_copy(char *to, const char *from, size_t size)
{
    if (size == 4)
        memcpy(to, from, 4);
    else
        memcpy(to, from, 8);
}

/* Copies `count` elements, from the file's element `first` on, one way or the other.  `stored` is the
 * parameter's first element, `file` that of the file's that `first` counts to. */
static void copy(const struct cnn_param *p, size_t size, char *stored, int64_t first, int64_t count,
                 char *file, bool to_file)
{
    int last = p->dims - 1;
    int64_t index[CNN_MAX_RANK] = { 0 }, row = first / p->dim[last], from = first % p->dim[last];
    for (int d = last - 1; d >= 0; row /= p->dim[d], d--)
        index[d] = row % p->dim[d];
    while (count > 0) {
        int64_t base = 0, end = from + count < p->dim[last] ? from + count : p->dim[last];
        for (int d = 0; d < last; d++)
            base += place_along(p, d, index[d]);
        count -= end - from;
        for (int64_t i = from; i < end; i++, file += size) {
            char *place = stored + (size_t)(base + place_along(p, last, i)) * size;
            if (to_file)
                element_copy(file, place, size);
            else
                element_copy(place, file, size);
        }
        from = 0;
        for (int d = last - 1; d >= 0 && ++index[d] == p->dim[d]; d--)
            index[d] = 0;
    }
}

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
    int64_t place = 0;
    for (int d = p->dims - 1; d >= 0; d--) {
        place += place_along(p, d, file_index % p->dim[d]);
        file_index /= p->dim[d];
    }
    return place;
}

void rt_param_gather(const struct cnn_model *m, int param, const void *flat, int64_t first,
                     int64_t count, void *file)
{
    const struct cnn_param *p = &m->params[param];
    size_t size = (size_t)m->real_size;
    /* copy() only reads the stored side here */
    copy(p, size, (char *)flat + (size_t)p->offset * size, first, count, file, true);
}

void rt_param_scatter(const struct cnn_model *m, int param, void *flat, int64_t first,
                      int64_t count, const void *file)
{
    const struct cnn_param *p = &m->params[param];
    size_t size = (size_t)m->real_size;
    /* copy() only reads the file's side here */
    copy(p, size, (char *)flat + (size_t)p->offset * size, first, count, (char *)file, false);
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

void cnn_grad_get(const struct cnn_context *c, int param, void *real_out)
{
    const struct cnn_param *p = &c->model->params[param];
    if (p->role == CNN_STATISTIC)               /* nothing flows into a running mean */
        memset(real_out, 0, (size_t)p->count * (size_t)c->model->real_size);
    else
        rt_param_gather(c->model, param, c->grads, 0, p->count, real_out);
}
