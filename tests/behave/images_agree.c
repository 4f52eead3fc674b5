/* images_agree.c - the probabilities of the test set as an evaluation computes them, a line a
 * picture: its classes from the most probable on, each with its probability as `predict --csv`
 * writes it. */
#include <stdio.h>

#include "train/loader.h"
#include "files/notes.h"

extern const struct cnn_model small_model;

static void sample_print(const float *p, int classes)
{
    bool taken[16] = { false };
    for (int rank = 0; rank < classes; rank++) {
        int best = -1;
        for (int k = 0; k < classes; k++)
            if (!taken[k] && (best < 0 || p[k] > p[best]))
                best = k;
        taken[best] = true;
        printf("%s%d %.9g", rank ? " " : "", best, (double)p[best]);
    }
    printf("\n");
}

int main(int argc, char **argv)
{
    const struct cnn_model *m = &small_model;
    struct cnn_context *c = cnn_open(m, 1, 0);
    struct dataset d;
    struct loader l;
    if (argc != 2 || !c || cnn_load_weights(c, argv[1]) || rt_dataset_open(&d, m, NULL,
                                                                           (struct data_use){ .threads = 1 })
        || rt_notes_learn(c, &d, false) || rt_loader_open(&l, c, &d.val, LOADER_MEASURES))
        return 1;
    int n;
    rt_loader_begin(&l, 0, 0);
    while ((n = rt_loader_next(&l, c)) > 0) {
        m->infer(c, n);
        for (int i = 0; i < n; i++)
            sample_print((const float *)c->predictions + i * m->outputs, m->outputs);
    }
    rt_loader_close(&l);
    rt_dataset_close(&d);
    cnn_close(c);
    return 0;
}
