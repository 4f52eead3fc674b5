/* picture_dot.c - see picture.h.  Every layer of the network, for Graphviz. */
#include "show/picture.h"

#include "check/check.h"
#include "base/text.h"
#include "ops/ops.h"
#include "show/numbers.h"

static const char *const fills[PICTURE_KINDS] = {
    [PICTURE_INPUT] = "#eceff2", [PICTURE_WEIGHTS] = "#dde9fa", [PICTURE_VECTOR] = "#fce7d3",
        [PICTURE_SHAPE] = "#dff1e1",
    [PICTURE_NORM] = "#ece4f8", [PICTURE_PLAIN] = "#faf2cf", [PICTURE_JOIN] = "#fae0e4"};

static void put_node(struct arena *a, const struct layer *l, FILE *out)
{
    char number[32];
    struct text label = {.arena = a};

    if (l->as)
        text_add(&label, "%s\\n", l->name);
    text_add(&label, "%s", l->as ? l->def->clause.name : l->name);
    text_add(&label, "%s", picture_arguments(a, l));
    if (layer_weights(l))
        text_add(&label, "\\n%s parameters", grouped(number, layer_weights(l)));
    fprintf(out, "    n%d [label=\"%s\", fillcolor=\"%s\"];\n", l->index, text_of(&label), fills[picture_kind_of(l)]);
}

/* Ends the clusters of groups that the layer is not in, and begins those that it is in; rounds have none. */
static const struct layer_group *put_clusters(struct arena *a, const struct layer_group *open,
                                              const struct layer_group *next, int *number, FILE *out)
{
    const struct layer_group *o = open, *common = next;

    for (; common; common = common->outer) {
        for (o = open; o && o != common; o = o->outer)
            ;
        if (o)
            break;
    }
    for (o = open; o != common; o = o->outer)
        if (*o->title)
            fputs("    }\n", out);
    const struct layer_group **chain = NULL;
    int count = 0;
    size_t capacity = 0;
    for (o = next; o != common; o = o->outer)
        LIST_ADD(a, chain, count, capacity, o);
    while (count-- > 0) {
        struct text title = {.arena = a};
        text_add_string(&title, picture_title(a, chain[count]));
        if (*chain[count]->title)
            fprintf(out, "    subgraph cluster%d {\n    label=%s; fontname=\"Helvetica\"; fontsize=11; style=\"rounded\"; "
                    "color=\"#afb8c1\";\n", (*number)++, text_of(&title));
    }
    return next;
}

void picture_dot(const struct model *m, FILE *out)
{
    struct arena a = {0};

    fprintf(out, "digraph %s {\n    node [shape=box, style=\"rounded,filled\", fontname=\"Helvetica\", fontsize=12];\n"
            "    edge [fontname=\"Helvetica\", fontsize=10];\n", m->name);
    const struct layer_group *open = NULL;
    int clusters = 0;
    for (int i = 0; i < m->layers_count; i++) {
        open = put_clusters(&a, open, m->layers[i]->group, &clusters, out);
        put_node(&a, m->layers[i], out);
    }
    put_clusters(&a, open, NULL, &clusters, out);
    for (int i = 0; i < m->layers_count; i++)
        for (int k = 0; k < m->layers[i]->inputs_count; k++)
            fprintf(out, "    n%d -> n%d [label=\" %s\"];\n", m->layers[i]->inputs[k]->index, i,
                    shape_text(m->layers[i]->inputs[k]->out).text);
    fputs("}\n", out);
    arena_free(&a);
}
