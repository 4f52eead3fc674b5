/* expr.c - the pool of nodes, see expr.h. */
#include <assert.h>
#include <string.h>

#include "expr/expr_parts.h"
#include "syntax/ast.h"

/* ---- what is known of operations ------------------------------------------------------------- */

static const struct expr_op_row rows[] = {
#define OPERATION(id, called, count, ...) [EXPR_##id] = { .name = called, .arguments = count, __VA_ARGS__ },
#include "expr/operations.def"
#undef OPERATION
};

const struct expr_op_row *expr_op_row(enum expr_op op)
{
    assert((int)op >= 0 && op < EXPR_OPERATIONS);
    return &rows[op];
}

enum expr_op expr_function(const char *name)
{
    for (int i = 0; i < EXPR_OPERATIONS; i++)
        if (rows[i].name && rows[i].kind != EXPR_HIDDEN && !strcmp(rows[i].name, name))
            return (enum expr_op)i;
    return EXPR_OPERATIONS;
}

enum expr_op expr_op_of_ast(const struct ast_expr *e)
{
    static const enum expr_op ops[] = {
        [AST_NEGATE] = EXPR_NEGATE, [AST_NOT] = EXPR_NOT, [AST_ADD] = EXPR_ADD, [AST_SUB] = EXPR_SUB,
        [AST_MUL] = EXPR_MUL,       [AST_DIV] = EXPR_DIV, [AST_MOD] = EXPR_MOD, [AST_POW] = EXPR_POW,
        [AST_EQ] = EXPR_EQ,         [AST_NE] = EXPR_NE,   [AST_LT] = EXPR_LT,   [AST_GT] = EXPR_GT,
        [AST_LE] = EXPR_LE,         [AST_GE] = EXPR_GE,   [AST_AND] = EXPR_AND, [AST_OR] = EXPR_OR
    };
    return e->kind == AST_CHOICE ? EXPR_IF : ops[e->op];
}

bool expr_is_reduction(const struct expr *e)
{
    return rows[e->op].kind == EXPR_REDUCTION;
}

int expr_arguments(const struct expr *e)
{
    return rows[e->op].arguments;
}

bool expr_is_number(const struct expr *e, double number)
{
    return e->op == EXPR_NUMBER && e->number == number;
}

/* ---- the pool -------------------------------------------------------------------------------- */

struct expr_pool *expr_pool_new(struct arena *a)
{
    struct expr_pool *p = arena_alloc(a, sizeof *p);
    p->arena = a;
    p->formulas.arena = a;
    return p;
}

static uint64_t number_bits(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static size_t hash(const struct expr *e)
{
    uint64_t h = (uint64_t)e->op + 1;
    const uint64_t parts[] = { e->args[0] ? (uint64_t)e->args[0]->id + 1 : 0, e->args[1] ? (uint64_t)e->args[1]->id + 1
                               : 0, e->args[2] ? (uint64_t)e->args[2]->id + 1 : 0, number_bits(e->number),
                               (uint64_t)e->index };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        h = (h ^ parts[i]) * 0x9e3779b97f4a7c15u;
        h ^= h >> 29;
    }
    return (size_t)h;
}

static bool same_node(const struct expr *a, const struct expr *b)
{
    return a->op == b->op && !memcmp(a->args, b->args, sizeof a->args) &&
           number_bits(a->number) == number_bits(b->number) && a->index == b->index && a->is_array == b->is_array &&
           (a->name == b->name || (a->name && b->name && !strcmp(a->name, b->name)));
}

/* The slot of such a node, or the free one where it belongs. */
static int *slot_of(const struct expr_pool *p, const struct expr *e)
{
    size_t at = hash(e) & (p->slots_count - 1);
    while (p->slots[at] && !same_node(p->nodes[p->slots[at] - 1], e))
        at = (at + 1) & (p->slots_count - 1);
    return &p->slots[at];
}

static void grow_slots(struct expr_pool *p)
{
    p->slots_count = p->slots_count ? 2 * p->slots_count : 64;
    p->slots = arena_array(p->arena, p->slots_count, sizeof *p->slots);
    for (int i = 0; i < p->count; i++)
        *slot_of(p, p->nodes[i]) = i + 1;
}

static const struct expr *find(const struct expr_pool *p, const struct expr *e)
{
    const int *slot = p->slots_count ? slot_of(p, e) : NULL;
    return slot && *slot ? p->nodes[*slot - 1] : NULL;
}

static const struct expr *add(struct expr_pool *p, struct expr e)
{
    const struct expr *same = find(p, &e);
    if (same)
        return same;
    if (2 * (size_t)(p->count + 1) > p->slots_count)
        grow_slots(p);
    struct expr *kept = arena_alloc(p->arena, sizeof *kept);
    *kept = e;
    kept->id = p->count;
    LIST_ADD(p->arena, p->nodes, p->count, p->capacity, kept);
    *slot_of(p, kept) = p->count;
    return kept;
}

const struct expr *expr_number(struct expr_pool *p, double number)
{
    return add(p, (struct expr){ .op = EXPR_NUMBER, .number = number });
}

const struct expr *expr_input(struct expr_pool *p, int index, const char *name, bool is_array)
{
    return add(p, (struct expr){ .op = EXPR_INPUT, .index = index, .name = name, .is_array = is_array });
}

const struct expr *expr_named(struct expr_pool *p, const char *name, const struct expr *value)
{
    return add(p, (struct expr){ .op = EXPR_NAMED, .name = name, .args = { value }, .is_array = value->is_array,
                                 .is_condition = value->is_condition });
}

static bool chooses_zero(const struct expr *e)
{
    const struct expr *const *a = e->args;
    switch (e->op) {
    case EXPR_IF:
        return expr_is_number(a[1], 0) || expr_is_number(a[2], 0) || a[1]->chooses_zero || a[2]->chooses_zero;
    case EXPR_ADD: case EXPR_SUB: return a[0]->chooses_zero && a[1]->chooses_zero;
    case EXPR_NEGATE: return a[0]->chooses_zero;
    default: return false;
    }
}

const struct expr *expr_make(struct expr_pool *p, enum expr_op op, const struct expr *const *args)
{
    const struct expr_op_row *row = expr_op_row(op);
    struct expr e = { .op = op, .is_condition = row->is_condition };
    for (int i = 0; i < row->arguments; i++) {
        e.args[i] = args[i];
        e.is_array = e.is_array || args[i]->is_array;
    }
    if (row->kind == EXPR_REDUCTION)
        e.is_array = false;
    if (op == EXPR_IF)
        e.is_condition = args[1]->is_condition && args[2]->is_condition;
    e.chooses_zero = chooses_zero(&e);
    if (row->commutes) {                /* what is there the other way round serves as well */
        struct expr other = e;
        other.args[0] = e.args[1];
        other.args[1] = e.args[0];
        const struct expr *same = find(p, &other);
        if (same)
            return same;
    }
    return add(p, e);
}

const struct expr *expr_copy(struct expr_pool *p, const struct expr_pool *from, const struct expr *e,
                             const struct expr *const *inputs)
{
    const bool *reached = expr_reached(from, &e, 1);
    const struct expr **copies = arena_array(p->arena, (size_t)e->id + 1, sizeof *copies);
    for (int i = 0; i <= e->id; i++) {
        const struct expr *n = from->nodes[i], *args[EXPR_ARGUMENTS] = { NULL };
        if (!reached[i])
            continue;
        for (int k = 0; k < expr_arguments(n); k++)
            args[k] = copies[n->args[k]->id];
        if (n->op == EXPR_INPUT)
            copies[i] = inputs[n->index];
        else if (n->op == EXPR_NUMBER)
            copies[i] = expr_number(p, n->number);
        else
            copies[i] = n->op == EXPR_NAMED ? expr_named(p, n->name, args[0]) : expr_make(p, n->op, args);
    }
    return copies[e->id];
}

bool *expr_reached(const struct expr_pool *p, const struct expr *const *roots, int count)
{
    bool *reached = arena_array(p->arena, (size_t)p->count + 1, sizeof *reached);
    for (int i = 0; i < count; i++)
        reached[roots[i]->id] = true;
    for (int i = p->count - 1; i >= 0; i--)     /* arguments come before what uses them */
        for (int k = 0; reached[i] && k < expr_arguments(p->nodes[i]); k++)
            reached[p->nodes[i]->args[k]->id] = true;
    return reached;
}

/* ---- what it costs --------------------------------------------------------------------------- */

double expr_cycles(const struct expr_pool *p, const struct expr *e)
{
    const bool *reached = expr_reached(p, &e, 1);
    double cycles = 0;
    for (int i = 0; i <= e->id; i++)
        cycles += reached[i] ? rows[p->nodes[i]->op].cycles : 0;
    return cycles;
}

int expr_flops(const struct expr_pool *p, const struct expr *e)
{
    const bool *reached = expr_reached(p, &e, 1);
    int flops = 0;
    for (int i = 0; i <= e->id; i++)
        flops += reached[i] ? rows[p->nodes[i]->op].flops : 0;
    return flops;
}
