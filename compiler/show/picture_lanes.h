/* picture_lanes.h - places for a piece of a picture: items that go from one result, read by several of them, to the one
 * that joins all. */
#ifndef PICTURE_LANES_H
#define PICTURE_LANES_H

#include "show/picture.h"

enum {
    GAP = 30,                   /* from an item to the next, with a shape beside the line */
    KNOT = 20,                  /* from an item to where its line becomes several */
    FAN = 28,                   /* from there to the items */
    ROW_GAP = 44,               /* between rows of items */
    SIDE_GAP = 24,              /* between items of a row */
    PORT_GAP = 12               /* between lines that arrive at one item */
};

/* What a piece takes, seen from where its result arrives: to both sides, downwards, and where its own result leaves. */
struct extent {
    int left, right, height, exit;
};

/* Items first .. end - 1 of the list, which have their sizes; what they read from before is one result, which arrives
 * at (0, 0).  Their lines, knots and shapes are added to the list's, but for the shape of the last one. */
struct extent picture_lanes(struct arena *a, struct picture_list *list, int first, int end);

void picture_add_line(struct arena *a, struct picture_list *list, const struct point *points, int count, bool arrow,
                      bool square);
void picture_add_text(struct arena *a, struct picture_list *list, int x, int y, const char *text);

#endif
