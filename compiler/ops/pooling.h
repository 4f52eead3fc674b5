/* pooling.h - what maxpool2d and avgpool2d share: their arguments, shape rule and windows. */
#ifndef POOLING_H
#define POOLING_H

#include "ops/op_support.h"

#define POOLING_ARGS                                                                              \
    { .name = "window", .type = ARG_EXTENT2, .positional = true, .required = true, .min = 1,      \
      .max = WINDOW_MOST, .help = "height x width of what becomes one element" },                  \
    { .name = "stride", .type = ARG_EXTENT2, .min = 1, .max = WINDOW_MOST, .default_of = "window", \
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

/* The taps of a window that lie in the map: rows x columns of them, from a tap of the window on that lies at a place of
 * the map. */
struct pooling_taps {
    int sample, channel, count, rows, columns;
    int tap_row, tap_column, row, column;
};
/* Of the element number i of y. */
struct pooling_taps pooling_taps(const struct node *n, const struct tensor *x, const struct tensor *y, int64_t i);
/* What lies under tap k of them, and its number in the window. */
double *pooling_tap(const struct run *r, const struct tensor *x, const struct pooling_taps *taps, int k);
int pooling_tap_number(const struct node *n, const struct pooling_taps *taps, int k);

#endif
