/* expr_cases.c - writes a C program that compares what expressions are printed as with what they evaluate to.
 *
 *     expr_cases scalar|double|float|vector_double|vector_float COUNT > cases.c
 *
 * The cases are COUNT random expressions and their derivatives by x, every activation's function and gradient as they
 * are printed, among vectors the versions by hand, a rule of several results, and in trainers' C and
 * vectors reductions with their gradients.  How far a result may be off is measured: each node's value is
 * disturbed by a few units in its last place, many times, and points where that moves the result much (near a jump) are
 * left out. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "expr/activations.h"
#include "expr/expr_parts.h"
#include "random_expr.h"

enum { INPUTS = 4, POINTS = 37, TRIALS = 24 };      /* POINTS: no multiple of any vector's width */

static const struct dialect {
    const char *word;
    enum expr_dialect dialect;
    bool vector, single;
} dialects[] = { { "scalar", EXPR_C_SCALAR, false, false },
                 { "double", EXPR_C_DOUBLE, false, false },
                 { "float", EXPR_C_FLOAT, false, true },
                 { "vector_double", EXPR_VECTOR_DOUBLE, true, false },
                 { "vector_float", EXPR_VECTOR_FLOAT, true, true } };

struct maker {
    const struct dialect *d;
    struct arena *arena;
    struct random_expr random;
    int cases, points;
    double inputs[POINTS][INPUTS];
};

/* ---- how far a result may be off ------------------------------------------------------------- */

/* The value at a point; units: how many units in the last place each node may be off, either way.  NAN where a number
 * on the way is too large or too small for what is tested. */
static double disturbed(struct maker *m, const struct expr_pool *p, const struct expr *e, const double *inputs,
                        double units)
{
    const bool *reached = expr_reached(p, &e, 1);
    double *x = calloc((size_t)p->count, sizeof *x), unit = m->d->single ? FLT_EPSILON : DBL_EPSILON, result;
    for (int i = 0; i <= e->id; i++) {
        const struct expr *n = p->nodes[i];
        double a[EXPR_ARGUMENTS] = { 0 }, most = m->d->single ? 1e30 : 1e200;
        if (!reached[i])
            continue;
        for (int k = 0; k < expr_arguments(n); k++)
            a[k] = x[n->args[k]->id];
        x[i] = n->op == EXPR_NUMBER ? n->number : n->op == EXPR_INPUT ? inputs[n->index] : expr_apply(n->op, a[0], a[1],
                a[2]);
        double off = (double)random_below(&m->random, 2001) / 1000 - 1;
        if (n->op != EXPR_INPUT && !n->is_condition && units > 0)
            x[i] *= 1 + off * units * unit;
        if (!(fabs(x[i]) < most) || (x[i] != 0 && fabs(x[i]) < 1 / most))
            x[i] = NAN;
    }
    /* what is too large or too small counts even where it is not taken: a vector computes it all the same */
    result = x[e->id];
    for (int i = 0; i <= e->id; i++)
        if (reached[i] && isnan(x[i]))
            result = NAN;
    free(x);
    return result;
}

/* False: nothing can be said here. */
static bool expected(struct maker *m, const struct expr_pool *p, const struct expr *e, const double *inputs,
                     double *value, double *tolerance)
{
    double unit = m->d->single ? FLT_EPSILON : DBL_EPSILON, spread = 0;
    *value = disturbed(m, p, e, inputs, 0);
    for (int i = 0; i < TRIALS; i++)
        spread = fmax(spread, fabs(disturbed(m, p, e, inputs, 8) - *value));
    *tolerance = 8 * spread + 8 * unit * fabs(*value) + unit * 1e-3;
    return isfinite(*value) && isfinite(spread) && *tolerance < 1e-2 * (1 + fabs(*value));
}

/* ---- cases ----------------------------------------------------------------------------------- */

static double rounded(const struct maker *m, double x)
{
    return m->d->single ? (double)(float)x : x;
}

static void draw(struct maker *m)
{
    for (int i = 0; i < POINTS; i++)
        for (int k = 0; k < INPUTS; k++)
            m->inputs[i][k] = random_number(&m->random);
}

static void put_inputs(const struct maker *m, int number)
{
    printf("static const double in_%d[%d][%d] = {", number, INPUTS, POINTS);
    for (int k = 0; k < INPUTS; k++) {
        printf("\n    {");
        for (int i = 0; i < POINTS; i++)
            printf("%s %.17g", i ? "," : "", m->inputs[i][k]);
        printf(" },");
    }
    printf("\n};\n");
}

/* The points of a function that has been written; call: with the inputs a, b, c, d. */
static void put_case(struct maker *m, const struct expr_pool *p, const struct expr *e, const char *call,
                     const char *what)
{
    int number = m->cases++;
    put_inputs(m, number);
    printf("static const double out_%d[%d][2] = {", number, POINTS);
    for (int i = 0; i < POINTS; i++) {
        double value, tolerance;
        bool good = expected(m, p, e, m->inputs[i], &value, &tolerance);
        m->points += good;
        printf("%s { %.17g, %.17g }", i ? "," : "", good ? value : 0, good ? tolerance : -1);
    }
    printf(" };\nCASE(%d, %s)\n", number, call);
    printf("static const char what_%d[] = \"%.120s\";\n\n", number, what);
}

static void put_random(struct maker *m)
{
    static const char *const words[] = { "x", "y", "z", "w" };
    struct arena arena = {0};
    struct expr_pool *p = expr_pool_new(&arena);
    const struct expr *inputs[INPUTS];
    for (int i = 0; i < INPUTS; i++)
        inputs[i] = expr_input(p, i, words[i], true);
    m->random.pool = p;
    m->random.leaves = inputs;
    m->random.leaves_count = INPUTS;
    const struct expr *e = random_expr(&m->random, 4);
    expr_simplify(p, &e, 1);
    const struct expr *both[] = { e, expr_derivative(p, e, inputs[0]) };
    draw(m);
    for (int i = 0; i < 2; i++) {
        const struct expr_writing how = { .dialect = m->d->dialect, .inputs = words, .inputs_count = INPUTS };
        struct cwriter *w = cw_new(NULL);
        cw_line(w, "static TYPE function_%d(TYPE x, TYPE y, TYPE z, TYPE w)", m->cases);
        cw_open(w, "{");
        cw_line(w, "(void)x, (void)y, (void)z, (void)w;");
        const char *value = expr_write(w, p, &how, &both[i], 1);
        cw_line(w, "return %s;", value);
        cw_close(w, "}");
        fputs(cw_text(w), stdout);
        cw_free(w);
        put_case(m, p, both[i], arena_printf(&arena, "function_%d(a, b, c, d)", m->cases), expr_text(&arena, both[i]));
    }
    arena_free(&arena);
}

/* The arguments are x and alpha, or dy, what the gradient reads and alpha: inputs of the expressions by their index. */
static void put_activation(struct maker *m, const struct activation_row *row)
{
    struct arena arena = {0};
    const struct activation_expr e = activation_expr(&arena, row);
    double alpha = activation_has_alpha(row) ? rounded(m, 0.7 * row->alpha.value) : 0;
    const char *more = activation_has_alpha(row) ? arena_printf(&arena, ", %s", expr_number_text(&arena, m->d->dialect,
            alpha)) : "";
    bool from_result = activation_reads(row) == 'y';
    for (int i = 0; i < POINTS; i++) {
        double *in = m->inputs[i];
        in[ACTIVATION_X] = i < 5 ? 3 * (i - 2) : random_number(&m->random);     /* 0, 3, 6 among them */
        in[ACTIVATION_ALPHA] = alpha;
        in[ACTIVATION_DY] = random_number(&m->random);
        double y;
        expr_evaluate(e.pool, e.value, (const double *[]){ &in[0], &in[1], &in[2], &in[3] }, 1, &y);
        in[ACTIVATION_Y] = rounded(m, y);
    }
    struct cwriter *w = cw_new(NULL);
    const char *name = arena_printf(&arena, "printed_%s", row->name);
    activation_write(w, row, m->d->dialect, name);
    activation_write_gradient(w, row, m->d->dialect, arena_printf(&arena, "%s_grad", name));
    fputs(cw_text(w), stdout);
    cw_free(w);
    const char *read = from_result ? "c" : "a";
    put_case(m, e.pool, e.value, arena_printf(&arena, "%s(a%s)", name, more), row->name);
    put_case(m, e.pool, e.gradient, arena_printf(&arena, "%s_grad(d, %s%s)", name, read, more), row->name);
    if (row->tuned && m->d->vector) {
        put_case(m, e.pool, e.value, arena_printf(&arena, "v_%s(a%s)", row->name, more), row->name);
        put_case(m, e.pool, e.gradient, arena_printf(&arena, "v_%s_grad(d, %s%s)", row->name, read, more), row->name);
    }
    arena_free(&arena);
}

/* ---- several results ------------------------------------------------------------------------- */

/* Adam's rule, which makes a weight and two moments of w, g, m and v: their sum is compared. */
static void put_rule(struct maker *m)
{
    static const char *const words[] = { "w", "g", "m", "v2" };
    static const char *const rule[] = { "0.9 * m + 0.1 * g", "0.999 * v2 + 0.001 * g * g",
                                        "w - 0.01 * (0.9 * m + 0.1 * g) / (sqrt(abs(0.999 * v2 + 0.001 * g * g)) + 0.125)", "g" };
    enum { RESULTS = sizeof rule / sizeof *rule };
    struct arena arena = {0};
    struct expr_pool *p = expr_pool_new(&arena);
    struct expr_name names[INPUTS + 1] = { { NULL, NULL } };
    const struct expr *results[RESULTS], *sum = NULL;
    const char *wrong = NULL, *values[RESULTS];
    for (int k = 0; k < INPUTS; k++)
        names[k] = (struct expr_name){ words[k], expr_input(p, k, words[k], true) };
    for (int i = 0; i < RESULTS; i++)
        results[i] = expr_parse(p, rule[i], names, &wrong);
    expr_simplify(p, results, RESULTS);
    for (int i = 0; i < RESULTS; i++)
        sum = sum ? expr_make(p, EXPR_ADD, (const struct expr *[]){ sum, results[i] }) : results[i];
    const struct expr_writing how = { .dialect = m->d->dialect, .inputs = words, .inputs_count = INPUTS };
    struct cwriter *w = cw_new(NULL);
    cw_line(w, "static TYPE rule(TYPE w, TYPE g, TYPE m, TYPE v2)");
    cw_open(w, "{");
    expr_write_all(w, p, &how, results, RESULTS, values);
    for (int i = 0; i < RESULTS; i++)
        cw_line(w, "const TYPE result_%d = %s;", i, values[i]);
    if (m->d->vector)
        cw_line(w, "return v_add(v_add(v_add(result_0, result_1), result_2), result_3);");
    else
        cw_line(w, "return result_0 + result_1 + result_2 + result_3;");
    cw_close(w, "}");
    fputs(cw_text(w), stdout);
    cw_free(w);
    draw(m);
    put_case(m, p, sum, "rule(a, b, c, d)", "a rule");
    arena_free(&arena);
}

/* ---- reductions ------------------------------------------------------------------------------ */

/* All elements of every node at all points, each off by so many units; a number stands at the first. */
static void disturbed_arrays(struct maker *m, const struct expr_pool *p, const struct expr *e, double units,
                             double result[POINTS])
{
    const bool *reached = expr_reached(p, &e, 1);
    double (*x)[POINTS] = calloc((size_t)p->count, sizeof *x), unit = m->d->single ? FLT_EPSILON : DBL_EPSILON;
    for (int i = 0; i <= e->id; i++) {
        const struct expr *n = p->nodes[i];
        double sum = 0, terms = 0;
        if (!reached[i])
            continue;
        for (int j = 0; expr_is_reduction(n) && j < POINTS; j++) {
            sum += x[n->args[0]->id][n->args[0]->is_array ? j : 0];
            terms += fabs(x[n->args[0]->id][n->args[0]->is_array ? j : 0]);
        }
        for (int j = 0; j < (n->is_array ? POINTS : 1); j++) {
            double a[EXPR_ARGUMENTS] = { 0 }, off = (double)random_below(&m->random, 2001) / 1000 - 1, size;
            for (int k = 0; k < expr_arguments(n); k++)
                a[k] = x[n->args[k]->id][n->args[k]->is_array ? j : 0];
            switch (n->op) {
            case EXPR_NUMBER: x[i][j] = n->number; break;
            case EXPR_INPUT: x[i][j] = m->inputs[j][n->index]; break;
            case EXPR_COUNT: x[i][j] = POINTS; break;
            case EXPR_SUM: x[i][j] = sum; break;
            case EXPR_MEAN: x[i][j] = sum / POINTS; break;
            default: x[i][j] = expr_apply(n->op, a[0], a[1], a[2]);
            }
            size = expr_is_reduction(n) ? terms / (n->op == EXPR_MEAN ? POINTS : 1) : x[i][j];
            if (n->op != EXPR_INPUT && !n->is_condition && units > 0)
                x[i][j] += off * units * unit * size;
            if (!(fabs(x[i][j]) < (m->d->single ? 1e30 : 1e200)))
                x[i][j] = NAN;
        }
    }
    for (int j = 0; j < POINTS; j++)
        result[j] = x[e->id][e->is_array ? j : 0];
    free(x);
}

/* A tolerance below 0 where nothing can be said. */
static void expected_arrays(struct maker *m, const struct expr_pool *p, const struct expr *e, double out[POINTS][2])
{
    double unit = m->d->single ? FLT_EPSILON : DBL_EPSILON, values[POINTS], columns[INPUTS][POINTS],
        spread[POINTS] = { 0 };
    for (int k = 0; k < INPUTS; k++)
        for (int j = 0; j < POINTS; j++)
            columns[k][j] = m->inputs[j][k];
    expr_evaluate(p, e, (const double *[]){ columns[0], columns[1], columns[2], columns[3] }, POINTS, values);
    for (int i = 0; i < TRIALS; i++) {
        double other[POINTS];
        disturbed_arrays(m, p, e, 8, other);
        for (int j = 0; j < POINTS; j++)
            spread[j] = isnan(spread[j]) ? NAN : fmax(spread[j], isnan(other[j]) ? INFINITY
                                                      : fabs(other[j] - values[e->is_array ? j : 0]));
    }
    for (int j = 0; j < POINTS; j++) {
        double value = values[e->is_array ? j : 0], tolerance = 8 * spread[j] + 8 * unit * fabs(value) + unit * 1e-3;
        bool good = isfinite(value) && isfinite(spread[j]) && tolerance < 1e-2 * (1 + fabs(value));
        out[j][0] = good ? value : 0;
        out[j][1] = good ? tolerance : -1;
        m->points += good;
    }
}

/* In vectors the last one is a part of its own, only as far as there are points. */
struct loops {
    const struct dialect *d;
    struct cwriter *w;
};

static void open_block(void *context, int part)
{
    const struct loops *l = context;
    (void)part;
    cw_open(l->w, "{");
}

static void close_block(void *context, int part)
{
    (void)part;
    cw_close(((struct loops *)context)->w, "}");
}

static void open_elements(void *context, int part, const bool *reads)
{
    static const char *const words[] = { "x", "y", "z", "w" };
    const struct loops *l = context;
    if (!l->d->vector)
        cw_open(l->w, "for (int i = 0; i < POINTS; i++) {");
    else if (!part)
        cw_open(l->w, "for (int i = 0; i + V_LANES <= POINTS; i += V_LANES) {");
    else
        cw_open(l->w, "for (int i = POINTS - TAIL; i < POINTS; i += V_LANES) {");
    for (int k = 0; k < 3; k++)
        if (reads[k])
            cw_line(l->w, !l->d->vector ? "const TYPE %s = in[%d][i];"
                          : part        ? "const TYPE %s = v_load_tail(in[%d] + i, TAIL);"
                                        : "const TYPE %s = v_load(in[%d] + i);", words[k], k);
}

static void close_elements(void *context, int part)
{
    close_block(context, part);
}

static void put_element(void *context, int part, const char *value)
{
    const struct loops *l = context;
    cw_line(l->w, !l->d->vector ? "out[i] = %s;" : part ? "v_store_tail(out + i, %s, TAIL);" : "v_store(out + i, %s);",
            value);
}

static const char *inside(void *context, int part)
{
    (void)context;
    return part ? "inside" : NULL;
}

/* One expression of arrays x, y, z and the number w, compared at all points, which are all the same where it is a
 * number. */
static void put_arrays(struct maker *m, struct expr_pool *p, const struct expr *root, const char *what)
{
    static const char *const words[] = { "x", "y", "z", "w" };
    const int number = m->cases++;
    double out[POINTS][2];
    expected_arrays(m, p, root, out);
    put_inputs(m, number);
    printf("static const double out_%d[%d][2] = {", number, POINTS);
    for (int j = 0; j < POINTS; j++)
        printf("%s { %.17g, %.17g }", j ? "," : "", out[j][0], out[j][1]);
    printf(" };\n");
    struct loops l = { m->d, cw_new(NULL) };
    const struct expr_loops loops = { open_elements, close_elements, &l, "POINTS", put_element, m->d->vector ? 2 : 1,
                                      open_block, close_block, m->d->vector ? inside : NULL };
    const struct expr_writing how = { m->d->dialect, words, INPUTS, NULL, &loops, false };
    cw_line(l.w, "static void run_%d(const real (*in)[POINTS], real *out)", number);
    cw_open(l.w, "{");
    cw_line(l.w, "const %s w = in[3][0];", m->d->vector ? "double" : "TYPE");
    if (m->d->vector)
        cw_line(l.w, "const vm inside = v_gt(v_load_tail(ones, TAIL), v_zero());");
    cw_line(l.w, m->d->vector ? "(void)w, (void)inside, (void)in;" : "(void)w, (void)in;");
    const char *value = expr_write(l.w, p, &how, &root, 1);
    if (!root->is_array) {
        cw_open(l.w, "for (int i = 0; i < POINTS; i++) {");
        cw_line(l.w, "out[i] = (real)(%s);", value);
        cw_close(l.w, "}");
    }
    cw_close(l.w, "}");
    fputs(cw_text(l.w), stdout);
    cw_free(l.w);
    printf("static const char what_%d[] = \"%.120s\";\n\n", number, what);
}

/* The expression, and its gradient by x where it is a number. */
static void put_both(struct maker *m, struct expr_pool *p, const struct expr *e, const struct expr *x, const char *what)
{
    expr_simplify(p, &e, 1);
    const struct expr *gradient = e->is_array ? NULL : expr_gradient(p, e, x);
    draw(m);
    put_arrays(m, p, e, what);
    if (gradient)
        put_arrays(m, p, gradient, what);
}

static void put_reductions(struct maker *m)
{
    static const char *const formulas[] = {
        "sum(x * y)", "mean((x - y)^2)", "sum(x) * mean(y * x) + w", "log(sum(exp(x))) - sum(x * y)",
        "sum((x - mean(x))^2) / sum(y * y)", "if sum(x) > w then sum(x * x) else mean(x * z)",
        "sum(tanh(x * mean(y * mean(x * x))))", "sum(abs(x - mean(x) * mean(x)) * abs(x - mean(x) * mean(x)))",
        "mean(if x > y and z < w then x * z else y) * (sum(x) > 0)",
            "sum(if w > 0 then 2 else x) + mean(round(clip(x * y, 0, 1)))",
        "sum(normal_share(x)) * normal_share(mean(y))", "x - mean(x)", "sum(if w > 0 or sum(z) > 0 then x * x else y)",
        "exp(x) / sum(exp(x))", "sum(w) + sum(x > y)"
    };
    static const char *const words[] = { "x", "y", "z", "w" };
    for (size_t i = 0; i < sizeof formulas / sizeof *formulas; i++) {
        struct arena arena = {0};
        struct expr_pool *p = expr_pool_new(&arena);
        const struct expr *inputs[INPUTS];
        struct expr_name names[INPUTS + 1] = { { NULL, NULL } };
        const char *wrong = NULL;
        for (int k = 0; k < INPUTS; k++) {
            inputs[k] = expr_input(p, k, words[k], k < 3);
            names[k] = (struct expr_name){ words[k], inputs[k] };
        }
        const struct expr *e = expr_parse(p, formulas[i], names, &wrong);
        if (!e) {
            fprintf(stderr, "%s: %s\n", formulas[i], wrong);
            exit(1);
        }
        put_both(m, p, e, inputs[0], formulas[i]);
        arena_free(&arena);
    }
}

/* A number of random sums, of which later ones are made of earlier ones. */
static void put_random_reductions(struct maker *m)
{
    enum { SUMS = 3 };
    static const char *const words[] = { "x", "y", "z", "w" };
    struct arena arena = {0};
    struct expr_pool *p = expr_pool_new(&arena);
    const struct expr *leaves[INPUTS + SUMS], *e;
    for (int k = 0; k < INPUTS; k++)
        leaves[k] = expr_input(p, k, words[k], k < 3);
    m->random.pool = p;
    m->random.leaves = leaves;
    for (int k = 0; k < SUMS; k++) {
        m->random.leaves_count = INPUTS + k;
        e = random_expr(&m->random, 3);
        leaves[INPUTS + k] = moderate(&m->random, node(&m->random, random_below(&m->random, 2) ? EXPR_SUM : EXPR_MEAN,
                                                       e, NULL, NULL));
    }
    m->random.leaves = leaves + 3;                  /* numbers alone */
    m->random.leaves_count = INPUTS - 3 + SUMS;
    e = random_expr(&m->random, 3);
    m->random.leaves = leaves;
    put_both(m, p, e, leaves[0], "random sums");
    arena_free(&arena);
}

/* ---- the program ----------------------------------------------------------------------------- */

static void put_head(const struct dialect *d)
{
    printf("#include <math.h>\n#include <stdio.h>\n");
    if (d->vector)
        printf("#include <cnn_vec.h>\n#include <cnn_scalar.h>\n#define TYPE v\n#define TAIL (POINTS %% V_LANES)\n");
    else
        printf("%s#define TYPE %s\ntypedef TYPE real;\n", d->dialect == EXPR_C_SCALAR ? "#include <cnn_scalar.h>\n"
               : "", d->single ? "float" : "double");
    printf("enum { POINTS = %d, INPUTS = %d };\n\n", POINTS, INPUTS);
    if (d->vector) {
        printf("static const real ones[POINTS] = { 1");
        for (int i = 1; i < POINTS; i++)
            printf(", 1");
        printf(" };\n");
    }
    if (d->vector)
        printf("/* the last vector only as far as there are points; what lies behind them is to stay */\n"
               "#define CASE(number, call) \\\n"
               "    static void run_##number(const real (*in)[POINTS], real *out) \\\n"
               "    { \\\n"
               "        for (int i = 0; i < POINTS; i += V_LANES) { \\\n"
               "            const int tail = POINTS - i < V_LANES ? POINTS - i : 0; \\\n"
               "            const v a = tail ? v_load_tail(in[0] + i, tail) : v_load(in[0] + i); \\\n"
               "            const v b = tail ? v_load_tail(in[1] + i, tail) : v_load(in[1] + i); \\\n"
               "            const v c = tail ? v_load_tail(in[2] + i, tail) : v_load(in[2] + i); \\\n"
               "            const v d = tail ? v_load_tail(in[3] + i, tail) : v_load(in[3] + i); \\\n"
               "            (void)a, (void)b, (void)c, (void)d; \\\n"
               "            const v result = call; \\\n"
               "            if (tail) \\\n"
               "                v_store_tail(out + i, result, tail); \\\n"
               "            else \\\n"
               "                v_store(out + i, result); \\\n"
               "        } \\\n"
               "    }\n\n");
    else
        printf("#define CASE(number, call) \\\n"
               "    static void run_##number(const real (*in)[POINTS], real *out) \\\n"
               "    { \\\n"
               "        for (int i = 0; i < POINTS; i++) { \\\n"
               "            const real a = in[0][i], b = in[1][i], c = in[2][i], d = in[3][i]; \\\n"
               "            (void)a, (void)b, (void)c, (void)d; \\\n"
               "            out[i] = call; \\\n"
               "        } \\\n"
               "    }\n\n");
}

static void put_main(const struct maker *m)
{
    printf("static const struct {\n    const double (*in)[POINTS], (*out)[2];\n"
           "    void (*run)(const real (*in)[POINTS], real *out);\n    const char *what;\n} cases[] = {\n");
    for (int i = 0; i < m->cases; i++)
        printf("    { in_%d, out_%d, run_%d, what_%d },\n", i, i, i, i);
    printf("};\n\nint main(void)\n{\n"
           "    int wrong = 0, tested = 0;\n"
           "    for (int k = 0; k < %d; k++) {\n"
           "        real in[INPUTS][POINTS], out[POINTS + 1];\n"
           "        for (int i = 0; i < INPUTS; i++)\n"
           "            for (int j = 0; j < POINTS; j++)\n"
           "                in[i][j] = (real)cases[k].in[i][j];\n"
           "        out[POINTS] = 42;\n"
           "        cases[k].run((const real (*)[POINTS])in, out);\n"
           "        int first = -1;\n"
           "        for (int j = 0; j < POINTS; j++) {\n"
           "            const double tolerance = cases[k].out[j][1];\n"
           "            if (tolerance < 0)\n"
           "                continue;\n"
           "            tested++;\n"
           "            if (!(fabs((double)out[j] - cases[k].out[j][0]) <= tolerance))\n"
           "                first = first < 0 ? j : first;\n"
           "        }\n"
           "        if (out[POINTS] != 42)\n"
           "            first = POINTS - 1;\n"
           "        if (first < 0)\n"
           "            continue;\n"
           "        wrong++;\n"
           "        printf(\"case %%d (%%s) at %%g, %%g, %%g, %%g is %%.9g, not %%.9g +- %%.3g\\n\", k, cases[k].what,\n"
           "               (double)in[0][first], (double)in[1][first], (double)in[2][first], (double)in[3][first],\n"
           "               (double)out[first], cases[k].out[first][0], cases[k].out[first][1]);\n"
           "    }\n"
           "    printf(\"%%d cases, %%d points, %%d cases wrong\\n\", %d, tested, wrong);\n"
           "    return wrong > 0;\n"
           "}\n", m->cases, m->cases);
}

int main(int argc, char **argv)
{
    struct arena arena = {0};
    struct maker m = { .arena = &arena, .random = { .state = 5 } };
    for (size_t i = 0; argc == 3 && i < sizeof dialects / sizeof *dialects; i++)
        if (!strcmp(dialects[i].word, argv[1]))
            m.d = &dialects[i];
    if (!m.d) {
        fprintf(stderr, "usage: expr_cases scalar|double|float|vector_double|vector_float COUNT\n");
        return 2;
    }
    m.random.vectors = m.d->vector;
    put_head(m.d);
    for (int a = 0; a < ACTIVATIONS_COUNT; a++)
        put_activation(&m, activation_row((enum activation)a));
    put_rule(&m);
    bool reduces = m.d->vector || !m.d->single;
    if (reduces)
        put_reductions(&m);
    for (int i = atoi(argv[2]); i > 0; i--)
        put_random(&m);
    for (int i = atoi(argv[2]); reduces && i > 0; i--)
        put_random_reductions(&m);
    put_main(&m);
    arena_free(&arena);
    if (2 * m.points > m.cases * POINTS)
        return 0;
    fprintf(stderr, "only %d of %d points say anything\n", m.points, m.cases * POINTS);
    return 1;
}
