/* confusion.h - how often each class was taken for each other one, or each label was given rightly, and what follows
 * from it. */
#ifndef CONFUSION_H
#define CONFUSION_H

#include "cnnrt.h"

struct confusion {
    int classes;                /* or labels */
    bool labels;                /* any of them at once */
    int64_t *counts;            /* (classes, classes): right class, predicted class; of labels NULL */
    int64_t *found;             /* (classes) samples of the class that were taken for it */
    int64_t *support;           /* (classes) samples of the class */
    int64_t *predicted;         /* (classes) samples taken for it */
    int64_t samples, hits;      /* hits: samples taken for their class, or all labels of which were given rightly */
};

/* Of one class; 0 where nothing is divided by nothing. */
struct class_scores {
    double precision, recall, f1;
};

/* 0, or -1 with a message. */
int rt_confusion_open(struct confusion *m, int classes, bool labels);
void rt_confusion_close(struct confusion *m);
void rt_confusion_begin(struct confusion *m);
/* Takes up the batch that has just been computed: a sample's class is the most probable one, the
 * first of equals; its labels are those whose probability is above a half. */
void rt_confusion_add(struct confusion *m, const struct cnn_context *c, int n);

/* The most probable class of sample i of the batch, and its probability. */
int rt_most_probable(const struct cnn_context *c, int i, double *probability);

/* The counts so far, to a saved state and back.  0, or -1 with a message. */
struct state;
void rt_confusion_save(const struct confusion *m, struct state *s);
int rt_confusion_load(struct confusion *m, const struct state *s);
bool rt_confusion_has(const struct confusion *m, const struct state *s);     /* whether it has some */

struct class_scores rt_confusion_class(const struct confusion *m, int class_index);
/* Over the classes or labels that occur, among the right answers or the predictions.  Micro: of all decisions together;
 * where each sample has one class, all three are the accuracy. */
struct class_scores rt_confusion_scores(const struct confusion *m, enum cnn_average average);

#endif
