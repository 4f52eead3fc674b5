/* winograd_tiles.c - tiles, and the places of transformed values. */
#include "kernels/winograd_tiles.h"

#include <inttypes.h>
#include <string.h>

#include "kernels/loops.h"

/* ---- tiles ------------------------------------------------------------------------------------------------------- */

/* Points that every tile of a direction uses. */
static int common_points(const struct winograd_split *s)
{
    return s->large_count < s->tiles ? s->points - 1 : s->points;
}

struct conv_geometry winograd_turned(const struct conv_geometry *g)
{
    struct conv_geometry t = *g;
    t.c = g->o, t.h = g->oh, t.w = g->ow;
    t.o = g->c, t.oh = g->h, t.ow = g->w;
    t.window.pad_top = g->window.kh - 1 - g->window.pad_top;
    t.window.pad_left = g->window.kw - 1 - g->window.pad_left;
    return t;
}

bool winograd_tiles_of(const struct conv_geometry *g, int points, struct winograd_tiles *t)
{
    const struct window *w = &g->window;
    memset(t, 0, sizeof *t);
    if (w->stride_h != 1 || w->stride_w != 1 || w->dilation_h != 1 || w->dilation_w != 1 || w->kh < 2 || w->kw < 2 ||
        w->kh > 5 || w->kw > 5)
        return false;
    t->r_v = w->kh;
    t->r_h = w->kw;
    if (!winograd_split_length(g->oh, w->kh, points, &t->v) || !winograd_split_length(g->ow, w->kw, points, &t->h))
        return false;
    int common_v = common_points(&t->v), common_h = common_points(&t->h);
    for (int k = 0; k < WINOGRAD_CLASSES; k++) {
        struct winograd_class *c = &t->class[k];
        bool last_v = k & 1, last_h = k & 2;
        c->first = t->positions;
        c->rows_v = last_v ? t->v.large_count : t->v.tiles;
        c->rows_h = last_h ? t->h.large_count : t->h.tiles;
        for (int p = 0; p < t->v.points; p++)
            for (int q = 0; q < t->h.points; q++)
                if ((p >= common_v) == last_v && (q >= common_h) == last_h) {
                    t->class_of[p][q] = k;
                    t->number_of[p][q] = t->positions++;
                    c->count++;
                }
    }
    return true;
}

struct winograd_values winograd_values_of(const struct winograd_tiles *t, int images, int width, int gap)
{
    struct winograd_values s = { .images = images, .width = width, .gap = gap };
    for (int k = 0; k < WINOGRAD_CLASSES; k++) {
        const struct winograd_class *c = &t->class[k];
        s.class_offset[k] = s.size;
        s.stride[k] = (int64_t)images * c->rows_v * c->rows_h * width + gap;
        s.size += c->count * s.stride[k];
    }
    return s;
}

int64_t winograd_position_offset(const struct winograd_tiles *t, const struct winograd_values *s, int p, int q)
{
    int k = t->class_of[p][q];
    return s->class_offset[k] + (t->number_of[p][q] - t->class[k].first) * s->stride[k];
}

bool winograd_row_begins(const struct winograd_tiles *t, int p)
{
    return t->class_of[p][0] != t->class_of[p - 1][0];
}

bool winograd_column_begins(const struct winograd_tiles *t, int q)
{
    return t->class_of[0][q] != t->class_of[0][q - 1];
}

/* Multiplications for one image, channel and output channel: the sum over positions of their rows. */
static int64_t winograd_products(const struct winograd_tiles *t)
{
    int64_t sum = 0;
    for (int k = 0; k < WINOGRAD_CLASSES; k++)
        sum += (int64_t)t->class[k].count * t->class[k].rows_v * t->class[k].rows_h;
    return sum;
}

void winograd_of_tiles(const struct winograd_tiles *t, struct winograd *v, struct winograd *h)
{
    *v = winograd_make(t->v.m, t->r_v, t->v.points);
    *h = winograd_make(t->h.m, t->r_h, t->h.points);
}

/* Of whichever tile rounds more: not always the largest. */
static double split_error(const struct winograd_split *s, int r)
{
    struct winograd large = winograd_make(s->m, r, s->points);
    double error = winograd_error_growth(&large);
    if (s->large_count < s->tiles) {
        struct winograd small = winograd_make(s->m - 1, r, s->points);
        double other = winograd_error_growth(&small);
        error = other > error ? other : error;
    }
    return error;
}

double winograd_tiles_error(const struct winograd_tiles *t)
{
    return split_error(&t->v, t->r_v) * split_error(&t->h, t->r_h);
}

const char *winograd_tiles_text(struct emitter *e, const struct winograd_tiles *t, const struct conv_geometry *g)
{
    return arena_printf(e->arena, "%.0f multiplications where the plain sum needs %.0f; rounding errors grow up to "
                                  "%.1f times.", (double)winograd_products(t), (double)g->taps * g->oh * g->ow,
                        winograd_tiles_error(t));
}

void winograd_emit_block(struct emitter *e, int channels, int chunk)
{
    int chunks = (channels + chunk - 1) / chunk;
    if (chunks == 1) {
        cw_line(e->w, "const int panel = b, first = 0, end = %d;", channels);
        return;
    }
    cw_line(e->w, "const int panel = b / %d, first = b %% %d * %d;", chunks, chunks, chunk);
    if (channels % chunk)
        cw_line(e->w, "const int end = first + %d < %d ? first + %d : %d;", chunk, channels, chunk, channels);
    else
        cw_line(e->w, "const int end = first + %d;", chunk);
}

bool winograd_reads_far(const struct plan *p, const struct program *q, const struct tensor *map)
{
    return plan_outlasts(q, map, p->target->l2_bytes);
}
