/* conv2d_inside.c - convolutions of small maps: forward pass and data gradient.
 *
 * On a map of 2x2 pixels a 3x3 window is mostly outside: of the 36 products of pixels and taps that a kernel computes
 * which has zeros around the map, 16 are of pixels; on 4x4 it is 100 of 144.  Here a product runs over images, not over
 * the pixels of a row: for each tap and each pixel that has it inside, as a dense layer from the channels of the one
 * pixel to those of the other.  So nothing is multiplied by zero, and the weights are read as they lie, once for all
 * images.
 *
 * Forward images are the rows of a tile and a block is a panel of y's channels and a part of the batch.  For the data
 * gradient the channels of x are the rows, for which weights are broadcast, and images are the vectors: dy is turned
 * over before, and dx behind; a block is some channels of x.
 *
 * With `precision bf16` maps are rounded before, and a thread rounds the weights of a tap into its scratch. */
#include <inttypes.h>

#include "kernels/bf16.h"
#include "kernels/conv2d_inside.h"
#include "kernels/loops.h"
#include "kernels/product.h"

/* ---- taps -------------------------------------------------------------------------------------------------------- */

static struct reach *reaches(const struct plan *p, int taps, int dilation, int stride, int pad, int size, int out)
{
    struct reach *r = arena_array(p->arena, (size_t)taps, sizeof *r);
    for (int k = 0; k < taps; k++)
        for (int o = 0; o < out; o++) {
            int at = o * stride + k * dilation - pad;
            if (at < 0 || at >= size)
                continue;
            if (!r[k].count++)
                r[k].first = o, r[k].from = at;
        }
    return r;
}

struct inside inside_of(const struct plan *p, const struct node *n)
{
    struct inside d = { .s = conv_geometry_of(p, n) };
    const struct window *w = &d.s.window;
    d.panel = d.s.weight->panel;
    d.panels = (d.s.o + d.panel - 1) / d.panel;
    d.inputs = d.s.c >= 512 ? 32 : 16;
    d.rows = reaches(p, w->kh, w->dilation_h, w->stride_h, w->pad_top, d.s.h, d.s.oh);
    d.columns = reaches(p, w->kw, w->dilation_w, w->stride_w, w->pad_left, d.s.w, d.s.ow);
    for (int kh = 0; kh < w->kh; kh++)
        for (int kw = 0; kw < w->kw; kw++)
            d.products += d.rows[kh].count * d.columns[kw].count;
    return d;
}

/* Elements of a sample of x and of y. */
static int64_t sample_in(const struct inside *d)
{
    return (int64_t)d->s.h * d->s.w * d->s.c;
}

static int64_t sample_out(const struct inside *d)
{
    return (int64_t)d->s.oh * d->s.ow * d->s.o;
}

bool inside_applicable(const struct plan *p, const struct inside *d)
{
    return p->batch > 1 && d->s.taps <= INSIDE_TAPS && d->products && d->s.h * d->s.w <= INSIDE_PIXELS &&
        d->s.oh * d->s.ow <= INSIDE_PIXELS && p->batch * (sample_in(d) + sample_out(d)) <= INT32_MAX;
}

double inside_stream_cycles(const struct plan *p, const struct inside *d)
{
    return (double)d->s.weight->stored * p->real_size / p->target->memory_bytes_per_cycle;
}

const char *inside_comment(struct emitter *e, const struct step *step, const struct inside *d)
{
    return arena_printf(e->arena, "%s\n%d multiplications where the plain sum needs %d: those of taps that lie inside.",
                        emit_comment(e, step), d->products, d->s.taps * d->s.oh * d->s.ow);
}

bool inside_emit_tap(struct emitter *e, const struct inside *d, int kh, int kw)
{
    if (!d->rows[kh].count || !d->columns[kw].count)
        return false;
    cw_line(e->w, "// tap (%d, %d): of %d x %d pixels", kh, kw, d->rows[kh].count, d->columns[kw].count);
    return true;
}

int inside_inputs(const struct inside *d)
{
    return d->s.c < d->inputs ? d->s.c : d->inputs;
}

struct part inside_part_of_weights(const struct inside *d)
{
    return (struct part){ { { .count = d->panels, .step = d->s.k * d->panel },
                            { .count = d->s.taps, .step = (int64_t)d->s.c * d->panel },
                            { .count = d->s.c, .step = d->panel, .piece = d->inputs, .over = 1 },
                            { .count = d->panel, .step = 1 } } };
}

static double larger(double a, double b)
{
    return a > b ? a : b;
}

/* ---- forward: a block is a panel of y's channels ----------------------------------------------------------------- */

enum { PART_ROUND, PART_FORWARD };

static bool everywhere(const struct inside *d, int kh, int kw)
{
    return d->rows[kh].count == d->s.oh && d->columns[kw].count == d->s.ow;
}

/* A tap that is inside for every pixel, which ends the sums: kh KW + kw, or -1. */
static int tap_of_all(const struct inside *d)
{
    int kw = d->s.window.kw;
    for (int tap = 0; tap < d->s.taps; tap++)
        if (everywhere(d, tap / kw, tap % kw))
            return tap;
    return -1;
}

static bool forward_applicable(const struct plan *p, const struct group *g)
{
    struct inside d = inside_of(p, g->main);
    return inside_applicable(p, &d) && tap_of_all(&d) >= 0 && (!g->chain_count || !chain_is_by_sample(p, g));
}

/* The images of a batch in so many parts that panels and parts are blocks for several threads; of at least FEW each, so
 * that reading the weights once more costs little. */
static int parts_of(const struct plan *p, const struct inside *d)
{
    enum { FEW = 32, ENOUGH = 16 };
    int parts = 1;
    while (d->panels * parts < ENOUGH && p->batch % (2 * parts) == 0 && p->batch / (2 * parts) >= FEW)
        parts *= 2;
    return parts;
}

/* Tiles of a panel of so many vectors. */
static struct row_split image_rows(const struct plan *p, const struct inside *d, int vectors)
{
    return split_rows(p->batch / parts_of(p, d), tile_rows_max(p, vectors));
}

static double forward_cost_of(const struct plan *p, const struct group *g, bool pairs)
{
    struct inside d = inside_of(p, g->main);
    int64_t rows = (int64_t)d.products * p->batch, length = p->batch / parts_of(p, &d);
    double cycles = pairs ? product_pairs_cycles(p, d.s.o, d.panel, rows, length, bf16_pairs_of(d.s.c))
                          : product_cycles(p, d.s.o, d.panel, rows, length, d.s.c);
    /* sums are begun with 0, and added to by each tap */
    double vectors = (double)d.panels * d.panel / p->lanes * p->batch;
    cycles += vectors * (d.products + d.s.oh * d.s.ow) * p->target->costs->accumulator;
    if (pairs)
        cycles += pairs_copy_cycles(p, (double)d.s.weight->stored) +
            pairs_copy_cycles(p, (double)sample_in(&d) * p->batch) + plan_meeting_cycles(p, 1);
    return larger(cycles, inside_stream_cycles(p, &d)) + group_chain_cycles(p, g) + plan_meeting_cycles(p, 1);
}

static double forward_cost(const struct plan *p, const struct group *g)
{
    return forward_cost_of(p, g, false);
}

static double forward_pairs_cost(const struct plan *p, const struct group *g)
{
    return forward_cost_of(p, g, true);
}

static void forward_plan(struct plan *p, struct program *q, struct group *g)
{
    struct inside d = inside_of(p, g->main);
    bool rounds = g->kernel->bf16;
    int parts = parts_of(p, &d);
    int64_t sample = (int64_t)d.s.h * d.s.w * bf16_pairs_of(d.s.c);
    struct step *round = rounds ? plan_step(p, q, g, PART_ROUND, SPLIT_IMAGES, 0, plan_way(g), 0) : NULL;
    struct step *s = plan_step(p, q, g, PART_FORWARD, SPLIT_BLOCKS, (int64_t)d.panels * parts, plan_way(g),
                               2 * d.s.k * d.s.o * d.s.oh * d.s.ow * p->batch);
    struct buffer *pairs = NULL;
    if (rounds) {
        pairs = plan_buffer(p, q, arena_printf(p->arena, "%s_pairs", g->main->in[1]->name), "bf16_pair",
                            sample * p->batch * p->real_size);
        step_takes(p, round, ACCESS_READ, g->main->in[0]);
        step_uses_row(p, round, ACCESS_WRITE, pairs, AT_IMAGE, sample);
    }
    step_is_told(p, s, ARGUMENT_BLOCK);
    step_is_told(p, s, ARGUMENT_SAMPLES);
    if (rounds)
        step_uses(p, s, ACCESS_READ, pairs, TOUCH_ALL);
    else
        step_takes(p, s, ACCESS_READ, g->main->in[0]);
    step_takes(p, s, ACCESS_READ, g->main->in[1]);
    struct part part = { { { .count = p->batch, .step = sample_out(&d), .piece = parts > 1 ? p->batch / parts : 0,
                             .over = 1 },
                           { .count = (int64_t)d.s.oh * d.s.ow, .step = d.s.o },
                           { .count = d.s.o, .step = 1, .piece = d.panel, .over = parts } } };
    step_takes_part(p, s, ACCESS_WRITE, g->result, part);
    step_takes_chain(p, s);
    if (rounds)
        step_scratch(p, s, bf16_pairs_of(d.s.c) * d.panel * p->real_size);
}

/* Halves of panels, where whole vectors remain. */
static bool forward_finer(struct plan *p, struct program *q, struct step *s, int images)
{
    (void)q;
    struct inside d = inside_of(p, s->group->main);
    int parts = parts_of(p, &d);
    if (s->part != PART_FORWARD || images || d.s.o % d.panel || d.panel / p->lanes % 2)
        return false;
    struct part part = step_part(s);
    part.axis[0].over = 2;
    part.axis[2] = (struct axis){ .count = d.panels, .step = d.panel, .piece = 1, .over = 2 * parts };
    part.axis[3] = (struct axis){ .count = d.panel, .step = 1, .piece = d.panel / 2, .over = 1 };
    step_halve_blocks(p, s, part);
    return true;
}

static const char *forward_emit_round(struct emitter *e, const struct inside *d)
{
    emit_function(e, "const float *x, bf16_pair *restrict pairs");
    emit_pairs_copy(e, "x", "pairs", d->s.h, d->s.w, d->s.c, 0, 0, d->s.h, d->s.w);
    return emit_end(e, arena_printf(e->arena, "round_%dx%dx%d", d->s.c, d->s.h, d->s.w),
                    "A sample in pairs of bfloat16.");
}

/* Opens loops over the pixels of y that have a tap inside, `row` and `column`, where there is more than one; to be
 * closed with close_pixels(). */
static void open_pixels(struct emitter *e, const struct reach *r, const struct reach *c, bool braces)
{
    if (r->count > 1)
        cw_open(e->w, "for (int row = 0; row < %d; row++)%s", r->count, braces && c->count == 1 ? " {" : "");
    if (c->count > 1)
        cw_open(e->w, "for (int column = 0; column < %d; column++)%s", c->count, braces ? " {" : "");
    if (braces && r->count == 1 && c->count == 1)
        cw_open(e->w, "{");
}

static void close_pixels(struct emitter *e, const struct reach *r, const struct reach *c, bool braces)
{
    if (c->count > 1 || (braces && r->count == 1))
        cw_close(e->w, braces ? "}" : "");
    if (r->count > 1)
        cw_close(e->w, braces && c->count == 1 ? "}" : "");
}

/* base + the pixel in such loops: the first one in row and column, a step for each turn, `width` pixels in a row, of so
 * many elements. */
static const char *pixel_text(struct emitter *e, const char *base, const struct reach *r, const struct reach *c,
                              int row, int column, int step_h, int step_w, int width, int64_t pixel)
{
    int64_t first = ((int64_t)row * width + column) * pixel;
    const char *text = arena_printf(e->arena, "%s%s", base, text_offset(e, first));
    if (r->count > 1)
        text = arena_printf(e->arena, "%s + row * %" PRId64, text, (int64_t)step_h * width * pixel);
    if (c->count > 1)
        text = arena_printf(e->arena, "%s + column * %" PRId64, text, step_w * pixel);
    return text;
}

/* Pixels of x, and of y, of a tap. */
static const char *x_pixel(struct emitter *e, const struct inside *d, int tap, const char *base, int64_t pixel)
{
    const struct window *w = &d->s.window;
    const struct reach *r = &d->rows[tap / w->kw], *c = &d->columns[tap % w->kw];
    return pixel_text(e, base, r, c, r->from, c->from, w->stride_h, w->stride_w, d->s.w, pixel);
}

static const char *y_pixel(struct emitter *e, const struct inside *d, int tap, const char *base, int64_t pixel)
{
    const struct reach *r = &d->rows[tap / d->s.window.kw], *c = &d->columns[tap % d->s.window.kw];
    return pixel_text(e, base, r, c, r->first, c->first, 1, 1, d->s.ow, pixel);
}

/* What the text of a block's forward pass is made of. */
struct forward_text {
    const struct inside *d;
    int parts;
    const char *images;         /* how many the block has */
    const char *column, *at;    /* the first of its channels; of its numbers in y */
};

/* A function for all images of a pixel and a tap: tiles of `large` and of a row less, single ones where a batch ends
 * early. */
static const char *emit_over_images(struct emitter *e, struct tile t, struct row_split rows)
{
    const char *factor = t.pairs ? "bf16_pair" : e->plan->real, *real = e->plan->real;
    emit_function(e, "int n, const %s *x, const %s *w, %s *restrict y%s", factor, factor, real,
                  t.chain ? chain_parameters(e, t.chain) : "");
    cw_line(e->w, "int i = 0;");
    for (int kind = 0; kind < 3; kind++) {
        int count = kind == 0 ? rows.large_count : kind == 1 ? rows.small_count : 1;
        t.rows = kind == 2 ? 1 : rows.large - kind;
        if (!count || !t.rows || (kind < 2 && t.rows == 1))
            continue;
        const char *at = arena_printf(e->arena, "i * %" PRId64, t.c_row);
        if (kind == 2)
            cw_open(e->w, "for (; i < n; i++)");
        else if (kind == 0 && rows.small_count)
            cw_open(e->w, "for (; i < %d && i + %d <= n; i += %d)", rows.large * rows.large_count, t.rows, t.rows);
        else
            cw_open(e->w, "for (; i + %d <= n; i += %d)", t.rows, t.rows);
        cw_line(e->w, "%s(x + i * %" PRId64 ", w, y + %s%s);", emit_tile(e, &t), t.a_row, at,
                t.chain ? chain_pass(e, t.chain, "0", at) : "");
        cw_close(e->w, "");
    }
    return emit_end_shared(e, arena_printf(e->arena, "over_images_%dx%d_k%" PRId64 "%s%s%s", rows.large, t.vectors,
                                           t.depth, t.pairs ? "_bf16" : "", t.accumulate ? "_add" : "",
                                           t.tail ? "_tail" : ""),
                           "n images of one pixel of y and a tap, in tiles.");
}

static void forward_tap(struct emitter *e, const struct forward_text *k, const struct tile *t, int tap)
{
    const struct inside *d = k->d;
    const struct window *w = &d->s.window;
    const struct reach *r = &d->rows[tap / w->kw], *c = &d->columns[tap % w->kw];
    if (!inside_emit_tap(e, d, tap / w->kw, tap % w->kw))
        return;
    const char *name = emit_over_images(e, *t, image_rows(e->plan, d, t->vectors));
    const char *weights = arena_printf(e->arena, "wp%s", text_offset(e, (int64_t)tap * d->s.c * d->panel));
    if (t->pairs) {
        cw_line(e->w, "bf16_rows(%s, %d, weights, %d, %d);", weights, d->panel, d->s.c, (int)t->b_k);
        weights = "weights";
    }
    const char *at = y_pixel(e, d, tap, k->at, d->s.o);
    open_pixels(e, r, c, false);
    cw_line(e->w, "%s(%s, %s, %s, y + %s%s);", name, k->images, x_pixel(e, d, tap, "x", t->depth), weights, at,
            t->chain ? chain_pass(e, t->chain, k->column, at) : "");
    close_pixels(e, r, c, false);
}

/* All taps for panels of `vectors` vectors; that of all pixels comes last, with the chain. */
static void forward_panel(struct emitter *e, const struct forward_text *k, const struct chain *chain, bool pairs,
                          int vectors, int tail)
{
    const struct inside *d = k->d;
    int last = tap_of_all(d), lanes = e->plan->lanes, pixels = d->s.oh * d->s.ow;
    int64_t pixel = pairs ? bf16_pairs_of(d->s.c) : d->s.c;
    struct tile t = { .vectors = vectors, .tail = tail, .a_row = d->s.h * d->s.w * pixel, .a_k = 1,
                      .b_k = pairs ? vectors * lanes : d->panel, .segments = 1, .depth = pixel,
                      .c_row = sample_out(d), .pairs = pairs };
    if (d->products > pixels) {
        cw_open(e->w, "for (int i = 0; i < %s; i++)", text_times(e, k->images, pixels));
        cw_line(e->w, "memset(y + %s + i * %d, 0, sizeof(%s) * %d);", k->at, d->s.o, e->plan->real,
                tail ? (vectors - 1) * lanes + tail : vectors * lanes);
        cw_close(e->w, "");
        t.accumulate = true;
    }
    for (int tap = 0; tap < d->s.taps; tap++)
        if (tap != last)
            forward_tap(e, k, &t, tap);
    t.chain = chain;
    forward_tap(e, k, &t, last);
}

/* Which panel block b has, which half of it where blocks are narrow, and which images. */
static struct forward_text forward_emit_block(struct emitter *e, const struct inside *d, bool pairs, bool narrow)
{
    struct forward_text k = { .d = d, .parts = parts_of(e->plan, d), .images = "n" };
    int size = e->plan->batch / k.parts;
    cw_line(e->w, "const int p = %s;", text_over(e, "b", k.parts * (narrow ? 2 : 1)));
    cw_line(e->w, "const %s *const wp = w + (size_t)p * %" PRId64 "%s;", e->plan->real, d->s.k * d->panel,
            narrow ? arena_printf(e->arena, " + b %% 2 * %d", d->panel / 2) : "");
    k.at = k.column = arena_printf(e->arena, "p * %d", d->panel);
    if (narrow) {
        cw_line(e->w, "const int first = p * %d + b %% 2 * %d;", d->panel, d->panel / 2);
        k.at = k.column = "first";
    }
    if (k.parts > 1) {
        cw_line(e->w, "const int begin = %s %% %d * %d, images = n - begin < %d ? n - begin : %d;",
                narrow ? "b / 2" : "b", k.parts, size, size, size);
        cw_line(e->w, "const int at = begin * %" PRId64 " + %s;", sample_out(d), k.column);
        cw_line(e->w, "x += begin * %" PRId64 ";", d->s.h * d->s.w * (pairs ? bf16_pairs_of(d->s.c) : d->s.c));
        k.at = "at";
        k.images = "images";
    }
    return k;
}

static const char *forward_emit(struct emitter *e, const struct step *step)
{
    const struct group *g = step->group;
    struct inside d = inside_of(e->plan, g->main);
    if (step->part == PART_ROUND)
        return forward_emit_round(e, &d);
    const char *real = e->plan->real;
    bool pairs = g->kernel->bf16;
    struct chain chain;
    chain_make(e->plan, g, &chain);
    const struct chain *c = g->chain_count ? &chain : NULL;
    struct panels s = product_panels(e->plan, d.s.o, d.panel);
    emit_function(e, "int b, int n, const %s *x, const %s *w, %s *restrict y%s%s", pairs ? "bf16_pair" : real, real,
                  real, chain_parameters(e, &chain), pairs ? ", bf16_pair *restrict weights" : "");
    struct forward_text k = forward_emit_block(e, &d, pairs, g->narrow);
    bool both = s.whole && s.last_vectors;
    if (both)
        cw_open(e->w, "if (p < %d) {", s.whole);
    if (s.whole)
        forward_panel(e, &k, c, pairs, g->narrow ? s.vectors / 2 : s.vectors, 0);
    if (both)
        cw_middle(e->w, "} else {");
    if (s.last_vectors)
        forward_panel(e, &k, c, pairs, s.last_vectors, s.last_tail);
    if (both)
        cw_close(e->w, "}");
    const char *hint = arena_printf(e->arena, "%s_inside%s_%dx%dx%d_to_%dx%dx%d", conv_name(e, &d.s),
                                    pairs ? "_bf16" : "", d.s.c, d.s.h, d.s.w, d.s.o, d.s.oh, d.s.ow);
    return emit_end(e, hint, inside_comment(e, step, &d));
}

const struct kernel kernel_conv2d_inside = {
    .name = "inside", .op = OP_conv2d, .fuses_chain = true, .applicable = forward_applicable, .cost = forward_cost,
    .plan = forward_plan, .finer = forward_finer, .emit = forward_emit,
    .help = "register tiles over images, tap by tap, without those outside of the map",
};

const struct kernel kernel_conv2d_bf16_inside = {
    .name = "bf16_inside", .op = OP_conv2d, .bf16 = true, .fuses_chain = true, .applicable = forward_applicable,
    .cost = forward_pairs_cost, .plan = forward_plan, .finer = forward_finer, .emit = forward_emit,
    .help = "the same with pairs of bfloat16, summed in float",
};

/* ---- data gradient: a block is some channels of x ---------------------------------------------------------------- */

enum { PART_TURN, PART_DATA };

/* Numbers of a thread's scratch: the sums of a block, (pixel, channel, image), and those of a pixel turned over. */
static int64_t sums_size(const struct plan *p, const struct inside *d)
{
    return (int64_t)d->s.h * d->s.w * inside_inputs(d) * p->batch;
}

/* Whole vectors of images and of channels, which are turned over in squares; whole panels, which are segments; and sums
 * that stay in the second-level cache. */
static bool data_applicable(const struct plan *p, const struct group *g)
{
    struct inside d = inside_of(p, g->main);
    return inside_applicable(p, &d) && p->batch % p->lanes == 0 && d.s.o % d.panel == 0 && d.s.c % p->lanes == 0 &&
        (double)sums_size(p, &d) * p->real_size <= p->target->l2_bytes / 2 &&
        (!g->chain_count || !chain_is_by_sample(p, g));
}

static double data_cost_of(const struct plan *p, const struct group *g, bool pairs)
{
    struct inside d = inside_of(p, g->main);
    int panel = plan_panel(p, p->batch);
    double cycles = (pairs ? product_pairs_cycles : product_cycles)(p, p->batch, panel, (int64_t)d.products * d.s.c,
                                                                    inside_inputs(&d), pairs ? d.s.o / 2 : d.s.o);
    double vectors = (double)d.s.c * p->batch / p->lanes;
    cycles += vectors * (d.products + d.s.h * d.s.w) * p->target->costs->accumulator;
    if (pairs)
        cycles += pairs_copy_cycles(p, (double)d.s.weight->stored) +
            pairs_copy_cycles(p, (double)sample_out(&d) * p->batch);
    double turn = p->target->costs->turned_together * (double)(sample_in(&d) + sample_out(&d)) * p->batch;
    return larger(cycles, inside_stream_cycles(p, &d)) + turn + group_chain_cycles(p, g) + plan_meeting_cycles(p, 1);
}

static double data_cost(const struct plan *p, const struct group *g)
{
    return data_cost_of(p, g, false);
}

static double data_pairs_cost(const struct plan *p, const struct group *g)
{
    return data_cost_of(p, g, true);
}

static void data_plan(struct plan *p, struct program *q, struct group *g)
{
    struct inside d = inside_of(p, g->main);
    bool pairs = g->kernel->bf16;
    int64_t together = sample_out(&d) * p->lanes / (pairs ? 2 : 1);     /* as many images as a vector has */
    struct step *turn = plan_step(p, q, g, PART_TURN, SPLIT_BLOCKS, p->batch / p->lanes * d.s.oh * d.s.ow, plan_way(g),
                                  0);
    struct step *main = plan_step(p, q, g, PART_DATA, SPLIT_BLOCKS, (d.s.c + d.inputs - 1) / d.inputs,
                                  plan_way(g), 2 * d.s.k * d.s.o * d.s.oh * d.s.ow * p->batch);
    turn->beside = true;
    main->rows_of = g->main->in[1];
    main->rows = d.inputs;
    struct buffer *turned = plan_buffer(p, q, arena_printf(p->arena, "d_%s_dy_turned", g->main->in[1]->name),
                                        pairs ? "bf16_pair" : p->real, together * (p->batch / p->lanes) * p->real_size);
    step_is_told(p, turn, ARGUMENT_BLOCK);
    step_takes(p, turn, ACCESS_READ, g->main->in[0]);
    step_uses_part(p, turn, ACCESS_WRITE, turned, part_rows(turn->blocks, together / (d.s.oh * d.s.ow)));
    step_is_told(p, main, ARGUMENT_BLOCK);
    step_is_told(p, main, ARGUMENT_SAMPLES);
    step_takes_part(p, main, ACCESS_READ, g->main->in[1], inside_part_of_weights(&d));
    step_uses(p, main, ACCESS_READ, turned, TOUCH_ALL);
    struct part part = { { { .count = (int64_t)p->batch * d.s.h * d.s.w, .step = d.s.c },
                           { .count = d.s.c, .step = 1, .piece = d.inputs, .over = 1 } } };
    step_takes_part(p, main, ACCESS_WRITE, g->result, part);
    step_takes_chain(p, main);
    int64_t weights = pairs ? (int64_t)inside_inputs(&d) * d.s.o / 2 : 0;
    step_scratch(p, main, (sums_size(p, &d) + (int64_t)inside_inputs(&d) * p->batch + weights) * p->real_size);
}

/* Block b: some images and a pixel. */
static const char *data_emit_turn(struct emitter *e, const struct inside *d, bool pairs)
{
    const char *real = e->plan->real;
    int pixels = d->s.oh * d->s.ow, lanes = e->plan->lanes, area = d->s.o * lanes / (pairs ? 2 : 1);
    emit_function(e, "int b, const %s *dy, %s *restrict turned", real, pairs ? "bf16_pair" : real);
    cw_line(e->w, "const %s *const from = dy + (size_t)(b / %d) * %" PRId64 " + b %% %d * %d;", real, pixels,
            lanes * sample_out(d), pixels, d->s.o);
    cw_line(e->w, "%s *const to = turned + (size_t)b * %d;", pairs ? "bf16_pair" : real, area);
    if (pairs)
        cw_line(e->w, "float square[V_LANES * V_LANES];");
    cw_open(e->w, "for (int o = 0; o < %d; o += V_LANES)%s", d->s.o, pairs ? " {" : "");
    cw_line(e->w, "v_turn(from + o, %" PRId64 ", %s, V_LANES);", sample_out(d), pairs ? "square" : "to + o * V_LANES");
    if (pairs)
        cw_line(e->w, "bf16_rows(square, V_LANES, to + o / 2 * V_LANES, V_LANES, V_LANES);");
    cw_close(e->w, pairs ? "}" : "");
    return emit_end(e, arena_printf(e->arena, "turn%s_%dx%dx%d", pairs ? "_bf16" : "", d->s.o, d->s.oh, d->s.ow),
                    pairs ? "dy turned over: (images / V_LANES, pixel, pairs of channels, V_LANES)."
                          : "dy turned over: (images / V_LANES, pixel, channel, V_LANES).");
}

/* The products of one pixel's images with `rows` rows of weights: dy to what `to` points at. */
static void data_tiles(struct emitter *e, struct tile t, const char *weights, int rows)
{
    int batch = e->plan->batch, width = plan_panel(e->plan, batch);
    int64_t dy_vector = t.b_vector / e->plan->lanes;
    struct panels s = product_panels(e->plan, batch, width);
    for (int last = 0; last < 2; last++) {
        t.vectors = last ? s.last_vectors : s.vectors;
        int count = last ? t.vectors > 0 : s.whole, before = last ? s.whole * width : 0;
        if (!count)
            continue;
        struct row_split split = split_rows(rows, tile_rows_max(e->plan, t.vectors));
        const char *dy = text_offset(e, before * dy_vector), *to = text_offset(e, before);
        if (count > 1) {
            cw_open(e->w, "for (int j = 0; j < %d; j += %d) {", count * width, width);
            dy = arena_printf(e->arena, " + j * %" PRId64, dy_vector);
            to = " + j";
        }
        for (int small = 0; small < 2; small++) {
            int tiles = small ? split.small_count : split.large_count;
            int first = small ? split.large * split.large_count : 0;
            t.rows = split.large - small;
            if (!tiles)
                continue;
            cw_open(e->w, "for (int i = %d; i < %d; i += %d)", first, first + tiles * t.rows, t.rows);
            cw_line(e->w, "%s(%s + i * %" PRId64 ", dy%s, to + i * %d%s);", emit_tile(e, &t), weights, t.a_row, dy,
                    batch, to);
            cw_close(e->w, "");
        }
        if (count > 1)
            cw_close(e->w, "}");
    }
}

/* One tap for `rows` channels of x and all images. */
static void data_tap(struct emitter *e, const struct inside *d, int tap, int rows, bool pairs)
{
    const struct window *w = &d->s.window;
    const struct reach *r = &d->rows[tap / w->kw], *c = &d->columns[tap % w->kw];
    int batch = e->plan->batch, half = pairs ? 2 : 1, lanes = e->plan->lanes;
    if (!inside_emit_tap(e, d, tap / w->kw, tap % w->kw))
        return;
    const char *from = arena_printf(e->arena, "wb%s", text_offset(e, (int64_t)tap * d->s.c * d->panel));
    struct tile t = { .a_row = d->panel / half, .a_k = 1, .b_k = lanes, .depth = d->panel / half, .segments = d->panels,
                      .a_segment = d->s.k * d->panel, .b_segment = (int64_t)d->panel / half * lanes,
                      .b_vector = sample_out(d) / half * lanes, .c_row = batch, .accumulate = true, .pairs = pairs };
    if (pairs) {
        t.a_segment = (int64_t)rows * d->panel / 2;
        loop_open(e, "p", 0, d->panels, 1);
        cw_line(e->w, "bf16_pairs(%s + (size_t)p * %" PRId64 ", weights + p * %" PRId64 ", %d);", from,
                d->s.k * d->panel, t.a_segment, rows * d->panel);
        cw_close(e->w, "}");
        from = "weights";
    }
    open_pixels(e, r, c, true);
    cw_line(e->w, "const %s *const dy = %s;", pairs ? "bf16_pair" : e->plan->real,
            y_pixel(e, d, tap, "turned", d->s.o / half * lanes));
    cw_line(e->w, "%s *const to = %s;", e->plan->real, x_pixel(e, d, tap, "sums", inside_inputs(d) * batch));
    data_tiles(e, t, from, rows);
    close_pixels(e, r, c, true);
}

/* The sums of `rows` channels, turned over, become dx. */
static void data_back(struct emitter *e, const struct inside *d, const struct chain *chain, int rows)
{
    int batch = e->plan->batch;
    loop_open(e, "pixel", 0, d->s.h * d->s.w, 1);
    cw_open(e->w, "for (int i = 0; i < %d; i += V_LANES)", batch);
    cw_open(e->w, "for (int r = 0; r < %d; r += V_LANES)", rows);
    cw_line(e->w, "v_turn(sums + (pixel * %d + r) * %d + i, %d, back + i * %d + r, %d);", inside_inputs(d), batch,
            batch, rows, rows);
    cw_close(e->w, "");
    cw_close(e->w, "");
    cw_open(e->w, "for (int i = 0; i < n; i++) {");
    cw_line(e->w, "const size_t at = (size_t)i * %" PRId64 " + pixel * %d + first;", sample_in(d), d->s.c);
    const char *value = arena_printf(e->arena, "v_load(back + i * %d + r)", rows);
    cw_open(e->w, "for (int r = 0; r < %d; r += V_LANES)", rows);
    cw_line(e->w, "v_store(dx + at + r, %s);",
            chain ? chain_apply_at(e, chain, value, "first + r", "at + r", 0) : value);
    cw_close(e->w, "");
    cw_close(e->w, "}");
    cw_close(e->w, "}");
}

static void data_rows(struct emitter *e, const struct inside *d, const struct chain *chain, int rows, bool pairs)
{
    for (int tap = 0; tap < d->s.taps; tap++)
        data_tap(e, d, tap, rows, pairs);
    data_back(e, d, chain, rows);
}

static const char *data_emit(struct emitter *e, const struct step *step)
{
    const struct group *g = step->group;
    struct inside d = inside_of(e->plan, g->main);
    bool pairs = g->kernel->bf16;
    const char *real = e->plan->real;
    if (step->part == PART_TURN)
        return data_emit_turn(e, &d, pairs);
    struct chain chain;
    chain_make(e->plan, g, &chain);
    const struct chain *c = g->chain_count ? &chain : NULL;
    int whole = d.s.c / d.inputs, rest = d.s.c % d.inputs;
    emit_function(e, "int b, int n, const %s *w, const %s *turned, %s *restrict dx%s, %s *restrict scratch", real,
                  pairs ? "bf16_pair" : real, real, chain_parameters(e, &chain), real);
    cw_line(e->w, "const int first = b * %d;", d.inputs);
    cw_line(e->w, "const %s *const wb = w + (size_t)first * %d;", real, d.panel);
    cw_line(e->w, "%s *const sums = scratch;  // (pixel, channel, image)", real);
    cw_line(e->w, "%s *const back = scratch + %" PRId64 ";  // (image, channel)", real, sums_size(e->plan, &d));
    if (pairs)
        cw_line(e->w, "bf16_pair *const weights = back + %d;  // (panel, channel, pairs of y's channels)",
                inside_inputs(&d) * e->plan->batch);
    cw_line(e->w, "memset(sums, 0, sizeof(%s) * %" PRId64 ");", real, sums_size(e->plan, &d));
    if (whole && rest)
        cw_open(e->w, "if (b < %d) {", whole);
    if (whole)
        data_rows(e, &d, c, d.inputs, pairs);
    if (whole && rest)
        cw_middle(e->w, "} else {");
    if (rest)
        data_rows(e, &d, c, rest, pairs);
    if (whole && rest)
        cw_close(e->w, "}");
    const char *hint = arena_printf(e->arena, "%s_inside%s_data_grad_%dx%dx%d_to_%dx%dx%d", conv_name(e, &d.s),
                                    pairs ? "_bf16" : "", d.s.o, d.s.oh, d.s.ow, d.s.c, d.s.h, d.s.w);
    return emit_end(e, hint, inside_comment(e, step, &d));
}

const struct kernel kernel_conv2d_inside_data_grad = {
    .name = "inside", .op = OP_conv2d_data_grad, .fuses_chain = true, .applicable = data_applicable, .cost = data_cost,
    .plan = data_plan, .emit = data_emit, .by_weights = always_applicable,
    .help = "register tiles of images with the weights as rows, without taps outside of the map",
};

const struct kernel kernel_conv2d_bf16_inside_data_grad = {
    .name = "bf16_inside", .op = OP_conv2d_data_grad, .bf16 = true, .fuses_chain = true,
    .applicable = data_applicable, .cost = data_pairs_cost, .plan = data_plan, .emit = data_emit,
    .by_weights = always_applicable,
    .help = "the same with pairs of bfloat16, summed in float",
};
