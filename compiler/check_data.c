/* check_data.c - the section `data`: one source, then steps from top to bottom. */
#include "check_parts.h"

#include <string.h>

static const struct data_source *source_find(const char *name)
{
    for (const struct data_source *s = data_sources; s->clause.name; s++)
        if (!strcmp(s->clause.name, name))
            return s;
    return NULL;
}

static void check_source(struct check *c, const struct ast_statement *s,
                         const struct data_source *source)
{
    if (c->data) {
        diag_error(c->diag, DIAG_duplicate_statement, s->word_where,
                   "a second source of data, '%s'", s->word);
        diag_note(c->diag, c->data_where, "the first one is here");
        return;
    }
    if (c->model->steps_count)
        diag_error(c->diag, DIAG_misplaced_statement, s->word_where,
                   "the source comes first, then what happens to its pictures");
    c->data = source;
    c->data_where = s->word_where;
    struct ast_args args = check_statement_args(c, s);
    c->model->source_clause = check_clause(c, &source->clause, s->word_where, &args);
}

/* A number for each channel of the picture. */
static void check_channel_lists(struct check *c, const struct clause *step)
{
    int channels = c->data ? c->data->picture.c : 0;

    for (int i = 0; i < clause_def_count(step->def); i++) {
        const struct arg_value *v = &step->args[i];
        if (step->def->args[i].type == ARG_REAL_LIST && v->list && channels &&
            v->list_length != channels)
            diag_error(c->diag, DIAG_shape_mismatch, v->where,
                       "'%s' has %d numbers, the pictures of %s have %d channels",
                       step->def->args[i].name, v->list_length, c->data->clause.name, channels);
    }
}

static void check_step(struct check *c, const struct ast_statement *s, const struct clause_def *def)
{
    struct ast_args args = check_statement_args(c, s);
    struct clause *step = check_clause(c, def, s->word_where, &args);

    if (!step)
        return;
    check_channel_lists(c, step);
    LIST_ADD(c->arena, c->model->steps, c->model->steps_count, c->steps_capacity, step);
}

static void unknown_statement(struct check *c, const struct ast_statement *s)
{
    struct names names = {.arena = c->arena};

    if (word_in(s->word, later_data)) {
        check_not_supported(c, s->word_where, s->word);
        return;
    }
    if (check_elsewhere(c, s, "data"))
        return;
    for (const struct data_source *d = data_sources; d->clause.name; d++)
        names_add(&names, d->clause.name);
    for (const struct clause_def *d = data_steps; d->name; d++)
        names_add(&names, d->name);
    for (const char *const *word = later_data; *word; word++)
        names_add(&names, *word);
    diag_error(c->diag, DIAG_unknown_statement, s->word_where,
               "no source of data and no step is called '%s'", s->word);
    check_suggest(c, s->word, &names);
}

static void check_data_statement(struct check *c, const struct ast_statement *s)
{
    if (s->kind == AST_CONST) {
        check_constant_add(c, s);
        return;
    }
    if (s->kind == AST_ASSIGN) {
        diag_error(c->diag, DIAG_bare_assignment, s->where, "'%s = ...' is no statement of 'data'",
                   s->word);
        diag_hint(c->diag, "a constant is written: const %s = ...", s->word);
        return;
    }
    if (s->kind == AST_BROKEN)
        return;
    if (s->kind != AST_COMMAND) {
        diag_error(c->diag, DIAG_misplaced_statement, s->word_where,
                   "this does not belong in 'data'");
        return;
    }
    const struct data_source *source = source_find(s->word);
    const struct clause_def *step = clause_def_find(data_steps, s->word);
    if (!source && !step) {
        unknown_statement(c, s);
        c->data_where = s->word_where;
        return;
    }
    if (!check_no_body(c, s) || !check_no_as(c, s))
        return;
    if (source)
        check_source(c, s, source);
    else
        check_step(c, s, step);
}

void check_data(struct check *c, const struct ast_statement *section)
{
    struct constant *outer = c->constants;

    c->model->has_data = true;
    c->level++;
    for (const struct ast_statement *s = section->body->first; s; s = s->next)
        check_data_statement(c, s);
    c->level--;
    c->constants = outer;
    if (!c->data && !c->data_where.file && !section->body->broken) {
        diag_error(c->diag, DIAG_missing_statement, section->word_where, "'data' names no source");
        diag_hint(c->diag, "such as: cifar10 \"cifar-10-batches-bin\"");
    }
}
