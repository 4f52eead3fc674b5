/* bench_cnn.c - a generated network as a contender: compiled together with MODEL.c and
 * -DCNN_NO_MAIN, -DBENCH_MODEL=MODEL_model.
 *
 *     bench_MODEL THREADS IMAGES LABELS BATCHES
 *
 * IMAGES holds BATCHES batches of float pictures, channels first; LABELS their classes as 32-bit
 * integers. Commands: steps N, losses N (of that many steps), infer N (one picture), outputs (the first picture's
 * probabilities), save (weights, to ./initial.safetensors).
 * What is timed is the step alone: the batch lies ready, as it does for the other contenders.
 */
#include <cnnrt.h>

#include "worker.h"

extern const struct cnn_model BENCH_MODEL;

enum { MOST_THREADS = 1024, MOST_CLASSES = 1000 };

struct contender {
    const struct cnn_model *model;
    struct cnn_context *context;
    const float *images;
    const int32_t *labels;
    long batches;
};

static void batch_set(struct contender *w, long number)
{
    const struct cnn_model *m = w->model;
    size_t size = (size_t)m->in_channels * (size_t)m->in_height * (size_t)m->in_width;
    for (int i = 0; i < m->batch; i++) {
        size_t at = (size_t)(number % w->batches) * (size_t)m->batch + (size_t)i;
        cnn_input_set(w->context, i, w->images + at * size);
        w->context->labels[i] = w->labels[at];
    }
}

/* losses: the mean loss of each step's batch; NULL: nobody asks. */
static void steps(struct contender *w, long count, double *ms, double *losses)
{
    for (long i = 0; i < count; i++) {
        batch_set(w, (long)w->context->step);
        double start = worker_ms();
        w->model->train_step(w->context, w->model->batch);
        w->model->update(w->context);
        ms[i] = worker_ms() - start;
        if (losses)
            losses[i] = w->context->loss / w->model->batch;
        w->context->step++;
    }
}

static void inferences(struct contender *w, long count, double *ms)
{
    for (long i = 0; i < count; i++) {
        double start = worker_ms();
        w->model->infer(w->context, 1);
        ms[i] = worker_ms() - start;
    }
}

/* The first picture's probabilities. */
static void outputs(struct contender *w)
{
    w->model->infer(w->context, 1);
    const float *predictions = w->context->predictions;
    double values[MOST_CLASSES];
    for (int i = 0; i < w->model->outputs; i++)
        values[i] = predictions[i];
    worker_answer("outputs", values, w->model->outputs);
}

static void serve(struct contender *w)
{
    char word[WORKER_WORD];
    long count;
    while (worker_next(word, &count)) {
        double *ms = malloc(((size_t)count + 1) * sizeof *ms);
        if (!ms)
            worker_die("no memory", word);
        if (strcmp(word, "steps") == 0) {
            steps(w, count, ms, NULL);
            worker_answer("ms", ms, count);
        } else if (strcmp(word, "losses") == 0) {
            double *losses = malloc(((size_t)count + 1) * sizeof *losses);
            if (!losses)
                worker_die("no memory", word);
            steps(w, count, ms, losses);
            worker_answer("losses", losses, count);
            free(losses);
        } else if (strcmp(word, "infer") == 0) {
            inferences(w, count, ms);
            worker_answer("ms", ms, count);
        } else if (strcmp(word, "outputs") == 0) {
            outputs(w);
        } else if (strcmp(word, "save") == 0) {
            double failed = cnn_save_weights(w->context, "initial.safetensors") != 0;
            worker_answer("failed", &failed, 1);
        } else {
            worker_refuse(word);
        }
        free(ms);
    }
}

int main(int argc, char **argv)
{
    if (argc != 5)
        worker_die("expected THREADS IMAGES LABELS BATCHES", argv[0]);
    struct contender w = {.model = &BENCH_MODEL, .batches = atol(argv[4])};
    const struct cnn_model *m = w.model;
    int threads = atoi(argv[1]);
    if (w.batches < 1 || threads < 1 || threads > MOST_THREADS ||
        m->outputs > MOST_CLASSES || m->real_size != (int)sizeof(float))
        worker_die("needs a float network, threads and at least one batch", argv[0]);
    w.context = cnn_open(m, threads, m->train.seed);
    if (!w.context)
        return 1;
    w.context->lr = 1e-3;
    w.context->early_update = true;     /* as the trainer does it */
    size_t pictures = (size_t)w.batches * (size_t)m->batch;
    size_t size = (size_t)m->in_channels * (size_t)m->in_height * (size_t)m->in_width;
    float *images = worker_read(argv[2], pictures * size, sizeof *images);
    int32_t *labels = worker_read(argv[3], pictures, sizeof *labels);
    w.images = images;
    w.labels = labels;
    batch_set(&w, 0);
    printf("{\"ready\": \"%s, compiled for %s\", \"blas_core\": \"%s\"}\n", m->name, m->target,
           m->blas_core ? m->blas_core : "");
    fflush(stdout);
    serve(&w);
    cnn_close(w.context);
    free(images);
    free(labels);
    return 0;
}
