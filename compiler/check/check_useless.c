/* check_useless.c - what a recipe says and what can surely never act: warnings, of a model that is right in all else.
 *
 * Requires: a checked model without errors.  A value that comes from a constant is no reason for a warning where
 * another value of the constant, as -D gives it, would act. */
#include "check/check_parts.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

/* ---- arguments ------------------------------------------------------------------------------- */

static const struct arg_value *argument(const struct clause *clause, const char *name)
{
    for (int i = 0; i < clause_def_count(clause->def); i++)
        if (!strcmp(clause->def->args[i].name, name))
            return &clause->args[i];
    return NULL;
}

/* Given as a number in its place, not by a name that may mean another one. */
static bool is_literal(const struct arg_value *v)
{
    const char *text = v->given && v->where.file ? v->where.file->text : NULL;

    return text && (isdigit((unsigned char)text[v->where.begin]) || text[v->where.begin] == '.');
}

static struct span place_of(const struct clause *clause, const struct arg_value *v)
{
    return v->given ? v->where : clause->where;
}

static bool is_on(const struct clause *clause, const char *name)
{
    const struct arg_value *v = argument(clause, name);

    return v && v->number != 0;
}

/* ---- callbacks ------------------------------------------------------------------------------- */

/* The first epoch gives the value to compare with, `patience` more have to pass, and one has to be left. */
static void check_patience(struct check *c, const struct clause *callback)
{
    const struct arg_value *patience = argument(callback, "patience");
    const double epochs = ceil(c->model->epochs);       /* each ends once, a part too */

    if (!patience || !c->epochs_where.file || is_on(callback, "restore_best"))
        return;
    if ((patience->number > 1 ? patience->number : 1) + 1 < epochs)
        return;
    diag_warning(c->diag, DIAG_useless_patience, place_of(callback, patience),
                 "%s with a patience of %.0f cannot act within %s epoch%s", callback->def->name, patience->number,
                 number_text(c->model->epochs).text, c->model->epochs == 1 ? "" : "s");
    diag_note(c->diag, c->epochs_where, "the epochs are given here");
}

static void check_callback(struct check *c, const struct clause *callback)
{
    const struct arg_value *min_lr = argument(callback, "min_lr"), *period = argument(callback, "period"),
                           *monitor = argument(callback, "monitor");
    double lr = clause_number(c->model->optimizer, "lr");

    check_patience(c, callback);
    if (min_lr && min_lr->given && min_lr->number >= lr) {
        diag_warning(c->diag, DIAG_useless_min_lr, min_lr->where,
                     "the rate begins at %.10g and is never lowered: 'min_lr' is no smaller", lr);
        diag_note(c->diag, place_of(c->model->optimizer, argument(c->model->optimizer, "lr")),
                  "the rate is given here");
    }
    if (monitor && monitor->given && argument(callback, "save_best") && !is_on(callback, "save_best")) {
        diag_warning(c->diag, DIAG_useless_monitor, monitor->where,
                     "without save_best=on every epoch is saved, whatever 'monitor' watches");
        diag_hint(c->diag, "write: monitor=%s, save_best=on", monitor->text);
    }
    if (period && period->given && c->epochs_where.file && period->number > ceil(c->model->epochs)) {
        diag_warning(c->diag, DIAG_useless_period, period->where,
                     "a file every %.0f epochs is never written within %s", period->number,
                     number_text(c->model->epochs).text);
        diag_note(c->diag, c->epochs_where, "the epochs are given here");
    }
}

/* ---- data ------------------------------------------------------------------------------------ */

/* Pictures of the set before `limit`, where the recipe itself knows; 0: only the data do. */
static double pictures(const struct check *c, const char *set)
{
    const struct arg_value *count = argument(c->model->source_clause, set);

    return count && count->number > 0 ? count->number : 0;
}

static void check_limit(struct check *c, const struct clause *limit, const char *set)
{
    const struct arg_value *v = argument(limit, set);
    double there = pictures(c, set);

    if (!v || !v->given || there == 0 || v->number <= there)
        return;
    diag_warning(c->diag, DIAG_useless_limit, v->where, "a limit of %.0f takes nothing away: there are %.0f pictures",
                 v->number, there);
}

static void check_amounts(struct check *c)
{
    const struct model *m = c->model;
    double most = pictures(c, "train");
    struct span where = m->source_clause->where;

    for (int i = 0; i < m->steps_count; i++) {
        const struct clause *step = m->steps[i];
        const struct arg_value *train = argument(step, "train");
        if (strcmp(step->def->name, "limit"))
            continue;
        check_limit(c, step, "train");
        check_limit(c, step, "val");
        if (train && train->number > 0 && (most == 0 || train->number < most)) {
            most = train->number;
            where = train->where;
        }
    }
    if (most == 0 || m->batch <= most || c->options->batch)
        return;
    diag_warning(c->diag, DIAG_useless_batch, c->batch_where.file ? c->batch_where : where,
                 "a batch of %d is more than the %.0f pictures to train with: each step takes all of them", m->batch,
                     most);
}

/* What takes something of another sample of the batch. */
static void check_mixing_alone(struct check *c)
{
    const struct model *m = c->model;

    for (int i = 0; i < m->steps_count && m->batch == 1 && !c->options->batch; i++)
        for (int k = 0; k < clause_def_count(m->steps[i]->def); k++) {
            const char *name = m->steps[i]->def->args[k].name;
            const struct arg_value *v = &m->steps[i]->args[k];
            if ((strcmp(name, "mixup") && strcmp(name, "cutmix")) || v->number <= 0)
                continue;
            diag_warning(c->diag, DIAG_useless_argument, v->where,
                         "'%s' mixes the samples of a batch: one alone stays as it is", name);
            if (c->batch_where.file)
                diag_note(c->diag, c->batch_where, "the batch is given here");
        }
}

/* ---- layers ---------------------------------------------------------------------------------- */

/* The activation that the layer ends in: its own name, or that of its argument; NULL: none. */
static const char *last_activation(const struct layer *l)
{
    if (l->def->is_activation)
        return l->def->clause.name;
    for (int i = 0; i < clause_def_count(l->clause->def); i++)
        if (l->clause->def->args[i].type == ARG_ACTIVATION)
            return l->clause->args[i].call ? l->clause->args[i].call->def->name : NULL;
    return NULL;
}

/* The layer whose values arrive at l unchanged, or fewer of them: what only passes on is passed over. */
static const struct layer *origin(const struct layer *l)
{
    static const char *const passing[] = {"maxpool2d", "flatten", NULL};

    do {
        l = l->inputs_count == 1 ? l->inputs[0] : NULL;
    } while (l && word_in(l->def->clause.name, passing));
    return l;
}

static bool is_never_negative(const char *activation)
{
    const struct activation_row *row = activation_find(activation);

    return row ? row->never_negative : !strcmp(activation, "softmax");
}

static void check_activation(struct check *c, const struct layer *l)
{
    const struct layer *from = origin(l);
    const char *name = l->def->clause.name, *before = from ? last_activation(from) : NULL;

    if (!l->def->is_activation || !before)
        return;
    if (!strcmp(name, "relu") ? is_never_negative(before) : !strcmp(name, "relu6") && !strcmp(before, "relu6")) {
        diag_warning(c->diag, DIAG_useless_activation, l->where, "%s changes nothing after %s", name, before);
        diag_note(c->diag, from->where, "%s stands here", before);
    } else if (!strcmp(name, "softmax") && strcmp(before, "softmax") && l->out.flat) {
        diag_warning(c->diag, DIAG_activation_before_softmax, l->where,
                     "softmax works best on the sums of a layer; here %s has changed them before", before);
        diag_note(c->diag, from->where, "%s stands here", before);
    }
}

/* A softmax that is not the last: its values are tiny, and so are their gradients. */
static void check_inner_softmax(struct check *c, const struct layer *l)
{
    const char *name = last_activation(l);

    if (!name || strcmp(name, "softmax") || l->index == c->model->layers_count - 1)
        return;
    diag_warning(c->diag, DIAG_inner_softmax, l->where,
                 "softmax inside of a network leaves it little to learn from; it belongs at the end");
}

static void check_pooling(struct check *c, const struct layer *l)
{
    const struct arg_value *window = argument(l->clause, "window");

    if (!window || !is_literal(window) || window->dims[0] != 1 || window->dims[1] != 1 || l->in.h != l->out.h ||
        l->in.w != l->out.w)
        return;
    diag_warning(c->diag, DIAG_useless_layer, l->where, "%s over a window of 1x1 changes nothing", l->def->clause.name);
}

static void check_layer(struct check *c, const struct layer *l)
{
    const char *kind = l->def->clause.name;
    const struct arg_value *rate = argument(l->clause, "rate"), *bias = argument(l->clause, "bias"),
                           *bias_init = argument(l->clause, "bias_init"), *momentum = argument(l->clause, "momentum");

    check_activation(c, l);
    check_inner_softmax(c, l);
    check_pooling(c, l);
    if (!strcmp(kind, "dropout") && rate && is_literal(rate) && rate->number == 0)
        diag_warning(c->diag, DIAG_useless_layer, rate->where, "a dropout of 0 drops nothing");
    if (!strcmp(kind, "flatten") && l->in.flat)
        diag_warning(c->diag, DIAG_useless_layer, l->where, "what arrives here is flat already");
    if (bias && bias->given && bias->number == 0 && bias_init && bias_init->given &&
        strcmp(bias_init->call->def->name, "zeros"))    /* as an explained recipe says it of every layer */
        diag_warning(c->diag, DIAG_useless_argument, bias_init->where,
                     "there is no bias to begin with 'bias_init': bias=off");
    if (!strcmp(kind, "batchnorm") && momentum && is_literal(momentum) && momentum->number == 1)
        diag_warning(c->diag, DIAG_useless_argument, momentum->where,
                     "with a momentum of 1 the running statistics stay at 0 and 1, whatever is learnt");
    if ((!l->trainable || l->bias_only) && (!l->def->parameters || l->def->parameters(l) == 0)) {
        diag_warning(c->diag, DIAG_useless_argument, l->frozen.file ? l->frozen : l->where,
                     "'%s' has no weights that could be kept fixed", check_layer_called(l));
        if (l->frozen.file)
            diag_note(c->diag, l->where, "the layer is here");
    } else if (l->trainable && l->bias_only && layer_trained(l) == 0)
        diag_warning(c->diag, DIAG_useless_argument, l->where,
                     "'%s' has no bias that could learn: trainable=off says so", check_layer_called(l));
}

/* ---- constants ------------------------------------------------------------------------------- */

static void names_of_expression(struct check *c, const struct ast_expr *e);

static void names_of_arguments(struct check *c, const struct ast_args *args)
{
    for (const struct ast_arg *arg = args->first; arg; arg = arg->next)
        names_of_expression(c, arg->value);
}

static void names_of_expression(struct check *c, const struct ast_expr *e)
{
    if (!e)
        return;
    if (e->kind == AST_NAME || e->kind == AST_INDEX)
        table_put(&c->names_read, e->text, c);
    names_of_arguments(c, &e->args);
}

void check_names_read(struct check *c, const struct ast_body *body)
{
    if (!body)
        return;
    for (const struct ast_statement *s = body->first; s; s = s->next) {
        names_of_arguments(c, &s->args);
        names_of_expression(c, s->value);
        if (s->head)
            names_of_arguments(c, &s->head->args);
        check_names_read(c, s->body);
        check_names_read(c, s->otherwise);
    }
}

/* Of the file itself: one that is included may have more than this one needs. */
static void check_constants_read(struct check *c, const struct ast_body *body)
{
    if (!body)
        return;
    for (const struct ast_statement *s = body->first; s; s = s->next) {
        if (s->kind == AST_CONST && !table_get(&c->names_read, s->word))
            diag_warning(c->diag, DIAG_unused_constant, s->word_where, "nothing uses the constant '%s'", s->word);
        if (s->kind == AST_FUNCTION || (s->word && !strcmp(s->word, function_word(FUNCTION_METRIC))))
            continue;                           /* a function's values are its own affair */
        check_constants_read(c, s->body);
        check_constants_read(c, s->otherwise);
    }
}

/* ---- blocks ---------------------------------------------------------------------------------- */

/* A parameter that was given a layer's name is a statement. */
static void statements_read(struct check *c, const struct ast_body *body)
{
    for (const struct ast_statement *s = body ? body->first : NULL; s; s = s->next) {
        if (s->kind == AST_COMMAND)
            table_put(&c->names_read, s->word, c);
        statements_read(c, s->body);
        statements_read(c, s->otherwise);
    }
}

/* Of the file itself, as with constants.  A block may be given to another one. */
static void check_block_read(struct check *c, const struct block_entry *b)
{
    const struct table outer = c->names_read;

    if (!b->used && !table_get(&c->names_read, b->def.name)) {
        diag_warning(c->diag, DIAG_unused_block, b->def.declared, "nothing uses the block '%s'", b->def.name);
        return;
    }
    c->names_read = (struct table){.arena = c->arena};
    check_names_read(c, b->statement->body);
    statements_read(c, b->statement->body);
    for (int i = 0; i < clause_def_count(&b->def); i++)
        names_of_expression(c, b->parameters[i]->key ? b->parameters[i]->value : NULL);
    for (int i = 0; i < clause_def_count(&b->def); i++)
        if (!table_get(&c->names_read, b->def.args[i].name))
            diag_warning(c->diag, DIAG_unused_parameter, b->parameters[i]->where,
                         "the block '%s' does nothing with '%s'", b->def.name, b->def.args[i].name);
    c->names_read = outer;
}

/* ---- options of an optimizer ----------------------------------------------------------------- */

/* What acts together with another option only. */
static const struct {
    const char *option, *with;
} needs_other[] = {
    {"nesterov", "momentum"}, {"coupled", "weight_decay"}, {"every", "lookahead"}, {"lookahead_power", "lookahead"},
};

static bool some_group_decays(const struct model *m)
{
    for (int i = 0; i < m->groups_count; i++)
        if (argument(m->groups[i].clause, "weight_decay")->number != 0)
            return true;
    return false;
}

static void check_optimizer(struct check *c, const struct clause *optimizer)
{
    for (size_t i = 0; i < sizeof needs_other / sizeof needs_other[0]; i++) {
        const struct arg_value *v = argument(optimizer, needs_other[i].option),
                               *other = argument(optimizer, needs_other[i].with);
        if (!v || !v->given || v->number == optimizer->def->args[v - optimizer->args].default_number ||
            other->number != 0 || (other->given && !is_literal(other)) ||
            (!strcmp(needs_other[i].with, "weight_decay") && some_group_decays(c->model)))
            continue;
        diag_warning(c->diag, DIAG_useless_argument, v->where, "'%s' does nothing without '%s'", needs_other[i].option,
                     needs_other[i].with);
    }
}

/* ---- beyond the epochs ----------------------------------------------------------------------- */

/* An epoch that is named and does not come. */
static void check_beyond(struct check *c, const struct clause *clause, const char *name, const char *then)
{
    const struct arg_value *v = argument(clause, name);

    if (!v || !v->given || !c->epochs_where.file)
        return;
    double first = v->list ? v->list[0] : v->number;
    if (first < c->model->epochs || (!v->list && !is_literal(v)))
        return;
    diag_warning(c->diag, DIAG_useless_argument, v->where, "'%s' is %.10g, and there are %s epoch%s: %s", name, first,
                 number_text(c->model->epochs).text, c->model->epochs == 1 ? "" : "s", then);
    diag_note(c->diag, c->epochs_where, "the epochs are given here");
}

static void check_epochs_named(struct check *c)
{
    const struct model *m = c->model;

    for (int i = 0; i < m->groups_count; i++)
        check_beyond(c, m->groups[i].clause, "from", "these parameters are never trained");
    if (!m->schedule || !m->schedule->clause)
        return;
    check_beyond(c, m->schedule->clause, "warmup", "the rate only rises");
    check_beyond(c, m->schedule->clause, "at", "the rate never falls");
}

void check_useless(struct check *c, const struct ast_body *file)
{
    const struct model *m = c->model;

    check_constants_read(c, file);
    for (int i = 0; i < c->blocks_count; i++)
        if (!c->blocks[i].included)
            check_block_read(c, &c->blocks[i]);
    for (int i = 0; i < m->layers_count; i++) {
        const struct diag_context *outer = diag_within(c->diag, m->layers[i]->within);
        check_layer(c, m->layers[i]);
        diag_within(c->diag, outer);
    }
    if (m->optimizer)
        check_optimizer(c, m->optimizer);
    check_epochs_named(c);
    if (m->optimizer)
        for (int i = 0; i < m->callbacks_count; i++)
            check_callback(c, m->callbacks[i]);
    if (m->source_clause && m->has_train) {
        check_amounts(c);
        check_mixing_alone(c);
    }
}
