/* deviations.c - sums, output by output. */
#include "train/deviations.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/message.h"
#include "core/targets.h"

int rt_deviations_open(struct deviations *d, int outputs)
{
    *d = (struct deviations){ .outputs = outputs };
    d->absolute = calloc(2 * (size_t)outputs, sizeof *d->absolute);
    if (!d->absolute) {
        rt_error("no memory for the deviations of %d outputs", outputs);
        return -1;
    }
    d->squares = d->absolute + outputs;
    return 0;
}

void rt_deviations_close(struct deviations *d)
{
    free(d->absolute);
    *d = (struct deviations){ 0 };
}

void rt_deviations_begin(struct deviations *d)
{
    memset(d->absolute, 0, 2 * (size_t)d->outputs * sizeof *d->absolute);
    d->samples = 0;
}

void rt_deviations_add(struct deviations *d, const struct cnn_context *c, int n)
{
    for (int i = 0; i < n; i++)
        for (int k = 0; k < d->outputs; k++) {
            double apart = rt_predicted_number(c, i, k) - rt_target_number(c, i, k);
            d->absolute[k] += fabs(apart);
            d->squares[k] += apart * apart;
        }
    d->samples += n;
}

static struct deviation mean_of(double absolute, double squares, double count)
{
    return count > 0.0 ? (struct deviation){ absolute / count, sqrt(squares / count) } : (struct deviation){ 0.0, 0.0 };
}

struct deviation rt_deviation(const struct deviations *d, int output)
{
    return mean_of(d->absolute[output], d->squares[output], (double)d->samples);
}

struct deviation rt_deviation_of_all(const struct deviations *d)
{
    double absolute = 0.0, squares = 0.0;
    for (int k = 0; k < d->outputs; k++) {
        absolute += d->absolute[k];
        squares += d->squares[k];
    }
    return mean_of(absolute, squares, (double)d->samples * d->outputs);
}
