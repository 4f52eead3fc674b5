/* compare_inference.c - emitted inference beside the reference: see compare.h. */
#include "compare_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- inference --------------------------------------------------------------------------------------------------- */

enum { CANARIES = 16, PICTURES = 3 };

/* Its output, and that it leaves alone what lies behind its memory. */
static void predict(struct trial *t, const struct built_inference *built, const double *input, double *output)
{
    float *x = room(built->inputs, sizeof *x), *y = room(built->outputs + CANARIES, sizeof *y),
          *arena = room(built->arena + CANARIES, sizeof *arena);
    /* not numbers: nothing may depend on them */
    memset(arena, 0xFF, sizeof *arena * (size_t)(built->arena + CANARIES));
    memset(y, 0xFF, sizeof *y * (size_t)(built->outputs + CANARIES));
    for (long i = 0; i < built->inputs; i++)
        x[i] = (float)input[i];
    built->predict(x, y, arena);
    for (int i = 0; i < CANARIES; i++)
        if (!isnan(y[built->outputs + i]) || !isnan(arena[built->arena + i]))
            trial_fail(t, "it writes behind its %s", isnan(arena[built->arena + i]) ? "output" : "arena");
    to_doubles(t->model, output, y, built->outputs);
    free(x);
    free(y);
    free(arena);
}

/* Whether the outcome of a reference without one tap is really another. */
static bool is_visible(const struct part *broken, const struct part *exact)
{
    double change = most_difference(broken->value, exact->value, exact->count);
    return change > 1e-3 * largest(exact->value, exact->count);
}

static void check_missing_tap(struct trial *t, const struct batch *b, const struct outcome *got,
                              const struct outcome *exact)
{
    struct outcome broken = outcome_new(t->net, 1, t->network->outputs);
    t->net->fault = REF_FAULT_FORWARD_TAP;
    reference_run(t, b, false);
    t->net->fault = REF_SOUND;
    reference_outcome(t->net, &broken);
    broken.parts[0].error = exact->parts[0].error;
    if (!is_visible(&broken.parts[0], &exact->parts[0]))
        t->counts->faults_invisible++;
    else if (outcome_compare(t, NULL, got, &broken, false, false, 1) > 0)
        t->counts->faults_seen++;
    else
        fprintf(t->log, "the missing tap was not noticed (%d)\n", ++t->counts->faults_missed);
    outcome_free(&broken);
}

static void check_picture(struct trial *t, const struct built_inference *built, struct batch *b, bool faults)
{
    struct outcome exact = outcome_new(t->net, 1, t->network->outputs), got = outcome_new(t->net, 1,
            t->network->outputs);
    batch_draw(t, b, 1);
    reference_measure(t, b, false, &exact);
    reference_outcome(t->net, &got);            /* all but the predictions */
    predict(t, built, b->input, got.parts[0].value);
    if (!outcome_compare(t, "inference", &got, &exact, false, false, 1) && faults)
        check_missing_tap(t, b, &got, &exact);
    outcome_free(&got);
    outcome_free(&exact);
}

void compare_inference(struct network *network, const struct built_inference *built, bool faults, FILE *log,
                       struct compare_counts *counts)
{
    static const struct cnn_model in_float = {.real_size = 4};
    struct ref_net *net = &network->net;
    struct trial t = {
        .network = network, .net = net, .model = &in_float, .log = log, .counts = counts, .allowance = 1,
        .random = network->seed ^ 0x2545f491, .eps = EPS_FLOAT,
    };
    if (built->inputs != ref_node_size(&net->nodes[0]) || built->outputs != network->outputs) {
        trial_fail(&t, "it has %ld inputs and %ld outputs", built->inputs, built->outputs);
        return;
    }
    t.start = room(net->params_count, sizeof *t.start);
    for (int i = 0; i < net->params_count; i++) {
        t.start[i] = room(net->params[i].count, sizeof(double));
        memcpy(t.start[i], net->params[i].value, (size_t)net->params[i].count * sizeof(double));
    }
    float *arena = room(built->arena, sizeof *arena);
    int status = built->selftest(arena);
    if (status)
        trial_fail(&t, "output %d of the self-test is wrong", status);
    struct batch b = batch_new(&t);
    for (int i = 0; i < PICTURES; i++)
        check_picture(&t, built, &b, faults && i == 0);
    batch_free(&b);
    free(arena);
    for (int i = 0; i < net->params_count; i++)
        free(t.start[i]);
    free(t.start);
}
