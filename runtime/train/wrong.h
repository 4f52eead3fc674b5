/* wrong.h - which pictures of a set were taken for another class than theirs: `evaluate --wrong`. */
#ifndef WRONG_H
#define WRONG_H

#include "data/data.h"

struct wrong_picture {
    int64_t number;             /* in its split */
    int class, taken_for;
    double probability;         /* of taken_for */
};

struct wrong_list {
    struct wrong_picture *items;
    int64_t count, room;
};

/* Takes up what of the batch of n that infer() has just computed was taken for something else; its first sample is
 * number `first` of the split.  0, or -1 with a message. */
int rt_wrong_add(struct wrong_list *l, const struct cnn_context *c, int n, int64_t first);
/* As CSV, whole or not at all; names: of the classes, or NULL.  0, or -1 with a message. */
int rt_wrong_write(const struct wrong_list *l, const char *path, const struct split *split, char *const *names);
void rt_wrong_free(struct wrong_list *l);

#endif
