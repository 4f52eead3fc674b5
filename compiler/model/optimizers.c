/* optimizers.c - what planning and emitting have to know of an optimizer. */
#include "model/optimizers.h"

#include <string.h>

static bool has_momentum(const struct clause *c)
{
    return clause_number(c, "momentum") != 0;
}

static bool is_nesterov(const struct clause *c)
{
    return has_momentum(c) && clause_number(c, "nesterov") != 0;
}

#define SGD_FORMULA "p -= rate g, by way of a velocity where there is momentum"

static const struct optimizer_def optimizers[] = {
    { .name = "adam", .rule = "cnn_adam", .at = "cnn_adam_at(c->lr, c->step", .numbers = { "beta1", "beta2", "epsilon" },
      .slots = 2, .call = "cnn_adam(&own, p + i, g + i, m + i, s + i)", .flops = 12,
      .formula = "m = beta1 m + (1 - beta1) g, s = beta2 s + (1 - beta2) g^2, p -= rate m / (sqrt(s) + epsilon)" },
    { .name = "sgd", .suits = is_nesterov, .rule = "cnn_sgd", .at = "cnn_sgd_at(c->lr", .numbers = { "momentum" },
      .slots = 1, .call = "cnn_sgd_nesterov(&own, p + i, g + i, m + i)", .flops = 4, .formula = SGD_FORMULA },
    { .name = "sgd", .suits = has_momentum, .rule = "cnn_sgd", .at = "cnn_sgd_at(c->lr", .numbers = { "momentum" },
      .slots = 1, .call = "cnn_sgd_momentum(&own, p + i, g + i, m + i)", .flops = 4, .formula = SGD_FORMULA },
    { .name = "sgd", .rule = "cnn_sgd", .at = "cnn_sgd_at(c->lr", .numbers = { "momentum" }, .slots = 0,
      .call = "cnn_sgd(&own, p + i, g + i)", .flops = 4, .formula = SGD_FORMULA },
};

const struct optimizer_def *optimizer_def_of(const struct model *m)
{
    const struct clause *c = m->optimizer;
    for (size_t i = 0; c && i < sizeof optimizers / sizeof optimizers[0]; i++)
        if (!strcmp(optimizers[i].name, c->def->name) && (!optimizers[i].suits || optimizers[i].suits(c)))
            return &optimizers[i];
    return NULL;
}

int optimizer_slots(const struct model *m)
{
    const struct optimizer_def *o = optimizer_def_of(m);
    return o ? o->slots : 0;
}
