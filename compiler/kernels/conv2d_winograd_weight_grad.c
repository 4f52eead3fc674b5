/* conv2d_winograd_weight_grad.c - the gradient of a convolution's weights by minimal filtering.
 *
 *     dU[p, q] = sum over tiles of (B^T x B)[p, q] (A dy A^T)[p, q];   dw = G^T dU G
 *
 * Where dU is large, a block of images is transformed by all threads together into shared V and M, which then stay in the
 * caches while the threads split the list of (position, panel).  Every element of dU is summed by one thread, in the order
 * of the images: the same bits for any number of threads.
 *
 * Where dU is much larger than V and M of the whole batch, nothing of it is kept: a block is a panel of output channels and
 * goes through the panels of input channels, sums their part of dU over the batch, and turns it into weights at once.
 *
 * Where few channels leave dU, V and M room in a thread's own cache, the step takes a few images after the others and
 * shares the loop of its neighbours: dy is still in the cache, and nobody waits for anybody.  The batch is then cut into a
 * fixed number of groups of images, each with a dU of its own, which the last step adds in order.  So it is where many input
 * channels meet few output channels: V is then made and multiplied a panel of input channels after the other, and dU alone
 * comes and goes. */
#include <inttypes.h>
#include <string.h>

#include "kernels/conv2d_winograd.h"
#include "kernels/loops.h"

struct winograd_weights {
    struct conv_geometry s;
    struct winograd_tiles tiles;
    int x_panel, x_panels;      /* of V, over input channels */
    int panel, panels;          /* of M, over output channels */
    int images;                 /* in a block */
    bool by_image;              /* the loop of the neighbours, `images` in a call */
    bool in_turn;               /* then: V is of one panel of inputs after the other */
    int groups;                 /* then: that have a dU each; else 1 */
    int parts;                  /* else: of an image, that are transformed each by itself: its panels; 1: all of it */
    bool by_panel;              /* dU is transformed back where it is summed, a panel of inputs after the other */
    struct winograd_values v, m;
    int64_t m_at, scratch;      /* by image: in scratch, elements; V is its beginning */
    int64_t u_position, u_panel, u_group;       /* elements of dU */
    int64_t db_stored;
};

enum { INVERSE_CHUNK = 16,      /* input channels in a block of the last step */
       AHEAD = 4 };             /* channels between what is written and what is asked for */

static void values_of(const struct winograd_weights *g, int images, struct winograd_values *v, struct winograd_values *m)
{
    *v = winograd_values_of(&g->tiles, images * (g->in_turn ? 1 : g->x_panels), g->x_panel, 16);
    *m = winograd_values_of(&g->tiles, images * g->panels, g->panel, 16);
}

static double values_bytes(const struct plan *p, const struct winograd_weights *g)
{
    return (double)(g->v.size + g->m.size) * p->real_size;
}

/* As many images at a time as leave V, M and so much of dU a thread's second-level cache with room for what passes
 * through, as long as more of them make the sums of a position much longer.  0: not even one does. */
static int images_in_cache(const struct plan *p, struct winograd_weights *g, int groups, double sums)
{
    enum { LONG = 64 };
    int most = 0, tiles = g->tiles.v.tiles * g->tiles.h.tiles;
    for (int images = 1; images == 1 || images * tiles <= LONG; images *= 2) {
        if (p->batch / groups % images)
            break;
        values_of(g, images, &g->v, &g->m);
        if (values_bytes(p, g) + sums > 0.75 * p->target->l2_bytes)
            break;
        most = images;
    }
    return most;
}

/* Whether a thread takes some images by itself: where all stays in its second-level cache, or all but dU, panel by panel;
 * then V would not stay either, and each of its numbers that is written and read must weigh more than one of dU: it has a
 * row for every tile, which must not be fewer than the outputs. */
static bool choose_by_image(const struct plan *p, struct winograd_weights *g)
{
    enum { ENOUGH = 4, FAR = 4 };
    int groups = plan_image_groups(p);
    if (groups == 1 || (groups < ENOUGH && groups < p->batch))
        return false;
    double sums = (double)g->u_group * p->real_size;
    g->images = images_in_cache(p, g, groups, sums);
    if (!g->images && sums < FAR * p->target->l2_bytes) {
        g->in_turn = true;
        g->images = images_in_cache(p, g, groups, sums / g->x_panels);
        if (g->images * g->tiles.v.tiles * g->tiles.h.tiles < g->panels * g->panel)
            g->images = 0;
    }
    if (!g->images) {
        g->in_turn = false;
        return false;
    }
    values_of(g, g->images, &g->v, &g->m);
    g->by_image = true;
    g->groups = groups;
    g->m_at = plan_round(g->v.size, 64);
    g->scratch = g->m_at + plan_round(g->m.size, 64);
    return true;
}

/* What is moved: V for each panel, and M, in the last cache; or else dU, written and read for each block of images and at
 * the end, which counts twice where it lies in memory. */
static void choose_by_panel(const struct plan *p, struct winograd_weights *g)
{
    enum { BLOCKS_LEAST = 8 };
    const struct costs *k = p->target->costs;
    struct winograd_values v, m;
    values_of(g, p->batch, &v, &m);
    double sums = (double)g->u_group * p->real_size, blocks = (double)p->batch / g->images;
    double times = sums > (k->last_share + k->last_span) * p->target->l2_bytes ? 2 : 1;
    double moved = ((double)v.size * g->panels + (double)m.size) * p->real_size;
    if (p->batch == 1 || g->s.o % g->panel || g->s.c % g->x_panel || g->panels < BLOCKS_LEAST ||
        sums < 2 * p->target->l2_bytes || moved > times * (1 + blocks) * sums || !winograd_reaches(v.size) ||
        !winograd_reaches(m.size))
        return;
    g->by_panel = true;
    g->parts = 1;
    g->images = p->batch;
    g->v = v;
    g->m = m;
    g->u_position = (int64_t)g->x_panel * g->panel + 16;        /* of a panel of inputs alone */
    g->u_panel = g->u_group = g->tiles.positions * g->u_position;
}

/* A block of few images leaves little for many threads to transform, so the panels of an image are blocks of their own.
 * Zeros around an image are copied for all panels at once. */
static void choose_parts(struct winograd_weights *g)
{
    enum { MANY = 32 };
    if (2 * g->images < MANY && !g->s.padded && g->panels == g->x_panels && g->s.o % g->panel == 0 &&
        g->s.c % g->x_panel == 0)
        g->parts = g->panels;
}

/* What V and M of a block of images may have.  Where dU does not stay in the second-level cache it is read and written in
 * the last one for each block, so where a batch has many of them larger ones pay as long as one position's V stays with the
 * thread that multiplies it. */
static double block_bytes(const struct plan *p, const struct winograd_weights *g, int images)
{
    enum { BLOCKS_LEAST = 32 };
    double l2 = p->target->l2_bytes, few = 5 * l2;
    double position = (double)images * g->tiles.v.tiles * g->tiles.h.tiles * g->x_panels * g->x_panel * p->real_size;
    if (p->batch < BLOCKS_LEAST * images || (double)g->u_group * p->real_size < 2 * l2 || position > 0.75 * l2)
        return few;
    return few > p->target->costs->last_block ? few : p->target->costs->last_block;
}

static bool winograd_weights_of(const struct plan *p, const struct node *n, int points, struct winograd_weights *g)
{
    memset(g, 0, sizeof *g);
    g->s = conv_geometry_of(p, n);
    if (!winograd_tiles_of(&g->s, points, &g->tiles))
        return false;
    g->x_panel = plan_panel(p, g->s.c);
    g->x_panels = (g->s.c + g->x_panel - 1) / g->x_panel;
    g->panel = g->s.weight->panel;
    g->panels = (g->s.o + g->panel - 1) / g->panel;
    g->u_position = (int64_t)g->s.c * g->panel + 16;
    g->u_panel = g->tiles.positions * g->u_position;
    g->u_group = g->panels * g->u_panel;
    g->db_stored = plan_round(g->s.o, p->lanes);
    g->groups = g->parts = 1;
    if (choose_by_image(p, g))
        return true;
    for (int images = 1; images <= 32 && p->batch % images == 0; images *= 2) {
        values_of(g, images, &g->v, &g->m);
        if (images > 1 && values_bytes(p, g) > block_bytes(p, g, images))
            break;
        g->images = images;
    }
    values_of(g, g->images, &g->v, &g->m);
    choose_parts(g);
    choose_by_panel(p, g);
    return true;
}

static bool applicable_with(const struct plan *p, const struct group *g, int points)
{
    struct winograd_weights d;
    if (!winograd_weights_of(p, g->main, points, &d))
        return false;
    if (!winograd_reaches(d.v.size) || !winograd_reaches(d.m.size) || !winograd_reaches(d.groups * d.u_group))
        return false;
    int used = d.tiles.v.points > d.tiles.h.points ? d.tiles.v.points : d.tiles.h.points;
    return used > points - 2 || points == 4;
}

static bool by_image_with(const struct plan *p, const struct group *g, int points)
{
    struct winograd_weights d;
    return winograd_weights_of(p, g->main, points, &d) && d.by_image;
}

static double cost_with(const struct plan *p, const struct group *g, int points)
{
    struct winograd_weights d;
    winograd_weights_of(p, g->main, points, &d);
    double blocks = (double)p->batch / d.images, cycles = 0;
    for (int k = 0; k < WINOGRAD_CLASSES; k++) {
        const struct winograd_class *s = &d.tiles.class[k];
        int64_t depth = (int64_t)d.images * s->rows_v * s->rows_h;
        if (s->count && depth)
            cycles += blocks * s->count * product_cycles(p, d.s.o, d.panel, d.s.c, d.x_panel, depth);
    }
    cycles += winograd_transform_cycles(p, &d.tiles, d.s.c, d.s.o);
    /* V and M are written, fetched for it, and read for each panel of the other */
    cycles += blocks * winograd_memory_cycles(p, (double)(d.v.size + d.m.size) * p->real_size,
                                              ((2.0 + d.panels) * (double)d.v.size +
                                               (2.0 + d.x_panels) * (double)d.m.size) * p->real_size);
    if (d.by_panel)
        return cycles;
    /* dU is read and written for each block of images */
    cycles += blocks * 2 * (double)d.u_group * p->real_size / p->target->costs->sum_rate;
    if (d.in_turn)
        cycles += d.groups * (double)d.u_group * p->real_size / p->target->costs->second_rate;
    return cycles;
}

static double error_with(const struct plan *p, const struct group *g, int points)
{
    struct winograd_weights d;
    winograd_weights_of(p, g->main, points, &d);
    return winograd_tiles_error(&d.tiles);
}

/* ---- plan -------------------------------------------------------------------------------------------------------- */

static struct buffer *own_buffer(struct plan *p, struct program *q, const struct group *g, const char *what,
                                 int64_t elements)
{
    return plan_buffer(p, q, arena_printf(p->arena, "%s_%s", g->main->out[0]->name, what), p->real,
                       elements * p->real_size);
}

/* A position and panel of dU. */
static struct part products_part(const struct winograd_weights *d)
{
    return (struct part){ { { .count = d->panels, .step = d->u_panel, .piece = 1, .over = 1 },
                            { .count = d->tiles.positions, .step = d->u_position, .piece = 1, .over = d->panels },
                            { .count = (int64_t)d->s.c * d->panel, .step = 1 } } };
}

/* A panel and some input channels of dw. */
static struct part inverse_part(const struct winograd_weights *d, int chunks)
{
    return (struct part){ { { .count = d->panels, .step = d->s.k * d->panel, .piece = 1, .over = chunks },
                            { .count = d->s.taps, .step = (int64_t)d->s.c * d->panel },
                            { .count = d->s.c, .step = d->panel, .piece = INVERSE_CHUNK, .over = 1 },
                            { .count = d->panel, .step = 1 } } };
}

enum { SUM_TRANSFORMS, SUM_PRODUCTS, SUM_INVERSE, SUM_IMAGES, SUM_PANELS };

static void takes_bias(struct plan *p, struct step *last, const struct buffer *bias)
{
    if (bias) {
        step_uses(p, last, ACCESS_READ, bias, TOUCH_ALL);
        step_takes_in(p, last, ACCESS_WRITE, last->group->companion->out[0], TOUCH_FIRST);
    }
}

static void plan_inverse(struct plan *p, struct program *q, struct group *g, const struct winograd_weights *d,
                         const struct buffer *du, const struct buffer *bias)
{
    int chunks = (d->s.c + INVERSE_CHUNK - 1) / INVERSE_CHUNK;
    struct step *out = plan_step(p, q, g, SUM_INVERSE, SPLIT_BLOCKS, (int64_t)d->panels * chunks, "weight gradient", 0);
    step_is_told(p, out, ARGUMENT_BLOCK);
    step_is_told(p, out, ARGUMENT_SAMPLES);
    step_uses(p, out, ACCESS_READ, du, TOUCH_ALL);
    step_takes_part(p, out, ACCESS_WRITE, g->main->out[0], inverse_part(d, chunks));
    takes_bias(p, out, bias);
}

static void plan_by_image(struct plan *p, struct program *q, struct group *g, const struct winograd_weights *d)
{
    struct step *sum = plan_step(p, q, g, SUM_IMAGES, SPLIT_IMAGES, 0, "weight gradient",
                                 2 * d->s.k * d->s.o * d->s.oh * d->s.ow * p->batch);
    sum->groups = d->groups;
    sum->images = d->images;
    struct buffer *du = own_buffer(p, q, g, "winograd", d->groups * d->u_group),
                  *bias = g->companion ? own_buffer(p, q, g, "bias_images", p->batch * d->db_stored) : NULL;
    if (d->images > 1)
        step_is_told(p, sum, ARGUMENT_LEFT);
    step_takes(p, sum, ACCESS_READ, g->main->in[0]);
    step_takes(p, sum, ACCESS_READ, g->main->in[1]);
    step_uses_cleared(p, sum, du, d->u_group);
    if (bias)
        step_uses_row(p, sum, ACCESS_WRITE, bias, AT_IMAGE, d->db_stored);
    step_scratch(p, sum, d->scratch * p->real_size);
    plan_inverse(p, q, g, d, du, bias);
}

/* dU position by position, then back. */
static void plan_products(struct plan *p, struct program *q, struct group *g, const struct winograd_weights *d,
                          const struct buffer *x_values, const struct buffer *dy_values, const struct buffer *du,
                          const struct buffer *bias)
{
    struct step *multiply = plan_step(p, q, g, SUM_PRODUCTS, SPLIT_BLOCKS, (int64_t)d->tiles.positions * d->panels,
                                      "weight gradient", 2 * d->s.k * d->s.o * d->s.oh * d->s.ow * p->batch);
    multiply->repeat = p->batch / d->images;
    multiply->run = d->panels; /* positions that few tiles need come last: dealt out, they fall to all threads */
    step_is_told(p, multiply, ARGUMENT_BLOCK);
    if (multiply->repeat > 1)
        step_is_told(p, multiply, ARGUMENT_BEGINS);
    step_uses(p, multiply, ACCESS_READ, x_values, TOUCH_ALL);
    step_uses(p, multiply, ACCESS_READ, dy_values, TOUCH_ALL);
    step_uses_part(p, multiply, multiply->repeat > 1 ? ACCESS_ADD : ACCESS_WRITE, du, products_part(d));
    if (multiply->repeat > 1)
        multiply->prefetch = "the next tile of what is added to";
    plan_inverse(p, q, g, d, du, bias);
}

/* Both at once. */
static void plan_panels(struct plan *p, struct program *q, struct group *g, const struct winograd_weights *d,
                        const struct buffer *x_values, const struct buffer *dy_values, const struct buffer *bias)
{
    struct step *s = plan_step(p, q, g, SUM_PANELS, SPLIT_BLOCKS, d->panels, "weight gradient",
                               2 * d->s.k * d->s.o * d->s.oh * d->s.ow * p->batch);
    step_is_told(p, s, ARGUMENT_BLOCK);
    if (bias)
        step_is_told(p, s, ARGUMENT_SAMPLES);
    step_uses(p, s, ACCESS_READ, x_values, TOUCH_ALL);
    step_uses(p, s, ACCESS_READ, dy_values, TOUCH_ALL);
    step_takes_part(p, s, ACCESS_WRITE, g->main->out[0], part_rows(d->panels, d->s.k * d->panel));
    takes_bias(p, s, bias);
    step_scratch(p, s, d->u_group * p->real_size);
}

/* Halves of panels of outputs, where whole vectors remain. */
static bool finer(struct plan *p, struct program *q, struct step *s, int images)
{
    (void)q;
    struct winograd_weights d;
    winograd_weights_of(p, s->group->main, s->group->kernel->number, &d);
    if (s->part != SUM_PANELS || images || d.panel / p->lanes % 2)
        return false;
    s->group->narrow = true;
    s->blocks *= 2;
    s->arguments = step_arguments_copy(p, s);
    for (int i = 0; i < s->arguments_count; i++) {
        struct argument *a = &s->arguments[i];
        if (a->touch != TOUCH_PART)
            continue;
        struct part *part = arena_alloc(p->arena, sizeof *part);
        *part = (struct part){ { { .count = d.panels, .step = d.s.k * d.panel, .piece = 1, .over = 2 },
                                 { .count = d.s.k, .step = d.panel },
                                 { .count = d.panel, .step = 1, .piece = d.panel / 2, .over = 1 } } };
        a->part = part;
    }
    return true;
}

static void plan(struct plan *p, struct program *q, struct group *g)
{
    struct winograd_weights d;
    winograd_weights_of(p, g->main, g->kernel->number, &d);
    if (d.by_image) {
        plan_by_image(p, q, g, &d);
        return;
    }
    const char *what = "weight gradient";
    struct step *in = plan_step(p, q, g, SUM_TRANSFORMS, SPLIT_BLOCKS, 2 * d.images * d.parts, what, 0);
    in->repeat = d.by_panel ? 0 : p->batch / d.images;
    in->beside = d.by_panel;
    struct buffer *x_values = own_buffer(p, q, g, "x_values", d.v.size),
                  *dy_values = own_buffer(p, q, g, "dy_values", d.m.size),
                  *du = d.by_panel ? NULL : own_buffer(p, q, g, "winograd", d.u_group),
                  *bias = g->companion ? own_buffer(p, q, g, "bias_images", p->batch * d.db_stored) : NULL;
    step_is_told(p, in, ARGUMENT_BLOCK);
    if (in->repeat > 1)
        step_is_given(p, in, ARGUMENT_FIRST, d.images);
    step_is_told(p, in, ARGUMENT_SAMPLES);
    step_takes(p, in, ACCESS_READ, g->main->in[0]);
    step_takes(p, in, ACCESS_READ, g->main->in[1]);
    step_uses(p, in, ACCESS_WRITE, x_values, TOUCH_OWN);
    step_uses(p, in, ACCESS_WRITE, dy_values, TOUCH_OWN);
    if (bias)
        step_uses(p, in, ACCESS_WRITE, bias, TOUCH_OWN);
    if (d.by_panel)
        plan_panels(p, q, g, &d, x_values, dy_values, bias);
    else
        plan_products(p, q, g, &d, x_values, dy_values, du, bias);
}

/* ---- step 0: transforms of a block of images --------------------------------------------------------------------- */

/* Zeros for an image, or its part, that a smaller batch lacks. */
static void emit_clear(struct emitter *e, const struct winograd_weights *d, const struct winograd_values *s, int panels,
                       const char *values)
{
    int cleared = panels / d->parts;
    for (int k = 0; k < WINOGRAD_CLASSES; k++) {
        const struct winograd_class *c = &d->tiles.class[k];
        int rows = c->rows_v * c->rows_h;
        if (!c->count || !rows)
            continue;
        loop_open(e, "i", 0, c->count * cleared, 1);
        const char *image = "image";
        if (d->parts > 1)
            image = arena_printf(e->arena, "(%s + image)", text_times(e, "p", d->images));
        else if (panels > 1)
            image = arena_printf(e->arena, "(%s + image)",
                                 text_times(e, arena_printf(e->arena, "i %% %d", panels), d->images));
        cw_line(e->w, "memset(%s%s + %s * %" PRId64 " + %s * %d, 0, sizeof(%s) * %d);", values,
                text_offset(e, s->class_offset[k]), text_over(e, "i", cleared), s->stride[k], image, rows * s->width,
                e->plan->real, rows * s->width);
        cw_close(e->w, "}");
    }
}

/* The image's number among those of a block or call. */
static const char *image_text(const struct winograd_weights *d)
{
    return d->by_image && d->images == 1 ? "0" : "image";
}

/* The transform of one image, panel by panel; with parts that of panel `p`. */
static void emit_panels(struct emitter *e, const struct winograd_weights *d, struct winograd_transform *t, int channels,
                        int panel, const char *map, const char *values)
{
    struct panels s = product_panels(e->plan, channels, panel);
    if (s.whole) {
        t->channels = panel;
        t->tail = 0;
        if (d->parts == 1)
            loop_open(e, "p", 0, s.whole, 1);
        winograd_emit_image(e, t, arena_printf(e->arena, "%s + p * %d", map, panel), values,
                            text_plus(e, text_times(e, "p", d->images), image_text(d)), "0", "0");
        if (d->parts == 1)
            cw_close(e->w, "}");
    }
    if (s.last_vectors) {
        t->channels = channels - s.whole * panel;
        t->tail = s.last_tail;
        winograd_emit_image(e, t, text_plus(e, map, arena_printf(e->arena, "%d", s.whole * panel)), values,
                            text_plus(e, arena_printf(e->arena, "%d", s.whole * d->images), image_text(d)), "0", "0");
    }
}

/* db = the sum of dy over the pixels of an image, for `count` vectors from the channel `first` (C text) on. */
static void emit_bias_vectors(struct emitter *e, const struct winograd_weights *d, const char *first, int count,
                              int tail)
{
    int lanes = e->plan->lanes;
    char *sums = "v";
    for (int k = 0; k < count; k++)
        sums = arena_printf(e->arena, "%s%s sum%d = v_zero()", sums, k ? "," : "", k);
    cw_line(e->w, "%s;", sums);
    loop_open(e, "i", 0, (int64_t)d->s.oh * d->s.ow, 1);
    const char *at = text_plus(e, arena_printf(e->arena, "i * %d", d->s.o), first);
    for (int k = 0; k < count; k++)
        cw_line(e->w, "sum%d = v_add(sum%d, %s);", k, k,
                text_load(e, "dy", arena_printf(e->arena, "%s%s", at, text_offset(e, k * lanes)),
                          k == count - 1 ? tail : 0));
    cw_close(e->w, "}");
    for (int k = 0; k < count; k++)
        cw_line(e->w, "v_store(%s%s, sum%d);", text_plus(e, "db", first), text_offset(e, k * lanes), k);
}

/* The bias gradient of one image, four vectors at a time. */
static void emit_bias(struct emitter *e, const struct winograd_weights *d)
{
    int lanes = e->plan->lanes, vectors = (d->s.o + lanes - 1) / lanes, tail = d->s.o % lanes;
    int fours = (tail ? vectors - 1 : vectors) / 4, rest = vectors - fours * 4;
    if (fours > 1) {
        cw_open(e->w, "for (int o = 0; o < %d; o += %d) {", fours * 4 * lanes, 4 * lanes);
        emit_bias_vectors(e, d, "o", 4, 0);
        cw_close(e->w, "}");
    } else if (fours) {
        cw_open(e->w, "{");
        emit_bias_vectors(e, d, "0", 4, 0);
        cw_close(e->w, "}");
    }
    if (rest)
        emit_bias_vectors(e, d, arena_printf(e->arena, "%d", fours * 4 * lanes), rest, tail);
}

static struct winograd_transform transform_x(const struct winograd_weights *d)
{
    return (struct winograd_transform){ .kind = TRANSFORM_X, .tiles = &d->tiles, .values = &d->v, .pixel = d->s.c,
                                        .row = (int64_t)d->s.w * d->s.c, .h = d->s.h, .w = d->s.w,
                                        .top = d->s.window.pad_top, .left = d->s.window.pad_left };
}

static struct winograd_transform transform_dy(const struct winograd_weights *d)
{
    return (struct winograd_transform){ .kind = TRANSFORM_DY, .tiles = &d->tiles, .values = &d->m, .pixel = d->s.o,
                                        .row = (int64_t)d->s.ow * d->s.o };
}

static const char *emit_transforms(struct emitter *e, const struct step *step)
{
    const struct group *g = step->group;
    struct winograd_weights d;
    winograd_weights_of(e->plan, g->main, g->kernel->number, &d);
    const char *real = e->plan->real;
    bool bias = g->companion != NULL;
    struct winograd_transform x = transform_x(&d), dy = transform_dy(&d);
    bool once = d.images == e->plan->batch;
    const char *sample = once ? "image" : "(first + image)";
    emit_function(e, "int b, %sint n, const %s *x, const %s *dy, %s *restrict x_values, %s *restrict dy_values%s",
                  once ? "" : "int first, ", real, real, real, real,
                  bias ? arena_printf(e->arena, ", %s *restrict db", real) : "");
    if (d.parts > 1)
        cw_line(e->w, "const int image = b / %d, p = b / 2 %% %d;", 2 * d.parts, d.parts);
    else
        cw_line(e->w, "const int image = b / 2;");
    cw_open(e->w, "if (b %% 2 == 0 && %simage < n) {", once ? "" : "first + ");
    cw_line(e->w, "x += (size_t)%s * %" PRId64 ";", sample, (int64_t)d.s.h * d.s.w * d.s.c);
    emit_panels(e, &d, &x, d.s.c, d.x_panel, "x", "x_values");
    cw_middle(e->w, once ? "} else if (image < n) {" : "} else if (first + image < n) {");
    cw_line(e->w, "dy += (size_t)%s * %" PRId64 ";", sample, (int64_t)d.s.oh * d.s.ow * d.s.o);
    emit_panels(e, &d, &dy, d.s.o, d.panel, "dy", "dy_values");
    if (bias) {
        cw_line(e->w, "db += %s * %" PRId64 ";", sample, d.db_stored);
        if (d.parts > 1)
            emit_bias_vectors(e, &d, arena_printf(e->arena, "p * %d", d.panel), d.panel / e->plan->lanes, 0);
        else
            emit_bias(e, &d);
    }
    cw_middle(e->w, "} else if (b % 2 == 0) {");
    emit_clear(e, &d, &d.v, d.x_panels, "x_values");
    cw_middle(e->w, "} else {");
    emit_clear(e, &d, &d.m, d.panels, "dy_values");
    cw_close(e->w, "}");
    const char *what = d.parts > 1 ? "a panel of an image" : "an image";
    const char *comment = arena_printf(e->arena, "%s\nBlock b transforms %s of a block of %d: x (even b) or dy "
                                       "(odd b). %s", emit_comment(e, step), what, d.images,
                                       winograd_tiles_text(e, &d.tiles, &d.s));
    return emit_end(e, arena_printf(e->arena, "winograd_weight_grad_in_%dx%dx%d_%d", d.s.c, d.s.h, d.s.w, d.s.o),
                    comment);
}

/* ---- step 1: products -------------------------------------------------------------------------------------------- */

/* dU of one position and panel: (c x depth) (depth x panel), begun anew or added to. */
static const char *emit_position(struct emitter *e, const struct winograd_weights *d, int64_t depth, int vectors,
                                 bool add)
{
    const char *real = e->plan->real;
    int channels = vectors * e->plan->lanes, whole = d->s.c / d->x_panel, rest = d->s.c % d->x_panel;
    struct product t = { .channels = channels, .panel = channels, .lines = whole, .length = d->x_panel,
                         .a_line = depth * d->x_panel, .c_line = (int64_t)d->x_panel * d->panel, .a = "a", .b = "b",
                         .c = "c", .at = "0" };
    t.tile.a_row = 1;
    t.tile.a_k = d->x_panel;
    t.tile.b_k = d->panel;
    t.tile.depth = depth;
    t.tile.segments = 1;
    t.tile.c_row = d->panel;
    t.tile.accumulate = t.tile.onward = add;
    emit_function(e, "const %s *a, const %s *b, %s *restrict c", real, real, real);
    if (whole)
        product_emit(e, &t);
    if (rest) {
        t.lines = 1;
        t.length = rest;
        t.a = whole ? arena_printf(e->arena, "a + %" PRId64, whole * t.a_line) : "a";
        t.c = whole ? arena_printf(e->arena, "c + %" PRId64, whole * t.c_line) : "c";
        product_emit(e, &t);
    }
    return emit_end(e, arena_printf(e->arena, "%s_%dx%" PRId64 "x%d", add ? "add_product" : "product", d->s.c, depth,
                                    channels), add ? "C += A^T B over the tiles of a block of images."
                                                   : "C = A^T B over the tiles of a block of images.");
}

static void emit_class_call(struct emitter *e, const struct winograd_weights *d, int k, int vectors, const char *panel)
{
    const struct winograd_class *s = &d->tiles.class[k];
    int64_t depth = (int64_t)d->images * s->rows_v * s->rows_h;
    const char *first = emit_position(e, d, depth, vectors, false);
    if (s->first)
        cw_line(e->w, "const int i = position - %d;", s->first);
    const char *i = s->first ? "i" : "position";
    cw_line(e->w, "const %s *const a = x_values%s + %s * %" PRId64 ";", e->plan->real,
            text_offset(e, d->v.class_offset[k]), i, d->v.stride[k]);
    cw_line(e->w, "const %s *const b = dy_values%s + %s * %" PRId64 " + %s * %" PRId64 ";", e->plan->real,
            text_offset(e, d->m.class_offset[k]), i, d->m.stride[k], panel, depth * d->panel);
    if (d->images == e->plan->batch) {
        cw_line(e->w, "%s(a, b, du);", first);
        return;
    }
    cw_open(e->w, "if (begin)");
    cw_line(e->w, "%s(a, b, du);", first);
    cw_middle(e->w, "else");
    cw_line(e->w, "%s(a, b, du);", emit_position(e, d, depth, vectors, true));
    cw_close(e->w, "");
}

static void emit_classes(struct emitter *e, const struct winograd_weights *d, int vectors, const char *panel)
{
    if (d->tiles.class[0].count == d->tiles.positions) {
        emit_class_call(e, d, 0, vectors, panel);
        return;
    }
    bool more = false;
    for (int k = 0; k < WINOGRAD_CLASSES; k++) {
        const struct winograd_class *s = &d->tiles.class[k];
        if (!s->count || !s->rows_v || !s->rows_h)
            continue;
        const char *test = arena_printf(e->arena, "position < %d", s->first + s->count);
        if (more)
            cw_middle(e->w, arena_printf(e->arena, "} else if (%s) {", test));
        else
            cw_open(e->w, "if (%s) {", test);
        more = true;
        emit_class_call(e, d, k, vectors, panel);
    }
    cw_close(e->w, "}");
}

static const char *emit_products(struct emitter *e, const struct step *step)
{
    const struct group *g = step->group;
    struct winograd_weights d;
    winograd_weights_of(e->plan, g->main, g->kernel->number, &d);
    const char *real = e->plan->real;
    struct panels s = product_panels(e->plan, d.s.o, d.panel);
    emit_function(e, "int block, %sconst %s *x_values, const %s *dy_values, %s *restrict du",
                  d.images == e->plan->batch ? "" : "bool begin, ", real, real, real);
    if (d.panels > 1)
        cw_line(e->w, "const int position = block / %d, panel = block %% %d;", d.panels, d.panels);
    else
        cw_line(e->w, "const int position = block, panel = 0;");
    cw_line(e->w, "du += panel * %" PRId64 " + position * %" PRId64 ";", d.u_panel, d.u_position);
    if (s.whole && s.last_vectors) {
        cw_open(e->w, "if (panel < %d) {", s.whole);
        emit_classes(e, &d, s.vectors, "panel");
        cw_middle(e->w, "} else {");
        emit_classes(e, &d, s.last_vectors, "panel");
        cw_close(e->w, "}");
    } else {
        emit_classes(e, &d, s.whole ? s.vectors : s.last_vectors, "panel");
    }
    const char *comment = arena_printf(e->arena, "%s\nA block is a position and panel of dU.", emit_comment(e, step));
    return emit_end(e, arena_printf(e->arena, "winograd_weight_grad_%dx%dx%d_%d", d.s.c, d.s.h, d.s.w, d.s.o), comment);
}

/* ---- some images, by themselves ----------------------------------------------------------------------------------- */

/* The products of all positions of a class, of one panel: added to dU. */
static void emit_class_sums(struct emitter *e, const struct winograd_weights *d, int k, int vectors, const char *panel)
{
    const struct winograd_class *s = &d->tiles.class[k];
    int64_t depth = (int64_t)d->images * s->rows_v * s->rows_h;
    const char *add = emit_position(e, d, depth, vectors, true), *of_panel = "", *of_du = "";
    if (panel) {
        of_panel = arena_printf(e->arena, " + %s * %" PRId64, panel, depth * d->panel);
        of_du = arena_printf(e->arena, " + %s * %" PRId64, panel, d->u_panel);
    }
    loop_open(e, "i", 0, s->count, 1);
    cw_line(e->w, "%s(x_values%s + i * %" PRId64 ", dy_values%s + i * %" PRId64 "%s,", add,
            text_offset(e, d->v.class_offset[k]), d->v.stride[k], text_offset(e, d->m.class_offset[k]), d->m.stride[k],
            of_panel);
    cw_line(e->w, "        %s%s + i * %" PRId64 "%s);", d->in_turn ? "panel_du" : "du",
            text_offset(e, s->first * d->u_position), d->u_position, of_du);
    cw_close(e->w, "}");
}

static void emit_all_sums(struct emitter *e, const struct winograd_weights *d, int vectors, const char *panel)
{
    for (int k = 0; k < WINOGRAD_CLASSES; k++)
        if (d->tiles.class[k].count && d->tiles.class[k].rows_v && d->tiles.class[k].rows_h)
            emit_class_sums(e, d, k, vectors, panel);
}

/* dU of all panels of outputs. */
static void emit_sums_of_panels(struct emitter *e, const struct winograd_weights *d)
{
    struct panels s = product_panels(e->plan, d->s.o, d->panel);
    if (s.whole > 1) {
        loop_open(e, "p", 0, s.whole, 1);
        emit_all_sums(e, d, s.vectors, "p");
        cw_close(e->w, "}");
    } else if (s.whole) {
        emit_all_sums(e, d, s.vectors, NULL);
    }
    if (s.last_vectors)
        emit_all_sums(e, d, s.last_vectors, s.whole ? arena_printf(e->arena, "%d", s.whole) : NULL);
}

/* The transforms of one image of the call. */
static void emit_image(struct emitter *e, const struct winograd_weights *d, bool bias)
{
    struct winograd_transform x = transform_x(d), dy = transform_dy(d);
    if (!d->in_turn)
        emit_panels(e, d, &x, d->s.c, d->x_panel, "x", "x_values");
    emit_panels(e, d, &dy, d->s.o, d->panel, "dy", "dy_values");
    if (bias)
        emit_bias(e, d);
}

/* V of a panel of inputs that has so many channels, and what it adds to dU. */
static void emit_panel_in_turn(struct emitter *e, const struct winograd_weights *d, int channels, const char *first)
{
    struct winograd_weights panel = *d;
    struct winograd_transform x = transform_x(d);
    const char *map = text_plus(e, "x", first);
    x.channels = channels;
    x.tail = channels % e->plan->lanes;
    panel.s.c = channels;
    if (d->images > 1) {
        cw_open(e->w, "for (int image = 0; image < %d; image++) {", d->images);
        cw_open(e->w, "if (image < left) {");
        map = arena_printf(e->arena, "%s + image * %" PRId64, map, (int64_t)d->s.h * d->s.w * d->s.c);
    }
    winograd_emit_image(e, &x, map, "x_values", image_text(d), "0", "0");
    if (d->images > 1) {
        cw_middle(e->w, "} else {");
        emit_clear(e, d, &d->v, 1, "x_values");
        cw_close(e->w, "}");
        cw_close(e->w, "}");
    }
    cw_line(e->w, "%s *const panel_du = %s;", e->plan->real,
            text_plus(e, "du", text_times(e, first, strcmp(first, "0") ? d->panel : 1)));
    emit_sums_of_panels(e, &panel);
}

static void emit_in_turn(struct emitter *e, const struct winograd_weights *d)
{
    int whole = d->s.c / d->x_panel, rest = d->s.c % d->x_panel;
    cw_open(e->w, "for (int first = 0; first < %d; first += %d) {", whole * d->x_panel, d->x_panel);
    emit_panel_in_turn(e, d, d->x_panel, "first");
    cw_close(e->w, "}");
    if (rest) {
        cw_open(e->w, "{");
        cw_line(e->w, "const int first = %d;", whole * d->x_panel);
        emit_panel_in_turn(e, d, rest, "first");
        cw_close(e->w, "}");
    }
}

static const char *emit_images(struct emitter *e, const struct step *step)
{
    const struct group *g = step->group;
    struct winograd_weights d;
    winograd_weights_of(e->plan, g->main, g->kernel->number, &d);
    const char *real = e->plan->real;
    bool bias = g->companion != NULL, many = d.images > 1;
    emit_function(e, "%sconst %s *x, const %s *dy, %s *restrict du%s, %s *restrict scratch", many ? "int left, " : "", real,
                  real, real, bias ? arena_printf(e->arena, ", %s *restrict db", real) : "", real);
    cw_line(e->w, "%s *const x_values = scratch, *const dy_values = scratch + %" PRId64 ";", real, d.m_at);
    if (many) {
        cw_open(e->w, "for (int image = 0; image < %d; image++) {", d.images);
        cw_open(e->w, "if (image < left) {");
        emit_image(e, &d, bias);
        if (!d.in_turn)
            cw_line(e->w, "x += %" PRId64 ";", (int64_t)d.s.h * d.s.w * d.s.c);
        cw_line(e->w, "dy += %" PRId64 ";", (int64_t)d.s.oh * d.s.ow * d.s.o);
        if (bias)
            cw_line(e->w, "db += %" PRId64 ";", d.db_stored);
        if (!d.in_turn) {
            cw_middle(e->w, "} else {");
            emit_clear(e, &d, &d.v, d.x_panels, "x_values");
        }
        cw_close(e->w, "}");
        cw_close(e->w, "}");
    } else {
        emit_image(e, &d, bias);
    }
    if (d.in_turn)
        emit_in_turn(e, &d);
    else
        emit_sums_of_panels(e, &d);
    const char *comment = arena_printf(e->arena, "%s\n%s %s", emit_comment(e, step), winograd_tiles_text(e, &d.tiles, &d.s),
                                       many ? arena_printf(e->arena, "%d images at a time.", d.images)
                                            : "An image at a time.");
    return emit_end(e, arena_printf(e->arena, "winograd_weight_grad_%dx%dx%d_%d", d.s.c, d.s.h, d.s.w, d.s.o), comment);
}

/* ---- step 2: back to taps ---------------------------------------------------------------------------------------- */

static const char *load_position(struct emitter *e, const void *data, int p, const struct winograd_run *q)
{
    const struct winograd_weights *d = data;
    int first = d->tiles.number_of[p][q->first], step = q->count > 1 ? d->tiles.number_of[p][q->first + 1] - first : 0;
    if (d->groups > 1)
        return q->count == 1 ? arena_printf(e->arena, "sums[%d]", first)
                             : arena_printf(e->arena, "*(sums%s)", winograd_along(e, q, first, step));
    return arena_printf(e->arena, "v_load(from%s)",
                        winograd_along(e, q, first * d->u_position, step * d->u_position));
}

/* dU of all groups together, in their order. */
static void emit_group_sums(struct emitter *e, const struct winograd_weights *d)
{
    if (d->groups == 1)
        return;
    cw_line(e->w, "v sums[%d];", d->tiles.positions);
    cw_line(e->w, "CNN_ROLLED");
    if (d->groups == 2) {
        cw_open(e->w, "for (int k = 0; k < %d; k++)", d->tiles.positions);
        cw_line(e->w, "sums[k] = v_add(v_load(from + k * %" PRId64 "), v_load(from + %" PRId64 " + k * %" PRId64 "));",
                d->u_position, d->u_group, d->u_position);
        cw_close(e->w, "");
        return;
    }
    cw_open(e->w, "for (int k = 0; k < %d; k++) {", d->tiles.positions);
    cw_line(e->w, "v sum = v_load(from + k * %" PRId64 ");", d->u_position);
    cw_line(e->w, "CNN_ROLLED");
    cw_open(e->w, "for (int g = 1; g < %d; g++)", d->groups);
    cw_line(e->w, "sum = v_add(sum, v_load(from + g * %" PRId64 " + k * %" PRId64 "));", d->u_group, d->u_position);
    cw_close(e->w, "");
    cw_line(e->w, "sums[k] = sum;");
    cw_close(e->w, "}");
}

static bool position_begins(const void *data, int q)
{
    return winograd_column_begins(&((const struct winograd_weights *)data)->tiles, q);
}

static void store_tap(struct emitter *e, const void *data, const struct winograd_run *i, int j, const char *value)
{
    const struct winograd_weights *d = data;
    int64_t tap = (int64_t)d->s.c * d->panel;
    cw_line(e->w, "v_store(to%s, %s);",
            winograd_along(e, i, (i->first * d->tiles.r_h + j) * tap, d->tiles.r_h * tap), value);
}

static void emit_inverse_vector(struct emitter *e, const struct winograd_weights *d)
{
    struct winograd v = winograd_make(d->tiles.v.m, d->tiles.r_v), h = winograd_make(d->tiles.h.m, d->tiles.r_h);
    struct winograd_matrix left = winograd_transpose(&v.g), right = winograd_transpose(&h.g);
    winograd_emit_two_way(e, &(struct winograd_two_way){
        .left = winograd_emit_line(e, &left, "dg", "G^T dU", &v),
        .right = winograd_emit_line(e, &right, "dg", "G^T dU", &h), .column_begins = position_begins,
        .load = load_position, .store = store_tap, .data = d,
    });
}

/* db, in block 0. */
static void emit_bias_sum(struct emitter *e, const struct winograd_weights *d)
{
    cw_open(e->w, "for (int o = 0; b == 0 && o < %" PRId64 "; o += V_LANES) {", d->db_stored);
    cw_line(e->w, "v sum = v_zero();");
    cw_open(e->w, "for (int i = 0; i < n; i++)");
    cw_line(e->w, "sum = v_add(sum, v_load(bias_images + i * %" PRId64 " + o));", d->db_stored);
    cw_close(e->w, "");
    cw_line(e->w, "v_store(db + o, sum);");
    cw_close(e->w, "}");
}

static const char *emit_inverse(struct emitter *e, const struct step *step)
{
    const struct group *g = step->group;
    struct winograd_weights d;
    winograd_weights_of(e->plan, g->main, g->kernel->number, &d);
    const char *real = e->plan->real;
    bool bias = g->companion != NULL;
    struct panels s = product_panels(e->plan, d.s.o, d.panel);
    emit_function(e, "int b, int n, const %s *du, %s *restrict dw%s",
                  real, real,
                  bias ? arena_printf(e->arena, ", const %s *bias_images, %s *restrict db", real, real) : "");
    winograd_emit_block(e, d.s.c, INVERSE_CHUNK);
    if (s.last_vectors) {       /* vectors of the last panel that no output channel reaches stay zero */
        cw_line(e->w, "const int width = panel < %d ? %d : %d;", s.whole, d.panel, s.last_vectors * e->plan->lanes);
        cw_open(e->w, "for (int i = 0; i < %" PRId64 " && width < %d; i++)", (int64_t)d.s.taps, d.panel);
        cw_line(e->w, "memset(dw + (size_t)panel * %" PRId64 " + i * %d + first * %d, 0, sizeof(%s) * (size_t)((end - "
                "first) * %d));", d.s.k * d.panel, d.s.c * d.panel, d.panel, real, d.panel);
        cw_close(e->w, "");
    }
    cw_open(e->w, "for (int c = first; c < end; c++) {");
    if (s.last_vectors)
        cw_open(e->w, "for (int lane = 0; lane < width; lane += V_LANES) {");
    else
        loop_open_vectors(e, "lane", d.panel);
    cw_line(e->w, "const %s *const from = du + panel * %" PRId64 " + c * %d + lane;", real, d.u_panel, d.panel);
    cw_line(e->w, "%s *const to = dw + (size_t)panel * %" PRId64 " + c * %d + lane;", real, d.s.k * d.panel, d.panel);
    emit_group_sums(e, &d);
    emit_inverse_vector(e, &d);
    cw_close(e->w, "}");
    cw_close(e->w, "}");
    if (bias)
        emit_bias_sum(e, &d);
    else
        cw_line(e->w, "(void)n;");
    return emit_end(e, arena_printf(e->arena, "winograd_weight_grad_out_%dx%dx%d_%d", d.s.c, d.s.h, d.s.w, d.s.o),
                    "G^T dU G; block b is a panel and some input channels.");
}

/* ---- a panel of outputs, its inputs panel by panel ------------------------------------------------------------------ */

static const char *emit_by_panel(struct emitter *e, const struct step *step)
{
    const struct group *g = step->group;
    struct winograd_weights d, inputs;
    winograd_weights_of(e->plan, g->main, g->kernel->number, &d);
    inputs = d;
    inputs.s.c = d.x_panel;     /* of a panel of them */
    const char *real = e->plan->real;
    bool bias = g->companion != NULL;
    int width = g->narrow ? d.panel / 2 : d.panel;
    const char *panel = g->narrow ? "(b / 2)" : "b";
    const char *half = g->narrow ? arena_printf(e->arena, " + b %% 2 * %d", width) : "";
    emit_function(e, "int b, %sconst %s *x_values, const %s *dy_values, %s *restrict dw%s, %s *restrict du",
                  bias ? "int n, " : "", real, real, real,
                  bias ? arena_printf(e->arena, ", const %s *bias_images, %s *restrict db", real, real) : "", real);
    loop_open(e, "p", 0, d.x_panels, 1);
    for (int k = 0; k < WINOGRAD_CLASSES; k++) {
        const struct winograd_class *s = &d.tiles.class[k];
        int64_t depth = (int64_t)d.images * s->rows_v * s->rows_h;
        if (!s->count || !depth)
            continue;
        loop_open(e, "i", 0, s->count, 1);
        cw_line(e->w, "%s(x_values%s + i * %" PRId64 " + p * %" PRId64 ", dy_values%s + i * %" PRId64 " + %s * %" PRId64
                "%s, du%s + i * %" PRId64 ");", emit_position(e, &inputs, depth, width / e->plan->lanes, false),
                text_offset(e, d.v.class_offset[k]), d.v.stride[k], depth * d.x_panel,
                text_offset(e, d.m.class_offset[k]), d.m.stride[k], panel, depth * d.panel, half,
                text_offset(e, s->first * d.u_position), d.u_position);
        cw_close(e->w, "}");
    }
    cw_open(e->w, "for (int c = 0; c < %d; c++) {", d.x_panel);
    loop_open(e, "tap", 0, d.s.taps, 1);        /* the lines that dw of later channels is written to */
    for (int lane = 0; lane < width; lane += 64 / e->plan->real_size)
        cw_line(e->w, "v_prefetchw(dw + (size_t)%s * %" PRId64 " + (tap * %d + p * %d + c) * %d + %d%s);", panel,
                d.s.k * d.panel, d.s.c, d.x_panel, d.panel, AHEAD * d.panel + lane, half);
    cw_close(e->w, "}");
    loop_open_vectors(e, "lane", width);
    cw_line(e->w, "const %s *const from = du + c * %d + lane;", real, d.panel);
    cw_line(e->w, "%s *const to = dw + (size_t)%s * %" PRId64 " + (p * %d + c) * %d%s + lane;", real, panel, d.s.k * d.panel,
            d.x_panel, d.panel, half);
    emit_inverse_vector(e, &d);
    cw_close(e->w, "}");
    cw_close(e->w, "}");
    cw_close(e->w, "}");
    if (bias)
        emit_bias_sum(e, &d);
    const char *comment = arena_printf(e->arena, "%s\n%s Block b is %s of outputs: dU of a panel of inputs over the whole "
                                       "batch, then G^T dU G.", emit_comment(e, step),
                                       winograd_tiles_text(e, &d.tiles, &d.s), g->narrow ? "half a panel" : "a panel");
    return emit_end(e, arena_printf(e->arena, "winograd_weight_grad_panel_%dx%dx%d_%d", d.s.c, d.s.h, d.s.w, d.s.o), comment);
}

static const char *emit(struct emitter *e, const struct step *step)
{
    switch (step->part) {
    case SUM_TRANSFORMS: return emit_transforms(e, step);
    case SUM_PRODUCTS: return emit_products(e, step);
    case SUM_IMAGES: return emit_images(e, step);
    case SUM_PANELS: return emit_by_panel(e, step);
    default: return emit_inverse(e, step);
    }
}

#define WINOGRAD_KERNEL(points)                                                                                        \
    static bool applicable_##points(const struct plan *p, const struct group *g)                                      \
    {                                                                                                                  \
        return applicable_with(p, g, points);                                                                          \
    }                                                                                                                  \
    static double cost_##points(const struct plan *p, const struct group *g)                                          \
    {                                                                                                                  \
        return cost_with(p, g, points);                                                                                \
    }                                                                                                                  \
    static double error_##points(const struct plan *p, const struct group *g)                                         \
    {                                                                                                                  \
        return error_with(p, g, points);                                                                               \
    }                                                                                                                  \
    static bool by_image_##points(const struct plan *p, const struct group *g)                                        \
    {                                                                                                                  \
        return by_image_with(p, g, points);                                                                            \
    }                                                                                                                  \
    const struct kernel kernel_conv2d_winograd##points##_weight_grad = {                                               \
        .name = "winograd" #points, .op = OP_conv2d_weight_grad, .applicable = applicable_##points,                   \
        .cost = cost_##points, .error = error_##points, .plan = plan, .by_image = by_image_##points, .finer = finer,  \
        .emit = emit,                                                                                                  \
        .number = points, .help = "minimal filtering over a block of images, tiles of " #points " points",            \
    };

WINOGRAD_KERNEL(4)
WINOGRAD_KERNEL(6)
WINOGRAD_KERNEL(8)
