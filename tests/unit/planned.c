/* planned.c - see planned.h. */
#include "planned.h"

#include <criterion/criterion.h>
#include <string.h>

#include "check/check.h"
#include "passes/passes.h"
#include "syntax/parse.h"

const char planned_sequence[] =
    "network {\n input 3x32x32\n conv2d 32, 2x2, relu\n conv2d 48, 3x3, elu, padding=same\n conv2d 20, 1x1, relu\n"
    " maxpool2d 2x2\n conv2d 64, 2x2, relu\n conv2d 64, 2x2, gelu\n conv2d 24, 1x1, relu\n maxpool2d 2x2\n"
    " dropout 0.5\n"
    " flatten\n dense 40, relu\n dropout 0.5\n dense 10, softmax\n}\n" TAIL;

const char planned_branches[] =
    "network {\n input 3x32x32\n conv2d 16, 3x3, padding=same\n batchnorm relu\n"
    " add {\n branch {\n conv2d 16, 3x3, padding=same\n batchnorm relu\n conv2d 16, 3x3, padding=same\n batchnorm\n }\n"
    " branch { }\n }\n relu\n"
    " add {\n branch {\n conv2d 32, 3x3, stride=2, padding=same\n }\n"
    " branch {\n conv2d 32, 1x1, stride=2, padding=same\n"
    " add {\n branch { }\n branch { avgpool2d 3x3, stride=1, padding=1 }\n }\n }\n }\n relu\n"
    " global_avgpool2d\n dense 10, softmax\n}\n" TAIL;

const char planned_groups[] =
    "network {\n input 3x32x32\n conv2d 20, 3x3, stride=2, padding=same\n batchnorm relu\n"
    " depthwise_conv2d 3x3, relu, padding=same\n conv2d 32, 3x3, relu, groups=4, dilation=2, padding=same\n"
    " add {\n branch { depthwise_conv2d 5x3, padding=same, bias=off\n batchnorm\n }\n branch { }\n }\n"
    " depthwise_conv2d 3x3, stride=2, multiplier=3\n separable_conv2d 24, 3x3, relu6\n"
    " conv2d 64, 2x2, groups=2\n flatten\n dense 10, softmax\n}\n" TAIL;

static struct model *checked(struct world *w, const char *text, int batch, int share)
{
    memset(w, 0, sizeof *w);
    w->diag = diag_new(&w->arena);
    struct source *source = source_from_text(&w->arena, "test.cnn", text, strlen(text));
    struct ast_body *file = parse_source(&w->arena, source, w->diag);
    struct check_options check = { .batch = batch, .share = share };
    struct model *m = check_model(&w->arena, source, file, &check, w->diag);
    diag_print(w->diag, stderr);
    cr_assert_eq(diag_errors(w->diag), 0);
    return m;
}

static void planned(struct world *w, const struct graph *train, const struct graph *use, const struct plan_options *o)
{
    w->plan = plan_model(&w->arena, train, use, o, w->diag);
    diag_print(w->diag, stderr);
    cr_assert_not_null(w->plan);
    const char *broken = plan_verify(w->plan);
    cr_assert_null(broken, "%s", broken);
}

static void plan_both(struct world *w, const struct model *m, const struct plan_options *o)
{
    struct graph *train = lower_model(&w->arena, m, true), *use = lower_model(&w->arena, m, false);
    simplify(train);
    simplify(use);
    differentiate(train);
    plan_norms(train);
    cr_assert_null(graph_verify(train));
    cr_assert_null(graph_verify(use));
    planned(w, train, use, o);
}

void world_begin_batch(struct world *w, const char *text, const char *target, const char *const *forced, int count,
                       int batch)
{
    struct plan_options o = { .target = target, .forced = forced, .forced_count = count };
    plan_both(w, checked(w, text, batch, 0), &o);
}

void world_begin_shares(struct world *w, const char *text, const char *target, int batch, int share)
{
    plan_both(w, checked(w, text, batch, share), &(struct plan_options){ .target = target });
}

void world_begin_portable(struct world *w, const char *text)
{
    struct graph *g = lower_alone(&w->arena, checked(w, text, 0, 0));
    for (int i = 0; i < g->params_count; i++) {
        int64_t count = param_elements(g->params[i]);
        double *values = arena_array(&w->arena, (size_t)count, sizeof *values);
        for (int64_t k = 0; k < count; k++)
            values[k] = 0.5;
        g->params[i]->values = values;
    }
    simplify(g);
    const char *broken = graph_verify(g);
    cr_assert_null(broken, "%s", broken);
    planned(w, NULL, g, &(struct plan_options){ .target = "portable" });
}

void world_begin(struct world *w, const char *text, const char *target, const char *const *forced, int count)
{
    world_begin_batch(w, text, target, forced, count, 0);
}
