/* check_functions.c - the user's own functions among each other, and where they are used: the order in which they are
 * checked, what they hide, and what an activation is with the arguments that a layer gives it.
 *
 * Ensures: a function is checked after those that it calls, whatever their order in the text; one that calls itself, by
 * whatever way, is refused. */
#include "check/check_parts.h"
#include "expr/activations.h"

#include <string.h>

const char *function_word(enum function_kind kind)
{
    static const char *const words[] = {
        [FUNCTION_METRIC] = "metric", [FUNCTION_LOSS] = "loss", [FUNCTION_ACTIVATION] = "activation"};

    return words[kind];
}

static const char *function_phrase(enum function_kind kind)
{
    return kind == FUNCTION_ACTIVATION ? "an activation" : kind == FUNCTION_LOSS ? "a loss" : "a metric";
}

/* ---- names ----------------------------------------------------------------------------------- */

struct function_entry *check_function_find(const struct check *c, const char *name)
{
    const int *number = table_get(&c->functions_by_name, name);

    return number ? &c->functions[*number] : NULL;
}

void names_add_own(const struct check *c, struct names *names, enum function_kind kind)
{
    for (int i = 0; i < c->functions_count && check_suggests(c); i++)
        if (c->functions[i].kind == kind)
            names_add(names, c->functions[i].name);
}

const struct layer_def *check_layer_find(const struct check *c, const char *name)
{
    const struct function_entry *own = check_function_find(c, name);

    return own && own->layer ? own->layer : layer_def_find(name);
}

bool check_other_kind(struct check *c, const char *name, struct span where, enum function_kind wanted)
{
    const struct function_entry *own = check_function_find(c, name);

    if (!own || own->kind == wanted)
        return false;
    diag_error(c->diag, DIAG_wrong_function, where, "'%s' is %s, and here %s is wanted", name,
               function_phrase(own->kind), function_phrase(wanted));
    diag_note(c->diag, own->statement->head->word, "it is declared here");
    return true;
}

/* ---- the order ------------------------------------------------------------------------------- */

static void collect_calls(struct check *c, struct function_entry *entry, const struct ast_expr *e)
{
    if (!e)
        return;
    if (e->kind == AST_CALL) {
        const struct function_entry *callee = check_function_find(c, e->text);
        if (callee)
            calls_add(c, &entry->calls, (int)(callee - c->functions), e->word);
    }
    for (const struct ast_arg *arg = e->args.first; arg; arg = arg->next)
        collect_calls(c, entry, arg->value);
}

static void collect_all_calls(struct check *c, struct function_entry *entry)
{
    entry->calls.name = entry->name;
    collect_calls(c, entry, entry->statement->value);
    if (entry->statement->body)
        for (const struct ast_statement *s = entry->statement->body->first; s; s = s->next)
            collect_calls(c, entry, s->value);
}

static struct calls *calls_of_function(struct check *c, int number)
{
    return &c->functions[number].calls;
}

static void check_called_function(struct check *c, int number)
{
    check_function(c, &c->functions[number]);
}

static const char *hidden_function(struct check *c, const char *name)
{
    (void)c;
    return expr_function(name) == EXPR_OPERATIONS && !activation_find(name)
               ? NULL : "it hides the function of that name which the language has; give it another name";
}

/* What a user writes to use a loss or an activation. */
static void define_clause(struct check *c, struct function_entry *entry)
{
    const struct user_function *f = entry->function;
    int count = f->params_count - f->arrays;
    struct arg_def *args = arena_array(c->arena, (size_t)count + 1, sizeof *args);
    struct clause_def *def = arena_alloc(c->arena, sizeof *def);

    for (int i = 0; i < count; i++)
        args[i] = (struct arg_def){.name = f->params[i + f->arrays], .type = ARG_REAL, .positional = true,
                                   .default_number = f->param_defaults[i + f->arrays]};
    *def = (struct clause_def){.name = f->name, .args = args, .help = "a function of one's own", .function = f};
    entry->def = def;
    if (f->kind == FUNCTION_ACTIVATION) {
        entry->layer = own_activation_layer(c->arena, *def);
        entry->def = &entry->layer->clause;
    }
}

void check_functions(struct check *c)
{
    static const struct calls_walk walk = {calls_of_function, check_called_function, "calls",
                                           "how often would have to be known before it runs", hidden_function};
    const struct user_function **list = arena_array(c->arena, (size_t)c->functions_count + 1,
                                                    sizeof(struct user_function *));

    for (int i = 0; i < c->functions_count; i++)
        collect_all_calls(c, &c->functions[i]);
    check_calls(c, &walk, c->functions_count);
    for (int i = 0; i < c->functions_count; i++) {
        struct function_entry *entry = &c->functions[i];
        if (!entry->function)
            continue;
        list[c->model->functions_count++] = entry->function;
        if (entry->kind != FUNCTION_METRIC)
            define_clause(c, entry);
    }
    c->model->functions = list;
}

/* ---- an activation where it is used ---------------------------------------------------------- */

/* "leaky(0.2)" */
static const char *call_text(struct check *c, const struct clause *call)
{
    const char *text = call->def->name;
    int count = clause_def_count(call->def);

    for (int i = 0; i < count; i++)
        text = arena_printf(c->arena, "%s%s%s", text, i ? "," : "(", number_text(call->args[i].number).text);
    return count ? arena_printf(c->arena, "%s)", text) : text;
}

/* "t = softplus(x); y = x * tanh(t)", on one line. */
static const char *formula_text(struct check *c, const struct user_function *f)
{
    const char *text = "";

    for (int i = 0; i < f->locals_count; i++)
        text = arena_printf(c->arena, "%s%s = %s; ", text, f->locals[i].name,
                            expr_text(c->arena, f->locals[i].named->args[0]));
    return arena_printf(c->arena, "%s%s", text, expr_text(c->arena, f->result));
}

static struct activation_row *new_row(struct check *c, struct function_entry *entry, const struct clause *call,
                                      const char *text)
{
    const struct user_function *f = entry->function;
    struct activation_row *row = arena_alloc(c->arena, sizeof *row);
    struct expr_pool *pool = expr_pool_new(c->arena);
    const struct expr **inputs = arena_array(c->arena, (size_t)f->params_count, sizeof *inputs);

    inputs[0] = expr_input(pool, 0, "x", true);
    for (int i = 1; i < f->params_count; i++)
        inputs[i] = expr_number(pool, call->args[i - 1].number);
    *row = (struct activation_row){.name = f->name, .formula = formula_text(c, f), .pool = pool, .call = text};
    row->own = expr_copy(pool, f->pool, f->result, inputs);
    /* nothing else in C begins so, and no name of the user's has a number there */
    row->symbol = entry->rows_count ? arena_printf(c->arena, "own%d_%s", entry->rows_count + 1, f->name)
                                    : arena_printf(c->arena, "own_%s", f->name);
    if (!activation_complete(c->arena, row)) {
        diag_warning(c->diag, DIAG_zero_gradient, call->where,
                     "what stands before '%s' learns nothing: its gradient is 0 everywhere", f->name);
        diag_note(c->diag, f->where, "it is declared here");
    }
    return row;
}

const struct activation_row *check_own_activation(struct check *c, const struct clause *call)
{
    struct function_entry *entry = check_function_find(c, call->def->name);
    const char *text = call_text(c, call);
    bool before = c->activations_work > ACTIVATIONS_LARGEST;

    for (int i = 0; i < entry->rows_count; i++)
        if (!strcmp(entry->rows[i]->call, text))
            return entry->rows[i];
    c->activations_work += entry->work;
    if (c->activations_work > ACTIVATIONS_LARGEST) {
        if (!before)
            diag_error(c->diag, DIAG_too_big, call->where, "with this one the activations of your own are too large: "
                       "names, numbers and operations are at most %d of all together", ACTIVATIONS_LARGEST);
        return NULL;
    }
    const struct activation_row *row = new_row(c, entry, call, text);
    LIST_ADD(c->arena, entry->rows, entry->rows_count, entry->rows_capacity, row);
    return row;
}
