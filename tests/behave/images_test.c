/* images_test.c - pictures of every kind, made here and read back; resizing against a plain
 * reference; drawing of subsets against counts.
 *
 *   images_test decode      PNG and JPEG of all kinds, orientations, each against what it was made from
 *   images_test damage      every file cut at every length, and with random bytes in it: a fault or a picture
 *   images_test bombs       small files of which much would become
 *   images_test resize      the whole-number filter against one in double
 *   images_test subset      split and limit
 *   images_test make DIR    a small set of pictures in folders of classes
 */
#include <math.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <jpeglib.h>
#include <png.h>
#include <zlib.h>

#include "data/image.h"
#include "data/subset.h"

static int failures;

#define CHECK(condition, ...) do {                                      \
        if (!(condition)) {                                             \
            failures++;                                                 \
            printf("FAILED: %s:%d: ", __FILE__, __LINE__);              \
            printf(__VA_ARGS__);                                        \
            printf("\n");                                               \
        }                                                               \
    } while (0)

static uint64_t dice_state = 88172645463325252u;

static uint32_t dice(uint32_t n)        /* xorshift: 0 .. n-1 */
{
    dice_state ^= dice_state << 13;
    dice_state ^= dice_state >> 7;
    dice_state ^= dice_state << 17;
    return (uint32_t)(dice_state >> 11) % n;
}

/* ---- writing PNG ----------------------------------------------------------------------------- */

struct bytes {
    uint8_t *data;
    size_t size, capacity;
};

static void bytes_add(struct bytes *b, const void *data, size_t size)
{
    if (b->size + size > b->capacity) {
        b->capacity = 2 * (b->size + size);
        b->data = realloc(b->data, b->capacity);
    }
    memcpy(b->data + b->size, data, size);
    b->size += size;
}

static void png_take(png_structp png, png_bytep data, size_t size)
{
    bytes_add(png_get_io_ptr(png), data, size);
}

static void png_done(png_structp png)
{
    (void)png;
}

struct png_kind {
    const char *name;
    int colour, depth, parts;
    bool interlaced, transparent;       /* transparent: with a tRNS chunk */
};

static const struct png_kind png_kinds[] = {
    { "grey 1", PNG_COLOR_TYPE_GRAY, 1, 1, false, false },
    { "grey 2", PNG_COLOR_TYPE_GRAY, 2, 1, true, false },
    { "grey 4", PNG_COLOR_TYPE_GRAY, 4, 1, false, true },
    { "grey 8", PNG_COLOR_TYPE_GRAY, 8, 1, false, false },
    { "grey 16", PNG_COLOR_TYPE_GRAY, 16, 1, true, false },
    { "grey 16, one transparent", PNG_COLOR_TYPE_GRAY, 16, 1, false, true },
    { "palette 2", PNG_COLOR_TYPE_PALETTE, 2, 1, false, false },
    { "palette 8", PNG_COLOR_TYPE_PALETTE, 8, 1, true, false },
    { "palette 8 with alpha", PNG_COLOR_TYPE_PALETTE, 8, 1, false, true },
    { "rgb 8", PNG_COLOR_TYPE_RGB, 8, 3, false, false },
    { "rgb 8 interlaced", PNG_COLOR_TYPE_RGB, 8, 3, true, false },
    { "rgb 8, one transparent", PNG_COLOR_TYPE_RGB, 8, 3, false, true },
    { "rgb 16", PNG_COLOR_TYPE_RGB, 16, 3, false, false },
    { "grey and alpha 8", PNG_COLOR_TYPE_GRAY_ALPHA, 8, 2, false, false },
    { "grey and alpha 16", PNG_COLOR_TYPE_GRAY_ALPHA, 16, 2, true, false },
    { "rgb and alpha 8", PNG_COLOR_TYPE_RGB_ALPHA, 8, 4, true, false },
    { "rgb and alpha 16", PNG_COLOR_TYPE_RGB_ALPHA, 16, 4, false, false },
};

enum { KINDS = sizeof png_kinds / sizeof png_kinds[0], SIDE_MAX = 40 };

/* A picture as its file holds it, one number a part, and what it should be read as. */
struct drawn {
    int width, height;
    unsigned parts[SIDE_MAX * SIDE_MAX * 4];
    double rgb[SIDE_MAX * SIDE_MAX * 3];        /* 0 .. 255, not rounded */
};

static png_color palette[256];
static png_byte palette_alpha[256];

static double on_white(double value, double alpha)
{
    return value * alpha + 255.0 * (1.0 - alpha);
}

static void sample_draw(struct drawn *s, const struct png_kind *k, int width, int height)
{
    double whole = (1 << k->depth) - 1;
    s->width = width;
    s->height = height;
    for (int i = 0; i < width * height; i++) {
        unsigned *p = s->parts + i * k->parts;
        for (int c = 0; c < k->parts; c++)
            p[c] = dice(1u << k->depth);
        if (k->transparent && dice(3) == 0)
            for (int c = 0; c < k->parts; c++)
                p[c] = 1;                       /* the transparent colour */
        double colours[3], alpha = 1.0;
        for (int c = 0; c < 3; c++)
            colours[c] = k->colour == PNG_COLOR_TYPE_PALETTE
                             ? (c == 0   ? palette[p[0]].red
                                : c == 1 ? palette[p[0]].green
                                         : palette[p[0]].blue)
                             : p[k->parts >= 3 ? c : 0] / whole * 255.0;
        if (k->parts == 2 || k->parts == 4)
            alpha = p[k->parts - 1] / whole;
        else if (k->transparent && k->colour == PNG_COLOR_TYPE_PALETTE)
            alpha = palette_alpha[p[0]] / 255.0;
        else if (k->transparent)
            alpha = p[0] == 1 && p[k->parts / 2] == 1 && p[k->parts - 1] == 1 ? 0.0 : 1.0;
        for (int c = 0; c < 3; c++)
            s->rgb[i * 3 + c] = on_white(colours[c], alpha);
    }
}

static struct bytes png_write_sample(const struct drawn *s, const struct png_kind *k,
                                     const struct bytes *exif)
{
    struct bytes out = { 0 };
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    png_set_write_fn(png, &out, png_take, png_done);
    png_set_IHDR(png, info, (png_uint_32)s->width, (png_uint_32)s->height, k->depth, k->colour,
                 k->interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    if (k->colour == PNG_COLOR_TYPE_PALETTE)
        png_set_PLTE(png, info, palette, 1 << k->depth);
    png_color_16 clear = { .red = 1, .green = 1, .blue = 1, .gray = 1 };
    if (k->transparent && k->colour == PNG_COLOR_TYPE_PALETTE)
        png_set_tRNS(png, info, palette_alpha, 1 << k->depth, NULL);
    else if (k->transparent)
        png_set_tRNS(png, info, NULL, 0, &clear);
    if (exif)
        png_set_eXIf_1(png, info, (png_uint_32)exif->size, exif->data);
    png_write_info(png, info);
    if (k->depth < 8)
        png_set_packing(png);
    size_t part = k->depth == 16 ? 2 : 1, row = (size_t)s->width * (size_t)k->parts * part;
    uint8_t *pixels = malloc(row * (size_t)s->height);
    png_bytep rows[SIDE_MAX];
    for (int i = 0; i < s->width * s->height * k->parts; i++) {
        if (part == 2)
            pixels[2 * i] = (uint8_t)(s->parts[i] >> 8);
        pixels[(size_t)i * part + part - 1] = (uint8_t)s->parts[i];
    }
    for (int y = 0; y < s->height; y++)
        rows[y] = pixels + (size_t)y * row;
    png_write_image(png, rows);
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
    free(pixels);
    return out;
}

/* ---- writing JPEG ---------------------------------------------------------------------------- */

/* A TIFF with an orientation behind an entry of another kind. */
static struct bytes exif_make(int orientation, bool little)
{
    static const uint8_t intel[] = { 'I', 'I', 42, 0, 8, 0,   0,   0,   2, 0,    0x0f, 1, 2,
                                     0,   4,   0,  0, 0, 'a', 'b', 'c', 0, 0x12, 1,    3, 0,
                                     1,   0,   0,  0, 0, 0,   0,   0,   0, 0,    0,    0 };
    static const uint8_t motorola[] = { 'M', 'M', 0, 42, 0, 0,   0,   8,   0, 2, 1,    0x0f, 0,
                                        2,   0,   0, 0,  4, 'a', 'b', 'c', 0, 1, 0x12, 0,    3,
                                        0,   0,   0, 1,  0, 0,   0,   0,   0, 0, 0,    0 };
    struct bytes b = { 0 };
    bytes_add(&b, little ? intel : motorola, sizeof intel);
    b.data[little ? 30 : 31] = (uint8_t)orientation;
    return b;
}

struct jpeg_kind {
    const char *name;
    int parts;
    J_COLOR_SPACE space;
    bool progressive, adobe;
};

static const struct jpeg_kind jpeg_kinds[] = {
    { "grey", 1, JCS_GRAYSCALE, false, false },
    { "colour", 3, JCS_RGB, false, false },
    { "colour, progressive", 3, JCS_RGB, true, false },
    { "cmyk", 4, JCS_CMYK, false, false },
    { "cmyk of Adobe's", 4, JCS_CMYK, false, true },
};

enum { JPEG_KINDS = sizeof jpeg_kinds / sizeof jpeg_kinds[0] };

static struct bytes jpeg_write(const uint8_t *pixels, int width, int height,
                               const struct jpeg_kind *k, const struct bytes *exif)
{
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    unsigned char *data = NULL;
    unsigned long size = 0;
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &data, &size);
    jpeg.image_width = (JDIMENSION)width;
    jpeg.image_height = (JDIMENSION)height;
    jpeg.input_components = k->parts;
    jpeg.in_color_space = k->space;
    jpeg_set_defaults(&jpeg);
    jpeg_set_quality(&jpeg, 100, TRUE);
    for (int i = 0; i < jpeg.num_components; i++)
        jpeg.comp_info[i].h_samp_factor = jpeg.comp_info[i].v_samp_factor = 1;
    jpeg.write_Adobe_marker = k->adobe;
    if (k->progressive)
        jpeg_simple_progression(&jpeg);
    jpeg_start_compress(&jpeg, TRUE);
    if (exif) {
        struct bytes marker = { 0 };
        bytes_add(&marker, "Exif\0", 6);
        bytes_add(&marker, exif->data, exif->size);
        jpeg_write_marker(&jpeg, JPEG_APP0 + 1, marker.data, (unsigned)marker.size);
        free(marker.data);
    }
    while (jpeg.next_scanline < jpeg.image_height) {
        JSAMPROW row =
            (JSAMPROW)pixels + (size_t)jpeg.next_scanline * (size_t)width * (size_t)k->parts;
        jpeg_write_scanlines(&jpeg, &row, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    struct bytes out = { 0 };
    bytes_add(&out, data, size);
    free(data);
    return out;
}

/* ---- decode ---------------------------------------------------------------------------------- */

static void expect_pixels(const char *what, const struct bytes *file, const double *rgb, int width,
                          int height, int channels, double tolerance)
{
    struct image image;
    struct image_fault fault = { "" };
    int status = rt_image_decode(&image, file->data, file->size, channels, &fault);
    CHECK(status == 0, "%s: %s", what, fault.text);
    if (status)
        return;
    CHECK(image.width == width && image.height == height && image.channels == channels,
          "%s: %dx%dx%d", what, image.channels, image.height, image.width);
    double worst = 0.0;
    for (int i = 0;
         i < image.width * image.height && image.width == width && image.height == height; i++)
        for (int c = 0; c < channels; c++) {
            const double *p = rgb + i * 3;
            double want = channels == 3 ? p[c] : 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2];
            worst = fmax(worst, fabs(want - image.pixels[i * channels + c]));
        }
    CHECK(worst <= tolerance, "%s, %d channels: off by %g", what, channels, worst);
    rt_image_free(&image);
}

static void decode_png(void)
{
    static const int sizes[][2] = { { 1, 1 }, { 3, 2 }, { 7, 40 }, { 33, 17 } };
    static struct drawn s;
    for (int k = 0; k < KINDS; k++)
        for (int i = 0; i < 4; i++) {
            sample_draw(&s, &png_kinds[k], sizes[i][0], sizes[i][1]);
            struct bytes file = png_write_sample(&s, &png_kinds[k], NULL);
            /* one rounding; grey from colours rounds twice, from alpha thrice */
            expect_pixels(png_kinds[k].name, &file, s.rgb, s.width, s.height, 3,
                          0.51 + 0.5 * (k >= KINDS - 4));
            expect_pixels(png_kinds[k].name, &file, s.rgb, s.width, s.height, 1,
                          1.02 + 0.5 * (k >= KINDS - 4));
            free(file.data);
        }
}

/* Smooth pictures, which quality 100 keeps within some levels. */
static void jpeg_draw(uint8_t *pixels, double *rgb, int width, int height,
                      const struct jpeg_kind *k)
{
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            double part[4];
            for (int c = 0; c < 4; c++) {
                part[c] = 20 + 200 * (0.5 + 0.5 * sin(0.09 * x * (c + 1) + 0.07 * y * (3 - c) + c));
                if (c < k->parts)
                    pixels[(y * width + x) * k->parts + c] = (uint8_t)part[c];
                part[c] = (uint8_t)part[c];
            }
            for (int c = 0; c < 3; c++) {
                double light =
                    k->adobe ? part[c] * part[3] / 255 : (255 - part[c]) * (255 - part[3]) / 255;
                rgb[(y * width + x) * 3 + c] = k->parts == 4   ? light
                                               : k->parts == 1 ? part[0]
                                                               : part[c];
            }
        }
}

static void decode_jpeg(void)
{
    static uint8_t pixels[SIDE_MAX * SIDE_MAX * 4];
    static double rgb[SIDE_MAX * SIDE_MAX * 3];
    for (int k = 0; k < JPEG_KINDS; k++) {
        jpeg_draw(pixels, rgb, 33, 25, &jpeg_kinds[k]);
        struct bytes file = jpeg_write(pixels, 33, 25, &jpeg_kinds[k], NULL);
        expect_pixels(jpeg_kinds[k].name, &file, rgb, 33, 25, 3, 5.0);
        expect_pixels(jpeg_kinds[k].name, &file, rgb, 33, 25, 1, 5.0);
        free(file.data);
    }
}

/* What a camera stores so that a viewer, told the orientation, shows `upright`: EXIF says on which
 * side of the picture the stored first row lies, and on which the first column. */
static void orientation_store(int orientation, const unsigned *upright, int width, int height,
                              unsigned *stored, int *stored_width, int *stored_height)
{
    /* first row: top, top, bottom, bottom, left, right, right, left
     * first column: left, right, right, left, top, top, bottom, bottom */
    bool turned = orientation >= 5;
    int rows = turned ? width : height, columns = turned ? height : width;
    bool row_from_end =
        orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    bool column_from_end =
        orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < columns; c++) {
            int along_row = row_from_end ? rows - 1 - r : r,
                along_column = column_from_end ? columns - 1 - c : c;
            int y = turned ? along_column : along_row, x = turned ? along_row : along_column;
            memcpy(stored + (r * columns + c) * 3, upright + (y * width + x) * 3,
                   3 * sizeof *stored);
        }
    *stored_width = columns;
    *stored_height = rows;
}

static void decode_orientations(void)
{
    static const struct png_kind kind = { "eXIf", PNG_COLOR_TYPE_RGB, 8, 3, false, false };
    static struct drawn upright, stored;
    sample_draw(&upright, &kind, 24, 16);
    for (int i = 0; i < 24 * 16;
         i++) /* blocks of one colour, which JPEG keeps; the two halves differ */
        for (int c = 0; c < 3; c++) {
            int x = i % 24 / 8, y = i / 24 / 8;
            upright.parts[i * 3 + c] = (unsigned)(30 + 60 * x + 70 * y + 10 * c);
            upright.rgb[i * 3 + c] = upright.parts[i * 3 + c];
        }
    for (int orientation = 1; orientation <= 8; orientation++)
        for (int little = 0; little < 2; little++) {
            orientation_store(orientation, upright.parts, 24, 16, stored.parts, &stored.width,
                              &stored.height);
            struct bytes exif = exif_make(orientation, little),
                         file = png_write_sample(&stored, &kind, &exif);
            char what[60];
            snprintf(what, sizeof what, "orientation %d, PNG", orientation);
            expect_pixels(what, &file, upright.rgb, 24, 16, 3, 0.0);
            free(file.data);
            uint8_t pixels[24 * 16 * 3];
            for (int i = 0; i < 24 * 16 * 3; i++)
                pixels[i] = (uint8_t)stored.parts[i];
            file = jpeg_write(pixels, stored.width, stored.height, &jpeg_kinds[1], &exif);
            snprintf(what, sizeof what, "orientation %d, JPEG", orientation);
            expect_pixels(what, &file, upright.rgb, 24, 16, 3, 5.0);
            free(file.data);
            /* an EXIF block that is cut short says nothing, and the picture is there all the same
             */
            exif.size = 20;
            file = jpeg_write(pixels, stored.width, stored.height, &jpeg_kinds[1], &exif);
            struct image image;
            struct image_fault fault;
            int status = rt_image_decode(&image, file.data, file.size, 3, &fault);
            CHECK(status == 0 && image.width == stored.width, "cut EXIF: %s", fault.text);
            rt_image_free(&image);
            free(file.data);
            free(exif.data);
        }
}

/* ---- damage ---------------------------------------------------------------------------------- */

static int try(const uint8_t *data, size_t size, const char *what)
{
    /* a copy of its own size, so that a read beyond it is seen by the sanitizer */
    uint8_t *own = malloc(size + !size);
    memcpy(own, data, size);
    struct image image;
    struct image_fault fault = { "" };
    int status = rt_image_decode(&image, own, size, 1 + 2 * (int)dice(2), &fault);
    if (status)
        CHECK(fault.text[0] && strlen(fault.text) < sizeof fault.text && !image.pixels,
              "%s: a fault without a word", what);
    else
        CHECK(image.pixels && image.width > 0 && image.height > 0, "%s: no fault and no picture",
              what);
    rt_image_free(&image);
    free(own);
    return status;
}

static void damage(const struct bytes *file, const char *what)
{
    CHECK(try(file->data, file->size, what) == 0, "%s: cannot be read whole", what);
    for (size_t size = 0; size < file->size; size++)
        CHECK(try(file->data, size, what) != 0, "%s: cut at %zu of %zu, nobody notices", what, size,
              file->size);
    uint8_t *copy = malloc(file->size);
    for (int round = 0; round < 150; round++) {
        memcpy(copy, file->data, file->size);
        for (uint32_t n = 1 + dice(4); n > 0; n--)
            copy[2 + dice((uint32_t)file->size - 2)] = (uint8_t)dice(256);
        try(copy, file->size, what);
    }
    free(copy);
}

static void chunk_add(struct bytes *b, const char type[4], const uint8_t *data, size_t size)
{
    uint8_t head[8] = { (uint8_t)(size >> 24), (uint8_t)(size >> 16), (uint8_t)(size >> 8), (uint8_t)size };
    memcpy(head + 4, type, 4);
    uLong sum = crc32(crc32(0, head + 4, 4), data, (uInt)size);
    uint8_t tail[4] = { (uint8_t)(sum >> 24), (uint8_t)(sum >> 16), (uint8_t)(sum >> 8), (uint8_t)sum };
    bytes_add(b, head, 8);
    bytes_add(b, data, size);
    bytes_add(b, tail, 4);
}

/* Files of which little becomes much: texts that unpack to megabytes, a header that promises more than
 * the file can hold.  Processor time is measured, and generously. */
static void test_bombs(void)
{
    enum { TEXT = 7000000, TEXTS = 300, HEAD = 8 + 25 };
    static struct drawn s;
    sample_draw(&s, &png_kinds[0], 9, 11);
    struct bytes plain = png_write_sample(&s, &png_kinds[0], NULL), bomb = { NULL, 0, 0 };
    uLongf packed = compressBound(TEXT);
    uint8_t *zeros = calloc(1, TEXT), *text = malloc(packed + 3);
    memcpy(text, "x\0", 3);
    CHECK(compress(text + 3, &packed, zeros, TEXT) == Z_OK, "a text cannot be packed");
    bytes_add(&bomb, plain.data, HEAD);
    for (int i = 0; i < TEXTS; i++)
        chunk_add(&bomb, i % 3 ? "zTXt" : "iCCP", text, packed + 3);
    bytes_add(&bomb, plain.data + HEAD, plain.size - HEAD);
    clock_t start = clock();
    CHECK(try(bomb.data, bomb.size, "texts") == 0, "a picture with long texts is not read");
    double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    CHECK(seconds < 1.0, "a picture with long texts takes %.1f s", seconds);
    free(bomb.data);

    /* 10000 x 10000 of what there is for 9 x 11 */
    struct bytes large = { NULL, 0, 0 };
    uint8_t head[13];
    memcpy(head, plain.data + 16, 13);
    memcpy(head, "\0\0\x27\x10\0\0\x27\x10", 8);
    bytes_add(&large, plain.data, 8);
    chunk_add(&large, "IHDR", head, 13);
    bytes_add(&large, plain.data + HEAD, plain.size - HEAD);
    struct image image;
    struct image_fault fault = { .text = "" };
    CHECK(rt_image_decode(&image, large.data, large.size, 3, &fault) != 0
              && strstr(fault.text, "is a PNG that is cut short"),
          "a header that promises too much: '%s'", fault.text);
    free(large.data);
    free(plain.data);
    free(zeros);
    free(text);
}

static void test_damage(void)
{
    static struct drawn s;
    static uint8_t pixels[SIDE_MAX * SIDE_MAX * 4];
    static double rgb[SIDE_MAX * SIDE_MAX * 3];
    for (int k = 0; k < KINDS; k++) {
        sample_draw(&s, &png_kinds[k], 9, 11);
        struct bytes exif = exif_make(6, true), file = png_write_sample(&s, &png_kinds[k], &exif);
        damage(&file, png_kinds[k].name);
        free(file.data);
        free(exif.data);
    }
    for (int k = 0; k < JPEG_KINDS; k++) {
        jpeg_draw(pixels, rgb, 19, 21, &jpeg_kinds[k]);
        struct bytes exif = exif_make(8, false),
                     file = jpeg_write(pixels, 19, 21, &jpeg_kinds[k], &exif);
        damage(&file, jpeg_kinds[k].name);
        free(file.data);
        free(exif.data);
    }
    /* nothing but noise behind the first bytes */
    for (int round = 0; round < 2000; round++) {
        uint8_t noise[64];
        for (size_t i = 0; i < sizeof noise; i++)
            noise[i] = (uint8_t)dice(256);
        memcpy(noise, round % 2 ? "\x89PNG\r\n\x1a\n\0\0\0\rIHDR" : "\xff\xd8\xff\xe1",
               round % 2 ? 16 : 4);
        CHECK(try(noise, 1 + dice(sizeof noise), "noise") != 0, "noise is taken for a picture");
    }
}

/* ---- resize ---------------------------------------------------------------------------------- */

/* The definition, in double: a triangle of the wider pixel's width, normalised, in both directions
 * at once. */
static double triangle(int in, int out, int i, int j)
{
    double wide = in > out ? (double)in / out : 1.0, centre = (i + 0.5) * in / out;
    double far = fabs(j + 0.5 - centre) / wide;
    return far < 1.0 ? 1.0 - far : 0.0;
}

static double reference(const struct image *image, int width, int height, int y, int x, int c)
{
    double sum = 0.0, weights = 0.0;
    for (int v = 0; v < image->height; v++)
        for (int u = 0; u < image->width; u++) {
            double w = triangle(image->height, height, y, v) * triangle(image->width, width, x, u);
            sum += w * image->pixels[(v * image->width + u) * image->channels + c];
            weights += w;
        }
    return sum / weights;
}

static void resize_one(int in_width, int in_height, int channels, int width, int height,
                       bool constant)
{
    struct image image = { in_width, in_height, channels,
                           malloc((size_t)(in_width * in_height * channels)) };
    uint8_t level = (uint8_t)dice(256);
    for (int i = 0; i < in_width * in_height * channels; i++)
        image.pixels[i] = constant ? level : (uint8_t)dice(256);
    struct image_window keep = { (int)dice((uint32_t)width), (int)dice((uint32_t)height), 0, 0 };
    keep.width = 1 + (int)dice((uint32_t)(width - keep.left));
    keep.height = 1 + (int)dice((uint32_t)(height - keep.top));
    uint8_t *to = malloc((size_t)(keep.width * keep.height * channels));
    CHECK(rt_image_resize(&image, width, height, keep, to) == 0, "no memory");
    double worst = 0.0;
    for (int y = 0; y < keep.height; y++)
        for (int x = 0; x < keep.width; x++)
            for (int c = 0; c < channels; c++) {
                double got = to[(y * keep.width + x) * channels + c];
                double want =
                    constant ? level
                    : in_width == width && in_height == height
                        ? image.pixels[((y + keep.top) * width + x + keep.left) * channels + c]
                        : reference(&image, width, height, y + keep.top, x + keep.left, c);
                worst = fmax(worst, fabs(got - want));
            }
    bool exact = constant || (in_width == width && in_height == height);
    CHECK(worst <= (exact ? 0.0 : 0.51), "%dx%dx%d to %dx%d: off by %g", channels, in_height,
          in_width, height, width, worst);
    free(to);
    free(image.pixels);
}

/* A whole picture on a box that is painted before, and the middle of the box: what `fit` has to give. */
static void fit_one(enum fit_kind kind, int in_width, int in_height, int channels, int width, int height, int more)
{
    int least = width < height ? width : height, shorter = least + more;
    int box_width = (2 * width * shorter + least) / (2 * least),
        box_height = (2 * height * shorter + least) / (2 * least);
    int wide = box_width, high = box_height;
    if (kind == FIT_PAD && (double)in_width / in_height >= (double)box_width / box_height)
        high = (int)((2.0 * in_height * box_width + in_width) / (2.0 * in_width));
    else if (kind == FIT_PAD)
        wide = (int)((2.0 * in_width * box_height + in_height) / (2.0 * in_height));
    wide = wide < 1 ? 1 : wide;
    high = high < 1 ? 1 : high;
    size_t c = (size_t)channels;
    uint8_t *pixels = malloc((size_t)(in_width * in_height) * c), *whole = malloc((size_t)(wide * high) * c);
    uint8_t *box = malloc((size_t)(box_width * box_height) * c), *to = malloc((size_t)(width * height) * c);
    for (size_t i = 0; i < (size_t)(in_width * in_height) * c; i++)
        pixels[i] = (uint8_t)dice(256);
    struct image image = { in_width, in_height, channels, pixels };
    struct image_fault fault = { "" };
    memset(box, 77, (size_t)(box_width * box_height) * c);
    CHECK(rt_image_resize(&image, wide, high, (struct image_window){ 0, 0, wide, high }, whole) == 0, "no memory");
    int left = (box_width - wide) / 2, top = (box_height - high) / 2;
    for (int y = 0; y < high; y++)
        memcpy(box + ((size_t)(top + y) * (size_t)box_width + (size_t)left) * c, whole + (size_t)(y * wide) * c,
               (size_t)wide * c);
    struct pixel_fit fit = { .fits = true, .shorter = shorter, .kind = kind, .pad = 77 };
    CHECK(rt_image_fit(&image, fit, width, height, to, &fault) == 0, "%s", fault.text);
    left = (box_width - width) / 2;
    top = (box_height - height) / 2;
    int wrong = 0;
    for (int y = 0; y < height; y++)
        wrong += memcmp(to + (size_t)(y * width) * c, box + ((size_t)(top + y) * (size_t)box_width + (size_t)left) * c,
                        (size_t)width * c) != 0;
    CHECK(wrong == 0, "%d rows of %d are wrong: %dx%d to %dx%d, side %d, kind %d", wrong, height, in_width, in_height,
          width, height, shorter, (int)kind);
    free(pixels);
    free(whole);
    free(box);
    free(to);
}

static void test_resize(void)
{
    for (int round = 0; round < 400; round++) {
        int in_width = 1 + (int)dice(30), in_height = 1 + (int)dice(30), width = 1 + (int)dice(30);
        int height = 1 + (int)dice(30), channels = 1 + 2 * (int)dice(2);
        resize_one(in_width, in_height, channels, width, height, round % 4 == 0);
        if (round % 8 == 0)
            resize_one(in_width, in_height, channels, in_width, in_height, false);
    }
    /* which part is kept: columns of 0 and 200 show the middle */
    uint8_t wide[8] = { 0, 0, 200, 100, 100, 50, 0, 0 }, to[4];
    struct image image = { 8, 1, 1, wide };
    struct image_fault fault = { "" };
    CHECK(rt_image_fit(&image, (struct pixel_fit){ .fits = true, .shorter = 1 }, 1, 1, to, &fault) == 0 && to[0] == 100,
          "the middle of 8x1 is %d", to[0]);
    CHECK(rt_image_fit(&image, (struct pixel_fit){ .fits = true, .shorter = 1 }, 4, 1, to, &fault) == 0 &&
          to[0] == 200 && to[3] == 50, "the middle four");
    CHECK(rt_image_fit(&image, (struct pixel_fit){ .fits = true, .shorter = 1 }, 1, 2, to, &fault) != 0 &&
          strstr(fault.text, "8x1"), "2 rows of one");
    CHECK(rt_image_fit(&image, (struct pixel_fit){ 0 }, 1, 1, to, &fault) != 0 && strstr(fault.text, "resize"),
          "another size: %s", fault.text);
    CHECK(rt_image_fit(&image, (struct pixel_fit){ 0 }, 8, 1, wide, &fault) == 0, "its own size");
    for (int round = 0; round < 300; round++)
        fit_one(round % 2 ? FIT_PAD : FIT_STRETCH, 1 + (int)dice(40), 1 + (int)dice(40), 1 + 2 * (int)dice(2),
                1 + (int)dice(12), 1 + (int)dice(12), (int)dice(9));
    /* anti-aliasing: a chequered floor from afar is grey, not black or white */
    enum { MANY = 64 };
    uint8_t *floor = malloc(MANY * MANY), grey[16];
    for (int i = 0; i < MANY * MANY; i++)
        floor[i] = (i % MANY + i / MANY) % 2 ? 255 : 0;
    struct image chequered = { MANY, MANY, 1, floor };
    CHECK(rt_image_fit(&chequered, (struct pixel_fit){ .fits = true, .shorter = 4 }, 4, 4, grey, &fault) == 0, "%s",
          fault.text);
    for (int i = 0; i < 16; i++)
        CHECK(grey[i] == 127 || grey[i] == 128, "a chequered floor has %d", grey[i]);
    free(floor);
}

/* ---- subset ---------------------------------------------------------------------------------- */

enum { CLASSES = 7, MANY_LABELS = 2000 };

static void label_counts(const uint16_t *labels, const uint8_t *marks, int value, int count,
                         int *counts)
{
    memset(counts, 0, CLASSES * sizeof *counts);
    for (int i = 0; i < count; i++)
        counts[labels[i]] += marks[i] == value;
}

static void test_subset(void)
{
    static const int sizes[CLASSES] = { 1, 2, 5, 105, 300, 487, 1100 };
    static uint16_t labels[MANY_LABELS];
    static uint8_t drawn[MANY_LABELS], again[MANY_LABELS], other[MANY_LABELS];
    int counts[CLASSES], left[CLASSES];
    memcpy(left, sizes, sizeof left);
    for (int i = 0; i < MANY_LABELS; i++) {
        do
            labels[i] = (uint16_t)dice(CLASSES);
        while (left[labels[i]] == 0);
        left[labels[i]]--;
    }
    /* a tenth: 0.1, 0.2, 0.5, 10.5, 30, 48.7, 110, halves up */
    static const int tenth[CLASSES] = { 0, 0, 1, 11, 30, 49, 110 };
    int64_t all = rt_subset_share(labels, MANY_LABELS, CLASSES, 0.1, 0, drawn);
    label_counts(labels, drawn, 1, MANY_LABELS, counts);
    for (int k = 0; k < CLASSES; k++)
        CHECK(counts[k] == tenth[k], "split 0.1 takes %d of %d", counts[k], sizes[k]);
    CHECK(all == 201, "%d in all", (int)all);
    rt_subset_share(labels, MANY_LABELS, CLASSES, 0.1, 0, again);
    rt_subset_share(labels, MANY_LABELS, CLASSES, 0.1, 1, other);
    CHECK(memcmp(drawn, again, MANY_LABELS) == 0, "the same seed draws others");
    CHECK(memcmp(drawn, other, MANY_LABELS) != 0, "another seed draws the same");
    rt_subset_share(labels, MANY_LABELS, CLASSES, 0.999, 0, drawn);
    label_counts(labels, drawn, 0, MANY_LABELS, counts);
    for (int k = 0; k < CLASSES; k++)
        CHECK(counts[k] >= 1, "class %d has nothing left to train with", k);
    /* 700 evenly: the three small ones give all they have (8), 692 over four gives 105 and 587 over
     * three */
    static const int even[CLASSES] = { 1, 2, 5, 105, 196, 196, 195 };
    all = rt_subset_limit(labels, MANY_LABELS, CLASSES, 700, 0, drawn);
    label_counts(labels, drawn, 1, MANY_LABELS, counts);
    for (int k = 0; k < CLASSES; k++)
        CHECK(counts[k] == even[k], "limit 700 takes %d of class %d", counts[k], k);
    CHECK(all == 700, "%d in all", (int)all);
    for (int limit = 1; limit < MANY_LABELS + 2; limit += 37) {
        all = rt_subset_limit(labels, MANY_LABELS, CLASSES, limit, 5, drawn);
        int marked = 0;
        for (int i = 0; i < MANY_LABELS; i++)
            marked += drawn[i];
        CHECK(all == marked && marked == (limit < MANY_LABELS ? limit : MANY_LABELS),
              "limit %d: %d", limit, marked);
    }
    /* both: the split first, limits on what it leaves; nothing in both sets */
    struct subset_recipe both = { .splits = true, .fraction = 0.5, .train = 100, .val = 50 };
    uint8_t held[MANY_LABELS];
    CHECK(rt_subset_divide(&both, CLASSES, labels, MANY_LABELS, drawn, labels, MANY_LABELS, held)
              == 0,
          "divide");
    int trains = 0, validates = 0, rest = 0;
    for (int i = 0; i < MANY_LABELS; i++) {
        trains += drawn[i] == SUBSET_TRAIN;
        validates += drawn[i] == SUBSET_VAL;
        rest += held[i] != SUBSET_VAL;
    }
    CHECK(trains == 100 && validates == 50 && rest == 0,
          "%d train, %d validate, %d of the test set are gone", trains, validates, rest);
}

/* ---- a set of pictures ----------------------------------------------------------------------- */

static void file_write(const char *path, const struct bytes *file)
{
    FILE *f = fopen(path, "wb");
    CHECK(f && fwrite(file->data, 1, file->size, f) == file->size && fclose(f) == 0,
          "%s cannot be written", path);
}

/* DIR/{train,test}/{dark,light,"odd, \"name\""}/N.png and .jpg, 10 to 20 pixels a side. */
static void make(const char *dir)
{
    static const char *const sets[] = { "train", "test" }, *const classes[] = { "dark", "light",
                                                                                "odd, \"one\"" };
    static uint8_t pixels[SIDE_MAX * SIDE_MAX * 3];
    char path[1000];
    mkdir(dir, 0777);
    for (int s = 0; s < 2; s++)
        for (int k = 0; k < 3; k++)
            for (int i = 0; i < (s ? 5 : 20); i++) {
                int width = 10 + (int)dice(11), height = 10 + (int)dice(11);
                for (int n = 0; n < width * height * 3; n++)
                    pixels[n] = (uint8_t)(k == 2 ? 200 * (n % 3 == 0) + dice(40)
                                                 : (unsigned)(40 + 130 * k) + dice(60));
                snprintf(path, sizeof path, "%s/%s", dir, sets[s]);
                mkdir(path, 0777);
                snprintf(path, sizeof path, "%s/%s/%s", dir, sets[s], classes[k]);
                mkdir(path, 0777);
                snprintf(path, sizeof path, "%s/%s/%s/%d.%s", dir, sets[s], classes[k], i,
                         i % 2 ? "JPeG" : "png");
                struct bytes file;
                if (i % 2) {
                    file = jpeg_write(pixels, width, height, &jpeg_kinds[1], NULL);
                } else {
                    static struct drawn sample;
                    static const struct png_kind kind = {
                        "", PNG_COLOR_TYPE_RGB, 8, 3, false, false
                    };
                    sample.width = width;
                    sample.height = height;
                    for (int n = 0; n < width * height * 3; n++)
                        sample.parts[n] = pixels[n];
                    file = png_write_sample(&sample, &kind, NULL);
                }
                file_write(path, &file);
                free(file.data);
            }
}

int main(int argc, char **argv)
{
    for (int i = 0; i < 256; i++) {
        palette[i] = (png_color){ (png_byte)(i * 7), (png_byte)(255 - i), (png_byte)(i * 31 + 5) };
        palette_alpha[i] = (png_byte)(i * 13);
    }
    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "decode") == 0) {
        decode_png();
        decode_jpeg();
        decode_orientations();
    } else if (strcmp(what, "damage") == 0) {
        test_damage();
    } else if (strcmp(what, "bombs") == 0) {
        test_bombs();
    } else if (strcmp(what, "resize") == 0) {
        test_resize();
    } else if (strcmp(what, "subset") == 0) {
        test_subset();
    } else if (strcmp(what, "make") == 0 && argc == 3) {
        make(argv[2]);
    } else {
        printf("usage: images_test decode|damage|bombs|resize|subset|make DIR\n");
        return 2;
    }
    return failures ? 1 : 0;
}
