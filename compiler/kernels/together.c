/* together.c - what kernels for images that lie together share: copies in and out, and what a tile costs there. */
#include <inttypes.h>

#include "kernels/together.h"

bool lies_together(const struct program *q, const struct tensor *t)
{
    return plan_place(q, t)->together > 0;
}

/* Squares of V_LANES images x V_LANES elements; the last one overlaps the one before, and what is smaller than a square
 * goes one by one. */
static void emit_turn_row(struct emitter *e, const char *from, const char *to, int64_t count, int64_t from_row,
                          int64_t to_row, bool in)
{
    int lanes = e->plan->lanes;
    int64_t whole = count / lanes * lanes;
    if (count < lanes) {
        cw_open(e->w, "for (int k = 0; k < %" PRId64 "; k++)", count);
        cw_open(e->w, "for (int image = 0; image < V_LANES; image++)");
        if (in)
            cw_line(e->w, "%s[k * V_LANES + image] = %s[image * %" PRId64 " + k];", to, from, from_row);
        else
            cw_line(e->w, "%s[image * %" PRId64 " + k] = %s[k * V_LANES + image];", to, to_row, from);
        cw_close(e->w, "");
        cw_close(e->w, "");
        return;
    }
    const char *k = "", *squares = "";
    if (whole > lanes) {
        cw_open(e->w, "for (int k = 0; k < %" PRId64 "; k += V_LANES)", whole);
        k = " + k";
        squares = " + k * V_LANES";
    }
    if (in)
        cw_line(e->w, "v_turn(%s%s, %" PRId64 ", %s%s, V_LANES);", from, k, from_row, to, squares);
    else
        cw_line(e->w, "v_turn(%s%s, V_LANES, %s%s, %" PRId64 ");", from, squares, to, k, to_row);
    if (whole > lanes)
        cw_close(e->w, "");
    if (whole == count)
        return;
    int64_t last = count - lanes;
    if (in)
        cw_line(e->w, "v_turn(%s + %" PRId64 ", %" PRId64 ", %s + %" PRId64 ", V_LANES);", from, last, from_row, to,
                last * lanes);
    else
        cw_line(e->w, "v_turn(%s + %" PRId64 ", V_LANES, %s + %" PRId64 ", %" PRId64 ");", from, last * lanes, to, last,
                to_row);
}

void emit_turn_in(struct emitter *e, const char *from, const char *to, int h, int w, int c, int left, int columns)
{
    const char *real = e->plan->real;
    int lanes = e->plan->lanes, right = columns - left - w;
    int64_t row = (int64_t)w * c;
    if (!left && !right) {
        cw_line(e->w, "// %d images put together", lanes);
        emit_turn_row(e, from, to, h * row, h * row, lanes, true);
        return;
    }
    cw_line(e->w, "// %d images put together, with columns of zeros: %d x %d x %d", lanes, h, columns, c);
    loop_open(e, "r", 0, h, 1);
    cw_line(e->w, "const %s *const row = %s + r * %" PRId64 ";", real, from, row);
    cw_line(e->w, "%s *const line = %s + r * %" PRId64 ";", real, to, (int64_t)columns * c * lanes);
    if (left)
        cw_line(e->w, "memset(line, 0, sizeof(%s) * %" PRId64 ");", real, (int64_t)left * c * lanes);
    const char *line = left ? text_printf(e, "(line + %" PRId64 ")", (int64_t)left * c * lanes) : "line";
    emit_turn_row(e, "row", line, row, h * row, lanes, true);
    if (right)
        cw_line(e->w, "memset(line + %" PRId64 ", 0, sizeof(%s) * %" PRId64 ");", (int64_t)(left + w) * c * lanes, real,
                (int64_t)right * c * lanes);
    cw_close(e->w, "}");
}

void emit_turn_out(struct emitter *e, const char *from, const char *to, int64_t elements)
{
    cw_line(e->w, "// %d images, apart again", e->plan->lanes);
    emit_turn_row(e, from, to, elements, e->plan->lanes, elements, false);
}

void emit_used_lanes(struct emitter *e)
{
    struct text lanes = { .arena = e->arena };
    for (int i = 0; i < e->plan->lanes; i++)
        text_add(&lanes, "%s%d", i ? ", " : "", i);
    cw_line(e->w, "static const %s lanes[V_LANES] = { %s };", e->plan->real, text_of(&lanes));
    cw_line(e->w, "const vm used = v_lt(v_load(lanes), v_set((%s)left));", e->plan->real);
}

int together_groups(const struct plan *p)
{
    enum { MOST = 8 };
    int calls = p->batch / p->lanes, groups = calls < MOST ? calls : MOST;
    while (groups > 1 && calls % groups)
        groups--;
    return groups > 1 ? groups : calls;     /* 11 calls: there is no other number of equal groups */
}

double together_tile_cycles(const struct plan *p, int rows, int vectors, double depth)
{
    const struct costs *c = p->target->costs;
    double fma = p->target->flops_per_cycle * 4 / (2.0 * p->target->vector_bytes), sums = (double)rows * vectors;
    double enough = c->fma_latency * fma, fill = sums < enough ? enough / sums : 1;
    double load = (rows + vectors) / c->loads / (sums / fma);
    if (load > fill)
        fill = load;
    return sums * depth / fma * fill * c->tile_loop + c->tile + sums * c->accumulator;
}

double together_turn_cycles(const struct plan *p, int64_t elements)
{
    return p->target->costs->turned_together * (double)elements * p->batch;
}

double together_copy_cycles(const struct plan *p, int64_t elements)
{
    return 2.0 * (double)elements * p->batch * p->real_size / p->target->costs->copy_rate;
}
