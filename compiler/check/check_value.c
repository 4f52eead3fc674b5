/* check_value.c - what an expression of the file is worth at compilation: numbers, words,
 * constants. */
#include "check/check_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct value value_new(enum value_kind kind, const struct ast_expr *e)
{
    return (struct value){.kind = kind, .where = e->where, .expr = e, .text = e->text};
}

static struct value number_new(const struct ast_expr *e, double number)
{
    struct value v = value_new(VALUE_NUMBER, e);

    v.number = number;
    v.text = NULL;
    return v;
}

const char *value_text(struct check *c, const struct value *v)
{
    switch (v->kind) {
    case VALUE_NONE:
        return "nothing";
    case VALUE_NUMBER:
        return arena_printf(c->arena, "the number %.10g", v->number);
    case VALUE_SWITCH:
        return v->number != 0 ? "'on'" : "'off'";
    case VALUE_EXTENT:
        return v->dims_count == 2
                   ? arena_printf(c->arena, "the extent %lldx%lld", (long long)v->dims[0],
                                  (long long)v->dims[1])
                   : arena_printf(c->arena, "the extent %lldx%lldx%lld", (long long)v->dims[0],
                                  (long long)v->dims[1], (long long)v->dims[2]);
    case VALUE_STRING:
        return "a string";
    case VALUE_LIST:
        return arena_printf(c->arena, "a list of %d", v->count);
    case VALUE_WORD:
        return arena_printf(c->arena, "the word '%s'", v->text);
    case VALUE_CALL:
        return arena_printf(c->arena, "'%s(...)'", v->text);
    }
    return "nothing";
}

bool check_hexadecimal(struct check *c, const struct value *v)
{
    enum { DIGITS_MOST = 12 };
    const char *text = v->dims_count == 2 && v->dims[0] == 0 ? check_source_text(c, v->where) : NULL;

    if (!text || strlen(text) > DIGITS_MOST || strncmp(text, "0x", 2))
        return false;
    diag_hint(c->diag, "numbers are written in decimal: %s is %ld", text, strtol(text, NULL, 16));
    return true;
}

void check_constant_note(struct check *c, const struct value *v)
{
    for (const struct constant *k = v->constant; k; k = k->value.constant) {
        switch (k->kind) {
        case CONSTANT_DECLARED:
            diag_note(c->diag, k->where, "'%s' is declared here", k->name);
            return;
        case CONSTANT_GIVEN:
            diag_note(c->diag, k->given, "'%s' is given here", k->name);
            break;
        case CONSTANT_DEFAULT:
            diag_note(c->diag, k->given, "'%s' has this default", k->name);
            break;
        case CONSTANT_COUNTER:
            diag_note(c->diag, k->where, "'%s' counts the rounds of this repeat, from 0", k->name);
            return;
        }
    }
}

/* ---- constants ------------------------------------------------------------------------------- */

struct constant *check_constant_find(const struct check *c, const char *name)
{
    struct constant *local = table_get(&c->locals_by_name, name);

    return local ? local : table_get(&c->constants_by_name, name);
}

void check_constants_leave(struct check *c, struct constant *outer)
{
    for (struct constant *k = c->constants; k != outer; k = k->outer)
        table_put(&c->locals_by_name, k->name, k->hidden && k->hidden->level ? k->hidden : NULL);
    c->constants = outer;
}

/* The shape that arrives at a layer; only the network's statements have one. */
static bool is_built_in_value(const char *name)
{
    return !strcmp(name, "in_channels") || !strcmp(name, "in_height") || !strcmp(name, "in_width");
}

bool check_constant_name(struct check *c, const char *name, struct span where)
{
    if (!check_own_name(c, where, name))
        return false;
    if (!is_built_in_value(name))
        return true;
    diag_error(c->diag, DIAG_duplicate_name, where,
               "'%s' is the shape that arrives at a layer; a constant needs another name", name);
    return false;
}

static struct constant *new_constant(struct check *c, const char *name, struct span where)
{
    struct constant *k = arena_alloc(c->arena, sizeof *k);

    k->outer = c->constants;
    k->hidden = check_constant_find(c, name);
    k->name = name;
    k->where = where;
    k->level = c->level;
    return k;
}

static void see_constant(struct check *c, struct constant *k)
{
    c->constants = k;
    table_put(k->level > 0 ? &c->locals_by_name : &c->constants_by_name, k->name, k);
}

/* Declares; a constant of a body is worked out at once, one of the top level when it is first used.
 */
void check_constant_add(struct check *c, const struct ast_statement *s)
{
    const struct constant *same = check_constant_find(c, s->word);

    if (same && same->level == c->level) {
        const char *what = same->kind == CONSTANT_DECLARED ? "the constant '%s' is declared twice"
                           : same->kind == CONSTANT_COUNTER ? "'%s' is what this repeat counts already"
                                                            : "'%s' is a parameter of this block already";
        char *text = arena_printf(c->arena, what, s->word);
        diag_error(c->diag, DIAG_duplicate_name, s->word_where, "%s", text);
        diag_note(c->diag, same->where, "first declared here");
        return;
    }
    if (!check_constant_name(c, s->word, s->word_where))
        return;
    /* those of a network are bounded by its statements */
    if (!c->in_network && c->constants_count++ >= CONSTANTS_MOST) {
        if (c->constants_count == CONSTANTS_MOST + 1)
            diag_error(c->diag, DIAG_too_big, s->word_where, "a file has at most %d constants",
                       CONSTANTS_MOST);
        return;
    }
    struct constant *k = new_constant(c, s->word, s->word_where);
    k->expr = s->value;
    if (c->level > 0)
        check_constant_value(c, k, s->word_where);
    see_constant(c, k);
}

void check_constant_bind(struct check *c, const char *name, struct span where, const struct value *v,
                         enum constant_kind kind, struct span given)
{
    struct constant *k = new_constant(c, name, where);

    k->value = *v;
    k->state = CONSTANT_DONE;
    k->kind = kind;
    k->given = given;
    see_constant(c, k);
}

struct value check_constant_value(struct check *c, struct constant *k, struct span use)
{
    if (k->state == CONSTANT_BUSY) {
        diag_error(c->diag, DIAG_const_cycle, k->where, "the constant '%s' is defined by itself",
                   k->name);
        diag_note(c->diag, use, "needed here");
        return (struct value){.kind = VALUE_NONE, .where = use};
    }
    if (k->state == CONSTANT_NEW) {
        k->state = CONSTANT_BUSY;
        k->value = check_value(c, k->expr);
        if (k->value.kind == VALUE_WORD) {
            check_unknown_name(c, &k->value, NULL, 0);
            k->value.kind = VALUE_NONE;
        } else if (k->value.kind == VALUE_CALL) {
            diag_error(c->diag, DIAG_bad_type, k->value.where,
                       "a constant is a number, a switch, an extent, a string or a list, not %s",
                       value_text(c, &k->value));
            k->value.kind = VALUE_NONE;
        }
        k->state = CONSTANT_DONE;
    }
    struct value v = k->value;
    v.where = use;
    v.constant = k;
    return v;
}

/* ---- unknown names --------------------------------------------------------------------------- */

static const char *foreign_word(const char *word)
{
    static const char *const pairs[][2] = {{"true", "on"},   {"false", "off"}, {"True", "on"},
                                           {"False", "off"}, {"yes", "on"},    {"no", "off"},
                                           {"None", "off"},  {"none", "off"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (!strcmp(word, pairs[i][0]))
            return pairs[i][1];
    return NULL;
}

void check_unknown_name(struct check *c, const struct value *v, const char *const *extra,
                        int extra_count)
{
    struct names names = {.arena = c->arena};
    const struct unknown unknown = {.word = v->text, .names = &names, .list = "names that have a value here"};

    if (check_name_spoilt(c, v->text))
        return;
    /* a word that a block was given is wrong where it was given */
    bool given = v->constant && v->constant->kind != CONSTANT_DECLARED && v->expr;
    for (const struct constant *k = given ? v->others : c->constants; k && check_suggests(c); k = k->outer)
        names_add(&names, k->name);
    for (int i = 0; i < extra_count; i++)
        names_add(&names, extra[i]);
    if (c->in_network) {
        names_add(&names, "in_channels");
        names_add(&names, "in_height");
        names_add(&names, "in_width");
    }
    diag_error(c->diag, DIAG_unknown_name, given ? v->expr->where : v->where, "nothing is called '%s' here", v->text);
    if (given)
        diag_note(c->diag, v->where, "it is used here, as '%s'", v->constant->name);
    if (foreign_word(v->text))
        diag_hint(c->diag, "a switch is 'on' or 'off': write '%s'", foreign_word(v->text));
    else
        check_suggest(c, &unknown);
}

/* ---- operators ------------------------------------------------------------------------------- */

/* Numbers only: words are looked up in vain, everything else is of the wrong kind. */
static bool is_operand(struct check *c, const struct value *v, bool wants_switch,
                       const char *operator_text)
{
    if (v->kind == VALUE_NONE)
        return false;
    if (v->kind == (wants_switch ? VALUE_SWITCH : VALUE_NUMBER))
        return true;
    if (v->kind == VALUE_WORD) {
        check_unknown_name(c, v, NULL, 0);
        return false;
    }
    diag_error(c->diag, DIAG_bad_arithmetic, v->where, "'%s' works on %s, found %s", operator_text,
               wants_switch ? "conditions" : "numbers", value_text(c, v));
    check_constant_note(c, v);
    if (v->kind == VALUE_EXTENT && !check_hexadecimal(c, v))
        diag_hint(c->diag, "an extent that is computed is written as a list: [height, width]");
    if (v->kind == VALUE_SWITCH && (!strcmp(operator_text, "==") || !strcmp(operator_text, "!=")))
        diag_hint(c->diag, "a switch is a condition itself: if name { ... }, if not name { ... }");
    return false;
}

static double arithmetic(enum ast_operator op, double x, double y)
{
    switch (op) {
    case AST_ADD: return x + y;
    case AST_SUB: return x - y;
    case AST_MUL: return x * y;
    case AST_DIV: return x / y;
    case AST_MOD: return x - floor(x / y) * y;
    case AST_POW: return pow(x, y);
    case AST_EQ: return x == y;
    case AST_NE: return x != y;
    case AST_LT: return x < y;
    case AST_GT: return x > y;
    case AST_LE: return x <= y;
    case AST_GE: return x >= y;
    default: return 0;
    }
}

static struct value finite_value(struct check *c, struct value v)
{
    if (isfinite(v.number))
        return v;
    diag_error(c->diag, DIAG_bad_arithmetic, v.where, "the result of this is no finite number");
    v.kind = VALUE_NONE;
    return v;
}

static struct value binary_value(struct check *c, const struct ast_expr *e)
{
    const char *text = ast_operator_text(e->op);
    bool logical = e->op == AST_AND || e->op == AST_OR;
    struct value x = check_value(c, e->args.first->value),
                 y = check_value(c, e->args.first->next->value);
    struct value none = value_new(VALUE_NONE, e);
    bool good = is_operand(c, &x, logical, text);

    if (!good && x.kind != VALUE_WORD && x.kind == y.kind)      /* said once of both */
        return none;
    if (!is_operand(c, &y, logical, text) || !good)
        return none;
    if ((e->op == AST_DIV || e->op == AST_MOD) && y.number == 0) {
        diag_error(c->diag, DIAG_bad_arithmetic, y.where, "division by zero");
        check_constant_note(c, &y);
        return none;
    }
    struct value v = number_new(e, logical ? 0 : arithmetic(e->op, x.number, y.number));
    if (e->op == AST_AND)
        v.number = x.number != 0 && y.number != 0;
    else if (e->op == AST_OR)
        v.number = x.number != 0 || y.number != 0;
    if (logical || (e->op >= AST_EQ && e->op <= AST_GE))
        v.kind = VALUE_SWITCH;
    return finite_value(c, v);
}

static struct value unary_value(struct check *c, const struct ast_expr *e)
{
    struct value x = check_value(c, e->args.first->value);

    if (!is_operand(c, &x, e->op == AST_NOT, ast_operator_text(e->op)))
        return value_new(VALUE_NONE, e);
    struct value v = number_new(e, e->op == AST_NOT ? x.number == 0 : -x.number);
    v.kind = x.kind;
    return v;
}

static struct value choice_value(struct check *c, const struct ast_expr *e)
{
    const struct ast_arg *condition = e->args.first;
    struct value x = check_value(c, condition->value);

    if (!is_operand(c, &x, true, "if"))
        return value_new(VALUE_NONE, e);
    return check_value(c, x.number != 0 ? condition->next->value : condition->next->next->value);
}

/* ---- the rest -------------------------------------------------------------------------------- */

static struct value name_value(struct check *c, const struct ast_expr *e)
{
    struct constant *k = check_constant_find(c, e->text);

    if (k)
        return check_constant_value(c, k, e->where);
    if (!c->in_network || !is_built_in_value(e->text))
        return value_new(VALUE_WORD, e);
    if (!c->current && !c->broken) {
        diag_error(c->diag, DIAG_missing_input, e->where,
                   "'%s' is the shape that arrives at a layer; before 'input' there is none", e->text);
        c->broken = true;
    }
    if (c->broken)
        return value_new(VALUE_NONE, e);
    struct shape s = c->current->out;
    return number_new(e, !strcmp(e->text, "in_channels") ? s.c
                         : !strcmp(e->text, "in_height") ? s.h
                                                         : s.w);
}

static struct value list_value(struct check *c, const struct ast_expr *e)
{
    struct value v = value_new(VALUE_LIST, e),
                 *items = arena_array(c->arena, (size_t)e->args.count + 1, sizeof *items);

    for (const struct ast_arg *arg = e->args.first; arg; arg = arg->next) {
        if (arg->key) {
            diag_error(c->diag, DIAG_bad_type, arg->where, "a list has values only, no '%s='",
                       arg->key);
            v.kind = VALUE_NONE;
        }
        items[v.count] = check_value(c, arg->value);
        if (items[v.count].kind == VALUE_WORD)
            check_unknown_name(c, &items[v.count], NULL, 0);
        if (items[v.count].kind == VALUE_NONE || items[v.count].kind == VALUE_WORD)
            v.kind = VALUE_NONE;
        v.count++;
    }
    v.items = items;
    return v;
}

static struct value index_value(struct check *c, const struct ast_expr *e)
{
    struct value none = value_new(VALUE_NONE, e), i = check_value(c, e->args.first->value);
    struct constant *k = check_constant_find(c, e->text);

    if (!k) {
        struct value word = value_new(VALUE_WORD, e);
        word.where = e->word;
        check_unknown_name(c, &word, NULL, 0);
        return none;
    }
    struct value list = check_constant_value(c, k, e->word);
    if (list.kind == VALUE_NONE || !is_operand(c, &i, false, "[ ]"))
        return none;
    if (list.kind != VALUE_LIST) {
        diag_error(c->diag, DIAG_bad_type, e->word, "'%s' is no list but %s", e->text,
                   value_text(c, &list));
        check_constant_note(c, &list);
        return none;
    }
    if (i.number != floor(i.number) || i.number < 0 || i.number >= list.count) {
        diag_error(c->diag, DIAG_out_of_range, i.where, "'%s' has elements 0 to %d, found %s",
                   e->text, list.count - 1, value_text(c, &i));
        check_constant_note(c, &list);
        return none;
    }
    struct value v = list.items[(int)i.number];
    v.where = e->where;
    return v;
}

enum { CALL_MOST = 2 };

static const struct value_function {
    const char *name;
    int arguments;
    double (*one)(double);
    double (*two)(double, double);
} value_functions[] = {{"floor", 1, floor, NULL}, {"ceil", 1, ceil, NULL}, {"round", 1, rint, NULL},
                       {"abs", 1, fabs, NULL},    {"sqrt", 1, sqrt, NULL}, {"exp", 1, exp, NULL},
                       {"log", 1, log, NULL},     {"min", 2, NULL, fmin},  {"max", 2, NULL, fmax},
                       {"pow", 2, NULL, pow}};

const char *check_value_function(int number, int *arguments)
{
    if ((size_t)number >= sizeof value_functions / sizeof *value_functions)
        return NULL;
    *arguments = value_functions[number].arguments;
    return value_functions[number].name;
}

/* length(list): how many elements it has. */
static struct value length_value(struct check *c, const struct ast_expr *e)
{
    if (e->args.count != 1) {
        diag_error(c->diag, DIAG_bad_function, e->where, "'length' takes 1 argument, found %d", e->args.count);
        return value_new(VALUE_NONE, e);
    }
    struct value list = check_value(c, e->args.first->value);
    if (list.kind == VALUE_WORD)
        check_unknown_name(c, &list, NULL, 0);
    if (list.kind == VALUE_NONE || list.kind == VALUE_WORD)
        return value_new(VALUE_NONE, e);
    if (list.kind == VALUE_LIST)
        return number_new(e, list.count);
    diag_error(c->diag, DIAG_bad_type, list.where, "'length' is of a list, found %s", value_text(c, &list));
    check_constant_note(c, &list);
    return value_new(VALUE_NONE, e);
}

/* A call of a function of numbers is worked out; any other call is for the slot to understand. */
static struct value call_value(struct check *c, const struct ast_expr *e)
{
    const struct value_function *f = NULL;
    double x[CALL_MOST] = {0};
    int count = 0;

    if (!strcmp(e->text, "length"))
        return length_value(c, e);
    for (size_t i = 0; i < sizeof value_functions / sizeof *value_functions; i++)
        if (!strcmp(value_functions[i].name, e->text))
            f = &value_functions[i];
    if (!f)
        return value_new(VALUE_CALL, e);
    if (e->args.count != f->arguments) {
        diag_error(c->diag, DIAG_bad_function, e->where, "'%s' takes %d argument%s, found %d",
                   f->name, f->arguments, f->arguments == 1 ? "" : "s", e->args.count);
        return value_new(VALUE_NONE, e);
    }
    for (const struct ast_arg *arg = e->args.first; arg; arg = arg->next) {
        struct value v = check_value(c, arg->value);
        if (!is_operand(c, &v, false, f->name))
            return value_new(VALUE_NONE, e);
        x[count++] = v.number;
    }
    return finite_value(c, number_new(e, f->one ? f->one(x[0]) : f->two(x[0], x[1])));
}

static struct value value_of_kind(struct check *c, const struct ast_expr *e)
{
    struct value v;

    if (e->known) {
        v = *e->known;
        v.where = e->where;
        return v;
    }
    switch (e->kind) {
    case AST_NUMBER:
        return number_new(e, e->number);
    case AST_SWITCH:
        v = value_new(VALUE_SWITCH, e);
        v.number = e->number;
        return v;
    case AST_EXTENT:
        v = value_new(VALUE_EXTENT, e);
        v.dims_count = e->dims_count;
        memcpy(v.dims, e->dims, sizeof v.dims);
        return v;
    case AST_STRING:
        return value_new(VALUE_STRING, e);
    case AST_NAME:
        return name_value(c, e);
    case AST_CALL:
        return call_value(c, e);
    case AST_INDEX:
        return index_value(c, e);
    case AST_LIST:
        return list_value(c, e);
    case AST_TUPLE:
        diag_error(c->diag, DIAG_bad_type, e->where,
                   "parentheses hold one value; a list has brackets: [a, b]");
        return value_new(VALUE_NONE, e);
    case AST_UNARY:
        return unary_value(c, e);
    case AST_BINARY:
        return binary_value(c, e);
    case AST_CHOICE:
        return choice_value(c, e);
    case AST_BAD:
        break;
    }
    return value_new(VALUE_NONE, e);
}

/* Constants that need each other may lead much deeper than one expression does. */
struct value check_value(struct check *c, const struct ast_expr *e)
{
    if (c->depth >= VALUE_DEEPEST) {
        diag_error(c->diag, DIAG_too_deep, e->where, "this is needed through more than %d steps",
                   VALUE_DEEPEST);
        return value_new(VALUE_NONE, e);
    }
    c->depth++;
    struct value v = value_of_kind(c, e);
    c->depth--;
    return v;
}

/* `leaky_relu(slope)`: with its arguments worked out. */
static const struct ast_expr *kept_call(struct check *c, const struct ast_expr *e)
{
    struct ast_expr *call = arena_alloc(c->arena, sizeof *call);

    *call = *e;
    call->args = (struct ast_args){0};
    for (const struct ast_arg *arg = e->args.first; arg; arg = arg->next) {
        struct ast_expr *copy = arena_alloc(c->arena, sizeof *copy);
        const struct value v = check_value(c, arg->value);
        *copy = *arg->value;
        copy->known = check_value_kept(c, &v);
        if (!copy->known)
            return NULL;
        call->args = ast_args_add(call->args, ast_arg_new(c->arena, arg->where, arg->key, arg->key_where, copy));
    }
    return call;
}

const struct value *check_value_kept(struct check *c, const struct value *v)
{
    struct value *kept = arena_alloc(c->arena, sizeof *kept);

    *kept = *v;
    if (v->kind == VALUE_WORD && !v->others) {
        kept->layer = check_name_seen(c, v->text);
        kept->others = c->constants;
        kept->seen = check_seen_here(c);
    }
    if (v->kind == VALUE_CALL)
        kept->expr = kept_call(c, v->expr);
    return v->kind == VALUE_NONE || (v->kind == VALUE_CALL && !kept->expr) ? NULL : kept;
}
