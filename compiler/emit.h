/* emit.h - the parts of the emitted file, in the order of emit_source(). */
#ifndef EMIT_H
#define EMIT_H

#include "kernel.h"

/* emit_functions.c: all functions gathered so far, from number `first` on. */
void emit_functions(struct emitter *e, struct cwriter *w, FILE *out, int first);
/* emit_update.c: static void update(struct cnn_context *c). */
void emit_update(struct emitter *e, struct cwriter *w);
/* emit_metrics.c: static void metrics(const struct cnn_context *c, int n, double *values). */
void emit_metrics(struct emitter *e, struct cwriter *w);
/* emit_tables.c: the constant tables, the model, main(). */
void emit_tables(struct emitter *e, struct cwriter *w);

#endif
