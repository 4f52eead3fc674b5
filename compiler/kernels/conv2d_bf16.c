/* conv2d_bf16.c - convolutions of `precision bf16`, and their data gradients: register tiles over the pixels of a row,
 * whose factors are pairs of bfloat16 and whose sums are float.
 *
 * An image is rounded once, into the thread's scratch, pairs being neighbouring channels; zeros around it come with
 * that.  The weights are rounded and put into pairs once a step.  A data gradient with unit stride is a convolution of
 * dy with the filters turned over; with another stride it is left to kernels in float. */
#include <inttypes.h>

#include "kernels/bf16.h"
#include "kernels/conv_geometry.h"
#include "kernels/loops.h"
#include "kernels/product.h"

enum { PART_PACK, PART_MAIN };

/* From one map to another by a window: of a data gradient from dy to dx. */
struct pass {
    struct conv_geometry s;
    bool back;
    int in, in_h, in_w, out, out_h, out_w;
    int top, left, ph, pw;      /* zeros above and beside what is read, and all of it that windows touch */
    int64_t pixel;              /* pairs of a pixel of it */
    int64_t depth;              /* pairs of a sum */
    int panel, panels;          /* of packed weights */
};

static struct pass pass_of(const struct plan *p, const struct node *n)
{
    struct pass a = { .s = conv_geometry_of(p, n), .back = n->op == OP_conv2d_data_grad };
    const struct window *w = &a.s.window;
    int reach_h = (w->kh - 1) * w->dilation_h, reach_w = (w->kw - 1) * w->dilation_w;
    if (a.back) {
        a.in = a.s.o, a.in_h = a.s.oh, a.in_w = a.s.ow;
        a.out = a.s.c, a.out_h = a.s.h, a.out_w = a.s.w;
        a.top = reach_h - w->pad_top, a.left = reach_w - w->pad_left;
        a.ph = a.s.h + reach_h, a.pw = a.s.w + reach_w;
        a.panel = plan_panel(p, a.out);
    } else {
        a.in = a.s.c, a.in_h = a.s.h, a.in_w = a.s.w;
        a.out = a.s.o, a.out_h = a.s.oh, a.out_w = a.s.ow;
        a.top = w->pad_top, a.left = w->pad_left;
        a.ph = a.s.ph, a.pw = a.s.pw;
        a.panel = a.s.weight->panel;
    }
    a.pixel = bf16_pairs_of(a.in);
    a.depth = a.s.taps * a.pixel;
    a.panels = (a.out + a.panel - 1) / a.panel;
    return a;
}

/* One image of a batch of one is cut for the threads, which this does not do. */
static bool applicable(const struct plan *p, const struct group *g)
{
    const struct window *w = &g->main->attr.window;
    if (p->batch == 1)
        return false;
    struct pass a = pass_of(p, g->main);
    bool inside = a.top >= 0 && a.left >= 0 && a.top < a.ph && a.left < a.pw;
    return inside && (!a.back || (w->stride_h == 1 && w->stride_w == 1));
}

static bool is_pointwise(const struct pass *a)
{
    return a->s.taps == 1 && a->s.window.stride_h == 1 && a->s.window.stride_w == 1 && a->ph == a->out_h &&
        a->pw == a->out_w;
}

/* Of the packed weights: pairs of one tap in a panel. */
static int64_t tap_pairs(const struct pass *a)
{
    return a->pixel * a->panel;
}

static double cost(const struct plan *p, const struct group *g)
{
    struct pass a = pass_of(p, g->main);
    int64_t pixels = (int64_t)a.out_h * a.out_w;
    double cycles = product_pairs_cycles(p, a.out, a.panel, pixels * p->batch, is_pointwise(&a) ? pixels : a.out_w,
                                         a.depth);
    double copy = pairs_copy_cycles(p, (double)a.ph * a.pw * a.in * p->batch);
    double weights = (double)a.s.k * a.s.o, pack = a.back ? p->target->costs->turned_block * weights
                                                          : p->target->costs->packed_in_order * weights / p->lanes;
    return cycles + copy + pack + group_chain_cycles(p, g);
}

/* The rows and panels of the product; pixels of the result are c_pixel elements apart. */
static struct product product_of(const struct pass *a, int64_t c_pixel)
{
    const struct window *w = &a->s.window;
    int stride_h = a->back ? 1 : w->stride_h, stride_w = a->back ? 1 : w->stride_w;
    int64_t row = a->pw * a->pixel;
    struct product t = { .channels = a->out, .panel = a->panel, .panel_stride = a->depth * a->panel };
    t.tile = (struct tile){ .pairs = true, .a_k = 1, .a_row = stride_w * a->pixel, .c_row = c_pixel, .b_k = a->panel };
    if (a->s.taps == 1) {
        t.tile.segments = 1;
        t.tile.depth = a->pixel;
    } else if (w->dilation_w == 1) {
        t.tile.segments = w->kh;
        t.tile.depth = w->kw * a->pixel;
        t.tile.a_segment = w->dilation_h * row;
    } else {
        t.tile.segments = a->s.taps;
        t.tile.depth = a->pixel;
        t.tile.a_segment = w->dilation_h * row;
        t.tile.a_columns = w->kw;
        t.tile.a_column = w->dilation_w * a->pixel;
    }
    t.tile.b_segment = t.tile.depth * t.tile.b_k;
    t.tile.far = a->depth >= FAR_DEPTH;
    t.lines = is_pointwise(a) ? 1 : a->out_h;
    t.length = is_pointwise(a) ? (int64_t)a->out_h * a->out_w : a->out_w;
    t.a_line = stride_h * row;
    t.c_line = a->out_w * c_pixel;
    return t;
}

static void plan(struct plan *p, struct program *q, struct group *g)
{
    struct pass a = pass_of(p, g->main);
    struct product t = product_of(&a, a.out);
    const struct tensor *w = g->main->in[1];
    struct step *pack = plan_step(p, q, g, PART_PACK, SPLIT_BLOCKS, (int64_t)a.panels * a.s.taps, "pack weights", 0);
    struct step *main = plan_step(p, q, g, PART_MAIN, SPLIT_IMAGES, 0, plan_way(g),
                                  2 * a.s.k * a.s.o * a.s.oh * a.s.ow * p->batch);
    pack->hoisted = true;
    struct buffer *packed = plan_buffer(p, q, arena_printf(p->arena, "%s_%s", w->name, a.back ? "bf16_turned" : "bf16"),
                                        "bf16_pair", pack->blocks * tap_pairs(&a) * p->real_size);
    step_is_told(p, pack, ARGUMENT_BLOCK);
    step_takes(p, pack, ACCESS_READ, w);
    step_uses_part(p, pack, ACCESS_WRITE, packed, part_rows(pack->blocks, tap_pairs(&a)));
    step_takes(p, main, ACCESS_READ, g->main->in[0]);
    step_uses(p, main, ACCESS_READ, packed, TOUCH_ALL);
    step_takes(p, main, ACCESS_WRITE, g->result);
    step_takes_chain(p, main);
    step_scratch(p, main, a.ph * a.pw * a.pixel * p->real_size);
    if (t.tile.far)
        main->prefetch = "the place of each tile in the result, and what its chain reads";
    else if (product_by_rows(p, &t))
        main->prefetch = "the place of the tile below each in the result, and what its chain reads";
}

/* ---- packing ----------------------------------------------------------------------------------------------------- */

/* Block b, a panel and a tap of the forward pass: inputs 2 j and 2 j + 1 of the panel's outputs become row j. */
static const char *emit_pack(struct emitter *e, const struct pass *a, const char *comment)
{
    const char *real = e->plan->real;
    int lanes = e->plan->lanes, panel = a->panel, whole = a->in / 2;
    emit_function(e, "int b, const %s *w, bf16_pair *restrict packed", real);
    cw_line(e->w, "const %s *const from = w + (size_t)b * %d;", real, a->in * panel);
    cw_line(e->w, "bf16_pair *const to = packed + (size_t)b * %" PRId64 ";", tap_pairs(a));
    if (whole) {
        loop_open(e, "j", 0, whole, 1);
        cw_open(e->w, "for (int o = 0; o < %d; o += %d)", panel, lanes);
        cw_line(e->w, "v_store(to + j * %d + o, v_pair(v_load(from + j * %d + o), v_load(from + j * %d + %d + o)));",
                panel, 2 * panel, 2 * panel, panel);
        cw_close(e->w, "");
        cw_close(e->w, "}");
    }
    if (a->in % 2) {
        cw_open(e->w, "for (int o = 0; o < %d; o += %d)", panel, lanes);
        cw_line(e->w, "v_store(to%s + o, v_pair(v_load(from%s + o), v_zero()));", text_offset(e, whole * panel),
                text_offset(e, 2 * whole * panel));
        cw_close(e->w, "");
    }
    return emit_end(e, arena_printf(e->arena, "pack_bf16_%s_%d_to_%d", conv_name(e, &a->s), a->in, a->out), comment);
}

/* Block b, a panel of dx's channels and a tap, the last one first: outputs 2 j and 2 j + 1, which lie side by side,
 * become row j.  Weights end with zeros where a panel does. */
static const char *emit_pack_turned(struct emitter *e, const struct pass *a, const char *comment)
{
    const char *real = e->plan->real;
    int from_panel = a->s.weight->panel, rest = a->out % a->panel;
    emit_function(e, "int b, const %s *w, bf16_pair *restrict packed", real);
    cw_line(e->w, "const int first = b / %d * %d, tap = %d - b %% %d;", a->s.taps, a->panel, a->s.taps - 1, a->s.taps);
    if (rest)
        cw_line(e->w, "const int channels = first + %d < %d ? %d : %d - first;", a->panel, a->out, a->panel, a->out);
    cw_line(e->w, "const %s *const from = w + (tap * %d + first) * %d;", real, a->s.c, from_panel);
    cw_line(e->w, "bf16_pair *const to = packed + (size_t)b * %" PRId64 ";", tap_pairs(a));
    loop_open(e, "j", 0, a->pixel, 1);
    cw_line(e->w, "const %s *const row = from + (size_t)(2 * j / %d) * %" PRId64 " + 2 * j %% %d;", real, from_panel,
            a->s.k * from_panel, from_panel);
    cw_open(e->w, "for (int c = 0; c < %d; c++)", a->panel);
    const char *pair = arena_printf(e->arena, "bf16_pair_of(row[c * %d], row[c * %d + 1])", from_panel, from_panel);
    cw_line(e->w, "to[j * %d + c] = %s%s%s;", a->panel, rest ? "c < channels ? " : "", pair, rest ? " : 0" : "");
    cw_close(e->w, "");
    cw_close(e->w, "}");
    return emit_end(e, arena_printf(e->arena, "pack_bf16_turned_%s_%d_to_%d", conv_name(e, &a->s), a->in, a->out),
                    comment);
}

/* ---- the product ------------------------------------------------------------------------------------------------- */

static const char *emit_main(struct emitter *e, const struct step *step, const struct pass *a)
{
    const struct group *g = step->group;
    const char *real = e->plan->real, *x = a->back ? "dy" : "x", *y = a->back ? "dx" : "y";
    struct chain chain;
    chain_make(e->plan, g, &chain);
    struct product t = product_of(a, emit_is_strided(e, g->result) ? emit_pixel(e, g->result) : a->out);
    t.a = "pairs";
    t.b = "w";
    t.c = y;
    t.at = "0";
    t.tile.chain = g->chain_count ? &chain : NULL;
    emit_function(e, "const %s *%s, const bf16_pair *w, %s *restrict %s%s, bf16_pair *restrict pairs", real, x, real, y,
                  chain_parameters(e, &chain));
    emit_pairs_copy(e, x, "pairs", a->in_h, a->in_w, a->in, a->top, a->left, a->ph, a->pw);
    product_emit(e, &t);
    const char *hint = arena_printf(e->arena, "%s_bf16%s_%dx%dx%d_to_%dx%dx%d", conv_name(e, &a->s),
                                    a->back ? "_data_grad" : "", a->in, a->in_h, a->in_w, a->out, a->out_h, a->out_w);
    return emit_end(e, hint, emit_comment(e, step));
}

static const char *emit(struct emitter *e, const struct step *step)
{
    struct pass a = pass_of(e->plan, step->group->main);
    if (step->part == PART_MAIN)
        return emit_main(e, step, &a);
    const char *comment = arena_printf(e->arena,
                                       "The weights of %s%s in bfloat16: (%d in panels of %d, tap, pairs of %d); "
                                       "block b is one panel and tap.", step->group->main->layer->name,
                                       a.back ? " for its data gradient" : "", a.out, a.panel, a.in);
    return a.back ? emit_pack_turned(e, &a, comment) : emit_pack(e, &a, comment);
}

/* Its result, where the chain reads nothing that would have to be as far apart. */
static bool strided(const struct plan *p, const struct group *g, const struct tensor *t)
{
    return t == g->result && chain_is_by_channel(p, g);
}

const struct kernel kernel_conv2d_bf16 = {
    .name = "bf16", .op = OP_conv2d, .bf16 = true, .fuses_chain = true, .applicable = applicable, .cost = cost,
    .plan = plan,
    .emit = emit, .strided = strided, .help = "register tiles of pairs of bfloat16, summed in float",
};

const struct kernel kernel_conv2d_bf16_data_grad = {
    .name = "bf16", .op = OP_conv2d_data_grad, .bf16 = true, .fuses_chain = true, .applicable = applicable,
    .cost = cost, .plan = plan,
    .emit = emit, .help = "a convolution of dy in pairs of bfloat16 with the filters turned over",
};
