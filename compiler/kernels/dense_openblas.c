/* dense_openblas.c - dense layers by OpenBLAS: the whole batch against a panel of weights at a time. */
#include <inttypes.h>

#include "steps/plan.h"
#include "kernels/blas.h"

enum {
    BLOCKS_WANTED = 8,          /* of the inputs, where blocks are cut by inputs: so that threads have work */
    INPUTS_LEAST = 64
};

/* Inputs of a block; the last one may have fewer. */
static int64_t inputs_of_block(int64_t inputs)
{
    int64_t each = (inputs + BLOCKS_WANTED - 1) / BLOCKS_WANTED;
    return each < INPUTS_LEAST ? INPUTS_LEAST : each;
}

static int64_t input_blocks(int64_t inputs)
{
    return (inputs + inputs_of_block(inputs) - 1) / inputs_of_block(inputs);
}

/* "(b < 7 ? 512 : 100)" of `inputs` cut into blocks. */
static const char *block_inputs(struct emitter *e, int64_t inputs)
{
    int64_t each = inputs_of_block(inputs), blocks = input_blocks(inputs), last = inputs - (blocks - 1) * each;
    if (last == each || blocks == 1)
        return text_printf(e, "%" PRId64, last);
    return text_printf(e, "b < %" PRId64 " ? %" PRId64 " : %" PRId64, blocks - 1, each, last);
}

/* ---- y = w x ---------------------------------------------------------------------------------------------------- */

static double forward_cost(const struct plan *p, const struct group *g)
{
    const struct param *w = g->main->in[1]->param;
    struct panels panels = panels_of(p, g->main->in[1]);
    double columns = panels.width < panels.out ? panels.width : panels.out;
    return panels_count(&panels) * blas_cycles(p, p->batch, columns, param_extent(w, CNN_AXIS_IN)) +
           pass_cycles(p, g->main->out[0], chain_cycles(p, g), g->chain_count ? 2 : 0) + plan_meeting_cycles(p, 1);
}

/* From x or dy by the weights to `count` numbers a sample, `piece` of them a block. */
static void plan_columns_pass(struct plan *p, struct step *s, int64_t count, int64_t piece)
{
    const struct group *g = s->group;
    step_takes(p, s, ACCESS_READ, g->main->in[0]);
    step_takes(p, s, ACCESS_READ, g->main->in[1]);
    step_takes_part(p, s, ACCESS_WRITE, g->result, part_columns(p, count, piece));
    step_is_told(p, s, ARGUMENT_SAMPLES);
    step_is_told(p, s, ARGUMENT_BLOCK);
    step_takes_chain(p, s);
}

static void forward_plan(struct plan *p, struct program *q, struct group *g)
{
    struct panels panels = panels_of(p, g->main->in[1]);
    p->uses_blas = true;
    struct step *s = plan_step(p, q, g, 0, SPLIT_BLOCKS, panels_count(&panels), "forward", group_flops(p, g));
    plan_columns_pass(p, s, panels.out, panels.width);
}

struct panel_pass {
    const struct chain *chain;
    const struct panels *panels;
};

static void panel_body(struct emitter *e, const void *data, const char *at, int tail)
{
    const struct panel_pass *s = data;
    const char *col = text_plus(e, "col", at), *element = text_plus(e, "row + col", at);
    cw_line(e->w, "const v value = %s;", text_load(e, "y", element, tail));
    line_store(e, "y", element, chain_apply_at(e, s->chain, "value", col, element, tail), tail);
}

/* The chain over the panel's columns of the whole batch. */
static void emit_panel_chain(struct emitter *e, const struct chain *c, const struct panels *panels)
{
    struct panel_pass pass = { c, panels };
    int rest = panels->out % panels->width;
    cw_open(e->w, "for (int i = 0; i < n; i++) {");
    cw_line(e->w, "const size_t row = (size_t)i * %d;", panels->out);
    if (rest && panels->out > panels->width) {
        cw_open(e->w, "if (b < %d) {", panels->out / panels->width);
        each_vector(e, "j", panels->width, panel_body, &pass);
        cw_middle(e->w, "} else {");
        each_vector(e, "j", rest, panel_body, &pass);
        cw_close(e->w, "}");
    } else {
        each_vector(e, "j", rest ? rest : panels->width, panel_body, &pass);
    }
    cw_close(e->w, "}");
}

static const char *forward_emit(struct emitter *e, const struct step *s)
{
    const struct group *g = s->group;
    const struct tensor *w = g->main->in[1];
    const char *real = e->plan->real;
    struct panels panels = panels_of(e->plan, w);
    int inputs = param_extent(w->param, CNN_AXIS_IN);
    struct chain c;
    chain_make(e->plan, g, &c);
    emit_function(e, "const %s *x, const %s *w, %s *y, int n, int b%s", real, real, real, chain_parameters(e, &c));
    cw_line(e->w, "// x (n, %d), y (n, %d): columns of panel b", inputs, panels.out);
    cw_line(e->w, "const int col = b * %d;", panels.width);
    line_gemm(e, &(struct gemm){ false, false, "n", panel_columns(e, &panels, "b"), text_printf(e, "%d", inputs), "x",
                                 text_printf(e, "w + (size_t)b * %" PRId64, panels.stride), "y + col", "0", inputs,
                                 panels.width, panels.out });
    if (g->chain_count)
        emit_panel_chain(e, &c, &panels);
    const char *hint = text_printf(e, "dense_%dx%d%s", inputs, panels.out, chain_suffix(e, &c));
    return emit_end(e, hint, emit_comment(e, s));
}

/* ---- dx = w^T dy ------------------------------------------------------------------------------------------------ */

static double data_grad_cost(const struct plan *p, const struct group *g)
{
    int inputs = param_extent(g->main->in[1]->param, CNN_AXIS_IN);
    struct panels panels = panels_of(p, g->main->in[1]);
    double columns = panels.width < panels.out ? panels.width : panels.out, blocks = (double)input_blocks(inputs);
    return blocks * panels_count(&panels) * blas_cycles(p, p->batch, inputs / blocks, columns) +
           pass_cycles(p, g->main->out[0], chain_cycles(p, g), g->chain_count ? 2 : 0) + plan_meeting_cycles(p, 1);
}

static void data_grad_plan(struct plan *p, struct program *q, struct group *g)
{
    int64_t inputs = param_extent(g->main->in[1]->param, CNN_AXIS_IN);
    p->uses_blas = true;
    struct step *s = plan_step(p, q, g, 0, SPLIT_BLOCKS, input_blocks(inputs), "data gradient", group_flops(p, g));
    plan_columns_pass(p, s, inputs, inputs_of_block(inputs));
}

static void input_body(struct emitter *e, const void *data, const char *at, int tail)
{
    const char *col = text_plus(e, "col", at), *element = text_plus(e, "row + col", at);
    cw_line(e->w, "const v value = %s;", text_load(e, "dx", element, tail));
    line_store(e, "dx", element, chain_apply_at(e, data, "value", col, element, tail), tail);
}

static void emit_input_chain(struct emitter *e, const struct chain *c, int64_t inputs)
{
    int64_t each = inputs_of_block(inputs), blocks = input_blocks(inputs), last = inputs - (blocks - 1) * each;
    cw_open(e->w, "for (int i = 0; i < n; i++) {");
    cw_line(e->w, "const size_t row = (size_t)i * %" PRId64 ";", inputs);
    if (last != each && blocks > 1) {
        cw_open(e->w, "if (b < %" PRId64 ") {", blocks - 1);
        each_vector(e, "j", each, input_body, c);
        cw_middle(e->w, "} else {");
        each_vector(e, "j", last, input_body, c);
        cw_close(e->w, "}");
    } else {
        each_vector(e, "j", last, input_body, c);
    }
    cw_close(e->w, "}");
}

static const char *data_grad_emit(struct emitter *e, const struct step *s)
{
    const struct group *g = s->group;
    const struct tensor *w = g->main->in[1];
    const char *real = e->plan->real;
    struct panels panels = panels_of(e->plan, w);
    int64_t inputs = param_extent(w->param, CNN_AXIS_IN), each = inputs_of_block(inputs);
    struct chain c;
    chain_make(e->plan, g, &c);
    emit_function(e, "const %s *dy, const %s *w, %s *dx, int n, int b%s", real, real, real, chain_parameters(e, &c));
    cw_line(e->w, "// dy (n, %d), dx (n, %" PRId64 "): columns of block b", panels.out, inputs);
    cw_line(e->w, "const int col = b * %" PRId64 ";", each);
    struct gemm product = { false, true, "n", block_inputs(e, inputs), panel_columns(e, &panels, "o"), "dy",
                            text_printf(e, "w + (size_t)col * %d", panels.width), "dx + col", "0", panels.out,
                            panels.width, inputs };
    if (panels_count(&panels) > 1) {
        product.a = text_printf(e, "dy + o * %d", panels.width);
        product.b = text_printf(e, "w + (size_t)o * %" PRId64 " + (size_t)col * %d", panels.stride, panels.width);
        product.beta = "o > 0";
        loop_open(e, "o", 0, panels_count(&panels), 1);
    }
    line_gemm(e, &product);
    if (panels_count(&panels) > 1)
        cw_close(e->w, "}");
    if (g->chain_count)
        emit_input_chain(e, &c, inputs);
    const char *hint = text_printf(e, "dense_data_grad_%" PRId64 "x%d%s", inputs, panels.out, chain_suffix(e, &c));
    return emit_end(e, hint, emit_comment(e, s));
}

/* ---- dw = dy x^T ------------------------------------------------------------------------------------------------ */

static double weight_grad_cost(const struct plan *p, const struct group *g)
{
    const struct tensor *dw = g->main->out[0];
    struct panels panels = panels_of(p, dw);
    int inputs = param_extent(dw->param, CNN_AXIS_IN);
    double columns = panels.width < panels.out ? panels.width : panels.out, blocks = (double)input_blocks(inputs);
    return blocks * panels_count(&panels) * blas_cycles(p, inputs / blocks, columns, p->batch) +
           plan_meeting_cycles(p, 1);
}

/* Part 0: weights, blocks by panel and inputs; part 1: the bias, where the group has one. */
static void weight_grad_plan(struct plan *p, struct program *q, struct group *g)
{
    const struct tensor *dw = g->main->out[0];
    struct panels panels = panels_of(p, dw);
    int64_t inputs = param_extent(dw->param, CNN_AXIS_IN), blocks = input_blocks(inputs);
    p->uses_blas = true;
    struct step *s = plan_step(p, q, g, 0, SPLIT_BLOCKS, panels_count(&panels) * blocks, "weight gradient",
                               group_flops(p, g));
    step_takes(p, s, ACCESS_READ, g->main->in[0]);
    step_takes(p, s, ACCESS_READ, g->main->in[1]);
    step_takes_part(p, s, ACCESS_WRITE, dw,
                    (struct part){ { { .count = panels_count(&panels), .step = panels.stride, .piece = 1,
                                       .over = blocks },
                                     { .count = inputs, .step = panels.width, .piece = inputs_of_block(inputs),
                                       .over = 1 },
                                     { .count = panels.width, .step = 1 } } });
    step_is_told(p, s, ARGUMENT_SAMPLES);
    step_is_told(p, s, ARGUMENT_BLOCK);
    if (!g->companion)
        return;
    struct step *bias = plan_step(p, q, g, 1, SPLIT_BLOCKS, 1, "bias gradient", 0);
    step_takes(p, bias, ACCESS_READ, g->companion->in[0]);
    step_takes(p, bias, ACCESS_WRITE, g->companion->out[0]);
    step_is_told(p, bias, ARGUMENT_SAMPLES);
}

static void bias_body(struct emitter *e, const void *data, const char *at, int tail)
{
    const int *out = data;
    cw_line(e->w, "v sum = v_zero();");
    cw_open(e->w, "for (int i = 0; i < n; i++) {");
    cw_line(e->w, "sum = v_add(sum, %s);", text_load(e, text_printf(e, "dy + (size_t)i * %d", *out), at, tail));
    cw_close(e->w, "}");
    line_store(e, "db", at, "sum", tail);
}

static const char *bias_emit(struct emitter *e, const struct step *s)
{
    const struct node *n = s->group->companion;
    const char *real = e->plan->real;
    int out = n->in[0]->shape.c;
    emit_function(e, "const %s *dy, %s *restrict db, int n", real, real);
    cw_line(e->w, "// dy (n, %d)", out);
    each_vector(e, "j", out, bias_body, &out);
    return emit_end(e, text_printf(e, "dense_bias_grad_%d", out), emit_comment(e, s));
}

static const char *weight_grad_emit(struct emitter *e, const struct step *s)
{
    if (s->part == 1)
        return bias_emit(e, s);
    const struct tensor *dw = s->group->main->out[0];
    const char *real = e->plan->real;
    struct panels panels = panels_of(e->plan, dw);
    int64_t inputs = param_extent(dw->param, CNN_AXIS_IN);
    int64_t each = inputs_of_block(inputs), blocks = input_blocks(inputs);
    emit_function(e, "const %s *x, const %s *dy, %s *dw, int n, int block", real, real, real);
    cw_line(e->w, "// x (n, %" PRId64 "), dy (n, %d): inputs of block b, outputs of panel o", inputs, panels.out);
    cw_line(e->w, "const int o = block / %" PRId64 ", b = block %% %" PRId64 ";", blocks, blocks);
    line_gemm(e, &(struct gemm){ true, false, block_inputs(e, inputs), panel_columns(e, &panels, "o"), "n",
                                 text_printf(e, "x + b * %" PRId64, each), text_printf(e, "dy + o * %d", panels.width),
                                 text_printf(e, "dw + (size_t)o * %" PRId64 " + (size_t)b * %" PRId64, panels.stride,
                                             each * panels.width),
                                 "0", inputs, panels.out, panels.width });
    const char *hint = text_printf(e, "dense_weight_grad_%" PRId64 "x%d", inputs, panels.out);
    return emit_end(e, hint, emit_comment(e, s));
}

const struct kernel kernel_dense_openblas = {
    .name = "openblas", .op = OP_dense, .fuses_chain = true, .applicable = always_applicable, .cost = forward_cost,
    .plan = forward_plan, .emit = forward_emit, .help = "the batch against a panel of outputs, by OpenBLAS",
};

const struct kernel kernel_dense_openblas_data_grad = {
    .name = "openblas", .op = OP_dense_data_grad, .fuses_chain = true, .applicable = always_applicable,
    .cost = data_grad_cost, .plan = data_grad_plan, .emit = data_grad_emit,
    .help = "the batch against blocks of inputs, by OpenBLAS",
};

const struct kernel kernel_dense_openblas_weight_grad = {
    .name = "openblas", .op = OP_dense_weight_grad, .applicable = always_applicable, .cost = weight_grad_cost,
    .plan = weight_grad_plan, .emit = weight_grad_emit, .help = "blocks of inputs and outputs, by OpenBLAS",
};
