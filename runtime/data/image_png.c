/* image_png.c - PNG through libpng.
 *
 * libpng's error handler must not return; it jumps back to the call of decode().  All that lives
 * across the jump lies in the struct.
 */
#include "data/image_parts.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <png.h>

enum {
    DEFLATE_MOST = 1032,        /* bytes that a deflated one unpacks to */
    CHUNK_BYTES_MAX = 8000000   /* of those that are kept; pixels are none */
};

struct png_reader {
    png_structp png;
    png_infop info, end;
    jmp_buf out;
    struct image *image;
    struct image_fault *fault;
    const uint8_t *at;
    size_t left;
    uint8_t *rows; /* as the library gives them: one, or all of an interlaced picture */
};

static void fault_jump(png_structp png, png_const_charp text)
{
    struct png_reader *r = png_get_error_ptr(png);
    if (strstr(text, "memory"))         /* libpng says so with words alone */
        rt_image_unfit(r->fault, "does not fit into memory");
    else
        rt_image_fault(r->fault, "is a damaged PNG: %s", text);
    longjmp(r->out, 1);
}

/* What is only warned of costs no pixel. */
static void warning_drop(png_structp png, png_const_charp text)
{
    (void)png;
    (void)text;
}

static void bytes_give(png_structp png, png_bytep to, size_t count)
{
    struct png_reader *r = png_get_io_ptr(png);
    if (count > r->left) {
        rt_image_fault(r->fault, "is a PNG that is cut short");
        longjmp(r->out, 1);
    }
    memcpy(to, r->at, count);
    r->at += count;
    r->left -= count;
}

/* One pixel: 1 grey, 2 grey and alpha, 3 colours, 4 colours and alpha; on white where it lets light
 * through. Sixteen bits, high byte first, are rounded to eight at the very end. */
static void pixel_store(uint8_t *to, int channels, const uint8_t *from, int parts, int depth)
{
    unsigned value[4], whole = depth == 16 ? 65535 : 255;
    for (int i = 0; i < parts; i++)
        value[i] = depth == 16 ? (unsigned)from[2 * i] << 8 | from[2 * i + 1] : from[i];
    int colours = parts <= 2 ? 1 : 3;
    if (parts == 2 || parts == 4) {
        uint64_t alpha = value[parts - 1];
        for (int i = 0; i < colours; i++)
            value[i] = (unsigned)((alpha * value[i] + (whole - alpha) * whole + whole / 2) / whole);
    }
    for (int i = 0; depth == 16 && i < colours; i++)
        value[i] = (value[i] * 255 + 32767) / 65535;
    if (colours == 1)
        memset(to, (int)value[0], (size_t)channels);
    else
        image_store(to, channels, value[0], value[1], value[2]);
}

static void row_keep(struct image *image, size_t y, const uint8_t *from, int parts, int depth)
{
    size_t pixel = (size_t)parts * (depth == 16 ? 2 : 1), channels = (size_t)image->channels;
    uint8_t *to = image->pixels + y * (size_t)image->width * channels;
    for (int x = 0; x < image->width; x++, to += channels, from += pixel)
        pixel_store(to, image->channels, from, parts, depth);
}

static int pixels_read(struct png_reader *r, int passes)
{
    size_t row = png_get_rowbytes(r->png, r->info), height = (size_t)r->image->height;
    int parts = png_get_channels(r->png, r->info), depth = png_get_bit_depth(r->png, r->info);
    r->rows = malloc(row * (passes > 1 ? height : 1));
    if (!r->rows)
        return rt_image_unfit(r->fault, "does not fit into memory");
    for (int pass = 0; pass < passes; pass++)
        for (size_t y = 0; y < height; y++) {
            uint8_t *one = r->rows + (passes > 1 ? y * row : 0);
            png_read_row(r->png, one, NULL);
            if (pass == passes - 1)
                row_keep(r->image, y, one, parts, depth);
        }
    return 0;
}

static void orientation_find(const struct png_reader *r, int *orientation)
{
#if defined PNG_eXIf_SUPPORTED
    png_infop places[] = { r->info, r->end };
    for (int i = 0; i < 2; i++) {
        png_uint_32 size = 0;
        png_bytep exif = NULL;
        if (png_get_eXIf_1(r->png, places[i], &size, &exif) && exif)
            *orientation = rt_exif_orientation(exif, size);
    }
#else
    (void)r;
    (void)orientation;
#endif
}

/* Chunks that say nothing of the pixels - texts, profiles - are passed over unread: a text of a few
 * bytes may unpack to megabytes, and there may be any number of them. */
static void chunks_choose(struct png_reader *r)
{
#if defined PNG_HANDLE_AS_UNKNOWN_SUPPORTED
    png_set_keep_unknown_chunks(r->png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_set_keep_unknown_chunks(r->png, PNG_HANDLE_CHUNK_AS_DEFAULT, (png_const_bytep) "eXIf", 1);
#endif
#if defined PNG_SET_USER_LIMITS_SUPPORTED
    png_set_chunk_malloc_max(r->png, CHUNK_BYTES_MAX);
    png_set_chunk_cache_max(r->png, 1);
#else
    (void)r;
#endif
}

/* Whether a chunk of EXIF says that it is longer than what is left of the file: the library asks for the memory first,
 * and 120 bytes would have it ask for gigabytes. */
static bool exif_is_cut(const uint8_t *bytes, size_t size)
{
    enum { SIGNATURE = 8, LENGTH_AND_NAME = 8, CHECKSUM = 4 };
    for (size_t at = SIGNATURE; at <= size && size - at >= LENGTH_AND_NAME;) {
        const uint8_t *chunk = bytes + at;
        size_t length = (size_t)chunk[0] << 24 | (size_t)chunk[1] << 16 | (size_t)chunk[2] << 8 | chunk[3];
        size_t left = size - at - LENGTH_AND_NAME;
        if (length > left)
            return memcmp(chunk + 4, "eXIf", 4) == 0;
        at += LENGTH_AND_NAME + length + CHECKSUM;
    }
    return false;
}

/* All that may jump. */
static int decode(struct png_reader *r, int channels, int *orientation)
{
    size_t size = r->left;
    if (exif_is_cut(r->at, r->left))
        return rt_image_fault(r->fault, "is a PNG that is cut short");
    png_set_read_fn(r->png, r, bytes_give);
    chunks_choose(r);
    png_read_info(r->png, r->info);
    /* what the header says is believed as far as the file can hold it */
    if (png_get_rowbytes(r->png, r->info) * (uint64_t)png_get_image_height(r->png, r->info) / DEFLATE_MOST > size)
        return rt_image_fault(r->fault, "is a PNG that is cut short");
    if (rt_image_allocate(r->image, png_get_image_width(r->png, r->info),
                          png_get_image_height(r->png, r->info), channels, r->fault))
        return -1;
    png_set_expand(
        r->png); /* palettes to colours, few bits to eight, a transparent colour to alpha */
    int passes = png_set_interlace_handling(r->png);
    png_read_update_info(r->png, r->info);
    if (pixels_read(r, passes))
        return -1;
    png_read_end(r->png, r->end);       /* to the end chunk: a file without one is cut short */
    orientation_find(r, orientation);
    return 0;
}

int rt_image_decode_png(struct image *image, const uint8_t *bytes, size_t size, int channels,
                        int *orientation, struct image_fault *fault)
{
    struct png_reader r;
    memset(&r, 0, sizeof r);
    r.image = image;
    r.fault = fault;
    r.at = bytes;
    r.left = size;
    volatile int status = -1;
    if (setjmp(r.out) == 0) {
        r.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &r, fault_jump, warning_drop);
        r.info = r.png ? png_create_info_struct(r.png) : NULL;
        r.end = r.png ? png_create_info_struct(r.png) : NULL;
        if (r.info && r.end)
            status = decode(&r, channels, orientation);
        else
            rt_image_unfit(fault,
                           "cannot be read: memory is short, or libpng is of another version");
    }
    png_destroy_read_struct(&r.png, &r.info, &r.end);
    free(r.rows);
    return status;
}
