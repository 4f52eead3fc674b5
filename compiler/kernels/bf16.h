/* bf16.h - what kernels of `precision bf16` share: maps and weights that become pairs of bfloat16. */
#ifndef BF16_H
#define BF16_H

#include "steps/kernel.h"

/* Pairs that so many numbers make. */
int64_t bf16_pairs_of(int64_t numbers);
/* Writes: the map `from` (h x w x c) becomes pairs of channels in `to` (ph x pw x pairs of c) with zeros around.  Its
 * top left corner at (top, left) of `to`, none of them negative; rows and columns beyond ph, pw are left out. */
void emit_pairs_copy(struct emitter *e, const char *from, const char *to, int h, int w, int c, int top, int left,
                     int ph, int pw);
/* Cycles of one core for such copies of so many numbers. */
double pairs_copy_cycles(const struct plan *p, double numbers);

#endif
