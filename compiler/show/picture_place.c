/* picture_place.c - where boxes, lines and shapes stand: see picture.h.
 *
 * A list is cut where one result alone goes on.  A piece is mostly one item; else it is what lies between the place
 * where a result is read by several and the join of all of that.  Items of a piece stand in rows: each below all that
 * it reads.  Lines that pass rows by have a lane there.  Pieces stand under one another, and where that becomes too
 * tall for a page in several columns.  Everything is whole numbers, so that each machine draws the same. */
#include "show/picture.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "show/picture_lanes.h"

enum {
    COLUMN_GAP = 48,
    TURN = 18,                  /* a line goes on so far before it turns to the next column */
    WIDE_JOIN = 320,            /* a box is not made wider than that for the lines that arrive at it */
    TALL = 1150                 /* columns are not made for less */
};

/* ---- texts ----------------------------------------------------------------------------------- */

/* In thousandths of the size, of DejaVu Sans from the space on: the widest of the sans-serif fonts that are common. */
static const short widths[95] = {
    318, 401, 460, 838, 636, 950, 780, 275, 390, 390, 500, 838, 318, 361, 318, 337, 636, 636, 636, 636, 636, 636, 636,
        636,
    636, 636, 337, 337, 838, 838, 838, 531, 1000, 684, 686, 698, 770, 632, 575, 775, 752, 295, 295, 656, 557, 863, 748,
        787,
    603, 787, 695, 635, 611, 732, 684, 989, 685, 611, 685, 390, 337, 390, 838, 500, 500, 613, 635, 550, 635, 615, 352,
        635,
    634, 278, 278, 579, 278, 974, 634, 612, 635, 635, 411, 521, 392, 634, 592, 818, 592, 592, 525, 636, 337, 636, 838
};

int picture_text_width(const char *text, int size, bool bold)
{
    int64_t sum = 0;

    for (const unsigned char *c = (const unsigned char *)text; *c; c++)
        if ((*c & 0xC0) != 0x80)
            sum += *c >= ' ' && *c < 127 ? widths[*c - ' '] : 1000;
    return (int)((sum * size * (bold ? 113 : 100) + 99999) / 100000);
}

static int row_width(const struct picture_row *r)
{
    int width = picture_text_width(r->word, TEXT_SIZE, true) + picture_text_width(r->number, TEXT_SIZE, false) +
                picture_text_width(r->arguments, TEXT_SIZE, false);

    if (r->label)
        width += picture_text_width(r->label, TEXT_SIZE, false) + picture_text_width(": ", TEXT_SIZE, false);
    if (r->weights)
        width += 16 + picture_text_width(r->weights, SMALL_SIZE, false);
    return width;
}

static void size_box(struct picture_item *box)
{
    int width = 2 * (picture_text_width(box->shape, SMALL_SIZE, false) + 10), lines = 2 * PORT_GAP * box->inputs_count;

    width = lines > width && lines < WIDE_JOIN ? lines : width;
    for (int i = 0; i < box->rows_count; i++) {
        int row = row_width(&box->rows[i]) + 2 * BOX_SIDE;
        width = row > width ? row : width;
    }
    width = width < BOX_NARROWEST ? BOX_NARROWEST : width;
    box->width = width + width % 2;
    box->height = box->rows_count * ROW_HEIGHT + 2 * BOX_MARGIN;
    box->port_in = box->port_out = box->width / 2;
}

/* The frame around a group, its title above. */
static void size_frame(struct picture_item *group)
{
    char copies[24];
    int least = picture_text_width(group->title, SMALL_SIZE + 1, true) + 2 * FRAME_SIDE;

    if (group->copies > 1) {
        snprintf(copies, sizeof copies, "× %d", group->copies);
        least += picture_text_width(copies, TEXT_SIZE, true) + 24;
    }
    int room = 2 * (picture_text_width(group->shape, SMALL_SIZE, false) + 10);
    least = room > least ? room : least;
    int inner = group->inside->width + 2 * FRAME_SIDE, more = least > inner ? (least - inner + 1) / 2 : 0;
    group->width = inner + 2 * more;
    group->port_in = FRAME_SIDE + more + group->inside->port_in;
    group->port_out = FRAME_SIDE + more + group->inside->port_out;
    group->height = FRAME_TITLE + group->inside->height + FRAME_FOOT;
}

/* ---- pieces ---------------------------------------------------------------------------------- */

/* Items first .. end - 1, with what belongs to them in the list's lines, texts and knots. */
struct piece {
    int first, end;
    struct extent extent;
    int lines, texts, knots;    /* how many there were before */
};

struct pieces {
    struct arena *arena;
    bool inner;                 /* of a group */
    struct picture_list *list;
    struct piece *pieces;
    int count;
    size_t capacity;
};

static bool is_single(const struct pieces *p, const struct piece *piece)
{
    return piece->end == piece->first + 1 && p->list->items[piece->first].inputs_count <= 1;
}

/* Where one result alone goes on.  False: too many results go on side by side somewhere. */
static bool cut(struct pieces *p)
{
    const struct picture_list *list = p->list;
    int *last_use = arena_array(p->arena, (size_t)list->count + 1, sizeof *last_use) , waiting = 1;

    last_use++;                 /* ARRIVES is before the first */
    for (int i = 0; i < list->count; i++)
        for (int k = 0; k < list->items[i].inputs_count; k++)
            last_use[list->items[i].inputs[k]] = i;
    last_use[list->count - 1] = list->count;
    int *ends = arena_array(p->arena, (size_t)list->count + 1, sizeof *ends);   /* results last used by each item */
    for (int i = ARRIVES; i < list->count - 1; i++)
        ends[last_use[i]]++;
    struct piece piece = {0};
    for (int i = 0; i < list->count; i++) {
        waiting += 1 - ends[i];
        if (waiting > LANES_MOST)
            return false;
        if (waiting > 1)
            continue;
        piece.end = i + 1;
        LIST_ADD(p->arena, p->pieces, p->count, p->capacity, piece);
        piece.first = piece.end;
    }
    assert(piece.first == list->count);
    return true;
}

/* Boxes under one another are equally wide. */
static void widen(struct pieces *p)
{
    int width = 0;

    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < p->count; i++) {
            struct picture_item *item = &p->list->items[p->pieces[i].first];
            if (item->inside || !is_single(p, &p->pieces[i]))
                continue;
            width = item->width > width ? item->width : width;
            item->width = pass ? width : item->width;
            item->port_in = item->port_out = item->width / 2;
        }
}

static void place_single(struct pieces *p, struct piece *piece)
{
    struct picture_item *item = &p->list->items[piece->first];
    bool arrives = item->inputs_count > 0;

    item->x = -item->port_in;
    item->y = !arrives ? 0 : piece->first ? GAP : FRAME_FOOT + 4;
    piece->extent = (struct extent){item->port_in, item->width - item->port_in, item->y + item->height,
                                    item->port_out - item->port_in};
    if (arrives)
        picture_add_line(p->arena, p->list, (struct point[]){{0, 0}, {0, item->y}}, 2, true, false);
}

static void place_pieces(struct pieces *p)
{
    for (int i = 0; i < p->count; i++) {
        struct piece *piece = &p->pieces[i];
        piece->lines = p->list->lines_count;
        piece->texts = p->list->texts_count;
        piece->knots = p->list->knots_count;
        if (is_single(p, piece))
            place_single(p, piece);
        else
            piece->extent = picture_lanes(p->arena, p->list, piece->first, piece->end);
        const struct picture_item *last = &p->list->items[piece->end - 1];
        if (i + 1 < p->count && (last->inside || last->kind != PICTURE_INPUT))
            picture_add_text(p->arena, p->list, piece->extent.exit + 6, piece->extent.height + 15, last->shape);
    }
}

/* ---- columns --------------------------------------------------------------------------------- */

/* How far below which the pieces of a column may reach, if there may be so many columns at most. */
static int least_height(const struct pieces *p, int columns)
{
    int low = 0, high = 0;

    for (int i = 0; i < p->count; i++) {
        low = p->pieces[i].extent.height > low ? p->pieces[i].extent.height : low;
        high += p->pieces[i].extent.height;
    }
    while (low < high) {
        int height = low + (high - low) / 2, used = 1, sum = 0;
        for (int i = 0; i < p->count; i++) {
            sum += p->pieces[i].extent.height;
            if (sum > height) {
                used++;
                sum = p->pieces[i].extent.height;
            }
        }
        if (used <= columns)
            high = height;
        else
            low = height + 1;
    }
    return low;
}

static void shift(struct pieces *p, int piece, int x, int y)
{
    const struct piece *this = &p->pieces[piece], *next = piece + 1 < p->count ? this + 1 : NULL;
    struct picture_list *list = p->list;

    for (int i = this->first; i < this->end; i++) {
        list->items[i].x += x;
        list->items[i].y += y;
    }
    for (int i = this->lines, end = next ? next->lines : list->lines_count; i < end; i++)
        for (int k = 0; k < list->lines[i].count; k++) {
            list->lines[i].points[k].x += x;
            list->lines[i].points[k].y += y;
        }
    for (int i = this->texts, end = next ? next->texts : list->texts_count; i < end; i++) {
        list->texts[i].at.x += x;
        list->texts[i].at.y += y;
    }
    for (int i = this->knots, end = next ? next->knots : list->knots_count; i < end; i++) {
        list->knots[i].x += x;
        list->knots[i].y += y;
    }
}

struct column {
    int first, end;             /* pieces */
    int left, right, height;    /* of where its first piece's result arrives */
};

static int make_columns(const struct pieces *p, int height, struct column *columns)
{
    int count = 0, x = 0;

    for (int i = 0; i < p->count; i++) {
        const struct extent *e = &p->pieces[i].extent;
        struct column *c = count ? &columns[count - 1] : NULL;
        if (!c || c->height + e->height > height) {
            c = &columns[count++];
            *c = (struct column){.first = i};
            x = 0;
        }
        c->left = e->left - x > c->left ? e->left - x : c->left;
        c->right = e->right + x > c->right ? e->right + x : c->right;
        c->height += e->height;
        c->end = i + 1;
        x += e->exit;
    }
    return count;
}

static int total_width(const struct column *columns, int count)
{
    int width = (count - 1) * COLUMN_GAP;

    for (int i = 0; i < count; i++)
        width += columns[i].left + columns[i].right;
    return width;
}

/* Of a picture that is taller than a page as many columns as make it about as wide as it is tall. */
static int choose_columns(const struct pieces *p, struct column *columns)
{
    int count = make_columns(p, INT_MAX, columns), wished = 1;

    while (wished < p->count) {
        int height = least_height(p, wished);
        count = make_columns(p, height, columns);
        if (height <= TALL || 4 * total_width(columns, count) >= 3 * height)
            break;
        wished++;
    }
    return count;
}

static void join_columns(struct pieces *p, struct point from, struct point to, int gutter)
{
    struct point turns[] = {from, {from.x, from.y + TURN}, {gutter, from.y + TURN}, {gutter, 0}, {to.x, 0}, to};

    picture_add_line(p->arena, p->list, turns, 6, false, true);
}

static void place_columns(struct pieces *p)
{
    struct picture_list *list = p->list;
    struct column *columns = arena_array(p->arena, (size_t)p->count, sizeof *columns);
    struct point *ends = arena_array(p->arena, (size_t)p->count + 1, sizeof *ends);
    int count = choose_columns(p, columns), left = 0;

    for (int i = 0; i < count; i++) {
        const struct column *c = &columns[i];
        struct point at = {left + c->left, i ? TURN : 0};
        for (int k = c->first; k < c->end; k++) {
            shift(p, k, at.x, at.y);
            at.x += p->pieces[k].extent.exit;
            at.y += p->pieces[k].extent.height;
        }
        left += c->left + c->right + COLUMN_GAP;
        int height = at.y + (i + 1 < count ? TURN + 4 : p->inner ? 0 : FRAME_FOOT + 10);
        list->height = height > list->height ? height : list->height;
        ends[i] = at;
    }
    left = 0;
    for (int i = 0; i < count; i++) {
        if (i)
            join_columns(p, ends[i - 1], (struct point){left + columns[i].left, TURN}, left - COLUMN_GAP / 2);
        left += columns[i].left + columns[i].right + COLUMN_GAP;
    }
    list->width = left - COLUMN_GAP;
    list->port_in = columns[0].left;
    list->port_out = ends[count - 1].x;
    struct point leaves[] = {ends[count - 1], {list->port_out, list->height + FRAME_FOOT}};
    if (!p->inner) {
        leaves[1].y = leaves[0].y + FRAME_FOOT + 8;
        picture_add_text(p->arena, list, leaves[1].x + 7, leaves[1].y, list->items[list->count - 1].shape);
    }
    picture_add_line(p->arena, list, leaves, 2, !p->inner, false);
}

static bool place_list(struct arena *a, struct picture_list *list, bool inner)
{
    struct pieces p = {.arena = a, .list = list, .inner = inner};

    for (int i = 0; i < list->count; i++) {
        struct picture_item *item = &list->items[i];
        if (item->inside && !place_list(a, item->inside, true))
            return false;
        if (item->inside)
            size_frame(item);
        else
            size_box(item);
    }
    if (!cut(&p))
        return false;
    widen(&p);
    place_pieces(&p);
    place_columns(&p);
    return true;
}

bool picture_place(struct arena *a, struct picture_list *list)
{
    return place_list(a, list, false);
}
