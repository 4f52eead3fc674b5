/* conv2d_im2col.c - convolutions as products by OpenBLAS.
 *
 * An image's windows are written out as rows of a matrix (`columns`, output pixels x taps and channels, in the
 * thread's scratch) and multiplied with each panel of the weights.  A 1x1 convolution with stride 1 needs no
 * matrix: the image is one already. */
#include <inttypes.h>

#include "kernels/blas.h"
#include "kernels/sums.h"

struct conv {
    struct window window;
    struct shape in, out;
    struct panels panels;
    int64_t pixels, depth;      /* rows and columns of the matrix */
    bool is_image;              /* the matrix is the image itself */
};

static struct conv conv_of(const struct plan *p, const struct window *k, const struct tensor *in,
                           const struct tensor *out, const struct tensor *weight)
{
    struct conv c = { .window = *k, .in = in->shape, .out = out->shape, .panels = panels_of(p, weight) };
    c.pixels = tensor_pixels(out);
    c.depth = (int64_t)k->kh * k->kw * in->shape.c;
    c.is_image = k->kh == 1 && k->kw == 1 && k->stride_h == 1 && k->stride_w == 1 && k->pad_top == 0 &&
                 k->pad_left == 0 && c.pixels == tensor_pixels(in);
    return c;
}

static struct conv conv_of_group(const struct plan *p, const struct group *g)
{
    const struct node *n = g->main;
    switch (n->op) {
    case OP_conv2d_data_grad:
        return conv_of(p, &n->attr.window, n->out[0], n->in[0], n->in[1]);
    case OP_conv2d_weight_grad:
        return conv_of(p, &n->attr.window, n->in[0], n->in[1], n->out[0]);
    default:
        return conv_of(p, &n->attr.window, n->in[0], n->out[0], n->in[1]);
    }
}

static double panel_width(const struct conv *c)
{
    return c->panels.width < c->panels.out ? c->panels.width : c->panels.out;
}

/* Writing the matrix or adding it up, and reading it. */
static double matrix_cycles(const struct plan *p, const struct conv *c)
{
    if (c->is_image)
        return 0;
    double bytes = (double)(c->pixels * c->depth) * p->real_size;
    const struct costs *k = p->target->costs;
    double rate = bytes > p->target->l2_bytes ? p->target->memory_bytes_per_cycle : k->second_rate;
    return 3 * bytes / rate + (double)(c->pixels * c->window.kh * c->window.kw) * k->moved_call;
}

static double chain_pass_cycles(const struct plan *p, const struct group *g)
{
    return g->chain_count ? pass_cycles(p, g->main->out[0], chain_cycles(p, g), 2) : 0;
}

static void matrix_scratch(struct plan *p, struct step *s, const struct conv *c)
{
    p->uses_blas = true;
    if (!c->is_image)
        step_scratch(p, s, c->pixels * c->depth * p->real_size);
}

/* Forward and data gradient: from one map to the other, by the weights. */
static void plan_pass(struct plan *p, struct program *q, struct group *g)
{
    struct conv c = conv_of_group(p, g);
    struct step *s = plan_step(p, q, g, 0, SPLIT_IMAGES, 0, plan_way(g), group_flops(p, g));
    step_takes(p, s, ACCESS_READ, g->main->in[0]);
    step_takes(p, s, ACCESS_READ, g->main->in[1]);
    step_takes(p, s, ACCESS_WRITE, g->result);
    matrix_scratch(p, s, &c);
    step_takes_chain(p, s);
}

/* ---- the matrix ------------------------------------------------------------------------------------------------- */

static bool is_padded(const struct conv *c)
{
    const struct window *k = &c->window;
    return k->pad_top || k->pad_left ||
           (c->out.h - 1) * k->stride_h + (k->kh - 1) * k->dilation_h >= c->in.h ||
           (c->out.w - 1) * k->stride_w + (k->kw - 1) * k->dilation_w >= c->in.w;
}

/* "oy * 2 + ky - 1" */
static const char *text_input(struct emitter *e, const char *o, int stride, const char *k, int dilation, int pad)
{
    const char *text = stride == 1 ? o : text_printf(e, "%s * %d", o, stride);
    text = dilation == 1 ? text_printf(e, "%s + %s", text, k) : text_printf(e, "%s + %s * %d", text, k, dilation);
    return pad ? text_printf(e, "%s - %d", text, pad) : text;
}

/* Loops over the matrix in order, one run of channels a time; the caller writes what happens at `matrix` and
 * `x + at`, and closes them with close_runs(). */
static void open_runs(struct emitter *e, const struct conv *c)
{
    const struct window *k = &c->window;
    loop_open(e, "oy", 0, c->out.h, 1);
    loop_open(e, "ox", 0, c->out.w, 1);
    loop_open(e, "ky", 0, k->kh, 1);
    cw_line(e->w, "const int iy = %s;", text_input(e, "oy", k->stride_h, "ky", k->dilation_h, k->pad_top));
    cw_open(e->w, "for (int kx = 0; kx < %d; kx++, matrix += %d) {", k->kw, c->in.c);
    cw_line(e->w, "const int ix = %s;", text_input(e, "ox", k->stride_w, "kx", k->dilation_w, k->pad_left));
}

static void close_runs(struct emitter *e)
{
    for (int i = 0; i < 4; i++)
        cw_close(e->w, "}");
}

static const char *text_window(struct emitter *e, const struct conv *c)
{
    const struct window *k = &c->window;
    return text_printf(e, "%dx%d_%dx%dx%d", k->kh, k->kw, c->in.c, c->in.h, c->in.w);
}

static void note_shapes(struct emitter *e, const struct conv *c)
{
    cw_line(e->w, "// x (%d, %d, %d), matrix (%" PRId64 ", %" PRId64 ")", c->in.h, c->in.w, c->in.c, c->pixels,
            c->depth);
}

static void copy_body(struct emitter *e, const void *data, const char *at, int tail)
{
    (void)data;
    line_store(e, "matrix", at, text_load(e, "x + from", at, tail), tail);
}

static void zero_body(struct emitter *e, const void *data, const char *at, int tail)
{
    (void)data;
    line_store(e, "matrix", at, "v_zero()", tail);
}

/* Windows inside the image without dilation: a row of taps is one run of memory. */
static void emit_window_rows(struct emitter *e, const struct conv *c)
{
    const struct window *k = &c->window;
    int run = k->kw * c->in.c;
    loop_open(e, "oy", 0, c->out.h, 1);
    loop_open(e, "ox", 0, c->out.w, 1);
    cw_open(e->w, "for (int ky = 0; ky < %d; ky++, matrix += %d) {", k->kh, run);
    cw_line(e->w, "const int from = ((%s) * %d + ox * %d) * %d;",
            text_input(e, "oy", k->stride_h, "ky", k->dilation_h, 0), c->in.w, k->stride_w, c->in.c);
    each_vector(e, "j", run, copy_body, NULL);
    for (int i = 0; i < 3; i++)
        cw_close(e->w, "}");
}

static const char *emit_im2col(struct emitter *e, const struct conv *c)
{
    const char *real = e->plan->real;
    emit_function(e, "const %s *x, %s *restrict matrix", real, real);
    note_shapes(e, c);
    if (!is_padded(c) && c->window.dilation_w == 1) {
        emit_window_rows(e, c);
    } else {
        open_runs(e, c);
        if (is_padded(c)) {
            cw_open(e->w, "if (iy < 0 || iy >= %d || ix < 0 || ix >= %d) {", c->in.h, c->in.w);
            each_vector(e, "j", c->in.c, zero_body, NULL);
            cw_line(e->w, "continue;");
            cw_close(e->w, "}");
        }
        cw_line(e->w, "const int from = (iy * %d + ix) * %d;", c->in.w, c->in.c);
        each_vector(e, "j", c->in.c, copy_body, NULL);
        close_runs(e);
    }
    return emit_end(e, text_printf(e, "im2col_%s", text_window(e, c)),
                    "The image's windows as rows of a matrix: output pixels x (taps, channels).");
}

static void add_body(struct emitter *e, const void *data, const char *at, int tail)
{
    (void)data;
    const char *sum = text_printf(e, "v_add(%s, %s)", text_load(e, "x + to", at, tail),
                                  text_load(e, "matrix", at, tail));
    line_store(e, "x + to", at, sum, tail);
}

static const char *emit_col2im(struct emitter *e, const struct conv *c)
{
    const char *real = e->plan->real;
    emit_function(e, "const %s *matrix, %s *restrict x", real, real);
    note_shapes(e, c);
    cw_line(e->w, "memset(x, 0, %" PRId64 " * sizeof *x);", (int64_t)c->in.h * c->in.w * c->in.c);
    open_runs(e, c);
    if (is_padded(c)) {
        cw_open(e->w, "if (iy < 0 || iy >= %d || ix < 0 || ix >= %d) {", c->in.h, c->in.w);
        cw_line(e->w, "continue;");
        cw_close(e->w, "}");
    }
    cw_line(e->w, "const int to = (iy * %d + ix) * %d;", c->in.w, c->in.c);
    each_vector(e, "j", c->in.c, add_body, NULL);
    close_runs(e);
    return emit_end(e, text_printf(e, "col2im_%s", text_window(e, c)),
                    "The rows of a matrix of windows, added where the image has them.");
}

/* ---- forward ---------------------------------------------------------------------------------------------------- */

static double forward_cost(const struct plan *p, const struct group *g)
{
    struct conv c = conv_of_group(p, g);
    double product = blas_cycles(p, (double)c.pixels, panel_width(&c), (double)c.depth) * panels_count(&c.panels);
    double cycles = p->batch * (product + matrix_cycles(p, &c)) + chain_pass_cycles(p, g);
    /* one image stays with one thread here, while others (two at least) have nothing to do */
    return plan_splits_image(p, cycles) ? 2 * cycles : cycles;
}

static void forward_plan(struct plan *p, struct program *q, struct group *g)
{
    plan_pass(p, q, g);
}

/* "for (int o = 0; o < 4; o++) {" over panels. */
static void open_panels(struct emitter *e, const struct conv *c)
{
    loop_open(e, "o", 0, panels_count(&c->panels), 1);
}

static const char *text_matrix(const struct conv *c, const char *image)
{
    return c->is_image ? image : "matrix";
}

/* ", float *matrix" where there is one. */
static const char *matrix_parameter(struct emitter *e, const struct conv *c)
{
    return c->is_image ? "" : text_printf(e, ", %s *matrix", e->plan->real);
}

static const char *forward_emit(struct emitter *e, const struct step *s)
{
    const struct group *g = s->group;
    struct conv c = conv_of_group(e->plan, g);
    const char *real = e->plan->real;
    bool strided = emit_is_strided(e, g->result);
    struct chain chain;
    chain_make(e->plan, g, &chain);
    const char *im2col = c.is_image ? NULL : emit_im2col(e, &c);
    emit_function(e, "const %s *x, const %s *w, %s *y%s%s",
                  real, real, real, matrix_parameter(e, &c), chain_parameters(e, &chain));
    cw_line(e->w, "// x (%d, %d, %d), y (%d, %d, %d)", c.in.h, c.in.w, c.in.c, c.out.h, c.out.w, c.out.c);
    if (im2col)
        cw_line(e->w, "%s(x, matrix);", im2col);
    open_panels(e, &c);
    line_gemm(e, &(struct gemm){ false, false, text_printf(e, "%" PRId64, c.pixels),
                                 panel_columns(e, &c.panels, "o"), text_printf(e, "%" PRId64, c.depth),
                                 text_matrix(&c, "x"), text_printf(e, "w + (size_t)o * %" PRId64, c.panels.stride),
                                 text_printf(e, "y + o * %d", c.panels.width), "0", c.depth, c.panels.width,
                                 strided ? emit_pixel(e, g->result) : c.out.c });
    cw_close(e->w, "}");
    if (g->chain_count && strided)
        chain_over_places(e, &chain, "y", g->result, "y", g->result);
    else if (g->chain_count)
        chain_over_image(e, &chain, "y", "y", "0", c.pixels, c.out.c);
    const char *hint = text_printf(e, "conv2d_im2col_%s_to_%d%s", text_window(e, &c), c.out.c,
                                   chain_suffix(e, &chain));
    return emit_end(e, hint, emit_comment(e, s));
}

static bool forward_strided(const struct plan *p, const struct group *g, const struct tensor *t)
{
    (void)p;
    return t == g->result;
}

/* ---- data gradient ---------------------------------------------------------------------------------------------- */

static double data_grad_cost(const struct plan *p, const struct group *g)
{
    struct conv c = conv_of_group(p, g);
    double product = blas_cycles(p, (double)c.pixels, (double)c.depth, panel_width(&c)) * panels_count(&c.panels);
    return p->batch * (product + matrix_cycles(p, &c)) + chain_pass_cycles(p, g);
}

static void data_grad_plan(struct plan *p, struct program *q, struct group *g)
{
    plan_pass(p, q, g);
}

static const char *data_grad_emit(struct emitter *e, const struct step *s)
{
    const struct group *g = s->group;
    struct conv c = conv_of_group(e->plan, g);
    const char *real = e->plan->real;
    struct chain chain;
    chain_make(e->plan, g, &chain);
    const char *col2im = c.is_image ? NULL : emit_col2im(e, &c);
    emit_function(e, "const %s *dy, const %s *w, %s *dx%s%s",
                  real, real, real, matrix_parameter(e, &c), chain_parameters(e, &chain));
    cw_line(e->w, "// dy (%d, %d, %d), dx (%d, %d, %d)", c.out.h, c.out.w, c.out.c, c.in.h, c.in.w, c.in.c);
    open_panels(e, &c);
    line_gemm(e, &(struct gemm){ false, true, text_printf(e, "%" PRId64, c.pixels), text_printf(e, "%" PRId64, c.depth),
                                 panel_columns(e, &c.panels, "o"), text_printf(e, "dy + o * %d", c.panels.width),
                                 text_printf(e, "w + (size_t)o * %" PRId64, c.panels.stride), text_matrix(&c, "dx"),
                                 "o > 0", c.out.c, c.panels.width, c.depth });
    cw_close(e->w, "}");
    if (col2im)
        cw_line(e->w, "%s(matrix, dx);", col2im);
    if (g->chain_count)
        chain_over_image(e, &chain, "dx", "dx", "0", (int64_t)c.in.h * c.in.w, c.in.c);
    const char *hint = text_printf(e, "conv2d_im2col_data_grad_%s_to_%d%s", text_window(e, &c), c.out.c,
                                   chain_suffix(e, &chain));
    return emit_end(e, hint, emit_comment(e, s));
}

/* ---- weight gradient -------------------------------------------------------------------------------------------- */

static double weight_grad_cost(const struct plan *p, const struct group *g)
{
    struct conv c = conv_of_group(p, g);
    int64_t stored = plan_param(p, g->main->out[0])->stored;
    double product = blas_cycles(p, (double)c.depth, panel_width(&c), (double)c.pixels) * panels_count(&c.panels);
    /* every image adds to the partial sums; at the end they are added up */
    double adds = (double)stored * p->real_size / p->target->costs->second_rate * p->batch;
    double sums = (double)(stored * weight_groups(p, stored)) * p->real_size / p->target->memory_bytes_per_cycle;
    return p->batch * (product + matrix_cycles(p, &c)) + adds + sums;
}

/* Adds up the rows of a buffer, one for each group of images, which it makes. */
static struct buffer *plan_group_sums(struct plan *p, struct program *q, struct group *g, const struct step *groups,
                                      int part, const char *suffix, const struct tensor *gradient)
{
    int64_t stored = plan_param(p, gradient)->stored;
    struct step *sum = plan_step(p, q, g, part, SPLIT_BLOCKS, group_sums_blocks(p, stored), "weight gradient", 0);
    struct buffer *partial = plan_buffer(p, q, arena_printf(p->arena, "%s%s", g->main->name, suffix), p->real,
                                         groups->blocks * stored * p->real_size);
    step_uses(p, sum, ACCESS_READ, partial, TOUCH_ALL);
    step_takes_part(p, sum, ACCESS_WRITE, gradient, group_sums_part(stored));
    step_is_told(p, sum, ARGUMENT_BLOCK);
    return partial;
}

/* Part 0: partial sums over groups of images; part 1: their sum; part 2: that of the bias. */
static void weight_grad_plan(struct plan *p, struct program *q, struct group *g)
{
    struct conv c = conv_of_group(p, g);
    const struct tensor *dw = g->main->out[0], *db = g->companion ? g->companion->out[0] : NULL;
    int64_t stored = plan_param(p, dw)->stored;
    struct step *groups =
        plan_step(p, q, g, 0, SPLIT_BLOCKS, weight_groups(p, stored), "weight gradient", group_flops(p, g));
    step_takes(p, groups, ACCESS_READ, g->main->in[0]);
    step_takes(p, groups, ACCESS_READ, g->main->in[1]);
    struct buffer *partial = plan_group_sums(p, q, g, groups, 1, "_partial", dw);
    step_uses_row(p, groups, ACCESS_WRITE, partial, AT_BLOCK, stored);
    if (db) {
        struct buffer *bias_partial = plan_group_sums(p, q, g, groups, 2, "_bias_partial", db);
        step_uses_row(p, groups, ACCESS_WRITE, bias_partial, AT_BLOCK, padded_channels(p, g->main->in[1]));
    }
    matrix_scratch(p, groups, &c);
    step_is_told(p, groups, ARGUMENT_SAMPLES);
    step_is_told(p, groups, ARGUMENT_BLOCK);
}

static void bias_add(struct emitter *e, const void *data, const char *const *sum, const char *col, const char *at,
                     int k, int tail)
{
    (void)data;
    (void)col;
    (void)k;
    cw_line(e->w, "%s = v_add(%s, %s);", sum[0], sum[0], text_load(e, "dy", at, tail));
}

static void bias_store(struct emitter *e, const void *data, const char *const *sum, const char *col, int tail)
{
    (void)data;
    (void)tail;
    line_store(e, "db", col, text_printf(e, "v_add(%s, %s)", text_load(e, "db", col, 0), sum[0]), 0);
}

/* name(dy, db): adds the sums of an image. */
static const char *emit_bias_of_image(struct emitter *e, const struct conv *c)
{
    struct pixel_sums sums = { .shape = c->out, .sums = 1, .add = bias_add, .store = bias_store };
    emit_function(e, "const %s *dy, %s *restrict db", e->plan->real, e->plan->real);
    cw_line(e->w, "// dy (%d, %d, %d)", c->out.h, c->out.w, c->out.c);
    emit_pixel_sums(e, &sums);
    return emit_end(e, text_printf(e, "add_bias_grad_%dx%dx%d", c->out.c, c->out.h, c->out.w),
                    "Adds the sums of an image's channels.");
}

static void weight_group_body(struct emitter *e, const struct conv *c, const char *im2col, const char *bias)
{
    cw_line(e->w, "const %s *const xi = x + (size_t)i * %" PRId64 ";", e->plan->real,
            (int64_t)c->in.h * c->in.w * c->in.c);
    cw_line(e->w, "const %s *const dyi = dy + (size_t)i * %" PRId64 ";", e->plan->real, c->pixels * c->out.c);
    if (im2col)
        cw_line(e->w, "%s(xi, matrix);", im2col);
    if (bias)
        cw_line(e->w, "%s(dyi, db);", bias);
    open_panels(e, c);
    line_gemm(e, &(struct gemm){ true, false, text_printf(e, "%" PRId64, c->depth), panel_columns(e, &c->panels, "o"),
                                 text_printf(e, "%" PRId64, c->pixels), text_matrix(c, "xi"),
                                 text_printf(e, "dyi + o * %d", c->panels.width),
                                 text_printf(e, "dw + (size_t)o * %" PRId64, c->panels.stride), "1", c->depth,
                                 c->out.c, c->panels.width });
    cw_close(e->w, "}");
}

static const char *emit_weight_groups(struct emitter *e, const struct step *s)
{
    const struct group *g = s->group;
    struct conv c = conv_of_group(e->plan, g);
    const char *real = e->plan->real;
    int64_t stored = plan_param(e->plan, g->main->out[0])->stored;
    int64_t columns = padded_channels(e->plan, g->main->in[1]);
    const char *im2col = c.is_image ? NULL : emit_im2col(e, &c);
    const char *bias = g->companion ? emit_bias_of_image(e, &c) : NULL;
    emit_function(e, "const %s *x, const %s *dy, %s *dw%s%s, int n, int b",
                  real, real, real, bias ? text_printf(e, ", %s *db", real) : "", matrix_parameter(e, &c));
    cw_line(e->w, "// x (n, %d, %d, %d), dy (n, %d, %d, %d): the images of group b", c.in.h, c.in.w, c.in.c, c.out.h,
            c.out.w, c.out.c);
    cw_line(e->w, "memset(dw, 0, %" PRId64 " * sizeof *dw);", stored);
    if (bias)
        cw_line(e->w, "memset(db, 0, %" PRId64 " * sizeof *db);", columns);
    cw_open(e->w, "for (int i = %s; i < %s; i++) {", text_over(e, "b * n", (int)s->blocks),
            text_over(e, "(b + 1) * n", (int)s->blocks));
    weight_group_body(e, &c, im2col, bias);
    cw_close(e->w, "}");
    const char *hint = text_printf(e, "conv2d_im2col_weight_grad_%s_to_%d", text_window(e, &c), c.out.c);
    return emit_end(e, hint, emit_comment(e, s));
}

static const char *weight_grad_emit(struct emitter *e, const struct step *s)
{
    const struct group *g = s->group;
    if (s->part == 0)
        return emit_weight_groups(e, s);
    int64_t stored = plan_param(e->plan, g->main->out[0])->stored;
    const struct tensor *target = s->part == 2 ? g->companion->out[0] : g->main->out[0];
    return emit_group_sums(e, weight_groups(e->plan, stored), plan_param(e->plan, target)->stored, emit_comment(e, s));
}

const struct kernel kernel_conv2d_im2col = {
    .name = "im2col", .op = OP_conv2d, .fuses_chain = true, .applicable = always_applicable, .cost = forward_cost,
    .plan = forward_plan, .emit = forward_emit, .strided = forward_strided,
    .help = "windows written out, multiplied by OpenBLAS",
};

const struct kernel kernel_conv2d_im2col_data_grad = {
    .name = "im2col", .op = OP_conv2d_data_grad, .fuses_chain = true, .applicable = always_applicable,
    .cost = data_grad_cost, .plan = data_grad_plan, .emit = data_grad_emit,
    .help = "multiplied by OpenBLAS, added up window by window",
};

const struct kernel kernel_conv2d_im2col_weight_grad = {
    .name = "im2col", .op = OP_conv2d_weight_grad, .applicable = always_applicable, .cost = weight_grad_cost,
    .plan = weight_grad_plan, .emit = weight_grad_emit,
    .help = "windows written out, multiplied by OpenBLAS, summed over groups of images",
};
