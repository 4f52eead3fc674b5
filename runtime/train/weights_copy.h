/* weights_copy.h - the weights of a moment, beside those that are trained, and where they come from. */
#ifndef WEIGHTS_COPY_H
#define WEIGHTS_COPY_H

#include "files/origin.h"

struct state;

struct weights_copy {
    void *params, *statistics;  /* NULL: without memory */
    bool kept;                  /* they hold weights */
    struct weights_origin origin;
};

/* Takes the memory.  0, or -1 where there is none; says nothing. */
int rt_weights_copy_open(struct weights_copy *w, const struct cnn_model *m);
void rt_weights_copy_close(struct weights_copy *w);
/* From the network and back to it. */
void rt_weights_copy_keep(struct weights_copy *w, const struct cnn_context *c);
void rt_weights_copy_restore(const struct weights_copy *w, struct cnn_context *c);
/* To a saved state and back, under the name.  0, or -1 with a message. */
void rt_weights_copy_save(const struct weights_copy *w, struct state *s, const char *name);
int rt_weights_copy_load(struct weights_copy *w, const struct state *s, const char *name);

#endif
