/* ast.c - building and printing the tree, see ast.h. */
#include "syntax/ast.h"

#include <stdlib.h>
#include <string.h>

struct ast_expr *ast_expr_new(struct arena *a, enum ast_kind kind, struct span where)
{
    struct ast_expr *e = arena_alloc(a, sizeof *e);

    e->kind = kind;
    e->where = e->word = where;
    e->depth = 1;
    return e;
}

struct ast_arg *ast_arg_new(struct arena *a, struct span where, const char *key,
                            struct span key_where, struct ast_expr *value)
{
    struct ast_arg *arg = arena_alloc(a, sizeof *arg);

    arg->where = where;
    arg->key = key;
    arg->key_where = key_where;
    arg->value = value;
    return arg;
}

struct ast_args ast_args_add(struct ast_args list, struct ast_arg *arg)
{
    if (list.last)
        list.last->next = arg;
    else
        list.first = arg;
    list.last = arg;
    list.count++;
    return list;
}

int ast_args_depth(struct ast_args list)
{
    int deepest = 0;

    for (const struct ast_arg *arg = list.first; arg; arg = arg->next)
        if (arg->value->depth > deepest)
            deepest = arg->value->depth;
    return deepest + 1;
}

struct ast_expr *ast_operation(struct arena *a, enum ast_kind kind, enum ast_operator op,
                               struct span where, struct ast_expr *x, struct ast_expr *y,
                               struct ast_expr *z)
{
    struct ast_expr *operands[] = {x, y, z}, *e = ast_expr_new(a, kind, where);

    e->op = op;
    for (int i = 0; i < 3 && operands[i]; i++)
        e->args = ast_args_add(
            e->args, ast_arg_new(a, operands[i]->where, NULL, (struct span){0}, operands[i]));
    e->depth = ast_args_depth(e->args);
    return e;
}

struct ast_statement *ast_statement_new(struct arena *a, enum ast_statement_kind kind,
                                        struct span where, const char *word, struct span word_where)
{
    struct ast_statement *s = arena_alloc(a, sizeof *s);

    s->kind = kind;
    s->where = where;
    s->word = word;
    s->word_where = word_where;
    return s;
}

struct ast_body *ast_body_add(struct arena *a, struct ast_body *body, struct ast_statement *s)
{
    if (!body)
        body = arena_alloc(a, sizeof *body);
    if (!s)
        return body;
    if (body->last)
        body->last->next = s;
    else
        body->first = s;
    body->last = s;
    body->broken = body->broken || s->kind == AST_BROKEN;
    body->count++;
    body->where = span_join(body->where, s->where);
    return body;
}

bool ast_is_repaired(struct span where)
{
    char last = where.end > where.begin ? where.file->text[where.end - 1] : ' ';

    return last != ')' && last != ']' && last != '}';
}

struct number_text number_text(double number)
{
    enum { DIGITS_ENOUGH = 17 };
    struct number_text n;

    if (number > -1e15 && number < 1e15 && number == (double)(int64_t)number) {
        snprintf(n.text, sizeof n.text, "%lld", (long long)number);
        return n;
    }
    for (int digits = 1; digits <= DIGITS_ENOUGH; digits++) {
        snprintf(n.text, sizeof n.text, "%.*g", digits, number);
        if (strtod(n.text, NULL) == number)
            break;
    }
    return n;
}

const char *ast_operator_text(enum ast_operator op)
{
    static const char *const texts[] = {
        [AST_NEGATE] = "-", [AST_NOT] = "not", [AST_ADD] = "+",   [AST_SUB] = "-",
        [AST_MUL] = "*",    [AST_DIV] = "/",   [AST_MOD] = "%",   [AST_POW] = "^",
        [AST_EQ] = "==",    [AST_NE] = "!=",   [AST_LT] = "<",    [AST_GT] = ">",
        [AST_LE] = "<=",    [AST_GE] = ">=",   [AST_AND] = "and", [AST_OR] = "or"};
    return texts[op];
}

/* ---- dump ------------------------------------------------------------------------------------ */

static void dump_expr(const struct ast_expr *e, FILE *out);

static void dump_args(struct ast_args list, FILE *out)
{
    for (const struct ast_arg *arg = list.first; arg; arg = arg->next) {
        if (arg->key)
            fprintf(out, "%s=", arg->key);
        dump_expr(arg->value, out);
        if (arg->next)
            fputs(", ", out);
    }
}

static void dump_string(const struct ast_expr *e, FILE *out)
{
    fputc('"', out);
    for (size_t i = 0; i < e->text_size; i++) {
        unsigned char c = (unsigned char)e->text[i];
        if (c < 0x20 || c == 0x7F || c == '"' || c == '\\')
            fprintf(out, "\\%03o", c);
        else
            fputc(c, out);
    }
    fputc('"', out);
}

static void dump_expr(const struct ast_expr *e, FILE *out)
{
    switch (e->kind) {
    case AST_BAD:
        fputs("<bad>", out);
        break;
    case AST_NUMBER:
        fputs(number_text(e->number).text, out);
        break;
    case AST_EXTENT:
        for (int i = 0; i < e->dims_count; i++)
            fprintf(out, "%s%lld", i ? "x" : "", (long long)e->dims[i]);
        break;
    case AST_STRING:
        dump_string(e, out);
        break;
    case AST_SWITCH:
        fputs(e->number != 0 ? "on" : "off", out);
        break;
    case AST_NAME:
        fputs(e->text, out);
        break;
    case AST_CALL:
    case AST_INDEX:
        fprintf(out, "%s%c", e->text, e->kind == AST_CALL ? '(' : '[');
        dump_args(e->args, out);
        fputc(e->kind == AST_CALL ? ')' : ']', out);
        break;
    case AST_LIST:
    case AST_TUPLE:
        fputc(e->kind == AST_LIST ? '[' : '(', out);
        dump_args(e->args, out);
        fputc(e->kind == AST_LIST ? ']' : ')', out);
        break;
    case AST_UNARY:
    case AST_BINARY:
    case AST_CHOICE:
        fprintf(out, "{%s: ", e->kind == AST_CHOICE ? "if" : ast_operator_text(e->op));
        dump_args(e->args, out);
        fputc('}', out);
        break;
    }
}

static void dump_body(const struct ast_body *body, int depth, FILE *out);

static void dump_statement(const struct ast_statement *s, int depth, FILE *out)
{
    static const char *const kinds[] = {
        [AST_COMMAND] = "statement", [AST_CONST] = "const", [AST_ASSIGN] = "assign",
        [AST_RETURN] = "return",     [AST_IF] = "if",       [AST_FUNCTION] = "function",
        [AST_BROKEN] = "broken"};
    fprintf(out, "%*s%s [%zu,%zu)", depth * 2, "", kinds[s->kind], s->where.begin, s->where.end);
    if (s->word)
        fprintf(out, " %s", s->word);
    if (s->head) {
        fputc(' ', out);
        dump_expr(s->head, out);
    }
    if (s->direction)
        fprintf(out, " %s", s->direction);
    if (s->args.count) {
        fputs(": ", out);
        dump_args(s->args, out);
    }
    if (s->value) {
        fputs(" = ", out);
        dump_expr(s->value, out);
    }
    if (s->as)
        fprintf(out, " as %s", s->as);
    fputc('\n', out);
    if (s->body)
        dump_body(s->body, depth + 1, out);
    if (s->otherwise) {
        fprintf(out, "%*selse\n", depth * 2, "");
        dump_body(s->otherwise, depth + 1, out);
    }
}

static void dump_body(const struct ast_body *body, int depth, FILE *out)
{
    for (const struct ast_statement *s = body->first; s; s = s->next)
        dump_statement(s, depth, out);
}

void ast_dump(const struct ast_body *file, FILE *out)
{
    dump_body(file, 0, out);
}

/* ---- comparison -------------------------------------------------------------------------------------------------- */

static bool text_same(const char *a, const char *b)
{
    return a && b ? !strcmp(a, b) : a == b;
}

static bool expr_same(const struct ast_expr *a, const struct ast_expr *b);

static bool args_same(struct ast_args a, struct ast_args b)
{
    const struct ast_arg *x = a.first, *y = b.first;

    for (; x && y; x = x->next, y = y->next)
        if (!text_same(x->key, y->key) || !expr_same(x->value, y->value))
            return false;
    return !x && !y;
}

static bool expr_same(const struct ast_expr *a, const struct ast_expr *b)
{
    if (!a || !b)
        return a == b;
    if (a->kind != b->kind || a->op != b->op || a->number != b->number || a->dims_count != b->dims_count ||
        a->text_size != b->text_size || (a->text_size && memcmp(a->text, b->text, a->text_size)))
        return false;
    for (int i = 0; i < a->dims_count; i++)
        if (a->dims[i] != b->dims[i])
            return false;
    return args_same(a->args, b->args);
}

static bool statement_same(const struct ast_statement *a, const struct ast_statement *b)
{
    return a->kind == b->kind && text_same(a->word, b->word) && args_same(a->args, b->args) &&
           text_same(a->as, b->as) && expr_same(a->value, b->value) && expr_same(a->head, b->head) &&
           text_same(a->direction, b->direction) && ast_same(a->body, b->body) && ast_same(a->otherwise, b->otherwise);
}

bool ast_same(const struct ast_body *a, const struct ast_body *b)
{
    if (!a || !b)
        return a == b;
    const struct ast_statement *x = a->first, *y = b->first;
    for (; x && y; x = x->next, y = y->next)
        if (!statement_same(x, y))
            return false;
    return !x && !y;
}
