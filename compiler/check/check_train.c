/* check_train.c - the section `train`: loss, optimizer, metrics, callbacks, and a few numbers. */
#include "check/check_parts.h"

#include <string.h>

struct train_state {
    const struct ast_statement *loss, *optimizer, *metrics, *class_weights, *precision, *schedule,
        *numbers[TRAIN_NUMBERS];
};

/* ---- loss, optimizer: a name, then its own arguments ----------------------------------------- */

static bool first_time(struct check *c, const struct ast_statement **seen,
                       const struct ast_statement *s)
{
    if (*seen) {
        diag_error(c->diag, DIAG_duplicate_statement, s->word_where, "a second '%s'", s->word);
        diag_note(c->diag, (*seen)->word_where, "the first one is here");
        return false;
    }
    *seen = s;
    return true;
}

/* `optimizer adam, lr=0.01` or `optimizer adam(lr=0.01)` */
static struct clause *check_named(struct check *c, const struct ast_statement *s,
                                  const struct clause_def *defs, const char *const *later,
                                  enum foreign_place place)
{
    struct ast_args args = check_statement_args(c, s);
    const struct ast_arg *first = args.first;
    const struct ast_expr *e = first ? check_unquoted(c, first->value) : NULL;
    struct names names = {.arena = c->arena};

    if (place == FOREIGN_LOSS)
        names_add_own(c, &names, FUNCTION_LOSS);
    names_add_defs(&names, defs);
    names_add_later(&names, later);
    if (!first || first->key || (e->kind != AST_NAME && e->kind != AST_CALL)) {
        if (first && e->kind == AST_BAD)
            return NULL;
        diag_error(c->diag, DIAG_missing_argument, first ? first->where : s->word_where,
                   "'%s' needs a name first", s->word);
        diag_hint(c->diag, "such as: %s %s", s->word, defs->name);
        return NULL;
    }
    const struct function_entry *own = place == FOREIGN_LOSS ? check_function_find(c, e->text) : NULL;
    const struct clause_def *def = own && own->kind == FUNCTION_LOSS ? own->def : clause_def_find(defs, e->text);
    if (own && own->kind == FUNCTION_LOSS && !def)
        return NULL;                    /* its declaration is wrong */
    if (!def && ((own && check_other_kind(c, e->text, e->word, FUNCTION_LOSS)) || check_name_spoilt(c, e->text)))
        return NULL;
    if (!def) {
        const struct unknown unknown = {
            .place = place, .word = e->text, .names = &names,
            .list = arena_printf(c->arena, "%s of this version", place == FOREIGN_LOSS ? "losses" : "optimizers")};
        if (word_in(e->text, later)) {
            check_not_supported(c, e->word, &unknown);
            return NULL;
        }
        diag_error(c->diag, DIAG_unknown_word, e->word, "no %s is called '%s'", s->word, e->text);
        check_suggest(c, &unknown);
        return NULL;
    }
    struct ast_args rest = {.first = first->next, .last = args.last, .count = args.count - 1};
    if (e->kind == AST_CALL) {
        if (first->next) {
            diag_error(c->diag, DIAG_too_many_arguments, first->next->where,
                       "the arguments of '%s' stand in its parentheses",
                       def->name);
            return NULL;
        }
        rest = e->args;
    }
    return check_clause(c, def, e->word, &rest);
}

/* ---- metrics --------------------------------------------------------------------------------- */

static void add_monitor(struct check *c, const char *name, const char *canonical,
                        enum cnn_direction direction, struct span where)
{
    struct monitor m = {name, canonical, direction, where};

    LIST_ADD(c->arena, c->monitors, c->monitors_count, c->monitors_capacity, m);
    m.name = arena_printf(c->arena, "val_%s", name);
    m.canonical = arena_printf(c->arena, "val_%s", canonical);
    LIST_ADD(c->arena, c->monitors, c->monitors_count, c->monitors_capacity, m);
}

static void add_metric(struct check *c, struct model_metric m, struct span where)
{
    static const char *const columns[] = {"epoch", "lr", "steps", "seconds", "images_per_second", NULL};

    if (word_in(m.name, columns) || !strncmp(m.name, "val_", 4)) {
        diag_error(c->diag, DIAG_duplicate_name, where,
                   "a metric cannot be called '%s': the log means something else by it", m.name);
        return;
    }
    if (check_too_many(c, &c->too_many_metrics, c->model->metrics_count, METRICS_MOST, where, "metrics"))
        return;
    for (int i = 0; i < c->monitors_count; i++) {
        if (strcmp(c->monitors[i].name, m.name) && strcmp(c->monitors[i].canonical, m.log_name))
            continue;
        diag_error(c->diag, DIAG_duplicate_name, where, "the log already has a value '%s'", m.name);
        if (c->monitors[i].where.file)
            diag_note(c->diag, c->monitors[i].where, "it comes from here");
        return;
    }
    add_monitor(c, m.name, m.log_name, m.direction, m.function ? m.function->where : where);
    if (strcmp(m.name, m.log_name))
        add_monitor(c, m.log_name, m.log_name, m.direction, where);
    LIST_ADD(c->arena, c->model->metrics, c->model->metrics_count, c->metrics_capacity, m);
}

/* Can it stand behind `monitor=`, and in C? */
static bool is_metric_name(const char *name)
{
    const char *letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";

    return *name && strchr(letters, *name) &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789") ==
               strlen(name);
}

/* The argument `name`, checked; NULL: not given, or wrong (reported, *good false). */
static const char *metric_name_given(struct check *c, const struct clause *clause, bool *good)
{
    const struct arg_value *v = NULL;

    for (int i = 0; i < clause_def_count(clause->def); i++)
        if (!strcmp(clause->def->args[i].name, "name"))
            v = &clause->args[i];
    if (!v || !v->given || clause->def->args[v - clause->args].type != ARG_STRING)
        return NULL;
    if (is_metric_name(v->text))
        return v->text;
    diag_error(c->diag, DIAG_bad_type, v->where,
               "the name of a metric is letters, digits and '_', found \"%s\"", v->text);
    *good = false;
    return NULL;
}

/* The user's function with other values for its parameters, perhaps under another name:
 * f_beta(beta=2, name="f2"). */
static struct user_function *function_with(struct check *c, const struct user_function *f,
                                           const struct ast_args *args)
{
    struct user_function *copy = arena_alloc(c->arena, sizeof *copy);
    struct arg_def *defs = arena_array(c->arena, (size_t)f->params_count, sizeof *defs);
    bool good = true, named = false;
    struct clause_def def = {.name = f->name, .args = defs};
    int extra = f->params_count - 2;

    *copy = *f;
    for (int i = 0; i < extra; i++) {
        defs[i] = (struct arg_def){.name = f->params[i + 2], .type = ARG_REAL, .positional = true,
                                   .default_number = f->param_defaults[i + 2]};
        named = named || !strcmp(defs[i].name, "name");
    }
    /* a parameter of that name is the function's own affair */
    if (!named)
        defs[extra] = (struct arg_def){.name = "name", .type = ARG_STRING};
    struct clause_def *kept = arena_alloc(c->arena, sizeof *kept);
    *kept = def;
    const struct clause *clause = check_clause(c, kept, f->where, args);
    if (!clause)
        return NULL;
    const char *name = metric_name_given(c, clause, &good);
    if (!good)
        return NULL;
    if (name)
        copy->name = name;
    copy->param_defaults = arena_array(c->arena, (size_t)f->params_count,
                                       sizeof *copy->param_defaults);
    for (int i = 0; i < extra; i++)
        copy->param_defaults[i + 2] = clause->args[i].number;
    return copy;
}

static void unknown_metric(struct check *c, const struct ast_expr *e)
{
    struct names names = {.arena = c->arena};
    const struct unknown unknown = {.place = FOREIGN_METRIC, .word = e->text, .names = &names,
                                    .list = "the metrics are"};

    if (check_name_spoilt(c, e->text))
        return;
    for (const struct metric_def *def = metric_defs; def->clause.name; def++)
        names_add(&names, def->clause.name);
    names_add_own(c, &names, FUNCTION_METRIC);
    diag_error(c->diag, DIAG_unknown_metric, e->word, "no metric is called '%s'", e->text);
    check_suggest(c, &unknown);
}

/* The class that a metric is taken of alone; NULL: it has no such argument, or all are meant. */
static const struct arg_value *class_of(const struct clause *clause)
{
    for (int i = 0; i < clause_def_count(clause->def); i++)
        if (clause->def->args[i].type == ARG_CLASS && clause->args[i].given)
            return &clause->args[i];
    return NULL;
}

/* A class' name where only letters, digits and '_' may stand. */
static const char *as_identifier(struct check *c, const char *name)
{
    char *text = arena_string(c->arena, name, strlen(name));

    for (char *at = text; *at; at++)
        if (!is_metric_name((const char[]){'x', *at, 0}))
            *at = '_';
    return text;
}

/* "f1_macro", "top_5", "recall_3": the options show in the name. */
static const char *builtin_name(struct check *c, const struct clause *clause)
{
    const struct arg_value *class = class_of(clause);

    if (!strcmp(clause->def->name, "top_k"))
        return arena_printf(c->arena, "top_%d", (int)clause_int(clause, "k"));
    if (class && class->text)
        return arena_printf(c->arena, "%s_%s", clause->def->name, as_identifier(c, class->text));
    if (class)
        return arena_printf(c->arena, "%s_%d", clause->def->name, (int)class->number);
    for (int i = 0; i < clause_def_count(clause->def); i++)
        if (!strcmp(clause->def->args[i].name, "average"))
            return arena_printf(c->arena, "%s_%s", clause->def->name, clause->args[i].text);
    return clause->def->name;
}

static enum cnn_average average_of(const struct clause *clause)
{
    const char *word = clause_text(clause, "average");
    int i = 0;

    while (average_words[i + 1] && strcmp(average_words[i], word))
        i++;
    return (enum cnn_average)i;
}

static bool has_average(enum cnn_metric_kind kind)
{
    return kind == CNN_METRIC_PRECISION || kind == CNN_METRIC_RECALL || kind == CNN_METRIC_F1;
}

static void metric_options(struct model_metric *m)
{
    const struct arg_value *class = class_of(m->clause);

    if (has_average(m->kind))
        m->average = average_of(m->clause);
    if (m->kind == CNN_METRIC_AUC)
        m->thresholds = (int)clause_int(m->clause, "thresholds");
    if (class && class->text)
        m->class_name = class->text;
    else if (class)
        m->of_class = 1 + (int)class->number;
}

/* One class has no average; what stands there by default is taken away. */
static bool check_alone(struct check *c, const struct clause *clause)
{
    const struct arg_value *class = class_of(clause);

    for (int i = 0; class && i < clause_def_count(clause->def); i++) {
        if (strcmp(clause->def->args[i].name, "average"))
            continue;
        if (!clause->args[i].given) {
            clause->args[i].text = NULL;
            continue;
        }
        diag_error(c->diag, DIAG_too_many_arguments, clause->args[i].where, "%s of one class has no average",
                   clause->def->name);
        diag_note(c->diag, class->where, "the class is given here");
        return false;
    }
    return true;
}

static void check_builtin(struct check *c, const struct metric_def *def, const struct ast_expr *e,
                          const struct ast_args *args)
{
    struct model_metric m = {.clause = check_clause(c, &def->clause, e->word, args),
                             .direction = def->direction, .kind = def->kind, .targets = def->targets,
                             .where = e->word};
    bool good = true;

    if (!m.clause)
        return;
    const char *name = metric_name_given(c, m.clause, &good);
    m.name = name ? name : builtin_name(c, m.clause);
    m.log_name = !name && def->log_name ? def->log_name : m.name;
    metric_options(&m);
    good = good && check_alone(c, m.clause);
    if (good)
        add_metric(c, m, e->word);
}

/* With it, all metrics of the user's together; else reported, once. */
static bool metric_is_small(struct check *c, const struct function_entry *entry, const struct ast_expr *e)
{
    bool before = c->metrics_work > METRICS_LARGEST;

    c->metrics_work += entry->work;
    if (c->metrics_work <= METRICS_LARGEST)
        return true;
    if (!before)
        diag_error(c->diag, DIAG_too_big, e->where, "with this one the metrics are too large: names, numbers and "
                   "operations times sums are at most %d of all together", METRICS_LARGEST);
    return false;
}

static void check_metric(struct check *c, const struct ast_arg *arg)
{
    static const struct ast_args none = {0};
    const struct ast_expr *e = check_unquoted(c, arg->value);
    struct model_metric m = {0};

    if (e->kind == AST_BAD)
        return;
    if (arg->key || (e->kind != AST_NAME && e->kind != AST_CALL)) {
        diag_error(c->diag, DIAG_bad_type, arg->where,
                   "a metric is a name, perhaps with arguments in parentheses");
        return;
    }
    const struct ast_args *args = e->kind == AST_CALL ? &e->args : &none;
    const struct function_entry *entry = check_function_find(c, e->text);
    if (entry && entry->kind == FUNCTION_METRIC) {
        if (!entry->function)
            return;
        m.function = function_with(c, entry->function, args);
        if (!m.function || !metric_is_small(c, entry, e))
            return;
        m.name = m.log_name = m.function->name;
        m.direction = m.function->direction;
        /* of one-hot classes, of numbers, of ones and zeros, of the input's numbers */
        m.targets = TARGETS(CNN_TARGET_CLASS) | TARGETS(CNN_TARGET_VECTOR) | TARGETS(CNN_TARGET_LABELS) |
                    TARGETS(CNN_TARGET_INPUT);
        m.where = e->word;
        add_metric(c, m, e->word);
        return;
    }
    for (const struct metric_def *def = metric_defs; def->clause.name; def++) {
        if (strcmp(def->clause.name, e->text))
            continue;
        check_builtin(c, def, e, args);
        return;
    }
    if (!check_other_kind(c, e->text, e->word, FUNCTION_METRIC))
        unknown_metric(c, e);
}

static void check_metrics(struct check *c, const struct ast_statement *s)
{
    struct ast_args args = check_statement_args(c, s);

    if (!args.first) {
        diag_error(c->diag, DIAG_missing_argument, s->word_where,
                   "'metrics' needs at least one metric");
        diag_hint(c->diag, "such as: metrics %s", c->model->loss ? loss_def_of(c->model->loss)->metric : "accuracy");
    }
    for (const struct ast_arg *arg = args.first; arg; arg = arg->next) {
        int count = c->model->metrics_count;
        check_metric(c, arg);
        c->metrics_broken = c->metrics_broken || c->model->metrics_count == count;
    }
}

/* ---- numbers and callbacks ------------------------------------------------------------------- */

static void set_number(struct check *c, enum train_number which, double number)
{
    switch (which) {
    case TRAIN_EPOCHS: c->model->epochs = number; break;
    case TRAIN_BATCH: c->model->batch = c->options->batch ? c->options->batch : (int)number; break;
    case TRAIN_SEED: c->model->seed = (uint64_t)number; break;
    case TRAIN_THREADS: c->model->threads = (int)number; break;
    case TRAIN_NUMBERS: break;
    }
}

static void check_number(struct check *c, const struct ast_statement *s, enum train_number which)
{
    struct ast_args args = check_statement_args(c, s);
    const struct clause *clause = check_clause(c, &train_numbers[which], s->word_where, &args);

    if (!clause)
        return;
    if (which == TRAIN_BATCH)
        c->batch_where = s->where;
    if (which == TRAIN_EPOCHS)
        c->epochs_where = s->where;
    set_number(c, which, clause->args[0].number);
}

static void check_precision(struct check *c, const struct ast_statement *s)
{
    struct ast_args args = check_statement_args(c, s);
    const struct clause *clause = check_clause(c, &precision_def, s->word_where, &args);

    c->model->bf16 = clause && !strcmp(clause->args[0].text, "bf16");
}

static void check_callback(struct check *c, const struct ast_statement *s,
                           const struct clause_def *def)
{
    struct ast_args args = check_statement_args(c, s);
    struct clause *clause = check_clause(c, def, s->word_where, &args);

    if (clause && !check_too_many(c, &c->too_many_callbacks, c->model->callbacks_count, CALLBACKS_MOST, s->word_where,
                                  "callbacks") &&
        (strcmp(def->name, "checkpoint") || check_checkpoint_file(c, clause)))
        LIST_ADD(c->arena, c->model->callbacks, c->model->callbacks_count, c->callbacks_capacity,
                 clause);
}

/* ---- freeze ---------------------------------------------------------------------------------- */

static void freeze_layer(struct check *c, const struct ast_arg *arg)
{
    const struct ast_expr *e = check_unquoted(c, arg->value);
    struct names names = {.arena = c->arena};

    if (e->kind == AST_BAD)
        return;
    if (arg->key || e->kind != AST_NAME) {
        diag_error(c->diag, DIAG_bad_type, arg->where, "'freeze' takes names of layers and blocks");
        return;
    }
    struct layer *l = table_get(&c->layers_by_name, e->text);
    struct block_layers *block = l ? NULL : table_get(&c->layers_by_block, e->text);
    if (l) {
        if (l->trainable)
            l->frozen = arg->where;
        l->trainable = false;
        return;
    }
    if (block) {
        if (!block->frozen && !c->broken)       /* thousands of names may be listed */
            for (int i = 0; i < block->count; i++)
                check_layer_train(block->layers[i], TRAINS_NOTHING);
        block->frozen = true;
        return;
    }
    for (int i = 0; i < c->model->layers_count && check_suggests(c); i++)
        names_add(&names, c->model->layers[i]->name);
    if (c->broken || c->too_many || !c->model->layers_count)
        return;                         /* it may be a layer that was not understood */
    diag_error(c->diag, DIAG_unknown_name, e->word, "no layer or block is called '%s'", e->text);
    check_suggest(c, &(struct unknown){.word = e->text, .names = &names, .list = "the layers are"});
}

/* `freeze stem, conv2d_2`: as if they said trainable=off. */
static void check_freeze(struct check *c, const struct ast_statement *s)
{
    struct ast_args args = check_statement_args(c, s);

    if (!args.first) {
        diag_error(c->diag, DIAG_missing_argument, s->word_where,
                   "'freeze' needs at least one name of a layer or block");
        diag_hint(c->diag, "such as: freeze conv2d_1, conv2d_2");
    }
    for (const struct ast_arg *arg = args.first; arg; arg = arg->next)
        freeze_layer(c, arg);
}

static void unknown_train(struct check *c, const struct ast_statement *s)
{
    struct names names = {.arena = c->arena};
    const struct unknown unknown = {.place = FOREIGN_TRAIN, .word = s->word, .names = &names,
                                    .value = s->args.first ? s->args.first->value : NULL,
                                    .list = "statements of 'train' are"};

    names_add(&names, "loss");
    names_add(&names, "optimizer");
    names_add(&names, "metrics");
    names_add(&names, "freeze");
    names_add(&names, class_weights_def.name);
    names_add(&names, precision_def.name);
    names_add(&names, "params");
    names_add(&names, "lr_schedule");
    names_add_defs(&names, train_numbers);
    names_add_defs(&names, callback_defs);
    names_add_later(&names, later_train);
    if (word_in(s->word, later_train)) {
        check_not_supported(c, s->word_where, &unknown);
        return;
    }
    if (check_elsewhere(c, s, "train"))
        return;
    diag_error(c->diag, DIAG_unknown_statement, s->word_where, "nothing in 'train' is called '%s'",
               s->word);
    check_suggest(c, &unknown);
}

/* ---- the section ----------------------------------------------------------------------------- */

bool check_is_train_statement(const char *word)
{
    static const char *const words[] = {"loss", "optimizer", "metrics", "freeze", "class_weights", "precision",
                                         "params", "lr_schedule", NULL};

    return word_in(word, words) || clause_def_find(train_numbers, word) || clause_def_find(callback_defs, word);
}

static bool is_plain(struct check *c, const struct ast_statement *s)
{
    if (s->kind == AST_COMMAND)
        return check_no_body(c, s) && check_no_as(c, s);
    if (s->kind == AST_FUNCTION) {
        diag_error(c->diag, DIAG_misplaced_statement, s->word_where,
                   "functions are declared at top level, outside of 'train'");
    } else {
        diag_error(c->diag, DIAG_misplaced_statement, s->word_where,
                   "this does not belong in 'train'");
    }
    return false;
}

static void check_train_statement(struct check *c, const struct ast_statement *s,
                                  struct train_state *state)
{
    const struct clause_def *number = NULL, *callback;

    if (s->kind == AST_CONST) {
        check_constant_add(c, s);
        return;
    }
    if (s->kind == AST_BROKEN)
        return;
    if (s->kind == AST_ASSIGN)
        s = check_assigned(c, s, check_is_train_statement(s->word), FOREIGN_TRAIN);
    if (!s || !is_plain(c, s))
        return;
    number = clause_def_find(train_numbers, s->word);
    callback = clause_def_find(callback_defs, s->word);
    if (!strcmp(s->word, "loss")) {
        if (first_time(c, &state->loss, s)) {
            c->model->loss = check_named(c, s, loss_defs, later_losses, FOREIGN_LOSS);
            c->loss_where = s->where;
        }
    } else if (!strcmp(s->word, "optimizer")) {
        if (first_time(c, &state->optimizer, s))
            c->model->optimizer = check_named(c, s, optimizer_defs, later_optimizers, FOREIGN_OPTIMIZER);
    } else if (!strcmp(s->word, "metrics")) {
        if (first_time(c, &state->metrics, s))
            check_metrics(c, s);
    } else if (!strcmp(s->word, class_weights_def.name)) {
        struct ast_args args = check_statement_args(c, s);
        if (first_time(c, &state->class_weights, s))
            c->model->class_weights = check_clause(c, &class_weights_def, s->word_where, &args);
    } else if (!strcmp(s->word, precision_def.name)) {
        if (first_time(c, &state->precision, s))
            check_precision(c, s);
    } else if (!strcmp(s->word, "freeze")) {
        check_freeze(c, s);
    } else if (!strcmp(s->word, "lr_schedule")) {
        first_time(c, &state->schedule, s);
    } else if (number) {
        enum train_number which = (enum train_number)(number - train_numbers);
        if (first_time(c, &state->numbers[which], s))
            check_number(c, s, which);
    } else if (!callback && strcmp(s->word, "params")) {
        unknown_train(c, s);
    }
}

void check_train(struct check *c, const struct ast_statement *section)
{
    struct constant *outer = c->constants;
    struct train_state state = {0};

    c->model->has_train = true;
    for (int i = 0; i < TRAIN_NUMBERS; i++)
        set_number(c, (enum train_number)i, train_numbers[i].args[0].default_number);
    c->metrics_broken = section->body->broken;
    c->level++;
    add_monitor(c, "loss", "loss", CNN_LOWER_IS_BETTER, (struct span){0});
    for (const struct ast_statement *s = section->body->first; s; s = s->next)
        check_train_statement(c, s, &state);
    /* Callbacks may name any metric, also one that is listed after them; what is frozen has no group. */
    for (const struct ast_statement *s = section->body->first; s; s = s->next) {
        const struct clause_def *def = s->kind == AST_COMMAND
                                           ? clause_def_find(callback_defs, s->word)
                                           : NULL;
        if (def && !s->body && !s->as)
            check_callback(c, s, def);
        if (s->kind == AST_COMMAND && !strcmp(s->word, "params") && !s->body && !s->as)
            check_param_group(c, s);
    }
    /* and a rate goes by the optimizer's and by the epochs */
    if (state.schedule)
        check_schedule(c, state.schedule);
    c->level--;
    check_constants_leave(c, outer);
    if (section->body->broken)
        return;
    if (!state.loss) {
        diag_error(c->diag, DIAG_missing_statement, section->word_where, "'train' names no loss");
        diag_hint(c->diag, "such as: loss categorical_crossentropy");
    }
    if (!state.optimizer) {
        diag_error(c->diag, DIAG_missing_statement, section->where, "'train' names no optimizer");
        diag_hint(c->diag, "such as: optimizer adam, lr=0.001");
    }
}
