/* image.c - which decoder reads a file, EXIF's orientation, and fitting a picture to a network's
 * input. */
#define _GNU_SOURCE
#include "data/image_parts.h"
#include "core/regular_file.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

static const off_t file_limit = (off_t)1
                                << 30; /* bytes; no picture of IMAGE_PIXELS_MAX needs more */

int rt_image_fault(struct image_fault *fault, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(fault->text, sizeof fault->text, format, args);
    va_end(args);
    fault->sound = 0;
    return -1;
}

int rt_image_unfit(struct image_fault *fault, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(fault->text, sizeof fault->text, format, args);
    va_end(args);
    fault->sound = 1;
    return -1;
}

void rt_image_free(struct image *image)
{
    free(image->pixels);
    *image = (struct image){ 0 };
}

int rt_image_allocate(struct image *image, uint64_t width, uint64_t height, int channels,
                      struct image_fault *fault)
{
    if (width < 1 || height < 1 || width > IMAGE_PIXELS_MAX || height > IMAGE_PIXELS_MAX / width)
        return rt_image_fault(fault, "is %llux%llu; pictures of up to %d million pixels are read",
                              (unsigned long long)width, (unsigned long long)height,
                              IMAGE_PIXELS_MAX / 1000000);
    image->width = (int)width;
    image->height = (int)height;
    image->channels = channels;
    image->pixels = malloc((size_t)width * (size_t)height * (size_t)channels);
    return image->pixels ? 0 : rt_image_unfit(fault, "does not fit into memory");
}

static _Bool ends_as(const char *name, const char *const *ends, size_t count)
{
    size_t length = strlen(name);
    for (size_t i = 0; i < count; i++) {
        size_t end = strlen(ends[i]);
        if (length > end && strcasecmp(name + length - end, ends[i]) == 0)
            return 1;
    }
    return 0;
}

_Bool rt_image_name(const char *name)
{
    static const char *const ends[] = { ".png", ".jpg", ".jpeg" };
    return ends_as(name, ends, sizeof ends / sizeof ends[0]);
}

_Bool rt_image_name_unread(const char *name)
{
    static const char *const ends[] = {
        ".gif", ".webp", ".bmp", ".tif", ".tiff", ".heic", ".heif", ".avif", ".jp2", ".jxl", ".jfif", ".jpe",
        ".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".ico", ".svg", ".psd", ".dng",
    };
    return ends_as(name, ends, sizeof ends / sizeof ends[0]);
}

/* ---- orientation ----------------------------------------------------------------------------- */

static unsigned exif_number(const uint8_t *at, int bytes, _Bool little)
{
    unsigned value = 0;
    for (int i = 0; i < bytes; i++)
        value = value << 8 | at[little ? bytes - 1 - i : i];
    return value;
}

/* TIFF 6.0: byte order, 42, the place of the first directory; it has a count, then entries of 12
 * bytes: tag, type, count, value.  Tag 0x112, of type 3 (16 bits), is the orientation. */
int rt_exif_orientation(const uint8_t *tiff, size_t size)
{
    if (size < 8 || (memcmp(tiff, "II*\0", 4) && memcmp(tiff, "MM\0*", 4)))
        return 1;
    _Bool little = tiff[0] == 'I';
    size_t at = exif_number(tiff + 4, 4, little);
    if (at > size || size - at < 2)
        return 1;
    unsigned entries = exif_number(tiff + at, 2, little);
    at += 2;
    for (; entries > 0 && size - at >= 12; entries--, at += 12) {
        const uint8_t *entry = tiff + at;
        if (exif_number(entry, 2, little) != 0x112)
            continue;
        unsigned value = exif_number(entry + 8, 2, little);
        _Bool sound = exif_number(entry + 2, 2, little) == 3 && value >= 1 && value <= 8;
        return sound ? (int)value : 1;
    }
    return 1;
}

/* The pixel that belongs at (y, x) of the upright picture lies, in the file's picture of height x
 * width, at ... */
static size_t oriented_from(int orientation, size_t y, size_t x, size_t height, size_t width)
{
    size_t last_row = height - 1, last_column = width - 1;
    switch (orientation) {
    case 2: return y * width + (last_column - x);
    case 3: return (last_row - y) * width + (last_column - x);
    case 4: return (last_row - y) * width + x;
    case 5: return x * width + y;
    case 6: return (last_row - x) * width + y;
    case 7: return (last_row - x) * width + (last_column - y);
    case 8: return x * width + (last_column - y);
    default: return y * width + x;
    }
}

static int image_orient(struct image *image, int orientation, struct image_fault *fault)
{
    if (orientation <= 1)
        return 0;
    size_t height = (size_t)image->height, width = (size_t)image->width,
           channels = (size_t)image->channels;
    _Bool turned = orientation >= 5;
    size_t rows = turned ? width : height, columns = turned ? height : width;
    uint8_t *pixels = malloc(rows * columns * channels), *to = pixels;
    if (!pixels)
        return rt_image_unfit(fault, "does not fit into memory");
    for (size_t y = 0; y < rows; y++)
        for (size_t x = 0; x < columns; x++, to += channels)
            memcpy(to, image->pixels + oriented_from(orientation, y, x, height, width) * channels,
                   channels);
    free(image->pixels);
    image->pixels = pixels;
    image->height = (int)rows;
    image->width = (int)columns;
    return 0;
}

/* ---- files ----------------------------------------------------------------------------------- */

/* What other kinds of files begin with, to name them. */
static const char *other_kind(const uint8_t *bytes, size_t size)
{
    static const struct {
        const char *name, *magic;
        size_t at, length;
    } kinds[] = {
        { "a GIF", "GIF8", 0, 4 }, { "a BMP", "BM", 0, 2 }, { "a WebP", "WEBP", 8, 4 },
        { "a TIFF", "II*\0", 0, 4 }, { "a TIFF", "MM\0*", 0, 4 }, { "a HEIF", "ftyp", 4, 4 },
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (size >= kinds[i].at + kinds[i].length
            && memcmp(bytes + kinds[i].at, kinds[i].magic, kinds[i].length) == 0)
            return kinds[i].name;
    return NULL;
}

int rt_image_decode(struct image *image, const void *bytes, size_t size, int channels,
                    struct image_fault *fault)
{
    const uint8_t *magic = bytes;
    int orientation = 1, status;
    *image = (struct image){ 0 };
    if (size >= 8 && memcmp(magic, "\x89PNG\r\n\x1a\n", 8) == 0)
        status = rt_image_decode_png(image, magic, size, channels, &orientation, fault);
    else if (size >= 3 && memcmp(magic, "\xff\xd8\xff", 3) == 0)
        status = rt_image_decode_jpeg(image, magic, size, channels, &orientation, fault);
    else if (size == 0)
        status = rt_image_fault(fault, "is empty");
    else if (other_kind(magic, size))
        status =
            rt_image_fault(fault, "is %s file; PNG and JPEG are read", other_kind(magic, size));
    else
        status = rt_image_fault(fault, "is neither PNG nor JPEG");
    if (status || image_orient(image, orientation, fault)) {
        rt_image_free(image);
        return -1;
    }
    return 0;
}

/* A whole file in malloc'd memory. */
static uint8_t *file_bytes(const char *path, size_t *size, struct image_fault *fault)
{
    struct stat status;
    const char *why;
    int file = rt_regular_open(path, &status, &why);
    uint8_t *bytes = NULL;
    if (file < 0) {
        rt_image_fault(fault, "%s", why);
    } else if (status.st_size > file_limit) {
        rt_image_fault(fault, "has %lld bytes: too many for a picture", (long long)status.st_size);
    } else if (!(bytes = malloc((size_t)status.st_size + 1))) {
        rt_image_unfit(fault, "does not fit into memory");
    } else {
        ssize_t got = 1;
        for (*size = 0; got > 0 && *size<(size_t)status.st_size; *size += got> 0 ? (size_t)got : 0)
            got = read(file, bytes + *size, (size_t)status.st_size - *size);
        if (got < 0) {
            rt_image_fault(fault, "%s", strerror(errno));
            free(bytes);
            bytes = NULL;
        }
    }
    if (file >= 0)
        close(file);
    return bytes;
}

int rt_image_read(struct image *image, const char *path, int channels, struct image_fault *fault)
{
    size_t size;
    *image = (struct image){ 0 };
    uint8_t *bytes = file_bytes(path, &size, fault);
    if (!bytes)
        return -1;
    int status = rt_image_decode(image, bytes, size, channels, fault);
    free(bytes);
    return status;
}

/* ---- fitting --------------------------------------------------------------------------------- */

/* What a picture is resized to, and the box in which it then stands. */
struct fit_sizes {
    int64_t wide, high, box_wide, box_high;
};

/* a * b / c to the nearest, at least 1. */
static int64_t share(int64_t a, int64_t b, int64_t c)
{
    int64_t rounded = (2 * a * b + c) / (2 * c);
    return rounded < 1 ? 1 : rounded;
}

static struct fit_sizes sizes_of(const struct image *image, struct pixel_fit fit, int width, int height)
{
    int64_t w = image->width, h = image->height, least = w < h ? w : h, side = width < height ? width : height;
    struct fit_sizes z = { .box_wide = share(width, fit.shorter, side), .box_high = share(height, fit.shorter, side) };
    z.wide = z.box_wide;
    z.high = z.box_high;
    if (fit.kind == FIT_CROP) {         /* the longer side keeps the proportion, rounded */
        z.wide = share(w, fit.shorter, least);
        z.high = share(h, fit.shorter, least);
    } else if (fit.kind == FIT_PAD && w * z.box_high >= h * z.box_wide) {
        z.high = share(h, z.box_wide, w);
    } else if (fit.kind == FIT_PAD) {
        z.wide = share(w, z.box_high, h);
    }
    return z;
}

static int fit_small(const struct image *image, const struct fit_sizes *z, int width, int height,
                     struct image_fault *fault)
{
    return rt_image_unfit(fault,
                          "is %dx%d, resized %lldx%lld (width x height): less than the network's "
                          "input of %dx%d",
                          image->width, image->height, (long long)z->wide, (long long)z->high, width, height);
}

/* Where a line of `size` stands in the middle of a box, of which the middle is kept: what is seen of it, and where. */
static void middle_part(int64_t size, int64_t box, int kept, int *first, int *count, int *at)
{
    int64_t offset = (box - size) / 2 - (box - kept) / 2;
    *first = offset < 0 ? (int)-offset : 0;
    *at = offset < 0 ? 0 : (int)offset;
    *count = (int)(size - *first < kept - *at ? size - *first : kept - *at);
}

/* The picture at its size in the middle of a box that is filled, and of that the middle. */
static int picture_pad(const struct image *image, const struct fit_sizes *z, int pad, int width, int height,
                       uint8_t *to, struct image_fault *fault)
{
    struct image_window seen;
    int left, top;
    size_t channels = (size_t)image->channels;
    middle_part(z->wide, z->box_wide, width, &seen.left, &seen.width, &left);
    middle_part(z->high, z->box_high, height, &seen.top, &seen.height, &top);
    uint8_t *part = malloc((size_t)seen.width * (size_t)seen.height * channels);
    if (!part || rt_image_resize(image, (int)z->wide, (int)z->high, seen, part)) {
        free(part);
        return rt_image_unfit(fault, "cannot be resized: memory is short");
    }
    memset(to, pad, (size_t)width * (size_t)height * channels);
    for (int y = 0; y < seen.height; y++)
        memcpy(to + ((size_t)(top + y) * (size_t)width + (size_t)left) * channels,
               part + (size_t)y * (size_t)seen.width * channels, (size_t)seen.width * channels);
    free(part);
    return 0;
}

int rt_image_fit(const struct image *image, struct pixel_fit fit, int width, int height, uint8_t *to,
                 struct image_fault *fault)
{
    if (!fit.fits) {
        if (image->width != width || image->height != height)
            return rt_image_unfit(fault,
                                  "is %dx%d (width x height), the network's input %dx%d: write "
                                  "'resize %d' in 'data'",
                                  image->width, image->height, width, height,
                                  width > height ? width : height);
        memcpy(to, image->pixels, (size_t)width * (size_t)height * (size_t)image->channels);
        return 0;
    }
    struct fit_sizes z = sizes_of(image, fit, width, height);
    if ((z.wide < width || z.high < height) && fit.kind != FIT_PAD)
        return fit_small(image, &z, width, height, fault);
    if (z.wide > INT32_MAX || z.high > INT32_MAX)
        return rt_image_unfit(fault, "is %dx%d: too long to be resized", image->width,
                              image->height);
    if (fit.kind == FIT_PAD)
        return picture_pad(image, &z, fit.pad, width, height, to, fault);
    struct image_window middle = { ((int)z.wide - width) / 2, ((int)z.high - height) / 2, width, height };
    if (rt_image_resize(image, (int)z.wide, (int)z.high, middle, to))
        return rt_image_unfit(fault, "cannot be resized: memory is short");
    return 0;
}
