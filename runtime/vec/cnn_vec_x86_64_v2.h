/* cnn_vec_x86_64_v2.h - vectors of 16 bytes: SSE4.2, products and sums rounded apart.  See
 * cnn_vec.h. */
#ifndef CNN_VEC_X86_64_V2_H
#define CNN_VEC_X86_64_V2_H

#include <immintrin.h>

#ifdef CNN_DOUBLE
#define V_LANES 2
#define CNN_MM(name) _mm_##name##_pd
typedef __m128d v;
typedef __m128d vm;
#else
#define V_LANES 4
#define CNN_MM(name) _mm_##name##_ps
typedef __m128 v;
typedef __m128 vm;
#endif

CNN_INLINE v v_zero(void) { return CNN_MM(setzero)(); }
CNN_INLINE v v_set(real x) { return CNN_MM(set1)(x); }
CNN_INLINE v v_broadcast(const real *p) { return CNN_MM(set1)(*p); }
CNN_INLINE v v_load(const real *p) { return CNN_MM(loadu)(p); }
CNN_INLINE void v_store(real *p, v x) { CNN_MM(storeu)(p, x); }

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
CNN_INLINE v v_fma(v a, v b, v c) { return CNN_MM(add)(CNN_MM(mul)(a, b), c); }

CNN_INLINE vm v_gt(v a, v b) { return CNN_MM(cmpgt)(a, b); }
CNN_INLINE vm v_ge(v a, v b) { return CNN_MM(cmpge)(a, b); }
CNN_INLINE vm v_lt(v a, v b) { return CNN_MM(cmplt)(a, b); }
CNN_INLINE vm v_le(v a, v b) { return CNN_MM(cmple)(a, b); }
CNN_INLINE vm v_eq(v a, v b) { return CNN_MM(cmpeq)(a, b); }
CNN_INLINE v v_select(vm m, v a, v b) { return CNN_MM(blendv)(b, a, m); }
CNN_INLINE vm vm_and(vm a, vm b) { return CNN_MM(and)(a, b); }
CNN_INLINE vm vm_or(vm a, vm b) { return CNN_MM(or)(a, b); }
/* A lane that is all ones reads as a NaN, which does not equal itself. */
CNN_INLINE vm vm_not(vm a) { return CNN_MM(cmpeq)(a, a); }

CNN_INLINE void v_prefetch(const void *p) { __builtin_prefetch(p, 0, 3); }
CNN_INLINE void v_prefetchw(void *p) { __builtin_prefetch(p, 1, 3); }

#ifdef CNN_DOUBLE

/* The one tail there is: one lane of two. */
CNN_INLINE v v_load_tail(const real *p, int n)
{
    (void)n;
    return _mm_load_sd(p);
}
CNN_INLINE void v_store_tail(real *p, v x, int n)
{
    (void)n;
    _mm_store_sd(p, x);
}

CNN_INLINE real v_sum(v x) { return _mm_cvtsd_f64(_mm_add_sd(x, _mm_unpackhi_pd(x, x))); }
CNN_INLINE real v_max_lane(v x) { return _mm_cvtsd_f64(_mm_max_sd(x, _mm_unpackhi_pd(x, x))); }

CNN_INLINE v cnn_from_words(__m128i words) { return _mm_cvtepi32_pd(words); }
CNN_INLINE __m128i cnn_to_words(v x) { return _mm_cvttpd_epi32(x); }

#else

CNN_INLINE v v_load_tail(const real *p, int n)
{
    if (n == 1) return _mm_load_ss(p);
    __m128 two = _mm_loadl_pi(_mm_setzero_ps(), (const void *)p);
    return n == 2 ? two : _mm_movelh_ps(two, _mm_load_ss(p + 2));
}
CNN_INLINE void v_store_tail(real *p, v x, int n)
{
    if (n == 1) {
        _mm_store_ss(p, x);
        return;
    }
    _mm_storel_pi((void *)p, x);
    if (n == 3) _mm_store_ss(p + 2, _mm_movehl_ps(x, x));
}

CNN_INLINE real v_sum(v x)
{
    v b = _mm_add_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_add_ss(b, _mm_movehdup_ps(b)));
}
CNN_INLINE real v_max_lane(v x)
{
    v b = _mm_max_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_max_ss(b, _mm_movehdup_ps(b)));
}

CNN_INLINE v cnn_from_words(__m128i words) { return _mm_cvtepi32_ps(words); }
CNN_INLINE __m128i cnn_to_words(v x) { return _mm_cvttps_epi32(x); }

#endif

/* The first n (1 .. V_LANES) bytes. */
CNN_INLINE v v_load_u8_tail(const uint8_t *p, int n)
{
    int32_t bytes = 0;
    memcpy(&bytes, p, (size_t)n);
    return cnn_from_words(_mm_cvtepu8_epi32(_mm_cvtsi32_si128(bytes)));
}
CNN_INLINE void v_store_u8_tail(uint8_t *p, v x, int n)
{
    __m128i pairs = _mm_packus_epi32(cnn_to_words(x), _mm_setzero_si128());
    int32_t bytes = _mm_cvtsi128_si32(_mm_packus_epi16(pairs, pairs));
    memcpy(p, &bytes, (size_t)n);
}
CNN_INLINE v v_load_u8(const uint8_t *p) { return v_load_u8_tail(p, V_LANES); }
CNN_INLINE void v_store_u8(uint8_t *p, v x) { v_store_u8_tail(p, x, V_LANES); }

/* With doubles only the first two words count. */
typedef __m128i vu;

CNN_INLINE vu vu_set(uint32_t x) { return _mm_set1_epi32((int)x); }
/* x, x + 1, x + 2 ... */
CNN_INLINE vu vu_from(uint32_t x) { return _mm_add_epi32(vu_set(x), _mm_setr_epi32(0, 1, 2, 3)); }
CNN_INLINE vu vu_add(vu a, vu b) { return _mm_add_epi32(a, b); }
CNN_INLINE vu vu_xor(vu a, vu b) { return _mm_xor_si128(a, b); }
CNN_INLINE vu vu_mul(vu a, vu b) { return _mm_mullo_epi32(a, b); }
CNN_INLINE vu vu_shr(vu a, int n) { return _mm_srli_epi32(a, n); }
CNN_INLINE vu vu_shl(vu a, int n) { return _mm_slli_epi32(a, n); }
CNN_INLINE vm vu_ge(vu a, vu b)
{
    __m128i m = _mm_cmpeq_epi32(_mm_max_epu32(a, b), a);
#ifdef CNN_DOUBLE
    return _mm_castsi128_pd(_mm_cvtepi32_epi64(m));
#else
    return _mm_castsi128_ps(m);
#endif
}
#ifndef CNN_DOUBLE
CNN_INLINE vu v_bits(v x) { return _mm_castps_si128(x); }
CNN_INLINE v v_of_bits(vu x) { return _mm_castsi128_ps(x); }
#endif

#undef CNN_MM
#endif
