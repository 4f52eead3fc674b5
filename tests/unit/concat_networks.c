/* concat_networks.c - see concat_networks.h. */
#include "concat_networks.h"

#include "check/check.h"
#include "network_fixture.h"
#include "syntax/parse.h"

/* ---- the networks ------------------------------------------------------------------------------------------------ */

static struct layer *put_act(struct network *n, struct layer *x, const char *name)
{
    return put(n, name, x);
}

static struct layer *conv(struct network *n, struct layer *x, int filters, int size, const char *activation)
{
    struct layer *l = layer_after(n, "conv2d", x);
    arg_number(l, "filters", filters);
    arg_pair(l, "kernel", size, size);
    arg_text(l, "padding", "same");
    if (activation)
        arg_activation(n, l, activation);
    if (!layer_shape(n, l))
        abort();
    return l;
}

static struct layer *pool(struct network *n, struct layer *x, const char *kind)
{
    struct layer *l = layer_after(n, kind, x);
    arg_pair(l, "window", 3, 3);
    arg_pair(l, "stride", 1, 1);
    arg_pair(l, "padding", 1, 1);
    if (!layer_shape(n, l))
        abort();
    return l;
}

/* Two and three branches of odd widths; the result is read by a convolution. */
static struct layer *branches(struct network *n, struct layer *x)
{
    struct layer *y = CONCAT(n, conv(n, x, 5, 3, "relu"), conv(n, x, 7, 3, "elu"), conv(n, x, 16, 3, NULL));
    return conv(n, y, 9, 3, "relu");
}

static struct layer *pointwise(struct network *n, struct layer *x)
{
    struct layer *y = CONCAT(n, conv(n, x, 3, 1, "relu"), conv(n, x, 13, 1, "gelu"));
    return conv(n, y, 8, 1, "tanh");
}

/* What is concatenated is read by others too, and concatenated again. */
static struct layer *dense_block(struct network *n, struct layer *x)
{
    struct layer *a = conv(n, x, 6, 3, "relu"), *ab = CONCAT(n, a, conv(n, a, 5, 3, "relu"));
    struct layer *c = CONCAT(n, ab, conv(n, ab, 4, 3, "relu"));
    return put_act(n, c, "relu");
}

static struct layer *nested(struct network *n, struct layer *x)
{
    struct layer *a = put_act(n, conv(n, x, 3, 3, NULL), "elu"), *b = conv(n, x, 5, 3, "relu");
    struct layer *y = CONCAT(n, CONCAT(n, a, b), conv(n, x, 2, 1, "relu"));
    return put(n, "batchnorm", y);
}

static struct layer *pools(struct network *n, struct layer *x)
{
    struct layer *a = conv(n, x, 6, 3, "relu");
    return CONCAT(n, pool(n, a, "maxpool2d"), pool(n, a, "avgpool2d"), conv(n, a, 3, 1, "relu"));
}

static struct layer *normed(struct network *n, struct layer *x)
{
    struct layer *a = put_act(n, put(n, "batchnorm", conv(n, x, 9, 3, NULL)), "relu");
    struct layer *b = put(n, "batchnorm", conv(n, x, 4, 3, NULL));
    return conv(n, put_act(n, CONCAT(n, a, b), "relu"), 7, 3, "relu");
}

static struct layer *added(struct network *n, struct layer *x)
{
    struct layer *a = conv(n, x, 6, 3, NULL), *b = conv(n, x, 6, 3, NULL), *sum = put_add(n, a, b);
    struct layer *y = CONCAT(n, put_act(n, sum, "relu"), put_add(n, a, sum));
    return put_add(n, y, conv(n, x, 12, 1, NULL));
}

/* A tensor twice, the picture itself, a mean of each channel spread over a part. */
static struct layer *odd_ones(struct network *n, struct layer *x)
{
    struct layer *a = conv(n, x, 5, 3, "relu"), *y = CONCAT(n, a, x, a);
    struct layer *mean = put(n, "global_avgpool2d", a);
    return CONCAT(n, put_add(n, a, mean), y);
}

/* A chain of concatenations as DenseNet has it: all of them lie in the last one. */
static struct layer *chain(struct network *n, struct layer *x)
{
    x = conv(n, x, 7, 3, NULL);
    for (int i = 0; i < 4; i++)
        x = CONCAT(n, x, conv(n, put_act(n, put(n, "batchnorm", x), "relu"), 5, 3, NULL));
    return put_act(n, put(n, "batchnorm", x), "relu");
}

/* Parts of a concatenation are weighed by channel, with themselves, and the greatest of each channel is spread. */
static struct layer *gated(struct network *n, struct layer *x)
{
    struct layer *a = conv(n, x, 9, 3, "relu"), *b = conv(n, x, 9, 3, "tanh"), *y = CONCAT(n, a, b);
    struct layer *mean = put(n, "global_avgpool2d", a), *most = put(n, "global_maxpool2d", b);
    struct layer *all = put_multiply(n, y, put_act(n, put_dense(n, put(n, "global_maxpool2d", y), 18), "sigmoid"));
    return CONCAT(n, put_multiply(n, a, mean), put_multiply(n, most, put_multiply(n, b, b)), all);
}

static struct layer *vectors(struct network *n, struct layer *x)
{
    struct layer *flat = put(n, "flatten", conv(n, x, 3, 3, "relu")), *a = put_dense(n, flat, 7);
    arg_activation(n, a, "relu");
    struct layer *one = put(n, "global_maxpool2d", put_conv(n, x, 3, 6, 7));        /* of a map of one position */
    return CONCAT(n, a, put_act(n, put_dense(n, flat, 18), "elu"), put_dense(n, flat, 4), one);
}

const struct network_case concat_cases[] = {
    { "direct", branches, "direct" },     { "winograd", branches, "winograd6" }, { "im2col", branches, "im2col" },
    { "pointwise", pointwise, NULL },     { "dense_block", dense_block, NULL },  { "nested", nested, NULL },
    { "pools", pools, NULL },             { "normed", normed, NULL },            { "added", added, NULL },
    { "chain", chain, "direct" },         { "gated", gated, NULL },              { "odd_ones", odd_ones, NULL },
        { "vectors", vectors, NULL },
};

const int concat_cases_count = sizeof concat_cases / sizeof *concat_cases;

/* The recipe of a text, the network built by hand. */
static void build(struct network *n, const struct network_case *k)
{
    static const char text[] = "model hand\nnetwork { input 3x6x7; flatten; dense 5, softmax }\n"
                               "train { loss categorical_crossentropy; optimizer adam; epochs 1; batch 6; seed 1 }\n";
    network_begin(n);
    struct source *source = source_from_text(&n->arena, "hand.cnn", text, sizeof text - 1);
    struct check_options options = { 0 };
    struct model *m = check_model(&n->arena, source, parse_source(&n->arena, source, n->diag), &options, n->diag);
    if (!m || diag_errors(n->diag))
        abort();
    n->model = *m;
    n->model.layers = NULL;
    n->model.layers_count = 0;
    n->model.name = k->name;
    struct layer *l = k->build(n, put_input(n, 3, 6, 7));
    if (!l->out.flat)
        l = put(n, "flatten", l);
    arg_activation(n, put_dense(n, l, CONCAT_CLASSES), "softmax");
}

struct plan *concat_plan(struct network *n, const struct network_case *k, const char *target, bool real_double,
                         const char **broken)
{
    static const char *const layers[] = { "conv2d_1", "conv2d_2" };
    const char *forced[2];
    int forced_count = 0;
    build(n, k);
    struct graph *train = lower_model(&n->arena, &n->model, true), *use = lower_model(&n->arena, &n->model, false);
    simplify(train);
    simplify(use);
    differentiate(train);
    plan_norms(train);
    *broken = graph_verify(train);
    *broken = *broken ? *broken : graph_verify(use);
    for (int i = 0; k->forced && i < 2; i++)
        forced[forced_count++] = arena_printf(&n->arena, "%s:forward=%s", layers[i], k->forced);
    struct plan_options o = { .target = target, .real_double = real_double, .forced = forced,
                              .forced_count = forced_count };
    struct plan *p = *broken ? NULL : plan_model(&n->arena, train, use, &o, n->diag);
    diag_print(n->diag, stderr);
    *broken = *broken ? *broken : p ? plan_verify(p) : "no plan";
    return p;
}
