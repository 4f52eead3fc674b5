/* lr_range.h - a range test: the losses of training while the rate rises from step to step, and what they say of the
 * rate (Smith 2017, "Cyclical learning rates for training neural networks"). */
#ifndef LR_RANGE_H
#define LR_RANGE_H

#include <stdbool.h>
#include <stdio.h>

struct range_row {
    double rate, loss, smoothed;
};

struct range_test {
    struct range_row *rows;     /* (room) */
    int count, room;
    double from, to;
    double average, best;       /* of the smoothing; the smallest smoothed loss */
};

/* Rates rise by the same factor from each of `steps` to the next.  0, or -1 with a message. */
int rt_range_open(struct range_test *r, double from, double to, int steps);
void rt_range_close(struct range_test *r);

double rt_range_rate(const struct range_test *r, int step);
/* The loss of a step with its rate.  False: the test is over, with the last step or because losses have left the
 * ground: one is no number, or smoothed they are four times the best. */
bool rt_range_add(struct range_test *r, double loss);
/* Where the losses fall most steeply, in a line through a fifth of the rows, before the smoothed ones are lowest; the
 * row. -1: they never fall. */
int rt_range_suggestion(const struct range_test *r);
/* The row of the lowest smoothed loss, after the first ones where there are others; -1: no row. */
int rt_range_lowest(const struct range_test *r);

/* As CSV: step,lr,loss,smoothed. */
void rt_range_table(const struct range_test *r, FILE *out);
/* As SVG 1.1, losses over the logarithm of the rate. */
void rt_range_draw(const struct range_test *r, const char *title, FILE *out);

#endif
