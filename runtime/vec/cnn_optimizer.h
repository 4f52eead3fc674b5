/* cnn_optimizer.h - what an optimizer's step needs beside its formulas, which emitted files hold. */
#ifndef CNN_OPTIMIZER_H
#define CNN_OPTIMIZER_H

/* The sum of the squares of count numbers, a multiple of 8, in one order. */
CNN_INLINE double cnn_squares(const real *g, int64_t count)
{
    double sums[8] = { 0 };
    for (int64_t i = 0; i < count; i += 8)
        for (int k = 0; k < 8; k++)
            sums[k] += (double)g[i + k] * (double)g[i + k];
    return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

/* The same of g + factor p. */
CNN_INLINE double cnn_squares_of_sum(const real *g, real factor, const real *p, int64_t count)
{
    double sums[8] = { 0 };
    for (int64_t i = 0; i < count; i += 8)
        for (int k = 0; k < 8; k++) {
            const double x = (double)g[i + k] + (double)factor * (double)p[i + k];
            sums[k] += x * x;
        }
    return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

/* The product of nadam's momenta up to step t: beta1 (1 - 0.96^k / 2) for k = 1 .. t.  From some hundred steps on the
 * factor in brackets is 1. */
CNN_INLINE double cnn_nadam_product(double beta1, double t)
{
    const double most = 1000;
    double product = pow(beta1, t), decay = 1;
    for (double k = 1; k <= t && k <= most; k++) {
        decay *= 0.96;
        product *= 1 - 0.5 * decay;
    }
    return product;
}

#endif
