/* check_function.c - a function of the user's own, a metric, loss or activation: names, arguments, calls, and what is
 * an array and what one number.  Functions that are called are put in where they are called.
 *
 * Requires: those that it calls have been checked.  Ensures for each function that passes: every local is used, the
 * result is one number or, of an activation, one for each that arrives, and no operation meets an operand that it does
 * not know. */
#include "check/check_parts.h"
#include "expr/activations.h"
#include "expr/expr.h"

#include <string.h>

/* What differs between the kinds. */
static const struct {
    int arrays;                 /* parameters that come first and have no default */
    const char *first;          /* what they are */
    const char *parameters, *usage;
    const char *over;           /* what sums run over */
    const char *result;         /* what is wrong with one that is an array, or none */
} kinds[] = {
    [FUNCTION_METRIC] = {2, "the first two parameters are the labels and the predictions, which have no default",
                         "a metric has the labels and the predictions as parameters", "metric %s(y, p)",
                         "the batch and the classes",
                             "a metric is one number a batch, this has one for each sample and class"},
    [FUNCTION_LOSS] = {2, "the first two parameters are the labels and the predictions, which have no default",
                       "a loss has the labels and the predictions as parameters", "loss %s(y, p)",
                       "the classes of a sample", "a loss is one number a sample, this has one for each class"},
    [FUNCTION_ACTIVATION] = {1, "the first parameter is what arrives, which has no default",
                             "an activation has what arrives as a parameter", "activation %s(x)", NULL,
                             "an activation gives a number for each that arrives, this is the same for all"}
};

struct scope {
    struct check *c;
    const struct ast_statement *statement;
    struct user_function *f;
    bool is_rate;                       /* no function: the expression of a rate, of single numbers */
    const bool *arrays;                 /* of a rate, by parameter */
    const double *values;               /* likewise, where the recipe says them; else NaN */
    struct table variables;             /* locals and parameters: their number from 1 on, of parameters negative */
    struct span *local_where;
    size_t locals_capacity, where_capacity;
    int where_count;
    bool *poisoned;                     /* by local: its value is wrong and was reported */
    size_t poisoned_capacity;
    int poisoned_count;
    int nodes_count, sums_count;        /* of its expressions, with those of what it calls */
    bool failed, too_many, too_large;   /* the latter two: reported */
};

static const struct expr *check_expr(struct scope *s, const struct ast_expr *e);

/* ---- the functions one may call -------------------------------------------------------------- */

/* Whether it may be called here. */
static bool is_called(const struct scope *s, const struct expr_op_row *row)
{
    return row->name && (row->kind != EXPR_HIDDEN || (s->is_rate && row->in_rates))
           && (row->kind != EXPR_REDUCTION || !s->is_rate);
}

/* All names that are there to be called. */
static void names_add_functions(const struct scope *s, struct names *names)
{
    for (enum function_kind k = FUNCTION_METRIC; k <= FUNCTION_ACTIVATION; k++)
        names_add_own(s->c, names, k);
    for (int i = 0; i < ACTIVATIONS_COUNT; i++)
        if (expr_function(activation_row((enum activation)i)->name) == EXPR_OPERATIONS)
            names_add(names, activation_row((enum activation)i)->name);
    for (int i = 0; i < EXPR_OPERATIONS; i++)
        if (is_called(s, expr_op_row((enum expr_op)i)))
            names_add(names, expr_op_row((enum expr_op)i)->name);
}

/* EXPR_OPERATIONS: there is none. */
static enum expr_op function_find(const struct scope *s, const char *name)
{
    for (int i = 0; i < EXPR_OPERATIONS; i++)
        if (is_called(s, expr_op_row((enum expr_op)i)) && !strcmp(expr_op_row((enum expr_op)i)->name, name))
            return (enum expr_op)i;
    return EXPR_OPERATIONS;
}

/* ---- names ----------------------------------------------------------------------------------- */

/* The place of a local or parameter in the function's list, -1: there is none. */
static int local_find(const struct scope *s, const char *name)
{
    const int *number = table_get(&s->variables, name);
    return number && *number > 0 ? *number - 1 : -1;
}

static int param_find(const struct scope *s, const char *name)
{
    const int *number = table_get(&s->variables, name);
    return number && *number < 0 ? -*number - 1 : -1;
}

static void name_variable(struct scope *s, const char *name, int number)
{
    int *kept = arena_alloc(s->c->arena, sizeof *kept);
    *kept = number;
    table_put(&s->variables, name, kept);
}

static const struct expr *unknown_variable(struct scope *s, const struct ast_expr *e)
{
    struct names names = {.arena = s->c->arena};
    const struct unknown unknown = {.word = e->text, .names = &names, .list = "names that have a value here"};

    if (check_name_spoilt(s->c, e->text))
        return NULL;
    for (int i = 0; i < s->f->params_count; i++)
        names_add(&names, s->f->params[i]);
    for (int i = 0; i < s->f->locals_count; i++)
        names_add(&names, s->f->locals[i].name);
    for (const struct constant *k = s->c->constants; k && check_suggests(s->c); k = k->outer)
        names_add(&names, k->name);
    diag_error(s->c->diag, DIAG_unknown_name, e->where, "nothing is called '%s' in '%s'", e->text,
               s->f->name);
    if (function_find(s, e->text) != EXPR_OPERATIONS || check_function_find(s->c, e->text) || activation_find(e->text))
        diag_hint(s->c->diag, "it is a function and needs its arguments: %s(...)", e->text);
    else
        check_suggest(s->c, &unknown);
    return NULL;
}

/* A constant that bears the name of what a rate is made of must be that. */
static bool check_no_constant(struct scope *s, const struct ast_expr *e, double value)
{
    struct constant *k = check_constant_find(s->c, e->text);
    if (!k)
        return true;
    struct value v = check_constant_value(s->c, k, e->where);
    if (v.kind == VALUE_NONE || (v.kind == VALUE_NUMBER && v.number == value))
        return v.kind == VALUE_NUMBER;
    diag_error(s->c->diag, DIAG_const_hides_word, e->where,
               "'%s' is both a constant and a value that a rate is made of", e->text);
    diag_note(s->c->diag, k->where, "give this constant another name");
    return false;
}

static const struct expr *check_variable(struct scope *s, const struct ast_expr *e)
{
    int local = local_find(s, e->text), param = param_find(s, e->text);

    if (local >= 0) {
        s->nodes_count++;
        return s->poisoned[local] ? NULL : s->f->locals[local].named;
    }
    if (param >= 0) {
        if (s->is_rate && !check_no_constant(s, e, s->values[param]))
            return NULL;
        s->nodes_count++;
        return expr_input(s->f->pool, param, s->f->params[param],
                          s->is_rate ? s->arrays[param] : param < s->f->arrays);
    }
    struct constant *k = check_constant_find(s->c, e->text);
    if (!k)
        return unknown_variable(s, e);
    struct value v = check_constant_value(s->c, k, e->where);
    if (v.kind == VALUE_NONE)
        return NULL;
    if (v.kind != VALUE_NUMBER) {
        diag_error(s->c->diag, DIAG_bad_type, e->where, "a %s works with numbers, found %s",
                   s->is_rate ? "rate" : "function", value_text(s->c, &v));
        check_constant_note(s->c, &v);
        return NULL;
    }
    s->nodes_count++;
    return expr_number(s->f->pool, v.number);
}

/* ---- operations ------------------------------------------------------------------------------ */

static bool need_condition(struct scope *s, const struct expr *x, struct span at, const char *where)
{
    if (x->is_condition)
        return true;
    diag_error(s->c->diag, DIAG_not_a_condition, at,
               "'%s' needs a condition such as a > 0, this is a number", where);
    return false;
}

/* Operands in order; false when one of them is wrong. */
static bool check_operands(struct scope *s, const struct ast_args *args, const struct expr **operands)
{
    int count = 0;
    bool good = true;

    s->nodes_count++;
    for (const struct ast_arg *arg = args->first; arg; arg = arg->next) {
        if (arg->key) {
            diag_error(s->c->diag, DIAG_unknown_argument, arg->key_where,
                       "this function's arguments have no names");
            good = false;
            continue;
        }
        const struct expr *operand = check_expr(s, arg->value);
        good = good && operand;
        if (good)
            operands[count++] = operand;
    }
    return good;
}

static const struct expr *check_operation(struct scope *s, const struct ast_expr *e)
{
    enum expr_op op = expr_op_of_ast(e);
    const struct expr *operands[EXPR_ARGUMENTS];
    const struct ast_arg *arg = e->args.first;

    if (!check_operands(s, &e->args, operands))
        return NULL;
    if (op == EXPR_IF && !need_condition(s, operands[0], arg->value->where, "if"))
        return NULL;
    for (int i = 0; expr_op_row(op)->takes_conditions && arg; i++, arg = arg->next)
        if (!need_condition(s, operands[i], arg->value->where, ast_operator_text(e->op)))
            return NULL;
    return expr_make(s->f->pool, op, operands);
}

/* ---- calls ----------------------------------------------------------------------------------- */

static const struct expr *unknown_function(struct scope *s, const struct ast_expr *e)
{
    struct names names = {.arena = s->c->arena};

    if (!strcmp(e->text, "softmax")) {
        diag_error(s->c->diag, DIAG_bad_function, e->word,
                   "'softmax' is of all classes together and no function of one number");
        diag_hint(s->c->diag, "in a loss or metric it is: exp(p) / sum(exp(p))");
        return NULL;
    }
    if (check_name_spoilt(s->c, e->text))
        return NULL;
    names_add_functions(s, &names);
    diag_error(s->c->diag, DIAG_unknown_function, e->word, "no function is called '%s'", e->text);
    check_suggest(s->c, &(struct unknown){.word = e->text, .names = &names, .list = "the functions are"});
    return NULL;
}

/* What may be called with arguments by name: `leaky(x, slope=0.2)`. */
struct callee {
    const char *name;
    const char *const *params;
    const double *defaults;             /* of those behind the required ones */
    int count, required;
};

static const char *callee_usage(struct scope *s, const struct callee *f)
{
    const char *text = arena_printf(s->c->arena, "%s(", f->name);

    for (int i = 0; i < f->count; i++) {
        text = arena_printf(s->c->arena, "%s%s%s", text, i ? ", " : "", f->params[i]);
        if (i >= f->required)
            text = arena_printf(s->c->arena, "%s=%s", text, number_text(f->defaults[i]).text);
    }
    return arena_printf(s->c->arena, "%s)", text);
}

/* The parameter that an argument is for; -1: reported. */
static int parameter_of(struct scope *s, const struct callee *f, const struct ast_arg *arg, int position)
{
    struct names names = {.arena = s->c->arena};

    if (!arg->key && position < f->count)
        return position;
    if (!arg->key) {
        diag_error(s->c->diag, DIAG_bad_function, arg->where, "'%s' takes %d argument%s", f->name, f->count,
                   f->count == 1 ? "" : "s");
        diag_hint(s->c->diag, "usage: %s", callee_usage(s, f));
        return -1;
    }
    for (int i = 0; i < f->count; i++) {
        names_add(&names, f->params[i]);
        if (!strcmp(f->params[i], arg->key))
            return i;
    }
    diag_error(s->c->diag, DIAG_unknown_argument, arg->key_where, "'%s' has no argument '%s'", f->name, arg->key);
    check_suggest(s->c, &(struct unknown){.word = arg->key, .names = &names});
    diag_hint(s->c->diag, "usage: %s", callee_usage(s, f));
    return -1;
}

/* A value for each parameter; false: reported. */
static bool check_arguments(struct scope *s, const struct ast_expr *e, const struct callee *f,
                            const struct expr **values)
{
    const struct ast_arg **given = arena_array(s->c->arena, (size_t)f->count, sizeof(struct ast_arg *));
    const struct ast_arg *named = NULL;
    int position = 0;
    bool good = true;

    for (const struct ast_arg *arg = e->args.first; arg; arg = arg->next) {
        int i = parameter_of(s, f, arg, position);
        position++;
        if (i < 0)
            return false;
        if (!arg->key && named) {
            diag_error(s->c->diag, DIAG_argument_order, arg->where, "arguments without a name come first");
            diag_note(s->c->diag, named->where, "this one has a name");
            return false;
        }
        if (given[i]) {
            diag_error(s->c->diag, DIAG_duplicate_argument, arg->where, "'%s' is given twice", f->params[i]);
            diag_note(s->c->diag, given[i]->where, "first given here");
            return false;
        }
        named = arg->key ? arg : named;
        given[i] = arg;
        values[i] = check_expr(s, arg->value);
        good = good && values[i];
    }
    for (int i = 0; i < f->count && good; i++) {
        if (given[i])
            continue;
        if (i < f->required) {
            diag_error(s->c->diag, DIAG_missing_argument, e->where, "'%s' needs its argument '%s'", f->name,
                       f->params[i]);
            diag_hint(s->c->diag, "usage: %s", callee_usage(s, f));
            return false;
        }
        values[i] = expr_number(s->f->pool, f->defaults[i]);
    }
    return good;
}

/* The value under the name of the call, as --explain shows it. */
static const struct expr *named_call(struct scope *s, const char *name, const struct expr *const *values, int count,
                                     const struct expr *result)
{
    const char *text = arena_printf(s->c->arena, "%s(", name);

    for (int i = 0; i < count; i++)
        text = arena_printf(s->c->arena, "%s%s%s", text, i ? ", " : "", expr_text(s->c->arena, values[i]));
    return expr_named(s->f->pool, arena_printf(s->c->arena, "%s)", text), result);
}

/* What a function adds to the one that calls it; false: reported. */
static bool check_size(struct scope *s, const struct ast_expr *e, int nodes, int sums)
{
    s->nodes_count += nodes;
    s->sums_count += sums;
    if (s->nodes_count <= FUNCTION_LARGEST)
        return true;
    if (!s->too_large)
        diag_error(s->c->diag, DIAG_too_big, e->where,
                   "with what it calls '%s' is too large: names, numbers and operations "
                   "are at most %d", s->f->name, FUNCTION_LARGEST);
    s->too_large = true;
    return false;
}

/* Its sums have to have something to run over here; false: reported. */
static bool check_sums(struct scope *s, const struct ast_expr *e, const struct expr *result)
{
    const bool *reached = expr_reached(s->f->pool, &result, 1);

    for (int i = 0; i <= result->id; i++) {
        const struct expr *x = s->f->pool->nodes[i];
        if (!reached[i] || !expr_is_reduction(x))
            continue;
        if (s->f->kind == FUNCTION_ACTIVATION) {
            diag_error(s->c->diag, DIAG_bad_function, e->where,
                       "'%s' makes sums, and an activation is of each number by "
                       "itself", e->text);
            return false;
        }
        if (!x->args[0]->is_array) {
            diag_error(s->c->diag, DIAG_bad_function, e->where, "'%s' makes a sum of what is one number here", e->text);
            return false;
        }
    }
    return true;
}

static const struct expr *call_own(struct scope *s, const struct ast_expr *e, const struct function_entry *entry)
{
    const struct user_function *f = entry->function;

    if (!f)
        return NULL;                    /* reported */
    const struct callee callee = {f->name, f->params, f->param_defaults, f->params_count, f->arrays};
    const struct expr **values = arena_array(s->c->arena, (size_t)f->params_count, sizeof *values);
    if (!check_arguments(s, e, &callee, values) || !check_size(s, e, entry->nodes, entry->sums))
        return NULL;
    const struct expr *result = expr_copy(s->f->pool, f->pool, f->result, values);
    if (!check_sums(s, e, result))
        return NULL;
    LIST_ADD(s->c->arena, s->f->calls, s->f->calls_count, s->f->calls_capacity, f);
    return named_call(s, f->name, values, f->params_count, result);
}

/* An activation of the language that is no operation of expressions. */
static const struct expr *call_activation(struct scope *s, const struct ast_expr *e, const struct activation_row *row)
{
    static const char *const params[] = {"x", "alpha"};
    const double defaults[] = {0, row->alpha.value};
    const struct callee callee = {row->name, params, defaults, activation_has_alpha(row) ? 2 : 1, 1};
    const struct expr *values[2] = {NULL};

    if (!check_arguments(s, e, &callee, values) || !check_size(s, e, row->flops, 0))
        return NULL;
    return named_call(s, row->name, values, callee.count, activation_of(s->f->pool, row, values[0], values[1]));
}

static const struct expr *check_call(struct scope *s, const struct ast_expr *e)
{
    const struct function_entry *own = check_function_find(s->c, e->text);
    const struct activation_row *row = activation_find(e->text);
    enum expr_op op = function_find(s, e->text);
    const struct expr_op_row *f;
    const struct expr *operands[EXPR_ARGUMENTS];

    if (own)
        return call_own(s, e, own);
    if (op == EXPR_OPERATIONS)
        return row ? call_activation(s, e, row) : unknown_function(s, e);
    f = expr_op_row(op);
    if (e->args.count != f->arguments) {
        diag_error(s->c->diag, DIAG_bad_function, e->where, "'%s' takes %d argument%s, found %d",
                   f->name, f->arguments, f->arguments == 1 ? "" : "s", e->args.count);
        return NULL;
    }
    if (f->kind == EXPR_REDUCTION && s->f->kind == FUNCTION_ACTIVATION) {
        diag_error(s->c->diag, DIAG_bad_function, e->word, "an activation is of each number by itself: it has no '%s'",
                   f->name);
        return NULL;
    }
    if (!check_operands(s, &e->args, operands))
        return NULL;
    if (f->kind != EXPR_REDUCTION)
        return expr_make(s->f->pool, op, operands);
    if (!operands[0]->is_array) {
        diag_error(s->c->diag, DIAG_bad_function, e->args.first->value->where,
                   "'%s' runs over %s, this is one number already", f->name, kinds[s->f->kind].over);
        return NULL;
    }
    s->sums_count++;
    return expr_make(s->f->pool, op, operands);
}

static const struct expr *check_expr(struct scope *s, const struct ast_expr *e)
{
    switch (e->kind) {
    case AST_NUMBER:
        s->nodes_count++;
        return expr_number(s->f->pool, e->number);
    case AST_NAME:
        return check_variable(s, e);
    case AST_CALL:
        return check_call(s, e);
    case AST_UNARY:
    case AST_BINARY:
    case AST_CHOICE:
        return check_operation(s, e);
    case AST_BAD:
        return NULL;
    case AST_EXTENT:
    case AST_STRING:
    case AST_SWITCH:
    case AST_LIST:
    case AST_TUPLE:
    case AST_INDEX: break;
    }
    diag_error(s->c->diag, DIAG_bad_type, e->where, "a %s works with numbers only", s->is_rate ? "rate" : "function");
    return NULL;
}

/* ---- the declaration ------------------------------------------------------------------------- */

static bool check_params(struct scope *s)
{
    const struct ast_args *args = &s->statement->head->args;
    struct user_function *f = s->f;
    struct check *c = s->c;
    bool good = true;

    f->params = arena_array(c->arena, (size_t)args->count + 1, sizeof *f->params);
    f->param_defaults = arena_array(c->arena, (size_t)args->count + 1, sizeof *f->param_defaults);
    for (const struct ast_arg *arg = args->first; arg; arg = arg->next) {
        const char *name = arg->key ? arg->key : arg->value->text;
        int i = f->params_count;
        if (!arg->key && arg->value->kind != AST_NAME) {
            diag_error(c->diag, DIAG_bad_function, arg->where,
                       "a parameter is a name, or name=number");
            return false;
        }
        if (!check_own_name(c, arg->key ? arg->key_where : arg->where, name))
            return false;
        if (param_find(s, name) >= 0) {
            diag_error(c->diag, DIAG_duplicate_name, arg->where, "two parameters are called '%s'",
                       name);
            good = false;
        }
        if ((i < f->arrays) == (arg->key != NULL)) {
            if (i < f->arrays)
                diag_error(c->diag, DIAG_bad_function, arg->where, "%s", kinds[f->kind].first);
            else
                diag_error(c->diag, DIAG_bad_function, arg->where, "a parameter after the first%s needs a default: "
                           "name=number", f->arrays > 1 ? " two" : "");
            good = false;
        } else if (arg->key) {
            struct value v = check_value(c, arg->value);
            if (v.kind != VALUE_NUMBER && v.kind != VALUE_NONE)
                diag_error(c->diag, DIAG_bad_type, arg->value->where,
                           "the default of '%s' is a number, found %s", name, value_text(c, &v));
            good = good && v.kind == VALUE_NUMBER;
            f->param_defaults[i] = v.number;
        }
        if (check_too_many(c, &s->too_many, i - f->arrays, FUNCTION_PARAMETERS_MOST, arg->where,
                           "parameters with a default"))
            return false;
        f->params[f->params_count++] = name;
        if (param_find(s, name) < 0)
            name_variable(s, name, -f->params_count);
    }
    if (f->params_count < f->arrays) {
        diag_error(c->diag, DIAG_bad_function, s->statement->head->where, "%s", kinds[f->kind].parameters);
        diag_hint(c->diag, "write: %s", arena_printf(c->arena, kinds[f->kind].usage, f->name));
        return false;
    }
    return good;
}

static void check_direction(struct scope *s)
{
    const struct ast_statement *d = s->statement;
    struct names names = {.arena = s->c->arena};

    if (!d->direction)
        return;
    if (s->f->kind != FUNCTION_METRIC) {
        diag_error(s->c->diag, DIAG_bad_function, d->direction_where, s->f->kind == FUNCTION_LOSS
                   ? "less of a loss is always better; only a metric says so"
                   : "only a metric is better higher or lower");
        s->failed = true;
        return;
    }
    names_add(&names, "higher_is_better");
    names_add(&names, "lower_is_better");
    if (!strcmp(d->direction, names.items[0])) {
        s->f->direction = CNN_HIGHER_IS_BETTER;
    } else if (!strcmp(d->direction, names.items[1])) {
        s->f->direction = CNN_LOWER_IS_BETTER;
    } else {
        diag_error(s->c->diag, DIAG_unknown_word, d->direction_where,
                   "a metric is higher_is_better or lower_is_better, found '%s'",
                   d->direction);
        check_suggest(s->c, &(struct unknown){.word = d->direction, .names = &names});
        s->failed = true;
    }
}

static void check_local(struct scope *s, const struct ast_statement *st)
{
    struct check *c = s->c;
    int same = local_find(s, st->word), param = param_find(s, st->word);

    if (!check_own_name(c, st->word_where, st->word)) {
        s->failed = true;
        return;
    }
    if (same >= 0 || param >= 0) {
        diag_error(c->diag, DIAG_duplicate_name, st->word_where,
                   "'%s' already has a value; it is given once", st->word);
        diag_note(c->diag, same >= 0 ? s->local_where[same] : s->statement->head->where, "%s",
                  same >= 0 ? "it is given here" : "it is a parameter");
        s->failed = true;
        return;
    }
    if (s->f->locals_count >= FUNCTION_LOCALS_MOST) {
        if (!s->too_many)
            diag_error(c->diag, DIAG_too_big, st->word_where, "a function has at most %d values",
                       FUNCTION_LOCALS_MOST);
        s->too_many = s->failed = true;
        return;
    }
    const struct expr *value = check_expr(s, st->value);
    struct function_local local = {st->word, value ? expr_named(s->f->pool, st->word, value) : NULL};
    LIST_ADD(c->arena, s->f->locals, s->f->locals_count, s->locals_capacity, local);
    name_variable(s, local.name, s->f->locals_count);
    LIST_ADD(c->arena, s->local_where, s->where_count, s->where_capacity, st->word_where);
    LIST_ADD(c->arena, s->poisoned, s->poisoned_count, s->poisoned_capacity, value == NULL);
    s->failed = s->failed || !value;
}

static void check_result(struct scope *s, const struct ast_expr *e)
{
    struct check *c = s->c;

    s->f->result = check_expr(s, e);
    s->failed = s->failed || !s->f->result;
    if (!s->f->result || s->f->result->is_array == (s->f->kind == FUNCTION_ACTIVATION))
        return;
    diag_error(c->diag, DIAG_not_a_scalar, e->where, "%s", kinds[s->f->kind].result);
    if (s->f->kind == FUNCTION_ACTIVATION)
        diag_hint(c->diag, "make it of '%s'", s->f->params[0]);
    else
        diag_hint(c->diag, "sum(...) or mean(...) makes one number of it");
    s->failed = true;
}

static void check_function_body(struct scope *s)
{
    const struct ast_statement *returned = NULL;
    struct check *c = s->c;

    for (const struct ast_statement *st = s->statement->body->first; st; st = st->next) {
        if (returned) {
            diag_error(c->diag, DIAG_bad_function, st->where, "nothing after 'return' is computed");
            diag_note(c->diag, returned->word_where, "the function ends here");
            s->failed = true;
            return;
        }
        if (st->kind == AST_ASSIGN || st->kind == AST_CONST) {
            check_local(s, st);
        } else if (st->kind == AST_RETURN) {
            returned = st;
            check_result(s, st->value);
        } else if (st->kind == AST_BROKEN) {
            s->failed = true;
        } else {
            diag_error(c->diag, DIAG_bad_function, st->word_where,
                       "a function consists of 'name = value' lines and a 'return'");
            if (st->kind == AST_IF)
                diag_hint(c->diag, "a choice is an expression: x = if a > 0 then a else 0");
            s->failed = true;
        }
    }
    if (!returned && !s->statement->body->broken) {
        struct span end = s->statement->body->where;
        end.begin = end.end - 1;
        diag_error(c->diag, DIAG_missing_return, end, "'%s' returns nothing", s->f->name);
        diag_hint(c->diag, "its last line is: return ...");
        s->failed = true;
    }
}

/* ---- locals that nothing uses ---------------------------------------------------------------- */

static void drop_unused(struct scope *s)
{
    struct user_function *f = s->f;
    const bool *used = expr_reached(f->pool, &f->result, 1);
    int count = 0;

    for (int i = 0; i < f->locals_count; i++) {
        if (used[f->locals[i].named->id])
            f->locals[count++] = f->locals[i];
        else
            diag_warning(s->c->diag, DIAG_unused_local, s->local_where[i],
                         "'%s' is computed and never used", f->locals[i].name);
    }
    f->locals_count = count;
}

/* Names that the log or a monitor already gives a meaning. */
static bool is_logged(const char *name)
{
    for (const struct metric_def *m = metric_defs; m->clause.name; m++)
        if (m->log_name && (!strcmp(m->clause.name, name) || !strcmp(m->log_name, name)))
            return true;
    return !strcmp(name, "loss") || !strncmp(name, "val_", 4);
}

/* What the language has under that name, and the file from now on has not; false: nobody can mean that. */
static bool check_hidden(struct scope *s)
{
    struct check *c = s->c;
    const char *name = s->f->name;
    const struct layer_def *layer = layer_def_find(name);
    bool metric = false, loss = clause_def_find(loss_defs, name) != NULL;
    const char *hidden = NULL;

    for (const struct metric_def *m = metric_defs; m->clause.name; m++)
        metric = metric || !strcmp(m->clause.name, name);
    if (s->f->kind == FUNCTION_METRIC && is_logged(name)) {
        diag_error(c->diag, DIAG_duplicate_name, s->f->where, "'%s' is a built-in value of the log", name);
        return false;
    }
    if (s->f->kind == FUNCTION_ACTIVATION && ((layer && !layer->is_activation) || !strcmp(name, "from"))) {
        diag_error(c->diag, DIAG_duplicate_name, s->f->where,
                   "'%s' is a statement of 'network' and cannot be an activation", name);
        return false;
    }
    if (s->f->kind == FUNCTION_METRIC ? metric : s->f->kind == FUNCTION_LOSS ? loss : layer != NULL)
        hidden = function_word(s->f->kind);
    else if (expr_function(name) != EXPR_OPERATIONS || activation_find(name))
        hidden = "function";
    if (hidden)
        diag_warning(c->diag, DIAG_hides_builtin, s->f->where, "this function hides the %s '%s' that the language has",
                     hidden, name);
    return true;
}

/* What it counts for where it is used; false: too large to be used at all. */
static bool check_work(struct scope *s, struct function_entry *entry)
{
    int64_t sums = s->sums_count + 1;

    entry->nodes = s->nodes_count;
    entry->sums = s->sums_count;
    entry->work = s->nodes_count * (entry->kind == FUNCTION_METRIC ? sums : entry->kind == FUNCTION_LOSS ? sums * sums
                                    : 1);
    if (entry->kind == FUNCTION_ACTIVATION && entry->work > ACTIVATION_LARGEST)
        diag_error(s->c->diag, DIAG_too_big, s->f->where,
                   "this activation is too large: names, numbers and operations are "
                   "at most %d, with what it calls", ACTIVATION_LARGEST);
    else if (entry->kind == FUNCTION_LOSS && entry->work > LOSS_LARGEST)
        diag_error(s->c->diag, DIAG_too_big, s->f->where,
                   "this loss is too large: names, numbers and operations times its "
                   "sums and again are at most %d, with what it calls", LOSS_LARGEST);
    else
        return true;
    return false;
}

void check_function(struct check *c, struct function_entry *entry)
{
    const struct ast_statement *st = entry->statement;
    struct scope s = {.c = c, .statement = st, .f = arena_alloc(c->arena, sizeof *s.f),
                      .variables = {.arena = c->arena}};

    s.f->pool = expr_pool_new(c->arena);
    s.f->kind = entry->kind;
    s.f->arrays = kinds[entry->kind].arrays;
    s.f->name = entry->name;
    s.f->where = st->head->word;
    s.failed = !check_hidden(&s) || entry->calls.recursive;
    check_direction(&s);
    if (!check_params(&s))
        return;
    if (st->value)
        check_result(&s, st->value);
    else if (st->body)
        check_function_body(&s);
    if (s.failed || !check_work(&s, entry))
        return;
    drop_unused(&s);
    entry->function = s.f;
}

const struct expr *check_rate_expr(struct check *c, const struct ast_expr *e, struct expr_pool *pool,
                                   const char *const *names, const bool *arrays, const double *values)
{
    struct user_function f = {.name = "lr_schedule", .pool = pool};
    struct scope s = {.c = c, .f = &f, .variables = {.arena = c->arena}, .is_rate = true, .arrays = arrays,
                      .values = values};

    f.params = arena_array(c->arena, FUNCTION_PARAMETERS_MOST, sizeof *f.params);
    for (; names[f.params_count]; f.params_count++) {
        f.params[f.params_count] = names[f.params_count];
        name_variable(&s, names[f.params_count], -1 - f.params_count);
    }
    return check_expr(&s, e);
}
