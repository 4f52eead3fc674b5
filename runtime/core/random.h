/* random.h - random numbers by position: the i-th number of a stream is a function of (key, i)
 * alone.
 *
 * No state is kept, so the order in which numbers are asked for, and by which thread, cannot change
 * them.  Every use has a stream of its own; a key is made from the run's seed, the use and an index
 * (which parameter, which epoch, which picture).
 */
#ifndef RANDOM_H
#define RANDOM_H

#include <stdint.h>

enum random_use {
    RANDOM_INIT = 1,        /* index: parameter */
    RANDOM_SHUFFLE,         /* index: epoch */
    RANDOM_SHAPES,          /* index: picture */
    RANDOM_BENCH,           /* index: 0 pixels, 1 labels */
    RANDOM_GRADCHECK,       /* index: what is drawn */
    RANDOM_SPLIT,           /* index: 0; a stream a class inside it */
    RANDOM_LIMIT,           /* likewise */
    RANDOM_AUGMENT,         /* index: epoch; a stream a sample inside it, a stream a step inside that */
    RANDOM_LASTING,         /* index: 0; likewise, for what is drawn once for all epochs */
    RANDOM_MIX,             /* index: epoch; a stream a batch inside it, a stream a step inside that */
    RANDOM_SHARE            /* index: share of a batch; its streams are a seed's */
};

uint64_t rt_random_key(uint64_t seed, enum random_use use, uint64_t index);
/* A stream inside a stream. */
uint64_t rt_random_subkey(uint64_t key, uint64_t index);

uint64_t rt_random_bits(uint64_t key, uint64_t i);
double rt_random_uniform(uint64_t key, uint64_t i);             /* [0, 1), multiples of 2^-53 */
uint64_t rt_random_below(uint64_t key, uint64_t i, uint64_t n); /* 0 .. n-1; n > 0 */
double rt_random_normal(uint64_t key, uint64_t i);              /* mean 0, deviation 1 */
/* One number of each stream. */
double rt_random_log_gamma(uint64_t key, double shape);         /* the logarithm of a gamma number; shape > 0 */
double rt_random_beta(uint64_t key, double a, double b);        /* mean a / (a + b); a, b > 0 */

#endif
