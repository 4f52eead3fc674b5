/* sample_picture.h - the numbers of a sample, as the network has them, as a picture again: what the steps of the recipe
 * make of numbers is undone. */
#ifndef SAMPLE_PICTURE_H
#define SAMPLE_PICTURE_H

#include <stdint.h>

#include "cnnrt.h"

struct sample_picture {
    const struct cnn_model *model;
    double *scale, *shift;      /* (channels): number * scale + shift is the sample's own */
};

/* What is black and what is white. */
struct sample_range {
    double low, high;
};

/* By the measures that the context's weights were trained with.  0, or -1 with a message. */
int rt_sample_picture_open(struct sample_picture *s, const struct cnn_context *c);
void rt_sample_picture_close(struct sample_picture *s);
/* Of bytes what it was, of other numbers the sample's least and largest.  row: (channels, height, width). */
struct sample_range rt_sample_range(const struct sample_picture *s, const double *row);
/* A pixel of the same: three channels are colours; the mean of others is grey. */
void rt_sample_pixel(const struct sample_picture *s, const double *row, int y, int x, struct sample_range range,
                     uint8_t to[3]);
/* 0, or -1 with a message: a file that is no PNG is somebody's. */
int rt_picture_may_replace(const char *path);

#endif
