/* whiten.c - filters whose results are about uncorrelated and of size one: the eigenvectors of the patches of training
 * pictures, each divided by the root of its eigenvalue, and the negatives of all (Coates, Ng, Lee, "An analysis of
 * single-layer networks in unsupervised feature learning", 2011, whiten patches so).
 *
 * What is decomposed is the mean of x x' over all places of the pictures: second moments, from which no mean is taken,
 * so pictures should have been normalised.  Pictures are taken at equal distances from the whole set.  Every number of
 * the matrix is one sum in one order, whichever thread makes it; the eigenvectors are found by Jacobi's rotations in
 * double precision, so the same pictures give the same filters on every machine, up to rounding. */
#include "train/whiten.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/message.h"
#include "core/param.h"
#include "core/team.h"
#include "train/loader.h"

/* ---- eigenvectors ---------------------------------------------------------------------------- */

static double off_diagonal(const double *a, int n)
{
    double sum = 0.0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < i; j++)
            sum += a[i * n + j] * a[i * n + j];
    return sum;
}

/* Turns axes p and q so that the matrix has a zero there; v's rows are the axes. */
static void rotate(double *a, double *v, int n, int p, int q)
{
    double apq = a[p * n + q], theta = (a[q * n + q] - a[p * n + p]) / (2.0 * apq);
    double t = (theta < 0.0 ? -1.0 : 1.0) / (fabs(theta) + sqrt(theta * theta + 1.0));
    double cosine = 1.0 / sqrt(t * t + 1.0), sine = t * cosine;
    for (int k = 0; k < n; k++) {
        double x = a[k * n + p], y = a[k * n + q];
        a[k * n + p] = cosine * x - sine * y;
        a[k * n + q] = sine * x + cosine * y;
    }
    for (int k = 0; k < n; k++) {
        double x = a[p * n + k], y = a[q * n + k];
        a[p * n + k] = cosine * x - sine * y;
        a[q * n + k] = sine * x + cosine * y;
        x = v[p * n + k];
        y = v[q * n + k];
        v[p * n + k] = cosine * x - sine * y;
        v[q * n + k] = sine * x + cosine * y;
    }
    a[p * n + q] = a[q * n + p] = 0.0;
}

/* A vector and its negative are both right: the largest number is positive, the first of those that are as large up to
 * rounding. */
static void sign_settle(double *v, int n)
{
    double most = 0.0;
    int at = 0;
    for (int i = 0; i < n; i++)
        most = fmax(most, fabs(v[i]));
    while (fabs(v[at]) < most * (1.0 - 1e-6))
        at++;
    double sign = v[at] < 0.0 ? -1.0 : 1.0;
    for (int i = 0; i < n; i++)
        v[i] *= sign;
}

static void swap_rows(double *a, double *b, int n)
{
    for (int i = 0; i < n; i++) {
        double kept = a[i];
        a[i] = b[i];
        b[i] = kept;
    }
}

void rt_symmetric_eigen(double *a, int n, double *values, double *vectors)
{
    double size = 0.0;
    for (int i = 0; i < n * n; i++) {
        vectors[i] = i % (n + 1) == 0 ? 1.0 : 0.0;
        size += a[i] * a[i];
    }
    for (int sweep = 0; sweep < 60 && off_diagonal(a, n) > 1e-30 * size; sweep++)
        for (int p = 0; p < n; p++)
            for (int q = p + 1; q < n; q++)
                if (a[p * n + q] != 0.0)
                    rotate(a, vectors, n, p, q);
    for (int i = 0; i < n; i++)
        values[i] = a[i * n + i];
    for (int i = 0; i < n; i++) {
        int largest = i;
        for (int k = i + 1; k < n; k++)
            if (values[k] > values[largest])
                largest = k;
        if (largest != i) {
            swap_rows(&values[i], &values[largest], 1);
            swap_rows(vectors + i * n, vectors + largest * n, n);
        }
        sign_settle(vectors + i * n, n);
    }
}

/* ---- second moments of patches --------------------------------------------------------------- */

struct moments {
    const struct cnn_context *context;
    int samples;                /* in the context's input */
    int rows, columns;          /* places of a patch in a picture */
    int numbers;                /* of a patch: channels x kernel rows x columns */
    int64_t *offsets;           /* (numbers) where they lie from the patch's place on */
    double *sums;               /* (numbers, numbers), the lower half */
};

static double input_number(const struct cnn_context *c, int64_t place)
{
    return c->model->real_size == 8 ? ((const double *)c->input)[place] : (double)((const float *)c->input)[place];
}

/* One row of the matrix, over all places of all pictures in their order. */
static void row_add(void *arg, int64_t row)
{
    const struct moments *m = arg;
    const struct cnn_model *model = m->context->model;
    double *sums = m->sums + row * m->numbers;
    for (int s = 0; s < m->samples; s++)
        for (int y = 0; y < m->rows; y++)
            for (int x = 0; x < m->columns; x++) {
                int64_t place = s * model->image_stride + y * model->row_stride + x * model->column_stride;
                double own = input_number(m->context, place + m->offsets[row]);
                for (int64_t k = 0; k <= row; k++)
                    sums[k] += own * input_number(m->context, place + m->offsets[k]);
            }
}

/* shape: out, in, kernel rows, kernel columns. */
static void moments_place(struct moments *m, const struct cnn_param *p)
{
    const struct cnn_model *model = m->context->model;
    const int64_t *shape = p->shape;
    int i = 0;
    m->rows = model->in_height - (int)shape[2] + 1;
    m->columns = model->in_width - (int)shape[3] + 1;
    for (int64_t c = 0; c < shape[1]; c++)
        for (int64_t y = 0; y < shape[2]; y++)
            for (int64_t x = 0; x < shape[3]; x++)
                m->offsets[i++] = c * model->channel_stride + y * model->row_stride + x * model->column_stride;
}

static int moments_sum(struct moments *m, struct cnn_context *c, const struct split *train, int64_t samples)
{
    struct loader l;
    size_t elements = rt_sample_elements(c->model);
    void *room = malloc(elements * rt_number_size(rt_sample_numbers(train->kind)));
    if (!room)
        rt_error("no memory for a picture");
    if (!room || rt_loader_open(&l, c, NULL, LOADER_MEASURES)) {
        free(room);
        return -1;
    }
    int status = 0;
    for (int64_t first = 0; status == 0 && first < samples; first += m->samples) {
        m->samples = samples - first < c->model->batch ? (int)(samples - first) : c->model->batch;
        for (int i = 0; status == 0 && i < m->samples; i++) {
            int64_t which = (int64_t)((double)(first + i) * (double)train->count / (double)samples);
            const void *sample = rt_split_sample(train, which, elements, room);
            if (sample)
                rt_loader_set(&l, c, i, sample);
            else
                status = -1;
        }
        if (status == 0)
            rt_team_each(c->team, m->numbers, row_add, m);
    }
    rt_loader_close(&l);
    free(room);
    double places = (double)samples * m->rows * m->columns;
    for (int i = 0; i < m->numbers; i++)
        for (int k = 0; k <= i; k++)
            m->sums[i * m->numbers + k] = m->sums[k * m->numbers + i] = m->sums[i * m->numbers + k] / places;
    return status;
}

/* ---- filters --------------------------------------------------------------------------------- */

static void filters_set(struct cnn_context *c, int param, int numbers, const double *values, const double *vectors,
                        double *filters)
{
    const struct cnn_param *p = &c->model->params[param];
    int64_t half = (int64_t)numbers * numbers;
    for (int64_t i = 0; i < half; i++) {
        /* what rounding has taken below nothing is nothing */
        filters[i] = vectors[i] / sqrt(fmax(values[i / numbers], 0.0) + p->init.b);
        filters[half + i] = -filters[i];
    }
    float *narrow = (float *)filters;           /* each is written where it, or an earlier one, was read */
    for (int64_t i = 0; c->model->real_size == 4 && i < 2 * half; i++) {
        float x = (float)filters[i];
        memcpy(&narrow[i], &x, sizeof x);
    }
    cnn_param_set(c, param, filters);
}

static int param_whiten(struct cnn_context *c, int param, const struct split *train)
{
    const struct cnn_param *p = &c->model->params[param];
    struct moments m = { .context = c, .numbers = (int)(p->shape[1] * p->shape[2] * p->shape[3]) };
    size_t n = (size_t)m.numbers;
    double *values = malloc(n * sizeof *values), *vectors = malloc(n * n * sizeof *vectors);
    double *filters = malloc(2 * n * n * sizeof *filters);
    int64_t samples = p->init.a < (double)train->count ? (int64_t)p->init.a : train->count;
    int status = -1;
    m.offsets = malloc(n * sizeof *m.offsets);
    m.sums = calloc(n * n, sizeof *m.sums);
    if (!values || !vectors || !filters || !m.offsets || !m.sums) {
        rt_error("no memory for the eigenvectors of patches");
    } else {
        moments_place(&m, p);
        status = moments_sum(&m, c, train, samples);
    }
    if (status == 0) {
        rt_symmetric_eigen(m.sums, m.numbers, values, vectors);
        filters_set(c, param, m.numbers, values, vectors, filters);
    }
    free(m.sums);
    free(m.offsets);
    free(filters);
    free(vectors);
    free(values);
    return status;
}

int rt_params_whiten(struct cnn_context *c, const struct dataset *data, const void *before)
{
    const struct cnn_model *m = c->model;
    for (int i = 0; i < m->params_list_count; i++) {
        const struct cnn_param *p = &m->params[i];
        size_t from = (size_t)p->offset * (size_t)m->real_size, bytes = (size_t)p->stored * (size_t)m->real_size;
        if (p->init.kind != CNN_INIT_WHITEN ||
            (before && memcmp((const char *)before + from, (const char *)c->params + from, bytes) != 0))
            continue;
        if (param_whiten(c, i, &data->train))
            return -1;
    }
    return 0;
}
