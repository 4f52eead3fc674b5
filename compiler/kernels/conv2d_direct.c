/* conv2d_direct.c - the forward convolution as register tiles over the pixels of a row.
 *
 * Where a window's row of pixels is contiguous (no dilation) it is one stretch of A: KH segments of KW x C.  Zeros
 * around the picture come from a copy in the thread's scratch: for any but the thinnest layers it costs less than
 * tiles that know about borders.
 *
 * A batch of one image is cut into blocks of the product instead; the copy is then a step of its own. */
#include <inttypes.h>

#include "kernels/conv_geometry.h"
#include "kernels/loops.h"
#include "kernels/product.h"

static bool applicable(const struct plan *p, const struct group *g)
{
    (void)p;
    (void)g;
    return true;
}

/* 1x1 without stride and zeros: all pixels are one long line. */
static bool is_pointwise(const struct conv_geometry *g)
{
    return g->taps == 1 && g->window.stride_h == 1 && g->window.stride_w == 1 && !g->padded;
}

static double cost(const struct plan *p, const struct group *g)
{
    struct conv_geometry s = conv_geometry_of(p, g->main);
    int64_t pixels = (int64_t)s.oh * s.ow * p->batch;
    double cycles = product_cycles(p, s.o, s.weight->panel, pixels, is_pointwise(&s) ? s.oh * s.ow : s.ow, s.k);
    double copy = s.padded ? 2.0 * s.ph * s.pw * s.c * p->real_size * p->batch / p->target->costs->copy_rate : 0;
    copy += s.padded ? plan_barrier_cycles(p, 1) : 0;
    /* one image must wait for the weights to come from memory */
    double stream = p->batch == 1 ? (double)s.weight->stored * p->real_size / p->target->memory_bytes_per_cycle : 0;
    return (cycles > stream ? cycles : stream) + copy + group_chain_cycles(p, g);
}

/* Segments of A in the order of the weights: (kh, kw, c). */
static void window_segments(struct tile *t, const struct conv_geometry *s, int64_t row)
{
    const struct window *w = &s->window;
    t->a_k = 1;
    if (is_pointwise(s) || (s->taps == 1)) {
        t->segments = 1;
        t->depth = s->c;
    } else if (w->dilation_w == 1) {
        t->segments = w->kh;
        t->depth = (int64_t)w->kw * s->c;
        t->a_segment = w->dilation_h * row;
    } else {
        t->segments = s->taps;
        t->depth = s->c;
        t->a_segment = w->dilation_h * row;
        t->a_columns = w->kw;
        t->a_column = (int64_t)w->dilation_w * s->c;
    }
    t->b_k = s->weight->panel;
    t->b_segment = t->depth * t->b_k;
}

/* The rows and panels of the product; pixels of the result are y_pixel elements apart. */
static struct product product_of(const struct conv_geometry *s, int64_t y_pixel)
{
    int64_t row = (int64_t)(s->padded ? s->pw : s->w) * s->c;
    struct product t = { .channels = s->o, .panel = s->weight->panel, .panel_stride = s->k * s->weight->panel };
    t.tile.a_row = (int64_t)s->window.stride_w * s->c;
    t.tile.c_row = y_pixel;
    t.lines = is_pointwise(s) ? 1 : s->oh;
    t.length = is_pointwise(s) ? (int64_t)s->oh * s->ow : s->ow;
    t.a_line = s->window.stride_h * row;
    t.c_line = s->ow * y_pixel;
    window_segments(&t.tile, s, row);
    return t;
}

enum { PART_MAIN, PART_PADDING };

#define ASKED_Y "the place of each tile in y, and what its chain reads"
#define ASKED_BELOW "the place of the tile below each in y, and what its chain reads"

static void plan(struct plan *p, struct program *q, struct group *g)
{
    struct conv_geometry s = conv_geometry_of(p, g->main);
    struct product t = product_of(&s, s.o);
    int64_t flops = 2 * s.k * s.o * s.oh * s.ow * p->batch;
    if (!plan_splits_image(p, cost(p, g))) {
        struct step *main = plan_step(p, q, g, PART_MAIN, SPLIT_IMAGES, 0, plan_way(g), flops);
        step_takes(p, main, ACCESS_READ, g->main->in[0]);
        step_takes(p, main, ACCESS_READ, g->main->in[1]);
        step_takes(p, main, ACCESS_WRITE, g->result);
        step_takes_chain(p, main);
        if (s.padded)
            step_scratch(p, main, (int64_t)s.ph * s.pw * s.c * p->real_size);
        main->prefetch = s.k >= FAR_DEPTH ? ASKED_Y : product_by_rows(p, &t) ? ASKED_BELOW : NULL;
        return;
    }
    struct step *padding = s.padded ? conv_padding_plan(p, q, g, PART_PADDING) : NULL;
    struct step *main = plan_step(p, q, g, PART_MAIN, SPLIT_BLOCKS, product_blocks(p, &t), plan_way(g), flops);
    step_is_told(p, main, ARGUMENT_BLOCK);
    if (padding)
        step_uses(p, main, ACCESS_READ, conv_padding_buffer(p, q, g, padding), TOUCH_ALL);
    else
        step_takes(p, main, ACCESS_READ, g->main->in[0]);
    step_takes(p, main, ACCESS_READ, g->main->in[1]);
    step_takes_part(p, main, ACCESS_WRITE, g->result, product_part(p, &t));
    step_takes_chain(p, main);
    main->prefetch = s.k >= FAR_DEPTH ? ASKED_Y : NULL;
}

static const char *emit_main(struct emitter *e, const struct step *step)
{
    const struct group *g = step->group;
    struct conv_geometry s = conv_geometry_of(e->plan, g->main);
    const char *real = e->plan->real;
    bool blocks = step->split == SPLIT_BLOCKS, copies = s.padded && !blocks;
    struct chain chain;
    chain_make(e->plan, g, &chain);
    struct product t = product_of(&s, emit_is_strided(e, g->result) ? emit_pixel(e, g->result) : s.o);
    t.a = copies ? "scratch" : "x";
    t.b = "w";
    t.c = "y";
    t.at = "0";
    t.tile.chain = g->chain_count ? &chain : NULL;
    t.tile.far = s.k >= FAR_DEPTH;
    t.maps = true;

    emit_function(e, "%sconst %s *x, const %s *w, %s *restrict y%s%s",
                  blocks ? "int b, " : "", real, real, real, chain_parameters(e, &chain),
                  copies ? arena_printf(e->arena, ", %s *restrict scratch", real) : "");
    if (copies)
        emit_padded_copy(e, "x", "scratch", s.h, s.w, s.c, s.window.pad_top, s.window.pad_left, s.ph, s.pw);
    if (blocks)
        product_emit_block(e, &t);
    else
        product_emit(e, &t);
    const char *hint = arena_printf(e->arena, "%s_%dx%dx%d_to_%dx%dx%d", conv_name(e, &s), s.c, s.h, s.w, s.o, s.oh,
                                    s.ow);
    return emit_end(e, hint, emit_comment(e, step));
}

static const char *emit(struct emitter *e, const struct step *step)
{
    return step->part == PART_PADDING ? conv_padding_emit(e, step) : emit_main(e, step);
}

/* Its result, where the chain reads nothing that would have to be as far apart. */
static bool strided(const struct plan *p, const struct group *g, const struct tensor *t)
{
    return t == g->result && chain_is_by_channel(p, g);
}

const struct kernel kernel_conv2d_direct = {
    .name = "direct", .op = OP_conv2d, .fuses_chain = true, .applicable = applicable, .cost = cost, .plan = plan,
    .emit = emit, .strided = strided, .help = "register tiles over the pixels of a row",
};
