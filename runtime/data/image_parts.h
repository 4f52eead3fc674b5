/* image_parts.h - what the decoders share. */
#ifndef IMAGE_PARTS_H
#define IMAGE_PARTS_H

#include "data/image.h"
#include "core/message.h"

/* The file is to blame; something else is.  Always -1. */
int rt_image_fault(struct image_fault *fault, const char *format, ...) RT_PRINTF(2, 3);
int rt_image_unfit(struct image_fault *fault, const char *format, ...) RT_PRINTF(2, 3);

/* Memory for the pixels, unless they are too many.  0, or -1 with the fault. */
int rt_image_allocate(struct image *image, uint64_t width, uint64_t height, int channels,
                      struct image_fault *fault);

/* One pixel of 8 bits a channel to what the image keeps. */
static inline void image_store(uint8_t *to, int channels, unsigned red, unsigned green,
                               unsigned blue)
{
    if (channels == 3) {
        to[0] = (uint8_t)red;
        to[1] = (uint8_t)green;
        to[2] = (uint8_t)blue;
    } else {
        /* 0.299, 0.587, 0.114 in parts of 65,536 */
        to[0] = (uint8_t)((red * 19595u + green * 38470u + blue * 7471u + 32768u) >> 16);
    }
}

/* Each decodes a whole file in memory.  orientation: as EXIF counts, 1 where nothing is said.  0,
 * or -1 with the fault; the image may then hold memory all the same. */
int rt_image_decode_png(struct image *image, const uint8_t *bytes, size_t size, int channels,
                        int *orientation, struct image_fault *fault);
int rt_image_decode_jpeg(struct image *image, const uint8_t *bytes, size_t size, int channels,
                         int *orientation, struct image_fault *fault);

/* The orientation in an EXIF block, which is a TIFF header and its first directory; 1 where there
 * is none or it makes no sense. */
int rt_exif_orientation(const uint8_t *tiff, size_t size);

#endif
