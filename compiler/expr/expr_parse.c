/* expr_parse.c - formulas as text: read with the grammar of the language, and written again. */
#include <assert.h>
#include <string.h>

#include "base/diag.h"
#include "base/text.h"
#include "expr/expr_parts.h"
#include "syntax/parse.h"

/* ---- reading --------------------------------------------------------------------------------- */

struct reader {
    struct expr_pool *pool;
    const struct expr_name *names;
    const struct expr *(*make)(struct expr_pool *p, enum expr_op op, const struct expr *const *args);
    const char *wrong;
};

static const struct expr *read_expr(struct reader *r, const struct ast_expr *e);

static const struct expr *read_name(struct reader *r, const char *name)
{
    for (const struct expr_name *n = r->names; n->name; n++)
        if (!strcmp(n->name, name))
            return n->value;
    r->wrong = arena_printf(r->pool->arena, "nothing is called '%s'", name);
    return NULL;
}

static const struct expr *read_operation(struct reader *r, enum expr_op op, const struct ast_args *list)
{
    const struct expr *args[EXPR_ARGUMENTS];
    int count = 0;
    if (list->count != expr_op_row(op)->arguments) {
        r->wrong = "a wrong number of arguments";
        return NULL;
    }
    for (const struct ast_arg *arg = list->first; arg; arg = arg->next)
        if (arg->key || !(args[count++] = read_expr(r, arg->value)))
            return NULL;
    return r->make(r->pool, op, args);
}

/* Any function, hidden ones too. */
static enum expr_op function_of_table(const char *name)
{
    for (int i = 0; i < EXPR_OPERATIONS; i++) {
        const struct expr_op_row *row = expr_op_row((enum expr_op)i);
        if (row->name && !strcmp(row->name, name))
            return (enum expr_op)i;
    }
    return EXPR_OPERATIONS;
}

static const struct expr *read_expr(struct reader *r, const struct ast_expr *e)
{
    enum expr_op op;
    switch (e->kind) {
    case AST_NUMBER: return expr_number(r->pool, e->number);
    case AST_NAME: return read_name(r, e->text);
    case AST_UNARY:
    case AST_BINARY:
    case AST_CHOICE: return read_operation(r, expr_op_of_ast(e), &e->args);
    case AST_CALL:
        op = function_of_table(e->text);
        if (op != EXPR_OPERATIONS)
            return read_operation(r, op, &e->args);
        r->wrong = arena_printf(r->pool->arena, "no function is called '%s'", e->text);
        return NULL;
    default:
        r->wrong = "something that is no number";
        return NULL;
    }
}

/* The tree of a formula; NULL: it is none. */
static const struct ast_expr *parse_formula(struct arena *a, const char *formula)
{
    const char *text = arena_printf(a, "formula f(x) = %s\n", formula);
    struct diag *d = diag_new(a);
    const struct ast_body *file = parse_source(a, source_from_text(a, "a formula", text, strlen(text)), d);
    if (diag_errors(d) || file->count != 1 || file->first->kind != AST_FUNCTION)
        return NULL;
    return file->first->value;
}

const struct expr *expr_parse(struct expr_pool *p, const char *formula, const struct expr_name *names,
                              const char **wrong)
{
    struct reader r = { .pool = p, .names = names, .make = expr_make };
    const struct ast_expr *tree = parse_formula(p->arena, formula);
    const struct expr *e = tree ? read_expr(&r, tree) : NULL;
    if (!e)
        *wrong = tree ? r.wrong : "a syntax error";
    return e;
}

const struct expr *expr_of_row(struct expr_pool *p, const char *formula, const struct expr *e, bool built)
{
    const struct ast_expr *tree = table_get(&p->formulas, formula);
    if (!tree) {
        tree = parse_formula(p->arena, formula);
        assert(tree);
        table_put(&p->formulas, formula, (void *)tree);
    }
    struct expr_name names[EXPR_ARGUMENTS + 2] = { { "y", e } };
    static const char *const letters[] = { "a", "b", "c" };
    for (int i = 0; i < expr_arguments(e); i++)
        names[i + 1] = (struct expr_name){ letters[i], e->args[i] };
    struct reader r = { .pool = p, .names = names, .make = built ? expr_build : expr_make };
    const struct expr *result = read_expr(&r, tree);
    assert(result);
    return result;
}

/* ---- writing --------------------------------------------------------------------------------- */

static enum expr_level level_of(const struct expr *e)
{
    enum expr_level level = expr_op_row(e->op)->level;
    if (e->op == EXPR_NUMBER && e->number < 0)
        return EXPR_LEVEL_NEGATE;
    return level ? level : EXPR_LEVEL_PRIMARY;
}

static void put_expr(struct text *t, const struct expr *e);

static void put_operand(struct text *t, const struct expr *e, enum expr_level least)
{
    bool brackets = level_of(e) < least;
    if (brackets)
        text_add(t, "(");
    put_expr(t, e);
    if (brackets)
        text_add(t, ")");
}

static void put_leaf(struct text *t, const struct expr *e)
{
    if (e->op == EXPR_NUMBER)
        text_add(t, "%s", number_text(e->number).text);
    else
        text_add(t, "%s", e->op == EXPR_COUNT ? "count" : e->name);
}

static void put_infix(struct text *t, const struct expr *e, enum expr_level own)
{
    /* left to right, but for powers and for comparisons, which do not chain */
    bool right = e->op == EXPR_POW, chains = !right && own != EXPR_LEVEL_COMPARE;
    put_operand(t, e->args[0], chains ? own : own + 1);
    text_add(t, right ? "%s" : " %s ", expr_op_row(e->op)->sign);
    put_operand(t, e->args[1], right ? own : own + 1);
}

static void put_expr(struct text *t, const struct expr *e)
{
    const struct expr_op_row *row = expr_op_row(e->op);
    switch (row->kind) {
    case EXPR_LEAF:
        put_leaf(t, e);
        break;
    case EXPR_PREFIX:
        text_add(t, "%s", row->sign);
        put_operand(t, e->args[0], row->level);
        break;
    case EXPR_INFIX:
        put_infix(t, e, row->level);
        break;
    case EXPR_CHOICE:
        text_add(t, "if ");
        put_operand(t, e->args[0], EXPR_LEVEL_OR);
        text_add(t, " then ");
        put_operand(t, e->args[1], EXPR_LEVEL_OR);
        text_add(t, " else ");
        put_operand(t, e->args[2], EXPR_LEVEL_CHOICE);
        break;
    case EXPR_FUNCTION:
    case EXPR_HIDDEN:
    case EXPR_REDUCTION:
        text_add(t, "%s(", row->name);
        for (int i = 0; i < row->arguments; i++) {
            if (i)
                text_add(t, ", ");
            put_expr(t, e->args[i]);
        }
        text_add(t, ")");
        break;
    }
}

const char *expr_text(struct arena *a, const struct expr *e)
{
    struct text t = { .arena = a };
    put_expr(&t, e);
    return text_of(&t);
}
