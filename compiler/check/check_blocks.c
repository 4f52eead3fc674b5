/* check_blocks.c - blocks of layers of the user's own, and repeats: their declarations, and where they are used, which
 * puts their layers there.
 *
 * A block sees its parameters, the constants of the top level and what it declares itself, nothing of where it is used.
 * What is wrong within it is reported there, once, and followed by where it was used.
 *
 * Requires: all files have been read.  Ensures: no block uses itself; expansion ends within EXPANDED_MOST
 * statements. */
#include "check/check_parts.h"
#include "base/text.h"

#include <math.h>
#include <string.h>

struct block_entry *check_block_find(const struct check *c, const char *name)
{
    const int *number = table_get(&c->blocks_by_name, name);

    return number ? &c->blocks[*number] : NULL;
}

void names_add_blocks(const struct check *c, struct names *names)
{
    for (int i = 0; i < c->blocks_count && check_suggests(c); i++)
        names_add(names, c->blocks[i].def.name);
}

/* ---- declarations ---------------------------------------------------------------------------- */

/* Words that say what they say. */
static bool is_statement_word(const char *name)
{
    static const char *const words[] = {"input", "from", "branch", "repeat", "block", NULL};

    return word_in(name, words);
}

static bool check_parameter(struct check *c, const struct block_entry *b, const struct ast_arg *p, int before)
{
    const char *name = p->key ? p->key : p->value->text;
    struct span where = p->key ? p->key_where : p->where;

    if (!p->key && p->value->kind == AST_BAD)
        return false;
    if (!p->key && p->value->kind != AST_NAME) {
        diag_error(c->diag, DIAG_bad_block, p->where,
                   "a parameter is a name, or a name with its default: filters, stride=1");
        return false;
    }
    if (!check_constant_name(c, name, where))
        return false;
    if (!strcmp(name, "trainable")) {
        diag_error(c->diag, DIAG_bad_name, where,
                   "every use of a block takes 'trainable' already: it is no parameter's name");
        return false;
    }
    if (before > 0 && !p->key && b->parameters[before - 1]->key) {
        diag_error(c->diag, DIAG_argument_order, where, "parameters with a default come last");
        return false;
    }
    for (int i = 0; i < before; i++) {
        if (strcmp(b->def.args[i].name, name))
            continue;
        diag_error(c->diag, DIAG_duplicate_name, where, "two parameters are called '%s'", name);
        diag_note(c->diag, b->parameters[i]->where, "the other one is here");
        return false;
    }
    return true;
}

static void check_parameters(struct check *c, struct block_entry *b, const struct ast_args *list)
{
    int count = list->count < BLOCK_PARAMETERS_MOST ? list->count : BLOCK_PARAMETERS_MOST, i = 0;
    struct arg_def *args = arena_array(c->arena, (size_t)count + 1, sizeof *args);

    b->def.args = args;
    b->parameters = arena_array(c->arena, (size_t)count + 1, sizeof *b->parameters);
    for (const struct ast_arg *p = list->first; p; p = p->next) {
        if (i == BLOCK_PARAMETERS_MOST) {
            diag_error(c->diag, DIAG_too_big, p->where, "a block has at most %d parameters", BLOCK_PARAMETERS_MOST);
            b->wrong = true;
            break;
        }
        if (!check_parameter(c, b, p, i)) {
            b->wrong = true;
            continue;
        }
        b->parameters[i] = p;
        args[i++] = (struct arg_def){.name = p->key ? p->key : p->value->text, .type = ARG_ANY, .positional = true,
                                     .required = !p->key, .help = "it has no default"};
    }
}

/* Its name and parameters; NULL: reported. */
static const struct ast_expr *block_head(struct check *c, const struct ast_statement *s)
{
    const struct ast_arg *arg = s->args.first;
    const struct ast_expr *head = arg && !arg->next && !arg->key ? arg->value : NULL;

    if (head && head->kind == AST_BAD)
        return NULL;
    if (!head || (head->kind != AST_NAME && head->kind != AST_CALL)) {
        diag_error(c->diag, DIAG_bad_block, arg ? arg->where : s->word_where,
                   "a block needs a name and perhaps parameters");
        diag_hint(c->diag, "such as: block residual(filters, stride=1) { ... }");
        return NULL;
    }
    if (!check_no_as(c, s))
        return NULL;
    if (!s->body) {
        diag_error(c->diag, DIAG_missing_body, s->where, "the layers of the block '%s' are missing", head->text);
        diag_hint(c->diag, "write them in braces behind it; where it is used 'block' is left out: %s ...", head->text);
        return NULL;
    }
    return head;
}

static bool check_block_name(struct check *c, const struct ast_expr *head)
{
    const struct block_entry *same = check_block_find(c, head->text);

    if (!check_own_name(c, head->word, head->text))
        return false;
    if (is_statement_word(head->text)) {
        diag_error(c->diag, DIAG_bad_name, head->word, "'%s' is a statement of 'network' and cannot be a block",
                   head->text);
        return false;
    }
    if (same) {
        diag_error(c->diag, DIAG_duplicate_name, head->word, "the block '%s' is declared twice", head->text);
        diag_note(c->diag, same->def.declared, "first declared here");
        return false;
    }
    return true;
}

void check_block_add(struct check *c, const struct ast_statement *s, bool included)
{
    static const struct ast_args none = {0};
    const struct ast_expr *head = block_head(c, s);

    if (!head || !check_block_name(c, head))
        return;
    if (c->blocks_count >= BLOCKS_MOST) {
        diag_error(c->diag, DIAG_too_big, head->word, "a file has at most %d blocks", BLOCKS_MOST);
        return;
    }
    struct block_entry b = {.statement = s, .included = included, .calls = {.name = head->text},
                            .def = {.name = head->text, .help = "a block of one's own", .declared = head->word}};
    check_parameters(c, &b, head->kind == AST_CALL ? &head->args : &none);
    int *number = arena_alloc(c->arena, sizeof *number);
    *number = c->blocks_count;
    table_put(&c->blocks_by_name, head->text, number);
    LIST_ADD(c->arena, c->blocks, c->blocks_count, c->blocks_capacity, b);
}

/* ---- what uses what -------------------------------------------------------------------------- */

static void collect_uses(struct check *c, struct block_entry *b, const struct ast_body *body)
{
    if (!body)
        return;
    for (const struct ast_statement *s = body->first; s; s = s->next) {
        const struct block_entry *used = s->kind == AST_COMMAND ? check_block_find(c, s->word) : NULL;
        if (used)
            calls_add(c, &b->calls, (int)(used - c->blocks), s->word_where);
        collect_uses(c, b, s->body);
        collect_uses(c, b, s->otherwise);
    }
}

/* Anywhere in the text, also in what is not chosen. */
static void mark_used(struct check *c, const struct ast_body *body)
{
    if (!body)
        return;
    for (const struct ast_statement *s = body->first; s; s = s->next) {
        struct block_entry *b = s->kind == AST_COMMAND ? check_block_find(c, s->word) : NULL;
        if (b)
            b->used = true;
        mark_used(c, s->body);
        mark_used(c, s->otherwise);
    }
}

static struct calls *calls_of_block(struct check *c, int number)
{
    return &c->blocks[number].calls;
}

static void block_done(struct check *c, int number)
{
    c->blocks[number].wrong |= c->blocks[number].calls.recursive;
}

static const char *hidden_layer(struct check *c, const char *name)
{
    (void)c;
    return layer_def_find(name) ? "it hides the layer of that name which the language has; give it another name" : NULL;
}

/* What else is called so. */
static void check_hidden(struct check *c, struct block_entry *b)
{
    const struct function_entry *function = check_function_find(c, b->def.name);

    if (function) {
        diag_error(c->diag, DIAG_duplicate_name, b->def.declared, "a function is called '%s' too", b->def.name);
        diag_note(c->diag, function->statement->head->word, "it is declared here");
        b->wrong = true;
    } else if (layer_def_find(b->def.name)) {
        diag_warning(c->diag, DIAG_hides_builtin, b->def.declared,
                     "this block hides the layer '%s' that the language has", b->def.name);
    }
}

void check_blocks(struct check *c, const struct ast_statement *network)
{
    static const struct calls_walk walk = {calls_of_block, block_done, "uses",
                                           "a network that holds itself has no end",
                                           hidden_layer};

    for (int i = 0; i < c->blocks_count; i++) {
        check_hidden(c, &c->blocks[i]);
        collect_uses(c, &c->blocks[i], c->blocks[i].statement->body);
        for (int k = 0; k < c->blocks[i].calls.count; k++)
            c->blocks[c->blocks[i].calls.list[k].callee].used = true;
    }
    mark_used(c, network ? network->body : NULL);
    check_calls(c, &walk, c->blocks_count);
}

/* ---- uses ------------------------------------------------------------------------------------ */

/* A body within, as long as it is not too deep. */
bool check_deeper(struct check *c, struct span where)
{
    if (c->level < BODIES_DEEPEST)
        return true;
    if (!c->stopped)
        diag_error(c->diag, DIAG_too_deep, where, "blocks and bodies are more than %d deep here", BODIES_DEEPEST);
    c->stopped = c->broken = true;
    return false;
}

/* Parameters are constants of the block's body; defaults may use those before them. */
static void bind_parameters(struct check *c, const struct block_entry *b, const struct clause *clause)
{
    static const struct value unknown = {.kind = VALUE_NONE};

    for (int i = 0; i < clause_def_count(&b->def); i++) {
        const struct ast_arg *p = b->parameters[i];
        const struct arg_value *given = clause && clause->args[i].given ? &clause->args[i] : NULL;
        struct value v = unknown;
        if (!given && p->key)
            v = check_value(c, p->value);
        const struct value *value = given ? given->any : check_value_kept(c, &v);
        check_constant_bind(c, b->def.args[i].name, p->key ? p->key_where : p->where, value ? value : &unknown,
                            given ? CONSTANT_GIVEN : CONSTANT_DEFAULT, given ? given->where : p->value->where);
    }
}

/* The layers of the block, where what `from` gives arrives.  clause NULL: nobody knows its arguments. */
static struct layer *expand(struct check *c, const struct block_entry *b, const struct clause *clause,
                            struct layer *from, struct naming naming)
{
    const struct naming outer_naming = c->naming;
    const struct table outer_locals = c->locals_by_name;
    struct constant *outer = c->constants;

    c->naming = naming;
    c->constants = c->globals;
    c->locals_by_name = (struct table){.arena = c->arena};
    c->level++;
    c->current = from;
    bind_parameters(c, b, clause);
    from = check_statements(c, b->statement->body, from);
    c->level--;
    c->locals_by_name = outer_locals;
    c->constants = outer;
    c->naming = outer_naming;
    c->current = from;
    return from;
}

static void put_value(struct check *c, struct text *t, const struct value *v)
{
    switch (v->kind) {
    case VALUE_NUMBER: text_add(t, "%.6g", v->number); break;
    case VALUE_SWITCH: text_add(t, "%s", v->number != 0 ? "on" : "off"); break;
    case VALUE_EXTENT:
        for (int i = 0; i < v->dims_count; i++)
            text_add(t, "%s%lld", i ? "x" : "", (long long)v->dims[i]);
        break;
    case VALUE_STRING: text_add_string(t, v->text); break;
    case VALUE_LIST:
        for (int i = 0; i < v->count; i++) {
            text_add(t, i ? ", " : "[");
            put_value(c, t, &v->items[i]);
        }
        text_add(t, "]");
        break;
    case VALUE_WORD: text_add(t, "%s", v->text); break;
    case VALUE_CALL: text_add(t, "%s", check_source_text(c, v->where)); break;
    case VALUE_NONE: break;
    }
}

/* The layers from now on stand in a use of a block, or in a round of a repeat (b NULL). */
static void enter_group(struct check *c, const struct block_entry *b, const struct clause *clause, const char *as)
{
    struct layer_group *group = arena_alloc(c->arena, sizeof *group);
    struct text title = {.arena = c->arena};
    const char *comma = " ";

    if (b)
        text_add(&title, "%s", b->def.name);
    for (int i = 0; b && i < clause_def_count(&b->def); i++) {
        if (!clause->args[i].given)
            continue;
        text_add(&title, "%s", comma);
        if (b->parameters[i]->key)              /* it has a default: what is given says more with its name */
            text_add(&title, "%s=", b->def.args[i].name);
        put_value(c, &title, clause->args[i].any);
        comma = ", ";
    }
    group->outer = c->group;
    group->title = text_of(&title);
    group->as = as;
    c->group = group;
}

struct layer *check_block_use(struct check *c, const struct ast_statement *s, struct block_entry *b, struct layer *from)
{
    struct naming naming = c->naming;
    enum training training = TRAINS_ALL;
    struct ast_args args = check_trainable(c, check_statement_args(c, s), &b->def, &training);
    int errors = diag_errors(c->diag);

    if (s->body) {
        struct span brace = {s->body->where.file, s->body->where.begin, s->body->where.begin + 1};
        diag_error(c->diag, DIAG_unexpected_body, brace,
                   "a block's layers stand where it is declared, not where it is used");
        diag_note(c->diag, b->def.declared, "'%s' is declared here", b->def.name);
    }
    const struct clause *clause = check_clause(c, &b->def, s->word_where, &args);
    const char *full = s->as ? check_full_name(c, s->as) : NULL;
    bool named = full && check_name_take(c, full, s->as_where);
    if (full && !named)                 /* so that not all names within come twice as well */
        full = arena_printf(c->arena, "%s_", full);
    if (!clause || b->wrong || diag_errors(c->diag) != errors)
        c->broken = true;
    c->names_unknown |= c->without_arguments;
    if (!clause || b->wrong || c->without_arguments || !check_deeper(c, s->word_where))
        return from;
    naming.first_seen = c->seen_count;
    naming.use = s;
    naming.used_within = diag_here(c->diag);
    naming.again = false;
    naming.training = training > naming.training ? training : naming.training;
    if (full) {
        naming.prefix = arena_printf(c->arena, "%s.", full);
        naming.rounds = "";
    }
    b->expanded = true;
    const struct diag_context *outer = diag_enter(c->diag, s->where, "in the block '%s', used here", b->def.name);
    const struct layer_group *outer_group = c->group;
    enter_group(c, b, clause, s->as);
    struct layer *last = expand(c, b, clause, from, naming);
    c->group = outer_group;
    diag_within(c->diag, outer);
    if (named && last)
        check_name_see(c, full, last);
    return last;
}

/* ---- repeat ---------------------------------------------------------------------------------- */

static const struct clause_def repeat_def = {
    .name = "repeat",
    .args = (const struct arg_def[]){
        {.name = "times", .type = ARG_INT, .positional = true, .required = true, .min = 0, .max = REPEATS_MOST,
         .help = "how often the layers of its body come"},
        {.name = NULL}}};

static void repeat_round(struct check *c, const struct ast_statement *s, struct layer **from, int round)
{
    struct constant *outer = c->constants;
    const struct value number = {.kind = VALUE_NUMBER, .where = s->as_where, .number = round,
                                 .expr = s->args.first ? s->args.first->value : NULL};

    c->level++;
    if (s->as)
        check_constant_bind(c, s->as, s->as_where, &number, CONSTANT_COUNTER, s->as_where);
    *from = check_statements(c, s->body, *from);
    c->level--;
    check_constants_leave(c, outer);
}

struct layer *check_repeat(struct check *c, const struct ast_statement *s, struct layer *from)
{
    struct ast_args args = check_statement_args(c, s);
    const char *rounds = c->naming.rounds;

    if (!s->body) {
        diag_error(c->diag, DIAG_missing_body, s->word_where, "'repeat' needs a body: repeat 3 { ... }");
        c->broken = true;
        return from;
    }
    int errors = diag_errors(c->diag);
    const struct clause *clause = check_clause(c, &repeat_def, s->word_where, &args);
    int times = clause ? (int)clause_int(clause, "times") : 1;  /* once, for what is wrong in it */
    if (diag_errors(c->diag) != errors)
        diag_hint(c->diag, "it is written: repeat 3 { ... }, or repeat 3 as i { ... } with i from 0 on");
    if ((s->as && !check_constant_name(c, s->as, s->as_where)) || !clause)
        c->broken = true;
    if (!check_deeper(c, s->word_where))
        return from;
    if (clause && !times)
        check_words(c, s->body);
    c->names_unknown |= c->without_arguments;       /* how many rounds gave names */
    const struct diag_context *outer = diag_here(c->diag);
    const struct layer_group *outer_group = c->group;
    for (int i = 0; i < times && !c->stopped; i++) {
        c->naming.rounds = arena_printf(c->arena, "%s.%d", rounds, i);
        if (i > 0)
            diag_enter(c->diag, s->word_where, "in round %d of this repeat%s", i + 1,
                       s->as ? arena_printf(c->arena, ", where %s is %d", s->as, i) : "");
        enter_group(c, NULL, NULL, NULL);
        repeat_round(c, s, &from, i);
        c->group = outer_group;
        diag_within(c->diag, outer);
        check_expanded(c, s->word_where);
    }
    c->naming.rounds = rounds;
    return from;
}

/* ---- blocks that nothing uses ---------------------------------------------------------------- */

/* In a copy of the check whose layers nobody takes; of the arguments nothing is known but defaults, of shapes
 * nothing. */
static void look_at(struct check *c, const struct block_entry *b)
{
    struct check copy = *c;
    struct model scratch = *c->model;

    scratch.layers = NULL;
    scratch.layers_count = 0;
    copy.model = &scratch;
    copy.layers_capacity = copy.seen_capacity = 0;
    copy.layers_by_name = copy.layers_by_block = copy.places_of_names = copy.seen_by_name = copy.locals_by_name =
        (struct table){.arena = c->arena};
    copy.seen = NULL;
    copy.seen_count = copy.joined_count = 0;
    copy.expanded_count = 0;
    copy.broken = copy.in_network = copy.without_arguments = true;
    copy.names_unknown = copy.other_arm = false;
    copy.too_many = copy.too_many_joined = copy.stopped = false;
    expand(&copy, b, NULL, NULL, (struct naming){.prefix = "", .rounds = ""});
    c->suggestions_count = copy.suggestions_count;
    c->activations_work = copy.activations_work;
}

void check_blocks_unused(struct check *c)
{
    for (int i = 0; i < c->blocks_count; i++)
        if (!c->blocks[i].expanded && !c->blocks[i].wrong)
            look_at(c, &c->blocks[i]);
}
