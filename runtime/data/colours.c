/* colours.c - all that can happen to colours is linear in them but for the mean grey, so it is one matrix and one
 * number a picture, and one pass over it. */
#include "data/colours.h"

#include <math.h>

enum { RGB = 3 };
static const double shares[RGB] = { 0.299, 0.587, 0.114 };      /* of a pixel's grey (ITU-R BT.601) */

/* y = matrix x + offset, of each pixel. */
struct mixture {
    float matrix[RGB][RGB], offset;
};

/* ---- the mean grey --------------------------------------------------------------------------- */

#define GREY_MEAN(name, number)                                                                    \
    static double name(const struct sample *s)                                                     \
    {                                                                                              \
        const number *x = s->data;                                                                 \
        int64_t pixels = (int64_t)s->height * s->width;                                            \
        double sum = 0.0;                                                                          \
        if (s->channels == RGB) {                                                                  \
            double red = 0.0, green = 0.0, blue = 0.0;                                             \
            for (int64_t i = 0; i < pixels; i++, x += RGB) {                                       \
                red += (double)x[0];                                                               \
                green += (double)x[1];                                                             \
                blue += (double)x[2];                                                              \
            }                                                                                      \
            return (shares[0] * red + shares[1] * green + shares[2] * blue) / (double)pixels;      \
        }                                                                                          \
        for (int64_t i = 0; i < pixels * s->channels; i++)                                         \
            sum += (double)x[i];                                                                   \
        return sum / (double)(pixels * s->channels);                                               \
    }

GREY_MEAN(bytes_grey, uint8_t)
GREY_MEAN(floats_grey, float)
GREY_MEAN(doubles_grey, double)

static double grey_mean(const struct sample *s)
{
    return s->kind == NUMBER_BYTE ? bytes_grey(s) : s->kind == NUMBER_FLOAT ? floats_grey(s) : doubles_grey(s);
}

/* ---- the matrix ------------------------------------------------------------------------------ */

/* How far blue and red are from grey are two coordinates of a colour; turned, they keep its grey. */
static void hue_turn(double hue, const double from[RGB], double to[RGB])
{
    const double turn = 6.283185307179586477, blue_unit = 0.492111, red_unit = 0.877283;
    double grey = shares[0] * from[0] + shares[1] * from[1] + shares[2] * from[2];
    double u = blue_unit * (from[2] - grey), v = red_unit * (from[0] - grey);
    double along = cos(turn * hue), across = sin(turn * hue);
    to[0] = grey + (across * u + along * v) / red_unit;
    to[2] = grey + (along * u - across * v) / blue_unit;
    to[1] = (grey - shares[0] * to[0] - shares[2] * to[2]) / shares[1];
}

/* Column by column, what becomes of each pure colour. */
static struct mixture mixture_of(const struct colours *c, double grey)
{
    struct mixture m = { .offset = (float)((1.0 - c->contrast) * c->brightness * grey) };
    for (int k = 0; k < RGB; k++) {
        double pure[RGB], turned[RGB];
        for (int i = 0; i < RGB; i++)
            pure[i] = c->brightness * c->contrast * ((i == k ? c->saturation : 0.0) +
                                                     (1.0 - c->saturation) * shares[k]);
        hue_turn(c->hue, pure, turned);
        for (int i = 0; i < RGB; i++)
            m.matrix[i][k] = (float)turned[i];
    }
    return m;
}

/* ---- the picture ----------------------------------------------------------------------------- */

static inline uint8_t byte_of(float x)
{
    x = x < 0.0f ? 0.0f : x > 255.0f ? 255.0f : x;
    return (uint8_t)(x + 0.5f);
}

#define COLOUR(name, number, STORE)                                                                \
    static void name(const struct colours *c, const struct mixture *m, struct sample *s)           \
    {                                                                                              \
        number *x = s->data;                                                                       \
        int64_t pixels = (int64_t)s->height * s->width;                                            \
        float factor = (float)(c->brightness * c->contrast);                                       \
        if (s->channels != RGB) {                                                                  \
            for (int64_t i = 0; i < pixels * s->channels; i++)                                     \
                x[i] = STORE(factor * (float)x[i] + m->offset);                                    \
            return;                                                                                \
        }                                                                                          \
        for (int64_t i = 0; i < pixels; i++, x += RGB) {                                           \
            float r = (float)x[0], g = (float)x[1], b = (float)x[2];                               \
            for (int k = 0; k < RGB; k++)                                                          \
                x[k] = STORE(m->matrix[k][0] * r + m->matrix[k][1] * g + m->matrix[k][2] * b + m->offset); \
        }                                                                                          \
    }

COLOUR(bytes_colour, uint8_t, byte_of)
COLOUR(floats_colour, float, )
COLOUR(doubles_colour, double, (double))

void rt_colour(const struct colours *c, struct sample *s)
{
    const struct mixture m = mixture_of(c, grey_mean(s));
    if (s->kind == NUMBER_BYTE)
        bytes_colour(c, &m, s);
    else if (s->kind == NUMBER_FLOAT)
        floats_colour(c, &m, s);
    else
        doubles_colour(c, &m, s);
}
