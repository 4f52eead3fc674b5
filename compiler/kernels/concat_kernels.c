/* concat_kernels.c - what of a concatenation, or of its gradient, is no view: those inputs are copied, pixel by
 * pixel. */
#include <inttypes.h>

#include "kernels/loops.h"

/* The part of node n that is number i, and the channel of the whole that it begins at. */
static const struct tensor *part_of(const struct node *n, int i, int *channel)
{
    if (n->op == OP_slice) {
        *channel = n->attr.channel;
        return n->out[0];
    }
    *channel = n->op == OP_pad_channels ? n->attr.channel : 0;
    for (int k = 0; k < i; k++)
        *channel += n->in[k]->shape.c;
    return n->in[i];
}

static int parts_count(const struct node *n)
{
    return n->op == OP_slice ? 1 : n->in_count;
}

static double copy_cost(const struct plan *p, const struct group *g)
{
    return pass_cycles(p, g->main->out[0], 0, 2);
}

/* A step, unless all parts are views; but what is no part of a wider map must become 0. */
static void copy_plan(struct plan *p, struct program *q, struct group *g)
{
    const struct node *n = g->main;
    const struct tensor *whole = n->op == OP_slice ? n->in[0] : n->out[0];
    struct step *s = NULL;
    for (int i = 0, channel; i < parts_count(n); i++) {
        const struct tensor *part = part_of(n, i, &channel);
        if (plan_lies_inside(q, part, whole, channel))
            continue;
        s = s ? s : plan_step(p, q, g, 0, SPLIT_IMAGES, 0, n->backward ? "data gradient" : "forward", 0);
        step_takes(p, s, n->op == OP_slice ? ACCESS_WRITE : ACCESS_READ, part);
    }
    if (!s && n->op == OP_pad_channels)
        s = plan_step(p, q, g, 0, SPLIT_IMAGES, 0, plan_way(g), 0);
    if (s)
        step_takes(p, s, n->op == OP_slice ? ACCESS_READ : ACCESS_WRITE, whole);
}

/* What is written for any machine includes nothing that has memcpy(). */
static void write_loop(struct emitter *e, const struct program *q, const struct tensor *whole, int channel,
                       const struct tensor *part, int number)
{
    cw_open(e->w, "for (int c = 0; c < %d; c++)", part->shape.c);
    cw_line(e->w, "y[p * %" PRId64 "%s + c] = x%d[p * %" PRId64 " + c];", plan_place(q, whole)->pixel,
            text_offset(e, channel), number, plan_place(q, part)->pixel);
    cw_close(e->w, "");
}

/* Channels from .. to - 1 of the whole's pixel p become 0. */
static void write_zeros(struct emitter *e, const struct tensor *whole, int from, int to)
{
    const char *at = text_printf(e, "y + p * %" PRId64 "%s", plan_place(e->program, whole)->pixel,
                                 text_offset(e, from));
    if (from == to)
        return;
    if (!e->plan->target->portable) {
        cw_line(e->w, "memset(%s, 0, sizeof(%s) * %d);", at, e->plan->real, to - from);
        return;
    }
    cw_open(e->w, "for (int c = %d; c < %d; c++)", from, to);
    cw_line(e->w, "y[p * %" PRId64 " + c] = 0;", plan_place(e->program, whole)->pixel);
    cw_close(e->w, "");
}

static const char *copy_emit(struct emitter *e, const struct step *s)
{
    const struct node *n = s->group->main;
    const struct program *q = e->program;
    bool slice = n->op == OP_slice;
    const struct tensor *whole = slice ? n->in[0] : n->out[0];
    const char *real = e->plan->real, *parameters = "";
    int count = 0, channel;
    for (int i = 0; i < parts_count(n); i++) {
        const struct tensor *part = part_of(n, i, &channel);
        if (!plan_lies_inside(q, part, whole, channel))
            parameters = text_printf(e, "%s%s%s *%sx%d", parameters, count++ ? ", " : "",
                                     slice ? real : text_printf(e, "const %s", real), slice ? "restrict " : "", i);
    }
    emit_function(e, "%s%s%s%s *%sy", parameters, count ? ", " : "", slice ? "const " : "", real,
                  slice ? "" : "restrict ");
    cw_line(e->w, "// y (%d, %d, %d)", whole->shape.h, whole->shape.w, whole->shape.c);
    cw_open(e->w, "for (int p = 0; p < %" PRId64 "; p++) {", tensor_pixels(whole));
    if (n->op == OP_pad_channels) {
        write_zeros(e, whole, 0, n->attr.channel);
        write_zeros(e, whole, n->attr.channel + n->in[0]->shape.c, whole->shape.c);
    }
    for (int i = 0; i < parts_count(n); i++) {
        const struct tensor *part = part_of(n, i, &channel);
        if (plan_lies_inside(q, part, whole, channel))
            continue;
        if (e->plan->target->portable) {
            write_loop(e, q, whole, channel, part, i);
            continue;
        }
        const char *x = text_printf(e, "x%d + p * %" PRId64, i, plan_place(q, part)->pixel);
        const char *y = text_printf(e, "y + p * %" PRId64 "%s", plan_place(q, whole)->pixel, text_offset(e, channel));
        cw_line(e->w, "memcpy(%s, %s, sizeof(%s) * %d);", slice ? x : y, slice ? y : x, real, part->shape.c);
    }
    cw_close(e->w, "}");
    return emit_end(e, text_printf(e, "%s_%s", slice ? "slice" : n->op == OP_concat ? "concat" : "pad_channels",
                                   text_shape(e, whole->shape)), emit_comment(e, s));
}

static bool copy_strided(const struct plan *p, const struct group *g, const struct tensor *t)
{
    (void)p;
    (void)g;
    (void)t;
    return true;
}

const struct kernel kernel_concat = {
    .name = "concat", .op = OP_concat, .applicable = always_applicable, .cost = copy_cost, .plan = copy_plan,
    .emit = copy_emit, .strided = copy_strided, .help = "views; what cannot be one is copied",
};

const struct kernel kernel_pad_channels = {
    .name = "pad_channels", .op = OP_pad_channels, .applicable = always_applicable, .cost = copy_cost,
    .plan = copy_plan,
    .emit = copy_emit, .strided = copy_strided, .help = "a view where it can be one, and zeros beside it",
};

const struct kernel kernel_portable_pad_channels = {
    .name = "portable", .op = OP_pad_channels, .portable = true, .applicable = always_applicable, .cost = copy_cost,
    .plan = copy_plan, .emit = copy_emit, .help = "copies, pixel by pixel",
};

const struct kernel kernel_slice = {
    .name = "slice", .op = OP_slice, .applicable = always_applicable, .cost = copy_cost, .plan = copy_plan,
    .emit = copy_emit, .strided = copy_strided, .help = "a view, or a copy",
};

const struct kernel kernel_portable_concat = {
    .name = "portable", .op = OP_concat, .portable = true, .applicable = always_applicable, .cost = copy_cost,
    .plan = copy_plan, .emit = copy_emit, .help = "copies, pixel by pixel",
};
