/* elementwise.c - one pass over an image: bias, activations, dropout, sums, batch normalisation with known moments,
 * and whatever the chain adds to them.  Everything it computes is written by chain.c. */
#include <inttypes.h>

#include "ops/ops.h"
#include "kernels/loops.h"

static const struct tensor *value_of(const struct group *g)
{
    int value = 0;
    chain_accepts(g->main, &value);
    return g->main->in[value];
}

/* Operands beside the value, an element each. */
static int element_operands(const struct node *n)
{
    int count = 0, value = 0;
    chain_accepts(n, &value);
    for (int i = 0; i < n->in_count; i++)
        if (i != value && n->in[i] && n->in[i]->per_sample)
            count++;
    return count;
}

/* An operation of the forward pass whose result is made for the backward one. */
static bool is_again(const struct node *n)
{
    return n->backward && n->forward && n->forward->op == n->op;
}

static double elementwise_cost(const struct plan *p, const struct group *g)
{
    int streams = 2 + element_operands(g->main);
    for (int i = 0; i < g->chain_count; i++)
        streams += element_operands(g->chain[i]);
    return pass_cycles(p, value_of(g), chain_cycles(p, g), streams);
}

static void elementwise_plan(struct plan *p, struct program *q, struct group *g)
{
    int64_t flops = group_flops(p, g);
    int rows = value_of(g)->shape.h;
    struct step *s;
    if (!g->main->backward && rows > 1 && plan_splits_image(p, elementwise_cost(p, g)))
        s = plan_step(p, q, g, 0, SPLIT_BLOCKS, rows, "forward", flops);
    else
        s = plan_step(p, q, g, 0, SPLIT_IMAGES, 0,
                      is_again(g->main) ? "again" : g->main->backward ? "data gradient" : "forward", flops);
    step_takes_rows(p, s, value_of(g), g->result);
    step_takes_chain(p, s);
    if (g->together)
        s->images = g->together;
}

static const char *elementwise_emit(struct emitter *e, const struct step *s)
{
    const struct group *g = s->group;
    const struct tensor *x = value_of(g);
    const char *real = e->plan->real, *shape = text_shape(e, x->shape);
    bool gradient = g->main->backward && !is_again(g->main);
    const char *from = gradient ? "dy" : "x", *to = gradient ? "dx" : "y";
    bool blocks = s->split == SPLIT_BLOCKS;
    struct chain c;
    chain_make(e->plan, g, &c);
    emit_function(e, "%sconst %s *%s, %s *restrict %s%s",
                  blocks ? "int b, " : "", real, from, real, to, chain_parameters(e, &c));
    cw_line(e->w, "// %s, %s (%d, %d, %d)", from, to, x->shape.h, x->shape.w, x->shape.c);
    if (c.together)             /* as many times the channels */
        chain_over_image(e, &c, from, to, "0", tensor_pixels(x), (int64_t)x->shape.c * g->together);
    else if (chain_is_strided(e, &c, x, g->result))
        chain_over_places(e, &c, from, x, to, g->result);
    else if (blocks)            /* a row of the map */
        chain_over_image(e, &c, from, to, text_printf(e, "b * %d", x->shape.w * x->shape.c), x->shape.w, x->shape.c);
    else
        chain_over_image(e, &c, from, to, "0", tensor_pixels(x), x->shape.c);
    const char *hint = text_printf(e, "%s_%s", chain_suffix(e, &c) + 1, shape);
    return emit_end(e, hint, emit_comment(e, s));
}

static bool elementwise_strided(const struct plan *p, const struct group *g, const struct tensor *t)
{
    (void)p;
    (void)g;
    (void)t;
    return true;
}

/* What reads neither numbers of samples nor the places of elements. */
static bool elementwise_together(const struct plan *p, const struct node *n)
{
    (void)p;
    bool simple = n->op == OP_bias || n->op == OP_activation || n->op == OP_activation_grad || n->op == OP_sum;
    return simple && !n->out[0]->shape.flat;
}

#define ELEMENTWISE(operation)                                                                       \
    const struct kernel kernel_##operation = {                                                       \
        .name = "elementwise", .op = OP_##operation, .fuses_chain = true,                            \
        .applicable = always_applicable, .cost = elementwise_cost, .plan = elementwise_plan,         \
        .emit = elementwise_emit, .strided = elementwise_strided, .together = elementwise_together, \
        .help = "one pass over the image", \
    };

ELEMENTWISE(bias)
ELEMENTWISE(activation)
ELEMENTWISE(activation_grad)
ELEMENTWISE(dropout)
ELEMENTWISE(dropout_grad)
ELEMENTWISE(add)
ELEMENTWISE(multiply)
ELEMENTWISE(sum)
ELEMENTWISE(factor)
ELEMENTWISE(factor_grad)
ELEMENTWISE(batchnorm)
ELEMENTWISE(batchnorm_use)
ELEMENTWISE(batchnorm_use_grad)
ELEMENTWISE(batchnorm_data_grad)
ELEMENTWISE(batchnorm_rest_grad)
ELEMENTWISE(norm)
ELEMENTWISE(norm_data_grad)
ELEMENTWISE(prelu)
ELEMENTWISE(prelu_data_grad)
