/* generate_recipe.c - recipes of random networks: losses and targets, optimizers. */
#include "generate_parts.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* ---- recipes --------------------------------------------------------------------------------------------------- */

/* What is learnt, from which loss; networks with a dropout that is read off gradients keep to the simplest. */
void choose_objective(struct maker *m, bool simple)
{
    struct ref_loss *o = &m->net->objective;
    int form = simple ? 0 : ref_range(&m->recipe, 0, 9);
    *o = (struct ref_loss){.kind = REF_CROSSENTROPY, .end = REF_END_SOFTMAX, .delta = 0.75};
    m->decays = !simple && recipe_chance(m, 30) ? 40 : 0;
    if (form < 4) {
        o->smoothing = !simple && recipe_chance(m, 40) ? 0.125 * ref_range(&m->recipe, 1, 4) : 0;
        return;
    }
    bool binary = form < 6;
    m->network->target = (enum network_target)ref_range(&m->recipe, NETWORK_OF_CLASSES, binary ? 4 : NETWORK_OF_INPUT);
    if (binary && m->network->target >= NETWORK_OF_NUMBERS)     /* of numbers between 0 and 1 there are none here */
        m->network->target = m->network->target == NETWORK_OF_NUMBERS ? NETWORK_OF_CLASSES : NETWORK_OF_LABELS;
    o->kind = binary ? REF_BINARY : (enum ref_loss_kind)ref_range(&m->recipe, REF_MSE, REF_BENT);
    o->numbers = m->network->target != NETWORK_OF_CLASSES;
    o->smoothing = binary && recipe_chance(m, 40) ? 0.125 * ref_range(&m->recipe, 1, 4) : 0;
    if (binary || m->network->target == NETWORK_OF_LABELS)
        o->end = REF_END_SIGMOID;
    else if (m->network->target == NETWORK_OF_CLASSES)
        o->end = recipe_chance(m, 50) ? REF_END_SIGMOID : REF_END_SOFTMAX;
    else
        o->end = recipe_chance(m, 30) ? REF_END_SIGMOID : REF_END_PLAIN;
    m->lone = m->network->target != NETWORK_OF_INPUT && o->end != REF_END_SOFTMAX && recipe_chance(m, 30);
}

static void choose_optimizer(struct maker *m, char *text, size_t size)
{
    static const char *const names[] = {"adam", "nadam", "sgd", "rmsprop", "adagrad"};
    struct ref_optimizer *o = &m->network->optimizer;
    *o = (struct ref_optimizer){.lr = chance(m, 50) ? 0.001 : 0.01, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-7};
    bool other = chance(m, 30);
    o->kind = recipe_chance(m, 50) ? REF_ADAM : (enum ref_optimizer_kind)ref_range(&m->recipe, REF_NADAM, REF_ADAGRAD);
    size_t used = (size_t)snprintf(text, size, "%s, lr=%g", names[o->kind], o->lr);
#define SAY(...) used += (size_t)snprintf(text + used, size - used, __VA_ARGS__)
    if (o->kind <= REF_NADAM && other) {
        o->beta1 = 0.8, o->beta2 = 0.99, o->epsilon = 1e-5;
        SAY(", beta1=0.8, beta2=0.99, epsilon=1e-5");
    }
    if (o->kind == REF_ADAM && recipe_chance(m, 30)) {
        o->amsgrad = true;
        SAY(", amsgrad=on");
    }
    if (o->kind == REF_SGD && other) {
        o->momentum = 0.75, o->nesterov = recipe_chance(m, 50);
        SAY(", momentum=0.75%s", o->nesterov ? ", nesterov=on" : "");
    }
    o->rho = o->kind == REF_RMSPROP ? 0.9 : 0.1;
    if (o->kind == REF_RMSPROP && other) {
        o->rho = 0.75, o->momentum = 0.5, o->centered = recipe_chance(m, 50);
        SAY(", rho=0.75, momentum=0.5%s", o->centered ? ", centered=on" : "");
    }
    if (o->kind == REF_ADAGRAD && other) {
        o->rho = 0.5;
        SAY(", initial_accumulator=0.5");
    }
    if (recipe_chance(m, 30)) {
        o->weight_decay = 0.125, o->coupled = recipe_chance(m, 40);
        SAY(", weight_decay=0.125%s", o->coupled ? ", coupled=on" : "");
    }
    if (recipe_chance(m, 20)) {
        o->clip_norm = 0.5;
        SAY(", clip_norm=0.5");
    }
    if (recipe_chance(m, 20)) {
        o->clip_value = 0.03125;
        SAY(", clip_value=0.03125");
    }
    if (recipe_chance(m, 15))           /* averages are kept beside: what is trained is the same */
        SAY(", ema=0.75");
#undef SAY
    assert(used < size);
}

static void write_loss(struct maker *m)
{
    static const char *const names[] = {
        "categorical_crossentropy", "binary_crossentropy", "mse", "mae", "huber", "bent"
    };
    const struct ref_loss *o = &m->net->objective;
    struct network *n = m->network;
    fprintf(m->out, "    loss %s", names[o->kind]);
    if (o->smoothing > 0)
        fprintf(m->out, ", label_smoothing=%g", o->smoothing);
    if (o->kind == REF_HUBER || o->kind == REF_BENT)
        fprintf(m->out, ", %s=%g", o->kind == REF_HUBER ? "delta" : "a", o->delta);
    fputc('\n', m->out);
    if (n->target != NETWORK_OF_CLASSES || n->kind != NETWORK_PLAIN || !recipe_chance(m, 30))
        return;
    int classes = n->outputs == 1 ? 2 : n->outputs;
    for (int k = 0; k < classes; k++) {
        n->class_weights[k] = 0.25 * ref_range(&m->recipe, k == 0, 12);
        fprintf(m->out, "%s%g%s", k ? ", " : "    class_weights [", n->class_weights[k], k + 1 == classes ? "]\n" : "");
    }
    m->net->objective.class_weights = n->class_weights;
}

void write_data(struct maker *m)
{
    static const char *const targets[] = {"classes", "labels", "numbers"};
    if (m->network->target == NETWORK_OF_INPUT)
        fputs("data {\n    npy x=\"x.npy\"\n    split 0.5\n    target input\n}\n\n", m->out);
    else if (m->net->objective.kind != REF_CROSSENTROPY)
        fprintf(m->out, "data {\n    npy x=\"x.npy\", y=\"y.npy\", targets=%s\n    split 0.5\n}\n\n",
                targets[m->network->target]);
}

void write_train(struct maker *m)
{
    struct network *n = m->network;
    char optimizer[300];
    fputs("}\n\ntrain {\n", m->out);
    choose_optimizer(m, optimizer, sizeof optimizer);
    write_loss(m);
    fprintf(m->out, "    optimizer %s\n", optimizer);
    if (n->measured)
        fprintf(m->out, "    metrics accuracy%s\n", n->f1 ? ", f1_score" : "");
    fprintf(m->out, "    epochs 1\n    batch %d\n    seed 3\n}\n", n->batch);
    if (m->bends)
        fputs("\nactivation bend(x) = x * tanh(softplus(x))\n", m->out);
    if (m->net->objective.kind == REF_BENT)
        fputs("\nloss bent(y, p, a=0.5) = mean(a * (p - y)^4 + abs(y) * (p - y)^2)\n", m->out);
}

void network_targets(const struct network *n, uint64_t *random, const double *input, int count, int32_t *labels,
                     double *targets)
{
    int classes = n->outputs == 1 ? 2 : n->outputs;
    for (int i = 0; i < count && n->target == NETWORK_OF_CLASSES; i++)
        labels[i] = ref_range(random, 0, classes - 1);
    for (int64_t j = 0; j < (int64_t)count * n->outputs && n->target != NETWORK_OF_CLASSES; j++)
        targets[j] = n->target == NETWORK_OF_INPUT    ? input[j]
                     : n->target == NETWORK_OF_LABELS ? ref_range(random, 0, 1)
                                                      : (double)(float)ref_normal(random);
}
