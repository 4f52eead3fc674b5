/* colours.h - brightness, contrast, saturation and hue of a picture. */
#ifndef COLOURS_H
#define COLOURS_H

#include "data/sample.h"

/* In this order: all numbers times `brightness`; away from the picture's mean grey by the factor `contrast`; away from
 * each pixel's own grey by the factor `saturation`; colours turned by `hue` of their circle.  The last two only where
 * there are three channels, red, green and blue, whose grey is 0.299 R + 0.587 G + 0.114 B; that of others is their
 * mean. */
struct colours {
    double brightness, contrast, saturation, hue;
};

/* Changes the picture in its place.  Bytes are rounded and kept in 0 to 255 once, at the end. */
void rt_colour(const struct colours *c, struct sample *s);

#endif
