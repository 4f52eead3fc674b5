/* image.h - pictures from PNG and JPEG files, and their resizing.
 *
 * What a file holds becomes bytes, grey or red, green and blue, the way a viewer would show it
 * upright: palettes looked up, 16 bits rounded to 8, transparent pixels laid on white, CMYK
 * multiplied out, EXIF's orientation applied.  Colour profiles and gamma are not.  A file that is
 * damaged or cut short anywhere is refused.
 */
#ifndef IMAGE_H
#define IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "common/pixel_steps.h"

struct image {
    int width, height, channels;
    uint8_t *pixels;            /* (height, width, channels), malloc'd */
};

/* Why a picture could not be had: half a sentence that follows the file's name. */
struct image_fault {
    char text[240];
    /* it is neither the file nor its name: memory was short, or the picture's size is not the network's */
    _Bool sound;
};

enum { IMAGE_PIXELS_MAX = 100000000 }; /* width x height: what claims to be larger is refused */

/* channels: 1 or 3, what the pixels shall have; grey is repeated, colour weighed (ITU-R BT.601). 0,
 * or -1 with the fault; the image is empty then.  Safe to call from several threads. */
int rt_image_read(struct image *image, const char *path, int channels, struct image_fault *fault);
int rt_image_decode(struct image *image, const void *bytes, size_t size, int channels,
                    struct image_fault *fault);
void rt_image_free(struct image *image);

/* Whether a file's name ends as those of pictures do: .png, .jpg, .jpeg, in any case. */
_Bool rt_image_name(const char *name);
/* Likewise of formats that are not read. */
_Bool rt_image_name_unread(const char *name);

/* Resizes to width x height and keeps the part at (left, top) of keep_width x keep_height in `to`
 * (keep_height, keep_width, channels).  A triangle filter as wide as the pixels of the smaller side
 * (Catmull's and Smith's two passes): averaging where it shrinks, linear between pixels where it
 * grows.  All in whole numbers, so that every machine makes the same bytes.  0, or -1 where memory
 * is short. */
struct image_window {
    int left, top, width, height;
};
int rt_image_resize(const struct image *image, int width, int height, struct image_window keep,
                    uint8_t *to);

/* The picture as a network's input of width x height.  0, or -1 with the fault. */
int rt_image_fit(const struct image *image, struct pixel_fit fit, int width, int height, uint8_t *to,
                 struct image_fault *fault);

#endif
