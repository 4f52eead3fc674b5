/* check_args.c - one argument against its definition: one engine for layers, data, optimizers, callbacks.  All
 * arguments of a clause are in check_clause.c. */
#include "check/check_parts.h"
#include "base/bounds.h"
#include "base/text.h"

#include <math.h>
#include <string.h>

/* ---- what a slot accepts --------------------------------------------------------------------- */

const char *check_join_words(struct arena *a, const char *const *words)
{
    const char *text = "";

    for (int i = 0; words[i]; i++)
        text = arena_printf(a, "%s%s%s", text,
                            i == 0         ? ""
                            : words[i + 1] ? ", "
                                           : " or ",
                            words[i]);
    return text;
}

const char *check_slot_text(struct check *c, const struct arg_def *def)
{
    switch (def->type) {
    case ARG_INT: return "a whole number";
    case ARG_REAL: return "a number";
    case ARG_BOOL:
        return def->words ? arena_printf(c->arena, "on, off or %s", check_join_words(c->arena, def->words))
                          : "'on' or 'off'";
    case ARG_WORD: return check_join_words(c->arena, def->words);
    case ARG_STRING: return "a string in quotes";
    case ARG_EXTENT2: return "an extent of two parts such as 3x3, or one number";
    case ARG_EXTENT3: return "an extent of three parts such as 3x32x32";
    case ARG_SHAPE: return "an extent of three parts such as 8x4x4, or one number for a vector";
    case ARG_SIDES: return "a number, an extent such as 1x2, or [top, bottom, left, right]";
    case ARG_PADDING: return "valid, same, a number or an extent such as 1x1";
    case ARG_REAL_LIST: return "a list of numbers such as [0.5, 0.5]";
    case ARG_COLUMNS: return "a column's number, from 1, its name in quotes, or a list of those";
    case ARG_ACTIVATION: return "an activation such as relu, or off";
    case ARG_INIT: return "an initialiser such as he_normal";
    case ARG_CLASS: return "the number of a class, or its name in quotes";
    case ARG_MONITOR: return "a value of the log such as val_loss";
    case ARG_ANY: return "any value";
    }
    return "something else";
}

struct slot {
    struct check *c;
    const struct clause_def *owner;
    const struct arg_def *def;
    struct value v;
    struct arg_value *out;
};

static bool takes_number(enum arg_type type)
{
    return type == ARG_INT || type == ARG_REAL || type == ARG_EXTENT2 || type == ARG_EXTENT3 || type == ARG_SHAPE ||
           type == ARG_SIDES || type == ARG_PADDING;
}

static bool slot_wrong(const struct slot *s)
{
    struct check *c = s->c;

    diag_error(c->diag, DIAG_bad_type, s->v.where, "'%s' of %s is %s, found %s", s->def->name,
               s->owner->name, check_slot_text(c, s->def), value_text(c, &s->v));
    check_constant_note(c, &s->v);
    if (s->v.kind == VALUE_STRING && takes_number(s->def->type) && *s->v.text &&
        strspn(s->v.text, "0123456789.x") == strlen(s->v.text))
        diag_hint(c->diag, "a number or an extent stands without quotes: %s", s->v.text);
    if (s->def->type == ARG_BOOL && s->v.kind == VALUE_NUMBER)
        diag_hint(c->diag, "write '%s'", s->v.number != 0 ? "on" : "off");
    if ((s->def->type == ARG_INT || s->def->type == ARG_REAL) && s->v.kind == VALUE_EXTENT &&
        !check_hexadecimal(c, &s->v))
        diag_hint(c->diag, "one number is wanted, such as %lld",
                  (long long)(s->v.dims[0] < s->v.dims[1] ? s->v.dims[0] : s->v.dims[1]));
    return false;
}

/* A word that no constant bears, in a slot that takes none. */
static bool slot_unknown_word(const struct slot *s)
{
    if (check_name_spoilt(s->c, s->v.text))
        return false;
    check_unknown_name(s->c, &s->v, NULL, 0);
    diag_hint(s->c->diag, "'%s' of %s is %s", s->def->name, s->owner->name,
              check_slot_text(s->c, s->def));
    return false;
}

static const char *range_text(struct check *c, const struct arg_def *def)
{
    bool open_end = def->max >= 1e9;
    const char *from = arena_printf(c->arena, "%s %.10g", def->min_open ? "more than" : "at least",
                                    def->min);

    if (open_end)
        return from;
    return arena_printf(c->arena, "%s and %s %.10g", from, def->max_open ? "less than" : "at most",
                        def->max);
}

static bool slot_in_range(const struct slot *s, double number)
{
    const struct arg_def *def = s->def;
    struct check *c = s->c;

    if (def->min == 0 && def->max == 0)
        return true;
    if ((def->min_open ? number > def->min : number >= def->min) &&
        (def->max_open ? number < def->max : number <= def->max))
        return true;
    diag_error(c->diag, DIAG_out_of_range, s->v.where, "'%s' of %s must be %s, found %.10g",
               def->name, s->owner->name,
               number > def->max && def->max >= 1e9
                   ? arena_printf(c->arena, "at most %.10g", def->max)
                   : range_text(c, def),
               number);
    check_constant_note(c, &s->v);
    return false;
}

static bool slot_whole(const struct slot *s, const struct value *v)
{
    if (v->number == floor(v->number) && fabs(v->number) <= 9007199254740992.0)
        return true;
    diag_error(s->c->diag, DIAG_not_whole, v->where,
               "'%s' of %s must be a whole number, found %.10g", s->def->name, s->owner->name,
               v->number);
    check_constant_note(s->c, v);
    return false;
}

static bool slot_number(struct slot *s)
{
    if (s->v.kind == VALUE_WORD)
        return slot_unknown_word(s);
    if (s->v.kind != VALUE_NUMBER)
        return slot_wrong(s);
    if ((s->def->type == ARG_INT && !slot_whole(s, &s->v)) || !slot_in_range(s, s->v.number))
        return false;
    s->out->number = s->v.number;
    return true;
}

/* 3x3, [h, w], and where `square` one number for both. */
static bool slot_extent(struct slot *s, int parts, bool square)
{
    struct value *v = &s->v;
    int64_t *dims = s->out->dims;

    if (v->kind == VALUE_WORD)
        return slot_unknown_word(s);
    if (v->kind == VALUE_NUMBER && square) {
        if (!slot_whole(s, v) || !slot_in_range(s, v->number))
            return false;
        for (int i = 0; i < parts; i++)
            dims[i] = (int64_t)v->number;
        return true;
    }
    if (v->kind == VALUE_EXTENT && v->dims_count == parts) {
        for (int i = 0; i < parts; i++) {
            if (!slot_in_range(s, (double)v->dims[i]))
                return false;
            dims[i] = v->dims[i];
        }
        return true;
    }
    if (v->kind != VALUE_LIST || v->count != parts)
        return slot_wrong(s);
    for (int i = 0; i < parts; i++) {
        if (v->items[i].kind != VALUE_NUMBER)
            return slot_wrong(s);
        if (!slot_whole(s, &v->items[i]) || !slot_in_range(s, v->items[i].number))
            return false;
        dims[i] = (int64_t)v->items[i].number;
    }
    return true;
}

/* 8x4x4, [c, h, w], or the size of a vector. */
static bool slot_shape(struct slot *s)
{
    if (s->v.kind != VALUE_NUMBER)
        return slot_extent(s, 3, false);
    s->out->dims[0] = (int64_t)s->v.number;
    s->out->dims[1] = s->out->dims[2] = 0;
    return slot_whole(s, &s->v) && slot_in_range(s, s->v.number);
}

/* Rows and columns at both ends of each, or at each end. */
static bool slot_sides(struct slot *s)
{
    int64_t *dims = s->out->dims;

    if (s->v.kind == VALUE_LIST && s->v.count == 4)
        return slot_extent(s, 4, false);
    if (!slot_extent(s, 2, true))
        return false;
    dims[2] = dims[3] = dims[1];
    dims[1] = dims[0];
    return true;
}

static bool slot_real_list(struct slot *s)
{
    if (s->v.kind == VALUE_WORD)
        return slot_unknown_word(s);
    if (s->v.kind != VALUE_LIST || s->v.count == 0)
        return slot_wrong(s);
    double *list = arena_array(s->c->arena, (size_t)s->v.count, sizeof *list);
    for (int i = 0; i < s->v.count; i++) {
        if (s->v.items[i].kind != VALUE_NUMBER)
            return slot_wrong(s);
        if (!slot_in_range(s, s->v.items[i].number))
            return false;
        list[i] = s->v.items[i].number;
    }
    s->out->list = list;
    s->out->list_length = s->v.count;
    return true;
}

/* One column as the language writes it; NULL: it is none, and reported. */
static const char *column_text(struct slot *s, const struct value *v)
{
    struct arena *a = s->c->arena;
    struct text t = {.arena = a};

    if (v->kind == VALUE_NUMBER)
        return slot_whole(s, v) && slot_in_range(s, v->number) ? arena_printf(a, "%.0f", v->number) : NULL;
    if (v->kind != VALUE_STRING) {
        slot_wrong(s);
        return NULL;
    }
    text_add_string(&t, v->text);
    return text_of(&t);
}

static bool slot_columns(struct slot *s)
{
    struct text t = {.arena = s->c->arena};

    if (s->v.kind == VALUE_WORD)
        return slot_unknown_word(s);
    if (s->v.kind != VALUE_LIST)
        return (s->out->text = column_text(s, &s->v)) != NULL;
    if (s->v.count == 0)
        return slot_wrong(s);
    for (int i = 0; i < s->v.count; i++) {
        const char *column = column_text(s, &s->v.items[i]);
        if (!column)
            return false;
        text_add(&t, "%s%s", i ? ", " : "[", column);
    }
    text_add(&t, "]");
    s->out->text = text_of(&t);
    return true;
}

/* ---- words ----------------------------------------------------------------------------------- */

static bool slot_unknown(struct slot *s, const char *what, enum foreign_place place, const struct names *names)
{
    struct check *c = s->c;
    const struct unknown unknown = {.place = place, .owner = s->owner->name, .word = s->v.text, .names = names,
                                    .list = arena_printf(c->arena, "%ss are", what)};

    /* a word that a block was given is wrong where it was given */
    diag_error(c->diag, DIAG_unknown_word, s->v.expr->word, "no %s is called '%s'", what, s->v.text);
    if (s->v.constant)
        diag_note(c->diag, s->v.where, "it is used here, as '%s'", s->v.constant->name);
    check_suggest(c, &unknown);
    return false;
}

/* The message itself lists the words. */
static bool slot_no_such_word(struct slot *s, const struct names *names)
{
    diag_error(s->c->diag, DIAG_unknown_word, s->v.where, "'%s' of %s is %s, found '%s'",
               s->def->name, s->owner->name, check_slot_text(s->c, s->def), s->v.text);
    check_constant_note(s->c, &s->v);
    check_suggest(s->c, &(struct unknown){.place = FOREIGN_WORD, .owner = s->owner->name, .word = s->v.text,
                                          .names = names});
    return false;
}

static bool slot_word(struct slot *s)
{
    struct names names = {.arena = s->c->arena};

    if (s->v.kind != VALUE_WORD)
        return slot_wrong(s);
    for (int i = 0; s->def->words[i]; i++) {
        names_add(&names, s->def->words[i]);
        if (!strcmp(s->def->words[i], s->v.text)) {
            s->out->text = s->def->words[i];
            return true;
        }
    }
    return slot_no_such_word(s, &names);
}

static bool slot_switch(struct slot *s)
{
    if (s->v.kind == VALUE_WORD)
        return s->def->words ? slot_word(s) : slot_unknown_word(s);
    s->out->number = s->v.number;
    return s->v.kind == VALUE_SWITCH || slot_wrong(s);
}

static bool slot_padding(struct slot *s)
{
    s->out->text = NULL;
    if (s->v.kind != VALUE_WORD)
        return slot_extent(s, 2, true);
    if (!strcmp(s->v.text, "same") || !strcmp(s->v.text, "valid")) {
        s->out->text = s->v.text;
        return true;
    }
    struct names names = {.arena = s->c->arena};
    names_add(&names, "same");
    names_add(&names, "valid");
    return slot_no_such_word(s, &names);
}

/* relu, leaky_relu(0.1): a word or a call whose definition `def` is. */
static bool slot_call(struct slot *s, const struct clause_def *def)
{
    const struct ast_expr *e = s->v.expr;
    static const struct ast_args none = {0};

    s->out->call = check_clause(s->c, def, e->word, s->v.kind == VALUE_CALL ? &e->args : &none);
    return s->out->call != NULL;
}

static bool slot_activation(struct slot *s)
{
    struct names names = {.arena = s->c->arena};
    int count;
    const struct layer_def *const *defs = layer_defs(&count);

    if (s->v.kind == VALUE_SWITCH && s->v.number == 0)  /* none, as where nothing is given */
        return true;
    if (s->v.kind != VALUE_WORD && s->v.kind != VALUE_CALL)
        return slot_wrong(s);
    const struct function_entry *own = check_function_find(s->c, s->v.text);
    if (own && own->kind == FUNCTION_ACTIVATION)
        return own->def ? slot_call(s, own->def) : false;
    if (check_other_kind(s->c, s->v.text, s->v.expr->word, FUNCTION_ACTIVATION) || check_name_spoilt(s->c, s->v.text))
        return false;
    names_add_own(s->c, &names, FUNCTION_ACTIVATION);
    for (int i = 0; i < count; i++) {
        if (!defs[i]->is_activation)
            continue;
        names_add(&names, defs[i]->clause.name);
        if (!strcmp(defs[i]->clause.name, s->v.text))
            return slot_call(s, &defs[i]->clause);
    }
    if (word_in(s->v.text, later_network)) {
        check_not_supported(s->c, s->v.expr->word,
                            &(struct unknown){.word = s->v.text, .names = &names, .list = "the activations are"});
        return false;
    }
    return slot_unknown(s, "activation", FOREIGN_ACTIVATION, &names);
}

static bool slot_init(struct slot *s)
{
    struct names names = {.arena = s->c->arena};
    int count;
    const struct clause_def *const *defs = init_defs(&count);

    if (s->v.kind != VALUE_WORD && s->v.kind != VALUE_CALL)
        return slot_wrong(s);
    for (int i = 0; i < count; i++) {
        names_add(&names, defs[i]->name);
        if (!strcmp(defs[i]->name, s->v.text))
            return slot_call(s, defs[i]);
    }
    return slot_unknown(s, "initialiser", FOREIGN_INIT, &names);
}

/* The largest number is not known here. */
static bool slot_class(struct slot *s)
{
    if (s->v.kind == VALUE_STRING && *s->v.text) {
        s->out->text = s->v.text;
        return true;
    }
    if (s->v.kind == VALUE_WORD)
        return slot_unknown_word(s);
    if (s->v.kind != VALUE_NUMBER)
        return slot_wrong(s);
    if (!slot_whole(s, &s->v))
        return false;
    if (s->v.number < 0 || s->v.number > BATCH_MOST) {
        diag_error(s->c->diag, DIAG_out_of_range, s->v.where, "classes are counted from 0, found %.10g", s->v.number);
        return false;
    }
    s->out->number = s->v.number;
    return true;
}

/* A metric that this recipe has, under a name that says more: val_recall is val_recall_macro. */
static bool suggest_logged(struct check *c, const char *word, const struct metric_def *metric)
{
    for (int i = 0; i < c->model->metrics_count; i++) {
        const struct model_metric *m = &c->model->metrics[i];
        if (!m->clause || strcmp(m->clause->def->name, metric->clause.name))
            continue;
        diag_hint(c->diag, "did you mean '%s%s'?", strncmp(word, "val_", 4) ? "" : "val_", m->name);
        return true;
    }
    return false;
}

static bool slot_monitor(struct slot *s)
{
    struct check *c = s->c;
    struct names names = {.arena = c->arena};

    if (s->v.kind != VALUE_WORD)
        return slot_wrong(s);
    for (int i = 0; i < c->monitors_count; i++) {
        const struct monitor *m = &c->monitors[i];
        names_add(&names, m->name);
        if (strcmp(m->name, s->v.text))
            continue;
        s->out->text = m->canonical;
        if (m->direction != CNN_NO_DIRECTION)
            return true;
        diag_error(c->diag, DIAG_no_direction, s->v.where,
                   "'%s' cannot be monitored: whether more or less of it is better is not declared",
                   s->v.text);
        diag_note(c->diag, m->where, "the metric is declared here");
        diag_hint(c->diag, "write higher_is_better or lower_is_better after its parameters");
        return false;
    }
    if (c->metrics_broken)
        return false;
    diag_error(c->diag, DIAG_unknown_monitor, s->v.where, "there is no value '%s' to monitor",
               s->v.text);
    const char *word = !strncmp(s->v.text, "val_", 4) ? s->v.text + 4 : s->v.text;
    const struct metric_def *metric = metric_defs;
    while (metric->clause.name && strcmp(metric->clause.name, word) &&
           (!metric->log_name || strcmp(metric->log_name, word)))
        metric++;
    if (metric->clause.name && !suggest_logged(c, s->v.text, metric))
        diag_hint(c->diag, "it is there where 'metrics' lists it: metrics %s", metric->clause.name);
    else if (!metric->clause.name)
        check_suggest(c, &(struct unknown){.place = FOREIGN_MONITOR, .owner = s->owner->name, .word = s->v.text,
                                           .names = &names});
    names_add(&names, NULL);
    diag_hint(c->diag, "this recipe logs %s", check_join_words(c->arena, names.items));
    return false;
}

/* A word of the slot that a constant hides: which of the two is meant? */
static bool slot_hidden_word(struct slot *s)
{
    const char *name = s->v.constant ? s->v.constant->name : NULL;
    const struct layer_def *layer = name ? check_layer_find(s->c, name) : NULL;
    bool hidden = false;

    if (!name)
        return false;
    switch (s->def->type) {
    case ARG_BOOL: hidden = s->def->words && word_in(name, s->def->words); break;
    case ARG_WORD: hidden = word_in(name, s->def->words); break;
    case ARG_PADDING: hidden = !strcmp(name, "same") || !strcmp(name, "valid"); break;
    case ARG_ACTIVATION: hidden = layer && layer->is_activation; break;
    case ARG_INIT: hidden = init_def_find(name) != NULL; break;
    default: break;
    }
    if (!hidden)
        return false;
    const char *what = s->v.constant->kind == CONSTANT_DECLARED ? "constant" : "parameter";
    diag_error(s->c->diag, DIAG_const_hides_word, s->v.where,
               "'%s' is both a %s and a word that '%s' of %s accepts",
               name, what, s->def->name, s->owner->name);
    diag_note(s->c->diag, s->v.constant->where, "give this %s another name", what);
    return true;
}

bool check_slot_takes_word(enum arg_type type)
{
    return type == ARG_BOOL || type == ARG_WORD || type == ARG_PADDING || type == ARG_ACTIVATION || type == ARG_INIT ||
           type == ARG_MONITOR;
}

/* (3, 3): the parentheses of other languages around the sides of an extent. */
static const struct ast_expr *without_parentheses(struct check *c, const struct ast_expr *e)
{
    const char *sides = "";
    bool whole = true;

    for (const struct ast_arg *arg = e->args.first; arg; arg = arg->next) {
        const struct ast_expr *side = arg->value;
        whole = whole && !arg->key && side->kind == AST_NUMBER;
        if (whole)
            sides = arena_printf(c->arena, "%s%s%.10g", sides, *sides ? "x" : "", side->number);
    }
    diag_error(c->diag, DIAG_bad_extent, e->where, "an extent stands without parentheses");
    diag_hint(c->diag, "write: %s", whole ? sides : "[height, width]");
    struct ast_expr *list = arena_alloc(c->arena, sizeof *list);
    *list = *e;
    list->kind = AST_LIST;
    return list;
}

/* data/mnist without quotes reads as a division. */
static bool is_bare_path(const struct ast_expr *e)
{
    if (e->kind == AST_BINARY && e->op == AST_DIV)
        return is_bare_path(e->args.first->value) && is_bare_path(e->args.first->next->value);
    return e->kind == AST_NAME;
}

/* What other languages write a value as, read as what was meant; NULL: reported, and nothing can be made of it. */
static const struct ast_expr *slot_expression(struct check *c, const struct clause_def *owner,
                                              const struct arg_def *def, const struct ast_expr *e)
{
    bool extent = def->type == ARG_EXTENT2 || def->type == ARG_EXTENT3 || def->type == ARG_SHAPE ||
                  def->type == ARG_SIDES || def->type == ARG_PADDING;

    if (check_slot_takes_word(def->type))
        e = check_unquoted(c, e);
    if (extent && e->kind == AST_TUPLE)
        return without_parentheses(c, e);
    const char *text = def->type == ARG_STRING ? check_source_text(c, e->where) : NULL;
    if (!text || !is_bare_path(e) || (e->kind == AST_NAME && check_constant_find(c, e->text)))
        return e;
    diag_error(c->diag, DIAG_bad_type, e->where, "'%s' of %s is a string in quotes", def->name, owner->name);
    diag_hint(c->diag, "write: \"%s\"", text);
    return NULL;
}

bool check_slot(struct check *c, const struct clause_def *owner, const struct arg_def *def,
                const struct ast_expr *e, struct arg_value *out)
{
    const struct span given_at = e->where;

    e = slot_expression(c, owner, def, e);
    struct slot s = {.c = c, .owner = owner, .def = def, .out = out};
    if (e)
        s.v = check_value(c, e);

    out->given = true;
    out->where = given_at;
    if (s.v.kind == VALUE_NONE || slot_hidden_word(&s))
        return false;
    switch (def->type) {
    case ARG_INT:
    case ARG_REAL:
        return slot_number(&s);
    case ARG_BOOL:
        return slot_switch(&s);
    case ARG_WORD:
        return slot_word(&s);
    case ARG_STRING:
        out->text = s.v.text;
        return s.v.kind == VALUE_STRING || slot_wrong(&s);
    case ARG_EXTENT2:
        return slot_extent(&s, 2, true);
    case ARG_EXTENT3:
        return slot_extent(&s, 3, false);
    case ARG_SHAPE:
        return slot_shape(&s);
    case ARG_SIDES:
        return slot_sides(&s);
    case ARG_PADDING:
        return slot_padding(&s);
    case ARG_REAL_LIST:
        return slot_real_list(&s);
    case ARG_COLUMNS:
        return slot_columns(&s);
    case ARG_ACTIVATION:
        return slot_activation(&s);
    case ARG_INIT:
        return slot_init(&s);
    case ARG_CLASS:
        return slot_class(&s);
    case ARG_MONITOR:
        return slot_monitor(&s);
    case ARG_ANY:
        return (out->any = check_value_kept(c, &s.v)) != NULL;
    }
    return false;
}
