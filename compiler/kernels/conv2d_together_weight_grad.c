/* conv2d_together_weight_grad.c - the gradient of a convolution's weights for images that lie together.
 *
 * A vector is one element of as many images: the register tile multiplies elements of x by those of dy lane by lane and
 * sums over pixels, and only at the end of a call are the lanes of each sum added.  Rows of the tile are (kw, c), which
 * lie side by side in a row of x, its vectors are channels of dy.  The sums of all weights lie in scratch meanwhile and
 * are added to in bands of rows that stay in the first-level cache.
 *
 * Rows of the window that lie outside of the map are left out, columns find zeros in a copy. */
#include <inttypes.h>
#include <string.h>

#include "kernels/conv_geometry.h"
#include "kernels/sums.h"
#include "kernels/together.h"

enum { VECTORS_MOST = 4 };

struct weight_grad {
    struct conv_geometry s;
    const struct tensor *x, *dy;
    int rows_total;             /* kw c */
    int vectors;                /* channels of dy in a tile; the last ones perhaps one less */
    int columns;                /* of x with its zeros */
    int band;                   /* rows of dy */
    int groups;                 /* of images, each with sums of its own */
    bool apart, copies;         /* x is put together, or copied */
    bool dy_apart;
    int64_t sums, db_stored;
};

/* dy and x of a band take about half of the first-level cache. */
static int choose_band(const struct plan *p, const struct weight_grad *g)
{
    int64_t row = ((int64_t)g->s.ow * g->s.o + (int64_t)g->columns * g->s.c * g->s.window.stride_h) * p->lanes *
                  p->real_size;
    int64_t most = (int64_t)(p->target->l1_bytes / 2) / row;
    return split_rows(g->s.oh, most < 1 ? 1 : most > g->s.oh ? g->s.oh : (int)most).large;
}

static double tiles_cycles(const struct plan *p, const struct weight_grad *g)
{
    double cycles = 0, depth = (double)g->band * g->s.ow;
    struct row_split o = split_rows(g->s.o, g->vectors);
    for (int narrow = 0; narrow < 2; narrow++) {
        int vectors = o.large - narrow, count = narrow ? o.small_count : o.large_count;
        if (!count)
            continue;
        struct row_split rows = split_rows(g->rows_total, tile_rows_max(p, vectors));
        cycles += count * (rows.large_count * together_tile_cycles(p, rows.large, vectors, depth) +
                           rows.small_count * together_tile_cycles(p, rows.large - 1, vectors, depth));
    }
    return cycles * g->s.window.kh * ((double)g->s.oh / g->band) * p->batch / p->lanes;
}

static struct weight_grad weight_grad_of(const struct plan *p, const struct group *group)
{
    const struct node *n = group->main;
    struct weight_grad g = { .s = conv_geometry_of(p, n), .x = n->in[0], .dy = n->in[1] };
    g.rows_total = g.s.window.kw * g.s.c;
    g.columns = g.s.pw > g.s.window.pad_left + g.s.w ? g.s.pw : g.s.window.pad_left + g.s.w;
    g.groups = together_groups(p);
    g.apart = !lies_together(group->program, g.x);
    g.dy_apart = !lies_together(group->program, g.dy);
    g.copies = g.apart || g.columns > g.s.w;
    g.sums = g.s.k * g.s.o;
    g.db_stored = plan_round(g.s.o, p->lanes);
    g.band = choose_band(p, &g);
    double least = 0;
    for (int vectors = 1; vectors <= VECTORS_MOST && vectors <= g.s.o; vectors++) {
        struct weight_grad other = g;
        other.vectors = vectors;
        double cycles = tiles_cycles(p, &other);
        if (!g.vectors || cycles < least) {
            g.vectors = vectors;
            least = cycles;
        }
    }
    return g;
}

/* The sums of a call stay in the second-level cache. */
bool together_weight_grad(const struct plan *p, const struct node *n)
{
    const struct window *w = &n->attr.window;
    int64_t sums = (int64_t)w->kh * w->kw * n->in[0]->shape.c * n->in[1]->shape.c;
    return w->dilation_h == 1 && w->dilation_w == 1 && w->pad_top >= 0 && w->pad_left >= 0 && w->pad_top < w->kh &&
           w->pad_left < w->kw && (double)(sums * p->lanes * p->real_size) < p->target->l2_bytes / 2;
}

static bool apart(const struct node *n, const struct tensor *t)
{
    return t == n->in[0] || t == n->in[1];
}

/* Elements of scratch: of the copies of x and of dy. */
static int64_t x_elements(const struct plan *p, const struct weight_grad *g)
{
    return g->copies ? (int64_t)g->s.h * g->columns * g->s.c * p->lanes : 0;
}

static int64_t dy_elements(const struct plan *p, const struct weight_grad *g)
{
    return g->dy_apart ? (int64_t)g->s.oh * g->s.ow * g->s.o * p->lanes : 0;
}

static double cost(const struct plan *p, const struct group *group)
{
    struct weight_grad g = weight_grad_of(p, group);
    double calls = (double)p->batch / p->lanes, cycles = tiles_cycles(p, &g);
    if (g.apart)
        cycles += together_turn_cycles(p, (int64_t)g.s.h * g.s.w * g.s.c);
    else if (g.copies)
        cycles += together_copy_cycles(p, (int64_t)g.s.h * g.columns * g.s.c);
    if (g.dy_apart)
        cycles += together_turn_cycles(p, (int64_t)g.s.oh * g.s.ow * g.s.o);
    return cycles + calls * (double)g.sums * p->target->costs->lane_sums;
}

static struct buffer *partial_buffer(struct plan *p, struct program *q, const struct tensor *t, int64_t elements,
                                     int groups)
{
    return plan_buffer(p, q, arena_printf(p->arena, "%s_partial", t->name), p->real, groups * elements * p->real_size);
}

static void plan(struct plan *p, struct program *q, struct group *group)
{
    struct weight_grad g = weight_grad_of(p, group);
    const struct tensor *dw = group->main->out[0], *db = group->companion ? group->companion->out[0] : NULL;
    int64_t stored = g.s.weight->stored;
    struct step *sum = plan_step(p, q, group, 0, SPLIT_IMAGES, 0, "weight gradient",
                                 2 * g.s.k * g.s.o * g.s.oh * g.s.ow * p->batch);
    struct step *reduce = plan_step(p, q, group, 1, SPLIT_BLOCKS, (stored + SUMS_CHUNK - 1) / SUMS_CHUNK,
                                    "weight gradient", 0);
    struct buffer *partial = partial_buffer(p, q, dw, stored, g.groups);
    struct buffer *bias_partial = db ? partial_buffer(p, q, db, g.db_stored, g.groups) : NULL;
    reduce->beside = true;
    sum->images = group->together;
    sum->groups = g.groups;
    step_takes(p, sum, ACCESS_READ, g.x);
    step_takes(p, sum, ACCESS_READ, g.dy);
    step_uses_cleared(p, sum, partial, stored);
    if (db)
        step_uses_cleared(p, sum, bias_partial, g.db_stored);
    step_is_told(p, sum, ARGUMENT_LEFT);
    step_scratch(p, sum, (g.sums * p->lanes + x_elements(p, &g) + dy_elements(p, &g)) * p->real_size);
    step_is_told(p, reduce, ARGUMENT_BLOCK);
    step_uses(p, reduce, ACCESS_READ, partial, TOUCH_ALL);
    step_takes_part(p, reduce, ACCESS_WRITE, dw, part_runs(stored, SUMS_CHUNK));
    if (db) {
        step_uses(p, reduce, ACCESS_READ, bias_partial, TOUCH_ALL);
        step_takes_in(p, reduce, ACCESS_WRITE, db, TOUCH_FIRST);
    }
}

/* ---- the sums ---------------------------------------------------------------------------------------------------- */

/* " + o * 16"; nothing for "0". */
static const char *term(struct emitter *e, const char *number, int64_t factor)
{
    if (!strcmp(number, "0"))
        return "";
    return text_printf(e, strchr(number, ' ') ? " + (%s) * %" PRId64 : " + %s * %" PRId64, number, factor);
}

/* Tiles of all (kw, c) for some channels of dy: `o`, C text of the first of them. */
static void emit_rows(struct emitter *e, const struct weight_grad *g, int vectors, const char *o)
{
    const struct window *w = &g->s.window;
    int lanes = e->plan->lanes;
    struct row_split rows = split_rows(g->rows_total, tile_rows_max(e->plan, vectors));
    struct tile t = { .vectors = vectors, .segments = 1, .depth = g->s.ow, .outer = true, .accumulate = true,
                      .a_vectors = true, .a_row = lanes, .b_vector = lanes, .c_vector = lanes };
    t.a_k = (int64_t)w->stride_w * g->s.c * lanes;
    t.a_outer = (int64_t)w->stride_h * g->columns * g->s.c * lanes;
    t.b_k = (int64_t)g->s.o * lanes;
    t.b_outer = g->s.ow * t.b_k;
    t.c_row = (int64_t)g->s.o * lanes;
    for (int small = 0; small < 2; small++) {
        int count = small ? rows.small_count : rows.large_count, first = small ? rows.large * rows.large_count : 0;
        if (!count)
            continue;
        t.rows = rows.large - small;
        const char *row = text_printf(e, "%d", first);
        if (count > 1) {
            loop_open(e, "r", 0, count, 1);
            row = text_plus(e, text_times(e, "r", t.rows), row);
        }
        const char *from = text_printf(e, "x_row%s", term(e, row, lanes));
        const char *to = text_printf(e, "sums_kh%s%s", term(e, row, t.c_row), term(e, o, lanes));
        cw_line(e->w, "%s(%s, dy_row%s, %s, end - begin);", emit_tile(e, &t), from, term(e, o, lanes), to);
        if (count > 1)
            cw_close(e->w, "}");
    }
}

static void emit_outputs(struct emitter *e, const struct weight_grad *g)
{
    struct row_split o = split_rows(g->s.o, g->vectors);
    for (int narrow = 0; narrow < 2; narrow++) {
        int count = narrow ? o.small_count : o.large_count, first = narrow ? o.large * o.large_count : 0;
        const char *at = text_printf(e, "%d", first);
        if (!count)
            continue;
        if (count > 1) {
            loop_open(e, "o", first, first + (int64_t)count * (o.large - narrow), o.large - narrow);
            at = "o";
        }
        emit_rows(e, g, o.large - narrow, at);
        if (count > 1)
            cw_close(e->w, "}");
    }
}

/* The rows of dy in the band whose row `kh` of the window lies inside of x: begin <= oh < end. */
static void emit_rows_inside(struct emitter *e, const struct weight_grad *g)
{
    const struct window *w = &g->s.window;
    const char *last = g->band == g->s.oh ? text_printf(e, "%d", g->s.oh) : "last";
    const char *first = g->band == g->s.oh ? "0" : "first";
    const char *format = w->stride_h == 1 ? "%d - kh" : "(%d - kh)";
    const char *low = text_printf(e, format, w->pad_top + w->stride_h - 1),
               *high = text_printf(e, format, g->s.h - 1 + w->pad_top + w->stride_h);
    cw_line(e->w, "const int low = %s, high = %s;", text_over(e, low, w->stride_h), text_over(e, high, w->stride_h));
    cw_line(e->w, "const int begin = low > %s ? low : %s, end = high < %s ? high : %s;", first, first, last, last);
}

static void emit_bands(struct emitter *e, const struct weight_grad *g)
{
    const struct window *w = &g->s.window;
    const char *real = e->plan->real;
    int lanes = e->plan->lanes;
    int64_t row = (int64_t)g->columns * g->s.c * lanes;
    if (g->band < g->s.oh) {
        cw_open(e->w, "for (int first = 0; first < %d; first += %d) {", g->s.oh, g->band);
        cw_line(e->w, "const int last = first + %d < %d ? first + %d : %d;", g->band, g->s.oh, g->band, g->s.oh);
    }
    loop_open(e, "kh", 0, w->kh, 1);
    emit_rows_inside(e, g);
    cw_open(e->w, "if (begin < end) {");
    cw_line(e->w, "const %s *const x_row = from + (%s + kh%s) * %" PRId64 ";", real,
            text_times(e, "begin", w->stride_h), text_shift(e, -w->pad_top), row);
    cw_line(e->w, "const %s *const dy_row = dy + begin * %" PRId64 ";", real, (int64_t)g->s.ow * g->s.o * lanes);
    cw_line(e->w, "%s *const sums_kh = sums + kh * %" PRId64 ";", real, (int64_t)g->rows_total * g->s.o * lanes);
    emit_outputs(e, g);
    cw_close(e->w, "}");
    cw_close(e->w, "}");
    if (g->band < g->s.oh)
        cw_close(e->w, "}");
}

static void emit_lane_sums(struct emitter *e, const struct weight_grad *g)
{
    int panel = g->s.weight->panel;
    loop_open(e, "k", 0, g->s.k, 1);
    loop_open(e, "o", 0, g->s.o, 1);
    const char *at = g->s.o <= panel ? text_printf(e, "k * %d + o", panel)
                                     : text_printf(e, "o / %d * %" PRId64 " + k * %d + o %% %d", panel, g->s.k * panel,
                                                   panel, panel);
    cw_line(e->w, "dw[%s] += v_sum(v_select(used, v_load(sums + (k * %d + o) * V_LANES), v_zero()));", at, g->s.o);
    cw_close(e->w, "}");
    cw_close(e->w, "}");
}

/* ---- the bias gradient that comes along -------------------------------------------------------------------------- */

static void add_dy(struct emitter *e, const void *data, const char *const *sum, const char *col, const char *at, int k,
                   int tail)
{
    (void)data;
    (void)col;
    (void)k;
    (void)tail;
    cw_line(e->w, "%s = v_add(%s, %s);", sum[0], sum[0], text_load(e, "dy", at, 0));
}

static void store_db(struct emitter *e, const void *data, const char *const *sum, const char *col, int tail)
{
    (void)data;
    (void)tail;
    cw_line(e->w, "db[(%s) / V_LANES] += v_sum(v_select(used, %s, v_zero()));", col, sum[0]);
}

static const char *emit_sum(struct emitter *e, const struct step *step)
{
    const struct group *group = step->group;
    struct weight_grad g = weight_grad_of(e->plan, group);
    const char *real = e->plan->real;
    int lanes = e->plan->lanes;
    bool bias = group->companion != NULL;
    emit_function(e, "const %s *x, const %s *dy, %s *restrict dw%s, int left, %s *restrict sums", real, real, real,
                  bias ? text_printf(e, ", %s *restrict db", real) : "", real);
    emit_used_lanes(e);
    if (g.copies) {
        cw_line(e->w, "%s *const copy = sums + %" PRId64 ";", real, g.sums * lanes);
        if (g.apart)
            emit_turn_in(e, "x", "copy", g.s.h, g.s.w, g.s.c, g.s.window.pad_left, g.columns);
        else
            emit_padded_copy(e, "x", "copy", g.s.h, g.s.w, g.s.c * lanes, 0, g.s.window.pad_left, g.s.h, g.columns);
    }
    if (g.dy_apart) {
        cw_line(e->w, "%s *const turned = sums + %" PRId64 ";", real, g.sums * lanes + x_elements(e->plan, &g));
        emit_turn_in(e, "dy", "turned", g.s.oh, g.s.ow, g.s.o, 0, g.s.ow);
        cw_line(e->w, "dy = turned;");
    }
    cw_line(e->w, "const %s *const from = %s;", real, g.copies ? "copy" : "x");
    cw_line(e->w, "memset(sums, 0, sizeof(%s) * %" PRId64 ");", real, g.sums * lanes);
    emit_bands(e, &g);
    emit_lane_sums(e, &g);
    if (bias) {
        struct pixel_sums sums = { .shape = { .c = g.s.o * lanes, .h = g.s.oh, .w = g.s.ow }, .sums = 1, .add = add_dy,
                                   .store = store_db };
        emit_pixel_sums(e, &sums);
    }
    const char *hint = text_printf(e, "%s_together_weight_grad_%dx%dx%d_to_%d", conv_name(e, &g.s), g.s.c, g.s.h, g.s.w,
                                   g.s.o);
    return emit_end(e, hint, emit_comment(e, step));
}

static const char *emit(struct emitter *e, const struct step *step)
{
    if (step->part == 0)
        return emit_sum(e, step);
    struct weight_grad g = weight_grad_of(e->plan, step->group);
    return emit_weight_sums(e, step, g.groups, g.s.weight->stored, g.db_stored);
}

const struct kernel kernel_conv2d_together_weight_grad = {
    .name = "together", .op = OP_conv2d_weight_grad, .applicable = always_applicable, .cost = cost, .plan = plan,
    .emit = emit, .together = together_weight_grad, .only_together = true, .apart = apart,
    .help = "register tiles over pixels, images in vectors",
};
