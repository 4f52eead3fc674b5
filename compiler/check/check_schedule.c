/* check_schedule.c - `lr_schedule`: a schedule with a name, or an expression that is the rate itself.
 *
 * Ensures: the model has the formula of the rate, simplified; where it can be known, no step of the recipe has a rate
 * that is negative or no number.  The trainer looks at all steps once it knows how many there are. */
#include "check/check_parts.h"

#include <math.h>
#include <string.h>

#include "expr/schedules.h"

/* ---- a schedule with a name ------------------------------------------------------------------ */

static const struct arg_value *argument(const struct clause *clause, const char *name)
{
    for (int i = 0; i < clause_def_count(clause->def); i++)
        if (!strcmp(clause->def->args[i].name, name))
            return &clause->args[i];
    return NULL;
}

/* `at` rises; false: reported. */
static bool check_list(struct check *c, const struct clause *clause)
{
    const struct arg_value *list = schedule_list(clause);

    for (int i = 1; list && i < list->list_length; i++) {
        if (list->list[i] > list->list[i - 1])
            continue;
        diag_error(c->diag, DIAG_not_rising, list->where, "the epochs of 'at' rise; %.10g stands behind %.10g",
                   list->list[i], list->list[i - 1]);
        return false;
    }
    return true;
}

/* When `step` acts: at some epochs, or every so many. */
static bool check_when(struct check *c, const struct clause *clause)
{
    const struct arg_value *at = argument(clause, "at"), *every = argument(clause, "every");

    if (!at || !every || (at->given && at->list_length > 0) != (every->number > 0))
        return true;
    if (at->given && every->number > 0) {
        diag_error(c->diag, DIAG_missing_argument, every->where, "'at' says already when the rate falls");
        diag_note(c->diag, at->where, "it is given here");
        return false;
    }
    diag_error(c->diag, DIAG_missing_argument, clause->where, "'%s' does not say when the rate falls",
               clause->def->name);
    diag_hint(c->diag, "such as: lr_schedule %s, at=[100, 150], factor=0.1; or: every=30", clause->def->name);
    return false;
}

static bool named_rate(struct check *c, struct model_schedule *schedule, const struct clause_def *def,
                       const struct ast_expr *e, struct ast_args args)
{
    const struct ast_arg *first = args.first;
    struct ast_args rest = {.first = first->next, .last = args.last, .count = args.count - 1};

    if (e->kind == AST_CALL && first->next) {
        diag_error(c->diag, DIAG_too_many_arguments, first->next->where,
                   "the arguments of '%s' stand in its parentheses", def->name);
        return false;
    }
    if (e->kind == AST_CALL)
        rest = e->args;
    schedule->clause = check_clause(c, def, e->word, &rest);
    if (!schedule->clause || !check_list(c, schedule->clause) || !check_when(c, schedule->clause))
        return false;
    schedule->rate = schedule_rate(schedule->pool, schedule->clause);
    const char *text = clause_text_of(c->arena, schedule->clause), *space = strchr(text, ' ');
    schedule->text = space ? arena_printf(c->arena, "%s,%s", def->name, space) : text;
    return true;
}

/* ---- an expression --------------------------------------------------------------------------- */

/* A word that is nothing here: other tools' names of schedules among them. */
static bool is_unknown(struct check *c, const struct ast_expr *e)
{
    struct names names = {.arena = c->arena};
    const struct unknown unknown = {.place = FOREIGN_SCHEDULE, .word = e->text, .names = &names,
                                    .list = "the schedules are"};
    bool value = word_in(e->text, rate_names) || check_constant_find(c, e->text);

    if (e->kind == AST_CALL)
        value = value || expr_function(e->text) != EXPR_OPERATIONS || !strcmp(e->text, "cos") ||
            !strcmp(e->text, "sin");
    if (value)
        return false;
    names_add_defs(&names, schedule_defs);
    diag_error(c->diag, DIAG_unknown_word, e->word, "no schedule is called '%s'", e->text);
    check_suggest(c, &unknown);
    return true;
}

static bool own_rate(struct check *c, struct model_schedule *schedule, const struct ast_expr *e,
                     const struct ast_args *args)
{
    const double values[RATE_NAMES] = {c->model->optimizer ? clause_number(c->model->optimizer, "lr") : NAN, NAN, NAN,
                                        NAN, c->model->epochs, NAN};
    static const bool numbers[RATE_NAMES] = {false}, steps[RATE_NAMES] = {[RATE_EPOCH] = true, [RATE_STEP] = true};

    if (args->first->next) {
        diag_error(c->diag, DIAG_too_many_arguments, args->first->next->where,
                   "an expression is the rate itself, and takes nothing else");
        diag_hint(c->diag, "a warm-up of 500 steps: ... * min(1, (step + 1) / 500)");
        return false;
    }
    schedule->rate = check_rate_expr(c, e, schedule->pool, rate_names, numbers, values);
    if (!schedule->rate)
        return false;
    if (schedule->rate->is_condition) {
        diag_error(c->diag, DIAG_bad_type, e->where, "a rate is a number, this is a condition");
        return false;
    }
    schedule->text = expr_text(c->arena, schedule->rate);
    /* the same of many steps at once, for check_schedule_rates() */
    c->rates_pool = expr_pool_new(c->arena);
    c->rates = check_rate_expr(c, e, c->rates_pool, rate_names, steps, values);
    c->rates_where = e->where;
    return true;
}

/* ---- the statement --------------------------------------------------------------------------- */

/* Whoever lowers the rate himself. */
static bool check_alone(struct check *c, const struct ast_statement *s)
{
    for (int i = 0; i < c->model->callbacks_count; i++) {
        const struct clause *callback = c->model->callbacks[i];
        if (strcmp(callback->def->name, "reduce_lr_on_plateau"))
            continue;
        diag_error(c->diag, DIAG_two_rates, callback->where, "'%s' and 'lr_schedule' both say what the rate is",
                   callback->def->name);
        diag_note(c->diag, s->word_where, "the schedule is here");
        return false;
    }
    return true;
}

void check_schedule(struct check *c, const struct ast_statement *s)
{
    struct ast_args args = check_statement_args(c, s);
    const struct ast_arg *first = args.first;
    const struct ast_expr *e = first ? check_unquoted(c, first->value) : NULL;
    struct model_schedule *schedule = arena_alloc(c->arena, sizeof *schedule);
    bool word = e && (e->kind == AST_NAME || e->kind == AST_CALL);
    const struct clause_def *def = word ? clause_def_find(schedule_defs, e->text) : NULL;

    if (e && e->kind == AST_BAD)
        return;
    if (!first || first->key) {
        diag_error(c->diag, DIAG_missing_argument, first ? first->where : s->word_where,
                   "'%s' needs a schedule's name, or an expression, first", s->word);
        diag_hint(c->diag, "such as: %s cosine, warmup=5; or: %s lr * 0.95^epoch", s->word, s->word);
        return;
    }
    schedule->where = s->word_where;
    schedule->pool = expr_pool_new(c->arena);
    if (def ? !named_rate(c, schedule, def, e, args) : (word && is_unknown(c, e)) || !own_rate(c, schedule, e, &args))
        return;
    if (!check_alone(c, s))
        return;
    expr_simplify(schedule->pool, &schedule->rate, 1);
    c->model->schedule = schedule;
}

/* ---- the rates of the recipe ----------------------------------------------------------------- */

enum { RATES_MOST = 4096, RATES_WORK = 1 << 23 };       /* steps looked at; and that times what the expression has */

struct rates {
    struct check *c;
    double lr;
    int64_t per_epoch, steps, points;
    double *epoch, *step, *rate;
};

/* The steps that are looked at, from the first to the last one: all, or so many, evenly spread.  The place of a rate
 * that is none; -1: all are. */
static int64_t find_bad(struct rates *r)
{
    const double epochs = r->c->model->epochs, per_epoch = (double)r->per_epoch, steps = (double)r->steps;
    const int64_t points = r->steps < r->points ? r->steps : r->points;
    const double *inputs[RATE_INPUTS] = {
        [RATE_LR] = &r->lr, [RATE_EPOCH] = r->epoch, [RATE_STEP] = r->step, [RATE_STEPS_PER_EPOCH] = &per_epoch,
        [RATE_EPOCHS] = &epochs, [RATE_STEPS] = &steps};

    for (int64_t i = 0; i < points; i++) {
        r->step[i] = points > 1 ? floor((double)i * (steps - 1) / (double)(points - 1)) : 0;
        r->epoch[i] = floor(r->step[i] / per_epoch);
    }
    expr_evaluate(r->c->rates_pool, r->c->rates, inputs, points, r->rate);
    for (int64_t i = 0; i < points; i++) {
        double rate = r->rate[r->c->rates->is_array ? i : 0];
        if (!(rate >= 0 && rate <= 1e300)) {
            r->rate[i] = rate;
            return i;
        }
    }
    return -1;
}

/* Training samples, where the recipe itself knows; 0: only the data do. */
static double samples_known(const struct check *c)
{
    const struct model *m = c->model;
    const struct arg_value *train = m->source_clause ? argument(m->source_clause, "train") : NULL;
    double count = c->data ? c->data->train_samples : 0;

    if (train && train->number > 0)
        count = train->number;
    for (int i = 0; i < m->steps_count; i++) {
        const struct arg_value *limit = argument(m->steps[i], "train");
        if (!strcmp(m->steps[i]->def->name, "split"))
            return 0;
        if (limit && !strcmp(m->steps[i]->def->name, "limit") && limit->number > 0)
            count = fmin(count, limit->number);
    }
    return count;
}

/* What stands at a bad rate: "is -0.002 at step 20", "is not a number ...". */
static void rate_report(const struct rates *r, int64_t bad, const char *assumed)
{
    const char *value = isnan(r->rate[bad]) ? "not a number" : arena_printf(r->c->arena, "%.6g", r->rate[bad]);

    diag_error(r->c->diag, DIAG_bad_rate, r->c->rates_where, "the rate is %s at step %.0f, in epoch %.0f%s", value,
               r->step[bad], r->epoch[bad] + 1, assumed);
    diag_hint(r->c->diag,
              "a rate is 0 or more at every step: max(..., 0) keeps it there; steps and epochs count from 0");
}

void check_schedule_rates(struct check *c)
{
    static const int64_t guesses[] = {100, 1, 10, 1000, 10000};
    const struct model *m = c->model;
    struct rates r = {.c = c};
    double samples = samples_known(c);
    int64_t bad = -1;

    if (!c->rates || !m->schedule)
        return;
    r.lr = clause_number(m->optimizer, "lr");
    expr_simplify(c->rates_pool, &c->rates, 1);
    r.points = RATES_WORK / (c->rates->id + 1) < RATES_MOST ? RATES_WORK / (c->rates->id + 1) + 2 : RATES_MOST;
    r.epoch = arena_array(c->arena, (size_t)r.points, sizeof *r.epoch);
    r.step = arena_array(c->arena, (size_t)r.points, sizeof *r.step);
    r.rate = arena_array(c->arena, (size_t)r.points, sizeof *r.rate);
    if (samples > 0) {
        r.per_epoch = (int64_t)ceil(samples / m->batch);
        r.steps = (int64_t)ceil(m->epochs * (double)r.per_epoch);
        bad = find_bad(&r);
        if (bad >= 0)
            rate_report(&r, bad, "");
        return;
    }
    /* whatever the number of steps turns out to be */
    for (size_t i = sizeof guesses / sizeof *guesses; i-- > 0;) {
        r.per_epoch = guesses[i];
        r.steps = (int64_t)ceil(m->epochs * (double)r.per_epoch);
        bad = find_bad(&r);
        if (bad < 0)
            return;
    }
    rate_report(&r, bad, " (of 100 steps)");
}
