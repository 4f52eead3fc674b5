/* emit_schedule.c - the schedules of training and of use: a function for each phase, which has the pointers that its
 * steps are given, and one that goes through them.
 *
 * A phase is a function of its own so that compilers need not look at a whole deep network at once. */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "emit/emit.h"

/* ---- time -------------------------------------------------------------------------------------------------------- */

/* "CONV2D_2_WEIGHT_GRADIENT" */
static const char *stretch_name(struct emitter *e, const struct stretch *s, bool with_op)
{
    const char *layer = s->layer ? s->layer->name : "loss";
    const char *name = with_op ? arena_printf(e->arena, "%s_%s_%s", layer, op_name(s->op), s->what)
                               : arena_printf(e->arena, "%s_%s", layer, s->what);
    char *out = arena_string(e->arena, name, strlen(name));
    for (char *c = out; *c; c++)
        *c = isalnum((unsigned char)*c) ? (char)toupper((unsigned char)*c) : '_';
    return arena_printf(e->arena, "TIME_%s", out);
}

void emit_name_stretches(struct emitter *e)
{
    const struct plan *p = e->plan;
    const char **names = arena_array(e->arena, (size_t)p->stretches_count + 1, sizeof *names);
    struct table count = { .arena = e->arena };
    for (int i = 0; i < p->stretches_count; i++) {
        const char *name = stretch_name(e, &p->stretches[i], false);
        table_put(&count, name, table_get(&count, name) ? e : (void *)p);
    }
    struct table taken = { .arena = e->arena };
    table_put(&taken, "TIME_UPDATE", e);
    for (int i = 0; i < p->stretches_count; i++) {
        bool alone = table_get(&count, stretch_name(e, &p->stretches[i], false)) == p;
        names[i] = stretch_name(e, &p->stretches[i], !alone);
        for (int k = 2; table_get(&taken, names[i]); k++)       /* names of layers may differ in small letters only */
            names[i] = arena_printf(e->arena, "%s_%d", stretch_name(e, &p->stretches[i], !alone), k);
        table_put(&taken, names[i], e);
    }
    names[p->stretches_count] = "TIME_UPDATE";
    e->stretches = names;
}

void emit_stopwatch(struct emitter *e, struct cwriter *w)
{
    cw_comment(w, "What is timed while profiling.");
    cw_open(w, "enum {");
    for (int i = 0; i <= e->plan->stretches_count; i++)
        cw_line(w, "%s%s", e->stretches[i], i < e->plan->stretches_count ? "," : "");
    cw_close(w, "};");
    cw_blank(w);
    cw_comment(w, "The first thread's, while profiling; without ticks it stands still.");
    cw_open(w, "struct stopwatch {");
    cw_line(w, "uint64_t *ticks;  // nanoseconds of each stretch");
    cw_line(w, "uint64_t last;");
    cw_close(w, "};");
    cw_blank(w);
    cw_line(w, "static struct stopwatch start_watch(uint64_t *ticks)");
    cw_open(w, "{");
    cw_line(w, "return (struct stopwatch){ ticks, ticks ? cnn_clock() : 0 };");
    cw_close(w, "}");
    cw_blank(w);
    cw_comment(w, "The time since the last tick was spent on that stretch.");
    cw_line(w, "CNN_APART void tick(struct stopwatch *watch, int stretch)");
    cw_open(w, "{");
    cw_open(w, "if (watch->ticks) {");
    cw_line(w, "const uint64_t now = cnn_clock();");
    cw_line(w, "watch->ticks[stretch] += now - watch->last;");
    cw_line(w, "watch->last = now;");
    cw_close(w, "}");
    cw_close(w, "}");
    cw_blank(w);
}

static void emit_tick(struct emitter *e, struct cwriter *w, int stretch)
{
    cw_line(w, "tick(watch, %s);", e->stretches[stretch]);
}

/* ---- pointers ---------------------------------------------------------------------------------------------------- */

/* What the steps of some phases are given: which pointers and variables they need. */
struct needs {
    const struct tensor **tensors;      /* in the order of their numbers, each once; buffers likewise */
    const struct buffer **buffers;
    int tensors_count, buffers_count;
    size_t tensors_capacity, buffers_capacity;
    bool scratch, local, memory, context, samples, rule;
};

static void need_tensor(struct emitter *e, struct needs *n, const struct tensor *t)
{
    const enum region region = e->program->places[t->id].region;
    LIST_ADD(e->arena, n->tensors, n->tensors_count, n->tensors_capacity, t);
    n->context = true;
    n->memory |= region == REGION_MEMORY;
    n->local |= region == REGION_LOCAL;
}

static void need_argument(struct emitter *e, struct needs *n, const struct argument *a)
{
    switch (a->kind) {
    case ARGUMENT_TENSOR: need_tensor(e, n, a->tensor); break;
    case ARGUMENT_BUFFER:
        LIST_ADD(e->arena, n->buffers, n->buffers_count, n->buffers_capacity, a->buffer);
        n->memory = n->context = true;
        break;
    case ARGUMENT_SCRATCH: n->scratch = n->context = true; break;
    case ARGUMENT_SAMPLES:
    case ARGUMENT_LEFT:
    case ARGUMENT_SHARE: n->samples = true; break;
    case ARGUMENT_KEY:
    case ARGUMENT_TOGETHER:
    case ARGUMENT_CONTEXT: n->context = true; break;
    case ARGUMENT_RULE: n->rule = true; break;
    default: break;
    }
}

static int by_id(const void *a, const void *b)
{
    return (*(const struct tensor *const *)a)->id - (*(const struct tensor *const *)b)->id;
}

static int by_index(const void *a, const void *b)
{
    return (*(const struct buffer *const *)a)->index - (*(const struct buffer *const *)b)->index;
}

static void sort_needs(struct needs *n)
{
    int tensors = 0, buffers = 0;
    if (n->tensors_count)
        qsort(n->tensors, (size_t)n->tensors_count, sizeof(struct tensor *), by_id);
    for (int i = 0; i < n->tensors_count; i++)
        if (!tensors || n->tensors[tensors - 1] != n->tensors[i])
            n->tensors[tensors++] = n->tensors[i];
    if (n->buffers_count)
        qsort(n->buffers, (size_t)n->buffers_count, sizeof(struct buffer *), by_index);
    for (int i = 0; i < n->buffers_count; i++)
        if (!buffers || n->buffers[buffers - 1] != n->buffers[i])
            n->buffers[buffers++] = n->buffers[i];
    n->tensors_count = tensors;
    n->buffers_count = buffers;
}

/* Those of the steps; NULL: all, or they are not the same. */
static const struct epochs *epochs_of_steps(struct step *const *steps, int count)
{
    for (int i = 1; i < count; i++)
        if (steps[i]->epochs != steps[0]->epochs)
            return NULL;
    return steps[0]->epochs;
}

static const struct epochs *epochs_of_phases(const struct phase *f, int count)
{
    const struct epochs *all = epochs_of_steps(f->steps, f->steps_count);
    for (int i = 1; i < count; i++)
        if (epochs_of_steps(f[i].steps, f[i].steps_count) != all)
            return NULL;
    return all;
}

static struct needs needs_of(struct emitter *e, const struct phase *f, int count)
{
    struct needs n = { .samples = f->repeat > 1 };
    for (int i = 0; i < count; i++) {
        n.samples |= f[i].split == SPLIT_IMAGES;
        for (int s = 0; s < f[i].steps_count; s++) {
            n.context |= f[i].steps[s]->epochs && !epochs_of_phases(f, count);
            for (int k = 0; k < f[i].steps[s]->arguments_count; k++)
                need_argument(e, &n, &f[i].steps[s]->arguments[k]);
        }
    }
    sort_needs(&n);
    return n;
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
        value = bytes_from(e, type, base, place->offset + place->within * e->plan->real_size);
    else if (place->offset)
        value = arena_printf(e->arena, "(%s%s *)%s + %" PRId64, constant, type, base, place->offset);
    else
        value = base;
    cw_line(w, "%s%s *const %s = %s;  // %s", constant, type, t->name, value,
            emit_tensor_shape(e, t, place->region != REGION_LOCAL));
}

static void emit_pointers(struct emitter *e, struct cwriter *w, const struct needs *needs)
{
    const struct plan *p = e->plan;
    if (needs->memory)
        cw_line(w, "char *const memory = c->memory;");
    for (int i = 0; i < needs->tensors_count; i++)
        if (e->program->places[needs->tensors[i]->id].region != REGION_LOCAL)
            emit_tensor_pointer(e, w, needs->tensors[i]);
    for (int i = 0; i < needs->buffers_count; i++) {
        const struct buffer *b = needs->buffers[i];
        cw_line(w, "%s *const %s = %s;", b->type, b->name, bytes_from(e, b->type, "memory", b->offset));
    }
    /* the thread's own */
    if (needs->scratch || needs->local)
        cw_line(w, "char *const own = (char *)c->scratch + (size_t)w->number * %" PRId64 ";", p->scratch_bytes);
    if (needs->scratch)
        cw_line(w, "%s *const scratch = (%s *)own;", p->real, p->real);
    if (needs->local)
        cw_line(w, "char *const local = own + %" PRId64 ";  // for the images of one turn", p->kernel_scratch);
    for (int i = 0; i < needs->tensors_count; i++)
        if (e->program->places[needs->tensors[i]->id].region == REGION_LOCAL)
            emit_tensor_pointer(e, w, needs->tensors[i]);
}

/* ---- loops ------------------------------------------------------------------------------------------------------- */

static void emit_call(struct emitter *e, struct cwriter *w, const struct step *s)
{
    const struct emitted_function *f = e->program->steps[s->index] == s ? e->called[s->index]
        : e->called_finer[s->index];
    cw_line(w, "%s(%s);", f->name, emit_arguments(e, s));
    emit_tick(e, w, s->stretch);
}

/* Of a loop, in their order: neighbours that are done in the same epochs under one condition, but for `known`, which
 * are these already. */
static void emit_calls(struct emitter *e, struct cwriter *w, struct step *const *steps, int count,
                       const struct epochs *known)
{
    for (int i = 0; i < count; i++) {
        const struct epochs *own = steps[i]->epochs;
        if (own != known && (i == 0 || steps[i - 1]->epochs != own))
            emit_epochs_begin(w, own);
        emit_call(e, w, steps[i]);
        if (own != known && (i == count - 1 || steps[i + 1]->epochs != own))
            emit_epochs_end(w, own);
    }
}

/* "i++", "i += 4" */
static const char *advance(struct emitter *e, const char *variable, int by)
{
    return by == 1 ? arena_printf(e->arena, "%s++", variable) : arena_printf(e->arena, "%s += %d", variable, by);
}

/* "g * 4", or "g" */
static const char *times(struct emitter *e, const char *variable, int by)
{
    return by == 1 ? variable : arena_printf(e->arena, "%s * %d", variable, by);
}

/* Calls go from the first image of a turn on. */
static bool in_turns(const struct phase *f)
{
    return f->images > 1 || f->in_turns;
}

/* What is done in some epochs only, where not all of the phase is. */
static const struct epochs *epochs_of_loop(const struct phase *f, const struct loop *loop)
{
    return epochs_of_steps(f->steps, f->steps_count) ? NULL : epochs_of_steps(f->steps + loop->first, loop->count);
}

/* One turn: the images from `first` on, or the image `i`. */
static void emit_turn(struct emitter *e, struct cwriter *w, const struct phase *f)
{
    for (int k = 0; k < f->loops_count; k++) {
        const struct loop *loop = &f->loops[k];
        const struct epochs *epochs = epochs_of_loop(f, loop);
        emit_epochs_begin(w, epochs);
        if (in_turns(f) && loop->images == f->images) {
            cw_open(w, "{");
            cw_line(w, "const int i = first;");
        } else if (in_turns(f)) {
            cw_open(w, "for (int i = first; i < first + %d && i < n; %s) {", f->images, advance(e, "i", loop->images));
        }
        emit_calls(e, w, f->steps + loop->first, loop->count, epochs_of_steps(f->steps + loop->first, loop->count));
        if (in_turns(f))
            cw_close(w, "}");
        emit_epochs_end(w, epochs);
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
    const char *image = in_turns(f) ? "first" : "i", *next = advance(e, image, f->images);
    if (f->groups) {
        int size = batch / f->groups;
        const struct epochs *all = epochs_of_steps(f->steps, f->steps_count);
        cw_open(w, "for (%s; g < end; g++) {", share(e, "g", arena_printf(e->arena, "%d", f->groups), 1));
        for (int k = 0; k < f->steps_count; k++) {
            const char *clearing = emit_clearing(e, f->steps[k]);
            if (!*clearing)
                continue;
            emit_epochs_begin(w, all ? NULL : f->steps[k]->epochs);
            cw_line(w, "%s;", clearing);
            emit_epochs_end(w, all ? NULL : f->steps[k]->epochs);
        }
        const char *first = times(e, "g", size);
        if (size == f->images) {
            cw_open(w, "if (%s < n) {", first);
            cw_line(w, "const int %s = %s;", image, first);
        } else {
            cw_open(w, "for (int %s = %s; %s < (g + 1) * %d && %s < n; %s) {", image, first, image, size, image, next);
        }
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
    const struct epochs *epochs = epochs_of_loop(f, loop);
    emit_epochs_begin(w, epochs);
    if (loop->blocks == 1) {
        if (loop->thread)
            cw_open(w, "if (w->number == %d %% w->count) {", loop->thread);
        else
            cw_open(w, "if (w->number == 0) {");
    } else if (loop->run > 1) {
        cw_open(w, "for (int run = cnn_run(w, %" PRId64 ", %d), b = w->number * run; b < %" PRId64
                   "; b = cnn_next(w, b, run)) {", loop->blocks, loop->run, loop->blocks);
    } else if (loop->run) {
        cw_open(w, "for (int b = w->number; b < %" PRId64 "; b += w->count) {", loop->blocks);
    } else {
        cw_open(w, "for (%s; b < end; b++) {", share(e, "b", arena_printf(e->arena, "%" PRId64, loop->blocks), 1));
    }
    emit_calls(e, w, f->steps + loop->first, loop->count, epochs_of_steps(f->steps + loop->first, loop->count));
    cw_close(w, "}");
    emit_epochs_end(w, epochs);
}

/* ---- phases ------------------------------------------------------------------------------------------------------ */

/* Phases that are repeated together are one function: from number `first` on. */
static int phases_from(const struct program *q, int first)
{
    int count = 1;
    if (q->phases[first].repeat)
        while (!q->phases[first + count - 1].repeat_ends)
            count++;
    return count;
}

static const char *phase_name(struct emitter *e, const char *program, int first)
{
    return arena_printf(e->arena, "%s_phase_%d", program, first);
}

/* ", const float *losses"... what a phase is given: all of them the watch and the worker, the rest where they need
 * it. */
static const char *phase_list(struct emitter *e, const struct needs *n, bool declared)
{
    const char *rule = "";
    if (n->rule && declared)
        rule = ", const struct rule *early";
    else if (n->rule)
        rule = ", early";
    if (!declared)
        return arena_printf(e->arena, "%s%sw, %s%s", n->context ? "c, " : "", n->samples ? "n, " : "", "&watch", rule);
    return arena_printf(e->arena, "%s%sstruct cnn_worker *w, struct stopwatch *watch%s",
                        n->context ? "struct cnn_context *c, " : "", n->samples ? "int n, " : "", rule);
}

/* "conv2d_2 forward, maxpool2d_1 forward", each once. */
static const char *phase_steps(struct emitter *e, const struct phase *f, int count)
{
    struct text list = { .arena = e->arena };
    struct table said = { .arena = e->arena };
    for (int i = 0; i < count; i++)
        for (int k = 0; k < f[i].steps_count; k++) {
            const struct step *s = f[i].steps[k];
            const struct layer *l = s->group->main->layer;
            const char *text = arena_printf(e->arena, "%s %s", l ? l->name : "loss", s->what);
            if (!table_get(&said, text))
                text_add(&list, "%s%s", list.count ? ", " : "", text);
            table_put(&said, text, e);
        }
    return text_of(&list);
}

static void emit_phase_comment(struct emitter *e, struct cwriter *w, int first, int count)
{
    const struct phase *f = &e->program->phases[first];
    const char *numbers = count > 1 ? arena_printf(e->arena, "Phases %d to %d", first, first + count - 1)
                                    : arena_printf(e->arena, "Phase %d", first);
    const char *images = f->split == SPLIT_IMAGES ? ", image by image" : "";
    if (f->repeat > 1)
        images = arena_printf(e->arena, ", %d images at a time", e->plan->batch / f->repeat);
    cw_comment(w, "%s%s: %s.", numbers, images, phase_steps(e, f, count));
}

static void emit_work(struct emitter *e, struct cwriter *w, const struct phase *f)
{
    if (f->split == SPLIT_IMAGES)
        emit_images(e, w, f, e->plan->batch);
    for (int k = 0; f->split == SPLIT_BLOCKS && k < f->loops_count; k++)
        emit_blocks(e, w, f, &f->loops[k]);
}

/* In the form that leaves so many threads more even. */
static void emit_either(struct emitter *e, struct cwriter *w, const struct phase *f)
{
    if (!f->finer) {
        emit_work(e, w, f);
        return;
    }
    const struct turns t = plan_turns(e->plan, f);
    const char *count = f->split == SPLIT_IMAGES ? "n" : arena_printf(e->arena, "%d", t.count);
    cw_open(w, "if (cnn_finer(w, %s, %d, %d)) {", count, t.turn, t.finer);
    emit_work(e, w, f->finer);
    cw_middle(w, "} else {");
    emit_work(e, w, f);
    cw_close(w, "}");
}

static void emit_phase(struct emitter *e, struct cwriter *w, const char *program, int first, int count)
{
    const struct phase *f = &e->program->phases[first];
    const struct needs needs = needs_of(e, f, count);
    int batch = e->plan->batch;
    emit_phase_comment(e, w, first, count);
    cw_line(w, "CNN_APART void %s(%s)", phase_name(e, program, first), phase_list(e, &needs, true));
    cw_open(w, "{");
    emit_pointers(e, w, &needs);
    if (needs.context)
        cw_blank(w);
    if (f->repeat > 1)
        cw_open(w, "for (int j = 0; j < %d && %s < n; j++) {", f->repeat,
                times(e, "j", batch / f->repeat));
    for (int i = 0; i < count; i++) {
        const struct epochs *epochs = epochs_of_phases(f, count) ? NULL : epochs_of_steps(f[i].steps, f[i].steps_count);
        emit_epochs_begin(w, epochs);
        emit_either(e, w, &f[i]);
        emit_epochs_end(w, epochs);
        /* what this thread waits for the others, or for who does all, is part of the last step */
        cw_line(w, "cnn_meet(w);");
        emit_tick(e, w, f[i].steps[f[i].steps_count - 1]->stretch);
    }
    if (f->repeat > 1)
        cw_close(w, "}");
    cw_close(w, "}");
    cw_blank(w);
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

void emit_loss_sum(const struct plan *p, struct cwriter *w)
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

/* l2 of layers.  Any of its sums is there once a phase has ended, from the weights that the step began with: nothing is
 * updated in the first. */
void emit_penalty(struct emitter *e, struct cwriter *w)
{
    const struct plan *p = e->plan;
    int64_t blocks = plan_penalty_blocks(p);
    if (!blocks)
        return;
    cw_comment(w, "The weights that l2 is of, where they begin and end.");
    cw_line(w, "static const struct {");
    cw_line(w, "    int64_t begin, end;");
    cw_line(w, "    double l2;");
    cw_open(w, "} penalised[] = {");
    for (int i = 0; i < p->penalties_count; i++)
        cw_line(w, "{ %" PRId64 ", %" PRId64 ", %s },", p->penalties[i].begin, p->penalties[i].end,
                emit_number(e, p->penalties[i].l2));
    cw_close(w, "};");
    cw_blank(w);
    cw_comment(w, "This thread's blocks of what l2 adds to the loss of a sample.");
    cw_line(w, "static void penalty_share(const struct cnn_context *c, const struct cnn_worker *w)");
    cw_open(w, "{");
    cw_line(w, "int b = 0;");
    cw_open(w, "for (size_t k = 0; k < sizeof penalised / sizeof penalised[0]; k++)");
    cw_open(w, "for (int64_t at = penalised[k].begin; at < penalised[k].end; at += %d, b++) {", PENALTY_BLOCK);
    cw_line(w, "const int64_t left = penalised[k].end - at;");
    cw_open(w, "if (b %% w->count == w->number)");
    cw_line(w, "c->penalties[b] = penalised[k].l2 * cnn_squares((const %s *)c->params + at, left < %d ? left : %d);",
            p->real, PENALTY_BLOCK, PENALTY_BLOCK);
    cw_close(w, "");
    cw_close(w, "}");
    cw_close(w, "");
    cw_close(w, "}");
    cw_blank(w);
    cw_comment(w, "All of it, block by block.");
    cw_line(w, "static double penalty(const struct cnn_context *c)");
    cw_open(w, "{");
    cw_line(w, "double sum = 0;");
    cw_open(w, "for (int64_t b = 0; b < %" PRId64 "; b++)", blocks);
    cw_line(w, "sum += c->penalties[b];");
    cw_close(w, "return sum;");
    cw_close(w, "}");
    cw_blank(w);
}

const char *emit_batch_loss(struct emitter *e, const struct program *q)
{
    const char *penalty = plan_penalty_blocks(e->plan) ? " + n * penalty(c)" : "";
    return arena_printf(e->arena, "loss_sum(%s, n)%s", q->graph->loss->name, penalty);
}

/* Of the gradients' pieces, how many are there before a phase. */
static int pieces_ready(const struct plan *p, int phase)
{
    int count = 0;
    while (count < p->pieces_count && p->pieces[count].phase < phase)
        count++;
    return count;
}

/* The calls of the phases from `first` to before `end`; behind the last one of a program one thread sums the loss in
 * the order of the samples: the others are waited for anyhow. */
static void emit_phase_calls(struct emitter *e, struct cwriter *w, const char *program, int first, int end)
{
    const struct program *q = e->program;
    const struct epochs *open = NULL;           /* neighbours are done under one condition */
    if (first == 0 && q->graph->loss && plan_penalty_blocks(e->plan))
        cw_line(w, "penalty_share(c, w);");
    for (int i = first, count; i < end; i += count) {
        count = phases_from(q, i);
        const struct needs needs = needs_of(e, &q->phases[i], count);
        const struct epochs *epochs = epochs_of_phases(&q->phases[i], count);
        if (epochs != open) {
            emit_epochs_end(w, open);
            emit_epochs_begin(w, open = epochs);
        }
        cw_line(w, "%s(%s);", phase_name(e, program, i), phase_list(e, &needs, false));
        bool ready = q->training && e->plan->pieces_count, rule = q->rule_phase >= i && q->rule_phase < i + count;
        if (ready || rule) {
            emit_epochs_end(w, open);
            open = NULL;
        }
        if (ready)
            cw_line(w, "cnn_ready(c, w, %d);", pieces_ready(e->plan, i + count));
        if (rule)
            emit_early_rule(e, w);
    }
    emit_epochs_end(w, open);
    if (!q->graph->loss || end < q->phases_count)
        return;
    cw_open(w, "if (w->number == 0)");
    cw_line(w, "c->loss = %s;", emit_batch_loss(e, q));
    cw_close(w, "");
}

/* What one of the threads does of some of the phases. */
static void emit_share(struct emitter *e, struct cwriter *w, const char *program, const char *name, int first, int end)
{
    const struct program *q = e->program;
    cw_line(w, "static void %s_share(struct cnn_context *c, int n, struct cnn_worker *w)", name);
    cw_open(w, "{");
    struct needs needs = { 0 };
    if (q->graph->loss && end == q->phases_count)
        need_tensor(e, &needs, q->graph->loss);
    emit_pointers(e, w, &needs);
    if (q->rule_phase >= 0)
        emit_rule(e, w);
    cw_line(w, "struct stopwatch watch = start_watch(w->number == 0 ? c->ticks : NULL);");
    cw_blank(w);
    emit_phase_calls(e, w, program, first, end);
    cw_close(w, "}");
    cw_blank(w);
}

/* ---- shares that meet -------------------------------------------------------------------------------------------- */

/* The first phase behind the segment that begins with a phase. */
static int segment_end(const struct program *q, int first)
{
    int end = first + 1;
    while (end < q->phases_count && !q->phases[end].meets)
        end++;
    return end;
}

/* What shares tell each other before a phase.  Returns how many things. */
static int emit_meeting(struct emitter *e, struct cwriter *w, const struct phase *f, int segment)
{
    int count = 0;
    for (int k = 0; k < f->steps_count; k++) {
        const struct step *s = f->steps[k];
        int64_t rows = 1 + (e->plan->model->batch + e->plan->batch - 1) / e->plan->batch;
        if (s->meets)
            cw_line(w, "{ %d, %" PRId64 ", %" PRId64 " },  // %s", segment, s->meets->offset, s->meets->bytes / rows,
                    s->meets->name);
        count += s->meets != NULL;
    }
    return count;
}

/* A step whose batch is one of several shares goes on when all of them have come to the same place; who calls all of it
 * has one only. */
static void emit_segments(struct emitter *e, struct cwriter *w, const char *name, const char *comment)
{
    const struct program *q = e->program;
    int meetings = 0;
    cw_comment(w, "%s All shares of a batch meet between two of its segments. This is what one of the threads does of each.",
               comment);
    for (int i = 0, k = 0; i < q->phases_count; i = segment_end(q, i), k++)
        emit_share(e, w, name, arena_printf(e->arena, "%s_segment_%d", name, k), i, segment_end(q, i));
    cw_comment(w, "What shares tell each other: before which segment, where in memory a share's own row begins, bytes.");
    cw_open(w, "static const struct cnn_meeting meetings[] = {");
    for (int i = segment_end(q, 0), k = 1; i < q->phases_count; i = segment_end(q, i), k++)
        meetings += emit_meeting(e, w, &q->phases[i], k);
    cw_close(w, "};");
    cw_blank(w);
    cw_line(w, "static void %s_segment(struct cnn_context *c, int n, int segment)", name);
    cw_open(w, "{");
    cw_line(w, "static void (*const shares[%d])(struct cnn_context *c, int n, struct cnn_worker *w) = {", q->segments);
    for (int k = 0; k < q->segments; k++)
        cw_line(w, "    %s_segment_%d_share%s", name, k, k + 1 < q->segments ? "," : "");
    cw_line(w, "};");
    emit_update_begins(e, w, "segment == 0 && ");
    cw_line(w, "cnn_parallel(c, n, shares[segment]);");
    cw_close(w, "}");
    cw_blank(w);
    cw_line(w, "static void %s(struct cnn_context *c, int n)", name);
    cw_open(w, "{");
    cw_line(w, "c->together = n;");
    cw_open(w, "for (int segment = 0, k = 0; segment < %d; segment++) {", q->segments);
    cw_open(w, "for (; k < %d && meetings[k].segment == segment; k++) {", meetings);
    cw_line(w, "char *const row = (char *)c->memory + meetings[k].at;");
    cw_line(w, "memcpy(row + meetings[k].bytes, row, (size_t)meetings[k].bytes);");
    cw_close(w, "}");
    cw_line(w, "%s_segment(c, n, segment);", name);
    cw_close(w, "}");
    cw_close(w, "}");
    cw_blank(w);
}

/* ---- a program --------------------------------------------------------------------------------------------------- */

/* The phases, what each thread does of them, and the function that has all threads do it. */
void emit_schedule(struct emitter *e, struct cwriter *w, const char *name, const char *comment)
{
    const struct program *q = e->program;
    for (int i = 0; i < q->phases_count; i += phases_from(q, i))
        emit_phase(e, w, name, i, phases_from(q, i));
    if (q->segments > 1) {
        emit_segments(e, w, name, comment);
        return;
    }
    cw_comment(w, "%s This is what one of the threads does of it.", comment);
    emit_share(e, w, name, name, 0, q->phases_count);
    cw_line(w, "static void %s(struct cnn_context *c, int n)", name);
    cw_open(w, "{");
    if (q->training)
        emit_update_begins(e, w, "");
    cw_line(w, "cnn_parallel(c, n, %s_share);", name);
    cw_close(w, "}");
    cw_blank(w);
}

/* ---- contents ---------------------------------------------------------------------------------------------------- */

/* The functions of a program in which steps of each layer are, by index of the layer: "train_step_phase_1, 14, 15". */
static void list_phases(struct emitter *e, const struct program *q, const char *name, struct text *lists)
{
    int *last = arena_array(e->arena, (size_t)e->plan->model->layers_count + 1, sizeof *last);
    for (int i = 0; i < q->phases_count; i += phases_from(q, i))
        for (int k = 0; k < phases_from(q, i); k++)
            for (int s = 0; s < q->phases[i + k].steps_count; s++) {
                const struct layer *l = q->phases[i + k].steps[s]->group->main->layer;
                if (!l || last[l->index] == i + 1)
                    continue;
                struct text *list = &lists[l->index];
                if (last[l->index])
                    text_add(list, ", %d", i);
                else
                    text_add(list, "%s%s", list->count ? "; " : "", phase_name(e, name, i));
                last[l->index] = i + 1;
            }
}

void emit_contents(struct emitter *e, struct cwriter *w)
{
    const struct plan *p = e->plan;
    const struct model *m = p->model;
    struct text *lists = arena_array(e->arena, (size_t)m->layers_count + 1, sizeof *lists);
    struct text all = { .arena = e->arena };
    for (int i = 0; i < m->layers_count; i++)
        lists[i].arena = e->arena;
    list_phases(e, &p->train, "train_step", lists);
    list_phases(e, &p->use, "infer", lists);
    for (int i = 0; i < m->layers_count; i++)
        if (lists[m->layers[i]->index].count)
            text_add(&all, "\n  %s (%s): %s", m->layers[i]->name, layer_place_text(e->arena, m, m->layers[i]),
                     text_of(&lists[m->layers[i]->index]));
    cw_comment(w, "Contents. First the functions of kernels, each headed by the layers that it is for, with lines of %s: "
               "search for a layer's name. Then training, train_step(), and use, infer(), phase by phase: in a phase "
               "threads do not wait for each other. Then update(), and the tables that the runtime reads. Each layer's "
               "phases are:%s", m->source ? text_basename(m->source->path) : "the model", text_of(&all));
    cw_blank(w);
}
