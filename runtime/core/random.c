/* random.c - a keyed avalanche hash of a counter.
 *
 * The counter is spread over the word by the golden ratio, offset by the key and mixed; the result
 * is offset by the key again, its halves exchanged, and mixed once more.  One mixing of a plain
 * counter already passes the usual tests; the second keeps streams whose keys differ in few bits
 * from running in parallel.  The mixing function's shifts and factors are David Stafford's
 * thirteenth variant of MurmurHash3's finaliser
 * ("Better Bit Mixing", 2011).
 */
#include "core/random.h"

#include <math.h>

static const uint64_t golden = 0x9e3779b97f4a7c15u;     /* 2^64 / golden ratio, odd */

static uint64_t mix(uint64_t x)
{
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9u;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebu;
    x ^= x >> 31;
    return x;
}

uint64_t rt_random_bits(uint64_t key, uint64_t i)
{
    uint64_t turned = key << 32 | key >> 32;
    return mix(mix(i * golden + key) + turned);
}

uint64_t rt_random_subkey(uint64_t key, uint64_t index)
{
    return rt_random_bits(key ^ 0xa5a5a5a5a5a5a5a5u, index);
}

uint64_t rt_random_key(uint64_t seed, enum random_use use, uint64_t index)
{
    uint64_t key = mix(seed + golden);
    key = rt_random_subkey(key, (uint64_t)use);
    return rt_random_subkey(key, index);
}

double rt_random_uniform(uint64_t key, uint64_t i)
{
    return (double)(rt_random_bits(key, i) >> 11) * 0x1p-53;
}

/* Lemire's multiplication ("Fast Random Integer Generation in an Interval", 2019) without its
 * rejection: with n below 2^32 no value is favoured by more than 2^-32. */
uint64_t rt_random_below(uint64_t key, uint64_t i, uint64_t n)
{
    uint64_t bits = rt_random_bits(key, i);
    uint64_t high = (bits >> 32) * n, low = (bits & 0xffffffffu) * n >> 32;
    return (high + low) >> 32;
}

/* Box and Muller: the i-th normal number uses the uniform ones 2i and 2i + 1. */
double rt_random_normal(uint64_t key, uint64_t i)
{
    const double turn = 6.283185307179586477;
    double u = 1.0 - rt_random_uniform(key, 2 * i);     /* (0, 1] */
    double v = rt_random_uniform(key, 2 * i + 1);
    return sqrt(-2.0 * log(u)) * cos(turn * v);
}

/* Marsaglia and Tsang's method ("A Simple Method for Generating Gamma Variables", 2000), attempt by attempt.  Shapes
 * below 1 are those above times a power of a uniform number: in logarithms, since that may be less than any double. */
double rt_random_log_gamma(uint64_t key, double shape)
{
    double whole = shape < 1.0 ? shape + 1.0 : shape, d = whole - 1.0 / 3.0, c = 1.0 / sqrt(9.0 * d);
    double power = shape < 1.0 ? log(1.0 - rt_random_uniform(key, 0)) / shape : 0.0;
    uint64_t normals = rt_random_subkey(key, 1), uniforms = rt_random_subkey(key, 2);
    for (uint64_t i = 0;; i++) {
        double x = rt_random_normal(normals, i), root = 1.0 + c * x, v = root * root * root;
        if (root > 0.0 && log(1.0 - rt_random_uniform(uniforms, i)) < 0.5 * x * x + d - d * v + d * log(v))
            return log(d * v) + power;
    }
}

double rt_random_beta(uint64_t key, double a, double b)
{
    double x = rt_random_log_gamma(rt_random_subkey(key, 1), a), y = rt_random_log_gamma(rt_random_subkey(key, 2), b);
    return 1.0 / (1.0 + exp(y - x));
}
