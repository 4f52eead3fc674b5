/* bf16_cases.c - small networks of `precision bf16`, written as C with their answers.
 *
 *   bf16_cases NUMBER TARGET CODE DATA [break]     writes network NUMBER, all of whose products that can are of bfloat16
 *   bf16_cases                                     says how many there are
 *
 * DATA is what network_answers.h says, computed in double precision from operands that are rounded where a kernel says that
 * it rounds them; with `break` none is.  Minimal filtering rounds what it makes of them: there none is either, and the bound is
 * a wider one.  Printed: how many products are of bfloat16, and the bound.  bf16_cases.sh compiles and compares. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check/check.h"
#include "emit/emit.h"
#include "network_answers.h"
#include "ops/ops.h"
#include "passes/passes.h"
#include "plan/plan_parts.h"
#include "syntax/parse.h"

enum { CLASSES = 5 };

#define NETWORK(input, layers, batch)                                                                                  \
    "model bf16_case\nnetwork {\n input " input "\n" layers " flatten\n dense 5, softmax as c\n}\ntrain {\n loss "      \
    "categorical_crossentropy\n optimizer sgd\n epochs 1\n batch " batch "\n precision bf16\n}\n"

#define PLAIN "bf16", 3e-4
#define FILTERED_4 "bf16_winograd4", 0.02
#define FILTERED_6 "bf16_winograd6", 0.15

/* Odd numbers of channels, columns and taps; zeros around, strides, dilation; one pixel; more channels than a panel has.  Dense
 * layers of more inputs than a chunk, more outputs than a panel, odd numbers of either and of samples. */
static const struct {
    const char *text, *kernel;  /* "bf16": plain products */
    double bound;               /* of errors, of the largest value */
} networks[] = {
    { NETWORK("3x9x7", "conv2d 5, 3x3, relu, padding=same as a\n conv2d 4, 2x2 as b\n", "6"), PLAIN },
    { NETWORK("4x8x8", "conv2d 7, 1x1, relu as a\n conv2d 6, 3x2, stride=2x1 as b\n", "4"), PLAIN },
    { NETWORK("1x11x10", "conv2d 33, 5x5, tanh, padding=2 as a\n conv2d 3, 3x3, dilation=2 as b\n", "3"), PLAIN },
    { NETWORK("2x5x5", "conv2d 40, 3x3, padding=same as a\n conv2d 35, 3x3, relu, padding=same as b\n", "16"), PLAIN },
    { NETWORK("6x6x9", "conv2d 9, 2x3, padding=1x2 as a\n maxpool2d 2x2\n conv2d 8, 3x3 as b\n", "2"), PLAIN },
    { NETWORK("5x13x1", "conv2d 12, 3x1, relu, stride=3, padding=1x0 as a\n conv2d 10, 1x1, bias=off as b\n", "8"), PLAIN },
    { NETWORK("5x15x15", "flatten\n dense 70, relu as a\n dense 33, tanh as b\n", "5"), PLAIN },
    { NETWORK("3x7x3", "conv2d 7, 1x1, relu as a\n flatten\n dense 129, relu, bias=off as b\n", "21"), PLAIN },
    { NETWORK("2x16x18", "flatten\n dense 1, tanh as a\n dense 300, relu as b\n", "32"), PLAIN },
    { NETWORK("8x12x12", "conv2d 24, 3x3, tanh, padding=same as a\n conv2d 24, 3x3, tanh as b\n", "8"), FILTERED_4 },
    { NETWORK("5x14x10", "conv2d 7, 3x3, tanh, padding=same as a\n conv2d 9, 3x3, tanh as b\n", "6"), FILTERED_4 },
    { NETWORK("64x8x8", "conv2d 64, 3x3, tanh, padding=same as a\n conv2d 64, 3x3, tanh, padding=same as b\n", "32"), FILTERED_4 },
    { NETWORK("8x12x12", "conv2d 24, 3x3, tanh, padding=same as a\n conv2d 24, 3x3, tanh as b\n", "8"), FILTERED_6 },
    { NETWORK("5x13x11", "conv2d 7, 3x3, tanh, padding=same as a\n conv2d 9, 2x2, tanh as b\n", "6"), FILTERED_6 },
    { NETWORK("128x4x4", "conv2d 128, 3x3, tanh, padding=same as a\n conv2d 128, 3x3, tanh, padding=same as b\n", "16"), FILTERED_6 },
    { NETWORK("256x6x6", "conv2d 256, 3x3, tanh, padding=same as a\n conv2d 256, 3x3, tanh, padding=same as b\n", "32"), FILTERED_6 },
};

enum { FORCED = 3 };

/* To 8 bits of mantissa, the nearest; the even one of two as near. */
static double rounded(double x)
{
    int exponent;
    double mantissa = frexp((double)(float)x, &exponent);
    return ldexp(nearbyint(ldexp(mantissa, 8)), exponent - 8);
}

static bool rounds(const struct program *q, const struct node *n)
{
    for (int i = 0; i < q->groups_count; i++)
        if (q->groups[i]->main == n)
            return q->groups[i]->kernel->bf16 && !q->groups[i]->kernel->error;
    return false;
}

/* A product of rounded operands, which stay as they are for others. */
static void run_rounded(const struct run *r, const struct node *n)
{
    double *kept[2] = { 0 };
    for (int i = 0; i < 2; i++) {
        double *values = run_values(r, n->in[i]);
        size_t count = (size_t)run_elements(r, n->in[i]);
        kept[i] = malloc((count + 1) * sizeof *kept[i]);
        if (!kept[i])
            abort();
        memcpy(kept[i], values, count * sizeof *values);
        for (size_t k = 0; k < count; k++)
            values[k] = rounded(values[k]);
    }
    run_node(r, n);
    for (int i = 0; i < 2; i++) {
        memcpy(run_values(r, n->in[i]), kept[i], (size_t)run_elements(r, n->in[i]) * sizeof *kept[i]);
        free(kept[i]);
    }
}

static void run_training(const struct run *r, const void *data)
{
    for (int i = 0; i < r->graph->nodes_count; i++)
        if (rounds(data, r->graph->nodes[i]))
            run_rounded(r, r->graph->nodes[i]);
        else
            run_node(r, r->graph->nodes[i]);
}

static struct plan *planned(struct arena *a, const char *text, const char *kernel, const char *target)
{
    const char *const forced[FORCED] = { arena_printf(a, "a=%s", kernel), arena_printf(a, "b=%s", kernel), "c=bf16" };
    struct diag *diag = diag_new(a);
    struct source *source = source_from_text(a, "bf16.cnn", text, strlen(text));
    const struct model *m = check_model(a, source, parse_source(a, source, diag), &(struct check_options){ 0 }, diag);
    const struct plan_options o = { .target = target, .bf16 = m->bf16, .forced = forced, .forced_count = FORCED };
    diag_print(diag, stderr);
    if (diag_errors(diag) || !m->bf16)
        return NULL;
    struct graph *train = lower_model(a, m, true), *use = lower_model(a, m, false);
    simplify(train);
    simplify(use);
    differentiate(train);
    struct plan *p = plan_model(a, train, use, &o, diag);
    diag_print(diag, stderr);
    const char *broken = p ? plan_verify(p) : NULL;
    if (broken)
        fprintf(stderr, "%s\n", broken);
    return broken ? NULL : p;
}

int main(int argc, char **argv)
{
    int count = sizeof networks / sizeof *networks, number = argc > 4 ? atoi(argv[1]) : -1, products = 0;
    if (number < 0 || number >= count) {
        printf("%d\n", count);
        return 0;
    }
    struct arena arena = { 0 };
    struct plan *p = planned(&arena, networks[number].text, networks[number].kernel, argv[2]);
    FILE *code = fopen(argv[3], "w"), *data = fopen(argv[4], "wb");
    if (!p || !code || !data)
        return 2;
    for (int i = 0; i < p->train.groups_count; i++)
        products += p->train.groups[i]->kernel->bf16;
    printf("%d products within %g\n", products, networks[number].bound);
    answers_write(&arena, p->train.graph, p->batch, CLASSES, argc > 5 ? NULL : run_training, &p->train, data);
    emit_source(p, NULL, code);
    int status = fclose(code) || fclose(data) ? 2 : 0;
    arena_free(&arena);
    return status;
}
