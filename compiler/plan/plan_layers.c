/* plan_layers.c - which kernels compute each layer, in a few words: for summaries. */
#include <string.h>

#include "plan/plan_parts.h"

/* Whether the planner had a choice. */
static bool has_rivals(const struct kernel *k)
{
    int count, rivals = 0;
    const struct kernel *const *all = kernels(&count);
    for (int i = 0; i < count; i++)
        rivals += all[i]->op == k->op;
    return rivals > 1;
}

/* What the plan of training says of each layer, by its index. */
struct layer_groups {
    const struct group **groups;        /* whose main operations are of the layer */
    int groups_count;
    size_t groups_capacity;
    const struct layer *host;           /* that its operations are fused into, NULL: none */
};

static struct layer_groups *find_layer_groups(struct arena *a, const struct plan *p)
{
    const struct program *q = &p->train;
    struct layer_groups *list = arena_array(a, (size_t)p->model->layers_count + 1, sizeof *list);
    for (int i = 0; i < q->groups_count; i++) {
        const struct group *g = q->groups[i];
        const struct layer *own = g->main->layer;
        for (int k = 0; k < g->chain_count; k++)
            if (g->chain[k]->layer && !g->chain[k]->backward && own != g->chain[k]->layer)
                list[g->chain[k]->layer->index].host = own;
        if (!own)
            continue;
        struct layer_groups *x = &list[own->index];
        LIST_ADD(a, x->groups, x->groups_count, x->groups_capacity, g);
    }
    return list;
}

/* Whether a group before has the same pass and kernel. */
static bool said_before(const struct layer_groups *own, int index)
{
    const struct group *g = own->groups[index];
    for (int i = 0; i < index; i++)
        if (has_rivals(own->groups[i]->kernel) && !strcmp(own->groups[i]->kernel->name, g->kernel->name) &&
            !strcmp(plan_pass(own->groups[i]->main), plan_pass(g->main)))
            return true;
    return false;
}

/* The kernels that were chosen for a layer in training: "direct" for all passes, or "direct, data
 * im2col". */
static const char *layer_plan(struct arena *a, const struct layer_groups *own)
{
    const char *text = "", *first = NULL;
    for (int i = 0; i < own->groups_count; i++) {
        const struct group *g = own->groups[i];
        if (!has_rivals(g->kernel))
            continue;
        if (!first)
            text = first = g->kernel->name;
        else if (strcmp(first, g->kernel->name) && !said_before(own, i))
            text = arena_printf(a, "%s, %s %s", text, plan_pass(g->main), g->kernel->name);
    }
    const struct layer *host = first ? NULL : own->host;
    return host ? arena_printf(a, "with %s", host->name) : text;
}

const char *const *plan_layers(struct arena *a, const struct plan *p)
{
    const struct layer_groups *groups = find_layer_groups(a, p);
    const char **plans = arena_array(a, (size_t)p->model->layers_count + 1, sizeof *plans);
    for (int i = 0; i < p->model->layers_count; i++)
        plans[i] = layer_plan(a, &groups[i]);
    return plans;
}
