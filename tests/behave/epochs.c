/* epochs.c - the program of epochs.sh: the same steps with and without what only gradients need that are not trained in
 * an epoch: equal bits of all that is trained, and, step by step, whether a stretch of the schedule has been left out.
 *
 * ticks count calls of steps here: the emitted tick() is changed to. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cnnrt.h>

#if !defined MODEL || !defined STRETCHES
#error "compile with -DMODEL=name_model and -DSTRETCHES='\"LAYER/WHAT=1100 LAYER/WHAT=1111\"': a digit a step"
#endif
extern const struct cnn_model MODEL;

enum { STEPS = 10, STEPS_PER_EPOCH = 2 };

static int failures;

static void fail(const char *what, int threads, int step)
{
    fprintf(stderr, "%s with %d threads, step %d\n", what, threads, step);
    failures++;
}

static struct cnn_context *open_context(int threads, bool early, bool trained_only)
{
    struct cnn_context *c = cnn_open(&MODEL, threads, 7);
    uint64_t *ticks = calloc((size_t)MODEL.stretches_count + 1, sizeof *ticks);
    if (!c || !ticks)
        exit(1);
    c->early_update = early;
    c->trained_only = trained_only;
    c->lr = 0.01;
    c->steps_total = STEPS;
    c->ticks = ticks;
    return c;
}

static void close_context(struct cnn_context *c)
{
    free(c->ticks);
    cnn_close(c);
}

static void step_once(struct cnn_context *c, int step)
{
    float *x = c->input;
    for (int64_t i = 0; i < MODEL.image_stride * MODEL.batch; i++)
        x[i] = (float)((double)((uint32_t)((i + 77 * step) * 2654435761u) >> 8) / 16777216.0);
    for (int i = 0; i < MODEL.batch; i++)
        c->labels[i] = (i * 3 + step) % MODEL.outputs;
    memset(c->ticks, 0, ((size_t)MODEL.stretches_count + 1) * sizeof *c->ticks);
    c->epoch = (double)step / STEPS_PER_EPOCH;
    MODEL.train_step(c, step == STEPS - 1 && MODEL.batch > 3 ? 3 : MODEL.batch);
    MODEL.update(c);
    c->step++;
}

static bool same(const void *a, const void *b, int64_t count)
{
    return memcmp(a, b, (size_t)count * sizeof(float)) == 0;
}

static bool is_stretch(const struct cnn_stretch *s, const char *text)
{
    const char *slash = strchr(text, '/'), *layer = s->layer >= 0 ? MODEL.layers[s->layer].name : "loss";
    size_t what = strcspn(slash + 1, "=");
    return strlen(layer) == (size_t)(slash - text) && !strncmp(layer, text, (size_t)(slash - text)) &&
           strlen(s->what) == what && !strncmp(s->what, slash + 1, what);
}

static void count(const struct cnn_context *c, const char *text, int threads, int step)
{
    uint64_t calls = 0;
    int found = 0;
    for (int i = 0; i < MODEL.stretches_count; i++)
        if (is_stretch(&MODEL.stretches[i], text)) {
            calls += c->ticks[i];
            found++;
        }
    if (!found)
        fail("no such stretch", threads, step);
    if ((calls > 0) != (strchr(text, '=')[1 + step] == '1'))
        fail(calls ? "done, though nobody needs it:" : "left out:", threads, step);
}

static void count_all(const struct cnn_context *c, int threads, int step)
{
    char list[] = STRETCHES;
    for (char *text = strtok(list, ";"); text; text = strtok(NULL, ";"))
        count(c, text, threads, step);
}

static void compare(int threads)
{
    struct cnn_context *all = open_context(1, false, false), *some = open_context(threads, threads != 2, true);
    for (int step = 0; step < STEPS; step++) {
        step_once(all, step);
        step_once(some, step);
        if (!(all->loss == some->loss))
            fail("other losses", threads, step);
        if (!same(all->params, some->params, MODEL.params_stored))
            fail("other weights", threads, step);
        if (!same(all->statistics, some->statistics, MODEL.statistics_stored))
            fail("other running moments", threads, step);
        if (!same(all->optimizer_state, some->optimizer_state, MODEL.optimizer_slots * MODEL.params_stored))
            fail("another state of the optimizer", threads, step);
        count_all(some, threads, step);
    }
    close_context(all);
    close_context(some);
}

int main(void)
{
    for (int threads = 1; threads <= 3; threads++)
        compare(threads);
    return failures ? 1 : 0;
}
