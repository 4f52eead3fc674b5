/* emit.h - the parts of the emitted file, in the order of emit_source(). */
#ifndef EMIT_H
#define EMIT_H

#include "base/inputs.h"
#include "steps/kernel.h"

/* emit.c: the functions of a program's steps, by number of the step. */
struct emitted_function **emit_steps(struct emitter *e, const struct program *q);
/* emit_call.c: "x + (size_t)i * 3072, w, y": what a call of the step is given, where `i` is the first image, `b` the
 * block, `g` the group of images, `j` the time of repeated phases. */
const char *emit_arguments(struct emitter *e, const struct step *s);
/* "(N, 31, 31, 128)", without N for one sample of the batch. */
const char *emit_tensor_shape(struct emitter *e, const struct tensor *t, bool batch);
/* Adds the shapes of what a step is given to the comment of its function. */
void emit_step_shapes(struct emitter *e, const struct step *s, const char *name);
/* "memset(dw, 0, ...)": what is done before the first image of a group; "": nothing. */
const char *emit_clearing(struct emitter *e, const struct step *s);
/* emit_schedule.c: the names of what is timed, e->stretches; an enum of them, and the clock. */
void emit_name_stretches(struct emitter *e);
void emit_stopwatch(struct emitter *e, struct cwriter *w);
/* static double loss_sum(const float *losses, int n). */
void emit_loss_sum(const struct plan *p, struct cwriter *w);
/* static double penalty(const struct cnn_context *c), of l2, where layers have it, and what makes its sums. */
void emit_penalty(struct emitter *e, struct cwriter *w);
/* "loss_sum(losses, n)", with what l2 adds: the loss of a batch once its phases are over. */
const char *emit_batch_loss(struct emitter *e, const struct program *q);
/* static void NAME(struct cnn_context *c, int n), and what it is made of, of e->program, whose steps e->called are. */
void emit_schedule(struct emitter *e, struct cwriter *w, const char *name, const char *comment);
/* What of all this is where in the file, layer by layer. */
void emit_contents(struct emitter *e, struct cwriter *w);
/* emit_epochs.c: functions that say in which epochs steps are done; what stands between the next two is done in those,
 * NULL: in all. */
void emit_epochs(struct emitter *e, struct cwriter *w);
void emit_epochs_begin(struct cwriter *w, const struct epochs *epochs);
void emit_epochs_end(struct cwriter *w, const struct epochs *epochs);
/* emit_update.c: static void update(struct cnn_context *c). */
void emit_update(struct emitter *e, struct cwriter *w);
/* The function it is made of, which steps that update early call too. */
void emit_update_range(struct emitter *e, struct cwriter *w);
/* emit_muon.c: the functions of the matrices that are orthogonalised, e->muon; and their calls, in update_share(). */
void emit_muon_functions(struct emitter *e);
void emit_muon(struct emitter *e, struct cwriter *w);
/* What a training step does before all else, where a condition (C text that ends in "&& ", or nothing) holds. */
void emit_update_begins(struct emitter *e, struct cwriter *w, const char *when);
/* `rules`: this step's numbers, by group; `early`, when the losses are known: NULL or a pointer to them. */
void emit_rule(struct emitter *e, struct cwriter *w);
void emit_early_rule(struct emitter *e, struct cwriter *w);
/* emit_metrics.c: static void metrics(const struct cnn_context *c, int n, double *values). */
void emit_metrics(struct emitter *e, struct cwriter *w);
/* emit_rate.c: static double lr_schedule(const struct cnn_moment *at), where the recipe has one. */
void emit_rate(struct emitter *e, struct cwriter *w);
/* emit_tables.c: the constant tables, the model, main(). */
void emit_tables(struct emitter *e, struct cwriter *w);
/* emit_tables.c: an #error where the included header is that of another network. */
void emit_header_check(const struct plan *p, const char *header, struct cwriter *w);
/* emit_recipe.c: the tables of what `data` and `train` say. */
void emit_recipe_tables(struct emitter *e, struct cwriter *w);
/* emit_recipe.c: the fields `.data` and `.train` of the model, made of them. */
void emit_recipe_fields(struct emitter *e, struct cwriter *w);

/* The C file, which includes its header by that name; NULL: it has none. */
void emit_source(const struct plan *p, const char *header, FILE *out);
/* The header of that name, for the C file of that name. */
void emit_header(const struct plan *p, const char *header, const char *file, FILE *out);
/* The C file of a trainer and its header beside it; a stream is given the C file alone, which then asks for no header.
 * The exit status. */
int emit_files(struct arena *a, const char *path, const struct plan *p, const char *depfile, const struct inputs *in);

/* ---- text: emit_text.c ----------------------------------------------------------------------- */

/* A number as a C constant of type double that reads back as the same: "0.001", "2.0". */
const char *emit_number(struct emitter *e, double x);
/* A C string literal, or NULL for NULL. */
const char *emit_quoted(struct emitter *e, const char *text);
/* One statement at that depth, broken at spaces where it is longer than a line. */
void emit_wrapped(struct emitter *e, struct cwriter *w, int depth, const char *text);
/* A text as elements of an array of strings, one a line of it, long ones broken: C promises room for 4095 bytes in one
 * string. */
void emit_strings(struct emitter *e, struct cwriter *w, const char *text);
/* "X" in capital letters. */
const char *emit_capitals(struct emitter *e, const char *text);

#endif
