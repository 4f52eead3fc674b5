/* check_network.c - the section `network`: statements become layers, branches are expanded, shapes
 * worked out. */
#include "check/check_parts.h"

#include <assert.h>
#include <string.h>

/* ---- names ----------------------------------------------------------------------------------- */

static int kind_number(struct check *c, const struct layer_def *def)
{
    int count;
    const struct layer_def *const *defs = layer_defs(&count);

    if (!c->kind_counts)
        c->kind_counts = arena_array(c->arena, (size_t)count, sizeof *c->kind_counts);
    for (int i = 0; i < count; i++)
        if (defs[i] == def)
            return ++c->kind_counts[i];
    return ++check_function_find(c, def->clause.name)->number;
}

/* False: another one is called so. */
static bool name_layer(struct check *c, struct layer *l, const struct ast_statement *s)
{
    int number = kind_number(c, l->def);

    l->as = s->as;
    /* a number tells one round from another */
    l->name = s->as ? check_full_name(c, s->as)
                    : arena_printf(c->arena, "%s%s_%d", c->naming.prefix, l->def->clause.name, number);
    bool good = check_name_take(c, l->name, s->as ? s->as_where : s->word_where);
    if (good)
        table_put(&c->layers_by_name, l->name, l);
    else
        l->name = arena_printf(c->arena, "%s_", l->name);
    check_name_blocks(c, l);
    return good;
}

/* ---- a layer --------------------------------------------------------------------------------- */

/* `trainable=off` and `trainable=bias` are options of every layer; the rest are the layer's own. */
const struct arg_def trainable_def = {
    .name = "trainable", .type = ARG_BOOL, .words = (const char *const[]){"bias", NULL}, .default_number = 1,
    .help = "off: its weights stay as they are; bias: all but its biases do"};

struct ast_args check_trainable(struct check *c, struct ast_args args, const struct clause_def *owner,
                                enum training *training)
{
    struct ast_args rest = {0};
    const struct ast_arg *given = NULL;

    for (const struct ast_arg *arg = args.first; arg; arg = arg->next) {
        if (arg->key && !strcmp(arg->key, trainable_def.name)) {
            struct arg_value v = {0};
            if (given) {
                diag_error(c->diag, DIAG_duplicate_argument, arg->where, "'%s' is given twice", arg->key);
                diag_note(c->diag, given->where, "first given here");
                c->broken = true;
            }
            given = arg;
            if (check_slot(c, owner, &trainable_def, arg->value, &v))
                *training = v.text ? TRAINS_BIASES : v.number != 0 ? TRAINS_ALL : TRAINS_NOTHING;
            continue;
        }
        if (!arg->key && given) {
            diag_error(c->diag, DIAG_argument_order, arg->where, "arguments without a name come first");
            diag_note(c->diag, given->where, "this one has a name");
            c->broken = true;
        }
        rest = ast_args_add(
            rest, ast_arg_new(c->arena, arg->where, arg->key, arg->key_where, arg->value));
    }
    return rest;
}

static void check_size(struct check *c, const struct layer *l)
{
    const struct shape s = l->out;

    if ((int64_t)s.c * s.h > ELEMENTS_MOST || shape_elements(s) > ELEMENTS_MOST) {
        diag_error(c->diag, DIAG_too_big, l->where,
                   "the result of this layer, %s, has more than 2^30 numbers", shape_text(s).text);
        c->broken = true;
        return;
    }
    if (l->def->parameters && l->def->parameters(l) > ELEMENTS_MOST) {
        diag_error(c->diag, DIAG_too_big, l->where, "this layer has more than 2^30 parameters");
        c->broken = true;
    }
}

static void compute_shape(struct check *c, struct layer *l)
{
    int errors = diag_errors(c->diag);

    if (c->broken)
        return;
    if (l->inputs_count)
        l->in = l->inputs[0]->out;
    if (!l->def->shape(l, c->diag) || diag_errors(c->diag) != errors) {
        c->broken = true;
        return;
    }
    check_size(c, l);
}

static struct layer *add_layer(struct check *c, const struct ast_statement *s,
                               const struct layer_def *def, struct ast_args args,
                               struct layer **inputs, int inputs_count)
{
    struct layer *l = arena_alloc(c->arena, sizeof *l);
    struct ast_args statement_args = args;
    enum training training = TRAINS_ALL;

    if (c->model->layers_count >= LAYERS_MOST) {
        if (!c->too_many)
            diag_error(c->diag, DIAG_too_big, s->word_where, "a network has at most %d layers",
                       LAYERS_MOST);
        c->too_many = c->stopped = true;
        return NULL;
    }
    l->def = def;
    l->where = s->where;
    l->within = diag_here(c->diag);
    l->group = c->group;
    l->inputs = inputs;
    l->inputs_count = inputs_count;
    statement_args = check_trainable(c, statement_args, &def->clause, &training);
    l->bias_only = training == TRAINS_BIASES;
    l->trainable = training != TRAINS_NOTHING;
    l->clause = check_clause(c, &def->clause, s->word_where, &statement_args);
    bool named = name_layer(c, l, s) && s->as;
    l->index = c->model->layers_count;
    LIST_ADD(c->arena, c->model->layers, c->model->layers_count, c->layers_capacity, l);
    if (named)
        check_name_see(c, l->name, l);
    if (!l->clause)
        c->broken = true;
    compute_shape(c, l);
    if (!c->broken)
        check_layer_train(l, c->naming.training);
    return l;
}

static struct layer **one_input(struct check *c, struct layer *from)
{
    struct layer **inputs = arena_array(c->arena, 1, sizeof(struct layer *));

    inputs[0] = from;
    return inputs;
}

/* ---- joins ----------------------------------------------------------------------------------- */

static bool is_branch(const struct ast_statement *s)
{
    return s->kind == AST_COMMAND && !strcmp(s->word, "branch");
}

/* The results of the branches of `add { branch { ... } branch { ... } }`. */
static int join_branches(struct check *c, const struct ast_statement *s, struct layer *from,
                         struct layer **inputs)
{
    int count = 0;

    /* A '}' that was missing may have been meant elsewhere: shapes would only confuse. */
    c->broken = c->broken || ast_is_repaired(s->body->where);
    for (const struct ast_statement *b = s->body->first; b; b = b->next) {
        if (b->kind == AST_BROKEN) {
            c->broken = true;
            continue;
        }
        if (!is_branch(b)) {
            diag_error(c->diag, DIAG_bad_join, b->word ? b->word_where : b->where,
                       "'%s' has branches in its body and nothing else",
                       s->word);
            diag_hint(c->diag, "write: %s { branch { ... } branch { ... } }", s->word);
            c->broken = true;
            continue;
        }
        check_no_as(c, b);
        if (b->args.first)
            diag_error(c->diag, DIAG_too_many_arguments, b->args.first->where,
                       "'branch' takes no arguments");
        if (!b->body) {
            diag_error(c->diag, DIAG_missing_body, b->word_where,
                       "'branch' needs a body: branch { ... }, and an empty one is the identity");
            c->broken = true;
            continue;
        }
        int seen = c->seen_count;
        inputs[count++] = check_chain(c, b->body, from);
        check_names_forget(c, seen);            /* a name is not seen outside its branch */
        c->current = from;
    }
    return count;
}

/* The parameter of a block that a name is; NULL: it is none. */
static const struct constant *given_name(struct check *c, const struct ast_expr *e)
{
    const struct constant *k = e->kind == AST_NAME ? check_constant_find(c, e->text) : NULL;

    return k && k->kind != CONSTANT_DECLARED ? k : NULL;
}

/* What stands where a name of a layer should. */
static const char *found_instead(struct check *c, const struct ast_expr *e)
{
    const struct constant *given = given_name(c, e);

    if (given)
        return given->kind == CONSTANT_COUNTER ? "the count of a repeat's rounds" : value_text(c, &given->value);
    switch (e->kind) {
    case AST_NAME:
        if (!check_constant_find(c, e->text))
            return arena_printf(c->arena, "the activation '%s'", e->text);
        break;
    case AST_NUMBER:
    case AST_EXTENT:
    case AST_SWITCH:
    case AST_STRING:
        break;
    case AST_LIST: return "a list";
    case AST_CALL: return arena_printf(c->arena, "'%s(...)'", e->text);
    default: return "an expression";
    }
    struct value v = check_value(c, e);
    return v.kind == VALUE_NONE ? NULL : value_text(c, &v);     /* NULL: reported */
}

/* `add 3`: reported where it was given, if a block's parameter has it. */
static void refuse_no_name(struct check *c, const struct ast_statement *s, const struct ast_arg *arg)
{
    const struct ast_expr *e = arg->value;
    const struct constant *given = given_name(c, e), *k = e->kind == AST_NAME ? check_constant_find(c, e->text) : NULL;
    const char *found = e->kind == AST_BAD ? NULL : found_instead(c, e);

    c->broken = true;
    if (!found)
        return;
    if (given && given->kind == CONSTANT_COUNTER)
        given = NULL;
    diag_error(c->diag, DIAG_bad_join, given ? given->value.where : arg->where, "'%s' takes %s, found %s", s->word,
               strcmp(s->word, "from") ? "names of earlier layers" : "the name of an earlier layer", found);
    if (given)
        diag_note(c->diag, arg->where, "it is used here, as '%s'", given->name);
    else if (k)
        diag_note(c->diag, k->where, "'%s' is declared here", k->name);
    if (e->kind == AST_LIST && e->args.first && e->args.first->value->kind == AST_NAME)
        diag_hint(c->diag, "names stand without brackets: %s %s%s", s->word, e->args.first->value->text,
                  e->args.count > 1 ? ", ..." : "");
}

static struct layer *visible_layer(struct check *c, const struct ast_statement *s, const struct ast_arg *arg)
{
    struct names names = {.arena = c->arena};
    const struct constant *given = given_name(c, arg->value);
    const char *name = given ? given->value.text : arg->value->text;
    struct layer *found = given ? given->value.layer : check_name_seen(c, name);

    c->broken = c->broken || !found;
    if (found || (given && given->value.kind == VALUE_NONE) || c->names_unknown)
        return found;
    if (given && given->value.kind != VALUE_WORD) {
        refuse_no_name(c, s, arg);
        return NULL;
    }
    if (check_name_spoilt(c, name))
        return NULL;
    names_add_seen(c, &names, given ? given->value.seen : check_seen_here(c));
    diag_error(c->diag, DIAG_unknown_name, given ? given->value.where : arg->where,
               "no layer before this one is called '%s'", name);
    if (given)
        diag_note(c->diag, arg->where, "it is used here, as '%s'", given->name);
    check_suggest(c, &(struct unknown){.word = name, .names = &names, .list = "layers with names are"});
    if (!names.count)
        diag_hint(c->diag, "a layer gets a name with 'as': conv2d 64, 3x3 as %s", name);
    return NULL;
}

/* A name of a layer, or a parameter of a block that was given one, or a word. */
static bool names_layer(struct check *c, const struct ast_expr *e)
{
    const struct layer_def *other = e->kind == AST_NAME ? check_layer_find(c, e->text) : NULL;
    const struct constant *k = e->kind == AST_NAME ? check_constant_find(c, e->text) : NULL;

    if (e->kind != AST_NAME)
        return false;
    if (k && k->kind != CONSTANT_DECLARED)
        return k->value.kind == VALUE_WORD || k->value.kind == VALUE_NONE;
    if (k)
        return check_name_seen(c, e->text) != NULL;
    return !other || !other->is_activation || check_name_seen(c, e->text);
}

/* `names=a`, `axis=1`: a join has no argument of its own.  False: it is the one that every layer has. */
static bool refuse_key(struct check *c, const struct ast_statement *s, const struct ast_arg *arg)
{
    if (!strcmp(arg->key, trainable_def.name))
        return false;
    c->broken = true;
    diag_error(c->diag, DIAG_unknown_argument, arg->key_where, "%s has no argument '%s'", s->word, arg->key);
    if (arg->value->kind == AST_NAME && check_name_seen(c, arg->value->text))
        diag_hint(c->diag, "earlier layers are named without a word before them: %s %s", s->word, arg->value->text);
    else
        diag_hint(c->diag, "it takes names of earlier layers, or branches in a body, and nothing else");
    return true;
}

/* `add a, b`: the arriving result and named ones; `trainable` stays an argument.  A layer may be called as an
 * activation is (`dense 10, softmax as softmax`). */
static int join_named(struct check *c, const struct ast_statement *s, struct layer *from, struct ast_args *args,
                      struct layer **inputs, bool *whole)
{
    struct ast_args rest = {0};
    int count = 0;

    inputs[count++] = from;
    for (const struct ast_arg *arg = args->first; arg; arg = arg->next) {
        struct ast_expr *e = arena_alloc(c->arena, sizeof *e);
        *e = arg->key ? *arg->value : *check_unquoted(c, arg->value);
        struct ast_arg *plain = ast_arg_new(c->arena, arg->where, arg->key, arg->key_where, e);
        struct layer *named = NULL;
        if (arg->key && !refuse_key(c, s, arg)) {
            rest = ast_args_add(rest, plain);
            continue;
        }
        if (!arg->key && names_layer(c, e))
            named = visible_layer(c, s, plain);
        else if (!arg->key)
            refuse_no_name(c, s, plain);
        if (named)
            inputs[count++] = named;
        else
            *whole = false;
    }
    *args = rest;
    return count;
}

/* Names beside a body of branches: it is one or the other. */
static void refuse_names(struct check *c, const struct ast_statement *s, struct ast_args *args)
{
    struct ast_args rest = {0};

    for (const struct ast_arg *arg = args->first; arg; arg = arg->next) {
        if (arg->key && !refuse_key(c, s, arg))
            rest = ast_args_add(rest, ast_arg_new(c->arena, arg->where, arg->key, arg->key_where, arg->value));
        else if (!arg->key && arg == args->first)            /* what has no name stands before what has one */
            diag_error(c->diag, DIAG_bad_join, arg->where,
                       "'%s' joins the branches of its body or results that it names, not both", s->word);
    }
    c->broken |= rest.count != args->count;
    *args = rest;
}

static struct layer *check_join(struct check *c, const struct ast_statement *s,
                                const struct layer_def *def, struct layer *from)
{
    struct ast_args args = check_statement_args(c, s);
    size_t room = (size_t)(s->body ? s->body->count : 0) + (size_t)args.count + 1;
    struct layer **inputs = arena_array(c->arena, room, sizeof *inputs);
    if (s->body)
        refuse_names(c, s, &args);
    bool was_broken = c->broken, whole = true;
    int count = s->body ? join_branches(c, s, from, inputs) : join_named(c, s, from, &args, inputs, &whole);

    if (count < 2 && whole && c->broken == was_broken) {
        diag_error(c->diag, DIAG_bad_join, s->word_where,
                   "'%s' joins at least two results, found %d", def->clause.name, count);
        diag_hint(c->diag,
                  "write '%s { branch { ... } branch { ... } }', or '%s NAME' with the name of an "
                  "earlier layer",
                  def->clause.name, def->clause.name);
        c->broken = true;
    }
    c->joined_count += count;
    c->broken |= check_too_many(c, &c->too_many_joined, c->joined_count - 1, JOINED_MOST, s->word_where,
                                "results joined in all");
    return add_layer(c, s, def, args, inputs, count);
}

/* `from a` goes on with an earlier result. */
static struct layer *check_from(struct check *c, const struct ast_statement *s, struct layer *from)
{
    const struct ast_arg *arg = s->args.first;

    if (!check_no_body(c, s) || !check_no_as(c, s))
        return from;
    if (!arg || arg->next || arg->key || arg->value->kind != AST_NAME) {
        diag_error(c->diag, DIAG_missing_argument, s->where,
                   "'from' needs the name of one earlier layer");
        c->broken = true;
        return from;
    }
    struct layer *named = visible_layer(c, s, arg);
    c->current = named ? named : from;
    return named ? named : from;
}

/* ---- statements ------------------------------------------------------------------------------ */

static bool needs_arguments(const struct layer_def *def)
{
    for (int i = 0; i < clause_def_count(&def->clause); i++)
        if (def->clause.args[i].required)
            return true;
    return false;
}

/* Reports; the layer that was surely meant, so that its arguments, if it has any, are checked all the same, else
 * NULL. */
static const struct layer_def *unknown_layer(struct check *c, const struct ast_statement *s)
{
    struct names names = {.arena = c->arena};
    const struct unknown unknown = {.place = FOREIGN_NETWORK, .word = s->word, .names = &names,
                                    .value = s->args.first ? s->args.first->value : NULL,
                                    .list = "the layers are"};
    int count;
    const struct layer_def *const *defs = layer_defs(&count);

    for (int i = 0; i < count; i++)
        names_add(&names, defs[i]->clause.name);
    names_add(&names, "from");
    names_add(&names, "repeat");
    names_add_own(c, &names, FUNCTION_ACTIVATION);
    names_add_blocks(c, &names);
    names_add_later(&names, later_network);
    if (check_name_spoilt(c, s->word))
        return NULL;
    if (!strcmp(s->word, "block")) {
        diag_error(c->diag, DIAG_misplaced_statement, s->word_where,
                   "blocks are declared at top level, outside of 'network' and of other blocks");
        const struct ast_expr *head = s->args.first ? s->args.first->value : NULL;
        if (head && (head->kind == AST_NAME || head->kind == AST_CALL))
            check_name_spoil(c, head->text);
        return NULL;
    }
    if (!strcmp(s->word, "branch")) {
        diag_error(c->diag, DIAG_misplaced_statement, s->word_where,
                   "'branch' stands in the body of a join only: 'add', 'concat', 'multiply'");
        return NULL;
    }
    if (check_function_find(c, s->word)) {      /* of another kind, or its declaration is wrong */
        check_other_kind(c, s->word, s->word_where, FUNCTION_ACTIVATION);
        return NULL;
    }
    if (word_in(s->word, later_network)) {
        check_not_supported(c, s->word_where, &unknown);
        return NULL;
    }
    if (check_elsewhere(c, s, "network"))
        return NULL;
    if (!s->args.first && check_name_seen(c, s->word)) {
        diag_error(c->diag, DIAG_unknown_layer, s->word_where,
                   "'%s' names a layer that stands above, and each is used once", s->word);
        diag_hint(c->diag, "its result goes on with: from %s; layers that share weights cannot be written", s->word);
        return NULL;
    }
    diag_error(c->diag, DIAG_unknown_layer, s->word_where, "no layer is called '%s'", s->word);
    check_suggest(c, &unknown);
    const char *meant = check_suggests(c) ? check_surely(&unknown, false) : NULL;
    const struct layer_def *def = meant ? layer_def_find(meant) : NULL;
    return def && (s->args.first || !needs_arguments(def)) ? def : NULL;
}

/* `act` where a block's parameter `act` was given relu or leaky_relu(0.1): that layer.  NULL: none, or nobody knows
 * which. */
static const struct ast_statement *given_statement(struct check *c, const struct ast_statement *s)
{
    const struct constant *k = check_constant_find(c, s->word);
    struct ast_statement *meant;

    if (!k || k->kind == CONSTANT_DECLARED || check_layer_find(c, s->word) || check_block_find(c, s->word))
        return s;
    if (k->value.kind == VALUE_NONE || (k->value.kind == VALUE_SWITCH && k->value.number == 0))
        return NULL;
    if (k->value.kind != VALUE_WORD && k->value.kind != VALUE_CALL)
        return s;
    meant = arena_alloc(c->arena, sizeof *meant);
    *meant = *s;
    meant->word = k->value.text;
    if (!check_layer_find(c, meant->word) && !check_block_find(c, meant->word))
        meant->word_where = k->value.expr->word;        /* it is wrong where it was given */
    if (k->value.kind == VALUE_CALL && !s->args.first)
        meant->args = k->value.expr->args;
    return meant;
}

static struct layer *check_layer(struct check *c, const struct ast_statement *s, struct layer *from)
{
    const struct ast_statement *given = given_statement(c, s);
    if (!given)
        return from;
    s = given;
    const struct layer_def *def = check_layer_find(c, s->word), *input = layer_def_find("input");
    struct block_entry *block = check_block_find(c, s->word);

    if (block)
        return check_block_use(c, s, block, from);
    if (!def && !strcmp(s->word, "from"))
        return check_from(c, s, from);
    if (!def && !strcmp(s->word, "repeat"))
        return check_repeat(c, s, from);
    if (!def) {
        def = unknown_layer(c, s);
        c->broken = true;
        if (!def || def == input || def->is_join)
            return from;
        struct ast_statement *meant = arena_alloc(c->arena, sizeof *meant);
        *meant = *s;
        meant->word = def->clause.name;
        s = meant;
    }
    if (def == input && from) {
        diag_error(c->diag, DIAG_misplaced_input, s->word_where,
                   "a network has one 'input', its first statement");
        if (c->model->layers[0]->def == input)
            diag_note(c->diag, c->model->layers[0]->where, "the input is here");
        diag_hint(c->diag, "a network of several inputs cannot be written: what belongs together comes as channels of one");
        return from;
    }
    if (def != input && !from && !c->broken) {
        diag_error(c->diag, DIAG_missing_input, s->word_where,
                   "the network's first statement must be 'input'");
        diag_hint(c->diag, "such as: input 3x32x32");
        c->broken = true;
    }
    struct layer *l;
    if (def->is_join) {
        l = check_join(c, s, def, from);
    } else {
        if (!check_no_body(c, s))
            c->broken = true;
        l = add_layer(c, s, def, check_statement_args(c, s), from ? one_input(c, from) : NULL,
                      from != NULL);
    }
    /* before the layers below: what they say of a shape that the data do not have misleads */
    if (l && def == input && !c->broken && c->data && c->model->source_clause && !check_data_picture(c, l))
        c->broken = true;
    c->current = l ? l : from;
    return l ? l : from;
}

/* The body of an `else` that is an `if` and nothing more. */
static bool is_only_if(const struct ast_body *otherwise)
{
    return otherwise && otherwise->first && otherwise->first == otherwise->last && otherwise->first->kind == AST_IF;
}

/* The words of a body whose layers do not come: of its values and shapes nothing is said, they are often right only
 * where it is taken.  A body comes as often as the block around it is used: after so many statements no more are looked
 * at. */
void check_words(struct check *c, const struct ast_body *body)
{
    for (const struct ast_statement *s = body ? body->first : NULL; s && c->words_count < EXPANDED_MOST; s = s->next) {
        c->words_count++;
        const struct layer_def *def = s->kind == AST_COMMAND ? check_layer_find(c, s->word) : NULL;
        const struct block_entry *block = s->kind == AST_COMMAND ? check_block_find(c, s->word) : NULL;
        bool known = def || block || s->kind != AST_COMMAND || is_branch(s) || !strcmp(s->word, "from") ||
                     !strcmp(s->word, "repeat") || check_constant_find(c, s->word);
        if ((!known && (unknown_layer(c, s), true)) ||
            ((def || block) && !check_keys(c, block ? &block->def : &def->clause, &s->args)))
            c->broken = true;
        const struct ast_statement *last = s;       /* of `else if`s, which may be thousands */
        for (check_words(c, s->body); is_only_if(last->otherwise); check_words(c, last->body))
            last = last->otherwise->first;
        check_words(c, last->otherwise);
    }
}

/* `if` chooses at compilation; of the body that is not taken only the words are looked at. */
static struct layer *check_choice(struct check *c, const struct ast_statement *s,
                                  struct layer *from)
{
    struct value v = check_value(c, s->value);

    /* `else if`, thousands of which may follow each other, is one level */
    while (v.kind == VALUE_SWITCH && v.number == 0 && is_only_if(s->otherwise)) {
        check_words(c, s->body);
        s = s->otherwise->first;
        v = check_value(c, s->value);
    }
    if (v.kind == VALUE_SWITCH) {
        const struct ast_body *taken = v.number != 0 ? s->body : s->otherwise;
        check_words(c, v.number != 0 ? s->otherwise : s->body);
        return taken ? check_chain(c, taken, from) : from;
    }
    c->broken = true;
    if (v.kind == VALUE_NONE && c->without_arguments) {
        bool outer = c->other_arm;
        check_chain(c, s->body, from);
        c->other_arm = true;
        from = s->otherwise ? check_chain(c, s->otherwise, from) : from;
        c->other_arm = outer;
        return from;
    }
    if (v.kind == VALUE_WORD) {
        check_unknown_name(c, &v, NULL, 0);
    } else if (v.kind != VALUE_NONE) {
        diag_error(c->diag, DIAG_not_a_condition, v.where,
                   "'if' needs a condition such as depth > 2, found %s", value_text(c, &v));
        check_constant_note(c, &v);
    }
    return from;
}

static struct layer *check_network_statement(struct check *c, const struct ast_statement *s,
                                             struct layer *from)
{
    switch (s->kind) {
    case AST_COMMAND:
        return check_layer(c, s, from);
    case AST_CONST:
        check_constant_add(c, s);
        return from;
    case AST_ASSIGN:
        s = check_assigned(c, s, check_layer_find(c, s->word) != NULL, FOREIGN_NETWORK);
        return s ? check_layer(c, s, from) : from;
    case AST_IF:
        return check_choice(c, s, from);
    case AST_RETURN:
        diag_error(c->diag, DIAG_misplaced_statement, s->word_where,
                   "'return' belongs in a function");
        diag_hint(c->diag, "what comes out of a body is what its last layer gives");
        break;
    case AST_BROKEN:
        check_spoil_declared(c, s->where);
        break;
    case AST_FUNCTION:
        diag_error(c->diag, DIAG_misplaced_statement, s->word_where,
                   "functions are declared at top level, outside of 'network'");
        break;
    }
    c->broken = true;
    return from;
}

bool check_expanded(struct check *c, struct span where)
{
    if (++c->expanded_count <= EXPANDED_MOST)
        return true;
    if (!c->stopped)
        diag_error(c->diag, DIAG_too_big, where, "blocks and repeats make more than %d statements of this network",
                   EXPANDED_MOST);
    c->stopped = c->broken = true;
    return false;
}

struct layer *check_statements(struct check *c, const struct ast_body *body, struct layer *from)
{
    c->current = from;
    for (const struct ast_statement *s = body->first; s && !c->stopped && check_expanded(c, s->where); s = s->next)
        from = check_network_statement(c, s, from);
    return from;
}

struct layer *check_chain(struct check *c, const struct ast_body *body, struct layer *from)
{
    struct constant *outer = c->constants;

    if (!check_deeper(c, body->where))
        return from;
    c->level++;
    from = check_statements(c, body, from);
    c->level--;
    check_constants_leave(c, outer);
    return from;
}

/* Every result but the last goes somewhere. */
static void check_used(struct check *c, const struct layer *last)
{
    int count = c->model->layers_count;
    bool *used = arena_array(c->arena, (size_t)count + 1, sizeof *used);

    for (int i = 0; i < count; i++)
        for (int j = 0; j < c->model->layers[i]->inputs_count; j++)
            used[c->model->layers[i]->inputs[j]->index] = true;
    for (int i = 0; i < count; i++) {
        const struct layer *l = c->model->layers[i];
        if (used[i] || l == last)
            continue;
        diag_error_within(c->diag, l->within, DIAG_unused_result, l->where, "nothing uses the result of '%s'",
                          check_layer_called(l));
        c->broken = true;
    }
    /* nothing can use the file's last layer, so when all are used it is the network's last too */
    assert(c->broken || last->index == count - 1);
}

void check_network(struct check *c, const struct ast_statement *section)
{
    c->in_network = true;
    c->naming = (struct naming){.prefix = "", .rounds = ""};
    const struct layer *last = check_chain(c, section->body, NULL);
    c->in_network = false;
    if (last && !c->broken)
        check_used(c, last);
    if (section->body->first)
        return;
    diag_error(c->diag, DIAG_missing_input, section->word_where, "the network is empty");
    diag_hint(c->diag, "it begins with 'input', such as: input 3x32x32");
}
