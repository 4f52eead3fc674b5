/* chain_sums.c - sums that a kernel takes of its result while it is in registers: those that the gradients of gamma and
 * beta of the normalisation before the layer want, of dy and of dy (x - mean), image by image.
 *
 * An image has a row of its own of the buffer: a run of sums and the sums of runs, each with two vectors for each
 * vector of channels, dy (x - mean) and dy.  What is in registers is added to the run, and the run to the rest after
 * some pixels: rounding grows with the length of a run and the number of runs, as it does where a map is summed row by
 * row. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/chain_parts.h"

enum { SUMS_X, SUMS_MEAN, SUMS_ROW, SUMS_OPERANDS };

int64_t chain_sums_row(const struct plan *p, int channels)
{
    return 4 * plan_round(channels, p->lanes);
}

void chain_sums_operands(const struct plan *p, const struct group *g, struct chain *c)
{
    const struct node *n = g->sums;     /* x, mean, inverse_deviation, dy */
    const char *map = arena_printf(p->arena, "const %s *", p->real);
    chain_operand(p, c, OPERAND_ELEMENT, "normed_x", map)->tensor = n->in[0];
    chain_operand(p, c, OPERAND_COLUMN, "normed_mean", map)->tensor = n->in[1];
    chain_operand(p, c, OPERAND_SUMS, "sums", arena_printf(p->arena, "%s *restrict ", p->real))->number =
        chain_sums_row(p, n->in[0]->shape.c);
}

bool chain_has_sums(const struct chain *c)
{
    return c && c->group->sums;
}

const struct chain *chain_in_use(const struct chain *c)
{
    return c->group->chain_count || c->group->sums ? c : NULL;
}

static const struct operand *sums_operand(const struct chain *c, int which)
{
    return &c->operands[c->operands_count - SUMS_OPERANDS + which];
}

const char *text_twice(struct emitter *e, const char *offset)
{
    return text_times(e, strpbrk(offset, "+-") ? text_printf(e, "(%s)", offset) : offset, 2);
}

void chain_sums_begin(struct emitter *e, const struct chain *c, int k)
{
    if (chain_has_sums(c))
        cw_line(e->w, "v scales%d = v_zero(), shifts%d = v_zero();", k, k);
}

const char *chain_sums_add(struct emitter *e, const struct chain *c, const char *value, const char *name, int k,
                           const char *col, const char *at, int tail)
{
    if (!chain_has_sums(c))
        return value;
    const char *x = text_load(e, sums_operand(c, SUMS_X)->name, at, tail);
    const char *mean = text_load(e, sums_operand(c, SUMS_MEAN)->name, col, 0);
    cw_line(e->w, "const v %s = %s;", name, value);
    cw_line(e->w, "scales%d = v_fma(%s, v_sub(%s, %s), scales%d);", k, name, x, mean, k);
    cw_line(e->w, "shifts%d = v_add(shifts%d, %s);", k, k, name);
    return name;
}

void chain_sums_end(struct emitter *e, const struct chain *c, int k, const char *col)
{
    static const char *const names[] = { "scales", "shifts" };
    if (!chain_has_sums(c))
        return;
    for (int i = 0; i < 2; i++) {
        const char *at = text_plus(e, text_twice(e, col), i ? "V_LANES" : "0"), *to = sums_operand(c, SUMS_ROW)->name;
        line_store(e, to, at, text_printf(e, "v_add(%s, %s%d)", text_load(e, to, at, 0), names[i], k), 0);
    }
}

void chain_sums_clear(struct emitter *e, const struct chain *c, int images)
{
    if (chain_has_sums(c))
        cw_line(e->w, "memset(%s, 0, sizeof(%s) * %" PRId64 ");", sums_operand(c, SUMS_ROW)->name, e->plan->real,
                images * sums_operand(c, SUMS_ROW)->number);
}

/* take_run(sums): `channels` channels of the run go to the sums of runs, which lie half a row behind it. */
static const char *emit_take(struct emitter *e, const struct chain *c, int channels)
{
    int64_t behind = sums_operand(c, SUMS_ROW)->number / 2, count = 2 * plan_round(channels, e->plan->lanes);
    emit_inline(e, "%s *sums", e->plan->real);
    cw_open(e->w, "for (int i = 0; i < %" PRId64 "; i += V_LANES) {", count);
    cw_line(e->w, "v_store(sums + %" PRId64 " + i, v_add(v_load(sums + %" PRId64 " + i), v_load(sums + i)));", behind,
            behind);
    cw_line(e->w, "v_store(sums + i, v_zero());");
    cw_close(e->w, "}");
    return emit_end_shared(e, text_printf(e, "take_run_%d", channels),
                           "A run of sums is added to the sums of runs, and begins again.");
}

void chain_sums_take(struct emitter *e, const struct chain *c, const char *col, int channels)
{
    if (chain_has_sums(c))
        cw_line(e->w, "%s(%s);", emit_take(e, c, channels),
                text_plus(e, sums_operand(c, SUMS_ROW)->name, strcmp(col, "0") ? text_twice(e, col) : "0"));
}

struct chain chain_sums_of_image(struct emitter *e, const struct chain *c, const char *image)
{
    struct chain own = *c;
    struct operand *row = &own.operands[own.operands_count - SUMS_OPERANDS + SUMS_ROW];
    cw_line(e->w, "%s *const own_sums = %s + %s * %" PRId64 ";", e->plan->real, row->name, image, row->number);
    row->name = "own_sums";
    return own;
}

void chain_sums_take_all(struct emitter *e, const struct chain *c, int images)
{
    if (!chain_has_sums(c))
        return;
    int channels = c->group->sums->in[0]->shape.c;
    if (images == 1) {
        chain_sums_take(e, c, "0", channels);
        return;
    }
    cw_open(e->w, "for (int i = 0; i < %d; i++) {", images);
    struct chain own = chain_sums_of_image(e, c, "i");
    chain_sums_take(e, &own, "0", channels);
    cw_close(e->w, "}");
}
