/* plan.c - from graphs to a plan: the stages of planning in order, and what holds of their result.
 *
 * Requires: verified graphs of training and of use, over the same parameters; for the target `portable` that of use.
 * Ensures: plan_verify(). */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "steps/kernel.h"
#include "steps/plan.h"
#include "ops/ops.h"
#include "plan/plan_parts.h"

const struct kernel *const *kernels(int *count)
{
#define KERNEL(name) extern const struct kernel kernel_##name;
#include "plan/kernels.def"
#undef KERNEL
    static const struct kernel *const all[] = {
#define KERNEL(name) &kernel_##name,
#include "plan/kernels.def"
#undef KERNEL
    };
    *count = (int)(sizeof all / sizeof all[0]);
    return all;
}

/* A stretch of the profile for each (layer, operation, direction, what). */
static int find_stretch(struct plan *p, const struct step *s)
{
    struct layer *layer = s->group->main->layer;
    enum op op = s->group->main->op;
    bool backward = s->group->main->backward;
    const char *key = arena_printf(p->arena, "%d %d %d %s", layer ? layer->index : -1, (int)op, backward, s->what);
    int *index = table_get(&p->stretches_by_name, key);
    if (index)
        return *index;
    index = arena_alloc(p->arena, sizeof *index);
    *index = p->stretches_count;
    table_put(&p->stretches_by_name, key, index);
    struct stretch t = { .layer = layer, .op = op, .backward = backward, .what = s->what };
    LIST_ADD(p->arena, p->stretches, p->stretches_count, p->stretches_capacity, t);
    return *index;
}

/* The program of use computes the same forward stretches; only training counts their operations. */
static void add_stretches(struct plan *p, struct program *q)
{
    for (int i = 0; i < q->steps_count; i++) {
        struct step *s = q->steps[i];
        s->stretch = find_stretch(p, s);
        if (q->training)
            p->stretches[s->stretch].flops += s->flops;
        if (q->training && s->updates) {
            p->params[s->updates->id].early = true;
            p->stretches[s->stretch].updated += p->params[s->updates->id].stored;
        }
    }
}

static void plan_program(struct plan *p, struct program *q, const struct graph *g, const struct plan_options *o,
                         struct diag *d)
{
    q->graph = g;
    q->training = g->training;
    for (int i = 0; g->training && i < g->nodes_count; i++)
        p->image_flops += (double)op_def_get(g->nodes[i]->op)->flops(g->nodes[i]);
    plan_places(p, q);
    plan_together(p, q, o, d);
    plan_groups(p, q, o, d);
    plan_views(p, q);
    plan_schedule(p, q);
    plan_memory(p, q);
    for (int i = 0; i < q->groups_count; i++)
        if (q->groups[i]->kernel->settle)
            q->groups[i]->kernel->settle(p, q, q->groups[i]);
    add_stretches(p, q);
    plan_epochs(p, q);
    plan_finer(p, q);
    if (q->memory_bytes > p->memory_bytes)
        p->memory_bytes = q->memory_bytes;
}

/* FNV-1a over the dump: whatever shows there changes the hash.  Reasons do not: wisdom that confirms the estimates
 * gives the same plan. */
static uint64_t hash_plan(const struct plan *p)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    if (!f)
        return hash;
    plan_dump_decisions(p, f);
    fclose(f);
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
    free(text);
    return hash;
}

/* Reports the first operation that no plain loops are written for. */
static bool is_portable(const struct graph *g, struct diag *d)
{
    int count;
    const struct kernel *const *all = kernels(&count);
    for (int i = 0; i < g->nodes_count; i++) {
        const struct node *n = g->nodes[i];
        bool found = n->op == OP_view;
        for (int k = 0; k < count && !found; k++)
            found = all[k]->portable && all[k]->op == n->op;
        if (!found) {
            diag_error(d, DIAG_not_supported, n->layer->where,
                       "--emit=inference cannot write the operation '%s' of this layer yet", op_name(n->op));
            return false;
        }
    }
    return true;
}

const char *plan_precision(const struct plan_options *o)
{
    return o->bf16 ? "bf16" : o->real_double ? "double" : "float";
}

struct plan *plan_begin(struct arena *a, const struct graph *g, const struct plan_options *options)
{
    struct plan *p = arena_alloc(a, sizeof *p);
    p->arena = a;
    p->stretches_by_name.arena = a;
    p->model = g->model;
    p->name = options->name ? options->name : g->model->name;
    p->target = target_find(options->target);
    p->asked_target = options->target;
    p->real_double = options->real_double;
    p->bf16 = options->bf16;
    p->precision = plan_precision(options);
    p->real = options->real_double ? "double" : "float";
    p->real_size = options->real_double ? 8 : 4;
    p->lanes = p->target->vector_bytes / p->real_size;
    p->batch = p->target->portable ? 1 : g->model->share ? g->model->share : g->model->batch;
    p->error_growth = options->exact ? 1 : options->error_growth > 0 ? options->error_growth : ERROR_GROWTH;
    p->bf16_growth = p->error_growth < BF16_GROWTH || options->error_growth > 0 ? p->error_growth : BF16_GROWTH;
    return p;
}

struct plan *plan_model(struct arena *a, const struct graph *train, const struct graph *use,
                        const struct plan_options *options, struct diag *d)
{
    struct plan *p = plan_begin(a, use, options);
    if (p->target->portable && !is_portable(use, d))
        return NULL;
    plan_params(p, train ? train : use);
    if (train) {
        plan_optimizer(p, train);
        plan_program(p, &p->train, train, options, d);
        plan_update(p);
        if (p->model->share)
            plan_pieces(p);
    }
    plan_program(p, &p->use, use, options, d);
    plan_lasting_memory(p, &p->train);
    plan_lasting_memory(p, &p->use);
    p->kernel_scratch = p->scratch_bytes;
    p->scratch_bytes += p->train.local_bytes > p->use.local_bytes ? p->train.local_bytes : p->use.local_bytes;
    plan_check_forced(p, options, d);
    if (diag_errors(d))
        return NULL;
    p->hash = hash_plan(p);
    return p;
}
