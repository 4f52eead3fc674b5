/* network_fixture.h - networks built by hand for unit tests, without the front-end: layers with
 * every argument at its default, changed by arg_*(), shaped by network_shape(). */
#ifndef NETWORK_FIXTURE_H
#define NETWORK_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "model/recipes.h"
#include "ops/ops.h"
#include "passes/passes.h"

struct network {
    struct arena arena;
    struct source *source;
    struct diag *diag;
    struct model model;
    size_t capacity;
};

static inline void network_begin(struct network *n)
{
    static const char text[] = "a network built by hand\n";

    memset(n, 0, sizeof *n);
    n->source = source_from_text(&n->arena, "hand.cnn", text, sizeof text - 1);
    n->diag = diag_new(&n->arena);
    n->model.name = "hand";
    n->model.source = n->source;
}

static inline void network_end(struct network *n)
{
    arena_free(&n->arena);
}

static inline struct span network_span(const struct network *n)
{
    return (struct span){ n->source, 0, 1 };
}

static inline struct clause *clause_new(struct network *n, const struct clause_def *def)
{
    struct clause *c = arena_alloc(&n->arena, sizeof *c);

    c->def = def;
    c->where = network_span(n);
    c->args = arena_array(&n->arena, (size_t)clause_def_count(def) + 1, sizeof *c->args);
    clause_fill_defaults(c);
    return c;
}

static inline struct arg_value *clause_value(struct clause *c, const char *name)
{
    struct arg_value *v = &c->args[clause_arg(c, name) - c->args];

    v->given = true;
    return v;
}

static inline void arg_number(struct layer *l, const char *name, double number)
{
    clause_value(l->clause, name)->number = number;
}

static inline void arg_pair(struct layer *l, const char *name, int64_t h, int64_t w)
{
    struct arg_value *v = clause_value(l->clause, name);

    v->text = NULL;
    v->dims[0] = h;
    v->dims[1] = w;
}

static inline void arg_text(struct layer *l, const char *name, const char *text)
{
    clause_value(l->clause, name)->text = text;
}

static inline void arg_activation(struct network *n, struct layer *l, const char *activation)
{
    clause_value(l->clause, "activation")->call =
        clause_new(n, &layer_def_find(activation)->clause);
}

/* A layer after the others given, named as cnnc names it. */
static inline struct layer *layer_of(struct network *n, const struct layer_def *def, struct layer *const *inputs,
                                     int count)
{
    struct layer *l = arena_alloc(&n->arena, sizeof *l);
    int number = 1;

    l->def = def;
    l->clause = clause_new(n, &l->def->clause);
    l->where = network_span(n);
    l->index = n->model.layers_count;
    l->trainable = true;
    l->inputs = arena_array(&n->arena, (size_t)count + 1, sizeof *l->inputs);
    l->inputs_count = count;
    for (int i = 0; i < count; i++)
        l->inputs[i] = inputs[i];
    for (int i = 0; i < n->model.layers_count; i++)
        number += n->model.layers[i]->def == l->def;
    l->name = arena_printf(&n->arena, "%s_%d", def->clause.name, number);
    LIST_ADD(&n->arena, n->model.layers, n->model.layers_count, n->capacity, l);
    return l;
}

static inline struct layer *layer_join(struct network *n, const char *kind, struct layer *const *inputs, int count)
{
    return layer_of(n, layer_def_find(kind), inputs, count);
}

static inline struct layer *layer_after(struct network *n, const char *kind, struct layer *from)
{
    return layer_join(n, kind, &from, from ? 1 : 0);
}

static inline bool layer_shape(struct network *n, struct layer *l)
{
    clause_fill_defaults(l->clause);
    return l->def->shape(l, n->diag);
}

/* What follows shapes the layer at once; for networks that are right. */
static inline struct layer *put(struct network *n, const char *kind, struct layer *from)
{
    struct layer *l = layer_after(n, kind, from);

    if (!layer_shape(n, l))
        abort();
    return l;
}

static inline struct layer *put_input(struct network *n, int c, int h, int w)
{
    struct layer *l = layer_after(n, "input", NULL);

    arg_pair(l, "extent", c, h);
    clause_value(l->clause, "extent")->dims[2] = w;
    if (!layer_shape(n, l))
        abort();
    return l;
}

static inline struct layer *put_conv(struct network *n, struct layer *from, int filters, int kh,
                                     int kw)
{
    struct layer *l = layer_after(n, "conv2d", from);

    arg_number(l, "filters", filters);
    arg_pair(l, "kernel", kh, kw);
    if (!layer_shape(n, l))
        abort();
    return l;
}

static inline struct layer *put_dense(struct network *n, struct layer *from, int units)
{
    struct layer *l = layer_after(n, "dense", from);

    arg_number(l, "units", units);
    if (!layer_shape(n, l))
        abort();
    return l;
}

static inline struct layer *put_pool(struct network *n, struct layer *from, const char *kind, int h,
                                     int w)
{
    struct layer *l = layer_after(n, kind, from);

    arg_pair(l, "window", h, w);
    if (!layer_shape(n, l))
        abort();
    return l;
}

static inline struct layer *put_dropout(struct network *n, struct layer *from, double rate)
{
    struct layer *l = put(n, "dropout", from);

    arg_number(l, "rate", rate);
    return l;
}

static inline struct layer *put_join(struct network *n, const char *kind, struct layer *const *inputs, int count)
{
    struct layer *l = layer_join(n, kind, inputs, count);

    if (!layer_shape(n, l))
        abort();
    return l;
}

static inline struct layer *put_add(struct network *n, struct layer *a, struct layer *b)
{
    return put_join(n, "add", (struct layer *[]){ a, b }, 2);
}

static inline struct layer *put_multiply(struct network *n, struct layer *a, struct layer *b)
{
    return put_join(n, "multiply", (struct layer *[]){ a, b }, 2);
}

#define CONCAT(n, ...)                                                                                                    \
    put_join(n, "concat", (struct layer *[]){ __VA_ARGS__ },                                                               \
             (int)(sizeof((struct layer *[]){ __VA_ARGS__ }) / sizeof(struct layer *)))

/* The model's loss, a row of the language, with its arguments at their defaults. */
static inline void arg_loss(struct network *n, const char *name)
{
    const struct clause_def *def = loss_defs;

    while (strcmp(def->name, name))
        def++;
    n->model.loss = clause_new(n, def);
}

/* The network ends in a softmax of as many classes, and a loss on it. */
static inline void put_loss(struct network *n, struct layer *from, int classes)
{
    struct layer *last = put_dense(n, from, classes);

    arg_activation(n, last, "softmax");
    arg_loss(n, "categorical_crossentropy");
    n->model.outputs = n->model.target.size = classes;
    n->model.ends_in_softmax = true;
}

/* All messages as printed; free() it. */
static inline char *network_messages(struct network *n)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    diag_print(n->diag, out);
    fclose(out);
    return text;
}

/* ---- finding one's way in a graph ------------------------------------------------------------ */

static inline struct node *node_named(const struct graph *g, const char *name)
{
    for (int i = 0; i < g->nodes_count; i++)
        if (!strcmp(g->nodes[i]->name, name))
            return g->nodes[i];
    return NULL;
}

static inline struct tensor *tensor_named(const struct graph *g, const char *name)
{
    for (int i = 0; i < g->tensors_count; i++)
        if (!strcmp(g->tensors[i]->name, name))
            return g->tensors[i];
    return NULL;
}

static inline struct param *param_named(const struct graph *g, const char *name)
{
    for (int i = 0; i < g->params_count; i++)
        if (!strcmp(g->params[i]->name, name))
            return g->params[i];
    return NULL;
}

static inline int count_op(const struct graph *g, enum op op)
{
    int count = 0;

    for (int i = 0; i < g->nodes_count; i++)
        count += g->nodes[i]->op == op;
    return count;
}

#endif
