/* single.c - the program of single.sh: a network compiled for one picture at a time, in a loop over ways to change its
 * weights.  After each, a network that has never computed anything is given the same weights: both must predict the
 * same bits, whatever the first one has kept, and other ones than before. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cnnrt.h>

#ifndef MODEL
#error "compile with -DMODEL=name_model"
#endif
extern const struct cnn_model MODEL;

enum { CLASSES_MOST = 64, THREADS = 2 };

static int failures;

static void fail(const char *way, const char *what)
{
    fprintf(stderr, "%s: %s\n", way, what);
    failures++;
}

static void set_input(struct cnn_context *c)
{
    float *input = c->input;
    for (int64_t i = 0; i < MODEL.image_stride; i++)
        input[i] = (float)((uint32_t)(i * 2654435761u) >> 8) / 16777216.0f;
    c->labels[0] = 1;
    c->lr = 0.01;
}

/* The weights of c, in a network of its own. */
static void predict_afresh(const struct cnn_context *c, int threads, float *predictions)
{
    struct cnn_context *fresh = cnn_open(&MODEL, threads, 99);
    if (!fresh)
        exit(1);
    memcpy(fresh->params, c->params, sizeof(float) * (size_t)MODEL.params_stored);
    memcpy(fresh->statistics, c->statistics, sizeof(float) * (size_t)MODEL.statistics_stored);
    set_input(fresh);
    MODEL.infer(fresh, 1);
    memcpy(predictions, fresh->predictions, sizeof(float) * (size_t)MODEL.outputs);
    cnn_close(fresh);
}

/* The weight tensor number `which` (from 0) of at least three axes. */
static int filters(int which)
{
    for (int i = 0; i < MODEL.params_list_count; i++)
        if (MODEL.params[i].rank > 2 && which-- == 0)
            return i;
    fputs("the network has too few convolutions\n", stderr);
    exit(1);
}

static void change_with_set(struct cnn_context *c)
{
    int at = filters(1);
    float *values = malloc(sizeof *values * (size_t)MODEL.params[at].count);
    if (!values)
        exit(1);
    cnn_param_get(c, at, values);
    values[MODEL.params[at].count - 1] += 0.5f;
    cnn_param_set(c, at, values);
    free(values);
}

static void change_with_training(struct cnn_context *c)
{
    MODEL.train_step(c, 1);
    MODEL.update(c);
    c->step++;
}

static void change_with_load(struct cnn_context *c)
{
    struct cnn_context *other = cnn_open(&MODEL, 1, 1234);
    if (!other || cnn_save_weights(other, "other.safetensors") || cnn_load_weights(c, "other.safetensors"))
        exit(1);
    cnn_close(other);
}

static void change_in_place(struct cnn_context *c)
{
    float *params = c->params;
    params[MODEL.params[filters(2)].offset + 5] -= 0.25f;
}

/* The training step works in memory of its own, also where it changes nothing. */
static void train_only(struct cnn_context *c)
{
    MODEL.train_step(c, 1);
}

static const struct way {
    const char *name;
    void (*change)(struct cnn_context *c);
    int same;                   /* the predictions stay */
} ways[] = {
    {"cnn_param_set", change_with_set, 0},
    {"training", change_with_training, 0},
    {"a training step without an update", train_only, 1},
    {"cnn_load_weights", change_with_load, 0},
    {"writing to params", change_in_place, 0},
    {"training again", change_with_training, 0},
};

int main(void)
{
    struct cnn_context *c = cnn_open(&MODEL, THREADS, 7);
    float before[CLASSES_MOST], after[CLASSES_MOST], expected[CLASSES_MOST];
    size_t size = sizeof *before * (size_t)MODEL.outputs;
    if (!c || MODEL.batch != 1 || MODEL.outputs > CLASSES_MOST)
        return 1;
    set_input(c);
    MODEL.infer(c, 1);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        memcpy(before, c->predictions, size);
        ways[i].change(c);
        for (int times = 0; times < 2; times++) {
            MODEL.infer(c, 1);
            memcpy(after, c->predictions, size);
            for (int threads = 1; threads <= 3; threads++) {
                predict_afresh(c, threads, expected);
                if (memcmp(after, expected, size) != 0)
                    fail(ways[i].name, "predictions unlike those of a network that has kept nothing");
            }
        }
        if (!memcmp(before, after, size) != ways[i].same)
            fail(ways[i].name, ways[i].same ? "changes predictions" : "changes nothing");
    }
    cnn_close(c);
    return failures ? 1 : 0;
}
