/* winograd.c - the matrices of minimal filtering from their points. */
#include "kernels/winograd.h"

#include <assert.h>
#include <math.h>

/* ---- rational numbers -------------------------------------------------------------------------------------------- */

static int64_t greatest_divisor(int64_t a, int64_t b)
{
    while (b) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a < 0 ? -a : a;
}

struct rational rational_make(int64_t num, int64_t den)
{
    assert(den != 0);
    int64_t d = greatest_divisor(num, den);
    if (den < 0)
        d = -d;
    return (struct rational){ num / d, den / d };
}

struct rational rational_add(struct rational a, struct rational b)
{
    return rational_make(a.num * b.den + b.num * a.den, a.den * b.den);
}

struct rational rational_mul(struct rational a, struct rational b)
{
    return rational_make(a.num * b.num, a.den * b.den);
}

struct rational rational_div(struct rational a, struct rational b)
{
    return rational_make(a.num * b.den, a.den * b.num);
}

double rational_value(struct rational a)
{
    return (double)a.num / (double)a.den;
}

/* ---- points ------------------------------------------------------------------------------------------------------ */

enum { INFINITY_AT = 3 };       /* its place in each list */

/* Symmetric, so that transforms add and subtract the same even and odd parts, and where rounding errors are about least
 * (winograd_error_growth): with six points +-1 and +-1/2 would have 2.3 times the errors of these, which are exact in
 * binary as well. */
static const struct rational four[] = { { 0, 1 }, { 1, 1 }, { -1, 1 }, { 0, 0 } };
static const struct rational five[] = { { 0, 1 }, { 3, 4 }, { -3, 4 }, { 0, 0 }, { 2, 1 } };
static const struct rational six[] = { { 0, 1 }, { 5, 8 }, { -5, 8 }, { 0, 0 }, { 3, 2 }, { -3, 2 } };
static const struct rational eight[WINOGRAD_POINTS] = {
    { 0, 1 }, { 1, 1 }, { -1, 1 }, { 0, 0 }, { 1, 2 }, { -1, 2 }, { 2, 1 }, { -2, 1 },
};

static const struct rational *points_of(int most)
{
    return most <= 4 ? four : most == 5 ? five : most == 6 ? six : eight;
}

/* The product of (point j - point k) over the other finite points among the first n. */
static struct rational denominator(const struct rational *points, int j, int n)
{
    struct rational f = { 1, 1 };
    for (int k = 0; k < n; k++)
        if (k != j && k != INFINITY_AT)
            f = rational_mul(f, rational_add(points[j], rational_make(-points[k].num, points[k].den)));
    return f;
}

/* Coefficients, constant first, of the product of (x - point k) over the finite points but j among the first n. */
static void polynomial(const struct rational *points, int j, int n, struct rational *c)
{
    for (int i = 0; i < n; i++)
        c[i] = rational_make(i == 0, 1);
    for (int k = 0; k < n; k++) {
        if (k == j || k == INFINITY_AT)
            continue;
        struct rational minus = rational_make(-points[k].num, points[k].den);
        for (int i = n - 1; i >= 0; i--)
            c[i] = rational_add(rational_mul(c[i], minus), i ? c[i - 1] : rational_make(0, 1));
    }
}

static struct rational power(struct rational a, int exponent)
{
    struct rational p = { 1, 1 };
    while (exponent-- > 0)
        p = rational_mul(p, a);
    return p;
}

/* The value of x^i at a point; at infinity, the coefficient of the highest power, `degree`. */
static struct rational value_at(const struct rational *points, int point, int i, int degree)
{
    return point == INFINITY_AT ? rational_make(i == degree, 1) : power(points[point], i);
}

struct winograd winograd_make(int m, int r, int most)
{
    struct winograd w = { .m = m, .r = r, .n = m + r - 1 };
    const struct rational *points = points_of(most);
    int n = w.n;
    assert(n >= WINOGRAD_POINTS_LEAST && n <= most && most <= WINOGRAD_POINTS);
    w.at.rows = m, w.at.columns = n;
    w.g.rows = n, w.g.columns = r;
    w.bt.rows = n, w.bt.columns = n;
    for (int j = 0; j < n; j++) {
        for (int i = 0; i < m; i++)
            w.at.at[i][j] = value_at(points, j, i, m - 1);
        /* the weights of point j carry the denominator that it has in the largest tile: there a term of each row of the
         * data transform needs no multiplication */
        struct rational own = { 1, 1 }, here = { 1, 1 };
        if (j != INFINITY_AT) {
            own = denominator(points, j, most);
            here = denominator(points, j, n);
        }
        for (int k = 0; k < r; k++)
            w.g.at[j][k] = rational_div(value_at(points, j, k, r - 1), own);
        struct rational c[WINOGRAD_POINTS], scale = rational_div(own, here);
        polynomial(points, j, n, c);
        for (int i = 0; i < n; i++)
            w.bt.at[j][i] = rational_mul(c[i], scale);
    }
    return w;
}

struct winograd_matrix winograd_transpose(const struct winograd_matrix *a)
{
    struct winograd_matrix t = { .rows = a->columns, .columns = a->rows };
    for (int i = 0; i < t.rows; i++)
        for (int j = 0; j < t.columns; j++)
            t.at[i][j] = a->at[j][i];
    return t;
}

static double row_square(const struct winograd_matrix *a, int row)
{
    double sum = 0;
    for (int i = 0; i < a->columns; i++)
        sum += rational_value(a->at[row][i]) * rational_value(a->at[row][i]);
    return sum;
}

double winograd_error_growth(const struct winograd *w)
{
    double sum = 0;
    for (int i = 0; i < w->m; i++)
        for (int j = 0; j < w->n; j++) {
            double a = rational_value(w->at.at[i][j]);
            sum += a * a * row_square(&w->bt, j) * row_square(&w->g, j);
        }
    return sqrt(sum / w->m / w->r);
}

bool winograd_split_length(int length, int r, int most, struct winograd_split *s)
{
    int m_most = most - r + 1, m_least = WINOGRAD_POINTS_LEAST - r + 1;
    if (m_least < 1)
        m_least = 1;
    if (m_most < m_least || length < m_least)
        return false;
    s->length = length;
    s->tiles = (length + m_most - 1) / m_most;
    s->m = (length + s->tiles - 1) / s->tiles;
    s->large_count = length - s->tiles * (s->m - 1);
    s->points = s->m + r - 1;
    int smallest = s->large_count < s->tiles ? s->m - 1 : s->m;
    return smallest >= m_least;
}
