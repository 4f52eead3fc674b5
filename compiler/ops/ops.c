/* ops.c - the tables of layers and operations, see ops.h. */
#include "ops/ops.h"

#include <assert.h>
#include <string.h>

#define LAYER(name) extern const struct layer_def layer_##name;
#include "ops/layers.def"
#undef LAYER

#define OP(name, attributes, text) extern const struct op_def op_def_##name;
#include "graph/ops.def"
#undef OP

static const struct layer_def *const layers[] = {
#define LAYER(name) &layer_##name,
#include "ops/layers.def"
#undef LAYER
};

static const struct op_def *const operations[] = {
#define OP(name, attributes, text) [OP_##name] = &op_def_##name,
#include "graph/ops.def"
#undef OP
};

const struct layer_def *const *layer_defs(int *count)
{
    *count = (int)(sizeof layers / sizeof *layers);
    return layers;
}

const struct layer_def *layer_def_find(const char *name)
{
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
        if (!strcmp(layers[i]->clause.name, name))
            return layers[i];
    return NULL;
}

int64_t layer_trained(const struct layer *l)
{
    int64_t (*count)(const struct layer *) = l->bias_only ? l->def->biases : l->def->parameters;

    return l->trainable && count ? count(l) : 0;
}

static int64_t layer_statistics(const struct layer *l)
{
    return l->def->statistics ? l->def->statistics(l) : 0;
}

int64_t layer_weights(const struct layer *l)
{
    return l->def->parameters ? l->def->parameters(l) - layer_statistics(l) : 0;
}

int64_t layer_learns(const struct layer *l)
{
    return layer_trained(l) - (l->trainable && !l->bias_only ? layer_statistics(l) : 0);
}

const struct op_def *op_def_get(enum op op)
{
    assert(op >= 0 && op < OP_COUNT && operations[op]->op == op);
    return operations[op];
}
