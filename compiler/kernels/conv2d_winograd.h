/* conv2d_winograd.h - the Winograd kernels: forward, data gradient and weight gradient with tiles of at most 4, 6 or 8
 * points (winograd4 is the most accurate, winograd8 saves the most multiplications). */
#ifndef CONV2D_WINOGRAD_H
#define CONV2D_WINOGRAD_H

#include "product.h"
#include "winograd_tiles.h"

/* 4, 6 or 8: the last character of the kernel's name. */
int winograd_points_of(const struct kernel *k);
/* One position's product: emits a function (a, b, c) for `rows` rows of `depth` columns, a_row apart, and `vectors`
 * vectors of a panel. */
const char *winograd_emit_multiply(struct emitter *e, int64_t rows, int64_t depth, int64_t a_row, int panel,
                                   int vectors);
/* Cycles of the transforms of maps of `from` and `to` channels, over a whole batch. */
double winograd_transform_cycles(const struct plan *p, const struct winograd_tiles *t, int from, int to);
/* Cycles for `moved` bytes of transformed values, of which `live` are in use at a time: none that the transforms and
 * products have not counted while the caches hold them. */
double winograd_memory_cycles(const struct plan *p, double live, double moved);
/* Emitted code reaches within a buffer by int. */
bool winograd_reaches(int64_t elements);

#endif
