/* dense_images.c - dense layers whose weights stay in the second-level cache: forward and data gradient some images at
 * a time, in the loop of their neighbours, so that no thread waits for another between a layer and the next.
 *
 * A call takes as many images as a vector has lanes.  Forward they are the rows of a product whose columns are the
 * outputs, as of a 1x1 convolution.  For the data gradient dy is put together, outputs x images, and the weights are
 * read as they lie: rows of the tile are inputs.  The gradient of the weights is a step of blocks that may wait until
 * all images are through: it reads x and dy of the whole batch, which are small beside the caches too. */
#include <inttypes.h>
#include <string.h>

#include "kernels/product.h"
#include "kernels/together.h"

struct dense {
    int in, out, panel, panels;
    const struct param_place *weight;
};

static struct dense dense_of(const struct plan *p, const struct node *n)
{
    const struct tensor *w = n->op == OP_dense_weight_grad ? n->out[0] : n->in[1];
    struct dense d = { .weight = plan_param(p, w) };
    d.in = param_extent(w->param, CNN_AXIS_IN);
    d.out = param_extent(w->param, CNN_AXIS_OUT);
    d.panel = d.weight->panel;
    d.panels = (d.out + d.panel - 1) / d.panel;
    return d;
}

static int64_t dense_flops(const struct plan *p, const struct dense *d)
{
    return 2 * (int64_t)d->in * d->out * p->batch;
}

/* In training, where batches are full but for the last.  Whole calls, and several; the weights within half of the
 * second-level cache, x and dy of the batch within all of it. */
static bool applicable(const struct plan *p, const struct group *g)
{
    struct dense d = dense_of(p, g->main);
    double weights = (double)d.weight->stored * p->real_size;
    double maps = (double)p->batch * (d.in + d.out) * p->real_size;
    return g->training && p->batch % p->lanes == 0 && p->batch / p->lanes >= 2 && weights <= p->target->l2_bytes / 2 &&
           maps <= p->target->l2_bytes && (!g->chain_count || !chain_is_by_sample(p, g));
}

/* Calls so few that a few threads cannot share them are worth it only where other steps have no more of them: elsewhere
 * this is there to be asked for, and never the cheapest. */
static double few_calls(const struct plan *p, const struct group *g)
{
    enum { CALLS = 4, NEVER = 1000 };
    return p->batch / p->lanes < CALLS && !plan_has_together(g->program) ? NEVER : 1;
}

/* The weights come from the second-level cache at each call. */
static double stream_cycles(const struct plan *p, const struct dense *d)
{
    return (double)d->weight->stored * p->real_size / p->target->costs->second_rate / 2 * p->batch / p->lanes;
}

static double larger(double a, double b)
{
    return a > b ? a : b;
}

/* ---- forward ----------------------------------------------------------------------------------------------------- */

static double forward_cost(const struct plan *p, const struct group *g)
{
    struct dense d = dense_of(p, g->main);
    double cycles = product_cycles(p, d.out, d.panel, p->batch, p->lanes, d.in);
    return few_calls(p, g) * (larger(cycles, stream_cycles(p, &d)) + group_chain_cycles(p, g));
}

static void forward_plan(struct plan *p, struct program *q, struct group *g)
{
    struct dense d = dense_of(p, g->main);
    struct step *s = plan_step(p, q, g, 0, SPLIT_IMAGES, 0, "forward", dense_flops(p, &d));
    s->images = p->lanes;
    s->thin = true;
    step_takes(p, s, ACCESS_READ, g->main->in[0]);
    step_takes(p, s, ACCESS_READ, g->main->in[1]);
    step_takes(p, s, ACCESS_WRITE, g->result);
    step_takes_chain(p, s);
}

static const char *forward_emit(struct emitter *e, const struct step *step)
{
    const struct group *g = step->group;
    struct dense d = dense_of(e->plan, g->main);
    const char *real = e->plan->real;
    struct chain chain;
    chain_make(e->plan, g, &chain);
    struct product t = { .a = "x", .b = "w", .c = "y", .at = "0", .channels = d.out, .panel = d.panel, .lines = 1,
                         .length = e->plan->lanes, .panel_stride = (int64_t)d.in * d.panel };
    t.tile = (struct tile){ .a_row = d.in, .a_k = 1, .b_k = d.panel, .segments = 1, .depth = d.in, .c_row = d.out,
                            .chain = g->chain_count ? &chain : NULL };
    emit_function(e, "const %s *x, const %s *w, %s *restrict y%s", real, real, real, chain_parameters(e, &chain));
    product_emit(e, &t);
    return emit_end(e, text_printf(e, "dense_images_%d_to_%d", d.in, d.out), emit_comment(e, step));
}

const struct kernel kernel_dense_images = {
    .name = "images", .op = OP_dense, .fuses_chain = true, .applicable = applicable, .cost = forward_cost,
    .plan = forward_plan, .emit = forward_emit, .help = "register tiles, some images at a time",
};

/* ---- data gradient ----------------------------------------------------------------------------------------------- */

static double data_cost(const struct plan *p, const struct group *g)
{
    struct dense d = dense_of(p, g->main);
    struct row_split rows = split_rows(d.in, tile_rows_max(p, 1));
    int64_t depth = (int64_t)d.panels * d.panel;
    double cycles = rows.large_count * together_tile_cycles(p, rows.large, 1, (double)depth) +
                    rows.small_count * together_tile_cycles(p, rows.large - 1, 1, (double)depth);
    cycles = larger(cycles * p->batch / p->lanes, stream_cycles(p, &d)) + together_turn_cycles(p, d.in + d.out);
    return few_calls(p, g) * (cycles + group_chain_cycles(p, g));
}

static void data_plan(struct plan *p, struct program *q, struct group *g)
{
    struct dense d = dense_of(p, g->main);
    struct step *s = plan_step(p, q, g, 0, SPLIT_IMAGES, 0, "data gradient", dense_flops(p, &d));
    s->images = p->lanes;
    s->thin = true;
    step_takes(p, s, ACCESS_READ, g->main->in[0]);
    step_takes(p, s, ACCESS_READ, g->main->in[1]);
    step_takes(p, s, ACCESS_WRITE, g->result);
    step_takes_chain(p, s);
    step_scratch(p, s, ((int64_t)d.panels * d.panel + d.in) * p->lanes * p->real_size);
}

/* Tiles of rows of the weights: `count` of so many, from row `first` on. */
static void emit_inputs(struct emitter *e, const struct dense *d, int rows, int count, int first)
{
    int lanes = e->plan->lanes;
    struct tile t = { .rows = rows, .vectors = 1, .a_row = d->panel, .a_k = 1, .b_k = lanes, .c_row = lanes,
                      .depth = d->panel, .segments = d->panels };
    t.a_segment = (int64_t)d->in * d->panel;
    t.b_segment = (int64_t)d->panel * lanes;
    if (!count)
        return;
    loop_open(e, "i", first, first + (int64_t)count * rows, rows);
    cw_line(e->w, "%s(w + i * %d, turned, product + i * %d);", emit_tile(e, &t), d->panel, lanes);
    cw_close(e->w, "}");
}

static const char *data_emit(struct emitter *e, const struct step *step)
{
    const struct group *g = step->group;
    struct dense d = dense_of(e->plan, g->main);
    struct row_split rows = split_rows(d.in, tile_rows_max(e->plan, 1));
    const char *real = e->plan->real;
    int lanes = e->plan->lanes, padding = d.panels * d.panel - d.out;
    struct chain chain;
    chain_make(e->plan, g, &chain);
    emit_function(e, "const %s *dy, const %s *w, %s *restrict dx%s, %s *restrict turned", real, real, real,
                  chain_parameters(e, &chain), real);
    cw_line(e->w, "%s *const product = turned + %d;  // (inputs, images)", real, d.panels * d.panel * lanes);
    emit_turn_in(e, "dy", "turned", 1, 1, d.out, 0, 1);
    if (padding)                /* the weights' is 0, but what is not there may be no number */
        cw_line(e->w, "memset(turned + %d, 0, sizeof(%s) * %d);", d.out * lanes, real, padding * lanes);
    emit_inputs(e, &d, rows.large, rows.large_count, 0);
    emit_inputs(e, &d, rows.large - 1, rows.small_count, rows.large * rows.large_count);
    emit_turn_out(e, "product", "dx", d.in);
    if (g->chain_count)
        chain_over_image(e, &chain, "dx", "dx", "0", lanes, d.in);
    return emit_end(e, text_printf(e, "dense_images_data_grad_%d_to_%d", d.out, d.in), emit_comment(e, step));
}

const struct kernel kernel_dense_images_data_grad = {
    .name = "images", .op = OP_dense_data_grad, .fuses_chain = true, .applicable = applicable, .cost = data_cost,
    .plan = data_plan, .emit = data_emit, .help = "register tiles with the weights as rows, some images at a time",
};

/* ---- weight gradient: a block is some inputs --------------------------------------------------------------------- */

enum { INPUTS = 48 };           /* in a block, about: enough blocks for a few threads */

static int block_inputs(const struct plan *p, const struct dense *d)
{
    int most = tile_rows_max(p, d->panel / p->lanes), rows = most < d->in ? most : d->in;
    return rows * (rows < INPUTS ? INPUTS / rows : 1);
}

static double weight_cost(const struct plan *p, const struct group *g)
{
    struct dense d = dense_of(p, g->main);
    return few_calls(p, g) * (product_cycles(p, d.out, d.panel, d.in, block_inputs(p, &d), p->batch) +
                              p->target->costs->packed_in_order * d.in * p->batch / p->lanes);
}

static void weight_plan(struct plan *p, struct program *q, struct group *g)
{
    struct dense d = dense_of(p, g->main);
    int inputs = block_inputs(p, &d);
    struct step *s = plan_step(p, q, g, 0, SPLIT_BLOCKS, (d.in + inputs - 1) / inputs, "weight gradient",
                               dense_flops(p, &d));
    s->beside = s->waits = true;
    struct part part = { { { .count = d.panels, .step = (int64_t)d.in * d.panel },
                           { .count = d.in, .step = d.panel, .piece = inputs, .over = 1 },
                           { .count = d.panel, .step = 1 } } };
    step_is_told(p, s, ARGUMENT_BLOCK);
    step_is_told(p, s, ARGUMENT_SAMPLES);
    step_takes(p, s, ACCESS_READ, g->main->in[0]);
    step_takes(p, s, ACCESS_READ, g->main->in[1]);
    step_takes_part(p, s, ACCESS_WRITE, g->main->out[0], part);
    if (g->companion)
        step_takes_in(p, s, ACCESS_WRITE, g->companion->out[0], TOUCH_FIRST);
    step_scratch(p, s, (int64_t)p->batch * inputs * p->real_size);
}

static void sum_outputs(struct emitter *e, const void *data, const char *at, int tail)
{
    const struct dense *d = data;
    cw_line(e->w, "v sum = v_zero();");
    cw_open(e->w, "for (int i = 0; i < n; i++)");
    cw_line(e->w, "sum = v_add(sum, %s);", text_load(e, text_printf(e, "dy + i * %d", d->out), at, tail));
    cw_close(e->w, "");
    line_store(e, "db", at, "sum", 0);
}

/* The tiles of one panel.  dy ends with its last outputs, the gradient with a whole panel: zeros behind them. */
static void emit_panel(struct emitter *e, const struct dense *d, int vectors, int tail, const char *panel)
{
    int lanes = e->plan->lanes, inputs = block_inputs(e->plan, d), most = tile_rows_max(e->plan, d->panel / lanes);
    int missing = d->panel - vectors * lanes;
    struct tile t = { .rows = most < d->in ? most : d->in, .vectors = vectors, .tail = tail, .b_tail = tail > 0,
                      .c_whole = true, .a_row = 1, .a_k = inputs, .b_k = d->out, .segments = 1, .c_row = d->panel };
    bool first = !strcmp(panel, "0");
    const char *dy = first ? "dy" : text_plus(e, "dy", text_times(e, panel, d->panel));
    const char *row = first ? "first" : text_printf(e, "(%s * %d + first)", panel, d->in);
    cw_line(e->w, "%s *const to = dw + %s * %d;", e->plan->real, row, d->panel);
    cw_line(e->w, "int r = 0;");
    cw_open(e->w, "for (; r + %d <= rows; r += %d)", t.rows, t.rows);
    cw_line(e->w, "%s(inputs + r, %s, to + r * %d, n);", emit_tile(e, &t), dy, d->panel);
    cw_close(e->w, "");
    if (d->in % t.rows) {
        t.rows = 1;
        cw_open(e->w, "for (; r < rows; r++)");
        cw_line(e->w, "%s(inputs + r, %s, to + (size_t)r * %d, n);", emit_tile(e, &t), dy, d->panel);
        cw_close(e->w, "");
    }
    if (missing) {
        cw_open(e->w, "for (r = 0; r < rows; r++)");
        cw_line(e->w, "memset(to + (size_t)r * %d + %d, 0, sizeof(%s) * %d);", d->panel, vectors * lanes, e->plan->real,
                missing);
        cw_close(e->w, "");
    }
}

static const char *weight_emit(struct emitter *e, const struct step *step)
{
    const struct group *g = step->group;
    struct dense d = dense_of(e->plan, g->main);
    struct panels s = product_panels(e->plan, d.out, d.panel);
    const char *real = e->plan->real;
    int inputs = block_inputs(e->plan, &d);
    bool bias = g->companion != NULL;
    emit_function(e, "int b, int n, const %s *x, const %s *dy, %s *restrict dw%s, %s *restrict inputs", real, real,
                  real, bias ? text_printf(e, ", %s *restrict db", real) : "", real);
    if (d.in <= inputs)
        cw_line(e->w, "const int first = b * %d, rows = %d;", inputs, d.in);
    else
        cw_line(e->w, "const int first = b * %d, rows = %d - first < %d ? %d - first : %d;", inputs, d.in, inputs, d.in,
                inputs);
    cw_open(e->w, "for (int i = 0; i < n; i++)");
    cw_line(e->w, "memcpy(inputs + i * %d, x + (size_t)i * %d + first, sizeof(%s) * (size_t)rows);", inputs, d.in,
            real);
    cw_close(e->w, "");
    if (s.whole) {
        if (s.whole > 1)
            loop_open(e, "p", 0, s.whole, 1);
        else
            cw_open(e->w, "{");
        emit_panel(e, &d, s.vectors, 0, s.whole > 1 ? "p" : "0");
        cw_close(e->w, "}");
    }
    if (s.last_vectors) {
        cw_open(e->w, "{");
        emit_panel(e, &d, s.last_vectors, s.last_tail, text_printf(e, "%d", s.whole));
        cw_close(e->w, "}");
    }
    if (bias) {
        cw_open(e->w, "if (b == 0) {");
        each_vector(e, "o", d.out, sum_outputs, &d);
        cw_close(e->w, "}");
    }
    return emit_end(e, text_printf(e, "dense_images_weight_grad_%d_to_%d", d.in, d.out), emit_comment(e, step));
}

const struct kernel kernel_dense_images_weight_grad = {
    .name = "images", .op = OP_dense_weight_grad, .applicable = applicable, .cost = weight_cost, .plan = weight_plan,
    .emit = weight_emit, .help = "register tiles over the samples, when all images are through",
};
