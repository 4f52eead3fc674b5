/* predict_ranks.c - records of a batch, one behind the other. */
#include "cli/predict_ranks.h"

#include <stdlib.h>
#include <string.h>

#include "core/message.h"

enum { LINE = 64 };

static size_t rounded(size_t bytes)
{
    return (bytes + LINE - 1) / LINE * LINE;
}

/* What is to be near the input is printed beside it. */
static size_t input_bytes(const struct cnn_model *m)
{
    return m->train.target.kind == CNN_TARGET_INPUT ? (size_t)m->batch * (size_t)m->image_stride * (size_t)m->real_size
        : 0;
}

int rt_predict_ranks_open(struct predict_ranks *p, const struct cnn_ranks *ranks, struct cnn_context *c,
                          struct image_fault *faults)
{
    const struct cnn_model *m = c->model;
    const size_t batch = (size_t)m->batch;
    *p = (struct predict_ranks){ .ranks = ranks, .context = c, .faults = faults };
    if (!ranks)
        return 0;
    p->faults_at = LINE;
    p->predictions_at = p->faults_at + rounded(batch * sizeof *faults);
    p->input_at = p->predictions_at + rounded(batch * (size_t)m->outputs * (size_t)m->real_size);
    p->record = p->input_at + rounded(input_bytes(m));
    p->told = calloc(1, p->record);
    p->heard = calloc((size_t)ranks->count, p->record);
    if (p->told && p->heard)
        return 0;
    rt_error("no memory for the predictions of %d ranks", ranks->count);
    return -1;
}

void rt_predict_ranks_close(struct predict_ranks *p)
{
    free(p->told);
    free(p->heard);
    *p = (struct predict_ranks){ 0 };
}

int rt_predict_ranks_count(const struct predict_ranks *p)
{
    return p->ranks ? p->ranks->count : 1;
}

int rt_predict_ranks_number(const struct predict_ranks *p)
{
    return p->ranks ? p->ranks->number : 0;
}

/* Between a record and what it is of. */
static void numbers_copy(const struct predict_ranks *p, char *record, int samples, bool tell)
{
    const struct cnn_model *m = p->context->model;
    const size_t n = samples > 0 ? (size_t)samples : 0, row = (size_t)m->outputs * (size_t)m->real_size;
    const struct { void *ours; size_t at, bytes; } parts[] = {
        { p->faults, p->faults_at, n * sizeof *p->faults },
        { p->context->predictions, p->predictions_at, n * row },
        { p->context->input, p->input_at, n > 0 ? input_bytes(m) : 0 },
    };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (parts[i].bytes > 0)
            memcpy(tell ? record + parts[i].at : parts[i].ours, tell ? parts[i].ours : record + parts[i].at,
                   parts[i].bytes);
}

int rt_predict_ranks_gather(struct predict_ranks *p, int samples)
{
    if (!p->ranks)
        return 0;
    memcpy(p->told, &samples, sizeof samples);
    numbers_copy(p, p->told, samples, true);
    return p->ranks->gather(p->ranks, p->told, p->record, p->heard);
}

int rt_predict_ranks_take(struct predict_ranks *p, int rank)
{
    char *record = p->heard + (size_t)rank * p->record;
    int samples;
    memcpy(&samples, record, sizeof samples);
    numbers_copy(p, record, samples, false);
    return samples;
}
