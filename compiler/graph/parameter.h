/* parameter.h - what a parameter is: its axes in the order of files, and the order in which its numbers lie in memory.
 *
 * The operation that declares a parameter says both, in a struct param_form of its own; the plan adds the width of
 * panels.  Everything else asks here: files, initialisers, gradients, comments and the tables of emitted C,
 * inference. */
#ifndef PARAMETER_H
#define PARAMETER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "cnnrt.h"

struct layer;
struct tensor;

/* Order of a flat tensor's elements: a vector that was a c x h x w map keeps the map's memory order (h, w, c);
 * what a user counts is (c, h, w).  c = 0: no map behind it, or h = w = 1. */
struct map_order {
    int c, h, w;
};

bool order_equal(struct map_order a, struct map_order b);

/* How what is innermost in memory is rounded up. */
enum param_packing {
    PACKED_TIGHTLY,         /* not at all */
    PACKED_ROWS,            /* the innermost axis is padded to whole vectors */
    PACKED_PANELS,          /* the axis `cut` lies in panels of whole vectors, the last one padded: what is in a panel
                             * is innermost, and the panels are counted where the axis stands in `memory` */
    PACKED_VECTORS,         /* likewise, in panels of one vector */
    PACKED_DIVISORS         /* likewise without padding: the panel divides the axis */
};

/* A kind of parameter.  Lists of axes end with CNN_AXIS_NONE; no axis is named twice. */
struct param_form {
    enum cnn_axis files[CNN_MAX_RANK];      /* outermost first */
    unsigned joined;                        /* bit i: axes i and i + 1 of `files` are one axis there */
    enum cnn_axis memory[CNN_MAX_RANK];     /* the same, outermost first */
    enum param_packing packing;
    enum cnn_axis cut;                      /* PACKED_PANELS, PACKED_DIVISORS */
};

/* A parameter as the language knows it; the plan gives it a place in memory. */
struct param {
    int id;
    const char *name;               /* "conv2d_1.weight" */
    struct layer *layer;
    const struct param_form *form;
    int extents[CNN_MAX_RANK];      /* of form->files */
    struct map_order orders[CNN_MAX_RANK];      /* likewise: an axis that lies in the order of a flattened map */
    enum cnn_param_role role;
    bool trainable;
    double l2;                      /* times the sum of its squares is part of the loss; 0: nothing is */
    struct cnn_init init;
    const double *values;           /* param_elements() numbers as a file holds them, where they are known: of a network
                                     * that has been trained.  NULL: they are not */
    struct tensor *tensor, *gradient;
};

/* A number for each channel, or for each element of a vector. */
extern const struct param_form param_vector;
/* Filters of a convolution, outputs x inputs x rows x columns.  The other form is for plain loops that go from outputs
 * to inputs: its panels are of inputs. */
extern const struct param_form param_filters, param_filters_back;

/* The extent of an axis; 1 where it has no such axis. */
int param_extent(const struct param *p, enum cnn_axis axis);
/* The numbers of a parameter in a file. */
int64_t param_elements(const struct param *p);
/* The order of the elements of an axis (0: as counted), and setting it. */
struct map_order param_order(const struct param *p, enum cnn_axis axis);
void param_set_order(struct param *p, enum cnn_axis axis, struct map_order order);
/* Its shape in files, and what each axis counts there (of joined ones the last; may be NULL); returns the rank. */
int param_shape(const struct param *p, int64_t *shape, enum cnn_axis *axes);
/* What one output is a sum of, and how many outputs one input goes into: as an initialiser counts them. */
void param_fans(const struct param *p, int64_t *in, int64_t *out);

/* Where its elements lie with panels of that width (of forms that have some) on a machine with vectors of so many
 * numbers; *stored: how many there are, padding included. */
struct cnn_layout param_layout(const struct param *p, int panel, int lanes, int64_t *stored);
/* "128x64x3x3" with "x" between, as in files. */
const char *param_shape_text(struct arena *a, const struct param *p, const char *between);
/* "(128 in panels of 16, 3, 3, 64)": as in memory. */
const char *param_memory_text(struct arena *a, const struct param *p, int panel);

/* What is wrong with form, extents or orders; NULL: nothing. */
const char *param_fault(const struct param *p);

#endif
