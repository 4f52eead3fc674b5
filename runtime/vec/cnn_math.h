/* cnn_math.h - functions of vectors: exponentials, activations and their gradients.
 *
 * In float they are polynomials in terms of the primitives, within 4 units in the last place or
 * as tests/unit/test_vec.c states; in double they go through libm lane by lane.  Infinities give
 * the limits, NaN comes through.  v_exp is 0 below -87.33, where results begin to be subnormal.
 *
 * The polynomials are minimax fits (Remez exchange, weighted for relative error) made for the
 * ranges named. */
#ifndef CNN_MATH_H
#define CNN_MATH_H

/* Through libm lane by lane, for what there is no polynomial for. */
#define CNN_LANEWISE2(name, function)                                                              \
    CNN_INLINE v name(v a, v b)                                                                    \
    {                                                                                              \
        real lanes[V_LANES], others[V_LANES];                                                      \
        v_store(lanes, a);                                                                         \
        v_store(others, b);                                                                        \
        for (int l = 0; l < V_LANES; l++)                                                          \
            lanes[l] = function(lanes[l], others[l]);                                              \
        return v_load(lanes);                                                                      \
    }

#ifdef CNN_DOUBLE

CNN_LANEWISE2(v_pow, pow)

#define CNN_LANEWISE(name, expression)                                                             \
    CNN_INLINE v name(v vector)                                                                    \
    {                                                                                              \
        real lanes[V_LANES];                                                                       \
        v_store(lanes, vector);                                                                    \
        for (int l = 0; l < V_LANES; l++) {                                                        \
            const real x = lanes[l];                                                               \
            lanes[l] = (expression);                                                               \
        }                                                                                          \
        return v_load(lanes);                                                                      \
    }

CNN_LANEWISE(v_exp, exp(x))
CNN_LANEWISE(v_expm1, expm1(x))
CNN_LANEWISE(cnn_expm1_negative, expm1(x))
CNN_LANEWISE(v_log, log(x))
CNN_LANEWISE(v_log1p, log1p(x))
CNN_LANEWISE(cnn_log1p_unit, log1p(x))
CNN_LANEWISE(v_tanh, tanh(x))
CNN_LANEWISE(v_erf, erf(x))
CNN_LANEWISE(v_erfc, erfc(x))
/* The normal distribution: the share of it below x. */
CNN_LANEWISE(cnn_normal_share, 0.5 * erfc(-0.70710678118654752 * x))

#undef CNN_LANEWISE

#else

CNN_LANEWISE2(v_pow, powf)

/* ---- exponentials: x = n ln 2 + r, |r| <= ln 2 / 2 ------------------------------------------- */

/* Added to a float below 2^22 it leaves the nearest whole number n in the low bits; with 127 on top
 * of it, these bits shifted by 23 are the float 2^n. */
#define CNN_WHOLE 12582912.0f

/* The sum of a whole number and `whole` (CNN_WHOLE + an exponent's bias) that says n; the rest r in
 * *r. */
CNN_INLINE v cnn_exp_reduce(v x, float whole, v *r)
{
    v sum = v_fma(x, v_set(1.44269504f), v_set(whole));
    v n = v_sub(sum, v_set(whole));
    /* ln 2 in two parts: n times the first has no rounding */
    *r = v_fma(n, v_set(2.12194440e-4f), v_fma(n, v_set(-0.693359375f), x));
    return sum;
}

/* e^r - 1 - r = r^2 P(r); relative error of e^r 3e-9. */
CNN_INLINE v cnn_expm1_reduced(v r)
{
    v p = v_fma(v_set(0.00138151541f), r, v_set(0.00836879387f));
    p = v_fma(p, r, v_set(0.0416683853f));
    p = v_fma(p, r, v_set(0.166665196f));
    p = v_fma(p, r, v_set(0.49999994f));
    return v_fma(v_mul(r, r), p, r);
}

/* y where x lies below where the result overflows, else infinity; a NaN in x comes through. */
CNN_INLINE v cnn_exp_overflow(v x, v y)
{
    return v_select(v_le(x, v_set(88.7228394f)), y, v_mul(x, v_set(INFINITY)));
}

CNN_INLINE v v_exp(v x)
{
    v r;
    v sum = cnn_exp_reduce(x, CNN_WHOLE, &r);
    v p = v_add(cnn_expm1_reduced(r), v_set(1.0f));
    v y = v_of_bits(vu_add(v_bits(p), vu_shl(v_bits(sum), 23)));
    y = v_select(v_lt(x, v_set(-87.33f)), v_zero(), y);
    return cnn_exp_overflow(x, y);
}

CNN_INLINE v v_expm1(v x)
{
    v r;
    /* half of the result, so that 2^128 is not met: 2^(n-1) (1 + q) - 1/2 */
    v sum = cnn_exp_reduce(v_max(v_set(-20.0f), x), CNN_WHOLE + 126, &r);
    v power = v_of_bits(vu_shl(v_bits(sum), 23));
    v half = v_fma(cnn_expm1_reduced(r), power, v_sub(power, v_set(0.5f)));
    return cnn_exp_overflow(x, v_add(half, half));
}

/* e^x - 1 for x <= 0. */
CNN_INLINE v cnn_expm1_negative(v x)
{
    v r;
    v sum = cnn_exp_reduce(v_max(v_set(-20.0f), x), CNN_WHOLE + 127, &r);
    v power = v_of_bits(vu_shl(v_bits(sum), 23));
    return v_fma(cnn_expm1_reduced(r), power, v_sub(power, v_set(1.0f)));
}

/* ---- logarithms: log(1 + f) = 2 atanh(s), s = f / (2 + f) ------------------------------------ */

CNN_INLINE v v_log(v x)
{
    v small = v_set(FLT_MIN);
    vm subnormal = v_lt(x, small);
    v scaled = v_select(subnormal, v_mul(x, v_set(33554432.0f)), x);
    /* scaled = m 2^e with m in [sqrt(1/2), sqrt(2)): bits counted from those of sqrt(1/2) carry
     * over into e */
    vu bits = vu_add(v_bits(scaled), vu_set(0x3f800000u - 0x3f3504f3u));
    vu mantissa = vu_shr(vu_shl(bits, 9), 9);
    v m = v_of_bits(vu_add(mantissa, vu_set(0x3f3504f3u)));
    v e = v_sub(v_of_bits(vu_xor(vu_shr(bits, 23), vu_set(0x4b000000u))), v_set(8388608.0f + 127));
    e = v_select(subnormal, v_sub(e, v_set(25.0f)), e);

    v f = v_sub(m, v_set(1.0f));
    v s = v_div(f, v_add(f, v_set(2.0f)));
    v z = v_mul(s, s);
    v p = v_fma(v_set(0.29871729f), z, v_set(0.399775416f));
    p = v_fma(p, z, v_set(0.666667759f));
    /* 2s = f - s f keeps the bits that s lost to the division */
    v y = v_fma(s, v_sub(v_mul(z, p), f), v_mul(e, v_set(-2.12194440e-4f)));
    y = v_fma(e, v_set(0.693359375f), v_add(f, y));

    y = v_select(v_eq(x, v_set(INFINITY)), x, y);
    v outside = v_select(v_eq(x, v_zero()), v_set(-INFINITY), v_set(NAN));
    return v_select(v_gt(x, v_zero()), y, outside);
}

/* log(1 + x) for x in [0, 1]. */
CNN_INLINE v cnn_log1p_unit(v x)
{
    v s = v_div(x, v_add(x, v_set(2.0f)));
    v z = v_mul(s, s);
    v p = v_fma(v_set(0.243009344f), z, v_set(0.214276582f));
    p = v_fma(p, z, v_set(0.286168844f));
    p = v_fma(p, z, v_set(0.39998877f));
    p = v_fma(p, z, v_set(0.666666746f));
    return v_fma(s, v_sub(v_mul(z, p), x), x);
}

/* log(1 + x): what 1 + x loses to rounding is made good by a factor. */
CNN_INLINE v v_log1p(v x)
{
    v sum = v_add(v_set(1.0f), x), kept = v_sub(sum, v_set(1.0f));
    v y = v_mul(v_log(sum), v_div(x, kept));
    y = v_select(v_eq(kept, v_zero()), x, y);
    return v_select(v_eq(x, v_set(INFINITY)), x, y);
}

/* ---- tanh, erf ------------------------------------------------------------------------------- */

CNN_INLINE v v_tanh(v x)
{
    v t = cnn_expm1_negative(v_mul(v_abs(x), v_set(-2.0f)));
    return v_copysign(v_div(t, v_add(t, v_set(2.0f))), x);
}

/* erfc(z) e^(z^2) for z >= 0: t P(t), t = 1 / (1 + 0.4 z); relative error 1.3e-7. */
CNN_INLINE v cnn_erfc_scaled(v z)
{
    v t = v_div(v_set(1.0f), v_fma(z, v_set(0.4f), v_set(1.0f)));
    v p = v_fma(v_set(0.0502543226f), t, v_set(-0.182873994f));
    p = v_fma(p, t, v_set(0.169046596f));
    p = v_fma(p, t, v_set(-0.00557934446f));
    p = v_fma(p, t, v_set(0.14142029f));
    p = v_fma(p, t, v_set(0.168544322f));
    p = v_fma(p, t, v_set(0.207842454f));
    p = v_fma(p, t, v_set(0.225669608f));
    p = v_fma(p, t, v_set(0.225675866f));
    return v_mul(p, t);
}

CNN_INLINE v v_erf(v x)
{
    v z = v_abs(x);
    v square = v_mul(z, z);
    /* below 1: x + x P(x^2), relative error 1.3e-9 */
    v p = v_fma(v_set(7.85386219e-05f), square, v_set(-0.000801019371f));
    p = v_fma(p, square, v_set(0.00518832775f));
    p = v_fma(p, square, v_set(-0.0268538129f));
    p = v_fma(p, square, v_set(0.112835854f));
    p = v_fma(p, square, v_set(-0.37612626f));
    p = v_fma(p, square, v_set(0.128379107f));
    v inner = v_fma(x, p, x);
    v outer = v_sub(v_set(1.0f), v_mul(v_exp(v_neg(square)), cnn_erfc_scaled(z)));
    return v_select(v_lt(z, v_set(1.0f)), inner, v_copysign(outer, x));
}

CNN_INLINE v v_erfc(v x)
{
    v z = v_abs(x);
    /* of x itself: what a gradient computes as well is then computed once */
    v outside = v_mul(v_exp(v_neg(v_mul(x, x))), cnn_erfc_scaled(z));
    return v_select(v_gt(x, v_zero()), outside, v_sub(v_set(2.0f), outside));
}

/* The normal distribution: the share of it below x. */
CNN_INLINE v cnn_normal_share(v x)
{
    v z = v_mul(v_abs(x), v_set(0.707106781f));
    v outside = v_mul(v_mul(v_exp(v_mul(v_mul(x, x), v_set(-0.5f))), v_set(0.5f)),
                      cnn_erfc_scaled(z));
    return v_select(v_gt(x, v_zero()), v_sub(v_set(1.0f), outside), outside);
}

#undef CNN_WHOLE

#endif

#undef CNN_LANEWISE2

CNN_INLINE vm v_ne(v a, v b) { return vm_not(v_eq(a, b)); }

/* As cnn_scalar.h has them: what is not a number comes through from either side. */
CNN_INLINE v v_lesser(v a, v b) { return v_select(v_eq(a, a), v_min(a, b), a); }
CNN_INLINE v v_greater(v a, v b) { return v_select(v_eq(a, a), v_max(a, b), a); }
CNN_INLINE v v_clip(v x, v low, v high) { return v_min(high, v_max(low, x)); }
CNN_INLINE v v_sign(v x)
{
    return v_select(v_gt(x, v_zero()), v_set(1), v_select(v_lt(x, v_zero()), v_set(-1), x));
}
/* The remainder that goes with floor: it has the sign of y. */
CNN_INLINE v v_mod(v x, v y) { return v_sub(x, v_mul(v_floor(v_div(x, y)), y)); }

/* Where in a table of `classes` zeros, a 1 and zeros the one-hot vector of a class begins; of no class it is all 0. */
CNN_INLINE int cnn_one_hot(int32_t right, int classes)
{
    return right >= 0 && right < classes ? classes - right : 0;
}

CNN_INLINE v v_sigmoid(v x)
{
    return v_div(v_set(1), v_add(v_set(1), v_exp(v_neg(x))));
}

CNN_INLINE v v_softplus(v x)
{
    return v_add(v_max(v_zero(), x), cnn_log1p_unit(v_exp(v_neg(v_abs(x)))));
}

/* ---- activations ----------------------------------------------------------------------------- */

#define CNN_SELU_SCALE 1.0507009873554805
#define CNN_SELU_ALPHA 1.6732632423543772

CNN_INLINE v v_relu(v x) { return v_max(v_zero(), x); }
CNN_INLINE v v_relu6(v x) { return v_min(v_set(6), v_max(v_zero(), x)); }

CNN_INLINE v v_leaky_relu(v x, real alpha)
{
    return v_select(v_gt(x, v_zero()), x, v_mul(x, v_set(alpha)));
}

CNN_INLINE v v_elu(v x, real alpha)
{
    return v_fma(cnn_expm1_negative(v_min(v_zero(), x)), v_set(alpha), v_max(v_zero(), x));
}

CNN_INLINE v v_selu(v x)
{
    return v_mul(v_elu(x, (real)CNN_SELU_ALPHA), v_set((real)CNN_SELU_SCALE));
}

/* x times the share of the normal distribution below x (the exact form, not tanh's). */
CNN_INLINE v v_gelu(v x)
{
    return v_mul(v_max(v_set(-100), x), cnn_normal_share(x));
}

#ifdef CNN_DOUBLE
#define CNN_REAL_MAX DBL_MAX
#else
#define CNN_REAL_MAX FLT_MAX
#endif

/* The largest finite number stands for an infinity, which would meet a 0. */
CNN_INLINE v v_swish(v x) { return v_mul(v_max(v_set(-CNN_REAL_MAX), x), v_sigmoid(x)); }

/* ---- gradients: dy times the derivative ------------------------------------------------------ */

CNN_INLINE v v_relu_grad(v dy, v y) { return v_select(v_gt(y, v_zero()), dy, v_zero()); }

CNN_INLINE v v_relu6_grad(v dy, v y)
{
    return v_select(vm_and(v_gt(y, v_zero()), v_lt(y, v_set(6))), dy, v_zero());
}

CNN_INLINE v v_leaky_relu_grad(v dy, v y, real alpha)
{
    return v_select(v_gt(y, v_zero()), dy, v_mul(dy, v_set(alpha)));
}

CNN_INLINE v v_elu_grad(v dy, v y, real alpha)
{
    return v_select(v_gt(y, v_zero()), dy, v_mul(dy, v_add(y, v_set(alpha))));
}

CNN_INLINE v v_selu_grad(v dy, v y)
{
    v scale = v_set((real)CNN_SELU_SCALE);
    v negative = v_add(y, v_set((real)(CNN_SELU_SCALE * CNN_SELU_ALPHA)));
    return v_mul(dy, v_select(v_gt(y, v_zero()), scale, negative));
}

CNN_INLINE v v_sigmoid_grad(v dy, v y) { return v_mul(dy, v_mul(y, v_sub(v_set(1), y))); }

CNN_INLINE v v_tanh_grad(v dy, v y) { return v_mul(dy, v_sub(v_set(1), v_mul(y, y))); }

/* sigmoid(x) = 1 - e^-softplus(x) */
CNN_INLINE v v_softplus_grad(v dy, v y) { return v_mul(dy, v_neg(cnn_expm1_negative(v_neg(y)))); }

CNN_INLINE v v_gelu_grad(v dy, v x)
{
    v inside = v_min(v_set(100), v_max(v_set(-100), x));
    v density = v_mul(v_exp(v_mul(v_mul(inside, inside), v_set((real)-0.5))),
                      v_set((real)0.39894228040143268));
    return v_mul(dy, v_fma(inside, density, cnn_normal_share(inside)));
}

CNN_INLINE v v_swish_grad(v dy, v x)
{
    v inside = v_min(v_set(CNN_REAL_MAX), v_max(v_set(-CNN_REAL_MAX), x));
    /* sigmoid at |x| and at -|x|, each without loss: 1 - sigmoid would lose its digits */
    v e = v_exp(v_neg(v_abs(inside)));
    v near = v_div(v_set(1), v_add(v_set(1), e)), far = v_mul(e, near);
    v s = v_select(v_gt(inside, v_zero()), near, far);
    return v_mul(dy, v_fma(inside, v_mul(near, far), s));
}

#undef CNN_REAL_MAX
#undef CNN_SELU_SCALE
#undef CNN_SELU_ALPHA

#endif
