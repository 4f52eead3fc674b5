/* grouped_taps.c - see grouped_taps.h. */
#include "kernels/grouped_taps.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

static int direction_size(const struct grouped *g, enum direction d)
{
    return d == ROWS ? g->window.kh : g->window.kw;
}

static int direction_stride(const struct grouped *g, enum direction d)
{
    return d == ROWS ? g->window.stride_h : g->window.stride_w;
}

static int direction_dilation(const struct grouped *g, enum direction d)
{
    return d == ROWS ? g->window.dilation_h : g->window.dilation_w;
}

static int direction_before(const struct grouped *g, enum direction d)
{
    return d == ROWS ? g->window.pad_top : g->window.pad_left;
}

static int from_extent(const struct grouped *g, enum direction d)
{
    return d == ROWS ? g->from.h : g->from.w;
}

static int common_divisor(int a, int b)
{
    return b ? common_divisor(b, a % b) : a;
}

int grouped_tap_step(const struct grouped *g, enum direction d)
{
    int stride = direction_stride(g, d);
    return g->transposed ? stride / common_divisor(stride, direction_dilation(g, d)) : 1;
}

int grouped_from_step(const struct grouped *g, enum direction d)
{
    int stride = direction_stride(g, d), dilation = direction_dilation(g, d);
    return g->transposed ? -(dilation / common_divisor(stride, dilation)) : dilation;
}

/* Rows of what is read that so many of the result take. */
static int64_t rows_for(const struct grouped *g, int64_t rows)
{
    int64_t reach = (int64_t)(g->window.kh - 1) * g->window.dilation_h;
    int64_t taken = g->transposed ? (rows - 1 + reach) / g->window.stride_h + 2
                                  : (rows - 1) * g->window.stride_h + reach + 1;
    return taken < g->from.h ? taken : g->from.h;
}

/* As many rows at a time as let the copy be a quarter of the second-level cache. */
static void choose_band(const struct plan *p, struct grouped *g)
{
    int rows = g->to.h;
    while (rows > 1 && (double)(rows_for(g, rows) * g->row * p->real_size) > p->target->l2_bytes / 4)
        rows = (rows + 1) / 2;
    g->band = rows;
    g->copied = (int)rows_for(g, rows);
}

struct grouped grouped_of(const struct plan *p, const struct node *n)
{
    bool weight = n->op == OP_grouped_conv2d_weight_grad, data = n->op == OP_grouped_conv2d_data_grad;
    const struct tensor *w = weight ? n->out[0] : n->in[1], *to = weight ? n->in[1] : n->out[0];
    struct grouped g = { .from = n->in[0]->shape, .to = to->shape, .window = n->attr.window, .transposed = data,
                         .lanes = p->lanes };
    int in = param_extent(w->param, CNN_AXIS_IN), groups = (data ? g.to.c : g.from.c) / in;
    g.from_group = g.from.c / groups;
    g.to_group = g.to.c / groups;
    g.source = g.to_group % g.lanes == 0                    ? BROADCAST
               : g.from_group == 1 && g.to_group == 1 ? ONE_BY_ONE
                                                            : SPREAD;
    g.pixel = g.source == SPREAD ? (int64_t)g.from_group * g.lanes : g.from.c;
    g.row = g.from.w * g.pixel;
    g.taps = (int64_t)g.window.kh * g.window.kw;
    g.panel = g.taps * g.from_group * g.lanes;
    if (g.source == SPREAD)
        choose_band(p, &g);
    return g;
}

double grouped_fma_rate(const struct plan *p)
{
    return p->target->flops_per_cycle * 4 / (2.0 * p->target->vector_bytes);
}

int64_t grouped_copy_bytes(const struct plan *p, const struct grouped *g)
{
    return g->source == SPREAD ? g->copied * g->row * p->real_size : 0;
}

double grouped_cycles(const struct plan *p, const struct grouped *g)
{
    const struct costs *c = p->target->costs;
    double vectors = (double)((g->to.c + g->lanes - 1) / g->lanes);
    double pixels = g->transposed ? (double)g->from.h * g->from.w : (double)g->to.h * g->to.w;
    double cycles = vectors * pixels * (double)g->taps * g->from_group / grouped_fma_rate(p) * c->tile_loop;
    cycles += vectors * g->to.h * g->to.w * c->accumulator;
    if (g->source == SPREAD)
        cycles += vectors * (double)g->from.h * g->from.w * g->from_group * c->gathered * g->lanes /
                  (g->to_group < g->lanes ? g->to_group : 1) / c->instructions;
    return cycles * p->batch;
}

/* ---- columns ----------------------------------------------------------------------------------------------------- */

/* What tap k lies on for a column of the result; false: on nothing. */
static bool tap_column(const struct grouped *g, int64_t position, int k, int64_t *column)
{
    const struct window *w = &g->window;
    if (!g->transposed) {
        *column = position * w->stride_w - w->pad_left + (int64_t)k * w->dilation_w;
    } else {
        int64_t at = position + w->pad_left - (int64_t)k * w->dilation_w;
        *column = at / w->stride_w;
        if (at % w->stride_w)
            return false;
    }
    return *column >= 0 && *column < g->from.w;
}

static int by_column(const void *a, const void *b)
{
    const struct column_tap *x = a, *y = b;
    if (x->column != y->column)
        return x->column < y->column ? -1 : 1;
    return x->result != y->result ? (x->result < y->result ? -1 : 1) : (x->tap > y->tap) - (x->tap < y->tap);
}

static struct column_run one_tile(struct arena *a, const struct grouped *g, int first, int width)
{
    struct column_run r = { .first = first, .width = width, .count = 1 };
    r.taps = arena_array(a, (size_t)width * (size_t)g->window.kw, sizeof *r.taps);
    for (int t = 0; t < width; t++)
        for (int k = 0; k < g->window.kw; k++) {
            int64_t column;
            if (tap_column(g, first + t, k, &column))
                r.taps[r.taps_count++] = (struct column_tap){ (int)column, t, k };
        }
    if (!r.taps_count)
        return r;
    qsort(r.taps, (size_t)r.taps_count, sizeof *r.taps, by_column);
    r.column = r.taps[0].column;
    for (int i = 0; i < r.taps_count; i++)
        r.taps[i].column -= r.column;
    return r;
}

static bool goes_on(const struct column_run *run, const struct column_run *tile)
{
    if (run->width != tile->width || run->taps_count != tile->taps_count ||
        memcmp(run->taps, tile->taps, (size_t)run->taps_count * sizeof *run->taps) != 0)
        return false;
    return run->count == 1 || tile->column == run->column + run->count * run->advance;
}

int grouped_columns(struct arena *a, const struct grouped *g, int most, struct column_run **runs)
{
    /* the taps of a gradient lie alike from one multiple of the stride to the next */
    int unit = g->transposed && g->window.stride_w <= most ? g->window.stride_w : 1;
    int tiles = (g->to.w + most - 1) / most, width = (g->to.w + tiles - 1) / tiles, count = 0;
    width = (width + unit - 1) / unit * unit;
    if (width > most)
        width = most / unit * unit;
    *runs = arena_array(a, (size_t)(g->to.w + width - 1) / (size_t)width, sizeof **runs);
    for (int first = 0; first < g->to.w; first += width) {
        struct column_run tile = one_tile(a, g, first, g->to.w - first < width ? g->to.w - first : width);
        struct column_run *run = &(*runs)[count - 1];
        if (!count || !goes_on(run, &tile)) {
            (*runs)[count++] = tile;
            continue;
        }
        if (run->count == 1)
            run->advance = tile.column - run->column;
        run->count++;
    }
    return count;
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

static void forward_range(struct emitter *e, const struct grouped *g, enum direction d, const char *position,
                          const char *name)
{
    int size = direction_size(g, d), stride = direction_stride(g, d), dilation = direction_dilation(g, d);
    int before = direction_before(g, d), extent = from_extent(g, d);
    const char *corner = text_times(e, position, stride), *round = dilation > 1 ? text_printf(e, " + %d", dilation - 1)
        : "";
    cw_line(e->w, "const int %s_corner = %s%s;", name, corner, before ? text_printf(e, " - %d", before) : "");
    if (before)
        cw_line(e->w, "const int %s_tap = %s_corner < 0 ? %s : 0;", name, name,
                text_over(e, dilation > 1 ? text_printf(e, "(-%s_corner%s)", name, round) : text_printf(e, "-%s_corner",
                        name), dilation));
    else
        cw_line(e->w, "const int %s_tap = 0;", name);
    cw_line(e->w, "const int %s_end = %s_corner + %d < %d ? %d : %s;", name, name, (size - 1) * dilation, extent, size,
            text_over(e, dilation > 1 ? text_printf(e, "(%d - %s_corner%s)", extent, name, round)
                                      : text_printf(e, "%d - %s_corner", extent, name), dilation));
    cw_line(e->w, "const int %s_count = %s_end - %s_tap, %s_at = %s_corner + %s;", name, name, name, name, name,
            text_times(e, text_printf(e, "%s_tap", name), dilation));
}

/* dx at a position: tap k is of dy at (position + pad - k dilation) / stride, where that is whole. */
static void gradient_range(struct emitter *e, const struct grouped *g, enum direction d, const char *position,
                           const char *name)
{
    int size = direction_size(g, d), stride = direction_stride(g, d), dilation = direction_dilation(g, d);
    int before = direction_before(g, d), extent = from_extent(g, d);
    int step = grouped_tap_step(g, d), back = -grouped_from_step(g, d);
    cw_line(e->w, "const int %s_corner = %s%s;", name, position, before ? text_printf(e, " + %d", before) : "");
    if (stride == 1) {
        cw_line(e->w, "const int %s_whole = 0;", name);
    } else if (dilation == 1) {
        cw_line(e->w, "const int %s_whole = %s_corner %% %d;", name, name, stride);
    } else {
        cw_line(e->w, "int %s_whole = 0;", name);
        cw_open(e->w, "while (%s_whole < %d && (%s_corner - %s_whole * %d) %% %d != 0)", name, size, name, name,
                dilation, stride);
        cw_line(e->w, "%s_whole++;", name);
        cw_close(e->w, "");
    }
    const char *whole = text_times(e, text_printf(e, "%s_whole", name), dilation);
    const char *last = text_printf(e, "(%s_corner - %s)", name, whole);
    cw_line(e->w, "const int %s_last = %s;", name, text_over(e, last, stride));
    cw_line(e->w, "const int %s_beyond = %s_last < %d ? 0 : %s;", name, name, extent,
            text_over(e, text_printf(e, "(%s_last - %d)", name, extent - back), back));
    cw_line(e->w, "const int %s_tap = %s_whole + %s, %s_at = %s_last - %s;", name, name,
            text_times(e, text_printf(e, "%s_beyond", name), step), name, name,
            text_times(e, text_printf(e, "%s_beyond", name), back));
    cw_line(e->w, "const int %s_left = %s, %s_most = %s;", name,
            text_over(e, text_printf(e, "(%d - %s_tap)", size + step - 1, name), step), name,
            back == 1 ? text_printf(e, "%s_at + 1", name) : text_printf(e, "(%s_at + %d) / %d", name, back, back));
    cw_line(e->w, "const int %s_count = %s_left < %s_most ? %s_left : %s_most;", name, name, name, name, name);
}

void emit_tap_range(struct emitter *e, const struct grouped *g, enum direction d, const char *position,
                    const char *name)
{
    if (g->transposed)
        gradient_range(e, g, d, position, name);
    else
        forward_range(e, g, d, position, name);
}

/* ---- text -------------------------------------------------------------------------------------------------------- */

bool grouped_open_vectors(struct emitter *e, const struct grouped *g, int tail)
{
    int whole = g->to.c / g->lanes * g->lanes;
    if (tail ? !(g->to.c % g->lanes) : !whole)
        return false;
    if (tail) {
        cw_open(e->w, "{");
        cw_line(e->w, "const int j = %d;", whole);
    } else {
        loop_open(e, "j", 0, whole, g->lanes);
    }
    return true;
}

/* Whole groups lie in a vector: each of their channels goes to neighbouring lanes. */
static void spread_groups(struct emitter *e, const struct grouped *g, int tail)
{
    int used = tail ? tail : g->lanes;
    cw_open(e->w, "for (int g = 0; g < %d; g++) {", used / g->to_group);
    cw_line(e->w, "const %s value = from[%s + i];", e->plan->real, text_times(e, "g", g->from_group));
    cw_open(e->w, "for (int k = 0; k < %d; k++)", g->to_group);
    cw_line(e->w, "to[%s + k] = value;", text_times(e, "g", g->to_group));
    cw_close(e->w, "");
    cw_close(e->w, "}");
    if (used < g->lanes)
        cw_line(e->w, "memset(to + %d, 0, sizeof(%s) * %d);", used, e->plan->real, g->lanes - used);
}

const char *emit_spread(struct emitter *e, const struct grouped *g, int tail)
{
    const char *real = e->plan->real;
    bool whole = g->lanes % g->to_group == 0;
    int used = tail ? tail : g->lanes;
    emit_function(e, "const %s *x, int j, int row, int rows, %s *restrict to", real, real);
    if (whole) {
        cw_line(e->w, "const %s *from = x + (size_t)row * %d + %s;", real, g->from.w * g->from.c,
                text_times(e, text_over(e, "j", g->to_group), g->from_group));
    } else {
        cw_line(e->w, "const %s *from = x + (size_t)row * %d;", real, g->from.w * g->from.c);
        cw_line(e->w, "int channel[%d];", used);
        cw_open(e->w, "for (int k = 0; k < %d; k++)", used);
        cw_line(e->w, "channel[k] = (j + k) / %d * %d;", g->to_group, g->from_group);
        cw_close(e->w, "");
    }
    cw_open(e->w, "for (int p = 0; p < rows * %d; p++, from += %d) {", g->from.w, g->from.c);
    cw_open(e->w, "for (int i = 0; i < %d; i++, to += V_LANES) {", g->from_group);
    if (whole) {
        spread_groups(e, g, tail);
    } else {
        cw_open(e->w, "for (int k = 0; k < %d; k++)", used);
        cw_line(e->w, "to[k] = from[channel[k] + i];");
        cw_close(e->w, "");
        if (used < g->lanes)
            cw_line(e->w, "memset(to + %d, 0, sizeof(%s) * %d);", used, real, g->lanes - used);
    }
    cw_close(e->w, "}");
    cw_close(e->w, "}");
    return emit_end_shared(e, text_printf(e, "spread_%d_to_%d", g->from_group, g->to_group),
                           "Rows of x as (pixel, channel of a group, lane): in each lane the channel of its group.");
}

void emit_copy(struct emitter *e, const struct grouped *g, const char *x, const char *end, int tail)
{
    const struct window *w = &g->window;
    int reach = (w->kh - 1) * w->dilation_h;
    const char *lowest, *highest;
    if (g->transposed) {
        lowest = text_over(e, text_printf(e, "(first + %d)", w->pad_top - reach + w->stride_h - 1), w->stride_h);
        highest = text_over(e, text_printf(e, "(%s + %d)", end, w->pad_top - 1), w->stride_h);
    } else {
        lowest = text_printf(e, "%s - %d", text_times(e, "first", w->stride_h), w->pad_top);
        highest = text_printf(e, "%s + %d", text_times(e, text_printf(e, "(%s - 1)", end), w->stride_h),
                              reach - w->pad_top);
    }
    cw_line(e->w, "const int lowest = %s, highest = %s;", lowest, highest);
    cw_line(e->w, "const int low = lowest < 0 ? 0 : lowest, high = highest < %d ? highest + 1 : %d;", g->from.h,
            g->from.h);
    cw_line(e->w, "%s(%s, j, low, high - low, scratch);", emit_spread(e, g, tail), x);
}

const char *text_grouped(struct emitter *e, const struct grouped *g, const char *from, int64_t offset,
                         const char *channel, int tail)
{
    const char *at = text_printf(e, "%" PRId64, offset);
    if (g->source == ONE_BY_ONE)
        return text_load(e, from, at, tail);
    if (g->from_group > 1)
        at = text_plus(e, at, g->source == SPREAD && strcmp(channel, "0") ? text_printf(e, "%s * V_LANES", channel)
                       : channel);
    return text_printf(e, g->source == SPREAD ? "v_load(%s)" : "v_broadcast(%s)", text_plus(e, from, at));
}

const char *grouped_name(struct emitter *e, const struct grouped *g)
{
    const struct window *w = &g->window;
    const char *name = text_printf(e, "%s%dx%d", g->source == ONE_BY_ONE ? "depthwise" : "grouped", w->kh, w->kw);
    if (w->stride_h != 1 || w->stride_w != 1)
        name = text_printf(e, "%s_stride%d", name, w->stride_h);
    if (w->dilation_h != 1 || w->dilation_w != 1)
        name = text_printf(e, "%s_dilation%d", name, w->dilation_h);
    return name;
}
