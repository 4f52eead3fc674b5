/* dense_tile.c - dense layers as register tiles: forward, data gradient, weight gradient.
 *
 * All three stream the weights (or their gradient) through the core exactly once, in the order in which they lie:
 * for a batch of moderate size that is what a dense layer costs.
 *
 * With `precision bf16` the factors of the weight gradient are pairs of bfloat16, of neighbouring samples; forward pass
 * and data gradient stand in dense_bf16.c. */
#include <inttypes.h>

#include "kernels/bf16.h"
#include "kernels/dense_tile.h"
#include "kernels/loops.h"
#include "model/optimizers.h"

struct dense dense_of(const struct plan *p, const struct node *n)
{
    const struct tensor *w = n->op == OP_dense_weight_grad ? n->out[0] : n->in[1];
    struct dense d = { .weight = plan_param(p, w) };
    d.in = param_extent(w->param, CNN_AXIS_IN);
    d.out = param_extent(w->param, CNN_AXIS_OUT);
    d.panel = d.weight->panel;
    d.panels = (d.out + d.panel - 1) / d.panel;
    d.batch_padded = (int)plan_round(p->batch, p->lanes);
    return d;
}

static bool applicable(const struct plan *p, const struct group *g)
{
    (void)p;
    (void)g;
    return true;
}

int64_t dense_flops(const struct plan *p, const struct dense *d)
{
    return 2 * (int64_t)d->in * d->out * p->batch;
}

double dense_stream_cycles(const struct plan *p, const struct dense *d)
{
    return (double)d->weight->stored * p->real_size / p->target->memory_bytes_per_cycle;
}

int dense_batch_rows(const struct plan *p, int vectors)
{
    int most = tile_rows_max(p, vectors);
    for (int r = most; r > most / 2; r--)
        if (p->batch % r == 0)
            return r;
    return p->batch < most ? p->batch : most;
}

/* ---- forward: a block is a panel of outputs ---------------------------------------------------------------------- */

static double forward_cost(const struct plan *p, const struct group *g)
{
    struct dense d = dense_of(p, g->main);
    int rows = dense_batch_rows(p, d.panel / p->lanes);
    double cycles = product_cycles(p, d.out, d.panel, p->batch, rows, d.in), stream = dense_stream_cycles(p, &d);
    return (cycles > stream ? cycles : stream) + group_chain_cycles(p, g) + plan_meeting_cycles(p, 1);
}

static void forward_plan(struct plan *p, struct program *q, struct group *g)
{
    struct dense d = dense_of(p, g->main);
    struct step *s = plan_step(p, q, g, 0, SPLIT_BLOCKS, d.panels, "forward", dense_flops(p, &d));
    step_is_told(p, s, ARGUMENT_BLOCK);
    step_is_told(p, s, ARGUMENT_SAMPLES);
    step_takes(p, s, ACCESS_READ, g->main->in[0]);
    step_takes(p, s, ACCESS_READ, g->main->in[1]);
    step_takes_part(p, s, ACCESS_WRITE, g->result, part_columns(p, d.out, d.panel));
    step_takes_chain(p, s);
    if (d.in > DEPTH_CHUNK)
        s->prefetch = "the weights of the next chunk of inputs";
}

/* Tiles of `rows` samples over one chunk of inputs, then single ones for the rest of the batch. */
static void forward_chunk(struct emitter *e, const struct dense *d, struct tile t, int rows, const char *depth_at,
                          const char *weight_at)
{
    const char *at = arena_printf(e->arena, "i * %d + p * %d", d->out, d->panel);
    const char *col = arena_printf(e->arena, "p * %d", d->panel);
    const char *chain = t.chain ? chain_pass(e, t.chain, col, at) : "";
    cw_line(e->w, "int i = 0;");
    t.rows = rows;
    cw_open(e->w, "for (; i + %d <= n; i += %d)", rows, rows);
    const char *next = "";
    if (t.next)                 /* the first tiles of a chunk fetch the next chunk's weights, each a part */
        next = arena_printf(e->arena, ", wp%s + %d + (size_t)i * %d", weight_at, DEPTH_CHUNK * d->panel,
                            DEPTH_CHUNK * (64 / e->plan->real_size) / rows);
    cw_line(e->w, "%s(x + (size_t)i * %d%s, wp%s, y + %s%s%s);", emit_tile(e, &t), d->in, depth_at, weight_at, at, next,
            chain);
    cw_close(e->w, "");
    if (rows == 1)
        return;
    t.next = false;
    t.rows = 1;
    cw_open(e->w, "for (; i < n; i++)");
    cw_line(e->w, "%s(x + (size_t)i * %d%s, wp%s, y + %s%s);", emit_tile(e, &t), d->in, depth_at, weight_at, at, chain);
    cw_close(e->w, "");
}

/* All chunks for panels of `vectors` vectors. */
static void forward_panel(struct emitter *e, const struct dense *d, const struct chain *chain, int vectors, int tail)
{
    int chunks = (d->in + DEPTH_CHUNK - 1) / DEPTH_CHUNK;
    int last = d->in - (chunks - 1) * DEPTH_CHUNK;
    struct tile t = { .vectors = vectors, .tail = tail, .a_row = d->in, .a_k = 1, .b_k = d->panel, .segments = 1,
                      .c_row = d->out };
    int rows = dense_batch_rows(e->plan, vectors);
    t.next = chunks > 1;
    if (chunks > 1) {
        /* the first chunk begins with zero, the last one ends with the chain */
        t.depth = DEPTH_CHUNK;
        cw_open(e->w, "{");
        forward_chunk(e, d, t, rows, "", "");
        cw_close(e->w, "}");
        t.accumulate = true;
    }
    if (chunks > 2) {
        cw_open(e->w, "for (int k = %d; k < %d; k += %d) {", DEPTH_CHUNK, (chunks - 1) * DEPTH_CHUNK, DEPTH_CHUNK);
        forward_chunk(e, d, t, rows, " + k", arena_printf(e->arena, " + (size_t)k * %d", d->panel));
        cw_close(e->w, "}");
    }
    t.depth = last;
    t.chain = chain;
    int64_t at = (int64_t)(chunks - 1) * DEPTH_CHUNK;
    forward_chunk(e, d, t, rows, at ? arena_printf(e->arena, " + %" PRId64, at) : "",
                  at ? arena_printf(e->arena, " + %" PRId64, at * d->panel) : "");
}

static const char *forward_emit(struct emitter *e, const struct step *step)
{
    const struct group *g = step->group;
    const struct node *n = g->main;
    struct dense d = dense_of(e->plan, n);
    const char *real = e->plan->real;
    struct chain chain;
    chain_make(e->plan, g, &chain);
    const struct chain *c = g->chain_count ? &chain : NULL;
    struct panels s = product_panels(e->plan, d.out, d.panel);
    emit_function(e, "int p, int n, const %s *x, const %s *w, %s *restrict y%s",
                  real, real, real, chain_parameters(e, &chain));
    cw_line(e->w, "const %s *const wp = w + (size_t)p * %" PRId64 ";", real, (int64_t)d.in * d.panel);
    if (s.whole && s.last_vectors) {
        cw_open(e->w, "if (p < %d) {", s.whole);
        forward_panel(e, &d, c, s.vectors, 0);
        cw_middle(e->w, "} else {");
        forward_panel(e, &d, c, s.last_vectors, s.last_tail);
        cw_close(e->w, "}");
    } else if (s.whole) {
        forward_panel(e, &d, c, s.vectors, 0);
    } else {
        forward_panel(e, &d, c, s.last_vectors, s.last_tail);
    }
    return emit_end(e, arena_printf(e->arena, "dense_%d_to_%d", d.in, d.out), emit_comment(e, step));
}

const struct kernel kernel_dense_tile = {
    .name = "tile", .op = OP_dense, .fuses_chain = true, .applicable = applicable, .cost = forward_cost,
    .plan = forward_plan, .emit = forward_emit, .help = "register tiles, a panel of outputs at a time",
};

/* ---- data gradient: a block is some inputs ------------------------------------------------------------------------ *
 * The weights of an input are the rows of A here, B is dy turned over (outputs x samples): each weight is read once
 * and used for all samples.  The result is turned back in scratch. */

enum { MOST_INPUTS = 128 };     /* in a block */

/* The least multiple of a that is one of b too. */
static int common_multiple(int a, int b)
{
    int multiple = a;
    while (multiple % b)
        multiple += a;
    return multiple;
}

/* Rows of a tile of the weight gradient. */
static int weight_rows(const struct plan *p, const struct dense *d)
{
    int most = tile_rows_max(p, d->panel / p->lanes);
    return most < d->in ? most : d->in;
}

int dense_input_block(const struct plan *p, const struct dense *d, int *rows)
{
    int most = tile_rows_max(p, plan_panel(p, d->batch_padded) / p->lanes), with = weight_rows(p, d);
    for (int shared = 1; shared >= 0; shared--)
        for (int r = most; r > (shared ? most * 3 / 4 : 1); r--) {
            int block = common_multiple(common_multiple(r, p->lanes), shared ? with : 1);
            if (block <= MOST_INPUTS) {
                *rows = r;
                return MOST_INPUTS / block * block;
            }
        }
    *rows = 1;
    return MOST_INPUTS / 2;
}

static double data_cost(const struct plan *p, const struct group *g)
{
    int tile_rows;

    struct dense d = dense_of(p, g->main);
    double cycles = product_cycles(p, d.batch_padded, plan_panel(p, d.batch_padded), d.in,
                                   dense_input_block(p, &d, &tile_rows), (int64_t)d.panels * d.panel);
    double stream = dense_stream_cycles(p, &d), turn = p->target->costs->turned * d.in * d.batch_padded;
    return (cycles > stream ? cycles : stream) + turn + group_chain_cycles(p, g) + plan_meeting_cycles(p, 1);
}

struct part dense_part_of_weights(const struct dense *d, int piece)
{
    return (struct part){ { { .count = d->panels, .step = (int64_t)d->in * d->panel },
                            { .count = d->in, .step = d->panel, .piece = piece, .over = 1 },
                            { .count = d->panel, .step = 1 } } };
}

void dense_data_takes(struct plan *p, struct program *q, struct group *g, struct step *turn, struct step *main,
                      int block, const char *type, int64_t size, int64_t run)
{
    struct dense d = dense_of(p, g->main);
    turn->beside = true;
    main->rows_of = g->main->in[1];
    main->rows = block;
    /* named after the weights: two layers may get the same dy */
    struct buffer *turned = plan_buffer(p, q, arena_printf(p->arena, "d_%s_dy_turned", g->main->in[1]->name), type,
                                        size * p->real_size);
    step_is_told(p, turn, ARGUMENT_BLOCK);
    step_is_told(p, turn, ARGUMENT_SAMPLES);
    step_takes(p, turn, ACCESS_READ, g->main->in[0]);
    step_uses_part(p, turn, ACCESS_WRITE, turned, part_runs(size, run));
    step_is_told(p, main, ARGUMENT_BLOCK);
    step_is_told(p, main, ARGUMENT_SAMPLES);
    step_takes_part(p, main, ACCESS_READ, g->main->in[1], dense_part_of_weights(&d, block));
    step_uses(p, main, ACCESS_READ, turned, TOUCH_ALL);
    step_takes_part(p, main, ACCESS_WRITE, g->result, part_columns(p, d.in, block));
    step_takes_chain(p, main);
}

static void data_plan(struct plan *p, struct program *q, struct group *g)
{
    struct dense d = dense_of(p, g->main);
    int64_t rows = (int64_t)d.panels * d.panel;
    int tile_rows, block = dense_input_block(p, &d, &tile_rows);
    struct step *turn = plan_step(p, q, g, 0, SPLIT_BLOCKS, (rows + 63) / 64, "data gradient", 0);
    struct step *main = plan_step(p, q, g, 1, SPLIT_BLOCKS, (d.in + block - 1) / block, "data gradient",
                                  dense_flops(p, &d));
    dense_data_takes(p, q, g, turn, main, block, p->real, rows * d.batch_padded, 64 * (int64_t)d.batch_padded);
    step_scratch(p, main, 2 * block * (int64_t)d.batch_padded * p->real_size);
    main->prefetch = "the weights of the next tile";
}

static const char *data_emit_turn(struct emitter *e, const struct step *step)
{
    const struct node *n = step->group->main;
    struct dense d = dense_of(e->plan, n);
    const char *real = e->plan->real;
    int rows = d.panels * d.panel;
    emit_function(e, "int b, int n, const %s *dy, %s *restrict turned", real, real);
    cw_line(e->w, "const int end = b * 64 + 64 < %d ? b * 64 + 64 : %d;", rows, rows);
    cw_open(e->w, "for (int o = b * 64; o < end; o++)");
    cw_open(e->w, "for (int i = 0; i < %d; i++)", d.batch_padded);
    const char *valid = rows == d.out ? "i < n" : arena_printf(e->arena, "i < n && o < %d", d.out);
    cw_line(e->w, "turned[o * %d + i] = %s ? dy[(size_t)i * %d + o] : 0;", d.batch_padded, valid, d.out);
    cw_close(e->w, "");
    cw_close(e->w, "");
    return emit_end(e, arena_printf(e->arena, "turn_%d", d.out),
                    "dy turned over: outputs x samples, zeros where there are none.");
}

static void data_emit_products(struct emitter *e, const struct dense *d)
{
    int panel = plan_panel(e->plan, d->batch_padded);
    struct panels s = product_panels(e->plan, d->batch_padded, panel);
    struct tile t = { .a_row = d->panel, .a_k = 1, .b_k = d->batch_padded, .depth = d->panel, .segments = d->panels,
                      .a_segment = (int64_t)d->in * d->panel, .b_segment = (int64_t)d->panel * d->batch_padded,
                      .c_row = d->batch_padded };
    bool alone = !s.whole || (s.whole == 1 && !s.last_vectors);     /* one loop over the rows is all there is */
    for (int last = 0; last < 2; last++) {
        t.vectors = last ? s.last_vectors : s.vectors;
        int count = last ? t.vectors > 0 : s.whole;
        if (!count)
            continue;
        int rows;
        dense_input_block(e->plan, d, &rows);
        const char *column = last ? arena_printf(e->arena, " + %d", s.whole * panel) : count > 1 ? " + j" : "";
        if (!last && count > 1)
            loop_open(e, "j", 0, count * panel, panel);
        else if (!alone)
            cw_open(e->w, "{");
        cw_line(e->w, "int row = 0;");
        t.rows = rows;
        t.a_ahead = rows * t.a_row;     /* the weights of the next tile */
        cw_open(e->w, "for (; row + %d <= rows; row += %d)", rows, rows);
        cw_line(e->w, "%s(wb + row * %d, turned%s, product + row * %d%s);", emit_tile(e, &t), d->panel, column,
                d->batch_padded, column);
        cw_close(e->w, "");
        t.rows = 1;
        t.a_ahead = 0;
        /* gcc, which knows nothing of `rows`, would warn of the int that passes its end */
        cw_open(e->w, "for (; row < rows; row++)");
        cw_line(e->w, "%s(wb + (size_t)row * %d, turned%s, product + (size_t)row * %d%s);", emit_tile(e, &t), d->panel,
                column, d->batch_padded, column);
        cw_close(e->w, "");
        if (!alone)
            cw_close(e->w, "}");
    }
}

void dense_emit_back(struct emitter *e, const struct dense *d, const struct chain *chain, int block)
{
    int tail = d->in % e->plan->lanes;
    cw_open(e->w, "for (int i = 0; i < n; i++) {");
    cw_line(e->w, "const size_t at = (size_t)i * %d + first;", d->in);
    cw_open(e->w, "for (int r = 0; r < rows; r++)");
    cw_line(e->w, "back[i * %d + r] = product[r * %d + i];", block, d->batch_padded);
    cw_close(e->w, "");
    const char *value = arena_printf(e->arena, "v_load(back + i * %d + r)", block);
    cw_line(e->w, "int r = 0;");
    cw_open(e->w, "for (; r + V_LANES <= rows; r += V_LANES)");
    cw_line(e->w, "v_store(dx + at + r, %s);",
            chain ? chain_apply_at(e, chain, value, "first + r", "at + r", 0) : value);
    cw_close(e->w, "");
    if (tail) {
        cw_open(e->w, "if (r < rows)");
        cw_line(e->w, "v_store_tail(dx + at + r, %s, %d);",
                chain ? chain_apply_at(e, chain, value, "first + r", "at + r", tail) : value, tail);
        cw_close(e->w, "");
    }
    cw_close(e->w, "}");
}

void dense_emit_block(struct emitter *e, const struct dense *d, int block)
{
    if (d->in <= block)
        cw_line(e->w, "const int first = b * %d, rows = %d;", block, d->in);
    else
        cw_line(e->w, "const int first = b * %d, rows = %d - first < %d ? %d - first : %d;", block, d->in, block, d->in,
                block);
}

static const char *data_emit_main(struct emitter *e, const struct step *step)
{
    const struct group *g = step->group;
    const struct node *n = g->main;
    struct dense d = dense_of(e->plan, n);
    const char *real = e->plan->real;
    int tile_rows, block = dense_input_block(e->plan, &d, &tile_rows);
    struct chain chain;
    chain_make(e->plan, g, &chain);
    emit_function(e, "int b, int n, const %s *w, const %s *turned, %s *restrict dx%s, %s *restrict scratch",
                  real, real, real, chain_parameters(e, &chain), real);
    dense_emit_block(e, &d, block);
    cw_line(e->w, "const %s *const wb = w + (size_t)first * %d;", real, d.panel);
    cw_line(e->w, "%s *const product = scratch;  // (inputs, samples)", real);
    cw_line(e->w, "%s *const back = scratch + %d;  // (samples, inputs)", real, block * d.batch_padded);
    data_emit_products(e, &d);
    dense_emit_back(e, &d, g->chain_count ? &chain : NULL, block);
    return emit_end(e, arena_printf(e->arena, "dense_data_grad_%d_to_%d", d.out, d.in), emit_comment(e, step));
}

static const char *data_emit(struct emitter *e, const struct step *step)
{
    return step->part == 0 ? data_emit_turn(e, step) : data_emit_main(e, step);
}

const struct kernel kernel_dense_tile_data_grad = {
    .name = "tile", .op = OP_dense_data_grad, .fuses_chain = true, .applicable = applicable, .cost = data_cost,
    .plan = data_plan, .emit = data_emit, .help = "register tiles with the weights as rows",
};

/* ---- weight gradient: a block is some inputs, for all outputs ----------------------------------------------------- *
 * The sum runs over the samples; x is packed so that the inputs of a block are contiguous, dy into panels.
 *
 * The data gradient takes the same rows of the weights in the same loop.  So they are still in the cache when they may
 * be updated: the gradient of large weights need not be written down, nor they be read again. */

struct dense_weight_block {
    int vectors, rows, inputs;      /* of a tile; inputs in a block */
};

static struct dense_weight_block weight_block(const struct plan *p, const struct dense *d)
{
    struct dense_weight_block b = { .vectors = d->panel / p->lanes };
    b.rows = weight_rows(p, d);
    b.inputs = b.rows * (96 / b.rows);
    int tile_rows, shared = dense_input_block(p, d, &tile_rows);
    if (shared % b.rows == 0)
        b.inputs = shared;
    return b;
}

/* Rows that the sum over the samples has: of samples, or pairs of them. */
static int64_t sum_rows(const struct plan *p, bool pairs)
{
    return pairs ? bf16_pairs_of(p->batch) : p->batch;
}

static double weight_cost_of(const struct plan *p, const struct group *g, bool pairs)
{
    struct dense d = dense_of(p, g->main);
    struct dense_weight_block b = weight_block(p, &d);
    double cycles = (pairs ? product_pairs_cycles : product_cycles)(p, d.out, d.panel, d.in, b.inputs,
                                                                    sum_rows(p, pairs));
    return cycles + dense_stream_cycles(p, &d) + p->target->costs->packed_in_order * d.in * p->batch / p->lanes +
           plan_meeting_cycles(p, 1);
}

static double weight_cost(const struct plan *p, const struct group *g)
{
    return weight_cost_of(p, g, false);
}

static void weight_plan(struct plan *p, struct program *q, struct group *g)
{
    struct dense d = dense_of(p, g->main);
    struct dense_weight_block b = weight_block(p, &d);
    struct step *pack = plan_step(p, q, g, 0, SPLIT_BLOCKS, d.panels, "weight gradient", 0);
    struct step *main = plan_step(p, q, g, 1, SPLIT_BLOCKS, (d.in + b.inputs - 1) / b.inputs, "weight gradient",
                                  dense_flops(p, &d));
    pack->beside = true;
    main->rows_of = g->main->out[0]->param->tensor;
    main->rows = b.inputs;
    const struct tensor *dw = g->main->out[0];
    const struct param *updated = plan_updated_by(p, q, g);
    bool pairs = g->kernel->bf16;
    int64_t panel = d.panel * sum_rows(p, pairs);
    struct buffer *panels = plan_buffer(p, q, arena_printf(p->arena, "%s_dy_%s", dw->name, pairs ? "pairs" : "panels"),
                                        pairs ? "bf16_pair" : p->real, d.panels * panel * p->real_size);
    step_is_told(p, pack, ARGUMENT_BLOCK);
    step_is_told(p, pack, ARGUMENT_SAMPLES);
    step_takes(p, pack, ACCESS_READ, g->main->in[1]);
    step_uses_part(p, pack, ACCESS_WRITE, panels, part_rows(d.panels, panel));
    if (g->companion)
        step_takes_part(p, pack, ACCESS_WRITE, g->companion->out[0], part_runs(d.out, d.panel));
    step_is_told(p, main, ARGUMENT_BLOCK);
    step_is_told(p, main, ARGUMENT_SAMPLES);
    step_takes(p, main, ACCESS_READ, g->main->in[0]);
    step_uses(p, main, ACCESS_READ, panels, TOUCH_ALL);
    step_takes_part(p, main, ACCESS_WRITE, dw, dense_part_of_weights(&d, b.inputs));
    if (updated)
        step_updates(p, main, updated, dense_part_of_weights(&d, b.inputs));
    if (updated && p->update.rule_slots > 0)
        main->prefetch = "the optimizer's state, before an early update";
    step_scratch(p, main, (sum_rows(p, pairs) + (updated ? d.panel : 0)) * b.inputs * p->real_size);
}

/* What block p makes of its panel of dy: rows of samples. */
static void pack_rows(struct emitter *e, const struct dense *d, const char *outputs)
{
    bool rest = d->out % d->panel;
    cw_open(e->w, "for (int i = 0; i < n; i++)");
    cw_open(e->w, "for (int o = 0; o < %d; o++)", d->panel);
    cw_line(e->w, "to[i * %d + o] = %sdy[(size_t)i * %d + p * %d + o]%s;", d->panel,
            rest ? arena_printf(e->arena, "o < %s ? ", outputs) : "", d->out, d->panel, rest ? " : 0" : "");
    cw_close(e->w, "");
    cw_close(e->w, "");
}

/* The same in pairs of neighbouring samples. */
static void pack_pairs(struct emitter *e, const struct dense *d, const char *outputs)
{
    cw_open(e->w, "for (int i = 0; i < n; i += 2) {");
    cw_line(e->w, "const float *const low = dy + (size_t)i * %d + p * %d;", d->out, d->panel);
    cw_line(e->w, "bf16_pair *const row = to + i / 2 * %d;", d->panel);
    cw_line(e->w, "bf16_join(low, i + 1 < n ? low + %d : NULL, row, %s);", d->out, outputs);
    if (d->out % d->panel) {
        cw_open(e->w, "for (int o = %s; o < %d; o++)", outputs, d->panel);
        cw_line(e->w, "row[o] = 0;");
        cw_close(e->w, "");
    }
    cw_close(e->w, "}");
}

/* Block p: panel p of dy, dense and padded with zeros, and the bias gradient of its outputs. */
static const char *weight_emit_pack(struct emitter *e, const struct step *step)
{
    const struct group *g = step->group;
    struct dense d = dense_of(e->plan, g->main);
    const char *real = e->plan->real;
    bool bias = g->companion != NULL, pairs = g->kernel->bf16;
    int rest = d.out % d.panel;
    emit_function(e, "int p, int n, const %s *dy, %s *restrict panels%s", real, pairs ? "bf16_pair" : real,
                  bias ? arena_printf(e->arena, ", %s *restrict db", real) : "");
    cw_line(e->w, "%s *const to = panels + p * %" PRId64 ";", pairs ? "bf16_pair" : real,
            d.panel * sum_rows(e->plan, pairs));
    if (rest && d.panels > 1)
        cw_line(e->w, "const int outputs = p < %d ? %d : %d;", d.panels - 1, d.panel, rest);
    const char *outputs = rest && d.panels > 1 ? "outputs" : arena_printf(e->arena, "%d", rest ? rest : d.panel);
    (pairs ? pack_pairs : pack_rows)(e, &d, outputs);
    if (bias) {
        const char *from = pairs ? arena_printf(e->arena, "dy[(size_t)i * %d + p * %d + o]", d.out, d.panel)
                                 : arena_printf(e->arena, "to[i * %d + o]", d.panel);
        cw_open(e->w, "for (int o = 0; o < %s; o++)", outputs);
        cw_line(e->w, "db[p * %d + o] = 0;", d.panel);
        cw_close(e->w, "");
        cw_open(e->w, "for (int i = 0; i < n; i++)");
        cw_open(e->w, "for (int o = 0; o < %s; o++)", outputs);
        cw_line(e->w, "db[p * %d + o] += %s;", d.panel, from);
        cw_close(e->w, "");
        cw_close(e->w, "");
    }
    const char *how = pairs ? "A panel of dy in pairs of samples" : "A panel of dy, dense";
    return emit_end(e, arena_printf(e->arena, "dense_pack%s_%d", pairs ? "_bf16" : "", d.out),
                    arena_printf(e->arena, bias ? "%s, and its bias gradient." : "%s.", how));
}

/* The rows of x that a block takes, side by side in scratch. */
static void copy_inputs(struct emitter *e, const struct dense *d, const struct dense_weight_block *b, bool pairs)
{
    if (pairs) {
        cw_open(e->w, "for (int i = 0; i < n; i += 2) {");
        cw_line(e->w, "const float *const low = x + (size_t)i * %d + first;", d->in);
        cw_line(e->w, "bf16_join(low, i + 1 < n ? low + %d : NULL, scratch + i / 2 * %d, rows);", d->in, b->inputs);
        cw_close(e->w, "}");
        return;
    }
    cw_open(e->w, "for (int i = 0; i < n; i++)");
    cw_line(e->w, "memcpy(scratch + i * %d, x + (size_t)i * %d + first, sizeof(%s) * (size_t)rows);", b->inputs, d->in,
            e->plan->real);
    cw_close(e->w, "");
}

static const char *weight_emit_main(struct emitter *e, const struct step *step)
{
    const struct group *g = step->group;
    struct dense d = dense_of(e->plan, g->main);
    struct dense_weight_block b = weight_block(e->plan, &d);
    const char *real = e->plan->real;
    bool pairs = g->kernel->bf16;
    int64_t rows = sum_rows(e->plan, pairs), panel_size = d.panel * rows;
    struct tile t = { .rows = b.rows, .vectors = b.vectors, .a_row = 1, .a_k = b.inputs, .b_k = d.panel, .segments = 1,
                      .c_row = d.panel, .pairs = pairs };
    const char *factor = pairs ? "bf16_pair" : real, *depth = pairs ? "(n + 1) / 2" : "n";
    bool updates = step->updates != NULL;
    const char *how = "";
    if (updates)
        how = ", const struct cnn_context *c, const struct rule *early, int64_t number";
    emit_function(e, "int b, int n, const %s *x, const %s *panels, %s *restrict dw%s, %s *restrict scratch", real,
                  factor, real, how, factor);
    cw_line(e->w, "const int first = b * %d, rows = %d - first < %d ? %d - first : %d;", b.inputs, d.in, b.inputs, d.in,
            b.inputs);
    if (updates)
        cw_line(e->w, "%s *const gradient = scratch + %" PRId64 ";", real, rows * b.inputs);
    copy_inputs(e, &d, &b, pairs);
    loop_open(e, "p", 0, d.panels, 1);
    cw_line(e->w, "const %s *const dy = panels + p * %" PRId64 ";", factor, panel_size);
    const char *from = arena_printf(e->arena, "((size_t)p * %d + first) * %d", d.in, d.panel);
    if (updates) {
        cw_line(e->w, "const size_t at = %s;", from);
        cw_line(e->w, "%s *const to = early ? gradient : dw + at;", real);
    } else {
        cw_line(e->w, "%s *const to = dw + %s;", real, from);
    }
    cw_line(e->w, "int r = 0;");
    bool fetch = step->prefetch != NULL;
    cw_open(e->w, "for (; r + %d <= rows; r += %d)%s", b.rows, b.rows, fetch ? " {" : "");
    if (fetch) {
        cw_open(e->w, "if (early)");
        cw_line(e->w, "fetch_state(c, number + (int64_t)at + r * %d, %d);", d.panel, b.rows * d.panel);
        cw_close(e->w, "");
    }
    cw_line(e->w, "%s(scratch + r, dy, to + r * %d, %s);", emit_tile(e, &t), d.panel, depth);
    cw_close(e->w, fetch ? "}" : "");
    if (b.rows > 1 && d.in % b.inputs % b.rows) {
        t.rows = 1;
        cw_open(e->w, "for (; r < rows; r++)");
        cw_line(e->w, "%s(scratch + r, dy, to + r * %d, %s);", emit_tile(e, &t), d.panel, depth);
        cw_close(e->w, "");
    }
    if (updates) {
        cw_open(e->w, "if (early)");
        cw_line(e->w, "update_range(c, early, number + (int64_t)at, (int64_t)rows * %d, to);", d.panel);
        cw_close(e->w, "");
    }
    cw_close(e->w, "}");
    const char *comment = emit_comment(e, step);
    if (updates)
        comment = arena_printf(e->arena, "%s\nThe weights, parameter `number` and those that follow, are updated where "
                               "`early` says how, and the gradient is not kept.", comment);
    return emit_end(e, arena_printf(e->arena, "dense%s_weight_grad_%d_to_%d", pairs ? "_bf16" : "", d.in, d.out),
                    comment);
}

static const char *weight_emit(struct emitter *e, const struct step *step)
{
    return step->part == 0 ? weight_emit_pack(e, step) : weight_emit_main(e, step);
}

const struct kernel kernel_dense_tile_weight_grad = {
    .name = "tile", .op = OP_dense_weight_grad, .applicable = applicable, .cost = weight_cost, .plan = weight_plan,
    .emit = weight_emit, .help = "register tiles over the samples",
};

static bool several_samples(const struct plan *p, const struct group *g)
{
    (void)g;
    return p->batch > 1;
}

static double pairs_weight_cost(const struct plan *p, const struct group *g)
{
    return weight_cost_of(p, g, true);
}

const struct kernel kernel_dense_bf16_weight_grad = {
    .name = "bf16", .op = OP_dense_weight_grad, .bf16 = true, .applicable = several_samples, .cost = pairs_weight_cost,
    .plan = weight_plan, .emit = weight_emit,
    .help = "register tiles over pairs of samples in bfloat16, summed in float",
};
