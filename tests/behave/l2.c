/* l2.c - the program of l2.sh: a network with l2 beside the same without, their losses and gradients, and what l2 is by
 * plain arithmetic.
 *
 *     l2 LAYER=FACTOR...
 *
 * Each LAYER.weight has that l2, a layer that is not named has none.  In the loss of training and of use stands
 * l2 * sum(w^2), in gradients that are handed out 2 * l2 * w; with any number of threads, and whether weights are
 * updated early or not, in the same bits. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cnnrt.h>

extern const struct cnn_model with_model, without_model;

enum { STEPS = 4 };
static int failures;

static void *need(void *p)
{
    if (!p) {
        fputs("no memory\n", stderr);
        exit(1);
    }
    return p;
}

static double get(const void *values, int64_t i)
{
    return with_model.real_size == 4 ? (double)((const float *)values)[i] : ((const double *)values)[i];
}

static void compare(const char *what, int step, double got, double want, double size)
{
    if (fabs(got - want) <= (with_model.real_size == 4 ? 1e-5 : 1e-12) * (fabs(want) + size))
        return;
    static const char *last;    /* each thing that is wrong, not each number of it */
    failures++;
    if (what != last)
        fprintf(stderr, "%s, step %d: %.12g, not %.12g\n", what, step, got, want);
    last = what;
}

static double l2_of(const char *name, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        size_t length = strcspn(argv[i], "=");
        if (!strncmp(name, argv[i], length) && !strcmp(name + length, ".weight"))
            return atof(argv[i] + length + 1);
    }
    return 0;
}

static double penalty(const struct cnn_context *c, int argc, char **argv)
{
    double all = 0;
    for (int i = 0; i < with_model.params_list_count; i++) {
        const struct cnn_param *p = &with_model.params[i];
        double sum = 0, *values = need(malloc((size_t)p->count * sizeof *values));
        cnn_param_get(c, i, values);
        for (int64_t k = 0; k < p->count; k++)
            sum += get(values, k) * get(values, k);
        all += l2_of(p->name, argc, argv) * sum;
        free(values);
    }
    return all;
}

static void same_weights(const struct cnn_context *from, struct cnn_context *to)
{
    for (int i = 0; i < with_model.params_list_count; i++) {
        void *values = need(malloc((size_t)with_model.params[i].count * sizeof(double)));
        cnn_param_get(from, i, values);
        cnn_param_set(to, i, values);
        free(values);
    }
}

static void compare_gradients(const struct cnn_context *a, const struct cnn_context *b, int step, int argc, char **argv)
{
    for (int i = 0; i < with_model.params_list_count; i++) {
        const struct cnn_param *p = &with_model.params[i];
        size_t bytes = (size_t)p->count * sizeof(double);
        void *with = need(malloc(bytes)), *without = need(malloc(bytes)), *w = need(malloc(bytes));
        cnn_grad_get(a, i, with);
        cnn_grad_get(b, i, without);
        cnn_param_get(a, i, w);
        for (int64_t k = 0; p->trainable && k < p->count; k++)
            compare(p->name, step, get(with, k), get(without, k) + 2 * l2_of(p->name, argc, argv) * get(w, k), 0.1);
        free(with);
        free(without);
        free(w);
    }
}

static void feed(struct cnn_context *c, int step)
{
    uint32_t state = 77u * (uint32_t)step + 5;
    int size = with_model.in_channels * with_model.in_height * with_model.in_width;
    void *picture = need(malloc((size_t)size * sizeof(double)));
    for (int i = 0; i < with_model.batch; i++) {
        for (int k = 0; k < size; k++) {
            state = state * 1664525u + 1013904223u;
            float x = (float)(state >> 8) / 8388608.0f - 1.0f;
            if (with_model.real_size == 4)
                ((float *)picture)[k] = x;
            else
                ((double *)picture)[k] = x;
        }
        cnn_input_set(c, i, picture);
        c->labels[i] = (int32_t)(state >> 20) % with_model.outputs;
    }
    free(picture);
    c->step = (uint64_t)step;
    c->lr = 0.05;
}

int main(int argc, char **argv)
{
    struct cnn_context *c[4] = { cnn_open(&with_model, 1, 3), cnn_open(&without_model, 1, 3),
                                 cnn_open(&with_model, 2, 3), cnn_open(&with_model, 3, 3) };
    for (int k = 0; k < 4; k++)
        need(c[k]);
    c[2]->early_update = true;
    for (int step = 0; step < STEPS; step++) {
        int n = with_model.batch - step % 2;
        double expected = penalty(c[0], argc, argv), used[4], trained[4];
        same_weights(c[0], c[1]);
        for (int k = 0; k < 4; k++) {
            feed(c[k], step);
            c[k]->model->infer(c[k], n);
            used[k] = c[k]->loss;
            c[k]->model->train_step(c[k], n);
            trained[k] = c[k]->loss;
            if (k == 1)
                compare_gradients(c[0], c[1], step, argc, argv);
        }
        compare("what l2 adds in use", step, (used[0] - used[1]) / n, expected, 0.01);
        compare("what l2 adds in training", step, (trained[0] - trained[1]) / n, expected, 0.01);
        for (int k = 0; k < 4; k++)
            c[k]->model->update(c[k]);
        for (int k = 2; k < 4; k++)
            if (trained[k] != trained[0] || used[k] != used[0] ||
                memcmp(c[k]->params, c[0]->params, (size_t)(with_model.params_stored * with_model.real_size))) {
                fprintf(stderr, "other bits with %d threads, step %d\n", k, step);
                failures++;
            }
    }
    for (int k = 0; k < 4; k++)
        cnn_close(c[k]);
    return failures != 0;
}
