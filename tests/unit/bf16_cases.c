/* bf16_cases.c - small networks of `precision bf16`, written as C with their answers.
 *
 *   bf16_cases NUMBER TARGET CODE DATA [break]     writes network NUMBER, all of whose products that can are of bfloat16
 *   bf16_cases                                     says how many there are
 *
 * Numbers from RANDOM on are networks drawn at random, planned without minimal filtering; at each place that has one a
 * plain kernel of bfloat16, one of them; of every third network the cheapest kernel.
 *
 * DATA is what network_answers.h says, computed in double precision from operands that are rounded where a kernel says
 * that it rounds them; with `break` none is.  Minimal filtering rounds what it makes of them: there none is either, and
 * the bound is a wider one.  Printed: how many products are of bfloat16, and the bound.  bf16_cases.sh compiles and
 * compares. */
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
#define DRAWN_BOUND 2e-3
#define INSIDE "bf16_inside", 3e-4
#define FILTERED_4 "bf16_winograd4", 0.02
#define FILTERED_6 "bf16_winograd6", 0.035

/* Odd numbers of channels, columns and taps; zeros around, strides, dilation; one pixel; more channels than a panel
 * has.  Dense layers of more inputs than a chunk, more outputs than a panel, odd numbers of either and of samples. */
static const struct {
    const char *text, *kernel;  /* of all passes that have it */
    double bound;               /* of errors, of the largest value */
} networks[] = {
    { NETWORK("3x9x7", "conv2d 5, 3x3, relu, padding=same as a\n conv2d 4, 2x2 as b\n", "6"), PLAIN },
    { NETWORK("4x8x8", "conv2d 7, 1x1, relu as a\n conv2d 6, 3x2, stride=2x1 as b\n", "4"), PLAIN },
    { NETWORK("1x11x10", "conv2d 33, 5x5, tanh, padding=2 as a\n conv2d 3, 3x3, dilation=2 as b\n", "3"), PLAIN },
    { NETWORK("2x5x5", "conv2d 40, 3x3, padding=same as a\n conv2d 35, 3x3, relu, padding=same as b\n", "16"), PLAIN },
    { NETWORK("6x6x9", "conv2d 9, 2x3, padding=1x2 as a\n maxpool2d 2x2\n conv2d 8, 3x3 as b\n", "2"), PLAIN },
    { NETWORK("5x13x1", "conv2d 12, 3x1, relu, stride=3, padding=1x0 as a\n conv2d 10, 1x1, bias=off as b\n", "8"),
      PLAIN },
    { NETWORK("5x15x15", "flatten\n dense 70, relu as a\n dense 33, tanh as b\n", "5"), PLAIN },
    { NETWORK("3x7x3", "conv2d 7, 1x1, relu as a\n flatten\n dense 129, relu, bias=off as b\n", "21"), PLAIN },
    { NETWORK("2x16x18", "flatten\n dense 1, tanh as a\n dense 300, relu as b\n", "32"), PLAIN },
    { NETWORK("5x3x4", "conv2d 33, 3x3, tanh, padding=same as a\n conv2d 35, 2x3, relu, padding=same as b\n", "7"),
      INSIDE },
    { NETWORK("16x2x2", "conv2d 32, 3x3, tanh, padding=same as a\n conv2d 64, 3x3, tanh, padding=same as b\n", "16"),
      INSIDE },
    { NETWORK("48x3x1", "conv2d 64, 3x3, tanh, padding=same as a\n conv2d 16, 3x1, stride=2, padding=1x0 as b\n",
              "32"), INSIDE },
    { NETWORK("8x12x12", "conv2d 24, 3x3, tanh, padding=same as a\n conv2d 24, 3x3, tanh as b\n", "8"), FILTERED_4 },
    { NETWORK("5x14x10", "conv2d 7, 3x3, tanh, padding=same as a\n conv2d 9, 3x3, tanh as b\n", "6"), FILTERED_4 },
    { NETWORK("64x8x8", "conv2d 64, 3x3, tanh, padding=same as a\n conv2d 64, 3x3, tanh, padding=same as b\n", "32"),
      FILTERED_4 },
    { NETWORK("8x12x12", "conv2d 24, 3x3, tanh, padding=same as a\n conv2d 24, 3x3, tanh as b\n", "8"), FILTERED_6 },
    { NETWORK("5x13x11", "conv2d 7, 3x3, tanh, padding=same as a\n conv2d 9, 2x2, tanh as b\n", "6"), FILTERED_6 },
    { NETWORK("128x4x4", "conv2d 128, 3x3, tanh, padding=same as a\n conv2d 128, 3x3, tanh, padding=same as b\n", "16"),
      FILTERED_6 },
};

enum { FORCED = 3, FORCED_MOST = 64, RANDOM = 1000, THIRD = 3 };

/* ---- at random --------------------------------------------------------------------------------------------------- */

static uint32_t random_state;

/* From 0 to below n: a linear congruential generator's upper bits. */
static int draw(int n)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (int)((uint64_t)random_state * (uint64_t)n >> 32);
}

static const char *draw_activation(void)
{
    static const char *const list[] = { "", ", relu", ", tanh", ", sigmoid", ", elu" };
    return list[draw(5)];
}

/* A convolution that fits h x w, which become those of its result. */
static char *draw_conv(struct arena *a, int *h, int *w)
{
    int kh = 1 + draw(*h < 4 ? *h : 4), kw = 1 + draw(*w < 4 ? *w : 4), same = draw(2), stride = draw(4) == 0 ? 2 : 1;
    int filters = draw(3) ? 1 + draw(20) : 16 + draw(30);
    char *text = arena_printf(a, " conv2d %d, %dx%d%s%s%s%s\n", filters, kh, kw, draw_activation(),
                              same ? ", padding=same" : "",
                              stride > 1 ? ", stride=2" : "", draw(5) ? "" : ", bias=off");
    *h = same ? (*h + stride - 1) / stride : (*h - kh) / stride + 1;
    *w = same ? (*w + stride - 1) / stride : (*w - kw) / stride + 1;
    return text;
}

/* Convolutions with what may stand between them, then dense layers. */
static char *draw_network(struct arena *a, int number)
{
    random_state = (uint32_t)number * 2654435761u;
    int channels = 1 + draw(draw(2) ? 5 : 40), h = 3 + draw(11), w = 3 + draw(11), batch = 2 + draw(9), convs = draw(4);
    char *text = arena_printf(a, "model bf16_case\nnetwork {\n input %dx%dx%d\n", channels, h, w);
    for (int i = 0; i < convs; i++) {
        text = arena_printf(a, "%s%s", text, draw_conv(a, &h, &w));
        int between = draw(5);
        if (between < 2 && h > 1 && w > 1) {
            text = arena_printf(a, "%s %s 2x2\n", text, between ? "maxpool2d" : "avgpool2d");
            h /= 2, w /= 2;
        } else if (between == 2) {
            text = arena_printf(a, "%s batchnorm\n", text);
        }
    }
    text = arena_printf(a, "%s flatten\n", text);
    for (int i = draw(3); i > 0; i--)
        text = arena_printf(a, "%s dense %d%s\n", text, 1 + draw(draw(2) ? 20 : 150), draw_activation());
    return arena_printf(a,
                        "%s dense %d, softmax\n}\ntrain {\n loss categorical_crossentropy\n optimizer sgd\n epochs 1\n "
                           "batch %d\n precision bf16\n}\n", text, CLASSES, batch);
}

/* ---- the reference ----------------------------------------------------------------------------------------------- */

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

/* Asks for a plain kernel of bfloat16 at each place that has one, of several for any; returns how many those are. */
static int ask_everywhere(struct arena *a, const struct plan *p, const char **forced)
{
    int count, asked = 0;
    const struct kernel *const *all = kernels(&count);
    for (int i = 0; i < p->train.groups_count && asked < FORCED_MOST; i++) {
        const struct group *g = p->train.groups[i];
        int ways = 0;
        for (int k = 0; k < count; k++)
            if (all[k]->op == g->main->op && all[k]->bf16 && !all[k]->error && all[k]->applicable(p, g) &&
                !draw(++ways))
                forced[asked] = arena_printf(a, "%s:%s=%s", g->main->layer->name, plan_pass(g->main), all[k]->name);
        asked += ways > 0;
    }
    return asked;
}

/* With these kernels; `exact`: without minimal filtering. */
static struct plan *planned(struct arena *a, const char *text, const char *const *forced, int forced_count, bool exact,
                            const char *target)
{
    struct diag *diag = diag_new(a);
    struct source *source = source_from_text(a, "bf16.cnn", text, strlen(text));
    const struct model *m = check_model(a, source, parse_source(a, source, diag), &(struct check_options){ 0 }, diag);
    const struct plan_options o = { .target = target, .bf16 = m->bf16, .forced = forced, .forced_count = forced_count,
                                    .exact = exact };
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
    bool drawn = number >= RANDOM;
    if (number < 0 || (number >= count && !drawn)) {
        printf("%d\n", count);
        return 0;
    }
    struct arena arena = { 0 };
    const char *text = drawn ? draw_network(&arena, number) : networks[number].text;
    const char *kernel = drawn ? "" : networks[number].kernel;
    const char *forced[FORCED_MOST] = { arena_printf(&arena, "a=%s", kernel), arena_printf(&arena, "b=%s", kernel),
                                        "c=bf16" };
    struct plan *p = planned(&arena, text, forced, drawn ? 0 : FORCED, drawn, argv[2]);
    if (p && drawn && number % THIRD)
        p = planned(&arena, text, forced, ask_everywhere(&arena, p, forced), true, argv[2]);
    FILE *code = fopen(argv[3], "w"), *data = fopen(argv[4], "wb");
    if (!p || !code || !data)
        return 2;
    for (int i = 0; i < p->train.groups_count; i++)
        products += p->train.groups[i]->kernel->bf16;
    printf("%d products within %g\n", products, drawn ? DRAWN_BOUND : networks[number].bound);
    answers_write(&arena, p->train.graph, p->batch, CLASSES, argc > 5 ? NULL : run_training, &p->train, data);
    emit_source(p, NULL, code);
    int status = fclose(code) || fclose(data) ? 2 : 0;
    arena_free(&arena);
    return status;
}
