/* tile.c - the register tile: the one micro-kernel that every product is made of.
 *
 * Requires: a tile that fits the target's registers (tile_rows_max).
 * Ensures: a function with every accumulator a named variable, every stride a constant, emitted once a shape.
 *
 * Accumulators are named, not kept in an array: an array of vectors indexed in a loop is spilled to the stack by
 * GCC, which costs more than half of the speed. */
#include <assert.h>
#include <inttypes.h>

#include "base/bounds.h"
#include "steps/kernel.h"

int tile_rows_max(const struct plan *p, int vectors)
{
    /* the accumulators, the vectors of B, one of A, and without FMA one for the product */
    int spare = p->target->registers - vectors - 1 - (p->target->has_fma ? 0 : 1);
    int most = spare / vectors;
    if (most > 14)
        most = 14;          /* more rows only lengthen the code: 14 accumulators hide the latency already */
    return most < 1 ? 1 : most;
}

struct row_split split_rows(int64_t rows, int most)
{
    struct row_split s = { 0, 0, 0 };
    if (rows <= 0)
        return s;
    int64_t tiles = (rows + most - 1) / most;
    s.large = (int)((rows + tiles - 1) / tiles);
    s.small_count = (int)(s.large * tiles - rows);
    s.large_count = (int)(tiles - s.small_count);
    return s;
}

/* " + 384" or nothing; for offsets that are constants. */
static const char *plus(struct emitter *e, int64_t offset)
{
    return offset ? arena_printf(e->arena, " + %" PRId64, offset) : "";
}

/* Of vector j of B and of C. */
static int64_t b_at(struct emitter *e, const struct tile *t, int j)
{
    return j * (t->b_vector ? t->b_vector : e->plan->lanes);
}

static int64_t c_at(struct emitter *e, const struct tile *t, int i, int j)
{
    return i * t->c_row + j * (t->c_vector ? t->c_vector : e->plan->lanes);
}

static bool has_tail(const struct tile *t, int j)
{
    return t->tail && j == t->vectors - 1;
}

/* The accumulators c<row>_<vector>: a row a line, or as many as fit where they begin with zero. */
static void declare_accumulators(struct emitter *e, const struct tile *t)
{
    int per_line = t->accumulate || t->vectors > 4 ? 1 : 4 / t->vectors;
    for (int first = 0; first < t->rows; first += per_line) {
        struct text line = { .arena = e->arena };
        for (int i = first; i < first + per_line && i < t->rows; i++)
            for (int j = 0; j < t->vectors; j++) {
                const char *from = "v_zero()", *at = plus(e, c_at(e, t, i, j));
                if (t->accumulate && has_tail(t, j))
                    from = arena_printf(e->arena, "v_load_tail(c%s, %d)", at, t->tail);
                else if (t->accumulate)
                    from = arena_printf(e->arena, "v_load(c%s)", at);
                text_add(&line, "%s c%d_%d = %s", line.count ? "," : "v", i, j, from);
            }
        cw_line(e->w, "%s;", text_of(&line));
    }
}

/* " + k * stride"; nothing where k is only ever 0. */
static const char *plus_k(struct emitter *e, const struct tile *t, int64_t stride)
{
    if (t->depth == 1)
        return "";
    return stride == 1 ? " + k" : arena_printf(e->arena, " + k * %" PRId64, stride);
}

/* The products of one k, of the rows at a and the panel at b. */
static void multiply(struct emitter *e, const struct tile *t, const char *a, const char *b)
{
    int line = 64 / e->plan->real_size, per_line = t->vectors == 3 ? 3 : 2;
    const char *k_a = plus_k(e, t, t->a_k), *k_b = plus_k(e, t, t->b_k);
    if (t->a_ahead)
        cw_line(e->w, "v_prefetch(%s%s%s);", a, plus(e, t->a_ahead), plus_k(e, t, line));
    if (t->next)
        cw_line(e->w, "v_prefetch(next%s);", plus_k(e, t, line));
    for (int j = 0; j < t->vectors; j++) {
        const char *at = plus(e, b_at(e, t, j));
        if (t->b_tail && has_tail(t, j))
            cw_line(e->w, "const v b%d = v_load_tail(%s%s%s, %d);", j, b, k_b, at, t->tail);
        else
            cw_line(e->w, "const v b%d = v_load(%s%s%s);", j, b, k_b, at);
    }
    for (int i = 0; i < t->rows; i++) {
        cw_line(e->w, "const v a%d = %s(%s%s%s);", i, t->a_vectors ? "v_load" : "v_broadcast", a, k_a,
                plus(e, i * t->a_row));
        for (int first = 0; first < t->vectors; first += per_line) {
            char *sums = "";
            for (int j = first; j < t->vectors && j < first + per_line; j++)
                sums = arena_printf(e->arena, "%s%sc%d_%d = %s(a%d, b%d, c%d_%d);", sums, j > first ? " " : "", i, j,
                                    t->pairs ? "v_dot" : "v_fma", i, j, i, j);
            cw_line(e->w, "%s", sums);
        }
    }
}

/* Lines of C and of the chain's operands are fetched while the sum is computed: this tile's or those of the one
 * below. */
static void ask_ahead(struct emitter *e, const struct tile *t)
{
    int lanes = e->plan->lanes, line = 64 / e->plan->real_size;
    int64_t from = t->below ? t->rows * t->c_row : 0;
    for (int i = 0; i < t->rows; i++)
        for (int j = 0; j < t->vectors; j++) {
            if ((int64_t)j * lanes % line)
                continue;
            const char *at = plus(e, from + i * t->c_row + (int64_t)j * lanes);
            char *text = arena_printf(e->arena, "v_prefetchw(c%s);", at);
            for (int k = 0; t->chain && k < t->chain->operands_count; k++)
                if (t->chain->operands[k].kind == OPERAND_ELEMENT)
                    text = arena_printf(e->arena, "%s v_prefetch(%s%s);", text, t->chain->operands[k].name, at);
            cw_line(e->w, "%s", text);
        }
}

/* The rows of C that the next tile adds to come while this one's sum is computed. */
static void ask_onward(struct emitter *e, const struct tile *t)
{
    int64_t below = t->rows * t->c_row;
    cw_open(e->w, "for (int i = 0; i < %" PRId64 "; i += %d)", below, 64 / e->plan->real_size);
    cw_line(e->w, "v_prefetchw(c + %" PRId64 " + i);", below);
    cw_close(e->w, "");
}

static void store(struct emitter *e, const struct tile *t)
{
    for (int j = 0; j < t->vectors; j++)
        chain_sums_begin(e, t->chain, j);
    for (int i = 0; i < t->rows; i++) {
        struct text line = { .arena = e->arena };
        for (int j = 0; j < t->vectors; j++) {
            int64_t at = c_at(e, t, i, j), column = t->c_vector ? i : (int64_t)j * e->plan->lanes;
            const char *value = t->segments ? arena_printf(e->arena, "c%d_%d", i, j) : "v_zero()", *gap = line.count
                ? " " : "";
            if (t->chain)
                value = chain_apply(e, t->chain, value, column, at, has_tail(t, j) ? t->tail : 0);
            value = chain_sums_add(e, t->chain, value, arena_printf(e->arena, "g%d_%d", i, j), j,
                                   arena_printf(e->arena, "%" PRId64, column), arena_printf(e->arena, "%" PRId64, at),
                                   has_tail(t, j) ? t->tail : 0);
            if (has_tail(t, j) && !t->c_whole)
                text_add(&line, "%sv_store_tail(c%s, %s, %d);", gap, plus(e, at), value, t->tail);
            else
                text_add(&line, "%sv_store(c%s, %s);", gap, plus(e, at), value);
        }
        cw_line(e->w, "%s", text_of(&line));
    }
    for (int j = 0; j < t->vectors; j++)
        chain_sums_end(e, t->chain, j, arena_printf(e->arena, "%d", j * e->plan->lanes));
}

/* Turns of the innermost loop that are written out: such that none are left over, and in tiles of several vectors that
 * leave a register free; else compilers, which read ahead then, keep sums on the stack. */
static int turns_of(const struct emitter *e, const struct tile *t)
{
    const struct target *target = e->plan->target;
    int registers = t->rows * t->vectors + t->vectors + 1 + !target->has_fma;
    int turns = t->depth && t->vectors > 1 && registers < target->registers ? target->turns : 1;
    while (turns > 1 && t->depth % turns)
        turns--;
    return turns;
}

/* The C type of what A and B are made of. */
static const char *factor_type(const struct emitter *e, const struct tile *t)
{
    return t->pairs ? "bf16_pair" : e->plan->real;
}

/* The loops around one multiply(): outer times, segments, depth. */
static void loops(struct emitter *e, const struct tile *t)
{
    const char *real = factor_type(e, t);
    int open = 0;
    const char *a = "a", *b = "b";
    if (t->outer) {
        cw_open(e->w, "for (int o = 0; o < outer; o++) {");
        cw_line(e->w, "const %s *const ao = a + (%s)o * %" PRId64 ";", real, t->a_outer < 0 ? "int64_t" : "size_t",
                t->a_outer);
        cw_line(e->w, "const %s *const bo = b + (%s)o * %" PRId64 ";", real, t->b_outer < 0 ? "int64_t" : "size_t",
                t->b_outer);
        a = "ao";
        b = "bo";
        open++;
    }
    if (t->segments > 1) {
        cw_line(e->w, "CNN_ROLLED");        /* some compilers would unroll both loops and keep sums on the stack */
        cw_open(e->w, "for (int s = 0; s < %d; s++) {", t->segments);
        if (t->a_columns && t->segments <= TABLE_LONGEST)
            cw_line(e->w, "const %s *const as = %s + segment[s];", real, a);
        else if (t->a_columns)
            cw_line(e->w, "const %s *const as = %s + s / %d * %" PRId64 " + s %% %d * %" PRId64 ";", real, a,
                    t->a_columns, t->a_segment, t->a_columns, t->a_column);
        else
            cw_line(e->w, "const %s *const as = %s + s * %" PRId64 ";", real, a, t->a_segment);
        cw_line(e->w, "const %s *const bs = %s + s * %" PRId64 ";", real, b, t->b_segment);
        a = "as";
        b = "bs";
        open++;
    }
    if (t->depth != 1) {
        int turns = turns_of(e, t);
        cw_line(e->w, "%s", turns > 1 ? arena_printf(e->arena, "CNN_UNROLLED(%d)", turns) : "CNN_ROLLED");
        cw_open(e->w, "for (int k = 0; k < %s; k++) {",
                t->depth ? arena_printf(e->arena, "%" PRId64, t->depth) : "depth");
        open++;
    }
    multiply(e, t, a, b);
    while (open--)
        cw_close(e->w, "}");
}

static const char *tile_hint(struct emitter *e, const struct tile *t)
{
    const char *k = "n";
    if (!t->segments)
        return arena_printf(e->arena, "no_product_%dx%d%s", t->rows, t->vectors, t->tail ? "_tail" : "");
    if (t->depth)
        k = arena_printf(e->arena, "%" PRId64, t->depth);
    if (t->segments != 1)
        k = arena_printf(e->arena, "%dx%s", t->segments, k);
    return arena_printf(e->arena, "tile_%dx%d_k%s%s%s%s%s", t->rows, t->vectors, k, t->pairs ? "_bf16" : "",
                        t->accumulate ? "_add" : "", t->tail ? "_tail" : "", t->c_vector ? "_together" : "");
}

/* "C (6 x 2 vectors) = A B, one stretch of A, then bias_relu. bias: a number a column." */
static const char *tile_comment(struct emitter *e, const struct tile *t)
{
    static const char *const lie[] = {
        [OPERAND_COLUMN] = "a number a column", [OPERAND_COLUMN_SAMPLE] = "a number a column",
        [OPERAND_ELEMENT] = "lies as C", [OPERAND_INDEX] = "the index of C's first element",
        [OPERAND_INDEX_CHANNEL] = "the index of C's first column",
        [OPERAND_SCALAR] = "one number", [OPERAND_SUMS] = "two sums a column, added to"
    };
    struct text out = { .arena = e->arena };
    if (t->c_vector)
        text_add(&out, "C (%d channels x %d vectors of images", t->rows, t->vectors);
    else
        text_add(&out, "C (%d x %d vectors", t->rows, t->vectors);
    if (t->tail)
        text_add(&out, ", the last of %d", t->tail);
    if (!t->segments)
        text_add(&out, ") = 0");
    else
        text_add(&out, ") = %sA B%s, %s%s", t->accumulate ? "C + " : "", t->a_vectors ? " lane by lane" : "",
                 t->segments > 1 ? "A in segments" : "one stretch of A", t->outer ? ", `outer` of them" : "");
    if (t->pairs)
        text_add(&out, ", in pairs of bfloat16");
    if (t->chain && *chain_suffix(e, t->chain))
        text_add(&out, ", then %s", chain_suffix(e, t->chain) + 1);
    text_add(&out, ".");
    for (int i = 0; t->chain && i < t->chain->operands_count; i++)
        text_add(&out, "%s %s: %s", i ? ";" : "", t->chain->operands[i].name,
                 t->chain->together && operand_is_column(&t->chain->operands[i]) ? "a number a row"
                                                                                 : lie[t->chain->operands[i].kind]);
    if (t->chain && t->chain->operands_count)
        text_add(&out, ".");
    if (t->next)
        text_add(&out, " next: what is fetched meanwhile.");
    return text_of(&out);
}

static const char *write_tile(struct emitter *e, const struct tile *t)
{
    const char *real = e->plan->real;
    const char *factor = factor_type(e, t);
    const char *factors = t->segments ? arena_printf(e->arena, "const %s *a, const %s *b, ", factor, factor) : "";
    emit_function(e, "%s%s *restrict c%s%s%s%s", factors, real, t->depth || !t->segments ? "" : ", int depth",
                  t->outer ? ", int outer" : "", t->next ? arena_printf(e->arena, ", const %s *next", factor) : "",
                  t->chain ? chain_parameters(e, t->chain) : "");
    if (t->segments > 1 && t->segments <= TABLE_LONGEST && t->a_columns) {
        struct text list = { .arena = e->arena };
        for (int s = 0; s < t->segments; s++)
            text_add(&list, "%s%" PRId64, s ? ", " : "",
                     s / t->a_columns * t->a_segment + s % t->a_columns * t->a_column);
        cw_line(e->w, "static const int segment[%d] = { %s };", t->segments, text_of(&list));
    }
    if (t->segments)
        declare_accumulators(e, t);
    if (t->far || t->below)
        ask_ahead(e, t);
    if (t->onward)
        ask_onward(e, t);
    if (t->segments)
        loops(e, t);
    store(e, t);
    return emit_end_shared(e, tile_hint(e, t), tile_comment(e, t));
}

/* All that the text of a tile depends on. */
static const char *tile_key(struct emitter *e, const struct tile *t)
{
    const int64_t numbers[] = {
        t->rows, t->vectors, t->tail, t->a_row, t->a_k, t->b_k, t->b_tail, t->depth, t->segments, t->a_segment,
        t->b_segment, t->a_columns, t->a_column, t->outer, t->a_outer, t->b_outer, t->c_row, t->accumulate, t->a_ahead,
        t->next, t->far, t->below, t->onward, t->a_vectors, t->b_vector, t->c_vector, t->c_whole,
        t->pairs
    };
    struct text key = { .arena = e->arena };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        text_add(&key, "%" PRId64 " ", numbers[i]);
    if (t->chain)
        text_add(&key, "%s %s", chain_parameters(e, t->chain), chain_apply(e, t->chain, "c", 1, 2, 0));
    return text_of(&key);
}

/* Most layers of a network need tiles that an earlier one has: those are not written again to be compared. */
const char *emit_tile(struct emitter *e, const struct tile *t)
{
    assert(t->rows >= 1 && t->vectors >= 1 && t->segments >= 0 && (t->segments || !t->accumulate));
    assert(t->rows <= tile_rows_max(e->plan, t->vectors));
    const char *key = tile_key(e, t);
    const char *known = table_get(&e->tiles, key);
    if (!known) {
        known = write_tile(e, t);
        table_put(&e->tiles, key, (void *)known);
    }
    return known;
}
