/* schedules.c - see schedules.h. */
#include "expr/schedules.h"

#include <assert.h>
#include <string.h>

const char *const rate_names[RATE_NAMES + 1] = {
    [RATE_LR] = "lr", [RATE_EPOCH] = "epoch", [RATE_STEP] = "step", [RATE_STEPS_PER_EPOCH] = "steps_per_epoch",
    [RATE_EPOCHS] = "epochs", [RATE_STEPS] = "steps"
};

static const struct {
    const char *name, *formula;
} rows[] = {
#define SCHEDULE(name, help, formula) { #name, formula },
#include "model/schedules.def"
#undef SCHEDULE
};

static const char *formula_of(const char *name)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!strcmp(rows[i].name, name))
            return rows[i].formula;
    return NULL;
}

static const struct expr *formula(struct expr_pool *p, const char *text, const struct expr_name *names)
{
    const char *wrong = NULL;
    const struct expr *e = expr_parse(p, text, names, &wrong);
    assert(e);
    return e;
}

static const struct expr *argument_value(struct expr_pool *p, const struct arg_def *def, const struct arg_value *v)
{
    double number = v->number;
    if (def->type == ARG_REAL_LIST)
        return expr_input(p, RATE_LIST, def->name, true);
    if (def->type == ARG_WORD)
        for (number = 0; strcmp(def->words[(int)number], v->text);)
            number++;
    return expr_number(p, number);
}

const struct expr *schedule_rate(struct expr_pool *p, const struct clause *schedule)
{
    const int args = clause_def_count(schedule->def);
    struct expr_name *names = arena_array(p->arena, (size_t)args + RATE_NAMES + 4, sizeof *names);
    int count = 0;
    for (; count < RATE_NAMES; count++)
        names[count] = (struct expr_name){ rate_names[count], expr_input(p, count, rate_names[count], false) };
    for (int i = 0; i < args; i++)
        names[count++] = (struct expr_name){ schedule->def->args[i].name,
                                             argument_value(p, &schedule->def->args[i], &schedule->args[i]) };
    const bool warms = clause_number(schedule, "warmup") > 0;
    names[count] = (struct expr_name){ "t", formula(p, warms ? "max(step - round(warmup * steps_per_epoch), 0)"
                                                    : "step", names) };
    names[count + 1] = (struct expr_name){ "n", formula(p, warms ? "max(steps - round(warmup * steps_per_epoch), 1)"
                                                                 : "steps", names) };
    names[count + 2] = (struct expr_name){ "rate", formula(p, formula_of(schedule->def->name), names) };
    return warms ? formula(p, "if step < round(warmup * steps_per_epoch) "
                              "then rate * (step + 1) / round(warmup * steps_per_epoch) else rate", names)
                 : names[count + 2].value;
}

const struct arg_value *schedule_list(const struct clause *schedule)
{
    for (int i = 0; i < clause_def_count(schedule->def); i++)
        if (schedule->def->args[i].type == ARG_REAL_LIST && schedule->args[i].given)
            return &schedule->args[i];
    return NULL;
}
