/* list.c - see list.h.  Each list is made once, as JSON, and printed as that or for people. */
#include "show/list.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "check/check.h"
#include "expr/expr.h"
#include "model/recipes.h"
#include "ops/ops.h"

/* ---- what the tables hold ---------------------------------------------------------------------------------------- */

static const char *type_name(enum arg_type type)
{
    switch (type) {
    case ARG_INT: return "whole";
    case ARG_REAL: return "number";
    case ARG_BOOL: return "switch";
    case ARG_WORD: return "word";
    case ARG_STRING: return "string";
    case ARG_EXTENT2: return "extent2";
    case ARG_EXTENT3: return "extent3";
    case ARG_SHAPE: return "shape";
    case ARG_SIDES: return "sides";
    case ARG_PADDING: return "padding";
    case ARG_REAL_LIST: return "numbers";
    case ARG_COLUMNS: return "columns";
    case ARG_ACTIVATION: return "activation";
    case ARG_INIT: return "initialiser";
    case ARG_CLASS: return "class";
    case ARG_MONITOR: return "monitor";
    case ARG_ANY: return "value";
    }
    return "value";
}

static void set_text(json_t *object, const char *key, const char *text)
{
    if (text)
        json_object_set_new(object, key, json_string(text));
}

static json_t *words_list(const char *const *words, json_t *list)
{
    for (; words && *words; words++)
        json_array_append_new(list, json_string(*words));
    return list;
}

/* What may be written for it, where that is a list of words. */
static json_t *argument_words(const struct arg_def *def)
{
    static const char *const switches[] = {"on", "off", NULL}, *const paddings[] = {"valid", "same", NULL};

    switch (def->type) {
    case ARG_BOOL: return words_list(def->words, words_list(switches, json_array()));
    case ARG_PADDING: return words_list(paddings, json_array());
    default: return def->words ? words_list(def->words, json_array()) : NULL;
    }
}

static json_t *bound(double number)
{
    bool whole = number >= -9007199254740992.0 && number <= 9007199254740992.0 && number == (double)(int64_t)number;

    return whole ? json_integer((json_int_t)number) : json_real(number);
}

static json_t *argument_of(struct arena *a, const struct arg_def *def, const struct arg_value *value)
{
    json_t *argument = json_pack("{s:s, s:s, s:b, s:b}", "name", def->name, "type", type_name(def->type), "positional",
                                 def->positional, "required", def->required), *words = argument_words(def);
    const char *text = def->required ? NULL : argument_text(a, def, value);

    set_text(argument, "default", text);
    set_text(argument, "default_of", def->default_of);
    if (def->min != 0 || def->max != 0) {
        json_object_set_new(argument, def->min_open ? "above" : "least", bound(def->min));
        json_object_set_new(argument, def->max_open ? "below" : "most", bound(def->max));
    }
    if (words)
        json_object_set_new(argument, "words", words);
    set_text(argument, "help", def->help);
    return argument;
}

static json_t *clause_entry(const struct clause_def *def)
{
    struct arena a = {0};
    int count = clause_def_count(def);
    struct clause plain = {.def = def, .args = arena_array(&a, (size_t)count + 1, sizeof(struct arg_value))};
    json_t *arguments = json_array(), *entry = json_pack("{s:s}", "name", def->name);

    clause_fill_defaults(&plain);
    for (int i = 0; i < count; i++)
        json_array_append_new(arguments, argument_of(&a, &def->args[i], &plain.args[i]));
    set_text(entry, "help", def->help);
    json_object_set_new(entry, "arguments", arguments);
    arena_free(&a);
    return entry;
}

/* ---- the lists --------------------------------------------------------------------------------------------------- */

static void add_clauses(json_t *list, const struct clause_def *defs)
{
    for (; defs->name; defs++)
        json_array_append_new(list, clause_entry(defs));
}

/* Layers, or those of them that are activations: these may stand in an argument too. */
static void add_layers(json_t *list, bool activations)
{
    int count;
    const struct layer_def *const *defs = layer_defs(&count);

    for (int i = 0; i < count; i++) {
        if (defs[i]->is_activation != activations)
            continue;
        json_t *entry = clause_entry(&defs[i]->clause);
        json_t *arguments = json_object_get(entry, "arguments");
        struct arena a = {0};
        if (defs[i]->parameters)                /* the others take it too, and have nothing to train */
            json_array_append_new(arguments, argument_of(&a, &trainable_def, &(struct arg_value){.number = 1}));
        json_object_set_new(entry, "body", json_boolean(defs[i]->is_join));
        json_array_append_new(list, entry);
        arena_free(&a);
    }
}

static void list_layers(json_t *list)
{
    add_layers(list, false);
}

static void list_activations(json_t *list)
{
    add_layers(list, true);
}

static void list_initialisers(json_t *list)
{
    int count;
    const struct clause_def *const *defs = init_defs(&count);

    for (int i = 0; i < count; i++)
        json_array_append_new(list, clause_entry(defs[i]));
}

static void list_sources(json_t *list)
{
    for (const struct data_source *s = data_sources; s->clause.name; s++)
        json_array_append_new(list, clause_entry(&s->clause));
}

static void list_steps(json_t *list)
{
    add_clauses(list, data_steps);
    json_array_append_new(list, clause_entry(&target_def));
}

static void list_losses(json_t *list)
{
    add_clauses(list, loss_defs);
}

static void list_optimizers(json_t *list)
{
    add_clauses(list, optimizer_defs);
}

static void list_schedules(json_t *list)
{
    add_clauses(list, schedule_defs);
}

static void list_metrics(json_t *list)
{
    for (const struct metric_def *m = metric_defs; m->clause.name; m++) {
        json_t *entry = clause_entry(&m->clause);
        set_text(entry, "logged_as", m->log_name);
        set_text(entry, "better", m->direction == CNN_LOWER_IS_BETTER ? "lower" : "higher");
        json_array_append_new(list, entry);
    }
}

static void list_callbacks(json_t *list)
{
    add_clauses(list, callback_defs);
}

static void add_statement(json_t *list, const char *section, const char *word, const char *usage, const char *help)
{
    json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s}", "name", word, "in", section, "usage", usage, "help",
                                          help));
}

/* The rest are other lists. */
static void list_statements(json_t *list)
{
#define STATEMENT(section, word, usage, help) add_statement(list, section, word, usage, help);
#include "model/statements.def"
    const struct clause_def *const others[] = {&class_weights_def, &train_numbers[TRAIN_EPOCHS],
                                               &train_numbers[TRAIN_BATCH], &train_numbers[TRAIN_SEED],
                                               &train_numbers[TRAIN_THREADS], &precision_def, &params_def};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        json_t *entry = clause_entry(others[i]), *there = NULL;
        for (size_t k = 0; k < json_array_size(list) && !there; k++)
            if (!strcmp(json_string_value(json_object_get(json_array_get(list, k), "name")), others[i]->name))
                there = json_array_get(list, k);
        if (there)                              /* `params`, whose options are a table */
            json_object_set(there, "arguments", json_object_get(entry, "arguments"));
        else
            json_object_set_new(entry, "in", json_string("train"));
        if (there)
            json_decref(entry);
        else
            json_array_append_new(list, entry);
    }
}

static void list_keywords(json_t *list)
{
#define KEYWORD(word, text) json_array_append_new(list, json_pack("{s:s, s:s}", "name", word, "help", text));
#include "model/statements.def"
}

static void list_sizes(json_t *list)
{
#define SIZE(word, text) json_array_append_new(list, json_pack("{s:s, s:s}", "name", word, "help", text));
#include "model/statements.def"
}

static json_t *function_entry(json_t *list, const char *name, int arguments)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!strcmp(json_string_value(json_object_get(json_array_get(list, i), "name")), name))
            return json_array_get(list, i);
    json_t *entry = json_pack("{s:s, s:i, s:[]}", "name", name, "count", arguments, "in");
    json_array_append_new(list, entry);
    return entry;
}

static void function_serves(json_t *list, const char *name, int arguments, const char *place)
{
    json_array_append_new(json_object_get(function_entry(list, name, arguments), "in"), json_string(place));
}

static void list_functions(json_t *list)
{
    const char *name;
    int arguments;

    for (int i = 0; (name = check_value_function(i, &arguments)) != NULL; i++)
        function_serves(list, name, arguments, "values");
    for (int op = 0; op < EXPR_OPERATIONS; op++) {
        const struct expr_op_row *row = expr_op_row((enum expr_op)op);
        if (!row->name || (row->kind == EXPR_HIDDEN && !row->in_rates))
            continue;
        if (row->kind != EXPR_HIDDEN)
            function_serves(list, row->name, row->arguments, row->kind == EXPR_REDUCTION ? "sums" : "formulas");
        if (row->kind != EXPR_REDUCTION)
            function_serves(list, row->name, row->arguments, "rates");
    }
}

static const struct {
    const char *help;
    void (*make)(json_t *list);
} lists[] = {
    {"statements of `network`, each of which may end in `as NAME`; activations are others", list_layers},
    {"statements of `network`, and arguments of layers", list_activations},
    {"how weights and biases begin: arguments of layers", list_initialisers},
    {"where samples come from: one in `data`", list_sources},
    {"what happens to samples: in `data`, in order", list_steps},
    {"what `loss` of `train` names", list_losses},
    {"what `optimizer` of `train` names", list_optimizers},
    {"what `lr_schedule` of `train` names", list_schedules},
    {"what `metrics` of `train` names", list_metrics},
    {"statements of `train` that act between epochs or steps", list_callbacks},
    {"what else stands at the top of a file and in its sections", list_statements},
    {"reserved words", list_keywords},
    {"numbers that arguments of layers may use", list_sizes},
    {"what expressions may call: values of arguments, formulas of one's own, rates; sums in losses and metrics",
     list_functions},
    {"of the command line", NULL},
};
const char *const list_names[] = {"layers", "activations", "initialisers", "sources", "steps", "losses", "optimizers",
                                  "schedules", "metrics", "callbacks", "statements", "keywords", "sizes", "functions",
                                  "options", NULL};
enum { LISTS = sizeof lists / sizeof *lists };
_Static_assert(sizeof list_names / sizeof *list_names == LISTS + 1, "each list has a name");

static json_t *list_options(const struct option_row *options, int count)
{
    json_t *list = json_array();

    for (int i = 0; i < count; i++) {
        const struct option_row *o = &options[i];
        json_t *entry = json_pack("{s:s}", "name", o->name);
        if (o->letter)
            json_object_set_new(entry, "letter", json_sprintf("%c", o->letter));
        set_text(entry, "argument", o->argument);
        if (o->words[0])
            json_object_set_new(entry, "words", words_list(o->words, json_array()));
        set_text(entry, "help", o->help);
        json_array_append_new(list, entry);
    }
    return list;
}

static json_t *list_make(int list, const struct option_row *options, int count)
{
    if (!lists[list].make)
        return list_options(options, count);
    json_t *made = json_array();
    lists[list].make(made);
    return made;
}

/* ---- for people -------------------------------------------------------------------------------------------------- */

static const char *member(const json_t *entry, const char *key)
{
    const char *text = json_string_value(json_object_get(entry, key));

    return text ? text : "";
}

static void number_add(struct text *t, const json_t *number)
{
    if (json_is_integer(number))
        text_add(t, "%lld", (long long)json_integer_value(number));
    else
        text_add(t, "%.10g", json_real_value(number));
}

/* "whole, 1 to 4096"; of words these. */
static const char *value_text(struct arena *a, const json_t *argument)
{
    const json_t *words = json_object_get(argument, "words"), *least = json_object_get(argument, "least"),
                 *most = json_object_get(argument, "most"), *above = json_object_get(argument, "above"),
                 *below = json_object_get(argument, "below");
    struct text t = {.arena = a};

    if (!json_is_array(words) || !strcmp(member(argument, "type"), "padding"))
        text_add(&t, "%s", member(argument, "type"));
    for (size_t i = 0; i < json_array_size(words); i++)
        text_add(&t, "%s%s", t.count ? ", " : "", json_string_value(json_array_get(words, i)));
    if (least || above) {
        text_add(&t, above ? ", above " : ", ");
        number_add(&t, above ? above : least);
        text_add(&t, below ? ", below " : " to ");
        number_add(&t, below ? below : most);
    }
    return text_of(&t);
}

/* "filters", "[activation]", "stride=1x1" */
static const char *usage_text(struct arena *a, const json_t *argument)
{
    const char *name = member(argument, "name"), *standard = member(argument, "default"),
        *of = member(argument, "default_of");
    bool positional = json_is_true(json_object_get(argument, "positional"));

    if (positional && !*standard)
        return json_is_true(json_object_get(argument, "required")) ? name : arena_printf(a, "[%s]", name);
    return arena_printf(a, "%s=%s", name, *of ? of : *standard ? standard : "...");
}

static int wider(int width, const char *text)
{
    return (int)strlen(text) > width ? (int)strlen(text) : width;
}

static void arguments_print(const json_t *arguments, FILE *out)
{
    struct arena a = {0};
    int usage = 0, value = 0;
    size_t i;
    json_t *argument;

    json_array_foreach(arguments, i, argument) {
        usage = wider(usage, usage_text(&a, argument));
        value = wider(value, value_text(&a, argument));
    }
    json_array_foreach(arguments, i, argument)
        fprintf(out, "    %-*s  %-*s  %s\n", usage, usage_text(&a, argument), value, value_text(&a, argument),
                member(argument, "help"));
    arena_free(&a);
}

static void entry_print(const json_t *entry, int width, FILE *out)
{
    const json_t *in = json_object_get(entry, "in"), *count = json_object_get(entry, "count");
    struct arena a = {0};
    const char *name = member(entry, "argument"), *equals = !*name ? "" : *name == '[' ? "[=" : "=";

    name = arena_printf(&a, "%s%s%s", member(entry, "name"), equals, *name == '[' ? name + 1 : name);
    fprintf(out, "%-*s  %s", width, name, member(entry, "help"));
    if (json_is_string(in))
        fprintf(out, "  (%s: %s)", json_string_value(in), member(entry, "usage"));
    if (count)
        fprintf(out, "%d argument%s, in", (int)json_integer_value(count), json_integer_value(count) == 1 ? "" : "s");
    for (size_t i = 0; i < json_array_size(in); i++)
        fprintf(out, "%s %s", i ? "," : "", json_string_value(json_array_get(in, i)));
    fputc('\n', out);
    arguments_print(json_object_get(entry, "arguments"), out);
    arena_free(&a);
}

static void list_show(const json_t *list, FILE *out)
{
    int width = 0;
    size_t i;
    json_t *entry;

    json_array_foreach(list, i, entry)
        width = wider(width, member(entry, "name"));
    json_array_foreach(list, i, entry)
        entry_print(entry, width, out);
}

void list_print(int list, bool as_json, const struct option_row *options, int options_count, FILE *out)
{
    int first = list < 0 ? 0 : list, end = list < 0 ? LISTS : list + 1;
    json_t *all = json_object();

    for (int i = first; i < end; i++) {
        json_t *made = list_make(i, options, options_count);
        if (!as_json) {
            fprintf(out, "%s%s: %s\n\n", i > first ? "\n" : "", list_names[i], lists[i].help);
            list_show(made, out);
        }
        json_object_set_new(all, list_names[i], made);
    }
    if (as_json) {
        json_dumpf(list < 0 ? all : json_object_get(all, list_names[list]), out,
                   JSON_INDENT(2) | JSON_REAL_PRECISION(17));
        fputc('\n', out);
    }
    json_decref(all);
}
