/* cnn_vec_generic.h - vectors of 16 bytes in plain C11, for every other machine.  See cnn_vec.h.
 *
 * A vector is a struct of scalars and not of an array: compilers take it apart at once and keep the scalars in
 * registers, where a loop over an array's elements would first have to be unrolled, each of thousands of times. */
#ifndef CNN_VEC_GENERIC_H
#define CNN_VEC_GENERIC_H

/* CNN_EACH(X) is X(lane, number), ... for every lane. */
#ifdef CNN_DOUBLE
#define V_LANES 2
#define CNN_LIBM(name) name
#define CNN_LANES(type) struct { type l0, l1; }
#define CNN_EACH(X) X(l0, 0), X(l1, 1)
#define CNN_EACH_STATEMENT(X) X(l0, 0); X(l1, 1)
#else
#define V_LANES 4
#define CNN_LIBM(name) name##f
#define CNN_LANES(type) struct { type l0, l1, l2, l3; }
#define CNN_EACH(X) X(l0, 0), X(l1, 1), X(l2, 2), X(l3, 3)
#define CNN_EACH_STATEMENT(X) X(l0, 0); X(l1, 1); X(l2, 2); X(l3, 3)
#endif

typedef CNN_LANES(real) v;
typedef CNN_LANES(int) vm;
typedef CNN_LANES(uint32_t) vu;

/* Each function's expression for a lane is the macro before it, by the lane's name and number. */
#define CNN_LANE(l, i) x
CNN_INLINE v v_set(real x) { return (v){ CNN_EACH(CNN_LANE) }; }
CNN_INLINE vu vu_set(uint32_t x) { return (vu){ CNN_EACH(CNN_LANE) }; }
#undef CNN_LANE
#define CNN_LANE(l, i) p[i]
CNN_INLINE v v_load(const real *p) { return (v){ CNN_EACH(CNN_LANE) }; }
CNN_INLINE v v_load_u8(const uint8_t *p) { return (v){ CNN_EACH(CNN_LANE) }; }
#undef CNN_LANE
#define CNN_LANE(l, i) i < n ? p[i] : 0
CNN_INLINE v v_load_tail(const real *p, int n) { return (v){ CNN_EACH(CNN_LANE) }; }
CNN_INLINE v v_load_u8_tail(const uint8_t *p, int n) { return (v){ CNN_EACH(CNN_LANE) }; }
#undef CNN_LANE
CNN_INLINE v v_zero(void) { return v_set(0); }
CNN_INLINE v v_broadcast(const real *p) { return v_set(*p); }

#define CNN_LANE(l, i) p[i] = x.l
CNN_INLINE void v_store(real *p, v x) { CNN_EACH_STATEMENT(CNN_LANE); }
#undef CNN_LANE
#define CNN_LANE(l, i) p[i] = (uint8_t)x.l
CNN_INLINE void v_store_u8(uint8_t *p, v x) { CNN_EACH_STATEMENT(CNN_LANE); }
#undef CNN_LANE
#define CNN_LANE(l, i) if (i < n) p[i] = x.l
CNN_INLINE void v_store_tail(real *p, v x, int n) { CNN_EACH_STATEMENT(CNN_LANE); }
#undef CNN_LANE
#define CNN_LANE(l, i) if (i < n) p[i] = (uint8_t)x.l
CNN_INLINE void v_store_u8_tail(uint8_t *p, v x, int n) { CNN_EACH_STATEMENT(CNN_LANE); }
#undef CNN_LANE

#define CNN_LANE(l, i) a.l + b.l
CNN_INLINE v v_add(v a, v b) { return (v){ CNN_EACH(CNN_LANE) }; }
CNN_INLINE vu vu_add(vu a, vu b) { return (vu){ CNN_EACH(CNN_LANE) }; }
#undef CNN_LANE
#define CNN_LANE(l, i) a.l - b.l
CNN_INLINE v v_sub(v a, v b) { return (v){ CNN_EACH(CNN_LANE) }; }
#undef CNN_LANE
#define CNN_LANE(l, i) a.l * b.l
CNN_INLINE v v_mul(v a, v b) { return (v){ CNN_EACH(CNN_LANE) }; }
CNN_INLINE vu vu_mul(vu a, vu b) { return (vu){ CNN_EACH(CNN_LANE) }; }
#undef CNN_LANE
#define CNN_LANE(l, i) a.l / b.l
CNN_INLINE v v_div(v a, v b) { return (v){ CNN_EACH(CNN_LANE) }; }
#undef CNN_LANE
#define CNN_LANE(l, i) a.l > b.l ? a.l : b.l
CNN_INLINE v v_max(v a, v b) { return (v){ CNN_EACH(CNN_LANE) }; }
#undef CNN_LANE
#define CNN_LANE(l, i) a.l < b.l ? a.l : b.l
CNN_INLINE v v_min(v a, v b) { return (v){ CNN_EACH(CNN_LANE) }; }
#undef CNN_LANE
#define CNN_LANE(l, i) a.l * b.l + c.l
CNN_INLINE v v_fma(v a, v b, v c) { return (v){ CNN_EACH(CNN_LANE) }; }
#undef CNN_LANE
#define CNN_LANE(l, i) -x.l
CNN_INLINE v v_neg(v x) { return (v){ CNN_EACH(CNN_LANE) }; }
#undef CNN_LANE
#define CNN_LANE(l, i) CNN_LIBM(fabs)(x.l)
CNN_INLINE v v_abs(v x) { return (v){ CNN_EACH(CNN_LANE) }; }
#undef CNN_LANE
#define CNN_LANE(l, i) CNN_LIBM(copysign)(x.l, sign.l)
CNN_INLINE v v_copysign(v x, v sign) { return (v){ CNN_EACH(CNN_LANE) }; }
#undef CNN_LANE
#define CNN_LANE(l, i) CNN_LIBM(sqrt)(x.l)
CNN_INLINE v v_sqrt(v x) { return (v){ CNN_EACH(CNN_LANE) }; }
#undef CNN_LANE
#define CNN_LANE(l, i) CNN_LIBM(floor)(x.l)
CNN_INLINE v v_floor(v x) { return (v){ CNN_EACH(CNN_LANE) }; }
#undef CNN_LANE
#define CNN_LANE(l, i) CNN_LIBM(nearbyint)(x.l)
CNN_INLINE v v_round(v x) { return (v){ CNN_EACH(CNN_LANE) }; }
#undef CNN_LANE

#define CNN_LANE(l, i) a.l > b.l
CNN_INLINE vm v_gt(v a, v b) { return (vm){ CNN_EACH(CNN_LANE) }; }
#undef CNN_LANE
#define CNN_LANE(l, i) a.l >= b.l
CNN_INLINE vm v_ge(v a, v b) { return (vm){ CNN_EACH(CNN_LANE) }; }
CNN_INLINE vm vu_ge(vu a, vu b) { return (vm){ CNN_EACH(CNN_LANE) }; }
#undef CNN_LANE
#define CNN_LANE(l, i) a.l < b.l
CNN_INLINE vm v_lt(v a, v b) { return (vm){ CNN_EACH(CNN_LANE) }; }
#undef CNN_LANE
#define CNN_LANE(l, i) a.l <= b.l
CNN_INLINE vm v_le(v a, v b) { return (vm){ CNN_EACH(CNN_LANE) }; }
#undef CNN_LANE
#define CNN_LANE(l, i) a.l == b.l
CNN_INLINE vm v_eq(v a, v b) { return (vm){ CNN_EACH(CNN_LANE) }; }
#undef CNN_LANE
#define CNN_LANE(l, i) m.l ? a.l : b.l
CNN_INLINE v v_select(vm m, v a, v b) { return (v){ CNN_EACH(CNN_LANE) }; }
#undef CNN_LANE
#define CNN_LANE(l, i) a.l & b.l
CNN_INLINE vm vm_and(vm a, vm b) { return (vm){ CNN_EACH(CNN_LANE) }; }
#undef CNN_LANE
#define CNN_LANE(l, i) a.l | b.l
CNN_INLINE vm vm_or(vm a, vm b) { return (vm){ CNN_EACH(CNN_LANE) }; }
#undef CNN_LANE
#define CNN_LANE(l, i) !a.l
CNN_INLINE vm vm_not(vm a) { return (vm){ CNN_EACH(CNN_LANE) }; }
#undef CNN_LANE

/* Halves are added, as the other targets do. */
#ifdef CNN_DOUBLE
CNN_INLINE real v_sum(v x) { return x.l0 + x.l1; }
CNN_INLINE real v_max_lane(v x) { return x.l0 > x.l1 ? x.l0 : x.l1; }
#else
CNN_INLINE real v_sum(v x) { return (x.l0 + x.l2) + (x.l1 + x.l3); }
CNN_INLINE real v_max_lane(v x)
{
    real most = x.l0 > x.l1 ? x.l0 : x.l1;
    most = most > x.l2 ? most : x.l2;
    return most > x.l3 ? most : x.l3;
}
#endif

CNN_INLINE void v_prefetch(const void *p) { (void)p; }
CNN_INLINE void v_prefetchw(void *p) { (void)p; }

/* x, x + 1, x + 2 ... */
#define CNN_LANE(l, i) x + i
CNN_INLINE vu vu_from(uint32_t x) { return (vu){ CNN_EACH(CNN_LANE) }; }
#undef CNN_LANE
#define CNN_LANE(l, i) a.l ^ b.l
CNN_INLINE vu vu_xor(vu a, vu b) { return (vu){ CNN_EACH(CNN_LANE) }; }
#undef CNN_LANE
#define CNN_LANE(l, i) a.l >> n
CNN_INLINE vu vu_shr(vu a, int n) { return (vu){ CNN_EACH(CNN_LANE) }; }
#undef CNN_LANE

#ifndef CNN_DOUBLE
#define CNN_LANE(l, i) a.l << n
CNN_INLINE vu vu_shl(vu a, int n) { return (vu){ CNN_EACH(CNN_LANE) }; }
#undef CNN_LANE
CNN_INLINE uint32_t cnn_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}
CNN_INLINE float cnn_of_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}
#define CNN_LANE(l, i) cnn_bits(x.l)
CNN_INLINE vu v_bits(v x) { return (vu){ CNN_EACH(CNN_LANE) }; }
#undef CNN_LANE
#define CNN_LANE(l, i) cnn_of_bits(x.l)
CNN_INLINE v v_of_bits(vu x) { return (v){ CNN_EACH(CNN_LANE) }; }
#undef CNN_LANE
#endif

#undef CNN_EACH_STATEMENT
#undef CNN_EACH
#undef CNN_LANES
#undef CNN_LIBM
#endif
