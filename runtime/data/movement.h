/* movement.h - a picture moved: mirrored, shifted by whole pixels, turned and enlarged. */
#ifndef MOVEMENT_H
#define MOVEMENT_H

#include "common/copies.h"
#include "data/sample.h"

/* First left and right change places, then the picture is enlarged and turned about its middle, then it moves so many
 * pixels down and to the right. */
struct movement {
    bool mirrored;
    int down, right;
    enum fill fill;
    double enlarged;            /* by this factor; 0: not, as 1 */
    double turned;              /* counter-clockwise, in radians */
};

/* Makes `to` of `from`: of one shape and kind of numbers, apart in memory.  What is turned or enlarged is interpolated
 * linearly between the four pixels around, once for all that happens to it; bytes are rounded to the nearest. */
void rt_move(const struct movement *m, const struct sample *from, struct sample *to);

#endif
