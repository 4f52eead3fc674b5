/* grouped_conv2d_weight_grad.c - the gradient of the filters of a convolution in groups.
 *
 * dw[tap][i][o] = sum over images and pixels of x[pixel shifted by the tap][channel i of o's group] dy[pixel][o], a
 * vector of o at a time: the sums of some rows of taps stay in registers along the rows of dy.
 *
 * The batch is cut into a fixed number of groups of images.  Each has its own partial sums, added in order by a second
 * step: the same bits for any number of threads.  Where the batch allows it the step takes one image after the other,
 * group by group, and shares the loop of its neighbours: dy is still in the cache.
 *
 * `tiles` needs taps that are few enough to be written out; `taps` sums one after the other. */
#include <inttypes.h>
#include <string.h>

#include "kernels/grouped_taps.h"
#include "kernels/sums.h"

enum { PART_SUM, PART_REDUCE };
enum {
    DY_AT_ONCE = 4,             /* columns of dy in registers */
    TAPS_MOST = 160,            /* products of a tile */
    RUNS_MOST = 16,             /* tiles, or rows, that differ */
    GROUPS_MOST = 8,            /* of images */
    REDUCE_CHUNK = 8192         /* elements of dw that one block of the second step adds up */
};

struct weight_grad {
    struct grouped g;
    int groups;                 /* of images */
    bool by_image;
    int rows_at_once;           /* of taps */
    int64_t stored;             /* numbers of the gradient */
};

/* Neighbouring rows of dy whose taps lie alike: rows `tap` .. tap + taps - 1 of them are on the map. */
struct row_run {
    int first, count, tap, taps;
};

static const char *tiles_emit(struct emitter *e, const struct step *step);

static struct weight_grad weight_grad_of(const struct plan *p, const struct node *n)
{
    struct weight_grad d = { .g = grouped_of(p, n), .stored = plan_param(p, n->out[0])->stored };
    int spare = p->target->registers - DY_AT_ONCE - 1 - (p->target->has_fma ? 0 : 1);
    d.rows_at_once = spare / d.g.window.kw;
    if (d.rows_at_once > d.g.window.kh)
        d.rows_at_once = d.g.window.kh;
    if (d.rows_at_once < 1)
        d.rows_at_once = 1;
    d.groups = GROUPS_MOST < p->batch ? GROUPS_MOST : p->batch;
    int even = plan_image_groups(p);
    if (even >= GROUPS_MOST / 2 || even == p->batch) {
        d.by_image = true;
        d.groups = even;
    }
    return d;
}

/* The runs of rows; their number. */
static int rows_of(struct arena *a, const struct grouped *g, struct row_run **runs)
{
    const struct window *w = &g->window;
    int count = 0;
    *runs = arena_array(a, (size_t)g->to.h, sizeof **runs);
    for (int r = 0; r < g->to.h; r++) {
        struct row_run run = { .first = r, .count = 1 };
        for (int k = 0; k < w->kh; k++) {
            int64_t row = (int64_t)r * w->stride_h - w->pad_top + (int64_t)k * w->dilation_h;
            if (row < 0 || row >= g->from.h)
                continue;
            run.tap = run.taps++ ? run.tap : k;
        }
        struct row_run *last = &(*runs)[count - 1];
        if (count && last->tap == run.tap && last->taps == run.taps)
            last->count++;
        else
            (*runs)[count++] = run;
    }
    return count;
}

static bool tiles_applicable(const struct plan *p, const struct group *group)
{
    struct weight_grad d = weight_grad_of(p, group->main);
    const struct window *w = &d.g.window;
    struct column_run *columns;
    struct row_run *rows;
    return (int64_t)w->kw * d.rows_at_once * DY_AT_ONCE <= TAPS_MOST &&
           grouped_columns(p->arena, &d.g, DY_AT_ONCE, &columns) <= RUNS_MOST &&
               rows_of(p->arena, &d.g, &rows) <= RUNS_MOST &&
           (w->kh + d.rows_at_once - 1) / d.rows_at_once <= RUNS_MOST;
}

static bool by_image(const struct plan *p, const struct group *group)
{
    return weight_grad_of(p, group->main).by_image;
}

static double cost(const struct plan *p, const struct group *group, double slower)
{
    struct weight_grad d = weight_grad_of(p, group->main);
    double elements = (double)(shape_elements(d.g.from) + shape_elements(d.g.to)) * p->batch;
    double cycles = grouped_cycles(p, &d.g) * slower,
        memory = elements * p->real_size / p->target->memory_bytes_per_cycle;
    double reduce = 2.0 * d.groups * (double)d.stored * p->real_size / p->target->costs->second_rate;
    return (cycles > memory ? cycles : memory) + (d.groups > 1 ? reduce : 0);
}

static double tiles_cost(const struct plan *p, const struct group *group)
{
    return cost(p, group, 1);
}

static double taps_cost(const struct plan *p, const struct group *group)
{
    return cost(p, group, p->target->costs->fma_latency * grouped_fma_rate(p));
}

static void plan(struct plan *p, struct program *q, struct group *group)
{
    struct weight_grad d = weight_grad_of(p, group->main);
    const struct tensor *dw = group->main->out[0];
    struct step *sum = plan_step(p, q, group, PART_SUM, d.by_image ? SPLIT_IMAGES : SPLIT_BLOCKS, d.groups,
                                 "weight gradient", group_flops(p, group));
    sum->groups = d.by_image ? d.groups : 0;
    int64_t chunks = (d.stored + REDUCE_CHUNK - 1) / REDUCE_CHUNK;
    struct step *reduce = d.groups > 1 ? plan_step(p, q, group, PART_REDUCE, SPLIT_BLOCKS, chunks, "weight gradient", 0)
        : NULL;
    struct buffer *partial = NULL;
    if (reduce)
        partial = plan_buffer(p, q, arena_printf(p->arena, "%s_partial", dw->name), p->real,
                              d.groups * d.stored * p->real_size);
    if (!d.by_image) {
        step_is_told(p, sum, ARGUMENT_BLOCK);
        step_is_told(p, sum, ARGUMENT_SAMPLES);
    }
    step_takes(p, sum, ACCESS_READ, group->main->in[0]);
    step_takes(p, sum, ACCESS_READ, group->main->in[1]);
    if (d.by_image && partial)
        step_uses_cleared(p, sum, partial, d.stored);
    else if (d.by_image)
        step_takes_cleared(p, sum, dw, d.stored);
    else if (partial)
        step_uses_part(p, sum, ACCESS_WRITE, partial, part_rows(d.groups, d.stored));
    else
        step_takes_part(p, sum, ACCESS_WRITE, dw, part_runs(d.stored, d.stored));
    if (d.g.source == SPREAD)
        step_scratch(p, sum, grouped_copy_bytes(p, &d.g));
    if (d.g.source == ONE_BY_ONE && d.rows_at_once == d.g.window.kh && d.g.window.dilation_h == 1 &&
        group->kernel->emit == tiles_emit)
        sum->prefetch = "the rows of x and dy that the next row of dy takes first";
    if (!reduce)
        return;
    step_is_told(p, reduce, ARGUMENT_BLOCK);
    step_uses(p, reduce, ACCESS_READ, partial, TOUCH_ALL);
    step_takes_part(p, reduce, ACCESS_WRITE, dw, part_runs(d.stored, REDUCE_CHUNK));
}

/* ---- the sums of some rows of taps ------------------------------------------------------------------------------- */

struct writing {
    const struct weight_grad *d;
    const struct column_run *runs;
    int runs_count;
    int taps;                   /* rows of them */
};

/* From one tap of a row to the next. */
static int64_t tap_numbers(const struct grouped *g)
{
    return (int64_t)g->from_group * g->lanes;
}

/* The rows of x and dy that the next row of dy takes first come meanwhile, as grouped_conv2d_kernels.c has it. */
static void ask_below(struct emitter *e, const struct writing *w, const struct column_run *r)
{
    const struct grouped *g = &w->d->g;
    for (int k = 0; k < g->window.stride_h; k++)
        for (int i = 0; i < r->taps_count; i++) {
            bool again = i && r->taps[i].column == r->taps[i - 1].column;
            if (!again && r->taps[i].column < r->width * g->window.stride_w)
                cw_line(e->w, "v_prefetch(from + %" PRId64 ");", (w->taps + k) * g->row + r->taps[i].column * g->pixel);
        }
    for (int t = 0; t < r->width; t++)
        cw_line(e->w, "v_prefetch(gradient + %" PRId64 ");", (int64_t)(g->to.w + t) * g->to.c);
}

static void tile_products(struct emitter *e, const struct writing *w, const struct column_run *r, int tail)
{
    const struct grouped *g = &w->d->g;
    bool used[DY_AT_ONCE] = { false };
    for (int i = 0; i < r->taps_count; i++)
        used[r->taps[i].result] = true;
    for (int t = 0; t < r->width; t++)
        if (used[t])
            cw_line(e->w, "const v d%d = %s;", t,
                text_load(e, "gradient", text_printf(e, "%" PRId64, (int64_t)t * g->to.c), tail));
    cw_line(e->w, "v a;");
    for (int k = 0; k < w->taps; k++)
        for (int i = 0; i < r->taps_count;) {
            int column = r->taps[i].column;
            struct text line = { .arena = e->arena };
            text_add(&line, "a = %s;", text_grouped(e, g, "from", k * g->window.dilation_h * g->row + column * g->pixel,
                                                    "0", tail));
            for (; i < r->taps_count && r->taps[i].column == column; i++)
                text_add(&line, " s%d_%d = v_fma(a, d%d, s%d_%d);", k, r->taps[i].tap, r->taps[i].result, k,
                         r->taps[i].tap);
            cw_line(e->w, "%s", text_of(&line));
        }
}

/* Along a row of dy; the pointers stand at its beginning. */
static void row_products(struct emitter *e, const struct writing *w, const char *at, int tail)
{
    const struct grouped *g = &w->d->g;
    const char *real = e->plan->real;
    for (int i = 0; i < w->runs_count; i++) {
        const struct column_run *r = &w->runs[i];
        if (!r->taps_count)
            continue;
        const char *x = text_plus(e, text_plus(e, "x", at), text_printf(e, "%" PRId64, r->column * g->pixel));
        const char *dy = text_plus(e, text_plus(e, "dy", at), text_printf(e, "%" PRId64, (int64_t)r->first * g->to.c));
        if (r->count > 1) {
            cw_line(e->w, "CNN_ROLLED");
            cw_open(e->w, "for (int t = 0; t < %d; t++) {", r->count);
            x = text_plus(e, x, text_times(e, "t", (int)(r->advance * g->pixel)));
            dy = text_plus(e, dy, text_times(e, "t", r->width * g->to.c));
        } else {
            cw_open(e->w, "{");
        }
        cw_line(e->w, "const %s *const from = %s, *const gradient = %s;", real, x, dy);
        if (g->source == ONE_BY_ONE && g->window.dilation_h == 1 && w->taps == g->window.kh)
            ask_below(e, w, r);
        tile_products(e, w, r, tail);
        cw_close(e->w, "}");
    }
}

/* The sums of a vector over `rows` rows of dy, added to those of the rows before. */
static void vector_sums(struct emitter *e, const void *data, const char *at, int tail)
{
    const struct writing *w = data;
    const struct grouped *g = &w->d->g;
    bool alone = g->source == ONE_BY_ONE;
    int kw = g->window.kw;
    for (int k = 0; k < w->taps; k++) {
        const char *line = "v";
        for (int q = 0; q < kw; q++)
            line = text_printf(e, "%s%s s%d_%d = v_zero()", line, q ? "," : "", k, q);
        cw_line(e->w, "%s;", line);
    }
    if (!alone)
        cw_open(e->w, "for (int r = 0; r < rows; r++, x += %" PRId64 ", dy += %" PRId64 ") {",
                g->window.stride_h * g->row, (int64_t)g->to.w * g->to.c);
    row_products(e, w, at, tail);
    if (!alone)
        cw_close(e->w, "}");
    const char *filters = alone && strcmp(at, "0") ? text_times(e, at, (int)g->taps) : "0";
    for (int k = 0; k < w->taps; k++)
        for (int q = 0; q < kw; q++) {
            const char *to = text_plus(e, filters, text_printf(e, "%" PRId64, (k * kw + q) * tap_numbers(g)));
            line_store(e, "dw", to, text_printf(e, "v_add(%s, s%d_%d)", text_load(e, "dw", to, 0), k, q), 0);
        }
}

/* x and dy stand at the first rows; in groups at the channels too, and dw at the filter of channel i. */
static const char *emit_rows(struct emitter *e, const struct weight_grad *d, int taps, int tail)
{
    const struct grouped *g = &d->g;
    const char *real = e->plan->real;
    struct column_run *runs;
    struct writing w = { .d = d, .taps = taps };
    w.runs_count = grouped_columns(e->arena, g, DY_AT_ONCE, &runs);
    w.runs = runs;
    if (g->source == ONE_BY_ONE) {
        emit_function(e, "const %s *x, const %s *dy, %s *restrict dw", real, real, real);
        each_vector(e, "j", g->to.c, vector_sums, &w);
    } else {
        emit_function(e, "int rows, const %s *x, const %s *dy, %s *restrict dw", real, real, real);
        vector_sums(e, &w, "0", tail);
    }
    return emit_end_shared(e, text_printf(e, "%s_weight_rows", grouped_name(e, g)),
                           g->source == ONE_BY_ONE ? "Some rows of taps along a row of dy, all channels."
                                                   : "Some rows of taps along `rows` rows of dy, a vector of channels.");
}

/* ---- their calls ------------------------------------------------------------------------------------------------- */

static const char *text_at(struct emitter *e, const char *base, const char *index, int64_t step, int64_t offset)
{
    const char *at = text_printf(e, "%s * %" PRId64, index, step);
    return text_printf(e, "%s + %s%s%s", base, at, offset < 0 ? " - " : offset ? " + " : "",
                       offset ? text_printf(e, "%" PRId64, offset < 0 ? -offset : offset) : "");
}

/* The sums of rows `tap` .. tap + taps - 1 of taps, of rows r .. r + rows - 1 of dy (a depthwise layer: of row r). */
static void emit_call(struct emitter *e, const struct weight_grad *d, const char *x, int tap, int taps, int tail)
{
    const struct grouped *g = &d->g;
    const char *name = emit_rows(e, d, taps, tail);
    const char *dw = text_printf(e, "%" PRId64, tap * g->window.kw * tap_numbers(g));
    const char *from = text_at(e, x, "r", g->window.stride_h * g->row,
                               ((int64_t)tap * g->window.dilation_h - g->window.pad_top) * g->row);
    if (g->source == ONE_BY_ONE) {
        cw_line(e->w, "%s(%s, %s, %s);", name, from, text_at(e, "dy", "r", (int64_t)g->to.w * g->to.c, 0),
                text_plus(e, "dw", dw));
        return;
    }
    bool several = g->from_group > 1;
    if (several)
        cw_open(e->w, "for (int i = 0; i < %d; i++)", g->from_group);
    cw_line(e->w, "%s(rows, %s, %s, %s);", name, text_plus(e, from, !several ? "0" : g->source == SPREAD ? "i * V_LANES"
                                                           : "i"),
            text_at(e, "dy + j", "r", (int64_t)g->to.w * g->to.c, 0),
            text_plus(e, text_plus(e, "panel", dw), several ? "i * V_LANES" : "0"));
    if (several)
        cw_close(e->w, "");
}

/* The rows of a run, of those from `first` to `end` where the copy is of some rows only. */
static void open_run(struct emitter *e, const struct grouped *g, const struct row_run *r)
{
    int end = r->first + r->count;
    if (g->source == ONE_BY_ONE) {
        loop_open(e, "r", r->first, end, 1);
    } else if (g->source == SPREAD && g->band < g->to.h) {
        cw_open(e->w, "if (first < %d && end > %d) {", end, r->first);
        cw_line(e->w, "const int r = first > %d ? first : %d;", r->first, r->first);
        cw_line(e->w, "const int rows = (end < %d ? end : %d) - r;", end, end);
    } else {
        cw_open(e->w, "{");
        cw_line(e->w, "const int r = %d, rows = %d;", r->first, r->count);
    }
}

/* x: C text of where row 0 of x would be. */
static void emit_runs(struct emitter *e, const struct weight_grad *d, const char *x, int tail)
{
    struct row_run *runs;
    int count = rows_of(e->arena, &d->g, &runs);
    for (int i = 0; i < count; i++) {
        const struct row_run *r = &runs[i];
        if (!r->taps)
            continue;
        open_run(e, &d->g, r);
        for (int k = r->tap; k < r->tap + r->taps;) {
            int together = k - k % d->rows_at_once + d->rows_at_once - k, left = r->tap + r->taps - k;
            int taps = together < left ? together : left;
            emit_call(e, d, x, k, taps, tail);
            k += taps;
        }
        cw_close(e->w, "}");
    }
}

/* ---- one tap after the other ------------------------------------------------------------------------------------- */

/* NAME0 <= NAME < NAME1: the rows (columns) of dy whose tap k lies on x. */
static void emit_positions(struct emitter *e, const char *name, const char *k, int stride, int dilation, int before,
                           int extent, int most)
{
    cw_line(e->w, "const int %s_corner = %s%s;", name, text_times(e, k, dilation),
            before ? text_printf(e, " - %d", before) : "");
    cw_line(e->w, "const int %s0 = %s_corner < 0 ? %s : 0;", name, name,
            text_over(e, text_printf(e, "(%d - %s_corner)", stride - 1, name), stride));
    cw_line(e->w, "const int %s_end = %s_corner >= %d ? 0 : %s + 1;", name, name, extent,
            text_over(e, text_printf(e, "(%d - %s_corner)", extent - 1, name), stride));
    cw_line(e->w, "const int %s1 = %s_end < %d ? %s_end : %d;", name, name, most, name, most);
}

static void taps_vector(struct emitter *e, const void *data, const char *at, int tail)
{
    const struct weight_grad *d = data;
    const struct grouped *g = &d->g;
    const struct window *w = &g->window;
    const char *real = e->plan->real;
    bool alone = g->source == ONE_BY_ONE, banded = g->source == SPREAD && g->band < g->to.h;
    const char *filters = alone && strcmp(at, "0") ? text_times(e, at, (int)g->taps) : "0";
    cw_open(e->w, "for (int k = 0; k < %d; k++) {", w->kh);
    emit_positions(e, "r", "k", w->stride_h, w->dilation_h, w->pad_top, g->from.h, g->to.h);
    cw_open(e->w, "for (int q = 0; q < %d; q++) {", w->kw);
    emit_positions(e, "c", "q", w->stride_w, w->dilation_w, w->pad_left, g->from.w, g->to.w);
    if (g->from_group > 1)
        cw_open(e->w, "for (int i = 0; i < %d; i++) {", g->from_group);
    cw_line(e->w, "v sum = v_zero();");
    if (banded)
        cw_open(e->w, "for (int r = r0 > first ? r0 : first; r < r1 && r < end; r++) {");
    else
        cw_open(e->w, "for (int r = r0; r < r1; r++) {");
    cw_line(e->w, "v line = v_zero();");
    cw_open(e->w, "for (int c = c0; c < c1; c++) {");
    cw_line(e->w, "const %s *const from = x + %s * (ptrdiff_t)%" PRId64 " + (%s + c_corner) * %" PRId64 "%s%s;", real,
            banded ? text_printf(e, "(%s + r_corner - low)", text_times(e, "r", w->stride_h))
                   : text_printf(e, "(%s + r_corner)", text_times(e, "r", w->stride_h)),
            g->row, text_times(e, "c", w->stride_w), g->pixel, alone ? " + " : "", alone ? at : "");
    cw_line(e->w, "line = v_fma(%s, %s, line);", text_grouped(e, g, "from", 0, "i", tail),
            text_load(e, "dy", text_plus(e, text_printf(e, "(r * %d + c) * %d", g->to.w, g->to.c), alone ? at : "j"),
                      tail));
    cw_close(e->w, "}");
    cw_line(e->w, "sum = v_add(sum, line);");
    cw_close(e->w, "}");
    cw_line(e->w, "%s *const to = %s + (k * %d + q) * %" PRId64 "%s;", real, text_plus(e, alone ? "dw" : "panel",
            filters), w->kw, tap_numbers(g), g->from_group > 1 ? " + i * V_LANES" : "");
    line_store(e, "to", "0", "v_add(v_load(to), sum)", 0);
    if (g->from_group > 1)
        cw_close(e->w, "}");
    cw_close(e->w, "}");
    cw_close(e->w, "}");
}

/* ---- an image ---------------------------------------------------------------------------------------------------- */

static void emit_part(struct emitter *e, const struct weight_grad *d, const char *x, bool by_taps, int tail)
{
    if (!by_taps)
        emit_runs(e, d, x, tail);
    else if (d->g.source == ONE_BY_ONE)
        each_vector(e, "j", d->g.to.c, taps_vector, d);
    else
        taps_vector(e, d, "0", tail);
}

/* A vector of channels where they are in groups; x is that vector's own then. */
static void emit_vector(struct emitter *e, const struct weight_grad *d, bool by_taps, int tail)
{
    const struct grouped *g = &d->g;
    const char *real = e->plan->real;
    if (!grouped_open_vectors(e, g, tail))
        return;
    cw_line(e->w, "%s *const panel = dw + (size_t)j * %" PRId64 ";", real, g->panel / g->lanes);
    if (g->source == BROADCAST) {
        cw_line(e->w, "const %s *const x = x_image + %s;", real, text_times(e, text_over(e, "j", g->to_group),
                                                                            g->from_group));
        emit_part(e, d, "x", by_taps, tail);
    } else if (g->band == g->to.h) {
        cw_line(e->w, "const %s *const x = scratch;", real);
        cw_line(e->w, "%s(x_image, j, 0, %d, scratch);", emit_spread(e, g, tail), g->from.h);
        emit_part(e, d, "x", by_taps, tail);
    } else {
        cw_open(e->w, "for (int first = 0; first < %d; first += %d) {", g->to.h, g->band);
        cw_line(e->w, "const int end = first + %d < %d ? first + %d : %d;", g->band, g->to.h, g->band, g->to.h);
        emit_copy(e, g, "x_image", "end", tail);
        cw_line(e->w, "const %s *const x = scratch;", real);
        emit_part(e, d, by_taps ? "x" : text_printf(e, "x - low * (ptrdiff_t)%" PRId64, g->row), by_taps, tail);
        cw_close(e->w, "}");
    }
    cw_close(e->w, "}");
}

static const char *emit_sum(struct emitter *e, const struct step *step, bool by_taps)
{
    struct weight_grad d = weight_grad_of(e->plan, step->group->main);
    const struct grouped *g = &d.g;
    const char *real = e->plan->real, *x = g->source == ONE_BY_ONE ? "x" : "x_image";
    const char *scratch = g->source == SPREAD ? text_printf(e, ", %s *restrict scratch", real) : "";
    if (d.by_image) {
        emit_function(e, "const %s *%s, const %s *dy, %s *restrict dw%s", real, x, real, real, scratch);
    } else {
        emit_function(e, "int b, int n, const %s *x_batch, const %s *dy_batch, %s *restrict dw%s", real, real, real,
                      scratch);
        cw_line(e->w, "const int begin = %s, stop = %s;", text_over(e, "b * n", d.groups),
                text_over(e, "(b + 1) * n", d.groups));
        if (d.groups > 1)
            cw_line(e->w, "dw += (size_t)b * %" PRId64 ";", d.stored);
        cw_line(e->w, "memset(dw, 0, sizeof(%s) * %" PRId64 ");", real, d.stored);
        cw_open(e->w, "for (int image = begin; image < stop; image++) {");
        cw_line(e->w, "const %s *const %s = x_batch + (size_t)image * %" PRId64 ";", real, x, shape_elements(g->from));
        cw_line(e->w, "const %s *const dy = dy_batch + (size_t)image * %" PRId64 ";", real, shape_elements(g->to));
    }
    cw_line(e->w, "// x (%d, %d, %d), dy (%d, %d, %d)", g->from.h, g->from.w, g->from.c, g->to.h, g->to.w, g->to.c);
    if (g->source == ONE_BY_ONE) {
        emit_part(e, &d, "x", by_taps, 0);
    } else {
        emit_vector(e, &d, by_taps, 0);
        if (g->to.c % g->lanes)
            emit_vector(e, &d, by_taps, g->to.c % g->lanes);
    }
    if (!d.by_image)
        cw_close(e->w, "}");
    const char *hint = text_printf(e, "%s_weight_grad_%s", grouped_name(e, g), text_shape(e, g->from));
    return emit_end(e, hint, emit_comment(e, step));
}

/* ---- adding the partial sums ------------------------------------------------------------------------------------- */

static const char *emit_reduce(struct emitter *e, const struct step *step)
{
    struct weight_grad d = weight_grad_of(e->plan, step->group->main);
    const char *real = e->plan->real;
    emit_function(e, "int b, const %s *partial, %s *restrict dw", real, real);
    cw_line(e->w, "const int64_t first = b * INT64_C(%d), most = first + %d;", REDUCE_CHUNK, REDUCE_CHUNK);
    cw_line(e->w, "const int64_t end = most < %" PRId64 " ? most : %" PRId64 ";", d.stored, d.stored);
    cw_open(e->w, "for (int64_t i = first; i < end; i += V_LANES) {");
    emit_add_up(e, d.groups, d.stored, "partial", "i", "dw", "i");
    cw_close(e->w, "}");
    return emit_end(e, text_printf(e, "add_partial_%" PRId64, d.stored),
                    "Adds the partial sums of the image groups in their order.");
}

static const char *tiles_emit(struct emitter *e, const struct step *step)
{
    return step->part == PART_SUM ? emit_sum(e, step, false) : emit_reduce(e, step);
}

static const char *taps_emit(struct emitter *e, const struct step *step)
{
    return step->part == PART_SUM ? emit_sum(e, step, true) : emit_reduce(e, step);
}

const struct kernel kernel_grouped_conv2d_weight_grad_tiles = {
    .name = "tiles", .op = OP_grouped_conv2d_weight_grad, .applicable = tiles_applicable, .cost = tiles_cost,
    .plan = plan,
    .by_image = by_image, .emit = tiles_emit, .help = "vectors of channels, some rows of taps in registers",
};
const struct kernel kernel_grouped_conv2d_weight_grad_taps = {
    .name = "taps", .op = OP_grouped_conv2d_weight_grad, .applicable = always_applicable, .cost = taps_cost,
    .plan = plan,
    .by_image = by_image, .emit = taps_emit, .help = "vectors of channels, one tap after the other",
};
