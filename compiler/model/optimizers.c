/* optimizers.c - see optimizers.h. */
#include "model/optimizers.h"

#include <string.h>

#include "base/text.h"

static bool has_momentum(const struct clause *c)
{
    return clause_number(c, "momentum") != 0;
}

static bool is_nesterov(const struct clause *c)
{
    return has_momentum(c) && clause_number(c, "nesterov") != 0;
}

static bool is_amsgrad(const struct clause *c)
{
    return clause_number(c, "amsgrad") != 0;
}

static bool is_centered(const struct clause *c)
{
    return clause_number(c, "centered") != 0;
}

static bool is_centered_with_momentum(const struct clause *c)
{
    return is_centered(c) && has_momentum(c);
}

/* D. Kingma, J. Ba, "Adam: A Method for Stochastic Optimization" (2015), section 2's last form: the corrections of the
 * two moments are taken into the rate, and epsilon is added to the uncorrected root, as Keras does.  amsgrad: S. Reddi,
 * S. Kale, S. Kumar, "On the Convergence of Adam and Beyond" (2018).  adamw: I. Loshchilov, F. Hutter, "Decoupled
 * Weight Decay Regularization" (2019); its decay is the option that every optimizer has. */
#define ADAM_NUMBERS .numbers = { { "rate", "lr * sqrt(1 - beta2^t) / (1 - beta1^t)" } }
#define MOMENTS { "m", "beta1 * m + (1 - beta1) * g" }, { "s", "beta2 * s + (1 - beta2) * (g * g)" }
#define ADAM ADAM_NUMBERS, .slots = { "m", "s" }, .values = { MOMENTS, { "change", "rate * m / (sqrt(s) + epsilon)" } }
#define AMSGRAD ADAM_NUMBERS, .slots = { "m", "s", "top" },                                                                 \
    .values = { MOMENTS, { "top", "max(top, s)" }, { "change", "rate * m / (sqrt(top) + epsilon)" } }

#define RATE .numbers = { { "rate", "lr" } }
#define SQUARES { "squares", "rho * squares + (1 - rho) * (g * g)" }
#define MEAN { "mean", "rho * mean + (1 - rho) * g" }
#define SPREAD "sqrt(squares - mean * mean + epsilon)"

static const struct optimizer_def optimizers[] = {
    { .name = "adam", .suits = is_amsgrad, AMSGRAD },
    { .name = "adam", ADAM },
    { .name = "adamw", .suits = is_amsgrad, AMSGRAD },
    { .name = "adamw", ADAM },
    /* T. Dozat, "Incorporating Nesterov Momentum into Adam" (2016), with Keras's momentum of a step,
     * beta1 (1 - 0.96^t / 2), and epsilon */
    { .name = "nadam", .given = "product", .function = "cnn_nadam_product", .of = "beta1",
      .numbers = { { "now", "beta1 * (1 - 0.5 * 0.96^t)" },
                   { "next", "beta1 * (1 - 0.5 * 0.96^(t + 1))" },
                   { "of_m", "lr * next / (1 - product * next)" },
                   { "of_g", "lr * (1 - now) / (1 - product)" },
                   { "of_s", "1 / (1 - beta2^t)" } },
      .slots = { "m", "s" },
      .values = { MOMENTS, { "change", "(of_m * m + of_g * g) / (sqrt(of_s * s) + epsilon)" } } },
    /* PyTorch's: the rate is not in the velocity.  I. Sutskever, J. Martens, G. Dahl, G. Hinton, "On the importance of
     * initialization and momentum in deep learning" (2013) */
    { .name = "sgd", .suits = is_nesterov, RATE, .slots = { "velocity" },
      .values = { { "velocity", "momentum * velocity + g" }, { "change", "rate * (momentum * velocity + g)" } } },
    { .name = "sgd", .suits = has_momentum, RATE, .slots = { "velocity" },
      .values = { { "velocity", "momentum * velocity + g" }, { "change", "rate * velocity" } } },
    { .name = "sgd", RATE, .values = { { "change", "rate * g" } } },
    /* T. Tieleman, G. Hinton, lecture 6.5 of "Neural Networks for Machine Learning" (2012), with epsilon within the
     * root and the rate within the momentum, as Keras does */
    { .name = "rmsprop", .suits = is_centered_with_momentum, RATE, .slots = { "squares", "mean", "moved" },
      .values = { SQUARES, MEAN, { "moved", "momentum * moved + rate * g / " SPREAD }, { "change", "moved" } } },
    { .name = "rmsprop", .suits = is_centered, RATE, .slots = { "squares", "mean" },
      .values = { SQUARES, MEAN, { "change", "rate * g / " SPREAD } } },
    { .name = "rmsprop", .suits = has_momentum, RATE, .slots = { "squares", "moved" },
      .values = { SQUARES, { "moved", "momentum * moved + rate * g / sqrt(squares + epsilon)" },
                  { "change", "moved" } } },
    { .name = "rmsprop", RATE, .slots = { "squares" },
      .values = { SQUARES, { "change", "rate * g / sqrt(squares + epsilon)" } } },
    /* J. Duchi, E. Hazan, Y. Singer, "Adaptive Subgradient Methods" (2011), with epsilon within the root, as Keras
     * does */
    { .name = "adagrad", RATE, .slots = { "sum" },
      .values = { { "sum", "sum + g * g" }, { "change", "rate * g / sqrt(sum + (initial_accumulator + epsilon))" } } },
    /* the rule of what is no matrix: adamw's */
    { .name = "muon", .matrices = true, .decay = "1 - adam_scale * lr * weight_decay",
      .numbers = { { "rate", "adam_scale * lr * sqrt(1 - beta2^t) / (1 - beta1^t)" } }, .slots = { "moment", "square" },
      .values = { { "moment", "beta1 * moment + (1 - beta1) * g" },
                  { "square", "beta2 * square + (1 - beta2) * (g * g)" },
                  { "change", "rate * moment / (sqrt(square) + epsilon)" } } },
};

const struct optimizer_def *optimizer_def_of(const struct model *m)
{
    const struct clause *c = m->optimizer;
    for (size_t i = 0; c && i < sizeof optimizers / sizeof optimizers[0]; i++)
        if (!strcmp(optimizers[i].name, c->def->name) && (!optimizers[i].suits || optimizers[i].suits(c)))
            return &optimizers[i];
    return NULL;
}

int optimizer_def_slots(const struct optimizer_def *o)
{
    int count = 0;
    while (count < OPTIMIZER_SLOTS && o->slots[count])
        count++;
    return count;
}

double optimizer_option(const struct model *m, const char *name, double otherwise)
{
    const struct clause *c = m->optimizer;
    for (int i = 0; c && i < clause_def_count(c->def); i++)
        if (!strcmp(c->def->args[i].name, name))
            return c->args[i].number;
    return otherwise;
}

const char *optimizer_text(struct arena *a, const struct optimizer_def *o)
{
    struct text t = { .arena = a };
    for (int i = 0; i < OPTIMIZER_FORMULAS && o->values[i].name; i++)
        if (strcmp(o->values[i].name, "change"))
            text_add(&t, "%s = %s, ", o->values[i].name, o->values[i].text);
        else
            text_add(&t, "p -= %s", o->values[i].text);
    return text_of(&t);
}
