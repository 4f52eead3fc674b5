/* conv2d_winograd.c - forward convolution and data gradient by minimal filtering.
 *
 * Forward:        V = B^T x B a tile;  M = V U at each position;  y = A^T M A, bias, activation.
 * Data gradient: of a layer that has zeros around x the same, as the convolution of dy with the filters turned by half.
 *                 Else the transposed algorithm, V = A dy A^T;  M = V U^T;  dx += B M B^T: it needs no zeros around dy.
 *
 * Nobody copies a map to put zeros around it: the tiles at its borders know which of their values are none.
 *
 * A call takes a few images: their V stays in the second-level cache while the transformed weights U stream by, a
 * panel of output channels at a time; the output transform follows while M is still there.  U is made anew each step.
 *
 * With `precision bf16` V and U are rounded to bfloat16 when they have been made, and are multiplied in pairs of
 * channels; transforms and sums are float.
 *
 * The forward pass of a batch of one image is cut into blocks instead: conv2d_winograd_split.c.  Where U is much larger
 * than the maps, blocks are panels and take the whole batch: conv2d_winograd_panels.c.  Images that lie together:
 * conv2d_winograd_together.c. */
#include "kernels/conv2d_winograd.h"

#include <inttypes.h>
#include <string.h>

#include "kernels/bf16.h"
#include "kernels/loops.h"
#include "kernels/together.h"

static int64_t values_size(const struct winograd_tiles *t, int images, int width)
{
    return winograd_values_of(t, images, width, 16).size;
}

/* Bytes that an image brings from the last cache or takes there, in calls of so many images that multiply so many
 * panels at a time: U, once a call, and V where it does not stay in the second-level cache beside M.  Below zero: M
 * would not stay. */
static double moved_bytes(const struct plan *p, const struct winograd_conv *c, int images, int wide)
{
    double real = p->real_size, l2 = p->target->l2_bytes, u = (double)c->panels_count * (double)c->u_panel * real;
    double v = (double)values_size(&c->tiles, images, (int)plan_round(c->from, p->lanes)) * real;
    double m = (double)values_size(&c->tiles, images, wide * c->panel) * real;
    double position = ((double)images * c->tiles.v.tiles * c->tiles.h.tiles + wide * c->panel) * c->from * real;
    if (v + m + u <= l2)
        return 0;
    if (v + m <= l2)
        return u / images;
    if (m + position > 0.9 * l2)
        return -1;
    int groups = (c->panels_count + wide - 1) / wide;
    return (u + (1.0 + groups) * v) / images;
}

/* As many images as fit the second-level cache, up to eight; where the chain differs from image to image, one.  Where U
 * is large and the batch has many calls, more images share each of its panels, and several panels each image, if that
 * moves clearly less.  (Measured with AVX2, batches of 256, 256 channels of 7x7 pixels: 0.76 of the time.  With the few
 * calls of a batch of 32 it gained nothing.) */
static void choose_call(const struct plan *p, struct winograd_conv *c, const struct group *g)
{
    enum { FEW = 8, CALLS_LEAST = 32 };
    c->images = c->wide = 1;
    if (p->batch == 1 || chain_is_by_sample(p, g))
        return;
    for (int images = 2; images <= FEW && p->batch % images == 0; images *= 2) {
        int64_t bytes = (values_size(&c->tiles, images, c->from) + values_size(&c->tiles, images,
                                                                               c->panel)) * p->real_size;
        if ((double)bytes > p->target->l2_bytes || (g->images_most && images > g->images_most))
            break;
        c->images = images;
    }
    double best = c->moved = moved_bytes(p, c, c->images, 1);
    if (g->images_most || p->batch < 2 * CALLS_LEAST)
        return;
    for (int images = c->images; images <= 2 * FEW && p->batch >= CALLS_LEAST * images &&
         p->batch % images == 0; images *= 2)
        for (int wide = 1; wide <= 4 && c->panels.whole % wide == 0 && !c->panels.last_vectors; wide *= 2) {
            double moved = moved_bytes(p, c, images, wide);
            if (moved < 0 || (moved >= 0.8 * best && best >= 0))
                continue;
            best = moved;
            c->images = images;
            c->wide = wide;
        }
}

bool winograd_conv_of(const struct plan *p, const struct group *g, int number, struct winograd_conv *c)
{
    int points = number % WINOGRAD_PAIRS;
    memset(c, 0, sizeof *c);
    c->pairs = number >= WINOGRAD_PAIRS;
    c->s = conv_geometry_of(p, g->main);
    c->data_grad = g->main->op == OP_conv2d_data_grad;
    c->transposed = c->data_grad && !c->s.padded;
    struct conv_geometry turned = winograd_turned(&c->s);
    if (!winograd_tiles_of(c->data_grad && !c->transposed ? &turned : &c->s, points, &c->tiles))
        return false;
    c->from = c->data_grad ? c->s.o : c->s.c;
    c->to = c->data_grad ? c->s.c : c->s.o;
    c->depth = c->pairs ? (int)bf16_pairs_of(c->from) : c->from;
    c->panel = plan_panel(p, c->to);
    c->panels = product_panels(p, c->to, c->panel);
    c->panels_count = (c->to + c->panel - 1) / c->panel;
    c->u_position = (int64_t)c->depth * c->panel + 16;
    c->u_panel = c->tiles.positions * c->u_position;
    choose_call(p, c, g);
    c->v = winograd_values_of(&c->tiles, c->images, (int)plan_round(c->from, p->lanes), 16);
    c->m = winograd_values_of(&c->tiles, c->images, c->wide * c->panel, 16);
    c->m_at = plan_round(c->v.size, 64);
    c->scratch = c->m_at + plan_round(c->m.size, 64);
    int64_t weights = (int64_t)c->s.taps * U_CHUNK * c->panel;
    if (c->data_grad && weights > c->scratch)
        c->scratch = weights;
    if (g->together)
        winograd_together_of(p, g, c);
    else if (!chain_is_by_sample(p, g) && !g->images_most)
        winograd_choose_panels(p, c, g->narrow);
    return true;
}

double winograd_transform_cycles(const struct plan *p, const struct winograd_tiles *t, int from, int to)
{
    const struct costs *c = p->target->costs;
    int values = t->v.points * t->h.points;
    double each = values <= 36 ? c->transform_36 : values <= 49 ? c->transform_49 : c->transform_64;
    int vectors = (from + p->lanes - 1) / p->lanes + (to + p->lanes - 1) / p->lanes;
    return (double)t->v.tiles * t->h.tiles * p->batch * t->positions * vectors * each;
}

double winograd_memory_cycles(const struct plan *p, double live, double moved)
{
    /* measured with 3x3 filters on 8 to 64 channels of 128x128 and 512x512 pixels: what the last cache may hold costs
     * nothing beyond what the transforms are counted with; memory is read and written in order, in large pieces */
    const struct costs *c = p->target->costs;
    double far = (live / p->target->l2_bytes - c->last_share) / c->last_span;
    far = far < 0 ? 0 : far > 1 ? 1 : far;
    return far * moved / (c->stream_times * p->target->memory_bytes_per_cycle);
}

const char *winograd_suffix(const struct winograd_conv *c)
{
    return c->pairs ? "_bf16" : "";
}

bool winograd_reaches(int64_t elements)
{
    return elements <= INT32_MAX;
}

double winograd_product_cycles(const struct plan *p, const struct winograd_conv *c, int64_t rows)
{
    return (c->pairs ? product_pairs_cycles : product_cycles)(p, c->to, c->panel, rows, rows, c->depth);
}

static bool applicable_with(const struct plan *p, const struct group *g, int number)
{
    int points = number % WINOGRAD_PAIRS;
    struct winograd_conv c;
    if ((g->together && !g->program->together_decided) || !winograd_conv_of(p, g, number, &c) ||
        (c.pairs && p->batch == 1))
        return false;
    if (!winograd_reaches(c.panels_count * c.u_panel) || !winograd_reaches(c.panels_count * c.m.size) ||
        !winograd_reaches(c.scratch))
        return false;
    int used = c.tiles.v.points > c.tiles.h.points ? c.tiles.v.points : c.tiles.h.points;
    return used > points - 2 || points == 4;        /* else it is what the next smaller kernel does */
}

static double cost_with(const struct plan *p, const struct group *g, int number)
{
    struct winograd_conv c;
    winograd_conv_of(p, g, number, &c);
    if (g->together)
        return winograd_together_cost(p, g, &c);
    if (c.by_panel)
        return winograd_panels_cost(p, &c) + group_chain_cycles(p, g);
    double calls = (double)p->batch / c.images, cycles = 0;
    for (int k = 0; k < WINOGRAD_CLASSES; k++) {
        const struct winograd_class *s = &c.tiles.class[k];
        int64_t rows = (int64_t)c.images * s->rows_v * s->rows_h;
        if (s->count && rows)
            cycles += calls * s->count * winograd_product_cycles(p, &c, rows);
    }
    cycles += winograd_transform_cycles(p, &c.tiles, c.from, c.to);
    if (c.pairs)
        cycles += pairs_copy_cycles(p, calls * (double)c.v.size + (double)c.tiles.positions * c.from * c.to);
    /* V is written, fetched for it, and read for each panel; M of a panel is written, fetched for it, and read */
    cycles += calls * winograd_memory_cycles(p, (double)(c.v.size + c.m.size) * p->real_size,
                                             ((2.0 + c.panels_count) * (double)c.v.size +
                                              3.0 * c.panels_count * (double)c.m.size) * p->real_size);
    const struct costs *k = p->target->costs;
    if (winograd_keeps_filters(p, g))    /* compared */
        cycles += (double)c.s.weight->stored * p->real_size / k->compare_rate;
    else
        cycles += k->transform_filter * c.tiles.positions * c.from * c.to / p->lanes;       /* U, once a step */
    if (p->batch == 1) {
        /* U serves one image only and is read, unless it is kept also written, through the last cache at best */
        double bytes = (double)c.panels_count * (double)c.u_panel * p->real_size;
        cycles += (winograd_keeps_filters(p, g) ? 1 : 2) * bytes / (k->last_times * p->target->memory_bytes_per_cycle);
        cycles += plan_barrier_cycles(p, c.data_grad ? 0 : 2);
    }
    return cycles + group_chain_cycles(p, g);
}

static double error_with(const struct plan *p, const struct group *g, int number)
{
    struct winograd_conv c;
    winograd_conv_of(p, g, number, &c);
    return winograd_tiles_error(&c.tiles);
}

/* ---- plan -------------------------------------------------------------------------------------------------------- */

/* U of all positions, and of a copy of the weights that it was made from: a block has some channels of a panel. */
static struct part u_part(const struct winograd_conv *c, int chunks)
{
    return (struct part){ { { .count = c->panels_count, .step = c->u_panel, .piece = 1, .over = chunks },
                            { .count = c->tiles.positions, .step = c->u_position },
                            { .count = c->depth, .step = c->panel, .piece = c->pairs ? U_CHUNK / 2 : U_CHUNK,
                              .over = 1 },
                            { .count = c->panel, .step = 1 } } };
}

static struct part kept_part(const struct winograd_conv *c, int chunks)
{
    struct part part = u_part(c, chunks);
    part.axis[0].step = c->s.k * c->panel;
    part.axis[1] = (struct axis){ .count = c->s.taps, .step = (int64_t)c->s.c * c->panel };
    return part;
}

/* The transform of the weights into U. */
static void plan_weights(struct plan *p, struct program *q, struct step *weights, const struct winograd_conv *c,
                         struct buffer *u, int chunks)
{
    const struct group *g = weights->group;
    step_is_told(p, weights, ARGUMENT_BLOCK);
    step_takes(p, weights, ACCESS_READ, g->main->in[1]);
    step_uses_part(p, weights, ACCESS_WRITE, u, u_part(c, chunks));
    if (winograd_keeps_filters(p, g)) {
        struct buffer *kept = plan_buffer(p, q, arena_printf(p->arena, "%s_kept", u->name), p->real,
                                          c->s.weight->stored * p->real_size);
        u->lasting = kept->lasting = true;
        step_uses_part(p, weights, ACCESS_ADD, kept, kept_part(c, chunks));
    }
    int64_t rounded = c->pairs ? (int64_t)c->tiles.positions * U_CHUNK * c->panel : 0;
    if (winograd_turned_size(c) + rounded)
        step_scratch(p, weights, (winograd_turned_size(c) + rounded) * p->real_size);
}

static void plan(struct plan *p, struct program *q, struct group *g)
{
    struct winograd_conv c;
    winograd_conv_of(p, g, g->kernel->number, &c);
    int chunks = (c.from + U_CHUNK - 1) / U_CHUNK;
    int64_t flops = 2 * c.s.k * c.s.o * c.s.oh * c.s.ow * p->batch;
    if (c.by_panel) {
        winograd_panels_plan(p, q, g, &c, flops);
        return;
    }
    struct step *weights = plan_step(p, q, g, PART_WEIGHTS, SPLIT_BLOCKS, (int64_t)c.panels_count * chunks,
                                     "transform weights", 0);
    weights->hoisted = true;
    struct step *main;
    bool split = !c.data_grad && !g->together && plan_splits_image(p, cost_with(p, g, g->kernel->number));
    if (split) {
        main = winograd_split_plan(p, q, g, &c, flops);
    } else {
        main = plan_step(p, q, g, g->together ? PART_TOGETHER : PART_MAIN, SPLIT_IMAGES, 0, plan_way(g), flops);
        main->images = g->together ? g->together : c.images;
    }
    const char *name = arena_printf(p->arena, "%s%s_%s", g->main->in[1]->name, winograd_suffix(&c),
                                    c.data_grad ? "winograd_turned" : "winograd");
    struct buffer *u = plan_buffer(p, q, name, c.pairs ? "bf16_pair" : p->real,
                                   c.panels_count * c.u_panel * p->real_size);
    plan_weights(p, q, weights, &c, u, chunks);
    if (split) {
        winograd_split_reads(p, main, u);
        return;
    }
    step_takes(p, main, ACCESS_READ, g->main->in[0]);
    step_uses(p, main, ACCESS_READ, u, TOUCH_ALL);
    step_takes(p, main, ACCESS_WRITE, g->result);
    step_takes_chain(p, main);
    step_scratch(p, main, c.scratch * p->real_size);
}

/* ---- what is asked for ------------------------------------------------------------------------------------------- */

/* A map that the transforms after the products of a panel go through. */
struct asked {
    const char *name;
    bool written;
};

/* What is asked for while products are computed, so that it is in the cache when the transforms come: memory has little
 * else to do meanwhile.  (Measured on the data gradient of 128x30x30 with its relu: 4.29 -> 4.02 ms.) */
struct ahead {
    struct asked maps[ASKED_MOST];
    int count;
    int pixels;                 /* of each map, before each tile of a product */
    int channels;               /* of a pixel that the panel has */
    int64_t pixel;              /* elements from pixel to pixel */
};

/* Tiles of a product of a class. */
static int64_t class_tiles(const struct plan *p, const struct winograd_conv *c, const struct winograd_class *s,
                           int vectors)
{
    int64_t rows = (int64_t)c->images * s->rows_v * s->rows_h;
    if (!s->count || !rows)
        return 0;
    struct row_split split = split_rows(rows, tile_rows_max(p, vectors));
    return split.large_count + split.small_count;
}

/* For panels of so many vectors. */
static struct ahead ahead_of(const struct plan *p, const struct program *q, const struct winograd_conv *c,
                             const struct group *g, int vectors)
{
    struct ahead h = { .channels = vectors * p->lanes, .pixel = c->to };
    int64_t tiles = 0, pixels = c->images * (c->data_grad ? (int64_t)c->s.h * c->s.w : (int64_t)c->s.oh * c->s.ow);
    for (int k = 0; k < WINOGRAD_CLASSES; k++)
        tiles += c->tiles.class[k].count * class_tiles(p, c, &c->tiles.class[k], vectors);
    h.pixels = (int)((pixels + tiles - 1) / tiles);
    if (h.pixels * vectors > c->from / 4)        /* more than goes along unnoticed */
        return h;
    struct chain chain;
    chain_make(p, g, &chain);
    double far = 4 * p->target->l2_bytes;        /* longer in use than the caches last */
    if (plan_outlasts(q, g->result, far))
        h.maps[h.count++] = (struct asked){ c->data_grad ? "dx" : "y", true };
    for (int i = 0; i < chain.operands_count && h.count < ASKED_MOST; i++)
        if (chain.operands[i].kind == OPERAND_ELEMENT && plan_outlasts(q, chain.operands[i].tensor, far))
            h.maps[h.count++] = (struct asked){ chain.operands[i].name, false };
    return h;
}

/* What the main step asks for: in whole panels, and in the last one where it is narrower. */
struct main_detail {
    struct ahead whole, last;
};

static void settle_main(struct plan *p, struct program *q, struct group *g, struct step *main)
{
    struct winograd_conv c;
    winograd_conv_of(p, g, g->kernel->number, &c);
    struct main_detail *d = arena_alloc(p->arena, sizeof *d);
    g->detail = d;
    if (c.panels.whole)
        d->whole = ahead_of(p, q, &c, g, c.panels.vectors);
    if (c.panels.last_vectors)
        d->last = ahead_of(p, q, &c, g, c.panels.last_vectors);
    const struct ahead *h = c.panels.whole ? &d->whole : &d->last;
    bool far = winograd_reads_far(p, q, g->main->in[0]) && c.tiles.v.tiles > 1;
    const char *below = arena_printf(p->arena, "what the tile below reads of %s", c.data_grad ? "dy" : "x");
    if (h->count)
        main->prefetch = arena_printf(p->arena, "%d pixels of %d maps before each tile of a product%s%s", h->pixels,
                                      h->count, far ? "; " : "", far ? below : "");
    else if (far)
        main->prefetch = below;
}

static void settle(struct plan *p, struct program *q, struct group *g)
{
    struct step *main = q->steps[g->first_step + g->steps_count - 1];
    if (main->part == PART_MAIN)
        settle_main(p, q, g, main);
}

static bool finer(struct plan *p, struct program *q, struct step *s, int images)
{
    struct winograd_conv c;
    if (s->part == PART_PANELS && !images)
        return winograd_panels_finer(p, s);
    s->group->images_most = s->images = images;
    if (s->part != PART_MAIN || !images || !winograd_conv_of(p, s->group, s->group->kernel->number, &c) ||
        c.images != images)
        return false;
    settle_main(p, q, s->group, s);
    return true;
}

/* ---- the products ------------------------------------------------------------------------------------------------ */

static const char *emit_ask(struct emitter *e, const struct ahead *h)
{
    const char *real = e->plan->real;
    char *parameters = "";
    for (int i = 0; i < h->count; i++)
        parameters = arena_printf(e->arena, "%s%s%s%s *%s", parameters, i ? ", " : "",
                                  h->maps[i].written ? "" : "const ", real, h->maps[i].name);
    emit_function(e, "%s", parameters);
    loop_open(e, "i", 0, h->pixels, 1);
    loop_open(e, "c", 0, h->channels, 64 / e->plan->real_size);
    for (int i = 0; i < h->count; i++)
        cw_line(e->w, "%s(%s + i * %" PRId64 " + c);", h->maps[i].written ? "v_prefetchw" : "v_prefetch",
                h->maps[i].name, h->pixel);
    cw_close(e->w, "}");
    cw_close(e->w, "}");
    return emit_end(e, arena_printf(e->arena, "ask_for_%dx%d", h->pixels, h->channels),
                    "Pixels of maps that will soon be needed are on their way to the cache.");
}

/* c_row: elements from row to row of C. */
static const char *emit_multiply(struct emitter *e, int64_t rows, int64_t depth, int64_t a_row, int panel, int c_row,
                                 int vectors, bool add, bool pairs, const struct ahead *h)
{
    const char *real = e->plan->real, *factor = pairs ? "bf16_pair" : real;
    int channels = vectors * e->plan->lanes;
    struct product t = { .channels = channels, .panel = channels, .lines = 1, .length = rows, .a = "a", .b = "b",
                         .c = "c", .at = "0" };
    t.tile.a_row = a_row;
    t.tile.a_k = 1;
    t.tile.b_k = panel;
    t.tile.depth = depth;
    t.tile.segments = 1;
    t.tile.c_row = c_row;
    t.tile.accumulate = add;
    t.tile.pairs = pairs;
    char *more = "";
    for (int i = 0; i < h->count; i++) {
        more = arena_printf(e->arena, "%s, %s%s *%s", more, h->maps[i].written ? "" : "const ", real, h->maps[i].name);
        t.asked[i] = h->maps[i].name;
    }
    t.ask = h->count ? emit_ask(e, h) : NULL;
    t.asked_count = h->count;
    t.ask_step = h->pixels * h->pixel;
    emit_function(e, "const %s *a, const %s *b, %s *restrict c%s", factor, factor, real, more);
    product_emit(e, &t);
    const char *hint = arena_printf(e->arena, "multiply_%s%s%" PRId64 "x%" PRId64 "x%d", pairs ? "bf16_" : "",
                                    add ? "add_" : "", rows, depth, channels);
    return emit_end(e, hint, arena_printf(e->arena, "C %s A B for one position%s.", add ? "+=" : "=",
                                          pairs ? ", in pairs of bfloat16" : ""));
}

const char *winograd_emit_multiply(struct emitter *e, int64_t rows, int64_t depth, int64_t a_row, int panel,
                                   int vectors, bool add, bool pairs)
{
    return emit_multiply(e, rows, depth, a_row, panel, panel, vectors, add, pairs, &(struct ahead){ .count = 0 });
}

/* M of the panels that are multiplied together: position by position, so that V of one serves all of them. */
static void emit_products(struct emitter *e, const struct winograd_conv *c, int vectors, const struct ahead *h)
{
    int64_t before = 0;         /* pixels asked for */
    bool wide = c->wide > 1;
    int per = c->pairs ? 2 : 1;     /* numbers in an element of V */
    for (int k = 0; k < WINOGRAD_CLASSES; k++) {
        const struct winograd_class *s = &c->tiles.class[k];
        int64_t rows = (int64_t)c->images * s->rows_v * s->rows_h;
        if (!s->count || !rows)
            continue;
        const char *name = emit_multiply(e, rows, c->depth, c->v.width / per, c->panel, c->m.width, vectors, false,
                                         c->pairs, h);
        const char *values = text_offset(e, c->v.class_offset[k] / per), *up = text_offset(e, s->first * c->u_position),
                   *products = text_offset(e, c->m.class_offset[k]);
        int64_t each = class_tiles(e->plan, c, s, vectors) * h->pixels;
        bool many = s->count > 1;
        char *more = "";
        for (int i = 0; i < h->count; i++) {
            more = arena_printf(e->arena, "%s, %s%s", more, text_plus(e, h->maps[i].name, c->column),
                                text_offset(e, before * h->pixel));
            if (many)
                more = arena_printf(e->arena, "%s + i * %" PRId64, more, each * h->pixel);
            if (wide)
                more = arena_printf(e->arena, "%s + q * %d", more, c->panel);
        }
        before += s->count * each;
        if (many)
            cw_open(e->w, "for (int i = 0; i < %d; i++)", s->count);
        if (wide)
            cw_open(e->w, "for (int q = 0; q < %d; q++)", c->wide);
        if (many) {
            values = arena_printf(e->arena, "%s + i * %" PRId64, values, c->v.stride[k] / per);
            up = arena_printf(e->arena, "%s + i * %" PRId64, up, c->u_position);
            products = arena_printf(e->arena, "%s + i * %" PRId64, products, c->m.stride[k]);
        }
        if (wide) {
            up = arena_printf(e->arena, "%s + q * %" PRId64, up, c->u_panel);
            products = arena_printf(e->arena, "%s + q * %d", products, c->panel);
        }
        cw_line(e->w, "%s(%s%s, up%s, products%s%s);", name, c->pairs ? "pairs" : "values", values, up, products, more);
        if (wide)
            cw_close(e->w, "");
        if (many)
            cw_close(e->w, "");
    }
}

/* ---- forward and data gradient ----------------------------------------------------------------------------------- */

static void emit_images_loop(struct emitter *e, const struct winograd_conv *c)
{
    if (c->by_panel && c->parts > 1)
        cw_open(e->w, "for (int i = begin_image; i < end_image; i++) {");
    else if (c->by_panel)
        cw_open(e->w, "for (int i = 0; i < n; i++) {");
    else if (c->images > 1)
        loop_open(e, "i", 0, c->images, 1);
}

static void close_images_loop(struct emitter *e, const struct winograd_conv *c)
{
    if (c->images > 1)
        cw_close(e->w, "}");
}

static const char *image_of(struct emitter *e, const struct winograd_conv *c, const struct side *s)
{
    if (c->images == 1)
        return s->name;
    return arena_printf(e->arena, "%s + i * %" PRId64, s->name, (int64_t)s->h * s->w * s->c);
}

const char *winograd_formula_in(const struct winograd_conv *c)
{
    return c->transposed ? "A dy A^T" : c->data_grad ? "B^T dy B" : "B^T x B";
}

void winograd_emit_in(struct emitter *e, const struct winograd_conv *c, const struct side *in, const char *map,
                      const struct winograd_values *values, int channels, const char *image, const char *down)
{
    const struct conv_geometry turned = winograd_turned(&c->s), *s = c->data_grad ? &turned : &c->s;
    struct winograd_transform t = { .kind = c->transposed ? TRANSFORM_DY : TRANSFORM_X, .tiles = &c->tiles,
                                    .values = values, .row = (int64_t)in->w * in->c, .pixel = in->c, .h = in->h,
                                    .w = in->w, .top = s->window.pad_top, .left = s->window.pad_left,
                                    .channels = channels, .tail = channels % e->plan->lanes, .down = down,
                                    .far = c->far };
    winograd_emit_image(e, &t, map, "values", image, "0", "0");
}

static void emit_in(struct emitter *e, const struct winograd_conv *c, const struct side *in)
{
    emit_images_loop(e, c);
    winograd_emit_in(e, c, in, image_of(e, c, in), &c->v, in->c, c->images > 1 ? "i" : "0", NULL);
    close_images_loop(e, c);
}

void winograd_emit_out(struct emitter *e, const struct winograd_conv *c, const struct side *out,
                       const struct chain *chain, int vectors, int tail, bool asked)
{
    struct winograd_transform t = { .kind = c->transposed ? TRANSFORM_DX : TRANSFORM_Y, .tiles = &c->tiles,
                                    .values = &c->m, .row = (int64_t)out->w * out->c, .pixel = out->c, .tail = tail,
                                    .chain = chain, .asked = asked };
    t.channels = (vectors - (tail > 0)) * e->plan->lanes + tail;
    struct chain own;
    emit_images_loop(e, c);
    if (chain_has_sums(chain) && c->images > 1) {
        own = chain_sums_of_image(e, chain, "i");
        t.chain = &own;
    }
    const char *at = c->column;
    if (c->images > 1)
        at = text_plus(e, arena_printf(e->arena, "i * %" PRId64, (int64_t)out->h * out->w * out->c), c->column);
    const char *image = c->images == 1 ? "0" : c->by_panel && c->parts > 1 ? "i - begin_image" : "i";
    winograd_emit_image(e, &t, text_plus(e, image_of(e, c, out), c->column), "products", image, c->column, at);
    close_images_loop(e, c);
}

static void emit_panel(struct emitter *e, const struct winograd_conv *c, const struct ahead *h, const struct side *out,
                       const struct chain *chain, int vectors, int tail, const char *u_at)
{
    cw_line(e->w, "const %s *const up = %s;", c->pairs ? "bf16_pair" : e->plan->real, text_plus(e, "u", u_at));
    emit_products(e, c, vectors, h);
    winograd_emit_out(e, c, out, chain, c->wide * vectors, tail, h->count > 0);
}

static const char *emit_main(struct emitter *e, const struct step *step)
{
    const struct group *g = step->group;
    struct winograd_conv c;
    winograd_conv_of(e->plan, g, g->kernel->number, &c);
    c.far = winograd_reads_far(e->plan, g->program, g->main->in[0]);
    const char *real = e->plan->real;
    const struct main_detail *d = g->detail;
    struct chain operands;
    chain_make(e->plan, g, &operands);
    const struct chain *chain = chain_in_use(&operands);
    struct side x = { c.data_grad ? "dx" : "x", c.s.h, c.s.w, c.s.c };
    struct side y = { c.data_grad ? "dy" : "y", c.s.oh, c.s.ow, c.s.o };
    const struct side *in = c.data_grad ? &y : &x, *out = c.data_grad ? &x : &y;
    emit_function(e, "const %s *%s, const %s *u, %s *restrict %s%s, %s *restrict scratch",
                  real, in->name, c.pairs ? "bf16_pair" : real, real, out->name, chain_parameters(e, &operands), real);
    cw_line(e->w, "%s *const values = scratch, *const products = scratch + %" PRId64 ";", real, c.m_at);
    chain_sums_clear(e, chain, c.images);
    emit_in(e, &c, in);
    if (c.pairs) {
        cw_line(e->w, "bf16_pair *const pairs = values;  // of channels, in its place");
        cw_line(e->w, "bf16_pairs(values, pairs, %" PRId64 ");", c.v.size);
    }
    c.column = "0";
    int groups = c.panels.whole / c.wide;
    if (groups > 1) {
        loop_open(e, "p", 0, groups, 1);
        c.column = arena_printf(e->arena, "p * %d", c.wide * c.panel);
        emit_panel(e, &c, &d->whole, out, chain, c.panels.vectors, 0,
                   arena_printf(e->arena, "p * %" PRId64, c.wide * c.u_panel));
        cw_close(e->w, "}");
    } else if (groups == 1) {
        if (c.panels.last_vectors)
            cw_open(e->w, "{");
        emit_panel(e, &c, &d->whole, out, chain, c.panels.vectors, 0, "0");
        if (c.panels.last_vectors)
            cw_close(e->w, "}");
    }
    if (c.panels.last_vectors) {
        c.column = arena_printf(e->arena, "%d", c.panels.whole * c.panel);
        if (c.panels.whole)
            cw_open(e->w, "{");
        emit_panel(e, &c, &d->last, out, chain, c.panels.last_vectors, c.panels.last_tail,
                   arena_printf(e->arena, "%" PRId64, c.panels.whole * c.u_panel));
        if (c.panels.whole)
            cw_close(e->w, "}");
    }
    chain_sums_take_all(e, chain, c.images);
    const char *hint = arena_printf(e->arena, "winograd%s_%s%s_%dx%dx%d_to_%dx%dx%d", winograd_suffix(&c),
                                    conv_name(e, &c.s),
                                    c.data_grad ? "_data_grad" : "", in->c, in->h, in->w, out->c, out->h, out->w);
    const char *comment = arena_printf(e->arena, "%s\n%s %d image%s at a time.", emit_comment(e, step),
                                       winograd_tiles_text(e, &c.tiles, &c.s), c.images, c.images > 1 ? "s" : "");
    return emit_end(e, hint, comment);
}

static const char *emit(struct emitter *e, const struct step *step)
{
    switch (step->part) {
    case PART_WEIGHTS: return winograd_filters_emit(e, step);
    case PART_MAIN: return emit_main(e, step);
    case PART_TOGETHER: return winograd_together_emit(e, step);
    case PART_BATCH: case PART_PANELS: return winograd_panels_emit(e, step);
    default: return winograd_split_emit(e, step);
    }
}

/* Where tiles of the result do not overlap, and each image is done by one call, which has no others beside it.  (Not
 * tried in bfloat16.) */
static bool carries(const struct plan *p, const struct group *g)
{
    struct winograd_conv c;
    winograd_conv_of(p, g, g->kernel->number, &c);
    return !c.transposed && !c.by_panel && !c.pairs && !g->together;
}

/* Panel by panel. */
static bool by_weights(const struct plan *p, const struct group *g)
{
    struct winograd_conv c;
    winograd_conv_of(p, g, g->kernel->number, &c);
    return c.by_panel;
}

#define WINOGRAD_KERNEL(tiles, code, rounds, title, what)                                                             \
    WINOGRAD_ANSWERS(tiles, code)                                                                                      \
    static bool together_##tiles(const struct plan *p, const struct node *n)                                          \
    {                                                                                                                  \
        return (code) < WINOGRAD_PAIRS && winograd_together(p, n, code);                                               \
    }                                                                                                                  \
    const struct kernel kernel_conv2d_##tiles = {                                                                      \
        .name = title, .op = OP_conv2d, .bf16 = rounds, .fuses_chain = true, .applicable = applicable_##tiles,        \
        .cost = cost_##tiles, .error = error_##tiles, .plan = plan, .settle = settle, .finer = finer, .emit = emit,   \
        .together = together_##tiles, .apart = together_apart, .number = code, .help = "minimal filtering, " what,    \
    };                                                                                                                 \
    const struct kernel kernel_conv2d_##tiles##_data_grad = {                                                          \
        .name = title, .op = OP_conv2d_data_grad, .bf16 = rounds, .fuses_chain = true,                                \
        .applicable = applicable_##tiles, .cost = cost_##tiles, .error = error_##tiles, .plan = plan,                 \
        .carries = carries, .by_weights = by_weights, .settle = settle, .finer = finer, .emit = emit, .together = together_##tiles,             \
        .apart = together_apart, .number = code,                                                                       \
        .help = "transposed minimal filtering, " what,                                                                \
    };

WINOGRAD_KERNELS(WINOGRAD_KERNEL)
