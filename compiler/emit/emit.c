/* emit.c - writes the emitted file down: head, functions, schedules, tables.  It decides nothing. */
#include "config.h"
#include "emit/emit.h"
#include "steps/kernel.h"
#include "base/output.h"
#include "base/text.h"

/* ---- head -------------------------------------------------------------------------------------------------------- */

/* cnnc.mk reads the option behind the target: compiler flags follow from it. */
static void emit_head(const struct plan *p, const char *header, struct cwriter *w)
{
    cw_comment(w,
               OUTPUT_MARK " %s from %s for %s: the network %s. Do not edit: change the .cnn file.\n\n"
               "Maps lie as N x H x W x C, channels innermost. Weights lie in panels of output channels, padded with "
               "zeros to whole vectors. A batch has up to %d samples; n of them are in use.",
               PACKAGE_VERSION, p->model->source ? text_basename(p->model->source->path) : "text", p->target->name,
               p->model->name, p->batch);
    cw_directive(w, "#define %s 1   /* --target=%s */", p->target->macro, p->asked_target);
    if (p->real_double)
        cw_directive(w, "#define CNN_DOUBLE 1");
    if (p->bf16)
        cw_directive(w, "#define CNN_BF16 1");
    cw_directive(w, "#include <math.h>");
    cw_directive(w, "#include <stdint.h>");
    cw_directive(w, "#include <string.h>");
    if (p->uses_blas)
        cw_directive(w, "#include <cblas.h>");
    cw_blank(w);
    cw_directive(w, "#include <cnnrt.h>");
    if (p->model->share) {
        cw_directive(w, "#ifdef CNN_MPI");
        cw_directive(w, "#include <cnnrt_mpi.h>");
        cw_directive(w, "#endif");
    }
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

/* ---- the file ---------------------------------------------------------------------------------------------------- */

static struct emitted_function *emit_step(struct emitter *e, const struct step *s)
{
    const char *name = s->group->kernel->emit(e, s);
    struct emitted_function *f = table_get(&e->by_name, name);
    emit_step_of(e, f, s);
    emit_step_shapes(e, s, name);
    return f;
}

struct emitted_function **emit_steps(struct emitter *e, const struct program *q)
{
    struct emitted_function **functions = arena_array(e->arena, (size_t)q->steps_count + 1, sizeof *functions);
    e->program = q;
    for (int i = 0; i < q->steps_count; i++)
        functions[i] = emit_step(e, q->steps[i]);
    return functions;
}

/* Those of finer phases that other phases do not have. */
static struct emitted_function **emit_finer_steps(struct emitter *e, const struct program *q)
{
    struct emitted_function **functions = arena_array(e->arena, (size_t)q->steps_count + 1, sizeof *functions);
    e->program = q;
    for (int i = 0; i < q->phases_count; i++)
        for (int k = 0; q->phases[i].finer && k < q->phases[i].steps_count; k++) {
            const struct step *s = q->phases[i].finer->steps[k];
            if (s != q->phases[i].steps[k])
                functions[s->index] = emit_step(e, s);
        }
    return functions;
}

void emit_source(const struct plan *p, const char *header, FILE *out)
{
    struct arena arena = { 0 };
    struct emitter e = emitter_of(p, &arena);
    struct cwriter *w = cw_new(out);
    emit_name_stretches(&e);
    struct emitted_function **train = emit_steps(&e, &p->train), **train_finer = emit_finer_steps(&e, &p->train),
                            **use = emit_steps(&e, &p->use), **use_finer = emit_finer_steps(&e, &p->use);
    emit_name_own(&e);
    emit_muon_functions(&e);
    emit_head(p, header, w);
    emit_contents(&e, w);
    emit_update_range(&e, w);
    emit_functions(&e, w, out, 0);
    emit_stopwatch(&e, w);
    if (p->train.graph->loss || p->use.graph->loss) {
        emit_loss_sum(p, w);
        emit_penalty(&e, w);
    }
    emit_epochs(&e, w);
    e.program = &p->train;
    e.called = train;
    e.called_finer = train_finer;
    emit_schedule(&e, w, "train_step",
                  "Training: forward with dropout and the batch's own moments, loss, and the gradients of its mean "
                  "with respect to every parameter.");
    e.program = &p->use;
    e.called = use;
    e.called_finer = use_finer;
    emit_schedule(&e, w, "infer", "The network in use: predictions, and the loss where labels are set.");
    emit_update(&e, w);
    emit_metrics(&e, w);
    emit_rate(&e, w);
    emit_tables(&e, w);
    cw_free(w);
    arena_free(&arena);
}
