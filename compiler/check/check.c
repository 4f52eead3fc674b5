/* check.c - the whole file: sections, constants, functions.  What must fit between the sections is in check_ends.c.
 *
 * Requires: the tree of a file.  Ensures: a model as model.h promises, unless diag_errors() says
 * otherwise.  A wrong statement is reported once and left out; what depends on it is not complained
 * about again. */
#include "check/check_parts.h"
#include "syntax/parse.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

/* ---- where a statement belongs --------------------------------------------------------------- */

static bool is_train_word(const char *word)
{
    return check_is_train_statement(word) || word_in(word, later_train);
}

static bool is_data_word(const char *word)
{
    return check_is_data_statement(word) || word_in(word, later_data);
}

static bool is_network_word(const char *word)
{
    static const char *const words[] = {"from", "branch", "repeat", NULL};

    return layer_def_find(word) || word_in(word, words) || word_in(word, later_network);
}

bool check_elsewhere(struct check *c, const struct ast_statement *s, const char *section)
{
    const char *home = is_network_word(s->word) || check_layer_find(c, s->word) || check_block_find(c, s->word)
        ? "network" : is_data_word(s->word) ? "data"
                       : is_train_word(s->word) ? "train" : NULL;

    if (!strcmp(s->word, "include") && *section) {
        diag_error(c->diag, DIAG_misplaced_statement, s->word_where,
                   "'include' stands at the top of a file, outside of 'network', 'data' and 'train'");
        return true;
    }
    if (!home || !strcmp(home, section))
        return false;
    diag_error(c->diag, DIAG_misplaced_statement, s->word_where, "'%s' belongs in '%s { ... }'",
               s->word, home);
    return true;
}

bool check_no_body(struct check *c, const struct ast_statement *s)
{
    if (!s->body)
        return true;
    struct span brace = s->body->where;
    brace.end = brace.begin + 1;
    diag_error(c->diag, DIAG_unexpected_body, brace, "'%s' has no body", s->word);
    if (!strcmp(s->word, "model"))
        diag_hint(c->diag, "the layers stand in: network { ... }");
    return false;
}

bool check_no_as(struct check *c, const struct ast_statement *s)
{
    if (!s->as)
        return true;
    diag_error(c->diag, DIAG_unexpected_as, s->as_where, "'%s' cannot be given a name; layers can",
               s->word);
    return false;
}

/* ---- top level ------------------------------------------------------------------------------- */

enum section { SECTION_MODEL, SECTION_DATA, SECTION_NETWORK, SECTION_TRAIN, SECTIONS };

static const char *const section_names[SECTIONS] = {"model", "data", "network", "train"};

struct outline {
    const struct ast_statement *sections[SECTIONS];
    bool guessed[SECTIONS];             /* another word that was taken for it: reported */
};

static bool is_reserved_in_c(const char *name)
{
    static const char *const words[] = {
        "auto",     "break",    "case",     "char",      "continue", "default",  "do",
        "double",   "enum",     "extern",   "float",     "for",      "goto",     "inline",
        "int",      "long",     "register", "restrict",  "short",    "signed",   "sizeof",
        "static",   "struct",   "switch",   "typedef",   "union",    "unsigned", "void",
        "volatile", "while",    "asm",      "typeof",    "bool",     "true",     "false",
        "main",     "class",    "delete",   "export",    "friend",   "mutable",  "namespace",
        "new",      "operator", "private",  "protected", "public",   "template", "this",
        "throw",    "try",      "catch",    "typename",  "using",    "virtual",  NULL};
    return word_in(name, words) || name[0] == '_' ||
           !strncasecmp(name, "cnn_", 4) ||     /* macros are made of it, in capitals */
           !strcasecmp(name, "cnnrt");
}

/* cifar10_relu from models/cifar10_relu.cnn */
static const char *name_of_file(struct arena *a, const char *path)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path,
               *dot = strrchr(base, '.');
    size_t length = dot && dot != base ? (size_t)(dot - base) : strlen(base);
    char *name = arena_string(a, base, length);

    for (char *c = name; *c; c++)
        if (!isalnum((unsigned char)*c) || (unsigned char)*c >= 0x80)
            *c = '_';
    if (!*name || isdigit((unsigned char)*name) || is_reserved_in_c(name))
        name = arena_printf(a, "model_%s", name);
    return name;
}

static void check_model_name(struct check *c, const struct ast_statement *s)
{
    c->model->name = name_of_file(c->arena, c->model->source->path);
    if (!s)
        return;
    const struct ast_arg *arg = s->args.first;
    if (s->body && strcmp(s->word, "model"))    /* another word that was taken for it: reported */
        return;
    if (!check_no_body(c, s) || !check_no_as(c, s))
        return;
    if (arg && !arg->next && !arg->key && check_unquoted(c, arg->value) != arg->value)
        return;
    if (!arg || arg->next || arg->key || arg->value->kind != AST_NAME) {
        if (arg && arg->value->kind == AST_BAD)
            return;
        diag_error(c->diag, DIAG_bad_model_name, arg ? arg->where : s->where,
                   "a model's name is one word of letters, digits and _");
        diag_hint(c->diag, "such as: model %s", c->model->name);
        return;
    }
    if (!check_own_name(c, arg->where, arg->value->text))
        return;
    if (is_reserved_in_c(arg->value->text)) {
        diag_error(c->diag, DIAG_bad_model_name, arg->where,
                   "'%s' cannot name a model: it means something in C or to the runtime",
                   arg->value->text);
        return;
    }
    c->model->name = arg->value->text;
}

static int section_find(const char *word)
{
    int i = 0;

    while (i < SECTIONS && strcmp(section_names[i], word))
        i++;
    return i;
}

/* `blok name(a) { ... }`, `def name(a) { conv2d ... }` */
static bool is_block_meant(const struct ast_statement *s, const char *meant)
{
    const struct ast_arg *head = s->args.first;

    return s->body && head && !head->next && !head->key && !s->as &&
           (meant ? !strcmp(meant, "block") : head->value->kind == AST_CALL && s->body->first &&
                                              s->body->first->kind == AST_COMMAND);
}

/* Reports; the section that was surely meant, so that its body is checked all the same, else SECTIONS. */
static int unknown_section(struct check *c, const struct ast_statement *s)
{
    struct names names = {.arena = c->arena};
    const struct unknown unknown = {.place = FOREIGN_TOP, .word = s->word, .names = &names,
                                    .value = s->args.first ? s->args.first->value : NULL};

    if (word_in(s->word, later_top)) {
        check_not_supported(c, s->word_where, &unknown);
        return SECTIONS;
    }
    if (!s->body && check_elsewhere(c, s, ""))
        return SECTIONS;
    for (int i = 0; i < SECTIONS; i++)
        names_add(&names, section_names[i]);
    names_add(&names, "include");
    names_add(&names, "block");
    diag_error(c->diag, DIAG_unknown_section, s->word_where, "nothing at top level is called '%s'",
               s->word);
    check_suggest(c, &unknown);
    diag_hint(c->diag, "a file has model, include, const, data, network, train, blocks and functions");
    const char *meant = s->body ? check_surely(&unknown, true) : NULL;
    if (is_block_meant(s, meant)) {
        check_block_add(c, s, false);
        return SECTIONS;
    }
    return meant ? section_find(meant) : SECTIONS;
}

static void check_section(struct check *c, const struct ast_statement *s, struct outline *outline)
{
    int i = section_find(s->word);

    bool guessed = i == SECTIONS;

    if (guessed)
        i = unknown_section(c, s);
    if (i == SECTIONS || (guessed && outline->sections[i]))
        return;
    if (outline->sections[i] && !outline->guessed[i]) {
        diag_error(c->diag, DIAG_duplicate_section, s->word_where, "a second '%s'", s->word);
        diag_note(c->diag, outline->sections[i]->word_where, "the first one is here");
        return;
    }
    outline->sections[i] = s;
    outline->guessed[i] = guessed;
    if (i == SECTION_MODEL)
        return;
    check_no_as(c, s);
    if (!s->body)
        diag_error(c->diag, DIAG_missing_body, s->word_where, "'%s' needs a body: %s { ... }",
                   s->word, s->word);
    else if (s->args.first)
        diag_error(c->diag, DIAG_too_many_arguments, s->args.first->where,
                   "'%s' takes no arguments, its body says everything",
                   s->word);
}

/* False: the word declares none. */
static bool function_kind_of(const char *word, enum function_kind *kind)
{
    for (enum function_kind k = FUNCTION_METRIC; k <= FUNCTION_ACTIVATION; k++) {
        *kind = k;
        if (!strcmp(word, function_word(k)))
            return true;
    }
    return false;
}

static bool is_function_word(const char *word)
{
    enum function_kind kind;

    return function_kind_of(word, &kind);
}

/* `metric m(y, p) { ... }` without a direction reads as a statement with a body: the same as one
 * with it. */
static const struct ast_statement *as_function(struct check *c, const struct ast_statement *s)
{
    const struct ast_arg *arg = s->args.first;

    if (s->kind != AST_COMMAND || !is_function_word(s->word) || !arg || arg->next || arg->key || s->as)
        return s;
    if (arg->value->kind == AST_BAD)
        return NULL;
    if (arg->value->kind != AST_CALL)
        return s;
    if (!s->body) {
        diag_error(c->diag, DIAG_missing_body, s->where, "what '%s' computes is missing",
                   arg->value->text);
        diag_hint(c->diag, "write '= expression' or '{ ... return ... }' after it");
        return NULL;
    }
    struct ast_statement *f = arena_alloc(c->arena, sizeof *f);
    *f = *s;
    f->kind = AST_FUNCTION;
    f->head = arg->value;
    return f;
}

static void add_function(struct check *c, const struct ast_statement *s)
{
    struct function_entry entry = {.statement = s, .name = s->head->text};
    const struct function_entry *same = check_function_find(c, entry.name);

    if (!strcmp(s->word, "block")) {
        diag_error(c->diag, DIAG_bad_block, s->head->where, "the layers of a block stand in braces");
        diag_hint(c->diag, "write: block %s(...) { ... }", entry.name);
        return;
    }
    if (!function_kind_of(s->word, &entry.kind)) {
        struct names names = {.arena = c->arena};
        const struct unknown unknown = {.place = FOREIGN_TOP, .word = s->word, .names = &names};
        for (enum function_kind k = FUNCTION_METRIC; k <= FUNCTION_ACTIVATION; k++)
            names_add(&names, function_word(k));
        diag_error(c->diag, DIAG_unknown_section, s->word_where,
                   "'%s' declares no function; 'metric', 'loss' and 'activation' do", s->word);
        check_suggest(c, &unknown);
        return;
    }
    if (!check_own_name(c, s->head->word, entry.name))
        return;
    if (c->functions_count >= FUNCTIONS_MOST) {
        diag_error(c->diag, DIAG_too_big, s->head->word, "a file has at most %d functions",
                   FUNCTIONS_MOST);
        return;
    }
    if (same) {
        diag_error(c->diag, DIAG_duplicate_name, s->head->word,
                   "the function '%s' is declared twice", entry.name);
        diag_note(c->diag, same->statement->head->word, "first declared here");
        return;
    }
    int *number = arena_alloc(c->arena, sizeof *number);
    *number = c->functions_count;
    table_put(&c->functions_by_name, entry.name, number);
    LIST_ADD(c->arena, c->functions, c->functions_count, c->functions_capacity, entry);
}

/* ---- include --------------------------------------------------------------------------------- */

static void check_top(struct check *c, const struct ast_statement *s, struct outline *outline,
                      const struct inclusion *from);

/* The named file beside the one that includes it, or else in one of the -I folders. */
static const struct source *find_include(struct check *c, const char *name,
                                         const struct inclusion *from)
{
    const char *path = from->source->path, *slash = strrchr(path, '/');
    const struct source *source = NULL;

    if (*name == '/')
        return source_read(c->arena, name);
    source = source_read(c->arena,
                         slash ? arena_printf(c->arena, "%.*s/%s", (int)(slash - path), path, name)
                               : name);
    for (int i = 0; !source && errno == ENOENT && i < c->options->include_dirs_count; i++)
        source = source_read(c->arena,
                             arena_printf(c->arena, "%s/%s", c->options->include_dirs[i], name));
    return source;
}

static void check_include(struct check *c, const struct ast_statement *s, struct outline *outline,
                          const struct inclusion *from)
{
    const struct ast_arg *arg = s->args.first;

    if (!check_no_body(c, s) || !check_no_as(c, s))
        return;
    if (!arg || arg->next || arg->key || arg->value->kind != AST_STRING) {
        if (arg && arg->value->kind == AST_BAD)
            return;
        diag_error(c->diag, DIAG_bad_include, arg ? arg->where : s->where,
                   "'include' needs the name of one file in quotes");
        return;
    }
    if (from->depth >= INCLUDES_DEEPEST || ++c->includes_count > INCLUDES_MOST) {
        diag_error(c->diag, DIAG_bad_include, arg->where, "too many files are included%s",
                   from->depth >= INCLUDES_DEEPEST ? " by one another" : "");
        return;
    }
    if (c->bytes > SOURCE_LARGEST)
        return;
    const struct source *source = find_include(c, arg->value->text, from);
    if (!source) {
        diag_error(c->diag, DIAG_bad_include, arg->where, "cannot read %s: %s", arg->value->text,
                   source_problem(errno));
        return;
    }
    for (const struct inclusion *i = from; i; i = i->outer) {
        if (strcmp(i->source->path, source->path))
            continue;
        diag_error(c->diag, DIAG_bad_include, arg->where, "%s includes itself", source->path);
        return;
    }
    c->bytes += source->size;
    if (c->bytes > SOURCE_LARGEST) {
        diag_error(c->diag, DIAG_too_big, arg->where, "with %s, the files of this model are longer than 1 MiB together",
                   source->path);
        return;
    }
    LIST_ADD(c->arena, c->model->included, c->model->included_count, c->model->included_capacity, source);
    const struct inclusion inside = {.outer = from, .source = source, .depth = from->depth + 1};
    const struct ast_body *body = parse_source(c->arena, source, c->diag);
    check_names_read(c, body);
    for (const struct ast_statement *t = body->first; t; t = t->next)
        check_top(c, t, outline, &inside);
}

static void check_top(struct check *c, const struct ast_statement *s, struct outline *outline,
                      const struct inclusion *from)
{
    s = as_function(c, s);
    if (!s)
        return;
    switch (s->kind) {
    case AST_COMMAND:
        if (!strcmp(s->word, "include"))
            check_include(c, s, outline, from);
        else if (!strcmp(s->word, "block"))
            check_block_add(c, s, from->outer != NULL);
        else
            check_section(c, s, outline);
        break;
    case AST_CONST:
        check_constant_add(c, s);
        break;
    case AST_ASSIGN:
        if (section_find(s->word) == SECTION_MODEL)
            check_section(c, check_assigned(c, s, true, FOREIGN_TOP), outline);
        else
            check_assigned(c, s, false, FOREIGN_NOWHERE);
        break;
    case AST_FUNCTION:
        add_function(c, s);
        break;
    case AST_IF:
        diag_error(c->diag, DIAG_misplaced_statement, s->word_where,
                   "'if' chooses between layers; it belongs in 'network { ... }'");
        break;
    case AST_RETURN:
        diag_error(c->diag, DIAG_misplaced_statement, s->word_where,
                   "'return' belongs in a function");
        break;
    case AST_BROKEN:
        check_spoil_declared(c, s->where);
        break;
    }
}

/* -D name=value takes the place of the constant's own expression. */
static void apply_define(struct check *c, const struct ast_statement *define)
{
    struct names names = {.arena = c->arena};
    struct constant *k = check_constant_find(c, define->word);

    if (k) {
        k->expr = define->value;
        k->where = define->word_where;
        return;
    }
    for (k = c->constants; k && check_suggests(c); k = k->outer)
        names_add(&names, k->name);
    diag_error(c->diag, DIAG_bad_define, define->word_where,
               "the file has no constant '%s' at its top level", define->word);
    check_suggest(c, &(struct unknown){.word = define->word, .names = &names, .list = "its constants are"});
    if (!names.count)
        diag_hint(c->diag, "it has none; one is written: const %s = ...", define->word);
}

/* All of them, used or not, in the order of the file. */
static void check_constants(struct check *c, struct constant *newest)
{
    struct constant **list = NULL;
    int count = 0;
    size_t capacity = 0;

    for (struct constant *k = newest; k; k = k->outer)
        LIST_ADD(c->arena, list, count, capacity, k);
    while (count-- > 0)
        check_constant_value(c, list[count], list[count]->where);
}

static void check_sections_there(struct check *c, const struct outline *outline,
                                 const struct check_options *options)
{
    struct span start = {c->model->source, 0, 0};

    if (!outline->sections[SECTION_NETWORK]) {
        diag_error(c->diag, DIAG_missing_section, start, "the file has no 'network { ... }'");
        return;
    }
    if (options->whole && !outline->sections[SECTION_TRAIN])
        diag_error(c->diag, DIAG_missing_section, start,
                   "the file has no 'train { ... }': a trainer needs it");
    if (options->whole && !outline->sections[SECTION_DATA])
        diag_warning(c->diag, DIAG_missing_section, start,
                     "the file has no 'data { ... }': only a program of your own can feed this "
                     "network");
}

/* A text of which no statement is of the language, not even one that is in the wrong place, is no model with a
 * thousand mistakes but another text. */
static bool is_another_text(const struct ast_body *file)
{
    enum { SURE = 8 };
    int statements = 0;

    for (const struct ast_statement *s = file->first; s; s = s->next) {
        statements++;
        if (s->kind != AST_BROKEN && s->kind != AST_COMMAND && s->kind != AST_ASSIGN)
            return false;
        if (s->kind == AST_COMMAND &&
            (section_find(s->word) < SECTIONS || is_function_word(s->word) || is_network_word(s->word) ||
             is_data_word(s->word) || is_train_word(s->word) || !strcmp(s->word, "include") ||
                 !strcmp(s->word, "block") ||
             (s->body && s->body->first)))
            return false;
    }
    return statements >= SURE;
}

struct model *check_model(struct arena *a, const struct source *source, const struct ast_body *file,
                          const struct check_options *options, struct diag *d)
{
    struct check c = {
        .arena = a, .diag = d, .options = options, .model = arena_alloc(a, sizeof *c.model), .bytes = source->size,
        .constants_by_name = {.arena = a}, .locals_by_name = {.arena = a}, .layers_by_name = {.arena = a},
        .layers_by_block = {.arena = a}, .places_of_names = {.arena = a},
        .functions_by_name = {.arena = a}, .blocks_by_name = {.arena = a}, .seen_by_name = {.arena = a},
        .names_read = {.arena = a},
        .names_spoilt = &(struct table){.arena = a}};
    const struct inclusion top = {.source = source};
    struct outline outline = {0};
    int syntax_errors = diag_errors(d);

    c.model->source = source;
    if (syntax_errors && is_another_text(file)) {
        diag_forget(d);
        diag_error(d, DIAG_not_a_model, (struct span){0}, "%s is no model: none of its lines is of the language",
                   source->path);
        diag_hint(d, "a model is a text with 'network { ... }'; docs/language.md has the rest");
        return c.model;
    }
    for (const struct ast_statement *s = file->first; s; s = s->next)
        check_top(&c, s, &outline, &top);
    check_names_read(&c, file);
    for (int i = 0; i < options->defines_count; i++)
        check_names_read(&c, options->defines[i]);
    for (int i = 0; i < options->defines_count; i++)
        if (options->defines[i]->first && options->defines[i]->first->kind == AST_CONST)
            apply_define(&c, options->defines[i]->first);
    c.globals = c.constants;
    check_constants(&c, c.globals);
    check_model_name(&c, outline.sections[SECTION_MODEL]);
    if (!syntax_errors || outline.sections[SECTION_NETWORK])
        check_sections_there(&c, &outline, options);
    check_functions(&c);
    check_blocks(&c, outline.sections[SECTION_NETWORK]);
    const struct ast_statement *data = outline.sections[SECTION_DATA],
                               *train = outline.sections[SECTION_TRAIN],
                               *network = outline.sections[SECTION_NETWORK];
    if (data && data->body)
        check_data(&c, data);
    if (network && network->body)
        check_network(&c, network);
    check_blocks_unused(&c);
    if (train && train->body)
        check_train(&c, train);
    if (!c.broken && !c.too_many && !c.target_broken && c.model->layers_count)
        check_ends(&c);
    if (train && c.model->loss && !diag_errors(d))
        check_learns(&c, train);
    if (c.model->layers_count && !c.broken && !c.too_many)
        check_ends_of_steps(&c);
    if (train && c.model->source_clause && c.model->layers_count && !diag_errors(d))
        check_data_pixels(&c);
    if (!diag_errors(d))
        check_schedule_rates(&c);
    if (train && options->share && !diag_errors(d))
        check_share(&c, train);
    if (!diag_errors(d))
        check_useless(&c, file);
    if (!diag_errors(d))
        c.model->explained = explain_model(a, c.model);
    return c.model;
}
