/* cnn_random.h - random numbers by counting: no state, so the same for every thread count and
 * vector length.
 *
 * A number is a hash of a key (run, step, stream) and the element's index.  The two multipliers are
 * those of C. Wellons' lowbias32 (https://github.com/skeeto/hash-prospector), found there by search
 * for least bias. */
#ifndef CNN_RANDOM_H
#define CNN_RANDOM_H

/* The key of one stream of numbers (a dropout layer) at one step of a run. */
CNN_INLINE uint64_t cnn_key(uint64_t seed, uint64_t step, uint32_t stream)
{
    uint64_t parts[3] = { seed, step, stream };
    uint64_t h = 0;
    for (int i = 0; i < 3; i++) {       /* one round of splitmix64 for each part */
        h += parts[i] + UINT64_C(0x9e3779b97f4a7c15);
        h = (h ^ (h >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        h = (h ^ (h >> 27)) * UINT64_C(0x94d049bb133111eb);
        h ^= h >> 31;
    }
    return h;
}

/* 32 bits for the element; indices count modulo 2^32. */
CNN_INLINE uint32_t cnn_hash(uint64_t key, int64_t index)
{
    uint32_t x = (uint32_t)index ^ (uint32_t)key;
    x = (x ^ (x >> 16)) * UINT32_C(0x7feb352d);
    x = ((x ^ (x >> 15)) + (uint32_t)(key >> 32)) * UINT32_C(0x846ca68b);
    return x ^ (x >> 16);
}

/* Lane l keeps x * scale where cnn_hash(key, index + l) >= threshold, else it is 0.  threshold: the
 * fraction dropped times 2^32. */
CNN_INLINE v v_dropout(v x, uint64_t key, int64_t index, uint32_t threshold, real scale)
{
    vu h = vu_xor(vu_from((uint32_t)index), vu_set((uint32_t)key));
    h = vu_mul(vu_xor(h, vu_shr(h, 16)), vu_set(UINT32_C(0x7feb352d)));
    h = vu_mul(vu_add(vu_xor(h, vu_shr(h, 15)), vu_set((uint32_t)(key >> 32))),
               vu_set(UINT32_C(0x846ca68b)));
    h = vu_xor(h, vu_shr(h, 16));
    return v_select(vu_ge(h, vu_set(threshold)), v_mul(x, v_set(scale)), v_zero());
}

#endif
