/* gradcheck.h - slopes from differences, and whether they can be trusted. */
#ifndef GRADCHECK_H
#define GRADCHECK_H

/* A function's value at a point and beside it. */
struct neighbours {
    double here, right, left, near_right, near_left;    /* at 0, +h, -h, +h/2, -h/2 */
};

struct slope {
    double estimate;            /* extrapolated from both central differences: error O(h^4) */
    /* a bound on what a kink between -h and h can have done to the estimate */
    double unrest;
};

struct slope rt_slope(const struct neighbours *f, double h);

#endif
