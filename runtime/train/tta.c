/* tta.c - copies are made of what the network reads, in its own numbers: mirrored and shifted samples are what steps
 * that map numbers channel by channel make of mirrored and shifted samples. */
#include "train/tta.h"

#include <stdlib.h>
#include <string.h>

#include "common/pixel_steps.h"
#include "core/message.h"
#include "core/targets.h"
#include "core/team.h"

/* ---- which copies ---------------------------------------------------------------------------- */

static const struct cnn_clause *step_find(const struct cnn_model *m)
{
    for (int i = 0; i < m->data.steps_count; i++) {
        const struct data_step *row = rt_data_step(m->data.steps[i].name);
        if (row && row->kind == STEP_COPIES)
            return &m->data.steps[i];
    }
    return NULL;
}

int rt_tta_open(struct tta *t, const struct cnn_model *m, bool wanted)
{
    const struct cnn_clause *step = wanted ? step_find(m) : NULL;
    *t = (struct tta){ .model = m, .copies = rt_copies_of(step) };
    if (t->copies.count == 1)
        return 0;
    size_t pixels = (size_t)m->in_height * (size_t)m->in_width * (size_t)m->in_channels;
    t->kept = malloc((size_t)m->batch * pixels * (size_t)m->real_size);
    t->sums = malloc((size_t)m->batch * (size_t)m->outputs * sizeof *t->sums);
    t->rows = malloc((size_t)m->in_height * sizeof *t->rows);
    t->columns = malloc((size_t)m->in_width * sizeof *t->columns);
    if (t->kept && t->sums && t->rows && t->columns)
        return 0;
    rt_error("no memory for the copies that 'tta' averages over");
    rt_tta_close(t);
    return -1;
}

void rt_tta_close(struct tta *t)
{
    free(t->kept);
    free(t->sums);
    free(t->rows);
    free(t->columns);
    *t = (struct tta){ 0 };
}

/* ---- copies in the input --------------------------------------------------------------------- */

struct samples_work {
    const struct tta *tta;
    const struct cnn_context *context;
    bool keep;                  /* from the input, else to it */
};

/* Sample i between the input and `kept`, which has its channels innermost. */
#define SAMPLE_TAKE(name, real)                                                                    \
    static void name(const struct samples_work *w, int64_t i)                                      \
    {                                                                                              \
        const struct tta *t = w->tta;                                                              \
        const struct cnn_model *m = t->model;                                                      \
        int channels = m->in_channels, width = m->in_width;                                        \
        real *input = (real *)w->context->input + i * m->image_stride;                             \
        real *kept = (real *)t->kept + i * m->in_height * width * channels;                        \
        for (int y = 0; y < m->in_height; y++)                                                     \
            for (int x = 0; x < width; x++) {                                                      \
                real *pixel = input + y * m->row_stride + x * m->column_stride;                    \
                bool there = t->rows[y] >= 0 && t->columns[x] >= 0;                                \
                real *from = there ? kept + (t->rows[y] * width + t->columns[x]) * channels : kept; \
                for (int c = 0; c < channels; c++)                                                 \
                    if (w->keep)                                                                   \
                        from[c] = pixel[c * m->channel_stride];                                    \
                    else                                                                           \
                        pixel[c * m->channel_stride] = there ? from[c] : 0;                        \
            }                                                                                      \
    }

SAMPLE_TAKE(floats_take, float)
SAMPLE_TAKE(doubles_take, double)

static void sample_take(void *arg, int64_t i)
{
    const struct samples_work *w = arg;
    if (w->tta->model->real_size == 8)
        doubles_take(w, i);
    else
        floats_take(w, i);
}

/* Copies of the samples into the input; keep: the input's samples, which are no copies, into `kept`. */
static void samples_take(struct tta *t, struct cnn_context *c, int n, const struct copy *copy, bool keep)
{
    struct samples_work work = { t, c, keep };
    int width = t->model->in_width;
    for (int y = 0; y < t->model->in_height; y++)
        t->rows[y] = rt_fill_place(t->copies.fill, (int64_t)y - copy->shift, t->model->in_height);
    for (int x = 0; x < width; x++) {
        int at = rt_fill_place(t->copies.fill, (int64_t)x - copy->shift, width);
        t->columns[x] = at >= 0 && copy->mirrored ? width - 1 - at : at;
    }
    rt_team_each(c->team, n, sample_take, &work);
}

/* ---- the mean -------------------------------------------------------------------------------- */

static void predictions_add(struct tta *t, const struct cnn_context *c, int n, double weight)
{
    int outputs = t->model->outputs;
    for (int i = 0; i < n; i++)
        for (int k = 0; k < outputs; k++)
            t->sums[i * outputs + k] += weight * rt_copies_averaged(&t->copies, rt_predicted_number(c, i, k));
}

static void predictions_set(struct tta *t, const struct cnn_context *c, int n)
{
    int outputs = t->model->outputs;
    for (int i = 0; i < n; i++)
        rt_copies_predictions(&t->copies, t->sums + (size_t)i * (size_t)outputs, outputs);
    for (int i = 0; i < n * outputs; i++)
        if (t->model->real_size == 8)
            ((double *)c->predictions)[i] = t->sums[i];
        else
            ((float *)c->predictions)[i] = (float)t->sums[i];
}

void rt_tta_infer(struct tta *t, struct cnn_context *c, int n)
{
    double loss = 0.0;
    if (t->copies.count == 1) {
        t->model->infer(c, n);
        return;
    }
    memset(t->sums, 0, (size_t)n * (size_t)t->model->outputs * sizeof *t->sums);
    samples_take(t, c, n, &t->copies.list[0], true);
    for (int i = 0; i < t->copies.count; i++) {
        if (i > 0)
            samples_take(t, c, n, &t->copies.list[i], false);
        t->model->infer(c, n);
        predictions_add(t, c, n, t->copies.list[i].weight);
        loss += t->copies.list[i].weight * c->loss;
    }
    samples_take(t, c, n, &t->copies.list[0], false);
    predictions_set(t, c, n);
    c->loss = loss;
}
