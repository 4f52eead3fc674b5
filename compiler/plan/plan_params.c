/* plan_params.c - where parameters lie.
 *
 * Ensures: every parameter has a panel width that products can read with whole vectors, and an offset in the flat
 * vector of parameters (statistics: of statistics) that is a multiple of 64 bytes. */
#include "plan/plan_parts.h"

/* Weights of a position are used once a sample: what they cost is to be read, and padding would be read too.
 * So there is none: the channels are cut into whole panels, or stay in one piece. */
static int dividing_panel(const struct plan *p, int channels)
{
    int columns = plan_columns(p, channels);
    return channels % columns ? channels : columns;
}

static int panel_of(const struct plan *p, const struct param *param)
{
    int extent = param_extent(param, param->form->cut);
    if (p->target->portable && param->form->packing >= PACKED_PANELS)
        return extent;          /* a single one */
    switch (param->form->packing) {
    case PACKED_PANELS: return plan_panel(p, extent);
    case PACKED_DIVISORS: return dividing_panel(p, extent);
    case PACKED_ROWS: case PACKED_VECTORS: return p->lanes;
    case PACKED_TIGHTLY: break;
    }
    return param_extent(param, CNN_AXIS_OUT);
}

void plan_params(struct plan *p, const struct graph *g)
{
    p->params = arena_array(p->arena, (size_t)g->params_count, sizeof *p->params);
    int64_t align = 64 / p->real_size;
    for (int i = 0; i < g->params_count; i++) {
        const struct param *param = g->params[i];
        struct param_place *place = &p->params[i];
        place->panel = panel_of(p, param);
        place->layout = param_layout(param, place->panel, p->lanes, &place->stored);
        int64_t *end = param->role == CNN_STATISTIC ? &p->statistics_stored : &p->params_stored;
        place->offset = *end;
        *end += plan_round(place->stored, align);
    }
}
