/* tiny_main.c - the hand-written network as a trainer.  The environment chooses what tests want of
 * it: TINY_SOURCE the data source (cifar10, mnist), TINY_BROKEN a wrong gradient. */
#include "tiny_model.h"

#include <stdlib.h>
#include <string.h>

#ifdef TINY_DOUBLE
#define TINY_MODEL tiny_double_model
#define TINY_BROKEN tiny_double_broken
#else
#define TINY_MODEL tiny_float_model
#define TINY_BROKEN tiny_float_broken
#endif

int main(int argc, char **argv)
{
    struct cnn_model model = TINY_MODEL;
    const char *source = getenv("TINY_SOURCE");
    struct cnn_setting settings[] = { { .key = "dir" } };
    TINY_BROKEN = getenv("TINY_BROKEN") != NULL;
    if (source) {
        settings[0].text = strcmp(source, "cifar10") ? source : "cifar-10-batches-bin";
        model.data.source = (struct cnn_clause){ source, settings, 1 };
    }
    if (source && strcmp(source, "mnist") == 0) {
        model.in_channels = 1;
        model.data.steps_count = 1;
        model.row_stride = 32;                  /* a third of the real input; the rest stays zero */
        model.column_stride = 1;
    }
    return cnn_main(&model, argc, argv);
}
