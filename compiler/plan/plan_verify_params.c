/* plan_verify_params.c - what holds of parameters: each has its own place, the numbers of a file have places of their
 * own within it, and every program finds it, and its gradient, there. */
#include <inttypes.h>

#include "plan/plan_verify.h"

/* No two numbers of a file lie at one place, and none beyond what is stored. */
static const char *verify_layout(const struct plan *p, const struct param *param)
{
    const struct param_place *place = &p->params[param->id];
    const struct cnn_layout *l = &place->layout;
    struct axis axes[VERIFY_AXES];
    int count = 0;
    int64_t elements = 1, reach;
    for (int d = 0; d < l->dims; d++) {
        int64_t within = d == l->panel_dim && l->panel < l->dim[d] ? l->panel : l->dim[d];
        elements *= l->dim[d];
        axes[count++] = (struct axis){ .count = within, .step = l->stride[d] };
        if (d == l->panel_dim)
            axes[count++] = (struct axis){ .count = (l->dim[d] + l->panel - 1) / l->panel, .step = l->panel_stride };
    }
    if (elements != param_elements(param))
        return arena_printf(p->arena, "the layout of %s has %" PRId64 " places for %" PRId64 " numbers", param->name,
                            elements, param_elements(param));
    if (!verify_is_injective(axes, count, &reach) || reach > place->stored)
        return arena_printf(p->arena, "the layout of %s has two numbers in one place, or reaches beyond the %" PRId64
                            " that are stored", param->name, place->stored);
    return NULL;
}

/* The statistics, or all others, share nothing. */
static const char *verify_places(const struct plan *p, const struct graph *g, bool statistics)
{
    struct claims c = { 0 };
    c.list = arena_array(p->arena, (size_t)g->params_count + 1, sizeof *c.list);
    for (int i = 0; i < g->params_count; i++) {
        const struct param_place *x = &p->params[i];
        if ((g->params[i]->role == CNN_STATISTIC) == statistics)
            c.list[c.count++] = (struct claim){ .name = g->params[i]->name, .offset = x->offset * p->real_size,
                                                .end = (x->offset + x->stored) * p->real_size };
    }
    return verify_claims(p, &c, (statistics ? p->statistics_stored : p->params_stored) * p->real_size);
}

static const char *verify_tensors(const struct plan *p, const struct program *q)
{
    for (int i = 0; q->graph && i < q->graph->tensors_count; i++) {
        const struct tensor *t = q->graph->tensors[i];
        enum region region = t->role == TENSOR_PARAM ? REGION_PARAMS
                             : t->role == TENSOR_PARAM_GRADIENT ? REGION_GRADS
                             : t->role == TENSOR_STATISTIC ? REGION_STATISTICS : REGION_NONE;
        if (region != REGION_NONE &&
            (q->places[i].region != region || q->places[i].offset != p->params[t->param->id].offset))
            return arena_printf(p->arena, "%s does not lie where the parameter has its place", t->name);
    }
    return NULL;
}

const char *verify_params(const struct plan *p)
{
    const struct graph *g = p->train.graph ? p->train.graph : p->use.graph;
    const char *broken = NULL;
    for (int i = 0; i < g->params_count && !broken; i++)
        broken = verify_layout(p, g->params[i]);
    broken = broken ? broken : verify_places(p, g, false);
    broken = broken ? broken : verify_places(p, g, true);
    broken = broken ? broken : verify_tensors(p, &p->train);
    return broken ? broken : verify_tensors(p, &p->use);
}
