/* formula_loops.c - see formula_loops.h. */
#include "kernels/formula_loops.h"

#include <inttypes.h>

enum { BLOCK = 2048 };              /* numbers that are added up in lanes; a multiple of every vector's */

static int whole_of(const struct formula_loops *f)
{
    return f->size / f->e->plan->lanes * f->e->plan->lanes;
}

/* The lanes in use of a part: 0 for all. */
static int tail_of(const struct formula_loops *f, int part)
{
    bool is_tail = part == 1 || !whole_of(f);
    return is_tail ? f->size - whole_of(f) : 0;
}

static bool is_long(const struct formula_loops *f, int part)
{
    return !tail_of(f, part) && whole_of(f) > BLOCK;
}

/* The part's only vector, or its vectors' variable. */
static const char *place_of(const struct formula_loops *f, int part)
{
    if (tail_of(f, part))
        return text_printf(f->e, "%d", whole_of(f));
    return whole_of(f) > f->e->plan->lanes ? "k" : "0";
}

/* "targets + (size_t)i * 10" */
static const char *of_sample(const struct formula_loops *f, const char *pointer, int64_t stride)
{
    return f->batch ? text_printf(f->e, "%s + (size_t)i * %" PRId64, pointer, stride) : pointer;
}

static void open_block(void *context, int part)
{
    const struct formula_loops *f = context;
    if (f->batch)
        cw_open(f->w, "for (int i = 0; i < n; i++) {");
    if (is_long(f, part)) {
        cw_open(f->w, "for (int b = 0; b < %d; b += %d) {", whole_of(f), BLOCK);
        cw_line(f->w, "const int end = b + %d < %d ? b + %d : %d;", BLOCK, whole_of(f), BLOCK, whole_of(f));
    } else if (!f->batch) {
        cw_open(f->w, "{");
    }
}

static void close_block(void *context, int part)
{
    const struct formula_loops *f = context;
    cw_close(f->w, "}");
    if (f->batch && is_long(f, part))
        cw_close(f->w, "}");
}

/* A vector of a map whose channels lie next to each other, in the order channels, rows, columns. */
static void gather_target(const struct formula_loops *f, const char *from, int part)
{
    const int pixels = f->size / f->channels, tail = tail_of(f, part), count = tail ? tail : f->e->plan->lanes;
    const char *place = text_printf(f->e, "(%s + l)", place_of(f, part));
    cw_line(f->w, "%s gathered[%d] = { 0 };", f->e->plan->real, f->e->plan->lanes);
    cw_open(f->w, "for (int l = 0; l < %d; l++)", count);
    cw_line(f->w, "gathered[l] = (%s)[%s %% %d * %d + %s / %d];", from, place, pixels, f->channels, place, pixels);
    cw_close(f->w, "");
    cw_line(f->w, "const v %s = %s;", f->inputs[f->y], text_load(f->e, "gathered", "0", tail));
}

static void declare_target(const struct formula_loops *f, int part)
{
    const char *from = of_sample(f, f->targets, f->stride ? f->stride : f->size);
    if (f->classes && f->size == 1) {           /* a lone output is the second of two classes */
        cw_line(f->w, f->batch ? "const v %s = v_set((%s)%s[i]);" : "const v %s = v_set((%s)*%s);", f->inputs[f->y],
                f->e->plan->real, f->targets);
        return;
    }
    if (f->channels > 1 && f->channels < f->size) {
        gather_target(f, from, part);
        return;
    }
    if (f->classes)
        from = text_printf(f->e, f->batch ? "one + cnn_one_hot(%s[i], %d)" : "one + cnn_one_hot(*%s, %d)", f->targets,
                           f->size);
    cw_line(f->w, "const v %s = %s;", f->inputs[f->y], text_load(f->e, from, place_of(f, part), tail_of(f, part)));
}

static void open_numbers(void *context, int part, const bool *reads)
{
    const struct formula_loops *f = context;
    if (is_long(f, part))
        cw_open(f->w, "for (int k = b; k < end; k += %d) {", f->e->plan->lanes);
    else if (!tail_of(f, part) && whole_of(f) > f->e->plan->lanes)
        cw_open(f->w, "for (int k = 0; k < %d; k += %d) {", whole_of(f), f->e->plan->lanes);
    else
        cw_open(f->w, "{");
    if (f->y >= 0 && reads[f->y])
        declare_target(f, part);
    if (f->p >= 0 && reads[f->p])
        cw_line(f->w, "const v %s = %s;", f->inputs[f->p],
                text_load(f->e, of_sample(f, f->predictions, f->size), place_of(f, part), tail_of(f, part)));
}

static void close_numbers(void *context, int part)
{
    (void)part;
    cw_close(((const struct formula_loops *)context)->w, "}");
}

static void store_result(void *context, int part, const char *value)
{
    const struct formula_loops *f = context;
    line_store(f->e, f->to, place_of(f, part), text_printf(f->e, "v_mul(%s, share)", value), tail_of(f, part));
}

static const char *inside(void *context, int part)
{
    const struct formula_loops *f = context;
    return tail_of(f, part) ? "inside" : NULL;
}

void formula_loops_begin(struct formula_loops *f, const struct expr_pool *pool, const struct expr *root,
                         const char *count)
{
    const char *real = f->e->plan->real;
    const bool *reached = expr_reached(pool, &root, 1);
    bool reads_classes = false, reduces = false;
    int tail = f->size - whole_of(f);
    f->loops = (struct expr_loops){ open_numbers, close_numbers, f, count, f->to ? store_result : NULL,
                                    whole_of(f) && tail ? 2 : 1, open_block, close_block, inside };
    for (int i = 0; i <= root->id; i++) {
        const struct expr *e = pool->nodes[i];
        reads_classes |= reached[i] && f->classes && e->op == EXPR_INPUT && e->index == f->y;
        reduces |= reached[i] && expr_op_row(e->op)->kind == EXPR_REDUCTION;
    }
    if (reads_classes && f->size > 1)
        cw_line(f->w, "static const %s one[%d] = { [%d] = 1 };", real, 2 * f->size, f->size);
    if (reduces && tail)
        line_inside(f->e, f->w, tail);
}
