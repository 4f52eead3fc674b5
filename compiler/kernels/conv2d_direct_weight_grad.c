/* conv2d_direct_weight_grad.c - the gradient of a convolution's weights: register tiles whose sum runs over pixels.
 *
 * dw[kh kw c][o] = sum over images and pixels of x[pixel shifted by (kh, kw)][c] dy[pixel][o].
 *
 * The batch is cut into a fixed number of image groups.  Each has its own partial sums, added in order by a second
 * step: the same bits for any number of threads.  Where the sums are small, the step takes one image after the other,
 * group by group, and shares the loop of its neighbours: dy is still in the cache.  Where they are large, a block is a
 * group and a range of panels of output channels.
 *
 * Blocks of pixels are packed so that a tile reads two contiguous streams: x as [tile of channels][pixel][rows],
 * dy as [panel][pixel][panel].  All taps reuse them; a tap is only another first pixel.  Where there are few
 * channels (the first layer) a window's row of pixels, KW x C, is already a stretch of rows and x is read as it is.
 * So it is for 1x1 filters: with one tap packing does not pay, and an image, or all of a block, is one column of
 * pixels, taken in bands that stay in the first-level cache.
 *
 * With `precision bf16` two pixels of a row of dy are a pair of bfloat16, and so are those of x that they meet: every
 * pixel of x is packed with the one that a step of the window is away, since taps begin at any of them.  For 1x1
 * filters each two of the column of pixels are a pair, and bands are rounded as they lie. */
#include <inttypes.h>

#include "kernels/bf16.h"
#include "kernels/conv_geometry.h"
#include "kernels/loops.h"
#include "kernels/product.h"
#include "kernels/sums.h"

struct weight_grad {
    struct conv_geometry s;
    bool pairs;                 /* of bfloat16 */
    int line;                   /* of a row of dy: pixels, or pairs of them */
    bool merged;                /* rows are (kw, c), x is read where it lies */
    bool pointwise;             /* 1x1: the image as one column of pixels */
    bool pair_rows;             /* that in bfloat16: bands of x and panels of bands of dy are rounded, rows in pairs */
    bool pack_dy;
    bool by_image;              /* image by image, else by blocks of a group and range */
    bool through;               /* the images of a group are one column of pixels */
    int panels;
    int groups, ranges, range_panels;
    int row_total;              /* rows of a product: c, or kw * c */
    struct row_split rows;
    bool asks_for_x;            /* the large tiles ask for the next band of x, which lies in memory */
    int band;                   /* rows of dy in a block of pixels */
    bool banded;                /* else a block is a whole image */
    int band_h;                 /* rows of x it touches */
    int64_t tile_stride;        /* packed x: from tile to tile */
    int64_t panel_stride;       /* packed dy: from panel to panel */
    int64_t x_bytes, dy_bytes;  /* scratch */
    int64_t db_stored;
};

static int min_int(int a, int b)
{
    return a < b ? a : b;
}

/* Groups and ranges: enough blocks for the threads, but partial sums that stay small beside the caches. */
static void choose_blocks(const struct plan *p, struct weight_grad *g)
{
    int64_t bytes = g->s.weight->stored * p->real_size;
    int groups = bytes <= 300 << 10 ? 8 : bytes <= 3 << 20 ? 4 : 2;
    g->groups = min_int(groups, p->batch);
    int ranges = groups == 8 ? 1 : groups == 4 ? 2 : 4;
    g->range_panels = (g->panels + ranges - 1) / ranges;
    g->ranges = (g->panels + g->range_panels - 1) / g->range_panels;
    int even = plan_image_groups(p);
    if (g->ranges == 1 && (even >= 4 || even == p->batch)) {
        g->by_image = true;
        g->groups = even;
    }
}

/* Pixels in a band of a 1x1 filter.  Each tile of channels reads a piece of every line of x and all of a panel of dy,
 * so a band is best when x stays in the first-level cache from tile to tile and panel to panel: some dozens of pixels
 * do, and more only let what is asked for ahead push out what is still needed (measured with AVX2 on one core: 144 to
 * 24 channels, 512 pixels in a band 35 GFLOP/s, 128 43, 32 70; 32 to 192, 256 52, 64 61, 32 74).  Where a panel of the
 * sums does not stay in that cache, it comes from the second level at each band, and longer bands pay (measured with
 * AVX-512 on 13x13 pixels of 256 channels: 29 in a band 375 GFLOP/s, 57 420, all 169 455), until a panel of dy, or two
 * bands of x, leave the second level too little room. */
static int pixels_in_band(const struct plan *p, const struct weight_grad *g)
{
    enum { FEW = 32, MANY = 64 };
    int panel = g->s.weight->panel;
    if ((double)g->s.c * panel * p->real_size > p->target->l1_bytes) {
        double of_dy = p->target->l2_bytes / 16 / (panel * p->real_size);
        double of_x = p->target->l2_bytes / 4 / ((double)g->s.c * p->real_size);
        return (int)(of_dy < of_x ? of_dy : of_x > FEW ? of_x : FEW);
    }
    double pixels = p->target->l1_bytes * 3 / 4 / ((double)(g->s.c + panel) * p->real_size);
    return pixels < FEW ? FEW : pixels > MANY ? MANY : (int)pixels;
}

static struct weight_grad weight_grad_of(const struct plan *p, const struct node *n, bool pairs)
{
    struct weight_grad g = { .s = conv_geometry_of(p, n), .pairs = pairs };
    const struct window *w = &g.s.window;
    int panel = g.s.weight->panel;
    g.panels = (g.s.o + panel - 1) / panel;
    g.pointwise = g.s.taps == 1 && w->stride_h == 1 && w->stride_w == 1 && !g.s.padded;
    g.pair_rows = g.pointwise && pairs;
    if (g.pointwise) {
        g.s.h = g.s.ph = g.s.oh = g.s.oh * g.s.ow;
        g.s.w = g.s.pw = g.s.ow = 1;
    }
    g.line = pairs && !g.pointwise ? (int)bf16_pairs_of(g.s.ow) : g.s.ow;
    g.merged = g.pointwise || (!pairs && w->dilation_w == 1 && g.s.c <= p->lanes &&
                               (int64_t)g.s.c * w->kw <= 4 * p->lanes);
    choose_blocks(p, &g);
    g.row_total = g.merged ? g.s.c * w->kw : g.s.c;
    g.rows = split_rows(g.row_total, tile_rows_max(p, panel / p->lanes));
    g.asks_for_x = g.merged && w->kh == 1 && !g.s.padded && g.rows.large_count > 1 && !pairs;
    g.db_stored = plan_round(g.s.o, p->lanes);
    g.pack_dy = pairs || (!g.merged && g.s.o != panel);
    /* a band of rows whose packed pixels take about half of the second-level cache */
    g.band = g.s.oh;
    g.through = g.pointwise && !g.by_image;
    if (g.pointwise)
        g.band = split_rows((int64_t)g.s.oh * (g.through ? (p->batch + g.groups - 1) / g.groups : 1),
                            pixels_in_band(p, &g) * (pairs ? 2 : 1)).large;
    if (g.pair_rows) {
        g.band += g.band % 2;
        g.x_bytes = plan_round(g.band / 2 * (int64_t)g.s.c * p->real_size, 64);
        g.dy_bytes = g.band / 2 * (int64_t)panel * p->real_size;
    }
    while (!g.merged) {
        g.band_h = (g.band - 1) * w->stride_h + (w->kh - 1) * w->dilation_h + 1;
        g.tile_stride = (int64_t)g.band_h * g.s.pw;
        g.panel_stride = (int64_t)g.band * g.line * panel;
        g.x_bytes = plan_round((g.tile_stride * g.s.c + (int64_t)(g.rows.large_count + g.rows.small_count + 1) *
                                p->lanes + 16 * p->lanes) * p->real_size, 64);
        g.dy_bytes = g.pack_dy ? g.panel_stride * g.range_panels * p->real_size : 0;
        if (g.band == 1 || (double)(g.x_bytes + g.dy_bytes) < p->target->l2_bytes / 2)
            break;
        g.band = (g.band + 1) / 2;
    }
    g.banded = g.through || g.band != g.s.oh;
    if (g.merged && g.s.padded)
        g.x_bytes = plan_round((int64_t)g.s.ph * g.s.pw * g.s.c * p->real_size, 64);
    return g;
}

enum { PAIR = 2 };              /* pixels of a factor: the number of the kernel of bfloat16 */

static struct weight_grad weight_grad_of_group(const struct plan *p, const struct group *g)
{
    return weight_grad_of(p, g->main, g->kernel->number == PAIR);
}

static double cost_of(const struct plan *p, const struct weight_grad *g)
{
    struct weight_grad d = *g;
    int64_t pixels = (int64_t)d.s.oh * d.line * p->batch / (d.pair_rows ? 2 : 1);
    int64_t rows = (int64_t)d.row_total * (d.merged ? d.s.window.kh : d.s.taps);
    double cycles = (d.pairs ? product_pairs_cycles : product_cycles)(p, d.s.o, d.s.weight->panel, rows, d.row_total,
                                                                      pixels);
    double packed = (double)d.s.ph * d.s.pw * d.s.c * d.ranges + (double)d.s.oh * d.s.ow * d.s.o;
    double pack = d.merged && !d.pair_rows ? 0 : packed * p->batch * p->real_size * 2 / p->target->costs->copy_rate;
    double bytes = 2.0 * d.groups * (double)d.s.weight->stored * p->real_size;
    double reduce = d.groups > 1 ? bytes / p->target->costs->second_rate : 0;
    return cycles + pack + reduce;
}

/* Sums of `elements`, a row for each group; `range` elements of it in each range of a group.  NULL: there is one group,
 * whose sums are the gradient itself. */
static void plan_sums(struct plan *p, const struct weight_grad *d, struct step *sum, const struct buffer *partial,
                      const struct tensor *gradient, int64_t elements, int64_t range)
{
    if (d->by_image && partial)
        step_uses_cleared(p, sum, partial, elements);
    else if (d->by_image)
        step_takes_cleared(p, sum, gradient, elements);
    else if (partial)
        step_uses_part(p, sum, ACCESS_WRITE, partial,
                       (struct part){ { { .count = d->groups, .step = elements, .piece = 1, .over = d->ranges },
                                        { .count = elements, .step = 1, .piece = range, .over = 1 } } });
    else
        step_takes_part(p, sum, ACCESS_WRITE, gradient, part_runs(elements, range));
}

/* The rows of all groups. */
static struct buffer *partial_buffer(struct plan *p, struct program *q, const struct weight_grad *d,
                                     const struct tensor *gradient, int64_t elements)
{
    return plan_buffer(p, q, arena_printf(p->arena, "%s_partial", gradient->name), p->real,
                       d->groups * elements * p->real_size);
}

static void plan(struct plan *p, struct program *q, struct group *g)
{
    struct weight_grad d = weight_grad_of_group(p, g);
    struct step *sum = plan_step(p, q, g, 0, d.by_image ? SPLIT_IMAGES : SPLIT_BLOCKS, (int64_t)d.groups * d.ranges,
                                 "weight gradient", 2 * d.s.k * d.s.o * d.s.oh * d.s.ow * p->batch);
    sum->groups = d.by_image ? d.groups : 0;
    const struct tensor *dw = g->main->out[0], *db = g->companion ? g->companion->out[0] : NULL;
    int64_t stored = d.s.weight->stored, chunks = (stored + SUMS_CHUNK - 1) / SUMS_CHUNK;
    struct step *reduce = d.groups > 1 ? plan_step(p, q, g, 1, SPLIT_BLOCKS, chunks, "weight gradient", 0) : NULL;
    struct buffer *partial = reduce ? partial_buffer(p, q, &d, dw, stored) : NULL;
    struct buffer *bias_partial = reduce && db ? partial_buffer(p, q, &d, db, d.db_stored) : NULL;
    if (!d.by_image) {
        step_is_told(p, sum, ARGUMENT_BLOCK);
        step_is_told(p, sum, ARGUMENT_SAMPLES);
    }
    step_takes(p, sum, ACCESS_READ, g->main->in[0]);
    step_takes(p, sum, ACCESS_READ, g->main->in[1]);
    plan_sums(p, &d, sum, partial, dw, stored, d.range_panels * d.s.k * d.s.weight->panel);
    if (db)
        plan_sums(p, &d, sum, bias_partial, db, d.db_stored, d.range_panels * d.s.weight->panel);
    if (d.x_bytes + d.dy_bytes)
        step_scratch(p, sum, d.x_bytes + d.dy_bytes);
    if (d.asks_for_x)
        sum->prefetch = "the next band of x";
    if (!reduce)
        return;
    step_is_told(p, reduce, ARGUMENT_BLOCK);
    step_uses(p, reduce, ACCESS_READ, partial, TOUCH_ALL);
    step_takes_part(p, reduce, ACCESS_WRITE, dw, part_runs(stored, SUMS_CHUNK));
    if (db) {
        step_uses(p, reduce, ACCESS_READ, bias_partial, TOUCH_ALL);
        step_takes_in(p, reduce, ACCESS_WRITE, db, TOUCH_FIRST);
    }
}

/* ---- the products of one panel ----------------------------------------------------------------------------------- */

/* Of names of functions. */
static const char *bf16_suffix(const struct weight_grad *g)
{
    return g->pairs ? "_bf16" : "";
}

/* " + 12", " + t * 12", or nothing. */
static const char *plus_text(struct emitter *e, int64_t offset)
{
    return offset ? arena_printf(e->arena, " + %" PRId64, offset) : "";
}

static const char *times_text(struct emitter *e, const char *variable, int64_t factor)
{
    return variable ? arena_printf(e->arena, " + %s * %" PRId64, variable, factor) : "";
}

/* While a band of x is multiplied, the next one comes: each tile of each panel asks for its share.  A map that lies in
 * memory is read once only, and in runs too short for the processor to guess (measured on 1x1 filters: 340 -> 455
 * GFLOP/s). */
static void emit_prefetch(struct emitter *e, const struct weight_grad *g, int64_t row, int tiles)
{
    int line = 64 / e->plan->real_size;
    const char *first = g->range_panels > 1 ? text_times(e, arena_printf(e->arena, "(panel * %d + t)", tiles), line)
                                            : text_times(e, "t", line);
    cw_open(e->w, "for (int i = %s; i < rows * %" PRId64 "; i += %d)", first, row, g->range_panels * tiles * line);
    cw_line(e->w, "v_prefetch(x + rows * %" PRId64 " + i);", row);
    cw_close(e->w, "");
}

/* One call for each tap and tile of rows; count: blocks of `outer` are the rows of the band. */
static void emit_row_tiles(struct emitter *e, const struct weight_grad *g, struct tile *t, int rows, int count,
                           int first_tile)
{
    if (!count)
        return;
    const struct window *w = &g->s.window;
    int panel = g->s.weight->panel;
    t->rows = rows;
    int first_row = first_tile * g->rows.large;
    bool prefetch = g->asks_for_x && first_tile == 0;
    if (!g->merged) {
        t->a_k = (int64_t)w->stride_w * rows * (g->pairs ? 2 : 1);
        t->a_outer = (int64_t)w->stride_h * g->s.pw * rows;
    }
    const char *name = emit_tile(e, t);
    const char *tile = count > 1 ? "t" : NULL;
    if (count > 1)
        cw_open(e->w, "for (int t = 0; t < %d; t++)%s", count, prefetch ? " {" : "");
    if (prefetch)
        emit_prefetch(e, g, t->a_outer, count);
    const char *a, *c;
    if (g->merged) {
        a = arena_printf(e->arena, "x + kh * %d", w->dilation_h * (int)t->a_outer / w->stride_h);
        c = arena_printf(e->arena, "dw + kh * %d", g->row_total * panel);
        if (first_row) {
            a = arena_printf(e->arena, "%s + %d", a, first_row);
            c = arena_printf(e->arena, "%s + %d", c, first_row * panel);
        }
        if (count > 1) {
            a = arena_printf(e->arena, "%s + t * %d", a, rows);
            c = arena_printf(e->arena, "%s + t * %d", c, rows * panel);
        }
    } else {
        /* tiles of `large` rows come first, each followed by room for a vector */
        int64_t stride = g->tile_stride * rows + e->plan->lanes;
        int64_t before = first_tile * (g->tile_stride * g->rows.large + e->plan->lanes);
        a = arena_printf(e->arena, "x + pixel * %d%s%s", rows, plus_text(e, before), times_text(e, tile, stride));
        c = arena_printf(e->arena, "dw + (tap * %d%s%s) * %d", g->s.c, plus_text(e, first_row),
                         times_text(e, tile, rows), panel);
    }
    cw_line(e->w, "%s(%s, dy, %s, rows);", name, a, c);
    if (count > 1)
        cw_close(e->w, prefetch ? "}" : "");
}

/* The C type of what is multiplied. */
static const char *factor_type(const struct emitter *e, const struct weight_grad *g)
{
    return g->pairs ? "bf16_pair" : e->plan->real;
}

static const char *emit_panel(struct emitter *e, const struct weight_grad *g, int vectors, int tail)
{
    const char *real = e->plan->real, *factor = factor_type(e, g);
    const struct window *w = &g->s.window;
    int panel = g->s.weight->panel;
    struct tile t = { .vectors = vectors, .segments = 1, .outer = true, .accumulate = true, .depth = g->line,
                      .c_row = panel, .pairs = g->pairs };
    t.b_k = g->pack_dy ? panel : g->s.o;
    t.b_outer = g->line * t.b_k;
    if (g->merged) {
        t.tail = t.b_k == panel && g->s.o % panel == 0 ? 0 : tail;
        t.b_tail = t.tail != 0;
        t.a_row = 1;
        t.a_k = (int64_t)w->stride_w * g->s.c;
        t.a_outer = (int64_t)w->stride_h * (g->s.padded ? g->s.pw : g->s.w) * g->s.c;
    } else {
        t.a_row = 1;
    }
    emit_function(e, "int rows, %sconst %s *x, const %s *dy, %s *restrict dw",
                  g->asks_for_x && g->range_panels > 1 ? "int panel, " : "", factor, factor, real);
    if (g->merged) {
        loop_open(e, "kh", 0, w->kh, 1);
    } else {
        loop_open(e, "tap", 0, g->s.taps, 1);
        if (w->kw == 1)
            cw_line(e->w, "const int pixel = tap * %d;", w->dilation_h * g->s.pw);
        else
            cw_line(e->w, "const int pixel = tap / %d * %d + %s;", w->kw, w->dilation_h * g->s.pw,
                    text_times(e, arena_printf(e->arena, "tap %% %d", w->kw), w->dilation_w));
    }
    emit_row_tiles(e, g, &t, g->rows.large, g->rows.large_count, 0);
    emit_row_tiles(e, g, &t, g->rows.large - 1, g->rows.small_count, g->rows.large_count);
    cw_close(e->w, "}");
    return emit_end(e, arena_printf(e->arena, "weight_grad_panel%s_%dx%dx%d_%d", bf16_suffix(g), g->s.c, w->kh, w->kw,
                                    vectors),
                    "One panel of a weight gradient over `rows` rows of pixels: every tap and tile of channels.");
}

/* ---- packing ----------------------------------------------------------------------------------------------------- */

static void emit_pack_tiles(struct emitter *e, const struct weight_grad *g, int rows, int count, int first_tile)
{
    if (!count)
        return;
    int lanes = e->plan->lanes;
    int64_t stride = g->tile_stride * rows + lanes;
    int64_t before = first_tile * (g->tile_stride * g->rows.large + lanes);
    int first = first_tile * g->rows.large;
    loop_open(e, "t", 0, count, 1);
    for (int at = 0; at < rows; at += lanes) {
        const char *value = arena_printf(e->arena, "v_load(from + %d + t * %d)", first + at, rows);
        if (g->pairs)
            value = arena_printf(e->arena, "v_pair(%s, v_load(next + %d + t * %d))", value, first + at, rows);
        cw_line(e->w, "v_store(to + %" PRId64 " + t * %" PRId64 " + pixel * %d, %s);", before + at, stride, rows,
                value);
    }
    cw_close(e->w, "}");
}

/* x of rows [row, row + count) and columns with their zeros, as [tile][pixel][rows of the tile].  Whole vectors are
 * stored: what a store writes too much the next pixel overwrites, and between tiles there is room. */
static const char *emit_pack_x(struct emitter *e, const struct weight_grad *g)
{
    const char *real = e->plan->real;
    int lanes = e->plan->lanes, c = g->s.c;
    const struct window *w = &g->s.window;
    bool checked = g->s.padded;
    emit_function(e, "int row, int count, const %s *x, %s *restrict to", real, factor_type(e, g));
    if (checked || g->pairs)
        cw_line(e->w, "static const %s zeros[%" PRId64 "];", real, plan_round(c, lanes) + lanes);
    cw_open(e->w, "for (int pixel = 0; pixel < count * %d; pixel++) {", g->s.pw);
    if (checked) {
        const char *top = w->pad_top ? arena_printf(e->arena, " - %d", w->pad_top) : "",
                   *left = w->pad_left ? arena_printf(e->arena, " - %d", w->pad_left) : "";
        cw_line(e->w, "const int h = row + pixel / %d%s, w = pixel %% %d%s;", g->s.pw, top, g->s.pw, left);
        cw_line(e->w, "const bool inside = h >= 0 && h < %d && w >= 0 && w < %d;", g->s.h, g->s.w);
        cw_line(e->w, "const %s *const from = inside ? x + (h * %d + w) * %d : zeros;", real, g->s.w, c);
        if (g->pairs)
            cw_line(e->w, "const bool follows = h >= 0 && h < %d && w >= %d && w < %d;", g->s.h, -w->stride_w,
                    g->s.w - w->stride_w);
    } else if (g->s.pw == g->s.w) {
        cw_line(e->w, "const %s *const from = x + (row * %d + pixel) * %d;", real, g->s.w, c);
    } else {
        cw_line(e->w, "const %s *const from = x + ((row + pixel / %d) * %d + pixel %% %d) * %d;", real, g->s.pw,
                g->s.w, g->s.pw, c);
    }
    if (g->pairs && !checked)
        cw_line(e->w, "const bool follows = pixel %% %d < %d;", g->s.pw, g->s.w - w->stride_w);
    if (g->pairs && checked)
        cw_line(e->w, "const %s *const next = follows ? x + (h * %d + w + %d) * %d : zeros;", real, g->s.w, w->stride_w,
                c);
    else if (g->pairs)
        cw_line(e->w, "const %s *const next = follows ? from + %d : zeros;", real, w->stride_w * c);
    emit_pack_tiles(e, g, g->rows.large, g->rows.large_count, 0);
    emit_pack_tiles(e, g, g->rows.large - 1, g->rows.small_count, g->rows.large_count);
    cw_close(e->w, "}");
    return emit_end(e, arena_printf(e->arena, "pack_x%s_%dx%dx%d", bf16_suffix(g), c, g->s.h, g->s.w),
                    g->pairs ? "Rows of x as (tile of channels, pixel, channel) for the weight gradient, each pixel in a pair of "
                               "bfloat16 with the one that meets the next of dy."
                             : "Rows of x as (tile of channels, pixel, channel) for the weight gradient.");
}

/* One panel of dy, `pixels` of them; missing channels become zeros. */
static const char *emit_pack_dy(struct emitter *e, const struct weight_grad *g, int vectors, int tail)
{
    const char *real = e->plan->real;
    int lanes = e->plan->lanes, panel = g->s.weight->panel;
    emit_function(e, "int pixels, const %s *dy, %s *restrict to", real, real);
    cw_open(e->w, "for (int i = 0; i < pixels; i++) {");
    for (int j = 0; j < vectors; j++) {
        const char *at = j ? arena_printf(e->arena, " + %d", j * lanes) : "";
        if (tail && j == vectors - 1)
            cw_line(e->w, "v_store(to + i * %d%s, v_load_tail(dy + i * %d%s, %d));", panel, at, g->s.o, at, tail);
        else
            cw_line(e->w, "v_store(to + i * %d%s, v_load(dy + i * %d%s));", panel, at, g->s.o, at);
    }
    cw_close(e->w, "}");
    return emit_end(e, arena_printf(e->arena, "pack_dy_%d_of_%d", vectors * lanes, g->s.o),
                    "One panel of dy, dense.");
}

/* A row's number j in a panel of dy: of pixel `at` of row r; tail 0: all lanes. */
static const char *dy_text(struct emitter *e, const struct weight_grad *g, const char *at, int j, int tail)
{
    const char *from = arena_printf(e->arena, "dy + (r * %d + %s) * %d%s", g->s.ow, at, g->s.o,
                                    text_offset(e, j * e->plan->lanes));
    return tail ? arena_printf(e->arena, "v_load_tail(%s, %d)", from, tail) : arena_printf(e->arena, "v_load(%s)",
            from);
}

/* One panel of dy, so many rows, as pairs of pixels; where a row's last pixel has no partner that is 0, and so are
 * missing channels. */
static const char *emit_pair_dy(struct emitter *e, const struct weight_grad *g, int vectors, int tail)
{
    int lanes = e->plan->lanes, panel = g->s.weight->panel, whole = g->s.ow / 2;
    emit_function(e, "int rows, const %s *dy, bf16_pair *restrict to", e->plan->real);
    cw_open(e->w, "for (int r = 0; r < rows; r++) {");
    for (int odd = whole ? 0 : 1; odd <= g->s.ow % 2; odd++) {
        if (!odd)
            loop_open(e, "i", 0, whole, 1);
        for (int j = 0; j < vectors; j++) {
            int in_use = j == vectors - 1 ? tail : 0;
            const char *first = dy_text(e, g, odd ? arena_printf(e->arena, "%d", 2 * whole) : "2 * i", j, in_use);
            const char *second = odd ? "v_zero()" : dy_text(e, g, "2 * i + 1", j, in_use);
            const char *at = odd ? arena_printf(e->arena, "%d", whole) : "i";
            cw_line(e->w, "v_store(to + (r * %d + %s) * %d%s, v_pair(%s, %s));", g->line, at, panel,
                    text_offset(e, j * lanes), first, second);
        }
        if (!odd)
            cw_close(e->w, "}");
    }
    cw_close(e->w, "}");
    return emit_end(e, arena_printf(e->arena, "pair_dy_%d_of_%d", vectors * lanes, g->s.o),
                    "One panel of dy, dense, as pairs of pixels in bfloat16.");
}

/* The same of a column of pixels. */
static const char *emit_pair_rows(struct emitter *e, const struct weight_grad *g, int vectors, int tail)
{
    int lanes = e->plan->lanes, panel = g->s.weight->panel;
    emit_function(e, "int rows, const %s *dy, bf16_pair *restrict to", e->plan->real);
    for (int odd = 0; odd < 2; odd++) {
        if (odd)
            cw_open(e->w, "if (rows %% 2)%s", vectors > 1 ? " {" : "");
        else
            cw_open(e->w, "for (int i = 0; i < rows / 2; i++)%s", vectors > 1 ? " {" : "");
        for (int j = 0; j < vectors; j++) {
            int in_use = j == vectors - 1 ? tail : 0;
            const char *row = odd ? "rows - 1" : "2 * i";
            const char *first = text_load(e, "dy", arena_printf(e->arena, "(%s) * %d%s", row, g->s.o,
                                                                text_offset(e, j * lanes)), in_use);
            const char *second = text_load(e, "dy", arena_printf(e->arena, "(2 * i + 1) * %d%s", g->s.o,
                                                                 text_offset(e, j * lanes)), in_use);
            if (odd)
                second = "v_zero()";
            cw_line(e->w, "v_store(to + %s * %d%s, v_pair(%s, %s));", odd ? "rows / 2" : "i", panel,
                    text_offset(e, j * lanes), first, second);
        }
        cw_close(e->w, vectors > 1 ? "}" : "");
    }
    return emit_end(e, arena_printf(e->arena, "pair_rows_%d_of_%d", vectors * lanes, g->s.o),
                    "One panel of dy, dense, each two pixels a pair in bfloat16.");
}

/* Pixels that are added one after the other: rounding grows with their number and with that of the runs, not with that
 * of all pixels, which are often nearly equal and err to the same side then. */
enum { BIAS_RUN = 32 };

/* db += the sum of one panel of dy over pixels. */
static const char *emit_bias(struct emitter *e, const struct weight_grad *g, int vectors, int tail)
{
    const char *real = e->plan->real;
    int lanes = e->plan->lanes;
    emit_function(e, "int pixels, const %s *dy, %s *restrict db", real, real);
    for (int j = 0; j < vectors; j++)
        cw_line(e->w, "v sum%d = v_load(db%s);", j, text_offset(e, j * lanes));
    cw_open(e->w, "for (int from = 0; from < pixels; from += %d) {", BIAS_RUN);
    cw_line(e->w, "const int end = from + %d < pixels ? from + %d : pixels;", BIAS_RUN, BIAS_RUN);
    for (int j = 0; j < vectors; j++)
        cw_line(e->w, "v run%d = v_zero();", j);
    cw_open(e->w, "for (int i = from; i < end; i++) {");
    for (int j = 0; j < vectors; j++) {
        if (tail && j == vectors - 1)
            cw_line(e->w, "run%d = v_add(run%d, v_load_tail(dy + i * %d%s, %d));", j, j, g->s.o,
                    text_offset(e, j * lanes), tail);
        else
            cw_line(e->w, "run%d = v_add(run%d, v_load(dy + i * %d%s));", j, j, g->s.o, text_offset(e, j * lanes));
    }
    cw_close(e->w, "}");
    for (int j = 0; j < vectors; j++)
        cw_line(e->w, "sum%d = v_add(sum%d, run%d);", j, j, j);
    cw_close(e->w, "}");
    for (int j = 0; j < vectors; j++)
        cw_line(e->w, "v_store(db%s, sum%d);", text_offset(e, j * lanes), j);
    return emit_end(e, arena_printf(e->arena, "bias_grad_panel_%d_of_%d", vectors * lanes, g->s.o),
                    "One panel of a bias gradient.");
}

/* ---- one block: an image group and a range of panels ------------------------------------------------------------- */

struct panel_functions {
    const char *product, *pack_dy, *bias;
};

static struct panel_functions panel_functions_of(struct emitter *e, const struct weight_grad *g, bool bias, int vectors,
                                                 int tail)
{
    struct panel_functions f = { .product = emit_panel(e, g, vectors, tail) };
    if (g->pack_dy)
        f.pack_dy = (g->pair_rows ? emit_pair_rows : g->pairs ? emit_pair_dy : emit_pack_dy)(e, g, vectors, tail);
    if (bias)
        f.bias = emit_bias(e, g, vectors, tail);
    return f;
}

/* The work of panel `p` on one band of rows. */
static void emit_panel_calls(struct emitter *e, const struct weight_grad *g, const struct panel_functions *f)
{
    int panel = g->s.weight->panel;
    const char *dy = arena_printf(e->arena, "dy_band + p * %d", panel);
    const char *pixels = g->s.ow == 1 ? "rows" : arena_printf(e->arena, "rows * %d", g->s.ow);
    if (f->bias)
        cw_line(e->w, "%s(%s, %s, db + p * %d);", f->bias, pixels, dy, panel);
    if (f->pack_dy)
        cw_line(e->w, "%s(%s, %s, packed_dy);", f->pack_dy, g->pairs ? "rows" : pixels, dy);
    const char *x = !g->merged ? "packed_x" : g->pair_rows ? "x_pairs" : !g->banded ? "x_image" : "x_band";
    const char *number = !g->asks_for_x || g->range_panels == 1 ? ""
                         : g->ranges == 1 ? "p, " : arena_printf(e->arena, "p - range * %d, ", g->range_panels);
    cw_line(e->w, "%s(%s, %s%s, %s, dw + p * %" PRId64 ");", f->product,
            g->pair_rows ? "(rows + 1) / 2" : "rows", number, x,
            f->pack_dy ? "packed_dy" : dy, g->s.k * panel);
}

static void emit_panels(struct emitter *e, const struct weight_grad *g, const struct panel_functions *whole,
                        const struct panel_functions *last, const struct panels *s)
{
    if (g->ranges > 1)
        cw_open(e->w, "for (int p = range * %d; p < %d && p < (range + 1) * %d; p++) {", g->range_panels, g->panels,
                g->range_panels);
    else
        loop_open(e, "p", 0, g->panels, 1);
    if (s->whole && s->last_vectors) {
        cw_open(e->w, "if (p < %d) {", s->whole);
        emit_panel_calls(e, g, whole);
        cw_middle(e->w, "} else {");
        emit_panel_calls(e, g, last);
        cw_close(e->w, "}");
    } else {
        emit_panel_calls(e, g, s->whole ? whole : last);
    }
    cw_close(e->w, "}");
}

static void emit_bands(struct emitter *e, const struct weight_grad *g, const char *pack_x)
{
    const char *real = e->plan->real;
    const struct window *w = &g->s.window;
    int64_t row = (int64_t)g->s.ow * g->s.o;
    if (!g->banded) {
        cw_line(e->w, "const int rows = %d;", g->s.oh);
        cw_line(e->w, "const %s *const dy_band = dy_image;", real);
    } else {
        const char *all = g->through ? "pixels" : arena_printf(e->arena, "%d", g->s.oh);
        const char *at = g->through ? "(size_t)first_row" : "first_row";
        cw_open(e->w, "for (int first_row = 0; first_row < %s; first_row += %d) {", all, g->band);
        cw_line(e->w, "const int rows = %s - first_row < %d ? %s - first_row : %d;", all, g->band, all, g->band);
        cw_line(e->w, "const %s *const dy_band = dy_image + %s * %" PRId64 ";", real, at, row);
        if (g->merged)
            cw_line(e->w, "const %s *const x_band = x_image + %s * %d;", real, at, w->stride_h * g->s.w * g->s.c);
    }
    if (g->pair_rows)
        cw_line(e->w, "bf16_rows(%s, %d, x_pairs, rows, %d);", g->banded ? "x_band" : "x_image", g->s.c, g->s.c);
    if (pack_x)
        cw_line(e->w, "%s(%s, %s + %d, x_image, packed_x);", pack_x,
                !g->banded ? "0" : w->stride_h == 1 ? "first_row"
                                     : arena_printf(e->arena, "first_row * %d", w->stride_h),
                w->stride_h == 1 ? "rows - 1" : arena_printf(e->arena, "(rows - 1) * %d", w->stride_h),
                (w->kh - 1) * w->dilation_h + 1);
}

static void emit_block_head(struct emitter *e, const struct weight_grad *g, bool bias)
{
    const char *real = e->plan->real;
    int panel = g->s.weight->panel;
    int64_t bytes = (int64_t)g->range_panels * g->s.k * panel;
    if (g->ranges > 1)
        cw_line(e->w, "const int group = b / %d, range = b %% %d;", g->ranges, g->ranges);
    else
        cw_line(e->w, "const int group = b;");
    cw_line(e->w, "const int first = %s, end = %s;", text_over(e, "group * n", g->groups),
            text_over(e, "(group + 1) * n", g->groups));
    if (g->groups > 1) {
        cw_line(e->w, "dw += (size_t)group * %" PRId64 ";", g->s.weight->stored);
        if (bias)
            cw_line(e->w, "db += group * %" PRId64 ";", g->db_stored);
    }
    if (g->ranges == 1) {
        cw_line(e->w, "memset(dw, 0, sizeof(%s) * %" PRId64 ");", real, g->s.weight->stored);
        if (bias)
            cw_line(e->w, "memset(db, 0, sizeof(%s) * %" PRId64 ");", real, g->db_stored);
        return;
    }
    int64_t last = (int64_t)(g->panels - (g->ranges - 1) * g->range_panels) * g->s.k * panel;
    cw_line(e->w, "memset(dw + range * %" PRId64 ", 0, sizeof(%s) * (range < %d ? %" PRId64 " : %" PRId64 "));", bytes,
            real, g->ranges - 1, bytes, last);
    if (bias) {
        int64_t width = (int64_t)g->range_panels * panel;
        cw_line(e->w, "memset(db + range * %" PRId64 ", 0, sizeof(%s) * (range < %d ? %" PRId64 " : %" PRId64 "));",
                width, real, g->ranges - 1, width, g->db_stored - width * (g->ranges - 1));
    }
}

static const char *emit_sum(struct emitter *e, const struct step *step)
{
    const struct group *group = step->group;
    struct weight_grad g = weight_grad_of_group(e->plan, group);
    const char *real = e->plan->real;
    bool bias = group->companion != NULL, scratch = g.x_bytes + g.dy_bytes > 0;
    struct panels s = product_panels(e->plan, g.s.o, g.s.weight->panel);
    struct panel_functions whole = { 0 }, last = { 0 };
    if (s.whole)
        whole = panel_functions_of(e, &g, bias, s.vectors, 0);
    if (s.last_vectors)
        last = panel_functions_of(e, &g, bias, s.last_vectors, s.last_tail);
    const char *pack_x = g.merged ? NULL : emit_pack_x(e, &g);

    const char *more = arena_printf(e->arena, "%s%s", bias ? arena_printf(e->arena, ", %s *restrict db", real) : "",
                                    scratch ? arena_printf(e->arena, ", %s *restrict scratch", real) : "");
    if (g.by_image)
        emit_function(e, "const %s *x_image, const %s *dy_image, %s *restrict dw%s", real, real, real, more);
    else
        emit_function(e, "int b, int n, const %s *x, const %s *dy, %s *restrict dw%s", real, real, real, more);
    if (!g.by_image)
        emit_block_head(e, &g, bias);
    if (!g.merged || g.pair_rows)
        cw_line(e->w, "%s *const %s = scratch;", factor_type(e, &g), g.pair_rows ? "x_pairs" : "packed_x");
    if (g.pack_dy)
        cw_line(e->w, "%s *const packed_dy = scratch + %" PRId64 ";", factor_type(e, &g),
                g.x_bytes / e->plan->real_size);
    if (g.through)
        cw_line(e->w, "const int pixels = %s;", text_times(e, "(end - first)", g.s.oh));
    else if (!g.by_image)
        cw_open(e->w, "for (int i = first; i < end; i++) {");
    if (!g.by_image) {
        const char *i = g.through ? "first" : "i";
        cw_line(e->w, "const %s *%sx_image = x + (size_t)%s * %" PRId64 ";", real,
                g.merged && g.s.padded ? "" : "const ", i, (int64_t)g.s.h * g.s.w * g.s.c);
        cw_line(e->w, "const %s *const dy_image = dy + (size_t)%s * %" PRId64 ";", real, i,
                (int64_t)g.s.oh * g.s.ow * g.s.o);
    }
    if (g.merged && g.s.padded) {
        emit_padded_copy(e, "x_image", "scratch", g.s.h, g.s.w, g.s.c, g.s.window.pad_top, g.s.window.pad_left, g.s.ph,
                         g.s.pw);
        cw_line(e->w, "x_image = scratch;");
    }
    emit_bands(e, &g, pack_x);
    emit_panels(e, &g, &whole, &last, &s);
    if (g.banded)
        cw_close(e->w, "}");
    if (!g.by_image && !g.through)
        cw_close(e->w, "}");
    const char *hint = arena_printf(e->arena, "%s%s_weight_grad_%dx%dx%d_to_%d", conv_name(e, &g.s), bf16_suffix(&g),
                                    g.s.c, g.s.h, g.s.w, g.s.o);
    return emit_end(e, hint, emit_comment(e, step));
}

static const char *emit(struct emitter *e, const struct step *step)
{
    if (step->part == 0)
        return emit_sum(e, step);
    struct weight_grad g = weight_grad_of_group(e->plan, step->group);
    return emit_weight_sums(e, step, g.groups, g.s.weight->stored, g.db_stored);
}

static bool by_image(const struct plan *p, const struct group *g)
{
    return weight_grad_of(p, g->main, false).by_image;
}

static double cost(const struct plan *p, const struct group *g)
{
    struct weight_grad d = weight_grad_of(p, g->main, false);
    return cost_of(p, &d);
}

const struct kernel kernel_conv2d_direct_weight_grad = {
    .name = "direct", .op = OP_conv2d_weight_grad, .applicable = always_applicable, .cost = cost, .plan = plan,
    .by_image = by_image,
    .emit = emit,
    .help = "register tiles over packed pixels, partial sums by image groups",
};

static bool pairs_applicable(const struct plan *p, const struct group *g)
{
    (void)g;
    return p->batch > 1;
}

static bool pairs_by_image(const struct plan *p, const struct group *g)
{
    return weight_grad_of(p, g->main, true).by_image;
}

static double pairs_cost(const struct plan *p, const struct group *g)
{
    struct weight_grad d = weight_grad_of(p, g->main, true);
    return cost_of(p, &d);
}

const struct kernel kernel_conv2d_bf16_weight_grad = {
    .name = "bf16", .op = OP_conv2d_weight_grad, .bf16 = true, .applicable = pairs_applicable, .cost = pairs_cost,
    .plan = plan,
    .by_image = pairs_by_image, .emit = emit, .number = PAIR,
    .help = "register tiles over pairs of pixels in bfloat16, partial sums in float by image groups",
};
