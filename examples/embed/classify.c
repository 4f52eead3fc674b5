/* classify.c - a network inside a program of one's own: what is drawn on a picture?
 *
 *     classify WEIGHTS.safetensors [PICTURE.ppm]
 *
 * WEIGHTS come from training ./shapes_small.  PICTURE is a binary PPM (P6, 8 bits) of the network's size; without
 * one a white disc on grey is drawn here.
 */
#include <stdio.h>
#include <stdlib.h>

#include "shapes_small.h"

enum {
    CHANNELS = SHAPES_SMALL_IN_CHANNELS, HEIGHT = SHAPES_SMALL_IN_HEIGHT, WIDTH = SHAPES_SMALL_IN_WIDTH,
    PIXELS = HEIGHT * WIDTH, CLASSES = SHAPES_SMALL_CLASSES
};

/* in the order of the data source `shapes` */
static const char *const class_names[] = {
    "circle", "square", "triangle", "star", "cross", "ring", "stripes", "diamond", "crescent", "heart"
};
_Static_assert(sizeof class_names / sizeof *class_names == CLASSES, "a name for each class");

/* Reads the picture's pixels, rows of red, green, blue.  0, or -1 with a message. */
static int picture_read(const char *path, unsigned char *rgb)
{
    FILE *in = fopen(path, "rb");
    int width, height, most, status = -1;
    if (!in) {
        perror(path);
        return -1;
    }
    if (fscanf(in, "P6 %d %d %d", &width, &height, &most) != 3 || fgetc(in) == EOF || most != 255)
        fprintf(stderr, "%s: not a binary PPM of 8 bits without comments\n", path);
    else if (width != WIDTH || height != HEIGHT)
        fprintf(stderr, "%s: %d x %d pixels, the network reads %d x %d\n", path, width, height, WIDTH, HEIGHT);
    else if (fread(rgb, CHANNELS, PIXELS, in) != PIXELS)
        fprintf(stderr, "%s: ends before its last pixel\n", path);
    else
        status = 0;
    fclose(in);
    return status;
}

static void picture_draw(unsigned char *rgb)
{
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++) {
            int dx = 2 * x - WIDTH + 1, dy = 2 * y - HEIGHT + 1;
            for (int c = 0; c < CHANNELS; c++)
                rgb[(y * WIDTH + x) * CHANNELS + c] = dx * dx + dy * dy < 18 * 18 ? 230 : 90;
        }
}

int main(int argc, char **argv)
{
    static unsigned char rgb[PIXELS * CHANNELS];
    static float picture[CHANNELS * PIXELS];
    if (argc != 2 && argc != 3) {
        fprintf(stderr, "Usage: %s WEIGHTS.safetensors [PICTURE.ppm]\n", argv[0]);
        return 2;
    }
    if (argc == 3 && picture_read(argv[2], rgb))
        return 1;
    if (argc == 2)
        picture_draw(rgb);

    /* All memory there will ever be is taken here. */
    struct cnn_context *network = cnn_open(&shapes_small_model, 0, 0);
    if (!network)
        return 1;
    if (cnn_load_weights(network, argv[1])) {
        cnn_close(network);
        return 1;
    }

    /* A sample is channels x height x width, and what `scale 1/255` does in training is done here. */
    for (int c = 0; c < CHANNELS; c++)
        for (int i = 0; i < PIXELS; i++)
            picture[c * PIXELS + i] = (float)rgb[i * CHANNELS + c] / 255;
    cnn_input_set(network, 0, picture);
    shapes_small_model.infer(network, 1);

    const float *probability = network->predictions;
    for (int k = 0; k < CLASSES; k++)
        printf("%-10s %6.2f %%\n", class_names[k], 100.0 * (double)probability[k]);
    cnn_close(network);
    return 0;
}
