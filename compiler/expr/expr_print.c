/* expr_print.c - expressions as C: numbers, and vectors.
 *
 * What is used more than once, what a user gave a name, and what would be too long for a line becomes a variable, in
 * the order of the pool, so that each reads only what stands above it.  Reductions become loops: all that can be done
 * in one pass over the arrays shares it, and what a later pass needs of an earlier one stands between them.
 *
 * Where there are loops, vectors are of elements alone: single numbers, sums among them, are doubles, of which an
 * array's expression makes vectors of equal lanes. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "expr/expr_parts.h"

enum { TEXT_LONGEST = 60 };     /* of an expression within a line */

struct writer {
    struct cwriter *w;
    struct expr_pool *pool;
    struct arena *arena;
    const struct expr_writing *how;
    int nodes;                  /* of the pool */
    const bool *reached;
    bool *root;                 /* by node: its text is asked for */
    int *uses, *lengths, *levels;       /* by node; levels: passes over the arrays before its value is there */
    bool *variable;
    bool *spread;               /* by node: a number that an array's expression reads, in vectors */
    const char **names;         /* by node: what a variable is called */
    const char **texts;         /* by node: of leaves, and of variables that are declared */
    int temporaries, reductions;
};

struct piece {
    const char *text;
    enum expr_level level;      /* how tightly C binds it */
};

static bool is_of_vectors(enum expr_dialect d)
{
    return d == EXPR_VECTOR_DOUBLE || d == EXPR_VECTOR_FLOAT;
}

/* What the node is written in. */
static enum expr_dialect dialect_of(const struct expr_writing *how, const struct expr *e)
{
    return is_of_vectors(how->dialect) && how->loops && !e->is_array ? EXPR_C_SCALAR : how->dialect;
}

static bool is_vector(const struct writer *t, const struct expr *e)
{
    return is_of_vectors(dialect_of(t->how, e));
}

static bool is_float(enum expr_dialect d)
{
    return d == EXPR_C_FLOAT || d == EXPR_VECTOR_FLOAT;
}

/* ---- numbers --------------------------------------------------------------------------------- */

const char *expr_number_text(struct arena *a, enum expr_dialect dialect, double number)
{
    bool single = is_float(dialect);
    char text[40];
    double x = single ? (double)(float)number : number;
    if (isnan(x))
        return "NAN";
    if (isinf(x))
        return x > 0 ? "INFINITY" : "-INFINITY";
    for (int digits = single ? 6 : 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, x);
        if (single ? strtof(text, NULL) == (float)x : strtod(text, NULL) == x)
            break;
    }
    return arena_printf(a, "%s%s%s", text, strpbrk(text, ".e") ? "" : ".0", single ? "f" : "");
}

static const char *plain_leaf_text(const struct writer *t, const struct expr *e, enum expr_dialect dialect)
{
    return e->op == EXPR_NUMBER ? expr_number_text(t->arena, dialect, e->number)
           : e->op == EXPR_INPUT ? t->how->inputs[e->index]
                                 : arena_printf(t->arena, "(%s)", t->how->loops->count);
}

/* A number, called so, as a vector. */
static const char *spread_text(const struct writer *t, const struct expr *e, const char *text)
{
    if (expr_is_number(e, 0) && !signbit(e->number))
        return "v_zero()";
    return arena_printf(t->arena, "v_set(%s)", text);
}

static const char *leaf_text(const struct writer *t, const struct expr *e)
{
    const char *text = plain_leaf_text(t, e, dialect_of(t->how, e));
    return is_vector(t, e) && !e->is_array ? spread_text(t, e, text) : text;
}

/* ---- pieces of text -------------------------------------------------------------------------- */

static struct piece piece_of(struct writer *t, const struct expr *e);

static const char *text_of_piece(struct writer *t, const struct expr *e, enum expr_level least)
{
    struct piece p = piece_of(t, e);
    return p.level < least ? arena_printf(t->arena, "(%s)", p.text) : p.text;
}

/* As an argument of a function of vectors. */
static const char *vector_text(struct writer *t, const struct expr *e)
{
    if (is_vector(t, e))
        return text_of_piece(t, e, EXPR_LEVEL_CHOICE);
    if (e->op == EXPR_NUMBER)
        return spread_text(t, e, expr_number_text(t->arena, t->how->dialect, e->number));
    const char *text = text_of_piece(t, e, EXPR_LEVEL_PRIMARY);
    text = spread_text(t, e, is_float(t->how->dialect) ? arena_printf(t->arena, "(float)%s", text) : text);
    return e->is_condition ? arena_printf(t->arena, "v_ne(%s, v_zero())", text) : text;
}

static struct piece call(struct writer *t, const char *function, bool vectors, const struct expr *const *args,
                         int count)
{
    char *text = arena_printf(t->arena, "%s(", function);
    for (int i = 0; i < count; i++)
        text = arena_printf(t->arena, "%s%s%s", text, i ? ", " : "",
                            vectors ? vector_text(t, args[i]) : text_of_piece(t, args[i], EXPR_LEVEL_CHOICE));
    return (struct piece){ arena_printf(t->arena, "%s)", text), EXPR_LEVEL_PRIMARY };
}

/* A product that nothing else needs. */
static bool is_own_product(const struct writer *t, const struct expr *e)
{
    return e->op == EXPR_MUL && !t->variable[e->id] && !t->texts[e->id];
}

/* a + b or a - b where one of them is a product: the first of a sum, the second of a difference if it is one. */
static struct piece fused_piece(struct writer *t, const struct expr *e)
{
    const struct expr *a = e->args[0], *b = e->args[1];
    bool first = is_own_product(t, a), second = is_own_product(t, b), minus = e->op == EXPR_SUB;
    const struct expr *product = first && !(minus && second) ? a : b, *rest = product == a ? b : a;
    const char *left = text_of_piece(t, product->args[0], EXPR_LEVEL_CHOICE),
               *right = text_of_piece(t, product->args[1], EXPR_LEVEL_CHOICE),
               *more = text_of_piece(t, rest, EXPR_LEVEL_CHOICE);
    if (minus && product == b)
        left = arena_printf(t->arena, "v_neg(%s)", left);
    else if (minus)
        more = arena_printf(t->arena, "v_neg(%s)", more);
    return (struct piece){ arena_printf(t->arena, "v_fma(%s, %s, %s)", left, right, more), EXPR_LEVEL_PRIMARY };
}

static struct piece vector_piece(struct writer *t, const struct expr *e)
{
    const struct expr_op_row *row = expr_op_row(e->op);
    const struct expr *a[EXPR_ARGUMENTS] = { e->args[0], e->args[1], e->args[2] };
    const char *function = row->vector;
    assert(function);
    if (t->how->fuses && (e->op == EXPR_ADD || e->op == EXPR_SUB) &&
        (is_own_product(t, e->args[0]) || is_own_product(t, e->args[1])))
        return fused_piece(t, e);
    if (row->with_constant && (a[0]->op == EXPR_NUMBER || a[1]->op == EXPR_NUMBER)) {
        function = row->with_constant;
        if (a[1]->op == EXPR_NUMBER) {
            a[1] = a[0];
            a[0] = e->args[1];
        }
    }
    return call(t, function, true, a, row->arguments);
}

/* Signs that group to the left ask for brackets on the right; `and` and `or` for brackets around the other. */
static struct piece infix_piece(struct writer *t, const struct expr *e)
{
    const struct expr_op_row *row = expr_op_row(e->op);
    const char *sides[2];
    for (int i = 0; i < 2; i++) {
        enum expr_level least = row->level + (i == 1);
        if (row->level == EXPR_LEVEL_COMPARE)
            least = EXPR_LEVEL_SUM;
        if (row->takes_conditions)
            least = e->args[i]->op == e->op ? row->level : EXPR_LEVEL_COMPARE;
        sides[i] = text_of_piece(t, e->args[i], least);
    }
    return (struct piece){ arena_printf(t->arena, "%s %s %s", sides[0], row->c_sign ? row->c_sign : row->sign,
                                        sides[1]), row->level };
}

static const char *type_of(const struct writer *t, const struct expr *e)
{
    enum expr_dialect d = dialect_of(t->how, e);
    return is_of_vectors(d) ? "v" : is_float(d) ? "float" : "double";
}

static struct piece choice_piece(struct writer *t, const struct expr *e)
{
    if (expr_is_truth(e))       /* a number of its own: no division of whole numbers may come of it */
        return (struct piece){ arena_printf(t->arena, "(%s)%s", type_of(t, e),
                                            text_of_piece(t, e->args[0], EXPR_LEVEL_PRIMARY)), EXPR_LEVEL_NEGATE };
    return (struct piece){ arena_printf(t->arena, "%s ? %s : %s", text_of_piece(t, e->args[0], EXPR_LEVEL_OR),
                                        text_of_piece(t, e->args[1], EXPR_LEVEL_OR),
                                        text_of_piece(t, e->args[2], EXPR_LEVEL_CHOICE)), EXPR_LEVEL_CHOICE };
}

static struct piece piece_of(struct writer *t, const struct expr *e)
{
    const struct expr_op_row *row = expr_op_row(e->op);
    if (t->texts[e->id])
        return (struct piece){ t->texts[e->id], t->texts[e->id][0] == '-' ? EXPR_LEVEL_NEGATE : EXPR_LEVEL_PRIMARY };
    const enum expr_dialect dialect = dialect_of(t->how, e);
    assert(!expr_is_reduction(e));
    if (is_of_vectors(dialect))
        return vector_piece(t, e);
    if (dialect == EXPR_C_SCALAR && row->scalar)
        return call(t, row->scalar, false, e->args, row->arguments);
    if (row->c)
        return call(t, arena_printf(t->arena, "%s%s", row->c, is_float(dialect) ? "f" : ""), false, e->args,
                    row->arguments);
    if (row->kind == EXPR_CHOICE)
        return choice_piece(t, e);
    if (row->kind == EXPR_INFIX)
        return infix_piece(t, e);
    assert(row->kind == EXPR_PREFIX);
    return (struct piece){ arena_printf(t->arena, "%s%s", row->c_sign ? row->c_sign : row->sign,
                                        text_of_piece(t, e->args[0], EXPR_LEVEL_PRIMARY)), EXPR_LEVEL_NEGATE };
}

/* ---- what becomes a variable ----------------------------------------------------------------- */

static bool is_leaf(const struct expr *e)
{
    return expr_op_row(e->op)->kind == EXPR_LEAF;
}

static const char *operation_text(const struct writer *t, const struct expr *e)
{
    const struct expr_op_row *row = expr_op_row(e->op);
    const char *text = is_vector(t, e) ? row->vector : row->scalar ? row->scalar : row->c ? row->c : row->sign;
    return text ? text : "? :";
}

/* Along the pool, all that is reached. */
static void measure(struct writer *t)
{
    for (int i = 0; i < t->nodes; i++) {
        const struct expr *e = t->pool->nodes[i];
        if (!t->reached[i])
            continue;
        for (int k = 0; k < expr_arguments(e); k++) {
            int a = e->args[k]->id;
            t->levels[i] = t->levels[a] > t->levels[i] ? t->levels[a] : t->levels[i];
            t->lengths[i] += 2 + (t->variable[a] ? (int)strlen(t->names[a]) : t->lengths[a]);
        }
        if (is_leaf(e)) {
            t->texts[i] = leaf_text(t, e);
            t->lengths[i] = (int)strlen(t->texts[i]);
            continue;
        }
        t->lengths[i] += (int)strlen(operation_text(t, e));
        t->levels[i] += expr_is_reduction(e);
        t->variable[i] = t->names[i] || expr_is_reduction(e) || t->spread[i] ||
                         t->uses[i] > 1 || (!t->root[i] && t->lengths[i] > TEXT_LONGEST);
        if (!t->variable[i] || t->names[i])
            continue;
        if (expr_is_reduction(e))
            t->names[i] = arena_printf(t->arena, "%s_%d", expr_op_row(e->op)->name, ++t->reductions);
        else
            t->names[i] = arena_printf(t->arena, "t%d", ++t->temporaries);
    }
}

static void count_uses(struct writer *t)
{
    for (int i = 0; i < t->nodes; i++) {
        const struct expr *e = t->pool->nodes[i];
        for (int k = 0; t->reached[i] && k < expr_arguments(e); k++) {
            const struct expr *argument = e->args[k];
            bool in_loops = is_vector(t, e) || (expr_is_reduction(e) && is_of_vectors(t->how->dialect));
            t->uses[argument->id]++;
            if (in_loops && !is_vector(t, argument))
                t->spread[argument->id] = true;
        }
    }
}

/* ---- statements ------------------------------------------------------------------------------ */

static void declare(struct writer *t, const struct expr *e)
{
    const char *type = type_of(t, e);
    if (e->is_condition)
        type = is_vector(t, e) ? "vm" : "int";
    cw_line(t->w, "const %s %s = %s;", type, t->names[e->id], text_of_piece(t, e, EXPR_LEVEL_CHOICE));
    t->texts[e->id] = t->names[e->id];
}

/* The variables among what is marked, numbers or elements of arrays. */
static void declare_all(struct writer *t, const bool *marked, int level, bool arrays)
{
    for (int i = 0; i < t->nodes; i++) {
        const struct expr *e = t->pool->nodes[i];
        if (marked[i] && t->variable[i] && !t->texts[i] && t->levels[i] <= level && e->is_array == arrays &&
            !expr_is_reduction(e))
            declare(t, e);
    }
}

/* The arrays' elements that the roots need, in the loops of a part, which are opened. */
static void open_loops(struct writer *t, const struct expr *const *roots, int count, int level, int part)
{
    bool *needed = expr_reached(t->pool, roots, count);
    bool *reads = arena_array(t->arena, (size_t)t->how->inputs_count + 1, sizeof *reads);
    for (int i = 0; i < t->nodes; i++)          /* what is a number by now has been computed from other elements */
        needed[i] = false;
    for (int k = 0; k < count; k++)
        needed[roots[k]->id] = true;
    for (int i = t->nodes - 1; i >= 0; i--) {
        const struct expr *e = t->pool->nodes[i];
        if (!needed[i] || (t->texts[i] && !is_leaf(e)))
            continue;
        if (e->op == EXPR_INPUT && e->is_array)
            reads[e->index] = true;
        for (int k = 0; k < expr_arguments(e); k++)
            needed[e->args[k]->id] = true;
    }
    t->how->loops->open(t->how->loops->context, part, reads);
    declare_all(t, needed, level, true);
}

static void close_loops(struct writer *t, int part)
{
    t->how->loops->close(t->how->loops->context, part);
    for (int i = 0; i < t->nodes; i++)
        if (t->variable[i] && t->pool->nodes[i]->is_array)
            t->texts[i] = NULL;                 /* out of sight */
}

static int parts_of(const struct writer *t)
{
    return t->how->loops->parts ? t->how->loops->parts : 1;
}

static void open_block(struct writer *t, int part)
{
    if (t->how->loops->open_block)
        t->how->loops->open_block(t->how->loops->context, part);
}

static void close_block(struct writer *t, int part)
{
    if (t->how->loops->close_block)
        t->how->loops->close_block(t->how->loops->context, part);
}

/* The sums over a block in vectors, each lane for itself, then all lanes together in one fixed order. */
static void write_vector_sums(struct writer *t, const struct expr *const *sums, const struct expr *const *arrays,
                              int count, int level, int part)
{
    const char *inside = t->how->loops->inside ? t->how->loops->inside(t->how->loops->context, part) : NULL;
    for (int i = 0; i < count; i++)
        cw_line(t->w, "v lanes_%s = v_zero();", t->names[sums[i]->id]);
    open_loops(t, arrays, count, level, part);
    for (int i = 0; i < count; i++) {
        const char *name = t->names[sums[i]->id], *value = vector_text(t, arrays[i]);
        if (inside)
            value = arena_printf(t->arena, "v_select(%s, %s, v_zero())", inside, value);
        cw_line(t->w, "lanes_%s = v_add(lanes_%s, %s);", name, name, value);
    }
    close_loops(t, part);
    for (int i = 0; i < count; i++)
        cw_line(t->w, "%s += v_sum(lanes_%s);", t->names[sums[i]->id], t->names[sums[i]->id]);
}

static void write_sums(struct writer *t, const struct expr *const *sums, const struct expr *const *arrays, int count,
                       int level, int part)
{
    open_loops(t, arrays, count, level, part);
    for (int i = 0; i < count; i++)
        cw_line(t->w, "%s += %s;", t->names[sums[i]->id], text_of_piece(t, arrays[i], EXPR_LEVEL_CHOICE));
    close_loops(t, part);
}

/* All reductions of what takes `level` passes, in one pass. */
static void write_pass(struct writer *t, int level)
{
    const struct expr **arrays = arena_array(t->arena, (size_t)t->nodes, sizeof *arrays), **sums =
        arena_array(t->arena, (size_t)t->nodes, sizeof *sums);
    int count = 0;
    for (int i = 0; i < t->nodes; i++)
        if (t->reached[i] && expr_is_reduction(t->pool->nodes[i]) && t->levels[i] == level + 1) {
            sums[count] = t->pool->nodes[i];
            arrays[count++] = t->pool->nodes[i]->args[0];
        }
    if (!count)
        return;
    for (int i = 0; i < count; i++)
        cw_line(t->w, "%s %s = 0;", type_of(t, sums[i]), t->names[sums[i]->id]);
    for (int part = 0; part < parts_of(t); part++) {
        open_block(t, part);
        (is_of_vectors(t->how->dialect) ? write_vector_sums : write_sums)(t, sums, arrays, count, level, part);
        close_block(t, part);
    }
    for (int i = 0; i < count; i++) {
        if (sums[i]->op == EXPR_MEAN)
            cw_line(t->w, "%s /= %s;", t->names[sums[i]->id], t->how->loops->count);
        t->texts[sums[i]->id] = t->names[sums[i]->id];
    }
}

/* The array that is the result, part by part. */
static void write_results(struct writer *t, const struct expr *e, int level)
{
    for (int part = 0; part < parts_of(t); part++) {
        open_block(t, part);
        open_loops(t, &e, 1, level, part);
        t->how->loops->result(t->how->loops->context, part, text_of_piece(t, e, EXPR_LEVEL_CHOICE));
        close_loops(t, part);
        close_block(t, part);
    }
}

/* ---- definitions for what C has not ---------------------------------------------------------- */

static bool wants_definition(enum expr_dialect d, const struct expr_op_row *row)
{
    return (d == EXPR_C_DOUBLE || d == EXPR_C_FLOAT || (d == EXPR_C_SCALAR && !row->scalar)) && row->definition;
}

static void define(struct expr_pool *p, const struct expr_writing *how, const struct expr **roots, int count)
{
    bool defined = true;
    while (defined) {           /* definitions are made of what may want one; three turns at most */
        const bool *reached = expr_reached(p, roots, count);
        const int nodes = p->count;
        const struct expr **becomes = arena_array(p->arena, (size_t)nodes, sizeof *becomes);
        defined = false;
        for (int i = 0; i < nodes; i++) {
            const struct expr *e = p->nodes[i], *args[EXPR_ARGUMENTS] = { NULL };
            if (!reached[i])
                continue;
            for (int k = 0; k < expr_arguments(e); k++)
                args[k] = becomes[e->args[k]->id];
            becomes[i] = is_leaf(e) ? e : expr_make(p, e->op, args);
            if (wants_definition(dialect_of(how, becomes[i]), expr_op_row(e->op))) {
                becomes[i] = expr_of_row(p, expr_op_row(e->op)->definition, becomes[i], false);
                defined = true;
            }
        }
        for (int i = 0; i < count; i++)
            roots[i] = becomes[roots[i]->id];
    }
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* A writer of these roots. */
static struct writer writer_of(struct cwriter *w, struct expr_pool *p, const struct expr_writing *how,
                               const struct expr *const *roots, int count)
{
    struct writer t = { .w = w, .pool = p, .arena = p->arena, .how = how, .nodes = p->count,
                        .reached = expr_reached(p, roots, count) };
    size_t nodes = (size_t)t.nodes;
    t.root = arena_array(p->arena, nodes, sizeof *t.root);
    t.uses = arena_array(p->arena, nodes, sizeof *t.uses);
    t.lengths = arena_array(p->arena, nodes, sizeof *t.lengths);
    t.levels = arena_array(p->arena, nodes, sizeof *t.levels);
    t.variable = arena_array(p->arena, nodes, sizeof *t.variable);
    t.spread = arena_array(p->arena, nodes, sizeof *t.spread);
    t.names = arena_array(p->arena, nodes, sizeof *t.names);
    t.texts = arena_array(p->arena, nodes, sizeof *t.texts);
    for (int i = 0; i < count; i++)
        t.root[roots[i]->id] = true;
    return t;
}

/* All statements before the values of these roots; returns how many passes there are. */
static int write_statements(struct writer *t, const struct expr *const *roots, int count)
{
    const struct expr **arrays = arena_array(t->arena, (size_t)count, sizeof *arrays);
    int levels = 0, arrays_count = 0;
    count_uses(t);
    measure(t);
    for (int i = 0; i < count; i++) {
        levels = t->levels[roots[i]->id] > levels ? t->levels[roots[i]->id] : levels;
        if (roots[i]->is_array)
            arrays[arrays_count++] = roots[i];
    }
    for (int level = 0; level <= levels; level++) {
        declare_all(t, t->reached, level, false);
        if (t->how->loops)
            write_pass(t, level);
    }
    if (!t->how->loops)
        declare_all(t, t->reached, 0, true);
    else if (arrays_count && !t->how->loops->result)
        open_loops(t, arrays, arrays_count, levels, 0);
    return levels;
}

/* Roots as this dialect can write them; what is true or false as a number. */
static const struct expr **writable(struct expr_pool *p, const struct expr_writing *how,
                                    const struct expr *const *given, int count, int first_number)
{
    const struct expr **roots = arena_array(p->arena, (size_t)count, sizeof *roots);
    for (int i = 0; i < count; i++) {
        roots[i] = given[i];
        if (i >= first_number && given[i]->is_condition)
            roots[i] = expr_build(p, EXPR_IF, (const struct expr *[]){ given[i], expr_number(p, 1),
                                                                       expr_number(p, 0) });
    }
    define(p, how, roots, count);
    return roots;
}

const char *expr_write(struct cwriter *w, struct expr_pool *p, const struct expr_writing *how,
                       const struct expr *const *given, int count)
{
    const struct expr **roots = writable(p, how, given, count, count - 1), *last = roots[count - 1];
    struct writer t = writer_of(w, p, how, &last, 1);
    for (int i = 0; i < count - 1 && how->names; i++)
        if (!is_leaf(roots[i]) && !t.names[roots[i]->id])
            t.names[roots[i]->id] = how->names[i];
    int levels = write_statements(&t, &last, 1);
    if (how->loops && how->loops->result && last->is_array) {
        write_results(&t, last, levels);
        return NULL;
    }
    return text_of_piece(&t, last, EXPR_LEVEL_CHOICE);
}

void expr_write_all(struct cwriter *w, struct expr_pool *p, const struct expr_writing *how,
                    const struct expr *const *given, int count, const char **values)
{
    const struct expr **roots = writable(p, how, given, count, 0);
    struct writer t = writer_of(w, p, how, roots, count);
    for (int i = 0; i < count; i++) {
        t.uses[roots[i]->id]++;         /* one that another is made of is computed once */
        if (how->names && !is_leaf(roots[i]) && !t.names[roots[i]->id])
            t.names[roots[i]->id] = how->names[i];
    }
    write_statements(&t, roots, count);
    for (int i = 0; i < count; i++)
        values[i] = text_of_piece(&t, roots[i], EXPR_LEVEL_CHOICE);
}
