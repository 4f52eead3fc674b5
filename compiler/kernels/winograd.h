/* winograd.h - minimal filtering F(m, r): m outputs of an r-tap filter from n = m + r - 1 multiplications.
 *
 *     y = A^T [ (G g) * (B^T d) ]        y: m, g: r, d: n; * element by element
 *
 * Toom-Cook: products of polynomials are found from their values at n points.  The matrices are made from the points
 * in exact rational arithmetic (Winograd, "Arithmetic Complexity of Computations", 1980; Lavin and Gray, "Fast
 * Algorithms for Convolutional Neural Networks", 2015).
 *
 * There is a list of points for tiles of up to four, five, six and eight of them.  A map's tiles have all their points of one
 * list, the smaller ones the first of it, and the scaling of a point is that of the largest tile.  So one set of
 * transformed weights serves tiles of different sizes. */
#ifndef WINOGRAD_H
#define WINOGRAD_H

#include <stdbool.h>
#include <stdint.h>

enum { WINOGRAD_POINTS = 8, WINOGRAD_POINTS_LEAST = 4 };

struct rational {
    int64_t num, den;           /* den > 0, no common factor */
};

struct winograd_matrix {
    int rows, columns;
    struct rational at[WINOGRAD_POINTS][WINOGRAD_POINTS];
};

struct winograd {
    int m, r, n;
    struct winograd_matrix at;  /* m x n */
    struct winograd_matrix g;   /* n x r */
    struct winograd_matrix bt;  /* n x n */
};

struct rational rational_make(int64_t num, int64_t den);
struct rational rational_add(struct rational a, struct rational b);
struct rational rational_mul(struct rational a, struct rational b);
struct rational rational_div(struct rational a, struct rational b);
double rational_value(struct rational a);

/* n = m + r - 1 from WINOGRAD_POINTS_LEAST to `most`, the points of the largest tile, WINOGRAD_POINTS or fewer. */
struct winograd winograd_make(int m, int r, int most);
struct winograd_matrix winograd_transpose(const struct winograd_matrix *a);
/* How much larger the rounding errors of F(m, r) may be than those of the plain sum, root mean square, for inputs and
 * weights without structure: an estimate to the safe side, see winograd.c.  In two dimensions the factors multiply. */
double winograd_error_growth(const struct winograd *w);

/* A dimension of outputs cut exactly into `large_count` tiles of m and then tiles of m - 1. */
struct winograd_split {
    int length, m, tiles, large_count;
    int points;                 /* of the large tile */
};

/* The fewest tiles of at most `points` points; false when the length is too short for any. */
bool winograd_split_length(int length, int r, int points, struct winograd_split *s);

#endif
