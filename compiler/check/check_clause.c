/* check_clause.c - the arguments of a clause against their definitions: which is which, what is missing, what is too
 * much. */
#include "check/check_parts.h"

#include <string.h>

const struct clause_def *clause_def_find(const struct clause_def *list, const char *name)
{
    for (; list->name; list++)
        if (!strcmp(list->name, name))
            return list;
    return NULL;
}

const char *clause_usage(struct arena *a, const struct clause_def *def)
{
    const char *text = def->name, *comma = " ";

    for (int i = 0; i < clause_def_count(def); i++) {
        const struct arg_def *arg = &def->args[i];
        const char *format = !arg->positional ? "%s%s%s=..."
                             : arg->required  ? "%s%s%s"
                                              : "%s%s[%s]";
        text = arena_printf(a, format, text, comma, arg->name);
        comma = ", ";
    }
    return text;
}

static int argument_find(const struct clause_def *def, const char *key)
{
    for (int i = 0; i < clause_def_count(def); i++)
        if (!strcmp(def->args[i].name, key))
            return i;
    return -1;
}

/* The slot of the n-th argument without a name; -1: no more of them. */
static int argument_positional(const struct clause_def *def, int n)
{
    for (int i = 0; i < clause_def_count(def); i++)
        if (def->args[i].positional && n-- == 0)
            return i;
    return -1;
}

/* What is used is the user's own: where it is declared. */
static void declared_note(struct check *c, const struct clause_def *def)
{
    if (def->declared.file)
        diag_note(c->diag, def->declared, "'%s' is declared here", def->name);
}

/* A block whose parameters are wrong, which is reported: what it takes nobody knows. */
static bool is_wrong_block(const struct check *c, const struct clause_def *def)
{
    const struct block_entry *b = def->declared.file ? check_block_find(c, def->name) : NULL;

    return b && &b->def == def && b->wrong;
}

static void unknown_argument(struct check *c, const struct clause_def *def,
                             const struct ast_arg *arg)
{
    struct names names = {.arena = c->arena};

    if (is_wrong_block(c, def))
        return;
    for (int i = 0; i < clause_def_count(def); i++)
        names_add(&names, def->args[i].name);
    diag_error(c->diag, DIAG_unknown_argument, arg->key_where, "%s has no argument '%s'", def->name,
               arg->key);
    check_suggest(c, &(struct unknown){.place = FOREIGN_KEY, .owner = def->name, .word = arg->key,
                                       .value = arg->value, .names = &names});
    declared_note(c, def);
    if (names.count)
        diag_hint(c->diag, "usage: %s", clause_usage(c->arena, def));
    else
        diag_hint(c->diag, "%s takes no arguments", def->name);
}

/* `lr 0.01` among the arguments: the name of one without its '='.  True: reported. */
static bool key_without_value(struct check *c, const struct clause_def *def, const struct ast_arg *arg)
{
    const struct ast_expr *e = arg->value;
    const struct ast_arg *next = arg->next;
    struct names names = {.arena = c->arena};

    if (e->kind != AST_NAME || !next || next->key || !check_suggests(c) || check_constant_find(c, e->text))
        return false;
    for (int i = 0; i < clause_def_count(def); i++)
        names_add(&names, def->args[i].name);
    const char *meant = check_surely(&(struct unknown){.place = FOREIGN_KEY, .owner = def->name, .word = e->text,
                                                       .names = &names}, false);
    const char *value = check_source_text(c, next->value->where);
    if (!meant)
        return false;
    diag_error(c->diag, DIAG_argument_order, arg->where, "the value of '%s' is given with '='", meant);
    diag_hint(c->diag, "write: %s=%s", meant, value ? value : "...");
    c->suggestions_count++;
    return true;
}

/* `maxpool2d 2, 2`, `input 3, 32, 32`: the sides of one extent as arguments of their own.  Reported; the number of
 * arguments that belong to the extent, else 0. */
static int extent_in_pieces(struct check *c, const struct clause_def *def, int slot, int next_slot,
                            const struct ast_arg *arg)
{
    enum arg_type type = def->args[slot].type;
    int sides = type == ARG_EXTENT3 || type == ARG_SHAPE ? 3 : type == ARG_EXTENT2 ? 2 : 0, count = 0;
    const char *text = "";
    struct span where = arg->where;

    if (next_slot >= 0 && (def->args[next_slot].type == ARG_INT || def->args[next_slot].type == ARG_REAL))
        return 0;
    for (const struct ast_arg *a = arg; a && count < sides && !a->key && a->value->kind == AST_NUMBER; a = a->next) {
        text = arena_printf(c->arena, "%s%s%.10g", text, count++ ? "x" : "", a->value->number);
        where.end = a->where.end;
    }
    if (count < 2)
        return 0;
    diag_error(c->diag, DIAG_bad_extent, where, "the sides of '%s' are one word, without commas",
               def->args[slot].name);
    if (count == sides)
        diag_hint(c->diag, "write: %s", text);
    bool arriving = c->in_network && slot == 1 && def->args[0].type == ARG_INT && arg->value->number !=
                    arg->next->value->number;
    if (arriving)
        diag_hint(c->diag, "where the first number is of the channels that arrive, leave it out: %s %.10g, %.10gx%.10g",
                  def->name, arg->value->number, arg->next->value->number, arg->next->value->number);
    else if (argument_find(def, "stride") >= 0 && count == 2)
        diag_hint(c->diag, "the step of a window has its name: stride=%.10g", arg->next->value->number);
    return count;
}

/* Whether it is the first of its line: the line before it ends in a comma. */
static bool begins_line(const struct ast_args *args, const struct ast_arg *arg)
{
    const struct ast_arg *before = args->first;

    if (!arg->where.file || arg == before)
        return false;
    while (before->next != arg)
        before = before->next;
    return before->where.file == arg->where.file && before->where.end < arg->where.begin &&
           memchr(arg->where.file->text + before->where.end, '\n', arg->where.begin - before->where.end);
}

static void too_many_arguments(struct check *c, const struct clause_def *def, const struct ast_args *args,
                               const struct ast_arg *arg)
{
    int most = 0;

    if (is_wrong_block(c, def))
        return;
    while (argument_positional(def, most) >= 0)
        most++;
    if (most == 0)
        diag_error(c->diag, DIAG_too_many_arguments, arg->where,
                   "%s takes no argument without a name", def->name);
    else
        diag_error(c->diag, DIAG_too_many_arguments, arg->where,
                   "%s takes at most %d argument%s without a name", def->name, most,
                   most == 1 ? "" : "s");
    declared_note(c, def);
    if (begins_line(args, arg))
        diag_hint(c->diag, "the line above ends in a comma, so its statement goes on here; a last argument has none");
    diag_hint(c->diag, "usage: %s", clause_usage(c->arena, def));
}

static bool missing_arguments(struct check *c, const struct clause *clause)
{
    const struct clause_def *def = clause->def;
    bool missing = false;

    if (is_wrong_block(c, def))
        return true;
    for (int i = 0; i < clause_def_count(def); i++) {
        if (!def->args[i].required || clause->args[i].given)
            continue;
        diag_error(c->diag, DIAG_missing_argument, clause->where, "%s needs '%s': %s", def->name,
                   def->args[i].name,
                   def->args[i].help ? def->args[i].help : check_slot_text(c, &def->args[i]));
        declared_note(c, def);
        diag_hint(c->diag, "usage: %s", clause_usage(c->arena, def));
        missing = true;
        break;
    }
    return missing;
}

struct clause *check_clause(struct check *c, const struct clause_def *def, struct span where,
                            const struct ast_args *args)
{
    int count = clause_def_count(def), positional = 0;
    struct clause *clause = arena_alloc(c->arena, sizeof *clause);
    const struct ast_arg *named = NULL;
    bool good = true;

    clause->def = def;
    clause->where = where;
    clause->args = arena_array(c->arena, (size_t)count + 1, sizeof *clause->args);
    for (const struct ast_arg *arg = args->first; arg; arg = arg->next) {
        int slot = arg->key ? argument_find(def, arg->key) : argument_positional(def, positional++);
        int pieces = slot >= 0 && !arg->key
                         ? extent_in_pieces(c, def, slot, argument_positional(def, positional), arg) : 0;
        if (pieces) {
            clause->args[slot].given = true;
            clause->args[slot].where = arg->where;
            while (--pieces)
                arg = arg->next;
            good = false;
            continue;
        }
        if (!arg->key && (slot < 0 || !check_slot_takes_word(def->args[slot].type)) && key_without_value(c, def, arg)) {
            arg = arg->next;
            positional--;
            good = false;
            continue;
        }
        if (slot < 0) {
            if (arg->key)
                unknown_argument(c, def, arg);
            else if (good || positional == 1)
                too_many_arguments(c, def, args, arg);
            good = false;
            continue;
        }
        if (!arg->key && named) {
            diag_error(c->diag, DIAG_argument_order, arg->where,
                       "arguments without a name come first");
            diag_note(c->diag, named->where, "this one has a name");
            return NULL;
        }
        if (clause->args[slot].given) {
            diag_error(c->diag, DIAG_duplicate_argument, arg->where, "'%s' is given twice",
                       def->args[slot].name);
            diag_note(c->diag, clause->args[slot].where, "first given here");
            good = false;
            continue;
        }
        if (arg->key)
            named = arg;
        good = check_slot(c, def, &def->args[slot], arg->value, &clause->args[slot]) && good;
    }
    if (!good || missing_arguments(c, clause))
        return NULL;
    clause_fill_defaults(clause);
    if (def->function && def->function->kind == FUNCTION_ACTIVATION && !(clause->own = check_own_activation(c, clause)))
        return NULL;
    return clause;
}

bool check_keys(struct check *c, const struct clause_def *def, const struct ast_args *args)
{
    bool good = true;

    for (const struct ast_arg *arg = args->first; arg; arg = arg->next)
        if (arg->key && strcmp(arg->key, trainable_def.name) && argument_find(def, arg->key) < 0) {
            unknown_argument(c, def, arg);
            good = false;
        }
    return good;
}

struct ast_args check_statement_args(struct check *c, const struct ast_statement *s)
{
    const struct ast_arg *arg = s->args.first;

    if (s->args.count != 1 || arg->key || arg->value->kind != AST_TUPLE)
        return s->args;
    if (ast_is_repaired(arg->value->where))     /* the bracket's own message says enough */
        return arg->value->args;
    diag_error(c->diag, DIAG_call_statement, arg->where,
               "a statement takes its arguments without parentheses");
    struct span inside = arg->value->where;
    int length = (int)(inside.end - inside.begin) - 2;
    if (length > 0 && length < 80 &&
        !memchr(inside.file->text + inside.begin, '\n', (size_t)length))
        diag_hint(c->diag, "write: %s %.*s", s->word, length, inside.file->text + inside.begin + 1);
    return arg->value->args;
}
