/* check_groups.c - `params biases, lr_scale=64` in `train`: which parameters are trained otherwise than the rest.
 *
 * Requires: the network and all of `freeze` have been checked. */
#include "check/check_parts.h"

#include <string.h>

static const char *const selector_words[] = {
    [SELECT_WEIGHTS] = "weights", [SELECT_BIASES] = "biases", [SELECT_NORMS] = "norms", NULL
};

const char *selector_text(const struct selector *s)
{
    return s->kind == SELECT_LAYER ? s->layer->name : s->kind == SELECT_BLOCK ? s->block : selector_words[s->kind];
}

static bool has_parameters(const struct layer *l)
{
    return l->def->parameters && l->def->parameters(l) > 0;
}

/* Whether a layer with parameters has biases: those of a normalisation, or where its option `bias` says so. */
static bool has_bias(const struct layer *l)
{
    const char *option = l->def->normalises ? "center" : "bias";

    for (int i = 0; i < clause_def_count(l->clause->def); i++)
        if (!strcmp(l->clause->def->args[i].name, option))
            return l->clause->args[i].number != 0;
    return l->def->normalises;
}

static bool fits(const struct selector *s, const struct layer *l)
{
    if (!l->trainable || !has_parameters(l) || (l->bias_only && !has_bias(l)))
        return false;
    switch (s->kind) {
    case SELECT_WEIGHTS: return !l->def->normalises && !l->def->bends && !l->bias_only;
    case SELECT_BIASES: return has_bias(l);
    case SELECT_NORMS: return l->def->normalises;
    case SELECT_LAYER: return s->layer == l;
    case SELECT_BLOCK: return layer_is_in_block(l, s->block);
    }
    return false;
}

static bool fits_any(const struct check *c, const struct selector *s)
{
    if (s->kind == SELECT_LAYER)
        return fits(s, s->layer);
    for (int i = 0; i < c->model->layers_count; i++)
        if (fits(s, c->model->layers[i]))
            return true;
    return false;
}

static void unknown_selector(struct check *c, const struct ast_expr *e)
{
    struct names names = {.arena = c->arena};

    for (int i = 0; selector_words[i]; i++)
        names_add(&names, selector_words[i]);
    for (int i = 0; i < c->model->layers_count && check_suggests(c); i++)
        if (has_parameters(c->model->layers[i]))
            names_add(&names, c->model->layers[i]->name);
    diag_error(c->diag, DIAG_unknown_name, e->word, "no parameters are called '%s'", e->text);
    check_suggest(c, &(struct unknown){.word = e->text, .names = &names, .list = "parameters are"});
}

/* False: reported, or not known for what is wrong elsewhere. */
static bool check_selector(struct check *c, const struct ast_expr *value, struct selector *s)
{
    const struct ast_expr *e = check_unquoted(c, value);
    bool network = !c->broken && !c->too_many && c->model->layers_count;

    if (e->kind == AST_BAD)
        return false;
    if (e->kind != AST_NAME) {
        diag_error(c->diag, DIAG_bad_type, e->where,
                   "'params' takes weights, biases, norms and names of layers and blocks first");
        return false;
    }
    s->layer = table_get(&c->layers_by_name, e->text);
    s->kind = SELECT_LAYER;
    if (!s->layer && table_get(&c->layers_by_block, e->text)) {
        s->kind = SELECT_BLOCK;
        s->block = e->text;
    }
    for (int i = 0; s->kind == SELECT_LAYER && !s->layer && selector_words[i]; i++)
        if (!strcmp(selector_words[i], e->text))
            s->kind = (enum selector_kind)i;
    if (!network)
        return false;
    if (s->kind == SELECT_LAYER && !s->layer) {
        unknown_selector(c, e);
        return false;
    }
    if (fits_any(c, s))
        return true;
    diag_error(c->diag, DIAG_no_parameters, e->word, "'%s' has no parameters that are trained", e->text);
    return false;
}

static bool check_epochs(struct check *c, const struct clause *clause)
{
    const struct arg_value *from = clause_arg(clause, "from"), *until = clause_arg(clause, "until");

    if (!from->given || !until->given || from->number < until->number)
        return true;
    diag_error(c->diag, DIAG_out_of_range, until->where, "from %.10g until %.10g there are no epochs", from->number,
               until->number);
    return false;
}

void check_param_group(struct check *c, const struct ast_statement *s)
{
    struct ast_args args = check_statement_args(c, s);
    struct param_group group = {0};
    size_t capacity = 0;
    bool good = true;

    if (!args.first || args.first->key) {
        diag_error(c->diag, DIAG_missing_argument, args.first ? args.first->where : s->word_where,
                   "'params' says first of which parameters it speaks");
        diag_hint(c->diag, "such as: params biases, weight_decay=0");
        return;
    }
    for (; args.first && !args.first->key; args.first = args.first->next, args.count--) {
        struct selector selector;
        if (check_too_many(c, &c->too_many_groups, c->selectors_count++, SELECTORS_MOST, args.first->where,
                           "names behind 'params'"))
            return;
        if (check_selector(c, args.first->value, &selector))
            LIST_ADD(c->arena, group.selectors, group.selectors_count, capacity, selector);
        else
            good = false;
    }
    group.clause = check_clause(c, &params_def, s->word_where, &args);
    if (!group.clause || !check_epochs(c, group.clause) || !good)
        return;
    LIST_ADD(c->arena, c->model->groups, c->model->groups_count, c->groups_capacity, group);
}

/* Whether a parameter of the layer, a bias or another, belongs to what the selector names. */
static bool holds(const struct selector *s, const struct layer *l, bool bias)
{
    return fits(s, l) && (s->kind != SELECT_WEIGHTS || !bias) && (s->kind != SELECT_BIASES || bias);
}

/* Of several groups the last holds. */
static bool stands_still(const struct model *m, const struct layer *l, bool bias)
{
    bool still = false;

    for (int i = 0; i < m->groups_count; i++)
        for (int k = 0; k < m->groups[i].selectors_count; k++)
            if (holds(&m->groups[i].selectors[k], l, bias))
                still = clause_number(m->groups[i].clause, "lr_scale") == 0;
    return still;
}

bool check_rate_is_zero(const struct model *m)
{
    if (!m->groups_count)
        return false;
    for (int i = 0; i < m->layers_count; i++) {
        const struct layer *l = m->layers[i];
        if (!l->trainable || !has_parameters(l))
            continue;
        if ((has_bias(l) && !stands_still(m, l, true)) || (!l->bias_only && !stands_still(m, l, false)))
            return false;
    }
    return true;
}
