/* emit.c - writes the emitted file down: head, functions, schedules, tables.  It decides nothing. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "emit/emit.h"
#include "steps/kernel.h"
#include "output.h"

/* ---- head -------------------------------------------------------------------------------------------------------- */

/* cnnc.mk reads the option behind the target: compiler flags follow from it. */
static void emit_head(const struct plan *p, const char *header, struct cwriter *w)
{
    cw_comment(w,
               OUTPUT_MARK " %s from %s for %s: the network %s. Do not edit: change the .cnn file.\n\n"
               "Maps lie as N x H x W x C, channels innermost. Weights lie in panels of output channels, padded with "
               "zeros to whole vectors. A batch has up to %d samples; n of them are in use.",
               PACKAGE_VERSION, p->model->source ? emit_basename(p->model->source->path) : "text", p->target->name,
               p->model->name, p->batch);
    cw_directive(w, "#define %s 1   /* --target=%s */", p->target->macro, p->asked_target);
    if (p->real_double)
        cw_directive(w, "#define CNN_DOUBLE 1");
    cw_directive(w, "#include <math.h>");
    cw_directive(w, "#include <stdint.h>");
    cw_directive(w, "#include <string.h>");
    if (p->uses_blas)
        cw_directive(w, "#include <cblas.h>");
    cw_blank(w);
    cw_directive(w, "#include <cnnrt.h>");
    cw_directive(w, "#include <cnn_vec.h>");
    cw_directive(w, "#include <cnn_optimizer.h>");
    cw_directive(w, "#include <cnn_scalar.h>");
    if (header)
        cw_directive(w, "#include \"%s\"", header);
    cw_blank(w);
    cw_directive(w, "#if CNNRT_ABI != %d", CNNRT_ABI);
    cw_directive(w, "#error this file was made for another version of the cnnc runtime: compile the .cnn file again");
    cw_directive(w, "#endif");
    if (header)
        emit_header_check(p, header, w);
    cw_blank(w);
}

/* ---- schedules --------------------------------------------------------------------------------------------------- */

/* What the steps of a program are given: which pointers they need. */
struct needs {
    bool *tensors, *buffers;    /* by tensor id; by number of the buffer */
    bool scratch, memory;
};

static struct needs program_needs(struct emitter *e)
{
    const struct program *q = e->program;
    struct needs n = { 0 };
    n.tensors = arena_array(e->arena, (size_t)q->graph->tensors_count + 1, sizeof *n.tensors);
    n.buffers = arena_array(e->arena, (size_t)q->buffers_count + 1, sizeof *n.buffers);
    for (int i = 0; i < q->steps_count; i++)
        for (int k = 0; k < q->steps[i]->arguments_count; k++) {
            const struct argument *a = &q->steps[i]->arguments[k];
            n.scratch |= a->kind == ARGUMENT_SCRATCH;
            n.memory |= a->kind == ARGUMENT_BUFFER;
            if (a->kind == ARGUMENT_BUFFER)
                n.buffers[a->buffer->index] = true;
            if (a->kind == ARGUMENT_TENSOR)
                n.tensors[a->tensor->id] = true;
        }
    if (q->graph->loss)         /* it is summed in the end */
        n.tensors[q->graph->loss->id] = n.memory = true;
    for (int i = 0; i < q->graph->tensors_count; i++)
        n.memory |= n.tensors[i] && q->places[i].region == REGION_MEMORY;
    return n;
}

static const char *tensor_shape(struct emitter *e, const struct tensor *t)
{
    if (t->param)
        return param_memory_text(e->arena, t->param, plan_param(e->plan, t)->panel);
    const char *n = t->per_sample ? "N, " : "";
    if (t->shape.flat || (t->shape.h == 1 && t->shape.w == 1))
        return arena_printf(e->arena, "(%s%d)", n, t->shape.c);
    return arena_printf(e->arena, "(%s%d, %d, %d)", n, t->shape.h, t->shape.w, t->shape.c);
}

/* A pointer to what lies so many bytes behind base, a char *. */
static const char *bytes_from(struct emitter *e, const char *type, const char *base, int64_t offset)
{
    return offset ? arena_printf(e->arena, "(%s *)(%s + %" PRId64 ")", type, base, offset)
                  : arena_printf(e->arena, "(%s *)%s", type, base);
}

static void emit_tensor_pointer(struct emitter *e, struct cwriter *w, const struct tensor *t)
{
    const struct tensor_place *place = &e->program->places[t->id];
    const char *type = plan_element_type(e->plan, t);
    const char *constant = place->region == REGION_PARAMS || place->region == REGION_INPUT ||
                           place->region == REGION_LABELS || place->region == REGION_TARGETS ? "const " : "";
    const char *base = "memory";
    switch (place->region) {
    case REGION_INPUT: base = "c->input"; break;
    case REGION_LABELS: base = "c->labels"; break;
    case REGION_TARGETS: base = "c->targets"; break;
    case REGION_PARAMS: base = "c->params"; break;
    case REGION_GRADS: base = "c->grads"; break;
    case REGION_STATISTICS: base = "c->statistics"; break;
    case REGION_PREDICTIONS: base = "c->predictions"; break;
    case REGION_LOCAL: base = "local"; break;
    default: break;
    }
    const char *value;
    if (place->region == REGION_MEMORY || place->region == REGION_LOCAL)
        value = bytes_from(e, type, base, place->offset);
    else if (place->offset)
        value = arena_printf(e->arena, "(%s%s *)%s + %" PRId64, constant, type, base, place->offset);
    else
        value = base;
    cw_line(w, "%s%s *const %s = %s;  // %s", constant, type, t->name, value, tensor_shape(e, t));
}

static void emit_pointers(struct emitter *e, struct cwriter *w, const struct needs *needs)
{
    const struct program *q = e->program;
    const struct graph *g = q->graph;
    if (needs->memory)
        cw_line(w, "char *const memory = c->memory;");
    for (int i = 0; i < g->tensors_count; i++)
        if (q->places[i].region != REGION_LOCAL && needs->tensors[i])
            emit_tensor_pointer(e, w, g->tensors[i]);
    for (int i = 0; i < q->buffers_count; i++) {
        const struct buffer *b = q->buffers[i];
        if (needs->buffers[i])
            cw_line(w, "%s *const %s = %s;", b->type, b->name, bytes_from(e, b->type, "memory", b->offset));
    }
}

/* Within the parallel region: the thread's own. */
static void emit_local_pointers(struct emitter *e, struct cwriter *w, const struct needs *needs)
{
    const struct program *q = e->program;
    const struct plan *p = e->plan;
    if (needs->scratch || q->local_bytes)
        cw_line(w, "char *const own = (char *)c->scratch + (size_t)w->number * %" PRId64 ";",
                p->scratch_bytes);
    if (needs->scratch)
        cw_line(w, "%s *const scratch = (%s *)own;", p->real, p->real);
    if (!q->local_bytes)
        return;
    cw_line(w, "char *const local = own + %" PRId64 ";  // for the images of one turn", p->kernel_scratch);
    for (int i = 0; i < q->graph->tensors_count; i++)
        if (q->places[i].region == REGION_LOCAL && needs->tensors[i])
            emit_tensor_pointer(e, w, q->graph->tensors[i]);
}

static void emit_call(struct emitter *e, struct cwriter *w, const struct step *s)
{
    cw_line(w, "%s(%s);", e->called[s->index], emit_arguments(e, s));
    cw_line(w, "TICK(%d);", s->stretch);
}

/* "i++", "i += 4" */
static const char *advance(struct emitter *e, const char *variable, int by)
{
    return by == 1 ? arena_printf(e->arena, "%s++", variable) : arena_printf(e->arena, "%s += %d", variable, by);
}

/* One turn: the images from `first` on, or the image `i`. */
static void emit_turn(struct emitter *e, struct cwriter *w, const struct phase *f)
{
    for (int k = 0; k < f->loops_count; k++) {
        const struct loop *loop = &f->loops[k];
        if (f->images > 1 && loop->images == f->images) {
            cw_open(w, "{");
            cw_line(w, "const int i = first;");
        } else if (f->images > 1) {
            cw_open(w, "for (int i = first; i < first + %d && i < n; %s) {", f->images, advance(e, "i", loop->images));
        }
        for (int s = 0; s < loop->count; s++)
            emit_call(e, w, f->steps[loop->first + s]);
        if (f->images > 1)
            cw_close(w, "}");
    }
}

/* "int i = 0, end = 32": this thread's part of `count`, `turn` at a time. */
static const char *share(struct emitter *e, const char *variable, const char *count, int turn)
{
    return arena_printf(e->arena, "int %s = cnn_first(w, %s, %d), end = cnn_end(w, %s, %d)", variable, count, turn,
                        count, turn);
}

static void emit_images(struct emitter *e, struct cwriter *w, const struct phase *f, int batch)
{
    const char *image = f->images == 1 ? "i" : "first", *next = advance(e, image, f->images);
    if (f->groups) {
        int size = batch / f->groups;
        cw_open(w, "for (%s; g < end; g++) {", share(e, "g", arena_printf(e->arena, "%d", f->groups), 1));
        for (int k = 0; k < f->steps_count; k++) {
            const char *clearing = emit_clearing(e, f->steps[k]);
            if (*clearing)
                cw_line(w, "%s;", clearing);
        }
        cw_open(w, "for (int %s = g * %d; %s < (g + 1) * %d && %s < n; %s) {", image, size, image, size, image,
                next);
    } else {
        cw_open(w, "for (%s; %s < end; %s) {", share(e, image, "n", f->images), image, next);
    }
    emit_turn(e, w, f);
    cw_close(w, "}");
    if (f->groups)
        cw_close(w, "}");
}

static void emit_blocks(struct emitter *e, struct cwriter *w, const struct phase *f, const struct loop *loop)
{
    if (loop->blocks == 1) {
        bool b = false;
        for (int i = 0; i < loop->count; i++)
            b |= step_uses_kind(f->steps[loop->first + i], ARGUMENT_BLOCK);
        if (loop->thread)
            cw_open(w, "if (w->number == %d %% w->count) {", loop->thread);
        else
            cw_open(w, "if (w->number == 0) {");
        if (b)
            cw_line(w, "const int b = 0;");
    } else if (loop->run) {
        cw_open(w, "for (int b = w->number * %d; b < %" PRId64 "; b = cnn_next(w, b, %d)) {", loop->run, loop->blocks,
                loop->run);
    } else {
        cw_open(w, "for (%s; b < end; b++) {", share(e, "b", arena_printf(e->arena, "%" PRId64, loop->blocks), 1));
    }
    for (int i = 0; i < loop->count; i++)
        emit_call(e, w, f->steps[loop->first + i]);
    cw_close(w, "}");
}

/* What this thread waits for the others, or for who does all, is part of the last step. */
static void emit_arrival(struct cwriter *w, const struct phase *f)
{
    cw_line(w, "cnn_meet(w);");
    cw_line(w, "TICK(%d);", f->steps[f->steps_count - 1]->stretch);
}

static void emit_phases(struct emitter *e, struct cwriter *w)
{
    const struct program *q = e->program;
    int batch = e->plan->batch;
    for (int i = 0; i < q->phases_count; i++) {
        const struct phase *f = &q->phases[i];
        if (f->repeat_begins)
            cw_open(w, "for (int j = 0; j < %d && j * %d < n; j++) {", f->repeat, batch / f->repeat);
        if (f->split == SPLIT_IMAGES)
            emit_images(e, w, f, batch);
        for (int k = 0; f->split == SPLIT_BLOCKS && k < f->loops_count; k++)
            emit_blocks(e, w, f, &f->loops[k]);
        emit_arrival(w, f);
        if (i == q->rule_phase)
            emit_early_rule(e, w);
        if (f->repeat_ends)
            cw_close(w, "}");
    }
}

static void emit_loss_sum(const struct plan *p, struct cwriter *w)
{
    cw_comment(w, "The loss of a batch, in the order of its samples.");
    cw_line(w, "static double loss_sum(const %s *losses, int n)", p->real);
    cw_open(w, "{");
    cw_line(w, "double sum = 0;");
    cw_open(w, "for (int i = 0; i < n; i++)");
    cw_line(w, "sum += losses[i];");
    cw_close(w, "return sum;");
    cw_close(w, "}");
    cw_blank(w);
}

/* The loss of a batch, summed in the order of its samples by one thread: the others are waited for anyhow. */
static void emit_loss(struct emitter *e, struct cwriter *w)
{
    const struct tensor *loss = e->program->graph->loss;
    if (!loss)
        return;
    cw_open(w, "if (w->number == 0)");
    cw_line(w, "c->loss = loss_sum(%s, n);", loss->name);
    cw_close(w, "");
}

/* What each thread does of it, and the function that has all of them do it. */
static void emit_schedule(struct emitter *e, struct cwriter *w, const char *name, const char *comment)
{
    cw_comment(w, "%s This is what one of the threads does of it.", comment);
    cw_line(w, "static void %s_share(struct cnn_context *c, int n, struct cnn_worker *w)", name);
    cw_open(w, "{");
    const struct needs needs = program_needs(e);
    emit_pointers(e, w, &needs);
    if (e->program->rule_phase >= 0)
        emit_rule(e, w);
    emit_local_pointers(e, w, &needs);
    cw_line(w, "uint64_t *const ticks = w->number == 0 ? c->ticks : NULL;");
    cw_line(w, "uint64_t clock = ticks ? cnn_clock() : 0;");
    cw_blank(w);
    emit_phases(e, w);
    emit_loss(e, w);
    cw_close(w, "}");
    cw_blank(w);
    cw_line(w, "static void %s(struct cnn_context *c, int n)", name);
    cw_open(w, "{");
    cw_line(w, "cnn_parallel(c, n, %s_share);", name);
    cw_close(w, "}");
    cw_blank(w);
}

const char **emit_steps(struct emitter *e, const struct program *q)
{
    const char **names = arena_array(e->arena, (size_t)q->steps_count + 1, sizeof *names);
    e->program = q;
    for (int i = 0; i < q->steps_count; i++)
        names[i] = q->steps[i]->group->kernel->emit(e, q->steps[i]);
    return names;
}

/* ---- the file ---------------------------------------------------------------------------------------------------- */

static void emit_tick(struct cwriter *w)
{
    cw_comment(w, "While profiling, thread 0 adds the time since the last tick to a stretch.");
    cw_directive(w, "#define TICK(stretch) \\");
    cw_directive(w, "    do { \\");
    cw_directive(w, "        if (ticks) { \\");
    cw_directive(w, "            const uint64_t now = cnn_clock(); \\");
    cw_directive(w, "            ticks[stretch] += now - clock; \\");
    cw_directive(w, "            clock = now; \\");
    cw_directive(w, "        } \\");
    cw_directive(w, "    } while (0)");
    cw_blank(w);
}

void emit_source(const struct plan *p, const char *header, FILE *out)
{
    struct arena arena = { 0 };
    struct emitter e = emitter_of(p, &arena);
    struct cwriter *w = cw_new(out);
    const char **train = emit_steps(&e, &p->train), **use = emit_steps(&e, &p->use);
    emit_head(p, header, w);
    emit_update_range(&e, w);
    emit_functions(&e, w, out, 0);
    if (p->train.graph->loss || p->use.graph->loss)
        emit_loss_sum(p, w);
    emit_tick(w);
    e.program = &p->train;
    e.called = train;
    emit_schedule(&e, w, "train_step",
                  "Training: forward with dropout and the batch's own moments, loss, and the gradients of its mean "
                  "with respect to every parameter.");
    e.program = &p->use;
    e.called = use;
    emit_schedule(&e, w, "infer", "The network in use: predictions, and the loss where labels are set.");
    emit_update(&e, w);
    emit_metrics(&e, w);
    emit_tables(&e, w);
    cw_free(w);
    arena_free(&arena);
}
