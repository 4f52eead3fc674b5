/* plan_dump.c - the plan as text: --dump=plan, and what the plan's hash is taken of. */
#include <inttypes.h>
#include <math.h>

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
    if (g->in_place)
        fprintf(out, ", over %s", g->in_place->name);
    if (g->companion)
        fprintf(out, ", with %s", op_name(g->companion->op));
    if (g->sums)
        fprintf(out, ", with the sums of %s", g->sums->layer->name);
    if (g->carrier)
        fprintf(out, ", summed where %s is made", g->carrier->result->name);
    if (reasons)
        fprintf(out, "; %s of: %s", g->reason, g->candidates);
    fprintf(out, "\n");
}

static void dump_step_name(const struct step *s, FILE *out)
{
    fprintf(out, "%s (%s)", s->group->main->name, s->what);
}

/* The indices in a block along what is cut of the first value that has parts: "of 128"; a block of one is not worth a
 * word. */
static void dump_pieces(const struct step *s, FILE *out)
{
    for (int i = 0; i < s->arguments_count; i++) {
        const struct part *part = s->arguments[i].part;
        if (!part || !(s->arguments[i].access & ACCESS_WRITE))
            continue;
        for (int k = 0; k < PART_AXES && part->axis[k].count; k++)
            if (part->axis[k].piece > 1 && axis_pieces(&part->axis[k]) > 1)
                fprintf(out, " of %" PRId64, part->axis[k].piece);
        return;
    }
}

/* " from epoch 1 until epoch 3" */
static void dump_epochs(const struct epochs *e, FILE *out)
{
    for (int i = 0; e && i < e->count; i++) {
        if (i)
            fprintf(out, " and");
        if (e->spans[i].from > 0)
            fprintf(out, " from epoch %.10g%s", e->spans[i].from, e->spans[i].until < INFINITY ? "" : " on");
        if (e->spans[i].until < INFINITY)
            fprintf(out, " until epoch %.10g", e->spans[i].until);
    }
}

static void dump_step(const struct phase *f, const struct loop *loop, const struct step *s, bool first, FILE *out)
{
    fprintf(out, " ");
    dump_step_name(s, out);
    if (f->split == SPLIT_BLOCKS) {
        fprintf(out, " x %" PRId64, s->blocks);
        dump_pieces(s, out);
    }
    if (s->images > 1)
        fprintf(out, " %d at a time", s->images);
    if (loop->run)
        fprintf(out, " in runs of %d", loop->run);
    if (loop->thread)
        fprintf(out, " on thread %d", loop->thread);
    if (!first && f->split == SPLIT_BLOCKS)
        fprintf(out, " in the same loop");
    if (s->updates)
        fprintf(out, " and update");
    dump_epochs(s->epochs, out);
}

/* What many threads do instead. */
static void dump_finer(const struct phase *f, FILE *out)
{
    if (f->split == SPLIT_IMAGES) {
        fprintf(out, "; or in turns of %d", f->finer->images);
        return;
    }
    for (int i = 0; i < f->loops_count; i++)
        if (f->loops[i].blocks != f->finer->loops[i].blocks) {
            fprintf(out, "; or ");
            dump_step_name(f->steps[f->loops[i].first], out);
            fprintf(out, " x %" PRId64, f->finer->loops[i].blocks);
        }
}

/* Within a turn of several images its loops are set apart by semicolons. */
static void dump_phase(const struct program *q, int index, FILE *out)
{
    const struct phase *f = &q->phases[index];
    if (f->meets)
        fprintf(out, "  all shares of the batch meet\n");
    fprintf(out, "  phase %d, %s", index, f->split == SPLIT_IMAGES ? "image by image" : "blocks");
    if (f->images > 1)
        fprintf(out, " in turns of %d", f->images);
    if (f->groups)
        fprintf(out, " in %d groups", f->groups);
    if (f->repeat_begins)
        fprintf(out, ", %d times", f->repeat);
    else if (f->repeat)
        fprintf(out, ", with the one before");
    fprintf(out, ":");
    for (int i = 0; i < f->loops_count; i++)
        for (int k = 0; k < f->loops[i].count; k++) {
            if (i || k)
                fprintf(out, k == 0 && f->images > 1 ? ";" : ",");
            dump_step(f, &f->loops[i], f->steps[f->loops[i].first + k], k == 0, out);
        }
    if (f->finer)
        dump_finer(f, out);
    if (index == q->rule_phase)
        fprintf(out, ", then how to update early");
    fprintf(out, "\n");
}

/* What steps ask memory for, so that it is in the cache when they come to it. */
static void dump_prefetch(const struct program *q, const char *name, FILE *out)
{
    fprintf(out, "%s: asked for ahead\n", name);
    for (int i = 0; i < q->steps_count; i++)
        if (q->steps[i]->prefetch) {
            fprintf(out, "  ");
            dump_step_name(q->steps[i], out);
            fprintf(out, ": %s\n", q->steps[i]->prefetch);
        }
}

/* "  m = ..., p = ...": what is done to an element. */
static void dump_pass(const struct plan *p, const struct update_pass *pass, FILE *out)
{
    static const char *const when[] = { [PASS_ALWAYS] = "each step", [PASS_FIRST] = "the first step",
                                        [PASS_TRAINS] = "while it is trained", [PASS_SYNC] = "at lookahead" };
    fprintf(out, "  %s:", when[pass->when]);
    for (int i = 0; i < pass->count; i++)
        fprintf(out, "%s %s = %s", i ? "," : "", pass->values[i].name, expr_text(p->arena, pass->values[i].value));
    fprintf(out, "\n");
}

static void dump_group_of_parameters(const struct update_group *g, int index, FILE *out)
{
    fprintf(out, "  group %d: rate times %.10g, weight decay %.10g", index, g->lr_scale, g->weight_decay);
    if (g->from > 0)
        fprintf(out, ", from epoch %.10g on", g->from);
    if (g->until < INFINITY)
        fprintf(out, ", until epoch %.10g", g->until);
    fprintf(out, "\n");
}

static void dump_update(const struct plan *p, FILE *out)
{
    const struct update *u = &p->update;
    if (!u->optimizer)
        return;
    fprintf(out, "update: %s, %d vectors of state, blocks of %" PRId64 " (first, end)\n", u->optimizer->name,
            u->slots_count, u->block);
    for (int i = 0; i < u->passes_count; i++)
        dump_pass(p, &u->passes[i], out);
    for (int i = 0; i < u->groups_count && u->groups_count > 1; i++)
        dump_group_of_parameters(&u->groups[i], i, out);
    for (int i = 0; i < u->ranges_count; i++) {
        fprintf(out, "  %-10" PRId64 " %-10" PRId64 " %" PRId64 " blocks", u->ranges[i].begin, u->ranges[i].end,
                u->ranges[i].blocks);
        if (u->groups_count > 1)
            fprintf(out, " of group %d", u->ranges[i].group);
        fprintf(out, "%s%s\n", u->ranges[i].matrix ? ", a matrix" : "", u->ranges[i].early ? ", unless early" : "");
    }
    if (u->clip_norm > 0)
        fprintf(out, "  after the norm of all gradients, which is held at %.10g\n", u->clip_norm);
    if (u->early && u->needs_valid_loss)
        fprintf(out, "  early only where the loss is a number\n");
}

static void dump_pieces_of_gradients(const struct plan *p, FILE *out)
{
    if (p->pieces_count)
        fprintf(out, "gradients go out (first, end)\n");
    for (int i = 0; i < p->pieces_count; i++)
        fprintf(out, "  %-10" PRId64 " %-10" PRId64 " after phase %d\n", p->pieces[i].begin, p->pieces[i].end,
                p->pieces[i].phase);
}

static void dump_memory(const struct program *q, FILE *out)
{
    const struct graph *g = q->graph;
    for (int i = 0; i < g->tensors_count; i++) {
        const struct tensor_place *x = &q->places[i];
        const char *together = x->together ? ", images together" : "";
        if (x->region == REGION_MEMORY && !x->base && x->first >= 0)
            fprintf(out, "  %-12" PRId64 " %-12" PRId64 " phases %d-%d%s  %s\n", x->offset, x->bytes, x->first, x->last,
                    together, g->tensors[i]->name);
        if (x->base && x->pixel != g->tensors[i]->shape.c)
            fprintf(out, "  %-12s %-12s in %s from channel %" PRId64 " on  %s\n", "", "", x->base->name, x->within,
                    g->tensors[i]->name);
        if (x->region == REGION_LOCAL && !x->base)
            fprintf(out, "  %-12" PRId64 " %-12s phase %d, local to a thread%s%s  %s\n", x->offset, "", x->first,
                    x->of_turn ? " for a turn" : "", together, g->tensors[i]->name);
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

/* Whether it multiplies maps, or a map with parameters: what `precision bf16` is about. */
static bool is_product(enum op op)
{
    switch (op) {
    case OP_conv2d: case OP_conv2d_data_grad: case OP_conv2d_weight_grad:
    case OP_dense: case OP_dense_data_grad: case OP_dense_weight_grad:
    case OP_grouped_conv2d: case OP_grouped_conv2d_data_grad: case OP_grouped_conv2d_weight_grad:
    case OP_locally_connected2d: case OP_locally_connected2d_data_grad: case OP_locally_connected2d_weight_grad:
        return true;
    default:
        return false;
    }
}

/* What stays in float all the same. */
static void dump_bf16(const struct program *q, const char *name, FILE *out)
{
    int products = 0, rounded = 0;
    for (int i = 0; i < q->groups_count; i++) {
        products += is_product(q->groups[i]->main->op);
        rounded += q->groups[i]->kernel->bf16;
    }
    fprintf(out, "%s: %d of %d products are of bfloat16", name, rounded, products);
    for (int i = 0, first = 1; i < q->groups_count; i++) {
        const struct group *g = q->groups[i];
        if (!is_product(g->main->op) || g->kernel->bf16)
            continue;
        fprintf(out, "%s %s:%s", first ? "; of float" : ",", g->main->layer->name, plan_pass(g->main));
        first = 0;
    }
    fprintf(out, "\n");
}

static void dump_program(const struct plan *p, const struct program *q, const char *name, bool reasons, FILE *out)
{
    fprintf(out, "%s: kernels (layer:pass = kernel)\n", name);
    for (int i = 0; i < q->groups_count; i++)
        dump_group(q->groups[i], reasons, out);
    if (p->bf16)
        dump_bf16(q, name, out);
    fprintf(out, "%s: schedule\n", name);
    for (int i = 0; i < q->phases_count; i++)
        dump_phase(q, i, out);
    dump_prefetch(q, name, out);
    fprintf(out, "%s: memory, %" PRId64 " bytes (offset, bytes, live)\n", name, q->memory_bytes);
    dump_memory(q, out);
}

static void dump(const struct plan *p, bool reasons, FILE *out)
{
    fprintf(out, "plan of %s for %s, %s, batch %d\n", p->model->name, p->target->name, p->precision, p->batch);
    fprintf(out, "parameters: %" PRId64 " stored, statistics: %" PRId64 ", scratch a thread: %" PRId64 " bytes\n",
            p->params_stored, p->statistics_stored, p->scratch_bytes);
    const struct graph *g = p->use.graph;
    for (int i = 0; i < g->params_count; i++)
        fprintf(out, "  %-10" PRId64 " %-10" PRId64 " panels of %-3d %s\n", p->params[i].offset, p->params[i].stored,
                p->params[i].panel, g->params[i]->name);
    if (p->train.graph)
        dump_program(p, &p->train, "training", reasons, out);
    dump_program(p, &p->use, "use", reasons, out);
    dump_pieces_of_gradients(p, out);
    dump_update(p, out);
}

void plan_dump(const struct plan *p, FILE *out)
{
    dump(p, true, out);
}

void plan_dump_decisions(const struct plan *p, FILE *out)
{
    dump(p, false, out);
}
