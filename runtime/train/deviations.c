/* deviations.c - sums, output by output. */
#include "train/deviations.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/message.h"
#include "core/targets.h"
#include "files/state.h"

int rt_deviations_open(struct deviations *d, int numbers, bool together)
{
    const int outputs = together ? 1 : numbers;
    *d = (struct deviations){ .outputs = outputs, .numbers = numbers };
    d->absolute = calloc(2 * (size_t)outputs, sizeof *d->absolute);
    d->rows = calloc(2 * (size_t)numbers, sizeof *d->rows);
    if (!d->absolute || !d->rows) {
        rt_error("no memory for the deviations of %d outputs", numbers);
        return -1;
    }
    d->squares = d->absolute + outputs;
    return 0;
}

void rt_deviations_close(struct deviations *d)
{
    free(d->absolute);
    free(d->rows);
    *d = (struct deviations){ 0 };
}

void rt_deviations_begin(struct deviations *d)
{
    memset(d->absolute, 0, 2 * (size_t)d->outputs * sizeof *d->absolute);
    d->samples = 0;
}

void rt_deviations_add(struct deviations *d, const struct cnn_context *c, int n)
{
    double *predicted = d->rows, *wanted = d->rows + d->numbers;
    for (int i = 0; i < n; i++) {
        rt_predicted_row(c, i, predicted);
        rt_target_row(c, i, wanted);
        for (int k = 0; k < d->numbers; k++) {
            double apart = predicted[k] - wanted[k];
            int to = d->outputs == 1 ? 0 : k;
            d->absolute[to] += fabs(apart);
            d->squares[to] += apart * apart;
        }
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
    return mean_of(absolute, squares, (double)d->samples * d->numbers);
}

void rt_deviations_save(const struct deviations *d, struct state *s)
{
    double absolute = 0.0, squares = 0.0;
    for (int k = 0; k < d->outputs; k++) {
        absolute += d->absolute[k];
        squares += d->squares[k];
    }
    rt_state_put_number(s, "absolute_deviations", absolute);
    rt_state_put_number(s, "squared_deviations", squares);
}

/* Of all together, as a run that trains has them. */
int rt_deviations_load(struct deviations *d, struct state *s)
{
    return rt_state_get_number(s, "absolute_deviations", d->absolute)
           || rt_state_get_number(s, "squared_deviations", d->squares);
}
