/* test_vec.c - the vector primitives of one target against loops over numbers, the functions of
 * cnn_math.h against libm in more precision, dropout against its hash and its statistics.
 *
 * Compiled once for each target and precision by test_vec.sh.  `-v` prints the largest errors. */
#define _GNU_SOURCE
#include <cnn_vec.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cnn_optimizer.h>

#include "vec_check.h"

#ifdef CNN_DOUBLE
typedef long double wide;       /* references are computed in it */
#define EPSILON DBL_EPSILON
#define SMALLEST DBL_MIN
#define LARGEST DBL_MAX
#define MANTISSA DBL_MANT_DIG
#define LOWEST_EXPONENT DBL_MIN_EXP
#define WIDE(name) name##l
enum { POINTS = 20000 };        /* of each range and function */
#else
typedef double wide;
#define EPSILON FLT_EPSILON
#define SMALLEST FLT_MIN
#define LARGEST FLT_MAX
#define MANTISSA FLT_MANT_DIG
#define LOWEST_EXPONENT FLT_MIN_EXP
#define WIDE(name) name
enum { POINTS = 200000 };
#endif

enum { SAMPLES = 4096 };

static bool verbose;

/* ---- numbers to test with -------------------------------------------------------------------- */

static double random_unit(void) { return (double)(random_bits() >> 11) * 0x1p-53; }

static const real special[] = { 0,          (real)-0.0, 1,           -1,       (real)0.5,
                                (real)-0.5, (real)1.5,  (real)2.5,   -3,       255,
                                SMALLEST,   -SMALLEST,  LARGEST,     -LARGEST, INFINITY,
                                -INFINITY,  (real)1e-8, (real)-1e-8, 7,        6 };
enum { SPECIALS = sizeof special / sizeof special[0] };

/* Every fourth one of the special numbers, else something between 1e-6 and 1e6 with either sign. */
static real random_real(void)
{
    uint64_t bits = random_bits();
    if (bits % 4 == 0) return special[bits / 4 % SPECIALS];
    double size = pow(10, random_unit() * 12 - 6);
    return (real)(bits % 2 ? size : -size);
}

static bool same(real a, real b)
{
    return isnan(a) ? isnan(b) : a == b && signbit(a) == signbit(b);
}

/* Rounds to real: no wider register, no product joined with a sum, comes between. */
static real rounded(real x)
{
    volatile real stored = x;
    return stored;
}

/* ---- operations on lanes --------------------------------------------------------------------- */

#define CHECK_LANES(call, l_expected)                                                              \
    do {                                                                                           \
        real result[V_LANES];                                                                      \
        v_store(result, call);                                                                     \
        for (int l = 0; l < V_LANES; l++) {                                                        \
            real expected = (l_expected);                                                          \
            CHECK(same(result[l], expected), #call " of %.9g, %.9g, %.9g is %.9g, not %.9g",       \
                  (double)a[l], (double)b[l], (double)c[l], (double)result[l], (double)expected);  \
        }                                                                                          \
    } while (0)

static void test_arithmetic(const real *a, const real *b, const real *c)
{
    v x = v_load(a), y = v_load(b);
    CHECK_LANES(x, a[l]);
    CHECK_LANES(v_zero(), 0);
    CHECK_LANES(v_set(a[0]), a[0]);
    CHECK_LANES(v_broadcast(a + 1), a[1]);
    CHECK_LANES(v_add(x, y), rounded(a[l] + b[l]));
    CHECK_LANES(v_sub(x, y), rounded(a[l] - b[l]));
    CHECK_LANES(v_mul(x, y), rounded(a[l] * b[l]));
    CHECK_LANES(v_div(x, y), rounded(a[l] / b[l]));
    CHECK_LANES(v_neg(x), -a[l]);
    CHECK_LANES(v_abs(x), (real)fabs((double)a[l]));
    CHECK_LANES(v_copysign(x, y), (real)copysign((double)a[l], (double)b[l]));
    CHECK_LANES(v_sqrt(v_abs(x)), rounded((real)sqrt(fabs((double)a[l]))));
    CHECK_LANES(v_floor(x), (real)floor((double)a[l]));
    CHECK_LANES(v_round(x), (real)rint((double)a[l]));
}

static void test_choice(const real *a, const real *b, const real *c)
{
    v x = v_load(a), y = v_load(b), one = v_set(1), two = v_set(2);
    vm gt = v_gt(x, y), eq = v_eq(x, y);
    CHECK_LANES(v_select(gt, one, two), a[l] > b[l] ? 1 : 2);
    CHECK_LANES(v_select(v_ge(x, y), one, two), a[l] >= b[l] ? 1 : 2);
    CHECK_LANES(v_select(v_lt(x, y), one, two), a[l] < b[l] ? 1 : 2);
    CHECK_LANES(v_select(v_le(x, y), one, two), a[l] <= b[l] ? 1 : 2);
    CHECK_LANES(v_select(eq, one, two), a[l] == b[l] ? 1 : 2);
    CHECK_LANES(v_select(vm_not(gt), one, two), a[l] > b[l] ? 2 : 1);
    CHECK_LANES(v_select(vm_or(gt, eq), one, two), a[l] >= b[l] ? 1 : 2);
    CHECK_LANES(v_select(vm_and(gt, vm_not(eq)), x, y), a[l] > b[l] ? a[l] : b[l]);
    CHECK_LANES(v_select(vm_and(gt, eq), one, two), 2);
}

/* The sign of a zero is free among zeros; a NaN must come through from the second operand. */
static void test_extremes(const real *a, const real *b)
{
    real most[V_LANES], least[V_LANES];
    v_store(most, v_max(v_load(a), v_load(b)));
    v_store(least, v_min(v_load(a), v_load(b)));
    for (int l = 0; l < V_LANES; l++) {
        CHECK(most[l] == (a[l] > b[l] ? a[l] : b[l]), "max(%.9g, %.9g) is %.9g", (double)a[l],
              (double)b[l], (double)most[l]);
        CHECK(least[l] == (a[l] < b[l] ? a[l] : b[l]), "min(%.9g, %.9g) is %.9g", (double)a[l],
              (double)b[l], (double)least[l]);
    }
    v_store(most, v_max(v_load(a), v_set(NAN)));
    v_store(least, v_min(v_load(a), v_set(NAN)));
    for (int l = 0; l < V_LANES; l++)
        CHECK(isnan(most[l]) && isnan(least[l]), "a NaN is lost against %.9g", (double)a[l]);
}

/* Rounded once, or after the product and after the sum. */
static void test_fma(const real *a, const real *b, const real *c)
{
    real result[V_LANES];
    v_store(result, v_fma(v_load(a), v_load(b), v_load(c)));
    for (int l = 0; l < V_LANES; l++) {
        real product = rounded(a[l] * b[l]), twice = rounded(product + c[l]);
#ifdef CNN_DOUBLE
        real once = fma(a[l], b[l], c[l]);
#else
        real once = fmaf(a[l], b[l], c[l]);
#endif
        CHECK(same(result[l], once) || same(result[l], twice), "fma(%.9g, %.9g, %.9g) is %.9g",
              (double)a[l], (double)b[l], (double)c[l], (double)result[l]);
    }
}

static void test_across(const real *a)
{
    real whole[V_LANES], most = -INFINITY;
    int sum = 0;
    for (int l = 0; l < V_LANES; l++) {
        whole[l] = (real)((int)(random_bits() % 2001) - 1000);
        sum += (int)whole[l];
        most = a[l] > most ? a[l] : most;
    }
    CHECK(v_sum(v_load(whole)) == (real)sum, "the sum %g is not %d", (double)v_sum(v_load(whole)),
          sum);
    CHECK(v_max_lane(v_load(a)) == most, "the largest lane is not %.9g", (double)most);
    /* each lane by itself: none is left out or counted twice */
    for (int l = 0; l < V_LANES; l++) {
        real alone[V_LANES] = { 0 };
        alone[l] = 3;
        CHECK(v_sum(v_load(alone)) == 3 && v_max_lane(v_load(alone)) == 3, "lane %d is not seen",
              l);
    }
}

static void test_lanes(void)
{
    for (int i = 0; i < SAMPLES; i++) {
        real a[V_LANES], b[V_LANES], c[V_LANES];
        for (int l = 0; l < V_LANES; l++) {
            a[l] = random_real();
            b[l] = random_bits() % 8 ? random_real() : a[l];
            c[l] = random_real();
        }
        test_arithmetic(a, b, c);
        test_choice(a, b, c);
        test_extremes(a, b);
        test_fma(a, b, c);
        test_across(a);
    }
}

/* ---- memory ---------------------------------------------------------------------------------- */

/* The end of a page behind which nothing may be touched. */
static char *page_end(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *p = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED || mprotect(p + page, page, PROT_NONE)) {
        perror("mmap");
        exit(99);
    }
    return p + page;
}

enum { GUARD = 64 };            /* bytes before and after */

/* The last element stored ends at the end of the page, or GUARD bytes before it. */
static void test_store(char *end, int n, const real *values)
{
    for (int room = 0; room <= GUARD; room += GUARD) {
        char *begin = end - room - (size_t)n * sizeof(real);
        memset(begin - GUARD, 0xa5, (size_t)(end - begin) + GUARD);
        if (n == V_LANES)
            v_store((real *)(void *)begin, v_load(values));
        else
            v_store_tail((real *)(void *)begin, v_load(values), n);
        CHECK(!memcmp(begin, values, (size_t)n * sizeof(real)), "%d reals are not stored", n);
        for (char *p = begin - GUARD; p < end; p++)
            if (p < begin || p >= begin + (size_t)n * sizeof(real))
                CHECK(*p == (char)0xa5, "storing %d reals touches the byte at %d", n,
                      (int)(p - begin));
    }
}

static void test_load(char *end, int n, const real *values)
{
    char *begin = end - (size_t)n * sizeof(real);
    real result[V_LANES];
    memcpy(begin, values, (size_t)n * sizeof(real));
    v_store(result,
            n == V_LANES ? v_load((real *)(void *)begin) : v_load_tail((real *)(void *)begin, n));
    for (int l = 0; l < V_LANES; l++)
        CHECK(same(result[l], l < n ? values[l] : 0), "lane %d of %d loaded is %.9g", l, n,
              (double)result[l]);
}

static void test_bytes(char *end, int n, int base)
{
    for (int room = 0; room <= GUARD; room += GUARD) {
        uint8_t *begin = (uint8_t *)end - room - n, expected[V_LANES];
        real values[V_LANES], result[V_LANES];
        for (int l = 0; l < V_LANES; l++) {
            expected[l] = (uint8_t)(base + 37 * l);
            values[l] = expected[l];
        }
        memset(begin - GUARD, 0xa5, (size_t)(end - (char *)begin) + GUARD);
        if (n == V_LANES)
            v_store_u8(begin, v_load(values));
        else
            v_store_u8_tail(begin, v_load(values), n);
        CHECK(!memcmp(begin, expected, (size_t)n), "%d bytes are not stored", n);
        for (uint8_t *p = begin - GUARD; p < (uint8_t *)end; p++)
            if (p < begin || p >= begin + n)
                CHECK(*p == 0xa5, "storing %d bytes touches the byte at %d", n, (int)(p - begin));
        v_store(result, n == V_LANES ? v_load_u8(begin) : v_load_u8_tail(begin, n));
        for (int l = 0; l < V_LANES; l++)
            CHECK(result[l] == (l < n ? values[l] : 0), "lane %d of %d bytes is %g", l, n,
                  (double)result[l]);
    }
}

/* Every element goes to its place, and nothing around it is touched. */
static void test_turn(int from_row, int to_row)
{
    enum { ROW = 2 * V_LANES + 3 };
    real from[V_LANES * ROW], to[V_LANES * ROW], expected[V_LANES * ROW];
    for (int i = 0; i < V_LANES * ROW; i++) {
        from[i] = (real)i;
        to[i] = expected[i] = -1;
    }
    for (int i = 0; i < V_LANES; i++)
        for (int j = 0; j < V_LANES; j++)
            expected[j * to_row + i] = from[i * from_row + j];
    v_turn(from, from_row, to, to_row);
    for (int i = 0; i < V_LANES * ROW; i++)
        CHECK(to[i] == expected[i], "turned, rows of %d to rows of %d: element %d is %g", from_row, to_row, i,
              (double)to[i]);
}

static void test_memory(void)
{
    char *end = page_end();
    real values[V_LANES];
    for (int i = 0; i < 64; i++) {
        for (int l = 0; l < V_LANES; l++) values[l] = random_real();
        for (int n = 1; n <= V_LANES; n++) {
            test_store(end, n, values);
            test_load(end, n, values);
        }
    }
    for (int base = 0; base < 256; base++)
        for (int n = 1; n <= V_LANES; n++) test_bytes(end, n, base);
    real *unaligned = (real *)(void *)(end - 256);
    for (int i = 0; i < 16; i++) {
        v_store(unaligned + i, v_set((real)i));
        CHECK(v_sum(v_load(unaligned + i)) == (real)(i * V_LANES), "unaligned by %d", i);
    }
    test_turn(V_LANES, V_LANES);
    test_turn(2 * V_LANES + 3, V_LANES);
    test_turn(V_LANES + 1, 2 * V_LANES + 3);
    v_prefetch(end);            /* a hint: no fault even here */
    v_prefetchw(end);
}

/* ---- functions ------------------------------------------------------------------------------- */

/* The distance of two neighbouring reals at x. */
static wide spacing(wide x)
{
    int exponent;
    (void)WIDE(frexp)(x, &exponent);
    if (exponent < LOWEST_EXPONENT || x == 0) exponent = LOWEST_EXPONENT;
    return WIDE(ldexp)(1, exponent - MANTISSA);
}

struct function {
    const char *name;
    v (*vector)(v x);
    wide (*reference)(wide x);
    double ulps;                /* the bound, in spacings of the exact result */
    double ulps_square;         /* and as many times x^2, which the result's exponent carries */
    double absolute;            /* or this error, in EPSILON: where the result crosses 0 */
    double from, to;            /* the dense range */
};

static wide reference_sigmoid(wide x) { return 1 / (1 + WIDE(exp)(-x)); }
static wide reference_softplus(wide x)
{
    return (x > 0 ? x : 0) + WIDE(log1p)(WIDE(exp)(-WIDE(fabs)(x)));
}
static wide reference_relu(wide x) { return x > 0 ? x : 0; }
static wide reference_relu6(wide x) { return x > 6 ? 6 : x > 0 ? x : 0; }
static wide reference_leaky(wide x) { return x > 0 ? x : (real)0.1 * x; }
static wide reference_elu(wide x) { return x > 0 ? x : (real)0.7 * WIDE(expm1)(x); }
static wide reference_selu(wide x)
{
    return (x > 0 ? x : (wide)1.67326324235437728L * WIDE(expm1)(x)) * (wide)1.05070098735548049L;
}
static wide reference_share(wide x) { return WIDE(erfc)(-x * (wide)0.70710678118654752440L) / 2; }
static wide reference_gelu(wide x) { return x < -100 ? 0 : x * reference_share(x); }
static wide reference_swish(wide x) { return x * reference_sigmoid(x); }
static wide density(wide x) { return WIDE(exp)(-x * x / 2) * (wide)0.39894228040143267794L; }
static wide reference_gelu_grad(wide x) { return reference_share(x) + x * density(x); }
static wide reference_swish_grad(wide x)
{
    wide s = reference_sigmoid(x);
    return s + x * s * reference_sigmoid(-x);
}
static wide reference_softplus_grad(wide y) { return -WIDE(expm1)(-y); }

static v call_leaky(v x) { return v_leaky_relu(x, (real)0.1); }
static v call_elu(v x) { return v_elu(x, (real)0.7); }
static v call_gelu_grad(v x) { return v_gelu_grad(v_set(1), x); }
static v call_swish_grad(v x) { return v_swish_grad(v_set(1), x); }
static v call_softplus_grad(v y) { return v_softplus_grad(v_set(1), y); }

static wide reference_exp(wide x) { return WIDE(exp)(x); }
static wide reference_expm1(wide x) { return WIDE(expm1)(x); }
static wide reference_log(wide x) { return WIDE(log)(x); }
static wide reference_tanh(wide x) { return WIDE(tanh)(x); }
static wide reference_erf(wide x) { return WIDE(erf)(x); }
static v call_exp(v x) { return v_exp(x); }
static v call_expm1(v x) { return v_expm1(x); }
static v call_log(v x) { return v_log(x); }
static v call_tanh(v x) { return v_tanh(x); }
static v call_erf(v x) { return v_erf(x); }
static wide reference_log1p(wide x) { return WIDE(log1p)(x); }
static wide reference_erfc(wide x) { return WIDE(erfc)(x); }
static wide reference_sign(wide x) { return x > 0 ? 1 : x < 0 ? -1 : x; }
static wide reference_clip(wide x) { return x < -2 ? -2 : x > 3 ? 3 : x; }
static wide reference_mod(wide x) { return x - WIDE(floor)(x / 2) * 2; }
static wide reference_pow(wide x) { return WIDE(pow)(x, (real)2.5); }
static v call_log1p(v x) { return v_log1p(x); }
static v call_erfc(v x) { return v_erfc(x); }
static v call_sign(v x) { return v_sign(x); }
static v call_clip(v x) { return v_clip(x, v_set(-2), v_set(3)); }
static v call_mod(v x) { return v_mod(x, v_set(2)); }
static v call_pow(v x) { return v_pow(x, v_set((real)2.5)); }
static v call_sigmoid(v x) { return v_sigmoid(x); }
static v call_softplus(v x) { return v_softplus(x); }
static v call_relu(v x) { return v_relu(x); }
static v call_relu6(v x) { return v_relu6(x); }
static v call_selu(v x) { return v_selu(x); }
static v call_gelu(v x) { return v_gelu(x); }
static v call_swish(v x) { return v_swish(x); }

static const struct function functions[] = {
    { "exp", call_exp, reference_exp, 2, 0, 0, -90, 90 },
    { "expm1", call_expm1, reference_expm1, 4, 0, 0, -20, 90 },
    { "log", call_log, reference_log, 3, 0, 0, 0.25, 4 },
    { "tanh", call_tanh, reference_tanh, 4, 0, 0, -10, 10 },
    { "erf", call_erf, reference_erf, 3, 0, 0, -5, 5 },
    { "log1p", call_log1p, reference_log1p, 4, 0, 0, -0.9, 4 },
    { "erfc", call_erfc, reference_erfc, 9, 3, 0, -5, 9 },
    { "sign", call_sign, reference_sign, 0, 0, 0, -2, 2 },
    { "clip", call_clip, reference_clip, 0, 0, 0, -4, 4 },
    { "mod", call_mod, reference_mod, 1, 0, 0, -40, 40 },
    { "pow", call_pow, reference_pow, 2, 0, 0, -1, 9 },
    { "sigmoid", call_sigmoid, reference_sigmoid, 4, 0, 0, -90, 90 },
    { "softplus", call_softplus, reference_softplus, 4, 0, 0, -90, 90 },
    { "relu", call_relu, reference_relu, 0, 0, 0, -2, 2 },
    { "relu6", call_relu6, reference_relu6, 0, 0, 0, -2, 8 },
    { "leaky_relu", call_leaky, reference_leaky, 1, 0, 0, -2, 2 },
    { "elu", call_elu, reference_elu, 4, 0, 0, -20, 2 },
    { "selu", call_selu, reference_selu, 4, 0, 0, -20, 2 },
    { "gelu", call_gelu, reference_gelu, 9, 2, 0, -14, 14 },
    { "swish", call_swish, reference_swish, 4, 0, 0, -90, 90 },
    { "gelu_grad", call_gelu_grad, reference_gelu_grad, 0, 0, 6, -14, 14 },
    { "swish_grad", call_swish_grad, reference_swish_grad, 0, 0, 6, -90, 90 },
    { "softplus_grad", call_softplus_grad, reference_softplus_grad, 4, 0, 0, 0, 40 },
};

struct worst {
    double error, x;            /* as a share of the bound */
    double ulps;
};

/* Checks one vector of arguments. */
static void check_function(const struct function *f, const real *x, struct worst *worst)
{
    real result[V_LANES];
    v_store(result, f->vector(v_load(x)));
    for (int l = 0; l < V_LANES; l++) {
        wide exact = isnan(x[l]) ? (wide)NAN : f->reference(x[l]);
        if (isnan(exact) || isinf((real)exact)) {
            /* one step short of infinity is as good, where rounding decides */
            bool good = isnan(exact) ? isnan(result[l]) : result[l] == (real)exact;
            good = good || (isinf((real)exact) && !isinf(exact) &&
                            WIDE(fabs)((wide)result[l]) > LARGEST * (1 - 4 * EPSILON));
            CHECK(good, "%s(%.9g) is %.9g, not %.9g", f->name, (double)x[l], (double)result[l],
                  (double)exact);
            continue;
        }
        wide error = WIDE(fabs)((wide)result[l] - exact);
        wide bound = (f->ulps + f->ulps_square * (double)x[l] * (double)x[l]) * spacing(exact);
        if (bound < f->absolute * EPSILON) bound = f->absolute * EPSILON;
        if (isinf(result[l]) && WIDE(fabs)(exact) > LARGEST * (1 - 4 * EPSILON)) continue;
        /* what is subnormal, or comes of something subnormal, may be 0 */
        if (error <= 1.01 * SMALLEST * (1 + fabs((double)x[l]))) continue;
        CHECK(error <= bound, "%s(%.9g) is %.9g, not %.9g: %.3g ulps off", f->name, (double)x[l],
              (double)result[l], (double)exact, (double)(error / spacing(exact)));
        double share = bound > 0 ? (double)(error / bound) : 0;
        if (share > worst->error)
            *worst = (struct worst){ share, (double)x[l], (double)(error / spacing(exact)) };
    }
}

/* A real from the whole line of its bit patterns, infinities and NaN among them. */
static real any_real(double share)
{
    real x;
#ifdef CNN_DOUBLE
    uint64_t bits = (uint64_t)(share * 0x1p63) | (random_bits() << 63);
#else
    uint32_t bits = (uint32_t)(share * 0x1p31) | (uint32_t)(random_bits() << 31);
#endif
    memcpy(&x, &bits, sizeof x);
    return x;
}

static void test_functions(void)
{
    for (size_t k = 0; k < sizeof functions / sizeof functions[0]; k++) {
        const struct function *f = &functions[k];
        struct worst worst = { 0 };
        bool whole_line = strcmp(f->name, "softplus_grad") !=
                          0; /* its argument is never negative */
        for (int i = 0; i < POINTS; i++) {
            real dense[V_LANES], any[V_LANES];
            for (int l = 0; l < V_LANES; l++) {
                double share = (i + (double)l / V_LANES) / POINTS;
                dense[l] = (real)(f->from + (f->to - f->from) * share);
                any[l] = any_real(share);
            }
            check_function(f, dense, &worst);
            bool infinite = strstr(f->name, "_grad") || f->vector == call_gelu ||
                            f->vector == call_swish;
            for (int l = 0; l < V_LANES; l++)
                if (infinite && isinf(any[l])) any[l] = 1;          /* test_limits has these */
            if (whole_line) check_function(f, any, &worst);
        }
        if (verbose)
            printf("  %-14s %6.2f of the bound, %6.2f ulps at %.9g\n", f->name, worst.error,
                   worst.ulps, worst.x);
    }
}

static real first_lane(v x)
{
    real lanes[V_LANES];
    v_store(lanes, x);
    for (int l = 1; l < V_LANES; l++)
        CHECK(same(lanes[l], lanes[0]), "equal arguments, unequal lanes %.9g %.9g",
              (double)lanes[0], (double)lanes[l]);
    return lanes[0];
}

#define CHECK_AT(call, x, expected)                                                                \
    do {                                                                                           \
        real got = first_lane(call(v_set(x)));                                                     \
        CHECK(isnan((real)(expected)) ? isnan(got) : got == (real)(expected),                      \
              #call "(%g) is %.9g, not %.9g", (double)(x), (double)got, (double)(expected));       \
    } while (0)

static void test_limits(void)
{
    for (size_t k = 0; k < sizeof functions / sizeof functions[0]; k++)
        CHECK_AT(functions[k].vector, (real)NAN, NAN);
    CHECK_AT(v_exp, (real)0, 1);
    CHECK_AT(v_exp, (real)-INFINITY, 0);
    CHECK_AT(v_expm1, (real)0, 0);
    CHECK_AT(v_expm1, (real)-INFINITY, -1);
    CHECK_AT(v_log, (real)1, 0);
    CHECK_AT(v_log, (real)0, -INFINITY);
    CHECK_AT(v_log, (real)-1, NAN);
    CHECK_AT(v_tanh, (real)INFINITY, 1);
    CHECK_AT(v_tanh, (real)-INFINITY, -1);
    CHECK_AT(v_sigmoid, (real)0, 0.5);
    CHECK_AT(v_sigmoid, (real)-INFINITY, 0);
    CHECK_AT(v_sigmoid, (real)INFINITY, 1);
    CHECK_AT(v_softplus, (real)INFINITY, INFINITY);
    CHECK_AT(v_softplus, (real)-INFINITY, 0);
    CHECK_AT(v_erf, (real)-INFINITY, -1);
    CHECK_AT(v_gelu, (real)INFINITY, INFINITY);
    CHECK_AT(v_gelu, (real)-INFINITY, 0);
    CHECK_AT(v_gelu, (real)0, 0);
    CHECK_AT(v_swish, (real)INFINITY, INFINITY);
    CHECK_AT(v_swish, (real)-INFINITY, 0);
    CHECK_AT(call_gelu_grad, (real)INFINITY, 1);
    CHECK_AT(call_gelu_grad, (real)-INFINITY, 0);
    CHECK_AT(call_swish_grad, (real)INFINITY, 1);
    CHECK_AT(call_swish_grad, (real)-INFINITY, 0);
    CHECK_AT(call_elu, (real)0, 0);
    CHECK_AT(call_elu, (real)-INFINITY, (real)-0.7);
}

/* The greater and the lesser of two, whichever is no number. */
static void test_pairs(void)
{
    const real pairs[][2] = { { 1, 2 }, { 2, 1 }, { -INFINITY, 3 }, { 3, INFINITY }, { NAN, 1 }, { 1, NAN },
                              { NAN, NAN } };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        real a = pairs[i][0], b = pairs[i][1], nan = a + b;
        real lesser = first_lane(v_lesser(v_set(a), v_set(b))), greater = first_lane(v_greater(v_set(a), v_set(b)));
        CHECK(isnan(nan) ? isnan(lesser) && isnan(greater) : lesser == (a < b ? a : b) && greater == (a < b ? b : a),
              "of %g and %g %g is the lesser, %g the greater", (double)a, (double)b, (double)lesser, (double)greater);
        real differ = first_lane(v_select(v_ne(v_set(a), v_set(b)), v_set(1), v_zero()));
        CHECK(differ == (a != b), "%g and %g differ: %g", (double)a, (double)b, (double)differ);
    }
}

/* Gradients that read the result, against their formulas. */
static void test_gradients(void)
{
    const real alpha = (real)0.3;
    for (int i = 0; i < SAMPLES; i++) {
        real dy = (real)(random_unit() * 4 - 2),
             y = i % 8 ? (real)(random_unit() * 8 - 1) : (real)(i % 16 ? 0 : 6);
        v d = v_set(dy), r = v_set(y);
        wide w = y, selu = (wide)1.05070098735548049L, bound = 8 * EPSILON * 20;
        const struct {
            const char *name;
            real got;
            wide exact;
        } cases[] = {
            { "relu", first_lane(v_relu_grad(d, r)), y > 0 ? dy : 0 },
            { "relu6", first_lane(v_relu6_grad(d, r)), y > 0 && y < 6 ? dy : 0 },
            { "leaky_relu", first_lane(v_leaky_relu_grad(d, r, alpha)),
              y > 0 ? dy : (wide)dy * alpha },
            { "elu", first_lane(v_elu_grad(d, r, alpha)), y > 0 ? dy : dy * (w + alpha) },
            { "selu", first_lane(v_selu_grad(d, r)),
              dy * (y > 0 ? selu : w + selu * (wide)1.67326324235437728L) },
            { "sigmoid", first_lane(v_sigmoid_grad(d, r)), dy * w * (1 - w) },
            { "tanh", first_lane(v_tanh_grad(d, r)), dy * (1 - w * w) },
        };
        for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++)
            CHECK(WIDE(fabs)(cases[k].got - cases[k].exact) <= bound,
                  "%s_grad(%.9g, %.9g) is %.9g, not %.9g", cases[k].name, (double)dy, (double)y,
                  (double)cases[k].got, (double)cases[k].exact);
    }
}

/* ---- dropout --------------------------------------------------------------------------------- */

enum { DRAWN = 1 << 20 };

/* How many of DRAWN fair decisions may be off: five deviations. */
static double tolerance(double rate) { return 5 * sqrt(rate * (1 - rate) / DRAWN); }

static void test_rates(void)
{
    static const double rates[] = { 0, 0.1, 0.25, 0.5, 0.9 };
    for (size_t k = 0; k < sizeof rates / sizeof rates[0]; k++) {
        uint32_t threshold = (uint32_t)floor(rates[k] * 0x1p32 + 0.5);
        uint64_t key = cnn_key(7, k, 1);
        int64_t dropped = 0;
        for (int64_t i = 0; i < DRAWN; i += V_LANES) {
            real lanes[V_LANES];
            v_store(lanes, v_dropout(v_set(1), key, i, threshold, 2));
            for (int l = 0; l < V_LANES; l++) {
                CHECK(lanes[l] == (cnn_hash(key, i + l) >= threshold ? 2 : 0), "lane %d at %d", l,
                      (int)i);
                dropped += lanes[l] == 0;
            }
        }
        double share = (double)dropped / DRAWN;
        CHECK(fabs(share - rates[k]) <= tolerance(rates[k]), "%g dropped instead of %g", share,
              rates[k]);
    }
}

/* Bits are fair, and neither neighbours, steps nor streams know of each other. */
static void test_independence(void)
{
    uint64_t key = cnn_key(7, 100, 3);
    const uint64_t others[] = { cnn_key(7, 101, 3), cnn_key(7, 100, 4), cnn_key(8, 100, 3) };
    for (int bit = 0; bit < 32; bit++) {
        int ones = 0, next = 0, row = 0, other[3] = { 0 };
        for (int64_t i = 0; i < DRAWN; i++) {
            uint32_t h = cnn_hash(key, i);
            ones += h >> bit & 1;
            next += (h ^ cnn_hash(key, i + 1)) >> bit & 1;
            row += (h ^ cnn_hash(key, i + 128)) >> bit & 1;
            for (int k = 0; k < 3; k++) other[k] += (h ^ cnn_hash(others[k], i)) >> bit & 1;
        }
        const int counts[] = { ones, next, row, other[0], other[1], other[2] };
        for (int k = 0; k < 6; k++)
            CHECK(fabs((double)counts[k] / DRAWN - 0.5) <= tolerance(0.5),
                  "bit %d, statistic %d: %g", bit, k, (double)counts[k] / DRAWN);
    }
}

/* The same numbers on every target, and wherever a vector begins. */
static void test_same_everywhere(void)
{
    uint64_t sum = UINT64_C(0xcbf29ce484222325);
    for (int64_t i = 0; i < 4096; i++)
        sum = (sum ^ cnn_hash(cnn_key(1, 2, 3), i * 12345)) * UINT64_C(0x100000001b3);
    CHECK(sum == UINT64_C(0x7bc6e08e08a2a2b0), "the numbers have changed: 0x%016llx", (unsigned long long)sum);
    for (int64_t i = INT64_C(0xfffffff0); i < INT64_C(0x100000010); i++) {
        real lanes[V_LANES];
        v_store(lanes, v_dropout(v_set(3), 99, i, UINT32_C(0x80000000), 1));
        for (int l = 0; l < V_LANES; l++)
            CHECK(lanes[l] == (cnn_hash(99, i + l) >= UINT32_C(0x80000000) ? 3 : 0),
                  "at 2^32, lane %d", l);
    }
}

/* ---- optimizers ------------------------------------------------------------------------------ */

static void test_optimizers(void)
{
    real g[48];
    double squares = 0, product = 1;
    for (int i = 0; i < 48; i++) {
        g[i] = (real)(random_unit() - 0.5);
        squares += (double)g[i] * (double)g[i];
    }
    CHECK(fabs(cnn_squares(g, 48) - squares) <= 1e-14, "squares add up to %.17g, not %.17g", cnn_squares(g, 48),
          squares);
    CHECK(cnn_squares(g, 0) == 0, "the squares of nothing are %.17g", cnn_squares(g, 0));
    for (int t = 1; t <= 1500; t++) {
        product *= 0.999 * (1 - 0.5 * pow(0.96, t));
        CHECK(fabs(cnn_nadam_product(0.999, t) - product) <= 1e-12 * product,
              "nadam's product of %d steps is %.17g, not %.17g", t, cnn_nadam_product(0.999, t), product);
    }
}

/* Whether this machine has the instructions of the target. */
static bool machine_serves(void)
{
#if defined CNN_TARGET_X86_64_V4
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

int main(int argc, char **argv)
{
    if (!machine_serves()) return 77;
    verbose = argc > 1 && !strcmp(argv[1], "-v");
    test_lanes();
    test_memory();
    test_functions();
    test_limits();
    test_pairs();
    test_gradients();
    test_rates();
    test_independence();
    test_same_everywhere();
    test_optimizers();
    return failures != 0;
}
