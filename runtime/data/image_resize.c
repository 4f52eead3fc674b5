/* image_resize.c - a picture at another size, by two passes of a triangle filter.
 *
 * In one direction, output i has its centre at (2i+1)/(2*out) of the side and pixel j at
 * (2j+1)/(2*in).  In units of 1/(2*in*out) of the side both are whole numbers, their distance is
 * |(2j+1)*out - (2i+1)*in|, and the triangle reaches 2*max(in, out) to either side: a pixel weighs
 * what is left of its reach.  Weights beyond the edge fall away, and the sum of those that stay
 * divides.
 */
#include "data/image.h"

#include <stdlib.h>

/* What one output reads: `count` pixels from `first` on. */
struct taps {
    int first, count;
    uint64_t total;
    uint32_t *weights;
};

static int64_t tap_weight(int64_t in, int64_t out, int64_t i, int64_t j)
{
    int64_t reach = 2 * (in > out ? in : out), far = (2 * j + 1) * out - (2 * i + 1) * in;
    return reach - (far < 0 ? -far : far);
}

/* The taps of outputs from `start` on; their weights lie behind one another in one block,
 * taps[0].weights. */
static struct taps *taps_make(int in, int out, int start, int count)
{
    int larger = in > out ? in : out;
    int64_t most = 2 * ((int64_t)larger / out) + 4;     /* pixels under one triangle */
    if (most > in)
        most = in;
    struct taps *taps = malloc((size_t)count * sizeof *taps);
    uint32_t *weights = malloc((size_t)count * (size_t)most * sizeof *weights);
    if (!taps || !weights) {
        free(taps);
        free(weights);
        return NULL;
    }
    for (int n = 0; n < count; n++) {
        int64_t i = start + n, nearest = (2 * i + 1) * in / (2 * (int64_t)out);
        int64_t first = nearest > in - 1 ? in - 1 : nearest;
        while (first > 0 && tap_weight(in, out, i, first - 1) > 0)
            first--;
        taps[n] = (struct taps){ .first = (int)first, .weights = weights };
        for (int64_t j = first; j < in && tap_weight(in, out, i, j) > 0; j++) {
            *weights = (uint32_t)tap_weight(in, out, i, j);
            taps[n].total += *weights++;
            taps[n].count++;
        }
    }
    return taps;
}

static void taps_free(struct taps *taps)
{
    if (taps)
        free(taps[0].weights);
    free(taps);
}

/* One row to as many columns as there are taps, in parts of 1/256. */
static void row_resize(const uint8_t *row, int channels, const struct taps *taps, int columns,
                       uint16_t *to)
{
    for (int x = 0; x < columns; x++)
        for (int c = 0; c < channels; c++) {
            const uint8_t *from = row + (size_t)taps[x].first * (size_t)channels + c;
            uint64_t sum = 0;
            for (int k = 0; k < taps[x].count; k++, from += channels)
                sum += (uint64_t)taps[x].weights[k] * *from;
            *to++ = (uint16_t)((sum * 256 + taps[x].total / 2) / taps[x].total);
        }
}

int rt_image_resize(const struct image *image, int width, int height, struct image_window keep,
                    uint8_t *to)
{
    size_t row = (size_t)keep.width * (size_t)image->channels;
    struct taps *across = taps_make(image->width, width, keep.left, keep.width);
    struct taps *down = taps_make(image->height, height, keep.top, keep.height);
    int first = 0, rows = 0;
    if (down) {         /* only these rows of the picture are read */
        first = down[0].first;
        rows = down[keep.height - 1].first + down[keep.height - 1].count - first;
    }
    uint16_t *narrow = malloc((size_t)rows * row * sizeof *narrow + 1);
    uint64_t *sums = malloc(row * sizeof *sums);
    int status = across && down && narrow && sums ? 0 : -1;
    for (int y = 0; status == 0 && y < rows; y++)
        row_resize(image->pixels
                       + (size_t)(first + y) * (size_t)image->width * (size_t)image->channels,
                   image->channels, across, keep.width, narrow + (size_t)y * row);
    for (int y = 0; status == 0 && y < keep.height; y++, to += row) {
        const uint16_t *from = narrow + (size_t)(down[y].first - first) * row;
        uint64_t divisor = down[y].total * 256;
        for (size_t x = 0; x < row; x++)
            sums[x] = divisor / 2;
        for (int k = 0; k < down[y].count; k++, from += row)
            for (size_t x = 0; x < row; x++)
                sums[x] += (uint64_t)down[y].weights[k] * from[x];
        for (size_t x = 0; x < row; x++)
            to[x] = (uint8_t)(sums[x] / divisor);
    }
    free(sums);
    free(narrow);
    taps_free(across);
    taps_free(down);
    return status;
}
