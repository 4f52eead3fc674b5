/* optimizers.c - what planning and emitting have to know of an optimizer. */
#include "model/optimizers.h"

#include <string.h>

static int adam_slots(const struct clause *c)
{
    (void)c;
    return 2;
}

static int sgd_slots(const struct clause *c)
{
    return clause_number(c, "momentum") != 0;
}

static const struct optimizer_def optimizers[] = {
    { "adam", "cnn_adam", adam_slots, 12 },
    { "sgd", "cnn_sgd", sgd_slots, 4 },
};

const struct optimizer_def *optimizer_def_of(const struct model *m)
{
    if (!m->optimizer)
        return NULL;
    for (size_t i = 0; i < sizeof optimizers / sizeof optimizers[0]; i++)
        if (!strcmp(optimizers[i].name, m->optimizer->def->name))
            return &optimizers[i];
    return NULL;
}

int optimizer_slots(const struct model *m)
{
    const struct optimizer_def *o = optimizer_def_of(m);
    return o ? o->slots(m->optimizer) : 0;
}
