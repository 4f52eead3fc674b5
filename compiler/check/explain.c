/* explain.c - the recipe as a .cnn file with every default filled in: itself a valid model. */
#include "syntax/ast.h"
#include "check/check.h"
#include "ops/losses.h"
#include "ops/ops.h"
#include "base/text.h"

#include <string.h>

/* ---- text ------------------------------------------------------------------------------------ */

static void put_number(struct text *t, double number)
{
    struct number_text shortest = number_text(number);

    text_add(t, "%s", shortest.text);
}

/* [0, 1] rather than 0x1, which would be a hexadecimal number; nothing at all is 0. */
static void put_extent(struct text *t, const int64_t *dims, int parts)
{
    bool list = dims[0] == 0;

    if (parts == 2 && list && dims[1] == 0) {
        text_add(t, "0");
        return;
    }
    text_add(t, "%s", list ? "[" : "");
    for (int i = 0; i < parts; i++)
        text_add(t, "%s%lld", i == 0 ? "" : list ? ", " : "x", (long long)dims[i]);
    text_add(t, "%s", list ? "]" : "");
}

/* ---- clauses --------------------------------------------------------------------------------- */

static void put_call(struct text *t, const struct clause *call);

static void put_value(struct text *t, const struct arg_def *def, const struct arg_value *v)
{
    switch (def->type) {
    case ARG_INT:
    case ARG_REAL:
        put_number(t, v->number);
        break;
    case ARG_BOOL:
        text_add(t, v->number != 0 ? "on" : "off");
        break;
    case ARG_WORD:
    case ARG_COLUMNS:
    case ARG_MONITOR:
        text_add(t, "%s", v->text);
        break;
    case ARG_STRING:
        text_add_string(t, v->text);
        break;
    case ARG_CLASS:
        if (v->text)
            text_add_string(t, v->text);
        else
            put_number(t, v->number);
        break;
    case ARG_PADDING:
        if (v->text) {
            text_add(t, "%s", v->text);
            break;
        }
        /* fall through */
    case ARG_EXTENT2:
        put_extent(t, v->dims, 2);
        break;
    case ARG_EXTENT3:
        put_extent(t, v->dims, 3);
        break;
    case ARG_SHAPE:
        put_extent(t, v->dims, v->dims[1] ? 3 : 1);
        break;
    case ARG_SIDES:
        if (v->dims[0] == v->dims[1] && v->dims[2] == v->dims[3])
            put_extent(t, (int64_t[]){ v->dims[0], v->dims[2] }, 2);
        else
            text_add(t, "[%d, %d, %d, %d]", (int)v->dims[0], (int)v->dims[1], (int)v->dims[2], (int)v->dims[3]);
        break;
    case ARG_REAL_LIST:
        for (int i = 0; i < v->list_length; i++) {
            text_add(t, i ? ", " : "[");
            put_number(t, v->list[i]);
        }
        text_add(t, "]");
        break;
    case ARG_ACTIVATION:
    case ARG_INIT:
        if (v->call)
            put_call(t, v->call);
        else
            text_add(t, "%s", def->default_text);
        break;
    case ARG_ANY:               /* of blocks, which are expanded */
        break;
    }
}

/* What has neither a given value nor a default of its own (a pool's stride is its window) is left
 * out. */
static bool has_value(const struct arg_def *def, const struct arg_value *v)
{
    if (v->given && def->type != ARG_ACTIVATION)        /* which may be given as none */
        return true;
    switch (def->type) {
    case ARG_EXTENT2: return !def->default_of || (v->dims[0] > 0 && v->dims[1] > 0);
    case ARG_EXTENT3: case ARG_SHAPE: return v->dims[0] > 0;
    case ARG_SIDES: return true;
    case ARG_WORD: case ARG_STRING: case ARG_COLUMNS: case ARG_MONITOR: case ARG_PADDING: return v->text != NULL;
    case ARG_CLASS: case ARG_ANY: return false;
    case ARG_REAL_LIST: return v->list != NULL;
    case ARG_ACTIVATION: return v->call != NULL;
    case ARG_INIT: return v->call || def->default_text;
    case ARG_INT: case ARG_REAL: case ARG_BOOL: return true;
    }
    return false;
}

const char *argument_text(struct arena *a, const struct arg_def *def, const struct arg_value *v)
{
    struct text t = {.arena = a};

    if (!has_value(def, v))
        return NULL;
    put_value(&t, def, v);
    return text_of(&t);
}

/* A word of a list that begins with the argument's own name: `flip` stands alone, `flip=alternate` does not. */
static bool is_other_word(const struct arg_def *def, const struct arg_value *v)
{
    return def->type == ARG_WORD && !strcmp(def->words[0], def->name) && strcmp(v->text, def->name);
}

/* Arguments in the order of the definition.  Positional ones lose their names until one is left
 * out. */
static bool put_args(struct text *t, const struct clause *c, const char *comma)
{
    bool positional = true, any = false;

    for (int i = 0; i < clause_def_count(c->def); i++) {
        const struct arg_def *def = &c->def->args[i];
        if (!has_value(def, &c->args[i])) {
            positional = positional && !def->positional;
            continue;
        }
        text_add(t, "%s", comma);
        positional = positional && def->positional && !is_other_word(def, &c->args[i]);
        if (!positional)
            text_add(t, "%s=", def->name);
        put_value(t, def, &c->args[i]);
        comma = ", ";
        any = true;
    }
    return any;
}

static void put_call(struct text *t, const struct clause *call)
{
    struct text inside = {.arena = t->arena};

    text_add(t, "%s", call->def->name);
    if (!put_args(&inside, call, ""))
        return;
    text_add(t, "(%s)", text_of(&inside));
}

static void put_clause(struct text *t, const struct clause *c)
{
    text_add(t, "    %s", c->def->name);
    put_args(t, c, " ");
    text_add(t, "\n");
}

const char *clause_text_of(struct arena *a, const struct clause *c)
{
    struct clause given = *c;
    struct text t = {.arena = a};
    int count = clause_def_count(c->def);
    struct arg_def *defs = arena_array(a, (size_t)count + 1, sizeof *defs);
    struct arg_value *values = arena_array(a, (size_t)count + 1, sizeof *values);
    struct clause_def def = *c->def;
    int kept = 0;

    for (int i = 0; i < count; i++) {
        if (!c->args[i].given)
            continue;
        defs[kept] = c->def->args[i];
        values[kept++] = c->args[i];
    }
    def.args = defs;
    given.def = &def;
    given.args = values;
    text_add(&t, "%s", def.name);
    put_args(&t, &given, " ");
    return text_of(&t);
}

/* ---- the network ----------------------------------------------------------------------------- */

/* Every layer has its name, so that a join can be written with names: `from` its first input, then
 * the others. */
static void put_layer(struct text *t, const struct layer *l)
{
    text_add(t, "    %s", l->def->clause.name);
    const char *comma = " ";
    for (int i = 1; i < l->inputs_count; i++) {
        text_add(t, "%s%s", comma, l->inputs[i]->name);
        comma = ", ";
    }
    if (put_args(t, l->clause, comma))
        comma = ", ";
    if (!l->trainable || l->bias_only)
        text_add(t, "%strainable=%s", comma, l->trainable ? "bias" : "off");
    text_add(t, " as %s\n", l->name);
}

/* ---- functions ------------------------------------------------------------------------------- */

static void put_function(struct text *t, const struct user_function *f)
{
    static const char *const directions[] = {
        [CNN_NO_DIRECTION] = "", [CNN_HIGHER_IS_BETTER] = "higher_is_better ",
        [CNN_LOWER_IS_BETTER] = "lower_is_better "
    };
    if (f->kind == FUNCTION_METRIC)
        text_add(t, "\n# The mean over batches, weighted by their sizes.");
    text_add(t, "\n%s %s(", f->kind == FUNCTION_METRIC ? "metric" : f->kind == FUNCTION_LOSS ? "loss" : "activation",
             f->name);
    for (int i = 0; i < f->params_count; i++) {
        text_add(t, "%s%s", i ? ", " : "", f->params[i]);
        if (i < f->arrays)
            continue;
        text_add(t, "=");
        put_number(t, f->param_defaults[i]);
    }
    text_add(t, ") %s{\n", directions[f->direction]);
    for (int i = 0; i < f->locals_count; i++)
        text_add(t, "    %s = %s\n", f->locals[i].name, expr_text(t->arena, f->locals[i].named->args[0]));
    text_add(t, "    return %s\n}\n", expr_text(t->arena, f->result));
}

static void use(const struct model *m, bool *used, const struct user_function *f)
{
    for (int i = 0; i < m->functions_count; i++)
        used[i] = used[i] || m->functions[i] == f;
}

/* The user's functions that layers, loss and metrics need, those that are called too; metrics come by themselves, with
 * their own arguments. */
static void put_functions(struct text *t, const struct model *m)
{
    bool *used = arena_array(t->arena, (size_t)m->functions_count + 1, sizeof *used), more = true;

    if (m->loss)
        use(m, used, m->loss->def->function);
    for (int i = 0; i < m->layers_count; i++) {
        const struct clause *activation = layer_activation(m->layers[i]);
        if (activation)
            use(m, used, activation->def->function);
    }
    for (int i = 0; i < m->metrics_count; i++)
        for (int k = 0; m->metrics[i].function && k < m->metrics[i].function->calls_count; k++)
            use(m, used, m->metrics[i].function->calls[k]);
    while (more) {
        more = false;
        for (int i = 0; i < m->functions_count; i++)
            for (int k = 0; used[i] && k < m->functions[i]->calls_count; k++)
                for (int j = 0; j < m->functions_count; j++)
                    if (m->functions[j] == m->functions[i]->calls[k] && !used[j])
                        used[j] = more = true;
    }
    for (int i = 0; i < m->metrics_count; i++)      /* not twice */
        for (int j = 0; m->metrics[i].function && j < m->functions_count; j++)
            used[j] = used[j] && strcmp(m->functions[j]->name, m->metrics[i].function->name);
    for (int i = 0; i < m->functions_count; i++)
        if (used[i])
            put_function(t, m->functions[i]);
}

/* ---- the whole ------------------------------------------------------------------------------- */

static bool splits(const struct model *m)
{
    for (int i = 0; i < m->steps_count; i++)
        if (!strcmp(m->steps[i]->def->name, "split"))
            return true;
    return false;
}

/* Which metrics are means over batches, and which are of the whole set. */
static void put_metric_kinds(struct text *t, const struct model *m)
{
    bool any = false;

    for (int i = 0; i < m->metrics_count; i++) {
        if (m->metrics[i].kind == CNN_METRIC_BATCH)
            continue;
        text_add(t, "%s%s", any ? ", " : "\n    # over the whole set: ", m->metrics[i].name);
        any = true;
    }
}

/* An option that is not given is the optimizer's, or all epochs. */
static void put_group(struct text *t, const struct param_group *g)
{
    for (int i = 0; i < g->selectors_count; i++)
        text_add(t, "%s%s", i ? ", " : "    params ", selector_text(&g->selectors[i]));
    for (int i = 0; i < clause_def_count(g->clause->def); i++)
        if (g->clause->args[i].given || !strcmp(g->clause->def->args[i].name, "lr_scale")) {
            text_add(t, ", %s=", g->clause->def->args[i].name);
            put_value(t, &g->clause->def->args[i], &g->clause->args[i]);
        }
    text_add(t, "\n");
}

static void put_train(struct text *t, const struct model *m)
{
    text_add(t, "\ntrain {\n    loss %s", m->loss->def->name);
    put_args(t, m->loss, ", ");
    text_add(t, "\n    optimizer %s", m->optimizer->def->name);
    put_args(t, m->optimizer, ", ");
    text_add(t, "\n");
    if (m->class_weights)
        put_clause(t, m->class_weights);
    for (int i = 0; i < m->groups_count; i++)
        put_group(t, &m->groups[i]);
    for (int i = 0; i < m->metrics_count; i++) {
        text_add(t, i ? ", " : "    metrics ");
        if (m->metrics[i].clause)
            put_call(t, m->metrics[i].clause);
        else
            text_add(t, "%s", m->metrics[i].name);
    }
    put_metric_kinds(t, m);
    text_add(t, "%s    epochs %s\n    batch %d\n    seed %llu\n    threads %d",
        m->metrics_count ? "\n" : "", number_text(m->epochs).text, m->batch, (unsigned long long)m->seed, m->threads);
    text_add(t, "%s\n", m->threads ? "" : "             # as many as the machine has");
    if (m->bf16)
        text_add(t, "    precision bf16\n");
    if (m->schedule && m->schedule->clause) {
        text_add(t, "    lr_schedule %s", m->schedule->clause->def->name);
        put_args(t, m->schedule->clause, ", ");
        text_add(t, "\n");
    } else if (m->schedule) {
        text_add(t, "    lr_schedule %s\n", m->schedule->text);
    }
    for (int i = 0; i < m->callbacks_count; i++)
        put_clause(t, m->callbacks[i]);
    text_add(t, "    # validation: %s\n}\n",
        splits(m) ? "what 'split' takes from the training set, after each epoch; the test set at the end"
                  : "the test set, after each epoch");
}

const char *explain_model(struct arena *a, const struct model *m)
{
    struct text t = {.arena = a};

    text_add(&t, "model %s\n", m->name);
    if (m->has_data) {
        text_add(&t, "\ndata {\n");
        put_clause(&t, m->source_clause);
        for (int i = 0; i < m->steps_count; i++)
            put_clause(&t, m->steps[i]);
        text_add(&t, "%s}\n", m->target_is_input ? "    target input\n" : "");
    }
    text_add(&t, "\nnetwork {\n");
    for (int i = 0; i < m->layers_count; i++) {
        const struct layer *l = m->layers[i];
        if (i > 0 && l->inputs[0] != m->layers[i - 1])
            text_add(&t, "    from %s\n", l->inputs[0]->name);
        put_layer(&t, l);
    }
    text_add(&t, "}\n");
    put_functions(&t, m);
    for (int i = 0; i < m->metrics_count; i++)
        if (m->metrics[i].function)
            put_function(&t, m->metrics[i].function);
    if (m->has_train)
        put_train(&t, m);
    return text_of(&t);
}
