/* plan_params.c - where parameters lie.
 *
 * Ensures: every parameter has a panel width that products can read with whole vectors, and an offset in the flat
 * vector of parameters (statistics: of statistics) that is a multiple of 64 bytes. */
#include "plan/plan_parts.h"

/* Weights of a position are used once a sample: what they cost is to be read, and padding would be read too.
 * So there is none: the channels are cut into whole panels, or stay in one piece. */
static int local_panel(const struct plan *p, int channels)
{
    int columns = plan_columns(p, channels);
    return channels % columns ? channels : columns;
}

void plan_params(struct plan *p, const struct graph *g)
{
    p->params = arena_array(p->arena, (size_t)g->params_count, sizeof *p->params);
    int64_t align = 64 / p->real_size;
    for (int i = 0; i < g->params_count; i++) {
        const struct param *param = g->params[i];
        struct param_place *place = &p->params[i];
        if (param->kind == PARAM_VECTOR) {
            place->panel = p->lanes;
            place->stored = plan_round(param->out, p->lanes);
        } else if (param->kind == PARAM_LOCAL || param->kind == PARAM_MAP) {
            place->panel = param->kind == PARAM_MAP ? param->out : local_panel(p, param->out);
            place->stored = param_elements(param);
        } else {
            place->panel = plan_panel(p, param->out);
            int64_t inner = (int64_t)param->kh * param->kw * param->in;
            place->stored = plan_round(param->out, place->panel) * inner;
        }
        int64_t *end = param->role == CNN_STATISTIC ? &p->statistics_stored : &p->params_stored;
        place->offset = *end;
        *end += plan_round(place->stored, align);
    }
}
