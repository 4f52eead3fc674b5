/* plan_update.c - the optimizer's step over the flat vector of parameters: which ranges of it, in which blocks, and
 * which of them a step of training updates before (struct step, updates).
 *
 * Requires: the training program's steps; parameters lie at multiples of 64 bytes, so a range of whole parameters is
 * one of whole vectors; what lies between them has no gradient (it is 0 and stays 0).
 * Ensures: every trained parameter lies in one range. */
#include "plan/plan_parts.h"

/* Elements; a block of adam's four streams fits into a level-2 cache. */
enum { UPDATE_BLOCK = 8192 };

/* Weights would be lost that follow from an invalid loss where a callback ends the run before their update: then
 * nothing is updated early. */
static bool stops_before_update(const struct model *m)
{
    for (int i = 0; i < m->callbacks_count; i++)
        if (m->callbacks[i]->def->before_update)
            return true;
    return false;
}

void plan_optimizer(struct plan *p)
{
    p->update.optimizer = optimizer_def_of(p->model);
    p->update.block = UPDATE_BLOCK;
    p->update.needs_valid_loss = stops_before_update(p->model);
}

bool plan_trains(const struct param *param)
{
    return param->trainable && param->role != CNN_STATISTIC;
}

/* Where the update of a parameter ends: at the next multiple of 64 bytes. */
static int64_t padded_end(const struct plan *p, const struct param_place *place)
{
    return plan_round(place->offset + place->stored, 64 / p->real_size);
}

/* In order, neighbours joined. */
void plan_update(struct plan *p)
{
    struct update *u = &p->update;
    const struct graph *g = p->train.graph;
    u->ranges = arena_array(p->arena, (size_t)g->params_count + 1, sizeof *u->ranges);
    for (int i = 0; i < g->params_count; i++) {
        const struct param_place *place = &p->params[i];
        if (!u->optimizer || !plan_trains(g->params[i]))
            continue;
        struct update_range *last = u->ranges_count ? &u->ranges[u->ranges_count - 1] : NULL;
        int64_t end = padded_end(p, place);
        if (last && last->end == place->offset && last->early == place->early)
            last->end = end;
        else
            u->ranges[u->ranges_count++] =
                (struct update_range){ .begin = place->offset, .end = end, .early = place->early };
    }
    for (int i = 0; i < u->ranges_count; i++) {
        struct update_range *r = &u->ranges[i];
        r->blocks = (r->end - r->begin + u->block - 1) / u->block;
        u->late_elements += r->early ? 0 : r->end - r->begin;
        u->early |= r->early;
    }
}
