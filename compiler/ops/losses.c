/* losses.c - see losses.h. */
#include "ops/losses.h"

#include <string.h>

#include "ops/op_support.h"

#define LOSS(name) extern const struct loss_def loss_##name;
#include "model/losses.def"
#undef LOSS

static const struct {
    const char *name;
    const struct loss_def *def;
} rows[] = {
#define LOSS(name) {#name, &loss_##name},
#include "model/losses.def"
#undef LOSS
};

const struct loss_def *loss_def_of(const struct clause *loss)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!strcmp(rows[i].name, loss->def->name))
            return rows[i].def;
    return NULL;
}

const struct clause *layer_activation(const struct layer *l)
{
    if (l->def->is_activation)
        return l->clause;
    for (int i = 0; i < clause_def_count(l->clause->def); i++)
        if (l->clause->def->args[i].type == ARG_ACTIVATION)
            return l->clause->args[i].call;
    return NULL;
}

bool activation_is_left(const struct model *m)
{
    return m->loss ? loss_def_of(m->loss)->on_logits : m->ends_in_softmax;
}

void loss_tensors(struct graph *g, struct shape predictions)
{
    g->predictions = graph_tensor(g, TENSOR_ACTIVATION, predictions, "predictions");
    g->loss = graph_tensor(g, TENSOR_LOSS, (struct shape){1, 1, 1, true}, "loss");
}
