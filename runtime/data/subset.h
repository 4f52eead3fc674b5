/* subset.h - which samples of a set are drawn: `split` and `limit`.  What is drawn depends on the
 * labels, the numbers given and a seed of its own, never on the training seed. */
#ifndef SUBSET_H
#define SUBSET_H

#include "data/data.h"

/* Marks in drawn[count], which is zeroed first, the round(fraction * n) samples that each class of
 * n gives; a half is rounded up, and a class keeps at least one.  Returns how many, or -1 with a
 * message. */
int64_t rt_subset_share(const uint16_t *labels, int64_t count, int classes, double fraction,
                        uint64_t seed, uint8_t *drawn);

/* Marks `limit` samples, of each class the same number; what does not divide goes to the first
 * classes, and what a small class lacks to the others.  limit 0, or no less than count: all.
 * Returns how many, or -1. */
int64_t rt_subset_limit(const uint16_t *labels, int64_t count, int classes, int64_t limit,
                        uint64_t seed, uint8_t *drawn);

/* What `split` and `limit` of a recipe ask for. */
struct subset_recipe {
    bool splits;
    double fraction;
    int64_t train, val;         /* 0: no limit */
    uint64_t split_seed, limit_seed;
};
struct subset_recipe rt_subset_recipe(const struct cnn_model *model);

enum subset_part { SUBSET_NONE, SUBSET_TRAIN, SUBSET_VAL };

/* Where each sample of the training set goes: part[count].  held_out: the set that validates where
 * nothing is split off, labels NULL where there is none; its samples go to SUBSET_VAL or nowhere in
 * held_part.  With a split the held-out set stays whole (and tests).  0, or -1 with a message. */
int rt_subset_divide(const struct subset_recipe *r, int classes, const uint16_t *labels,
                     int64_t count, uint8_t *part, const uint16_t *held_out, int64_t held_count,
                     uint8_t *held_part);

#endif
