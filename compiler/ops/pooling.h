/* pooling.h - what maxpool2d and avgpool2d share: their arguments and shape rule. */
#ifndef POOLING_H
#define POOLING_H

#include "ops/op_support.h"

#define POOLING_ARGS                                                                              \
    { .name = "window", .type = ARG_EXTENT2, .positional = true, .required = true, .min = 1,      \
      .max = WINDOW_MOST, .help = "height x width of what becomes one element" },                  \
    { .name = "stride", .type = ARG_EXTENT2, .min = 1, .max = WINDOW_MOST,                         \
      .help = "rows x columns from one position to the next (the window's)" },                    \
    { .name = "padding", .type = ARG_PADDING, .min = 0, .max = WINDOW_MOST,                        \
      .default_text = "valid",                                                                    \
      .help = "rows x columns around the input that do not count: valid (none), same, or a number" },\
    { .name = NULL }

bool pooling_shape(struct layer *l, struct diag *d);
/* A backward node dy (after index, where not NULL) -> dx. */
void pooling_gradient(struct graph *g, struct node *n, enum op op, struct tensor *index);
/* x, y: the maps, whatever the direction. */
const char *pooling_fits(const struct node *n, const struct tensor *x, const struct tensor *y);

#endif
