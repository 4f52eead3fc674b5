/* plan_verify_update.c - what holds of the optimizer's step. */
#include <inttypes.h>

#include "plan/plan_verify.h"

static const char *verify_range(const struct plan *p, int index)
{
    const struct update *u = &p->update;
    const struct update_range *r = &u->ranges[index];
    int64_t align = 64 / p->real_size, elements = r->end - r->begin;
    int64_t after = index ? u->ranges[index - 1].end : 0;
    struct arena *a = p->arena;
    if (r->begin < after || elements <= 0 || r->begin % align || r->end % align ||
        r->end > plan_round(p->params_stored, align))
        return arena_printf(a, "range %d of the update, %" PRId64 " to %" PRId64 ", is none or lies in another", index,
                            r->begin, r->end);
    if (u->block % align || (r->blocks - 1) * u->block >= elements || r->blocks * u->block < elements)
        return arena_printf(a, "range %d of the update, %" PRId64 " to %" PRId64 ", is not %" PRId64 " blocks of %"
                            PRId64, index, r->begin, r->end, r->blocks, u->block);
    return NULL;
}

/* How many ranges have a part of the parameter; *whole: the one that has all of it. */
static int ranges_of(const struct plan *p, const struct param_place *place, const struct update_range **whole)
{
    int found = 0;
    *whole = NULL;
    for (int i = 0; i < p->update.ranges_count; i++) {
        const struct update_range *r = &p->update.ranges[i];
        int64_t end = place->offset + place->stored;
        found += r->begin < end && place->offset < r->end;
        if (r->begin <= place->offset && end <= r->end)
            *whole = r;
    }
    return found;
}

static bool is_updated_in_a_step(const struct plan *p, const struct param *param)
{
    for (int i = 0; i < p->train.steps_count; i++)
        if (p->train.steps[i]->updates == param)
            return true;
    return false;
}

static int matrices_of(const struct plan *p, const struct param *param)
{
    int found = 0;
    for (int i = 0; i < p->update.matrices_count; i++)
        found += p->update.matrices[i].param == param;
    return found;
}

/* The matrices' places, one after the other, then sums. */
static const char *verify_matrices(const struct plan *p)
{
    const struct update *u = &p->update;
    int64_t end = 0, sums = 0;
    for (int i = 0; i < u->matrices_count; i++) {
        const struct update_matrix *m = &u->matrices[i];
        int64_t x = m->rows * m->columns, a = (int64_t)m->columns * m->columns;
        if (m->x < end || m->y < m->x + x || m->a < m->y + x || m->b < m->a + a || m->sums < sums)
            return arena_printf(p->arena, "%s lies within another in the update's memory", m->param->name);
        end = m->b + a;
        sums = m->sums + (m->rows + UPDATE_ROWS - 1) / UPDATE_ROWS;
    }
    if (u->matrix_sums * (int64_t)sizeof(double) < end * p->real_size || u->clip_sums < u->matrix_sums + sums)
        return "sums lie within matrices in the update's memory";
    return NULL;
}

static const char *verify_param(const struct plan *p, const struct param *param)
{
    const struct param_place *place = &p->params[param->id];
    const struct update_range *whole;
    bool trained = p->update.optimizer && plan_trains(param);
    if (param->role == CNN_STATISTIC)           /* lies among the statistics */
        return NULL;
    int found = ranges_of(p, place, &whole);
    if (!trained && found)
        return arena_printf(p->arena, "the update changes %s, which is not trained", param->name);
    if (trained && (found != 1 || !whole))
        return arena_printf(p->arena, "the update leaves out %s or a part of it", param->name);
    if (trained && (whole->group != place->group || place->group < 0 || place->group >= p->update.groups_count))
        return arena_printf(p->arena, "%s is updated as a group of parameters that is not its own", param->name);
    if (trained && whole->matrix && (whole->begin != place->offset || matrices_of(p, param) != 1))
        return arena_printf(p->arena, "%s is orthogonalised with another, or not at all", param->name);
    if (trained && p->update.clip_norm > 0 && place->early)
        return arena_printf(p->arena, "%s is updated before the norm of all gradients is known", param->name);
    if (trained && (whole->early != place->early || place->early != is_updated_in_a_step(p, param)))
        return arena_printf(p->arena, "%s is updated twice or not at all: early, late or both", param->name);
    return NULL;
}

/* That the loss has the squares of all its weights, once and by its own factor, and its gradient what comes of them. */
static const char *verify_penalty(const struct plan *p, const struct param *param)
{
    const struct param_place *place = &p->params[param->id];
    bool wanted = p->train.graph->loss && param->l2 != 0;
    int found = 0, right = 0;
    for (int i = 0; i < p->penalties_count; i++) {
        const struct penalty *x = &p->penalties[i];
        found += x->param == param;
        right += x->param == param && x->begin == place->offset && x->l2 == param->l2 &&
                 x->end == plan_round(place->offset + place->stored, 64 / p->real_size);
    }
    if (found != wanted || right != wanted)
        return arena_printf(p->arena, "the loss does not have the squares of %s as its l2 says", param->name);
    if (p->update.optimizer && plan_trains(param) && p->update.groups[place->group].l2 != param->l2)
        return arena_printf(p->arena, "%s is updated by another l2 than its own", param->name);
    return NULL;
}

/* The piece that a gradient's elements from `at` on are in; NULL: none. */
static const struct piece *piece_at(const struct plan *p, int64_t at)
{
    for (int i = 0; i < p->pieces_count; i++)
        if (p->pieces[i].begin <= at && at < p->pieces[i].end)
            return &p->pieces[i];
    return NULL;
}

/* Pieces of gradients that go out together make all of them, and go in the order in which they are complete. */
const char *verify_pieces(const struct plan *p)
{
    int64_t count = 0;
    for (int i = 0; i < p->pieces_count; i++) {
        count += p->pieces[i].end - p->pieces[i].begin;
        if (i && p->pieces[i].phase < p->pieces[i - 1].phase)
            return arena_printf(p->arena, "gradients from %" PRId64 " on go out behind what is complete later",
                                p->pieces[i].begin);
    }
    if (p->model->share && count != p->params_stored)
        return arena_printf(p->arena, "%" PRId64 " of %" PRId64 " gradients go out", count, p->params_stored);
    for (int i = 0; i < p->train.steps_count && p->model->share; i++)
        for (int k = 0; k < p->train.steps[i]->arguments_count; k++) {
            const struct argument *a = &p->train.steps[i]->arguments[k];
            if (a->kind != ARGUMENT_TENSOR || !(a->access & ACCESS_WRITE) || a->tensor->role != TENSOR_PARAM_GRADIENT)
                continue;
            const struct param_place *place = &p->params[a->tensor->param->id];
            const struct piece *piece = NULL;
            for (int64_t at = place->offset; at < place->offset + place->stored; at = piece->end) {
                piece = piece_at(p, at);
                if (!piece)
                    return arena_printf(p->arena, "gradients of %s do not go out", a->tensor->param->name);
                if (piece->phase < p->train.steps[i]->phase)
                    return arena_printf(p->arena, "gradients of %s go out before they are made",
                                        a->tensor->param->name);
            }
        }
    return NULL;
}

const char *verify_update(const struct plan *p)
{
    const struct graph *g = p->train.graph;
    int64_t late = 0, blocks = 0;
    bool early = false;
    for (int i = 0; i < p->update.ranges_count; i++) {
        const char *broken = verify_range(p, i);
        if (broken)
            return broken;
        late += p->update.ranges[i].early ? 0 : p->update.ranges[i].end - p->update.ranges[i].begin;
        early |= p->update.ranges[i].early;
        blocks += p->update.ranges[i].blocks;
    }
    const char *matrices = verify_matrices(p);
    if (matrices)
        return matrices;
    for (int i = 0; i < g->params_count; i++) {
        const char *broken = verify_param(p, g->params[i]);
        if (!broken)
            broken = verify_penalty(p, g->params[i]);
        if (broken)
            return broken;
    }
    if (p->update.clip_norm > 0 && p->update.memory_bytes < (p->update.clip_sums + blocks) * (int64_t)sizeof(double))
        return "the update has no room for the sums of its blocks";
    if (late != p->update.late_elements || blocks != p->update.blocks || early != p->update.early ||
        early != (p->train.rule_phase >= 0))
        return "the update is not the sum of its ranges";
    return NULL;
}
