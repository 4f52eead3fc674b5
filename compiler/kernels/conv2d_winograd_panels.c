/* conv2d_winograd_panels.c - forward convolution and data gradient of a whole batch by minimal filtering, panel by
 * panel.
 *
 * Many channels and small maps: U has many times the bytes of V, and would come from memory for every few images.  Here
 * V of the whole batch is made first, by blocks of an image each.  Then a block is a panel of the channels that come
 * out: it makes its part of U, some of the multiplied channels at a time, in the thread's own cache, adds the products
 * of all images to M, and transforms that back.  Nothing of U is ever written to memory, and there are as many blocks
 * as panels, however few images the batch has.  Where M of the whole batch does not stay in the cache beside U, a block
 * has a part of the batch: U is made once for each part, and the weights are read as often.  The panels of a part
 * follow one another, so that V of the others does not push its V out of the last cache in between.  (Measured with
 * AVX2, batches of 32, V of 8.4 MB: one thread 0.73 of the time, two 0.88.)
 *
 * V lies as (position, chunk of channels, image, tile, channel): a product of a chunk reads one stretch.  In bfloat16
 * it does so with pairs of channels, in half of the bytes: an image's are made in scratch. */
#include <inttypes.h>

#include "kernels/bf16.h"
#include "kernels/conv2d_winograd.h"
#include "kernels/loops.h"

enum { BLOCKS_LEAST = 8,        /* for a few threads to share */
       PARTS_MOST = 4 };        /* each makes its U once more */

/* ---- plan -------------------------------------------------------------------------------------------------------- */

static struct winograd_values values_of(const struct winograd_conv *c, int batch)
{
    return winograd_values_of(&c->tiles, batch * (c->from / c->chunk), c->chunk, 16);
}

/* V of one image in scratch: all chunks. */
static struct winograd_values own_values_of(const struct winograd_conv *c)
{
    return values_of(c, 1);
}

/* Numbers of V in an element of the shared one. */
static int per_element(const struct winograd_conv *c)
{
    return c->pairs ? 2 : 1;
}

static void halve_panels(const struct plan *p, struct winograd_conv *c)
{
    c->panel /= 2;
    c->panels = product_panels(p, c->to, c->panel);
    c->panels_count = (c->to + c->panel - 1) / c->panel;
}

/* Chunks, parts and by_panel, where U of a chunk and M of a part stay in the second-level cache. */
static void choose_parts(const struct plan *p, struct winograd_conv *c)
{
    for (int parts = 1; parts <= PARTS_MOST && p->batch % parts == 0 && p->batch / parts > 1 &&
         !c->by_panel; parts *= 2) {
        int64_t m = winograd_values_of(&c->tiles, p->batch / parts, c->panel, 16).size;
        for (int chunk = 4 * U_CHUNK; chunk >= U_CHUNK && !c->by_panel; chunk /= 2) {
            double u = (double)c->tiles.positions * (chunk * c->panel + 16) * p->real_size;
            if (c->from % chunk == 0 && u + (double)m * p->real_size < p->target->l2_bytes) {
                c->chunk = chunk;
                c->parts = parts;
                c->by_panel = true;
            }
        }
    }
}

void winograd_choose_panels(const struct plan *p, struct winograd_conv *c, bool narrow)
{
    struct winograd_conv by = *c;
    bool halved = by.panels_count < BLOCKS_LEAST && by.panel % (4 * p->lanes) == 0;
    if (halved)
        halve_panels(p, &by);
    if (p->batch == 1 || by.to % by.panel || by.from % U_CHUNK || by.panels_count < BLOCKS_LEAST)
        return;
    double all_u = (double)by.u_panel * c->panels_count * p->real_size;
    double all_v = (double)winograd_values_of(&by.tiles, p->batch, by.from, 16).size * p->real_size / per_element(&by);
    /* V is written and read for each panel; or U is written, and read for every few images.  (Larger calls, which move
     * less, were measured to be slower than panels with 256 channels of 8x8 pixels.) */
    if (all_u < p->target->l2_bytes || all_v * (1 + by.panels_count) > all_u + p->batch * by.moved)
        return;
    /* Panels of half the width are worth it where U is what is large.  (Measured with AVX-512, batches of 32: the data
     * gradient from 512 to 256 channels of 4x4 pixels 0.5 of the time; forward and back between 256 channels of 8x8
     * 1.0 to 1.05.) */
    if (halved && all_v * (1 + by.panels_count) > 2 * all_u)
        return;
    choose_parts(p, &by);
    int64_t map = (int64_t)p->batch * (by.s.h * by.s.w * by.s.c + by.s.oh * by.s.ow * by.s.o);
    if (!by.by_panel || !winograd_reaches(map) || !winograd_reaches(values_of(&by, p->batch).size))
        return;
    if (narrow)
        halve_panels(p, &by);
    by.images = p->batch / by.parts;
    by.wide = 1;
    by.v = values_of(&by, p->batch);
    by.m = winograd_values_of(&by.tiles, by.images, by.panel, 16);
    by.u_position = (int64_t)by.chunk * by.panel + 16;
    by.u_panel = 0;             /* of a chunk of one panel alone */
    by.m_at = plan_round(by.tiles.positions * by.u_position, 64);
    by.scratch = by.m_at + plan_round(by.m.size, 64);
    if (by.data_grad)           /* the weights turned */
        by.scratch += (int64_t)by.s.taps * U_CHUNK * by.panel;
    *c = by;
}

double winograd_panels_cost(const struct plan *p, const struct winograd_conv *c)
{
    const struct costs *k = p->target->costs;
    double cycles = winograd_transform_cycles(p, &c->tiles, c->from, c->to);
    for (int i = 0; i < WINOGRAD_CLASSES; i++) {
        const struct winograd_class *s = &c->tiles.class[i];
        int64_t rows = (int64_t)p->batch * s->rows_v * s->rows_h;
        if (s->count && rows)
            cycles += s->count * winograd_product_cycles(p, c, rows);
    }
    if (c->pairs)
        cycles += pairs_copy_cycles(p, (double)c->v.size + (double)c->parts * c->tiles.positions * c->from * c->to);
    cycles += (1.0 + c->panels_count) * (double)c->v.size * p->real_size / per_element(c) /
              (k->last_times * p->target->memory_bytes_per_cycle);
    return cycles + k->transform_filter * c->parts * c->tiles.positions * c->from * c->to / p->lanes +
        plan_barrier_cycles(p, 1);
}

void winograd_panels_plan(struct plan *p, struct program *q, struct group *g, const struct winograd_conv *c,
                          int64_t flops)
{
    const char *what = plan_way(g);
    struct step *in = plan_step(p, q, g, PART_BATCH, SPLIT_BLOCKS, p->batch, what, 0);
    struct step *panels = plan_step(p, q, g, PART_PANELS, SPLIT_BLOCKS, (int64_t)c->panels_count * c->parts, what,
                                    flops);
    const char *name = arena_printf(p->arena, "%s_values", g->main->out[0]->name);
    struct buffer *values = plan_buffer(p, q, name, c->pairs ? "bf16_pair" : p->real,
                                        c->v.size / per_element(c) * p->real_size);
    int64_t pixels = (int64_t)p->batch * (c->data_grad ? c->s.h * c->s.w : c->s.oh * c->s.ow);
    in->beside = true;
    step_is_told(p, in, ARGUMENT_BLOCK);
    step_is_told(p, in, ARGUMENT_SAMPLES);
    step_takes(p, in, ACCESS_READ, g->main->in[0]);
    step_uses(p, in, ACCESS_WRITE, values, TOUCH_OWN);
    if (c->pairs)
        step_scratch(p, in, own_values_of(c).size * p->real_size);
    step_is_told(p, panels, ARGUMENT_BLOCK);
    step_is_told(p, panels, ARGUMENT_SAMPLES);
    step_uses(p, panels, ACCESS_READ, values, TOUCH_ALL);
    step_takes(p, panels, ACCESS_READ, g->main->in[1]);
    step_takes_part(p, panels, ACCESS_WRITE, g->result,
                    (struct part){ { { .count = pixels, .step = c->to, .piece = c->parts > 1 ? pixels / c->parts : 0,
                                       .over = c->panels_count },
                                     { .count = c->to, .step = 1, .piece = c->panel, .over = 1 } } });
    step_takes_chain(p, panels);
    step_scratch(p, panels, c->scratch * p->real_size);
}

bool winograd_panels_finer(struct plan *p, struct step *s)
{
    struct winograd_conv c;
    winograd_conv_of(p, s->group, s->group->kernel->number, &c);
    if (c.panel / p->lanes % 2)
        return false;
    struct part part = step_part(s);
    part.axis[0].over = 2 * c.panels_count;
    part.axis[1].piece = c.panel / 2;
    step_halve_blocks(p, s, part);
    return true;
}

/* ---- V ----------------------------------------------------------------------------------------------------------- */

static const char *panels_name(struct emitter *e, const struct winograd_conv *c, const char *part)
{
    const struct conv_geometry *s = &c->s;
    return arena_printf(e->arena, "winograd%s_%s%s_%s_%dx%dx%d_to_%dx%dx%d", winograd_suffix(c), conv_name(e, s),
                        c->data_grad ? "_data_grad" : "", part, c->from, c->data_grad ? s->oh : s->h,
                        c->data_grad ? s->ow : s->w, c->to, c->data_grad ? s->h : s->oh, c->data_grad ? s->w : s->ow);
}

/* V of an image, which `own` describes, from scratch into the places of image b: stretches of a position and chunk. */
static void emit_round(struct emitter *e, const struct winograd_conv *c, const struct winograd_values *own)
{
    int chunks = c->from / c->chunk;
    for (int k = 0; k < WINOGRAD_CLASSES; k++) {
        const struct winograd_class *s = &c->tiles.class[k];
        int64_t stretch = (int64_t)s->rows_v * s->rows_h * c->chunk;
        if (!s->count || !stretch)
            continue;
        loop_open(e, "i", 0, s->count, 1);
        loop_open(e, "chunk", 0, chunks, 1);
        cw_line(e->w, "const float *const from = values%s + i * %" PRId64 " + chunk * %" PRId64 ";",
                text_offset(e, own->class_offset[k]), own->stride[k], stretch);
        cw_line(e->w, "bf16_pairs(from, pairs%s + i * %" PRId64 " + (chunk * %d + b) * %" PRId64 ", %" PRId64 ");",
                text_offset(e, c->v.class_offset[k] / 2), c->v.stride[k] / 2, e->plan->batch, stretch / 2, stretch);
        cw_close(e->w, "}");
        cw_close(e->w, "}");
    }
}

static const char *emit_batch(struct emitter *e, const struct step *step, const struct winograd_conv *c,
                              const struct side *in)
{
    const char *real = e->plan->real;
    const struct winograd_values own = own_values_of(c);
    if (c->pairs)
        emit_function(e, "int b, int n, const float *%s, bf16_pair *restrict pairs, float *restrict values", in->name);
    else
        emit_function(e, "int b, int n, const %s *%s, %s *restrict values", real, in->name, real);
    cw_open(e->w, "if (b >= n)");
    cw_line(e->w, "return;");
    cw_close(e->w, "");
    cw_line(e->w, "%s += (size_t)b * %" PRId64 ";", in->name, (int64_t)in->h * in->w * in->c);
    int chunks = c->from / c->chunk;
    if (chunks > 1)
        loop_open(e, "chunk", 0, chunks, 1);
    const char *image = chunks > 1 ? arena_printf(e->arena, "chunk * %d + b", e->plan->batch) : "b";
    if (c->pairs)
        image = chunks > 1 ? "chunk" : "0";
    winograd_emit_in(e, c, in, chunks > 1 ? arena_printf(e->arena, "%s + chunk * %d", in->name, c->chunk) : in->name,
                     c->pairs ? &own : &c->v, c->chunk, image, NULL);
    if (chunks > 1)
        cw_close(e->w, "}");
    if (c->pairs)
        emit_round(e, c, &own);
    return emit_end(e, panels_name(e, c, "in"),
                    arena_printf(e->arena, "%s: V = %s of image b%s.", step->group->main->layer->name,
                                 winograd_formula_in(c), c->pairs ? ", in pairs of bfloat16" : ""));
}

/* ---- a panel ----------------------------------------------------------------------------------------------------- */

/* The weights of channel `k`, and those that will be needed U_CHUNK channels later asked for: taps lie far apart. */
static void emit_row(struct emitter *e, const struct winograd_conv *c)
{
    int stored = c->s.weight->panel, pieces = stored / c->panel;
    if (pieces == 1)
        cw_line(e->w, "const %s *const row = w + (size_t)panel * %" PRId64 " + k * %d;", e->plan->real, c->s.k * stored,
                stored);
    else                        /* a half or a quarter of one */
        cw_line(e->w, "const %s *const row = w + (size_t)(panel / %d) * %" PRId64 " + panel %% %d * %d + k * %d;",
                e->plan->real, pieces, c->s.k * stored, pieces, c->panel, stored);
    loop_open(e, "tap", 0, c->s.taps, 1);
    for (int lane = 0; lane < c->panel; lane += 64 / e->plan->real_size)
        cw_line(e->w, "v_prefetch(row + tap * %" PRId64 " + %d);", (int64_t)c->s.c * stored, U_CHUNK * stored + lane);
    cw_close(e->w, "}");
}

/* U of the chunk from channel `begin` on. */
static void emit_weights(struct emitter *e, const struct winograd_conv *c)
{
    int stored = c->s.weight->panel;
    int64_t tap_stride = (int64_t)c->s.c * stored;
    loop_open(e, "part", 0, c->chunk / U_CHUNK, 1);
    cw_line(e->w, "const int first = begin + part * %d, end = first + %d;", U_CHUNK, U_CHUNK);
    if (c->data_grad) {
        winograd_emit_turn(e, c);
        tap_stride = (int64_t)U_CHUNK * c->panel;
    }
    cw_open(e->w, "for (int k = first; k < end; k++) {");
    if (!c->data_grad)
        emit_row(e, c);
    loop_open_vectors(e, "lane", c->panel);
    if (c->data_grad)
        cw_line(e->w, "const %s *const from = scratch + (k - first) * %d + lane;", e->plan->real, c->panel);
    else
        cw_line(e->w, "const %s *const from = row + lane;", e->plan->real);
    cw_line(e->w, "%s *const to = u + (k - begin) * %d + lane;", e->plan->real, c->panel);
    winograd_emit_weight_vector(e, c, tap_stride);
    cw_close(e->w, "}");
    cw_close(e->w, "}");
    cw_close(e->w, "}");
    if (c->pairs) {
        cw_open(e->w, "for (int i = 0; i < %d; i++)", c->tiles.positions);
        cw_line(e->w, "bf16_rows(u + i * %" PRId64 ", %d, u + i * %" PRId64 ", %d, %d);", c->u_position, c->panel,
                c->u_position, c->chunk, c->panel);
        cw_close(e->w, "");
    }
}

/* M of all positions: begun with the first chunk, added to with the others. */
static void emit_products(struct emitter *e, const struct winograd_conv *c)
{
    int chunks = c->from / c->chunk, per = per_element(c);
    for (int k = 0; k < WINOGRAD_CLASSES; k++) {
        const struct winograd_class *s = &c->tiles.class[k];
        int64_t rows = (int64_t)c->images * s->rows_v * s->rows_h;
        if (!s->count || !rows)
            continue;
        const char *from = chunks > 1 ? arena_printf(e->arena, " + chunk * %" PRId64, rows * c->parts * c->chunk / per)
            : "";
        if (c->parts > 1)
            from = arena_printf(e->arena, "%s + begin_image * %" PRId64, from, rows / c->images * c->chunk / per);
        const char *arguments = arena_printf(
            e->arena, "(values%s + i * %" PRId64 "%s, u%s + i * %" PRId64 ", products%s + i * %" PRId64 ");",
            text_offset(e, c->v.class_offset[k] / per), c->v.stride[k] / per, from,
            text_offset(e, s->first * c->u_position), c->u_position, text_offset(e, c->m.class_offset[k]),
                c->m.stride[k]);
        int vectors = c->panels.vectors;
        const char *begin = winograd_emit_multiply(e, rows, c->chunk / per, c->v.width / per, c->panel, vectors, false,
                                                   c->pairs);
        loop_open(e, "i", 0, s->count, 1);
        if (chunks > 1) {
            cw_open(e->w, "if (chunk == 0)");
            cw_line(e->w, "%s%s", begin, arguments);
            cw_middle(e->w, "else");
            cw_line(e->w, "%s%s", winograd_emit_multiply(e, rows, c->chunk / per, c->v.width / per, c->panel, vectors,
                                                         true, c->pairs), arguments);
            cw_close(e->w, "");
        } else {
            cw_line(e->w, "%s%s", begin, arguments);
        }
        cw_close(e->w, "}");
    }
}

static const char *emit_panels(struct emitter *e, const struct step *step, struct winograd_conv *c,
                               const struct side *out)
{
    const struct group *g = step->group;
    const char *real = e->plan->real;
    struct chain chain;
    chain_make(e->plan, g, &chain);
    emit_function(e, "int %s, int n, const %s *values, const %s *w, %s *restrict %s%s, %s *restrict own",
                  c->parts > 1 ? "b" : "panel", c->pairs ? "bf16_pair" : real, real, real, out->name,
                  chain_parameters(e, &chain), real);
    if (c->parts > 1) {
        cw_line(e->w, "const int panel = b %% %d, begin_image = b / %d * %d;", c->panels_count, c->panels_count,
                c->images);
        cw_line(e->w, "const int end_image = begin_image + %d < n ? begin_image + %d : n;", c->images, c->images);
    }
    cw_line(e->w, "%s *const u = own, *const products = own + %" PRId64 ";", real, c->m_at);
    if (c->data_grad)
        cw_line(e->w, "%s *const scratch = own + %" PRId64 ";", real, c->m_at + plan_round(c->m.size, 64));
    loop_open(e, "chunk", 0, c->from / c->chunk, 1);
    cw_line(e->w, "const int begin = chunk * %d;", c->chunk);
    emit_weights(e, c);
    emit_products(e, c);
    cw_close(e->w, "}");
    c->column = arena_printf(e->arena, "panel * %d", c->panel);
    winograd_emit_out(e, c, out, g->chain_count ? &chain : NULL, c->panels.vectors, 0, false);
    const char *comment = arena_printf(e->arena, "%s\n%s Of %s: a panel of %d channels, %d of the others at a "
                                       "time.", emit_comment(e, step), winograd_tiles_text(e, &c->tiles, &c->s),
                                       c->parts > 1 ? arena_printf(e->arena, "%d images", c->images)
                                           : "the whole batch",
                                       c->panel, c->chunk);
    return emit_end(e, panels_name(e, c, "panel"), comment);
}

const char *winograd_panels_emit(struct emitter *e, const struct step *step)
{
    struct winograd_conv c;
    winograd_conv_of(e->plan, step->group, step->group->kernel->number, &c);
    struct side x = { c.data_grad ? "dx" : "x", c.s.h, c.s.w, c.s.c };
    struct side y = { c.data_grad ? "dy" : "y", c.s.oh, c.s.ow, c.s.o };
    if (step->part == PART_BATCH)
        return emit_batch(e, step, &c, c.data_grad ? &y : &x);
    return emit_panels(e, step, &c, c.data_grad ? &x : &y);
}
