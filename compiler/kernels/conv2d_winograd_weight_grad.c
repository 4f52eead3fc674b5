/* conv2d_winograd_weight_grad.c - the gradient of a convolution's weights by minimal filtering.
 *
 *     dU[p, q] = sum over tiles of (B^T x B)[p, q] (A dy A^T)[p, q];   dw = G^T dU G
 *
 * Where dU is large, a block of images is transformed by all threads together into shared V and M, which then stay in
 * the caches while the threads split the list of (position, panel).  Every element of dU is summed by one thread, in
 * the order of the images: the same bits for any number of threads.
 *
 * Where dU is much larger than V and M of the whole batch, nothing of it is kept: a block is a panel of output channels
 * and goes through the panels of input channels, sums their part of dU over the batch, and turns it into weights at
 * once.
 *
 * Where few channels leave dU, V and M room in a thread's own cache, the step takes a few images after the others and
 * shares the loop of its neighbours: dy is still in the cache, and nobody waits for anybody.  The batch is then cut
 * into a fixed number of groups of images, each with a dU of its own, which the last step adds in order.  So it is
 * where many input channels meet few output channels: V is then made and multiplied a panel of input channels after the
 * other, and dU alone comes and goes.
 *
 * With `precision bf16` V and M are rounded to bfloat16 where they are multiplied: what a product of one position and
 * panel of each takes lies in the thread's scratch, in pairs of neighbouring tiles.  Transforms and sums are float.
 *
 * What the steps are and what they cost stands here, their C in conv2d_winograd_weight_emit.c. */
#include <inttypes.h>
#include <string.h>

#include "kernels/bf16.h"
#include "kernels/conv2d_winograd_weight_grad.h"

static void values_of(const struct winograd_weights *g, int images, struct winograd_values *v,
                      struct winograd_values *m)
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

/* Whether a thread takes some images by itself: where all stays in its second-level cache, or all but dU, panel by
 * panel; then V would not stay either, and each of its numbers that is written and read must weigh more than one of dU:
 * it has a row for every tile, which must not be fewer than the outputs.  Sums of a few tiles are left to blocks of more
 * images: dU would be read and written for too few products.  (Measured with AVX-512 on 64 channels of 8x8 pixels, a
 * batch of 128, whose calls had sums of 8: ResNet-20's step 0.95.) */
static bool choose_by_image(const struct plan *p, struct winograd_weights *g)
{
    enum { ENOUGH = 4, FAR = 4, SHORT = 32 };
    int groups = plan_image_groups(p), tiles = g->tiles.v.tiles * g->tiles.h.tiles;
    if (groups == 1 || (groups < ENOUGH && groups < p->batch))
        return false;
    double sums = (double)g->u_group * p->real_size;
    g->images = images_in_cache(p, g, groups, sums);
    if (!g->images && sums < FAR * p->target->l2_bytes) {
        g->in_turn = true;
        g->images = images_in_cache(p, g, groups, sums / g->x_panels);
        if (g->images * tiles < g->panels * g->panel)
            g->images = 0;
    }
    if (g->images * tiles < SHORT && p->batch * tiles >= SHORT)
        g->images = 0;
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

/* What is moved: V for each panel, and M, in the last cache; or else dU, written and read for each block of images and
 * at the end, which counts twice where it lies in memory. */
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
    for (g->updated = 8; g->x_panel % g->updated; g->updated--)
        ;                       /* few, so that their gradient stays in the first-level cache */
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

/* What V and M of a block of images may have.  Where dU does not stay in the second-level cache it is read and written
 * in the last one for each block, so where a batch has many of them larger ones pay as long as one position's V stays
 * with the thread that multiplies it. */
static double block_bytes(const struct plan *p, const struct winograd_weights *g, int images)
{
    enum { BLOCKS_LEAST = 32 };
    double l2 = p->target->l2_bytes, few = 5 * l2;
    double position = (double)images * g->tiles.v.tiles * g->tiles.h.tiles * g->x_panels * g->x_panel * p->real_size;
    if (p->batch < BLOCKS_LEAST * images || (double)g->u_group * p->real_size < 2 * l2 || position > 0.75 * l2)
        return few;
    return few > p->target->costs->last_block ? few : p->target->costs->last_block;
}

/* The most tiles of a sum. */
static int64_t most_tiles(const struct winograd_weights *g)
{
    return (int64_t)g->images * g->tiles.v.tiles * g->tiles.h.tiles;
}

int64_t winograd_weights_pairs(const struct winograd_weights *g)
{
    return g->pairs ? bf16_pairs_of(most_tiles(g)) * (g->x_panel + g->panel) : 0;
}

bool winograd_weights_of(const struct plan *p, const struct node *n, int number, struct winograd_weights *g)
{
    int points = number % WINOGRAD_PAIRS;
    memset(g, 0, sizeof *g);
    g->pairs = number >= WINOGRAD_PAIRS;
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

static bool applicable_with(const struct plan *p, const struct group *g, int number)
{
    int points = number % WINOGRAD_PAIRS;
    struct winograd_weights d;
    if (!winograd_weights_of(p, g->main, number, &d) || (d.pairs && p->batch == 1))
        return false;
    if (!winograd_reaches(d.v.size) || !winograd_reaches(d.m.size) || !winograd_reaches(d.groups * d.u_group))
        return false;
    int used = d.tiles.v.points > d.tiles.h.points ? d.tiles.v.points : d.tiles.h.points;
    return used > points - 2 || points == 4;
}

static bool by_image_with(const struct plan *p, const struct group *g, int number)
{
    struct winograd_weights d;
    return winograd_weights_of(p, g->main, number, &d) && d.by_image;
}

static double cost_with(const struct plan *p, const struct group *g, int number)
{
    struct winograd_weights d;
    winograd_weights_of(p, g->main, number, &d);
    double blocks = (double)p->batch / d.images, cycles = 0;
    for (int k = 0; k < WINOGRAD_CLASSES; k++) {
        const struct winograd_class *s = &d.tiles.class[k];
        int64_t depth = (int64_t)d.images * s->rows_v * s->rows_h;
        if (!s->count || !depth)
            continue;
        if (d.pairs)    /* V is rounded for each panel of outputs; M for them all, or for each panel of inputs too */
            cycles += blocks * s->count * (product_pairs_cycles(p, d.s.o, d.panel, d.s.c, d.x_panel,
                                                                bf16_pairs_of(depth)) +
                                           pairs_copy_cycles(p, (double)depth * ((double)d.s.c * d.panels +
                                                                (double)d.s.o * (d.by_panel ? d.x_panels : 1))));
        else
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

static double error_with(const struct plan *p, const struct group *g, int number)
{
    struct winograd_weights d;
    winograd_weights_of(p, g->main, number, &d);
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
    step_scratch(p, sum, (d->scratch + winograd_weights_pairs(d)) * p->real_size);
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
    if (d->pairs)
        step_scratch(p, multiply, winograd_weights_pairs(d) * p->real_size);
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
    const struct param *updated = plan_updated_by(p, q, g);
    if (updated)
        step_updates(p, s, updated, part_rows(d->panels, d->s.k * d->panel));
    if (updated && p->update.rule_slots > 0)
        s->prefetch = "the optimizer's state, before an early update";
    takes_bias(p, s, bias);
    int64_t gradient = updated ? (int64_t)d->s.taps * d->updated * d->panel : 0;
    step_scratch(p, s, (d->u_group + winograd_weights_pairs(d) + gradient) * p->real_size);
}

/* Halves of panels of outputs, where whole vectors remain. */
static bool finer(struct plan *p, struct program *q, struct step *s, int images)
{
    (void)q;
    struct winograd_weights d;
    winograd_weights_of(p, s->group->main, s->group->kernel->number, &d);
    if (s->part != SUM_PANELS || images || d.panel / p->lanes % 2)
        return false;
    step_halve_blocks(p, s, (struct part){ { { .count = d.panels, .step = d.s.k * d.panel, .piece = 1, .over = 2 },
                                             { .count = d.s.k, .step = d.panel },
                                             { .count = d.panel, .step = 1, .piece = d.panel / 2, .over = 1 } } });
    return true;
}

/* What the transforms ask for ahead. */
static void settle(struct plan *p, struct program *q, struct group *g)
{
    struct winograd_weights d;
    winograd_weights_of(p, g->main, g->kernel->number, &d);
    bool x = winograd_reads_far(p, q, g->main->in[0]), dy = winograd_reads_far(p, q, g->main->in[1]);
    for (int i = 0; i < g->steps_count && d.tiles.v.tiles > 1 && (x || dy); i++) {
        struct step *s = q->steps[g->first_step + i];
        if (s->part == SUM_TRANSFORMS || s->part == SUM_IMAGES)
            s->prefetch = arena_printf(p->arena, "what the tile below reads of %s",
                                       x && dy ? "x and dy" : x ? "x" : "dy");
    }
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

static bool by_weights(const struct plan *p, const struct group *g)
{
    struct winograd_weights d;
    winograd_weights_of(p, g->main, g->kernel->number, &d);
    return d.by_panel;
}

#define WINOGRAD_KERNEL(tiles, code, rounds, title, what)                                                             \
    WINOGRAD_ANSWERS(tiles, code)                                                                                      \
    static bool by_image_##tiles(const struct plan *p, const struct group *g)                                         \
    {                                                                                                                  \
        return by_image_with(p, g, code);                                                                              \
    }                                                                                                                  \
    const struct kernel kernel_conv2d_##tiles##_weight_grad = {                                                        \
        .name = title, .op = OP_conv2d_weight_grad, .bf16 = rounds, .applicable = applicable_##tiles,                 \
        .cost = cost_##tiles, .error = error_##tiles, .plan = plan, .by_image = by_image_##tiles, .settle = settle,    \
        .finer = finer, .by_weights = by_weights,                                                                                                \
        .emit = winograd_weights_emit, .number = code, .help = "minimal filtering over a block of images, " what,     \
    };

WINOGRAD_KERNELS(WINOGRAD_KERNEL)
