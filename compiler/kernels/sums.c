/* sums.c - sums over the pixels of an image, channel by channel, and over the images of a batch.
 *
 * Every image has its own row of partial sums and the rows are added in the order of the images: the same bits for
 * any number of threads.  Within an image a map is summed row by row, so that rounding grows with h + w, not h w. */
#include "kernels/sums.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

enum { ACCUMULATORS = 4 };

/* One block of `vectors` vectors from channel `col` on. */
struct block {
    const struct pixel_sums *sums;
    const char *col;
    int vectors, tail;
};

/* The accumulators of vector k: "sum0", "sum1" of `prefix`. */
static void names(struct emitter *e, const struct block *b, const char *prefix, int k, const char **out)
{
    for (int i = 0; i < b->sums->sums; i++)
        out[i] = text_printf(e, "%s%d", prefix, k * b->sums->sums + i);
}

static void declare(struct emitter *e, const struct block *b, const char *prefix)
{
    const char *line = "v";
    for (int i = 0; i < b->vectors * b->sums->sums; i++)
        line = text_printf(e, "%s%s %s%d = v_zero()", line, i ? "," : "", prefix, i);
    cw_line(e->w, "%s;", line);
}

/* Lanes in use of vector k, 0 for all. */
static int tail_of(const struct block *b, int k)
{
    return k == b->vectors - 1 ? b->tail : 0;
}

static void add_pixel(struct emitter *e, const struct block *b, const char *prefix)
{
    for (int k = 0; k < b->vectors; k++) {
        const char *sum[SUMS_MOST];
        const char *offset = text_printf(e, "%d", k * e->plan->lanes);
        names(e, b, prefix, k, sum);
        b->sums->add(e, b->sums->data, sum, text_plus(e, b->col, offset), text_plus(e, "at", offset), k,
                     tail_of(b, k));
    }
}

static void begin(struct emitter *e, const struct block *b)
{
    for (int k = 0; k < b->vectors; k++) {
        const char *sum[SUMS_MOST];
        names(e, b, "sum", k, sum);
        b->sums->begin(e, b->sums->data, sum, text_plus(e, b->col, text_printf(e, "%d", k * e->plan->lanes)),
                       tail_of(b, k));
    }
}

static int64_t apart(const struct pixel_sums *s)
{
    return s->pixel ? s->pixel : s->shape.c;
}

static bool has_second(const struct pixel_sums *s)
{
    return s->second && s->second != apart(s);
}

const char *sums_second(struct emitter *e, const struct pixel_sums *s, const char *at, int k)
{
    return has_second(s) ? text_plus(e, "second", text_printf(e, "%d", k * e->plan->lanes)) : at;
}

/* The pixel's places, given its number as text, "0" for the first. */
static void line_places(struct emitter *e, const struct block *b, const char *pixel)
{
    const int64_t steps[] = { apart(b->sums), b->sums->second };
    for (int i = 0; i < (has_second(b->sums) ? 2 : 1); i++) {
        const char *from = strcmp(pixel, "0") ? text_printf(e, "%s * %" PRId64, pixel, steps[i]) : "0";
        cw_line(e->w, "const int %s = %s;", i ? "second" : "at", text_plus(e, from, b->col));
    }
}

static void emit_block(struct emitter *e, const struct block *b)
{
    const struct shape s = b->sums->shape;
    bool rows = s.h > 1 && s.w > 1 && !b->sums->begin;
    if (b->sums->begin)
        begin(e, b);
    else
        declare(e, b, "sum");
    if (rows) {
        loop_open(e, "r", 0, s.h, 1);
        declare(e, b, "row");
        loop_open(e, "p", 0, s.w, 1);
        line_places(e, b, text_printf(e, "(r * %d + p)", s.w));
        add_pixel(e, b, "row");
        cw_close(e->w, "}");
        for (int i = 0; i < b->vectors * b->sums->sums; i++)
            cw_line(e->w, "sum%d = v_add(sum%d, row%d);", i, i, i);
        cw_close(e->w, "}");
    } else if (s.h * s.w > 1) {
        loop_open(e, "p", 0, (int64_t)s.h * s.w, 1);
        line_places(e, b, "p");
        add_pixel(e, b, "sum");
        cw_close(e->w, "}");
    } else if (!b->sums->begin) {
        line_places(e, b, "0");
        add_pixel(e, b, "sum");
    }
    for (int k = 0; k < b->vectors; k++) {
        const char *sum[SUMS_MOST];
        names(e, b, "sum", k, sum);
        b->sums->store(e, b->sums->data, sum, text_plus(e, b->col, text_printf(e, "%d", k * e->plan->lanes)),
                       tail_of(b, k));
    }
}

bool sums_strided(const struct plan *p, const struct group *g, const struct tensor *t)
{
    (void)p;
    return t == g->main->in[0];
}

void emit_pixel_sums(struct emitter *e, const struct pixel_sums *s)
{
    assert(s->sums >= 1 && s->sums <= SUMS_MOST);
    int lanes = e->plan->lanes, vectors = s->shape.c / lanes, tail = s->shape.c % lanes;
    int most = ACCUMULATORS / s->sums, full = vectors / most;
    if (full > 1) {
        loop_open(e, "j", 0, full * most * lanes, most * lanes);
        emit_block(e, &(struct block){ s, "j", most, 0 });
        cw_close(e->w, "}");
    } else if (full) {
        cw_open(e->w, "{");
        emit_block(e, &(struct block){ s, "0", most, 0 });
        cw_close(e->w, "}");
    }
    int rest = vectors - full * most + (tail ? 1 : 0);
    if (rest) {
        cw_open(e->w, "{");
        emit_block(e, &(struct block){ s, text_printf(e, "%d", full * most * lanes), rest, tail });
        cw_close(e->w, "}");
    }
}

const char *emit_batch_sums(struct emitter *e, int64_t columns, int targets, const char *comment)
{
    const char *real = e->plan->real, *to = "";
    int lanes = e->plan->lanes;
    assert(columns % lanes == 0);
    for (int i = 0; i < targets; i++)
        to = text_printf(e, "%s, %s *restrict to%d", to, real, i);
    emit_function(e, "const %s *partial, int n%s", real, to);
    loop_open(e, "j", 0, columns, lanes);
    for (int i = 0; i < targets; i++)
        cw_line(e->w, "v sum%d = v_zero();", i);
    cw_open(e->w, "for (int i = 0; i < n; i++) {");
    cw_line(e->w, "const %s *row = partial + (size_t)i * %" PRId64 " + j;", real, columns * targets);
    for (int i = 0; i < targets; i++)
        cw_line(e->w, "sum%d = v_add(sum%d, %s);", i, i,
                text_load(e, "row", text_printf(e, "%" PRId64, i * columns), 0));
    cw_close(e->w, "}");
    for (int i = 0; i < targets; i++)
        cw_line(e->w, "v_store(to%d + j, sum%d);", i, i);
    cw_close(e->w, "}");
    return emit_end(e, text_printf(e, "sum_samples_%dx%" PRId64, targets, columns), comment);
}

/* ---- sums of groups of images ------------------------------------------------------------------------------------ */

void emit_add_up(struct emitter *e, int groups, int64_t stored, const char *from, const char *from_at, const char *to,
                 const char *to_at)
{
    if (groups == 2) {
        line_store(e, to, to_at, text_printf(e, "v_add(%s, %s)", text_load(e, from, from_at, 0),
                                             text_load(e, from, text_plus(e, text_printf(e, "%" PRId64, stored),
                                                                          from_at), 0)), 0);
        return;
    }
    cw_line(e->w, "v sum = %s;", text_load(e, from, from_at, 0));
    cw_open(e->w, "for (int g = 1; g < %d; g++)", groups);
    cw_line(e->w, "sum = v_add(sum, %s);",
            text_load(e, from, text_plus(e, text_printf(e, "(size_t)g * %" PRId64, stored), from_at), 0));
    cw_close(e->w, "");
    line_store(e, to, to_at, "sum", 0);
}

const char *emit_weight_sums(struct emitter *e, const struct step *step, int groups, int64_t stored, int64_t db_stored)
{
    const char *real = e->plan->real;
    bool bias = step->group->companion != NULL;
    emit_function(e, "int b, const %s *partial, %s *restrict dw%s", real, real,
                  bias ? text_printf(e, ", const %s *bias_partial, %s *restrict db", real, real) : "");
    cw_line(e->w, "const int64_t first = b * INT64_C(%d), most = first + %d;", SUMS_CHUNK, SUMS_CHUNK);
    cw_line(e->w, "const int64_t end = most < %" PRId64 " ? most : %" PRId64 ";", stored, stored);
    cw_open(e->w, "for (int64_t i = first; i < end; i += V_LANES) {");
    emit_add_up(e, groups, stored, "partial", "i", "dw", "i");
    cw_close(e->w, "}");
    if (bias) {
        cw_open(e->w, "for (int i = 0; b == 0 && i < %" PRId64 "; i += V_LANES) {", db_stored);
        emit_add_up(e, groups, db_stored, "bias_partial", "i", "db", "i");
        cw_close(e->w, "}");
    }
    return emit_end(e, text_printf(e, "add_partial_%" PRId64, stored),
                    "Adds the partial sums of the image groups in their order.");
}
