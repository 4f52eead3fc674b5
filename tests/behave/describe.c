/* describe.c - random networks as files, for a reference in another language.
 *
 *     describe [--count N] [--seed S] [--batch N] FOLDER
 *
 * Of the network with seed S: FOLDER/random_S.cnn, its weights FOLDER/random_S.safetensors, and FOLDER/random_S.json,
 * which says what the reference (reference.h) knows of it: the nodes in the order in which they are computed, each with
 * what it reads; the loss; the optimizer.  Nothing of that comes from the compiler.
 */
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "generate.h"

static const char *const kinds[] = {
    [REF_INPUT] = "input", [REF_CONV2D] = "conv2d", [REF_MAXPOOL] = "maxpool", [REF_AVGPOOL] = "avgpool",
    [REF_GLOBAL_AVGPOOL] = "global_avgpool", [REF_FLATTEN] = "reshape", [REF_DENSE] = "dense",
    [REF_BATCHNORM] = "batchnorm",
    [REF_DROPOUT] = "dropout", [REF_ADD] = "add", [REF_ACTIVATION] = "activation", [REF_SOFTMAX] = "softmax",
    [REF_LOCALLY_CONNECTED2D] = "locally_connected2d", [REF_SCALE] = "scale", [REF_MULTIPLY] = "multiply",
    [REF_CONCAT] = "concat", [REF_CONV2D_TRANSPOSE] = "conv2d_transpose", [REF_MOVE] = "move",
    [REF_LAYERNORM] = "layernorm", [REF_LRN] = "lrn", [REF_PRELU] = "prelu"
};
static const char *const activations[REF_ACTIVATIONS] = {
#define REF_ACTIVATION(id, name, ...) #name,
#include "reference_activations.def"
#undef REF_ACTIVATION
};
static const char *const losses[] = {
    [REF_CROSSENTROPY] = "crossentropy", [REF_BINARY] = "binary", [REF_MSE] = "mse", [REF_MAE] = "mae",
    [REF_HUBER] = "huber", [REF_BENT] = "bent"
};
static const char *const ends[] = {
    [REF_END_SOFTMAX] = "softmax", [REF_END_SIGMOID] = "sigmoid", [REF_END_PLAIN] = "plain"
};
static const char *const targets[] = { "classes", "labels", "numbers", "input" };
static const char *const optimizers[] = {
    [REF_ADAM] = "adam", [REF_NADAM] = "nadam", [REF_SGD] = "sgd", [REF_RMSPROP] = "rmsprop", [REF_ADAGRAD] = "adagrad",
    [REF_MUON] = "muon"
};

static const char *truth(bool value)
{
    return value ? "true" : "false";
}

static void write_param(FILE *f, const struct ref_net *net, const char *what, int param)
{
    if (param >= 0)
        fprintf(f, ", \"%s\": \"%s\"", what, net->params[param].name);
}

static void write_node(FILE *f, const struct ref_net *net, const struct ref_node *n)
{
    const struct ref_window *k = &n->window;
    const struct ref_move *m = &n->move;
    fprintf(f, "{\"kind\": \"%s\", \"in\": [", kinds[n->kind]);
    for (int i = 0; i < n->in_count; i++)
        fprintf(f, "%s%d", i ? ", " : "", n->in[i]);
    fprintf(f, "], \"shape\": [%d, %d, %d], \"flat\": %s", n->c, n->h, n->w, truth(n->flat));
    if (k->kh)
        fprintf(f, ", \"kernel\": [%d, %d], \"stride\": [%d, %d], \"dilation\": [%d, %d], "
                   "\"padding\": [%d, %d, %d, %d]", k->kh, k->kw, k->sh, k->sw, k->dh, k->dw, k->top, k->bottom,
                k->left, k->right);
    if (n->kind == REF_MOVE)
        fprintf(f, ", \"top\": %d, \"left\": %d, \"front\": %d, \"rows\": %d, \"columns\": %d, \"bilinear\": %s",
                m->top, m->left, m->front, m->rows, m->columns, truth(m->bilinear));
    if (n->kind == REF_ACTIVATION)
        fprintf(f, ", \"activation\": \"%s\"", activations[n->activation]);
    fprintf(f, ", \"groups\": %d, \"group\": %d, \"size\": %d, \"unbiased\": %s, \"each\": %s, \"frozen\": %s",
            n->groups, n->group, n->size, truth(n->unbiased), truth(n->each), truth(n->frozen));
    fprintf(f, ", \"alpha\": %.17g, \"rate\": %.17g, \"epsilon\": %.17g, \"momentum\": %.17g, \"factor\": %.17g, "
               "\"power\": %.17g, \"offset\": %.17g", n->alpha, n->rate, n->epsilon, n->momentum, n->factor, n->power,
            n->offset);
    write_param(f, net, "weight", n->weight);
    write_param(f, net, "bias", n->bias);
    write_param(f, net, "running_mean", n->running_mean);
    write_param(f, net, "running_var", n->running_var);
    fputs("}", f);
}

static void write_params(FILE *f, const struct ref_net *net)
{
    static const char *const roles[] = { [REF_WEIGHT] = "weight", [REF_BIAS] = "bias", [REF_STATISTIC] = "statistic" };
    for (int i = 0; i < net->params_count; i++) {
        const struct ref_param *p = &net->params[i];
        fprintf(f, "%s  {\"name\": \"%s\", \"role\": \"%s\", \"fixed\": %s, \"l2\": %.17g, \"matrix\": %s",
                i ? ",\n" : "", p->name, roles[p->role], truth(p->fixed), p->l2, truth(ref_is_matrix(net, i)));
        if (p->grouped)
            fprintf(f, ", \"lr_scale\": %.17g, \"weight_decay\": %.17g, \"from\": %.17g, \"until\": %.17g",
                    p->group.lr_scale, p->group.weight_decay, p->group.from, fmin(p->group.until, 1e9));
        fputs("}", f);
    }
}

static void write_recipe(FILE *f, const struct network *n)
{
    const struct ref_loss *l = &n->net.objective;
    const struct ref_optimizer *o = &n->optimizer;
    int classes = n->outputs == 1 ? 2 : n->outputs;
    fprintf(f, "\"target\": \"%s\", \"loss\": \"%s\", \"end\": \"%s\", \"smoothing\": %.17g, \"delta\": %.17g",
            targets[n->target], losses[l->kind], ends[l->end], l->smoothing, l->delta);
    for (int k = 0; l->class_weights && k < classes; k++)
        fprintf(f, "%s%.17g%s", k ? ", " : ", \"class_weights\": [", l->class_weights[k], k + 1 == classes ? "]" : "");
    fprintf(f, ",\n\"optimizer\": {\"kind\": \"%s\", \"lr\": %.17g, \"beta1\": %.17g, \"beta2\": %.17g, "
               "\"epsilon\": %.17g, \"momentum\": %.17g, \"rho\": %.17g, ", optimizers[o->kind], o->lr, o->beta1,
            o->beta2, o->epsilon, o->momentum, o->rho);
    fprintf(f, "\"nesterov\": %s, \"amsgrad\": %s, \"centered\": %s, \"coupled\": %s, ", truth(o->nesterov),
            truth(o->amsgrad), truth(o->centered), truth(o->coupled));
    fprintf(f, "\"weight_decay\": %.17g, \"clip_norm\": %.17g, \"clip_value\": %.17g, ", o->weight_decay, o->clip_norm,
            o->clip_value);
    fprintf(f, "\"adam_scale\": %.17g, \"iterations\": %d, \"lookahead\": %.17g, \"every\": %d, \"power\": %.17g}",
            o->adam_scale, o->iterations, o->lookahead, o->every, o->power);
}

static FILE *create(const char *folder, const struct network *n, const char *suffix)
{
    char path[1000];
    snprintf(path, sizeof path, "%s/random_%llu.%s", folder, (unsigned long long)n->seed, suffix);
    FILE *f = fopen(path, "w");
    if (!f) {
        fprintf(stderr, "describe: cannot write %s\n", path);
        exit(1);
    }
    return f;
}

static bool describe(struct network *n, const char *folder)
{
    char weights[1000];
    FILE *text = create(folder, n, "cnn"), *f = create(folder, n, "json");
    bool fine = fputs(n->text, text) >= 0;
    fprintf(f, "{\"seed\": %llu, \"batch\": %d, \"outputs\": %d,\n", (unsigned long long)n->seed, n->batch, n->outputs);
    write_recipe(f, n);
    fputs(",\n\"nodes\": [\n", f);
    for (int i = 0; i < n->net.nodes_count; i++) {
        fputs(i ? ",\n  " : "  ", f);
        write_node(f, &n->net, &n->net.nodes[i]);
    }
    fputs("],\n\"params\": [\n", f);
    write_params(f, &n->net);
    fputs("]}\n", f);
    snprintf(weights, sizeof weights, "%s/random_%llu.safetensors", folder, (unsigned long long)n->seed);
    fine &= network_write_weights(n, weights);
    fine &= fclose(text) == 0;
    return fclose(f) == 0 && fine;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        { "count", 1, NULL, 'n' }, { "seed", 1, NULL, 's' }, { "batch", 1, NULL, 'B' }, { NULL, 0, NULL, 0 }
    };
    int count = 1, batch = 0, option;
    unsigned long long seed = 1;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        switch (option) {
        case 'n': count = atoi(optarg); break;
        case 's': seed = strtoull(optarg, NULL, 10); break;
        case 'B': batch = atoi(optarg); break;
        default: return 2;
        }
    if (optind + 1 != argc) {
        fputs("Usage: describe [--count N] [--seed S] [--batch N] FOLDER\n", stderr);
        return 2;
    }
    for (int i = 0; i < count; i++) {
        struct network *n = network_generate(seed + (unsigned long long)i, batch);
        bool fine = describe(n, argv[optind]);
        network_free(n);
        if (!fine) {
            fprintf(stderr, "describe: cannot write to %s\n", argv[optind]);
            return 1;
        }
    }
    return 0;
}
