/* reorder.c - a flat map from memory order (h, w, c) into the order a user counts (c, h, w), or back. */
#include <inttypes.h>

#include "kernels/loops.h"

static double reorder_cost(const struct plan *p, const struct group *g)
{
    return pass_cycles(p, g->main->in[0], p->target->costs->gathered * p->lanes, 2);
}

static void reorder_plan(struct plan *p, struct program *q, struct group *g)
{
    struct step *s =
        plan_step(p, q, g, 0, SPLIT_IMAGES, 0, g->main->backward ? "data gradient" : "forward", group_flops(p, g));
    step_takes(p, s, ACCESS_READ, g->main->in[0]);
    step_takes(p, s, ACCESS_WRITE, g->main->out[0]);
}

static const char *reorder_emit(struct emitter *e, const struct step *s)
{
    const struct tensor *x = s->group->main->in[0], *y = s->group->main->out[0];
    bool forth = x->order.c != 0;       /* out of memory order */
    const struct map_order m = forth ? x->order : y->order;
    const char *real = e->plan->real;
    emit_function(e, "const %s *x, %s *restrict y", real, real);
    if (m.c == 0) {
        cw_line(e->w, "memcpy(y, x, %" PRId64 " * sizeof *y);", tensor_elements(x));
    } else {
        const char *map = text_printf(e, "(%d, %d, %d)", m.h, m.w, m.c);
        const char *counted = text_printf(e, "(%d, %d, %d)", m.c, m.h, m.w);
        cw_line(e->w, "// x %s, y %s", forth ? map : counted, forth ? counted : map);
        loop_open(e, "j", 0, m.c, 1);
        loop_open(e, "p", 0, m.h * m.w, 1);
        if (forth)
            cw_line(e->w, "y[j * %d + p] = x[p * %d + j];", m.h * m.w, m.c);
        else
            cw_line(e->w, "y[p * %d + j] = x[j * %d + p];", m.c, m.h * m.w);
        cw_close(e->w, "}");
        cw_close(e->w, "}");
    }
    const char *hint = text_printf(e, "reorder_%s%d_%d_%d", forth ? "" : "back_", m.c, m.h, m.w);
    return emit_end(e, hint, emit_comment(e, s));
}

const struct kernel kernel_reorder = {
    .name = "reorder", .op = OP_reorder, .applicable = always_applicable, .cost = reorder_cost, .plan = reorder_plan,
    .emit = reorder_emit, .help = "a transpose of each image",
};
