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

static bool is_word(char c)
{
    return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Does the C text mention the identifier? */
static bool mentions(const char *text, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = strstr(text, name); at; at = strstr(at + 1, name))
        if ((at == text || !is_word(at[-1])) && !is_word(at[length]))
            return true;
    return false;
}

static void collect_words(struct emitter *e, const char *text, struct table *words)
{
    for (const char *at = text; *at;) {
        const char *end = at;
        while (is_word(*end))
            end++;
        if (end > at)
            table_put(words, arena_string(e->arena, at, (size_t)(end - at)), e);
        at = end > at ? end : at + 1;
    }
}

/* All words that the steps of the program mention. */
static struct table program_words(struct emitter *e)
{
    const struct program *q = e->program;
    struct table words = { .arena = e->arena };
    for (int i = 0; i < q->steps_count; i++) {
        collect_words(e, q->steps[i]->call, &words);
        if (q->steps[i]->begin)
            collect_words(e, q->steps[i]->begin, &words);
    }
    return words;
}

static const char *tensor_shape(struct emitter *e, const struct tensor *t)
{
    if (t->param) {
        const struct param *m = t->param;
        const struct param_place *place = plan_param(e->plan, t);
        if (m->kind == PARAM_VECTOR)
            return arena_printf(e->arena, "(%d)", m->out);
        if (m->kind == PARAM_MAP)
            return arena_printf(e->arena, "(%d, %d, %d)", m->oh, m->ow, m->out);
        if (m->kind == PARAM_LOCAL)
            return arena_printf(e->arena, "(%d, %d, %d in panels of %d, %d, %d, %d)", m->oh, m->ow, m->out,
                                place->panel, m->kh, m->kw, m->in);
        if (m->kind == PARAM_DENSE)
            return arena_printf(e->arena, "(%d in panels of %d, %d)", m->out, place->panel, m->in);
        return arena_printf(e->arena, "(%d in panels of %d, %d, %d, %d)", m->out, place->panel, m->kh, m->kw, m->in);
    }
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
    const char *type = emit_element_type(e, t);
    const char *constant = place->region == REGION_PARAMS || place->region == REGION_INPUT ||
                           place->region == REGION_LABELS ? "const " : "";
    const char *base = "memory";
    switch (place->region) {
    case REGION_INPUT: base = "c->input"; break;
    case REGION_LABELS: base = "c->labels"; break;
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

static void emit_pointers(struct emitter *e, struct cwriter *w, const struct table *words)
{
    const struct program *q = e->program;
    const struct graph *g = q->graph;
    bool memory = g->loss != NULL;
    for (int i = 0; i < g->tensors_count && !memory; i++)
        memory = q->places[i].region == REGION_MEMORY && table_get(words, g->tensors[i]->name);
    for (int i = 0; i < q->buffers_count; i++)
        memory |= table_get(words, q->buffers[i]->name) != NULL;
    if (memory)
        cw_line(w, "char *const memory = c->memory;");
    for (int i = 0; i < g->tensors_count; i++)
        if (q->places[i].region != REGION_LOCAL &&
            (table_get(words, g->tensors[i]->name) || g->tensors[i] == g->loss))
            emit_tensor_pointer(e, w, g->tensors[i]);
    for (int i = 0; i < q->buffers_count; i++) {
        const struct buffer *b = q->buffers[i];
        if (table_get(words, b->name))
            cw_line(w, "%s *const %s = %s;", b->type, b->name, bytes_from(e, b->type, "memory", b->offset));
    }
}

/* Within the parallel region: the thread's own. */
static void emit_local_pointers(struct emitter *e, struct cwriter *w, const struct table *words)
{
    const struct program *q = e->program;
    const struct plan *p = e->plan;
    bool scratch = table_get(words, "scratch") != NULL;
    if (scratch || q->local_bytes)
        cw_line(w, "char *const own = (char *)c->scratch + (size_t)w->number * %" PRId64 ";",
                p->scratch_bytes);
    if (scratch)
        cw_line(w, "%s *const scratch = (%s *)own;", p->real, p->real);
    if (!q->local_bytes)
        return;
    cw_line(w, "char *const local = own + %" PRId64 ";  // for the images of one turn", p->kernel_scratch);
    for (int i = 0; i < q->graph->tensors_count; i++)
        if (q->places[i].region == REGION_LOCAL && table_get(words, q->graph->tensors[i]->name))
            emit_tensor_pointer(e, w, q->graph->tensors[i]);
}

static void emit_call(struct cwriter *w, const struct step *s)
{
    cw_line(w, "%s;", s->call);
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
    for (int k = 0; k < f->steps_count; k++) {
        if (f->images == 1) {
            emit_call(w, f->steps[k]);
            continue;
        }
        /* neighbours with the same stride share a loop over the images of a turn */
        int images = f->steps[k]->images;
        if (images == f->images) {
            cw_open(w, "{");
            cw_line(w, "const int i = first;");
        } else {
            cw_open(w, "for (int i = first; i < first + %d && i < n; %s) {", f->images, advance(e, "i", images));
        }
        emit_call(w, f->steps[k]);
        while (k + 1 < f->steps_count && f->steps[k + 1]->images == images)
            emit_call(w, f->steps[++k]);
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
        for (int k = 0; k < f->steps_count; k++)
            if (f->steps[k]->begin)
                cw_line(w, "%s;", f->steps[k]->begin);
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

/* A loop over the blocks of `count` steps that share them; `alone`: how many such of one block came before in the
 * phase, so that they go to different threads. */
static void emit_blocks(struct emitter *e, struct cwriter *w, struct step *const *steps, int count, int alone)
{
    const struct step *s = steps[0];
    if (s->blocks == 1) {
        bool b = false;
        for (int i = 0; i < count; i++)
            b |= mentions(steps[i]->call, "b");
        if (alone)
            cw_open(w, "if (w->number == %d %% w->count) {", alone);
        else
            cw_open(w, "if (w->number == 0) {");
        if (b)
            cw_line(w, "const int b = 0;");
    } else if (s->run) {
        cw_open(w, "for (int b = w->number * %d; b < %" PRId64 "; b = cnn_next(w, b, %d)) {", s->run, s->blocks,
                s->run);
    } else {
        cw_open(w, "for (%s; b < end; b++) {", share(e, "b", arena_printf(e->arena, "%" PRId64, s->blocks), 1));
    }
    for (int i = 0; i < count; i++)
        emit_call(w, steps[i]);
    cw_close(w, "}");
}

static void emit_loops_of_blocks(struct emitter *e, struct cwriter *w, const struct phase *f)
{
    int alone = 0;
    for (int first = 0, end; first < f->steps_count; first = end) {
        for (end = first + 1; end < f->steps_count && plan_same_rows(f->steps[first], f->steps[end]); end++)
            ;
        emit_blocks(e, w, f->steps + first, end - first, alone);
        alone += f->steps[first]->blocks == 1;
    }
}

/* Phases of one group that repeat stand in a loop of their own. */
static bool same_loop(const struct phase *a, const struct phase *b)
{
    return a->repeat && a->repeat == b->repeat && a->steps[0]->group == b->steps[0]->group;
}

/* What this thread waits for the others, or for who does all, is part of the last step. */
static void emit_arrival(struct cwriter *w, const struct phase *f)
{
    cw_line(w, "cnn_meet(w);");
    cw_line(w, "TICK(%d);", f->steps[f->steps_count - 1]->stretch);
}

/* The last phase that makes losses of samples; -1: none. */
static int loss_phase(const struct program *q)
{
    int last = -1;
    for (int i = 0; i < q->steps_count; i++)
        if (q->graph->loss && q->steps[i]->group->main == q->graph->loss->producer && q->steps[i]->phase > last)
            last = q->steps[i]->phase;
    return last;
}

static void emit_phases(struct emitter *e, struct cwriter *w)
{
    const struct program *q = e->program;
    int batch = e->plan->batch, early_from = q->training && plan_updates_early(e->plan) ? loss_phase(q) : -1;
    for (int i = 0; i < q->phases_count; i++) {
        const struct phase *f = &q->phases[i];
        if (f->repeat && (i == 0 || !same_loop(&q->phases[i - 1], f)))
            cw_open(w, "for (int j = 0; j < %d && j * %d < n; j++) {", f->repeat, batch / f->repeat);
        if (f->split == SPLIT_IMAGES)
            emit_images(e, w, f, batch);
        else
            emit_loops_of_blocks(e, w, f);
        emit_arrival(w, f);
        if (i == early_from)
            emit_early_rule(e, w);
        if (f->repeat && (i == q->phases_count - 1 || !same_loop(f, &q->phases[i + 1])))
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
    const struct table words = program_words(e);
    emit_pointers(e, w, &words);
    if (e->program->training && plan_updates_early(e->plan))
        emit_rule(e, w);
    emit_local_pointers(e, w, &words);
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

static void emit_steps(struct emitter *e, const struct program *q)
{
    e->program = q;
    for (int i = 0; i < q->steps_count; i++)
        q->steps[i]->group->kernel->emit(e, q->steps[i]);
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
    emit_steps(&e, &p->train);
    emit_steps(&e, &p->use);
    emit_head(p, header, w);
    emit_update_range(&e, w);
    emit_functions(&e, w, out, 0);
    if (p->train.graph->loss || p->use.graph->loss)
        emit_loss_sum(p, w);
    emit_tick(w);
    e.program = &p->train;
    emit_schedule(&e, w, "train_step",
                  "Training: forward with dropout and the batch's own moments, loss, and the gradients of its mean "
                  "with respect to every parameter.");
    e.program = &p->use;
    emit_schedule(&e, w, "infer", "The network in use: predictions, and the loss where labels are set.");
    emit_update(&e, w);
    emit_metrics(&e, w);
    emit_tables(&e, w);
    cw_free(w);
    arena_free(&arena);
}
