/* early_update.c - the program of early_update.sh: the same steps with weights updated early and not. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cnnrt.h>

#if !defined MODEL || !defined STOPS
#error "compile with -DMODEL=name_model and -DSTOPS=0 or 1"
#endif
extern const struct cnn_model MODEL;

enum { STEPS = 5 };

static int failures;

static void fail(const char *what, int threads, int step)
{
    fprintf(stderr, "%s with %d threads, step %d\n", what, threads, step);
    failures++;
}

static void set_number(void *reals, int64_t at, double value)
{
    if (MODEL.real_size == 8)
        ((double *)reals)[at] = value;
    else
        ((float *)reals)[at] = (float)value;
}

static struct cnn_context *open_context(int threads, bool early)
{
    struct cnn_context *c = cnn_open(&MODEL, threads, 7);
    if (!c)
        exit(1);
    c->early_update = early;
    c->lr = 0.01;
    return c;
}

/* The last batch of the run is a short one. */
static int samples(int step)
{
    return step == STEPS - 1 && MODEL.batch > 3 ? 3 : MODEL.batch;
}

static void step_once(struct cnn_context *c, int step)
{
    for (int64_t i = 0; i < MODEL.image_stride * MODEL.batch; i++)
        set_number(c->input, i, (double)((uint32_t)((i + 77 * step) * 2654435761u) >> 8) / 16777216.0);
    for (int i = 0; i < MODEL.batch; i++)
        c->labels[i] = (i * 3 + step) % MODEL.outputs;
    MODEL.train_step(c, samples(step));
    MODEL.update(c);
    c->step++;
}

static bool same(const void *a, const void *b, int64_t count)
{
    return memcmp(a, b, (size_t)count * (size_t)MODEL.real_size) == 0;
}

/* Bits of NaNs may differ: threads add in other orders to sums that are none. */
static bool same_or_nan(const void *a, const void *b, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        double x = MODEL.real_size == 8 ? ((const double *)a)[i] : (double)((const float *)a)[i];
        double y = MODEL.real_size == 8 ? ((const double *)b)[i] : (double)((const float *)b)[i];
        if (!(x == y || (isnan(x) && isnan(y))))
            return false;
    }
    return true;
}

/* The gradient that is not kept: the largest parameter's. */
static bool gradient_is_zero(const struct cnn_context *c)
{
    int largest = 0;
    for (int i = 1; i < MODEL.params_list_count; i++)
        if (MODEL.params[i].count > MODEL.params[largest].count)
            largest = i;
    size_t bytes = (size_t)MODEL.params[largest].count * (size_t)MODEL.real_size;
    unsigned char *gradient = malloc(bytes);
    if (!gradient)
        exit(1);
    cnn_grad_get(c, largest, gradient);
    bool zero = true;
    for (size_t i = 0; i < bytes && zero; i++)
        zero = gradient[i] == 0;
    free(gradient);
    return zero;
}

static void compare(int threads)
{
    struct cnn_context *late = open_context(1, false), *early = open_context(threads, true);
    for (int step = 0; step < STEPS; step++) {
        step_once(late, step);
        step_once(early, step);
        if (!(late->loss == early->loss))
            fail("other losses", threads, step);
        if (!same(late->params, early->params, MODEL.params_stored))
            fail("other weights", threads, step);
        if (!same(late->optimizer_state, early->optimizer_state, MODEL.optimizer_slots * MODEL.params_stored))
            fail("another state of the optimizer", threads, step);
        if (gradient_is_zero(late))
            fail("no gradient where nothing is updated early", threads, step);
        if (!gradient_is_zero(early))
            fail("a gradient that should not have been kept", threads, step);
    }
    cnn_close(late);
    cnn_close(early);
}

/* A step whose loss is no number, without the update() that would follow it. */
static void invalid_loss(void)
{
    struct cnn_context *c = open_context(2, true), *untouched = open_context(1, false);
    for (int64_t i = 0; i < MODEL.image_stride; i++)
        set_number(c->input, i, NAN);
    MODEL.train_step(c, MODEL.batch);
    if (!isnan(c->loss))
        fail("a loss that is a number", 2, 0);
    if (same(c->params, untouched->params, MODEL.params_stored) != (STOPS == 1))
        fail(STOPS ? "weights that an invalid loss has changed" : "weights that were not updated", 2, 0);
    /* who goes on nevertheless gets what late updates give */
    for (int64_t i = 0; i < MODEL.image_stride; i++)
        set_number(untouched->input, i, NAN);
    MODEL.train_step(untouched, MODEL.batch);
    MODEL.update(untouched);
    MODEL.update(c);
    if (!same_or_nan(c->params, untouched->params, MODEL.params_stored))
        fail("other weights after an invalid loss", 2, 0);
    cnn_close(c);
    cnn_close(untouched);
}

int main(void)
{
    for (int threads = 1; threads <= 3; threads++)
        compare(threads);
    invalid_loss();
    return failures ? 1 : 0;
}
