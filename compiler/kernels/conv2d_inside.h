/* conv2d_inside.h - what the kernels for small maps share: which taps of a window lie inside of the map. */
#ifndef CONV2D_INSIDE_H
#define CONV2D_INSIDE_H

#include "kernels/conv_geometry.h"

enum {
    INSIDE_TAPS = 25,           /* in a window; more only lengthen the code */
    INSIDE_PIXELS = 64          /* of a map: a border is a small part of a larger one */
};

/* The pixels of y, in one direction, for which a tap is inside of x: `count` of them from `first` on; the first one
 * meets pixel `from` of x, and the next ones those a stride further each. */
struct reach {
    int first, count, from;
};

struct inside {
    struct conv_geometry s;
    int panel, panels;          /* of weights, by channels of y */
    struct reach *rows, *columns;       /* of each kh, kw */
    int inputs;                 /* in a block of the gradients: few, where there would be few blocks for many threads */
    int products;               /* pixels of y for which a tap is inside, of all taps */
};

/* Of any of conv2d, conv2d_data_grad, conv2d_weight_grad. */
struct inside inside_of(const struct plan *p, const struct node *n);
/* Several images, and few enough taps and pixels. */
bool inside_applicable(const struct plan *p, const struct inside *d);
/* Of reading the weights once. */
double inside_stream_cycles(const struct plan *p, const struct inside *d);
/* The comment of a step that multiplies: with what is left of the multiplications. */
const char *inside_comment(struct emitter *e, const struct step *step, const struct inside *d);
/* Writes a line that says which tap follows; false: it is nowhere inside, and nothing follows. */
bool inside_emit_tap(struct emitter *e, const struct inside *d, int kh, int kw);
/* The most inputs of a block; the last one may have fewer. */
int inside_inputs(const struct inside *d);
/* What a block has of the weights or their gradient. */
struct part inside_part_of_weights(const struct inside *d);

#endif
