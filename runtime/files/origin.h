/* origin.h - where weights come from: after how much training they were what they are, and what chose them among those
 * of other epochs.  Files of weights say it in their metadata, so that whoever uses one can be told. */
#ifndef ORIGIN_H
#define ORIGIN_H

#include "files/state.h"
#include "formats/safetensors.h"

struct weights_origin {
    int64_t epochs;             /* whole ones */
    int64_t samples;            /* of the epoch after them */
    int64_t steps;              /* in all; 0: nothing is known */
    char *monitor;              /* by whose value they were chosen, malloc'd; NULL: they were the newest */
    double value;
};

void rt_origin_free(struct weights_origin *o);
/* Weights that have just been trained: what chose those before did not choose them. */
void rt_origin_set(struct weights_origin *o, int64_t epochs, int64_t samples, int64_t steps);
/* They are chosen by a value, or, with monitor NULL, not any more. */
void rt_origin_choose(struct weights_origin *o, const char *monitor, double value);

void rt_origin_copy(struct weights_origin *to, const struct weights_origin *from);

/* "of epoch 3, the best by val_loss (0.6904)"; malloc'd, NULL where memory is short. */
char *rt_origin_text(const struct weights_origin *o);

/* To a file's metadata and back.  The pairs' values are malloc'd.  Writing returns how many pairs it are, -1 where
 * memory is short; what a file does not say is not known afterwards. */
enum { ORIGIN_PAIRS = 5 };
int rt_origin_write(const struct weights_origin *o, struct text_pair pairs[ORIGIN_PAIRS]);
void rt_origin_read(struct weights_origin *o, const struct tensor_file *f);

/* To a saved state and back; a state that does not say it leaves *o as it is. */
void rt_origin_save(const struct weights_origin *o, struct state *s);
void rt_origin_load(struct weights_origin *o, const struct state *s);

#endif
