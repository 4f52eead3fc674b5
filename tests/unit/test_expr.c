/* test_expr.c - expressions: read and written, simplified, differentiated, evaluated.  expr_code.sh compiles them. */
#include <criterion/criterion.h>
#include <string.h>

#include "expr/activations.h"
#include "expr/expr_parts.h"
#include "random_expr.h"

enum { INPUTS = 3 };            /* x, y, z */

struct fixture {
    struct arena arena;
    struct expr_pool *pool;
    const struct expr *inputs[INPUTS];
    struct expr_name names[INPUTS + 1];
};

static struct fixture *fixture(void)
{
    static const char *const words[] = { "x", "y", "z" };
    struct arena first = {0};
    struct fixture *f = arena_alloc(&first, sizeof *f);
    f->arena = first;
    f->pool = expr_pool_new(&f->arena);
    for (int i = 0; i < INPUTS; i++) {
        f->inputs[i] = expr_input(f->pool, i, words[i], true);
        f->names[i] = (struct expr_name){ words[i], f->inputs[i] };
    }
    return f;
}

static void finish(struct fixture *f)
{
    struct arena all = f->arena;        /* f lies in it */
    arena_free(&all);
}

static const struct expr *parsed(struct fixture *f, const char *formula)
{
    const char *wrong = "nothing";
    const struct expr *e = expr_parse(f->pool, formula, f->names, &wrong);
    cr_assert_not_null(e, "%s: %s", formula, wrong);
    return e;
}

static const struct expr *simple(struct fixture *f, const struct expr *e)
{
    expr_simplify(f->pool, &e, 1);
    return e;
}

static const char *simplified(struct fixture *f, const char *formula)
{
    return expr_text(&f->arena, simple(f, parsed(f, formula)));
}

static double value_at(struct fixture *f, const struct expr *e, double x, double y, double z)
{
    double result = -12345;
    expr_evaluate(f->pool, e, (const double *[]){ &x, &y, &z }, 1, &result);
    return result;
}

static bool same(double a, double b)
{
    return isnan(a) ? isnan(b) : a == b;
}

/* ---- reading and writing --------------------------------------------------------------------- */

Test(expr, what_is_written_is_read_again)
{
    static const char *const formulas[] = {
        "x + y * z", "(x + y) * z", "x - (y - z)", "x - y - z", "x / (y / z)", "-x^2", "(-x)^2", "x^y^z", "(x^y)^z",
        "x % y", "if x > 0 then y else z", "(if x > 0 then y else z) + 1",
            "if x > 0 and y < 1 or not z == 2 then 1 else 2",
        "not (x > 0 and y > 0)", "x > 0 and (y > 0 or z > 0)", "clip(x, -1, 1)", "max(x, min(y, z))", "sum(x * y)",
        "log(1 + exp(x))", "-(x + y)", "-(-x)", "0.1 + 1e-30 + 123456789", "(x > y) + 1"
    };
    struct fixture *f = fixture();
    for (size_t i = 0; i < sizeof formulas / sizeof *formulas; i++) {
        const struct expr *e = parsed(f, formulas[i]);
        const char *text = expr_text(&f->arena, e);
        cr_expect_eq(parsed(f, text), e, "%s becomes %s", formulas[i], text);
    }
    cr_expect_str_eq(expr_text(&f->arena, parsed(f, "((x) + ((y)*z))")), "x + y * z");
    cr_expect_str_eq(expr_text(&f->arena, parsed(f, "x-(y-z)")), "x - (y - z)");
    finish(f);
}

Test(expr, random_expressions_are_read_again)
{
    struct fixture *f = fixture();
    struct random_expr r = { f->pool, f->inputs, INPUTS, 1, false, false };
    for (int i = 0; i < 1000; i++) {
        const struct expr *e = random_expr(&r, 5);
        const char *text = expr_text(&f->arena, e);
        const struct expr *again = parsed(f, text);
        for (int k = 0; k < 4; k++) {           /* -2 is read as the negative of 2: another node of the same value */
            double x = random_number(&r), y = random_number(&r), z = random_number(&r);
            cr_assert(same(value_at(f, e, x, y, z), value_at(f, again, x, y, z)), "%s", text);
        }
    }
    finish(f);
}

Test(expr, what_is_no_formula)
{
    static const struct {
        const char *formula, *wrong;
    } cases[] = { { "x +", "a syntax error" }, { "", "a syntax error" }, { "x) + (y", "a syntax error" },
                  { "w", "nothing is called 'w'" }, { "sine(x)", "no function is called 'sine'" },
                  { "max(x)", "a wrong number of arguments" }, { "\"x\"", "something that is no number" } };
    struct fixture *f = fixture();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *wrong = NULL;
        cr_expect_null(expr_parse(f->pool, cases[i].formula, f->names, &wrong), "%s", cases[i].formula);
        cr_expect_str_eq(wrong, cases[i].wrong);
    }
    finish(f);
}

Test(expr, equal_expressions_are_one)
{
    struct fixture *f = fixture();
    cr_expect_eq(parsed(f, "tanh(x * y) + 1"), parsed(f, "1 + tanh(y * x)"));
    cr_expect_neq(parsed(f, "x - y"), parsed(f, "y - x"));
    cr_expect_neq(expr_number(f->pool, 0), expr_number(f->pool, -0.0));
    finish(f);
}

/* ---- simplification -------------------------------------------------------------------------- */

Test(expr, identities)
{
    static const struct {
        const char *formula, *simple;
    } cases[] = {
        { "1 + 2 * 3", "7" }, { "exp(0) + x", "1 + x" }, { "2 * 3 * x", "6 * x" }, { "if 1 > 2 then x else y", "y" },
        { "if not 1 > 2 then x else y", "x" }, { "if x > 0 and 1 < 2 then y else z", "if x > 0 then y else z" },
        { "if x > 0 then y else y", "y" }, { "if not x > 0 then y else z", "if x > 0 then z else y" },
        { "if x > 0 then (if x > 0 then y else z) else 1", "if x > 0 then y else 1" },
        { "if x > 0 then 1 else (if x > 0 then y else z)", "if x > 0 then 1 else z" },
        { "log(1 + exp(x))", "softplus(x)" }, { "log(exp(x) + 1)", "softplus(x)" }, { "log1p(exp(x))", "softplus(x)" },
        { "log(1 + x)", "log1p(x)" }, { "exp(x) - 1", "expm1(x)" }, { "1 / (1 + exp(-x))", "sigmoid(x)" },
        { "1 / (1 + exp(x))", "sigmoid(-x)" }, { "x * 1", "x" }, { "1 * x", "x" }, { "x / 1", "x" }, { "x - 0", "x" },
        { "-1 * x", "-x" }, { "--x", "x" }, { "x + -y", "x - y" }, { "-x + y", "y - x" }, { "x - -y", "x + y" },
        { "-x * -y", "x * y" }, { "abs(-x)", "abs(x)" }, { "x / 4", "x * 0.25" }, { "x^1", "x" }, { "x^2", "x * x" },
        { "x^3", "x * x * x" }, { "x^-1", "1 / x" }, { "x^0", "1" }, { "relu(relu(x))", "relu(x)" },
        { "round(floor(x))", "floor(x)" }, { "max(x, x)", "x" }, { "not not x > 0", "x > 0" },
        { "1 + erf(x)", "erfc(-x)" }, { "erf(x) + 1", "erfc(-x)" }, { "1 - erf(x)", "erfc(x)" },
        { "(x > 0) + 1", "(if x > 0 then 1 else 0) + 1" }, { "not x == y", "x != y" },
    };
    struct fixture *f = fixture();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect_str_eq(simplified(f, cases[i].formula), cases[i].simple, "%s becomes %s, not %s", cases[i].formula,
                         simplified(f, cases[i].formula), cases[i].simple);
    finish(f);
}

/* What would be wrong for an infinity, a NaN, a -0, or would round otherwise. */
Test(expr, what_stays)
{
    static const char *const formulas[] = { "x * 0", "x - x", "x / x", "x + 0", "0 / x", "x * y / y", "x + 1 - 1",
                                            "2 * x * 3", "x / 3", "x^0.5", "log(exp(x))", "sqrt(x * x)", "1 / 0",
                                            "not x < y", "max(x, y)", "x == x", "exp(log(x))", "0 - x" };
    struct fixture *f = fixture();
    for (size_t i = 0; i < sizeof formulas / sizeof *formulas; i++)
        cr_expect_str_eq(simplified(f, formulas[i]), formulas[i]);
    finish(f);
}

/* On all kinds of numbers a simplified expression has the same value; only where a function is recognised, and in
 * powers, it may differ in the last bits. */
Test(expr, simplification_keeps_values)
{
    static const double odd[] = { 0, -0.0, 1, -1, INFINITY, -INFINITY, NAN, 0.5, 2, -3.25, 1e300, 40, -1e-300 };
    enum { ODD = sizeof odd / sizeof *odd };
    struct fixture *f = fixture();
    struct random_expr r = { f->pool, f->inputs, INPUTS, 2, false, false };
    for (int i = 0; i < 2000; i++) {
        const struct expr *e = random_expr(&r, 4), *s = simple(f, e);
        for (int k = 0; k < 20; k++) {
            double x = odd[random_below(&r, ODD)], y = random_number(&r), z = odd[random_below(&r, ODD)];
            double before = value_at(f, e, x, y, z), after = value_at(f, s, x, y, z);
            cr_assert(same(before, after) || fabs(before - after) <= 1e-9 * (1 + fabs(before)),
                      "%s is %.17g at %g, %g, %g, but %s is %.17g", expr_text(&f->arena, e), before, x, y, z,
                      expr_text(&f->arena, s), after);
        }
    }
    finish(f);
}

/* A chain of sums that each use the one before twice: as a tree it would be of 2^200 nodes. */
Test(expr, what_is_shared_is_shared)
{
    struct fixture *f = fixture();
    const struct expr *e = f->inputs[0];
    for (int i = 0; i < 200; i++)
        e = expr_make(f->pool, EXPR_ADD, (const struct expr *[]){ expr_make(f->pool, EXPR_TANH, &e), e });
    e = simple(f, e);
    const struct expr *d = expr_derivative(f->pool, e, f->inputs[0]);
    cr_expect_lt(f->pool->count, 5000);
    cr_expect(value_at(f, d, 0, 0, 0) > 1e59);      /* 2^200 */
    finish(f);
}

/* ---- derivatives ----------------------------------------------------------------------------- */

Test(expr, derivatives_at_kinks)
{
    static const struct {
        const char *formula;
        double x, derivative;
    } cases[] = {
        { "relu(x)", 0, 0 }, { "relu(x)", 1, 1 }, { "relu(x)", -1, 0 }, { "abs(x)", 0, 0 }, { "abs(x)", -2, -1 },
        { "sign(x)", 0, 0 }, { "sign(x)", 3, 0 }, { "max(x, 0)", 0, 1 }, { "max(0, x)", 0, 0 }, { "min(x, 0)", 0, 1 },
        { "min(0, x)", 0, 0 }, { "max(x, x + 0)", 1, 1 }, { "clip(x, -1, 1)", 1, 1 }, { "clip(x, -1, 1)", -1, 1 },
        { "clip(x, -1, 1)", 1.5, 0 }, { "clip(x, -1, 1)", -1.5, 0 }, { "clip(0, x, 1)", 0, 0 },
            { "clip(-1, x, 1)", 0, 1 },
        { "clip(2, 0, x)", 1, 1 }, { "clip(2, 0, x)", 2, 0 }, { "round(x)", 0.5, 0 }, { "floor(x)", 1, 0 },
        { "x % 2", 5, 1 }, { "7 % x", 2, -3 }, { "x^2", 0, 0 }, { "x^0", 0, 0 }, { "0^x", 2, 0 },
            { "2^x", 0, 0.69314718055994529 },
        { "x^1.5", 0, 0 }, { "x^x", 0, 0 },
        /* what is not taken contributes nothing, not even NaN */
        { "if x > 0 then log(x) else 0", -1, 0 }, { "if x > 0 then log(x) else 0", 2, 0.5 },
        { "sqrt(if x > 0 then x else 0)", -1, 0 }, { "sqrt(if x > 0 then x else 0)", 4, 0.25 },
        { "log(if x > 0 then x else 0)", -1, 0 }, { "sqrt(relu(x))", -1, 0 }, { "sqrt(relu(relu(x) * 2))", -1, 0 },
        { "sqrt((if x > 0 then x else 0) + (if x > 1 then x else 0))", -1, 0 },
        { "1 / (if x > 0 then x else 0)", -1, 0 }, { "(if x > 0 then x else 0) * (1 / x)", 0, 0 },
        { "sqrt(if x > 0 then (if x > 1 then x else 0) else 0)", 0.5, 0 },
        { "if x > 0 then x else 0.3 * x", 0, 0.3 },
    };
    struct fixture *f = fixture();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct expr *e = simple(f, parsed(f, cases[i].formula));
        double got = value_at(f, expr_derivative(f->pool, e, f->inputs[0]), cases[i].x, 0, 0);
        cr_expect_float_eq(got, cases[i].derivative, 1e-15, "%s at %g: %g, not %g", cases[i].formula, cases[i].x, got,
                           cases[i].derivative);
    }
    finish(f);
}

struct agreement {
    int tested, wrong;
};

/* The derivative d of e by x against differences, where e has no kink nearby: there both sides agree. */
static void compare_derivative(struct fixture *f, const struct expr *e, const struct expr *d, struct random_expr *r,
                               struct agreement *a)
{
    const double h = 1e-5, x = random_number(r) + 0.3 / 512, y = random_number(r) + 0.7 / 512, z = random_number(r);
    double at = value_at(f, e, x, y, z), before = value_at(f, e, x - h, y, z), after = value_at(f, e, x + h, y, z);
    double left = (at - before) / h, right = (after - at) / h, scale = 1 + fabs(at) + fabs(left) + fabs(right);
    double wider = (value_at(f, e, x + 2 * h, y, z) - value_at(f, e, x - 2 * h, y, z)) / (4 * h),
        middle = (left + right) / 2;
    double got = value_at(f, d, x, y, z);
    if (!(fabs(left - right) < 1e-3 * scale) || !(fabs(wider - middle) < 1e-6 * scale) || fabs(at) > 1e5)
        return;
    a->tested++;
    a->wrong += !(fabs(got - middle) < 1e-4 * scale);
}

static struct agreement agreement_of(struct fixture *f, struct random_expr *r, const struct expr *e,
                                     const struct expr *d, int points)
{
    struct agreement a = {0};
    for (int i = 0; i < points; i++)
        compare_derivative(f, e, d, r, &a);
    return a;
}

Test(expr, derivatives_against_differences)
{
    struct agreement all = {0};
    for (int i = 0; i < 1500; i++) {
        struct fixture *f = fixture();
        struct random_expr r = { f->pool, f->inputs, INPUTS, (uint64_t)i, i % 2, false };
        const struct expr *e = simple(f, random_expr(&r, 5)), *d = expr_derivative(f->pool, e, f->inputs[0]);
        struct agreement a = agreement_of(f, &r, e, d, 12);
        cr_expect_eq(a.wrong, 0, "%d of %d: %s by x is not %s", a.wrong, a.tested, expr_text(&f->arena, e),
                     expr_text(&f->arena, d));
        all.tested += a.tested;
        finish(f);
    }
    cr_expect_gt(all.tested, 1500 * 12 / 2, "only %d points could be compared", all.tested);
}

/* The comparison would find each row's derivative if it were off by a hundredth, and each argument's alone. */
Test(expr, a_wrong_derivative_is_found)
{
    static const double spread[] = { 1, 0.7, 1.3 };
    struct fixture *f = fixture();
    struct random_expr r = { f->pool, f->inputs, INPUTS, 77, false, false };
    int rows = 0;
    for (int op = 0; op < EXPR_OPERATIONS; op++) {
        const struct expr_op_row *row = expr_op_row((enum expr_op)op);
        for (int k = 0; k < row->arguments; k++) {
            const struct expr *args[EXPR_ARGUMENTS];
            if (!row->derivative[k])
                continue;
            for (int i = 0; i < row->arguments; i++)    /* positive, and x in one place only */
                args[i] = i == k ? positive(&r, f->inputs[0])
                                 : expr_number(f->pool, op == EXPR_CLIP ? (double[]){ k == 2 ? 9 : 0.2, 0.1, 6 }[i]
                                                                        : 2 * spread[i]);
            const struct expr *e = simple(f, expr_make(f->pool, (enum expr_op)op, args)),
                              *d = expr_derivative(f->pool, e, f->inputs[0]);
            struct agreement right = agreement_of(f, &r, e, d, 60),
                             wrong = agreement_of(f, &r, e, expr_build2(f->pool, EXPR_MUL, d,
                                                                        expr_number(f->pool, 1.01)), 60);
            cr_expect(right.tested > 20 && !right.wrong, "%s by argument %d: %d of %d", expr_text(&f->arena, e), k,
                      right.wrong, right.tested);
            cr_expect_gt(wrong.wrong, 0, "a hundredth more in %s by argument %d is not seen", expr_text(&f->arena, e),
                         k);
            rows++;
        }
    }
    cr_expect_gt(rows, 25);
    finish(f);
}

/* Choices within choices, of which one branch each is 0: what products go into stays in proportion. */
Test(expr, derivatives_of_deep_choices)
{
    static const char *const steps[] = { "if x > y then tanh(x) else 0",
                                         "sqrt(if x > y then (if x > z then x else 0) else x)",
                                         "(if x > y then 0 else x) * exp(x) + (if x > z then 0 else tanh(x))",
                                         "relu(x) + relu(-x) * clip(x, y, z)" };
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        int nodes[2];
        for (int k = 0; k < 2; k++) {
            struct fixture *f = fixture();
            const struct expr *e = f->inputs[0];
            for (int n = 0; n < 40 * (k + 1); n++) {
                const struct expr_name names[] = { { "x", e }, { "y", f->inputs[1] }, { "z", f->inputs[2] },
                                                   { NULL, NULL } };
                const char *wrong = NULL;
                e = expr_parse(f->pool, steps[i], names, &wrong);
            }
            e = simple(f, e);
            expr_derivative(f->pool, e, f->inputs[0]);
            nodes[k] = f->pool->count;
            finish(f);
        }
        cr_expect(nodes[1] < 3 * nodes[0], "%s: %d nodes, and twice as deep %d", steps[i], nodes[0], nodes[1]);
    }
}

/* ---- reductions ------------------------------------------------------------------------------ */

enum { ELEMENTS = 7 };

static void random_elements(struct random_expr *r, double *x)
{
    for (int i = 0; i < ELEMENTS; i++)
        x[i] = random_number(r) / 4 + 0.1 / 512;
}

static double loss_of(struct fixture *f, const struct expr *e, const double *y, const double *p)
{
    double z = 0, result;
    expr_evaluate(f->pool, e, (const double *[]){ p, y, &z }, ELEMENTS, &result);
    return result;
}

Test(expr, gradients_through_reductions)
{
    /* x are the predictions, y the labels */
    static const char *const losses[] = {
        "sum(x * y)", "mean((x - y)^2)", "sum(x) * mean(y * x)", "-sum(y * (1 - x)^2 * log(0.01 + x * x))",
        "log(sum(exp(x))) - sum(x * y)", "sum((x - mean(x))^2)", "mean(abs(x - mean(x))) / (1 + sum(x * x))",
        "if sum(x) > 0 then sum(x * x) else mean(x)", "sum(tanh(x * sum(y * mean(x * x))))",
        "1 - 2 * sum(x * y) / (sum(x * x) + sum(y))", "if sum(y) > 100 then log(-sum(x * x)) else sum(x)",
        "sum(if sum(y) > 100 then log(-sum(x * x)) else x)", "sum(relu(x)) + mean(max(x, y))",
            "max(sum(x), mean(y)) + 3"
    };
    struct fixture *f = fixture();
    struct random_expr r = { f->pool, f->inputs, INPUTS, 3, false, false };
    for (size_t i = 0; i < sizeof losses / sizeof *losses; i++) {
        const struct expr *e = simple(f, parsed(f, losses[i])), *g = expr_gradient(f->pool, e, f->inputs[0]);
        for (int turn = 0; turn < 20; turn++) {
            double p[ELEMENTS], y[ELEMENTS], z = 0, gradient[ELEMENTS] = { 0 }, h = 1e-5;
            random_elements(&r, p);
            random_elements(&r, y);
            expr_evaluate(f->pool, g, (const double *[]){ p, y, &z }, ELEMENTS, gradient);
            for (int k = 0; k < ELEMENTS; k++) {
                double kept = p[k], got = gradient[g->is_array ? k : 0];
                p[k] = kept + h;
                double after = loss_of(f, e, y, p);
                p[k] = kept - h;
                double difference = (after - loss_of(f, e, y, p)) / (2 * h);
                p[k] = kept;
                cr_expect(fabs(got - difference) < 1e-6 * (1 + fabs(difference)), "%s: %g, not %g", losses[i], got,
                          difference);
            }
        }
    }
    finish(f);
}

Test(expr, reductions_of_numbers)
{
    struct fixture *f = fixture();
    double p[ELEMENTS] = { 1, 2, 3, 4, 5, 6, 7 }, y[ELEMENTS] = { 0 };
    cr_expect_eq(loss_of(f, simple(f, parsed(f, "sum(x) / mean(x)")), y, p), 7);
    cr_expect_eq(loss_of(f, simple(f, parsed(f, "sum(if 1 > 0 then 2 else x)")), y, p), 14);
    cr_expect_eq(loss_of(f, simple(f, parsed(f, "mean(if 1 > 0 then 2 else x)")), y, p), 2);
    finish(f);
}

/* ---- evaluation of long arrays --------------------------------------------------------------- */

Test(expr, arrays_of_any_length)
{
    struct fixture *f = fixture();
    const struct expr *e = simple(f, parsed(f, "if x > 5 then x * 2 else tanh(x)"));
    for (int64_t count = 1; count < 1100; count += 61) {
        double *x = arena_array(&f->arena, (size_t)count, sizeof *x), *y = arena_array(&f->arena, (size_t)count + 1,
                sizeof *y);
        for (int64_t i = 0; i < count; i++)
            x[i] = (double)(i % 11);
        y[count] = 42;
        expr_evaluate(f->pool, e, (const double *[]){ x, x, x }, count, y);
        for (int64_t i = 0; i < count; i++)
            cr_assert_eq(y[i], x[i] > 5 ? x[i] * 2 : tanh(x[i]));
        cr_assert_eq(y[count], 42);
    }
    finish(f);
}

/* ---- the table of activations ---------------------------------------------------------------- */

static double evaluated(const struct activation_expr *e, const struct expr *what, double x, double alpha, double y)
{
    double result, dy = 1;
    expr_evaluate(e->pool, what, (const double *[]){ &x, &alpha, &y, &dy }, 1, &result);
    return result;
}

Test(activations, rows_say_what_is_true)
{
    for (int a = 0; a < ACTIVATIONS_COUNT; a++) {
        const struct activation_row *row = activation_row((enum activation)a);
        struct arena arena = {0};
        const struct activation_expr e = activation_expr(&arena, row);
        double alpha = activation_has_alpha(row) ? row->alpha.value : NAN, last = -INFINITY;
        bool rises = true, never_negative = true;
        for (double x = -20; x <= 20; x += 1.0 / 64) {
            double y = evaluated(&e, e.value, x, alpha, NAN);
            double by_x = evaluated(&e, e.by_x, x, alpha, NAN), slope = evaluated(&e, e.slope, x, alpha, y);
            rises = rises && y >= last - 1e-12;
            never_negative = never_negative && y >= 0;
            last = y;
            if (x != 0)         /* a row without a slope at a kink has that of its formula */
                cr_expect_float_eq(slope, by_x, 1e-9, "%s at %g: slope %g, derivative %g", row->name, x, slope, by_x);
            cr_expect_float_eq(evaluated(&e, e.gradient, x, alpha, y), slope, 1e-15);
        }
        cr_expect(rises || !row->rises, "%s falls somewhere", row->name);
        cr_expect(!rises || row->rises, "%s never falls, and its row does not say so", row->name);
        cr_expect_eq(never_negative, row->never_negative, "%s: never negative", row->name);
        int flops = expr_flops(e.pool, e.value);
        double cycles = expr_cycles(e.pool, e.value);
        cr_expect(abs(flops - row->flops) <= 2, "%s: %d flops, its row says %d", row->name, flops, row->flops);
        cr_expect(cycles <= 2 * row->cycles + 2 && row->cycles <= 2 * cycles + 2, "%s: %g cycles, its row says %g",
                  row->name, cycles, row->cycles);
        cr_expect(row->formula && row->help && strlen(row->help) > 3);
        arena_free(&arena);
    }
}

/* A function of the user's own, of x. */
static struct activation_row own_row(struct arena *a, const char *formula)
{
    struct expr_pool *pool = expr_pool_new(a);
    const struct expr_name names[] = { { "x", expr_input(pool, 0, "x", true) }, { NULL, NULL } };
    const char *wrong = NULL;
    const struct expr *e = expr_parse(pool, formula, names, &wrong);
    cr_assert(e, "%s: %s", formula, wrong);
    return (struct activation_row){ .name = "mine", .formula = formula, .pool = pool, .own = e, .symbol = "own_mine",
                                    .call = "mine" };
}

Test(activations, what_is_spelled_like_a_row_is_that_row)
{
    static const struct {
        const char *formula, *name;
        double alpha;
    } cases[] = {
        { "if x > 0 then x else 0", "relu", 0 }, { "max(0, x)", "relu", 0 }, { "max(x, 0)", NULL, 0 },     /* 1 at 0 */
        { "if x > 0 then x else exp(x) - 1", "elu", 1 }, { "if x > 0 then x else 0.5 * (exp(x) - 1)", "elu", 0.5 },
        { "if x >= 0 then x else exp(x) - 1", NULL, 0 }, { "if x > 0 then x else 0.2 * x", "leaky_relu", 0.2 },
        { "if x > 0 then x else 0.2 * x + 0.1", NULL, 0 }, { "0.5 * x * (1 + erf(x / sqrt(2)))", "gelu", 0 },
        { "x * (1 + erf(x / sqrt(2))) / 2", "gelu", 0 }, { "x / (1 + exp(-x))", "swish", 0 },
        { "x * sigmoid(x)", "swish", 0 }, { "x * sigmoid(2 * x)", NULL, 0 }, { "log(1 + exp(x))", "softplus", 0 },
        { "x * tanh(softplus(x))", NULL, 0 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena arena = {0};
        struct activation_row row = own_row(&arena, cases[i].formula);
        cr_expect(activation_complete(&arena, &row), "%s has a slope", cases[i].formula);
        cr_expect_eq(row.same != NULL, cases[i].name != NULL, "%s is %s", cases[i].formula, row.same ? row.same->name
                     : "none");
        if (row.same && cases[i].name)
            cr_expect_str_eq(row.same->name, cases[i].name, "%s", cases[i].formula);
        if (row.same && cases[i].alpha > 0)
            cr_expect_eq(row.same_alpha, cases[i].alpha, "%s: alpha %g", cases[i].formula, row.same_alpha);
        double x[] = { -2, -0.5, 0.25, 3 }, y[4], other[4];
        activation_evaluate(&row, 0, x, 4, y);
        for (int k = 0; row.same && k < 4; k++) {
            activation_evaluate(row.same, row.same_alpha, x, 4, other);
            cr_expect_float_eq(y[k], other[k], 1e-14, "%s at %g", cases[i].formula, x[k]);
        }
        arena_free(&arena);
    }
}

Test(activations, a_slope_of_nothing_is_seen)
{
    static const char *const flat[] = { "if x > 0 then 1 else 0", "round(x)", "sign(x) * floor(x)", "x > 0" };
    for (size_t i = 0; i < sizeof flat / sizeof *flat; i++) {
        struct arena arena = {0};
        struct activation_row row = own_row(&arena, flat[i]);
        cr_expect_not(activation_complete(&arena, &row), "%s", flat[i]);
        arena_free(&arena);
    }
}

/* Values for inputs, in another pool and in the same one. */
Test(expr, copies_take_other_inputs)
{
    struct fixture *f = fixture();
    struct arena arena = {0};
    struct expr_pool *p = expr_pool_new(&arena);
    const struct expr *x = expr_input(p, 0, "x", true), *y = expr_input(p, 1, "y", true);
    const struct expr_name names[] = { { "x", x }, { "y", y }, { NULL, NULL } };
    const char *wrong = NULL;
    const struct expr *e = expr_parse(p, "sum(x * y) + mean(exp(y)) * (if x > 2 then y else 3)", names, &wrong);
    struct expr_pool *q = expr_pool_new(&arena);
    const struct expr *z = expr_input(q, 0, "z", true), *both[] = { z, expr_make(q, EXPR_NEGATE, &z) };
    const struct expr *copy = expr_copy(q, p, e, both), *turned = expr_copy(p, p, e, (const struct expr *[]){ y, x });
    cr_expect_str_eq(expr_text(&arena, copy), "sum(z * -z) + mean(exp(-z)) * (if z > 2 then -z else 3)");
    cr_expect_str_eq(expr_text(&arena, turned), "sum(x * y) + mean(exp(x)) * (if y > 2 then x else 3)");
    cr_expect_eq(expr_copy(p, p, e, (const struct expr *[]){ x, y }), e);
    arena_free(&arena);
    finish(f);
}
