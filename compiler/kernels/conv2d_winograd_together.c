/* conv2d_winograd_together.c - minimal filtering of images that lie together (tensor_place.together).
 *
 * To the transforms such a map is one with as many times the channels, so they waste no lane however few channels there
 * are.  A position's product is that of conv2d_together.c: channels of the result are rows, for which U is broadcast,
 * and tiles are vectors of images.  As many channels of the result as leave M in a part of the second-level cache are
 * multiplied before they are transformed back. */
#include <inttypes.h>
#include <string.h>

#include "kernels/conv2d_winograd.h"
#include "kernels/together.h"

enum { VECTORS_MOST = 4 };

/* The map that is read. */
static const struct tensor *from_of(const struct group *g)
{
    return g->main->in[0];
}

/* A position's product for so many channels of the result and tiles of an image, `vectors` of these in a register
 * tile. */
static double tiles_cycles(const struct plan *p, const struct winograd_conv *c, int outputs, int tiles, int vectors)
{
    struct row_split cut = split_rows(tiles, vectors);
    double cycles = 0;
    for (int small = 0; small < 2; small++) {
        int count = small ? cut.small_count : cut.large_count, width = cut.large - small;
        if (!count)
            continue;
        struct row_split rows = split_rows(outputs, tile_rows_max(p, width));
        cycles += count * rows.large_count * together_tile_cycles(p, rows.large, width, c->from);
        cycles += count * rows.small_count * together_tile_cycles(p, rows.large - 1, width, c->from);
    }
    return cycles;
}

static int best_vectors(const struct plan *p, const struct winograd_conv *c, int outputs, int tiles)
{
    int best = 1;
    for (int vectors = 2; vectors <= VECTORS_MOST && vectors <= tiles; vectors++)
        if (tiles_cycles(p, c, outputs, tiles, vectors) < tiles_cycles(p, c, outputs, tiles, best))
            best = vectors;
    return best;
}

void winograd_together_of(const struct plan *p, const struct group *g, struct winograd_conv *c)
{
    const struct program *q = g->program;
    c->images = c->wide = 1;
    c->v = winograd_values_of(&c->tiles, 1, c->from * p->lanes, 16);
    for (c->outputs = c->panel; ; c->outputs /= 2) {
        c->m = winograd_values_of(&c->tiles, 1, c->outputs * p->lanes, 16);
        if ((double)(c->m.size * p->real_size) <= p->target->l2_bytes / 4 || c->outputs % 2 || c->outputs <= 4)
            break;
    }
    const struct shape in = from_of(g)->shape, out = g->result->shape;
    c->m_at = plan_round(c->v.size, 64);
    c->turned_at = c->m_at + plan_round(c->m.size, 64);
    c->apart = !lies_together(q, from_of(g));
    c->result_apart = !lies_together(q, g->result);
    c->result_at = c->turned_at + (c->apart ? plan_round((int64_t)in.h * in.w * in.c * p->lanes, 64) : 0);
    c->scratch = c->result_at + (c->result_apart ? plan_round((int64_t)out.h * out.w * out.c * p->lanes, 64) : 0);
}

/* Where channels fill whole vectors minimal filtering image by image wastes nothing either. */
bool winograd_together(const struct plan *p, const struct node *n, int points)
{
    struct conv_geometry s = conv_geometry_of(p, n), turned = winograd_turned(&s);
    struct winograd_tiles tiles;
    return (s.c % p->lanes || s.o % p->lanes) && together_conv(p, n) &&
           winograd_tiles_of(n->op == OP_conv2d_data_grad && s.padded ? &turned : &s, points, &tiles);
}

double winograd_together_cost(const struct plan *p, const struct group *g, const struct winograd_conv *c)
{
    const struct costs *k = p->target->costs;
    double cycles = 0, values = 0, calls = p->batch / p->lanes;
    for (int i = 0; i < WINOGRAD_CLASSES; i++) {
        const struct winograd_class *s = &c->tiles.class[i];
        int tiles = s->rows_v * s->rows_h;
        for (int first = 0; s->count && tiles && first < c->to; first += c->outputs) {
            int outputs = c->to - first < c->outputs ? c->to - first : c->outputs;
            cycles += s->count * tiles_cycles(p, c, outputs, tiles, best_vectors(p, c, outputs, tiles));
        }
        values += (double)s->count * tiles;
    }
    cycles += values * (c->from + c->to) * k->transform_together;
    cycles *= calls;
    cycles += k->transform_filter * c->tiles.positions * c->from * c->to / p->lanes;
    const struct shape in = from_of(g)->shape, out = g->result->shape;
    if (c->apart)
        cycles += together_turn_cycles(p, (int64_t)in.h * in.w * in.c);
    if (c->result_apart)
        cycles += together_turn_cycles(p, (int64_t)out.h * out.w * out.c);
    return cycles + group_chain_cycles(p, g);
}

/* ---- emit -------------------------------------------------------------------------------------------------------- */

/* C = A B for one position: so many tiles, `outputs` rows. */
static const char *emit_multiply(struct emitter *e, const struct winograd_conv *c, int outputs, int tiles)
{
    const char *real = e->plan->real;
    int lanes = e->plan->lanes;
    struct row_split cut = split_rows(tiles, best_vectors(e->plan, c, outputs, tiles));
    emit_function(e, "const %s *values, const %s *u, %s *restrict products", real, real, real);
    for (int small = 0; small < 2; small++) {
        int count = small ? cut.small_count : cut.large_count, width = cut.large - small;
        int before = small ? cut.large * cut.large_count : 0;
        if (!count)
            continue;
        struct row_split rows = split_rows(outputs, tile_rows_max(e->plan, width));
        int64_t from = (int64_t)width * c->from * lanes, to = (int64_t)width * c->m.width;
        const char *b = text_printf(e, "values%s%s", count > 1 ? text_printf(e, " + t * %" PRId64, from) : "",
                                    text_offset(e, (int64_t)before * c->from * lanes));
        const char *into = text_printf(e, "products%s%s", count > 1 ? text_printf(e, " + t * %" PRId64, to) : "",
                                       text_offset(e, (int64_t)before * c->m.width));
        if (count > 1)
            loop_open(e, "t", 0, count, 1);
        for (int less = 0; less < 2; less++) {
            int times = less ? rows.small_count : rows.large_count, height = rows.large - less;
            int first = less ? rows.large * rows.large_count : 0;
            if (!times)
                continue;
            const struct tile tile = { .rows = height, .vectors = width, .a_row = 1, .a_k = c->panel, .b_k = lanes,
                                       .b_vector = (int64_t)c->from * lanes, .c_vector = c->m.width, .c_row = lanes,
                                       .depth = c->from, .segments = 1 };
            const char *name = emit_tile(e, &tile);
            if (times > 1)
                loop_open(e, "r", 0, times, 1);
            cw_line(e->w, "%s(u%s%s, %s, %s%s%s);", name, times > 1 ? text_printf(e, " + r * %d", height) : "",
                    text_offset(e, first), b, into, times > 1 ? text_printf(e, " + r * %d", height * lanes) : "",
                    text_offset(e, (int64_t)first * lanes));
            if (times > 1)
                cw_close(e->w, "}");
        }
        if (count > 1)
            cw_close(e->w, "}");
    }
    return emit_end(e, text_printf(e, "multiply_together_%dx%dx%d", outputs, c->from, tiles),
                    text_printf(e, "C = U B for one position: %d channels of %d tiles of images that lie together.",
                                outputs, tiles));
}

static void emit_products(struct emitter *e, const struct winograd_conv *c, int outputs)
{
    for (int k = 0; k < WINOGRAD_CLASSES; k++) {
        const struct winograd_class *s = &c->tiles.class[k];
        int tiles = s->rows_v * s->rows_h;
        if (!s->count || !tiles)
            continue;
        const char *name = emit_multiply(e, c, outputs, tiles);
        loop_open(e, "i", 0, s->count, 1);
        cw_line(e->w, "%s(values%s + i * %" PRId64 ", up%s + i * %" PRId64 ", products%s + i * %" PRId64 ");", name,
                text_offset(e, c->v.class_offset[k]), c->v.stride[k], text_offset(e, s->first * c->u_position),
                c->u_position, text_offset(e, c->m.class_offset[k]), c->m.stride[k]);
        cw_close(e->w, "}");
    }
}

/* Channels of the result from number `first` on, C text. */
static void emit_outputs(struct emitter *e, const struct winograd_conv *c, const struct side *out, const char *into,
                         const struct chain *chain, int outputs, const char *first)
{
    int lanes = e->plan->lanes;
    const char *at = text_times(e, first, lanes), *up = text_plus(e, "u", first);
    if (c->panels_count > 1 && strcmp(first, "0"))
        up = text_printf(e, "u + %s / %d * %" PRId64 " + %s %% %d", first, c->panel, c->u_panel, first, c->panel);
    cw_line(e->w, "const %s *const up = %s;", e->plan->real, up);
    emit_products(e, c, outputs);
    struct winograd_transform t = { .kind = c->transposed ? TRANSFORM_DX : TRANSFORM_Y, .tiles = &c->tiles,
                                    .values = &c->m, .row = (int64_t)out->w * out->c * lanes,
                                    .pixel = (int64_t)out->c * lanes, .chain = chain, .channels = outputs * lanes };
    winograd_emit_image(e, &t, text_plus(e, into, at), "products", "0", first, at);
}

const char *winograd_together_emit(struct emitter *e, const struct step *step)
{
    const struct group *g = step->group;
    struct winograd_conv c;
    winograd_conv_of(e->plan, g, g->kernel->number, &c);
    const char *real = e->plan->real;
    int lanes = e->plan->lanes, whole = c.to / c.outputs, rest = c.to % c.outputs;
    struct chain operands;
    chain_make(e->plan, g, &operands);
    const struct chain *chain = g->chain_count ? &operands : NULL;
    struct side x = { c.data_grad ? "dx" : "x", c.s.h, c.s.w, c.s.c };
    struct side y = { c.data_grad ? "dy" : "y", c.s.oh, c.s.ow, c.s.o };
    struct side in = c.data_grad ? y : x, out = c.data_grad ? x : y, wide = in;
    const char *map = c.apart ? "turned" : in.name, *into = c.result_apart ? "together" : out.name;
    emit_function(e, "const %s *%s, const %s *u, %s *restrict %s%s, %s *restrict scratch", real, in.name, real, real,
                  out.name, chain_parameters(e, &operands), real);
    cw_line(e->w, "%s *const values = scratch, *const products = scratch + %" PRId64 ";", real, c.m_at);
    if (c.apart)
        cw_line(e->w, "%s *const turned = scratch + %" PRId64 ";", real, c.turned_at);
    if (c.result_apart)
        cw_line(e->w, "%s *const together = scratch + %" PRId64 ";", real, c.result_at);
    if (c.apart)
        emit_turn_in(e, in.name, "turned", in.h, in.w, in.c, 0, in.w);
    wide.c *= lanes;
    winograd_emit_in(e, &c, &wide, map, &c.v, wide.c, "0", NULL);
    const struct chain *inside = c.result_apart ? NULL : chain;
    if (whole) {
        cw_open(e->w, whole > 1 ? "for (int p = 0; p < %d; p++) {" : "{", whole);
        emit_outputs(e, &c, &out, into, inside, c.outputs, whole > 1 ? text_printf(e, "p * %d", c.outputs) : "0");
        cw_close(e->w, "}");
    }
    if (rest) {
        cw_open(e->w, "{");
        emit_outputs(e, &c, &out, into, inside, rest, text_printf(e, "%d", whole * c.outputs));
        cw_close(e->w, "}");
    }
    if (c.result_apart)
        emit_turn_out(e, "together", out.name, (int64_t)out.h * out.w * out.c);
    if (c.result_apart && chain)
        chain_over_image(e, chain, out.name, out.name, "0", (int64_t)out.h * out.w * lanes, out.c);
    return emit_end(e, text_printf(e, "winograd_%s_together%s_%dx%dx%d_to_%dx%dx%d", conv_name(e, &c.s),
                                   c.data_grad ? "_data_grad" : "", in.c, in.h, in.w, out.c, out.h, out.w),
                    text_printf(e, "%s\n%s %d images that lie together.", emit_comment(e, step),
                                winograd_tiles_text(e, &c.tiles, &c.s), lanes));
}
