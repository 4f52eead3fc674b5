/* conv2d_inside_weight_grad.c - the gradient of a convolution's weights on small maps, without taps outside of the map.
 *
 * dw[kh kw c][o] = sum over pixels of y that have the tap inside, and images, of x[pixel of the tap][c] dy[pixel][o].
 *
 * dy is packed into panels, (pixel, image) the rows, by a step before; a block packs some channels of x likewise and
 * goes through all panels and taps: pixels of a row of y, with all their images, are one stretch of both.  Each weight's
 * gradient is one sum and written once.  Where the data gradient goes by the same rows of weights before, in the same
 * loop, they may be updated while they are in the cache: a large gradient is then never written down.  With
 * `precision bf16` two images of a pixel are a pair. */
#include <inttypes.h>

#include "kernels/bf16.h"
#include "kernels/conv2d_inside.h"
#include "kernels/loops.h"
#include "kernels/product.h"

enum { PART_PACK, PART_SUM };
enum { LONGEST_SUM = 1024,      /* longer ones round more than sums of sums */
       BIAS_RUN = 32 };         /* numbers of a sum of the bias gradient, which often err to the same side */

/* Rows that a pixel has in what is packed: images, or pairs of them. */
static int pixel_rows(const struct plan *p, bool pairs)
{
    return pairs ? (int)bf16_pairs_of(p->batch) : p->batch;
}

/* Elements of scratch in which a block's channels of x are packed. */
static int64_t x_rows_size(const struct plan *p, const struct inside *d, bool pairs)
{
    return (int64_t)d->s.h * d->s.w * pixel_rows(p, pairs) * inside_inputs(d);
}

static bool applicable(const struct plan *p, const struct group *g)
{
    struct inside d = inside_of(p, g->main);
    return inside_applicable(p, &d) && d.s.window.stride_w == 1 && p->batch * d.s.oh * d.s.ow <= LONGEST_SUM;
}

static double cost_of(const struct plan *p, const struct group *g, bool pairs)
{
    struct inside d = inside_of(p, g->main);
    double cycles = 0;
    for (int tap = 0; tap < d.s.taps; tap++) {
        int64_t depth = (int64_t)d.rows[tap / d.s.window.kw].count * d.columns[tap % d.s.window.kw].count;
        cycles += (pairs ? product_pairs_cycles : product_cycles)(p, d.s.o, d.panel, d.s.c, inside_inputs(&d),
                                                                  depth * pixel_rows(p, pairs));
    }
    double packed = (double)p->batch * ((double)d.s.h * d.s.w * d.s.c + (double)d.s.oh * d.s.ow * d.s.o);
    double stream = inside_stream_cycles(p, &d);
    return (cycles > stream ? cycles : stream) + p->target->costs->packed_in_order * packed / p->lanes +
        plan_meeting_cycles(p, 1);
}

static double cost(const struct plan *p, const struct group *g)
{
    return cost_of(p, g, false);
}

static double pairs_cost(const struct plan *p, const struct group *g)
{
    return cost_of(p, g, true);
}

static void plan(struct plan *p, struct program *q, struct group *g)
{
    struct inside d = inside_of(p, g->main);
    const struct param *updated = plan_updated_by(p, q, g);
    bool pairs = g->kernel->bf16;
    const struct tensor *dw = g->main->out[0];
    struct step *pack = plan_step(p, q, g, PART_PACK, SPLIT_BLOCKS, d.panels, "weight gradient", 0);
    struct step *main = plan_step(p, q, g, PART_SUM, SPLIT_BLOCKS, (d.s.c + d.inputs - 1) / d.inputs,
                                  "weight gradient", 2 * d.s.k * d.s.o * d.s.oh * d.s.ow * p->batch);
    pack->beside = true;
    main->rows_of = dw->param->tensor;
    main->rows = d.inputs;
    int64_t panel = (int64_t)d.s.oh * d.s.ow * pixel_rows(p, pairs) * d.panel;
    struct buffer *panels = plan_buffer(p, q, arena_printf(p->arena, "%s_dy_%s", dw->name, pairs ? "pairs" : "panels"),
                                        pairs ? "bf16_pair" : p->real, d.panels * panel * p->real_size);
    step_is_told(p, pack, ARGUMENT_BLOCK);
    step_is_told(p, pack, ARGUMENT_SAMPLES);
    step_takes(p, pack, ACCESS_READ, g->main->in[1]);
    step_uses_part(p, pack, ACCESS_WRITE, panels, part_rows(d.panels, panel));
    if (g->companion)
        step_takes_part(p, pack, ACCESS_WRITE, g->companion->out[0], part_runs(d.s.o, d.panel));
    step_is_told(p, main, ARGUMENT_BLOCK);
    step_is_told(p, main, ARGUMENT_SAMPLES);
    step_takes(p, main, ACCESS_READ, g->main->in[0]);
    step_uses(p, main, ACCESS_READ, panels, TOUCH_ALL);
    step_takes_part(p, main, ACCESS_WRITE, dw, inside_part_of_weights(&d));
    if (updated)
        step_updates(p, main, updated, inside_part_of_weights(&d));
    if (updated && p->update.rule_slots > 0)
        main->prefetch = "the optimizer's state, before an early update";
    step_scratch(p, main, (x_rows_size(p, &d, pairs) + (updated ? inside_inputs(&d) * d.panel : 0)) * p->real_size);
}

/* Writes the loop in which `pixels` pixels of all images, `count` of the channels that `from` (a sample's first one,
 * `sample` to the next, `channels` to the next pixel) points at, become rows of `width` numbers in `to`; images that a
 * batch lacks are 0. */
static void emit_rows(struct emitter *e, bool pairs, const char *from, int64_t sample, int pixels, int channels,
                      const char *to, int width, const char *count)
{
    const char *real = e->plan->real;
    int rows = pixel_rows(e->plan, pairs);
    loop_open(e, "pixel", 0, pixels, 1);
    if (pairs) {
        cw_open(e->w, "for (int i = 0; i < n; i += 2) {");
        cw_line(e->w, "const float *const low = %s + (size_t)i * %" PRId64 " + pixel * %d;", from, sample, channels);
        cw_line(e->w, "bf16_join(low, i + 1 < n ? low + %" PRId64 " : NULL, %s + (pixel * %d + i / 2) * %d, %s);",
                sample, to, rows, width, count);
        cw_close(e->w, "}");
    } else {
        cw_open(e->w, "for (int i = 0; i < n; i++)");
        cw_line(e->w, "memcpy(%s + (pixel * %d + i) * %d, %s + (size_t)i * %" PRId64
                " + pixel * %d, sizeof(%s) * (size_t)%s);",
                to, rows, width, from, sample, channels, real, count);
        cw_close(e->w, "");
    }
    const char *used = pairs ? "(n + 1) / 2" : "n";
    cw_open(e->w, "for (int i = %s; i < %d; i++)", used, rows);
    cw_line(e->w, "memset(%s + (pixel * %d + i) * %d, 0, sizeof(%s) * %d);", to, rows, width,
            pairs ? "bf16_pair" : real, width);
    cw_close(e->w, "");
    cw_close(e->w, "}");
}

/* Block p: a panel of dy, and the bias gradient of its channels. */
static const char *emit_pack(struct emitter *e, const struct group *g, const struct inside *d, bool pairs)
{
    const char *real = e->plan->real, *factor = pairs ? "bf16_pair" : real;
    int pixels = d->s.oh * d->s.ow, rest = d->s.o % d->panel;
    int64_t sample = (int64_t)pixels * d->s.o, panel = (int64_t)pixels * pixel_rows(e->plan, pairs) * d->panel;
    bool bias = g->companion != NULL;
    emit_function(e, "int p, int n, const %s *dy, %s *restrict panels%s", real, factor,
                  bias ? arena_printf(e->arena, ", %s *restrict db", real) : "");
    cw_line(e->w, "%s *const to = panels + (size_t)p * %" PRId64 ";", factor, panel);
    cw_line(e->w, "const %s *const from = dy + p * %d;", real, d->panel);
    const char *count = arena_printf(e->arena, "%d", rest ? rest : d->panel);
    if (rest && d->panels > 1) {
        cw_line(e->w, "const int channels = p < %d ? %d : %d;", d->panels - 1, d->panel, rest);
        count = "channels";
    }
    if (rest)
        cw_line(e->w, "memset(to, 0, sizeof(%s) * %" PRId64 ");", factor, panel);
    emit_rows(e, pairs, "from", sample, pixels, d->s.o, "to", d->panel, count);
    if (bias) {
        cw_open(e->w, "for (int o = 0; o < %s; o++)", count);
        cw_line(e->w, "db[p * %d + o] = 0;", d->panel);
        cw_close(e->w, "");
        cw_open(e->w, "for (int first = 0; first < n * %d; first += %d) {", pixels, BIAS_RUN);
        cw_line(e->w, "const int end = first + %d < n * %d ? first + %d : n * %d;", BIAS_RUN, pixels, BIAS_RUN, pixels);
        cw_line(e->w, "%s run[%d] = { 0 };", real, d->panel);
        cw_open(e->w, "for (int i = first; i < end; i++)");
        cw_open(e->w, "for (int o = 0; o < %s; o++)", count);
        cw_line(e->w, "run[o] += from[(size_t)i * %d + o];", d->s.o);
        cw_close(e->w, "");
        cw_close(e->w, "");
        cw_open(e->w, "for (int o = 0; o < %s; o++)", count);
        cw_line(e->w, "db[p * %d + o] += run[o];", d->panel);
        cw_close(e->w, "");
        cw_close(e->w, "}");
    }
    const char *how = pairs ? "A panel of dy in pairs of images" : "A panel of dy: (pixel, image, channel)";
    return emit_end(e, arena_printf(e->arena, "pack_inside%s_%dx%dx%d", pairs ? "_bf16" : "", d->s.o, d->s.oh, d->s.ow),
                    arena_printf(e->arena, bias ? "%s, and its bias gradient." : "%s.", how));
}

/* What the text of a block is made of. */
struct block_text {
    const struct inside *d;
    int inputs;
    bool pairs, updates, fetches;
};

/* The products of a tap: x_rows and dy to `to`. */
static void emit_products(struct emitter *e, const struct block_text *k, int tap)
{
    const struct inside *d = k->d;
    const struct reach *r = &d->rows[tap / d->s.window.kw], *c = &d->columns[tap % d->s.window.kw];
    int images = pixel_rows(e->plan, k->pairs), width = inside_inputs(d), panel = d->panel;
    struct tile t = { .vectors = panel / e->plan->lanes, .a_row = 1, .a_k = width, .b_k = panel, .segments = r->count,
                      .depth = (int64_t)c->count * images, .c_row = panel, .pairs = k->pairs };
    t.a_segment = (int64_t)d->s.window.stride_h * d->s.w * images * width;
    t.b_segment = (int64_t)d->s.ow * images * panel;
    int64_t a = ((int64_t)r->from * d->s.w + c->from) * images * width;
    int64_t b = ((int64_t)r->first * d->s.ow + c->first) * images * panel;
    struct row_split split = split_rows(k->inputs, tile_rows_max(e->plan, t.vectors));
    for (int small = 0; small < 2; small++) {
        int tiles = small ? split.small_count : split.large_count, first = small ? split.large * split.large_count : 0;
        t.rows = split.large - small;
        if (!tiles)
            continue;
        cw_open(e->w, "for (int i = %d; i < %d; i += %d)%s", first, first + tiles * t.rows, t.rows,
                k->fetches ? " {" : "");
        if (k->fetches) {
            cw_open(e->w, "if (early)");
            cw_line(e->w, "fetch_state(c, number + (int64_t)at + i * %d, %d);", panel, t.rows * panel);
            cw_close(e->w, "");
        }
        cw_line(e->w, "%s(x_rows%s + i, dy%s, to + i * %d);", emit_tile(e, &t), text_offset(e, a), text_offset(e, b),
                panel);
        cw_close(e->w, k->fetches ? "}" : "");
    }
}

static void emit_tap(struct emitter *e, const struct block_text *k, int tap)
{
    const struct inside *d = k->d;
    const char *real = e->plan->real;
    int64_t from = (int64_t)tap * d->s.c * d->panel;
    cw_open(e->w, "{");
    bool inside = inside_emit_tap(e, d, tap / d->s.window.kw, tap % d->s.window.kw);
    cw_line(e->w, "const size_t at = (size_t)p * %" PRId64 " + (size_t)first * %d%s;", d->s.k * d->panel, d->panel,
            text_offset(e, from));
    cw_line(e->w, "%s *const to = %sdw + at;", real, k->updates ? "early ? gradient : " : "");
    if (inside)
        emit_products(e, k, tap);
    else
        cw_line(e->w, "memset(to, 0, sizeof(%s) * %d);  // tap (%d, %d) is outside of every pixel", real,
                k->inputs * d->panel, tap / d->s.window.kw, tap % d->s.window.kw);
    if (k->updates) {
        cw_open(e->w, "if (early)");
        cw_line(e->w, "update_range(c, early, number + (int64_t)at, %d, to);", k->inputs * d->panel);
        cw_close(e->w, "");
    }
    cw_close(e->w, "}");
}

/* Block b: some channels of x, all panels and taps. */
static void emit_inputs(struct emitter *e, const struct block_text *k)
{
    const struct inside *d = k->d;
    int64_t panel = (int64_t)d->s.oh * d->s.ow * pixel_rows(e->plan, k->pairs) * d->panel;
    emit_rows(e, k->pairs, "from", (int64_t)d->s.h * d->s.w * d->s.c, d->s.h * d->s.w, d->s.c, "x_rows",
              inside_inputs(d), arena_printf(e->arena, "%d", k->inputs));
    loop_open(e, "p", 0, d->panels, 1);
    cw_line(e->w, "const %s *const dy = panels + p * %" PRId64 ";", k->pairs ? "bf16_pair" : e->plan->real, panel);
    for (int tap = 0; tap < d->s.taps; tap++)
        emit_tap(e, k, tap);
    cw_close(e->w, "}");
}

static const char *emit(struct emitter *e, const struct step *step)
{
    const struct group *g = step->group;
    struct inside d = inside_of(e->plan, g->main);
    bool pairs = g->kernel->bf16;
    if (step->part == PART_PACK)
        return emit_pack(e, g, &d, pairs);
    const char *real = e->plan->real, *factor = pairs ? "bf16_pair" : real;
    struct block_text k = { .d = &d, .pairs = pairs, .updates = step->updates, .fetches = step->prefetch };
    int whole = d.s.c / d.inputs, rest = d.s.c % d.inputs;
    emit_function(e, "int b, int n, const %s *x, const %s *panels, %s *restrict dw%s, %s *restrict x_rows", real,
                  factor, real,
                  k.updates ? ", const struct cnn_context *c, const struct rule *early, int64_t number" : "",
                  factor);
    cw_line(e->w, "const int first = b * %d;", d.inputs);
    cw_line(e->w, "const %s *const from = x + first;", real);
    if (k.updates)
        cw_line(e->w, "%s *const gradient = x_rows + %" PRId64 ";", real, x_rows_size(e->plan, &d, pairs));
    if (whole && rest)
        cw_open(e->w, "if (b < %d) {", whole);
    k.inputs = d.inputs;
    if (whole)
        emit_inputs(e, &k);
    if (whole && rest)
        cw_middle(e->w, "} else {");
    k.inputs = rest;
    if (rest)
        emit_inputs(e, &k);
    if (whole && rest)
        cw_close(e->w, "}");
    const char *hint = arena_printf(e->arena, "%s_inside%s_weight_grad_%dx%dx%d_to_%dx%dx%d", conv_name(e, &d.s),
                                    pairs ? "_bf16" : "", d.s.c, d.s.h, d.s.w, d.s.o, d.s.oh, d.s.ow);
    const char *comment = inside_comment(e, step, &d);
    if (k.updates)
        comment = arena_printf(e->arena, "%s\nThe weights, parameter `number` and those that follow, are updated where "
                               "`early` says how, and the gradient is not kept.", comment);
    return emit_end(e, hint, comment);
}

const struct kernel kernel_conv2d_inside_weight_grad = {
    .name = "inside", .op = OP_conv2d_weight_grad, .applicable = applicable, .cost = cost, .plan = plan, .emit = emit,
    .by_weights = always_applicable,
    .help = "register tiles over images and pixels, without taps outside of the map",
};

const struct kernel kernel_conv2d_bf16_inside_weight_grad = {
    .name = "bf16_inside", .op = OP_conv2d_weight_grad, .bf16 = true, .applicable = applicable, .cost = pairs_cost,
    .plan = plan, .emit = emit, .by_weights = always_applicable,
    .help = "the same with pairs of bfloat16, summed in float",
};
