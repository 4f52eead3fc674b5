/* picture.h - the network as a drawing: --graph.  picture.c makes boxes of layers, picture_place.c gives them places,
 * picture_svg.c draws them; picture_dot.c writes them for Graphviz, which places by itself. */
#ifndef PICTURE_H
#define PICTURE_H

#include <stdbool.h>
#include <stdio.h>
#include "base/arena.h"
#include "model/model.h"

/* What a box is filled by: what its first layer does. */
enum picture_kind {
    PICTURE_INPUT,
    PICTURE_WEIGHTS,            /* products with weights */
    PICTURE_VECTOR,             /* the same of vectors */
    PICTURE_SHAPE,              /* another shape without parameters: pooling, flatten */
    PICTURE_NORM,
    PICTURE_PLAIN,              /* element by element */
    PICTURE_JOIN,
    PICTURE_KINDS
};

/* A layer in its box. */
struct picture_row {
    const struct layer *layer;
    const struct layer *last;   /* the same one in the last copy, where a group stands for several; else layer */
    const char *label;          /* the user's name for it, without those of groups around; NULL: none */
    const char *word;           /* "conv2d" */
    const char *number;         /* "_7", of a layer without a name; "" where it stands for several */
    const char *arguments;      /* " 64, 3x3, relu" */
    const char *weights;        /* "1,792", or of the first and the last copy; NULL: none */
};

struct point {
    int x, y;
};

/* A line from result to reader.  Between two points that lie under each other it is straight, else it leaves and
 * arrives upright; between columns it runs along right angles. */
struct picture_line {
    struct point *points;
    int count;
    bool arrow;
    bool square;
};

struct picture_text {
    struct point at;            /* where its base line begins */
    const char *text;
};

struct picture_list;

/* A box of layers, each of which reads only the one before; or a group: a block or a round of a repeat. */
struct picture_item {
    enum picture_kind kind;
    struct picture_row *rows;
    int rows_count;
    struct picture_list *inside;        /* of a group; NULL: a box */
    const char *title;                  /* of a group; may be "" */
    int copies;                         /* of a group: so many of them stand one behind the other */
    const struct layer *result, *last_result;   /* last: of the last copy */
    const char *shape;                  /* of the result; of several copies, which differ: of the first and the last */
    int *inputs;                        /* items of the same list, ARRIVES for what the list's group gets */
    int inputs_count;
    /* picture_place.c: the upper left corner in the list, the size, where lines arrive and leave */
    int x, y, width, height, port_in, port_out;
};

enum { ARRIVES = -1 };

/* Items in an order in which each reads earlier ones; the last one's result is that of all. */
struct picture_list {
    struct picture_item *items;
    int count;
    size_t capacity;
    /* picture_place.c */
    struct picture_line *lines;
    int lines_count;
    size_t lines_capacity;
    struct picture_text *texts;         /* shapes beside the lines */
    int texts_count;
    size_t texts_capacity;
    struct point *knots;                /* where a line becomes several */
    int knots_count;
    size_t knots_capacity;
    int width, height, port_in, port_out;
};

/* Boxes and groups of the network, groups that repeat put together. */
struct picture_list *picture_of(struct arena *a, const struct model *m);
/* Places for all of them.  False: more results wait side by side than a picture can show. */
bool picture_place(struct arena *a, struct picture_list *list);
/* Pixels that a text takes at most, whatever the sans-serif font. */
int picture_text_width(const char *text, int size, bool bold);

/* The words of a layer's statement that a picture has: positional arguments, and named ones that change a shape. */
const char *picture_arguments(struct arena *a, const struct layer *l);
/* "layer1: residual 16"; "": a round of a repeat. */
const char *picture_title(struct arena *a, const struct layer_group *g);
enum picture_kind picture_kind_of(const struct layer *l);

/* The whole picture.  False: picture_place() has none. */
bool picture_svg(const struct model *m, FILE *out);
void picture_dot(const struct model *m, FILE *out);

enum { LANES_MOST = 100 };      /* results that a picture has side by side */

/* Sizes, in pixels. */
enum {
    TEXT_SIZE = 12, SMALL_SIZE = 10,
    ROW_HEIGHT = 19, BOX_MARGIN = 5, BOX_SIDE = 11, BOX_NARROWEST = 96,
    FRAME_SIDE = 12, FRAME_TITLE = 22, FRAME_FOOT = 14, STACKED = 4
};

#endif
