/* cnn_bf16.h - products of pairs of bfloat16 numbers, summed in float: `precision bf16`.  cnn_vec.h includes it where
 * CNN_BF16 is defined; it needs float vectors.
 *
 * A bfloat16 number is the upper half of a float.  Two of them, the first in the lower half, lie in the place of one
 * real, so that vectors of pairs are loaded, broadcast and stored as vectors of reals are:
 *
 *   bf16_pair                what a pair lies in; as a number it means nothing
 *   v_dot(a, b, c)           c plus the two products of each lane's pairs
 *   v_pair(low, high)        both vectors rounded: lane by lane a pair
 *   bf16_pair_of(low, high)  the same of two numbers
 *   bf16_pairs(from, to, n)  n numbers that lie side by side become (n + 1) / 2 pairs; of an odd one the other is 0
 *   bf16_join(low, high, to, n)      n pairs of two rows; high may be NULL: of 0
 *   bf16_rows(from, row, to, rows, width)    of each two rows of `width` numbers, `row` apart, a row of pairs; those lie one after
 *                            the other, and `to` may be `from`
 *
 * v_dot is the instruction vdpbf16ps where the compiler's flags allow it (-mavx512bf16), and elsewhere what Intel
 * documents of it: two fused multiply-adds, the upper halves first, each rounded to nearest even, numbers below the
 * normal range taken as 0 before and after.  (That last comes of the mode that a trainer's threads compute in.) So it
 * is the same bits, but for which NaN a NaN is.  Rounding is that of vcvtneps2bf16: to nearest even, infinities and NaN
 * stay what they are, numbers below the normal range become 0. */
#ifndef CNN_BF16_H
#define CNN_BF16_H

#ifdef CNN_DOUBLE
#error "pairs of bfloat16 lie in floats: CNN_BF16 and CNN_DOUBLE exclude each other"
#endif

typedef float bf16_pair;

#if defined CNN_TARGET_X86_64_V4 && defined __AVX512BF16__
#define CNN_BF16_NATIVE 1
#define CNN_BF16_PRECISION "bf16 (vdpbf16ps)"
#else
#define CNN_BF16_NATIVE 0
#define CNN_BF16_PRECISION "bf16 (emulated, slow)"
#endif

CNN_INLINE uint32_t cnn_bf16_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    const uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u)
        return bits >> 16 | 0x40u;      /* the NaN made quiet: its lower half may have been all of it */
    if (magnitude < 0x00800000u)
        return bits >> 16 & 0x8000u;
    return (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
}

CNN_INLINE bf16_pair bf16_pair_of(float low, float high)
{
    const uint32_t bits = cnn_bf16_bits(high) << 16 | cnn_bf16_bits(low);
    bf16_pair pair;
    memcpy(&pair, &bits, sizeof pair);
    return pair;
}

#if CNN_BF16_NATIVE

CNN_INLINE v v_dot(v a, v b, v c)
{
    return _mm512_dpbf16_ps(c, (__m512bh)_mm512_castps_si512(a), (__m512bh)_mm512_castps_si512(b));
}

CNN_INLINE v v_pair(v low, v high)
{
    __m512i l = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(low));
    __m512i h = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(high));
    return _mm512_castsi512_ps(_mm512_or_si512(l, _mm512_slli_epi32(h, 16)));
}

CNN_INLINE void bf16_pairs(const float *from, bf16_pair *to, int n)
{
    int i = 0;
    for (; i + 32 <= n; i += 32) {
        __m512bh pairs = _mm512_cvtne2ps_pbh(_mm512_loadu_ps(from + i + 16), _mm512_loadu_ps(from + i));
        _mm512_storeu_si512(to + i / 2, (__m512i)pairs);
    }
    for (; i < n; i += 2)
        to[i / 2] = bf16_pair_of(from[i], i + 1 < n ? from[i + 1] : 0);
}

#else

/* a * b + c, rounded once whatever the target has. */
CNN_INLINE v cnn_fused(v a, v b, v c)
{
#if defined CNN_TARGET_X86_64_V4 || defined CNN_TARGET_X86_64_V3 || defined CNN_TARGET_AARCH64
    return v_fma(a, b, c);
#else
    float x[V_LANES], y[V_LANES], z[V_LANES];
    v_store(x, a);
    v_store(y, b);
    v_store(z, c);
    for (int i = 0; i < V_LANES; i++)
        z[i] = fmaf(x[i], y[i], z[i]);
    return v_load(z);
#endif
}

CNN_INLINE v cnn_bf16_low(v x) { return v_of_bits(vu_shl(v_bits(x), 16)); }
CNN_INLINE v cnn_bf16_high(v x) { return v_of_bits(vu_shl(vu_shr(v_bits(x), 16), 16)); }

CNN_INLINE v v_dot(v a, v b, v c)
{
    c = cnn_fused(cnn_bf16_high(a), cnn_bf16_high(b), c);
    return cnn_fused(cnn_bf16_low(a), cnn_bf16_low(b), c);
}

/* As cnn_bf16_bits(), in the lower halves. */
CNN_INLINE vu cnn_bf16_words(v x)
{
    const vu bits = v_bits(x), odd = vu_shr(vu_shl(bits, 15), 31);
    v rounded = v_of_bits(vu_add(bits, vu_add(vu_set(0x7fffu), odd)));
    rounded = v_select(v_lt(v_abs(x), v_set(FLT_MIN)), v_copysign(v_zero(), x), rounded);
    return vu_shr(v_bits(v_select(v_eq(x, x), rounded, v_add(x, x))), 16);
}

CNN_INLINE v v_pair(v low, v high)
{
    return v_of_bits(vu_add(cnn_bf16_words(low), vu_shl(cnn_bf16_words(high), 16)));
}

CNN_INLINE void bf16_pairs(const float *from, bf16_pair *to, int n)
{
    for (int i = 0; i < n; i += 2)
        to[i / 2] = bf16_pair_of(from[i], i + 1 < n ? from[i + 1] : 0);
}

#endif

CNN_INLINE void bf16_join(const float *low, const float *high, bf16_pair *to, int n)
{
    int i = 0;
    for (; i + V_LANES <= n; i += V_LANES)
        v_store(to + i, v_pair(v_load(low + i), high ? v_load(high + i) : v_zero()));
    for (; i < n; i++)
        to[i] = bf16_pair_of(low[i], high ? high[i] : 0);
}

CNN_INLINE void bf16_rows(const float *from, int row, bf16_pair *to, int rows, int width)
{
    for (int r = 0; r < rows; r += 2) {
        const float *const low = from + (size_t)r * (size_t)row;
        bf16_join(low, r + 1 < rows ? low + row : NULL, to + (size_t)(r / 2) * (size_t)width, width);
    }
}
#endif
