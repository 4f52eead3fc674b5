/* cnn_scalar.h - functions of one number that the language has and libm has not: for the user's own
 * metrics. */
#ifndef CNN_SCALAR_H
#define CNN_SCALAR_H

#include <math.h>

/* The first of equals; a NaN on either side comes through. */
static inline double cnn_min(double a, double b) { return a <= b || isnan(a) ? a : b; }
static inline double cnn_max(double a, double b) { return a >= b || isnan(a) ? a : b; }
static inline double cnn_clip(double x, double low, double high)
{
    return cnn_min(cnn_max(x, low), high);
}
static inline double cnn_sign(double x) { return x > 0 ? 1 : x < 0 ? -1 : x; }
static inline double cnn_relu(double x) { return cnn_max(x, 0); }
static inline double cnn_sigmoid(double x) { return 1 / (1 + exp(-x)); }
static inline double cnn_softplus(double x) { return cnn_relu(x) + log1p(exp(-fabs(x))); }
/* The remainder that goes with floor: it has the sign of y. */
static inline double cnn_mod(double x, double y) { return x - floor(x / y) * y; }

#endif
