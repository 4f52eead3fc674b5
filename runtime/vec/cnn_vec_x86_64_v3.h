/* cnn_vec_x86_64_v3.h - vectors of 32 bytes: AVX2 with FMA.  See cnn_vec.h. */
#ifndef CNN_VEC_X86_64_V3_H
#define CNN_VEC_X86_64_V3_H

#include <immintrin.h>

#ifdef CNN_DOUBLE
#define V_LANES 4
#define CNN_MM(name) _mm256_##name##_pd
typedef __m256d v;
typedef __m256d vm;
#else
#define V_LANES 8
#define CNN_MM(name) _mm256_##name##_ps
typedef __m256 v;
typedef __m256 vm;
#endif

/* All ones in the first n lanes; with a constant n a constant. */
CNN_INLINE __m256i cnn_first_lanes(int n)
{
#ifdef CNN_DOUBLE
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3));
#else
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
#endif
}

CNN_INLINE v v_zero(void) { return CNN_MM(setzero)(); }
CNN_INLINE v v_set(real x) { return CNN_MM(set1)(x); }
CNN_INLINE v v_load(const real *p) { return CNN_MM(loadu)(p); }
CNN_INLINE void v_store(real *p, v x) { CNN_MM(storeu)(p, x); }
CNN_INLINE v v_load_tail(const real *p, int n) { return CNN_MM(maskload)(p, cnn_first_lanes(n)); }
CNN_INLINE void v_store_tail(real *p, v x, int n) { CNN_MM(maskstore)(p, cnn_first_lanes(n), x); }

CNN_INLINE v v_add(v a, v b) { return CNN_MM(add)(a, b); }
CNN_INLINE v v_sub(v a, v b) { return CNN_MM(sub)(a, b); }
CNN_INLINE v v_mul(v a, v b) { return CNN_MM(mul)(a, b); }
CNN_INLINE v v_div(v a, v b) { return CNN_MM(div)(a, b); }
CNN_INLINE v v_max(v a, v b) { return CNN_MM(max)(a, b); }
CNN_INLINE v v_min(v a, v b) { return CNN_MM(min)(a, b); }
CNN_INLINE v v_neg(v x) { return CNN_MM(xor)(x, CNN_MM(set1)((real)-0.0)); }
CNN_INLINE v v_abs(v x) { return CNN_MM(andnot)(CNN_MM(set1)((real)-0.0), x); }
CNN_INLINE v v_copysign(v x, v sign)
{
    return CNN_MM(or)(v_abs(x), CNN_MM(and)(sign, CNN_MM(set1)((real)-0.0)));
}
CNN_INLINE v v_sqrt(v x) { return CNN_MM(sqrt)(x); }
CNN_INLINE v v_floor(v x) { return CNN_MM(round)(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
CNN_INLINE v v_round(v x)
{
    return CNN_MM(round)(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
CNN_INLINE v v_fma(v a, v b, v c) { return CNN_MM(fmadd)(a, b, c); }

CNN_INLINE vm v_gt(v a, v b) { return CNN_MM(cmp)(a, b, _CMP_GT_OQ); }
CNN_INLINE vm v_ge(v a, v b) { return CNN_MM(cmp)(a, b, _CMP_GE_OQ); }
CNN_INLINE vm v_lt(v a, v b) { return CNN_MM(cmp)(a, b, _CMP_LT_OQ); }
CNN_INLINE vm v_le(v a, v b) { return CNN_MM(cmp)(a, b, _CMP_LE_OQ); }
CNN_INLINE vm v_eq(v a, v b) { return CNN_MM(cmp)(a, b, _CMP_EQ_OQ); }
CNN_INLINE v v_select(vm m, v a, v b) { return CNN_MM(blendv)(b, a, m); }
CNN_INLINE vm vm_and(vm a, vm b) { return CNN_MM(and)(a, b); }
CNN_INLINE vm vm_or(vm a, vm b) { return CNN_MM(or)(a, b); }
/* A lane that is all ones reads as a NaN, which does not equal itself. */
CNN_INLINE vm vm_not(vm a) { return CNN_MM(cmp)(a, a, _CMP_EQ_OQ); }

CNN_INLINE void v_prefetch(const void *p) { __builtin_prefetch(p, 0, 3); }
CNN_INLINE void v_prefetchw(void *p) { __builtin_prefetch(p, 1, 3); }

#ifdef CNN_DOUBLE

CNN_INLINE v v_broadcast(const real *p) { return _mm256_broadcast_sd(p); }

CNN_INLINE real v_sum(v x)
{
    __m128d b = _mm_add_pd(_mm256_castpd256_pd128(x), _mm256_extractf128_pd(x, 1));
    return _mm_cvtsd_f64(_mm_add_sd(b, _mm_unpackhi_pd(b, b)));
}

CNN_INLINE real v_max_lane(v x)
{
    __m128d b = _mm_max_pd(_mm256_castpd256_pd128(x), _mm256_extractf128_pd(x, 1));
    return _mm_cvtsd_f64(_mm_max_sd(b, _mm_unpackhi_pd(b, b)));
}

/* The first n (1 .. 4) bytes. */
CNN_INLINE v v_load_u8_tail(const uint8_t *p, int n)
{
    int32_t bytes = 0;
    memcpy(&bytes, p, (size_t)n);
    return _mm256_cvtepi32_pd(_mm_cvtepu8_epi32(_mm_cvtsi32_si128(bytes)));
}
CNN_INLINE void v_store_u8_tail(uint8_t *p, v x, int n)
{
    __m128i pairs = _mm_packus_epi32(_mm256_cvttpd_epi32(x), _mm_setzero_si128());
    int32_t bytes = _mm_cvtsi128_si32(_mm_packus_epi16(pairs, pairs));
    memcpy(p, &bytes, (size_t)n);
}

typedef __m128i vu;

CNN_INLINE vu vu_set(uint32_t x) { return _mm_set1_epi32((int)x); }
/* x, x + 1, x + 2 ... */
CNN_INLINE vu vu_from(uint32_t x) { return _mm_add_epi32(vu_set(x), _mm_setr_epi32(0, 1, 2, 3)); }
CNN_INLINE vu vu_add(vu a, vu b) { return _mm_add_epi32(a, b); }
CNN_INLINE vu vu_xor(vu a, vu b) { return _mm_xor_si128(a, b); }
CNN_INLINE vu vu_mul(vu a, vu b) { return _mm_mullo_epi32(a, b); }
CNN_INLINE vu vu_shr(vu a, int n) { return _mm_srli_epi32(a, n); }
CNN_INLINE vm vu_ge(vu a, vu b)
{
    return _mm256_castsi256_pd(_mm256_cvtepi32_epi64(_mm_cmpeq_epi32(_mm_max_epu32(a, b), a)));
}

#else

CNN_INLINE v v_broadcast(const real *p) { return _mm256_broadcast_ss(p); }

CNN_INLINE real v_sum(v x)
{
    __m128 b = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    b = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(b, _mm_movehdup_ps(b)));
}

CNN_INLINE real v_max_lane(v x)
{
    __m128 b = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    b = _mm_max_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_max_ss(b, _mm_movehdup_ps(b)));
}

/* The first n (1 .. 8) bytes. */
CNN_INLINE v v_load_u8_tail(const uint8_t *p, int n)
{
    int64_t bytes = 0;
    memcpy(&bytes, p, (size_t)n);
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_cvtsi64_si128(bytes)));
}
CNN_INLINE void v_store_u8_tail(uint8_t *p, v x, int n)
{
    __m256i words = _mm256_cvttps_epi32(x);
    __m128i pairs = _mm_packus_epi32(_mm256_castsi256_si128(words),
                                     _mm256_extracti128_si256(words, 1));
    int64_t bytes = _mm_cvtsi128_si64(_mm_packus_epi16(pairs, pairs));
    memcpy(p, &bytes, (size_t)n);
}

typedef __m256i vu;

CNN_INLINE vu vu_set(uint32_t x) { return _mm256_set1_epi32((int)x); }
/* x, x + 1, x + 2 ... */
CNN_INLINE vu vu_from(uint32_t x)
{
    return _mm256_add_epi32(vu_set(x), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
CNN_INLINE vu vu_add(vu a, vu b) { return _mm256_add_epi32(a, b); }
CNN_INLINE vu vu_xor(vu a, vu b) { return _mm256_xor_si256(a, b); }
CNN_INLINE vu vu_mul(vu a, vu b) { return _mm256_mullo_epi32(a, b); }
CNN_INLINE vu vu_shr(vu a, int n) { return _mm256_srli_epi32(a, n); }
CNN_INLINE vu vu_shl(vu a, int n) { return _mm256_slli_epi32(a, n); }
CNN_INLINE vm vu_ge(vu a, vu b)
{
    return _mm256_castsi256_ps(_mm256_cmpeq_epi32(_mm256_max_epu32(a, b), a));
}
CNN_INLINE vu v_bits(v x) { return _mm256_castps_si256(x); }
CNN_INLINE v v_of_bits(vu x) { return _mm256_castsi256_ps(x); }

#endif

#ifndef CNN_DOUBLE
#define CNN_TURNS
/* Half of a column pair: rows i and i + 4 side by side. */
CNN_INLINE __m256 cnn_two_rows(const float *p, int64_t row)
{
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(p)), _mm_loadu_ps(p + 4 * row), 1);
}

/* Four columns of eight rows. */
CNN_INLINE void cnn_turn_half(const float *from, int64_t row, float *to, int64_t to_row)
{
    __m256 a = cnn_two_rows(from, row), b = cnn_two_rows(from + row, row);
    __m256 c = cnn_two_rows(from + 2 * row, row), d = cnn_two_rows(from + 3 * row, row);
    __m256 ab_low = _mm256_unpacklo_ps(a, b), ab_high = _mm256_unpackhi_ps(a, b);
    __m256 cd_low = _mm256_unpacklo_ps(c, d), cd_high = _mm256_unpackhi_ps(c, d);
    _mm256_storeu_ps(to, _mm256_shuffle_ps(ab_low, cd_low, 0x44));
    _mm256_storeu_ps(to + to_row, _mm256_shuffle_ps(ab_low, cd_low, 0xee));
    _mm256_storeu_ps(to + 2 * to_row, _mm256_shuffle_ps(ab_high, cd_high, 0x44));
    _mm256_storeu_ps(to + 3 * to_row, _mm256_shuffle_ps(ab_high, cd_high, 0xee));
}

CNN_INLINE void v_turn(const real *from, int64_t from_row, real *to, int64_t to_row)
{
    cnn_turn_half(from, from_row, to, to_row);
    cnn_turn_half(from + 4, from_row, to + 4 * to_row, to_row);
}
#endif

CNN_INLINE v v_load_u8(const uint8_t *p) { return v_load_u8_tail(p, V_LANES); }
CNN_INLINE void v_store_u8(uint8_t *p, v x) { v_store_u8_tail(p, x, V_LANES); }

#undef CNN_MM
#endif
