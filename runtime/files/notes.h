/* notes.h - what a weights file says beside weights, so that it can be used where the data are not:
 * the names of the classes, what `normalize auto` found in the training set, and where the weights come from. */
#ifndef NOTES_H
#define NOTES_H

#include "data/data.h"
#include "data/pixels.h"
#include "files/origin.h"
#include "formats/safetensors.h"

struct weights_notes {
    char **class_names;         /* (target.size), NULL: not known */
    struct pixel_measure measure;
    struct weights_origin origin;
};

/* What an open network begins with: the caller's pointer to the context is one to this. */
struct noted_context {
    struct cnn_context context;
    struct weights_notes notes;
};

/* The notes of an open network. */
struct weights_notes *rt_notes(const struct cnn_context *c);
void rt_notes_free(struct weights_notes *notes, const struct cnn_model *model);

/* What the notes that an open network has count for. */
enum notes_use {
    NOTES_KEEP,                 /* they stay: the weights are used */
    NOTES_RESUME,               /* names stay, the training set is measured again: the run goes on */
    NOTES_START                 /* a new run starts from the weights, and replaces them */
};

/* Takes from the data what they tell: names, and the training set's mean and deviation.  Classes that
 * are not those that the weights were trained with are an error; for a new run, only where one has
 * changed its place, since a network may be trained further with other classes, and where the weights
 * come from is forgotten.  0, or -1 with a message. */
int rt_notes_learn(struct cnn_context *c, const struct dataset *d, enum notes_use use);

/* Whether the training set is needed for that. */
bool rt_notes_need_training(const struct cnn_context *c, enum notes_use use);

/* To a file's metadata and back.  The pairs' values are malloc'd; at most NOTES_PAIRS. */
enum { DATA_PAIRS = 2, NOTES_PAIRS = DATA_PAIRS + ORIGIN_PAIRS };
int rt_notes_write(const struct cnn_context *c,
                   struct text_pair pairs[NOTES_PAIRS]); /* how many; -1: failed */
/* Those that tell of the data, to a saved state, which rt_notes_read() takes for a file. */
void rt_notes_save(const struct cnn_context *c, struct state *s);
/* Replaces the notes by the file's.  What is missing there is not known afterwards; what makes no
 * sense is an error, -1 with a message, and nothing is changed.  partial: the last layer's weights are
 * not taken from the file, and its classes are none of this network's. */
int rt_notes_read(struct cnn_context *c, const struct tensor_file *f, const char *path, bool partial);

#endif
