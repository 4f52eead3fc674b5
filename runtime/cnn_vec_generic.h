/* cnn_vec_generic.h - vectors of 16 bytes in plain C11, for every other machine.  See cnn_vec.h. */
#ifndef CNN_VEC_GENERIC_H
#define CNN_VEC_GENERIC_H

#ifdef CNN_DOUBLE
#define V_LANES 2
#define CNN_LIBM(name) name
#else
#define V_LANES 4
#define CNN_LIBM(name) name##f
#endif

typedef struct { real lane[V_LANES]; } v;
typedef struct { int lane[V_LANES]; } vm;
typedef struct { uint32_t lane[V_LANES]; } vu;

/* A function of vectors that does the expression in every lane l of its result r. */
#define CNN_EACH(type, name, parameters, expression)                                               \
    CNN_INLINE type name parameters                                                                \
    {                                                                                              \
        type r;                                                                                    \
        for (int l = 0; l < V_LANES; l++) r.lane[l] = (expression);                                \
        return r;                                                                                  \
    }

CNN_EACH(v, v_set, (real x), x)
CNN_EACH(v, v_load, (const real *p), p[l])
CNN_EACH(v, v_load_tail, (const real *p, int n), l < n ? p[l] : 0)
CNN_EACH(v, v_load_u8, (const uint8_t *p), (real)p[l])
CNN_EACH(v, v_load_u8_tail, (const uint8_t *p, int n), l < n ? (real)p[l] : 0)
CNN_INLINE v v_zero(void) { return v_set(0); }
CNN_INLINE v v_broadcast(const real *p) { return v_set(*p); }

CNN_INLINE void v_store_tail(real *p, v x, int n)
{
    for (int l = 0; l < n; l++) p[l] = x.lane[l];
}
CNN_INLINE void v_store(real *p, v x) { v_store_tail(p, x, V_LANES); }
CNN_INLINE void v_store_u8_tail(uint8_t *p, v x, int n)
{
    for (int l = 0; l < n; l++) p[l] = (uint8_t)x.lane[l];
}
CNN_INLINE void v_store_u8(uint8_t *p, v x) { v_store_u8_tail(p, x, V_LANES); }

CNN_EACH(v, v_add, (v a, v b), a.lane[l] + b.lane[l])
CNN_EACH(v, v_sub, (v a, v b), a.lane[l] - b.lane[l])
CNN_EACH(v, v_mul, (v a, v b), a.lane[l] * b.lane[l])
CNN_EACH(v, v_div, (v a, v b), a.lane[l] / b.lane[l])
CNN_EACH(v, v_max, (v a, v b), a.lane[l] > b.lane[l] ? a.lane[l] : b.lane[l])
CNN_EACH(v, v_min, (v a, v b), a.lane[l] < b.lane[l] ? a.lane[l] : b.lane[l])
CNN_EACH(v, v_neg, (v x), -x.lane[l])
CNN_EACH(v, v_abs, (v x), CNN_LIBM(fabs)(x.lane[l]))
CNN_EACH(v, v_copysign, (v x, v sign), CNN_LIBM(copysign)(x.lane[l], sign.lane[l]))
CNN_EACH(v, v_sqrt, (v x), CNN_LIBM(sqrt)(x.lane[l]))
CNN_EACH(v, v_floor, (v x), CNN_LIBM(floor)(x.lane[l]))
CNN_EACH(v, v_round, (v x), CNN_LIBM(nearbyint)(x.lane[l]))
CNN_EACH(v, v_fma, (v a, v b, v c), a.lane[l] * b.lane[l] + c.lane[l])

CNN_EACH(vm, v_gt, (v a, v b), a.lane[l] > b.lane[l])
CNN_EACH(vm, v_ge, (v a, v b), a.lane[l] >= b.lane[l])
CNN_EACH(vm, v_lt, (v a, v b), a.lane[l] < b.lane[l])
CNN_EACH(vm, v_le, (v a, v b), a.lane[l] <= b.lane[l])
CNN_EACH(vm, v_eq, (v a, v b), a.lane[l] == b.lane[l])
CNN_EACH(v, v_select, (vm m, v a, v b), m.lane[l] ? a.lane[l] : b.lane[l])
CNN_EACH(vm, vm_and, (vm a, vm b), a.lane[l] & b.lane[l])
CNN_EACH(vm, vm_or, (vm a, vm b), a.lane[l] | b.lane[l])
CNN_EACH(vm, vm_not, (vm a), !a.lane[l])

/* Halves are added, as the other targets do. */
CNN_INLINE real v_sum(v x)
{
    for (int half = V_LANES / 2; half; half /= 2) {
        for (int l = 0; l < half; l++) x.lane[l] += x.lane[l + half];
    }
    return x.lane[0];
}
CNN_INLINE real v_max_lane(v x)
{
    real most = x.lane[0];
    for (int l = 1; l < V_LANES; l++) most = most > x.lane[l] ? most : x.lane[l];
    return most;
}

CNN_INLINE void v_prefetch(const void *p) { (void)p; }
CNN_INLINE void v_prefetchw(void *p) { (void)p; }

CNN_EACH(vu, vu_set, (uint32_t x), x)
/* x, x + 1, x + 2 ... */
CNN_EACH(vu, vu_from, (uint32_t x), x + (uint32_t)l)
CNN_EACH(vu, vu_add, (vu a, vu b), a.lane[l] + b.lane[l])
CNN_EACH(vu, vu_xor, (vu a, vu b), a.lane[l] ^ b.lane[l])
CNN_EACH(vu, vu_mul, (vu a, vu b), a.lane[l] * b.lane[l])
CNN_EACH(vu, vu_shr, (vu a, int n), a.lane[l] >> n)
CNN_EACH(vm, vu_ge, (vu a, vu b), a.lane[l] >= b.lane[l])

#ifndef CNN_DOUBLE
CNN_EACH(vu, vu_shl, (vu a, int n), a.lane[l] << n)
CNN_INLINE vu v_bits(v x)
{
    vu r;
    memcpy(&r, &x, sizeof r);
    return r;
}
CNN_INLINE v v_of_bits(vu x)
{
    v r;
    memcpy(&r, &x, sizeof r);
    return r;
}
#endif

#undef CNN_EACH
#undef CNN_LIBM
#endif
