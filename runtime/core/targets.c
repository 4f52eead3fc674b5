/* targets.c - see targets.h. */
#include "core/targets.h"

bool rt_target_has_numbers(const struct cnn_model *m)
{
    return m->train.target.kind == CNN_TARGET_VECTOR || m->train.target.kind == CNN_TARGET_LABELS;
}

bool rt_target_has_shares(const struct cnn_model *m)
{
    return rt_target_has_numbers(m) || m->train.mixes;
}

static double real_at(const struct cnn_context *c, const void *reals, int64_t place)
{
    return c->model->real_size == 8 ? ((const double *)reals)[place] : (double)((const float *)reals)[place];
}

void rt_target_set(const struct cnn_context *c, int i, int k, double number)
{
    int64_t place = (int64_t)i * c->model->train.target.size + k;
    if (c->model->real_size == 8)
        ((double *)c->targets)[place] = number;
    else
        ((float *)c->targets)[place] = (float)number;
}

double rt_target_number(const struct cnn_context *c, int i, int k)
{
    const struct cnn_model *m = c->model;
    if (m->train.target.kind != CNN_TARGET_INPUT)
        return real_at(c, c->targets, (int64_t)i * m->train.target.size + k);
    int plane = m->in_height * m->in_width;
    return real_at(c, c->input, i * m->image_stride + k / plane * m->channel_stride
                                    + k % plane / m->in_width * m->row_stride + k % m->in_width * m->column_stride);
}

double rt_predicted_number(const struct cnn_context *c, int i, int k)
{
    return real_at(c, c->predictions, (int64_t)i * c->model->outputs + k);
}

static void row_copy(const struct cnn_context *c, const void *reals, int64_t from, int count, double *row)
{
    for (int k = 0; c->model->real_size == 8 && k < count; k++)
        row[k] = ((const double *)reals)[from + k];
    for (int k = 0; c->model->real_size != 8 && k < count; k++)
        row[k] = (double)((const float *)reals)[from + k];
}

void rt_predicted_row(const struct cnn_context *c, int i, double *row)
{
    row_copy(c, c->predictions, (int64_t)i * c->model->outputs, c->model->outputs, row);
}

void rt_input_row(const struct cnn_context *c, int i, double *row)
{
    const struct cnn_model *m = c->model;
    for (int ch = 0; ch < m->in_channels; ch++)
        for (int h = 0; h < m->in_height; h++)
            for (int w = 0; w < m->in_width; w++)
                *row++ = real_at(c, c->input, i * m->image_stride + ch * m->channel_stride + h * m->row_stride
                                                  + w * m->column_stride);
}

void rt_target_row(const struct cnn_context *c, int i, double *row)
{
    const struct cnn_model *m = c->model;
    if (m->train.target.kind == CNN_TARGET_INPUT)
        rt_input_row(c, i, row);
    else
        row_copy(c, c->targets, (int64_t)i * m->train.target.size, m->train.target.size, row);
}
