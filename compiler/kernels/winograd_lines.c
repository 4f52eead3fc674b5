/* winograd_lines.c - the emitted transform in one direction: a matrix times vectors, with as few additions and
 * multiplications as its points allow. */
#include "kernels/winograd_tiles.h"

#include "kernels/loops.h"

/* ---- linear combinations ----------------------------------------------------------------------------------------- */

static bool is_value(struct rational a, int64_t value)
{
    return a.num == value && a.den == 1;
}

static const char *constant(struct emitter *e, struct rational a)
{
    return arena_printf(e->arena, "v_set(%s)", text_real(e, rational_value(a)));
}

/* A linear combination of named vectors as one C expression; NULL for all zeros. */
static const char *combination(struct emitter *e, const struct rational *c, const char *const *names, int count)
{
    int first = -1;
    for (int i = 0; i < count; i++)         /* a term that needs no multiplication begins */
        if (is_value(c[i], 1)) {
            first = i;
            break;
        }
    for (int i = 0; i < count && first < 0; i++)
        if (c[i].num)
            first = i;
    if (first < 0)
        return NULL;
    const char *sum = names[first];
    e->operations += !is_value(c[first], 1);
    if (is_value(c[first], -1))
        sum = arena_printf(e->arena, "v_neg(%s)", names[first]);
    else if (!is_value(c[first], 1))
        sum = arena_printf(e->arena, "v_mul(%s, %s)", constant(e, c[first]), names[first]);
    for (int i = 0; i < count; i++) {
        if (i == first || !c[i].num)
            continue;
        e->operations++;
        if (is_value(c[i], 1))
            sum = arena_printf(e->arena, "v_add(%s, %s)", sum, names[i]);
        else if (is_value(c[i], -1))
            sum = arena_printf(e->arena, "v_sub(%s, %s)", sum, names[i]);
        else
            sum = arena_printf(e->arena, "v_fma(%s, %s, %s)", constant(e, c[i]), names[i], sum);
    }
    return sum;
}

/* Rows a and b that agree on some columns and are opposite on all others (points x and -x): even + f odd and
 * even - f odd. */
static bool is_pair(const struct winograd_matrix *m, int a, int b)
{
    int even = 0, odd = 0, both = 0;
    for (int i = 0; i < m->columns; i++) {
        struct rational x = m->at[a][i], y = m->at[b][i];
        if (!x.num && !y.num)
            continue;
        both++;
        if (x.num == y.num && x.den == y.den)
            even++;
        else if (x.num == -y.num && x.den == y.den)
            odd++;
    }
    return even + odd == both && even > 0 && odd > 0;
}

/* Whether all of c divided by `factor` are whole numbers of some power of two: exact as constants. */
static bool divides_exactly(const struct rational *c, int count, struct rational factor)
{
    for (int i = 0; i < count; i++) {
        int64_t den = rational_div(c[i], factor).den;
        if (den & (den - 1))
            return false;
    }
    return true;
}

/* A factor of all terms that leaves one of them without any: 1 where that is so already, else one that leaves the others
 * exact where there is one. */
static struct rational common_factor(const struct rational *c, int count)
{
    struct rational any = rational_make(1, 1);
    bool exact = false;
    for (int i = 0; i < count; i++) {
        if (is_value(c[i], 1))
            return c[i];
        if (!c[i].num || exact)
            continue;
        any = c[i];
        exact = divides_exactly(c, count, any);
    }
    return any;
}

static const char *times_added(struct emitter *e, struct rational factor, const char *odd, const char *even)
{
    if (is_value(factor, 1))
        return arena_printf(e->arena, "v_add(%s, %s)", even, odd);
    if (is_value(factor, -1))
        return arena_printf(e->arena, "v_sub(%s, %s)", even, odd);
    return arena_printf(e->arena, "v_fma(%s, %s, %s)", constant(e, factor), odd, even);
}

static void emit_pair(struct emitter *e, const struct winograd_matrix *m, int a, int b, const char *const *names)
{
    struct rational even[WINOGRAD_POINTS], odd[WINOGRAD_POINTS];
    for (int i = 0; i < m->columns; i++) {
        bool same = m->at[a][i].num == m->at[b][i].num;
        even[i] = same ? m->at[a][i] : rational_make(0, 1);
        odd[i] = same ? rational_make(0, 1) : m->at[a][i];
    }
    struct rational factor = common_factor(odd, m->columns), minus = rational_make(-factor.num, factor.den);
    for (int i = 0; i < m->columns; i++)
        odd[i] = rational_div(odd[i], factor);
    const char *first = combination(e, even, names, m->columns);
    const char *second = combination(e, odd, names, m->columns);
    const char *even_name = arena_printf(e->arena, "even%d", a), *odd_name = arena_printf(e->arena, "odd%d", a);
    cw_line(e->w, "const v %s = %s, %s = %s;", even_name, first, odd_name, second);
    cw_line(e->w, "to[%d] = %s;", a, times_added(e, factor, odd_name, even_name));
    cw_line(e->w, "to[%d] = %s;", b, times_added(e, minus, odd_name, even_name));
    e->operations += 2;
}

/* Columns a and b that agree in some rows and are opposite in all others: rows take their sum or their difference. */
static bool is_column_pair(const struct winograd_matrix *m, int a, int b)
{
    int same = 0, opposite = 0;
    for (int i = 0; i < m->rows; i++) {
        struct rational x = m->at[i][a], y = m->at[i][b];
        if (x.den != y.den || (x.num != y.num && x.num != -y.num))
            return false;
        same += x.num && x.num == y.num;
        opposite += x.num && x.num == -y.num;
    }
    return same && opposite;
}

/* names[a] becomes the sum, names[b] the difference. */
static void emit_column_pair(struct emitter *e, struct winograd_matrix *m, int a, int b, const char **names)
{
    const char *sum = arena_printf(e->arena, "sum%d", a), *rest = arena_printf(e->arena, "rest%d", a);
    cw_line(e->w, "const v %s = v_add(%s, %s), %s = v_sub(%s, %s);", sum, names[a], names[b], rest, names[a], names[b]);
    for (int i = 0; i < m->rows; i++) {
        bool same = m->at[i][a].num == m->at[i][b].num;
        m->at[i][b] = same ? rational_make(0, 1) : m->at[i][a];
        if (!same)
            m->at[i][a] = rational_make(0, 1);
    }
    names[a] = sum;
    names[b] = rest;
    e->operations += 2;
}

/* ---- one direction ----------------------------------------------------------------------------------------------- */

struct winograd_line winograd_emit_line(struct emitter *e, const struct winograd_matrix *m, const char *what,
                                        const char *formula, const struct winograd *w)
{
    const char *names[WINOGRAD_POINTS];
    struct winograd_matrix by_pairs = *m;
    bool done[WINOGRAD_POINTS] = { false };
    struct text parameters = { .arena = e->arena };
    for (int i = 0; i < m->columns; i++) {
        names[i] = arena_printf(e->arena, "d%d", i);
        text_add(&parameters, "v %s, ", names[i]);
    }
    e->operations = 0;
    emit_inline(e, "%sv *to", text_of(&parameters));
    for (int a = 0; a < m->columns; a++)
        for (int b = a + 1; b < m->columns; b++)
            if (is_column_pair(&by_pairs, a, b))
                emit_column_pair(e, &by_pairs, a, b, names);
    m = &by_pairs;
    for (int a = 0; a < m->rows; a++) {
        for (int b = a + 1; b < m->rows && !done[a]; b++)
            if (!done[b] && is_pair(m, a, b)) {
                emit_pair(e, m, a, b, names);
                done[a] = done[b] = true;
            }
        if (!done[a]) {
            const char *sum = combination(e, m->at[a], names, m->columns);
            cw_line(e->w, "to[%d] = %s;", a, sum ? sum : "v_zero()");
        }
    }
    return (struct winograd_line){
        .name = emit_end(e, arena_printf(e->arena, "winograd_%s_f%d_%d", what, w->m, w->r),
                         arena_printf(e->arena, "Winograd F(%d, %d) in one direction, %d values from %d: %s.", w->m,
                                      w->r, m->rows, m->columns, formula)),
        .from = m->columns, .to = m->rows, .operations = e->operations,
    };
}
