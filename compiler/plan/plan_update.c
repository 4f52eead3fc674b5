/* plan_update.c - the optimizer's step over the flat vector of parameters: what is computed, as expressions of an
 * element; for which ranges, in which blocks, and which of them a step of training updates before (struct step,
 * updates).
 *
 * Requires: the training program's steps; parameters lie at multiples of 64 bytes, so a range of whole parameters is
 * one of whole vectors; what lies between them has no gradient (it is 0 and stays 0).
 * Ensures: every trained parameter lies in one range. */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "ops/ops.h"
#include "plan/plan_parts.h"

/* Elements; a block of adam's four streams fits into a level-2 cache. */
enum { UPDATE_BLOCK = 8192 };

/* Where the update of a parameter ends: at the next multiple of 64 bytes. */
static int64_t padded_end(const struct plan *p, const struct param_place *place)
{
    return plan_round(place->offset + place->stored, 64 / p->real_size);
}

/* ---- groups of parameters ---------------------------------------------------------------------------------------- */

static bool selects(const struct selector *s, const struct param *param)
{
    switch (s->kind) {
    case SELECT_WEIGHTS: return param->role == CNN_WEIGHT && !param->layer->def->normalises &&
        !param->layer->def->bends;
    case SELECT_BIASES: return param->role == CNN_BIAS;
    case SELECT_NORMS: return param->layer->def->normalises;
    case SELECT_LAYER: return param->layer == s->layer;
    case SELECT_BLOCK: return layer_is_in_block(param->layer, s->block);
    }
    return false;
}

/* The statement that holds for a parameter; NULL: none. */
static const struct param_group *statement_of(const struct model *m, const struct param *param)
{
    for (int i = m->groups_count - 1; i >= 0; i--)
        for (int k = 0; k < m->groups[i].selectors_count; k++)
            if (selects(&m->groups[i].selectors[k], param))
                return &m->groups[i];
    return NULL;
}

static struct update_group group_of(const struct model *m, const struct param *param)
{
    const struct param_group *s = statement_of(m, param);
    struct update_group g = { .lr_scale = 1, .weight_decay = optimizer_option(m, "weight_decay", 0),
                              .until = INFINITY };
    g.l2 = param->l2;
    if (!s)
        return g;
    g.lr_scale = clause_number(s->clause, "lr_scale");
    if (clause_arg(s->clause, "weight_decay")->given)
        g.weight_decay = clause_number(s->clause, "weight_decay");
    g.from = clause_number(s->clause, "from");
    if (clause_arg(s->clause, "until")->given)
        g.until = clause_number(s->clause, "until");
    return g;
}

static bool same_group(const struct update_group *a, const struct update_group *b)
{
    return a->lr_scale == b->lr_scale && a->weight_decay == b->weight_decay && a->l2 == b->l2 && a->from == b->from &&
           a->until == b->until;
}

/* In the order in which parameters come; those that are the same are one. */
static void plan_update_groups(struct plan *p, const struct graph *g)
{
    struct update *u = &p->update;
    u->groups = arena_array(p->arena, (size_t)g->params_count + 1, sizeof *u->groups);
    for (int i = 0; i < g->params_count; i++) {
        if (!plan_trains(g->params[i]))
            continue;
        struct update_group group = group_of(p->model, g->params[i]);
        int k = 0;
        while (k < u->groups_count && !same_group(&u->groups[k], &group))
            k++;
        if (k == u->groups_count)
            u->groups[u->groups_count++] = group;
        p->params[i].group = k;
        u->has_epochs |= group.from > 0 || group.until < INFINITY;
        u->decays |= group.weight_decay != 0;
        u->penalised |= group.l2 != 0;
    }
    u->limited = u->has_epochs || u->optimizer->matrices;       /* matrices go by the rule's pass */
}

/* ---- numbers of a step ------------------------------------------------------------------------------------------- */

struct update_maker {
    struct plan *p;
    struct update *u;
    struct expr_name *names;    /* of what formulas of elements may use */
    int names_count;
};

/* What formulas of numbers may use: inputs, then numbers above, then the optimizer's arguments. */
static const struct expr *number_expr(struct update_maker *k, const char *formula, int group)
{
    struct update *u = k->u;
    const struct clause *clause = k->p->model->optimizer;
    int args = clause_def_count(clause->def), count = 0;
    struct expr_name *names = arena_array(k->p->arena, (size_t)(STEP_INPUTS + u->numbers_count + args + 3),
                                          sizeof *names);
    static const char *const inputs[] = { [STEP_LR] = "lr", [STEP_T] = "t", [STEP_TOTAL] = "total" };
    for (int i = 0; i < STEP_INPUTS; i++)
        if (i != STEP_GIVEN || u->optimizer->given) {
            const char *name = i == STEP_GIVEN ? u->optimizer->given : inputs[i];
            names[count++] = (struct expr_name){ name, expr_input(u->pool, i, name, false) };
        }
    for (int i = u->numbers_count - 1; i >= 0; i--)
        names[count++] = (struct expr_name){ u->numbers[i].name, u->numbers[i].values[group] };
    names[count++] = (struct expr_name){ "weight_decay", expr_number(u->pool, u->groups[group].weight_decay) };
    names[count++] = (struct expr_name){ "l2", expr_number(u->pool, u->groups[group].l2) };
    for (int i = 0; i < args; i++)
        names[count++] = (struct expr_name){ clause->def->args[i].name, expr_number(u->pool, clause->args[i].number) };
    const char *wrong = NULL;
    const struct expr *e = expr_parse(u->pool, formula, names, &wrong);
    assert(e);
    expr_simplify(u->pool, &e, 1);
    return e;
}

static void bind(struct update_maker *k, const char *name, const struct expr *value)
{
    /* the last of a name is found first */
    memmove(k->names + 1, k->names, (size_t)++k->names_count * sizeof *k->names);
    k->names[0] = (struct expr_name){ name, value };
}

/* A number of each group, which formulas of elements may then use.  formula NULL: it is worked out otherwise. */
static void add_number(struct update_maker *k, const char *name, const char *formula)
{
    struct update *u = k->u;
    struct update_number n = { .name = name };
    n.values = arena_array(k->p->arena, (size_t)u->groups_count + 1, sizeof *n.values);
    for (int i = 0; i < u->groups_count && formula; i++)
        n.values[i] = number_expr(k, formula, i);
    bind(k, name, expr_input(u->pool, UPDATE_SLOTS + u->slots_count + u->numbers_count, name, false));
    u->numbers[u->numbers_count++] = n;
}

/* ---- formulas of elements ---------------------------------------------------------------------------------------- */

static int vector_of(const struct update *u, const char *name)
{
    for (int i = 0; i < u->slots_count; i++)
        if (!strcmp(u->slots[i], name))
            return UPDATE_SLOTS + i;
    return !strcmp(name, "p") ? UPDATE_P : -1;
}

static const struct expr *element_expr(struct update_maker *k, const char *formula)
{
    const char *wrong = NULL;
    const struct expr *e = expr_parse(k->u->pool, formula, k->names, &wrong);
    assert(e);
    expr_simplify(k->u->pool, &e, 1);
    return e;
}

static struct update_pass *add_pass(struct update_maker *k, enum pass_when when)
{
    struct update *u = k->u;
    struct update_pass *pass = &u->passes[u->passes_count++];
    pass->when = when;
    pass->values = arena_array(k->p->arena, OPTIMIZER_FORMULAS + 5, sizeof *pass->values);
    return pass;
}

/* What becomes of the vector of that name, or a value that later formulas of the pass use. */
static void set_value(struct update_maker *k, struct update_pass *pass, const char *name, const char *formula)
{
    const struct expr *e = element_expr(k, formula);
    int vector = vector_of(k->u, name);
    bind(k, name, e);
    if (vector >= 0)
        pass->values[pass->count++] = (struct update_value){ arena_printf(k->p->arena, "new_%s", name), vector, e };
}

/* Vectors as memory has them when a pass begins. */
static void bind_vectors(struct update_maker *k)
{
    struct update *u = k->u;
    bind(k, "g", expr_input(u->pool, UPDATE_G, "g", true));
    bind(k, "p", expr_input(u->pool, UPDATE_P, "p", true));
    for (int i = 0; i < u->slots_count; i++)
        bind(k, u->slots[i], expr_input(u->pool, UPDATE_SLOTS + i, u->slots[i], true));
}

/* ---- the options of every optimizer ------------------------------------------------------------------------------ */

/* The rule, in one pass: what is done to the gradient before it, and to the parameter. */
static struct update_pass *add_rule(struct update_maker *k)
{
    struct update *u = k->u;
    const struct model *m = k->p->model;
    bool coupled = optimizer_option(m, "coupled", 0) != 0, decays = u->decays;
    if (u->penalised)
        add_number(k, "penalty", "2 * l2");
    if (u->clip_norm > 0)
        add_number(k, "clip", NULL);
    if (decays)
        add_number(k, coupled ? "decay" : "keep", coupled ? "weight_decay"
                      : u->optimizer->decay      ? u->optimizer->decay
                                                 : "1 - lr * weight_decay");
    if (u->optimizer->matrices) {
        add_number(k, "matrix_rate", "lr");
        u->numbers[u->numbers_count - 1].of_matrices = true;
        add_number(k, "matrix_keep", coupled ? "1" : "1 - lr * weight_decay");
        u->numbers[u->numbers_count - 1].of_matrices = true;
    }
    struct update_pass *pass = add_pass(k, u->limited ? PASS_TRAINS : PASS_ALWAYS);
    if (u->penalised)           /* the slope of the loss that is shown, before anything is done to it */
        set_value(k, pass, "g", "penalty * p + g");
    if (u->clip_norm > 0)
        set_value(k, pass, "g", "clip * g");
    if (optimizer_option(m, "clip_value", 0) > 0)
        set_value(k, pass, "g", "clip(g, -clip_value, clip_value)");
    if (decays && coupled)
        set_value(k, pass, "g", "decay * p + g");
    for (int i = 0; i < OPTIMIZER_FORMULAS && u->optimizer->values[i].name; i++)
        set_value(k, pass, u->optimizer->values[i].name, u->optimizer->values[i].text);
    set_value(k, pass, "p", decays && !coupled ? "keep * p - change" : "p - change");
    return pass;
}

/* M. Zhang, J. Lucas, G. Hinton, J. Ba, "Lookahead Optimizer: k steps forward, 1 step back" (2019), with the share of
 * the slow weights that stays, lookahead^every, growing over the run as K. Jordan's airbench94 has it. */
static void add_lookahead(struct update_maker *k)
{
    add_number(k, "slow_share",
               "if t % every != 0 then 0 else 1 - lookahead^every * "
               "(if total > 0 then min(t / total, 1)^lookahead_power else 1)");
    bind_vectors(k);
    struct update_pass *pass = add_pass(k, PASS_SYNC);
    set_value(k, pass, "slow", "slow + slow_share * (p - slow)");
    set_value(k, pass, "p", "slow");
}

static void add_average(struct update_maker *k, struct update_pass *pass)
{
    add_number(k, "average_keep", "if t == 1 then 0 else ema");
    add_number(k, "average_share", "if t == 1 then 1 else 1 - ema");
    set_value(k, pass, "average", "average_keep * average + average_share * p");
}

static void add_slot(struct update *u, const char *name)
{
    u->slots[u->slots_count++] = name;
}

/* ---- the whole rule ---------------------------------------------------------------------------------------------- */

static void make_slots(struct plan *p)
{
    struct update *u = &p->update;
    u->slots = arena_array(p->arena, OPTIMIZER_SLOTS + 3, sizeof *u->slots);
    for (int i = 0; i < optimizer_def_slots(u->optimizer); i++)
        add_slot(u, u->optimizer->slots[i]);
    u->rule_slots = u->slots_count;
    u->average_slot = u->slow_slot = -1;
    if (optimizer_option(p->model, "lookahead", 0) > 0) {
        u->slow_slot = u->slots_count;
        u->every = (int)optimizer_option(p->model, "every", 1);
        add_slot(u, "slow");
    }
    if (optimizer_option(p->model, "ema", 0) > 0) {
        u->average_slot = u->slots_count;
        add_slot(u, "average");
    }
}

/* Operations of an element, those of lookahead as if they were done in each step. */
static void count_flops(struct update *u)
{
    for (int i = 0; i < u->passes_count; i++) {
        const struct expr **roots = arena_array(u->pool->arena, (size_t)u->passes[i].count + 1, sizeof *roots);
        for (int k = 0; k < u->passes[i].count; k++)
            roots[k] = u->passes[i].values[k].value;
        const bool *reached = expr_reached(u->pool, roots, u->passes[i].count);
        for (int k = 0; k < u->pool->count; k++)
            u->flops += reached[k] ? expr_op_row(u->pool->nodes[k]->op)->flops : 0;
    }
}

static void make_rule(struct plan *p)
{
    struct update *u = &p->update;
    struct update_maker k = { .p = p, .u = u };
    const struct clause *clause = p->model->optimizer;
    u->pool = expr_pool_new(p->arena);
    u->numbers = arena_array(p->arena, OPTIMIZER_FORMULAS + 9, sizeof *u->numbers);
    u->passes = arena_array(p->arena, 5, sizeof *u->passes);
    k.names = arena_array(p->arena, 256, sizeof *k.names);
    for (int i = 0; i < clause_def_count(clause->def); i++)
        bind(&k, clause->def->args[i].name, expr_number(u->pool, clause->args[i].number));
    bind_vectors(&k);
    if (u->slow_slot >= 0)
        set_value(&k, add_pass(&k, PASS_FIRST), "slow", "p");
    bind_vectors(&k);
    for (int i = 0; i < OPTIMIZER_FORMULAS && u->optimizer->numbers[i].name; i++)
        add_number(&k, u->optimizer->numbers[i].name, u->optimizer->numbers[i].text);
    struct update_pass *rule = add_rule(&k);
    if (u->slow_slot >= 0)
        add_lookahead(&k);
    if (u->average_slot >= 0 && u->slow_slot < 0 && !u->limited) {
        add_average(&k, rule);
    } else if (u->average_slot >= 0) {          /* of what lookahead makes; of what is not trained too */
        bind_vectors(&k);
        add_average(&k, add_pass(&k, PASS_ALWAYS));
    }
    count_flops(u);
}

/* Weights would be lost that follow from an invalid loss where a callback ends the run before their update: then
 * nothing is updated early. */
static bool stops_before_update(const struct model *m)
{
    for (int i = 0; i < m->callbacks_count; i++)
        if (m->callbacks[i]->def->before_update)
            return true;
    return false;
}

void plan_optimizer(struct plan *p, const struct graph *g)
{
    struct update *u = &p->update;
    u->optimizer = optimizer_def_of(p->model);
    u->block = UPDATE_BLOCK;
    u->needs_valid_loss = stops_before_update(p->model);
    if (!u->optimizer)
        return;
    u->text = optimizer_text(p->arena, u->optimizer);
    u->clip_norm = optimizer_option(p->model, "clip_norm", 0);
    plan_update_groups(p, g);
    make_slots(p);
    make_rule(p);
}

static void plan_penalties(struct plan *p)
{
    const struct graph *g = p->train.graph;
    p->penalties = arena_array(p->arena, (size_t)g->params_count + 1, sizeof *p->penalties);
    for (int i = 0; g->loss && i < g->params_count; i++)
        if (g->params[i]->l2 != 0)
            p->penalties[p->penalties_count++] = (struct penalty){
                .param = g->params[i], .begin = p->params[i].offset, .end = padded_end(p, &p->params[i]),
                .l2 = g->params[i]->l2,
            };
}

int64_t plan_penalty_blocks(const struct plan *p)
{
    int64_t blocks = 0;
    for (int i = 0; i < p->penalties_count; i++)
        blocks += (p->penalties[i].end - p->penalties[i].begin + PENALTY_BLOCK - 1) / PENALTY_BLOCK;
    return blocks;
}

/* ---- where it is done -------------------------------------------------------------------------------------------- */

static bool is_matrix(const struct plan *p, const struct param *param)
{
    const struct param_form *form = param->form;
    return p->update.optimizer->matrices && param->role == CNN_WEIGHT && form->packing == PACKED_PANELS &&
           form->cut == CNN_AXIS_OUT && form->memory[0] == CNN_AXIS_OUT && param_extent(param, CNN_AXIS_GROUP) == 1 &&
           param_extent(param, CNN_AXIS_OH) == 1 && param_extent(param, CNN_AXIS_OW) == 1;
}

static int64_t take_reals(struct plan *p, int64_t *end, int64_t count)
{
    int64_t at = *end;
    *end += plan_round(count, 64 / p->real_size);
    return at;
}

/* Room for a matrix, its product with itself and what becomes of both. */
static void plan_matrix(struct plan *p, const struct param *param, int64_t *end, int64_t *sums)
{
    struct update *u = &p->update;
    const struct param_place *place = &p->params[param->id];
    struct update_matrix m = { .param = param, .at = place->offset, .panel = place->panel, .group = place->group };
    m.outputs = param_extent(param, CNN_AXIS_OUT);
    m.inputs = (int)(param_elements(param) / m.outputs);
    m.turned = m.outputs > m.inputs;
    m.rows = m.turned ? m.outputs : m.inputs;
    m.columns = (int)plan_round(m.turned ? m.inputs : m.outputs, p->lanes);
    m.x = take_reals(p, end, m.rows * m.columns);
    m.y = take_reals(p, end, m.rows * m.columns);
    m.a = take_reals(p, end, (int64_t)m.columns * m.columns);
    m.b = take_reals(p, end, (int64_t)m.columns * m.columns);
    m.sums = *sums;
    *sums += (m.rows + UPDATE_ROWS - 1) / UPDATE_ROWS;
    u->matrix_flops += (int64_t)optimizer_option(p->model, "iterations", 0) * 2 * m.columns * m.columns *
                       (2 * m.rows + m.columns);
    u->matrices[u->matrices_count++] = m;
}

/* Reals first, then sums in double: of matrices, of blocks. */
static void plan_update_memory(struct plan *p)
{
    struct update *u = &p->update;
    const struct graph *g = p->train.graph;
    int64_t reals = 0, sums = 0;
    u->matrices = arena_array(p->arena, (size_t)g->params_count + 1, sizeof *u->matrices);
    for (int i = 0; u->optimizer && i < g->params_count; i++)
        if (plan_trains(g->params[i]) && is_matrix(p, g->params[i]))
            plan_matrix(p, g->params[i], &reals, &sums);
    u->matrix_sums = reals * p->real_size / (int64_t)sizeof(double);
    u->clip_sums = u->matrix_sums + sums;
    u->memory_bytes = (u->clip_sums + (u->clip_norm > 0 ? u->blocks : 0)) * (int64_t)sizeof(double);
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
        bool matrix = is_matrix(p, g->params[i]);
        if (last && !last->matrix && !matrix && last->end == place->offset && last->early == place->early &&
            last->group == place->group)
            last->end = end;
        else
            u->ranges[u->ranges_count++] = (struct update_range){ .begin = place->offset, .end = end,
                                                                  .early = place->early,
                                                                  .group = place->group, .matrix = matrix };
    }
    for (int i = 0; i < u->ranges_count; i++) {
        struct update_range *r = &u->ranges[i];
        r->blocks = (r->end - r->begin + u->block - 1) / u->block;
        u->blocks += r->blocks;
        u->late_elements += r->early ? 0 : r->end - r->begin;
        u->early |= r->early;
    }
    plan_update_memory(p);
    plan_penalties(p);
}
