/* test_winograd.c - the matrices of minimal filtering are exact, and lengths are cut without a rest. */
#include <criterion/criterion.h>

#include "kernels/winograd.h"

static bool equals(struct rational a, int64_t whole)
{
    return a.num == whole && a.den == 1;
}

/* y_i = sum_k g_k d_(i+k): the sum over points of at[i][j] g[j][k] bt[j][d] is 1 for d = i + k, else 0. */
static void check_identity(int m, int r, int most)
{
    struct winograd w = winograd_make(m, r, most);
    for (int i = 0; i < m; i++)
        for (int k = 0; k < r; k++)
            for (int d = 0; d < w.n; d++) {
                struct rational sum = { 0, 1 };
                for (int j = 0; j < w.n; j++)
                    sum = rational_add(sum, rational_mul(w.at.at[i][j], rational_mul(w.g.at[j][k], w.bt.at[j][d])));
                cr_assert(equals(sum, d == i + k), "F(%d,%d) of %d points: y%d from g%d d%d", m, r, most, i, k, d);
            }
}

Test(winograd, matrices_compute_the_correlation_exactly)
{
    int tried = 0;
    for (int r = 2; r <= 5; r++)
        for (int most = WINOGRAD_POINTS_LEAST; most <= WINOGRAD_POINTS; most++)
            for (int n = WINOGRAD_POINTS_LEAST; n <= most; n++)
                if (n - r + 1 >= 1) {
                    check_identity(n - r + 1, r, most);
                    tried++;
                }
    cr_assert_eq(tried, 55);
}

Test(winograd, one_set_of_weights_serves_every_tile)
{
    for (int r = 2; r <= 5; r++)
        for (int n = WINOGRAD_POINTS_LEAST > r ? WINOGRAD_POINTS_LEAST : r; n < WINOGRAD_POINTS; n++) {
            struct winograd small = winograd_make(n - r + 1, r, n + 1), large = winograd_make(n - r + 2, r, n + 1);
            for (int j = 0; j < n; j++)
                for (int k = 0; k < r; k++)
                    cr_assert(small.g.at[j][k].num == large.g.at[j][k].num &&
                              small.g.at[j][k].den == large.g.at[j][k].den);
        }
}

Test(winograd, lengths_are_cut_without_a_rest)
{
    for (int r = 2; r <= 5; r++)
        for (int points = 4; points <= 8; points += 2)
            for (int length = 1; length < 200; length++) {
                struct winograd_split s;
                if (!winograd_split_length(length, r, points, &s))
                    continue;
                int small = s.tiles - s.large_count;
                cr_assert_eq(s.large_count * s.m + small * (s.m - 1), length);
                cr_assert(s.large_count >= 1 && small >= 0 && s.points <= points && s.points == s.m + r - 1);
                cr_assert(s.m - (small > 0) + r - 1 >= WINOGRAD_POINTS_LEAST);
            }
}

Test(winograd, errors_grow_with_the_tile)
{
    static const double most[] = { 1.3, 2.5, 5.1 };       /* of one direction */
    double before = 1;
    for (int i = 0; i < 3; i++) {
        int n = 4 + 2 * i;
        struct winograd w = winograd_make(n - 1, 2, n);
        double growth = winograd_error_growth(&w);
        cr_assert(growth > before && growth < most[i], "%d points: %g", n, growth);
        before = growth;
    }
}
