/* dense_bf16.c - dense layers of `precision bf16`: forward pass and data gradient as register tiles whose factors are
 * pairs of bfloat16 and whose sums are float.  (The weight gradient is that of dense_tile.c, of pairs of samples.)
 *
 * Weights are kept in float and read once a step, as by the kernels in float: a thread rounds some of them into its
 * scratch, where they serve all samples.  So nothing of them is written to memory. */
#include <inttypes.h>

#include "kernels/bf16.h"
#include "kernels/dense_tile.h"
#include "kernels/loops.h"

static bool applicable(const struct plan *p, const struct group *g)
{
    (void)g;
    return p->batch > 1;
}

static double larger(double a, double b)
{
    return a > b ? a : b;
}

/* ---- forward: a block is a panel of outputs; pairs are neighbouring inputs --------------------------------------- */

enum { PART_ROUND, PART_FORWARD };

static double forward_cost(const struct plan *p, const struct group *g)
{
    struct dense d = dense_of(p, g->main);
    int rows = dense_batch_rows(p, d.panel / p->lanes);
    double cycles = product_pairs_cycles(p, d.out, d.panel, p->batch, rows, bf16_pairs_of(d.in));
    double copies = pairs_copy_cycles(p, (double)d.weight->stored) + pairs_copy_cycles(p, (double)d.in * p->batch);
    return larger(cycles + copies, dense_stream_cycles(p, &d)) + group_chain_cycles(p, g) + plan_meeting_cycles(p, 1);
}

static void forward_plan(struct plan *p, struct program *q, struct group *g)
{
    struct dense d = dense_of(p, g->main);
    int64_t sample = bf16_pairs_of(d.in), chunk = d.in < DEPTH_CHUNK ? d.in : DEPTH_CHUNK;
    struct step *in = plan_step(p, q, g, PART_ROUND, SPLIT_IMAGES, 0, "forward", 0);
    struct step *s = plan_step(p, q, g, PART_FORWARD, SPLIT_BLOCKS, d.panels, "forward", dense_flops(p, &d));
    struct buffer *pairs = plan_buffer(p, q, arena_printf(p->arena, "%s_pairs", g->main->in[1]->name), "bf16_pair",
                                       sample * p->batch * p->real_size);
    step_takes(p, in, ACCESS_READ, g->main->in[0]);
    step_uses_row(p, in, ACCESS_WRITE, pairs, AT_IMAGE, sample);
    step_is_told(p, s, ARGUMENT_BLOCK);
    step_is_told(p, s, ARGUMENT_SAMPLES);
    step_uses(p, s, ACCESS_READ, pairs, TOUCH_ALL);
    step_takes(p, s, ACCESS_READ, g->main->in[1]);
    step_takes_part(p, s, ACCESS_WRITE, g->result, part_columns(p, d.out, d.panel));
    step_takes_chain(p, s);
    step_scratch(p, s, bf16_pairs_of(chunk) * d.panel * p->real_size);
}

static const char *forward_emit_in(struct emitter *e, const struct step *step)
{
    struct dense d = dense_of(e->plan, step->group->main);
    emit_function(e, "const float *x, bf16_pair *restrict pairs");
    cw_line(e->w, "bf16_pairs(x, pairs, %d);", d.in);
    return emit_end(e, arena_printf(e->arena, "round_%d", d.in), "A sample in pairs of bfloat16.");
}

/* `depth` inputs, the first of which has its weight at `weight` of the panel and its pair at `pair` of the sample (" +
 * 7", C text): the weights are rounded, then come tiles of some samples, and single ones for the rest of the batch. */
static void forward_chunk(struct emitter *e, const struct dense *d, struct tile t, int64_t depth, const char *weight,
                          const char *pair)
{
    const char *at = arena_printf(e->arena, "i * %d + p * %d", d->out, d->panel);
    const char *chain = t.chain ? chain_pass(e, t.chain, arena_printf(e->arena, "p * %d", d->panel), at) : "";
    int64_t sample = bf16_pairs_of(d->in);
    int rows = dense_batch_rows(e->plan, t.vectors);
    cw_line(e->w, "bf16_rows(wp%s, %d, weights, %" PRId64 ", %d);", weight, d->panel, depth, d->panel);
    cw_line(e->w, "int i = 0;");
    t.depth = bf16_pairs_of(depth);
    for (t.rows = rows;; t.rows = 1) {
        if (t.rows > 1)
            cw_open(e->w, "for (; i + %d <= n; i += %d)", t.rows, t.rows);
        else
            cw_open(e->w, "for (; i < n; i++)");
        cw_line(e->w, "%s(pairs + (size_t)i * %" PRId64 "%s, weights, y + %s%s);", emit_tile(e, &t), sample, pair, at,
                chain);
        cw_close(e->w, "");
        if (t.rows == 1)
            return;
    }
}

/* All chunks for panels of `vectors` vectors: the first one begins with zero, the last one ends with the chain. */
static void forward_panel(struct emitter *e, const struct dense *d, const struct chain *chain, int vectors, int tail)
{
    int chunks = (d->in + DEPTH_CHUNK - 1) / DEPTH_CHUNK, last = (chunks - 1) * DEPTH_CHUNK;
    struct tile t = { .vectors = vectors, .tail = tail, .a_row = bf16_pairs_of(d->in), .a_k = 1, .b_k = d->panel,
                      .segments = 1,
                      .c_row = d->out, .pairs = true };
    if (chunks > 1) {
        cw_open(e->w, "{");
        forward_chunk(e, d, t, DEPTH_CHUNK, "", "");
        cw_close(e->w, "}");
        t.accumulate = true;
    }
    if (chunks > 2) {
        cw_open(e->w, "for (int k = %d; k < %d; k += %d) {", DEPTH_CHUNK, last, DEPTH_CHUNK);
        forward_chunk(e, d, t, DEPTH_CHUNK, arena_printf(e->arena, " + (size_t)k * %d", d->panel), " + k / 2");
        cw_close(e->w, "}");
    }
    t.chain = chain;
    forward_chunk(e, d, t, d->in - last, text_offset(e, (int64_t)last * d->panel), text_offset(e, last / 2));
}

static const char *forward_emit(struct emitter *e, const struct step *step)
{
    if (step->part == PART_ROUND)
        return forward_emit_in(e, step);
    const struct group *g = step->group;
    struct dense d = dense_of(e->plan, g->main);
    struct chain chain;
    chain_make(e->plan, g, &chain);
    const struct chain *c = g->chain_count ? &chain : NULL;
    struct panels s = product_panels(e->plan, d.out, d.panel);
    emit_function(e, "int p, int n, const bf16_pair *pairs, const float *w, float *restrict y%s, bf16_pair *restrict weights",
                  chain_parameters(e, &chain));
    cw_line(e->w, "const float *const wp = w + (size_t)p * %" PRId64 ";", (int64_t)d.in * d.panel);
    bool both = s.whole && s.last_vectors;
    if (both)
        cw_open(e->w, "if (p < %d) {", s.whole);
    if (s.whole)
        forward_panel(e, &d, c, s.vectors, 0);
    if (both)
        cw_middle(e->w, "} else {");
    if (s.last_vectors)
        forward_panel(e, &d, c, s.last_vectors, s.last_tail);
    if (both)
        cw_close(e->w, "}");
    return emit_end(e, arena_printf(e->arena, "dense_bf16_%d_to_%d", d.in, d.out), emit_comment(e, step));
}

const struct kernel kernel_dense_bf16 = {
    .name = "bf16", .op = OP_dense, .bf16 = true, .fuses_chain = true, .applicable = applicable, .cost = forward_cost,
    .plan = forward_plan, .emit = forward_emit,
    .help = "register tiles of pairs of bfloat16, a panel of outputs at a time",
};

/* ---- data gradient: a block is some inputs; pairs are neighbouring outputs ------------------------------------------
 * * As in dense_tile.c the weights of an input are the rows of A, and B is dy turned over: (pairs of outputs) x
 * samples. */

enum { PART_TURN, PART_DATA, TURNED = 64 };     /* outputs in a block of the first step */

static double data_cost(const struct plan *p, const struct group *g)
{
    int rows;
    struct dense d = dense_of(p, g->main);
    int block = dense_input_block(p, &d, &rows);
    double cycles = product_pairs_cycles(p, d.batch_padded, plan_panel(p, d.batch_padded), d.in, block,
                                         (int64_t)d.panels * d.panel / 2);
    double turn = p->target->costs->turned * d.in * d.batch_padded;
    return larger(cycles + pairs_copy_cycles(p, (double)d.weight->stored), dense_stream_cycles(p, &d)) + turn +
           group_chain_cycles(p, g) + plan_meeting_cycles(p, 1);
}

static void data_plan(struct plan *p, struct program *q, struct group *g)
{
    struct dense d = dense_of(p, g->main);
    int64_t outputs = (int64_t)d.panels * d.panel, run = TURNED / 2 * (int64_t)d.batch_padded;
    int rows, block = dense_input_block(p, &d, &rows);
    struct step *turn = plan_step(p, q, g, PART_TURN, SPLIT_BLOCKS, (outputs + TURNED - 1) / TURNED, "data gradient",
                                  0);
    struct step *main = plan_step(p, q, g, PART_DATA, SPLIT_BLOCKS, (d.in + block - 1) / block, "data gradient",
                                  dense_flops(p, &d));
    dense_data_takes(p, q, g, turn, main, block, "bf16_pair", outputs / 2 * d.batch_padded, run);
    step_scratch(p, main, (2 * block * (int64_t)d.batch_padded + rows * outputs / 2) * p->real_size);
}

static const char *data_emit_turn(struct emitter *e, const struct step *step)
{
    struct dense d = dense_of(e->plan, step->group->main);
    int outputs = d.panels * d.panel;
    emit_function(e, "int b, int n, const float *dy, bf16_pair *restrict turned");
    cw_line(e->w, "const int end = b * %d + %d < %d ? b * %d + %d : %d;", TURNED, TURNED, outputs, TURNED, TURNED,
            outputs);
    cw_open(e->w, "for (int o = b * %d; o < end; o += 2)", TURNED);
    cw_open(e->w, "for (int i = 0; i < %d; i++) {", d.batch_padded);
    cw_line(e->w, "const float *const at = dy + (size_t)i * %d + o;", d.out);
    bool pad = outputs != d.out;
    const char *low = pad ? arena_printf(e->arena, "i < n && o < %d", d.out) : "i < n";
    const char *high = pad ? arena_printf(e->arena, "i < n && o + 1 < %d", d.out) : "i < n";
    cw_line(e->w, "turned[o / 2 * %d + i] = bf16_pair_of(%s ? at[0] : 0, %s ? at[1] : 0);", d.batch_padded, low, high);
    cw_close(e->w, "}");
    cw_close(e->w, "");
    return emit_end(e, arena_printf(e->arena, "turn_bf16_%d", d.out),
                    "dy turned over: pairs of outputs x samples, zeros where there are none.");
}

/* Inputs from `row` on, `rows` at a time: their weights are rounded, and serve all samples. */
static void data_emit_rows(struct emitter *e, const struct dense *d, int rows)
{
    int width = plan_panel(e->plan, d->batch_padded);
    int64_t half = (int64_t)rows * d->panel / 2;
    struct panels s = product_panels(e->plan, d->batch_padded, width);
    struct tile t = { .rows = rows, .a_row = d->panel / 2, .a_k = 1, .b_k = d->batch_padded, .depth = d->panel / 2,
                      .segments = d->panels, .a_segment = half, .b_segment = (int64_t)d->panel / 2 * d->batch_padded,
                      .c_row = d->batch_padded, .pairs = true };
    if (rows > 1)
        cw_open(e->w, "for (; row + %d <= rows; row += %d) {", rows, rows);
    else
        cw_open(e->w, "for (; row < rows; row++) {");
    if (d->panels > 1)
        cw_open(e->w, "for (int p = 0; p < %d; p++)", d->panels);
    cw_line(e->w, "bf16_pairs(wb + (size_t)row * %d%s, weights%s, %d);", d->panel,
            d->panels > 1 ? arena_printf(e->arena, " + (size_t)p * %" PRId64, (int64_t)d->in * d->panel) : "",
            d->panels > 1 ? arena_printf(e->arena, " + p * %" PRId64, half) : "", rows * d->panel);
    if (d->panels > 1)
        cw_close(e->w, "");
    cw_line(e->w, "float *const to = product + (size_t)row * %d;", d->batch_padded);
    t.vectors = s.vectors;
    if (s.whole > 1)
        cw_open(e->w, "for (int j = 0; j < %d; j += %d)", s.whole * width, width);
    if (s.whole)
        cw_line(e->w, "%s(weights, turned%s, to%s);", emit_tile(e, &t), s.whole > 1 ? " + j" : "", s.whole > 1 ? " + j"
                : "");
    if (s.whole > 1)
        cw_close(e->w, "");
    t.vectors = s.last_vectors;
    if (s.last_vectors)
        cw_line(e->w, "%s(weights, turned%s, to%s);", emit_tile(e, &t), text_offset(e, s.whole * width),
                text_offset(e, s.whole * width));
    cw_close(e->w, "}");
}

static const char *data_emit(struct emitter *e, const struct step *step)
{
    if (step->part == PART_TURN)
        return data_emit_turn(e, step);
    const struct group *g = step->group;
    struct dense d = dense_of(e->plan, g->main);
    int rows, block = dense_input_block(e->plan, &d, &rows), area = block * d.batch_padded;
    struct chain chain;
    chain_make(e->plan, g, &chain);
    emit_function(e, "int b, int n, const float *w, const bf16_pair *turned, float *restrict dx%s, float *restrict scratch",
                  chain_parameters(e, &chain));
    dense_emit_block(e, &d, block);
    cw_line(e->w, "const float *const wb = w + (size_t)first * %d;", d.panel);
    cw_line(e->w, "float *const product = scratch;  // (inputs, samples)");
    cw_line(e->w, "float *const back = scratch + %d;  // (samples, inputs)", area);
    cw_line(e->w, "bf16_pair *const weights = scratch + %d;  // (panel, input, pairs of outputs)", 2 * area);
    cw_line(e->w, "int row = 0;");
    data_emit_rows(e, &d, rows);
    if (rows > 1)
        data_emit_rows(e, &d, 1);
    dense_emit_back(e, &d, g->chain_count ? &chain : NULL, block);
    return emit_end(e, arena_printf(e->arena, "dense_bf16_data_grad_%d_to_%d", d.out, d.in), emit_comment(e, step));
}

const struct kernel kernel_dense_bf16_data_grad = {
    .name = "bf16", .op = OP_dense_data_grad, .bf16 = true, .fuses_chain = true, .applicable = applicable,
    .cost = data_cost,
    .plan = data_plan, .emit = data_emit, .help = "register tiles of pairs of bfloat16 with the weights as rows",
};
