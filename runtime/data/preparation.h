/* preparation.h - a sample on its way from its source into the network's input: the recipe's steps from top to bottom,
 * in training with what is drawn, in use without. */
#ifndef PREPARATION_H
#define PREPARATION_H

#include "common/pixel_steps.h"
#include "data/augment.h"

struct preparation {
    const struct cnn_model *model;
    enum cnn_sample_kind kind;          /* of the source's samples */
    struct stage *stages;               /* the last one ends in the network's numbers */
    int stages_count;
    int threads;
    void *rooms;                        /* (threads, 2) samples between two stages */
};

/* measured: what `auto` stands for.  trains: with the steps that draw.  threads: how many may fill at a time.  0, or -1
 * with a message. */
int rt_preparation_open(struct preparation *p, const struct cnn_model *m, enum cnn_sample_kind kind,
                        struct pixel_measure measured, bool trains, int threads);
void rt_preparation_close(struct preparation *p);

/* Sets sample number `at` of the context's batch from the source's, (height, width, channels).  draw: key, epoch and
 * number of the sample, from which each step draws its own; NULL where nothing is drawn.  thread: the number of the
 * calling one, below `threads`. */
void rt_preparation_fill(const struct preparation *p, int thread, const void *sample, const struct step_draw *draw,
                         struct cnn_context *c, int at);

/* The maps of the recipe's first `steps` steps, one behind the other, (maps, channels), malloc'd; NULL with a
 * message. */
struct pixel_map *rt_pixel_maps(const struct cnn_model *m, int steps, struct pixel_measure measured, int *count);

#endif
