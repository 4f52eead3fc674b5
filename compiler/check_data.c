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

/* Pictures are chosen first, then resized, and only then do their pixels become numbers. */
static int step_rank(const char *name)
{
    if (!strcmp(name, "split") || !strcmp(name, "limit"))
        return 0;
    return !strcmp(name, "resize") ? 1 : 2;
}

static bool is_auto(const struct clause *step)
{
    return !strcmp(step->def->name, "normalize") && clause_text(step, "auto");
}

static const struct clause *step_before(const struct check *c, const char *name)
{
    for (int i = 0; i < c->model->steps_count; i++)
        if (!strcmp(c->model->steps[i]->def->name, name))
            return c->model->steps[i];
    return NULL;
}

static bool check_step_order(struct check *c, const struct clause *step)
{
    const char *name = step->def->name;
    const struct clause *same = NULL;

    for (int i = 0; i < c->model->steps_count; i++) {
        const struct clause *before = c->model->steps[i];
        if (step_rank(before->def->name) > step_rank(name)) {
            diag_error(c->diag, DIAG_misplaced_statement, step->where,
                       step_rank(name) ? "'%s' comes before what is done to pixels"
                                       : "'%s' comes first: it chooses the pictures",
                       name);
            diag_note(c->diag, before->where, "'%s' is here", before->def->name);
            return false;
        }
        if (is_auto(step) && is_auto(before))
            same = before;
    }
    if (step_rank(name) < 2)
        same = step_before(c, name);
    if (!same)
        return true;
    diag_error(c->diag, DIAG_duplicate_statement, step->where, "'%s%s' is given twice", name,
               is_auto(step) ? " auto" : "");
    diag_note(c->diag, same->where, "the first one is here");
    return false;
}

/* What no single slot can tell. */
static bool check_step_args(struct check *c, const struct clause *step)
{
    const char *name = step->def->name;

    if (!strcmp(name, "limit") && !clause_int(step, "train") && !clause_int(step, "val")) {
        diag_error(c->diag, DIAG_missing_argument, step->where,
                   "limit needs 'train', 'val' or both: how many pictures to use");
        diag_hint(c->diag, "such as: limit train=1000, val=200");
        return false;
    }
    if (strcmp(name, "normalize"))
        return true;
    bool mean = clause_arg(step, "mean")->given, std = clause_arg(step, "std")->given;
    if (is_auto(step) ? !mean && !std : mean && std)
        return true;
    diag_error(c->diag, DIAG_missing_argument, step->where,
               is_auto(step) ? "normalize takes 'auto' or 'mean' and 'std', not both"
                             : "normalize needs 'mean' and 'std', or the word 'auto'");
    diag_hint(c->diag, "write: normalize auto; or: normalize mean=[..], std=[..]");
    return false;
}

static void check_step(struct check *c, const struct ast_statement *s, const struct clause_def *def)
{
    struct ast_args args = check_statement_args(c, s);
    struct clause *step = check_clause(c, def, s->word_where, &args);

    if (!step || check_too_many(c, &c->too_many_steps, c->model->steps_count, STEPS_MOST, s->word_where, "steps") ||
        !check_step_args(c, step) || !check_step_order(c, step))
        return;
    check_channel_lists(c, step);
    LIST_ADD(c->arena, c->model->steps, c->model->steps_count, c->steps_capacity, step);
}

static void unknown_statement(struct check *c, const struct ast_statement *s)
{
    struct names names = {.arena = c->arena};
    const struct unknown unknown = {.place = FOREIGN_DATA, .word = s->word, .names = &names,
                                    .value = s->args.first ? s->args.first->value : NULL,
                                    .list = "sources and steps are"};

    for (const struct data_source *d = data_sources; d->clause.name; d++)
        names_add(&names, d->clause.name);
    names_add_defs(&names, data_steps);
    names_add_later(&names, later_data);
    if (word_in(s->word, later_data)) {
        check_not_supported(c, s->word_where, &unknown);
        return;
    }
    if (check_elsewhere(c, s, "data"))
        return;
    diag_error(c->diag, DIAG_unknown_statement, s->word_where,
               "no source of data and no step is called '%s'", s->word);
    check_suggest(c, &unknown);
}

static void check_data_statement(struct check *c, const struct ast_statement *s)
{
    if (s->kind == AST_CONST) {
        check_constant_add(c, s);
        return;
    }
    if (s->kind == AST_ASSIGN) {
        s = check_assigned(c, s, source_find(s->word) || clause_def_find(data_steps, s->word), FOREIGN_DATA);
        if (!s)
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

/* ---- against the network's input ------------------------------------------------------------- */

/* Pictures of any kind: files become what the input wants, if it is grey or colour. */
static bool check_any_picture(struct check *c, const struct layer *input)
{
    struct shape want = input->out;

    if (want.c != 1 && want.c != 3) {
        diag_error(c->diag, DIAG_input_mismatch, input->where,
                   "the network takes %dx%dx%d, pictures have 1 channel (grey) or 3 (colours)",
                   want.c, want.h, want.w);
        diag_note(c->diag, c->data_where, "the data come from here");
        return false;
    }
    for (int i = 0; i < c->model->steps_count; i++) {
        const struct clause *step = c->model->steps[i];
        for (int k = 0; k < clause_def_count(step->def); k++) {
            const struct arg_value *v = &step->args[k];
            if (step->def->args[k].type == ARG_REAL_LIST && v->list && v->list_length != want.c)
                diag_error(c->diag, DIAG_shape_mismatch, v->where,
                           "'%s' has %d numbers, the network's input has %d channel%s",
                           step->def->args[k].name, v->list_length, want.c,
                           want.c == 1 ? "" : "s");
        }
    }
    return true;
}

bool check_data_picture(struct check *c, const struct layer *input)
{
    struct shape have = c->data->picture, want = input->out;
    const struct clause *resize = step_before(c, "resize");
    bool any = have.c == 0;

    if (any && !check_any_picture(c, input))
        return true;
    if (!resize)
        return any || (have.c == want.c && have.h == want.h && have.w == want.w);
    if (!any && have.c != want.c)
        return false;
    int64_t side = clause_int(resize, "side");
    /* the shape of a picture in a file is not known: at least its shorter side is */
    int64_t least = any || have.h < have.w ? have.h : have.w, high = side, wide = side;
    if (!any) {
        high = (2 * have.h * side + least) / (2 * least);
        wide = (2 * have.w * side + least) / (2 * least);
    }
    bool fits = any ? side >= want.h || side >= want.w : high >= want.h && wide >= want.w;
    if (fits)
        return true;
    diag_error(c->diag, DIAG_input_mismatch, clause_arg(resize, "side")->where,
               "resized to a shorter side of %lld, pictures are smaller than the network's input "
               "of %dx%dx%d", (long long)side, want.c, want.h, want.w);
    diag_note(c->diag, input->where, "the input is declared here");
    diag_hint(c->diag, "write: resize %d", want.h > want.w ? want.h : want.w);
    return true;
}

void check_data(struct check *c, const struct ast_statement *section)
{
    struct constant *outer = c->constants;

    c->model->has_data = true;
    c->level++;
    for (const struct ast_statement *s = section->body->first; s; s = s->next)
        check_data_statement(c, s);
    c->level--;
    check_constants_leave(c, outer);
    if (!c->data && !c->data_where.file && !section->body->broken) {
        diag_error(c->diag, DIAG_missing_statement, section->word_where, "'data' names no source");
        diag_hint(c->diag, "such as: cifar10 \"cifar-10-batches-bin\"");
    }
}
