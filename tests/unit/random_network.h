/* random_network.h - random networks for unit tests, and random numbers for their parameters. */
#ifndef RANDOM_NETWORK_H
#define RANDOM_NETWORK_H

#include <criterion/criterion.h>
#include <math.h>
#include "network_fixture.h"
#include "ops/run_graph.h"

static inline double next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(*state >> 33) / (double)(1u << 31) * 2 - 1;
}

static inline int choose(uint64_t *state, int count)
{
    return (int)((next_random(state) + 1) / 2 * count) % count;
}

static inline void fill(const struct run *r, const struct tensor *t, uint64_t *state, double scale,
                 double shift)
{
    for (int64_t i = 0; i < run_elements(r, t); i++)
        run_values(r, t)[i] = next_random(state) * scale + shift;
}

static inline struct run filled_run(struct network *n, const struct graph *g, int batch,
                                     uint64_t *state)
{
    struct run r = run_new(&n->arena, g, batch);

    fill(&r, g->input, state, 1, 0);
    for (int i = 0; i < g->params_count; i++) {
        const struct param *p = g->params[i];
        bool positive =
            p->role == CNN_STATISTIC || (p->form == &param_vector && p->role == CNN_WEIGHT);
        int field = param_extent(p, CNN_AXIS_KH) * param_extent(p, CNN_AXIS_KW);
        fill(&r, p->tensor, state, positive ? 0.3 : 1.5 / sqrt((double)param_extent(p, CNN_AXIS_IN) * field),
             positive ? 1 : 0);
    }
    for (int s = 0; s < batch; s++)
        run_values(&r, g->target)[s] = choose(state, g->logits->shape.c);
    return r;
}

static inline struct layer *put_act(struct network *n, struct layer *from, const char *name)
{
    return put(n, name, from);
}

/* ---- random networks ------------------------------------------------------------------------- */

static inline struct layer *random_conv(struct network *n, struct layer *l, uint64_t *state)
{
    struct layer *conv = layer_after(n, "conv2d", l);

    arg_number(conv, "filters", 1 + choose(state, 5));
    int kh = 1 + choose(state, l->out.h < 3 ? l->out.h : 3),
        kw = 1 + choose(state, l->out.w < 3 ? l->out.w : 3);
    arg_pair(conv, "kernel", kh, kw);
    int stride = 1 + choose(state, 2), padding = choose(state, 2);
    arg_pair(conv, "stride", stride, 1 + choose(state, 2));
    if (choose(state, 2))
        arg_text(conv, "padding", "same");
    else
        arg_pair(conv, "padding", padding, 1 - padding);
    arg_number(conv, "bias", choose(state, 3) > 0);
    if (choose(state, 2))
        arg_activation(n, conv, choose(state, 2) ? "tanh" : "gelu");
    cr_assert(layer_shape(n, conv));
    return conv;
}

static inline struct layer *random_diamond(struct network *n, struct layer *l, uint64_t *state)
{
    struct layer *same = layer_after(n, "conv2d", l);

    arg_number(same, "filters", l->out.c);
    arg_pair(same, "kernel", 3, 2);
    arg_text(same, "padding", "same");
    cr_assert(layer_shape(n, same));
    if (choose(state, 2))
        return put_add(n, put_act(n, same, "swish"), l);
    struct layer *vector = put_dense(n, put(n, "global_avgpool2d", same), l->out.c),
                 *sum = put_add(n, l, same);
    return put_add(n, vector, sum);
}

static inline struct layer *random_norm(struct network *n, struct layer *l, uint64_t *state)
{
    static const char *const kinds[] = { "batchnorm", "batchnorm", "layernorm", "groupnorm" };
    int kind = choose(state, 4);
    struct layer *norm = layer_after(n, kinds[kind], l);

    if (kind == 2 && choose(state, 2))
        arg_text(norm, "over", "all");
    if (kind == 3)
        arg_number(norm, "groups", l->out.c % 2 || choose(state, 2) ? 1 : 2);
    if (kind == 1)
        arg_number(norm, "group", choose(state, 4));
    cr_assert(layer_shape(n, norm));
    arg_number(norm, "scale", choose(state, 3) > 0);
    arg_number(norm, "center", choose(state, 3) > 0);
    return norm;
}

static inline struct layer *random_layer(struct network *n, struct layer *l, uint64_t *state)
{
    switch (choose(state, 8)) {
    case 0:
    case 1: return random_conv(n, l, state);
    case 2: return random_diamond(n, l, state);
    case 3: return random_norm(n, l, state);
    case 4: return put_dropout(n, l, 0.3);
    case 6:
        l = layer_after(n, "scale", l);
        arg_number(l, "factor", choose(state, 2) ? -1.5 : 0.25);
        cr_assert(layer_shape(n, l));
        return l;
    case 5: return put(n, choose(state, 2) ? "leaky_relu" : "softmax", l);
    default:
        if (l->out.h < 2 || l->out.w < 2)
            return put(n, "selu", l);
        return put_pool(n, l, choose(state, 2) ? "maxpool2d" : "avgpool2d", 2,
                        1 + choose(state, 2));
    }
}

static inline struct layer *random_end(struct network *n, struct layer *l, uint64_t *state)
{
    l = put(n, choose(state, 3) ? "flatten" : "global_avgpool2d", l);
    if (choose(state, 2))
        l = random_norm(n, l, state);
    if (choose(state, 2))
        l = put_add(n, l, put_dense(n, l, l->out.c));
    return l;
}

static inline void put_random(struct network *n, uint64_t *state)
{
    network_begin(n);
    int channels = 1 + choose(state, 4), height = 4 + choose(state, 5);
    struct layer *l = put_input(n, channels, height, 4 + choose(state, 5));
    for (int i = 2 + choose(state, 5); i > 0; i--) {
        l = random_layer(n, l, state);
        l->trainable = choose(state, 6) > 0;
        l->bias_only = choose(state, 6) == 0;
    }
    l = random_end(n, l, state);
    put_loss(n, l, 2 + choose(state, 4));
}

#endif
