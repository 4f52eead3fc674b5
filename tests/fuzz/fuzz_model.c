/* fuzz_model.c - a .cnn file from the scanner to the end of the plan.
 *
 * What is refused must have been given a reason; of what is accepted the explained recipe must be accepted too, and
 * graphs and plan must hold their invariants.  A broken rule aborts.  Networks that are much of something take their
 * bounded time (base/bounds.h), which is too long here: they are checked, and planned only where they are small. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check/check.h"
#include "fuzz.h"
#include "graph/graph.h"
#include "ops/ops.h"
#include "passes/passes.h"
#include "steps/plan.h"
#include "syntax/format.h"
#include "syntax/parse.h"

enum { LAYERS_PLANNED = 24, ELEMENTS_PLANNED = 1 << 20 };

static void broken(const char *rule, const char *what)
{
    fprintf(stderr, "broken: %s: %s\n", rule, what ? what : "");
    abort();
}

static const struct model *compile(struct arena *a, const char *text, size_t size, struct diag **d)
{
    static const struct check_options options = {0};
    static FILE *nowhere;
    if (!nowhere)
        nowhere = fopen("/dev/null", "w");
    *d = diag_new(a);
    const struct source *s = source_from_text(a, "fuzzed.cnn", text, size);
    const struct ast_body *file = parse_source(a, s, *d);
    const struct model *m = check_model(a, s, file, &options, *d);
    diag_print(*d, nowhere);
    return m;
}

/* What has no errors of syntax can be formatted, and is then the same model; once more changes nothing. */
static void format(struct arena *a, const char *text, size_t size)
{
    struct diag *d = diag_new(a);
    const char *once = format_source(a, source_from_text(a, "fuzzed.cnn", text, size), d);
    if (!once && !diag_errors(d))
        broken("format", "another tree");
    const char *twice = once ? format_source(a, source_from_text(a, "formatted.cnn", once, strlen(once)), d) : NULL;
    if (once && !diag_errors(d) && (!twice || strcmp(once, twice)))
        broken("format", "a second time changes it");
}

static bool is_small(const struct model *m)
{
    if (m->layers_count > LAYERS_PLANNED || m->batch > 1024)
        return false;
    for (int i = 0; i < m->layers_count; i++)
        if (shape_elements(m->layers[i]->out) > ELEMENTS_PLANNED)
            return false;
    return true;
}

static void plan(struct arena *a, const struct model *m, struct diag *d)
{
    struct graph *use = lower_model(a, m, false), *train = NULL;
    simplify(use);
    if (graph_verify(use))
        broken("graph of use", graph_verify(use));
    if (m->loss) {
        train = lower_model(a, m, true);
        simplify(train);
        if (graph_verify(train))
            broken("forward graph", graph_verify(train));
        differentiate(train);
        if (graph_verify(train))
            broken("graph of training", graph_verify(train));
    }
    if (!train)
        return;                         /* no trainer is written of it */
    const struct plan_options options = {.target = "x86-64-v3"};
    const struct plan *p = plan_model(a, train, use, &options, d);
    if (p && !diag_errors(d) && plan_verify(p))
        broken("plan", plan_verify(p));
}

static void run(const uint8_t *bytes, size_t size)
{
    struct arena a = {0};
    struct diag *d, *again;
    const struct model *m = compile(&a, (const char *)bytes, size, &d);
    format(&a, (const char *)bytes, size);
    if (!diag_errors(d) && m->explained) {
        const struct model *n = compile(&a, m->explained, strlen(m->explained), &again);
        if (diag_errors(again))
            broken("the explained recipe is refused", m->explained);
        if (strcmp(m->explained, n->explained))
            broken("the explained recipe explains itself otherwise", n->explained);
        if (is_small(m))
            plan(&a, m, d);
    }
    arena_free(&a);
}

const struct fuzz_target fuzz_targets[] = { { "model", run }, { NULL, NULL } };

/* The zoo and the goldens are what begins. */
void fuzz_seeds(const char *folder)
{
    (void)folder;
}
