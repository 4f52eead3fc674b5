/* infer_trainer.c - the trainer's side of inference.sh: linked with a model compiled with
 * -DCNN_NO_MAIN.  Gives the network weights with nothing left at its initial value, saves them, and
 * writes random pictures with the trainer's own predictions of them, the mean over copies where its recipe has `tta`.
 *
 *   infer_trainer WEIGHTS PREDICTIONS SCALE [MEAN STD]...       one pair a channel
 *
 * PREDICTIONS: for each picture its bytes, height x width x channels, and its predictions as
 * floats. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cnnrt.h>

#include "train/tta.h"

#ifndef MODEL
#error "compile with -DMODEL=name_model"
#endif
extern const struct cnn_model MODEL;

enum { PICTURES = 8 };

static uint64_t state = 20;

/* Numerical Recipes' 64-bit congruential generator; the high bits are good. */
static double uniform(double low, double high)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return low + (high - low) * (double)(state >> 11) / 9007199254740992.0;
}

static int ends_with(const char *name, const char *suffix)
{
    size_t n = strlen(name), m = strlen(suffix);
    return n > m && strcmp(name + n - m, suffix) == 0;
}

/* Moments and scales of batch normalisation become those of a network that has seen something. */
static void stir(struct cnn_context *c)
{
    for (int i = 0; i < MODEL.params_list_count; i++) {
        const struct cnn_param *p = &MODEL.params[i];
        float *values = malloc((size_t)p->count * sizeof *values);
        cnn_param_get(c, i, values);
        for (int64_t k = 0; k < p->count; k++) {
            if (ends_with(p->name, "running_var"))
                values[k] = (float)uniform(0.3, 2.0);
            else if (p->rank == 1 && ends_with(p->name, ".weight"))
                values[k] = (float)uniform(0.5, 1.5);
            else if (p->role != CNN_WEIGHT)
                values[k] = (float)uniform(-0.3, 0.3);
        }
        cnn_param_set(c, i, values);
        free(values);
    }
}

int main(int argc, char **argv)
{
    int channels = MODEL.in_channels, positions = MODEL.in_height * MODEL.in_width;
    size_t inputs = (size_t)channels * (size_t)positions;
    struct cnn_context *c = cnn_open(&MODEL, 1, 3);
    struct tta tta;
    FILE *out = argc >= 4 ? fopen(argv[2], "wb") : NULL;
    unsigned char *pixels = malloc(inputs);
    float *input = malloc(inputs * sizeof *input);
    if (rt_tta_open(&tta, &MODEL, true) || !c || !out || !pixels || !input || (argc > 4 && argc != 4 + 2 * channels))
        return 2;
    stir(c);
    if (cnn_save_weights(c, argv[1]))
        return 1;
    for (int s = 0; s < PICTURES; s++) {
        for (size_t i = 0; i < inputs; i++)
            pixels[i] = (unsigned char)uniform(0, 256);
        for (int k = 0; k < channels; k++)
            for (int i = 0; i < positions; i++) {
                double x = pixels[i * channels + k] * atof(argv[3]);
                if (argc > 4)
                    x = (x - atof(argv[4 + 2 * k])) / atof(argv[5 + 2 * k]);
                input[k * positions + i] = (float)x;
            }
        cnn_input_set(c, 0, input);
        c->labels[0] = 0;
        rt_tta_infer(&tta, c, 1);
        fwrite(pixels, 1, inputs, out);
        fwrite(c->predictions, sizeof(float), (size_t)MODEL.outputs, out);
    }
    free(pixels);
    free(input);
    rt_tta_close(&tta);
    cnn_close(c);
    return fclose(out) ? 1 : 0;
}
