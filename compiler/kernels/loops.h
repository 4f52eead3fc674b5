/* loops.h - what kernels share: the text of loads and stores, loops over vectors, passes of a chain. */
#ifndef LOOPS_H
#define LOOPS_H

#include "steps/kernel.h"

/* arena_printf in the emitter's arena. */
const char *text_printf(struct emitter *e, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A literal of type real that reads back as the same number: "0.1f", "0.1". */
const char *text_real(struct emitter *e, double x);
/* "a + b"; a or b "0" is left out. */
const char *text_plus(struct emitter *e, const char *a, const char *b);
/* a / by, without a division by one. */
const char *text_over(struct emitter *e, const char *a, int by);
/* a * by, without a multiplication by one; a number, or a name times one, is multiplied here. */
const char *text_times(struct emitter *e, const char *a, int64_t by);
/* " + offset"; nothing for 0. */
const char *text_offset(struct emitter *e, int64_t offset);
/* The same of a number that may be negative: " - 2". */
const char *text_shift(struct emitter *e, int64_t offset);
/* "v_load(p + at)", "v_load_tail(p + at, tail)" for tail != 0. */
const char *text_load(struct emitter *e, const char *p, const char *at, int tail);
const char *text_load_u8(struct emitter *e, const char *p, const char *at, int tail);

/* One output line that stores a vector. */
void line_store(struct emitter *e, const char *p, const char *at, const char *value, int tail);
void line_store_u8(struct emitter *e, const char *p, const char *at, const char *value, int tail);

/* Opens the loop of an int from `first` on, below `end`; where it has one turn only, a block with that number.  To be
 * closed with "}". */
void loop_open(struct emitter *e, const char *variable, int64_t first, int64_t end, int64_t step);
/* The same from 0, a vector at a time. */
void loop_open_vectors(struct emitter *e, const char *variable, int64_t end);

/* One output line: the mask `inside` of the first `tail` lanes. */
void line_inside(struct emitter *e, struct cwriter *w, int tail);

/* Writes body once in a loop over the whole vectors of count elements and once for the rest.  at: C text of the
 * vector's first element; tail: lanes in use, 0 for all.  index: the loop's variable. */
void each_vector(struct emitter *e, const char *index, int64_t count,
                 void (*body)(struct emitter *e, const void *data, const char *at, int tail), const void *data);

/* to = chain(from) over one image of `pixels` x `channels`, both dense; they may be the same memory.  offset: C
 * text of the image's first element from where from, to and the chain's elements point, "0" for none. */
void chain_over_image(struct emitter *e, const struct chain *c, const char *from, const char *to,
                      const char *offset, int64_t pixels, int64_t channels);
/* The same where pixels of `from`, of `to` or of some operand are further apart than their channels: x and y are the
 * tensors of the two pointers. */
void chain_over_places(struct emitter *e, const struct chain *c, const char *from, const struct tensor *x,
                       const char *to, const struct tensor *y);
/* Whether there is such a tensor among them. */
bool chain_is_strided(struct emitter *e, const struct chain *c, const struct tensor *x, const struct tensor *y);
/* Elements from one pixel of a tensor to the next; whether that is more than its channels. */
int64_t emit_pixel(const struct emitter *e, const struct tensor *t);
bool emit_is_strided(const struct emitter *e, const struct tensor *t);

/* "3x32x32" with the axes of a map, "512" for a vector; for function names. */
const char *text_shape(struct emitter *e, struct shape s);
/* Of one sample. */
int64_t tensor_pixels(const struct tensor *t);
int64_t tensor_elements(const struct tensor *t);
/* Reals from one row of a padded column buffer to the next: channels rounded up to whole vectors. */
int64_t padded_channels(const struct plan *p, const struct tensor *t);

/* Cycles of one core for a pass over a batch of tensors like t: `instructions` a vector beside the loads and
 * stores of `streams` tensors. */
double pass_cycles(const struct plan *p, const struct tensor *t, double instructions, double streams);

/* The weight of a sample's class, for the C text of its label: writes a table and a variable, and returns its name;
 * NULL: the loss node n has no weights of classes. */
const char *loss_weight(struct emitter *e, const struct node *n, const char *label);

/* flops of the main operation for a whole batch. */
int64_t group_flops(const struct plan *p, const struct group *g);

bool always_applicable(const struct plan *p, const struct group *g);

#endif
