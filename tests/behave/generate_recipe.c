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

#define SAY(...) used += (size_t)snprintf(text + used, size - used, __VA_ARGS__)

/* What is its own of the optimizer; `other` than the defaults. */
static void choose_rule(struct maker *m, bool other, char *text, size_t size)
{
    struct ref_optimizer *o = &m->network->optimizer;
    size_t used = 0;
    text[0] = '\0';
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
    if (o->kind == REF_MUON) {
        o->momentum = 0.95, o->nesterov = true, o->iterations = 5;
        o->adam_scale = 0.015, o->beta2 = 0.95, o->epsilon = 1e-10;
        if (other) {
            o->momentum = 0.75, o->nesterov = false, o->iterations = 3, o->adam_scale = 0.5, o->epsilon = 1e-5;
            SAY(", momentum=0.75, nesterov=off, iterations=3, adam_scale=0.5, epsilon=1e-5");
        }
    }
}

static void choose_optimizer(struct maker *m, char *text, size_t size)
{
    static const char *const names[] = {"adam", "nadam", "sgd", "rmsprop", "adagrad", "muon"};
    struct ref_optimizer *o = &m->network->optimizer;
    *o = (struct ref_optimizer){.lr = chance(m, 50) ? 0.001 : 0.01, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-7,
                                 .every = 1};
    bool other = chance(m, 30);
    char own[200];
    o->kind = recipe_chance(m, 40) ? REF_ADAM : (enum ref_optimizer_kind)ref_range(&m->recipe, REF_NADAM, REF_MUON);
    choose_rule(m, other, own, sizeof own);
    size_t used = (size_t)snprintf(text, size, "%s, lr=%g%s", names[o->kind], o->lr, own);
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
    if (recipe_chance(m, 25)) {
        o->lookahead = 0.5, o->every = ref_range(&m->recipe, 1, 4), o->power = ref_range(&m->recipe, 0, 2);
        SAY(", lookahead=0.5, every=%d, lookahead_power=%g", o->every, o->power);
    }
    assert(used < size);
}

/* ---- groups of parameters ---------------------------------------------------------------------------------------- */

enum { WEIGHTS, BIASES, NORMS, LAYER };

static bool is_norm(const struct ref_net *net, int param)
{
    for (int i = 0; i < net->nodes_count; i++)
        if (net->nodes[i].weight == param || net->nodes[i].bias == param)
            return net->nodes[i].kind == REF_BATCHNORM || net->nodes[i].kind == REF_LAYERNORM;
    return false;
}

static bool is_prelu(const struct ref_net *net, int param)
{
    for (int i = 0; i < net->nodes_count; i++)
        if (net->nodes[i].weight == param)
            return net->nodes[i].kind == REF_PRELU;
    return false;
}

static bool selects(const struct ref_net *net, int selector, const char *layer, int param)
{
    const struct ref_param *p = &net->params[param];
    size_t length = strlen(layer);
    switch (selector) {
    case WEIGHTS: return p->role == REF_WEIGHT && !is_norm(net, param) && !is_prelu(net, param);
    case BIASES: return p->role == REF_BIAS;
    case NORMS: return is_norm(net, param);
    default: return strncmp(p->name, layer, length) == 0 && p->name[length] == '.' && p->role != REF_STATISTIC;
    }
}

/* A parameter that learns; -1: there is none. */
static int learning_param(struct maker *m)
{
    int count = 0, pick = -1;
    for (int i = 0; i < m->net->params_count; i++)
        if (m->net->params[i].role != REF_STATISTIC && !m->net->params[i].fixed &&
            ref_range(&m->recipe, 0, count++) == 0)
            pick = i;
    return pick;
}

/* "conv2d_1" of "conv2d_1.weight" */
static void layer_of(const struct ref_param *p, char *name, size_t size)
{
    snprintf(name, size, "%.*s", (int)strcspn(p->name, "."), p->name);
}

/* One statement, and what it does to those that it names.  Windows are whole epochs of three: a step each. */
static void write_group(struct maker *m)
{
    static const char *const words[] = {"weights", "biases", "norms"};
    static const double scales[] = {0.5, 2, 0, 8};
    struct ref_net *net = m->net;
    struct ref_group g = {.lr_scale = 1, .weight_decay = m->network->optimizer.weight_decay, .until = INFINITY};
    char layer[80];
    int picked = learning_param(m);
    if (picked < 0)
        return;
    layer_of(&net->params[picked], layer, sizeof layer);
    int selector = recipe_chance(m, 50) ? LAYER : is_norm(net, picked) ? NORMS : net->params[picked].role == REF_BIAS
        ? BIASES
                   : is_prelu(net, picked) ? LAYER : WEIGHTS;
    fprintf(m->out, "    params %s", selector == LAYER ? layer : words[selector]);
    if (recipe_chance(m, 60)) {
        g.lr_scale = scales[ref_range(&m->recipe, 0, 3)];
        fprintf(m->out, ", lr_scale=%g", g.lr_scale);
    }
    if (recipe_chance(m, 30)) {
        g.weight_decay = 0.0625 * ref_range(&m->recipe, 0, 1);
        fprintf(m->out, ", weight_decay=%g", g.weight_decay);
    }
    if (recipe_chance(m, 35)) {
        g.from = ref_range(&m->recipe, 1, 2);
        fprintf(m->out, ", from=%g", g.from);
    }
    if (g.from < 2 && (g.lr_scale == 1 || recipe_chance(m, 40))) {
        g.until = g.from + ref_range(&m->recipe, 1, 2 - (int)g.from);
        fprintf(m->out, ", until=%g", g.until);
    }
    fputc('\n', m->out);
    for (int i = 0; i < net->params_count; i++)
        if (net->params[i].role != REF_STATISTIC && selects(net, selector, layer, i)) {
            net->params[i].grouped = true;
            net->params[i].group = g;
        }
}

/* Of a network whose dropout is read off gradients nothing is frozen. */
static void write_groups(struct maker *m)
{
    char layer[80];
    int count = recipe_chance(m, 40) ? ref_range(&m->recipe, 1, 3) : 0, still = -1;
    if (m->network->kind == NETWORK_PLAIN && recipe_chance(m, 15) && (still = learning_param(m)) >= 0) {
        layer_of(&m->net->params[still], layer, sizeof layer);
        ref_freeze(m->net, layer);
        fprintf(m->out, "    freeze %s\n", layer);
    }
    while (count-- > 0)
        write_group(m);
}

/* ---- the text ---------------------------------------------------------------------------------------------------- */

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
    char optimizer[400];
    fputs("}\n\ntrain {\n", m->out);
    choose_optimizer(m, optimizer, sizeof optimizer);
    write_loss(m);
    fprintf(m->out, "    optimizer %s\n", optimizer);
    write_groups(m);
    if (n->measured)
        fprintf(m->out, "    metrics accuracy%s\n", n->f1 ? ", f1_score" : "");
    fprintf(m->out, "    epochs 3\n    batch %d\n    seed 3\n}\n", n->batch);
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
