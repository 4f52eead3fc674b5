/* conv2d_winograd_filters.c - U, the weights at the points of minimal filtering: made anew each step, block by block,
 * turned for the data gradient, rounded for products of bfloat16; or kept from call to call. */
#include <inttypes.h>

#include "kernels/bf16.h"
#include "kernels/conv2d_winograd.h"
#include "kernels/loops.h"

bool winograd_keeps_filters(const struct plan *p, const struct group *g)
{
    return p->batch == 1 && !g->training && g->main->op == OP_conv2d;
}

int64_t winograd_turned_size(const struct winograd_conv *c)
{
    return c->data_grad ? (int64_t)c->s.taps * U_CHUNK * c->panel : 0;
}

struct weight_text {
    const struct winograd_conv *c;
    int64_t tap_stride;
};

static const char *load_tap(struct emitter *e, const void *data, int i, const struct winograd_run *j)
{
    const struct weight_text *x = data;
    int64_t first = (i * x->c->tiles.r_h + j->first) * x->tap_stride;
    return arena_printf(e->arena, "v_load(from%s)", winograd_along(e, j, first, x->tap_stride));
}

static bool position_begins(const void *data, int p)
{
    return winograd_row_begins(&((const struct weight_text *)data)->c->tiles, p);
}

static void store_position(struct emitter *e, const void *data, const struct winograd_run *p, int q, const char *value)
{
    const struct winograd_conv *c = ((const struct weight_text *)data)->c;
    int first = c->tiles.number_of[p->first][q], step = p->count > 1 ? c->tiles.number_of[p->first + 1][q] - first : 0;
    cw_line(e->w, "v_store(to%s, %s);", winograd_along(e, p, first * c->u_position, step * c->u_position), value);
}

/* One vector of U for every position: G g G^T. */
void winograd_emit_weight_vector(struct emitter *e, const struct winograd_conv *c, int64_t tap_stride)
{
    struct winograd v, h;
    winograd_of_tiles(&c->tiles, &v, &h);
    winograd_emit_two_way(e, &(struct winograd_two_way){
        .left = winograd_emit_line(e, &v.g, "g", "G g", &v), .right = winograd_emit_line(e, &h.g, "g", "G g", &h),
        .row_begins = position_begins, .load = load_tap, .store = store_position,
        .data = &(struct weight_text){ .c = c, .tap_stride = tap_stride },
    });
}

/* The weights of the next U_CHUNK multiplied channels are asked for: pieces of them lie far apart. */
static const char *ask_for_next(struct emitter *e, const struct winograd_conv *c, const char *k)
{
    int panel = c->s.weight->panel;
    if (panel == U_CHUNK)
        return arena_printf(e->arena, "%" PRId64, c->s.k * panel);
    return arena_printf(e->arena, "(%s %% %d < %d ? %d : %" PRId64 ")", k, panel, panel - U_CHUNK, U_CHUNK,
                        c->s.k * panel - panel + U_CHUNK);
}

/* Squares of vectors, where nothing is left over. */
static void emit_turn_squares(struct emitter *e, const struct winograd_conv *c, const char *tap)
{
    int panel = c->s.weight->panel;
    const char *real = e->plan->real;
    cw_open(e->w, "for (int k = first; k < end; k += V_LANES) {");
    cw_line(e->w, "const %s *const row = w + (size_t)(k / %d) * %" PRId64 " + (tap * %d + panel * %d) * %d + k %% %d;",
            real, panel, c->s.k * panel, c->s.c, c->panel, panel, panel);
    cw_line(e->w, "%s *const line = scratch + (%s * %d + k - first) * %d;", real, tap, U_CHUNK, c->panel);
    if (c->from > U_CHUNK && panel >= U_CHUNK) {
        cw_open(e->w, "for (int i = 0; i < %d && k == first && end < %d; i++)", c->panel, c->from);
        cw_line(e->w, "v_prefetch(row + %s + i * %d);", ask_for_next(e, c, "k"), panel);
        cw_close(e->w, "");
    }
    loop_open_vectors(e, "i", c->panel);
    cw_line(e->w, "v_turn(row + i * %d, %d, line + i, %d);", panel, panel, c->panel);
    cw_close(e->w, "}");
    cw_close(e->w, "}");
}

/* For the data gradient: the weights of the block's outputs, turned so that a vector runs over input channels. */
void winograd_emit_turn(struct emitter *e, const struct winograd_conv *c)
{
    const char *real = e->plan->real;
    int from_panel = c->s.weight->panel;
    bool turned = !c->transposed;       /* by half: the last tap first */
    const char *to_tap = turned ? arena_printf(e->arena, "(%d - tap)", c->s.taps - 1) : "tap";
    cw_line(e->w, "// (tap, output, input channel)");
    loop_open(e, "tap", 0, c->s.taps, 1);
    if (c->to % c->panel == 0 && c->from % e->plan->lanes == 0) {
        emit_turn_squares(e, c, to_tap);
        cw_close(e->w, "}");
        return;
    }
    cw_open(e->w, "for (int k = first; k < end; k++) {");
    cw_line(e->w, "const %s *const row = w + (size_t)(k / %d) * %" PRId64 " + (tap * %d + panel * %d) * %d + k %% %d;",
            real, from_panel, c->s.k * from_panel, c->s.c, c->panel, from_panel, from_panel);
    cw_line(e->w, "%s *const line = scratch + (%s * %d + k - first) * %d;", real, to_tap, U_CHUNK, c->panel);
    cw_open(e->w, "for (int i = 0; i < %d; i++)", c->panel);
    if (c->to % c->panel)
        cw_line(e->w, "line[i] = panel * %d + i < %d ? row[i * %d] : 0;", c->panel, c->to, from_panel);
    else
        cw_line(e->w, "line[i] = row[i * %d];", from_panel);
    cw_close(e->w, "");
    cw_close(e->w, "}");
    cw_close(e->w, "}");
}

/* Nothing is to be done where the block's weights are the kept ones. */
static void emit_compare(struct emitter *e, const struct winograd_conv *c)
{
    int64_t tap = (int64_t)c->s.c * c->panel;
    cw_line(e->w, "const size_t at = (size_t)panel * %" PRId64 " + (size_t)first * %d;", c->s.k * c->panel, c->panel);
    cw_line(e->w, "const size_t bytes = sizeof(%s) * %d * (size_t)(end - first);", e->plan->real, c->panel);
    cw_line(e->w, "int other = 0;");
    cw_open(e->w, "for (int tap = 0; tap < %d; tap++)", c->s.taps);
    cw_line(e->w, "other |= memcmp(kept + at + tap * %" PRId64 ", w + at + tap * %" PRId64 ", bytes);", tap, tap);
    cw_close(e->w, "");
    cw_open(e->w, "if (!other)");
    cw_line(e->w, "return;");
    cw_close(e->w, "");
}

static void emit_keep(struct emitter *e, const struct winograd_conv *c)
{
    int64_t tap = (int64_t)c->s.c * c->panel;
    cw_open(e->w, "for (int tap = 0; tap < %d; tap++)", c->s.taps);
    cw_line(e->w, "memcpy(kept + at + tap * %" PRId64 ", w + at + tap * %" PRId64 ", bytes);", tap, tap);
    cw_close(e->w, "");
}

const char *winograd_filters_emit(struct emitter *e, const struct step *step)
{
    const struct group *g = step->group;
    const struct node *n = g->main;
    struct winograd_conv c;
    winograd_conv_of(e->plan, g, g->kernel->number, &c);
    const char *real = e->plan->real;
    bool keeps = winograd_keeps_filters(e->plan, g);
    emit_function(e, "int b, const %s *w, %s *restrict u%s%s",
                  real, c.pairs ? "bf16_pair" : real, keeps ? arena_printf(e->arena, ", %s *restrict kept", real) : "",
                  c.data_grad || c.pairs ? arena_printf(e->arena, ", %s *restrict scratch", real) : "");
    winograd_emit_block(e, c.from, U_CHUNK);
    struct winograd_conv at = c;        /* where the transform leaves it */
    if (c.pairs) {
        at.u_position = (int64_t)U_CHUNK * c.panel;
        cw_line(e->w, "%s *const block = scratch%s;  // (position, channel, %d)", real,
                text_offset(e, winograd_turned_size(&c)), c.panel);
    }
    if (keeps)
        emit_compare(e, &c);
    int64_t tap_stride = (int64_t)c.s.c * c.panel;
    if (c.data_grad) {
        winograd_emit_turn(e, &c);
        tap_stride = (int64_t)U_CHUNK * c.panel;
    }
    cw_open(e->w, "for (int k = first; k < end; k++) {");
    loop_open_vectors(e, "lane", c.panel);
    if (c.data_grad)
        cw_line(e->w, "const %s *const from = scratch + (k - first) * %d + lane;", real, c.panel);
    else
        cw_line(e->w, "const %s *const from = w + (size_t)panel * %" PRId64 " + k * %d + lane;", real, c.s.k * c.panel,
                c.panel);
    if (c.pairs)
        cw_line(e->w, "%s *const to = block + (k - first) * %d + lane;", real, c.panel);
    else
        cw_line(e->w, "%s *const to = u + panel * %" PRId64 " + k * %d + lane;", real, c.u_panel, c.panel);
    winograd_emit_weight_vector(e, &at, tap_stride);
    cw_close(e->w, "}");
    cw_close(e->w, "}");
    if (c.pairs) {
        loop_open(e, "i", 0, c.tiles.positions, 1);
        cw_line(e->w, "bf16_pair *const to = u + panel * %" PRId64 " + i * %" PRId64 " + first / 2 * %d;", c.u_panel,
                c.u_position, c.panel);
        cw_line(e->w, "bf16_rows(block + i * %" PRId64 ", %d, to, end - first, %d);", at.u_position, c.panel, c.panel);
        cw_close(e->w, "}");
    }
    if (keeps)
        emit_keep(e, &c);
    const char *hint = arena_printf(e->arena, "winograd%s_weights_%s%s_%d_to_%d", winograd_suffix(&c),
                                    conv_name(e, &c.s), c.data_grad ? "_turned" : "", c.from, c.to);
    const char *comment = arena_printf(e->arena,
                                       "The weights of %s at %d points: G g G^T, (%d in panels of %d, position, "
                                       "%s%d)%s; block b is a panel and %d channels.%s",
                                       n->layer->name, c.tiles.positions, c.to, c.panel, c.pairs ? "pairs of " : "",
                                       c.from, c.pairs ? " in bfloat16" : "", U_CHUNK,
                                       keeps ? " Only where weights have changed." : "");
    return emit_end(e, hint, comment);
}
