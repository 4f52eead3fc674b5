/* conv2d_winograd_weight_grad.h - the steps of the gradient of weights by minimal filtering, as they are planned
 * (conv2d_winograd_weight_grad.c) and written (conv2d_winograd_weight_emit.c). */
#ifndef CONV2D_WINOGRAD_WEIGHT_GRAD_H
#define CONV2D_WINOGRAD_WEIGHT_GRAD_H

#include "kernels/conv2d_winograd.h"
#include "kernels/loops.h"

struct winograd_weights {
    struct conv_geometry s;
    struct winograd_tiles tiles;
    /* V and M are rounded to bfloat16 where they are multiplied, in pairs of neighbouring tiles */
    bool pairs;
    int x_panel, x_panels;      /* of V, over input channels */
    int panel, panels;          /* of M, over output channels */
    int images;                 /* in a block */
    bool by_image;              /* the loop of the neighbours, `images` in a call */
    bool in_turn;               /* then: V is of one panel of inputs after the other */
    int groups;                 /* then: that have a dU each; else 1 */
    int parts;                  /* else: of an image, that are transformed each by itself: its panels; 1: all of it */
    bool by_panel;              /* dU is transformed back where it is summed, a panel of inputs after the other */
    struct winograd_values v, m;
    int64_t m_at, scratch;      /* by image: in scratch, elements; V is its beginning */
    int64_t u_position, u_panel, u_group;       /* elements of dU */
    int64_t db_stored;
    int updated;                /* then: input channels whose weights may be updated at a time */
    bool updating;              /* while it is written: taps are those of these channels */
    bool far[2];                /* while it is written: x, dy come from memory */
};

enum { INVERSE_CHUNK = 16,      /* input channels in a block of the last step */
       AHEAD = 4 };             /* channels between what is written and what is asked for */

/* Of a step: step.part. */
enum { SUM_TRANSFORMS, SUM_PRODUCTS, SUM_INVERSE, SUM_IMAGES, SUM_PANELS };

/* Of the node, by the kernel of that number (WINOGRAD_PAIRS).  False: its tiles do not serve it. */
bool winograd_weights_of(const struct plan *p, const struct node *n, int number, struct winograd_weights *g);
/* Elements of scratch for the pairs of a position and panel of each, of so many outputs; 0 where none are made. */
int64_t winograd_weights_pairs(const struct winograd_weights *g);
/* kernel.emit */
const char *winograd_weights_emit(struct emitter *e, const struct step *step);

#endif
