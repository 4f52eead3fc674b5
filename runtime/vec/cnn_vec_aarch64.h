/* cnn_vec_aarch64.h - vectors of 16 bytes: Advanced SIMD (NEON) of 64-bit ARM.  See cnn_vec.h. */
#ifndef CNN_VEC_AARCH64_H
#define CNN_VEC_AARCH64_H

#include <arm_neon.h>

#ifdef CNN_DOUBLE
#define V_LANES 2
#define CNN_NEON(name) name##_f64
typedef float64x2_t v;
typedef uint64x2_t vm;
#else
#define V_LANES 4
#define CNN_NEON(name) name##_f32
typedef float32x4_t v;
typedef uint32x4_t vm;
#endif

CNN_INLINE v v_set(real x) { return CNN_NEON(vdupq_n)(x); }
CNN_INLINE v v_zero(void) { return v_set(0); }
CNN_INLINE v v_broadcast(const real *p) { return CNN_NEON(vld1q_dup)(p); }
CNN_INLINE v v_load(const real *p) { return CNN_NEON(vld1q)(p); }
CNN_INLINE void v_store(real *p, v x) { CNN_NEON(vst1q)(p, x); }

CNN_INLINE v v_load_tail(const real *p, int n)
{
    v x = CNN_NEON(vld1q_lane)(p, v_zero(), 0);
#ifndef CNN_DOUBLE
    if (n > 1) x = vld1q_lane_f32(p + 1, x, 1);
    if (n > 2) x = vld1q_lane_f32(p + 2, x, 2);
#endif
    (void)n;
    return x;
}
CNN_INLINE void v_store_tail(real *p, v x, int n)
{
    CNN_NEON(vst1q_lane)(p, x, 0);
#ifndef CNN_DOUBLE
    if (n > 1) vst1q_lane_f32(p + 1, x, 1);
    if (n > 2) vst1q_lane_f32(p + 2, x, 2);
#endif
    (void)n;
}

CNN_INLINE v v_add(v a, v b) { return CNN_NEON(vaddq)(a, b); }
CNN_INLINE v v_sub(v a, v b) { return CNN_NEON(vsubq)(a, b); }
CNN_INLINE v v_mul(v a, v b) { return CNN_NEON(vmulq)(a, b); }
CNN_INLINE v v_div(v a, v b) { return CNN_NEON(vdivq)(a, b); }
CNN_INLINE v v_max(v a, v b) { return CNN_NEON(vmaxq)(a, b); }
CNN_INLINE v v_min(v a, v b) { return CNN_NEON(vminq)(a, b); }
CNN_INLINE v v_neg(v x) { return CNN_NEON(vnegq)(x); }
CNN_INLINE v v_abs(v x) { return CNN_NEON(vabsq)(x); }
CNN_INLINE v v_sqrt(v x) { return CNN_NEON(vsqrtq)(x); }
CNN_INLINE v v_floor(v x) { return CNN_NEON(vrndmq)(x); }
CNN_INLINE v v_round(v x) { return CNN_NEON(vrndnq)(x); }
CNN_INLINE v v_fma(v a, v b, v c) { return CNN_NEON(vfmaq)(c, a, b); }

CNN_INLINE vm v_gt(v a, v b) { return CNN_NEON(vcgtq)(a, b); }
CNN_INLINE vm v_ge(v a, v b) { return CNN_NEON(vcgeq)(a, b); }
CNN_INLINE vm v_lt(v a, v b) { return CNN_NEON(vcltq)(a, b); }
CNN_INLINE vm v_le(v a, v b) { return CNN_NEON(vcleq)(a, b); }
CNN_INLINE vm v_eq(v a, v b) { return CNN_NEON(vceqq)(a, b); }
CNN_INLINE v v_select(vm m, v a, v b) { return CNN_NEON(vbslq)(m, a, b); }

CNN_INLINE void v_prefetch(const void *p) { __builtin_prefetch(p, 0, 3); }
CNN_INLINE void v_prefetchw(void *p) { __builtin_prefetch(p, 1, 3); }

/* Four words; with doubles only the first two count. */
typedef uint32x4_t vu;

CNN_INLINE vu vu_set(uint32_t x) { return vdupq_n_u32(x); }
/* x, x + 1, x + 2 ... */
CNN_INLINE vu vu_from(uint32_t x)
{
    static const uint32_t counted[4] = { 0, 1, 2, 3 };
    return vaddq_u32(vu_set(x), vld1q_u32(counted));
}
CNN_INLINE vu vu_add(vu a, vu b) { return vaddq_u32(a, b); }
CNN_INLINE vu vu_xor(vu a, vu b) { return veorq_u32(a, b); }
CNN_INLINE vu vu_mul(vu a, vu b) { return vmulq_u32(a, b); }
CNN_INLINE vu vu_shr(vu a, int n) { return vshlq_u32(a, vdupq_n_s32(-n)); }
CNN_INLINE vu vu_shl(vu a, int n) { return vshlq_u32(a, vdupq_n_s32(n)); }

/* The first n (1 .. V_LANES) bytes. */
CNN_INLINE vu cnn_load_bytes(const uint8_t *p, int n)
{
    uint32_t bytes = 0;
    memcpy(&bytes, p, (size_t)n);
    return vmovl_u16(vget_low_u16(vmovl_u8(vcreate_u8(bytes))));
}
CNN_INLINE void cnn_store_bytes(uint8_t *p, vu x, int n)
{
    uint16x4_t pairs = vmovn_u32(x);
    uint32_t bytes = vget_lane_u32(vreinterpret_u32_u8(vmovn_u16(vcombine_u16(pairs, pairs))), 0);
    memcpy(p, &bytes, (size_t)n);
}

#ifdef CNN_DOUBLE

CNN_INLINE v v_copysign(v x, v sign) { return vbslq_f64(vdupq_n_u64(UINT64_C(1) << 63), sign, x); }
CNN_INLINE vm vm_and(vm a, vm b) { return vandq_u64(a, b); }
CNN_INLINE vm vm_or(vm a, vm b) { return vorrq_u64(a, b); }
CNN_INLINE vm vm_not(vm a) { return veorq_u64(a, vdupq_n_u64(~UINT64_C(0))); }

CNN_INLINE real v_sum(v x) { return vgetq_lane_f64(x, 0) + vgetq_lane_f64(x, 1); }
CNN_INLINE real v_max_lane(v x) { return vmaxvq_f64(x); }

CNN_INLINE v v_load_u8_tail(const uint8_t *p, int n)
{
    return vcvtq_f64_u64(vmovl_u32(vget_low_u32(cnn_load_bytes(p, n))));
}
CNN_INLINE void v_store_u8_tail(uint8_t *p, v x, int n)
{
    uint32x2_t words = vmovn_u64(vcvtq_u64_f64(x));
    cnn_store_bytes(p, vcombine_u32(words, words), n);
}

CNN_INLINE vm vu_ge(vu a, vu b)
{
    return vreinterpretq_u64_s64(vmovl_s32(vreinterpret_s32_u32(vget_low_u32(vcgeq_u32(a, b)))));
}

#else

CNN_INLINE v v_copysign(v x, v sign) { return vbslq_f32(vdupq_n_u32(UINT32_C(1) << 31), sign, x); }
CNN_INLINE vm vm_and(vm a, vm b) { return vandq_u32(a, b); }
CNN_INLINE vm vm_or(vm a, vm b) { return vorrq_u32(a, b); }
CNN_INLINE vm vm_not(vm a) { return vmvnq_u32(a); }

CNN_INLINE real v_sum(v x)
{
    float32x2_t two = vadd_f32(vget_low_f32(x), vget_high_f32(x));
    return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}
CNN_INLINE real v_max_lane(v x) { return vmaxvq_f32(x); }

CNN_INLINE v v_load_u8_tail(const uint8_t *p, int n) { return vcvtq_f32_u32(cnn_load_bytes(p, n)); }
CNN_INLINE void v_store_u8_tail(uint8_t *p, v x, int n) { cnn_store_bytes(p, vcvtq_u32_f32(x), n); }

CNN_INLINE vm vu_ge(vu a, vu b) { return vcgeq_u32(a, b); }
CNN_INLINE vu v_bits(v x) { return vreinterpretq_u32_f32(x); }
CNN_INLINE v v_of_bits(vu x) { return vreinterpretq_f32_u32(x); }

#endif

CNN_INLINE v v_load_u8(const uint8_t *p) { return v_load_u8_tail(p, V_LANES); }
CNN_INLINE void v_store_u8(uint8_t *p, v x) { v_store_u8_tail(p, x, V_LANES); }

#undef CNN_NEON
#endif
