/* generate.c - random networks: whole ones, their parameters and files. */
#define _GNU_SOURCE
#include "generate_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- whole networks -------------------------------------------------------------------------------------------- */

static int make_map_layer(struct maker *m, int x)
{
    int p = range(m, 1, 100);
    if (p <= 26)
        return make_conv(m, x);
    if (p <= 37)
        return make_grouped(m, x);
    if (p <= 41)
        return make_local(m, x);
    if (p <= 49)
        return make_transposed(m, x);
    if (p <= 55)
        return make_move(m, x);
    if (p <= 64)
        return make_pool(m, x);
    if (p <= 69)
        return make_batchnorm(m, x);
    if (p <= 73)
        return make_sample_norm(m, x);
    if (p <= 76)
        return chance(m, 50) ? make_lrn(m, x) : make_prelu(m, x);
    if (p <= 80)
        return make_activation(m, x);
    if (p <= 82)
        return make_softmax(m, x);
    if (p <= 84)
        return make_no_dropout(m, x);
    if (p <= 87)
        return make_scale(m, x);
    if (ref_node_size(node_of(m, x)) > 6000 || m->budget < 100000)
        return x;
    return make_any_join(m, x);
}

static int make_flat_layer(struct maker *m, int x)
{
    int p = range(m, 1, 100), units = random_channels(m);
    if (p <= 50 && (int64_t)units * node_of(m, x)->c <= m->budget / 2)
        return put_dense(m, x, units, choose_activation(m, 70));
    if (p <= 60)
        return make_batchnorm(m, x);
    if (p <= 67)
        return make_sample_norm(m, x);
    if (p <= 69)
        return make_prelu(m, x);
    if (p <= 75)
        return make_activation(m, x);
    if (p <= 79)
        return make_softmax(m, x);
    if (p <= 82)
        return make_no_dropout(m, x);
    if (p <= 86)
        return make_scale(m, x);
    return make_flat_join(m, x);
}

static int make_flatten(struct maker *m, int x)
{
    write_line(m, "flatten");
    return ref_flatten(m->net, x);
}

static const char *end_word(const struct maker *m)
{
    static const char *const words[] = {[REF_END_SOFTMAX] = "softmax", [REF_END_SIGMOID] = "sigmoid",
                                         [REF_END_PLAIN] = NULL};
    return words[m->net->objective.end];
}

/* What is before the end, and the end, as the last layer's activation or as a layer. */
static int end_dense(struct maker *m, int x, int outputs)
{
    struct choice c = {.any = false};
    const char *end = end_word(m);
    if (!end)
        return put_dense(m, x, outputs, choose_activation(m, 30));
    if (chance(m, 60)) {
        snprintf(c.text, sizeof c.text, ", %s", end);
        return put_dense(m, x, outputs, c);
    }
    x = put_dense(m, x, outputs, c);
    if (chance(m, 25))
        x = make_scale(m, x);
    write_line(m, "%s", end);
    return x;
}

/* Ends without a dense layer: outputs from a convolution or from the map itself. */
static int end_without_dense(struct maker *m, int x, int outputs)
{
    int64_t size = ref_node_size(node_of(m, x));
    struct ref_window whole = {.kh = node_of(m, x)->h, .kw = node_of(m, x)->w, .sh = 1, .sw = 1, .dh = 1, .dw = 1};
    if (size >= 2 && size <= NETWORK_CLASSES && !m->lone && chance(m, 50)) {
        x = make_flatten(m, x);
    } else if (chance(m, 50) && conv_cost(node_of(m, x), outputs, &whole) <= m->budget) {
        x = put_conv(m, x, outputs, whole, false, 0);
        x = make_flatten(m, x);
    } else {
        x = put_keeping_conv(m, x, outputs, 20);
        x = make_global_pool(m, x);
    }
    if (end_word(m))
        write_line(m, "%s", end_word(m));
    return x;
}

static int make_plain(struct maker *m, int x)
{
    int layers = range(m, 1, 7), classes = chance(m, 15) ? range(m, 13, 40) : range(m, 2, 12);
    if (m->lone)
        classes = 1;
    for (int i = 0; i < layers; i++)
        x = make_map_layer(m, x);
    if (chance(m, 20))
        return end_without_dense(m, x, classes);
    while (ref_node_size(node_of(m, x)) > 3000)
        x = make_pool(m, x);
    x = chance(m, 25) ? make_global_pool(m, x) : make_flatten(m, x);
    layers = range(m, 0, 3);
    for (int i = 0; i < layers; i++)
        x = make_flat_layer(m, x);
    return end_dense(m, x, classes);
}

/* The input again: layers that keep its size, or halve it and double it. */
static int make_copy(struct maker *m, int x)
{
    const struct ref_node *in = node_of(m, 0);
    int layers = range(m, 1, 3), channels = in->c;
    bool halved = in->h % 2 == 0 && in->w % 2 == 0 && chance(m, 60);
    if (halved) {
        struct ref_window k = {.kh = 3, .kw = 3, .sh = 2, .sw = 2, .dh = 1, .dw = 1};
        x = put_conv(m, x, range(m, 2, 16), ref_window_same(k, in->h, in->w), true, 70);
    }
    for (int i = 0; i < layers && m->budget > 100000; i++)
        x = chance(m, 60) ? put_keeping_conv(m, x, range(m, 1, 20), 60) : make_batchnorm(m, x);
    if (halved) {
        struct ref_window k = {.kh = range(m, 2, 4), .kw = range(m, 2, 4), .sh = 2, .sw = 2, .dh = 1, .dw = 1};
        transposed_same(k.kh, 2, &k.top, &k.bottom);
        transposed_same(k.kw, 2, &k.left, &k.right);
        x = put_transposed(m, x, range(m, 1, 12), 1, k, true, (int[]){0, 0});
    }
    x = put_keeping_conv(m, x, channels, m->net->objective.end == REF_END_PLAIN ? 30 : 0);
    if (end_word(m))
        write_line(m, "%s", end_word(m));
    return x;
}

/* Small maps of many channels: what is cut by panels of channels. */
static int make_wide(struct maker *m, int x)
{
    struct ref_window point = {.kh = 1, .kw = 1, .sh = 1, .sw = 1, .dh = 1, .dw = 1};
    int layers = range(m, 1, 2), classes = range(m, 2, 12);
    x = put_conv(m, x, 16 * range(m, 8, 9), point, false, 50);
    for (int i = 0; i < layers; i++) {
        struct ref_window k = point;
        k.kh = range(m, 2, 3);
        k.kw = chance(m, 70) ? k.kh : range(m, 2, 3);
        k = ref_window_same(k, node_of(m, x)->h, node_of(m, x)->w);
        x = put_conv(m, x, chance(m, 85) ? 16 * range(m, 8, 9) : range(m, 120, 140), k, true, 50);
        if (chance(m, 50))
            x = make_batchnorm(m, x);
    }
    x = chance(m, 50) ? make_global_pool(m, x) : make_flatten(m, x);
    return end_dense(m, x, classes);
}

static int make_with_dropout(struct maker *m, int x)
{
    int layers = m->network->kind == NETWORK_DROPOUT_FIRST ? 0 : range(m, 1, 4), classes = range(m, 2, 10);
    for (int i = 0; i < layers; i++)
        x = make_map_layer(m, x);
    while (ref_node_size(node_of(m, x)) > 3000)
        x = make_pool(m, x);
    bool flat = chance(m, 40);
    if (flat)
        x = make_flatten(m, x);
    double rate = range(m, 1, 7) / 8.0;
    m->network->by_channel = !flat && chance(m, 40);
    write_line(m, "%s %g", m->network->by_channel ? "spatial_dropout2d" : "dropout", rate);
    x = ref_dropout(m->net, x, rate);
    m->network->dropout = x;
    if (!flat)
        x = make_flatten(m, x);
    return end_dense(m, x, classes);
}

/* Values that keep signals of about one in size through many layers. */
static void draw_params(struct maker *m)
{
    for (int i = 0; i < m->net->params_count; i++) {
        struct ref_param *p = &m->net->params[i];
        bool kernel = p->rank > 1 && p->rank != 3 && p->role == REF_WEIGHT,
            variance = strstr(p->name, "running_var") != NULL;
        int64_t outputs = p->rank == 6 ? p->shape[0] * p->shape[1] * p->shape[2] : p->shape[0];
        double deviation = kernel ? sqrt(2 / (double)(p->count / outputs)) : 0.3;
        for (int64_t j = 0; j < p->count; j++) {
            if (variance || (p->role == REF_WEIGHT && !kernel))
                p->value[j] = ref_uniform(&m->random, 0.5, 1.5);
            else
                p->value[j] = deviation * ref_normal(&m->random);
        }
    }
}

static const char f1_score[] =
    "metric f1_score(y, p) higher_is_better {\n"
    "    hits      = sum(round(clip(y * p, 0, 1)))\n"
    "    predicted = sum(round(clip(p, 0, 1)))\n"
    "    actual    = sum(round(clip(y, 0, 1)))\n"
    "    precision = if predicted == 0 then 0 else hits / predicted\n"
    "    recall    = if actual == 0 then 0 else hits / actual\n"
    "    return if precision + recall == 0 then 0 else 2 * precision * recall / (precision + recall)\n"
    "}\n\n";

struct network *network_generate(uint64_t seed, int batch)
{
    struct network *n = calloc(1, sizeof *n);
    if (!n)
        abort();
    struct maker m = {.network = n, .net = &n->net, .random = seed * 0x2545f4914f6cdd1du + 7, .depth = 1};
    size_t size;
    m.out = open_memstream(&n->text, &size);
    n->seed = seed;
    n->dropout = -1;
    n->kind = seed % 16 == 5 ? NETWORK_DROPOUT_FIRST : seed % 16 == 11 ? NETWORK_DROPOUT_LAST : NETWORK_PLAIN;
    n->batch = chance(&m, 8) ? 16 : chance(&m, 4) ? 33 : range(&m, 1, 9);
    n->f1 = chance(&m, 20);
    m.recipe = seed * 0x9e6c63d0876a9a47u + 11;
    m.budget = 4000000 / n->batch < 1200000 ? 4000000 / n->batch : 1200000;
    if (batch) {                /* with layers as large as the time allows */
        n->batch = batch;
        m.budget = 4000000 / batch;
    }
    int c = chance(&m, 50) ? range(&m, 1, 4) : random_channels(&m);
    int h = range(&m, 4, 20), w = range(&m, 4, 20);
    if (h == w && chance(&m, 80))
        w += 3;
    bool wide = !batch && seed % 16 == 14;
    if (wide) {
        n->batch = range(&m, 6, 12);
        c = range(&m, 1, 4), h = range(&m, 2, 4), w = range(&m, 2, 4);
    }
    while (c * h * w > 6000)
        c = c / 2 + 1, h = h / 2 + 2;
    choose_objective(&m, n->kind != NETWORK_PLAIN);
    n->measured = n->net.objective.end == REF_END_SOFTMAX;
    n->f1 &= n->measured;
    fprintf(m.out, "# seed %llu\nmodel random_%llu\n\n%s", (unsigned long long)seed, (unsigned long long)seed,
            n->f1 ? f1_score : "");
    write_data(&m);
    fputs("network {\n", m.out);
    write_line(&m, "input %dx%dx%d", c, h, w);
    int x = ref_input(&n->net, c, h, w);
    x = n->target == NETWORK_OF_INPUT ? make_copy(&m, x) : wide ? make_wide(&m, x)
        : n->kind == NETWORK_PLAIN    ? make_plain(&m, x) : make_with_dropout(&m, x);
    n->outputs = (int)ref_node_size(&n->net.nodes[x]);
    write_train(&m);
    fclose(m.out);
    draw_params(&m);
    ref_prepare(&n->net, n->batch);
    return n;
}

/* A safetensors file: the length of its header, the header, the numbers one after the other. */
bool network_write_weights(struct network *network, const char *path)
{
    struct ref_net *net = &network->net;
    char *header = NULL;
    size_t length = 0;
    FILE *text = open_memstream(&header, &length), *f = fopen(path, "wb");
    long long at = 0;
    if (!text || !f)
        return false;
    for (int i = 0; i < net->params_count; i++) {
        const struct ref_param *p = &net->params[i];
        fprintf(text, "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[", i ? "," : "{", p->name);
        for (int d = 0; d < p->rank; d++)
            fprintf(text, "%s%lld", d ? "," : "", (long long)p->shape[d]);
        fprintf(text, "],\"data_offsets\":[%lld,%lld]}", at, at + 4 * (long long)p->count);
        at += 4 * (long long)p->count;
    }
    fputs(net->params_count ? "}" : "{}", text);
    fclose(text);
    for (int i = 0; i < 8; i++)
        fputc((int)(length >> (8 * i) & 255), f);
    fwrite(header, 1, length, f);
    free(header);
    for (int i = 0; i < net->params_count; i++)
        for (int64_t k = 0; k < net->params[i].count; k++) {
            float value = (float)net->params[i].value[k];
            net->params[i].value[k] = (double)value;
            fwrite(&value, sizeof value, 1, f);
        }
    return fclose(f) == 0;
}

void network_free(struct network *network)
{
    ref_free(&network->net);
    free(network->text);
    free(network);
}
