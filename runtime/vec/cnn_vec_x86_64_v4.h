/* cnn_vec_x86_64_v4.h - vectors of 64 bytes: AVX-512 F, BW, DQ, VL.  See cnn_vec.h. */
#ifndef CNN_VEC_X86_64_V4_H
#define CNN_VEC_X86_64_V4_H

#include <immintrin.h>

#ifdef CNN_DOUBLE
#define V_LANES 8
#define CNN_MM(name) _mm512_##name##_pd
typedef __m512d v;
typedef __mmask8 vm;
#else
#define V_LANES 16
#define CNN_MM(name) _mm512_##name##_ps
typedef __m512 v;
typedef __mmask16 vm;
#endif

CNN_INLINE vm cnn_first_lanes(int n) { return (vm)((1u << n) - 1); }

CNN_INLINE v v_zero(void) { return CNN_MM(setzero)(); }
CNN_INLINE v v_set(real x) { return CNN_MM(set1)(x); }
CNN_INLINE v v_broadcast(const real *p) { return CNN_MM(set1)(*p); }
CNN_INLINE v v_load(const real *p) { return CNN_MM(loadu)(p); }
CNN_INLINE void v_store(real *p, v x) { CNN_MM(storeu)(p, x); }
CNN_INLINE v v_load_tail(const real *p, int n)
{
    return CNN_MM(maskz_loadu)(cnn_first_lanes(n), p);
}
CNN_INLINE void v_store_tail(real *p, v x, int n) { CNN_MM(mask_storeu)(p, cnn_first_lanes(n), x); }

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
CNN_INLINE v v_floor(v x)
{
    return CNN_MM(roundscale)(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
}
CNN_INLINE v v_round(v x)
{
    return CNN_MM(roundscale)(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
CNN_INLINE v v_fma(v a, v b, v c) { return CNN_MM(fmadd)(a, b, c); }

#ifdef CNN_DOUBLE
#define CNN_CMP(a, b, how) _mm512_cmp_pd_mask(a, b, how)
#else
#define CNN_CMP(a, b, how) _mm512_cmp_ps_mask(a, b, how)
#endif
CNN_INLINE vm v_gt(v a, v b) { return CNN_CMP(a, b, _CMP_GT_OQ); }
CNN_INLINE vm v_ge(v a, v b) { return CNN_CMP(a, b, _CMP_GE_OQ); }
CNN_INLINE vm v_lt(v a, v b) { return CNN_CMP(a, b, _CMP_LT_OQ); }
CNN_INLINE vm v_le(v a, v b) { return CNN_CMP(a, b, _CMP_LE_OQ); }
CNN_INLINE vm v_eq(v a, v b) { return CNN_CMP(a, b, _CMP_EQ_OQ); }
#undef CNN_CMP
CNN_INLINE v v_select(vm m, v a, v b) { return CNN_MM(mask_blend)(m, b, a); }
CNN_INLINE vm vm_and(vm a, vm b) { return (vm)(a & b); }
CNN_INLINE vm vm_or(vm a, vm b) { return (vm)(a | b); }
CNN_INLINE vm vm_not(vm a) { return (vm)~a; }

CNN_INLINE void v_prefetch(const void *p) { __builtin_prefetch(p, 0, 3); }
CNN_INLINE void v_prefetchw(void *p) { __builtin_prefetch(p, 1, 3); }

#ifdef CNN_DOUBLE

CNN_INLINE real v_sum(v x)
{
    __m256d a = _mm256_add_pd(_mm512_castpd512_pd256(x), _mm512_extractf64x4_pd(x, 1));
    __m128d b = _mm_add_pd(_mm256_castpd256_pd128(a), _mm256_extractf128_pd(a, 1));
    return _mm_cvtsd_f64(_mm_add_sd(b, _mm_unpackhi_pd(b, b)));
}

CNN_INLINE real v_max_lane(v x)
{
    __m256d a = _mm256_max_pd(_mm512_castpd512_pd256(x), _mm512_extractf64x4_pd(x, 1));
    __m128d b = _mm_max_pd(_mm256_castpd256_pd128(a), _mm256_extractf128_pd(a, 1));
    return _mm_cvtsd_f64(_mm_max_sd(b, _mm_unpackhi_pd(b, b)));
}

CNN_INLINE v cnn_widen_u8(__m128i bytes) { return _mm512_cvtepi32_pd(_mm256_cvtepu8_epi32(bytes)); }
CNN_INLINE __m128i cnn_narrow_u8(v x) { return _mm256_cvtepi32_epi8(_mm512_cvttpd_epi32(x)); }
CNN_INLINE v v_load_u8(const uint8_t *p) { return cnn_widen_u8(_mm_loadl_epi64((const void *)p)); }
CNN_INLINE void v_store_u8(uint8_t *p, v x) { _mm_storel_epi64((void *)p, cnn_narrow_u8(x)); }

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
CNN_INLINE vm vu_ge(vu a, vu b) { return _mm256_cmpge_epu32_mask(a, b); }

#else

CNN_INLINE real v_sum(v x)
{
    __m256 a = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
    __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    b = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(b, _mm_movehdup_ps(b)));
}

CNN_INLINE real v_max_lane(v x)
{
    __m256 a = _mm256_max_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
    __m128 b = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    b = _mm_max_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_max_ss(b, _mm_movehdup_ps(b)));
}

CNN_INLINE v cnn_widen_u8(__m128i bytes) { return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes)); }
CNN_INLINE __m128i cnn_narrow_u8(v x) { return _mm512_cvtepi32_epi8(_mm512_cvttps_epi32(x)); }
CNN_INLINE v v_load_u8(const uint8_t *p) { return cnn_widen_u8(_mm_loadu_si128((const void *)p)); }
CNN_INLINE void v_store_u8(uint8_t *p, v x) { _mm_storeu_si128((void *)p, cnn_narrow_u8(x)); }

typedef __m512i vu;

CNN_INLINE vu vu_set(uint32_t x) { return _mm512_set1_epi32((int)x); }
/* x, x + 1, x + 2 ... */
CNN_INLINE vu vu_from(uint32_t x)
{
    return _mm512_add_epi32(
        vu_set(x), _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
}
CNN_INLINE vu vu_add(vu a, vu b) { return _mm512_add_epi32(a, b); }
CNN_INLINE vu vu_xor(vu a, vu b) { return _mm512_xor_si512(a, b); }
CNN_INLINE vu vu_mul(vu a, vu b) { return _mm512_mullo_epi32(a, b); }
CNN_INLINE vu vu_shr(vu a, int n) { return _mm512_srli_epi32(a, (unsigned)n); }
CNN_INLINE vu vu_shl(vu a, int n) { return _mm512_slli_epi32(a, (unsigned)n); }
CNN_INLINE vm vu_ge(vu a, vu b) { return _mm512_cmpge_epu32_mask(a, b); }
CNN_INLINE vu v_bits(v x) { return _mm512_castps_si512(x); }
CNN_INLINE v v_of_bits(vu x) { return _mm512_castsi512_ps(x); }

#endif

#ifndef CNN_DOUBLE
#define CNN_TURNS
/* Four columns of rows i, i + 4, i + 8 and i + 12, side by side. */
CNN_INLINE __m512 cnn_four_rows(const float *p, int64_t row)
{
    __m512 x = _mm512_castps128_ps512(_mm_loadu_ps(p));
    x = _mm512_insertf32x4(x, _mm_loadu_ps(p + 4 * row), 1);
    x = _mm512_insertf32x4(x, _mm_loadu_ps(p + 8 * row), 2);
    return _mm512_insertf32x4(x, _mm_loadu_ps(p + 12 * row), 3);
}

CNN_INLINE void v_turn(const real *from, int64_t from_row, real *to, int64_t to_row)
{
    for (int k = 0; k < V_LANES; k += 4) {
        __m512 a = cnn_four_rows(from + k, from_row), b = cnn_four_rows(from + from_row + k, from_row);
        __m512 c = cnn_four_rows(from + 2 * from_row + k, from_row), d = cnn_four_rows(from + 3 * from_row + k,
                from_row);
        __m512 ab_low = _mm512_unpacklo_ps(a, b), ab_high = _mm512_unpackhi_ps(a, b);
        __m512 cd_low = _mm512_unpacklo_ps(c, d), cd_high = _mm512_unpackhi_ps(c, d);
        _mm512_storeu_ps(to + k * to_row, _mm512_shuffle_ps(ab_low, cd_low, 0x44));
        _mm512_storeu_ps(to + (k + 1) * to_row, _mm512_shuffle_ps(ab_low, cd_low, 0xee));
        _mm512_storeu_ps(to + (k + 2) * to_row, _mm512_shuffle_ps(ab_high, cd_high, 0x44));
        _mm512_storeu_ps(to + (k + 3) * to_row, _mm512_shuffle_ps(ab_high, cd_high, 0xee));
    }
}
#endif

CNN_INLINE v v_load_u8_tail(const uint8_t *p, int n)
{
    return cnn_widen_u8(_mm_maskz_loadu_epi8((__mmask16)cnn_first_lanes(n), p));
}
CNN_INLINE void v_store_u8_tail(uint8_t *p, v x, int n)
{
    _mm_mask_storeu_epi8(p, (__mmask16)cnn_first_lanes(n), cnn_narrow_u8(x));
}

#undef CNN_MM
#endif
