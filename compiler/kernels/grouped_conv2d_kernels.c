/* grouped_conv2d_kernels.c - convolutions in groups, depthwise ones among them, and their data gradients.
 *
 * `tiles`: a vector of channels of some neighbouring columns of the result at a time.  Their sums stay in registers,
 * the filter's row too, and what is read is loaded once for all columns that it is part of.  Columns whose taps lie
 * alike share a function; at the borders taps beside the map are left out, so that there is no copy with zeros around.
 * A depthwise layer goes through the channels of a tile before the next tile: memory is read and written in order.
 *
 * `taps`: one column at a time, and the taps that lie on the map are found for each.  It serves every window. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/grouped_taps.h"

enum { PART_MAIN, PART_PACK };
enum {
    TAPS_MOST = 160,            /* products of a tile: they are written out */
    RUNS_MOST = 12              /* tiles that differ */
};

static const char *tiles_emit(struct emitter *e, const struct step *step);
static bool asks_below(const struct grouped *g);
static bool asks_place(const struct grouped *g);

/* ---- which and what it costs ------------------------------------------------------------------------------------- */

/* Columns of a tile: their sums, a row of the filter and what is read are in registers. */
static int tile_width(const struct plan *p, const struct grouped *g)
{
    int spare = p->target->registers - g->window.kw - 2 - (p->target->has_fma ? 0 : 1);
    int most = p->target->registers / 2;
    if (most > spare)
        most = spare > 4 ? spare : 4;
    return most > TAPS_MOST / g->window.kw ? TAPS_MOST / g->window.kw : most;
}

static bool tiles_applicable(const struct plan *p, const struct group *group)
{
    struct grouped g = grouped_of(p, group->main);
    struct column_run *runs;
    if (g.window.kw > TAPS_MOST / 4 || (g.transposed && g.window.stride_w > tile_width(p, &g)))
        return false;
    return grouped_columns(p->arena, &g, tile_width(p, &g), &runs) <= RUNS_MOST;
}

/* What is read and made comes from memory and goes there, whatever is computed meanwhile. */
static double memory_cycles(const struct plan *p, const struct grouped *g)
{
    double elements = (double)(shape_elements(g->from) + shape_elements(g->to)) * p->batch;
    return elements * p->real_size / p->target->memory_bytes_per_cycle;
}

static double cost(const struct plan *p, const struct group *group, double slower)
{
    struct grouped g = grouped_of(p, group->main);
    double cycles = grouped_cycles(p, &g) * slower, memory = memory_cycles(p, &g);
    return (cycles > memory ? cycles : memory) + group_chain_cycles(p, group);
}

static double tiles_cost(const struct plan *p, const struct group *group)
{
    return cost(p, group, 1);
}

/* Each product waits for the one before it. */
static double taps_cost(const struct plan *p, const struct group *group)
{
    return cost(p, group, p->target->costs->fma_latency * grouped_fma_rate(p));
}

/* ---- steps ------------------------------------------------------------------------------------------------------- */

/* The filters of a gradient are put as those of a convolution from dy to dx would lie; of a depthwise one with
 * multiplier 1 they do already. */
static struct buffer *plan_pack(struct plan *p, struct program *q, struct group *group, const struct grouped *g)
{
    int64_t panels = (g->to.c + g->lanes - 1) / g->lanes;
    struct step *pack = plan_step(p, q, group, PART_PACK, SPLIT_BLOCKS, panels, "pack weights", 0);
    struct buffer *packed = plan_buffer(p, q, arena_printf(p->arena, "%s_turned", group->main->in[1]->name), p->real,
                                        panels * g->panel * p->real_size);
    pack->hoisted = true;
    step_is_told(p, pack, ARGUMENT_BLOCK);
    step_takes(p, pack, ACCESS_READ, group->main->in[1]);
    step_uses_part(p, pack, ACCESS_WRITE, packed, part_rows(panels, g->panel));
    return packed;
}

static void plan(struct plan *p, struct program *q, struct group *group)
{
    struct grouped g = grouped_of(p, group->main);
    const struct node *n = group->main;
    struct buffer *packed = g.transposed && g.source != ONE_BY_ONE ? plan_pack(p, q, group, &g) : NULL;
    bool blocks = !g.transposed && plan_splits_image(p, cost(p, group, 1));
    struct step *s = plan_step(p, q, group, PART_MAIN, blocks ? SPLIT_BLOCKS : SPLIT_IMAGES, g.to.h,
                               g.transposed ? "data gradient" : "forward", group_flops(p, group));
    if (blocks)
        step_is_told(p, s, ARGUMENT_BLOCK);
    step_takes(p, s, ACCESS_READ, n->in[0]);
    if (packed)
        step_uses(p, s, ACCESS_READ, packed, TOUCH_ALL);
    else
        step_takes(p, s, ACCESS_READ, n->in[1]);
    step_writes_rows(p, s, group->result);
    step_takes_chain(p, s);
    if (g.source == SPREAD)
        step_scratch(p, s, grouped_copy_bytes(p, &g));
    if (asks_place(&g) && group->kernel->emit == tiles_emit)
        s->prefetch = asks_below(&g) ? "the next row of the result, and the rows that it reads first"
                                     : "the next row of the result";
}

/* ---- packing ----------------------------------------------------------------------------------------------------- */

/* Panel b of (tap, channel of a group of dy, lane), from (vector of dy's channels, tap, channel of a group of dx,
 * lane). */
static const char *emit_pack(struct emitter *e, const struct step *step)
{
    struct grouped g = grouped_of(e->plan, step->group->main);
    const char *real = e->plan->real;
    int64_t from_panel = g.taps * g.to_group * g.lanes;
    emit_function(e, "int b, const %s *w, %s *restrict packed", real, real);
    cw_line(e->w, "%s *const to = packed + (size_t)b * %" PRId64 ";", real, g.panel);
    cw_open(e->w, "for (int k = 0; k < V_LANES; k++) {");
    cw_line(e->w, "const int c = b * V_LANES + k, inside = c < %d, first = %s;", g.to.c,
            text_times(e, text_over(e, "c", g.to_group), g.from_group));
    cw_open(e->w, "for (int tap = 0; tap < %" PRId64 "; tap++) {", g.taps);
    cw_open(e->w, "for (int i = 0; i < %d; i++) {", g.from_group);
    cw_line(e->w, "const int o = first + i;");
    const char *row = g.to_group > 1 ? text_printf(e, "(tap * %d + c %% %d)", g.to_group, g.to_group) : "tap";
    cw_line(e->w, "to[(tap * %d + i) * V_LANES + k] =", g.from_group);
    cw_line(e->w, "    inside ? w[(size_t)(o / V_LANES) * %" PRId64 " + %s * V_LANES + o %% V_LANES] : 0;", from_panel,
            row);
    cw_close(e->w, "}");
    cw_close(e->w, "}");
    cw_close(e->w, "}");
    const char *comment = text_printf(e,
                                      "The filters of %s for its data gradient: (vector of channels, tap, %d, lane).",
                                      step->group->main->layer->name, g.from_group);
    return emit_end(e, text_printf(e, "turn_%s", grouped_name(e, &g)), comment);
}

/* ---- what is written --------------------------------------------------------------------------------------------- */

struct writing {
    struct grouped g;
    const struct chain *chain;
    struct column_run *runs;    /* of tiles */
    int runs_count;
    const struct column_run *run;       /* one of them */
    int64_t to_pixel;
    bool by_taps;
};

/* From one tap of a row to the next. */
static int64_t tap_numbers(const struct writing *w)
{
    return (int64_t)w->g.from_group * w->g.lanes;
}

/* The loop over the channels of a group, where there are several. */
static void open_channels(struct emitter *e, const struct grouped *g)
{
    if (g->from_group > 1) {
        cw_line(e->w, "CNN_ROLLED");
        cw_open(e->w, "for (int i = 0; i < %d; i++) {", g->from_group);
    }
}

static void close_channels(struct emitter *e, const struct grouped *g)
{
    if (g->from_group > 1)
        cw_close(e->w, "}");
}

static const char *filter_at(struct emitter *e, const struct writing *w, int64_t tap)
{
    return text_plus(e, text_printf(e, "%" PRId64, tap * tap_numbers(w)), w->g.from_group > 1 ? "i * V_LANES" : "0");
}

/* From the filters of channel 0 of a depthwise layer to those of the vector that begins with channel `at`. */
static const char *text_channel_filters(struct emitter *e, const struct grouped *g, const char *at)
{
    return strcmp(at, "0") ? text_times(e, at, (int)g->taps) : at;
}

/* Whether what is done to an element depends on where it is. */
static bool needs_place(const struct chain *c)
{
    for (int i = 0; i < c->operands_count; i++)
        if (c->operands[i].kind == OPERAND_ELEMENT || c->operands[i].kind == OPERAND_INDEX)
            return true;
    return false;
}

static void declare_sums(struct emitter *e, int count)
{
    const char *line = "v";
    for (int t = 0; t < count; t++)
        line = text_printf(e, "%s%s y%d = v_zero()", line, t ? "," : "", t);
    cw_line(e->w, "%s;", line);
}

/* The products of one row of taps: each value is loaded once, for all columns that it is part of. */
static void tile_row(struct emitter *e, const struct writing *w, int tail)
{
    const struct column_run *r = w->run;
    bool *used = arena_array(e->arena, (size_t)w->g.window.kw, sizeof *used);
    for (int i = 0; i < r->taps_count; i++)
        used[r->taps[i].tap] = true;
    for (int k = 0; k < w->g.window.kw; k++)
        if (used[k])
            cw_line(e->w, "const v w%d = %s;", k, text_load(e, "tap", filter_at(e, w, k), 0));
    cw_line(e->w, "v a;");
    for (int i = 0; i < r->taps_count;) {
        int column = r->taps[i].column;
        struct text line = { .arena = e->arena };
        text_add(&line, "a = %s;", text_grouped(e, &w->g, "from", column * w->g.pixel, "i", tail));
        for (; i < r->taps_count && r->taps[i].column == column; i++)
            text_add(&line, " y%d = v_fma(a, w%d, y%d);", r->taps[i].result, r->taps[i].tap, r->taps[i].result);
        cw_line(e->w, "%s", text_of(&line));
    }
}

/* Whether a tile asks for the rows that the next row of the result reads first: a tile's own are many short stretches
 * of memory, which no processor foresees. */
static bool asks_below(const struct grouped *g)
{
    return g->source == ONE_BY_ONE && g->window.dilation_h == 1 && (!g->transposed || g->window.stride_h == 1);
}

/* The columns of the tile that the one after it does not read again. */
static void ask_below(struct emitter *e, const struct writing *w)
{
    const struct column_run *r = w->run;
    int rows = w->g.transposed ? 1 : w->g.window.stride_h;
    for (int k = 0; k < rows; k++) {
        const char *row = w->g.transposed ? "1" : k ? text_printf(e, "(rows + %d)", k) : "rows";
        struct text line = { .arena = e->arena };
        for (int i = 0; i < r->taps_count; i++) {
            bool again = i && r->taps[i].column == r->taps[i - 1].column;
            if (!again && r->taps[i].column < r->width * w->g.window.stride_w)
                text_add(&line, "%sv_prefetch(from + %s%s);", line.count ? " " : "", text_times(e, row, w->g.row),
                         text_offset(e, r->taps[i].column * w->g.pixel));
        }
        cw_line(e->w, "%s", text_of(&line));
    }
}

/* Whether a tile asks for the place of the one below it: what is made lies in memory, and a store to each of some
 * pixels would wait for its line (measured on one core with AVX2, 144 channels of 32x32 pixels, 64 pictures: 7.5 ms
 * become 6.5; 3.0 where the place is in the cache). */
static bool asks_place(const struct grouped *g)
{
    return g->source == ONE_BY_ONE && g->to.h > 1;
}

static void ask_place(struct emitter *e, const struct writing *w, const char *at)
{
    struct text line = { .arena = e->arena };
    for (int t = 0; t < w->run->width; t++)
        text_add(&line, "%sv_prefetchw(%s);", t ? " " : "",
                 text_plus(e, text_plus(e, "y", at), text_printf(e, "%" PRId64, (w->g.to.w + t) * w->to_pixel)));
    cw_line(e->w, "%s", text_of(&line));
}

/* One vector of a tile; at: of its channels from where the pointers stand. */
static void tile_vector(struct emitter *e, const void *data, const char *at, int tail)
{
    const struct writing *w = data;
    const struct grouped *g = &w->g;
    const char *real = e->plan->real;
    int64_t tap_step = (int64_t)grouped_tap_step(g, ROWS) * g->window.kw * tap_numbers(w);
    declare_sums(e, w->run->width);
    if (asks_place(g))
        ask_place(e, w, at);
    if (w->run->taps_count) {
        cw_line(e->w, "const %s *from = %s, *tap = %s;", real, text_plus(e, "x", at),
                g->source == ONE_BY_ONE ? text_plus(e, "w", text_channel_filters(e, g, at)) : "w");
        if (asks_below(g))
            ask_below(e, w);
        cw_open(e->w, "for (int k = 0; k < rows; k++, from %s= %" PRId64 ", tap += %" PRId64 ") {",
                grouped_from_step(g, ROWS) < 0 ? "-" : "+", labs(grouped_from_step(g, ROWS)) * g->row, tap_step);
        open_channels(e, g);
        tile_row(e, w, tail);
        close_channels(e, g);
        cw_close(e->w, "}");
    }
    chain_sums_begin(e, w->chain, 0);
    for (int t = 0; t < w->run->width; t++) {
        const char *element = text_plus(e, at, text_printf(e, "%" PRId64, (int64_t)t * g->to.c));
        const char *to = text_plus(e, at, text_printf(e, "%" PRId64, t * w->to_pixel));
        const char *value = chain_apply_at(e, w->chain, text_printf(e, "y%d", t), at, element, tail);
        line_store(e, "y", to, chain_sums_add(e, w->chain, value, text_printf(e, "g%d", t), 0, at, element, tail),
                   tail);
    }
    chain_sums_end(e, w->chain, 0, at);
}

/* A tile of columns: name(x, w, rows, y, what the chain reads).  Of a depthwise layer it is all channels of them. */
static const char *emit_tile_function(struct emitter *e, const struct writing *w, int tail)
{
    const struct grouped *g = &w->g;
    const char *real = e->plan->real;
    bool reads = w->run->taps_count > 0;
    emit_function(e, "%s%s *restrict y%s",
                  reads ? text_printf(e, "const %s *x, const %s *w, int rows, ", real, real) : "", real,
                  chain_parameters(e, w->chain));
    if (g->source == ONE_BY_ONE)
        each_vector(e, "j", g->to.c, tile_vector, w);
    else
        tile_vector(e, w, "0", tail);
    const char *hint = text_printf(e, "%s_%d%s", grouped_name(e, g), w->run->width, chain_suffix(e, w->chain));
    return emit_end_shared(e, hint, "Some neighbouring columns of a row, made of `rows` rows of taps.");
}

/* The tiles of a row; x: C text of the row that its first tap lies on. */
static void emit_tiles(struct emitter *e, struct writing *w, const char *x, int tail)
{
    const struct grouped *g = &w->g;
    bool j = g->source != ONE_BY_ONE;
    for (int i = 0; i < w->runs_count; i++) {
        const struct column_run *r = w->run = &w->runs[i];
        const char *name = emit_tile_function(e, w, tail), *reads = "";
        const char *from = text_plus(e, x, text_printf(e, "%" PRId64, r->column * g->pixel));
        const char *to = text_plus(e, "to", text_printf(e, "%" PRId64, r->first * w->to_pixel));
        const char *at = text_plus(e, "at", text_printf(e, "%" PRId64, (int64_t)r->first * g->to.c));
        if (r->count > 1) {
            from = text_plus(e, from, text_times(e, "t", (int)(r->advance * g->pixel)));
            to = text_plus(e, to, text_times(e, "t", (int)(r->width * w->to_pixel)));
            at = text_plus(e, at, text_times(e, "t", r->width * g->to.c));
            cw_open(e->w, "for (int t = 0; t < %d; t++)", r->count);
        }
        if (r->taps_count)
            reads = text_printf(e, "%s, tap, row_count, ", from);
        cw_line(e->w, "%s(%s%s%s);", name, reads, to, chain_pass(e, w->chain, j ? "j" : "0", at));
        if (r->count > 1)
            cw_close(e->w, "");
    }
}

/* One vector of one column, all taps. */
static void taps_vector(struct emitter *e, const void *data, const char *at, int tail)
{
    const struct writing *w = data;
    const struct grouped *g = &w->g;
    const char *real = e->plan->real;
    int64_t row_step = grouped_from_step(g, ROWS) * g->row, column_step = grouped_from_step(g, COLUMNS) * g->pixel;
    cw_line(e->w, "v sum = v_zero();");
    cw_open(e->w, "for (int k = 0; k < row_count; k++) {");
    cw_open(e->w, "for (int q = 0; q < column_count; q++) {");
    cw_line(e->w, "const %s *const from = line + k * (ptrdiff_t)%" PRId64 " + (column_at * %" PRId64 " + q * %" PRId64 ")%s;",
            real, row_step, g->pixel, column_step, g->source == ONE_BY_ONE ? text_plus(e, " ", at) : "");
    cw_line(e->w, "const %s *const tap = filter + (k * %d + column_tap + q * %d) * %" PRId64 "%s;", real,
            grouped_tap_step(g, ROWS) * g->window.kw, grouped_tap_step(g, COLUMNS), tap_numbers(w),
            g->source == ONE_BY_ONE ? text_plus(e, " ", text_channel_filters(e, g, at)) : "");
    open_channels(e, g);
    cw_line(e->w, "sum = v_fma(%s, %s, sum);", text_grouped(e, g, "from", 0, "i", tail),
            text_load(e, "tap", filter_at(e, w, 0), 0));
    close_channels(e, g);
    cw_close(e->w, "}");
    cw_close(e->w, "}");
    const char *col = g->source == ONE_BY_ONE ? at : "j";
    const char *element = text_plus(e, text_plus(e, "at", text_times(e, "c", g->to.c)), at);
    const char *value = chain_apply_at(e, w->chain, "sum", col, element, tail);
    chain_sums_begin(e, w->chain, 0);
    line_store(e, "to", text_plus(e, text_times(e, "c", (int)w->to_pixel), at),
               chain_sums_add(e, w->chain, value, "g", 0, col, element, tail), tail);
    chain_sums_end(e, w->chain, 0, col);
}

static void emit_columns(struct emitter *e, struct writing *w, int tail)
{
    loop_open(e, "c", 0, w->g.to.w, 1);
    emit_tap_range(e, &w->g, COLUMNS, "c", "column");
    if (w->g.source == ONE_BY_ONE)
        each_vector(e, "j", w->g.to.c, taps_vector, w);
    else
        taps_vector(e, w, "0", tail);
    cw_close(e->w, "}");
}

/* Row r of the result: all channels of a depthwise layer, else those of vector j. */
static void emit_row(struct emitter *e, struct writing *w, const char *x, int tail)
{
    const struct grouped *g = &w->g;
    const char *real = e->plan->real, *j = g->source == ONE_BY_ONE ? "" : " + j";
    emit_tap_range(e, g, ROWS, "r", "row");
    const char *filter = text_printf(e, "%s + row_tap * %" PRId64, g->source == ONE_BY_ONE ? "w" : "panel",
                                     g->window.kw * tap_numbers(w));
    const char *at = g->source == SPREAD ? "(row_at - low)" : "row_at";
    cw_line(e->w, "const %s *const line = %s + %s * (ptrdiff_t)%" PRId64 ";", real, x, at, g->row);
    cw_line(e->w, "const %s *const %s = %s;", real, w->by_taps ? "filter" : "tap", filter);
    cw_line(e->w, "%s *const to = y + r * %" PRId64 "%s;", real, g->to.w * w->to_pixel, j);
    if (needs_place(w->chain))
        cw_line(e->w, "const int at = r * %" PRId64 "%s;", (int64_t)g->to.w * g->to.c, j);
    if (w->by_taps)
        emit_columns(e, w, tail);
    else
        emit_tiles(e, w, "line", tail);
    if (g->source == ONE_BY_ONE)
        chain_sums_take(e, w->chain, "0", g->to.c);
    else
        chain_sums_take(e, w->chain, "j", tail ? tail : g->lanes);
}

/* All rows, or row b. */
static void open_rows(struct emitter *e, const struct grouped *g, bool blocks)
{
    if (blocks) {
        cw_open(e->w, "{");
        cw_line(e->w, "const int r = b;");
    } else {
        loop_open(e, "r", 0, g->to.h, 1);
    }
}

/* A vector of channels where they are in groups. */
static void emit_vector(struct emitter *e, struct writing *w, bool blocks, int tail)
{
    const struct grouped *g = &w->g;
    const char *real = e->plan->real;
    if (!grouped_open_vectors(e, g, tail))
        return;
    cw_line(e->w, "const %s *const panel = w + (size_t)j * %" PRId64 ";", real, g->panel / g->lanes);
    if (g->source == BROADCAST) {
        cw_line(e->w, "const %s *const own = x + %s;", real,
                text_times(e, text_over(e, "j", g->to_group), g->from_group));
        open_rows(e, g, blocks);
        emit_row(e, w, "own", tail);
        cw_close(e->w, "}");
    } else if (blocks) {
        cw_line(e->w, "const int first = b;");
        emit_copy(e, g, "x", "(first + 1)", tail);
        open_rows(e, g, true);
        emit_row(e, w, "scratch", tail);
        cw_close(e->w, "}");
    } else {
        loop_open(e, "first", 0, g->to.h, g->band);
        if (g->band < g->to.h && g->to.h % g->band)
            cw_line(e->w, "const int end = first + %d < %d ? first + %d : %d;", g->band, g->to.h, g->band, g->to.h);
        else
            cw_line(e->w, "const int end = first + %d;", g->band);
        emit_copy(e, g, "x", "end", tail);
        cw_open(e->w, "for (int r = first; r < end; r++) {");
        emit_row(e, w, "scratch", tail);
        cw_close(e->w, "}");
        cw_close(e->w, "}");
    }
    cw_close(e->w, "}");
}

static const char *emit_main(struct emitter *e, const struct step *step, bool by_taps)
{
    const struct group *group = step->group;
    struct chain chain;
    chain_make(e->plan, group, &chain);
    struct writing w = { .g = grouped_of(e->plan, group->main), .chain = &chain, .by_taps = by_taps };
    const struct grouped *g = &w.g;
    const char *real = e->plan->real;
    bool blocks = step->split == SPLIT_BLOCKS;
    w.runs_count = by_taps ? 0 : grouped_columns(e->arena, g, tile_width(e->plan, g), &w.runs);
    w.to_pixel = emit_is_strided(e, group->result) ? emit_pixel(e, group->result) : g->to.c;
    emit_function(e, "%sconst %s *x, const %s *w, %s *restrict y%s%s", blocks ? "int b, " : "", real, real, real,
                  chain_parameters(e, &chain),
                  g->source == SPREAD ? text_printf(e, ", %s *restrict scratch", real) : "");
    chain_sums_clear(e, &chain, 1);
    cw_line(e->w, "// x (%d, %d, %d), y (%d, %d, %d)", g->from.h, g->from.w, g->from.c, g->to.h, g->to.w, g->to.c);
    if (g->source == ONE_BY_ONE) {
        open_rows(e, g, blocks);
        emit_row(e, &w, "x", 0);
        cw_close(e->w, "}");
    } else {
        emit_vector(e, &w, blocks, 0);
        if (g->to.c % g->lanes)
            emit_vector(e, &w, blocks, g->to.c % g->lanes);
    }
    const char *hint = text_printf(e, "%s%s_%s", grouped_name(e, g), g->transposed ? "_data_grad" : "",
                                   text_shape(e, g->to));
    return emit_end(e, hint, emit_comment(e, step));
}

static const char *tiles_emit(struct emitter *e, const struct step *step)
{
    return step->part == PART_PACK ? emit_pack(e, step) : emit_main(e, step, false);
}

static const char *taps_emit(struct emitter *e, const struct step *step)
{
    return step->part == PART_PACK ? emit_pack(e, step) : emit_main(e, step, true);
}

/* Its result, where the chain reads nothing that would have to be as far apart. */
static bool strided(const struct plan *p, const struct group *g, const struct tensor *t)
{
    return t == g->result && chain_is_by_channel(p, g);
}

#define GROUPED(operation)                                                                                         \
    const struct kernel kernel_##operation##_tiles = {                                                             \
        .name = "tiles", .op = OP_##operation, .fuses_chain = true, .applicable = tiles_applicable,                 \
        .cost = tiles_cost, .plan = plan, .carries = always_applicable, .emit = tiles_emit, .strided = strided,     \
        .help = "vectors of channels, neighbouring columns in registers",                                          \
    };                                                                                                             \
    const struct kernel kernel_##operation##_taps = {                                                              \
        .name = "taps", .op = OP_##operation, .fuses_chain = true, .applicable = always_applicable,                 \
        .cost = taps_cost, .plan = plan, .carries = always_applicable, .emit = taps_emit, .strided = strided,       \
        .help = "vectors of channels, one position at a time",                                                     \
    };

GROUPED(grouped_conv2d)
GROUPED(grouped_conv2d_data_grad)
