/* conv2d_winograd_split.c - the forward convolution of one image by minimal filtering, cut into blocks that threads
 * share: steps for V by rows of tiles, M by panels and positions, y by panels and rows of tiles.  V and M lie in
 * buffers of all threads. */
#include <inttypes.h>

#include "kernels/conv2d_winograd.h"
#include "kernels/loops.h"

/* ---- plan -------------------------------------------------------------------------------------------------------- */

/* Of the group, for the step that reads U. */
struct split_buffers {
    struct buffer *values, *products;
};

/* Rows of tiles, and panels. */
static struct part part_of_y(const struct winograd_conv *c)
{
    const struct winograd_split *v = &c->tiles.v;
    return (struct part){ { { .count = c->s.oh, .step = (int64_t)c->s.ow * c->s.o, .piece = v->m,
                              .larger = v->large_count, .over = 1 },
                            { .count = c->s.ow, .step = c->s.o },
                            { .count = c->s.o, .step = 1, .piece = c->panel, .over = v->tiles } } };
}

struct step *winograd_split_plan(struct plan *p, struct program *q, struct group *g, const struct winograd_conv *c,
                                 int64_t flops)
{
    struct step *in = plan_step(p, q, g, PART_IN, SPLIT_BLOCKS, c->tiles.v.tiles, plan_way(g), 0);
    struct step *products = plan_step(p, q, g, PART_PRODUCTS, SPLIT_BLOCKS,
                                      (int64_t)c->panels_count * c->tiles.positions, plan_way(g), flops);
    struct step *out =
        plan_step(p, q, g, PART_OUT, SPLIT_BLOCKS, (int64_t)c->panels_count * c->tiles.v.tiles, plan_way(g), 0);
    struct split_buffers *b = arena_alloc(p->arena, sizeof *b);
    g->detail = b;
    const char *y = g->main->out[0]->name;
    step_is_told(p, in, ARGUMENT_BLOCK);
    step_takes(p, in, ACCESS_READ, g->main->in[0]);
    b->values = plan_buffer(p, q, arena_printf(p->arena, "%s_values", y), p->real, c->v.size * p->real_size);
    b->products = plan_buffer(p, q, arena_printf(p->arena, "%s_products", y), p->real,
                              c->panels_count * c->m.size * p->real_size);
    step_uses(p, in, ACCESS_WRITE, b->values, TOUCH_OWN);
    step_is_told(p, out, ARGUMENT_BLOCK);
    step_uses(p, out, ACCESS_READ, b->products, TOUCH_ALL);
    step_takes_part(p, out, ACCESS_WRITE, g->result, part_of_y(c));
    step_takes_chain(p, out);
    return products;
}

void winograd_split_reads(struct plan *p, struct step *products, const struct buffer *u)
{
    const struct split_buffers *b = products->group->detail;
    step_is_told(p, products, ARGUMENT_BLOCK);
    step_uses(p, products, ACCESS_READ, b->values, TOUCH_ALL);
    step_uses(p, products, ACCESS_READ, u, TOUCH_ALL);
    step_uses(p, products, ACCESS_WRITE, b->products, TOUCH_OWN);
}

/* ---- the steps --------------------------------------------------------------------------------------------------- */

static const char *split_name(struct emitter *e, const struct winograd_conv *c, const char *part)
{
    return arena_printf(e->arena, "winograd_%s_%s_%dx%dx%d_to_%dx%dx%d", conv_name(e, &c->s), part, c->s.c, c->s.h,
                        c->s.w, c->s.o, c->s.oh, c->s.ow);
}

static const char *emit_in(struct emitter *e, const struct step *step, const struct winograd_conv *c)
{
    const char *real = e->plan->real;
    emit_function(e, "int b, const %s *x, %s *restrict values", real, real);
    if (c->tiles.v.tiles == 1)
        cw_line(e->w, "(void)b;");
    winograd_emit_in(e, c, &(struct side){ "x", c->s.h, c->s.w, c->s.c }, "x", &c->v, c->s.c, "0", "b");
    return emit_end(e, split_name(e, c, "in"), arena_printf(e->arena, "%s: V = B^T x B for a row of tiles.",
                                                            step->group->main->layer->name));
}

/* "k * 2320 + 512" */
static const char *position_offset(struct emitter *e, int64_t first, int64_t stride)
{
    if (!first)
        return arena_printf(e->arena, "k * %" PRId64, stride);
    return arena_printf(e->arena, "k * %" PRId64 " %c %" PRId64, stride, first < 0 ? '-' : '+',
                        first < 0 ? -first : first);
}

/* Position k of a panel whose columns are so many vectors. */
static void emit_position(struct emitter *e, const struct winograd_conv *c, int vectors)
{
    bool first = true;
    for (int i = 0; i < WINOGRAD_CLASSES; i++) {
        const struct winograd_class *s = &c->tiles.class[i];
        int64_t rows = (int64_t)s->rows_v * s->rows_h;
        if (!s->count || !rows)
            continue;
        const char *name = winograd_emit_multiply(e, rows, c->from, c->v.width, c->panel, vectors, false, false);
        if (s->count < c->tiles.positions) {
            const char *test = arena_printf(e->arena, "if (k < %d) {", s->first + s->count);
            bool last = s->first + s->count == c->tiles.positions;
            if (first)
                cw_open(e->w, "%s", test);
            else
                cw_middle(e->w, last ? "} else {" : arena_printf(e->arena, "} else %s", test));
        }
        /* offsets of a class and of its first position in one */
        cw_line(e->w, "%s(values + %s, up, mp + %s);", name,
                position_offset(e, c->v.class_offset[i] - s->first * c->v.stride[i], c->v.stride[i]),
                position_offset(e, c->m.class_offset[i] - s->first * c->m.stride[i], c->m.stride[i]));
        first = false;
    }
    if (c->tiles.class[0].count < c->tiles.positions)
        cw_close(e->w, "}");
}

/* The parts of a block for whole panels and for the last one. */
static void emit_panels(struct emitter *e, const struct winograd_conv *c, void *data,
                        void (*part)(struct emitter *e, const struct winograd_conv *c, void *data, int vectors,
                                     int tail))
{
    if (c->panels.whole && c->panels.last_vectors) {
        cw_open(e->w, "if (p < %d) {", c->panels.whole);
        part(e, c, data, c->panels.vectors, 0);
        cw_middle(e->w, "} else {");
        part(e, c, data, c->panels.last_vectors, c->panels.last_tail);
        cw_close(e->w, "}");
    } else if (c->panels.whole) {
        part(e, c, data, c->panels.vectors, 0);
    } else {
        part(e, c, data, c->panels.last_vectors, c->panels.last_tail);
    }
}

static void products_part(struct emitter *e, const struct winograd_conv *c, void *data, int vectors, int tail)
{
    (void)data;
    (void)tail;
    emit_position(e, c, vectors);
}

static const char *emit_products(struct emitter *e, const struct step *step, const struct winograd_conv *c)
{
    const char *real = e->plan->real;
    emit_function(e, "int b, const %s *values, const %s *u, %s *restrict products", real, real, real);
    cw_line(e->w, "const int p = b / %d, k = b %% %d;", c->tiles.positions, c->tiles.positions);
    cw_line(e->w, "const %s *const up = u + p * %" PRId64 " + k * %" PRId64 ";", real, c->u_panel, c->u_position);
    cw_line(e->w, "%s *const mp = products + p * %" PRId64 ";", real, c->m.size);
    emit_panels(e, c, NULL, products_part);
    const char *comment = arena_printf(e->arena, "%s\n%s A block is a panel and a position.", emit_comment(e, step),
                                       winograd_tiles_text(e, &c->tiles, &c->s));
    return emit_end(e, split_name(e, c, "products"), comment);
}

static void out_part(struct emitter *e, const struct winograd_conv *c, void *data, int vectors, int tail)
{
    struct winograd_transform t = { .kind = TRANSFORM_Y, .tiles = &c->tiles, .values = &c->m, .pixel = c->s.o,
                                    .row = (int64_t)c->s.ow * c->s.o, .tail = tail, .chain = data, .down = "down" };
    const char *first = arena_printf(e->arena, "p * %d", c->panel);
    t.channels = (vectors - (tail > 0)) * e->plan->lanes + tail;
    winograd_emit_image(e, &t, arena_printf(e->arena, "y + p * %d", c->panel), "mp", "0", first, first);
}

static const char *emit_out(struct emitter *e, const struct step *step, const struct winograd_conv *c)
{
    const struct group *g = step->group;
    const char *real = e->plan->real;
    struct chain chain;
    chain_make(e->plan, g, &chain);
    emit_function(e, "int b, const %s *products, %s *restrict y%s", real, real, chain_parameters(e, &chain));
    if (c->tiles.v.tiles > 1)
        cw_line(e->w, "const int p = b / %d, down = b %% %d;", c->tiles.v.tiles, c->tiles.v.tiles);
    else
        cw_line(e->w, "const int p = b;");
    cw_line(e->w, "const %s *const mp = products + p * %" PRId64 ";", real, c->m.size);
    emit_panels(e, c, g->chain_count ? &chain : NULL, out_part);
    return emit_end(e, split_name(e, c, "out"),
                    arena_printf(e->arena, "%s: y = A^T M A for a panel and a row of tiles.", g->main->layer->name));
}

const char *winograd_split_emit(struct emitter *e, const struct step *step)
{
    struct winograd_conv c;
    winograd_conv_of(e->plan, step->group, step->group->kernel->number, &c);
    switch (step->part) {
    case PART_IN: return emit_in(e, step, &c);
    case PART_PRODUCTS: return emit_products(e, step, &c);
    default: return emit_out(e, step, &c);
    }
}
