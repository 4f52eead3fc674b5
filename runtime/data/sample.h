/* sample.h - one sample in memory: (height, width, channels) numbers of one kind. */
#ifndef SAMPLE_H
#define SAMPLE_H

#include "cnnrt.h"

enum number_kind { NUMBER_BYTE, NUMBER_FLOAT, NUMBER_DOUBLE };

struct sample {
    enum number_kind kind;
    int channels, height, width;
    void *data;
};

static inline size_t rt_number_size(enum number_kind kind)
{
    return kind == NUMBER_BYTE ? sizeof(uint8_t) : kind == NUMBER_FLOAT ? sizeof(float) : sizeof(double);
}

/* What the numbers of a source's samples are. */
static inline enum number_kind rt_sample_numbers(enum cnn_sample_kind kind)
{
    return kind == CNN_SAMPLE_BYTES ? NUMBER_BYTE : NUMBER_FLOAT;
}

static inline size_t rt_sample_elements(const struct cnn_model *m)
{
    return (size_t)m->in_channels * (size_t)m->in_height * (size_t)m->in_width;
}

#endif
