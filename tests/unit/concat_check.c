/* concat_check.c - a network of concat_cases.c against its answers: concat_check DATA TOLERANCE.
 *
 * Compiled with -DMODEL=NAME_model beside the network, which it runs on one and on three threads: the same bits. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cnnrt.h>

extern const struct cnn_model MODEL;

static double *take(FILE *data, int64_t count)
{
    double *x = malloc((size_t)(count + 1) * sizeof *x);
    if (!x || fread(x, sizeof *x, (size_t)count, data) != (size_t)count) {
        puts("the data are too short");
        exit(2);
    }
    return x;
}

/* Reals of the model's size as doubles, and back. */
static void to_real(void *to, const double *from, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (MODEL.real_size == 8)
            ((double *)to)[i] = from[i];
        else
            ((float *)to)[i] = (float)from[i];
}

static double at(const void *x, int64_t i)
{
    return MODEL.real_size == 8 ? ((const double *)x)[i] : ((const float *)x)[i];
}

static int compare(const char *name, const void *is, const double *wanted, int64_t count, double tolerance)
{
    double scale = 1e-3, worst = 0;
    for (int64_t i = 0; i < count; i++)
        scale = fmax(scale, fabs(wanted[i]));
    for (int64_t i = 0; i < count; i++) {
        double error = fabs(at(is, i) - wanted[i]) / scale;
        worst = error <= worst ? worst : error;         /* not a number is worst of all */
    }
    if (worst <= tolerance)
        return 0;
    printf("%s is wrong by %.3g of its largest\n", name, worst);
    return 1;
}

static struct cnn_context *opened(FILE *data, int threads)
{
    struct cnn_context *c = cnn_open(&MODEL, threads, 1);
    int64_t pixels = (int64_t)MODEL.in_channels * MODEL.in_height * MODEL.in_width;
    void *real = malloc(8 << 20);
    rewind(data);
    for (int i = 0; i < MODEL.params_list_count; i++) {
        double *x = take(data, MODEL.params[i].count);
        to_real(real, x, MODEL.params[i].count);
        cnn_param_set(c, i, real);
        free(x);
    }
    for (int i = 0; i < MODEL.batch; i++) {
        double *x = take(data, pixels);
        to_real(real, x, pixels);
        cnn_input_set(c, i, real);
        free(x);
    }
    double *labels = take(data, MODEL.batch);
    for (int i = 0; i < MODEL.batch; i++)
        c->labels[i] = (int32_t)labels[i];
    free(labels);
    free(real);
    return c;
}

int main(int argc, char **argv)
{
    FILE *data = argc > 2 ? fopen(argv[1], "rb") : NULL;
    if (!data)
        return 2;
    double tolerance = atof(argv[2]);
    int wrong = 0;
    struct cnn_context *c = opened(data, 1);
    int64_t outputs = (int64_t)MODEL.batch * MODEL.train.target.size;
    double *loss = take(data, 1), *predictions = take(data, outputs);
    void *real = malloc(8 << 20);
    MODEL.train_step(c, MODEL.batch);
    wrong += compare("the loss", MODEL.real_size == 8 ? (void *)&c->loss : (void *)&(float){ (float)c->loss }, loss, 1,
                     tolerance);
    wrong += compare("the prediction", c->predictions, predictions, outputs, tolerance);
    for (int i = 0; i < MODEL.params_list_count; i++) {
        const struct cnn_param *p = &MODEL.params[i];
        if (p->role == CNN_STATISTIC)
            continue;
        double *wanted = take(data, p->count);
        cnn_grad_get(c, i, real);
        wrong += compare(p->name, real, wanted, p->count, tolerance);
        free(wanted);
    }
    struct cnn_context *three = opened(data, 3);
    MODEL.train_step(three, MODEL.batch);
    if (memcmp(c->grads, three->grads, (size_t)(MODEL.params_stored * MODEL.real_size)) != 0) {
        puts("three threads make other bits");
        wrong++;
    }
    /* in use; then a smaller batch, whose samples come out as before where nothing depends on the batch */
    MODEL.infer(c, MODEL.batch);
    memcpy(real, c->predictions, (size_t)(outputs * MODEL.real_size));
    MODEL.infer(c, 1);
    if (memcmp(real, c->predictions, (size_t)(outputs / MODEL.batch * MODEL.real_size)) != 0) {
        puts("a batch of one sample comes out otherwise");
        wrong++;
    }
    cnn_close(c);
    cnn_close(three);
    return wrong != 0;
}
