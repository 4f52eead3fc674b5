/* product.c - loops of register tiles over the rows and panels of a product. */
#include <inttypes.h>
#include <string.h>

#include "kernels/loops.h"
#include "kernels/product.h"

struct panels product_panels(const struct plan *p, int channels, int panel)
{
    struct panels s = { .vectors = panel / p->lanes };
    int vectors = (channels + p->lanes - 1) / p->lanes, tail = channels % p->lanes;
    s.whole = channels / panel;
    if (channels % panel) {
        s.last_vectors = vectors - s.whole * s.vectors;
        s.last_tail = tail;
    }
    return s;
}

/* text + variable * factor; factor 0 adds nothing. */
static const char *add_term(struct emitter *e, const char *text, const char *variable, int64_t factor)
{
    if (!factor || !variable)
        return text;
    const char *term = text_times(e, variable, factor);
    return !strcmp(text, "0") ? term : arena_printf(e->arena, "%s + %s", text, term);
}

/* The call of a tile: number `step` (NULL: 0) of those from row `first` of the line on. */
static void emit_call(struct emitter *e, const struct product *t, const struct tile *tile, const char *step, int first,
                      const char *panel, const char *line)
{
    const char *name = emit_tile(e, tile);
    int64_t a_first = first * t->tile.a_row, c_first = first * t->tile.c_row;
    const char *a = add_term(e, t->a, line, t->a_line), *c = add_term(e, t->c, line, t->c_line);
    const char *at = add_term(e, t->at, line, t->c_line);
    a = add_term(e, a, step, tile->rows * t->tile.a_row);
    c = add_term(e, c, step, tile->rows * t->tile.c_row);
    at = add_term(e, at, step, tile->rows * t->tile.c_row);
    if (a_first)
        a = arena_printf(e->arena, "%s + %" PRId64, a, a_first);
    if (c_first)
        c = arena_printf(e->arena, "%s + %" PRId64, c, c_first);
    if (c_first)
        at = !strcmp(at, "0") ? arena_printf(e->arena, "%" PRId64, c_first)
                              : arena_printf(e->arena, "%s + %" PRId64, at, c_first);
    const char *col = add_term(e, "0", panel, t->panel);
    c = add_term(e, c, panel, t->panel);
    at = add_term(e, at, panel, t->panel);
    const char *b = add_term(e, t->b, panel, t->panel_stride);
    const char *chain = tile->chain ? chain_pass(e, tile->chain, col, at) : "";
    if (tile->segments)
        cw_line(e->w, "%s(%s, %s, %s%s);", name, a, b, c, chain);
    else
        cw_line(e->w, "%s(%s%s);", name, c, chain);
}

/* Runs of sums end after so many tiles of a line, or with it. */
enum { RUN = 16 };

/* Behind tile t of the only line: the run of `channels` channels from that of the panel on may end. */
static void emit_run_end(struct emitter *e, const struct product *t, const char *step, const char *panel, int channels)
{
    if (t->lines > 1 || !step || !chain_has_sums(t->tile.chain))
        return;
    cw_open(e->w, "if (t %% %d == %d)", RUN, RUN - 1);
    chain_sums_take(e, t->tile.chain, add_term(e, "0", panel, t->panel), channels);
    cw_close(e->w, "");
}

/* Behind line r: likewise. */
static void emit_line_run_end(struct emitter *e, const struct product *t, const char *panel, int channels)
{
    int64_t lines = RUN / (t->length > RUN ? RUN : t->length);
    if (!chain_has_sums(t->tile.chain))
        return;
    if (lines > 1)
        cw_open(e->w, "if (r %% %" PRId64 " == %" PRId64 ")", lines, lines - 1);
    chain_sums_take(e, t->tile.chain, add_term(e, "0", panel, t->panel), channels);
    if (lines > 1)
        cw_close(e->w, "");
}

/* One loop of `count` tiles of `rows` rows, from row `first` of the line on; `end`: those of a band alone, up to it. */
static void emit_tiles(struct emitter *e, const struct product *t, const struct tile *tile, int count, int first,
                       const char *panel, const char *line, const char *end)
{
    if (!count)
        return;
    const char *step = count > 1 ? "t" : NULL;
    bool many = t->ask || chain_has_sums(t->tile.chain);
    if (end)
        cw_open(e->w, "for (int t = band; t < %s; t++)%s", end, many ? " {" : "");
    else if (count > 1)
        cw_open(e->w, "for (int t = 0; t < %d; t++)%s", count, many ? " {" : "");
    if (t->ask) {
        int64_t before = first / (tile->rows + 1);      /* the tiles before these have a row more */
        const char *at_tile = add_term(e, before ? arena_printf(e->arena, "%" PRId64, before * t->ask_step) : "0", step,
                                       t->ask_step);
        char *maps = "";
        for (int i = 0; i < t->asked_count; i++)
            maps = arena_printf(e->arena, "%s%s%s", maps, i ? ", " : "", text_plus(e, t->asked[i], at_tile));
        cw_line(e->w, "%s(%s);", t->ask, maps);
    }
    emit_call(e, t, tile, step, first, panel, line);
    emit_run_end(e, t, step, panel, tile->vectors * e->plan->lanes);
    if (count > 1)
        cw_close(e->w, many ? "}" : "");
}

/* `end`: the lines of a band alone, up to it. */
static void emit_lines(struct emitter *e, const struct product *t, int vectors, int tail, const char *panel,
                       const char *end)
{
    struct tile tile = t->tile;
    tile.vectors = vectors;
    tile.tail = tail;
    struct row_split split = split_rows(t->length, tile_rows_max(e->plan, vectors));
    const char *line = t->lines > 1 ? "r" : NULL;
    if (end)
        cw_open(e->w, "for (int r = band; r < %s; r++) {", end);
    else if (line)
        loop_open(e, "r", 0, t->lines, 1);
    tile.rows = split.large;
    emit_tiles(e, t, &tile, split.large_count, 0, panel, line, NULL);
    tile.rows = split.large - 1;
    emit_tiles(e, t, &tile, split.small_count, split.large * split.large_count, panel, line, NULL);
    if (line) {
        emit_line_run_end(e, t, panel, vectors * e->plan->lanes);
        cw_close(e->w, "}");
    }
}

/* ---- row by row -------------------------------------------------------------------------------------------------- */

bool product_by_rows(const struct plan *p, const struct product *t)
{
    double bytes = (double)t->tile.depth * t->tile.segments * t->channels * p->real_size;
    return t->tile.segments && t->tile.depth * t->tile.segments < FAR_DEPTH && t->channels > t->panel && !t->ask &&
           bytes <= p->target->l1_bytes / 2;
}

/* Tiles of `rows` rows of all panels, one after the other. */
static void emit_across(struct emitter *e, const struct product *t, int rows, int count, int first, const char *line)
{
    if (!count)
        return;
    struct panels s = product_panels(e->plan, t->channels, t->panel);
    const char *step = count > 1 ? "t" : NULL;
    struct tile tile = t->tile;
    tile.rows = rows;
    tile.vectors = s.vectors;
    if (count > 1)
        cw_open(e->w, "for (int t = 0; t < %d; t++) {", count);
    if (s.whole > 1)
        cw_open(e->w, "for (int p = 0; p < %d; p++)", s.whole);
    emit_call(e, t, &tile, step, first, s.whole > 1 ? "p" : NULL, line);
    if (s.whole > 1)
        cw_close(e->w, "");
    tile.vectors = s.last_vectors;
    tile.tail = s.last_tail;
    if (s.last_vectors)
        emit_call(e, t, &tile, step, first, arena_printf(e->arena, "%d", s.whole), line);
    emit_run_end(e, t, step, NULL, t->channels);
    if (count > 1)
        cw_close(e->w, "}");
}

static void emit_by_rows(struct emitter *e, struct product *t)
{
    const char *line = t->lines > 1 ? "r" : NULL;
    struct row_split split = split_rows(t->length, tile_rows_max(e->plan, t->panel / e->plan->lanes));
    t->tile.below = true;
    if (line)
        loop_open(e, "r", 0, t->lines, 1);
    emit_across(e, t, split.large, split.large_count, 0, line);
    emit_across(e, t, split.large - 1, split.small_count, split.large * split.large_count, line);
    if (line) {
        emit_line_run_end(e, t, NULL, t->channels);
        cw_close(e->w, "}");
    }
}

/* ---- all rows, or band by band ----------------------------------------------------------------------------------- */

/* Tiles of the only line; the widest panel says how many rows they have, so that all panels are cut alike. */
static struct row_split cut_line(const struct plan *p, const struct product *t)
{
    struct panels s = product_panels(p, t->channels, t->panel);
    return split_rows(t->length, tile_rows_max(p, s.whole ? s.vectors : s.last_vectors));
}

/* Tiles of `rows` rows, `count` of them from row `first` of the only line on, or lines; up to `end` those of a band. */
struct band {
    int rows, count, first;
    const char *end;
};

static void emit_panel(struct emitter *e, const struct product *t, int vectors, int tail, const char *panel,
                       const struct band *band)
{
    if (!band || t->lines > 1) {
        emit_lines(e, t, vectors, tail, panel, band ? band->end : NULL);
        return;
    }
    struct tile tile = t->tile;
    tile.rows = band->rows;
    tile.vectors = vectors;
    tile.tail = tail;
    emit_tiles(e, t, &tile, band->count, band->first, panel, NULL, band->end);
}

/* NULL: all lines. */
static void emit_panels(struct emitter *e, const struct product *t, const struct band *band)
{
    struct panels s = product_panels(e->plan, t->channels, t->panel);
    if (s.whole > 1)
        loop_open(e, "p", 0, s.whole, 1);
    if (s.whole)
        emit_panel(e, t, s.vectors, 0, s.whole > 1 ? "p" : NULL, band);
    if (s.whole > 1)
        cw_close(e->w, "}");
    if (s.last_vectors)
        emit_panel(e, t, s.last_vectors, s.last_tail, s.whole ? arena_printf(e->arena, "%d", s.whole) : NULL, band);
}

/* The most tiles of the only line, or else lines, whose rows of A the first-level cache holds beside some of B; 0: the
 * maps stay in the second-level cache anyway, or the weights would not. */
static int64_t band_most(const struct plan *p, const struct product *t)
{
    struct panels s = product_panels(p, t->channels, t->panel);
    int count = s.whole + (s.last_vectors > 0);
    int64_t maps = t->lines > 1 ? t->lines * (t->a_line + t->c_line) : t->length * (t->tile.a_row + t->tile.c_row);
    double room = p->target->l2_bytes / p->real_size;
    if (!t->maps || !t->tile.segments || chain_has_sums(t->tile.chain) || count < 2 || (double)maps <= room ||
        (double)count * (double)t->panel_stride > room / 2)
        return 0;
    int64_t rows = t->lines > 1 ? t->a_line : cut_line(p, t).large * t->tile.a_row;
    int64_t band = (int64_t)(p->target->l1_bytes * 3 / 4) / (rows * p->real_size);
    return band > 1 ? band : 1;
}

static void emit_bands(struct emitter *e, const struct product *t, struct band band, int64_t most)
{
    if (!band.count)
        return;
    int64_t bands = (band.count + most - 1) / most, step = (band.count + bands - 1) / bands;
    for (int64_t less = step; less > step * 2 / 3 && band.count % step; less--)
        step = band.count % less ? step : less;         /* all alike, where that costs little */
    if (bands > 1) {
        cw_open(e->w, "for (int band = 0; band < %d; band += %" PRId64 ") {", band.count, step);
        if (band.count % step == 0) {
            band.end = arena_printf(e->arena, "band + %" PRId64, step);
        } else {
            band.end = "end";
            cw_line(e->w, "const int end = band + %" PRId64 " < %d ? band + %" PRId64 " : %d;", step, band.count, step,
                    band.count);
        }
    }
    emit_panels(e, t, &band);
    if (bands > 1)
        cw_close(e->w, "}");
}

void product_emit(struct emitter *e, const struct product *t)
{
    if (product_by_rows(e->plan, t)) {
        struct product by_rows = *t;
        emit_by_rows(e, &by_rows);
        return;
    }
    int64_t most = band_most(e->plan, t);
    if (!most) {
        emit_panels(e, t, NULL);
    } else if (t->lines > 1) {
        emit_bands(e, t, (struct band){ .count = (int)t->lines }, most);
    } else {
        struct row_split cut = cut_line(e->plan, t);
        emit_bands(e, t, (struct band){ cut.large, cut.large_count, 0, NULL }, most);
        emit_bands(e, t, (struct band){ cut.large - 1, cut.small_count, cut.large * cut.large_count, NULL }, most);
    }
}

/* ---- in blocks --------------------------------------------------------------------------------------------------- */

static int64_t blocks_of_panel(const struct plan *p, const struct product *t)
{
    struct row_split cut = cut_line(p, t);
    return t->lines > 1 ? t->lines : cut.large_count + cut.small_count;
}

/* Panels one after the other, each a range of blocks of its own. */
static bool panels_apart(const struct plan *p, const struct product *t)
{
    enum { ENOUGH = 16 };       /* blocks for a few threads to share */
    struct panels s = product_panels(p, t->channels, t->panel);
    int count = s.whole + (s.last_vectors > 0);
    double bytes = (double)count * (double)t->panel_stride * p->real_size;
    return count > 1 && (bytes > p->target->l2_bytes / 2 || blocks_of_panel(p, t) < ENOUGH);
}

int64_t product_blocks(const struct plan *p, const struct product *t)
{
    struct panels s = product_panels(p, t->channels, t->panel);
    return blocks_of_panel(p, t) * (panels_apart(p, t) ? s.whole + (s.last_vectors > 0) : 1);
}

struct part product_part(const struct plan *p, const struct product *t)
{
    bool apart = panels_apart(p, t);
    int64_t rows = blocks_of_panel(p, t);
    struct axis columns = { .count = t->channels, .step = 1, .piece = apart ? t->panel : 0, .over = rows };
    if (t->lines > 1)
        return (struct part){ { { .count = t->lines, .step = t->c_line, .piece = 1, .over = 1 },
                                { .count = t->length, .step = t->tile.c_row }, columns } };
    struct row_split cut = cut_line(p, t);
    return (struct part){ { { .count = t->length, .step = t->tile.c_row, .piece = cut.large,
                              .larger = cut.large_count, .over = 1 }, columns } };
}

/* A tile of the only line: number `r` of those that have so many rows and begin with row `first`. */
static void emit_cut(struct emitter *e, const struct product *t, struct tile tile, int rows, int first,
                     const char *panel)
{
    struct product cut = *t;
    cut.a_line = rows * t->tile.a_row;
    cut.c_line = rows * t->tile.c_row;
    tile.rows = rows;
    emit_tiles(e, &cut, &tile, 1, first, panel, "r", NULL);
}

/* Line `r`, or tile `r` of the only line, of a panel. */
static void emit_block_rows(struct emitter *e, const struct product *t, int vectors, int tail, const char *panel)
{
    struct tile tile = t->tile;
    tile.vectors = vectors;
    tile.tail = tail;
    if (t->lines > 1) {
        struct row_split split = split_rows(t->length, tile_rows_max(e->plan, vectors));
        tile.rows = split.large;
        emit_tiles(e, t, &tile, split.large_count, 0, panel, "r", NULL);
        tile.rows = split.large - 1;
        emit_tiles(e, t, &tile, split.small_count, split.large * split.large_count, panel, "r", NULL);
        return;
    }
    struct row_split cut = cut_line(e->plan, t);
    if (cut.small_count) {
        cw_open(e->w, "if (r < %d) {", cut.large_count);
        emit_cut(e, t, tile, cut.large, 0, panel);
        cw_middle(e->w, "} else {");
        emit_cut(e, t, tile, cut.large - 1, cut.large_count, panel);
        cw_close(e->w, "}");
    } else {
        emit_cut(e, t, tile, cut.large, 0, panel);
    }
}

void product_emit_block(struct emitter *e, const struct product *t)
{
    struct panels s = product_panels(e->plan, t->channels, t->panel);
    int64_t rows = blocks_of_panel(e->plan, t);
    if (!panels_apart(e->plan, t)) {
        cw_line(e->w, "const int r = b;");
        if (s.whole > 1)
            loop_open(e, "p", 0, s.whole, 1);
        if (s.whole)
            emit_block_rows(e, t, s.vectors, 0, s.whole > 1 ? "p" : NULL);
        if (s.whole > 1)
            cw_close(e->w, "}");
        if (s.last_vectors)
            emit_block_rows(e, t, s.last_vectors, s.last_tail, s.whole ? arena_printf(e->arena, "%d", s.whole) : NULL);
        return;
    }
    cw_line(e->w, "const int p = b / %" PRId64 ", r = b %% %" PRId64 ";", rows, rows);
    if (s.last_vectors) {
        cw_open(e->w, "if (p < %d) {", s.whole);
        emit_block_rows(e, t, s.vectors, 0, "p");
        cw_middle(e->w, "} else {");
        emit_block_rows(e, t, s.last_vectors, s.last_tail, "p");
        cw_close(e->w, "}");
    } else {
        emit_block_rows(e, t, s.vectors, 0, "p");
    }
}

/* `times`: of an FMA, that the products of a k take; `latency` cycles until their sum can be added to. */
static double tiles_cycles(const struct plan *p, int channels, int panel, int64_t rows_total, int64_t length,
                           int64_t depth, double times, double latency)
{
    const struct costs *c = p->target->costs;
    struct panels s = product_panels(p, channels, panel);
    double cycles = 0, fma = p->target->flops_per_cycle * 4 / (2.0 * p->target->vector_bytes) / times;
    for (int last = 0; last < 2; last++) {
        int vectors = last ? s.last_vectors : s.vectors, count = last ? s.last_vectors > 0 : s.whole;
        if (!count)
            continue;
        struct row_split split = split_rows(length, tile_rows_max(p, vectors));
        double lines = (double)rows_total / (double)length;
        double tiles = (split.large_count + split.small_count) * lines;
        double accumulators = (double)length * vectors * lines;
        /* an FMA waits for the one before it on the same sum: few accumulators cannot fill the units */
        double per_tile = accumulators / tiles, enough = latency * fma;
        double fill = per_tile < enough ? enough / per_tile : 1;
        /* loads: a row's broadcast and the vectors of B */
        double rows = (double)length / (split.large_count + split.small_count);
        double load = (rows + vectors) / c->loads / (rows * vectors / fma);
        if (load > fill)
            fill = load;
        cycles += count * (accumulators * (double)depth / fma * fill * c->tile_loop + tiles * c->tile +
                           accumulators * c->accumulator);
    }
    return cycles;
}

double product_cycles(const struct plan *p, int channels, int panel, int64_t rows_total, int64_t length, int64_t depth)
{
    return tiles_cycles(p, channels, panel, rows_total, length, depth, 1, p->target->costs->fma_latency);
}

double product_pairs_cycles(const struct plan *p, int channels, int panel, int64_t rows_total, int64_t length,
                            int64_t depth)
{
    const struct costs *c = p->target->costs;
    return tiles_cycles(p, channels, panel, rows_total, length, depth, c->dot, c->dot_latency);
}
