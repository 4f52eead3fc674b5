/* image_jpeg.c - JPEG through libjpeg-turbo.
 *
 * The library says that a file is damaged with a warning and goes on with grey: here that is a
 * fault.  Its error handler must not return; it jumps back into decode().  All that lives across
 * the jump lies in the struct.
 */
#include "data/image_parts.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

enum {
    SCANS_MAX = 500
}; /* honest progressive files have about ten; each costs a pass over the picture */

struct jpeg_reader {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf out;
    struct image *image;
    struct image_fault *fault;
    uint8_t *row;               /* as the library gives it */
};

static void fault_jump(j_common_ptr jpeg)
{
    struct jpeg_reader *r = jpeg->client_data;
    char text[JMSG_LENGTH_MAX];
    jpeg->err->format_message(jpeg, text);
    if (jpeg->err->msg_code == JERR_OUT_OF_MEMORY)
        rt_image_unfit(r->fault, "does not fit into memory");
    else
        rt_image_fault(r->fault, "is a damaged JPEG: %s", text);
    longjmp(r->out, 1);
}

static void message_take(j_common_ptr jpeg, int level)
{
    if (level >= 0)             /* a trace */
        return;
    switch (jpeg->err->msg_code) {
    /* things that many writers do and that cost no pixel */
    case JWRN_ADOBE_XFORM:
    case JWRN_EXTRANEOUS_DATA:
    case JWRN_JFIF_MAJOR:
    case JWRN_TOO_MUCH_DATA:
        return;
    case JWRN_JPEG_EOF:
        rt_image_fault(((struct jpeg_reader *)jpeg->client_data)->fault,
                       "is a JPEG that is cut short");
        longjmp(((struct jpeg_reader *)jpeg->client_data)->out, 1);
    default:
        fault_jump(jpeg);
    }
}

static void message_drop(j_common_ptr jpeg)
{
    (void)jpeg;
}

static void scans_limit(j_common_ptr jpeg)
{
    struct jpeg_reader *r = jpeg->client_data;
    if (r->jpeg.input_scan_number <= SCANS_MAX)
        return;
    rt_image_fault(r->fault, "is a JPEG of more than %d scans", SCANS_MAX);
    longjmp(r->out, 1);
}

static int exif_find(const struct jpeg_decompress_struct *jpeg)
{
    for (const struct jpeg_marker_struct *m = jpeg->marker_list; m; m = m->next)
        if (m->marker == JPEG_APP0 + 1 && m->data_length > 6 && memcmp(m->data, "Exif\0", 6) == 0)
            return rt_exif_orientation(m->data + 6, m->data_length - 6);
    return 1;
}

/* Ink over ink: what one lets through, the other takes its share of.  Adobe's files hold what is
 * left of the light instead of the ink. */
static void cmyk_store(uint8_t *to, int channels, const uint8_t *from, _Bool inverted)
{
    unsigned light[4];
    for (int i = 0; i < 4; i++)
        light[i] = inverted ? from[i] : 255u - from[i];
    image_store(to, channels, (light[0] * light[3] + 127) / 255, (light[1] * light[3] + 127) / 255,
                (light[2] * light[3] + 127) / 255);
}

static void row_keep(const struct jpeg_reader *r, uint8_t *to)
{
    const uint8_t *from = r->row;
    int channels = r->image->channels, parts = r->jpeg.output_components;
    for (int x = 0; x < r->image->width; x++, to += channels, from += parts) {
        if (parts == 1)
            memset(to, from[0], (size_t)channels);
        else if (parts == 3)
            image_store(to, channels, from[0], from[1], from[2]);
        else
            cmyk_store(to, channels, from, r->jpeg.saw_Adobe_marker);
    }
}

/* All that may jump. */
static int decode(struct jpeg_reader *r, const uint8_t *bytes, size_t size, int channels,
                  int *orientation)
{
    struct jpeg_decompress_struct *jpeg = &r->jpeg;
    jpeg_create_decompress(jpeg);
    jpeg->progress = &r->progress;
    jpeg_mem_src(jpeg, bytes, (unsigned long)size);
    jpeg_save_markers(jpeg, JPEG_APP0 + 1, 0xffff);
    jpeg_read_header(jpeg, TRUE);
    *orientation = exif_find(jpeg);
    if (rt_image_allocate(r->image, jpeg->image_width, jpeg->image_height, channels, r->fault))
        return -1;
    if (jpeg->out_color_space != JCS_GRAYSCALE && jpeg->out_color_space != JCS_RGB
        && jpeg->out_color_space != JCS_CMYK)
        return rt_image_fault(r->fault, "is a JPEG of %d components of unknown colours",
                              jpeg->num_components);
    jpeg->dct_method = JDCT_ISLOW;      /* the exact one: the same bytes on every machine */
    jpeg_start_decompress(jpeg);
    r->row = malloc((size_t)jpeg->output_width * (size_t)jpeg->output_components);
    if (!r->row)
        return rt_image_unfit(r->fault, "does not fit into memory");
    size_t row = (size_t)r->image->width * (size_t)channels;
    while (jpeg->output_scanline < jpeg->output_height) {
        size_t y = jpeg->output_scanline;
        JSAMPROW rows[1] = { r->row };
        if (jpeg_read_scanlines(jpeg, rows, 1) == 1)
            row_keep(r, r->image->pixels + y * row);
    }
    jpeg_finish_decompress(jpeg);       /* to the end marker: a file without one is cut short */
    return 0;
}

int rt_image_decode_jpeg(struct image *image, const uint8_t *bytes, size_t size, int channels,
                         int *orientation, struct image_fault *fault)
{
    struct jpeg_reader r;
    memset(&r, 0, sizeof r);
    r.image = image;
    r.fault = fault;
    r.jpeg.err = jpeg_std_error(&r.errors);
    r.errors.error_exit = fault_jump;
    r.errors.emit_message = message_take;
    r.errors.output_message = message_drop;
    r.progress.progress_monitor = scans_limit;
    r.jpeg.client_data = &r;
    volatile int status = -1;
    if (setjmp(r.out) == 0)
        status = decode(&r, bytes, size, channels, orientation);
    jpeg_destroy_decompress(&r.jpeg);
    free(r.row);
    return status;
}
