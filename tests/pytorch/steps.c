/* steps.c - drives a compiled network from files: some training steps on given batches, and what came of them.
 *
 *     steps WEIGHTS BATCHES LR OUT
 *
 * BATCHES: int32 steps, int32 n, then for each step n * channels * height * width float32 and n int32 labels,
 * or as many float32 as targets have numbers.
 * OUT: records of a line "NAME COUNT" and COUNT doubles: "use.predictions" of the first batch before training,
 * "train.loss" of every step, "grad.NAME" of every parameter that learns in the first step, "end.NAME" of every
 * parameter and statistic after the last, "average.NAME" of those where the optimizer keeps averages, and
 * "end.predictions" of the first batch.  A `*` in WEIGHTS stands for the number of a step, from 0: each step begins
 * with weights of its own, what the optimizer keeps goes on, and OUT has "K.use.predictions", "K.train.loss",
 * "K.grad.NAME" and "K.end.NAME" of each step K instead.  Compiled with the network's file, -DCNN_NO_MAIN
 * -DMODEL=NAME_model.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cnnrt.h>

extern const struct cnn_model MODEL;

static void *need(void *p, const char *what)
{
    if (!p) {
        fprintf(stderr, "steps: %s\n", what);
        exit(1);
    }
    return p;
}

struct output {
    FILE *file;
    char step[16];              /* "K." where every step has records of its own */
};

static void record(const struct output *out, const char *kind, const char *name, const void *values, int64_t count)
{
    fprintf(out->file, "%s%s.%s %lld\n", out->step, kind, name, (long long)count);
    for (int64_t i = 0; i < count; i++) {
        double value = MODEL.real_size == 4 ? (double)((const float *)values)[i] : ((const double *)values)[i];
        fwrite(&value, sizeof value, 1, out->file);
    }
}

static void read_exactly(FILE *in, void *to, size_t size, size_t count)
{
    if (fread(to, size, count, in) != count)
        need(NULL, "the file of batches is short");
}

/* Labels of classes; float32 numbers; nothing where the input is the target. */
static void feed_targets(struct cnn_context *c, FILE *in, int n)
{
    const struct cnn_target target = MODEL.train.target;
    if (target.kind == CNN_TARGET_CLASS)
        read_exactly(in, c->labels, sizeof *c->labels, (size_t)n);
    if (target.kind != CNN_TARGET_VECTOR && target.kind != CNN_TARGET_LABELS)
        return;
    for (int i = 0; i < n * target.size; i++) {
        float number;
        read_exactly(in, &number, sizeof number, 1);
        if (MODEL.real_size == 4)
            ((float *)c->targets)[i] = number;
        else
            ((double *)c->targets)[i] = (double)number;
    }
}

static void feed(struct cnn_context *c, FILE *in, int n)
{
    size_t size = (size_t)MODEL.in_channels * (size_t)MODEL.in_height * (size_t)MODEL.in_width;
    float *picture = need(malloc(size * sizeof *picture), "no memory");
    double *wide = need(malloc(size * sizeof *wide), "no memory");
    for (int i = 0; i < n; i++) {
        read_exactly(in, picture, sizeof *picture, size);
        for (size_t k = 0; k < size; k++)
            wide[k] = (double)picture[k];
        cnn_input_set(c, i, MODEL.real_size == 4 ? (const void *)picture : wide);
    }
    feed_targets(c, in, n);
    free(picture);
    free(wide);
}

/* kind: "grad", or what parameters and statistics are called */
static void record_params(const struct output *out, const struct cnn_context *c, const char *kind)
{
    bool gradients = !strcmp(kind, "grad");
    for (int i = 0; i < MODEL.params_list_count; i++) {
        const struct cnn_param *p = &MODEL.params[i];
        void *values = need(malloc((size_t)p->count * 8), "no memory");
        if (gradients && p->role != CNN_STATISTIC && p->trainable) {
            cnn_grad_get(c, i, values);
            record(out, kind, p->name, values, p->count);
        } else if (!gradients) {
            cnn_param_get(c, i, values);
            record(out, kind, p->name, values, p->count);
        }
        free(values);
    }
}

/* The weights of this step: path with its number for the `*`. */
static bool load(struct cnn_context *c, const char *path, int step)
{
    const char *star = strchr(path, '*');
    if (!star)
        return step > 0 || cnn_load_weights(c, path) == 0;
    size_t room = strlen(path) + 16;
    char *own = need(malloc(room), "no memory");
    snprintf(own, room, "%.*s%d%s", (int)(star - path), path, step, star + 1);
    bool fine = cnn_load_weights(c, own) == 0;
    free(own);
    return fine;
}

static void use(const struct output *out, struct cnn_context *c, const char *kind, int n)
{
    MODEL.infer(c, n);
    record(out, kind, "predictions", c->predictions, (int64_t)n * MODEL.outputs);
}

/* One of so many steps; its loss.  shown: with records of what it sees and of its gradients. */
static double train(const struct output *out, struct cnn_context *c, int step, int steps, int n, double lr, bool shown)
{
    if (shown)
        use(out, c, "use", n);
    c->step = (uint64_t)step;
    c->steps_total = (uint64_t)steps;
    c->lr = lr;
    c->epoch = step;            /* what is trained in some epochs only goes by steps here */
    MODEL.train_step(c, n);
    double loss = c->loss / n;
    if (shown)
        record_params(out, c, "grad");
    MODEL.update(c);
    return loss;
}

static void record_losses(const struct output *out, const double *losses, int count)
{
    fprintf(out->file, "%strain.loss %d\n", out->step, count);
    fwrite(losses, sizeof *losses, (size_t)count, out->file);
}

static void record_end(const struct output *out, struct cnn_context *c)
{
    record_params(out, c, "end");
    if (!MODEL.averages)
        return;
    struct cnn_context averages = *c;
    averages.params = (char *)c->optimizer_state
                      + (size_t)(MODEL.averages - 1) * (size_t)MODEL.params_stored * (size_t)MODEL.real_size;
    record_params(out, &averages, "average");
}

/* all: each step begins with weights of its own. */
static bool run(struct output *out, struct cnn_context *c, FILE *in, const char *weights, double lr, bool all)
{
    int32_t head[2];
    read_exactly(in, head, sizeof *head, 2);
    int steps = head[0], n = head[1];
    if (steps < 1 || n < 1 || n > MODEL.batch)
        need(NULL, "the batches do not fit the network");
    double *losses = need(calloc((size_t)steps, sizeof *losses), "no memory");
    for (int step = 0; step < steps; step++) {
        if (!load(c, weights, step))
            return false;
        if (all)
            snprintf(out->step, sizeof out->step, "%d.", step);
        feed(c, in, n);
        losses[step] = train(out, c, step, steps, n, lr, all || step == 0);
        if (all) {
            record_losses(out, &losses[step], 1);
            record_end(out, c);
        }
    }
    if (!all) {
        record_losses(out, losses, steps);
        record_end(out, c);
        fseek(in, sizeof head, SEEK_SET);
        feed(c, in, n);
        use(out, c, "end", n);
    }
    free(losses);
    return true;
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fputs("Usage: steps WEIGHTS BATCHES LR OUT\n", stderr);
        return 2;
    }
    /* as the trainer does: the kernels of OpenBLAS that the plan counts on, read when it is loaded */
    const char *core = getenv("OPENBLAS_CORETYPE");
    if (MODEL.blas_core && !(core && !strcmp(core, MODEL.blas_core)) &&
        setenv("OPENBLAS_CORETYPE", MODEL.blas_core, 1) == 0) {
        execv("/proc/self/exe", argv);
        need(NULL, "cannot start again");
    }
    FILE *in = need(fopen(argv[2], "rb"), "cannot read the batches");
    struct output out = { .file = need(fopen(argv[4], "wb"), "cannot write the results") };
    struct cnn_context *c = need(cnn_open(&MODEL, 2, 1), "cnn_open failed");
    bool fine = run(&out, c, in, argv[1], atof(argv[3]), strchr(argv[1], '*') != NULL);
    cnn_close(c);
    fclose(in);
    return fclose(out.file) == 0 && fine ? 0 : 1;
}
