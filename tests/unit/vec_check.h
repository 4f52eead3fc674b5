/* vec_check.h - what the tests of vector primitives share (test_vec.c, test_bf16.c): checks that count, random bits. */
#ifndef VEC_CHECK_H
#define VEC_CHECK_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static int failures;

#define CHECK(condition, ...)                                                                                          \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            printf("FAILED %s:%d: ", __func__, __LINE__);                                                              \
            printf(__VA_ARGS__);                                                                                       \
            printf("\n");                                                                                              \
            if (++failures > 20)                                                                                       \
                exit(1);                                                                                               \
        }                                                                                                              \
    } while (0)

#define RANDOM_FIRST UINT64_C(88172645463325252)

static uint64_t random_state = RANDOM_FIRST;

static uint64_t random_bits(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

#endif
