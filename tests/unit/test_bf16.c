/* test_bf16.c - products of pairs of bfloat16 on one target, against what Intel documents of vdpbf16ps and
 * vcvtneps2bf16; and the same bits on every target, the instruction's among them.
 *
 * Compiled once for each target by test_vec.sh, in float. */
#define CNN_BF16 1
#include <cnn_vec.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "vec_check.h"

static uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static float of_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* As the threads of a trainer compute: numbers below the normal range are 0. */
static void flush_small_numbers(void)
{
#if defined __x86_64__
    __builtin_ia32_ldmxcsr(__builtin_ia32_stmxcsr() | 0x8040u);
#elif defined __aarch64__
    uint64_t mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    __asm__ volatile("msr fpcr, %0" : : "r"(mode | (UINT64_C(1) << 24)));
#endif
}

/* ---- rounding ---------------------------------------------------------------------------------------------------- */

/* The nearer one of the two neighbours, by their distance; of two as near the one whose last bit is 0. */
static uint32_t nearest(float x)
{
    uint32_t bits = bits_of(x), low = bits >> 16, high = low + 1;
    uint32_t past = bits & 0xffffu;
    if ((bits & 0x7f800000u) == 0)
        return low & 0x8000u;
    if ((bits & 0x7f800000u) == 0x7f800000u)
        return low;
    return past < 0x8000u || (past == 0x8000u && low % 2 == 0) ? low : high;
}

static void test_rounding(void)
{
    static const uint32_t fixed[][2] = {
        { 0x3f800000u, 0x3f80u }, { 0x3f808000u, 0x3f80u }, { 0x3f818000u, 0x3f82u }, { 0x3f808001u, 0x3f81u },
        { 0x7f7fffffu, 0x7f80u }, { 0xff800000u, 0xff80u }, { 0x00000001u, 0 }, { 0x807fffffu, 0x8000u },
        { 0x00800000u, 0x0080u }, { 0x80000000u, 0x8000u },
    };
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        CHECK(cnn_bf16_bits(of_bits(fixed[i][0])) == fixed[i][1], "0x%08x becomes 0x%04x", (unsigned)fixed[i][0],
              (unsigned)cnn_bf16_bits(of_bits(fixed[i][0])));
    for (int i = 0; i < 200000; i++) {
        float low[V_LANES], high[V_LANES], pairs[V_LANES];
        for (int l = 0; l < V_LANES; l++) {
            low[l] = of_bits((uint32_t)random_bits());
            high[l] = of_bits(i % 2 ? (uint32_t)random_bits() : bits_of(low[l]) << 16);
        }
        v_store(pairs, v_pair(v_load(low), v_load(high)));
        for (int l = 0; l < V_LANES; l++) {
            uint32_t is = bits_of(pairs[l]), bits = bits_of(low[l]);
            CHECK(is == bits_of(bf16_pair_of(low[l], high[l])), "v_pair and bf16_pair_of of 0x%08x, 0x%08x",
                  (unsigned)bits, (unsigned)bits_of(high[l]));
            if ((bits & 0x7fffffffu) > 0x7f800000u)
                CHECK((is & 0x7fffu) > 0x7f80u, "NaN 0x%08x becomes 0x%04x", (unsigned)bits, (unsigned)(is & 0xffffu));
            else
                CHECK((is & 0xffffu) == nearest(low[l]), "0x%08x becomes 0x%04x", (unsigned)bits,
                      (unsigned)(is & 0xffffu));
        }
    }
}

static void test_pairs(void)
{
    for (int n = 1; n <= 70; n++) {
        float from[72], to[40];
        for (int i = 0; i < n; i++)
            from[i] = (float)(random_bits() % 2001) - 1000;
        to[(n + 1) / 2] = 7;
        bf16_pairs(from, to, n);
        for (int i = 0; i < (n + 1) / 2; i++)
            CHECK(bits_of(to[i]) == bits_of(bf16_pair_of(from[2 * i], 2 * i + 1 < n ? from[2 * i + 1] : 0)),
                  "pair %d of %d numbers", i, n);
        CHECK(to[(n + 1) / 2] == 7, "%d numbers write too far", n);
    }
}

/* ---- products ---------------------------------------------------------------------------------------------------- */

static float dot(uint32_t a, uint32_t b, float c)
{
    c = fmaf(of_bits(a & 0xffff0000u), of_bits(b & 0xffff0000u), c);
    return fmaf(of_bits(a << 16), of_bits(b << 16), c);
}

static float lane(uint32_t a, uint32_t b, float c)
{
    float result[V_LANES];
    v_store(result, v_dot(v_set(of_bits(a)), v_set(of_bits(b)), v_set(c)));
    return result[0];
}

/* What tells the documented order from any other. */
static void test_order(void)
{
    /* 2^24 + (1 + 1): each 1 is lost to an even 2^24 when it is added by itself, and would not be if they were added
     * first */
    CHECK(lane(0x3f803f80u, 0x3f803f80u, 0x1p24f) == 0x1p24f, "1 and 1 are added before they meet the sum");
    /* the upper product first: -2^24 cancels before the lower 1 comes */
    CHECK(lane(0xcb803f80u, 0x3f803f80u, 0x1p24f) == 1, "the upper product does not come first");
    CHECK(lane(0x3f80cb80u, 0x3f803f80u, 0x1p24f) == 0, "the lower product comes first");
    /* fused: 1 + 2^-7 squared is 1 + 2^-6 + 2^-14, of which -(1 + 2^-6) leaves the last term */
    CHECK(lane(0x00003f81u, 0x00003f81u, -0x1.04p0f) == 0x1p-14f, "a product is rounded before it is added");
    /* numbers below the normal range count as 0, and so do results */
    CHECK(lane(0x00000001u, 0x00007f00u, 0) == 0, "a factor below the normal range");
    CHECK(lane(0x00000080u, 0x00003f00u, 0) == 0, "a product below the normal range");
    CHECK(lane(0, 0, of_bits(0x00000001u)) == 0, "a sum below the normal range");
}

static void test_dot(void)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    float sum = 0;
    random_state = RANDOM_FIRST;        /* what was drawn before depends on the lanes */
    for (int i = 0; i < 400000; i++) {
        /* near 1, and now and then anything */
        uint32_t spread = i % 8 ? 0x83ff83ffu : 0xffffffffu, one = i % 8 ? 0x3c003c00u : 0;
        uint32_t a = ((uint32_t)random_bits() & spread) + one, b = ((uint32_t)random_bits() & spread) + one;
        if (i % 64 == 0)
            sum = of_bits((uint32_t)random_bits());
        float wanted = dot(a, b, sum), is = lane(a, b, sum);
        CHECK(isnan(wanted) ? isnan(is) : bits_of(is) == bits_of(wanted), "0x%08x . 0x%08x + %.9g is %.9g, not %.9g",
              (unsigned)a, (unsigned)b, (double)sum, (double)is, (double)wanted);
        hash = (hash ^ (isnan(is) ? 0x7fc00000u : bits_of(is))) * UINT64_C(0x100000001b3);
        sum = isnan(is) || isinf(is) ? 1 : is;
    }
    CHECK(hash == UINT64_C(0x3ae3a63a2b5fef18), "the bits have changed: 0x%016llx", (unsigned long long)hash);
}

/* Whether this machine has the instructions of the target. */
static bool machine_serves(void)
{
#if CNN_BF16_NATIVE
    return __builtin_cpu_supports("avx512bf16");
#elif defined CNN_TARGET_X86_64_V4
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#elif defined CNN_TARGET_X86_64_V3
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#elif defined CNN_TARGET_X86_64_V2
    return __builtin_cpu_supports("sse4.2");
#else
    return true;
#endif
}

int main(void)
{
    if (!machine_serves())
        return 77;
    flush_small_numbers();
    test_rounding();
    test_pairs();
    test_order();
    test_dot();
    return failures != 0;
}
