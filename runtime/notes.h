/* notes.h - what a weights file says beside weights, so that it can be used where the data are not:
 * the names of the classes, what `normalize auto` found in the training set, and where the weights come from. */
#ifndef NOTES_H
#define NOTES_H

#include "data.h"
#include "origin.h"
#include "safetensors.h"

struct weights_notes {
    char **class_names;         /* (model's classes), NULL: not known */
    double *mean, *std; /* (channels) of what arrives at `normalize auto`, NULL: not known */
    struct weights_origin origin;
};

/* The notes of an open network. */
struct weights_notes *rt_notes(const struct cnn_context *c);
void rt_notes_free(struct weights_notes *notes, const struct cnn_model *model);

/* Takes from the data what they tell: names, and the training set's mean and deviation.  anew: what
 * the weights said before is replaced (training), and where they come from is forgotten; otherwise it stays, and class names that differ
 * are an error.  0, or -1 with a message. */
int rt_notes_learn(struct cnn_context *c, const struct dataset *d, bool anew);

/* Whether the training set is needed for that. */
bool rt_notes_need_training(const struct cnn_context *c, bool anew);

/* To a file's metadata and back.  The pairs' values are malloc'd; at most NOTES_PAIRS. */
enum { NOTES_PAIRS = 2 + ORIGIN_PAIRS };
int rt_notes_write(const struct cnn_context *c,
                   struct text_pair pairs[NOTES_PAIRS]); /* how many; -1: failed */
/* Replaces the notes by the file's.  What is missing there is not known afterwards; what makes no
 * sense is an error, -1 with a message, and nothing is changed. */
int rt_notes_read(struct cnn_context *c, const struct tensor_file *f, const char *path);

#endif
