/* picture_lanes.c - see picture_lanes.h.
 *
 * Each item has a row, below all that it reads; where a line passes a row by, it has a spot of its own there, a lane.
 * Within a row spots are ordered so that few lines cross.  Spots that follow one another upright are one strand and get
 * one x; strands begin as far to the left as they can lie and are then drawn towards what they are joined with. */
#include "show/picture_lanes.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { LANE = 7, SWEEPS = 8, ROUNDS = 100, PULLS = 40, SNAP = 14, NOTHING = -1 };

/* An item, the source, or where a lane passes a row. */
struct spot {
    int item;                   /* of the list; NOTHING: the source, or of a lane */
    bool lane;
    int row, order;
    int left, right;            /* what it takes to both sides of where its line arrives */
    int out;                    /* where its line leaves, seen from there */
    int *before, *after;        /* spots of the rows next to it; before in the order of the item's inputs */
    int before_count, after_count;
    size_t before_room, after_room;
    int lanes;                  /* its first spot of a lane, those of further rows behind it; NOTHING: none */
    int strand;
    int sum, sum_count;         /* of the sweeps */
};

/* Spots with one x; its highest and lowest, and whether there are items among them. */
struct strand {
    int x, top, bottom;
    bool items;
};

struct row {
    int *spots;
    int count;
    size_t capacity;
    int y, height;
};

struct piece {
    struct arena *arena;
    struct picture_list *list;
    int first, end;
    struct spot *spots;         /* the source, the items in their order, lanes */
    int count;
    size_t capacity;
    struct row *rows;
    int rows_count;
    struct strand *strands;
    int strands_count;
};

void picture_add_line(struct arena *a, struct picture_list *list, const struct point *points, int count, bool arrow,
                      bool square)
{
    struct picture_line line = {.arrow = arrow, .square = square};

    line.points = arena_array(a, (size_t)count, sizeof *points);
    for (int i = 0; i < count; i++) {
        const struct point *last = line.count ? &line.points[line.count - 1] : NULL;
        if (!last || last->x != points[i].x || last->y != points[i].y)
            line.points[line.count++] = points[i];
    }
    LIST_ADD(a, list->lines, list->lines_count, list->lines_capacity, line);
}

void picture_add_text(struct arena *a, struct picture_list *list, int x, int y, const char *text)
{
    struct picture_text t = {{x, y}, text};

    LIST_ADD(a, list->texts, list->texts_count, list->texts_capacity, t);
}

static int clamp(int x, int low, int high)
{
    return x < low ? low : x > high ? high : x;
}

/* ---- spots ----------------------------------------------------------------------------------- */

static int add_spot(struct piece *p, struct spot spot)
{
    spot.lanes = NOTHING;
    LIST_ADD(p->arena, p->spots, p->count, p->capacity, spot);
    return p->count - 1;
}

static void add_hop(struct piece *p, int from, int to)
{
    struct spot *f = &p->spots[from], *t = &p->spots[to];

    LIST_ADD(p->arena, f->after, f->after_count, f->after_room, to);
    LIST_ADD(p->arena, t->before, t->before_count, t->before_room, from);
}

/* The spot whose result an item of the piece reads. */
static int source_of(const struct piece *p, int input)
{
    return input < p->first ? 0 : 1 + input - p->first;
}

static void make_items(struct piece *p)
{
    add_spot(p, (struct spot){.item = NOTHING, .left = LANE, .right = LANE});
    for (int i = p->first; i < p->end; i++) {
        const struct picture_item *item = &p->list->items[i];
        struct spot spot = {.item = i, .left = item->port_in, .right = item->width - item->port_in,
                            .out = item->port_out - item->port_in};
        for (int k = 0; k < item->inputs_count; k++) {
            int below = p->spots[source_of(p, item->inputs[k])].row + 1;
            spot.row = below > spot.row ? below : spot.row;
        }
        p->rows_count = spot.row + 1 > p->rows_count ? spot.row + 1 : p->rows_count;
        add_spot(p, spot);
    }
}

/* A result that is read farther down goes there in one lane, whoever reads it. */
static void make_lanes(struct piece *p)
{
    int items = p->count, *lowest = arena_array(p->arena, (size_t)items, sizeof *lowest);

    for (int i = 1; i < items; i++) {
        const struct picture_item *item = &p->list->items[p->spots[i].item];
        for (int k = 0; k < item->inputs_count; k++) {
            int from = source_of(p, item->inputs[k]);
            lowest[from] = p->spots[i].row > lowest[from] ? p->spots[i].row : lowest[from];
        }
    }
    for (int i = 0; i < items; i++) {
        int before = i;
        for (int row = p->spots[i].row + 1; row < lowest[i]; row++) {
            int lane = add_spot(p, (struct spot){.item = NOTHING, .lane = true, .row = row, .left = LANE,
                                                  .right = LANE});
            if (before == i)
                p->spots[i].lanes = lane;
            add_hop(p, before, lane);
            before = lane;
        }
    }
    for (int i = 1; i < items; i++) {
        const struct picture_item *item = &p->list->items[p->spots[i].item];
        for (int k = 0; k < item->inputs_count; k++) {
            int from = source_of(p, item->inputs[k]), rows = p->spots[i].row - p->spots[from].row;
            add_hop(p, rows > 1 ? p->spots[from].lanes + rows - 2 : from, i);
        }
    }
}

/* ---- order ----------------------------------------------------------------------------------- */

/* What is read comes before what reads it, from left to right in the order of the inputs: then branches do not
 * cross. */
static void visit(struct piece *p, int spot)
{
    struct spot *s = &p->spots[spot];

    if (s->order != NOTHING)
        return;
    s->order = 0;
    for (int i = 0; i < s->before_count; i++)
        visit(p, s->before[i]);
    struct row *row = &p->rows[s->row];
    s->order = row->count;
    LIST_ADD(p->arena, row->spots, row->count, row->capacity, spot);
}

static int64_t crossings(const struct piece *p)
{
    int64_t count = 0;

    for (int r = 1; r < p->rows_count; r++)
        for (int i = 0; i < p->rows[r].count; i++)
            for (int j = i + 1; j < p->rows[r].count; j++) {
                const struct spot *s = &p->spots[p->rows[r].spots[i]], *t = &p->spots[p->rows[r].spots[j]];
                for (int k = 0; k < s->before_count; k++)
                    for (int l = 0; l < t->before_count; l++)
                        count += p->spots[s->before[k]].order > p->spots[t->before[l]].order;
            }
    return count;
}

/* By the mean place of what a row's spots are joined with above or below; stable. */
static void sort_row(struct piece *p, struct row *row, bool down)
{
    for (int i = 0; i < row->count; i++) {
        struct spot *s = &p->spots[row->spots[i]];
        const int *next = down ? s->before : s->after;
        s->sum_count = down ? s->before_count : s->after_count;
        s->sum = 0;
        for (int k = 0; k < s->sum_count; k++)
            s->sum += p->spots[next[k]].order;
    }
    for (int i = 1; i < row->count; i++)
        for (int j = i; j > 0; j--) {
            const struct spot *s = &p->spots[row->spots[j - 1]], *t = &p->spots[row->spots[j]];
            if (!s->sum_count || !t->sum_count || (int64_t)s->sum * t->sum_count <= (int64_t)t->sum * s->sum_count)
                break;
            int spot = row->spots[j];
            row->spots[j] = row->spots[j - 1];
            row->spots[j - 1] = spot;
        }
    for (int i = 0; i < row->count; i++)
        p->spots[row->spots[i]].order = i;
}

static void copy_order(struct piece *p, int *order, bool back)
{
    for (int i = 0; i < p->count; i++)
        if (back)
            p->spots[i].order = order[i];
        else
            order[i] = p->spots[i].order;
    for (int i = 0; back && i < p->count; i++)
        p->rows[p->spots[i].row].spots[p->spots[i].order] = i;
}

static void order_spots(struct piece *p)
{
    p->rows = arena_array(p->arena, (size_t)p->rows_count, sizeof *p->rows);
    for (int i = 0; i < p->count; i++)
        p->spots[i].order = NOTHING;
    visit(p, p->end - p->first);
    int64_t least = crossings(p), count;
    if (least == 0)
        return;
    int *best = arena_array(p->arena, (size_t)p->count, sizeof *best);
    copy_order(p, best, false);
    for (int sweep = 0; sweep < SWEEPS && least > 0; sweep++) {
        bool down = sweep % 2 == 0;
        for (int r = 1; r < p->rows_count; r++)
            sort_row(p, &p->rows[down ? r : p->rows_count - 1 - r], down);
        count = crossings(p);
        if (count < least) {
            least = count;
            copy_order(p, best, false);
        }
    }
    copy_order(p, best, true);
}

/* ---- x --------------------------------------------------------------------------------------- */

/* What a spot is joined with on that side, if it is a single one, or a single one of its kind: item or lane. */
static int only(const struct piece *p, const struct spot *s, bool down)
{
    const int *next = down ? s->after : s->before;
    int count = down ? s->after_count : s->before_count, found = NOTHING;

    if (count == 1)
        return next[0];
    for (int i = 0; i < count; i++) {
        if (p->spots[next[i]].lane != s->lane)
            continue;
        if (found != NOTHING)
            return NOTHING;
        found = next[i];
    }
    return found;
}

/* Whether two spots are of one strand. */
static bool follows(const struct piece *p, int upper, int lower)
{
    const struct spot *u = &p->spots[upper], *l = &p->spots[lower];

    return upper != 0 && lower != p->end - p->first && u->out == 0 && only(p, u, true) == lower &&
        only(p, l, false) == upper;
}

static void make_strands(struct piece *p, bool alone)
{
    p->strands = arena_array(p->arena, (size_t)p->count, sizeof *p->strands);
    p->strands_count = 0;
    for (int r = 0; r < p->rows_count; r++)
        for (int i = 0; i < p->rows[r].count; i++) {
            int spot = p->rows[r].spots[i], above = NOTHING;
            struct spot *s = &p->spots[spot];
            for (int k = 0; k < s->before_count && !alone; k++)
                if (follows(p, s->before[k], spot))
                    above = s->before[k];
            s->strand = above == NOTHING ? p->strands_count++ : p->spots[above].strand;
            struct strand *strand = &p->strands[s->strand];
            if (above == NOTHING)
                strand->top = spot;
            strand->bottom = spot;
            strand->items |= !s->lane;
        }
}

static int x_of(const struct piece *p, const struct spot *s)
{
    return p->strands[s->strand].x;
}

static int apart(const struct spot *left, const struct spot *right)
{
    return left->right + SIDE_GAP + right->left - (left->lane && right->lane ? LANE : 0);
}

/* As far to the left as they can be.  False: strands stand in a circle, or nearly. */
static bool push_left(struct piece *p)
{
    bool moved = true;

    for (int i = 0; i < p->strands_count; i++)
        p->strands[i].x = 0;
    for (int round = 0; moved && round < ROUNDS; round++) {
        moved = false;
        for (int r = 0; r < p->rows_count; r++)
            for (int i = 0; i < p->rows[r].count; i++) {
                const struct spot *s = &p->spots[p->rows[r].spots[i]];
                const struct spot *left = i ? &p->spots[p->rows[r].spots[i - 1]] : NULL;
                int least = left ? x_of(p, left) + apart(left, s) : s->left;
                if (x_of(p, s) < least) {
                    p->strands[s->strand].x = least;
                    moved = true;
                }
            }
    }
    return !moved;
}

/* The mean of where those ends are that lie in strands with items; if there are none, of all. */
static bool mean(const struct piece *p, const struct spot *s, bool down, int64_t *sum, int64_t *count)
{
    const int *next = down ? s->after : s->before;
    int total = down ? s->after_count : s->before_count;

    for (int pass = 0; pass < 2; pass++) {
        int64_t own = 0;
        int seen = 0;
        for (int i = 0; i < total; i++) {
            const struct spot *o = &p->spots[next[i]];
            if (pass == 0 && !p->strands[o->strand].items)
                continue;
            own += down ? x_of(p, o) - s->out : x_of(p, o) + o->out;
            seen++;
        }
        if (!seen)
            continue;
        *sum += own;
        *count += seen;
        return true;
    }
    return false;
}

/* Nearly straight looks like a fault: the place of an item above or below that is near to x; else x. */
static int snapped(const struct piece *p, const struct strand *strand, int x)
{
    const struct spot *top = &p->spots[strand->top], *bottom = &p->spots[strand->bottom];
    int best = x, least = SNAP + 1;

    for (int i = 0; i < top->before_count + bottom->after_count; i++) {
        bool above = i < top->before_count;
        const struct spot *o = &p->spots[above ? top->before[i] : bottom->after[i - top->before_count]];
        int at = above ? x_of(p, o) + o->out : x_of(p, o) - bottom->out;
        if (!o->lane && abs(at - x) < least) {
            least = abs(at - x);
            best = at;
        }
    }
    return best;
}

static void pull(struct piece *p, int number, bool snap)
{
    struct strand *strand = &p->strands[number];
    int low = INT_MIN, high = INT_MAX;
    int64_t sum = 0, count = 0;

    mean(p, &p->spots[strand->top], false, &sum, &count);
    mean(p, &p->spots[strand->bottom], true, &sum, &count);
    if (!count)
        return;
    for (int spot = strand->top;;) {
        const struct spot *s = &p->spots[spot];
        const struct row *row = &p->rows[s->row];
        const struct spot *left = s->order ? &p->spots[row->spots[s->order - 1]] : NULL;
        const struct spot *right = s->order + 1 < row->count ? &p->spots[row->spots[s->order + 1]] : NULL;
        int least = left ? x_of(p, left) + apart(left, s) : INT_MIN, most = right ? x_of(p, right) - apart(s, right)
            : INT_MAX;
        low = least > low ? least : low;
        high = most < high ? most : high;
        if (spot == strand->bottom)
            break;
        spot = only(p, s, true);
    }
    int x = (int)((2 * sum + count) / (2 * count));         /* all x are positive or nearly so */
    if (snap)
        x = snapped(p, strand, strand->x);
    strand->x = clamp(x, low, high);
}

/* Boxes of a strand are equally wide. */
static void widen(struct piece *p)
{
    int *width = arena_array(p->arena, (size_t)p->strands_count, sizeof *width);

    for (int pass = 0; pass < 2; pass++)
        for (int i = 1; i <= p->end - p->first; i++) {
            struct spot *s = &p->spots[i];
            struct picture_item *item = &p->list->items[s->item];
            if (item->inside)
                continue;
            width[s->strand] = item->width > width[s->strand] ? item->width : width[s->strand];
            if (pass == 0)
                continue;
            item->width = width[s->strand];
            item->port_in = item->port_out = s->left = s->right = item->width / 2;
        }
}

static void place_x(struct piece *p)
{
    make_strands(p, false);
    widen(p);
    if (!push_left(p)) {
        make_strands(p, true);
        push_left(p);
    }
    for (int i = 0; i < PULLS; i++)
        for (int k = 0; k < p->strands_count; k++)
            pull(p, i % 2 ? k : p->strands_count - 1 - k, i >= PULLS - 2);
    int source = x_of(p, &p->spots[0]);
    for (int i = 0; i < p->strands_count; i++)
        p->strands[i].x -= source;
}

/* ---- places and lines ------------------------------------------------------------------------ */

static struct extent place_items(struct piece *p)
{
    struct extent e = {LANE, LANE, KNOT + FAN, 0};

    for (int r = 1; r < p->rows_count; r++) {
        struct row *row = &p->rows[r];
        row->y = e.height;
        for (int i = 0; i < row->count; i++) {
            const struct spot *s = &p->spots[row->spots[i]];
            int x = x_of(p, s);
            e.left = s->left - x > e.left ? s->left - x : e.left;
            e.right = s->right + x > e.right ? s->right + x : e.right;
            if (s->item == NOTHING)
                continue;
            struct picture_item *item = &p->list->items[s->item];
            item->x = x - item->port_in;
            item->y = row->y;
            row->height = item->height > row->height ? item->height : row->height;
        }
        e.height = row->y + row->height + ROW_GAP;
    }
    e.height -= ROW_GAP;
    const struct spot *last = &p->spots[p->end - p->first];
    e.exit = x_of(p, last) + last->out;
    return e;
}

/* Where the lines of a spot's result part, below its shape. */
static struct point leaving(const struct piece *p, const struct spot *s)
{
    struct point at = {x_of(p, s) + s->out, KNOT};

    if (s->item != NOTHING)
        at.y = p->list->items[s->item].y + p->list->items[s->item].height + KNOT;
    else if (s->lane)
        at.y = p->rows[s->row].y + p->rows[s->row].height;
    return at;
}

/* Lines that arrive in this order between low and high go apart, from the one at `fixed` on, which has room for
 * that. */
static void spread(int *at, const int *sorted, int count, int fixed, int gap, int low, int high)
{
    for (int i = fixed + 1; i < count; i++)
        at[sorted[i]] = clamp(at[sorted[i]], at[sorted[i - 1]] + gap, high - (count - 1 - i) * gap);
    for (int i = fixed - 1; i >= 0; i--)
        at[sorted[i]] = clamp(at[sorted[i]], low + i * gap, at[sorted[i + 1]] - gap);
}

/* Where the lines arrive at an item: each as straight as it can, in the order from left to right. */
static int *ports(const struct piece *p, const struct spot *s)
{
    const struct picture_item *item = &p->list->items[s->item];
    int count = s->before_count, *at = arena_array(p->arena, (size_t)count * 2 + 1, sizeof *at), *sorted = at + count;
    int low = item->x + PORT_GAP, high = item->x + item->width - PORT_GAP, fixed = 0;
    int gap = count > 1 && (high - low) / (count - 1) < PORT_GAP ? (high - low) / (count - 1) : PORT_GAP;

    if (count == 1) {
        at[0] = item->x + item->port_in;
        return at;
    }
    for (int i = 0; i < count; i++) {
        int x = leaving(p, &p->spots[s->before[i]]).x, j = i;
        at[i] = clamp(x, low, high);
        for (; j > 0 && leaving(p, &p->spots[s->before[sorted[j - 1]]]).x > x; j--)
            sorted[j] = sorted[j - 1];
        sorted[j] = i;
    }
    for (int i = 0; i < count; i++)             /* the one in the middle stays where it is */
        if (abs(at[sorted[i]] - item->x - item->port_in) < abs(at[sorted[fixed]] - item->x - item->port_in))
            fixed = i;
    at[sorted[fixed]] = clamp(at[sorted[fixed]], low + fixed * gap, high - (count - 1 - fixed) * gap);
    spread(at, sorted, count, fixed, gap, low, high);
    return at;
}

/* To an item from the results that it reads. */
static void add_lines(struct piece *p, int spot)
{
    const struct spot *s = &p->spots[spot];
    const int *port = ports(p, s);
    struct point *points = arena_array(p->arena, 2 * (size_t)p->rows_count + 3, sizeof *points);

    for (int i = 0; i < s->before_count; i++) {
        const struct spot *from = &p->spots[s->before[i]];
        int end = 2 * p->rows_count + 3, at = end;
        points[--at] = (struct point){port[i], p->list->items[s->item].y};
        for (; from->lane; from = &p->spots[from->before[0]]) {
            points[--at] = leaving(p, from);
            points[--at] = (struct point){x_of(p, from), p->rows[from->row].y};
        }
        struct point leaves = leaving(p, from);
        int below = p->rows[from->row].y + p->rows[from->row].height;
        if (from->row > 0 && below > leaves.y)
            points[--at] = (struct point){leaves.x, below};
        points[--at] = leaves;
        if (from->item != NOTHING)
            points[--at] = (struct point){leaves.x, leaves.y - KNOT};
        picture_add_line(p->arena, p->list, points + at, end - at, true, false);
    }
}

struct extent picture_lanes(struct arena *a, struct picture_list *list, int first, int end)
{
    struct piece p = {.arena = a, .list = list, .first = first, .end = end};

    make_items(&p);
    make_lanes(&p);
    order_spots(&p);
    place_x(&p);
    struct extent e = place_items(&p);
    picture_add_line(a, list, (struct point[]){{0, 0}, {0, KNOT}}, 2, false, false);
    for (int i = 1; i <= end - first; i++) {
        add_lines(&p, i);
        const struct picture_item *item = &list->items[p.spots[i].item];
        if (i < end - first)
            picture_add_text(a, list, item->x + item->port_out + 6, item->y + item->height + 14, item->shape);
    }
    for (int i = 0; i < p.count; i++)
        if (p.spots[i].after_count > 1)
            LIST_ADD(a, list->knots, list->knots_count, list->knots_capacity, leaving(&p, &p.spots[i]));
    return e;
}
