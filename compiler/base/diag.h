/* diag.h - messages.  Every message has an id (diagnostics.def) so that tests can pin it. */
#ifndef DIAG_H
#define DIAG_H

#include <stdbool.h>
#include <stdio.h>
#include "base/source.h"

/* DIAG(id, severity): the ids of all messages, in diagnostics.def. */
enum diag_id {
#define DIAG(id) DIAG_##id,
#include "base/diagnostics.def"
#undef DIAG
    DIAG_COUNT
};

struct diag;        /* collects messages in source order, prints at most 20 errors */

struct diag *diag_new(struct arena *a);

/* An error or warning at a place.  The notes added after it (diag_note) belong to it. */
void diag_error(struct diag *d, enum diag_id id, struct span where, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void diag_warning(struct diag *d, enum diag_id id, struct span where, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void diag_note(struct diag *d, struct span where, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* A line without a place, after the caret: "did you mean 'maxpool2d'?" */
void diag_hint(struct diag *d, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Where what is looked at stands by being used from elsewhere: a block in a network, a round of a repeat.  Messages
 * keep what they were added within, and say it behind their notes. */
struct diag_context {
    const struct diag_context *outer;   /* NULL: nothing around it */
    struct span where;                  /* of the use */
    const char *text;                   /* "in the block 'residual', used here" */
    int depth;                          /* with those around it */
};

/* From now on messages are added within one more; what it was before, for diag_within(). */
const struct diag_context *diag_enter(struct diag *d, struct span where, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Makes it the context of what follows (NULL: none); what it was before. */
const struct diag_context *diag_within(struct diag *d, const struct diag_context *context);
const struct diag_context *diag_here(const struct diag *d);
/* An error within what stood around its place when that was looked at. */
void diag_error_within(struct diag *d, const struct diag_context *context, enum diag_id id, struct span where,
                       const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Forgets every message so far: one that says more takes their place. */
void diag_forget(struct diag *d);

int diag_errors(const struct diag *d);
void diag_print(const struct diag *d, FILE *out);

/* The candidate nearest in spelling to word, or NULL when none is near (for "did you mean"). */
const char *diag_nearest(const char *word, const char *const *candidates, int count);
/* Edits from one word to the other; letters of another case and '_' cost nothing. */
int diag_distance(const char *a, const char *b);

#endif
