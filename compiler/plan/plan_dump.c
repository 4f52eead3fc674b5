/* plan_dump.c - the plan as text: --dump=plan, and what the plan's hash is taken of. */
#include <inttypes.h>

#include "steps/kernel.h"
#include "steps/plan.h"
#include "plan/plan_parts.h"

static void dump_group(const struct group *g, bool reasons, FILE *out)
{
    fprintf(out, "  %s:%s = %s", g->main->layer ? g->main->layer->name : g->main->name, plan_pass(g->main),
            g->kernel->name);
    fprintf(out, "    # %s", op_name(g->main->op));
    for (int i = 0; i < g->chain_count; i++)
        fprintf(out, " + %s", op_name(g->chain[i]->op));
    if (g->companion)
        fprintf(out, ", with %s", op_name(g->companion->op));
    if (reasons)
        fprintf(out, "; %s of: %s", g->reason, g->candidates);
    fprintf(out, "\n");
}

static bool in_loop_of_previous(const struct phase *f, int step)
{
    for (int i = 0; i < f->loops_count; i++)
        if (f->loops[i].first == step)
            return false;
    return true;
}

static void dump_phase(const struct phase *f, int index, FILE *out)
{
    fprintf(out, "  phase %d, %s:", index, f->split == SPLIT_IMAGES ? "image by image" : "blocks");
    for (int i = 0; i < f->steps_count; i++) {
        const struct step *s = f->steps[i];
        fprintf(out, "%s %s (%s)", i ? "," : "", s->group->main->name, s->what);
        if (f->split == SPLIT_BLOCKS)
            fprintf(out, " x %" PRId64, s->blocks);
        if (s->run)
            fprintf(out, " in runs of %d", s->run);
        if (i && f->split == SPLIT_BLOCKS && in_loop_of_previous(f, i))
            fprintf(out, " in the same loop");
        if (s->updates)
            fprintf(out, " and update");
    }
    fprintf(out, "\n");
}

static void dump_memory(const struct program *q, FILE *out)
{
    const struct graph *g = q->graph;
    for (int i = 0; i < g->tensors_count; i++) {
        const struct tensor_place *x = &q->places[i];
        if (x->region == REGION_MEMORY && !x->base && x->first >= 0)
            fprintf(out, "  %-12" PRId64 " %-12" PRId64 " phases %d-%d  %s\n", x->offset, x->bytes, x->first, x->last,
                    g->tensors[i]->name);
        if (x->region == REGION_LOCAL && !x->base)
            fprintf(out, "  %-12" PRId64 " %-12s phase %d, local to a thread  %s\n", x->offset, "", x->first,
                    g->tensors[i]->name);
    }
    for (int i = 0; i < q->buffers_count; i++) {
        const struct buffer *b = q->buffers[i];
        if (b->lasting)
            fprintf(out, "  %-12" PRId64 " %-12" PRId64 " from call to call  %s\n", b->offset, b->bytes, b->name);
        else
            fprintf(out, "  %-12" PRId64 " %-12" PRId64 " phases %d-%d  %s\n", b->offset, b->bytes, b->first, b->last,
                    b->name);
    }
}

static void dump_program(const struct program *q, const char *name, bool reasons, FILE *out)
{
    fprintf(out, "%s: kernels (layer:pass = kernel)\n", name);
    for (int i = 0; i < q->groups_count; i++)
        dump_group(q->groups[i], reasons, out);
    fprintf(out, "%s: schedule\n", name);
    for (int i = 0; i < q->phases_count; i++)
        dump_phase(&q->phases[i], i, out);
    fprintf(out, "%s: memory, %" PRId64 " bytes (offset, bytes, live)\n", name, q->memory_bytes);
    dump_memory(q, out);
}

static void dump(const struct plan *p, bool reasons, FILE *out)
{
    fprintf(out, "plan of %s for %s, %s, batch %d\n", p->model->name, p->target->name, p->real, p->batch);
    fprintf(out, "parameters: %" PRId64 " stored, statistics: %" PRId64 ", scratch a thread: %" PRId64 " bytes\n",
            p->params_stored, p->statistics_stored, p->scratch_bytes);
    const struct graph *g = p->use.graph;
    for (int i = 0; i < g->params_count; i++)
        fprintf(out, "  %-10" PRId64 " %-10" PRId64 " panels of %-3d %s\n", p->params[i].offset, p->params[i].stored,
                p->params[i].panel, g->params[i]->name);
    if (p->train.graph)
        dump_program(&p->train, "training", reasons, out);
    dump_program(&p->use, "use", reasons, out);
}

void plan_dump(const struct plan *p, FILE *out)
{
    dump(p, true, out);
}

void plan_dump_decisions(const struct plan *p, FILE *out)
{
    dump(p, false, out);
}
