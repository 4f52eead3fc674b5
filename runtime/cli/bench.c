/* bench.c - how long a training step takes, which layer takes it, and how far that is from what the
 * machine can. */
#define _GNU_SOURCE
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "train/batch_random.h"
#include "cli/command.h"
#include "core/json_text.h"
#include "core/message.h"
#include "core/param.h"
#include "core/peak.h"
#include "common/recipe.h"
#include "files/notes.h"
#include "train/trainer.h"

enum { STEPS = 50, WARM_UP = 3 };

/* A line of the table: a layer's two directions, or a stretch that belongs to no layer. */
struct row {
    const char *name, *text;
    double seconds[2];          /* a step; [1] backward */
    double flops[2];
};

struct bench {
    const struct cnn_model *model;
    struct cnn_context *context;
    int steps;
    double *times;              /* seconds of each step */
    double median, mean, fastest, flops;
    double foreign;             /* processors that other programs used meanwhile; NAN: not known */
    struct row *rows;
    int rows_count;
    struct peak peak;
    struct dataset data;
    struct loader loader;       /* of the data; of none where a batch drawn at random serves all steps */
    bool failed;                /* a sample could not be read */
    double waited, worked;      /* seconds of a step for its data: that it waited, that threads took together */
};

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The next batch of the data, of the next epoch where one is over. */
static int batch_next(struct bench *b)
{
    int n = rt_loader_next(&b->loader, b->context);
    if (n == 0) {
        rt_loader_begin(&b->loader, b->context->seed, b->loader.epoch + 1);
        n = rt_loader_next(&b->loader, b->context);
    }
    b->failed |= n < 0;
    return n;
}

static void step(struct bench *b)
{
    int n = b->loader.split ? batch_next(b) : b->model->batch;
    if (n <= 0)
        return;
    b->model->train_step(b->context, n);
    b->model->update(b->context);
    b->context->step++;
}

/* Seconds of all processors that this process has used, and all together; < 0: not known. */
static double seconds_own(void)
{
    struct rusage own;
    if (getrusage(RUSAGE_SELF, &own))
        return -1.0;
    return (double)(own.ru_utime.tv_sec + own.ru_stime.tv_sec)
           + (double)(own.ru_utime.tv_usec + own.ru_stime.tv_usec) * 1e-6;
}

static double seconds_all(void)
{
    FILE *f = fopen("/proc/stat", "re");
    unsigned long long user = 0, nice = 0, system = 0;
    int found = f ? fscanf(f, "cpu %llu %llu %llu", &user, &nice, &system) : 0;
    if (f)
        fclose(f);
    long ticks = sysconf(_SC_CLK_TCK);
    return found == 3 && ticks > 0 ? (double)(user + nice + system) / (double)ticks : -1.0;
}

/* The kernel counts in hundredths of seconds for each processor: what is shorter than a few dozen of them says
 * nothing. */
static double foreign_load(double own, double all, double seconds)
{
    static const double shortest = 0.25;
    double own_end = seconds_own(), all_end = seconds_all();
    if (own < 0.0 || all < 0.0 || own_end < 0.0 || all_end < 0.0 || seconds < shortest)
        return NAN;
    return fmax(0.0, (all_end - all - (own_end - own)) / seconds);
}

static void steps_time(struct bench *b)
{
    for (int i = 0; i < WARM_UP; i++)
        step(b);
    double own = seconds_own(), all = seconds_all(), sum = 0.0;
    b->loader.wait = (struct loader_wait){ 0 };
    for (int i = 0; i < b->steps; i++) {
        uint64_t start = cnn_clock();
        step(b);
        b->times[i] = (double)(cnn_clock() - start) * 1e-9;
        sum += b->times[i];
    }
    b->foreign = foreign_load(own, all, sum);
    b->mean = sum / b->steps;
    b->waited = (double)b->loader.wait.nanoseconds * 1e-9 / b->steps;
    b->worked = (double)b->loader.wait.worked * 1e-9 / b->steps;
    qsort(b->times, (size_t)b->steps, sizeof *b->times, compare_doubles);
    b->fastest = b->times[0];
    b->median = b->steps % 2 ? b->times[b->steps / 2]
                             : 0.5 * (b->times[b->steps / 2 - 1] + b->times[b->steps / 2]);
}

/* The row a stretch belongs to: its layer's, or one of its own name behind the layers. */
static struct row *row_of(struct bench *b, const struct cnn_stretch *s)
{
    if (s->layer >= 0)
        return &b->rows[s->layer];
    for (int i = b->model->layers_count; i < b->rows_count; i++)
        if (strcmp(b->rows[i].name, s->what) == 0)
            return &b->rows[i];
    struct row *r = &b->rows[b->rows_count++];
    *r = (struct row){ .name = s->what, .text = "" };
    return r;
}

static int layers_time(struct bench *b)
{
    const struct cnn_model *m = b->model;
    uint64_t *ticks = calloc((size_t)m->stretches_count + 1, sizeof *ticks);
    b->rows = calloc((size_t)m->layers_count + (size_t)m->stretches_count + 1, sizeof *b->rows);
    if (!ticks || !b->rows) {
        rt_error("no memory for %d times", m->stretches_count);
        free(ticks);
        return -1;
    }
    b->context->ticks = ticks;
    step(b);                            /* the timed path's own warming up */
    memset(ticks, 0, (size_t)m->stretches_count * sizeof *ticks);
    for (int i = 0; i < b->steps; i++)
        step(b);
    b->context->ticks = NULL;
    b->rows_count = m->layers_count;
    for (int i = 0; i < m->layers_count; i++) {
        b->rows[i].name = m->layers[i].name;
        b->rows[i].text = m->layers[i].text;
    }
    for (int i = 0; i < m->stretches_count; i++) {
        const struct cnn_stretch *s = &m->stretches[i];
        struct row *r = row_of(b, s);
        r->seconds[s->backward] += (double)ticks[i] * 1e-9 / b->steps;
        r->flops[s->backward] += (double)s->flops;
        b->flops += (double)s->flops;
    }
    free(ticks);
    return 0;
}

static double rate(double flops, double seconds)
{
    return seconds > 0.0 ? flops / seconds * 1e-9 : 0.0;
}

static void report_text(const struct bench *b)
{
    const struct cnn_model *m = b->model;
    rt_print(stdout, "%s: batch %d, %d thread%s, %s, compiled for %s\n", m->name, m->batch,
           b->context->threads, b->context->threads == 1 ? "" : "s",
           rt_precision(m), m->target);
    rt_print(stdout, "step: median %.3f ms, mean %.3f ms, fastest %.3f ms of %d\n", b->median * 1e3, b->mean * 1e3,
           b->fastest * 1e3, b->steps);
    if (b->foreign >= 0.1)
        rt_print(stdout, "      other programs used %.1f processors meanwhile\n", b->foreign);
    rt_print(stdout, "      %.3f GFLOP, %.1f GFLOP/s; this machine's fp32 peak is %.1f GFLOP/s (%s, "
           "measured): %.1f %%\n",
           b->flops * 1e-9, rate(b->flops, b->median), b->peak.gflops, b->peak.instructions,
           100.0 * rate(b->flops, b->median) / b->peak.gflops);
    if (b->loader.split)
        rt_print(stdout, "data: %.3f ms of a step's threads; the step waited %.3f ms (%.2f %%)\n", b->worked * 1e3,
               b->waited * 1e3, b->mean > 0.0 ? 100.0 * b->waited / b->mean : 0.0);
    int name = 20, text = 30;
    for (int i = 0; i < b->rows_count; i++) {
        name = column_width(b->rows[i].name, name);
        text = column_width(b->rows[i].text, text);
    }
    rt_print(stdout, "\n%-*s %-*s %12s %9s %12s %9s\n", name, "layer", text, "", "forward ms", "GFLOP/s",
           "backward ms", "GFLOP/s");
    for (int i = 0; i < b->rows_count; i++) {
        const struct row *r = &b->rows[i];
        rt_print(stdout, "%-*s %-*s %12.3f %9.1f %12.3f %9.1f\n", name, r->name, text, r->text,
               r->seconds[0] * 1e3, rate(r->flops[0], r->seconds[0]), r->seconds[1] * 1e3,
               rate(r->flops[1], r->seconds[1]));
    }
}

static int report_json(const struct bench *b)
{
    const struct cnn_model *m = b->model;
    json_t *layers = json_array();
    for (int i = 0; i < b->rows_count; i++) {
        const struct row *r = &b->rows[i];
        json_array_append_new(layers,
                              json_pack("{s:s, s:s, s:f, s:f, s:f, s:f}", "name", r->name, "text",
                                        r->text, "forward_ms", r->seconds[0] * 1e3, "backward_ms",
                                        r->seconds[1] * 1e3, "forward_gflop", r->flops[0] * 1e-9,
                                        "backward_gflop", r->flops[1] * 1e-9));
    }
    json_t *foreign = isnan(b->foreign) ? json_null() : json_real(b->foreign);
    json_t *all =
        json_pack("{s:s, s:s, s:i, s:i, s:s, s:i, s:f, s:f, s:f, s:o, s:f, s:f, s:f, s:s, s:o}", "model",
                  m->name, "target", m->target, "batch", m->batch, "threads", b->context->threads,
                  "real", rt_precision(m), "steps", b->steps, "step_ms",
                  b->median * 1e3, "mean_ms", b->mean * 1e3, "fastest_ms", b->fastest * 1e3, "foreign_processors",
                  foreign, "gflop", b->flops * 1e-9,
                  "gflops", rate(b->flops, b->median), "peak_gflops", b->peak.gflops,
                  "peak_instructions", b->peak.instructions, "layers", layers);
    if (b->loader.split) {
        json_object_set_new(all, "data_ms", json_real(b->worked * 1e3));
        json_object_set_new(all, "data_waited_ms", json_real(b->waited * 1e3));
    }
    bool whole = (int)json_array_size(json_object_get(all, "layers")) == b->rows_count;
    char *text = whole ? rt_json_print(all, JSON_INDENT(2)) : NULL;
    json_decref(all);
    if (text)
        puts(text);
    else
        rt_error("cannot print the times as JSON");
    int status = text ? 0 : -1;
    free(text);
    return status;
}

/* ---- every stretch ------------------------------------------------------------------------------------------- */

static int compare_ticks(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* What each stretch took in runs of the network in use, or in training steps: the time that a quarter of them stayed
 * below.  The shortest would not do: a thread that comes late to what another does alone sees hardly any of it.
 * `samples` has room for one of every stretch and run. */
static void stretches_time(struct bench *b, bool training, uint64_t *samples, uint64_t *times)
{
    const struct cnn_model *m = b->model;
    uint64_t *ticks = b->context->ticks;
    for (int i = -WARM_UP; i < b->steps; i++) {
        memset(ticks, 0, (size_t)m->stretches_count * sizeof *ticks);
        if (training)
            step(b);
        else
            m->infer(b->context, m->batch);
        for (int k = 0; k < m->stretches_count && i >= 0; k++)
            samples[(size_t)k * (size_t)b->steps + (size_t)i] = ticks[k];
    }
    for (int k = 0; k < m->stretches_count; k++) {
        uint64_t *own = samples + (size_t)k * (size_t)b->steps;
        qsort(own, (size_t)b->steps, sizeof *own, compare_ticks);
        times[k] = own[(b->steps - 1) / 4];
    }
}

static int report_csv(struct bench *b)
{
    const struct cnn_model *m = b->model;
    size_t count = (size_t)m->stretches_count;
    uint64_t *ticks = calloc((3 + (size_t)b->steps) * count + 1, sizeof *ticks);
    if (!ticks) {
        rt_error("no memory for the times of %d stretches in %d steps", m->stretches_count, b->steps);
        return -1;
    }
    uint64_t *training = ticks + count, *use = training + count, *samples = use + count;
    b->context->ticks = ticks;
    double before_training = rt_peak_measure(b->context->team).gflops;
    stretches_time(b, true, samples, training);
    double before_use = rt_peak_measure(b->context->team).gflops;
    stretches_time(b, false, samples, use);
    b->context->ticks = NULL;
    printf("stretch,training_ns,use_ns,layer,direction,what\n");
    /* what a GFLOP would have taken at the peak, before either */
    printf("peak,%.0f,%.0f,,,a GFLOP\n", 1e9 / before_training, 1e9 / before_use);
    for (size_t i = 0; i < count; i++) {
        const struct cnn_stretch *s = &m->stretches[i];
        printf("%zu,%llu,%llu,%s,%s,%s\n", i, (unsigned long long)training[i], (unsigned long long)use[i],
               s->layer >= 0 ? m->layers[s->layer].name : "", s->backward ? "backward" : "forward", s->what);
    }
    free(ticks);
    return 0;
}

static int report(struct bench *b, const struct command_options *o)
{
    if (o->csv)             /* times of stretches to compare kernels by: the optimizer apart */
        return report_csv(b);
    b->context->early_update = true;
    b->peak = rt_peak_measure(b->context->team);
    steps_time(b);
    if (b->failed || layers_time(b) || b->failed)
        return -1;
    if (o->json)
        return report_json(b);
    report_text(b);
    return 0;
}

/* With --data batches are those of the data; else one that is drawn at random serves all steps.  0, or -1 with a
 * message. */
static int batches_open(struct bench *b, const struct run_options *o, uint64_t seed)
{
    struct cnn_context *c = b->context;
    if (!o->data)
        return rt_batch_random(c, b->model->batch, seed, RANDOM_BENCH);
    if (rt_dataset_open(&b->data, b->model, o->data, rt_data_use(o, false, c->threads))
        || rt_notes_learn(c, &b->data, NOTES_START) || rt_loader_open(&b->loader, c, &b->data.train, LOADER_SHUFFLES))
        return -1;
    rt_loader_order(&b->loader, rt_order_of(b->model, &b->data));
    rt_loader_begin(&b->loader, seed, 0);
    return 0;
}

int rt_bench(const struct cnn_model *model, const struct command_options *o)
{
    struct bench b = { .model = model, .steps = o->steps > 0 ? (int)o->steps : STEPS };
    uint64_t seed = rt_recipe_seed(model, o->run.seed);
    b.context = cnn_open(model, (int)o->run.threads, seed);
    b.times = calloc((size_t)b.steps, sizeof *b.times);
    int status = EXIT_FAILED;
    if (b.context && b.times && !(o->run.weights && cnn_load_weights(b.context, o->run.weights))
        && batches_open(&b, &o->run, seed) == 0) {
        /* a rate of zero keeps the weights where they are, however many steps are timed */
        b.context->lr = 0.0;
        status = report(&b, o) ? EXIT_FAILED : EXIT_FINE;
    }
    free(b.times);
    free(b.rows);
    rt_loader_close(&b.loader);
    rt_dataset_close(&b.data);
    cnn_close(b.context);
    return status;
}
