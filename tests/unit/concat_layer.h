/* concat_layer.h - a layer that concatenates, which the language does not have yet, for networks built by hand. */
#ifndef CONCAT_LAYER_H
#define CONCAT_LAYER_H

#include "network_fixture.h"
#include "ops/ops.h"

static inline bool concat_shape(struct layer *l, struct diag *d)
{
    (void)d;
    l->out = l->inputs[0]->out;
    for (int i = 1; i < l->inputs_count; i++)
        l->out.c += l->inputs[i]->out.c;
    return true;
}

static inline struct tensor *concat_lower(struct graph *g, struct layer *l, struct tensor *const *x)
{
    return lower_concat(g, l, l->name, x, l->inputs_count);
}

static const struct arg_def concat_args[] = { { .name = NULL } };
static const struct layer_def concat_def = {
    .clause = { .name = "concat", .args = concat_args, .help = "" }, .is_join = true, .shape = concat_shape,
    .lower = concat_lower,
};

static inline struct layer *put_concat(struct network *n, struct layer *const *inputs, int count)
{
    struct layer *l = layer_of(n, &concat_def, inputs, count);
    if (!layer_shape(n, l))
        abort();
    return l;
}

#define CONCAT(n, ...) \
    put_concat(n, (struct layer *[]){ __VA_ARGS__ }, (int)(sizeof((struct layer *[]){ __VA_ARGS__ }) / sizeof(struct layer *)))

#endif
