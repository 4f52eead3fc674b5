/* locally_connected2d_kernels.c - layers whose filters are not shared: forward, data gradient, weight gradient.
 *
 * Every weight serves a sample once, so a pass costs what it costs to bring the weights from memory, unless the batch
 * is large.  All three passes therefore walk over positions and take all samples of the batch at each: a weight is
 * read (its gradient written) once a batch.  The register tile does the rest:
 *     forward          rows: samples       columns: outputs     sum over the window
 *     data gradient    rows: inputs        columns: samples     sum over windows that hold the pixel, and outputs
 *     weight gradient  rows: the window    columns: outputs     sum over samples
 * A block of the data gradient is a pixel of x, not a position of y: pixels share no weights and no results, so blocks
 * are independent without partial sums. */
#include <inttypes.h>

#include "kernels/loops.h"
#include "kernels/product.h"

struct local {
    int c, h, w;                /* of x */
    int o, oh, ow;              /* of y */
    struct window window;
    int run;                    /* KW C: elements that lie together in a row of the window */
    int depth;                  /* KH KW C */
    int stored;                 /* from one input of the window to the next in a panel of weights */
    int panels;                 /* stored panels of a position */
    int columns;                /* of a register tile */
    int64_t x_sample, y_sample;
    int batch_padded;           /* samples rounded up to whole vectors */
    const struct param_place *weight;
};

static struct local local_of(const struct plan *p, const struct node *n)
{
    bool weight = n->op == OP_locally_connected2d_weight_grad, data = n->op == OP_locally_connected2d_data_grad;
    const struct tensor *x = data ? n->out[0] : n->in[0], *y = weight ? n->in[1] : data ? n->in[0] : n->out[0];
    const struct tensor *w = weight ? n->out[0] : n->in[1];
    struct local l = { .c = x->shape.c, .h = x->shape.h, .w = x->shape.w, .o = y->shape.c, .oh = y->shape.h,
                       .ow = y->shape.w, .window = n->attr.window, .weight = plan_param(p, w) };
    l.run = l.window.kw * l.c;
    l.depth = l.window.kh * l.run;
    l.stored = l.weight->panel;
    l.panels = l.o / l.stored;
    l.columns = plan_columns(p, l.o);
    l.x_sample = tensor_elements(x);
    l.y_sample = tensor_elements(y);
    l.batch_padded = (int)plan_round(p->batch, p->lanes);
    return l;
}

static int positions(const struct local *l)
{
    return l->oh * l->ow;
}

static int64_t position_weights(const struct local *l)
{
    return (int64_t)l->depth * l->o;
}

/* Weights from one column of tiles to the next. */
static int64_t panel_stride(const struct local *l)
{
    return l->panels > 1 ? (int64_t)l->depth * l->stored : l->columns;
}

/* " + 384", nothing for 0. */
static const char *plus(struct emitter *e, int64_t offset)
{
    return offset ? arena_printf(e->arena, " + %" PRId64, offset) : "";
}

/* " + p * 576" where p is a loop's variable, else " + 1152" for its number. */
static const char *plus_panel(struct emitter *e, const char *p, int number, int64_t stride)
{
    return p ? arena_printf(e->arena, " + %s * %" PRId64, p, stride) : plus(e, number * stride);
}

static int64_t local_flops(const struct plan *p, const struct local *l)
{
    return 2 * position_weights(l) * positions(l) * p->batch;
}

/* The sum of what a core must compute, or the weights' way from memory, whichever takes longer. */
static double longer(const struct plan *p, const struct local *l, double cycles)
{
    double stream = (double)l->weight->stored * p->real_size / p->target->memory_bytes_per_cycle;
    return cycles > stream ? cycles : stream;
}

/* A chain with numbers of a channel and sample cannot be applied to rows that are samples. */
static bool fused_applicable(const struct plan *p, const struct group *g)
{
    return !chain_is_by_sample(p, g);
}

static bool plain_applicable(const struct plan *p, const struct group *g)
{
    return chain_is_by_sample(p, g);
}

/* Writes the declaration of `xb`: the window of position b in sample 0. */
static void emit_window_pointer(struct emitter *e, const struct local *l)
{
    cw_line(e->w, "const %s *const xb = x + (b / %d * %d + b %% %d * %d);", e->plan->real, l->ow,
            l->window.stride_h * l->w * l->c, l->ow, l->window.stride_w * l->c);
}

/* ---- forward: a block is a position ------------------------------------------------------------------------------ */

static double forward_cost(const struct plan *p, const struct group *g)
{
    struct local l = local_of(p, g->main);
    double cycles = product_cycles(p, l.o, l.columns, p->batch, p->batch, l.depth);
    return longer(p, &l, positions(&l) * cycles) + group_chain_cycles(p, g);
}

static void forward_plan(struct plan *p, struct program *q, struct group *g)
{
    struct local l = local_of(p, g->main);
    struct step *s = plan_step(p, q, g, 0, SPLIT_BLOCKS, positions(&l), "forward", local_flops(p, &l));
    step_is_told(p, s, ARGUMENT_BLOCK);
    step_is_told(p, s, ARGUMENT_SAMPLES);
    for (int i = 0; i < g->main->in_count; i++)         /* x, weights and perhaps a bias */
        step_takes(p, s, ACCESS_READ, g->main->in[i]);
    step_takes_part(p, s, ACCESS_WRITE, g->result, part_columns(p, l.y_sample, l.o));
    step_takes_chain(p, s);
}

/* Tiles of `rows` samples each, as long as they end within `limit` (C text). */
static void forward_rows(struct emitter *e, const struct local *l, struct tile t, int rows, const char *limit,
                         const char *p, int number)
{
    const char *column = plus_panel(e, p, number, l->columns);
    const char *at = arena_printf(e->arena, "(int64_t)i * %" PRId64 " + b * %d%s", l->y_sample, l->o, column);
    /* " + 32" -> "32" */
    const char *col = *column ? column + 3 : "0";
    t.rows = rows;
    cw_open(e->w, "for (; i + %d <= %s; i += %d)", rows, limit, rows);
    cw_line(e->w, "%s(xb + (size_t)i * %" PRId64 ", wb%s, yb + (size_t)i * %" PRId64 "%s%s);", emit_tile(e, &t),
            l->x_sample, plus_panel(e, p, number, panel_stride(l)), l->y_sample, column,
            t.chain ? chain_pass(e, t.chain, col, at) : "");
    cw_close(e->w, "");
}

/* Samples whose distance is a multiple of 4 KiB fall into the same set of a level-1 cache: then no more rows than it
 * has ways. */
static int forward_rows_max(const struct plan *p, const struct local *l, int vectors)
{
    int most = tile_rows_max(p, vectors);
    return l->x_sample * p->real_size % 4096 == 0 && most > 8 ? 8 : most;
}

/* A whole batch is cut evenly; what a smaller one leaves over goes one by one. */
static void forward_panel(struct emitter *e, const struct local *l, struct tile t, const char *p, int number)
{
    struct row_split s = split_rows(e->plan->batch, forward_rows_max(e->plan, l, t.vectors));
    const char *limit =
        s.small_count ? arena_printf(e->arena, "(n < %d ? n : %d)", s.large * s.large_count, s.large * s.large_count)
                      : "n";
    cw_line(e->w, "int i = 0;");
    forward_rows(e, l, t, s.large, limit, p, number);
    if (s.small_count && s.large > 2)
        forward_rows(e, l, t, s.large - 1, "n", p, number);
    if (s.large > 1)
        forward_rows(e, l, t, 1, "n", p, number);
}

static void forward_panels(struct emitter *e, const struct local *l, const struct chain *chain, bool bias)
{
    struct panels s = product_panels(e->plan, l->o, l->columns);
    struct tile t = { .vectors = s.vectors, .a_row = l->x_sample, .a_k = 1, .b_k = l->stored, .depth = l->run,
                      .segments = l->window.kh, .a_segment = (int64_t)l->w * l->c,
                      .b_segment = (int64_t)l->run * l->stored, .c_row = l->y_sample, .accumulate = bias,
                      .chain = chain };
    if (s.whole > 1)
        loop_open(e, "p", 0, s.whole, 1);
    else if (s.whole)
        cw_open(e->w, "{");
    if (s.whole) {
        forward_panel(e, l, t, s.whole > 1 ? "p" : NULL, 0);
        cw_close(e->w, "}");
    }
    if (s.last_vectors) {
        t.vectors = s.last_vectors;
        t.tail = s.last_tail;
        t.b_tail = true;
        cw_open(e->w, "{");
        forward_panel(e, l, t, NULL, s.whole);
        cw_close(e->w, "}");
    }
}

static const char *forward_emit(struct emitter *e, const struct step *step)
{
    const struct group *g = step->group;
    const struct node *n = g->main;
    struct local l = local_of(e->plan, n);
    const char *real = e->plan->real;
    const struct tensor *bias = n->in_count > 2 ? n->in[2] : NULL;
    struct chain chain;
    chain_make(e->plan, g, &chain);
    emit_function(e, "int b, int n, const %s *x, const %s *w, %s%s *restrict y%s",
                  real, real, bias ? arena_printf(e->arena, "const %s *position_bias, ", real) : "", real,
                  chain_parameters(e, &chain));
    emit_window_pointer(e, &l);
    cw_line(e->w, "const %s *const wb = w + (size_t)b * %" PRId64 ";", real, position_weights(&l));
    cw_line(e->w, "%s *const yb = y + (size_t)b * %d;", real, l.o);
    if (bias) {
        cw_open(e->w, "for (int i = 0; i < n; i++)");
        cw_line(e->w, "memcpy(yb + (size_t)i * %" PRId64 ", position_bias + (size_t)b * %d, sizeof(%s) * %d);",
                l.y_sample, l.o, real, l.o);
        cw_close(e->w, "");
    }
    forward_panels(e, &l, g->chain_count ? &chain : NULL, bias != NULL);
    return emit_end(e, arena_printf(e->arena, "local%dx%d_%d_to_%d", l.window.kh, l.window.kw, l.c, l.o),
                    emit_comment(e, step));
}

const struct kernel kernel_locally_connected2d = {
    .name = "positions", .op = OP_locally_connected2d, .fuses_chain = true, .applicable = fused_applicable,
    .cost = forward_cost, .plan = forward_plan, .emit = forward_emit,
    .help = "register tiles, all samples at each position",
};

const struct kernel kernel_locally_connected2d_plain = {
    .name = "plain", .op = OP_locally_connected2d, .applicable = plain_applicable, .cost = forward_cost,
    .plan = forward_plan, .emit = forward_emit, .help = "the same without what follows it",
};

/* ---- data gradient: a block is a pixel of x ----------------------------------------------------------------------- *
 * The weights of an input are the rows of A, B is dy turned over (positions x outputs x samples).  The sums of a pixel
 * (inputs x samples) stay in scratch over all windows that hold it, and are turned back at the end. */

static double data_cost(const struct plan *p, const struct group *g)
{
    struct local l = local_of(p, g->main);
    double cycles = product_cycles(p, l.batch_padded, plan_columns(p, l.batch_padded), l.c, l.c, l.o);
    double turn = p->target->costs->turned_block * (double)(l.x_sample + l.y_sample) * l.batch_padded;
    return longer(p, &l, cycles * positions(&l) * l.window.kh * l.window.kw) + turn + group_chain_cycles(p, g);
}

static void data_plan(struct plan *p, struct program *q, struct group *g)
{
    struct local l = local_of(p, g->main);
    struct step *turn = plan_step(p, q, g, 0, SPLIT_BLOCKS, positions(&l), "data gradient", 0);
    struct step *main = plan_step(p, q, g, 1, SPLIT_BLOCKS, (int64_t)l.h * l.w, "data gradient", local_flops(p, &l));
    /* named after the weights: two layers may get the same dy */
    struct buffer *turned = plan_buffer(p, q, arena_printf(p->arena, "d_%s_dy_turned", g->main->in[1]->name), p->real,
                                        l.y_sample * l.batch_padded * p->real_size);
    step_is_told(p, turn, ARGUMENT_BLOCK);
    step_is_told(p, turn, ARGUMENT_SAMPLES);
    step_takes(p, turn, ACCESS_READ, g->main->in[0]);
    step_uses_part(p, turn, ACCESS_WRITE, turned, part_rows(positions(&l), (int64_t)l.o * l.batch_padded));
    step_is_told(p, main, ARGUMENT_BLOCK);
    step_is_told(p, main, ARGUMENT_SAMPLES);
    step_takes(p, main, ACCESS_READ, g->main->in[1]);
    step_uses(p, main, ACCESS_READ, turned, TOUCH_ALL);
    step_takes_part(p, main, ACCESS_WRITE, g->result, part_columns(p, l.x_sample, l.c));
    step_takes_chain(p, main);
    step_scratch(p, main, ((int64_t)l.c * l.batch_padded + plan_round(l.c, p->lanes)) * p->real_size);
    main->prefetch = "the weights of the next window";
}

static const char *data_emit_turn(struct emitter *e, const struct step *step)
{
    const struct node *n = step->group->main;
    struct local l = local_of(e->plan, n);
    const char *real = e->plan->real;
    emit_function(e, "int b, int n, const %s *dy, %s *restrict turned", real, real);
    cw_line(e->w, "%s *const to = turned + (size_t)b * %" PRId64 ";", real, (int64_t)l.o * l.batch_padded);
    cw_open(e->w, "for (int i = 0; i < n; i++) {");
    cw_line(e->w, "const %s *const from = dy + (size_t)i * %" PRId64 " + (size_t)b * %d;", real, l.y_sample, l.o);
    cw_open(e->w, "for (int o = 0; o < %d; o++)", l.o);
    cw_line(e->w, "to[o * %d + i] = from[o];", l.batch_padded);
    cw_close(e->w, "");
    cw_close(e->w, "}");
    cw_open(e->w, "for (int o = 0; n < %d && o < %d; o++)", l.batch_padded, l.o);
    cw_line(e->w, "memset(to + o * %d + n, 0, sizeof(%s) * (size_t)(%d - n));", l.batch_padded, real, l.batch_padded);
    cw_close(e->w, "");
    return emit_end(e, arena_printf(e->arena, "turn_local_%d", l.o),
                    "dy of a position turned over: outputs x samples, zeros where there are none.");
}

/* Asks for the weights of `rows` inputs from `ahead` on: a tile walks down as many lines of memory as it has rows,
 * which no processor foresees. */
static void data_emit_prefetch(struct emitter *e, const struct local *l, int rows)
{
    const char *at = "";
    if (l->panels > 1) {
        cw_open(e->w, "for (int q = 0; q < %d; q++)", l->panels);
        at = arena_printf(e->arena, " + q * %d", l->depth * l->stored);
    }
    cw_open(e->w, "for (int m = 0; m < %d; m += %d)", rows * l->stored, 64 / e->plan->real_size);
    cw_line(e->w, "v_prefetch(ahead%s + m);", at);
    cw_close(e->w, "");
    if (l->panels > 1)
        cw_close(e->w, "");
}

/* Tiles of t.rows inputs from input `first` on, against one panel of samples. */
static void data_emit_tiles(struct emitter *e, const struct local *l, struct tile t, int first, int count,
                            const char *j)
{
    loop_open(e, "k", first, first + count * t.rows, t.rows);
    cw_line(e->w, "const %s *const ahead = k < %d ? wb + (k + %d) * %d : next;", e->plan->real, l->c - t.rows, t.rows,
            l->stored);
    data_emit_prefetch(e, l, t.rows);
    cw_line(e->w, "%s(wb + k * %d, dy%s, product + k * %d%s);", emit_tile(e, &t), l->stored, j, l->batch_padded, j);
    cw_close(e->w, "}");
}

/* product += the weights at `wb` times `dy`: all inputs of a pixel, all samples. */
static void data_emit_products(struct emitter *e, const struct local *l)
{
    int columns = plan_columns(e->plan, l->batch_padded);
    struct panels s = product_panels(e->plan, l->batch_padded, columns);
    struct tile t = { .a_row = l->stored, .a_k = 1, .b_k = l->batch_padded, .depth = l->stored, .segments = l->panels,
                      .a_segment = (int64_t)l->depth * l->stored, .b_segment = (int64_t)l->stored * l->batch_padded,
                      .c_row = l->batch_padded, .accumulate = true };
    for (int last = 0; last < 2; last++) {
        t.vectors = last ? s.last_vectors : s.vectors;
        if (last ? !t.vectors : !s.whole)
            continue;
        struct row_split split = split_rows(l->c, tile_rows_max(e->plan, t.vectors));
        const char *j = last ? plus(e, (int64_t)s.whole * columns) : s.whole > 1 ? " + j" : "";
        if (!last && s.whole > 1)
            loop_open(e, "j", 0, s.whole * columns, columns);
        t.rows = split.large;
        data_emit_tiles(e, l, t, 0, split.large_count, j);
        t.rows = split.large - 1;
        if (split.small_count)
            data_emit_tiles(e, l, t, split.large * split.large_count, split.small_count, j);
        if (!last && s.whole > 1)
            cw_close(e->w, "}");
    }
}

/* Lists the windows that hold the pixel (r, c), by the tap that lies on it. */
static void data_emit_windows(struct emitter *e, const struct local *l)
{
    const struct window *k = &l->window;
    const char *real = e->plan->real;
    cw_line(e->w, "const %s *slab[%d], *slab_dy[%d];  // the windows that hold the pixel: weights, dy", real,
            k->kh * k->kw + 1, k->kh * k->kw);
    cw_line(e->w, "int slabs = 0;");
    cw_open(e->w, "for (int kr = 0; kr < %d; kr++)", k->kh);
    loop_open(e, "kc", 0, k->kw, 1);
    cw_line(e->w, "const int top = r - kr, left = c - kc;");
    const char *whole = "";
    if (k->stride_h > 1)
        whole = arena_printf(e->arena, " || top %% %d", k->stride_h);
    if (k->stride_w > 1)
        whole = arena_printf(e->arena, "%s || left %% %d", whole, k->stride_w);
    cw_open(e->w, "if (top < 0 || left < 0 || top > %d || left > %d%s)", (l->oh - 1) * k->stride_h,
            (l->ow - 1) * k->stride_w, whole);
    cw_line(e->w, "continue;");
    cw_close(e->w, "");
    const char *row = k->stride_h > 1 ? arena_printf(e->arena, "top / %d", k->stride_h) : "top";
    const char *column = k->stride_w > 1 ? arena_printf(e->arena, "left / %d", k->stride_w) : "left";
    cw_line(e->w, "const size_t position = (size_t)(%s * %d + %s);", row, l->ow, column);
    cw_line(e->w, "slab[slabs] = w + position * %" PRId64 " + (kr * %d + kc) * %d;", position_weights(l), k->kw,
            l->c * l->stored);
    cw_line(e->w, "slab_dy[slabs++] = turned + position * %" PRId64 ";", (int64_t)l->o * l->batch_padded);
    cw_close(e->w, "}");
    cw_close(e->w, "");
    cw_line(e->w, "slab[slabs] = w;");
}

/* The sums of a sample, turned back, through the chain into dx. */
static void data_emit_store(struct emitter *e, const struct local *l, const struct chain *chain)
{
    int tail = l->c % e->plan->lanes;
    cw_open(e->w, "for (int i = 0; i < n; i++) {");
    cw_line(e->w, "const int64_t at = (int64_t)i * %" PRId64 " + b * %d;", l->x_sample, l->c);
    cw_open(e->w, "for (int j = 0; j < %d; j++)", l->c);
    cw_line(e->w, "back[j] = product[j * %d + i];", l->batch_padded);
    cw_close(e->w, "");
    for (int last = 0; last < 2; last++) {
        int whole = l->c - tail;
        if (last ? !tail : !whole)
            continue;
        const char *j = last ? arena_printf(e->arena, "%d", whole) : "j";
        const char *value = text_load(e, "back", j, 0);
        const char *at = text_plus(e, "at", j);
        if (chain)
            value = chain_apply_at(e, chain, value, j, at, last ? tail : 0);
        if (!last)
            cw_open(e->w, "for (int j = 0; j < %d; j += V_LANES)", whole);
        line_store(e, "dx", at, value, last ? tail : 0);
        if (!last)
            cw_close(e->w, "");
    }
    cw_close(e->w, "}");
}

static const char *data_emit_main(struct emitter *e, const struct step *step)
{
    const struct group *g = step->group;
    const struct node *n = g->main;
    struct local l = local_of(e->plan, n);
    const char *real = e->plan->real;
    struct chain chain;
    chain_make(e->plan, g, &chain);
    emit_function(e, "int b, int n, const %s *w, const %s *turned, %s *restrict dx%s, %s *restrict scratch",
                  real, real, real, chain_parameters(e, &chain), real);
    cw_line(e->w, "const int r = b / %d, c = b %% %d;", l.w, l.w);
    cw_line(e->w, "%s *const product = scratch;  // (inputs, samples)", real);
    cw_line(e->w, "%s *const back = scratch + %d;  // the inputs of a sample", real, l.c * l.batch_padded);
    cw_line(e->w, "memset(product, 0, sizeof(%s) * %d);", real, l.c * l.batch_padded);
    data_emit_windows(e, &l);
    cw_open(e->w, "for (int s = 0; s < slabs; s++) {");
    cw_line(e->w, "const %s *const wb = slab[s], *const next = slab[s + 1], *const dy = slab_dy[s];", real);
    data_emit_products(e, &l);
    cw_close(e->w, "}");
    data_emit_store(e, &l, g->chain_count ? &chain : NULL);
    return emit_end(e, arena_printf(e->arena, "local%dx%d_data_grad_%d_to_%d", l.window.kh, l.window.kw, l.o, l.c),
                    emit_comment(e, step));
}

static const char *data_emit(struct emitter *e, const struct step *step)
{
    return step->part == 0 ? data_emit_turn(e, step) : data_emit_main(e, step);
}

const struct kernel kernel_locally_connected2d_data_grad = {
    .name = "positions", .op = OP_locally_connected2d_data_grad, .fuses_chain = true, .applicable = fused_applicable,
    .cost = data_cost, .plan = data_plan, .emit = data_emit,
    .help = "register tiles, all samples at each pixel",
};

const struct kernel kernel_locally_connected2d_data_grad_plain = {
    .name = "plain", .op = OP_locally_connected2d_data_grad, .applicable = plain_applicable, .cost = data_cost,
    .plan = data_plan, .emit = data_emit, .help = "the same without what follows it",
};

/* ---- weight gradient: a block is a position ----------------------------------------------------------------------- *
 * The windows of all samples are packed first: their rows lie in as many pages as there are samples, and often in the
 * same set of a cache. */

/* Elements from sample to sample: never a multiple of 512 bytes, so that the samples spread over the cache's sets. */
static int packed_stride(const struct plan *p, const struct local *l)
{
    int stride = (int)plan_round(l->depth, p->lanes);
    return stride * p->real_size % 512 ? stride : stride + p->lanes;
}

/* Within a loop over samples i: one window from `xb`, that of sample 0 in x, to `windows`. */
static void emit_pack_window(struct emitter *e, const struct local *l)
{
    int rows = l->window.kh;
    cw_line(e->w, "const %s *const from = xb + (size_t)i * %" PRId64 ";", e->plan->real, l->x_sample);
    if (rows > 1)
        cw_open(e->w, "for (int k = 0; k < %d; k++)", rows);
    cw_line(e->w, "memcpy(windows + i * %d%s, from%s, sizeof(%s) * %d);", packed_stride(e->plan, l),
            rows > 1 ? arena_printf(e->arena, " + k * %d", l->run) : "",
            rows > 1 ? arena_printf(e->arena, " + k * %d", l->w * l->c) : "", e->plan->real, l->run);
    if (rows > 1)
        cw_close(e->w, "");
}

static int outputs_padded(const struct plan *p, const struct local *l)
{
    return (int)plan_round(l->o, p->lanes);
}

static double weight_cost(const struct plan *p, const struct group *g)
{
    struct local l = local_of(p, g->main);
    double cycles = product_cycles(p, l.o, l.columns, l.depth, l.depth, p->batch);
    double pack = p->target->costs->packed * (l.depth + l.o) * p->batch / p->lanes;
    return longer(p, &l, positions(&l) * (cycles + pack));
}

static void weight_plan(struct plan *p, struct program *q, struct group *g)
{
    struct local l = local_of(p, g->main);
    const struct node *n = g->main;
    struct step *s = plan_step(p, q, g, 0, SPLIT_BLOCKS, positions(&l), "weight gradient", local_flops(p, &l));
    step_is_told(p, s, ARGUMENT_BLOCK);
    step_is_told(p, s, ARGUMENT_SAMPLES);
    step_takes(p, s, ACCESS_READ, n->in[0]);
    step_takes(p, s, ACCESS_READ, n->in[1]);
    step_takes_part(p, s, ACCESS_WRITE, n->out[0], part_rows(positions(&l), position_weights(&l)));
    if (n->out_count > 1)
        step_takes_part(p, s, ACCESS_WRITE, n->out[1], part_rows(positions(&l), l.o));
    step_scratch(p, s, ((int64_t)packed_stride(p, &l) + outputs_padded(p, &l)) * p->batch * p->real_size);
}

static void weight_emit_pack(struct emitter *e, const struct local *l)
{
    const char *real = e->plan->real;
    int outputs = outputs_padded(e->plan, l);
    cw_open(e->w, "for (int i = 0; i < n; i++) {");
    emit_pack_window(e, l);
    cw_line(e->w, "memcpy(dys + i * %d, dy + (size_t)i * %" PRId64 " + (size_t)b * %d, sizeof(%s) * %d);", outputs,
            l->y_sample, l->o, real, l->o);
    if (outputs != l->o)
        cw_line(e->w, "memset(dys + i * %d + %d, 0, sizeof(%s) * %d);", outputs, l->o, real, outputs - l->o);
    cw_close(e->w, "}");
}

static void weight_emit_bias(struct emitter *e, const struct local *l)
{
    int outputs = outputs_padded(e->plan, l);
    loop_open_vectors(e, "o", l->o);
    cw_line(e->w, "v sum = v_zero();");
    cw_open(e->w, "for (int i = 0; i < n; i++)");
    cw_line(e->w, "sum = v_add(sum, v_load(dys + i * %d + o));", outputs);
    cw_close(e->w, "");
    if (outputs == l->o) {
        cw_line(e->w, "v_store(db + (size_t)b * %d + o, sum);", l->o);
    } else {
        cw_open(e->w, "if (o < %d)", outputs - e->plan->lanes);
        cw_line(e->w, "v_store(db + (size_t)b * %d + o, sum);", l->o);
        cw_middle(e->w, "else");
        cw_line(e->w, "v_store_tail(db + (size_t)b * %d + o, sum, %d);", l->o, l->o % e->plan->lanes);
        cw_close(e->w, "");
    }
    cw_close(e->w, "}");
}

/* Tiles of the whole window against one panel of outputs. */
static void weight_emit_panel(struct emitter *e, const struct local *l, struct tile t, const char *p, int number)
{
    struct row_split s = split_rows(l->depth, tile_rows_max(e->plan, t.vectors));
    const char *b = plus_panel(e, p, number, l->columns), *c = plus_panel(e, p, number, panel_stride(l));
    int first = 0;
    for (int small = 0; small < 2; small++) {
        int count = small ? s.small_count : s.large_count;
        if (!count)
            continue;
        t.rows = small ? s.large - 1 : s.large;
        const char *tile = emit_tile(e, &t);
        const char *a = plus(e, first), *to = plus(e, (int64_t)first * l->stored);
        if (count > 1) {
            cw_open(e->w, "for (int t = 0; t < %d; t++)", count);
            a = arena_printf(e->arena, "%s + t * %d", a, t.rows);
            to = arena_printf(e->arena, "%s + t * %d", to, t.rows * l->stored);
        }
        cw_line(e->w, "%s(windows%s, dys%s, dwb%s%s, n);", tile, a, b, c, to);
        if (count > 1)
            cw_close(e->w, "");
        first += count * t.rows;
    }
}

static const char *weight_emit(struct emitter *e, const struct step *step)
{
    const struct group *g = step->group;
    const struct node *n = g->main;
    struct local l = local_of(e->plan, n);
    const char *real = e->plan->real;
    bool bias = n->out_count > 1;
    struct panels s = product_panels(e->plan, l.o, l.columns);
    struct tile t = { .vectors = s.vectors, .a_row = 1, .a_k = packed_stride(e->plan, &l),
                      .b_k = outputs_padded(e->plan, &l), .segments = 1, .c_row = l.stored };
    emit_function(e, "int b, int n, const %s *x, const %s *dy, %s *restrict dw, %s%s *restrict scratch",
                  real, real, real, bias ? arena_printf(e->arena, "%s *restrict db, ", real) : "", real);
    emit_window_pointer(e, &l);
    cw_line(e->w, "%s *const dwb = dw + (size_t)b * %" PRId64 ";", real, position_weights(&l));
    cw_line(e->w, "%s *const windows = scratch;", real);
    cw_line(e->w, "%s *const dys = scratch + %" PRId64 ";", real, (int64_t)packed_stride(e->plan, &l) * e->plan->batch);
    weight_emit_pack(e, &l);
    if (bias)
        weight_emit_bias(e, &l);
    if (s.whole > 1)
        loop_open(e, "p", 0, s.whole, 1);
    if (s.whole)
        weight_emit_panel(e, &l, t, s.whole > 1 ? "p" : NULL, 0);
    if (s.whole > 1)
        cw_close(e->w, "}");
    if (s.last_vectors) {
        t.vectors = s.last_vectors;
        t.tail = s.last_tail;
        weight_emit_panel(e, &l, t, NULL, s.whole);
    }
    return emit_end(e, arena_printf(e->arena, "local%dx%d_weight_grad_%d_to_%d", l.window.kh, l.window.kw, l.c, l.o),
                    emit_comment(e, step));
}

const struct kernel kernel_locally_connected2d_weight_grad = {
    .name = "positions", .op = OP_locally_connected2d_weight_grad, .applicable = always_applicable, .cost = weight_cost,
    .plan = weight_plan, .emit = weight_emit, .help = "register tiles over the samples, at each position",
};

/* ---- gradient of the bias alone ---------------------------------------------------------------------------------- */

static double bias_cost(const struct plan *p, const struct group *g)
{
    return pass_cycles(p, g->main->in[0], 1, 1);
}

static void bias_plan(struct plan *p, struct program *q, struct group *g)
{
    const struct tensor *dy = g->main->in[0];
    struct step *s = plan_step(p, q, g, 0, SPLIT_BLOCKS, dy->shape.h, "weight gradient", group_flops(p, g));
    step_is_told(p, s, ARGUMENT_BLOCK);
    step_is_told(p, s, ARGUMENT_SAMPLES);
    step_takes(p, s, ACCESS_READ, dy);
    step_takes_part(p, s, ACCESS_WRITE, g->main->out[0],
                    part_rows(dy->shape.h, (int64_t)dy->shape.w * dy->shape.c));
}

static void bias_emit_sum(struct emitter *e, int64_t sample, int tail)
{
    cw_line(e->w, "v sum = v_zero();");
    cw_open(e->w, "for (int i = 0; i < n; i++)");
    cw_line(e->w, "sum = v_add(sum, %s);",
            text_load(e, "row", text_printf(e, "(size_t)i * %" PRId64 " + o", sample), tail));
    cw_close(e->w, "");
    line_store(e, "to", "o", "sum", tail);
}

/* A row of positions. */
static const char *bias_emit(struct emitter *e, const struct step *s)
{
    const struct tensor *dy = s->group->main->in[0];
    const char *real = e->plan->real;
    int64_t numbers = (int64_t)dy->shape.w * dy->shape.c, whole = numbers - numbers % e->plan->lanes;
    emit_function(e, "int b, int n, const %s *dy, %s *restrict db", real, real);
    cw_line(e->w, "const %s *const row = dy + (size_t)b * %" PRId64 ";", real, numbers);
    cw_line(e->w, "%s *const to = db + (size_t)b * %" PRId64 ";", real, numbers);
    if (whole) {
        loop_open(e, "o", 0, whole, e->plan->lanes);
        bias_emit_sum(e, tensor_elements(dy), 0);
        cw_close(e->w, "}");
    }
    if (whole < numbers) {
        cw_line(e->w, "const int o = %" PRId64 ";", whole);
        bias_emit_sum(e, tensor_elements(dy), (int)(numbers - whole));
    }
    return emit_end(e, text_printf(e, "local_bias_grad_%s", text_shape(e, dy->shape)), emit_comment(e, s));
}

const struct kernel kernel_locally_connected2d_bias_grad = {
    .name = "positions", .op = OP_locally_connected2d_bias_grad, .applicable = always_applicable, .cost = bias_cost,
    .plan = bias_plan, .emit = bias_emit, .help = "sums over the samples, a row of positions a block",
};
