/* conv2d_together.c - the forward convolution and the gradient of its input for images that lie together.
 *
 * A vector is one element of as many images, so no lane is idle however few channels there are.  The register tile has
 * channels of the result as rows, for which weights are broadcast, and neighbouring pixels as vectors.  The weights are
 * read as they lie, for the gradient too: there the rows are their input channels, and the sum runs over the outputs.
 *
 * Rows of the window that lie outside of the map are left out; of columns those that are outside for all pixels of a
 * tile, the others find zeros in a copy of the map that has some at both ends of each row.  The copy is also where
 * images that lie apart are put together; where those of the result do, it is made in scratch, and turned over behind
 * the loops. */
#include <inttypes.h>
#include <string.h>

#include "kernels/conv_geometry.h"
#include "kernels/together.h"

enum { VECTORS_MOST = 4 };

/* y[oh][ow] gathers x[oh stride +- (kh - pad)][ow stride +- (kw - pad)]: + forward, - for the gradient. */
struct gather {
    struct conv_geometry s;
    bool gradient;
    const struct tensor *from, *to;
    int ic, ih, iw, oc, oh, ow; /* of what is read, and of what is made */
    int vectors;                /* pixels of a tile, the last ones of a row perhaps one less */
    int left, columns;          /* zeros before each row of the copy; columns with those behind it */
    bool apart, result_apart;   /* images of x are put together first; those of the result taken apart */
    bool copies;
};

/* Pixels of a row that are a tile, and the columns of the window that any of them needs: k0 <= kw < k1. */
struct pixels {
    int first, count, k0, k1;
};

static int column_of(const struct gather *g, int pixel, int k)
{
    int at = k - g->s.window.pad_left;
    return pixel * (g->gradient ? 1 : g->s.window.stride_w) + (g->gradient ? -at : at);
}

static struct pixels pixels_of(const struct gather *g, int first, int count)
{
    struct pixels t = { .first = first, .count = count, .k0 = g->s.window.kw };
    for (int pixel = first; pixel < first + count; pixel++)
        for (int k = 0; k < g->s.window.kw; k++) {
            int at = column_of(g, pixel, k);
            if (at < 0 || at >= g->iw)
                continue;
            t.k0 = k < t.k0 ? k : t.k0;
            t.k1 = k >= t.k1 ? k + 1 : t.k1;
        }
    return t;
}

/* Tile number i of a row. */
static struct pixels pixels_number(const struct gather *g, int i)
{
    struct row_split cut = split_rows(g->ow, g->vectors);
    if (i < cut.large_count)
        return pixels_of(g, i * cut.large, cut.large);
    return pixels_of(g, cut.large * cut.large_count + (i - cut.large_count) * (cut.large - 1), cut.large - 1);
}

static int pixels_count(const struct gather *g)
{
    struct row_split cut = split_rows(g->ow, g->vectors);
    return cut.large_count + cut.small_count;
}

/* Multiply-adds of a sum with so many columns of the window, where all its rows are inside. */
static int64_t depth_of(const struct gather *g, int columns)
{
    return (int64_t)g->s.window.kh * columns * g->ic;
}

/* Rows of the window that lie inside of the map, for all rows of the result, and how many there would be. */
static double rows_inside(const struct gather *g)
{
    const struct window *w = &g->s.window;
    int inside = 0;
    for (int oh = 0; oh < g->oh; oh++)
        for (int k = 0; k < w->kh; k++) {
            int at = g->gradient ? oh + w->pad_top - k : oh * w->stride_h + k - w->pad_top;
            inside += at >= 0 && at < g->ih;
        }
    return (double)inside / ((double)g->oh * w->kh);
}

static bool rows_are_partial(const struct gather *g)
{
    return rows_inside(g) < 1;
}

/* Channels of the result whose weights lie side by side, and how many such panels there are. */
static int panel_of(const struct gather *g)
{
    return g->gradient ? g->oc : g->s.weight->panel;
}

static double tiles_cycles(const struct plan *p, const struct gather *g)
{
    double cycles = 0, inside = rows_inside(g);
    int panel = panel_of(g);
    for (int i = 0; i < pixels_count(g); i++) {
        struct pixels t = pixels_number(g, i);
        double depth = (double)depth_of(g, t.k1 - t.k0) * inside;
        for (int first = 0; first < g->oc; first += panel) {
            struct row_split rows = split_rows(g->oc - first < panel ? g->oc - first : panel,
                                               tile_rows_max(p, t.count));
            cycles += rows.large_count * together_tile_cycles(p, rows.large, t.count, depth);
            cycles += rows.small_count * together_tile_cycles(p, rows.large - 1, t.count, depth);
        }
    }
    return cycles * g->oh * p->batch / p->lanes;
}

/* Columns of zeros that the tiles read before and behind a row. */
static void find_zeros(struct gather *g)
{
    int least = 0, most = g->iw - 1;
    for (int i = 0; i < pixels_count(g); i++) {
        struct pixels t = pixels_number(g, i);
        for (int corner = 0; corner < 4 && t.k1 > t.k0; corner++) {
            int at = column_of(g, corner & 1 ? t.first + t.count - 1 : t.first, corner & 2 ? t.k1 - 1 : t.k0);
            least = at < least ? at : least;
            most = at > most ? at : most;
        }
    }
    g->left = -least;
    g->columns = g->left + most + 1;
}

static struct gather gather_of(const struct plan *p, const struct group *group)
{
    const struct node *n = group->main;
    struct gather g = { .s = conv_geometry_of(p, n), .gradient = n->op == OP_conv2d_data_grad, .from = n->in[0],
                        .to = group->result };
    g.ic = g.gradient ? g.s.o : g.s.c, g.ih = g.gradient ? g.s.oh : g.s.h, g.iw = g.gradient ? g.s.ow : g.s.w;
    g.oc = g.gradient ? g.s.c : g.s.o, g.oh = g.gradient ? g.s.h : g.s.oh, g.ow = g.gradient ? g.s.w : g.s.ow;
    double least = 0;
    for (int vectors = 1; vectors <= VECTORS_MOST && vectors <= g.ow; vectors++) {
        struct gather other = g;
        other.vectors = vectors;
        double cycles = tiles_cycles(p, &other);
        if (!g.vectors || cycles < least) {
            g.vectors = vectors;
            least = cycles;
        }
    }
    find_zeros(&g);
    g.apart = !lies_together(group->program, g.from);
    g.result_apart = !lies_together(group->program, g.to);
    g.copies = g.apart || g.columns > g.iw;
    return g;
}

/* Windows of neighbouring pixels, of which every pixel of the result has one that reaches into the map. */
bool together_conv(const struct plan *p, const struct node *n)
{
    (void)p;
    const struct window *w = &n->attr.window;
    int pads[] = { w->pad_top, w->pad_bottom, w->pad_left, w->pad_right };
    for (int i = 0; i < 4; i++)
        if (pads[i] < 0 || pads[i] >= (i < 2 ? w->kh : w->kw))
            return false;
    if (w->dilation_h != 1 || w->dilation_w != 1)
        return false;
    /* the sum of a gradient runs over one panel */
    return n->op == OP_conv2d ||
           (w->stride_h == 1 && w->stride_w == 1 && n->in[0]->shape.c <= plan_param(p, n->in[1])->panel);
}

bool together_apart(const struct node *n, const struct tensor *t)
{
    return t == n->in[0] || t == n->out[0];
}

static double cost(const struct plan *p, const struct group *group)
{
    struct gather g = gather_of(p, group);
    double cycles = tiles_cycles(p, &g) + group_chain_cycles(p, group);
    if (g.apart)
        cycles += together_turn_cycles(p, (int64_t)g.ih * g.iw * g.ic);
    else if (g.copies)
        cycles += together_copy_cycles(p, (int64_t)g.ih * g.columns * g.ic);
    if (g.result_apart)
        cycles += together_turn_cycles(p, (int64_t)g.oh * g.ow * g.oc);
    return cycles;
}

/* Elements of scratch: of the copy, and of the result where it is turned over. */
static int64_t copy_elements(const struct plan *p, const struct gather *g)
{
    return g->copies ? (int64_t)g->ih * g->columns * g->ic * p->lanes : 0;
}

static int64_t result_elements(const struct plan *p, const struct gather *g)
{
    return g->result_apart ? (int64_t)g->oh * g->ow * g->oc * p->lanes : 0;
}

static void plan(struct plan *p, struct program *q, struct group *group)
{
    struct gather g = gather_of(p, group);
    struct step *s = plan_step(p, q, group, 0, SPLIT_IMAGES, 0, plan_way(group),
                               2 * g.s.k * g.s.o * g.s.oh * g.s.ow * p->batch);
    s->images = group->together;
    step_takes(p, s, ACCESS_READ, g.from);
    step_takes(p, s, ACCESS_READ, group->main->in[1]);
    step_takes(p, s, ACCESS_WRITE, group->result);
    step_takes_chain(p, s);
    if (g.copies || g.result_apart)
        step_scratch(p, s, (copy_elements(p, &g) + result_elements(p, &g)) * p->real_size);
}

/* ---- the tiles --------------------------------------------------------------------------------------------------- */

/* " + t * 12"; nothing where there is no such loop. */
static const char *term(struct emitter *e, const char *variable, int64_t factor)
{
    return variable && factor ? text_printf(e, " + %s * %" PRId64, variable, factor) : "";
}

/* Where the tiles of a call are: numbers of the loops around it, NULL: of one turn. */
struct tile_place {
    const char *panel, *rows, *pixels;
    int64_t panels_before, rows_before;         /* channels of the result, in the panel */
};

static void emit_call_of_tile(struct emitter *e, const struct gather *g, const struct chain *chain,
                              const struct pixels *t, int rows, const struct tile_place *at)
{
    const struct window *w = &g->s.window;
    int lanes = e->plan->lanes, panel = g->s.weight->panel;
    int64_t tap = (int64_t)g->s.c * panel, row = (int64_t)g->columns * g->ic * lanes;
    struct tile tile = { .rows = rows, .vectors = t->count, .c_row = lanes, .c_vector = (int64_t)g->oc * lanes,
                         .b_k = lanes, .chain = chain };
    tile.b_vector = (int64_t)(g->gradient ? 1 : w->stride_w) * g->ic * lanes;
    tile.outer = rows_are_partial(g);
    tile.a_outer = w->kw * tap;
    tile.b_outer = g->gradient ? -row : row;
    if (g->gradient) {
        tile.a_row = panel;
        tile.a_k = 1;
        tile.segments = t->k1 - t->k0;
        tile.depth = g->ic;
        tile.a_segment = tap;
        tile.b_segment = -(int64_t)g->ic * lanes;
    } else {
        tile.a_row = 1;
        tile.a_k = panel;
        tile.segments = 1;
        tile.depth = (int64_t)(t->k1 - t->k0) * g->ic;
    }
    if (!tile.outer && !g->gradient && w->kh > 1) {     /* all rows of the window */
        tile.segments = w->kh;
        tile.a_segment = tile.a_outer;
        tile.b_segment = tile.b_outer;
    } else if (!tile.outer && w->kh > 1) {
        tile.outer = true;
    }
    if (t->k1 <= t->k0)
        tile = (struct tile){ .rows = rows, .vectors = t->count, .c_row = tile.c_row, .c_vector = tile.c_vector,
                              .chain = chain };
    int64_t step = (int64_t)t->count * (g->gradient ? 1 : w->stride_w) * g->ic * lanes;
    int64_t panels = at->panels_before / panel_of(g), channels = at->panels_before + at->rows_before;
    const char *a = text_printf(e, "w_row%s%s%s", term(e, at->panel, g->s.k * panel),
                                term(e, at->rows, rows * tile.a_row),
                                text_offset(e, panels * g->s.k * panel + t->k0 * tap + at->rows_before * tile.a_row));
    const char *b = text_printf(e, "x_row%s%s", term(e, at->pixels, step),
                                text_offset(e, (int64_t)(column_of(g, t->first, t->k0) + g->left) * g->ic * lanes));
    const char *into = text_printf(e, "at%s%s%s%s", term(e, at->pixels, (int64_t)t->count * g->oc * lanes),
                                   term(e, at->panel, (int64_t)panel_of(g) * lanes), term(e, at->rows, rows * lanes),
                                   text_offset(e, ((int64_t)t->first * g->oc + channels) * lanes));
    const char *channel = text_printf(e, "%" PRId64, channels);
    channel = text_plus(e, at->rows ? text_times(e, at->rows, rows) : "0", channel);
    channel = text_plus(e, at->panel ? text_times(e, at->panel, panel_of(g)) : "0", channel);
    const char *result = g->result_apart ? "together" : "y", *name = emit_tile(e, &tile), *more = chain ? chain_pass(e,
            chain, channel, into) : "";
    if (tile.segments)
        cw_line(e->w, "%s(%s, %s, %s + %s%s%s);", name, a, b, result, into, tile.outer ? ", kh1 - kh0" : "", more);
    else
        cw_line(e->w, "%s(%s + %s%s);", name, result, into, more);
}

/* All channels of a panel. */
static void emit_channels(struct emitter *e, const struct gather *g, const struct chain *chain, const struct pixels *t,
                          int channels, struct tile_place at)
{
    struct row_split rows = split_rows(channels, tile_rows_max(e->plan, t->count));
    for (int small = 0; small < 2; small++) {
        int count = small ? rows.small_count : rows.large_count;
        at.rows = count > 1 ? "c" : NULL;
        at.rows_before = small ? rows.large * rows.large_count : 0;
        if (!count)
            continue;
        if (count > 1)
            loop_open(e, "c", 0, count, 1);
        emit_call_of_tile(e, g, chain, t, rows.large - small, &at);
        if (count > 1)
            cw_close(e->w, "}");
    }
}

static void emit_pixels(struct emitter *e, const struct gather *g, const struct chain *chain, const struct pixels *t,
                        int count)
{
    int panel = panel_of(g), whole = g->oc / panel;
    struct tile_place at = { .pixels = count > 1 ? "t" : NULL };
    if (count > 1)
        loop_open(e, "t", 0, count, 1);
    at.panel = whole > 1 ? "p" : NULL;
    if (whole > 1)
        loop_open(e, "p", 0, whole, 1);
    if (whole)
        emit_channels(e, g, chain, t, panel, at);
    if (whole > 1)
        cw_close(e->w, "}");
    at.panel = NULL;
    at.panels_before = (int64_t)whole * panel;
    if (g->oc % panel)
        emit_channels(e, g, chain, t, g->oc % panel, at);
    if (count > 1)
        cw_close(e->w, "}");
}

/* The row `oh` of the result: tiles that need the same columns of the window share a loop. */
static void emit_row(struct emitter *e, const struct gather *g, const struct chain *chain)
{
    int tiles = pixels_count(g);
    for (int i = 0, count; i < tiles; i += count) {
        struct pixels first = pixels_number(g, i);
        for (count = 1; i + count < tiles; count++) {
            struct pixels next = pixels_number(g, i + count);
            if (next.count != first.count || next.k0 != first.k0 || next.k1 != first.k1)
                break;
        }
        emit_pixels(e, g, chain, &first, count);
    }
}

/* The rows of the window that lie inside of the map: kh0 <= kh < kh1. */
static void emit_rows_inside(struct emitter *e, const struct gather *g)
{
    const struct window *w = &g->s.window;
    if (!rows_are_partial(g)) {
        if (g->gradient && w->kh > 1)
            cw_line(e->w, "const int kh0 = 0, kh1 = %d;", w->kh);
        return;
    }
    if (g->gradient) {
        cw_line(e->w, "const int low = oh%s, high = oh%s;", text_shift(e, w->pad_top - (g->ih - 1)),
                text_shift(e, w->pad_top + 1));
        cw_line(e->w, "const int kh0 = low > 0 ? low : 0, kh1 = high < %d ? high : %d;", w->kh, w->kh);
    } else {
        cw_line(e->w, "const int top = %s%s;", text_times(e, "oh", w->stride_h), text_shift(e, -w->pad_top));
        cw_line(e->w, "const int kh0 = top < 0 ? -top : 0, kh1 = top + %d > %d ? %d - top : %d;", w->kh, g->ih, g->ih,
                w->kh);
    }
}

static void emit_rows(struct emitter *e, const struct gather *g, const struct chain *chain)
{
    const struct window *w = &g->s.window;
    const char *real = e->plan->real, *from = g->copies ? "copy" : "x";
    int lanes = e->plan->lanes;
    bool counts = rows_are_partial(g) || (g->gradient && w->kh > 1);
    const char *row;
    loop_open(e, "oh", 0, g->oh, 1);
    emit_rows_inside(e, g);
    if (g->gradient)
        row = text_printf(e, "oh%s%s", text_offset(e, w->pad_top), counts ? " - kh0" : "");
    else
        row = rows_are_partial(g) ? "top + kh0" : text_times(e, "oh", w->stride_h);
    if (strchr(row, ' '))
        row = text_printf(e, "(%s)", row);
    cw_line(e->w, "const %s *const x_row = %s + %s * %" PRId64 ";", real, from, row,
            (int64_t)g->columns * g->ic * lanes);
    if (counts)
        cw_line(e->w, "const %s *const w_row = w + kh0 * %" PRId64 ";", real,
                (int64_t)w->kw * g->s.c * g->s.weight->panel);
    else
        cw_line(e->w, "const %s *const w_row = w;", real);
    cw_line(e->w, "const int at = oh * %" PRId64 ";", (int64_t)g->ow * g->oc * lanes);
    emit_row(e, g, chain);
    cw_close(e->w, "}");
}

static const char *emit(struct emitter *e, const struct step *step)
{
    const struct group *group = step->group;
    struct gather g = gather_of(e->plan, group);
    const char *real = e->plan->real;
    bool scratch = g.copies || g.result_apart;
    struct chain chain;
    chain_make(e->plan, group, &chain);
    emit_function(e, "const %s *x, const %s *w, %s *restrict y%s%s", real, real, real, chain_parameters(e, &chain),
                  scratch ? text_printf(e, ", %s *restrict %s", real, g.copies ? "copy" : "together") : "");
    if (g.copies && g.result_apart)
        cw_line(e->w, "%s *const together = copy + %" PRId64 ";", real, copy_elements(e->plan, &g));
    if (g.apart)
        emit_turn_in(e, "x", "copy", g.ih, g.iw, g.ic, g.left, g.columns);
    else if (g.copies)
        emit_padded_copy(e, "x", "copy", g.ih, g.iw, g.ic * e->plan->lanes, 0, g.left, g.ih, g.columns);
    emit_rows(e, &g, group->chain_count && !g.result_apart ? &chain : NULL);
    if (g.result_apart)
        emit_turn_out(e, "together", "y", (int64_t)g.oh * g.ow * g.oc);
    if (g.result_apart && group->chain_count)
        chain_over_image(e, &chain, "y", "y", "0", (int64_t)g.oh * g.ow * e->plan->lanes, g.oc);
    const char *hint = text_printf(e, "%s_together%s_%dx%dx%d_to_%dx%dx%d", conv_name(e, &g.s),
                                   g.gradient ? "_data_grad" : "", g.ic, g.ih, g.iw, g.oc, g.oh, g.ow);
    return emit_end(e, hint, emit_comment(e, step));
}

const struct kernel kernel_conv2d_together = {
    .name = "together", .op = OP_conv2d, .fuses_chain = true, .applicable = always_applicable, .cost = cost,
    .plan = plan,
    .emit = emit, .together = together_conv, .only_together = true, .apart = together_apart,
    .help = "register tiles of channels x pixels, images in vectors",
};

const struct kernel kernel_conv2d_together_data_grad = {
    .name = "together", .op = OP_conv2d_data_grad, .fuses_chain = true, .applicable = always_applicable, .cost = cost,
    .plan = plan, .emit = emit, .together = together_conv, .only_together = true, .apart = together_apart,
    .help = "register tiles of channels x pixels, images in vectors",
};
